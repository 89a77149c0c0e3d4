"""Batches: what `fit` and its like make of the data they are given, and what they ask of it.

fit(model, x, y, epochs=5)
fit(model, (x, y), 5, validation_split=0.1)
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from tinynet.autograd import wrap
from tinynet.data import (
    ArrayDataset,
    Compose,
    DataLoader,
    Normalize,
    Subset,
    random_split,
    stratified_split,
)
from tinynet.data.dataset import scales_apart
from tinynet.errors import DataError
from tinynet.nn import Module
from tinynet.nn.checks import badly_scaled, with_article
from tinynet.tensor import Tensor
from tinynet.training.losses import as_loss, name_of
from tinynet.training.recipes import make_augment
from tinynet.training.strokes import box_of

Images = Callable[..., np.ndarray]
"""A function of a batch of images (N, C, H, W), such as those of `tinynet.data`."""

Batches: TypeAlias = Iterable[Any]
"""Whatever yields (x, target) pairs of tensors: a DataLoader, a list, a generator."""


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
    """`as_batches`, in the dtype of the model, and with its own transform if it brings one, with a
    warning of images far from the range of those that it was trained on.
    """
    own = own_transform(model, data, transform)
    if transform is None and (normalize := find_normalize(own)) is not None:
        _warn_of_scale(data, normalize)
    return as_batches(data, batch_size, own, dtype_of(model))


def _warn_of_scale(data: Any, normalize: Normalize) -> None:
    images = getattr(source(data)[0], "images", data)
    if not isinstance(images, np.ndarray) or not images.size:
        return
    usual = float((np.abs(normalize.mean) + normalize.std).max())
    of_bytes = images.dtype == np.uint8
    peak = 1.0 if of_bytes else float(np.abs(images).max())
    if not usual / 8 <= peak <= 100 * usual:
        warnings.warn(
            f"the images reach {peak:.3g}{', for bytes count from 0 to 1' * of_bytes}; those that "
            f"the model was trained on were around {usual:.3g}: the results may be meaningless",
            stacklevel=4,
        )


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
    is_sized = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return is_sized and not isinstance(data, (DataLoader, list, tuple))


def pairs(batches: Batches) -> Iterator[tuple[Any, Any]]:
    """The batches, each of them (x, target); tensors of others as ours. DataError for another."""
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise not_a_pair("a batch", batch)
        x, target = batch
        if type(x).__module__ == "torch":
            x, target = wrap(np.asarray(x)), wrap(np.asarray(target))
        yield x, target


def not_a_pair(what: str, value: Any) -> DataError:
    """The error for an example or a batch that is not (x, target)."""
    got = type(value).__name__
    if isinstance(value, (tuple, list)):
        got = f"{got} of {len(value)}"
    elif hasattr(value, "shape"):
        got = f"{got} of shape {tuple(value.shape)}"
    return DataError(
        f"{what} must be a pair (x, target), got {got}. Arrays are given as (X, Y) "
        "or data.ArrayDataset(X, Y); a dataset returns (x, target) in __getitem__"
    )


def source(data: Any) -> tuple[Any, np.ndarray]:
    """The data set under a loader and subsets of it, and which of its examples are taken."""
    data = data if is_dataset(data) else getattr(data, "dataset", data)
    rows = np.arange(len(data) if is_dataset(data) else 1)
    while isinstance(data, Subset):
        data, rows = data.dataset, data.places(rows)
    return data, rows


# ----- arrays and tables ----------------------------------------------------------------------


def is_array(value: Any) -> bool:
    """Whether it is an array, a table, or a list of numbers and no list of batches."""
    if isinstance(value, list):
        while isinstance(value, (list, tuple)) and value:
            value = value[0]
        return not isinstance(value, (np.ndarray, Tensor, list))
    is_table = hasattr(value, "to_numpy") or hasattr(value, "toarray")
    return isinstance(value, (np.ndarray, Tensor)) or is_table


def as_array(name: str, value: Any) -> np.ndarray:
    """An array of an array, tensor, list or table."""
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    if hasattr(value, "toarray"):
        raise DataError(f"{name} is a sparse matrix, and dense arrays are taken: give .toarray()")
    try:
        if isinstance(value, list) and value and isinstance(value[0], (np.ndarray, Tensor)):
            return np.stack([np.asarray(part) for part in value])
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"{name} is {with_article(type(value).__name__)} whose parts have different shapes; "
            "one array is needed, with an example in each row"
        ) from error


def as_numbers(name: str, value: Any) -> np.ndarray:
    """Inputs of an array, tensor, list or table; integers in a table, and objects, become floats.

    Raises DataError for text, what is missing and what is not finite, with its row and column.
    """
    x = as_array(name, value)
    if x.dtype.kind == "O" and x.ndim == 1 and x.size and np.ndim(x[0]):
        x = as_array(name, list(x))  # an array of arrays
    numbers = x
    if x.dtype.kind in "OUSmM":
        found: Any = [v if isinstance(v, (Real, np.bool_)) else np.nan for v in x.flat]
        numbers = np.reshape(found, x.shape)
    if numbers is not x or hasattr(value, "to_numpy"):
        numbers = numbers.astype(np.float32)
    if numbers.dtype.kind != "f" or not x.size or np.isfinite([numbers.min(), numbers.max()]).all():
        return numbers
    wrong = tuple(map(int, np.unravel_index(np.isfinite(numbers).argmin(), x.shape)))
    columns = list(getattr(value, "columns", range(x.shape[-1])))
    column = f", column {columns[wrong[1]]!r}" if x.ndim == 2 else ""
    raise DataError(
        f"{name}: row {wrong[0]}{column} is {x.item(*wrong)!r:.60}, from which nothing is learnt: "
        "leave the row or the column out, or put a number in its place"
    )


def as_inputs(name: str, data: Any) -> Any:
    """Inputs in an array, a list or a table as a data set; other data as they are."""
    return ArrayDataset(as_numbers(name, data)) if is_array(data) else data


def as_examples(
    data: Any, targets: Any = None, classes: Any = None, loss: Any = None, of: str = ""
) -> Any:
    """Arrays x and y, a pair of them, or tables, as a data set; other data as they are.

    of: whose x and y they are, for errors, such as "validate: ".

    Labels that are text are numbered by their place in `classes`, those of the training; without,
    in sorted order. Raises DataError for one that is not among them, and for one that is missing;
    where the loss is one of ours, for a number too (a loss of the user's may leave NaN out).
    """
    if targets is None:
        if not isinstance(data, tuple) or len(data) != 2 or not is_array(data[0]):
            return data
        data, targets = data
    x, y = as_numbers(f"{of}x", data), as_array(f"{of}y", targets)
    if y.dtype.kind in "bUSO" and y.shape[1:] == (1,):
        y = y[:, 0]  # a column of labels
    if y.dtype.kind == "b" and y.ndim == 1:
        y = y.astype(np.int64)  # classes 0 and 1
    if y.dtype.kind not in "USO":
        if y.dtype.kind == "f" and name_of(loss) is not None:
            as_numbers(f"{of}y", targets)
        return ArrayDataset(x, y)
    for row, label in enumerate(y.ravel().tolist()):
        if label is None or label != label:  # NaN, as tables have it
            raise DataError(f"{of}the label of example {row} is missing: {label!r}")
    texts = y.astype(str).ravel().tolist()
    names = sorted(set(texts)) if classes is None else list(classes)
    numbers = {name: k for k, name in enumerate(names)}
    if unknown := [text for text in texts if text not in numbers]:
        known = ", ".join([*names[:10], *["..."][: len(names) - 10]])
        raise DataError(
            f"{of}the label {unknown[0]!r:.60} is none of the training's: "
            f"{known or 'these have no names, so give numbers, or a model that was loaded'}"
        )
    labels = np.array([numbers[text] for text in texts]).reshape(y.shape)
    return ArrayDataset(x, labels, classes=names)


def data_and_loss(model: Any, data: Any, more: tuple[Any, ...], loss: Any) -> tuple[Any, Any]:
    """What is meant by evaluate(model, data, loss), or, of arrays, evaluate(model, x, y, loss)."""
    targets, *rest = more if more and is_array(more[0]) else (None, *more)
    if len(rest) > 1:
        raise TypeError("evaluate: after the data comes the loss, all else by name: metrics=...")
    loss = as_loss(rest[0] if rest else loss)
    return as_examples(data, targets, getattr(model, "classes", None) or (), loss), loss


# ----- of `fit` -------------------------------------------------------------------------------


def targets_and_epochs(more: Sequence[Any], epochs: Any) -> tuple[Any, Any]:
    """The targets, or None, and the epochs, of what `fit` got after the training data."""
    given = [*more, *([] if epochs is None else [epochs])]
    if not 1 <= len(given) <= 2 or is_array(given[-1]) or isinstance(given[-1], tuple):
        raise TypeError(
            "fit: give data and epochs, fit(model, train, epochs=5) or fit(model, x, y, epochs=5)"
        )
    return (given[0] if len(given) == 2 else None), given[-1]


def as_augment(augment: Any, train: Any) -> Any:
    """The changes of these names for the images of `train`; what is no name stays as it is."""
    if not isinstance(augment, (str, list, tuple)) or not all(isinstance(n, str) for n in augment):
        return augment
    example: Any = train[0] if is_dataset(train) and len(train) else 0
    shape = np.shape(example[0] if isinstance(example, (tuple, list)) else example)
    return make_augment(augment, shape[1:] if len(shape) == 3 else None)


def split_off(train: Any, share: float, seed: int | None) -> tuple[Any, Any]:
    """A part for training, and one of `share` of the examples for validation, drawn at random."""
    if not is_dataset(train):
        raise ValueError("fit: validation_split is for a data set or arrays, not for batches")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ValueError(
            f"fit: validation_split must be a number between 0 and 1, got {share!r:.40}"
        )
    targets = _targets(train)
    of_classes = targets.shape[1:] in ((), (1,)) and targets.dtype.kind in "iu"
    split: Any = stratified_split if of_classes else random_split
    return split(train, [1 - share, share], seed=seed)  # type: ignore[no-any-return]


def _targets(data: Any) -> np.ndarray:
    """The targets of arrays; of other data an array of no numbers."""
    dataset, _ = source(data)
    arrays = dataset.arrays if isinstance(dataset, ArrayDataset) else ()
    return arrays[1] if len(arrays) > 1 else np.array([], object)


def training_batches(
    train: Any,
    batch_size: int | None,
    transform: Images | None,
    augment: Images | None,
    seed: int | None,
    dtype: Any,
) -> Any:
    if is_dataset(train):
        steps = [step for step in (augment, transform) if step is not None]
        size = 64 if batch_size is None else batch_size
        made = Compose(steps) if steps else None
        batches: Any = DataLoader(train, size, shuffle=True, seed=seed, transform=made, dtype=dtype)
    elif batch_size is not None or augment is not None:
        raise ValueError(
            "fit: batch_size and augment are for a dataset; train is a "
            f"{type(train).__name__}, with batches made already"
        )
    else:
        batches = as_batches(train, 1)
    if not hasattr(batches, "__len__"):
        raise TypeError("fit: train must be a dataset or have a length, as a DataLoader has")
    if len(batches) == 0:
        wanted = getattr(batches, "batch_size", "any size")
        raise DataError(f"fit: the training data is empty, or gives no batch of {wanted}")
    return batches


def looked_at(batches: Any, train: Any) -> Iterator[Any]:
    """The same batches, of `train`, with a warning of inputs that nets hardly learn from."""
    for i, batch in enumerate(batches):
        x = getattr(batch[0], "array", None) if isinstance(batch, (tuple, list)) else None
        if i == 0 and isinstance(x, np.ndarray) and x.dtype.kind == "f" and badly_scaled(x):
            applied = [getattr(data, "transform", None) for data in (train, source(train)[0])]
            normalize = next(filter(None, map(find_normalize, applied)), None)
            cure = "divide bytes by 255, or pass transform=data.standardize(train)"
            if normalize is not None:
                cure = (
                    "they are normalised already, so are there outliers, or was it for other data?"
                )
            elif x.ndim == 2:
                cure = "scale each column, x = (x - x.mean(0)) / x.std(0), and new examples alike"
            warnings.warn(
                f"fit: the inputs of the first batch run from {x.min():.4g} to {x.max():.4g} "
                f"(standard deviation {x.std(dtype=np.float64):.3g}), and layers are initialised "
                f"for inputs of about unit scale: {cure}",
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
    parts = [source(data)[0] for data in (train, validate)]
    plain = is_dataset(train) and all(
        isinstance(part, ArrayDataset) and part.transform is None for part in parts
    )
    if plain and scales_apart(*(part.images for part in parts)):
        reached = " and ".join(f"{part.images.max():.5g} ({part.images.dtype})" for part in parts)
        warnings.warn(
            f"fit: training and validation data reach {reached}: is one of them scaled, and not "
            "the other?",
            stacklevel=3,
        )
    by_loader = not is_dataset(train) and getattr(train, "transform", None) is not None
    if (by_loader or find_normalize(augment) is not None) and transform is None:
        raise ValueError(
            "fit: the training images are normalised by augment= or their DataLoader, those of "
            "validate= would not be. Pass transform=, or make validate a DataLoader too."
        )
    return as_batches(validate, 256, transform, dtype)


def _overlap(train: Any, validate: Any) -> bool:
    """Whether examples are certain to be in both, as far as the data sets show it."""
    (one, rows), (other, others) = source(train), source(validate)
    if one is other:
        return np.intersect1d(rows, others).size > 0
    are_arrays = isinstance(one, ArrayDataset) and isinstance(other, ArrayDataset)
    return are_arrays and np.array_equal(one.images, other.images)


def about_data(model: Module, train: Any, transform: Images | None, loss: Any) -> dict[str, Any]:
    """What a checkpoint should know: what `models.build` made the model of, the classes of its
    data, their normalisation and shape, and the name of the loss; for one of the user's own that
    of the loss for such targets.
    """
    dataset: Any = train if is_dataset(train) else getattr(train, "dataset", None)
    floats = _targets(train).dtype.kind == "f"
    about: dict[str, Any] = {"loss": name_of(loss) or ("mse" if floats else "cross_entropy")}
    about |= getattr(model, "built_as", {})
    if getattr(dataset, "classes", None) is not None:
        about["classes"] = dataset.classes
    if dataset is not None and len(dataset):
        example = dataset[0]
        about["input_shape"] = np.shape(example[0] if isinstance(example, tuple) else example)
        about["box"] = _box(dataset)
    applied = transform if is_dataset(train) else getattr(train, "transform", None)
    if (normalize := find_normalize(applied)) is not None:
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
        return next(filter(None, map(find_normalize, transform.transforms)), None)
    return transform if isinstance(transform, Normalize) else None
