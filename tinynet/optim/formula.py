"""What the formulas share: how an optimizer declares its settings, and running averages."""

import functools
from dataclasses import KW_ONLY, InitVar, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinynet.errors import unknown_name
from tinynet.optim.checks import Flag
from tinynet.optim.executor import Array
from tinynet.optim.optimizer import Optimizer, Params

Switch: TypeAlias = bool | None
"""How PyTorch is to compute a step; taken without effect, as there is one way here."""

if TYPE_CHECKING:
    from dataclasses import dataclass as with_settings
else:

    def with_settings(kind: type) -> type:
        """Give a class the `__init__` of a dataclass, whose fields are settings of its groups.

        They are no attributes of the optimizer: a change of such would have no effect. The formula
        in the class is one for each number alone.
        """
        kind.elementwise = True
        made = dataclass(eq=False, repr=False)(kind).__init__
        known = [field.name for field in fields(kind)]
        for name in known:
            if name in vars(kind):
                delattr(kind, name)

        @functools.wraps(made)
        def checked(self: Any, *values: Any, **settings: Any) -> None:
            for name in settings:
                if name not in (*known, "params"):
                    raise TypeError(str(unknown_name(f"{kind.__name__} setting", name, known)))
            made(self, *values, **settings)

        kind.__init__ = checked
        return kind


@with_settings
class Formula(Optimizer):
    """Base of the optimizers whose settings are declared in the class, and which all have these.

    The annotations say what a setting may be, see `optim.checks`.
    """

    params: InitVar[Params]
    _: KW_ONLY
    maximize: Flag = False
    foreach: Switch = None
    differentiable: Switch = False

    def __post_init__(self, params: Params) -> None:
        names = [field.name for field in fields(self)]
        names.sort(key=[field.name for field in fields(Formula)].__contains__)  # its own first
        super().__init__(params, {name: vars(self).pop(name) for name in names})


def average(m: Array, g: Array, decay: float, t: Array) -> None:
    """m = decay * m + (1 - decay) * g, computed as m + (1 - decay) * (g - m). t: scratch."""
    np.subtract(g, m, out=t, casting="same_kind")
    t *= 1 - decay
    m += t


def average_squares(v: Array, g: Array, decay: float, t: Array) -> None:
    """v = decay * v + (1 - decay) * g**2. t: scratch."""
    np.multiply(g, g, out=t, casting="same_kind")  # first: if it overflows, nothing is changed
    t *= 1 - decay
    v *= decay
    v += t
