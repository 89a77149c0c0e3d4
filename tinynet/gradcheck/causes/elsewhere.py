"""Gradients that are right with another setting, or with other values of another argument."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, jacobian, slope
from tinynet.gradcheck.trace import is_array


def look(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the function in which one of them is another."""
    v = np.random.default_rng(2).standard_normal(clues.x.shape)
    claimed = (v * clues.analytic).sum()
    for cause, name, told, value in _changes(clues):
        f = functools.partial(clues.output, **{name: value})
        with contextlib.suppress(ElsewhereError):
            if np.isclose(slope(f, clues.x, v, clues.dy), claimed, 1e-5):
                J = jacobian(f, clues.x)
                if np.isfinite(J).all() and not np.allclose(J, clues.J, 1e-6, 1e-9):
                    yield Suspect(cause, f"analytic = the gradient with {told}", J)


def _changes(clues: Clues) -> Iterator[tuple[str, str, str, Any]]:
    """The cause, what is another, how it is told, and its value."""
    for name, value in clues.settings.items():
        for other in _others(value):
            plain = np.ndim(other) or other in (1, 0, not value)
            told = str(np.ravel(other)[0]) + (" everywhere" if np.ndim(other) else "")
            told = "0, 1, 2, ..." if np.ptp(other) else told
            yield f"{name} ignored" if plain else "wrong setting", name, f"{name} = {told}", other
    for place, w in clues.floats.items():
        if place != clues.fault.place:
            name = clues.label(place)
            yield f"{name} left out", name, f"{name} = 1 everywhere", np.ones_like(w)
            yield f"{name} left out", name, f"{name} = 0 everywhere", np.zeros_like(w)
            yield f"wrong sign of {name}", name, f"-{name} for {name}", -w
            yield f"{name} squared", name, f"{name}^2 for {name}", w * w
            yield f"1/{name} for {name}", name, f"1/{name} for {name}", 1 / w


def _others(value: Any) -> Iterator[Any]:
    """Other values of a setting."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        plain = (1, 0, -value, 2 * value, value + 1, value - 1)
        yield from (other for other in plain if other != value)
    elif is_array(value, "i"):
        yield from np.indices(value.shape)
    elif is_array(value, "f"):
        yield from (np.ones_like(value), np.zeros_like(value))
