"""inplace=True: the input itself becomes the result, as in PyTorch.

Whoever holds the tensor sees the new values. What earlier operations kept of the old ones stays
as it was, so no gradient is lost; a view of the tensor keeps the old values too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet import changes, grad_mode
from tinynet.autograd import wrap
from tinynet.nn.functional.arguments import Data, tensor_of
from tinynet.tensor import Tensor


def applied(op: Callable[..., Tensor], inplace: bool, input: Data, *settings: Any) -> Tensor:  # noqa: A002
    """op(input, *settings); with `inplace` the input becomes it, and is returned.

    Raises RuntimeError for a leaf that requires a gradient.
    """
    if not inplace:
        return op(input, *settings)
    x = tensor_of(input)
    if x.node is None and x.requires_grad and grad_mode.recording.get():
        raise RuntimeError(
            "inplace=True would change a leaf that requires a gradient, which would then belong to "
            "a value that is gone; use inplace=False"
        )
    y = op(wrap(x.array, x.node), *settings)
    if x.node is None or y.node is None:  # a constant, or nothing is recorded
        np.copyto(x.array, y.array)
        changes.note_change(x.array)
        return x
    x.node.retained, y.node.retained = None, x.node.retained  # whose gradient is asked for
    x.array, x.node = y.array, y.node
    return x
