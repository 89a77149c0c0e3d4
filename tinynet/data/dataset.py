"""Datasets: examples that can be counted and picked, and ways to split them.

`ArrayDataset` holds whole arrays and is picked from by index arrays, a batch at a time, so no
Python runs per example. Anything else with `__len__` and `__getitem__` is a dataset too; its
examples are stacked one by one.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tinynet.data.files import warn
from tinynet.data.transforms import apply_transform, check_transform
from tinynet.errors import DataError, integer
from tinynet.random import default_rng

Arrays = tuple[np.ndarray, ...]


class Examples(Protocol):
    """What a DataLoader accepts: a length, and an example for each index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class Batched(Protocol):
    """Examples that can be picked many at a time."""

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Arrays: ...


class Dataset:
    """A class to derive from: write `__len__` and `__getitem__(index) -> (x, label)`.

    Examples are then stacked one by one into batches. Override `take` where whole batches can be
    made at once.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__")

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Arrays:
        """The examples at `indices` (B,) as arrays of B rows each."""
        return collate([self[int(i)] for i in indices])


class ArrayDataset(Dataset):
    """Examples that lie in arrays of equal length: example i is row i of each.

    arrays: images (N, C, H, W) and labels (N,) as a rule, but any number of arrays of any shape
    will do. Nothing is copied, except that a one-dimensional array of integers (labels) becomes
    int64. classes: the name of each label. transform: applied to batches of the first array.

    Raises ValueError if the lengths differ or there is no array.

    >>> dataset = ArrayDataset(np.zeros((3, 1, 2, 2), np.uint8), [0, 1, 0], classes=("no", "yes"))
    >>> len(dataset), dataset[1][1], dataset.labels
    (3, np.int64(1), array([0, 1, 0]))
    """

    def __init__(
        self,
        *arrays: Any,
        classes: Sequence[str] | None = None,
        transform: Callable[..., np.ndarray] | None = None,
    ) -> None:
        if not arrays:
            raise ValueError("ArrayDataset needs at least one array, e.g. (images, labels)")
        self.arrays: Arrays = tuple(_as_column(a) for a in arrays)
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"ArrayDataset: the arrays must be equally long, got {lengths}; "
                f"array[:{min(lengths)}] would cut each to the shortest"
            )
        self.classes = None if classes is None else tuple(classes)
        self.transform = check_transform("ArrayDataset", "transform", transform)

    @property
    def images(self) -> np.ndarray:
        """The first array, untransformed."""
        return self.arrays[0]

    @property
    def labels(self) -> np.ndarray:
        """The second array (N,)."""
        if len(self.arrays) < 2:
            raise ValueError("this ArrayDataset has no labels: it holds one array only")
        return self.arrays[1]

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> Any:
        i = _checked_index(index, len(self))
        return tuple(a[0] for a in self.take(np.array([i])))

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Arrays:
        """The rows at `indices` (B,) of every array, the first one transformed."""
        rows = tuple(a[indices] for a in self.arrays)
        if self.transform is None:
            return rows
        return (apply_transform(self.transform, rows[0], rng), *rows[1:])

    def __repr__(self) -> str:
        arrays = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.arrays)
        classes = "" if self.classes is None else f", {len(self.classes)} classes"
        return f"ArrayDataset({arrays}{classes})"


class Subset(Dataset):
    """The examples of `dataset` at `indices`, in that order. The data is not copied.

    indices: integers, or a bool for every example of the dataset. Raises IndexError for an
    index outside the dataset, TypeError for other numbers.
    """

    def __init__(self, dataset: Examples, indices: Any) -> None:
        self.dataset = dataset
        chosen = np.asarray(indices).reshape(-1)
        if chosen.dtype == np.bool_ and len(chosen) == len(dataset):
            chosen = np.flatnonzero(chosen)
        elif chosen.size and chosen.dtype.kind not in "iu":
            raise TypeError(
                f"Subset: indices must be integers, or {len(dataset)} bools, one for each "
                f"example; got {len(chosen)} of {chosen.dtype}"
            )
        self.indices = chosen.astype(np.int64)
        outside = (self.indices < 0) | (self.indices >= len(dataset))
        if outside.any():
            raise IndexError(
                f"Subset: index {self.indices[outside][0]} is outside the dataset, which has "
                f"{len(dataset)} examples (0 to {len(dataset) - 1})"
            )

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names of the dataset underneath, if it has any."""
        return getattr(self.dataset, "classes", None)

    @property
    def labels(self) -> np.ndarray:
        """The labels of these examples (N,)."""
        return labels_of(self.dataset)[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[_checked_index(index, len(self))])]

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Arrays:
        return take(self.dataset, self.indices[indices], rng)

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"


def take(dataset: Examples, indices: np.ndarray, rng: np.random.Generator | None = None) -> Arrays:
    """The examples at `indices` (B,) of any dataset as a tuple of arrays of B rows each."""
    if isinstance(dataset, Batched) and not hasattr(dataset, "dtype"):  # which an array has
        return dataset.take(indices, rng)
    return collate([dataset[int(i)] for i in indices])


def collate(examples: Sequence[Any]) -> Arrays:
    """Stack examples, each a tuple of things of equal shapes, into a tuple of arrays.

    Raises ValueError where the shapes, or the numbers of parts, differ among the examples.

    >>> collate([(np.zeros(2), 0), (np.ones(2), 1)])
    (array([[0., 0.],
           [1., 1.]]), array([0, 1]))
    """
    rows = [e if isinstance(e, (tuple, list)) else (e,) for e in examples]
    counts = sorted({len(row) for row in rows})
    if len(counts) > 1:
        raise ValueError(f"cannot stack examples of {counts} parts into one batch")
    columns = []
    for k, parts in enumerate(zip(*rows)):
        try:
            arrays = [np.asarray(part) for part in parts]
        except ValueError as error:
            raise ValueError(
                f"part {k} of an example holds things of different shapes itself; make them parts "
                "of their own: return (a, b, label) and not ((a, b), label)"
            ) from error
        shapes = {a.shape for a in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f"cannot stack part {k} of the examples of a batch: their shapes are "
                f"{', '.join(map(str, sorted(shapes)))}. Make them equal in __getitem__."
            )
        columns.append(np.stack(arrays))
    return tuple(columns)


def random_split(
    dataset: Examples,
    lengths: Sequence[float],
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[Subset]:
    """Split a dataset at random into parts that do not overlap.

    lengths: counts that sum to `len(dataset)`, or fractions that sum to 1, each of them enough
    for one example. seed or rng fixes the split; without them the default generator of tinynet is
    used.

    >>> train, held_out = random_split(ArrayDataset(np.arange(10)), [0.8, 0.2], seed=1)
    >>> len(train), len(held_out)
    (8, 2)
    """
    counts = part_sizes(len(dataset), lengths)
    order = _generator(seed, rng).permutation(len(dataset))
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def stratified_split(
    dataset: Examples,
    lengths: Sequence[float],
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[Subset]:
    """Split a labelled dataset at random so that every part has the same mix of classes.

    lengths, seed, rng: as for `random_split`. Needs a dataset with `labels`, such as an
    ArrayDataset. Within a part the examples keep their order.
    """
    labels = labels_of(dataset)
    if labels.shape != (len(dataset),):
        raise ValueError(
            f"stratified_split needs one label for each of the {len(dataset)} examples, got "
            f"labels of shape {labels.shape}; use random_split"
        )
    parts = stratified_indices(labels, lengths, _generator(seed, rng))
    return [Subset(dataset, part) for part in parts]


def stratified_indices(
    labels: np.ndarray, lengths: Sequence[float], rng: np.random.Generator
) -> list[np.ndarray]:
    """Index arrays of parts with equal class mixes; each class differs by one at most.

    All examples are laid in a row, class by class and shuffled within each class. Each part takes
    its examples evenly spaced from the whole row, and so in proportion from every class.
    """
    counts = part_sizes(len(labels), lengths)
    shuffled = rng.permutation(len(labels))
    row = shuffled[np.argsort(labels[shuffled], kind="stable")]
    places = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in counts])
    owners = np.repeat(np.arange(len(counts)), counts)[np.argsort(places, kind="stable")]
    return [np.sort(row[owners == part]) for part in range(len(counts))]


def part_sizes(total: int, lengths: Sequence[float]) -> list[int]:
    """Counts for parts given as counts or as fractions of `total`; they sum to `total`.

    >>> part_sizes(10, [0.75, 0.25])
    [8, 2]
    """
    try:
        numbers = [float(n + 0.0) for n in lengths]  # which no text is
        shares = [int(n) if n.is_integer() else n for n in numbers]
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"a split takes a list of counts or fractions, such as [0.8, 0.2]; got {lengths!r}"
        ) from error
    if not shares or not all(n >= 0 for n in shares):
        raise ValueError(f"the parts of a split must be 0 or more, got {shares}")
    counts = [n for n in shares if isinstance(n, int)]
    if len(counts) == len(shares) and sum(counts) == total:
        return counts
    if not abs(sum(shares) - 1) < 1e-6:
        raise ValueError(
            f"the parts of a split must be counts that sum to the {total} examples of the dataset "
            f"or fractions that sum to 1; {shares} sums to {sum(shares)}"
        )
    edges = [round(total * share) for share in np.cumsum(shares)]
    edges[-1] = total
    counts = [int(n) for n in np.diff([0, *edges])]
    for share, n in zip(shares, counts):
        if share and not n:
            raise ValueError(
                f"a split of {total} examples into {shares} leaves the part of {share} empty; "
                f"bring more examples, or give counts that sum to {total}"
            )
    return counts


def hold_out(
    labels: np.ndarray, share: float, seed: int, where: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of a training and a test part, of which `share` of every class is the latter.

    where: whose labels they are. Raises DataError if there are too few for two parts.
    """
    try:
        train, test = stratified_indices(labels, [1 - share, share], np.random.default_rng(seed))
    except ValueError as error:
        raise DataError(f"{where}: no test part can be held out: {error}") from error
    return train, test


def warn_of_empty(
    where: str,
    labels: np.ndarray,
    count: int,
    names: Sequence[str] | None = None,
    cure: str = "",
) -> None:
    """Warn of those of `count` classes that have no example, and of a class that is alone.

    where: the data, for the message. names: those of the classes. cure: what to do about it.
    """
    there = set(np.unique(labels).tolist())
    missing = list(itertools.islice((k for k in range(count) if k not in there), 9))
    if missing:
        listed = ", ".join(names[k] if names else str(k) for k in missing[:8])
        told = f"no example of {listed}{', ...' * (len(missing) > 8)} among {count} classes{cure}"
    elif count == 1:
        told = "all examples are of one class, so there is nothing to learn"
    else:
        return
    warn(f"{where}: {told}")


def labels_of(dataset: Examples) -> np.ndarray:
    """The labels (N,) of a dataset that keeps them, else a ValueError that says what to do."""
    labels = getattr(dataset, "labels", None)
    if labels is None:
        raise ValueError(
            f"{type(dataset).__name__} has no attribute `labels`; give it one, an integer array "
            f"of length {len(dataset)}, or use random_split"
        )
    return np.asarray(labels)


def _generator(seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    if seed is not None and rng is not None:
        raise ValueError("give seed or rng, not both")
    if seed is None:
        return default_rng(rng)
    return np.random.default_rng(integer("split", "seed", seed))


def _as_column(array: Any) -> np.ndarray:
    column = np.asarray(array)
    if column.ndim == 0:
        raise ValueError(f"ArrayDataset holds arrays with a first axis, got the scalar {array!r}")
    if column.ndim == 1 and column.dtype.kind in "iu":
        return column.astype(np.int64, copy=False)
    return column


def _checked_index(index: int, length: int) -> int:
    i = operator.index(index)
    if not -length <= i < length:
        raise IndexError(f"example {i} of a dataset of {length} (0 to {length - 1})")
    return i % length
