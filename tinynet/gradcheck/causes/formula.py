"""Numbers as products of what the operation had in hand: "x (1 - x)", "2 x / y^2".

For an operation on each element by itself the entries of B, those of J, their quotient and their
difference are looked for. What is found is said in words: which formula the backward has, and
which one is right.
"""

import re
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import Clues, Suspect
from tinynet.gradcheck.causes.hand import Form, Hand
from tinynet.gradcheck.causes.numbers import constant, has_name

SAME = 1e-6  # relative: how well a formula fits
SAMPLE = 48  # entries on which formulas are looked for; the others must agree
FEW = 3  # entries that many formulas fit
POWERS = (1, -1, 2, -2, 0.5, -0.5, 3, -3)
PAIRED = POWERS[:6]
MOST_FORMS = 70
LEFT_OUT, NONE_DUE = "the gradient is left out", "a gradient where there is none"
EXCHANGED = "the two branches are exchanged"
OFF_BY = "off by the factor"
WEAK = "analytic is ", "wrong formula: right is "  # begin causes that say little
PLAIN = 16  # letters of a factor that tells more than the two formulas

Found = tuple[str, str] | None
Factors = list[tuple[Form, float]]


def plain(clues: Clues) -> Iterator[Suspect]:
    """Cause and evidence for a function of each element by itself, or with one number as result."""
    single = np.bincount(clues.entries.i).max(initial=0) <= 1
    for suspect in look(clues) if single else ():
        vague = suspect.cause.startswith(OFF_BY) and "/" in suspect.cause
        vague |= suspect.cause in (LEFT_OUT, NONE_DUE) or suspect.cause.startswith("either ")
        vague |= bool(re.search(r"\d\.\d|sinh|e\^\w+\^", suspect.cause))  # nobody knows such
        if not vague and not suspect.cause.startswith(WEAK):
            yield suspect


def look(clues: Clues) -> Iterator[Suspect]:
    """Cause and evidence, if the wrong entries follow a formula, all of them or each branch."""
    if found := clues.once(_found):
        yield Suspect(*found)


def _found(clues: Clues) -> Found:
    wrong = clues.entries.wrong
    place = _place(clues)
    found = _compared(Part(clues, wrong))
    branches = _by_branches(clues) if wrong.all() or (place and found is None) else None
    if found is None or (branches is not None and branches[0].startswith(EXCHANGED)):
        return branches
    cause, evidence = found
    if not place and not wrong.all() and cause in (LEFT_OUT, NONE_DUE):
        return None  # of some elements without a rule
    if place.startswith("they are "):
        return f"{cause}, {place.removeprefix('they are ')}", evidence
    return (f"{cause}, where {place}", evidence) if place else found


class Part:
    """Some of the entries, the Jacobians there, and what is in hand there."""

    def __init__(self, clues: Clues, chosen: np.ndarray) -> None:
        e = clues.entries
        self.clues, self.hand = clues, Hand(clues, e.i[chosen], e.j[chosen])
        self.claimed, self.right = e.claimed[chosen], e.right[chosen]

    def written(self, values: np.ndarray) -> str:
        """The values as a formula; "" if there is none."""
        return written(self.hand, values)


def _place(clues: Clues) -> str:
    """Which entries are wrong; of a function of each element by itself, those that are 0 count."""
    e = clues.entries
    i, j, wrong = e.i, e.j, e.wrong
    if clues.x.shape == clues.y.shape and np.array_equal(i, j):
        i = j = np.flatnonzero(clues.usable)
        wrong = np.isin(i, e.i[e.wrong])
    return where.rule(wrong, Hand(clues, i, j))


def _by_branches(clues: Clues) -> Found:
    """The formulas on either side of a sign; it may be that each is right on the other side."""
    wrong = clues.entries.wrong
    for name, q in Part(clues, wrong).hand.quantities:
        signs = [side for side in where.signs(name, q) if side[1].any() and not side[1].all()]
        sides = dict(signs[:2])
        mixed = not q.all() and (q < 0).any()
        if mixed or not sides:
            continue
        found, formulas = [], []
        for text, holds in sides.items():
            chosen = wrong.copy()
            chosen[wrong] = holds
            there = Part(clues, chosen)
            compared = _compared(there)
            formulas.append([there.written(M) for M in (there.claimed, there.right)])
            found.append(f"where {text}: {compared[1] if compared else ''}")
        exchanged = formulas[0] == formulas[1][::-1] != formulas[1]
        if exchanged and all(formulas[0]):
            return f"{EXCHANGED}: {' and '.join(sides)}", "; ".join(found)
    return None


def _compared(part: Part) -> Found:
    """What the backward has there and what is right, as formulas, their quotient or difference."""
    claimed, right = part.written(part.claimed), part.written(part.right)
    given, due = _dy(claimed), _dy(right)
    if claimed == "0":
        return LEFT_OUT, "analytic = 0" + (f", {due} is right" if right else "")
    if right == "0":
        return NONE_DUE, f"analytic {f'= {given}' if claimed else 'is something else'}, 0 is right"
    if not (part.right.all() and part.claimed.all()):
        return None  # masks differ, and any two masks do so by a sign
    quotient = part.written(part.claimed / part.right)
    difference = part.written(part.claimed - part.right)
    each = "element by element" if part.clues.x.shape == part.clues.y.shape else "term by term"
    term = _term(part, claimed, right, difference, each) if difference else None
    if claimed and term and len(right) > len(claimed + difference) + PLAIN / 2:
        return term
    if claimed and right:
        of_the_input = claimed == right.replace(part.clues.out, part.clues.name)
        also = f" (of the input {part.clues.name}, not of the output)" * of_the_input
        times = f": {quotient} times as large" if 0 < len(quotient) <= PLAIN else ""
        return f"{given} in place of {due}{also}", f"analytic = {given}, right is {due}{times}"
    if quotient:
        return f"{OFF_BY} {quotient}", f"analytic = numeric times {quotient}, {each}"
    if term:
        return term
    if claimed:
        return f"{WEAK[0]}{given}", f"analytic = {given}, and numeric is not"
    return (f"{WEAK[1]}{due}", f"numeric = {due}, and analytic is not") if right else None


def _term(part: Part, claimed: str, right: str, difference: str, each: str) -> Found:
    """What is wrong with one term of a sum: missing, too much, or of the wrong sign.

    The difference alone is the same for all three; the plainer of the two sums tells.
    """
    more, less = _dy(difference), _dy(_negative(difference))
    sign = "-" if more.startswith("-") else "+"
    evidence = f"analytic = numeric {sign} {more.lstrip('-')}, {each}"
    if claimed:
        return f"a term {less} is missing", f"{evidence}; analytic = {_dy(claimed)}"
    if right:
        return f"a term {more} too much", f"{evidence}; right is {_dy(right)}"
    rest = part.written((part.claimed + part.right) / 2)
    half = part.written((part.claimed - part.right) / 2)
    if rest and half:
        cause = f"wrong sign of a term: {_dy(half)} in place of {_dy(_negative(half))}"
        return cause, f"{evidence}; beside the term stands {_dy(rest)}"
    return f"either a term {more} too much or a term {less} missing", evidence


def _negative(formula: str) -> str:
    return formula[1:] if formula.startswith("-") else f"-{formula}"


def _dy(formula: str) -> str:
    """A formula with the dy that it is multiplied by."""
    sign, plain = ("-", formula[1:]) if formula.startswith("-") else ("", formula)
    if plain == "1":
        return f"{sign}dy"
    if plain.startswith(("1/", "1 /")):
        return f"{sign}dy / {plain.partition('/')[2].strip()}"
    return f"{sign}dy {plain}"


def written(hand: Hand, values: np.ndarray) -> str:
    """The values as a formula; "" if there is none."""
    size = np.abs(values)
    if not size.max():
        return "0"
    if not _varies(values) and (len(values) > 1 or abs(size[0] - 1) < SAME):
        return constant(hand.clues, float(values.mean()))
    if not size.min():
        return ""
    few = np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).astype(int)
    different = _distinct(values)
    one = len(values) == 1
    forms = [f for f in hand.forms if f.values.all() and (one or _varies(f.values))]
    found: list[tuple[float, int, str]] = []
    for factors in _products(values[few], forms, few):
        quotient = values / np.prod([form.values**p for form, p in factors], axis=0)
        c = float(quotient.mean())
        if not np.isfinite(c) or not c or np.ptp(quotient) > SAME * abs(c):
            continue
        plain = abs(abs(c) - 1) < SAME
        sizes = [_distinct(np.abs(form.values)) for form, _ in factors]
        if not plain and 2 in sizes:
            continue  # any two numbers are powers of any other two, but for a factor
        few_fit = different if max(sizes) > 1 else len(values)  # a sign is one of two at each place
        if few_fit < FEW and not plain and abs(abs(np.log2(abs(c))) - 1) > SAME:
            continue
        rank = sum(form.rank + (abs(p) / 2 if p % 1 == 0 else 1) for form, p in factors)
        rank += 0 if plain else 0.4 if has_name(hand.clues, c) else 2
        found.append((rank, len(found), _written(hand.clues, c, factors)))
    return min(found)[2] if found else ""


def _distinct(values: np.ndarray) -> int:
    return 1 + int((np.diff(np.sort(values)) > SAME * np.abs(values).max()).sum())


def _varies(values: np.ndarray) -> bool:
    return bool(np.ptp(values) > SAME * np.abs(values).max())


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
    scale = constant(clues, c)
    sign, scale = ("-", scale[1:]) if scale.startswith("-") else ("", scale)
    numerator, slash, denominator = scale.partition("/" if scale[0] != "(" else "\n")
    above = [numerator] * (numerator != "1") + above
    below = [denominator] * bool(slash) + below
    text = sign + (" ".join(above) or "1")
    if below:
        text += " / " + (below[0] if len(below) == 1 else f"({' '.join(below)})")
    return text


def _power(text: str, power: float) -> str:
    if power == 0.5:
        return f"sqrt{text}" if text.startswith("(") else f"sqrt({text})"
    return text if power == 1 else f"{text}^{power}"
