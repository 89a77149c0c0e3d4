# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""The product of a column and a row in loops: 420 -> 270 microseconds for 128 x 9216 within a step.

(Zen 3, two threads; what is saved are two meetings at the interpreter's lock.)
"""

from __future__ import annotations

from tinynet.kernels.numba_kernels.compiled import compiled
from tinynet.kernels.numba_kernels.team import begin, finish


@compiled
def outer_rows(team, a, b, y):
    """y (M, P) = a_m b_p."""
    begin(team)
    for i in range(len(a)):
        factor = a[i]
        for j in range(len(b)):
            y[i, j] = factor * b[j]
    finish(team)
