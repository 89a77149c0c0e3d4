"""What layers check: their arguments when they are made, their input when they are called.

A wrong argument is refused where it is typed. A wrong input raises `InputError`, whose message
has three parts, so that a container which knows more can add to the middle one:

    Linear(in_features=256): the input has 400 features (N=32, after Flatten of 16x5x5). Use ...
    `--------------------- problem --------------------'`---------- facts ----------'   `- cure
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinynet.errors import ShapeError
from tinynet.nn.shapes import sizes

LARGE, SMALL = 5.0, 0.01
"""Inputs are expected to have a standard deviation between these, and a mean below the first."""


class InputError(ShapeError):
    """An input that a layer cannot take. shape: the shape of that input."""

    def __init__(self, problem: str, facts: list[str], cure: str, shape: tuple[int, ...]) -> None:
        self.problem, self.facts, self.cure, self.shape = problem, facts, cure, shape
        super().__init__(self._compose())

    def came_after(self, layer: object, shape: tuple[int, ...] | None) -> None:
        """Tell which layer made the input, and from what shape."""
        if shape is not None:
            origin = sizes(shape[1:]) or "a single value"
            self.facts.append(f"after {type(layer).__name__} of {origin}")
            self.message = self._compose()

    def _compose(self) -> str:
        return f"{self.problem} ({', '.join(self.facts)}). {self.cure}"


def count(number: int, noun: str) -> str:
    """`1 channel`, `3 channels`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def check_float(layer: str, x: Any) -> None:
    """TypeError for integer and bool inputs, with which no layer can compute."""
    if x.dtype.kind != "f":
        raise TypeError(
            f"{layer}: the input has dtype {x.dtype} (shape {x.shape}), layers compute with "
            "floats. Convert it first: `x.float()`, or `x.float() / 255` for images of bytes."
        )


def badly_scaled(x: np.ndarray) -> bool:
    """Whether the finite values are far from the scale that initial weights are made for."""
    values = x[np.isfinite(x)]
    if not values.size:
        return False
    std = values.std(dtype=np.float64)
    return bool(std > LARGE or abs(values.mean(dtype=np.float64)) > LARGE or 0 < std < SMALL)


def check_images(layer: str, argument: str, channels: int, x: Any) -> None:
    """Refuse what is no batch of float images (N, C, H, W) with C = `channels`.

    argument: the name of the layer's argument that fixes the channels.
    """
    shape = x.shape
    title = f"{layer}({argument}={channels})"
    if len(shape) != 4:
        cure = "Give it images of shape (N, C, H, W)."
        if len(shape) == 3 and shape[0] == channels:
            cure = "Add the axis of the batch: `x.unsqueeze(0)`."
        elif len(shape) == 3 and channels == 1:
            cure = "Add the axis of the channel: `x.unsqueeze(1)`."
        problem = f"{title}: the input must have 4 axes (N, C, H, W), it has {len(shape)}"
        raise InputError(problem, [f"shape {shape}"], cure, shape)
    if shape[1] != channels:
        cure = f"Use {argument}={shape[1]}."
        if shape[3] == channels:
            cure = f"Channels come second: `x.permute(0, 3, 1, 2)`; or use {argument}={shape[1]}."
        problem = f"{title}: the input has {count(shape[1], 'channel')}"
        raise InputError(problem, [f"N={shape[0]}", f"images {sizes(shape[2:])}"], cure, shape)
    check_float(title, x)


# ----- arguments ------------------------------------------------------------------------------


def whole(layer: str, name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; TypeError or ValueError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be a whole number, got {value!r}") from None
    if number < least:
        raise ValueError(f"{layer}: {name} must be at least {least}, got {number}")
    return number


def pair(layer: str, name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """`value`, a whole number or two of them, as (vertical, horizontal)."""
    if not isinstance(value, (tuple, list)):
        number = whole(layer, name, value, least)
        return number, number
    if len(value) != 2:
        raise ValueError(
            f"{layer}: {name} must be one number or a pair (vertical, horizontal), got {value!r}"
        )
    return whole(layer, name, value[0], least), whole(layer, name, value[1], least)


def int_or_pair(layer: str, name: str, value: Any, least: int = 1) -> int | tuple[int, int]:
    """`value` checked as by `pair`, but one number stays one number."""
    both = pair(layer, name, value, least)
    return both if isinstance(value, (tuple, list)) else both[0]


def within(layer: str, name: str, value: Any, low: float, high: float) -> float:
    """`value` if low <= value <= high; ValueError otherwise."""
    if not low <= value <= high:
        raise ValueError(f"{layer}: {name} must lie between {low:g} and {high:g}, got {value!r}")
    return float(value)


def positive(layer: str, name: str, value: Any) -> float:
    """`value` if it is larger than 0; ValueError otherwise."""
    if not value > 0:
        raise ValueError(f"{layer}: {name} must be larger than 0, got {value!r}")
    return float(value)


def one_of(layer: str, name: str, value: Any, known: tuple[str, ...]) -> str:
    """`value` if it is one of the words in `known`; ValueError otherwise."""
    if value not in known:
        words = ", ".join(repr(word) for word in known)
        raise ValueError(f"{layer}: {name} must be one of {words}, got {value!r}")
    return str(value)


def divides(layer: str, groups: int, **channels: int) -> None:
    """ValueError if `groups` does not divide each of the channel counts."""
    for name, number in channels.items():
        if number % groups:
            fits = [g for g in range(1, number + 1) if number % g == 0]
            raise ValueError(
                f"{layer}: groups={groups} must divide {name}={number}; "
                f"the divisors of {number} are {', '.join(map(str, fits))}"
            )
