"""What several commands share: argument types, choosing among known names, finding a run."""

import contextlib
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TextIO

from tinynet.errors import unknown_name

RUNS = Path("runs")
GONE = "the current folder is no longer there: cd to one that is"
SUFFIX = ".safetensors"
REPORT = "report.html"
LAST, BEST, RECORD = f"last{SUFFIX}", f"best{SUFFIX}", "run.json"  # as in tinynet.training.folder
LOCK = ".lock"
FITS = ("crop", "pad", "stretch")  # as in tinynet.data.folder
OF_RUN = re.compile(rf"(last|best|epoch-\d+)\{SUFFIX}|run\.json|report\.html|\.lock")
FOREIGN = (".npz", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".h5", ".keras", ".onnx")
"""Of files that are no checkpoints, and are told what to do."""


class BadArgument(ValueError):  # noqa: N818 (it is what the user typed)
    """An argument that argparse itself cannot judge: exit code 2."""


def choose(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """`name` if it is known, else BadArgument with the known names and the nearest one.

    where: the file in which they are, for the message.
    """
    names = list(known)
    if name not in names:
        raise BadArgument(f"{where}{unknown_name(kind, name, names)}")
    return name


def check_data(name: str) -> None:
    """Raise BadArgument for a name that is no data set, before anything is loaded."""
    from tinynet.data import KNOWN
    from tinynet.data.sources import OWN, not_a_set

    if name not in KNOWN and name.partition(":")[0] not in OWN:
        raise BadArgument(str(not_a_set(name)))


def program() -> str:
    """How this command line was started, for the commands that it says come next."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return "python -m tinynet"
    there = path.name == "tinynet" and shutil.which("tinynet") != os.path.abspath(path)
    return shlex.quote(str(path)) if there else "tinynet"


STDOUT = Path("-")
_printed: ContextVar[TextIO | None] = ContextVar(
    "standard output, for the result alone", default=None
)


@contextlib.contextmanager
def result_alone(*files: Path | None) -> Iterator[None]:
    """Inside, what is printed goes to standard error if one of `files` is standard output."""
    if STDOUT not in files:
        yield
        return
    token = _printed.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _printed.reset(token)


def write_text(file: Path | None, text: str) -> None:
    """What --csv asks for: text in `file`, or printed for "-"."""
    from tinynet.training.files import atomic_write

    if file == STDOUT:
        print(text, file=_printed.get())
    elif file is not None:
        with atomic_write(file) as stream:
            stream.write(f"{text}\n".encode())


def write_result(file: Path | None, content: Any) -> None:
    """What --json asks for: the same of JSON."""
    from tinynet.training.files import to_json

    write_text(file, "" if file is None else to_json(file, content, 2))


HEADS = ["image", "class", "probability", "done"], ["image", "value", "done"]
"""Of the tables of `predict`."""
OURS = {
    "CSV": r"\s*\Z|image,(class,probability|value),done\n",
    "JSON": r'\s*\Z|\[]|[\[{\s]*("image": ".*",\s*"(class|values)"|"(checkpoint|same|exercise)": |'
    r'"ok": \w+,\s*"(op|reports|model|exercise)"|"settings": {\s*"(data|reproducible_for)")',
}
"""How what a command wrote begins, or an empty file."""


def check_output(file: Path | None, *inputs: Any, kind: str = "JSON", out: Any = None) -> None:
    """Raise BadArgument, before any work, for a file that a command is asked to write and must not.

    It writes new files, in folders that are there or are the run's (`out`), and replaces only what
    it wrote: JSON, tables, models; nothing that belongs to a run, is read by the same command
    (`inputs`), or is a folder, a pipe or a device. kind: JSON, CSV or model.
    """
    if file is None or file == STDOUT:
        return
    refused = _in_the_way(file, *inputs) or _is_kept(file, kind)
    is_of_run = out is not None and file.parent.resolve() == Path(out).resolve()
    if not refused and not file.parent.is_dir() and not is_of_run:
        refused = f"there is no folder {file.parent}"
    if refused:
        raise BadArgument(f"cannot write {file}: {refused}; give another name")


def check_folder(out: Path, data: str = "", json_file: Path | None = None) -> None:
    """Raise BadArgument, before any work, for a folder in which no run can be kept.

    data: the name of the run's data set, which must not be among the files that it writes.
    json_file: where JSON is to go, which must not be this folder.
    """
    if json_file is not None and out.resolve().is_relative_to(json_file.resolve()):
        raise BadArgument(f"cannot write {json_file}: it is to be a folder; give another name")
    source = Path(data.partition(":")[2].partition("?")[0] or os.devnull)
    if source.is_dir() and out.resolve() == source.resolve():
        raise BadArgument(f"{out} is the folder of the data; keep the run in another, --out")
    for name in (LAST, BEST, RECORD):
        if refused := _in_the_way(out / name, source):
            raise BadArgument(f"cannot write {out / name}: {refused}; give another folder, --out")
    if (out / RECORD).is_file() and not is_run(out) and not _is_ours(out / RECORD, "JSON"):
        raise BadArgument(f"{out / RECORD} is there, and of no run; give another folder, --out")


def _in_the_way(file: Path, *inputs: Path | None) -> str:
    """Why no file can be written there, or must not, whatever is in it; "" if it may be."""
    from tinynet.data.files import check_regular

    try:
        if there := file.exists():
            check_regular(file)
        folder = next(path for path in file.parents if path.exists())
        if not folder.is_dir():
            return f"{folder} is no folder"
        if not os.access(folder, os.W_OK):
            return f"the folder {folder} is read-only"
        read = [path for path in inputs if path is not None and path.exists()]
        return "it is read by this command" if there and any(map(file.samefile, read)) else ""
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        return str(getattr(error, "strerror", "") or error)


def _is_kept(file: Path, kind: str) -> str:
    """Why what is there, or what the name is for, must stay; "" if it may be replaced."""
    from tinynet.data.files import read_head
    from tinynet.training.foreign import names_in
    from tinynet.training.safetensors import read_about

    kept = file.resolve()
    beside = [kept.with_name(name) for name in (RECORD, LAST, BEST)]
    if OF_RUN.fullmatch(kept.name) and any(map(Path.is_file, beside)):
        return f"it belongs to the run in {file.parent}"
    if kind != "model":
        if OF_RUN.fullmatch(kept.name):
            return "a run keeps a file of its own under that name"
        if kept.suffix.lower() in (SUFFIX, *FOREIGN):
            return f"its name is not that of a {kind} file"
        if not file.exists():
            return ""
        return "" if _is_ours(file, kind) else f"a file is there that is no {kind} of `tinynet`"
    is_npz = kept.suffix == ".npz" and any(n.endswith("weight.npy") for n in names_in(file))
    is_onnx = kept.suffix == ".onnx" and file.exists() and read_head(file, 1) == b"\x08"
    if file.exists() and not is_npz and not is_onnx:
        try:
            run = read_about(file).get("run")
        except ValueError as error:
            return f"a file is there that is no model ({error})"
        return "it is a checkpoint of a run" if run is not None else ""
    return ""


def _is_ours(file: Path, kind: str) -> bool:
    """Whether a command wrote this file of JSON or CSV."""
    with file.open("rb") as stream:
        return bool(re.match(OURS[kind], stream.read(1 << 16).decode("utf-8", "replace")))


def is_run(path: Path) -> bool:
    """Whether `path` is meant as a checkpoint, or is a folder with some of `tinynet train`."""
    if path.is_dir():
        return (path / LAST).is_file() or (path / BEST).is_file()
    return path.suffix.lower() in (SUFFIX, *FOREIGN)


def is_finished(run: Path, epochs: int = 0, start: Path | None = None) -> bool | None:
    """Whether the run in a folder, or its checkpoint `start`, came to its end; with `epochs`, after
    so many or more. None where nothing says so: there is a best alone, or the last is damaged, of
    which reading it tells more.
    """
    from tinynet.training.folder import state_of

    state = state_of(run, start)
    try:
        ended = state["stop"] or state["epoch"] >= state["epochs"]
        return bool(ended and not state["so_far"]["steps"] and state["epochs"] >= epochs)
    except (KeyError, TypeError):
        return None


def is_unfinished(run: Path) -> bool:
    """Whether a training is at work in a folder, was interrupted, or diverged."""
    return (run / LOCK).exists() or is_finished(run) is False


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
    from tinynet.training.folder import chosen_in

    if run is None:
        runs = [path for path in RUNS.glob("*") if is_run(path) and path.is_dir()]
        if runs and not (runs := [path for path in runs if not is_unfinished(path)]):
            raise BadArgument(f"no run in {RUNS}/ is finished; to take one as it is, name it")
        if not runs:
            raise BadArgument(f"there is no run in {RUNS}/; make one with `tinynet train`")
        run = max(runs, key=lambda path: chosen_in(path).stat().st_mtime)
    path = Path(run)
    if not is_run(path):
        what = f"has no {LAST}" if path.is_dir() else "does not exist" if not path.exists() else ""
        raise BadArgument(
            f"{path} {what or 'is no checkpoint'}: give the folder that `tinynet train` wrote "
            "(its --out), or a checkpoint in it"
        )
    return chosen_in(path)
