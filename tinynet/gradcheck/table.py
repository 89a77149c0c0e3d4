"""One table: every operation of tinynet, with inputs and settings at which it can be checked.

`tinynet gradcheck --all` and the tests run through it; an operation without a row fails the tests.
The values keep away from kinks and ties by more than the steps of a check.
"""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tinynet import autograd
from tinynet.tensor import Tensor

POOLS: list[dict[str, Any]] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "stride": (1, 2), "dilation": (2, 1)},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
]


class Row(NamedTuple):
    """`op(*inputs, **settings)`, checked with respect to every input.

    op: such as "conv.conv2d". A setting that is a function is called for each use: it makes a
    fresh generator.
    """

    op: str
    inputs: tuple[np.ndarray, ...]
    settings: Mapping[str, Any] = MappingProxyType({})

    @property
    def operation(self) -> Callable[..., Tensor]:
        return autograd.registry[f"tinynet.ops.{self.op}"]

    def fresh_settings(self) -> dict[str, Any]:
        return {k: v() if callable(v) else v for k, v in self.settings.items()}

    def function(self) -> Callable[..., Tensor]:
        """The operation with its settings, as a function of the inputs alone."""

        def fn(*inputs: Any) -> Tensor:
            return self.operation(*inputs, **self.fresh_settings())

        fn.__name__ = str(self)
        fn.__signature__ = inspect.signature(self.operation)  # type: ignore[attr-defined]
        return fn

    def __str__(self) -> str:
        shapes = ",".join("x".join(map(str, x.shape)) for x in self.inputs)
        short = {k: v for k, v in self.settings.items() if not callable(v) and np.ndim(v) < 2}
        settings = ",".join(f"{k}={v}" for k, v in short.items())
        return f"{self.op.rpartition('.')[2]}({shapes};{settings})"


def table(rng: np.random.Generator) -> list[Row]:
    """The rows, with values drawn by `rng`."""

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    def positive(*shape: int) -> np.ndarray:
        return rng.uniform(0.5, 2.0, shape)

    def distinct(*shape: int) -> np.ndarray:
        """Numbers at least 0.05 apart, and as far from 0: no ties, no kink at 0."""
        count = int(np.prod(shape))
        return (rng.permutation(count) - count // 2 + 0.5).reshape(shape) * 0.1

    def each(ops: str, inputs: tuple[np.ndarray, ...], *settings: dict[str, Any]) -> list[Row]:
        """A row for each operation of a module, "module.one two", with each of some settings."""
        module, _, names = ops.partition(".")
        pairs = [(name, chosen) for name in names.split() for chosen in settings or ({},)]
        return [Row(f"{module}.{name}", inputs, chosen) for name, chosen in pairs]

    def conv(*shapes: tuple[int, ...], op: str = "conv2d", **settings: Any) -> Row:
        return Row(f"conv.{op}", tuple(normal(*shape) for shape in shapes), settings)

    def transposed(*shapes: tuple[int, ...], **settings: Any) -> Row:
        return conv(*shapes, op="conv_transpose2d", **settings)

    labels = np.array([0, 2, 1, 2])
    one, apart, above = (normal(3, 4),), (distinct(3, 4),), (positive(3, 4),)
    beside = distinct(3, 4), distinct(4) + 0.03
    steps = distinct(3, 4) * 5, np.array([0.71, -1.3, 2.1, 0.37])
    norms = [(2.0, 1), (1.0, (0, 1)), (3.0, 0), (0.5, 1), (np.inf, 1), (-np.inf, 0)]
    some_axes: list[dict[str, Any]] = [{}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}]
    weightings: list[dict[str, Any]] = [
        {},
        {"reduction": "sum", "class_weight": positive(3)},
        {"reduction": "none", "ignore_index": 2},
        {"class_weight": positive(3), "ignore_index": 0},
    ]
    with_labels = [{"target": labels, **weighting} for weighting in weightings]
    reductions = [{"reduction": reduction} for reduction in ("mean", "sum", "none")]

    return [
        # elementwise, with broadcasting
        *each("elementwise.add sub mul", (normal(3, 4), normal(3, 4))),
        *each("elementwise.add sub mul", (normal(3, 4), normal(4))),
        *each("elementwise.add sub mul", (normal(2, 1, 3), normal(4, 1))),
        Row("elementwise.div", (normal(3, 4), positive(4))),
        Row("elementwise.pow", (positive(3, 4), normal(4))),
        Row("elementwise.pow", one, {"exponent": 3}),
        *each("elementwise.neg exp tanh sigmoid silu softplus gelu", one),
        Row("elementwise.gelu", one, {"approximate": "tanh"}),
        Row("elementwise.softplus", one, {"beta": 2.5}),
        *each("elementwise.log sqrt", above),
        *each("elementwise.abs relu leaky_relu elu", apart),
        Row("activation.threshold", apart, {"threshold": 0.12, "value": 2.0}),
        Row("activation.prelu", (distinct(2, 3, 2), normal(3, 1))),
        *each("activation.hardtanh hardshrink", (5 * distinct(3, 4) + 0.03,)),
        *each("distance.vector_norm", apart, *[{"p": p, "axis": axis} for p, axis in norms]),
        Row("elementwise.leaky_relu", apart, {"negative_slope": 0.3}),
        Row("elementwise.elu", apart, {"alpha": 0.7}),
        *each("elementwise.maximum minimum", beside),
        *each("elementwise.clip", apart, {"low": -0.32, "high": 0.41}, {"high": 0.2}),
        Row("elementwise._where", (normal(3, 4), normal(4)), {"condition": normal(3, 1) > 0}),
        *each("elementary.sin cos tan atan sinh cosh asinh exp2 expm1 erf", one),
        *each("elementary.log1p log2 log10 rsqrt reciprocal", above),
        *each("elementary.asin acos atanh", apart),
        Row("elementary.acosh", (positive(3, 4) + 1,)),
        *each("elementary.atan2 hypot xlogy", (normal(3, 4), positive(4))),
        Row("elementary.logaddexp", (normal(3, 4), normal(3, 1))),
        *each("elementary.remainder fmod", steps),
        # reductions
        *each("reduction.sum mean max min var std logsumexp", (distinct(3, 4, 2),), *some_axes),
        Row("reduction.var", one, {"axis": 1, "ddof": 1}),
        Row("reduction.std", one, {"axis": 0, "ddof": 1}),
        *each("reduction.prod", (normal(3, 4, 2),), *some_axes),
        *each("reduction.cumprod cumsum", one, {"axis": 1}),
        *each("reduction.softmax log_softmax", one),
        *each("reduction.softmax log_softmax", (normal(3, 4, 2),), {"axis": 1}),
        # shape
        Row("shape.reshape", one, {"shape": (2, -1)}),
        Row("shape.permute", (normal(3, 4, 2),), {"dims": (2, 0, 1)}),
        Row("shape.expand", (normal(3, 1),), {"shape": (2, 3, 4)}),
        Row("shape.squeeze", (normal(3, 1, 2),), {"axis": 1}),
        Row("shape.unsqueeze", (normal(3, 2),), {"dim": 1}),
        Row("shape._cat", (normal(3, 2), normal(3, 4)), {"dim": 1}),
        Row("shape.pad", (normal(3, 2),), {"widths": [(1, 0), (2, 1)], "value": 1.5}),
        Row("shape.flip", one, {"dims": (0, 1)}),
        *each(
            "shape.getitem",
            (normal(4, 5),),
            {"index": (slice(1, None, 2), -1)},
            {"index": np.array([0, 2, 2, 0])},
            {"index": normal(4, 5) > 0},
        ),
        Row("shape.setitem", (normal(4, 5), normal(5)), {"index": 2}),
        Row("shape.setitem", (normal(4), np.array(0.5)), {"index": normal(4) > 0}),
        *each("shape.setitem add_at", (normal(4, 5), normal(3, 5)), {"index": np.array([0, 2, 0])}),
        Row("shape.astype", (normal(3),), {"dtype": np.dtype(np.float64)}),
        Row("shape.clone", (normal(3, 2),)),
        # products
        *each("matrices.inv det", (normal(2, 3, 3) + 3 * np.eye(3),)),
        Row("matrices.cholesky", (normal(2, 3, 3) + 5 * np.eye(3),)),
        Row("matrices.pinv", (normal(2, 4, 3),), {"rcond": 1e-9}),
        Row("matrices.pinv", (normal(3, 4),), {"rcond": 1e-9}),
        *[Row("matrices.svd", (normal(*shape),)) for shape in ((2, 3, 3), (4, 2), (2, 4))],
        *[
            Row("linear.matmul", (normal(*a), normal(*b)))
            for a, b in [
                *[((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((3, 4), (5, 4, 2))],
                *[((2, 1, 3, 4), (5, 4, 2)), ((4,), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))],
            ]
        ],
        Row("linear.linear", (normal(3, 4), normal(2, 4), normal(2))),
        Row("linear.linear", (normal(2, 3, 4), normal(2, 4))),
        Row("einsum.einsum", (normal(3, 4), normal(4, 2)), {"equation": "ij,jk->ki"}),
        Row("einsum.einsum", (normal(2, 3, 3), normal(2, 4)), {"equation": "bii,bj->b"}),
        Row(
            "einsum.einsum",
            (normal(2, 1, 3), normal(4, 3), normal(3)),
            {"equation": "...k,...k,k->..."},
        ),
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
        *each(
            "pool.max_pool2d",
            (distinct(2, 2, 6, 7),),
            *[{"relu": relu, **windows} for relu in (False, True) for windows in POOLS],
        ),
        *each(
            "pool.avg_pool2d",
            (normal(2, 2, 6, 7),),
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1},
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
            {"kernel_size": (2, 3), "stride": 3, "ceil_mode": True},
            {"kernel_size": 2, "divisor_override": 3},
        ),
        *each(
            "pool.adaptive_avg_pool2d",
            (normal(2, 2, 6, 7),),
            {"output_size": (3, 2)},
            {"output_size": 1},
        ),
        Row(
            "places.max_unpool2d",
            (normal(1, 2, 2, 2),),
            {"places": np.array([[[[0, 4], [9, 11]], [[1, 2], [5, 8]]]]), "size": (3, 4)},
        ),
        Row("resize.resample", (normal(2, 2, 3, 3),), {"matrices": [normal(4, 3), normal(4, 3)]}),
        Row("unfold.unfold", (normal(2, 2, 5, 4),), {"kernel_size": 3, "padding": 1, "stride": 2}),
        Row(
            "unfold.fold",
            (normal(2, 4, 5),),
            {"output_size": (4, 6), "kernel_size": 2, "dilation": (3, 1), "stride": (1, 1)},
        ),
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
        Row("random._dropout", one, {"p": 0.4, "rng": lambda: np.random.default_rng(5)}),
        # losses
        *each("loss.cross_entropy nll_loss", (normal(4, 3),), *with_labels),
        Row(
            "loss.cross_entropy",
            (normal(4, 3),),
            {"target": labels, "label_smoothing": 0.2, "class_weight": positive(3)},
        ),
        Row("loss.cross_entropy", (normal(2, 3, 4),), {"target": np.array([labels, labels])}),
        Row("loss.cross_entropy", (normal(2, 3), rng.dirichlet([1, 1, 1], 2))),
        *each(
            "loss.mse_loss l1_loss smooth_l1_loss huber_loss",
            (distinct(3, 4), distinct(3, 4) * 0.9 + 0.23),
            *reductions,
        ),
        Row("loss.smooth_l1_loss", (normal(3, 4), normal(3, 4)), {"beta": 0.37}),
        Row("loss.huber_loss", (normal(3, 4), normal(3, 4)), {"delta": 0.37}),
        *each(
            "loss.binary_cross_entropy_with_logits",
            (normal(3, 4), rng.random((3, 4))),
            {},
            {"weight": positive(4), "pos_weight": positive(4)},
        ),
        Row("loss.binary_cross_entropy", (rng.uniform(0.3, 0.7, (3, 4)), rng.random((3, 4)))),
    ]
