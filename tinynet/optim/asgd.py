"""ASGD: gradient descent that remembers the mean of the parameters on its way."""

from typing import Any, ClassVar

import numpy as np

from tinynet.optim.checks import AtLeastZero, Flag
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class ASGD(Optimizer):
    """Averaged stochastic gradient descent.

        eta = lr / (1 + lambd * lr * (step - 1))**alpha
        p = p - eta * (lambd * p + g)                (g the gradient, weight decay in it)
        a = a + (p - a) / max(1, step - 1 - t0)

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
    lr, lambd, alpha, t0, weight_decay: numbers of at least 0. State of each parameter: `ax` (a),
    the mean of p from step t0 on, which is p itself before; and `eta`, worked out in the step
    before, so that a new lr counts from the step after next, as in PyTorch.
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("ax", "eta")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-2,
        lambd: AtLeastZero = 1e-4,
        alpha: AtLeastZero = 0.75,
        t0: AtLeastZero = 1e6,
        weight_decay: AtLeastZero = 0,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "maximize": maximize}
        super().__init__(params, {**defaults, "weight_decay": weight_decay}, switches)

    def initial_state(self, name: str, p: Array, settings: Settings) -> Array:
        return np.full_like(p, settings["lr"] if name == "eta" else 0)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        a, eta, step = state["ax"], state["eta"], state["step"]
        lr, lambd = settings["lr"], settings["lambd"]
        np.multiply(g, eta, out=t, casting="same_kind")
        p *= 1 - lambd * eta
        p -= t
        np.subtract(p, a, out=t)
        t /= max(1, step - 1 - settings["t0"])
        a += t
        eta.fill(lr / (1 + lambd * lr * step) ** settings["alpha"])
