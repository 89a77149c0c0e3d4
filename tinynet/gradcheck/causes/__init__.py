"""What mistake makes a gradient wrong: general looks, the plainest first.

The backward pass claims a Jacobian B; the right one, J, is known by differences. Each look asks one
question of the two, whatever the function is. A look that answers says so with the numbers, and
what it says holds in every element and to the noise of the measurement.

    linearity.py   does the backward give twice as much for twice the dy? (masks of dy, clipping)
    scaling.py     is B a multiple of J? what is the factor?
    elsewhere.py   is it the gradient of another argument, at another point, with other settings?
    terms.py       are the terms of the sum all there, and no others?
    order.py       are the right numbers in their places?
    winners.py     does dy go to the winner of a maximum?
    origin.py      of which elements of another argument are the terms made, by which rule?
    inside.py      is it right for the function with some value held constant?
    formula.py     what are its elements made of: x (1 - x), where y (1 - y) is right?
    scratch.py     is it right with what a saved array held before?
    where.py       and if nothing is found: which elements are wrong?
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes import (
    elsewhere,
    formula,
    inside,
    linearity,
    order,
    origin,
    scaling,
    scratch,
    terms,
    where,
    winners,
)
from tinynet.gradcheck.causes.clues import Clues, Suspect
from tinynet.gradcheck.causes.hand import Hand
from tinynet.gradcheck.fault import Fault

FEW = 2  # right elements in which chance may agree
Found = tuple[str, str] | None
Look = Callable[[Clues], Found]


def diagnose(fault: Fault) -> Found:
    """The mistake behind a wrong gradient and the evidence for it; None if no look sees it.

    Where two different mistakes would give this very gradient, both are named:
    "either ... or ...". Without a mistake there may be a rule: ("", which elements are wrong).
    """
    clues = Clues(fault)
    with np.errstate(all="ignore"):
        for look in LOOKS:
            with contextlib.suppress(Exception):  # which a function raises at other values
                if (found := look(clues)) is not None:
                    return _with_place(clues, *found)
    return None


def is_weak(cause: str) -> bool:
    """Whether a cause is none, or tells little more than that the numbers are others."""
    return not cause or cause.startswith(formula.WEAK)


def _fitting(suspects: Callable[[Clues], Iterator[Suspect]]) -> Look:
    """A look that tries suspects: gradients that mistakes would give."""

    def look(clues: Clues) -> Found:
        found: dict[str, str] = {}
        for suspect in suspects(clues):
            if suspect.cause not in found and clues.explains(suspect):
                found[suspect.cause] = suspect.evidence
        if not found:
            return None
        causes = list(found)
        elements = fault_size(clues)
        evidence = "; or ".join(found.values()) + f" ({elements})"
        return (causes[0] if len(causes) == 1 else "either " + " or ".join(causes)), evidence

    return look


def fault_size(clues: Clues) -> str:
    """How many elements a statement holds for."""
    return "the one element" if clues.x.size == 1 else f"all {clues.x.size} elements"


def _of_both(look: Look) -> Look:
    """A look that needs what the backward claims of the whole Jacobian."""

    def guarded(clues: Clues) -> Found:
        return None if clues.claimed is None or not clues.entries.wrong.any() else look(clues)

    return guarded


def _first(suspects: Callable[[Clues], Iterator[Suspect]]) -> Look:
    """A look that takes the first suspect that fits."""

    def look(clues: Clues) -> Found:
        for suspect in suspects(clues):
            if clues.explains(suspect):
                return suspect.cause, f"{suspect.evidence} ({fault_size(clues)})"
        return None

    return look


def _not_by_chance(look: Look) -> Look:
    """A look that says what it says with the elements of the argument in another order as well."""

    def twice(clues: Clues) -> Found:
        found, there = look(clues), clues.elsewhere
        if found is None or there is None:
            return found
        again = look(there)
        return found if again and where.bare(again[0]) == where.bare(found[0]) else None

    return twice


def _which(clues: Clues) -> Found:
    place = _place(clues)
    return ("", place) if place else None


LOOKS: tuple[Look, ...] = (
    linearity.broken,
    _fitting(scaling.suspects),
    _fitting(elsewhere.of_an_argument),
    scratch.overwritten,
    _of_both(winners.look),
    _of_both(terms.left_out),
    _of_both(terms.one_for_all),
    _of_both(scaling.counts),
    _fitting(order.of_the_gradient),
    _of_both(terms.other_axis),
    _of_both(terms.other_statistics),
    _of_both(origin.look),
    _fitting(order.not_transposed),
    _of_both(terms.moved),
    _fitting(order.of_dy),
    _of_both(terms.other_side),
    _of_both(terms.exchanged),
    _of_both(order.without_a_name),
    _fitting(elsewhere.with_settings),
    _fitting(elsewhere.with_another_number),
    _fitting(elsewhere.with_other_arguments),
    _fitting(elsewhere.at_the_output),
    _not_by_chance(_of_both(formula.plain)),
    _first(inside.suspects),
    _not_by_chance(_of_both(formula.look)),
    _first(inside.within),
    _fitting(scaling.of_few),
    _which,
)
"""From the simplest explanation to the farthest."""


def _with_place(clues: Clues, cause: str, evidence: str) -> tuple[str, str]:
    """The finding with the rule for which elements are wrong, if not all are."""
    place = _place(clues) if cause and "where" not in cause else ""
    return cause, evidence + (f"; {place}" if place and place not in evidence else "")


def _place(clues: Clues) -> str:
    """Which elements of the gradient are wrong, in a sentence; "" if no simple rule says it."""
    rule = where.confirmed(clues, _rule)
    wrong = int(_wrong(clues).sum())
    right = clues.x.size - wrong
    return f"all {wrong} wrong elements: {rule}; the {right} others are right" if rule else ""


def _wrong(clues: Clues) -> np.ndarray:
    _, analytic, numeric = clues.tests[0]
    allowed = 10 * clues.noise + 1e-6 * np.abs(numeric).max(initial=0)
    return np.asarray(np.abs(analytic - numeric) > allowed).reshape(-1)


def _rule(clues: Clues) -> str:
    """What the wrong elements have in common, for these values."""
    numeric, wrong = np.abs(clues.tests[0][2]).reshape(-1), _wrong(clues)
    if (numeric > 1e-6 * numeric.max(initial=0))[~wrong].sum() < FEW:
        return ""  # what is right is 0, or so little that it may be so by chance
    elementwise = clues.x.shape == clues.y.shape
    flat = np.arange(wrong.size)
    hand = Hand(clues, flat, flat if elementwise else np.zeros_like(flat))
    if not elementwise:
        hand.quantities = [(clues.name, clues.x.reshape(-1))]
    own = f"of {clues.name}"
    hand.places = {name: p for name, p in hand.places.items() if name.endswith(own)}
    return where.rule(wrong, hand, (("dy", clues.dy.reshape(-1)),) if elementwise else ())
