"""Where sliding windows stand: sizes, paddings, and which pixels each place of the kernel sees.

A window of size K with dilation d spans d(K - 1) + 1 places. Over an axis of length L with
(before, after) padding it stands at

    (L + before + after - d(K - 1) - 1) // stride + 1

places, `stride` apart. A *tap* is one place (i, j) of the kernel. All windows together see through
it one regular piece of the padded image, every stride-th row and column from (i*d, j*d) on.
"""

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray

Pair = tuple[int, int]
"""(vertical, horizontal)."""
Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right))."""

ONE: Pair = (1, 1)
NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, eq=False)  # `of` gives the same object for the same numbers
class Geometry:
    """Windows over an image: what a convolution or a pool is told beside its arrays.

    groups: into which the channels of a convolution are cut. size: (H, W) of the image. out: (OH,
    OW), at how many places the window stands; below 1 where it does not fit.
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int
    size: Pair
    out: Pair

    @staticmethod
    @functools.lru_cache(4096)  # a net asks for the same few in every step
    def of(
        size: Pair,
        kernel: Pair,
        stride: Pair = ONE,
        padding: Padding = NO_PADDING,
        dilation: Pair = ONE,
        groups: int = 1,
        out: Pair | None = None,
    ) -> "Geometry":
        """The geometry of a window; `out` where it stands at fewer places than it could."""
        if out is None:
            axes = zip(size, kernel, stride, padding, dilation)
            OH, OW = ((L + sum(p) - span(k, d)) // s + 1 for L, k, s, p, d in axes)
            out = OH, OW
        return Geometry(kernel, stride, padding, dilation, groups, size, out)

    @functools.cached_property
    def corner(self) -> Pair:
        """How far the padding goes above and left of the image."""
        return self.padding[0][0], self.padding[1][0]

    @functools.cached_property
    def padded(self) -> Pair:
        """(height, width) of the image and its padding."""
        return self.size[0] + sum(self.padding[0]), self.size[1] + sum(self.padding[1])

    @functools.cached_property
    def taps(self) -> list[tuple[slice, slice]]:
        """(rows, columns) of the padded image that each tap sees, in reading order."""
        rows, columns = (
            [slice(k * d, k * d + (n - 1) * s + 1, s) for k in range(K)]
            for K, d, n, s in zip(self.kernel, self.dilation, self.out, self.stride)
        )
        return [(i, j) for i in rows for j in columns]

    @functools.cached_property
    def back(self) -> "Geometry":
        """Of the way back at stride 1: sliding the flipped kernel over dy gives dx.

        What the window reached beyond a pixel before, it must reach beyond dy now. The padding is
        negative where the image was padded by more than the window: there dy is cut.
        """
        vertical, horizontal = (
            (span(k, d) - 1 - before, L + before - n)
            for k, d, (before, _), L, n in zip(
                self.kernel, self.dilation, self.padding, self.size, self.out
            )
        )
        padding = vertical, horizontal
        return Geometry.of(
            self.out, self.kernel, ONE, padding, self.dilation, self.groups, self.size
        )


def span(kernel: int, dilation: int) -> int:
    """How many places a dilated window covers."""
    return dilation * (kernel - 1) + 1


def strided(x: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Array:
    """A view of a contiguous array with another shape and other strides, from byte `offset` on.

    As numpy's as_strided, at a tenth of its cost.
    """
    return np.ndarray(shape, x.dtype, x, offset, strides)
