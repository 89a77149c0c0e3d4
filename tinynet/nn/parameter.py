"""Parameter: a tensor that a model learns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from tinynet.errors import CheckpointError
from tinynet.tensor import Tensor

_room: ContextVar[int | None] = ContextVar("room", default=None)


class Parameter(Tensor):
    """A tensor that requires a gradient and that a Module finds when it is set as an attribute.

    data: a tensor, array or list of floats; an ndarray's memory is shared, not copied.
    Raises TypeError for integers, which cannot have a gradient.

    >>> Parameter([1.0, 2.0])
    Parameter([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad)
        room = _room.get()
        if room is not None:
            if self.data.size > room:
                raise CheckpointError(f"a parameter of shape {self.shape} is larger than the file")
            _room.set(room - self.data.size)


@contextlib.contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Within it, parameters hold no more than so many numbers altogether; else CheckpointError.

    A model that a file describes is made so: the file decides how large it is. Layers make a
    parameter before they fill it, so what is refused has taken no memory yet.
    """
    token = _room.set(numbers)
    try:
        yield
    finally:
        _room.reset(token)
