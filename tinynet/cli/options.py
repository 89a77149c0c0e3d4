"""What several commands share: argument types, choosing among known names, finding a run."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from tinynet.errors import unknown_name

RUNS = Path("runs")
LAST, BEST, RECORD = "last.npz", "best.npz", "run.json"  # as in tinynet.training.folder
WEIGHTS = (".npz", ".safetensors")
FOREIGN = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".h5", ".keras", ".onnx")  # told what to do

Arguments: TypeAlias = "argparse.ArgumentParser | argparse._ArgumentGroup"


class BadArgument(ValueError):  # noqa: N818 (it is what the user typed)
    """An argument that argparse itself cannot judge: exit code 2."""


def choose(kind: str, name: str, known: Iterable[str]) -> str:
    """`name` if it is known, else BadArgument with the known names and the nearest one."""
    names = list(known)
    if name not in names:
        raise BadArgument(str(unknown_name(kind, name, names)))
    return name


def whole_number(least: int) -> Callable[[str], int]:
    """An argparse type: an integer of at least `least`."""

    def parse(text: str) -> int:
        if not text.lstrip("+-").isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return int(text)

    return parse


def number(text: str, least: float = 0.0) -> float:
    """An argparse type: a finite number of 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of {least:g} or more")
    return value


def positive(text: str) -> float:
    """An argparse type: a finite number greater than 0."""
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("it must be greater than 0")
    return value


def share(text: str) -> float:
    """An argparse type: a number from 0 up to, not including, 1."""
    value = number(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; 0.1 means a tenth")
    return value


def a_path(text: str) -> Path:
    """An argparse type: the path of a file or a folder; an empty text, which Path takes for the
    current folder, is none."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path; the current folder is .")
    return Path(text)


def image_shape(text: str) -> tuple[int, ...]:
    """An argparse type: CxHxW, three whole numbers of 1 or more."""
    sizes = text.lower().split("x")
    if len(sizes) != 3 or not all(n.isdecimal() and int(n) for n in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is no CxHxW, such as 3x32x32")
    return tuple(int(n) for n in sizes)


def data_name(text: str) -> str:
    """An argparse type: a data set's name; the path in one is made absolute, to be found again."""
    kind, _, path = text.partition(":")
    if kind in ("folder", "npz") and path:
        return f"{kind}:{os.path.abspath(os.path.expanduser(path))}"
    return text


def add_data_dir(parser: Arguments) -> None:
    """The option --data-dir."""
    parser.add_argument(
        "--data-dir",
        type=a_path,
        metavar="DIR",
        help="the folder with mnist/, cifar10/ and so on (default: $TINYNET_DATA, "
        "else ~/.cache/tinynet); what is missing there is downloaded to it",
    )


def add_json(parser: Arguments, what: str) -> None:
    """The option --json."""
    parser.add_argument("--json", metavar="FILE", type=a_path, help=f"write {what} to FILE as JSON")


def is_run(path: Path) -> bool:
    """Whether `path` is meant as a checkpoint, or is a folder with some of `tinynet train`."""
    if path.is_dir():
        return (path / LAST).is_file() or (path / BEST).is_file()
    return path.suffix.lower() in WEIGHTS + FOREIGN


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Inside, a warning is one line on stderr, and the same one comes once."""
    told: set[str] = set()

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            print(f"tinynet: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def find_checkpoint(run: str | Path | None) -> Path:
    """The checkpoint in a run's folder (the best on validation data, else the last), or of the
    newest run.

    Raises BadArgument where there is none.
    """
    if run is None:
        runs = [path for path in RUNS.glob("*") if is_run(path) and path.is_dir()]
        if not runs:
            raise BadArgument(f"there is no run in {RUNS}/; make one with `tinynet train`")
        run = max(runs, key=lambda path: _checkpoint_in(path).stat().st_mtime)
    path = Path(run)
    if not is_run(path):
        what = f"has no {LAST}" if path.is_dir() else "does not exist" if not path.exists() else ""
        raise BadArgument(
            f"{path} {what or 'is no checkpoint'}: give the folder that `tinynet train` wrote "
            "(its --out), or a checkpoint .npz in it"
        )
    return _checkpoint_in(path)


def _checkpoint_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    from tinynet.training.folder import chosen

    return chosen(path)
