"""What a submission gave beside what it should have given, in words and small arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
LARGEST_SIDE = 8  # rows and columns of an array that are shown


def unlike(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where two arrays of equal shape differ by more than rounding: a boolean array."""
    tolerance = TOLERANCE[str(expected.dtype)] * max(1.0, float(np.abs(expected).max(initial=0)))
    with np.errstate(invalid="ignore"):
        return np.asarray(~(np.abs(actual - expected) <= tolerance))  # NaN differs from all


def wrong_kind(name: str, actual: Any, expected: np.ndarray) -> str:
    """Why `actual` is no answer at all: no array, of the wrong shape or dtype; empty if it is."""
    if actual is None:
        return f"{name} is None: does the function end with `return {name}`?"
    if expected.ndim == 0 and isinstance(actual, (int, float, np.number)):
        return ""
    if not isinstance(actual, np.ndarray):
        return f"{name} is a {type(actual).__name__}, it must be a NumPy array"
    if actual.shape != expected.shape:
        return f"{name} has shape {actual.shape}, it must be {expected.shape}"
    if actual.dtype != expected.dtype and (expected.ndim or actual.dtype.kind not in "iuf"):
        return (
            f"{name} has dtype {actual.dtype} for inputs of {expected.dtype}; make it in the dtype "
            "of the input, as in `np.zeros(shape, x.dtype)`"
        )
    return ""


def side_by_side(name: str, actual: np.ndarray, expected: np.ndarray) -> str:
    """The first two-dimensional slice that differs: expected, yours, and where they differ."""
    wrong = unlike(actual, expected)
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    lead = place[:-2]
    index = f"[{', '.join(map(str, lead))}]" if lead else ""
    blocks = [_matrix(array[lead]) for array in (expected, actual, wrong)]
    shown = [
        _column("expected", _rows(blocks[0])),
        _column("yours", _rows(blocks[1])),
        _column("differs", [" ".join("X" if v else "." for v in row) for row in blocks[2]]),
    ]
    lines = ["    ".join(parts).rstrip() for parts in zip(*shown)]
    count = f"{np.count_nonzero(wrong)} of {wrong.size} elements differ"
    return "\n".join([f"{name}{index}  ({count}, the first at {place})", *lines])


def _matrix(array: Any) -> np.ndarray:
    """At most LARGEST_SIDE rows and columns of an array of up to two axes."""
    return np.atleast_2d(np.asarray(array))[:LARGEST_SIDE, :LARGEST_SIDE]


def _rows(matrix: np.ndarray) -> list[str]:
    """The lines of a matrix, in columns."""
    cells = [[number(v) for v in row] for row in matrix.tolist()]
    width = max((len(cell) for row in cells for cell in row), default=0)
    return [" ".join(cell.rjust(width) for cell in row) for row in cells]


def number(value: float) -> str:
    """A number in at most five digits: -3, 0.5, 1.2346."""
    return f"{value:.5g}" if value != 0 else "0"


def _column(title: str, lines: Sequence[str]) -> list[str]:
    width = max(map(len, [title, *lines]))
    return [line.ljust(width) for line in (title, *lines)]


def describe(name: str, value: Any) -> str:
    """An argument as text: small arrays in full, larger ones by their shape."""
    if not isinstance(value, np.ndarray):
        return f"{name} = {value!r}"
    if value.size > 40 or value.ndim < 1:
        return f"{name} of shape {value.shape}"
    lead = value.shape[:-2]
    lines = [f"{name} of shape {value.shape}"]
    for index in np.ndindex(*lead):
        label = f"[{', '.join(map(str, index))}]  " if np.prod(lead) > 1 else "  "
        rows = _rows(np.atleast_2d(value[index]))
        lines += [(label if i == 0 else " " * len(label)) + row for i, row in enumerate(rows)]
    return "\n".join(lines)
