"""Transforms of images: PIL images, tensors (..., C, H, W) and arrays (N, C, H, W).

    transform = transforms.Compose([
        transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ])

`base` has what needs no chance, `augment` the random changes, `functional` what they do to images.
"""

from typing import Any

from tinynet.errors import no_attribute
from tinynet.vision.transforms import augment, base, functional
from tinynet.vision.transforms.augment import *  # noqa: F403
from tinynet.vision.transforms.base import *  # noqa: F403
from tinynet.vision.transforms.functional import InterpolationMode

__all__ = ["InterpolationMode", "functional"]
__all__ += augment.__all__
__all__ += base.__all__


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__)
