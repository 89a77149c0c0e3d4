"""The general looks, each on mistakes of learners: what a report says of them."""

from __future__ import annotations

import numpy as np
import pytest
from faults_by_hand import fault

import tinynet
from tests.long.faults import ALL
from tests.long.strangers_faults import FAULTS, VERDICTS, judged, sigmoid, softmax
from tinynet.gradcheck.causes import diagnose

rng = np.random.default_rng(11)
PLANE = rng.standard_normal((3, 4))
LABELS = np.array([0, 1, 3, 3, 2])
WIDE = np.random.default_rng(5).standard_normal((4, 6))
SPREAD = np.array([-5, -4, -3.5, -2, -1, -0.5, 0.4, 1, 2, 2.5, 4, 5])
POSITIVE = rng.uniform(0.4, 2.2, (3, 4))


def of(function, slope):
    """An operation on each element by itself: function(x), and what its backward makes of dy."""

    def operation(x):
        y = function(x)
        return y, lambda dy: slope(dy, x, y)

    return operation


def elu(x):
    return np.where(x > 0, x, 1.7 * (np.exp(x) - 1))


def rms_norm(x):
    rms = np.sqrt((x * x).mean(1, keepdims=True))
    return x / rms, lambda dy: dy / rms


def rms_norm_less_the_mean(x):
    r = np.sqrt((x * x).mean(1, keepdims=True))
    h = x / r

    def dx(dy):
        return (dy - dy.mean(1, keepdims=True) - h * (dy * h).mean(1, keepdims=True)) / r

    return h, dx


def hardswish(x):
    r = np.clip(x + 3, 0, 6) / 6
    return x * r, lambda dy: dy * r


def leaky_relu(x):
    return np.where(x > 0, x, 0.1 * x)


def standardised(x):
    s = x.std(1, keepdims=True)
    h = (x - x.mean(1, keepdims=True)) / s
    return h, lambda dy: (dy - dy.mean() - h * (dy * h).mean()) / s


def highest_of_rows(x):
    return x.max(1, keepdims=True), lambda dy: (x == x.max(0, keepdims=True)) * dy


def mish(x):
    s = np.log1p(np.exp(x))
    t = np.tanh(s)
    return x * t, lambda dy: dy * (t + x * (1 - t * t))


def divided_by_their_norm(x):
    n = np.sqrt((x * x).sum(1, keepdims=True))
    return x / n, lambda dy: dy / n - x * (x * dy).sum(1, keepdims=True) / n**2


def normalised_with_one_less(x):
    n = x.shape[1] - 1
    s = x.std(1, keepdims=True)
    h = (x - x.mean(1, keepdims=True)) / s

    def dx(dy):
        return (dy - dy.sum(1, keepdims=True) / n - h * (dy * h).sum(1, keepdims=True) / n) / s

    return h, dx


def normalised_but_for_a_product(x):
    s = x.std(1, keepdims=True)
    h = (x - x.mean(1, keepdims=True)) / s

    def dx(dy):
        mean = dy.mean(1, keepdims=True)
        return (dy - mean - h * mean) / s

    return h, dx


def softmax_of_targets(x):
    p, t = softmax(x), 0.3 + np.random.default_rng(2).random(x.shape)
    return -(t * np.log(p)).sum(), lambda dy: dy * (p - t)


def running_product(x):
    y = np.cumprod(x, 1)
    return y, lambda dy: np.cumsum(dy * y, 1) / x


def doubled_by_interpolation(x):
    y = np.stack([0.75 * x[:, :-1] + 0.25 * x[:, 1:], 0.25 * x[:, :-1] + 0.75 * x[:, 1:]], 2)

    def dx(dy):
        g = np.zeros_like(x)
        g[:, :-1] += 0.25 * dy[:, ::2] + 0.75 * dy[:, 1::2]
        g[:, 1:] += 0.75 * dy[:, ::2] + 0.25 * dy[:, 1::2]
        return g

    return y.reshape(len(x), -1), dx


def two_layers(x):
    w = np.random.default_rng(1).standard_normal((4, 5))
    h = np.maximum(x @ w, 0)
    return h @ w.T, lambda dy: dy @ w @ w.T


def normalised_by_rows(x):
    h = x - x.mean(1, keepdims=True)
    return h, lambda dy: dy - dy.mean(0, keepdims=True)


def rows_of_columns(x):
    def dx(dy):
        g = np.zeros_like(x)
        g[x.argmax(0), np.arange(4)] = dy
        return g

    return x.max(1), dx


def pooled_by_columns(x):
    z = x.reshape(2, 2, 3, 2)
    rows = z == z.max(1, keepdims=True)
    return z.max((1, 3)), lambda dy: (rows * dy[:, None, :, None]).reshape(x.shape)


ROWS = [
    # (operation, x, cause, a part of the evidence)
    (of(sigmoid, lambda dy, x, y: dy * x * (1 - x)), PLANE, "dy x (1 - x) in place of dy y (1 - y)",
     "right is dy y (1 - y)"),
    (of(np.tanh, lambda dy, x, y: dy * (1 - y)), PLANE, "dy (1 - y) in place of dy (1 - y^2)",
     "1 / (1 + y) times as large"),
    (of(np.exp, lambda dy, x, y: dy * x * y), PLANE, "dy x y in place of dy y", "x times as large"),
    (of(np.sqrt, lambda dy, x, y: dy / x / 2), POSITIVE, "dy / (2 x) in place of dy / (2 y)", ""),
    (of(np.log10, lambda dy, x, y: dy / x), POSITIVE, "constant factor", "ln 10"),
    (of(np.square, lambda dy, x, y: 2 * x * dy * 1.000001), PLANE, "constant factor", "1.000001 x"),
    (of(elu, lambda dy, x, y: dy * np.where(x > 0, 1, y + 1)), PLANE, "in place of y + 1.7", ""),
    (of(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (x < 0)), PLANE,
     "the two branches are exchanged", "where x > 0: analytic = 0, dy is right"),
    (of(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * np.where(x > 0, 2, 0.1)), PLANE,
     "np.where(x > 0, 2, 0.1) in place of x > 0", "the gradient is right"),
    (of(lambda x: np.maximum(x, 0), lambda dy, x, y: dy * (dy > 0)), PLANE,
     "not linear in the output gradient", "masked by the sign of dy"),
    (of(np.square, lambda dy, x, y: np.clip(2 * x * dy, -1, 1)), PLANE,
     "not linear in the output gradient", "clipped to -1 ... 1"),
    (of(np.square, lambda dy, x, y: dy * 2 * x + 0.1), PLANE,
     "a term without the output gradient", "for dy = 0 the backward gives 0.1"),
    (of(np.square, lambda dy, x, y: 2 * x * dy * np.random.random(x.shape)), PLANE,
     "random numbers in the backward pass", "called twice with the same dy"),
    (of(lambda x: x**3 - x**2, lambda dy, x, y: dy * 3 * x**2), PLANE,
     "a term -dy 2 x is missing", "analytic = dy 3 x^2"),
    (of(np.exp, lambda dy, x, y: dy * (y - x)), PLANE, "a term -dy x too much", "right is dy y"),
    (of(lambda x: x**3 - x**2, lambda dy, x, y: dy * (3 * x**2 + 2 * x)), PLANE,
     "wrong sign of a term: dy 2 x in place of -dy 2 x", "beside the term stands dy 3 x^2"),
    (of(lambda p: -p * np.log(p), lambda dy, p, y: -dy * np.log(p)), POSITIVE / 3,
     "a term -dy is missing", ""),
    (rms_norm_less_the_mean, WIDE, "dy - dy.mean(1, keepdims=True) in place of dy", ""),
    (hardswish, SPREAD, "where |x| < 3", "x / 6"),
    (hardswish, 2 * PLANE, "where", "x / 6"),
    (highest_of_rows, PLANE, "x.max(0, keepdims=True) in place of x.max(1, keepdims=True)", ""),
    (pooled_by_columns, rng.standard_normal((4, 6)), "in place of z.max((1, 3), keepdims=True)",
     ""),
    (lambda x: (x.mean(0), lambda dy: np.full(x.shape, dy[0] / len(x))), PLANE,
     "dy[0] in place of dy", "the gradient is right"),
    (lambda x: (x.sum(1), lambda dy: np.full(x.shape, dy[-1])), WIDE,
     "dy[-1] in place of dy[:, None]", "the gradient is right"),
    (of(leaky_relu, lambda dy, x, y: dy * np.where(x > 0, 0.1, 1)), PLANE,
     "the two branches are exchanged", "where x > 0: analytic = dy 0.1, right is dy"),
    (standardised, WIDE, "each mean in place of mean(1, keepdims=True)", "`return h, lambda dy"),
    (rms_norm, PLANE, "part of the function treated as a constant", "the result of sqrt in `rms ="),
    (mish, PLANE, "in place of x * (1 - t * t) / (1 + np.exp(-x))", ""),
    (divided_by_their_norm, PLANE, "n ** 2 in place of n ** 3", ""),
    (normalised_with_one_less, WIDE, "x.shape[1] - 1 in place of x.shape[1]", ""),
    (normalised_but_for_a_product, WIDE, "a value inside the function is wrong", "of std in"),
    (softmax_of_targets, PLANE, "p - t in place of p * t.sum(-1, keepdims=True) - t", ""),
    (running_product, PLANE, "in place of np.cumsum((dy * y)[:, ::-1], 1)[:, ::-1]",
     "the gradient is right"),
    (doubled_by_interpolation, PLANE, "0.25 and 0.75 in place of 0.75 and 0.25", ""),
    (two_layers, PLANE, "dy @ w in place of dy @ w * (h > 0)", ""),
    (normalised_by_rows, np.ones((4, 4)) + np.eye(4), "summed over the wrong axis", "axis 1"),
    (rows_of_columns, rng.standard_normal((4, 4)), "summed over the wrong axis", "axis 0"),
    (of(np.trace, lambda dy, x, y: dy * np.ones_like(x)), rng.standard_normal((4, 4)),
     "terms that do not belong into the sum", "axis 0 of x and axis 1 of x differ"),
    (of(softmax, lambda dy, x, y: dy * y * (1 - y)), PLANE,
     "Jacobian without its off-diagonal part", "y_i depends on other elements"),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "x", "cause", "evidence"), ROWS)
def test_what_a_look_says_of_a_mistake(operation, x, cause, evidence):
    said = diagnose(fault(operation, [x]))
    assert cause in said[0]
    assert evidence in said[0] + said[1]


def test_what_no_look_explains_has_a_rule_for_what_is_wrong():
    noise = rng.uniform(2, 3, PLANE.shape)

    def operation(x):
        return x * x, lambda dy: dy * 2 * x * np.where(x < 0, noise, 1)

    cause, evidence = diagnose(fault(operation, [PLANE]))
    assert "x < 0" in cause + evidence


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (2 / 3, "about 2/3"),
        (1 / 25, "1/k^2"),
        (180 / np.pi, "180/pi"),
    ],
)
def test_a_factor_is_a_setting_or_made_of_sizes(factor, said):
    def operation(x, k):
        return np.tanh(x), lambda dy: dy * (1 - np.tanh(x) ** 2) * factor

    cause, evidence = diagnose(fault(operation, [WIDE], {"k": 5}))
    assert cause == "constant factor: {0} * factor in place of {0}".format(
        "dy * (1 - np.tanh(x) ** 2)"
    )
    assert said in evidence


def test_a_rule_that_holds_by_chance_of_one_input_is_not_told():
    negative, noise = PLANE < 0, rng.uniform(2, 3, PLANE.shape)

    @tinynet.differentiable
    def wrong_at_places(x):
        return x * x, lambda dy: dy * 2 * x * np.where(negative, noise, 1)

    (failure,) = tinynet.gradcheck(wrong_at_places, PLANE).failures
    assert failure.cause.endswith("in place of dy * 2 * x")  # with which it is right everywhere
    assert "< 0" not in failure.evidence


def test_two_sides_of_the_border_are_told_together():
    inside = np.ones((4, 5))
    inside[0] = inside[:, -1] = 0

    def shifted(x):
        y = x + np.roll(x, 1, 0)
        return y, lambda dy: (dy + np.roll(dy, -1, 0)) * inside

    cause, evidence = diagnose(fault(shifted, [rng.standard_normal((4, 5))]))
    assert cause.startswith("some terms of the sum are left out")
    assert "at the first place of axis 0 or the last of axis 1 of x" in evidence


def test_a_rule_of_some_elements_is_told_by_the_name_of_a_setting():
    def huber(x, delta):
        return np.where(np.abs(x) < delta, x * x / 2, delta * np.abs(x)), lambda dy: dy * x

    cause, _ = diagnose(fault(huber, [3 * PLANE], {"delta": 1.3}))
    assert cause == "dy x in place of dy delta sign(x), where |x| > delta"


def transposed_conv(x, w, stride):
    """Of images (N, C, H, W) with kernels (C, O, KH, KW); the gradient forgets the stride."""
    _, _, H, W = x.shape
    KH, KW = w.shape[2:]
    y = np.zeros((len(x), w.shape[1], (H - 1) * stride + KH, (W - 1) * stride + KW))
    places = list(np.ndindex(H, W))
    for i, j in places:
        window = y[:, :, i * stride : i * stride + KH, j * stride : j * stride + KW]
        window += np.einsum("nc,cokl->nokl", x[:, :, i, j], w)

    def dx(dy):
        g = np.zeros_like(x)
        for i, j in places:
            g[:, :, i, j] = np.einsum("nokl,cokl->nc", dy[:, :, i : i + KH, j : j + KW], w)
        return g

    return y, dx


def depthwise(x, w):
    """A row of products for each channel; the gradient meets all channels."""
    return x * w, None, lambda dy: (dy * x.sum(1, keepdims=True)).sum(0, keepdims=True)


def weighted_squares(x, weights):
    return (weights * x * x).sum() / weights.sum(), lambda dy: dy * weights * 2 * x / x.size


def smoothed(x, labels, eps):
    """Cross-entropy with targets that leave eps to all classes; the gradient to the others."""
    n, c = x.shape
    here = np.eye(c)[labels]
    log_p = np.log(softmax(x))
    t = (1 - eps) * here + eps / c
    wrong = np.where(here, 1 - eps, eps / (c - 1))
    return -(t * log_p).sum() / n, lambda dy: dy * (np.exp(log_p) - wrong) / n


def mean_over_images(x, b):
    return x + b[:, None], None, lambda dy: dy.sum(2).mean(0)


def grouped(x, w):
    """The first two channels with the first two filters, the others with the others."""
    y = np.concatenate([x[:, :2] @ w[:2].T, x[:, 2:] @ w[2:].T], 1)

    def dw(dy):
        return np.concatenate([dy[:, :2].T @ x[:, 2:], dy[:, 2:].T @ x[:, :2]])

    return y, None, dw


def hidden_layer(x, w):
    h = np.tanh(x)
    return h @ w, None, lambda dy: x.T @ dy


def hinge(x, t):
    return np.maximum(0, 1 - t * x), lambda dy: dy * np.where(t * x < 0, -t, 0)


@pytest.mark.parametrize(
    ("operation", "inputs", "settings", "argument", "cause", "evidence"),
    [
        (transposed_conv, [(2, 2, 3, 4), (2, 3, 2, 3)], {"stride": 2}, "x", "stride ignored", ""),
        (transposed_conv, [(3, 2, 3, 4), (2, 3, 2, 3)], {"stride": 2}, "x", "stride ignored", ""),
        (depthwise, [(2, 3, 4), (1, 3, 4)], {}, "w", "x.sum(1, keepdims=True) in place of x", ""),
        (weighted_squares, [(6,), (6,)], {}, "x", "constant factor", "the mean of weights"),
        (smoothed, [(5, 4), LABELS], {"eps": 0.3}, "x", "in place of t", ""),
        (
            mean_over_images,
            [(3, 4, 3), (4,)],
            {},
            "b",
            "dy.sum(2).mean in place of dy.sum(2).sum",
            "",
        ),
        (hidden_layer, [(3, 4), (4, 2)], {}, "w", "x.T @ dy in place of h.T @ dy", ""),
        (grouped, [(3, 4), (4, 2)], {}, "w", "wrong elements of x", "x[0, 2], right is x[0, 0]"),
        (hinge, [(12,), np.tile([1.0, -1.0], 6)], {}, "x", "the gradient is left out, where ", ""),
    ],
)
def test_what_a_look_says_of_a_mistake_with_two_arguments(
    operation, inputs, settings, argument, cause, evidence
):
    arrays = [rng.standard_normal(x) if isinstance(x, tuple) else x for x in inputs]
    said = diagnose(fault(operation, arrays, settings, argument))
    assert cause in said[0]
    assert evidence in said[1]


def test_a_large_convolution_is_cut_down_to_one_with_places_to_compare():
    op = tinynet.differentiable(next(one.op for one in ALL if one.op.__name__ == "my_conv"))
    inputs = [rng.standard_normal(shape) for shape in [(2, 3, 16, 16), (4, 3, 3, 3), (4,)]]
    (failure,) = tinynet.gradcheck(lambda x, w, b: op(x, w, b, 1, 0), *inputs).failures
    assert failure.cause == "kernel not flipped along axes 2, 3 of w"
    assert failure.total == 96
    assert "on a smaller case of it" in failure.evidence


def test_the_faults_in_the_manner_of_learners_are_caught_and_none_gets_a_wrong_name():
    answers = [judged(one) for one in FAULTS]
    counts = {v: [a.fault.op.__name__ for a in answers if a.verdict == v] for v in VERDICTS}
    assert len(answers) >= 60
    assert (counts["not caught"], counts["wrong"]) == ([], [])
    assert len(counts["no cause"]) <= 2
