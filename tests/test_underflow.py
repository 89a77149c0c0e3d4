"""With np.seterr(all="raise") no layer or loss stops at what rightly becomes 0; overflow does."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tinynet
from tinynet import kernels, ops
from tinynet.nn import functional as F

NUMBERS = [0, 1, -1, 20, -20, 88, -88, -103, 300, -300, 1e4, -1e4, 1e-30, -1e-30, 1e-42, -1e-42]
ROWS = np.stack([np.roll(NUMBERS, i) for i in range(4)])
IMAGE = ROWS.reshape(1, 4, 4, 4)
CHANCES = np.clip(np.abs(ROWS), 0, 1).astype(np.float32)
YES = (ROWS > 0).astype(int)
LABELS = np.array([0, 3, 7, 10])
ZEROS = np.zeros(ROWS.shape, int)


@pytest.fixture(params=kernels.available(), autouse=True)
def kernel_set(request):
    before = kernels.current.name
    kernels.use(request.param)
    yield
    kernels.use(before)


def each(x, value):
    """One number for each feature of x."""
    return np.full(x.shape[1], value, x.dtype)


# of each an operation and its input
OPERATIONS = {
    "sigmoid": (F.sigmoid, ROWS),
    "tanh": (F.tanh, ROWS),
    "relu": (F.relu, ROWS),
    "leaky_relu": (F.leaky_relu, ROWS),
    "elu": (F.elu, ROWS),
    "gelu": (F.gelu, ROWS),
    "gelu, tanh": (lambda x: F.gelu(x, "tanh"), ROWS),
    "silu": (F.silu, ROWS),
    "softplus": (lambda x: F.softplus(x, 0.3), ROWS),
    "softmax": (lambda x: F.softmax(x, 1), ROWS),
    "log_softmax": (lambda x: F.log_softmax(x, 1), ROWS),
    "logsumexp": (lambda x: ops.logsumexp(x, 1), ROWS),
    "dropout": (lambda x: F.dropout(x, 0.3, rng=np.random.default_rng(0)), ROWS),
    "mean": (lambda x: x.mean(1), ROWS),
    "var": (lambda x: x.var(1), ROWS),
    "std": (lambda x: x.std(1), ROWS),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 1, 1), IMAGE),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 1, 1), IMAGE),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 3), IMAGE),
    "batch_norm": (
        lambda x: F.batch_norm(
            x, each(x, 1e-40), each(x, 1e-40), each(x, 1e-20), each(x, 1e-30), True
        ),
        ROWS * 1e-20,
    ),
    "batch_norm, evaluation": (
        lambda x: F.batch_norm(x, each(x, 1e-40), each(x, 1e-40), each(x, 1e-20)),
        ROWS,
    ),
    "layer_norm": (lambda x: F.layer_norm(x, 16, each(x, 1e-20)), ROWS * 1e-20),
}
for reduction in ("mean", "sum", "none"):
    OPERATIONS |= {
        f"{name}, {reduction}": (functools.partial(loss, reduction=reduction), x)
        for name, loss, x in [
            ("cross_entropy", lambda x, **r: F.cross_entropy(x, LABELS, **r), ROWS),
            ("weighted", lambda x, **r: F.cross_entropy(x, LABELS, each(x, 0.1), **r), ROWS),
            ("light", lambda x, **r: F.cross_entropy(x, LABELS, each(x, 1e-37), **r), ROWS),
            (
                "smoothed",
                lambda x, **r: F.cross_entropy(x, LABELS, label_smoothing=0.1, **r),
                ROWS,
            ),
            ("soft", lambda x, **r: F.cross_entropy(x, CHANCES, **r), ROWS),
            ("nll_loss", lambda x, **r: F.nll_loss(x, LABELS, **r), ROWS),
            ("mse_loss", lambda x, **r: F.mse_loss(x, ZEROS, **r), ROWS),
            ("l1_loss", lambda x, **r: F.l1_loss(x, ZEROS, **r), ROWS),
            ("smooth_l1_loss", lambda x, **r: F.smooth_l1_loss(x, ZEROS, **r), ROWS),
            ("huber_loss", lambda x, **r: F.huber_loss(x, ZEROS, **r), ROWS),
            ("yes or no", lambda x, **r: F.binary_cross_entropy(x, YES, **r), CHANCES),
            (
                "yes or no from logits",
                lambda x, **r: F.binary_cross_entropy_with_logits(
                    x, CHANCES, pos_weight=each(x, 0.1), **r
                ),
                ROWS,
            ),
        ]
    }


@pytest.mark.parametrize("slope", [1, 1 / 3, 1e-30, 1e-40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_becomes_0_stops_no_operation_and_its_result_is_the_same(name, dtype, slope):
    operation, values = OPERATIONS[name]
    results = []
    for mode in ("ignore", "raise"):
        x = tinynet.tensor(values.astype(dtype), requires_grad=True)
        with np.errstate(all=mode):
            y = operation(x)
            y.backward(np.full(y.shape, slope, y.dtype))
        results.append((y.array, x.grad.array))
        assert np.isfinite(y.array).all()
        assert np.isfinite(x.grad.array).all()
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: ops.exp(x * 1e3),
        lambda x: ops.log(x * 0),
        lambda x: (x * 0) / (x * 0),
        lambda x: F.mse_loss(x * 1e20, np.zeros(x.shape, int)),
        lambda x: F.layer_norm(x * 1e20, x.shape[1]),
        lambda x: (x * 1e20).var(),
    ],
)
def test_overflow_and_division_by_0_are_heeded(operation):
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        operation(tinynet.tensor([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_and_its_gradient_are_right_far_out(approximate, dtype):
    far = np.sqrt(np.finfo(dtype).max) * np.array([1, 100, -1, -100], dtype)
    x = tinynet.tensor(np.array([*far, 45, -45], dtype), requires_grad=True)
    with np.errstate(all="raise"):
        y = F.gelu(x, approximate)
        y.backward(np.ones(6, dtype))
    right = x.array > 0
    np.testing.assert_array_equal(y.array, x.array * right)
    np.testing.assert_array_equal(x.grad.array, right)
