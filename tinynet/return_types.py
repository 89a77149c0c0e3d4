"""PyTorch's `torch.return_types`: the tuples of functions that give several things by name."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tinynet.tensor import Tensor


def _shown(self: Any) -> str:
    """As in PyTorch: which function gave it, and a line for each part."""
    parts = ",\n".join(f"{name}={part!r}" for name, part in zip(self._fields, self))
    return f"tinynet.return_types.{type(self).__name__}(\n{parts})"


class Pair(NamedTuple):
    """Values, and the places along the axis where they stand."""

    values: Tensor
    indices: Tensor


def _made(name: str, base: Any) -> Any:
    return type(name, (base,), {"__repr__": _shown, "__module__": __name__, "__slots__": ()})


PAIRS: dict[str, type[Pair]] = {
    name: _made(name, Pair)
    for name in ("cummax", "cummin", "kthvalue", "max", "median", "min", "mode", "sort", "topk")
}
globals().update(PAIRS)

aminmax = _made("aminmax", namedtuple("aminmax", "min max"))
histogram = _made("histogram", namedtuple("histogram", "hist bin_edges"))
svd = _made("svd", namedtuple("svd", "U S V"))
linalg_svd = _made("linalg_svd", namedtuple("linalg_svd", "U S Vh"))
linalg_lstsq = _made(
    "linalg_lstsq", namedtuple("linalg_lstsq", "solution residuals rank singular_values")
)
