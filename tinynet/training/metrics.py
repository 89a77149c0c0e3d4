"""Metrics: numbers for people to read, computed from the model's scores outside the graph.

A metric is any function `(output, target) -> float` that is a mean over the examples. `Means`
adds up such means, batch by batch, weighted by how many examples count in the batch (`counted`).
"""

import contextlib
import functools
import inspect
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinynet.errors import ShapeError, check_function, unknown_name
from tinynet.nn import functional as F
from tinynet.nn.checks import with_article
from tinynet.tensor import Tensor
from tinynet.training.batches import size_of
from tinynet.training.losses import OF_CLASSES, as_scores, name_of

Metric: TypeAlias = Callable[..., float]
Metrics: TypeAlias = Mapping[str, Metric]

VALIDATION = "validation_"  # what is measured on validation data has this before its name
TAKEN = ("loss", "epoch", "lr", "seconds")  # what else a record of the history holds
IGNORED = -100  # the label that cross_entropy leaves out


def accuracy(output: Any, target: Any) -> float:
    """The share of examples, or pixels, whose highest score is that of the right class.

    output: scores (N, K) of K classes, or (N, K, H, W). target: labels (N,) or (N, H, W),
    integers; those of -100 do not count, as in cross_entropy. Nothing to count gives 0.
    Raises ShapeError for other shapes, FloatingPointError for scores that are NaN.

    >>> accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.6666666666666666
    """
    scores, labels = _checked("accuracy", output, target)
    return float(np.mean(scores.argmax(1) == labels)) if len(labels) else 0.0


def are_classes(output: Any, target: Any) -> bool:
    """Whether these are scores (N, K, ...) and class labels (N, ...) for them, integers."""
    scores, labels = np.asarray(output), np.asarray(target)
    shape = scores.shape[:1] + scores.shape[2:]
    return scores.ndim > 1 < scores.shape[1] and labels.shape == shape and labels.dtype.kind in "iu"


def top_k_accuracy(output: Any, target: Any, k: int = 5) -> float:
    """The share of examples whose right class is among the k highest scores.

    Classes that score the same as the right one count as lower. Output, target and errors as for
    `accuracy`. Raises ValueError unless 1 <= k <= K.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    scores, labels = _checked("top_k_accuracy", output, target)
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(
            f"top_k_accuracy: k must be from 1 to the number of classes, {scores.shape[1]}; got {k}"
        )
    right = np.take_along_axis(scores, labels[:, None], 1)  # (N, 1)
    rank = np.sum(scores > right, 1)  # (N,)
    return float(np.mean(rank < k)) if len(labels) else 0.0


def top_k(k: int) -> Metric:
    """`top_k_accuracy` for one k, to put into `metrics={"top5": top_k(5)}`."""
    return functools.partial(top_k_accuracy, k=k)


class F1:
    """The F1 scores of the classes, averaged: 2 hits / (examples + times it was taken for it).

    It is no mean over examples, and so is computed of the confusion matrix of all of them; a class
    without an example that nothing is taken for does not count.

    >>> F1()(np.array([[8, 2], [0, 10]]))
    0.898989898989899
    """

    of_matrix = True

    def __call__(self, matrix: np.ndarray) -> float:
        sizes = matrix.sum(0) + matrix.sum(1)
        scores = 2 * matrix.diagonal()[sizes > 0] / sizes[sizes > 0]
        return float(scores.mean()) if len(scores) else 0.0


def of_matrix(metric: Any) -> bool:
    """Whether a metric is a function of the confusion matrix of all examples, as F1 is."""
    return bool(getattr(metric, "of_matrix", False))


def confusion_matrix(output: Any, target: Any) -> np.ndarray:
    """How often each class was taken for each other: int64 (K, K), rows are the true classes.

    Output, target and errors are as for `accuracy`. Row i, column j counts the examples of class i
    whose highest score was class j, so the diagonal counts what is right.

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    array([[1, 1],
           [0, 1]])
    """
    scores, labels = _checked("confusion_matrix", output, target)
    K = scores.shape[1]
    pairs = labels * K + scores.argmax(1)  # (N,)
    return np.bincount(pairs, minlength=K * K).reshape(K, K)


def _checked(name: str, output: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, K) and labels (N,) that count, or the error that says what they should be."""
    if callable(output):
        raise TypeError(f"{name}: takes scores and labels: {name}(predict(model, x), y)")
    scores, labels = np.asarray(output), np.asarray(target)
    if scores.ndim > 2 and are_classes(scores, labels):
        scores, labels = np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1]), labels.ravel()
    if scores.shape[:1] == labels.shape and (labels == IGNORED).any():
        scores, labels = scores[labels != IGNORED], labels[labels != IGNORED]
    if scores.ndim != 2 or labels.ndim != 1 or len(scores) != len(labels):
        raise ShapeError(
            f"{name}: takes scores (N, classes) and labels (N,), got {scores.shape} and "
            f"{labels.shape}. For other targets pass metrics of your own, or metrics={{}}."
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(
            f"{name}: labels run from {labels.min()} to {labels.max()}, but the scores are for "
            f"the classes 0 to {scores.shape[1] - 1}"
        )
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        rows = int(np.isnan(scores).any(1).sum())
        raise FloatingPointError(f"{name}: {rows} of {len(scores)} examples have NaN for a score")
    return scores, labels


DEFAULT_METRICS: Metrics = {"accuracy": accuracy}
"""Where nobody said which: accuracy for class labels, and nothing for other targets."""

METRICS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "f1": F1(),
    "mae": F.l1_loss,
    "mse": F.mse_loss,
}


def measured(metrics: Metrics, output: Tensor, target: Tensor, loss: Any) -> dict[str, float]:
    """The metrics of a batch, by name. loss: which says what a single output means."""
    are_tensors = isinstance(output, Tensor) and isinstance(target, Tensor)
    scores = as_scores(output, target, name_of(loss)) if are_tensors else (output, target)
    if metrics is DEFAULT_METRICS and not (are_tensors and are_classes(*scores)):
        return {}
    found = {}
    for name, metric in metrics.items():
        if not of_matrix(metric):
            x, t = scores if metric is accuracy else (output, target)
            try:
                value = metric(x.array, t.array)
            except AttributeError as error:
                raise TypeError(
                    f"the metric {name!r} gets NumPy arrays, and no tensors as a loss does: {error}"
                ) from error
            found[name] = as_number(f"the metric {name!r}", value)
    return found


def as_metrics(metrics: Any) -> Metrics:
    """Metrics by name, of a name or a list of names and functions too.

    Names are those of METRICS, and top_K for the share whose class is among the K likeliest.
    Raises TypeError unless these are functions, ValueError for a name that is unknown or taken.
    """
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if isinstance(metrics, (list, tuple)):
        metrics = {getattr(m, "__name__", str(m)): _of_name(m) for m in metrics}
    if not isinstance(metrics, Mapping):
        raise TypeError(
            "metrics must be a dict of functions by name, such as {'top5': training.top_k(5)}, or "
            f"{{}} for none; got {metrics!r:.60}"
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or name in TAKEN or name.startswith(VALIDATION):
            raise ValueError(
                f"metrics: {name!r} cannot be the name of a metric. Take any text but "
                f"{', '.join(TAKEN)} and what begins with {VALIDATION}"
            )
        takes = ["matrix"] if of_matrix(metric) else ["output", "target"]
        check_takes("metrics", repr(name), metric, takes, "training.accuracy")
    return metrics


def check_takes(owner: str, name: str, function: Any, takes: Sequence[str], example: str) -> None:
    """Raise TypeError unless this is a function that can be called with `takes`, by position."""
    check_function(owner, name, function, example)
    with contextlib.suppress(ValueError):  # of a function in C, whose parameters nobody knows
        try:
            inspect.signature(getattr(function, "forward", function)).bind(*takes)
        except TypeError as error:
            raise TypeError(
                f"{owner}: {name} gets ({', '.join(takes)}), as {example} does, and "
                f"{getattr(function, '__name__', function)!s:.60} cannot: {error}"
            ) from None


def _of_name(metric: Any) -> Any:
    if not isinstance(metric, str):
        return metric
    if match := re.fullmatch(r"top_?([1-9]\d*)", metric):
        return top_k(int(match[1]))
    if metric not in METRICS:
        raise unknown_name("metric", metric, (*METRICS, "top_K"))
    return METRICS[metric]


def as_number(what: str, value: Any) -> float:
    """What the loss or a metric returned, as a float; TypeError that names it for no one number."""
    try:
        if isinstance(value, (str, bytes)) or np.iscomplexobj(value):
            raise TypeError(value)
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(value, "shape", None)
        got = repr(value)[:60] if shape is None else f"{type(value).__name__} of shape {shape}"
        if isinstance(value, (tuple, list)):
            got = f"{type(value).__name__} of {len(value)}"
        cure = ": take its mean, .mean()" if shape else ""
        raise TypeError(f"{what} must return one number, got {got}{cure}") from None


def counted(x: Any, output: Any, target: Any, loss: Any = None) -> float:
    """How much a batch of inputs `x` weighs in a mean: by what the mean over it was divided.

    For class labels that is how many are not -100. A `loss` that is CrossEntropyLoss or NLLLoss, or
    a functools.partial of their functions, counts by its `ignore_index` and class `weight`.
    """
    output, target = (x.array if isinstance(x, Tensor) else x for x in (output, target))
    if not (isinstance(output, np.ndarray) and are_classes(output, target)):
        return size_of(x, target)
    labels, ignored, weight = np.asarray(target), IGNORED, None
    if name_of(loss) in OF_CLASSES:
        settings = getattr(loss, "keywords", {})  # of a functools.partial
        ignored = settings.get("ignore_index", getattr(loss, "ignore_index", IGNORED))
        weight = settings.get("weight", getattr(loss, "weight", None))
    kept = labels[labels != ignored]
    if weight is None:
        return len(kept)
    return float(np.take(np.asarray(weight, np.float64), kept, mode="clip").sum())


def check_output(output: Any, target: Any, loss: Any) -> None:
    """Raise, with the cure, where a loss of ours can make nothing of what the model gives."""
    function = getattr(loss, "func", loss)  # of a functools.partial
    if not str(getattr(function, "__module__", "")).startswith("tinynet."):
        return
    name = getattr(function, "__name__", type(function).__name__)
    if not isinstance(output, Tensor):
        raise TypeError(
            f"the model returns {with_article(type(output).__name__)}, and {name} takes one "
            "tensor: return one, or pass as loss= a function of yours of (output, target), with "
            "metrics of yours"
        )
    if output.array.dtype.kind in "iub":
        raise TypeError(
            f"the model returns {output.dtype} numbers, which have no gradient: return the scores "
            "themselves, without argmax or a comparison"
        )
    kind = name_of(loss)
    given, scores = isinstance(target, Tensor), kind == "cross_entropy"
    floats = given and target.array.dtype.kind == "f"
    if given and scores and output.shape[1:2] == (1,) and (floats or target.array.any()):
        raise ValueError(
            f"{name} of a single output is always 0, so nothing is learnt: for numbers pass "
            "loss='mse', for two classes 0 and 1 loss='bce_with_logits'"
        )
    each = given and scores and output.ndim > 1 and target.shape == output.shape
    if each and not (floats and target.array.sum(1).max(initial=0) < 1.01):
        raise ValueError(
            f"{name} takes a label for each example, or probabilities as floats that sum to 1, and "
            f"the targets are {target.dtype}{list(target.shape)}: for several labels an example "
            "pass loss='bce_with_logits'; of one label in a column each take y.argmax(1)"
        )
    made = "" if output.node is None else output.node.name
    if kind in ("cross_entropy", "bce_with_logits") and made in ("softmax", "sigmoid"):
        warnings.warn(
            f"{name} makes probabilities of scores by itself, and the model's outputs come out of "
            f"{made}, with which it learns badly: leave that out at the end of the model",
            stacklevel=2,
        )
    if kind == "nll" and output.array.size and output.array.max() > 1e-3:
        raise ValueError(
            f"{name} takes log-probabilities, 0 at most, and the model gives "
            f"{output.array.max():g}: pass loss='cross_entropy', or end it with nn.LogSoftmax(1)"
        )
    if kind not in (None, *OF_CLASSES) and are_classes(output, target):
        raise ValueError(
            f"{name} compares numbers, and the targets {tuple(target.shape)} are labels for the "
            f"{output.shape[1]} outputs: for classes pass loss='cross_entropy', for numbers give "
            "the model one output, or targets of the output's shape"
        )


def cost_of(output: Any, target: Any, loss: Any) -> tuple[Tensor, float]:
    """The loss of a batch, of which a gradient can be had, and as a number."""
    check_output(output, target, loss)
    cost = loss(output, target)
    value = as_number("loss", cost)
    if not isinstance(cost, Tensor):
        raise TypeError(f"loss returned {cost!r:.60}, no tensor: compute it with tensors alone")
    if not cost.requires_grad:
        raise ValueError(
            "the loss does not depend on the weights, so nothing is learnt: compute it from the "
            "model's output, without detach(), no_grad() or numpy()"
        )
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value}")
    return cost, value


class Means:
    """Running means, of the loss and every metric: for each the sum, and how many it is over.

    >>> means = Means()
    >>> means.add(2, {"loss": 1.0}); means.add(1, {"loss": 4.0})
    >>> means.values()
    {'loss': 2.0}

    matrix: the confusion matrix, where it is asked for.
    """

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}
        self.sums: dict[str, float] = {}
        self.matrix: np.ndarray = np.zeros((), np.int64)

    def add(self, count: float, values: Mapping[str, float]) -> None:
        """Add means over `count` examples; those over none are nothing."""
        for name, value in values.items() if count else ():
            self._add(name, count, count * value)

    def include(self, other: "Means") -> None:
        """Add the means of more examples."""
        for name, total in other.sums.items():
            self._add(name, other.counts[name], total)
        self.matrix = self.matrix + other.matrix

    def _add(self, name: str, count: float, total: float) -> None:
        self.counts[name] = self.counts.get(name, 0.0) + count
        self.sums[name] = self.sums.get(name, 0.0) + total

    def values(self, metrics: Metrics | None = None) -> dict[str, float]:
        """The mean of each over all examples so far, nothing at all if there were none; and those
        of the metrics that are of the confusion matrix.
        """
        found = {name: total / self.counts[name] for name, total in self.sums.items()}
        for name, metric in (metrics or {}).items():
            if of_matrix(metric):
                found[name] = as_number(f"the metric {name!r}", metric(self.matrix))
        return found


def means_of(
    x: Any, output: Any, target: Any, loss: Any, metrics: Metrics, value: float | None = None
) -> Means:
    """The loss and the metrics of a batch of inputs `x`. value: the loss, if it is known."""
    means = Means()
    if count := counted(x, output, target, loss):
        known = as_number("loss", loss(output, target)) if value is None else value
        means.add(count, {"loss": known})
    means.add(counted(x, output, target), measured(metrics, output, target, loss))
    return means


def evaluated(x: Any, output: Any, target: Any, loss: Any, metrics: Metrics) -> Means:
    """What is measured of a batch; the confusion matrix too, where a metric is one of that."""
    check_output(output, target, loss)
    means = means_of(x, output, target, loss, metrics)
    if any(map(of_matrix, metrics.values())):
        scores, labels = as_scores(output, target, name_of(loss))
        means.matrix = confusion_matrix(scores.array, labels.array)
    return means
