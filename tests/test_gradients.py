"""One table: every registered operation, its inputs and settings, checked against differences.

Each row runs on contiguous arrays and on the same arrays in another memory order. An operation
of tinynet without a row fails the suite. The values keep away from kinks and ties by more than
the step of the check, and the output gradient is random.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import autograd
from tinynet.gradcheck import gradcheck

rng = np.random.default_rng(20)


def normal(*shape):
    return rng.standard_normal(shape)


def positive(*shape):
    return rng.uniform(0.5, 2.0, shape)


def distinct(*shape):
    """Numbers at least 0.05 apart, and as far from 0: no ties, no kink at 0."""
    count = int(np.prod(shape))
    return (rng.permutation(count) - count // 2 + 0.5).reshape(shape) * 0.1


@dataclass
class Row:
    """`op(*inputs, **settings)`, checked with respect to every input.

    A setting that is a function is called for each use: it makes a fresh generator.
    """

    op: str
    inputs: tuple[np.ndarray, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    def fresh_settings(self):
        return {k: v() if callable(v) else v for k, v in self.settings.items()}

    def __str__(self):
        shapes = ",".join("x".join(map(str, x.shape)) for x in self.inputs)
        settings = ",".join(f"{k}={v}" for k, v in self.settings.items() if np.ndim(v) < 2)
        return f"{self.op.rpartition('.')[2]}({shapes};{settings})"


def conv(*shapes, **settings):
    return Row("conv.conv2d", tuple(normal(*shape) for shape in shapes), settings)


def transposed(*shapes, **settings):
    return Row("conv.conv_transpose2d", tuple(normal(*shape) for shape in shapes), settings)


labels = np.array([0, 2, 1, 2])

TABLE = [
    # elementwise, with broadcasting
    *[
        Row(f"elementwise.{op}", inputs)
        for op in ("add", "sub", "mul")
        for inputs in [
            (normal(3, 4), normal(3, 4)),
            (normal(3, 4), normal(4)),
            (normal(2, 1, 3), normal(4, 1)),
        ]
    ],
    Row("elementwise.div", (normal(3, 4), positive(4))),
    Row("elementwise.pow", (positive(3, 4), normal(4))),
    Row("elementwise.pow", (normal(3, 4),), {"exponent": 3}),
    *[
        Row(f"elementwise.{op}", (normal(3, 4),))
        for op in ("neg", "exp", "tanh", "sigmoid", "silu", "softplus", "gelu")
    ],
    Row("elementwise.gelu", (normal(3, 4),), {"approximate": "tanh"}),
    Row("elementwise.softplus", (normal(3, 4),), {"beta": 2.5}),
    Row("elementwise.log", (positive(3, 4),)),
    Row("elementwise.sqrt", (positive(3, 4),)),
    *[Row(f"elementwise.{op}", (distinct(3, 4),)) for op in ("abs", "relu", "leaky_relu", "elu")],
    Row("elementwise.leaky_relu", (distinct(3, 4),), {"negative_slope": 0.3}),
    Row("elementwise.elu", (distinct(3, 4),), {"alpha": 0.7}),
    Row("elementwise.maximum", (distinct(3, 4), distinct(4) + 0.03)),
    Row("elementwise.minimum", (distinct(3, 4), distinct(4) + 0.03)),
    Row("elementwise.clip", (distinct(3, 4),), {"low": -0.32, "high": 0.41}),
    Row("elementwise.clip", (distinct(3, 4),), {"high": 0.2}),
    Row("elementwise._where", (normal(3, 4), normal(4)), {"condition": normal(3, 1) > 0}),
    # reductions
    *[
        Row(f"reduction.{op}", (distinct(3, 4, 2),), settings)
        for op in ("sum", "mean", "max", "min", "var", "std", "logsumexp")
        for settings in [{}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}]
    ],
    Row("reduction.var", (normal(3, 4),), {"axis": 1, "ddof": 1}),
    Row("reduction.std", (normal(3, 4),), {"axis": 0, "ddof": 1}),
    Row("reduction.cumsum", (normal(3, 4),), {"axis": 1}),
    Row("reduction.softmax", (normal(3, 4),)),
    Row("reduction.softmax", (normal(3, 4, 2),), {"axis": 1}),
    Row("reduction.log_softmax", (normal(3, 4),)),
    Row("reduction.log_softmax", (normal(3, 4, 2),), {"axis": 1}),
    # shape
    Row("shape.reshape", (normal(3, 4),), {"shape": (2, -1)}),
    Row("shape.permute", (normal(3, 4, 2),), {"dims": (2, 0, 1)}),
    Row("shape.expand", (normal(3, 1),), {"shape": (2, 3, 4)}),
    Row("shape.squeeze", (normal(3, 1, 2),), {"axis": 1}),
    Row("shape.unsqueeze", (normal(3, 2),), {"axis": 1}),
    Row("shape._cat", (normal(3, 2), normal(3, 4)), {"dim": 1}),
    Row("shape.pad", (normal(3, 2),), {"widths": [(1, 0), (2, 1)], "value": 1.5}),
    Row("shape.flip", (normal(3, 4),), {"dims": (0, 1)}),
    Row("shape.getitem", (normal(4, 5),), {"index": (slice(1, None, 2), -1)}),
    Row("shape.getitem", (normal(4, 5),), {"index": np.array([0, 2, 2, 0])}),
    Row("shape.getitem", (normal(4, 5),), {"index": normal(4, 5) > 0}),
    Row("shape.setitem", (normal(4, 5), normal(5)), {"index": 2}),
    Row("shape.setitem", (normal(4, 5), normal(3, 5)), {"index": np.array([0, 2, 0])}),
    Row("shape.setitem", (normal(4), np.array(0.5)), {"index": normal(4) > 0}),
    Row("shape.astype", (normal(3),), {"dtype": np.dtype(np.float64)}),
    Row("shape.clone", (normal(3, 2),)),
    # products
    Row("linear.matmul", (normal(3, 4), normal(4, 2))),
    Row("linear.matmul", (normal(2, 3, 4), normal(4, 2))),
    Row("linear.matmul", (normal(3, 4), normal(5, 4, 2))),
    Row("linear.matmul", (normal(2, 1, 3, 4), normal(5, 4, 2))),
    Row("linear.matmul", (normal(4), normal(4))),
    Row("linear.matmul", (normal(4), normal(2, 4, 3))),
    Row("linear.matmul", (normal(2, 3, 4), normal(4))),
    Row("linear.linear", (normal(3, 4), normal(2, 4), normal(2))),
    Row("linear.linear", (normal(2, 3, 4), normal(2, 4))),
    # convolution
    conv((2, 3, 6, 7), (4, 3, 3, 3), (4,)),
    conv((2, 3, 6, 7), (4, 3, 3, 3), stride=2, padding=1),
    conv((2, 4, 6, 7), (4, 2, 3, 2), (4,), stride=(2, 1), padding=(0, 2), groups=2),
    conv((2, 2, 7, 7), (3, 2, 3, 3), dilation=2, padding=2),
    conv((2, 2, 5, 6), (3, 2, 2, 3), padding="same"),
    conv((2, 4, 5, 5), (4, 1, 3, 3), groups=4, padding="valid"),
    transposed((2, 3, 4, 3), (3, 2, 3, 3), (2,)),
    transposed((2, 3, 4, 3), (3, 2, 3, 3), stride=2, padding=1, output_padding=1),
    transposed((2, 4, 3, 3), (4, 2, 2, 3), (4,), groups=2, stride=(2, 1), dilation=(1, 2)),
    # pooling
    *[
        Row("pool.max_pool2d", (distinct(2, 2, 6, 7),), settings)
        for settings in [
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": (2, 3), "stride": (1, 2), "dilation": (2, 1)},
            {"kernel_size": 3, "stride": 2, "ceil_mode": True},
        ]
    ],
    *[
        Row("pool.avg_pool2d", (normal(2, 2, 6, 7),), settings)
        for settings in [
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
            {"kernel_size": (2, 3), "stride": 3, "ceil_mode": True},
        ]
    ],
    Row("pool.adaptive_avg_pool2d", (normal(2, 2, 6, 7),), {"output_size": (3, 2)}),
    Row("pool.adaptive_avg_pool2d", (normal(2, 2, 6, 7),), {"output_size": 1}),
    # normalisation and dropout
    *[
        Row("norm.batch_norm", (normal(*shape), normal(3), normal(3)), {"training": True})
        for shape in [(5, 3), (4, 3, 3, 2)]
    ],
    Row("norm.batch_norm", (normal(4, 3, 3, 2),), {"training": True, "eps": 0.1}),
    Row(
        "norm.batch_norm",
        (normal(4, 3, 3, 2), normal(3), normal(3)),
        {"training": False, "running_mean": normal(3), "running_var": positive(3)},
    ),
    Row("norm.layer_norm", (normal(3, 4), normal(4), normal(4)), {"normalized_shape": 4}),
    Row("norm.layer_norm", (normal(2, 3, 4),), {"normalized_shape": (3, 4)}),
    Row("random._dropout", (normal(3, 4),), {"p": 0.4, "rng": lambda: np.random.default_rng(5)}),
    # losses
    *[
        Row(f"loss.{op}", (x,), {"target": labels, **settings})
        for op, x in [("cross_entropy", normal(4, 3)), ("nll_loss", normal(4, 3))]
        for settings in [
            {},
            {"reduction": "sum", "class_weight": positive(3)},
            {"reduction": "none", "ignore_index": 2},
            {"class_weight": positive(3), "ignore_index": 0},
        ]
    ],
    Row(
        "loss.cross_entropy",
        (normal(4, 3),),
        {"target": labels, "label_smoothing": 0.2, "class_weight": positive(3)},
    ),
    Row("loss.cross_entropy", (normal(2, 3, 4),), {"target": np.array([labels, labels])}),
    Row("loss.cross_entropy", (normal(2, 3), rng.dirichlet([1, 1, 1], 2))),
    *[
        Row(f"loss.{op}", (distinct(3, 4), distinct(3, 4) * 0.9 + 0.23), {"reduction": reduction})
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
        for reduction in ("mean", "sum", "none")
    ],
    Row("loss.smooth_l1_loss", (normal(3, 4), normal(3, 4)), {"beta": 0.37}),
    Row("loss.huber_loss", (normal(3, 4), normal(3, 4)), {"delta": 0.37}),
    *[
        Row("loss.binary_cross_entropy_with_logits", (normal(3, 4), rng.random((3, 4))), settings)
        for settings in [{}, {"weight": positive(4), "pos_weight": positive(4)}]
    ],
    Row("loss.binary_cross_entropy", (rng.uniform(0.1, 0.9, (3, 4)), rng.random((3, 4)))),
]


def operation(row):
    return autograd.registry[f"tinynet.ops.{row.op}"]


def another_order(x):
    """The same array, its axes in reverse order in memory (batch last, for images)."""
    return np.asfortranarray(x)


@pytest.mark.parametrize("order", [np.ascontiguousarray, another_order])
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_gradients_agree_with_differences(row, order):
    def fn(*inputs):
        return operation(row)(*inputs, **row.fresh_settings())

    fn.__name__ = str(row)
    inputs = [tinynet.Tensor(order(x) if x.ndim else x) for x in row.inputs]
    gradcheck(fn, inputs).raise_for_failures()


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_float32_stays_float32_forward_and_backward(row):
    inputs = [tinynet.Tensor(x, dtype=np.float32, requires_grad=True) for x in row.inputs]
    settings = {"dtype": np.dtype(np.float32)} if row.op == "shape.astype" else row.fresh_settings()
    y = operation(row)(*inputs, **settings)
    assert y.dtype == np.float32
    y.backward(np.ones(y.shape, np.float32))
    assert all(x.grad.dtype == np.float32 for x in inputs)


def test_every_registered_operation_has_a_row():
    covered = {f"tinynet.ops.{row.op}" for row in TABLE}
    ours = {name for name in autograd.registry if name.startswith("tinynet.ops.")}
    assert ours - covered == set()


def spoiled(row, change):
    """The row's operation with the gradient of its last input changed: a planted mistake."""
    body = operation(row).forward

    def wrong(*inputs, **settings):
        y, *pulls = body(*inputs, **settings)
        last = len(inputs) - 1
        shape, pull = inputs[last].shape, pulls[last]
        pulls[last] = lambda dy: change(autograd.sum_to_shape(pull(dy), shape, row.op, pull))
        return y, *pulls

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
    body = operation(row).forward
    y, *pulls = body(*row.inputs, **row.fresh_settings())
    dy, pull = np.random.default_rng(0).standard_normal(np.shape(y)), pulls[len(row.inputs) - 1]
    right = autograd.sum_to_shape(pull(dy), row.inputs[-1].shape, row.op, pull)
    if np.allclose(MISTAKES[mistake](right), right, atol=1e-6):
        pytest.skip("this change leaves the gradient as it is")
    inputs = [tinynet.Tensor(x) for x in row.inputs]
    report = gradcheck(lambda *x: wrong(*x, **row.fresh_settings()), inputs)
    assert not report
    assert len(report.failures) == 1  # only the spoiled input is blamed
