"""A worked solution of the exercise `conv2d`: one matrix product for each place of the kernel."""

import numpy as np


def conv2d(x, w, b, stride, padding, dilation, groups):
    """Add up, over the kernel's (i, j), what all windows see there, mapped by w[:, :, i, j]."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    N, (O, C, KH, KW) = len(x), w.shape
    OH, OW = (
        (x.shape[2 + a] - dilation[a] * (w.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in (0, 1)
    )
    x = x.reshape(N, groups, C, *x.shape[2:])
    w = w.reshape(groups, O // groups, C, KH, KW)
    y = np.zeros((N, groups, O // groups, OH, OW), x.dtype)
    for i in range(KH):
        for j in range(KW):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (OH - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (OW - 1) * stride[1] + 1, stride[1])
            seen = x[:, :, :, rows, columns].reshape(N, groups, C, OH * OW)
            y += (w[..., i, j] @ seen).reshape(y.shape)
    y = y.reshape(N, O, OH, OW)
    return y if b is None else y + b[:, None, None]
