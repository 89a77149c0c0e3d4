"""Downloads from a local server that misbehaves, with nobody waiting for a back-off."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
import signal
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
        f"has {len(CONTENT) - 1} bytes",
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


def test_redirects_without_end_are_given_up(get, server):
    for k in range(30):
        server.pages[f"/from/{k}"] = does.redirect(f"/from/{k + 1}")
    assert get(does.redirect("/from/0"), BODY) == CONTENT
    assert len(server.log) < 15


def test_a_server_without_range_sends_all_again(get, server):
    calls = iter([HALF, HALF, None])

    def page(request):
        does.without_range(BODY, next(calls))(request)

    assert get(page) == CONTENT
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


@pytest.mark.parametrize("by", [-5, 5])
def test_an_answer_that_begins_elsewhere_is_not_appended(get, server, by):
    with pytest.raises(DataError, match=f"asked for the bytes from {HALF} on, but the answer is"):
        get(does.wrong_offset(BODY, HALF, by))
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_no_password_of_a_mirror_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_MIRROR", "http://me:secret@localhost:x")
    with pytest.raises(DataError, match=r"http://\*\*\*@localhost:x/set/") as raised:
        obtain(FILE, tmp_path / "set", ["http://you:secret@127.0.0.1:1/"])
    assert "secret" not in str(raised.value)


def test_the_part_of_one_mirror_is_not_continued_from_another(get, server):
    other = gzip.compress(CONTENT, 9, mtime=7)
    assert get(does.whole(BODY, 100), other) == CONTENT
    assert server.ranges[-1] is None


# ----- the disk -----------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_says_so_and_asks_no_mirror(tmp_path, server, get):
    (tmp_path / "set").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written: (File exists|Not a directory).*root="):
        get(BODY)
    assert server.log == []


def test_a_full_disk_is_not_blamed_on_the_mirrors(get, server, tmp_path):
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
    assert folder(tmp_path) == []


def test_content_and_rename_reach_the_disk_before_the_file_counts(get, monkeypatch):
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    assert get(BODY) == CONTENT
    assert calls == ["fsync", "replace", "fsync"]


# ----- several at once ----------------------------------------------------------------------------


def test_two_that_download_at_once_find_the_same_file(tmp_path, server):
    together = threading.Barrier(2)

    def page(request):
        together.wait(10)
        does.whole(BODY)(request)

    server.pages[f"/{NAME}"] = page
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(obtain(FILE, tmp_path / "set", [f"{server.url}/"]))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "set" / NAME] * 2
    assert folder(tmp_path) == [NAME]
