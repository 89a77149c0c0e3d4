"""A worked solution of the exercise `conv2d_dw`."""

import numpy as np


def conv2d_dw(dy, x, kernel, stride, padding, dilation, groups):
    """For each (i, j): dy times what the windows see there, over images and places."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    N, O, OH, OW = dy.shape
    C = x.shape[1] // groups
    x = x.reshape(N, groups, C, *x.shape[2:])
    dy = dy.reshape(N, groups, O // groups, OH, OW)
    dw = np.zeros((groups, O // groups, C, *kernel), dy.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (OH - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (OW - 1) * stride[1] + 1, stride[1])
            seen = x[:, :, :, rows, columns]
            dw[..., i, j] = np.einsum("ngohw,ngchw->goc", dy, seen, optimize=True)
    return dw.reshape(O, C, *kernel)
