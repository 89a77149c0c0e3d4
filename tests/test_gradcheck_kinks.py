"""Kinks and ties: a difference across one is no mistake, and never passes in silence."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import autograd, gradcheck, ops
from tinynet.gradcheck import kinks
from tinynet.gradcheck.table import table
from tinynet.nn import functional as F


def test_a_step_across_a_kink_is_no_mistake_and_no_kink_either():
    report = gradcheck(F.relu, tinynet.tensor([1e-6, -1e-6, 3e-7]))
    assert report
    assert report.skipped_kinks == 0


def test_an_input_on_a_kink_is_counted_and_the_rule_is_told():
    report = gradcheck(F.relu, tinynet.tensor([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1]))
    assert report
    assert report.skipped_kinks == 1
    assert "relu has gradient 0 at x = 0 (so for 1 values here)" in str(report)


def test_where_too_many_numbers_are_on_kinks_another_point_is_checked():
    report = gradcheck(tinynet.abs, tinynet.zeros(4))
    assert report
    assert report.skipped_kinks == 5  # each element, and all together
    assert "repeated at a random point nearby" in str(report)


def test_a_mistake_off_the_kinks_is_found_though_the_input_sits_on_them():
    @tinynet.differentiable
    def wrong_abs(x):
        return np.abs(x), lambda dy: 2 * dy * np.sign(x)

    (failure,) = gradcheck(wrong_abs, tinynet.zeros(4)).failures
    assert failure.op == "wrong_abs"


@pytest.mark.parametrize("at_zero", [1.5, -2.0])
def test_a_gradient_beyond_both_sides_of_a_kink_is_wrong(at_zero):
    @tinynet.differentiable
    def my_abs(x):
        return np.abs(x), lambda dy: dy * np.where(x == 0, at_zero, np.sign(x))

    (failure,) = gradcheck(my_abs, tinynet.tensor([0.0, 1, -1])).failures
    assert (failure.index, failure.count) == ((0,), 1)


def test_ties_that_are_counted_twice_are_wrong_and_shared_out_are_right():
    x = tinynet.tensor([[1.0, 2, 2], [0, 3, 1]])

    @tinynet.differentiable
    def both(x):
        y = x.max(1, keepdims=True)
        return y, lambda dy: dy * (x == y)

    (failure,) = gradcheck(both, x).failures
    assert failure.count == 2
    report = gradcheck(lambda x: x.amax(1), x)
    assert report
    assert "max shares the gradient out among the winners of a tie" in str(report)


def test_zeros_of_a_relu_that_tie_in_a_pool_are_no_false_alarm():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 6, 6)) * (rng.random((2, 3, 6, 6)) > 0.5)
    assert gradcheck(lambda x: F.max_pool2d(F.relu(x), 2), x)


def test_several_kinks_in_one_sum_are_no_false_alarm():
    w = np.array([[1.0, 1, -1, 1], [1, -1, 1, 1]])
    assert gradcheck(lambda x: F.linear(F.relu(x), tinynet.Tensor(w)), np.zeros((2, 4)))


WITH_KINKS = [name for name, op in autograd.registry.items() if op.kinks and ".ops." in name]


def branch(operation, *args, **settings):
    return kinks.branch(operation.__name__, operation.kinks, args, settings)


def test_many_operations_of_tinynet_carry_their_kinks():
    assert len(WITH_KINKS) >= 16


@pytest.mark.parametrize("name", WITH_KINKS)
def test_every_branch_reads_the_arguments_of_its_operation(name):
    rows = [row for row in table(np.random.default_rng(1)) if f"tinynet.ops.{row.op}" == name]
    assert rows
    for row in rows:
        here = branch(row.operation, *row.inputs, **row.settings)
        assert here.ties == 0
        assert kinks.crossed([here], [branch(row.operation, *row.inputs, **row.settings)]) == set()
        assert row.operation.kinks.rule


def test_a_changed_winner_is_a_crossing():
    def pooled(x):
        return branch(ops.pool.max_pool2d, np.array(x).reshape(1, 1, 2, 2), 2)

    here = pooled([1.0, 2, 3, 4])
    assert kinks.crossed([here], [pooled([1.0, 2, 3.5, 4])]) == set()
    assert kinks.crossed([here], [pooled([1.0, 2, 4.5, 4])]) == {"max_pool2d"}
    assert pooled([1.0, 4, 3, 4]).ties == 1
