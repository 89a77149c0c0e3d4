"""A wrong gradient with all that is known of it: what the search hands to the diagnosis.

The search (`locate.py`) finds the operation and the argument and measures; the diagnosis
(`causes`) looks at these numbers for the mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Fault:
    """One wrong gradient. Arrays are float64.

    op: the plain name of the operation, such as "conv2d". forward: its body, which takes
    `(*args, **settings)` and returns y, or (y, dx, ...). args: arrays and plain values, as the
    operation was called; names: the names of its parameters. place: which of args has the wrong
    gradient. dy: the random gradient of the output that was sent back. y: the output.
    analytic: what the backward pass gave. numeric: the same by differences, element by element.
    noise: how far numeric may be off, element by element. jacobian: dy_j / dx_i by differences,
    (x.size, y.size). others: by place, the jacobian of the other float arguments. vjp: the
    operation's own backward for this argument, None if there is none. elsewhere: the same fault
    with the elements of the argument in another order.
    """

    op: str
    forward: Callable[..., Any]
    args: tuple[Any, ...]
    settings: dict[str, Any]
    names: tuple[str, ...]
    place: int
    dy: np.ndarray
    y: np.ndarray
    analytic: np.ndarray
    numeric: np.ndarray
    noise: np.ndarray
    jacobian: np.ndarray
    others: dict[int, np.ndarray]
    vjp: Callable[[np.ndarray], np.ndarray] | None
    elsewhere: Callable[[], Fault] | None = None
