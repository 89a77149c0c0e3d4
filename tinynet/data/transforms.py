"""Transforms: what is done to the images of a batch before the model sees them.

A transform maps a whole batch (N, C, H, W) to a batch and draws whatever is random in it from the
generator it is given, once for all images. Those that move pixels keep the dtype, so they may
stand before `ToFloat`, where pixels are bytes and cheap, and before `Normalize`, where the fill
value 0 is still black:

    Compose([RandomShift(2), ToFloat(), Normalize(mean, std)])
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.errors import ShapeError, check_function, integer
from tinynet.random import default_rng


def apply_transform(
    transform: Callable[..., np.ndarray], x: np.ndarray, rng: np.random.Generator | None
) -> np.ndarray:
    """Apply a Transform, which takes the generator, or a plain function of the batch alone."""
    return transform(x, rng) if isinstance(transform, Transform) else transform(x)


def check_transform(owner: str, name: str, value: Any) -> Any:
    """`value` itself. Raises TypeError unless it is a function of the batch, or None."""
    if value is not None:
        check_function(owner, name, value, "data.ToFloat()")
    return value


class Transform:
    """Base of the transforms. Derive from it and write `apply(x, rng)` for one of your own.

    Calling it checks the batch (N, C, H, W) first. rng None takes tinynet's default generator.
    """

    needs_float = False

    def __call__(self, x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        self.check(x)
        return self.apply(x, default_rng(rng))

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The transformed batch; `x` itself stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} needs apply(x, rng)")

    def check(self, x: np.ndarray) -> None:
        """Raise ShapeError or TypeError for what this transform cannot take."""
        name = type(self).__name__
        if x.ndim != 4:
            cure = " For one image use x[None]." if x.ndim == 3 else ""
            raise ShapeError(
                f"{name} takes a batch of images (N, C, H, W), got shape {x.shape}.{cure}"
            )
        if self.needs_float and x.dtype.kind != "f":
            raise TypeError(f"{name} needs floats, got {x.dtype}: put ToFloat() before {name}")

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={_short(v)}" for k, v in vars(self).items())
        return f"{type(self).__name__}({settings})"


class Compose(Transform):
    """Several transforms, or plain functions of the batch, one after the other."""

    def __init__(self, transforms: Sequence[Callable[..., np.ndarray]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            check_function("Compose", "each of them", transform, "ToFloat()")

    def check(self, x: np.ndarray) -> None:
        """Each transform checks what reaches it."""

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for transform in self.transforms:
            x = apply_transform(transform, x, rng)
        return x

    def __repr__(self) -> str:
        return f"Compose({self.transforms!r})"


class ToFloat(Transform):
    """Bytes 0..255 to float32 0..1: y = x / 255. Floats become float32 with the same values.

    Takes any shape. Raises TypeError for integers that are not bytes, whose range is unknown.
    """

    def check(self, x: np.ndarray) -> None:
        if x.dtype != np.uint8 and x.dtype.kind != "f":
            raise TypeError(
                f"ToFloat takes uint8 (0..255) or floats, got {x.dtype}: convert the images "
                f"yourself, e.g. (x / x.max()).astype(np.float32)"
            )

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if x.dtype == np.uint8:
            y: np.ndarray = np.multiply(x, np.float32(1 / 255), dtype=np.float32)
            return y
        return x.astype(np.float32, copy=False)


class Normalize(Transform):
    """Shift and scale each channel: y = (x - mean) / std.

    mean, std: a number, or one per channel (C,). `channel_statistics` computes them. The dtype
    stays. Raises ShapeError if their count is not C, ValueError for a std that is not positive.
    """

    needs_float = True

    def __init__(self, mean: Any, std: Any) -> None:
        self.mean = np.asarray(mean, dtype=np.float64).reshape(-1)
        self.std = np.asarray(std, dtype=np.float64).reshape(-1)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: std must be positive, got {self.std.tolist()}")

    def check(self, x: np.ndarray) -> None:
        super().check(x)
        for name, value in (("mean", self.mean), ("std", self.std)):
            if value.size not in (1, x.shape[1]):
                raise ShapeError(
                    f"Normalize: {name} has {value.size} values, but the images have C = "
                    f"{x.shape[1]} channels (N, C, H, W = {x.shape}). Give 1 or {x.shape[1]}."
                )

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        y: np.ndarray = x - self.mean.astype(x.dtype)[:, None, None]  # mean: (C, 1, 1)
        y /= self.std.astype(x.dtype)[:, None, None]
        return y


class RandomCrop(Transform):
    """Cut a window of `size` at a random place from each image.

    size: (height, width), or one number for both. padding: pixels of value `fill` added on every
    side first. (N, C, H, W) -> (N, C, *size).
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0, fill: float = 0) -> None:
        height, width = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
        self.size = tuple(integer("RandomCrop", "size", n, 1) for n in (height, width))
        self.padding = integer("RandomCrop", "padding", padding)
        self.fill = fill

    def check(self, x: np.ndarray) -> None:
        super().check(x)
        room = [n + 2 * self.padding for n in x.shape[2:]]
        if room[0] < self.size[0] or room[1] < self.size[1]:
            raise ShapeError(
                f"RandomCrop: size {self.size} is larger than the image, {tuple(x.shape[2:])} "
                f"with padding {self.padding} on every side. Use size {tuple(room)} or less."
            )

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N = len(x)
        xp = _pad(x, self.padding, self.fill)
        top = rng.integers(0, xp.shape[2] - self.size[0] + 1, N)
        left = rng.integers(0, xp.shape[3] - self.size[1] + 1, N)
        windows = np.lib.stride_tricks.sliding_window_view(xp, self.size, axis=(2, 3))
        # windows: (N, C, places down, places across, height, width)
        return np.ascontiguousarray(windows[np.arange(N), :, top, left])


class RandomShift(Transform):
    """Move each image by up to `pixels` up or down and left or right; `fill` where nothing was."""

    def __init__(self, pixels: int, fill: float = 0) -> None:
        self.pixels = integer("RandomShift", "pixels", pixels)
        self.fill = fill

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return RandomCrop((x.shape[2], x.shape[3]), self.pixels, self.fill).apply(x, rng)


class RandomHorizontalFlip(Transform):
    """Mirror each image left to right with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = _number("RandomHorizontalFlip", "p", p, 1)

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.random(len(x)) < self.p
        y = x.copy()
        y[chosen] = x[chosen, :, :, ::-1]
        return y


class RandomRotate(Transform):
    """Turn each image about its centre by an angle from [-degrees, degrees].

    Positive angles turn counter-clockwise. Each new pixel is interpolated linearly (bilinear)
    between the four old ones around the point it came from; outside the image lies `fill`.
    """

    needs_float = True

    def __init__(self, degrees: float, fill: float = 0) -> None:
        self.degrees = _number("RandomRotate", "degrees", degrees)
        self.fill = fill

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rotate(x, rng.uniform(-self.degrees, self.degrees, len(x)), self.fill)


class Cutout(Transform):
    """Overwrite a square of `size` pixels at a random place of each image with `fill`.

    The square's centre is anywhere in the image, so the square may stick out over the edge.
    DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017.
    """

    def __init__(self, size: int, fill: float = 0) -> None:
        self.size = integer("Cutout", "size", size, 1)
        self.fill = fill

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, H, W = len(x), x.shape[2], x.shape[3]
        rows = _inside(rng.integers(0, H, size=N), self.size, H)  # (N, H)
        columns = _inside(rng.integers(0, W, size=N), self.size, W)  # (N, W)
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        return np.where(square, np.asarray(self.fill, x.dtype), x)


def rotate(x: np.ndarray, degrees: np.ndarray, fill: float = 0) -> np.ndarray:
    """Turn image n of a float batch (N, C, H, W) counter-clockwise by degrees[n] (N,).

    The pixel at offset (u across, v down) from the centre comes from the point turned back,
    (u cos a - v sin a, u sin a + v cos a), and is interpolated bilinearly.
    """
    N, C, H, W = x.shape
    angle = np.deg2rad(degrees).astype(x.dtype)[:, None, None]  # (N, 1, 1)
    u = (np.arange(W) - (W - 1) / 2).astype(x.dtype)  # (W,)
    v = (np.arange(H) - (H - 1) / 2).astype(x.dtype)[:, None]  # (H, 1)
    across = u * np.cos(angle) - v * np.sin(angle) + (W - 1) / 2  # (N, H, W)
    down = u * np.sin(angle) + v * np.cos(angle) + (H - 1) / 2

    # A border of two pixels of fill: whatever comes from further out is clipped into it.
    down, across = np.clip(down + 2, 0.5, H + 2.5), np.clip(across + 2, 0.5, W + 2.5)
    top, left = np.floor(down), np.floor(across)
    lower, right = (down - top).reshape(-1), (across - left).reshape(-1)  # weights (N*H*W,)
    image = np.arange(N)[:, None, None] * (H + 4) * (W + 4)
    place = image + top.astype(np.intp) * (W + 4) + left.astype(np.intp)  # of the upper left pixel
    corner = place.reshape(-1)
    pixels = _pad(x, 2, fill).transpose(1, 0, 2, 3).reshape(C, -1)

    above = pixels.take(corner, 1) * (1 - right) + pixels.take(corner + 1, 1) * right
    corner += W + 4
    below = pixels.take(corner, 1) * (1 - right) + pixels.take(corner + 1, 1) * right
    y: np.ndarray = above * (1 - lower) + below * lower  # (C, N*H*W)
    return np.ascontiguousarray(y.reshape(C, N, H, W).transpose(1, 0, 2, 3))


def _pad(x: np.ndarray, width: int, fill: float) -> np.ndarray:
    if not width:
        return x
    pads = ((0, 0), (0, 0), (width, width), (width, width))
    return np.pad(x, pads, constant_values=np.asarray(fill, x.dtype))


def _inside(center: np.ndarray, size: int, length: int) -> np.ndarray:
    """For each n, which of 0..length-1 are among the `size` around center[n]: (N, length)."""
    place = np.arange(length) - (center - size // 2)[:, None]
    inside: np.ndarray = (place >= 0) & (place < size)
    return inside


def _number(owner: str, name: str, value: float, most: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r:.60}")
    if not (0 <= value <= most and math.isfinite(value)):
        upper = "or more" if most == math.inf else f"to {most}"
        raise ValueError(f"{owner}: {name} must be a number from 0 {upper}, got {value}")
    return value


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(f"{v:.4g}" for v in value.tolist()) + "]"
    return repr(value)
