"""History: what happened, one dict an epoch; a list, so it prints, slices and dumps as one."""

import csv
import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tinynet import html
from tinynet.errors import unknown_name
from tinynet.training.metrics import VALIDATION
from tinynet.training.quantities import better_is, format_values, names_in

Record: TypeAlias = "dict[str, float]"


class History(list[Record]):
    """One record an epoch: epoch (from 1), loss, accuracy and other metrics, lr, seconds.

    With validation data also validation_loss, validation_accuracy and so on. The training loss
    and metrics are means over the epoch, taken while the model was changing; those of validation
    are of the model at the end of the epoch. lr: the highest learning rate of the epoch.

    >>> history = History([{"epoch": 1, "loss": 0.9}, {"epoch": 2, "loss": 0.4}])
    >>> history.column("loss"), history.best("loss")
    ([0.9, 0.4], {'epoch': 2, 'loss': 0.4})
    """

    def __repr__(self) -> str:
        """As a list prints, with five digits of every number."""
        return repr([{k: float(f"{v:.5g}") if v % 1 else v for k, v in r.items()} for r in self])

    def __getitem__(self, index: Any) -> Any:
        """The record of an epoch, several as a list, or of a name the column of the quantity."""
        return self.column(index) if isinstance(index, str) else super().__getitem__(index)

    def column(self, name: str) -> list[float]:
        """One quantity over the epochs. Raises KeyError that lists the quantities there are."""
        self._check(name)
        return [record[name] for record in self]

    def best(self, name: str = "validation_accuracy", mode: str | None = None) -> Record:
        """The record of the best epoch, see `standing`; an epoch of NaN is none.

        mode: "max" or "min", what is best; see `better_is` for what it is without. Raises
        KeyError that lists the quantities there are, ValueError where all are NaN.
        """
        self._check(name)
        direction = better_is(name, mode)
        numbers = [r for r in self if not math.isnan(r.get(name, math.nan))]
        if not numbers:
            raise ValueError(f"the history has no best epoch: {name} is NaN in all of them")
        return max(numbers, key=lambda record: standing(record, name, direction))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the records as a table: a line of names, and a line for each epoch."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, names_in(self))
            table.writeheader()
            table.writerows(self)

    def plot(self, *names: str) -> Any:
        """Draw a chart of each quantity, or of those named, with matplotlib (extra `plot`); returns
        its axes.

        Training and validation share a chart. In a script `matplotlib.pyplot.show()` shows it.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                'history.plot() needs matplotlib: pip install "tinynet-cnn[plot]"'
            ) from error
        from tinynet.training.report.curves import COLOURS, lines_of

        quantities = lines_of(self)
        if unknown := [name for name in names if name not in [*quantities]]:
            raise unknown_name("quantity", unknown[0], quantities)
        quantities = {name: quantities[name] for name in names or quantities}
        if not quantities:
            raise ValueError("the history has no epoch to plot")
        N = len(quantities)
        _, axes = plt.subplots(1, N, squeeze=False, layout="constrained", figsize=(4 * N, 3))
        for axis, (name, lines) in zip(axes[0], quantities.items()):
            for kind, points in lines.items():
                look = {"marker": "o" * (len(points) <= 30), "markersize": 3, "label": kind}
                axis.plot(*zip(*points), color=f"C{list(COLOURS).index(kind)}", **look)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.set(title=name.replace("_", " "), xlabel="epoch")
            axis.legend()
        return axes[0]

    def _repr_html_(self) -> str:
        """Charts and a table, for notebooks."""
        from tinynet.training.report.curves import KEY, drawn

        names = names_in(self)
        rows = [[f"{r[name]:.6g}" if name in r else "" for name in names] for r in self]
        table = html.table(names, rows, left=0)
        return (
            f"<div>{KEY}</div>{drawn(self)}"
            f"<details><summary>{len(self)} epochs</summary>{table}</details>"
        )

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


def monitored(names: Sequence[str], record: Record) -> str:
    """The first of these quantities that a record has. ValueError lists what it has."""
    for name in names:
        if name in record:
            return name
    unknown = unknown_name("monitor", " or ".join(names), record)
    raise ValueError(f"{unknown}; what starts with validation_ needs validate=")


def standing(record: Record, name: str, direction: str) -> tuple[float, float]:
    """How good an epoch is by a quantity, the higher the better; between equals the loss on
    validation data decides, or else that of training, and between equals of it the first.
    """
    value, loss = record[name], record.get(f"{VALIDATION}loss", record.get("loss", math.inf))
    return (value if direction == "max" else -value), -(math.inf if math.isnan(loss) else loss)


def describe(record: Record, epochs: int) -> str:
    """A record as one line.

    >>> record = {"epoch": 3, "loss": 0.25, "accuracy": 0.913, "lr": 0.1, "seconds": 1.5}
    >>> describe(record, 12)
    'epoch  3/12  loss 0.2500  accuracy 91.30 %  1.5 s'
    """
    epoch = f"epoch {int(record['epoch']):>{len(str(epochs))}}/{epochs}"
    measured = {k: v for k, v in record.items() if k not in ("epoch", "lr", "seconds")}
    return f"{epoch}  {format_values(measured)}  {record['seconds']:.1f} s"
