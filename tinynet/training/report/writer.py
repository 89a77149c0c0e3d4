"""When a report is written: after every epoch of `fit(out=...)`, and of a checkpoint on demand."""

import contextlib
import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinynet.console import some
from tinynet.errors import CheckpointError
from tinynet.nn import Module
from tinynet.nn.states import snapshot
from tinynet.training.checkpoint import Checkpoint, read
from tinynet.training.environment import environment
from tinynet.training.files import atomic_write, shown
from tinynet.training.folder import LAST, REPORT, chosen_in, is_foreign
from tinynet.training.history import History, Record, from_columns
from tinynet.training.loop import evaluate
from tinynet.training.report.findings import Findings
from tinynet.training.report.page import Contents, page
from tinynet.training.run import Callback, Run
from tinynet.training.state import setup_of

NO_OPTION = ("data_sha256", "model_sha256", "init_sha256", "keep_every", "save_every")
"""Settings that need not be typed again."""


class ReportWriter(Callback):
    """Writes `report.html` into a folder after every epoch, of what the validation found anyway; at
    the end of the epoch that is loaded from there, if that is not the last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = -1  # the epoch that it was written after

    def on_epoch_begin(self, run: Run) -> None:
        known = run.about
        run.findings = Findings(known.get("classes"), data=run.validate, loss=known.get("loss"))

    def on_epoch_end(self, run: Run, record: Record) -> None:
        self.told = run.epoch
        if run.ranks.first:
            self._write(run, run.epoch)

    def on_train_end(self, run: Run) -> None:
        if not run.ranks.first or run.validate is None or self.told != run.epoch:
            return
        with contextlib.suppress(CheckpointError, OSError):  # of a disk that is full
            stored, now = read(chosen_in(self.folder)), snapshot(run.model)
            if stored.run is not None and stored.run["epoch"] != run.epoch:
                self.on_epoch_begin(run)
                assert run.findings is not None
                run.model.load_state_dict(stored.weights)
                try:
                    add = run.findings.add
                    evaluate(run.model, run.validate, run.loss, metrics={}, after_batch=add)
                    self._write(run, stored.run["epoch"])
                finally:
                    run.model.load_state_dict(now)

    def _write(self, run: Run, epoch: int) -> None:
        found = run.findings
        assert found is not None
        count = len(found) if found.of == "examples" and len(found) else found.seen
        state = {
            "setup": setup_of(run),
            "epochs": run.epochs,
            "data": {"batch_size": getattr(run.train, "batch_size", None)},
            "environment": environment(),
            "phase": run.phase,
        }
        measured = some(count, "validation example")
        contents = Contents(run.model, run.history, found, measured, epoch, run.about)
        keep(self.folder, _completed(contents, self.folder, state))


def keep(folder: Path, contents: Contents) -> None:
    """Write the report of a run into its folder; where that fails, warn: the training goes on."""
    try:
        write(folder / REPORT, contents)
    except OSError as error:
        warnings.warn(f"the report is not written: {error}", stacklevel=2)


def write(path: Path, contents: Contents) -> None:
    """Write the report, atomically, over nothing but a report; it waits for no disk."""
    if is_foreign(path):
        raise FileExistsError(f"{path} is there and is no report of ours: give another name")
    with atomic_write(path, durable=False) as stream:
        stream.write(page(contents).encode())


def of_checkpoint(
    folder: Path, stored: Checkpoint, model: Module, findings: Findings, measured_on: str
) -> Contents:
    """The contents of a report of a checkpoint, and of the epochs of the run in `folder`."""
    run = stored.run or {}
    with contextlib.suppress(CheckpointError):  # there is none, or it is damaged
        run = read(folder / LAST).run or run
    history = History(from_columns(run.get("history", ())))
    epoch = (stored.run or {}).get("epoch", 0)
    contents = Contents(model, history, findings, measured_on, epoch, vars(stored))
    return _completed(contents, folder, run)


def _completed(contents: Contents, folder: Path, run: Mapping[str, Any]) -> Contents:
    """The same with what is told of the run in `folder`. run: its state, or some of it."""
    about, size = contents.about, (run.get("data") or {}).get("batch_size")
    asked = {**run.get("setup", {}), "epochs": run.get("epochs"), "batch_size": size}
    contents.title = folder.resolve().name
    contents.settings = about.get("settings") or asked
    contents.versions = run.get("environment") or about.get("versions") or {}
    contents.commands = commands(folder, about, run.get("phase", 0))
    return contents


def commands(folder: Path, about: Mapping[str, Any], phase: int = 0) -> list[str]:
    """What to type to train it again, and to use it; Python for a `fit`, whose data have no name.

    about: what is known of the model. phase: after how many epochs a finished run went on for more,
    as no single command does.

    >>> settings = {"data": "digits", "lr": 0.1, "augment": [], "patience": None}
    >>> commands(Path("runs/a"), {"settings": settings})[:1]
    ['tinynet train --data digits --lr 0.1 --augment none']
    """
    folder = shown(folder)
    where = shlex.quote(str(folder))
    use = f"tinynet predict {where} IMAGE.png"
    settings = about.get("settings")
    if settings is None:
        path, own = repr(str(folder)), "" if about.get("name") else ", model"
        use += " --model FILE.py:CLASS" if own else ""
        return [
            f"model = tinynet.load({path}{own})  # to predict and evaluate",
            f"training.fit(model, ..., epochs=N, out={path}, resume=True)  # up to more epochs, "
            "all else as before",
            *([use] if len(about.get("input_shape") or ()) == 3 else ()),
        ]
    lines = [f"tinynet evaluate {where} --mistakes 20", use]
    if phase:
        return lines
    options = []
    for name, value in settings.items():
        if value is None or name in NO_OPTION or (name == "validation" and not value):
            continue
        values = (value or ["none"]) if isinstance(value, (list, tuple)) else [value]
        options += [f"--{name.replace('_', '-')} {shlex.quote(str(v))}" for v in values]
    return [f"tinynet train {' '.join(options)}", *lines]
