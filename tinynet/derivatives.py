"""Gradients as values: `grad` gives them instead of adding them to `.grad`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet.autograd import pass_back, wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor, as_array


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; no `.grad` is touched.

    inputs: leaves or results in the middle. grad_outputs: the gradient of the loss with respect
    to each output; 1 for a single value. Raises RuntimeError for an input that the outputs do not
    depend on, unless `allow_unused`, which gives None for it.
    """
    if create_graph:
        raise NotImplementedError("grad: gradients of gradients (create_graph=True) are not there")
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = [None] * len(roots) if grad_outputs is None else grad_outputs
    given = [given] if isinstance(given, Tensor) else list(given)
    if len(given) != len(roots):
        raise ValueError(f"grad: {len(given)} grad_outputs for {len(roots)} outputs")
    starts = [(y, _start(y, dy)) for y, dy in zip(roots, given)]
    before = [(x.node, x.node.retained) for x in targets if x.node is not None]
    try:
        for x in targets:
            if not x.requires_grad:
                raise RuntimeError("grad: one of the inputs does not require a gradient")
            if x.node is not None:
                x.node.retained = weakref.ref(x)
        found = {id(x): dx for x, dx in pass_back(starts, retain_graph)}
    finally:
        for node, retained in before:
            node.retained = retained
    missing = [i for i, x in enumerate(targets) if id(x) not in found]
    if missing and not allow_unused:
        raise RuntimeError(
            f"grad: the outputs do not depend on input {missing[0]}; pass allow_unused=True for "
            "None in its place"
        )
    return tuple(wrap(found[id(x)]) if id(x) in found else None for x in targets)


def _start(y: Tensor, dy: Any) -> np.ndarray:
    """The gradient from which the backward pass of one output starts."""
    if not y.requires_grad:
        raise RuntimeError("grad: an output does not depend on anything that requires a gradient")
    if dy is None:
        if y.numel() != 1:
            raise RuntimeError(
                f"grad: an output of shape {y.shape} is no single value; pass its gradient in "
                "grad_outputs, or reduce it with .sum() or .mean()"
            )
        return np.ones(y.shape, y.dtype)
    array = as_array(dy).astype(y.dtype, copy=False)
    if array.shape != y.shape:
        raise ShapeError(f"grad: grad_outputs has shape {array.shape}, the output {y.shape}")
    return array
