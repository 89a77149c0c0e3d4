"""Where a program is: which layer of which model is running, and which line of the user called it.

Both are read off Python's own stack when somebody asks, so that a layer keeps no record and a
program that asks nothing has no cost.
"""

import itertools
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tinynet.nn.module import Module

PACKAGE = str(Path(__file__).parents[1])
COMMANDS = str(Path(PACKAGE) / "cli")


class Line(NamedTuple):
    """A line of the user's code: its file, number and text ("" where there is no source)."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        file, here = Path(self.file), Path.cwd()
        where = f"{file.relative_to(here) if here in file.parents else file}, line {self.number}"
        return f"{where}: {self.text}" if self.text else where


def running_modules() -> tuple[Module, ...]:
    """The modules whose `forward` is under way, from the outermost to the innermost."""
    call = Module.__call__.__code__
    frames = [frame for frame in _frames() if frame.f_code is call]
    return tuple(frame.f_locals["module"] for frame in reversed(frames))


def layer_path(modules: tuple[Module, ...]) -> str:
    """Path and class of the last of these modules, such as `features.3 (Conv2d)`.

    The first module is the model, whose own path is empty: of it only the class is named.
    """
    if not modules:
        return ""
    path: list[str] = []
    for outer, inner in itertools.pairwise(modules):
        path += [name for name, module in outer.named_modules() if module is inner and name][:1]
    kind = type(modules[-1]).__name__
    return f"{'.'.join(path)} ({kind})" if path else kind


def user_line() -> Line | None:
    """The innermost line outside of tinynet that led here; None from the command line."""
    for frame in _frames():
        file = frame.f_code.co_filename
        if file.startswith(COMMANDS):
            return None
        # the standard library's, between a decorated function and its caller
        between = frame.f_globals.get("__name__") in ("contextlib", "functools")
        if not file.startswith((PACKAGE, "<frozen")) and not between:
            text = linecache.getline(file, frame.f_lineno, frame.f_globals).strip()
            return Line(file, frame.f_lineno, text)
    return None


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
