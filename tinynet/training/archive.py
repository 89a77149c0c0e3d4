"""The archive under every checkpoint: named arrays and a manifest in one file.

It is a zip file that `numpy.load(path, allow_pickle=False)` reads as well:

    model/features.0.weight.npy       one member for each array, never compressed
    ...
    manifest.json                     format, versions, and dtype, shape and SHA-256 of each member

The zip's comment is the SHA-256 of all that comes before it, so that no byte of the file can
change unnoticed. Nothing in the file is believed: what the zip, the manifest and the headers of
the arrays say is checked against each other and against the size of the file before anything is
allocated by it, and nothing is ever unpickled, decompressed or written to a path from inside.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from tinynet import npy
from tinynet.data.files import check_regular
from tinynet.errors import CheckpointError
from tinynet.training.files import atomic_write, to_json
from tinynet.training.foreign import fault
from tinynet.version import __version__

FORMAT = "tinynet checkpoint"
VERSION = 2
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 1 << 24  # bytes; the manifest of VGG-19 with Adam's state has 40,000
DIGEST = 64  # hexadecimal digits of a SHA-256
WHEN = (1980, 1, 1, 0, 0, 0)  # every member's date: equal contents give equal files
BLOCK = 1 << 20


def write_archive(
    path: str | os.PathLike[str], members: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Write arrays and a manifest with `about` in it as one file, atomically.

    Raises OSError where it cannot be written, ValueError for what JSON cannot say.
    """
    listing: dict[str, Any] = {}
    with atomic_write(path) as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.comment = b"0" * DIGEST
            for key, array in members.items():
                listing[key] = _write_member(archive, key, np.asarray(array, order="C"))
            manifest = {
                "format": FORMAT,
                "version": VERSION,
                "versions": versions(),
                **about,
                "members": listing,
            }
            text = to_json(path, manifest, 1)
            archive.writestr(_info(MANIFEST), text)
        digest = _digest(stream)
        stream.seek(-DIGEST, os.SEEK_END)
        stream.write(digest)


def versions() -> dict[str, str]:
    """The versions that wrote a file."""
    return {
        "tinynet": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _info(name: str, size: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, WHEN)
    info.create_system = 3  # the same file on every system
    info.external_attr = 0o600 << 16
    info.file_size = size
    return info


def _write_member(archive: zipfile.ZipFile, key: str, array: np.ndarray) -> dict[str, Any]:
    """Write one array as it lies in memory; what the manifest says of it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    content = (header.getvalue(), array.reshape(-1).view(np.uint8).data)
    sha256 = hashlib.sha256()
    with archive.open(_info(f"{key}.npy", len(content[0]) + array.nbytes), "w") as member:
        for part in content:
            member.write(part)
            sha256.update(part)
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "sha256": sha256.hexdigest(),
    }


def _digest(stream: BinaryIO) -> bytes:
    """The SHA-256, as text, of all of a file but the digest at its end."""
    left = stream.seek(0, os.SEEK_END) - DIGEST
    stream.seek(0)
    sha256 = hashlib.sha256()
    while left > 0 and (block := stream.read(min(BLOCK, left))):
        sha256.update(block)
        left -= len(block)
    return sha256.hexdigest().encode()


def read_archive(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the manifest of an archive, every one checked against the manifest.

    Raises CheckpointError that names the member and what is wrong with it.
    """
    with _opened(path) as reader:
        manifest = reader.manifest()
        members = reader.members(manifest["members"])
        reader.check_digest()
    return members, manifest


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest alone, for a look at what is in a file; the arrays are not checked."""
    with _opened(path) as reader:
        return reader.manifest()


def existing(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be read. Raises CheckpointError where there is none."""
    try:
        check_regular(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        cure = "; give the file in it, such as last.npz" if os.path.isdir(path) else ""
        told = getattr(error, "strerror", None) or str(error)
        raise CheckpointError(f"{path}: {told}{cure}") from error
    return Path(path)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[_Reader]:
    path = existing(path)
    try:
        with path.open("rb") as stream:
            yield _Reader(path, stream)
    except OSError as error:
        raise CheckpointError(f"{path}: damaged, or cannot be read: {error}") from error


class _Reader:
    """A zip file that is being read with suspicion."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.stream = stream
        self.size = stream.seek(0, os.SEEK_END)
        try:
            self.zip = zipfile.ZipFile(stream)
        except Exception as error:  # zipfile lets errors of many kinds out of a bad directory
            self.refuse(fault(path, "no checkpoint", error), error)
        self.infos = self._infos()

    def refuse(self, fault: str, cause: BaseException | None = None) -> NoReturn:
        raise CheckpointError(f"{self.path}: {fault}") from cause

    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        """The members by name, once it is known that they fit into the file."""
        if MANIFEST not in self.zip.namelist():
            told = f"no checkpoint, it has no {MANIFEST}"
            members = self.zip.namelist()
            self.refuse(fault(self.path, told, "tinynet did not write it", members))
        infos: dict[str, zipfile.ZipInfo] = {}
        for info in self.zip.infolist():
            name = info.filename
            if name in infos:
                self.refuse(f"the member {name} appears twice")
            if _leads_out(name):
                self.refuse(f"the member {name} has a path that leads out of the archive")
            if info.compress_type != zipfile.ZIP_STORED:
                self.refuse(f"{name} is compressed; tinynet never does that")
            if info.compress_size != info.file_size:
                self.refuse(f"{name} has {info.file_size} bytes in {info.compress_size}")
            infos[name] = info
        total = sum(info.file_size for info in infos.values())
        if total > self.size:
            self.refuse(f"its members claim {total} bytes, the whole file has {self.size}")
        return infos

    def content(self, info: zipfile.ZipInfo) -> bytearray:
        content = bytearray(info.file_size)
        try:
            with self.zip.open(info) as member:
                count = member.readinto(content)  # type: ignore[attr-defined]
                rest = member.read(1)  # at its end zipfile compares the CRC-32
        except Exception as error:  # as above; it names the fault, sometimes not the member
            self.refuse(f"{info.filename}: damaged: {error}", error)
        if count != info.file_size or rest:
            self.refuse(f"{info.filename}: cut off after {count} of {info.file_size} bytes")
        return content

    def manifest(self) -> dict[str, Any]:
        info = self.infos[MANIFEST]
        if info.file_size > MANIFEST_LIMIT:
            self.refuse(f"{MANIFEST} has {info.file_size} bytes, which is absurd")
        content = self.content(info)
        try:
            manifest = json.loads(
                content.decode(),
                object_pairs_hook=_without_duplicates,
                parse_constant=_no_constant,
            )
        except (ValueError, RecursionError) as error:
            self.refuse(f"{MANIFEST} is not JSON: {error}", error)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            self.refuse(f"{MANIFEST} does not say that this is a {FORMAT}")
        if type(manifest.get("version")) is not int or manifest["version"] != VERSION:
            self.refuse(
                f"is of version {manifest.get('version')!r:.40}, this tinynet reads {VERSION}; "
                "a newer tinynet may have written it: pip install --upgrade tinynet-cnn"
            )
        if not isinstance(manifest.get("members"), dict):
            self.refuse(f"{MANIFEST} does not list the members")
        return manifest

    def members(self, listing: Mapping[str, Any]) -> dict[str, np.ndarray]:
        expected = {f"{key}.npy" for key in listing}
        found = set(self.infos) - {MANIFEST}
        if missing := sorted(expected - found):
            self.refuse(f"lacks {', '.join(missing)}")
        if strange := sorted(found - expected):
            self.refuse(f"{MANIFEST} does not list {', '.join(strange)}")
        return {
            key: self._member(self.infos[f"{key}.npy"], entry) for key, entry in listing.items()
        }

    def _member(self, info: zipfile.ZipInfo, entry: Any) -> np.ndarray:
        name = info.filename
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "sha256"}:
            self.refuse(f"{name}: {MANIFEST} does not describe it: {entry!r:.60}")
        content = self.content(info)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            self.refuse(f"{name}: damaged: its SHA-256 is not the one in {MANIFEST}")
        try:
            array = npy.read_array(content, f"{self.path}: {name}")
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        if array.dtype.kind not in "fiub":
            self.refuse(f"{name}: {array.dtype} is no dtype of a checkpoint")
        if [array.dtype.str, list(array.shape)] != [entry["dtype"], entry["shape"]]:
            self.refuse(
                f"{name}: is {array.shape} of {array.dtype}, {MANIFEST} says "
                f"{entry['shape']!r:.60} of {entry['dtype']!r:.20}"
            )
        return array

    def check_digest(self) -> None:
        """Find what is wrong outside the members: in the zip's own headers."""
        if len(self.zip.comment) != DIGEST:
            self.refuse("does not end with its SHA-256, so another program has rewritten it")
        if _digest(self.stream) != self.zip.comment:
            self.refuse("damaged outside its members: its SHA-256 is not the one at its end")


def _leads_out(name: str) -> bool:
    """Whether a path would lead out of the folder that an archive were unpacked to."""
    parts = re.split(r"[/\\]", name)
    return parts[0] == "" or ".." in parts or re.match("[A-Za-z]:", name) is not None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name appears twice in one object")
    return content


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
