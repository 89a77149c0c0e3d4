"""Backward passes that fail before numbers can be compared, and functions that cannot be checked.

Wrong shape or type, an exception, chance, memory, values overwritten in place.
"""

from __future__ import annotations

import numpy as np

from tests.long.faults.planted import case, planted

MATRIX = case((3, 4), (4, 2))
SHAPE = "wrong shape"


@planted("w", SHAPE, MATRIX, case((2, 5), (5, 3)))
def product_transposed(x, w):
    """dw as (P, K) where (K, P) belongs."""
    return x @ w, lambda dy: dy @ w.T, lambda dy: dy.T @ x


@planted("x", SHAPE, case((2, 1, 5, 5), p=1), case((1, 2, 4, 6), p=2))
def pad_not_cropped(x, p):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))), lambda dy: dy


@planted("b", SHAPE, case((3, 4), (2, 4), (2,)), case((5, 2), (3, 2), (3,)))
def linear_db_per_example(x, w, b):
    """db summed over the features, not over the examples."""
    y = x @ w.T + b
    return y, lambda dy: dy @ w, lambda dy: dy.T @ x, lambda dy: dy.sum(1)


@planted("x", SHAPE, case((3, 4)))
def mean_of_rows_bare(x):
    """dy is not spread over the axis that was reduced."""
    return x.mean(0), lambda dy: dy[:3] / len(x)


@planted("x", "wrong dtype", case((3, 4)), case((6,)))
def relu_in_whole_numbers(x):
    """The mask times a gradient that was made into integers."""
    return np.maximum(x, 0), lambda dy: dy.astype(int) * (x > 0)


@planted("x", "the backward raises an error", case((3, 4)))
def log_of_forgotten_name(x):
    return np.log1p(x * x), lambda dy: 2 * x * dy / denominator  # noqa: F821


@planted("w", "the backward raises an error", MATRIX)
def product_that_does_not_fit(x, w):
    return x @ w, lambda dy: dy @ w.T, lambda dy: x @ dy


@planted("", "non-deterministic function", case((4, 5)), case((30,)))
def dropout_by_chance(x):
    kept = np.random.random(x.shape) >= 0.5
    return 2 * x * kept, lambda dy: 2 * dy * kept


NOISE = np.random.default_rng(0)


@planted("", "non-deterministic function", case((3, 3)))
def noisy_tanh(x):
    y = np.tanh(x + 0.1 * NOISE.standard_normal(x.shape))
    return y, lambda dy: dy * (1 - y * y)


MEMORY = {}


@planted("", "state carried from call to call", case((3, 4)), case((2, 2, 2)))
def exp_with_memory(x):
    """The output is kept outside of the call, where the next call overwrites it."""
    MEMORY["y"] = np.exp(x)
    return MEMORY["y"], lambda dy: dy * MEMORY["y"]


RUNNING = {"mean": 0.0}


@planted("", "state carried from call to call", case((5, 2)))
def centred_by_running_mean(x):
    RUNNING["mean"] = 0.9 * RUNNING["mean"] + 0.1 * x.mean()
    mean = RUNNING["mean"]
    return (x - mean) ** 2, lambda dy: dy * 2 * (x - mean)


class _FirstMask:
    mask = None


@planted("", "state carried from call to call", case((4, 4)))
def relu_with_first_mask(x):
    """The mask of the first call is used for all."""
    if _FirstMask.mask is None or _FirstMask.mask.shape != x.shape:
        _FirstMask.mask = x > 0
    return np.maximum(x, 0), lambda dy: dy * _FirstMask.mask


OVERWRITTEN = "a saved value is overwritten in place"
WRITES = "writes into an array that it was given"


@planted("x", WRITES, case((3, 4)), case((7,)))
def square_in_place(x):
    """The input is squared where it lies."""
    x *= x
    return x.copy(), lambda dy: dy * 2 * x


@planted("x", OVERWRITTEN, case((3, 4)))
def sigmoid_in_place(x):
    """y is saved, and then used as scratch."""
    y = 1 / (1 + np.exp(-x))
    result = y.copy()
    y -= 1
    return result, lambda dy: dy * y * (1 - y)


@planted("x", WRITES, case((3, 4), (4, 2)))
def product_that_scales_its_input(x, w):
    y = x @ w
    x /= 2
    return y, lambda dy: dy @ w.T, lambda dy: x.T @ dy


def relu_on_dy(x):
    """dy is masked where it lies: right by itself, wrong for whoever reads dy next."""

    def dx(dy):
        dy[x <= 0] = 0
        return dy

    return np.maximum(x, 0), dx
