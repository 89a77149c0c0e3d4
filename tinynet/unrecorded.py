"""NumPy's functions on tensors where tinynet has none: their results are not part of the graph."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet import calls
from tinynet.autograd import Variable, wrap
from tinynet.grad_mode import recording

CONSTANTS = {"np.zeros_like", "np.ones_like", "np.full_like", "np.empty_like"}
"""Functions of NumPy whose results do not depend on the values of their inputs."""


def arrays_of(value: Any) -> Any:
    """The same value with an array in place of each tensor, also within tuples, lists and dicts."""
    if isinstance(value, Variable):
        return value.array
    if isinstance(value, np.generic):
        return value.item()  # NumPy's scalars promote no more than Python's
    if type(value) in (tuple, list):
        return type(value)(map(arrays_of, value))
    if type(value) is dict:
        return {key: arrays_of(item) for key, item in value.items()}
    return value


def unrecorded(name: str, function: Callable[..., Any], *inputs: Any, **settings: Any) -> Any:
    """The result of `function` on the arrays of the tensors, which is not part of the graph.

    Raises TypeError for a float result of inputs that require a gradient: it would be lost.
    """
    arrays = arrays_of(inputs)
    try:
        result = function(*arrays, **arrays_of(settings))
    except ValueError as error:
        calls.explain(error, name, arrays)
        raise
    return _wrapped(name, result, inputs)


def _wrapped(name: str, result: Any, inputs: Any) -> Any:
    if isinstance(result, tuple):
        parts = [_wrapped(name, part, inputs) for part in result]
        return result._make(parts) if hasattr(result, "_make") else tuple(parts)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    lost = recording.get() and result.dtype.kind == "f" and name not in CONSTANTS
    if lost and _is_tracked(inputs):
        raise TypeError(
            f"{name} cannot be recorded on a tensor that requires a gradient; use an operation "
            "of tinynet, or .detach() to leave the graph"
        )
    return wrap(result)


def _is_tracked(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(_is_tracked, value))
    return isinstance(value, Variable) and value.requires_grad
