"""Gradients on their way back: added up where a value was used more than once.

Whoever gives the first gradient of a value may go on using the array, so the second is added into
a new one, and the third into that. A leaf's array becomes its `.grad`, which belongs to the user:
it is a copy, unless nobody else can have it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tinynet import changes
from tinynet.errors import ShapeError

if TYPE_CHECKING:
    from tinynet.autograd import VJP, Array, Edge, Node, Variable

SMALL = 1 << 14
"""Elements up to which a gradient is copied sooner than it is found out whether it has to be."""


class Gradients(dict["Node | Variable", np.ndarray]):
    """The gradients of nodes and leaves, as far as they are known.

    own: those whose array no one else has.
    """

    __slots__ = ("own",)

    def __init__(self, roots: Iterable[tuple[Variable, np.ndarray]]) -> None:
        self.own: set[Node | Variable] = set()
        for x, dy in roots:
            root = x.node or x
            self[root] = self[root] + dy if root in self else dy

    def take(self, node: Node) -> np.ndarray:
        """The gradient of a node, complete by now, after the hooks of its tensor."""
        dy = self.pop(node)
        return hooked(node, dy) if node.hooks else dy

    def add(self, edge: Edge, dx: Array, dy: Array, name: str) -> bool:
        """Add dx, what the edge's vjp made of dy, for its target; whether it is the first there.

        name: of the operation, for an error.
        """
        vjp, target, shape, dtype = edge
        if type(dx) is not np.ndarray or dx.shape != shape:
            dx = sum_to_shape(dx, shape, name, vjp)
        if dx.dtype != dtype:
            dx = dx.astype(dtype)
        if target not in self:
            self[target] = dx
            if dx.size > SMALL and hasattr(target, "requires_grad") and _is_fresh(dx, dy, vjp):
                self.own.add(target)
            return True
        if target in self.own:
            self[target] += dx
        else:
            self[target] = np.asarray(self[target] + dx)  # 0 axes add up to a scalar
            self.own.add(target)
        return False

    def belonging(self, leaf: Variable) -> np.ndarray:
        """The gradient of a leaf in an array that no one else has."""
        dx: np.ndarray = self[leaf] if leaf in self.own else np.array(self[leaf])
        return hooked(leaf, dx) if leaf.hooks else dx


def hooked(target: Node | Variable, dy: np.ndarray) -> np.ndarray:
    """The gradient of a node or leaf after its hooks, each of which may replace it."""
    for hook in target.hooks.values():
        replaced = hook(dy.copy())
        if replaced is not None:
            dy = sum_to_shape(replaced, dy.shape, "register_hook", hook).astype(dy.dtype)
    return dy


def _is_fresh(dx: np.ndarray, dy: Array, vjp: VJP) -> bool:
    """Whether `vjp` made the array dx: it is no view, not dy, and not a value that it keeps."""
    return dx.base is None and dx is not dy and all(dx is not x for x in changes.saved_arrays(vjp))


def sum_to_shape(gradient: Array, shape: tuple[int, ...], name: str, vjp: VJP) -> np.ndarray:
    """Undo broadcasting: sum `gradient` over the axes along which `shape` was stretched.

    A value used in several places gets the sum of their gradients (multivariate chain rule).
    Raises ShapeError if `shape` does not broadcast to the gradient's shape.
    """
    which = getattr(vjp, "__name__", "gradient")
    if gradient is None:
        raise TypeError(f"{name}: the gradient {which}(dy) is None; is a `return` missing?")
    gradient = full = np.asarray(gradient)
    if full.shape == shape:
        return full
    lead = gradient.ndim - len(shape)
    if lead < 0 or any(size not in (1, gradient.shape[lead + i]) for i, size in enumerate(shape)):
        raise ShapeError(
            f"{name}: the gradient {which}(dy) has shape {gradient.shape}, but the input it "
            f"belongs to has shape {shape}. Return an array of the input's shape."
        )
    stretched = [lead + i for i, size in enumerate(shape) if size == 1]
    summed = gradient.sum(axis=(*range(lead), *stretched), keepdims=True)
    return np.asarray(summed.reshape(shape))
