"""L-BFGS: steps along a direction that knows the curvature, from the last gradients alone.

Source: Nocedal & Wright, "Numerical Optimization", 2nd edition, 2006: the direction is algorithm
7.4, the loop 7.5, the line search 3.5 and 3.6. All parameters are one vector here.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np

from tinynet.autograd import wrap
from tinynet.grad_mode import enable_grad
from tinynet.nn.utils import vector_to_parameters
from tinynet.optim.checks import AtLeastZero, FromOne, from_one, one_of, optional
from tinynet.optim.executor import Array
from tinynet.optim.optimizer import Optimizer, Params

DECREASE, CURVATURE = 1e-4, 0.9  # c1 and c2 of the strong Wolfe conditions
TRIALS = 25  # evaluations in one line search
CURVED = 1e-10  # the least s^T y of a pair that is remembered; H leads downhill while it is above 0


class LBFGS(Optimizer):
    """Limited-memory BFGS: x <- x - t H g, with H from the last `history_size` steps.

    With s = x_new - x and y = g_new - g of each step, H is the matrix that BFGS would have made of
    (s^T y / y^T y) I by these pairs; it is never formed. t is lr, in the very first iteration
    min(1, 1 / |g|_1) lr; line_search_fn="strong_wolfe" starts there, and searches until the loss f
    has decreased enough and its slope is small: f(t) <= f(0) + c1 t f'(0), |f'(t)| <= c2 |f'(0)|.

    `step(closure)` makes up to `max_iter` iterations. closure: clears the gradients, computes the
    loss, calls backward() and returns the loss. A step ends before where the largest gradient is at
    most tolerance_grad, loss or parameters change by at most tolerance_change, or max_eval losses
    were computed (1.25 max_iter if None). There is one group of parameters. State of the first:
    `old_stps` and `old_dirs` (all s and y), `prev_flat_grad` (g), `d` and `t` (the last step, t d),
    and the counts `n_iter` and `func_evals`.
    """

    def __init__(
        self, params: Params, lr: AtLeastZero = 1, max_iter: FromOne = 20,
        max_eval: Annotated[int | None, optional(from_one)] = None,
        tolerance_grad: AtLeastZero = 1e-7, tolerance_change: AtLeastZero = 1e-9,
        history_size: FromOne = 100,
        line_search_fn: Annotated[str | None, optional(one_of("strong_wolfe"))] = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "history_size": history_size,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "line_search_fn": line_search_fn,
        })  # fmt: skip

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the parameters; ValueError for a second group."""
        if self.param_groups:
            raise ValueError("LBFGS: there is one group, since one direction moves all parameters")
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to `max_iter` iterations; gives the loss that the closure returned first.

        Raises TypeError without a closure, FloatingPointError for a loss that is not finite.
        """
        if closure is None:
            raise TypeError(
                "LBFGS: step(closure) calls a function several times, which clears the gradients, "
                "computes the loss, calls backward() and returns the loss"
            )
        (settings,), params, losses = self.param_groups, self._all_params(), list[Any]()
        state, small = self.state[params[0]], settings["tolerance_change"]

        def at(length: float) -> Point:
            vector_to_parameters(wrap(x + length * d), params)
            with enable_grad():
                losses.append(closure())
            self._pairs(params)  # refuses gradients that do not fit
            grads = [0 * p.array if p.grad is None else p.grad.array for p in params]
            g = np.concatenate([grad.ravel() for grad in grads])
            return Point(length, float(losses[-1]), float(g @ d), g)

        def now() -> Array:
            return np.concatenate([p.array.ravel() for p in params])

        x = now()
        d = 0 * x
        here = at(0.0)
        x = now()  # a closure may change the parameters, such as keep them within bounds
        for iteration in range(1, settings["max_iter"] + 1):
            g = here.gradient
            if np.abs(g).max(initial=0) <= settings["tolerance_grad"]:
                break
            d = self._direction(state, g, settings["history_size"])
            start = Point(0.0, here.loss, float(g @ d), g)
            if start.slope > -small:
                break
            t = settings["lr"] * (
                min(1.0, 1 / float(np.abs(g).sum())) if state["n_iter"] == 1 else 1
            )
            last = iteration == settings["max_iter"]
            if settings["line_search_fn"]:
                here = _searched(at, start, t)
            else:  # the next step begins with the loss of the last
                here = start._replace(length=t) if last else at(t)
            state["t"], moved = here.length, here.length * d
            x = x + moved if last or settings["line_search_fn"] else now()
            if not math.isfinite(here.loss):
                raise FloatingPointError(f"LBFGS: loss {here.loss} after a step of {t:g}; lower lr")
            changes = abs(here.loss - start.loss), np.abs(moved).max()
            if last or len(losses) >= settings["max_eval"] or min(changes) <= small:
                break
        vector_to_parameters(wrap(x), params)
        state["func_evals"] = state.get("func_evals", 0) + len(losses)
        return losses[0]

    def _direction(self, state: dict[str, Any], g: Array, most: int) -> Array:
        """-H g by two loops over the remembered pairs (s, y), to which the last step adds one."""
        steps, changes = (state.setdefault(name, []) for name in ("old_stps", "old_dirs"))
        if "d" in state:
            s, y = state["t"] * state["d"].array, g - state["prev_flat_grad"].array
            if s @ y > CURVED:
                steps[:] = [*steps, wrap(s)][-most:]
                changes[:] = [*changes, wrap(y)][-most:]
        pairs = [(s.array, y.array) for s, y in zip(steps, changes)]
        q, shares = -g, []
        for s, y in reversed(pairs):
            shares.append((s @ q) / (y @ s))
            q -= shares[-1] * y
        for s, y in pairs[-1:]:
            q *= (s @ y) / (y @ y)
        for (s, y), share in zip(pairs, reversed(shares)):
            q += (share - (y @ q) / (y @ s)) * s
        number = state.get("n_iter", 0) + 1
        state.update(n_iter=number, prev_flat_grad=wrap(g), d=wrap(q), t=0.0)
        return q


class Point(NamedTuple):
    """What is known at a step length along a line: the loss, its slope, and the whole gradient."""

    length: float
    loss: float
    slope: float
    gradient: Array


def _searched(at: Callable[[float], Point], start: Point, length: float) -> Point:
    """A point that meets the strong Wolfe conditions, or the lowest one of `TRIALS`.

    Algorithms 3.5 and 3.6 in one: `low` is the best point yet; `high`, once it is known, bounds an
    interval that holds such a point, as the loss falls from `low` towards it. Before, lengths grow.
    """
    low, high = start, None
    for _ in range(TRIALS if length else 0):
        here, before = at(length), low
        decreased = here.loss <= start.loss + DECREASE * length * start.slope
        if not decreased or here.loss >= low.loss:  # what is no number has not
            high = here
        elif abs(here.slope) <= -CURVATURE * start.slope:
            return here
        else:
            end = math.inf if high is None else high.length
            high = low if here.slope * (end - low.length) >= 0 else high
            low = here
        end = 10 * low.length - 9 * before.length if high is None else high.length
        length = _lowest(high or before, low, low.length, end)
    return low


def _lowest(one: Point, two: Point, begin: float, end: float) -> float:
    """Where the cubic through two points, with their slopes, is lowest (equation 3.59).

    At least a tenth of the interval away from its ends; its middle where the cubic has no minimum.
    """
    width = two.length - one.length
    d = one.slope + two.slope - 3 * (two.loss - one.loss) / width
    square = d * d - one.slope * two.slope
    root = math.copysign(math.sqrt(square), width) if square >= 0 else math.nan
    divisor = two.slope - one.slope + 2 * root
    place = two.length - width * (two.slope + root - d) / divisor if divisor else math.nan
    least, most = sorted((0.9 * begin + 0.1 * end, 0.1 * begin + 0.9 * end))
    return min(max(place, least), most) if math.isfinite(place) else (begin + end) / 2
