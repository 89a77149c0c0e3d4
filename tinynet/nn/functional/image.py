"""Borders and sizes of images: padding, interpolation, places turned into channels and back."""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.errors import ShapeError, unknown_name
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.ops import resize
from tinynet.ops.checks import integer
from tinynet.tensor import Tensor

__all__ = [
    "channel_shuffle", "interpolate", "pad", "pixel_shuffle", "pixel_unshuffle", "upsample",
    "upsample_bilinear", "upsample_nearest",
]  # fmt: skip


# ----- padding ------------------------------------------------------------------------------------

_PAD_MODES = ("constant", "reflect", "replicate", "circular")


def pad(
    input: Data, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Surround with more elements; `pad` counts from the last axis, as in PyTorch.

    pad: (left, right) for the last axis, then (top, bottom) for the one before, and so on; a
    negative width cuts off. mode: "constant" puts in `value` (0 if None); "reflect" mirrors at the
    edge element without repeating it, "replicate" repeats it, "circular" goes on at the other end.
    Raises ShapeError where the widths do not fit the input, ValueError for an unknown mode.

    >>> pad(np.array([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    Tensor([3., 2., 1., 2., 3., 2.], dtype=float64)
    """
    x = tensor_of(input)
    shape = x.shape
    if mode not in _PAD_MODES:
        raise unknown_name("mode of pad", mode, _PAD_MODES)
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ShapeError(
            f"pad: needs (left, right, top, bottom, ...), a pair of widths for each axis from the "
            f"last on, at most {2 * len(shape)} for shape {shape}; got {tuple(pad)}"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]  # first axis first
    if any(size + min(0, a) + min(0, b) < 0 for size, (a, b) in zip(shape, widths)):
        raise ShapeError(f"pad: {tuple(pad)} cuts off more than there is of shape {shape}")
    if mode == "constant":
        inner = tuple(slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(shape, widths))
        outer = [(max(0, a), max(0, b)) for a, b in widths]
        x = x[inner] if min(pad, default=0) < 0 else x
        return ops.pad(x, outer, 0.0 if value is None else value)
    for axis, (size, width) in enumerate(zip(shape, widths)):
        if width != (0, 0):
            x = ops.getitem(x, (slice(None),) * axis + (_places(axis, size, width, mode),))
    return x


def _places(axis: int, size: int, width: tuple[int, int], mode: str) -> np.ndarray:
    """Which elements of one axis stand at the places of the padded one."""
    most = {"reflect": size - 1, "circular": size}.get(mode, max(width) if size else 0)
    if max(width) > most:
        raise ShapeError(
            f"pad: mode={mode!r} can add at most {max(most, 0)} elements at each end of axis "
            f"{axis}, which has {size}; got {width}"
        )
    before, after = width
    place: np.ndarray = np.arange(-before, size + after)
    if mode == "replicate":
        return np.asarray(np.clip(place, 0, size - 1))
    if mode == "reflect":
        return np.asarray(size - 1 - np.abs(size - 1 - np.abs(place)))
    left = np.arange(max(0, -before), size + min(0, after))  # what goes round in a circle
    return left[np.arange(-max(0, before), len(left) + max(0, after)) % max(len(left), 1)]


# ----- interpolation ------------------------------------------------------------------------------

_INTERPOLATIONS = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}  # axes of the input
_MODES = ("nearest", "nearest-exact", "area", *_INTERPOLATIONS)
Factor = float | Sequence[float] | None


def interpolate(
    input: Data,
    size: int | Sequence[int] | None = None,
    scale_factor: Factor = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images of another size: (N, C, H, W) -> (N, C, *size), or size times scale_factor.

    mode: "nearest", "nearest-exact" (from the middle of each place), "bilinear", "bicubic", "area"
    (the mean of regions); for signals (N, C, L) "linear". align_corners: the corner pixels stay
    where they are (None is False). recompute_scale_factor: the factor is worked out from the sizes.
    antialias: when the image shrinks, a new pixel is made of all that it covers.

    >>> interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    Tensor([[[1., 1., 2., 2.]]], dtype=float64)
    """
    x = tensor_of(input)
    _check_mode(x, mode, align_corners, antialias)
    sizes, scales = _new_sizes(x, size, scale_factor, recompute_scale_factor or mode == "area")
    whole = [out // n if n and out % n == 0 else 0 for n, out in zip(x.shape[2:], sizes)]
    if mode == "nearest" and scale_factor in (None, *whole) and all(whole):
        return _repeated(x, whole)
    matrix = _matrix_of(mode, bool(align_corners), antialias)
    matrices = [matrix(n, out, scale) for n, out, scale in zip(x.shape[2:], sizes, scales)]
    return resize.resample(x, matrices)


def _check_mode(x: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in _MODES:
        raise unknown_name("mode of interpolate", mode, _MODES)
    if mode not in _INTERPOLATIONS and align_corners is not None:
        raise ValueError(f"interpolate: mode={mode!r} has no align_corners; leave it out")
    axes = _INTERPOLATIONS.get(mode, x.ndim)
    if x.ndim not in (3, 4, 5) or x.ndim != axes:
        fit = next((m for m, n in _INTERPOLATIONS.items() if n == x.ndim), "nearest")
        raise ShapeError(
            f"interpolate: mode={mode!r} is for {axes if axes in (3, 4, 5) else '3 to 5'} axes "
            f"(N, C, ...), the input has shape {x.shape}; use mode={fit!r}, or x.unsqueeze(0) "
            "for a missing batch axis"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(
            f"interpolate: antialias goes with mode='bilinear' or 'bicubic', not {mode!r}"
        )


def _new_sizes(
    x: Tensor, size: int | Sequence[int] | None, factor: Factor, recompute: bool
) -> tuple[list[int], list[float | None]]:
    """The sizes of the result, and how far a step of it is in the input (None: by the sizes)."""
    old = x.shape[2:]
    if (size is None) == (factor is None):
        raise ValueError(
            f"interpolate: give either size or scale_factor, got size={size}, scale_factor={factor}"
        )
    given: Any = factor if size is None else size
    each = list(given) if isinstance(given, Sequence) else [given] * len(old)
    if len(each) != len(old):
        raise ShapeError(
            f"interpolate: the input of shape {x.shape} has {len(old)} axes after (N, C), got "
            f"{len(each)} {'factors' if size is None else 'sizes'}: {given}"
        )
    scales: list[float | None] = [None] * len(old)
    if size is not None:
        sizes = [integer("interpolate", "size", n) for n in each]
    else:
        sizes = [
            integer("interpolate", "the new size", math.floor(n * f)) for n, f in zip(old, each)
        ]
        scales = scales if recompute else [1 / f for f in each]
    if 0 in old:
        raise ShapeError(f"interpolate: the image of shape {x.shape} has no pixels")
    return sizes, scales


def _matrix_of(mode: str, align_corners: bool, antialias: bool) -> Callable[..., np.ndarray]:
    """A function of an axis (length, new length, step or None) that gives the weights."""
    cubic = mode == "bicubic"

    def matrix(length: int, out: int, step: float | None) -> np.ndarray:
        if mode == "area":
            return resize.averaging(length, out)
        scale = length / out if step is None else step
        if mode in ("nearest", "nearest-exact"):
            return resize.nearest(length, out, scale, mode == "nearest-exact")
        if align_corners:
            scale = (length - 1) / (out - 1) if out > 1 else 0.0
        if antialias:
            return resize.antialiased(length, out, scale, cubic)
        return resize.interpolation(length, out, scale, cubic, align_corners)

    return matrix


def _repeated(x: Tensor, times: list[int]) -> Tensor:
    """Every element several times along each axis after the first two."""
    apart, wide = list(x.shape[:2]), list(x.shape[:2])
    for n, k in zip(x.shape[2:], times):
        apart += [n, 1]
        wide += [n, k]
    sizes = [n * k for n, k in zip(x.shape[2:], times)]
    return x.reshape(apart).expand(wide).reshape(*x.shape[:2], *sizes)


upsample = interpolate
upsample_nearest = functools.partial(interpolate, mode="nearest")


def upsample_bilinear(
    input: Data, size: int | Sequence[int] | None = None, scale_factor: Factor = None
) -> Tensor:
    """`interpolate` with mode="bilinear" and align_corners=True, as PyTorch's old function."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# ----- channels and places ------------------------------------------------------------------------


def pixel_shuffle(input: Data, upscale_factor: int) -> Tensor:
    """r^2 channels become one of r times the size: (..., C r^2, H, W) -> (..., C, H r, W r).

    Source: Shi et al., "Real-time single image and video super-resolution", arXiv:1609.05158.
    """
    x, r = tensor_of(input), integer("pixel_shuffle", "upscale_factor", upscale_factor)
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ShapeError(
            f"pixel_shuffle: the channels of the input (..., C, H, W) must be a multiple of "
            f"{r}^2={r * r}, its shape is {x.shape}"
        )
    *lead, C, H, W = x.shape
    N = math.prod(lead)
    y = x.reshape(N, C // (r * r), r, r, H, W).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(*lead, C // (r * r), H * r, W * r)


def pixel_unshuffle(input: Data, downscale_factor: int) -> Tensor:
    """The way back of `pixel_shuffle`: (..., C, H r, W r) -> (..., C r^2, H, W)."""
    x, r = tensor_of(input), integer("pixel_unshuffle", "downscale_factor", downscale_factor)
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ShapeError(
            f"pixel_unshuffle: height and width of the input (..., C, H, W) must be multiples of "
            f"{r}, its shape is {x.shape}"
        )
    *lead, C, H, W = x.shape
    N = math.prod(lead)
    y = x.reshape(N, C, H // r, r, W // r, r).permute(0, 1, 3, 5, 2, 4)
    return y.reshape(*lead, C * r * r, H // r, W // r)


def channel_shuffle(input: Data, groups: int) -> Tensor:
    """The channels (N, C, ...) in another order: the first of each group, then the second, ...

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", arXiv:1707.01083.
    """
    x, g = tensor_of(input), integer("channel_shuffle", "groups", groups)
    if x.ndim < 3 or x.shape[1] % g:
        raise ShapeError(
            f"channel_shuffle: groups={g} must divide the channels of the input (N, C, ...), its "
            f"shape is {x.shape}"
        )
    N, C, *size = x.shape
    return x.reshape(N, g, C // g, *size).swapaxes(1, 2).reshape(x.shape)
