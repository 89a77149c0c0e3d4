"""Images of any origin as a batch for a trained model: files, folders, PIL images, arrays.

What comes in another size is resized with its aspect ratio kept, and made grey or coloured as the
model needs. For a model of light strokes on a dark ground it is made such strokes (see `strokes`).
An array of images that are like those of the training is taken as it is.
"""

import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.data.files import as_path, open_file
from tinynet.data.folder import SUFFIXES, decoded, fitted, grey_or_rgb, kind_of, no_images
from tinynet.data.npz import as_pixels, images_from_npz, inputs_from_file
from tinynet.data.table import read_rows, read_table
from tinynet.errors import DataError
from tinynet.nn.checks import with_article
from tinynet.tensor import Tensor
from tinynet.training.batches import ours
from tinynet.training.strokes import WORKING, are_dark_around, is_dark_around, like_strokes
from tinynet.vision.transforms import images as vision_images
from tinynet.vision.transforms.base import Transform

CHANNELS = {1: "L", 3: "RGB"}
OF_ARRAYS: dict[str, Callable[[Path], np.ndarray]] = {
    ".npz": images_from_npz,
    ".npy": lambda path: inputs_from_file(path)[0],
    ".csv": lambda path: read_table(path, labelled=False)[0],
}
"""What reads files of many images."""
AS_THEY_ARE, AS_IN_TRAINING = "taken as they are", "made as those of the training"
EXCHANGED = "dark and light exchanged"


@dataclass(frozen=True)
class Look:
    """How images are made ready for a model.

    shape: (C, H, W), or (F,) for rows of features. box: see `strokes.box_of`. fit: see
    `data.folder.fitted`. as_is: no more is done than to resize. invert: dark and light are
    exchanged before anything else. steps: what was done to the training images, see `preparation`.
    resized: whether these came in other sizes, and were brought to this one.
    """

    shape: tuple[int, ...]
    box: int | None = None
    fit: str = "crop"
    as_is: bool = False
    invert: bool = False
    steps: Transform | None = None
    resized: bool = False


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W), bytes or floats as they came; for each a name, and what was done."""

    pixels: np.ndarray
    names: list[str]
    done: list[str]


def prepare(images: Any, look: Look, broken: list[str] | None = None) -> Batch:
    """One image, or several in a list or an array, as a batch; the axes of an array change nothing.

    images: a path, of a folder for all images in it, of an .npz, .npy or .csv for its rows; a PIL
    image;
    an array or tensor, one image (H, W), (H, W, C), (C, H, W) or a batch of them; or a list of
    such. broken: gets the errors of files, which then are left out; without it those in a folder
    are left out with a warning. Raises DataError that names what is no image.
    """
    array = _of_form(images, look.shape)
    if array is not None:
        white = 255 if array.dtype == np.uint8 else 1
        ready = white - array if look.invert else array
        if _are_alike(ready, look):
            kind = "image" if len(look.shape) == 3 else "row"
            names = [f"{kind} {i}" for i in range(len(ready))]
            return Batch(ready, names, [EXCHANGED if look.invert else AS_THEY_ARE] * len(ready))
        images = array
    if len(look.shape) != 3 or look.shape[0] not in CHANNELS:
        raise DataError(
            f"the model takes examples of shape {look.shape}: pass an array (N, "
            f"{', '.join(map(str, look.shape))}); got {_told(images)}"
        )
    in_folder = isinstance(images, (str, os.PathLike)) and as_path(images).is_dir()
    left_out: list[str] = [] if broken is None else broken
    found: list[np.ndarray] = []
    names, done = [], []
    for name, image in _each(images, look.shape):
        try:
            pixels, note = _one(image, look)
        except (DataError, OSError) as error:
            if not isinstance(image, (Path, Exception)) or (broken is None and not in_folder):
                raise
            left_out.append(str(error))
            continue
        found.append(pixels)
        names.append(name or f"image {len(names)}")
        exchanged = EXCHANGED if note == AS_THEY_ARE else f"{EXCHANGED}; {note}"
        done.append(exchanged if look.invert else note)
    if not found:
        raise DataError("\n".join(left_out or [f"there is no image in {_told(images)}"]))
    for told in left_out if broken is None else ():
        warnings.warn(f"left out: {told}", stacklevel=4)
    if len({x.dtype for x in found}) > 1:  # bytes beside floats that keep all their digits
        found = [x.astype(np.float32) / 255 if x.dtype == np.uint8 else x for x in found]
    return Batch(np.stack(found), names, done)


def is_of_arrays(file: Any) -> bool:
    """Whether a path is that of a file of arrays, or of a table."""
    return as_path(file).suffix.lower() in OF_ARRAYS


def rows_in(files: Sequence[Any], columns: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """The rows of numbers in .npz, .npy and .csv files, and the name of each row.

    columns: those of the training, by their names in a .csv. Raises DataError for files of other
    kinds, and where one has other rows than the first.
    """
    found: list[np.ndarray] = []
    for file in map(as_path, files):
        if not is_of_arrays(file):
            raise DataError(f"{file}: the model takes rows of numbers, in .csv, .npz or .npy")
        is_table = file.suffix.lower() == ".csv"
        rows = read_rows(file, columns) if is_table else inputs_from_file(file)[0]
        if not rows.ndim or rows.shape[1:] != (found or [rows])[0].shape[1:]:
            told = f" as in {files[0]}" * bool(found)
            raise DataError(f"{file}: an array of shape {rows.shape}, expected rows{told}")
        found.append(rows)
    names = [f"{file} row {i}" for file, rows in zip(files, found) for i in range(len(rows))]
    return np.concatenate(found), names


def _of_form(images: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """An array of examples of this shape (N, *shape), wherever the channels of images stand, or
    of a list of such arrays; None for anything else.
    """
    if isinstance(images, (list, tuple)):
        each = [x for image in images if (x := _of_form(image, shape)) is not None]
        alike = len(each) == len(images) and len({x.dtype for x in each}) == 1
        return np.concatenate(each) if alike else None
    array: np.ndarray | None = _array_of(images, shape)
    if array is None or (len(shape) == 3 and array.dtype.kind != "f" and array.dtype != np.uint8):
        return None
    if len(shape) == 3 and array.shape[1:] != shape:
        C, H, W = shape
        if array.shape[-3:] == (H, W, C):
            array = np.moveaxis(array, -1, -3)
        elif C == 1 and array.ndim < 4 and array.shape[-2:] == (H, W):
            array = array.reshape(-1, C, H, W)
        if array.shape == shape:
            array = array[None]
    if array.shape[1:] != shape:
        return None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = np.isfinite(array.reshape(len(array), -1)).all(1).argmin()
        raise DataError(f"image {row} has a NaN or an infinity")
    return array


def _array_of(images: Any, shape: tuple[int, ...]) -> Any:
    """The array of an array or a tensor, of images with bytes for integers, see `as_pixels`; a
    row of as many numbers as a grey image has is one. None for anything else.
    """
    images = ours(images)
    if not isinstance(images, (np.ndarray, Tensor)):
        return None
    array = np.asarray(images)
    if len(shape) == 3:
        array = as_pixels(array)
        is_row = array.ndim == 1 or (array.ndim == 2 and len(array) == 1)
        if is_row and shape[0] == 1 and array.size == math.prod(shape):
            array = array.reshape(-1, *shape)
    return array


def _are_alike(images: np.ndarray, look: Look) -> bool:
    """Whether images of the training's size are like its own, as far as these are known."""
    if look.box is None or not images.size:
        return True
    is_bytes = images.dtype == np.uint8
    in_range = is_bytes or (images.dtype.kind == "f" and 0 <= images.min() <= images.max() <= 1)
    return in_range and (look.as_is or are_dark_around(images[:, 0]))


def _each(images: Any, shape: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """The name (of a file) and the image, one by one."""
    if isinstance(images, (str, os.PathLike)):
        path = as_path(images)
        if path.is_file() and is_of_arrays(path):
            try:
                rows = OF_ARRAYS[path.suffix.lower()](path)
            except (DataError, OSError) as error:  # as of any file that cannot be read
                yield str(path), error
                return
            if rows.ndim == 2 and rows.shape[1] == math.prod(shape):
                rows = rows.reshape(-1, *shape)
            each: Any = _array_of(rows, shape)
            if path.suffix.lower() == ".npy":  # as the array itself
                each = [image for _, image in _each(rows, shape)]
            for row, image in enumerate(each):
                yield f"{path} row {row}", image
            return
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = [file for file in inside if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
        for file in (files if path.is_dir() else inside) or [path]:
            yield str(file), file
    elif vision_images.is_pil(images):
        yield "", images
    elif (array := _array_of(images, shape)) is not None:
        if not array.size:
            raise DataError(f"{_told(images)} is empty")
        if array.ndim == 2 and array.shape[1] == math.prod(shape) != shape[2]:
            raise DataError(
                f"an array of shape {array.shape} may be {len(array)} images in rows, which are "
                f"x.reshape{(-1, *shape)}, or a grey one, which is x[None]"
            )
        is_one = array.ndim <= 2 or (array.ndim == 3 and array.shape[2] <= 4 < shape[2])
        is_one = is_one or (array.ndim == 3 and array.shape[0] == shape[0])
        for image in [array] if is_one else array:
            yield "", image
    elif isinstance(images, (list, tuple)):
        for image in images:
            yield from _each(image, shape)
    else:
        raise DataError(f"{_told(images)} is no image: pass a path, a PIL image or an array")


def _one(image: Any, look: Look) -> tuple[np.ndarray, str]:
    """One image (C, H, W), bytes or floats from 0 to 1, and what was done to it; an error is
    raised.
    """
    if isinstance(image, Exception):
        raise image
    if isinstance(image, Path):
        if image.is_dir():
            left = Counter(kind_of(path) for path in image.rglob("*") if path.is_file())
            raise DataError(no_images(image, left))
        with open_file(image) as stream:
            made: tuple[np.ndarray, str] = decoded(stream, image, lambda file: _made(file, look))
            return made
    exact = None if look.invert else _of_form(image, look.shape)
    if exact is not None and 0 <= exact.min() <= exact.max() <= 1 and _are_alike(exact, look):
        return exact[0], AS_THEY_ARE
    return _made(image if vision_images.is_pil(image) else _pil(image), look)


def _made(opened: Any, look: Look) -> tuple[np.ndarray, str]:
    C, H, W = look.shape
    image = grey_or_rgb(opened).convert(CHANNELS[C])
    if look.invert:
        image = image.point(lambda value: 255 - value)
    found = ""
    if look.box is not None and not look.as_is:
        is_dark = is_dark_around(np.asarray(image))
        if image.size == (W, H) and is_dark:
            return vision_images.pixels_of(image), AS_THEY_ARE
        if not (is_dark and look.resized):  # as those of the training were
            photo = image.copy()
            photo.thumbnail((4 * WORKING, 4 * WORKING))  # in place, and nothing where it is smaller
            strokes, found = like_strokes(np.asarray(photo) / 255, (H, W), look.box)
            if strokes.any():
                return (strokes[None] * 255).round().astype(np.uint8), found
    resized = AS_THEY_ARE
    if look.steps is not None:
        image = look.steps(grey_or_rgb(opened).convert("RGB") if not look.invert else image)
        image, resized = image.convert(CHANNELS[C]), AS_IN_TRAINING
    if image.size != (W, H):
        how = {"crop": ", cut to the middle", "pad": ", padded", "stretch": ", stretched"}
        same = image.width * H == image.height * W
        resized = f"resized to {H}x{W}{'' if same else how[look.fit]}"
    note = "; ".join(filter(None, (found, resized)))
    return vision_images.pixels_of(fitted(image, (H, W), look.fit)), note


def _pil(image: np.ndarray) -> Any:
    """A PIL image of an array of bytes, or of floats from 0 to 1."""
    x = image[None] if image.ndim == 2 else image
    if x.ndim == 3 and x.shape[0] not in (1, 3) and x.shape[2] in (1, 3, 4):
        x = x.transpose(2, 0, 1)
    if x.dtype.kind == "f" and x.min() >= 0 and x.max() <= 1:
        x = (x * 255).round().astype(np.uint8)
    if x.ndim != 3 or x.shape[0] not in (1, 3, 4) or x.dtype != np.uint8:
        raise DataError(
            f"an array {image.dtype}{list(image.shape)} is no image: expected (H, W), (H, W, C) or "
            f"(C, H, W) of bytes, or of floats from 0 to 1{_values_told(image)}"
        )
    return vision_images.as_pil(x)


def _values_told(image: np.ndarray) -> str:
    """What the numbers are of an array that is no image, and how bytes are made of them."""
    if image.dtype.kind not in "iuf" or image.dtype == np.uint8 or not image.size:
        return ""
    low, high = image.min(), image.max()
    cure = "; .astype(np.uint8) makes bytes" if low >= 0 and 1 < high <= 255 else ""
    return f"; its values run from {low:.5g} to {high:.5g}{cure}"


def _told(images: Any) -> str:
    if isinstance(images, (np.ndarray, Tensor)):
        return f"an array of shape {tuple(images.shape)}"
    if isinstance(images, (str, os.PathLike)):
        return str(images)
    return with_article(type(images).__name__)
