"""The pooling layers: each window of the image becomes one number. MaxPool2d is in `pool.py`.

Those for signals (N, C, L) are those for images (N, C, H, W) with one size in place of a pair;
stride is kernel_size if None. A single image or signal goes without the batch axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tinynet.nn import functional as F
from tinynet.nn.functional.arguments import beside
from tinynet.nn.stateless import Stateless
from tinynet.ops.pool import pool_arguments
from tinynet.ops.windows import pair


@dataclass(eq=False, repr=False)
class _Pool(Stateless):
    """Window, step and margin, checked when the layer is made."""

    axes: ClassVar[int] = 2
    kernel_size: Any
    stride: Any = None

    def __post_init__(self) -> None:
        given = self.settings()
        kernel, stride = given["kernel_size"], given["stride"]
        windows = kernel, stride, given.get("padding", 0)
        if self.axes == 1:
            windows = beside(1, kernel), beside(1, stride), beside(0, windows[2])
        pool_arguments(type(self).__name__, *windows)
        self.stride = kernel if stride is None else stride


@dataclass(eq=False, repr=False)
class MaxPool1d(_Pool):
    """The largest number of each window of a signal; the first one takes a tie.

    return_indices: also the place of each, as MaxUnpool1d takes it.
    """

    axes = 1
    padding: Any = 0
    dilation: Any = 1
    return_indices: bool = False
    ceil_mode: bool = False
    function = staticmethod(F.max_pool1d)
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


@dataclass(eq=False, repr=False)
class MaxUnpool2d(_Pool):
    """The way back of MaxPool2d: called with (pooled, indices), it puts each where it was.

    Everything else is 0. A third argument output_size chooses among the sizes that were pooled so.
    """

    padding: Any = 0
    function = staticmethod(F.max_unpool2d)

    def forward(self, *inputs: Any, output_size: Any = None) -> Any:
        x, indices, *more = inputs
        size = more[0] if more else output_size
        return self.function(x, indices, **self.settings(), output_size=size)


@dataclass(eq=False, repr=False)
class MaxUnpool1d(MaxUnpool2d):
    """The way back of MaxPool1d, as MaxUnpool2d."""

    axes = 1
    function = staticmethod(F.max_unpool1d)


@dataclass(eq=False, repr=False)
class AvgPool2d(_Pool):
    """The mean of each window; padding counts as 0.

    Shapes as for MaxPool2d without dilation. count_include_pad: whether padding is counted in
    the number that the sum is divided by. divisor_override: a number to divide by instead.
    """

    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    function = staticmethod(F.avg_pool2d)
    _shown = ("kernel_size", "stride", "padding")


@dataclass(eq=False, repr=False)
class AvgPool1d(_Pool):
    """The mean of each window of a signal; padding counts as 0, as in AvgPool2d."""

    axes = 1
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    function = staticmethod(F.avg_pool1d)
    _shown = ("kernel_size", "stride", "padding")


@dataclass(eq=False, repr=False)
class LPPool2d(Stateless):
    """(sum of x^p)^(1/p) of each window, p = norm_type."""

    norm_type: float
    kernel_size: Any
    stride: Any = None
    ceil_mode: bool = False
    function = staticmethod(F.lp_pool2d)


@dataclass(eq=False, repr=False)
class LPPool1d(LPPool2d):
    """(sum of x^p)^(1/p) of each window of a signal, p = norm_type."""

    function = staticmethod(F.lp_pool1d)


@dataclass(eq=False, repr=False)
class AdaptiveAvgPool2d(Stateless):
    """The mean over as many windows as the output has places, whatever the size of the image.

    Shapes: x (N, C, H, W) -> y (N, C, *output_size). output_size: a number or a pair; None in a
    pair keeps the size of the input. `AdaptiveAvgPool2d(1)` is the mean over the whole image.
    """

    output_size: Any
    function = staticmethod(F.adaptive_avg_pool2d)

    def __post_init__(self) -> None:
        size = self.output_size
        both = size if isinstance(size, (tuple, list)) else (size, size)
        pair(type(self).__name__, "output_size", [1 if n is None else n for n in both], 1)


@dataclass(eq=False, repr=False)
class AdaptiveMaxPool2d(AdaptiveAvgPool2d):
    """The maximum over windows as in AdaptiveAvgPool2d; return_indices: also its places."""

    return_indices: bool = False
    function = staticmethod(F.adaptive_max_pool2d)
    _shown = ("output_size",)


@dataclass(eq=False, repr=False)
class AdaptiveAvgPool1d(AdaptiveAvgPool2d):
    """The mean over output_size windows that cover the signal."""

    function = staticmethod(F.adaptive_avg_pool1d)


@dataclass(eq=False, repr=False)
class AdaptiveMaxPool1d(AdaptiveMaxPool2d):
    """The maximum over output_size windows that cover the signal."""

    function = staticmethod(F.adaptive_max_pool1d)
