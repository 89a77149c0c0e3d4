"""What tinynet changes in the process it runs in, all at the first kernel and not at import.

**Freed memory stays at hand.** A training step frees and asks again for the same few megabytes,
over and over. By default the C library returns each large block to the operating system at once,
and every page of the next one is a fault in the kernel, which first has to fill it with zeros. So
blocks of up to KEPT_BLOCK bytes stay with the process when they are freed, up to KEPT_TOTAL bytes
at the end of the heap. Peak memory does not change. Only the GNU C library has this switch;
elsewhere nothing happens. TINYNET_KEEP_MEMORY=0 in the environment leaves it as it is.

**BLAS computes on one thread.** The kernels' own threads share the work around a product too
(`threads.py`), and BLAS threads beside them are in the way: after each product they spin on the
processor for a while, waiting for the next. OpenBLAS, which NumPy and SciPy bring with them, has
such a switch; another BLAS (Accelerate, MKL) obeys its environment variables alone.
TINYNET_SINGLE_BLAS=0 leaves it as it is.
"""

import contextlib
import ctypes
import functools
import os
import sys

import numpy as np

KEPT_BLOCK = 32 << 20  # the largest value that every version of the library takes
KEPT_TOTAL = 256 << 20

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of the settings, from malloc.h


@functools.cache
def prepare() -> None:
    """Make both changes, once, unless the environment says no."""
    if os.environ.get("TINYNET_KEEP_MEMORY") != "0":
        keep_freed_memory()
    if os.environ.get("TINYNET_SINGLE_BLAS") != "0":
        single_blas_thread()


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed blocks; whether it agreed."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(
        mallopt(_MMAP_THRESHOLD, ctypes.c_int(KEPT_BLOCK))
        and mallopt(_TRIM_THRESHOLD, ctypes.c_int(KEPT_TOTAL))
    )


def single_blas_thread() -> None:
    """Hold every OpenBLAS that NumPy and SciPy bring with them to one thread."""
    import glob  # slow to load

    site = os.path.dirname(os.path.dirname(np.__file__))
    for package in ("numpy", "scipy"):
        for path in (
            *glob.glob(os.path.join(site, f"{package}.libs", "*openblas*")),
            *glob.glob(os.path.join(site, package, ".dylibs", "*openblas*")),
        ):
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(path)
                for suffix in ("64_", ""):
                    setter = getattr(library, f"scipy_openblas_set_num_threads{suffix}", None)
                    if setter is not None:
                        setter(1)
