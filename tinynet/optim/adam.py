"""Adam and its kin: steps scaled by running averages of the gradient and of its square."""

import math
from dataclasses import KW_ONLY
from typing import ClassVar

import numpy as np

from tinynet.optim.checks import AtLeastZero, Betas, Flag
from tinynet.optim.executor import Array, State
from tinynet.optim.formula import Formula, Switch, average, average_squares, with_settings
from tinynet.optim.optimizer import Settings


@with_settings
class _Moments(Formula):
    """Base of those that average the gradient, with what most of them have."""

    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")

    lr: AtLeastZero = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: AtLeastZero = 1e-8
    weight_decay: AtLeastZero = 0
    _: KW_ONLY
    capturable: Switch = False


@with_settings
class Adam(_Moments):
    """Adaptive moment estimation.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        m = beta1 * m + (1 - beta1) * g              (average of the gradient)
        v = beta2 * v + (1 - beta2) * g**2           (average of its square)
        p = p - lr * m_hat / (sqrt(v_hat) + eps)

    with m_hat = m / (1 - beta1**step) and v_hat = v / (1 - beta2**step), which undo the bias of
    the averages towards their start at 0. With amsgrad, v_hat comes from the largest v so far.
    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2014), arXiv:1412.6980; amsgrad:
    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond" (2018), arXiv:1904.09237.

    decoupled_weight_decay: decay as in AdamW. State of each parameter: `exp_avg` (m),
    `exp_avg_sq` (v), and with amsgrad `max_exp_avg_sq`.
    """

    optional_state: ClassVar[dict[str, str]] = {"max_exp_avg_sq": "amsgrad"}

    amsgrad: Flag = False
    _: KW_ONLY
    fused: Switch = None
    decoupled_weight_decay: Flag = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            v = np.maximum(largest, v, out=largest)
        # p = p - lr * m_hat / (sqrt(v_hat) + eps), with both corrections moved out of the arrays
        correction = math.sqrt(1 - beta2 ** state["step"])
        np.sqrt(v, out=t)
        t += group["eps"] * correction
        np.divide(m, t, out=t)
        t *= group["lr"] * correction / (1 - beta1 ** state["step"])
        p -= t


@with_settings
class AdamW(Adam):
    """Adam with decoupled weight decay: the decay does not pass through the averages.

        p = p - lr * weight_decay * p
        p = p - lr * m_hat / (sqrt(v_hat) + eps)     (m_hat and v_hat as in Adam, of dp alone)

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2017), arXiv:1711.05101.
    Arguments and state as Adam's; weight_decay is 0.01 by default.
    """

    weight_decay: AtLeastZero = 1e-2
    decoupled_weight_decay: Flag = True


@with_settings
class Adamax(_Moments):
    """Adam scaled by the largest gradient of late in place of the average of squares.

        m = beta1 * m + (1 - beta1) * g              (g the gradient, weight decay in it)
        u = max(beta2 * u, |g| + eps)
        p = p - lr / (1 - beta1**step) * m / u

    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2014), section 7. Arguments as
    Adam's. State of each parameter: `exp_avg` (m) and `exp_inf` (u).
    """

    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_inf")

    lr: AtLeastZero = 2e-3

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        beta1, beta2 = group["betas"]
        m, largest = state["exp_avg"], state["exp_inf"]
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        largest *= beta2
        np.abs(g, out=t, casting="same_kind")
        t += group["eps"]
        np.maximum(largest, t, out=largest)
        np.divide(m, largest, out=t)
        t *= group["lr"] / (1 - beta1 ** state["step"])
        p -= t


@with_settings
class NAdam(_Moments):
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

    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "mu_product")
    initial_state: ClassVar[dict[str, str | float]] = {"mu_product": 1.0}

    lr: AtLeastZero = 2e-3
    momentum_decay: AtLeastZero = 4e-3
    decoupled_weight_decay: Flag = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        beta1, beta2 = group["betas"]
        m, v, q, step = state["exp_avg"], state["exp_avg_sq"], state["mu_product"], state["step"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        mu, later = (
            beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (step, step + 1)
        )
        q *= mu
        np.sqrt(v, out=u)
        u /= math.sqrt(1 - beta2**step)
        u += group["eps"]
        np.multiply(g, (1 - mu) / (1 - q), out=t, casting="same_kind")
        t += m * (later / (1 - q * later))
        t *= group["lr"]
        t /= u
        p -= t


@with_settings
class RAdam(_Moments):
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

    decoupled_weight_decay: Flag = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        beta1, beta2 = group["betas"]
        m, v, step = state["exp_avg"], state["exp_avg_sq"], state["step"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        n = 2 / (1 - beta2) - 1
        r = n - 2 * step * beta2**step / (1 - beta2**step)
        rate = group["lr"] / (1 - beta1**step)
        if r > 5:
            np.sqrt(v, out=t)
            t += group["eps"]
            np.divide(m, t, out=t)
            rate *= math.sqrt((r - 4) * (r - 2) * n / ((n - 4) * (n - 2) * r))
            t *= rate * math.sqrt(1 - beta2**step)
        else:
            np.multiply(m, rate, out=t)
        p -= t
