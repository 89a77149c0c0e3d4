"""A function's NumPy calls in order, with some of their results held constant if need be.

    y = x * sigmoid(x)      x is used twice: by the product, and by the sigmoid.

The function is run on an array that writes down every call on it, or runs again with one value at a
time as it was. `inside.py` looks at what flows through each.
"""

import linecache
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

Key = tuple[int, int]  # the number of a call, and which of its operands; -1 for its result


class Tape:
    """One run: the calls so far. held: values that stand still, by key. writes: each array that a
    call wrote into, a copy of what it held before, and the call in words."""

    def __init__(self, held: dict[Key, np.ndarray] | None = None) -> None:
        self.held = held or {}
        self.values: dict[Key, np.ndarray] = {}
        self.names: dict[int, str] = {}  # of the calls, with the line of the function
        self.writes: list[tuple[np.ndarray, np.ndarray, str]] = []
        self.count = 0

    def call(self, name: str, inputs: list[Any], run: Callable[[list[Any]], Any]) -> Any:
        """Run one call on its operands, or on what is held in their place."""
        number, plain = self.count, []
        self.count += 1
        for operand, value in enumerate(inputs):
            if isinstance(value, Traced):
                self.values[number, operand] = np.array(value)
                value = self.held.get((number, operand), np.asarray(value))
            plain.append(value)
        result = run(plain)
        if not isinstance(result, np.ndarray) and not isinstance(result, np.floating):
            return result
        result = np.asarray(result)
        if not self.held:
            self.names[number] = _told(name)
        self.values[number, -1] = result.copy()
        return traced(self.held.get((number, -1), result).copy(), self)


def traced(array: np.ndarray, tape: Tape) -> "Traced":
    """An array whose uses are written down."""
    watched = np.asarray(array).view(Traced)
    watched.tape = tape
    return watched


class Traced(np.ndarray):
    """An array that tells its tape of each call on it; a view of it is no call."""

    tape: Any = None

    def __array_finalize__(self, parent: Any) -> None:
        self.tape = getattr(parent, "tape", None)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        options = {key: _plain(value) for key, value in options.items()}
        if out is not None:
            options["out"] = _plain(out)
            before = np.array(out[0])
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        result = self.tape.call(
            name, list(inputs), lambda operands: getattr(ufunc, method)(*operands, **options)
        )
        if out is None or not isinstance(out[0], np.ndarray):
            return result
        self.tape.writes.append((out[0], before, _told(name)))
        np.asarray(out[0])[...] = result
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        nested = [_plain(arg) if isinstance(arg, (list, tuple)) else arg for arg in args]
        options = {key: _plain(value) for key, value in options.items()}
        return self.tape.call(
            function.__name__, nested, lambda operands: function(*operands, **options)
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Traced):
        return np.asarray(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(part) for part in value)
    return value


def _told(name: str) -> str:
    """A call with the line of the function that makes it; of NumPy's functions the outermost."""
    frame: Any = sys._getframe(2)
    inner = ""
    while frame and (frame.f_code.co_filename == __file__ or "numpy" in frame.f_code.co_filename):
        if "numpy" in frame.f_code.co_filename:
            inner = frame.f_code.co_name.strip("_")
        frame = frame.f_back
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() if frame else ""
    where = f"`{text}`" if text else f"line {frame.f_lineno}" if frame else "the function"
    return f"{inner or name} in {where}"
