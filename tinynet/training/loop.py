"""The loop itself, in three functions that also serve on their own.

`train_epoch` shows every batch to the model once and improves it after each; `evaluate` measures
a model, `predict` asks it. `fit` is little more than these in turn, epoch after epoch.
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinynet.anomaly import first_anomaly
from tinynet.errors import DataError
from tinynet.kernels import process
from tinynet.nn import Module
from tinynet.nn import functional as F
from tinynet.nn.members import check_model
from tinynet.nn.modes import evaluating, train_the_awake
from tinynet.nn.utils import clip_grad_norm_
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor
from tinynet.training import batches as given
from tinynet.training.failures import naming_batch, naming_divergence
from tinynet.training.history import Record
from tinynet.training.losses import as_loss, fitted
from tinynet.training.metrics import (
    DEFAULT_METRICS,
    Means,
    Metrics,
    as_metrics,
    cost_of,
    evaluated,
    means_of,
)
from tinynet.training.preparation import Images

Loss: TypeAlias = Callable[[Any, Any], Tensor]
"""A function of the model's output and the target: the mean over the batch, one number."""


@dataclass
class EpochSoFar:
    """Where an epoch stands: its steps so far, and the means over what counts in them.

    loss: that of the last step. lr: the highest learning rate; peak: that of all epochs so far.
    """

    steps: int = 0
    loss: float = math.nan
    lr: float = 0.0
    peak: float = 0.0
    means: Means = field(default_factory=Means)


def train_epoch(
    model: Module,
    batches: given.Batches,
    optimizer: Optimizer,
    loss: Any = F.cross_entropy,
    *,
    metrics: Any = DEFAULT_METRICS,
    clip_grad_norm: float | None = None,
    epoch: int = 1,
    after_step: Callable[[Record], None] | None = None,
    so_far: EpochSoFar | None = None,
    gradients: Callable[..., tuple[float, Means]] | None = None,
) -> Record:
    """Improve the model by one optimizer step for each batch (x, target).

    Returns the means of the loss and the metrics over the examples that count (see `evaluate`),
    taken while the model was changing, and `lr`, the highest learning rate.
    clip_grad_norm: the largest norm that the gradient of all that the optimizer moves may have.
    after_step(means so far) is called after each step. epoch: the number to name in errors. so_far:
    kept up to date; one that has steps in it is of an epoch that was interrupted, of which
    `batches` are the rest. Layers that were put into evaluation mode by themselves stay in it.
    gradients: what computes them, in place of `gradients_of`.

    Raises DivergenceError, before the step is made, if the loss is not finite; ValueError if
    it does not depend on the weights; DataError if there is no batch, or one that is no pair;
    OutOfMemoryError, which names the layer, for one that is too large.
    """
    loss, metrics = as_loss(loss), as_metrics(metrics)
    process.prepare()  # from the first step on: a switch in the middle would change roundings
    train_the_awake(model)
    so_far, gradients = so_far or EpochSoFar(), gradients or gradients_of
    for x, target in given.pairs(batches):
        find = functools.partial(
            first_anomaly, model, x, target, lambda y, t: loss(y, fitted(y, t, loss))
        )
        with (
            naming_divergence(optimizer, epoch, so_far.steps + 1, find, so_far.peak),
            naming_batch(model, x, target),
        ):
            so_far.loss, means = gradients(model, x, target, loss, metrics, optimizer)
            _check_gradient(optimizer)
            if clip_grad_norm is not None:
                clip_grad_norm_(parameters_of(optimizer), clip_grad_norm)
            lr = float(optimizer.param_groups[0]["lr"])
            so_far.lr, so_far.peak = max(so_far.lr, lr), max(so_far.peak, lr)
            optimizer.step()

        so_far.steps += 1
        so_far.means.include(means)
        if after_step is not None:
            after_step(so_far.means.values())
    if not so_far.steps:
        raise DataError("train_epoch: there is no batch to train on")
    return {**so_far.means.values(), "lr": so_far.lr}


def gradients_of(
    model: Module, x: Any, target: Any, loss: Loss, metrics: Metrics, optimizer: Optimizer
) -> tuple[float, Means]:
    """Forward and backward: the weights get their gradients. Returns the loss, and all means."""
    output = model(x)
    target = fitted(output, target, loss)
    cost, value = cost_of(output, target, loss)
    optimizer.zero_grad()
    cost.backward()
    return value, means_of(x, output, target, loss, metrics, value)


def _check_gradient(optimizer: Optimizer) -> None:
    if all(p.grad is None for p in parameters_of(optimizer)):
        raise ValueError(
            "no gradient of the loss reaches what the optimizer moves, so nothing is learnt: "
            "compute the loss from the model's output, with tensors alone"
        )


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All that an optimizer moves."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def evaluate(
    model: Module,
    data: Any,
    *more: Any,
    loss: Any = F.cross_entropy,
    metrics: Any = DEFAULT_METRICS,
    batch_size: int = 256,
    transform: Images | None = None,
    after_batch: Callable[[Any, Any, Any], None] | None = None,
    gather: Callable[[Iterator[Means]], Iterable[Means]] = iter,
) -> Record:
    """The mean loss and metrics of a model over `data`, in evaluation mode and without a graph.

    data: batches (a DataLoader, ...), or a dataset or a pair of arrays, tensors or tables (x, y),
    which may be two arguments, of which batches are made with `batch_size` and `transform`. What
    the loss and a metric return for a batch is weighted by the number of its examples, or of class
    labels by how many are not -100; the loss so that the mean is that over all of `data` at once
    for CrossEntropyLoss and NLLLoss, too, and for a functools.partial of theirs, with their
    `weight` and `ignore_index`. A loss of yours that divides by something else has a mean that
    depends on the batch size. after_batch(x, output, target) is called for each; gather makes of
    the means of these batches those of all. A model that was loaded brings the transform for data
    sets. Raises DataError for no data.
    """
    data, loss = given.data_and_loss(model, data, more, loss)
    metrics = as_metrics(metrics)
    process.prepare()  # as in train_epoch

    def measure() -> Iterator[Means]:
        for x, target in given.pairs(given.batches_for(model, data, batch_size, transform)):
            with naming_batch(model, x, target):
                output = model(x)
            target = fitted(output, target, loss)
            means = evaluated(x, output, target, loss, metrics)
            if after_batch is not None:
                after_batch(x, output, target)
            yield means

    total = Means()
    with evaluating(model):
        for means in gather(measure()):
            total.include(means)
    if not total.counts:
        raise DataError("evaluate: there is no example to measure the model on")
    return total.values(metrics)


def predict(
    model: Module, data: Any, *, batch_size: int = 256, transform: Images | None = None
) -> np.ndarray:
    """The model's outputs for all of `data`, as one array (N, ...), in evaluation mode.

    data: an array, tensor, list or table of inputs (N, ...), a dataset, or batches, of which the
    first part is taken. A model that was loaded brings the transform for data sets and arrays. For
    class probabilities apply softmax, for classes `.argmax(1)`. Raises DataError for no data.
    """
    check_model("predict", model)
    data = given.as_inputs("predict: the data", data, model)
    if getattr(data, "shuffle", False):
        warnings.warn(
            "predict: the DataLoader shuffles, so nobody knows which row belongs to which example; "
            "give it shuffle=False, or the dataset alone",
            stacklevel=2,
        )
    outputs: list[np.ndarray] = []
    with evaluating(model):
        for batch in given.batches_for(model, data, batch_size, transform):
            x = given.ours(batch[0] if isinstance(batch, (tuple, list)) else batch)
            with naming_batch(model, x):
                outputs.append(np.ascontiguousarray(model(x).array))
    if not outputs:
        raise DataError("predict: there is no example to predict")
    return np.concatenate(outputs)
