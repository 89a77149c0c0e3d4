"""What is written for people to read: names and texts of others are shown, and never obeyed.

A class may be called `\\x1b[2J`, which clears a terminal, or a name run from right to left; a
console may lack the letters of a name, or not be there at all. `visible` shows such characters as
Python's escapes, `say` prints with it, and `console` puts it under everything that a command
prints, warns or reports.
"""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, TextIO, cast

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible marks, half characters, line ends


def visible(text: str, stream: Any = None, keep: str = "") -> str:
    r"""`text` with escapes for what a terminal would obey, or what `stream` has no letters for.

    keep: control characters that stay.

    >>> visible("caf\xe9 \x1b[31m\n")
    'café \\x1b[31m\\n'
    """
    if not text.isprintable():
        text = "".join(
            c.encode("unicode_escape").decode()
            if unicodedata.category(c) in HIDDEN and c not in keep
            else c
            for c in text
        )
    encoding = getattr(stream, "encoding", None)
    if isinstance(encoding, str) and not text.isascii():
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def say(*lines: str, error: bool = False) -> None:
    """Print each of `lines` as one line, to standard output or standard error, if there is one."""
    stream = sys.stderr if error else sys.stdout
    if not is_gone(stream):
        stream.write("".join(f"{visible(line, stream)}\n" for line in lines))
        getattr(stream, "flush", lambda: None)()


def is_gone(stream: Any) -> bool:
    """Whether there is no such stream, as in services and programs without a console."""
    return stream is None or bool(getattr(stream, "closed", False))


def is_terminal(stream: Any) -> bool:
    """Whether somebody watches; False for streams that are closed, missing, or cannot tell."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


class Console:
    """A stream that shows what it is given as `visible` does. lost: why text was lost, if any was.

    Lines may end, and a progress bar may begin its line anew. What cannot be written (to a full
    disk, a terminal that is gone) is lost, and so is all that follows; a reader who has stopped
    raises BrokenPipeError, as always, unless the work `goes_on` without one. keep: controls that
    stay.
    """

    def __init__(self, stream: Any, goes_on: bool = False, keep: str = "\n\t") -> None:
        self._stream = None if is_gone(stream) else stream
        self.goes_on = goes_on
        self.keep = keep
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        """Show `text`."""
        again = "\r" if text.startswith("\r") else ""
        self._try("write", again + visible(text[len(again) :], self._stream, self.keep))
        return len(text)

    def flush(self) -> None:
        """Have it written now."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return is_terminal(self._stream)

    def _try(self, method: str, *text: str) -> None:
        try:
            getattr(self._stream, method, lambda *_: None)(*text)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            assert self._stream is not None
            with contextlib.suppress(Exception):  # else Python tries once more, at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = None
            if isinstance(error, BrokenPipeError) and not self.goes_on:
                raise
            self.lost = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def console() -> Iterator[Console]:
    """Within it, standard output (which is given) and standard error are Consoles."""
    with contextlib.suppress(OSError):  # where one was closed, a file of ours would take its place
        while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(free, True)
        os.close(free)
    before = sys.stdout, sys.stderr
    out, err = Console(sys.stdout), Console(sys.stderr, goes_on=True)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before
