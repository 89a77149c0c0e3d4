# mypy: allow-untyped-defs, allow-untyped-calls, allow-subclassing-any
"""The decorators of Numba functions here: `njit`, with a folder for what it keeps on disk.

Numba tells what it has kept apart by the processor and the function's own file. The code here
depends on more: the shape of the tiles, and the files of the functions that are called. So the
folder's name is a digest of both. It lies where NUMBA_CACHE_DIR says, else beside the source, else
(an installation that may not be written to) in the user's cache; where there is no such place, or
no room, every process compiles for itself.
"""

import functools
import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from tinynet.console import say
from tinynet.kernels import minimal_filtering
from tinynet.kernels.numba_kernels.shape import SHAPE

config: Any = numba.config
ROOM = 1 << 20  # bytes that must be free where compiled code is kept


@functools.cache
def cache_folder() -> str | None:
    """Where compiled code of these sources and tiles is kept; None if nowhere."""
    digest = hashlib.sha256(repr(SHAPE).encode())
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(minimal_filtering.__file__)):
        digest.update(path.read_bytes())
    own, users = Path(__file__).parent / "__pycache__", os.environ.get("XDG_CACHE_HOME")
    for place in (config.CACHE_DIR or own, Path(users or "~/.cache").expanduser() / "tinynet"):
        folder = Path(place) / f"tinynet-{digest.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(ROOM))
            return str(folder)
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
            reason = error
    warnings.warn(
        f"the Numba kernels cannot be kept on disk ({reason}), so this process compiles them for "
        "itself. Let NUMBA_CACHE_DIR name a folder that may be written to.",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


def compiled(function: Callable[..., Any], no_cpython_wrapper: bool = False) -> Any:
    """A kernel: compiled at the first call with new types, or read from the disk; without the GIL.

    Compiled code does not call it; what both call is an `inner` function, and a kernel around it.
    """
    folder = cache_folder()
    options: dict[str, Any] = {"no_cfunc_wrapper": True, "no_cpython_wrapper": no_cpython_wrapper}
    of_the_user, config.CACHE_DIR = config.CACHE_DIR, folder or ""
    try:
        return numba.njit(nogil=True, cache=folder is not None, **options)(function)
    finally:
        config.CACHE_DIR = of_the_user


inner = functools.partial(compiled, no_cpython_wrapper=True)
"""Likewise for a function that only compiled code calls: a fifth of compiling is saved."""


class _Notice(event.Listener):
    """Says once in a process that it compiles, when that has taken a second."""

    def __init__(self) -> None:
        self.said = False
        self._began: list[float] = []
        self._seconds = 0.0

    def on_start(self, happening: Any) -> None:
        self._began.append(time.perf_counter())

    def on_end(self, happening: Any) -> None:
        seconds = time.perf_counter() - self._began.pop()
        own = happening.data["dispatcher"].py_func.__module__.startswith(__package__)
        if self._began or not own or self.said:  # within another, or a user's
            return
        self._seconds += seconds
        if self._seconds > 1:
            self.said = True
            say(
                "tinynet: compiling the Numba kernels as they are needed, once on this machine "
                "(10 to 25 seconds for a net)",
                error=True,
            )


notice = _Notice()
event.register("numba:compile", notice)
