"""torchvision's transforms.v2: the same transforms, and what has another name there."""

from typing import Any

import numpy as np

from tinynet.errors import no_attribute
from tinynet.vision.transforms import augment, base, functional
from tinynet.vision.transforms.augment import *  # noqa: F403
from tinynet.vision.transforms.base import *  # noqa: F403
from tinynet.vision.transforms.base import PILToTensor, Transform
from tinynet.vision.transforms.functional import InterpolationMode

__all__ = ["Identity", "InterpolationMode", "ToDtype", "ToImage", "ToPureTensor", "functional"]
__all__ += augment.__all__
__all__ += base.__all__


class ToImage(PILToTensor):
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W) of the same values."""


class ToDtype(Transform):
    """Another dtype; scale: floats of 0..1 are bytes of 0..255, else the values stay."""

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        self.dtype, self.scale = np.dtype(dtype), scale

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return functional.convert_image_dtype(x, self.dtype) if self.scale else x.astype(self.dtype)


class Identity(Transform):
    """The image itself."""

    def forward(self, image: Any) -> Any:
        return image


ToPureTensor = Identity  # tensors are of one kind


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__)
