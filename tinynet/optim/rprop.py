"""Rprop: each number has a step size of its own, and of the gradient the sign alone counts."""

from typing import Annotated, Any, ClassVar

import numpy as np

from tinynet.optim.checks import AtLeastZero, Flag, above_zero, below_one, number, pair_of
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class Rprop(Optimizer):
    """Resilient backpropagation, for gradients of the whole data set.

        s = s * eta_plus, where g has the sign that it had the step before
        s = s * eta_minus and g = 0, where the sign has turned
        p = p - sign(g) * s                          (g the gradient; -dp if maximize)

    s starts at lr and stays between the two of step_sizes; etas are (eta_minus, eta_plus).
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm" (1993). State of each parameter: `prev` (g) and `step_size` (s).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("prev", "step_size")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-2,
        etas: Annotated[tuple[float, float], pair_of(below_one, number(1), "(0.5, 1.2)")] = (
            0.5,
            1.2,
        ),
        step_sizes: Annotated[
            tuple[float, float], pair_of(above_zero, above_zero, "(1e-6, 50)")
        ] = (1e-6, 50),
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults, switches)

    def initial_state(self, name: str, p: Array, settings: Settings) -> Array:
        return np.full_like(p, settings["lr"] if name == "step_size" else 0)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        shrink, grow = settings["etas"]
        s, before = state["step_size"], state["prev"]
        np.sign(g, out=u, casting="same_kind")
        np.sign(before, out=t)
        t *= u  # 1 where the sign is the same, -1 where it has turned
        s *= np.where(t > 0, grow, np.where(t < 0, shrink, 1))
        np.clip(s, *settings["step_sizes"], out=s)
        u[t < 0] = 0
        np.copyto(before, np.where(u == 0, 0, g), casting="same_kind")
        np.multiply(u, s, out=t)
        p -= t
