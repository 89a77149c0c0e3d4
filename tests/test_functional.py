"""`nn.functional`: padding, one-hot rows, what becomes of the input in place."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import nn, ops
from tinynet.errors import DataError, ShapeError
from tinynet.gradcheck import gradcheck
from tinynet.nn import functional as F

rng = np.random.default_rng(6)


def test_every_function_has_a_docstring():
    assert [name for name in F.__all__ if not getattr(F, name).__doc__] == []


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


IN_PLACE = [
    (F.relu, {}),
    (F.relu6, {}),
    (F.leaky_relu, {"negative_slope": 0.3}),
    (F.elu, {}),
    (F.selu, {}),
    (F.celu, {"alpha": 0.7}),
    (F.silu, {}),
    (F.mish, {}),
    (F.hardtanh, {}),
    (F.hardsigmoid, {}),
    (F.hardswish, {}),
    (F.threshold, {"threshold": 0.1, "value": 2.0}),
]


@pytest.mark.parametrize(("function", "settings"), IN_PLACE)
def test_in_place_the_input_itself_becomes_the_result(function, settings):
    values = rng.standard_normal((3, 4))
    for recorded in (True, False):
        grads = []
        for inplace in (True, False):
            leaf = tinynet.tensor(values, requires_grad=recorded)
            x = leaf * 2 if recorded else leaf
            y = function(x, inplace=inplace, **settings)
            after = x if inplace else y  # whoever holds x sees the result
            assert (y is x) == inplace
            assert after.tolist() == function(values * (1 + recorded), **settings).tolist()
            if recorded:
                (after * after).sum().backward()
                grads.append(leaf.grad.tolist())
        assert not grads or grads[0] == grads[1]


def test_in_place_writes_into_the_memory_of_a_constant_and_refuses_a_leaf():
    values = np.array([-1.0, 2.0])
    F.relu_(tinynet.from_numpy(values))
    assert values.tolist() == [0, 2]
    F.relu(values - 1, inplace=True)
    with pytest.raises(RuntimeError, match="inplace=True would change a leaf"):
        F.relu_(tinynet.tensor([1.0], requires_grad=True))


def test_in_place_without_a_record_the_graph_knows_that_the_input_was_changed():
    leaf = tinynet.tensor([-1.0, 2.0], requires_grad=True)
    x = leaf * 2
    with tinynet.no_grad():
        assert F.relu_(x) is x
    assert x.tolist() == [0, 4]
    with pytest.raises(RuntimeError, match="changed"):
        x.sum()


def test_in_place_the_gradient_that_is_kept_is_that_of_the_result():
    x = tinynet.tensor([-1.0, 2.0], requires_grad=True) * 2
    x.retain_grad()
    (F.relu_(x) * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_what_an_earlier_operation_kept_of_the_input_stays():
    x = tinynet.tensor([-1.0, 2.0], requires_grad=True)
    y = x.sigmoid()  # its gradient needs y
    F.threshold(y, 0.5, 0.0, inplace=True)
    y.sum().backward()
    s = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(x.grad.array, [0, s * (1 - s)], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dim"), [((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 4), 0), ((2, 3, 4, 5), 1)]
)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_a_softmax_without_dim_takes_pytorchs_axis_and_says_so(name, shape, dim):
    function, x = getattr(F, name), rng.standard_normal(shape)
    if len(shape) < 3:
        y = function(x)
    else:
        with pytest.warns(UserWarning, match=f"{name} without dim takes axis {dim} of shape"):
            y = function(x)
    assert y.tolist() == function(x, dim).tolist()


OLD = [
    ({"size_average": False}, "sum"),
    ({"size_average": True, "reduce": True}, "mean"),
    ({"reduce": False}, "none"),
    ({"reduce": True, "size_average": False}, "sum"),
]


@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy", "kl_div", "soft_margin_loss"])
@pytest.mark.parametrize(("old", "reduction"), OLD)
def test_pytorchs_old_arguments_of_losses_have_their_meaning(name, old, reduction):
    loss, x = getattr(F, name), np.array([0.2, 0.7])
    expected = loss(x, x / 2, reduction=reduction).tolist()
    assert loss(x, x / 2, **old).tolist() == expected
    layers = {"mse_loss": nn.MSELoss, "soft_margin_loss": nn.SoftMarginLoss}
    if name in layers:
        assert layers[name](**old)(x, x / 2).tolist() == expected


@pytest.mark.parametrize("name", ["mse_loss", "cross_entropy", "kl_div", "soft_margin_loss"])
def test_unknown_arguments_of_losses_are_refused(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'reductoin'"):
        getattr(F, name)(np.ones(2), np.ones(2), reductoin="sum")
    with pytest.raises(TypeError, match=r"mse_loss\(\) too many positional argument"):
        F.mse_loss(np.ones(2), np.ones(2), "sum")
    for call, words in (
        (lambda: F.mse_loss(target=np.ones(2)), "missing a required argument: 'input'"),
        (lambda: F.linear(np.ones(2)), r"linear\(\) missing a required argument: 'weight'"),
        (lambda: F.mse_loss(np.ones(2), input=np.ones(2)), "multiple values for argument 'input'"),
        (lambda: F.kl_div(np.ones(2)), r"kl_div\(\) missing 1 required .*: 'target'"),
    ):
        with pytest.raises(TypeError, match=words):
            call()


WRONG = [
    (lambda x: F.glu(x), ShapeError, r"along dim=-1, its shape \(2, 3\) has no even size"),
    (lambda x: F.glu(x, 2), ShapeError, "axis 2 does not exist"),
    (lambda x: F.prelu(x, np.ones(2)), ShapeError, r"\(1,\), or \(3,\) for the input of shape"),
    (lambda x: F.hardtanh(x, 2, 1), ValueError, "min_val=2 must not be more than max_val=1"),
    (lambda x: F.softshrink(x, -1), ValueError, "lambd must be 0 or more, got -1"),
    (lambda x: F.celu(x, 0), ValueError, "alpha must not be 0"),
    (lambda x: F.multi_margin_loss(x, np.array([0, 3])), DataError, "label 3 is out of range"),
    (lambda x: F.multi_margin_loss(x, np.array([0, 1]), 3), ValueError, "p must be 1 or 2, got 3"),
    (lambda x: F.gaussian_nll_loss(x, x, -1.0), ValueError, "var must be 0 or more, got -1"),
    (lambda x: F.gaussian_nll_loss(x, x, x[0] ** 2), ShapeError, r"var has shape \(3,\); for"),
    (lambda x: F.cosine_embedding_loss(x, x, x), ShapeError, r"needs inputs \(N, D\)"),
    (lambda x: F.cosine_similarity(x, x[:, :2]), ShapeError, "cosine_similarity: shapes"),
    (lambda x: F.margin_ranking_loss(x, x, x[0]), ShapeError, "equally many axes"),
    (lambda x: F.triplet_margin_loss(x, x, x[0]), ShapeError, "equally many axes"),
    (lambda x: F.triplet_margin_loss(x, x, x, margin=0), ValueError, "margin must be more than 0"),
    (lambda x: F.instance_norm(x[None], weight=np.ones(3)), ShapeError, "instance_norm: .*weight"),
    (lambda x: F.kl_div(x, x * np.nan), FloatingPointError, "6 of 6 values of the target"),
    (lambda x: F.kl_div(x, x, reduction="avg"), ValueError, "unknown reduction of kl_div 'avg'"),
]


@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_wrong_arguments_are_explained(call, error, words):
    with pytest.raises(error, match=words):
        call(np.arange(6.0).reshape(2, 3))


# ----- samples of classes -------------------------------------------------------------------------


def test_gumbel_softmax():
    tinynet.manual_seed(0)
    logits = tinynet.log(tinynet.tensor([0.7, 0.2, 0.1])).expand(4000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(hard.array.round(6))) == {0, 1}
    assert np.allclose(hard.array.mean(0), [0.7, 0.2, 0.1], atol=0.03)
    soft = F.gumbel_softmax(logits, tau=0.5)
    assert np.allclose(soft.array.sum(1), 1, atol=1e-5)
    hard[:, 0].sum().backward()
    assert (logits.grad.array != 0).any()
