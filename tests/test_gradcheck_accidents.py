"""What goes wrong beside the numbers: errors, shapes, dtypes, chance, memory, overwriting."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import gradcheck
from tinynet.nn import functional as F

rng = np.random.default_rng(3)


def only(report):
    (failure,) = report.failures
    return failure


def product(dx, dw):
    """A matrix product x @ w with these backward functions of (dy, x, w)."""

    @tinynet.differentiable
    def product(x, w):
        return x @ w, lambda dy: dx(dy, x, w), lambda dy: dw(dy, x, w)

    return gradcheck(product, [rng.standard_normal((3, 4)), rng.standard_normal((4, 2))])


def right_dx(dy, x, w):
    return dy @ w.T


def right_dw(dy, x, w):
    return x.T @ dy


@pytest.mark.parametrize(
    ("dx", "dw", "argument", "cause", "evidence"),
    [
        (right_dx, lambda dy, x, w: dy.T @ x, "w", "wrong shape", "a transpose is missing"),
        (right_dx, lambda dy, x, w: dy @ x, "w", "the backward raises an error", "ValueError"),
        (lambda dy, x, w: None, right_dw, "x", "no gradient", "a return is missing"),
        (
            lambda dy, x, w: (dy @ w.T).astype(np.float32), right_dw,
            "x", "wrong dtype", "float32 for an input of float64",
        ),
    ],
)  # fmt: skip
def test_a_backward_that_gives_no_gradient_is_a_failure_with_its_reason(
    dx, dw, argument, cause, evidence
):
    failure = only(product(dx, dw))
    assert (failure.op, failure.argument, failure.cause) == ("product", argument, cause)
    assert evidence in failure.evidence


def test_a_backward_that_overwrites_dy_is_named():
    @tinynet.differentiable
    def scale(x, w):
        def dx(dy):
            dy *= w
            return dy

        return x * w, dx, lambda dy: dy * x

    failure = only(gradcheck(scale, [rng.standard_normal(3), rng.standard_normal(3)]))
    assert failure.cause == "the output gradient is overwritten in place"
    assert (failure.op, failure.affected) == ("scale", ["w"])


def test_a_forward_that_overwrites_its_input_is_named():
    @tinynet.differentiable
    def double(x):
        x *= 2
        return x.copy(), lambda dy: 2 * dy

    failure = only(gradcheck(double, rng.standard_normal(3)))
    assert (failure.op, failure.input) == ("double", "x")
    assert failure.cause == "a saved value is overwritten in place"


def test_a_saved_value_that_is_overwritten_later_is_named():
    def fn(x):
        y = (x * 2).exp()
        z = y * 3
        y.data[0] = 0
        return z + 1

    failure = only(gradcheck(fn, rng.standard_normal(3)))
    assert (failure.op, failure.argument) == ("exp", "x")
    assert failure.cause == "a saved value is overwritten in place"
    assert "1 of 3 elements" in failure.evidence


@pytest.mark.parametrize(
    ("fn", "op"),
    [
        (lambda x: x * x.detach().tanh(), "tanh"),
        (lambda x: x * x.sum().item(), "mul"),
        (lambda x: x * tinynet.Tensor(np.tanh(x.data)), "mul"),
        (lambda x: x.detach().tanh(), "tanh"),
    ],
)
def test_a_path_that_the_graph_does_not_know_is_named(fn, op):
    failure = only(gradcheck(fn, rng.standard_normal(3)))
    assert (failure.op, failure.input, failure.cause) == (op, "x", "detached from the graph")


def test_chance_is_told_from_memory():
    failure = only(gradcheck(lambda x: F.dropout(x, 0.5), tinynet.ones(30)))
    assert (failure.op, failure.cause) == ("dropout", "non-deterministic function")
    assert "default generator" in failure.evidence

    def noisy(x):
        return x + tinynet.Tensor(np.random.default_rng().standard_normal(30))

    assert only(gradcheck(noisy, np.ones(30))).cause == "non-deterministic function"

    calls = []

    @tinynet.differentiable
    def grows(x):
        calls.append(1)
        k = len(calls)
        return x * k, lambda dy: dy * k

    failure = only(gradcheck(lambda x: grows(x.tanh()), np.ones(3)))
    assert (failure.op, failure.cause) == ("grows", "state carried from call to call")


def test_the_default_generator_is_left_as_it_was():
    tinynet.manual_seed(1)
    expected = tinynet.rand(3).numpy()
    tinynet.manual_seed(1)
    gradcheck(lambda x: x * 2, np.ones(3))
    assert (tinynet.rand(3).numpy() == expected).all()


@pytest.mark.parametrize("kept", ["first", "last"])
def test_a_backward_that_uses_the_values_of_another_call_is_named(kept):
    memory = {}

    @tinynet.differentiable
    def square(x):
        if kept == "last" or not memory:
            memory["x"] = x.copy()
        return x * x, lambda dy: 2 * dy * memory["x"]

    failure = only(gradcheck(square, rng.standard_normal(4)))
    assert (failure.op, failure.argument) == ("square", "x")
    assert failure.cause == "state carried from call to call"


@pytest.mark.parametrize("kept", ["first", "last"])
def test_a_mask_of_another_call_is_named_though_small_steps_do_not_change_it(kept):
    memory = {}

    @tinynet.differentiable
    def relu(x):
        if kept == "last" or not memory:
            memory["mask"] = x > 0
        return np.maximum(x, 0), lambda dy: dy * memory["mask"]

    failure = only(gradcheck(relu, rng.standard_normal((4, 4))))
    assert (failure.op, failure.argument) == ("relu", "x")
    assert failure.cause == "state carried from call to call"


def test_a_function_that_minds_other_signs_is_checked_all_the_same():
    @tinynet.differentiable
    def root(x):
        assert (x > 0).all()
        return np.sqrt(x), lambda dy: dy / (2 * np.sqrt(x))

    assert gradcheck(root, np.array([1.0, 2.0, 3.0]))


def test_an_error_of_the_function_itself_passes_through():
    def fn(x):
        raise RuntimeError("my own mistake")

    with pytest.raises(RuntimeError, match="my own mistake"):
        gradcheck(fn, np.ones(3))
