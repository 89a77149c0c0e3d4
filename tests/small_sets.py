"""Small stand-ins for MNIST and CIFAR-10: the same formats, a few random images."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import tinynet.data.known as known_sets
from tinynet.data import KNOWN
from tinynet.data.files import RemoteFile


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def small_arrays(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count, np.uint8)


CONTENTS = {
    f"{part}-{kind}": idx(array)
    for seed, (part, count) in enumerate((("train", 20), ("t10k", 8)))
    for kind, array in zip(
        ("images-idx3-ubyte", "labels-idx1-ubyte"), small_arrays(count, seed), strict=True
    )
}


def use_small_mnist(monkeypatch):
    """`mnist` replaced by 20 + 8 images; no mirror unless a test adds one."""
    files = tuple(RemoteFile(f"{n}.gz", len(c), sha256(c)) for n, c in CONTENTS.items())
    small = replace(KNOWN["mnist"], files=files, mirrors=())
    monkeypatch.setitem(known_sets.KNOWN, "mnist", small)
    monkeypatch.delenv("TINYNET_MIRROR", raising=False)
    return small


def write_small_mnist(root: Path) -> None:
    (root / "mnist").mkdir(parents=True)
    for name, content in CONTENTS.items():
        (root / "mnist" / f"{name}.gz").write_bytes(gz(content))


def cifar_content(count: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (count, 3073), np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


CIFAR = {f"data_batch_{k}.bin": cifar_content(3, k) for k in range(1, 6)}
CIFAR["test_batch.bin"] = cifar_content(2, 0)


@functools.cache
def cifar_archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in [("readme.html", b"hello"), *reversed(CIFAR.items())]:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def use_small_cifar10(monkeypatch):
    """`cifar10` replaced by 15 + 2 images; no mirror."""
    archive = cifar_archive()
    small = replace(
        KNOWN["cifar10"],
        files=tuple(RemoteFile(n, len(c), sha256(c)) for n, c in CIFAR.items()),
        archive=RemoteFile("cifar-10-binary.tar.gz", len(archive), download_sha256=sha256(archive)),
        mirrors=(),
    )
    monkeypatch.setitem(known_sets.KNOWN, "cifar10", small)
    return small
