"""Pictures in a page: arrays as PNG files that stand in the text itself, as data: addresses."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.html import text
from tinynet.vision.transforms.functional import resize
from tinynet.vision.utils import make_grid, png

SIDE = 64  # pixels; a larger image is made smaller
HEAVIEST = 9_000  # bytes of one picture, so that all of them fit into a page that can be mailed
COLD_TO_HOT = np.array(
    [(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)]
)

BETWEEN: Any = np.reshape((93, 124, 168), (3, 1, 1))  # a colour that no grey image has


def img(pixels: np.ndarray, alt: str, width: int) -> str:
    """An <img> of colours uint8 (3, H, W), `width` wide on the page; alt: what is to be seen."""
    content = png(pixels)
    while len(content) > HEAVIEST and max(pixels.shape[1:]) > 8:
        pixels = shrink(pixels, int(0.8 * max(pixels.shape[1:])))
        content = png(pixels)
    source = base64.b64encode(content).decode()
    height = max(1, round(width * pixels.shape[1] / pixels.shape[2]))
    coarse = ' class="coarse"' if 2 * max(pixels.shape[1:]) < max(width, height) else ""
    return (
        f'<img{coarse} src="data:image/png;base64,{source}" alt="{text(alt)}" title="{text(alt)}" '
        f'width="{width}" height="{height}">'
    )


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """An image (C, H, W) of at most `side` pixels along each axis."""
    longest = max(image.shape[1:])
    if longest <= side:
        return image
    return _resized(image, [max(1, round(n * side / longest)) for n in image.shape[1:]])


def _resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    resized: np.ndarray = resize(image[None], size)[0]
    return resized


def is_image(x: np.ndarray) -> bool:
    """Whether an input (C, H, W) can be looked at."""
    return x.ndim == 3 and min(x.shape[1:]) > 1


def to_pixels(
    x: np.ndarray, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
) -> np.ndarray:
    """A model's input (C, H, W) as colours uint8 (3, H, W), small enough for a page.

    mean, std: what it was normalised with. What then does not run from 0 to 1 is stretched to it.
    Other than three channels become their mean, grey.
    """
    image = shrink(np.asarray(x, np.float64), SIDE)
    if mean is not None and std is not None and len(mean) in (1, len(image)):
        image = image * np.reshape(std, (-1, 1, 1)) + np.reshape(mean, (-1, 1, 1))
    if image.min() < -0.05 or image.max() > 1.05:
        image = stretched(image)
    if len(image) != 3:
        image = np.repeat(image.mean(0, keepdims=True), 3, 0)
    return to_bytes(image)


def stretched(x: np.ndarray) -> np.ndarray:
    """Values from 0 to 1; all 0 where they are the same."""
    low, high = np.nanmin(x), np.nanmax(x)
    return (x - low) / (high - low) if high > low else np.zeros(x.shape)


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as bytes."""
    return np.asarray(np.clip(np.nan_to_num(image), 0, 1) * 255 + 0.5, np.uint8)


def heated(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image (3, H, W) in grey under colours: blue where `heat` (h, w) is 0, yellow for 1."""
    pixels = coarse(pixels)  # heat has no corners
    values = _resized(heat[None], pixels.shape[1:])[0]
    return np.asarray(0.5 * pixels.mean(0) + 0.5 * hot(values), np.uint8)


def hot(values: np.ndarray) -> np.ndarray:
    """The colours (3, ...) of values from 0, blue, to 1, yellow."""
    stops = np.linspace(0, 1, len(COLD_TO_HOT))
    return np.stack([np.interp(values, stops, channel) for channel in COLD_TO_HOT.T])


def coarse(pixels: np.ndarray) -> np.ndarray:
    """An image (3, H, W) of about SIDE pixels, of which none is mixed with another."""
    step = -(-max(pixels.shape) // SIDE)
    small = np.asarray(pixels[:, ::step, ::step], np.uint8)
    return grown(small, max(1, SIDE // max(small.shape)))


def sheet(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Equal small images (3, H, W), enlarged, side by side in rows of `columns`."""
    factor = max(1, 24 // max(images[0].shape[1:]))
    large = [wrap(grown(image, factor)) for image in images]
    return make_grid(large, columns, pad_value=BETWEEN).array


def grown(image: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel `factor` times as large."""
    return image.repeat(factor, 1).repeat(factor, 2)
