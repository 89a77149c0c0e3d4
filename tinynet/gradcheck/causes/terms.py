"""Which terms of the sum J dy the backward adds up: some are left out, or stand in other places.

All looks here compare the two Jacobians entry by entry, and ask for the rule behind the difference
in terms of the places: of the output's axes, of the input's, of both.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, Suspect, axis_name, flat_places
from tinynet.gradcheck.causes.hand import Hand

LEFT_OUT = "some terms of the sum are left out"
TOO_MANY = "terms that do not belong into the sum"


def without_an_output(clues: Clues) -> Iterator[Suspect]:
    """Of an `autograd.Function` with several outputs: the gradient of one of them is not used."""
    call = clues.call
    backward = getattr(getattr(call, "vjps", {}).get(clues.fault.place), "function", None)
    parts = getattr(backward, "parts", None) or ()
    moving = [(k, math.prod(part[0])) for k, part in enumerate(parts) if type(part) is tuple]
    start = 0
    for k, size in moving:
        J = clues.J.copy()
        J[:, start : start + size] = 0
        start += size
        how = f"analytic = numeric without what comes from output {k} of {len(parts)} (from 0)"
        yield Suspect(f"the gradient of output {k} is not used", how, J)


def left_out(clues: Clues) -> Iterator[Suspect]:
    """Every term that is there is right, and some are missing; or all are, and some too many."""
    e = clues.entries
    several = np.bincount(e.i).max() > 1
    missing = not e.claimed[e.wrong].any()
    if e.wrong.all() or not (several or clues.y.size == 1) or (e.right[e.wrong].any() > missing):
        return
    for cause, evidence, kept in _sums(clues) if missing else ():
        if np.array_equal(kept, ~e.wrong):
            yield Suspect(cause, evidence)
            return
    rule = where.confirmed(clues, _rule)
    if not rule:
        return
    wrong, right = int(e.wrong.sum()), int((~e.wrong).sum())
    if missing:
        text = f"the terms that are there are right, {wrong} of {e.wrong.size} are missing: {rule}"
        yield Suspect(LEFT_OUT, text)
    else:
        text = f"the {right} terms that are due are right, and {wrong} stand where there must be 0"
        yield Suspect(TOO_MANY, f"{text}: {rule}")


def without_a_rule(clues: Clues) -> Iterator[Suspect]:
    """Some terms are missing, and all others are right; or there are too many."""
    e, k = clues.entries, int(clues.entries.wrong.argmax())
    missing, spare = (not values[e.wrong].any() for values in (e.claimed, e.right))
    if (missing or spare) and not e.wrong.all() and np.bincount(e.i).max() > 1:
        x, y = (list(map(int, np.unravel_index(at[k], a.shape)))
                for at, a in ((e.i, clues.x), (e.j, clues.y)))  # fmt: skip
        text = f"{int(e.wrong.sum())} terms {'are missing' if missing else 'are not due'}, such as "
        text += f"dy{y} in the gradient of {clues.name}{x}; the {int((~e.wrong).sum())} others are "
        cause = f"{LEFT_OUT if missing else TOO_MANY}, by no plain rule"
        yield Suspect(cause, f"{text}right")


def _rule(clues: Clues) -> str:
    """Which terms are wrong."""
    e = clues.entries
    return where.rule(e.wrong, Hand(clues, e.i, e.j))


def _sums(clues: Clues) -> Iterator[tuple[str, str, np.ndarray]]:
    """Which terms remain of a sum with a mistake: cause, evidence, and whether each term does."""
    e, shape = clues.entries, clues.y.shape
    Y = list(flat_places(shape, e.j))
    axes = [a for a, n in enumerate(shape) if n > 1]
    groups = [c for count in range(1, len(axes) + 1) for c in itertools.combinations(axes, count)]
    summed = len(np.unique(e.i))
    for chosen in groups:
        if any(len(np.unique(e.i * shape[a] + Y[a])) < summed * shape[a] for a in chosen):
            continue  # not every element is in the whole sum
        at = [int(Y[a][~e.wrong][0]) for a in chosen]
        which = " and ".join(axis_name(a, clues.y) for a in chosen)
        place = ", ".join(_ordinal(p, shape[a]) for a, p in zip(chosen, at))
        text = f"analytic has only what comes from the {place} place of {which} of the output "
        text += f"{shape}, not the sum over {which}"
        kept = np.all([Y[a] == p for a, p in zip(chosen, at)], axis=0)
        yield "missing sum over an axis", text, kept
    if clues.x.shape == shape:
        text = "analytic = dy_i * dy_i/dx_i alone, and y_i depends on other elements of x too"
        yield "Jacobian without its off-diagonal part", text, e.i == e.j
    for chosen in sorted(groups, key=len, reverse=True):
        key = np.ravel_multi_index([Y[a] for a in chosen], tuple(shape[a] for a in chosen))
        for said, sign in (("last", 1), ("first", -1)):
            extreme = np.full(clues.x.size, -clues.y.size)
            np.maximum.at(extreme, e.i, sign * key)
            text = f"analytic: of the outputs that an element of {clues.name} is in, the {said} "
            text += f"along axes {', '.join(map(str, chosen))} counts alone"
            yield "missing accumulation", f"{text} (= for +=?)", sign * key == extreme[e.i]


def _ordinal(place: int, size: int) -> str:
    return "first" if place == 0 else "last" if place == size - 1 else f"{place}."


# ----- other places -------------------------------------------------------------------------------


def otherwise(clues: Clues) -> Iterator[Suspect]:
    """What is true of the outputs that an element belongs to, and not of those it is given.

    It reaches the outputs of its own row, and is given the dy of its own column.
    """
    e, ties = clues.entries, []
    for values in (e.claimed, e.right):
        X = list(flat_places(clues.x.shape, e.i[values != 0]))
        Y = list(flat_places(clues.y.shape, e.j[values != 0]))
        ties.append({
            f"at its place of axis {b}" + (f" (axis {a} of {clues.name})" if a != b else "")
            for a, b in itertools.product(range(len(X)), range(len(Y)))
            if clues.x.shape[a] == clues.y.shape[b] > 1 and np.array_equal(X[a], Y[b])
        })  # fmt: skip
    claimed, right = ties
    if claimed - right and right - claimed:
        due, given = (" and ".join(sorted(t)) for t in (right - claimed, claimed - right))
        text = f"an element of {clues.name} belongs to the outputs {due}, the gradient adds up "
        yield Suspect("summed over the wrong axis", f"{text}those {given}")
