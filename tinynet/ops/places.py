"""Where the winners of a max-pool are, and what is done with that: taken there, and put back."""

from __future__ import annotations

import numpy as np

from tinynet.autograd import Array, differentiable
from tinynet.errors import DataError, ShapeError
from tinynet.kernels.geometry import Geometry, Pair
from tinynet.kernels.plain import unfold
from tinynet.ops.resize import regions
from tinynet.ops.windows import check_image

Op = tuple[Array, ...]


@differentiable(smooth=True, rule="y = x at the places that were pooled, 0 elsewhere")
def max_unpool2d(x: Array, places: Array, size: Pair) -> Op:
    """Each element back at the place that a max-pool took it from; everything else is 0.

    Shapes: x and places (N, C, H, W), places counted in an image of `size` in reading order
    -> y (N, C, *size).
    Gradient: dx is dy at the places. Keeps the places.
    Raises ShapeError where shapes differ, TypeError for places that are no integers, DataError
    for those outside the image.
    """
    op = "max_unpool2d"
    check_image(op, x)
    if places.shape != x.shape:
        raise ShapeError(f"{op}: the indices have shape {places.shape}, the input {x.shape}")
    if places.dtype.kind not in "iu":
        raise TypeError(f"{op}: the indices must be integers, got {places.dtype}")
    N, C = x.shape[:2]
    H, W = size
    if ((places < 0) | (places >= H * W)).any():
        raise DataError(
            f"{op}: an index of {int(places.max())} is outside an image of {H}x{W}, whose last is "
            f"{H * W - 1}; pass the output_size that was pooled"
        )
    index = _index(places)
    y = np.zeros_like(x, shape=(N * C, H * W))
    y[index] = x.reshape(N * C, -1)
    return y.reshape(N, C, H, W), lambda dy: _taken(dy, places)


@differentiable(smooth=True, rule="y = x[place], dy/dx = 1 there, else 0")
def take(x: Array, places: Array) -> Op:
    """The elements of each image at `places`, counted in reading order.

    Shapes: x (N, C, H, W), places (N, C, OH, OW) -> y (N, C, OH, OW).
    Gradient: dx adds each dy to the place that it was taken from. Keeps the places.
    """
    shape = x.shape
    return _taken(x, places), lambda dy: put_back(dy, places, shape)


def _taken(x: Array, places: np.ndarray) -> Array:
    return x.reshape(x.shape[0] * x.shape[1], -1)[_index(places)].reshape(places.shape)


def put_back(dy: Array, places: np.ndarray, shape: tuple[int, ...]) -> Array:
    """Each dy added to the place of an image that it was taken from."""
    N, C, H, W = shape
    dx = np.zeros_like(dy, shape=(N * C, H * W))
    np.add.at(dx, _index(places), dy.reshape(N * C, -1))
    return dx.reshape(shape)


def _index(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the image and the place in it, for images (N*C, H*W)."""
    images = places.shape[0] * places.shape[1]
    return np.arange(images)[:, None], places.reshape(images, -1)


def max_pool_places(x: np.ndarray, g: Geometry) -> np.ndarray:
    """Where the winner of each window is, counted in the image in reading order."""
    tap = unfold(x, g, -np.inf).argmax(2)  # (N, C, OH, OW)
    rows, columns = (
        np.arange(n)[:, None] * s - before + np.arange(k) * d
        for n, s, (before, _), k, d in zip(g.out, g.stride, g.padding, g.kernel, g.dilation)
    )
    return _flat(rows, columns, tap, g.kernel[1], g.size)


def adaptive_max_pool_places(x: np.ndarray, output_size: Pair) -> np.ndarray:
    """As `max_pool_places`, for windows that cover the image as in `adaptive_avg_pool2d`.

    Windows shorter than the longest repeat their last row or column, which wins no tie.
    """
    rows, columns = (
        np.minimum(first[:, None] + np.arange((end - first).max()), end[:, None] - 1)
        for first, end in map(regions, x.shape[2:], output_size)
    )
    windows = x[:, :, rows[:, None, :, None], columns[None, :, None, :]]  # (N, C, OH, OW, KH, KW)
    tap = windows.reshape(*windows.shape[:4], -1).argmax(-1)
    return _flat(rows, columns, tap, columns.shape[1], (x.shape[2], x.shape[3]))


def _flat(
    rows: np.ndarray, columns: np.ndarray, tap: np.ndarray, width: int, size: Pair
) -> np.ndarray:
    """The place in the image of the element `tap` of each window.

    rows (OH, KH) and columns (OW, KW): those that the windows see; width: KW. Padding, which only
    wins where all is -inf, counts as the edge.
    """
    i, j = tap // width, tap % width
    row = rows[np.arange(len(rows))[:, None], i]
    column = columns[np.arange(len(columns)), j]
    return np.asarray(np.clip(row, 0, size[0] - 1) * size[1] + np.clip(column, 0, size[1] - 1))
