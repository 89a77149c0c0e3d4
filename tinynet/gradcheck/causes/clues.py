"""What a suspect may look at: the fault, and gradients of the same function in other circumstances.

A suspect is a transformation: it builds the gradient that its mistake would give. `Clues` has what
several of them need: the settings by name, the sizes by name, the Jacobian, and the gradient by
differences with another output gradient, other arguments or other settings.
"""

from __future__ import annotations

import copy
import itertools
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tinynet.gradcheck.fault import Fault

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)
LARGEST_JACOBIAN = 4_000_000  # elements: 32 MB
EXACT = 1e-7  # of the largest element: how well two computations in float64 agree


class ElsewhereError(Exception):
    """The function cannot be run in other circumstances than those it was called in."""


class Suspect(NamedTuple):
    """A mistake, and the gradient that it would give.

    cause: its name. evidence: what was compared, with the numbers. noise: the uncertainty of
    `gradient`, 0 if it was computed and not measured.
    """

    cause: str
    evidence: str
    gradient: np.ndarray
    noise: Any = 0.0


class Clues:
    """One fault, and what can be computed of it. Everything is worked out when first asked for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.x = np.asarray(fault.args[fault.place])
        self.name = fault.names[fault.place]
        self.y = np.asarray(fault.y)
        self.dy = np.asarray(fault.dy)
        self.analytic, self.numeric = fault.analytic, fault.numeric
        usable = np.isfinite(fault.numeric) & np.isfinite(fault.noise)
        self.noise = np.where(usable, fault.noise, 0.0)
        self.usable = usable
        self.gap = float(np.abs(np.where(usable, self.analytic - self.numeric, 0)).max(initial=0))
        self.scale = float(np.abs(self.analytic).max(initial=0))
        self.scale = max(self.scale, float(np.abs(self.numeric[usable]).max(initial=0)))

    def explains(self, suspect: Suspect) -> bool:
        """Whether the suspect's gradient is the analytic one, in every element.

        What is left must lie within the noise, and be nothing beside the gap that it explains.
        """
        if suspect.gradient.shape != self.analytic.shape or not self.gap:
            return False
        measured = np.any(suspect.noise)
        left = np.abs(suspect.gradient - self.analytic)
        left = np.where(self.usable, left, 0.0) if measured else left
        allowed = np.minimum(10 * np.abs(suspect.noise) + EXACT * self.scale, 0.01 * self.gap)
        return bool((left <= allowed).all())

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
    def settings(self) -> dict[str, Any]:
        """Every argument that is no float array, by name, defaults included."""
        import inspect  # seldom needed, and slow to load

        fault = self.fault
        known: dict[str, Any] = {}
        try:
            parameters = inspect.signature(fault.forward).parameters.values()
            known = {p.name: p.default for p in parameters if p.default is not p.empty}
        except (TypeError, ValueError):
            pass
        for place, value in enumerate(fault.args):
            if place not in self.floats:
                known[self.label(place)] = value
            else:
                known.pop(self.label(place), None)
        return {**known, **fault.settings}

    # ----- other circumstances -------------------------------------------------------------------

    def output(
        self, args: dict[int, Any] | None = None, settings: dict[str, Any] | None = None
    ) -> np.ndarray:
        """The function's output, with some arguments (by place) or settings changed.

        Raises ElsewhereError where the function fails, or gives an output of another shape.
        """
        given = [fresh(value) for value in self.fault.args]
        chosen = {name: fresh(value) for name, value in self.fault.settings.items()}
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
        return y

    def gradient(
        self,
        dy: np.ndarray,
        args: dict[int, Any] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """dL/dx by central differences for L = sum(dy * y), in changed circumstances."""
        args = dict(args or {})
        place = self.fault.place
        start = np.asarray(args.pop(place, self.x))

        def loss(x: np.ndarray) -> float:
            return float((dy * self.output({**args, place: x}, settings)).sum())

        return differences(loss, start)

    @cached_property
    def jacobian(self) -> np.ndarray | None:
        """J[i, j] = dy_j / dx_i by central differences, (x.size, y.size); None if too large."""
        if self.x.size * self.y.size > LARGEST_JACOBIAN:
            return None
        place = self.fault.place
        x = np.array(self.x, dtype=np.float64, order="C")  # so that flat is a view of it
        flat = x.reshape(-1)
        J = np.empty((x.size, self.y.size))
        for i, value in enumerate(flat):
            h = STEP * max(1.0, abs(value))
            flat[i] = above = value + h
            up = self.output({place: x.copy()})
            flat[i] = below = value - h
            down = self.output({place: x.copy()})
            flat[i] = value
            J[i] = ((up - down) / (above - below)).reshape(-1)
        J[np.abs(J) < 1e-9 * max(1.0, float(np.abs(J).max(initial=0)))] = 0.0
        return J

    @cached_property
    def blur(self) -> float:
        """How far a gradient made with the Jacobian may be off."""
        return 1e-8 * self.scale + float(self.noise.max(initial=0))

    def pulled(self, dy: np.ndarray) -> np.ndarray:
        """The right gradient for another output gradient: J^T dy."""
        assert self.jacobian is not None
        slope: np.ndarray = self.jacobian @ np.asarray(dy).reshape(-1)
        return slope.reshape(self.x.shape)

    # ----- numbers with a name -------------------------------------------------------------------

    @cached_property
    def sizes(self) -> dict[str, float]:
        """What a factor may be: sizes by their usual names, and the settings that are numbers."""
        found: dict[str, float] = {}
        shape, out = self.x.shape, self.y.shape
        kernels = [a for a in self.floats.values() if a.ndim == 4 and a.shape != out]
        if self.y.ndim == 4:
            found.update(N=out[0], **{"OH*OW": out[2] * out[3], "OH": out[2], "OW": out[3]})
            found.update({"O": out[1], "N*OH*OW": out[0] * out[2] * out[3]})
            for a in kernels:
                if a.shape[0] == out[0]:
                    found.update({"C": a.shape[1], "H*W": a.shape[2] * a.shape[3]})
                else:
                    found.update({"KH*KW": a.shape[2] * a.shape[3], "KH": a.shape[2]})
                    found["C*KH*KW"] = a.shape[1] * a.shape[2] * a.shape[3]
        elif self.y.ndim >= 1:
            found["N"] = out[0]
            found.update({f"the size {n} of axis {i} of the output": n for i, n in enumerate(out)})
        elif shape:
            found["N"] = shape[0]
        for name, value in self.settings.items():
            if isinstance(value, (bool, str)) or value is None:
                continue
            parts = value if isinstance(value, (tuple, list)) else (value,)
            if all(isinstance(part, (int, float)) for part in parts) and len(parts) in (1, 2):
                found.setdefault(name, parts[0])
                if "kernel" in name or len(parts) == 2:
                    found.setdefault(f"the area of {name}", parts[0] * parts[-1])
                if isinstance(value, float) and 0 < value < 1:
                    found[f"1 - {name}"] = 1 - value
        found.setdefault(f"the number of elements of {self.name}", self.x.size)
        if self.y.size > 1:
            found.setdefault("the number of outputs", self.y.size)
        for i, n in enumerate(shape):
            found.setdefault(f"the size of axis {i} of {self.name}", n)
        return {name: float(n) for name, n in found.items() if n not in (0, 1)}

    def named(self, factor: float) -> str | None:
        """What `factor` is in terms of the sizes, such as "OH*OW" or "1/N"; None if nothing."""
        found = []
        for name, value in self.sizes.items():
            for power, text in (
                (1, name),
                (-1, f"1/({name})" if " " in name or "*" in name else f"1/{name}"),
            ):
                if close(abs(factor), value**power):
                    found.append(("-" if factor < 0 else "") + text)
        return " = ".join(found[:3]) or None


def fresh(value: Any) -> Any:
    """A copy of what a function could change: arrays and generators."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value


def output_of(result: Any) -> np.ndarray:
    """y of what an op's body returned: `y` or `(y, dx, ...)`, an array or a tensor."""
    y = result[0] if isinstance(result, tuple) else result
    return y if isinstance(y, np.ndarray) else np.asarray(getattr(y, "data", y))


def differences(loss: Any, x: np.ndarray) -> np.ndarray:
    """The gradient of a scalar function by central differences."""
    x = np.array(x, dtype=np.float64, order="C")  # so that flat is a view of it
    flat = x.reshape(-1)
    slope = np.empty(x.size)
    for i, value in enumerate(flat):
        h = STEP * max(1.0, abs(value))
        flat[i] = above = value + h
        up = loss(x.copy())
        flat[i] = below = value - h
        slope[i] = (up - loss(x.copy())) / (above - below)
        flat[i] = value
    return slope.reshape(x.shape)


def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers are the same to rounding and noise."""
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers, to rounding."""
    if a.shape != b.shape:
        return False
    size = float(np.abs(b).max(initial=0)) or 1.0
    return bool((np.abs(a - b) <= 1e-9 * size).all())


def subsets(items: int) -> list[tuple[int, ...]]:
    """The proper, non-empty subsets of range(items), small ones first."""
    return [chosen for n in range(1, items) for chosen in itertools.combinations(range(items), n)]
