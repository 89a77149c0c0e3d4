"""Callbacks: what else happens while `fit` trains, one small class for each thing.

A callback sees the `Run`, which is all there is to know about the training under way. It may read
everything and may set `run.stop` to end the training after the epoch.

    class PrintWeights(Callback):
        def on_epoch_end(self, run, record):
            print(record["loss"], run.model.state_dict()["0.weight"].std())

    fit(model, train, epochs=5, callbacks=[PrintWeights()])
"""

from __future__ import annotations

import math
import os
import time
import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.errors import CheckpointError, integer
from tinynet.nn import Module
from tinynet.optim import Optimizer
from tinynet.optim.checks import at_least_zero
from tinynet.training.checkpoint import save
from tinynet.training.history import History, Record, better_is, format_value, monitored
from tinynet.training.loop import (
    Batches,
    EpochSoFar,
    Loss,
    SizedBatches,
    check_weights,
    naming_divergence,
)
from tinynet.training.metrics import Metrics
from tinynet.training.setup import Schedule
from tinynet.training.state import capture


@dataclass
class Run:
    """Where a training stands.

    epoch: the number of the epoch under way, from 1. step: the optimizer steps done so far, over
    all epochs. so_far: where the epoch under way stands; without steps between two epochs. losses:
    the loss of every step. about: what a checkpoint should know besides the weights (class names,
    normalisation, ...). arguments: what `fit` was given, in words. stop: set it to a reason, and
    training ends after this epoch. saved: the checkpoint that was written last. resumed: whether it
    went on from a checkpoint. notes: lines for the user to read before the first epoch.
    """

    model: Module
    optimizer: Optimizer
    schedule: Schedule
    train: SizedBatches
    validate: Batches | None
    loss: Loss
    metrics: Metrics
    epochs: int
    clip_grad_norm: float | None = None
    seed: int | None = None
    about: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    history: History = field(default_factory=History)
    losses: array[float] = field(default_factory=lambda: array("d"))
    so_far: EpochSoFar = field(default_factory=EpochSoFar)
    epoch: int = 0
    step: int = 0
    stop: str = ""
    saved: Path | None = None
    resumed: bool = False
    notes: list[str] = field(default_factory=list)
    _start: float = field(default_factory=time.perf_counter)

    def finished(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.so_far.steps and (self.epoch >= self.epochs or bool(self.stop))

    def start_clock(self, seconds: float = 0.0) -> None:
        """Begin to count the seconds of an epoch, of which some may have passed before."""
        self._start = time.perf_counter() - seconds

    def seconds(self) -> float:
        """How long the epoch under way has taken; without the time that a run lay interrupted."""
        return time.perf_counter() - self._start


class Callback:
    """Base class: derive from it and write the methods you need.

    One that remembers something from step to step also writes `state_dict` and
    `load_state_dict`, so that an interrupted run goes on as if it had not been; in a list of
    callbacks it stands before those that write checkpoints.
    """

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch, and before a saved state is put back."""

    def on_resume(self, run: Run) -> None:
        """After the state of a checkpoint was put back, if there is one."""

    def on_epoch_begin(self, run: Run) -> None:
        """Before the first batch of an epoch, or of its rest; `run.epoch` is its number."""

    def on_step_end(self, run: Run, means: Record) -> None:
        """After each optimizer step; `means` are those of the epoch so far."""

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """After training and validation of an epoch; `record` is in the history already."""

    def on_train_end(self, run: Run) -> None:
        """At the end, also when training ends with an error."""

    def state_dict(self) -> dict[str, Any]:
        """What is to be remembered over an interruption: numbers, texts, arrays, lists, dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""


class _Best(Callback):
    """What EarlyStopping and BestModel share: which epoch was the best so far, and its weights."""

    def __init__(
        self,
        monitor: str | Sequence[str],
        mode: str | None,
        restore: bool,
        min_delta: float = 0.0,
    ) -> None:
        self.monitor = (monitor,) if isinstance(monitor, str) else tuple(monitor)
        self.directions = {name: better_is(name, mode) for name in self.monitor}
        self.restore = restore
        self.min_delta = at_least_zero(type(self).__name__, "min_delta", min_delta)
        self._begin()

    def _begin(self) -> None:
        self.name = ""
        self.epoch = 0
        self.value: float | None = None
        self.weights: dict[str, np.ndarray] | None = None

    def on_train_begin(self, run: Run) -> None:
        self._begin()

    def improved(self, run: Run, record: Record) -> bool:
        """Whether this epoch is the best so far, of which then is taken note.

        NaN is no better than anything. Raises KeyError if the record lacks the quantity.
        """
        self.name = monitored((self.name,) if self.name else self.monitor, record)
        value, sign = record[self.name], 1 if self.directions[self.name] == "max" else -1
        if math.isnan(value) or (
            self.value is not None and not sign * (value - self.value) > self.min_delta
        ):
            return False
        self.value, self.epoch = value, run.epoch
        if self.restore:
            self.weights = run.model.state_dict()
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
        best = {"value": self.value, "name": self.name}
        watches = dict(self.directions)
        return {"best": best, "epoch": self.epoch, "weights": self.weights, "watches": watches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state.get("watches", self.directions) != self.directions:
            raise CheckpointError(
                f"cannot resume: {type(self).__name__} watched {state['watches']} in the run, now "
                f"{self.directions}"
            )
        value = state["best"]["value"]
        self.value = None if value is None else float(value)
        self.name = str(state["best"]["name"])
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
        restore: bool = False,
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
    weights back into the model at the end. monitor: the quantity to watch, by default the
    validation accuracy, the validation loss or the loss, whichever there is first. mode: "min" or
    "max", what is best; without it the name of the quantity decides.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        monitor: str | Sequence[str] = ("validation_accuracy", "validation_loss", "loss"),
        restore: bool = False,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, mode, restore)
        self.path = None if path is None else Path(path)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        if self.improved(run, record) and self.path is not None:
            save_run(self.path, run, chosen_by=self.name)


class SaveEvery(Callback):
    """Writes the checkpoint `path` after every `epochs` epochs, and after the last one."""

    def __init__(self, path: str | os.PathLike[str], epochs: int = 1) -> None:
        self.path = Path(path)
        self.epochs = integer("SaveEvery", "epochs", epochs, 1)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        if run.epoch % self.epochs == 0 or run.epoch == run.epochs or run.stop:
            save_run(self.path, run)


def save_run(path: str | os.PathLike[str], run: Run, chosen_by: str | None = None) -> None:
    """Write the checkpoint of a run as it stands, with all that it needs to go on.

    chosen_by: the quantity by which this is the best epoch.

    Raises DivergenceError, and writes nothing, if a weight is not finite.
    """
    with naming_divergence(run.optimizer, run.epoch, run.so_far.steps):
        check_weights(run.model)
    try:
        save(run.model, path, run=capture(run), chosen_by=chosen_by, **run.about)
    except OSError as error:
        kept = "" if run.saved is None else f"; the checkpoint before it is whole: {run.saved}"
        raise type(error)(error.errno, f"{error.strerror}{kept}") from error
    run.saved = Path(path)
