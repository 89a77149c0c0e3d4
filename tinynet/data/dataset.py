"""Datasets that lie in arrays, and splits and checks that go by their labels.

`ArrayDataset` holds whole arrays and is picked from by index arrays, a batch at a time, so no
Python runs per example. Other datasets, and `random_split`, are those of `tinynet.utils.data`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.data.files import warn
from tinynet.errors import DataError
from tinynet.utils.data.dataset import (
    Dataset,
    Examples,
    Subset,
    check_lengths,
    checked_index,
    labels_of,
    part_sizes,
    split_generator,
)
from tinynet.vision.transforms.base import apply_transform, check_transform

Arrays = tuple[np.ndarray, ...]


class ArrayDataset(Dataset):
    """Examples that lie in arrays of equal length: example i is row i of each.

    arrays: images (N, C, H, W) and labels (N,) as a rule, but any number of arrays of any shape
    will do. Nothing is copied, except that a one-dimensional array of integers (labels) becomes
    int64. classes: the name of each label. transform: applied to batches of the first array.
    files: what each example was read from, columns: the names of a table's, and fit: how images
    were resized, where known.

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
        check_lengths("ArrayDataset", self.arrays)
        self.classes = None if classes is None else tuple(classes)
        self.files: tuple[str, ...] = ()
        self.fit: str | None = None
        self.columns: tuple[str, ...] = ()
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
        i = checked_index(index, len(self))
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
    labels = labels[:, 0] if labels.shape[1:] == (1,) else labels  # a column
    if labels.shape != (len(dataset),):
        raise ValueError(
            f"stratified_split needs one label for each of the {len(dataset)} examples, got "
            f"labels of shape {labels.shape}; use random_split"
        )
    parts = stratified_indices(labels, lengths, split_generator(seed, rng))
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


def hold_out(
    labels: np.ndarray, share: float, seed: int, where: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of a training and a test part, of which `share` of every class is the latter.

    where: whose labels they are. Raises DataError if there are too few for two parts.
    """
    needed = math.ceil(round(1 / share, 6)) if share else 1
    if len(labels) < needed:
        raise DataError(
            f"{where}: no test part can be held out: {share:g} of {len(labels)} examples is none; "
            f"{needed:,} examples are needed"
        )
    kinds = labels if labels.ndim == 1 else np.zeros(len(labels), np.int64)  # several an example
    train, test = stratified_indices(kinds, [1 - share, share], np.random.default_rng(seed))
    return train, test


def warn_of_empty(
    where: str, labels: np.ndarray, count: int, names: Sequence[str] | None = None, cure: str = ""
) -> None:
    """Warn of those of `count` classes that have no example, and of a class that is alone.

    where: the data, for the message. names: those of the classes. cure: what to do about it.
    """
    there = set(np.unique(labels).tolist())
    missing = list(itertools.islice((k for k in range(count) if k not in there), 9))
    if count > 2 * len(there):
        shown = [names[k] if names else str(k) for k in sorted(there)[:8]]
        more = ", ..." * (len(there) > 8)
        warn(f"{where}: only {', '.join(shown)}{more} of {count} classes have an example{cure}")
    elif missing:
        listed = ", ".join(names[k] if names else str(k) for k in missing[:8])
        more = ", ..." * (len(missing) > 8)
        warn(f"{where}: no example of {listed}{more} among {count} classes{cure}")
    elif count == 1:
        warn(f"{where}: all examples are of one class, so there is nothing to learn")


def _as_column(array: Any) -> np.ndarray:
    column = np.asarray(array)
    if column.ndim == 0:
        raise ValueError(f"ArrayDataset holds arrays with a first axis, got the scalar {array!r}")
    if column.ndim == 1 and column.dtype.kind in "iu":
        return column.astype(np.int64, copy=False)
    return column


def shared_images(images: np.ndarray, others: np.ndarray) -> int:
    """How many of the `others` are among the images, byte for byte; 0 for less than one in 100."""
    if images.shape[1:] != others.shape[1:] or images.dtype != others.dtype:
        return 0
    known = set(_hashes(images))
    count = sum(each in known for each in _hashes(others))
    return count if 100 * count >= len(others) else 0


def _hashes(images: np.ndarray) -> list[int]:
    return [hash(image.tobytes()) for image in images]


def warn_of_twins(where: str, train: ArrayDataset, test: ArrayDataset) -> None:
    """Warn of images that are in both parts, and of such as have two labels."""
    if count := shared_images(train.images, test.images):
        warn(
            f"{where}: {count} of {len(test)} test images are training images too, and the figures "
            "too good for images not seen: leave them out of one part"
        )
    hashes = [*_hashes(train.images), *_hashes(test.images)]
    labelled = {*zip(hashes, [*train.labels.tolist(), *test.labels.tolist()])}
    if count := len(labelled) - len({*hashes}):
        warn(f"{where}: {count} images are there with more than one label: leave out what is wrong")
