"""Running averages, updated in place: what most optimizers remember of the gradients."""

from __future__ import annotations

import numpy as np

from tinynet.optim.executor import Array


def average(m: Array, g: Array, decay: float, t: Array) -> None:
    """m = decay * m + (1 - decay) * g, computed as m + (1 - decay) * (g - m). t: scratch."""
    np.subtract(g, m, out=t, casting="same_kind")
    t *= 1 - decay
    m += t


def average_squares(v: Array, g: Array, decay: float, t: Array) -> None:
    """v = decay * v + (1 - decay) * g**2. t: scratch."""
    np.multiply(g, g, out=t, casting="same_kind")  # first: if it overflows, nothing is changed
    t *= 1 - decay
    v *= decay
    v += t
