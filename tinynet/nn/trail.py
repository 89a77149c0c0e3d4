"""The shapes on the way to a ShapeError: what ran before the layer that refused its input.

Nothing is recorded while all is well. When the error reaches the outermost module, its forward
pass runs once more, without recording gradients, while hooks and an observer write down each
layer's output, and each operation that a `forward` of your own calls between its layers. Running
statistics and random generators are put back as they were.
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.autograd import Variable
from tinynet.errors import ShapeError
from tinynet.nn.checks import InputError
from tinynet.nn.module import Module
from tinynet.nn.summary import aligned, shape_text, title
from tinynet.random import default_rng

FOLD_FROM = 24  # rows from which those that keep the shape are counted, not listed

Row = tuple[str, str, str]
"""(path of the layer, what it is, shape of its output)."""


def retrace(
    model: Module, args: tuple[Any, ...], kwargs: dict[str, Any], error: ShapeError
) -> list[str]:
    """The lines of the way from the input to the layer that raised `error`.

    Empty for a layer alone, and where a second run does not end in the same error.
    """
    if _is_layer(model):
        return []
    walk = _Walk(model)
    with _undone(model), ExitStack() as stack:
        for module in walk.names:
            stack.enter_context(module.register_forward_pre_hook(walk.enter))
            stack.enter_context(module.register_forward_hook(walk.leave))
        stack.enter_context(autograd.no_grad())
        stack.enter_context(autograd.observe(walk.note))
        stack.enter_context(np.errstate(all="ignore"))  # what there is to say was said before
        if threading.current_thread() is threading.main_thread():
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        try:
            model.forward(*args, **kwargs)
        except Exception as again:
            if isinstance(again, ShapeError) and _core(again) == _core(error):
                error.message = again.message  # which names the layer before as it is written
                return walk.lines(args)
    return []


def _core(error: ShapeError) -> str:
    """The message without what came before, for layers may be computed in another order.

    A Sequential computes a max-pool before a ReLU, unless they have hooks, as in the second run.
    """
    return error.problem if isinstance(error, InputError) else error.message


class _Walk:
    """The rows of one forward pass of `model`, which is not called itself but by its forward."""

    def __init__(self, model: Module) -> None:
        self.names = {module: name for name, module in model.named_modules() if name}
        self.thread = threading.get_ident()
        self.rows: list[Row] = []
        self.running: list[tuple[Module, str]] = []  # what is being called, with which shape

    def enter(self, module: Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() == self.thread:
            self.running.append((module, _shape_of(args)))

    def leave(self, module: Module, args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        self.running.pop()
        shape = _shape_of((output,))
        if _is_layer(module) or not self.rows or self.rows[-1][2] != shape:
            self.rows.append((self.names[module], title(module), shape))

    def note(self, op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
        """An operation: a row of its own where it is not part of a layer."""
        module = self.running[-1][0] if self.running else None
        if module is None or not _is_layer(module):
            path = self.names[module] if module is not None else ""
            name = op.rpartition(".")[2].lstrip("_")
            self.rows.append((path, f"{name}(...) in forward", _shape_of((output,))))

    def lines(self, args: tuple[Any, ...]) -> list[str]:
        """The rows as text, from the input to the layer that refused."""
        rows = [("input", "", _shape_of(args)), *self.rows]
        module, shape = self.running[-1] if self.running else (None, "")
        path = self.names[module] if module is not None else ""
        last = (path, "in forward", "<- here")
        if module is not None and _is_layer(module):
            last = (path, title(module), f"{shape}  <- refused")
        return aligned([*_folded(rows), last], left=3)


def _folded(rows: list[Row]) -> list[Row]:
    """Rows that keep the shape before them, counted in place of listed, if there are many rows."""
    if len(rows) < FOLD_FROM:
        return rows
    kept: list[Row] = []
    for i, row in enumerate(rows):
        if not kept or row[2] != rows[i - 1][2]:
            kept.append(row)
        elif kept[-1][0] == "...":
            count = int(kept[-1][1].split()[0]) + 1
            kept[-1] = ("...", f"{count} steps that keep the shape", row[2])
        else:
            kept.append(("...", "1 step that keeps the shape", row[2]))
    return kept


def _is_layer(module: Module) -> bool:
    """Whether there are no modules inside."""
    return next(module.children(), None) is None


def _shape_of(values: tuple[Any, ...]) -> str:
    """The shape of the first tensor or array in `values`, as 32x1x28x28."""
    for value in values:
        if isinstance(value, (tuple, list)):
            return _shape_of(tuple(value))
        if isinstance(value, (Variable, np.ndarray)):
            shape = value.data.shape if isinstance(value, Variable) else value.shape
            return shape_text(shape) or "a single value"
    return "no tensor"


@contextlib.contextmanager
def _undone(model: Module) -> Iterator[None]:
    """Put buffers and random generators back at the end as they were."""
    buffers = [(buffer, buffer.data, buffer.data.copy()) for buffer in model.buffers()]
    own = (v for module in model.modules() for v in vars(module).values())
    generators = [default_rng(), *(v for v in own if isinstance(v, np.random.Generator))]
    states = [generator.bit_generator.state for generator in generators]
    try:
        yield
    finally:
        for buffer, array, values in buffers:
            buffer.data = array
            array[...] = values
        for generator, state in zip(generators, states):
            generator.bit_generator.state = state


def outermost() -> bool:
    """Whether no module is being called around the one whose error handling asks."""
    call = Module.__call__.__code__
    caller: Any = sys._getframe(3)  # above this function, _tell_shapes and __call__
    while caller is not None:
        if caller.f_code is call:
            return False
        caller = caller.f_back
    return True
