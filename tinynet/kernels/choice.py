"""Which plan takes which case: the one door between the text and the speed of the NumPy set.

What a choice brings in milliseconds stands in docs/kernels.md.
"""

import functools
from types import ModuleType
from typing import Literal

from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plans import blocks, rows, single_image, winograd

ROWS_FROM = 256  # elements of a row of outputs, over the batch, from which `rows` is faster
TAPS_BY_CALL = 8  # of a window that is summed tap by tap


@functools.lru_cache(1024)  # a net asks for the same few in every step
def convolution(way: Literal["y", "dx", "dw"], N: int, C: int, O: int, g: Geometry) -> ModuleType:
    """The plan of y, dx or dw of a convolution of N images of C channels by O filters."""
    if (g.dilation != (1, 1) and N != 1) or g.groups != 1:
        return blocks  # the others know neither groups nor, but for one image, dilation
    if way == "dx" and g.stride != (1, 1):
        return blocks  # which scatters; at stride 1 dx is a convolution of dy, chosen like others
    row, least = N * g.out[1], winograd.LEAST_DW if way == "dw" else winograd.LEAST
    if way == "dx":
        g, C, O = g.back, O, C
    if N == 1 and single_image.is_faster(C, O, g):
        return single_image  # what a tap sees of one image is one run of numbers
    if row < max(1, ROWS_FROM) or g.dilation != (1, 1):
        return blocks  # rows so short that a product each is too small
    if winograd.is_faster(N, C, O, g, least):
        return winograd  # many channels: half of the multiplications for more moves of memory
    return rows  # long rows: a KH-th of the unfolding


@functools.lru_cache(1024)
def is_2x2(g: Geometry) -> bool:
    """Whether the windows are 2x2 blocks of neighbours that take each pixel once."""
    window = g.kernel == g.stride == (2, 2) and g.dilation == (1, 1)
    return window and g.size == g.padded == (2 * g.out[0], 2 * g.out[1])


def max_in_pairs(N: int, g: Geometry) -> bool:
    """Whether neighbours are compared in pairs: runs of one image are short, so half as many."""
    return N == 1 and is_2x2(g)


def sums_in_one_call(g: Geometry) -> bool:
    """Whether windows lie side by side and are so large that a call for each tap is slow."""
    return g.stride == g.kernel and g.padded == g.size and len(g.taps) > TAPS_BY_CALL
