"""Checks that would say nothing are refused with a reason; coarse ones say what can be told."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import gradcheck, gradcheck_model, nn
from tinynet.gradcheck import EmptyCheckError
from tinynet.nn import functional as F


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_functions_that_do_not_depend_on_the_input_are_refused():
    with pytest.raises(EmptyCheckError, match="does not depend on x"):
        gradcheck(lambda x: tinynet.ones(3), tinynet.ones(3))
    with pytest.raises(EmptyCheckError, match="stays as it is when input moves"):
        gradcheck(F.relu, tinynet.tensor([-1.0, -2.0]))
    with pytest.raises(EmptyCheckError, match="no input is a float tensor"):
        gradcheck(tinynet.neg, tinynet.tensor([1, 2]))
    with pytest.raises(EmptyCheckError, match="has no elements"):
        gradcheck(tinynet.tanh, tinynet.zeros(0))


def test_results_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or infinite values, in 1 of 2"):
        gradcheck(lambda x: x.sqrt(), tinynet.tensor([-1.0, 1.0]))


@tinynet.differentiable
def arcsin(x):
    return np.arcsin(x), lambda dy: dy / np.sqrt(1 - x * x)


@tinynet.differentiable
def cube_root(x):
    return np.cbrt(x), lambda dy: dy / (3 * np.cbrt(x) ** 2)


@pytest.mark.parametrize(
    ("fn", "x", "where"),
    [
        (lambda x: x.sqrt(), [1.0, 0], r"x\[1\] = 0"),
        (lambda x: x**0.5, [0, 1.0], r"x\[0\] = 0"),
        (lambda x: x**1.5, [0, 1.0], r"x\[0\] = 0"),
        (lambda x: x.sqrt(), [0.0] * 40, r"x\[0\] = 0"),
        (lambda x: x**1.5, [0.0] * 40, "x:"),
        (lambda x: F.relu(x).sqrt(), [0, 1.0], r"x\[0\] = 0"),
        (arcsin, [0.5, 1.0], r"x\[1\] = 1"),
        (cube_root, [0, 8.0], r"x\[0\] = 0"),
    ],
)
def test_a_point_without_a_finite_slope_is_refused_in_one_sentence(fn, x, where):
    with pytest.raises(EmptyCheckError, match=f"has no finite slope at {where}.*inside the domain"):
        gradcheck(fn, np.array(x))


@pytest.mark.parametrize("x", [1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize("fn", [lambda x: x.log(), lambda x: x.sqrt(), lambda x: 1 / x])
def test_a_point_close_to_where_the_function_ends_is_checked(fn, x):
    assert gradcheck(fn, np.array([x, 1.0]))


@tinynet.differentiable
def square_with_a_gap(x):
    return x * x, lambda dy: dy * 2 * x * np.where(x > 1, np.nan, 1)


@pytest.mark.parametrize(
    ("fn", "op"),
    [
        (square_with_a_gap, "square_with_a_gap"),
        (lambda x: square_with_a_gap(x.exp()).tanh(), "square_with_a_gap"),
        (lambda x: ((x - x) ** 2).sum().sqrt() + x, "sqrt"),
        (lambda x: tinynet.where(x.array > 9, (x - 3).sqrt(), x), "sqrt"),
    ],
)
def test_a_gradient_that_is_not_finite_though_the_slope_is_has_its_operation_named(fn, op):
    (failure,) = gradcheck(fn, np.array([0.5, 2.0])).failures
    assert (failure.op, failure.argument) == (op, "x")
    assert failure.cause == "the gradient is not finite"


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: x**3, [1e-3, 1.0]),
        (lambda x: x**3, [1e-9, 100.0]),
        (lambda x: x.exp(), [-30.0, 30.0]),
    ],
)
def test_a_function_that_computes_in_float64_is_not_said_to_round(fn, x):
    assert "rounds" not in str(gradcheck(fn, np.array(x)))


def test_a_mistake_at_a_small_value_is_found_beside_large_ones():
    @tinynet.differentiable
    def exp(x):
        return np.exp(x), lambda dy: dy * np.exp(x) * np.where(x < 0, 2, 1)

    (failure,) = gradcheck(exp, np.array([-30.0, 30.0])).failures
    assert failure.op == "exp"


def test_slopes_below_the_rounding_of_the_result_are_refused():
    with pytest.raises(EmptyCheckError, match="moves so little, that differences say nothing"):
        gradcheck(lambda x: x * 1e-12 + 1e6, np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: F.softmax(x, 1).sum(),
        lambda x: F.softmax(x, 1).sum(1),
        lambda x: F.batch_norm(x, None, None, training=True).sum(),
        lambda x: F.layer_norm(x, x.shape[-1]).mean(),
    ],
)
def test_plain_sums_of_what_adds_up_to_a_constant_are_refused(fn, rng):
    with pytest.raises(EmptyCheckError, match="return the tensor before the sum"):
        gradcheck(fn, rng.standard_normal((5, 3)))


def test_a_mean_over_the_images_of_a_normalisation_is_checked(rng):
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    layers = nn.Conv2d(2, 3, 3, rng=rng), nn.BatchNorm2d(3), nn.ReLU(), Mean(), nn.Linear(3, 2)
    batch = rng.standard_normal((3, 2, 5, 5)), np.array([0, 1, 1])
    assert gradcheck_model(nn.Sequential(*layers), batch)
    assert gradcheck_model(nn.Sequential(*layers[:2], Mean()), batch[0])


def test_a_mistake_that_a_plain_sum_hides_is_found_all_the_same(rng):
    @tinynet.differentiable
    def backwards(x):
        return x * x, lambda dy: 2 * x * dy[::-1]

    report = gradcheck(lambda x: backwards(x).sum(), rng.standard_normal(4))
    assert [(f.op, f.input) for f in report.failures] == [("backwards", "x")]
    assert "a plain sum, which sends the same gradient to every element and hides" in str(report)
    right = gradcheck(lambda x: (x * x).sum(), rng.standard_normal(4))
    assert right
    assert "each operation was also checked by itself" in str(right)


def test_rounding_to_float32_inside_is_noticed_and_says_what_can_be_told(rng):
    def rounds(x):
        return x.astype(np.float32).tanh().astype(np.float64)

    report = gradcheck(rounds, rng.standard_normal((3, 4)))
    assert report
    assert "a mistake smaller than that would not be seen" in str(report)


@pytest.mark.parametrize("grid", [1e-6, 1e-8])
def test_a_function_whose_values_lie_on_a_fine_grid_is_not_accused(grid, rng):
    @tinynet.differentiable
    def rounds(x):
        return np.round(np.exp(x) / grid) * grid, lambda dy: dy * np.exp(x)

    for shape in ((3,), (5, 9)):
        assert gradcheck(rounds, rng.standard_normal(shape))


def test_a_large_mistake_is_caught_through_float32(rng):
    @tinynet.differentiable
    def rounds(x):
        return np.tanh(x.astype(np.float32)), lambda dy: dy * (1 - np.tanh(x)) ** 2

    (failure,) = gradcheck(rounds, rng.standard_normal((3, 4))).failures
    assert failure.op == "rounds"


def test_float32_too_coarse_to_say_anything_is_refused(rng):
    def coarse(x):
        return x.astype(np.float32) * 1e-3 + 1000

    with pytest.raises(EmptyCheckError, match="rounds so coarsely"):
        gradcheck(coarse, rng.standard_normal((3, 4)))
