"""Adadelta: steps in the units of the parameter, without a learning rate to choose."""

from typing import Any, ClassVar

import numpy as np

from tinynet.optim.averages import average_squares
from tinynet.optim.checks import AtLeastZero, Flag, ZeroToOne
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class Adadelta(Optimizer):
    """Adadelta.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        v = rho * v + (1 - rho) * g**2               (average of squared gradients)
        d = sqrt(a + eps) / sqrt(v + eps) * g
        a = rho * a + (1 - rho) * d**2               (average of squared steps)
        p = p - lr * d

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), arXiv:1212.5701. lr, 1 by
    default, is PyTorch's addition.

    params: tensors, or groups (see Optimizer). lr, eps, weight_decay: numbers of at least 0; rho:
    between 0 and 1. State of each parameter: `square_avg` (v) and `acc_delta` (a).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1.0,
        rho: ZeroToOne = 0.9,
        eps: AtLeastZero = 1e-6,
        weight_decay: AtLeastZero = 0,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults, switches)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        rho, eps = settings["rho"], settings["eps"]
        v, a = state["square_avg"], state["acc_delta"]
        average_squares(v, g, rho, t)  # v = rho * v + (1 - rho) * g**2
        np.add(v, eps, out=t)  # d = sqrt(a + eps) / sqrt(v + eps) * g
        np.add(a, eps, out=u)
        u /= t
        np.sqrt(u, out=u)
        d = np.multiply(u, g, out=u, casting="same_kind")
        average_squares(a, d, rho, t)  # a = rho * a + (1 - rho) * d**2
        p -= np.multiply(d, settings["lr"], out=d)  # p = p - lr * d
