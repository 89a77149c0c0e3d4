"""Keeping freed memory at hand.

A training step frees and asks again for the same few megabytes, over and over. By default the C
library returns each large block to the operating system at once, and every page of the next one
is a fault in the kernel, which first has to fill it with zeros: a third of the time of a LeNet-5
step was spent so (2,800 page faults a step; none with the setting below). So blocks of up to
KEPT_BLOCK bytes stay with the process when they are freed, up to KEPT_TOTAL bytes at the end of
the heap. Peak memory does not change.

Only the GNU C library has this switch; elsewhere nothing happens. TINYNET_KEEP_MEMORY=0 in the
environment leaves the C library as it is.
"""

from __future__ import annotations

import ctypes
import os
import sys

KEPT_BLOCK = 32 << 20  # the largest value that every version of the library takes
KEPT_TOTAL = 256 << 20

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of the settings, from malloc.h


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed blocks; whether it agreed."""
    if not sys.platform.startswith("linux") or os.environ.get("TINYNET_KEEP_MEMORY") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(
        mallopt(_MMAP_THRESHOLD, ctypes.c_int(KEPT_BLOCK))
        and mallopt(_TRIM_THRESHOLD, ctypes.c_int(KEPT_TOTAL))
    )
