"""A worked solution of the exercise `max_pool2d_dx`."""

import numpy as np


def max_pool2d_dx(dy, x, y, kernel, stride, padding, dilation):
    """For each (i, j) of the kernel, the windows whose first winner stands there."""
    x_padded = np.pad(x, ((0, 0), (0, 0), *padding), constant_values=-np.inf)
    dx = np.zeros(x_padded.shape, dy.dtype)
    free = np.ones(y.shape, bool)  # windows whose winner is still to be found
    OH, OW = y.shape[2:]
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (OH - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (OW - 1) * stride[1] + 1, stride[1])
            wins = free & (x_padded[:, :, rows, columns] == y)
            dx[:, :, rows, columns] += dy * wins
            free &= ~wins
    (top, _), (left, _) = padding
    return dx[:, :, top : top + x.shape[2], left : left + x.shape[3]]
