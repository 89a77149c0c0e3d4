"""The backward pass that is itself recorded.

Beside a node stands how it was called: the body of its operation and the arguments. The body runs
once more on tensors, `y, dx, dw = body(x, w)`; then `dx(dy)`, of a tensor dy, is a tensor whose
operations are recorded like any others. So there are gradients of every order, and no second
derivative is written anywhere.
"""

import copy
import functools
import inspect
import linecache
import operator
import traceback
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinynet import autograd, changes, ops
from tinynet.accumulation import hooked, sum_to_shape
from tinynet.autograd import Node, OneOf, Use, Variable, wrap
from tinynet.derivatives import kernels
from tinynet.derivatives.outside import refuse_kept_values
from tinynet.derivatives.traced import Traced, looked_at
from tinynet.grad_mode import create_graph
from tinynet.guard import is_foreign
from tinynet.tensor import Tensor


def gradients(
    starts: Sequence[tuple[Tensor, Tensor]],
    targets: Sequence[Variable],
    create_graph: bool,
    retain_graph: bool,
) -> list[Tensor | None]:
    """The gradient of each target, from roots and the gradients of these; None where it has none.

    create_graph: recorded, so that they have gradients themselves.
    """
    if create_graph:
        recorded = pass_back(starts, targets)
        return [recorded.get(x.node or x) for x in targets]
    places = [x.node or x for x in targets]
    passed = leading(starts, set(places))
    roots = [(y, dy.array) for y, dy in starts if y.node is None or y.node in passed]
    found = autograd.pass_back(roots, retain_graph, set(places), passed)
    return [wrap(found[place]) if place in found else None for place in places]


def pass_back(
    roots: Sequence[tuple[Tensor, Tensor]], targets: Sequence[Variable] | None = None
) -> dict[Variable | Node, Tensor]:
    """The gradient of every leaf, or of each of `targets`, recorded; what leads there is passed."""
    if targets is None:
        targets = [x for x in record(y.node or y for y, _ in roots) if not isinstance(x, Node)]
    wanted: set[Any] = {x.node or x for x in targets}
    gradients: dict[Any, Tensor] = {}
    found: dict[Any, Tensor] = {}

    def add(target: Any, dx: Tensor) -> None:
        gradients[target] = gradients[target] + dx if target in gradients else dx

    with create_graph(), kernels.recorded(), np.errstate(under="ignore"):
        for root, dy in roots:
            add(root.node or root, dy)
        for node, edges in reversed(leading(roots, wanted).items()):
            dy = hooked(node, gradients.pop(node))
            if node in wanted or node.retained is not None:
                found[node] = dy
            for target, dx in _inputs(node, dy) if edges else ():
                add(target, dx)
        found |= {x: hooked(x, dx) for x, dx in gradients.items() if not isinstance(x, Node)}
    return found


def record(targets: Iterable[Node | Variable], oldest: int = 0) -> Iterator[Any]:
    """These nodes and leaves, and all that they were computed from; of `oldest` and newer."""
    pending, seen = list(targets), set()
    while pending:
        target = pending.pop()
        if target.number >= oldest and target not in seen:
            seen.add(target)
            yield target
            pending.extend(edge[0] for edge in getattr(target, "edges", ()))


def leading(roots: Sequence[tuple[Tensor, Tensor]], wanted: set[Any]) -> dict[Node, list[Use]]:
    """The nodes on the way to what is wanted, and this, each with the uses that lead there.

    The oldest comes first.
    """
    oldest = max(1, min((x.number for x in wanted), default=1))  # leaves have 0
    found: dict[Node, list[Use]] = {}
    reached = set(wanted)
    nodes = record((y.node or y for y, _ in roots), oldest)
    for node in sorted(nodes, key=operator.attrgetter("number")):
        vjps = node.vjps or [None] * len(node.edges)  # visiting it is refused
        uses = [(vjp, edge) for vjp, edge in zip(vjps, node.edges) if edge[0] in reached]
        if uses or node in wanted:
            found[node] = uses
            reached.add(node)
    return found


def _inputs(node: Node, dy: Tensor) -> list[tuple[Node | Variable, Tensor]]:
    """Where the gradients of a node's inputs go, and these gradients."""
    if not node.call:
        how = "not kept" if node.call is None else "freed by a backward pass"
        raise RuntimeError(
            f"{node.name}: how it was called is {how}, so its gradient has no gradient. Where "
            "parameters alone require one, compute the forward pass inside `with "
            "tinynet.create_graph():`; pass retain_graph=True to a backward before this one."
        )
    body, args, settings, y = node.call
    args = [_as_it_was(x, node) for x in args]
    before, traced_dy, found = node.vjps, Traced.given(dy), []
    token = looked_at.set([])
    try:
        if is_foreign(body):
            refuse_kept_values(body)
        same = [y, *(_each(before, dy.array) if is_foreign(body) else ())]
        given, again, dxs = _replayed(body, args, settings, traced_dy)
        if lost := [x for x in looked_at.get() if isinstance(x, str)]:
            raise TypeError(f"{lost[0]}; the body goes on as if nothing was")
        saved = changes.saved_arrays([y, *before])
        if not any(changes.changed_since(x, node.number) for x in saved):
            for found_now, was in zip([again, *dxs], same):
                _check_same(found_now, np.asarray(was, y.dtype), [*given, traced_dy])
        if is_foreign(body):
            _refuse_lost_values(body, args, settings, _moved(wrap(np.ones_like(y)), 0.5))
        for dx, vjp, (target, shape, dtype) in zip(dxs, before, node.edges):
            dx = dx.tensor if isinstance(dx, Traced) else wrap(dx)
            for z in dict.fromkeys(looked_at.get()):  # by which dx changes in steps
                dx = ops.where(np.True_, dx, ops.sum(z)) if z.requires_grad else dx
            found.append((target, sum_to_shape(dx, shape, node.name, vjp).to(dtype)))
    except Exception as error:
        raise RuntimeError(_explained(node.name, body, error)) from error
    finally:
        looked_at.reset(token)
    return found


def _replayed(body: Any, args: Sequence[Any], settings: Any, dy: Any) -> tuple[Any, Any, Any]:
    """What the body is given on a replay, its result, and the gradients of dy."""
    given = [_argument(value) for value in args]
    again, *vjps = body(*given, **{name: _argument(x) for name, x in settings.items()})
    return given, again, _each([f for f, x in zip(vjps, args) if isinstance(x, Variable)], dy)


def _each(vjps: Iterable[Any], dy: Any) -> list[Any]:
    """What each function makes of dy; one that gives several gradients is called once."""
    given = functools.cache(lambda function: function(dy))
    return [given(vjp.function)[vjp.place] if isinstance(vjp, OneOf) else vjp(dy) for vjp in vjps]


def _refuse_lost_values(body: Any, args: Sequence[Any], settings: Any, dy: Tensor) -> None:
    """TypeError for a gradient that is that of the result here, but not at a point nearby.

    So it is where a body uses what an earlier call left to it, which is a constant to the record.
    Elements whose gradient is another one here too are meant to have it; of those it is asked
    alone that a gradient that moves with the inputs, or with dy, is recorded to do so.
    """
    points = []
    for step in (0.0, 0.1):
        token = looked_at.set([])
        try:
            xs = [_moved(x, step) if isinstance(x, Variable) else x for x in args]
            with np.errstate(all="ignore"):
                _, y, found = _replayed(body, xs, settings, Traced.given(dy))
                leaves: list[Any] = [x for x in xs if isinstance(x, Variable)]
                own = gradients([(y.tensor, dy)], leaves, False, True)
            in_steps = bool(looked_at.get())
            points.append(
                [_beside(*each, leaves, dy, in_steps) for each in zip(found, own, leaves)]
            )
        except Exception:  # met by the replay of the call too, unless it is met nearby alone
            return
        finally:
            looked_at.reset(token)
    for (meant, here, fixed, lost), (near, there, *_) in zip(*points):
        if lost:
            raise TypeError("a gradient does not depend on dy as far as is recorded, and is not 0")
        if (meant & ~near).any() or (fixed and not np.array_equal(here, there, equal_nan=True)):
            raise TypeError(
                "its gradient is that of its result, but at a point nearby it is not: it uses what "
                "an earlier call, or whoever made it, computed from the inputs; compute that in "
                "the body, or make it an argument"
            )


def _beside(
    dx: Any, true: Tensor | None, x: Tensor, leaves: list[Any], dy: Tensor, in_steps: bool
) -> tuple[np.ndarray, np.ndarray, bool, bool]:
    """Where a gradient is the true one, as far as both are numbers; it; what it does not follow.

    That is the inputs, and dy, in which it is linear.
    """
    traced = isinstance(dx, Traced)
    origins = {*record([dx.tensor.node or dx.tensor])} if traced else set()
    array = sum_to_shape(dx.tensor.array if traced else dx, x.shape, "", None)
    expected = np.zeros(x.shape) if true is None else true.array
    finite = np.isfinite(array) & np.isfinite(expected)
    largest = np.abs(expected).max(initial=0, where=finite)
    rounding = 4 * np.finfo(x.dtype).eps  # of dy, which is about 1
    near = ~finite | (np.abs(array - expected) <= largest / 1000 + rounding)
    fixed = not in_steps and origins.isdisjoint(leaves)
    return near, array, fixed, dy not in origins and bool(array.any())


def _moved(x: Variable, step: float) -> Tensor:
    """A leaf near x, at which no two elements are equal."""
    size, rng = np.abs(x.array), np.random.default_rng(0)
    by = rng.choice([-step, step], size.shape) * rng.uniform(0.5, 1, size.shape)
    by *= size + (0.1 * size.mean() if size.any() else 1)
    return wrap((x.array + by).astype(x.array.dtype)).requires_grad_()


def _as_it_was(x: Any, node: Node) -> Any:
    """An argument of a node as it was given, also where its memory was overwritten since.

    What was there the operation that made it has kept; a view is taken of that once more.
    """
    if not isinstance(x, Variable) or not changes.changed_since(x.array, node.number):
        return x
    maker = x.node
    if maker is not None and maker.call:
        body, args, settings, y = maker.call
        if maker.view:
            given = (_as_it_was(value, maker) for value in args)
            y = body(*(getattr(value, "array", value) for value in given), **settings)[0]
        if maker.view or not changes.changed_since(y, maker.number):
            return wrap(y, maker)
    raise RuntimeError(
        f"{node.name}: its input of shape {x.array.shape} was changed in place since. "
        "Write `x = x + ...` in place of `x += ...`, or change a copy (`x.clone()`)."
    )


def _argument(value: Any) -> Any:
    """An argument for a replay: each float array as one that is traced."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        value = wrap(value)
    if isinstance(value, Variable):
        return Traced.given(value)
    return copy.deepcopy(value) if isinstance(value, (np.ndarray, np.random.Generator)) else value


def _check_same(again: Any, y: np.ndarray, given: Sequence[Any]) -> None:
    """RuntimeError unless the replay computed what the forward pass did, but for rounding."""
    again = again.tensor.array if isinstance(again, Traced) else np.asarray(again)
    values = [y, *(x.tensor.array for x in given if isinstance(x, Traced))]
    largest = max(np.abs(x).max(initial=0, where=np.isfinite(x)) for x in values)
    near = np.sqrt(np.finfo(y.dtype).eps) * largest
    if again.shape != y.shape or not np.allclose(again, y, 0, near, equal_nan=True):
        raise RuntimeError(
            "it does not compute the same once more. Either an input was changed in place since, "
            "or the body keeps values from call to call, asks whether it has an ndarray, or draws "
            "random numbers: give it a numpy.random.Generator as an argument to draw from"
        )


def _explained(name: str, body: Any, error: Exception) -> str:
    """The message for a body that could not be replayed, with the line where it failed."""
    code = inspect.unwrap(getattr(body, "written_as", body)).__code__
    first = code.co_firstlineno
    while linecache.getline(code.co_filename, first).lstrip().startswith("@"):
        first += 1
    frames = [traceback.FrameSummary(code.co_filename, first, code.co_name)]
    frames += traceback.extract_tb(error.__traceback__)
    line = [frame for frame in frames if frame.filename == code.co_filename][-1]
    return (
        f"{name}: its body cannot run on tensors, so its gradient has no gradient. "
        f"{line.filename}:{line.lineno}: `{line.line}`: {error}. docs/derivatives.md tells what a "
        "body may do."
    )
