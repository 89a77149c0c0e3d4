"""Softmax, normalisations and losses with one wrong gradient."""

from __future__ import annotations

import numpy as np

from tests.long.faults.planted import case, planted


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


SOFTMAX = "softmax Jacobian without its off-diagonal part"


@planted("x", SOFTMAX, case((3, 4)), case((2, 5)), case((6,)))
def my_softmax(x):
    y = softmax(x)
    return y, lambda dy: dy * y * (1 - y)


@planted("x", SOFTMAX, case((3, 4)), case((2, 3, 4)))
def softmax_like_exp(x):
    y = softmax(x)
    return y, lambda dy: dy * y


@planted("x", "summed over the wrong axis", case((3, 4)), case((2, 3, 4)))
def softmax_other_axis(x):
    y = softmax(x)
    return y, lambda dy: y * (dy - (dy * y).sum(0, keepdims=True))


@planted("x", SOFTMAX, case((3, 4)), case((2, 7)))
def my_log_softmax(x):
    """dy is not summed over the row: right for one-hot dy alone."""
    y = np.log(softmax(x))
    return y, lambda dy: dy - np.exp(y)


@planted("x", SOFTMAX, case((4, 3)))
def log_softmax_diagonal(x):
    y = np.log(softmax(x))
    return y, lambda dy: dy * (1 - np.exp(y))


def standardised(x, axes, eps):
    u = x - x.mean(axes, keepdims=True)
    s = 1 / np.sqrt((u * u).mean(axes, keepdims=True) + eps)
    return u, s, u * s


def column(v, x):
    return v.reshape(-1, *[1] * (x.ndim - 2))


def over_batch(x):
    return (0, *range(2, x.ndim))


BATCH = case((6, 3), (3,), (3,), eps=1e-5)
IMAGES = case((3, 2, 4, 3), (2,), (2,), eps=1e-5)
SMALL = case((2, 3, 2, 2), (3,), (3,), eps=0.1)
CONSTANT = "statistics treated as constants"


def batch_norm(wrong, x, w, b, eps, which):
    """(y, dx, dw, db), where the gradient `which` is wrong(dy, u, s, h), the others right."""
    axes = over_batch(x)
    u, s, h = standardised(x, axes, eps)
    scale = column(w, x)

    def dx(dy):
        dh = dy * scale
        return s * (dh - dh.mean(axes, keepdims=True) - h * (dh * h).mean(axes, keepdims=True))

    pulls = [dx, lambda dy: (dy * h).sum(axes), lambda dy: dy.sum(axes)]
    pulls[which] = lambda dy: wrong(dy, u, s, h)
    return h * scale + column(b, x), *pulls


@planted("x", CONSTANT, BATCH, IMAGES, SMALL)
def my_batch_norm(x, w, b, eps):
    return batch_norm(lambda dy, u, s, h: dy * column(w, x) * s, x, w, b, eps, 0)


@planted("x", CONSTANT, BATCH, IMAGES)
def batch_norm_constant_variance(x, w, b, eps):
    def dx(dy, u, s, h):
        dh = dy * column(w, x) * s
        return dh - dh.mean(over_batch(x), keepdims=True)

    return batch_norm(dx, x, w, b, eps, 0)


@planted("x", "w left out", IMAGES, SMALL)
def batch_norm_without_scale(x, w, b, eps):
    def dx(dy, u, s, h):
        axes = over_batch(x)
        return s * (dy - dy.mean(axes, keepdims=True) - h * (dy * h).mean(axes, keepdims=True))

    return batch_norm(dx, x, w, b, eps, 0)


@planted("x", "average divided by the wrong count", BATCH, SMALL)
def batch_norm_unbiased(x, w, b, eps):
    """The variance divides by n, its gradient by n - 1."""

    def dx(dy, u, s, h):
        axes = over_batch(x)
        n = x.size // x.shape[1]
        dh = dy * column(w, x)
        along = (dh * h).sum(axes, keepdims=True) / (n - 1)
        return s * (dh - dh.mean(axes, keepdims=True) - h * along)

    return batch_norm(dx, x, w, b, eps, 0)


@planted("x", "average not divided", BATCH, IMAGES)
def batch_norm_sums(x, w, b, eps):
    def dx(dy, u, s, h):
        axes = over_batch(x)
        dh = dy * column(w, x)
        return s * (dh - dh.sum(axes, keepdims=True) - h * (dh * h).sum(axes, keepdims=True))

    return batch_norm(dx, x, w, b, eps, 0)


@planted("w", "input not normalised in the gradient of the scale", BATCH, IMAGES)
def batch_norm_dw_of_input(x, w, b, eps):
    return batch_norm(lambda dy, u, s, h: (dy * x).sum(over_batch(x)), x, w, b, eps, 1)


@planted("b", "mean used for sum", IMAGES)
def batch_norm_db_mean(x, w, b, eps):
    return batch_norm(lambda dy, u, s, h: dy.mean(over_batch(x)), x, w, b, eps, 2)


@planted("x", CONSTANT, case((3, 5), (5,), eps=1e-5), case((2, 3, 4), (4,), eps=1e-3))
def my_layer_norm(x, w, eps):
    _, s, h = standardised(x, (-1,), eps)
    return h * w, lambda dy: dy * w * s, lambda dy: (dy * h).reshape(-1, len(w)).sum(0)


@planted("x", "summed over the wrong axis", case((4, 5), (5,), eps=1e-5))
def layer_norm_over_batch(x, w, eps):
    _, s, h = standardised(x, (-1,), eps)

    def dx(dy):
        dh = dy * w
        return s * (dh - dh.mean(0, keepdims=True) - h * (dh * h).mean(0, keepdims=True))

    return h * w, dx, lambda dy: (dy * h).sum(0)


@planted("x", CONSTANT, case((2, 3, 4, 4), eps=1e-5))
def instance_norm(x, eps):
    _, s, h = standardised(x, (2, 3), eps)
    return h, lambda dy: dy * s


# ----- losses -------------------------------------------------------------------------------------

LABELS = np.array([0, 2, 1, 2])


@planted("x", "average not divided", case((4, 3), target=LABELS, reduction="mean"))
def my_cross_entropy(x, target, reduction):
    p = softmax(x)
    rows = np.arange(len(x))
    losses = -np.log(p[rows, target])
    y = losses.mean() if reduction == "mean" else losses.sum()
    return y, lambda dy: dy * (p - np.eye(x.shape[1])[target])


@planted("x", "constant factor", case((4, 3), target=LABELS), case((2, 3), target=LABELS[:2]))
def cross_entropy_over_classes(x, target):
    """The mean over the batch, whose gradient divides by every element."""
    p = softmax(x)
    y = -np.log(p[np.arange(len(x)), target]).mean()
    return y, lambda dy: dy * (p - np.eye(x.shape[1])[target]) / x.size


@planted("x", "target left out", case((4, 3), target=LABELS))
def cross_entropy_without_target(x, target):
    p = softmax(x)
    y = -np.log(p[np.arange(len(x)), target]).mean()
    return y, lambda dy: dy * p / len(x)


@planted("x", "output gradient not used", case((4, 3), target=LABELS))
def cross_entropy_without_dy(x, target):
    p = softmax(x)
    y = -np.log(p[np.arange(len(x)), target]).mean()
    return y, lambda dy: (p - np.eye(x.shape[1])[target]) / len(x)


@planted("x", "label_smoothing ignored", case((4, 3), target=LABELS, label_smoothing=0.2))
def smoothed_cross_entropy(x, target, label_smoothing):
    p, classes = softmax(x), x.shape[1]
    onehot = np.eye(classes)[target]
    wanted = (1 - label_smoothing) * onehot + label_smoothing / classes
    y = -(wanted * np.log(p)).sum(1).mean()
    return y, lambda dy: dy * (p - onehot) / len(x)


@planted("x", "weight ignored", case((4, 3), target=LABELS, weight=np.array([0.5, 2.0, 1.3])))
def weighted_nll(x, target, weight):
    rows = np.arange(len(x))
    y = -(x[rows, target] * weight[target]).sum()

    def dx(dy):
        dx = np.zeros_like(x)
        dx[rows, target] = -dy
        return dx

    return y, dx


@planted("x", "constant factor", case((3, 4), (3, 4)), case((5, 2), (5, 2)))
def my_mse(x, target):
    d = x - target
    return (d * d).mean(), lambda dy: dy * d / d.size, lambda dy: dy * -2 * d / d.size


@planted("x", "constant factor", case((3, 4), (3, 4)))
def mse_over_batch(x, target):
    """The mean over all elements, whose gradient divides by the batch alone."""
    d = x - target
    return (d * d).mean(), lambda dy: dy * 2 * d / len(d), lambda dy: dy * -2 * d / d.size


@planted("x", "wrong sign", case((4, 3), (4, 3)))
def l2_distance(x, target):
    d = target - x
    return (d * d).sum(), lambda dy: dy * 2 * d, lambda dy: dy * 2 * d
