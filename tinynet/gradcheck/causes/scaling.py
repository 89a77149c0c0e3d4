"""Mistakes of size: the gradient is nothing, or a multiple of the right one."""

from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, is_nothing
from tinynet.gradcheck.causes.numbers import close, fraction, has_name, names, short


def look(clues: Clues) -> Iterator[Suspect]:
    """A zero gradient; a constant factor, of which few elements show one that has a name alone."""
    if is_nothing(clues.analytic, clues.numeric[clues.usable]):
        yield Suspect("zero gradient", "the backward pass gives 0", 0 * clues.J)
        return
    factor, size = _factor(clues), np.abs(clues.J)
    compared = np.count_nonzero(size > 1e-7 * size.max()) if len(clues.tests) > 1 else 0
    few = clues.x.size < 3 and compared < 3
    if few and not has_name(clues, factor):
        return
    text, is_sign = f"analytic = {short(factor)} x numeric", close(factor, -1)
    cause = "wrong sign" if is_sign else "constant factor"
    yield Suspect(cause, text + ("" if is_sign else _reason(clues, factor)), factor * clues.J)


def _factor(clues: Clues) -> float:
    """The factor that takes the numeric gradient closest to the analytic one."""
    right, given = (
        np.concatenate([np.where(clues.usable, test[k], 0.0).reshape(-1) for test in clues.tests])
        for k in (2, 1)
    )
    return float(right @ given / (right @ right))


def _reason(clues: Clues, factor: float) -> str:
    """What a factor is, if it has a name; a 2 or a half may be anything."""
    found, simple = names(clues, factor), fraction(factor)
    for there in clues.resized:  # of the sizes that it may be by chance that which it is there, too
        found = [name for name in found if name in names(there, _factor(there))]
    name = " or ".join(found[:2])
    if simple.strip("-").replace("/", "").isdigit() and name not in clues.numbers:
        is_half = 0.5 in (round(factor, 6), round(1 / factor, 6))
        if is_half or not name or name.startswith(("sqrt", "2", "1/sqrt")):
            return f"; about {simple}" if "/" in simple else ""
    return f"; {short(factor)} = {name}" if name else ""


def counts(clues: Clues) -> Iterator[Suspect]:
    """Means whose number of elements differs by place, and is another in the gradient."""
    e = clues.entries
    one = np.bincount(e.j).max() == 1  # of such a function no output is a mean
    if one or not ((e.claimed > 0).all() and (e.right > 0).all()):
        return
    divisors = [1 / e.claimed, 1 / e.right]
    if divisors[1].min() > 1.5 and all(np.allclose(d, np.rint(d), 1e-6) for d in divisors):
        told = [" or ".join(f"{n:g}" for n in np.unique(np.rint(d))) for d in divisors]
        cause = "average not divided" if told[0] == "1" else "average divided by the wrong count"
        yield Suspect(cause, f"the gradient is divided by {told[0]}, the output by {told[1]}")
