"""What goes wrong beside the numbers: errors, shapes, dtypes, chance, memory, overwriting."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import tinynet
from tinynet import gradcheck, gradcheck_model, kernels, nn
from tinynet.autograd import Function
from tinynet.gradcheck.trace import NO_GRADIENT
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
            lambda dy, x, w: (dy @ w.T).astype(int), right_dw,
            "x", "wrong dtype", "int64 for an input of float64",
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
    assert (failure.op, failure.affected) == ("scale", ["x", "w"])


@tinynet.differentiable
def relu_in_place(x):
    np.maximum(x, 0, out=x)
    return x.copy(), lambda dy: dy * (x > 0)


@tinynet.differentiable
def double_in_place(x):
    x *= 2
    return x.copy(), lambda dy: 2 * dy


@tinynet.differentiable
def square_into_x(x):
    return x * x, lambda dy: np.multiply(2 * x, dy, out=x)


@tinynet.differentiable
def relu_into_dy(x):
    def dx(dy):
        dy[x <= 0] = 0
        return dy

    return np.maximum(x, 0), dx


def clears_negatives(x):
    x.array[x.array < 0] = 0
    return x * 2


def doubles_a_leaf(x):
    x *= 2
    return x.tanh()


MIXED = np.array([-1.5, 0.7, -0.2, 2.0])


@pytest.mark.parametrize(
    ("fn", "op", "what", "x"),
    [
        (relu_in_place, "relu_in_place", "a saved value", MIXED),
        (relu_in_place, "relu_in_place", "a saved value", np.abs(MIXED)),
        (double_in_place, "double_in_place", "a saved value", MIXED),
        (square_into_x, "square_into_x", "a saved value", MIXED),
        (lambda x: square_into_x(x.tanh()), "square_into_x", "a saved value", MIXED),
        (relu_into_dy, "relu_into_dy", "the output gradient", MIXED),
        (lambda x: relu_into_dy(x.tanh()).exp(), "relu_into_dy", "the output gradient", MIXED),
    ],
)
def test_whatever_writes_into_its_arguments_is_named_though_its_numbers_may_be_right(
    fn, op, what, x
):
    failure = only(gradcheck(fn, x))
    assert (failure.op, failure.argument) == (op, "x")
    assert failure.cause == f"{what} is overwritten in place"
    assert re.search("writes into|changes its argument|read-only", failure.evidence)


@pytest.mark.parametrize(
    ("fn", "op"),
    [
        (clears_negatives, "clears_negatives"),
        (doubles_a_leaf, "doubles_a_leaf"),
    ],
)
def test_a_function_that_changes_its_input_outside_of_an_operation_is_named(fn, op):
    failure = only(gradcheck(fn, MIXED))
    assert (failure.op, failure.cause) == (op, "a saved value is overwritten in place")


def test_a_function_that_writes_into_an_input_without_a_gradient_is_named():
    def fn(x, labels):
        labels[0] = 0
        return F.cross_entropy(x, labels)

    labels = np.array([1, 2])
    failure = only(gradcheck(fn, rng.standard_normal((2, 3)), labels))
    assert (failure.input, failure.cause) == ("labels", "a saved value is overwritten in place")
    assert labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("kernel", "cause"),
    [
        ({"relu": lambda x: np.maximum(x, 0, out=x)}, "a saved value is overwritten in place"),
        (
            {"relu_dx": lambda dy, y: np.multiply(dy, y > 0, out=dy)},
            "the output gradient is overwritten in place",
        ),
    ],
)
def test_a_kernel_that_writes_into_what_it_is_handed_is_named(kernel, cause):
    with kernels.override(**kernel):
        failure = only(gradcheck(tinynet.relu, MIXED))
    assert (failure.op, failure.argument, failure.cause) == ("relu", "x", cause)


def test_a_saved_value_that_is_overwritten_later_is_named():
    def fn(x):
        y = (x * 2).exp()
        z = y * 3
        y.array[0] = 0
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
        (lambda x: x * tinynet.Tensor(np.tanh(x.array)), "mul"),
        (lambda x: x.detach().tanh(), "tanh"),
    ],
)
def test_a_path_that_the_graph_does_not_know_is_named(fn, op):
    failure = only(gradcheck(fn, rng.standard_normal(3)))
    assert (failure.op, failure.input, failure.cause) == (op, "x", "detached from the graph")


@tinynet.differentiable
def drop_by_numpy(x):
    mask = np.random.rand(*x.shape) > 0.5
    return x * mask, lambda dy: dy * mask


@tinynet.differentiable
def scale_by_python(x):
    factor = random.uniform(1, 2)
    return x * factor, lambda dy: dy * factor


@pytest.mark.parametrize(
    "fn",
    [lambda x: F.dropout(x, 0.5), lambda x: F.dropout(x, 0.05), drop_by_numpy, scale_by_python],
)
def test_random_numbers_are_the_same_in_each_run(fn):
    report = gradcheck(fn, rng.standard_normal(30))
    assert report
    assert "they were the same in each run" in str(report)


@pytest.mark.parametrize("own", [None, np.random.default_rng(2)], ids=["shared", "its own"])
def test_dropout_in_training_mode_is_checked_with_one_mask(own):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5, rng=own), nn.Linear(8, 3))
    batch = rng.standard_normal((5, 4)), np.array([0, 1, 2, 0, 1])
    assert gradcheck_model(net, batch)


def test_a_mistake_beside_random_numbers_is_named():
    @tinynet.differentiable
    def square(x):
        return x * x, lambda dy: dy * x

    failure = only(gradcheck(lambda x: F.dropout(square(x), 0.3), rng.standard_normal(10)))
    assert failure.op == "square"
    assert failure.cause == "constant factor: dy * x in place of 2 * (dy * x)"


def test_chance_that_cannot_be_repeated_is_told_from_memory():
    def noisy(x):
        return x + tinynet.Tensor(np.random.default_rng().standard_normal(30))

    report = gradcheck(noisy, np.ones(30))
    assert only(report).cause == "non-deterministic function"
    assert report.summary() == "noisy: FAILED, non-deterministic function"

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


def test_a_gradient_in_float32_is_noted_and_compared_all_the_same():
    report = product(lambda dy, x, w: (dy @ w.T).astype(np.float32), right_dw)
    assert report
    assert "product returns float32 for x in float64" in report.notes[0]
    failure = only(product(lambda dy, x, w: (3 * dy @ w.T).astype(np.float32), right_dw))
    assert (failure.argument, failure.cause.partition(":")[0]) == ("x", "constant factor")


def changed_by_x(a, b):
    h = np.tanh(a)

    def da(dy):
        g = h
        g *= dy
        return dy * (1 - np.tanh(a) ** 2) * b

    return h * b, da, lambda dy: dy * h


def changed_for_itself(a, b):
    s = 1 - np.tanh(a) ** 2

    def da(dy):
        g = s
        g *= dy * b
        return g

    return np.tanh(a) * b, da, lambda dy: dy * np.tanh(a)


def changed_result(a, b):
    y = 1 / (1 + np.exp(-a * b))

    def da(dy):
        np.subtract(1, y, out=y)
        return dy * y * (1 - y) * b

    return y, da, lambda dy: dy * y * (1 - y) * a


def kept_in_a_default(a, b):
    def da(dy, memory={}):  # noqa: B006
        g = memory.setdefault("g", np.zeros_like(a))
        g += dy * b
        return g.copy()

    return a * b, da, lambda dy: dy * a


def one_buffer(a, b):
    g = np.empty_like(a)
    return a * b, lambda dy: np.multiply(dy, b, out=g), lambda dy: np.multiply(dy, a, out=g)


@pytest.mark.parametrize(
    ("body", "argument", "evidence"),
    [
        (changed_by_x, "b", "of a writes into h, which the gradient of b needs after it"),
        (changed_for_itself, "a", "of a writes into s, which it needs again"),
        (changed_result, "a", "of a writes into the result y, which others use too"),
        (kept_in_a_default, "a", "of a writes into a saved array of shape (4,), which it needs"),
        (one_buffer, "a", "of b writes into the array that the gradient of a gave"),
    ],
)
def test_what_a_backward_overwrites_is_named(body, argument, evidence):
    fn = tinynet.differentiable(body)
    failure = only(gradcheck(fn, [rng.standard_normal(4), rng.standard_normal(4)]))
    assert (failure.argument, failure.cause) == (argument, "a saved value is overwritten in place")
    assert evidence in failure.evidence


def test_a_backward_may_work_out_once_what_it_needs_again():
    @tinynet.differentiable
    def tanh(x):
        y, memory = np.tanh(x), {}

        def dx(dy):
            if not memory:
                memory["slope"] = 1 - y * y
            return dy * memory["slope"]

        return y, dx

    assert gradcheck(tanh, rng.standard_normal(4))


def test_a_function_that_minds_other_signs_is_checked_all_the_same():
    @tinynet.differentiable
    def root(x):
        assert (x > 0).all()
        return np.sqrt(x), lambda dy: dy / (2 * np.sqrt(x))

    assert gradcheck(root, np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("divisor", [2, 3])
def test_a_loop_that_ends_neither_in_float32_nor_for_other_signs_is_checked_in_float64(divisor):
    @tinynet.differentiable
    def root(x):
        y = np.ones_like(x)
        while np.abs(y * y - x).max() > 1e-14:
            y = (y + x / y) / 2
        return y, lambda dy: dy / (divisor * y)

    report = gradcheck(root, np.linspace(0.4, 2, 7))
    assert bool(report) == (divisor == 2)
    assert not report or "a loop without end" in str(report)


def test_an_error_of_the_function_itself_passes_through():
    def fn(x):
        raise RuntimeError("my own mistake")

    with pytest.raises(RuntimeError, match="my own mistake"):
        gradcheck(fn, np.ones(3))


def test_what_an_operation_prints_is_not_shown_while_its_mistake_is_looked_for(capsys):
    @tinynet.differentiable
    def square(x):
        print("here")
        return x * x, lambda dy: dy * x

    assert not gradcheck(square, rng.standard_normal((5, 4)))
    assert capsys.readouterr().out.count("here") < 50


class Loss(Function):
    @staticmethod
    def forward(ctx, x, target):
        ctx.save_for_backward(x, target)
        return ((x - target) ** 2).mean()

    @staticmethod
    def backward(ctx, dy):
        x, target = ctx.saved_tensors
        return dy * 2 * (x - target) / x.numel(), None


def test_a_function_that_returns_none_for_its_target_has_a_constant_and_names():
    x, target = rng.standard_normal((2, 5))
    for loss in (Loss, Loss.apply, lambda x, target: Loss.apply(2 * x, target.reshape(-1))):
        report = gradcheck(loss, x, target)
        assert report.checked == {"x": 5}
        assert report.notes == ["no gradient is returned for target, taken as constant"]
    assert gradcheck(Loss, x, target).op == "Loss"
    asked = gradcheck(Loss, x, tinynet.tensor(target, requires_grad=True))
    assert (only(asked).op, only(asked).input, only(asked).cause) == ("Loss", "target", NO_GRADIENT)
    used = gradcheck(lambda x, target: Loss.apply(x, target) + (x * target).sum(), x, target)
    assert (only(used).input, only(used).cause) == ("target", NO_GRADIENT)


def test_an_output_whose_gradient_is_not_used_is_named():
    class MeanAndSquares(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.mean(1), (x * x).mean(1)

        @staticmethod
        def backward(ctx, dm, ds):
            (x,) = ctx.saved_tensors
            return 2 * x * ds.unsqueeze(1) / x.shape[1]

    both = gradcheck(lambda x: tinynet.cat(MeanAndSquares.apply(x)), rng.standard_normal((3, 4)))
    assert only(both).cause == "the gradient of output 0 is not used"


@pytest.mark.parametrize("least", [0.1, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("of", ["dy", "gradients"])
def test_a_backward_that_leaves_small_values_out_is_not_linear(least, of):
    def kept(values):
        return np.where(np.abs(values) > least, values, 0)

    @tinynet.differentiable
    def square(x):
        return x * x, lambda dy: 2 * x * kept(dy) if of == "dy" else kept(2 * x * dy)

    failure = only(gradcheck(square, rng.uniform(1, 2, 12)))
    assert failure.cause.startswith("not linear in the output gradient: small values are dropped")
    assert f"{of} smaller than about {least:.1g} become 0" in failure.evidence


def test_tiny_gradients_and_float32_inside_are_no_thresholds():
    @tinynet.differentiable
    def in_float32(x):
        return x * x, lambda dy: (2 * x * dy).astype(np.float32)

    assert gradcheck(lambda x: x.exp() * 1e-30, rng.standard_normal(5))
    assert gradcheck(in_float32, np.array([1.5, -2.25, 0.5]))


def test_what_a_layer_holds_constant_by_decision_is_no_path_that_was_cut():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 3, padding_idx=0, rng=rng)

        def forward(self, x):
            return self.table(x).tanh().sum(1) * self.table(x[:, :1]).exp()[:, 0]

    words = np.array([[1, 2, 0], [0, 3, 0]])
    report = gradcheck_model(Bag(), words)
    assert report, report
    weight = rng.standard_normal((5, 3))
    assert gradcheck(lambda w: F.embedding(words, w, padding_idx=0) ** 2, weight)
    report = gradcheck(lambda w: F.embedding(words, w * w.detach(), padding_idx=0), weight)
    assert report.failures[0].cause == "detached from the graph"


@pytest.mark.parametrize(("factor", "is_right"), [(1.0, True), (2.0, False)])
def test_a_function_that_takes_a_gradient_inside_is_checked(factor, is_right):
    @tinynet.differentiable
    def cube(x):
        return x**3, lambda dy: factor * 3 * x**2 * dy

    def penalty(x, w):
        with tinynet.enable_grad():
            (slope,) = tinynet.autograd.grad((x @ w).tanh().sum(), [x], create_graph=True)
        return cube(slope).sum(1)

    report = gradcheck(penalty, rng.standard_normal((3, 2)), rng.standard_normal((2, 4)))
    assert bool(report) is is_right
    assert {failure.op for failure in report.failures} <= {"cube"}


def test_a_gradient_where_nothing_moves_is_called_that():
    @tinynet.differentiable
    def straight_through(x):
        return np.round(x), lambda dy: dy

    (failure,) = gradcheck(straight_through, np.array([0.3, 1.6, -2.2])).failures
    assert failure.cause == "a gradient where the result does not move"
    assert "straight-through estimator" in failure.evidence


def test_calls_that_differ_by_little_are_shown_with_the_digits_that_differ():
    calls = []

    def fading(x):
        calls.append(1)
        return x * (1 + 1e-9 / len(calls))

    (failure,) = gradcheck(fading, np.array([1.5])).failures
    assert failure.cause == "state carried from call to call"
    assert len(set(failure.evidence.partition(" give ")[2].split(", ")[:3])) == 3
