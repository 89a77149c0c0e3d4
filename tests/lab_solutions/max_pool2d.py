"""A worked solution of the exercise `max_pool2d`."""

import numpy as np


def max_pool2d(x, kernel, stride, padding, dilation):
    """The elementwise maximum of what all windows see at (i, j), over the kernel's (i, j)."""
    x = np.pad(x, ((0, 0), (0, 0), *padding), constant_values=-np.inf)
    OH, OW = ((x.shape[2 + a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in (0, 1))
    y = np.full((*x.shape[:2], OH, OW), -np.inf, x.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (OH - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (OW - 1) * stride[1] + 1, stride[1])
            y = np.maximum(y, x[:, :, rows, columns])
    return y
