"""Gradients on their way back: added up where a value was used more than once.

Whoever gives the first gradient of a value may go on using the array, so the second is added into
a new one, and the third into that. A leaf's array becomes its `.grad`, which belongs to the user
and grows in place: it is a copy, unless nobody else can have it.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import changes
from tinynet.errors import ShapeError
from tinynet.guard import is_foreign

if TYPE_CHECKING:
    from tinynet.autograd import VJP, Array, Node, Variable
    from tinynet.tensor import Tensor

SMALL = 1 << 14
"""Elements up to which a gradient is copied sooner than it is found out whether it has to be."""


class Gradients:
    """The gradients of nodes and leaves, as far as `known`. No one else has a leaf's array.

    own: the nodes whose array no one else has. nodes: (-number, node) of those that are to be
    visited, a heap, so the newest comes first.
    """

    __slots__ = ("known", "nodes", "own")

    def __init__(self, roots: Iterable[tuple[Variable, np.ndarray]]) -> None:
        self.known: dict[Node | Variable, np.ndarray] = {}
        self.own: set[Node | Variable] = set()
        self.nodes: list[tuple[int, Any]] = []
        for x, dy in roots:
            root = x.node or x
            if root.number and root not in self.known:
                heapq.heappush(self.nodes, (-root.number, root))
            self.add(root, dy)

    def add(self, target: Node | Variable, dx: np.ndarray) -> None:
        """Add dx, of the shape and dtype of the target, which others may have."""
        if target not in self.known:
            self.known[target] = dx if target.number else np.array(dx)
        elif target in self.own or not target.number:
            self.known[target] += dx
        else:
            self.known[target] = np.asarray(self.known[target] + dx)  # 0 axes add up to a scalar
            self.own.add(target)


class Afterwards(functools.partial):  # type: ignore[type-arg]
    """A hook that is called with the tensor, once its `.grad` has grown."""


def accumulate(found: Iterable[tuple[Any, Tensor]], create_graph: bool = False) -> None:
    """Add to the `.grad` of each tensor, or of the one that asked for a node's; to all or none.

    create_graph: the sums are recorded.
    """
    given = [(y, dx) for x, dx in found if (y := x.retained() if x.number else x) is not None]
    for x, dx in given:
        if x.grad is not None and x.grad.shape != dx.shape:
            raise ShapeError(
                f"backward(): .grad is of shape {x.grad.shape}, what is to be added to it of shape "
                f"{dx.shape}; set .grad = None before"
            )
    for x, dx in given:
        if x.grad is None:
            x.grad = dx
        elif create_graph:
            x.grad = x.grad + dx
        elif x.grad.requires_grad or not x.grad.array.flags.writeable or x.grad.dtype != dx.dtype:
            x.grad = x.grad.detach() + dx
        else:
            x.grad.array += dx.array
            changes.note_change(x.grad.array)
    for x in [x for x, _ in given if x.hooks]:
        for hook in [hook for hook in x.hooks.values() if type(hook) is Afterwards]:
            hook(x)


def hooked(target: Node | Variable, dy: Any) -> Any:
    """The gradient of a node or leaf after its hooks, each of which may replace it."""
    for hook in [hook for hook in target.hooks.values() if type(hook) is not Afterwards]:
        replaced = hook(dy.copy())
        if replaced is not None:
            dy = sum_to_shape(replaced, dy.shape, "register_hook", hook).astype(dy.dtype)
    return dy


def owned(dx: np.ndarray, vjp: VJP, dy: Array, several: Sequence[Array] | None) -> np.ndarray:
    """dx in an array that no one else has: itself, if `vjp` made it of dy and does not keep it.

    several: what came in one pass, dx among it if it did. What others wrote may keep it anywhere.
    """
    if dx.size <= SMALL or dx.base is not None:
        return np.array(dx)
    maker = getattr(vjp, "function", vjp)
    if is_foreign(getattr(maker, "written_as", maker)):
        return np.array(dx)
    elsewhere = sum(x is dx for x in (dy, *(several or ()), *changes.saved_arrays(vjp)))
    return np.array(dx) if elsewhere > hasattr(vjp, "place") else dx


def sum_to_shape(gradient: Array, shape: tuple[int, ...], name: str, vjp: VJP | None) -> Any:
    """Undo broadcasting: sum `gradient` over the axes along which `shape` was stretched.

    A value used in several places gets the sum of their gradients (multivariate chain rule).
    Raises ShapeError if `shape` does not broadcast to the gradient's shape.
    """
    which = getattr(vjp, "__name__", "gradient")
    if gradient is None:
        raise TypeError(f"{name}: the gradient {which}(dy) is None; is a `return` missing?")
    gradient = gradient if hasattr(gradient, "requires_grad") else np.asarray(gradient)
    if gradient.shape == shape:
        return gradient
    lead = gradient.ndim - len(shape)
    if lead < 0 or any(size not in (1, gradient.shape[lead + i]) for i, size in enumerate(shape)):
        raise ShapeError(
            f"{name}: the gradient {which}(dy) has shape {gradient.shape}, but the input it "
            f"belongs to has shape {shape}. Return an array of the input's shape."
        )
    stretched = [lead + i for i, size in enumerate(shape) if size == 1]
    return gradient.sum(axis=(*range(lead), *stretched), keepdims=True).reshape(shape)
