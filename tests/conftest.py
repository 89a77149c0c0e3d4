"""Fixtures that several files of tests use."""

from __future__ import annotations

import gc
import sys

import pytest

from tinynet import kernels

if "numba" in kernels.available():
    from tinynet.kernels.numba_kernels import compiled

    compiled.notice.said = True  # whichever test compiles first would find it on stderr


sys.argv[0] = "pytest"  # also by `python -m pytest`: what is said to be typed next goes by it


def pytest_collection_finish():
    """Thirteen thousand tests stay until the end: no collection of garbage goes through them."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def server(monkeypatch):
    """A local server that serves what a test puts into its `pages`, reached without a proxy."""
    from misbehaving_server import Server

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "TINYNET_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    yield server
    server.close()
