"""What the functions of `nn.functional` share in reading their arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor

Data: TypeAlias = Tensor | np.ndarray
IntPair: TypeAlias = int | Sequence[int]
P = ParamSpec("P")
R = TypeVar("R")

HEIGHTS = {
    "kernel_size": 1, "stride": 1, "dilation": 1, "output_size": 1, "padding": 0,
    "output_padding": 0,
}  # fmt: skip


def tensor_of(value: Any) -> Tensor:
    """The tensor itself, or one around the array."""
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))


def as_batch(function: Callable[[Data], Tensor], input: Data, axes: int = 4) -> Tensor:  # noqa: A002
    """function(input); an input of one axis less is made a batch of one, and unmade after."""
    if input.ndim != axes - 1:
        return function(input)
    y: Any = function(tensor_of(input).unsqueeze(0))
    alone: Any = tuple(part.squeeze(0) for part in y) if isinstance(y, tuple) else y.squeeze(0)
    return alone  # type: ignore[no-any-return]  # a tuple where the function gives one


def one_axis(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """The function for signals (N, C, L) or (C, L) from that for images: with a height of one."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def along(*args: P.args, **settings: P.kwargs) -> Any:
        given = signature.bind(*args, **settings).arguments
        y: Any = function(**{key: beside(name, key, value) for key, value in given.items()})  # type: ignore[call-arg]
        return tuple(part.squeeze(-2) for part in y) if isinstance(y, tuple) else y.squeeze(-2)

    along.__name__ = name
    along.__doc__ = f"`{function.__name__}` of signals (N, C, L) or (C, L), as images of height 1."
    return along


def beside(name: str, key: str, value: Any) -> Any:
    """An argument for signals as the one for images with a height of one."""
    if key in ("input", "indices"):
        if value.ndim not in (2, 3) or value.shape[-2] == 0:
            raise ShapeError(
                f"{name}: the {key} must have shape (N, C, L) or (C, L), got {tuple(value.shape)}"
            )
        return tensor_of(value).unsqueeze(-2)
    if key == "weight":
        return tensor_of(value).unsqueeze(-2)
    if key not in HEIGHTS or value is None or isinstance(value, str):
        return value
    alone = isinstance(value, (tuple, list)) and (
        len(value) == 1 or (value and key == "output_size")
    )
    return HEIGHTS[key], value[-1] if alone else value


def refuse(op: str, old: dict[str, Any]) -> None:
    """TypeError for arguments that a loss does not have, such as those of PyTorch before 2018."""
    for name, value in old.items():
        if name not in ("size_average", "reduce"):
            raise TypeError(f"{op}() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise TypeError(
                f"{op}: {name}={value!r} is PyTorch's old way to say it; pass reduction='mean', "
                "'sum' or 'none'"
            )
