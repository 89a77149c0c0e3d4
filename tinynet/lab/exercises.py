"""The exercises: what a file must define, what it is held against, and how it is put to work.

A kernel is put in place by `adapter.in_place`, so that everything else in tinynet runs on it. A
loss and an optimizer's step are not kernels; they are wrapped into an operation and an Optimizer.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from tinynet import ops
from tinynet.errors import unknown_name
from tinynet.gradcheck import Report as GradientReport
from tinynet.gradcheck import gradcheck
from tinynet.lab import grid
from tinynet.lab.adapter import in_place, written_out
from tinynet.lab.grid import Arguments, Case
from tinynet.nn.module import Module
from tinynet.optim import SGD
from tinynet.tensor import Tensor

Functions = dict[str, Callable[..., Any]]
LR, MOMENTUM = 0.05, 0.9  # of the training runs


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


@contextmanager
def _as_kernels(functions: Functions, model: Module) -> Iterator[dict[str, Any]]:
    with in_place(**functions):
        yield {}


def _as_loss(functions: Functions, model: Module) -> AbstractContextManager[dict[str, Any]]:
    return nullcontext({"loss": loss_of(functions)})


def _as_optimizer(functions: Functions, model: Module) -> AbstractContextManager[dict[str, Any]]:
    own = OwnSGD(functions["sgd"], list(model.parameters()))
    return nullcontext({"optimizer": own, "lr": None})


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

    def update(self, p: Any, g: Any, state: Any, settings: Any, t: Any, u: Any) -> None:
        b = state["momentum_buffer"]
        p[...], b[...] = self.own(p.copy(), g.copy(), b.copy(), settings["lr"], MOMENTUM)


# ----- tinynet's own ------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    functions: the names that a file must define, the main one first. cases: the grid, or with
    timed=True the sizes that are timed, small to large. check: gradient checks with the
    submission's functions, none where there is nothing to derive. built_in: tinynet's own function
    for a name. in_place: puts the submission's in place of tinynet's for a training run of a model,
    and gives the arguments of `fit` that it takes.
    """

    name: str
    about: str
    functions: tuple[str, ...]
    cases: Callable[..., Iterator[Case]]
    check: Callable[[Functions], list[GradientReport]]
    built_in: Callable[[str], Callable[..., Any]] = written_out
    in_place: Callable[[Functions, Module], AbstractContextManager[dict[str, Any]]] = _as_kernels


EXERCISES = {
    exercise.name: exercise
    for exercise in (
        Exercise("relu", "the rectified linear unit and its gradient", ("relu", "relu_dx"),
            grid.relus, _check_relu),
        Exercise("sgd", "one step of stochastic gradient descent with momentum", ("sgd",),
            grid.steps, lambda functions: [], _built_in_step, _as_optimizer),
        Exercise("cross_entropy", "the loss of a classifier, from its scores, and its gradient",
            ("cross_entropy", "cross_entropy_dx"), grid.cross_entropies, _check_cross_entropy,
            _built_in_loss, _as_loss),
        Exercise("max_pool2d", "the largest element of each window", ("max_pool2d",),
            partial(grid.pools, "max_pool2d"), _check_pool),
        Exercise("max_pool2d_dx", "max-pooling's gradient: dy goes to the winner of each window",
            ("max_pool2d_dx",), partial(grid.pools, "max_pool2d_dx"), _check_pool),
        Exercise("conv2d", "the convolution: a kernel slides over the image", ("conv2d",),
            partial(grid.convolutions, "conv2d"), _check_convolution(0, 1, 2)),
        Exercise("conv2d_dw", "the convolution's gradient of the weight", ("conv2d_dw",),
            partial(grid.convolutions, "conv2d_dw"), _check_convolution(1)),
        Exercise("conv2d_dx", "the convolution's gradient of the input", ("conv2d_dx",),
            partial(grid.convolutions, "conv2d_dx"), _check_convolution(0)),
    )
}  # fmt: skip
"""The exercises by name, from the easiest to the hardest."""


def find(name: str) -> Exercise:
    """The exercise of that name. Raises ValueError with the names that there are."""
    if name not in EXERCISES:
        raise unknown_name("exercise", name, EXERCISES)
    return EXERCISES[name]


def starter(exercise: Exercise) -> str:
    """The text of an exercise's starter file."""
    file = resources.files("tinynet.lab") / "starters" / f"{exercise.name}.txt"
    return file.read_text(encoding="utf-8")


def write_starter(exercise: Exercise, path: Path) -> None:
    """Write the starter file. Raises FileExistsError if there is anything at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(starter(exercise))
    except FileExistsError:
        raise FileExistsError(
            f"{path} exists and is left as it is; give another name: "
            f"tinynet lab {exercise.name} --start OTHER.py"
        ) from None
