"""Datasets: examples that can be counted and picked, or only iterated, and ways to combine them.

Anything with `__len__` and `__getitem__` is a dataset. A `Dataset` that has a method
`take(indices, rng)` as well gives whole batches at once, so that no Python runs for each example.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from tinynet.errors import integer
from tinynet.random import default_rng
from tinynet.tensor import Tensor
from tinynet.utils.data.collate import default_collate

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset",
    "random_split",
]  # fmt: skip

T_co = TypeVar("T_co", covariant=True)


class Examples(Protocol):
    """What a DataLoader accepts: a length, and an example for each index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Dataset(Generic[T_co]):
    """A class to derive from: write `__len__` and `__getitem__(index) -> (x, label)`.

    Examples are then collated one by one. Write `take(indices, rng)` too where whole batches can
    be made at once.
    """

    def __getitem__(self, index: int) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} needs __getitem__")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])  # type: ignore[list-item]


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A class to derive from for examples that come as a stream: write `__iter__`."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} needs __iter__")

    def __add__(self, other: Any) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Examples that lie in tensors of equal length: example i is row i of each."""

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor, e.g. (images, labels)")
        for k, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"TensorDataset: argument {k} must be a tensor, got {type(tensor).__name__}; "
                    "tinynet.as_tensor makes one, data.ArrayDataset takes arrays"
                )
        check_lengths("TensorDataset", tensors)
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def take(
        self, indices: np.ndarray, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, ...]:
        """The rows at `indices` (B,) of every tensor."""
        return self[indices]


class Subset(Dataset[Any]):
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
        self._chosen: np.ndarray | list[int] = chosen
        outside = chosen[(chosen < 0) | (chosen >= len(dataset))]
        if outside.size:
            raise IndexError(
                f"Subset: index {outside[0]} is outside the dataset, which has {len(dataset)} "
                f"examples (0 to {len(dataset) - 1})"
            )

    @property
    def indices(self) -> list[int]:
        """Their places in the dataset underneath: a list, in which changes count, as in PyTorch."""
        if isinstance(self._chosen, np.ndarray):
            self._chosen = [int(i) for i in self._chosen]
        return self._chosen

    @indices.setter
    def indices(self, indices: Any) -> None:
        self.__init__(self.dataset, indices)  # type: ignore[misc]  # which looks at them

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Where in the dataset underneath the examples at `indices` (B,) are."""
        return np.array([self._chosen[i] for i in indices.tolist()], np.int64)

    @property
    def classes(self) -> Sequence[str] | None:
        """The class names of the dataset underneath, if it has any."""
        return getattr(self.dataset, "classes", None)

    @property
    def labels(self) -> np.ndarray:
        """The labels of these examples (N,)."""
        return labels_of(self.dataset)[self._chosen]

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self._chosen[checked_index(index, len(self))])]

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Any:
        """The examples at `indices` (B,) as a batch."""
        return take(self.dataset, self.places(indices), rng)

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {self.dataset!r})"


class ConcatDataset(Dataset[Any]):
    """The examples of several datasets, one after the other."""

    def __init__(self, datasets: Iterable[Examples]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one dataset")
        self.cumulative_sizes = [*itertools.accumulate(len(dataset) for dataset in self.datasets)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        i = checked_index(index, len(self))
        k = bisect.bisect_right(self.cumulative_sizes, i)
        return self.datasets[k][i - (self.cumulative_sizes[k - 1] if k else 0)]


class ChainDataset(IterableDataset[Any]):
    """The examples of several IterableDatasets, one after the other."""

    def __init__(self, datasets: Iterable[Iterable[Any]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)


def takes_batches(dataset: Any) -> bool:
    """Whether it is a Dataset with `take`, and no class further down makes its examples anew."""
    for kind in type(dataset).__mro__ if isinstance(dataset, Dataset) else ():
        if "take" in vars(kind) or "__getitem__" in vars(kind):
            return "take" in vars(kind)
    return False


def take(dataset: Examples, indices: np.ndarray, rng: np.random.Generator | None = None) -> Any:
    """The examples at `indices` (B,) of any dataset as a batch."""
    if takes_batches(dataset):
        return dataset.take(indices, rng)  # type: ignore[attr-defined]
    return default_collate([dataset[int(i)] for i in indices])


def random_split(
    dataset: Examples,
    lengths: Sequence[float],
    generator: Any = None,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[Subset]:
    """Split a dataset at random into parts that do not overlap.

    lengths: counts that sum to `len(dataset)`, or fractions that sum to 1, each of them enough
    for one example. generator fixes the split, as do seed or rng, its names elsewhere in tinynet;
    without them the default generator is used.

    >>> train, held_out = random_split(range(10), [0.8, 0.2], seed=1)
    >>> len(train), len(held_out)
    (8, 2)
    """
    counts = part_sizes(len(dataset), lengths)
    order = split_generator(seed, generator if rng is None else rng).permutation(len(dataset))
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(counts)[:-1])]


def part_sizes(total: int, lengths: Sequence[float]) -> list[int]:
    """Counts for parts given as counts or as fractions of `total`; they sum to `total`.

    Fractions are rounded down; of what is left, each part from the first on gets one, as in
    PyTorch.

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
    counts = [math.floor(total * share) for share in shares]
    for k in range(total - sum(counts)):
        counts[k % len(counts)] += 1
    if any(share and not n for share, n in zip(shares, counts)):
        raise ValueError(
            f"a split of {total} examples into {shares} leaves a part empty; bring more examples, "
            f"or give counts that sum to {total}, or shares of {math.ceil(1000 / total) / 1000:g} "
            "or more"
        )
    return counts


def split_generator(seed: int | None, rng: Any) -> np.random.Generator:
    """The generator of a split: that of the seed, else `rng`, else the default one."""
    if seed is not None and rng is not None:
        raise ValueError("give seed or rng, not both")
    chosen = rng if seed is None else np.random.default_rng(integer("split", "seed", seed))
    return default_rng(chosen)


def labels_of(dataset: Examples) -> np.ndarray:
    """The labels (N,) of a dataset that keeps them, else a ValueError that says what to do."""
    found = (getattr(dataset, name, None) for name in ("labels", "targets"))
    labels = next((values for values in found if values is not None), None)
    if labels is None:
        raise ValueError(
            f"{type(dataset).__name__} has no attribute `labels`; give it one, an integer array "
            f"of length {len(dataset)}, or use random_split"
        )
    return np.asarray(labels)


def check_lengths(owner: str, arrays: Sequence[Any]) -> None:
    """Raise ValueError unless the arrays are equally long."""
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{owner}: the arrays must be equally long, got {lengths}; "
            f"array[:{min(lengths)}] would cut each to the shortest"
        )


def checked_index(index: int, length: int) -> int:
    """The index counted from the beginning. Raises IndexError for one that is outside."""
    i = operator.index(index)
    if not -length <= i < length:
        raise IndexError(f"example {i} of a dataset of {length} (0 to {length - 1})")
    return i % length
