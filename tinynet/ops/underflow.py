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

from tinynet.autograd import Array

P = ParamSpec("P")


def may_underflow(body: Callable[P, tuple[Array, ...]]) -> Callable[P, tuple[Array, ...]]:
    """The operation with every underflow taken as 0, as every backward pass takes it."""

    @functools.wraps(body)
    def forward(*args: P.args, **settings: P.kwargs) -> tuple[Array, ...]:
        with np.errstate(under="ignore"):
            return body(*args, **settings)

    return forward
