"""Dropout: what is dropped, what is kept, and where the dice come from."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet.nn import functional as F


def generator():
    return np.random.default_rng(11)


def test_a_share_p_is_dropped_and_the_rest_scaled_up():
    y = F.dropout(np.ones(20_000), 0.3, rng=generator()).numpy()
    assert sorted(set(y.tolist())) == pytest.approx([0, 1 / 0.7])
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert y.mean() == pytest.approx(1, abs=0.02)


def test_gradient_is_scaled_where_kept_and_zero_where_dropped():
    x = tinynet.full((100,), fill_value=2.0, requires_grad=True)
    y = F.dropout(x, 0.5, rng=generator())
    y.backward(np.full(100, 3.0))
    assert x.grad.tolist() == (y.numpy() * 1.5).tolist()


def test_evaluation_and_p_0_give_the_input_itself():
    x = tinynet.ones(3, requires_grad=True)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    array = np.ones(3)
    assert F.dropout(array, 0.5, training=False).numpy() is array


def test_p_1_drops_everything():
    x = tinynet.ones(5, requires_grad=True)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0] * 5


def test_the_draw_depends_on_the_seed_and_the_shape_alone():
    x = np.ones((4, 3, 5))
    plain = F.dropout(x, 0.5, rng=generator()).numpy()
    last = np.ones((3, 5, 4), np.float32).transpose(2, 0, 1)
    y = F.dropout(last, 0.5, rng=generator()).numpy()
    assert y.tolist() == plain.tolist()
    assert y.strides == last.strides
    other = F.dropout(x, 0.5, rng=np.random.default_rng(12)).numpy()
    assert other.tolist() != plain.tolist()


def test_without_rng_the_seed_of_the_thread_decides():
    draws = []
    for seed in (5, 5, 6):
        tinynet.manual_seed(seed)
        draws.append(F.dropout(np.ones(64)).tolist())
    assert draws[0] == draws[1] != draws[2]


def test_dropout_keeps_float32_and_takes_an_empty_batch():
    assert F.dropout(np.ones((2, 2), np.float32), 0.3).dtype == np.float32
    assert F.dropout(np.ones((0, 2))).shape == (0, 2)
