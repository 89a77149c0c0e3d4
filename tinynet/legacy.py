"""Names of PyTorch's early days that scripts still use: `FloatTensor(2, 3)`, `LongTensor([1, 2])`.

Each makes tensors of one dtype, from sizes or from data, and stands for that dtype in
`x.type(LongTensor)` and `isinstance(x, LongTensor)`. `svd` and `cholesky` have moved to `linalg`.
"""

# ruff: noqa: A002 (the argument names are PyTorch's)

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet import linalg
from tinynet.functions.pointwise import CLASSES
from tinynet.tensor import Tensor


class _OfDtype(type):
    """A class whose calls make Tensors of its dtype, and whose instances are those."""

    dtype: np.dtype[Any]

    def __call__(cls, *data: Any) -> Tensor:
        return Tensor(*data, dtype=cls.dtype)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == cls.dtype


(
    FloatTensor, DoubleTensor, LongTensor, IntTensor, ByteTensor, BoolTensor, ShortTensor,
    CharTensor,
) = (
    _OfDtype(name, (), {"dtype": np.dtype(dtype), "__doc__": f"Tensors of {dtype}."})
    for dtype, name in CLASSES.items()
)  # fmt: skip


def svd(input: Any, some: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with input = U diag(S) V^T, of a tensor without a gradient."""
    parts: Any = linalg.svd(input, full_matrices=not some)
    return parts[0], parts[1], parts[2].mT


def cholesky(input: Any, upper: bool = False) -> Tensor:
    """The lower triangle L with L L^T = input (upper: its transpose), without a gradient."""
    lower: Any = linalg.cholesky(input)
    return lower.mT if upper else lower  # type: ignore[no-any-return]
