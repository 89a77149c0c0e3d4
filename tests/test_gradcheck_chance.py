"""What fits by chance is no cause: it must hold for other values, masks, indices and sizes."""

import signal

import numpy as np
import pytest

from tinynet import autograd, differentiable, gradcheck

W = np.random.default_rng(3).standard_normal(6)
TWO = np.array([1.0, 2.0, 2.0, 1.0])
MASK = np.indices((4, 4)).sum(0) % 2 == 0


@pytest.mark.parametrize(
    ("shape", "more", "forward", "backward", "not_said"),
    [
        ((6,), [np.array([3, 0, 5, 1, 2, 4]), W], "np.abs(x[a] - b).mean()",
         "dy * np.sign(x[a] - b) / 6", "shifted"),
        ((6,), [], "(x * np.array([1, 0, 1, 0, 1, 0.0])).sum()",
         "dy * np.array([0, 1, 0, 1, 0, 1.0])", "shifted"),
        ((4, 4), [MASK], "np.where(a, x, 0)", "np.where(~a, dy, 0)", "shifted"),
        ((3, 4), [TWO], "np.sin(x) * a", "dy * np.cos(x) * a[:3, None]", "/"),
        ((6, 2), [np.array([0, 2, 2, 1, 2, 0])],
         "(np.eye(4)[a] / np.maximum(np.bincount(a, minlength=4), 1)).T @ x", "dy[a]", "border"),
        ((4, 5), [], "x.max(1)", "np.where(x == x.max(), dy[:, None], 0)", "x <"),
    ],
)  # fmt: skip
def test_what_fits_by_chance_is_not_said(shape, more, forward, backward, not_said):
    space, names = {"np": np}, "xab"[: 1 + len(more)]
    gradients = f"lambda dy: {backward}" + ", None" * len(more)
    exec(f"def typed({', '.join(names)}):\n    return {forward}, {gradients}", space)
    x = np.random.default_rng(sum(shape)).standard_normal(shape)
    (failure,) = gradcheck(differentiable(space["typed"]), x, *more).failures
    assert failure.input == "x"
    assert not_said not in f"{failure.cause} {failure.evidence}".split()


@pytest.mark.parametrize("shape", [(4, 5), (5, 2)])
def test_a_factor_is_not_named_by_a_size_that_it_equals_by_chance(shape):
    n = shape[0]

    def typed(x):
        return np.sin(x) / n, lambda dy: dy * np.cos(x)

    x = np.random.default_rng(1).standard_normal(shape)
    (failure,) = gradcheck(differentiable(typed), x).failures
    assert failure.cause.startswith("constant factor")
    assert "size of axis" not in failure.evidence
    assert f"= {n} x numeric" in failure.evidence


def test_a_gradient_that_is_0_but_for_rounding_is_a_zero_gradient():
    def typed(x):
        p = np.exp(x) / np.exp(x).sum()
        dp = np.full_like(x, 0.3)
        return p @ W, lambda dy: dy * p * (dp - dp @ p)

    (failure,) = gradcheck(differentiable(typed), W / 2).failures
    assert failure.cause.startswith("zero gradient")


class Distance(autograd.Function):
    """One number, of which the gradient for b has the wrong sign."""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return ((a - b) ** 2).sum()

    @staticmethod
    def backward(ctx, dy):
        a, b = ctx.saved_tensors
        g = dy.clone().reshape(1) * 2 * (a - b)
        return g, g


def test_the_backward_of_one_number_is_given_a_tensor():
    (failure,) = gradcheck(Distance, W, W[::-1].copy()).failures
    assert (failure.input, failure.cause) == ("b", "wrong sign")


class Both(autograd.Function):
    """Two outputs; the second's part of the gradient is left out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x, x.sin()

    @staticmethod
    def backward(ctx, dy, dz):
        (x,) = ctx.saved_tensors
        return 2 * x * dy


def test_several_outputs_are_checked_together():
    (failure,) = gradcheck(Both, W).failures
    assert failure.cause == "the gradient of output 1 is not used"
    assert gradcheck(lambda x: (x * x, x.sum()), W)
    assert gradcheck(lambda x: (x * x, (x**3).sum()), W, order=2)


def test_what_nothing_could_be_told_of_is_not_said_to_agree():
    report = gradcheck(lambda x, w: 1e6 * x + 1e-6 * w * w, W, W)
    assert report
    assert "gradients of x agree (6 numbers" in str(report)
    assert "w: nothing could be told" in str(report)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there is no such timer")
def test_what_the_handler_of_a_signal_raises_passes_through():
    def late(*_):
        raise TimeoutError("late")

    def typed(x):
        signal.raise_signal(signal.SIGALRM)
        return x * x, lambda dy: dy * x

    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(TimeoutError, match="late"):
            gradcheck(differentiable(typed), W)
        assert signal.getsignal(signal.SIGALRM) is late
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_value_that_the_result_does_not_depend_on_is_not_blamed():
    def lstsq(A, b):
        x, P = np.linalg.pinv(A) @ b, np.linalg.inv(A.T @ A)
        unused = b - A @ x
        return x, lambda dy: -np.outer(A @ P @ dy, x), lambda dy: A @ P @ dy + 0 * unused

    draw = np.random.default_rng(8).standard_normal
    (failure,) = gradcheck(differentiable(lstsq), draw((5, 3)), draw(5)).failures
    assert "unused" not in failure.evidence
