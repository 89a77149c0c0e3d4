"""A worked solution of the exercise `conv2d_dx`."""

import numpy as np


def conv2d_dx(dy, w, size, stride, padding, dilation, groups):
    """For each (i, j): dy, mapped by w[:, :, i, j], added to the pixels that windows saw there."""
    (top, bottom), (left, right) = padding
    N, O, OH, OW = dy.shape
    C, KH, KW = w.shape[1:]
    dy = dy.reshape(N, groups, O // groups, OH * OW)
    w = w.reshape(groups, O // groups, C, KH, KW)
    dx = np.zeros((N, groups, C, size[0] + top + bottom, size[1] + left + right), dy.dtype)
    for i in range(KH):
        for j in range(KW):
            first, second = i * dilation[0], j * dilation[1]
            rows = slice(first, first + (OH - 1) * stride[0] + 1, stride[0])
            columns = slice(second, second + (OW - 1) * stride[1] + 1, stride[1])
            share = w[..., i, j].swapaxes(1, 2) @ dy  # (N, groups, C, OH*OW)
            dx[:, :, :, rows, columns] += share.reshape(N, groups, C, OH, OW)
    dx = dx.reshape(N, groups * C, *dx.shape[3:])
    return dx[:, :, top : top + size[0], left : left + size[1]]
