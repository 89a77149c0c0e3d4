# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""ReLU in loops: one pass, no mask. The vectors are those of tinynet/kernels/activation.py."""

from __future__ import annotations

from tinynet.kernels.numba_kernels.compiled import compiled
from tinynet.kernels.numba_kernels.team import begin, finish


@compiled
def rectify(team, x, y):
    """y = max(x, 0) over vectors; NaN stays NaN, as in NumPy."""
    begin(team)
    zero = x.dtype.type(0)
    for i in range(len(x)):
        y[i] = zero if x[i] <= zero else x[i]
    finish(team)


@compiled
def rectify_dx(team, dy, y, dx):
    """dx = dy where y, which is never below 0, is not 0, over vectors."""
    begin(team)
    zero = dx.dtype.type(0)
    for i in range(len(y)):
        dx[i] = dy[i] if y[i] != zero else zero
    finish(team)
