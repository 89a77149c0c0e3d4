"""The loop itself, in three functions that also serve on their own.

`train_epoch` shows every batch to the model once and improves it after each; `evaluate` measures
a model, `predict` asks it. `fit` is little more than these in turn, epoch after epoch.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinynet.anomaly import AnomalyError, first_anomaly
from tinynet.data import DataLoader
from tinynet.errors import DataError
from tinynet.kernels import process
from tinynet.nn import Module
from tinynet.nn import functional as F
from tinynet.nn.modes import evaluating, train_the_awake
from tinynet.nn.utils import clip_grad_norm_
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor
from tinynet.training.history import Record
from tinynet.training.memory import naming_memory
from tinynet.training.metrics import (
    Means,
    Metrics,
    accuracy,
    are_classes,
    as_number,
    check_metrics,
    counted,
)

Batches: TypeAlias = Iterable[Any]
"""Whatever yields (x, target) pairs of tensors: a DataLoader, a list, a generator."""


class SizedBatches(Protocol):
    """Batches that can be counted before they are seen, and gone through again and again."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""A function of the model's output and the target: the mean over the batch, one number."""

DEFAULT_METRICS: Metrics = {"accuracy": accuracy}
"""Where nobody said which: accuracy for class labels, and nothing for other targets."""


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


@dataclass
class EpochSoFar:
    """Where an epoch stands: its steps so far, and the means over what counts in them.

    loss, lr: the loss and the learning rate of the last step.
    """

    steps: int = 0
    loss: float = math.nan
    lr: float = 0.0
    means: Means = field(default_factory=Means)


def train_epoch(
    model: Module,
    batches: Batches,
    optimizer: Optimizer,
    loss: Loss = F.cross_entropy,
    *,
    metrics: Metrics = DEFAULT_METRICS,
    clip_grad_norm: float | None = None,
    epoch: int = 1,
    after_step: Callable[[Record], None] | None = None,
    so_far: EpochSoFar | None = None,
) -> Record:
    """Improve the model by one optimizer step for each batch (x, target).

    Returns the means of the loss and the metrics over the examples that count (see `evaluate`),
    taken while the model was changing, and `lr`, the learning rate of the last step.
    clip_grad_norm: the largest norm that the gradient of all that the optimizer moves may have.
    after_step(means so far) is called after each step. epoch: the number to name in errors. so_far:
    kept up to date; one that has steps in it is of an epoch that was interrupted, of which
    `batches` are the rest. Layers that were put into evaluation mode by themselves stay in it.

    Raises DivergenceError, before the step is made, if the loss is not finite; ValueError if
    it does not depend on the weights; DataError if there is no batch, or one that is no pair;
    OutOfMemoryError, which names the layer, for one that is too large.
    """
    check_metrics(metrics)
    process.prepare()  # from the first step on: a switch in the middle would change roundings
    train_the_awake(model)
    so_far = so_far or EpochSoFar()
    for x, target in _pairs(batches):
        find = functools.partial(first_anomaly, model, x, target, loss)
        with (
            naming_divergence(optimizer, epoch, so_far.steps + 1, find),
            naming_memory(model, len(x)),
        ):
            output, so_far.loss = _gradient(model, loss, optimizer, x, target)
            if clip_grad_norm is not None:
                clip_grad_norm_(parameters_of(optimizer), clip_grad_norm)
            so_far.lr = float(optimizer.param_groups[0]["lr"])
            optimizer.step()

        so_far.steps += 1
        so_far.means.add(counted(len(x), output, target, loss), {"loss": so_far.loss})
        so_far.means.add(counted(len(x), output, target), _measured(metrics, output, target))
        if after_step is not None:
            after_step(so_far.means.values())
    if not so_far.steps:
        raise DataError("train_epoch: there is no batch to train on")
    return {**so_far.means.values(), "lr": so_far.lr}


def _gradient(
    model: Module, loss: Loss, optimizer: Optimizer, x: Any, target: Any
) -> tuple[Tensor, float]:
    """Output and loss of a batch; its gradient goes into the weights."""
    output = model(x)
    cost = loss(output, target)
    value = as_number("loss", cost)
    if not isinstance(cost, Tensor):
        raise TypeError(f"loss returned {cost!r:.60}, no tensor: compute it with tensors alone")
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value}")
    optimizer.zero_grad()
    cost.backward()
    if all(p.grad is None for p in parameters_of(optimizer)):
        raise ValueError(
            "no gradient of the loss reaches what the optimizer moves, so nothing is learnt: "
            "compute the loss from the model's output, with tensors alone"
        )
    return output, value


def evaluate(
    model: Module,
    data: Any,
    loss: Loss = F.cross_entropy,
    *,
    metrics: Metrics = DEFAULT_METRICS,
    batch_size: int = 256,
    transform: Callable[..., np.ndarray] | None = None,
) -> Record:
    """The mean loss and metrics of a model over `data`, in evaluation mode and without a graph.

    data: batches (a DataLoader, ...), or a dataset, of which batches are made with `batch_size`
    and `transform`. What the loss and a metric return for a batch is weighted by the number of its
    examples, or of class labels by how many are not -100; the loss so that the mean is that over
    all of `data` at once for CrossEntropyLoss and NLLLoss, too, and for a functools.partial of
    theirs, with their `weight` and `ignore_index`. A loss of yours that divides by something else
    has a mean that depends on the batch size. Raises DataError for no data.
    """
    check_metrics(metrics)
    process.prepare()  # as in train_epoch
    means = Means()
    with evaluating(model):
        for x, target in _pairs(as_batches(data, batch_size, transform)):
            with naming_memory(model, len(x)):
                output = model(x)
            if count := counted(len(x), output, target, loss):
                means.add(count, {"loss": as_number("loss", loss(output, target))})
            means.add(counted(len(x), output, target), _measured(metrics, output, target))
    if not means.counts:
        raise DataError("evaluate: there is no example to measure the model on")
    return means.values()


def predict(
    model: Module,
    data: Any,
    *,
    batch_size: int = 256,
    transform: Callable[..., np.ndarray] | None = None,
) -> np.ndarray:
    """The model's outputs for all of `data`, as one array (N, ...), in evaluation mode.

    data: an array or tensor of inputs (N, ...), a dataset, or batches, of which the first part
    is taken. For class probabilities apply softmax, for classes `.argmax(1)`.
    Raises DataError for no data.
    """
    if isinstance(data, (np.ndarray, Tensor)):
        from tinynet.data import ArrayDataset

        data = ArrayDataset(np.asarray(data))
    if getattr(data, "shuffle", False):
        warnings.warn(
            "predict: the DataLoader shuffles, so nobody knows which row belongs to which example; "
            "give it shuffle=False, or the dataset alone",
            stacklevel=2,
        )
    outputs = []
    with evaluating(model):
        for batch in as_batches(data, batch_size, transform):
            x = batch[0] if isinstance(batch, (tuple, list)) else batch
            with naming_memory(model, len(x)):
                scores = model(x)
            outputs.append(np.ascontiguousarray(scores.array))
    if not outputs:
        raise DataError("predict: there is no example to predict")
    return np.concatenate(outputs)


def as_batches(
    data: Any, batch_size: int, transform: Callable[..., np.ndarray] | None = None
) -> Batches:
    """Batches in order: those of `data` if it is a loader, else made from the dataset.

    A dataset is what has `__getitem__` and a length; a list or tuple counts as ready batches.
    """
    if is_dataset(data):
        return DataLoader(data, batch_size, transform=transform)
    if transform is not None:
        raise ValueError("transform is for datasets; these batches are made already")
    if not isinstance(data, Iterable):
        raise TypeError(f"expected a dataset or batches (x, target), got {type(data).__name__}")
    return data


def is_dataset(data: Any) -> bool:
    """Whether `data` holds single examples, to be picked by index, and not batches."""
    return (
        not isinstance(data, (DataLoader, list, tuple))
        and hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
    )


def _pairs(batches: Batches) -> Iterator[tuple[Any, Any]]:
    """The batches, each of them (x, target). Raises DataError for another."""
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise not_a_pair("a batch", batch)
        x, target = batch
        yield x, target


def not_a_pair(what: str, value: Any) -> DataError:
    """The error for an example or a batch that is not (x, target)."""
    shape = getattr(value, "shape", None)
    got = f"{type(value).__name__} " + (f"of shape {tuple(shape)}" if shape is not None else "")
    if isinstance(value, (tuple, list)):
        got = f"{len(value)} part{'s' * (len(value) != 1)}"
    return DataError(
        f"{what} must be a pair (x, target), got {got.strip()}. Of arrays X and Y make "
        "data.ArrayDataset(X, Y); a dataset returns (x, target) in __getitem__"
    )


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All that an optimizer moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def _measured(metrics: Metrics, output: Tensor, target: Tensor) -> Record:
    if metrics is DEFAULT_METRICS and not are_classes(output, target):
        return {}
    return {
        name: as_number(f"the metric {name!r}", metric(output.array, target.array))
        for name, metric in metrics.items()
    }


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
