"""Maxima: each output is one element of a window of the input, and its dy belongs to that alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, ElsewhereError

Found = tuple[str, str] | None

TIES = "ties counted more than once"
SPREAD = "gradient spread over the window, not given to the winner"
WRONG = "wrong winner of the window"
WRONG_AXIS = "winner looked for along the wrong axis"


def look(clues: Clues) -> Found:
    """What the backward of a maximum or minimum does wrong; None if the function is none."""
    x, y, B = clues.x.reshape(-1), clues.y.reshape(-1), clues.claimed
    assert B is not None
    if x.size < 2 or not np.isin(y, x).all():
        return None
    claimed = np.abs(B) > clues.tolerance
    equal = x[:, None] == y
    windows = _windows(clues)
    if windows is None:
        return None
    wins = windows & equal
    if (wins.sum(0) > 1).any() and np.array_equal(claimed, wins) and np.allclose(B[wins], 1):
        tied = int((wins.sum(0) > 1).sum())
        return TIES, (
            f"analytic gives dy to every element that equals the maximum; {tied} of {y.size} "
            f"outputs have up to {int(wins.sum(0).max())} such"
        )
    single = (claimed.sum(0) == 1).all()
    some = not single and not np.array_equal(claimed, windows)
    if some and (found := _along_other_axes(clues, claimed, windows)):
        return found
    if (wins.sum(0) == 1).all() and (found := _covered(clues, claimed, windows, wins)):
        return found
    if (claimed.sum(0) > 1).all() and np.array_equal(claimed, windows):
        share = B[claimed]
        if np.allclose(share, 1) or np.allclose(share * windows.sum(0)[np.nonzero(claimed)[1]], 1):
            what = "dy" if np.allclose(share, 1) else "dy divided by their number"
            return SPREAD, (
                f"analytic gives {what} to all {_many(windows)} elements of a window, or axis, "
                "not dy to the winner alone"
            )
    return _other_winner(clues, claimed, windows, wins)


def _covered(clues: Clues, claimed: np.ndarray, windows: np.ndarray, wins: np.ndarray) -> Found:
    """Each window written as a whole with =, so that one of those that overlap remains."""
    outputs = np.arange(clues.y.size)
    last = windows & (outputs == np.where(windows, outputs, -1).max(1)[:, None])
    winning = wins & (outputs == np.where(wins, outputs, -1).max(1)[:, None])
    for kept in (last & wins, winning):
        if not np.array_equal(kept, wins) and np.array_equal(claimed, kept):
            return "missing accumulation", (
                "analytic: where windows overlap, the last overwrites the others (= for +=)"
            )
    return None


def _along_other_axes(clues: Clues, claimed: np.ndarray, windows: np.ndarray) -> Found:
    """The elements that are extremes along other axes, of all of x or of those in the window."""
    axes = [axis for axis, n in enumerate(clues.x.shape) if n > 1]
    places = np.indices(clues.x.shape).reshape(clues.x.ndim, -1)
    for count, whole in itertools.product(range(1, len(axes) + 1), (True, False)):
        for chosen in itertools.combinations(axes, count):
            rest = [axis for axis in range(clues.x.ndim) if axis not in chosen]
            line = np.unique(places[rest], axis=1, return_inverse=True)[1].reshape(-1, 1)
            for said, sign in (("largest", 1), ("smallest", -1)):
                among = np.ones_like(windows) if whole else windows
                if np.array_equal(claimed, windows & _extreme(sign * clues.x, among, line)):
                    along = f"ax{'is' if count == 1 else 'es'} {', '.join(map(str, chosen))}"
                    return WRONG_AXIS, (
                        f"analytic gives dy to those elements of the window that are the {said} "
                        f"{'' if whole else 'of it '}along {along}"
                    )
    return None


def _extreme(x: np.ndarray, among: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Which elements are the largest of those that share their line, among those of a column."""
    values = np.where(among, x.reshape(-1, 1), -np.inf)
    largest = np.full((int(line.max()) + 1, among.shape[1]), -np.inf)
    np.maximum.at(largest, line[:, 0], values)
    return np.asarray(values == largest[line[:, 0]])


def _many(windows: np.ndarray) -> str:
    return " or ".join(map(str, np.unique(windows.sum(0))))


def _windows(clues: Clues) -> np.ndarray | None:
    """Which elements could become each output: an element far above (or below) all does."""
    x = np.array(clues.x, np.float64)
    far = 10 * (np.ptp(x) + 1)
    for sign in (1, -1):
        found = np.zeros((x.size, clues.y.size), bool)
        try:
            for i in range(x.size):
                moved = x.copy()
                moved.flat[i] += sign * far
                found[i] = clues.output({clues.fault.place: moved}).reshape(-1) == moved.flat[i]
        except ElsewhereError:
            return None
        if (found.sum(0) > 1).all():
            return found
    return None


def _other_winner(
    clues: Clues, claimed: np.ndarray, windows: np.ndarray, wins: np.ndarray
) -> Found:
    if (claimed.sum(0) > 1).any() or (wins.sum(0) != 1).any() or not claimed.any():
        return None
    x, shape = clues.x.reshape(-1), clues.x.shape
    columns = np.flatnonzero(claimed.any(0))
    given, right = claimed.argmax(0)[columns], wins.argmax(0)[columns]
    if np.array_equal(given, right):
        return None
    inside = [np.flatnonzero(windows[:, j]) for j in columns]
    extreme: dict[str, Callable[[np.ndarray], Any]] = {
        "the smallest element": lambda w: w[np.argmin(x[w])],
        "the largest element": lambda w: w[np.argmax(x[w])],
        "always the first place": lambda w: w[0],
        "always the last place": lambda w: w[-1],
    }
    for said, choose in extreme.items():
        if all(choose(w) == g for w, g in zip(inside, given)):
            return WRONG, f"analytic gives dy to {said} of the window"
    return _unravelled(inside, given, right, shape)


def _unravelled(
    inside: list[np.ndarray], given: np.ndarray, right: np.ndarray, shape: tuple[int, ...]
) -> Found:
    """Winners that are found wrongly from their number in a window, the same way in each."""
    taken: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for window, winner, other in zip(inside, right, given):
        first, due, place = (
            np.array(np.unravel_index(flat, shape)) for flat in (window[0], winner, other)
        )
        taken.setdefault(tuple((due - first).tolist()), set()).add(tuple((place - first).tolist()))
    ways = {due: next(iter(places)) for due, places in taken.items()}
    differ = {due: place for due, place in ways.items() if due != place}
    shifts = {tuple(np.subtract(place, due).tolist()) for due, place in ways.items()}
    if len(shifts) < 2 or any(len(places) > 1 for places in taken.values()):
        return None
    told = ", ".join(f"{due} is taken for {place}" for due, place in sorted(differ.items())[:3])
    turned = all(place == (*due[:-2], *due[:-3:-1]) for due, place in differ.items())
    why = (
        "rows and columns are exchanged"
        if turned
        else "is its number unravelled by the wrong side?"
    )
    return WRONG, f"analytic takes winners for others of the window: {told}: {why}"
