"""SGD: stochastic gradient descent, with momentum and Nesterov's momentum."""

from typing import Any, ClassVar

import numpy as np

from tinynet import kernels
from tinynet.optim.checks import AtLeastZero, Flag, ZeroToOne
from tinynet.optim.executor import Array, State
from tinynet.optim.optimizer import Optimizer, Params, Settings


class SGD(Optimizer):
    """Stochastic gradient descent.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        b = momentum * b + (1 - dampening) * g       (b = g at the first step)
        p = p - lr * b                               (plain momentum)
        p = p - lr * (g + momentum * b)              (nesterov)

    Without momentum p = p - lr * g, and nothing is remembered. Momentum is Polyak's heavy ball
    (1964); Nesterov's form and the notation are from Sutskever, Martens, Dahl and Hinton, "On the
    importance of initialization and momentum in deep learning" (ICML 2013), with the learning
    rate outside of b, as in PyTorch.

    params: tensors, or groups (see Optimizer). lr, momentum, dampening, weight_decay: numbers of
    at least 0, momentum and dampening at most 1. nesterov needs momentum and no dampening.
    State of each parameter: `momentum_buffer` (b), if momentum is not 0.

    >>> import tinynet
    >>> w = tinynet.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0., 0.], requires_grad=True)
    """

    elementwise: ClassVar[bool] = True
    optional_state: ClassVar[dict[str, str]] = {"momentum_buffer": "momentum"}

    def __init__(
        self,
        params: Params,
        lr: AtLeastZero = 1e-3,
        momentum: ZeroToOne = 0,
        dampening: ZeroToOne = 0,
        weight_decay: AtLeastZero = 0,
        nesterov: Flag = False,
        *,
        maximize: Flag = False,
        **switches: Any,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults, switches)

    def check_together(self, settings: Settings) -> None:
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"] != 0):
            raise ValueError(
                f"SGD(nesterov=True, momentum={settings['momentum']}, "
                f"dampening={settings['dampening']}): Nesterov's form needs a momentum, such as "
                "momentum=0.9, and dampening=0"
            )

    def update(
        self, p: Array, g: Array, state: State, settings: Settings, t: Array, u: Array
    ) -> None:
        lr, momentum, dampening = settings["lr"], settings["momentum"], settings["dampening"]
        if not momentum:
            p -= np.multiply(g, lr, out=t, casting="same_kind")  # p = p - lr * g
            return
        b = state["momentum_buffer"]
        if not dampening and not settings["nesterov"]:  # both lines in one kernel
            kernels.current.momentum_step(p, g, b, t, momentum, lr)
            return
        b *= momentum  # b = momentum * b + (1 - dampening) * g
        if dampening and state["step"] > 1:
            b += np.multiply(g, 1 - dampening, out=t, casting="same_kind")
        else:
            b += g
        if settings["nesterov"]:  # p = p - lr * (g + momentum * b)
            p -= np.multiply(b, lr * momentum, out=t)
            p -= np.multiply(g, lr, out=t, casting="same_kind")
        else:  # p = p - lr * b
            p -= np.multiply(b, lr, out=t)
