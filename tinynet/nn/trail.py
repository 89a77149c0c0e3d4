"""The shapes on the way to a ShapeError: what ran before the layer that refused its input.

Every call of a module notes the shapes of what came in and went out, for as long as the outermost
call around it lasts. Only an error reads them.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinynet.autograd import Variable
from tinynet.calls import explain
from tinynet.errors import OutOfMemoryError, ShapeError
from tinynet.nn import hooks
from tinynet.nn.checks import InputError
from tinynet.nn.hooks import for_all
from tinynet.nn.shapes import aligned, sizes, title

if TYPE_CHECKING:
    from tinynet.nn.module import Module

FOLD_FROM = 24  # rows from which those that keep the shape are counted, not listed

Shape: TypeAlias = tuple[int, ...] | None
"""None where there is no tensor."""

Call: TypeAlias = "tuple[Module, Shape, Shape]"
"""A layer, and the shapes that came in and went out."""

Row: TypeAlias = tuple[str, str, Shape]
"""(path of the layer, what it is, shape of its output)."""


class _Here(threading.local):
    """calls: those that are done within the outermost one, which is under way in this thread."""

    calls: list[Call] | None = None


here = _Here()


def shape_of(value: Any) -> Shape:
    """The shape of a tensor or array, or of the first in a tuple or list."""
    if isinstance(value, (Variable, np.ndarray)):
        array = value.array if isinstance(value, Variable) else value
        return array.shape
    if isinstance(value, (tuple, list)):
        return next((shape for shape in map(shape_of, value) if shape is not None), None)
    return None


def call(module: Module, *args: Any, **kwargs: Any) -> Any:
    """`forward` between its hooks; an error learns on its way which layers it passed.

    The shapes of what comes in and goes out are noted.
    """
    if kwargs and "input" in kwargs and not args and type(module).__module__.startswith("tinynet."):
        args = (kwargs.pop("input"),)  # PyTorch's name of what our layers call x
    after = None
    if module._hook_record or for_all:  # asked once: a hook may take itself off
        args, kwargs, after = hooks.before(module, args, kwargs)
    calls = here.calls
    outermost = calls is None
    if calls is None:
        calls = here.calls = []
    try:
        y = module.forward(*args, **kwargs)
    except (ShapeError, MemoryError) as error:
        raise located(error, module, args, calls, outermost) from error.__cause__
    except AttributeError as error:
        if type(module).__module__.startswith("tinynet."):
            explain(error, type(module).__name__, args)
        raise
    finally:
        if outermost:
            here.calls = None
    if after is not None:
        y = after(module, args, kwargs, y)
    try:
        calls.append((module, args[0].array.shape, y.array.shape))
    except (AttributeError, IndexError):  # no tensors
        calls.append((module, shape_of(args), shape_of(y)))
    return y


def located(
    error: ShapeError | MemoryError,
    module: Module,
    args: tuple[Any, ...],
    calls: list[Call],
    outermost: bool,
) -> ShapeError | OutOfMemoryError:
    """The error, which now knows that it passes `module`, called with `args`."""
    told = error if isinstance(error, ShapeError) else OutOfMemoryError.of(error)
    if not told.passed:
        if isinstance(told, InputError) and calls and calls[-1][2] == told.shape:
            told.came_after(*calls[-1][:2])
    else:
        inner = told.passed[-1][0]
        name = next((name for name, child in module.named_modules() if child is inner), "")
        told.layers[-1] = (name, told.layers[-1][1])
    told.layers.append(("", type(module).__name__))
    told.passed.append((module, shape_of(args), _maker(args)))
    if outermost:
        if isinstance(told, ShapeError) and not _is_leaf(module):
            told.trail = _lines(told, module, calls)
        told.passed.clear()
    return told


def _maker(args: tuple[Any, ...]) -> str:
    """The recorded operation that made the first argument, such as `reshape(...) `."""
    node = getattr(args[0], "node", None) if args else None
    return f"{node.name}(...) " if node is not None else ""


def _lines(error: ShapeError, model: Module, calls: list[Call]) -> list[str]:
    """The way from the input to where the error was raised.

    A shape that no layer was seen to give was made by a function between the layers.
    """
    names = {id(module): name for name, module in reversed(list(model.named_modules()))}
    makers = {shape: maker for _, shape, maker in error.passed}
    rows: list[Row] = [("input", "", error.passed[-1][1])]
    refusing, refused, _ = error.passed[0]

    def came_from_between(module: Module, came: Shape) -> None:
        if _is_leaf(module) and came is not None and all(came != row[2] for row in rows):
            rows.append(("", f"{makers.get(came, '')}in forward", came))

    for module, came, left in calls:
        came_from_between(module, came)
        if _is_leaf(module) or left != rows[-1][2]:
            rows.append((names.get(id(module), ""), title(module), left))
    came_from_between(refusing, refused)
    path = names.get(id(refusing), "")
    last = (path, "in forward", "<- here")
    if _is_leaf(refusing):
        last = (path, title(refusing), f"{_text(refused)}  <- refused")
    return aligned([*((*row[:2], _text(row[2])) for row in _folded(rows)), last], left=3)


def _folded(rows: list[Row]) -> list[Row]:
    """Rows that keep the shape before them, counted in place of listed, if there are many rows."""
    if len(rows) < FOLD_FROM:
        return rows
    shown: list[Row] = []
    for shape, group in itertools.groupby(rows, lambda row: row[2]):
        first, *alike = group
        count = f"{len(alike)} steps that keep" if len(alike) > 1 else "1 step that keeps"
        shown += [first, ("...", f"{count} the shape", shape)][: 1 + bool(alike)]
    return shown


def _is_leaf(module: Module) -> bool:
    """Whether there are no modules inside."""
    return next(module.children(), None) is None


def _text(shape: Shape) -> str:
    return "no tensor" if shape is None else sizes(shape) or "a single value"
