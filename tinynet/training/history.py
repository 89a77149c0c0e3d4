"""History: what happened, one dict an epoch; a list, so it prints, slices and dumps as one."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinynet.errors import unknown_name
from tinynet.training.metrics import VALIDATION

Record: TypeAlias = "dict[str, float]"


class History(list[Record]):
    """One record an epoch: epoch (from 1), loss, accuracy and other metrics, lr, seconds.

    With validation data also validation_loss, validation_accuracy and so on. The training loss
    and metrics are means over the epoch, taken while the model was changing; those of validation
    are of the model at the end of the epoch. lr: the learning rate of the epoch's last step.

    >>> history = History([{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.4}])
    >>> history.column("loss"), history.best("loss")
    ([0.9, 0.4], {'epoch': 2, 'loss': 0.4})
    """

    def column(self, name: str) -> list[float]:
        """One quantity over the epochs. Raises KeyError that lists the quantities there are."""
        self._check(name)
        return [record[name] for record in self]

    def best(self, name: str = "validation_accuracy", mode: str | None = None) -> Record:
        """The record of the best epoch, the first of several; an epoch of NaN is none.

        mode: "max" or "min", what is best; see `better_is` for what it is without. Raises
        KeyError that lists the quantities there are, ValueError where all are NaN.
        """
        self._check(name)
        best = max if better_is(name, mode) == "max" else min
        numbers = [r for r in self if not math.isnan(r.get(name, math.nan))]
        if not numbers:
            raise ValueError(f"the history has no best epoch: {name} is NaN in all of them")
        return best(numbers, key=lambda record: record[name])

    def _check(self, name: str) -> None:
        known = list(self[0]) if self else []
        if name not in known:
            raise KeyError(f"the history has no {name!r}; it has {', '.join(known) or 'no epoch'}")


def to_columns(records: Iterable[Record]) -> list[dict[str, np.ndarray]]:
    """The records as a checkpoint keeps them: an array for each quantity, over the epochs.

    Records of other quantities than the ones before them begin a dict of their own.

    >>> to_columns([{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.4}])
    [{'epoch': array([1, 2]), 'loss': array([0.9, 0.4])}]
    """
    groups = ((names, list(group)) for names, group in itertools.groupby(records, key=tuple))
    return [{name: np.array([r[name] for r in group]) for name in names} for names, group in groups]


def from_columns(groups: Iterable[Mapping[str, Any]]) -> list[Record]:
    """The records again; a single number stands for one epoch.

    Raises ValueError for what are no numbers, or columns of different lengths.
    """
    records: list[Record] = []
    for group in groups:
        columns = [np.atleast_1d(values) for values in group.values()]
        if any(column.ndim > 1 or column.dtype.kind not in "iuf" for column in columns):
            raise ValueError(f"{dict(group)!r:.60} are no records of epochs")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        records += [dict(zip(group, row)) for row in rows]
    return records


def better_is(name: str, mode: str | None = None) -> str:
    """Which value of a quantity is the better one: "min", the lower, or "max", the higher.

    mode: what the user says of it; without that the name decides. Of a name that says nothing a
    warning asks, and "max" is taken.

    >>> better_is("validation_error_rate"), better_is("top5"), better_is("energy", mode="min")
    ('min', 'max', 'min')
    """
    if mode is not None:
        if mode not in ("min", "max"):
            raise unknown_name("mode", mode, ["min", "max"])
        return mode
    known = known_direction(name)
    if known is None:
        warnings.warn(
            f"is a high value of {name} a good one or a bad one? It is taken for good; say which "
            "with mode='max' or mode='min'",
            stacklevel=3,
        )
    return known or "max"


LOW = re.compile(
    r"((log|cross)?(loss|losses|entropy))|errors?|r?msl?e|mae|mape|perplexity|divergence|distance"
    r"|deviation|costs?|nll|ppl|bce|ce|kld?|hinge|huber|brier|ece|wer|cer|fpr|fnr"
)
HIGH = re.compile(
    r"accuracy|precision|recall|score|correlation|similarity|sensitivity|specificity|likelihood"
    r"|acc|top\d*|f\d|auc|auroc|ap|map|m?iou|dice|jaccard|r2|psnr|ssim|kappa|mcc|tpr|tnr"
)
TURNED = re.compile(
    r"neg|minus|inverse|(reduc|improve|chang|decr|differ|drop)|(non|not|gap|gains?|delta|fall)$"
)


def known_direction(name: str) -> str | None:
    """What the name of a quantity says of it: "min", "max", or None for nothing.

    Whole words count, those of camelCase too.
    """
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower())
    if any(TURNED.match(word) for word in words):
        return None  # a loss turned round, or how far an accuracy fell
    if any(LOW.fullmatch(word) for word in words):
        return "min"
    return "max" if any(HIGH.fullmatch(word) for word in words) else None


def monitored(names: Sequence[str], record: Record) -> str:
    """The first of these quantities that a record has. Raises KeyError that lists what it has."""
    name = next((name for name in names if name in record), None)
    if name is None:
        raise KeyError(
            f"cannot monitor {' or '.join(names)}: the records have {', '.join(record)}. Choose "
            "among them with monitor=; what starts with validation_ needs validate=."
        )
    return name


def describe(record: Record, epochs: int) -> str:
    """A record as one line.

    >>> record = {"epoch": 3, "loss": 0.25, "accuracy": 0.913, "lr": 0.1, "seconds": 1.5}
    >>> describe(record, 12)
    'epoch  3/12  loss 0.2500  accuracy 91.30 %  1.5 s'
    """
    epoch = f"epoch {int(record['epoch']):>{len(str(epochs))}}/{epochs}"
    measured = {k: v for k, v in record.items() if k not in ("epoch", "lr", "seconds")}
    return f"{epoch}  {format_values(measured)}  {record['seconds']:.1f} s"


def format_values(values: Record) -> str:
    """Losses and metrics on a line; the word validation stands once, before those it is true of.

    >>> format_values({"loss": 0.1, "validation_loss": 0.2, "validation_accuracy": 0.9})
    'loss 0.1000  validation loss 0.2000  accuracy 90.00 %'
    """
    trained = [format_value(k, v) for k, v in values.items() if not k.startswith(VALIDATION)]
    validated = [
        format_value(k.removeprefix(VALIDATION), v)
        for k, v in values.items()
        if k.startswith(VALIDATION)
    ]
    if validated:
        trained.append("validation " + "  ".join(validated))
    return "  ".join(trained)


def format_value(name: str, value: float) -> str:
    """`loss 0.2500`, or for shares `accuracy 91.30 %`."""
    label = name.replace("_", " ")
    return f"{label} {100 * value:.2f} %" if "accuracy" in name else f"{label} {value:.4f}"
