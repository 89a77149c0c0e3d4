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


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` when the block ends well.

    If the block raises, `path` is as it was and the temporary file is gone. Missing folders on
    the way to it are made. Raises OSError where the disk is full or the folder read-only.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()  # still there only if something went wrong
    _sync_folder(target.parent)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically. Raises ValueError for NaN, which JSON lacks."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with atomic_write(path) as stream:
        stream.write(text.encode() + b"\n")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself reach the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
