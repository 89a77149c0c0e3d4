"""What mistake makes a gradient wrong: the usual suspects, each tried on the numbers.

A suspect is a transformation: from the function, its arguments, the output gradient and the right
gradient (by differences) it builds the gradient that one mistake would give. If that is the
gradient which the backward pass gave, in every element and to the noise of the measurement, the
mistake is found. Simple explanations are tried first. Nothing depends on what a function is
called: a convolution is recognised by its numbers.

    scaling.py        constant factors, zero, means and sums
    arguments.py      another argument, another order, another setting
    convolution.py    kernel, channels, stride, padding, dilation, groups, overlaps
    pooling.py        ties, winners, the divisor of the mean
    normalisation.py  softmax, statistics treated as constants
    accumulation.py   sums that are missing or run over the wrong axis, uses that are forgotten
    scratch.py        a saved value that the forward pass overwrites: seen by running it again
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes import (
    accumulation,
    arguments,
    convolution,
    normalisation,
    pooling,
    scaling,
    scratch,
)
from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect
from tinynet.gradcheck.fault import Fault

FAMILIES: tuple[Callable[[Clues], Iterator[Suspect]], ...] = (
    scaling.suspects,
    arguments.suspects,
    convolution.suspects,
    pooling.suspects,
    normalisation.suspects,
    accumulation.partial,
    accumulation.suspects,
    accumulation.overwritten,
    accumulation.misread,
    arguments.cropped,
    arguments.reordered,
    arguments.other_settings,
    accumulation.of_uses,
    arguments.other_operands,
    accumulation.not_transposed,
)
"""From the simplest explanation to the farthest."""

FEW = 4  # elements: so few may fit by chance, and are looked at again with another dy


def diagnose(fault: Fault) -> tuple[str, str] | None:
    """The mistake behind a wrong gradient and the evidence for it; None if no suspect fits.

    Where two different mistakes would give this very gradient, both are named:
    "either ... or ...".
    """
    with np.errstate(all="ignore"):
        for family in FAMILIES:
            found = _fitting(family, Clues(fault))
            if found and fault.analytic.size < FEW:
                found = _confirmed(family, fault, found)
            if found:
                return _verdict(found, fault.analytic.size)
        return scratch.overwritten(Clues(fault))


def _fitting(family: Callable[[Clues], Iterator[Suspect]], clues: Clues) -> dict[str, str]:
    """The evidence by cause, for the family's suspects that explain the gradient."""
    found: dict[str, str] = {}
    with contextlib.suppress(ElsewhereError):  # what the others of this family need, fails
        for suspect in family(clues):
            if suspect.cause not in found and clues.explains(suspect):
                found[suspect.cause] = suspect.evidence
    return found


def _confirmed(
    family: Callable[[Clues], Iterator[Suspect]], fault: Fault, found: dict[str, str]
) -> dict[str, str]:
    """Those of the causes found that explain the gradient for another output gradient too."""
    if fault.vjp is None:
        return found
    dy = np.random.default_rng(1).standard_normal(fault.dy.shape)
    try:
        analytic = np.asarray(fault.vjp(dy), dtype=np.float64).reshape(fault.analytic.shape)
    except Exception:  # a backward pass that runs only once says nothing more
        return found
    known = {name: getattr(fault, name) for name in Fault.__slots__}
    known.update(dy=dy, analytic=analytic, numeric=fault.numeric_for(dy))
    again = _fitting(family, Clues(Fault(**known)))
    return {cause: text for cause, text in found.items() if cause in again}


def _verdict(found: dict[str, str], elements: int) -> tuple[str, str]:
    causes = list(found)
    where = "the one element" if elements == 1 else f"all {elements} elements"
    evidence = "; or ".join(found.values()) + f" ({where})"
    if len(causes) == 1:
        return causes[0], evidence
    return "either " + " or ".join(causes), evidence
