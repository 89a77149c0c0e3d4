"""Every kernel in the version to read: unfold the windows, multiply, scatter.

A convolution is a matrix product in disguise. Unfold every window of the image into a column:
cols has a row for each channel and place of the kernel, and a column for each output. Then

    y     = w  cols         each output is the inner product of a filter and a window
    dw    = dy cols^T       each weight met one row of cols
    dcols = w^T dy          each element of a window met one column of w ...
    dx    = scatter(dcols)  ... and goes back, by addition, to the pixel it was copied from

A pool is the same with a maximum or a sum in place of the product. What its gradient gives each
element of a window is scattered likewise.

TINYNET_KERNELS=plain computes with these. The faster sets inherit from them: a set that does a
kernel better replaces the method, and calls `super()` for what it does not cover.
"""

import math
from typing import Any

import numpy as np

from tinynet.kernels.geometry import Array, Geometry
from tinynet.kernels.layout import places
from tinynet.protocol import one_step


class Kernels:
    """A set of kernels: arrays and a Geometry in, arrays out.

    x (N, C, H, W), w (O, C/G, KH, KW), b (O), y and dy (N, O, OH, OW), with G the groups of
    channels; in pools O = C. The order of elements in memory is each set's own affair.
    """

    name = "plain"

    def arranged(self, x: Array) -> Array:
        """x (N, C, H, W) in the memory order that this set works in; a copy if need be."""
        return x

    # ----- convolution ----------------------------------------------------------------------------

    def conv2d(self, x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
        """y[n, o, p, q] = b[o] + the sum of w[o] times the window (p, q) of image n."""
        cols = by_groups(unfold(x, g), g)  # (N, G, C/G*KH*KW, OH*OW)
        y: Array = filters_of(w, g) @ cols  # (N, G, O/G, OH*OW)
        y = y.reshape(len(x), len(w), *g.out)
        return y if b is None else y + b[:, None, None]

    def conv2d_dx(self, dy: Array, w: Array, g: Geometry) -> Array:
        """Gradient of the input: each w[o, c, i, j] * dy[n, o, p, q] goes to the pixel it met."""
        N, C, taps = len(dy), w.shape[1] * g.groups, len(g.taps)
        dcols = filters_of(w, g).swapaxes(1, 2) @ by_groups(dy, g)  # (N, G, C/G*KH*KW, OH*OW)
        return scatter(dcols.reshape(N, C, taps, *g.out), g)

    def conv2d_dw_db(self, dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
        """Gradients of the weight and of the bias: dy times what was met, summed over images."""
        C, O = x.shape[1], dy.shape[1]
        cols = by_groups(unfold(x, g), g)  # (N, G, C/G*KH*KW, OH*OW)
        dw = (by_groups(dy, g) @ cols.swapaxes(2, 3)).sum(0)  # (G, O/G, C/G*KH*KW)
        return dw.reshape(O, C // g.groups, *g.kernel), dy.sum((0, 2, 3))

    # ----- pooling --------------------------------------------------------------------------------

    def max_pool2d(self, x: Array, g: Geometry, relu: bool = False) -> tuple[Array, Any]:
        """The largest element of each window, and what the gradient needs; padding counts as -inf.

        relu: then `relu` of that, as if it had come before: max(max(a, 0), max(b, 0)) is
        max(max(a, b), 0). What a set saves is its own affair, but its `max_pool2d_dx` takes
        (x, y, relu) as well.
        """
        y = unfold(x, g, -np.inf).max(2)
        if relu:
            y = self.relu(y)
        return y, (x, y, relu)

    def max_pool2d_dx(self, dy: Array, saved: Any, g: Geometry) -> Array:
        """Gradient of the input: dy goes to the first of each window that equals y, or is NaN."""
        x, y, relu = saved
        if relu:
            dy = self.relu_dx(dy, y)  # where y is 0, x may hold no such element
        wins = unfold(x, g, np.nan) == y[:, :, None]  # padding equals no maximum
        wins |= unfold(np.isnan(x), g)  # (N, C, KH*KW, OH, OW)
        first = wins.argmax(2)[:, :, None] == np.arange(len(g.taps))[:, None, None]
        return scatter(np.where(first, dy[:, :, None], 0), g)

    def sum_pool2d(self, x: Array, g: Geometry) -> Array:
        """The sum of each window; padding counts as 0."""
        y: Array = unfold(x, g).sum(2)
        return y

    def sum_pool2d_dx(self, dy: Array, g: Geometry) -> Array:
        """Gradient of the input: each element gets the dy of every window it is in."""
        return scatter(np.broadcast_to(dy[:, :, None], (*dy.shape[:2], len(g.taps), *g.out)), g)

    # ----- elementwise, vectors -------------------------------------------------------------------

    def relu(self, x: Array) -> Array:
        """max(x, 0), of any shape."""
        y: Array = np.maximum(x, 0)
        return y

    def relu_dx(self, dy: Array, y: Array) -> Array:
        """dy where y, a result of `relu`, is not 0: where it is positive or NaN."""
        dx: Array = dy * (y != 0)
        return dx

    def momentum_step(
        self,
        p: Array,
        g: Array,
        b: Array,
        t: Array,
        momentum: float,
        lr: float,
    ) -> None:
        """b = momentum * b + g, then p = p - lr * b, in place. t: memory of the same shape."""
        b *= momentum
        b += g
        np.multiply(b, lr, out=t)
        p -= t

    @np.errstate(invalid="ignore", under="ignore")  # inf - inf is NaN, exp(-1000) is 0
    def label_losses(self, x: Array, labels: Array, axis: int) -> tuple[Array, Array]:
        """Cross entropy: -log p of each label, and p = softmax(x) along `axis`.

        x (N, C, ...) with axis 1, or (C) with axis 0; labels (N, ...) or (), ints from 0 to C - 1.
        The losses have the shape of the labels.
        """
        z = x - np.maximum.reduce(x, axis, keepdims=True)
        p = np.exp(z)
        s = np.add.reduce(p, axis, keepdims=True)  # (N, 1, ...)
        losses = np.log(s).squeeze(axis) - z[places(labels)]
        p /= s
        return losses, p


@one_step
def unfold(x: Array, g: Geometry, padding: float = 0) -> Array:
    """What each tap of the kernel sees of the images: x (N, C, H, W) -> (N, C, KH*KW, OH, OW)."""
    image = np.pad(x, ((0, 0), (0, 0), *g.padding), constant_values=padding)
    return np.stack([image[:, :, rows, columns] for rows, columns in g.taps], 2)


@one_step
def scatter(dcols: Array, g: Geometry) -> Array:
    """The way back of `unfold`: dcols (N, C, KH*KW, OH, OW) added up to dx (N, C, H, W)."""
    N, C = dcols.shape[:2]
    dx = np.zeros((N, C, *g.padded), dcols.dtype)
    for k, (rows, columns) in enumerate(g.taps):  # within a tap no pixel repeats
        dx[:, :, rows, columns] += dcols[:, :, k]
    (top, left), (H, W) = g.corner, g.size
    return dx[:, :, top : top + H, left : left + W]


def by_groups(x: Array, g: Geometry) -> Array:
    """x (N, C, ..., OH, OW) -> (N, G, C/G*..., OH*OW): a matrix for each image and group."""
    places = g.out[0] * g.out[1]
    return x.reshape(len(x), g.groups, math.prod(x.shape[1:]) // (g.groups * places), places)


def filters_of(w: Array, g: Geometry) -> Array:
    """w (O, C/G, KH, KW) -> (G, O/G, C/G*KH*KW): a matrix of filters for each group."""
    return w.reshape(g.groups, len(w) // g.groups, w[0].size)
