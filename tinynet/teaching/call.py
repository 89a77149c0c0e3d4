"""An operation that was seen, and what it does to other numbers: its bounds, where it is flat.

So an activation is known by what it does, whatever its name and settings are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet import grad_mode
from tinynet.autograd import Node
from tinynet.tensor import Tensor

FAR = 1e6
"""So much larger numbers show where a function ends."""


@dataclass(frozen=True, eq=False)
class Call:
    """One operation of a trial: its name, layer, arguments, settings and result, and itself.

    made, source: the nodes of its result and of its first argument, which one that works in place
    gives others later.
    """

    op: str
    layer: str
    args: tuple[Any, ...]
    settings: dict[str, Any]
    output: Tensor
    again: Callable[..., Tensor]
    made: Node | None
    source: Node | None

    def where(self) -> str:
        """The operation as a reader finds it, such as `relu in 3 (ReLU)`."""
        return f"{self.op} in {self.layer}" if self.layer else self.op

    @property
    def is_sum(self) -> bool:
        """Whether it adds up what it could take the mean of."""
        given = (*self.args, *self.settings.values())
        return self.op == "sum" or any(isinstance(x, str) and x == "sum" for x in given)

    def setting(self, name: str, place: int, default: Any = None) -> Any:
        """A setting that was given by name, or at a place among the arguments."""
        return self.settings.get(name, self.args[place] if place < len(self.args) else default)

    def holds(self, target: np.ndarray) -> bool:
        """Whether its second argument has the numbers of the targets, one for each."""
        given = np.asarray(getattr(self.args[1] if len(self.args) > 1 else None, "array", None))
        same = given.dtype.kind == target.dtype.kind and given.size == target.size
        return same and np.array_equal(given.ravel(), target.ravel())

    def at(self, x: np.ndarray) -> np.ndarray:
        """What the operation gives for x in place of its first argument; NaN where it refuses."""
        with grad_mode.no_grad(), np.errstate(all="ignore"):
            try:
                first = Tensor(x.astype(self.args[0].dtype))
                return self.again(first, *self.args[1:], **self.settings).array
            except Exception:  # of the user's operation
                return np.full(self.output.shape, np.nan)

    def is_function(self, leaves: bool = False) -> bool:
        """Whether all but its first argument are settings, or (with `leaves`) of no other result.

        Not where it draws random numbers.
        """
        rest = [*self.args[1:], *self.settings.values()]
        if not self.args or not isinstance(self.args[0], Tensor):
            return False
        if any(isinstance(value, np.random.Generator) for value in rest):
            return False
        return not any(isinstance(r, Tensor) and (r.node or not leaves) for r in rest)

    @property
    def is_straight(self) -> bool:
        """Whether it gives a straight line, as a reshape does, a mean, and LeakyReLU(1.0)."""
        if not self.is_function(leaves=True):
            return False
        x, straight = np.random.default_rng(0).standard_normal(self.args[0].shape), True
        for far in (1, 1e3):
            zero, one, three, back = (self.at(k * far * x) for k in (0, 1, 3, -1))
            size = 1e-3 * np.abs(one).max(initial=far, where=np.isfinite(one))
            straight &= np.allclose(three - zero, 3 * (one - zero), 1e-3, size)
            straight &= np.allclose(back - zero, zero - one, 1e-3, size)
        return bool(straight)

    @property
    def only_moves(self) -> bool:
        """Whether its numbers are those of its first argument, as after a reshape or a slice."""
        if not self.is_function() or not self.is_straight:
            return False
        return bool(np.isin(self.output.array, self.args[0].array).all())

    @property
    def is_activation(self) -> bool:
        """Whether it is a function of each number, and no straight line; a softmax is one."""
        x = self.args[0].array if self.is_function() else np.zeros(0, int)
        if x.dtype.kind != "f" or x.shape != self.output.shape or self.is_straight:
            return False
        return self.op == "softmax" or np.array_equal(
            self.at(x.ravel()).reshape(x.shape), self.at(x), equal_nan=True
        )

    def reach(self) -> tuple[float, float]:
        """The lowest and the highest that it can give, infinite where there is no end to it."""
        if not self.is_function() or self.args[0].dtype.kind != "f":
            return -np.inf, np.inf
        y = np.stack([self.at(k * self.args[0].array) for k in (-FAR, -1, 0, 1, FAR)])
        y = np.nan_to_num(y, nan=FAR)
        low, high = float(y.min()), float(y.max())
        return (low if low > -100 else -np.inf), (high if high < 100 else np.inf)

    def flat(self) -> np.ndarray:
        """Where its slope is next to nothing."""
        x = self.args[0].array
        by = 0.01 * np.random.default_rng(0).choice([-1.0, 1.0], x.shape)
        change: np.ndarray = self.at(x + by) - self.at(x)
        return np.asarray((np.abs(change) < 1e-5) & np.isfinite(x))
