"""Files from outside: found where the user put them, else downloaded, and never believed.

A file counts only once its content has the published SHA-256. The hash is of the decompressed
content, because mirrors compress the same content differently.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tinynet.errors import DataError

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"  # how a gzip file starts
TIMEOUT = 30.0  # seconds without a byte before a mirror is given up


@dataclass(frozen=True)
class RemoteFile:
    """A published file: how to find it, fetch it and know it.

    name: as on the mirrors and in ROOT/<set>/. size: bytes of the decompressed content (of the
    file itself, for an archive). sha256: of the decompressed content. download_sha256: of the
    file as published, for files whose content hash nobody has published; it is checked after
    downloading only, since a file put there by hand may have been compressed anew.
    """

    name: str
    size: int
    sha256: str | None = None
    download_sha256: str | None = None

    @property
    def is_archive(self) -> bool:
        """Whether `size` and the hash are those of the file itself, not of what is in it."""
        return self.name.endswith(".tar.gz")


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data sets: `root`, else $TINYNET_DATA, else the user's cache folder."""
    if root is None:
        root = os.environ.get("TINYNET_DATA") or None
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        root = os.path.join(cache, "tinynet")
    return Path(root).expanduser()


def find(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, gzipped or not, or None.

    `train-images.idx3-ubyte`, as some copies of MNIST spell it, is found as well.
    """
    plain = name.removesuffix(".gz") if not name.endswith(".tar.gz") else name
    for spelling in (plain, plain.replace("-idx", ".idx")):
        for candidate in (folder / spelling, folder / f"{spelling}.gz"):
            if candidate.is_file():
                return candidate
    return None


def obtain(file: RemoteFile, folder: Path, mirrors: Sequence[str]) -> Path:
    """The path of a file that is in `folder` already, or is downloaded into it.

    $TINYNET_MIRROR, the address of a folder with the same layout (`mnist/train-...gz`), is tried
    before the `mirrors`. Raises DataError that says what was tried and what to do by hand.
    """
    found = find(folder, file.name)
    if found is not None:
        return found
    own = os.environ.get("TINYNET_MIRROR")
    if own:
        mirrors = (f"{own.rstrip('/')}/{folder.name}/", *mirrors)
    return download(file, folder, mirrors)


def download(file: RemoteFile, folder: Path, mirrors: Sequence[str]) -> Path:
    """Download a file from the first of `mirrors` that has it right; put it there atomically."""
    from http.client import HTTPException  # here, because the network modules are slow to import

    target = folder / file.name
    part = folder / f"{file.name}.{os.getpid()}.part"
    failures = []
    for mirror in mirrors:
        address = mirror + file.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(address, part, limit=file.size + CHUNK)
            _check_download(file, part)
            os.replace(part, target)
            return target
        except (OSError, HTTPException, ValueError) as error:  # DataError, bad address
            failures.append(f"  {address}\n    {reason(error)}")
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DataError(
        f"cannot download {file.name}. Tried:\n{tried}\n"
        f"Without a network, get the file elsewhere and put it, gzipped or not, at\n"
        f"  {target}\n"
        f"or let root=, --data-dir or TINYNET_DATA name a folder that has "
        f"{folder.name}/{file.name}."
    )


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """The file, open for reading. Raises DataError where there is none or it cannot be opened."""
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error


def read_content(path: Path, limit: int) -> bytearray:
    """The content of a file, decompressed if it is gzip, and never more than `limit` bytes.

    Raises DataError with the file and the offset for a longer, cut off or damaged file.
    """
    with open_file(path) as stream:
        return read_stream(stream, path, limit)


def read_stream(stream: BinaryIO, source: str | Path, limit: int) -> bytearray:
    """`read_content` of an open file. source: the file, for messages."""
    content = bytearray()
    try:
        packed = stream.read(2) == GZIP
        stream.seek(0)
        unpacked = gzip.GzipFile(fileobj=stream) if packed else stream
        while chunk := unpacked.read(min(CHUNK, limit + 1 - len(content))):
            content += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{source}: cannot be read after byte {len(content)} of its content: {reason(error)}"
        ) from error
    if len(content) > limit:
        raise DataError(f"{source}: the content goes on after offset {limit}, where it should end")
    return content


def read_checked(file: RemoteFile, path: Path) -> bytearray:
    """The decompressed content of a published file; DataError if it is not that content."""
    content = read_content(path, file.size)
    check_content(file, content, path)
    return content


def check_content(file: RemoteFile, content: bytes | bytearray, source: str | Path) -> None:
    """Raise DataError unless `content`, found in `source`, is that of the published file."""
    cure = "Delete it, and it is downloaded again."
    if len(content) != file.size:
        raise DataError(
            f"{source}: the content has {len(content)} bytes, but the published {file.name} has "
            f"{file.size}. {cure}"
        )
    if file.sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise DataError(
            f"{source}: not the published {file.name}: the SHA-256 of its content is {found}, "
            f"expected {file.sha256}. {cure}"
        )


def _check_download(file: RemoteFile, part: Path) -> None:
    """Raise DataError unless the downloaded file is the published one."""
    if file.download_sha256 is not None:
        digest = hashlib.sha256()
        with part.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
        found = digest.hexdigest()
        if found != file.download_sha256:
            raise DataError(f"wrong content: SHA-256 {found}, expected {file.download_sha256}")
    if not file.is_archive:
        read_checked(file, part)


def _fetch(address: str, part: Path, limit: int) -> None:
    """Write what `address` serves to `part`, with a progress bar."""
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    request = Request(address, headers={"User-Agent": "tinynet"})
    with urlopen(request, timeout=TIMEOUT) as response, part.open("wb") as stream:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdigit() else None
        name = address.rpartition("/")[2]
        received = 0
        with tqdm(
            total=expected, unit="B", unit_scale=True, desc=name, leave=False, disable=None
        ) as bar:
            while chunk := response.read(1 << 16):
                received += len(chunk)
                if received > limit:
                    raise DataError(f"longer than {limit} bytes")
                stream.write(chunk)
                bar.update(len(chunk))
        if expected is not None and received != expected:
            raise DataError(f"cut off after {received} of {expected} bytes")
        stream.flush()
        os.fsync(stream.fileno())


def reason(error: BaseException) -> str:
    """What an error says, or at least its name."""
    return str(error) or type(error).__name__
