"""A step of SGD with momentum, in place."""

from __future__ import annotations

import numpy as np


def momentum_step(
    p: np.ndarray, g: np.ndarray, b: np.ndarray, t: np.ndarray, momentum: float, lr: float
) -> None:
    """b = momentum * b + g, then p = p - lr * b. t: memory to work in, of the same shape."""
    b *= momentum
    b += g
    np.multiply(b, lr, out=t)
    p -= t
