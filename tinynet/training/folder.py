"""A run in a folder: what is kept of it there, and how it goes on.

last.npz          the run as it stood when it was last saved: what `resume` goes on from
best.npz          as it stood after its best epoch
epoch-0010.npz    after every k-th epoch, with keep_every=k
"""

from __future__ import annotations

import os
from pathlib import Path

from tinynet.training.archive import read_manifest
from tinynet.training.callbacks import Callback, Run, save_run
from tinynet.training.files import remove_stale
from tinynet.training.history import VALIDATION, Record
from tinynet.training.signals import Interrupted, StopSignals

LAST, BEST, EPOCH = "last.npz", "best.npz", "epoch-{:04d}.npz"


class RunFolder(Callback):
    """Keeps a run in `folder`, and saves and stops it at Ctrl-C or SIGTERM.

    last.npz is written at the start (unless `resumed`), after every epoch, after every
    `save_every` steps, and when the run is stopped; one of its own after every `keep_every` epochs.

    Raises Interrupted, which is a KeyboardInterrupt, once a stopped run is saved; OSError where
    that fails, with what was saved last left as it was.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep_every: int | None = None,
        save_every: int | None = None,
        resumed: bool = False,
    ) -> None:
        for name, value in (("keep_every", keep_every), ("save_every", save_every)):
            if value is not None and value < 1:
                raise ValueError(f"fit: {name} must be 1 or more, got {value}")
        self.folder = Path(folder)
        self.keep_every = keep_every
        self.save_every = save_every
        self.resumed = resumed
        self.signals = StopSignals()

    def on_train_begin(self, run: Run) -> None:
        if not self.resumed:  # fails now, and not after the first epoch
            save_run(self.folder / LAST, run)
        self.signals.listen()

    def on_resume(self, run: Run) -> None:
        last = self.folder / LAST
        if run.saved is None or run.saved.resolve() != last.resolve():
            save_run(last, run)  # it went on from another checkpoint

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

    def _save(self, run: Run) -> None:
        save_run(self.folder / LAST, run)
        if self.signals.caught and not run.finished():
            place = f"epoch {run.epoch}"
            if run.so_far.steps:
                place += f", step {run.so_far.steps} of {len(run.train)}"
            raise Interrupted(self.signals.caught, place, run.saved)


def clear(folder: str | os.PathLike[str]) -> None:
    """Remove what an earlier run left in a folder; what else is in it stays."""
    folder = Path(folder)
    if not folder.is_dir():
        return
    remove_stale(folder)
    for path in (folder / LAST, folder / BEST, *folder.glob("epoch-[0-9]*.npz")):
        path.unlink(missing_ok=True)


def chosen(folder: str | os.PathLike[str]) -> Path:
    """The checkpoint to use of a run: the best on validation data, else the last."""
    best, last = Path(folder) / BEST, Path(folder) / LAST
    if not best.is_file() or not last.is_file():
        return best if best.is_file() else last
    return best if str(read_manifest(best).get("chosen_by")).startswith(VALIDATION) else last
