"""Max-pooling of one image by 2x2, each pixel in one window.

Columns are compared before rows: an image of one has short rows, and its longer runs make up for
the more numbers that are compared.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinynet.kernels.geometry import Array, Geometry
from tinynet.kernels.layout import batch_first, batch_last


def max_pool2d(x: Array, g: Geometry, relu: bool = False) -> tuple[Array, Any]:
    """The largest element of each window, or 0 if that is larger and relu; (x, y, relu)."""
    image = batch_last(x)
    in_rows = np.maximum(image[:, :, ::2], image[:, :, 1::2])
    largest = np.maximum(in_rows[:, ::2], in_rows[:, 1::2])
    y = batch_first(np.maximum(largest, 0, out=largest) if relu else largest)
    return y, (x, y, relu)


def max_pool2d_dx(dy: Array, saved: Any, g: Geometry) -> Array:
    """dy goes to the first winner of each window; to nobody where `relu` made 0 of it.

    Of a row, then of two rows, the first wins a tie, so it is the first of the window. What the
    winner does not get the other gets: all or nothing.
    """
    x, y, relu = saved
    with_nan = math.isnan(np.maximum.reduce(y, None, initial=-math.inf))

    def wins(first: Array, second: Array) -> Array:
        larger = first >= second
        return larger | np.isnan(first) if with_nan else larger

    image, dy = batch_last(x), batch_last(dy * (y != 0) if relu else dy)
    left, right = image[:, :, ::2], image[:, :, 1::2]
    in_rows = np.maximum(left, right)
    drows, dx = np.empty(in_rows.shape, dy.dtype), np.empty(image.shape, dy.dtype)
    for given, first_wins, first, second in (
        (dy, wins(in_rows[:, ::2], in_rows[:, 1::2]), drows[:, ::2], drows[:, 1::2]),
        (drows, wins(left, right), dx[:, :, ::2], dx[:, :, 1::2]),
    ):
        np.multiply(given, first_wins, out=first)
        np.subtract(given, first, out=second)
    return batch_first(dx)
