"""Mistakes that are found in the code: an expression, a term, a loop written otherwise."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tests.long.strangers_faults import sigmoid
from tinynet import differentiable
from tinynet.autograd import Function, together

rng = np.random.default_rng(41)


class Swish(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * (1.7 * x).sigmoid()

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        s = x.sigmoid()
        return dy * (s + 1.7 * x * s * (1 - s))


class Softmax(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.softmax(1)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return y * (dy - (dy * y).sum(1, keepdim=True))


class NormedInNumPy(Function):
    @staticmethod
    def forward(ctx, x):
        a = x.numpy()
        ctx.kept = a, np.sqrt((a * a).sum(1, keepdims=True))
        return tinynet.tensor(a / ctx.kept[1])

    @staticmethod
    def backward(ctx, dy):
        a, n = ctx.kept
        d = dy.numpy()
        return tinynet.tensor(d / n - a * (d * a).sum(1, keepdims=True) / n**2)


class FirstColumn(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.n = x.shape
        return x.sum(1)

    @staticmethod
    def backward(ctx, dy):
        g = tinynet.zeros(*ctx.n)
        g[:, 0] = dy
        return g


@differentiable
def gates(z):
    i, f = sigmoid(z[:, :2]), sigmoid(z[:, 2:])
    c = np.sin(i)
    y = c * f

    def dz(dy):
        return np.concatenate([dy * f * np.cos(i) * i * (1 - i), dy * c * i * (1 - i)], 1)

    return y, dz


@differentiable
def mean_of_squares(x):
    return np.asarray((x * x).mean()), lambda dy: dy * 2 * x / len(x)


@differentiable
def one_place(x):
    def dx(dy):
        g = dy * np.cos(x)
        g[2, 3] *= 1.001
        return g

    return np.sin(x), dx


@differentiable
def two_steps_back(x):
    a1, a2, n = 0.5, -0.3, len(x)
    y = np.zeros(n + 2)
    for t in range(n):
        y[t + 2] = x[t] + a1 * y[t + 1] + a2 * y[t]

    def dx(dy):
        g = np.zeros(n + 2)
        for t in range(n - 1, -1, -1):
            g[t] = dy[t] + a1 * g[t + 1]
        return g[:n]

    return y[2:], dx


@differentiable
def running_back(x):
    n = len(x)
    b = np.zeros(n + 1)
    for t in range(n - 1, -1, -1):
        b[t] = 0.7 * b[t + 1] + x[t]

    def dx(dy):
        h = np.zeros(n + 1)
        for t in range(n - 1, -1, -1):
            h[t] = dy[t] + 0.7 * h[t + 1]
        return h[:n]

    return b[:n], dx


@differentiable
def leaking(x, a):
    h = np.zeros((len(x) + 1, 3))
    for t in range(len(x)):
        h[t + 1] = a * h[t] + x[t]

    def dx(dy):
        g = np.zeros_like(x)
        c = np.zeros(3)
        for t in range(len(x) - 1, -1, -1):
            g[t] = c = dy[t] + a * c
        return g

    return h[1:], dx, lambda dy: (dy * h[:-1]).sum(0)


class EvaluatedNorm(Function):
    @staticmethod
    def forward(ctx, x):
        m, s = x.mean(0), (x.var(0, unbiased=False) + 1e-5).sqrt()
        ctx.save_for_backward(s)
        return (x - m) / s

    @staticmethod
    def backward(ctx, dy):
        (s,) = ctx.saved_tensors
        return dy / s


class Quadratic(Function):
    @staticmethod
    def forward(ctx, x, a):
        ctx.save_for_backward(x, a)
        return ((x @ a) * x).sum(-1)

    @staticmethod
    def backward(ctx, dy):
        x, a = ctx.saved_tensors
        return 2 * dy[:, None] * (x @ a), x.T @ (dy[:, None] * x)


@differentiable
def heads(x):
    B, T, D = x.shape
    y = np.tanh(x).reshape(B, T, 2, D // 2).transpose(0, 2, 1, 3)
    return y, lambda dy: dy.reshape(B, T, D) * (1 - np.tanh(x) ** 2)


@differentiable
def grid_sums(x):
    n, m = x.shape
    s = np.zeros((n + 1, m + 1))
    for i in range(n):
        for j in range(m):
            s[i + 1, j + 1] = x[i, j] + 0.5 * s[i, j + 1] + 0.3 * s[i + 1, j]

    def dx(dy):
        g = np.zeros((n + 1, m + 1))
        for i in range(n - 1, -1, -1):
            for j in range(m - 1, -1, -1):
                g[i, j] = dy[i, j] + 0.5 * g[i + 1, j] + 0.3 * g[i + 1, j + 1]
        return g[:n, :m]

    return s[1:, 1:], dx


@differentiable
def last_step(x, w):
    h = [x]
    for _ in range(3):
        h.append(np.tanh(h[-1] @ w))

    def both(dy):
        dw = np.zeros_like(w)
        for t in (3, 2, 1):
            z = dy * (1 - h[t] ** 2)
            dw = h[t - 1].T @ z
            dy = z @ w.T
        return dy, dw

    return h[-1], *together(both)


@pytest.mark.parametrize(
    ("operation", "shapes", "said"),
    [
        (Swish.apply, [(4, 3)], "x.sigmoid() in place of (1.7 * x).sigmoid()"),
        (Softmax.apply, [(3, 4)], "save_for_backward(x) in place of ctx.save_for_backward(y)"),
        (NormedInNumPy.apply, [(3, 4)], "n ** 2 in place of n ** 3"),
        (FirstColumn.apply, [(3, 4)], "left out, at place 1, 2, 3 of axis 1 of x"),
        (gates, [(3, 4)], "i * (1 - i) in place of dy * c * f * (1 - f)"),
        (mean_of_squares, [(4, 2)], "len(x) in place of x.size"),
        (one_place, [(3, 4)], "1.001 in place of 1"),
        (two_steps_back, [(6,)], "a1 * g[t + 1] in place of a1 * g[t + 1] + a2 * g[t + 2]"),
        (running_back, [(6,)], "range(n - 1, -1, -1) the other way round"),
        (leaking, [(5, 3), (3,)], "part of the function treated as a constant"),
        (EvaluatedNorm, [(5, 3)], "part of the function treated as a constant"),
        (Quadratic, [(5, 3), (3, 3)], "(a + a.T) / 2"),
        (heads, [(2, 3, 4)], "dy.swapaxes(1, 2).reshape(B, T, D)"),
        (grid_sums, [(3, 4)], "g[i + 1, j + 1] in place of g[i, j + 1]"),
        (last_step, [(3, 4), (4, 4)], "dw = h[t - 1].T @ z in place of dw += h[t - 1].T @ z"),
    ],
)
def test_the_mistake_is_found_in_the_code(operation, shapes, said):
    report = tinynet.gradcheck(operation, *map(rng.standard_normal, shapes))
    assert [said in failure.cause for failure in report.failures] == [True]


def test_the_arguments_of_a_function_have_the_names_that_forward_gives_them():
    report = tinynet.gradcheck(Swish.apply, rng.standard_normal((4, 3)))
    assert report.failures[0].argument == "x"
