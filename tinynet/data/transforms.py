"""Transforms that torchvision does not have, of whole batches (N, C, H, W).

The others are those of `tinynet.vision.transforms`. Those that move pixels keep the dtype, so they
may stand before `ToFloat`, where pixels are bytes and cheap, and before `Normalize`, where the fill
value 0 is still black:

    Compose([RandomShift(2), ToFloat(), Normalize(mean, std)])
"""

import numpy as np

from tinynet.errors import integer
from tinynet.vision.transforms.augment import RandomCrop
from tinynet.vision.transforms.base import Transform


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
