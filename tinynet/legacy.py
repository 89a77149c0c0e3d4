"""Names of PyTorch's early days that scripts still use: `FloatTensor(2, 3)`, `LongTensor([1, 2])`.

Each makes tensors of one dtype, from sizes or from data, and stands for that dtype in
`x.type(LongTensor)` and `isinstance(x, LongTensor)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynet.tensor import Tensor


class _OfDtype(type):
    """A class whose calls make Tensors of its dtype, and whose instances are those."""

    dtype: np.dtype[Any]

    def __call__(cls, *data: Any) -> Tensor:
        return Tensor(*data, dtype=cls.dtype)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype == cls.dtype


class FloatTensor(metaclass=_OfDtype):
    """Tensors of float32."""

    dtype = np.dtype(np.float32)


class DoubleTensor(metaclass=_OfDtype):
    """Tensors of float64."""

    dtype = np.dtype(np.float64)


class LongTensor(metaclass=_OfDtype):
    """Tensors of int64."""

    dtype = np.dtype(np.int64)


class IntTensor(metaclass=_OfDtype):
    """Tensors of int32."""

    dtype = np.dtype(np.int32)


class ByteTensor(metaclass=_OfDtype):
    """Tensors of uint8."""

    dtype = np.dtype(np.uint8)


class BoolTensor(metaclass=_OfDtype):
    """Tensors of bool."""

    dtype = np.dtype(np.bool_)
