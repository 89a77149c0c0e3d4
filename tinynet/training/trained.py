"""A trained model as one object: the network with its classes, its preprocessing and its figures.

    model = tinynet.load("runs/mnist-lenet5")
    model.predict("seven.png")[0].label
    model.evaluate("mnist")["accuracy"]

The command line's `predict` and `evaluate` are these methods, so both say the same of an image.
"""

from __future__ import annotations

import contextlib
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
from tinynet.data.folder import FITS
from tinynet.devices import check_device, is_device
from tinynet.errors import CheckpointError, DataError, unknown_name
from tinynet.nn import Module
from tinynet.nn.states import load_fitting
from tinynet.tensor import Tensor
from tinynet.training import checkpoint as checkpoints
from tinynet.training import loop, safetensors
from tinynet.training.arguments import check_names
from tinynet.training.batches import as_examples, batches_for, is_dataset
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.folder import RECORD, chosen_in
from tinynet.training.history import from_columns
from tinynet.training.losses import are_numbers, probabilities_of
from tinynet.training.photos import Batch, Look, prepare
from tinynet.training.report.findings import MISTAKES, Findings, named
from tinynet.training.safetensors import Place

BATCH = 256  # examples at a time


@dataclass(frozen=True)
class Prediction:
    """What a model sees in an image.

    source: the file, or the image's number. label: the likeliest class. probability: how likely.
    probabilities: of all classes by name, the likeliest first. Of a model that predicts numbers
    (see `losses`) these are in `values`, `label` has them as text, and there is no probability.
    """

    source: str
    label: str
    probability: float | None
    probabilities: dict[str, float]
    values: tuple[float, ...] = ()


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

    @property
    def _loss(self) -> str:
        """The name of the loss that it was trained with, which says what its outputs mean."""
        return self.checkpoint.loss or "cross_entropy"

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
        stored = self.checkpoint
        if stored.input_shape is None:
            told = "does not say which shape of image the model takes; the folder of its run does"
            raise CheckpointError(f"{stored.path} {told}")
        look = Look(stored.input_shape, stored.box, fit or stored.fit or FITS[0], as_is, invert)
        return prepare(images, look, broken)

    def predict_proba(self, images: Any, **options: Any) -> np.ndarray:
        """The probability of each class for each image (N, K). images, options: as `predict`."""
        if is_dataset(images) and not isinstance(images, (str, np.ndarray, Tensor)):
            return probabilities_of(loop.predict(self, images), self._loss)
        return probabilities_of(self._outputs(self.batch(images, **options)), self._loss)

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
        outputs = self._outputs(batch)
        if are_numbers(self._loss):
            rows = outputs.reshape(len(outputs), -1).tolist()
            texts = [", ".join(f"{value:.6g}" for value in row) for row in rows]
            made = zip(batch.names, texts, rows)
            return [Prediction(name, text, None, {}, tuple(row)) for name, text, row in made]
        probabilities = probabilities_of(outputs, self._loss)
        if probabilities.ndim > 2:
            raise CheckpointError(
                f"the model gives a map {outputs.shape[1:]} of each image, a class for each place: "
                "training.predict(model, images).argmax(1) has them"
            )
        names = named(self.classes, probabilities.shape[1])
        found = []
        for source, row in zip(batch.names, probabilities.tolist()):
            ranked = sorted(zip(names, row), key=lambda pair: -pair[1])
            found.append(Prediction(source, *ranked[0], dict(ranked)))
        return found

    def evaluate(
        self, data: Any, y: Any = None, root: Any = None, *, split: str = "test"
    ) -> dict[str, Any]:
        """Accuracy, loss and confusion matrix on a data set, or on the one of a name; of a model
        that predicts numbers the loss alone.

        evaluate(data) or, of arrays or tables, evaluate(x, y). split, root: of a data set by name,
        see `tinynet.data.load`; evaluate(name, split) will do.
        """
        if isinstance(data, str):
            data = load_data(data, y or split, root=root)
        y = None if isinstance(y, str) else y
        found, loss = self.findings(as_examples(data, y, self.classes or ()), 0)
        if not len(found):
            return {"loss": loss}
        return {"accuracy": found.accuracy(), "loss": loss, "confusion_matrix": found.matrix}

    def findings(
        self,
        dataset: Any,
        keep: int = MISTAKES,
        watch: Callable[[Any], Any] = lambda batches: batches,
    ) -> tuple[Findings, float]:
        """What the model makes of a data set, with so many of its surest mistakes, and the loss.

        watch: gets the batches, and gives them again one by one. Raises DataError for data with
        other classes.
        """
        dataset = as_examples(dataset, classes=self.classes or ())
        theirs = getattr(dataset, "classes", None)
        if self.classes is not None and theirs is not None and tuple(theirs) != self.classes:
            raise DataError(
                f"the model knows the classes {', '.join(self.classes)}; the data has "
                f"{', '.join(map(str, theirs))}"
            )
        self._warn_of_preprocessing()
        found = Findings(theirs or self.classes, keep, self._loss, dataset)
        dataset = self._adapted(dataset)
        batches = batches_for(self, dataset, BATCH)
        measured = loop.evaluate(
            self,
            watch(batches),
            self._loss,
            metrics={},
            after_batch=found.add,
        )
        return found, measured["loss"]

    def _adapted(self, dataset: Any) -> Any:
        """A data set whose images have another size, or colours, than the model's, with a warning
        and made as `predict` makes them; any other as it is."""
        shape = self.checkpoint.input_shape
        if not isinstance(dataset, ArrayDataset) or dataset.transform is not None:
            return dataset
        theirs = dataset.images.shape[1:]
        if shape in (None, theirs) or not len(shape) == len(theirs) == 3 or dataset.labels.ndim > 1:
            return dataset
        told, wanted = ("x".join(map(str, sizes)) for sizes in (theirs, shape))
        warnings.warn(
            f"the images are {told}, and the model takes {wanted}: they are made so, as `predict` "
            "makes them",
            stacklevel=4,
        )
        pixels = self.batch(dataset.images).pixels
        return ArrayDataset(pixels, dataset.labels, classes=dataset.classes)

    def _outputs(self, batch: Batch) -> np.ndarray:
        self._warn_of_preprocessing()
        return loop.predict(self, batch.pixels)

    def _warn_of_preprocessing(self) -> None:
        if not self.checkpoint.tells_of_images():
            warnings.warn(
                f"{self.checkpoint.path} does not say how images were normalised; they are given "
                "as 0 to 1: if the model was trained on others, the results are meaningless",
                stacklevel=4,
            )


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
    is_run = isinstance(f, (str, os.PathLike)) and os.path.isdir(f)
    f = chosen_in(f) if is_run else f  # type: ignore[arg-type]
    if model is not None:
        stored = checkpoints.read(f)
        if not strict:
            return load_fitting(model, stored.weights)
        model.load_state_dict(stored.weights)
        return Trained(model, stored) if stored.tells_of_images() else model
    stored = checkpoints.read_any(f)
    if not isinstance(stored, Checkpoint):
        return stored
    if is_run or stored.is_buildable():
        return Trained(stored.build(), stored)
    return {name: wrap(array) for name, array in stored.weights.items()}
