"""What a function of the user's can change, found and put back: schedules, counters, other nets."""

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from tinynet.nn import Module
from tinynet.nn.preserving import preserving
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor

MANY = 100
"""A list or dict of more is data, which is not looked into."""
LARGE = 1_000_000
"""An array of more is data too."""


def reached(*starts: Any) -> list[Any]:
    """All objects that these lead to by closures, globals, attributes, lists and dicts.

    Objects of the modules of the starts and of tinynet alone.
    """
    roots = {_root(start) for start in starts} | {"tinynet"}
    found: dict[int, Any] = {}
    todo = list(starts)
    while todo:
        value = todo.pop()
        if id(value) not in found and not isinstance(value, type):
            inner = _inside(value, roots)
            if inner is not None:
                found[id(value)] = value
                todo += inner
    return list(found.values())


def _root(value: Any) -> str:
    """The package that a function or an object is of."""
    return str(getattr(value, "__module__", None) or type(value).__module__).partition(".")[0]


def _inside(value: Any, roots: set[str]) -> Iterable[Any] | None:
    """What a value leads to; None where it cannot be changed, or is of somebody else."""
    if isinstance(value, FunctionType):
        own = _root(value) in roots - {"tinynet"}
        inner = *(cell for _, cell in _cells(value)), *_globals(value).values()
        return (*inner, *(value.__defaults__ or ())) if own else None
    if isinstance(value, MethodType):
        return value.__self__, value.__func__
    if isinstance(value, functools.partial):
        return value.func, *value.args, *value.keywords.values()
    if isinstance(value, (list, tuple, dict)):
        return (value.values() if isinstance(value, dict) else value) if len(value) < MANY else None
    if isinstance(value, np.ndarray):
        small = value.size < LARGE and value.flags.writeable and not value.dtype.hasobject
        return () if small else None
    if isinstance(value, Tensor):
        return () if value.is_leaf and value.array.size < LARGE else None
    if isinstance(value, (Module, Optimizer, np.random.Generator)):
        return ()
    return vars(value).values() if hasattr(value, "__dict__") and _root(value) in roots else None


def _cells(function: FunctionType) -> list[tuple[Any, Any]]:
    """The variables of outside that a function holds, with their values."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # of one that has no value yet
            found.append((cell, cell.cell_contents))
    return found


def _globals(function: FunctionType) -> dict[str, Any]:
    """The global variables that it names, but modules."""
    every = function.__globals__
    names = [name for name in function.__code__.co_names if name in every]
    return {name: every[name] for name in names if not inspect.ismodule(every[name])}


@contextlib.contextmanager
def as_before(values: Iterable[Any]) -> Iterator[None]:
    """What is done to these objects inside is undone."""
    with contextlib.ExitStack() as stack:
        for value in values:
            if isinstance(value, Module):
                stack.enter_context(preserving(value))
            else:
                stack.callback(_undo(value))
        yield


def _undo(value: Any) -> Callable[[], None]:
    """A function that gives an object its content of now."""
    if isinstance(value, FunctionType):
        cells, named = _cells(value), _globals(value)

        def rebind() -> None:
            for cell, content in cells:
                cell.cell_contents = content
            value.__globals__.update(named)

        return rebind
    if isinstance(value, np.ndarray):
        return functools.partial(np.copyto, value, value.copy())
    if isinstance(value, np.random.Generator):
        return functools.partial(setattr, value.bit_generator, "state", value.bit_generator.state)
    if isinstance(value, Tensor):
        array, grad = value.array, value.grad
        value.array, value.grad = array.copy(order="K"), None

        def put_back() -> None:
            value.array, value.grad = array, grad

        return put_back
    if isinstance(value, Optimizer):
        return _undo_steps(value)
    if isinstance(value, (list, dict)):
        return functools.partial(_refill, value, value.copy())
    if isinstance(value, (tuple, MethodType)):
        return lambda: None
    return functools.partial(_refill, vars(value), dict(vars(value)))  # a threading.local keeps it


def _refill(value: Any, content: Any) -> None:
    value.clear()
    (value.extend if isinstance(value, list) else value.update)(content)


def _undo_steps(optimizer: Optimizer) -> Callable[[], None]:
    """An optimizer goes on with copies of its state and of its parameters, until this is called."""
    attributes, params = optimizer.__dict__, params_of(optimizer)
    undo = [_undo(p) for p in params]
    optimizer.__dict__ = {
        name: dict(value) if type(value) is dict else value for name, value in attributes.items()
    }
    optimizer.state = copy.deepcopy(optimizer.state, {id(p): p for p in params})
    optimizer.param_groups = [dict(group) for group in optimizer.param_groups]

    def back() -> None:
        optimizer.__dict__ = attributes
        for each in undo:
            each()

    return back


def params_of(optimizer: Optimizer) -> list[Tensor]:
    """The tensors of all groups of an optimizer."""
    return [p for group in optimizer.param_groups for p in group["params"]]
