"""Pooling: each window of the image becomes one number, its maximum or its mean.

Padding, stride, dilation and `ceil_mode` are worked out here into the places where windows
stand; the kernels see plain windows over a padded image.
"""

from collections.abc import Sequence

import numpy as np

from tinynet import kernels
from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError
from tinynet.kernels.geometry import ONE, Geometry, Pair, span
from tinynet.kernels.plain import unfold
from tinynet.ops.checks import may_underflow
from tinynet.ops.kinks import Branch, Kinks
from tinynet.ops.resize import along_axes, averaging
from tinynet.ops.windows import IntPair, check_fits, check_image, memoized, pair


def _branch(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    relu: bool = False,
) -> Branch:
    """The places of the winners of `max_pool2d`, with relu their signs too."""
    g = max_pool_geometry(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    windows = np.moveaxis(unfold(x, g, -np.inf), 2, -1)  # (N, C, OH, OW, KH*KW)
    largest = windows.max(-1, keepdims=True)
    places, ties = windows.argmax(-1), int(((windows == largest).sum(-1) > 1).sum())
    if not relu:
        return places, ties
    return np.stack([places, np.sign(largest[..., 0])]), ties + int((largest == 0).sum())


@differentiable(
    kinks=Kinks(_branch, "gives the gradient to the first winner of a tied window"),
    rule="y = the largest x of a window, dy/dx = 1 for it, else 0",
)
def max_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    relu: bool = False,
) -> Op:
    """The largest element of each window; padding counts as -inf.

    Shapes: x (N, C, H, W) -> y (N, C, OH, OW), sizes as for `conv2d`. stride: kernel_size if
    None. padding: at most half the window. ceil_mode: also windows that reach beyond the end,
    if they start inside the image or its padding before it.
    relu: as `relu(x)` before, in one operation: max(max(a, 0), max(b, 0)) is max(max(a, b), 0).

    Gradient: moving the winner by h moves y by h, moving another moves nothing. So dx adds each
    dy to the place of the winner of its window; of several that tie, the first in reading order
    takes it; so does the first NaN. Padding never does, and with relu nobody where the largest
    element is not above 0. Keeps x and y, or the numbers of the winners. Raises ShapeError where
    sizes do not fit or a window holds padding alone, TypeError for integers.
    """
    check_image("max_pool2d", x)
    g = max_pool_geometry(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    kernel_set = kernels.current  # which reads what it saved, whichever is in use then
    y, saved = kernel_set.max_pool2d(x, g, relu)

    def dx(dy: Array) -> Array:
        return kernel_set.max_pool2d_dx(dy, saved, g)

    return y, dx


@differentiable(rule="y = mean of a window, dy/dx = 1 / its size")
@may_underflow
def avg_pool2d(
    x: Array,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Op:
    """The mean of each window; padding counts as 0.

    Shapes: x (N, C, H, W) -> y (N, C, OH, OW), sizes as for `max_pool2d`.
    y = (sum of the window) / count, where count is the number of elements of the window that lie
    in the image, and in its padding too if `count_include_pad`; or `divisor_override`.

    Gradient: an element is in a window's sum once, so dx adds dy / count of every window that
    the element is in. Keeps nothing of x. Raises ShapeError where sizes do not fit.
    """
    op = "avg_pool2d"
    check_image(op, x)
    kernel, stride, margin = pool_arguments(op, kernel_size, stride, padding)
    g = _geometry(op, x.shape[2:], kernel, stride, margin, ONE, ceil_mode)
    counts = [_count(g, axis, margin[axis], count_include_pad) for axis in (0, 1)]
    divisor: Array = np.outer(*counts)  # (OH, OW)
    if divisor_override == 0:
        raise ValueError(f"{op}: divisor_override must not be 0, by which the sum is divided")
    if divisor_override is not None:
        divisor = np.full(g.out, divisor_override)
    share = (1.0 / divisor).astype(x.dtype)
    y = kernels.current.sum_pool2d(x, g)
    y *= share

    def dx(dy: Array) -> Array:
        return kernels.current.sum_pool2d_dx(dy * share, g)

    return y, dx


@differentiable(rule="y = mean of a region, dy/dx = 1 / its size")
@may_underflow
def adaptive_avg_pool2d(x: Array, output_size: int | Sequence[int | None]) -> Op:
    """The mean over a grid of output_size regions that cover the image.

    Shapes: x (N, C, H, W) -> y (N, C, OH, OW); None keeps a size. Region p of an axis of length
    L goes from floor(p L / OH) up to, not including, ceil((p + 1) L / OH), so regions overlap
    where OH does not divide L.
    With the matrix A (OH, H) that holds 1/length at the places of each region, and B (OW, W)
    likewise, y = A x B^T for every image and channel.

    Gradient: by the rule of the matrix product, dx = A^T dy B. Keeps A and B.
    Raises ShapeError for sizes below 1, TypeError for integers.
    """
    op = "adaptive_avg_pool2d"
    check_image(op, x)
    sizes = adaptive_size(op, x.shape, output_size)
    matrices = [averaging(n, out).astype(x.dtype) for n, out in zip(x.shape[2:], sizes)]
    return along_axes(x, matrices), lambda dy: along_axes(dy, [A.T for A in matrices])


def adaptive_size(op: str, shape: tuple[int, ...], output_size: int | Sequence[int | None]) -> Pair:
    """The output size of an adaptive pool, with the sizes of the input where it is None."""
    size = shape[2:]
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if min(size) < 1:
        raise ShapeError(f"{op}: the image of shape {shape} has no pixels")
    if len(wanted) == 2:
        wanted = [n if w is None else w for w, n in zip(wanted, size)]
    return pair(op, "output_size", wanted, 1)


@memoized
def max_pool_geometry(
    size: Pair,
    kernel_size: IntPair,
    stride: IntPair | None,
    padding: IntPair,
    dilation: IntPair,
    ceil_mode: bool,
) -> Geometry:
    """The geometry of a max-pool, its settings checked."""
    kernel, stride, margin = pool_arguments("max_pool2d", kernel_size, stride, padding)
    dilation = pair("max_pool2d", "dilation", dilation, 1)
    return _geometry("max_pool2d", size, kernel, stride, margin, dilation, ceil_mode)


def pool_arguments(
    op: str, kernel_size: IntPair, stride: IntPair | None, padding: IntPair
) -> tuple[Pair, Pair, Pair]:
    """(kernel, stride, padding) as pairs; ShapeError for a padding above half of the kernel."""
    kernel = pair(op, "kernel_size", kernel_size, 1)
    steps = kernel if stride is None or stride == () else pair(op, "stride", stride, 1)
    margin = pair(op, "padding", padding, 0)
    if any(2 * m > k for m, k in zip(margin, kernel)):
        raise ShapeError(
            f"{op}: padding={padding} must be at most half of kernel_size={kernel_size}, or "
            "windows would hold padding alone. "
            f"Use padding={tuple(k // 2 for k in kernel)} or less."
        )
    return kernel, steps, margin


def _geometry(
    op: str, size: Pair, kernel: Pair, stride: Pair, margin: Pair, dilation: Pair, ceil_mode: bool
) -> Geometry:
    """The geometry of a pool; ceil_mode enlarges the padding after the end."""
    edges: list[Pair] = []
    for length, k, s, m, d in zip(size, kernel, stride, margin, dilation):
        after = m
        if ceil_mode:
            rest = length + 2 * m - span(k, d)
            places = -(-rest // s) + 1
            if (places - 1) * s >= length + m:
                places -= 1  # the last window would start in the padding after the image
            after = max(m, (places - 1) * s + span(k, d) - length - m)
        edges.append((m, after))
    g = Geometry.of((size[0], size[1]), kernel, stride, (edges[0], edges[1]), dilation)
    check_fits(op, g)
    for axis, (L, k, s, m, d) in enumerate(zip(size, kernel, stride, margin, dilation)):
        if m and (d > 1 or L == 0):  # else each window reaches the image
            window = np.arange(g.out[axis])[:, None] * s - m + np.arange(k) * d
            if not ((window >= 0) & (window < L)).any(axis=1).all():
                raise ShapeError(
                    f"{op}: with kernel_size={kernel}, padding={margin} and dilation={dilation} "
                    f"some windows over the image of {size[0]}x{size[1]} would hold padding alone, "
                    f"along axis {axis + 2}. Use no padding there, a smaller dilation, or a larger "
                    "image."
                )
    return g


def _count(g: Geometry, axis: int, margin: int, include_pad: bool) -> np.ndarray:
    """How many elements of each window along one axis take part in the mean."""
    length, kernel = g.size[axis], g.kernel[axis]
    start = np.arange(g.out[axis]) * g.stride[axis] - margin
    end = np.minimum(start + kernel, length + margin)
    if include_pad:
        return end - start
    return np.minimum(end, length) - np.maximum(start, 0)
