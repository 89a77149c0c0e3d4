"""What an operation or kernel of the user is given, it cannot change: others use it too."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import kernels, nn
from tinynet.nn import functional as F

X = np.array([1.0, -1.0], np.float32)


def masked(dy, x):
    dy[x <= 0] = 0
    return dy


WRITES = {  # what a gradient may do to dy
    "an assignment": masked,
    "an operator": lambda dy, x: dy.__imul__(x > 0),
    "a ufunc's out": lambda dy, x: np.multiply(dy, x > 0, out=dy),
    "a view": lambda dy, x: masked(dy.reshape(-1), x),
    "a method": lambda dy, x: dy.sort() or dy,
    "fill": lambda dy, x: dy.fill(0) or dy,
    "copyto": lambda dy, x: np.copyto(dy, 0, where=x <= 0) or dy,
    "put": lambda dy, x: np.put(dy, [0], 0) or dy,
}
READS = {
    "where": lambda dy, x: np.where(x > 0, dy, 0),
    "a copy": lambda dy, x: masked(dy.copy(), x),
    "dy itself": lambda dy, x: dy,
}


def my_relu(gradient):
    @tinynet.differentiable
    def my_relu(x):
        def dx(dy):
            return gradient(dy, x)

        return np.maximum(x, 0), dx

    return my_relu


@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("then", [lambda y: y * 1.0, lambda y: y, lambda y: y.sum()])
def test_a_gradient_that_writes_into_dy_is_named_and_changes_nothing(how, then):
    x, w = (tinynet.tensor(X, requires_grad=True) for _ in range(2))
    y = then(my_relu(WRITES[how])(x) + w)
    g = np.full(y.shape, 2, np.float32)
    with pytest.raises(
        RuntimeError, match="my_relu: its gradient dx writes into dy, which is read-only"
    ):
        y.backward(g)
    assert (g == 2).all()
    assert x.grad is None
    assert w.grad is None


@pytest.mark.parametrize("how", READS)
def test_a_gradient_that_makes_its_own_is_left_in_peace(how):
    x, w = (tinynet.tensor(X, requires_grad=True) for _ in range(2))
    ((my_relu(READS[how])(x) + w) * 1.0).backward(np.ones(2, np.float32))
    assert w.grad.tolist() == [1, 1]
    assert x.grad.tolist() == [1, 1 if how == "dy itself" else 0]
    x.grad += 1  # what comes back belongs to the caller


@pytest.mark.parametrize(
    "body",
    [
        lambda x: np.maximum(x, 0, out=x),
        lambda x: x.__imul__(2),
        lambda x: x.T.fill(0),
        lambda x, scale=None: np.multiply(scale, 2, out=scale),
    ],
)
def test_a_forward_pass_that_writes_into_its_input_is_named(body):
    def my_operation(x, scale=None):
        body(x) if scale is None else body(x, scale)
        return x.copy(), lambda dy: dy

    operation = tinynet.differentiable(my_operation)
    t, array = tinynet.tensor(X, requires_grad=True), X.copy()
    for x in (t, array):
        with pytest.raises(
            RuntimeError,
            match=r"my_operation writes into (x|an array that it was given), which is read-only",
        ):
            operation(x, scale=array) if "scale" in body.__code__.co_varnames else operation(x)
    assert t.tolist() == X.tolist() == array.tolist()


@pytest.mark.parametrize("view", [False, True])
@pytest.mark.parametrize(
    "result", [lambda x: x, lambda x: x[:1], lambda x: np.broadcast_to(x, (3, 2))]
)
def test_what_an_operation_returns_can_be_changed(result, view):
    def part(x):
        return result(x), lambda dy: np.zeros_like(x)

    x = tinynet.tensor(X)
    y = tinynet.differentiable(view=view)(part)(x)
    y += 1
    assert x.tolist() == X.tolist()


@pytest.mark.parametrize("name", kernels.available())
@pytest.mark.parametrize("kernel", ["relu", "relu_dx", "conv2d", "conv2d_dw_db", "sum_pool2d_dx"])
def test_a_kernel_of_the_user_that_writes_into_an_array_is_named(kernel, name):
    def mine(*arrays):
        arrays[0][...] = 0

    before = kernels.current.name
    kernels.use(name)
    try:
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2))
        x = tinynet.randn(2, 1, 6, 6)
        with (
            kernels.override(**{kernel: mine}),
            pytest.raises(RuntimeError, match=f"{kernel} writes into"),
        ):
            F.mse_loss(model(x), tinynet.zeros(2, 2, 2, 2)).backward()
    finally:
        kernels.use(before)


def hidden(x, *, w=None):
    return x * w, lambda dy: dy * w


def listed(x, ws):
    return x * np.asarray(ws[0]), lambda dy: dy


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: tinynet.differentiable(hidden)(x, w=w),
        lambda x, w: tinynet.differentiable(listed)(x, [w]),
        lambda x, w: tinynet.differentiable(listed)(x, ws=(w,)),
    ],
)
def test_a_tensor_where_it_would_get_no_gradient_is_refused(call):
    x, w = (tinynet.tensor(X, requires_grad=True) for _ in range(2))
    with pytest.raises(
        TypeError, match=r"(hidden|listed): a tensor that requires a gradient is in"
    ):
        call(x, w)
    call(x, w.detach())


def test_a_tensor_as_default_is_refused():
    w = tinynet.tensor(X, requires_grad=True)
    with pytest.raises(TypeError, match="scaled: a tensor that requires a gradient is in"):

        @tinynet.differentiable
        def scaled(x, w=w):
            return x, lambda dy: dy


@pytest.mark.parametrize(
    ("gradients", "says"),
    [
        ((5,), "gradient 0 must be a function of dy, got 5"),
        ((lambda dy: dy, lambda dy: dy), "returns 2 gradients for 1 arguments"),
    ],
)
def test_gradients_that_cannot_be_right_are_refused_at_once(gradients, says):
    def twice(x):
        return (x * 2, *gradients)

    with pytest.raises(TypeError, match=f"twice: {says}"):
        tinynet.differentiable(twice)(tinynet.tensor(X))


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, w: F.linear(a, w),
        lambda a, w: w * a,
        lambda a, w: F.conv2d(a.reshape(1, 1, 1, 2), w.reshape(1, 1, 1, 2)),
        lambda a, w: F.mse_loss(w, a[None]),
    ],
)
def test_an_array_that_is_used_again_changes_no_gradient(operation):
    def gradient(change):
        a = X.copy()
        w = tinynet.tensor(np.array([[0.3, 0.2]], np.float32), requires_grad=True)
        y = operation(a, w).sum()
        if change:
            a[:] = 7
        y.backward()
        return w.grad.tolist()

    assert gradient(change=True) == gradient(change=False)


def test_labels_that_are_changed_after_the_loss_change_no_gradient():
    scores, labels = tinynet.zeros(2, 3, requires_grad=True), np.array([0, 1])
    loss = F.cross_entropy(scores, labels)
    labels[:] = 2
    loss.backward()
    assert (scores.grad.array[:, 2] > 0).all()


def test_a_gradient_without_a_return_is_named():
    def forgetful(x):
        def dx(dy):
            dy * 2

        return x * 2, dx

    y = tinynet.differentiable(forgetful)(tinynet.tensor(X, requires_grad=True))
    with pytest.raises(TypeError, match=r"forgetful: the gradient dx.dy. is None; is a `return`"):
        y.sum().backward()


def test_a_list_of_tensors_that_ends_their_gradient_is_warned_of():
    x = tinynet.tensor(X, requires_grad=True)
    loss = (x * x).sum()
    with pytest.warns(UserWarning, match=r"Use tinynet\.stack"):
        tinynet.tensor([loss, loss * 2])
    tinynet.tensor([loss.detach(), tinynet.ones(1)[0]])  # constants anyway
