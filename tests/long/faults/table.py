"""The planted faults: a row for each, with the mistake as a change of the right gradient.

(name, operation, argument, cause, change, cases): the name is what a check should name, with the
argument and the cause; `faulty` says what a change is.
"""

from __future__ import annotations

import numpy as np

from tests.long.faults import operations as o
from tests.long.faults.planted import case, given

ACCUMULATION, FACTOR, SIGN = "missing accumulation", "constant factor", "wrong sign"
MEAN_FOR_SUM, UNDIVIDED = "mean used for sum", "average not divided"
COUNT, UNUSED = "average divided by the wrong count", "output gradient not used"
SUM, AXIS = "missing sum over an axis", "summed over the wrong axis"
UNCHANGED, OTHER = "output gradient returned unchanged", "gradient of the wrong argument returned"
TIES, CROPPED = "ties counted more than once", "padding cropped at the wrong side"
UNFLIPPED, FLIPPED = "kernel not flipped", "gradient flipped"
SPATIAL, SWAPPED = "kernel spatially transposed", "input and output channels swapped"
STRIDE, DILATION, GROUPS = "stride ignored", "dilation ignored", "groups mixed up"
SPREAD, TRANSPOSED = "gradient spread over the window", "gradient transposed"
SOFTMAX = "Jacobian without its off-diagonal part"
CONSTANT = "treated as a constant"

# ----- changes that several rows make -------------------------------------------------------------


def unchanged(dy):
    return dy


def zero(g):
    return 0 * g


def negative(g):
    return -g


def half(g):
    return g / 2


def over_batch(g, x):
    return g / len(x)


def flipped(w):
    return w[:, :, ::-1, ::-1]


def transposed(w):
    return w.swapaxes(2, 3)


def channels_swapped(w):
    return w.swapaxes(0, 1)


def nothing(*_, **__):
    """In place of an average."""
    return 0


# ----- convolution --------------------------------------------------------------------------------

PLAIN = case((2, 3, 6, 5), (4, 3, 3, 3), (4,), stride=1, padding=0)
PADDED = case((2, 2, 5, 6), (3, 2, 3, 3), (3,), stride=1, padding=1)
STRIDED = case((2, 3, 7, 7), (2, 3, 3, 3), (2,), stride=2, padding=1)
LONG = case((3, 1, 9, 8), (2, 1, 3, 2), (2,), stride=3, padding=0)
WIDE = case((1, 2, 6, 6), (3, 2, 5, 5), (3,), stride=1, padding=2)
SQUARE = case((2, 3, 5, 5), (3, 3, 3, 3), (3,), stride=1, padding=1)
SQUARE_STRIDED = case((2, 2, 6, 6), (2, 2, 2, 2), (2,), stride=2, padding=0)
DILATED = case((2, 2, 7, 7), (3, 2, 3, 3), (3,), stride=1, padding=0, dilation=2)
DILATED_PADDED = case((2, 2, 8, 7), (2, 2, 2, 3), (2,), stride=2, padding=2, dilation=3)
GROUPED = case((2, 4, 5, 5), (4, 2, 3, 3), stride=1, groups=2)
GROUPED_WIDE = case((2, 6, 5, 6), (6, 2, 2, 2), stride=2, groups=3)
DEPTHWISE = case((2, 3, 5, 5), (3, 1, 3, 3), stride=1, groups=3)


def with_the_edge(dy, x, w, stride, padding):
    """dx of the padded image."""
    return o.conv_dx(dy, o.pad(x, padding), w, stride, 0)


def from_the_corner(dy, x, w, stride, padding):
    """The corner of the padded gradient, not its middle."""
    return with_the_edge(dy, x, w, stride, padding)[:, :, : x.shape[2], : x.shape[3]]


def cropped_twice_before(dy, x, w, stride, padding):
    return with_the_edge(dy, x, w, stride, padding)[:, :, 2 * padding :, 2 * padding :]


def positions_overwrite(dy, x, w, stride, padding):
    """col2im with = in place of +=."""
    return o.conv_dx(dy, x, w, stride, padding, overwrite=True)


def windows_overwrite(dy, x, w, stride, padding):
    """A loop over the windows, each of which overwrites its neighbour."""
    dx = np.zeros_like(o.pad(x, padding))
    for p, q in np.ndindex(dy.shape[2:]):
        window = dx[:, :, p * stride :, q * stride :][:, :, : w.shape[2], : w.shape[3]]
        window[:] = np.tensordot(dy[:, :, p, q], w, 1)
    return o.crop(dx, padding)


def without_last_row(dy, x, w, stride, padding):
    """The loop over the rows of the output ends one too soon."""
    return o.conv_dx(dy[:, :, :-1], x, w, stride, padding)


def group_by_remainder(dy, x, w, stride, groups):
    """Filter k is taken to see group k % groups."""
    dx = np.zeros_like(x)
    for k in range(len(w)):
        seen = o.channels_of(k % groups, dx, groups)
        seen += o.conv_dx(dy[:, k : k + 1], seen, w[k : k + 1], stride, 0)
    return dx


def of_last_image(dy, x, w, stride, padding):
    """dw = in the loop over the images."""
    return o.conv_dw(dy[-1:], x[-1:], w, stride, padding)


def with_padding_behind(dy, x, w, stride, padding):
    """The pixels of the image as it is, with nothing before it."""
    behind = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
    return o.conv_dw(dy, behind, w, stride, 0)


CONVOLUTION = [
    ("my_conv", o.conv, "x", UNFLIPPED, given(w=flipped), PLAIN, PADDED, STRIDED, WIDE),
    ("conv_transposed_kernel", o.conv, "x", SPATIAL, given(w=transposed), PLAIN, STRIDED, SQUARE),
    ("conv_swapped_channels", o.conv, "x", SWAPPED, given(w=channels_swapped), SQUARE,
     SQUARE_STRIDED),
    ("conv_not_cropped", o.conv, "x", CROPPED, from_the_corner, PADDED, STRIDED, WIDE),
    ("conv_cropped_twice_before", o.conv, "x", CROPPED, cropped_twice_before, PADDED, WIDE),
    ("conv_without_stride", o.conv, "x", STRIDE, given(stride=1), STRIDED, LONG, SQUARE_STRIDED),
    ("conv_without_dilation", o.conv, "x", DILATION, given(dilation=1), DILATED, DILATED_PADDED),
    ("conv_overwrites", o.conv, "x", ACCUMULATION, positions_overwrite, PLAIN, PADDED, STRIDED),
    ("conv_windows_overwrite", o.conv, "x", ACCUMULATION, windows_overwrite, PADDED, STRIDED),
    ("conv_stops_early", o.conv, "x", "some terms of the sum are left out", without_last_row,
     PLAIN, STRIDED),
    ("conv_divided_by_area", o.conv, "x", FACTOR, lambda g, w: g / w[0, 0].size, PLAIN, STRIDED),
    ("conv_nothing_written", o.conv, "x", "zero gradient", zero, PADDED),
    ("conv_groups_by_remainder", o.grouped_conv, "x", GROUPS, group_by_remainder, GROUPED,
     GROUPED_WIDE),
    ("conv_first_group_for_all", o.grouped_conv, "w", GROUPS,
     lambda dy, x, w, stride: o.conv_dw(dy, x[:, : w.shape[1]], w, stride, 0), GROUPED, DEPTHWISE),
    ("conv_dw_flipped", o.conv, "w", FLIPPED, lambda g: flipped(g), PLAIN, STRIDED),
    ("conv_dw_transposed", o.conv, "w", TRANSPOSED, lambda g: transposed(g), PADDED, STRIDED),
    ("conv_dw_swapped_channels", o.conv, "w", TRANSPOSED, lambda g: channels_swapped(g), SQUARE,
     SQUARE_STRIDED),
    ("conv_dw_last_image", o.conv, "w", SUM, of_last_image, PLAIN, STRIDED),
    ("conv_dw_without_stride", o.conv, "w", STRIDE, given(stride=1), STRIDED, LONG),
    ("conv_dw_without_dilation", o.conv, "w", DILATION, given(dilation=1), DILATED, DILATED_PADDED),
    ("conv_dw_without_padding", o.conv, "w", "padding ignored", with_padding_behind, PADDED, WIDE),
    ("conv_dw_over_batch", o.conv, "w", MEAN_FOR_SUM, over_batch, PLAIN,
     case((4, 2, 5, 5), (3, 2, 3, 3), (3,), stride=2, padding=1)),
    ("conv_dw_mean", o.conv, "w", MEAN_FOR_SUM, lambda g, dy: g / dy[:, 0].size, PLAIN, STRIDED),
    ("conv_db_without_columns", o.conv, "b", SUM, lambda dy: dy.sum((0, 2))[:, 0], PLAIN, STRIDED),
    ("conv_db_first_image", o.conv, "b", SUM, lambda dy: dy[0].sum((1, 2)), PADDED, LONG),
    ("conv_db_mean", o.conv, "b", MEAN_FOR_SUM, lambda dy: dy.mean((0, 2, 3)), PADDED, STRIDED),
    ("conv_db_channels_last", o.conv, "b", AXIS, lambda dy: dy.sum((0, 1, 2)),  # OW happens to be O
     case((2, 2, 5, 6), (4, 2, 3, 3), (4,), stride=1, padding=0)),
    ("conv_db_over_batch", o.conv, "b", MEAN_FOR_SUM, over_batch, PADDED),
    ("conv_of_one_plane", o.plane_conv, "x", "w read backwards along axes 0, 1",
     given(w=lambda w: w[::-1, ::-1]),
     case((6, 7), (3, 3)), case((5, 5), (2, 3))),
    ("conv_of_signal", o.signal_conv, "x", STRIDE, given(s=1),
     case((2, 3, 9), (4, 3, 3), s=2), case((3, 1, 11), (2, 1, 2), s=3)),
    ("deconv", o.deconv, "x", UNFLIPPED, given(w=flipped),
     case((2, 3, 4, 3), (3, 2, 3, 3), stride=2)),
    ("deconv_dw_flipped", o.deconv, "w", FLIPPED, lambda g: flipped(g),
     case((2, 3, 4, 3), (3, 2, 3, 2), stride=2)),
]  # fmt: skip

# ----- pools --------------------------------------------------------------------------------------

EVEN = case((2, 2, 4, 6), kernel_size=2, stride=2)
OVERLAPPING = case((2, 1, 5, 5), kernel_size=3, stride=1)
GAPS = case((1, 3, 7, 7), kernel_size=2, stride=3)
LARGE = case((2, 2, 7, 7), kernel_size=3, stride=2)


def tied(*shape):
    """Small integers: nearly every window has ties."""
    return np.random.default_rng(4).integers(0, 3, shape).astype(np.float64)


def shared(share, **mistake):
    """Another share of dy for the elements of a window, or written to another place."""

    def change(dy, x, kernel_size, stride):
        return o.pooled_dx(dy, x, kernel_size, stride, share, **mistake)

    return change


def pool_from_the_corner(dy, x, k, s, pad):
    full = o.pooled_dx(dy, o.pad(x, pad, -np.inf), k, s, o.winner)
    return full[:, :, : x.shape[2], : x.shape[3]]


def pool_counts_padding(dy, x, k, s, pad):
    """The forward pass counts the pixels of the image alone, the backward pass the padding too."""
    return o.crop(o.pooled_dx(dy, o.pad(x, pad), k, s, o.average), pad)


POOLS = [
    ("max_pool_every_tie", o.max_pool, "x", TIES, shared(o.every_winner),
     case(tied(2, 1, 4, 4), kernel_size=2, stride=2),
     case(tied(1, 2, 5, 5), kernel_size=3, stride=1)),
    ("max_pool_spread", o.max_pool, "x", SPREAD, shared(o.average), EVEN, OVERLAPPING, GAPS),
    ("max_pool_to_everyone", o.max_pool, "x", SPREAD, shared(o.all_alike), EVEN, LARGE),
    ("max_pool_overwrites", o.max_pool, "x", ACCUMULATION, shared(o.winner, overwrite=True),
     OVERLAPPING, LARGE),
    ("max_pool_without_stride", o.max_pool, "x", STRIDE, shared(o.winner, shift=1), EVEN, LARGE,
     GAPS),
    ("max_pool_padded", o.padded_max_pool, "x", CROPPED, pool_from_the_corner,
     case((2, 2, 6, 6), k=3, s=2, pad=1)),
    ("max_pool_winner_transposed", o.block_max_pool, "x", "wrong winner of the window",
     lambda dy, x, k: o.pooled_dx(dy, x, k, k, lambda window: transposed(o.winner(window))),
     case((2, 2, 6, 6), k=2), case((1, 2, 9, 9), k=3)),
    ("avg_pool_not_divided", o.avg_pool, "x", UNDIVIDED, shared(o.all_alike), EVEN, OVERLAPPING,
     LARGE),
    ("avg_pool_side_for_area", o.avg_pool, "x", COUNT, lambda g, kernel_size: g * kernel_size, EVEN,
     LARGE),
    ("avg_pool_counts_padding", o.padded_avg_pool, "x", COUNT, pool_counts_padding,
     case((2, 2, 5, 5), k=3, s=2, pad=1), case((1, 2, 6, 6), k=3, s=1, pad=1)),
    ("avg_pool_overwrites", o.avg_pool, "x", ACCUMULATION, shared(o.average, overwrite=True),
     OVERLAPPING, LARGE),
    ("global_avg_pool", o.global_avg_pool, "x", UNDIVIDED, lambda g, x: g * x[0, 0].size,
     case((2, 3, 4, 4)), case((3, 2, 5, 2))),
    ("upsample", o.upsample, "x", ACCUMULATION, lambda dy: dy[:, :, ::2, ::2], case((2, 2, 3, 3)),
     case((1, 1, 2, 4))),
]  # fmt: skip

# ----- softmax, normalisation, losses -------------------------------------------------------------

BATCH = case((6, 3), (3,), (3,), eps=1e-5)
IMAGES = case((3, 2, 4, 3), (2,), (2,), eps=1e-5)
SMALL = case((2, 3, 2, 2), (3,), (3,), eps=0.1)
LABELS = np.array([0, 2, 1, 2])


def batch_statistics(**mistake):
    """dx of batch norm with other averages."""

    def change(dy, x, w, eps):
        return o.standardised_dx(dy * o.column(w, x), x, o.over_batch(x), eps, **mistake)

    return change


def layer_statistics(**mistake):
    return lambda dy, x, w, eps: o.standardised_dx(dy * w, x, -1, eps, **mistake)


def unbiased(a, axes, keepdims):
    """The variance divides by n, its gradient by n - 1."""
    return a.sum(axes, keepdims=keepdims) / (a.size // a.shape[1] - 1)


def mean_over_batch(a, axes, keepdims):
    return a.mean(0, keepdims=keepdims)


NORMALISATION = [
    ("my_softmax", o.softmax, "x", SOFTMAX, lambda dy, y: dy * y * (1 - y), case((3, 4)),
     case((2, 5)), case((6,))),
    ("softmax_like_exp", o.softmax, "x", CONSTANT, lambda dy, y: dy * y, case((3, 4)),
     case((2, 3, 4))),
    ("softmax_other_axis", o.softmax, "x", AXIS,
     lambda dy, y: y * (dy - (dy * y).sum(0, keepdims=True)),
     case((3, 4)), case((2, 3, 4))),
    ("my_log_softmax", o.log_softmax, "x", "a term without the output gradient",
     lambda dy, y: dy - np.exp(y), case((3, 4)), case((2, 7))),
    ("log_softmax_diagonal", o.log_softmax, "x", SOFTMAX, lambda dy, y: dy * (1 - np.exp(y)),
     case((4, 3))),
    ("my_batch_norm", o.batch_norm, "x", CONSTANT,
     batch_statistics(of_mean=nothing, of_variance=nothing),
     BATCH, IMAGES, SMALL),
    ("batch_norm_constant_variance", o.batch_norm, "x", CONSTANT,
     batch_statistics(of_variance=nothing), BATCH, IMAGES),
    ("batch_norm_without_scale", o.batch_norm, "x", "w left out", given(w=np.ones_like), IMAGES,
     SMALL),
    ("batch_norm_unbiased", o.batch_norm, "x", "one part of the gradient off by a factor",
     batch_statistics(of_variance=unbiased), BATCH, SMALL),
    ("batch_norm_sums", o.batch_norm, "x", "two parts of the gradient off by a factor",
     batch_statistics(of_mean=np.sum, of_variance=np.sum), BATCH, IMAGES),
    ("batch_norm_dw_of_input", o.batch_norm, "w",
     "x in place of",
     lambda dy, x: (dy * x).sum(o.over_batch(x)), BATCH, IMAGES),
    ("batch_norm_db_mean", o.batch_norm, "b", MEAN_FOR_SUM, lambda dy, x: dy.mean(o.over_batch(x)),
     IMAGES),
    ("my_layer_norm", o.layer_norm, "x", CONSTANT,
     layer_statistics(of_mean=nothing, of_variance=nothing),
     case((3, 5), (5,), eps=1e-5), case((2, 3, 4), (4,), eps=1e-3)),
    ("layer_norm_over_batch", o.layer_norm, "x", AXIS,
     layer_statistics(of_mean=mean_over_batch, of_variance=mean_over_batch),
     case((4, 5), (5,), eps=1e-5)),
    ("instance_norm", o.instance_norm, "x", CONSTANT,
     lambda dy, x, eps: dy * o.standardised(x, (2, 3), eps)[0], case((2, 3, 4, 4), eps=1e-5)),
    ("my_cross_entropy", o.cross_entropy, "x", FACTOR, lambda g, x: g * len(x),
     case((4, 3), target=LABELS, reduction="mean")),
    ("cross_entropy_over_classes", o.cross_entropy, "x", FACTOR, lambda g, x: g / x.shape[1],
     case((4, 3), target=LABELS), case((2, 3), target=LABELS[:2])),
    ("cross_entropy_without_target", o.cross_entropy, "x",
     "is missing, where [target is the class] != 0",
     lambda dy, x: dy * o.softmax(x)[0] / len(x), case((4, 3), target=LABELS)),
    ("cross_entropy_without_dy", o.cross_entropy, "x", UNUSED,
     lambda x, target: o.cross_entropy(x, target)[1](1), case((4, 3), target=LABELS)),
    ("smoothed_cross_entropy", o.cross_entropy, "x", "label_smoothing ignored",
     given(label_smoothing=0),
     case((4, 3), target=LABELS, label_smoothing=0.2)),
    ("weighted_nll", o.weighted_nll, "x", "weight ignored", given(weight=np.ones_like),
     case((4, 3), target=LABELS, weight=np.array([0.5, 2.0, 1.3]))),
    ("my_mse", o.mse, "x", FACTOR, half, case((3, 4), (3, 4)), case((5, 2), (5, 2))),
    ("mse_over_batch", o.mse, "x", FACTOR, lambda g, x: g * x.shape[1], case((3, 4), (3, 4))),
    ("l2_distance", o.squared_distance, "x", SIGN, negative, case((4, 3), (4, 3))),
]  # fmt: skip

# ----- elementwise, broadcasting, products, reductions, shapes ------------------------------------

rng = np.random.default_rng(8)
POSITIVE = rng.uniform(0.5, 2.0, (3, 4))
APART = rng.permutation(np.arange(-6, 6) + 0.5).reshape(3, 4) * 0.3


def rows_assigned(dy, x, index):
    """= in place of np.add.at."""
    dx = np.zeros_like(x)
    dx[index] = dy
    return dx


ELEMENTWISE = [
    ("square", o.square, "x", FACTOR, half, case((3, 4)), case((5,))),
    ("cube", o.cube, "x", FACTOR, lambda g: g * 2 / 3, case((2, 3)), case((2, 2, 2))),
    ("root", o.root, "x", FACTOR, lambda g: 2 * g, case(POSITIVE)),
    ("minus", o.minus, "y", SIGN, negative, case((3, 4), (3, 4)), case((3, 4), (4,))),
    ("ratio", o.ratio, "w", SIGN, negative, case((3, 4), POSITIVE)),
    ("tanh_of_closed_branch", o.tanh, "x", "zero gradient", zero, case((3, 4))),
    ("relu_without_mask", o.relu, "x", UNCHANGED, unchanged, case(APART), case((2, 3, 2))),
    ("sigmoid_without_dy", o.sigmoid, "x", UNUSED, lambda y: y * (1 - y), case((3, 4)),
     case((2, 5))),
    ("tanh_at_output", o.tanh, "x", "derivative taken at the output", given(x=np.tanh),
     case((3, 4)), case((7,))),
    ("leaky_relu_like_relu", o.leaky_relu, "x", "slope ignored", given(slope=0),
     case(APART, slope=0.2)),
    ("softplus_without_beta", o.softplus, "x", "beta ignored", given(beta=1),
     case((3, 4), beta=2.5), case((6,), beta=0.3)),
    ("dropout_without_scale", o.dropout, "x", FACTOR, lambda g, p: g * (1 - p),
     case((4, 6), p=0.4, seed=3), case((30,), p=0.25, seed=1)),
    ("row_max_every_tie", o.row_max, "x", TIES, lambda dy, x, y: dy[:, None] * (x == y[:, None]),
     case(np.array([[2.0, 1, 2], [0, 3, 1]]))),
    ("row_max_spread", o.row_max, "x", SPREAD,
     lambda dy, x: np.repeat(dy[:, None], x.shape[1], 1), case((3, 4)), case((2, 6))),
    ("product", o.product, "x", OTHER, lambda dy, x: dy * x, case((3, 4), (3, 4)),
     case((5,), (5,))),
    ("matrix_product", o.matrix_product, "x", OTHER, lambda dy, x: x.T @ dy, case((3, 3), (3, 3)),
     case((2, 2), (2, 2))),
    ("power", o.power, "base", OTHER, lambda dy, y, base: dy * y * np.log(base),
     case(POSITIVE, (3, 4))),
    ("add_row", o.plus, "b", SUM, lambda dy, b: dy.reshape(-1, *b.shape)[0],
     case((3, 4), (4,)), case((2, 3, 4), (4,)), case((5, 2, 3), (2, 3))),
    ("scale_columns", o.product, "w", SUM,
     lambda dy, x, w: o.summed((dy * x)[..., :1], w.shape),
     case((3, 4), (3, 1)), case((2, 3, 4), (3, 1))),
    ("scale_rows_mean", o.product, "w", MEAN_FOR_SUM, over_batch, case((3, 4), (4,)),
     case((6, 2), (2,))),
    ("scale_rows_wrong_axis", o.product, "w", AXIS,
     lambda dy, x, w: o.summed((dy * x).swapaxes(-1, -2), w.shape),
     case((4, 4), (4,)), case((2, 3, 3), (3,))),
    ("scale_by_number", o.product, "w", SUM, lambda dy, x: np.asarray((dy * x)[0, 0]),
     case((4, 3), ())),
    ("swish", o.swish, "x", "a term dy y sigmoid(-x) is missing",
     lambda dy, x: dy * o.sigmoid(x)[0], case((3, 4)), case((2, 2, 3))),
    ("residual", o.residual, "x", "one use of x left out", lambda g, dy: g - dy,
     case((4, 3), (3, 3)), case((2, 5), (5, 5))),
    ("gram", o.gram, "x", CONSTANT, lambda dy, x: dy @ x, case((3, 4)), case((4, 2))),
    ("two_steps", o.two_steps, "w", CONSTANT, lambda dy, x, w: np.tanh(x @ w).T @ dy,
     case((2, 3), (3, 3))),
    ("rows", o.rows, "x", ACCUMULATION, rows_assigned,
     case((6, 3), index=np.array([0, 2, 2, 5, 0, 1]))),
    ("linear_transposed", o.linear, "x", "transposed weight", given(w=np.transpose),
     case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,))),
    ("linear_dw_transposed", o.linear, "w", TRANSPOSED, lambda g: g.T,
     case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,))),
    ("linear_dw_mean", o.linear, "w", MEAN_FOR_SUM, over_batch, case((4, 3), (2, 3), (2,)),
     case((6, 2), (5, 2), (5,))),
    ("linear_db_first", o.linear, "b", SUM, lambda dy: dy[0], case((4, 3), (2, 3), (2,))),
    ("batched_product", o.matrix_product, "w", SUM, lambda dy, x: x[0].T @ dy[0],
     case((3, 2, 4), (4, 2)), case((2, 3, 3), (3, 5))),
    ("row_mean_not_divided", o.row_mean, "x", UNDIVIDED, lambda g, x: g * x.shape[1], case((3, 4)),
     case((2, 5, 3))),
    ("row_mean_over_batch", o.row_mean, "x", COUNT, lambda g, x: g * x.shape[1] / len(x),
     case((3, 4)), case((6, 2))),
    ("columns_sum_of_affine", o.row_sums, "x", MEAN_FOR_SUM, half, case((3, 5))),
    ("row_variance", o.row_variance, "x", FACTOR, half, case((3, 4)), case((5, 3))),
    ("running_sum", o.running_sum, "x", "Jacobian not transposed", lambda dy: dy.cumsum(-1),
     case((3, 5)), case((8,))),
    ("norm_of_all", o.norm, "x", UNUSED, lambda x, y: x / y, case((3, 4))),
    ("transpose_by_reshape", o.transpose, "x", "gradient reshaped where it must be transposed",
     lambda dy, x: dy.reshape(x.shape), case((3, 4)), case((2, 5))),
    ("rotate_axes", o.rotate_axes, "x", TRANSPOSED, lambda dy: dy.transpose(1, 2, 0),
     case((3, 3, 3)), case((2, 2, 2))),
    ("flip_rows", o.flip_rows, "x", UNCHANGED, unchanged, case((4, 3)), case((2, 6))),
    ("roll", o.roll, "x", "gradient shifted", given(k=lambda k: -k), case((7,), k=2),
     case((5, 2), k=1)),
    ("pad_last_axis", o.pad_last_axis, "x", CROPPED, lambda dy, x: dy[..., : x.shape[-1]],
     case((3, 4), before=2, after=1), case((2, 3, 3), before=1, after=1)),
    ("exp_but_last_row", o.exp, "x", "the gradient is left out, at the last place",
     lambda g: np.concatenate([g[:-1], 0 * g[-1:]]), case((4, 3))),
]  # fmt: skip

NUMERIC = CONVOLUTION + POOLS + NORMALISATION + ELEMENTWISE

# ----- what fails before numbers can be compared, and functions that cannot be checked ------------

SHAPE, RAISES = "wrong shape", "the backward raises an error"
CHANCE, STATE = "non-deterministic function", "state carried from call to call"
OVERWRITTEN = "a saved value is overwritten in place"
WRITES = "a saved value is overwritten in place"
DY_OVERWRITTEN = "the output gradient is overwritten in place"

NOISE = np.random.default_rng(0)
MEMORY = {"mean": 0.0}


def dropout_by_chance(x):
    scale = 2 * (np.random.default_rng().random(x.shape) >= 0.5)  # with no seed
    return x * scale, lambda dy: dy * scale


def noisy_tanh(x):
    y = np.tanh(x + 0.1 * NOISE.standard_normal(x.shape))
    return y, lambda dy: dy * (1 - y * y)


def exp_with_memory(x):
    """The output is saved outside of the call, where the next call overwrites it."""
    MEMORY["y"] = np.exp(x)
    return MEMORY["y"], lambda dy: dy * MEMORY["y"]


def centred_by_running_mean(x):
    MEMORY["mean"] = mean = 0.9 * MEMORY["mean"] + 0.1 * x.mean()
    return (x - mean) ** 2, lambda dy: dy * 2 * (x - mean)


def relu_with_first_mask(x):
    """The mask of the first call is used for all."""
    if np.shape(MEMORY.get("mask")) != x.shape:
        MEMORY["mask"] = x > 0
    return np.maximum(x, 0), lambda dy: dy * MEMORY["mask"]


def square_in_place(x):
    x *= x
    return x.copy(), lambda dy: dy * 2 * x


def sigmoid_in_place(x):
    """y is saved, and then used as scratch."""
    y = 1 / (1 + np.exp(-x))
    result = y.copy()
    y -= 1
    return result, lambda dy: dy * y * (1 - y)


def product_that_scales_its_input(x, w):
    y = x @ w
    x /= 2
    return y, lambda dy: dy @ w.T, lambda dy: x.T @ dy


def forgotten_name(dy, x):
    return 2 * x * dy / denominator  # noqa: F821


def relu_on_dy(x):
    """dy is masked in place: right by itself, wrong for whoever reads dy next."""

    def dx(dy):
        dy[x <= 0] = 0
        return dy

    return np.maximum(x, 0), dx


BROKEN = [
    ("product_transposed", o.matrix_product, "w", SHAPE, lambda dy, x: dy.T @ x,
     case((3, 4), (4, 2)), case((2, 5), (5, 3))),
    ("pad_not_cropped", o.pad_image, "x", SHAPE, unchanged, case((2, 1, 5, 5), p=1),
     case((1, 2, 4, 6), p=2)),
    ("linear_db_per_example", o.linear, "b", SHAPE, lambda dy: dy.sum(1),
     case((3, 4), (2, 4), (2,)), case((5, 2), (3, 2), (3,))),
    ("mean_of_rows_bare", o.mean_of_rows, "x", SHAPE, lambda dy, x: dy[:3] / len(x), case((3, 4))),
    ("relu_in_integers", o.relu, "x", "wrong dtype", lambda dy, x: dy.astype(int) * (x > 0),
     case((3, 4)), case((6,))),
    ("log_of_forgotten_name", o.log_of_square, "x", RAISES, forgotten_name, case((3, 4))),
    ("product_that_does_not_fit", o.matrix_product, "w", RAISES, lambda dy, x: x @ dy,
     case((3, 4), (4, 2))),
    ("dropout_by_chance", dropout_by_chance, "", CHANCE, None, case((4, 5)), case((30,))),
    ("noisy_tanh", noisy_tanh, "", CHANCE, None, case((3, 3))),
    ("exp_with_memory", exp_with_memory, "", STATE, None, case((3, 4)), case((2, 2, 2))),
    ("centred_by_running_mean", centred_by_running_mean, "", STATE, None, case((5, 2))),
    ("relu_with_first_mask", relu_with_first_mask, "", STATE, None, case((4, 4))),
    ("square_in_place", square_in_place, "x", WRITES, None, case((3, 4)), case((7,))),
    ("sigmoid_in_place", sigmoid_in_place, "x", OVERWRITTEN, None, case((3, 4))),
    ("product_that_scales_its_input", product_that_scales_its_input, "x", WRITES, None,
     case((3, 4), (4, 2))),
    ("relu_on_dy", relu_on_dy, "x", DY_OVERWRITTEN, None),  # in a model alone
]  # fmt: skip
