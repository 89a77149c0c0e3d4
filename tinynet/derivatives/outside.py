"""What the body of an operation reads that is neither its argument nor made by it.

A value that an earlier call left in a memo, a list or an attribute is a constant to the record, so
its derivative would be lost without a word. Whether an array from outside was computed from the
inputs cannot be seen; so those that can change are refused, and a read-only one is a constant.
"""

from __future__ import annotations

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


class _Names(NamedTuple):
    """The names in a function and those inside it: read as globals, read of an object, written."""

    globals: frozenset[str]
    attributes: frozenset[str]
    written: frozenset[str]


class _Read(NamedTuple):
    """A value that a function reads. kept: a number there may come from an earlier call.

    names: those of the function, which tell what it reads of the value.
    """

    place: str
    value: Any
    names: _Names
    kept: bool


def refuse_kept_values(body: Callable[..., Any]) -> None:
    """TypeError if the body reads numbers or arrays of floats from outside that could change."""
    pending = list(_read_by(inspect.unwrap(body)))
    seen: set[tuple[int, _Names]] = set()
    while pending:
        read = pending.pop()
        if (id(read.value), read.names) in seen:
            continue
        seen.add((id(read.value), read.names))
        if _may_have_changed(read):
            raise TypeError(
                f"{read.place} comes from outside the body, and if it was computed from the "
                "inputs, its derivative would be lost; compute it in the body, or make it an "
                "argument. Constants are arrays that are read-only (.flags.writeable = False), "
                "numbers with a name of their own, and tuples of numbers"
            )
        pending.extend(_inside(read))


def _may_have_changed(read: _Read) -> bool:
    value = read.value.array if isinstance(read.value, Variable) else read.value
    if not isinstance(value, np.ndarray):
        return isinstance(value, Traced) or (read.kept and isinstance(value, (float, np.floating)))
    while isinstance(value.base, np.ndarray) and not value.flags.writeable:
        value = value.base
    return value.flags.writeable and value.dtype.kind in "fc"


def _inside(read: _Read) -> Iterator[_Read]:
    """What a value leads to, as far as the function goes there."""
    place, value, names, _ = read
    if isinstance(value, dict):
        for key, item in value.items():
            yield _Read(f"{place}[{key!r:.40}]", item, names, True)
    elif isinstance(value, (list, set, tuple)):
        for number, item in enumerate(value):
            yield _Read(f"{place}[{number}]", item, names, not isinstance(value, tuple))
    elif not _is_known(value):
        if isinstance(value, types.FunctionType):
            yield from _read_by(value)
        yield from _attributes(read)


def _is_known(value: Any) -> bool:
    """Whether a module, or what a function, a class or an object comes from, keeps nothing."""
    if isinstance(value, types.ModuleType):
        home = value.__name__
    else:
        is_own = isinstance(value, (types.FunctionType, type))
        home = (value if is_own else type(value)).__module__ or ""
    return home.partition(".")[0] in _KNOWN


def _attributes(read: _Read) -> Iterator[_Read]:
    """The attributes that a function reads of a value, and what its methods read in their turn."""
    place, value, names, _ = read
    holders = [getattr(value, "__dict__", {}), *map(vars, type(value).__mro__)]
    for name in names.attributes | {"__call__"}:
        found = next((holder[name] for holder in holders if name in holder), None)
        found = getattr(found, "__func__", getattr(found, "fget", found))  # static ones, properties
        yield _Read(f"{place}.{name}", found, names, name in names.written)
        if isinstance(found, types.FunctionType) and not _is_known(found):
            yield _Read(place, value, _names(found.__code__), False)


def _read_by(function: types.FunctionType) -> Iterator[_Read]:
    """The globals, the variables of outer functions and the defaults that a function reads."""
    code = function.__code__
    names = _names(code)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        if not isinstance(value, np.ndarray):
            yield _Read("the default", value, names, False)
    for name in names.globals & function.__globals__.keys():
        yield _Read(name, function.__globals__[name], names, name in names.written)
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            yield _Read(name, cell.cell_contents, names, name in names.written)


@functools.lru_cache(256)
def _names(code: types.CodeType) -> _Names:
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    found = [
        frozenset(name for opname, name in steps if opname in opnames)
        for opnames in (
            ("LOAD_GLOBAL",),
            ("LOAD_ATTR", "LOAD_METHOD"),
            ("STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR"),
        )
    ]
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found = [own | names for own, names in zip(found, _names(inner))]
    return _Names(*found)
