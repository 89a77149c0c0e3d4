"""Where a training stands, and what else may happen while it runs.

A callback sees the `Run`, which is all there is to know about the training under way. It may read
everything and may set `run.stop` to end the training after the epoch.

    class PrintWeights(Callback):
        def on_epoch_end(self, run, record):
            print(record["loss"], run.model.state_dict()["0.weight"].std())

    fit(model, train, epochs=5, callbacks=[PrintWeights()])
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.nn import Module
from tinynet.optim import Optimizer
from tinynet.training.batches import Batches
from tinynet.training.distributed import ALONE, Ranks
from tinynet.training.history import History, Record
from tinynet.training.loop import EpochSoFar, Loss
from tinynet.training.metrics import Metrics
from tinynet.training.setup import Schedule

if TYPE_CHECKING:
    from tinynet.training.report.findings import Findings


@dataclass
class Run:
    """Where a training stands.

    epoch: the number of the epoch under way, from 1. step: the optimizer steps done so far, over
    all epochs. so_far: where the epoch under way stands; without steps between two epochs. losses:
    the loss of every step. about: what a checkpoint should know besides the weights (class names,
    normalisation, ...). arguments: what `fit` was given, in words. stop: set it to a reason, and
    training ends after this epoch. saved: the checkpoint that was written last. resumed: whether it
    went on from a checkpoint. phase: after how many epochs the schedule began, if a run that was
    finished goes on for more. findings: where the validation's outputs go, to be reported. notes:
    lines to read before the first epoch. ranks: the processes that train; the first of them writes.
    diverged: where it did, in words.
    """

    model: Module
    optimizer: Optimizer
    schedule: Schedule
    train: Any
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
    phase: int = 0
    findings: Findings | None = None
    notes: list[str] = field(default_factory=list)
    ranks: Ranks = ALONE
    diverged: str = ""
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

    def on_save(self, run: Run) -> None:
        """Before a checkpoint of the run is written, in each rank: what is counted here
        is saved with it. Nothing is changed on disk yet."""

    def on_train_end(self, run: Run) -> None:
        """At the end, also when training ends with an error."""

    def state_dict(self) -> dict[str, Any]:
        """What is to be remembered over an interruption: numbers, texts, arrays, lists, dicts."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
