"""The processor's registers, and the tiles that fit into them."""

import os
from typing import NamedTuple

import llvmlite.binding as llvm
from numba.core import config


class Shape(NamedTuple):
    """Bytes of a register; filters and lines of `multiply_tile`, filters and taps of `dot_tile`."""

    register_bytes: int
    filters: int
    lines: int
    dot_filters: int
    dot_taps: int


SHAPES = {
    "avx512": Shape(64, 8, 3, 4, 6),  # 24 sums in 32 registers
    "avx2": Shape(32, 6, 1, 4, 3),  # 12 sums in 16
    "neon": Shape(16, 6, 1, 4, 6),  # 24 sums in 32
    "sse2": Shape(16, 2, 1, 4, 3),  # 8 and 12 sums in 16
}


def _shape() -> Shape:
    """The shape for this processor, or for the one Numba is told to serve.

    TINYNET_TILES names another, for tests: any shape gives the right results on any processor,
    since LLVM makes what registers there are of longer vectors. ValueError for an unknown name.
    """
    chosen = os.environ.get("TINYNET_TILES")
    if chosen:
        if chosen not in SHAPES:
            raise ValueError(f"TINYNET_TILES is {chosen!r}; known are {', '.join(SHAPES)}")
        return SHAPES[chosen]
    named: str | None = config.CPU_FEATURES  # type: ignore[attr-defined]
    features = named if named is not None else llvm.get_host_cpu_features().flatten()
    for feature, name in (("+avx512f", "avx512"), ("+avx2", "avx2"), ("+neon", "neon")):
        if feature in features:
            return SHAPES[name]
    return SHAPES["sse2"]


SHAPE = _shape()
