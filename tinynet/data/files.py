"""Files from outside: found where the user put them, read no further than they should go, checked.

A file counts only once its content has the published SHA-256. The hash is of the decompressed
content, because mirrors compress the same content differently.
"""

import errno
import gzip
import hashlib
import inspect
import os
import stat
import sys
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tinynet.errors import DataError

CHUNK = 1 << 20
CURE = " Delete it, and it is downloaded again."
GZIP = b"\x1f\x8b"  # how a gzip file starts


@dataclass(frozen=True)
class RemoteFile:
    """A published file: how to find it, fetch it and know it.

    name: as on the mirrors and in ROOT/<set>/. size: bytes of the decompressed content (of the
    file itself, for an archive). sha256: of the decompressed content. download_sha256: of the
    file as published, for archives, and for files whose content hash nobody has published; of
    these it is checked after downloading only, since one put there by hand may have been compressed
    anew.
    """

    name: str
    size: int
    sha256: str | None = None
    download_sha256: str | None = None


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data sets: `root`, else $TINYNET_DATA, else the user's cache folder."""
    if root is None:
        root = os.environ.get("TINYNET_DATA") or None
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        root = os.path.join(cache, "tinynet")
    return as_path(root)


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path that somebody typed, in which ~ is the home of the user."""
    return Path(path).expanduser()


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


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """A file from outside, open for reading.

    Raises DataError where there is none, or it cannot be opened, or is a folder, a pipe, a device
    or a socket: to read these may take forever.
    """
    try:
        check_regular(path)
        return open(path, "rb")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file has
        told = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be opened: {told}") from error


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise OSError unless there is a regular file, or a link to one, at `path`."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise OSError(errno.EINVAL, f"it is {what}, not a file", str(path))


def read_content(path: Path, limit: int) -> bytearray:
    """The content of a file, decompressed if it is gzip, and never more than `limit` bytes.

    Raises DataError with the file and the offset for a longer, cut off or damaged file.
    """
    with open_file(path) as stream:
        return read_stream(stream, path, limit)


def read_head(path: str | os.PathLike[str], count: int) -> bytes:
    """The first bytes of a file's content, `count` at most, decompressed if it is gzip."""
    with open_file(path) as stream:
        return bytes(read_stream(stream, path, count, whole=False))


def _unpacked(stream: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The stream from its beginning, decompressed if it is gzip."""
    packed = stream.read(2) == GZIP
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if packed else stream


def read_stream(
    stream: BinaryIO, source: str | os.PathLike[str], limit: int, whole: bool = True
) -> bytearray:
    """`read_content` of an open file. source: the file, for messages. whole: whether it must end
    there.
    """
    content = bytearray()
    try:
        unpacked = _unpacked(stream)
        while chunk := unpacked.read(min(CHUNK, limit + whole - len(content))):
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
    try:
        content = read_content(path, file.size)
    except DataError as error:
        told = f"{error}; the published {file.name} has {file.size} bytes of content.{CURE}"
        raise DataError(told) from error
    check_content(file, content, path)
    return content


def check_content(
    file: RemoteFile, content: bytes | bytearray, source: str | Path, cure: str = CURE
) -> None:
    """Raise DataError unless `content`, found in `source`, is that of the published file."""
    found = hashlib.sha256(content).hexdigest()
    if len(content) != file.size or file.sha256 not in (None, found):
        raise DataError(
            f"{source}: not the published {file.name}: {len(content)} bytes of content, whose "
            f"SHA-256 is {found}, expected {file.size} and {file.sha256}.{cure}"
        )


def check_download(file: RemoteFile, part: Path, source: str = "wrong content") -> None:
    """Raise DataError unless a downloaded file is the published one."""
    if file.download_sha256 is not None:
        digest = hashlib.sha256()
        with open_file(part) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
        found = digest.hexdigest()
        if found != file.download_sha256:
            raise DataError(f"{source}: SHA-256 {found}, expected {file.download_sha256}")
    if not file.name.endswith(".tar.gz"):  # whose size and hash are those of the file itself
        with open_file(part) as stream:
            check_content(file, read_stream(stream, source, file.size), source, cure="")


def read_members(archive: RemoteFile, path: Path, wanted: Sequence[RemoteFile]) -> list[bytes]:
    """The contents of files in a published .tar.gz, in the order of `wanted`, read into memory.

    No more is looked at before it is known to be that archive: all in it is then what it should be.
    """
    import tarfile

    check_download(archive, path, f"{path}: not the published {archive.name}.{CURE}")
    contents: dict[str, bytes] = {}
    names = [file.name for file in wanted]
    with tarfile.open(path, "r|gz") as tar:
        for member in tar:
            name = member.name.rpartition("/")[2]
            content = tar.extractfile(member) if name in names else None
            if content is not None:
                contents[name] = content.read()
    return [contents[name] for name in names]


def warn(message: str) -> None:
    """Warn with the line that called `tinynet.data`, whatever lies between."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tinynet.data"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level + 1)


def reason(error: BaseException) -> str:
    """What an error says, or at least its name."""
    return str(error) or type(error).__name__


def lock_file(file: int) -> OSError | None:
    """Lock an open file until it is closed; what stands against it, if that cannot be."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, 1 << 40, os.SEEK_SET)  # a byte that nobody reads or writes
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error
    return None


def is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one that is found at `path` now."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the rename itself reach the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)
