# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Cross entropy with labels in loops: one call where NumPy makes a dozen.

Ten classes: 10.3 -> 2.7 microseconds for one image, 13.7 -> 5.0 for 32 (Zen 3).
"""

from __future__ import annotations

import math

from tinynet.kernels.numba_kernels.compiled import compiled


@compiled
def label_losses(x, n_step, C, c_step, labels, losses, p):
    """losses (N) = -log p of each label, p = softmax; x and p flat, [n*n_step + c*c_step]."""
    for n in range(len(labels)):
        first = n * n_step
        top = x[first]
        for c in range(1, C):
            number = x[first + c * c_step]
            if number > top or number != number:  # NaN stays
                top = number
        total = 0.0
        for c in range(C):
            place = first + c * c_step
            p[place] = math.exp(x[place] - top)
            total += p[place]
        losses[n] = math.log(total) - (x[first + labels[n] * c_step] - top)
        for c in range(C):
            p[first + c * c_step] /= total
