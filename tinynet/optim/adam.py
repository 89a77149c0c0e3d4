"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

import math
from typing import Annotated, Any, ClassVar

import numpy as np

from tinynet.optim.averages import average, average_squares
from tinynet.optim.checks import AtLeastZero, Flag, pair
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class Adam(Optimizer):
    """Adaptive moment estimation.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        m = beta1 * m + (1 - beta1) * g              (average of the gradient)
        v = beta2 * v + (1 - beta2) * g**2           (average of its square)
        p = p - lr * m_hat / (sqrt(v_hat) + eps)

    with m_hat = m / (1 - beta1**step) and v_hat = v / (1 - beta2**step), which undo the bias of
    the averages towards their start at 0. With amsgrad, v_hat comes from the largest v so far.
    Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2014), arXiv:1412.6980; amsgrad:
    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond" (2018), arXiv:1904.09237.

    params: tensors, or groups (see Optimizer). lr, eps, weight_decay: numbers of at least 0;
    betas: two numbers in [0, 1). State of each parameter: `exp_avg` (m), `exp_avg_sq` (v), and
    with amsgrad `max_exp_avg_sq`.
    """

    elementwise: ClassVar[bool] = True
    required_state: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    optional_state: ClassVar[dict[str, str]] = {"max_exp_avg_sq": "amsgrad"}

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-3,
        betas: Annotated[tuple[float, float], pair] = (0.9, 0.999),
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 0,
        amsgrad: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults, switches)

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        beta1, beta2 = settings["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        average_squares(v, g, beta2, t)  # v = beta2 * v + (1 - beta2) * g**2
        average(m, g, beta1, t)  # m = beta1 * m + (1 - beta1) * g
        if settings["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            v = np.maximum(largest, v, out=largest)
        # p = p - lr * m_hat / (sqrt(v_hat) + eps), with both corrections moved out of the arrays
        correction = math.sqrt(1 - beta2 ** state["step"])
        np.sqrt(v, out=t)
        t += settings["eps"] * correction
        np.divide(m, t, out=t)
        t *= settings["lr"] * correction / (1 - beta1 ** state["step"])
        p -= t


class AdamW(Adam):
    """Adam with decoupled weight decay: the decay does not pass through the averages.

        p = p - lr * weight_decay * p
        p = p - lr * m_hat / (sqrt(v_hat) + eps)     (m_hat and v_hat as in Adam, of dp alone)

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2017), arXiv:1711.05101.
    Arguments and state as Adam's; weight_decay is 0.01 by default.
    """

    decoupled_weight_decay: ClassVar[bool] = True

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-3,
        betas: Annotated[tuple[float, float], pair] = (0.9, 0.999),
        eps: AtLeastZero = 1e-8,
        weight_decay: AtLeastZero = 1e-2,
        amsgrad: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        rest = {"maximize": maximize, **switches}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **rest)
