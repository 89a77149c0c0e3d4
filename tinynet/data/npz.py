"""`.npz` files: a user's own arrays, and the digits that come with tinynet.

An .npz file is a zip of .npy members. NumPy's reader allocates what a member's header asks for;
this one checks the header against the bytes that are there first, and refuses pickles.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.errors import DataError

CHUNK = 1 << 20
KEYS = "x_train, y_train, x_test, y_test, or x and y; optional: classes"


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of an .npz file by name. Raises DataError for anything but plain arrays."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removesuffix(".npy"): _read_member(archive, info, path)
                for info in archive.infolist()
            }
    except (OSError, EOFError, UnicodeError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a whole .npz file: {error}") from error
    except (NotImplementedError, RuntimeError) as error:  # compression, encryption
        raise DataError(f"{path}: not an .npz file that NumPy wrote: {error}") from error


def arrays_from_npz(
    path: str | Path,
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], tuple[str, ...] | None]:
    """A user's arrays by split and the names of the classes, if the file has them.

    Keys: x_train, y_train, x_test, y_test; or x and y, returned under "all". Images may be
    (N, H, W), (N, C, H, W) or (N, H, W, C) with C of 1, 3 or 4, uint8 or floats; they are
    returned as (N, C, H, W). Arrays (N, F) of features are left as they are. Labels: integers
    (N,) from 0. classes: the names in the order of the labels.

    Raises DataError that names the array.
    """
    arrays = read_npz(path)
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        pairs = {split: (f"x_{split}", f"y_{split}") for split in ("train", "test")}
    elif {"x", "y"} <= arrays.keys():
        pairs = {"all": ("x", "y")}
    else:
        have = ", ".join(arrays) or "nothing"
        raise DataError(f"{path}: holds {have}; expected the arrays {KEYS}")
    classes = _class_names(arrays.get("classes"), path)
    count = None if classes is None else len(classes)
    splits = {}
    for split, (x_name, y_name) in pairs.items():
        x = _checked_inputs(arrays[x_name], f"{path}: {x_name}")
        y = _checked_targets(arrays[y_name], f"{path}: {y_name}", count)
        if len(x) != len(y):
            raise DataError(f"{path}: {x_name} has {len(x)} rows, but {y_name} has {len(y)}")
        splits[split] = (x, y)
    shapes = {x.shape[1:] for x, _ in splits.values()}
    if len(shapes) > 1:
        raise DataError(f"{path}: x_train and x_test have rows of different shapes, {shapes}")
    return splits, classes


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    where = f"{path}: {info.filename}"
    content = bytearray()
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK):
            content += chunk
    header = io.BytesIO(content[:65536])  # the header of a plain array is far shorter
    try:
        version = np.lib.format.read_magic(header)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(header)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(header)
    except Exception as error:  # NumPy parses the header as a Python literal: many errors
        raise DataError(f"{where}: offset 0: not an .npy array: {error}") from error
    if dtype.hasobject:
        raise DataError(f"{where}: pickled objects are refused; save plain numbers")
    if dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise DataError(f"{where}: dtype {dtype} is not a plain one")
    start, count = header.tell(), math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(content) - start:
        raise DataError(
            f"{where}: the header says {shape} of {dtype} = {count * dtype.itemsize} bytes, but "
            f"{len(content) - start} follow it at offset {start}"
        )
    array = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


def _class_names(array: Any, path: str | Path) -> tuple[str, ...] | None:
    if array is None:
        return None
    if array.ndim != 1 or array.dtype.kind != "U":
        raise DataError(f"{path}: classes must be a one-dimensional array of strings")
    try:
        return tuple(str(name) for name in array)
    except (ValueError, SystemError) as error:  # numbers that are no characters
        raise DataError(f"{path}: classes holds what is no text: {error}") from error


def _checked_inputs(x: np.ndarray, where: str) -> np.ndarray:
    if x.ndim not in (2, 3, 4):
        raise DataError(
            f"{where} has shape {x.shape}, expected (N, H, W), (N, C, H, W), (N, H, W, C) or (N, F)"
        )
    if x.dtype.kind == "f":
        x = x.astype(np.float32, copy=False)
        strange = ~np.isfinite(x)
        if strange.any():
            raise DataError(f"{where}: row {np.argwhere(strange)[0][0]} has a NaN or an infinity")
    elif x.dtype != np.uint8:
        raise DataError(f"{where} is {x.dtype}, expected uint8 (0..255) or floats")
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x


def _checked_targets(y: np.ndarray, where: str, num_classes: int | None) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:  # Keras stores labels so
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(f"{where} is {y.dtype}{list(y.shape)}, expected integer labels (N,)")
    y = y.astype(np.int64)
    highest = np.iinfo(np.int64).max if num_classes is None else num_classes - 1
    wrong = np.flatnonzero((y < 0) | (y > highest))
    if len(wrong):
        i = int(wrong[0])
        limit = "0 or more" if num_classes is None else f"0 to {highest}"
        raise DataError(f"{where}: label {y[i]} of row {i}, expected {limit}")
    return y
