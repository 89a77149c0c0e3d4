"""Every kernel set against the plain loops, and each gradient against its adjoint.

Adjoint: for a linear map A with transpose B, <A x, u> = <x, B u> for all x and u. It holds to
rounding or not at all, which makes it the sharpest test of a backward pass.
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reference
from written import current

import tinynet
from tinynet import kernels, ops
from tinynet.kernels import choice
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plans import blocks, rows, single_image, winograd

NO_PADDING = ((0, 0), (0, 0))

# stride, padding, dilation and groups, for an input of 4 channels and 6 filters
CONVOLUTIONS = [
    ((1, 1), NO_PADDING, (1, 1), 1),
    ((1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    ((2, 1), ((0, 2), (1, 0)), (1, 1), 1),
    ((3, 2), ((2, 2), (2, 2)), (1, 2), 1),
    ((1, 1), ((2, 1), (1, 2)), (2, 1), 1),
    ((1, 1), ((1, 1), (1, 1)), (1, 1), 2),
    ((2, 2), ((1, 1), (0, 1)), (2, 2), 2),
]
# kernel, stride, padding and dilation
POOLS = [
    ((2, 2), (2, 2), NO_PADDING, (1, 1)),
    ((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    ((3, 2), (1, 2), ((1, 0), (0, 1)), (1, 1)),
    ((2, 3), (3, 3), NO_PADDING, (1, 1)),
    ((2, 2), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    ((2, 2), (1, 1), NO_PADDING, (2, 3)),
]
KERNEL_SIZES = [(3, 3), (1, 1), (2, 3)]


def in_order(x, order):
    """The same array in another memory order."""
    if order == "batch last":
        return np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    if order == "channels last":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if order == "strided":
        wide = np.zeros((*x.shape[:3], 2 * x.shape[3]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    y = x.copy()
    y.flags.writeable = order != "read-only"
    return y


ORDERS = ["contiguous", "batch last", "channels last", "strided", "read-only"]


@pytest.fixture(
    params=["plain", "numpy, blocks", "numpy, rows", "numpy, winograd", *kernels.available()[2:]],
    autouse=True,
)
def kernel_set(request, monkeypatch):
    """Each set, and in the NumPy set each of its plans whatever the size."""
    name, _, plan = request.param.partition(", ")
    if plan:
        monkeypatch.setattr(choice, "ROWS_FROM", 10**9 if plan == "blocks" else 0)
    if plan == "winograd":
        for least in ("LEAST", "LEAST_DW", "IMAGES"):
            monkeypatch.setattr(winograd, least, 0)
    choice.convolution.cache_clear()
    before = kernels.current.name
    kernels.use(name)
    yield request.param
    kernels.use(before)
    choice.convolution.cache_clear()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def close(actual, expected):
    tolerance = 1e-12 if expected.dtype == np.float64 else 2e-5
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", KERNEL_SIZES)
@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("images", [1, 2])
def test_convolution_and_its_gradients_are_what_the_loops_say(images, case, kernel, dtype, rng):
    groups = case[-1]
    x = rng.standard_normal((images, 4, 7, 8)).astype(dtype)
    w = rng.standard_normal((6, 4 // groups, *kernel)).astype(dtype)
    b = rng.standard_normal(6).astype(dtype)
    y = reference.conv2d(x, w, b, *case)
    close(current.conv2d(x, w, b, *case), y)
    close(current.conv2d(x, w, None, *case), reference.conv2d(x, w, None, *case))
    dy = rng.standard_normal(y.shape).astype(dtype)
    size = x.shape[2:]
    close(current.conv2d_dx(dy, w, size, *case), reference.conv2d_dx(dy, w, size, *case))
    dw = reference.conv2d_dw(dy, x, kernel, *case)
    close(current.conv2d_dw(dy, x, kernel, *case), dw)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("images", "stride"), [(5, (2, 1)), (1, (1, 1))])
def test_convolution_takes_any_memory_order(order, images, stride, rng):
    case = (stride, ((1, 0), (1, 1)), (1, 1), 1)
    x, w = rng.standard_normal((images, 3, 6, 7)), rng.standard_normal((4, 3, 3, 2))
    y = reference.conv2d(x, w, None, *case)
    dy = rng.standard_normal(y.shape)
    dx = reference.conv2d_dx(dy, w, x.shape[2:], *case)
    dw = reference.conv2d_dw(dy, x, w.shape[2:], *case)
    x, w, dy = in_order(x, order), in_order(w, order), in_order(dy, order)
    close(current.conv2d(x, w, None, *case), y)
    close(current.conv2d_dx(dy, w, x.shape[2:], *case), dx)
    close(current.conv2d_dw(dy, x, w.shape[2:], *case), dw)


def test_convolution_in_many_blocks_equals_convolution_in_one(rng, monkeypatch):
    case = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w = rng.standard_normal((3, 4, 9, 9)), rng.standard_normal((5, 4, 3, 3))
    dy = rng.standard_normal((3, 5, 9, 9))

    def results():
        return (
            current.conv2d(x, w, None, *case),
            current.conv2d_dx(dy, w, (9, 9), *case),
            current.conv2d_dw(dy, x, (3, 3), *case),
        )

    whole = results()
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(rows, "BLOCK_BYTES", 5_000)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", 5_000)
    monkeypatch.setattr(winograd, "COLUMNS", 3)
    for in_blocks, in_one in zip(results(), whole, strict=True):
        close(in_blocks, in_one)


LARGE_WINDOWS = [(k, k, NO_PADDING) for k in [(3, 3), (7, 8), (2, 8), (6, 5)]]  # one call sums them
GRID = list(itertools.product([4, 7], [1, 2, 3], [1, 2, 3], [(0, 0), (1, 1), (0, 2)], [1, 2]))


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), GRID)
def test_windows_and_their_scatter_are_adjoint(size, kernel, stride, padding, dilation, rng):
    if size + sum(padding) < dilation * (kernel - 1) + 1:
        pytest.skip("the window does not fit")
    case = ((stride, stride), (padding, padding), (dilation, dilation), 1)
    x, w = rng.standard_normal((2, 3, size, size)), rng.standard_normal((4, 3, kernel, kernel))
    y = current.conv2d(x, w, None, *case)
    u = rng.standard_normal(y.shape)
    forward = (y * u).sum()
    through_x = (x * current.conv2d_dx(u, w, (size, size), *case)).sum()
    through_w = (w * current.conv2d_dw(u, x, (kernel, kernel), *case)).sum()
    assert through_x == pytest.approx(forward, rel=1e-11, abs=1e-11)
    assert through_w == pytest.approx(forward, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize(("images", "height"), [(3, 7), (1, 8)])
def test_max_pool_and_its_gradient_are_what_the_loops_say(images, height, case, dtype, order, rng):
    x = rng.standard_normal((images, 2, height, 8)).astype(dtype)
    y = reference.max_pool2d(x, *case)
    dy = rng.standard_normal(y.shape).astype(dtype)
    expected = reference.max_pool2d_dx(dy, x, y, *case)
    x, dy = in_order(x, order), in_order(dy, order)
    actual = current.max_pool2d(x, *case)
    close(actual, y)
    close(current.max_pool2d_dx(dy, x, actual, *case), expected)


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize(("images", "height"), [(3, 7), (1, 8)])
def test_max_pool_sends_ties_to_the_first_winner(images, height, case, rng):
    x = rng.integers(0, 2, (images, 2, height, 8)).astype(np.float64)  # ties nearly everywhere
    y = reference.max_pool2d(x, *case)
    dy = rng.standard_normal(y.shape)
    actual = current.max_pool2d_dx(dy, x, y, *case)
    close(actual, reference.max_pool2d_dx(dy, x, y, *case))


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize(("images", "height"), [(3, 7), (1, 8), (20, 8)])
@pytest.mark.parametrize("values", [(0, np.nan), (-np.inf, 1), (-np.inf, np.inf, np.nan, -1, 0, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_dy_of_a_max_pool_goes_to_one_pixel_the_first_nan_or_the_first_of_the_largest(
    values, images, height, case, dtype, rng
):
    x = rng.choice(np.array(values, dtype), (images, 2, height, 8))
    y = reference.max_pool2d(x, *case)
    dy = rng.uniform(1, 2, y.shape).astype(dtype)
    expected = reference.max_pool2d_dx(dy, x, y, *case)
    assert expected.sum() == pytest.approx(dy.sum(), rel=1e-5)
    g, kernel_set = Geometry.of(x.shape[2:], *case), kernels.current
    actual, saved = kernel_set.max_pool2d(x, g)
    np.testing.assert_array_equal(actual, y)
    close(kernel_set.max_pool2d_dx(dy, (x, actual, False), g), expected)
    close(kernel_set.max_pool2d_dx(dy, saved, g), expected)

    positive = reference.relu(y)
    expected = reference.max_pool2d_dx(reference.relu_dx(dy, positive), x, y, *case)
    actual, saved = kernel_set.max_pool2d(x, g, relu=True)
    np.testing.assert_array_equal(actual, positive)
    close(kernel_set.max_pool2d_dx(dy, saved, g), expected)
    close(kernel_set.max_pool2d_dx(dy, (x, actual, True), g), expected)


@pytest.mark.parametrize("size", [5, 1 << 17, 1 << 19])
def test_relu_passes_nan_and_its_gradient_on(size):
    x = np.zeros(size, np.float32)
    x[:3] = np.nan, -np.inf, np.inf
    y = current.relu(x)
    np.testing.assert_array_equal(y[:4], [np.nan, 0, np.inf, 0])
    dx = current.relu_dx(np.ones_like(x), y)
    assert dx[:4].tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(reference.relu(x[:5]), y[:5])
    np.testing.assert_array_equal(reference.relu_dx(np.ones_like(x[:5]), y[:5]), dx[:5])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", [case[:3] for case in POOLS[:5]] + LARGE_WINDOWS)
def test_sum_pool_is_what_the_loops_say_and_its_gradient_adjoint(case, dtype, order, rng):
    x = rng.standard_normal((3, 2, 7, 8)).astype(dtype)
    y = reference.sum_pool2d(x, *case)
    u = rng.standard_normal(y.shape).astype(dtype)
    close(current.sum_pool2d(in_order(x, order), *case), y)
    dx = current.sum_pool2d_dx(in_order(u, order), (7, 8), *case)
    rel = 1e-11 if dtype == np.float64 else 1e-4
    assert (x * dx).sum() == pytest.approx((y * u).sum(), rel=rel, abs=rel)


def test_empty_batches_flow_through_every_kernel():
    x, w = np.zeros((0, 3, 6, 6), np.float32), np.ones((4, 3, 3, 3), np.float32)
    case = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    y = current.conv2d(x, w, np.ones(4, np.float32), *case)
    assert y.shape == (0, 4, 6, 6)
    assert current.conv2d_dx(y, w, (6, 6), *case).shape == x.shape
    assert (current.conv2d_dw(y, x, (3, 3), *case) == 0).all()
    pool = ((2, 2), (2, 2), NO_PADDING)
    pooled = current.max_pool2d(x, *pool, (1, 1))
    assert pooled.shape == (0, 3, 3, 3)
    assert current.max_pool2d_dx(pooled, x, pooled, *pool, (1, 1)).shape == x.shape
    assert current.sum_pool2d(x, *pool).shape == (0, 3, 3, 3)
    assert current.sum_pool2d_dx(pooled, (6, 6), *pool).shape == x.shape


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_the_runs_of_one_image_share_no_memory(kernel):
    cols = single_image.unfold(np.ones((1, 8, 8, 1)), Geometry.of((8, 8), kernel, (1, 1)))
    assert cols.flags.c_contiguous  # a matrix product is slow with overlapping ones


def test_kernels_leave_their_inputs_alone(rng):
    x, w = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3))
    case = ((1, 1), NO_PADDING, (1, 1), 1)
    before = x.copy(), w.copy()
    y = current.conv2d(x, w, None, *case)
    current.conv2d_dx(y, w, (6, 6), *case)
    current.conv2d_dw(y, x, (3, 3), *case)
    current.max_pool2d(x, (2, 2), (2, 2), NO_PADDING, (1, 1))
    current.sum_pool2d(x, (1, 1), (1, 1), NO_PADDING)
    assert (x == before[0]).all()
    assert (w == before[1]).all()


def test_override_puts_a_function_in_place_and_takes_it_away_again():
    original = kernels.current.conv2d
    with kernels.override(conv2d=lambda *args: "mine"):
        assert kernels.current.conv2d() == "mine"
    assert kernels.current.conv2d == original


@pytest.mark.parametrize("later", kernels.available())
def test_what_one_set_saved_is_read_by_it_whichever_is_in_use_then(later, rng):
    x = tinynet.tensor(rng.standard_normal((20, 2, 4, 4)), requires_grad=True)
    y = ops.max_pool2d(x, 2, relu=True)
    kernels.use(later)
    y.sum().backward()
    expected = reference.relu_dx(np.ones(y.shape), y.array)
    places = reference.max_pool2d(x.array, (2, 2), (2, 2), NO_PADDING, (1, 1))
    case = (2, 2), (2, 2), NO_PADDING, (1, 1)
    close(x.grad.array, reference.max_pool2d_dx(expected, x.array, places, *case))


@pytest.mark.parametrize("relu", [False, True])
def test_what_is_built_on_a_kernel_in_place_follows(relu, rng):
    x, g = rng.standard_normal((3, 2, 4, 4)), Geometry.of((4, 4), (2, 2), (2, 2))
    calls = []

    def my_relu(x):
        calls.append("relu")
        return np.maximum(x, 0)

    def my_relu_dx(dy, y):
        calls.append("relu_dx")
        return dy * (y > 0)

    with kernels.override(relu=my_relu, relu_dx=my_relu_dx):
        y, saved = kernels.current.max_pool2d(x, g, relu)
        kernels.current.max_pool2d_dx(y, saved, g)
    assert calls == (["relu", "relu_dx"] if relu else [])


def test_unknown_kernels_and_sets_are_named_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'conv2d'"), kernels.override(conv2=None):
        pass
    with pytest.raises(ValueError, match="unknown kernel set 'nunpy'; did you mean 'numpy'"):
        kernels.use("nunpy")


@pytest.mark.parametrize("order", [*ORDERS, "mixed"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (16, 9, 33, 31), (9, 16, 90, 90)])
def test_relu_and_its_gradient_are_what_the_formula_says(shape, dtype, order, rng):
    x, dy = rng.standard_normal((2, *shape)).astype(dtype)
    x[0, 0] = 0  # the kink
    y, dx = x * (x > 0), dy * (x > 0)
    if order == "mixed":
        x, dy = in_order(x, "batch last"), in_order(dy, "contiguous")
    else:
        x, dy = in_order(x, order), in_order(dy, order)
    close(current.relu(x), y)
    close(current.relu_dx(dy, current.relu(x)), dx)


def test_relu_lets_nan_through():
    x = np.full(100_000, np.nan, np.float32)
    assert np.isnan(current.relu(x)).all()


def test_relu_takes_a_number():
    assert tinynet.relu(-3.0).item() == 0
    assert tinynet.relu(2).item() == 2


def label_losses_by_loops(x, labels):
    """The definition, example by example: -log p of the label, and p."""
    losses, shares = np.empty(len(x)), np.empty(x.shape)
    for n, row in enumerate(x.astype(np.float64)):
        powers = [math.exp(value - max(row)) for value in row]
        for c, power in enumerate(powers):
            shares[n, c] = power / sum(powers)
        losses[n] = -math.log(shares[n, labels[n]])
    return losses.astype(x.dtype), shares.astype(x.dtype)


@pytest.mark.parametrize("order", ["contiguous", "batch last", "strided", "read-only"])
@pytest.mark.parametrize("integer", [np.int64, np.uint8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 10), (5, 1), (33, 7)])
def test_losses_of_labels_are_what_the_loops_say(shape, dtype, integer, order, rng):
    x = (5 * rng.standard_normal(shape)).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0]).astype(integer)
    expected = label_losses_by_loops(x, labels)
    x = in_order(x[:, :, None, None], order)[..., 0, 0]
    before = x.copy()
    losses, shares = current.label_losses(x, labels, 1)
    close(losses, expected[0])
    close(shares, expected[1])
    assert np.array_equal(x, before)


def test_the_loss_of_what_is_no_number_is_none_either(rng):
    x = rng.standard_normal((4, 3)).astype(np.float32)
    x[0, 1], x[1, 2], x[2] = np.nan, np.inf, -np.inf
    losses, _ = current.label_losses(x, np.zeros(4, np.int64), 1)
    assert np.isnan(losses[:3]).all()
    assert np.isfinite(losses[3])


def test_an_unknown_set_in_the_environment_is_said_in_a_line():
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "tinynet", "--version"],
        env={**os.environ, "TINYNET_KERNELS": "nunpy", "PYTHONPATH": root},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert "unknown kernel set 'nunpy'; did you mean 'numpy'?" in done.stderr
    assert "Traceback" not in done.stderr
