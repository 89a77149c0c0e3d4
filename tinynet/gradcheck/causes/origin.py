"""Where the entries of a Jacobian come from: elements of another argument.

For y = x w the terms of dx are elements of w; for a convolution those of dx are elements of the
kernel, those of dw are pixels. As values are distinct, each entry shows which element it is, and
its place follows a rule: dy[r] meets w[a - 2r + 1] in the gradient of x[a]. The rule of B held
against the rule of J says what is wrong, whatever the function is: a kernel that is not flipped,
another stride, channels exchanged.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, flat_places

Rule = dict[str, float]  # coefficients by the name of a place; "" is the constant

LETTERS = ("abcdef", "pqrstu")  # of the places in the argument, and in dy
SAMPLE = 600


class Origin(NamedTuple):
    """An argument whose elements the entries are; their flat places in it, -1 for none."""

    clues: Clues
    name: str
    array: np.ndarray
    claimed: np.ndarray
    right: np.ndarray


def look(clues: Clues) -> Iterator[Suspect]:
    """What differs between the rules by which the terms of B and those of J are chosen."""
    e, tolerance = clues.entries, clues.tolerance
    for place, array in clues.floats.items():
        if place == clues.fault.place or array.size <= 2:
            continue
        right = _found(e.right, array, tolerance)
        if right is None:
            continue
        claimed = _found(e.claimed, array, tolerance)
        if claimed is not None:
            yield from _compared(Origin(clues, clues.label(place), array, claimed, right))
        return


def _found(values: np.ndarray, array: np.ndarray, tolerance: float) -> np.ndarray | None:
    """The places of values in an array of distinct values, -1 for 0; None if one is not there."""
    order = np.argsort(array, axis=None)
    known = array.reshape(-1)[order]
    if not (np.diff(known) > 4 * tolerance).all():
        return None
    near = np.searchsorted(known, values - 2 * tolerance).clip(max=known.size - 1)
    fits, zero = np.abs(known[near] - values) <= 2 * tolerance, np.abs(values) <= tolerance
    return np.where(zero, -1, order[near]) if (fits | zero).all() else None


def _compared(origin: Origin) -> Iterator[Suspect]:
    """The rules of both, if they are lines; else the first term that is another."""
    clues, name = origin.clues, origin.name
    claimed, right = _rules(origin, origin.claimed), _rules(origin, origin.right)
    if claimed is None or right is None or claimed == right:
        yield from _one_example(origin)
        return
    x, dy = (f"[{', '.join(names[: a.ndim])}]" for names, a in zip(LETTERS, (clues.x, clues.y)))
    text = f"in the gradient of {clues.name}{x}, dy{dy} meets {name}[{written_as(claimed)}]; right "
    yield Suspect(_cause(origin, claimed, right), f"{text}is {name}[{written_as(right)}]")


def _one_example(origin: Origin) -> Iterator[Suspect]:
    """The first term that is made of another element than it should be, or should not be there."""
    clues, e = origin.clues, origin.clues.entries
    name, shapes = origin.name, (clues.x.shape, clues.y.shape)
    differ = (origin.claimed >= 0) & (origin.right >= 0) & (origin.claimed != origin.right)
    if differ.any():
        k = int(differ.argmax())
        taken, due = (_index(at[k], origin.array.shape) for at in (origin.claimed, origin.right))
        x, dy = (_index(at[k], shape) for at, shape in zip((e.i, e.j), shapes))
        cause = f"wrong elements of {name}"
        if taken[2:] == due[2:] and origin.array.ndim == 4:
            cause = "groups mixed up" if _grouped(clues) else "channels mixed up"
        text = f"in the gradient of {clues.name}{x}, dy{dy} meets {name}{taken}, right is "
        yield Suspect(cause, f"{text}{name}{due}")
    elif _grouped(clues) and min(map(len, shapes)) > 1:
        X, Y = np.unravel_index(e.i, shapes[0]), np.unravel_index(e.j, shapes[1])
        for a in (1, 0):  # the channels of x, or its filters
            claimed, right = (
                set(zip(X[a][at >= 0].tolist(), Y[1][at >= 0].tolist()))
                for at in (origin.claimed, origin.right)
            )
            for c, o in sorted(claimed - right)[:1]:
                text = f"place {c} of axis {a} of {clues.name} gets dy of channel {o}, of which no "
                yield Suspect("groups mixed up", f"{text}output depends on it")


def _index(flat: int, shape: tuple[int, ...]) -> list[int]:
    return list(map(int, np.unravel_index(flat, shape)))


def _grouped(clues: Clues) -> bool:
    """Whether some channels see some filters alone."""
    channels = {a.shape[1] for a in clues.floats.values() if a.ndim == 4}
    several = len(channels) > 1 and clues.y.ndim == 4
    return several or any("group" in name for name in clues.settings)


# ----- rules --------------------------------------------------------------------------------------


def _rules(origin: Origin, at: np.ndarray) -> list[Rule] | None:
    """For each axis of the array its place in terms of the places in x and in dy."""
    clues, known = origin.clues, np.flatnonzero(at >= 0)
    if known.size > SAMPLE:
        known = np.random.default_rng(0).choice(known, SAMPLE, replace=False)
    e, places = clues.entries, dict[str, np.ndarray]()
    for letters, shape, flat in zip(LETTERS, (clues.x.shape, clues.y.shape), (e.i, e.j)):
        places |= dict(zip(letters, flat_places(shape, flat[known])))
    places = {letter: values for letter, values in places.items() if np.ptp(values)}
    rules = [rule_of(t, places) for t in np.unravel_index(at[known], origin.array.shape)]
    found = [rule for rule in rules if rule is not None]
    return found if len(found) == len(rules) else None


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
    return next(({n: 1.0, "": 0.0} for n, v in parts.items() if np.array_equal(v, target)), None)


def written_as(rules: Sequence[Rule | None]) -> str:
    """Rules as an index: "p, b, 2r + c - 1"."""
    texts = []
    for rule in rules:
        text = ""
        for name, c in sorted((rule or {}).items(), key=lambda item: (item[0] == "", item[1] < 0)):
            size = "" if name and abs(c) == 1 else f"{abs(c):g}"
            if c:
                sign = "-" if c < 0 else "+" if text else ""
                text += (f" {sign} " if text else sign) + size + name
        texts.append(text or "0")
    return ", ".join(texts)


# ----- what the difference is called --------------------------------------------------------------


def _cause(origin: Origin, claimed: list[Rule], right: list[Rule]) -> str:
    name, image = origin.name, origin.array.ndim == 4
    differ = [axis for axis, (a, b) in enumerate(zip(claimed, right)) if a != b]
    backwards = {axis for axis in differ if _opposite(claimed[axis], right[axis])}
    for a, b in itertools.combinations(differ, 2):
        crossed = (claimed[a], right[b]), (claimed[b], right[a])
        if all(one == other or _opposite(one, other) for one, other in crossed):
            return f"axes {a} and {b} of {name} exchanged" if image else f"{name} transposed"
    if len(backwards) == len(differ):
        along = f"ax{'is' if len(differ) == 1 else 'es'} {', '.join(map(str, differ))}"
        if image and min(differ) >= 2 and len(origin.clues.x) == len(origin.clues.y):
            return f"kernel not flipped along {along} of {name}"
        return f"{name} read backwards along {along}"
    if not any(_varying(claimed[axis]) for axis in differ):
        places = [f"{rule['']:g}" if axis in differ else ":" for axis, rule in enumerate(claimed)]
        mixed = "groups mixed up: " if _grouped(origin.clues) else ""
        return f"{mixed}{name}[{', '.join(places)}] used for every place"
    return _geometric(origin, {axis: (claimed[axis], right[axis]) for axis in differ})


def _varying(rule: Rule) -> Rule:
    return {name: c for name, c in rule.items() if name}


def _opposite(a: Rule, b: Rule) -> bool:
    one, two = _varying(a), _varying(b)
    return bool(one) and one == {name: -c for name, c in two.items()}


def _geometric(origin: Origin, rules: dict[int, tuple[Rule, Rule]]) -> str:
    """Stride, dilation or padding: in image = stride * small + dilation * kernel - padding."""
    x, y = origin.clues.x, origin.clues.y
    for pair in rules.values():
        claimed, right = (_windows(origin, rule) for rule in pair)
        if claimed is None or right is None:
            return f"wrong elements of {origin.name}"
        for what, a, b in zip(("stride", "dilation"), claimed, right):
            if abs(a - b) > 0.01:
                return f"{what} ignored" if abs(a - 1) < 0.01 else f"wrong {what}"
    if any(right[""] for _, right in rules.values()):  # of a function with padding
        if len(x) == len(y) and x.ndim == 4:
            return "padding cropped at the wrong side"
        if not any(claimed[""] for claimed, _ in rules.values()):
            return "padding ignored"
    return "gradient shifted"


def _windows(origin: Origin, rule: Rule) -> tuple[float, float] | None:
    """Stride and dilation: the rule of one axis solved for the place in the image.

    The image is the largest of the three arrays. dy is the small one, or the image of a transposed
    convolution; then the kernel is the array that does not count examples.
    """
    x, y, array = origin.clues.x, origin.clues.y, origin.array
    arrays, terms = {"array": array, "x": x, "dy": y}, {"array": -1.0}
    for who, letters in zip(("x", "dy"), LETTERS):
        for name in _varying(rule).keys() & set(letters):
            terms[who] = rule[name]
    if len(terms) != 3:
        return None
    image = max(arrays, key=lambda who: np.prod(arrays[who].shape[2:] or arrays[who].shape))
    is_kernel = len(array) != len(y)
    if len(x) == len(y) == len(array):
        is_kernel = array.shape[:2] == (x.shape[1], y.shape[1])
    kernel = {"array": "x", "x": "array"}.get(image, "array" if is_kernel else "x")
    small = next(who for who in arrays if who not in (image, kernel))
    return -terms[small] / terms[image], -terms[kernel] / terms[image]
