"""Mistakes of size: the gradient is nothing, or a multiple of the right one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, axis_name, flat_places
from tinynet.gradcheck.causes.numbers import close, constant, has_name, named, quotient, short


def look(clues: Clues) -> Iterator[Suspect]:
    """A zero gradient; a constant factor, of which few elements show one that has a name alone."""
    if not clues.analytic.any():
        yield Suspect("zero gradient", "the backward pass gives 0", 0 * clues.J)
        return
    factor, size = _factor(clues), np.abs(clues.J)
    few = clues.x.size < 3 and np.count_nonzero(size > 1e-7 * size.max()) < 3
    if few and not has_name(clues, factor):
        return
    for cause, reason in [*_meanings(clues, factor)] or [_plain(clues, factor)]:
        text = f"analytic = {short(factor)} x numeric"
        yield Suspect(cause, text + (f"; {reason}" if reason else ""), factor * clues.J)


def _factor(clues: Clues) -> float:
    """The factor that takes the numeric gradient closest to the analytic one."""
    right, given = (
        np.concatenate([np.where(clues.usable, test[k], 0.0).reshape(-1) for test in clues.tests])
        for k in (2, 1)
    )
    return float(right @ given / (right @ right))


def _plain(clues: Clues, factor: float) -> tuple[str, str]:
    if close(factor, -1):
        return "wrong sign", ""
    name, simple = named(clues, factor) or "", constant(clues, factor)
    is_simple = simple.strip("-").replace("/", "").isdigit()
    if not name or (is_simple and name.startswith(("sqrt", "2", "1/sqrt"))):
        unit = is_simple and "1" in (simple.strip("-"), *simple.strip("-").split("/"))
        about = f"about {simple}" if is_simple and "/" in simple else ""
        sizes = "" if unit else quotient(clues, factor, clues.sizes)
        return "constant factor", " or ".join(filter(None, (about, sizes)))
    summed = factor > 1 and clues.y.size < clues.x.size and name.partition(" or ")[0] in ("n", "N")
    mean = ": a sum where a mean is meant?" if summed else ""
    plainly = (
        "itself, or"
        if 0.5 in (round(factor, 6), round(1 / factor, 6)) and name not in clues.numbers
        else "="
    )
    return "constant factor", f"{short(factor)} {plainly} {name}{mean}"


def _meanings(clues: Clues, factor: float) -> Iterator[tuple[str, str]]:
    """What a factor says if the function has a sum or a mean in it."""
    entries = clues.J[clues.J != 0]
    mean_of = 1 / float(entries[0])
    if clues.y.size >= clues.x.size or mean_of <= 1.5 or not np.allclose(entries, entries[0], 1e-6):
        yield from _mean_for_sum(clues, factor)
        return
    terms = int((clues.J != 0).sum(0).max())
    each = f"each output is the mean of {terms} elements"
    if close(mean_of, terms, 1e-5) and close(factor, terms):
        yield "average not divided", each
    elif close(mean_of, terms, 1e-5) and factor > 0:
        told = f"{each}, the gradient is divided by {short(terms / factor)}"
        yield "average divided by the wrong count", told


def _mean_for_sum(clues: Clues, factor: float) -> Iterator[tuple[str, str]]:
    """A mean over the outputs that an element of x is in, or over axes of the output."""
    terms = np.abs(clues.J) > clues.tolerance
    rows, columns = np.nonzero(terms)
    most = int(terms.sum(1).max())
    over = [f"the {most} outputs that an element of {clues.name} is in"] * close(factor, 1 / most)
    summed = {
        axis: n
        for axis, (n, at) in enumerate(zip(clues.y.shape, flat_places(clues.y.shape, columns)))
        if n > 1 and np.bincount([i for i, _ in {*zip(rows.tolist(), at.tolist())}]).max() == n
    }
    for count in range(len(summed), 0, -1):
        for axes in itertools.combinations(summed, count):
            if close(factor, 1 / math.prod(summed[axis] for axis in axes)):
                told = " and ".join(axis_name(axis, clues.y) for axis in axes)
                over.append(f"{told} of the output")
    if most > 1 and over:
        name = named(clues, factor) or f"1/{round(1 / factor)}"
        text = f"{short(factor)} = {name}, as of a mean over {', or '.join(over[:3])}"
        yield "mean used for sum", text


def counts(clues: Clues) -> Iterator[Suspect]:
    """Means whose number of elements differs by place, and is another in the gradient."""
    e = clues.entries
    one = np.bincount(e.j).max() == 1  # of such a function no output is a mean
    if one or not ((e.claimed > 0).all() and (e.right > 0).all()):
        return
    divisors = [1 / e.claimed, 1 / e.right]
    if all(np.allclose(d, np.rint(d), 1e-6) for d in divisors):
        told = [" or ".join(f"{n:g}" for n in np.unique(np.rint(d))) for d in divisors]
        cause = "average not divided" if told[0] == "1" else "average divided by the wrong count"
        yield Suspect(cause, f"the gradient is divided by {told[0]}, the output by {told[1]}")
