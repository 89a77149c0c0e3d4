"""MobileNetV2: convolutions of each channel alone, between two that mix the channels of a pixel.

Sandler, Howard, Zhu, Zhmoginov & Chen 2018, "MobileNetV2: Inverted residuals and linear
bottlenecks", arXiv:1801.04381, table 2.
"""

from typing import Any

from tinynet import nn

STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
"""(expansion, channels, blocks, stride of the first of them) of each stage."""


class InvertedResidual(nn.Module):
    """Many channels between few: y = x + f(x) where the shapes allow it, else f(x)."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int) -> None:
        super().__init__()
        self.stride, hidden = stride, inp * expand_ratio
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            *([convolved(inp, hidden, 1)] if expand_ratio != 1 else []),
            convolved(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Seven stages of blocks: x (N, 3, H, W) -> (N, num_classes). width_mult scales the channels,
    to multiples of 8.
    """

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2
    ) -> None:
        super().__init__()
        width = rounded(32 * width_mult)
        layers: list[nn.Module] = [convolved(3, width, 3, 2)]
        for expansion, channels, blocks, stride in STAGES:
            for k in range(blocks):
                wide = rounded(channels * width_mult)
                layers.append(InvertedResidual(width, wide, 1 if k else stride, expansion))
                width = wide
        self.last_channel = rounded(1280 * max(1.0, width_mult))
        self.features = nn.Sequential(*layers, convolved(width, self.last_channel, 1))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, 0, 0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3)))


def convolved(inp: int, oup: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the image's size, where the stride is 1, normalised, and ReLU6."""
    conv = nn.Conv2d(inp, oup, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(oup), nn.ReLU6(inplace=True))


def rounded(channels: float) -> int:
    """The nearest multiple of 8, but no less than nine tenths of it."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8
