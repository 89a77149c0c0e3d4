"""Files out of a `.tar.gz`, such as CIFAR-10's: read straight into memory, nothing unpacked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from tinynet.data.files import RemoteFile, check_content, reason
from tinynet.errors import DataError


def read_members(
    stream: BinaryIO, source: str | Path, wanted: Sequence[RemoteFile], limit: int
) -> list[bytearray]:
    """The contents of files in an open .tar.gz, in the order of `wanted`, each checked.

    source: the archive, for messages. limit: bytes of the unpacked archive that are read at most.
    Raises DataError that names the archive and the member.
    """
    import tarfile

    contents: dict[str, bytearray] = {}
    sizes = {file.name: file.size for file in wanted}
    unpacked = _Limited(gzip.GzipFile(fileobj=stream), limit)
    try:
        with tarfile.open(fileobj=unpacked, mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                if member.size > limit:  # tarfile would skip that much, a block at a time
                    raise ValueError(f"{member.name!r} claims {member.size} bytes")
                name = member.name.rpartition("/")[2]
                content = tar.extractfile(member) if member.isreg() and name in sizes else None
                if content is not None:
                    contents[name] = bytearray(content.read(sizes[name] + 1))
                if len(contents) == len(wanted):
                    break
                tar.members = []  # it would keep every header
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"{source}: not a whole .tar.gz archive: at offset {unpacked.offset} of what is in "
            f"it: {reason(error)}"
        ) from error
    for file in wanted:
        if file.name not in contents:
            raise DataError(f"{source}: lacks {file.name}")
        check_content(file, contents[file.name], f"{source}: {file.name}")
    return [contents[file.name] for file in wanted]


class _Limited:
    """A stream that is read up to `limit` bytes and then raises: a bomb goes off no further."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream = stream
        self.limit = limit
        self.offset = 0

    def read(self, count: int) -> bytes:
        chunk = self.stream.read(count)
        self.offset += len(chunk)
        if self.offset > self.limit:
            raise ValueError(f"it goes on, but should have ended at offset {self.limit}")
        return chunk
