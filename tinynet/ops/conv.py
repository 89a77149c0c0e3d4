"""Convolution and its transpose.

The convolution (cross-correlation, as everywhere in deep learning) is one trilinear form

    sum over n, o, p, q, c, i, j of   dy[n,o,p,q] * w[o,c,i,j] * x[n,c,p*s+i*d,q*s+j*d]

seen from three sides. Leave out dy, and what stands beside it is y: the forward pass. Leave out
w, and it is dw; leave out x, and it is dx. That is all there is to derive: a form that is linear
in each argument has the other two as its gradient. So three kernels (`conv2d`, `conv2d_dx`,
`conv2d_dw_db`, which gives the bias's gradient too) serve the convolution, and the same three in
other roles its transpose.
"""

import numpy as np

from tinynet import kernels
from tinynet.autograd import Array, Op, differentiable, together
from tinynet.errors import ShapeError
from tinynet.kernels.geometry import Geometry, Padding, Pair, span
from tinynet.ops.windows import IntPair, check_fits, check_image, memoized, pair


@differentiable(rule="y[n,o,p,q] = b[o] + sum of w[o,c,i,j] x[n,c,p+i,q+j] over c, i, j")
def conv2d(
    x: Array,
    w: Array,
    b: Array = None,
    stride: IntPair = 1,
    padding: IntPair | str = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Op:
    """Two-dimensional convolution.

    y[n,o,p,q] = b[o] + sum over c, i, j of w[o,c,i,j] * x[n, c, p*stride + i*dilation - padding,
    q*stride + j*dilation - padding], where x is 0 outside the image.

    Shapes: x (N, C, H, W), w (O, C/groups, KH, KW), b (O) or None -> y (N, O, OH, OW) with
    OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1, and OW likewise.
    padding: an int, a pair (vertical, horizontal), "valid" (none) or "same" (OH = H, OW = W,
    stride 1; of an odd total the larger half goes after the image).
    groups: channels are cut into groups; group g of the output sees group g of the input alone.

    Gradients: y is linear in x, in w and in b, so each gradient is the transposed map.
    dw[o,c,i,j] sums dy * x over every n, p, q at which the weight met the pixel; dx adds
    w[o,c,i,j] * dy[n,o,p,q] back to each pixel that window (p, q) saw at (i, j);
    db[o] sums dy over n, p, q. Keeps x and w.
    Rounding: a 3x3 convolution of many channels is computed tile by tile (Winograd). A value there
    has an error of up to a millionth of the largest product x * w among the pixels within 4 of it,
    and NaN or infinity in a pixel reaches as far, never another image. dx likewise.
    Source: Dumoulin, Visin, "A guide to convolution arithmetic", arXiv:1603.07285.
    Raises ShapeError where channels, groups or sizes do not fit, TypeError for integers.
    """
    check_image("conv2d", x)
    if w.ndim != 4 or 0 in w.shape:
        raise ShapeError(
            f"conv2d: the weight must have shape (O, C/groups, KH, KW), got {w.shape}; for an "
            f"input of shape {x.shape} such as (8, {x.shape[1]}, 3, 3)"
        )
    _check_bias("conv2d", b, w.shape[0])
    g = _geometry(x.shape, w.shape, stride, padding, dilation, groups)
    x = kernels.current.arranged(x)  # for both passes
    y = kernels.current.conv2d(x, w, b, g)

    def dx(dy: Array) -> Array:
        return kernels.current.conv2d_dx(dy, w, g)

    def dw_db(dy: Array) -> tuple[Array, Array]:
        return kernels.current.conv2d_dw_db(dy, x, g)

    return y, dx, *together(dw_db)


@differentiable(rule="y[n,o,p+i,q+j] += x[n,c,p,q] w[c,o,i,j]")
def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array = None,
    stride: IntPair = 1,
    padding: IntPair = 0,
    output_padding: IntPair = 0,
    groups: int = 1,
    dilation: IntPair = 1,
) -> Op:
    """Transposed convolution: the map that takes dy to dx in a convolution, as a layer.

    Each input element spreads its copy of the kernel, times its value, over the output:
    y[n, o, p*stride + i*dilation - padding, ...] += x[n,c,p,q] * w[c,o,i,j].

    Shapes: x (N, C, H, W), w (C, O/groups, KH, KW), b (O) or None -> y (N, O, OH, OW) with
    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + 1 + output_padding, and OW likewise.
    output_padding: rows and columns added after the end, to choose among the sizes that a
    convolution of this stride maps to H; smaller than stride or dilation.

    Gradients: the same trilinear form as for `conv2d` with x and y in each other's place, so
    dx is the convolution of dy with w, and dw is conv2d's with x as its dy and dy as its x;
    db sums dy. Keeps x and w. Raises ShapeError where sizes do not fit, TypeError for integers.
    """
    op = "conv_transpose2d"
    check_image(op, x)
    fits = w.ndim == 4 and 0 not in w.shape and x.shape[1] == w.shape[0]
    if not fits or groups < 1 or w.shape[0] % groups:
        raise ShapeError(
            f"{op}: the weight must have shape (C, O/groups, KH, KW) with C the {x.shape[1]} "
            f"channels of the input {x.shape} and divisible by groups={groups}, got {w.shape}"
            + ("; use w.swapaxes(0, 1)" if x.shape[1] in w.shape[1:2] else "")
        )
    O = w.shape[1] * groups
    _check_bias(op, b, O)
    stride, dilation = pair(op, "stride", stride, 1), pair(op, "dilation", dilation, 1)
    margin, extra = pair(op, "padding", padding, 0), pair(op, "output_padding", output_padding, 0)
    check_output_padding(op, output_padding, extra, stride, dilation)
    size: Pair = tuple(
        (n - 1) * s - 2 * m + span(k, d) + e
        for n, s, m, k, d, e in zip(x.shape[2:], stride, margin, w.shape[2:], dilation, extra)
    )  # type: ignore[assignment]
    if min(size) < 1:
        raise ShapeError(
            f"{op}: padding={padding} leaves an output of {size[0]}x{size[1]} from an input of "
            f"{x.shape[2]}x{x.shape[3]}; use padding="
            f"{min(m + (n - 1) // 2 for m, n in zip(margin, size))} or less"
        )
    edges = (margin[0], margin[0]), (margin[1], margin[1])
    # the places of x, though output_padding may leave room for more
    g = Geometry.of(size, w.shape[2:], stride, edges, dilation, groups, out=x.shape[2:])
    y = kernels.current.conv2d_dx(x, w, g)
    if b is not None:
        y = y + b[:, None, None]

    def dx(dy: Array) -> Array:
        return kernels.current.conv2d(dy, w, None, g)

    def dw(dy: Array) -> Array:
        return kernels.current.conv2d_dw_db(x, dy, g)[0]

    return y, dx, dw, lambda dy: dy.sum((0, 2, 3))


def check_output_padding(
    op: str, output_padding: IntPair, extra: Pair, stride: Pair, dilation: Pair
) -> None:
    """ShapeError unless it is smaller than stride or dilation; extra: the same as a pair."""
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ShapeError(
            f"{op}: output_padding={output_padding} must be smaller than stride {stride} or "
            f"dilation {dilation}. Use output_padding={max(*stride, *dilation) - 1} or less."
        )


@memoized
def _geometry(
    x: tuple[int, ...],
    w: tuple[int, ...],
    stride: IntPair,
    padding: IntPair | str,
    dilation: IntPair,
    groups: int,
) -> Geometry:
    """The geometry of a convolution of these shapes, its settings checked."""
    _check_channels("conv2d", x, w, groups)
    stride, dilation = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    edges = conv_padding(padding, (w[2], w[3]), stride, dilation)
    g = Geometry.of((x[2], x[3]), (w[2], w[3]), stride, edges, dilation, groups)
    check_fits("conv2d", g)
    return g


def _check_channels(op: str, x: tuple[int, ...], w: tuple[int, ...], groups: int) -> None:
    C, O = x[1], w[0]
    if groups < 1 or O % groups or C % groups:
        raise ShapeError(
            f"{op}: groups={groups} must divide the {C} channels of the input {x} and the {O} "
            f"filters of the weight {w}; "
            f"{', '.join(str(g) for g in range(1, C + 1) if C % g == O % g == 0)} would"
        )
    if w[1] * groups != C:
        raise ShapeError(
            f"{op}: the input has {C} channels (shape {x}), the weight of shape {w} with "
            f"groups={groups} takes {w[1] * groups}. Use in_channels={C}, or move the channels to "
            "axis 1 with x.permute(0, 3, 1, 2) if they are last."
        )


def _check_bias(op: str, b: Array, O: int) -> None:
    if b is not None and getattr(b, "shape", None) != (O,):
        cure = f": b.reshape({O})" if np.size(b) == O else ""
        raise ShapeError(f"{op}: the bias has shape {np.shape(b)}, {O} filters need ({O},){cure}")


def conv_padding(padding: IntPair | str, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """Padding as ((top, bottom), (left, right)); ShapeError where "same" does not go."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        high, wide = (span(k, d) - 1 for k, d in zip(kernel, dilation))
        if stride != (1, 1):
            raise ShapeError(
                f"conv2d: padding='same' needs stride 1, got stride={stride}. Use "
                f"padding={(high // 2, wide // 2)} with this stride."
            )
        return (high // 2, high - high // 2), (wide // 2, wide - wide // 2)
    if isinstance(padding, str):
        raise ValueError(
            f"conv2d: padding must be an int, a pair, 'same' or 'valid', got {padding!r}"
        )
    vertical, horizontal = pair("conv2d", "padding", padding, 0)
    return (vertical, vertical), (horizontal, horizontal)
