"""The checker itself: what it compares, what it reports, and that small mistakes do not escape."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinynet
from tests.long.gradcheck_false_alarms import alarms
from tinynet import gradcheck, gradcheck_model, kernels, nn
from tinynet.gradcheck import GradientError
from tinynet.nn import functional as F


@tinynet.differentiable
def cube(x):
    return x**3, lambda dy: dy * 3 * x**2


@tinynet.differentiable
def cube_off_at_the_end(x):
    def dx(dy):
        dx = dy * 3 * x**2
        dx.flat[-1] *= 1.5
        return dx

    return x**3, dx


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_a_right_gradient_passes_and_says_how_much_was_compared(rng):
    report = gradcheck(cube, tinynet.randn(3, 4, rng=rng))
    assert report
    assert report.checked == {"x": 12}
    assert report.worst < 1e-8
    assert "gradients of x agree (12 numbers compared" in str(report)


def test_the_report_names_operation_argument_index_and_values(rng):
    report = gradcheck(cube_off_at_the_end, tinynet.randn(2, 3, rng=rng))
    (failure,) = report.failures
    assert (failure.op, failure.input, failure.index) == ("cube_off_at_the_end", "x", (1, 2))
    assert failure.analytic == pytest.approx(1.5 * failure.numeric)
    assert failure.relative_error == pytest.approx(1 / 3)
    assert (failure.count, failure.total) == (1, 6)
    assert "cube_off_at_the_end, argument x" in str(report)
    assert "1 of 6 elements" in str(report)
    assert "at [1, 2]" in str(report)
    with pytest.raises(GradientError, match="WRONG gradient of x"):
        report.raise_for_failures()
    assert json.loads(json.dumps(report.to_dict()))["failures"][0]["index"] == [1, 2]


def test_large_inputs_are_checked_along_directions_and_the_element_is_still_found(rng):
    assert gradcheck(cube, tinynet.randn(40, 30, rng=rng)).checked == {"x": 2}
    (failure,) = gradcheck(cube_off_at_the_end, tinynet.randn(40, 30, rng=rng)).failures
    assert (failure.index, failure.count, failure.total) == ((39, 29), 1, 1200)


@pytest.mark.parametrize("size", [5, 300])
def test_a_tiny_gradient_that_is_off_by_half_is_caught_beside_large_ones(size, rng):
    slope, error = np.ones(size), np.ones(size)
    slope[3], error[3] = 1e-5, 1.5

    @tinynet.differentiable
    def faint(x):
        return slope * x, lambda dy: dy * slope * error

    (failure,) = gradcheck(faint, tinynet.randn(size, rng=rng)).failures
    assert (failure.index, failure.count) == ((3,), 1)


def test_arguments_are_given_by_name_too(rng):
    @tinynet.differentiable
    def masked(x, mask, scale=2.0):
        return x * mask * scale, lambda dy: dy * mask

    x, mask = rng.standard_normal((3, 4)), np.tile([1.0, 0.0], (3, 2))
    (failure,) = gradcheck(masked, x, mask=mask, scale=3.0).failures
    assert (failure.argument, failure.cause.partition(":")[0]) == ("x", "constant factor")
    assert "scale" in failure.evidence
    report = gradcheck(F.linear, x, weight=mask, order=2)
    assert report
    assert list(report.checked) == ["input", "weight", "dy"]


def test_only_inputs_that_require_a_gradient_are_checked_if_some_do(rng):
    x, w = tinynet.randn(2, 3, rng=rng), tinynet.randn(4, 3, rng=rng, requires_grad=True)
    assert gradcheck(F.linear, [x, w]).checked == {"weight": 12}
    w.requires_grad_(False)
    assert gradcheck(F.linear, [x, w]).checked == {"input": 6, "weight": 12}


@tinynet.differentiable
def squared_error(x, t):
    return ((x - t) ** 2).mean(), lambda dy: dy * 2 * (x - t) / x.size


@pytest.mark.parametrize("t", [np.ones((6, 3)), np.ones(3, np.float32), tinynet.zeros(6, 3)])
def test_a_float_input_without_a_gradient_is_a_constant_and_a_note_says_so(t, rng):
    report = gradcheck(squared_error, rng.standard_normal((6, 3)), t)
    assert report.checked == {"x": 18}
    assert "no gradient is returned for t" in str(report)


def test_an_input_that_requires_a_gradient_which_the_operation_has_not_is_refused(rng):
    t = tinynet.zeros(6, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="input 1 requires a gradient"):
        gradcheck(squared_error, rng.standard_normal((6, 3)), t)
    with pytest.raises(RuntimeError, match="input 1 requires a gradient"):
        gradcheck(lambda t: squared_error(np.ones(3), t), np.zeros(3))  # nothing else to check


def test_arrays_may_be_given_one_by_one(rng):
    x, w = rng.standard_normal((2, 3)), rng.standard_normal((4, 3))
    assert gradcheck(F.linear, x, w, seed=3).checked == {"input": 6, "weight": 12}
    assert gradcheck(fn=F.linear, inputs=[x, w]).checked == {"input": 6, "weight": 12}


def test_a_target_in_the_place_of_the_loss_is_refused(rng):
    with pytest.raises(TypeError, match=r"gradcheck_model\(model, \(x, target\)\)"):
        gradcheck_model(model(), tinynet.randn(4, 1, 6, 6, rng=rng), np.array([0, 1, 2, 1]))


def only_float32(mistake):
    """x * x, whose gradient goes through `mistake` in float32."""

    @tinynet.differentiable
    def square(x):
        return x * x, lambda dy: mistake(2 * x * dy) if x.dtype == np.float32 else 2 * x * dy

    return square


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "mistake",
    [
        lambda dx: dx * np.float32(0.5),
        lambda dx: dx * np.float32(1.001),
        lambda dx: dx * np.float32(np.nan),
        lambda dx: dx * 0.5 * np.ones(1),
        lambda dx: dx * np.float32([[1, 1, -1]]),
    ],
)
def test_a_gradient_that_is_wrong_in_float32_alone_is_named(mistake, dtype, rng):
    square = only_float32(mistake)
    for fn in (square, lambda x: square(x.tanh()).exp().sum(1)):
        (failure,) = gradcheck(fn, rng.standard_normal((4, 3)).astype(dtype)).failures
        assert (failure.op, failure.argument) == ("square", "x")
        assert failure.cause == "wrong in float32 alone"


def test_a_backward_that_raises_in_float32_alone_is_a_failure(rng):
    (failure,) = gradcheck(only_float32(lambda dx: dx.reshape(-1)), rng.random((4, 3))).failures
    assert failure.cause == "the backward raises an error"
    assert failure.evidence.startswith("in float32: ShapeError")


@pytest.mark.parametrize(
    ("fn", "note"),
    [
        (lambda x: ((x + 1e6) - 1e6) ** 2, "in float32 the gradient of x is off by a relative"),
        (lambda x: (x * 100).exp(), "not checked in float32: ArithmeticError"),
        (lambda x: F.batch_norm(x + 100, None, None, training=True), ""),
        (lambda x: F.softmax(9 * x, 1), ""),
        (lambda x: (5 * x).tanh(), ""),
    ],
)
def test_rounding_in_float32_is_no_mistake(fn, note, rng):
    report = gradcheck(fn, 1 + rng.random((4, 3)))
    assert report
    assert note in str(report)


def test_the_callers_tensors_stay_as_they_are(rng):
    x = tinynet.randn(3, rng=rng)
    before = x.array.copy()
    gradcheck(cube, x)
    assert x.dtype == np.float32
    assert not x.requires_grad
    assert x.grad is None
    assert (x.array == before).all()


class Scale(nn.Module):
    """A layer whose parameter's gradient is twice what it should be, if `wrong`."""

    def __init__(self, wrong):
        super().__init__()
        self.factor = nn.Parameter(np.float32([1.5]))
        self.wrong = wrong

    def forward(self, x):
        @tinynet.differentiable
        def scale(x, factor):
            return x * factor, lambda dy: dy * factor, lambda dy: dy * x * (1 + self.wrong)

        return scale(x, self.factor)


def model(wrong=False):
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        Scale(wrong), nn.Linear(8, 3),
    )  # fmt: skip


def test_every_parameter_of_a_model_is_checked_by_its_path(rng):
    batch = tinynet.randn(4, 1, 6, 6, rng=rng), np.array([0, 1, 2, 1])
    report = gradcheck_model(model(), batch)
    assert report
    assert set(report.checked) == {name for name, _ in model().named_parameters()}
    assert any("moving 0.bias changes nothing" in note for note in report.notes)
    (failure,) = gradcheck_model(model(wrong=True), batch, nn.CrossEntropyLoss()).failures
    assert (failure.op, failure.input, failure.argument) == ("scale", "5.factor", "factor")
    assert failure.layer == "5 (Scale)"


def test_a_model_comes_out_of_its_check_unchanged(rng):
    net = model()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    gradcheck_model(net, (tinynet.randn(4, 1, 6, 6, rng=rng), np.array([0, 1, 2, 1])))
    after = net.state_dict()
    assert all((after[name].numpy() == value).all() for name, value in before.items())
    assert all(p.grad is None and p.dtype == np.float32 for p in net.parameters())


def test_a_mistake_deep_in_a_model_is_traced_to_its_layer_and_to_what_it_spoils(rng):
    @tinynet.differentiable
    def my_relu(x):
        return np.maximum(x, 0), lambda dy: 2 * dy * (x > 0)

    class MyReLU(nn.Module):
        def forward(self, x):
            return my_relu(x)

    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, rng=rng), MyReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 4, rng=rng),
    )  # fmt: skip
    batch = tinynet.randn(2, 1, 8, 8, rng=rng), np.array([0, 3])
    (failure,) = gradcheck_model(net, batch).failures
    assert (failure.op, failure.argument, failure.layer) == ("my_relu", "x", "1 (MyReLU)")
    assert failure.affected == ["0.weight", "0.bias"]


def test_a_kernel_put_in_place_is_checked_with_the_operations_that_use_it(rng):
    own = kernels.current.conv2d_dw_db

    def flipped(*args):
        dw, db = own(*args)
        return dw[:, :, ::-1, ::-1], db

    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=rng), nn.Tanh(), nn.Conv2d(2, 3, 3, rng=rng), nn.Flatten()
    )
    batch = tinynet.randn(2, 1, 6, 6, rng=rng), np.array([0, 3])
    assert gradcheck_model(net, batch)
    with kernels.override(conv2d_dw_db=flipped):
        failures = gradcheck_model(net, batch).failures
    assert [(f.op, f.input) for f in failures] == [("conv2d", "0.weight"), ("conv2d", "2.weight")]


def test_a_large_argument_is_measured_on_a_smaller_case(rng):
    @tinynet.differentiable
    def dense(x, w):
        return x @ w.T, lambda dy: dy @ w, lambda dy: 3 * dy.T @ x

    x, w = tinynet.randn(4, 200, rng=rng), tinynet.randn(90, 200, rng=rng)
    (failure,) = gradcheck(dense, [x, w]).failures
    assert (failure.op, failure.input) == ("dense", "w")
    assert 0 < failure.count == failure.total < 18000


def test_the_whole_table_raises_no_false_alarm():
    assert alarms(1)[0] == []


def test_functions_that_return_no_tensor_are_refused():
    with pytest.raises(TypeError, match="must return a Tensor"):
        gradcheck(lambda x: np.ones(3), tinynet.ones(3))


@pytest.mark.parametrize("limit", [50.0, 1000.0])
def test_a_backward_that_clips_is_caught_though_nothing_is_clipped_here(limit, rng):
    @tinynet.differentiable
    def square(x):
        return x * x, lambda dy: np.clip(dy * 2 * x, -limit, limit)

    (failure,) = gradcheck(lambda x: square(x).tanh(), rng.standard_normal((3, 4))).failures
    assert (failure.op, failure.argument) == ("square", "x")
    assert failure.cause.startswith("not linear in the output gradient: np.clip(")
    assert "np.clip" in failure.evidence


def test_a_factor_that_is_1_here_is_looked_for_nearby():
    @tinynet.differentiable
    def scale(x, w):
        return x * w, lambda dy: dy, lambda dy: dy * x

    x, w = np.array([0.3, -1.2, 2.0]), np.ones(3)
    (failure,) = gradcheck(scale, x, w).failures
    assert (failure.op, failure.argument, failure.input) == ("scale", "x", "x")
    assert "many values are 0 or 1" in str(gradcheck(lambda x, w: x * w, x, w))


@tinynet.differentiable
def with_settings(x, order=2, seed=1):
    """Its gradient knows the defaults alone."""
    return x * order * seed, lambda dy: dy * 2


@pytest.mark.parametrize("settings", [{"order": 1}, {"seed": 0.5}])
def test_an_option_that_the_operation_has_too_is_the_operations(settings):
    assert not gradcheck(with_settings, np.array([1.3, -0.4]), **settings)


def test_settings_of_any_name_are_the_functions_and_options_of_the_check_refused():
    def scaled(x, **settings):
        return with_settings(x, settings["eps"])

    assert not gradcheck(scaled, np.array([1.3, -0.4]), eps=3.0)
    with pytest.raises(TypeError, match=r"seed is an option .* lambda x: scaled\(x\)"):
        gradcheck(scaled, np.array([1.3, -0.4]), seed=3)


@pytest.mark.parametrize(("order", "count"), [(1, 12), (2, 2), (3, 2)])
def test_a_higher_order_is_measured_along_directions(order, count, rng):
    report = gradcheck(lambda x: x**3, rng.standard_normal((3, 4)), order=order)
    assert report
    assert set(report.checked.values()) == {count}


def test_a_backward_in_float32_is_noted_once_however_often_it_is_called(rng):
    @tinynet.differentiable
    def double(x):
        return 2 * x, lambda dy: (2 * dy).astype(np.float32)

    report = gradcheck(lambda x: double(double(double(x))), rng.standard_normal(3))
    assert str(report).count("the backward of double returns float32") == 1


@pytest.mark.parametrize("settings", [None, "mean", ((1, 2), (3,)), [[1], [2, 3]], slice(2)])
def test_a_mistake_in_float32_alone_is_named_whatever_else_is_given(settings, rng):
    @tinynet.differentiable
    def double(x, settings):
        return 2 * x, lambda dy: dy * (2 if dy.dtype == np.float64 else 3)

    (failure,) = gradcheck(lambda x: double(x, settings), rng.standard_normal(3)).failures
    assert failure.cause == "wrong in float32 alone"


def test_pytorchs_tolerances_change_nothing_and_are_noted():
    report = gradcheck(lambda x: x * x, tinynet.randn(3), eps=1e-6, atol=1e-4)
    assert report
    assert "eps, atol: without effect" in str(report)
    own = gradcheck(lambda x, eps=0.0: x * eps, tinynet.ones(3), eps=2.0)
    assert "without effect" not in str(own)


def test_a_mask_kept_from_the_first_call_is_caught_though_it_has_no_sign():
    kept: dict = {}

    @tinynet.differentiable
    def shrink(x):
        mask = kept.setdefault(x.shape, np.abs(x) > 0.5)
        return np.where(np.abs(x) > 0.5, x, 0), lambda dy: dy * mask

    (failure,) = gradcheck(shrink, np.random.default_rng(3).standard_normal((4, 6))).failures
    assert failure.cause == "state carried from call to call"


def recurrent(x, w):
    """Its dw takes the state after each step in place of the one before."""
    states = [np.zeros(3)]
    for t in range(len(x)):
        states.append(np.tanh(x[t] + states[t] @ w))

    def dw(dy):
        g, later = np.zeros_like(w), np.zeros(3)
        for t in reversed(range(len(x))):
            ds = (dy[t] + later) * (1 - states[t + 1] ** 2)
            g += np.outer(states[t + 1], ds)
            later = ds @ w.T
        return g

    return np.stack(states[1:]), None, dw


def test_the_expression_with_which_the_gradient_is_right_is_named():
    rng = np.random.default_rng(2)
    op = tinynet.differentiable(recurrent)
    x, w = rng.standard_normal((4, 3)), tinynet.tensor(rng.standard_normal((3, 3)))
    (failure,) = gradcheck(op, x, w.requires_grad_()).failures
    assert failure.cause == "states[t + 1] in place of states[t]"
    assert "g += np.outer(states[t + 1], ds)" in failure.evidence


def summed_so_far(x):
    """Its backward adds dy too late; a list into which it put itself would keep NumPy busy."""
    sums, s = [], 0.0
    for t in range(len(x)):
        s = s + x[t] * x[t]
        sums.append(s)

    def dx(dy):
        d, g = 0.0, np.zeros_like(x)
        for t in reversed(range(len(x))):
            g[t] = 2.1 * x[t] * np.tanh(d)
            d = d + dy[t]
        return g

    return np.array(sums), dx


def test_looking_at_the_code_ends():
    report = gradcheck(tinynet.differentiable(summed_so_far), np.arange(1.0, 7.0))
    assert [failure.argument for failure in report.failures] == ["x"]
