"""Which terms of the sum J dy the backward adds up: some are left out, or stand in other places.

All looks here compare the two Jacobians entry by entry, and ask for the rule behind the difference
in terms of the places: of the output's axes, of the input's, of both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, Suspect, axis_name, flat_places
from tinynet.gradcheck.causes.hand import Hand
from tinynet.gradcheck.causes.origin import LETTERS, Origin, Rule, rule_of, written_as

Found = tuple[str, str] | None

MISSING = "missing accumulation"
AXIS = "summed over the wrong axis"


def left_out(clues: Clues) -> Found:
    """Every term that is there is right, and some are not there."""
    e = clues.entries
    several = np.bincount(e.i).max() > 1
    if e.wrong.all():
        return None
    if (np.abs(e.claimed[e.wrong]) > clues.tolerance).any():
        return _too_many(clues) if several or clues.y.size == 1 else None
    kept, Y = ~e.wrong, list(flat_places(clues.y.shape, e.j))
    if not several:
        return _all_but_a_place(clues, kept)
    return (
        _one_slice(clues, kept, Y)
        or _overwritten(clues, kept, Y)
        or _all_but_a_place(clues, kept)
        or _other_rule(clues, kept)
    )


def _too_many(clues: Clues) -> Found:
    """All terms are there, and some that do not belong."""
    e = clues.entries
    if (np.abs(e.right[e.wrong]) > clues.tolerance).any():
        return None
    rule = where.rule(e.wrong, Hand(clues, e.i, e.j))
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
                return _name_of_missing_sum(clues), (
                    f"analytic has only what comes from the {place} place of {which} of the output "
                    f"{clues.y.shape}, not the sum over {which}"
                )
    return None


def _ordinal(place: int, size: int) -> str:
    return "first" if place == 0 else "last" if place == size - 1 else f"{place}."


def _name_of_missing_sum(clues: Clues) -> str:
    """The usual name of a missing sum: of a bias, of a broadcast argument, or neither."""
    shapes = [a.shape for a in clues.floats.values()]
    try:
        elementwise = np.broadcast_shapes(*shapes) == clues.y.shape
    except ValueError:
        elementwise = False
    if elementwise and clues.x.shape != clues.y.shape:
        return "missing sum over a broadcast axis"
    if clues.x.ndim == 1 and clues.y.ndim > 1 and np.allclose(clues.J, clues.J != 0, atol=1e-6):
        return "bias gradient missing an axis"
    return "missing sum over an axis"


def _all_but_a_place(clues: Clues, kept: np.ndarray) -> Found:
    """A loop that starts late or stops early; a row that is never written."""
    e = clues.entries
    outputs = {name: p for name, p in Hand(clues, e.i, e.j).places.items() if "the output" in name}
    for name, places in outputs.items():
        gone = np.unique(places[~kept])
        if len(gone) == 1 and np.array_equal(places == gone[0], ~kept):
            place = _ordinal(int(gone[0]), int(places.max()) + 1)
            return "part of the output gradient left out", (
                f"analytic has everything but what comes from the {place} place of {name}"
            )
    for axis, places in enumerate(flat_places(clues.x.shape, e.i)):
        gone = np.unique(places[~kept])
        if len(gone) < clues.x.shape[axis] and np.array_equal(np.isin(places, gone), ~kept):
            told = ", ".join(map(str, gone))
            last = ", the last," if gone.tolist() == [clues.x.shape[axis] - 1] else ""
            return "part of the gradient left zero", (
                f"analytic = numeric but for place {told}{last} of {axis_name(axis, clues.x)} of "
                f"{clues.name}, where it is 0"
            )
    return None


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


def _other_rule(clues: Clues, kept: np.ndarray) -> Found:
    e = clues.entries
    rule = where.rule(~kept, Hand(clues, e.i, e.j), (("the term itself", e.right),))
    places = taps(clues, ~kept)
    said = places or rule
    evidence = (
        f"the terms that are there are right, {int((~kept).sum())} of {kept.size} are missing"
    )
    return "some terms of the sum are left out", evidence + (f": {said}" if said else "")


def taps(clues: Clues, chosen: np.ndarray) -> str:
    """The elements of another argument that the chosen entries are made of, if no other is."""
    origin = Origin.of(clues)
    if origin is None or origin.right is None:
        return ""
    shape = origin.array.shape
    for axis, places in enumerate(np.unravel_index(origin.right, shape)):
        some = set(places[chosen].tolist())
        if not some & set(places[~chosen].tolist()):
            told = ", ".join(map(str, sorted(some)))
            return f"those with place {told} of axis {axis} of {origin.name}"
    flat = np.unique(origin.right[chosen])
    if len(flat) <= np.prod(shape) / 2 and not np.isin(origin.right[~chosen], flat).any():
        last = {tuple(int(p) for p in np.unravel_index(f, shape)[-2:]) for f in flat}
        told = "; ".join(", ".join(map(str, at)) for at in sorted(last))
        return f"those with {origin.name}[..., {told}], which is never met"
    return ""


# ----- other places -------------------------------------------------------------------------------


def other_axis(clues: Clues) -> Found:
    """An element reaches the outputs of its own row, and is given the dy of its own column."""
    e = clues.entries
    right = _tied(clues, np.abs(e.right) > clues.tolerance)
    claimed = _tied(clues, np.abs(e.claimed) > clues.tolerance)
    if right <= claimed or not (claimed - right):
        return None
    return AXIS, (
        f"an element of {clues.name} belongs to the outputs {_ties(right, clues)}, the gradient "
        f"adds up those {_ties(claimed - right, clues)}"
    )


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


def _tied(clues: Clues, chosen: np.ndarray) -> set[tuple[int, int]]:
    """The axes (of x, of y) along which input and output have the same place in these entries."""
    e = clues.entries
    X = list(flat_places(clues.x.shape, e.i[chosen]))
    Y = list(flat_places(clues.y.shape, e.j[chosen]))
    return {
        (a, b)
        for a, b in itertools.product(range(len(X)), range(len(Y)))
        if clues.x.shape[a] == clues.y.shape[b] > 1 and np.array_equal(X[a], Y[b])
    }


def _ties(pairs: set[tuple[int, int]], clues: Clues) -> str:
    said = [
        f"at its place of axis {b}" + (f" (axis {a} of {clues.name})" if a != b else "")
        for a, b in sorted(pairs)
    ]
    return " and ".join(said) or "anywhere"


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
        return _dilated(extent) if most > 1 else None
    Y = list(flat_places(clues.y.shape, np.array([column[0] for column in columns])))
    return _displaced(clues, corner[0], corner[1], Y)


def _dilated(extent: list[np.ndarray]) -> Found:
    claimed, right = extent[0].max(0), extent[1].max(0)
    return "dilation ignored" if (claimed < right).any() else "wrong dilation", (
        f"each output reaches over {(claimed + 1).tolist()} places along the axes in the gradient, "
        f"over {(right + 1).tolist()} in the function, as many of them"
    )


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


# ----- the right numbers in another order, or a dy that is read in another ------------------------


def reordered(clues: Clues) -> Iterator[Suspect]:
    """The right gradient transposed, reversed, shifted, misread."""
    shape = clues.x.shape
    places = np.arange(clues.x.size).reshape(shape)

    def suspect(cause: str, how: str, order: np.ndarray, keep: np.ndarray | bool = True) -> Suspect:
        """order: for each place of the result, the flat place it was taken from."""
        return Suspect(
            cause, f"analytic = numeric {how}",
            lambda dy: np.where(keep, clues.pulled(dy).reshape(-1)[order], 0.0),
        )  # fmt: skip

    orders = list(itertools.permutations(range(len(shape))))[1:] if len(shape) <= 4 else []
    for order in orders:
        if tuple(shape[a] for a in order) == shape and places.size > 1:
            how = f"with its axes in the order {order}"
            yield suspect("gradient transposed", how, places.transpose(order))
    for count in range(1, min(len(shape), 3) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            how = f"reversed along {'axis' if count == 1 else 'axes'} {', '.join(map(str, axes))}"
            yield suspect("gradient flipped", how, np.flip(places, axes))
    for axis, size in enumerate(shape):
        for name, reduce in (("mean", np.mean), ("sum", np.sum)):
            yield Suspect(
                f"{name} taken along an axis",
                f"analytic = the {name} of numeric along axis {axis}",
                lambda dy, axis=axis, reduce=reduce: (  # type: ignore[misc]
                    np.broadcast_to(reduce(clues.pulled(dy), axis, keepdims=True), shape)
                ),
            )  # fmt: skip
        for k in range(1, min(size, 8)):
            for shift in {k, -k}:
                how = f"shifted by {shift} along axis {axis}"
                rolled = np.roll(places, shift, axis)
                yield suspect("gradient shifted", how + ", round the end", rolled)
                kept = np.arange(size) >= k if shift > 0 else np.arange(size) < size - k
                at = kept.reshape([-1 if i == axis else 1 for i in range(len(shape))])
                yield suspect("gradient shifted", how, rolled, at)
    for order in orders:
        turned = tuple(shape[i] for i in order)
        if turned != shape and places.size > max(shape):
            how = f"with its axes in the order {order}, read row by row into {shape}"
            forth = places.transpose(order).reshape(shape)
            yield suspect("reshape used for transpose", how, forth)
            how = f"read row by row into {turned}, then transposed to {shape}"
            back = places.reshape(turned).transpose(np.argsort(order))
            yield suspect("reshape used for transpose", how, back)


def elsewhere(clues: Clues) -> Found:
    """The right numbers in other places, or from other outputs, in no order that has a name."""
    assert clues.claimed is not None
    name, x, y = clues.name, clues.x, clues.y
    for rows, what, shape in ((True, name, x.shape), (False, "dy", y.shape)):
        B, J = (M if rows else M.T for M in (clues.claimed, clues.J))
        B, J = (np.rint(M / (1e-5 * np.abs(M).max())).astype(int) for M in (B, J))
        if len(B) < 3 or sorted(B.tolist()) != sorted(J.tolist()):
            continue
        k = int(np.flatnonzero((B != J).any(1))[0])
        there = int(np.flatnonzero((B[k] == J).all(1))[0])
        places = [list(map(int, np.unravel_index(p, shape))) for p in (k, there)]
        return "the right numbers in the wrong places", (
            f"{what}{places[0]} stands where {what}{places[1]} belongs: is a transpose missing, or "
            "a reshape in place of one?"
        )
    return None


def misread(clues: Clues) -> Iterator[Suspect]:
    """The right gradient for a dy that is read in another order, or added up too early."""
    shape = clues.y.shape

    def suspect(cause: str, how: str, change: object) -> Suspect:
        assert callable(change)
        return Suspect(cause, f"analytic {how}", lambda dy: clues.pulled(change(dy)))

    for order in list(itertools.permutations(range(len(shape))))[1:] if len(shape) <= 4 else ():
        turned = tuple(shape[a] for a in order)
        if turned == shape:
            yield suspect(
                "output gradient transposed", f"reads dy with its axes in the order {order}",
                lambda dy, order=order: dy.transpose(order),
            )  # fmt: skip
        else:
            yield suspect(
                "output gradient reshaped where it must be transposed",
                f"reads dy as {turned} row by row, where its axes {order} must change places",
                lambda dy, order=order, turned=turned: (
                    dy.reshape(turned).transpose(np.argsort(order))
                ),
            )  # fmt: skip
    for axis, size in enumerate(shape):
        if size > 1:
            yield suspect(
                "output gradient reversed", f"reads dy backwards along axis {axis}",
                lambda dy, axis=axis: np.flip(dy, axis),
            )  # fmt: skip
            for name, reduce in (("sum", np.sum), ("mean", np.mean)):
                yield suspect(
                    "output gradient summed too early",
                    f"has the {name} of dy along axis {axis} in place of dy",
                    lambda dy, axis=axis, reduce=reduce: np.broadcast_to(
                        reduce(dy, axis=axis, keepdims=True), dy.shape
                    ),
                )
    if np.prod(shape) > 1:
        yield suspect(
            "output gradient summed too early", "has sum(dy) everywhere",
            lambda dy: np.full(dy.shape, dy.sum()),
        )  # fmt: skip


def not_transposed(clues: Clues) -> Iterator[Suspect]:
    """J dy in place of J^T dy: the forward map once more, where its transpose belongs."""
    if clues.x.size == clues.y.size > 1:
        yield Suspect(
            "Jacobian not transposed",
            "analytic = J dy, the derivative of the forward pass applied to dy, not J^T dy",
            lambda dy: clues.J.T @ dy.reshape(-1),
        )
