"""Initial values: the bounds and spreads of the papers, in place, from the generator given."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import ShapeError
from tinynet.nn import init

SHAPE = (40, 30, 5, 5)  # fan_in 750, fan_out 1000


def blank(shape=SHAPE, dtype=np.float32):
    return tinynet.zeros(shape, dtype=dtype)


def rng(seed=0):
    return np.random.default_rng(seed)


UNIFORM = [
    (lambda t: init.uniform_(t, -2, 3, rng=rng()), -2, 3),
    (lambda t: init.xavier_uniform_(t, 2.0, rng=rng()), -2 * (6 / 1750) ** 0.5, None),
    (lambda t: init.kaiming_uniform_(t, rng=rng()), -((6 / 750) ** 0.5), None),
    (lambda t: init.kaiming_uniform_(t, math.sqrt(5), rng=rng()), -((1 / 750) ** 0.5), None),
    (lambda t: init.kaiming_uniform_(t, mode="fan_out", rng=rng()), -((6 / 1000) ** 0.5), None),
]


@pytest.mark.parametrize(("fill", "low", "high"), UNIFORM)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_fills_its_interval_evenly(fill, low, high, dtype):
    t = blank(dtype=dtype)
    assert fill(t) is t
    high = -low if high is None else high
    values = t.numpy()
    width = high - low
    assert values.dtype == dtype
    assert low - 1e-6 <= values.min() < low + 0.001 * width
    assert high - 0.001 * width < values.max() <= high + 1e-6
    np.testing.assert_allclose(values.mean(), (low + high) / 2, atol=0.01 * width)
    np.testing.assert_allclose(values.std(), width / math.sqrt(12), rtol=0.01)


NORMAL = [
    (lambda t: init.normal_(t, 3, 0.5, rng=rng()), 3, 0.5),
    (lambda t: init.xavier_normal_(t, rng=rng()), 0, (2 / 1750) ** 0.5),
    (lambda t: init.kaiming_normal_(t, nonlinearity="relu", rng=rng()), 0, (2 / 750) ** 0.5),
    (lambda t: init.kaiming_normal_(t, mode="fan_out", rng=rng()), 0, (2 / 1000) ** 0.5),
    (lambda t: init.kaiming_normal_(t, nonlinearity="tanh", rng=rng()), 0, 5 / 3 / 750**0.5),
]


@pytest.mark.parametrize(("fill", "mean", "std"), NORMAL)
def test_normal_has_its_mean_and_spread_and_tails(fill, mean, std):
    values = fill(blank()).numpy()
    np.testing.assert_allclose(values.mean(), mean, atol=0.02 * std)
    np.testing.assert_allclose(values.std(), std, rtol=0.02)
    np.testing.assert_allclose((np.abs(values - mean) > 2 * std).mean(), 0.0455, atol=0.005)


def test_constants_fill_in_place():
    t = blank((2, 3))
    memory = t.numpy()
    assert init.constant_(t, 4).tolist() == [[4] * 3] * 2
    assert init.ones_(t).tolist() == [[1] * 3] * 2
    assert init.zeros_(t).tolist() == [[0] * 3] * 2
    assert t.numpy() is memory


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 2, 2)])
def test_orthogonal_rows_or_columns_have_length_gain(shape):
    values = init.orthogonal_(blank(shape, np.float64), gain=3, rng=rng()).numpy()
    matrix = values.reshape(shape[0], -1)
    product = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)


def test_memory_in_another_order_gets_the_same_values():
    plain = init.normal_(blank((3, 4)), rng=rng())
    turned = tinynet.Tensor(np.zeros((4, 3), np.float32).T)
    init.normal_(turned, rng=rng())
    np.testing.assert_array_equal(plain.numpy(), turned.numpy())


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv2d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 0.5, math.sqrt(2 / 1.25)),
        ("selu", None, 0.75),
    ],
)
def test_gains(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


def test_wrong_arguments_say_what_is_known():
    with pytest.raises(ValueError, match="unknown nonlinearity 'relu6'; did you mean 'relu'"):
        init.calculate_gain("relu6")
    with pytest.raises(ValueError, match="unknown mode 'fan_inn'; did you mean 'fan_in'"):
        init.kaiming_normal_(blank(), mode="fan_inn")
    with pytest.raises(ShapeError, match=r"needs? a weight of at least 2 axes .* shape \(3,\)"):
        init.xavier_uniform_(blank((3,)))
    with pytest.raises(ValueError, match="std must be 0 or more, got -1"):
        init.normal_(blank(), std=-1)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Linear(100, 300, rng=rng()), 100),
        (nn.Conv2d(16, 300, 3, rng=rng()), 144),
        (nn.Conv2d(16, 300, 3, groups=4, rng=rng()), 36),
        (nn.ConvTranspose2d(300, 16, 3, rng=rng()), 144),
    ],
)
def test_layers_start_between_plus_and_minus_one_over_the_root_of_fan_in(layer, fan_in):
    bound = 1 / math.sqrt(fan_in)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        assert np.abs(values).max() > 0.8 * bound
        np.testing.assert_allclose(values.std(), bound / math.sqrt(3), rtol=0.25)
    np.testing.assert_allclose(layer.weight.numpy().std(), bound / math.sqrt(3), rtol=0.03)


def test_kaiming_keeps_the_size_of_signals_through_many_layers():
    x = np.random.default_rng(0).standard_normal((100, 200))
    for seed in range(10):
        w = init.kaiming_normal_(blank((200, 200), np.float64), nonlinearity="relu", rng=rng(seed))
        x = np.maximum(x @ w.numpy().T, 0)
    assert 0.3 < np.sqrt((x**2).mean()) < 3


def test_what_cannot_be_initialised_so_is_refused():
    for call, words in [
        (lambda: init.trunc_normal_(tinynet.ones(2), 9.0), "hardly any value of N"),
        (lambda: init.trunc_normal_(tinynet.ones(2), a=1.0, b=0.0), "hardly any value of N"),
        (lambda: init.eye_(tinynet.ones(2)), "eye_: needs a matrix"),
        (lambda: init.dirac_(tinynet.ones(3, 2, 3), 2), "multiple of groups=2"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()


def test_truncated_values_stay_within_their_limits():
    values = init.trunc_normal_(tinynet.ones(50, 50), rng=np.random.default_rng(0), a=-0.5).array
    assert values.min() >= -0.5
    assert values.max() <= 2
