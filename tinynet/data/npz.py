"""`.npz` files: a user's own arrays, and the digits that come with tinynet.

An .npz file is a zip of .npy members. The directory of the zip, the header of each member and the
bytes that are there must agree before an array is made; pickles are refused. Members that nobody
asked for are not read.
"""

import contextlib
import functools
import io
import itertools
import math
import os
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tinynet.console import some, visible
from tinynet.data.files import open_file, read_content, reason, warn
from tinynet.errors import DataError

CHUNK = 1 << 20
NAMES = (("x", "y"), ("images", "labels"))
FORMS = ("{0}_{1}", "{1}_{0}")  # of a name and a split
KEYS = (
    "x_train, y_train, x_test, y_test, or x and y (or images and labels: images_train, ...); "
    "optional: classes. Name them as you save them: np.savez(path, x=x, y=y)"
)
SCALED = "(x - x.min()) / np.ptp(x)"
NUMBERS = "; regression and several classes at once are learned from Python: fit(..., loss=...)"
MISSING = ("", "nan", "NaN", "NaT", "<NA>")  # texts that stand for no label
DIRECTORY_LIMIT = 1 << 16  # bytes of the zip's directory; a member takes about 100
DEFLATE_LIMIT = 1032  # bytes that one byte of deflate can stand for at most

NPY_HEADER_LIMIT = 1024  # bytes; NumPy writes 118 for a plain array
NPY_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {  # version 3 is for names of records
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
MAX_BYTES = 1 << 62

Splits = dict[str, tuple[np.ndarray, np.ndarray]]
Members = dict[str, Callable[[], np.ndarray]]


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of an .npz file by name. Raises DataError for anything but plain arrays."""
    with open_file(path) as stream, _members(stream, path) as members:
        return {name: read() for name, read in members.items()}


def inputs_from_file(path: str | Path) -> tuple[np.ndarray, str]:
    """The array of an .npy file, or of an .npz the one called x or images, or the only one; and
    what it is called, for messages.
    """
    if Path(path).suffix.lower() == ".npy":
        return read_npy(read_content(Path(path), 1 << 40), str(path)), str(path)
    arrays = read_npz(path)
    names = [name for name in arrays if name.casefold() in ("x", "images")] or list(arrays)
    if len(names) != 1:
        raise DataError(f"{path}: holds {listed(arrays)}; expected one array of images, x")
    return arrays[names[0]], f"{path}: {names[0]}"


def images_from_npz(path: str | Path) -> np.ndarray:
    """The images in an .npz file, or rows of pixels."""
    x, where = inputs_from_file(path)
    return _checked_inputs(as_pixels(x), where)


def arrays_from_npz(
    stream: BinaryIO, source: str | Path, numbers: bool = False
) -> tuple[Splits, tuple[str, ...] | None]:
    """A user's arrays by split, from an open file, and the names of the classes, if it has them.

    Keys: x_train, y_train, x_test, y_test; or x and y, returned under "all"; images and labels
    are other names for x and y, and case does not matter. Images may be (N, H, W), (N, C, H, W)
    or (N, H, W, C) with C of 1, 3 or 4, uint8 or floats; they are returned as (N, C, H, W).
    Arrays (N, F) of features are left as they are. Labels: integers (N,) from 0, or text,
    which is numbered. classes: the names in the order of the labels; of labels that are text, by
    default, all there are, sorted.

    source: the file, for messages. numbers: whether targets are numbers, of any shape, and no
    labels. Raises DataError that names the array, and warns of arrays that are not read.
    """
    with _members(stream, source) as members:
        pairs = _pairs(members)
        if not pairs:
            raise DataError(f"{source}: holds {listed(members)}; expected the arrays {KEYS}")
        classes = _class_names(members["classes"](), source) if "classes" in members else None
        splits = {}
        for split, (x_name, y_name) in pairs.items():
            x = _checked_inputs(members[x_name](), f"{source}: {x_name}")
            y = members[y_name]()
            if y.ndim and len(x) != len(y):
                raise DataError(
                    f"{source}: {x_name} has {some(len(x), 'row')}, but {y_name} has {len(y)}"
                )
            check = checked_numbers if numbers else checked_targets
            splits[split] = (x, check(y, f"{source}: {y_name}"))
        places = [f"{source}: {y_name}" for _, y_name in pairs.values()]
        if not numbers:
            labels, classes = numbered([y for _, y in splits.values()], places, classes)
            splits = {split: (splits[split][0], y) for split, y in zip(splits, labels)}
        unread = members.keys() - {"classes", *itertools.chain(*pairs.values())}
    if unread:
        warn(f"{source}: not read: {listed(sorted(unread))}")
    shapes = [x.shape[1:] for x, _ in splits.values()]
    if shapes[0] != shapes[-1]:
        raise DataError(
            f"{source}: x_train and x_test have rows of different shapes, {shapes[0]} and "
            f"{shapes[1]}"
        )
    return splits, classes


@contextlib.contextmanager
def _members(stream: BinaryIO, source: str | Path) -> Iterator[Members]:
    """A function for each array of an .npz file that reads it; whatever goes wrong, a DataError."""
    try:
        size = _check_directory(stream, source)
        with zipfile.ZipFile(stream) as archive:
            members: Members = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                where = f"{source}: {visible(info.filename)}"
                if name in members:
                    raise DataError(f"{where}: appears twice, expected once")
                members[name] = functools.partial(_read_member, archive, info, where, size)
            yield members
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, struct.error) as error:
        raise DataError(f"{source}: not a whole .npz file: {reason(error)}") from error
    except (NotImplementedError, RuntimeError, OverflowError) as error:  # odd zip features
        raise DataError(f"{source}: not an .npz file that NumPy wrote: {reason(error)}") from error


def _check_directory(stream: BinaryIO, source: str | Path) -> int:
    """The size of the file, once it ends as a zip does, with a directory that is not absurd.

    Each entry of the directory, 46 bytes or more, becomes an object ten times as large.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - 98, 0))
    tail = stream.read(98)  # end record of zip64 (56), its locator (20), end record (22)
    stream.seek(0)
    if stream.read(6) == b"\x93NUMPY":
        cure = "save both, np.savez(path, x=x, y=y)"
        raise DataError(f"{source}: one array, as np.save writes it, without labels: {cure}")
    if tail[-22:-18] != b"PK\5\6":
        raise DataError(
            f"{source}: not a whole .npz file: offset {max(size - 22, 0)}: expected the end of a "
            f"zip file, 50 4b 05 06, but there is {tail[-22:-18].hex(' ') or 'nothing'}"
        )
    length = int.from_bytes(tail[-10:-6], "little")
    if tail[-42:-38] == b"PK\6\7":
        length = int.from_bytes(tail[-58:-50], "little")
    if length > min(DIRECTORY_LIMIT, size):
        raise DataError(
            f"{source}: not a whole .npz file: offset {size - 10}: a directory of {length} bytes, "
            f"expected {min(DIRECTORY_LIMIT, size)} at most"
        )
    return size


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, size: int
) -> np.ndarray:
    """The array in a member of a zip file of `size` bytes."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise DataError(f"{where}: is encrypted or packed in a way that NumPy does not use")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    if info.file_size > min(info.compress_size, size) * (DEFLATE_LIMIT if packed else 1):
        raise DataError(
            f"{where}: offset {info.header_offset}: the directory says {info.file_size} bytes, "
            f"more than the {min(info.compress_size, size)} bytes there can hold"
        )
    content = bytearray()
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK):
            content += chunk
    return read_npy(content, where)


def read_npy(content: bytes | bytearray, where: str = "npy") -> np.ndarray:
    """The array in the content of an .npy file: a view of `content`.

    Raises DataError for pickles, records, dates, and bytes that are not what the header says.
    """
    stream = io.BytesIO(content[: 2 * NPY_HEADER_LIMIT])
    try:
        version = np.lib.format.read_magic(stream)
        if version not in NPY_HEADERS:
            raise ValueError(f"version {version}, expected {' or '.join(map(str, NPY_HEADERS))}")
        read = NPY_HEADERS[version]
        shape, fortran_order, dtype = read(stream, max_header_size=NPY_HEADER_LIMIT)
        if dtype.kind not in "biufcSU" or not dtype.itemsize or dtype.shape:
            cure = "; pickled objects can run code: save numbers, or text by astype(str)"
            told = f"{dtype}, expected plain numbers or text"
            raise ValueError(told + cure if dtype.hasobject else told)
        sizes = [n or 1 for n in shape]  # an empty array has strides too
        if min(shape, default=0) < 0 or math.prod(sizes) * dtype.itemsize > MAX_BYTES:
            raise ValueError(f"no array has the shape {shape!r:.80}")
    except Exception as error:  # NumPy lets errors of many kinds out of a bad header
        raise DataError(f"{where}: not a plain .npy array: {reason(error)}") from error
    offset, expected = stream.tell(), math.prod(shape) * dtype.itemsize
    if len(content) != offset + expected:
        raise DataError(
            f"{where}: offset {offset}: {len(content) - offset} bytes of elements, expected "
            f"{expected} for shape {shape} of {dtype}"
        )
    flat = np.frombuffer(content, dtype, math.prod(shape), offset)
    if dtype.kind == "b" and flat.view(np.uint8).max(initial=0) > 1:
        raise DataError(f"{where}: bytes that are no value of the dtype: a bool is 0 or 1")
    if dtype.kind == "U":
        points = flat.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if ((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any():
            raise DataError(f"{where}: text with a character that is no Unicode scalar value")
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _pairs(names: Collection[str]) -> dict[str, tuple[str, str]]:
    """The names of inputs and labels for each split, as they stand in the file."""
    known = {name.casefold(): name for name in names} | {name: name for name in names}
    for form in FORMS:
        for pair in NAMES:
            of = {split: [form.format(name, split) for name in pair] for split in ("train", "test")}
            if known.keys() >= {name for wanted in of.values() for name in wanted}:
                return {split: (known[x], known[y]) for split, (x, y) in of.items()}
    return next(({"all": (known[x], known[y])} for x, y in NAMES if known.keys() >= {x, y}), {})


def _class_names(array: np.ndarray, source: str | Path) -> tuple[str, ...]:
    names = _as_text(array, f"{source}: classes")
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(
            f"{source}: classes is {array.dtype}{list(array.shape)}, expected a one-dimensional "
            "array of strings"
        )
    if len(np.unique(names)) < len(names):
        raise DataError(f"{source}: classes has a name twice: {listed(names.tolist())}")
    return tuple(names.tolist())


def _as_text(array: Any, where: str) -> np.ndarray:
    """The array, with bytes read as UTF-8. Raises DataError for others, of which two might become
    the same.
    """
    try:
        text: np.ndarray = np.strings.decode(array, "utf-8") if array.dtype.kind == "S" else array
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: {error.object!r:.60} is no UTF-8: save text") from error
    return text


def _checked_inputs(x: np.ndarray, where: str) -> np.ndarray:
    if x.ndim not in (2, 3, 4):
        raise DataError(
            f"{where} has shape {x.shape}, expected (N, H, W), (N, C, H, W), (N, H, W, C) or (N, F)"
        )
    if not x.size:
        raise DataError(f"{where} has shape {x.shape}: it is empty")
    if x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            x = x.astype(np.float32, copy=False)
        finite = np.isfinite(x)
        if not finite.all():
            row, *place = np.argwhere(~finite)[0].tolist()
            raise DataError(
                f"{where}: row {row} has {x[~finite][0]} as float32, at {place}: drop the row"
            )
    elif (x := as_pixels(x) if x.ndim > 2 else x).dtype != np.uint8:
        span = f" from {x.min()} to {x.max()}" if x.dtype.kind in "iu" else ""
        cure = "x / 65535, or of 8 bits x.astype(np.uint8)" if x.dtype == np.uint16 else SCALED
        raise DataError(f"{where} is {x.dtype}{span}, expected uint8 or floats: save {cure}")
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x


def as_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 16 bits, 0 to 65535, as uint8."""
    return ((pixels.astype(np.int32) + 128) // 257).astype(np.uint8)


def as_pixels(x: np.ndarray) -> np.ndarray:
    """Integers from 0 to 255, or beyond it of 16 bits, and bools as bytes; all else as it is.

    Of integers that are no bytes 0 and 1 alone are black and white, as bools are. Of 16 bits, none
    beyond 255, nobody knows which of both they are.
    """
    if x.dtype == bool:
        return x * np.uint8(255)
    if x.dtype.kind in "iu" and x.dtype != np.uint8 and x.size and x.min() >= 0:
        if x.max() <= 1:
            return as_pixels(x.astype(bool))
        if x.dtype == np.uint16 and x.max() > 255:
            return as_bytes(x)
        if x.dtype != np.uint16 and x.max() <= 255:
            return x.astype(np.uint8)
    return x


def checked_numbers(y: np.ndarray, where: str) -> np.ndarray:
    """Targets that are numbers, (N,) or of more axes, as float32."""
    if y.dtype.kind not in "biuf" or not y.ndim or not np.isfinite(y).all():
        raise DataError(f"{where} is {y.dtype}{list(y.shape)}, expected numbers that are finite")
    return y.astype(np.float32)


def checked_targets(
    y: np.ndarray, where: str, at: Callable[[int], str] = "row {}".format
) -> np.ndarray:
    """Labels (N,) as they stand in the file, as int64 or as text; or whole numbers with more axes,
    a label for each place. at: what a row is called.
    """
    if y.ndim > 2 and y.dtype.kind in "biu" and (y >= 0).all():
        return y.astype(np.int64)
    if y.ndim == 2 and y.shape[1] == 1:  # Keras stores labels so
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "biufSU":
        cure = "; of a column for each class take y.argmax(1)" if _is_one_hot(y) else NUMBERS
        raise DataError(f"{where} is {y.dtype}{list(y.shape)}, expected labels (N,){cure}")
    if y.dtype.kind in "SU":
        return _as_text(y, where)
    if y.dtype.kind == "b":
        return y.astype(np.int64)
    whole: Any = True
    if y.dtype.kind == "f":
        y = y.astype(np.float64, copy=False)
        whole = y == np.floor(y)
    wrong = ~((y >= 0) & (y < 2**63) & whole)
    if wrong.any():
        i = int(wrong.argmax())
        cure = NUMBERS if y.dtype.kind == "f" and np.isfinite(y[i]) else ""
        raise DataError(f"{where}: label {y[i]} of {at(i)}, expected an integer, 0 or more{cure}")
    return y.astype(np.int64)


def _is_one_hot(y: np.ndarray) -> bool:
    """Whether each row has a single 1, and nothing else."""
    is_grid = y.ndim == 2 and y.dtype.kind in "biuf"
    return bool(is_grid and ((y != 0).sum(1) == 1).all() and (y.max(1) == 1).all())


def check_labels(
    labels: np.ndarray, where: str, at: Callable[[int], str] = "example {}".format
) -> None:
    """Raise DataError for the first label that is missing. at: what a row is called."""
    for row, label in enumerate(labels.ravel().tolist()):
        if label is None or str(label).strip() in MISSING:
            raise DataError(
                f"{where}: the label of {at(row)} is missing, {label!r}: leave the example out"
            )


def check_different(names: Iterable[str], where: str | Path) -> None:
    """Raise DataError for names of classes that differ in what nobody sees, such as a space."""
    seen: dict[str, str] = {}
    for name in names:
        look = unicodedata.normalize("NFC", " ".join(name.split()))
        if (other := seen.setdefault(look, name)) != name:
            raise DataError(
                f"{where}: {other!a} and {name!a} look the same: make them one, as by "
                "unicodedata.normalize('NFC', name.strip())"
            )


def numbered(
    labels: list[np.ndarray],
    places: Sequence[str],
    classes: tuple[str, ...] | None,
    at: Callable[[int], str] = "example {}".format,
) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """The labels of all splits as int64, checked against the classes, and the classes.

    Where the labels are text and no classes are given, these are the texts, sorted. at: what a row
    is called.
    """
    text = [y.dtype.kind == "U" for y in labels]
    if any(text):
        if not all(text):
            raise DataError(f"{' and '.join(places)}: one is text, the other numbers")
        for y, where in zip(labels, places):
            check_labels(y, where, at)
        names = np.unique(np.concatenate([np.unique(y) for y in labels]))
        if classes is None and (unknown := {*names.tolist()} - {*labels[0].tolist()}):
            raise DataError(
                f"{places[-1]}: not among the labels for training are {listed(sorted(unknown))}: "
                "rename or remove them"
            )
        check_different([*names.tolist(), *(classes or ())], places[0])
        classes = tuple(names.tolist()) if classes is None else classes
        numbers = {name: k for k, name in enumerate(classes)}
        if strange := [name for name in names.tolist() if name not in numbers]:
            raise DataError(
                f"{places[0]}: the label {strange[0]!r:.60} is none of the classes: "
                f"{listed(classes)}"
            )
        order = np.array([numbers[name] for name in names.tolist()])
        labels = [order[np.searchsorted(names, y)] for y in labels]
    for y, where in zip(labels, places):
        if classes is not None and len(y) and int(y.max()) >= len(classes):
            i = int((y >= len(classes)).argmax())
            raise DataError(
                f"{where}: label {y[i]} of row {i}, expected 0 to {len(classes) - 1}: there are "
                f"{len(classes)} names in classes"
            )
    return labels, classes


def listed(names: Collection[Any]) -> str:
    """The first eight names, in a row."""
    shown = ", ".join(visible(str(name)) for name in itertools.islice(names, 8))
    return (shown or "nothing") + (", ..." if len(names) > 8 else "")
