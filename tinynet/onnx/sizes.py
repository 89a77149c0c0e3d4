"""What a file may ask for: sizes are looked at before anything of that size is made."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinynet.tensor import Tensor

MOST = 1 << 28
"""Elements of the largest array that an operator makes of smaller ones: 1 GiB of float32."""


def check_size(*shapes: Sequence[int] | int) -> None:
    """ValueError for a shape, in parts, that has a negative size or more than MOST elements."""
    sizes = [n for part in shapes for n in ([part] if isinstance(part, int) else part)]
    if min(sizes, default=0) < 0:
        raise ValueError(f"a size is negative: {sizes!r:.80}")
    if (count := math.prod(sizes)) > MOST:
        raise ValueError(
            f"{count:,} elements of shape {sizes!r:.80}; at most {MOST:,} are made of smaller "
            "arrays; give it a smaller batch"
        )


def integers(x: Tensor) -> list[int]:
    """The elements of a tensor that holds a shape, axes or the like."""
    if x.array.dtype.kind not in "iu":
        raise ValueError(f"integers are needed, got {x.dtype}")
    if x.ndim > 1 or x.array.size > 4096:
        raise ValueError(f"at most 4096 integers in a vector are needed, got shape {x.shape}")
    return [int(n) for n in x.array.ravel()]
