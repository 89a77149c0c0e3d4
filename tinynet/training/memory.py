"""Out of memory: which layer asked for how many bytes, at which batch size, and what to do."""

from __future__ import annotations

import traceback
from types import TracebackType

from tinynet import autograd
from tinynet.errors import OutOfMemoryError
from tinynet.nn import Module


class naming_memory:  # noqa: N801 (written like a function)
    """Within it, a MemoryError names the layer and the batch of `size`, and says to halve it.

    The arrays of the step that failed are let go, so the program can go on with smaller batches.
    """

    def __init__(self, model: Module, size: int) -> None:
        self.model, self.size = model, size

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        if not isinstance(error, MemoryError):
            return
        located = OutOfMemoryError.of(error)
        if not located.layers:
            _name_layer(located, self.model, trace)
        cure = f"halve it: batch_size={self.size // 2}" if self.size > 1 else "take a smaller model"
        located.advice = f"with a batch of {self.size}; {cure}"
        traceback.clear_frames(trace)
        raise located from None


def _name_layer(error: OutOfMemoryError, model: Module, trace: TracebackType | None) -> None:
    """Name the operation whose backward pass failed, and its layer.

    That is the layer of the operation's own parameter; for one without (ReLU, a pool) the layer
    of the nearest on the way to the inputs is named as the one that comes before it.
    """
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_code is not autograd.visit.__code__:
            continue
        error.message += f", in the backward pass of {frame.f_locals['node'].name}"
        paths = {id(p): name.rpartition(".")[0] for name, p in model.named_parameters()}
        own = pending = [target for _, target, _, _ in frame.f_locals["edges"]]
        while pending:
            found = [paths[id(target)] for target in pending if id(target) in paths]
            if found:
                kind = type(dict(model.named_modules())[found[0]]).__name__
                if pending is own:
                    error.layers = [(found[0], kind)]
                else:
                    error.message += f" after layer {found[0]!r} ({kind})"
                return
            nodes = [node for node in pending if isinstance(node, autograd.Node)]
            pending = [target for node in nodes for _, target, _, _ in node.edges or ()]
