"""Reading `.npy`, the file format of one NumPy array, without believing a word of it.

A file is: the magic `\\x93NUMPY`, a version (two bytes), the length of the header (2 bytes in
version 1, else 4, little-endian), the header, the elements. The header is text, a Python dict:

    {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 28, 28), }

NumPy's own reader evaluates that text as Python and allocates what it asks for. This one matches
it against the little that it may be, checks the size against the bytes that are there, and makes
the array a view of them, so a file costs no memory beyond its own. Plain arrays are read: bools,
integers, floats, complex numbers, bytes and text. Pickled objects, records and dates are refused.

Format: NumPy Enhancement Proposal 1, and `numpy.lib.format`.
"""

from __future__ import annotations

import io
import math
import re
from typing import BinaryIO, NamedTuple

import numpy as np

MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 1 << 16  # bytes of header text; NumPy writes 118 for a plain array
MAX_DIMENSIONS = 32
MAX_BYTES = 1 << 62

_ENTRY = re.compile(
    r"""\s*(["'])(?P<key>descr|fortran_order|shape)\1\s*:\s*"""
    r"""(?P<value>"[^"]*"|'[^']*'|True|False|\([-0-9L,\s]*\)|\[)\s*"""
)
_SIZE = re.compile(r"\s*(-?[0-9]{1,20})L?\s*")  # Python 2 wrote 3L
_PLAIN = re.compile(
    r"[<>|=]?(?:b1|[iu][1248]|f(?:[248]|12|16)|c(?:8|16|24|32)|[SU][1-9][0-9]{0,9})"
)


class Header(NamedTuple):
    """What an .npy header says. offset: of the first element in the file, in bytes."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    fortran_order: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(source: bytes | bytearray | memoryview | BinaryIO, where: str = "npy") -> Header:
    """The header at the start of bytes, or of a stream, which is left at the first element.

    No more is read than the header, and that has a limit. where: the file, for messages. Raises
    ValueError that names the offset and what was expected there.

    >>> stream = io.BytesIO(); np.save(stream, np.zeros((2, 3), np.float32))
    >>> read_header(stream.getvalue())
    Header(shape=(2, 3), dtype=dtype('float32'), offset=128, fortran_order=False)
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source[: HEADER_LIMIT + 16])
    start = _exactly(source, 8, 0, where)
    if start[:6] != MAGIC:
        raise ValueError(f"{where}: offset 0: {start[:6]!r}, expected {MAGIC!r}: not an .npy array")
    if start[6] not in (1, 2, 3) or start[7]:
        raise ValueError(f"{where}: offset 6: version {start[6]}.{start[7]}, expected 1.0 to 3.0")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(_exactly(source, width, 8, where), "little")
    if length > HEADER_LIMIT:
        raise ValueError(
            f"{where}: offset 8: a header of {length} bytes, expected {HEADER_LIMIT} at most"
        )
    begin = 8 + width
    text = _exactly(source, length, begin, where)
    try:
        values = _entries(text.decode("ascii"))
        shape = _shape(values["shape"])
        dtype = _dtype(values["descr"])
        fortran_order = _flag(values["fortran_order"])
    except ValueError as error:
        raise ValueError(f"{where}: offset {begin}: {error}") from error
    # Sizes of 0 left out: NumPy computes the strides of an empty array all the same.
    if math.prod(n or 1 for n in shape) * dtype.itemsize > MAX_BYTES:
        raise ValueError(
            f"{where}: offset {begin}: the shape {shape} is more than can be addressed"
        )
    return Header(shape, dtype, begin + length, fortran_order)


def read_array(content: bytes | bytearray | memoryview, where: str = "npy") -> np.ndarray:
    """The array in the content of an .npy file: a view of `content`, writable if that is.

    where: the file, for messages. Raises ValueError that names the offset and what was expected:
    the content must hold exactly the elements that its header says, and they must be values of
    their dtype.

    >>> stream = io.BytesIO(); np.save(stream, np.arange(3))
    >>> read_array(stream.getvalue())
    array([0, 1, 2])
    >>> read_array(stream.getvalue()[:-1], "a.npy")
    Traceback (most recent call last):
    ValueError: a.npy: offset 128: 23 bytes of elements, expected 24 for shape (3,) of int64
    """
    header = read_header(content, where)
    check_size(header, len(content), where)
    array = np.frombuffer(content, header.dtype, math.prod(header.shape), header.offset)
    _check_values(array, header, where)
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")


def check_size(header: Header, size: int, where: str = "npy") -> None:
    """Raise ValueError unless a file of `size` bytes holds just what its header says."""
    if size != header.offset + header.nbytes:
        raise ValueError(
            f"{where}: offset {header.offset}: {size - header.offset} bytes of elements, expected "
            f"{header.nbytes} for shape {header.shape} of {header.dtype}"
        )


def _exactly(stream: BinaryIO, count: int, offset: int, where: str) -> bytes:
    """The next `count` bytes, which stand at `offset`."""
    content = b""
    while len(content) < count and (more := stream.read(count - len(content))):
        content += more
    if len(content) < count:
        raise ValueError(
            f"{where}: ends at offset {offset + len(content)}, inside the header, of which "
            f"{offset + count} bytes were expected"
        )
    return content


def _entries(text: str) -> dict[str, str]:
    """The three entries of the header's dict as text; each is looked at once."""
    text = text.strip()
    values: dict[str, str] = {}
    place, end = 1, len(text) - 1
    if text[:1] != "{" or text[-1:] != "}":
        raise ValueError(
            f"header {_short(text)}, expected a dict of descr, fortran_order and shape"
        )
    while place < end:
        entry = _ENTRY.match(text, place, end)
        if entry is None or entry["key"] in values:
            raise ValueError(
                f"header {_short(text)}, expected descr, fortran_order and shape, once each; it "
                f"goes wrong at {_short(text[place:].strip())}"
            )
        if entry["value"] == "[":
            raise ValueError("an array of records (a structured dtype), expected plain numbers")
        values[entry["key"]] = entry["value"]
        place = entry.end()
        if place < end and text[place] != ",":
            raise ValueError(f"header {_short(text)}, expected a comma before {text[place:][:9]!r}")
        place += 1
        if not text[place:end].strip():
            break
    if len(values) < 3:
        raise ValueError(f"header {_short(text)}, expected descr, fortran_order and shape")
    return values


def _shape(text: str) -> tuple[int, ...]:
    if text[0] != "(":
        raise ValueError(f"shape {_short(text)}, expected sizes such as (3, 4)")
    parts = text[1:-1].split(",", MAX_DIMENSIONS + 1)
    if not parts[-1].strip():
        parts.pop()
    elif len(parts) == 1:
        raise ValueError(f"shape {_short(text)}, expected sizes such as (3,)")
    if len(parts) > MAX_DIMENSIONS:
        raise ValueError(f"more than {MAX_DIMENSIONS} dimensions")
    sizes = [_SIZE.fullmatch(part) for part in parts]
    shape = tuple(int(size[1]) if size else -1 for size in sizes)
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {_short(text)}, expected sizes of 0 or more, such as (3, 4)")
    return shape


def _dtype(text: str) -> np.dtype:
    descr = text[1:-1]
    if text[0] not in "\"'":
        raise ValueError(f"dtype {_short(text)}, expected one such as '<f4'")
    if "O" in descr:
        raise ValueError(
            "pickled objects are refused: they can run code; save numbers, or text by astype(str)"
        )
    if not _PLAIN.fullmatch(descr):
        raise ValueError(f"dtype {_short(text)}, expected numbers or text, such as '<f4' or '|u1'")
    try:
        return np.dtype(descr)
    except TypeError as error:  # a width that this platform lacks, such as f12
        raise ValueError(f"dtype {_short(text)}: {error}") from error


def _flag(text: str) -> bool:
    if text not in ("True", "False"):
        raise ValueError(f"fortran_order {_short(text)}, expected True or False")
    return text == "True"


def _check_values(flat: np.ndarray, header: Header, where: str) -> None:
    """Raise ValueError for bytes that no value of the dtype has: NumPy would misread them."""
    if header.dtype.kind == "b":
        wrong, what = flat.view(np.uint8) > 1, "a bool is 0 or 1"
    elif header.dtype.kind == "U":
        points = flat.view(np.dtype(np.uint32).newbyteorder(header.dtype.byteorder))
        wrong = (points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))
        what = "a character of text is a Unicode scalar value"
    else:
        return
    if wrong.any():
        i = int(wrong.argmax())
        width = 1 if header.dtype.kind == "b" else 4
        place = header.offset + i * width
        raise ValueError(f"{where}: offset {place}: bytes that are no value of the dtype: {what}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
