"""The exercises: what a file must define, what it is held against, and how it is put to work.

A kernel is put in place by `adapter.in_place`, so that everything else in tinynet runs on it. A
loss and an optimizer's step are not kernels; they are wrapped into an operation and an Optimizer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinynet
from tinynet import ops
from tinynet.errors import unknown_name
from tinynet.gradcheck import Report as GradientReport
from tinynet.gradcheck import gradcheck
from tinynet.lab import grid, reference
from tinynet.lab.adapter import in_place, written_out
from tinynet.lab.grid import Arguments, Case
from tinynet.nn.module import Module
from tinynet.optim import SGD
from tinynet.tensor import Tensor

Functions = dict[str, Callable[..., Any]]
LR, MOMENTUM = 0.05, 0.9  # of the training runs
NO_PADDING, ONE = grid.NONE, grid.ONE


@dataclass(frozen=True)
class Load:
    """One size at which functions are timed. work: passes of the innermost loop."""

    function: str
    about: str
    arguments: Arguments
    work: int


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    functions: the names that a file must define, the main one first. cases: the grid. loads: the
    sizes that are timed, small to large for each function. built_in: tinynet's own function for
    a name. check: gradient checks with the submission's functions, none where there is nothing to
    derive. in_place: puts them in place of tinynet's for a training run of a model, and gives the
    arguments of `fit` that it takes.
    """

    name: str
    about: str
    functions: tuple[str, ...]
    cases: Callable[[], Iterator[Case]]
    loads: Callable[[], list[Load]]
    built_in: Callable[[str], Callable[..., Any]]
    check: Callable[[Functions], list[GradientReport]]
    in_place: Callable[[Functions, Module], AbstractContextManager[dict[str, Any]]]


def find(name: str) -> Exercise:
    """The exercise of that name. Raises ValueError with the names that there are."""
    if name not in EXERCISES:
        raise unknown_name("exercise", name, EXERCISES)
    return EXERCISES[name]


# ----- gradient checks ----------------------------------------------------------------------------


def _inputs(*shapes: tuple[int, ...], wanted: tuple[int, ...]) -> list[Tensor]:
    """Random float64 tensors; those whose numbers are in `wanted` have their gradient checked."""
    rng = np.random.default_rng(0)
    return [
        Tensor(rng.standard_normal(shape), requires_grad=i in wanted)
        for i, shape in enumerate(shapes)
    ]


def _check_convolution(*wanted: int) -> Callable[[Functions], list[GradientReport]]:
    """Convolutions of x and w with a bias, of which the numbered inputs are checked."""

    plain: Arguments = {"groups": 1, "padding": 1}
    all_of_it: Arguments = {"groups": 2, "padding": (1, 0), "stride": (2, 1), "dilation": (1, 2)}

    def check(functions: Functions) -> list[GradientReport]:
        with in_place(**functions):
            return [
                gradcheck(
                    lambda x, w, b, s=settings: tinynet.conv2d(x, w, b, **s),
                    _inputs((2, 4, 4, 5), (2, 4 // settings["groups"], 3, 2), (2,), wanted=wanted),
                )
                for settings in (plain, all_of_it)
            ]

    return check


def _check_pool(functions: Functions) -> list[GradientReport]:
    x = np.random.default_rng(0).permutation(60).reshape(1, 2, 5, 6) / 10  # no two within 2h
    with in_place(**functions):
        return [
            gradcheck(lambda x, s=settings: tinynet.max_pool2d(x, **s), Tensor(x))
            for settings in (
                {"kernel_size": 2},
                {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
            )
        ]


def _check_relu(functions: Functions) -> list[GradientReport]:
    x = np.array([[-2.0, -0.5, 0.25], [1.0, 2.0, -1.5]])
    with in_place(**functions):
        return [gradcheck(tinynet.relu, Tensor(x))]


def _check_cross_entropy(functions: Functions) -> list[GradientReport]:
    (x,) = _inputs((4, 5), wanted=(0,))
    loss = loss_of(functions)
    return [gradcheck(lambda x: loss(x, np.array([0, 4, 2, 2])), x)]


# ----- in place of tinynet's own ------------------------------------------------------------------


@contextlib.contextmanager
def _as_kernels(functions: Functions, model: Module) -> Iterator[dict[str, Any]]:
    with in_place(**functions):
        yield {}


@contextlib.contextmanager
def _as_loss(functions: Functions, model: Module) -> Iterator[dict[str, Any]]:
    yield {"loss": loss_of(functions)}


@contextlib.contextmanager
def _as_optimizer(functions: Functions, model: Module) -> Iterator[dict[str, Any]]:
    yield {"optimizer": OwnSGD(functions["sgd"], list(model.parameters())), "lr": None}


def loss_of(functions: Functions) -> Callable[..., Tensor]:
    """The operation made of a `cross_entropy` and its `cross_entropy_dx`."""

    @tinynet.differentiable
    def cross_entropy(x: Any, target: Any) -> Any:
        y = np.asarray(functions["cross_entropy"](x, target), x.dtype)
        return y, lambda dy: dy * functions["cross_entropy_dx"](x, target)

    return cross_entropy


class OwnSGD(SGD):
    """SGD whose step is a given function (p, g, b, lr, momentum) -> (new p, new b)."""

    def __init__(self, step: Callable[..., Any], params: list[Any]) -> None:
        super().__init__(params, lr=LR, momentum=MOMENTUM)
        self.own = step

    def update(
        self,
        p: np.ndarray,
        g: np.ndarray,
        state: dict[str, Any],
        settings: dict[str, Any],
        t: np.ndarray,
        u: np.ndarray,
    ) -> None:
        b = state["momentum_buffer"]
        p[...], b[...] = self.own(p.copy(), g.copy(), b.copy(), settings["lr"], MOMENTUM)


# ----- sizes that are timed -----------------------------------------------------------------------


def _convolution_loads(function: str) -> list[Load]:
    loads = []
    for about, x_shape, w_shape in (
        ("2 images 3x10x10, 4 kernels", (2, 3, 10, 10), (4, 3, 3, 3)),
        ("32 images 16x8x8, 32 kernels", (32, 16, 8, 8), (32, 16, 3, 3)),
    ):
        rng = np.random.default_rng(0)
        x, w = (rng.standard_normal(shape).astype(np.float32) for shape in (x_shape, w_shape))
        dy = rng.standard_normal((x_shape[0], w_shape[0], *x_shape[2:])).astype(np.float32)
        given: dict[str, Arguments] = {
            "conv2d": {"x": x, "w": w, "b": np.zeros(w_shape[0], np.float32)},
            "conv2d_dx": {"dy": dy, "w": w, "size": x_shape[2:]},
            "conv2d_dw": {"dy": dy, "x": x, "kernel": (3, 3)},
        }
        settings = {"stride": (1, 1), "padding": ONE, "dilation": (1, 1), "groups": 1}
        work = dy.size * w[0].size
        loads.append(Load(function, about, given[function] | settings, work))
    return loads


def _pool_loads(function: str) -> list[Load]:
    loads = []
    for shape in ((2, 3, 12, 12), (32, 32, 8, 8)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        window = (2, 2), (2, 2), NO_PADDING, (1, 1)
        settings = dict(zip(("kernel", "stride", "padding", "dilation"), window))
        y = reference.max_pool2d(x, *window)
        gradient = {"dy": y, "x": x, "y": y} if function == "max_pool2d_dx" else {"x": x}
        about = f"{shape[0]} images {'x'.join(map(str, shape[1:]))}, windows 2x2"
        loads.append(Load(function, about, gradient | settings, x.size))
    return loads


def _relu_loads() -> list[Load]:
    loads = []
    for function in ("relu", "relu_dx"):
        for size in (1000, 50_000):
            x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
            arguments = {"x": x} if function == "relu" else {"dy": x, "y": np.maximum(x, 0)}
            loads.append(Load(function, f"{size:,} numbers", arguments, size))
    return loads


def _cross_entropy_loads() -> list[Load]:
    loads = []
    for function in ("cross_entropy", "cross_entropy_dx"):
        for N in (8, 256):
            x = np.random.default_rng(0).standard_normal((N, 10)).astype(np.float32)
            arguments = {"x": x, "target": np.arange(N) % 10}
            loads.append(Load(function, f"{N} examples, 10 classes", arguments, 10 * N))
    return loads


def _step_loads() -> list[Load]:
    loads = []
    for size in (1000, 26_000):
        p, g, b = np.random.default_rng(0).standard_normal((3, size)).astype(np.float32)
        arguments = {"p": p, "g": g, "b": b, "lr": LR, "momentum": MOMENTUM}
        loads.append(Load("sgd", f"{size:,} parameters", arguments, size))
    return loads


# ----- tinynet's own ------------------------------------------------------------------------------


def _kernel(name: str) -> Callable[..., Any]:
    function = written_out(name)
    return lambda **arguments: function(*arguments.values())


def _built_in_loss(name: str) -> Callable[..., Any]:
    body = ops.cross_entropy.forward  # type: ignore[attr-defined]

    def call(x: Any, target: Any) -> Any:
        y, dx = body(x, target)
        return y if name == "cross_entropy" else dx(np.float32(1))

    return call


def _built_in_step(name: str) -> Callable[..., Any]:
    optimizers: dict[int, SGD] = {}  # by the parameter's array: made once, stepped often

    def call(p: Any, g: Any, b: Any, lr: float, momentum: float) -> None:
        if id(p) not in optimizers:
            parameter = Tensor(p.copy(), requires_grad=True)
            parameter.grad = Tensor(g)
            optimizers[id(p)] = SGD([parameter], lr=lr, momentum=momentum)
        optimizers[id(p)].step()

    return call


# ----- the table ----------------------------------------------------------------------------------

EXERCISES = {
    exercise.name: exercise
    for exercise in (
        Exercise(
            "relu",
            "the rectified linear unit and its gradient",
            ("relu", "relu_dx"),
            grid.relus,
            _relu_loads,
            _kernel,
            _check_relu,
            _as_kernels,
        ),
        Exercise(
            "sgd",
            "one step of stochastic gradient descent with momentum",
            ("sgd",),
            grid.steps,
            _step_loads,
            _built_in_step,
            lambda functions: [],
            _as_optimizer,
        ),
        Exercise(
            "cross_entropy",
            "the loss of a classifier, from its scores, and its gradient",
            ("cross_entropy", "cross_entropy_dx"),
            grid.cross_entropies,
            _cross_entropy_loads,
            _built_in_loss,
            _check_cross_entropy,
            _as_loss,
        ),
        Exercise(
            "max_pool2d",
            "the largest element of each window",
            ("max_pool2d",),
            lambda: grid.pools("max_pool2d"),
            lambda: _pool_loads("max_pool2d"),
            _kernel,
            _check_pool,
            _as_kernels,
        ),
        Exercise(
            "max_pool2d_dx",
            "max-pooling's gradient: dy goes to the winner of each window",
            ("max_pool2d_dx",),
            lambda: grid.pools("max_pool2d_dx"),
            lambda: _pool_loads("max_pool2d_dx"),
            _kernel,
            _check_pool,
            _as_kernels,
        ),
        Exercise(
            "conv2d",
            "the convolution: a kernel slides over the image",
            ("conv2d",),
            lambda: grid.convolutions("conv2d"),
            lambda: _convolution_loads("conv2d"),
            _kernel,
            _check_convolution(0, 1, 2),
            _as_kernels,
        ),
        Exercise(
            "conv2d_dw",
            "the convolution's gradient of the weight",
            ("conv2d_dw",),
            lambda: grid.convolutions("conv2d_dw"),
            lambda: _convolution_loads("conv2d_dw"),
            _kernel,
            _check_convolution(1),
            _as_kernels,
        ),
        Exercise(
            "conv2d_dx",
            "the convolution's gradient of the input",
            ("conv2d_dx",),
            lambda: grid.convolutions("conv2d_dx"),
            lambda: _convolution_loads("conv2d_dx"),
            _kernel,
            _check_convolution(0),
            _as_kernels,
        ),
    )
}
"""The exercises by name, from the easiest to the hardest."""
