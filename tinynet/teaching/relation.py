"""Whether inputs and targets belong together: what similar inputs have, and what is learned."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.teaching.case import Case
from tinynet.teaching.catalogue import finding
from tinynet.teaching.experiment import Way, train
from tinynet.teaching.report import Finding

Examples = tuple[np.ndarray, np.ndarray]
"""Inputs as rows, and their targets."""


def rows(case: Case) -> np.ndarray:
    """The inputs of all batches as rows."""
    x = np.concatenate([x for x, _ in case.usable])
    return x.reshape(len(x), -1)


def examples(case: Case) -> Examples | None:
    """All examples, None where targets are missing, are the same, or are rows of integers."""
    if case.target is None:
        return None
    x, target = rows(case), case.target
    integers = target.ndim > 1 and target.dtype.kind in "iu"
    if integers or case.matches or len(target) != len(x) or (target == target[:1]).all():
        return None
    return x, target.astype(np.int64) if target.dtype.kind == "b" else target


ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "that of the next example": lambda t: np.roll(t, -1, 0),
    "that of the example before": lambda t: np.roll(t, 1, 0),
    "that of the example as far from the end": lambda t: t[::-1],
}
"""Which target an example may have in place of its own, and how it gets its own back."""


def check_relation(case: Case, way: Way) -> Iterator[Finding]:
    """Targets that say no more of the inputs than the same targets shuffled."""
    given = None if "targets-turned" in case.found else examples(case)
    if given is None or len(given[0]) < 100 or closer_than_chance(given) > 2.5:
        return
    for how, turn in () if _is_series(given[0]) else ORDERS.items():
        if closer_than_chance((given[0], turn(given[1]))) > 6:
            seen = "similar inputs do not have similar targets, but they do"
            yield finding("targets-in-another-order", seen=seen, how=how)
            return
    noise = not structured(given[0])
    if noise and len(given[0]) < 200:
        return
    target, rng = given[1], np.random.default_rng(0)
    parts = np.cumsum([len(x) for x, _ in case.usable])[:-1]
    orders = [rng.permutation(len(target)) for _ in range(4)]
    true = train(case, "", adam=1e-2)
    chance = [train(case, "", adam=1e-2, targets=np.split(target[o], parts)).last for o in orders]
    if true.last < np.mean(chance) - 2 * np.std(chance) - 0.02 * way.first:
        return
    if noise:
        case.notes.append(
            "the inputs look like noise, and may be unrelated to the targets: the loss falls no "
            "faster than with these shuffled, so what is learned is learned by heart"
        )
    else:
        mean = np.mean(chance)
        yield finding("inputs-and-targets-unrelated", N=len(target), run=true, chance=mean)


def _is_series(x: np.ndarray) -> bool:
    """Whether each row has numbers of the one before, which the target before may be among."""
    x = x[:, :200].astype(np.float64)
    with np.errstate(all="ignore"):  # of columns that are constant
        between = np.corrcoef(x[:-1].T, x[1:].T)[: x.shape[1], x.shape[1] :]
    return bool(np.nanmax(np.abs(between), initial=0) > 0.7)


def structured(x: np.ndarray) -> bool:
    """Whether columns hang together more than those of noise do."""
    x = x.astype(np.float64)
    x = x[:, x.std(0) > 1e-6 * np.abs(x).max()][:, :200]
    if x.shape[1] < 2:
        return False
    squares = np.square(np.corrcoef(x.T))
    pairs = (squares.size - len(squares)) / 2
    apart = (squares.sum() - len(squares)) / (2 * pairs)
    return bool(apart * (len(x) - 1) > max(3, 1 + 6 * math.sqrt(2 / pairs)))  # deviations of noise


def neighbours(some: Examples, known: Examples | None = None) -> np.ndarray:
    """The places of the five nearest (N, 5): among themselves, or in what is known."""
    x, z = (a[0].astype(np.float64) for a in (some, known or some))
    mean, std = z.mean(0), np.where(z.std(0) > 0, z.std(0), 1)
    x, z = (x - mean) / std, (z - mean) / std
    distance = (x * x).sum(1)[:, None] + (z * z).sum(1) - 2 * x @ z.T
    if known is None:
        np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, 5, axis=1)[:, :5]


def closer_than_chance(some: Examples, known: Examples | None = None) -> float:
    """How much more alike the targets of neighbours are than after shuffling, in deviations.

    Neighbours among themselves, or in what is known.
    """
    (_, t), (_, u) = some, known or some
    nearest = neighbours(some, known)
    t, u = t.reshape(len(t), -1), u.reshape(len(u), -1)
    if t.dtype.kind in "iu":  # one column for each class
        t, u = ((a == np.unique(u)).astype(np.float64) for a in (t, u))

    def unlike(t: np.ndarray) -> float:
        return float(np.mean((t[:, None] - u[nearest]) ** 2))

    rng = np.random.default_rng(0)
    chance = [unlike(t[rng.permutation(len(t))]) for _ in range(30)]
    return float((np.mean(chance) - unlike(t)) / (np.std(chance) or 1))
