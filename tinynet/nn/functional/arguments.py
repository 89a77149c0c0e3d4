"""What the functions of `nn.functional` share in reading their arguments."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from tinynet.autograd import wrap
from tinynet.tensor import Tensor

Data: TypeAlias = Tensor | np.ndarray


def tensor_of(value: Any) -> Tensor:
    """The tensor itself, or one around the array."""
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))


def refuse_legacy(op: str, size_average: Any, reduce: Any) -> None:
    """TypeError for the arguments that `reduction` took the place of in 2018."""
    if size_average is not None or reduce is not None:
        given = reduce if size_average is None else size_average
        cure = given if isinstance(given, str) else "mean"
        raise TypeError(
            f"{op}: size_average and reduce are PyTorch's old arguments (got {given!r}); pass "
            f"reduction={cure!r} by name: 'mean', 'sum' or 'none'"
        )
