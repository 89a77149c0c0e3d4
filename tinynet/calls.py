"""How an operation is called, and what is said of a call that cannot be."""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet.errors import ShapeError, no_broadcast, no_such_axis


def explain(error: Any, name: str, arrays: Sequence[Any]) -> None:
    """Raise a complaint about an axis, broadcasting, or what is no tensor again, with `name`."""
    as_tensor = isinstance(error, AttributeError) and hasattr(np.ndarray, error.name or "")
    if as_tensor and any(error.obj is x for x in arrays if not hasattr(x, "array")):
        raise TypeError(
            f"{name}: takes a tensor, got {error.obj!r:.60}; tinynet.tensor(...) makes one"
        ) from error
    shapes = [x.shape for x in arrays if isinstance(x, np.ndarray)]
    if isinstance(error, ShapeError) or not shapes:
        return
    if isinstance(error, np.exceptions.AxisError) and error.axis is not None:
        raise no_such_axis(name, error.axis, shapes[0]) from error
    if "broadcast" in str(error):
        raise no_broadcast(name, shapes) from error


class NoGradientError(RuntimeError):
    """An input requires a gradient that the operation does not give. tensor: the input."""

    def __init__(self, text: str, tensor: Any) -> None:
        super().__init__(text)
        self.tensor = tensor


def chosen(
    name: str, args: Sequence[Any], vjps: Sequence[Any], places: Sequence[int]
) -> tuple[list[Any], list[int]]:
    """The gradients of the inputs at these places, and the places of the others."""
    for place in places:
        if place >= len(vjps) or vjps[place] is None:
            raise NoGradientError(
                f"{name}: input {place} requires a gradient, but the operation has none for it. "
                "Pass `.detach()` of that tensor, which is then a constant.",
                args[place],
            )
    return [vjps[place] for place in places], [i for i in range(len(vjps)) if i not in places]


def by_position(
    body: Callable[..., Any], args: tuple[Any, ...], settings: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call with its tensors given by position, which is where the inputs are found."""
    import inspect  # seldom needed, and slow to load

    bound = inspect.signature(body).bind(*args, **settings)
    bound.apply_defaults()
    return bound.args, bound.kwargs


def constant(value: Any, records: bool) -> Any:
    """An input that is no tensor, as the body gets it. records: the call is recorded."""
    if isinstance(value, np.generic):
        return value.item()  # NumPy's scalars promote no more than Python's
    return value.copy("K") if records and isinstance(value, np.ndarray) else value  # it may change


def kept(args: tuple[Any, ...], settings: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """A call as it can be made once more: tensors without a gradient and arrays as copies."""
    return [_kept(value) for value in args], {name: _kept(x) for name, x in settings.items()}


def _kept(value: Any) -> Any:
    if getattr(value, "requires_grad", False):
        return value if value.node is None else value.as_it_is()
    array = getattr(value, "array", value)
    changing = isinstance(array, (np.ndarray, np.random.Generator))
    return copy.deepcopy(array) if changing else array


def check_inputs(name: str, args: tuple[Any, ...], settings: dict[str, Any]) -> None:
    """TypeError for a tensor that wants a gradient in a place where the operation has none."""
    lists = [x for x in (*args, *settings.values()) if isinstance(x, (list, tuple))]
    for value in itertools.chain(settings.values(), *lists):
        if getattr(value, "requires_grad", False):
            raise TypeError(
                f"{name}: a tensor that requires a gradient is in a list, a default, or given by "
                "name alone, where it would get none. Make it an argument of its own, "
                "before any *, or pass it .detach()ed."
            )
