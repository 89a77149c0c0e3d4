"""A second process compiles the gradients: what it leaves on the disk is what the first needs."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba")
from numba import typeof

import tinynet
from tinynet.kernels import threads
from tinynet.kernels.numba_kernels import activation, ahead, direct, pooling, winograd, winograd_few

KERNELS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module, names in (
        (activation, ("rectify", "rectify_dx")),
        (direct, ("correlate_part", "weight_gradient_part")),
        (pooling, ("halve", "halve_dx")),
        (winograd, ("correlate_part", "weight_gradient_part")),
        (winograd_few, ("correlate_few", "weight_gradient_few")),
    )
    for name in names
}


class Pipe:
    """A helper without a process: takes any request, and answers what the test says."""

    def __init__(self, answers=()):
        self.stdin, self.stdout = io.StringIO(), io.StringIO("".join(answers))


@pytest.fixture
def helper(monkeypatch):
    """A helper of our own, on two threads, that answers with what the test says."""
    helper = ahead.Helper()
    helper.process = Pipe()
    monkeypatch.setattr(ahead, "_helper", helper)
    monkeypatch.setattr(threads, "_count", 2)
    return helper


def test_partners_are_kernels():
    for forward, gradient in ahead.PARTNERS.items():
        assert KERNELS[forward]._cache.name == forward
        assert KERNELS[gradient]._cache.name == gradient


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gradient", ahead.PARTNERS.values())
def test_the_helper_calls_a_kernel_with_the_types_that_training_does(gradient, dtype, monkeypatch):
    if dtype is np.float64 and "winograd" in gradient:
        pytest.skip("covers float32 alone")
    kernel, calls = KERNELS[gradient], []

    def spy(*arguments):
        calls.append(tuple(map(typeof, arguments)))
        kernel(*arguments)

    monkeypatch.setattr(sys.modules[kernel.py_func.__module__], kernel.__name__, spy)
    ahead._compute(gradient, np.dtype(dtype))
    prepared = set(calls)
    calls.clear()
    step(np.dtype(dtype))
    assert calls
    assert set(calls) == prepared


def step(dtype):
    """A step of training that needs every kernel in PARTNERS."""
    from tinynet.kernels import numba_kernels as k

    for N, channels, kernel in ((64, 8, 3), (1, 32, 3), (64, 3, 5), (1, 3, 5)):
        x = np.ones((N, channels, 16, 16), dtype)
        w = np.ones((channels, channels, kernel, kernel), dtype)
        case = (1, 1), ((kernel // 2,) * 2,) * 2, (1, 1), 1
        pool = (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)
        y = k.relu(k.conv2d(x, w, None, *case))
        z, kept = k.max_pool2d_kept(y, *pool, False)
        dy = k.relu_dx(k.max_pool2d_kept_dx(z, kept, (16, 16), *pool), y)
        k.conv2d_dw(dy, x, (kernel, kernel), *case)


def test_a_missing_forward_kernel_has_its_gradient_compiled_and_waited_for(helper):
    helper.process = Pipe(["direct.weight_gradient_part float32\n"])
    assert not ahead.missing("direct.correlate_part", "float32")
    assert helper.asked == ["direct.weight_gradient_part float32"]
    assert not ahead.missing("pooling.maxima", "float32")  # has no partner
    assert not ahead.missing("direct.weight_gradient_part", "float64")  # nobody asked for it
    assert ahead.missing("direct.weight_gradient_part", "float32")
    assert helper.asked == []
    assert not ahead.missing("direct.weight_gradient_part", "float32")  # then it is compiled here


def test_a_helper_that_ended_is_not_waited_for_and_another_is_started(helper, monkeypatch):
    ahead.missing("direct.correlate_part", "float32")
    assert ahead.missing("direct.weight_gradient_part", "float32")  # look again; it may be there
    assert helper.process is None
    monkeypatch.setattr(ahead.Helper, "_start", lambda self: Pipe())
    ahead.missing("pooling.halve", "float32")
    assert helper.asked == ["pooling.halve_dx float32"]


def test_where_no_process_may_be_started_everything_is_compiled_here(helper, monkeypatch):
    def refused(self):
        raise PermissionError("no processes here")

    helper.process = None
    monkeypatch.setattr(ahead.Helper, "_start", refused)
    assert not ahead.missing("direct.correlate_part", "float32")
    assert not ahead.missing("direct.weight_gradient_part", "float32")


def test_one_thread_asks_nobody(helper, monkeypatch):
    monkeypatch.setattr(threads, "_count", 1)
    assert not ahead.missing("direct.correlate_part", "float32")
    assert helper.asked == []


def test_a_step_on_an_empty_disk_finds_what_the_helper_compiled(tmp_path):
    """For real: processes, a fresh cache; ReLU, for it is compiled fastest.

    The folder it runs in has another tinynet, which the script does not import, nor may the helper.
    """
    if sys.version_info >= (3, 11):  # before, the folder always comes first
        (tmp_path / "tinynet").mkdir()
        (tmp_path / "tinynet" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    root = os.path.dirname(os.path.dirname(tinynet.__file__))
    script = (
        f"import sys; sys.path[0] = {root!r}\n"
        "import numpy as np\n"
        "from tinynet.kernels import numba_kernels as k, threads\n"
        "from tinynet.kernels.numba_kernels import activation, ahead\n"
        "threads.set_num_threads(2)\n"
        "x = np.ones(1 << 17, np.float32)\n"
        "k.relu_dx(x, k.relu(x))\n"
        "print(sum(activation.rectify.stats.cache_misses.values()),\n"
        "      sum(activation.rectify_dx.stats.cache_hits.values()),\n"
        "      ahead._helper.process.poll())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "1", "None"]
