"""The record of an operation as PyTorch shows it: `grad_fn`, its name and what came before."""

import functools
import weakref
from typing import Any

TITLES = {
    "astype": "to_copy", "batch_norm": "native_batch_norm", "clip": "clamp",
    "conv2d": "convolution", "cross_entropy": "nll_loss", "getitem": "select",
    "layer_norm": "native_layer_norm",
    "linear": "addmm", "matmul": "mm", "max_pool2d": "max_pool2d_with_indices", "reshape": "view",
    "relu_max_pool2d": "max_pool2d_with_indices", "vector_norm": "linalg_vector_norm",
}  # fmt: skip
"""What PyTorch calls an operation in its graph, where it is another name."""

FIRST = {"relu_max_pool2d": "relu"}
"""Of an operation that does the work of two, the first."""


class GradFn:
    """A node of the graph; of a leaf it is an `AccumulateGrad`, whose `variable` is the leaf."""

    def __init__(self, variable: Any, operation: str) -> None:
        self.variable = variable
        self._operation = operation

    def name(self) -> str:
        """What PyTorch calls it: `AddBackward0` for `add`, `SquareBackward` of a Function."""
        return type(self).__name__

    @property
    def next_functions(self) -> "tuple[tuple[GradFn | None, int], ...]":
        """Where the inputs came from, each with the number of an output; None for constants."""
        if self._operation in FIRST:
            return ((shown(self.variable, FIRST[self._operation]), 0),)
        targets = [shown(edge[0]) for edge in getattr(self.variable, "edges", ())]
        for place in getattr(self.variable, "without", ()):
            targets.insert(place, None)
        return tuple((target, 0) for target in targets)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


_class = functools.cache(lambda name: type(name, (GradFn,), {}))
_shown: weakref.WeakValueDictionary[tuple[int, str], GradFn] = weakref.WeakValueDictionary()


def shown(target: Any, operation: str = "") -> Any:
    """How a node of the graph, or a leaf, shows itself: the same as long as somebody has it.

    operation: the node's own if "".
    """
    title = "AccumulateGrad"
    if hasattr(target, "edges"):
        operation = operation or target.name
        parts = TITLES.get(operation, operation).replace("2d", "2D").split("_")
        title = "".join(part[:1].upper() + part[1:] for part in parts)
        title += "Backward" if operation[:1].isupper() else "Backward0"
    key = id(target), operation
    return _shown.get(key) or _shown.setdefault(key, _class(title)(target, operation))
