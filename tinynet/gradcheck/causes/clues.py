"""What a look may use: the fault, both Jacobians, and the function in other circumstances.

The right Jacobian J is known by differences. The backward pass claims another, B: its columns are
what it makes of the unit vectors of dy. A look compares the two, or builds from J the gradient
that a mistake would give.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tinynet.gradcheck.fault import Fault
from tinynet.gradcheck.trace import copied

STEP: float = np.finfo(np.float64).eps ** (1 / 3)
EXACT = 1e-7  # of the largest element: how well two computations in float64 agree
MOST_OUTPUTS = 1024  # elements of y for which B is worked out, a call of the backward for each


class ElsewhereError(Exception):
    """The function cannot be run in other circumstances than those it was called in."""


class Suspect(NamedTuple):
    """A mistake: its name, what was compared, and the gradient that it would give for a dy."""

    cause: str
    evidence: str
    gradient: Callable[[np.ndarray], Any]


class Entries(NamedTuple):
    """Entries of the Jacobians where either is not 0: the flat places in x and y, and both values.

    wrong: where the two values differ.
    """

    i: np.ndarray
    j: np.ndarray
    claimed: np.ndarray
    right: np.ndarray
    wrong: np.ndarray


class Clues:
    """One fault, and what can be computed of it. Everything is worked out when first asked for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.x = np.asarray(fault.args[fault.place])
        self.name = fault.names[fault.place]
        self.y, self.dy = np.asarray(fault.y), np.asarray(fault.dy)
        self.J = fault.jacobian
        self.usable = np.isfinite(fault.numeric) & np.isfinite(fault.noise)
        self.noise = np.where(self.usable, fault.noise, 0.0)

    # ----- does a mistake explain the gradient? --------------------------------------------------

    @cached_property
    def tests(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(dy, what the backward makes of it, what is right): of two output gradients.

        Few elements may fit by chance for one.
        """
        fault = self.fault
        found = [(self.dy, fault.analytic, fault.numeric)]
        if fault.vjp is not None:
            dy = np.random.default_rng(1).standard_normal(self.dy.shape)
            with contextlib.suppress(Exception):  # a backward that runs only once says no more
                again = np.asarray(fault.vjp(dy), np.float64).reshape(fault.analytic.shape)
                found.append((dy, again, self.pulled(dy)))
        return found

    def explains(self, suspect: Suspect) -> bool:
        """Whether the suspect's gradient is the analytic one, in every element.

        What is left must lie within the noise, and be nothing beside the gap that it explains.
        """
        for dy, analytic, numeric in self.tests:
            given = np.asarray(suspect.gradient(dy), np.float64)
            if given.size != analytic.size:
                return False
            left = np.where(self.usable, np.abs(given.reshape(analytic.shape) - analytic), 0.0)
            gap = np.where(self.usable, np.abs(analytic - numeric), 0.0).max(initial=0)
            scale = max(
                np.abs(analytic).max(initial=0), np.abs(numeric[self.usable]).max(initial=0)
            )
            if not gap or (left > np.minimum(10 * self.noise + EXACT * scale, 0.01 * gap)).any():
                return False
        return True

    @cached_property
    def elsewhere(self) -> Clues | None:
        """The clues with the elements of the argument in another order; None if that fails."""
        with contextlib.suppress(Exception):  # whatever a function raises for other values
            return Clues(self.fault.elsewhere()) if self.fault.elsewhere else None
        return None

    def pulled(self, dy: np.ndarray) -> np.ndarray:
        """The right gradient for another output gradient: J dy."""
        return np.asarray(self.J @ np.asarray(dy, np.float64).reshape(-1)).reshape(self.x.shape)

    @cached_property
    def claimed(self) -> np.ndarray | None:
        """What the backward claims of the Jacobian; None if it fails, or has too many columns."""
        vjp, size = self.fault.vjp, self.y.size
        if vjp is None or size > MOST_OUTPUTS or not self.x.size:
            return None
        columns = np.empty((self.x.size, size))
        unit = np.zeros(size)
        try:
            for j in range(size):
                unit[j] = 1
                columns[:, j] = np.asarray(vjp(unit.reshape(self.y.shape))).reshape(-1)
                unit[j] = 0
        except Exception:  # a backward that minds zeros is judged by what it does otherwise
            return None
        return columns if np.isfinite(columns).all() else None

    @cached_property
    def tolerance(self) -> float:
        """How far entries of J and B may lie apart by rounding and noise."""
        largest = float(np.abs(self.J).max(initial=0))
        if self.claimed is None:
            return 1e-7 * largest
        gap = float(np.abs(self.claimed - self.J)[self.usable.reshape(-1)].max(initial=0))
        largest = max(largest, float(np.abs(self.claimed).max(initial=0)))
        return max(min(1e-7 * largest, 0.01 * gap), 3e-9 * largest)

    @cached_property
    def entries(self) -> Entries:
        """The entries of B and J; needs B."""
        assert self.claimed is not None
        B, J = (np.where(np.abs(M) > self.tolerance, M, 0.0) for M in (self.claimed, self.J))
        i, j = np.nonzero(((B != 0) | (J != 0)) & self.usable.reshape(-1, 1))
        claimed, right = B[i, j], J[i, j]
        return Entries(i, j, claimed, right, np.abs(claimed - right) > self.tolerance)

    # ----- the arguments -------------------------------------------------------------------------

    @cached_property
    def floats(self) -> dict[int, np.ndarray]:
        """The arguments that are float arrays, by place."""
        return {
            place: value
            for place, value in enumerate(self.fault.args)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f"
        }

    def label(self, place: int) -> str:
        """The name of an argument."""
        names = self.fault.names
        return names[place] if place < len(names) else f"input {place}"

    @cached_property
    def out(self) -> str:
        """What the output is called in formulas."""
        return "out" if "y" in self.fault.names[: len(self.fault.args)] else "y"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every argument that is no float array, by name, defaults included."""
        fault = self.fault
        known: dict[str, Any] = {}
        with contextlib.suppress(TypeError, ValueError):
            parameters = inspect.signature(fault.forward).parameters.values()
            known = {p.name: p.default for p in parameters if p.default is not p.empty}
        for place, value in enumerate(fault.args):
            if place not in self.floats:
                known[self.label(place)] = value
            else:
                known.pop(self.label(place), None)
        return {**known, **fault.settings}

    @cached_property
    def numbers(self) -> dict[str, float]:
        """The settings that are numbers."""
        known = self.settings.items()
        return {k: v for k, v in known if type(v) in (int, float) and math.isfinite(v)}

    # ----- other circumstances -------------------------------------------------------------------

    def output(
        self, args: dict[int, Any] | None = None, settings: dict[str, Any] | None = None
    ) -> np.ndarray:
        """The function's output, with some arguments (by place) or settings changed.

        Raises ElsewhereError where the function fails, or gives an output of another shape.
        """
        given = [copied(value) for value in self.fault.args]
        chosen = {name: copied(value) for name, value in self.fault.settings.items()}
        for name, value in (settings or {}).items():
            names = self.fault.names[: len(given)]
            if name in names:
                given[names.index(name)] = value
            else:
                chosen[name] = value
        for place, value in (args or {}).items():
            given[place] = value
        try:
            y = output_of(self.fault.forward(*given, **chosen))
        except Exception as error:  # whatever it raises for values that it was not called with
            raise ElsewhereError from error
        if y.shape != self.y.shape:
            raise ElsewhereError
        return np.asarray(y, np.float64)

    def at(
        self, args: dict[int, Any] | None = None, settings: dict[str, Any] | None = None
    ) -> Callable[[np.ndarray], np.ndarray]:
        """The function of this argument alone, in changed circumstances."""
        return lambda x: self.output({**(args or {}), self.fault.place: x}, settings)

    def likely(self, f: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> bool:
        """Whether the gradient of f at x is the analytic one along a random direction.

        So little tells most suspects off that are not worth a whole Jacobian.
        """
        slope, claimed = self.slope(f, x), (self.direction * self.fault.analytic).sum()
        return bool(abs(slope - claimed) <= 1e-5 * (abs(slope) + abs(claimed)))

    def slope(self, f: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
        """The slope of sum(dy f) along the random direction at x."""
        up, down = (float((self.dy * f(x + h * self.direction)).sum()) for h in (STEP, -STEP))
        return (up - down) / (2 * STEP)

    @cached_property
    def locals(self) -> dict[str, np.ndarray]:
        """The float arrays that the function has in variables when it returns, by name."""
        code = getattr(inspect.unwrap(self.fault.forward), "__code__", None)
        found: dict[str, Any] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code is code:
                found.update(frame.f_locals)

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            self.output()
        except ElsewhereError:
            return {}
        finally:
            sys.setprofile(before)
        known = set(self.fault.names) | set(self.settings)
        return {
            name: np.array(value)
            for name, value in found.items()
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and name not in known
        }

    @cached_property
    def direction(self) -> np.ndarray:
        """A random direction of x."""
        return np.random.default_rng(2).standard_normal(self.x.shape)

    # ----- numbers with a name -------------------------------------------------------------------

    @cached_property
    def sizes(self) -> dict[str, float]:
        """What a factor may be: sizes by their usual names, and the settings that are numbers."""
        found: dict[str, float] = {}
        shape, out = self.x.shape, self.y.shape
        if len(out) == 4:
            found.update(
                N=out[0], **{"OH*OW": out[2] * out[3], "N*OH*OW": out[0] * out[2] * out[3]}
            )
            found.update(OH=out[2], OW=out[3], O=out[1])
            for a in self.floats.values():
                if a.ndim == 4 and a.shape[0] == out[0]:
                    found.update({"C": a.shape[1], "H*W": a.shape[2] * a.shape[3]})
                elif a.ndim == 4 and a.shape != out:
                    found.update({"KH*KW": a.shape[2] * a.shape[3], "KH": a.shape[2]})
                    found["C*KH*KW"] = a.shape[1] * a.shape[2] * a.shape[3]
        elif out or shape:
            found["N"] = (out or shape)[0]
        if self.x.size % max(self.y.size, 1) == 0:
            found["n, the number of elements of each output"] = self.x.size // self.y.size
        for name, value in self.settings.items():
            parts = value if isinstance(value, (tuple, list)) else (value,)
            if not all(type(part) in (int, float) for part in parts) or len(parts) not in (1, 2):
                continue
            found.setdefault(name, parts[0])
            if "kernel" in name or "pool" in name or len(parts) == 2:
                found.setdefault(f"the area of {name}", parts[0] * parts[-1])
            if isinstance(value, float) and 0 < value < 1:
                found[f"(1 - {name})"] = 1 - value
        found.setdefault(f"the number of elements of {self.name}", self.x.size)
        if self.y.size == 1:
            found.setdefault(self.out, float(self.y.item()))
        found.setdefault("the number of outputs", self.y.size)
        for owner, sides in ((self.name, shape), ("the output", out)):
            for axis, n in enumerate(sides):
                found.setdefault(f"the size of axis {axis} of {owner}", n)
        return {k: float(n) for k, n in found.items() if math.isfinite(n) and n not in (0, 1, -1)}

    def named(self, factor: float) -> str | None:
        """What `factor` is in terms of the sizes, such as "OH*OW" or "1/N"; None if nothing."""
        sign, size = ("-" if factor < 0 else ""), abs(factor)
        values = self.sizes | {
            "ln 10": math.log(10),
            "ln 2": math.log(2),
            "pi": math.pi,
            "180/pi": 180 / math.pi,
        }
        texts: list[str] = []
        for own in (self.numbers, values):  # a setting says more than a size
            for form, of in FORMS if own is self.numbers else FORMS[:SIZED]:
                found = [name for name, n in own.items() if n > 0 and _is(of, n, size)]
                if found:
                    texts += [sign + form.format(_bracketed(name, form)) for name in found]
                    break
        return " or ".join([*dict.fromkeys(texts)][:3]) or self._sum_or_mean(factor)

    def quotient(self, factor: float) -> str:
        """What `factor` is as a quotient of two sizes; "" if it is none."""
        texts: dict[tuple[float, float], str] = {}  # of several names of two sizes the first
        for (a, n), (b, m) in itertools.permutations(self.sizes.items(), 2):
            if n != m and close(n / m, abs(factor)):
                above, below = (_bracketed(name, "1/{}") for name in (a, b))
                texts.setdefault((n, m), "-" * (factor < 0) + f"{above}/{below}")
        return " or ".join([*texts.values()][:2])

    def has_name(self, factor: float) -> bool:
        """Whether a factor is a simple fraction or has a name."""
        return self.named(factor) is not None or "." not in self.constant(factor)

    def _sum_or_mean(self, factor: float) -> str | None:
        """What `factor` is of the elements of an argument or variable: their sum or mean."""
        arrays = {self.label(place): a for place, a in self.floats.items()} | self.locals
        for name, a in arrays.items():
            for what, value in (("sum", a.sum()), ("mean", a.mean())) if a.size > 1 else ():
                if value and close(factor, value):
                    return f"the {what} of {name}"
                if value and close(factor, 1 / value):
                    return f"1/(the {what} of {name})"
        return None

    def constant(self, factor: float) -> str:
        """A factor in words: a simple fraction, something with a name, or else the number."""
        if abs(factor) < 1e-7:
            return "0"
        for denominator in (1, 2, 3, 4, 6, 8):
            numerator = factor * denominator
            if abs(numerator) < 5 and close(numerator, round(numerator), 1e-7):
                whole = str(round(numerator))
                return whole if denominator == 1 else f"{whole}/{denominator}"
        plain = short(factor)
        if self.by_element and len(plain.lstrip("-0.")) <= 2:
            return plain  # a function of each element by itself knows no sizes
        return (self.named(factor) or plain).partition(" or ")[0]

    @cached_property
    def by_element(self) -> bool:
        """Whether each output depends on the input at its own place alone."""
        return self.x.shape == self.y.shape and not np.any(self.J[~np.eye(self.x.size, dtype=bool)])


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
    ("1/(1 - {})", lambda n: 1 / (1 - n)),
    ("(1 - {0})/{0}", lambda n: (1 - n) / n),
    ("{0}/(1 - {0})", lambda n: n / (1 - n)),
)


def _is(of: Callable[[float], float], n: float, size: float) -> bool:
    try:
        return close(of(n), size)
    except ZeroDivisionError:
        return False


def _bracketed(name: str, form: str) -> str:
    name = name.partition(",")[0]
    whole = form == "{}" or name in ("ln 10", "ln 2") or name.startswith("(")
    return f"({name})" if any(c in name for c in " */") and not whole else name


def output_of(result: Any) -> np.ndarray:
    """y of what an op's body returned: `y` or `(y, dx, ...)`, an array or a tensor."""
    y = result[0] if isinstance(result, tuple) else result
    return np.asarray(getattr(y, "array", y))


def jacobian(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """df_j / dx_i by central differences, (x.size, f(x).size)."""
    x = np.array(x, dtype=np.float64, order="C")  # so that flat is a view of it
    flat, rows = x.reshape(-1), []
    for i, value in enumerate(flat):
        h = STEP * max(1.0, abs(value))
        flat[i] = above = value + h
        up = f(x.copy())
        flat[i] = below = value - h
        rows.append(((up - f(x.copy())) / (above - below)).reshape(-1))
        flat[i] = value
    return np.array(rows)


def flat_places(shape: tuple[int, ...], flat: np.ndarray) -> Iterator[np.ndarray]:
    """The coordinates of flat places, an array for each axis."""
    yield from np.unravel_index(flat, shape) if shape else ()


def axis_name(axis: int, array: np.ndarray) -> str:
    """An axis in words, of images with what it counts: "axis 2 (rows)"."""
    counted = ("images", "channels", "rows", "columns")
    return f"axis {axis}" + (f" ({counted[axis]})" if array.ndim == 4 else "")


def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers are the same to rounding and noise."""
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def short(value: float) -> str:
    """A number as a person would write it."""
    text = f"{value:.6g}"
    if not np.isfinite(value):
        return text
    return text if float(text) != round(value) or value == round(value) else f"{value:.10g}"
