"""What a model makes of data: which class it takes for which, how sure it is, where it errs.

`Findings` are gathered batch by batch while the model is evaluated. They hold counts, the inputs of
a few examples, and of numbers these; so they cost next to nothing, however large the data are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinynet.tensor import Tensor
from tinynet.training.batches import is_dataset, size_of, source
from tinynet.training.losses import are_numbers, as_scores
from tinynet.training.metrics import are_classes, confusion_matrix

MISTAKES = 20  # how many are kept to be looked at
EXAMPLES = 2  # how many that are right
NUMBERS = 4  # of an example, each of which can be read; more are no findings


@dataclass(frozen=True)
class Example:
    """One example: its place in the data, the model's input, what it is and what it is taken for.

    label, taken_for: the number of a class, a map (H, W) of such, or numbers (D,). sure: the
    probability that the model gives to the class; the share of a map that is wrong; the largest
    error of the numbers.
    """

    index: int
    x: np.ndarray
    label: Any
    taken_for: Any
    sure: float


class Score(NamedTuple):
    """How well one class is told: of `images` examples."""

    name: str
    images: int
    precision: float
    recall: float
    f1: float


def named(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The names of `count` classes: these, and numbers for those that have none."""
    known = tuple(names or ())[:count]
    return (*known, *map(str, range(len(known), count)))


class Findings:
    """Counts of what was taken for what, the worst mistakes, and a few examples that are right.

    classes: the names; numbers without them. loss: its name, which says what the outputs mean.
    data: where the examples come from, in order. of: what is counted, "examples" or, of maps,
    "pixels". Where the outputs are no scores of classes, `len` is 0; numbers are in `pairs`.
    """

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        keep: int = MISTAKES,
        loss: str | None = None,
        data: Any = None,
    ) -> None:
        self.names = tuple(classes or ())
        dataset, rows = source(data)
        known = is_dataset(dataset) and not getattr(data, "shuffle", False)
        self.rows: Any = rows if known else ()
        self.files: Sequence[str] = getattr(dataset, "files", ())
        self.keep, self.loss, self.of = keep, loss, "examples"
        self.matrix = np.zeros((0, 0), np.int64)
        self.pairs: list[np.ndarray] = []  # of each batch what is true and what the model says
        self.mistakes: list[Example] = []
        self.right: list[Example] = []
        self.seen = 0  # examples, of which the next is the one after

    def __len__(self) -> int:
        return int(self.matrix.sum())

    def add(self, x: Any, output: Any, target: Any) -> None:
        """Take note of a batch: its inputs, the model's outputs, and the targets."""
        N = size_of(x, target)
        first, self.seen = self.seen, self.seen + N
        if not isinstance(output, Tensor) or not isinstance(target, Tensor):
            return
        scores, labels = (part.array for part in as_scores(output, target, self.loss))
        hits = np.zeros(0, np.int64)
        if are_classes(scores, labels):
            K = scores.shape[1]
            if len(self.matrix) != K:
                self.matrix = np.zeros((K, K), np.int64)
                self.names = named(self.names, K)
            taken = scores.argmax(1)  # (N, ...)
            counts = (labels >= 0) & (labels < K) & ~np.isnan(scores).any(1)  # -100 is no class
            self.matrix += confusion_matrix(np.moveaxis(scores, 1, -1)[counts], labels[counts])
            wrong = (taken != labels) & counts
            if labels.ndim == 1:
                shifted = scores - scores.max(1, keepdims=True)
                rank = 1 / np.exp(shifted.astype(np.float64)).sum(1)  # the softmax of the highest
                worst, hits = np.flatnonzero(wrong), np.flatnonzero(taken == labels)
            else:
                self.of, worst = "pixels", np.arange(N)
                rank = wrong.reshape(N, -1).mean(1)
        elif are_numbers(self.loss or "mse") and scores.size == labels.size <= NUMBERS * N:
            labels, taken = labels.reshape(N, -1), scores.reshape(N, -1)  # (N, D)
            self.pairs.append(np.stack([labels, taken], 1))
            rank = np.abs(taken - labels).max(1)
            worst = np.flatnonzero(np.isfinite(rank))
        else:
            return

        def example(i: int) -> Example:
            inputs = getattr(x, "array", None)
            image = np.zeros(()) if inputs is None else inputs[i].copy()
            return Example(first + i, image, labels[i].copy(), taken[i].copy(), float(rank[i]))

        worst = worst[np.argsort(-rank[worst], kind="stable")][: self.keep]
        some = hits[np.unique(labels[hits], return_index=True)[1]]
        right = [example(i) for i in some.tolist()] if len(self.right) < EXAMPLES else []
        self._keep([example(i) for i in worst.tolist()], right)

    def include(self, other: "Findings") -> None:
        """Take note of what was found in other examples of the same data."""
        if len(other):
            self.matrix = self.matrix + other.matrix if len(self) else other.matrix
            self.names, self.of = other.names, other.of
        self.pairs += other.pairs
        self._keep(other.mistakes, other.right)

    def _keep(self, mistakes: list[Example], right: list[Example]) -> None:
        """Of these and those that are kept, the worst mistakes and the first that are right."""
        self.mistakes = sorted(self.mistakes + mistakes, key=lambda e: (-e.sure, e.index))
        del self.mistakes[self.keep :]
        kept: list[Example] = []
        for e in sorted(self.right + right, key=lambda e: e.index):
            if len(kept) < EXAMPLES and e.label not in [other.label for other in kept]:
                kept.append(e)
        self.right = kept

    def place(self, example: Example) -> str:
        """Where an example is to be found: its file, or its row in the data, from 0."""
        if example.index >= len(self.rows):
            return f"example {example.index}"
        row = int(self.rows[example.index])
        return str(self.files[row]) if row < len(self.files) else f"row {row}"

    def accuracy(self) -> float:
        """The share that is right."""
        return float(self.matrix.trace() / max(len(self), 1))

    def figures(self) -> dict[str, float]:
        """What sums it up, by the names of metrics: the accuracy, or how far numbers are off."""
        if len(self):
            return {"accuracy": self.accuracy()}
        if not self.pairs:
            return {}
        true, said = np.concatenate(self.pairs).astype(np.float64).swapaxes(0, 1)
        return {"mae": abs(said - true).mean(), "rmse": float(np.sqrt(((said - true) ** 2).mean()))}

    def scores(self) -> list[Score]:
        """Precision, recall and F1 of every class; 0 where there is nothing to divide by."""
        there, taken = self.matrix.sum(1), self.matrix.sum(0)
        sizes = [taken, there, (there + taken) / 2]
        shares = self.matrix.diagonal() / np.maximum(sizes, 0.5)  # (3, K)
        rows = zip(self.names, there.tolist(), *shares.tolist())
        return [Score(*row) for row in rows]

    def confusions(self, most: int) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: what it is, what it is taken for, how often, which share."""
        wrong = self.matrix - np.diag(self.matrix.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        return [
            (self.names[i], self.names[j], int(wrong[i, j]), wrong[i, j] / self.matrix[i].sum())
            for i, j in zip(*np.unravel_index(order, wrong.shape))
            if wrong[i, j]
        ]
