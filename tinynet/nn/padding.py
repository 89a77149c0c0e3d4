"""Layers that surround an image (N, C, H, W) or a signal (N, C, L) with more elements.

padding: a number for all sides, or (left, right), for images followed by top and bottom; a
negative one cuts off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tinynet.errors import ShapeError
from tinynet.nn import functional as F
from tinynet.nn.stateless import Stateless


@dataclass(eq=False, repr=False)
class ZeroPad2d(Stateless):
    """Zeros around an image."""

    axes: ClassVar[int] = 2
    mode: ClassVar[str] = "constant"
    padding: Any
    function = staticmethod(F.pad)

    def __post_init__(self) -> None:
        given = self.padding
        sides = tuple(given) if isinstance(given, (tuple, list)) else (given,) * (2 * self.axes)
        if len(sides) != 2 * self.axes:
            raise ShapeError(
                f"{type(self).__name__}: padding must be a number or {2 * self.axes} of them "
                f"(left, right{', top, bottom' * (self.axes == 2)}), got {given!r}"
            )
        self.padding = sides

    def settings(self) -> dict[str, Any]:
        """What F.pad is called with."""
        return {"pad": self.padding, "mode": self.mode}

    def extra_repr(self) -> str:
        """The padding of each side."""
        return str(self.padding)


@dataclass(eq=False, repr=False)
class ZeroPad1d(ZeroPad2d):
    """Zeros around a signal."""

    axes = 1


@dataclass(eq=False, repr=False)
class ConstantPad2d(ZeroPad2d):
    """The number `value` around an image."""

    value: float

    def settings(self) -> dict[str, Any]:
        """What F.pad is called with."""
        return {**super().settings(), "value": self.value}

    def extra_repr(self) -> str:
        """Padding and value."""
        return f"padding={self.padding}, value={self.value}"


@dataclass(eq=False, repr=False)
class ConstantPad1d(ConstantPad2d):
    """The number `value` around a signal."""

    axes = 1


@dataclass(eq=False, repr=False)
class ReflectionPad2d(ZeroPad2d):
    """The image mirrored at its edges, whose elements are not repeated."""

    mode = "reflect"


@dataclass(eq=False, repr=False)
class ReflectionPad1d(ReflectionPad2d):
    """The signal mirrored at its ends, whose elements are not repeated."""

    axes = 1


@dataclass(eq=False, repr=False)
class ReplicationPad2d(ZeroPad2d):
    """The elements at the edge of the image repeated."""

    mode = "replicate"


@dataclass(eq=False, repr=False)
class ReplicationPad1d(ReplicationPad2d):
    """The elements at the ends of the signal repeated."""

    axes = 1


@dataclass(eq=False, repr=False)
class CircularPad2d(ZeroPad2d):
    """The image goes on at its other end."""

    mode = "circular"


@dataclass(eq=False, repr=False)
class CircularPad1d(CircularPad2d):
    """The signal goes on at its other end."""

    axes = 1
