"""explain: where one element of a gradient comes from, with the numbers that are in it.

    loss = F.cross_entropy(model(x), target)
    print(tinynet.explain(loss, model.conv1.weight, (0, 0, 1, 1), model=model))

The chain rule says that the gradient of an element is a sum over all elements that are computed
from it: how much the loss feels each of those, times how much each of those feels the element.
Each step here is one such sum, over the uses of one element; the step after it explains the
largest of its terms in the same way, up to the loss. `columns` finds the factors, `derivation`
writes it all down.
"""

import contextlib
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinynet import autograd, changes
from tinynet.accumulation import Gradients, sum_to_shape
from tinynet.autograd import Node
from tinynet.derivatives import kernels
from tinynet.derivatives.traced import Traced
from tinynet.grad_fn import FIRST
from tinynet.grad_mode import enable_grad
from tinynet.nn import Module
from tinynet.teaching.derivation import Explanation, Index, Step, Term
from tinynet.tensor import Tensor


def explain(
    loss: Tensor,
    parameter: Tensor | str,
    index: int | Sequence[int] = (),
    *,
    model: Module | None = None,
    most: int = 5,
) -> Explanation:
    """Where the gradient of one element comes from: d loss / d parameter[index], term by term.

    loss: a single number with its graph, before `backward()` (or after one with
    retain_graph=True); nothing is consumed and no `.grad` is changed. parameter: a tensor that
    the loss was computed from, or, with a model, its path such as "conv1.weight". index: of the
    element. model: gives names to parameters and layers. most: how many terms of each sum to show.

    The sum of the terms, `.terms` and the rest, is `.value`, and equals what backward() writes
    to `parameter.grad[index]`, to rounding. An operation of one's own that runs on arrays alone is
    asked once for each element of its result, which takes long for large ones.

    Raises ValueError where the loss is no single number or does not depend on the parameter,
    IndexError for an index that does not exist, RuntimeError where the graph is used up.

    >>> import tinynet
    >>> w = tinynet.tensor([2.0, 3.0], requires_grad=True)
    >>> x = tinynet.tensor([[1.0, -1.0], [0.5, 2.0]])
    >>> print(tinynet.explain((x * w).relu().sum(), w, 1))
    d loss / d parameter[1] = 2      (loss = 9, parameter[1] = 3)
    <BLANKLINE>
    1. parameter[1] goes to mul[1, 1] alone: 1 * 2 = 2
         mul: z = x y, dz/dx = y
    <BLANKLINE>
    2. mul[1, 1] goes to relu[1, 1] alone: 1 * 1 = 1
         relu: y = max(x, 0), dy/dx = 1 where x > 0, else 0
    <BLANKLINE>
    3. relu[1, 1] goes to sum alone: 1 * 1 = 1
         sum: y = sum of x, dy/dx = 1
    """
    name, tensor = _named(parameter, model)
    place = _checked_index(name, tensor, index)
    if loss.array.size != 1:
        raise ValueError(
            f"explain: the loss must be a single number, this tensor has shape {loss.shape}; take "
            "its sum or mean first"
        )
    graph = _Graph(loss, tensor, name, model)
    value = float(graph.gradients[tensor][place])
    steps = []
    target: Any = tensor
    while True:
        step, target, following = graph.step(target, place, most)
        steps.append(step)
        if target is None or target is loss.node:
            break
        place = following
    return Explanation(
        name, steps[0].index, float(tensor.array[steps[0].index]), loss.item(), value + 0.0, steps
    )


class _Graph:
    """The part of a graph between the loss and a tensor, with the gradient of every node in it."""

    def __init__(self, loss: Tensor, tensor: Tensor, name: str, model: Module | None) -> None:
        nodes = _nodes(loss)
        reaching: set[Any] = {tensor.node or tensor}
        self.nodes: list[Node] = []  # from the oldest to the newest
        for node in nodes:
            if any(target in reaching for target, _, _ in node.edges):
                reaching.add(node)
                self.nodes.append(node)
        if loss.node is None or loss.node not in reaching or loss.node is tensor.node:
            raise ValueError(
                f"explain: the loss does not depend on {name}. Is it a parameter of this model, "
                "does it require a gradient, and is nothing detached on the way?"
            )
        self.gradients: Any = (found := Gradients([(loss, np.ones_like(loss.array))])).known
        self.uses: dict[Any, list[tuple[Node, Edge]]] = {}
        for node in reversed(self.nodes):
            if node is tensor.node or node not in self.gradients:
                continue
            dy = self.gradients[node]
            for vjp, (target, shape, _) in zip(node.vjps, node.edges):
                if target in reaching:
                    found.add(target, sum_to_shape(vjp(dy), shape, node.name, vjp))
                    self.uses.setdefault(target, []).append((node, Edge(node.name, vjp, shape)))
        if tensor.node is not None:  # what was asked for is a result itself
            self.gradients[tensor] = self.gradients[tensor.node]
            self.uses[tensor] = self.uses[tensor.node]
        self.names = _names(self.nodes, model)
        self.names[tensor] = name

    def step(self, target: Any, place: Index, most: int) -> tuple[Step, Node | None, Index]:
        """The sum for one element, and which element to explain next."""
        nodes = [node for node, _ in self.uses[target]]
        dys = [self.gradients[node] + 0.0 for node in nodes]  # -0 is written as 0
        locals_ = [column(e, dy, place) for (_, e), dy in zip(self.uses[target], dys)]
        products = [local.astype(np.float64) * dy for local, dy in zip(locals_, dys)]
        felt = any(part.any() for part in products)
        most = most if felt else 1  # where the loss feels none of them, go on with one
        found = [
            (node, Term(self.names[node], i, float(dy[i]), float(local[i]), float(part[i])))
            for node, dy, local, part in zip(nodes, dys, locals_, products)
            for i in _largest(part if felt else local, most)
        ]
        found = sorted(found, key=lambda pair: -abs(pair[1].value))[:most]
        terms = [term for _, term in found]
        rest = sum(map(np.count_nonzero, products if felt else locals_)) - len(terms)
        left = float(sum(part.sum() for part in products)) - sum(term.value for term in terms)
        step = Step(
            name=self.names[target],
            index=place,
            value=float(self.gradients[target][place]) + 0.0,
            uses=[(self.names[node], op, _rule(op)) for node in nodes for op in _ops(node.name)],
            terms=terms,
            rest_count=int(rest),
            rest_sum=left if rest else 0.0,
            note="" if terms else self._closed(target, place),
        )
        return (step, found[0][0], terms[0].index) if terms else (step, None, ())

    def _closed(self, target: Any, place: Index) -> str:
        """Which operation lets nothing of an element through."""
        for node, edge in self.uses[target]:
            if not edge.at(np.ones_like(self.gradients[node]), place):
                return f"the derivative of {edge.op} is 0 here: it lets nothing through"
        return ""


def _ops(name: str) -> list[str]:
    """The operations in one: a pool may do the work of the ReLU before it."""
    first = FIRST.get(name)
    return [name] if first is None else [first, name.removeprefix(f"{first}_")]


def _rule(op: str) -> str:
    """The rule of an operation."""
    of_op = (f for q, f in autograd.registry.items() if q.rpartition(".")[2].lstrip("_") == op)
    return next((f.rule for f in of_op if f.rule), "")  # type: ignore[attr-defined]


def _nodes(loss: Tensor) -> list[Node]:
    """All nodes of the graph of the loss, from the oldest to the newest."""
    found: set[Node] = set()
    pending = [loss.node] if loss.node is not None else []
    while pending:
        node = pending.pop()
        if node in found:
            continue
        if not node.vjps:
            raise RuntimeError(
                f"explain: the graph is used up at {node.name!r}. Call explain() before "
                "loss.backward(), or use loss.backward(retain_graph=True)."
            )
        changes.check_saved_values(node)
        found.add(node)
        pending += [target for target, _, _ in node.edges if isinstance(target, Node)]
    return sorted(found, key=lambda node: node.number)


def _names(nodes: list[Node], model: Module | None) -> dict[Any, str]:
    """A name for the result of each node: of the layer whose parameters it uses, or of the op."""
    owners: dict[int, str] = {}
    names: dict[Any, str] = {}
    for path, parameter in model.named_parameters() if model is not None else ():
        layer = path.rpartition(".")[0] or type(model).__name__
        owners[id(parameter)] = f"layer {layer}" if layer.isdecimal() else layer
        names[parameter] = path
    counts: dict[str, int] = {}
    for node in nodes:
        layer = next((owners[id(t)] for t, _, _ in node.edges if id(t) in owners), node.name)
        counts[layer] = counts.get(layer, 0) + 1
        names[node] = layer if counts[layer] == 1 else f"{layer}#{counts[layer]}"
    return names


def _named(parameter: Tensor | str, model: Module | None) -> tuple[str, Tensor]:
    if isinstance(parameter, str):
        if model is None:
            raise ValueError(f"explain: to find {parameter!r} by its name, pass model= too")
        return parameter, model.get_parameter(parameter)
    for path, own in model.named_parameters() if model is not None else ():
        if own is parameter:
            return path, parameter
    return "parameter", parameter


def _checked_index(name: str, tensor: Tensor, index: int | Sequence[int]) -> Index:
    place = tuple(map(operator.index, index if isinstance(index, Sequence) else (index,)))
    if len(place) != tensor.ndim or any(
        not -size <= i < size for i, size in zip(place, tensor.shape)
    ):
        raise IndexError(f"explain: {name} has shape {tensor.shape}, in which there is no {place}")
    return tuple(i % size for i, size in zip(place, tensor.shape))


def _largest(products: np.ndarray, most: int) -> list[Index]:
    flat = np.abs(products).ravel()
    chosen = np.argsort(-flat, kind="stable")[:most]
    return [
        tuple(int(i) for i in np.unravel_index(n, products.shape)) for n in chosen if flat[n] > 0
    ]


class Edge(NamedTuple):
    """One use of a tensor by an operation: see `autograd.Node.edges`."""

    op: str
    vjp: autograd.VJP
    shape: Index

    def at(self, dy: np.ndarray, k: Index) -> float:
        """Element k of the gradient of the input."""
        return float(sum_to_shape(np.asarray(self.vjp(dy)), self.shape, self.op, self.vjp)[k])


def column(edge: Edge, dy: np.ndarray, k: Index) -> np.ndarray:
    """The local derivatives dy[m]/dx[k], in the shape of dy: column k of the operation's Jacobian.

    The graph holds a function `vjp` that turns dy into dx, and is linear: the factors are the
    gradient of dx[k] with respect to dy, and `vjp` has one where it can run on tensors, as for
    gradients of gradients. A random dy tells whether it is right. Where there is none, `vjp` is
    asked for each element of dy alone.
    """
    start = Tensor(np.zeros_like(dy), requires_grad=True)
    vjp, given = edge.vjp, Traced.given(start)
    # An operation may do what has no gradient: that is told by any exception.
    with np.errstate(all="ignore"), contextlib.suppress(Exception), enable_grad():
        with kernels.recorded():
            dx: Any = (
                vjp.function(given)[vjp.place] if isinstance(vjp, autograd.OneOf) else vjp(given)
            )
            lead = dx.ndim - len(k)
            stretched = [m != n for m, n in zip(dx.shape[lead:], edge.shape)]
            own = [slice(None) if wide else i for wide, i in zip(stretched, k)]
            dx[(*[slice(None)] * lead, *own)].sum().tensor.backward()
        found: np.ndarray = start.grad.array  # type: ignore[union-attr]
        probe = np.random.default_rng(0).standard_normal(dy.shape).astype(dy.dtype)
        product, answer = found.astype(np.float64) * probe, edge.at(probe, k)
        tolerance = 1e-4 if dy.dtype == np.float32 else 1e-9
        if abs(product.sum() - answer) <= tolerance * (np.abs(product).sum() + abs(answer)):
            return found
    units = np.eye(dy.size, dtype=dy.dtype).reshape(-1, *dy.shape)
    return np.array([edge.at(unit, k) for unit in units]).reshape(dy.shape)
