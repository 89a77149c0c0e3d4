"""nn.utils: gradients are clipped together, parameters go to a vector and back."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import ShapeError
from tinynet.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
)


def parameters(*gradients):
    made = []
    for values in gradients:
        p = nn.Parameter(np.zeros(np.shape(values), np.float32))
        p.grad = tinynet.tensor(values, dtype=np.float32)
        made.append(p)
    return made


def test_clipping_scales_all_gradients_by_one_factor_and_returns_the_norm_before():
    first, second = parameters([3.0, 0.0], [[4.0], [12.0]])
    untouched = nn.Parameter([1.0])
    norm = clip_grad_norm_([first, untouched, second], max_norm=1.3)
    assert norm.shape == ()
    assert norm.item() == pytest.approx(13)
    np.testing.assert_allclose(first.grad.numpy(), [0.3, 0], rtol=1e-6)
    np.testing.assert_allclose(second.grad.numpy(), [[0.4], [1.2]], rtol=1e-6)
    assert untouched.grad is None


def test_small_gradients_are_left_alone():
    (p,) = parameters([3.0, 4.0])
    assert clip_grad_norm_(p, 5.1).item() == pytest.approx(5)
    assert p.grad.tolist() == [3, 4]


@pytest.mark.parametrize(("p", "norm"), [(1, 7), (2, 5), (3, 91 ** (1 / 3)), (math.inf, 4)])
def test_other_norms(p, norm):
    assert clip_grad_norm_(parameters([3.0], [-4.0]), 100, p).item() == pytest.approx(norm)


def test_without_gradients_there_is_nothing_to_clip():
    assert clip_grad_norm_([nn.Parameter([1.0])], 1).item() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_shows(bad):
    (p,) = parameters([bad, 1.0])
    with pytest.raises(RuntimeError, match=f"the norm of the gradients is {bad}"):
        clip_grad_norm_(p, 1, error_if_nonfinite=True)
    assert p.grad.numpy()[1] == 1
    np.testing.assert_array_equal(clip_grad_norm_(p, 1).item(), bad)
    assert np.isnan(p.grad.numpy()).all()


HUGE = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 30, math.inf])
@pytest.mark.parametrize("size", [1e-44, 1e-40, 1e-30, 1e-20, 1e-3, 1e15, 1e20, 1e30, HUGE])
def test_the_norm_of_gradients_of_any_size_is_right_and_they_keep_their_direction(size, p):
    ps = parameters([3 * size / 4, 0.0], np.full((100, 3), size))
    before = np.concatenate([q.grad.array.ravel() for q in ps]).astype(np.float64)
    norm = np.abs(before).max() * np.linalg.norm(before / np.abs(before).max(), p)
    found = clip_grad_norm_(ps, 1.0, p)
    assert found.item() == pytest.approx(norm, rel=1e-5, abs=1e-45)
    after = np.concatenate([q.grad.array.ravel() for q in ps])
    np.testing.assert_allclose(after, before * min(1, 1 / (norm + 1e-6)), rtol=1e-5)


def test_a_norm_of_float64_may_be_larger_than_its_square_can():
    p = nn.Parameter(np.zeros(2))
    p.grad = tinynet.tensor(np.array([3e200, 4e200]))
    assert clip_grad_norm_(p, 1.0).item() == pytest.approx(5e200)
    np.testing.assert_allclose(p.grad.array, [0.6, 0.8])
    p.grad.array[:] = 1.7e308  # here the norm itself is too large
    assert clip_grad_norm_(p, 1.0).item() == math.inf
    assert np.isnan(p.grad.array).all()


def test_clipping_heeds_no_seterr():
    (p,) = parameters([1e30, 1e-30])
    with np.errstate(all="raise"):
        clip_grad_norm_(p, 1.0)
    assert p.grad.tolist() == [1, 0]


def clip_norm(ps):
    clip_grad_norm_(ps, 1.0)


def clip_value(ps):
    clip_grad_value_(ps, 1.0)


def to_vector(ps):
    parameters_to_vector(ps)


def from_vector(ps):
    vector_to_parameters(tinynet.zeros(0), ps)


def optimize(ps):
    tinynet.optim.SGD(ps, lr=1.0)


@pytest.mark.parametrize("use", [clip_norm, clip_value, to_vector, from_vector, optimize])
def test_what_is_no_list_of_parameters_is_refused_with_what_to_pass(use):
    model = nn.Linear(2, 1)
    used = model.parameters()
    list(used)
    for wrong, error, words in (
        (used, ValueError, "generator was used up before: call model.parameters() again"),
        ([], ValueError, "the list of parameters is empty"),
        (model, TypeError, "pass model.parameters()"),
        (model.parameters, TypeError, "not a method; pass model.parameters(), called"),
        (model.named_parameters(), TypeError, "not model.named_parameters()"),
        (model.state_dict(), TypeError, "must be a list or an iterator"),
        ([model.weight.array], TypeError, "is a ndarray, no tensor"),
        (None, TypeError, "not a NoneType"),
    ):
        if use is optimize and "named" in words:
            continue  # which it takes, for the names
        with pytest.raises(error) as raised:
            use(wrong)
        assert words in str(raised.value)


def test_a_parameter_or_a_gradient_that_comes_twice_is_scaled_once():
    (p,) = parameters([3.0, 4.0])
    assert clip_grad_norm_([p, p], 1.0).item() == 5
    np.testing.assert_allclose(p.grad.array, [0.6, 0.8], rtol=1e-5)
    p, other = parameters([3.0, 4.0], [0.0, 0.0])
    other.grad = p.grad
    assert clip_grad_norm_([p, other], math.sqrt(0.5)).item() == pytest.approx(math.sqrt(50))
    np.testing.assert_allclose(p.grad.array, [0.3, 0.4], rtol=1e-5)


@pytest.mark.parametrize("clip", [clip_norm, clip_value])
def test_clipping_a_gradient_that_an_operation_has_kept_shows_in_its_backward_pass(clip):
    (p,) = parameters([3.0, 4.0])
    x = tinynet.ones(2, requires_grad=True)
    y = (x * p.grad).sum()
    clip(p)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_clip_value_limits_each_element():
    (p,) = parameters([[-3.0, 0.5], [2.0, -0.5]])
    clip_grad_value_([p], 1)
    assert p.grad.tolist() == [[-1, 0.5], [1, -0.5]]


@pytest.mark.parametrize("value", [-1, math.nan, -math.inf, np.float32(-1)])
def test_a_limit_below_zero_or_nan_is_refused(value):
    p = parameters([1.0])
    for call, name in (
        (lambda: clip_grad_norm_(p, value), "clip_grad_norm_: max_norm"),
        (lambda: clip_grad_norm_(p, 1, value), "clip_grad_norm_: norm_type"),
        (lambda: clip_grad_value_(p, value), "clip_grad_value_: clip_value"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be 0 or more, got {value}"):
            call()
    with pytest.raises(ValueError, match="norm_type must be more than 0"):
        clip_grad_norm_(p, 1, 0)
    with pytest.raises(TypeError, match="max_norm must be a number, got '1'"):
        clip_grad_norm_(p, "1")


@pytest.mark.parametrize(("limit", "left"), [(0, 0), (math.inf, 3)])
def test_a_limit_of_zero_stops_all_and_an_infinite_one_measures(limit, left):
    (p,) = parameters([3.0])
    assert clip_grad_norm_(p, limit).item() == 3
    clip_grad_value_(p, limit)
    assert p.grad.tolist() == [left]


def test_parameters_go_to_a_vector_and_back():
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    vector_to_parameters(vector, other.parameters())
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    np.testing.assert_array_equal(other.bias.numpy(), model.bias.numpy())
    with pytest.raises(ShapeError, match=r"the vector has shape \(8,\), the parameters need \(9,"):
        vector_to_parameters(vector[:8], other.parameters())


# ----- weights computed from others ---------------------------------------------------------------


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_a_computed_weight_is_no_parameter_until_it_is_made_one(norm):
    tinynet.manual_seed(0)
    layer, x = nn.Linear(3, 2), tinynet.randn(4, 3)
    plain = layer.weight.array.copy()
    assert norm(layer) is layer
    before = layer(x).array
    assert "weight" not in dict(layer.named_parameters())
    if norm is nn.utils.weight_norm:
        assert np.allclose(layer.weight.array, plain)
    else:
        for _ in range(50):
            before = layer(x).array
        assert np.allclose(np.linalg.norm(layer.weight.array, 2), 1)
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    gradients = [p.grad.array.copy() for p in layer.parameters()]
    (layer.weight * layer.weight).sum().backward()  # it is a result of them outside of forward too
    assert any(not np.allclose(p.grad.array, g) for p, g in zip(layer.parameters(), gradients))
    twin = copy.deepcopy(layer)
    with tinynet.no_grad():
        for p in twin.parameters():
            p *= p + 1
        assert not np.allclose(twin.weight.array, layer.weight.array)
        assert not np.allclose(twin(x).array, before)
    with pytest.raises(ValueError, match="'weight', which is computed whenever"):
        layer.weight = nn.Parameter(tinynet.ones(2, 3))
    assert "weight" not in dict(layer.named_parameters())
    layer.eval()
    assert np.allclose(layer(x).array, before, atol=1e-6)
    nn.utils.remove_weight_norm(layer)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]
    assert np.allclose(layer(x).array, before, atol=1e-6)
    with pytest.raises(ValueError, match="is not computed from other parameters"):
        nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="Linear has no parameter 'wait'"):
        norm(layer, "wait")
