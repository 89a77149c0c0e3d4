"""The convolution layers: a kernel that slides over the image, and its transpose.

How the sizes come about, and the gradients, stand in `tinynet.ops.conv`. The layers for signals
(N, C, L) are those for images (N, C, H, W) with one size in place of a pair.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tinynet.creation import empty
from tinynet.errors import ShapeError
from tinynet.nn import checks, init
from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer, one_of
from tinynet.ops.conv import check_output_padding, conv_padding
from tinynet.ops.windows import pair
from tinynet.random import Rng, default_rng, use_rng
from tinynet.tensor import Tensor

IntPair = int | tuple[int, int]


class _Conv(Module):
    """What all convolutions share: channels, sizes of the kernel, parameters."""

    axes: ClassVar[int] = 2  # that the kernel slides over
    transposed: ClassVar[bool] = False
    padding_modes: ClassVar[tuple[str, ...]] = ("zeros", "reflect", "replicate", "circular")
    function: ClassVar[Callable[..., Tensor]]
    padding: Any
    bias: Parameter | None

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
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        layer = type(self).__name__
        self.in_channels = integer(layer, "in_channels", in_channels)
        self.out_channels = integer(layer, "out_channels", out_channels)
        self.kernel_size = self._sizes("kernel_size", kernel_size, 1)
        self.stride = self._sizes("stride", stride, 1)
        self.dilation = self._sizes("dilation", dilation, 1)
        self.groups = integer(layer, "groups", groups)
        channels = self.in_channels, self.out_channels
        checks.check_groups(layer, groups, in_channels=channels[0], out_channels=channels[1])
        named = isinstance(padding, str) and not self.transposed
        self.padding = padding if named else self._sizes("padding", padding, 0)
        self.output_padding = self._sizes("output_padding", 0, 0)
        self.padding_mode = one_of(layer, "padding_mode", padding_mode, self.padding_modes)
        self._borders()  # refuses what does not go
        first, second = channels if self.transposed else channels[::-1]
        self.weight = Parameter(empty(first, second // self.groups, *self.kernel_size))
        self.bias = Parameter(empty(self.out_channels)) if bias else None
        with use_rng(default_rng(rng)):
            self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def _sizes(self, name: str, value: Any, least: int) -> Any:
        """One number for each axis, from one number or as many."""
        layer = type(self).__name__
        if self.axes == 2:
            return pair(layer, name, value, least)
        alone = isinstance(value, (tuple, list)) and len(value) == 1
        return (integer(layer, name, value[0] if alone else value, least),)

    def reset_parameters(self, rng: Rng = None) -> None:
        """Draw the initial values anew."""
        init.default_(self.weight, self.bias, rng)

    def _borders(self) -> list[int]:
        """The padding as F.pad takes it: (left, right), then (top, bottom)."""
        given = (self.padding, 0), (self.kernel_size, 1), (self.stride, 1), (self.dilation, 1)
        signal = self.axes == 1
        pairs = ((high, *n) if signal and not isinstance(n, str) else n for n, high in given)
        vertical, horizontal = conv_padding(*pairs)
        return [*horizontal, *vertical][: 2 * self.axes]

    def _check(self, x: Tensor) -> None:
        array, axes = getattr(x, "array", x), self.axes
        fits = array.ndim in (axes + 1, axes + 2) and array.shape[-axes - 1] == self.in_channels
        if not fits or array.dtype.kind != "f":
            checks.check_images(type(self).__name__, "in_channels", self.in_channels, x, axes)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return self._conv_forward(x, self.weight, self.bias)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with other weights, for subclasses that compute theirs."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._borders(), self.padding_mode), (0,) * self.axes
        return self.function(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Channels, sizes, and the settings that are not the usual ones, as PyTorch shows them."""
        none, one = (0,) * self.axes, (1,) * self.axes
        usual = {"padding": none, "output_padding": none, "dilation": one, "groups": 1}
        unusual = [name for name in usual if getattr(self, name) != usual[name]]
        shown = [f"{name}={getattr(self, name)}" for name in ("kernel_size", "stride", *unusual)]
        shown += ["bias=False"] if self.bias is None else []
        shown += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join([str(self.in_channels), str(self.out_channels), *shown])


class Conv2d(_Conv):
    """Two-dimensional convolution of images.

    Shapes: x (N, in_channels, H, W) -> y (N, out_channels, OH, OW), where
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1, and OW likewise.

    kernel_size, stride, padding, dilation: a number, or a pair (vertical, horizontal).
    padding: zeros around the image; also "valid" (none) or "same" (OH = H, for stride 1).
    padding_mode: "zeros", or what stands there instead: "reflect", "replicate", "circular".
    groups: channels are cut into that many groups that do not see each other.

    Parameters: weight (out_channels, in_channels/groups, KH, KW), bias (out_channels), both
    uniform between -/+ 1 / sqrt(fan_in), fan_in = in_channels/groups KH KW, at first (see
    `nn.init.default_`), drawn from `rng`.
    Raises ShapeError for other channels or a kernel larger than the padded image.

    >>> import tinynet
    >>> Conv2d(3, 8, kernel_size=3, padding=1)(tinynet.ones(2, 3, 16, 16)).shape
    tinynet.Size([2, 8, 16, 16])
    """

    function = staticmethod(F.conv2d)


class Conv1d(_Conv):
    """One-dimensional convolution of signals (N, in_channels, L): Conv2d with a height of one.

    Sizes are a number, or a tuple of one. Parameters: weight (out_channels, in_channels/groups, K),
    bias (out_channels).

    >>> import tinynet
    >>> Conv1d(3, 8, kernel_size=5, stride=2)(tinynet.ones(2, 3, 16)).shape
    tinynet.Size([2, 8, 6])
    """

    axes = 1
    function = staticmethod(F.conv1d)


class _ConvTranspose(_Conv):
    """What the transposed convolutions share."""

    transposed = True
    padding_modes = ("zeros",)

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
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Rng = None,
    ) -> None:
        others = dilation, groups, bias, padding_mode, device, dtype
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, *others, rng=rng)
        self.output_padding = sizes = self._sizes("output_padding", output_padding, 0)
        layer = type(self).__name__
        check_output_padding(layer, output_padding, sizes, self.stride, self.dilation)

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """output_size: the spatial sizes wanted, which take the place of output_padding."""
        self._check(x)
        more = self.output_padding if output_size is None else self._padding_for(x, output_size)
        sizes = self.stride, self.padding, more
        return self.function(x, self.weight, self.bias, *sizes, self.groups, self.dilation)

    def _padding_for(self, x: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output_padding that gives these sizes; ShapeError where none does."""
        count = len(self.kernel_size)
        wanted = tuple(output_size)[-count:]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                x.shape[-count:], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        most = [n + max(s, d) - 1 for n, s, d in zip(least, self.stride, self.dilation)]
        if len(wanted) < count or not all(a <= n <= b for a, n, b in zip(least, wanted, most)):
            raise ShapeError(
                f"{type(self).__name__}: output_size {tuple(output_size)} is out of reach for an "
                f"input of shape {x.shape}; it may be from {tuple(least)} to {tuple(most)}"
            )
        return tuple(n - a for n, a in zip(wanted, least))


class ConvTranspose2d(_ConvTranspose):
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
    tinynet.Size([2, 3, 14, 14])
    """

    function = staticmethod(F.conv_transpose2d)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of signals (N, in_channels, L): ConvTranspose2d of height one.

    Parameters: weight (in_channels, out_channels/groups, K), bias (out_channels).

    >>> import tinynet
    >>> ConvTranspose1d(8, 3, kernel_size=2, stride=2)(tinynet.ones(2, 8, 7)).shape
    tinynet.Size([2, 3, 14])
    """

    axes = 1
    function = staticmethod(F.conv_transpose1d)
