"""Downloads: from the first mirror that has the file right, continued where they broke off.

What arrives goes to a `.part` of this process, is checked against the published SHA-256, reaches
the disk, and is renamed to NAME; nobody ever finds half a file there. Of several processes that
download at once each has its own part, and all of them find the same file.

A mirror that refuses (403, 404, a redirect loop) or has the wrong content is left for the next. One
that breaks off, is slow or overloaded is tried again, a little later each time, from where it broke
off. Proxies are those of the environment (http_proxy, https_proxy, no_proxy).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path

from tinynet.console import is_terminal
from tinynet.data.files import CHUNK, RemoteFile, check_download, find, reason, sync_folder
from tinynet.errors import DataError

TIMEOUT = 20.0  # seconds to connect, and to wait for more
SLOW_AFTER, SLOW_RATE = 60.0, 1024  # after so many seconds, fewer bytes a second are too slow
ATTEMPTS = 4  # at each mirror
BACK_OFF = 1.0  # seconds before the second attempt; twice as long before each further one
PASSING = (408, 425, 429)  # HTTP errors that may be gone in a moment, as may those from 500 on

sleep, clock = time.sleep, time.monotonic  # the tests put others here


class CutOffError(OSError):
    """The connection ended before the file did."""


class UnwritableError(DataError):
    """The file cannot be written here, whatever the mirror."""


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
    target = folder / file.name
    failures = []
    with _part_of(target) as part:
        for mirror in mirrors:
            try:
                _fetch(mirror + file.name, file, part)
                _put_in_place(part, target)
                return target
            except UnwritableError:
                raise
            except (OSError, ValueError, _http_exception()) as error:  # DataError, bad address
                told = f"  {mirror + file.name}\n    {_told(error)}"
                failures.append(re.sub(r"[^\s/'\"]+@", "***@", told))  # no password
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DataError(
        f"cannot download {file.name}. Tried:\n{tried}\n"
        f"Without a network, get the file elsewhere and put it, gzipped or not, at\n"
        f"  {target}\n"
        f"or let root=, --data-dir or TINYNET_DATA name a folder that has "
        f"{folder.name}/{file.name}."
    )


# ----- one mirror ---------------------------------------------------------------------------------


def _fetch(address: str, file: RemoteFile, part: FileIO) -> None:
    """Fill `part` with what `address` serves, checked."""
    part.truncate(0)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _receive(address, part, file.size + CHUNK)
            break
        except Exception as error:
            if attempt == ATTEMPTS or not _passing(error):
                raise
            sleep(BACK_OFF * 2 ** (attempt - 1))
    check_download(file, Path(str(part.name)))


def _receive(address: str, part: FileIO, limit: int) -> None:
    """Write to `part` what `address` serves from where it ends, with a progress bar.

    A server that does not go on there sends all, which is written from the beginning.
    """
    from urllib.request import Request, build_opener

    from tqdm import tqdm

    begin, start = clock(), part.seek(0, os.SEEK_END)
    headers = {"User-Agent": "tinynet", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = Request(address, headers=headers)
    with build_opener().open(request, timeout=TIMEOUT) as response:
        stated = response.headers.get("Content-Range") or ""
        if response.status != 206:
            start = 0
        elif not stated.startswith(f"bytes {start}-"):
            raise DataError(f"asked for the bytes from {start} on, but the answer is {stated!r}")
        length = response.headers.get("Content-Length") or ""
        total = start + int(length) if length.isdecimal() else None
        with _writing(part.name):
            part.truncate(start)
            part.seek(start)
        bar = tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            desc=address.rpartition("/")[2],
            leave=False,
            disable=not is_terminal(sys.stderr),
        )
        received = start
        with bar:
            while chunk := response.read1(1 << 16):
                received += len(chunk)
                if received > limit:
                    raise DataError(f"longer than {limit} bytes")
                _write(part, chunk)
                bar.update(len(chunk))
                count, seconds = received - start, clock() - begin
                if seconds > SLOW_AFTER and count < SLOW_RATE * seconds:
                    raise TimeoutError(f"too slow: {count} bytes in {seconds:.0f} seconds")
    if total is not None and received != total:
        raise CutOffError(f"cut off after {received} of {total} bytes")


def _passing(error: BaseException) -> bool:
    """Whether an error may be gone in a moment: a broken or slow connection, a busy server."""
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        return error.code in PASSING or error.code >= 500
    if isinstance(error, URLError):  # no connection: no such host, refused, no network
        return False
    return isinstance(error, (TimeoutError, ConnectionError, CutOffError, _http_exception()))


def _told(error: BaseException) -> str:
    """The reason in one line."""
    inner = getattr(error, "reason", None)  # of a URLError; of an HTTPError it is a string
    told = inner.strerror if isinstance(inner, OSError) else None
    told = " ".join((told or reason(error)).split())
    return f"{told} (tried {ATTEMPTS} times)" if _passing(error) else told


def _http_exception() -> type[Exception]:
    from http.client import HTTPException  # here, because the network modules are slow to import

    return HTTPException


# ----- the disk -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[FileIO]:
    """A new file beside `target`, deleted in the end unless it was renamed."""
    path = target.with_name(f"{target.name}.{os.urandom(4).hex()}.part")
    with _writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = open(path, "x+b", buffering=0)  # noqa: SIM115
    try:
        with part:
            yield part
    finally:
        path.unlink(missing_ok=True)


def _write(part: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    with _writing(part.name):
        while rest:
            rest = rest[part.write(rest) :]


def _put_in_place(part: FileIO, target: Path) -> None:
    """Rename `part` to `target`, once its content and then the rename have reached the disk."""
    with _writing(target):
        os.fsync(part.fileno())
        if sys.platform == "win32":
            part.close()  # an open file cannot be renamed there
        os.replace(part.name, target)
        sync_folder(target.parent)


@contextlib.contextmanager
def _writing(path: str | Path) -> Iterator[None]:
    """Raise UnwritableError for what goes wrong while `path` is written."""
    try:
        yield
    except OSError as error:
        raise UnwritableError(
            f"{path}: cannot be written: {error.strerror or reason(error)}. Let root=, --data-dir "
            "or TINYNET_DATA name a folder where there is room and leave to write."
        ) from error
