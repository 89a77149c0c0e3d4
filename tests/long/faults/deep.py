"""The same faults deep in a model: the mistake shows in the parameters before it alone.

A wrong dx of the third convolution spoils the gradients of everything in front of it, and none of
its own; which operation it was, the end-to-end difference does not say.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinynet
from tests.long.faults import broken, convolution, elementwise, normalisation, pooling
from tests.long.faults.planted import ALL, Body, Planted
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


def hide(
    op: Body, argument: str, cause: str, net: Callable[..., nn.Module], *shapes, **settings
) -> None:
    """Plant an operation in a net, checked on the cross-entropy of a batch of four."""

    def build() -> tuple[nn.Module, object]:
        tinynet.manual_seed(11)
        return net(op, *shapes, **settings), nn.CrossEntropyLoss()

    build.__name__ = net.__name__
    batch = [np.random.default_rng(3).standard_normal((4, 1, 10, 10)), np.array([0, 2, 1, 2])]
    ALL.append(Planted(op, batch, settings, argument, cause, build))


PLAIN = {"stride": 1, "padding": 1}
STRIDED = {"stride": 2, "padding": 1}
c, p, n, e = convolution, pooling, normalisation, elementwise

hide(c.my_conv, "x", "kernel not flipped", third_convolution, **PLAIN)
hide(c.my_conv, "x", "kernel not flipped", third_convolution, **STRIDED)
hide(c.conv_transposed_kernel, "x", "kernel spatially transposed", third_convolution, **PLAIN)
hide(c.conv_swapped_channels, "x", "input and output channels swapped", third_convolution, **PLAIN)
hide(c.conv_not_cropped, "x", "padding cropped at the wrong side", third_convolution, **PLAIN)
hide(c.conv_without_stride, "x", "stride ignored", third_convolution, **STRIDED)
hide(c.conv_overwrites, "x", "missing accumulation", third_convolution, **PLAIN)
hide(c.conv_dw_flipped, "w", "kernel gradient flipped", third_convolution, **PLAIN)
hide(c.conv_dw_last_image, "w", "missing sum over an axis", third_convolution, **STRIDED)
hide(c.conv_dw_over_batch, "w", "constant factor", third_convolution, **PLAIN)
hide(c.conv_db_mean, "b", "mean used for sum", third_convolution, **PLAIN)
hide(c.conv_db_first_image, "b", "bias gradient missing an axis", third_convolution, **STRIDED)
hide(p.max_pool_spread, "x", "max-pool gradient spread over the window", pooled_net,
     kernel_size=2, stride=2)  # fmt: skip
hide(p.max_pool_overwrites, "x", "missing accumulation", pooled_net, kernel_size=3, stride=2)
hide(p.avg_pool_not_divided, "x", "average not divided", pooled_net, kernel_size=2, stride=2)
hide(n.my_batch_norm, "x", n.CONSTANT, normalised_net, eps=1e-5)
hide(n.batch_norm_without_scale, "x", "w left out", normalised_net, eps=1e-5)
hide(n.batch_norm_dw_of_input, "w", "input not normalised in the gradient of the scale",
     normalised_net, eps=1e-5)  # fmt: skip
hide(e.linear_transposed, "x", "transposed weight", dense_net, (5, 5), (5,))
hide(e.linear_dw_mean, "w", "mean used for sum", dense_net, (5, 5), (5,))
hide(e.linear_db_first, "b", "bias gradient missing an axis", dense_net, (5, 5), (5,))
hide(e.swish, "x", "missing accumulation", dense_net)
hide(e.residual, "x", "missing accumulation", dense_net, (5, 5))
hide(n.my_softmax, "x", n.SOFTMAX, dense_net)
hide(e.relu_without_mask, "x", "output gradient returned unchanged", dense_net)
hide(broken.linear_db_per_example, "b", broken.SHAPE, dense_net, (5, 5), (5,))
hide(broken.sigmoid_in_place, "x", broken.OVERWRITTEN, dense_net)
hide(broken.relu_on_dy, "x", broken.WRITES, residual_net)
hide(e.relu_without_mask, "x", "output gradient returned unchanged", residual_net)
