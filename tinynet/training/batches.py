"""Batches: what `fit` and its like make of the data they are given, and what they ask of it.

fit(model, x, y, epochs=5)
fit(model, (x, y), 5, validation_split=0.1)
"""

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from tinynet import nn
from tinynet.autograd import wrap
from tinynet.console import some
from tinynet.data import (
    ArrayDataset,
    Compose,
    DataLoader,
    Subset,
    random_split,
    stratified_split,
)
from tinynet.data.dataset import shared_images
from tinynet.data.folder import SUFFIXES, grey_or_rgb
from tinynet.data.npz import check_labels, listed, numbered
from tinynet.data.table import is_finite
from tinynet.errors import DataError, ShapeError
from tinynet.nn.checks import badly_scaled, with_article
from tinynet.nn.members import check_model
from tinynet.tensor import Tensor
from tinynet.training.checkpoint import built_as
from tinynet.training.losses import BINARY, OF_CLASSES, are_numbers, as_loss, name_of, settings_of
from tinynet.training.preparation import (
    ENOUGH,
    Images,
    apart,
    check_moved,
    ends_of,
    figures,
    find_normalize,
    inputs_of,
    is_prepared,
    known_of,
    told,
    unlike,
)
from tinynet.training.recipes import make_augment
from tinynet.training.strokes import box_of
from tinynet.utils.data import SequentialSampler, TensorDataset
from tinynet.vision.transforms.images import is_pil, pixels_of

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
    model: nn.Module, data: Any, batch_size: int, transform: Images | None = None
) -> Batches:
    """`as_batches`, in the dtype of the model, and with its own transform if it brings one; a
    loaded model's first batch is compared with those of its training.
    """
    transform = own_transform(model, data, transform)
    batches = as_batches(data, batch_size, transform, dtype_of(model))
    if known_of(model) is None:
        return batches
    return looked_at(batches, functools.partial(check_inputs, model, data))


def dtype_of(model: nn.Module) -> Any:
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
    """The batches, each of them (x, target). Raises DataError for another."""
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise not_a_pair("a batch", batch)
        yield ours(batch[0]), ours(batch[1])


def size_of(x: Any, target: Any = None) -> int:
    """How many examples a batch has: as many as targets, or else inputs. Of several inputs, in a
    tuple, a list or a dict, the first counts.
    """
    several = x.values() if isinstance(x, Mapping) else x if isinstance(x, (tuple, list)) else ()
    arrays = [part for part in (target, x, *several) if getattr(part, "ndim", 0)]
    return len(arrays[0] if arrays else x)


def ours(x: Any) -> Any:
    """A tensor of PyTorch's as one of ours; all else as it is."""
    return wrap(np.asarray(x.detach())) if type(x).__module__ == "torch" else x


def not_a_pair(what: str, value: Any) -> DataError:
    """The error for an example or a batch that is not (x, target)."""
    got = type(value).__name__
    if isinstance(value, (tuple, list)):
        got = f"{got} of {len(value)}"
    elif hasattr(value, "shape"):
        got = f"{got} of shape {tuple(value.shape)}"
    cure = "Arrays are given as (X, Y) or data.ArrayDataset(X, Y); a dataset returns (x, target) "
    cure += "in __getitem__"
    if hasattr(value, "to_numpy"):
        cure = "Of a table give the columns: (table[['a', 'b']], table['label'])"
    return DataError(f"{what} must be a pair (x, target), got {got}. {cure}")


def source(data: Any) -> tuple[Any, np.ndarray]:
    """The data set under a loader and subsets of it, and which of its examples are taken."""
    data = data.iterable if type(data).__module__.startswith("tqdm.") else data  # under its bar
    data = data if is_dataset(data) else getattr(data, "dataset", data)
    rows = np.arange(len(data) if is_dataset(data) else 1)
    while isinstance(data, Subset):
        data, rows = data.dataset, data.places(rows)
    return data, rows


def transforms_of(data: Any) -> tuple[Any, Any]:
    """What the data set itself and the loader around it make of images; None for nothing."""
    inner = getattr(source(data)[0], "transform", None)
    return inner, None if is_dataset(data) else getattr(data, "transform", None)


def check_inputs(model: Any, data: Any, x: np.ndarray) -> None:
    """Warn of a first batch that is unlike what a loaded model was trained on, or may be.

    data: where it is from, which may prepare it as that of the training did.
    """
    checkpoint = known_of(model)
    known = vars(checkpoint)
    ends, prepared = ends_of(known), is_prepared(known)
    usual = (*(ends if prepared else (-3.0, 3.0)), 0.0, 1.0)  # of an older file
    then = known.get("inputs") or (usual if known.get("mean") is not None else None)
    is_images = x.ndim == 4
    if is_images and not checkpoint.tells_of_images():
        warnings.warn(
            f"{checkpoint.path} does not say how images were normalised; they are given "
            "as 0 to 1: if the model was trained on others, the results are meaningless",
            stacklevel=4,
        )
    given = getattr(source(data)[0], "images", x) if is_dataset(data) else x
    difference = unlike(x, then, prepared and given.dtype == np.uint8)
    untold = known.get("untold")
    by_itself = untold is not None and told(transforms_of(data)).get("untold") == untold
    if then is not None and is_images and not (prepared or by_itself):
        now, slack = figures(x), 1e-5 * max(1.0, -ends[0], ends[1])  # for rounding
        if ends[0] - slack <= now[0] <= now[1] <= ends[1] + slack:  # as photos are
            difference = apart(now, then)
    if difference:
        by = f", made by {untold}, which is not kept" if untold else ""
        cure = "prepare them as in the training, or train with transform= of data.standardize or "
        cure += "vision.transforms, which are kept"
        if is_images and prepared:
            cure = "give an array or a data set of images, as bytes or from 0 to 1"
        warnings.warn(
            f"the model gets inputs {difference}{by}: the results may be meaningless; {cure}",
            stacklevel=4,
        )


# ----- arrays and tables ----------------------------------------------------------------------


def is_array(value: Any) -> bool:
    """Whether it is an array, a table, or a list of numbers and no list of batches."""
    if isinstance(value, list):
        while isinstance(value, (list, tuple)) and value:
            value = value[0]
        return not isinstance(ours(value), (np.ndarray, Tensor, list))
    is_table = hasattr(value, "to_numpy") or hasattr(value, "toarray")
    return isinstance(ours(value), (np.ndarray, Tensor)) or is_table


NUMBERS = (Real, Decimal, np.bool_)


def as_array(name: str, value: Any) -> np.ndarray:
    """An array of an array, tensor, list or table; what is masked in it becomes None."""
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    if hasattr(value, "toarray"):
        raise DataError(f"{name} is a sparse matrix, and dense arrays are taken: give .toarray()")
    if np.ma.is_masked(value):
        return np.asarray(np.where(np.ma.getmaskarray(value), None, value.data))  # type: ignore
    kind = with_article(type(value).__name__)
    try:
        if isinstance(value, list) and value and is_pil(value[0]):
            return np.stack([pixels_of(grey_or_rgb(image)) for image in value])
        if isinstance(value, list) and value and isinstance(value[0], (np.ndarray, Tensor)):
            return np.stack([np.asarray(part) for part in value])
        array = np.asarray(ours(value))
    except ValueError as error:
        raise DataError(
            f"{name} is {kind} whose parts have different shapes; one array is needed, with an "
            "example in each row; several inputs come from a data set of ((x, z), y), and go to "
            "forward as one tuple"
        ) from error
    if array.dtype.kind == "O" and array.ndim == 1 and array.size and np.ndim(array[0]):
        return as_array(name, list(array))  # an array of arrays
    if not array.ndim:
        raise DataError(f"{name} is {kind}; give an array, a list or a table, an example a row")
    return array


def as_numbers(
    name: str, value: Any, model: nn.Module | None = None, columns: Sequence[str] = ()
) -> np.ndarray:
    """Inputs of an array, tensor, list or table; integers in a table, and objects, become floats,
    and so do integers and bools in rows for a model that begins with such numbers.

    columns: the names of those of the training, in whose order a table's come. Raises DataError
    where one is missing, for text, and for what is no finite number, with its row and column.
    """
    if columns and (own := names_of(value)):
        if missing := [column for column in columns if column not in own]:
            raise DataError(f"{name}: there is no column {missing[0]!r:.60}, as in the training")
        value = value[list(columns)]
    x = as_array(name, value)
    as_known = x.shape == getattr(known_of(model), "input_shape", None)
    if x.ndim == 1 and _takes_rows(model) and not as_known:
        cure = "table[['a']]" if hasattr(value, "to_numpy") else "x[:, None]"
        swapped = "; or are x and y swapped?" if name.endswith("x") else ""
        raise ShapeError(
            f"{name} has the shape {x.shape}, and the model takes a row of numbers for each "
            f"example. Of one column make rows: {cure}; one example is x[None]{swapped}"
        )
    numbers = x
    if x.dtype.kind in "OUSmM":
        found: Any = [v if isinstance(v, NUMBERS) else np.nan for v in x.flat]
        numbers = np.reshape(found, x.shape)
    in_rows = x.dtype.kind == "b" or (x.ndim == 2 and x.dtype.kind in "iu" and _takes_rows(model))
    if numbers is not x or hasattr(value, "to_numpy") or in_rows:
        numbers = numbers.astype(np.float32)
    if numbers.dtype.kind != "f" or not x.size or np.isfinite([numbers.min(), numbers.max()]).all():
        return numbers
    wrong = tuple(map(int, np.unravel_index(np.isfinite(numbers).argmin(), x.shape)))
    cure = "leave the row or the column out, or put a number in its place"
    if str(x.item(*wrong)).lower().endswith(SUFFIXES):
        cure = "images in files are read by data.read_images(paths)"
    names = list(getattr(value, "columns", range(x.shape[-1])))
    column = f", column {names[wrong[1]]!r}" if x.ndim == 2 else ""
    found = "None or masked" if x.item(*wrong) is None else f"{x.item(*wrong)!r:.60}"
    raise DataError(
        f"{name}: row {wrong[0]}{column} is {found}, from which nothing is learnt: {cure}"
    )


def names_of(table: Any) -> tuple[str, ...]:
    """The names of a table's columns; none of what is no table, or has no names."""
    names = getattr(table, "columns", ()) if hasattr(table, "to_numpy") else ()
    return tuple(names) if all(isinstance(name, str) for name in names) else ()


def _takes_rows(model: nn.Module | None) -> bool:
    """Whether the first layer with weights is for rows of numbers, and not for the indices of an
    Embedding, say.
    """
    layers = () if model is None else model.modules()
    own = (each for each in layers if next(each.parameters(recurse=False), None) is not None)
    return isinstance(next(own, None), (nn.Linear, nn.LazyLinear, nn.BatchNorm1d))


def as_inputs(name: str, data: Any, model: nn.Module | None = None) -> Any:
    """Inputs in an array, a list or a table as a data set; other data as they are."""
    columns = getattr(known_of(model), "columns", None) or ()
    return ArrayDataset(as_numbers(name, data, model, columns)) if is_array(data) else data


def check_classes(classes: Sequence[str] | None, data: Any, of: str = "", cure: str = "") -> None:
    """Raise DataError for data whose classes have other names than those of the training; warn
    where one of both has none, and labels are taken for places.
    """
    theirs, names = getattr(source(data)[0], "classes", None), list(map(str, classes or ()))
    shown = list(map(str, theirs or ()))
    if names and theirs is not None and shown != names:
        raise DataError(
            f"{of}the model knows the classes {listed(names)}; the data has {listed(theirs)}{cure}"
        )
    y = _targets(data)
    are_places = y.dtype.kind in "iu" and y.shape[1:] != (len(names or shown),)
    named = names or shown
    if bool(names) == bool(shown) or not are_places or named == [str(k) for k in range(len(named))]:
        return
    told = "labels are integers, and the model's classes have names", "give text for the names"
    if shown:
        told = "data's classes have names, and the model's are numbers", "see that the order is one"
    places = ", ".join(f"{k} is {name!r:.60}" for k, name in enumerate(named[:3]))
    warnings.warn(
        f"{of}the {told[0]}: each is taken for the place of a class, {places}"
        f"{', ...' * (len(named) > 3)}; {told[1]}",
        stacklevel=3,
    )


def learnt(model: Any) -> tuple[str, ...]:
    """The classes of a loaded model; none where it has got another last layer since."""
    known = known_of(model)
    weights = {} if known is None else known.weights
    layers = [(name, np.shape(w)) for name, w in model.state_dict().items() if w.ndim > 1]
    as_then = all(name in weights and np.shape(weights[name]) == shape for name, shape in layers)
    return (known.classes or ()) if known is not None and as_then else ()


def check_goes_on(model: Any, train: Any) -> None:
    """Look at the classes that a loaded model is trained further on: they are its own, or all of
    them others, which is warned of. Raises DataError where they are mixed.
    """
    own, theirs = learnt(model), getattr(source(train)[0], "classes", None)
    if own and theirs is not None and set(own).isdisjoint(theirs):
        warnings.warn(
            f"fit: {listed(theirs)} are none of the model's classes, {listed(own)}, and take their "
            "places",
            stacklevel=3,
        )
    elif own:
        check_classes(own, train, "fit: ", "; to learn others, train model.network")


def as_examples(
    data: Any,
    targets: Any = None,
    model: nn.Module | None = None,
    like: Any = None,
    loss: Any = None,
    of: str = "",
) -> Any:
    """Arrays x and y, a pair of them, tables, or a list of examples (x, label), as a data set;
    other data as they are.

    model: which decides on integers, see `as_numbers`. like: the training data, or what a loaded
    model knows of them, whose `classes` and `columns` these have. of: whose x and y they are, for
    errors, such as "validate: ".

    Labels that are text are numbered by their place in these classes; of the training itself, in
    sorted order, but for a loaded model that knows them. Columns of targets are in the order of
    these names. Raises DataError for a label or a column that is not among them.
    """
    if isinstance(targets, str):
        raise DataError(
            f"{of}y is {targets!r:.60}, a text: give the column, table[{targets!r:.60}]"
        )
    if targets is None:
        is_list = isinstance(data, list) and data and all(map(_is_labelled, data))
        if not is_list and not (isinstance(data, tuple) and len(data) == 2 and is_array(data[0])):
            if is_array(data):
                raise not_a_pair(of.rstrip(": ") or "the data", data)
            return data
        data, targets = map(list, zip(*data)) if is_list else data
    rows: Any = getattr(data, "index", None)  # of a table, by which its user may know examples
    labels: Any = getattr(targets, "index", None)
    are_tables = hasattr(rows, "equals") and hasattr(labels, "equals")
    if are_tables and not rows.equals(labels) and set(rows) == set(labels):
        raise DataError(
            f"{of}x and y have the same index in another order, and are taken row by row: give "
            "y.loc[x.index], or both with reset_index(drop=True) where the rows do match"
        )
    known = known_of(model) if like is None else like
    columns, classes = (getattr(known, name, None) or () for name in ("columns", "classes"))
    x, y = as_numbers(f"{of}x", data, model, columns), as_targets(f"{of}y", targets, loss)
    is_text = y.dtype.kind in "USO"
    names = names_of(targets) if y.ndim == 2 and y.shape[1] > 1 else ()
    names = tuple(np.unique(y.astype(str)).tolist()) if is_text else names
    if like is None:  # the training itself, of a loaded model that may be to learn other classes
        classes = () if set(names).isdisjoint(learnt(model)) else learnt(model)
    elif is_text and not classes:
        raise DataError(
            f"{of}y is text, such as {names[0]!r:.60}, and the training's classes have no names: "
            "give numbers, or a model that was loaded"
        )
    if is_text:
        (y,), found = numbered([y.astype(str)], [f"{of}y"], tuple(classes) or None)
        names = found or ()
    elif names and classes:
        if missing := [name for name in classes if name not in names]:
            raise DataError(f"{of}y: there is no column {missing[0]!r:.60}, as in the training")
        y, names = y[:, [names.index(name) for name in classes]], classes
    dataset = ArrayDataset(x, y, classes=names or None)
    dataset.columns = names_of(data)
    return dataset


def as_targets(name: str, value: Any, loss: Any = None) -> np.ndarray:
    """Targets of an array, tensor, list or table: numbers, or text, the names of classes.

    Objects that are all numbers become such, and whole floats integers where `loss` is of classes.
    Raises DataError for numbers among text, and for text where the loss compares numbers; for what
    is missing, too, where the loss is one of ours (a loss of the user's may leave NaN out).
    """
    y, kind = as_array(name, value), name_of(loss)
    if y.dtype.kind in "US" and isinstance(value, (list, tuple)):
        y = np.array(value, object)  # in which numbers are no text yet
    if y.shape[1:] == (1,) and (y.dtype.kind in "bUSO" or kind in OF_CLASSES):
        y = y[:, 0]  # a column of labels
    if y.dtype.kind == "O":
        numbers = [isinstance(label, NUMBERS) for label in y.flat]
        if all(numbers):
            y = np.array(y.tolist())
            y = y.astype(np.float64) if y.dtype.kind == "O" else y
        else:
            check_labels(y, name)
        if any(numbers) and not all(numbers):
            one, other = (y.flat[numbers.index(k)] for k in (True, False))
            raise DataError(
                f"{name}: {one!r:.40} is a number, and {other!r:.40} is none: give numbers, or "
                "text, alone"
            )
        if strange := [v for v in y.flat if not isinstance(v, (*NUMBERS, str, bytes))]:
            raise DataError(
                f"{name}: a label is a number or text, and {strange[0]!r:.60} is "
                f"{with_article(type(strange[0]).__name__)}: give one of these for each example"
            )
    if y.dtype.kind == "b" and y.ndim == 1:
        y = y.astype(np.int64)  # classes 0 and 1
    if y.dtype.kind in "mM" or (y.dtype.kind == "f" and kind is not None):
        as_numbers(name, y)
        if kind in OF_CLASSES and y.ndim == 1 and (y == np.floor(y)).all():
            y = y.astype(np.int64)
    compares = y.dtype.kind in "USO" and loss is not None and kind not in OF_CLASSES
    if compares and (are_numbers(kind or BINARY[0]) or all(map(is_finite, y.astype(str).flat))):
        raise DataError(
            f"{name} is text, such as {str(y.flat[0])!r:.60}, and {kind or 'a loss of your own'} "
            "compares numbers: give y.astype(float); for classes pass loss='cross_entropy'"
        )
    return y


def _is_labelled(example: Any) -> bool:
    """Whether it is a pair (x, label), and so no batch; what has no target at all may be one."""
    is_pair = isinstance(example, (tuple, list)) and len(example) == 2
    return is_pair and example[1] is not None and np.shape(example[1]) == ()


def data_and_loss(model: Any, data: Any, more: tuple[Any, ...], loss: Any) -> tuple[Any, Any]:
    """What is meant by evaluate(model, data, loss), or, of arrays, evaluate(model, x, y, loss)."""
    check_model("evaluate", model)
    targets, *rest = more if more and is_array(more[0]) else (None, *more)
    if len(rest) > 1:
        raise TypeError("evaluate: after the data comes the loss, all else by name: metrics=...")
    loss = as_loss(rest[0] if rest else loss)
    known = known_of(model)
    data = as_examples(data, targets, model, known or (), loss)
    if known is not None:
        check_classes(known.classes, data)
    return data, loss


# ----- of `fit` -------------------------------------------------------------------------------


def targets_and_epochs(more: Sequence[Any], epochs: Any) -> tuple[Any, Any]:
    """The targets, or None, and the epochs, of what `fit` got after the training data."""
    given = [*more, *([] if epochs is None else [epochs])]
    if not 1 <= len(given) <= 2 or is_array(given[-1]) or isinstance(given[-1], tuple):
        raise TypeError(
            "fit: give data and epochs, fit(model, train, epochs=5) or fit(model, x, y, epochs=5)"
        )
    return (given[0] if len(given) == 2 else None), given[-1]


def as_augment(augment: Any, train: Any, batch_size: int | None) -> Any:
    """The changes of these names for the images of `train`; what is no name stays as it is.

    Raises ValueError for these, and for a batch_size, where batches are made already.
    """
    if not is_dataset(train) and (augment is not None or batch_size is not None):
        raise ValueError(
            "fit: batch_size and augment are for a dataset; train is "
            f"{with_article(type(train).__name__)}, with batches made already"
        )
    if not isinstance(augment, (str, list, tuple)) or not all(isinstance(n, str) for n in augment):
        return augment
    example: Any = train[0] if len(train) else 0
    shape = np.shape(example[0] if isinstance(example, (tuple, list)) else example)
    return make_augment(augment, shape[1:] if len(shape) == 3 else None)


def split_off(train: Any, share: float, seed: int | None) -> tuple[Any, Any]:
    """A part for training, and one of `share` of the examples for validation, drawn at random."""
    if not is_dataset(train):
        raise ValueError("fit: validation_split is for a data set or arrays, not for batches")
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share < 1:
        raise ValueError(
            f"fit: validation_split must be a number between 0 and 1, got {share!r:.40}"
        )
    targets = _targets(train)
    of_classes = targets.shape[1:] in ((), (1,)) and targets.dtype.kind in "iu"
    split: Any = stratified_split if of_classes else random_split
    return split(train, [1 - float(share), float(share)], seed=seed)  # type: ignore[no-any-return]


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
    else:
        batches = as_batches(train, 1)
    if not hasattr(batches, "__len__"):
        raise TypeError("fit: train must be a dataset or have a length, as a DataLoader has")
    if len(batches) == 0:
        wanted = getattr(batches, "batch_size", "any size")
        raise DataError(f"fit: the training data is empty, or gives no batch of {wanted}")
    return batches


def look_at_labels(batches: Any, loss: Any) -> None:
    """Warn of one class alone, and of classes that come one after the other, in the same order."""
    dataset, rows = source(batches)
    of_classes = name_of(loss) in (*OF_CLASSES, *BINARY)
    if not of_classes or not isinstance(dataset, (ArrayDataset, TensorDataset)):
        return
    arrays: Any = dataset.arrays if isinstance(dataset, ArrayDataset) else dataset.tensors
    y = np.asarray(arrays[1] if len(arrays) == 2 else ())
    if not 1 < y.size == len(y):
        return
    labels = y.ravel()[rows]
    count, changes = len(np.unique(labels)), np.count_nonzero(labels[1:] != labels[:-1])
    in_order = isinstance(getattr(batches, "sampler", None), SequentialSampler)
    if count == 1:
        warnings.warn(f"fit: every label is {labels[0]}: nothing is to be told apart", stacklevel=3)
    elif in_order and batches.batch_size and changes < count < len(labels) / 2 and len(batches) > 1:
        told = "the examples, and so the batches, come class by class: DataLoader(shuffle=True)"
        warnings.warn(f"fit: {told}", stacklevel=3)


def compare_outputs(model: nn.Module, classes: Sequence[str] | None, loss: Any) -> Any:
    """A hook that looks at the model's first output: raises DataError where there are fewer scores
    than classes, and warns of more. What is returned is to be removed at the end.
    """

    def look(module: nn.Module, args: Any, output: Any) -> None:
        handle.remove()
        names, shape = classes or (), np.shape(getattr(output, "array", ()))
        if not names or len(shape) < 2 or name_of(loss) not in OF_CLASSES:
            return
        count = shape[1]
        if count < len(names):
            raise DataError(
                f"the model has {some(count, 'output')}, and there are {len(names)} classes, "
                f"{listed(names)}: give its last layer an output for each; is one misspelt?"
            )
        if count > len(names):
            warnings.warn(
                f"fit: the model has {count} outputs for {len(names)} classes, {listed(names)}: it "
                "may predict one that is none of these; give its last layer an output for each",
                stacklevel=2,
            )

    handle = model.register_forward_hook(look)
    return handle


def looked_at(
    batches: Iterable[Any], look: Callable[[np.ndarray], None], enough: int = ENOUGH
) -> Iterator[Any]:
    """The same batches; `look` gets the inputs of the first, if these are floats, or of as many
    as hold `enough` examples, if they are equally large.
    """
    rest, first = iter(batches), []
    inputs: list[np.ndarray] = []
    for batch in rest:
        first.append(batch)
        x = ours(batch[0] if isinstance(batch, (tuple, list)) and batch else batch)
        x = getattr(x, "array", x)
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.ndim or not x.size:
            break
        if inputs and x.shape[1:] != inputs[0].shape[1:]:
            break
        inputs.append(x)
        if sum(map(len, inputs)) >= enough:
            break
    if inputs:
        look(np.concatenate(inputs))
    yield from first
    yield from rest


def look_at_training(x: np.ndarray, train: Any, about: dict[str, Any]) -> None:
    """Keep in `about` what the inputs are like; warn of such as nets hardly learn from."""
    inputs_of(x, about)
    if not badly_scaled(x):
        return
    normalize = next(filter(None, map(find_normalize, transforms_of(train))), None)
    cure = "divide bytes by 255, or pass transform=data.standardize(train)"
    if normalize is not None:
        cure = "they are normalised already, so are there outliers, or was it for others?"
    elif x.ndim == 2:
        cure = "scale each column, x = (x - x.mean(0)) / x.std(0), and new examples alike"
    warnings.warn(
        f"fit: the inputs of the first batch run from {x.min():.4g} to {x.max():.4g} "
        f"(standard deviation {x.std(dtype=np.float64):.3g}), and layers are initialised "
        f"for inputs of about unit scale: {cure}",
        stacklevel=2,
    )


def look_at_validation(x: np.ndarray, about: dict[str, Any]) -> None:
    """Warn of validation inputs that are unlike those of the training."""
    if told := unlike(x, about.get("inputs")):
        warnings.warn(
            f"fit: validation gives the model inputs {told}: is one of them scaled, and not the "
            "other?",
            stacklevel=2,
        )


def validation_batches(validate: Any, train: Any, transform: Images | None, dtype: Any) -> Any:
    if validate is None:
        return None
    if shared := _shared(train, validate):
        warnings.warn(
            f"fit: validation is on training data, {shared} of its examples, and says nothing of "
            "examples not seen; hold some out: data.random_split(train, [0.9, 0.1])",
            stacklevel=3,
        )
    if hasattr(validate, "__len__") and not len(validate):
        raise DataError("fit: validate is empty: there is no example to measure the model on")
    return as_batches(validate, 256, *(transform, dtype) if is_dataset(validate) else ())


def _shared(train: Any, validate: Any) -> int:
    """How many validation examples are certain to be in the training too, as far as data sets show
    it; images that come twice by chance, one in a hundred, do not count.
    """
    (one, rows), (other, others) = source(train), source(validate)
    if one is other and (same := np.intersect1d(rows, others).size):
        return int(same)
    if not isinstance(one, ArrayDataset) or not isinstance(other, ArrayDataset):
        return 0
    if one.images.ndim < 4:
        return len(others) * (one is not other and np.array_equal(one.images, other.images))
    return shared_images(one.images[rows], other.images[others])


LOOKED_AT = 500  # images, to know light strokes on a dark ground


def about_data(
    model: nn.Module, train: Any, transform: Images | None, augment: Images | None, loss: Any
) -> dict[str, Any]:
    """What a checkpoint should know: what `models.build` made the model of, the classes of its
    data, their preparation, columns and shape, and the loss; for one of the user's own the name of
    that for such targets. Raises ValueError where images are moved, and their targets are not.
    """
    dataset: Any = train if is_dataset(train) else getattr(train, "dataset", None)
    images, rows = source(train)
    floats = _targets(train).dtype.kind == "f"
    about: dict[str, Any] = {"loss": name_of(loss) or ("mse" if floats else "cross_entropy")}
    about["loss_settings"] = settings_of(loss) if name_of(loss) else None
    about |= built_as(model) or {}
    about["columns"] = getattr(images, "columns", None) or None
    about["fit"] = getattr(images, "fit", None)
    if getattr(images, "classes", None) is not None:
        about["classes"] = images.classes
    (inner, by_loader), is_ours = transforms_of(train), isinstance(images, ArrayDataset)
    about |= told((inner, by_loader, transform))
    if (normalize := find_normalize(augment)) is not None and "mean" not in about:
        about |= {"mean": normalize.mean, "std": normalize.std}
    if dataset is not None and len(dataset):
        example = dataset[0]
        x = example[0] if isinstance(example, tuple) else example
        parts = x.values() if isinstance(x, dict) else x if isinstance(x, (tuple, list)) else ()
        is_one = not any(getattr(part, "shape", ()) for part in parts)  # and not several inputs
        about["input_shape"] = np.shape(x) if is_one else None
        if not is_one and (transform, augment) != (None, None):
            raise ValueError(
                "fit: transform and augment change one input, and an example has several: change "
                "them in the __getitem__ of the data set"
            )
        if is_one and isinstance(example, (tuple, list)) and len(example) == 2:
            moving = inner if is_ours else None, by_loader, transform, augment
            check_moved(moving, *example)  # another may move both
        if is_ours and inner is None:
            about["box"] = box_of(images.images[rows[:: len(rows) // LOOKED_AT + 1]])
    return about


def own_transform(model: Any, data: Any, transform: Images | None) -> Images | None:
    """`transform`, or for a data set without a normalisation the one that a `Trained` brings."""
    if transform is not None or not (is_dataset(data) or isinstance(data, (np.ndarray, Tensor))):
        return transform
    own: Images | None = getattr(model, "input_transform", None)
    inner = getattr(source(data)[0], "transform", None) if is_dataset(data) else None
    return own if find_normalize(inner) is None else None
