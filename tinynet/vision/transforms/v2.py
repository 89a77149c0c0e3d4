"""The names of torchvision's second version: those of the first, ToImage and ToDtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.vision.transforms import *  # noqa: F403
from tinynet.vision.transforms import __all__ as _first
from tinynet.vision.transforms.base import PILToTensor, Rng, Transform
from tinynet.vision.transforms.functional import convert_image_dtype

__all__ = [*_first, "ToDtype", "ToImage"]


class ToImage(PILToTensor):
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W) of the same values."""

    def __call__(self, image: Any, rng: Rng = None) -> Any:
        if isinstance(image, np.ndarray) and image.ndim < 4:
            return wrap(np.atleast_3d(image).transpose(2, 0, 1).copy())
        return super().__call__(image, rng)


@dataclass(eq=False)
class ToDtype(Transform):
    """Another dtype; scale: floats are 0..1 where bytes are 0..255."""

    dtype: Any
    scale: bool = False

    def apply(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return convert_image_dtype(x, self.dtype) if self.scale else x.astype(self.dtype)
