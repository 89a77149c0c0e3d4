"""Mistakes of size: the gradient is nothing, or a multiple of the right one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, axis_name, close, flat_places, short


def suspects(clues: Clues) -> Iterator[Suspect]:
    """A zero gradient; a constant factor, and what it means."""
    if not clues.fault.analytic.any():
        yield Suspect(
            "zero gradient", "the backward pass gives 0", lambda dy: np.zeros(clues.x.shape)
        )
        return
    factor = _best_factor(clues)
    few = clues.x.size < 3 and (clues.claimed is None or len(clues.entries.i) < 3)
    if factor is None or (few and not clues.has_name(factor)):
        return
    meanings = list(_meanings(clues, factor)) or [_plain(clues, factor)]
    for cause, reason in meanings:
        text = f"analytic = {short(factor)} x numeric"
        evidence = f"{text}; {reason}" if reason else text
        yield Suspect(cause, evidence, lambda dy: factor * clues.pulled(dy))


def _best_factor(clues: Clues) -> float | None:
    """The factor that takes the numeric gradient closest to the analytic one."""
    power = product = 0.0
    for _, analytic, numeric in clues.tests:
        numeric = np.where(clues.usable, numeric, 0.0)
        power += float((numeric * numeric).sum())
        product += float((numeric * np.where(clues.usable, analytic, 0.0)).sum())
    return product / power if power else None


def of_few(clues: Clues) -> Iterator[Suspect]:
    """A factor without a name, of elements that are so few that another look comes first."""
    factor = _best_factor(clues) if len(clues.tests) > 1 else None
    if factor is not None:
        text = f"analytic = {short(factor)} x numeric"
        yield Suspect("constant factor", text, lambda dy: factor * clues.pulled(dy))


def _plain(clues: Clues, factor: float) -> tuple[str, str]:
    if close(factor, -1):
        return "wrong sign", ""
    name, simple = clues.named(factor) or "", clues.constant(factor)
    is_simple = simple.strip("-").replace("/", "").isdigit()
    if not name or (is_simple and name.startswith(("sqrt", "2", "1/sqrt"))):
        unit = is_simple and "1" in (simple.strip("-"), *simple.strip("-").split("/"))
        guesses = [f"about {simple}"] * ("/" in simple)
        guesses += [text for text in ("" if unit else clues.quotient(factor),) if text]
        return "constant factor", " or ".join(guesses)
    summed = factor > 1 and clues.y.size < clues.x.size and name.partition(" or ")[0] in ("n", "N")
    mean = ": a sum where a mean is meant?" if summed else ""
    return "constant factor", f"{short(factor)} = {name}{mean}"


def _meanings(clues: Clues, factor: float) -> Iterator[tuple[str, str]]:
    """What a factor says if the function has a sum or a mean in it."""
    J = clues.J
    entries = J[J != 0]
    if not entries.size:
        return
    mean_of = 1 / float(entries[0])
    if clues.y.size < clues.x.size and mean_of > 1.5 and np.allclose(entries, entries[0], 1e-6):
        terms = int((J != 0).sum(0).max())
        if close(mean_of, terms, 1e-5):
            if close(factor, terms):
                yield "average not divided", f"each output is the mean of {terms} elements"
            elif factor > 0:
                yield (
                    "average divided by the wrong count",
                    f"each output is the mean of {terms} elements, the gradient is divided by "
                    f"{short(terms / factor)}",
                )
            return
    yield from _mean_for_sum(clues, factor)


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
        name = clues.named(factor) or f"1/{round(1 / factor)}"
        yield (
            "mean used for sum",
            (f"{short(factor)} = {name}, as of a mean over {', or '.join(over[:3])}"),
        )


def counts(clues: Clues) -> tuple[str, str] | None:
    """Means whose number of elements differs by place, and is another in the gradient."""
    e = clues.entries
    one = np.bincount(e.j).max() == 1  # of such a function no output is a mean
    if one or not ((e.claimed > 0).all() and (e.right > 0).all()):
        return None
    divisors = [1 / e.claimed, 1 / e.right]
    if not all(np.allclose(d, np.rint(d), 1e-6) for d in divisors):
        return None
    told = [" or ".join(f"{n:g}" for n in np.unique(np.rint(d))) for d in divisors]
    cause = "average not divided" if told[0] == "1" else "average divided by the wrong count"
    return cause, f"the gradient is divided by {told[0]}, the output by {told[1]}"
