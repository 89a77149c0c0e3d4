"""Which elements are wrong, as a rule in words: "x < 0", "the last place of axis 2"."""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, axis_name
from tinynet.gradcheck.causes.hand import Hand, Quantity
from tinynet.gradcheck.causes.numbers import short

LISTED = "they are at place"  # begins a rule that holds for these inputs alone, it may be
BY_CHANCE = 1000  # so few choices of elements may have a threshold of their own by chance
MOST_PLACES = 4  # of an axis that are told one by one
FEW = 2  # right elements in which chance may agree

Statement = tuple[str, np.ndarray]  # and of which entries it is true


def of_the_elements(clues: Clues) -> str:
    """Which elements of the gradient are wrong, in a sentence; "" if no simple rule says it."""
    rule = confirmed(clues, _rule)
    wrong = int(wrong_elements(clues).sum())
    right = clues.x.size - wrong
    wrongs = f"all {wrong} wrong elements" if wrong > 1 else "the one wrong element"
    others = f"the {right} others are" if right > 1 else "the other is"
    return f"{wrongs}: {rule}; {others} right" if rule else ""


def wrong_elements(clues: Clues) -> np.ndarray:
    """Which elements of the gradient are wrong, flat."""
    _, analytic, numeric = clues.tests[0]
    allowed = 10 * clues.noise + 1e-6 * np.abs(numeric).max(initial=0)
    return np.asarray(np.abs(analytic - numeric) > allowed).reshape(-1)


def _rule(clues: Clues) -> str:
    """What the wrong elements have in common, for these values."""
    numeric, wrong = np.abs(clues.tests[0][2]).reshape(-1), wrong_elements(clues)
    if (numeric > 1e-6 * numeric.max(initial=0))[~wrong].sum() < FEW:
        return ""  # what is right is 0, or so little that it may be so by chance
    elementwise = clues.x.shape == clues.y.shape
    flat = np.arange(wrong.size)
    hand = Hand(clues, flat, flat if elementwise else 0 * flat)
    if not elementwise:
        hand.quantities = [(clues.name, clues.x.reshape(-1))]
    own = f"of {clues.name}"
    hand.places = {name: p for name, p in hand.places.items() if name.endswith(own)}
    return rule(wrong, hand, (("dy", clues.dy.reshape(-1)),) if elementwise else ())


def confirmed(clues: Clues, look: Callable[[Clues], str]) -> str:
    """What a look says, if it says the same with other values and sizes as well; else ""."""
    text = look(clues)
    return text if text and clues.is_confirmed(text, lambda there: [look(there)]) else ""


def rule(chosen: np.ndarray, hand: Hand, more: tuple[Quantity, ...] = ()) -> str:
    """What the chosen entries have in common that no other has; "" if nothing simple is."""
    if chosen.all() or not chosen.any():
        return ""
    statements = _statements(hand, chosen, more)
    return next((text for text, holds in statements if np.array_equal(holds, chosen)), "")


def _statements(hand: Hand, chosen: np.ndarray, more: tuple[Quantity, ...]) -> Iterator[Statement]:
    """Statements about the entries, the simplest first; thresholds follow from `chosen`."""
    for name, q in hand.quantities:
        yield from signs(name, q)
    places = list(_places(hand, chosen))
    yield from (statement for statement in places if not statement[0].startswith(LISTED))
    yield f"it is the last element of {hand.clues.name}", hand.i == hand.clues.x.size - 1
    yield from _border(hand)
    if hand.clues.x.shape == hand.clues.y.shape:
        yield "the output is at the place of the input", hand.i == hand.j
        yield "the output is at another place than the input", hand.i != hand.j
    for (a, p), (b, q) in itertools.combinations(hand.places.items(), 2):
        yield f"the places of {a} and {b} are the same", p == q
        yield f"the places of {a} and {b} differ", p != q
        yield f"the place of {a} is before that of {b}", p < q
        yield f"the place of {a} is behind that of {b}", p > q
    for name, q in more:
        yield from signs(name, q)[:2]
    quantities = [*hand.quantities, *hand.products, *more]
    quantities = [(name, q) for name, q in quantities if not _indicates(q)]
    limits = sorted(_thresholds(hand, chosen, quantities), key=lambda t: t[0][-1].isdigit())
    choices = math.comb(len(chosen), int(chosen.sum()))
    yield from (limit for limit in limits if "." not in limit[0])
    yield from (limit for limit in limits if "." in limit[0] and choices > BY_CHANCE)
    for (a, p), (b, q) in itertools.pairwise(quantities):
        yield f"{a} and {b} have different signs", np.sign(p) != np.sign(q)
        yield f"{a} and {b} have the same sign", np.sign(p) == np.sign(q)
    yield from places
    cut = f"|{hand.clues.name}| >"
    yield from (limit for limit in limits if limit[0].startswith(cut) and choices > BY_CHANCE / 5)


def signs(name: str, q: np.ndarray) -> list[Statement]:
    """What the sign of a quantity says; one that is 0 or 1 has none."""
    zero, other = (f"{name} = 0", q == 0), (f"{name} != 0", q != 0)
    if _indicates(q):
        return [other, zero]
    return [(f"{name} > 0", q > 0), (f"{name} < 0", q < 0), zero, other]


def _indicates(q: np.ndarray) -> bool:
    return bool(((q == 0) | (q == 1)).all())


def _thresholds(hand: Hand, chosen: np.ndarray, quantities: list[Quantity]) -> Iterator[Statement]:
    for name, q in quantities:
        for label, values in ((name, q), (f"|{name.strip('()')}|", np.abs(q))):
            for text, sign in ((">", 1), ("<", -1)):
                inside, outside = sign * values[chosen], sign * values[~chosen]
                if inside.min() > outside.max() and inside.any() and outside.any():
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
    digits = next((d for d in range(16) if np.floor(low * 10**d) + 1 < high * 10**d), 16)
    return short(float((np.floor(low * 10**digits) + 1) / 10**digits) + 0.0)


def _places(hand: Hand, chosen: np.ndarray) -> Iterator[Statement]:
    for axis, places in hand.places.items():
        known, some = set(places.tolist()), set(places[chosen].tolist())
        if len(known) > 1 and not some & set(places[~chosen].tolist()):
            yield (
                f"they are at {_told(some, known, hand.lengths[axis] - 1)} of {axis}",
                np.isin(places, list(some)),
            )


def _border(hand: Hand) -> Iterator[Statement]:
    """The border of the last two axes of the input, and two sides of it."""
    shape, name = hand.clues.x.shape, hand.clues.name
    if len(shape) < 2:
        return
    at = np.unravel_index(hand.i, shape)[-2:]
    rows, columns = ({"first": p == 0, "last": p == n - 1} for p, n in zip(at, shape[-2:]))
    a, b = (axis_name(len(shape) - k, hand.clues.x) for k in (2, 1))
    border = np.any([*rows.values(), *columns.values()], axis=0)
    yield f"they are at the border of {name}", border
    for (one, p), (other, q) in itertools.product(rows.items(), columns.items()):
        yield f"they are at the {one} place of {a} or the {other} of {b} of {name}", p | q


def _told(some: set[int], known: set[int], last: int) -> str:
    """Places of an axis in words."""
    order = sorted(some)
    steps = {b - a for a, b in itertools.pairwise(order)}
    if order == [last]:
        return f"the last place ({last})"
    if order == [0]:
        return "the first place"
    if order == [0, last]:
        return "the border, the first and the last place,"
    if len(order) > 2 and len(steps) == 1 and steps != {1}:
        return f"every {steps.pop()}. place, from {order[0]} on,"
    if len(order) <= MOST_PLACES:
        return f"place {', '.join(map(str, order))}"
    if steps == {1}:
        return f"places {order[0]} to {order[-1]}"
    return f"places other than {', '.join(map(str, sorted(known - some)[:MOST_PLACES]))}"
