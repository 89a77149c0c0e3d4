"""Convolutions with one mistake in the backward pass, written out as a learner writes them."""

from __future__ import annotations

import numpy as np

from tests.long.faults.planted import case, planted

PLAIN = case((2, 3, 6, 5), (4, 3, 3, 3), (4,), stride=1, padding=0)
PADDED = case((2, 2, 5, 6), (3, 2, 3, 3), (3,), stride=1, padding=1)
STRIDED = case((2, 3, 7, 7), (2, 3, 3, 3), (2,), stride=2, padding=1)
LONG = case((3, 1, 9, 8), (2, 1, 3, 2), (2,), stride=3, padding=0)
WIDE = case((1, 2, 6, 6), (3, 2, 5, 5), (3,), stride=1, padding=2)
SQUARE = case((2, 3, 5, 5), (3, 3, 3, 3), (3,), stride=1, padding=1)
SQUARE_STRIDED = case((2, 2, 6, 6), (2, 2, 2, 2), (2,), stride=2, padding=0)


def patch(x, i, j, stride, OH, OW):
    """The pixels that position (i, j) of the kernel meets."""
    rows = slice(i, i + stride * (OH - 1) + 1, stride)
    return (slice(None), slice(None), rows, slice(j, j + stride * (OW - 1) + 1, stride))


def pad(x, p):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


def crop(x, p):
    return x[:, :, p : x.shape[2] - p, p : x.shape[3] - p]


def forward(x, w, b, stride, padding, dilation=1):
    """y, by a loop over the kernel's positions; right, and so are the three gradients below."""
    xp = pad(x, padding)
    KH, KW = w.shape[2:]
    OH = (xp.shape[2] - dilation * (KH - 1) - 1) // stride + 1
    OW = (xp.shape[3] - dilation * (KW - 1) - 1) // stride + 1
    y = np.zeros((x.shape[0], w.shape[0], OH, OW))
    for i in range(KH):
        for j in range(KW):
            pixels = xp[patch(xp, i * dilation, j * dilation, stride, OH, OW)]
            y += np.einsum("nchw,oc->nohw", pixels, w[:, :, i, j])
    return y + b[:, None, None]


def right_dx(dy, x, w, stride, padding, dilation=1):
    OH, OW = dy.shape[2:]
    dx = np.zeros_like(pad(x, padding))
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            where = patch(dx, i * dilation, j * dilation, stride, OH, OW)
            dx[where] += np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
    return crop(dx, padding)


def right_dw(dy, x, w, stride, padding, dilation=1):
    OH, OW = dy.shape[2:]
    xp = pad(x, padding)
    dw = np.zeros_like(w)
    for i in range(w.shape[2]):
        for j in range(w.shape[3]):
            pixels = xp[patch(xp, i * dilation, j * dilation, stride, OH, OW)]
            dw[:, :, i, j] = np.einsum("nchw,nohw->oc", pixels, dy)
    return dw


def right_db(dy):
    return dy.sum((0, 2, 3))


def with_wrong_dx(wrong, x, w, b, stride, padding, dilation=1):
    """(y, dx, dw, db) with dx = wrong(dy) and the others right."""
    y = forward(x, w, b, stride, padding, dilation)
    return y, wrong, lambda dy: right_dw(dy, x, w, stride, padding, dilation), right_db


def with_wrong_dw(wrong, x, w, b, stride, padding, dilation=1):
    y = forward(x, w, b, stride, padding, dilation)
    return y, lambda dy: right_dx(dy, x, w, stride, padding, dilation), wrong, right_db


def with_wrong_db(wrong, x, w, b, stride, padding):
    y = forward(x, w, b, stride, padding)
    return (
        y,
        lambda dy: right_dx(dy, x, w, stride, padding),
        lambda dy: right_dw(dy, x, w, stride, padding),
        wrong,
    )


# ----- the gradient of the image ------------------------------------------------------------------


@planted("x", "kernel not flipped", PLAIN, PADDED, STRIDED, WIDE)
def my_conv(x, w, b, stride, padding):
    """dx as a convolution of dy, spread out and padded, with the kernel as it is."""

    def dx(dy):
        N, O, OH, OW = dy.shape
        KH, KW = w.shape[2:]
        spread = np.zeros((N, O, (OH - 1) * stride + 1, (OW - 1) * stride + 1))
        spread[:, :, ::stride, ::stride] = dy
        spread = np.pad(spread, ((0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)))
        swapped = w.transpose(1, 0, 2, 3)  # without [:, :, ::-1, ::-1]
        full = forward(spread, swapped, np.zeros(len(swapped)), 1, 0)
        dx = np.zeros_like(pad(x, padding))
        dx[:, :, : full.shape[2], : full.shape[3]] = full
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "kernel spatially transposed", PLAIN, STRIDED, SQUARE)
def conv_transposed_kernel(x, w, b, stride, padding):
    def dx(dy):
        OH, OW = dy.shape[2:]
        dx = np.zeros_like(pad(x, padding))
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                dx[patch(dx, i, j, stride, OH, OW)] += np.einsum("nohw,oc->nchw", dy, w[:, :, j, i])
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "input and output channels swapped", SQUARE, SQUARE_STRIDED)
def conv_swapped_channels(x, w, b, stride, padding):
    def dx(dy):
        OH, OW = dy.shape[2:]
        dx = np.zeros_like(pad(x, padding))
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                dx[patch(dx, i, j, stride, OH, OW)] += np.einsum("nchw,oc->nohw", dy, w[:, :, i, j])
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "padding cropped at the wrong side", PADDED, STRIDED, WIDE)
def conv_not_cropped(x, w, b, stride, padding):
    """The corner of the padded gradient, not its middle."""

    def dx(dy):
        full = right_dx(dy, pad(x, padding), w, stride, 0)
        return full[:, :, : x.shape[2], : x.shape[3]]

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "padding cropped at the wrong side", PADDED, WIDE)
def conv_cropped_twice_before(x, w, b, stride, padding):
    def dx(dy):
        full = right_dx(dy, pad(x, padding), w, stride, 0)
        return full[:, :, 2 * padding :, 2 * padding :]

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "stride ignored", STRIDED, LONG, SQUARE_STRIDED)
def conv_without_stride(x, w, b, stride, padding):
    def dx(dy):
        OH, OW = dy.shape[2:]
        dx = np.zeros_like(pad(x, padding))
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                dx[:, :, i : i + OH, j : j + OW] += np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


DILATED = case((2, 2, 7, 7), (3, 2, 3, 3), (3,), stride=1, padding=0, dilation=2)
DILATED_PADDED = case((2, 2, 8, 7), (2, 2, 2, 3), (2,), stride=2, padding=2, dilation=3)


@planted("x", "dilation ignored", DILATED, DILATED_PADDED)
def conv_without_dilation(x, w, b, stride, padding, dilation):
    return with_wrong_dx(
        lambda dy: right_dx(dy, x, w, stride, padding, 1), x, w, b, stride, padding, dilation
    )


@planted("x", "missing accumulation", PLAIN, PADDED, STRIDED)
def conv_overwrites(x, w, b, stride, padding):
    """col2im with = in place of +=."""

    def dx(dy):
        OH, OW = dy.shape[2:]
        dx = np.zeros_like(pad(x, padding))
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                dx[patch(dx, i, j, stride, OH, OW)] = np.einsum("nohw,oc->nchw", dy, w[:, :, i, j])
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "missing accumulation", PADDED, STRIDED)
def conv_windows_overwrite(x, w, b, stride, padding):
    """A loop over the windows, each of which overwrites its neighbour."""

    def dx(dy):
        dx = np.zeros_like(pad(x, padding))
        KH, KW = w.shape[2:]
        for p in range(dy.shape[2]):
            for q in range(dy.shape[3]):
                top, left = p * stride, q * stride
                dx[:, :, top : top + KH, left : left + KW] = np.tensordot(dy[:, :, p, q], w, 1)
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "part of the output gradient left out", PLAIN, STRIDED)
def conv_stops_early(x, w, b, stride, padding):
    """The loop over the rows of the output ends one too soon."""

    def dx(dy):
        dx = np.zeros_like(pad(x, padding))
        KH, KW = w.shape[2:]
        for p in range(dy.shape[2] - 1):
            for q in range(dy.shape[3]):
                top, left = p * stride, q * stride
                dx[:, :, top : top + KH, left : left + KW] += np.tensordot(dy[:, :, p, q], w, 1)
        return crop(dx, padding)

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "constant factor", PLAIN, STRIDED)
def conv_divided_by_area(x, w, b, stride, padding):
    def dx(dy):
        return right_dx(dy, x, w, stride, padding) / (w.shape[2] * w.shape[3])

    return with_wrong_dx(dx, x, w, b, stride, padding)


@planted("x", "zero gradient", PADDED)
def conv_nothing_written(x, w, b, stride, padding):
    """crop() makes a copy, into which nothing is written any more."""

    def dx(dy):
        full = np.zeros_like(pad(x, padding))
        dx = crop(full, padding).copy()
        full += right_dx(dy, full, w, stride, 0)
        return dx

    return with_wrong_dx(dx, x, w, b, stride, padding)


def grouped(x, w, groups, stride, choose):
    """y, where group g of the filters sees the channels `choose(g)`."""
    O = len(w) // groups
    parts = [
        forward(x[:, choose(g)], w[g * O : (g + 1) * O], np.zeros(O), stride, 0)
        for g in range(groups)
    ]
    return np.concatenate(parts, 1)


GROUPED = case((2, 4, 5, 5), (4, 2, 3, 3), stride=1, groups=2)
GROUPED_WIDE = case((2, 6, 5, 6), (6, 2, 2, 2), stride=2, groups=3)
DEPTHWISE = case((2, 3, 5, 5), (3, 1, 3, 3), stride=1, groups=3)


def slice_of(g, C):
    return slice(g * C, (g + 1) * C)


@planted("x", "groups mixed up", GROUPED, GROUPED_WIDE)
def conv_groups_by_remainder(x, w, stride, groups):
    """Filter o is taken to see group o % groups."""
    C, O = w.shape[1], len(w) // groups
    y = grouped(x, w, groups, stride, lambda g: slice_of(g, C))

    def dx(dy):
        dx = np.zeros_like(x)
        for o in range(len(w)):
            g = o % groups
            part = x[:, slice_of(g, C)]
            dx[:, slice_of(g, C)] += right_dx(dy[:, o : o + 1], part, w[o : o + 1], stride, 0)
        return dx

    def dw(dy):
        return np.concatenate([
            right_dw(dy[:, slice_of(g, O)], x[:, slice_of(g, C)], w[slice_of(g, O)], stride, 0)
            for g in range(groups)
        ])  # fmt: skip

    return y, dx, dw


@planted("w", "groups mixed up", GROUPED, DEPTHWISE)
def conv_first_group_for_all(x, w, stride, groups):
    C, O = w.shape[1], len(w) // groups
    y = grouped(x, w, groups, stride, lambda g: slice_of(g, C))

    def dx(dy):
        return np.concatenate([
            right_dx(dy[:, slice_of(g, O)], x[:, slice_of(g, C)], w[slice_of(g, O)], stride, 0)
            for g in range(groups)
        ], 1)  # fmt: skip

    return y, dx, lambda dy: right_dw(dy, x[:, :C], w, stride, 0)


# ----- the gradients of kernel and bias -----------------------------------------------------------


@planted("w", "kernel gradient flipped", PLAIN, STRIDED)
def conv_dw_flipped(x, w, b, stride, padding):
    return with_wrong_dw(
        lambda dy: right_dw(dy, x, w, stride, padding)[:, :, ::-1, ::-1], x, w, b, stride, padding
    )


@planted("w", "kernel spatially transposed", PADDED, STRIDED)
def conv_dw_transposed(x, w, b, stride, padding):
    def dw(dy):
        OH, OW = dy.shape[2:]
        xp = pad(x, padding)
        dw = np.zeros_like(w)
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                pixels = xp[patch(xp, i, j, stride, OH, OW)]
                dw[:, :, j, i] = np.einsum("nchw,nohw->oc", pixels, dy)
        return dw

    return with_wrong_dw(dw, x, w, b, stride, padding)


@planted("w", "input and output channels swapped", SQUARE, SQUARE_STRIDED)
def conv_dw_swapped_channels(x, w, b, stride, padding):
    return with_wrong_dw(
        lambda dy: right_dw(dy, x, w, stride, padding).swapaxes(0, 1), x, w, b, stride, padding
    )


@planted("w", "missing sum over an axis", PLAIN, STRIDED)
def conv_dw_last_image(x, w, b, stride, padding):
    """dw = in the loop over the images."""

    def dw(dy):
        for n in range(len(x)):
            dw = right_dw(dy[n : n + 1], x[n : n + 1], w, stride, padding)
        return dw

    return with_wrong_dw(dw, x, w, b, stride, padding)


@planted("w", "stride ignored", STRIDED, LONG)
def conv_dw_without_stride(x, w, b, stride, padding):
    return with_wrong_dw(
        lambda dy: right_dw(dy, x, w, 1, padding), x, w, b, stride, padding
    )  # fmt: skip


@planted("w", "dilation ignored", DILATED, DILATED_PADDED)
def conv_dw_without_dilation(x, w, b, stride, padding, dilation):
    return with_wrong_dw(
        lambda dy: right_dw(dy, x, w, stride, padding, 1), x, w, b, stride, padding, dilation
    )


@planted("w", "padding ignored", PADDED, WIDE)
def conv_dw_without_padding(x, w, b, stride, padding):
    """The pixels of the image as it is, with nothing before it."""

    def dw(dy):
        after = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
        return right_dw(dy, after, w, stride, 0)

    return with_wrong_dw(dw, x, w, b, stride, padding)


@planted("w", "constant factor", PLAIN, case((4, 2, 5, 5), (3, 2, 3, 3), (3,), stride=2, padding=1))
def conv_dw_over_batch(x, w, b, stride, padding):
    return with_wrong_dw(
        lambda dy: right_dw(dy, x, w, stride, padding) / len(x), x, w, b, stride, padding
    )


@planted("w", "mean used for sum", PLAIN, STRIDED)
def conv_dw_mean(x, w, b, stride, padding):
    def dw(dy):
        N, _, OH, OW = dy.shape
        return right_dw(dy, x, w, stride, padding) / (N * OH * OW)

    return with_wrong_dw(dw, x, w, b, stride, padding)


@planted("b", "bias gradient missing an axis", PLAIN, STRIDED)
def conv_db_without_columns(x, w, b, stride, padding):
    return with_wrong_db(lambda dy: dy.sum((0, 2))[:, 0], x, w, b, stride, padding)


@planted("b", "bias gradient missing an axis", PADDED, LONG)
def conv_db_first_image(x, w, b, stride, padding):
    return with_wrong_db(lambda dy: dy[0].sum((1, 2)), x, w, b, stride, padding)


@planted("b", "mean used for sum", PADDED, STRIDED)
def conv_db_mean(x, w, b, stride, padding):
    return with_wrong_db(lambda dy: dy.mean((0, 2, 3)), x, w, b, stride, padding)


@planted(
    "b", "summed over the wrong axis",
    case((2, 2, 5, 6), (4, 2, 3, 3), (4,), stride=1, padding=0),
)  # fmt: skip
def conv_db_channels_last(x, w, b, stride, padding):
    """The sum for channels that stand last; OW happens to be O."""
    return with_wrong_db(lambda dy: dy.sum((0, 1, 2)), x, w, b, stride, padding)


@planted("b", "constant factor", PADDED)
def conv_db_over_batch(x, w, b, stride, padding):
    return with_wrong_db(lambda dy: dy.sum((0, 2, 3)) / len(x), x, w, b, stride, padding)


# ----- smaller and other convolutions -------------------------------------------------------------


@planted("x", "kernel not flipped", case((6, 7), (3, 3)), case((5, 5), (2, 3)))
def conv_of_one_plane(x, w):
    KH, KW = w.shape
    OH, OW = x.shape[0] - KH + 1, x.shape[1] - KW + 1
    y = np.zeros((OH, OW))
    for i in range(KH):
        for j in range(KW):
            y += x[i : i + OH, j : j + OW] * w[i, j]

    def dx(dy):
        dx = np.zeros_like(x)
        for i in range(KH):
            for j in range(KW):
                dx[i : i + OH, j : j + OW] += dy * w[KH - 1 - i, KW - 1 - j]
        return dx

    def dw(dy):
        dw = np.zeros_like(w)
        for i in range(KH):
            for j in range(KW):
                dw[i, j] = (x[i : i + OH, j : j + OW] * dy).sum()
        return dw

    return y, dx, dw


@planted("x", "stride ignored", case((2, 3, 9), (4, 3, 3), s=2), case((3, 1, 11), (2, 1, 2), s=3))
def conv_of_signal(x, w, s):
    K = w.shape[2]
    L = (x.shape[2] - K) // s + 1
    y = sum(np.einsum("ncl,oc->nol", x[:, :, k : k + s * L : s][..., :L], w[..., k])
            for k in range(K))  # fmt: skip

    def dx(dy):
        dx = np.zeros_like(x)
        for k in range(K):
            dx[:, :, k : k + L] += np.einsum("nol,oc->ncl", dy, w[..., k])
        return dx

    def dw(dy):
        return np.stack(
            [np.einsum("ncl,nol->oc", x[:, :, k : k + s * L : s][..., :L], dy) for k in range(K)], 2
        )

    return y, dx, dw


@planted("x", "kernel not flipped", case((2, 3, 4, 3), (3, 2, 3, 3), stride=2))
def deconv(x, w, stride):
    """A transposed convolution; its dx is a plain one, here with the kernel turned round."""
    KH, KW = w.shape[2:]
    size = (x.shape[0], w.shape[1], (x.shape[2] - 1) * stride + KH, (x.shape[3] - 1) * stride + KW)
    y = right_dx(x, np.zeros(size), w, stride, 0)

    def dx(dy):
        return forward(dy, w[:, :, ::-1, ::-1], np.zeros(len(w)), stride, 0)

    return y, dx, lambda dy: right_dw(x, dy, w, stride, 0)


@planted("w", "kernel gradient flipped", case((2, 3, 4, 3), (3, 2, 3, 2), stride=2))
def deconv_dw_flipped(x, w, stride):
    KH, KW = w.shape[2:]
    size = (x.shape[0], w.shape[1], (x.shape[2] - 1) * stride + KH, (x.shape[3] - 1) * stride + KW)
    y = right_dx(x, np.zeros(size), w, stride, 0)

    def dw(dy):
        return right_dw(x, dy, w, stride, 0)[:, :, ::-1, ::-1]

    return y, lambda dy: forward(dy, w, np.zeros(len(w)), stride, 0), dw
