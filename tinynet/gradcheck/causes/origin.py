"""Where the entries of a Jacobian come from: elements of another argument.

For y = x w the terms of dx are elements of w; for a convolution those of dx are elements of the
kernel, those of dw are pixels. As values are distinct, each entry shows which element it is, and
its place follows a rule: dy[r] meets w[a - 2r + 1] in the gradient of x[a]. The rule of B held
against the rule of J says what is wrong, whatever the function is: a kernel that is not flipped,
another stride, channels exchanged.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, flat_places

Found = tuple[str, str] | None
Rule = dict[str, float]  # coefficients by the name of a place; "" is the constant

LETTERS = ("abcdef", "pqrstu")  # of the places in the argument, and in dy
SAMPLE = 600


class Origin(NamedTuple):
    """An argument whose elements the entries are. claimed, right: their flat places, -1 for none;
    None where entries are something else."""

    name: str
    array: np.ndarray
    claimed: np.ndarray | None
    right: np.ndarray | None

    @classmethod
    def of(cls, clues: Clues) -> Origin | None:
        """The origin of the entries of J, if they are elements of one of the other arguments."""
        e = clues.entries
        for place, array in clues.floats.items():
            if place != clues.fault.place and array.size > 2:
                right = _found(e.right, array, clues.tolerance)
                if right is not None:
                    claimed = _found(e.claimed, array, clues.tolerance)
                    return cls(clues.label(place), array, claimed, right)
        return None


def _found(values: np.ndarray, array: np.ndarray, tolerance: float) -> np.ndarray | None:
    """The places of values in an array of distinct values, -1 for 0; None if one is not there."""
    order = np.argsort(array, axis=None)
    known = array.reshape(-1)[order]
    if not (np.diff(known) > 4 * tolerance).all():
        return None
    near = np.searchsorted(known, values - 2 * tolerance).clip(max=known.size - 1)
    fits, zero = np.abs(known[near] - values) <= 2 * tolerance, np.abs(values) <= tolerance
    return np.where(zero, -1, order[near]) if (fits | zero).all() else None


def look(clues: Clues) -> Found:
    """What differs between the rules by which the terms of B and those of J are chosen."""
    origin = Origin.of(clues)
    if origin is None or origin.right is None:
        return None
    if origin.claimed is None:
        return _summed(clues, origin)
    right, claimed = (_rules(clues, origin, at) for at in (origin.right, origin.claimed))
    if None in claimed or None in right or right == claimed:
        return _one_example(clues, origin) or _other_pairs(clues, origin)
    meets = f"in the gradient of {clues.name}{_index(0, clues.x)}, dy{_index(1, clues.y)} meets "
    is_right = f"right is {origin.name}[{written_as(right)}]"
    evidence = meets + f"{origin.name}[{written_as(claimed)}]; {is_right}"
    return _cause(clues, origin, claimed, right), evidence  # type: ignore[arg-type]


def _summed(clues: Clues, origin: Origin) -> Found:
    """Each dy meets the sum of the elements along an axis, of which it should meet one."""
    for axis, size in enumerate(origin.array.shape):
        if size > 1 and origin.array.size > 2 * size:
            totals = origin.array.sum(axis)
            if _found(clues.entries.claimed, totals, clues.tolerance) is not None:
                return f"{origin.name} summed over an axis", (
                    f"in the gradient of {clues.name} dy meets the sum of {origin.name} over axis "
                    f"{axis}, right is one of the {size} elements"
                )
    return None


def _one_example(clues: Clues, origin: Origin) -> Found:
    """The first term that is made of another element than it should be."""
    assert origin.claimed is not None
    assert origin.right is not None
    e = clues.entries
    both = np.flatnonzero((origin.claimed >= 0) & (origin.right >= 0))
    differ = both[origin.claimed[both] != origin.right[both]]
    if not differ.size:
        return None
    k = differ[0]
    taken, due = (
        list(map(int, np.unravel_index(at[k], origin.array.shape)))
        for at in (origin.claimed, origin.right)
    )
    x, dy = (
        list(map(int, np.unravel_index(at[k], shape)))
        for at, shape in ((e.i, clues.x.shape), (e.j, clues.y.shape))
    )
    cause = f"wrong elements of {origin.name}"
    if taken[2:] == due[2:] and origin.array.ndim == 4:
        cause = "groups mixed up" if _grouped(clues) else "channels mixed up"
        if not any(origin.claimed[both] // origin.array[0].size):
            cause = f"{origin.name}[0] used for every channel"
    return cause, (
        f"in the gradient of {clues.name}{x}, dy{dy} meets {origin.name}{taken}, right is "
        f"{origin.name}{due}"
    )


def _grouped(clues: Clues) -> bool:
    """Whether some channels see some filters alone."""
    if any("group" in name for name in clues.settings):
        return True
    channels = {a.shape[1] for a in clues.floats.values() if a.ndim == 4}
    return len(channels) > 1 and clues.y.ndim == 4


def _other_pairs(clues: Clues, origin: Origin) -> Found:
    """The right elements, between channels that have nothing to do with each other."""
    e = clues.entries
    X, Y = (list(flat_places(s, at)) for s, at in ((clues.x.shape, e.i), (clues.y.shape, e.j)))
    if not _grouped(clues) or len(X) < 2 or len(Y) < 2:
        return None
    for a, b in ((1, 1), (0, 1)):
        there = [
            set(zip(X[a][at >= 0].tolist(), Y[b][at >= 0].tolist()))
            for at in (origin.claimed, origin.right)
            if at is not None
        ]
        if len(there) == 2 and there[0] - there[1]:
            c, o = min(there[0] - there[1])
            return "groups mixed up", (
                f"place {c} of axis {a} of {clues.name} gets dy of channel {o}, of which no "
                "output depends on it"
            )
    return None


# ----- rules --------------------------------------------------------------------------------------


def _rules(clues: Clues, origin: Origin, at: np.ndarray) -> list[Rule | None]:
    """For each axis of the array its place in terms of the places in x and in dy."""
    e = clues.entries
    known = np.flatnonzero(at >= 0)
    if known.size > SAMPLE:
        known = np.random.default_rng(0).choice(known, SAMPLE, replace=False)
    places: dict[str, np.ndarray] = {}
    for letters, shape, flat in (
        (LETTERS[0], clues.x.shape, e.i), (LETTERS[1], clues.y.shape, e.j),
    ):  # fmt: skip
        for letter, values in zip(letters, flat_places(shape, flat[known])):
            if np.ptp(values):
                places[letter] = values
    targets = np.unravel_index(at[known], origin.array.shape)
    return [rule_of(target, places) for target in targets]


def rule_of(target: np.ndarray, places: dict[str, np.ndarray]) -> Rule | None:
    """target as a constant plus multiples of up to two places."""
    for count in range(3):
        for names in itertools.combinations(places, count):
            columns = np.stack([*(places[name] for name in names), np.ones(target.size)], axis=1)
            found, *_ = np.linalg.lstsq(columns, target, rcond=None)
            if np.allclose(columns @ found, target, atol=1e-6):
                rule = {name: round(float(c), 4) + 0.0 for name, c in zip((*names, ""), found)}
                return {name: c for name, c in rule.items() if c or not name}
    parts = {f"{n} % {m}": v % m for n, v in places.items() for m in range(2, int(v.max()) + 1)}
    for name, values in parts.items():
        if np.array_equal(values, target):
            return {name: 1.0, "": 0.0}
    return None


def _index(side: int, array: np.ndarray) -> str:
    return f"[{', '.join(LETTERS[side][: array.ndim])}]" if array.ndim else ""


def written_as(rules: list[Rule | None]) -> str:
    texts = []
    for rule in rules:
        assert rule is not None
        text = ""
        for name, c in sorted(rule.items(), key=lambda item: (item[0] == "", item[1] < 0)):
            size = f"{abs(c):g}" if not name else ("" if abs(c) == 1 else f"{abs(c):g}") + name
            if c and text:
                text += (" - " if c < 0 else " + ") + size
            elif c:
                text = ("-" if c < 0 else "") + size
        texts.append(text or "0")
    return ", ".join(texts)


# ----- what the difference is called --------------------------------------------------------------


def _cause(clues: Clues, origin: Origin, claimed: list[Rule], right: list[Rule]) -> str:
    differ = [axis for axis, (a, b) in enumerate(zip(claimed, right)) if a != b]
    image = origin.array.ndim == 4
    for pair in itertools.combinations(differ, 2):
        exchanged = [claimed[pair[0]] == right[pair[1]], claimed[pair[1]] == right[pair[0]]]
        backwards = [_opposite(claimed[pair[0]], right[pair[1]]),
                     _opposite(claimed[pair[1]], right[pair[0]])]  # fmt: skip
        if all(exchanged) or all(backwards):
            if not image:
                return (
                    "transposed weight" if origin.array.ndim == 2 else f"{origin.name} transposed"
                )
            name = "kernel spatially transposed" if pair == (2, 3) else (
                "input and output channels swapped" if pair == (0, 1) else "axes exchanged"
            )  # fmt: skip
            rest = [axis for axis in differ if axis not in pair]
            turned = all(backwards) or (rest and all(
                _opposite(claimed[axis], right[axis]) for axis in rest
            ))  # fmt: skip
            return name + (" and kernel not flipped" if turned else "")
    if all(_opposite(claimed[axis], right[axis]) for axis in differ):
        along = f"ax{'is' if len(differ) == 1 else 'es'} {', '.join(map(str, differ))}"
        if image and min(differ) >= 2 and clues.x.shape[0] == clues.y.shape[0]:
            return f"kernel not flipped along {along} of {origin.name}"
        return f"{origin.name} read backwards along {along}"
    if all(not _varying(claimed[axis]) and _varying(right[axis]) for axis in differ):
        place = {axis: f"{claimed[axis]['']:g}" for axis in differ}
        told = ", ".join(place.get(axis, ":") for axis in range(origin.array.ndim))
        mixed = "groups mixed up: " if _grouped(clues) else ""
        return f"{mixed}{origin.name}[{told}] used for every place"
    return _geometric(clues, origin, {axis: (claimed[axis], right[axis]) for axis in differ})


def _varying(rule: Rule) -> Rule:
    return {name: c for name, c in rule.items() if name}


def _opposite(a: Rule, b: Rule) -> bool:
    one, two = _varying(a), _varying(b)
    return bool(one) and one == {name: -c for name, c in two.items()}


Windows = tuple[float, float, float]  # stride, dilation, and what is taken off


def _geometric(clues: Clues, origin: Origin, rules: dict[int, tuple[Rule, Rule]]) -> str:
    """Stride, dilation or padding: in image = stride * small + dilation * kernel - padding."""
    wrong = f"wrong elements of {origin.name}"
    for axis, pair in rules.items():
        claimed, right = (_windows(clues, origin, axis, rule) for rule in pair)
        if claimed is None or right is None:
            return wrong
        for what, a, b in zip(("stride", "dilation"), claimed, right):
            if abs(a - b) > 0.01:
                return f"{what} ignored" if abs(a - 1) < 0.01 else f"wrong {what}"
    if not any(right[""] for _, right in rules.values()):
        return "gradient shifted"  # of a function without padding
    if clues.x.shape[0] == clues.y.shape[0] and clues.x.ndim == 4:
        return "padding cropped at the wrong side"
    return "padding ignored" if not any(claimed[""] for claimed, _ in rules.values()) else (
        "gradient shifted"
    )  # fmt: skip


def _counts_channels(array: np.ndarray, clues: Clues) -> bool:
    """Whether the array is the kernel beside x, and not the images beside it."""
    if len(array) != len(clues.y) or len(clues.x) != len(clues.y):
        return len(array) != len(clues.y)
    return bool(array.shape[:2] == (clues.x.shape[1], clues.y.shape[1]))


def _windows(clues: Clues, origin: Origin, axis: int, rule: Rule) -> Windows | None:
    """The rule of one axis solved for the place in the image, the largest of the three arrays.

    dy is the small one, or the image of a transposed convolution; then the kernel is the array
    that does not count examples.
    """
    arrays = {"array": origin.array, "x": clues.x, "dy": clues.y}
    terms = {"array": -1.0}
    for who, letters in zip(("x", "dy"), LETTERS):
        for name in filter(letters.__contains__, _varying(rule)):
            terms[who] = rule[name]
    if len(terms) != 3:
        return None
    image = max(arrays, key=lambda who: np.prod(arrays[who].shape[2:] or arrays[who].shape))
    inner = [who for who in ("array", "x") if who != image]
    if len(inner) == 2 and _counts_channels(origin.array, clues):
        inner.reverse()
    kernel = inner[-1]
    small = next(who for who in arrays if who not in (image, kernel))
    scale = -terms[image]
    return terms[small] / scale, terms[kernel] / scale, rule[""] / scale
