"""A trained model as one object: the network with its classes, its preprocessing and its figures.

    model = tinynet.load("runs/mnist-lenet5")
    model.predict("seven.png")[0].label
    model.evaluate("mnist")["accuracy"]

The command line's `predict` and `evaluate` are these methods, so both say the same of an image.
"""

import contextlib
import copy
import functools
import hashlib
import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinynet.autograd import wrap
from tinynet.data import ArrayDataset, Compose
from tinynet.data import load as load_data
from tinynet.data.dataset import warn_of_twins
from tinynet.data.files import as_path
from tinynet.data.folder import FITS, list_images
from tinynet.data.sources import HELD_OUT, SPLITS, folder_options, parts_of
from tinynet.devices import check_device, is_device
from tinynet.errors import CheckpointError, DataError, unknown_name
from tinynet.nn import Module
from tinynet.nn.states import load_fitting
from tinynet.tensor import Tensor
from tinynet.training import batches as given
from tinynet.training import checkpoint as checkpoints
from tinynet.training import loop, photos, safetensors
from tinynet.training.arguments import check_names
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.folder import RECORD, chosen_in
from tinynet.training.history import Record, from_columns
from tinynet.training.losses import (
    BINARY,
    are_numbers,
    as_loss,
    probabilities_of,
    with_settings,
)
from tinynet.training.preparation import made
from tinynet.training.report.findings import MISTAKES, Findings, named
from tinynet.training.safetensors import Place

BATCH = 256  # examples at a time


@dataclass(frozen=True)
class Prediction:
    """What a model sees in an image.

    source: the file, or the image's number. label: the likeliest class. probability: how likely.
    probabilities: of all classes by name, the likeliest first. Where each class is there or not by
    itself, as after bce_with_logits, label has all that are likelier than not, or is empty, and
    probability is still that of the likeliest. Of a model that predicts numbers
    (see `losses`) these are in `values`, `label` has them as text, and there is no probability.
    Of one with a class for each place, these are in `map` (H, W), and `label` is that of most.
    """

    source: str
    label: str
    probability: float | None
    probabilities: dict[str, float]
    values: tuple[float, ...] = ()
    map: np.ndarray | None = None


class Trained(Module):
    """A network, and what its checkpoint knows of it; calls and weights are the network's.

    network: the Module itself. checkpoint: where it comes from. Whatever else the network has can
    be had of this too, such as `model.conv1`.
    """

    def __init__(self, network: Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        self.checkpoint = checkpoint
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The network's output for a batch that is ready for it, as `preprocess` makes them."""
        return self.network(*args, **kwargs)

    def _named_state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        return self.network._named_state(prefix)

    def state_dict(self, *args: Any, **settings: Any) -> Any:
        return self.network.state_dict(*args, **settings)

    def __getattr__(self, name: str) -> Any:
        network = self.__dict__.get("network")
        if network is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(network, name)

    def __getitem__(self, index: Any) -> Any:
        return self.network[index]  # type: ignore[index]

    # ----- what is known ----------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """The name it was trained by, such as lenet5."""
        return self.checkpoint.name

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, or numbers, in the order of the outputs; None without names."""
        return self.checkpoint.classes

    @property
    def _loss(self) -> str:
        """The name of its loss, which says what the outputs mean."""
        return self.checkpoint.loss or "cross_entropy"

    @property
    def input_transform(self) -> Compose | None:
        """What turns images as they are in a data set into the network's input."""
        return self.checkpoint.preprocessing()

    @property
    def figures(self) -> dict[str, float]:
        """What was measured: the record of its epoch, and where it was tested, that too."""
        run = self.checkpoint.run
        history = [] if run is None else from_columns(run["history"])
        figures = history[-1] if history else {}
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # of no record there
            path = (self.checkpoint.path or Path()).with_name(RECORD)
            record = json.loads(path.read_text(encoding="utf-8"))
            if record["weights_sha256"] == self.checkpoint.sha256():
                figures |= {k: float(record[k]) for k in ("test_accuracy", "test_loss")}
        return figures

    # ----- use --------------------------------------------------------------------------------

    def preprocess(
        self, images: Any, *, fit: str | None = None, as_is: bool = False, invert: bool = False
    ) -> Tensor:
        """Images as the network takes them. images, fit and so on: as for `predict`."""
        pixels = self.batch(images, fit=fit, as_is=as_is, invert=invert).pixels
        transform = self.input_transform
        return wrap(np.asarray(pixels if transform is None else transform(pixels), np.float32))

    def batch(
        self,
        images: Any,
        *,
        fit: str | None = None,
        as_is: bool = False,
        invert: bool = False,
        broken: list[str] | None = None,
        **unknown: NoReturn,
    ) -> photos.Batch:
        """Images in the size and colours of the training's, before they are normalised.

        broken: gets what is wrong with files that cannot be read, which then are left out.
        """
        check_names(unknown, self.batch, "predict")
        if fit is not None and fit not in FITS:
            raise unknown_name("fit", fit, FITS)
        stored, shape = self.checkpoint, self.checkpoint.input_shape
        files = images if isinstance(images, list) else [images]
        are_paths = bool(files) and all(isinstance(file, (str, os.PathLike)) for file in files)
        names: list[str] | None = None
        columns = stored.columns or ()
        if len(shape or ()) != 3:
            if are_paths and (shape or photos.is_of_arrays(files[0])):
                images, names = photos.rows_in(files, columns)
                are_paths, columns = False, ()
            if given.is_array(images) and not are_paths:
                rows = given.as_numbers("predict: the data", images, self, columns)
                images = rows[None] if rows.shape == shape else rows
                shape = shape or images.shape[1:]
        if shape is None:
            raise CheckpointError(
                f"{stored.path} does not say which shape of image the model takes; the folder of "
                "its run does, and so does tinynet.save(model, path, input_shape=(C, H, W), "
                "classes=..., mean=..., std=...); an array (N, ...) is taken as it is"
            )
        steps = made(stored.steps or ()) if fit is None else None
        resized, fit = bool(stored.fit or stored.steps), fit or stored.fit or FITS[0]
        look = photos.Look(shape, stored.box, fit, as_is, invert, steps, resized)
        made_so = photos.prepare(images, look, broken)
        return made_so if names is None else replace(made_so, names=names)

    def predict_proba(self, images: Any, **options: Any) -> np.ndarray:
        """The probability of each class for each image (N, K). images, options: as `predict`."""
        images = given.ours(images)
        if not given.is_dataset(images) or isinstance(images, (str, np.ndarray, Tensor)):
            images = self.batch(images, **options).pixels
        return probabilities_of(loop.predict(self, images), self._loss)

    def predict(self, images: Any, **options: Any) -> list[Prediction]:
        """What the model sees in each image.

        images: a path, of a folder for all images in it, of an .npz, .npy or .csv for its rows; a
        PIL image; an array, one image or a batch; or a list of such. options: fit="crop", "pad" or
        "stretch", how an image of another aspect ratio is resized (by default as the training
        images were); as_is=True, to leave photos of strokes as they are; invert=True, to exchange
        dark and light.
        """
        return self.predictions(self.batch(images, **options))

    def predictions(self, batch: photos.Batch) -> list[Prediction]:
        """`predict` of a batch that is made already."""
        outputs = loop.predict(self, batch.pixels)
        found = []
        if are_numbers(self._loss):
            for name, row in zip(batch.names, outputs.reshape(len(outputs), -1).tolist()):
                told = ", ".join(f"{value:.6g}" for value in row)
                found.append(Prediction(name, told, None, {}, tuple(row)))
            return found
        probabilities = probabilities_of(outputs, self._loss)
        names = named(self.classes, probabilities.shape[1])
        for name, each in zip(batch.names, probabilities):
            if each.ndim > 1:  # (K, H, W)
                map_ = each.argmax(0)
                label = names[np.bincount(map_.ravel()).argmax()]
                found.append(Prediction(name, label, None, {}, map=map_))
            else:
                ranked = sorted(zip(names, each.tolist()), key=lambda pair: -pair[1])
                best = [ranked[0]]
                if self._loss in BINARY and outputs[0].size > 1:
                    best = [pair for pair in ranked if pair[1] > 0.5]
                label = ", ".join(name for name, _ in best)
                found.append(Prediction(name, label, ranked[0][1], dict(ranked)))
        return found

    def evaluate(
        self, data: Any, y: Any = None, root: Any = None, *, split: str = "test"
    ) -> dict[str, Any]:
        """Accuracy, loss and confusion matrix on a data set, or on the one of a name; of maps
        those of the pixels, and of a model that predicts numbers the loss alone.

        evaluate(data) or, of arrays or tables, evaluate(x, y). split, root: of a data set by name,
        see `tinynet.data.load`; evaluate(name, split) will do.
        """
        if isinstance(data, str):
            data, y = self.dataset(data, split if y is None else y, root), None
        elif (split, root) != ("test", None):
            raise ValueError("evaluate: split and root are of a data set by name; this is the data")
        elif getattr(data, "ndim", 0) == len(self.checkpoint.input_shape or ()) == 3:
            data = np.asarray(data)[:, None]  # grey images without an axis of channels
        found, measured = self.findings(self._examples(data, y), 0)
        if not len(found):
            return measured
        return measured | {"accuracy": found.accuracy(), "confusion_matrix": found.matrix}

    def dataset(self, name: str, split: str = "test", root: Any = None) -> ArrayDataset:
        """A data set by name, to measure the model on.

        Of its own, also where they lie elsewhere by now, the test part is taken, with a warning
        where they have changed. Of others images in a folder are made as `predict` makes them, and
        where there is no test part all are taken; a fifth if it is not known what it was trained
        on.
        """
        settings, shape = self.checkpoint.settings or {}, self.checkpoint.input_shape
        known = settings.get("data_sha256")
        kind, path, options = parts_of(name)
        numbers = kind in ("npz", "csv") and (are_numbers(self._loss) or self._are_several())
        load = functools.partial(load_data, root=root, numbers=numbers)
        if not kind or not path or split not in SPLITS:
            return load(name, split)
        own_kind, own_path, own_options = parts_of(str(settings.get("data")))
        is_own = (kind, os.path.abspath(path)) == (own_kind, os.path.abspath(own_path))
        then = own_options if kind == "folder" and (is_own or not options) else options
        as_then = f"{kind}:{path}?{then}" if then else name
        parts: list[ArrayDataset] = []
        if is_own:
            parts = [load(as_then, each) for each in SPLITS]
        elif known:
            with contextlib.suppress(ValueError, OSError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parts = [load(as_then, each) for each in SPLITS]
        is_same = len(parts) == len(SPLITS) and fingerprint(*parts) == known
        if is_own and not is_same:
            warn_of_change(name)
        if is_own or is_same:
            warn_of_twins(name, *parts)
            as_asked = options in ("", then)
            return parts[SPLITS.index(split)] if as_asked else load(name, split)
        held_out = 0.0 if known else HELD_OUT
        asked = folder_options(options)
        if kind != "folder" or "size" in asked or len(shape or ()) != 3:
            return self._in_places(load(name, split, held_out=held_out))
        own = self.classes or ()
        files, labels, classes, _ = list_images(as_path(path), split, held_out, 0, own)
        batch = self.batch(files, **asked)
        _tell_what_was_done(name, batch)
        dataset = ArrayDataset(batch.pixels, labels, classes=classes)
        dataset.files = tuple(batch.names)
        return dataset

    def _are_several(self) -> bool:
        """Whether an output is several probabilities, each by itself: the network is asked."""
        if self._loss not in BINARY:
            return False
        if (shape := self.checkpoint.input_shape) is None:
            raise CheckpointError(
                f"{self.checkpoint.path} does not say the shape of an example, so nobody knows how "
                "many outputs its model has: give the data themselves, evaluate(x, y)"
            )
        try:
            output = loop.predict(self.network, np.zeros((1, *shape), given.dtype_of(self)))
        except TypeError:  # of an Embedding, which takes places
            output = loop.predict(self.network, np.zeros((1, *shape), np.int64))
        return output.shape[1:2] not in ((), (1,))

    def _in_places(self, dataset: ArrayDataset) -> ArrayDataset:
        """A data set with some of the model's classes, or in another order, with the model's."""
        own, theirs = self.classes or (), dataset.classes or ()
        if own == theirs or not theirs or not {*theirs} <= {*own}:
            return dataset
        places = np.array([own.index(name) for name in theirs])
        made_so = copy.copy(dataset)
        made_so.arrays = (dataset.images, places[dataset.labels])
        made_so.classes = own
        return made_so

    def findings(
        self,
        dataset: Any,
        keep: int = MISTAKES,
        watch: Callable[[Any], Any] = lambda batches: batches,
    ) -> tuple[Findings, Record]:
        """What the model makes of a data set, with so many of its surest mistakes, and its figures.

        watch: gets the batches, and gives them again one by one. Raises DataError for data with
        other classes.
        """
        dataset = self._examples(dataset)
        names = self.classes or getattr(given.source(dataset)[0], "classes", None)
        found = Findings(names, keep, self._loss, dataset)
        asked = (self.checkpoint.run or {}).get("setup", {})
        if self.checkpoint.loss is not None and self.checkpoint.loss_settings is None and asked:
            warnings.warn(
                f"the training's loss, {asked.get('loss')}, is not kept: the figure `loss` is that "
                f"of {self._loss}; training.evaluate(model, data, loss=...) measures by your own",
                stacklevel=3,
            )
        dataset = self._adapted(dataset)
        transform = given.own_transform(self, dataset, None)
        batches = given.as_batches(dataset, BATCH, transform, given.dtype_of(self))
        watched = watch(batches)
        if given.source(watched)[0] is not given.source(batches)[0]:  # else `evaluate` sees it
            given.check_classes(self.classes, dataset)
        measured = loop.evaluate(
            self,
            watched,
            with_settings(self._loss, self.checkpoint.loss_settings),
            after_batch=found.add,
        )
        return found, measured

    def _examples(self, data: Any, y: Any = None) -> Any:
        return given.as_examples(data, y, self, self.checkpoint, as_loss(self._loss))

    def _adapted(self, dataset: Any) -> Any:
        """A data set whose images have another size, or colours, than the model's, or a light
        ground where its own have a dark one, made as `predict` makes them, with a warning; any
        other as it is."""
        shape, (whole, rows) = self.checkpoint.input_shape, given.source(dataset)
        is_ours = isinstance(whole, ArrayDataset) and given.is_dataset(dataset)
        if not is_ours or whole.transform is not None:
            return dataset
        theirs = whole.images.shape[1:]
        if shape is None or len(shape) != 3 or len(theirs) not in (1, 3) or whole.labels.ndim > 1:
            return dataset
        if len(theirs) == 1 and (shape[0] > 1 or theirs[0] != math.prod(shape)):
            wanted = "x".join(map(str, shape))
            told = f"the model takes images {wanted}, these are rows of {theirs[0]} numbers"
            raise DataError(told)
        batch = self.batch(whole.images if whole is dataset else whole.images[rows])
        _tell_what_was_done(f"the images, {'x'.join(map(str, theirs))}", batch)
        made_so = copy.copy(whole)
        made_so.arrays = (batch.pixels, *(array[rows] for array in whole.arrays[1:]))
        return made_so


def _tell_what_was_done(what: str, batch: photos.Batch) -> None:
    """Warn of images that are others now than they were."""
    told = [
        f"{done}{f' ({count} of {len(batch.done)})' * (count < len(batch.done))}"
        for done, count in Counter(batch.done).most_common()
        if done not in (photos.AS_THEY_ARE, photos.AS_IN_TRAINING)
    ]
    if told:
        warnings.warn(f"{what}: made as `predict` makes them: {' / '.join(told)}", stacklevel=5)


def warn_of_change(name: str) -> None:
    """Warn where a run's data are others by now: a test part may be drawn in another way."""
    warnings.warn(
        f"{name} is no longer as the run saw it. Where its test part is held out at random, images "
        "that were trained on may be in it, and the figures too good: train again, or keep the "
        "test images in a folder of their own (PATH/train, PATH/test)",
        stacklevel=3,
    )


def fingerprint(train: ArrayDataset, test: ArrayDataset) -> str:
    """The SHA-256 of the images and labels of both parts, and the names of the classes."""
    digest = hashlib.sha256(json.dumps([train.classes, test.classes]).encode())
    for array in (*train.arrays, *test.arrays):
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def load(
    f: Place,
    model: Module | None = None,
    strict: bool = True,
    *,
    map_location: Any = None,
    weights_only: bool = True,
) -> Any:
    """What `save` wrote to `f`, or a run's model, ready for use.

    f: a file, also one that is open for bytes; or the folder of a run, of which the best epoch
    on validation data is taken, else the last. Where it holds a model that tinynet knows by name, a
    `Trained` is returned; with `model`, the weights are loaded into that, and it becomes the
    network of one. Of another model without `model`, and of a file of another program, the
    state_dict, as tensors; else the object, as it was saved. With strict=False what fits into
    `model` is loaded, and the list of the rest is returned: missing_keys, unexpected_keys, and
    mismatched with the reasons.

    map_location, weights_only: as PyTorch has them, and without effect: tensors lie in the main
    memory, and nothing that could run code is read. A device may also come second, as there.

    Raises CheckpointError, before `model` is touched, for a file that is no checkpoint (with the
    way from there, for those that other frameworks write), is damaged, or does not fit. A model
    that is built is no larger than the file.

        model = tinynet.load("runs/digits-digits_cnn")
    """
    if not safetensors.is_place(f):
        raise TypeError(f"load: the path comes first: tinynet.load(path); got {type(f)!r}")
    if is_device(model):
        check_device(model)
        model = None
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"load: the model to load into must be a Module, got {model!r:.60}")
    if not strict and model is None:
        raise ValueError("load: strict=False is for a model of yours: load(path, model, False)")
    path = safetensors.path_of(f)
    is_run = path is not None and os.path.isdir(path)
    f = chosen_in(path) if path is not None and is_run else f
    if model is not None:
        stored = checkpoints.read(f)
        if not strict:
            return load_fitting(model, stored.weights)
        model.load_state_dict(stored.weights)
        return Trained(model, stored)
    stored = checkpoints.read_any(f)
    if not isinstance(stored, Checkpoint):
        return stored
    if is_run or stored.is_buildable():
        return Trained(stored.build(), stored)
    return {name: wrap(array) for name, array in stored.weights.items()}
