"""A run once more, compared with its record: does it give the same, bit for bit?

    verdict = verify("runs/a/last.safetensors", model, train, 8, validate=test, lr=0.05, seed=0)
    print(verdict)

The arguments after the checkpoint are those of `fit`, with the model as it was at first. The loss
of every step, the record of every epoch and the weights at the end are compared; where they
differ, the verdict says from which step on, and what is no longer as it was when the run was made.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinynet.console import some
from tinynet.errors import CheckpointError
from tinynet.nn import Module
from tinynet.training.checkpoint import read, weights_sha256
from tinynet.training.environment import differences, environment
from tinynet.training.fit import fit
from tinynet.training.history import Record, describe, from_columns
from tinynet.training.run import Callback, Run


@dataclass
class Verdict:
    """What a replay found.

    first, last: the steps that were compared, from 1. recorded, replayed: the SHA-256 of the
    weights. epochs: how many records. differs_at: the first step whose loss came out different,
    with both losses; None if all are the same. records: the epochs whose records differ, aside
    from the time. changed: what was different about the machine, see `environment`.
    """

    first: int
    last: int
    recorded: str = ""
    replayed: str = ""
    epochs: int = 0
    differs_at: tuple[int, float, float] | None = None
    records: list[int] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether everything came out the same."""
        return self.differs_at is None and not self.records and self.recorded == self.replayed

    def __str__(self) -> str:
        steps = some(self.last - self.first + 1, "step")
        if self.same and self.last < self.first:
            return "no step was replayed: the record ends where the replay was to start"
        if self.same:
            return (
                f"the same bit for bit: the losses of {steps}, the records of "
                f"{some(self.epochs, 'epoch')}, and the weights (SHA-256 {self.recorded})"
            )
        lines = [f"the losses of {steps} are the same"] if self.records else []
        if self.differs_at is not None:
            step, then, now = self.differs_at
            lines = [f"from step {step:,} on it differs: the loss was {then!r}, is {now!r}"]
        if self.records:
            lines.append(f"the records of these epochs differ: {', '.join(map(str, self.records))}")
        verb = "are the same" if self.recorded == self.replayed else "differ"
        was, is_ = self.recorded[:16], self.replayed[:16]
        lines.append(f"the weights {verb}: SHA-256 {was}... then, {is_}... now")
        if self.changed:
            return "\n".join([*lines, "what is not as it was:", *(f"  {c}" for c in self.changed)])
        lines.append(
            "versions, kernels, threads and processor are as they were: so the code, the data or "
            "the settings are not"
        )
        return "\n".join(lines)


def verify(
    path: str | os.PathLike[str],
    model: Module,
    train: Any,
    epochs: int,
    *,
    start: str | os.PathLike[str] | None = None,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> Verdict:
    """Train again as `fit(model, train, epochs, **options)` and compare with the checkpoint `path`.

    start: a checkpoint of the run to start from; without it the run is replayed from its
    beginning. It goes as far as `path` does. tell: called with a line after every epoch.
    Raises CheckpointError if `path` has no record of a run, or `start` comes after it.
    """
    recorded = read(path)
    if recorded.run is None:
        raise CheckpointError("cannot verify: this checkpoint holds a model, but no run")
    try:
        replay, phase = Replay(recorded.run, tell or (lambda line: None)), recorded.run["phase"]
    except Exception as error:  # a file can be whole and its content nonsense
        raise CheckpointError(f"cannot verify: the run's state is damaged: {error!r}") from error
    if not replay.losses:
        raise CheckpointError("cannot verify: the run was stopped before a step of it was saved")
    if phase and start is None:
        raise CheckpointError(
            f"cannot verify from the seed: the run was finished after epoch {phase}, and went on "
            "for more later. Verify what came then, from a checkpoint of it that was kept"
        )
    options = {**options, "callbacks": [replay, *options.get("callbacks", ())], "progress": False}
    with contextlib.suppress(_Replayed):
        fit(model, train, epochs, resume=False if start is None else start, **options)
    replay.verdict.recorded = recorded.sha256()
    replay.verdict.replayed = weights_sha256(model.state_dict())
    replay.verdict.changed = differences(replay.environment, environment())
    return replay.verdict


class _Replayed(Exception):  # noqa: N818 (it is no error)
    """The replay has come as far as the record."""


class Replay(Callback):
    """Compares a run with the record of another, step by step, and ends it where that ends."""

    def __init__(self, recorded: dict[str, Any], tell: Callable[[str], None]) -> None:
        self.losses = [float(loss) for loss in recorded["losses"]]
        self.history = from_columns(recorded["history"])
        self.environment = dict(recorded["environment"])
        self.tell = tell
        self.verdict = Verdict(len(self.losses) + 1, len(self.losses))

    def on_resume(self, run: Run) -> None:
        if run.step > len(self.losses):
            raise CheckpointError(
                f"cannot verify: the start is after step {run.step}, the record ends with step "
                f"{len(self.losses)}"
            )

    def on_step_end(self, run: Run, means: Record) -> None:
        self.verdict.first = min(self.verdict.first, run.step)
        then, now = self.losses[run.step - 1], run.losses[-1]
        if then != now and self.verdict.differs_at is None:
            self.verdict.differs_at = (run.step, then, now)
        if run.step == len(self.losses) and len(self.history) < run.epoch:
            raise _Replayed  # the record ends in the middle of this epoch

    def on_epoch_end(self, run: Run, record: Record) -> None:
        aside = {"seconds": 0.0}
        same = {**self.history[run.epoch - 1], **aside} == {**record, **aside}
        self.verdict.epochs += 1
        if not same:
            self.verdict.records.append(run.epoch)
        told = describe(record, run.epochs).rpartition("  ")[0]  # without the seconds
        self.tell(f"{told}  {'same' if same else 'DIFFERENT'}")
        if run.step == len(self.losses):
            raise _Replayed
