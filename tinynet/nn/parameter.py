"""Parameter: a tensor that a model learns."""

from __future__ import annotations

from typing import Any

from tinynet.tensor import Tensor


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
