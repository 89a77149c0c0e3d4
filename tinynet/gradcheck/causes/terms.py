"""Which terms of the sum J dy the backward adds up: some are left out, or stand in other places.

All looks here compare the two Jacobians entry by entry, and ask for the rule behind the difference
in terms of the places: of the output's axes, of the input's, of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, Suspect, axis_name, flat_places
from tinynet.gradcheck.causes.hand import Hand
from tinynet.gradcheck.causes.origin import LETTERS, rule_of, written_as

Relations = Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]

MOST_WEIGHTS = 9


def left_out(clues: Clues, by_rule: bool = True) -> Iterator[Suspect]:
    """Every term that is there is right, and some are missing; or all are, and some too many.

    by_rule: only where a rule says which are wrong.
    """
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
    if by_rule and not rule:
        return
    rule = f": {rule}" if rule else ""
    wrong, right = int(e.wrong.sum()), int((~e.wrong).sum())
    if missing:
        text = f"the terms that are there are right, {wrong} of {e.wrong.size} are missing{rule}"
        yield Suspect("some terms of the sum are left out", text)
    else:
        text = f"the {right} terms that are due are right, and {wrong} stand where there must be 0"
        yield Suspect("terms that do not belong into the sum", text + rule)


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
    for chosen in groups:
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
            cause = "some terms of the sum are left out"
            if clues.assigns:
                cause, text = "missing accumulation", f"{text} (= for +=)"
            yield cause, text, sign * key == extreme[e.i]


def _ordinal(place: int, size: int) -> str:
    return "first" if place == 0 else "last" if place == size - 1 else f"{place}."


def one_for_all(clues: Clues) -> Iterator[Suspect]:
    """The dy of one output, or of a few, where each element belongs to an output of its own."""
    e, shape = clues.entries, clues.y.shape
    weights = [np.bincount(e.i, values, clues.x.size) for values in (e.claimed, e.right)]
    used, due = (set(e.j[values != 0].tolist()) for values in (e.claimed, e.right))
    alike = np.abs(weights[0] - weights[1]).max(initial=0) <= 10 * clues.tolerance
    if not used < due or not alike or np.bincount(e.i[e.right != 0]).max() > 1:
        return
    for axis, places in enumerate(np.unravel_index(sorted(used), shape)):
        if np.ptp(places) == 0 < shape[axis] - 1:
            yield Suspect(
                "dy of one place used for all",
                f"every element of {clues.name} is given dy at the "
                f"{_ordinal(int(places[0]), shape[axis])} place of {axis_name(axis, clues.y)} of "
                "the output, not at its own",
            )
            return


# ----- other places -------------------------------------------------------------------------------


SAME_PLACE: Relations = {"at its place": np.equal}
SIDES: Relations = {"up to its place": np.greater_equal, "from its place on": np.less_equal}


def otherwise(clues: Clues, cause: str, relations: Relations) -> Iterator[Suspect]:
    """What is true of the outputs that an element belongs to, and not of those it is given.

    It reaches the outputs of its own row, and is given the dy of its own column; or those that come
    after it, and is given those before.
    """
    e, ties = clues.entries, []
    for values in (e.claimed, e.right):
        X = list(flat_places(clues.x.shape, e.i[values != 0]))
        Y = list(flat_places(clues.y.shape, e.j[values != 0]))
        ties.append({
            f"{said} of axis {b}" + (f" (axis {a} of {clues.name})" if a != b else "")
            for a, b in itertools.product(range(len(X)), range(len(Y)))
            for said, relation in relations.items()
            if clues.x.shape[a] == clues.y.shape[b] > 1 and relation(X[a], Y[b]).all()
        })  # fmt: skip
    claimed, right = ties
    if claimed - right and right - claimed:
        due, given = (" and ".join(sorted(t)) for t in (right - claimed, claimed - right))
        text = f"an element of {clues.name} belongs to the outputs {due}, the gradient adds up "
        yield Suspect(cause, f"{text}those {given}")


def exchanged(clues: Clues) -> Iterator[Suspect]:
    """A few weights, as of an interpolation, each of which stands where another belongs."""
    e = clues.entries
    digits = 1e-5 * np.abs(e.right).max()
    pairs = set(zip(np.rint(e.right / digits).tolist(), np.rint(e.claimed / digits).tolist()))
    due, given = {a for a, _ in pairs}, {b for _, b in pairs}
    several = np.bincount(e.i).max() > 1 and 0 not in due
    if several and due == given and len(pairs) == len(due) <= MOST_WEIGHTS:
        told = [f"{b * digits:.4g} for {a * digits:.4g}" for a, b in sorted(pairs) if a != b]
        text = f"in the sum that each element gets stands {', '.join(told)}"
        yield Suspect("weights exchanged", text)


def other_statistics(clues: Clues) -> Iterator[Suspect]:
    """Means, as in a normalisation, over other elements than those that the function took.

    Between two elements of both groups a term is as many times larger as its group is smaller.
    """
    if clues.x.shape != clues.y.shape:
        return
    others = ~np.eye(clues.x.size, dtype=bool)
    told, sizes, patterns = [], [], []
    for M in (clues.J, clues.claimed):
        patterns.append((np.abs(M) > clues.tolerance) & others)
        size = np.unique(1 + patterns[-1].sum(0))
        if len(size) > 1 or size[0] < 2:
            return
        places = np.unravel_index(np.flatnonzero(patterns[-1][:, 0]), clues.x.shape)
        axes = [str(axis) for axis, place in enumerate(places) if place.any()]
        sizes.append(int(size[0]))
        told.append(f", along ax{'is' if len(axes) == 1 else 'es'} {', '.join(axes)}")
    both = patterns[0] & patterns[1]
    gap = np.abs(clues.claimed * sizes[1] - clues.J * sizes[0])[both]
    if sizes[0] != sizes[1] and gap.size and gap.max() <= 10 * clues.tolerance * max(sizes):
        text = f"the function takes its means over {sizes[0]} elements of {clues.name}{told[0]}, "
        text += f"the gradient over {sizes[1]}{told[1]}"
        yield Suspect("means over the wrong axes", text)


def moved(clues: Clues) -> Iterator[Suspect]:
    """Each output's terms are right and stand elsewhere: shifted, or windows at another stride."""
    B, J = (np.where(np.abs(M) > clues.tolerance, M, 0.0) for M in (clues.claimed, clues.J))
    most = np.count_nonzero(J, axis=0).max()
    whole = [j for j, (b, r) in enumerate(zip(B.T, J.T))
             if np.count_nonzero(b) == np.count_nonzero(r) == most]  # fmt: skip
    if len(whole) < max(2, clues.y.size / 4):
        return
    given, due = (np.stack([M[:, j].nonzero()[0] for j in whole]) for M in (B, J))
    j = np.array(whole)[:, None]
    places, right = (np.array(np.unravel_index(at, clues.x.shape)) for at in (given, due))
    shifts = (places - right)[:, :, 0]  # (axes of x, outputs)
    if np.abs(B[given, j] - J[due, j]).max() > clues.tolerance or not shifts.any() or (
        (places - right) != shifts[:, :, None]
    ).any():  # fmt: skip
        return
    Y = flat_places(clues.y.shape, np.array(whole))
    letters = {letter: at for letter, at in zip(LETTERS[1], Y) if np.ptp(at)}
    moves = [rule_of(along, letters) for along in shifts]
    starts = [rule_of(along, letters) for along in right.min(2)]
    if None in moves:
        return
    lines = [(move or {}).keys() - {""} for move in moves]
    if not any(lines):
        padded = clues.y.size > clues.x.size or any(
            "pad" in name and np.any(value) for name, value in clues.settings.items()
        )
        cause = "padding cropped at the wrong side" if padded else "gradient shifted"
        by = tuple(round(move[""]) for move in moves if move is not None)
        yield Suspect(cause, f"analytic = numeric shifted by {by} along the axes of {clues.name}")
        return
    unit = all(
        start is None or abs(start.get(letter, 0) + (move or {})[letter]) == 1
        for move, start, line in zip(moves, starts, lines)
        for letter in line
    )
    cause = "stride ignored" if unit else "wrong stride"
    if any(len(line) > 1 for line in lines):
        cause = "places of the windows mixed up"
    own = "" if None in starts else f", where those of the function begin at [{written_as(starts)}]"
    index = ", ".join(LETTERS[1][: clues.y.ndim])
    text = f"the window of dy[{index}] is moved by [{written_as(moves)}] along the axes of "
    yield Suspect(cause, f"{text}{clues.name}{own}")
