"""A local HTTP server whose pages do what servers should not."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Callable

Page = Callable[["Request"], None]


class Request(http.server.BaseHTTPRequestHandler):
    """One request, with what pages need to answer it."""

    pages: dict[str, Page | bytes | int]
    log: list[tuple[str, str | None]]
    closing: threading.Event

    def do_GET(self) -> None:
        self.log.append((self.path, self.headers.get("Range")))
        page = self.pages.get(self.path, 404)
        if isinstance(page, int):
            self.send_error(page)
        elif isinstance(page, bytes):
            whole(page)(self)
        else:
            page(self)

    do_CONNECT = do_GET  # noqa: N815

    def start(self) -> int:
        """The first byte that is asked for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        return int(match[1]) if match else 0

    def answer(self, code: int, headers: dict[str, object], body: bytes = b"") -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def whole(content: bytes, piece: int | None = None) -> Page:
    """A right page with Range; with `piece` every answer breaks off after so many bytes."""

    def page(request: Request) -> None:
        start = request.start()
        size = len(content)
        if start >= size:
            request.answer(416, {"Content-Range": f"bytes */{size}", "Content-Length": 0})
            return
        headers: dict[str, object] = {"Content-Length": size - start}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        end = size if piece is None else start + piece
        request.answer(206 if start else 200, headers, content[start:end])

    return page


def without_range(content: bytes, piece: int | None = None) -> Page:
    """All of it whatever was asked for; with `piece` it breaks off after so many bytes."""

    def page(request: Request) -> None:
        request.answer(200, {"Content-Length": len(content)}, content[:piece])

    return page


def without_length(content: bytes) -> Page:
    """The end of the connection is the end of the file."""
    return lambda request: request.answer(200, {}, content)


def wrong_offset(content: bytes, by: int) -> Page:
    """An answer to a Range that begins elsewhere, and says so; without Range all is well."""

    def page(request: Request) -> None:
        start = request.start()
        if not start:
            whole(content)(request)
            return
        size, start = len(content), start + by
        headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
        request.answer(206, headers, content[start:])

    return page


def redirect(to: str) -> Page:
    return lambda request: request.answer(302, {"Location": to, "Content-Length": 0})


def busy(times: int, then: Page, code: int = 503) -> Page:
    """`code` for the first requests, and then all is well."""
    left = [times]

    def page(request: Request) -> None:
        left[0] -= 1
        if left[0] >= 0:
            request.send_error(code)
        else:
            then(request)

    return page


def silent(content: bytes, sent: int, go_on: threading.Event | None = None) -> Page:
    """Sends the first bytes and then nothing, until `go_on` is set or the server closes."""

    def page(request: Request) -> None:
        start = request.start()
        size = len(content)
        headers: dict[str, object] = {"Content-Length": size - start}
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        request.answer(206 if start else 200, headers, content[start:sent])
        request.wfile.flush()
        (go_on or request.closing).wait(30)
        if go_on is not None:
            request.wfile.write(content[max(start, sent) :])

    return page


def endless(first: bytes, then: bytes) -> Page:
    """Answers with bytes of its own, head and all, the last of them again and again."""

    def page(request: Request) -> None:
        request.wfile.write(first)
        while not request.closing.wait(0.01):
            request.wfile.write(then)

    return page


class Server:
    """Serves `pages`: for each path a body, a status code or a page. Logs what is asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Page | bytes | int] = {}
        self.log: list[tuple[str, str | None]] = []
        self.closing = threading.Event()
        attributes = {"pages": self.pages, "log": self.log, "closing": self.closing}
        handler = type("Handler", (Request,), attributes)
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.handle_error = lambda *args: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [path for path, _ in self.log]

    @property
    def ranges(self) -> list[str | None]:
        """The Range of every request, in order."""
        return [asked for _, asked in self.log]

    def close(self) -> None:
        self.closing.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()
