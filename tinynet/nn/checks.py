"""What layers check of their input: an `InputError` has a message in three parts.

What is known of the layers that ran before is added to the middle one:

    Linear(in_features=256): the input has 400 features (N=32, after Flatten of 16x5x5). Use ...
    `--------------------- problem --------------------'`---------- facts ----------'   `- cure
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.errors import ShapeError
from tinynet.nn.shapes import sizes
from tinynet.ops.checks import check_float

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
        elif len(shape) == 2 and layer == "BatchNorm2d":
            cure = f"For rows (N, C), as after Linear, use BatchNorm1d({channels})."
        elif len(shape) == 2 and channels == 1:
            cure = "Add the axes of batch and channel: `x[None, None]`."
        problem = f"{title}: the input must have 4 axes (N, C, H, W), it has {len(shape)}"
        raise InputError(problem, [f"shape {shape}"], cure, shape)
    if shape[1] != channels:
        cure = f"Use {argument}={shape[1]}."
        if shape[3] == channels:
            cure = f"Channels come second: `x.permute(0, 3, 1, 2)`; or use {argument}={shape[1]}."
        problem = f"{title}: the input has {count(shape[1], 'channel')}"
        raise InputError(problem, [f"N={shape[0]}", f"images {sizes(shape[2:])}"], cure, shape)
    check_float(title, x)


def check_groups(layer: str, groups: int, **channels: int) -> None:
    """ShapeError if `groups` does not divide each of the channel counts."""
    for name, number in channels.items():
        if number % groups:
            fits = [g for g in range(1, number + 1) if number % g == 0]
            raise ShapeError(
                f"{layer}: groups={groups} must divide {name}={number}; "
                f"the divisors of {number} are {', '.join(map(str, fits))}"
            )
