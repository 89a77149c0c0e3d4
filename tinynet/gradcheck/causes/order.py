"""The right numbers in another order, from other outputs, or of another argument."""

import itertools
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect

RESHAPED = "reshaped where it must be transposed"
MOST_SHIFTED = 8


def of_an_argument(clues: Clues) -> Iterator[Suspect]:
    """The gradient of another argument, or the output's own."""
    for place, J in clues.fault.others.items():
        if place != clues.fault.place and clues.floats[place].size == clues.x.size:
            how = f"analytic = the numeric gradient of {clues.label(place)}"
            yield Suspect("gradient of the wrong argument returned", how, J)
    if clues.y.shape == clues.x.shape:
        unchanged = "output gradient returned unchanged"
        yield Suspect(unchanged, "analytic = dy", lambda dy: dy)
        if clues.y.ndim == 2 and clues.y.shape[0] == clues.y.shape[1]:
            yield Suspect(unchanged, "analytic = dy^T", lambda dy: dy.T)


def look(clues: Clues) -> Iterator[Suspect]:
    """The right gradient in another order; the other way round, if y is a permutation of x."""
    copies = np.allclose(clues.J, clues.J > 0.5, rtol=0, atol=1e-6)
    if copies and clues.x.size == clues.y.size and clues.explains(clues.J.T):
        yield from not_transposed(clues)
        return
    for name, how, order in orders(clues.x.shape):
        left = order.reshape(-1, 1) >= 0
        J = np.where(left, clues.J[order.reshape(-1)], 0.0)
        if not np.allclose(J, np.where(left, clues.J, 0.0)):  # else they stand where they belong
            yield Suspect(f"gradient {name}", f"analytic = numeric {how}", J)


def orders(shape: tuple[int, ...]) -> Iterator[tuple[str, str, np.ndarray]]:
    """For each place the flat place that its element is taken from, -1 for none."""
    size, axes = int(np.prod(shape)), range(len(shape))
    places = np.arange(size).reshape(shape)
    for order in list(itertools.permutations(axes))[1:] if len(shape) <= 4 and size > 1 else []:
        turned = tuple(shape[a] for a in order)
        if turned == shape:
            yield "transposed", f"with its axes in the order {order}", places.transpose(order)
        elif size > max(shape):
            how = f"with its axes in the order {order}, read row by row into {shape}"
            yield RESHAPED, how, places.transpose(order).reshape(shape)
            how = f"read row by row into {turned}, then transposed to {shape}"
            yield RESHAPED, how, places.reshape(turned).transpose(np.argsort(order))
    for count in range(1, min(len(shape), 3) + 1):
        for along in itertools.combinations(axes, count):
            how = f"reversed along {'axis' if count == 1 else 'axes'} {', '.join(map(str, along))}"
            yield "flipped", how, np.flip(places, along)
    for axis, length in enumerate(shape):
        at = np.indices(shape)[axis]
        for shift in (k * sign for k in range(1, min(length, MOST_SHIFTED)) for sign in (1, -1)):
            how = f"shifted by {shift} along axis {axis}"
            rolled, inside = np.roll(places, shift, axis), (at >= shift) & (at < length + shift)
            yield "shifted", f"{how}, round the end", rolled
            yield "shifted", how, np.where(inside, rolled, -1)


def not_transposed(clues: Clues) -> Iterator[Suspect]:
    """J dy in place of J^T dy: the forward map once more, where its transpose belongs."""
    if clues.x.size == clues.y.size > 1:
        how = "analytic = J dy, the derivative of the forward pass applied to dy, not J^T dy"
        yield Suspect("Jacobian not transposed", how, clues.J.T)


def without_a_name(clues: Clues) -> Iterator[Suspect]:
    """The right numbers in other places, or from other outputs, in no order that has a name."""
    for what, shape, (B, J) in (
        (clues.name, clues.x.shape, (clues.claimed, clues.J)),
        ("dy", clues.y.shape, (clues.claimed.T, clues.J.T)),
    ):
        B, J = (np.rint(M / (1e-5 * np.abs(M).max())).astype(int) for M in (B, J))
        if len(np.unique(B, axis=0)) < 3 or sorted(B.tolist()) != sorted(J.tolist()):
            continue
        wrong = (B != J).any(1)
        k = int(np.flatnonzero(wrong)[0])
        there = int(np.flatnonzero((B[k] == J).all(1) & wrong)[0])  # of several the one that lacks
        taken, due = (list(map(int, np.unravel_index(p, shape))) for p in (k, there))
        yield Suspect(
            "the right numbers in the wrong places",
            f"{what}{taken} stands where {what}{due} belongs: is a transpose missing, a reshape in "
            "place of one, or an index applied the wrong way round?",
        )
        return
