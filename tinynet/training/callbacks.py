"""What `fit` can do beside training: stop early, keep the best model, tell how far it is."""

import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.console import is_gone, is_watched, progress_bar, say, visible
from tinynet.errors import CheckpointError, integer
from tinynet.nn.states import snapshot
from tinynet.optim.checks import at_least_zero
from tinynet.training.history import Record, describe, monitored, standing
from tinynet.training.quantities import better_is, format_value, format_values
from tinynet.training.run import Callback, Run
from tinynet.training.state import save_run

USUAL = ("validation_accuracy", "validation_loss", "loss")
"""The quantities by which an epoch is the best, the first that there is, if nobody says which."""


class _Best(Callback):
    """What EarlyStopping and BestModel share: which epoch was the best so far, and its weights.

    Between epochs that are equal the loss decides, see `history.standing`.
    """

    follows = False  # whether it takes what another of the run's callbacks watches

    def __init__(
        self, monitor: str | Sequence[str], mode: str | None, restore: bool, min_delta: float = 0.0
    ) -> None:
        self.monitor = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self.directions = {name: better_is(name, mode) for name in self.monitor}
        self.restore = restore
        self.min_delta = at_least_zero(type(self).__name__, "min_delta", min_delta)
        self.on_train_begin()

    def on_train_begin(self, run: Run | None = None) -> None:
        self.name = ""
        self.epoch = 0
        self.value: float | None = None
        self.tie = math.inf  # what decides between equals
        self.weights: dict[str, np.ndarray] | None = None

    def improved(self, run: Run, record: Record) -> bool:
        """Whether this epoch is the best so far, of which then is taken note.

        NaN is no better than anything. Raises ValueError if the record lacks the quantity.
        """
        self.name = monitored((self.name,) if self.name else self.monitor, record)
        value, sign = record[self.name], 1 if self.directions[self.name] == "max" else -1
        _, tie = standing(record, self.name, "max")
        better = self.value is None or sign * (value - self.value) > self.min_delta
        better = better or (value == self.value and tie > self.tie and not self.min_delta)
        if math.isnan(value) or not better:
            return False
        self.value, self.tie, self.epoch = value, tie, run.epoch
        if self.restore:
            self.weights = snapshot(run.model)
        return True

    def on_train_end(self, run: Run) -> None:
        if self.weights is not None:
            run.model.load_state_dict(self.weights)
        elif self.value is None and self.name:
            warnings.warn(
                f"{type(self).__name__}: {self.name} was NaN in every epoch, so none was the best "
                "and no weights were kept",
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        best = {"value": self.value, "name": self.name, "tie": self.tie}
        watches = dict(self.directions)
        return {"best": best, "epoch": self.epoch, "weights": self.weights, "watches": watches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        watches = state["watches"]
        if watches != self.directions:
            raise CheckpointError(
                f"cannot resume: {type(self).__name__} watched {watches} in the run, now "
                f"{self.directions}"
            )
        value = state["best"]["value"]
        self.value = None if value is None else float(value)
        self.name = str(state["best"]["name"])
        self.tie = float(state["best"]["tie"])
        self.epoch, self.weights = int(state["epoch"]), state["weights"]


class EarlyStopping(_Best):
    """Stops once there was no better epoch for `patience` epochs.

    monitor: the quantity to watch, or several, of which the first that there is counts; by default
    the validation loss, or without validation data the loss. min_delta: what is better by no more
    than this counts as no better. mode: "min" or "max", what is better; without it the name of the
    quantity decides. restore: put the weights of the best epoch back into the model at the end.
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str | Sequence[str] = ("validation_loss", "loss"),
        min_delta: float = 0.0,
        mode: str | None = None,
        restore: bool = True,
    ) -> None:
        self.patience = integer("EarlyStopping", "patience", patience, 1)
        super().__init__(monitor, mode, restore, min_delta)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        if not self.improved(run, record) and run.epoch - self.epoch >= self.patience:
            run.stop = f"{self.name} was NaN in every epoch"
            if self.value is not None:
                best = format_value(self.name, self.value)
                run.stop = f"no better epoch since epoch {self.epoch} ({best})"


class BestModel(_Best):
    """Keeps the weights of the best epoch: in a file, in memory, or both.

    path: the checkpoint to write whenever an epoch was the best so far. restore: put the best
    weights back into the model at the end. monitor: the quantity to watch, by default that of the
    run's EarlyStopping or of another BestModel that names one, so that a run has one best epoch;
    else the validation accuracy, the validation loss or the loss, whichever there is first. mode:
    "min" or "max", what is best; without it the name of the quantity decides.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        monitor: str | Sequence[str] | None = None,
        restore: bool = False,
        mode: str | None = None,
    ) -> None:
        super().__init__(USUAL if monitor is None else monitor, mode, restore)
        self.path = None if path is None else Path(path).absolute()  # the current folder may change
        self.follows = monitor is None and mode is None

    def on_train_begin(self, run: Run | None = None) -> None:
        super().on_train_begin(run)
        for other in [] if run is None or not self.follows else run.callbacks:
            if isinstance(other, _Best) and not other.follows:
                self.monitor, self.directions = other.monitor, other.directions
                self.min_delta = other.min_delta
                break

    def on_epoch_end(self, run: Run, record: Record) -> None:
        if self.improved(run, record) and self.path is not None:
            save_run(self.path, run, chosen_by=self.name)


class Progress(Callback):
    """Prints one line after each epoch to standard output, and why training ended early.

    bar: whether the batches go by on stderr meanwhile, with the running loss and metrics; None
    looks whether somebody watches it, on a terminal or in a notebook. True shows it even where
    nobody is known to, if there is a stderr.
    """

    def __init__(self, bar: bool | None = None) -> None:
        self.has_bar = is_watched() if bar is None else bar and not is_gone(sys.stderr)
        self._bar: Any = None

    def on_train_begin(self, run: Run) -> None:
        if not run.resumed:  # else this may be refused yet
            self.on_resume(run)

    def on_resume(self, run: Run) -> None:
        for note in run.notes:
            say(note)

    def on_epoch_begin(self, run: Run) -> None:
        if self.has_bar:
            self._bar = progress_bar(
                total=len(run.train),
                initial=run.so_far.steps,
                desc=f"epoch {run.epoch:>{len(str(run.epochs))}}/{run.epochs}",
                bar_format="{desc} {percentage:3.0f}% |{bar}| {remaining} left{postfix}",
            )

    def on_step_end(self, run: Run, means: Record) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(visible(format_values(means), sys.stderr), refresh=False)
            self._bar.update()

    def on_epoch_end(self, run: Run, record: Record) -> None:
        self._close()
        say(describe(record, run.epochs))

    def on_train_end(self, run: Run) -> None:
        self._close()
        if run.stop:
            say(f"stopped: {run.stop}")

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
