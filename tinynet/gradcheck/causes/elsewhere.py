"""Gradients that are right for something else: another argument, point or setting."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, jacobian, short

MOST_SECANTS = 8


def of_an_argument(clues: Clues) -> Iterator[Suspect]:
    """The gradient of another argument, or the output's own."""
    for place, J in clues.fault.others.items():
        if place != clues.fault.place and clues.floats[place].size == clues.x.size:
            yield Suspect(
                "gradient of the wrong argument returned",
                f"analytic = the numeric gradient of {clues.label(place)}",
                lambda dy, J=J: J @ dy.reshape(-1),  # type: ignore[misc]
            )
    if clues.y.shape == clues.x.shape:
        yield Suspect("output gradient returned unchanged", "analytic = dy", lambda dy: dy)
        if clues.y.ndim == 2 and clues.y.shape[0] == clues.y.shape[1]:
            yield Suspect("output gradient returned unchanged", "analytic = dy^T", lambda dy: dy.T)


def with_settings(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function with other settings."""
    for name, value in clues.settings.items():
        for other in _others(value):
            plain = not np.ndim(other) and other in (1, 0, not value)
            said = f"{np.ravel(other)[0]:g} everywhere" if np.ndim(other) else str(other)
            cause = f"{name} ignored" if plain or np.ndim(other) else f"wrong {name}"
            how = f"analytic = the gradient with {name} = {said}"
            yield from _suspect(clues, cause, how, settings={name: other})


def with_another_number(clues: Clues) -> Iterator[Suspect]:
    """The gradient with the number in place of a setting for which it is the analytic one."""
    for name, value in clues.numbers.items():
        if type(value) is float and value:
            with contextlib.suppress(ElsewhereError):
                other = _solved(clues, name, value)
                if clues.has_name(other / value):
                    how = f"{name} = {short(other)}, {clues.constant(other / value)} x {name}"
                    how = f"analytic = the gradient with {how}"
                    yield from _suspect(clues, f"wrong {name}", how, settings={name: other})


def _solved(clues: Clues, name: str, value: float) -> float:
    """The number for which the slope along a direction is the analytic one, by secants."""
    claimed = float((clues.direction * clues.fault.analytic).sum())
    one, two, before = value, 1.1 * value, clues.slope(clues.at(), clues.x)
    for _ in range(MOST_SECANTS):
        here = clues.slope(clues.at(settings={name: two}), clues.x)
        if here == before or abs(two - one) < 1e-9 * abs(two):
            break
        one, two, before = two, two - (here - claimed) * (two - one) / (here - before), here
    return two


def _others(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, (int, float)):
        return tuple(v for v in (1, 0, -value, 2 * value, value + 1, value - 1) if v != value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.ones_like(value), np.zeros_like(value), 1 / np.where(value, value, 1)
    return ()


def with_other_arguments(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function at other values of its other arguments."""
    for other, w in clues.floats.items():
        if other == clues.fault.place:
            continue
        label = clues.label(other)
        for cause, how, values in _changed(label, w):
            yield from _suspect(clues, cause, how, args={other: values})


def at_the_output(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function at its output, such as 1 - tanh(y)^2."""
    if clues.y.shape == clues.x.shape and not _is_straight(clues):
        how = f"analytic = the gradient with the output in place of {clues.name}"
        where = {clues.fault.place: clues.y}
        yield from _suspect(clues, "derivative taken at the output", how, args=where)


def _is_straight(clues: Clues) -> bool:
    """Whether the function is linear around x: its gradient elsewhere says nothing then."""
    try:
        there = jacobian(clues.at(), 1.0001 * clues.x + 1e-5)
    except ElsewhereError:
        return True
    return np.allclose(there, clues.J, rtol=0, atol=1e-7 * np.abs(clues.J).max(initial=0))


def _changed(label: str, w: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Other values of an argument: cause, evidence, values."""

    def change(cause: str, how: str, values: np.ndarray) -> tuple[str, str, np.ndarray]:
        return cause, f"analytic = the gradient with {how}", values.copy()

    for a, b in itertools.combinations(range(w.ndim), 2):
        if w.shape[a] == w.shape[b] > 1:
            cause = "transposed weight" if w.ndim == 2 else f"{label} transposed"
            yield change(cause, f"axes {a} and {b} of {label} exchanged", w.swapaxes(a, b))
    for axis, size in enumerate(w.shape):
        if size > 1:
            yield change(
                f"{label} read backwards", f"{label} reversed along axis {axis}", np.flip(w, axis)
            )
    yield change(f"{label} left out", f"{label} = 1 everywhere", np.ones_like(w))
    yield change(f"{label} left out", f"{label} = 0 everywhere", np.zeros_like(w))
    yield change(f"wrong sign of {label}", f"-{label} for {label}", -w)
    yield change(f"{label} squared", f"{label}^2 for {label}", w * w)
    if w.all():
        yield change(f"1/{label} for {label}", f"1/{label} for {label}", 1 / w)


def _suspect(
    clues: Clues,
    cause: str,
    how: str,
    args: dict[int, np.ndarray] | None = None,
    settings: dict[str, Any] | None = None,
) -> Iterator[Suspect]:
    """The gradient in changed circumstances, if there is one and it may be the analytic one."""
    args = dict(args or {})
    x = np.asarray(args.pop(clues.fault.place, clues.x), np.float64)
    f = clues.at(args, settings)
    try:
        if clues.likely(f, x):
            J = jacobian(f, x)
            if np.isfinite(J).all() and not np.allclose(J, clues.J, 1e-6, 1e-9):
                yield Suspect(cause, how, lambda dy: J @ dy.reshape(-1))
    except ElsewhereError:
        return
