"""Local derivatives: how much each element of an operation's result feels one element of an input.

The graph holds for each input a function `vjp` that turns dy into dx. It is linear: dx[k] is a
sum over the elements m of the result, dy[m] times the local derivative dy[m]/dx[k]. So these
factors for one k, the column k of the operation's Jacobian, are the gradient of dx[k] with respect
to dy, and `vjp` has one where it can run on tensors, as for gradients of gradients. A random dy
tells whether it is right. Where there is none, `vjp` is asked for each element of dy alone.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

import numpy as np

from tinynet import accumulation, autograd
from tinynet.derivatives import kernels
from tinynet.derivatives.traced import Traced
from tinynet.grad_mode import enable_grad
from tinynet.tensor import Tensor

Index = tuple[int, ...]


class Edge(NamedTuple):
    """One use of a tensor by an operation: see `autograd.Node.edges`."""

    op: str
    vjp: autograd.VJP
    shape: Index

    def full(self, dy: np.ndarray) -> np.ndarray:
        """The gradient of the input, before broadcasting is undone."""
        return np.asarray(self.vjp(dy))

    def at(self, dy: np.ndarray, k: Index) -> float:
        """Element k of the gradient of the input."""
        return float(accumulation.sum_to_shape(self.full(dy), self.shape, self.op, self.vjp)[k])


def column(edge: Edge, dy: np.ndarray, k: Index) -> np.ndarray:
    """The local derivatives dy[m]/dx[k], in the shape of dy."""
    start = Tensor(np.zeros_like(dy), requires_grad=True)
    vjp, given = edge.vjp, Traced.given(start)
    # An operation may do what has no gradient: that is told by any exception.
    with np.errstate(all="ignore"), contextlib.suppress(Exception), enable_grad():
        with kernels.recorded():
            dx: Any = (
                vjp.function(given)[vjp.place] if isinstance(vjp, autograd.OneOf) else vjp(given)
            )
            lead = dx.ndim - len(k)
            stretched = [m != n for m, n in zip(dx.shape[lead:], edge.shape)]
            own = [slice(None) if wide else i for wide, i in zip(stretched, k)]
            dx[(*[slice(None)] * lead, *own)].sum().tensor.backward()
        found: np.ndarray = start.grad.array  # type: ignore[union-attr]
        probe = np.random.default_rng(0).standard_normal(dy.shape).astype(dy.dtype)
        product, answer = found.astype(np.float64) * probe, edge.at(probe, k)
        tolerance = 1e-4 if dy.dtype == np.float32 else 1e-9
        if abs(product.sum() - answer) <= tolerance * (np.abs(product).sum() + abs(answer)):
            return found
    units = np.eye(dy.size, dtype=dy.dtype).reshape(-1, *dy.shape)
    return np.array([edge.at(unit, k) for unit in units]).reshape(dy.shape)
