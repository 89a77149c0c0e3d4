"""Sliding windows with everything as a number that can be wrong: stride, offset, dilation, groups.

The convolution and both its gradients are one trilinear form (see `tinynet.ops.conv`): output
place (p, q) of filter o meets pixel (p*stride + i*dilation - offset, ...) of channel c through
w[o, c, i, j]. Here the three sides of the form are plain loops over (i, j), and the geometry is
an argument, so that a mistake in it is a changed argument.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Where windows stand: stride, offset (the padding before the image), dilation, each a pair."""

    stride: Pair
    offset: Pair
    dilation: Pair

    def rows(self, axis: int, places: int, i: int) -> np.ndarray:
        """The pixels that position i of the kernel meets, for each place along one axis."""
        return np.arange(places) * self.stride[axis] + i * self.dilation[axis] - self.offset[axis]


def filters_of_group(O: int, groups: int) -> np.ndarray:
    """The group of each filter: the first O/groups filters see the first group of channels."""
    return np.arange(O) // (O // groups)


def _channels(group_of: np.ndarray, per_group: int) -> np.ndarray:
    """(O, C/groups): the input channel that w[o, c] meets."""
    return group_of[:, None] * per_group + np.arange(per_group)


def scatter(
    small: np.ndarray,
    w: np.ndarray,
    size: Pair,
    geometry: Geometry,
    channels: int,
    group_of: np.ndarray,
) -> np.ndarray:
    """Add w times `small` (N, O, OH, OW) back to the pixels of an image (N, C, *size): dx."""
    N, _, OH, OW = small.shape
    image = np.zeros((N, channels, *size))
    meets = _channels(group_of, w.shape[1])
    for i, j in np.ndindex(w.shape[2:]):
        rows, columns = geometry.rows(0, OH, i), geometry.rows(1, OW, j)
        p, q = inside(rows, size[0]), inside(columns, size[1])
        part = small[:, :, p][:, :, :, q]
        spread = part[:, :, None] * w[None, :, :, i, j, None, None]  # (N, O, C/groups, p, q)
        target = np.ix_(np.arange(N), np.arange(channels), rows[p], columns[q])
        gathered = np.zeros((N, channels, len(p), len(q)))
        for o, channel in enumerate(meets):
            gathered[:, channel] += spread[:, o]
        image[target] += gathered  # each pixel once: the stride is at least 1
    return image


def gather(
    image: np.ndarray,
    w: np.ndarray,
    size: Pair,
    geometry: Geometry,
    group_of: np.ndarray,
) -> np.ndarray:
    """The convolution of an image (N, C, H, W) at the places of `size`: (N, O, *size)."""
    small = np.zeros((image.shape[0], w.shape[0], *size))
    meets = _channels(group_of, w.shape[1])
    for i, j in np.ndindex(w.shape[2:]):
        met = pixels(image, geometry, size, i, j)[:, meets]  # (N, O, C/groups, OH, OW)
        small += np.einsum("nocpq,oc->nopq", met, w[:, :, i, j])
    return small


def weigh(
    image: np.ndarray,
    small: np.ndarray,
    shape: tuple[int, ...],
    geometry: Geometry,
    group_of: np.ndarray,
) -> np.ndarray:
    """The gradient of the kernel, of `shape` (O, C/groups, KH, KW): dw."""
    dw = np.zeros(shape)
    meets = _channels(group_of, shape[1])
    for i, j in np.ndindex(shape[2:]):
        met = pixels(image, geometry, (small.shape[2], small.shape[3]), i, j)[:, meets]
        dw[:, :, i, j] = np.einsum("nocpq,nopq->oc", met, small)
    return dw


def inside(places: np.ndarray, size: int) -> np.ndarray:
    return np.flatnonzero((places >= 0) & (places < size))


def pixels(
    image: np.ndarray, geometry: Geometry, size: Pair, i: int, j: int, outside: float = 0.0
) -> np.ndarray:
    """(N, C, *size): the pixel that (i, j) of each window meets, `outside` beyond the image."""
    rows, columns = geometry.rows(0, size[0], i), geometry.rows(1, size[1], j)
    p, q = inside(rows, image.shape[2]), inside(columns, image.shape[3])
    met = np.full((*image.shape[:2], *size), outside)
    met[np.ix_(*map(np.arange, image.shape[:2]), p, q)] = image[:, :, rows[p]][..., columns[q]]
    return met


class Canvas:
    """The first channels of an image with a wide margin, to look at single windows."""

    def __init__(self, image: np.ndarray, kernel: Pair, outside: float = 0.0) -> None:
        self.margin = 4 * max(kernel) + 8
        m = (self.margin, self.margin)
        self.pixels = np.pad(image[0], ((0, 0), m, m), constant_values=outside)

    def window(self, kernel: Pair, geometry: Geometry, p: int, q: int) -> np.ndarray:
        """The window (C, KH, KW) at place (p, q)."""
        (sh, sw), (top, left), (dh, dw) = geometry
        row, column = self.margin + p * sh - top, self.margin + q * sw - left
        return self.pixels[
            :,
            row : row + dh * (kernel[0] - 1) + 1 : dh,
            column : column + dw * (kernel[1] - 1) + 1 : dw,
        ]


def spread_to(
    small: np.ndarray, w: np.ndarray, geometry: Geometry, row: int, column: int
) -> np.ndarray:
    """What pixel (row, column) of the first image gets from `small` by w: (C/groups)."""
    (sh, sw), (top, left), (dh, dw) = geometry
    total = np.zeros(w.shape[1])
    for i, j in np.ndindex(w.shape[2:]):
        (p, rest), (q, other) = divmod(row + top - i * dh, sh), divmod(column + left - j * dw, sw)
        if not rest and not other and 0 <= p < small.shape[2] and 0 <= q < small.shape[3]:
            total += small[0, : len(w), p, q] @ w[:, :, i, j]
    return total


# ----- which geometry fits ------------------------------------------------------------------------


def geometries(
    length: Pair, places: Pair, kernel: Pair, settings: dict[str, Any]
) -> Iterator[Geometry]:
    """The geometries that turn an image of `length` into `places` windows, likely ones first."""
    per_axis = [
        sorted(
            _along_axis(length[a], places[a], kernel[a], settings, a),
            key=lambda found: _unlikely(found, settings, a),
        )
        for a in (0, 1)
    ]

    def order(pair: tuple[tuple[int, int, int], ...]) -> tuple[int, bool]:
        disagrees = sum(_unlikely(found, settings, a)[0] for a, found in enumerate(pair))
        return disagrees, pair[0] != pair[1]

    for vertical, horizontal in sorted(itertools.product(*per_axis), key=order):
        yield Geometry(*zip(vertical, horizontal))  # type: ignore[arg-type]


def _along_axis(
    length: int, places: int, kernel: int, settings: dict[str, Any], axis: int
) -> Iterator[tuple[int, int, int]]:
    """(stride, offset, dilation) along one axis; the padding after the image may differ by some."""
    for dilation in sorted({1, 2, 3, *_named(settings, "dil", axis)}):
        span = dilation * (kernel - 1) + 1
        for stride in sorted({1, 2, 3, 4, *_named(settings, "stride", axis)}):
            for offset in range(span + 1):
                least = (places - 1) * stride + span - length - offset
                if 0 <= max(least, 0) <= offset + max(stride, span) and _reaches(
                    length, places, stride, offset, span, least
                ):
                    yield stride, offset, dilation


def _reaches(length: int, places: int, stride: int, offset: int, span: int, least: int) -> bool:
    """Whether `places` windows are all that fit, with the padding after as before, or 1 more."""
    fits = (length + 2 * offset - span) // stride + 1
    same_padding = stride == 1 and least in (offset, offset + 1)
    ceiling = -(-(length + 2 * offset - span) // stride) + 1
    return places in (fits, ceiling) or same_padding


def _unlikely(found: tuple[int, int, int], settings: dict[str, Any], axis: int) -> tuple[int, ...]:
    """Sorts what the settings say to the front, and small numbers before large ones."""
    stride, offset, dilation = found
    disagrees = sum(
        bool(said) and value not in said
        for value, said in (
            (stride, _named(settings, "stride", axis)),
            (offset, _named(settings, "pad", axis)),
            (dilation, _named(settings, "dil", axis)),
        )
    )
    return disagrees, dilation, offset, stride


def _named(settings: dict[str, Any], part: str, axis: int) -> set[int]:
    """The integers that settings with `part` in their name have for an axis."""
    found = set()
    for name, value in settings.items():
        if part in name.lower():
            values = value if isinstance(value, (tuple, list)) else (value, value)
            if len(values) == 2 and type(values[axis]) is int and values[axis] >= 0:
                found.add(values[axis])
    return found - ({0} if part != "pad" else set())


# ----- windows as a learner loops over them -------------------------------------------------------


def overwritten(
    window: Callable[[int, int], np.ndarray],
    shape: tuple[int, ...],
    places: Pair,
    kernel: Pair,
    geometry: Geometry,
) -> np.ndarray:
    """An image (N, C, H, W) into which each window is written with = where += was meant.

    window(p, q) gives the values (N, C, KH, KW) of one window; the last one at a pixel wins.
    """
    N, C, H, W = shape
    image = np.zeros((N, C, H, W))
    for p, q in np.ndindex(places):
        values = window(p, q)
        rows = p * geometry.stride[0] + np.arange(kernel[0]) * geometry.dilation[0]
        columns = q * geometry.stride[1] + np.arange(kernel[1]) * geometry.dilation[1]
        rows, columns = rows - geometry.offset[0], columns - geometry.offset[1]
        i, j = inside(rows, H), inside(columns, W)
        image[np.ix_(np.arange(N), np.arange(C), rows[i], columns[j])] = values[:, :, i][..., j]
    return image
