"""Writing files so that nobody ever sees half of one.

The new content goes to a temporary file beside the target, reaches the disk, and is then renamed
over it. A rename is atomic: whoever opens the target, at any moment and after any crash, finds
either the old content or the new.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tinynet.data.files import check_regular, sync_folder

PART = ".part"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing (and reading back) that replaces `path` when the block ends well.

    If the block raises, `path` is as it was and the temporary file is gone. Missing folders on
    the way to it are made. Raises OSError that names `path` where the disk is full, the folder
    read-only, or the disk does not confirm that it has the content; and where `path` is a folder,
    a pipe or a device, which nothing replaces.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}{PART}")
    try:
        if target.exists():
            check_regular(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise type(error)(error.errno, f"cannot write {target}: {reason}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()  # still there only if something went wrong


def remove_stale(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove the temporary files of processes that died while they wrote into `folder`.

    Returns them. Those of processes that still live are left alone.
    """
    stale = [path for path in Path(folder).glob(f".*{PART}") if not _writer_lives(path)]
    for path in stale:
        path.unlink(missing_ok=True)
    return stale


def _writer_lives(part: Path) -> bool:
    pid = part.name.removesuffix(PART).rpartition(".")[2]
    if not pid.isdecimal():
        return True  # not one of ours
    if int(pid) == os.getpid():
        return False  # a process before this one had the same number
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it lives and belongs to somebody else
        return True
    return True


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically. Raises ValueError for NaN, which JSON lacks."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with atomic_write(path) as stream:
        stream.write(text.encode() + b"\n")
