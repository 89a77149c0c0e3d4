"""MaxPool2d, and ReLU before it as one operation; the other pools are in `stateless.py`."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

from tinynet import autograd, ops
from tinynet.nn import functional as F
from tinynet.nn.conv import IntPair
from tinynet.nn.elementwise import ReLU
from tinynet.nn.module import Module
from tinynet.nn.trail import here
from tinynet.ops.pool import pool_arguments
from tinynet.ops.windows import pair
from tinynet.tensor import Tensor


class MaxPool2d(Module):
    """The largest number of each window; the first one takes a tie, padding counts as -inf.

    Shapes: x (N, C, H, W) -> y (N, C, OH, OW), where
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1 (ceil_mode: rounded up).

    stride: kernel_size if None. padding: at most half the kernel. return_indices: also the place
    of each, counted in the image in reading order, as MaxUnpool2d takes it.
    Raises ShapeError for a window larger than the padded image.

    >>> import tinynet
    >>> MaxPool2d(2)(tinynet.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: IntPair,
        stride: IntPair | None = None,
        padding: IntPair = 0,
        dilation: IntPair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        kernel, step, margin = pool_arguments("MaxPool2d", kernel_size, stride, padding)
        self.kernel_size = _as_given(kernel_size, kernel)
        self.stride = _as_given(kernel_size if stride is None else stride, step)
        self.padding = _as_given(padding, margin)
        self.dilation = _as_given(dilation, pair("MaxPool2d", "dilation", dilation, 1))
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor, relu: bool = False) -> Any:
        """relu: the input comes from a ReLU that leaves its work to the pool, see `fused`."""
        windows = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        if getattr(x, "array", x).ndim == 4 and not self.return_indices:
            y = ops.max_pool2d(x, *windows, relu)
            if relu and y.node is not None and not y.node.keeps:
                y.node.name = "relu_max_pool2d"  # which did the work of both
            return y
        return F.max_pool2d(F.relu(x) if relu else x, *windows, self.return_indices)


def _as_given(value: IntPair, both: tuple[int, int]) -> IntPair:
    """A pair, or the one number that was given."""
    return both if isinstance(value, (tuple, list)) else both[0]


def fused(layers: Iterable[Module]) -> list[Callable[[Any], Any]]:
    """What to call for layers in a row: each, but a ReLU leaves its work to a max-pool after it.

    max(max(a, 0), max(b, 0)) = max(max(a, b), 0), and the gradient is the same: dy goes to the
    winner if that is positive, else to nobody. But after the pool a quarter is left for ReLU to
    do, and the pool can do it in passing. Where somebody looks, by hooks or as an observer, each
    layer does its own work, and so does one of a subclass.
    """
    calls: list[Callable[[Any], Any]] = list(layers)
    for place, layer in enumerate(calls):
        if type(layer) is MaxPool2d and place and type(before := calls[place - 1]) is ReLU:
            seen = before.inplace and place == 1  # by the caller, whose tensor would change
            if not (seen or before.has_hooks() or layer.has_hooks() or autograd.state.observer):
                calls[place - 1] = functools.partial(_left_to_the_pool, before)
                calls[place] = functools.partial(layer, relu=True)
    return calls


def _left_to_the_pool(relu: Module, x: Tensor) -> Tensor:
    """A call of the ReLU that computes nothing, unless it is kept how each result was computed."""
    if not isinstance(x, Tensor):
        return relu(x)  # type: ignore[no-any-return]
    shape = x.array.shape
    if x.requires_grad and (x.node or x).keeps:
        return relu(x)  # type: ignore[no-any-return]
    if here.calls is not None:
        here.calls.append((relu, shape, shape))
    return x
