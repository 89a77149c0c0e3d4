"""SGD: stochastic gradient descent, with momentum, Nesterov's momentum, and averaged (ASGD)."""

from dataclasses import KW_ONLY
from typing import ClassVar

import numpy as np

from tinynet import kernels
from tinynet.optim.checks import AtLeastZero, Flag, ZeroToOne
from tinynet.optim.executor import Array, State
from tinynet.optim.formula import Formula, Switch, with_settings
from tinynet.optim.optimizer import Settings


@with_settings
class SGD(Formula):
    """Stochastic gradient descent.

        g = dp + weight_decay * p                    (dp the gradient; -dp if maximize)
        b = momentum * b + (1 - dampening) * g       (b = g at the first step)
        p = p - lr * b                               (plain momentum)
        p = p - lr * (g + momentum * b)              (nesterov)

    Without momentum p = p - lr * g, and nothing is remembered. Momentum is Polyak's heavy ball
    (1964); Nesterov's form and the notation are from Sutskever, Martens, Dahl and Hinton, "On the
    importance of initialization and momentum in deep learning" (ICML 2013), with the learning
    rate outside of b, as in PyTorch.

    nesterov needs momentum and no dampening. State of each parameter: `momentum_buffer` (b), if
    momentum is not 0.

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

    optional_state: ClassVar[dict[str, str]] = {"momentum_buffer": "momentum"}

    lr: AtLeastZero = 1e-3
    momentum: ZeroToOne = 0
    dampening: ZeroToOne = 0
    weight_decay: AtLeastZero = 0
    nesterov: Flag = False
    _: KW_ONLY
    fused: Switch = None

    def check_together(self, settings: Settings) -> None:
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"] != 0):
            raise ValueError(
                f"SGD(nesterov=True, momentum={settings['momentum']}, "
                f"dampening={settings['dampening']}): Nesterov's form needs a momentum, such as "
                "momentum=0.9, and dampening=0"
            )

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        lr, momentum, dampening = group["lr"], group["momentum"], group["dampening"]
        if not momentum:
            p -= np.multiply(g, lr, out=t, casting="same_kind")  # p = p - lr * g
            return
        b = state["momentum_buffer"]
        if not dampening and not group["nesterov"]:  # both lines in one kernel
            kernels.current.momentum_step(p, g, b, t, momentum, lr)
            return
        b *= momentum  # b = momentum * b + (1 - dampening) * g
        if dampening and state["step"] > 1:
            b += np.multiply(g, 1 - dampening, out=t, casting="same_kind")
        else:
            b += g
        if group["nesterov"]:  # p = p - lr * (g + momentum * b)
            p -= np.multiply(b, lr * momentum, out=t)
            p -= np.multiply(g, lr, out=t, casting="same_kind")
        else:  # p = p - lr * b
            p -= np.multiply(b, lr, out=t)


@with_settings
class ASGD(Formula):
    """Averaged stochastic gradient descent: it remembers the mean of the parameters on its way.

        eta = lr / (1 + lambd * lr * (step - 1))**alpha
        p = p - eta * (lambd * p + g)                (g the gradient, weight decay in it)
        a = a + (p - a) / max(1, step - 1 - t0)

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).
    State of each parameter: `ax` (a), the mean of p from step t0 on, which is p itself before; and
    `eta`, worked out in the step before, so that a new lr counts from the step after next, as in
    PyTorch.
    """

    required_state: ClassVar[tuple[str, ...]] = ("ax", "eta")
    initial_state: ClassVar[dict[str, str | float]] = {"eta": "lr"}

    lr: AtLeastZero = 1e-2
    lambd: AtLeastZero = 1e-4
    alpha: AtLeastZero = 0.75
    t0: AtLeastZero = 1e6
    weight_decay: AtLeastZero = 0
    _: KW_ONLY
    capturable: Switch = False

    def update(self, p: Array, g: Array, state: State, group: Settings, t: Array, u: Array) -> None:
        a, eta, step = state["ax"], state["eta"], state["step"]
        lr, lambd = group["lr"], group["lambd"]
        np.multiply(g, eta, out=t, casting="same_kind")
        p *= 1 - lambd * eta
        p -= t
        np.subtract(p, a, out=t)
        t /= max(1, step - 1 - group["t0"])
        a += t
        eta.fill(lr / (1 + lambd * lr * step) ** group["alpha"])
