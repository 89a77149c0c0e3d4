"""A wrong gradient with all that is known of it: what the search hands to the diagnosis.

The search (`locate.py`) finds the operation and the argument and measures; the diagnosis
(`causes`) tries on these numbers the mistakes that people make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Fault:
    """One wrong gradient. Arrays are float64.

    op: the plain name of the operation, such as "conv2d". forward: its body, which takes
    `(*args, **settings)` and returns y, or (y, dx, ...). args: arrays and plain values, as the
    operation was called; names: the names of its parameters. place: which of args has the wrong
    gradient. dy: the random gradient of the output that was sent back. y: the output.
    analytic: what the backward pass gave. numeric: the same by differences, element by element.
    noise: how far numeric may be off, element by element. others: by place, the numeric gradients
    of the other float arguments that were computed. vjp: the operation's own backward for this
    argument, None if there is none. numeric_for: the numeric gradient for another dy.
    """

    __slots__ = (
        "analytic",
        "args",
        "dy",
        "forward",
        "names",
        "noise",
        "numeric",
        "numeric_for",
        "op",
        "others",
        "place",
        "settings",
        "vjp",
        "y",
    )  # fmt: skip

    def __init__(
        self,
        *,
        op: str,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        settings: dict[str, Any],
        names: tuple[str, ...],
        place: int,
        dy: np.ndarray,
        y: np.ndarray,
        analytic: np.ndarray,
        numeric: np.ndarray,
        noise: np.ndarray,
        others: dict[int, np.ndarray],
        vjp: Callable[[np.ndarray], np.ndarray] | None,
        numeric_for: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        self.op = op
        self.forward = forward
        self.args = args
        self.settings = settings
        self.names = names
        self.place = place
        self.dy = dy
        self.y = y
        self.analytic = analytic
        self.numeric = numeric
        self.noise = noise
        self.others = others
        self.vjp = vjp
        self.numeric_for = numeric_for
