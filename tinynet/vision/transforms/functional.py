"""What can be done to images, without chance: the functions of `torchvision.transforms.functional`.

An image is a PIL image or a tensor (..., C, H, W); inside, and for whole batches, an array
(N, C, H, W). The result is of the same kind. Where one says so, an argument may also be an array
with a value for each image (N,).
"""

import enum
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import ShapeError, integer, unknown_name
from tinynet.ops.resize import interpolation as matrix
from tinynet.tensor import Tensor
from tinynet.vision.transforms.images import as_batch, as_pil, of_images, pixels_of

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")
GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # of red, green and blue, as the eye sees them
GREY_BITS = np.array([19595, 38470, 7471], np.uint32)  # the same in parts of 2^16, as Pillow has it


class InterpolationMode(enum.Enum):
    """How a pixel between pixels is made of them."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"  # by `resize` alone

    @classmethod
    def of(cls, value: Any) -> "InterpolationMode":
        """The mode of that name, or of Pillow's number for it."""
        names = [mode.value for mode in cls]
        value = {0: "nearest", 2: "bilinear", 3: "bicubic"}.get(value, value)
        if value not in names and not isinstance(value, cls):
            raise unknown_name("interpolation", value, names)
        return cls(value)


NEAREST, BILINEAR, BICUBIC = InterpolationMode
_weights = functools.lru_cache(64)(matrix)

# ----- places -------------------------------------------------------------------------------------


@of_images
def hflip(x: np.ndarray) -> np.ndarray:
    """Mirrored left to right."""
    return x[..., ::-1]


@of_images
def vflip(x: np.ndarray) -> np.ndarray:
    """Mirrored top to bottom."""
    return x[..., ::-1, :]


@of_images
def pad(
    x: np.ndarray, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"
) -> np.ndarray:
    """Pixels added on the sides: all alike, (left and right, top and bottom), or left, top, right,
    bottom.

    padding_mode: constant (of value `fill`, a number or one for each channel), edge, reflect or
    symmetric, as in `np.pad`.
    """
    sides = [padding] if isinstance(padding, (int, np.integer)) else list(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"pad: padding must be 1, 2 or 4 numbers, got {padding}")
    if padding_mode not in PADDING_MODES:
        raise unknown_name("padding_mode", padding_mode, PADDING_MODES)
    left, top, right, bottom = (integer("pad", "padding", n) for n in sides * (4 // len(sides)))
    if not left + top + right + bottom:
        return x
    widths = ((0, 0), (0, 0), (top, bottom), (left, right))
    if padding_mode != "constant":
        return np.pad(x, widths, padding_mode)  # type: ignore[call-overload, no-any-return]
    N, C, H, W = x.shape
    y = np.empty((N, C, H + top + bottom, W + left + right), x.dtype)
    y[:] = np.asarray(fill, x.dtype).reshape(-1, 1, 1)
    y[:, :, top : top + H, left : left + W] = x
    return y


@of_images
def crop(x: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """The window of that place and size; black where it is outside the image."""
    H, W = x.shape[2:]
    over = [max(n, 0) for n in (-left, -top, left + width - W, top + height - H)]
    x = pad(x, over)
    return x[:, :, top + over[1] :, left + over[0] :][:, :, :height, :width]


@of_images
def center_crop(x: np.ndarray, output_size: int | Sequence[int]) -> np.ndarray:
    """The window of that size in the middle."""
    sizes = size_pair("center_crop", output_size)
    excess = (n - size for n, size in zip(x.shape[2:], sizes))
    top, left = (round(n / 2) if n >= 0 else -(-n // 2) for n in excess)
    return crop(x, top, left, *sizes)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The windows of that size at the upper left, upper right, lower left, lower right, and in the
    middle."""
    height, width = size_pair("five_crop", size)
    H, W = as_batch("five_crop", img)[0].shape[2:]
    if height > H or width > W:
        raise ShapeError(f"five_crop: size {(height, width)} is larger than the image, {(H, W)}")
    corners = [(top, left) for top in (0, H - height) for left in (0, W - width)]
    windows = [crop(img, *corner, height, width) for corner in corners]
    return (*windows, center_crop(img, (height, width)))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """Those of `five_crop`, then those of the image mirrored left to right, or top to bottom."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return (*five_crop(img, size), *five_crop(mirrored, size))


@of_images
def resize(
    x: np.ndarray,
    size: int | Sequence[int],
    interpolation: Any = BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> np.ndarray:
    """Images of another size: (height, width), or a number for the shorter side.

    max_size: the most for the longer side, where a number is given for the shorter.
    Each new pixel is a weighted mean of old ones along rows, then along columns. antialias: where
    the image gets smaller, the mean is over all pixels that a new one covers; bytes are rounded
    after each of both, as by Pillow.
    """
    H, W = x.shape[2:]
    height, width = resized(H, W, size, max_size)
    mode = InterpolationMode.of(interpolation)
    if mode is NEAREST:
        rows, columns = (_nearest(*sizes, x.dtype) for sizes in ((H, height), (W, width)))
        return x[:, :, rows[:, None], columns]
    y = x if antialias else as_float(x)
    for axis, old, new in ((3, W, width), (2, H, height)):
        if old != new:
            w = _weights(old, new, old / new, mode is BICUBIC, False, bool(antialias))  # (new, old)
            y = _weighted(y, w, axis)
    return as_before(y, x.dtype)


def _nearest(old: int, new: int, dtype: np.dtype) -> np.ndarray:
    """The pixel for each of `new` in a row: of floats the one at its edge, as torchvision takes it
    for tensors, else the one at its middle, as Pillow does, which adds up the steps."""
    if dtype.kind == "f":
        return (np.arange(new, dtype=np.float32) * np.float32(old / new)).astype(np.intp)
    steps = np.full(new, old / new)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.intp), old - 1)


def _weighted(x: np.ndarray, w: np.ndarray, axis: int) -> np.ndarray:
    """The product of w with an axis of x; of bytes that of Pillow, whose weights have 22 bits."""
    exact = x.dtype == np.uint8  # then the products are whole numbers
    y = x.astype(float) if exact else as_float(x)
    w = (np.rint(w * 2**22) if exact else w).astype(y.dtype)
    y = w @ y if axis == 2 else y @ w.T
    return as_before(np.floor(y / 2**22 + 0.5) if exact else y, x.dtype)


def resized(H: int, W: int, size: Any, max_size: int | None = None) -> tuple[int, int]:
    """The height and width of an image (H, W) once it is resized."""
    given = [size] if isinstance(size, (int, np.integer)) else list(size)
    sides = [integer("resize", "size", n, 1) for n in given]
    if len(sides) == 2:
        return sides[0], sides[1]
    if len(sides) != 1:
        raise ValueError(f"resize: size must be a number or (height, width), got {size}")
    short, long = sides[0], int(sides[0] * max(H, W) / min(H, W))
    if max_size is not None and long > max_size:
        short, long = int(max_size * short / long), max_size
    return (short, long) if H <= W else (long, short)


@of_images
def resized_crop(
    x: np.ndarray,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Any = BILINEAR,
    antialias: bool | None = True,
) -> np.ndarray:
    """A window, resized."""
    return resize(crop(x, top, left, height, width), size, interpolation, antialias=antialias)


@of_images
def rotate(
    x: np.ndarray,
    angle: Any,
    interpolation: Any = NEAREST,
    *,
    center: Sequence[float] | None = None,
    fill: Any = 0,
) -> np.ndarray:
    """Turned counter-clockwise by `angle` degrees, or by one for each image (N,).

    center: (across, down) of the point that stays, by default the middle. fill: what lies outside
    the image.
    """
    return affine(x, np.negative(angle), (0, 0), 1.0, 0.0, interpolation, fill, center)


@of_images
def affine(
    x: np.ndarray,
    angle: Any,
    translate: Any,
    scale: Any,
    shear: Any,
    interpolation: Any = NEAREST,
    fill: Any = 0,
    center: Sequence[float] | None = None,
) -> np.ndarray:
    """Turned clockwise, sheared, scaled, then moved by (across, down) pixels.

    angle, scale: a number or (N,). translate, shear: two numbers or (N, 2). The pixel at p comes
    from M^-1 (p - t), where M = R(angle) SHy SHx scale, about the center.
    """
    N, _, H, W = x.shape
    a = np.deg2rad(np.broadcast_to(np.asarray(angle, np.float64), N))
    degrees = (shear, 0) if np.ndim(shear) == 0 else shear
    sx, sy = np.deg2rad(np.broadcast_to(degrees, (N, 2))).T
    cos, sin = np.cos(a - sy) / np.cos(sy), np.sin(a - sy) / np.cos(sy)
    rows = [np.cos(a) - sin * np.tan(sx), cos * np.tan(sx) + np.sin(a), -sin, cos]
    inverse = np.stack(rows, 1).reshape(N, 2, 2) / np.reshape(scale, (-1, 1, 1))
    t = np.broadcast_to(np.asarray(translate, np.float64), (N, 2))[..., None]
    c = np.zeros((2, 1)) if center is None else np.array([[center[0] - W / 2], [center[1] - H / 2]])
    back = np.concatenate([inverse, c - inverse @ (t + c)], axis=2)  # (N, 2, 3)
    return warp(x, back, interpolation, fill)


def warp(
    x: np.ndarray, back: np.ndarray, interpolation: Any = NEAREST, fill: Any = 0
) -> np.ndarray:
    """Images whose pixels come from elsewhere: that at offset (u across, v down) from the middle
    from back[n] @ (u, v, 1), counted from the middle too.

    back: (N, 2, 3). interpolation: nearest, or bilinear between the four pixels around that point.
    """
    N, C, H, W = x.shape
    mode = InterpolationMode.of(interpolation)
    if mode is BICUBIC:
        raise ValueError("images are turned by nearest or bilinear interpolation, not by bicubic")
    dtype = as_float(x[:0]).dtype
    m = back.astype(dtype)[..., None, None]  # (N, 2, 3, 1, 1)
    u = (np.arange(W) - (W - 1) / 2).astype(dtype)  # (W,)
    v = (np.arange(H) - (H - 1) / 2).astype(dtype)[:, None]  # (H, 1)
    across = u * m[:, 0, 0] + v * m[:, 0, 1] + (m[:, 0, 2] + (W - 1) / 2)  # (N, H, W)
    down = u * m[:, 1, 0] + v * m[:, 1, 1] + (m[:, 1, 2] + (H - 1) / 2)

    # A border of two pixels of fill: whatever comes from further out is clipped into it.
    nudge = 0.5 if mode is NEAREST else 0.0
    down, across = down + (2 + nudge), across + (2 + nudge)
    down, across = np.clip(down, 0.5, H + 2.5), np.clip(across, 0.5, W + 2.5)
    top, left = np.floor(down), np.floor(across)
    image = np.arange(N)[:, None, None] * (H + 4) * (W + 4)
    place = image + top.astype(np.intp) * (W + 4) + left.astype(np.intp)  # of the upper left pixel
    corner = place.reshape(-1)
    framed = pad(x, 2, fill).transpose(1, 0, 2, 3).reshape(C, -1)
    if mode is NEAREST:
        y = framed.take(corner, 1)  # (C, N*H*W)
    else:
        framed = as_float(framed)
        lower, right = (down - top).reshape(-1), (across - left).reshape(-1)  # weights (N*H*W,)
        above = framed.take(corner, 1) * (1 - right) + framed.take(corner + 1, 1) * right
        corner += W + 4
        below = framed.take(corner, 1) * (1 - right) + framed.take(corner + 1, 1) * right
        y = as_before(above * (1 - lower) + below * lower, x.dtype)
    return np.ascontiguousarray(y.reshape(C, N, H, W).transpose(1, 0, 2, 3))


@of_images
def gaussian_blur(x: np.ndarray, kernel_size: Any, sigma: Any = None) -> np.ndarray:
    """Each pixel a mean of its neighbours, weighed by a bell curve; the edges are mirrors.

    kernel_size: (across, down), odd, or one number. sigma: likewise, the width of the curve; None
    for 0.15 kernel_size + 0.35.
    """
    sizes = size_pair("gaussian_blur", kernel_size)
    sigmas = [0.15 * n + 0.35 for n in sizes] if sigma is None else np.resize(sigma, 2)
    y = as_float(x)
    for axis, size, width in zip((3, 2), sizes, sigmas):
        if size % 2 == 0 or not width > 0 or size // 2 >= x.shape[axis]:
            raise ValueError(
                f"gaussian_blur: kernel_size must be odd and less than twice the image's size, "
                f"sigma above 0; got {size} and {width} for {x.shape[axis]} pixels"
            )
        t = np.arange(size) - size // 2
        weights = np.exp(-0.5 * (t / width) ** 2)
        sides = [(0, 0)] * 4
        sides[axis] = (size // 2, size // 2)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(y, sides, "reflect"), size, axis)
        y = windows @ (weights / weights.sum()).astype(y.dtype)
    return as_before(y, x.dtype)


@of_images
def erase(x: np.ndarray, top: int, left: int, height: int, width: int, v: Any) -> np.ndarray:
    """A rectangle overwritten with `v`: a number, or what broadcasts to (C, height, width)."""
    y = x.copy()
    y[:, :, top : top + height, left : left + width] = np.asarray(v, x.dtype)
    return y


# ----- values -------------------------------------------------------------------------------------


def as_float(x: np.ndarray) -> np.ndarray:
    """Floats as they are, others as float32 with the same values."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def as_before(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as the dtype that the pixels had; rounded, where that is of integers."""
    if dtype.kind == "f":
        return y
    y = np.rint(y)
    return (np.clip(y, 0, 255) if dtype == np.uint8 else y).astype(dtype)


def scaled(x: np.ndarray) -> np.ndarray:
    """Bytes 0..255 as float32 0..1, bools as 0 and 1, and the rest as it is."""
    if x.dtype == np.uint8:
        return np.divide(x, np.float32(255), dtype=np.float32)  # type: ignore[no-any-return]
    return x.astype(np.float32) if x.dtype == np.bool_ else x


@of_images
def convert_image_dtype(x: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    """Pixels of another dtype: of floats the range is 0..1, of bytes 0..255."""
    dtype = np.dtype(dtype)
    for one in (x.dtype, dtype):
        if one != np.uint8 and one.kind != "f":
            raise TypeError(f"convert_image_dtype: images are uint8 or floats, not {one}")
    if dtype == np.uint8 and x.dtype != np.uint8:
        return (x * (255 + 1 - 1e-3)).astype(np.uint8)
    return scaled(x).astype(dtype, copy=False) if dtype != np.uint8 else x


@of_images
def normalize(x: np.ndarray, mean: Any, std: Any) -> np.ndarray:
    """Shifted and scaled: (x - mean) / std, each a number or one for each channel (C,)."""
    for name, value in (("mean", mean), ("std", std)):
        if np.size(value) not in (1, x.shape[1]):
            raise ShapeError(
                f"Normalize: {name} has {np.size(value)} values, but the images have C = "
                f"{x.shape[1]} channels (N, C, H, W = {x.shape}). Give 1 or {x.shape[1]}."
            )
    y: np.ndarray = x - np.asarray(mean, x.dtype).reshape(-1, 1, 1)  # mean: (C, 1, 1)
    y /= np.asarray(std, x.dtype).reshape(-1, 1, 1)
    return y


@of_images
def rgb_to_grayscale(x: np.ndarray, num_output_channels: int = 1) -> np.ndarray:
    """The brightness of each pixel as the eye sees it, in one channel or in three alike."""
    if x.shape[1] == 3 and x.dtype == np.uint8:
        x = (((np.einsum("c,nchw->nhw", GREY_BITS, x) + 2**15) >> 16)[:, None]).astype(np.uint8)
    elif x.shape[1] == 3:
        x = np.einsum("c,nchw->nhw", GREY, as_float(x))[:, None].astype(x.dtype)
    return x[:, :1].repeat(num_output_channels, axis=1)


@of_images
def adjust_brightness(x: np.ndarray, brightness_factor: Any) -> np.ndarray:
    """Between black (0), the image (1) and beyond; a number or (N,)."""
    return _blend(x, np.float32(0), brightness_factor)


@of_images
def adjust_contrast(x: np.ndarray, contrast_factor: Any) -> np.ndarray:
    """Between its mean grey (0), the image (1) and beyond; a number or (N,)."""
    grey = as_float(rgb_to_grayscale(x)) if x.shape[1] == 3 else as_float(x)
    mean = grey.mean(axis=(1, 2, 3), keepdims=True)
    return _blend(x, np.floor(mean + 0.5) if x.dtype == np.uint8 else mean, contrast_factor)


@of_images
def adjust_saturation(x: np.ndarray, saturation_factor: Any) -> np.ndarray:
    """Between grey (0), the image (1) and beyond; a number or (N,)."""
    return x if x.shape[1] == 1 else _blend(x, as_float(rgb_to_grayscale(x)), saturation_factor)


def _blend(x: np.ndarray, other: Any, factor: Any) -> np.ndarray:
    r = np.asarray(factor, np.float32).reshape(-1, 1, 1, 1)
    if (r < 0).any():
        raise ValueError(f"the factor of an adjustment must be 0 or more, got {factor}")
    y: np.ndarray = other + r * (as_float(x) - other)
    return y.clip(0, 255 if x.dtype == np.uint8 else 1).astype(x.dtype)


@of_images
def adjust_hue(x: np.ndarray, hue_factor: Any) -> np.ndarray:
    """The colours turned about the colour circle by a part of it, -0.5 to 0.5; a number or (N,)."""
    turn = np.asarray(hue_factor, np.float32).reshape(-1, 1, 1)
    if (np.abs(turn) > 0.5).any():
        raise ValueError(f"adjust_hue: hue_factor must be from -0.5 to 0.5, got {hue_factor}")
    if x.shape[1] == 1:
        return x
    rgb = convert_image_dtype(x)
    value, least = rgb.max(axis=1), rgb.min(axis=1)  # (N, H, W)
    span = np.where(value > least, value - least, 1)
    r, g, b = np.moveaxis(rgb, 1, 0)
    sectors = [(g - b) / span, 2 + (b - r) / span]
    hue = np.select([value == r, value == g], sectors, 4 + (r - g) / span) + 6 * turn
    # In sixths of the circle from `hue`, a channel is full, falls, is at its least, rises.
    distance = np.stack([(n + hue) % 6 for n in (5, 3, 1)], axis=1)
    fall = np.clip(np.minimum(distance, 4 - distance), 0, 1)  # (N, 3, H, W)
    return convert_image_dtype(value[:, None] - (value - least)[:, None] * fall, x.dtype)


# ----- in and out ---------------------------------------------------------------------------------


def pil_to_tensor(pic: Any) -> Tensor:
    """A PIL image as a tensor (C, H, W) of the same values; a tensor is one already."""
    if isinstance(pic, Tensor):
        return pic
    return wrap(np.ascontiguousarray(pixels_of(pic, "pil_to_tensor")))


def to_tensor(pic: Any) -> Tensor:
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W); bytes become 0..1.

    Of a tensor, the bytes become 0..1.
    """
    x = pic.array if isinstance(pic, Tensor) else pixels_of(pic, "to_tensor")
    return wrap(np.ascontiguousarray(scaled(x)))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or (H, W), or an array (H, W) or (H, W, C), as a PIL image.

    Floats of a tensor are 0..1. mode: Pillow's name for what the channels are, where it is not
    the usual one of their number.
    """
    if isinstance(pic, Tensor):
        x = pic.array if pic.ndim == 3 else pic.array[None]
        if x.dtype.kind == "f" and mode != "F":
            x = (x * 255).astype(np.uint8)
    else:
        x = pixels_of(pic, "to_pil_image")
    if x.ndim != 3 or len(x) > 4:
        raise ValueError(f"to_pil_image takes an image of 1 to 4 channels, got shape {pic.shape}")
    image = as_pil(x)
    return image if mode in (None, image.mode) else image.convert(mode)


# ----- arguments ----------------------------------------------------------------------------------


def size_pair(owner: str, size: Any) -> tuple[int, int]:
    """(height, width), also of one number for both."""
    sides = list(size) if isinstance(size, (tuple, list)) and len(size) in (1, 2) else [size]
    height, width = (integer(owner, "size", n, 1) for n in (sides * 2)[:2])
    return height, width
