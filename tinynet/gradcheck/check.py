"""The gradient check: the derivative by hand against the derivative by trying.

For a function y = f(x) and a random output gradient u, the loss L(x) = sum(u * f(x)) has the
gradient that `backward(u)` computes. Moving one element of x by h both ways gives the same
number by trying (central difference):

    dL/dx_i = (L(x + h e_i) - L(x - h e_i)) / 2h + O(h^2)

A random u matters: with u = 1 the gradient of a softmax's sum is 0, and every mistake passes.
An input with many elements is moved along random directions v instead, against <dL/dx, v>.

How far apart the two may be follows from the arithmetic. The difference of two losses carries
the rounding of their terms, about eps * sum|u * y|, and dividing by 2h magnifies it. A wrong
gradient stays wrong for every h; an h that straddles a kink (of ReLU, of max-pooling) does not.
So a disagreement counts only if it persists while h shrinks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.gradcheck.report import Failure, Report
from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # balances truncation and rounding
SHRINK = (1.0, 0.1, 0.01)
FULL_CHECK_LIMIT = 500  # inputs with more elements are checked along directions
DIRECTIONS = 8


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Any,
    *,
    mode: str = "auto",
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> Report:
    """Compare the gradients of `fn` with central differences, in float64.

    fn: takes the inputs, returns a tensor. inputs: a tensor or array, or a sequence of them;
    those that require a gradient are checked, or all floats if none does. Everything is copied
    to float64, so the caller's tensors stay as they are.
    mode: "elements" moves every element, "directions" moves along random directions, "auto"
    takes elements for inputs of up to 500. eps: the step, relative to max(1, |x|), by default
    6e-6. rtol: the relative error allowed, 1e-5. atol: the absolute error allowed; by default
    it follows from the rounding of the loss. seed: for the output gradient and the directions.

    Returns a Report, true when all is well. Raises ValueError if the check would say nothing:
    no float input, no dependence on the inputs, or another result on every call.

    >>> import tinynet
    >>> report = gradcheck(lambda x: (x * x).sum(), tinynet.tensor([1.0, 2.0, 3.0]))
    >>> bool(report)
    True
    >>> @tinynet.differentiable
    ... def cube(x):
    ...     return x**3, lambda dy: dy * 2 * x**2
    >>> report = gradcheck(cube, tinynet.tensor([1.0, -2.0]))
    >>> report.failures[0].index, round(report.failures[0].analytic / report.failures[0].numeric, 3)
    ((1,), 0.667)
    """
    if mode not in ("auto", "elements", "directions"):
        raise ValueError(f"gradcheck: mode must be auto, elements or directions, got {mode!r}")
    values = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    tensors = [_as_float64(value) for value in values]
    chosen = [getattr(value, "requires_grad", False) for value in values]
    if not any(chosen):
        chosen = [isinstance(t, Tensor) and t.dtype.kind == "f" for t in tensors]
    targets = {_name(fn, i): t for i, t in enumerate(tensors) if chosen[i]}
    if not targets:
        raise ValueError("gradcheck: no input is a float tensor, so there is nothing to check")
    for tensor in targets.values():
        tensor.requires_grad_()
    op = getattr(fn, "__name__", type(fn).__name__)
    rng = np.random.default_rng(seed)
    return _check(lambda: fn(*tensors), targets, op, mode, eps, rtol, atol, rng)


def gradcheck_model(
    model: Module,
    batch: Any,
    loss: Callable[..., Tensor] | None = None,
    *,
    mode: str = "auto",
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> Report:
    """Check the gradient of every parameter of a model, on one batch and in float64.

    batch: the input, or a pair (input, target). loss: takes the model's output and the target
    (cross-entropy if a target is given), or the output alone; without loss and target the
    output itself is checked. A copy of the model is checked, in the mode (training or
    evaluation) it is in. Options as for `gradcheck`. Failures name the parameter's path.
    """
    x, *rest = batch if isinstance(batch, (tuple, list)) else (batch,)
    twin = copy.deepcopy(model).double()
    for parameter in twin.parameters():
        parameter.grad = None
    start = {name: buffer.copy() for name, buffer in _buffers(twin)}
    x = _as_float64(x)

    def evaluate() -> Tensor:
        for name, buffer in _buffers(twin):
            buffer[...] = start[name]  # running statistics must not carry from call to call
        y = twin(x)
        if rest:
            return (loss or F.cross_entropy)(y, *rest)
        return loss(y) if loss is not None else y

    targets: dict[str, Tensor] = dict(twin.named_parameters())
    rng = np.random.default_rng(seed)
    return _check(evaluate, targets, type(model).__name__, mode, eps, rtol, atol, rng)


def _check(
    evaluate: Callable[[], Tensor],
    targets: dict[str, Tensor],
    op: str,
    mode: str,
    eps: float | None,
    rtol: float | None,
    atol: float | None,
    rng: np.random.Generator,
) -> Report:
    """Compare the gradient of each target of `evaluate` with differences."""
    y = evaluate()
    if not y.requires_grad:
        raise ValueError(f"gradcheck: the result of {op} does not depend on {', '.join(targets)}")
    if not np.array_equal(y.data, evaluate().data, equal_nan=True):
        raise ValueError(
            f"gradcheck: {op} gives another result on each call, so differences mean nothing. Fix "
            "its randomness: an rng seeded inside the function, or dropout in eval mode."
        )
    if not np.isfinite(y.data).all():
        raise ValueError(f"gradcheck: the result of {op} has NaN or infinite values")
    u = rng.standard_normal(y.shape)
    y.backward(u)

    def loss() -> float:
        with autograd.no_grad():
            return float((u * evaluate().data).sum())

    rounding = float(np.finfo(np.float64).eps * (np.abs(u * y.data).sum() + 1e-30))
    report = Report(op)
    for name, x in targets.items():
        analytic = np.zeros(x.shape) if x.grad is None else x.grad.data
        moves = _moves(x, mode, rng)
        _compare(report, name, x, analytic, moves, loss, eps or STEP, rtol or 1e-5, atol, rounding)
    return report


Move = tuple[tuple[int, ...] | None, np.ndarray]
"""(index of the element that moves, or None; the direction)."""


def _moves(x: Tensor, mode: str, rng: np.random.Generator) -> Iterator[Move]:
    """The directions to try: every unit vector, or a few random ones."""
    if mode == "elements" or (mode == "auto" and x.numel() <= FULL_CHECK_LIMIT):
        for index in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[index] = 1.0
            yield index, direction
    else:
        for _ in range(DIRECTIONS):
            direction = rng.standard_normal(x.shape)
            yield None, direction / np.linalg.norm(direction)


def _compare(
    report: Report,
    name: str,
    x: Tensor,
    analytic: np.ndarray,
    moves: Iterator[Move],
    loss: Callable[[], float],
    eps: float,
    rtol: float,
    atol: float | None,
    rounding: float,
) -> None:
    """Try every move of one input, and add what disagrees to the report."""
    wrong: list[Failure] = []
    total, largest_error, largest_slope = 0, 0.0, 0.0
    for index, direction in moves:
        total += 1
        slope = float((analytic * direction).sum())
        scale = max(1.0, float(np.abs(x.data[index]))) if index is not None else 1.0
        for shrink in SHRINK:
            h = eps * scale * shrink
            numeric, step = _central_difference(x, direction, h, loss)
            allowed = (100 * rounding / step if atol is None else atol) + rtol * max(
                abs(slope), abs(numeric)
            )
            error = abs(slope - numeric)
            if error <= allowed:
                break
        size = max(abs(slope), abs(numeric))
        largest_slope = max(largest_slope, size)
        if error > allowed:
            wrong.append(Failure(report.op, name, index, slope, numeric))
        else:
            largest_error = max(largest_error, error)
    report.checked[name] = total
    report.worst = max(report.worst, largest_error / (largest_slope or 1.0))
    if wrong:
        worst = max(wrong, key=lambda failure: abs(failure.analytic - failure.numeric))
        worst.count, worst.total = len(wrong), total
        report.failures.append(worst)


def _central_difference(
    x: Tensor, direction: np.ndarray, h: float, loss: Callable[[], float]
) -> tuple[float, float]:
    """The slope of the loss along `direction`, and the step that was really taken.

    x + h is rounded, so the step is measured: (x + h) - (x - h) for the elements that move.
    """
    start = x.data
    try:
        x.data = above = start + h * direction
        loss_above = loss()
        x.data = below = start - h * direction
        loss_below = loss()
    finally:
        x.data = start
    realised = float(((above - below) * direction).sum() / (direction * direction).sum())
    return (loss_above - loss_below) / realised, realised


def _as_float64(value: Any) -> Any:
    """A float64 copy of a float tensor or array; anything else as it is."""
    if isinstance(value, (Tensor, np.ndarray)):
        data = value.data if isinstance(value, Tensor) else value
        if data.dtype.kind == "f":
            return Tensor(data.astype(np.float64, order="K"))
    return value


def _buffers(model: Module) -> Sequence[tuple[str, np.ndarray]]:
    return [
        (name, buffer.data if isinstance(buffer, Tensor) else buffer)
        for name, buffer in model.named_buffers()
    ]


def _name(fn: Callable[..., Any], position: int) -> str:
    """The name of an argument of `fn`, or `input i`."""
    import inspect

    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        return f"input {position}"
    if position < len(parameters) and parameters[position].kind in (0, 1):
        return parameters[position].name
    return f"input {position}"
