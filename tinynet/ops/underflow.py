"""Numbers too small for their dtype, which count as 0.

`np.seterr(under="raise")` would stop at e^-1000, though 0 is what a sigmoid needs there. So the
activations, losses and normalisations, whose intermediate values nobody sees, are `may_underflow`;
arithmetic (`*`, `exp`, ...) does as NumPy is told. Overflow and division by 0 are heeded in both.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import numpy as np

from tinynet.autograd import Array, Pull

P = ParamSpec("P")


def may_underflow(body: Callable[P, tuple[Array, ...]]) -> Callable[P, tuple[Array, ...]]:
    """The operation, and its gradients, with every underflow taken as 0."""

    @functools.wraps(body)
    def forward(*args: P.args, **settings: P.kwargs) -> tuple[Array, ...]:
        with np.errstate(under="ignore"):
            y, *vjps = body(*args, **settings)
        return (y, *map(_quiet, vjps))

    return forward


def _quiet(vjp: Pull) -> Pull:
    def quiet(dy: Array) -> Array:
        with np.errstate(under="ignore"):
            return vjp(dy)

    return quiet
