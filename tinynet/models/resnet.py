"""Residual networks for small images: each block adds to what comes in, rather than replace it.

He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", section 4.2: one
convolution, three stages of n blocks with 16, 32 and 64 channels, the mean over the image, one
linear layer: 6n + 2 layers that learn. Where a stage halves the image and doubles the channels,
the shortcut does too without any parameter (option A): it takes every second pixel and fills the
new channels with 0. Convolutions start as in He et al. 2015, "Delving deep into rectifiers".
"""

from collections.abc import Sequence
from typing import Any

from tinynet import nn, ops
from tinynet.ops.windows import pair
from tinynet.random import Rng
from tinynet.tensor import Tensor

ImageSize = int | tuple[int, int]


class Shortcut(nn.Module):
    """Option A: every stride-th pixel, new channels 0. (N, C, H, W) -> (N, C + extra, H/s, W/s)."""

    _shown = ("extra_channels", "stride")

    def __init__(self, extra_channels: int, stride: int) -> None:
        super().__init__()
        self.extra_channels = extra_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        seen = x[:, :, :: self.stride, :: self.stride]
        return ops.pad(seen, ((0, 0), (0, self.extra_channels), (0, 0), (0, 0)))


class BasicBlock(nn.Module):
    """y = relu(f(x) + x) with f two 3x3 convolutions, each normalised.

    Shapes: x (N, inplanes, H, W) -> y (N, planes * expansion, H/stride, W/stride).
    downsample: what takes x to the shape of y, where that is another. Names are torchvision's.
    """

    expansion = 1  # output channels for each of `planes`
    sizes: Sequence[int] = (3, 3)  # of the kernels; the first of 3x3 has the stride
    relu_after = 1  # the convolution behind which the ReLU, which all share, is named

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        for k, size in enumerate(self.sizes, 1):
            after = planes * (self.expansion if k == len(self.sizes) else 1)
            step = stride if k == self.sizes.index(3) + 1 else 1
            setattr(self, f"conv{k}", conv(inplanes, after, size, step, rng))
            setattr(self, f"bn{k}", nn.BatchNorm2d(after))
            if k == self.relu_after:
                self.relu = nn.ReLU(inplace=True)
            inplanes = after
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Tensor) -> Any:
        y = x
        for k in range(1, len(self.sizes) + 1):
            y = self.relu(y) if k > 1 else y
            y = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def conv(in_channels: int, out_channels: int, size: int, stride: int, rng: Rng) -> nn.Conv2d:
    """A convolution without bias that keeps the image's size, where the stride is 1."""
    layer = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False, rng=rng)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", rng=rng)
    return layer


def stage(
    n: int,
    inplanes: int,
    planes: int,
    stride: int,
    rng: Rng = None,
    projection: bool = False,
    block: type[BasicBlock] = BasicBlock,
) -> nn.Sequential:
    """n blocks, of which the first changes the shape.

    projection: its shortcut is a 1x1 convolution, normalised (option B), in place of option A.
    """
    wide = planes * block.expansion
    shortcut: nn.Module | None = None
    if stride != 1 or inplanes != wide:
        shortcut = Shortcut(wide - inplanes, stride)
        if projection:
            shortcut = nn.Sequential(conv(inplanes, wide, 1, stride, rng), nn.BatchNorm2d(wide))
    blocks = [block(inplanes, planes, stride, shortcut, rng=rng)]
    return nn.Sequential(*blocks, *(block(wide, planes, rng=rng) for _ in range(n - 1)))


def _resnet(
    name: str, n: int, num_classes: int, in_channels: int, image_size: ImageSize, rng: Rng
) -> nn.Sequential:
    pair(name, "image_size", image_size, 4)
    return nn.Sequential(
        {
            "conv1": conv(in_channels, 16, 3, 1, rng),
            "bn1": nn.BatchNorm2d(16),
            "relu1": nn.ReLU(),
            "stage1": stage(n, 16, 16, 1, rng),
            "stage2": stage(n, 16, 32, 2, rng),
            "stage3": stage(n, 32, 64, 2, rng),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "output": nn.Linear(64, num_classes, rng=rng),
        }
    )


def resnet8(
    num_classes: int = 10, in_channels: int = 3, image_size: ImageSize = 32, rng: Rng = None
) -> nn.Sequential:
    """The paper's plan with n = 1: 75,290 parameters for RGB and 10 classes; see `resnet20`."""
    return _resnet("resnet8", 1, num_classes, in_channels, image_size, rng)


def resnet20(
    num_classes: int = 10, in_channels: int = 3, image_size: ImageSize = 32, rng: Rng = None
) -> nn.Sequential:
    """The paper's plan with n = 3: 269,722 parameters for RGB and 10 classes.

    Shapes: x (N, in_channels, H, W) -> scores (N, num_classes).
    image_size: at least 4. The model is the same for every size, since it ends in a mean over
    the image. rng: draws the initial values.
    """
    return _resnet("resnet20", 3, num_classes, in_channels, image_size, rng)
