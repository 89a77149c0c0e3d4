"""Maxima: each output is one element of a window of the input, and its dy belongs to that alone."""

from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect

WRONG = "wrong winner of the window"


def look(clues: Clues) -> Iterator[Suspect]:
    """What the backward of a maximum or minimum may do wrong; nothing if the function is none."""
    x, y = clues.x.reshape(-1), clues.y.reshape(-1)
    if x.size < 2 or not np.isin(y, x).all() or (windows := _windows(clues)) is None:
        return
    wins = windows & (x[:, None] == y)
    sizes, tied, outputs = windows.sum(0), wins.sum(0), np.arange(y.size)
    if (tied > 1).any():
        yield Suspect(
            "ties counted more than once",
            f"analytic gives dy to every element that equals the maximum; {(tied > 1).sum()} of "
            f"{y.size} outputs have up to {tied.max()} such",
            wins * 1.0,
        )
    for what, share in (("dy", windows * 1.0), ("dy divided by their number", windows / sizes)):
        yield Suspect(
            "gradient spread over the window, not given to the winner",
            f"analytic gives {what} to all {' or '.join(map(str, np.unique(sizes)))} elements of a "
            "window, or axis, not dy to the winner alone",
            share,
        )
    if (tied == 1).all():
        for among in (windows, wins):
            said = "analytic: where windows overlap, the last overwrites the others (= for +=)"
            last = outputs == np.where(among, outputs, -1).max(1, keepdims=True)
            yield Suspect("missing accumulation", said, (last & wins) * 1.0)
        for said, rank in (
            ("the smallest element", -x), ("the largest element", x),
            ("always the first place", -np.arange(x.size)),
            ("always the last place", np.arange(x.size)),
        ):  # fmt: skip
            given = np.where(windows, rank[:, None], -np.inf).argmax(0)
            said = f"analytic gives dy to {said} of the window"
            yield Suspect(WRONG, said, np.eye(x.size)[:, given])
        yield from _mapped(clues, windows, wins)


def _windows(clues: Clues) -> np.ndarray | None:
    """Which elements could become each output: an element far above (or below) all does."""
    x = np.array(clues.x, np.float64)
    far = 10 * (np.ptp(x) + 1)
    for sign in (1, -1):
        found = np.zeros((x.size, clues.y.size), bool)
        for i in range(x.size):
            moved = x.copy()
            moved.flat[i] += sign * far
            found[i] = clues.output(moved).reshape(-1) == moved.flat[i]
        if found.any(0).all() and (found.sum(0) > 1).any():
            return found
    return None


def _mapped(clues: Clues, windows: np.ndarray, wins: np.ndarray) -> Iterator[Suspect]:
    """Winners that are found wrongly from their number in a window, the same way in each."""
    claimed, shape = np.abs(clues.claimed) > clues.tolerance, clues.x.shape
    columns = np.flatnonzero(claimed.any(0))
    if (claimed.sum(0) > 1).any() or not columns.size:
        return
    taken: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for j in columns:
        first, due, place = (
            np.array(np.unravel_index(M[:, j].argmax(), shape)) for M in (windows, wins, claimed)
        )
        taken.setdefault(tuple((due - first).tolist()), set()).add(tuple((place - first).tolist()))
    ways = {due: next(iter(places)) for due, places in taken.items()}
    shifts = {tuple(np.subtract(place, due).tolist()) for due, place in ways.items()}
    if len(shifts) < 2 or any(len(places) > 1 for places in taken.values()):
        return
    differ = sorted((due, place) for due, place in ways.items() if due != place)
    told = ", ".join(f"{due} is taken for {place}" for due, place in differ[:3])
    turned = all(place == (*due[:-2], *due[:-3:-1]) for due, place in differ)
    why = "is its number unravelled by the wrong side?"
    why = "rows and columns are exchanged" if turned else why
    yield Suspect(WRONG, f"analytic takes winners for others of the window: {told}: {why}")
