"""Adagrad, Adadelta, RMSprop and Rprop: a step size for each number, from the gradients so far."""

from dataclasses import KW_ONLY
from typing import ClassVar

import numpy as np

from tinynet.optim.checks import AtLeastZero, Etas, Flag, StepSizes, ZeroToOne
from tinynet.optim.executor import Array, State
from tinynet.optim.formula import Formula, Switch, average, average_squares, with_settings
from tinynet.optim.optimizer import Settings


@with_settings
class Adagrad(Formula):
    """Adaptive subgradient method.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        s = s + g**2
        p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps)

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", Journal of Machine Learning Research 12 (2011).

    s starts from initial_accumulator_value. State of each parameter: `sum` (s).
    """

    required_state: ClassVar[tuple[str, ...]] = ("sum",)
    initial_state: ClassVar[dict[str, str | float]] = {"sum": "initial_accumulator_value"}

    lr: AtLeastZero = 1e-2
    lr_decay: AtLeastZero = 0
    weight_decay: AtLeastZero = 0
    initial_accumulator_value: AtLeastZero = 0
    eps: AtLeastZero = 1e-10
    _: KW_ONLY
    fused: Switch = None

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        s = state["sum"]
        s += np.multiply(g, g, out=t, casting="same_kind")  # s = s + g**2
        np.sqrt(s, out=t)  # p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps)
        t += group["eps"]
        np.divide(g, t, out=t, casting="same_kind")
        t *= group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        p -= t


@with_settings
class Adadelta(Formula):
    """Steps in the units of the parameter, without a learning rate to choose.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        v = rho * v + (1 - rho) * g**2               (average of squared gradients)
        d = sqrt(a + eps) / sqrt(v + eps) * g
        a = rho * a + (1 - rho) * d**2               (average of squared steps)
        p = p - lr * d

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), arXiv:1212.5701. lr, 1 by
    default, is PyTorch's addition.

    State of each parameter: `square_avg` (v) and `acc_delta` (a).
    """

    required_state: ClassVar[tuple[str, ...]] = ("square_avg", "acc_delta")

    lr: AtLeastZero = 1.0
    rho: ZeroToOne = 0.9
    eps: AtLeastZero = 1e-6
    weight_decay: AtLeastZero = 0
    _: KW_ONLY
    capturable: Switch = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        rho, eps = group["rho"], group["eps"]
        v, a = state["square_avg"], state["acc_delta"]
        average_squares(v, g, rho, t)  # v = rho * v + (1 - rho) * g**2
        np.add(v, eps, out=t)  # d = sqrt(a + eps) / sqrt(v + eps) * g
        np.add(a, eps, out=u)
        u /= t
        np.sqrt(u, out=u)
        d = np.multiply(u, g, out=u, casting="same_kind")
        average_squares(a, d, rho, t)  # a = rho * a + (1 - rho) * d**2
        p -= np.multiply(d, group["lr"], out=d)  # p = p - lr * d


@with_settings
class RMSprop(Formula):
    """Root-mean-square propagation: the gradient divided by an average of its magnitude.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g              (centered only; else a = 0)
        s = g / (sqrt(v - a**2) + eps)
        b = momentum * b + s                         (without momentum b = s)
        p = p - lr * b

    Tieleman and Hinton, "Lecture 6.5: rmsprop", Neural Networks for Machine Learning (2012);
    centered: Graves, "Generating Sequences With Recurrent Neural Networks" (2013),
    arXiv:1308.0850. v - a**2, a variance, is taken as 0 where rounding makes it negative.

    State of each parameter: `square_avg` (v), `grad_avg` (a) if centered, `momentum_buffer` (b) if
    momentum is not 0.
    """

    required_state: ClassVar[tuple[str, ...]] = ("square_avg",)
    optional_state: ClassVar[dict[str, str]] = {
        "grad_avg": "centered",
        "momentum_buffer": "momentum",
    }

    lr: AtLeastZero = 1e-2
    alpha: ZeroToOne = 0.99
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0
    momentum: ZeroToOne = 0
    centered: Flag = False
    _: KW_ONLY
    capturable: Switch = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        alpha, v = group["alpha"], state["square_avg"]
        average_squares(v, g, alpha, t)  # v = alpha * v + (1 - alpha) * g**2
        if group["centered"]:
            a = state["grad_avg"]
            average(a, g, alpha, t)  # a = alpha * a + (1 - alpha) * g
            np.multiply(a, a, out=t)
            np.subtract(v, t, out=t)
            np.sqrt(np.maximum(t, 0, out=t), out=t)  # sqrt(v - a**2)
        else:
            np.sqrt(v, out=t)
        t += group["eps"]
        s = np.divide(g, t, out=t, casting="same_kind")  # s = g / (sqrt(v - a**2) + eps)
        if group["momentum"]:
            b = state["momentum_buffer"]
            b *= group["momentum"]  # b = momentum * b + s
            b += s
            np.multiply(b, group["lr"], out=t)
        else:
            t *= group["lr"]
        p -= t  # p = p - lr * b


@with_settings
class Rprop(Formula):
    """Resilient backpropagation, for gradients of the whole data set: their sign alone counts.

        s = s * eta_plus, where g has the sign that it had the step before
        s = s * eta_minus and g = 0, where the sign has turned
        p = p - sign(g) * s                          (g the gradient; -dp if maximize)

    s starts at lr and stays between the two of step_sizes; etas are (eta_minus, eta_plus).
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm" (1993). State of each parameter: `prev` (g) and `step_size` (s).
    """

    required_state: ClassVar[tuple[str, ...]] = ("prev", "step_size")
    initial_state: ClassVar[dict[str, str | float]] = {"step_size": "lr"}

    lr: AtLeastZero = 1e-2
    etas: Etas = (0.5, 1.2)
    step_sizes: StepSizes = (1e-6, 50)
    _: KW_ONLY
    capturable: Switch = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        shrink, grow = group["etas"]
        s, before = state["step_size"], state["prev"]
        np.sign(g, out=u, casting="same_kind")
        np.sign(before, out=t)
        t *= u  # 1 where the sign is the same, -1 where it has turned
        s *= np.where(t > 0, grow, np.where(t < 0, shrink, 1))
        np.clip(s, *group["step_sizes"], out=s)
        u[t < 0] = 0
        np.copyto(before, np.where(u == 0, 0, g), casting="same_kind")
        np.multiply(u, s, out=t)
        p -= t
