"""Samplers: in which order the examples of a dataset come, or which of them.

A sampler is iterated once an epoch and yields indices. Those that draw do so from `generator`, or
else from tinynet's default one, which is what a DataLoader fixes for every epoch.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from tinynet.errors import integer
from tinynet.random import default_rng

__all__ = [
    "BatchSampler", "DistributedSampler", "RandomSampler", "Sampler", "SequentialSampler",
    "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """A class to derive from: write `__iter__`, which yields indices, and `__len__`."""

    def __init__(self, data_source: Sized | None = None) -> None:
        """data_source: the dataset; what a sampler keeps of it is its own affair."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} needs __iter__")


class ArraySampler(Sampler[int]):
    """A sampler that knows all indices of an epoch at once."""

    def order(self) -> np.ndarray:
        """The indices of an epoch."""
        raise NotImplementedError(f"{type(self).__name__} needs order")

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())


def order_of(sampler: Iterable[Any]) -> np.ndarray:
    """The indices of an epoch of any sampler."""
    return sampler.order() if isinstance(sampler, ArraySampler) else np.array([*sampler])


class SequentialSampler(ArraySampler):
    """All examples in their order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def order(self) -> np.ndarray:
        return np.arange(len(self))


class RandomSampler(ArraySampler):
    """The examples in a random order, or drawn one by one with replacement.

    num_samples: how many, all by default; without replacement a second permutation follows where
    the first is used up.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        if num_samples is not None:
            integer("RandomSampler", "num_samples", num_samples, 1)
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __len__(self) -> int:
        return self.num_samples

    def order(self) -> np.ndarray:
        n, rng = len(self.data_source), default_rng(self.generator)
        if self.replacement:
            return rng.integers(n, size=len(self))
        orders = [rng.permutation(n) for _ in range(0, len(self) if n else 0, max(n, 1))]
        return np.concatenate([np.arange(0), *orders])[: len(self)]


class DistributedSampler(ArraySampler):
    """The part of the process `rank` of `num_replicas`, in another order each epoch if shuffle."""

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas or 1, rank or 0
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next one is: seed + epoch decides its order."""
        self.epoch = epoch

    def __len__(self) -> int:
        rest = 0 if self.drop_last else self.num_replicas - 1
        return (len(self.dataset) + rest) // self.num_replicas

    def order(self) -> np.ndarray:
        n, rng = len(self.dataset), np.random.default_rng(self.seed + self.epoch)
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        return np.resize(order, len(self) * self.num_replicas)[self.rank :: self.num_replicas]


class SubsetRandomSampler(ArraySampler):
    """The examples at `indices` in a random order."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __len__(self) -> int:
        return len(self.indices)

    def order(self) -> np.ndarray:
        return default_rng(self.generator).permutation(np.asarray(self.indices))


class WeightedRandomSampler(ArraySampler):
    """`num_samples` indices, i with a probability in proportion to weights[i].

    weights: (N,), 0 or more. Without replacement no example comes twice.
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Any = None
    ) -> None:
        self.weights = np.asarray(weights, np.float64)
        self.num_samples = integer("WeightedRandomSampler", "num_samples", num_samples, 1)
        self.replacement = replacement
        self.generator = generator
        w = self.weights
        if w.ndim != 1 or not (w >= 0).all() or not 0 < w.sum() < np.inf:
            raise ValueError(
                "WeightedRandomSampler: weights must be one number for each example, 0 or more "
                f"and not all 0; got shape {w.shape}: {w.ravel()[:8].tolist()}"
            )
        if not replacement and num_samples > np.count_nonzero(w):
            raise ValueError(
                f"WeightedRandomSampler: num_samples={num_samples} without replacement, but only "
                f"{np.count_nonzero(w)} of the {w.size} weights are above 0"
            )

    def __len__(self) -> int:
        return self.num_samples

    def order(self) -> np.ndarray:
        p = self.weights / self.weights.sum()
        rng = default_rng(self.generator)
        return rng.choice(p.size, self.num_samples, self.replacement, p)


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of `batch_size`."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = integer("BatchSampler", "batch_size", batch_size, 1)
        self.drop_last = drop_last

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := [*itertools.islice(indices, self.batch_size)]:
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch
