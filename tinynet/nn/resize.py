"""Layers for images of another size: interpolation, channels for places, windows as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinynet.nn import functional as F
from tinynet.nn.stateless import Stateless


@dataclass(eq=False, repr=False)
class _Upsampling(Stateless):
    """What all of them do with their size and factor."""

    size: Any = None
    scale_factor: Any = None
    function = staticmethod(F.interpolate)

    def __post_init__(self) -> None:
        factor = self.scale_factor
        if isinstance(factor, (tuple, list)):
            self.scale_factor = tuple(map(float, factor))
        elif factor is not None:
            self.scale_factor = float(factor)

    def extra_repr(self) -> str:
        """Size or factor, and the mode."""
        what = "size" if self.scale_factor is None else "scale_factor"
        return f"{what}={getattr(self, what)}, mode={self.settings()['mode']!r}"


@dataclass(eq=False, repr=False)
class Upsample(_Upsampling):
    """Images of another size, see `F.interpolate`: give either size or scale_factor."""

    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None


@dataclass(eq=False, repr=False)
class UpsamplingNearest2d(_Upsampling):
    """Upsample with the nearest element."""

    def settings(self) -> dict[str, Any]:
        """The settings and the mode."""
        return {**super().settings(), "mode": "nearest"}


@dataclass(eq=False, repr=False)
class UpsamplingBilinear2d(_Upsampling):
    """Upsample with linear interpolation between corners that stay where they are."""

    def settings(self) -> dict[str, Any]:
        """The settings and the mode."""
        return {**super().settings(), "mode": "bilinear", "align_corners": True}


@dataclass(eq=False, repr=False)
class PixelShuffle(Stateless):
    """r^2 channels become one of r times the size: (N, C r^2, H, W) -> (N, C, H r, W r)."""

    upscale_factor: int
    function = staticmethod(F.pixel_shuffle)


@dataclass(eq=False, repr=False)
class PixelUnshuffle(Stateless):
    """The way back of PixelShuffle: (N, C, H r, W r) -> (N, C r^2, H, W)."""

    downscale_factor: int
    function = staticmethod(F.pixel_unshuffle)


@dataclass(eq=False, repr=False)
class ChannelShuffle(Stateless):
    """The channels in another order: the first of each group, then the second, and so on."""

    groups: int
    function = staticmethod(F.channel_shuffle)


@dataclass(eq=False, repr=False)
class Unfold(Stateless):
    """Every window as a column: (N, C, H, W) -> (N, C*KH*KW, OH*OW)."""

    kernel_size: Any
    dilation: Any = 1
    padding: Any = 0
    stride: Any = 1
    function = staticmethod(F.unfold)


@dataclass(eq=False, repr=False)
class Fold(Stateless):
    """Columns added up where Unfold took them from: (N, C*KH*KW, L) -> (N, C, *output_size)."""

    output_size: Any
    kernel_size: Any
    dilation: Any = 1
    padding: Any = 0
    stride: Any = 1
    function = staticmethod(F.fold)
