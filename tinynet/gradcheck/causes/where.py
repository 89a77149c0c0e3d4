"""Which elements are wrong, as a rule in words: "x < 0", "the last place of axis 2"."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, axis_name, short
from tinynet.gradcheck.causes.hand import Hand, Quantity

LISTED = "they are at place"  # begins a rule that holds for these inputs alone, it may be
BY_CHANCE = 1000  # so few choices of elements may have a threshold of their own by chance
MOST_PLACES = 4  # of an axis that are told one by one


def rule(chosen: np.ndarray, hand: Hand, more: tuple[Quantity, ...] = ()) -> str:
    """What the chosen entries have in common that no other has; "" if nothing simple is."""
    if chosen.all() or not chosen.any():
        return ""
    for text, holds in predicates(hand, chosen, more):
        if np.array_equal(holds, chosen):
            return text
    return ""


def confirmed(clues: Clues, told: Callable[[Clues], str]) -> str:
    """What is told of the clues, if it is of the elements in another order as well."""
    here, there = told(clues), clues.elsewhere
    return here if not here or there is None or bare(told(there)) == bare(here) else ""


def bare(text: str) -> str:
    """A statement without the numbers of its thresholds, which differ from input to input."""
    return re.sub(r"([<>]) -?[\d.]+", r"\1", text)


def predicates(
    hand: Hand, chosen: np.ndarray, more: tuple[Quantity, ...] = ()
) -> Iterator[tuple[str, np.ndarray]]:
    """Statements about the entries, the simplest first; thresholds follow from `chosen`."""
    quantities = [*hand.quantities, *hand.products, *more]
    for name, q in hand.quantities:
        for sign, holds in (("<", q < 0), (">", q > 0), ("=", q == 0)):
            yield f"{name} {sign} 0", holds
    places = list(_places(hand, chosen))
    yield from (rule for rule in places if not rule[0].startswith(LISTED))
    yield from _border(hand)
    if hand.clues.x.shape == hand.clues.y.shape:
        same = hand.i == hand.j
        yield "the output is at the place of the input", same
        yield "the output is at another place than the input", ~same
    for (a, p), (b, q) in itertools.combinations(hand.places.items(), 2):
        yield f"the places of {a} and {b} are the same", p == q
        yield f"the places of {a} and {b} differ", p != q
    for name, q in more:
        yield f"{name} < 0", q < 0
        yield f"{name} > 0", q > 0
    limits = sorted(_thresholds(hand, chosen, quantities), key=lambda t: t[0][-1].isdigit())
    yield from (rule for rule in limits if "." not in rule[0])
    if math.comb(len(chosen), int(chosen.sum())) > BY_CHANCE:
        yield from (rule for rule in limits if "." in rule[0])
    for (a, p), (b, q) in itertools.pairwise(quantities):
        differ = np.sign(p) != np.sign(q)
        yield f"{a} and {b} have different signs", differ
        yield f"{a} and {b} have the same sign", ~differ
    yield from places


def _thresholds(
    hand: Hand, chosen: np.ndarray, quantities: list[Quantity]
) -> Iterator[tuple[str, np.ndarray]]:
    for name, q in quantities:
        for label, values in ((name, q), (f"|{name.strip('()')}|", np.abs(q))):
            for text, sign in ((">", 1), ("<", -1)):
                inside, outside = sign * values[chosen], sign * values[~chosen]
                if inside.min() > outside.max():
                    limit = _limit(hand, sign * outside.max(), sign * inside.min())
                    yield f"{label} {text} {limit}", chosen
        low, high = q[chosen].min(), q[chosen].max()
        below, above = q[~chosen & (q < low)], q[~chosen & (q > high)]
        rest = below.size + above.size
        if below.size and above.size and rest == (~chosen).sum() and chosen.sum() > 1:
            ends = _limit(hand, below.max(), low), _limit(hand, high, above.min())
            yield f"{ends[0]} < {name} < {ends[1]}", chosen


def _limit(hand: Hand, low: float, high: float) -> str:
    """A threshold between two values, by the name of a setting if one lies there."""
    low, high = min(low, high), max(low, high)
    for name, value in hand.clues.numbers.items():
        if low <= value <= high:
            return name
    digits = next(d for d in range(16) if np.ceil(low * 10**d) <= high * 10**d)
    return short(float(np.ceil(low * 10**digits) / 10**digits) + 0.0)


def _places(hand: Hand, chosen: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for axis, places in hand.places.items():
        known, some = set(places.tolist()), set(places[chosen].tolist())
        rest = set(places[~chosen].tolist())
        if len(known) < 2 or some & rest:
            continue
        yield f"they are at {_told(some, known)} of {axis}", np.isin(places, list(some))


def _border(hand: Hand) -> Iterator[tuple[str, np.ndarray]]:
    """The border of the last two axes of the input, and two sides of it."""
    shape, name = hand.clues.x.shape, hand.clues.name
    if len(shape) < 2:
        return
    at = np.unravel_index(hand.i, shape)[-2:]
    sides = [{"first": p == 0, "last": p == n - 1} for p, n in zip(at, shape[-2:])]
    (a, b), (c, d) = (side.values() for side in sides)
    yield f"they are at the border of {name}", a | b | c | d
    for (one, p), (other, q) in itertools.product(*(side.items() for side in sides)):
        axes = [axis_name(len(shape) - k, hand.clues.x) for k in (2, 1)]
        yield (
            f"they are at the {one} place of {axes[0]} or the {other} of {axes[1]} of {name}",
            p | q,
        )


def _told(some: set[int], known: set[int]) -> str:
    """Places of an axis in words."""
    last, order = max(known), sorted(some)
    if order == [last]:
        return f"the last place ({last})"
    if order == [0]:
        return "the first place"
    if some == {0, last}:
        return "the border, the first and the last place,"
    steps = {b - a for a, b in itertools.pairwise(order)}
    if len(order) > 2 and len(steps) == 1 and (step := steps.pop()) > 1:
        return f"every {step}. place, from {order[0]} on,"
    if len(order) <= MOST_PLACES:
        return f"place {', '.join(map(str, order))}"
    if steps == {1}:
        return f"places {order[0]} to {order[-1]}"
    others = sorted(known - some)
    return f"places other than {', '.join(map(str, others[:MOST_PLACES]))}"
