"""Is the backward pass linear in dy? Every right one is: it is a product of dy with the Jacobian.

A mask made of dy, clipping, division by a norm, rounding, a term without dy, random numbers: each
shows as backward(a + b) being something else than backward(a) + backward(b), whatever the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import EXACT, Clues, Suspect, short

NOT_LINEAR = "not linear in the output gradient"
UNUSED = "output gradient not used"


def broken(clues: Clues) -> tuple[str, str] | None:
    """Which law of linearity the backward pass breaks, and by what; None if it is linear."""
    vjp = clues.fault.vjp
    rounded = clues.noise.max(initial=0) > EXACT * np.abs(clues.fault.numeric).max(initial=0)
    if vjp is None or rounded:
        return None
    dy = clues.dy
    other = np.random.default_rng(3).standard_normal(dy.shape)
    try:
        once, again = np.array(vjp(dy)), np.array(vjp(dy))
        nothing, negative = np.array(vjp(0 * dy)), np.array(vjp(-8 * dy))
        parts, both = once + vjp(other), np.array(vjp(dy + other))
    except Exception:  # a backward that fails for another dy is judged by the one that it took
        return None
    if not once.any():
        return None
    if not _same(once, again):
        i = int(np.argmax(np.abs(once - again)))
        return (
            "random numbers in the backward pass, or something that it changes",
            f"called twice with the same dy, the backward gives {once.flat[i]:.6g} and "
            f"{again.flat[i]:.6g} for one element: what is drawn belongs into the forward pass",
        )
    if _same(once, negative) and _same(once, both):
        return UNUSED, f"the backward gives the same whatever dy is{_for_ones(clues, once)}"
    if np.isfinite(nothing).all() and not _same(nothing, 0 * nothing, once):
        i = int(np.argmax(np.abs(nothing)))
        return (
            "a term without the output gradient",
            f"for dy = 0 the backward gives {nothing.flat[i]:.6g} for one element, and must give 0 "
            "everywhere: a part of it is not multiplied by dy",
        )
    if _same(negative, -8 * once) and _same(both, parts):
        return None
    for suspect in _suspects(clues):
        if clues.explains(suspect):
            return f"{NOT_LINEAR}: {suspect.cause}", suspect.evidence
    return NOT_LINEAR, _law(once, negative, both, parts) + _size_of(once, clues)


def _same(a: np.ndarray, b: np.ndarray, beside: np.ndarray | None = None) -> bool:
    scale = max(np.abs(c).max(initial=0) for c in (a, b, a if beside is None else beside))
    return bool(np.allclose(a, b, rtol=0, atol=1e-9 * scale))


def _for_ones(clues: Clues, given: np.ndarray) -> str:
    ones = clues.pulled(np.ones_like(clues.dy))
    same = np.allclose(given, ones, rtol=0, atol=1e-6 * np.abs(ones).max(initial=0))
    return ", namely the gradient for dy = 1 everywhere" if same else ""


def _law(once: np.ndarray, negative: np.ndarray, both: np.ndarray, parts: np.ndarray) -> str:
    if not _same(negative, -8 * once):
        return "backward(-8 dy) is not -8 backward(dy)"
    return "backward(a + b) is not backward(a) + backward(b)"


def _size_of(once: np.ndarray, clues: Clues) -> str:
    """What the size of the elements says: that they are clipped, or have a norm of 1."""
    largest = np.abs(once).max(initial=0)
    if (np.abs(once) == largest).sum() > 1:
        return (
            f"; {(np.abs(once) == largest).sum()} elements have the size {short(largest)}: clipped"
        )
    norm = float(np.linalg.norm(once))
    return (
        "; the gradient has the norm 1: it is divided by its norm" if abs(norm - 1) < 1e-5 else ""
    )


Change = Callable[[np.ndarray], np.ndarray]

CHANGES: tuple[tuple[str, Change], ...] = (
    ("dy where dy > 0, else 0 (masked by the sign of dy)", lambda d: np.maximum(d, 0)),
    ("dy where dy < 0, else 0 (masked by the sign of dy)", lambda d: np.minimum(d, 0)),
    ("|dy| (the sign of dy is lost)", np.abs),
    ("sign(dy)", np.sign),
    ("dy^2", np.square),
    ("dy |dy|", lambda d: d * np.abs(d)),
    ("dy^3", lambda d: d**3),
    ("dy divided by its norm", lambda d: d / np.linalg.norm(d)),
    ("dy divided by its largest element", lambda d: d / np.abs(d).max()),
    ("dy divided by its sum", lambda d: d / d.sum()),
    ("dy rounded to float16", lambda d: d.astype(np.float16)),
    ("dy rounded to float32", lambda d: d.astype(np.float32)),
    ("dy rounded to integers", np.trunc),
    ("dy rounded to integers", np.round),
    ("tanh(dy)", np.tanh),
    *((f"dy clipped to -{c} ... {c}", lambda d, c=c: np.clip(d, -c, c)) for c in (1, 0.5, 0.1, 5)),
)


def _suspects(clues: Clues) -> Iterator[Suspect]:
    """The right gradient of a changed dy, a change of the right gradient, and of dy itself."""
    for what, change in CHANGES:
        yield Suspect(
            what, f"analytic = the right gradient for {what} in place of dy",
            lambda dy, change=change: clues.pulled(change(dy)),  # type: ignore[misc]
        )  # fmt: skip
        changed = what.replace("dy", "the gradient")
        yield Suspect(
            changed, f"analytic = {changed}, the right one",
            lambda dy, change=change: change(clues.pulled(dy)),  # type: ignore[misc]
        )  # fmt: skip
        if clues.x.shape == clues.y.shape:
            yield Suspect(what, f"analytic = {what}", change)
