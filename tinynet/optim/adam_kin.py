"""Adamax, NAdam and RAdam: Adam with another scale, another average, another beginning."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np

from tinynet.optim.averages import average, average_squares
from tinynet.optim.checks import AtLeastZero, Flag, pair
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class Adamax(Optimizer):
    """Adam scaled by the largest gradient of late in place of the average of squares.

        m = beta1 * m + (1 - beta1) * g              (g the gradient, weight decay in it)
        u = max(beta2 * u, |g| + eps)
        p = p - lr / (1 - beta1**step) * m / u

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2014), section 7. Arguments as
    Adam's. State of each parameter: `exp_avg` (m) and `exp_inf` (u).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 2e-3,
        betas: Annotated[tuple[float, float], pair] = (0.9, 0.999),
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 0,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "maximize": maximize}, switches)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        beta1, beta2 = settings["betas"]
        m, largest = state["exp_avg"], state["exp_inf"]
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        largest *= beta2
        np.abs(g, out=t, casting="same_kind")
        t += settings["eps"]
        np.maximum(largest, t, out=largest)
        np.divide(m, largest, out=t)
        t *= settings["lr"] / (1 - beta1 ** state["step"])
        p -= t


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step uses the average as it will be one step later.

        m, v: as in Adam
        mu = beta1 * (1 - 0.96**(step * momentum_decay) / 2), mu' that of the next step
        q = q * mu                                   (from 1)
        d = sqrt(v / (1 - beta2**step)) + eps
        p = p - lr * ((1 - mu) / (1 - q) * g + mu' / (1 - q * mu') * m) / d

    Dozat, "Incorporating Nesterov Momentum into Adam" (2016). Arguments as Adam's;
    decoupled_weight_decay: decay as in AdamW. State of each parameter: `exp_avg` (m),
    `exp_avg_sq` (v) and `mu_product` (q, in every place).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 2e-3,
        betas: Annotated[tuple[float, float], pair] = (0.9, 0.999),
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 0,
        momentum_decay: AtLeastZero = 4e-3,
        decoupled_weight_decay: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"momentum_decay": momentum_decay, "maximize": maximize}
        defaults |= {"decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, defaults, switches)

    def initial_state(self, name: str, p: Array, settings: Settings) -> Array:
        return np.ones_like(p) if name == "mu_product" else np.zeros_like(p)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        beta1, beta2 = settings["betas"]
        m, v, q, step = state["exp_avg"], state["exp_avg_sq"], state["mu_product"], state["step"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        mu, later = (
            beta1 * (1 - 0.5 * 0.96 ** (n * settings["momentum_decay"])) for n in (step, step + 1)
        )
        q *= mu
        np.sqrt(v, out=u)
        u /= math.sqrt(1 - beta2**step)
        u += settings["eps"]
        np.multiply(g, (1 - mu) / (1 - q), out=t, casting="same_kind")
        t += m * (later / (1 - q * later))
        t *= settings["lr"]
        t /= u
        p -= t


class RAdam(Optimizer):
    """Adam that waits with its scaling until the average of squares is worth something.

        m, v, m_hat: as in Adam
        n = 2 / (1 - beta2) - 1
        r = n - 2 * step * beta2**step / (1 - beta2**step)       (how much v is worth)
        p = p - lr * m_hat * f * sqrt(1 - beta2**step) / (sqrt(v) + eps)      where r > 5
        with f = sqrt((r - 4) * (r - 2) * n / ((n - 4) * (n - 2) * r))
        p = p - lr * m_hat                                                    before that

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (2019),
    arXiv:1908.03265. Arguments as Adam's; decoupled_weight_decay: decay as in AdamW. State of each
    parameter: `exp_avg` (m) and `exp_avg_sq` (v).
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-3,
        betas: Annotated[tuple[float, float], pair] = (0.9, 0.999),
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 0,
        decoupled_weight_decay: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        defaults |= {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, defaults, switches)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        beta1, beta2 = settings["betas"]
        m, v, step = state["exp_avg"], state["exp_avg_sq"], state["step"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        n = 2 / (1 - beta2) - 1
        r = n - 2 * step * beta2**step / (1 - beta2**step)
        rate = settings["lr"] / (1 - beta1**step)
        if r > 5:
            np.sqrt(v, out=t)
            t += settings["eps"]
            np.divide(m, t, out=t)
            rate *= math.sqrt((r - 4) * (r - 2) * n / ((n - 4) * (n - 2) * r))
            t *= rate * math.sqrt(1 - beta2**step)
        else:
            np.multiply(m, rate, out=t)
        p -= t
