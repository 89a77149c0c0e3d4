"""Images in and out: PIL images, tensors and arrays, all as arrays (N, C, H, W) on the way.

Pillow (the extra `images`) is needed only where a PIL image is to be made.
"""

import functools
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor

MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "F")  # those that are plain pixels
Back = Callable[[np.ndarray], Any]
P = ParamSpec("P")
Image = TypeVar("Image")


def of_images(
    change: Callable[Concatenate[np.ndarray, P], np.ndarray],
) -> Callable[Concatenate[Image, P], Image]:
    """A function of arrays (N, C, H, W) that takes and gives PIL images and tensors too."""

    @functools.wraps(change)
    def function(img: Any, *args: P.args, **settings: P.kwargs) -> Any:
        x, back = as_batch(change.__name__, img)
        return back(change(x, *args, **settings))

    return function  # type: ignore[return-value]


def as_batch(owner: str, image: Any) -> tuple[np.ndarray, Back]:
    """An image or several as an array (N, C, H, W), and what makes the like of it again.

    image: a PIL image, a tensor (..., C, H, W) or (H, W), or an array (N, C, H, W). owner: who
    asks, for messages.
    """
    if isinstance(image, np.ndarray):
        if image.ndim != 4:
            cure = " For one image use x[None]." if image.ndim == 3 else ""
            raise ShapeError(
                f"{owner} takes a batch of images (N, C, H, W), got shape {image.shape}.{cure}"
            )
        return image, lambda y: y
    if isinstance(image, Tensor):
        x = image.array
        if x.ndim < 2:
            raise ShapeError(f"{owner} takes a tensor (..., C, H, W), got shape {x.shape}")
        if x.ndim == 2:
            return x[None, None], lambda y: wrap(y[0, 0])
        batch = x.reshape(-1, *x.shape[-3:])
        return batch, lambda y: wrap(np.ascontiguousarray(y).reshape(*x.shape[:-3], *y.shape[1:]))
    if not is_pil(image):
        raise TypeError(
            f"{owner} takes a PIL image, a tensor (..., C, H, W) or an array (N, C, H, W), got "
            f"{type(image).__name__}"
        )
    return pixels_of(image, owner)[None], lambda y: as_pil(y[0])


def is_pil(image: Any) -> bool:
    """Whether it is a PIL image; Pillow is not imported for it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def pixels_of(image: Any, owner: str = "pixels_of") -> np.ndarray:
    """The pixels of a PIL image, or an array (H, W) or (H, W, C), as an array (C, H, W)."""
    if is_pil(image) and image.mode not in MODES:
        raise TypeError(
            f"a PIL image of mode {image.mode!r} is not plain pixels; image.convert('RGB') is"
        )
    if not is_pil(image) and not isinstance(image, np.ndarray):
        raise TypeError(f"{owner} takes a PIL image or an array, got {type(image).__name__}")
    x = np.asarray(image)
    if x.ndim not in (2, 3):
        raise ValueError(f"{owner} takes an array (H, W) or (H, W, C), got shape {x.shape}")
    return x[None] if x.ndim == 2 else x.transpose(2, 0, 1)


def as_pil(x: np.ndarray) -> Any:
    """A PIL image of the pixels (C, H, W)."""
    return pillow().fromarray(np.ascontiguousarray(x[0] if len(x) == 1 else x.transpose(1, 2, 0)))


@functools.cache
def pillow() -> ModuleType:
    """PIL.Image, or an ImportError that says how to get it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'reading images needs Pillow: pip install "tinynet-cnn[images]"'
        ) from error
    return Image
