"""Tensor as a user meets it: operators, dtypes, indexing, NumPy's protocols, changes in place."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import tinynet
from tinynet import ShapeError, Tensor, nn, ops
from tinynet.gradcheck import gradcheck
from tinynet.ops.erf import erf


def leaf(*values, dtype=np.float64):
    return tinynet.tensor(np.array(values, dtype), requires_grad=True)


def f32(*shape):
    return tinynet.tensor(np.linspace(0.5, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape))


BINARY = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "//": lambda x, y: x // y,
    "%": lambda x, y: x % y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}
binary = pytest.mark.parametrize("op", BINARY.values(), ids=BINARY)


# ----- operators and dtypes ---------------------------------------------------------------------


@binary
def test_operators_compute_what_numpy_computes(op):
    x, y = f32(3, 4), f32(4)
    for left, right in [(x, y), (x, y.array), (x.array, y), (x, 2.0), (2.0, x), (x, 2), (2, x)]:
        result = op(left, right)
        expected = op(
            left.array if isinstance(left, Tensor) else left,
            right.array if isinstance(right, Tensor) else right,
        )
        assert type(result) is Tensor
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.array, expected)


@binary
@pytest.mark.parametrize("scalar", [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2)])
def test_a_scalar_never_promotes(op, scalar):
    for dtype in (np.float32, np.float64):
        x = tinynet.tensor(np.array([1.5, 2.5], dtype))
        for result in (op(x, scalar), op(scalar, x)):
            assert result.dtype in (dtype, np.bool_)


def test_a_numpy_scalar_compares_in_the_tensors_dtype():
    assert bool((tinynet.tensor([0.1]) == np.float64(0.1)).all())


def test_arrays_follow_numpys_promotion():
    x = f32(3)
    assert (x + np.ones(3)).dtype == np.float64
    assert (x + np.ones(3, np.int16)).dtype == np.float32


def test_tensors_follow_pytorchs_promotion():
    x, whole = f32(3), tinynet.tensor([1, 2, 3])
    assert (x * tinynet.tensor(2.0, dtype=np.float64)).dtype == np.float32
    assert (x * tinynet.tensor([2.0], dtype=np.float64)).dtype == np.float64
    assert (x + whole).dtype == (whole * 2.5).dtype == (whole / whole).dtype == np.float32
    assert (whole + tinynet.tensor(True)).dtype == np.int64
    assert (tinynet.tensor([1], dtype=tinynet.uint8) + whole).dtype == np.int64


def test_an_int_tensor_and_a_float_give_the_default_dtype():
    n = tinynet.tensor([1, 2])
    for result in (n + 0.5, 0.5 * n, n / 2.0, n**0.5, n.clip(1.5)):
        assert result.dtype == np.float32
    assert (n + 1).dtype == np.int64
    assert (n**2).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_method_keeps_the_float_dtype(dtype):
    x = tinynet.tensor(np.linspace(0.1, 0.9, 12).reshape(3, 4).astype(dtype), requires_grad=True)
    methods = (
        "neg exp log sqrt square abs tanh sigmoid relu leaky_relu elu gelu silu softplus sum mean "
        "var std max min prod norm logsumexp softmax log_softmax flatten ravel T mT t clone"
    )
    for name in methods.split():
        x.zero_grad()
        y = getattr(x, name)
        y = y if isinstance(y, Tensor) else y()
        assert y.dtype == dtype, name
        y.sum().backward()
        assert x.grad.dtype == dtype, name
        assert x.grad.shape == x.shape, name


def test_mixed_dtypes_give_each_input_a_gradient_of_its_own_dtype():
    x = tinynet.ones(3, requires_grad=True)
    w = tinynet.ones(3, dtype=np.float64, requires_grad=True)
    (x * w).sum().backward()
    assert (x.grad.dtype, w.grad.dtype) == (np.float32, np.float64)


def test_matmul_operator_takes_arrays_on_both_sides():
    a, b = f32(2, 3), f32(3, 4)
    np.testing.assert_array_equal((a @ b).array, a.array @ b.array)
    np.testing.assert_array_equal((a.array @ b).array, a.array @ b.array)
    np.testing.assert_array_equal((a @ b.array).array, a.array @ b.array)


def test_unary_operators():
    x = tinynet.tensor([-1.5, 2.0])
    assert (-x).tolist() == [1.5, -2.0]
    assert abs(x).tolist() == [1.5, 2.0]
    assert (+x).tolist() == x.tolist()
    assert (~tinynet.tensor([True, False])).tolist() == [False, True]
    with pytest.raises(TypeError, match="bool and integer"):
        x.__invert__()


def test_bool_tensors_combine_with_tensors_arrays_and_bools():
    a, b = tinynet.tensor([True, True, False]), tinynet.tensor([True, False, False])
    assert (a & b).tolist() == [True, False, False]
    assert (a | b.array).tolist() == [True, True, False]
    assert (a.array ^ b).tolist() == [False, True, False]
    assert (True & a).tolist() == a.tolist()
    assert (True | a).tolist() == [True] * 3
    assert (True ^ a).tolist() == [False, False, True]


@binary
def test_shapes_that_do_not_broadcast_are_named(op):
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4,\) do not broadcast"):
        op(f32(2, 3), f32(4))


def test_comparison_with_what_is_no_number_is_false():
    x = f32(2)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711


def test_operators_without_a_gradient_refuse_to_lose_one():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match="// cannot be recorded"):
        3 // x
    assert (x.detach() % 2).tolist() == [1.0, 0.0]
    with tinynet.no_grad():
        assert (x // 2).tolist() == [0.0, 1.0]
    assert (x > 1).tolist() == [False, True]


def test_operands_that_are_no_numbers_are_refused():
    with pytest.raises(TypeError, match="not supported"):
        f32(2) + None
    with pytest.raises(TypeError, match="not supported"):
        f32(2) * "a"
    assert (f32(2) * [2, 2]).shape == (2,)


# ----- construction -----------------------------------------------------------------------------


def test_tensors_copy_what_from_numpy_and_as_tensor_share():
    array = np.ones((2, 3))
    for copied in (Tensor(array), tinynet.tensor(array), nn.Parameter(array)):
        assert not np.shares_memory(copied.array, array)
        assert copied.dtype == np.float64
    for shared in (tinynet.from_numpy(array), tinynet.as_tensor(array)):
        assert shared.array is array
    t = tinynet.as_tensor(array)
    assert tinynet.as_tensor(t) is t
    assert nn.Parameter(t).array is array
    assert tinynet.as_tensor(array, tinynet.float32).dtype == np.float32
    with pytest.raises(TypeError, match="takes an ndarray, got a list"):
        tinynet.from_numpy([1.0])


def test_data_is_a_tensor_that_shares_the_memory():
    w = tinynet.ones(3, requires_grad=True)
    memory = w.array
    assert isinstance(w.data, Tensor)
    assert not w.data.requires_grad
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad.data
    w.grad.data.zero_()
    assert w.array is memory
    assert w.tolist() == [0, 0, 0]
    assert w.grad.tolist() == [0, 0, 0]
    w.data = np.full(3, 7.0, np.float32)
    assert w.tolist() == [7, 7, 7]
    assert w.requires_grad
    y = w * w
    w.data *= 2
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_only_floats_can_require_a_gradient():
    with pytest.raises(TypeError, match="int64"):
        tinynet.tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="bool"):
        tinynet.tensor([True]).requires_grad_()
    assert tinynet.tensor([1.0]).requires_grad_().requires_grad


@pytest.mark.parametrize("dtype", [np.complex64, np.float16, "datetime64[s]", object, "U3"])
def test_dtypes_that_tinynet_lacks_are_refused(dtype):
    with pytest.raises(TypeError, match="not supported"):
        Tensor(np.zeros(2, dtype))


def test_ragged_lists_are_refused():
    with pytest.raises(ShapeError, match="different lengths"):
        tinynet.tensor([[1, 2], [3]])


# ----- what it is -------------------------------------------------------------------------------


def test_sizes_by_numpys_and_pytorchs_names():
    x = f32(2, 3)
    assert (x.shape, x.size(), x.size(1), x.ndim, x.dim(), x.numel(), len(x)) == (
        (2, 3), (2, 3), 3, 2, 2, 6, 2,
    )  # fmt: skip
    assert x.is_leaf
    assert not (x.requires_grad_() * 2).is_leaf


def test_a_tensor_without_axes_has_no_length():
    with pytest.raises(TypeError, match=r"item\(\)"):
        len(tinynet.tensor(1.0))
    with pytest.raises(TypeError, match=r"item\(\)"):
        list(tinynet.tensor(1.0))


def test_iteration_gives_recorded_rows():
    x = tinynet.ones(3, 2, requires_grad=True)
    for i, row in enumerate(x):
        (row * i).sum().backward()
    assert x.grad.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_truth_value():
    assert tinynet.tensor([2.0])
    assert not tinynet.tensor(0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(f32(2))


def test_membership_looks_at_the_elements():
    x = tinynet.tensor([[1, 2], [3, 4]])
    assert 3 in x
    assert 5 not in x


def test_conversion_to_python_numbers():
    x = tinynet.tensor([[2.5]])
    assert (x.item(), float(x), int(x), f"{x:.2f}") == (2.5, 2.5, 2, "2.50")
    assert isinstance(tinynet.tensor(3).item(), int)
    assert [10, 20, 30][tinynet.tensor(1)] == 20
    with pytest.raises(ValueError, match=r"\(2,\)"):
        f32(2).item()
    with pytest.raises(TypeError, match="index"):
        [10, 20][tinynet.tensor(1.0)]


def test_repr_shows_values_dtype_and_the_operation():
    assert repr(tinynet.tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert repr(tinynet.tensor([1.0], dtype=np.float64)) == "tensor([1.], dtype=tinynet.float64)"
    x = tinynet.tensor([1.0], requires_grad=True)
    assert repr(x) == "tensor([1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr(tinynet.where(x > 0, x, 0.0)) == "tensor([1.], grad_fn=<WhereBackward0>)"
    assert repr(tinynet.zeros(0, 3)) == "tensor([], size=(0, 3))"
    assert "...," in repr(tinynet.zeros(40, 40))


def test_print_options():
    x = tinynet.tensor([1 / 3, 2.0])
    try:
        tinynet.set_printoptions(precision=2, linewidth=16)
        assert str(x) == "tensor([0.33,\n        2.00])"
        tinynet.set_printoptions(profile="full", sci_mode=True)
        assert str(x) == "tensor([3.3333e-01, 2.0000e+00])"
    finally:
        tinynet.set_printoptions(profile="default")
    assert str(x) == "tensor([0.3333, 2.0000])"
    with pytest.raises(ValueError, match="precision"):
        tinynet.set_printoptions(presision=2)
    with pytest.raises(ValueError, match="short"):
        tinynet.set_printoptions(profile="shrt")


def test_leaves_can_be_copied_and_pickled():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.tolist() == [1.0, 2.0]
        assert other.requires_grad
        assert other.grad.tolist() == [2.0, 4.0]
        assert not np.shares_memory(other.array, x.array)


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda y: copy.deepcopy([y]),
        lambda y: pickle.dumps({1: y}),
    ],
)
def test_a_result_that_holds_its_graph_is_neither_copied_nor_pickled_and_says_what_helps(copied):
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(RuntimeError, match=r"result of 'mul'.* \.detach\(\).* no_grad\(\)"):
        copied(y)
    copied(y.detach())
    with tinynet.no_grad():
        copied(leaf(1.0) * 2)


# ----- NumPy's protocols ------------------------------------------------------------------------


def test_asarray_gives_the_memory_and_array_a_copy():
    x = f32(3)
    assert np.asarray(x) is x.array or np.shares_memory(np.asarray(x), x.array)
    assert not np.shares_memory(np.array(x), x.array)
    assert np.asarray(x, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_an_array_on_the_left_records(name):
    x = leaf(1.0, 2.0)
    y = getattr(np, name)(np.array([4.0, 5.0]), x)
    y.sum().backward()
    assert x.grad is not None
    assert type(np.array([4.0, 5.0]) * x) is Tensor
    assert type(np.float64(3) * x) is Tensor


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "negative", "absolute", "square"])
def test_numpys_functions_record(name):
    x = leaf(1.0, 2.0)
    y = getattr(np, name)(x)
    np.testing.assert_array_equal(y.array, getattr(np, name)(x.array))
    y.sum().backward()
    assert x.grad is not None


def test_numpys_other_functions_record_too():
    x = tinynet.ones(2, 3, requires_grad=True)
    cases = {
        "sum": np.sum(a=x, axis=1),
        "mean": np.mean(x, axis=0, keepdims=True),
        "max": np.max(x),
        "reshape": np.reshape(x, (3, 2)),
        "permute": np.transpose(x, (0, 1)),
        "clip": np.clip(x, 0, 2),
        "cat": np.concatenate([x, x], axis=1),
        "unsqueeze": np.expand_dims(x, 0),
        "where": np.where(x > 0, x, 0.0),
        "flip": np.flip(x),
    }
    for op, y in cases.items():
        assert y.node.name == op
    assert np.stack([x, x]).shape == (2, 2, 3)
    assert np.transpose(x, (0, 1)).shape == (2, 3)


def test_numpys_functions_without_a_gradient_refuse_to_lose_one():
    x = leaf(0.5, -2.5)
    with pytest.raises(TypeError, match=r"np\.cbrt cannot be recorded"):
        np.cbrt(x)
    with pytest.raises(TypeError, match=r"np\.median cannot be recorded"):
        np.median(x)
    with pytest.raises(TypeError, match="out= must be an ndarray"):
        np.add(x, x, out=x)
    assert np.cbrt(x.detach()).shape == (2,)
    assert np.isfinite(x).all()
    assert np.allclose(x, x)
    assert np.argsort(x).tolist() == [1, 0]
    assert np.zeros_like(x).tolist() == [0.0, 0.0]
    assert np.shape(x) == (2,)
    np.testing.assert_allclose(x, [0.5, -2.5])


def test_out_receives_the_result_of_tensors():
    out = np.zeros(2)
    np.add(tinynet.tensor([1.0, 2.0]), 1, out=out)
    assert out.tolist() == [2.0, 3.0]


# ----- methods ----------------------------------------------------------------------------------


def test_axis_and_dim_mean_the_same():
    x = f32(2, 3, 4)
    for name in ("sum", "mean", "logsumexp", "any", "all"):
        method = getattr(x, name)
        expected = method(axis=1).array
        np.testing.assert_array_equal(method(dim=1).array, expected)
        assert method(axis=(0, 2)).shape == (3,)
        assert method(dim=[0, 2]).shape == (3,)
        assert method(axis=1, keepdims=True).shape == (2, 1, 4)
    with pytest.raises(TypeError, match="either dim or axis"):
        x.sum(dim=1, axis=1)
    assert x.sum(dim=-1, keepdim=True).shape == (2, 3, 1)
    assert x.argmax(dim=1).shape == x.argmin(axis=1).shape == (2, 4)
    np.testing.assert_array_equal(x.cumsum(dim=1).array, x.array.cumsum(1))


def test_an_axis_that_does_not_exist_is_named():
    methods = "sum mean var std max min any all cumsum argmax argmin logsumexp softmax"
    for name in methods.split():
        with pytest.raises(ShapeError, match=rf"{name}: axis 2 does not exist in shape \(2, 3\)"):
            getattr(f32(2, 3), name)(2)


def test_variance_is_pytorchs_as_a_method_and_numpys_by_its_spelling():
    x = f32(4, 5)
    for name, numpys in (("var", np.var), ("std", np.std)):
        method, array = getattr(x, name), x.array
        for unbiased in (method(), method(correction=1), method(unbiased=True), method(True)):
            np.testing.assert_allclose(unbiased.array, numpys(array, ddof=1), rtol=1e-6)
        for biased in (method(correction=0), method(unbiased=False), numpys(x)):
            np.testing.assert_allclose(biased.array, numpys(array), rtol=1e-6)
        for biased in (method(axis=1), numpys(x, 1), numpys(x, axis=1)):
            np.testing.assert_allclose(biased.array, numpys(array, 1), rtol=1e-6)
        np.testing.assert_allclose(method(1).array, numpys(array, 1, ddof=1), rtol=1e-6)
        np.testing.assert_allclose(
            method(axis=1, ddof=1).array, numpys(array, 1, ddof=1), rtol=1e-6
        )
    with pytest.raises(ShapeError, match="degrees of freedom"):
        f32(1).var()


def test_max_in_its_three_forms():
    x, y = tinynet.tensor([[1.0, 3.0], [4.0, 2.0]]), tinynet.tensor([[2.0, 2.0], [2.0, 2.0]])
    values, indices = x.max(1)  # a batch of two is no pair of rows
    assert (values.tolist(), indices.tolist()) == ([3, 4], [1, 0])
    assert x.max(dim=0, keepdim=True).values.tolist() == [[4, 3]]
    assert x.min(0).indices.tolist() == [0, 1]
    assert x.max().item() == 4
    assert x.max(y).tolist() == [[2, 3], [4, 2]]
    assert x.max(axis=1).tolist() == np.max(x, axis=1).tolist() == x.amax(1).tolist() == [3, 4]
    with pytest.raises(TypeError, match=r"amax\(x, \(0, 1\)\) takes several"):
        x.max((0, 1))


def test_reductions_of_nothing():
    empty = tinynet.zeros(0, 3)
    assert empty.sum().item() == 0
    assert empty.sum(0).tolist() == [0, 0, 0]
    assert empty.mean(1).shape == empty.amax(1).shape == empty.logsumexp(1).shape == (0,)
    for name in ("mean", "logsumexp"):
        with pytest.raises(ShapeError, match=rf"{name}: nothing to reduce.*\(0, 3\)"):
            getattr(empty, name)(0)
    for name in ("argmax", "max", "min", "amax", "median"):
        with pytest.raises(ShapeError, match=r"no element|nothing to reduce"):
            getattr(empty, name)()


def test_empty_batches_flow_through_every_operation():
    unary = (
        "neg exp log sqrt square abs tanh sigmoid relu leaky_relu elu gelu silu softplus sum "
        "softmax log_softmax flatten ravel T clone flip squeeze"
    )
    for name in unary.split():
        x = tinynet.zeros(0, 3, requires_grad=True)
        y = getattr(x, name)
        y = y if isinstance(y, Tensor) else y()
        y.sum().backward()
        assert x.grad.shape == (0, 3), name
    w, b = tinynet.ones(4, 3, requires_grad=True), tinynet.ones(4, requires_grad=True)
    for y in (ops.linear(x, w, b), x @ w.T, x.reshape(0, 1, 3) @ w.T, x.amax(1), x.mean(1)):
        y.sum().backward()
    assert w.grad.tolist() == [[0, 0, 0]] * 4
    assert tinynet.cat([x, x]).shape == (0, 3)


def test_max_along_an_axis_sends_the_gradient_to_the_first_winner_amax_shares_it_out():
    x = tinynet.tensor([[1.0, 3.0, 3.0], [3.0, 0.0, 0.0]], requires_grad=True)
    x.max(1).values.sum().backward()
    assert x.grad.tolist() == [[0, 1, 0], [1, 0, 0]]
    x.zero_grad()
    x.max().backward()
    np.testing.assert_allclose(x.grad.array, [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0]])
    x.zero_grad()
    x.amin((0, 1), keepdim=True).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0.5, 0.5]]


def test_maximum_halves_the_gradient_at_a_tie():
    x, y = leaf(1.0, 2.0, 3.0), leaf(2.0, 2.0, 2.0)
    (x.maximum(y) + x.minimum(y) * 10).sum().backward()
    assert x.grad.tolist() == [10.0, 5.5, 1.0]
    assert y.grad.tolist() == [1.0, 5.5, 10.0]


def test_kinks_follow_the_documented_rule():
    for method, expected in [("relu", 0), ("abs", 0), ("leaky_relu", 0.01), ("elu", 1)]:
        x = leaf(0.0)
        getattr(x, method)().backward()
        assert x.grad.item() == pytest.approx(expected)
    x = leaf(0.0, 0.5, 1.0, 2.0)
    x.clip(0, 1).sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 0]
    x = leaf(2.0, 2.0)
    x.std().backward()
    assert x.grad.tolist() == [0, 0]


def test_powers_at_zero():
    x = leaf(0.0, 2.0)
    (x**0).sum().backward()
    assert x.grad.tolist() == [0, 0]
    x, p = leaf(0.0, 0.0, 2.0), leaf(0.0, 2.0, 0.0)
    (x**p).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    np.testing.assert_allclose(p.grad.array, [0, 0, np.log(2)])


def test_where_with_two_numbers_gives_the_default_dtype():
    condition = tinynet.tensor([True, False])
    assert tinynet.where(condition, 1.0, -1).dtype == np.float32
    assert tinynet.where(condition, 1, 0).dtype == np.int64


def test_integer_softmax_gives_probabilities():
    np.testing.assert_allclose(tinynet.tensor([1, 1]).softmax().array, [0.5, 0.5])


def test_shape_methods_agree_with_numpy():
    x = f32(2, 1, 3)
    assert x.reshape(3, -1).shape == x.reshape((3, -1)).shape == x.view(3, 2).shape == (3, 2)
    assert x.flatten(1).shape == (2, 3)
    assert tinynet.tensor(1.0).flatten().shape == (1,)
    assert x.transpose(0, 2).shape == x.T.shape == x.transpose().shape == (3, 1, 2)
    assert x.transpose((0, 2, 1)).shape == x.mT.shape == x.permute(0, 2, 1).shape == (2, 3, 1)
    assert f32(2, 3).transpose((0, 1)).shape == (2, 3)
    assert x.squeeze().shape == x.squeeze(1).shape == x.squeeze(dim=-2).shape == (2, 3)
    assert x.unsqueeze(-1).shape == (2, 1, 3, 1)
    assert x.expand(2, 4, 3).shape == x.expand(-1, 4, -1).shape == (2, 4, 3)
    assert x.expand(5, 2, 1, 3).shape == (5, 2, 1, 3)
    assert [part.shape for part in x.split(2, dim=2)] == [(2, 1, 2), (2, 1, 1)]
    assert [part.shape for part in x.split([1, 2], 2)] == [(2, 1, 1), (2, 1, 2)]
    assert [part.shape for part in f32(5).chunk(2)] == [(3,), (2,)]
    assert [part.tolist() for part in tinynet.arange(4).reshape(2, 2).unbind(1)] == [[0, 2], [1, 3]]
    np.testing.assert_array_equal(x.flip(0, 2).array, np.flip(x.array, (0, 2)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x: x.reshape(4, -1), r"reshape: 6 elements.*\(4, -1\)"),
        (lambda x: x.flatten(1, 0), "flatten: start_dim=1"),
        (lambda x: x.flatten(2), "flatten: start_dim=2"),
        (lambda x: x.permute(0, 0), r"permute: dims \(0, 0\)"),
        (lambda x: x.permute(0), "permute: dims"),
        (lambda x: x.swapaxes(0, 2), "axis 2 does not exist"),
        (lambda x: np.squeeze(x, 0), "squeeze: axis 0"),
        (lambda x: x.unsqueeze(3), "unsqueeze: place 3"),
        (lambda x: x.expand(4, 3), r"expand: shape \(2, 3\)"),
        (lambda x: x.split(0), "split_size must be at least 1"),
        (lambda x: x.split([1, 2]), "add up to 3"),
        (lambda x: x.split(1, 2), "axis 2 does not exist"),
        (lambda x: x.chunk(0), "chunks must be at least 1"),
        (lambda x: x.flip(2), "flip: axis 2 does not exist"),
        (lambda x: x @ x, r"matmul: shapes \(2, 3\) and \(2, 3\)"),
        (lambda x: x @ tinynet.tensor(1.0), "matmul"),
        (lambda x: tinynet.ones(3, 2, 3) @ tinynet.ones(2, 3, 4), "matmul: .* do not broadcast"),
        (lambda x: tinynet.cat([x, x.T]), r"cat along axis 0.*\(2, 3\), \(3, 2\)"),
        (lambda x: tinynet.cat([x], dim=2), "cat along axis 2"),
        (lambda x: tinynet.stack([x, x.T]), "stack: all shapes"),
        (lambda x: ops.pad(x, [(1, 1)]), "pad: needs a pair"),
        (lambda x: ops.pad(x, [(1, 1), (-1, 0)]), "widths >= 0"),
        (lambda x: ops.linear(x, tinynet.ones(4, 5)), "the input has 3 features"),
        (lambda x: ops.linear(x, tinynet.ones(4, 3), tinynet.ones(3)), "needs"),
        (lambda x: np.dot(tinynet.ones(1, 2, 3), x.T), "vectors and matrices"),
        (lambda x: x.dot(x), "dot: takes two vectors"),
    ],
)
def test_wrong_shapes_are_explained(wrong, words):
    with pytest.raises(ShapeError, match=words):
        wrong(f32(2, 3))


def test_wrong_arguments_are_explained():
    with pytest.raises(TypeError, match="made of ints"):
        f32(4).reshape(2.0, 2)
    with pytest.raises(ValueError, match="'tanh'"):
        f32(2).gelu("fast")
    for join in (tinynet.cat, tinynet.stack):
        with pytest.raises(ValueError, match="at least one tensor"):
            join([])


def test_conversion_of_dtypes():
    x = leaf(1.5, 2.5)
    assert x.float().dtype == x.to(np.float32).dtype == np.float32
    assert x.float().double().dtype == np.float64
    assert x.long().tolist() == [1, 2]
    assert not x.long().requires_grad
    x.float().sum().backward()
    assert x.grad.dtype == np.float64


def test_masked_fill_and_sign():
    x = leaf(-1.0, 0.0, 2.0)
    y = x.masked_fill(x < 0, 9.0)
    y.sum().backward()
    assert y.tolist() == [9.0, 0.0, 2.0]
    assert x.grad.tolist() == [0.0, 1.0, 1.0]
    assert x.sign().tolist() == [-1.0, 0.0, 1.0]


def test_detach_shares_memory_and_clone_does_not():
    x = leaf(1.0, 2.0)
    assert x.detach().array is x.array
    assert not x.detach().requires_grad
    y = x.clone()
    assert not np.shares_memory(y.array, x.array)
    assert y.requires_grad


# ----- indexing ---------------------------------------------------------------------------------

INDICES = {
    "int": 1,
    "negative": -1,
    "slice": slice(1, None),
    "step": slice(None, None, -2),
    "none": None,
    "ellipsis": ...,
    "tuple": (1, slice(0, 2)),
    "with ellipsis": (..., 0),
    "with none": (slice(None), None, 2),
    "bool": np.array([True, False, True]),
    "bool matrix": np.arange(12).reshape(3, 4) % 3 == 0,
    "list": [0, 2, 0],
    "ints with repeats": np.array([2, 2, 1, 2]),
    "pairs with repeats": (np.array([0, 0, 2]), np.array([1, 1, 3])),
    "int and array": (1, np.array([0, 0, 3])),
    "slice and array": (slice(None), [3, 3]),
    "empty": np.array([], int),
    "python bool": True,
}
indices = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)


@indices
def test_indexing_and_its_gradient(index):
    x = tinynet.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.array, x.array[index])
    dy = np.arange(1.0, 1 + y.numel()).reshape(y.shape)
    y.backward(dy)
    expected = np.zeros((3, 4))
    np.add.at(expected, index, dy)
    np.testing.assert_array_equal(x.grad.array, expected)


def test_tensors_index_tensors():
    x = tinynet.arange(12).reshape(3, 4)
    rows, columns = tinynet.tensor([0, 2]), tinynet.tensor([1, 3])
    assert x[rows, columns].tolist() == [1, 11]
    assert x[rows, 0].tolist() == [0, 8]
    assert x[tinynet.tensor(1)].tolist() == [4, 5, 6, 7]
    assert x[x > 9].tolist() == [10, 11]
    assert x[[rows[0], 1]].shape == (2, 4)


def test_an_index_out_of_range_is_an_index_error():
    with pytest.raises(IndexError):
        f32(2)[2]
    with pytest.raises(IndexError):
        f32(2)[0, 0]


@indices
def test_assignment_and_its_gradient(index):
    x = tinynet.tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    size = x.array[index].size
    value = tinynet.tensor(100 + np.arange(float(size)).reshape(x.array[index].shape))
    value.requires_grad_()
    y = x * 1
    y[index] = value
    expected = x.array.copy()
    expected[index] = value.array
    np.testing.assert_array_equal(y.array, expected)
    dy = np.arange(1.0, 13).reshape(3, 4)
    y.backward(dy)
    np.testing.assert_array_equal(x.grad.array, np.where(expected >= 100, 0, dy))
    written = np.isin(value.array, expected)  # what a later repeat overwrote is lost
    np.testing.assert_array_equal(
        value.grad.array, np.where(written, np.broadcast_to(dy[index], value.shape), 0)
    )


def test_assignment_broadcasts_and_sums_the_gradient():
    x, value = tinynet.zeros(3, 2), tinynet.ones(2, requires_grad=True)
    x[1:] = value
    x.sum().backward()
    assert value.grad.tolist() == [2, 2]


def test_assignment_into_a_tensor_without_gradient_stays_plain():
    x = tinynet.zeros(2, 2)
    x[0, tinynet.tensor([1])] = 5
    x[x == 0] = -1.0
    assert x.tolist() == [[-1, 5], [-1, -1]]
    assert not x.requires_grad


# ----- in place ---------------------------------------------------------------------------------


def test_in_place_operators_change_the_memory():
    x = tinynet.tensor([1.0, 2.0])
    memory = x.array
    x += 1
    x *= tinynet.tensor([2.0, 3.0])
    x -= np.array([1.0, 1.0], np.float32)
    x /= 2
    x **= 2
    assert x.array is memory
    assert x.tolist() == [2.25, 16.0]
    x.fill_(3)
    x.copy_(tinynet.tensor([7.0]))
    assert memory.tolist() == [7.0, 7.0]
    assert x.zero_().tolist() == [0, 0]


def test_in_place_operators_are_recorded():
    x, w = leaf(3.0), leaf(2.0)
    y = x * 1
    y *= w  # x w
    y += w  # x w + w
    y **= 2  # (x w + w)^2
    y -= x
    y /= w  # (x w + w)^2 / w - x / w = w (x + 1)^2 - x / w
    y.sum().backward()
    assert x.grad.item() == pytest.approx(2 * 2 * 4 - 1 / 2)
    assert w.grad.item() == pytest.approx(16 + 3 / 4)


def test_in_place_on_itself():
    x = leaf(3.0)
    y = x * 1
    y *= y
    y += y
    y.backward()
    assert x.grad.item() == 12


def test_an_untracked_buffer_joins_the_graph_when_it_takes_a_tracked_value():
    total = tinynet.zeros(2)
    x = leaf(1.0, 2.0, dtype=np.float32)
    for k in range(3):
        total += x * k
    total.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_leaf_that_requires_a_gradient_is_changed_within_no_grad_alone():
    x = leaf(1.0)
    for change in (
        lambda: x.__iadd__(1),
        lambda: x.__setitem__(0, 5),
        lambda: x.fill_(2),
        lambda: x.copy_(x * 2),
    ):
        with pytest.raises(RuntimeError, match="leaf that requires a gradient"):
            change()
    assert x.tolist() == [1.0]
    with tinynet.no_grad():
        x -= 0.5
    assert x.tolist() == [0.5]
    assert x.requires_grad
    assert x.is_leaf


def test_backward_notices_a_saved_value_that_was_changed():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * 2
    y = h * w
    h += 1
    with pytest.raises(RuntimeError, match=r"mul: a value of shape \(2,\).*changed in place"):
        y.sum().backward()
    assert x.grad is None
    assert w.grad is None


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.__setitem__(0, 9.0),
        lambda h: h.__imul__(2),
        lambda h: h.zero_(),
        lambda h: h.detach().__iadd__(1),
        lambda h: h.detach()[:1].__iadd__(1),
        lambda h: h.detach().unfold(0, 1, 1).__iadd__(1),
        lambda h: tinynet.as_strided(h.detach(), (1,), (1,), 1).zero_(),
        lambda h: tinynet.from_numpy(np.asarray(memoryview(h.array))).zero_(),
    ],
)
def test_every_way_to_change_a_saved_value_is_noticed(change):
    h = leaf(1.0, 2.0) * 2
    y = h.exp() * h
    change(h)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:],
        lambda x: x.unfold(0, 2, 1),
        lambda x: x.unfold(0, 2, 1)[1:].T,
        lambda x: tinynet.as_strided(x, (2, 2), (1, 1)),
        lambda x: tinynet.from_numpy(np.lib.stride_tricks.as_strided(x.array, (2,), (4,))),
        lambda x: tinynet.from_numpy(np.asarray(memoryview(x.array))),
    ],
)
def test_a_change_of_what_a_saved_view_was_taken_of_is_noticed(view):
    x, p = tinynet.tensor([1.0, 2.0, 3.0]), leaf(2.0, dtype=np.float32)
    y = (view(x) * p).sum()
    x.mul_(10)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_that_no_gradient_needs_is_fine():
    x = leaf(1.0, 2.0)
    h = x * 2
    y = h + 1  # keeps nothing
    h *= 3
    (y + h).sum().backward()
    assert x.grad.tolist() == [8, 8]


def test_a_parameter_changed_before_backward_is_noticed():
    w = leaf(2.0)
    loss = w * w
    with tinynet.no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_a_view_that_pytorch_would_copy_or_refuse_is_not_changed_in_place():
    x = leaf(1.0, 2.0) * 1
    for view in (x.flip(0), x.expand(2, 2), x.expand(2, 2).T[0]):
        with pytest.raises(RuntimeError, match=r"a view .(flip|exp|perm).*clone"):
            view += 1
    assert x.tolist() == [1.0, 2.0]
    for part in (leaf(1.0, 2.0)[:1], leaf(1.0, 2.0).T, leaf(1.0, 2.0).view(2, 1)[0]):
        with pytest.raises(RuntimeError, match="changes a leaf"):
            part += 1


def row_times(y, w):
    y[0] *= w


def row_of_a_row(y, w):
    y[0][1:] += w[1:]
    y[1][0] *= 3


def named_row(y, w):
    row = y[1]
    y *= 2
    row *= w
    row += y[0]


def rows_of_each_other(y, w):
    y[0] -= y[1]
    y[0] += y[0]


def through_views(y, w):
    y.T[0] *= w[0]
    y.reshape(-1)[1:3] += y.reshape(-1)[:1] * 1
    turned = y[None].T
    turned *= 3
    turned[1:] += w[1]
    corner = y.reshape(-1)[::3]  # the diagonal
    corner += w[:1]


@pytest.mark.parametrize(
    "change", [row_times, row_of_a_row, named_row, rows_of_each_other, through_views]
)
def test_what_an_index_took_is_changed_in_place_in_the_whole(change):
    x, w = leaf([1.0, -2.0], [3.0, 0.5], dtype=np.float64), leaf(2.0, -3.0, dtype=np.float64)

    def changed(x, w):
        y = x * 1
        change(y, w)
        return y * y

    assert gradcheck(changed, [x, w])
    array, factors = x.array.copy(), w.array
    change(array, factors)
    assert np.array_equal(changed(x, w).array, array * array)


def test_a_diagonal_is_a_view_also_of_what_is_recorded():
    y = leaf([1.0, -2.0], [3.0, 0.5]) * 1
    y.diagonal().mul_(3)
    y.diagonal()[1:] += 1
    assert y.tolist() == [[3.0, -2.0], [3.0, 2.5]]


def test_what_looks_like_a_view_but_is_a_copy_may_change():
    x = tinynet.ones(2, 3, requires_grad=True) * 1
    for copied in (x[[0, 0]], x[:, [0, 1]], x[x > 0], x.T.reshape(6)):
        copied += 1
        assert (copied.array == 2).all()
    assert (x.array == 1).all()
    x[x > 0] *= 3
    assert (x.array == 3).all()


def element_plus(y, w):
    y[0, 1] += w[0]


def element_times_itself(y, w):
    part = y[1, 0]
    part *= w[1]
    part *= part


@pytest.mark.parametrize("change", [element_plus, element_times_itself])
def test_a_single_element_is_a_view(change):
    x, w = leaf([1.0, -2.0], [3.0, 0.5], dtype=np.float64), leaf(2.0, -3.0, dtype=np.float64)

    def changed(x, w):
        y = x * 1
        change(y, w)
        return y * y

    assert gradcheck(changed, [x, w])
    array = x.detach().clone()
    change(array, w.detach())
    assert np.array_equal(changed(x, w).array, array.array * array.array)


def test_a_row_of_a_plain_buffer_takes_tracked_values():
    buffer, w = tinynet.zeros(2, 2), leaf(3.0, 4.0)
    row = buffer[0]
    row += 1
    buffer[0] += w
    assert buffer.tolist() == [[4, 5], [0, 0]]
    (buffer * buffer).sum().backward()
    assert w.grad.tolist() == [8, 10]
    with pytest.raises(RuntimeError, match="shares memory"):
        tinynet.zeros(2, 2).T[0] += w
    copied = pickle.loads(pickle.dumps(tinynet.zeros(1000, 2)[0]))
    assert copied.shape == (2,)
    assert not hasattr(copied, "origin")


def test_a_view_taken_before_the_change_is_not_used_after_it():
    x = leaf(1.0, 2.0) * 1
    view = x[0:1]
    x += 1
    with pytest.raises(RuntimeError, match=r"mul: the memory of its input.*'getitem'"):
        view * 2
    assert (x[0:1] * 2).tolist() == [4.0]


def test_the_right_side_may_be_a_part_of_what_is_overwritten():
    x = leaf(1.0, 2.0)
    y = x * 1
    y *= y[::-1]
    y += y[:1]
    assert y.tolist() == [4.0, 4.0]
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 4.0]
    y = x * 1
    part = y[:1]
    part.detach().zero_()
    with pytest.raises(RuntimeError, match=r"\+=: the memory of its input.*was changed in place"):
        y += part


SHARING = {
    "detached": (lambda y: y.mul_(y.detach()), lambda x: x),
    "data": (lambda y: y.__imul__(y.data), lambda x: x),
    "its own array": (lambda y: y.__imul__(y.numpy()), lambda x: x),
    "a tensor around its array": (lambda y: y.mul_(tinynet.from_numpy(y.array)), lambda x: x),
    "a part of it, reversed": (lambda y: y.mul_(y.detach()[::-1]), lambda x: x[::-1]),
    "windows of it": (lambda y: y.mul_(y.detach().unfold(0, 1, 1)[:, 0]), lambda x: x),
    "itself": (lambda y: y.mul_(y), lambda x: 2 * x),
    "itself by name": (lambda y: y.mul_(other=y), lambda x: 2 * x),
    "a constant by name": (lambda y: y.mul_(other=y.detach()), lambda x: x),
    "as an exponent": (lambda y: y.pow_(exponent=y), lambda x: x**x * (np.log(x) + 1)),
    "as a divisor": (lambda y: y.div_(other=y.data), lambda x: 1 / x),
    "among others": (lambda y: y.addcmul_(y.detach(), tensor2=y), lambda x: 1 + x),
    "as what is put": (lambda y: y.__setitem__(slice(0, 1), y.detach()[1:]), lambda x: [0, 1]),
}


@pytest.mark.parametrize("way", SHARING)
def test_what_shares_memory_with_the_tensor_is_taken_as_it_was(way):
    change, slope = SHARING[way]
    x = leaf(2.0, 3.0)
    y = x * 1
    change(y)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.array, slope(x.array))


def test_a_leaf_is_not_changed_through_what_shares_its_memory():
    x = leaf(2.0, 3.0)
    with pytest.raises(RuntimeError, match="changes a leaf that requires a gradient"):
        x.detach().pow_(x)
    assert x.tolist() == [2.0, 3.0]


def test_in_place_results_must_fit():
    x = tinynet.tensor([1, 2])
    with pytest.raises(TypeError, match=r"\+=: the result has dtype float32"):
        x += 0.5
    with pytest.raises(ShapeError, match=r"\(2, 2\), the tensor to hold it \(2,\)"):
        x += tinynet.tensor([[1, 1], [1, 1]])
    assert x.tolist() == [1, 2]


def test_in_place_keeps_the_dtype_and_the_gradient_through_the_cast():
    x = tinynet.ones(2, requires_grad=True)
    y = x * 1
    y += np.ones(2)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_in_place_keeps_the_wish_for_a_gradient():
    x = leaf(2.0)
    y = x * 1
    y.retain_grad()
    y *= 3
    (y * 5).backward()
    assert y.grad.item() == 5


# ----- numbers ----------------------------------------------------------------------------------

EXTREMES = np.array([-1e4, -750, -100, -30, -1e-4, 0, 1e-4, 30, 100, 750, 1e4])
STABLE = "sigmoid tanh softplus softmax log_softmax logsumexp silu gelu elu relu"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_finite_up_to_ten_thousand(dtype):
    for name in STABLE.split():
        x = tinynet.tensor(EXTREMES.astype(dtype), requires_grad=True)
        y = getattr(x, name)()  # warnings are errors here
        y.sum().backward()
        assert np.isfinite(y.array).all(), name
        assert np.isfinite(x.grad.array).all(), name
    x = tinynet.tensor(EXTREMES.astype(dtype), requires_grad=True)
    x.gelu("tanh").sum().backward()
    assert np.isfinite(x.grad.array).all()


def test_activations_keep_their_limits_far_out():
    x = tinynet.tensor([-1e4, 1e4])
    assert x.sigmoid().tolist() == [0, 1]
    assert x.softplus().tolist() == [0, 1e4]
    assert x.silu().tolist() == x.gelu().tolist() == x.gelu("tanh").tolist() == [0, 1e4]
    assert x.elu().tolist() == [-1, 1e4]
    assert x.softmax().tolist() == [0, 1]
    assert x.log_softmax().tolist() == [-2e4, 0]
    assert x.logsumexp().item() == 1e4


def test_sigmoid_keeps_its_relative_precision_near_zero():
    x = tinynet.tensor([-20.0, -50.0, -80.0])
    np.testing.assert_allclose(x.sigmoid().array, np.exp(x.array.astype(np.float64)), rtol=1e-6)


def test_logsumexp_and_softmax_of_infinities():
    x = tinynet.tensor([-np.inf, 0.0, -np.inf])
    assert x.logsumexp().item() == 0
    assert x.softmax().tolist() == [0, 1, 0]
    assert tinynet.tensor([-np.inf, -np.inf]).logsumexp().item() == -np.inf


def test_the_error_function_under_gelu_is_exact_to_rounding():
    x = np.concatenate([np.linspace(-7, 7, 2001), [0.46875, -0.46875, np.inf, -np.inf, 1e-300]])
    expected = [math.erf(v) for v in x]
    np.testing.assert_allclose(erf(x), expected, rtol=1e-15, atol=3e-16)
    assert np.isnan(erf(np.array([np.nan]))).all()
    assert erf(np.float32([0.3])).dtype == np.float32


def test_memory_order_makes_no_difference():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((4, 6, 5))
    orders = {
        "fortran": np.asfortranarray(values),
        "last axis first": values.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        "strided": np.repeat(values, 2, axis=1)[:, ::2],
        "backwards": values[:, ::-1].copy()[:, ::-1],
    }
    dy = rng.standard_normal((4, 6, 5))
    for method in (
        *("exp", "tanh", "sigmoid", "relu", "gelu", "clone", "elu", "sin"),
        lambda x: x.softmax(1),
        lambda x: x.amax(1, keepdim=True).expand(4, 6, 5),
        lambda x: (x.sum((0, 2), keepdims=True) * x.var(1, keepdims=True)).expand(4, 6, 5),
        lambda x: x.reshape(5, 24).reshape(4, 6, 5),
        lambda x: x[[3, 1, 1, 0]],
        lambda x: x @ np.eye(5),
        lambda x: ops.linear(x, np.eye(5)),
    ):
        results = []
        for array in (values, *orders.values()):
            x = Tensor(array, requires_grad=True)
            y = getattr(x, method)() if isinstance(method, str) else method(x)
            y.backward(np.asfortranarray(dy))
            results.append((y.array, x.grad.array))
        for y, dx in results[1:]:
            np.testing.assert_allclose(y, results[0][0], rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(dx, results[0][1], rtol=1e-12, atol=1e-14)


def test_linear_keeps_a_batch_that_lies_last():
    w = f32(4, 3).requires_grad_()
    x = Tensor(np.asfortranarray(f32(5, 3).array), requires_grad=True)
    y = ops.linear(x, w, tinynet.ones(4))
    assert y.array.flags.f_contiguous
    y.sum().backward()
    np.testing.assert_allclose(y.array, x.array @ w.array.T + 1, rtol=1e-6)
    np.testing.assert_allclose(x.grad.array, np.tile(w.array.sum(0), (5, 1)), rtol=1e-6)
    np.testing.assert_allclose(w.grad.array, np.tile(x.array.sum(0), (4, 1)), rtol=1e-6)


def test_wrong_axes_are_told_with_the_name_of_the_function():
    x = tinynet.zeros(2, 3)
    for call, error, words in (
        (lambda: tinynet.movedim(x, (0, 1), (1, 1)), ValueError, r"movedim: .* \(1, 1\) must name"),
        (
            lambda: tinynet.narrow(x, 0, 1.5, 1),
            TypeError,
            "narrow: start must be an integer, got 1",
        ),
        (lambda: tinynet.narrow(x, 1, -4, 1), ShapeError, "narrow: start must be at least -3, got"),
        (lambda: tinynet.bitwise_not(1), TypeError, "bitwise_not: input must be a tensor"),
        (lambda: tinynet.var_mean(x, axis=0), TypeError, "unexpected keyword argument 'axis'"),
    ):
        with pytest.raises(error, match=words):
            call()
