"""Windows of an image as columns, and back: the two halves of a convolution in plain sight."""

from tinynet.autograd import Array, Op, differentiable
from tinynet.errors import ShapeError
from tinynet.kernels import plain
from tinynet.kernels.geometry import Geometry
from tinynet.ops.checks import check_float
from tinynet.ops.windows import IntPair, check_fits, check_image, memoized, pair


@differentiable(rule="y = the windows of x as columns")
def unfold(
    x: Array, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1
) -> Op:
    """Every window as a column: the matrix that a convolution multiplies by its filters.

    Shapes: x (N, C, H, W) -> y (N, C*KH*KW, OH*OW), sizes as for `conv2d`.
    Gradient: each element went into one column for every window that it is in, so dx adds those
    places of dy up again: it is `fold`. Keeps nothing.
    Raises ShapeError for a window larger than the padded image.
    """
    check_image("unfold", x)
    g = _geometry("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    return _columns(x, g), lambda dy: _image(dy, g)


@differentiable(rule="y = the columns of x added up where they came from")
def fold(
    x: Array,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Op:
    """Columns put back as windows of an image; where windows overlap, they add up.

    Shapes: x (N, C*KH*KW, OH*OW) -> y (N, C, *output_size).
    Gradient: the transposed map, `unfold`. Keeps nothing.
    Raises ShapeError where x does not have a column for each window.
    """
    check_float("fold", x)
    size = pair("fold", "output_size", output_size, 1)
    g = _geometry("fold", size, kernel_size, dilation, padding, stride)
    taps, windows = len(g.taps), g.out[0] * g.out[1]
    if x.ndim != 3 or x.shape[1] % taps or x.shape[2] != windows:
        raise ShapeError(
            f"fold: the input has shape {x.shape}; an image of {size[0]}x{size[1]} needs "
            f"(N, C*{taps}, {windows}): {taps} elements in each of {g.out[0]}x{g.out[1]} windows"
        )
    return _image(x, g), lambda dy: _columns(dy, g)


def _columns(x: Array, g: Geometry) -> Array:
    return plain.unfold(x, g).reshape(len(x), x.shape[1] * len(g.taps), g.out[0] * g.out[1])


def _image(columns: Array, g: Geometry) -> Array:
    N, taps = len(columns), len(g.taps)
    return plain.scatter(columns.reshape(N, columns.shape[1] // taps, taps, *g.out), g)


@memoized
def _geometry(
    op: str,
    size: tuple[int, int],
    kernel_size: IntPair,
    dilation: IntPair,
    padding: IntPair,
    stride: IntPair,
) -> Geometry:
    """The geometry of the windows, their settings checked."""
    kernel, steps = pair(op, "kernel_size", kernel_size, 1), pair(op, "stride", stride, 1)
    spread, margin = pair(op, "dilation", dilation, 1), pair(op, "padding", padding, 0)
    edges = (margin[0], margin[0]), (margin[1], margin[1])
    g = Geometry.of((size[0], size[1]), kernel, steps, edges, spread)
    check_fits(op, g)
    return g
