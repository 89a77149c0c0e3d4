"""Linear maps under PyTorch's names: of vectors, of images (convolutions), of windows.

Formulas and gradients stand in tinynet/ops. Where images are batches (N, C, H, W), a single one
(C, H, W) goes too.
"""

from __future__ import annotations

from tinynet import ops
from tinynet.nn.functional.arguments import named, one_axis
from tinynet.ops import unfold as windows

__all__ = [
    "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "fold", "linear",
    "unfold",
]  # fmt: skip

linear = named(ops.linear, "input weight bias")
conv2d = named(ops.conv2d, "input weight bias stride padding dilation groups", 4)
conv_transpose2d = named(
    ops.conv_transpose2d,
    "input weight bias stride padding output_padding groups dilation",
    4,
)
conv1d = one_axis("conv1d", conv2d)
conv_transpose1d = one_axis("conv_transpose1d", conv_transpose2d)
unfold = named(windows.unfold, "input kernel_size dilation padding stride", 4)
fold = named(windows.fold, "input output_size kernel_size dilation padding stride", 3)
