"""RMSprop: the gradient divided by a running average of its magnitude."""

from typing import Any, ClassVar

import numpy as np

from tinynet.optim.averages import average, average_squares
from tinynet.optim.checks import AtLeastZero, Flag, ZeroToOne
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class RMSprop(Optimizer):
    """Root-mean-square propagation.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g              (centered only; else a = 0)
        s = g / (sqrt(v - a**2) + eps)
        b = momentum * b + s                         (without momentum b = s)
        p = p - lr * b

    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning (2012);
    centered: Graves, "Generating Sequences With Recurrent Neural Networks" (2013),
    arXiv:1308.0850. v - a**2, a variance, is taken as 0 where rounding makes it negative.

    params: tensors, or groups (see Optimizer). lr, eps, weight_decay: numbers of at least 0;
    alpha, momentum: between 0 and 1. State of each parameter: `square_avg` (v), `grad_avg` (a) if
    centered, `momentum_buffer` (b) if momentum is not 0.
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("square_avg",)
    optional_state: ClassVar[dict[str, str]] = {
        "grad_avg": "centered",
        "momentum_buffer": "momentum",
    }

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-2,
        alpha: ZeroToOne = 0.99,
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 0,
        momentum: ZeroToOne = 0,
        centered: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults, switches)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        alpha, v = settings["alpha"], state["square_avg"]
        average_squares(v, g, alpha, t)  # v = alpha * v + (1 - alpha) * g**2
        if settings["centered"]:
            a = state["grad_avg"]
            average(a, g, alpha, t)  # a = alpha * a + (1 - alpha) * g
            np.multiply(a, a, out=t)
            np.subtract(v, t, out=t)
            np.sqrt(np.maximum(t, 0, out=t), out=t)  # sqrt(v - a**2)
        else:
            np.sqrt(v, out=t)
        t += settings["eps"]
        s = np.divide(g, t, out=t, casting="same_kind")  # s = g / (sqrt(v - a**2) + eps)
        if settings["momentum"]:
            b = state["momentum_buffer"]
            b *= settings["momentum"]  # b = momentum * b + s
            b += s
            np.multiply(b, settings["lr"], out=t)
        else:
            t *= settings["lr"]
        p -= t  # p = p - lr * b
