"""The convolution layers: a kernel that slides over the image, and its transpose.

How the sizes come about, and the gradients, stand in `tinynet.ops.conv`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import ops
from tinynet.creation import empty
from tinynet.nn import checks, init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer
from tinynet.ops.conv import check_output_padding, conv_padding
from tinynet.ops.windows import pair
from tinynet.tensor import Tensor

IntPair = int | tuple[int, int]


class _Conv(Module):
    """What both convolutions share: channels, sizes of the kernel, parameters."""

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair,
        dilation: IntPair,
        groups: int,
    ) -> None:
        super().__init__()
        layer = type(self).__name__
        self.in_channels = integer(layer, "in_channels", in_channels)
        self.out_channels = integer(layer, "out_channels", out_channels)
        self.kernel_size = pair(layer, "kernel_size", kernel_size, 1)
        self.stride = pair(layer, "stride", stride, 1)
        self.dilation = pair(layer, "dilation", dilation, 1)
        self.groups = integer(layer, "groups", groups)
        checks.check_groups(
            layer, self.groups, in_channels=self.in_channels, out_channels=self.out_channels
        )

    def reset_parameters(self, rng: np.random.Generator | None = None) -> None:
        """Draw the initial values anew."""
        init.default_(self.weight, self.bias, rng)

    def _make_parameters(
        self, channels: tuple[int, int], bias: bool, rng: np.random.Generator | None
    ) -> None:
        self.weight = Parameter(empty(*channels, *self.kernel_size))
        self.bias = Parameter(empty(self.out_channels)) if bias else None
        self.reset_parameters(rng)

    def _check(self, x: Tensor) -> None:
        shape = x.shape
        if len(shape) != 4 or shape[1] != self.in_channels or x.dtype.kind != "f":
            checks.check_images(type(self).__name__, "in_channels", self.in_channels, x)

    def _settings(self, padding: Any, **others: Any) -> str:
        """The settings that differ from the defaults, as PyTorch shows them."""
        shown: dict[str, Any] = {"kernel_size": self.kernel_size, "stride": self.stride}
        defaults = {"padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}
        for name, value in {"padding": padding, **others}.items():
            if value != defaults[name]:
                shown[name] = value
        if self.bias is None:
            shown["bias"] = False
        settings = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{self.in_channels}, {self.out_channels}, {settings}"


class Conv2d(_Conv):
    """Two-dimensional convolution of images.

    Shapes: x (N, in_channels, H, W) -> y (N, out_channels, OH, OW), where
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1, and OW likewise.

    kernel_size, stride, padding, dilation: a number, or a pair (vertical, horizontal).
    padding: zeros around the image; also "valid" (none) or "same" (OH = H, for stride 1).
    groups: channels are cut into that many groups that do not see each other.

    Parameters: weight (out_channels, in_channels/groups, KH, KW), bias (out_channels), both
    uniform between -/+ 1 / sqrt(fan_in), fan_in = in_channels/groups KH KW, at first (see
    `nn.init.default_`), drawn from `rng`.
    Raises ShapeError for other channels or a kernel larger than the padded image.

    >>> import tinynet
    >>> Conv2d(3, 8, kernel_size=3, padding=1)(tinynet.ones(2, 3, 16, 16)).shape
    (2, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair = 1,
        padding: IntPair | str = 0,
        dilation: IntPair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = padding
        if not isinstance(padding, str):
            self.padding = pair("Conv2d", "padding", padding, 0)
        conv_padding(self.padding, self.kernel_size, self.stride, self.dilation)  # refuses
        self._make_parameters((self.out_channels, self.in_channels // self.groups), bias, rng)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return ops.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """Channels and sizes."""
        return self._settings(self.padding, dilation=self.dilation, groups=self.groups)


class ConvTranspose2d(_Conv):
    """Transposed convolution: the map that carries dy to dx in a convolution, as a layer.

    Shapes: x (N, in_channels, H, W) -> y (N, out_channels, OH, OW), where
    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1, and OW likewise.

    output_padding: rows and columns added at one side, to choose among the sizes that a strided
    convolution maps to the same H; smaller than stride or dilation.

    Parameters: weight (in_channels, out_channels/groups, KH, KW), bias (out_channels), uniform
    between -/+ 1 / sqrt(out_channels/groups KH KW) at first, as in PyTorch, drawn from `rng`.
    Raises ShapeError for other channels.

    >>> import tinynet
    >>> ConvTranspose2d(8, 3, kernel_size=2, stride=2)(tinynet.ones(2, 8, 7, 7)).shape
    (2, 3, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntPair,
        stride: IntPair = 1,
        padding: IntPair = 0,
        output_padding: IntPair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntPair = 1,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups)
        layer = "ConvTranspose2d"
        self.padding = pair(layer, "padding", padding, 0)
        self.output_padding = pair(layer, "output_padding", output_padding, 0)
        check_output_padding(layer, output_padding, self.output_padding, self.stride, self.dilation)
        self._make_parameters((self.in_channels, self.out_channels // self.groups), bias, rng)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return ops.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )

    def extra_repr(self) -> str:
        """Channels and sizes."""
        return self._settings(
            self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )
