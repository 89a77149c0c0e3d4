"""Which arrays of an ONNX file are learned, and what they are called.

What an array is, the place says where a node takes it: a weight is learned, a running mean is not.
Exporters store equal arrays once. So one that is all of one number, as fresh weights and statistics
of batch norm are, may stand for several, and each layer gets its own. Any other that several layers
share stays one, as tied weights must.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.onnx.graph import Graph, Node

_BOTH = {1: "weight", 2: "bias"}
WORDS = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm"), _BOTH),
    **dict.fromkeys((f"{what}Normalization" for what in ("Group", "Instance", "Layer")), _BOTH),
    "BatchNormalization": {**_BOTH, 3: "running_mean", 4: "running_var"},
    "PRelu": {1: "weight"},
}
"""What PyTorch calls the inputs of a layer."""

WEIGHED: dict[str, Sequence[int]] = {"Add": (0, 1), "Gather": (0,), "MatMul": (0, 1), "Mul": (0, 1)}
"""The inputs of other operators where an array of the file is learned."""

READ = {"CastLike": 1, "Shape": 0, "Size": 0}
"""How many of its inputs an operator takes the numbers of, where these are not all."""

LEARNED, RUNNING, CONSTANT = "learned", "running statistics", "constants"
SEPARATE = "stored once, made separate"

MOST_PARTS = 32
"""Modules below each other that the dots in a name may stand for."""


@dataclass
class Use:
    """An array where something takes it: a node, or the graph as an output.

    names, place: the list with its name, and where in it. root: the array, which may have other
    names. key: uses with the same one share a parameter or buffer; with None it is whatever the
    array became elsewhere. path: PyTorch's name, if known.
    """

    names: list[str]
    place: int
    root: str
    role: str = CONSTANT
    key: Any = None
    path: str = ""

    @property
    def name(self) -> str:
        """What the file calls it here."""
        return self.names[self.place]


class Weights:
    """The arrays of a file. aliases: other names of them. fixed: those that a node holds."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.aliases: dict[str, str] = {}
        self.fixed: set[str] = set()

    def root(self, name: str) -> str | None:
        """The array that a name stands for."""
        return name if name in self.arrays else self.aliases.get(name)

    def uniform(self, root: str) -> bool:
        """Whether the array is all of one number."""
        array = self.arrays[root]
        return bool(array.size and (array == array.flat[0]).all())

    def place(self, graph: Graph, model: Module) -> dict[str, list[str]]:
        """Set parameters and buffers; the graph calls them by their names. What became of which."""
        uses = list(self._uses(graph))[::-1]
        first = {use.root: use.key for use in uses[::-1] if use.role != CONSTANT}
        groups: dict[Any, list[Use]] = {}
        for use in uses:
            groups.setdefault(use.key or first.get(use.root, use.root), []).append(use)
        leaders = [next((u for u in g if u.role != CONSTANT), g[0]) for g in groups.values()]
        names = _names(leaders, graph)
        told: dict[str, list[str]] = {LEARNED: [], RUNNING: [], CONSTANT: [], SEPARATE: []}
        for use, group in zip(leaders, groups.values()):
            name = names[id(use)]
            if use.role != CONSTANT or _is_state(self.arrays[use.root]):
                told[use.role].append(name)
            if use.role != CONSTANT and name != use.root:
                told[SEPARATE].append(f"{name} (as {use.root})")
            graph.places[name] = _set(model, name, self.arrays[use.root], use.role)
            for each in group:
                each.names[each.place] = name
        return told

    def _uses(self, graph: Graph) -> Iterator[Use]:
        """Each use of an array, from the last to the first."""
        for place, name in enumerate(graph.outputs):
            if root := self.root(name):
                yield Use(graph.outputs, place, root)
        moving = {given.name for given in graph.inputs}  # values that follow the inputs
        for node in graph.nodes:
            if not moving.isdisjoint(node.inputs[: READ.get(node.operator)]):
                moving.update(name for name in node.outputs if name)
        learned: set[str] = set()
        for number, node in reversed(list(enumerate(graph.nodes))):
            words = WORDS.get(node.operator, {})
            made = node.outputs[0]
            part = made in learned and made not in moving  # the weight is made of its inputs
            for place, name in reversed(list(enumerate(node.inputs))):
                if part or place in words or place in WEIGHED.get(node.operator, ()):
                    learned.add(name)
                if root := self.root(name):
                    use = Use(node.inputs, place, root)
                    if place < READ.get(node.operator, len(node.inputs)):
                        self._judge(use, node, number, words.get(place, ""), name in learned)
                    yield use

    def _judge(self, use: Use, node: Node, number: int, word: str, weight: bool) -> None:
        """Fill in role, key and path."""
        array = self.arrays[use.root]
        if word.startswith("running"):
            use.role = RUNNING
        elif weight and use.root not in self.fixed and _is_state(array):
            use.role = LEARNED if np.isfinite(array).all() else CONSTANT  # a mask has -inf
        spelled = "." not in use.name or "group_norm" in "".join(node.scopes[-1:])
        plain = node.operator == "InstanceNormalization" and spelled
        if plain and np.all(array == (word == "weight")):  # ones and zeros: a group norm
            use.role = CONSTANT
        if not self.uniform(use.root):
            use.key = (use.root, use.role) if use.role != CONSTANT else None
            return
        roots = {r for name in node.inputs if word and (r := self.root(name))}
        layer = node.module or frozenset(r for r in roots if not self.uniform(r)) or number
        use.key = use.name, use.role, word, layer if word or node.module else ""
        use.path = f"{node.module}.{word}" if node.module and word else ""


def _names(uses: Sequence[Use], graph: Graph) -> dict[int, str]:
    """A name for each use, by its id: that of the file for the first, PyTorch's, or a number."""
    taken = {given.name for given in graph.inputs}
    taken.update(name for node in graph.nodes for name in node.outputs)
    names: dict[int, str] = {}
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(2))
    for use in sorted(uses, key=lambda use: use.path != use.name):
        numbered = (f"{use.name}_{n}" for n in numbers[use.name])
        wanted = itertools.chain((use.name, use.path or use.name), numbered)
        names[id(use)] = next(name for name in wanted if name not in taken)
        taken.add(names[id(use)])
    return names


def _is_state(array: np.ndarray) -> bool:
    """Whether it may be a parameter or a buffer of PyTorch's: floats with an axis."""
    return array.dtype.kind == "f" and array.ndim > 0


def _set(model: Module, name: str, array: np.ndarray, role: str) -> tuple[Module, str]:
    """The module and the attribute where it is now; a path that cannot be becomes one word."""
    *parents, attribute = name.split(".")
    module: Any = model
    for part in parents if len(parents) < MOST_PARTS else [""]:
        if part and not hasattr(module, part):
            module.add_module(part, Module())
        module = getattr(module, part, None)
    if not isinstance(module, Module) or not attribute or hasattr(module, attribute):
        module, attribute = model, name.replace(".", "_")
        while not attribute or hasattr(model, attribute):
            attribute += "_"
    if role == LEARNED:
        setattr(module, attribute, Parameter(array))
    else:
        module.register_buffer(attribute, wrap(array.copy()), persistent=_is_state(array))
    return module, attribute
