"""Batches: what `fit` and its like make of the data they are given, and what they ask of it."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np

from tinynet.data import ArrayDataset, Compose, DataLoader, Normalize, Subset
from tinynet.errors import DataError
from tinynet.nn import Module
from tinynet.nn.checks import badly_scaled
from tinynet.tensor import Tensor
from tinynet.training.losses import name_of
from tinynet.training.strokes import box_of

Images = Callable[..., np.ndarray]
"""A function of a batch of images (N, C, H, W), such as those of `tinynet.data`."""

Batches: TypeAlias = Iterable[Any]
"""Whatever yields (x, target) pairs of tensors: a DataLoader, a list, a generator."""


class SizedBatches(Protocol):
    """Batches that can be counted before they are seen, and gone through again and again."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


def as_batches(
    data: Any, batch_size: int, transform: Images | None = None, dtype: Any = np.float32
) -> Batches:
    """Batches in order: those of `data` if it is a loader, else made from the dataset.

    dtype: of the floats in them. A dataset is what has `__getitem__` and a length; a list or tuple
    counts as ready batches.
    """
    check_no_name("data", data)
    if is_dataset(data):
        return DataLoader(data, batch_size, transform=transform, dtype=dtype)
    if transform is not None:
        raise ValueError("transform is for datasets; these batches are made already")
    if not isinstance(data, Iterable):
        raise TypeError(f"expected a dataset or batches (x, target), got {type(data).__name__}")
    return data


def batches_for(
    model: Module, data: Any, batch_size: int, transform: Images | None = None
) -> Batches:
    """`as_batches`, in the dtype of the model, and with its own transform if it brings one."""
    transform = own_transform(model, data, transform)
    return as_batches(data, batch_size, transform, dtype_of(model))


def dtype_of(model: Module) -> Any:
    """The dtype of a model's weights, in which it computes; float32 if it has none."""
    return next((p.array.dtype for p in model.parameters()), np.float32)


def check_no_name(what: str, value: Any) -> None:
    """Raise TypeError for the name of a data set, or the path of a file, in place of the data."""
    if isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"{what} is {str(value)!r:.60}, a text and no data: tinynet.data.load(NAME) reads the "
            "data set of a name, and tinynet.load(RUN).predict(PATH) takes images in files"
        )


def is_dataset(data: Any) -> bool:
    """Whether `data` holds single examples, to be picked by index, and not batches."""
    return (
        not isinstance(data, (DataLoader, list, tuple))
        and hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
    )


def pairs(batches: Batches) -> Iterator[tuple[Any, Any]]:
    """The batches, each of them (x, target). Raises DataError for another."""
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise not_a_pair("a batch", batch)
        x, target = batch
        yield x, target


def not_a_pair(what: str, value: Any) -> DataError:
    """The error for an example or a batch that is not (x, target)."""
    shape = getattr(value, "shape", None)
    got = f"{type(value).__name__} " + (f"of shape {tuple(shape)}" if shape is not None else "")
    if isinstance(value, (tuple, list)):
        got = f"{len(value)} part{'s' * (len(value) != 1)}"
    return DataError(
        f"{what} must be a pair (x, target), got {got.strip()}. Of arrays X and Y make "
        "data.ArrayDataset(X, Y); a dataset returns (x, target) in __getitem__"
    )


def source(data: Any) -> tuple[Any, np.ndarray]:
    """The data set under a loader and subsets of it, and which of its examples are taken."""
    data = data if is_dataset(data) else getattr(data, "dataset", data)
    rows = np.arange(len(data) if is_dataset(data) else 1)
    while isinstance(data, Subset):
        data, rows = data.dataset, data.indices[rows]
    return data, rows


def rest(batches: Any, done: int) -> Any:
    """The batches of an epoch of which `done` were seen; a loader that was told knows itself."""
    if hasattr(batches, "load_state_dict"):
        return batches
    return itertools.islice(batches, done, None)


def training_batches(
    train: Any,
    batch_size: int | None,
    transform: Images | None,
    augment: Images | None,
    seed: int | None,
    dtype: Any,
) -> Any:
    if not is_dataset(train):
        if batch_size is not None or augment is not None:
            raise ValueError(
                "fit: batch_size and augment are for a dataset; train is a "
                f"{type(train).__name__}, with batches made already"
            )
        batches = as_batches(train, 1)
        if length(batches) == 0:
            size = getattr(batches, "batch_size", "any size")
            raise DataError(f"fit: the training data gives no batch of {size}")
        return batches
    if len(train) == 0:
        raise DataError("fit: the training data is empty")
    steps = [step for step in (augment, transform) if step is not None]
    return DataLoader(
        train,
        64 if batch_size is None else batch_size,
        shuffle=True,
        seed=seed,
        transform=Compose(steps) if steps else None,
        dtype=dtype,
    )


def looked_at(batches: Any) -> Iterator[Any]:
    """The same batches, with a warning if the first has inputs that nets hardly learn from."""
    for i, batch in enumerate(batches):
        x = getattr(batch[0], "array", None) if isinstance(batch, (tuple, list)) else None
        if i == 0 and isinstance(x, np.ndarray) and x.dtype.kind == "f" and badly_scaled(x):
            warnings.warn(
                f"fit: the inputs of the first batch run from {x.min():.4g} to {x.max():.4g} "
                f"(standard deviation {x.std(dtype=np.float64):.3g}), and layers are initialised "
                "for inputs of about unit scale: divide bytes by 255, or pass "
                "transform=data.standardize(train)",
                stacklevel=2,
            )
        yield batch


def validation_batches(
    validate: Any, train: Any, transform: Images | None, augment: Images | None, dtype: Any
) -> Any:
    if validate is None:
        return None
    if _overlap(train, validate):
        warnings.warn(
            "fit: validation is on training data, and says nothing of examples not seen; hold "
            "some out: data.random_split(train, [0.9, 0.1])",
            stacklevel=3,
        )
    if not is_dataset(validate):
        return as_batches(validate, 1)
    done = ""
    if not is_dataset(train) and getattr(train, "transform", None) is not None:
        done = "transformed by their DataLoader"
    elif find_normalize(augment) is not None:
        done = "normalised by augment="
    if done and transform is None:
        raise ValueError(
            f"fit: the training images are {done}, those of validate= would not be. "
            "Pass transform=, or make validate a DataLoader too."
        )
    return as_batches(validate, 256, transform, dtype)


def _overlap(train: Any, validate: Any) -> bool:
    """Whether examples are certain to be in both, as far as the data sets show it."""
    (one, rows), (other, others) = source(train), source(validate)
    if one is other:
        return np.intersect1d(rows, others).size > 0
    if isinstance(one, ArrayDataset) and isinstance(other, ArrayDataset):
        return np.array_equal(one.images, other.images)
    return False


def length(batches: Any) -> int:
    if not hasattr(batches, "__len__"):
        raise TypeError("fit: train must be a dataset or have a length, as a DataLoader has")
    return len(batches)


def about_data(train: Any, transform: Images | None, loss: Any) -> dict[str, Any]:
    """What a checkpoint should know of the training data: classes, normalisation, image shape, and
    the name of the loss; for one of the user's own that of the loss for such targets.
    """
    dataset = train if is_dataset(train) else getattr(train, "dataset", None)
    targets = getattr(source(train)[0], "arrays", ())[1:2]
    floats = any(np.asarray(t).dtype.kind == "f" for t in targets)
    about: dict[str, Any] = {"loss": name_of(loss) or ("mse" if floats else "cross_entropy")}
    if dataset is not None and getattr(dataset, "classes", None) is not None:
        about["classes"] = dataset.classes
    if dataset is not None and len(dataset):
        example = dataset[0]
        image = example[0] if isinstance(example, tuple) else example
        about["input_shape"] = np.shape(image)
        about["box"] = _box(dataset)
    normalize = find_normalize(
        transform if is_dataset(train) else getattr(train, "transform", None)
    )
    if normalize is not None:
        about |= {"mean": normalize.mean, "std": normalize.std}
    return about


LOOKED_AT = 500  # images, to know light strokes on a dark ground


def _box(dataset: Any) -> int | None:
    """How large the strokes are in images that are such, see `strokes.box_of`."""
    images, rows = source(dataset)
    if not isinstance(images, ArrayDataset) or images.transform is not None:
        return None
    return box_of(images.images[rows[:: len(rows) // LOOKED_AT + 1]])


def own_transform(model: Any, data: Any, transform: Images | None) -> Images | None:
    """`transform`, or for a data set without a normalisation the one that a `Trained` brings."""
    if transform is not None or not (is_dataset(data) or isinstance(data, (np.ndarray, Tensor))):
        return transform
    own: Images | None = getattr(model, "input_transform", None)
    return own if find_normalize(getattr(data, "transform", None)) is None else None


def find_normalize(transform: Any) -> Normalize | None:
    """The Normalize in a transform, if there is one."""
    if isinstance(transform, Compose):
        found = [find_normalize(step) for step in transform.transforms]
        return next((step for step in found if step is not None), None)
    return transform if isinstance(transform, Normalize) else None
