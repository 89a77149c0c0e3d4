"""What every compiled kernel needs around it: arrays as it takes them, and threads to share it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.geometry import Array

FLOATS = np.dtype(np.float32), np.dtype(np.float64)
SERIAL_FLOPS = 1_000_000  # below this, a second thread costs more than it saves


def batch_last_array(x: Array, dtype: np.dtype) -> Array:
    """x (N, C, H, W) as an array (C, H, W, N), contiguous and writeable."""
    x = x.transpose(1, 2, 3, 0)
    return x if x.flags.carray and x.dtype is dtype else writeable(x, dtype)


def writeable(x: Array, dtype: np.dtype) -> Array:
    """x, contiguous and writeable: Numba compiles anew for read-only arrays, so these are copied.

    The kernels write to no input.
    """
    if x.flags.carray and x.dtype == dtype:
        return x
    x = np.ascontiguousarray(x, dtype)
    return x if x.flags.writeable else x.copy()


def share_out(kernel: Callable[..., Any], tasks: int, serial: bool, *arguments: Any) -> int:
    """kernel(team, part, first, last, *arguments) over all tasks, by the threads; -> parts."""
    parts = 1 if serial else min(threads.get_num_threads(), tasks)
    if parts == 1:
        kernel(threads.NOBODY, 0, 0, tasks, *arguments)
    else:
        own = threads.shares(tasks, parts)
        threads.run_compiled(
            lambda part, team: kernel(team, part, own[part].start, own[part].stop, *arguments),
            parts,
        )
    return parts
