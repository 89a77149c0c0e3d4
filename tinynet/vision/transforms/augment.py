"""Random changes of images, drawn for each image of a batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tinynet.errors import ShapeError
from tinynet.ops.checks import within
from tinynet.vision.transforms import functional as F
from tinynet.vision.transforms.base import Transform, interval

__all__ = [
    "ColorJitter", "GaussianBlur", "RandomAffine", "RandomCrop", "RandomErasing", "RandomGrayscale",
    "RandomHorizontalFlip", "RandomResizedCrop", "RandomRotation", "RandomVerticalFlip",
]  # fmt: skip

# ----- windows ------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class RandomCrop(Transform):
    """Cut a window of `size` at a random place from each image.

    size: (height, width), or one number for both. padding, fill, padding_mode: pixels added on
    the sides first, as by `Pad`. pad_if_needed: add what else the image is too small by.
    (N, C, H, W) -> (N, C, *size).
    """

    size: Any
    padding: int | Sequence[int] | None = None
    pad_if_needed: bool = False
    fill: Any = 0
    padding_mode: str = "constant"

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N = len(x)
        xp = F.pad(x, self.padding or 0, self.fill, self.padding_mode)
        if self.pad_if_needed:
            down, across = (max(size - n, 0) for size, n in zip(self.size, xp.shape[2:]))
            xp = F.pad(xp, (across, down), self.fill, self.padding_mode)
        if xp.shape[2] < self.size[0] or xp.shape[3] < self.size[1]:
            raise ShapeError(
                f"RandomCrop: size {self.size} is larger than the image, {x.shape[2:]} with "
                f"padding {self.padding or 0}. Use size {xp.shape[2:]} or less, or "
                "pad_if_needed=True."
            )
        top = rng.integers(0, xp.shape[2] - self.size[0] + 1, N)
        left = rng.integers(0, xp.shape[3] - self.size[1] + 1, N)
        windows = np.lib.stride_tricks.sliding_window_view(xp, self.size, axis=(2, 3))
        # windows: (N, C, places down, places across, height, width)
        return np.ascontiguousarray(windows[np.arange(N), :, top, left])


@dataclass(eq=False, repr=False)
class RandomResizedCrop(Transform):
    """A window of random size and shape, resized to `size`.

    scale: its area, as a part of the image's. ratio: its width by its height.
    """

    size: Any
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    interpolation: Any = F.BILINEAR
    antialias: bool | None = True

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, C, H, W = x.shape
        y = np.empty((N, C, *self.size), x.dtype)
        for n in range(N):
            window = random_window(H, W, self.scale, self.ratio, rng)
            if window is None:  # the largest in the middle whose shape is allowed
                w, h = min(W, round(H * self.ratio[1])), min(H, round(W / self.ratio[0]))
                window = ((H - h) // 2, (W - w) // 2, h, w)
            y[n] = F.resized_crop(
                x[n : n + 1], *window, self.size, self.interpolation, self.antialias
            )[0]
        return y


@dataclass(eq=False, repr=False)
class RandomErasing(Transform):
    """Overwrite a rectangle of random size and shape with probability p.

    scale: its area, as a part of the image's. ratio: its height by its width. value: a number,
    one for each channel, or "random": normally distributed. inplace is without effect.
    Zhong et al., Random Erasing Data Augmentation, 2017.
    """

    p: float = 0.5
    scale: Sequence[float] = (0.02, 0.33)
    ratio: Sequence[float] = (0.3, 3.3)
    value: float | Sequence[float] | str = 0
    inplace: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.value, str) and self.value != "random":
            raise ValueError(
                f"RandomErasing: value must be numbers or 'random', got {self.value!r}"
            )

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        C, H, W = x.shape[1:]
        y = x.copy()
        for n in np.flatnonzero(rng.random(len(x)) < self.p):
            window = random_window(W, H, self.scale, self.ratio, rng)
            if window is not None:
                left, top, w, h = window  # its ratio is height by width
                value: Any = np.reshape(self.value, (-1, 1, 1))
                if isinstance(self.value, str):
                    value = rng.standard_normal((C, h, w))
                y[n : n + 1] = F.erase(y[n : n + 1], top, left, h, w, value)
        return y


def random_window(
    height: int,
    width: int,
    scale: Sequence[float],
    ratio: Sequence[float],
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of a window of random area and shape, or None after ten tries."""
    for _ in range(10):
        area = height * width * rng.uniform(scale[0], scale[1])
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None


# ----- mirrored and turned ------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class _Sometimes(Transform):
    """A change of each image, `changed`, with probability p."""

    changed: ClassVar[Any]
    p: float = 0.5

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.random(len(x)) < self.p
        y = x.copy()
        y[chosen] = self.changed(x[chosen])
        return y


class RandomHorizontalFlip(_Sometimes):
    """Mirror each image left to right with probability `p`."""

    changed = staticmethod(F.hflip)


class RandomVerticalFlip(_Sometimes):
    """Mirror each image top to bottom with probability `p`."""

    changed = staticmethod(F.vflip)


@dataclass(eq=False, repr=False)
class RandomGrayscale(_Sometimes):
    """Take the colours from each image with probability `p`; the channels stay, all alike."""

    p: float = 0.1

    @staticmethod
    def changed(x: np.ndarray) -> np.ndarray:
        """Images of one grey in every channel."""
        return F.rgb_to_grayscale(x, x.shape[1])


@dataclass(eq=False, repr=False)
class RandomRotation(Transform):
    """Turn each image by an angle from [-degrees, degrees], or from degrees = (least, most).

    Positive angles turn counter-clockwise. The rest as for `functional.rotate`.
    """

    degrees: Any
    interpolation: Any = F.NEAREST
    center: Sequence[float] | None = field(default=None, kw_only=True)
    fill: Any = field(default=0, kw_only=True)

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        angles = rng.uniform(self.degrees[0], self.degrees[1], len(x))
        return F.rotate(x, angles, self.interpolation, center=self.center, fill=self.fill)


@dataclass(eq=False, repr=False)
class RandomAffine(Transform):
    """Turn, move, scale and shear each image, about its middle or another `center`.

    degrees: as for RandomRotation, clockwise. translate: how far at most, as parts of the width
    and height. scale: (least, most). shear: degrees along x, as for `degrees`, or four numbers:
    (least, most) along x, then along y.
    """

    degrees: Any
    translate: Any = None
    scale: Any = None
    shear: Any = None
    interpolation: Any = F.NEAREST
    fill: Any = 0
    center: Sequence[float] | None = None

    def __post_init__(self) -> None:
        shear = self.shear or 0
        pairs = (shear[:2], shear[2:] or 0) if isinstance(shear, (tuple, list)) else (shear, 0)
        far = self.translate or (0, 0)
        self.translate = [within("RandomAffine", "translate", t, 0, 1) for t in far]
        self.scale = self.scale or (1, 1)
        self.shear = [interval("RandomAffine", "shear", pair) for pair in pairs]
        super().__post_init__()
        if self.scale[0] <= 0:
            raise ValueError(f"RandomAffine: scale must be above 0, got {self.scale}")

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, _, H, W = x.shape
        far = np.multiply(self.translate, (W, H))
        angle = rng.uniform(self.degrees[0], self.degrees[1], N)
        moved = np.rint(rng.uniform(-far, far, (N, 2)))
        scale = rng.uniform(self.scale[0], self.scale[1], N)
        least, most = np.transpose(self.shear)
        shear = rng.uniform(least, most, (N, 2))
        return F.affine(x, angle, moved, scale, shear, self.interpolation, self.fill, self.center)


# ----- colour -------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue, in a random order.

    Each a number v, for a factor from [max(0, 1 - v), 1 + v] (hue: a turn from [-v, v], at most
    0.5), or (least, most).
    """

    brightness: Any = 0
    contrast: Any = 0
    saturation: Any = 0
    hue: Any = 0

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            given = getattr(self, name)
            least, most = interval("ColorJitter", name, given, center=1)
            if isinstance(given, (tuple, list)) and least < 0:
                raise ValueError(f"ColorJitter: {name} must be 0 or more, got {given}")
            setattr(self, name, (max(least, 0), most))
        self.hue = interval("ColorJitter", "hue", self.hue)
        if not -0.5 <= self.hue[0] <= self.hue[1] <= 0.5:
            raise ValueError(f"ColorJitter: hue must be from -0.5 to 0.5, got {self.hue}")

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        changes = [
            (F.adjust_brightness, self.brightness, 1),
            (F.adjust_contrast, self.contrast, 1),
            (F.adjust_saturation, self.saturation, 1),
            (F.adjust_hue, self.hue, 0),
        ]
        for change, (least, most), same in (changes[k] for k in rng.permutation(4)):
            if (least, most) != (same, same):
                x = change(x, rng.uniform(least, most, len(x)))
        return x


@dataclass(eq=False, repr=False)
class GaussianBlur(Transform):
    """`functional.gaussian_blur` with sigma from (least, most), or always the same number."""

    kernel_size: Any
    sigma: Any = (0.1, 2.0)

    def __post_init__(self) -> None:
        if not isinstance(self.sigma, (tuple, list)):
            self.sigma = self.sigma, self.sigma
        self.sigma = interval("GaussianBlur", "sigma", self.sigma)

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigmas = rng.uniform(self.sigma[0], self.sigma[1], len(x))
        parts = (F.gaussian_blur(x[k : k + 1], self.kernel_size, s) for k, s in enumerate(sigmas))
        return np.concatenate([x[:0], *parts])
