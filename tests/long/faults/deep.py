"""The same faults deep in a model: the mistake shows in the parameters before it alone.

A wrong dx of the third convolution spoils the gradients of everything in front of it, and none of
its own; which operation it was, the end-to-end difference does not say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinynet
from tests.long.faults.planted import Body, Planted, faulty
from tests.long.faults.table import BROKEN, NUMERIC
from tinynet import nn


class Learned(nn.Module):
    """A layer that is a learner's operation: op(x, *parameters, **settings)."""

    def __init__(self, op: Body, *shapes: tuple[int, ...], **settings: int | float) -> None:
        super().__init__()
        rng = np.random.default_rng(5)
        for name, shape in zip(("weight", "bias"), shapes):
            setattr(self, name, nn.Parameter(rng.standard_normal(shape) * 0.5))
        self.names = ("weight", "bias")[: len(shapes)]
        self.op = tinynet.differentiable(op)
        self.settings = settings

    def forward(self, x):
        return self.op(x, *(getattr(self, name) for name in self.names), **self.settings)


def third_convolution(op: Body, **settings: int) -> nn.Module:
    """A small net, its third convolution the learner's."""
    side = 5 if settings["stride"] == 1 else 3
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
        Learned(op, (3, 3, 3, 3), (3,), **settings), nn.ReLU(),
        nn.Flatten(), nn.Linear(3 * side * side, 3),
    )  # fmt: skip


def pooled_net(op: Body, **settings: int) -> nn.Module:
    """Two convolutions with the learner's pool between them."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), Learned(op, **settings),
        nn.Conv2d(3, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(8, 3),
    )  # fmt: skip


def normalised_net(op: Body, **settings: float) -> nn.Module:
    """The learner's batch norm between convolution and ReLU."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), Learned(op, (3,), (3,), **settings), nn.ReLU(),
        nn.Conv2d(3, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2 * 3 * 3, 3),
    )  # fmt: skip


def dense_net(op: Body, *shapes: tuple[int, ...]) -> nn.Module:
    """A perceptron with the learner's operation between its layers."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5), nn.Tanh(),
        Learned(op, *shapes), nn.LayerNorm(5), nn.Linear(5, 3),
    )  # fmt: skip


class Skip(nn.Module):
    """x + layer(x): the gradient of the sum goes to both."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return x + self.layer(x)


def residual_net(op: Body) -> nn.Module:
    """The learner's operation beside a way past it."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(100, 5), nn.Tanh(), Skip(Learned(op)), nn.Linear(5, 3)
    )


def hide(name: str, net: Callable[..., nn.Module], *shapes, **settings) -> Planted:
    """An operation of the table in a net, checked on the cross-entropy of a batch of four."""
    _, operation, argument, cause, wrong, *_ = ROWS[name]
    op = faulty(name, operation, argument, wrong)

    def build() -> tuple[nn.Module, object]:
        tinynet.manual_seed(11)
        return net(op, *shapes, **settings), nn.CrossEntropyLoss()

    build.__name__ = net.__name__
    batch = [np.random.default_rng(3).standard_normal((4, 1, 10, 10)), np.array([0, 2, 1, 2])]
    return Planted(op, batch, settings, argument, cause, build)


ROWS = {row[0]: row for row in NUMERIC + BROKEN}

DEEP = [
    hide("my_conv", third_convolution, stride=1, padding=1),
    hide("my_conv", third_convolution, stride=2, padding=1),
    hide("conv_transposed_kernel", third_convolution, stride=1, padding=1),
    hide("conv_swapped_channels", third_convolution, stride=1, padding=1),
    hide("conv_not_cropped", third_convolution, stride=1, padding=1),
    hide("conv_without_stride", third_convolution, stride=2, padding=1),
    hide("conv_overwrites", third_convolution, stride=1, padding=1),
    hide("conv_dw_flipped", third_convolution, stride=1, padding=1),
    hide("conv_dw_last_image", third_convolution, stride=2, padding=1),
    hide("conv_dw_over_batch", third_convolution, stride=1, padding=1),
    hide("conv_db_mean", third_convolution, stride=1, padding=1),
    hide("conv_db_first_image", third_convolution, stride=2, padding=1),
    hide("max_pool_spread", pooled_net, kernel_size=2, stride=2),
    hide("max_pool_overwrites", pooled_net, kernel_size=3, stride=2),
    hide("avg_pool_not_divided", pooled_net, kernel_size=2, stride=2),
    hide("my_batch_norm", normalised_net, eps=1e-5),
    hide("batch_norm_without_scale", normalised_net, eps=1e-5),
    hide("batch_norm_dw_of_input", normalised_net, eps=1e-5),
    hide("linear_transposed", dense_net, (5, 5), (5,)),
    hide("linear_dw_mean", dense_net, (5, 5), (5,)),
    hide("linear_db_first", dense_net, (5, 5), (5,)),
    hide("swish", dense_net),
    hide("residual", dense_net, (5, 5)),
    hide("my_softmax", dense_net),
    hide("relu_without_mask", dense_net),
    hide("linear_db_per_example", dense_net, (5, 5), (5,)),
    hide("sigmoid_in_place", dense_net),
    hide("relu_on_dy", residual_net),
    hide("relu_without_mask", residual_net),
]
