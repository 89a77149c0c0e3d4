"""What layers check of their input: an `InputError` has a message in three parts.

What is known of the layers that ran before is added to the middle one:

    Linear(in_features=256): the input has 400 features (N=32, after Flatten of 16x5x5). Use ...
    `--------------------- problem --------------------'`---------- facts ----------'   `- cure
"""

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


def with_article(noun: str) -> str:
    """The noun behind its article.

    >>> with_article("list"), with_article("int")
    ('a list', 'an int')
    """
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def badly_scaled(x: np.ndarray) -> bool:
    """Whether the finite values are far from the scale that initial weights are made for."""
    values = x[np.isfinite(x)]
    if not values.size:
        return False
    std = values.std(dtype=np.float64)
    return bool(std > LARGE or abs(values.mean(dtype=np.float64)) > LARGE or 0 < std < SMALL)


def check_images(
    layer: str, argument: str, channels: int, x: Any, axes: int = 2, alone: bool = True
) -> None:
    """Refuse what is no batch of float images (N, C, H, W) with C = `channels`.

    argument: the name of the layer's argument that fixes the channels. axes: 1 for signals
    (N, C, L). alone: a single image (C, H, W) is taken too.
    """
    shape = x.shape
    title = f"{layer}({argument}={channels})"
    form, kind = {1: ("N, C, L", "signals"), 2: ("N, C, H, W", "images")}[axes]
    if len(shape) not in (axes + 2, axes + 2 - alone):
        cure = f"Give it {kind} of shape ({form})."
        if len(shape) == 3 and axes == 2 and shape[0] == channels:
            cure = "Add the axis of the batch: `x[None]`."
        elif len(shape) == 2 and layer == "BatchNorm2d":
            cure = f"For rows (N, C), as after Linear, use BatchNorm1d({channels})."
        elif len(shape) == 2 and axes == 2:
            cure = f"Of flat rows make images, `x.reshape(-1, {channels}, height, width)`"
            cure += "; of one image a batch, `x[None, None]`." if channels == 1 else "."
        problem = f"{title}: the input must have {axes + 2} axes ({form}), it has {len(shape)}"
        raise InputError(problem, [f"shape {shape}"], cure, shape)
    found = shape[-axes - 1]
    if found != channels:
        cure = f"Use {argument}={found}."
        if len(shape) == axes + 1 and channels == 1:
            cure = "Add the axis of the channel: `x[:, None]`."
        elif len(shape) == 4 and shape[3] == channels:
            cure = f"Channels come second: `x.permute(0, 3, 1, 2)`; or use {argument}={found}."
        problem = f"{title}: the input has {count(found, 'channel')}"
        facts = [f"N={shape[0]}"] * (len(shape) == axes + 2)
        raise InputError(problem, [*facts, f"{kind} {sizes(shape[-axes:])}"], cure, shape)
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
