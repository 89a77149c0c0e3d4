# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
"""Kernels in one pass over vectors: ReLU, SGD with momentum, cross entropy.

NumPy passes over the same numbers two to twelve times, call by call; here each is read and written
once.
"""

import math

from tinynet.kernels.numba_kernels.compiled import compiled
from tinynet.kernels.numba_kernels.team import begin, finish


@compiled
def rectify(team, part, first, last, x, y, z):
    """z = x where y is positive or NaN, else 0, from `first` to `last` of vectors.

    ReLU with y = x, and its gradient with x = dy.
    """
    begin(team)
    zero = z.dtype.type(0)
    x, y, z = x[first:last], y[first:last], z[first:last]
    for i in range(len(y)):
        z[i] = zero if y[i] <= zero else x[i]
    finish(team)


@compiled
def momentum_step(p, g, b, momentum, lr):
    """b = momentum * b + g, then p = p - lr * b, over vectors; rounded as NumPy rounds it."""
    for i in range(len(p)):
        velocity = momentum * b[i] + g[i]
        b[i] = velocity
        p[i] -= lr * velocity


@compiled
def label_losses(x, n_step, C, c_step, labels, losses, p):
    """losses (N) = -log p of each label, p = softmax; x and p vectors, [n*n_step + c*c_step]."""
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
