"""The planted faults: a row for each, with the code of its wrong gradient.

(name, operation, argument, cause, wrong, cases): the name is what a check should name, with the
argument and the cause; `faulty` says what the code is of.
"""

from __future__ import annotations

import numpy as np

from tests.long.faults import operations as o
from tests.long.faults.planted import case

ACCUMULATION, FACTOR, SIGN = "missing accumulation", "constant factor", "wrong sign"
UNDIVIDED = "average not divided"
COUNT, UNUSED = "average divided by the wrong count", "output gradient not used"
SUM, AXIS = "missing sum over an axis", "summed over the wrong axis"
UNCHANGED, OTHER = "output gradient returned unchanged", "gradient of the wrong argument returned"
TIES, CROPPED = "ties counted more than once", "padding cropped at the wrong side"
UNFLIPPED, FLIPPED = "kernel not flipped", "gradient flipped"
SPATIAL, SWAPPED = "axes 2 and 3 of w exchanged", "axes 0 and 1 of w exchanged"
STRIDE, DILATION, GROUPS = "stride ignored", "dilation ignored", "groups mixed up"
SPREAD, TRANSPOSED = "gradient spread over the window", "gradient transposed"
SOFTMAX = "Jacobian without its off-diagonal part"
CONSTANT = "treated as a constant"

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


CONVOLUTION = [
    ("my_conv", o.conv, "x", UNFLIPPED,
     "conv_dx(dy, x, w[:, :, ::-1, ::-1], stride, padding, dilation)",
     PLAIN, PADDED, STRIDED, WIDE),
    ("conv_transposed_kernel", o.conv, "x", SPATIAL,
     "conv_dx(dy, x, w.swapaxes(2, 3), stride, padding, dilation)", PLAIN, STRIDED, SQUARE),
    ("conv_swapped_channels", o.conv, "x", SWAPPED,
     "conv_dx(dy, x, w.swapaxes(0, 1), stride, padding, dilation)", SQUARE, SQUARE_STRIDED),
    ("conv_not_cropped", o.conv, "x", CROPPED,
     "conv_dx(dy, pad(x, padding), w, stride, 0, dilation)[:, :, : x.shape[2], : x.shape[3]]",
     PADDED, STRIDED, WIDE),
    ("conv_cropped_twice_before", o.conv, "x", CROPPED,
     "conv_dx(dy, pad(x, padding), w, stride, 0, dilation)[:, :, 2 * padding :, 2 * padding :]",
     PADDED, WIDE),
    ("conv_without_stride", o.conv, "x", STRIDE, "conv_dx(dy, x, w, 1, padding, dilation)",
     STRIDED, LONG, SQUARE_STRIDED),
    ("conv_without_dilation", o.conv, "x", DILATION, "conv_dx(dy, x, w, stride, padding, 1)",
     DILATED, DILATED_PADDED),
    ("conv_overwrites", o.conv, "x", ACCUMULATION,
     "conv_dx(dy, x, w, stride, padding, dilation, overwrite=True)", PLAIN, PADDED, STRIDED),
    ("conv_windows_overwrite", o.conv, "x", ACCUMULATION,
     "windows_overwrite(dy, x, w, stride, padding)", PADDED, STRIDED),
    ("conv_stops_early", o.conv, "x", "some terms of the sum are left out",
     "conv_dx(dy[:, :, :-1], x, w, stride, padding, dilation)",
     PLAIN, STRIDED),
    ("conv_divided_by_area", o.conv, "x", FACTOR, "g / w[0, 0].size", PLAIN, STRIDED),
    ("conv_nothing_written", o.conv, "x", "zero gradient", "0 * g", PADDED),
    ("conv_groups_by_remainder", o.grouped_conv, "x", GROUPS,
     "group_by_remainder(dy, x, w, stride, groups)", GROUPED, GROUPED_WIDE),
    ("conv_first_group_for_all", o.grouped_conv, "w", GROUPS,
     "conv_dw(dy, x[:, : w.shape[1]], w, stride, 0)", GROUPED, DEPTHWISE),
    ("conv_dw_flipped", o.conv, "w", FLIPPED, "g[:, :, ::-1, ::-1]", PLAIN, STRIDED),
    ("conv_dw_transposed", o.conv, "w", TRANSPOSED, "g.swapaxes(2, 3)", PADDED, STRIDED),
    ("conv_dw_swapped_channels", o.conv, "w", TRANSPOSED, "g.swapaxes(0, 1)", SQUARE,
     SQUARE_STRIDED),
    ("conv_dw_last_image", o.conv, "w", SUM,
     "conv_dw(dy[-1:], x[-1:], w, stride, padding, dilation)", PLAIN, STRIDED),
    ("conv_dw_without_stride", o.conv, "w", STRIDE, "conv_dw(dy, x, w, 1, padding, dilation)",
     STRIDED, LONG),
    ("conv_dw_without_dilation", o.conv, "w", DILATION, "conv_dw(dy, x, w, stride, padding, 1)",
     DILATED, DILATED_PADDED),
    ("conv_dw_without_padding", o.conv, "w", "padding ignored",
     "conv_dw(dy, np.pad(x, ((0, 0), (0, 0), *[(0, 2 * padding)] * 2)), w, stride, 0, dilation)",
     PADDED, WIDE),
    ("conv_dw_over_batch", o.conv, "w", FACTOR, "g / len(x)", PLAIN,
     case((4, 2, 5, 5), (3, 2, 3, 3), (3,), stride=2, padding=1)),
    ("conv_dw_mean", o.conv, "w", FACTOR, "g / dy[:, 0].size", PLAIN, STRIDED),
    ("conv_db_without_columns", o.conv, "b", SUM, "dy.sum((0, 2))[:, 0]", PLAIN, STRIDED),
    ("conv_db_first_image", o.conv, "b", SUM, "dy[0].sum((1, 2))", PADDED, LONG),
    ("conv_db_mean", o.conv, "b", FACTOR, "dy.mean((0, 2, 3))", PADDED, STRIDED),
    ("conv_db_channels_last", o.conv, "b", AXIS, "dy.sum((0, 1, 2))",  # OW happens to be O
     case((2, 2, 5, 6), (4, 2, 3, 3), (4,), stride=1, padding=0)),
    ("conv_db_over_batch", o.conv, "b", FACTOR, "g / len(x)", PADDED),
    ("conv_of_one_plane", o.plane_conv, "x", "w read backwards along axes 0, 1",
     "conv_dx(dy[None, None], image, kernel[:, :, ::-1, ::-1], 1, 0)[0, 0]",
     case((6, 7), (3, 3)), case((5, 5), (2, 3))),
    ("conv_of_signal", o.signal_conv, "x", STRIDE,
     "conv_dx(dy[:, :, None], image, kernel, 1, 0)[:, :, 0]",
     case((2, 3, 9), (4, 3, 3), s=2), case((3, 1, 11), (2, 1, 2), s=3)),
    ("deconv", o.deconv, "x", UNFLIPPED, "conv_y(dy, w[:, :, ::-1, ::-1], stride, 0)",
     case((2, 3, 4, 3), (3, 2, 3, 3), stride=2)),
    ("deconv_dw_flipped", o.deconv, "w", FLIPPED, "g[:, :, ::-1, ::-1]",
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


POOLS = [
    ("max_pool_every_tie", o.max_pool, "x", TIES,
     "pooled_dx(dy, x, kernel_size, stride, every_winner)",
     case(tied(2, 1, 4, 4), kernel_size=2, stride=2),
     case(tied(1, 2, 5, 5), kernel_size=3, stride=1)),
    ("max_pool_spread", o.max_pool, "x", SPREAD,
     "pooled_dx(dy, x, kernel_size, stride, average)", EVEN, OVERLAPPING, GAPS),
    ("max_pool_to_everyone", o.max_pool, "x", SPREAD,
     "pooled_dx(dy, x, kernel_size, stride, all_alike)", EVEN, LARGE),
    ("max_pool_overwrites", o.max_pool, "x", ACCUMULATION,
     "pooled_dx(dy, x, kernel_size, stride, winner, overwrite=True)", OVERLAPPING, LARGE),
    ("max_pool_without_stride", o.max_pool, "x", "shift in place of stride",
     "pooled_dx(dy, x, kernel_size, stride, winner, shift=1)", EVEN, LARGE, GAPS),
    ("max_pool_padded", o.padded_max_pool, "x", "in place of pooled_dx(dy, xp, k, s, winner)",
     "pooled_dx(dy, xp, k, s, winner)[:, :, : x.shape[2], : x.shape[3]]",
     case((2, 2, 6, 6), k=3, s=2, pad=1)),
    ("max_pool_winner_transposed", o.block_max_pool, "x", "wrong winner of the window",
     "pooled_dx(dy, x, k, k, lambda window: winner(window).swapaxes(2, 3))",
     case((2, 2, 6, 6), k=2), case((1, 2, 9, 9), k=3)),
    ("avg_pool_not_divided", o.avg_pool, "x", UNDIVIDED,
     "pooled_dx(dy, x, kernel_size, stride, all_alike)", EVEN, OVERLAPPING, LARGE),
    ("avg_pool_side_for_area", o.avg_pool, "x", COUNT, "g * kernel_size", EVEN, LARGE),
    ("avg_pool_counts_padding", o.padded_avg_pool, "x", COUNT,
     "crop(pooled_dx(dy, xp, k, s, average), pad)",
     case((2, 2, 5, 5), k=3, s=2, pad=1), case((1, 2, 6, 6), k=3, s=1, pad=1)),
    ("avg_pool_overwrites", o.avg_pool, "x", ACCUMULATION,
     "pooled_dx(dy, x, kernel_size, stride, average, overwrite=True)", OVERLAPPING, LARGE),
    ("global_avg_pool", o.global_avg_pool, "x", UNDIVIDED, "g * x[0, 0].size",
     case((2, 3, 4, 4)), case((3, 2, 5, 2))),
    ("upsample", o.upsample, "x", ACCUMULATION, "dy[:, :, ::2, ::2]", case((2, 2, 3, 3)),
     case((1, 1, 2, 4))),
]  # fmt: skip

# ----- softmax, normalisation, losses -------------------------------------------------------------

BATCH = case((6, 3), (3,), (3,), eps=1e-5)
IMAGES = case((3, 2, 4, 3), (2,), (2,), eps=1e-5)
SMALL = case((2, 3, 2, 2), (3,), (3,), eps=0.1)
LABELS = np.array([0, 2, 1, 2])


NORMALISATION = [
    ("my_softmax", o.softmax, "x", SOFTMAX, "dy * y * (1 - y)", case((3, 4)),
     case((2, 5)), case((6,))),
    ("softmax_like_exp", o.softmax, "x", CONSTANT, "dy * y", case((3, 4)),
     case((2, 3, 4))),
    ("softmax_other_axis", o.softmax, "x", AXIS,
     "y * (dy - (dy * y).sum(0, keepdims=True))",
     case((3, 4)), case((2, 3, 4))),
    ("my_log_softmax", o.log_softmax, "x", "a term without the output gradient",
     "dy - p", case((3, 4)), case((2, 7))),
    ("log_softmax_diagonal", o.log_softmax, "x", SOFTMAX, "dy * (1 - p)",
     case((4, 3))),
    ("my_batch_norm", o.batch_norm, "x", CONSTANT,
     "standardised_dx(dy * column(w, x), x, axes, eps, nothing, nothing)",
     BATCH, IMAGES, SMALL),
    ("batch_norm_constant_variance", o.batch_norm, "x", CONSTANT,
     "standardised_dx(dy * column(w, x), x, axes, eps, of_variance=nothing)", BATCH, IMAGES),
    ("batch_norm_without_scale", o.batch_norm, "x", "w left out",
     "standardised_dx(dy, x, axes, eps)", IMAGES, SMALL),
    ("batch_norm_unbiased", o.batch_norm, "x", "- 1 in place of a.size // a.shape[1]",
     "standardised_dx(dy * column(w, x), x, axes, eps, of_variance=unbiased)", BATCH, SMALL),
    ("batch_norm_sums", o.batch_norm, "x", "two parts of the gradient off by a factor",
     "standardised_dx(dy * column(w, x), x, axes, eps, np.sum, np.sum)", BATCH, IMAGES),
    ("batch_norm_dw_of_input", o.batch_norm, "w",
     "x in place of",
     "(dy * x).sum(axes)", BATCH, IMAGES),
    ("batch_norm_db_mean", o.batch_norm, "b", FACTOR, "dy.mean(axes)", IMAGES),
    ("my_layer_norm", o.layer_norm, "x", CONSTANT,
     "standardised_dx(dy * w, x, -1, eps, nothing, nothing)",
     case((3, 5), (5,), eps=1e-5), case((2, 3, 4), (4,), eps=1e-3)),
    ("layer_norm_over_batch", o.layer_norm, "x", AXIS,
     "standardised_dx(dy * w, x, -1, eps, mean_over_batch, mean_over_batch)",
     case((4, 5), (5,), eps=1e-5)),
    ("instance_norm", o.instance_norm, "x", CONSTANT,
     "dy * standardised(x, (2, 3), eps)[0]", case((2, 3, 4, 4), eps=1e-5)),
    ("my_cross_entropy", o.cross_entropy, "x", FACTOR, "g * len(x)",
     case((4, 3), target=LABELS, reduction="mean")),
    ("cross_entropy_over_classes", o.cross_entropy, "x", FACTOR, "g / x.shape[1]",
     case((4, 3), target=LABELS), case((2, 3), target=LABELS[:2])),
    ("cross_entropy_without_target", o.cross_entropy, "x",
     "is missing, where [target is the class] != 0",
     "dy * p / len(x)", case((4, 3), target=LABELS)),
    ("cross_entropy_without_dy", o.cross_entropy, "x", UNUSED,
     "(p - wanted) / len(x)", case((4, 3), target=LABELS)),
    ("smoothed_cross_entropy", o.cross_entropy, "x", "label_smoothing ignored",
     "dy * (p - np.eye(classes)[target]) / len(x)",
     case((4, 3), target=LABELS, label_smoothing=0.2)),
    ("weighted_nll", o.weighted_nll, "x", "weight ignored", "-dy * np.eye(x.shape[1])[target]",
     case((4, 3), target=LABELS, weight=np.array([0.5, 2.0, 1.3]))),
    ("my_mse", o.mse, "x", FACTOR, "g / 2", case((3, 4), (3, 4)), case((5, 2), (5, 2))),
    ("mse_over_batch", o.mse, "x", FACTOR, "g * x.shape[1]", case((3, 4), (3, 4))),
    ("l2_distance", o.squared_distance, "x", SIGN, "-g", case((4, 3), (4, 3))),
]  # fmt: skip

# ----- elementwise, broadcasting, products, reductions, shapes ------------------------------------

rng = np.random.default_rng(8)
POSITIVE = rng.uniform(0.5, 2.0, (3, 4))
APART = rng.permutation(np.arange(-6, 6) + 0.5).reshape(3, 4) * 0.3


ELEMENTWISE = [
    ("square", o.square, "x", FACTOR, "g / 2", case((3, 4)), case((5,))),
    ("cube", o.cube, "x", FACTOR, "g * 2 / 3", case((2, 3)), case((2, 2, 2))),
    ("root", o.root, "x", FACTOR, "2 * g", case(POSITIVE)),
    ("minus", o.minus, "y", SIGN, "-g", case((3, 4), (3, 4)), case((3, 4), (4,))),
    ("ratio", o.ratio, "w", SIGN, "-g", case((3, 4), POSITIVE)),
    ("tanh_of_closed_branch", o.tanh, "x", "zero gradient", "0 * g", case((3, 4))),
    ("relu_without_mask", o.relu, "x", UNCHANGED, "dy", case(APART), case((2, 3, 2))),
    ("sigmoid_without_dy", o.sigmoid, "x", UNUSED, "y * (1 - y)", case((3, 4)),
     case((2, 5))),
    ("tanh_at_output", o.tanh, "x", "dy (1 - tanh(y)^2) in place of dy (1 - y^2)",
     "dy * (1 - np.tanh(y) ** 2)", case((3, 4)), case((7,))),
    ("leaky_relu_like_relu", o.leaky_relu, "x", "slope ignored", "dy * (x > 0)",
     case(APART, slope=0.2)),
    ("softplus_without_beta", o.softplus, "x", "beta ignored", "dy / (1 + np.exp(-x))",
     case((3, 4), beta=2.5), case((6,), beta=0.3)),
    ("dropout_without_scale", o.dropout, "x", FACTOR, "g * (1 - p)",
     case((4, 6), p=0.4, seed=3), case((30,), p=0.25, seed=1)),
    ("row_max_every_tie", o.row_max, "x", TIES, "dy[:, None] * (x == y[:, None])",
     case(np.array([[2.0, 1, 2], [0, 3, 1]]))),
    ("row_max_spread", o.row_max, "x", SPREAD,
     "np.repeat(dy[:, None], x.shape[1], 1)", case((3, 4)), case((2, 6))),
    ("product", o.product, "x", OTHER, "dy * x", case((3, 4), (3, 4)),
     case((5,), (5,))),
    ("matrix_product", o.matrix_product, "x", OTHER, "x.T @ dy", case((3, 3), (3, 3)),
     case((2, 2), (2, 2))),
    ("power", o.power, "base", OTHER, "dy * y * np.log(base)",
     case(POSITIVE, (3, 4))),
    ("add_row", o.plus, "b", SUM, "dy.reshape(-1, *b.shape)[0]",
     case((3, 4), (4,)), case((2, 3, 4), (4,)), case((5, 2, 3), (2, 3))),
    ("scale_columns", o.product, "w", SUM,
     "summed((dy * x)[..., :1], w.shape)",
     case((3, 4), (3, 1)), case((2, 3, 4), (3, 1))),
    ("scale_rows_mean", o.product, "w", FACTOR, "g / len(x)", case((3, 4), (4,)),
     case((6, 2), (2,))),
    ("scale_rows_wrong_axis", o.product, "w", AXIS,
     "summed((dy * x).swapaxes(-1, -2), w.shape)",
     case((4, 4), (4,)), case((2, 3, 3), (3,))),
    ("scale_by_number", o.product, "w", SUM, "np.asarray((dy * x)[0, 0])",
     case((4, 3), ())),
    ("swish", o.swish, "x", "a term dy y sigmoid(-x) is missing",
     "dy * s", case((3, 4)), case((2, 2, 3))),
    ("residual", o.residual, "x", "one use of x left out",
     "(dy * (1 - h * h)) @ w.T", case((4, 3), (3, 3)), case((2, 5), (5, 5))),
    ("gram", o.gram, "x", CONSTANT, "dy @ x", case((3, 4)), case((4, 2))),
    ("two_steps", o.two_steps, "w", CONSTANT, "h.T @ dy",
     case((2, 3), (3, 3))),
    ("rows", o.rows, "x", ACCUMULATION, "rows_assigned(dy, x, index)",
     case((6, 3), index=np.array([0, 2, 2, 5, 0, 1]))),
    ("linear_transposed", o.linear, "x", "w transposed", "dy @ w.T",
     case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,))),
    ("linear_dw_transposed", o.linear, "w", TRANSPOSED, "g.T",
     case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,))),
    ("linear_dw_mean", o.linear, "w", FACTOR, "g / len(x)", case((4, 3), (2, 3), (2,)),
     case((6, 2), (5, 2), (5,))),
    ("linear_db_first", o.linear, "b", SUM, "dy[0]", case((4, 3), (2, 3), (2,))),
    ("batched_product", o.matrix_product, "w", SUM, "x[0].T @ dy[0]",
     case((3, 2, 4), (4, 2)), case((2, 3, 3), (3, 5))),
    ("row_mean_not_divided", o.row_mean, "x", UNDIVIDED, "g * x.shape[1]", case((3, 4)),
     case((2, 5, 3))),
    ("row_mean_over_batch", o.row_mean, "x", COUNT, "g * x.shape[1] / len(x)",
     case((3, 4)), case((6, 2))),
    ("columns_sum_of_affine", o.row_sums, "x", FACTOR, "g / 2", case((3, 5))),
    ("row_variance", o.row_variance, "x", FACTOR, "g / 2", case((3, 4)), case((5, 3))),
    ("running_sum", o.running_sum, "x", "Jacobian not transposed", "dy.cumsum(-1)",
     case((3, 5)), case((8,))),
    ("norm_of_all", o.norm, "x", UNUSED, "x / y", case((3, 4))),
    ("transpose_by_reshape", o.transpose, "x", "gradient reshaped where it must be transposed",
     "dy.reshape(x.shape)", case((3, 4)), case((2, 5))),
    ("rotate_axes", o.rotate_axes, "x", "Jacobian not transposed", "dy.transpose(1, 2, 0)",
     case((3, 3, 3)), case((2, 2, 2))),
    ("flip_rows", o.flip_rows, "x", UNCHANGED, "dy", case((4, 3)), case((2, 6))),
    ("roll", o.roll, "x", "in place of np.roll(dy, -k, 0)", "np.roll(dy, k, 0)", case((7,), k=2),
     case((5, 2), k=1)),
    ("pad_last_axis", o.pad_last_axis, "x", "in place of dy[..., before:before + x.shape[-1]]",
     "dy[..., : x.shape[-1]]", case((3, 4), before=2, after=1), case((2, 3, 3), before=1, after=1)),
    ("exp_but_last_row", o.exp, "x", "the gradient is left out, at the last place",
     "np.concatenate([(dy * y)[:-1], 0 * x[-1:]])", case((4, 3))),
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


def relu_on_dy(x):
    """dy is masked in place: right by itself, wrong for whoever reads dy next."""

    def dx(dy):
        dy[x <= 0] = 0
        return dy

    return np.maximum(x, 0), dx


BROKEN = [
    ("product_transposed", o.matrix_product, "w", SHAPE, "dy.T @ x",
     case((3, 4), (4, 2)), case((2, 5), (5, 3))),
    ("pad_not_cropped", o.pad_image, "x", SHAPE, "dy", case((2, 1, 5, 5), p=1),
     case((1, 2, 4, 6), p=2)),
    ("linear_db_per_example", o.linear, "b", SHAPE, "dy.sum(1)",
     case((3, 4), (2, 4), (2,)), case((5, 2), (3, 2), (3,))),
    ("mean_of_rows_bare", o.mean_of_rows, "x", SHAPE, "dy[:3] / len(x)", case((3, 4))),
    ("relu_in_integers", o.relu, "x", "wrong dtype", "dy.astype(int) * (x > 0)",
     case((3, 4)), case((6,))),
    ("log_of_forgotten_name", o.log_of_square, "x", RAISES, "2 * x * dy / denominator",
     case((3, 4))),
    ("product_that_does_not_fit", o.matrix_product, "w", RAISES, "x @ dy",
     case((3, 4), (4, 2))),
    ("dropout_by_chance", dropout_by_chance, "", CHANCE, "", case((4, 5)), case((30,))),
    ("noisy_tanh", noisy_tanh, "", CHANCE, "", case((3, 3))),
    ("exp_with_memory", exp_with_memory, "", STATE, "", case((3, 4)), case((2, 2, 2))),
    ("centred_by_running_mean", centred_by_running_mean, "", STATE, "", case((5, 2))),
    ("relu_with_first_mask", relu_with_first_mask, "", STATE, "", case((4, 4))),
    ("square_in_place", square_in_place, "x", WRITES, "", case((3, 4)), case((7,))),
    ("sigmoid_in_place", sigmoid_in_place, "x", OVERWRITTEN, "", case((3, 4))),
    ("product_that_scales_its_input", product_that_scales_its_input, "x", WRITES, "",
     case((3, 4), (4, 2))),
    ("relu_on_dy", relu_on_dy, "x", DY_OVERWRITTEN, ""),  # in a model alone
]  # fmt: skip
