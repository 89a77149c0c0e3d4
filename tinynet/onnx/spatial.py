"""ONNX's operators over images: convolutions, pools, images of another size.

Inputs are (N, C, H, W), or signals (N, C, L). What is padded before an axis and after it may
differ, which the operations do not know: what both share is theirs, the rest is padded first.

Where a row takes **window, its attributes are also those of `window_of`.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinynet.autograd import wrap
from tinynet.nn import functional as F
from tinynet.onnx.arrays import check_size, integers
from tinynet.ops.resize import resample
from tinynet.ops.resize import weights as resize_weights
from tinynet.tensor import Tensor

Sizes = Sequence[int]
Edges = list[tuple[int, int]]
"""How much is added before and after each of the last axes; what is negative is cut off."""


class Window(NamedTuple):
    """The windows of a convolution or a pool, along each axis of pixels."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    edges: Edges


def window_of(
    x: Tensor,
    kernel: Sizes,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sizes = (),
    pads: Sizes = (),
    strides: Sizes = (),
) -> Window:
    """All settings, checked and filled in."""
    axes = x.ndim - 2
    if axes not in (1, 2):
        raise ValueError(f"tinynet takes signals (N, C, L) and images (N, C, H, W), got {x.shape}")
    stride, dilation = list(strides or [1] * axes), list(dilations or [1] * axes)
    both = list(pads or [0] * 2 * axes)
    if not len(kernel) == len(stride) == len(dilation) == len(both) / 2 == axes:
        raise ValueError(f"kernel_shape, strides, dilations, pads do not fit {axes} axes")
    if min(*kernel, *stride, *dilation) < 1 or min(both) < 0:
        raise ValueError("kernel_shape, strides and dilations must be above 0, pads at least 0")
    edges = list(zip(both[:axes], both[axes:]))
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        totals = [
            max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
            for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation)
        ]
        edges = _halved(totals, larger_last=auto_pad == "SAME_UPPER")
    elif auto_pad not in ("NOTSET", "VALID"):
        raise ValueError(f"auto_pad {auto_pad!r} is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    if any(a + b > n for n, (a, b) in zip(x.shape[2:], edges)):  # most windows are in padding
        image = [n + a + b for n, (a, b) in zip(x.shape[2:], edges)]
        check_size(x.shape[:2], image)
        check_size([16], kernel, image)
    return Window(list(kernel), stride, dilation, edges)


def pool_of(x: Tensor, kernel: Sizes, **window: Any) -> Window:
    """As `window_of`; no window of a pool may lie in the padding alone."""
    windows = window_of(x, kernel, **window)
    if any(max(edge) > (k - 1) * d for edge, k, d in zip(windows.edges, kernel, windows.dilation)):
        raise ValueError(f"the pads {windows.edges} are not below the kernel {kernel}")
    return windows


def _halved(totals: Sizes, larger_last: bool) -> Edges:
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if larger_last else [(b, a) for a, b in halves]


def padded(x: Tensor, edges: Edges, value: float = 0.0, mode: str = "constant") -> Tensor:
    """x with more along its last axes, or less."""
    if not any(map(any, edges)):
        return x
    last = len(edges)
    check_size(x.shape[:-last], [n + sum(edge) for n, edge in zip(x.shape[-last:], edges)])
    return F.pad(x, [n for edge in reversed(edges) for n in edge], mode, value)


def _parted(edges: Edges, most: Sizes) -> tuple[list[int], Edges]:
    """What both ends of each axis share, no more than `most` of it, and the rest."""
    shared = [min(*edge, limit) for edge, limit in zip(edges, most)]
    return shared, [(a - m, b - m) for (a, b), m in zip(edges, shared)]


def _along(x: Tensor, name: str) -> Any:
    """The function of this name for as many axes as x has."""
    return getattr(F, f"{name}{x.ndim - 2}d")


def _kernel(w: Tensor, kernel_shape: Sizes) -> Sizes:
    if kernel_shape and tuple(kernel_shape) != w.shape[2:]:
        raise ValueError(f"kernel_shape {list(kernel_shape)} is not that of the weight {w.shape}")
    return tuple(w.shape[2:])


def conv(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, group: int = 1, kernel_shape: Sizes = (),
    **window: Any,
) -> Any:  # fmt: skip
    """Conv."""
    _, stride, dilation, edges = window_of(x, _kernel(w, kernel_shape), **window)
    shared, rest = _parted(edges, [max(edge) for edge in edges])
    return _along(x, "conv")(padded(x, rest), w, b, stride, shared, dilation, group)


def conv_transpose(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, auto_pad: str = "NOTSET", group: int = 1,
    kernel_shape: Sizes = (), output_padding: Sizes = (), output_shape: Sizes = (), **window: Any,
) -> Any:  # fmt: skip
    """ConvTranspose: what is padded is cut off the result; where that is negative, zeros come."""
    windows = window_of(x, _kernel(w, kernel_shape), auto_pad=auto_pad, **window)
    kernel, stride, dilation, edges = windows
    more = list(output_padding) or [0] * len(kernel)
    full = [
        s * (n - 1) + e + (k - 1) * d + 1
        for n, s, e, k, d in zip(x.shape[2:], stride, more, kernel, dilation)
    ]
    check_size(full, x.shape[0], w.shape[1] * group)
    if not output_shape and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        output_shape = [n * s for n, s in zip(x.shape[2:], stride)]
    if output_shape:
        totals = [n - out for n, out in zip(full, output_shape[-len(kernel) :])]
        edges = _halved(totals, larger_last=auto_pad == "SAME_UPPER")
    shared = [max(min(edge), 0) for edge in edges]
    y = _along(x, "conv_transpose")(x, w, None, stride, shared, more, group, dilation)
    y = padded(y, [(m - a, m - b) for (a, b), m in zip(edges, shared)])
    return y if b is None else y + b.reshape(-1, *(1,) * len(kernel))


def max_pool(
    x: Tensor, *, ceil_mode: int = 0, kernel_shape: Sizes, storage_order: int = 0, **window: Any
) -> Any:
    """MaxPool; the places of the maxima, a second output, are not there."""
    kernel, stride, dilation, _ = windows = pool_of(x, kernel_shape, **window)
    edges = _to_the_ceiling(x, windows, ceil_mode)
    shared, rest = _parted(edges, [k // 2 for k in kernel])
    image = padded(x, rest, -math.inf)
    return _along(x, "max_pool")(image, kernel, stride, shared, dilation)


def _to_the_ceiling(x: Tensor, window: Window, ceil_mode: int) -> Edges:
    """The padding after the end enlarged to the last window that starts within the padded image."""
    edges = []
    for n, k, s, d, (a, b) in zip(x.shape[2:], *window):
        reach = (k - 1) * d + 1
        last = -(-(n + a + b - reach) // s) * s
        last -= s if last >= n + a else 0  # it would start in the padding after the image
        edges.append((a, max(b, last + reach - n - a) if ceil_mode else b))
    return edges


def average_pool(
    x: Tensor, *, ceil_mode: int = 0, count_include_pad: int = 0, kernel_shape: Sizes, **window: Any
) -> Any:
    """AveragePool: the sum of each window over how many of its elements count."""
    kernel, stride, dilation, both = windows = pool_of(x, kernel_shape, **window)
    if max(dilation) == 1 and all(a == b and 2 * a <= k for (a, b), k in zip(both, kernel)):
        shared, ceil, count = [a for a, _ in both], bool(ceil_mode), bool(count_include_pad)
        return _along(x, "avg_pool")(x, kernel, stride, shared, ceil, count)
    edges = _to_the_ceiling(x, windows, ceil_mode)
    ones = wrap(np.ones((1, 1, *x.shape[2:]), x.dtype))
    counted = padded(ones, both, float(count_include_pad))
    rest = [(0, b - d) for (_, b), (_, d) in zip(edges, both)]
    return _sums(padded(x, edges), windows) / _sums(padded(counted, rest), windows)


def _sums(x: Tensor, window: Window) -> Any:
    """The sum of each window; where it has gaps, by a convolution of every channel with ones."""
    N, C, *size = x.shape
    if max(window.dilation) == 1:
        return _along(x, "avg_pool")(x, window.kernel, window.stride) * math.prod(window.kernel)
    ones = wrap(np.ones((1, 1, *window.kernel), x.dtype))
    y = conv(x.reshape(N * C, 1, *size), ones, strides=window.stride, dilations=window.dilation)
    return y.reshape(N, C, *y.shape[2:])


# ----- images of another size ---------------------------------------------------------------------

Place = Callable[[np.ndarray, int, int, float], np.ndarray]

PLACES: dict[str, Place] = {  # where place p, of `out`, is among n old ones
    "half_pixel": lambda p, n, out, scale: (p + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda p, n, out, scale: ((p + 0.5) / scale - 0.5) * (out > 1),
    "align_corners": lambda p, n, out, scale: p * (n - 1) / (n * scale - 1 if out > 1 else 1),
    "asymmetric": lambda p, n, out, scale: p / scale,
}
ROUNDED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def weights(
    n: int, out: int, scale: float, *, mode: str, at: str, nearest: str, a: float = -0.75,
    inside: int = 0, antialias: int = 0,
) -> np.ndarray:  # fmt: skip
    """The matrix (out, n) whose product with an axis is that axis at its new places.

    at, nearest: names in `PLACES` and `ROUNDED`. a: of the cubic. inside: the edge does not go on
    beyond the image.
    """
    check_size(n, out)
    place = PLACES[at](np.arange(out), n, out, scale)
    if mode == "nearest":
        taken = np.clip(ROUNDED[nearest](place), 0, n - 1)
        return np.asarray(taken[:, None] == np.arange(n), float)
    narrow = min(scale, 1.0) if antialias else 1.0
    check_size(math.ceil(4 / narrow), out)
    cubic = a if mode == "cubic" else None
    return resize_weights(place, n, cubic, narrow, bool(inside))


def upsample(
    x: Tensor, factors: Tensor | None = None, /, *, mode: str = "nearest",
    scales: Sequence[float] = (),
) -> Tensor:  # fmt: skip
    """Upsample, and Resize of opset 10: place p of the result is at p / scale."""
    factors = wrap(np.array(scales)) if factors is None else factors
    placed = functools.partial(resize, coordinate_transformation_mode="asymmetric", opset=11)
    return placed(x, None, factors, nearest_mode="floor", mode=mode.removeprefix("bi"))


def resize(
    x: Tensor, roi: Tensor | None = None, factors: Tensor | None = None,
    wanted_sizes: Tensor | None = None, /, *, antialias: int = 0, axes: Sizes | None = None,
    coordinate_transformation_mode: str = "half_pixel", cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0, extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor", opset: int,
) -> Tensor:  # fmt: skip
    """Resize; roi and extrapolation_value are for tf_crop_and_resize alone, which is refused."""
    if opset < 11:
        return upsample(x, roi, mode=mode)
    named = [d % x.ndim for d in (range(x.ndim) if axes is None else axes)]
    old = [x.shape[d] for d in named]
    each = [] if factors is None else [float(f) for f in factors.array.ravel()]
    new = [] if wanted_sizes is None else integers(wanted_sizes)
    if len(each) + len(new) != len(named):
        raise ValueError(
            f"{len(each)} scales and {len(new)} sizes, and not one or the other, for the "
            f"{len(named)} axes {named}"
        )
    if new:
        each = [out / max(n, 1) for out, n in zip(new, old)]
        if keep_aspect_ratio_policy != "stretch":
            pick = min if keep_aspect_ratio_policy == "not_larger" else max
            each = [pick(each)] * len(old)
            new = [math.floor(n * f + 0.5) for n, f in zip(old, each)]
    else:
        new = [math.floor(n * f) for n, f in zip(old, each)]
    sizes, scales = list(x.shape), [1.0] * x.ndim
    for d, size, scale in zip(named, new, each):
        sizes[d], scales[d] = size, scale
    words = mode, coordinate_transformation_mode, nearest_mode
    known: Sequence[Any] = ("nearest", "linear", "cubic"), PLACES, ROUNDED
    if any(word not in ways for word, ways in zip(words, known)) or min(scales) <= 0:
        raise ValueError(f"the modes {words} or scales {scales!r:.80} are not supported")
    if not 3 <= x.ndim <= 5 or tuple(sizes[:2]) != x.shape[:2] or 0 in x.shape:
        raise ValueError(f"axes of pixels alone are resized, not {x.shape} to {tuple(sizes)}")
    check_size(sizes)
    along = functools.partial(
        weights, mode=mode, at=coordinate_transformation_mode, nearest=nearest_mode,
        a=cubic_coeff_a, inside=exclude_outside, antialias=antialias,
    )  # fmt: skip
    return resample(x, [*map(along, x.shape[2:], sizes[2:], scales[2:])])
