# mypy: allow-untyped-defs, allow-untyped-calls
"""Compiling on two processors: while a forward kernel is compiled, a helper compiles its gradient.

Numba compiles one function at a time, and a training step needs the forward kernels first. So when
one of them turns out to be missing on the disk, a second process is asked for its gradient. It
leaves it in the cache on the disk, where the first finds it, or waits for it, when the backward
pass gets there. A helper that fails, or may not be started, costs nothing but the time it would
have saved: the first process then compiles for itself.

The helper computes a gradient of a few zeros by the same functions as everybody, so that what is
compiled is what will be asked for. It ends when its caller does, or when nothing is asked of it
for a while.

A step of vgg at batch 1 the first time: 24 -> 14 to 17 s, of LeNet-5 11 -> 8 to 10 (Zen 3, two
virtual processors).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.kernels import threads

IDLE = 30.0  # seconds without a request after which the helper ends

PARTNERS = {
    "direct.correlate_part": "direct.weight_gradient_part",
    "winograd.correlate_part": "winograd.weight_gradient_part",
    "winograd_few.correlate_few": "winograd_few.weight_gradient_few",
    "pooling.halve": "pooling.halve_dx",
    "activation.rectify": "activation.rectify_dx",
}
"""Forward kernel -> the gradient that comes with it."""


def _compute(name: str, dtype: np.dtype) -> None:
    """Computes something small for which the kernel `name` is needed."""
    from tinynet.kernels import numba_kernels

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype)

    def weights(N: int, channels: int, kernel: int) -> None:
        x = zeros(N, channels, 16, 16)
        around = ((kernel // 2,) * 2,) * 2
        numba_kernels.conv2d_dw_db(x, x, (kernel, kernel), (1, 1), around, (1, 1), 1)

    two = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
    small: dict[str, Callable[[], Any]] = {
        "direct.weight_gradient_part": lambda: weights(1, 1, 5),
        "winograd.weight_gradient_part": lambda: weights(64, 8, 3),
        "winograd_few.weight_gradient_few": lambda: weights(1, 32, 3),
        "pooling.halve_dx": lambda: numba_kernels.max_pool2d_kept_dx(
            zeros(64, 1, 1, 1), np.zeros((1, 1, 1, 64), np.uint8), (2, 2), *two
        ),
        "activation.rectify_dx": lambda: numba_kernels.relu_dx(zeros(1 << 17), zeros(1 << 17)),
    }
    small[name]()


class Helper:
    """The second process, started when there is something to ask of it."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.asked: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        atexit.register(self.leave)

    def ask(self, request: str) -> None:
        """Have it compile what `request`, a kernel and a dtype, says."""
        self.asked.append(request)
        try:
            self.process = self.process or self._start()
            assert self.process.stdin is not None
            print(request, file=self.process.stdin, flush=True)
        except OSError:  # it may not be started, or has ended: then the next request starts another
            self.leave()

    def finish(self, request: str) -> bool:
        """Wait until it is done with `request`; -> whether it was asked for it."""
        if request not in self.asked:
            return False
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.asked = [other for other in self.asked if other != line.rstrip("\n")]
            if request not in self.asked:
                return True
        self.leave()  # it has ended
        return True

    def leave(self) -> None:
        """Ask nothing more of it: it ends with what it is at."""
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            self.process.returncode = 0  # so that nobody is warned of a process still at work
        self.process, self.asked = None, []

    def _start(self) -> subprocess.Popen[str]:
        places = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, places)),
                "PYTHONSAFEPATH": "1",  # another tinynet in the working folder is not meant
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


_helper: Helper | None = None
_allowed = bool(sys.executable) and not getattr(sys, "frozen", False)


def missing(name: str, dtype: str) -> bool:
    """Kernel `name` is not on the disk; -> whether to look again, for it has come there meanwhile.

    If it is to be compiled now, its partner is compiled by the helper from here on.
    """
    global _helper
    if not _allowed or threads.get_num_threads() == 1:
        return False
    if _helper is None or _helper.owner != os.getpid():
        _helper = Helper()
    if _helper.finish(f"{name} {dtype}"):
        return True
    if name in PARTNERS:
        _helper.ask(f"{PARTNERS[name]} {dtype}")
    return False


def main() -> None:
    """The helper: reads requests, and says of each when it is done."""
    global _allowed
    _allowed = False
    while True:
        idle = threading.Timer(IDLE, os._exit, (0,))
        idle.start()
        line = sys.stdin.readline()
        idle.cancel()
        if not line:
            return
        name, dtype = line.split()
        _compute(name, np.dtype(dtype))
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
