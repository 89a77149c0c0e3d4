"""The graph of an ONNX file as it is made: nodes, initializers, and names that can be read."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from tinynet.onnx.trace import Call, Size, Value


class Graph:
    """Nodes and initializers. Names are those of the layers: `conv1.Conv`, `conv1.weight`."""

    def __init__(self, taken: set[str], opset: int) -> None:
        self.taken, self.opset = taken, opset
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.known: dict[Any, str] = {}  # names of constants and of sizes
        self.call = Call("", (), Value((), np.dtype(np.float32)))  # whose nodes are being added
        self.input = self.unique("input")

    def __call__(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node; an input is whatever `name_of` takes. Returns the name of its output."""
        names = [self.name_of(x) for x in inputs]
        while names and not names[-1]:
            names.pop()
        name = self.unique(kind)
        self.nodes.append(helper.make_node(kind, names, [name], name, **attributes))
        return name

    def unique(self, kind: str) -> str:
        """A name that nothing has yet."""
        path = self.call.layer.rpartition(" (")[0]
        stem = f"{path}.{kind}" if path else kind
        names = (f"{stem}_{count}" if count else stem for count in itertools.count())
        name = next(name for name in names if name not in self.taken)
        self.taken.add(name)
        return name

    def name_of(self, x: Any) -> str:
        """The name of a value, an array, a number, sizes, a name or None, put into the graph."""
        if x is None or isinstance(x, str):
            return x or ""
        if isinstance(x, Size):
            return self("Squeeze", self.cast(self.sizes([x])))
        if isinstance(x, (tuple, list)):
            return self.sizes(x)
        if not isinstance(x, Value):
            kept = isinstance(x, np.ndarray)
            return self.constant(np.asarray(x, None if kept else self.call.output.dtype))
        if x.array is not None and not x.name:
            x.name = self.constant(x.array)
            x.name = x.name if x.shape == x.array.shape else self("Expand", x.name, x.shape)
        elif x.sizes is not None and not x.name:
            x.name = self("Reshape", self.cast(self.sizes(x.sizes), x.dtype), x.shape)
        elif x.array is not None:
            self.initializers[x.name] = x.array
        return x.name

    def constant(self, array: np.ndarray) -> str:
        """The name of a constant, one for all that are equal."""
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.known:
            name = self.known[key] = self.unique("constant")
            value = numpy_helper.from_array(np.array(array, order="C"))
            self.nodes.append(helper.make_node("Constant", [], [name], name, value=value))
        return self.known[key]

    def sizes(self, sizes: Sequence[int | Size]) -> str:
        """Integers as a vector, those that follow the batch worked out by the graph."""
        if not any(isinstance(n, Size) for n in sizes):
            return self.constant(np.array(sizes, np.int64))
        parts = [self._following(n) if isinstance(n, Size) else self.sizes([n]) for n in sizes]
        return parts[0] if len(parts) == 1 else self("Concat", *parts, axis=0)

    def _following(self, n: Size) -> str:
        if n not in self.known:
            name = self("Shape", self.input, start=0, end=1)
            name = name if n.factor == 1 else self("Mul", name, [n.factor])
            self.known[n] = name if n.offset == 0 else self("Add", name, [n.offset])
        return self.known[n]

    def cast(self, x: Any, dtype: np.dtype[Any] | None = None) -> Any:
        """An operand in a dtype, that of the result if None; a name is one of integers."""
        dtype = self.call.output.dtype if dtype is None else dtype
        if isinstance(x, str) or (isinstance(x, Value) and x.dtype != dtype):
            return self("Cast", x, to=helper.np_dtype_to_tensor_dtype(dtype))
        return x
