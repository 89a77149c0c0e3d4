"""Gradients as values: `grad` gives them instead of adding them to `.grad`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.accumulation import accumulate
from tinynet.tensor import Tensor, starting_gradient


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    *,
    only_inputs: bool = True,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; no `.grad` is touched.

    inputs: leaves or results in the middle. grad_outputs: the gradient of the loss with respect
    to each output; 1 for a single value. create_graph: the gradients have gradients themselves; the
    forward pass must have run inside `tinynet.create_graph()`. retain_graph, by default as
    create_graph: nothing is freed; otherwise what lies between the two, and nothing beyond the
    inputs. only_inputs is PyTorch's and has no effect. Raises RuntimeError for an input that the
    outputs do not depend on, unless `allow_unused`, which gives None for it, or materialize_grads,
    which gives 0.
    """
    from tinynet.derivatives import replay

    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    pairs = _pairs("grad: {} grad_outputs for {} outputs", outputs, grad_outputs)
    starts = [(y, starting_gradient("grad", y, dy)) for y, dy in pairs]
    if not all(x.requires_grad for x in targets):
        raise RuntimeError("grad: one of the inputs does not require a gradient")
    retain_graph = create_graph if retain_graph is None else retain_graph
    found = replay.gradients(starts, targets, create_graph, retain_graph)
    for place, dx in enumerate(found):
        if dx is None and materialize_grads:
            found[place] = autograd.wrap(np.zeros_like(targets[place].array))
        elif dx is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {place}; pass allow_unused=True for "
                "None in its place"
            )
    return tuple(found)


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of all the tensors to the `.grad` of their leaves."""
    pairs = _pairs("backward: {} grad_tensors for {} tensors", tensors, grad_tensors)
    for place, (y, dy) in enumerate(pairs, 1):
        y.backward(dy, retain_graph if place == len(pairs) else True, create_graph)


def _pairs(unequal: str, outputs: Any, given: Any) -> list[tuple[Tensor, Any]]:
    """Each output with the gradient that is given of it, or None. unequal: the error's words."""
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    given = [None] * len(roots) if given is None else given
    given = [given] if isinstance(given, Tensor) else list(given)
    if len(given) != len(roots):
        raise ValueError(unequal.format(len(given), len(roots)))
    return list(zip(roots, given))


def backward_recorded(
    root: Tensor, dy: Tensor, retain_graph: bool | None, create_graph: bool, inputs: Any
) -> None:
    """`Tensor.backward` to some inputs alone, or whose gradients have gradients themselves."""
    from tinynet.derivatives import replay

    if inputs is None:
        found: dict[Any, Any] = replay.pass_back([(root, dy)])
    else:
        targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        given = grad(root, targets, dy, retain_graph, create_graph, allow_unused=True)
        found = {x: dx for x, dx in zip(targets, given) if dx is not None}
    accumulate(found.items(), create_graph)


autograd.backward_recorded = backward_recorded
