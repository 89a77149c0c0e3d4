"""What a number is: a simple fraction, a size, a setting, the mean of an argument, ln 10."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tinynet.gradcheck.causes.clues import Clues

SIZED = 8  # of the forms, those in which sizes are looked for
FORMS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("{}", lambda n: n),
    ("1/{}", lambda n: 1 / n),
    ("2 {}", lambda n: 2 * n),
    ("2/{}", lambda n: 2 / n),
    ("{0}/({0} - 1)", lambda n: n / (n - 1)),
    ("({0} - 1)/{0}", lambda n: (n - 1) / n),
    ("sqrt({})", lambda n: math.sqrt(n)),
    ("1/sqrt({})", lambda n: 1 / math.sqrt(n)),
    ("{}^2", lambda n: n * n),
    ("1/{}^2", lambda n: 1 / (n * n)),
    ("(1 - {})", lambda n: 1 - n),
    ("1/(1 - {})", lambda n: 1 / (1 - n)),
    ("(1 - {0})/{0}", lambda n: (1 - n) / n),
    ("{0}/(1 - {0})", lambda n: n / (1 - n)),
)
CONSTANTS = {"ln 10": math.log(10), "ln 2": math.log(2), "pi": math.pi, "180/pi": 180 / math.pi}
CONSTANTS |= {"sqrt(2)": math.sqrt(2)}
IMAGES = {  # the letters of the axes of an output, of images and of kernels
    "output": ("N", "O", "OH", "OW"), "image": ("N", "C", "H", "W"),
    "kernel": ("O", "C", "KH", "KW"),
}  # fmt: skip


def sizes(clues: Clues) -> dict[str, float]:
    """What a factor may be: sizes by their usual names, and the settings that are numbers."""
    x, out = clues.x, clues.y.shape
    found: dict[str, float] = {}
    if len(out) == 4:
        arrays = [clues.y, *(a for a in clues.floats.values() if a.ndim == 4 and a.shape != out)]
        for k, a in enumerate(arrays):
            letters = IMAGES["output" if not k else "image" if len(a) == out[0] else "kernel"]
            for axes in ((2, 3), (0, 2, 3), (1, 2, 3), (0,), (1,), (2,), (3,)):
                name = "*".join(letters[axis] for axis in axes)
                found.setdefault(name, math.prod(a.shape[axis] for axis in axes))
    elif out or x.shape:
        found["N"] = (out or x.shape)[0]
    if x.size % max(clues.y.size, 1) == 0:
        found["n, the number of elements of each output"] = x.size // clues.y.size
    for name, value in clues.settings.items():
        parts = value if isinstance(value, (tuple, list)) else (value,)
        if not all(type(part) in (int, float) for part in parts) or len(parts) not in (1, 2):
            continue
        found.setdefault(name, parts[0])
        if "kernel" in name or "pool" in name or len(parts) == 2:
            found.setdefault(f"the area of {name}", parts[0] * parts[-1])
    found.setdefault(f"the number of elements of {clues.name}", x.size)
    if clues.y.size == 1:
        found.setdefault(clues.out, float(clues.y.item()))
    found.setdefault("the number of outputs", clues.y.size)
    for owner, sides in ((clues.name, x.shape), ("the output", out)):
        for axis, n in enumerate(sides):
            found.setdefault(f"the size of axis {axis} of {owner}", n)
    return {k: float(n) for k, n in found.items() if math.isfinite(n) and n not in (0, 1, -1)}


def named(clues: Clues, factor: float) -> str | None:
    """What `factor` is in terms of the sizes, such as "OH*OW" or "1/N"; None if nothing."""
    return " or ".join(names(clues, factor)[:2]) or None


def names(clues: Clues, factor: float) -> list[str]:
    """What it may be, the plainest first."""
    texts: list[str] = []
    arrays = {clues.label(place): a for place, a in clues.floats.items()} | clues.locals
    arrays = {name: a for name, a in arrays.items() if a.size > 1 and (a % 1).any()}
    sums = {f"the mean of {name}": float(a.mean()) for name, a in arrays.items()}
    sums |= {f"the sum of {name}": float(a.sum()) for name, a in arrays.items()}
    sized = FORMS[:SIZED]
    for own, forms in (
        (clues.numbers, FORMS), ({} if fraction(factor) else clues.constants, FORMS),
        (sums, sized[:2]), (clues.sizes | CONSTANTS, sized),
    ):  # fmt: skip
        known = {name: n for name, n in own.items() if abs(n) not in (0, 1)}
        for form, of in forms:
            found = [(name, n) for name, n in known.items() if close(of(abs(n)), abs(factor))]
            signed = ("-" * ((factor < 0) != (n < 0)) + form.format(_bracketed(name, form))
                      for name, n in found)  # fmt: skip
            if found:  # the plainest form; a setting says more than a size
                texts += signed
                break
    return list(dict.fromkeys(texts))


def has_name(clues: Clues, factor: float) -> bool:
    """Whether a factor is a simple fraction or has a name."""
    return named(clues, factor) is not None or "." not in constant(clues, factor)


def constant(clues: Clues, factor: float) -> str:
    """A factor in words: a setting, a simple fraction, "(alpha or 1/2)" where it may be either,
    something with a name, or the number."""
    if abs(factor) < 1e-7:
        return "0"
    plain = fraction(factor)
    for name, number in (clues.constants | clues.numbers).items():
        if abs(number) not in (0, 1) and close(abs(factor), abs(number)):
            sign = "" if close(factor, number) else "-"
            return f"{sign}({name} or {fraction(abs(factor))})" if plain else f"{sign}{name}"
        if number % 1 and (1 / number) % 1 and close(abs(factor), 1 / abs(number)):
            return f"1/{name}" if close(factor, 1 / number) else f"-1/{name}"
    if plain:
        return plain
    plain = short(factor)
    if clues.by_element and len(plain.lstrip("-0.")) <= 2:
        return plain  # a function of each element by itself knows no sizes
    return (named(clues, factor) or plain).partition(" or ")[0]


def fraction(factor: float) -> str:
    """A simple fraction as it is written; "" for another number."""
    for denominator in (1, 2, 3, 4, 6, 8):
        numerator = factor * denominator
        if abs(numerator) < 5 and close(numerator, round(numerator), 1e-7):
            whole = str(round(numerator))
            return whole if denominator == 1 else f"{whole}/{denominator}"
    return ""


def _bracketed(name: str, form: str) -> str:
    name = name.partition(",")[0]
    whole = form == "{}" or name in ("ln 10", "ln 2") or name.startswith("(")
    return f"({name})" if any(c in name for c in " */") and not whole else name


def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers are the same to rounding and noise."""
    return abs(a - b) <= tolerance * max(abs(a), abs(b)) < math.inf


def short(value: float) -> str:
    """A number as a person would write it."""
    text = f"{value:.6g}"
    if not np.isfinite(value):
        return text
    return text if float(text) != round(value) or value == round(value) else f"{value:.10g}"
