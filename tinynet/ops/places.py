"""Where the winners of a max-pool are, counted in the image in reading order; and the way back."""

import numpy as np

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import DataError, ShapeError
from tinynet.kernels.geometry import Geometry, Pair
from tinynet.kernels.plain import unfold
from tinynet.ops.resize import regions
from tinynet.ops.windows import check_image


@differentiable(rule="y = x at the places that were pooled, 0 elsewhere")
def max_unpool2d(x: Array, places: Array, size: Pair) -> Op:
    """Each element back at the place that a max-pool took it from; everything else is 0.

    Shapes: x and places (N, C, H, W), places counted in an image of `size` -> y (N, C, *size).
    Gradient: dx is dy at the places, also where several elements went to one. Keeps the places.
    Raises ShapeError where shapes differ, DataError for places outside the image.
    """
    op, (H, W) = "max_unpool2d", size
    check_image(op, x)
    if places.shape != x.shape:
        raise ShapeError(f"{op}: the indices have shape {places.shape}, the input {x.shape}")
    if places.dtype.kind not in "iu" or ((places < 0) | (places >= H * W)).any():
        raise DataError(
            f"{op}: indices into an image of {H}x{W} are integers from 0 to {H * W - 1}, got "
            f"{places.dtype} up to {places.max()}; pass the output_size that was pooled"
        )
    images = x.shape[0] * x.shape[1]
    index = np.arange(images)[:, None], places.reshape(images, -1)
    y = np.zeros_like(x, shape=(images, H * W))
    y[index] = x.reshape(index[1].shape)

    def dx(dy: Array) -> Array:
        return dy.reshape(y.shape)[index].reshape(places.shape)

    return y.reshape(*x.shape[:2], H, W), dx


def of_maxima(x: np.ndarray, g: Geometry) -> np.ndarray:
    """Where the winner of each window is: x (N, C, H, W) -> (N, C, OH, OW)."""
    tap = unfold(x, g, -np.inf).argmax(2)  # (N, C, OH, OW)
    rows, columns = (
        np.arange(n)[:, None] * s - before + np.arange(k) * d
        for n, s, (before, _), k, d in zip(g.out, g.stride, g.padding, g.kernel, g.dilation)
    )
    return _flat(rows, columns, tap, g.kernel[1], g.size)


def of_maxima_of_regions(x: np.ndarray, output_size: Pair) -> np.ndarray:
    """As `of_maxima`, for windows that cover the image as in `adaptive_avg_pool2d`.

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
