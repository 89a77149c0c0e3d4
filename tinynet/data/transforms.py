"""Transforms that torchvision does not have, of whole batches (N, C, H, W).

The others are those of `tinynet.vision.transforms`. Those that move pixels keep the dtype, so they
may stand before `ToFloat`, where pixels are bytes and cheap, and before `Normalize`, where the fill
value 0 is still black:

    Compose([RandomShift(2), ToFloat(), Normalize(mean, std)])
"""

from __future__ import annotations

import numpy as np

from tinynet.errors import integer
from tinynet.vision.transforms.augment import RandomCrop, RandomRotation
from tinynet.vision.transforms.base import Transform
from tinynet.vision.transforms.functional import BILINEAR


class ToFloat(Transform):
    """Bytes 0..255 to float32 0..1: y = x / 255. Floats become float32 with the same values.

    Takes any shape. Raises TypeError for integers that are not bytes, whose range is unknown.
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        if x.dtype == np.uint8:
            y: np.ndarray = np.multiply(x, np.float32(1 / 255), dtype=np.float32)
            return y
        if x.dtype.kind != "f":
            raise TypeError(
                f"ToFloat takes uint8 (0..255) or floats, got {x.dtype}: convert the images "
                f"yourself, e.g. (x / x.max()).astype(np.float32)"
            )
        return x.astype(np.float32, copy=False)


class RandomShift(Transform):
    """Move each image by up to `pixels` up or down and left or right; `fill` where nothing was."""

    def __init__(self, pixels: int, fill: float = 0) -> None:
        self.pixels = integer("RandomShift", "pixels", pixels)
        self.fill = fill

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return RandomCrop(x.shape[2:], self.pixels, fill=self.fill).change(x, rng)


class RandomRotate(RandomRotation):
    """Turn each image about its centre by an angle from [-degrees, degrees].

    Positive angles turn counter-clockwise. Each new pixel is interpolated linearly (bilinear)
    between the four old ones around the point it came from; outside the image lies `fill`.
    """

    def __init__(self, degrees: float, fill: float = 0) -> None:
        super().__init__(degrees, BILINEAR, fill=fill)


class Cutout(Transform):
    """Overwrite a square of `size` pixels at a random place of each image with `fill`.

    The square's centre is anywhere in the image, so the square may stick out over the edge.
    DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017.
    """

    def __init__(self, size: int, fill: float = 0) -> None:
        self.size = integer("Cutout", "size", size, 1)
        self.fill = fill

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, H, W = len(x), x.shape[2], x.shape[3]
        rows = _inside(rng.integers(0, H, size=N), self.size, H)  # (N, H)
        columns = _inside(rng.integers(0, W, size=N), self.size, W)  # (N, W)
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        return np.where(square, np.asarray(self.fill, x.dtype), x)


def _inside(center: np.ndarray, size: int, length: int) -> np.ndarray:
    """For each n, which of 0..length-1 are among the `size` around center[n]: (N, length)."""
    place = np.arange(length) - (center - size // 2)[:, None]
    inside: np.ndarray = (place >= 0) & (place < size)
    return inside
