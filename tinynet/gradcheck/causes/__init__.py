"""What mistake makes a gradient wrong: general looks, the plainest first.

The backward pass claims a Jacobian B; the right one, J, is known by differences. Each look asks one
question of the two, whatever the function is, and names suspects: mistakes, with the gradient that
each would give. One is told only if this is the analytic gradient, in every element and to the
noise of the measurement.

`locate.py` makes a `Fault` of what is wrong (clues.py), and `diagnose` asks the looks of LOOKS in
their order, until the suspects of one fit:

    linearity.py   does the backward give twice as much for twice the dy? (masks of dy, clipping)
    scaling.py     is B a multiple of J? what is the factor?
    elsewhere.py   is it right with another setting, or other values of another argument?
    winners.py     does dy go to the winner of a maximum?
    terms.py       are the terms of the sum all there, and no others?
    order.py       is it the gradient of another argument, or in another order?
    origin.py      of which elements of another argument are the terms made, by which rule?
    formula.py     what are its elements made of: x (1 - x), where y (1 - y) is right?
    inside.py      is it right for the function with some value held constant, or as it was before?
    code.py        with which expression of the code written otherwise is it right?
    where.py       and if nothing is found: which elements are wrong?

What they share: numbers.py names a factor; hand.py is what the operation had in hand, of which
formulas and rules are made; tape.py writes down the function's NumPy calls for inside.py;
harmless.py keeps changed code from doing harm.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes import (
    code,
    elsewhere,
    formula,
    inside,
    linearity,
    order,
    origin,
    scaling,
    terms,
    where,
    winners,
)
from tinynet.gradcheck.causes.clues import Clues, Fault, Suspect

LOOKS: tuple[Callable[[Clues], Iterator[Suspect]], ...] = (
    code.remembered,  # before calls with other values change what is
    linearity.look,
    scaling.counts,
    scaling.look,
    order.of_an_argument,
    inside.overwritten,
    winners.look,
    terms.without_an_output,
    terms.left_out,
    order.look,
    terms.otherwise,
    origin.look,
    order.not_transposed,
    elsewhere.look,
    formula.plain,
    inside.look,
    code.look,
    code.constant,
    formula.look,
    order.without_a_name,
    terms.without_a_rule,
    inside.within,
)
"""From the simplest explanation to the farthest."""

VAGUE = (
    linearity.NOT_LINEAR,
    linearity.DROPPED,
    linearity.MASKED,
    terms.TOO_MANY,
    terms.LEFT_OUT,
    "Jacobian not transposed",
    "constant factor",
    "zero gradient",
    "wrong setting",
    inside.ONE_OF_SEVERAL,
    "one part of the gradient off by a factor",
    "two parts of the gradient off by a factor",
)
"""Causes that are true of many mistakes: the code is looked at as well."""

OF_ITS_OWN = code.remembered, code.look, code.constant
"""Looks that hold what they find against other values and sizes themselves."""

DETAILED = order.of_an_argument, order.look, elsewhere.look
"""Looks of which the evidence must be the same there, too: by how much it is shifted."""

FIRST = inside.look, inside.within, code.constant
"""Looks of which the first suspect that fits is taken; of the others all that fit are told."""


def diagnose(fault: Fault) -> tuple[str, str] | None:
    """The mistake behind a wrong gradient and the evidence for it; None if no look sees it.

    Where two different mistakes would give this very gradient, both are named:
    "either ... or ...". Without a mistake there may be a rule: ("", which elements are wrong).
    """
    clues = Clues(fault)
    with np.errstate(all="ignore"):
        for look in LOOKS:
            with contextlib.suppress(Exception):  # which a function raises at other values
                if found := _fitting(clues, look):
                    cause, evidence = _told(clues, found)
                    if cause in VAGUE or cause.startswith("wrong elements of "):
                        return _with_the_code(clues, cause, evidence)
                    return cause, evidence
        place = where.of_the_elements(clues)
    return ("", place) if place else None


def _with_the_code(clues: Clues, cause: str, evidence: str) -> tuple[str, str]:
    """Beside what a look says, where in the code the mistake is."""
    with contextlib.suppress(Exception):
        for mistake, cure in _fitting(clues, code.look).items():
            return f"{cause}: {mistake}", f"{evidence}; {cure}"
    return cause, evidence


def _fitting(clues: Clues, look: Callable[[Clues], Iterator[Suspect]]) -> dict[str, str]:
    """The suspects of a look that explain the gradient, with other values and sizes too."""
    found: dict[str, str] = {}
    if look is order.look and not clues.is_varied:
        return found  # two numbers stand in any order by chance
    elements = "the one element" if clues.x.size == 1 else f"all {clues.x.size} elements"
    for suspect in _explaining(clues, look):
        cause, evidence, gradient = suspect
        if cause not in found and (look in OF_ITS_OWN or _holds(clues, suspect, look)):
            found[cause] = evidence if gradient is None else f"{evidence} ({elements})"
            if look in FIRST:
                break
    return found


def _explaining(clues: Clues, look: Callable[[Clues], Iterator[Suspect]]) -> Iterator[Suspect]:
    return (s for s in look(clues) if s.gradient is None or clues.explains(s.gradient))


def _holds(clues: Clues, suspect: Suspect, look: Callable[[Clues], Iterator[Suspect]]) -> bool:
    """Whether a look says the same elsewhere."""

    def said(s: Suspect) -> str:
        return f"{s.cause}: {s.evidence}" if look in DETAILED else s.cause

    return clues.is_confirmed(said(suspect), lambda there: map(said, _explaining(there, look)))


def _told(clues: Clues, found: dict[str, str]) -> tuple[str, str]:
    """Cause and evidence in words, with the rule for which elements are wrong, if not all are."""
    cause, evidence = " or ".join(found), "; or ".join(found.values())
    place = "" if "where" in cause or ", at " in cause else where.of_the_elements(clues)
    evidence += f"; {place}" if place and place not in evidence else ""
    return f"either {cause}" if len(found) > 1 else cause, evidence
