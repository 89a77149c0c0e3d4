"""Mistakes of identity: another argument or setting, or right numbers in the wrong places."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, alike

NEUTRAL = (1, 0)
MOST_ELEMENTS = 256  # of x: each other circumstance takes differences for all of them


def suspects(clues: Clues) -> Iterator[Suspect]:
    """The gradient of another argument, or the output's own."""
    for place, other in clues.fault.others.items():
        if place != clues.fault.place and other.shape == clues.analytic.shape:
            yield Suspect(
                "gradient of the wrong argument returned",
                f"analytic = the numeric gradient of {clues.label(place)}",
                other,
                clues.noise.max(initial=0),
            )
    if clues.dy.shape == clues.analytic.shape:
        yield Suspect("output gradient returned unchanged", "analytic = dy", clues.dy)
        if clues.dy.ndim == 2 and clues.dy.shape[0] == clues.dy.shape[1]:
            yield Suspect("output gradient returned unchanged", "analytic = dy^T", clues.dy.T)


def reordered(clues: Clues) -> Iterator[Suspect]:
    """The right numbers in the wrong places: transposed, reversed, shifted, misread."""
    numeric, noise, shape = clues.numeric, clues.noise, clues.numeric.shape

    def suspect(cause: str, how: str, order: np.ndarray) -> Suspect:
        """order: for each place of the result, the flat place it was taken from."""
        return Suspect(cause, f"analytic = numeric {how}", numeric.flat[order], noise.flat[order])

    places = np.arange(numeric.size).reshape(shape)
    orders = list(itertools.permutations(range(numeric.ndim)))[1:] if numeric.ndim <= 4 else []
    for order in orders:
        if tuple(shape[a] for a in order) == shape and numeric.size > 1:
            how = f"with its axes in the order {order}"
            yield suspect("gradient transposed", how, places.transpose(order))
    for count in range(1, min(numeric.ndim, 3) + 1):
        for axes in itertools.combinations(range(numeric.ndim), count):
            how = f"reversed along {'axis' if count == 1 else 'axes'} {', '.join(map(str, axes))}"
            yield suspect("gradient flipped", how, np.flip(places, axes))
    for axis, size in enumerate(shape):
        for k in range(1, min(size, 8)):
            for shift in {k, -k}:
                how = f"shifted by {shift} along axis {axis}"
                rolled = np.roll(places, shift, axis)
                yield suspect("gradient shifted", how + ", round the end", rolled)
                moved = suspect("gradient shifted", how, rolled)
                ahead = np.arange(size) < k if shift > 0 else np.arange(size) >= size - k
                at = ahead.reshape([-1 if i == axis else 1 for i in range(numeric.ndim)])
                yield moved._replace(gradient=np.where(at, 0.0, moved.gradient))
    for order in orders:
        turned = tuple(shape[i] for i in order)
        if turned != shape and numeric.size > max(shape):
            how = f"with its axes in the order {order}, read row by row into {shape}"
            forth = places.transpose(order).reshape(shape)
            yield suspect("reshape used for transpose", how, forth)
            how = f"read row by row into {turned}, then transposed to {shape}"
            back = places.reshape(turned).transpose(np.argsort(order))
            yield suspect("reshape used for transpose", how, back)


def cropped(clues: Clues) -> Iterator[Suspect]:
    """dy cut at the wrong place: the function puts x into a larger array, as padding does."""
    dy, shape = clues.dy, clues.analytic.shape
    if dy.ndim != len(shape) or dy.shape == shape or any(a > b for a, b in zip(shape, dy.shape)):
        return
    offsets = [range(b - a + 1) for a, b in zip(shape, dy.shape)]
    blocks = {
        start: dy[tuple(slice(s, s + n) for s, n in zip(start, shape))]
        for start in itertools.product(*offsets)
    }
    right = [start for start, block in blocks.items() if _near(block, clues)]
    for start, block in blocks.items():
        if right and start != right[0]:
            shift = tuple(a - b for a, b in zip(start, right[0]))
            yield Suspect(
                "padding cropped at the wrong side",
                f"analytic = dy cropped from {start}, numeric = dy cropped from {right[0]}: "
                f"shifted by {shift}",
                block,
            )


def _near(block: np.ndarray, clues: Clues) -> bool:
    return bool((np.abs(block - clues.numeric) <= 10 * clues.noise + 1e-6 * clues.scale).all())


def other_operands(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function at other arguments."""
    place, noise = clues.fault.place, clues.blur

    def at(args: dict[int, np.ndarray]) -> np.ndarray | None:
        return _gradient(clues, args=args)

    for other, w in clues.floats.items():
        if other == place:
            continue
        label = clues.label(other)
        if w.ndim == 2 and w.shape[0] == w.shape[1]:
            found = at({other: w.T.copy()})
            if found is not None:
                yield Suspect(
                    "transposed weight", f"analytic = the gradient with {label}^T for {label}",
                    found, noise,
                )  # fmt: skip
        for axes in ((-1,), (0,)) if w.ndim else ():
            found = at({other: np.flip(w, axes).copy()})
            if found is not None:
                yield Suspect(
                    "argument reversed",
                    f"analytic = the gradient with {label} reversed along axis {axes[0]}",
                    found, noise,
                )  # fmt: skip
        for value in NEUTRAL:
            found = at({other: np.full_like(w, value)})
            if found is not None and not np.allclose(found, clues.numeric, 1e-6, 1e-12):
                yield Suspect(
                    f"{label} left out",
                    f"analytic = the gradient with {label} = {value} everywhere",
                    found, noise,
                )  # fmt: skip
    if clues.y.shape == clues.x.shape and not alike(clues.y, clues.x):
        found = at({place: clues.y.astype(np.float64)})
        if found is not None:
            yield Suspect(
                "derivative taken at the output",
                f"analytic = the gradient with the output in place of {clues.name}",
                found, noise,
            )  # fmt: skip
    for constant in (0.0, 1.0):
        found = at({place: np.full_like(clues.x, constant)})
        if found is not None and np.abs(found).max(initial=0) > 0:
            yield Suspect(
                f"{clues.name} left out",
                f"analytic = the gradient at {clues.name} = {constant:g} everywhere",
                found, noise,
            )  # fmt: skip


def other_settings(clues: Clues) -> Iterator[Suspect]:
    """The gradient of the same function with other settings."""
    for name, value in clues.settings.items():
        if isinstance(value, bool):
            others: tuple[Any, ...] = (not value,)
        elif isinstance(value, (int, float)):
            others = tuple(v for v in (1, 0, -value, 2 * value) if v != value)
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
            others = (np.ones_like(value), np.zeros_like(value))
        else:
            continue
        for other in others:
            found = _gradient(clues, settings={name: other})
            if found is None:
                continue
            same = not np.ndim(other) and other in (1, 0, not value)
            said = f"{np.ravel(other)[0]:g} everywhere" if np.ndim(other) else str(other)
            yield Suspect(
                f"{name} ignored" if same or np.ndim(other) else f"wrong {name}",
                f"analytic = the gradient with {name} = {said}",
                found,
                clues.blur,
            )


def _gradient(
    clues: Clues,
    args: dict[int, np.ndarray] | None = None,
    settings: dict[str, Any] | None = None,
) -> np.ndarray | None:
    """The gradient in changed circumstances, None where the function does not take them."""
    if clues.x.size > MOST_ELEMENTS:
        return None
    try:
        found = clues.gradient(clues.dy, args, settings)
    except ElsewhereError:
        return None
    return found if np.isfinite(found).all() else None
