"""The readers of `tinynet.data` as targets: IDX, gzip, .npy, .npz.

Each is driven below the checksum, which would refuse everything: what is fuzzed is what reads a
user's own files, and what stands between a wrong file and a crash where no checksum is known.
"""

from __future__ import annotations

import functools
import gzip
import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.long.fuzz.harness import Mutate, Target
from tinynet.data.files import read_stream
from tinynet.data.idx import parse_idx
from tinynet.data.npz import arrays_from_npz, read_npy
from tinynet.errors import DataError

LIMIT = 2000  # bytes of content that the gzip target expects at most


# ----- IDX ----------------------------------------------------------------------------------------


def run_idx(data: bytes) -> np.ndarray:
    """Labels if the file says that it has one dimension, else images."""
    if data[3:4] != b"\1":
        images = parse_idx(data, "f", ndim=3)
        assert images.nbytes == len(data) - 16
        return images
    labels = parse_idx(data, "f", ndim=1)
    assert labels.nbytes == len(data) - 8
    return labels


def idx_seeds() -> list[bytes]:
    """Two files of images and one of labels."""
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (2, 5, 4), np.uint8),
        np.zeros((1, 28, 28), np.uint8),
        rng.integers(0, 10, 30, np.uint8),
    ]
    return [struct.pack(f">BBBB{a.ndim}I", 0, 0, 8, a.ndim, *a.shape) + a.tobytes() for a in arrays]


# ----- gzip ---------------------------------------------------------------------------------------


def run_gzip(data: bytes) -> bytearray:
    """The content of a file, gzipped or not, of which LIMIT bytes are expected."""
    content = read_stream(io.BytesIO(data), "f", LIMIT)
    assert len(content) <= LIMIT
    return content


def gzip_seeds() -> list[bytes]:
    """Packed at several levels, packed in two members, and plain."""
    content = bytes(range(256)) * 4 + bytes(500)
    return [
        gzip.compress(content, 9, mtime=0),
        gzip.compress(content[:300], 0, mtime=0) + gzip.compress(content[300:], 1, mtime=0),
        content,
    ]


def inside_gzip(rng: random.Random, mutate: Mutate) -> bytes:
    """A right gzip file of changed content, which now and then is far too long."""
    if rng.random() < 0.1:
        return _bombs()[rng.randrange(2)]
    return gzip.compress(mutate(bytes(range(256)) * 4), 1, mtime=0)


@functools.cache
def _bombs() -> tuple[bytes, bytes]:
    one = gzip.compress(bytes(50_000_000), 9, mtime=0)
    return one, gzip.compress(one, 9, mtime=0) * 3


def unpacked_size(data: bytes) -> int:
    """Bytes of the content of a gzip file, but LIMIT at most; of another, its own size."""
    unpacker = zlib.decompressobj(31)
    try:
        return max(len(data), len(unpacker.decompress(data, LIMIT)))
    except zlib.error:
        return len(data)


# ----- npy, npz -----------------------------------------------------------------------------------


def run_npy(data: bytes) -> np.ndarray:
    """One array."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python 2's headers
        array = read_npy(data)
    assert array.nbytes < len(data)
    return array


@functools.cache
def npy_seeds() -> list[bytes]:
    """Arrays of several dtypes, orders and versions."""
    arrays = [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 2, 2)),
        np.arange(5, dtype=np.int64),
        np.array(["cat", "dog"]),
        np.array([True, False]),
        np.array(1.5, ">f8"),
        np.zeros((0, 3), np.complex64),
    ]
    files = [_npy(array) for array in arrays]
    return [*files, _npy(arrays[0], (2, 0))]


def _npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def inside_npy(rng: random.Random, mutate: Mutate) -> bytes:
    """A changed header text, with its length made right and often the elements that it asks for."""
    data = rng.choice(npy_seeds())
    begin = 10 if data[6] == 1 else 12
    end = begin + int.from_bytes(data[8:begin], "little")
    text = mutate(data[begin:end].rstrip())
    width = begin - 8
    length = (len(text) % 65536).to_bytes(width, "little")
    return (
        data[:8] + length + text + (data[end:] if rng.random() < 0.5 else bytes(rng.randrange(64)))
    )


NPY_TOKENS = tuple(
    rb"""'descr':  'fortran_order':  'shape':  True False '|O' '<f4' '<U1' '|b1' (3,) () ( ) ' , -1
    1e9 { } __import__('os') [('a','<f4')] 0x10 3L """.split()
)


def run_npz(data: bytes) -> Any:
    """A user's arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # arrays that are not read
        splits, classes = arrays_from_npz(io.BytesIO(data), "f")
    for x, y in splits.values():
        assert len(x) == len(y)
        assert y.dtype == np.int64
        assert x.dtype in (np.uint8, np.float32)
        assert y.min() >= 0
        assert classes is None or y.max() < len(classes)
    return splits


@functools.cache
def _npz_members() -> tuple[dict[str, bytes], ...]:
    x, y = np.arange(36, dtype=np.uint8).reshape(4, 3, 3), np.array([0, 1, 1, 0], np.uint8)
    floats = np.asfortranarray(np.linspace(0, 1, 24).reshape(2, 2, 2, 3))
    sets: tuple[dict[str, Any], ...] = (
        {"x": x, "y": y},
        {
            "x": floats.astype(np.float16),
            "y": np.array([[1], [0]]),
            "classes": np.array(["a", "b"]),
        },
        {"x_train": floats, "y_train": y[:2], "x_test": floats[:1], "y_test": y[:1]},
        {"x": x.reshape(4, 9), "y": y, "more": np.array(["not", "read"])},
        {"images": x, "labels": np.array(["b", "a", "c", "a"])},
    )
    return tuple({f"{name}.npy": _npy(array) for name, array in s.items()} for s in sets)


def _zip(members: Sequence[tuple[str, bytes]], kind: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return buffer.getvalue()


@functools.cache
def npz_seeds() -> list[bytes]:
    """Several files, stored and deflated."""
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return [_zip(list(m.items()), kind) for m in _npz_members() for kind in kinds]


def inside_npz(rng: random.Random, mutate: Mutate) -> bytes:
    """A right zip, with right checksums, in which one or two members are not what they were."""
    members = list(rng.choice(_npz_members()).items())
    for _ in range(rng.choice((1, 1, 2))):
        k = rng.randrange(len(members))
        name, content = members[k]
        change = rng.random()
        if change < 0.7:
            begin = 10 if rng.random() < 0.3 else 0
            members[k] = name, content[:begin] + mutate(content[begin:])
        elif change < 0.9:
            members[k] = name, rng.choice(npy_seeds())
        else:
            members[k] = rng.choice(("x", "y.npy", "classes.npy", "\u00fc\n", "../x.npy")), content
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        return _zip(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def honest_npz(data: bytes) -> int:
    """Bytes of the file and of all that is packed in it and can be unpacked."""
    size = place = 0
    while (place := data.find(b"PK\3\4", place)) >= 0:
        names = int.from_bytes(data[place + 26 : place + 28], "little")
        extra = int.from_bytes(data[place + 28 : place + 30], "little")
        if data[place + 8 : place + 9] == b"\x08":
            try:
                packed = data[place + 30 + names + extra :]
                size += len(zlib.decompressobj(-15).decompress(packed, 1 << 20))
            except zlib.error:
                pass
        place += 4
    return len(data) + size


ZIP_TOKENS = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"x.npy", b"y.npy", b"\x08\0",
              b"\1\0\x10\0")  # fmt: skip


TARGETS = {
    "idx": Target(run_idx, idx_seeds, DataError),
    "gzip": Target(run_gzip, gzip_seeds, DataError, inside=inside_gzip, honest=unpacked_size),
    "npy": Target(run_npy, npy_seeds, DataError, inside=inside_npy, tokens=NPY_TOKENS),
    "npz": Target(
        run_npz, npz_seeds, DataError, inside=inside_npz, honest=honest_npz, tokens=ZIP_TOKENS
    ),
}
