"""The DataLoader: shuffled batches of tensors, in an order that the seed alone decides.

Nothing random is carried from batch to batch. The order of an epoch comes from a generator seeded
with (seed, epoch), the augmentation of a batch from one seeded with (seed, epoch, batch), so the
whole state is three integers and a run can go on in the middle of an epoch. While a batch is made
that generator is also tinynet's default one: what draws from `tinynet.random.default_rng()` in a
dataset's `__getitem__` is the same again too. NumPy's global generator is not fixed by the loader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.data.dataset import Examples, take
from tinynet.data.transforms import apply_transform, check_transform
from tinynet.errors import integer, unknown_name
from tinynet.random import default_rng, use_rng
from tinynet.tensor import Tensor

ORDER, CHANCE = 0, 1  # the two uses of randomness in an epoch, kept apart in their seeds
OWN = ("batch_size", "shuffle", "drop_last", "seed", "rng", "transform", "dtype")
OF_PYTORCH = {
    "batches are made in this process, as docs/data.md explains; leave it out": (
        "num_workers", "pin_memory", "prefetch_factor", "persistent_workers", "worker_init_fn",
        "timeout", "multiprocessing_context", "pin_memory_device", "in_order",
    ),
    "override `take` of your Dataset, which makes a whole batch": ("collate_fn",),
    "an order of your own is DataLoader(Subset(dataset, indices))": ("sampler", "batch_sampler"),
    "give rng=, a NumPy generator, or seed=": ("generator",),
}  # fmt: skip


class DataLoader:
    """Iterates over `dataset` once an epoch, in batches: tuples of tensors, one per array.

    batch_size: examples a batch (N); the last one may be smaller, or is left out with drop_last.
    shuffle: draw a new order of the examples every epoch. seed: fixes order and augmentation;
    without it a seed is drawn from rng, or else from tinynet's default generator, which
    `tinynet.manual_seed` fixes. transform: applied to the first array (N, C, H, W) of each batch.

    The first array is the images: bytes (uint8) come out as floats in [0, 1], unless a transform
    made floats of them before. The others are targets and keep their values, bytes too. Floats
    come out as `dtype`, integers as int64, bools as they are.

    Every `iter(loader)` starts an epoch of its own: the one after the last that was begun.

    >>> from tinynet.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.zeros((5, 1, 4, 4), np.uint8), np.arange(5)), 2)
    >>> [images.shape for images, labels in loader]
    [(2, 1, 4, 4), (2, 1, 4, 4), (1, 1, 4, 4)]
    """

    def __init__(
        self,
        dataset: Examples,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        transform: Callable[..., np.ndarray] | None = None,
        dtype: Any = np.float32,
        **others: Any,
    ) -> None:
        for name in others:
            raise _no_option(name)
        if seed is not None and rng is not None:
            raise ValueError("DataLoader: give seed or rng, not both")
        self.dataset = dataset
        self.batch_size = integer("DataLoader", "batch_size", batch_size, 1)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed_given = seed is not None  # and so is a part of what a run was asked for
        if seed is None:
            seed = int(default_rng(rng).integers(2**63))
        self.seed = integer("DataLoader", "seed", seed)
        self.transform = check_transform("DataLoader", "transform", transform)
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise TypeError(f"DataLoader: dtype is that of the floats, got {self.dtype}")
        self._epoch = 0
        self._position = 0  # batches handed out in this epoch
        self._resuming = False

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        if self._position and not self._resuming:  # the epoch before was left early
            self._epoch, self._position = self._epoch + 1, 0
        self._resuming = False
        return self._batches(self._epoch, self._position)

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, ...]]:
        order = self.order(epoch)
        for k in range(start, len(self)):
            self._epoch, self._position = epoch, k + 1
            chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
            yield self._batch(chosen, self._generator(CHANCE, epoch, k))
        self._epoch, self._position = epoch + 1, 0

    def order(self, epoch: int) -> np.ndarray:
        """The indices of the examples (len(dataset),) in the order of an epoch."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        order: np.ndarray = self._generator(ORDER, epoch).permutation(len(self.dataset))
        return order

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    def _batch(self, indices: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, ...]:
        with use_rng(rng):  # for a __getitem__ that draws from the default generator
            arrays = take(self.dataset, indices, rng)
            if self.transform is not None:
                arrays = (apply_transform(self.transform, arrays[0], rng), *arrays[1:])
        return tuple(wrap(self._converted(k, array)) for k, array in enumerate(arrays))

    def _converted(self, place: int, array: np.ndarray) -> np.ndarray:
        """What becomes of the array at a place of the batch: 0 is the images, then targets."""
        kind = array.dtype.kind
        if place == 0 and array.dtype == np.uint8 and array.ndim > 1:
            scaled: np.ndarray = np.multiply(array, self.dtype.type(1 / 255), dtype=self.dtype)
            return scaled
        if kind == "f":
            return array.astype(self.dtype, copy=False)
        if kind in "iu":
            return array.astype(np.int64, copy=False)
        if kind != "b":
            raise _no_numbers(place, array)
        return array

    def state_dict(self) -> dict[str, int | bool]:
        """Where the loader stands: plain numbers, enough to go on with the very next batch.

        Taken while a batch is worked on, the state counts that batch as done.
        """
        return {
            "seed": self.seed,
            "epoch": self._epoch,
            "position": self._position,
            "batch_size": self.batch_size,
            "length": len(self.dataset),
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: Mapping[str, int | bool]) -> None:
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
        seed, epoch, position = (state[name] for name in ("seed", "epoch", "position"))
        whole = all(type(n) is int and n >= 0 for n in (seed, epoch, position))
        if not whole or position > len(self):
            raise ValueError(f"DataLoader: impossible state {dict(state)}")
        self.seed, self._epoch, self._position = seed, epoch, position
        self._resuming = True

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed}, transform={self.transform!r})"
        )


def _no_option(name: str) -> TypeError:
    """The error for an option that the loader does not have, with what to do instead."""
    for cure, names in OF_PYTORCH.items():
        if name in names:
            return TypeError(f"DataLoader has no {name}: {cure}")
    return TypeError(str(unknown_name("option of DataLoader", name, OWN)))


def _no_numbers(place: int, array: np.ndarray) -> TypeError:
    """The error for a part of the examples of which no tensor can be made."""
    kind = type(array.flat[0]).__name__ if array.size else "nothing"
    cure = "Make numbers of it in the dataset"
    if kind == "dict":
        cure = "Return a tuple in __getitem__, such as (example['image'], example['label'])"
    elif array.dtype.kind in "US":
        cure = "Number the classes: names, labels = np.unique(labels, return_inverse=True)"
    return TypeError(
        f"DataLoader: part {place} of the examples is {kind} (dtype {array.dtype}), of which no "
        f"tensor can be made. {cure}."
    )
