"""Names of PyTorch's early days that scripts still use: `FloatTensor(2, 3)`, `LongTensor([1, 2])`.

Each makes tensors of one dtype, from sizes or from data, and stands for that dtype in
`x.type(LongTensor)` and `isinstance(x, LongTensor)`. `svd` has moved to `linalg`.
"""

from typing import Any

import numpy as np

from tinynet import linalg, return_types
from tinynet.creation import zeros_like
from tinynet.devices import set_default_dtype
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


def svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """`linalg.svd` with V itself; without compute_uv U and V are square and 0."""
    U, S, Vh = linalg.svd(input, not (some and compute_uv))
    if compute_uv:
        return return_types.svd(U, S, Vh.mT)
    return return_types.svd(zeros_like(U), S, zeros_like(Vh))


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` by the name of a class, FloatTensor or DoubleTensor."""
    name = getattr(t, "__name__", str(t).rpartition(".")[2])
    set_default_dtype({kind: dtype for dtype, kind in CLASSES.items()}.get(name, name))


def typename(obj: Any) -> str:
    """The class: of a tensor as `x.type()` says it, of others with their module."""
    return obj.type() if isinstance(obj, Tensor) else f"{type(obj).__module__}.{type(obj).__name__}"
