"""Downloads from a local server that misbehaves, with nobody waiting for a back-off."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading

import misbehaving_server as does
import pytest

import tinynet.data.mirrors as downloads
from tinynet.data.files import CHUNK, RemoteFile, read_content
from tinynet.data.mirrors import obtain
from tinynet.errors import DataError


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


CONTENT = b"\0\0\x08\3" + bytes(range(256)) * 40
BODY = gzip.compress(CONTENT, 0, mtime=0)  # not packed, so that there is something to cut
FILE = RemoteFile("a-idx3-ubyte.gz", len(CONTENT), sha256(CONTENT))
NAME = FILE.name
HALF = len(BODY) // 2


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The pauses that were asked for; none is made."""
    asked: list[float] = []
    monkeypatch.setattr(downloads, "sleep", asked.append)
    monkeypatch.setattr(downloads, "POLL", 0.01)
    return asked


@pytest.fixture
def get(tmp_path, server):
    """Download FILE from pages of the server, in this order, and return its content."""

    def get(*pages, file=FILE):
        mirrors = []
        for page in pages:
            k = len(server.pages)
            server.pages[f"/{k}/{NAME}"] = page
            mirrors.append(f"{server.url}/{k}/")
        return bytes(read_content(obtain(file, tmp_path / "set", mirrors), 1 << 20))

    return get


@pytest.fixture
def part(tmp_path):
    """The path of the part; its folder is there."""
    (tmp_path / "set").mkdir()
    return tmp_path / "set" / f"{NAME}.part"


def folder(tmp_path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "set").iterdir())


# ----- mirrors ------------------------------------------------------------------------------------

WRONG = gzip.compress(CONTENT[:-1] + b"?", mtime=0)
BAD_PAGES = {
    "404": 404,
    "403": 403,
    "500": 500,
    "redirects to itself": lambda request: does.redirect(request.path)(request),
    "redirects to a file": does.redirect("file:///etc/hostname"),
    "wrong content": WRONG,
    "too short": gzip.compress(CONTENT[:-1]),
    "too long": gzip.compress(CONTENT + b"?"),
    "far too long": bytes(len(CONTENT) + 2 * CHUNK),
    "a page": b"<html>not here</html>",
    "empty": b"",
    "cut off": does.without_range(BODY, HALF),
    "cut off without a length": does.without_length(BODY[:HALF]),
    "no HTTP": lambda request: request.wfile.write(b"220 ftp ready\r\n\r\n"),
    "hangs up": lambda request: None,
}


@pytest.mark.parametrize("bad", BAD_PAGES.values(), ids=BAD_PAGES)
def test_a_bad_mirror_is_left_for_the_next(get, server, tmp_path, bad):
    assert get(bad, BODY, BODY) == CONTENT
    assert server.asked[-1] == f"/1/{NAME}"  # and the third is not asked
    assert folder(tmp_path) == [NAME]


def test_offline_the_error_lists_every_address_the_reason_and_the_way_by_hand(tmp_path, server):
    pages = {k.replace(" ", "-"): page for k, page in BAD_PAGES.items()}
    server.pages.update({f"/{name}/{NAME}": page for name, page in pages.items()})
    closed, senseless = "http://127.0.0.1:9/", "no-scheme/"  # nothing listens on port 9
    mirrors = [closed, senseless, *(f"{server.url}/{name}/" for name in pages)]
    with pytest.raises(DataError) as caught:
        obtain(FILE, tmp_path / "mnist", mirrors)
    told = str(caught.value)
    for mirror in mirrors:
        assert f"\n  {mirror}{NAME}\n    " in told
    for reason in (
        f"{NAME}\n    Connection refused\n",
        "unknown url type",
        "HTTP Error 403: Forbidden\n",
        "HTTP Error 404: Not Found\n",
        "HTTP Error 500: Internal Server Error (tried 4 times)",
        "infinite loop",
        "Redirection to url 'file:",
        "not the published",
        f"{len(CONTENT) - 1} bytes of content",
        "goes on after offset",
        "longer than",
        f"cut off after {HALF} of {len(BODY)} bytes (tried 4 times)",
        f"put it, gzipped or not, at\n  {tmp_path / 'mnist' / NAME}",
        "TINYNET_DATA",
    ):
        assert reason in told


def test_without_a_network_nothing_is_tried_twice(tmp_path, pauses):
    with pytest.raises(DataError, match="refused"):
        obtain(FILE, tmp_path, ["http://127.0.0.1:9/", "http://127.0.0.1:9/"])
    assert pauses == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_length_is_taken_if_it_is_right(get):
    assert get(does.without_length(BODY)) == CONTENT


def test_a_redirect_is_followed(get, server):
    server.pages["/elsewhere"] = BODY
    assert get(does.redirect("/elsewhere")) == CONTENT


def test_a_file_known_by_its_published_hash_is_held_to_it(get):
    published = RemoteFile(NAME, len(CONTENT), download_sha256=sha256(BODY))
    with pytest.raises(DataError, match=f"expected {sha256(BODY)}"):
        get(gzip.compress(CONTENT, 1, mtime=5), file=published)
    assert get(BODY, file=published) == CONTENT


def test_the_proxy_of_the_environment_is_used(tmp_path, server, monkeypatch):
    server.pages[f"http://mirror.invalid/{NAME}"] = BODY
    monkeypatch.setenv("http_proxy", server.url)
    obtain(FILE, tmp_path, ["http://mirror.invalid/"])
    assert server.asked == [f"http://mirror.invalid/{NAME}"]


# ----- trying again -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503])
def test_a_busy_server_is_asked_again_a_little_later_each_time(get, server, pauses, code):
    assert get(does.busy(3, does.whole(BODY), code)) == CONTENT
    assert pauses == [1, 2, 4]
    assert len(server.log) == 4


def test_a_server_that_breaks_off_is_asked_for_the_rest(get, server):
    piece = len(BODY) // 3 + 1
    assert get(does.whole(BODY, piece)) == CONTENT
    assert server.ranges == [None, f"bytes={piece}-", f"bytes={2 * piece}-"]


def test_a_silent_server_times_out_and_is_asked_for_the_rest(get, server, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.1)
    assert get(does.busy(0, does.silent(BODY, HALF)), BODY) == CONTENT
    assert server.ranges == [None] + [f"bytes={HALF}-"] * 3 + [None]


def test_a_server_that_trickles_is_too_slow(get, monkeypatch):
    now = iter(range(0, 10**6, 100))
    monkeypatch.setattr(downloads, "clock", lambda: next(now))
    monkeypatch.setattr(downloads, "TIMEOUT", 10**6)
    with pytest.raises(DataError, match=r"too slow: \d+ bytes in \d+ seconds \(tried 4 times\)"):
        get(does.without_length(BODY[:50]))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {  # what comes first, and what then comes again and again
    "status line": (b"HTTP/1.1 ", b"2"),
    "header line": (b"HTTP/1.1 200 OK\r\nX: ", b"A"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: A\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue with headers": (b"", b"HTTP/1.1 100 Continue\r\nX: A\r\n\r\n"),
    "size of a chunk": (CHUNKED, b"0"),
    "size of the second chunk": (CHUNKED + b"1\r\n?\r\n", b"0"),
    "extension of a chunk": (CHUNKED + b"1;", b"a"),
    "trailers": (CHUNKED + b"0\r\n", b"X: A\r\n"),
    "body of a redirect": (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"A"),
}


GIVEN_UP = "nothing of the file|got more than|timed out"


@pytest.mark.parametrize("many", [1, 10_000])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_talks_without_end_is_given_up(get, monkeypatch, what, many):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    first, then = ENDLESS[what]
    with pytest.raises(DataError, match=GIVEN_UP):
        get(does.endless(first, then * many))


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_proxy_that_talks_without_end_is_given_up(tmp_path, server, monkeypatch, first):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2)
    monkeypatch.setenv("https_proxy", server.url)
    server.pages["mirror.invalid:443"] = does.endless(first, b"A: A\r\n")
    with pytest.raises(DataError, match=GIVEN_UP):
        obtain(FILE, tmp_path, ["https://mirror.invalid/"])


def test_redirects_without_end_are_given_up(get, server):
    for k in range(30):
        server.pages[f"/from/{k}"] = does.redirect(f"/from/{k + 1}")
    assert get(does.redirect("/from/0"), BODY) == CONTENT
    assert len(server.log) < 15


def test_addresses_that_are_no_http_are_refused(tmp_path):
    with pytest.raises(DataError, match="unknown url type: ftp"):
        obtain(FILE, tmp_path, ["ftp://127.0.0.1:9/"])


def test_a_server_without_range_sends_all_again(get, server):
    calls = iter([HALF, HALF, None])

    def page(request):
        does.without_range(BODY, next(calls))(request)

    assert get(page) == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


# ----- the part -----------------------------------------------------------------------------------


def test_a_download_that_was_broken_off_goes_on_where_it_was(get, part, server, tmp_path):
    part.write_bytes(BODY[:HALF])
    assert get(does.whole(BODY)) == CONTENT
    assert server.ranges == [f"bytes={HALF}-"]
    assert folder(tmp_path) == [NAME]


def test_what_arrived_before_a_failure_is_kept_for_the_next_time(get, part, server):
    with pytest.raises(DataError, match="cut off after"):
        get(does.whole(BODY, 100), 404)
    assert part.read_bytes() == BODY[:400]  # four attempts
    assert get(does.whole(BODY)) == CONTENT
    assert server.ranges[-1] == "bytes=400-"


@pytest.mark.parametrize(
    "there",
    [b"?" * HALF, BODY + b"more", bytes(2 * CHUNK + len(BODY)), WRONG[:HALF], b"?"],
    ids=["wrong", "longer", "far too long", "of another file", "one byte"],
)
@pytest.mark.parametrize("serve", [does.whole, does.without_range])
def test_a_part_that_is_wrong_is_thrown_away(get, part, tmp_path, there, serve):
    part.write_bytes(there)
    assert get(serve(BODY)) == CONTENT
    assert folder(tmp_path) == [NAME]


def test_a_part_that_is_whole_is_not_loaded_again(get, part, server):
    part.write_bytes(BODY)
    assert get(does.whole(BODY)) == CONTENT
    assert server.ranges == [f"bytes={len(BODY)}-"]


@pytest.mark.parametrize("by", [-5, 5])
def test_an_answer_that_begins_elsewhere_is_not_appended(get, part, server, by):
    part.write_bytes(BODY[:HALF])
    assert get(does.wrong_offset(BODY, by)) == CONTENT
    assert server.ranges == [f"bytes={HALF}-", None]


def test_no_password_of_a_mirror_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_MIRROR", "http://me:secret@localhost:x")
    with pytest.raises(DataError, match=r"http://\*\*\*@localhost:x/set/") as raised:
        obtain(FILE, tmp_path / "set", ["http://you:secret@127.0.0.1:1/"])
    assert "secret" not in str(raised.value)


def test_the_part_of_one_mirror_is_not_continued_from_another(get, server):
    other = gzip.compress(CONTENT, 9, mtime=7)
    assert get(does.whole(BODY, 100), other) == CONTENT
    assert server.ranges[-1] is None


def test_a_file_that_is_the_same_everywhere_is_continued_from_another_mirror(get, server):
    published = RemoteFile(NAME, len(CONTENT), download_sha256=sha256(BODY))
    assert get(does.whole(BODY, 100), BODY, file=published) == CONTENT
    assert server.ranges[-1] == "bytes=400-"


# ----- the disk -----------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_says_so_and_asks_no_mirror(tmp_path, server, get):
    (tmp_path / "set").write_text("a file where the folder should be")
    told = r"cannot be written: (File exists|Not a directory).*TINYNET_DATA"
    with pytest.raises(DataError, match=told):
        get(BODY)
    assert server.log == []


def test_a_full_disk_is_not_blamed_on_the_mirrors(get, server, part):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"\.part: cannot be written: File too large"):
            get(BODY, BODY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert len(server.log) == 1
    assert part.read_bytes() == BODY[:1000]
    assert get(does.whole(BODY)) == CONTENT
    assert server.ranges[-1] == "bytes=1000-"


def test_content_and_rename_reach_the_disk_before_the_file_counts(get, monkeypatch):
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    assert get(BODY) == CONTENT
    assert calls == ["fsync", "replace", "fsync"]


# ----- two processes ------------------------------------------------------------------------------

PROGRAM = f"""
import sys
from pathlib import Path
from tinynet.data.mirrors import obtain
from tinynet.data.files import RemoteFile
file = RemoteFile({NAME!r}, {len(CONTENT)}, {sha256(CONTENT)!r})
print(obtain(file, Path(sys.argv[1]), [sys.argv[2]]))
"""


def start(tmp_path, server) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "set"), f"{server.url}/"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def test_two_processes_that_start_together_download_once(tmp_path, server):
    go_on = threading.Event()
    server.pages[f"/{NAME}"] = does.silent(BODY, HALF, go_on)
    both = [start(tmp_path, server) for _ in range(2)]
    try:
        said = [None, None]

        def listen(k):
            said[k] = both[k].stderr.readline()  # the one that waits says so
            go_on.set()

        listeners = [threading.Thread(target=listen, args=(k,)) for k in range(2)]
        for listener in listeners:
            listener.start()
        assert [process.wait(30) for process in both] == [0, 0]
        for listener in listeners:
            listener.join()
    finally:
        for process in both:
            process.kill()
            process.stderr.close()
            process.wait()
    assert sorted(said) == ["", f"another process is downloading {NAME}; waiting for it\n"]
    assert server.asked == [f"/{NAME}"]
    assert folder(tmp_path) == [NAME]


def test_the_lock_and_the_part_of_a_killed_process_pass_to_the_next(tmp_path, server, get):
    server.pages[f"/{NAME}"] = does.silent(BODY, HALF)
    process = start(tmp_path, server)
    part = tmp_path / "set" / f"{NAME}.part"
    try:
        while process.poll() is None and not (part.exists() and part.stat().st_size == HALF):
            threading.Event().wait(0.01)
    finally:
        process.kill()
        process.stderr.close()
        process.wait()
    assert get(does.whole(BODY)) == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert folder(tmp_path) == [NAME]


def test_threads_download_once_too(tmp_path, server, capsys):
    go_on = threading.Event()
    server.pages[f"/{NAME}"] = does.silent(BODY, HALF, go_on)
    paths = []
    threads = [
        threading.Thread(
            target=lambda: paths.append(obtain(FILE, tmp_path / "set", [f"{server.url}/"]))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / "set" / NAME] * 3
    assert server.asked == [f"/{NAME}"]
