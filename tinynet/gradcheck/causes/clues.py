"""What a look may use: the fault, both Jacobians, and the function in other circumstances.

The right Jacobian J is known by differences. The backward pass claims another, B: its columns are
what it makes of the unit vectors of dy. A look compares the two, or builds the gradient that a
mistake would give.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from tinynet.gradcheck.causes.numbers import sizes
from tinynet.gradcheck.differences import Elements
from tinynet.gradcheck.subject import LONGER, TooMuchError, bounded
from tinynet.gradcheck.trace import called, copied, is_array, parameters, written

STEP: float = np.finfo(np.float64).eps ** (1 / 3)
EXACT = 1e-7  # of the largest element: how well two computations in float64 agree
ROUNDED = 1e-12  # of the right gradient: what is left of a sum that is 0
WORK = 600_000  # lines that are run in all tries together: some ten seconds
MORE = 10_000  # lines that a function may run on another way through it


Made = TypeVar("Made")


@dataclass
class Fault:
    """One wrong gradient, as the search (`locate.py`) hands it over. Arrays are float64.

    call: the operation's body, which returns y, or (y, dx, ...), its arguments, settings and y.
    place: which of the arguments has the wrong gradient. dy: the random gradient of y that was sent
    back. analytic: what the backward pass gave. elements: the same by differences. others: by
    place, the jacobian of the other float arguments. vjp: the operation's own backward for this
    argument, None if there is none. elsewhere, resized: the same fault with other values, and with
    other sizes, the likeliest first. tried: what was tried for other faults of the report.
    """

    call: Any
    place: int
    dy: np.ndarray
    analytic: np.ndarray
    elements: Elements
    others: dict[int, np.ndarray]
    vjp: Callable[[np.ndarray], np.ndarray] | None
    elsewhere: Callable[[], Iterator[Fault]] = lambda: iter(())
    resized: Callable[[], Iterator[Fault]] = lambda: iter(())
    tried: Tried = field(default_factory=lambda: Tried())


@dataclass
class Tried:
    """What the looks of one report have tried in the code, of all its arguments and operations.

    cures: what was found to be wrong. left: how much may be tried yet, in lines that are run.
    """

    cures: list[str] = field(default_factory=list)
    left: int = WORK


class ElsewhereError(Exception):
    """The function cannot be run, or its backward be asked, in other circumstances."""


class Suspect(NamedTuple):
    """A mistake: its name, what shows it, and the gradient that it would give: as a Jacobian, or
    as a function of dy. None where the look has compared all entries itself."""

    cause: str
    evidence: str
    gradient: Any = None


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
        self.fault, self.call = fault, fault.call
        self.x = np.asarray(self.call.args[fault.place])
        self.name = self.call.names[fault.place]
        self.y, self.dy = np.asarray(self.call.y), np.asarray(fault.dy)
        self.analytic, self.numeric = fault.analytic, fault.elements.numeric
        self.J, noise = fault.elements.jacobian, fault.elements.noise
        self.usable = np.isfinite(self.numeric) & np.isfinite(noise)
        self.noise = np.where(self.usable, noise, 0.0)
        self._made: dict[Any, Any] = {}

    # ----- does a mistake explain the gradient? --------------------------------------------------

    @cached_property
    def tests(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(dy, what the backward makes of it, what is right): of two output gradients.

        Few elements may fit by chance for one.
        """
        fault = self.fault
        found = [(self.dy, fault.analytic, self.numeric)]
        if fault.vjp is not None:
            dy = np.random.default_rng(1).standard_normal(self.dy.shape)
            with contextlib.suppress(Exception):  # a backward that runs only once says no more
                again = np.asarray(fault.vjp(dy), np.float64).reshape(fault.analytic.shape)
                found.append((dy, again, self.pulled(dy)))
        return found

    def explains(self, gradient: Any) -> bool:
        """Whether a gradient, a Jacobian or a function of dy, is the analytic one in every element.

        What is left must lie within the noise, and be nothing beside the gap that it explains.
        """
        for dy, analytic, numeric in self.tests:
            given = gradient(dy) if callable(gradient) else gradient @ dy.reshape(-1)
            given = np.asarray(given, np.float64)
            if given.size != analytic.size:
                return False
            left = np.where(self.usable, np.abs(given.reshape(analytic.shape) - analytic), 0.0)
            gap = np.where(self.usable, np.abs(analytic - numeric), 0.0).max(initial=0)
            scale = max(np.abs(g).max(initial=0) for g in (analytic, numeric[self.usable]))
            if not gap or (left > np.minimum(10 * self.noise + EXACT * scale, 0.01 * gap)).any():
                return False
        return True

    def is_right(self, gradient: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Which elements of a gradient are right, to the noise; those that cannot be told are."""
        allowed = 10 * self.noise + EXACT * np.abs(right[self.usable]).max(initial=0)
        return np.asarray((np.abs(gradient - right) <= allowed) | ~self.usable)

    @cached_property
    def elsewhere(self) -> list[Clues]:
        """The clues with other values, at some of which the gradient is wrong as well."""
        return _wrong_too(self.fault.elsewhere(), 3)

    @cached_property
    def resized(self) -> list[Clues]:
        """The same with other sizes."""
        return _wrong_too(self.fault.resized(), 2)

    @cached_property
    def is_varied(self) -> bool:
        """Whether three rows of J differ, or J does for other values."""
        different = np.unique(np.rint(self.J / (1e-5 * np.abs(self.J).max())), axis=0)
        others = (there.J for there in self.elsewhere)
        return len(different) > 2 or not all(np.allclose(J, self.J) for J in others)

    def is_confirmed(self, text: str, look: Callable[[Clues], Iterable[str]]) -> bool:
        """Whether a look says the same, but for numbers, with other values and another size as
        well: so a mistake is told from chance."""

        def says(there: Clues) -> bool:
            return _bare(text) in map(_bare, look(there))

        return all(map(says, self.elsewhere)) and (not self.resized or any(map(says, self.resized)))

    def pulled(self, dy: np.ndarray) -> np.ndarray:
        """The right gradient for another output gradient: J dy."""
        return np.asarray(self.J @ np.asarray(dy, np.float64).reshape(-1)).reshape(self.x.shape)

    @cached_property
    def claimed(self) -> np.ndarray:
        """What the backward claims of the Jacobian; ElsewhereError if it cannot be asked."""
        vjp, shape = self.fault.vjp, self.y.shape
        if vjp is None:
            raise ElsewhereError
        units = np.eye(self.y.size).reshape(-1, *shape)
        columns = np.stack([np.array(vjp(unit), np.float64).reshape(-1) for unit in units], axis=1)
        if not np.isfinite(columns).all():
            raise ElsewhereError
        return columns

    @cached_property
    def tolerance(self) -> float:
        """How far entries of J and B may lie apart by rounding and noise."""
        largest = float(np.abs(self.J).max(initial=0))
        gap = float(np.abs(self.claimed - self.J)[self.usable.reshape(-1)].max(initial=0))
        largest = max(largest, float(np.abs(self.claimed).max(initial=0)))
        return max(min(1e-7 * largest, 0.01 * gap), 3e-9 * largest)

    @cached_property
    def entries(self) -> Entries:
        """The entries of B and J; ElsewhereError if none is wrong."""
        B, J = (np.where(np.abs(M) > self.tolerance, M, 0.0) for M in (self.claimed, self.J))
        i, j = np.nonzero(((B != 0) | (J != 0)) & self.usable.reshape(-1, 1))
        claimed, right = B[i, j], J[i, j]
        wrong = np.abs(claimed - right) > self.tolerance
        if not wrong.any():
            raise ElsewhereError
        return Entries(i, j, claimed, right, wrong)

    def once(self, make: Callable[[Clues], Made]) -> Made:
        """What a function makes of these clues, made when first asked for."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast("Made", self._made[make])

    # ----- the arguments -------------------------------------------------------------------------

    @cached_property
    def floats(self) -> dict[int, np.ndarray]:
        """The arguments that are float arrays, by place."""
        return {place: value for place, value in enumerate(self.call.args) if is_array(value, "f")}

    def label(self, place: int) -> str:
        """The name of an argument."""
        return str(self.call.names[place])

    @cached_property
    def out(self) -> str:
        """What the output is called in formulas."""
        return "out" if "y" in self.call.names[: len(self.call.args)] else "y"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every argument that is no float array, by name, defaults included."""
        fault = self.fault
        known: dict[str, Any] = {}
        with contextlib.suppress(TypeError, ValueError):
            known = {p.name: p.default for p in parameters(fault.call.body)}
            known = {n: value for n, value in known.items() if value is not inspect.Parameter.empty}
        known |= {self.label(place): value for place, value in enumerate(fault.call.args)}
        known |= fault.call.settings
        for name, value in known.items():
            if isinstance(value, list) and value and all(type(part) is int for part in value):
                known[name] = np.array(value)
        floats = set(map(self.label, self.floats))
        return {name: value for name, value in known.items() if name not in floats}

    @cached_property
    def constants(self) -> dict[str, float]:
        """The other numbers that the code has in reach: m, SCALE, Config.momentum, layer.p."""
        taken = [held for _, held in called(written(self.call.body).values())]
        held = {name: value for names in (*taken, self.frame) for name, value in names.items()}
        for name, value in list(held.items()):
            with contextlib.suppress(Exception):  # of a proxy, or what else refuses a look
                inner = {} if inspect.ismodule(value) else dict(getattr(value, "__dict__", {}))
                held |= {f"{name}.{n}": v for n, v in inner.items() if n[0] != "_"}
        return {n: float(v) for n, v in held.items()
                if isinstance(v, float) and v % 1 and n not in self.settings}  # fmt: skip

    @cached_property
    def numbers(self) -> dict[str, float]:
        """The settings that are numbers."""
        known = self.settings.items()
        return {k: v for k, v in known if type(v) in (int, float) and math.isfinite(v)}

    @cached_property
    def sizes(self) -> dict[str, float]:
        """What a factor may be, by name."""
        return sizes(self)

    @cached_property
    def locals(self) -> dict[str, np.ndarray]:
        """The float arrays of the variables."""
        return {name: a for name, a in self.variables.items() if is_array(a, "f")}

    @cached_property
    def variables(self) -> dict[str, np.ndarray]:
        """The float arrays and masks that the function has in variables when it returns."""
        known = set(self.call.names) | set(self.settings)
        return {
            name: np.array(value)
            for name, value in self.frame.items()
            if is_array(value, "fb") and name not in known
        }

    @cached_property
    def frame(self) -> dict[str, Any]:
        """What the function has in variables when it returns."""
        *_, function = written(self.call.body).values()
        code = getattr(function, "__code__", None)
        found: dict[str, Any] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code is code:
                found.update({n: getattr(v, "array", v) for n, v in frame.f_locals.items()})

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            self.output()
        except ElsewhereError:
            return {}
        finally:
            sys.setprofile(before)
        return found

    @cached_property
    def by_element(self) -> bool:
        """Whether each output depends on the input at its own place alone."""
        return self.x.shape == self.y.shape and not np.any(self.J[~np.eye(self.x.size, dtype=bool)])

    # ----- other circumstances -------------------------------------------------------------------

    @cached_property
    def lines(self) -> int:
        """How many lines the function runs as it is called."""
        with bounded(sys.maxsize) as lines:
            self.call.body(*map(copied, self.call.args), **self.call.settings)
        return lines.total()

    def output(self, x: np.ndarray | None = None, /, **changed: Any) -> np.ndarray:
        """The function's output, for another value of the argument, or of what is named.

        Raises ElsewhereError where the function fails, or gives an output of another shape.
        """
        args, settings = self.given(**changed)
        if x is not None:
            args[self.fault.place] = x
        try:
            with bounded(MORE + LONGER * self.lines):
                y = output_of(self.call.body(*args, **settings))
        except (Exception, TooMuchError) as error:  # whatever it raises for such values
            raise ElsewhereError from error
        if y.shape != self.y.shape:
            raise ElsewhereError
        return np.asarray(y, np.float64)

    def given(self, **changed: Any) -> tuple[list[Any], dict[str, Any]]:
        """Copies of what the function was called with, some values changed by name."""
        names = self.call.names[: len(self.call.args)]
        args = [copied(changed.pop(n, value)) for n, value in zip(names, self.call.args)]
        settings = {name: copied(value) for name, value in self.call.settings.items()}
        return args, settings | changed


def _wrong_too(faults: Iterator[Fault], most: int) -> list[Clues]:
    wrong = (c for c in map(Clues, faults) if not c.is_right(c.analytic, c.numeric).all())
    return list(itertools.islice(wrong, most))


def _bare(text: str) -> str:
    """A statement without its numbers, which differ from input to input; powers, shifts and values
    of settings are none."""
    text = re.sub(r"(?<![\w^.])(?<! by )(?<! = )(?<!-)-?\d[\d./]*", "#", text)
    return re.sub(r"#(( or|,) #)+", "#", text)


def is_nothing(gradient: np.ndarray, right: np.ndarray) -> bool:
    """Whether a gradient is 0 but for rounding, beside the right one."""
    return bool(np.abs(gradient).max(initial=0) <= ROUNDED * np.abs(right).max(initial=0))


def then(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The one function, and the other of what it gives."""
    return lambda value: second(first(value))


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


def slope(f: Callable[[Any], np.ndarray], x: np.ndarray, v: np.ndarray, dy: np.ndarray) -> float:
    """The slope of sum(dy * f) at x along v."""
    up, down = (float((dy * f(x + h * v)).sum()) for h in (STEP, -STEP))
    return (up - down) / (2 * STEP)


def flat_places(shape: tuple[int, ...], flat: np.ndarray) -> Iterator[np.ndarray]:
    """The coordinates of flat places, an array for each axis."""
    yield from np.unravel_index(flat, shape) if shape else ()


def axis_name(axis: int, array: np.ndarray) -> str:
    """An axis in words, of images with what it counts: "axis 2 (rows)"."""
    counted = ("images", "channels", "rows", "columns")
    return f"axis {axis}" + (f" ({counted[axis]})" if array.ndim == 4 else "")
