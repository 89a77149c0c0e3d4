"""What every compiled kernel needs around it: arrays as it takes them, and threads to share it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array
from tinynet.kernels.layout import batch_last

FLOATS = np.dtype(np.float32), np.dtype(np.float64)
SERIAL_FLOPS = 1_000_000  # below this, a second thread costs more than it saves


def batch_last_array(x: Array, dtype: np.dtype) -> Array:
    """x (N, C, H, W) as an array (C, H, W, N), contiguous and writeable."""
    return writeable(batch_last(x), dtype)


def writeable(x: Array, dtype: np.dtype) -> Array:
    """x, contiguous and writeable: Numba compiles anew for read-only arrays, so these are copied.

    The kernels write to no input.
    """
    flags = x.flags
    if flags.c_contiguous and flags.writeable and x.dtype == dtype:
        return x
    x = np.ascontiguousarray(x, dtype)
    return x if x.flags.writeable else x.copy()


def share_out(work: Callable[[Any, int, int, int], Any], tasks: int, serial: bool) -> int:
    """Run work(team, part, first, last) over 0 .. tasks - 1, a share for each thread; -> parts."""
    parts = 1 if serial else min(threads.get_num_threads(), tasks)
    if parts == 1:
        work(threads.NOBODY, 0, 0, tasks)
    else:
        ends = [tasks * part // parts for part in range(parts + 1)]
        threads.run_compiled(lambda part, team: work(team, part, ends[part], ends[part + 1]), parts)
    return parts
