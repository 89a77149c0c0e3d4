"""nn.utils: gradients are clipped together, parameters go to a vector and back."""

from __future__ import annotations

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


def test_nothing_to_clip_gives_norm_zero():
    assert clip_grad_norm_([nn.Parameter([1.0])], 1).item() == 0
    assert clip_grad_norm_([], 1, math.inf).item() == 0


def test_a_norm_that_is_not_finite_shows():
    (p,) = parameters([math.nan, 1.0])
    with pytest.raises(RuntimeError, match="the norm of the gradients is nan"):
        clip_grad_norm_(p, 1, error_if_nonfinite=True)
    assert p.grad.numpy()[1] == 1
    assert math.isnan(clip_grad_norm_(p, 1).item())
    assert np.isnan(p.grad.numpy()).all()
    (p,) = parameters([math.inf, 1.0])
    assert clip_grad_norm_(p, 1).item() == math.inf


def test_clip_value_limits_each_element():
    (p,) = parameters([[-3.0, 0.5], [2.0, -0.5]])
    clip_grad_value_([p], 1)
    assert p.grad.tolist() == [[-1, 0.5], [1, -0.5]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: clip_grad_norm_([], -1), "max_norm must be 0 or more, got -1"),
        (lambda: clip_grad_norm_([], 1, 0), "norm_type must be larger than 0, got 0"),
        (lambda: clip_grad_value_([], -1), "clip_value must be 0 or more, got -1"),
        (lambda: parameters_to_vector([]), "there are no parameters"),
    ],
)
def test_wrong_arguments_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_parameters_go_to_a_vector_and_back():
    model, other = nn.Linear(2, 3), nn.Linear(2, 3)
    vector = parameters_to_vector(model.parameters())
    assert vector.shape == (9,)
    vector_to_parameters(vector, other.parameters())
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())
    np.testing.assert_array_equal(other.bias.numpy(), model.bias.numpy())
    with pytest.raises(ShapeError, match=r"the vector has shape \(8,\), the parameters need \(9,"):
        vector_to_parameters(vector[:8], other.parameters())
