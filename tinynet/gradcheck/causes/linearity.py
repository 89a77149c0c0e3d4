"""Is the backward pass linear in dy? Every right one is: it is a product of dy with the Jacobian.

A mask made of dy, clipping, division by a norm, rounding, a term without dy, random numbers: each
shows as backward(a + b) being something else than backward(a) + backward(b), whatever the function.
"""

from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import EXACT, Clues, Suspect, is_nothing, then
from tinynet.gradcheck.causes.numbers import short

NOT_LINEAR = "not linear in the output gradient"
MASKED = f"{NOT_LINEAR}: masked by the sign of a gradient"
DROPPED = f"{NOT_LINEAR}: small values are dropped"
SMALL = 2.0**-30
CHANCE = "random numbers in the backward pass, or something that it changes"
CHANGES: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("dy where dy > 0, else 0 (masked by the sign of dy)", lambda d: np.maximum(d, 0)),
    ("dy where dy < 0, else 0 (masked by the sign of dy)", lambda d: np.minimum(d, 0)),
    ("|dy| (the sign of dy is lost)", np.abs),
    ("sign(dy)", np.sign),
    ("dy^2", np.square),
    ("dy divided by its norm", lambda d: d / np.linalg.norm(d)),
    ("dy divided by its largest element", lambda d: d / np.abs(d).max()),
    ("dy rounded to float16", lambda d: d.astype(np.float16)),
    ("dy rounded to float32", lambda d: d.astype(np.float32)),
    ("dy rounded to integers", np.round),
    *((f"dy clipped to -{c} ... {c}", lambda d, c=c: np.clip(d, -c, c)) for c in (1, 0.5, 0.1, 5)),
)


def look(clues: Clues) -> Iterator[Suspect]:
    """Which law of linearity the backward pass breaks, and by what; nothing if it is linear."""
    vjp, dy = clues.fault.vjp, clues.dy
    if np.abs(dy).max(initial=0) < 1e-3:  # the check has asked for a small multiple
        dy = dy / SMALL
    rounded = clues.noise.max(initial=0) > EXACT * np.abs(clues.numeric).max(initial=0)
    if vjp is None or rounded:
        return
    other = np.random.default_rng(3).standard_normal(dy.shape)
    once, again = np.array(vjp(dy)), np.array(vjp(dy))
    nothing, negative, small = (np.array(vjp(c * dy)) for c in (0, -8, SMALL))
    parts, both = once + vjp(other), np.array(vjp(dy + other))
    i, term = int(np.argmax(np.abs(once - again))), int(np.argmax(np.abs(nothing)))
    if is_nothing(once, clues.pulled(dy)):
        return
    if not _same(once, again):
        said = f"called twice with the same dy, the backward gives {once.flat[i]:.6g} and "
        said += f"{again.flat[i]:.6g} for one element: what is drawn belongs into the forward pass"
        yield Suspect(CHANCE, said)
    elif _same(once, negative) and _same(once, both):
        said = "the backward gives the same whatever dy is"
        ones = clues.pulled(np.ones_like(dy))
        if np.allclose(once, ones, rtol=0, atol=1e-6 * np.abs(ones).max(initial=0)):
            said += ", namely the gradient for dy = 1 everywhere"
        yield Suspect("output gradient not used", said)
    elif np.isfinite(nothing).all() and not _same(nothing, 0 * nothing, once):
        said = f"for dy = 0 the backward gives {nothing.flat[term]:.6g} for one element, and must "
        said += "give 0 everywhere: a part of it is not multiplied by dy"
        yield Suspect("a term without the output gradient", said)
    elif not (_same(negative, -8 * once) and _same(both, parts) and _same(small / SMALL, once)):
        for what, said, gradient in _changes(clues):
            if clues.explains(gradient):
                yield Suspect(f"{NOT_LINEAR}: {what}", said)
                return
        if said := _threshold(clues, dy):
            yield Suspect(DROPPED, said)
            return
        law = "(-8 dy) is not -8 backward(dy)"
        if _same(negative, -8 * once):
            law = "(a + b) is not backward(a) + backward(b)"
            law = "(dy / 2^30) is not backward(dy) / 2^30" if _same(both, parts) else law
        largest, size = np.abs(once).max(), ""
        if (clipped := int((np.abs(once) == largest).sum())) > 1:
            size = f"; {clipped} elements have the size {short(largest)}: clipped"
        elif _same(np.array(vjp(8 * dy)), 8 * once):
            said = f"backward{law}, and backward(8 dy) is 8 backward(dy): a sign of the gradient "
            yield Suspect(MASKED, f"{said}decides (dy > 0, |dy|), not that of a value (x > 0)")
            return
        elif abs(np.linalg.norm(once) - 1) < 1e-5:
            size = "; the gradient has the norm 1: it is divided by its norm"
        yield Suspect(NOT_LINEAR, f"backward{law}{size}")


def _threshold(clues: Clues, dy: np.ndarray) -> str:
    """Below which size values are left out, where each element is either right or 0."""
    right = clues.pulled(dy)
    sizes = {"gradients": right, "elements of dy": dy}
    bounds: dict[str, list[tuple[float, float]]] = {what: [] for what in sizes}
    vjp = clues.fault.vjp
    assert vjp is not None
    for scale in 2.0 ** np.arange(3, -38, -0.25):
        given = np.array(vjp(scale * dy)) / scale
        lost = (given == 0) & (right != 0)
        if not np.allclose(given[~lost], right[~lost], rtol=1e-5, atol=1e-7 * np.abs(right).max()):
            return ""
        for what, values in sizes.items():
            if values.shape == lost.shape:
                size = scale * np.abs(values)
                bounds[what].append((size[lost].max(initial=0), size[~lost].min(initial=np.inf)))
    for what, pairs in bounds.items():
        dropped = max((pair[0] for pair in pairs), default=0)
        kept = min((pair[1] for pair in pairs), default=np.inf)
        if 0 < dropped <= kept < np.inf:
            said = f"{what} smaller than about {np.sqrt(dropped * kept):.1g} become 0: "
            return f"{said}backward(dy / 2^30) is not backward(dy) / 2^30"
    return ""


def _same(a: np.ndarray, b: np.ndarray, beside: np.ndarray | None = None) -> bool:
    scale = max(np.abs(c).max(initial=0) for c in (a, b, a if beside is None else beside))
    return bool(np.allclose(a, b, rtol=0, atol=1e-9 * scale))


def _changes(clues: Clues) -> Iterator[Suspect]:
    """The right gradient of a changed dy, a change of the right gradient, and of dy itself."""
    for what, change in CHANGES:
        text = f"analytic = the right gradient for {what} in place of dy"
        yield Suspect(what, text, then(change, clues.pulled))
        changed = what.replace("dy", "the gradient")
        yield Suspect(changed, f"analytic = {changed}, the right one", then(clues.pulled, change))
        if clues.x.shape == clues.y.shape:
            yield Suspect(what, f"analytic = {what}", change)
