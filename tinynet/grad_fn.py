"""The record of an operation as PyTorch shows it: `grad_fn`, its name and what came before."""

from __future__ import annotations

from typing import Any, NamedTuple

TITLES = {"conv2d": "convolution", "linear": "addmm", "matmul": "mm", "reshape": "view"}
"""What PyTorch calls an operation in its graph, where it is another name."""


class Shown:
    """What a graph's node shows of itself. A subclass has `name` and `edges`."""

    __slots__ = ()

    name: str
    edges: Any

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The records of the inputs that require a gradient, each with the number of an output.

        Of a leaf it is an `AccumulateGrad`, whose `variable` is the leaf. Empty once a backward
        pass has freed the graph.
        """
        targets = [edge[1] for edge in self.edges or ()]
        return tuple((x if isinstance(x, Shown) else AccumulateGrad(x), 0) for x in targets)

    def title(self) -> str:
        """The name as PyTorch writes it: `AddBackward0` for `add`."""
        name = TITLES.get(self.name, self.name)
        return "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Backward0"

    def __repr__(self) -> str:
        return f"<{self.title()} object at {id(self):#x}>"


class AccumulateGrad(NamedTuple):
    """Where a gradient ends: at a leaf, whose `.grad` it becomes."""

    variable: Any
    next_functions: tuple[tuple[Any, int], ...] = ()

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"
