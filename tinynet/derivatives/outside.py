"""What the body of an operation reads that is neither its argument nor made by it.

A value that an earlier call left in a memo, a list or an attribute is a constant to the record, so
its derivative would be lost without a word. Whether an array from outside was computed from the
inputs cannot be seen; so those that can change are refused, and a read-only one is a constant.
"""

import contextlib
import dis
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet.autograd import Variable
from tinynet.derivatives.traced import Traced

_KNOWN = {"numpy", "tinynet", *sys.stdlib_module_names}
"""Packages that keep no value from one call to the next."""
_GLOBALS, _ATTRIBUTES = frozenset({"LOAD_GLOBAL"}), frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_WRITTEN = frozenset({"STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR"})


class _Read(NamedTuple):
    """A value, and the code that reads it. kept: a number there may come from an earlier call."""

    place: str
    value: Any
    code: types.CodeType
    kept: bool


def refuse_kept_values(body: Callable[..., Any]) -> None:
    """TypeError if the body reads numbers or arrays of floats from outside that could change."""
    pending = list(_read_by(inspect.unwrap(body)))
    seen: set[tuple[int, types.CodeType]] = set()
    while pending:
        read = pending.pop()
        if (id(read.value), read.code) in seen:
            continue
        seen.add((id(read.value), read.code))
        if _may_have_changed(read):
            raise TypeError(
                f"{read.place} comes from outside the body, and if it was computed from the "
                "inputs, its derivative would be lost; compute it in the body, or make it an "
                "argument. Constants are arrays that are read-only (.flags.writeable = False), "
                "numbers with a name of their own, and tuples of numbers"
            )
        pending.extend(_inside(*read))


def _may_have_changed(read: _Read) -> bool:
    value = read.value.array if isinstance(read.value, Variable) else read.value
    if not isinstance(value, np.ndarray):
        return isinstance(value, Traced) or (read.kept and isinstance(value, (float, np.floating)))
    while isinstance(value.base, np.ndarray) and not value.flags.writeable:
        value = value.base
    return value.flags.writeable and value.dtype.kind in "fc"


def _inside(place: str, value: Any, code: types.CodeType, kept: bool) -> Iterator[_Read]:
    """What a value leads to, as far as the code goes there."""
    if isinstance(value, (dict, list, set, tuple)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield _Read(f"{place}[{key!r:.40}]", item, code, not isinstance(value, tuple))
        return
    if _is_known(value):
        return
    if isinstance(value, types.FunctionType):
        yield from _read_by(value)
    holders = [getattr(value, "__dict__", {}), *map(vars, type(value).__mro__)]
    for name in _names(code, _ATTRIBUTES) | {"__call__"}:
        found = next((holder[name] for holder in holders if name in holder), None)
        found = getattr(found, "__func__", getattr(found, "fget", found))  # static ones, properties
        yield _Read(f"{place}.{name}", found, code, name in _names(code, _WRITTEN))
        if isinstance(found, types.FunctionType) and not _is_known(found):
            yield _Read(place, value, found.__code__, False)


def _is_known(value: Any) -> bool:
    """Whether a module, or what a function, a class or an object comes from, keeps nothing."""
    named = isinstance(value, (types.FunctionType, types.ModuleType, type))
    owner: Any = value if named else type(value)
    home: str = getattr(owner, "__module__", None) or owner.__name__
    return home.partition(".")[0] in _KNOWN


def _read_by(function: types.FunctionType) -> Iterator[_Read]:
    """The globals, the variables of outer functions and the defaults that a function reads."""
    code, written = function.__code__, _names(function.__code__, _WRITTEN)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if not isinstance(value, np.ndarray):
            yield _Read("the default", value, code, False)
    for name in _names(code, _GLOBALS) & function.__globals__.keys():
        yield _Read(name, function.__globals__[name], code, name in written)
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            yield _Read(name, cell.cell_contents, code, name in written)


@functools.lru_cache(256)
def _names(code: types.CodeType, operations: frozenset[str]) -> frozenset[str]:
    """The names to which a function, and those inside it, do one of these operations of Python."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    inner = (_names(c, operations) for c in code.co_consts if isinstance(c, types.CodeType))
    return frozenset(own.union(*inner))
