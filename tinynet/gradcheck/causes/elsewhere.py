"""Gradients that are right for something else: another argument, point or setting."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, jacobian
from tinynet.gradcheck.causes.numbers import constant, short
from tinynet.gradcheck.trace import STATE, is_array

Changed = tuple[str, str, dict[int, Any], dict[str, Any]]  # cause, how, arguments, settings


def of_an_argument(clues: Clues) -> Iterator[Suspect]:
    """The gradient of another argument, or the output's own."""
    for place, J in clues.fault.others.items():
        if place != clues.fault.place and clues.floats[place].size == clues.x.size:
            how = f"analytic = the numeric gradient of {clues.label(place)}"
            yield Suspect("gradient of the wrong argument returned", how, J)
    if clues.y.shape == clues.x.shape:
        unchanged = "output gradient returned unchanged"
        yield Suspect(unchanged, "analytic = dy", lambda dy: dy)
        if clues.y.ndim == 2 and clues.y.shape[0] == clues.y.shape[1]:
            yield Suspect(unchanged, "analytic = dy^T", lambda dy: dy.T)


def look(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function with other settings, arguments, at another point."""
    for cause, how, args, settings in _changes(clues):
        x = np.asarray(args.pop(clues.fault.place, clues.x), np.float64)
        f = clues.at(args, settings)
        with contextlib.suppress(ElsewhereError):
            J = jacobian(f, x) if clues.likely(f, x) else clues.J
            if np.isfinite(J).all() and not np.allclose(J, clues.J, 1e-6, 1e-9):
                yield Suspect(cause, f"analytic = the gradient {how}", J)


def _changes(clues: Clues) -> Iterator[Changed]:
    for name, value in clues.settings.items():
        for other, said in _others(clues, value):
            plain = np.ndim(other) or other in (1, 0, not value)
            cause = f"{name} ignored" if plain else "wrong setting"
            yield cause, f"with {name} = {said}", {}, {name: other}
    own = clues.fault.place
    for place, w in clues.floats.items():
        for cause, how, values in _changed(clues.label(place), w) if place != own else ():
            yield cause, f"with {how}", {place: values.copy()}, {}
    if clues.y.shape == clues.x.shape:
        how = f"with the output in place of {clues.name}"
        yield "derivative taken at the output", how, {own: clues.y}, {}
    first = clues.fault.first() if clues.fault.first else None
    if first is not None and first.shape == clues.x.shape:
        how = "of the first call's values, whatever the values are: something is remembered that "
        yield STATE, f"{how}each call has to compute anew", {own: first}, {}


def _others(clues: Clues, value: Any) -> Iterator[tuple[Any, str]]:
    """Other values of a setting, with how they are told."""
    if isinstance(value, bool):
        yield not value, str(not value)
    elif isinstance(value, (int, float)):
        plain = (1, 0, -value, 2 * value, value + 1, value - 1)
        yield from ((other, str(other)) for other in plain if other != value)
        factors = (n / (n - 1) for n in {*clues.sizes.values()} if n > 2 and n % 1 == 0)
        for factor in (f for n in factors for f in (n, 1 / n)) if type(value) is float else ():
            other = factor * value
            yield other, f"{short(other)}, {constant(clues, factor)} times as large"
    elif is_array(value, "i"):
        for axis, places in enumerate(np.indices(value.shape)):
            yield places, f"0, 1, 2, ... along axis {axis}"
    elif is_array(value, "f"):
        for array in (np.ones_like(value), np.zeros_like(value), 1 / np.where(value, value, 1)):
            yield array, f"{np.ravel(array)[0]:g} everywhere"


def _changed(label: str, w: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Other values of an argument: cause, how, values."""
    for a, b in itertools.combinations(range(w.ndim), 2):
        if w.shape[a] == w.shape[b] > 1:
            cause = "transposed weight" if w.ndim == 2 else f"{label} transposed"
            yield cause, f"axes {a} and {b} of {label} exchanged", w.swapaxes(a, b)
    for axis, size in enumerate(w.shape):
        if size > 1:
            how = f"{label} reversed along axis {axis}"
            yield f"{label} read backwards", how, np.flip(w, axis)
    yield f"{label} left out", f"{label} = 1 everywhere", np.ones_like(w)
    yield f"{label} left out", f"{label} = 0 everywhere", np.zeros_like(w)
    yield f"wrong sign of {label}", f"-{label} for {label}", -w
    yield f"{label} squared", f"{label}^2 for {label}", w * w
    if w.all():
        yield f"1/{label} for {label}", f"1/{label} for {label}", 1 / w
