"""Elementwise operations, broadcasting, products, reductions and shapes with one wrong gradient."""

from __future__ import annotations

import numpy as np

from tests.long.faults.planted import case, planted

rng = np.random.default_rng(8)
POSITIVE = rng.uniform(0.5, 2.0, (3, 4))
APART = rng.permutation(np.arange(-6, 6) + 0.5).reshape(3, 4) * 0.3

# ----- factors, signs, derivatives ----------------------------------------------------------------


@planted("x", "constant factor", case((3, 4)), case((5,)))
def square(x):
    return x**2, lambda dy: dy * x


@planted("x", "constant factor", case((2, 3)), case((2, 2, 2)))
def cube(x):
    return x**3, lambda dy: dy * 2 * x**2


@planted("x", "constant factor", case(POSITIVE))
def root(x):
    y = np.sqrt(x)
    return y, lambda dy: dy / y


@planted("y", "wrong sign", case((3, 4), (3, 4)), case((3, 4), (4,)))
def minus(x, y):
    return x - y, lambda dy: dy, lambda dy: dy.sum(0) if y.ndim == 1 else dy


@planted("w", "wrong sign", case((3, 4), POSITIVE))
def ratio(x, w):
    return x / w, lambda dy: dy / w, lambda dy: dy * x / w**2


@planted("x", "zero gradient", case((3, 4)))
def tanh_of_closed_branch(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - np.tanh(x) ** 2) * (np.abs(y) > 1)


@planted("x", "output gradient returned unchanged", case(APART), case((2, 3, 2)))
def relu_without_mask(x):
    return np.maximum(x, 0), lambda dy: dy


@planted("x", "output gradient not used", case((3, 4)), case((2, 5)))
def sigmoid_without_dy(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda dy: y * (1 - y)


@planted("x", "derivative taken at the output", case((3, 4)), case((7,)))
def tanh_at_output(x):
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - np.tanh(y) ** 2)


@planted("x", "slope ignored", case(APART, slope=0.2))
def leaky_relu_like_relu(x, slope):
    return np.where(x > 0, x, slope * x), lambda dy: dy * (x > 0)


@planted("x", "beta ignored", case((3, 4), beta=2.5), case((6,), beta=0.3))
def softplus_without_beta(x, beta):
    return np.log1p(np.exp(beta * x)) / beta, lambda dy: dy / (1 + np.exp(-x))


@planted("x", "constant factor", case((4, 6), p=0.4, seed=3), case((30,), p=0.25, seed=1))
def dropout_without_scale(x, p, seed):
    kept = np.random.default_rng(seed).random(x.shape) >= p
    return x * kept / (1 - p), lambda dy: dy * kept


@planted("x", "ties counted more than once", case(np.array([[2.0, 1, 2], [0, 3, 1]])))
def row_max_every_tie(x):
    y = x.max(1)
    return y, lambda dy: dy[:, None] * (x == y[:, None])


@planted("x", "gradient spread over all elements", case((3, 4)), case((2, 6)))
def row_max_spread(x):
    return x.max(1), lambda dy: np.repeat(dy[:, None], x.shape[1], 1)


# ----- the wrong argument -------------------------------------------------------------------------


@planted("x", "gradient of the wrong argument returned", case((3, 4), (3, 4)), case((5,), (5,)))
def product(x, w):
    return x * w, lambda dy: dy * x, lambda dy: dy * x


@planted("x", "gradient of the wrong argument returned", case((3, 3), (3, 3)), case((2, 2), (2, 2)))
def matrix_product(x, w):
    return x @ w, lambda dy: x.T @ dy, lambda dy: x.T @ dy


@planted("base", "gradient of the wrong argument returned", case(POSITIVE, (3, 4)))
def power(base, exponent):
    def wrong(dy):
        return dy * base**exponent * np.log(base)

    return base**exponent, wrong, wrong


# ----- broadcasting -------------------------------------------------------------------------------


@planted(
    "b", "missing sum over a broadcast axis",
    case((3, 4), (4,)), case((2, 3, 4), (4,)), case((5, 2, 3), (2, 3)),
)  # fmt: skip
def add_row(x, b):
    """Only the first row's gradient, so that the shape fits."""
    return x + b, lambda dy: dy, lambda dy: dy.reshape(-1, *b.shape)[0]


@planted("w", "missing sum over a broadcast axis", case((3, 4), (3, 1)), case((2, 3, 4), (3, 1)))
def scale_columns(x, w):
    def dw(dy):
        full = (dy * x)[..., :1]
        return full.sum(0) if x.ndim == 3 else full

    return x * w, lambda dy: dy * w, dw


@planted("w", "mean used for sum", case((3, 4), (4,)), case((6, 2), (2,)))
def scale_rows_mean(x, w):
    return x * w, lambda dy: dy * w, lambda dy: (dy * x).mean(0)


@planted("w", "summed over the wrong axis", case((4, 4), (4,)), case((2, 3, 3), (3,)))
def scale_rows_wrong_axis(x, w):
    axes = (1,) if x.ndim == 2 else (0, 2)
    return x * w, lambda dy: dy * w, lambda dy: (dy * x).sum(axes)


@planted("w", "missing sum over a broadcast axis", case((4, 3), ()))
def scale_by_number(x, w):
    return x * w, lambda dy: dy * w, lambda dy: np.asarray((dy * x)[0, 0])


# ----- used twice ---------------------------------------------------------------------------------


@planted("x", "missing accumulation", case((3, 4)), case((2, 2, 3)))
def swish(x):
    """x times its sigmoid: the product's other side is forgotten."""
    s = 1 / (1 + np.exp(-x))
    return x * s, lambda dy: dy * s


@planted("x", "missing accumulation", case((4, 3), (3, 3)), case((2, 5), (5, 5)))
def residual(x, w):
    """x + tanh(x w), whose gradient takes the branch and forgets the way past it."""
    h = np.tanh(x @ w)

    def dh(dy):
        return dy * (1 - h * h)

    return x + h, lambda dy: dh(dy) @ w.T, lambda dy: x.T @ dh(dy)


@planted("x", "missing accumulation", case((3, 4)), case((4, 2)))
def gram(x):
    return x @ x.T, lambda dy: dy @ x


@planted("w", "missing accumulation", case((2, 3), (3, 3)))
def two_steps(x, w):
    """The same matrix twice; its gradient of the last use alone."""
    h = np.tanh(x @ w)
    return h @ w, lambda dy: ((dy @ w.T) * (1 - h * h)) @ w.T, lambda dy: h.T @ dy


@planted("x", "missing accumulation", case((6, 3), index=np.array([0, 2, 2, 5, 0, 1])))
def rows(x, index):
    """Rows of a table, as an embedding takes them; = in place of np.add.at."""

    def dx(dy):
        dx = np.zeros_like(x)
        dx[index] = dy
        return dx

    return x[index], dx


# ----- products -----------------------------------------------------------------------------------


@planted("x", "transposed weight", case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,)))
def linear_transposed(x, w, b):
    y = x @ w.T + b
    return y, lambda dy: dy @ w.T, lambda dy: dy.T @ x, lambda dy: dy.sum(0)


@planted("w", "gradient transposed", case((2, 3), (3, 3), (3,)), case((4, 5), (5, 5), (5,)))
def linear_dw_transposed(x, w, b):
    y = x @ w.T + b
    return y, lambda dy: dy @ w, lambda dy: x.T @ dy, lambda dy: dy.sum(0)


@planted("w", "mean used for sum", case((4, 3), (2, 3), (2,)), case((6, 2), (5, 2), (5,)))
def linear_dw_mean(x, w, b):
    y = x @ w.T + b
    return y, lambda dy: dy @ w, lambda dy: dy.T @ x / len(x), lambda dy: dy.sum(0)


@planted("b", "bias gradient missing an axis", case((4, 3), (2, 3), (2,)))
def linear_db_first(x, w, b):
    y = x @ w.T + b
    return y, lambda dy: dy @ w, lambda dy: dy.T @ x, lambda dy: dy[0]


@planted("w", "missing sum over an axis", case((3, 2, 4), (4, 2)), case((2, 3, 3), (3, 5)))
def batched_product(x, w):
    """A stack of matrices times one matrix: its gradient misses the sum over the stack."""
    return x @ w, lambda dy: dy @ w.T, lambda dy: x[0].T @ dy[0]


# ----- reductions ---------------------------------------------------------------------------------


@planted("x", "average not divided", case((3, 4)), case((2, 5, 3)))
def row_mean_not_divided(x):
    return x.mean(1), lambda dy: np.broadcast_to(np.expand_dims(dy, 1), x.shape)


@planted("x", "average divided by the wrong count", case((3, 4)), case((6, 2)))
def row_mean_over_batch(x):
    return x.mean(1), lambda dy: np.repeat(dy[:, None], x.shape[1], 1) / len(x)


@planted("x", "mean used for sum", case((3, 5)))
def columns_sum_of_affine(x):
    """y = x summed into two sums, whose gradient divides by their number."""
    y = np.stack([x.sum(1), 2 * x.sum(1)])
    return y, lambda dy: np.repeat((dy[0] + 2 * dy[1])[:, None], x.shape[1], 1) / 2


@planted("x", "constant factor", case((3, 4)), case((5, 3)))
def row_variance(x):
    u = x - x.mean(1, keepdims=True)
    return (u * u).mean(1), lambda dy: dy[:, None] * u / x.shape[1]


@planted("x", "Jacobian not transposed", case((3, 5)), case((8,)))
def running_sum(x):
    """The running sum of dy, where its gradient runs from the end."""
    return x.cumsum(-1), lambda dy: dy.cumsum(-1)


@planted("x", "output gradient not used", case((3, 4)))
def norm_of_all(x):
    y = np.sqrt((x * x).sum())
    return y, lambda dy: x / y


# ----- shapes -------------------------------------------------------------------------------------


@planted("x", "reshape used for transpose", case((3, 4)), case((2, 5)))
def transpose_by_reshape(x):
    return x.T.copy(), lambda dy: dy.reshape(x.shape)


@planted("x", "gradient transposed", case((3, 3, 3)), case((2, 2, 2)))
def rotate_axes(x):
    """permute(1, 2, 0), whose gradient permutes the same way once more."""
    return x.transpose(1, 2, 0).copy(), lambda dy: dy.transpose(1, 2, 0)


@planted("x", "output gradient returned unchanged", case((4, 3)), case((2, 6)))
def flip_rows(x):
    return x[::-1].copy(), lambda dy: dy


@planted("x", "gradient shifted", case((7,), k=2), case((5, 2), k=1))
def roll(x, k):
    return np.roll(x, k, 0), lambda dy: np.roll(dy, k, 0)


@planted(
    "x", "padding cropped at the wrong side",
    case((3, 4), before=2, after=1), case((2, 3, 3), before=1, after=1),
)  # fmt: skip
def pad_last_axis(x, before, after):
    widths = [(0, 0)] * (x.ndim - 1) + [(before, after)]
    return np.pad(x, widths), lambda dy: dy[..., : x.shape[-1]]


@planted("x", "part of the gradient left zero", case((4, 3)))
def exp_but_last_row(x):
    y = np.exp(x)

    def dx(dy):
        dx = np.zeros_like(x)
        for row in range(len(x) - 1):
            dx[row] = dy[row] * y[row]
        return dx

    return y, dx
