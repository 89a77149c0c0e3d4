"""The file under every checkpoint: named arrays, and what is said of them, as safetensors.

    8 bytes       the length of the header, little-endian
    header        JSON: {"0.bias": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}, ...}
    arrays        their bytes, one after the other, with no gap

Every tool of the field opens it. The format has no checksums, so ours are in the header's
`__metadata__`: "tinynet" is JSON, what is said of the arrays and the SHA-256 of each, and
"tinynet.sha256" is that of the header, taken with zeros in its own place. So no byte of the file
can change unnoticed. A file of another program has neither, and is read without.

Nothing in a file is believed: what its header says is checked against itself and against the size
of the file before anything is allocated by it, and nothing in it can run code.

Format: https://github.com/huggingface/safetensors
"""

import contextlib
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeAlias

import numpy as np

from tinynet.data.files import as_path, check_regular
from tinynet.errors import CheckpointError, MissingFileError
from tinynet.training.files import atomic_write, to_json
from tinynet.training.foreign import fault

SUFFIX = ".safetensors"
VERSION = 3  # of what is said of the arrays; 1 and 2 were zip files
METADATA, OWN, SUM = "__metadata__", "tinynet", "tinynet.sha256"
ZEROS = "0" * 64  # where the digits of the header's SHA-256 are to stand
HEADER_LIMIT = 1 << 24  # bytes; that of VGG-19 has 10,000
MAX_DIMENSIONS, MAX_BYTES = 32, 1 << 62
DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I8": "|i1", "I16": "<i2",
    "I32": "<i4", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
WORDS = {code: word for word, code in DTYPES.items() if word != "BF16"}


Place: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A path, or a file object that is open for bytes, such as io.BytesIO."""


def write(place: Place, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write arrays, and `about` as metadata; equal contents give equal files. A path is written
    atomically, into a file object from where it stands.

    Raises OSError where it cannot be written, TypeError for a dtype that the format lacks,
    ValueError for what JSON cannot say.
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    spans: dict[str, list[int]] = {}
    end = 0
    for name in sorted(plain, key=lambda name: -plain[name].itemsize):  # so that all are aligned
        spans[name] = [end, end := end + plain[name].nbytes]
    sums = {name: hashlib.sha256(_bytes(array)).hexdigest() for name, array in plain.items()}
    own = to_json(told(place), {"version": VERSION, **about, "sha256": sums})
    header: dict[str, Any] = {METADATA: {"format": "pt", SUM: ZEROS, OWN: own}}  # pt: for PyTorch
    for name, array in plain.items():
        word, shape = WORDS[array.dtype.str], list(array.shape)
        header[name] = {"dtype": word, "shape": shape, "data_offsets": spans[name]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > HEADER_LIMIT:
        raise ValueError(
            f"cannot write {told(place)}: {len(text):,} bytes beside the arrays, there is room for "
            f"{HEADER_LIMIT:,}; put long lists of numbers into arrays"
        )
    opened: Any = atomic_write(path) if (path := path_of(place)) else contextlib.nullcontext(place)
    with opened as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text.replace(ZEROS.encode(), hashlib.sha256(text).hexdigest().encode(), 1))
        for name in spans:
            stream.write(_bytes(plain[name]))


def is_place(value: Any) -> bool:
    """Whether it is a path or a file object."""
    return path_of(value) is not None or (hasattr(value, "read") and hasattr(value, "write"))


def told(place: Place) -> str:
    """A path, or what stands for one in an error."""
    return str(path_of(place) or "the file object")


def path_of(place: Place) -> Path | None:
    """Where it is on the disk; None for a file object."""
    return as_path(place) if isinstance(place, (str, os.PathLike)) else None


def _plain(name: str, array: np.ndarray) -> np.ndarray:
    """The array in C order, little-endian."""
    plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if plain.dtype.str not in WORDS:
        raise TypeError(
            f"{name}: a checkpoint cannot hold an array of {array.dtype}; convert it to numbers of "
            "8 to 64 bits, with array.astype"
        )
    return plain


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


class Entry(NamedTuple):
    """What a header says of an array. start, end: its bytes, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read(place: Place) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays, and what `write` was told about them; {} for a file of another program.

    A file object is read from where it stands to its end. bfloat16 becomes float32, which has all
    its values, and so does the float16 of another program.
    Raises CheckpointError that names what is wrong.
    """
    arrays: dict[str, np.ndarray] = {}
    with _opened(place) as stream:
        entries, about, sums = _header(stream)
        for name, entry in sorted(entries.items(), key=lambda item: item[1].start):
            array = np.empty(entry.shape, DTYPES[entry.dtype])
            content = _bytes(array)
            if stream.readinto(content) != array.nbytes:  # type: ignore[attr-defined]
                raise CheckpointError(f"{name}: cut off while it was read")
            if sums and hashlib.sha256(content).hexdigest() != sums[name]:
                raise CheckpointError(f"{name}: damaged: its SHA-256 is not the one in the header")
            if entry.dtype == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
                raise CheckpointError(f"{name}: bytes that are no value: a bool is 0 or 1")
            if entry.dtype == "BF16":  # the upper half of a float32
                wide = array.astype(np.uint32)
                wide <<= 16
                array = wide.view(np.float32)
            half = array.dtype == np.float16 and not about
            dtype = np.float32 if half else array.dtype.newbyteorder("=")
            arrays[name] = array.astype(dtype, copy=False)
    return {name: arrays[name] for name in entries}, about


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write` was told about the arrays, for a look at a file; these are not read."""
    with _opened(path) as stream:
        return _header(stream)[1]


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be read. Raises CheckpointError where there is none."""
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        cure = f"; give the file in it, such as last{SUFFIX}" if os.path.isdir(path) else ""
        told = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(f"{path}: {told}{cure}") from error
    return Path(path)


@contextlib.contextmanager
def _opened(place: Place) -> Iterator[BinaryIO]:
    """The file; whatever is found wrong with it inside becomes a CheckpointError that names it."""
    source: Any = place
    path = existing(source) if isinstance(source, (str, os.PathLike)) else None
    try:
        with io.BytesIO(source.read()) if path is None else path.open("rb") as stream:
            if path is None and not stream.read(1):
                raise CheckpointError("at its end: call .seek(0) before it is read")
            yield stream
    except CheckpointError as error:
        raise CheckpointError(f"{told(place)}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{told(place)}: {fault(path, 'no checkpoint', error)}") from error
    except OSError as error:
        raise CheckpointError(f"{told(place)}: damaged, or cannot be read: {error}") from error


def _header(stream: BinaryIO) -> tuple[dict[str, Entry], dict[str, Any], dict[str, str]]:
    """The header of a file, checked: its arrays, what is said of them, and their SHA-256 sums, both
    empty for a file of another program. The stream is left at the first array.

    Raises CheckpointError for what another file of this format may say, ValueError for the rest.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if length > min(size - 8, HEADER_LIMIT):
        raise ValueError(f"cut off: a header of {length} bytes in a file of {size}")
    text = stream.read(length)
    header = _json(text)
    metadata = header.pop(METADATA, {})
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.end)):
        if entry.start != end:
            raise ValueError(f"its arrays overlap, or leave a gap, at offset {8 + length + end}")
        end = entry.end
    if size != 8 + length + end:
        more = size - 8 - length - end
        what = "cut off" if more < 0 else f"with {more} bytes too many"
        raise ValueError(f"{what}: it has {size} bytes, and {size - more} by its header")
    about = _own(metadata, text)
    sums = about.pop("sha256", {})
    if not isinstance(sums, dict) or (about and sums.keys() != entries.keys()):
        raise CheckpointError(f"the metadata {OWN!r} do not list the arrays that are there")
    return entries, about, sums


def _entry(name: str, entry: Any) -> Entry:
    try:
        word, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = [*shape, start, end]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{name:.80}: its header says of it {entry!r:.80}") from error
    if not isinstance(word, str) or word not in DTYPES:
        raise CheckpointError(
            f"{name:.80} is of {word!s:.40}, which tinynet does not read; convert it to float32 "
            "where it comes from (in PyTorch: tensor.float()), and save it again"
        )
    itemsize = np.dtype(DTYPES[word]).itemsize
    if (
        len(shape) > MAX_DIMENSIONS
        or any(type(n) is not int or not 0 <= n <= MAX_BYTES for n in numbers)
        or math.prod(n or 1 for n in shape) * itemsize > MAX_BYTES  # an empty one has strides too
        or math.prod(shape) * itemsize != end - start
    ):
        raise ValueError(f"{name:.80}: {word} {shape!r:.80} in bytes {start!r:.30} to {end!r:.30}")
    return Entry(word, tuple(shape), start, end)


def _own(metadata: Any, text: bytes) -> dict[str, Any]:
    """What tinynet wrote into the metadata; {} if another program wrote the file."""
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{METADATA} must be texts by name, got {metadata!r:.60}")
    if OWN not in metadata and SUM not in metadata:
        return {}
    digest = metadata.get(SUM, "")
    found = hashlib.sha256(text.replace(digest.encode(), ZEROS.encode(), 1)).hexdigest()
    if len(digest) != len(ZEROS) or found != digest or OWN not in metadata:
        raise CheckpointError(
            "damaged, or rewritten by another program: the SHA-256 of its header is not the one in "
            f"the metadata; to read the arrays all the same, remove {OWN!r} and {SUM!r} from these"
        )
    about = _json(metadata[OWN].encode())
    if type(about.get("version")) is not int or about["version"] != VERSION:
        raise CheckpointError(
            f"is of version {about.get('version')!r:.40}, this tinynet reads {VERSION}; "
            "a newer tinynet may have written it: pip install --upgrade tinynet-cnn"
        )
    return about


def _json(text: bytes) -> dict[str, Any]:
    content = json.loads(text.decode(), object_pairs_hook=_once_each, parse_constant=_no_number)
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, got {content!r:.60}")
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return content


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
