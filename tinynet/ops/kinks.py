"""Kinks: where an operation has no derivative, and which of its smooth pieces is in force.

ReLU, max-pooling, abs, clip and their like are made of smooth pieces. Which piece is in force is a
*branch*: the signs of margins (x for ReLU, x - y for maximum), or the places of winners (in each
window of a max-pool). An operation with kinks tells its branch by a function of its own arguments:

    @differentiable(kinks=signs(lambda x: x, "has gradient 0 at x = 0"))
    def relu(x): ...

The gradient check compares branches: a step that changes one has crossed a kink.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Branch = tuple[np.ndarray, int]
"""Signs or places of winners, and how many elements (or windows) lie exactly on a kink."""


class Kinks(NamedTuple):
    """branch: of a call, from its arguments. rule: what the gradient is at a kink, after the name
    of the operation."""

    branch: Callable[..., Branch]
    rule: str


def signs(margins: Callable[..., Any], rule: str) -> Kinks:
    """Kinks where `margins` of the arguments, an array or a tuple of them, is 0."""

    def branch(*args: Any, **settings: Any) -> Branch:
        found = margins(*args, **settings)
        if isinstance(found, tuple):
            found = np.stack(np.broadcast_arrays(*found))
        signature = np.sign(found)
        return signature, signature.size - int(np.count_nonzero(signature))

    return Kinks(branch, rule)


def winners(rows: Callable[..., Any], rule: str) -> Kinks:
    """Kinks where the largest along the last axis of `rows` of the arguments is there twice."""

    def branch(*args: Any, **settings: Any) -> Branch:
        found = rows(*args, **settings)
        ties = found == found.max(-1, keepdims=True)
        return found.argmax(-1), int((ties.sum(-1) > 1).sum())

    return Kinks(branch, rule)


def choice(chosen: Callable[..., Any], rule: str) -> Kinks:
    """An operation that takes what an argument without a gradient says: `chosen`."""
    return Kinks(lambda *args, **settings: (chosen(*args, **settings), 0), rule)
