"""The checker itself: what it reports, what it refuses, and that it catches small mistakes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinynet
from tinynet import gradcheck, gradcheck_model, nn
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
    assert "gradients of x agree (12 numbers compared" in str(report)


def test_the_report_names_the_worst_input_index_and_values(rng):
    x = tinynet.randn(2, 3, rng=rng)
    report = gradcheck(cube_off_at_the_end, x)
    (failure,) = report.failures
    assert (failure.op, failure.input, failure.index) == ("cube_off_at_the_end", "x", (1, 2))
    assert failure.analytic == pytest.approx(1.5 * failure.numeric)
    assert failure.relative_error == pytest.approx(1 / 3)
    assert (failure.count, failure.total) == (1, 6)
    assert "wrong for 1 of 6 elements; worst at index (1, 2)" in str(report)
    with pytest.raises(GradientError, match="WRONG gradient of x"):
        report.raise_for_failures()
    assert json.loads(json.dumps(report.to_dict()))["failures"][0]["index"] == [1, 2]


def test_large_inputs_are_checked_along_random_directions(rng):
    right = gradcheck(cube, tinynet.randn(40, 40, rng=rng))
    assert right.checked == {"x": 8}
    wrong = gradcheck(cube_off_at_the_end, tinynet.randn(40, 40, rng=rng))
    assert wrong.failures[0].index is None
    assert not gradcheck(cube_off_at_the_end, tinynet.randn(40, 40, rng=rng), mode="elements")


def test_a_tiny_gradient_that_is_off_by_half_is_caught():
    @tinynet.differentiable
    def faint(x):
        return 1e-5 * x, lambda dy: dy * 1.5e-5

    assert not gradcheck(faint, tinynet.tensor([1.0, 2.0]))


def test_only_inputs_that_require_a_gradient_are_checked_if_some_do(rng):
    x, w = tinynet.randn(2, 3, rng=rng), tinynet.randn(4, 3, rng=rng, requires_grad=True)
    assert gradcheck(F.linear, [x, w]).checked == {"weight": 12}
    w.requires_grad_(False)
    assert gradcheck(F.linear, [x, w]).checked == {"input": 6, "weight": 12}


def test_the_callers_tensors_stay_as_they_are(rng):
    x = tinynet.randn(3, rng=rng)
    before = x.data.copy()
    gradcheck(cube, x)
    assert x.dtype == np.float32
    assert not x.requires_grad
    assert x.grad is None
    assert (x.data == before).all()


def test_a_step_across_a_kink_is_no_mistake():
    near_zero = tinynet.tensor([1e-6, -1e-6, 3e-7])
    assert gradcheck(F.relu, near_zero)


def test_checks_that_would_say_nothing_are_refused(rng):
    with pytest.raises(ValueError, match="does not depend on x"):
        gradcheck(lambda x: tinynet.ones(3), tinynet.ones(3))
    with pytest.raises(ValueError, match="another result on each call"):
        gradcheck(lambda x: F.dropout(x, 0.5), tinynet.ones(30))
    with pytest.raises(ValueError, match="no input is a float tensor"):
        gradcheck(cube, tinynet.tensor([1, 2]))
    with pytest.raises(ValueError, match="NaN or infinite"), np.errstate(invalid="ignore"):
        gradcheck(lambda x: x.sqrt(), tinynet.tensor([-1.0]))
    with pytest.raises(ValueError, match="mode must be"):
        gradcheck(cube, tinynet.ones(2), mode="all")


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
    report = gradcheck_model(model(wrong=True), batch, nn.CrossEntropyLoss())
    assert [failure.input for failure in report.failures] == ["5.factor"]


def test_a_model_comes_out_of_its_check_unchanged(rng):
    net = model()
    before = {name: value.copy() for name, value in net.state_dict().items()}
    gradcheck_model(net, (tinynet.randn(4, 1, 6, 6, rng=rng), np.array([0, 1, 2, 1])))
    after = net.state_dict()
    assert all((after[name] == value).all() for name, value in before.items())
    assert all(p.grad is None and p.dtype == np.float32 for p in net.parameters())
