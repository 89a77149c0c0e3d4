"""A trained model as one object: the network with its classes, its preprocessing and its figures.

    model = tinynet.load("runs/mnist-lenet5")
    model.predict("seven.png")[0].label
    model.evaluate("mnist")["accuracy"]

The command line's `predict` and `evaluate` are these methods, so both say the same of an image.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from tinynet.autograd import wrap
from tinynet.data import ArrayDataset, Compose
from tinynet.data import load as load_data
from tinynet.data.files import as_path
from tinynet.data.folder import FITS, list_images
from tinynet.data.sources import HELD_OUT, OWN
from tinynet.devices import check_device, is_device
from tinynet.errors import CheckpointError, unknown_name
from tinynet.nn import Module
from tinynet.nn.states import load_fitting
from tinynet.tensor import Tensor
from tinynet.training import checkpoint as checkpoints
from tinynet.training import loop, safetensors
from tinynet.training.arguments import check_names
from tinynet.training.batches import (
    LOOKED_AT,
    as_numbers,
    batches_for,
    check_classes,
    examples_for,
    is_array,
    is_dataset,
    source,
)
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.folder import RECORD, chosen_in
from tinynet.training.history import Record, from_columns
from tinynet.training.losses import are_numbers, probabilities_of, with_settings
from tinynet.training.photos import Batch, Look, prepare
from tinynet.training.preparation import made
from tinynet.training.report.findings import MISTAKES, Findings, named
from tinynet.training.safetensors import Place
from tinynet.training.strokes import is_dark_around

BATCH = 256  # examples at a time


@dataclass(frozen=True)
class Prediction:
    """What a model sees in an image.

    source: the file, or the image's number. label: the likeliest class. probability: how likely.
    probabilities: of all classes by name, the likeliest first. Of a model that predicts numbers
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
        self._loss = checkpoint.loss or "cross_entropy"  # which says what the outputs mean
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
        """The names of the classes, in the order of the outputs; None if they have none."""
        return self.checkpoint.classes

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
    ) -> Batch:
        """Images in the size and colours of the training's, before they are normalised.

        broken: gets what is wrong with files that cannot be read, which then are left out.
        """
        check_names(unknown, self.batch, "predict")
        if fit is not None and fit not in FITS:
            raise unknown_name("fit", fit, FITS)
        stored, shape = self.checkpoint, self.checkpoint.input_shape
        are_paths = isinstance(images, list) and isinstance((*images, 0)[0], (str, os.PathLike))
        if len(shape or ()) != 3 and is_array(images) and not are_paths:
            rows = as_numbers("predict: the data", images, self, stored.columns or ())
            images = rows[None] if rows.shape == shape else rows
            shape = shape or images.shape[1:]
        if shape is None:
            raise CheckpointError(
                f"{stored.path} does not say which shape of image the model takes; the folder of "
                "its run does, and so does tinynet.save(model, path, input_shape=(C, H, W), "
                "classes=..., mean=..., std=...); an array (N, ...) is taken as it is"
            )
        steps = made(stored.steps or ()) if fit is None else None
        fit = fit or stored.fit or FITS[0]
        return prepare(images, Look(shape, stored.box, fit, as_is, invert, steps), broken)

    def predict_proba(self, images: Any, **options: Any) -> np.ndarray:
        """The probability of each class for each image (N, K). images, options: as `predict`."""
        if not is_dataset(images) or isinstance(images, (str, np.ndarray, Tensor)):
            images = self.batch(images, **options).pixels
        return probabilities_of(loop.predict(self, images), self._loss)

    def predict(self, images: Any, **options: Any) -> list[Prediction]:
        """What the model sees in each image.

        images: a path, of a folder for all images in it; a PIL image; an array, one image or a
        batch; or a list of such. options: fit="crop", "pad" or "stretch", how an image of another
        aspect ratio is resized (by default as the training images were); as_is=True, to leave
        photos of strokes as they are; invert=True, to exchange dark and light.
        """
        return self.predictions(self.batch(images, **options))

    def predictions(self, batch: Batch) -> list[Prediction]:
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
                found.append(Prediction(name, *ranked[0], dict(ranked)))
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
            data = self.dataset(data, y or split, root)
        elif getattr(data, "ndim", 0) == len(self.checkpoint.input_shape or ()) == 3:
            data = np.asarray(data)[:, None]  # grey images without an axis of channels
        y = None if isinstance(y, str) else y
        found, measured = self.findings(examples_for(self, data, y), 0)
        if not len(found):
            return measured
        return measured | {"accuracy": found.accuracy(), "confusion_matrix": found.matrix}

    def dataset(self, name: str, split: str = "test", root: Any = None) -> ArrayDataset:
        """A data set by name, to measure the model on.

        Of others than its own, images in a folder are made as `predict` makes them, and where there
        is no test part all are taken; a fifth if it is not known what it was trained on.
        """
        settings, shape = self.checkpoint.settings or {}, self.checkpoint.input_shape
        known = settings.get("data_sha256")
        kind, _, path = name.partition(":")
        if kind not in OWN or not path or name == settings.get("data"):
            return load_data(name, split, root=root)
        as_then = name
        if kind == "folder" and "?" not in name:
            as_then += "".join(str(settings.get("data")).partition("?")[1:])
        with contextlib.suppress(ValueError, OSError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if known and fingerprint(*(load_data(as_then, s) for s in ("train", "test"))) == known:
                return load_data(as_then, split)
        held_out = 0.0 if known else HELD_OUT
        path, _, fit = path.partition("?fit=")
        if kind != "folder" or "?" in path or len(shape or ()) != 3:
            return load_data(name, split, root=root, held_out=held_out)
        files, labels, classes, _ = list_images(as_path(path), split, held_out, 0)
        batch = self.batch(files, fit=fit or None)
        if done := sorted({*batch.done} - {"taken as they are", "made as those of the training"}):
            warnings.warn(f"{name}: made as `predict` makes them: {' / '.join(done)}", stacklevel=3)
        dataset = ArrayDataset(batch.pixels, labels, classes=classes)
        dataset.files = tuple(batch.names)
        return dataset

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
        dataset = examples_for(self, dataset)
        check_classes(self.classes, dataset)
        names = self.classes or getattr(source(dataset)[0], "classes", None)
        found = Findings(names, keep, self._loss, dataset)
        dataset = self._adapted(dataset)
        batches = batches_for(self, dataset, BATCH)
        measured = loop.evaluate(
            self,
            watch(batches),
            with_settings(self._loss, self.checkpoint.loss_settings),
            after_batch=found.add,
        )
        return found, measured

    def _adapted(self, dataset: Any) -> Any:
        """A data set whose images have another size, or colours, than the model's, or most of them
        a light ground where its own have a dark one, with a warning and made as `predict` makes
        them; any other as it is."""
        shape = self.checkpoint.input_shape
        if not isinstance(dataset, ArrayDataset) or dataset.transform is not None:
            return dataset
        theirs = dataset.images.shape[1:]
        if shape is None or not len(shape) == len(theirs) == 3 or dataset.labels.ndim > 1:
            return dataset
        told, wanted = ("x".join(map(str, sizes)) for sizes in (theirs, shape))
        if shape == theirs:
            some = dataset.images[:: len(dataset) // LOOKED_AT + 1, 0]
            grey = some / (255 if some.dtype == np.uint8 else 1)
            if self.checkpoint.box is None or np.mean(is_dark_around(grey)) >= 0.5:
                return dataset
            told, wanted = "dark on light", "light strokes on a dark ground"
        warnings.warn(
            f"the images are {told}, and the model takes {wanted}: they are made so, as `predict` "
            "makes them",
            stacklevel=4,
        )
        pixels = self.batch(dataset.images).pixels
        return ArrayDataset(pixels, dataset.labels, classes=dataset.classes)


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
