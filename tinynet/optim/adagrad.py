"""Adagrad: a learning rate for each element that falls with the gradients it has seen."""

from typing import Any, ClassVar

import numpy as np

from tinynet.optim.checks import AtLeastZero, Flag
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class Adagrad(Optimizer):
    """Adaptive subgradient method.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        s = s + g**2
        p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps)

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", Journal of Machine Learning Research 12 (2011).

    params: tensors, or groups (see Optimizer). lr, lr_decay, weight_decay, eps and
    initial_accumulator_value (what s starts from): numbers of at least 0. State of each
    parameter: `sum` (s).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-2,
        lr_decay: AtLeastZero = 0,
        weight_decay: AtLeastZero = 0,
        initial_accumulator_value: AtLeastZero = 0,
        eps: AtLeastZero = 1e-10,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults, switches)

    def initial_state(self, name: str, p: Array, settings: Settings) -> Array:
        return np.full_like(p, settings["initial_accumulator_value"])

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        s = state["sum"]
        s += np.multiply(g, g, out=t, casting="same_kind")  # s = s + g**2
        np.sqrt(s, out=t)  # p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps)
        t += settings["eps"]
        np.divide(g, t, out=t, casting="same_kind")
        t *= settings["lr"] / (1 + (state["step"] - 1) * settings["lr_decay"])
        p -= t
