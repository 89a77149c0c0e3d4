"""Random operations. What they draw comes from a generator that is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynet.autograd import Array, Op, Variable, differentiable, wrap
from tinynet.ops.checks import check_float, may_underflow
from tinynet.random import default_rng

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def check_probability(owner: str, p: float) -> None:
    """ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{owner}: p is the probability to drop, from 0 to 1, got {p}")


def dropout(
    x: Array, p: float = 0.5, training: bool = True, rng: np.random.Generator | None = None
) -> Tensor:
    """Set each element to 0 with probability p, and divide the others by 1 - p.

    So the expected value of y is x, and evaluation (training=False) needs no correction: there,
    and for p = 0, the result is x itself. For p = 1 it is 0.
    rng: the generator that draws; without it this thread's default, see `tinynet.manual_seed`.
    What is drawn depends on the shape alone, not on dtype or memory order.

    With the mask m (1 kept, 0 dropped), y = x m / (1 - p), and so dx = dy m / (1 - p).
    Shapes: x (...) -> y (...). Keeps the mask, one byte an element.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout", JMLR 15, 2014.
    Raises ValueError for p outside 0 to 1, TypeError for integers.
    """
    check_probability("dropout", p)
    if training and p > 0:
        return _dropout(x, p, default_rng(rng))
    return x if isinstance(x, Variable) else wrap(x)  # type: ignore[return-value]


@differentiable(rule="y = x / (1 - p) where kept, else 0")
@may_underflow
def _dropout(x: Array, p: float, rng: np.random.Generator) -> Op:
    """See `dropout`; this is the part that drops."""
    check_float("dropout", x)
    scale = 1 / (1 - p) if p < 1 else 0.0
    mask = np.empty_like(x, dtype=bool)  # in the memory order of x
    np.greater_equal(rng.random(x.shape, dtype=np.float32), p, out=mask)
    y = x * mask
    y *= scale

    def dx(dy: Array) -> Array:
        return dy * mask * scale

    return y, dx
