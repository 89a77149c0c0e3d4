"""Arrays changed in place: the clock, and what became stale.

A closure that saved an array is wrong once the array is overwritten. Changes are rare, so an
operation pays one comparison of integers, and only a change makes the backward pass look.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import weakref
from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinynet.autograd import Node

clock = itertools.count(1)  # numbers nodes and changes, in the order they happen
last = 0  # the moment of the last change

_changes: dict[int, list[Any]] = {}  # id of the owner -> [moment, weak reference to it]


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory under a view, also where NumPy has other objects between."""
    base = array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            array = base
        base = getattr(base, "obj" if isinstance(base, memoryview) else "base", None)
    return array


def _record(array: np.ndarray) -> list[Any]:
    """The entry in `_changes` for the memory under `array`."""
    owner = array if array.base is None else _owner(array)
    key = id(owner)
    known = _changes.get(key)
    if known is None or known[1]() is not owner:
        known = _changes[key] = [0, weakref.ref(owner, functools.partial(_changes.pop, key))]
    return known


def note_change(array: np.ndarray) -> None:
    """Remember that the memory of `array` was overwritten now."""
    global last
    record = _record(array)
    last = record[0] = next(clock)


class ChangedTogether:
    """Arrays that are overwritten at one time, again and again: `note()` is their `note_change`."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays = arrays  # alive, so that their records are
        self._records = [_record(array) for array in arrays]

    def note(self) -> None:
        """Remember that the memory of all of them was overwritten now."""
        global last
        last = now = next(clock)
        for record in self._records:
            record[0] = now


def changed_since(array: np.ndarray, moment: int) -> bool:
    """Whether the memory of `array` was overwritten after that moment."""
    record = _changes.get(id(_owner(array)))
    return record is not None and record[0] > moment


def saved_arrays(vjp: Any) -> Iterator[np.ndarray]:
    """The arrays that a closure keeps alive for the backward pass."""
    pending = [vjp]
    seen = set()
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (tuple, list)):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif type(value) not in _PLAIN:
            pending.append(getattr(value, "function", None))  # of a gradient given with others
            pending.extend(getattr(value, "__defaults__", None) or ())
            for cell in getattr(value, "__closure__", None) or ():
                with contextlib.suppress(ValueError):  # a cell that is still empty
                    pending.append(cell.cell_contents)


_PLAIN = {
    bool, float, int, range, slice, str, tuple, list, type(None), type(...),
    *map(type, map(np.dtype, "fd")),
}  # fmt: skip
"""The types of values that describe an array, or are tuples and lists of such."""


def spent(vjps: Sequence[Any]) -> Sequence[Any]:
    """What is left of a node's closures once the backward pass has consumed them.

    All where they keep no array (of `a + b`, or a view): that may be passed again. Otherwise ().
    """
    try:
        for vjp in vjps:
            if type(vjp) is not FunctionType:
                return ()
            for cell in vjp.__closure__ or ():
                kind = type(cell.cell_contents)
                if kind not in _PLAIN or (kind in (tuple, list) and _keeps(cell.cell_contents)):
                    return ()
    except ValueError:  # a cell that is still empty
        return ()
    return vjps


def _keeps(values: Sequence[Any]) -> bool:
    """Whether a tuple or list holds an array, or what may hold one."""
    inside = [value for value in values if type(value) in (tuple, list)]
    return not _PLAIN.issuperset(map(type, values)) or any(map(_keeps, inside))


def check_saved_values(node: Node) -> None:
    """RuntimeError if a value that the node's gradients need was overwritten since."""
    for vjp in node.vjps:
        for array in saved_arrays(vjp):
            if changed_since(array, node.number):
                raise RuntimeError(
                    f"{node.name}: a value of shape {array.shape} that its gradient needs was "
                    "changed in place after the forward pass. Write `x = x + ...` in place of "
                    "`x += ...`, or change a copy (`x.clone()`)."
                )


def check_not_stale(array: np.ndarray, node: Node, name: str) -> None:
    """RuntimeError if the result of `node` was overwritten, through another tensor, since."""
    if changed_since(array, node.number):
        raise RuntimeError(
            f"{name}: the memory of its input of shape {array.shape}, made by {node.name!r}, "
            "was changed in place since, through a tensor that shares it or inside no_grad(); the "
            "gradient would be wrong. Compute the input again after the change, or change a copy "
            "(`.clone()`)."
        )
