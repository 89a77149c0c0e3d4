"""A run in a folder: what is kept of it there, and how it goes on.

last.safetensors          the run as it stood when it was last saved: what `resume` goes on from
best.safetensors          as it stood after its best epoch
epoch-0010.safetensors    after every k-th epoch, with keep_every=k
report.html               what was learned, to be looked at (see `report`)
.lock                     while a training is at work in the folder
"""

import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from tinynet.data.files import is_at, lock_file
from tinynet.errors import CheckpointError
from tinynet.training.history import Record
from tinynet.training.metrics import VALIDATION
from tinynet.training.run import Callback, Run
from tinynet.training.safetensors import SUFFIX, read, read_about, write
from tinynet.training.signals import Interrupted, StopSignals
from tinynet.training.state import save_run

LAST, BEST, EPOCH = f"last{SUFFIX}", f"best{SUFFIX}", f"epoch-{{:04d}}{SUFFIX}"
REPORT, LOCK, RECORD = "report.html", ".lock", "run.json"
MARK = b'<meta name="generator" content="tinynet">'  # in each report
MARKS = {REPORT: MARK, RECORD: b'{\n  "settings": {'}  # near the beginning of those of ours

_held: ContextVar[frozenset[tuple[int, Path]]] = ContextVar(
    "folders that this thread has locked, by process", default=frozenset()
)


class RunFolder(Callback):
    """Keeps a run in `folder`, and saves and stops it at Ctrl-C or SIGTERM.

    The last is written at the start (of a run that is not resumed), after every epoch, after every
    `save_every` steps, and when the run is stopped; one of its own after every `keep_every` epochs.
    What lies in the folder already is not touched before there is something new: a run that is not
    resumed is replaced once its successor's first epoch is done, or it is saved before.

    Raises Interrupted, which is a KeyboardInterrupt, once a stopped run is saved; OSError where
    that fails, with what was saved last left as it was.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep_every: int | None = None,
        save_every: int | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.keep_every = keep_every
        self.save_every = save_every
        self.signals = StopSignals()
        self.before: dict[Path, tuple[int, int]] = {}  # what this run is to replace

    def on_train_begin(self, run: Run) -> None:
        if not run.resumed:
            if run.ranks.first:
                self.before = {path: _stamp(path) for path in left_in(self.folder)}
            if not kept_in(self.folder):  # fails now, and not after the first epoch
                self._save(run)
        self.signals.listen(heed=run.ranks.first)

    def on_resume(self, run: Run) -> None:
        last = self.folder / LAST
        if run.finished() and (run.saved is None or run.saved.resolve() != last.resolve()):
            save_run(last, run)  # it ends with another checkpoint

    def on_step_end(self, run: Run, means: Record) -> None:
        due = self.save_every is not None and run.step % self.save_every == 0
        if due or self.signals.caught:
            self._save(run)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        if self.keep_every is not None and run.epoch % self.keep_every == 0:
            save_run(self.folder / EPOCH.format(run.epoch), run)
        self._save(run)

    def on_train_end(self, run: Run) -> None:
        self.signals.release()
        last = self.folder / LAST
        is_own = run.saved is not None and run.saved.resolve() == last.resolve()
        if run.diverged and is_own and run.ranks.first:
            with contextlib.suppress(OSError, CheckpointError):  # of a disk that is full
                arrays, about = read(last)
                about["run"]["diverged"] = run.diverged
                write(last, arrays, about)

    def _save(self, run: Run) -> None:
        save_run(self.folder / LAST, run)
        for path, was in self.before.items():  # only now: there may have been no room for it
            if path.exists() and _stamp(path) == was:
                path.unlink()
        self.before = {}
        if self.signals.caught and not run.finished():
            place = f"epoch {run.epoch}"
            if run.so_far.steps:
                place += f", step {run.so_far.steps} of {len(run.train)}"
            raise Interrupted(self.signals.caught, place, run.saved)


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """The folder, which is made if need be, for this training alone; and removed if it stays empty.

    The operating system holds the lock, so it ends with the process, whatever that dies of. Where
    this thread holds it already, nothing is done. Raises BlockingIOError that names the other
    process, OSError where the folder cannot be written.
    """
    own = (os.getpid(), Path(folder).resolve())
    before = _held.get()
    if own in before:
        yield
        return
    made = [path for path in (own[1], *own[1].parents) if not path.exists()]
    file = _lock(Path(folder))
    try:
        _held.set(before | {own})
        yield
    finally:
        _held.set(before)
        if own[0] == os.getpid():  # and not a fork of it
            _unlock(file, own[1] / LOCK)
            with contextlib.suppress(OSError):  # where something is in it
                for path in made:
                    path.rmdir()


def _lock(folder: Path) -> int:
    """An open and locked file in the folder, in which the number of this process stands."""
    path = folder / LOCK
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise type(error)(error.errno, f"cannot write {path}: {error.strerror}") from error
        with contextlib.ExitStack() as unless_locked:
            unless_locked.callback(os.close, file)
            _take(file, folder)
            if is_at(file, path):
                with contextlib.suppress(OSError):  # the number is only for the error of others
                    os.truncate(file, 0)
                    os.write(file, str(os.getpid()).encode())
                unless_locked.pop_all()
                return file  # else whoever had the lock before has removed the file meanwhile


def _take(file: int, folder: Path) -> None:
    """Lock an open file, or raise BlockingIOError if another has."""
    if (error := lock_file(file)) is None:
        return
    if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
        warnings.warn(
            f"{folder} cannot be locked ({error.strerror}); take care that no other training runs "
            "in it",
            stacklevel=2,
        )
        return
    os.lseek(file, 0, os.SEEK_SET)
    owner = os.read(file, 20).decode(errors="replace")
    process = f"process {owner}" if owner.isdecimal() else "another process"
    if owner == str(os.getpid()):
        process += ", this one"
    raise BlockingIOError(
        errno.EWOULDBLOCK,
        f"{folder} is in use: another training is running there ({process}). Wait until it ends, "
        "or train in another folder",
    )


def _unlock(file: int, path: Path) -> None:
    """Release the lock and remove its file, which no system but Windows minds to be open."""
    if sys.platform == "win32":
        os.close(file)
    with contextlib.suppress(OSError):
        if sys.platform == "win32" or is_at(file, path):
            path.unlink()
    if sys.platform != "win32":  # only now: another would lock a file that nobody finds
        import fcntl

        with contextlib.suppress(OSError):  # explicitly, for a fork may have the file open too
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def kept_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints of a run in a folder: the last first, then the others, the newest behind."""
    folder = Path(folder)
    paths = [folder / LAST, folder / BEST, *folder.glob(f"epoch-[0-9]*{SUFFIX}")]
    kept = [path for path in paths if path.is_file()]
    return sorted(kept, key=lambda path: (path.name != LAST, path.stat().st_mtime_ns))


def check_free(folder: str | os.PathLike[str]) -> None:
    """Raise FileExistsError for a folder with the checkpoints of a run."""
    if found := kept_in(folder):
        last = True if found[0].name == LAST else str(found[-1])
        raise FileExistsError(
            f"{folder} holds a run ({', '.join(path.name for path in found)}). Go on with it: "
            f"resume={last!r}; replace it: overwrite=True; or train in another folder: out="
        )


def _stamp(path: Path) -> tuple[int, int]:
    """What is another once the file was written anew."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def left_in(folder: str | os.PathLike[str]) -> list[Path]:
    """What a run left in a folder, which the next one replaces."""
    ours = [Path(folder) / name for name in MARKS]
    return [*kept_in(folder), *(path for path in ours if path.exists() and not is_foreign(path))]


def is_foreign(path: Path) -> bool:
    """Whether something is there under the name of a report or a record, and is none of ours."""
    mark = MARKS.get(path.name, MARK)
    return path.exists() and (not path.is_file() or mark not in path.read_bytes()[:1000])


def state_of(run: Path, start: Path | None = None) -> dict[str, Any]:
    """What was saved last of the run in a folder, or in its checkpoint `start`; {} where there is
    none, or it is damaged.
    """
    try:
        return dict(read_about(start or run / LAST)["run"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def chosen_in(run: str | os.PathLike[str]) -> Path:
    """The checkpoint to use of a run's folder, the best on validation data, else the last; a file
    stands for itself.

    Warns of a run that diverged. Raises CheckpointError for a folder without a run.
    """
    if not os.path.isdir(run):  # False for what is no path
        return Path(run)
    best, last = Path(run) / BEST, Path(run) / LAST
    if place := state_of(Path(run)).get("diverged"):
        warnings.warn(
            f"{run}: the run diverged in {place}; its weights are from before", stacklevel=3
        )
    if best.is_file():
        validated = str(read_about(best).get("chosen_by")).startswith(VALIDATION)
        return best if validated or not last.is_file() else last
    if not last.is_file():
        raise CheckpointError(f"{run}: it is a folder without a run; give that of a run, or a file")
    return last
