"""Batch and layer normalisation: statistics, running statistics, memory order, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet.gradcheck import gradcheck
from tinynet.nn import functional as F
from tinynet.ops import norm

rng = np.random.default_rng(4)


def batch_last(x):
    """The same values, lying in memory as (C, H, W, N)."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(-1 % x.ndim, *range(x.ndim - 1))


def other_axes(x):
    return (0, *range(2, x.ndim))


SHAPES = [(6, 3), (4, 3, 5), (4, 3, 2, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_training_gives_each_channel_its_bias_as_mean_and_weight_as_deviation(shape):
    x = rng.standard_normal(shape) * 7 + 3
    w, b = np.array([0.5, 2.0, 1.0]), np.array([-1.0, 0.0, 5.0])
    y = F.batch_norm(x, None, None, w, b, training=True, eps=0).numpy()
    np.testing.assert_allclose(y.mean(other_axes(x)), b, atol=1e-12)
    np.testing.assert_allclose(y.std(other_axes(x)), w, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_running_statistics_move_in_place_towards_the_unbiased_ones(shape):
    x = rng.standard_normal(shape) * 2 + 3
    mean, var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    expected_mean = 0.7 * mean + 0.3 * x.mean(other_axes(x))
    expected_var = 0.7 * var + 0.3 * x.var(other_axes(x), ddof=1)
    F.batch_norm(tinynet.tensor(x, requires_grad=True), mean, var, training=True, momentum=0.3)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(var, expected_var, rtol=1e-12)


def test_running_statistics_may_be_tensors_of_another_dtype():
    x = rng.standard_normal((6, 3))
    mean, var = tinynet.zeros(3), tinynet.ones(3)
    F.batch_norm(x, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), x.mean(0), atol=1e-6)
    np.testing.assert_allclose(var.numpy(), x.var(0, ddof=1), rtol=1e-6)


def test_evaluation_normalises_by_the_running_statistics_and_leaves_them():
    x = rng.standard_normal((4, 3, 2, 5))
    mean, var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    w, b = np.array([0.5, 2.0, 1.0]), np.array([-1.0, 0.0, 5.0])
    y = F.batch_norm(x, mean, var, w, b, eps=0.1).numpy()
    for c in range(3):
        expected = (x[:, c] - mean[c]) / np.sqrt(var[c] + 0.1) * w[c] + b[c]
        np.testing.assert_allclose(y[:, c], expected, atol=1e-13)
    assert mean.tolist() == [1, 2, 3]
    assert var.tolist() == [4, 5, 6]


def test_gradient_in_evaluation_is_that_of_the_statistics_at_the_forward_pass():
    x = tinynet.Tensor(rng.standard_normal((6, 3)), requires_grad=True)
    w = tinynet.Tensor(np.ones(3), requires_grad=True)
    mean, var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    y = F.batch_norm(x, mean, var, w, eps=0)
    h = y.numpy().copy()
    F.batch_norm(x.detach(), mean, var, training=True)  # moves both
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.ones((6, 1)) / np.sqrt([4, 5, 6]), rtol=1e-12)
    np.testing.assert_allclose(w.grad.numpy(), h.sum(0), rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_last_memory_gives_the_same_result_and_stays_batch_last(shape, training):
    x = rng.standard_normal(shape)
    dy = rng.standard_normal(shape)
    results = []
    for order in (np.ascontiguousarray, batch_last):
        t = tinynet.Tensor(order(x), requires_grad=True)
        w = tinynet.Tensor(np.array([0.5, 2.0, 1.0]), requires_grad=True)
        b = tinynet.Tensor(np.zeros(3), requires_grad=True)
        y = F.batch_norm(t, np.zeros(3), np.ones(3), w, b, training)
        y.backward(order(dy))
        results.append([a.numpy() for a in (y, t.grad, w.grad, b.grad)])
    for plain, last in zip(*results):
        np.testing.assert_allclose(last, plain, atol=1e-13)
    for y in results[1][:2]:
        assert np.moveaxis(y, 0, -1).flags.c_contiguous


def test_batch_norm_does_not_lose_a_small_variance_beside_a_large_mean():
    x = (rng.standard_normal((64, 2, 4, 4)) + 1e4).astype(np.float32)
    y = F.batch_norm(x, None, None, training=True).numpy()
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, atol=1e-3)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=5e-3)  # 5 ulp of the mean


def test_a_second_backward_with_another_gradient_does_not_reuse_the_sums_of_the_first():
    x = tinynet.Tensor(rng.standard_normal((6, 3)), requires_grad=True)
    w = tinynet.Tensor(rng.standard_normal(3), requires_grad=True)
    y = F.batch_norm(x, None, None, w, training=True)
    first, second = rng.standard_normal((2, 6, 3))
    y.backward(first, retain_graph=True)
    dx, dw = x.grad.numpy(), w.grad.numpy()
    x.zero_grad()
    w.zero_grad()
    y.backward(second)
    h = F.batch_norm(x.detach(), None, None, training=True).numpy()
    np.testing.assert_allclose(w.grad.numpy(), (second * h).sum(0), atol=1e-12)
    np.testing.assert_allclose(dw, (first * h).sum(0), atol=1e-12)
    assert not np.allclose(dx, x.grad.numpy())


def test_the_sums_of_the_backward_pass_are_computed_once(monkeypatch):
    calls = []
    plain = norm._channel_sum
    monkeypatch.setattr(norm, "_channel_sum", lambda *args: calls.append(len(args)) or plain(*args))
    tensors = [
        tinynet.Tensor(rng.standard_normal(s), requires_grad=True) for s in ((6, 3), (3,), (3,))
    ]
    y = F.batch_norm(tensors[0], None, None, *tensors[1:], training=True)
    forward = len(calls)
    y.backward(np.ones((6, 3)))
    assert forward == 2
    assert len(calls) == 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
def test_channel_sums_are_sums_over_all_other_axes(shape, order):
    x, factor = rng.standard_normal((2, *shape))
    np.testing.assert_allclose(norm._channel_sum(order(x)), x.sum(other_axes(x)), atol=1e-12)
    for other in (np.ascontiguousarray, batch_last):
        np.testing.assert_allclose(
            norm._channel_sum(order(x), other(factor)), (x * factor).sum(other_axes(x)), atol=1e-12
        )


@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_batch_norm_agree_with_differences(shape, training, given):
    mean, var = rng.standard_normal(3), rng.uniform(0.5, 2, 3)

    def layer(x, *vectors):
        vectors = list(vectors)
        w, b = (vectors.pop(0) if there else None for there in given)
        return F.batch_norm(x, mean.copy(), var.copy(), w, b, training, eps=0.01)

    inputs = [rng.standard_normal(shape), *rng.standard_normal((sum(given), 3))]
    gradcheck(layer, [tinynet.Tensor(batch_last(inputs[0])), *inputs[1:]]).raise_for_failures()


def test_an_empty_batch_flows_through_evaluation():
    x = tinynet.Tensor(np.zeros((0, 3, 2, 2)), requires_grad=True)
    w = tinynet.Tensor(np.ones(3), requires_grad=True)
    y = F.batch_norm(x, np.zeros(3), np.ones(3), w)
    y.sum().backward()
    assert y.shape == x.grad.shape == (0, 3, 2, 2)
    assert w.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("sizes", [(4,), (3, 4), (2, 3, 4)])
def test_layer_norm_gives_each_example_mean_0_and_variance_1_before_weight_and_bias(sizes):
    x = rng.standard_normal((2, 3, 4)) * 5 + 2
    w, b = rng.standard_normal((2, *sizes))
    axes = tuple(range(3 - len(sizes), 3))
    h = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.1)
    y = F.layer_norm(x, sizes, w, b, eps=0.1)
    np.testing.assert_allclose(y.numpy(), h * w + b, atol=1e-13)
    np.testing.assert_allclose(F.layer_norm(x, sizes, eps=0.1).numpy(), h, atol=1e-13)


def test_layer_norm_takes_an_int_and_an_empty_batch():
    assert F.layer_norm(np.zeros((0, 4)), 4).shape == (0, 4)
    x = rng.standard_normal((3, 4))
    assert F.layer_norm(x, 4).tolist() == F.layer_norm(x, (4,)).tolist()


@pytest.mark.parametrize("sizes", [(4,), (3, 4)])
@pytest.mark.parametrize("given", [(True, True), (True, False), (False, True), (False, False)])
def test_gradients_of_layer_norm_agree_with_differences(given, sizes):
    def layer(x, *vectors):
        vectors = list(vectors)
        w, b = (vectors.pop(0) if there else None for there in given)
        return F.layer_norm(x, sizes, w, b, eps=0.01)

    inputs = [rng.standard_normal((2, 3, 4)), *rng.standard_normal((sum(given), *sizes))]
    gradcheck(layer, inputs).raise_for_failures()


def test_normalisation_keeps_float32():
    x = tinynet.randn(4, 3, 2, 2, rng=rng, requires_grad=True)
    for y in (
        F.batch_norm(x, tinynet.zeros(3), tinynet.ones(3), training=True),
        F.batch_norm(x, tinynet.zeros(3), tinynet.ones(3)),
        F.layer_norm(x, (2, 2)),
    ):
        assert y.dtype == np.float32
        x.zero_grad()
        y.sum().backward()
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
def test_a_variance_that_overflows_makes_nan_and_not_a_quiet_0(training, dtype):
    x = np.ones((4, 3), dtype)
    x[0, 0] = 10 * np.sqrt(np.finfo(dtype).max)
    mean, var = np.zeros(3, dtype), np.array([np.inf, 1, 1], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        y = F.batch_norm(x, mean, var, training=training).array
        z = F.layer_norm(x, 3).array
    assert np.isnan(y).tolist() == [[True, False, False]] * 4
    assert np.isnan(z).tolist() == [[True] * 3] + [[False] * 3] * 3
