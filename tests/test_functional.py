"""`nn.functional`: every argument arrives at the operation, padding, one-hot rows."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinynet
from tinynet import ops
from tinynet.gradcheck import gradcheck
from tinynet.nn import functional as F

rng = np.random.default_rng(6)
FUNCTIONS = {
    name: value
    for name, value in vars(F).items()
    if inspect.isfunction(value) and value.__module__ == F.__name__ and name[0] != "_"
}
# PyTorch's name of an argument: the operation's, where it is another. `pad` and `one_hot` do more.
RENAMED = {
    "input": "x",
    "weight": "w",
    "bias": "b",
    "dim": "axis",
}
IN_LOSSES = {
    **RENAMED,
    "weight": "class_weight",
}
WEIGHTED_BY_ELEMENT = {**RENAMED, "weight": "weight"}
MORE_THAN_A_CALL = {"pad", "one_hot"}
INTERNAL = {"relu"}  # of max_pool2d: whoever wants it writes the ReLU


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - MORE_THAN_A_CALL))
def test_every_argument_arrives_where_it_belongs(name, monkeypatch):
    op, function = getattr(ops, name), FUNCTIONS[name]
    received = {}

    def record(*args, **settings):
        received.update(inspect.signature(op).bind(*args, **settings).arguments)
        return "the result"

    monkeypatch.setattr(ops, name, record)
    arguments = {parameter: object() for parameter in inspect.signature(function).parameters}
    assert function(**arguments) == "the result"
    names = IN_LOSSES if name in ("cross_entropy", "nll_loss") else RENAMED
    names = WEIGHTED_BY_ELEMENT if name.startswith("binary") else names
    assert received == {names.get(key, key): value for key, value in arguments.items()}
    assert received.keys() == inspect.signature(op).parameters.keys() - INTERNAL


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - MORE_THAN_A_CALL))
def test_defaults_are_those_of_the_operation(name):
    mine = inspect.signature(FUNCTIONS[name]).parameters
    theirs = inspect.signature(getattr(ops, name)).parameters
    names = IN_LOSSES if name in ("cross_entropy", "nll_loss") else RENAMED
    names = WEIGHTED_BY_ELEMENT if name.startswith("binary") else names
    for key, parameter in mine.items():
        if parameter.default is not parameter.empty:
            assert parameter.default == theirs[names.get(key, key)].default, key


def test_every_function_has_a_docstring():
    assert [name for name, function in FUNCTIONS.items() if not function.__doc__] == []


PADS = [(1, 2), (0, 1, 2, 0), (2, 1, 0, 2, 1, 0)]


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize(
    ("mode", "numpy_mode"),
    [("constant", "constant"), ("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")],
)
def test_pad_counts_from_the_last_axis_and_agrees_with_numpy(mode, numpy_mode, pad):
    x = rng.standard_normal((2, 3, 4))
    widths = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = ([(0, 0)] * (3 - len(widths))) + widths[::-1]
    expected = np.pad(x, widths, mode=numpy_mode)
    assert F.pad(x, pad, mode).tolist() == expected.tolist()
    assert F.pad(tinynet.tensor(x), list(pad), mode=mode).tolist() == expected.tolist()
    gradcheck(lambda x: F.pad(x, pad, mode), x).raise_for_failures()


def test_pad_fills_with_the_value():
    assert F.pad(np.ones(2), (1, 2), value=7.0).tolist() == [7, 1, 1, 7, 7]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_pad_by_nothing_and_of_an_empty_batch(mode):
    x = tinynet.ones(2, 3)
    assert F.pad(x, (0, 0), mode).tolist() == x.tolist()
    assert F.pad(np.ones((0, 3)), (1, 1), mode).shape == (0, 5)


def test_one_hot_rows_sum_to_one_at_the_label():
    labels = np.array([[0, 3], [1, 3]])
    y = F.one_hot(labels).numpy()
    assert y.shape == (2, 2, 4)
    assert (y.sum(-1) == 1).all()
    assert (y.argmax(-1) == labels).all()
    assert F.one_hot(tinynet.tensor(labels), 6).shape == (2, 2, 6)
    assert F.one_hot(np.zeros(0, int), 3).shape == (0, 3)


def test_functions_record_for_tensors_and_not_for_arrays():
    x = np.ones((2, 3), np.float32)
    assert not F.relu(x).requires_grad
    assert F.relu(tinynet.Tensor(x, requires_grad=True)).requires_grad


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_adaptive_pooling_keeps_what_is_not_finite_to_the_regions_that_hold_it(bad):
    x = np.arange(70.0).reshape(2, 1, 7, 5)
    x[0, 0, 2, 1] = bad
    t = tinynet.tensor(x, requires_grad=True)
    with np.errstate(all="raise"):
        y = F.adaptive_avg_pool2d(t, (3, 2))
    for p, (a, b) in enumerate([(0, 3), (2, 5), (4, 7)]):
        for q, (c, d) in enumerate([(0, 3), (2, 5)]):
            np.testing.assert_allclose(y.array[..., p, q], x[..., a:b, c:d].mean((2, 3)))
    dy = np.ones((2, 1, 3, 2))
    dy[1, 0, 0, 0] = bad
    y.backward(dy)
    spoiled = ~np.isfinite(t.grad.array)
    assert spoiled.sum() == spoiled[1, 0, :3, :3].sum() == 9


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_the_gradient_of_a_maximum_or_minimum_goes_to_the_nan_that_is_its_result(name):
    x = tinynet.tensor([np.nan, 1.0, 1.0], requires_grad=True)
    y = tinynet.tensor([1.0, np.nan, 1.0], requires_grad=True)
    z = getattr(ops, name)(x, y)
    z.backward(np.ones(3, np.float32))
    assert np.isnan(z.array).tolist() == [True, True, False]
    assert x.grad.tolist() == [1, 0, 0.5]
    assert y.grad.tolist() == [0, 1, 0.5]


def test_a_function_is_the_same_under_both_names():
    assert [name for name in F.__all__ if getattr(tinynet, name) is not getattr(F, name)] == []
    assert sorted(FUNCTIONS) == sorted(F.__all__)
