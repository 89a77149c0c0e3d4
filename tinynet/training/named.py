"""What `fit` and its like take in several forms: metrics by name, examples in arrays.

fit(model, x, y, epochs=5, loss="cross_entropy", metrics=["accuracy", "top_5", "f1"])
fit(model, (x, y), 5, validation_split=0.1)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.data import ArrayDataset, random_split, stratified_split
from tinynet.errors import DataError, unknown_name
from tinynet.nn import functional as F
from tinynet.tensor import Tensor
from tinynet.training.batches import is_dataset, source
from tinynet.training.losses import as_loss
from tinynet.training.metrics import F1, accuracy, check_metrics, top_k

METRICS: dict[str, Callable[..., Any]] = {
    "accuracy": accuracy,
    "f1": F1(),
    "mae": F.l1_loss,
    "mse": F.mse_loss,
}


def as_metrics(metrics: Any) -> Any:
    """Metrics by name, of a name or a list of names and functions too, checked.

    Names are those of METRICS, and top_K for the share whose class is among the K likeliest.
    """
    if isinstance(metrics, str):
        metrics = [metrics]
    if isinstance(metrics, (list, tuple)):
        metrics = {_name(metric): _metric(metric) for metric in metrics}
    check_metrics(metrics)
    return metrics


def _name(metric: Any) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", str(metric))


def _metric(metric: Any) -> Any:
    if not isinstance(metric, str):
        return metric
    if match := re.fullmatch(r"top_?([1-9]\d*)", metric):
        return top_k(int(match[1]))
    if metric not in METRICS:
        raise unknown_name("metric", metric, (*METRICS, "top_K"))
    return METRICS[metric]


def targets_and_epochs(more: Sequence[Any], epochs: Any) -> tuple[Any, Any]:
    """The targets, or None, and the epochs, of what `fit` got after the training data."""
    given = [*more, *([] if epochs is None else [epochs])]
    if not 1 <= len(given) <= 2 or is_array(given[-1]) or isinstance(given[-1], tuple):
        raise TypeError(
            "fit: give data and epochs, fit(model, train, epochs=5) or fit(model, x, y, epochs=5)"
        )
    return (given[0] if len(given) == 2 else None), given[-1]


def as_examples(data: Any, targets: Any = None, classes: Sequence[str] | None = None) -> Any:
    """Arrays x and y, a pair of them, or tables, as a data set; other data as they are.

    Labels that are text are numbered by their place in `classes`, those of the training; without,
    in sorted order. Raises DataError for one that is not among them, and for one that is missing.
    """
    if targets is not None:
        x, y = data, targets
    elif isinstance(data, tuple) and len(data) == 2 and is_array(data[0]):
        x, y = data
    else:
        return data
    x, y = as_array("x", x), as_array("y", y)
    if y.dtype.kind == "b" and y.ndim == 1:
        y = y.astype(np.int64)  # classes 0 and 1
    if y.dtype.kind not in "USO":
        return ArrayDataset(x, y)
    for row, label in enumerate(y.ravel().tolist()):
        if label is None or label != label:  # NaN, as tables have it
            raise DataError(f"the label of example {row} is missing: {label!r}")
    texts = y.astype(str).ravel().tolist()
    names = sorted(set(texts)) if classes is None else list(classes)
    numbers = {name: k for k, name in enumerate(names)}
    if unknown := [text for text in texts if text not in numbers]:
        known = ", ".join([*names[:10], *["..."][: len(names) - 10]])
        raise DataError(
            f"the label {unknown[0]!r:.60} is none of the training's: "
            f"{known or 'these have no names, so give numbers, or a model that was loaded'}"
        )
    labels = np.array([numbers[text] for text in texts]).reshape(y.shape)
    return ArrayDataset(x, labels, classes=names)


def data_and_loss(model: Any, data: Any, more: tuple[Any, ...], loss: Any) -> tuple[Any, Any]:
    """What is meant by evaluate(model, data, loss), or, of arrays, evaluate(model, x, y, loss)."""
    targets, *rest = more if more and is_array(more[0]) else (None, *more)
    if len(rest) > 1:
        raise TypeError("evaluate: after the data comes the loss, all else by name: metrics=...")
    examples = as_examples(data, targets, getattr(model, "classes", None) or ())
    return examples, as_loss(rest[0] if rest else loss)


def split_off(train: Any, share: float, seed: int | None) -> tuple[Any, Any]:
    """A part for training, and one of `share` of the examples for validation, drawn at random."""
    if not is_dataset(train):
        raise ValueError("fit: validation_split is for a data set or arrays, not for batches")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(f"fit: validation_split must be between 0 and 1, got {share!r:.40}")
    dataset, _ = source(train)
    has_labels = isinstance(dataset, ArrayDataset) and len(dataset.arrays) > 1
    of_classes = has_labels and dataset.labels.ndim == 1 and dataset.labels.dtype.kind in "iu"
    split: Any = stratified_split if of_classes else random_split
    first, second = split(train, [1 - share, share], seed=seed)
    return first, second


def is_array(value: Any) -> bool:
    """Whether it is an array, a table, or a list of numbers and no list of batches."""
    if isinstance(value, list):
        while isinstance(value, (list, tuple)) and value:
            value = value[0]
        return not isinstance(value, (np.ndarray, Tensor, list))
    return isinstance(value, (np.ndarray, Tensor)) or hasattr(value, "to_numpy")


def as_array(name: str, value: Any) -> np.ndarray:
    """An array of an array, tensor, list or table, of which integers become floats."""
    if hasattr(value, "to_numpy") and not isinstance(value, Tensor):
        table = np.asarray(value.to_numpy())
        is_rows = table.ndim == 2 and table.dtype.kind in "iuf"
        return table.astype(np.float32) if is_rows else table
    try:
        if isinstance(value, list) and value and isinstance(value[0], (np.ndarray, Tensor)):
            return np.stack([np.asarray(part) for part in value])
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"{name} is a {type(value).__name__} whose parts have different shapes; one array is "
            "needed, with an example in each row"
        ) from error
