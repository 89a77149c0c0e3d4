"""Numbers as products of what the operation had in hand: "x (1 - x)", "2 x / y^2".

For an operation on each element by itself the entries of B, those of J, their quotient and their
difference are looked for. What is found is said in words: which formula the backward has, and
which one is right.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, close
from tinynet.gradcheck.causes.hand import Form, Hand

SAME = 1e-6  # relative: how well a formula fits
SAMPLE = 48  # entries on which formulas are looked for; the others must agree
FEW = 3  # entries that many formulas fit
POWERS = (1, -1, 2, -2, 0.5, -0.5, 3, -3)
PAIRED = POWERS[:6]
MOST_FORMS = 70
LEFT_OUT, NONE_DUE = "the gradient is left out", "a gradient where there is none"
EXCHANGED = "the two branches are exchanged"
OFF_BY, BOTH = "off by the factor", "wrong in both branches"
RIGHT_IS = "wrong formula: right is "
WEAK = "analytic is ", RIGHT_IS, LEFT_OUT, NONE_DUE  # begin causes that say little by themselves
PLAIN = 16  # letters of a factor that tells more than the two formulas


class Part:
    """Some of the entries, the Jacobians there, and what is in hand there."""

    def __init__(self, clues: Clues, chosen: np.ndarray) -> None:
        e = clues.entries
        self.clues, self.hand = clues, Hand(clues, e.i[chosen], e.j[chosen])
        self.claimed, self.right = e.claimed[chosen], e.right[chosen]


def plain(clues: Clues) -> tuple[str, str] | None:
    """Cause and evidence for a function of each element by itself, or with one number as result."""
    single = np.bincount(clues.entries.i).max(initial=0) <= 1
    found = look(clues) if single else None
    vague = found is not None and found[0].startswith(OFF_BY) and "/" in found[0]
    return None if vague or (found is not None and found[0].startswith((*WEAK, BOTH))) else found


def look(clues: Clues) -> tuple[str, str] | None:
    """Cause and evidence, if the wrong entries follow a formula, all of them or each branch."""
    wrong = clues.entries.wrong
    place = _place(clues)
    found = _compared(Part(clues, wrong))
    branches = _by_branches(clues) if wrong.all() or (place and found is None) else None
    if found is None or (branches is not None and branches[0].startswith(EXCHANGED)):
        return branches
    cause, evidence = found
    if not place and not wrong.all() and cause in (LEFT_OUT, NONE_DUE):
        return None  # of some elements without a rule
    return (f"{cause}, where {place}", evidence) if place else (cause, evidence)


def _place(clues: Clues) -> str:
    """Which entries are wrong; of a function of each element by itself, those that are 0 count."""
    e = clues.entries
    i, j, right, wrong = e.i, e.j, e.right, e.wrong
    if clues.x.shape == clues.y.shape and np.array_equal(i, j):
        i = j = np.flatnonzero(clues.usable)
        right, wrong = clues.J[i, i], np.isin(i, e.i[e.wrong])
    return where.rule(wrong, Hand(clues, i, j), (("the term itself", right),))


def _by_branches(clues: Clues) -> tuple[str, str] | None:
    """The formulas on either side of a sign; it may be that each is right on the other side."""
    wrong = clues.entries.wrong
    for name, q in Part(clues, wrong).hand.quantities:
        sides = {f"{name} > 0": q > 0, f"{name} {'<' if q.all() else '='} 0": q <= 0}
        mixed = not q.all() and (q < 0).any()
        if mixed or not all(holds.any() for holds in sides.values()):
            continue
        found, formulas = [], []
        for text, holds in sides.items():
            chosen = wrong.copy()
            chosen[wrong] = holds
            there = Part(clues, chosen)
            compared = _compared(there)
            formulas.append([written(there.hand, M) for M in (there.claimed, there.right)])
            found.append(f"where {text}: {compared[1] if compared else ''}")
        if all(formulas[0]) and all(formulas[1]):
            exchanged = formulas[0] == formulas[1][::-1] != formulas[1]
            cause = EXCHANGED if exchanged else BOTH
            return f"{cause}: {' and '.join(sides)}", "; ".join(found)
    return None


def _compared(part: Part) -> tuple[str, str] | None:
    """What the backward has there and what is right, as formulas, their quotient or difference."""
    claimed, right = written(part.hand, part.claimed), written(part.hand, part.right)
    if claimed == "0":
        detail = f", {_dy(right)} is right" if right else ""
        return LEFT_OUT, f"analytic = 0{detail}"
    if right == "0":
        detail = f"analytic = {_dy(claimed)}" if claimed else "analytic is something else"
        return NONE_DUE, f"{detail}, 0 is right"
    if not (part.right.all() and part.claimed.all()):
        return None  # masks differ, and any two masks do so by a sign
    quotient = written(part.hand, part.claimed / part.right)
    difference = written(part.hand, part.claimed - part.right)
    if claimed and difference and len(right) > len(claimed + difference) + PLAIN / 2:
        return _term(part, claimed, right, difference)
    if claimed and right:
        cause = f"{_dy(claimed)} in place of {_dy(right)}"
        if claimed == right.replace(part.clues.out, part.clues.name):
            cause += f" (of the input {part.clues.name}, not of the output)"
        evidence = f"analytic = {_dy(claimed)}, right is {_dy(right)}"
        plain = quotient and len(quotient) <= PLAIN
        return cause, evidence + (f": {quotient} times as large" if plain else "")
    if quotient:
        return (
            f"{OFF_BY} {quotient}",
            f"analytic = numeric times {quotient}, {_each(part)}",
        )
    if difference:
        return _term(part, claimed, right, difference)
    if claimed:
        return f"{WEAK[0]}{_dy(claimed)}", f"analytic = {_dy(claimed)}, and numeric is not"
    if right:
        return f"{RIGHT_IS}{_dy(right)}", f"numeric = {_dy(right)}, and analytic is not"
    return None


def _term(part: Part, claimed: str, right: str, difference: str) -> tuple[str, str]:
    """What is wrong with one term of a sum: missing, too much, or of the wrong sign.

    The difference alone is the same for all three; the plainer of the two sums tells.
    """
    more, less = _dy(difference), _dy(_negative(difference))
    size = more.lstrip("-")
    sign = "-" if more.startswith("-") else "+"
    evidence = f"analytic = numeric {sign} {size}, {_each(part)}"
    if claimed:
        return f"a term {less} is missing", f"{evidence}; analytic = {_dy(claimed)}"
    if right:
        return f"a term {more} too much", f"{evidence}; right is {_dy(right)}"
    rest = written(part.hand, (part.claimed + part.right) / 2)
    half = written(part.hand, (part.claimed - part.right) / 2)
    if rest and half:
        wrong, due = _dy(half), _dy(_negative(half))
        return f"wrong sign of a term: {wrong} in place of {due}", (
            f"{evidence}; beside the term stands {_dy(rest)}"
        )
    return f"either a term {more} too much or a term {less} missing", evidence


def _negative(formula: str) -> str:
    return formula[1:] if formula.startswith("-") else f"-{formula}"


def _each(part: Part) -> str:
    return "element by element" if part.clues.x.shape == part.clues.y.shape else "term by term"


def _dy(formula: str) -> str:
    """A formula with the dy that it is multiplied by."""
    if formula in ("1", "-1"):
        return formula.replace("1", "dy")
    if formula.lstrip("-").startswith("1/") or formula.lstrip("-").startswith("1 /"):
        return formula.replace("1", "dy", 1).replace("dy/", "dy / ")
    return f"-dy {formula[1:]}" if formula.startswith("-") else f"dy {formula}"


def written(hand: Hand, values: np.ndarray) -> str:
    """The values as a formula; "" if there is none."""
    size = np.abs(values)
    if not size.max():
        return "0"
    if np.ptp(values) <= SAME * size.max() and len(values) > 1:
        mean = float(values.mean())
        return _setting(hand.clues, mean) or hand.clues.constant(mean)
    if not size.min():
        return ""
    few = np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).astype(int)
    one = len(values) == 1
    different = 1 + int((np.diff(np.sort(values)) > SAME * size.max()).sum())
    forms = [f for f in hand.forms if f.values.all() and (one or _varies(f.values))]
    found: list[tuple[float, int, str]] = []
    for factors in _products(values[few], forms, few):
        quotient = values / np.prod([form.values**p for form, p in factors], axis=0)
        c = float(quotient.mean())
        if np.isfinite(c) and c and np.ptp(quotient) <= SAME * abs(c):
            plain = abs(abs(c) - 1) < SAME
            few_fit = len(values) if len(factors) == 1 else different
            if few_fit < FEW and not plain and abs(abs(np.log2(abs(c))) - 1) > SAME:
                continue
            rank = sum(form.rank + (abs(p) / 2 if p % 1 == 0 else 1) for form, p in factors)
            rank += 0 if plain else 0.4 if hand.clues.has_name(c) else 2
            found.append((rank, len(found), _written(hand.clues, c, factors)))
    return min(found)[2] if found else ""


def _setting(clues: Clues, value: float) -> str:
    """The name of the setting that has this value."""
    for name, number in clues.numbers.items():
        if abs(number) not in (0, 1) and close(abs(value), abs(number)):
            return name if close(value, number) else f"-{name}"
    return ""


def _varies(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > SAME * np.abs(values).max())


Factors = list[tuple[Form, float]]


def _products(values: np.ndarray, forms: list[Form], few: np.ndarray) -> Iterator[Factors]:
    """Products of up to two forms that fit the logarithms of the values."""
    if not forms:
        return
    target = np.log(np.abs(values))
    logs = np.log(np.abs(np.stack([form.values[few] for form in forms])))
    terms = np.concatenate([power * logs for power in POWERS])  # (powers * forms, entries)
    labels = [(form, power) for power in POWERS for form in forms]
    fits: list[Factors] = [[labels[k]] for k in np.flatnonzero(_flat(target - terms))]
    if not fits and len(few) >= FEW:
        pairs = [k for k, (form, power) in enumerate(labels) if power in PAIRED]
        pairs = sorted(pairs, key=lambda k: labels[k][0].rank)[: len(PAIRED) * MOST_FORMS]
        for place, k in enumerate(pairs):
            left = target - terms[k] - terms[pairs[:place]]
            fits += [[labels[pairs[other]], labels[k]] for other in np.flatnonzero(_flat(left))]
    yield from (fit for fit in fits if len(fit) == 1 or fit[0][0] is not fit[1][0])


def _flat(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.ptp(rows, axis=1) < 10 * SAME)


def _written(clues: Clues, c: float, factors: Factors) -> str:
    above = [_power(form.text, p) for form, p in factors if p > 0]
    below = [_power(form.text, -p) for form, p in factors if p < 0]
    scale = _setting(clues, c) or clues.constant(c)
    sign, scale = ("-", scale[1:]) if scale.startswith("-") else ("", scale)
    numerator, slash, denominator = scale.partition("/")
    if numerator != "1":
        above.insert(0, numerator)
    if slash:
        below.insert(0, denominator)
    text = sign + (" ".join(above) or "1")
    if below:
        text += " / " + (below[0] if len(below) == 1 else f"({' '.join(below)})")
    return text


def _power(text: str, power: float) -> str:
    if power == 0.5:
        return f"sqrt{text}" if text.startswith("(") else f"sqrt({text})"
    return text if power == 1 else f"{text}^{power}"
