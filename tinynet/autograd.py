"""The graph: how operations are recorded, and how gradients flow back through the record.

The whole engine is two functions. `differentiable` turns a NumPy function that returns
`(y, dx, dw, ...)` into an operation on tensors, and writes a `Node` for each call whose inputs
require a gradient. `backward` visits the nodes from the newest to the oldest: a node's number is
the moment of its creation, so every use of a value is visited before the operation that made it.

    x ----.                       An edge of a node is one input that requires a gradient:
           mul ---- y             (where the gradient goes, shape and dtype of the input).
    w ----'                       It goes to the node that made the input, or, for a leaf,
                                  to the tensor itself, whose `.grad` it becomes.

A node never points to its output and never to an intermediate tensor, only to closures and
older nodes. So there are no reference cycles, and a closure's arrays die as it is consumed.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeAlias, overload

import numpy as np
from numpy import ndarray

from tinynet import changes
from tinynet.accumulation import Gradients, accumulate, hooked, owned, sum_to_shape
from tinynet.calls import by_position, check_inputs, chosen, constant, explain, kept
from tinynet.grad_mode import keeping, recording
from tinynet.guard import body_on_views, is_foreign

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

Array: TypeAlias = Any
"""Inside an op an ndarray; for its callers whatever becomes one: Tensor, ndarray or number."""

Op: TypeAlias = tuple[Array, ...]
"""What the body of an op returns: its output, and for its inputs functions that are a VJP each."""

VJP: TypeAlias = Callable[[Array], Array]
"""Turns the gradient of an op's output into the gradient of one of its inputs."""

P = ParamSpec("P")

Observer: TypeAlias = "Callable[[str, tuple[Any, ...], dict[str, Any], Tensor], None]"


class _ThreadState(threading.local):
    observer: Observer | None = None
    visit: Callable[..., None] | None = None  # what stands in for `visit`, if anything
    operation: Any = None  # the one that the observer is being told of


state = _ThreadState()

Hooks: TypeAlias = dict[int, Callable[[ndarray], ndarray | None]]
NO_HOOKS: Hooks = {}
"""Called with a gradient; what one returns, unless None, takes its place."""


class Variable:
    """What the graph needs to know of a tensor. `Tensor` adds operators and methods."""

    __slots__ = {
        "__weakref__": "",
        "array": "The ndarray.",
        "grad": "The gradient, a Tensor, or None.",
        "hooks": "What `register_hook` was given; a node has those of its output.",
        "node": "The Node that made it, None for a leaf.",
        "requires_grad": "Whether operations on it are recorded.",
    }

    array: ndarray
    grad: Tensor | None
    node: Node | None
    requires_grad: bool
    hooks: Hooks
    number: ClassVar[int] = 0  # where a node has the moment of its call
    keeps: ClassVar[bool] = True
    """Whether calls with a leaf are kept for gradients of gradients, as with a node's output."""

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """`Variable(x)`, as older PyTorch scripts write it, is `Tensor(x)`."""
        return object.__new__(_tensor_class if cls is Variable else cls)

    def as_it_is(self) -> Tensor:
        """The same memory and record in another tensor, which no change in place moves on."""
        return wrap(self.array, self.node)


class Node:
    """One recorded call of an operation.

    edges: (target, shape, dtype) for each input that requires a gradient; target is the node that
    made it or, for a leaf, the tensor itself. without: the places of others, if any.
    vjps: what makes the gradient of each, () once the backward pass has consumed them.
    view: the output shares memory with an input. number: the moment of the call. retained: the
    tensor that asked for `retain_grad()`. call: (body, arguments, settings, output), for gradients
    of gradients; None unless it keeps that, () once the backward pass has freed it.
    """

    __slots__ = (
        "__weakref__", "call", "edges", "hooks", "keeps", "name", "number", "retained", "view",
        "vjps", "without",
    )  # fmt: skip

    call: tuple[Any, ...] | None
    without: Sequence[int]

    def __init__(self, name: str, vjps: Sequence[Any], edges: list[Edge], view: bool) -> None:
        self.name = name
        self.number = next(changes.clock)
        self.vjps = vjps
        self.edges = edges
        self.view = view
        self.retained: weakref.ref[Variable] | None = None
        self.hooks = NO_HOOKS
        self.keeps, self.call = False, None


Edge: TypeAlias = tuple[Node | Variable, tuple[int, ...], np.dtype[Any]]
Use: TypeAlias = tuple[Any, Edge]  # with its vjp

registry: dict[str, Callable[..., Tensor]] = {}
"""Every differentiable operation by its qualified name, such as `tinynet.ops.conv.conv2d`."""

_tensor_class: Any = Variable

backward_recorded: Any = None
"""The backward pass with gradients of its own, or to some inputs; `derivatives` sets it."""


def set_tensor_class(tensor_class: type[Variable]) -> None:
    """Tell the graph which class wraps the outputs of operations (called once, by tensor.py)."""
    global _tensor_class
    _tensor_class = tensor_class


def wrap(data: Array, node: Node | None = None) -> Tensor:
    """A tensor around `data`, without any check or copy."""
    y: Tensor = object.__new__(_tensor_class)
    y.array = data if type(data) is ndarray else np.asarray(data)
    y.grad = None
    y.node = node
    y.requires_grad = node is not None
    y.hooks = NO_HOOKS
    return y


@overload
def differentiable(function: Callable[P, Op], /) -> Callable[P, Tensor]: ...


@overload
def differentiable(
    *, view: bool = ..., kinks: Any = ..., rule: str = ...
) -> Callable[[Callable[P, Op]], Callable[P, Tensor]]: ...


def differentiable(
    function: Any = None,
    *,
    view: bool = False,
    kinks: Any = None,
    rule: str = "",
) -> Any:
    """Turn a function on arrays into a differentiable operation on tensors.

    `function(x, w, ..., settings)` gets ndarrays in place of tensors and returns
    `(y, dx, dw, ...)`: the output, and for each of its first inputs a function that turns the
    gradient of the output, dy, into the gradient of that input. dx may have the broadcast shape:
    it is summed back to the shape of x here. What the backward pass needs, the nested functions
    keep as local variables. A gradient that nobody asked for is never computed; those that come in
    one pass are given by `together`. What comes in, dy included, is not written to: others use it.

    view: the output may share memory with the first input (reshape, transpose, ...). Whether it
    does is looked at each time, and a tensor that does is not changed in place.
    What the operation is known for, it carries as attributes. kinks: where it has no derivative,
    see `tinynet/ops/kinks.py`. rule: formula and derivative in one line.

    >>> import numpy as np, tinynet
    >>> @tinynet.differentiable
    ... def square(x):
    ...     return x * x, lambda dy: 2 * x * dy
    >>> t = tinynet.tensor([1.0, -3.0], requires_grad=True)
    >>> square(t).sum().backward()
    >>> t.grad
    tensor([ 2., -6.])
    """

    def decorated(body: Callable[..., Any]) -> Any:
        operation: Any = _operation(body, view)
        operation.kinks, operation.rule = kinks, rule
        return operation

    return decorated if function is None else decorated(function)


def _operation(body: Callable[..., Any], view: bool) -> Callable[..., Tensor]:
    name = body.__name__.lstrip("_")
    qualified_name = f"{body.__module__}.{body.__name__}"
    foreign = is_foreign(body)
    if foreign:
        check_inputs(name, (getattr(body, "__defaults__", None),), {})
    run = body_on_views(body, name) if foreign else body

    @functools.wraps(body)
    def operation(*args: Any, **settings: Any) -> Tensor:
        if settings and any(isinstance(value, Variable) for value in settings.values()):
            args, settings = by_position(body, args, settings)
        if foreign:
            check_inputs(name, args, settings)
        records, keeps = recording.get(), keeping.get()
        arrays: list[Any] = list(args)
        edges: list[Edge] = []  # of the inputs that want a gradient
        places: list[int] = []  # and where these stand
        for place, value in enumerate(args):
            if isinstance(value, Variable):
                x = arrays[place] = value.array
                if value.requires_grad:
                    places.append(place)
                    target: Any = value.node or value
                    edges.append((target, x.shape, x.dtype))
                    keeps = keeps or target.keeps
                    if target is not value and changes.last > target.number:
                        changes.check_not_stale(x, target, name)
            elif hasattr(value, "dtype"):
                arrays[place] = constant(value, records)
        call = kept(args, settings) if keeps and edges and records else None
        try:
            result = run(*arrays, **settings)
        except (ValueError, AttributeError) as error:
            explain(error, name, arrays)
            raise
        if type(result) is not tuple:
            raise TypeError(
                f"{name}: an operation returns a tuple (y, dx, ...), not {result!r:.60}"
            )
        y = result[0]
        node = None
        if edges and records:
            vjps = result[1:]
            if same := y is arrays[0]:
                y = y.view()  # so that the two tensors can be told apart
            node = Node(name, vjps, edges, same or (view and np.may_share_memory(y, arrays[0])))
            if not len(edges) == len(vjps) > places[-1] or not all(vjps):
                node.vjps, node.without = chosen(name, args, vjps, places)
            if call is not None:
                y = np.asarray(y)
                node.keeps, node.call = True, (body, *call, y)
        output = wrap(y, node)
        if node is not None and node.view:
            output.origin = args[0], None
        if state.observer is not None:
            state.operation = operation
            state.observer(qualified_name, args, settings, output)
        return output

    operation.forward = body  # type: ignore[attr-defined]
    registry[qualified_name] = operation
    return operation


class OneOf:
    """One of the gradients that a function gives in one pass: see `together`."""

    __slots__ = ("function", "place")

    def __init__(self, function: Callable[[Array], tuple[Array, ...]], place: int) -> None:
        self.function = function
        self.place = place

    def __call__(self, dy: Array) -> Array:
        return self.function(dy)[self.place]


def together(function: Callable[[Array], tuple[Array, ...]], count: int = 2) -> list[OneOf]:
    """What an operation returns for `count` inputs whose gradients come in one pass.

    `function(dy)` gives them all. The backward pass calls it once.

    >>> import tinynet
    >>> @tinynet.differentiable
    ... def product(x, w):
    ...     return x * w, *together(lambda dy: (dy * w, dy * x))
    """
    return [*map(OneOf, [function] * count, range(count))]


def run_backward(root: Variable, dy: ndarray, retain_graph: bool = False) -> None:
    """Send `dy`, the gradient of the loss with respect to `root`, back to the leaves.

    Adds to the `.grad` of every leaf, in place, and does so at the very end: an error leaves each
    as it was. What a node keeps is dropped as it is consumed, unless `retain_graph`.
    """
    found = pass_back([(root, dy)], retain_graph)
    accumulate(zip(found, map(wrap, found.values())))


@np.errstate(under="ignore")  # what is too small for its dtype is 0
def pass_back(
    roots: Sequence[tuple[Variable, ndarray]],
    retain_graph: bool,
    wanted: Collection[Node | Variable] = (),
    passed: Mapping[Node, Iterable[Use]] | None = None,
) -> dict[Node | Variable, Array]:
    """The gradient of each leaf, and of each node that is wanted or whose tensor asked for it.

    passed: the nodes that are visited, and of each the uses that count; None for all.
    """
    gradients = Gradients(roots)
    known, queue = gradients.known, gradients.nodes
    found: dict[Node | Variable, Array] = {}
    visit_node = state.visit or visit
    while queue:
        node = heapq.heappop(queue)[1]
        dy = known.pop(node)  # complete by now
        if node.hooks:
            dy = hooked(node, dy)
        if node.retained is not None or node in wanted:
            found[node] = np.array(dy)
        uses = zip(node.vjps, node.edges) if passed is None else passed[node]
        if uses:
            visit_node(node, uses, dy, gradients, retain_graph)
    for leaf in [leaf for leaf in known if leaf.hooks]:  # every node is consumed by now
        known[leaf] = hooked(leaf, known[leaf])
    return found | known


def visit(
    node: Node, uses: Iterable[Use], dy: Array, gradients: Gradients, retain_graph: bool
) -> None:
    """Turn `dy` of one node's output into gradients of its inputs, added up in `gradients`.

    A function of its own so that the node's closures and dy die when it returns.
    """
    if not node.vjps:
        raise RuntimeError(
            f"backward() a second time through {node.name!r}, whose saved values are freed. "
            "Run the forward pass again, or pass retain_graph=True to the first backward()."
        )
    if changes.last > node.number:
        changes.check_saved_values(node)
    if not retain_graph:
        node.vjps, node.call = changes.spent(node.vjps), node.call and ()
    known, function, several = gradients.known, None, None  # who gave several last, and these
    for vjp, (target, shape, dtype) in uses:
        if type(vjp) is OneOf:
            if vjp.function is not function:
                function, several = vjp.function, vjp.function(dy)
            dx = several[vjp.place]  # type: ignore[index]
        else:
            dx = vjp(dy)
        if type(dx) is not ndarray or dx.shape != shape or dx.dtype is not dtype:
            dx = np.asarray(sum_to_shape(dx, shape, node.name, vjp), dtype)
        if target in known:
            gradients.add(target, dx)
        elif type(target) is Node:
            known[target] = dx
            heapq.heappush(gradients.nodes, (-target.number, target))
        else:
            known[target] = owned(dx, vjp, dy, several)


@contextlib.contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Call `observer(op, args, settings, output)` after each operation of this thread."""
    before = state.observer
    state.observer = observer
    try:
        yield
    finally:
        state.observer = before
