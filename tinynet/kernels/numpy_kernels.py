"""The kernels in NumPy: each hands over to a plan that `choice.py` names.

Arrays are batch last in memory, see `layout.py`.
"""

from typing import Any

import numpy as np

from tinynet.kernels import choice
from tinynet.kernels.geometry import Array, Geometry
from tinynet.kernels.layout import batch_first, batch_last, common_dtype, stored_batch_last
from tinynet.kernels.plain import Kernels
from tinynet.kernels.plans import blocks, pools


class NumpyKernels(Kernels):
    """The kernels of `plain.Kernels`, faster. What no plan takes is computed there."""

    name = "numpy"

    def arranged(self, x: Array) -> Array:
        """x with the batch last in memory."""
        return stored_batch_last(x)

    def conv2d(self, x: Array, w: Array, b: Array | None, g: Geometry) -> Array:
        """y (N, O, OH, OW)."""
        dtype = common_dtype(x, w)
        plan = choice.convolution("y", len(x), x.shape[1], len(w), g)
        image = np.ascontiguousarray(batch_last(x), dtype)
        return batch_first(plan.conv2d(image, w.astype(dtype, copy=False), b, g))

    def conv2d_dx(self, dy: Array, w: Array, g: Geometry) -> Array:
        """dx (N, C, H, W)."""
        dtype = common_dtype(dy, w)
        plan = choice.convolution("dx", len(dy), w.shape[1], len(w), g)
        if plan is blocks and g.stride == (1, 1):  # each pixel gathers the windows that saw it
            return NumpyKernels.conv2d(self, dy, blocks.flipped(w, g), None, g.back)
        given = np.ascontiguousarray(batch_last(dy), dtype)
        return batch_first(plan.conv2d_dx(given, w.astype(dtype, copy=False), g))

    def conv2d_dw_db(self, dy: Array, x: Array, g: Geometry) -> tuple[Array, Array]:
        """dw (O, C/G, KH, KW) and db (O): dy is summed while it is in the cache."""
        dtype = common_dtype(dy, x)
        plan = choice.convolution("dw", len(x), x.shape[1], dy.shape[1], g)
        image = np.ascontiguousarray(batch_last(x), dtype)
        given = np.ascontiguousarray(batch_last(dy), dtype)
        gradients: tuple[Array, Array] = plan.conv2d_dw_db(given, image, g)
        return gradients

    def max_pool2d(self, x: Array, g: Geometry, relu: bool = False) -> tuple[Array, Any]:
        """y (N, C, OH, OW) and (x, y, relu)."""
        in_pairs = choice.max_in_pairs(len(x), g)
        return pools.max_in_pairs(x, relu) if in_pairs else pools.max_pool2d(x, g, relu)

    def max_pool2d_dx(self, dy: Array, saved: Any, g: Geometry) -> Array:
        """dx (N, C, H, W)."""
        in_pairs = choice.max_in_pairs(len(dy), g)
        return pools.max_in_pairs_dx(dy, saved) if in_pairs else pools.max_pool2d_dx(dy, saved, g)

    def sum_pool2d(self, x: Array, g: Geometry) -> Array:
        """y (N, C, OH, OW)."""
        in_one_call = choice.sums_in_one_call(g)
        return pools.sum_side_by_side(x, g) if in_one_call else pools.sum_pool2d(x, g)

    def sum_pool2d_dx(self, dy: Array, g: Geometry) -> Array:
        """dx (N, C, H, W)."""
        in_one_call = choice.sums_in_one_call(g)
        return pools.sum_side_by_side_dx(dy, g) if in_one_call else pools.sum_pool2d_dx(dy, g)
