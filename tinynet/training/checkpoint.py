"""Checkpoints: what is saved, and the run that trains it, in one file that cannot run code.

    tinynet.save(model, "model.safetensors")
    checkpoint = read("model.safetensors")

What `tinynet.load` makes of one is in `trained`.

The file is a safetensors file (see `safetensors`), whatever its name. Of a model it holds the
parameters and buffers under PyTorch's names, so that any tool that loads weights takes it; where a
run wrote it also the run's state (see `state`), under `run/...`. Its metadata have the model's name
and arguments, and what is needed to use it on an image: class names, normalisation, image shape.

Whatever is read is checked as a whole before a model is touched.
"""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynet import models
from tinynet.data import Compose, Normalize, ToFloat
from tinynet.errors import CheckpointError, integer, unknown_name
from tinynet.nn import Module, states
from tinynet.nn.parameter import at_most
from tinynet.training import safetensors
from tinynet.training.environment import versions
from tinynet.training.foreign import is_savez, read_savez
from tinynet.training.losses import as_loss, name_of
from tinynet.training.preparation import made
from tinynet.training.safetensors import Place, path_of, told
from tinynet.training.tree import pack, unpack

OF_FILES = ".py:"  # in the name of a model of the user's own: FILE.py:CLASS
SLACK = 1 << 20  # numbers by which a model may outgrow its file, so that it is said what misfits
LARGEST_IMAGE = 1 << 26  # numbers, such as 4,700 x 4,700 pixels in colour


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    weights: the model's state_dict. name, arguments: how `tinynet.models.build` makes the model;
    for one of the user's own FILE.py:CLASS, or None. classes: a name for each label. mean, std:
    what the images, as floats from 0 to 1, were normalised with, per channel. input_shape:
    (C, H, W). settings: what `tinynet train` was asked to do. chosen_by: the quantity, such as
    validation_accuracy, by which this was the best epoch; None for any other. box: the side of the
    figures in light strokes on a dark ground, see `strokes`. fit: how images were resized, see
    `tinynet.data.folder`. loss: the name of the loss that it was trained with, see `losses`, which
    says what its outputs mean; without, they are scores of classes; loss_settings: its settings,
    such as weight. columns: the names of a table's. steps, inputs, untold: what was done to the
    images beside, what the network got, and what cannot be kept, see `preparation`. run: the state
    of the run, see `state`; None for a model alone. path: the file.
    """

    weights: dict[str, np.ndarray]
    name: str | None = None
    arguments: dict[str, Any] | None = None
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_shape: tuple[int, ...] | None = None
    settings: dict[str, Any] | None = None
    chosen_by: str | None = None
    box: int | None = None
    fit: str | None = None
    loss: str | None = None
    loss_settings: dict[str, Any] | None = None
    columns: tuple[str, ...] | None = None
    steps: list[Any] | None = None
    inputs: tuple[float, ...] | None = None
    untold: str | None = None
    versions: dict[str, str] | None = None
    run: dict[str, Any] | None = None
    path: Path | None = None

    def preprocessing(self) -> Compose | None:
        """What turns images of bytes into the model's input; None if that is not recorded."""
        if self.mean is None or self.std is None:
            return None
        return Compose([ToFloat(), Normalize(self.mean, self.std)])

    def tells_of_images(self) -> bool:
        """Whether it says anything of the images that the model is for."""
        return any(x is not None for x in (self.classes, self.mean, self.input_shape))

    def kept(self) -> dict[str, Any]:
        """What is known of the model itself, whatever is done with it."""
        return {k: getattr(self, k) for k in KINDS if k not in ("settings", "chosen_by")}

    def is_buildable(self) -> bool:
        """Whether it has a name to build the model by, and no file would have to be run for it."""
        return self.name is not None and OF_FILES not in self.name

    def build(self) -> Module:
        """The model with its weights. Raises CheckpointError if it has no name to build it by."""
        if self.name is None or not self.is_buildable():
            own = "" if self.name is None else f", {self.name:.200}"
            raise CheckpointError(
                f"this checkpoint holds the weights of a model of your own{own}: make it and pass "
                "it, tinynet.load(path, model); in commands, --model FILE.py:CLASS"
            )
        held = sum(array.size for array in self.weights.values())
        try:
            with at_most(held + SLACK):
                arguments = {k: as_tuples(v) for k, v in (self.arguments or {}).items()}
                model = models.build(self.name, **arguments)
        except Exception as error:  # of any kind, MemoryError too: the arguments may be anything
            raise CheckpointError(
                f"cannot build the model of this checkpoint, {self.name:.40} with {held:,} "
                f"numbers: {error!s:.300}"
            ) from error
        model.load_state_dict(self.weights)
        return model

    def sha256(self) -> str:
        """The SHA-256 of the weights, see `weights_sha256`."""
        return weights_sha256(self.weights)


def weights_sha256(weights: Mapping[str, Any]) -> str:
    """One number for all weights of a state_dict: equal if and only if they are, bit for bit.

    The SHA-256 over name, dtype, shape and elements of each, in the order of their names.
    """
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        array = np.asarray(value)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save(obj: Any, f: Place, *, run: Mapping[str, Any] | None = None, **known: Any) -> None:
    """Write `obj` to `f`, a path, as a safetensors file, atomically; or into an open file object.

    obj: a model, of which the weights are written; a state_dict; or anything of tensors, arrays,
    numbers, texts, dtypes, devices, True, False and None in dicts, lists and tuples, however
    nested.

    The rest is what is known of a model. name, arguments: what `tinynet.models.build` makes it
    again from, so that `load` gives a model and not its state_dict; all others as in `Checkpoint`.

    Raises OSError where the file cannot be written; what was there before is then untouched.
    TypeError for an object of another kind, which nothing pickles.

        tinynet.save(model, "digits.safetensors", name="digits_cnn", arguments={"num_classes": 10})
    """
    if not safetensors.is_place(f):
        order = isinstance(obj, (str, os.PathLike))
        cure = "the path comes second: tinynet.save(model, path)" if order else "give a path"
        raise TypeError(f"save: {cure}; got {type(f).__name__} for it")
    if unknown := known.keys() - KINDS.keys():
        raise TypeError(f"save: {unknown_name('argument', min(unknown), KINDS)}")
    arrays: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {"versions": versions()}
    if isinstance(obj, Module):
        loaded = getattr(obj, "checkpoint", None)
        if isinstance(loaded, Checkpoint):  # what is known of a model that was loaded goes with it
            kept = loaded.kept() | (built_as(obj) or {})
            known = kept | {k: v for k, v in known.items() if v is not None}
        arrays |= states.snapshot(obj)
        about |= as_kept(known)
        about["run"] = pack(run, "run", arrays)
    elif any(value is not None for value in (run, *known.values())):
        raise TypeError(f"save: name=, classes= and so on are for a model, not a {type(obj)!r}")
    else:
        about["object"] = pack(obj, "", arrays)
    safetensors.write(f, arrays, about)


def built_as(model: Module) -> dict[str, Any] | None:
    """The name and arguments of which `models.build` made a model, both None once its layers are
    others, for what it would make is another model; None for a model of the user's own.
    """
    if (made := getattr(model, "built_as", None)) is None:
        return None
    name, arguments, shown = made
    as_made = repr(getattr(model, "network", model)) == shown  # the network of one that was loaded
    return {"name": name, "arguments": arguments} if as_made else {"name": None, "arguments": None}


def load_fitting(
    model: Module, checkpoint: Checkpoint, classes: Sequence[str] | None = None
) -> str:
    """Load what fits of a checkpoint's weights, and say in a line what was not.

    classes: those that the model is to learn; where they are others than the checkpoint's, though
    as many, the last layer with weights begins anew. Raises CheckpointError where nothing fits.
    """
    weights, own = checkpoint.weights, model.state_dict()
    names, before = tuple(classes or ()), checkpoint.classes or ()
    if names and before and before != names:
        last = [name for name, value in own.items() if value.ndim > 1][-1:]
        head = "".join(last).rpartition(".")[0]
        weights = {name: w for name, w in weights.items() if name.rpartition(".")[0] != head}
    result = states.load_fitting(model, weights)
    anew = [*result.missing_keys, *(text.split(":")[0] for text in result.mismatched)]
    if len(anew) == len(own):
        raise CheckpointError(f"{checkpoint.path}: none of its weights fits the model")
    more = f" and {len(anew) - 8} more" if len(anew) > 8 else ""
    rest = f"; anew begin {', '.join(anew[:8])}{more}" if anew else ""
    told = names or before
    if not anew and not (names and before) and told != tuple(map(str, range(len(told)))):
        rest = (
            f", the last layer too: the classes {', '.join(told[:8])} are numbers in one of both "
        )
        rest += "trainings, so make sure that they come in the same order"
    return f"{len(own) - len(anew)} of {len(own)} arrays from {checkpoint.path}{rest}"


def save_weights(checkpoint: Checkpoint, path: str | os.PathLike[str]) -> None:
    """Write the model of a checkpoint, without its run, and without the name of a user's file."""
    known = checkpoint.kept()
    if not checkpoint.is_buildable():
        known["name"] = known["arguments"] = None
    about = {"versions": versions(), **as_kept(known), "run": None}
    safetensors.write(path, dict(checkpoint.weights), about)


def read(path: Place) -> Checkpoint:
    """Everything in a checkpoint, checked. Raises CheckpointError that names what is wrong."""
    found = read_any(path)
    if isinstance(found, Checkpoint):
        return found
    if not isinstance(found, dict):
        raise CheckpointError(f"{told(path)}: holds a {type(found).__name__}, and no weights")
    return Checkpoint(found, path=path_of(path))


def read_any(path: Place) -> Any:
    """The checkpoint of a model in a file, or else the object that was saved."""
    where = path_of(path)
    if where is not None and is_savez(where):
        return Checkpoint(read_savez(where), path=where)
    arrays, about = safetensors.read(path)
    if not about:  # of another program
        return Checkpoint(arrays, path=where)
    what = "" if "object" in about else "the run in it "
    try:
        content = unpack(about["object"] if "object" in about else about["run"], arrays)
        if "object" not in about:  # the weights are the arrays that the run does not have
            _a(dict, type(None))(content)
            texts = {str(k): str(v) for k, v in about["versions"].items()}
            return Checkpoint(arrays, **as_kept(about), versions=texts, run=content, path=where)
    except CheckpointError as error:
        raise CheckpointError(f"{told(path)}: {what}{error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{told(path)}: its metadata are not as tinynet writes them: {error!r}"
        ) from error
    if arrays:
        raise CheckpointError(f"{told(path)}: {next(iter(arrays)):.80} belongs to nothing in it")
    return content


# ----- what is known of a model ---------------------------------------------------------------


def _a(*kinds: type) -> Callable[[Any], Any]:
    def checked(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise TypeError(f"{value!r:.60} is no {kinds[0].__name__}")
        return value

    return checked


def _several(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple(kind(value) for value in values)  # in files a tuple is a list


def _shape(value: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = _several(int)(value)
    if shape and (min(shape) < 1 or math.prod(shape) > LARGEST_IMAGE):
        raise ValueError(f"no image has the shape {shape!r:.80}")
    return shape


KINDS: dict[str, Callable[[Any], Any]] = {
    "name": _a(str),
    "arguments": _a(Mapping),
    "classes": _several(str),
    "mean": _several(float),
    "std": _several(float),
    "input_shape": _shape,
    "settings": _a(Mapping),
    "chosen_by": _a(str),
    "box": lambda value: integer("a checkpoint", "box", value, 1),
    "fit": _a(str),
    "loss": lambda value: name_of(as_loss(_a(str)(value))),
    "loss_settings": _a(Mapping),
    "columns": _several(str),
    "steps": lambda value: made(value) and list(value),
    "inputs": _several(float),
    "untold": _a(str),
}
"""What each thing that is known of a model is kept as; raises an error for what cannot be it."""


def as_kept(known: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known, checked; None for what is not."""
    kept: dict[str, Any] = {name: known.get(name) for name in KINDS}
    for name, value in kept.items():
        try:
            kept[name] = None if value is None else KINDS[name](value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error
    return kept


def as_tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(as_tuples(v) for v in value) if isinstance(value, list) else value
