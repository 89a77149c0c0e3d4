"""Writing files so that nobody ever sees half of one.

The new content goes to a temporary file beside the target, reaches the disk, and is then renamed
over it. A rename is atomic: whoever opens the target, at any moment and after any crash, finds
either the old content or the new.
"""

import contextlib
import errno
import itertools
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tinynet.data.files import check_regular, sync_folder

HOST = platform.node()
DAY = 24 * 60 * 60  # seconds; no write takes that long
_PART = re.compile(r"\..+\.(\d+)(?:-\d+@(.*))?\.part")  # of which process, and of which machine
_counted = itertools.count()
_writing: set[Path] = set()  # the temporary files of this process


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing (and reading back) that replaces `path` when the block ends well.

    If the block raises, `path` is as it was and the temporary file is gone; that of a process
    that was killed goes with the next write into the folder, see `remove_stale`. Missing folders
    on the way to it are made. Raises OSError that names `path` where the disk is full, the folder
    read-only, or the disk does not confirm that it has the content; and where `path` is a folder,
    a pipe or a device, which nothing replaces. durable: wait for the disk, so that the new content
    outlives a power cut.
    """
    target = Path(path)
    if not target.name or "\0" in target.name:
        raise OSError(errno.EINVAL, f"cannot write {str(target)!r}: that is no name of a file")
    name = f".{target.name[:40]}.{os.getpid()}-{next(_counted)}@{HOST}.part"
    part = target.with_name(name).absolute()
    _writing.add(part)
    try:
        if target.exists():
            check_regular(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(target.parent)
        with part.open("w+b") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.replace(part, target)
        if durable:
            sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(error.errno, f"cannot write {shown(target)}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()  # still there only if something went wrong
        _writing.discard(part)


def shown(path: str | os.PathLike[str]) -> Path:
    """A path for messages: from the current folder on, where it lies in it."""
    with contextlib.suppress(ValueError, OSError):
        return Path(path).relative_to(Path.cwd())
    return Path(path)


def remove_stale(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove the temporary files of processes that died while they wrote into `folder`.

    Returns them. Those of processes that still live are left alone, and for a day those of which
    that is not known here: of other machines, on a disk that several share, and under Windows.
    """
    stale = [path for path in Path(folder).glob(".*.part") if not _writer_lives(path)]
    for path in stale:
        with contextlib.suppress(OSError):
            path.unlink()
    return stale


def _writer_lives(part: Path) -> bool:
    match = _PART.fullmatch(part.name)
    if match is None or part.absolute() in _writing:
        return True  # not one of ours, or just being written
    try:
        if time.time() - part.stat().st_mtime > DAY:
            return False  # its number may be that of another process by now
    except OSError:
        return True  # it is gone, or in place
    pid, host = int(match[1]), match[2]
    if host not in (None, HOST) or sys.platform == "win32":  # there os.kill would end it
        return True
    if pid == os.getpid():
        return False  # a process before this one had the same number
    try:
        os.kill(pid, 0)
    except OSError as error:  # of any other kind where it belongs to somebody else
        return not isinstance(error, ProcessLookupError)
    except OverflowError:
        return False
    return True


def to_json(path: str | os.PathLike[str], content: Any, indent: int | None = None) -> str:
    """`content` as JSON, to be written to `path`. Raises ValueError for what JSON lacks, as NaN."""
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"cannot write {path}: settings, arguments and results must be finite numbers, texts, "
            f"and lists and dicts of these: {error}"
        ) from error


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically. Raises ValueError for what JSON lacks."""
    text = to_json(path, content, 2)
    with atomic_write(path) as stream:
        stream.write(text.encode() + b"\n")
