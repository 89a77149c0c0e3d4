"""The kernels as operations of each other, so that any of them has gradients of every order.

A convolution is one trilinear form in (dy, w, x), see `ops/conv.py`: leave one of the three out,
and the other two give its gradient. So three operations have one another's results as gradients.
Unfold and scatter are each other's transposed map; the plain kernels of the pools are made of them.
"""

from tinynet import kernels
from tinynet.autograd import Array, Op, differentiable
from tinynet.kernels import plain
from tinynet.kernels.geometry import Geometry


@differentiable(rule="y = the form without dy")
def conv2d(x: Array, w: Array, g: Geometry) -> Op:
    """y (N, O, OH, OW). Gradients: the form with dy, without x and without w."""
    return (
        kernels.current.conv2d(x, w, None, g),
        lambda dy: kernels.current.conv2d_dx(dy, w, g),
        lambda dy: kernels.current.conv2d_dw_db(dy, x, g)[0],
    )


@differentiable(rule="dx = the form without x")
def conv2d_dx(dy: Array, w: Array, g: Geometry) -> Op:
    """dx (N, C, H, W). Gradients: the form with x = ddx, without dy and without w."""
    return (
        kernels.current.conv2d_dx(dy, w, g),
        lambda ddx: kernels.current.conv2d(ddx, w, None, g),
        lambda ddx: kernels.current.conv2d_dw_db(dy, ddx, g)[0],
    )


@differentiable(rule="dw = the form without w")
def conv2d_dw(dy: Array, x: Array, g: Geometry) -> Op:
    """dw (O, C/G, KH, KW). Gradients: the form with w = ddw, without dy and without x."""
    return (
        kernels.current.conv2d_dw_db(dy, x, g)[0],
        lambda ddw: kernels.current.conv2d(x, ddw, None, g),
        lambda ddw: kernels.current.conv2d_dx(dy, ddw, g),
    )


@differentiable(rule="y = what each tap of the kernel sees of x")
def unfold(x: Array, g: Geometry, padding: float = 0) -> Op:
    """y (N, C, KH*KW, OH, OW). Gradient: `scatter`."""
    return plain.unfold(x, g, padding), lambda dy: plain.scatter(dy, g)


@differentiable(rule="y = the columns of x added up where they came from")
def scatter(x: Array, g: Geometry) -> Op:
    """y (N, C, H, W). Gradient: `unfold`."""
    return plain.scatter(x, g), lambda dy: plain.unfold(dy, g)
