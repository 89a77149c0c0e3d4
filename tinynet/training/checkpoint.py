"""Checkpoints: a model, and the run that trains it, in one file that cannot run code.

    tinynet.save("model.npz", model)
    model = tinynet.load("model.npz", model)

The file is an archive (see `archive`) of the model's parameters and buffers, `model/...`, and
where a run wrote it also of the run's state, `run/...` (see `state`). Its manifest has the
model's name and arguments, and what is needed to use it on an image: class names, normalisation,
image shape. A name that ends in .safetensors makes a file of that format, see `safetensors`.

Whatever is read is checked as a whole before a model is touched.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from tinynet import models
from tinynet.data import Compose, Normalize, ToFloat
from tinynet.errors import CheckpointError
from tinynet.nn import Module
from tinynet.nn.parameter import at_most
from tinynet.nn.states import LoadResult
from tinynet.training import safetensors
from tinynet.training.archive import MANIFEST, existing, read_archive, write_archive
from tinynet.training.foreign import is_zip
from tinynet.training.tree import pack, unpack

MODEL = "model/"
SLACK = 1 << 20  # numbers by which a model may outgrow its file, so that it is said what misfits
LARGEST_IMAGE = 1 << 26  # numbers, such as 4,700 x 4,700 pixels in colour


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    weights: the model's state_dict. name, arguments: how `tinynet.models.build` makes the model;
    None for a model that is not one of those. classes: a name for each label. mean, std: what the
    images, as floats from 0 to 1, were normalised with, per channel. input_shape: (C, H, W).
    settings: what `tinynet train` was asked to do. chosen_by: the quantity, such as
    validation_accuracy, by which this was the best epoch; None for any other. run: the state of
    the run, see `state`; None
    for a model alone. path: the file.
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
    versions: dict[str, str] | None = None
    run: dict[str, Any] | None = None
    path: Path | None = None

    def preprocessing(self) -> Compose | None:
        """What turns images of bytes into the model's input; None if that is not recorded."""
        if self.mean is None or self.std is None:
            return None
        return Compose([ToFloat(), Normalize(self.mean, self.std)])

    def build(self) -> Module:
        """The model with its weights. Raises CheckpointError if it has no name to build it by."""
        if self.name is None:
            raise CheckpointError(
                "this checkpoint holds the weights of a model of your own: make the model "
                "yourself and pass it, tinynet.load(path, model)"
            )
        held = sum(array.size for array in self.weights.values())
        try:
            with at_most(held + SLACK):
                arguments = {k: _tuples(v) for k, v in (self.arguments or {}).items()}
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


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """One number for all weights of a state_dict: equal if and only if they are, bit for bit.

    The SHA-256 over name, dtype, shape and elements of each, in the order of their names.
    """
    digest = hashlib.sha256()
    for name, array in sorted(weights.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save(
    path: str | os.PathLike[str],
    model: Module,
    *,
    name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    input_shape: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    chosen_by: str | None = None,
    run: Mapping[str, Any] | None = None,
) -> None:
    """Write the model's weights, and what is known about it, to `path`; atomically.

    name, arguments: what `tinynet.models.build` makes the model again from; without them `load`
    needs to be given the model. The rest is as in `Checkpoint`; a .safetensors file has no run.
    Raises OSError where the file cannot be written; what was there before is then untouched.

        tinynet.save("digits.npz", model, name="digits_cnn", arguments={"num_classes": 10})
    """
    if isinstance(path, Module):
        raise TypeError("save: the path comes first: tinynet.save(path, model)")
    weights = model.state_dict()
    about = {
        "model": {"name": name, "arguments": dict(arguments or {}), "class": type(model).__name__},
        "classes": None if classes is None else [str(c) for c in classes],
        "normalization": None if mean is None or std is None else _normalization(mean, std),
        "input_shape": None if input_shape is None else [int(n) for n in input_shape],
        "settings": settings,
        "chosen_by": chosen_by,
    }
    if safetensors.is_safetensors(path):
        safetensors.write(path, weights, about)
        return
    members = {MODEL + key: value for key, value in weights.items()}
    packed: dict[str, np.ndarray] = {}
    about["run"] = pack(run, "run", packed)
    write_archive(path, {**members, **packed}, about)


@overload
def load(
    path: str | os.PathLike[str], model: Module | None = None, strict: Literal[True] = True
) -> Module: ...


@overload
def load(path: str | os.PathLike[str], model: Module, strict: Literal[False]) -> LoadResult: ...


def load(
    path: str | os.PathLike[str], model: Module | None = None, strict: bool = True
) -> Module | LoadResult:
    """The model in a checkpoint, built anew, or `model` with the weights of the checkpoint.

    With strict=False what fits into `model` is loaded, and the list of the rest is returned:
    missing_keys, unexpected_keys, and mismatched with the reasons.

    Raises CheckpointError, before `model` is touched, for a file that is no checkpoint (with the
    way from there, for those that other frameworks write), is damaged, or does not fit. A model
    that is built is no larger than the file.

        model = tinynet.load("digits.npz")
    """
    if isinstance(path, Module):
        raise TypeError("load: the path comes first: tinynet.load(path, model)")
    checkpoint = read(path)
    if model is None:
        if not strict:
            raise ValueError("load: strict=False is for a model of yours: load(path, model, False)")
        return checkpoint.build()
    result = model.load_state_dict(checkpoint.weights, strict)
    return model if strict else result


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Everything in a checkpoint, checked. Raises CheckpointError that names what is wrong."""
    if safetensors.is_safetensors(path) and not is_zip(existing(path)):
        weights, about = safetensors.read(path)
        return _checkpoint(path, weights, about, {}) if about else Checkpoint(weights)
    members, about = read_archive(path)
    weights = {k.removeprefix(MODEL): v for k, v in members.items() if k.startswith(MODEL)}
    return _checkpoint(path, weights, about, members)


def _checkpoint(
    path: str | os.PathLike[str],
    weights: dict[str, np.ndarray],
    about: Mapping[str, Any],
    members: Mapping[str, np.ndarray],
) -> Checkpoint:
    try:
        model, normal = about["model"], about["normalization"]
        return Checkpoint(
            weights,
            name=_optional(str, model["name"]),
            arguments=dict(model["arguments"]),
            classes=_sequence(str, about["classes"]),
            mean=_sequence(float, normal["mean"]) if normal else None,
            std=_sequence(float, normal["std"]) if normal else None,
            input_shape=_image_shape(about["input_shape"]),
            settings=_optional(dict, about["settings"]),
            chosen_by=_optional(str, about["chosen_by"]),
            versions={str(k): str(v) for k, v in about.get("versions", {}).items()},
            run=_optional(dict, unpack(about.get("run"), members)),
            path=Path(path),
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {MANIFEST}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: {MANIFEST}: not as tinynet writes it: {error!r}") from error


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file is that of a checkpoint."""
    return Path(path).suffix == ".npz" or safetensors.is_safetensors(path)


def _normalization(mean: Sequence[float], std: Sequence[float]) -> dict[str, list[float]]:
    return {"mean": [float(m) for m in mean], "std": [float(s) for s in std]}


def _optional(kind: type, value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} should be {kind.__name__}")
    return value


def _sequence(kind: type, values: Any) -> Any:
    return None if values is None else tuple(kind(value) for value in values)


def _image_shape(sizes: Any) -> Any:
    shape = _sequence(int, sizes)
    if shape and (min(shape) < 1 or math.prod(shape) > LARGEST_IMAGE):
        raise ValueError(f"no image has the shape {shape!r:.80}")
    return shape


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
