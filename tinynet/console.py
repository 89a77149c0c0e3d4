"""What is written for people to read: names and texts of others are shown, and never obeyed.

A class may be called `\\x1b[2J`, which clears a terminal, or a name run from right to left; a
console may lack the letters of a name, or not be there at all. `visible` shows such characters as
Python's escapes, `say` prints with it, and `console` puts it under everything that a command
prints, warns or reports.
"""

import contextlib
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, invisible marks, half characters, line ends


def visible(text: str, stream: Any = None, keep: str = "") -> str:
    r"""`text` with escapes for what a terminal would obey, or what `stream` has no letters for.

    keep: control characters that stay.

    >>> visible("caf\xe9 \x1b[31m\n")
    'café \\x1b[31m\\n'
    """
    if not text.isprintable():
        import unicodedata  # slow to load

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
    """Print each of `lines` as one line, to standard output or standard error, if there is one.

    Outside of a command no work ends because nobody reads it: what cannot be written is lost, with
    a warning unless the reader has stopped.
    """
    stream: Any = sys.stderr if error else sys.stdout
    out = stream if isinstance(stream, Console) else Console(stream, goes_on=True)
    out.write("".join(f"{visible(line, out)}\n" for line in lines))
    out.flush()
    if out is not stream and out.lost and not isinstance(out.lost, BrokenPipeError):
        with contextlib.suppress(UserWarning):  # where warnings are errors
            warnings.warn(f"what is printed is lost: {out.lost}", stacklevel=2)


def is_gone(stream: Any) -> bool:
    """Whether there is no such stream, as in services and programs without a console."""
    return stream is None or bool(getattr(stream, "closed", False))


def is_terminal(stream: Any) -> bool:
    """Whether somebody watches; False for streams that are closed, missing, or cannot tell."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False


def columns(stream: Any = None) -> int:
    """How wide the terminal is, of a stream or else of this process, as it stands now; 80 where
    there is none, or nobody knows.
    """
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return max(os.get_terminal_size(stream.fileno()).columns, 40)
    import shutil  # slow to load

    return max(shutil.get_terminal_size().columns, 40)


def some(count: int, what: str, more: str = "s") -> str:
    """So many of them.

    >>> some(1, "image"), some(60_000, "image"), some(2, "class", "es")
    ('1 image', '60,000 images', '2 classes')
    """
    return f"{count:,} {what}{more * (count != 1)}"


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters: the middle goes, and different ones stay different.

    >>> shortened(["cat", "golden retriever, young", "golden retriever, old"], 10)
    ['cat', 'gold..oung', 'gold.. old']
    >>> shortened(["tabby cat", "tabby kitten", "tabs"], 3)
    ['tab', 'ta2', 'ta3']
    """
    cut: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        begin, end = (width - 1) // 2, width // 2 - 1
        short = name if len(name) <= width else f"{name[:begin]}..{name[-end:]}"
        short = short if len(short) <= width and end > 0 else name[:width]
        number = 1
        while name not in cut and short in taken:
            number += 1
            short = f"{name[: width - len(str(number))]}{number}"
        cut.setdefault(name, short)
        taken.add(cut[name])
    return [cut[name] for name in names]


def filled(text: str, width: int) -> str:
    """Paragraphs in lines of at most `width`; blank and indented lines stay lines of their own.

    >>> print(filled("one two\\nthree\\n\\n  make  all of it", 14))
    one two three
    <BLANKLINE>
      make  all of
            it
    """
    lines: list[str] = []
    for line in text.splitlines():
        goes_on = lines and lines[-1] and line and " " not in (lines[-1][0], line[0])
        lines[-1:] = [f"{lines[-1]} {line}"] if goes_on else [*lines[-1:], line]
    return "\n".join(folded(line, width, "") for line in lines)


def folded(line: str, width: int, indent: str = "  ") -> str:
    """A line in lines of at most `width`, broken at spaces.

    They go on with `indent`; where the line is indented itself, under what stands behind its widest
    gap.
    """
    if len(line) <= width:
        return line
    import textwrap  # slow to load

    if line.startswith(" "):
        column = line.rfind("  ") + 2
        indent = " " * (column if 2 < column <= 2 * width // 3 else 6)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def explained(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Commands, each with what it does beside it; under it, where that is too wide.

    >>> explained([("make", "all of it"), ("make test", "the tests")])
    ['make       all of it', 'make test  the tests']
    """
    wide = max(len(command) for command, _ in rows)
    if wide + 2 + max(len(told) for _, told in rows) <= columns():
        return [f"{command:{wide}}  {told}" for command, told in rows]
    return [line for command, told in rows for line in (command, f"      {told}")]


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(ipython, "config", {})


def is_watched() -> bool:
    """Whether somebody sees a bar: on a terminal, or in a notebook."""
    return in_notebook() or is_terminal(sys.stderr)


def progress_bar(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """A tqdm bar on standard error, or in the notebook, as wide as either is at the time."""
    options |= {"leave": False, "dynamic_ncols": True}
    if in_notebook():
        with warnings.catch_warnings():  # without ipywidgets it is a bar of letters, and says so
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm
        return tqdm(items, **options)
    from tqdm import tqdm as plain

    stream = Console(sys.stderr, goes_on=True, keep="\n\t\r\x1b")  # bars move to their line
    return plain(items, file=stream, **options)


def watched(items: Iterable[Any], what: str) -> Iterable[Any]:
    """The same items, with a bar that says what is done where it takes more than a second."""
    return cast(Iterable[Any], progress_bar(items, desc=what, delay=1)) if is_watched() else items


@contextlib.contextmanager
def announced(what: str) -> Iterator[None]:
    """Within it a line on standard error says what is done, where it takes more than a second."""
    timer = threading.Timer(1, say, (f"{what} ...",), {"error": True})
    if is_watched():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_command(line: str) -> bool:
    """Whether a line is there to be copied: to break it would change what it does."""
    text = line.strip()
    return text.startswith("tinynet ") and "  " not in text and ": " not in text  # as errors have


COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}
PAINTED = (
    r"^(?P<red>tinynet[ \w]*: error:)|^(?P<yellow>tinynet: warning:)"
    r"|^(?P<green>test accuracy [\d.]+ %)|(?<=^  )(?P<cyan>tinynet .+?)(?=  |$)"
)


def takes_escapes() -> bool:
    """Whether a terminal moves its cursor and shows colours, as far as its name says."""
    windows = sys.platform == "win32" and "WT_SESSION" not in os.environ  # its old console
    return not windows and os.environ.get("TERM") != "dumb"


def painted(text: str) -> str:
    """The text with colours: errors, warnings, the result, and commands to copy.

    >>> painted("tinynet train: error: no")
    '\\x1b[31mtinynet train: error:\\x1b[0m no'
    """

    def colour(found: re.Match[str]) -> str:
        return f"\x1b[{COLOURS[str(found.lastgroup)]}m{found[0]}\x1b[0m"

    return re.sub(PAINTED, colour, text, flags=re.MULTILINE)


class Console:
    """A stream that shows what it is given as `visible` does, on a terminal in lines that fit it,
    and in colours.

    Lines may end, and a progress bar may begin its line anew; other lines take the place of the
    bar. What cannot be written (to a full disk, a terminal that is gone) is lost, and so is all
    that follows; a reader who has stopped raises BrokenPipeError, as always, unless the work
    `goes_on` without one. keep: controls that stay. owned: whether nobody else writes there. lost:
    why text was lost, if any was.
    """

    bar = 0  # characters of the bar that stands on the terminal now, in whichever console

    def __init__(self, stream: Any, goes_on: bool = False, keep: str = "\n\t") -> None:
        under = stream._stream if isinstance(stream, Console) else stream
        self._stream: Any = None if is_gone(under) else under
        self.goes_on, self.keep, self.owned = goes_on, keep, False
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        """Show `text`."""
        again = "\r" if text.startswith("\r") else ""
        shown = visible(text[len(again) :], self._stream, self.keep)
        is_bar = "\r" in self.keep
        if self.isatty() and not is_bar:
            lines = shown.split("\n")
            shown = "\n".join(x if is_command(x) else folded(x, columns()) for x in lines)
            shown = painted(shown) if takes_escapes() and not os.environ.get("NO_COLOR") else shown
        if self.isatty() and takes_escapes() and (again if is_bar else Console.bar):
            shown = shown.rstrip(" ") if is_bar else shown
            wide = columns(self._stream)
            rows_above = max(Console.bar - 1, 0) // wide  # in a window that became smaller
            again = "\x1b[A" * rows_above + "\r\x1b[J"
            Console.bar = len(shown) if is_bar else 0
        self._try("write", again + shown)
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
            with contextlib.suppress(Exception):  # else Python tries once more, at its end
                if self.owned:
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
    out, err = cast(Any, (Console(sys.stdout), Console(sys.stderr, goes_on=True)))
    out.owned = err.owned = True
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out
