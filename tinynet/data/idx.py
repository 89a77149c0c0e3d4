"""IDX, the file format of MNIST and its relatives, and the binary form of CIFAR-10 and -100.

IDX: two zero bytes, a type byte (0x08 for unsigned bytes), the number of dimensions, each
dimension as a big-endian 32-bit number, then the values, last dimension fastest.
CIFAR-10: records of 3073 bytes, a label and a 32x32 image, the red plane first. CIFAR-100: the
same after another byte, the label of a group of classes.

Every size in an IDX file is checked against the bytes that are there before an array is made;
those of CIFAR are known by their SHA-256.
"""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinynet.console import some
from tinynet.data.files import read_content, read_head
from tinynet.errors import DataError

UNSIGNED_BYTE = 0x08
CIFAR_IMAGE = 3 * 32 * 32


def parse_idx(content: bytes | bytearray, source: str | Path, ndim: int) -> np.ndarray:
    """The uint8 array in the content of an IDX file, which must have `ndim` dimensions.

    The array shares the memory of `content`. source: the file, for messages. Raises DataError.
    """
    header = 4 + 4 * ndim
    expected = bytes([0, 0, UNSIGNED_BYTE, ndim])
    if content[:4] != expected or len(content) < header:
        raise DataError(
            f"{source}: offset 0: {bytes(content[:4]).hex(' ') or 'nothing'} and {len(content)} "
            f"bytes in all, expected {expected.hex(' ')} and {header} or more: an IDX file of "
            f"bytes in {ndim} dimensions ({'labels' if ndim == 1 else 'images'}); are the files "
            "swapped?"
        )
    shape = struct.unpack_from(f">{ndim}I", content, 4)
    if math.prod(shape) != len(content) - header:
        raise DataError(
            f"{source}: offset 4: the header says {' x '.join(map(str, shape))} = "
            f"{math.prod(shape)} bytes, but {len(content) - header} follow it at offset {header}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_idx(path: str | Path, ndim: int | None = None) -> np.ndarray:
    """The array uint8 in an IDX file, gzipped or not, of `ndim` dimensions. Raises DataError."""
    head = read_head(path, 4 + 4 * 255)
    there = head[3] if len(head) > 3 else 0
    sizes = struct.unpack_from(f">{there}I", head, 4) if len(head) >= 4 + 4 * there else ()
    content = read_content(Path(path), 4 + 4 * there + math.prod(sizes))
    return parse_idx(content, path, there if ndim is None else ndim)


def find_idx(folder: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, 1, H, W) and labels (N,) of a split, of a folder with IDX files.

    Their names say the part, train or test (or t10k), and images or labels, as those of MNIST and
    EMNIST do. Images of EMNIST lie on their side, and are turned. Raises DataError.
    """
    words = ("train",) if split == "train" else ("test", "t10k")
    files = []
    for what in ("images", "labels"):
        named = sorted(Path(folder).glob(f"*{what}*idx*")) or sorted(Path(folder).glob(f"*{what}*"))
        found = [path for path in named if any(word in path.name for word in words)]
        if len(found) != 1:
            there = ", ".join(path.name for path in found) or "none"
            raise DataError(
                f"{folder}: expected a folder with one file *{words[0]}*{what}*, there is {there}"
            )
        files += found
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    if files[0].name.casefold().startswith("emnist"):
        images = images.transpose(0, 2, 1)
    return pair_idx(images, labels, files)


def pair_idx(
    images: np.ndarray, labels: np.ndarray, files: Sequence[Path]
) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, H, W) and labels (N,) int64 from two IDX arrays, checked to be as many."""
    if len(images) != len(labels):
        raise DataError(
            f"{files[0]} has {some(len(images), 'image')}, but {files[1]} has "
            f"{some(len(labels), 'label')}"
        )
    return images[:, None], labels.astype(np.int64)


def parse_cifar(content: bytes | bytearray, num_classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) int64 of one file of CIFAR's binary form, which
    is known to be the published one.
    """
    labels_each = 1 if num_classes == 10 else 2
    records = np.frombuffer(content, np.uint8).reshape(-1, labels_each + CIFAR_IMAGE)
    labels = records[:, labels_each - 1].astype(np.int64)
    return records[:, labels_each:].reshape(-1, 3, 32, 32), labels
