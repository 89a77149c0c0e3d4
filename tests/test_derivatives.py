"""Gradients of gradients: every row of the table once more, the transforms, and what is refused."""

from __future__ import annotations

import collections
import contextlib
import copy
import inspect
import math
import operator
import pickle
import re
import runpy
import threading
import types
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import autograd, func, kernels, nn
from tinynet.derivatives import replay
from tinynet.errors import ShapeError
from tinynet.gradcheck import gradcheck
from tinynet.gradcheck.table import table
from tinynet.nn import functional as F

TABLE = table(np.random.default_rng(20))


def tensor(*values, **settings):
    return tinynet.Tensor(np.array(values), **settings)


# ----- every operation ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("row", TABLE, ids=str)
def test_second_derivatives_agree_with_differences_of_the_first(row, order, monkeypatch):
    if order is np.asfortranarray:  # and no body is taken for one that keeps values
        monkeypatch.setattr(replay, "is_foreign", lambda body: True)
    inputs = [tinynet.Tensor(order(x) if x.ndim else x) for x in row.inputs]
    report = gradcheck(row.function(), inputs, order=2)
    report.raise_for_failures()


THIRD = (
    *("pow", "tanh", "prod", "logsumexp", "matmul", "conv2d", "conv_transpose2d", "max_pool2d"),
    *("batch_norm", "layer_norm", "cross_entropy", "gelu", "vector_norm", "einsum"),
)
FIRST_OF_EACH = {row.op.rpartition(".")[2]: row for row in reversed(TABLE)}


@pytest.mark.parametrize("op", THIRD)
def test_third_derivatives_agree_with_differences_of_the_second(op):
    row = FIRST_OF_EACH[op]
    inputs = [tinynet.Tensor(x) for x in row.inputs]
    gradcheck(row.function(), inputs, order=3).raise_for_failures()


@pytest.mark.parametrize("kernel_set", kernels.available())
def test_every_set_of_kernels_gives_the_same_second_derivatives(kernel_set):
    def loss(x, w):
        y = F.max_pool2d(F.conv2d(x, w, padding=1).relu(), 2)
        return (F.avg_pool2d(y, 2) ** 2).sum()

    rng = np.random.default_rng(0)
    x, w, v, u = (tinynet.Tensor(rng.standard_normal(s)) for s in [(2, 1, 8, 8), (3, 1, 3, 3)] * 2)
    expected = tinynet.hvp(loss, (x, w), (v, u))
    before = kernels.use(kernel_set)
    try:
        found = tinynet.hvp(loss, (x, w), (v, u))
    finally:
        kernels.use(before)
    for own, other in zip(found[1], expected[1]):
        np.testing.assert_allclose(own.array, other.array, 1e-10, 1e-12)


def test_a_users_operation_has_every_order():
    @tinynet.differentiable
    def swish(x):
        s = 1 / (1 + np.exp(-x))
        return x * s, lambda dy: dy * (s + x * s * (1 - s))

    for order in (2, 3):
        gradcheck(swish, tensor(-1.0, 0.3, 2.0), order=order).raise_for_failures()


@tinynet.differentiable
def lost(x):
    a = np.asarray(x)
    return a * a, lambda dy: dy * 2 * a


@tinynet.differentiable
def without_operation(x):
    return x * x, lambda dy: dy * 2 * np.interp(x, [-9.0, 9.0], [-9.0, 9.0])


@tinynet.differentiable
def failing(x):
    def dx(dy):
        raise ValueError("no gradient today")

    return x * x, dx


@tinynet.differentiable
def of_one_element(x):
    return x * x, lambda dy: (dy * 2 * x)[:1]


@tinynet.differentiable
def writing(x):
    def dx(dy):
        dy *= 2
        return dy

    return x * 2, dx


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lost, r"lost: its body cannot run.*\.py:\d+: `a = np.asarray\(x\)`"),
        (lambda x: F.relu(lost(x)).sum(), "lost: its body cannot run"),
        (without_operation, "np.interp has no operation"),
        (failing, "no gradient today"),
        (of_one_element, r"has shape \(1,\), but the input"),
        (writing, "its gradient dx writes into dy, which is read-only"),
    ],
)
def test_a_gradient_that_has_none_is_a_failure_in_the_report(function, words, order):
    (failure,) = gradcheck(function, tensor(1.0, 2.0, -3.0), order=order).failures
    assert failure.cause == "the backward raises an error"
    assert re.search(words, failure.evidence)
    assert failure.evidence.count("cannot run on tensors") == 1


# ----- the transforms ----------------------------------------------------------------------------

X, V = tensor(1.0, 2.0, 3.0), tensor(1.0, 0.0, -1.0)


def cubes(x):
    return (x**3).sum()


def of_both(p):
    return cubes(p["a"]) + (p["b"] ** 2 * p["a"]).sum()


Pair = collections.namedtuple("Pair", "a b")
AB, BA = {"a": X, "b": V}, {"b": V, "a": X}
TRANSFORMS = {
    "grad": (lambda: tinynet.grad(cubes)(X), [3, 12, 27]),
    "grad of grad": (lambda: tinynet.grad(lambda x: tinynet.grad(cubes)(x).sum())(X), [6, 12, 18]),
    "third": (
        lambda: tinynet.grad(tinynet.grad(tinynet.grad(lambda x: x**4)))(tensor(2.0).sum()),
        48,
    ),
    "value_and_grad": (lambda: tinynet.value_and_grad(cubes)(X), (36, [3, 12, 27])),
    "two arguments": (
        lambda: tinynet.grad(lambda x, y: (x * y).sum(), (1, 0))(X, V),
        ([1, 2, 3], [1, 0, -1]),
    ),
    "last argument": (lambda: tinynet.grad(lambda x, y: (x * y).sum(), -1)(X, V), [1, 2, 3]),
    "aux": (lambda: tinynet.grad(lambda x: (cubes(x), x.shape), has_aux=True)(X)[0], [3, 12, 27]),
    "a dict": (lambda: tinynet.grad(lambda p: (p["a"] * p["b"][0]).sum())(
        {"a": X, "b": [V]}), {"a": [1, 0, -1], "b": [[1, 2, 3]]}),
    "dicts in another order": (
        lambda: (
            tinynet.hvp(of_both, AB, BA)[1],
            tinynet.jvp(lambda p: {"p": p["a"], "q": 2 * p["b"]}, (AB,), (BA,))[1],
            tinynet.vjp(lambda x: {"p": x, "q": 2 * x}, X)[1]({"q": V, "p": X}),
        ),
        (
            {"a": [8, 24, 56], "b": [4, 0, -12]},
            {"p": [1, 2, 3], "q": [2, 0, -2]},
            ([3, 2, 1],),
        ),
    ),
    "a named tuple": (lambda: tinynet.grad(lambda p: (p.a * p.b).sum())(Pair(X, V)).b, [1, 2, 3]),
    "a list of arguments": (
        lambda: tinynet.grad(lambda x, y: (x * y).sum(), [1, 0])(X, V),
        ([1, 2, 3], [1, 0, -1]),
    ),
    "unused": (lambda: tinynet.grad(lambda x, y: x.sum(), (0, 1))(X, V)[1], [0, 0, 0]),
    "a constant": (lambda: tinynet.grad(lambda x: tensor(1.0).sum())(X), [0, 0, 0]),
    "vjp": (lambda: tinynet.vjp(lambda x: x * x, X)[1](V), ([2, 0, -6],)),
    "jvp": (lambda: tinynet.jvp(lambda x: x * x, X, V), ([1, 4, 9], [2, 0, -6])),
    "jvp of two": (lambda: tinynet.jvp(lambda x, y: x * y, (X, V), (V, X))[1], [2, 4, 10]),
    "jvp of a jvp": (
        lambda: tinynet.jvp(lambda x: tinynet.jvp(lambda z: z**3, x, V)[1], X, V)[1],
        [6, 0, 18],
    ),
    "jacobian": (lambda: tinynet.jacobian(lambda x: x[:2] * x[1])(X), [[2, 1, 0], [0, 4, 0]]),
    "jacobian of a number": (lambda: tinynet.jacobian(cubes)(X), [3, 12, 27]),
    "hessian": (lambda: tinynet.hessian(cubes)(X), np.diag([6, 12, 18]).tolist()),
    "blocks of a hessian": (
        lambda: tinynet.hessian(lambda x, y: (x * x * y).sum(), (0, 1))(X[:1], V[:1]),
        (([[2]], [[2]]), ([[2]], [[0]])),
    ),
    "hvp": (lambda: tinynet.hvp(cubes, X, V), (36, [6, 0, -18])),
    "hvp in either form": (
        lambda: (tinynet.hvp(cubes, X, (V,))[1], tinynet.hvp(cubes, (X,), V)[1]),
        ([6, 0, -18], ([6, 0, -18],)),
    ),
    "hvp of two": (
        lambda: tinynet.hvp(lambda x, y: (x * x * y).sum(), (X, V), (V, V))[1],
        ([4, 0, -4], [2, 0, -6]),
    ),
    "jacrev, jacfwd": (
        lambda: (func.jacrev(cubes)(X), func.jacfwd(cubes)(X)),
        ([3, 12, 27], [3, 12, 27]),
    ),
    "grad_and_value": (lambda: func.grad_and_value(cubes)(X), ([3, 12, 27], 36)),
    **{
        f"{name} with aux": (compute, expected)
        for name, compute, expected in [
            ("grad", lambda: func.grad(with_aux, has_aux=True)(X), ([3, 12, 27], "aux")),
            ("jacobian", lambda: func.jacrev(with_aux, has_aux=True)(X), ([3, 12, 27], "aux")),
            ("vjp", lambda: func.vjp(with_aux, X, has_aux=True)[::2], (36, "aux")),
            ("jvp", lambda: func.jvp(with_aux, (X,), (V,), has_aux=True), (36, -24, "aux")),
        ]
    },
}  # fmt: skip


def with_aux(x):
    return cubes(x), "aux"


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(map(plain, value))
    return value.tolist() if isinstance(value, tinynet.Tensor) else value


@pytest.mark.parametrize("case", TRANSFORMS)
def test_transforms(case):
    compute, expected = TRANSFORMS[case]
    assert plain(compute()) == expected


def test_what_nobody_outside_can_differentiate_by_is_not_recorded():
    w = tensor(2.0, requires_grad=True)
    assert not tinynet.grad(cubes)(X).requires_grad
    assert not any(y.requires_grad for y in tinynet.hvp(cubes, X, V))
    assert tinynet.grad(lambda x: (w * x**2).sum())(X).requires_grad
    with tinynet.no_grad():
        dx = tinynet.grad(lambda x: (w * x**2).sum())(X)
    assert dx.tolist() == [4, 8, 12]
    assert not dx.requires_grad


def test_a_gradient_as_part_of_a_loss():
    w = tensor(2.0, requires_grad=True)
    (tinynet.grad(lambda x: (w * x**2).sum())(X) ** 2).sum().backward()
    assert w.grad.tolist() == [2 * 2 * 4 * (1 + 4 + 9)]


# ----- PyTorch's names ----------------------------------------------------------------------------


def test_autograd_functional():
    functional = autograd.functional
    x, v = tensor(1.0, 2.0), tensor(3.0, 5.0)
    assert functional.jacobian(lambda x: x**2, x).tolist() == [[2, 0], [0, 4]]
    assert functional.hessian(lambda x: (x**3).sum(), x).tolist() == [[6, 0], [0, 12]]
    blocks = functional.jacobian(lambda x, y: x * y, (x, v))
    assert [block.tolist() for block in blocks] == [[[3, 0], [0, 5]], [[1, 0], [0, 2]]]
    for product in (functional.vjp, functional.jvp):
        y, dx = product(lambda x: x**2, x, v)
        assert (y.tolist(), dx.tolist()) == ([1, 4], [6, 20])
    for product in (functional.hvp, functional.vhp):
        y, hv = product(lambda x: (x**3).sum(), x, v)
        assert (y.item(), hv.tolist()) == (9, [18, 60])
    y, (dx, dv) = functional.vjp(lambda x, y: (x * y).sum(), (x, v))
    assert (y.item(), dx.tolist(), dv.tolist()) == (13, [3, 5], [1, 2])


def test_autograd_gradcheck_has_pytorchs_arguments():
    @tinynet.differentiable
    def wrong(x):
        return x**2, lambda dy: dy * x

    x = tinynet.randn(3, requires_grad=True)
    assert autograd.gradcheck(tinynet.exp, (x,), eps=1e-6, atol=1e-4) is True
    assert autograd.gradgradcheck(tinynet.sin, x) is True
    assert not autograd.gradcheck(wrong, x, raise_exception=False)
    with pytest.raises(AssertionError, match="wrong"):
        autograd.gradcheck(wrong, x)
    with pytest.raises(AttributeError, match="has no attribute 'hessian'"):
        autograd.hessian  # noqa: B018


# ----- create_graph ------------------------------------------------------------------------------


def test_backward_and_grad_create_a_graph():
    x = tensor(2.0, requires_grad=True)
    with tinynet.create_graph():
        y = x**3
    (dx,) = autograd.grad(y, x, create_graph=True)
    (ddx,) = autograd.grad(dx, x, create_graph=True)
    assert (dx.tolist(), ddx.tolist()) == ([12], [12])
    y.backward(create_graph=True)
    y.backward(create_graph=True)  # adds to it
    assert x.grad.tolist() == [24]
    assert x.grad.requires_grad


def test_retain_grad_and_hooks_see_recorded_gradients():
    x, seen = tensor(2.0, requires_grad=True), []
    with tinynet.create_graph():
        h = x * x
        h.retain_grad()
        h.register_hook(lambda dy: seen.append(dy.tolist()))
        y = h * h
    y.backward(create_graph=True)
    assert (h.grad.tolist(), h.grad.requires_grad, seen) == ([8], True, [[8]])
    assert x.grad.tolist() == [32]


def test_a_hook_that_replaces_a_gradient_is_recorded():
    x = tensor(2.0, requires_grad=True)
    h = x * x
    h.register_hook(lambda dy: dy * h)  # in the second backward pass too
    (dx,) = autograd.grad(h * h, x, create_graph=True)
    assert dx.tolist() == [128]
    assert autograd.grad(dx, x)[0].tolist() == [1088]  # as in PyTorch


def test_a_gradient_taken_within_a_backward_pass_is_its_own():
    """Also where it is of the same leaf, as in several threads."""
    w = tensor(2.0, requires_grad=True)
    inner = []

    @tinynet.differentiable
    def watched(x):
        def dx(dy):
            inner.append(autograd.grad(w * 5, w)[0].item())
            return dy

        return x * 1.0, dx

    assert autograd.grad(watched(w) * 3 + w, w)[0].item() == 4
    assert inner == [5]


def test_plain_training_keeps_nothing():
    y = (nn.Parameter([2.0]) * 3).exp()
    assert y.node.call is None
    with tinynet.create_graph(), tinynet.no_grad():
        assert not (tensor(2.0, requires_grad=True) * 3).requires_grad


def test_what_is_computed_from_a_tensor_of_ones_own_is_kept():
    x, w, g = tensor(2.0, requires_grad=True), nn.Parameter([3.0]), nn.Parameter([4.0])
    y = (w * g).exp() * 0 + x**3 * w * g  # w * g alone keeps nothing
    (dx,) = autograd.grad(y, x, create_graph=True)
    dx.backward()
    assert (dx.tolist(), x.grad.tolist()) == ([144], [144])
    assert (w.grad.tolist(), g.grad.tolist()) == ([48], [36])
    with pytest.raises(RuntimeError, match="how it was called is not kept"):
        ((w * g).exp() * x).backward(create_graph=True)


def test_dropout_uses_its_mask_again_and_statistics_move_once():
    tinynet.manual_seed(0)
    x = tinynet.Tensor(np.random.default_rng(0).standard_normal((6, 4)), requires_grad=True)
    norm = nn.BatchNorm1d(4).double()
    once = nn.BatchNorm1d(4).double()
    once(x)
    with tinynet.create_graph():
        h = norm(x)
        y = F.dropout(h, 0.5) ** 2
        (dx,) = autograd.grad(y.sum(), h, create_graph=True)
        kept = dx.array != 0
        (ddx,) = autograd.grad(dx.sum(), h, create_graph=True)
    assert 0 < kept.sum() < kept.size
    assert np.array_equal(ddx.array, np.where(kept, 8, 0))
    autograd.grad(ddx.sum() + dx.sum(), x)
    assert np.array_equal(norm.running_mean.array, once.running_mean.array)
    assert np.array_equal(norm.running_var.array, once.running_var.array)


def test_in_place_forms_have_second_derivatives():
    x = tensor(1.0, 2.0, requires_grad=True)

    def f(x):
        y = x * x
        y += x
        y[0] = x[1] ** 3
        return y.sum()

    assert tinynet.hessian(f)(x).tolist() == [[0, 0], [0, 14]]


IN_PLACE = (
    "y[0] += 1", "y[0] *= x[1]", "y[:, 1] += x[:, 2] * x[:, 0]", "y[:1] **= 2", "y[0] /= x[1]",
    "y[0] += x[1]; y[0] += x[2]", "y[0][1:] *= x[1][1:]", "y[0, 1] += x[2, 2] ** 2", "y *= y",
    "y[1:] -= y[:-1].clone()", "y[1:] = y[:-1]", "y[[0, 2]] += x[[1, 1]] ** 2", "y += y[0]",
    "y[0] *= 2; y *= x; y[1] += y[0]", "row = y[0]; row *= x[1]; y *= x", "y.copy_(y.t())",
)  # fmt: skip


@pytest.mark.parametrize("change", IN_PLACE)
def test_what_is_changed_in_place_has_the_right_second_derivative(change):
    def f(x):
        names = {"x": x, "y": x * x}
        exec(change, names)
        return names["y"] * x

    x = tinynet.Tensor(np.random.default_rng(0).uniform(0.5, 2, (3, 3)))
    gradcheck(f, x, order=2).raise_for_failures()


def row_from_itself(x):
    y = x * 1
    y[1] = y[1] ** 2 + y.reshape(1, 2).t()[0, 0] * x[1]
    y[0] = y[1] * y[0]
    return y.sum()


def row_from_itself_in_one_go(x):
    second = x[1] ** 2 + x[0] * x[1]
    return second * x[0] + second


def test_a_part_may_be_assigned_from_the_same_tensor():
    x = tensor(2.0, 3.0, requires_grad=True)
    found = tinynet.hessian(row_from_itself)(x)
    assert found.tolist() == tinynet.hessian(row_from_itself_in_one_go)(x).tolist()


# ----- operations in PyTorch's form --------------------------------------------------------------


class Cube(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x * x * dy


class Exp(Cube):
    """Its output, made by NumPy, has the derivatives that backward gives it."""

    @staticmethod
    def forward(ctx, x):
        ctx.y = tinynet.tensor(np.exp(x.detach().numpy()))
        ctx.save_for_backward(ctx.y)
        return ctx.y

    @staticmethod
    def backward(ctx, dy):
        return (ctx.saved_tensors[0] + ctx.y) / 2 * dy


class Bilinear(autograd.Function):
    @staticmethod
    def forward(x, w, factor):
        return factor * (x @ w)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.x, ctx.w, ctx.factor = inputs

    @staticmethod
    def backward(ctx, dy):
        return ctx.factor * (dy @ ctx.w.t()), ctx.factor * (ctx.x.t() @ dy), None


class Mask(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.parts = [2 * x, (x > 0).double()]
        return x.clip(0) ** 2

    @staticmethod
    def backward(ctx, dy):
        return ctx.parts[0] * ctx.parts[1] * dy


class Rows(autograd.Function):
    @staticmethod
    def forward(ctx, places, x):
        ctx.save_for_backward(places, x)
        return x[places] ** 3

    @staticmethod
    def backward(ctx, dy):
        places, x = ctx.saved_tensors
        return None, tinynet.zeros_like(x).index_add(0, places, 3 * x[places] ** 2 * dy)


@pytest.mark.parametrize("order", [2, 3])
def test_a_function_whose_backward_is_made_of_operations_has_every_order(order):
    rng = np.random.default_rng(0)
    x, w = (tinynet.Tensor(rng.standard_normal(shape)) for shape in [(2, 3), (3, 2)])
    for function in (Cube.apply, Exp.apply, Mask.apply):
        gradcheck(function, x, order=order).raise_for_failures()
    places = tinynet.tensor([0, 1, 0])
    gradcheck(lambda x: Rows.apply(places, x), x, order=order).raise_for_failures()
    gradcheck(lambda x, w: Bilinear.apply(x, w, 2.0), [x, w], order=order).raise_for_failures()


class Once(Cube):
    @staticmethod
    @autograd.function.once_differentiable
    def backward(ctx, dy):
        return Cube.backward(ctx, dy)


class ByNumpy(Cube):
    @staticmethod
    def backward(ctx, dy):
        return tinynet.tensor(3 * ctx.saved_tensors[0].numpy() ** 2) * dy


class KeptArray(Cube):
    @staticmethod
    def forward(ctx, x):
        ctx.slope = 3 * x.detach().numpy() ** 2
        return x**3

    @staticmethod
    def backward(ctx, dy):
        return tinynet.tensor(ctx.slope) * dy


class Data(Cube):
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x.data * x.data * dy


class ArrayOf(Cube):
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * tinynet.Tensor(x.array**2) * dy


class ArrayOfDy(Cube):
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x * x * tinynet.Tensor(dy.array)


class DataOfDy(Cube):
    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 3 * x * x * dy.data


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (Data, "return 3 . x.data.*a value leaves the record"),
        (ArrayOf, "at a point nearby it is not"),
        (DataOfDy, "return 3 . x . x . dy.data.*a value leaves the record"),
        (ArrayOfDy, "does not depend on dy as far as is recorded"),
        (Once, "Once.backward is marked once_differentiable"),
        (ByNumpy, r"test_derivatives.py:\d+: `return tinynet.*\.numpy\(\).*a value leaves"),
        (KeptArray, r"KeptArray.forward keeps an array of shape \(3,\).*save inputs"),
    ],
)
def test_a_function_that_would_lose_a_derivative_is_refused(function, words):
    assert tinynet.grad(lambda x: function.apply(x).sum())(X).tolist() == [3, 12, 27]
    with pytest.raises(RuntimeError, match=words):
        tinynet.hessian(lambda x: function.apply(x).sum())(X)


# ----- a model as a function of its parameters ---------------------------------------------------


def test_functional_call_replaces_parameters_and_puts_them_back():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    own = dict(model.named_parameters())
    x = tinynet.randn(4, 2)
    zeros = {name: tinynet.zeros_like(p) for name, p in own.items()}
    moved = {"1.running_mean": tinynet.ones(3)}
    model.eval()
    assert func.functional_call(model, (zeros, moved), x).tolist() == [[0.0] * 3] * 4
    assert all(p is q for p, q in zip(own.values(), model.parameters()))
    with pytest.raises(ValueError, match=r"did you mean '0.weight'"):
        func.functional_call(model, {"0.weigth": zeros["0.weight"]}, (x,))
    with pytest.raises(ShapeError):
        func.functional_call(model, {"0.weight": tinynet.zeros(1, 1)}, x)
    assert model[0].weight is own["0.weight"]


def test_functional_call_replaces_a_shared_parameter_everywhere():
    layer = nn.Linear(2, 2, bias=False)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    doubled = {"0.weight": 2 * tinynet.eye(2)}
    assert func.functional_call(model, doubled, tinynet.ones(1, 2)).tolist() == [[4, 4]]


def test_vmap_calls_a_function_for_each_example():
    params = {"w": tinynet.randn(3, dtype=np.float64), "b": tinynet.zeros(1, dtype=np.float64)}
    x, t = tinynet.randn(4, 3, dtype=np.float64), tinynet.randn(4, dtype=np.float64)

    def loss(params, x, t):
        return ((params["w"] * x).sum() + params["b"].sum() - t) ** 2

    each = func.vmap(func.grad(loss), in_dims=(None, 0, 0))(params, x, t)
    expected = 2 * ((x @ params["w"]) - t)
    np.testing.assert_allclose(each["w"].array, (expected.unsqueeze(1) * x).array)
    np.testing.assert_allclose(each["b"].array, expected.unsqueeze(1).array)
    both = func.vmap(lambda pair: (pair[0] * 2, pair[1]), out_dims=1)((x, x))
    assert [y.shape for y in both] == [(3, 4), (3, 4)]
    for batches, told in [((x, x.T), "4, 3"), ((x[:0], x), "0, 4"), ((x[:0], x[:0]), "0, 0")]:
        with pytest.raises(ShapeError, match=rf"batches of \[{told}\]"):
            func.vmap(lambda x, t: x)(*batches)
    with pytest.raises(ShapeError, match=r"batches of \[4, 3\]"):
        func.vmap(lambda both: both)({"x": x, "t": x.T})
    turned = func.vmap(lambda x: {"x": x, "y": -x} if x[0] > 0 else {"y": -x, "x": x})(x)
    np.testing.assert_array_equal(turned["x"].array, x.array)
    with pytest.raises(ShapeError, match=r"a result is a dict of '[ab]', what belongs to it"):
        func.vmap(lambda x: {"a" if x > 0 else "b": x})(tinynet.tensor([1.0, -1.0]))
    assert func.vmap(lambda empty, x: x)({}, x).shape == x.shape
    with pytest.raises(ValueError, match="1 in_dims for 2 arguments"):
        func.vmap(loss, in_dims=(0,))(x, t)


LEAVES = {
    "np.asarray": lambda x: tinynet.tensor(np.exp(np.asarray(x))),
    "numpy": lambda x: tinynet.from_numpy(x.numpy() * 2),
    "tensor": tinynet.tensor,
    "Tensor": tinynet.Tensor,
    "new_tensor": lambda x: x.new_tensor(x),
    "full": lambda x: tinynet.full((2,), x[0]),
    "full_like": lambda x: tinynet.full_like(x, x[0]),
    "item": lambda x: x * x[0].item(),
    "float": lambda x: x * float(x[0]),
    "tolist": lambda x: tinynet.tensor(x.tolist()),
    "math": lambda x: x * math.exp(x[0]),
}


@pytest.mark.parametrize("way", LEAVES)
def test_a_value_that_leaves_a_function_being_differentiated_is_warned_of(way):
    def f(x):
        return LEAVES[way](x).sum()

    with pytest.warns(UserWarning, match=r"a value leaves the record.*\.detach\(\)"):
        tinynet.grad(f)(X)
    tinynet.grad(lambda x: (x * f(x.detach())).sum())(X)
    with tinynet.create_graph():
        f(tensor(1.0, 2.0, requires_grad=True))
    tinynet.grad(
        lambda x: (tinynet.ones_like(x) * x * (x[0] > 0) * f"{x[0]:.1f}".count(".")).sum()
    )(X)


# ----- what is refused ---------------------------------------------------------------------------

counter = iter(range(100))


def through_asarray(x):
    x = np.asarray(x)
    return x * x, lambda dy: 2 * x * dy


def through_float(x):
    scale = float(x[0])
    return x * scale, lambda dy: dy * scale


def through_math(x):
    return x * x, lambda dy: dy * 2 * math.sqrt(x[0] ** 2)


def into_an_array(x):
    def dx(dy):
        filled = np.zeros(x.shape)
        filled[:] = 2 * x * dy
        return filled

    return x * x, dx


def added_into_an_array(x):
    def dx(dy):
        filled = np.zeros(x.shape)
        filled += 2 * x * dy
        return filled

    return x * x, dx


def unknown_function(x):
    return np.interp(x, [0, 5], [0, 10]), lambda dy: 2 * dy


def through_a_view(x):
    y = x * 1
    part = y[:1]
    y *= x
    return y + part.sum() - part.sum(), lambda dy: 2 * x * dy


def at_random(x):
    return x * next(counter), lambda dy: dy


def method_of_an_array(x):
    return np.array(x.tolist()), lambda dy: dy


def goes_on(x):
    try:
        slope = float(x[0])
    except TypeError:
        slope = 1.0  # which it is
    return x * slope, lambda dy: dy * slope


def goes_on_in_dx(x):
    def dx(dy):
        with contextlib.suppress(Exception):
            return 2 * dy * np.asarray(x)
        return 2 * dy

    return x * x, dx


def asks_for_its_class(x):
    return x * x, lambda dy: dy * 2 * (x if isinstance(x, np.ndarray) else 1.5)


def asks_for_an_attribute(x):
    return x * x, lambda dy: dy * 2 * (x if hasattr(x, "tolist") else 1.5)


def counts_in_dx(x):
    return x * x, lambda dy: dy * x * next(counter)


class Keeping:
    def __init__(self):
        self.by_key, self.calls, self.saved, self.factor, self.offset = {}, [], None, None, 1.0

    def slope(self, x):
        if self.saved is None:
            self.saved = 2 * x
        return self.saved


kept, kept_slope, first_calls = Keeping(), None, collections.deque()


def kept_by_key(x):
    slope = kept.by_key.setdefault("slope", 2 * x)
    return x * x, lambda dy: dy * slope


def kept_in_a_list(x):
    kept.calls.append([2 * x])
    return x * x, lambda dy: dy * kept.calls[0][0]


def kept_by_a_helper(x):
    slope = kept.slope(x)
    return x * x, lambda dy: dy * slope


def kept_as_a_global(x):
    global kept_slope
    kept_slope = 2 * x if kept_slope is None else kept_slope
    return x * x, lambda dy: dy * kept_slope


def kept_in_a_default(x, memo={}):  # noqa: B006 (which is what is refused)
    slope = memo.setdefault("slope", 2 * x)
    return x * x, lambda dy: dy * slope


def kept_by_a_class(x):
    Keeping.shared = getattr(Keeping, "shared", 2 * x)
    return x * x, lambda dy: dy * kept.shared


def kept_on(holder):
    def kept_on(x):
        holder.shared = getattr(holder, "shared", 2 * x)
        return x * x, lambda dy: dy * holder.shared

    return kept_on


class Slots:
    __slots__ = ("shared",)


def kept_in_a_deque(x):
    first_calls.append(2 * x)
    return x * x, lambda dy: dy * first_calls[0]


class KeptByNumpy(Cube):
    @staticmethod
    def forward(ctx, x):
        KeptByNumpy.y = tinynet.tensor(np.exp(x.detach().numpy()))
        return KeptByNumpy.y

    @staticmethod
    def backward(ctx, dy):
        return KeptByNumpy.y * dy


first_arrays, first_weights, averages = {}, {}, {}


def kept_for_arrays(x):
    if isinstance(x, np.ndarray):
        first_arrays["z"] = x.copy()
    z = first_arrays["z"]
    return x * z * z, lambda dy: dy * 3 * z * z


def kept_as_a_weight(x):
    k = first_weights.setdefault("k", x * x)
    return x * k, lambda dy: dy * k + dy * 2 * x * x


def kept_as_an_average(x):
    averages["m"] = m = 0.9 * averages.get("m", float(np.mean(x))) + 0.1 * np.mean(x)
    return (x - m) ** 2, lambda dy: 2 * dy * (x - m)


def kept_as_a_number(x):
    if kept.factor is None:
        kept.factor = float(x.sum())
    return x * kept.factor * kept.offset, lambda dy: dy * kept.factor


def given_from_outside():
    slope = np.array([2.0, 4.0])

    def from_outside(x):
        return x * x, lambda dy: dy * slope

    return from_outside


REFUSED = {
    kept_by_key: r"kept\.by_key\['slope'\] comes from outside the body",
    kept_in_a_list: r"kept\.calls\[0\]\[0\] comes from outside",
    kept_by_a_helper: r"kept\.saved comes from outside",
    kept_as_a_number: r"kept\.factor comes from outside",
    kept_as_a_global: "kept_slope comes from outside",
    kept_in_a_default: r"the default\['slope'\] comes from outside",
    kept_by_a_class: r"(kept|Keeping)\.shared comes from outside",
    KeptByNumpy._operation.forward: r"cls\.y comes from outside",
    kept_on(Keeping()): r"holder\.shared comes from outside",
    given_from_outside(): "from_outside.x.:`: slope comes from outside",
    kept_for_arrays: r"first_arrays\['z'\] comes from outside",
    kept_as_a_weight: r"first_weights\['k'\] comes from outside",
    kept_as_an_average: r"averages\['m'\] comes from outside",
    **dict.fromkeys(
        (
            kept_in_a_deque,
            *map(kept_on, (Slots(), threading.local(), types.SimpleNamespace())),
        ),
        "its gradient is that of its result, but at a point nearby it is not",
    ),
    through_asarray: "x = np.asarray\\(x\\)`: a value leaves the record here",
    through_float: "scale = float\\(x\\[0\\]\\)`: a value leaves",
    through_math: "math.sqrt.*a value leaves the record",
    into_an_array: "filled\\[:\\] = 2 \\* x \\* dy`: a value leaves",
    added_into_an_array: "writes what is recorded into a plain array",
    unknown_function: "np.interp has no operation of tinynet",
    through_a_view: "changes an argument in place, or an array with a view",
    at_random: "does not compute the same once more",
    goes_on: "a value leaves the record here.*goes on as if nothing was",
    goes_on_in_dx: "a value leaves the record here.*goes on as if nothing was",
    asks_for_its_class: "does not compute the same once more.*asks whether it has an ndarray",
    asks_for_an_attribute: "does not compute the same once more",
    counts_in_dx: "does not compute the same once more",
    method_of_an_array: "an array has no .tolist that is recorded; use",
}


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: body.__name__)
def test_a_body_that_cannot_be_replayed_is_named_with_its_line(body):
    op = tinynet.differentiable(body)
    x = tensor(1.0, 2.0, requires_grad=True)
    before = kernels.current
    with tinynet.create_graph():
        y = op(x)
        with pytest.raises(RuntimeError, match=REFUSED[body]) as raised:
            autograd.grad(y.sum(), x, create_graph=True)
    assert str(raised.value).startswith(f"{body.__name__}: its body cannot run on tensors")
    assert f"{__file__}:" in str(raised.value) or body in (at_random, counts_in_dx)
    assert kernels.current is before


WEIGHTS = np.array([1.0, 3.0])
WEIGHTS.flags.writeable = False


def scaled(x):
    return x * x * WEIGHTS, lambda dy: 2 * x * WEIGHTS * dy


def scaled_by_a_number(x):
    scales.factor = getattr(scales, "factor", None) or float(x.sum())  # from then on a constant
    return x * x * scales.factor, lambda dy: 2 * x * scales.factor * dy


def with_its_output_on_an_object(x):
    scales.y = np.exp(x)
    return scales.y, lambda dy: dy * scales.y


def squared_relu(x):
    return np.maximum(x, 0) ** 2, lambda dy: 2 * np.maximum(x, 0) * dy


def of_the_largest(x):
    return x * (x > 1), lambda dy: dy * (x > 1)


def rounded_straight_through(x):
    return np.round(x), lambda dy: dy * x


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return p, lambda dy: p * (dy - (dy * p).sum(1, keepdims=True))  # 0 but for rounding


def rounded(x):
    return x * 1, lambda dy: dy * x.astype(int)


scales = types.SimpleNamespace()
ACCEPTED = {
    scaled: [2, 6, 2, 6],
    scaled_by_a_number: [2, 2, 2, 2],
    with_its_output_on_an_object: np.exp([1.0, 2, 0, -2]),
    squared_relu: [2, 2, 1, 0],
    of_the_largest: [0, 0, 0, 0],
    rounded_straight_through: [1, 1, 1, 1],
    rounded: [0, 0, 0, 0],
    softmax: [0, 0, 0, 0],
}
"""Bodies, and their second derivatives at POINTS."""
POINTS = [[1.0, 2.0], [0.0, -2.0]]


@pytest.mark.parametrize("body", ACCEPTED, ids=lambda body: body.__name__)
def test_constants_from_outside_and_gradients_of_ones_own_are_recorded(body):
    x = tinynet.Tensor(POINTS, requires_grad=True)
    with tinynet.create_graph():
        (dx,) = autograd.grad(tinynet.differentiable(body)(x).sum(), x, create_graph=True)
    (second,) = autograd.grad(dx.sum(), x)
    np.testing.assert_allclose(second.array.ravel(), ACCEPTED[body], 1e-6, 1e-7)


def test_what_a_body_kept_of_a_record_is_no_array():
    means = types.SimpleNamespace(mean=0.0)

    @tinynet.differentiable
    def centred(x):
        means.mean = 0.9 * means.mean + 0.1 * x.mean()
        return x - means.mean, lambda dy: dy - 0.1 * dy.mean()

    with pytest.raises(RuntimeError, match="does not compute the same once more"):
        tinynet.hessian(lambda x: centred(x).sum())(X)
    with pytest.raises(TypeError, match="keep nothing from call to call"):
        centred(X)


def filled(x, fill):
    y = np.zeros_like(x)
    fill(y, 2 * x)
    return y


def added_to_rows(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] += x[i]
        y[i][:1] += x[i][:1]
    y[:, 1:] *= 2
    return y


def added_to_a_row_in_use(x):
    y = 2 * x
    row, rest = y[0], y[1:]
    row += x[0]
    return np.concatenate([row[None] - x[0], rest])


def through_views(x):
    y = x * 1
    rows = y.T
    y *= 2
    return rows.T


TWICE = {  # ways to compute 2 x from an array of shape (3, 2)
    "deepcopy": lambda x: 2 * copy.deepcopy(x),
    "copy": lambda x: 2 * np.copy(x),
    "array": lambda x: 2 * np.array(x),
    "ascontiguousarray": lambda x: 2 * np.ascontiguousarray(x),
    "an array of numbers": lambda x: np.array([[2 * b for b in a] for a in x]),
    "an array of objects": lambda x: np.array([[2 * b for b in a] for a in x], "O").astype(float),
    "rows in a list": lambda x: np.stack([2 * row for row in x]),
    "sum of Python": lambda x: sum([x, x]),
    "copyto": lambda x: filled(x, np.copyto),
    "put": lambda x: filled(x, lambda y, value: np.put(y, range(6), value)),
    "putmask": lambda x: filled(x, lambda y, value: np.putmask(y, y == 0, value)),
    "assigned": lambda x: filled(x, lambda y, value: y.__setitem__(..., value)),
    "assigned to rows": lambda x: filled(x, lambda y, value: y.__setitem__([0, 1, 2], value)),
    "assigned by a mask": lambda x: filled(x, lambda y, v: y.__setitem__(v > 0, v[v > 0]))
    + filled(x, lambda y, v: y.__setitem__(v <= 0, v[v <= 0])),
    "added at": lambda x: filled(x, lambda y, value: np.add.at(y, [0, 1, 2], value)),
    "out": lambda x: np.multiply(x, 2, out=np.empty_like(x)),
    "out, a plain array": lambda x: np.multiply(x, 2, out=np.empty(x.shape)),
    "fft": lambda x: 2 * np.fft.irfft(np.fft.rfft(x, axis=0), 3, 0),
    "complex": lambda x: (2 * x.astype(complex)).real,
    "frompyfunc": lambda x: np.frompyfunc(lambda v: 2 * v, 1, 1)(x).astype(float),
    "vectorize": lambda x: np.vectorize(lambda v: 2 * v)(x),
    "apply_along_axis": lambda x: np.apply_along_axis(lambda v: 2 * v, 0, x),
    "order of reshape": lambda x: 2 * x.reshape(-1, order="F").reshape(x.shape, order="F"),
    "dtype of sum": lambda x: 2 * x[None].sum(0, np.float64),
    "out of max": lambda x: 2 * x[None].max(0, None, True)[0],
    "pad by reflection": lambda x: 2 * np.pad(x, ((1, 1), (0, 0)), "reflect")[1:-1],
    "pad": lambda x: 2 * np.pad(x, ((1, 1), (0, 0)))[1:-1],
    "sort": lambda x: 2 * np.sort(x.ravel())[np.argsort(np.argsort(x.ravel()))].reshape(3, 2),
    "cumsum": lambda x: 2 * np.diff(np.concatenate([np.zeros((1, 2)), x.cumsum(0)]), axis=0),
    "float32": lambda x: 2 * x.astype(np.float32).astype(float),
    "fraction": lambda x: 2 * (x // 1 + x % 1),
    "sign": lambda x: 2 * np.sqrt(x**2) * np.sign(x),
    "linalg": lambda x: 2 * np.linalg.solve(np.eye(3), x),
    "an operation": lambda x: tinynet.mul(x, 2.0).array,
    "views": through_views,
    "added to rows": added_to_rows,
    "added to a row in use": added_to_a_row_in_use,
    "text": lambda x: np.array([[2 * float(f"{b}") for b in a] for a in x]),
    "bytes": lambda x: 2 * np.frombuffer(pickle.loads(pickle.dumps(x)).tobytes()).reshape(3, 2),
    "where of a sum": lambda x: 2 * x[None].sum(0, where=True),
    "fill_diagonal": lambda x: filled(x, lambda y, v: np.fill_diagonal(y, v[0, 0])) * 0 + 2 * x,
}  # fmt: skip
WORKS = (
    *("deepcopy", "copy", "rows in a list", "sum of Python", "assigned", "assigned to rows"),
    *("assigned by a mask", "added at", "out", "pad", "sort", "float32", "fraction", "sign"),
    "added to rows",
)


@pytest.mark.parametrize("way", TWICE)
def test_a_body_has_the_right_second_derivative_or_none(way):
    rng = np.random.default_rng(0)
    x = tinynet.Tensor(rng.standard_normal((3, 2)), requires_grad=True)
    dy, v = (tinynet.Tensor(rng.standard_normal((3, 2))) for _ in range(2))
    square = tinynet.differentiable(lambda x: (x * x, lambda dy: dy * TWICE[way](x)))
    square(x).backward(dy)
    np.testing.assert_allclose(x.grad.array, 2 * x.array * dy.array, 1e-6)
    with tinynet.create_graph():
        y = square(x)
        if way in WORKS:
            (dx,) = autograd.grad(y, x, dy, create_graph=True)
            np.testing.assert_allclose(dx.array, x.grad.array, 1e-6)
            (second,) = autograd.grad(dx, x, v)
            np.testing.assert_allclose(second.array, 2 * (dy * v).array, 1e-6)
        else:
            with pytest.raises(RuntimeError, match=r"test_derivatives.py:\d+: ") as raised:
                autograd.grad(y, x, dy, create_graph=True)
            assert not re.search(r"Traced|locals", str(raised.value).split("`")[-1])


def changed_leaf():
    x = tensor(1.0, requires_grad=True)
    with tinynet.create_graph():
        y = x**3
    with tinynet.no_grad():
        x *= 2
    autograd.grad(y, x, create_graph=True)


def freed():
    x = tensor(1.0, requires_grad=True)
    with tinynet.create_graph():
        y = x**3
    y.backward()
    y.backward(create_graph=True)


@pytest.mark.parametrize(
    ("compute", "error", "words"),
    [
        (
            lambda: (nn.Parameter([1.0]) ** 2).backward(create_graph=True),
            RuntimeError,
            "pow: how it was called is not kept.*inside `with tinynet.create_graph",
        ),
        (freed, RuntimeError, "pow: how it was called is freed"),
        (changed_leaf, RuntimeError, "pow: its input of shape .* changed in place"),
        (lambda: tinynet.grad(lambda x: x * 2)(X), RuntimeError, "not of shape .3,.; reduce it"),
        (lambda: tinynet.grad(lambda x: 1.0)(X), TypeError, "not a float; make it"),
        (lambda: tinynet.grad(cubes)(2.0), TypeError, "not a float; make it a tensor"),
        (lambda: tinynet.grad(cubes)(tinynet.arange(3)), TypeError, "^grad: only float tensors"),
        (lambda: func.hvp(cubes, tinynet.arange(3), X), TypeError, "^hvp: only float tensors"),
        (lambda: autograd.functional.vhp(cubes, X, X[:2]), ShapeError, "^vhp: xs is .*3,., .*2,."),
        (
            lambda: tinynet.grad(cubes, 1)(X),
            IndexError,
            "argnums=1, but the function is called with 1 argument",
        ),
        (
            lambda: tinynet.vjp(cubes, X)[1](V),
            ShapeError,
            r"vjp: the result is of shape \(\), what belongs to it is of shape \(3,\)",
        ),
        (
            lambda: tinynet.jvp(cubes, X, X[:2]),
            ShapeError,
            r"jvp: primals\[0\] is .*3,., .* of .*2,.",
        ),
        (lambda: tinynet.hvp(cubes, X, X[:2]), ShapeError, r"hvp: xs is .*3,., .* of .*2,."),
        (
            lambda: tinynet.hvp(cubes, X, (X, X)),
            ShapeError,
            "xs is of .*, .* list of 2",
        ),
        (lambda: tinynet.jvp(cubes, X, 1.0), ShapeError, r"primals\[0\] is .*3,., .* is a float"),
        (lambda: tinynet.jvp(cubes, 1.0, 1.0), TypeError, "not a float; make it a tensor"),
        (
            lambda: tinynet.hvp(of_both, AB, {"a": X, "c": V}),
            ShapeError,
            r"hvp: xs is a dict of 'a', 'b', what belongs to it is a dict of 'a', 'c'",
        ),
        (
            lambda: tinynet.jvp(lambda p: p[0] * p[1][0], [[X, [V]]], [[[X], V]]),
            ShapeError,
            r"jvp: primals\[0\]\[0\] is of shape \(3,\), what .* to it is a tuple or list of 1",
        ),
        (
            lambda: tinynet.vjp(lambda x: {"p": x, "q": [x, x[1:]]}, X)[1]({"q": [V, V], "p": V}),
            ShapeError,
            r"vjp: the result\['q'\]\[1\] is of shape \(2,\), .* of shape \(3,\)",
        ),
        *[
            (
                lambda change=change: tinynet.grad(change)(X),
                RuntimeError,
                f"^{words} on a view "
                r".argument of grad.*Write `x = x . \.\.\.`, change a copy .`x = x.clone",
            )
            for change, words in [
                (lambda x: operator.iadd(x, 1).sum(), r"\+="),
                (lambda x: operator.setitem(x, 0, 5.0) or x.sum(), r"\[\.\.\.\] ="),
                (lambda x: operator.iadd(x[:2], 1).sum(), r"\[\.\.\.\] ="),
                (lambda x: x.mul_(2).sum(), "mul_"),
            ]
        ],
        (lambda: gradcheck(cubes, X, order=0), ValueError, "order must be 1 or more"),
    ],
)
def test_misuse_is_said(compute, error, words):
    with pytest.raises(error, match=words):
        compute()


CALLED = {
    "grad": lambda f: tinynet.grad(f)(X),
    "value_and_grad": lambda f: tinynet.value_and_grad(f)(X),
    "grad_and_value": lambda f: func.grad_and_value(f)(X),
    "vjp": lambda f: tinynet.vjp(f, X),
    "jvp": lambda f: tinynet.jvp(f, X, V),
    "jacobian": lambda f: tinynet.jacobian(f)(X),
    "jacrev": lambda f: func.jacrev(f)(X),
    "jacfwd": lambda f: func.jacfwd(f)(X),
    "hessian": lambda f: tinynet.hessian(f)(X),
    "hvp": lambda f: tinynet.hvp(f, X, V),
    "vhp": lambda f: autograd.functional.vhp(f, X, V),
}


@pytest.mark.parametrize("name", CALLED)
def test_an_error_names_the_transform_that_was_called(name):
    with pytest.raises(RuntimeError, match=f"argument of {name.replace('_', ' ')}\\)"):
        CALLED[name](lambda x: x.mul_(2).sum())
    with pytest.raises(TypeError, match=f"^{name}: takes tensors"):
        CALLED[name](lambda x: 1.0)
    homes = [module for module in (func, tinynet, autograd.functional) if hasattr(module, name)]
    transform = getattr(homes[0], name)
    assert transform.__name__ == name
    assert transform.__doc__
    assert "name" not in inspect.signature(transform).parameters


def test_a_product_of_several_values_needs_the_vector():
    with pytest.raises(RuntimeError, match=r"vjp starts from a single value.* \(3,\)"):
        autograd.functional.vjp(lambda x: x * 2, X)


def test_the_page_runs_from_top_to_bottom(tmp_path, capsys):
    page = (Path(__file__).parents[1] / "docs" / "derivatives.md").read_text(encoding="utf-8")
    script = tmp_path / "page.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)))
    runpy.run_path(str(script))
    printed = capsys.readouterr().out
    assert "page.py:" in printed
    assert "`x = np.asarray(x)`: a value leaves the record" in printed


@pytest.mark.parametrize("value", [-100.0, -1.0, 0.0, 1.0, 100.0])
def test_saturated_units_have_finite_derivatives_of_any_order(value):
    x = tinynet.tensor(value)  # float32, whose exponential overflows at 89
    for function in (tinynet.sigmoid, F.silu, F.softplus, F.logsigmoid):
        second = tinynet.grad(tinynet.grad(function))
        assert np.isfinite(second(x).array), function
        assert np.isfinite(tinynet.grad(second)(x).array), function
    s = 1 / (1 + math.exp(-value))
    slope = tinynet.grad(tinynet.grad(F.softplus))(x).item()
    assert slope == pytest.approx(s * (1 - s), rel=1e-5, abs=1e-30)


def test_derivatives_where_a_formula_divides_zero_by_zero():
    def d(value):
        return tinynet.tensor(np.array(value, float))

    assert tinynet.grad(lambda x: tinynet.xlogy(x, d(0.5)))(d(0.0)).item() == math.log(0.5)
    mixed = tinynet.grad(lambda x: tinynet.grad(lambda y: tinynet.xlogy(x, y))(d(0.5)))
    assert mixed(d(0.0)).item() == 2
    second = tinynet.grad(tinynet.grad(tinynet.sinc))
    assert second(d(0.0)).item() == pytest.approx(-(math.pi**2) / 3)
    assert tinynet.grad(tinynet.grad(second))(d(0.0)).item() == pytest.approx(math.pi**4 / 5)
    assert tinynet.grad(lambda y: tinynet.atan2(y, d(0.0)))(d(0.0)).item() == 0
    for p in (1.5, 2.5):
        curved, rest = (
            tinynet.hessian(lambda x, p: x.norm(p))(d(x), p).array
            for x in ([0.0, 1.0, 2.0], [1.0, 2.0])
        )
        np.testing.assert_allclose(curved, np.pad(rest, (1, 0)))


def test_a_slope_at_the_ends_of_clamp():
    def slopes(*bounds):
        x = tensor(0.0, 1.0, 1.5, 2.0, 3.0, requires_grad=True)
        x.clamp(*bounds).sum().backward()
        return x.grad.tolist()

    low, high = (tensor(bound, requires_grad=True) for bound in (1.0, 2.0))
    assert slopes(1, 2) == slopes(low, high) == [0, 1, 1, 1, 0]
    assert (low.grad.item(), high.grad.item()) == (1, 1)
    assert slopes(2, 1) == slopes(high, low) == [0, 0, 0, 0, 0]
