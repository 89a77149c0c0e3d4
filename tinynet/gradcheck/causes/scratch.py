"""A value that the forward pass saves, and overwrites before it returns.

    y = 1 / (1 + np.exp(-x)); result = y.copy(); y -= 1
    return result, lambda dy: dy * y * (1 - y)

From outside this is a wrong formula like any other. So the body is run once more under a trace,
which keeps what each array of the backward pass was after each line. If the backward is right with
what one of them was earlier, the line that changed it is the mistake.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.changes import saved_arrays
from tinynet.gradcheck.causes.clues import Clues
from tinynet.gradcheck.trace import OVERWRITTEN, copied

KEPT = 8  # earlier contents of one array: more are the steps of a sum that is built up


class _Versions:
    """What the arrays among the variables of a function held before each line that changed them."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self.code = getattr(inspect.unwrap(body), "__code__", None)
        self.now: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # the array itself, a copy
        self.earlier: dict[int, list[tuple[np.ndarray, int]]] = {}  # a copy, the line after it
        self.line = 0

    def called(self, frame: Any, event: str, _: Any) -> Any:
        return self.step if frame.f_code is self.code else None

    def step(self, frame: Any, event: str, _: Any) -> Any:
        for value in frame.f_locals.values():
            if not isinstance(value, np.ndarray):
                continue
            known = self.now.get(id(value))
            if known is None or not np.array_equal(known[1], value, equal_nan=True):
                if known is not None:
                    versions = self.earlier.setdefault(id(value), [])
                    versions.append((known[1], self.line))
                    del versions[:-KEPT]
                self.now[id(value)] = value, value.copy()
        self.line = frame.f_lineno
        return self.step


def overwritten(clues: Clues) -> tuple[str, str] | None:
    """Cause and evidence, if the backward is right with an earlier content of what it saved."""
    fault = clues.fault
    versions = _Versions(fault.forward)
    if versions.code is None or fault.vjp is None:
        return None
    args = [copied(value) for value in fault.args]
    settings = {name: copied(value) for name, value in fault.settings.items()}
    before = sys.gettrace()
    sys.settrace(versions.called)
    try:
        result = fault.forward(*args, **settings)
    except Exception:  # a body that minds being run again is not known better by this
        return None
    finally:
        sys.settrace(before)
    if not isinstance(result, tuple) or len(result) <= fault.place + 1:
        return None
    vjp = result[fault.place + 1]
    for array in saved_arrays(vjp):
        for content, line in reversed(versions.earlier.get(id(array), [])):
            if content.shape == array.shape and _right_with(clues, vjp, array, content):
                source = linecache.getline(versions.code.co_filename, line).strip()
                where = f"line {line}" + (f", `{source}`," if source else "")
                return (
                    OVERWRITTEN,
                    f"{where} changes an array of shape {array.shape} that the backward needs; "
                    "with what it held before that line the gradient is right",
                )
    return None


def _right_with(clues: Clues, vjp: Any, array: np.ndarray, content: np.ndarray) -> bool:
    """Whether the backward gives the numeric gradient if `array` holds `content`."""
    now = array.copy()
    try:
        array[...] = content
        dx = np.asarray(vjp(clues.dy.copy()), np.float64)
    except Exception:  # whatever a backward raises: it is not right
        return False
    finally:
        array[...] = now
    right = clues.fault.numeric
    if dx.shape != right.shape:
        return False
    left = np.where(clues.usable, np.abs(dx - right), 0)
    gap = np.abs(np.where(clues.usable, clues.fault.analytic - right, 0)).max(initial=0)
    allowed = 10 * clues.noise + 1e-7 * np.abs(right).max(initial=0)
    return bool((left <= np.minimum(allowed, 0.01 * gap)).all())
