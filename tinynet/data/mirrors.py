"""Downloads: from the first mirror that has the file right, continued where they broke off.

What arrives goes to `NAME.part`, is checked against the published SHA-256, reaches the disk, and is
renamed to NAME; nobody ever finds half a file there. The `.part` is also the lock: whoever
downloads has it locked, the others wait and then find the file. The system frees the lock of a
process that was killed, and the next one goes on with its `.part`.

A mirror that refuses (403, 404, a redirect loop) or has the wrong content is left for the next. One
that breaks off, is slow or overloaded is tried again, a little later each time, from where it broke
off. Proxies are those of the environment (http_proxy, https_proxy, no_proxy).
"""

import contextlib
import functools
import io
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from tinynet.console import is_watched, progress_bar, say
from tinynet.data.files import (
    CHUNK,
    RemoteFile,
    check_download,
    find,
    is_at,
    lock_file,
    reason,
    sync_folder,
)  # fmt: skip
from tinynet.errors import DataError

TIMEOUT = 20.0  # seconds to connect, for the head of an answer, and without a byte of the file
TALK = 1 << 20  # bytes that are not of the file, in a head or between two chunks
SLOW_AFTER, SLOW_RATE = 60.0, 1024  # after so many seconds, fewer bytes a second are too slow
ATTEMPTS = 4  # at each mirror
BACK_OFF = 1.0  # seconds before the second attempt; twice as long before each further one
PASSING = (408, 425, 429)  # HTTP errors that may be gone in a moment, as may those from 500 on

POLL = 0.2  # seconds between two looks at a lock

sleep, clock = time.sleep, time.monotonic  # the tests put others here


class CutOffError(OSError):
    """The connection ended before the file did."""


class UnwritableError(DataError):
    """The file cannot be written here, whatever the mirror."""


def obtain(file: RemoteFile, folder: Path, mirrors: Sequence[str]) -> Path:
    """The path of a file that is in `folder` already, or is downloaded into it, atomically, from
    the first mirror that has it right.

    $TINYNET_MIRROR, the address of a folder with the same layout (`mnist/train-...gz`), is tried
    before the `mirrors`. Raises DataError that says what was tried and what to do by hand.
    """
    if found := find(folder, file.name):
        return found
    if own := os.environ.get("TINYNET_MIRROR"):
        mirrors = (f"{own.rstrip('/')}/{folder.name}/", *mirrors)
    target = folder / file.name
    failures = []
    with _locked_part(file, folder) as part:
        if part is None:  # another process was faster
            return find(folder, file.name) or target
        for k, mirror in enumerate(mirrors):
            # Mirrors pack differently: the part that is there may be of the first one, or of none.
            resume = k == 0 or file.download_sha256 is not None
            try:
                _fetch(mirror + file.name, file, part, resume)
                _put_in_place(part, target)
                return target
            except UnwritableError:
                raise
            except Exception as error:  # of the network, of the address, wrong content
                told = f"  {mirror + file.name}\n    {_told(error)}"
                failures.append(re.sub(r"[^\s/'\"]+@", "***@", told))  # no password
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DataError(
        f"cannot download {file.name}. Tried:\n{tried}\n"
        f"Without a network, get the file elsewhere and put it, gzipped or not, at\n"
        f"  {target}\n"
        f"or let TINYNET_DATA name a folder that has {folder.name}/{file.name}."
    )


# ----- one mirror ---------------------------------------------------------------------------------


def _fetch(address: str, file: RemoteFile, part: FileIO, resume: bool) -> None:
    """Fill `part` with what `address` serves, checked. resume: go on with what is in `part`."""
    limit = file.size + CHUNK
    for attempt in range(1, ATTEMPTS + 1):
        start = part.seek(0, os.SEEK_END) if resume else 0
        try:
            _receive(address, part, start if start <= limit else 0, limit)
            check_download(file, Path(str(part.name)))
            return
        except UnwritableError:
            raise
        except DataError:
            part.truncate(0)
            if not start or attempt == ATTEMPTS:
                raise
            resume = False  # what was there was of something else: once more from the beginning
        except Exception as error:
            if attempt == ATTEMPTS or not _passing(error):
                raise
            resume = True
            sleep(BACK_OFF * 2 ** (attempt - 1))


def _receive(address: str, part: FileIO, start: int, limit: int) -> None:
    """Write what `address` serves from byte `start` on to `part`, with a progress bar.

    A server that does not go on at `start` sends all, which is written from the beginning.
    """
    from urllib.error import HTTPError
    from urllib.request import Request

    headers = {"User-Agent": "tinynet", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response = _opener().open(Request(address, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            if error.code == 416 and start:  # nothing comes after `start`: the check will tell
                return
            raise
    with response:
        received = start if _goes_on(response, start) else 0
        length = response.headers.get("Content-Length") or ""
        total = received + int(length) if length.isdecimal() else None
        with _writing(part.name):
            part.truncate(received)
        for chunk in _chunks(response, received, total, address.rpartition("/")[2]):
            received += len(chunk)
            if received > limit:
                raise DataError(f"longer than {limit} bytes")
            _write(part, chunk)
    if total is not None and received != total:
        raise CutOffError(f"cut off after {received} of {total} bytes")


class _Watched(io.RawIOBase):
    """A connection whose every read is counted: bytes that drip in are no way to hold us up.

    A server may talk that long, and say that much, before something of the file comes.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self.raw = raw
        self.renew()

    def renew(self) -> None:
        """Start anew: something came."""
        self.end, self.left = clock() + TIMEOUT, TALK

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self.raw.readinto(buffer)
        self.left -= count or 0
        if self.left < 0:
            raise ValueError(f"the server sends {TALK} bytes and nothing of the file")
        if clock() > self.end:
            raise TimeoutError(f"{TIMEOUT:g} seconds, and nothing of the file came")
        return count

    def close(self) -> None:
        self.raw.close()
        super().close()


def _opener() -> Any:
    """What opens addresses, by way of redirects and the environment's proxies, and is watched.

    All that is read, the answer of a proxy too, goes through `_Watched`.
    """
    from http import client
    from urllib import request

    class Answer(client.HTTPResponse):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.watched = _Watched(self.fp.detach())
            self.fp = io.BufferedReader(self.watched)

    def connect(kind: Any, host: str, **settings: Any) -> Any:
        connection = kind(host, **settings)
        connection.response_class = Answer
        return connection

    class Http(request.HTTPHandler):
        def http_open(self, req: Any) -> Any:
            return self.do_open(functools.partial(connect, client.HTTPConnection), req)

    class Https(request.HTTPSHandler):
        def https_open(self, req: Any) -> Any:
            return self.do_open(functools.partial(connect, client.HTTPSConnection), req)

    opener = request.OpenerDirector()  # not build_opener: no FTP, which nothing would watch
    for handler in (
        request.ProxyHandler, request.UnknownHandler, Http, Https, request.FileHandler,
        request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _chunks(response: Any, received: int, total: int | None, name: str) -> Iterator[bytes]:
    """What a server sends, as it comes, with a progress bar. Raises TimeoutError if it is slow."""
    begin, count = clock(), 0
    size: dict[str, Any] = {"total": total, "initial": received, "unit": "B", "unit_scale": True}
    with progress_bar(**size, desc=name, disable=not is_watched()) as bar:
        while True:
            if hasattr(response, "watched"):  # of a file: there is no server
                response.watched.renew()
            chunk = response.read1(1 << 16)
            if not chunk:
                break
            yield chunk
            bar.update(len(chunk))
            count += len(chunk)
            seconds = clock() - begin
            if seconds > SLOW_AFTER and count < SLOW_RATE * seconds:
                raise TimeoutError(f"too slow: {count} bytes in {seconds:.0f} seconds")


def _goes_on(response: Any, start: int) -> bool:
    """Whether an answer begins at byte `start`; False if it is the whole file."""
    if response.status != 206:
        return False
    stated = response.headers.get("Content-Range") or ""
    match = re.match(r"bytes (\d+)-", stated)
    if match is None or int(match[1]) != start:
        raise DataError(f"asked for the bytes from {start} on, but the answer is {stated!r}")
    return True


def _passing(error: BaseException) -> bool:
    """Whether an error may be gone in a moment: a broken or slow connection, a busy server."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        return error.code in PASSING or error.code >= 500
    if isinstance(error, URLError):  # no connection: no such host, refused, no network
        return False
    return isinstance(error, (TimeoutError, ConnectionError, CutOffError, HTTPException))


def _told(error: BaseException) -> str:
    """The reason in one line."""
    inner = getattr(error, "reason", None)  # of a URLError; of an HTTPError it is a string
    told = inner.strerror if isinstance(inner, OSError) else None
    told = " ".join((told or reason(error)).split())
    return f"{told} (tried {ATTEMPTS} times)" if _passing(error) else told


# ----- the disk -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked_part(file: RemoteFile, folder: Path) -> Iterator[FileIO | None]:
    """`NAME.part`, open and locked; None if the file is there once the lock is free.

    A part with something in it stays for the next time.
    """
    path = folder / f"{file.name}.part"
    while True:
        with _writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            part = open(path, "a+b", buffering=0)  # noqa: SIM115 (appends, and makes it if need be)
        with part:
            told = False
            while lock_file(part.fileno()):
                if not told:
                    say(f"another process is downloading {file.name}; waiting for it", error=True)
                told = True
                time.sleep(POLL)
            there = find(folder, file.name) is not None
            if not there and not is_at(part.fileno(), path):
                continue  # whoever had it gave up and deleted it: make a new one
            try:
                yield None if there else part
            finally:
                with contextlib.suppress(OSError, ValueError):  # closed: it was put in place
                    if is_at(part.fileno(), path) and not part.seek(0, os.SEEK_END):
                        path.unlink()
            return


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
            f"{path}: cannot be written: {error.strerror or reason(error)}. Let TINYNET_DATA "
            "name a folder where there is room and leave to write."
        ) from error
