"""A worked solution of the exercise `relu`."""

import numpy as np


def relu(x):
    """max(x, 0) for each element."""
    return np.maximum(x, 0)


def relu_dx(dy, y):
    """dy where y > 0: True counts as 1, False as 0."""
    return dy * (y > 0)
