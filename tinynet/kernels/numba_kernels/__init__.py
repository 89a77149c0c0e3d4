"""The kernels compiled by Numba.

Each file is one idea:

    shape.py                 how large the tiles are on this processor
    compiled.py              the decorator that compiles and keeps the result on disk
    team.py                  how a kernel starts the threads that share it, and waits for them
    tiles.py                 vector code: a tile of a matrix product that stays in registers
    sharing.py               arrays as a kernel takes them, and its work shared among the threads
    direct.py                convolution as that product, over windows that are never unfolded
    winograd.py              3x3 convolution with a quarter of the multiplications
    winograd_small_batch.py  the same for small batches
    convolution.py           which of the three does a convolution, decided once for its shapes
    pooling.py               max-pooling in plain loops, and in vector code where it is 2x2
    elementwise.py           ReLU, SGD with momentum and cross entropy in one pass

What is not covered is the NumPy set's: groups, strides of a convolution, dtypes other than float32
and float64, empty arrays, in `conv2d_dx` padding wider than the window, pools that sum, and
max-pooling of fewer images than a line holds lanes, except one image by 2x2: there NumPy's rows are
longer than the loops' here.

Buffers: what a thread holds at a time is a block of padded images (BLOCK_BYTES, or one row of
outputs where that is more), in `winograd` the planes (LINES_IN_PLANES, or four tiles of every
channel), and its share of the weight's gradient.

Compiled code is kept on disk (`compiled.py` says where). No fast-math flag is set; sums are
reordered only where the code says so.
"""

from typing import Any

import numpy as np

from tinynet.kernels import threads
from tinynet.kernels.choice import is_2x2
from tinynet.kernels.geometry import Array, Geometry
from tinynet.kernels.layout import as_vectors, batch_first, common_dtype
from tinynet.kernels.numba_kernels import convolution, elementwise, pooling
from tinynet.kernels.numba_kernels.sharing import (
    FLOATS,
    batch_last_array,
    share_out,
    writeable,
)
from tinynet.kernels.numba_kernels.tiles import lanes
from tinynet.kernels.numpy_kernels import NumpyKernels

INT = np.dtype(np.int64)
SERIAL_BYTES = 1 << 18  # of pooling and ReLU, below which a second thread costs more than it saves
VECTORS_FROM = 1 << 16  # elements below which NumPy's one call is as good


class NumbaKernels(NumpyKernels):
    """The compiled kernels, and for what they do not cover NumPy's."""

    name = "numba"

    # ----- convolution ----------------------------------------------------------------------------

    def conv2d(self, x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
        """y (N, O, OH, OW)."""
        dtype, count = common_dtype(x, w), threads.get_num_threads()
        plan = convolution.correlation(len(x), x.shape[1], len(w), g, False, dtype, count)
        return plan(x, w, b) if plan else super().conv2d(x, w, b, g)

    def conv2d_dx(self, dy: Array, w: Array, g: Geometry) -> Array:
        """dx (N, C, H, W): dy correlated with the flipped filters."""
        dtype, count = common_dtype(dy, w), threads.get_num_threads()
        plan = None
        if g.stride == (1, 1):
            back = len(dy), len(w), w.shape[1], g.back
            plan = convolution.correlation(*back, True, dtype, count)
        return plan(dy, w, None) if plan else super().conv2d_dx(dy, w, g)

    def conv2d_dw_db(self, dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
        """dw (O, C/G, KH, KW) and db (O): dy is summed while it is in the cache."""
        dtype, count = common_dtype(dy, x), threads.get_num_threads()
        plan = convolution.weight_gradient(len(x), x.shape[1], dy.shape[1], g, dtype, count)
        return plan(dy, x) if plan else super().conv2d_dw_db(dy, x, g)

    # ----- pooling --------------------------------------------------------------------------------

    def max_pool2d(self, x: Array, g: Geometry, relu: bool = False) -> tuple[Array, Any]:
        """y (N, C, OH, OW), and for blocks of 2x2 the winners' numbers, else (x, y, relu)."""
        blocks, width = is_2x2(g), g.out[1] * x.itemsize
        if not _pools(x, x.dtype, one_image=blocks and width >= pooling.PAIRS_BYTES):
            return super().max_pool2d(x, g, relu)
        image = batch_last_array(x, x.dtype)
        y = np.empty((len(image), *g.out, len(x)), x.dtype)
        tasks, serial = y.shape[0] * y.shape[1], x.nbytes < SERIAL_BYTES
        if blocks:
            winners = np.empty(y.shape, np.uint8)
            share_out(pooling.pool_2x2, tasks, serial, image, y, winners, relu, False)
            return batch_first(y), winners
        share_out(pooling.maxima, tasks, serial, image, y, g.kernel, g.stride, g.corner, g.dilation)
        largest = self.relu(batch_first(y)) if relu else batch_first(y)
        return largest, (x, largest, relu)

    def max_pool2d_dx(self, dy: Array, saved: Any, g: Geometry) -> Array:
        """dx (N, C, H, W)."""
        if not isinstance(saved, tuple):
            given = batch_last_array(dy, dy.dtype)
            dx = np.empty((len(given), *g.size, len(dy)), dy.dtype)
            tasks, serial = given.shape[0] * given.shape[1], dx.nbytes < SERIAL_BYTES
            share_out(pooling.pool_2x2, tasks, serial, dx, given, saved, False, True)
            return batch_first(dx)
        x, y, relu = saved
        if not _pools(x, dy.dtype):
            return super().max_pool2d_dx(dy, saved, g)
        image, largest = batch_last_array(x, x.dtype), batch_last_array(y, x.dtype)
        given = batch_last_array(self.relu_dx(dy, y) if relu else dy, x.dtype)
        dx = np.empty_like(image)
        serial, window = dx.nbytes < SERIAL_BYTES, (g.kernel, g.stride, g.corner, g.dilation)
        share_out(pooling.maxima_dx, len(image), serial, given, image, largest, dx, *window)
        return batch_first(dx)

    # ----- elementwise, vectors -------------------------------------------------------------------

    def relu(self, x: Array) -> Array:
        """max(x, 0), in the memory order of x."""
        if x.size > VECTORS_FROM and (vectors := _vectors(x, x, y := np.empty_like(x))):
            share_out(elementwise.rectify, x.size, x.nbytes < SERIAL_BYTES, *vectors)
            return y
        return super().relu(x)

    def relu_dx(self, dy: Array, y: Array) -> Array:
        """dy where y is not 0."""
        if y.size > VECTORS_FROM and (vectors := _vectors(dy, y, dx := np.empty_like(y))):
            share_out(elementwise.rectify, y.size, y.nbytes < SERIAL_BYTES, *vectors)
            return dx
        return super().relu_dx(dy, y)

    def momentum_step(
        self,
        p: Array,
        g: Array,
        b: Array,
        t: Array,
        momentum: float,
        lr: float,
    ) -> None:
        """b = momentum * b + g, then p = p - lr * b, in place."""
        alike = p.dtype in FLOATS and p.dtype == g.dtype == b.dtype
        if not (alike and p.flags.carray and g.flags.carray and b.flags.carray):
            return super().momentum_step(p, g, b, t, momentum, lr)
        p, g, b, number = p.reshape(-1), g.reshape(-1), b.reshape(-1), p.dtype.type
        elementwise.momentum_step(p, g, b, number(momentum), number(lr))

    def label_losses(self, x: Array, labels: Array, axis: int) -> tuple[Array, Array]:
        """-log p of each label, and p = softmax(x) along `axis`."""
        rows, columns = x.flags.c_contiguous, x.flags.f_contiguous
        if x.ndim != 2 or x.dtype not in FLOATS or not (x.flags.writeable and (rows or columns)):
            return super().label_losses(x, labels, axis)
        (N, C), p, losses = x.shape, np.empty_like(x), np.empty(len(x), x.dtype)
        steps = (C, C, 1) if rows else (1, C, N)
        scores, shares = (z.reshape(-1) if rows else z.T.reshape(-1) for z in (x, p))
        elementwise.label_losses(scores, *steps, writeable(labels, INT), losses, shares)
        return losses, p


def _pools(x: Array, dtype: np.dtype, one_image: bool = False) -> bool:
    """Whether the compiled pooling does this case and is faster; one_image: for that too."""
    return (
        dtype in FLOATS
        and dtype == x.dtype
        and 0 not in x.shape
        and (len(x) >= lanes(dtype) or (one_image and len(x) == 1))
    )


def _vectors(*arrays: Array) -> list[Array] | None:
    """The arrays as vectors for the compiled loops, or None for what NumPy does as well."""
    covered = arrays[0].dtype in FLOATS and all(x.flags.writeable for x in arrays)
    return as_vectors(*arrays) if covered else None
