"""Checks that would say nothing are refused with a reason; coarse ones say what can be told."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import gradcheck
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


@pytest.mark.parametrize(
    ("op", "fn"),
    [
        ("softmax", lambda x: F.softmax(x, 1).sum()),
        ("softmax", lambda x: F.softmax(x, 1).sum(1)),
        ("batch_norm", lambda x: tinynet.batch_norm(x, training=True).sum()),
        ("layer_norm", lambda x: tinynet.layer_norm(x).mean()),
    ],
)
def test_plain_sums_of_what_adds_up_to_a_constant_are_refused(op, fn, rng):
    with pytest.raises(EmptyCheckError, match=f"sums up a {op}.*Return the tensor before the sum"):
        gradcheck(fn, rng.standard_normal((5, 3)))


def test_a_mistake_that_a_plain_sum_hides_is_found_all_the_same(rng):
    @tinynet.differentiable
    def backwards(x):
        return x * x, lambda dy: 2 * x * dy[::-1]

    report = gradcheck(lambda x: backwards(x).sum(), rng.standard_normal(4))
    assert [(f.op, f.input) for f in report.failures] == [("backwards", "x")]
    assert "this hid a mistake" in str(report)
    right = gradcheck(lambda x: (x * x).sum(), rng.standard_normal(4))
    assert right
    assert "each operation was also checked by itself" in str(right)


def test_rounding_to_float32_inside_is_noticed_and_says_what_can_be_told(rng):
    def rounds(x):
        return x.astype(np.float32).tanh().astype(np.float64)

    report = gradcheck(rounds, rng.standard_normal((3, 4)))
    assert report
    assert "a mistake smaller than that would not be seen" in str(report)


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
