"""PyTorch's `torch.func`: functions of functions, and a model as a function of its parameters.

def loss(params):
    return F.cross_entropy(functional_call(model, params, x), target)

gradients = grad(loss)(dict(model.named_parameters()))
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinynet.derivatives import transforms
from tinynet.derivatives.transforms import (
    grad,
    grad_and_value,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    value_and_grad,
    vjp,
)  # fmt: skip
from tinynet.errors import ShapeError, unknown_name
from tinynet.functions import unbind
from tinynet.nn.members import BUFFER, PARAMETER, TRANSIENT
from tinynet.nn.module import Module
from tinynet.ops import stack
from tinynet.tensor import Tensor

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "hvp", "jacfwd", "jacrev", "jvp",
    "stack_module_state", "value_and_grad", "vjp", "vmap",
]  # fmt: skip


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | tuple[Mapping[str, Tensor], ...],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
) -> Any:
    """The result of the module with other tensors in place of its parameters and buffers.

    parameter_and_buffer_dicts: tensors by the names of `named_parameters` and `named_buffers`, or
    a tuple of such dicts; what is not named stays. A parameter that several layers share is
    replaced in all. args: the input, or a tuple of them. Raises ValueError for an unknown name.
    """
    dicts = parameter_and_buffer_dicts
    parts = dicts if isinstance(dicts, tuple) else (dicts,)
    given = {name: value for part in parts for name, value in part.items()}
    known: dict[str, Tensor] = dict(module.named_parameters(remove_duplicate=False))
    known |= module.named_buffers()
    for name in given.keys() - known.keys():
        raise unknown_name("parameter or buffer", name, known)
    instead = {id(known[name]): value for name, value in given.items()}
    places = [
        (vars(part), name, own)
        for part in module.modules()
        for name, own in part._own(PARAMETER, BUFFER, TRANSIENT)
        if id(own) in instead
    ]
    inputs = args if isinstance(args, tuple) else () if args is None else (args,)
    try:
        for members, name, own in places:
            members[name] = instead[id(own)]
        return module(*inputs, **(kwargs or {}))
    finally:
        for members, name, own in places:
            members[name] = own


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of models built alike, stacked by name as new ones, for `vmap`."""
    kinds = sorted({type(model).__name__ for model in models})
    if len(kinds) != 1:
        raise RuntimeError(f"stack_module_state: takes models of one class, got {kinds}")
    own = [dict(model.named_parameters()) for model in models]
    state = [dict(model.named_buffers()) for model in models]
    parameters = {
        name: stack([p[name] for p in own]).detach().requires_grad_(first.requires_grad)
        for name, first in own[0].items()
    }
    return parameters, {name: stack([b[name] for b in state]) for name in state[0]}


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: int = 0) -> Callable[..., Any]:
    """`func`, written for one example, as a function of a batch, called for one after the other.

    in_dims: the axis of each argument's examples, None for one that is the same for all; tensors
    in dicts and tuples have it all. Results are stacked along out_dims. Operations take whole
    batches as they are, so a function that is written for a batch is faster.
    """

    def mapped(*args: Any) -> Any:
        dims = in_dims if isinstance(in_dims, tuple) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(f"vmap: {len(dims)} in_dims for {len(args)} arguments")
        batches = [None if d is None else _examples(x, d) for x, d in zip(args, dims)]
        sizes = [len(batch) for batch in batches if batch is not None]
        if len(set(sizes)) != 1 or not sizes[0]:
            raise ShapeError(f"vmap: batches of {sizes} examples")
        rows = [[x] * sizes[0] if batch is None else batch for x, batch in zip(args, batches)]
        results = [func(*row) for row in zip(*rows)]
        pairs = (transforms.pairs("vmap: a result", results[0], y) for y in results)
        columns = zip(*([x for _, x in paired] for paired in pairs))
        return transforms.rebuilt(results[0], (stack(column, out_dims) for column in columns))

    return mapped


def _examples(value: Any, dim: int) -> list[Any] | None:
    """Each example of a tensor, or of the tensors in a dict or tuple; None where there is none."""
    parts = [unbind(x, dim) for x in transforms.leaves(value, "vmap")]
    if len({len(part) for part in parts}) > 1:
        raise ShapeError(f"vmap: batches of {[len(part) for part in parts]} examples")
    return [transforms.rebuilt(value, row) for row in zip(*parts)] if parts else None
