"""The definitions in plain loops, which the kernel lab holds solutions against too.

The same numbers are worked out once for all sets of kernels that are held against them.
"""

from __future__ import annotations

import functools

import numpy as np

from tinynet.lab import reference


def remembered(function):
    """The function, which knows by their content the arrays that it has had before."""
    known = {}

    @functools.wraps(function)
    def remembering(*args):
        key = tuple(
            (x.shape, x.dtype, x.tobytes()) if isinstance(x, np.ndarray) else x for x in args
        )
        if key not in known:
            known[key] = function(*args)
        return known[key].copy()

    return remembering


conv2d = remembered(reference.conv2d)
conv2d_dx = remembered(reference.conv2d_dx)
conv2d_dw = remembered(reference.conv2d_dw)
max_pool2d = remembered(reference.max_pool2d)
max_pool2d_dx = remembered(reference.max_pool2d_dx)
sum_pool2d = remembered(reference.sum_pool2d)
relu = remembered(reference.relu)
relu_dx = remembered(reference.relu_dx)
