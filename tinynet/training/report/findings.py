"""What a model makes of data: which class it takes for which, how sure it is, where it errs.

`Findings` are gathered batch by batch while the model is evaluated. They hold counts, and the
inputs of a few examples; so they cost next to nothing, however large the data are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinynet.training.losses import as_scores
from tinynet.training.metrics import are_classes, confusion_matrix

MISTAKES = 20  # how many are kept to be looked at
EXAMPLES = 2  # how many that are right


@dataclass(frozen=True)
class Example:
    """One example: its place in the data, the model's input, what it is and what it is taken for.

    sure: the probability that the model gives to what it takes it for.
    """

    index: int
    x: np.ndarray
    label: int
    taken_for: int
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
    """Counts of what was taken for what, the surest mistakes, and a few examples that are right.

    classes: the names; numbers without them. files: what the examples were read from, if anything.
    loss: the name of the model's, which says what a single output means. Outputs that are no scores
    (N, K) of classes for labels (N,) leave it empty, with `len` 0.
    """

    def __init__(
        self, classes: Sequence[str] | None = None, keep: int = MISTAKES, loss: str | None = None
    ) -> None:
        self.names = tuple(classes or ())
        self.files: Sequence[str] = ()
        self.keep = keep
        self.loss = loss
        self.matrix = np.zeros((0, 0), np.int64)
        self.mistakes: list[Example] = []
        self.right: list[Example] = []
        self.seen = 0  # examples, of which the next is the one after

    def __len__(self) -> int:
        return int(self.matrix.sum())

    def add(self, x: Any, output: Any, target: Any) -> None:
        """Take note of a batch: its inputs, the model's outputs, and the labels."""
        output, target = as_scores(output, target, self.loss)
        inputs, scores, labels = (getattr(part, "array", None) for part in (x, output, target))
        first, self.seen = self.seen, self.seen + len(x)
        if scores is None or labels is None or scores.ndim != 2 or not are_classes(scores, labels):
            return
        K = scores.shape[1]
        if len(self.matrix) != K:
            self.matrix = np.zeros((K, K), np.int64)
            self.names = named(self.names, K)
        taken = scores.argmax(1)  # (N,)
        counts = (labels >= 0) & (labels < K) & ~np.isnan(scores).any(1)  # -100 means no class
        self.matrix += confusion_matrix(scores[counts], labels[counts])
        shifted = scores - scores.max(1, keepdims=True)
        sure = 1 / np.exp(shifted.astype(np.float64)).sum(1)  # (N,): the softmax of the highest
        wrong = np.flatnonzero((taken != labels) & counts)

        def example(i: int) -> Example:
            image = np.zeros(()) if inputs is None else inputs[i].copy()
            return Example(first + i, image, int(labels[i]), int(taken[i]), float(sure[i]))

        surest = wrong[np.argsort(-sure[wrong], kind="stable")][: self.keep]
        right = []
        if len(self.right) < EXAMPLES:
            hits = np.flatnonzero(taken == labels)
            right = [example(int(hits[i])) for i in np.unique(labels[hits], return_index=True)[1]]
        self._keep([example(int(i)) for i in surest], right)

    def include(self, other: Findings) -> None:
        """Take note of what was found in other examples of the same data."""
        if len(other):
            self.matrix = self.matrix + other.matrix if len(self) else other.matrix
            self.names = other.names
        self._keep(other.mistakes, other.right)

    def _keep(self, mistakes: list[Example], right: list[Example]) -> None:
        """Of these and those that are kept, the surest mistakes and the first that are right."""
        self.mistakes = sorted(self.mistakes + mistakes, key=lambda e: (-e.sure, e.index))
        del self.mistakes[self.keep :]
        kept: list[Example] = []
        for e in sorted(self.right + right, key=lambda e: e.index):
            if len(kept) < EXAMPLES and e.label not in [other.label for other in kept]:
                kept.append(e)
        self.right = kept

    def place(self, example: Example) -> str:
        """Where an example is to be found."""
        known = example.index < len(self.files)
        return self.files[example.index] if known else f"example {example.index}"

    def accuracy(self) -> float:
        """The share that is right."""
        return float(self.matrix.trace() / max(len(self), 1))

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
