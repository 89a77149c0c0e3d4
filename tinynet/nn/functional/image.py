"""Borders and sizes of images: padding, interpolation, places turned into channels and back."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.errors import ShapeError, unknown_name
from tinynet.functions import remainder
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.ops import resize
from tinynet.ops.checks import integer, one_of
from tinynet.tensor import Tensor

__all__ = [
    "affine_grid", "channel_shuffle", "grid_sample", "interpolate", "pad", "pixel_shuffle",
    "pixel_unshuffle", "upsample", "upsample_bilinear", "upsample_nearest",
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
    tensor([3., 2., 1., 2., 3., 2.], dtype=tinynet.float64)
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

_AXES = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}
_MODES = ("nearest", "nearest-exact", "area", *_AXES)
Sizes = int | Sequence[int] | None
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
    antialias: in a smaller image of "bilinear" or "bicubic", each pixel is a mean of all it covers.

    >>> interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]], dtype=tinynet.float64)
    """
    x = tensor_of(input)
    _check_mode(x, mode, align_corners)
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias=True needs bilinear or bicubic, not {mode!r}")
    sizes, steps = _new_sizes(x, size, scale_factor, bool(recompute_scale_factor))
    matrices = [
        _weights(mode, bool(align_corners), n, out, step, antialias)
        for n, out, step in zip(x.shape[2:], sizes, steps)
    ]
    return resize.resample(x, matrices)


def _check_mode(x: Tensor, mode: str, align_corners: bool | None) -> None:
    if mode not in _MODES:
        raise unknown_name("mode of interpolate", mode, _MODES)
    if mode not in _AXES and align_corners is not None:
        raise ValueError(f"interpolate: mode={mode!r} has no align_corners; leave it out")
    if x.ndim not in (3, 4, 5) or x.ndim != _AXES.get(mode, x.ndim):
        fit = next((m for m, n in _AXES.items() if n == x.ndim), "nearest")
        raise ShapeError(
            f"interpolate: mode={mode!r} is for {_AXES.get(mode, '3 to 5')} axes (N, C, ...), the "
            f"input has shape {x.shape}; use mode={fit!r}, or x.unsqueeze(0) for a missing batch"
        )


def _new_sizes(
    x: Tensor, size: Sizes, factor: Factor, recompute: bool
) -> tuple[list[int], list[float]]:
    """The sizes of the result, and how far a step of it is in the input."""
    op, old = "interpolate", x.shape[2:]
    if (size is None) == (factor is None):
        raise ValueError(
            f"{op}: give either size or scale_factor, got size={size}, scale_factor={factor}"
        )
    given: Any = factor if size is None else size
    each = list(given) if isinstance(given, Sequence) else [given] * len(old)
    if len(each) != len(old) or 0 in old:
        raise ShapeError(
            f"{op}: the input of shape {x.shape} has {len(old)} axes with pixels after (N, C); got "
            f"{'scale_factor' if size is None else 'size'}={given}"
        )
    if size is not None:
        sizes = [integer(op, "size", n) for n in each]
    else:
        sizes = [integer(op, "the new size", math.floor(n * f)) for n, f in zip(old, each)]
    if factor is not None and not recompute:
        return sizes, [1 / f for f in each]
    return sizes, [n / out for n, out in zip(old, sizes)]


def _weights(
    mode: str, align_corners: bool, length: int, out: int, step: float, antialias: bool
) -> np.ndarray:
    """The matrix (out, length) of one axis."""
    if mode == "area":
        return resize.averaging(length, out)
    if mode in ("nearest", "nearest-exact"):
        return resize.nearest(length, out, step, mode == "nearest-exact")
    if align_corners:
        step = (length - 1) / (out - 1) if out > 1 else 0.0
    return resize.interpolation(length, out, step, mode == "bicubic", align_corners, antialias)


upsample = interpolate


def upsample_nearest(input: Data, size: Sizes = None, scale_factor: Factor = None) -> Tensor:
    """`interpolate` with the nearest element."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Data, size: Sizes = None, scale_factor: Factor = None) -> Tensor:
    """`interpolate` with mode="bilinear" and align_corners=True, as PyTorch's old function."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# ----- images turned and bent ---------------------------------------------------------------------


def affine_grid(theta: Data, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where each pixel of a result comes from, for `grid_sample`: theta (x, y, 1)^T.

    Coordinates go from -1 to 1, the outer edges of the image or, with align_corners, the middles
    of its outer pixels. Shapes: theta (N, 2, 3), size (N, C, H, W) -> (N, H, W, 2).
    """
    if len(size) != 4 or theta.shape[1:] != (2, 3):
        raise ShapeError(
            f"affine_grid: theta must be (N, 2, 3), size (N, C, H, W); got shape "
            f"{tuple(theta.shape)} and size {tuple(size)}"
        )
    N, _, H, W = size
    x, y = (_middles(n, bool(align_corners), theta.dtype) for n in (W, H))
    places = np.stack([*np.broadcast_arrays(x, y[:, None]), np.ones((H, W), x.dtype)], -1)
    return ops.matmul(places.reshape(-1, 3), ops.permute(theta, (0, 2, 1))).reshape(N, H, W, 2)


def _middles(n: int, align_corners: bool, dtype: Any) -> np.ndarray:
    """Where n pixels lie between -1 and 1, rounded as in PyTorch: a pixel's own place is a kink of
    `grid_sample`, and an image that is not turned at all lies there."""
    k = np.arange(n, dtype=dtype)
    step = np.asarray(2, dtype) / np.asarray(max(n - 1, 1), dtype)
    x = np.where(k < n // 2, step * k - 1, 1 - step * (n - 1 - k)) if n > 1 else 0 * k
    return x if align_corners else x * np.asarray(n - 1, dtype) / np.asarray(n, dtype)


def grid_sample(
    input: Data,
    grid: Data,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The image at places (x, y) between -1 and 1, see `affine_grid`.

    mode: "bilinear", between the four nearest pixels; or "nearest". padding_mode: what is outside
    is 0 ("zeros"), the nearest pixel ("border") or a mirror image ("reflection").
    Shapes: input (N, C, H, W), grid (N, OH, OW, 2) -> (N, C, OH, OW).
    """
    x, at = tensor_of(input), tensor_of(grid)
    one_of("grid_sample", "mode", mode, ("bilinear", "nearest"))
    one_of("grid_sample", "padding_mode", padding_mode, ("zeros", "border", "reflection"))
    if x.ndim != 4 or at.shape != (len(x), *at.shape[1:3], 2):
        raise ShapeError(
            f"grid_sample: takes images (N, C, H, W) and a grid (N, OH, OW, 2), got shapes "
            f"{x.shape} and {at.shape}"
        )
    pairs = []  # for both axes the nearest pixels, each with its weight
    for size, place in zip(x.shape[:1:-1], (at[..., 0], at[..., 1])):
        span, first = (size - 1, 0.0) if align_corners else (size, -0.5)
        place = (place + 1) / 2 * span if align_corners else ((place + 1) * size - 1) / 2
        if padding_mode == "reflection" and span:
            place = first + span - ops.abs(remainder(place - first, 2 * span) - span)
        if padding_mode != "zeros":
            place = ops.clip(place, 0, size - 1)
        low = np.floor(place.array)
        share = place - low
        near = [(low, 1 - share), (low + 1, share)]
        pairs.append([(np.rint(place.array), 1.0)] if mode == "nearest" else near)
    last, batch = x.permute(0, 2, 3, 1), np.arange(len(x))[:, None, None]
    total: Any = 0
    for (column, across), (row, down) in itertools.product(*pairs):
        inside = (row >= 0) & (row < x.shape[2]) & (column >= 0) & (column < x.shape[3])
        index = (batch, *(np.where(inside, i, 0).astype(int) for i in (row, column)))
        weight = tensor_of(inside.astype(x.dtype)) * across * down
        total = total + last[index] * weight.unsqueeze(-1)  # (N, OH, OW, C)
    return total.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


# ----- channels and places ------------------------------------------------------------------------


def channel_shuffle(input: Data, groups: int) -> Tensor:
    """Channels (N, C, ...) dealt out: one from each of the groups in turn (arXiv:1707.01083)."""
    x, g = tensor_of(input), integer("channel_shuffle", "groups", groups)
    if x.ndim < 3 or x.shape[1] % g:
        raise ShapeError(
            f"channel_shuffle: groups={g} must divide the channels, axis 1 of (N, C, ...), the "
            f"input has shape {x.shape}"
        )
    return x.reshape(len(x), g, x.shape[1] // g, -1).swapaxes(1, 2).reshape(x.shape)


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
    y = x.reshape(math.prod(lead), C // (r * r), r, r, H, W).permute(0, 1, 4, 2, 5, 3)
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
    y = x.reshape(math.prod(lead), C, H // r, r, W // r, r).permute(0, 1, 3, 5, 2, 4)
    return y.reshape(*lead, C * r * r, H // r, W // r)
