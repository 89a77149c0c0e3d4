"""The graph of an ONNX file, and the Module that runs it."""

import functools
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from tinynet.autograd import Variable, wrap
from tinynet.calls import NoGradientError
from tinynet.errors import OnnxError, ShapeError
from tinynet.nn.functional.arguments import tensor_of
from tinynet.nn.module import Module
from tinynet.onnx import arrays
from tinynet.onnx.operators import ASKED, OPERATORS
from tinynet.onnx.spatial import window_of

FAULTS = (
    ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NoGradientError,
    MemoryError,
)  # fmt: skip
"""What an operator raises for inputs and attributes that do not fit it."""


@dataclass
class Node:
    """One operator of the graph.

    inputs, outputs: names, "" for one that is left out. scopes: the paths of the layers around it
    and the name of the operation, where the exporter tells them. last: values not needed after it.
    """

    name: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    scopes: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    last: list[str] = field(default_factory=list)

    @property
    def module(self) -> str:
        """The path of the layer in PyTorch, if its exporter left it there."""
        return self.scopes[-2] if len(self.scopes) > 1 else ""

    def __str__(self) -> str:
        return f"node {self.name or ''.join(self.outputs[:1])!r:.80} ({self.operator:.80})"


@dataclass
class Input:
    """What the graph takes. shape: None where it is free, as are sizes in it."""

    name: str
    shape: tuple[int | None, ...] | None

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ShapeError for a shape that the file does not allow."""
        wanted = shape if self.shape is None else self.shape
        if len(wanted) == len(shape) and all(n in (None, m) for n, m in zip(wanted, shape)):
            return
        told = ", ".join("any" if n is None else str(n) for n in wanted)
        raise ShapeError(
            f"the input {self.name!r} has shape {shape}, the file says ({told}); a size that "
            "should be free must be free in the file: export it with dynamic_axes or dynamic_shapes"
        )


@dataclass
class Graph:
    """What a file says. places: where each array of it is, by the name that the nodes use."""

    nodes: list[Node]
    inputs: list[Input]
    outputs: list[str]
    opset: int
    places: dict[str, tuple[Module, str]] = field(default_factory=dict)

    def note_last_uses(self) -> None:
        """Note what is not used, and after which node a value is used no more."""
        needed = {*self.outputs, *self.places, ""}
        for node in reversed(self.nodes):
            node.outputs[1:] = [name if name in needed else "" for name in node.outputs[1:]]
            node.last = sorted({*node.inputs, *node.outputs} - needed)
            needed.update(node.inputs)


class OnnxModule(Module):
    """The model of an ONNX file.

    It takes the inputs of the graph in their order and gives a tensor, or a tuple of several. It
    begins in evaluation mode; `train()` wakes dropout and batch norm up, whatever mode the file was
    exported in. report: what is learned, what is not, and what the exporter did to the model.
    """

    report: str

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def forward(self, *inputs: Any) -> Any:
        graph = self._graph
        if len(inputs) != len(graph.inputs):
            names = ", ".join(given.name for given in graph.inputs)
            raise TypeError(f"the graph takes {len(graph.inputs)} inputs ({names})")
        values: dict[str, Any] = {"": None}
        for given, value in zip(graph.inputs, inputs):
            x = tensor_of(value)
            given.check(x.shape)
            half = x.dtype.name in ("float16", "bfloat16")
            values[given.name] = wrap(x.array.astype(np.float32)) if half else x
        values.update((name, getattr(*place)) for name, place in graph.places.items())
        few = arrays.MOST // max(len(graph.nodes), 1)  # of which all together are not too many
        for node in graph.nodes:
            for name, value in zip(node.outputs, self._run(node, values)):
                if name:
                    values[name] = value
                    if _elements(value) > few:
                        self._check_room(node, values)
            for name in node.last:
                values.pop(name, None)
        outputs = tuple(values[name] for name in graph.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _check_room(self, node: Node, values: dict[str, Any]) -> None:
        """Raise OnnxError where too much is alive together, for inputs of these sizes."""
        graph = self._graph
        room = arrays.MOST * 4 + 64 * sum(_elements(values.get(x.name)) for x in graph.inputs)
        if sum(_elements(x) for name, x in values.items() if name not in graph.places) > room:
            raise OnnxError(
                f"{node}: more elements are needed at a time than an input of this size leads to; "
                "give it a smaller batch"
            )

    def _run(self, node: Node, values: dict[str, Any]) -> tuple[Any, ...]:
        function = OPERATORS[node.operator]
        used = max(i + 1 for i, name in enumerate(node.outputs) if name or not i)
        more = dict(zip(ASKED, (self._graph.opset, len(node.outputs), self.training)))
        asked = {name: more[name] for name in more.keys() & attributes_of(function)}
        inputs = [values.get(name) for name in node.inputs]
        try:
            _check_types(node.operator, self._graph.opset, inputs)
            result = function(*inputs, **node.attributes, **asked)
        except FloatingPointError:  # of `detect_anomaly`, which names the operation
            raise
        except FAULTS as error:
            raise OnnxError(f"{node}: {error}") from error
        results = result if isinstance(result, tuple) else (result,)
        if len(results) < used:
            raise OnnxError(f"{node} gives {len(results)} outputs, not {used}")
        return results


def _check_types(operator: str, opset: int, inputs: list[Any]) -> None:
    """Raise ValueError for inputs of several types where the specification has one letter."""
    given = [(place, x.array.dtype) for place, x in enumerate(inputs) if isinstance(x, Variable)]
    if len({dtype for _, dtype in given}) > 1:
        formal = onnx.defs.get_schema(operator, opset).inputs
        letters = {(formal[min(i, len(formal) - 1)].type_str, dtype) for i, dtype in given}
        if len(dict(letters)) < len(letters):
            raise ValueError(
                f"inputs of {' and '.join(str(t) for _, t in given)}; put a Cast between"
            )


def _elements(value: Any) -> int:
    """How many numbers a tensor has; or a sequence, or None."""
    found = value.array.size if isinstance(value, Variable) else sum(map(_elements, value or ()))
    return int(found)


@functools.cache
def attributes_of(function: Any) -> set[str]:
    """The keyword arguments of a row."""
    parameters = inspect.signature(function).parameters.values()
    names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    shared = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return names | attributes_of(window_of) if shared else names
