"""Checkpoints: a model in one file, which cannot run code and is always whole.

A checkpoint is a zip file that `numpy.load(path, allow_pickle=False)` reads as well:

    manifest.json                     what is in it, which model it is, who wrote it
    model/features.0.weight.npy       one member for each parameter and buffer
    ...

The manifest lists dtype, shape and SHA-256 of every member, the model's name and arguments, and
what is needed to use it on an image: class names, normalisation, image shape. Nothing in the file
is believed: reading checks every member against the manifest before the model is touched.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import platform
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from tinynet import models
from tinynet.data import Compose, Normalize, ToFloat
from tinynet.errors import CheckpointError
from tinynet.nn import Module
from tinynet.training.files import atomic_write

FORMAT = "tinynet checkpoint"
VERSION = 1
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1 << 24  # bytes; the manifest of VGG-19 has 8,000
HEADER_LIMIT = 1 << 16  # bytes before the data of an .npy member; plain arrays have 128
WHEN = (1980, 1, 1, 0, 0, 0)  # every member's date: equal weights give equal files


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    weights: the model's state_dict. name, arguments: how `tinynet.models.build` makes the model;
    None for a model that is not one of those. classes: a name for each label. mean, std: what the
    images, as floats from 0 to 1, were normalised with, per channel. input_shape: (C, H, W).
    """

    weights: dict[str, np.ndarray]
    name: str | None = None
    arguments: dict[str, Any] | None = None
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_shape: tuple[int, ...] | None = None
    versions: dict[str, str] | None = None

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
        try:
            arguments = {k: _tuples(v) for k, v in (self.arguments or {}).items()}
            model = models.build(self.name, **arguments)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"cannot build the model of this checkpoint: {error}") from error
        model.load_state_dict(self.weights)
        return model


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
) -> None:
    """Write the model's weights, and what is known about it, to `path`; atomically.

    name, arguments: what `tinynet.models.build` makes the model again from; without them `load`
    needs to be given the model. The rest is as in `Checkpoint`. Raises OSError where the file
    cannot be written; what was there before is then untouched.

        tinynet.save("digits.npz", model, name="digits_cnn", arguments={"num_classes": 10})
    """
    members = {f"model/{key}": value for key, value in model.state_dict().items()}
    about = {
        "model": {"name": name, "arguments": dict(arguments or {}), "class": type(model).__name__},
        "classes": None if classes is None else [str(c) for c in classes],
        "normalization": None if mean is None or std is None else _normalization(mean, std),
        "input_shape": None if input_shape is None else [int(n) for n in input_shape],
    }
    write_archive(path, members, about)


def load(path: str | os.PathLike[str], model: Module | None = None) -> Module:
    """The model in a checkpoint, built anew, or `model` with the weights of the checkpoint.

    Raises CheckpointError, before `model` is touched, for a file that is no checkpoint, is
    damaged, or does not fit.

        model = tinynet.load("digits.npz")
    """
    checkpoint = read(path)
    if model is None:
        return checkpoint.build()
    model.load_state_dict(checkpoint.weights)
    return model


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Everything in a checkpoint, checked. Raises CheckpointError that names what is wrong."""
    members, about = read_archive(path)
    weights = {key.removeprefix("model/"): value for key, value in members.items()}
    try:
        model, normal = about["model"], about["normalization"]
        return Checkpoint(
            weights,
            name=_optional(str, model["name"]),
            arguments=dict(model["arguments"]),
            classes=_sequence(str, about["classes"]),
            mean=_sequence(float, normal["mean"]) if normal else None,
            std=_sequence(float, normal["std"]) if normal else None,
            input_shape=_sequence(int, about["input_shape"]),
            versions={str(k): str(v) for k, v in about["versions"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: {MANIFEST}: not as tinynet writes it: {error!r}") from error


# ----- the archive: named arrays and a manifest ----------------------------------------------


def write_archive(
    path: str | os.PathLike[str], members: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Write arrays and a manifest with `about` in it as one zip file, atomically."""
    contents = {}
    listing = {}
    for key, array in members.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
        contents[key] = stream.getvalue()
        listing[key] = {
            "dtype": array.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(contents[key]).hexdigest(),
        }
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "versions": {
            "tinynet": tinynet.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        **about,
        "members": listing,
    }
    text = json.dumps(manifest, indent=1, allow_nan=False)
    with atomic_write(path) as stream_out, zipfile.ZipFile(stream_out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, WHEN), text)
        for key, content in contents.items():
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", WHEN), content)


def read_archive(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the manifest of an archive, every one checked against the manifest."""
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = _infos(archive, path)
            manifest = _read_manifest(archive, infos, path)
            return _read_members(archive, infos, manifest["members"], path), manifest
    except CheckpointError:
        raise
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeError) as error:
        raise CheckpointError(f"{path}: damaged, or no checkpoint: {error}") from error
    except (NotImplementedError, RuntimeError, OverflowError) as error:  # odd zips, encryption
        raise CheckpointError(f"{path}: not a zip file that tinynet wrote: {error}") from error


def _infos(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in infos:
            raise CheckpointError(f"{path}: the member {info.filename} is there twice")
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(f"{path}: {info.filename} is compressed; tinynet never does that")
        infos[info.filename] = info
    return infos


def _read_manifest(
    archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo], path: Path
) -> dict[str, Any]:
    info = infos.get(MANIFEST)
    if info is None:
        raise CheckpointError(f"{path}: has no {MANIFEST}, so tinynet did not write it")
    if info.file_size > MANIFEST_LIMIT:
        raise CheckpointError(f"{path}: {MANIFEST} has {info.file_size} bytes, which is absurd")
    try:
        manifest = json.loads(archive.read(info))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is not JSON: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{path}: {MANIFEST} does not say that this is a {FORMAT}")
    if manifest.get("version") != VERSION:
        raise CheckpointError(
            f"{path}: is of version {manifest.get('version')!r}, this tinynet reads {VERSION}; "
            "a newer tinynet may have written it: pip install --upgrade tinynet-cnn"
        )
    if not isinstance(manifest.get("members"), dict):
        raise CheckpointError(f"{path}: {MANIFEST} does not list the members")
    return manifest


def _read_members(
    archive: zipfile.ZipFile,
    infos: Mapping[str, zipfile.ZipInfo],
    listing: Mapping[str, Any],
    path: Path,
) -> dict[str, np.ndarray]:
    expected = {f"{key}.npy" for key in listing}
    found = set(infos) - {MANIFEST}
    if missing := sorted(expected - found):
        raise CheckpointError(f"{path}: lacks {', '.join(missing)}")
    if strange := sorted(found - expected):
        raise CheckpointError(f"{path}: {MANIFEST} does not list {', '.join(strange)}")
    return {
        key: _read_member(archive, infos[f"{key}.npy"], entry, f"{path}: {key}.npy")
        for key, entry in listing.items()
    }


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: Any, where: str
) -> np.ndarray:
    try:
        dtype, shape = np.dtype(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        digest = entry["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: {MANIFEST} does not describe it: {error!r}") from error
    if dtype.kind not in "fiub" or min(shape, default=0) < 0:
        raise CheckpointError(f"{where}: {dtype} {shape} is no array of numbers")
    size = math.prod(shape) * dtype.itemsize
    if not size < info.file_size <= size + HEADER_LIMIT:
        raise CheckpointError(
            f"{where}: has {info.file_size} bytes, but {shape} of {dtype} are {size}"
        )
    content = archive.read(info)
    if hashlib.sha256(content).hexdigest() != digest:
        raise CheckpointError(f"{where}: damaged: its SHA-256 is not the one in {MANIFEST}")
    # The header may lie, so it is compared with the manifest before anything is allocated by it.
    header = io.BytesIO(content[: len(content) - size])
    try:
        np.lib.format.read_magic(header)
        stated = np.lib.format.read_array_header_1_0(header)
    except Exception as error:  # NumPy parses the header as a Python literal: many errors
        raise CheckpointError(f"{where}: not an .npy array: {error}") from error
    if stated != (shape, False, dtype) or header.read():
        raise CheckpointError(f"{where}: its header says {stated}, {MANIFEST} {shape} of {dtype}")
    return np.frombuffer(bytearray(content[len(content) - size :]), dtype).reshape(shape)


def _normalization(mean: Sequence[float], std: Sequence[float]) -> dict[str, list[float]]:
    return {"mean": [float(m) for m in mean], "std": [float(s) for s in std]}


def _optional(kind: type, value: Any) -> Any:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{value!r} should be {kind.__name__}")
    return value


def _sequence(kind: type, values: Any) -> Any:
    return None if values is None else tuple(kind(value) for value in values)


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
