"""Training that diverged: the error, where it is raised, and what it says of when and why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.anomaly import AnomalyError
from tinynet.nn import Module
from tinynet.optim import Optimizer


class DivergenceError(FloatingPointError):
    """Training that diverged: a loss or a weight is not finite.

    epoch and step (both from 1; step within the epoch) say where. anomaly: the first operation
    that yielded NaN or infinity, where it could be found. kept: the checkpoint that was written
    last before it, if there is one.
    """

    kept: Path | None = None

    def __init__(
        self, message: str, epoch: int, step: int, anomaly: AnomalyError | None = None
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.anomaly = anomaly

    def __reduce__(self) -> Any:  # from all the arguments of __init__, for other processes
        return type(self), (*self.args, self.epoch, self.step, self.anomaly), vars(self)

    def __str__(self) -> str:
        kept = "" if self.kept is None else f"\nThe last good checkpoint is {self.kept}."
        return super().__str__() + kept


def check_weights(model: Module) -> None:
    """Raise FloatingPointError if the last step made a weight NaN or infinite."""
    for name, parameter in model.named_parameters():
        if not np.isfinite(parameter.array).all():
            raise FloatingPointError(f"the weights of {name} are not finite")


@contextlib.contextmanager
def naming_divergence(
    optimizer: Optimizer,
    epoch: int,
    step: int,
    find: Callable[[], AnomalyError | None] = lambda: None,
) -> Iterator[None]:
    """Add to a FloatingPointError from inside when it happened and what helps as a rule.

    find: looks for the operation where it began, and is called only then.
    NumPy's warnings are silent inside: what overflows ends in such an error, and what underflows
    is 0.
    """
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            yield
    except FloatingPointError as error:
        lr = float(optimizer.param_groups[0]["lr"])
        anomaly = error if isinstance(error, AnomalyError) else find()
        reason = "an operation went bad" if anomaly is error else str(error).rstrip(".")
        raise DivergenceError(
            f"training diverged in epoch {epoch}, step {step}: {reason}. "
            "The learning rate is "
            f"{lr:.4g}; try a tenth of it, or limit the gradient with clip_grad_norm=1.0. If it "
            "is the very first step, look for NaN or unscaled values in the data."
            + (f"\nWhere it began: {anomaly}" if anomaly else ""),
            epoch,
            step,
            anomaly,
        ) from error
