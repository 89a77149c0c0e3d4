"""The DataLoader: shuffled batches of tensors, in an order that a seed alone decides.

Nothing random is carried from batch to batch. The order of an epoch comes from a generator seeded
with (seed, epoch), the augmentation of a batch from one seeded with (seed, epoch, batch), so the
whole state is three integers and a run can go on in the middle of an epoch. While an order or a
batch is made that generator is also tinynet's default one: what draws from
`tinynet.random.default_rng()` in a sampler or in a dataset's `__getitem__` is the same again too.
NumPy's global generator is not fixed by the loader.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

import numpy as np

from tinynet.errors import integer
from tinynet.random import default_rng, use_rng
from tinynet.utils.data.collate import default_collate, default_convert
from tinynet.utils.data.dataset import Examples, IterableDataset, takes_batches
from tinynet.utils.data.sampler import (
    ArraySampler,
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    order_of,
)

ORDER, AUGMENT = 0, 1  # the two uses of randomness in an epoch, kept apart in their seeds
END = object()  # what no sampler yields


class DataLoader:
    """Iterates over `dataset` once an epoch, in batches of examples that `collate_fn` collates.

    dataset: anything with `__len__` and `__getitem__`, or an IterableDataset. batch_size: examples
    a batch (N); the last one may be smaller, or is left out with drop_last. None: no batches, each
    example alone. shuffle: draw a new order of the examples every epoch. sampler: yields the
    indices of an epoch; batch_sampler: yields lists of them. generator: draws the seed that fixes
    all orders and augmentation; by default tinynet's default generator, which
    `tinynet.manual_seed` seeds.

    Without effect, since batches are made in this process: num_workers, pin_memory, timeout,
    worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers,
    pin_memory_device, in_order.

    Every `iter(loader)` starts an epoch of its own: the one after the last that was begun.

    >>> loader = DataLoader([(float(i), i) for i in range(5)], batch_size=2)
    >>> [labels.tolist() for x, labels in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Examples | Iterable[Any],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.dataset = dataset
        self.shuffle = bool(shuffle)
        self.drop_last = drop_last
        self.num_workers = integer("DataLoader", "num_workers", num_workers)
        self.pin_memory = pin_memory
        self.generator = generator
        self._seed: int | None = None
        self._epoch = 0
        self._position = 0  # batches handed out in this epoch
        self._resuming = False

        self._streamed = isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__")
        given = batch_sampler is not None
        if given and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "DataLoader: batch_sampler decides on batch_size, shuffle, sampler and "
                "drop_last; leave these out"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: give sampler or shuffle, not both")
        if self._streamed and (shuffle or sampler is not None or given):
            raise ValueError(
                "DataLoader: the order of an iterable dataset is its own; leave out shuffle, "
                "sampler and batch_sampler"
            )
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")
        if sampler is None and not self._streamed:
            sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
        self.sampler: Any = sampler
        self.batch_size = None if given else batch_size
        if self.batch_size is not None:
            self.batch_size = integer("DataLoader", "batch_size", batch_size, 1)
            chosen: Any = dataset if self._streamed else sampler
            batch_sampler = BatchSampler(chosen, self.batch_size, drop_last)
        self.batch_sampler: Any = batch_sampler
        usual = default_convert if batch_sampler is None else default_collate
        self.collate_fn = collate_fn or usual

    @property
    def seed(self) -> int:
        """What fixes orders and augmentation, drawn when it is first needed."""
        if self._seed is None:
            self._seed = int(default_rng(self.generator).integers(2**63))
        return self._seed

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return len(self._chooser())

    def _chooser(self) -> Any:
        """What yields the indices of each batch, or of each example, or a stream's examples."""
        if self.batch_sampler is not None:
            return self.batch_sampler
        return self.dataset if self._streamed else self.sampler

    def __iter__(self) -> Iterator[Any]:
        return self._begin(self._made)

    def parts(self, cut: Callable[[int, int], Iterable[slice]]) -> Iterator[tuple[int, list[Any]]]:
        """As `iter`, but of each batch the size, and the parts of it that cut(number, size) takes.

        Each is made by itself, and what it draws depends on where in the batch it begins. For
        loaders whose batches are lists of indices.
        """

        def made(chosen: Any, *place: int) -> tuple[int, list[Any]]:
            parts = cut(place[-1], len(chosen))
            return len(chosen), [self._made(chosen[part], *place, part.start) for part in parts]

        return self._begin(made)

    def _begin(self, made: Callable[..., Any]) -> Iterator[Any]:
        if self._position and not self._resuming:  # the epoch before was left early
            self._epoch, self._position = self._epoch + 1, 0
        self._resuming = False
        return self._batches(self._epoch, self._position, made)

    def _batches(self, epoch: int, start: int, made: Callable[..., Any]) -> Iterator[Any]:
        for k, chosen in itertools.islice(enumerate(self._chosen(epoch)), start, None):
            batch = made(chosen, epoch, k)
            self._epoch, self._position = epoch, k + 1
            yield batch
        self._epoch, self._position = epoch + 1, 0

    def _made(self, chosen: Any, *place: int) -> Any:
        """What was chosen as it is handed out, with the chance of its place."""
        with use_rng(self._generator(AUGMENT, *place)) as rng:
            return self._finished(self._fetched(chosen, rng), rng)

    def _chosen(self, epoch: int) -> Iterator[Any]:
        """What `_chooser` yields in an epoch, drawn from the generator of the order."""
        if self.batch_size is not None and isinstance(self.sampler, ArraySampler):
            order = self.order(epoch)
            for k in range(len(self)):
                yield order[k * self.batch_size : (k + 1) * self.batch_size]
            return
        drawn, rng = iter(self._chooser()), self._generator(ORDER, epoch)
        while True:
            with use_rng(rng):
                chosen = next(drawn, END)
            if chosen is END:
                return
            yield chosen

    def order(self, epoch: int) -> np.ndarray:
        """The indices of the examples (len(sampler),) in the order of an epoch."""
        with use_rng(self._generator(ORDER, epoch)):
            return order_of(self.sampler)

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _fetched(self, indices: Any, rng: np.random.Generator) -> Any:
        """The examples at `indices`, or the examples of a stream themselves, collated."""
        dataset: Any = self.dataset
        if self._streamed:
            return self.collate_fn(indices)
        if self.batch_sampler is None:
            return self.collate_fn(dataset[indices])
        if self.collate_fn is default_collate and takes_batches(dataset):
            return default_convert(dataset.take(np.asarray(indices), rng))
        indices = indices.tolist() if isinstance(indices, np.ndarray) else indices
        if hasattr(dataset, "__getitems__"):
            return self.collate_fn(dataset.__getitems__(indices))
        return self.collate_fn([dataset[i] for i in indices])

    def _finished(self, batch: Any, rng: np.random.Generator) -> Any:
        """A batch as it is handed out; for loaders that do more to it."""
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: plain numbers, enough to go on with the very next batch.

        Taken while a batch is worked on, the state counts that batch as done.
        """
        return {
            "seed": self.seed,
            "epoch": self._epoch,
            "position": self._position,
            "batch_size": self.batch_size,
            "length": len(self.dataset) if isinstance(self.dataset, Sized) else None,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`: the next `iter(loader)` yields the rest of that epoch.

        Raises ValueError if the state is of another batch size, number of examples, shuffle or
        drop_last, or lacks an entry; the loader is unchanged then.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        if missing:
            raise ValueError(f"DataLoader: the state lacks {', '.join(missing)}")
        for name in ("batch_size", "length", "shuffle", "drop_last"):
            if state[name] != own[name]:
                raise ValueError(
                    f"DataLoader: the state was taken with {name} {state[name]}, but here it is "
                    f"{own[name]}; make the loader as it was to go on in the middle of an epoch"
                )
        places = [state[name] for name in ("seed", "epoch", "position")]
        try:
            most = len(self)
        except TypeError:  # a stream, or a sampler without a length
            most = places[2]
        if not all(type(n) is int and n >= 0 for n in places) or places[2] > most:
            raise ValueError(f"DataLoader: impossible state {dict(state)}")
        self._seed, self._epoch, self._position = places
        self._resuming = True

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.dataset!r}, batch_size={self.batch_size}, "
            f"shuffle={self.shuffle}, drop_last={self.drop_last})"
        )


def get_worker_info() -> None:
    """None: batches are made in the process that asks."""
