"""Parameter: a tensor that a model learns."""

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinynet.autograd import NO_HOOKS
from tinynet.errors import CheckpointError
from tinynet.tensor import Tensor, as_array

_room: ContextVar[int | None] = ContextVar("room", default=None)


class Parameter(Tensor):
    """A tensor that requires a gradient and that a Module finds when it is set as an attribute.

    data: a tensor, whose memory is shared as in PyTorch, or an array or list of floats, which is
    copied. Raises TypeError for integers, which cannot have a gradient.

    >>> Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    keeps = False

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        array = as_array(data)
        room = _room.get()
        if room is not None:
            if array.size > room:
                raise CheckpointError(f"a parameter of shape {array.shape} is larger than the file")
            _room.set(room - array.size)
        self.array = array if isinstance(data, Tensor) else np.array(array)
        self.grad, self.node, self.hooks = None, None, NO_HOOKS
        self.requires_grad = False
        self.requires_grad_(requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy = super().__deepcopy__(memo)
        copy.grad = None  # as in PyTorch, whose tensors that are no parameters keep theirs
        return copy

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


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


def parameter_list(owner: str, params: Any) -> list[Any]:
    """The parameters as a list. TypeError for what is no list of them, ValueError if it is empty.

    owner: who asks, for the error.
    """
    ordered = isinstance(params, Iterable) and not isinstance(
        params, (dict, set, frozenset, str, Tensor)
    )
    items = list(params) if ordered else []
    held = items and all(isinstance(p, Parameter) for p in items)  # a ParameterList
    if not ordered or (callable(params) and not held):
        raise TypeError(
            f"{owner}: the parameters must be a list or an iterator with a fixed order, not a "
            f"{type(params).__name__}; pass model.parameters(), called, or a list [tensor, ...]"
        )
    if not items:
        raise ValueError(
            f"{owner}: the list of parameters is empty. Either the model has none, or the "
            "generator was used up before: call model.parameters() again, or keep "
            "list(model.parameters())."
        )
    return items


def check_tensors(owner: str, params: list[Any]) -> None:
    """TypeError for the first of a list of parameters that is no tensor."""
    hints = {
        tuple: "; pass model.parameters(), not model.named_parameters()",
        dict: "; a list holds either tensors or groups, not both",
        np.ndarray: "; wrap it: tinynet.tensor(array, requires_grad=True)",
    }
    for i, p in enumerate(params):
        if not isinstance(p, Tensor):
            kind, hint = type(p).__name__, hints.get(type(p), "")
            raise TypeError(f"{owner}: params[{i}] is a {kind}, no tensor{hint}")
