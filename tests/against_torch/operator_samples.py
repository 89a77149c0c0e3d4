"""PyTorch's own samples of its operators, run through tinynet.

`python -m tests.against_torch.operator_samples [NAME ...]` prints what became of each operator.
A sample is right if the values and the gradients agree to 1e-6 in float64; refused if tinynet
raises an error that says what it lacks; wrong otherwise.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

import tinynet
from tinynet.nn import functional

TOLERANCE = {"rtol": 1e-6, "atol": 1e-8}


RANDOM = {  # by chance, unset memory, or a change of their input
    *(
        "randn",
        "randn_like",
        "rand_like",
        "randint",
        "randint_like",
        "multinomial",
        "normal",
        "bernoulli",
    ),
    *("empty", "empty_like", "new_empty", "zero_", "nn.functional.dropout"),
    *("nn.functional.dropout2d", "nn.functional.alpha_dropout", "nn.functional.rrelu"),
}
REORDERED = {  # the samples of these have another order of arguments than the functions
    "einsum": lambda operands, equation: tinynet.einsum(equation, *operands),
    "polygamma": lambda x, n: tinynet.polygamma(n, x),
    "where": lambda x, condition, y: tinynet.where(condition, x, y),
    "nn.functional.embedding_bag": lambda w, x, *args, **settings: functional.embedding_bag(
        x, w, *args, **settings
    ),
    "nn.functional.embedding": lambda w, x, **settings: functional.embedding(x, w, **settings),
}

FREE = {"svd", "linalg.svd"}
"""Of these PyTorch compares what does not depend on the signs of the singular vectors."""

OTHERS = {"partial_views", "grad_oriented", "singular"}
"""Variants with memory outside of the tensor, with parts of what a function gives, and of more."""


def operators() -> Iterator[tuple[Any, Any]]:
    """(PyTorch's description of an operator, tinynet's function) for those that both have."""
    from torch.testing._internal.common_methods_invocations import op_db

    for info in op_db:
        if torch.float64 not in info.dtypes or info.name in RANDOM:
            continue
        if info.variant_test_name in OTHERS:
            continue
        function = REORDERED.get(info.name) or find(info.name)
        if function is not None:
            yield info, function


def find(name: str) -> Any:
    """tinynet's function of PyTorch's name, None if it has none."""
    if name.startswith("nn.functional."):
        return getattr(functional, name.removeprefix("nn.functional."), None)
    if name.startswith("linalg."):
        function = getattr(tinynet.linalg, name.removeprefix("linalg."), None)
        return function if getattr(function, "__module__", "").startswith("tinynet") else None
    if "." in name or name.startswith("_"):
        return None
    owner = tinynet if hasattr(torch, name) else tinynet.Tensor
    function = getattr(owner, name, None) or getattr(tinynet.Tensor, name, None)
    return function if callable(function) else None


def converted(value: Any) -> Any:
    """A sample's argument as tinynet takes it."""
    if isinstance(value, torch.Tensor):
        if value.dtype.is_complex or value.dtype in (torch.float16, torch.bfloat16):
            raise NotImplementedError
        tensor = tinynet.tensor(value.detach().numpy())
        return tensor.requires_grad_(value.requires_grad)
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, (tuple, list)):
        return type(value)(converted(v) for v in value)
    if isinstance(value, dict):
        return {key: converted(v) for key, v in value.items()}
    if isinstance(value, torch.nn.PairwiseDistance):
        return tinynet.nn.PairwiseDistance()
    return value


def flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for v in value for leaf in flat(v)]
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in flat(v)]
    return [value]


def compare(info: Any, function: Any, sample: Any) -> str:
    """ "right", or in words what is not."""
    theirs = (sample.input, sample.args, sample.kwargs)
    try:
        ours = converted(theirs)
    except (NotImplementedError, TypeError):
        return "no such dtype"
    expected = info.op(sample.input, *sample.args, **sample.kwargs)
    try:
        result = function(ours[0], *ours[1], **ours[2])
    except Exception as error:
        return f"refused: {type(error).__name__}: {str(error)[:150]}"
    if info.name in FREE:
        result, expected = map(sample.output_process_fn_grad, (result, expected))
    outputs, wanted = flat(result), flat(expected)
    if len(outputs) != len(wanted):
        return f"wrong: {len(outputs)} outputs in place of {len(wanted)}"
    roots, ours_roots = [], []
    for y, target in zip(outputs, wanted):
        if isinstance(target, torch.Tensor):
            if target.is_sparse:
                return "no such layout"
            right = target.detach().numpy()
            if tuple(y.shape) != right.shape:
                return f"wrong: shape {tuple(y.shape)} in place of {right.shape}"
            if not np.allclose(y.array, right, **TOLERANCE, equal_nan=True):
                return "wrong: values"
            if target.requires_grad:
                roots.append(target)
                ours_roots.append(y)
        elif y != target:
            return f"wrong: {y} in place of {target}"
    if not roots:
        return "right"
    rng = np.random.default_rng(0)
    cotangents = [rng.standard_normal(root.shape) for root in roots]
    leaves = [t for t in flat(theirs) if isinstance(t, torch.Tensor) and t.requires_grad]
    own = [t for t in flat(ours) if isinstance(t, tinynet.Tensor) and t.requires_grad]
    gradients = torch.autograd.grad(
        roots, leaves, [torch.from_numpy(np.asarray(c)) for c in cotangents], allow_unused=True
    )
    for root, cotangent in zip(ours_roots, cotangents):
        if root.requires_grad:
            root.backward(cotangent, retain_graph=True)
    for leaf, right in zip(own, gradients):
        got = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.array
        want = np.zeros(leaf.shape) if right is None else right.numpy(force=True)
        rounded = {"rtol": 1e-5, "atol": 1e-6} if leaf.dtype == np.float32 else TOLERANCE
        if not np.allclose(got, want, **rounded, equal_nan=True):
            return "wrong: gradient"
    return "right"


def outcomes(info: Any, function: Any, most: int | None = None) -> list[str]:
    """What became of each sample of an operator, or of the first `most` of them."""
    grad = info.supports_autograd
    torch.manual_seed(0)
    samples = info.sample_inputs("cpu", torch.float64, requires_grad=grad)
    with np.errstate(all="ignore"):
        return [compare(info, function, sample) for sample in itertools.islice(samples, most)]


def main(names: list[str]) -> None:
    total: Counter[str] = Counter()
    for info, function in operators():
        if names and info.name not in names:
            continue
        results = outcomes(info, function)
        kinds = Counter(result.split(":")[0] for result in results)
        total += kinds
        if set(kinds) != {"right"}:
            print(f"{info.name} {info.variant_test_name}: {dict(kinds)}")
            for result, count in Counter(r for r in results if r != "right").most_common(4):
                print(f"    {count:3} {result}")
    print(dict(total))


if __name__ == "__main__":
    main(sys.argv[1:])
