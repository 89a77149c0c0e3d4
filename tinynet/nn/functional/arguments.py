"""What the functions of `nn.functional` share in reading their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor

Data: TypeAlias = Tensor | np.ndarray
IntPair: TypeAlias = int | Sequence[int]
R = TypeVar("R")


def tensor_of(value: Any) -> Tensor:
    """The tensor itself, or one around the array."""
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))


def as_batch(function: Callable[[Data], R], input: Data, axes: int = 4) -> R:  # noqa: A002
    """function(input); an input of one axis less is made a batch of one, and unmade after."""
    if input.ndim != axes - 1:
        return function(input)
    y: Any = function(tensor_of(input).unsqueeze(0))
    alone: Any = tuple(part.squeeze(0) for part in y) if isinstance(y, tuple) else y.squeeze(0)
    return alone  # type: ignore[no-any-return]


def one_row(op: str, input: Data) -> Tensor:  # noqa: A002
    """A signal (N, C, L) or (C, L) as images with a height of one."""
    if input.ndim not in (2, 3):
        raise ShapeError(
            f"{op}: the input must have shape (N, C, L) or (C, L), got {tuple(input.shape)}"
        )
    return tensor_of(input).unsqueeze(-2)


def beside(vertical: int, value: Any) -> Any:
    """A setting along one axis as that of images with a height of one; None stays None."""
    alone = isinstance(value, (tuple, list)) and len(value) == 1
    return None if value is None else (vertical, value[0] if alone else value)


def refuse_legacy(op: str, size_average: Any, reduce: Any) -> None:
    """TypeError for the arguments that `reduction` took the place of in 2018."""
    if size_average is not None or reduce is not None:
        given = reduce if size_average is None else size_average
        cure = given if isinstance(given, str) else "mean"
        raise TypeError(
            f"{op}: size_average and reduce are PyTorch's old arguments (got {given!r}); pass "
            f"reduction={cure!r} by name: 'mean', 'sum' or 'none'"
        )
