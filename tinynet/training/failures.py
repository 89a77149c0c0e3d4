"""What can go wrong in a step: numbers diverge, memory ends. When, where, and the cure."""

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.anomaly import AnomalyError
from tinynet.autograd import wrap
from tinynet.errors import OutOfMemoryError, ShapeError
from tinynet.nn import Module
from tinynet.nn.modes import evaluating
from tinynet.optim import Optimizer
from tinynet.training.batches import dtype_of, size_of
from tinynet.training.files import shown


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
        kept = "" if self.kept is None else f"\nThe last good checkpoint is {shown(self.kept)}."
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
    peak: float = 0.0,
) -> Iterator[None]:
    """Add to a FloatingPointError from inside when it happened and what helps as a rule.

    find: looks for the operation where it began, and is called only then. peak: the highest
    learning rate before this step.
    NumPy's warnings are silent inside: what overflows ends in such an error, what underflows is 0.
    """
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            yield
    except FloatingPointError as error:
        lr = float(optimizer.param_groups[0]["lr"])
        lr, was = (peak, "was at most") if peak > lr else (lr, "is")
        anomaly = error if isinstance(error, AnomalyError) else find()
        reason = "an operation went bad" if anomaly is error else str(error).rstrip(".")
        began = f"\nWhere it began: {anomaly}" if anomaly else ""
        raise DivergenceError(
            f"training diverged in epoch {epoch}, step {step}: {reason}. The learning rate "
            f"{was} {lr:.4g}; try a tenth of it, or in Python clip_grad_norm=1.0. If it "
            f"is the very first step, look for NaN or unscaled values in the data.{began}",
            epoch,
            step,
            anomaly,
        ) from error


@contextlib.contextmanager
def naming_batch(model: Module, x: Any, target: Any = None) -> Iterator[None]:
    """Within it, a MemoryError names the layer and says to halve the batch, and lets go the arrays
    of the step that failed, so that the program can go on with smaller ones; a ShapeError asks
    whether inputs and targets are swapped, where the model takes the targets.
    """
    before = sys.exc_info()[1]  # an error that the caller is handling is the caller's
    try:
        yield
    except ShapeError as error:
        with contextlib.suppress(Exception), evaluating(model):
            model(wrap(target.array.astype(dtype_of(model))))
            shapes = f"of shape {x.shape}, and takes the targets, of shape {target.shape}"
            error.message = f"the model refuses x, {shapes}: are they swapped? {error.message}"
        raise
    except MemoryError as error:
        located = OutOfMemoryError.of(error)
        if not located.layers:
            _name_layer(located, model, error.__traceback__)
        size = size_of(x, target)
        cure = f"halve it: batch_size={size // 2}" if size > 1 else "take a smaller model"
        located.advice = f"with a batch of {size}; {cure}"
        _let_go(error, before)
        raise located from None


def _let_go(error: BaseException | None, before: BaseException | None) -> None:
    """Clear the variables of the calls that ended in `error`, and in errors since `before`.

    Up to Python 3.12 a frame keeps the copy of them that `f_locals` made, until it makes another.
    """
    while error is not None and error is not before:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            with contextlib.suppress(RuntimeError):  # it is still running
                frame.clear()
                dict(frame.f_locals)
        error = error.__context__


def _name_layer(error: OutOfMemoryError, model: Module, trace: TracebackType | None) -> None:
    """Name the operation whose backward pass failed, and its layer.

    That is the layer of the operation's own parameter; for one without (ReLU, a pool) the layer
    of the nearest on the way to the inputs is named as the one that comes before it.
    """
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_code is not autograd.visit.__code__:
            continue
        error.message += f", in the backward pass of {frame.f_locals['node'].name}"
        paths = {id(p): name.rpartition(".")[0] for name, p in model.named_parameters()}
        own = pending = [target for target, _, _ in frame.f_locals["node"].edges]
        while pending:
            found = [paths[id(target)] for target in pending if id(target) in paths]
            if found:
                kind = type(dict(model.named_modules())[found[0]]).__name__
                if pending is own:
                    error.layers = [(found[0], kind)]
                else:
                    error.message += f" after layer {found[0]!r} ({kind})"
                return
            nodes = [node for node in pending if isinstance(node, autograd.Node)]
            pending = [target for node in nodes for target, _, _ in node.edges]
