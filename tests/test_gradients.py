"""Every registered operation, checked against differences: the rows of `tinynet.gradcheck.table`.

Each row runs on contiguous arrays and on the same arrays in another memory order. An operation
of tinynet without a row fails the suite.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import accumulation, autograd
from tinynet.gradcheck import gradcheck
from tinynet.gradcheck.table import table

TABLE = table(np.random.default_rng(20))


def another_order(x):
    """The same array, its axes in reverse order in memory (batch last, for images)."""
    return np.asfortranarray(x)


@pytest.mark.parametrize("order", [np.ascontiguousarray, another_order])
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_gradients_agree_with_differences(row, order):
    inputs = [tinynet.Tensor(order(x) if x.ndim else x) for x in row.inputs]
    gradcheck(row.function(), inputs).raise_for_failures()


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_float32_stays_float32_forward_and_backward(row):
    inputs = [tinynet.Tensor(x, dtype=np.float32, requires_grad=True) for x in row.inputs]
    settings = {"dtype": np.dtype(np.float32)} if row.op == "shape.astype" else row.fresh_settings()
    y = row.operation(*inputs, **settings)
    assert y.dtype == np.float32
    y.backward(np.ones(y.shape, np.float32))
    assert all(x.grad.dtype == np.float32 for x in inputs)


@pytest.mark.parametrize("order", [np.ascontiguousarray, another_order])
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_an_operation_changes_nothing_that_it_is_given(row, order):
    for dtype in (np.float32, np.float64):
        inputs = [order(x.astype(dtype)) if x.ndim else x.astype(dtype) for x in row.inputs]
        y, *gradients = row.operation.forward(*inputs, **row.fresh_settings())
        dy = np.asarray(np.random.default_rng(0).standard_normal(np.shape(y)), dtype)
        before = [x.copy() for x in (*inputs, np.asarray(y), dy)]
        for gradient in gradients[: len(inputs)]:
            gradient(dy)
        for x, same in zip((*inputs, np.asarray(y), dy), before):
            assert np.array_equal(x, same, equal_nan=True)
        for x, original in zip(inputs, row.inputs):
            assert np.array_equal(x, original.astype(dtype))


STEPS = ("floor", "ceil", "trunc", "round", "sign")


@pytest.mark.parametrize("name", STEPS)
def test_steps_have_gradient_zero(name):
    x = tinynet.tensor([-1.7, -0.5, 0.0, 0.5, 2.2], requires_grad=True)
    getattr(x, name)().sum().backward()
    assert x.grad.tolist() == [0] * 5


def test_every_registered_operation_has_a_row():
    covered = {f"tinynet.ops.{row.op}" for row in TABLE}
    covered |= {f"tinynet.ops.elementary.{step}" for step in STEPS}
    ours = {name for name in autograd.registry if name.startswith("tinynet.ops.")}
    later = {name for name in ours if ".gamma." in name}  # tests/test_pytorch_names.py has these
    assert ours - covered - later == set()


def spoiled(row, change):
    """The row's operation with the gradient of its last input changed: a planted mistake."""
    body = row.operation.forward

    def wrong(*inputs, **settings):
        y, *vjps = body(*inputs, **settings)
        last = len(inputs) - 1
        shape, vjp = inputs[last].shape, vjps[last]
        vjps[last] = lambda dy: change(accumulation.sum_to_shape(vjp(dy), shape, row.op, vjp))
        return y, *vjps

    wrong.__name__ = row.op
    return autograd.differentiable(wrong)


def shifted(gradient):
    """Off by one place along the longest axis; off by half where there is but one element."""
    if gradient.size == 1:
        return gradient * 0.5
    return np.roll(gradient, 1, int(np.argmax(gradient.shape)))


MISTAKES = {
    "twice": lambda g: 2 * g,
    "minus": lambda g: -g,
    "one per mille off": lambda g: g * 1.001,
    "nothing": lambda g: 0 * g,
    "one element wrong": lambda g: g + 0.01 * (np.arange(g.size) == g.size // 2).reshape(g.shape),
    "shifted": shifted,
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_planted_mistakes_are_caught(row, mistake):
    wrong = spoiled(row, MISTAKES[mistake])
    body = row.operation.forward
    y, *vjps = body(*row.inputs, **row.fresh_settings())
    dy, vjp = np.random.default_rng(0).standard_normal(np.shape(y)), vjps[len(row.inputs) - 1]
    right = accumulation.sum_to_shape(vjp(dy), row.inputs[-1].shape, row.op, vjp)
    if np.allclose(MISTAKES[mistake](right), right, atol=1e-6):
        pytest.skip("this change leaves the gradient as it is")
    inputs = [tinynet.Tensor(x) for x in row.inputs]
    report = gradcheck(lambda *x: wrong(*x, **row.fresh_settings()), inputs)
    assert not report
    assert len(report.failures) == 1  # only the spoiled input is blamed
