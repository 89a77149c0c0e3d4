"""The DataLoader of `tinynet.data`: batches that are ready for a model."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import integer, unknown_name
from tinynet.tensor import Tensor
from tinynet.utils.data import dataloader
from tinynet.vision.transforms.base import apply_transform, check_transform


class DataLoader(dataloader.DataLoader):
    """Iterates over `dataset` once an epoch, in batches whose images are floats.

    Other than its base class, `tinynet.utils.data.DataLoader`, it goes by the place in a batch:
    the first part (N, C, H, W) is the images, which bytes (uint8) make floats in [0, 1], unless a
    transform made floats of them before; bytes in rows (N, K) keep their values. The others are
    targets and keep their values, bytes too.
    Floats come out as `dtype`, integers as int64, bools as they are.

    seed: fixes order and augmentation; without it one is drawn from rng, or else from tinynet's
    default generator. transform: applied to the first part of each batch. options: those of the
    base class, such as drop_last, sampler or collate_fn.

    >>> from tinynet.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.zeros((5, 1, 4, 4), np.uint8), np.arange(5)), 2)
    >>> [images.shape for images, labels in loader]
    [tinynet.Size([2, 1, 4, 4]), tinynet.Size([2, 1, 4, 4]), tinynet.Size([1, 1, 4, 4])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        *,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
        transform: Callable[..., np.ndarray] | None = None,
        dtype: Any = np.float32,
        **options: Any,
    ) -> None:
        known = inspect.signature(dataloader.DataLoader).parameters
        for name in options.keys() - known.keys():
            raise TypeError(str(unknown_name("option of DataLoader", name, [*known, *OWN])))
        if seed is not None and rng is not None:
            raise ValueError("DataLoader: give seed or rng, not both")
        if rng is not None:
            options["generator"] = rng
        super().__init__(dataset, batch_size, shuffle, **options)
        self.seed_given = seed is not None  # and so is a part of what a run was asked for
        self._seed = None if seed is None else integer("DataLoader", "seed", seed)
        self.transform = check_transform("DataLoader", "transform", transform)
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise TypeError(f"DataLoader: dtype is that of the floats, got {self.dtype}")

    def _finished(self, batch: Any, rng: np.random.Generator) -> Any:
        if isinstance(batch, Tensor):
            return self._part(0, batch, rng)
        if isinstance(batch, Mapping):
            return {name: self._part(k, batch[name], rng) for k, name in enumerate(batch)}
        if isinstance(batch, (tuple, list)):
            return [self._part(k, part, rng) for k, part in enumerate(batch)]
        return batch

    def _part(self, place: int, part: Any, rng: np.random.Generator) -> Any:
        """What becomes of the part at a place of the batch: 0 is the images, then targets."""
        if isinstance(part, (tuple, list)) and part and isinstance(part[0], (str, bytes)):
            raise TypeError(
                f"DataLoader: part {place} of the examples is text, of which no tensor can be "
                "made. Number the classes: names, labels = np.unique(labels, return_inverse=True)"
            )
        if not isinstance(part, Tensor):
            return part
        array = part.array
        if place == 0 and self.transform is not None:
            array = apply_transform(self.transform, array, rng)
            if not isinstance(array, np.ndarray) or array.shape[:1] != part.shape[:1]:
                shape = f" of shape {tuple(array.shape)}" if hasattr(array, "shape") else ""
                raise TypeError(
                    f"the transform gets a batch as an array of shape {tuple(part.shape)}, and is "
                    f"to give one of as many examples; it gave {type(array).__name__}{shape}"
                )
        if place == 0 and array.dtype == np.uint8 and array.ndim > 1:
            scale = self.dtype.type(1 / 255 if array.ndim > 2 else 1)
            return wrap(np.multiply(array, scale, dtype=self.dtype))
        made = {"f": self.dtype, "i": np.int64, "u": np.int64}.get(array.dtype.kind, array.dtype)
        return wrap(array.astype(made, copy=False))


OWN = ("seed", "rng", "transform", "dtype")
