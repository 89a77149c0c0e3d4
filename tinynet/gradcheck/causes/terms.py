"""Which terms of the sum J dy the backward adds up: some are left out, or stand in other places.

All looks here compare the two Jacobians entry by entry, and ask for the rule behind the difference
in terms of the places: of the output's axes, of the input's, of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, axis_name, flat_places
from tinynet.gradcheck.causes.hand import Hand
from tinynet.gradcheck.causes.origin import LETTERS, Rule, rule_of, written_as

Found = tuple[str, str] | None
Relations = Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]
Tie = tuple[int, int, str]  # an axis of x, one of the output, and how their places compare

MOST_WEIGHTS = 9
MISSING = "missing accumulation"


def left_out(clues: Clues) -> Found:
    """Every term that is there is right, and some are not there."""
    e = clues.entries
    several = np.bincount(e.i).max() > 1
    if e.wrong.all() or not (several or clues.y.size == 1):
        return None
    if (np.abs(e.claimed[e.wrong]) > clues.tolerance).any():
        return _too_many(clues)
    kept, Y = ~e.wrong, list(flat_places(clues.y.shape, e.j))
    return _one_slice(clues, kept, Y) or _overwritten(clues, kept, Y) or _other_rule(clues, kept)


def _too_many(clues: Clues) -> Found:
    """All terms are there, and some that do not belong."""
    e = clues.entries
    if (np.abs(e.right[e.wrong]) > clues.tolerance).any():
        return None
    rule = where.confirmed(clues, _rule)
    return "terms that do not belong into the sum", (
        f"the {int((~e.wrong).sum())} terms that are due are right, and {int(e.wrong.sum())} stand "
        "where there must be 0" + (f": {rule}" if rule else "")
    )


def _one_slice(clues: Clues, kept: np.ndarray, Y: list[np.ndarray]) -> Found:
    """A sum over some axes of the output that takes one place of them."""
    axes = [a for a, n in enumerate(clues.y.shape) if n > 1]
    for count in range(1, len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            at = [int(Y[a][kept][0]) for a in chosen]
            inside = np.all([Y[a] == p for a, p in zip(chosen, at)], axis=0)
            if np.array_equal(inside, kept):
                which = " and ".join(axis_name(a, clues.y) for a in chosen)
                place = ", ".join(_ordinal(p, clues.y.shape[a]) for a, p in zip(chosen, at))
                return "missing sum over an axis", (
                    f"analytic has only what comes from the {place} place of {which} of the output "
                    f"{clues.y.shape}, not the sum over {which}"
                )
    return None


def _ordinal(place: int, size: int) -> str:
    return "first" if place == 0 else "last" if place == size - 1 else f"{place}."


def _overwritten(clues: Clues, kept: np.ndarray, Y: list[np.ndarray]) -> Found:
    """Terms written with = in place of +=: of the outputs an element is in, one counts."""
    e = clues.entries
    if clues.x.shape == clues.y.shape and np.array_equal(kept, e.i == e.j):
        return "Jacobian without its off-diagonal part", (
            "analytic = dy_i * dy_i/dx_i alone, and y_i depends on other elements of x too"
        )
    axes = [a for a, n in enumerate(clues.y.shape) if n > 1]
    for count in range(len(axes), 0, -1):
        for chosen in itertools.combinations(axes, count):
            shape = tuple(clues.y.shape[a] for a in chosen)
            key = np.ravel_multi_index([Y[a] for a in chosen], shape)
            for said, best in (("last", np.maximum), ("first", np.minimum)):
                extreme = np.full(clues.x.size, -1 if best is np.maximum else clues.y.size)
                best.at(extreme, e.i, key)
                if np.array_equal(key == extreme[e.i], kept):
                    return MISSING, (
                        f"analytic: of the outputs that an element of {clues.name} is in, the "
                        f"{said} along axes {', '.join(map(str, chosen))} counts alone (= for +=)"
                    )
    return None


def _rule(clues: Clues) -> str:
    """Which terms are wrong."""
    e = clues.entries
    more = (("the term itself", e.right),) if e.right.all() else ()
    return where.rule(e.wrong, Hand(clues, e.i, e.j), more)


def _other_rule(clues: Clues, kept: np.ndarray) -> Found:
    """A loop that starts late or stops early, a row that is never written, a missing tap."""
    rule = where.confirmed(clues, _rule)
    evidence = (
        f"the terms that are there are right, {int((~kept).sum())} of {kept.size} are missing"
    )
    return "some terms of the sum are left out", evidence + (f": {rule}" if rule else "")


def one_for_all(clues: Clues) -> Found:
    """The dy of one output, or of a few, where each element belongs to an output of its own."""
    e = clues.entries
    weights = [np.bincount(e.i, values, clues.x.size) for values in (e.claimed, e.right)]
    used, due = (set(e.j[values != 0].tolist()) for values in (e.claimed, e.right))
    alike = np.abs(weights[0] - weights[1]).max(initial=0) <= 10 * clues.tolerance
    if not used < due or not alike or np.bincount(e.i[e.right != 0]).max() > 1:
        return None
    for axis, places in enumerate(np.unravel_index(sorted(used), clues.y.shape)):
        if np.ptp(places) == 0 < clues.y.shape[axis] - 1:
            return "dy of one place used for all", (
                f"every element of {clues.name} is given dy at the "
                f"{_ordinal(int(places[0]), clues.y.shape[axis])} place of "
                f"{axis_name(axis, clues.y)} of the output, not at its own"
            )
    return None


# ----- other places -------------------------------------------------------------------------------


def other_axis(clues: Clues) -> Found:
    """An element reaches the outputs of its own row, and is given the dy of its own column."""
    return _otherwise(clues, "summed over the wrong axis", {"at its place": np.equal})


def other_side(clues: Clues) -> Found:
    """An element reaches the outputs that come after it, and is given the dy of those before."""
    ways = {"up to its place": np.greater_equal, "from its place on": np.less_equal}
    return _otherwise(clues, "summed from the wrong side", ways)


def _otherwise(clues: Clues, cause: str, relations: Relations) -> Found:
    """What is true of the outputs that an element belongs to, and of those that it is given."""
    e = clues.entries
    right = _tied(clues, np.abs(e.right) > clues.tolerance, relations)
    claimed = _tied(clues, np.abs(e.claimed) > clues.tolerance, relations)
    if right <= claimed or not (claimed - right):
        return None
    return cause, (
        f"an element of {clues.name} belongs to the outputs {_ties(right - claimed, clues)}, the "
        f"gradient adds up those {_ties(claimed - right, clues)}"
    )


def exchanged(clues: Clues) -> Found:
    """A few weights, as of an interpolation, each of which stands where another belongs."""
    e = clues.entries
    digits = 1e-5 * np.abs(e.right).max()
    pairs = set(zip(np.rint(e.right / digits).tolist(), np.rint(e.claimed / digits).tolist()))
    due, given = {a for a, _ in pairs}, {b for _, b in pairs}
    several = np.bincount(e.i).max() > 1 and 0 not in due
    if not several or due != given or not len(pairs) == len(due) <= MOST_WEIGHTS:
        return None
    told = ", ".join(f"{b * digits:.4g} for {a * digits:.4g}" for a, b in sorted(pairs) if a != b)
    return "weights exchanged", f"in the sum that each element gets stands {told}"


def other_statistics(clues: Clues) -> Found:
    """Means, as in a normalisation, over other elements than those that the function took.

    Between two elements of both groups a term is as many times larger as its group is smaller.
    """
    if clues.x.shape != clues.y.shape or clues.claimed is None:
        return None
    others = ~np.eye(clues.x.size, dtype=bool)
    patterns = [(np.abs(M) > clues.tolerance) & others for M in (clues.claimed, clues.J)]
    sizes = [np.unique(1 + pattern.sum(0)) for pattern in patterns]
    if any(len(size) > 1 or size[0] < 2 for size in sizes) or sizes[0] == sizes[1]:
        return None
    given, due = (int(size[0]) for size in sizes)
    both = patterns[0] & patterns[1]
    gap = np.abs(clues.claimed * given - clues.J * due)[both]
    if not gap.size or gap.max() > 10 * clues.tolerance * max(given, due):
        return None
    return "means over the wrong axes", (
        f"the function takes its means over {due} elements of {clues.name}"
        f"{_spread(clues, patterns[1])}, the gradient over {given}{_spread(clues, patterns[0])}"
    )


def _spread(clues: Clues, pattern: np.ndarray) -> str:
    """The axes over which the elements that the first output depends on are spread."""
    places = np.unravel_index(np.flatnonzero(pattern[:, 0]), clues.x.shape)
    axes = [str(axis) for axis, place in enumerate(places) if place.any()]
    return f", along ax{'is' if len(axes) == 1 else 'es'} {', '.join(axes)}"


def _tied(clues: Clues, chosen: np.ndarray, relations: Relations) -> set[Tie]:
    """How the places of input and output along two axes compare in all these entries."""
    e = clues.entries
    X = list(flat_places(clues.x.shape, e.i[chosen]))
    Y = list(flat_places(clues.y.shape, e.j[chosen]))
    return {
        (a, b, said)
        for a, b in itertools.product(range(len(X)), range(len(Y)))
        for said, relation in relations.items()
        if clues.x.shape[a] == clues.y.shape[b] > 1 and relation(X[a], Y[b]).all()
    }


def _ties(ties: set[Tie], clues: Clues) -> str:
    return " and ".join(
        f"{said} of axis {b}" + (f" (axis {a} of {clues.name})" if a != b else "")
        for a, b, said in sorted(ties)
    )


def moved(clues: Clues) -> Found:
    """Each output's terms are right and stand elsewhere: shifted, or windows at another stride."""
    B, J = clues.claimed, clues.J
    assert B is not None
    columns: list[tuple[int, np.ndarray, np.ndarray]] = []
    for j in range(clues.y.size):
        there = [np.flatnonzero(np.abs(M[:, j]) > clues.tolerance) for M in (B, J)]
        if len(there[0]) == len(there[1]) > 0:
            columns.append((j, there[0], there[1]))
    most = max((len(right) for _, _, right in columns), default=0)
    columns = [column for column in columns if len(column[2]) == most]
    if len(columns) < max(2, clues.y.size / 4) or not all(
        np.abs(B[claimed, j] - J[right, j]).max() <= clues.tolerance
        for j, claimed, right in columns
    ):
        return None
    shape = clues.x.shape
    corner, extent = [], []
    for which in (1, 2):
        at = [np.stack(np.unravel_index(np.asarray(c[which]), shape)) for c in columns]
        corner.append(np.array([a.min(1) for a in at]))
        extent.append(np.array([np.ptp(a, axis=1) for a in at]))
    if (extent[0] != extent[1]).any():
        return None
    Y = list(flat_places(clues.y.shape, np.array([column[0] for column in columns])))
    return _displaced(clues, corner[0], corner[1], Y)


def _displaced(clues: Clues, claimed: np.ndarray, right: np.ndarray, Y: list[np.ndarray]) -> Found:
    """Where windows begin in the gradient and in the function, as lines over the output's axes."""
    shift = claimed - right
    if not shift.any():
        return None
    places = {letter: at for letter, at in zip(LETTERS[1], Y) if np.ptp(at)}
    moves = [rule_of(along, places) for along in shift.T]
    starts = [rule_of(along, places) for along in right.T]
    if None in moves:
        return None
    written = [rule[""] for rule in moves if rule is not None]
    if not any(len(rule or ()) > 1 for rule in moves):
        padded = clues.y.size > clues.x.size or any(
            "pad" in name and np.any(value) for name, value in clues.settings.items()
        )
        name = "padding cropped at the wrong side" if padded else "gradient shifted"
        by = tuple(map(round, written))
        return name, f"analytic = numeric shifted by {by} along the axes of {clues.name}"
    one = [set(rule or ()) - {""} for rule in moves]
    name = "places of the windows mixed up" if any(len(names) > 1 for names in one) else (
        "stride ignored" if all(_unit(a, b) for a, b in zip(moves, starts)) else "wrong stride"
    )  # fmt: skip
    own = "" if None in starts else f", where those of the function begin at [{written_as(starts)}]"
    return name, (
        f"the window of dy[{', '.join(LETTERS[1][: clues.y.ndim])}] is moved by "
        f"[{written_as(moves)}] along the axes of {clues.name}{own}"
    )


def _unit(move: Rule | None, start: Rule | None) -> bool:
    """Whether windows that are moved so stand 1 apart, as far as is known."""
    return start is None or move is None or all(
        abs(start.get(name, 0) + c) == 1 for name, c in move.items() if name
    )  # fmt: skip
