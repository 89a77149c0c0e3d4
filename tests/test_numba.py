"""What is particular to the Numba kernels; tests/test_kernels.py holds them against the loops."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba")

from written import Written

from tinynet.kernels import threads
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.numba_kernels import (
    NumbaKernels,
    compiled,
    direct,
    elementwise,
    shape,
    sharing,
    tiles,
    winograd,
)
from tinynet.kernels.numpy_kernels import NumpyKernels

numba_kernels, numpy_kernels = Written(NumbaKernels()), Written(NumpyKernels())

ONE = (1, 1)


def padding(p):
    return (p, p), (p, p)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def two_threads():
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


def normal(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def worst(actual, expected):
    """The largest error as a share of the largest element."""
    return np.abs(actual - expected).max() / np.abs(expected).max()


def close(actual, expected):
    """Equal but for the order in which a pixel of several windows is added up."""
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-6)


# (N, C, O, side, kernel, padding): the layers of LeNet-5 and of small VGG nets, scaled down,
# and batches around the number of lanes
LAYERS = [
    (1, 1, 6, 28, 5, 2),
    (1, 32, 8, 9, 3, 1),
    (1, 32, 32, 16, 3, 1),
    (2, 40, 35, 18, 3, 0),
    (15, 33, 32, 15, 3, 1),
    (1, 40, 48, 62, 3, 1),
    (7, 3, 5, 8, 3, 1),
    (16, 6, 16, 14, 5, 0),
    (16, 8, 8, 9, 3, 1),
    (19, 16, 24, 10, 3, 0),
    (33, 8, 16, 14, 3, 1),
    (40, 3, 7, 6, 2, 1),
]


@pytest.mark.parametrize(("kernel", "p", "dilation"), [(5, 4, 1), (3, 6, 2), (3, 9, 1), (2, 0, 3)])
def test_columns_of_the_kernel_outside_of_the_image_change_nothing(kernel, p, dilation, rng):
    x, w, b = normal(rng, 17, 3, 5, 5), normal(rng, 7, 3, kernel, kernel), normal(rng, 7)
    case = ONE, padding(p), (dilation, dilation), 1
    y = numba_kernels.conv2d(x, w, b, *case)
    exact = [z.astype(np.float64) for z in (x, w, b)]
    assert worst(y, numpy_kernels.conv2d(*exact, *case)) < 2e-6


@pytest.mark.parametrize("layer", LAYERS)
def test_both_sets_agree_to_rounding_on_layers_of_nets(layer, rng):
    N, C, O, side, kernel, p = layer
    x, w, b = normal(rng, N, C, side, side), normal(rng, O, C, kernel, kernel), normal(rng, O)
    case = ONE, padding(p), ONE, 1
    y = numba_kernels.conv2d(x, w, b, *case)
    exact = [x.astype(np.float64), w.astype(np.float64)]
    assert worst(y, numpy_kernels.conv2d(*exact, b.astype(np.float64), *case)) < 2e-6
    dy = normal(rng, *y.shape)
    dx = numba_kernels.conv2d_dx(dy, w, (side, side), *case)
    dw = numba_kernels.conv2d_dw(dy, x, (kernel, kernel), *case)
    exact_dy = dy.astype(np.float64)
    assert worst(dx, numpy_kernels.conv2d_dx(exact_dy, exact[1], (side, side), *case)) < 2e-6
    assert worst(dw, numpy_kernels.conv2d_dw(exact_dy, exact[0], (kernel, kernel), *case)) < 2e-6
    for z in (y, dx):
        assert z.transpose(1, 2, 3, 0).flags.c_contiguous
        assert z.dtype == np.float32


def test_winograd_errs_no_more_than_three_times_what_the_direct_sum_does(rng):
    N, C, O, side = 16, 32, 32, 16
    x, w = normal(rng, C, side, side, N), normal(rng, O, C, 3, 3)
    b = np.zeros(O, np.float32)
    case = ONE, padding(1), ONE, 1
    exact = numpy_kernels.conv2d(
        x.transpose(3, 0, 1, 2).astype(np.float64), w.astype(np.float64), None, *case
    ).transpose(1, 2, 3, 0)
    size = (side, side)
    assert winograd.is_faster(N, C, O, Geometry.of(size, (3, 3), padding=padding(1)), x.dtype)
    fast, plain = np.empty((2, O, side, side, N), np.float32)
    columns = winograd.chunk(C, 4, size)[1]
    tasks = winograd.tasks(N, size, (1, columns))
    winograd.correlate_part(threads.NOBODY, 0, 0, tasks, columns, False, ONE, x, w, b, fast)
    direct.correlate_part(threads.NOBODY, 0, 0, 1, side, False, ONE, ONE, side + 2, x, w, b, plain)
    error, plain_error = (np.sqrt(((y - exact) ** 2).mean()) for y in (fast, plain))
    assert 0 < error < 3 * plain_error


@pytest.mark.parametrize("layer", [(19, 16, 24, 10, 3, 0), (64, 6, 16, 14, 5, 0)])
def test_repeated_runs_give_the_same_bits_on_two_threads(layer, rng, two_threads):
    N, C, O, side, kernel, p = layer
    x, w = normal(rng, N, C, side, side), normal(rng, O, C, kernel, kernel)
    case = ONE, padding(p), ONE, 1

    def bits():
        y = numba_kernels.conv2d(x, w, None, *case)
        dx = numba_kernels.conv2d_dx(y, w, (side, side), *case)
        dw = numba_kernels.conv2d_dw(y, x, (kernel, kernel), *case)
        pooled = numba_kernels.max_pool2d(y, (2, 2), (2, 2), padding(0), ONE)
        return [z.tobytes() for z in (y, dx, dw, pooled)]

    first = bits()
    for _ in range(5):
        assert bits() == first


def test_every_share_of_the_work_is_done_once(monkeypatch):
    monkeypatch.setattr(threads, "_count", 3)
    done = []
    assert sharing.share_out(lambda team, *share: done.append(share), 8, False) == 3
    assert sorted(done) == [(0, 0, 2), (1, 2, 5), (2, 5, 8)]
    assert sharing.share_out(lambda team, *share: done.append(share), 8, True) == 1
    assert done[-1] == (0, 0, 8)


@pytest.mark.parametrize(
    ("kernel", "arguments"),
    [
        ("conv2d", ((2, 2), padding(1), ONE, 1)),
        ("conv2d", (ONE, padding(1), ONE, 2)),
    ],
)
def test_what_is_not_covered_is_handed_to_numpy(kernel, arguments, rng, monkeypatch):
    x, w = normal(rng, 2, 4, 6, 6), normal(rng, 4, 4 // arguments[-1], 3, 3)
    for kernel in ("conv2d", "conv2d_dx", "conv2d_dw_db"):
        monkeypatch.setattr(NumpyKernels, kernel, lambda *args: ["NumPy's"])
    assert numba_kernels.conv2d(x, w, None, *arguments) == ["NumPy's"]
    assert numba_kernels.conv2d_dx(x, w, (6, 6), *arguments) == ["NumPy's"]
    assert numba_kernels.conv2d_dw(x, x, (3, 3), *arguments) == "NumPy's"


def test_pooling_of_half_precision_is_handed_to_numpy(rng):
    x = normal(rng, 20, 2, 4, 4).astype(np.float16)
    y = numba_kernels.max_pool2d(x, (2, 2), (2, 2), padding(0), ONE)
    assert y.dtype == np.float16
    assert (y == x.reshape(20, 2, 2, 2, 2, 2).max((3, 5))).all()


POOLS = [
    ((2, 2), (2, 2), padding(0), ONE),
    ((3, 3), (2, 2), padding(1), ONE),
    ((2, 2), (2, 2), ((0, 1), (0, 1)), ONE),
    ((2, 2), (3, 3), padding(0), ONE),
    ((2, 2), (2, 2), padding(1), (2, 1)),
]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("side", [8, 9])
def test_max_pooling_of_many_images_is_the_same_in_both_sets(pool, side, rng):
    x = np.maximum(normal(rng, 40, 3, side, side), 0)  # many ties at 0
    y = numpy_kernels.max_pool2d(x, *pool)
    assert (numba_kernels.max_pool2d(x, *pool) == y).all()
    dy = normal(rng, *y.shape)
    close(
        numba_kernels.max_pool2d_dx(dy, x, y, *pool), numpy_kernels.max_pool2d_dx(dy, x, y, *pool)
    )


def test_max_pool_passes_nan_and_infinity_on(rng):
    x = normal(rng, 16, 1, 4, 4)
    x[3, 0, 1, 1], x[4, 0, 2, 2], x[5] = np.nan, np.inf, -np.inf
    y = numba_kernels.max_pool2d(x, (2, 2), (2, 2), padding(0), ONE)
    np.testing.assert_array_equal(y, numpy_kernels.max_pool2d(x, (2, 2), (2, 2), padding(0), ONE))
    dy = np.full_like(y, np.inf)
    dx = numba_kernels.max_pool2d_dx(dy, x, y, (2, 2), (2, 2), padding(0), ONE)
    assert not np.isnan(dx).any()
    assert np.isinf(dx).sum() == y.size


@pytest.mark.parametrize("N", [3, 20])
def test_nan_and_infinity_stay_in_the_outputs_whose_windows_hold_them(N, rng):
    x, w = normal(rng, N, 4, 7, 7), normal(rng, 6, 4, 3, 3)
    x[1, 2, 0, 0], x[2, 0, 6, 6] = np.nan, np.inf
    y = numba_kernels.conv2d(x, w, None, ONE, padding(1), ONE, 1)
    odd = ~np.isfinite(y)
    expected = np.zeros_like(odd)
    expected[1, :, :2, :2] = expected[2, :, 5:, 5:] = True
    assert (odd == expected).all()


def test_read_only_arrays_compile_nothing_new(rng):
    x, w = normal(rng, 16, 2, 6, 6), normal(rng, 3, 2, 3, 3)
    case = ONE, padding(1), ONE, 1
    y = numba_kernels.conv2d(x, w, None, *case)
    compiled = len(direct.correlate_part.signatures)
    x = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    x.flags.writeable = w.flags.writeable = False
    assert (numba_kernels.conv2d(x, w, None, *case) == y).all()
    assert len(direct.correlate_part.signatures) == compiled


def test_tiles_hold_as_many_elements_as_a_vector_of_64_bytes():
    assert tiles.lanes(np.dtype(np.float32)) == 16
    assert tiles.lanes(np.dtype(np.float64)) == 8


@pytest.mark.parametrize("side", range(3, 12))
def test_nothing_beyond_the_image_is_read(side, rng):
    """Freed memory full of NaN is what the next buffers are made of; none may come through."""
    x, dy = rng.standard_normal((2, 1, 4, side, side)).astype(np.float32)
    w = rng.standard_normal((4, 4, 3, 3)).astype(np.float32)
    case = (ONE, padding(1), ONE, 1)
    for size in 2 ** np.arange(4, 16):
        np.full(size, np.nan, np.float32)
    assert np.isfinite(numba_kernels.conv2d_dw(dy, x, (3, 3), *case)).all()
    assert np.isfinite(numba_kernels.conv2d(x, w, None, *case)).all()
    assert np.isfinite(numba_kernels.conv2d_dx(dy, w, (side, side), *case)).all()


@pytest.mark.parametrize("name", [name for name, own in shape.SHAPES.items() if own != shape.SHAPE])
def test_the_tiles_of_other_processors_give_the_same_results(name):
    """The layers and pools above once more; what is compiled for it is kept on disk."""
    chosen = "layers or many_images or beyond_the_image or stay_in_the_outputs"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "TINYNET_TILES": name}
    done = subprocess.run([*command, "-k", chosen], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "passed" in done.stdout


def test_an_unknown_name_of_tiles_is_refused(monkeypatch):
    monkeypatch.setenv("TINYNET_TILES", "mmx")
    with pytest.raises(ValueError, match="'mmx'; known are avx512, avx2, neon, sse2"):
        shape._shape()


CONVOLVE = """
import numpy as np, tinynet
from tinynet import kernels
x, w = np.random.default_rng(0).standard_normal((2, 16, 16, 6, 6)).astype(np.float32)
y = tinynet.conv2d(x, w[..., :3, :3], padding=1).array
kernels.use("numpy")
assert np.allclose(y, tinynet.conv2d(x, w[..., :3, :3], padding=1).array, atol=1e-3)
print("FINE")
"""


def in_a_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TINYNET_KERNELS": "numba", **environment},
        capture_output=True, text=True,
    )  # fmt: skip


def test_compiled_code_of_other_sources_or_tiles_lies_in_another_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path))
    find = compiled.cache_folder.__wrapped__
    folders = {find(), find()}
    assert len(folders) == 1
    for other in set(shape.SHAPES.values()) - {shape.SHAPE}:
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "SHAPE", other)
            folders.add(find())
    monkeypatch.setattr(compiled.minimal_filtering, "__file__", compiled.__file__)
    folders.add(find())
    assert len(folders) == 1 + len(set(shape.SHAPES.values()))
    assert all(os.path.isdir(folder) for folder in folders)


def test_code_from_the_cache_is_not_compiled_and_a_process_that_compiles_says_so(tmp_path):
    for said in (True, False):
        done = in_a_process(CONVOLVE, NUMBA_CACHE_DIR=str(tmp_path))
        assert done.stdout == "FINE\n", done.stderr
        assert ("tinynet: compiling" in done.stderr) == said


NOWHERE = """
import os, tempfile
def full(*args, **kwargs): raise OSError(28, "No space left on device")
%s = full
"""


@pytest.mark.parametrize("fails", ["tempfile.TemporaryFile", "os.mkdir"])
def test_where_compiled_code_cannot_be_kept_every_process_compiles(fails, tmp_path):
    variables = {"NUMBA_CACHE_DIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = in_a_process(NOWHERE % fails + CONVOLVE, **variables)
    assert done.stdout == "FINE\n", done.stderr
    assert "cannot be kept on disk ([Errno 28] No space left on device)" in done.stderr
    assert not list(tmp_path.rglob("*.nb*"))


def test_an_installation_that_may_not_be_written_to_is_cached_for_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled.config, "CACHE_DIR", str(tmp_path / "a file" / "below"))
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = compiled.cache_folder.__wrapped__()
    assert folder.startswith(str(tmp_path / "cache" / "tinynet"))


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"NUMBA_DISABLE_JIT": "1", "TINYNET_KERNELS": ""}, ""),
        ({"NUMBA_DISABLE_JIT": "1"}, "NUMBA_DISABLE_JIT"),
        ({"PYTHONPATH": "BROKEN"}, "cannot be used, so NumPy computes: needs another NumPy"),
    ],
)
def test_where_numba_cannot_be_used_numpy_computes(environment, says, tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('needs another NumPy')")
    environment = {k: v.replace("BROKEN", str(tmp_path)) for k, v in environment.items()}
    done = in_a_process(CONVOLVE, **environment)
    assert done.stdout == "FINE\n", done.stderr
    assert says in done.stderr
    assert len(done.stderr.splitlines()) <= 2


# ----- teams: kernels that start their helpers themselves -----------------------------------------


@pytest.fixture
def awake(two_threads):
    """The worker spins, so that it is the kernel that has to start it."""
    done = []
    for _ in range(200):
        threads.run_compiled(lambda part, team: done.append((part, len(team))), 2)
        if done[-2:].count((0, 1)):
            return
    pytest.skip("a worker does not spin here, or is never awake")


def test_a_kernel_starts_its_helper_and_waits_for_it(awake):
    x = np.arange(1 << 16, dtype=np.float32) - 1000
    for _ in range(300):
        y = np.zeros_like(x)

        def work(part, team, y=y):
            elementwise.rectify(team, part, part << 15, (part + 1) << 15, x, x, y)

        threads.run_compiled(work, 2)
        assert (y == np.maximum(x, 0)).all()


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_in_a_share_is_raised_and_the_helper_works_again(wrong, awake):
    def work(part, team):
        if part == wrong:
            raise RuntimeError(f"in share {part}")
        elementwise.rectify(team, part, 0, 4, *np.ones((3, 4), np.float32))

    for _ in range(3):
        with pytest.raises(RuntimeError, match=f"in share {wrong}"):
            threads.run_compiled(work, 2)
    shares = []
    threads.run_compiled(lambda part, team: shares.append(part), 2)
    assert sorted(shares) == [0, 1]


def test_the_bias_gradient_beside_the_weights_is_the_sum_of_dy(rng):
    for N in (1, 5, 16, 19, 40):  # below, at and between whole lines, where a block is repeated
        for C, side, kernel in ((2, 9, 3), (2, 9, 5), (16, 12, 3)):
            x, dy = normal(rng, N, C, side, side), normal(rng, N, 9, side, side)
            g = Geometry.of((side, side), (kernel, kernel), padding=padding(kernel // 2))
            dw, db = numba_kernels.conv2d_dw_db(dy, x, g)
            expected = numpy_kernels.conv2d_dw_db(dy, x, g)
            np.testing.assert_allclose(dw, expected[0], rtol=1e-3, atol=1e-2)
            np.testing.assert_allclose(db, dy.sum((0, 2, 3)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("N", [1, 3, 16, 21])
@pytest.mark.parametrize("side", [2, 6, 14, 16, 20, 36])
@pytest.mark.parametrize("relu", [False, True])
def test_the_winners_of_blocks_get_all_of_dy(N, side, relu, rng):
    x = np.round(normal(rng, N, 3, side, side), 1)  # with ties
    x[0, 1, 0, 0], x[0, 2, 1, 1] = np.nan, -np.inf
    case = (2, 2), (2, 2), padding(0), ONE
    if relu:
        x -= 1  # so that a third of the windows have nothing above 0
    g = Geometry.of((side, side), *case)
    y, saved = NumbaKernels().max_pool2d(x, g, relu)
    assert isinstance(saved, tuple) == (N == 3 or (N == 1 and side < 8))  # NumPy's are faster
    largest = numpy_kernels.max_pool2d(x, *case)
    np.testing.assert_array_equal(y, np.maximum(largest, 0) if relu else largest)
    dy = normal(rng, *y.shape)
    dx = NumbaKernels().max_pool2d_dx(dy, saved, g)
    passed = dy * ~(largest <= 0) if relu else dy
    expected = numpy_kernels.max_pool2d_dx(passed, x, largest, *case)
    np.testing.assert_array_equal(dx, expected)
    assert dx[0, 1, 0, 0] == dy[0, 1, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["contiguous", "read-only gradient", "transposed"])
def test_a_step_of_sgd_gives_numpys_bits(dtype, order, rng):
    def arrays():
        rng = np.random.default_rng(0)
        p, g, b, t = (rng.standard_normal((7, 300)).astype(dtype) for _ in range(4))
        g.flags.writeable = order != "read-only gradient"
        return [x.T for x in (p, g, b, t)] if order == "transposed" else [p, g, b, t]

    mine, theirs = arrays(), arrays()
    for _ in range(3):
        numba_kernels.momentum_step(*mine, 0.9, 0.01)
        numpy_kernels.momentum_step(*theirs, 0.9, 0.01)
    assert np.array_equal(mine[0], theirs[0])
    assert np.array_equal(mine[2], theirs[2])
