"""One run of a function with everything that flowed through it, and one walk back.

`record` writes down each call of an operation: its arguments and its result (copied, so that a
later change in place shows), its body, the closures that are its backward pass, and the layer of
the model it was called in. `walk_back` does what `Tensor.backward` does, but looks at everything
that passes: what each closure returns, and whether something was overwritten on the way.

A call can be played again by itself, on float64 copies of the values that really flowed through it.
That depends on nothing that happened before or after, and costs one operation, not the whole model.
"""

import copy
import dis
import functools
import inspect
import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np

from tinynet import accumulation, autograd, changes
from tinynet.autograd import VJP, Node, Variable
from tinynet.gradcheck import kinks
from tinynet.gradcheck.differences import Base, Function, Outcome, base_of
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


class NotRepeatableError(Exception):
    """The body does not give the recorded result again."""


class Call:
    """One call of an operation, as it was recorded.

    op: the qualified name; name: the plain one. operation: what was called; body: its function on
    arrays. names: the names of its parameters. args, settings: what it was called with, arrays
    copied. tensors: the tensors among the arguments, by place. vjps: by place, the backward of
    each input that requires a gradient. y: the result, copied. saved: the arrays that the backward
    keeps, each with a copy. single: the places whose backward gave float32 for float64. layer: the
    layer it was made in, such as "features.0 (Conv2d)", empty outside a model. raw: the array that
    the body returned, of a call that was made again.
    """

    raw: np.ndarray

    def __init__(
        self,
        op: str,
        operation: Any,
        args: tuple[Any, ...],
        settings: dict[str, Any],
        output: Tensor,
        layer: str,
    ) -> None:
        self.op, self.operation, self.layer = op, operation, layer
        self.body = body = operation.forward
        self.name = op.rpartition(".")[2].lstrip("_")
        self.names = parameter_names(body, len(args))
        self.tensors = {i: arg for i, arg in enumerate(args) if isinstance(arg, Variable)}
        self.args = tuple(copied(plain(arg)) for arg in args)
        self.settings = {key: copied(plain(value)) for key, value in settings.items()}
        self.y = output.array.copy()
        self.single: set[int] = set()
        self.node: Node | None = output.node
        places = [i for i, x in self.tensors.items() if x.requires_grad]
        self.vjps: dict[int, VJP] = dict(zip(places, getattr(output.node, "vjps", ())))
        saved = itertools.chain.from_iterable(map(changes.saved_arrays, self.vjps.values()))
        self.saved = [(array, array.copy()) for array in saved]

    def run(self, args: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
        """What the body returns for its arguments, or others; random settings start anew."""
        settings = {key: copied(value) for key, value in self.settings.items()}
        result: tuple[Any, ...] = self.body(*(self.args if args is None else args), **settings)
        return result

    def sources(self) -> Iterator[tuple[int, Node | Variable]]:
        """By place, the node or leaf that each gradient goes to."""
        for place in self.vjps:
            tensor = self.tensors[place]
            yield place, tensor.node or tensor

    def twin(self, change: Callable[[Any], Any]) -> "Call":
        """The same call with changed arguments; its result is not computed anew."""
        other = copy.copy(self)
        other.args = tuple(map(change, self.args))
        return other

    def with_argument(self, place: int, x: np.ndarray) -> tuple[Any, ...]:
        """The arguments, one of them another."""
        return (*self.args[:place], x, *self.args[place + 1 :])

    def again(self) -> "Call":
        """The call made once more, on float64 copies.

        Raises NotRepeatableError if it gives something else than what was recorded.
        """
        other = self.twin(
            lambda x: x.astype(np.float64, order="K") if is_array(x, "f") else copied(x)
        )
        try:
            y, *vjps = other.run()
        except Exception as error:
            raise NotRepeatableError(str(error)) from error
        other.raw, other.y = np.asarray(y), np.array(y, np.float64)
        scale = 1e-4 * float(np.abs(other.y).max(initial=1e-300))
        close = functools.partial(np.allclose, rtol=1e-3, atol=scale, equal_nan=True)
        if other.y.shape != self.y.shape or not close(other.y, self.y):
            raise NotRepeatableError("another result")
        given = {place: vjp for place, vjp in enumerate(vjps) if vjp is not None}
        other.vjps = {place: given[place] for place in self.vjps if place in given}
        return other

    def forward(self, place: int) -> Function:
        """The result as a function of one argument."""

        def f(x: np.ndarray) -> Outcome:
            args, carried = self.with_argument(place, x), self.operation.kinks
            y = self.run(args)[0]
            branches = [kinks.branch(self.op, carried, args, self.settings)] if carried else []
            return Outcome(np.asarray(y, np.float64), branches)

        return f

    def backward(self, place: int, dy: np.ndarray) -> np.ndarray:
        """What the operation's own backward makes of dy; IncidentError if that is no gradient."""
        return applied(self, place, self.vjps[place], dy)

    def base(self, place: int, dy: np.ndarray, rtol: float) -> Base:
        """The point at which the slopes of one argument are measured."""
        base = base_of(self.forward(place), self.args[place], dy, self.backward(place, dy))
        return base._replace(vjp=lambda dy: self.backward(place, dy), rtol=rtol)


class Trace:
    """The calls of one run in order, and the tensor of the result.

    Of the way back: the gradient that reached the output of each node, what each closure made of
    it, and incidents.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.output: Any = None
        self.gradients: dict[Any, np.ndarray] = {}
        self.applied: dict[tuple[Call, int], np.ndarray] = {}
        self.incidents: list[IncidentError] = []

    def leading_to(self, targets: set[int], without: Container[tuple[Call, int]] = ()) -> set[Node]:
        """The nodes between the leaves with these ids and the output.

        without: calls and places that no gradient passes.
        """
        reached: set[Node] = set()
        for call in self.calls:
            if call.node is not None and any(
                source in reached if isinstance(source, Node) else id(source) in targets
                for place, source in call.sources()
                if (call, place) not in without
            ):
                reached.add(call.node)
        return reached


def record(run: Callable[[], Any], model: Module | None = None) -> Trace:
    """Run a function and record every operation."""
    trace = Trace()
    running = [""]

    def observer(op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Tensor) -> None:
        call = Call(op, autograd.state.operation, args, settings, output, running[-1])
        trace.calls.append(call)

    with ExitStack() as stack:
        for path, module in model.named_modules() if model is not None else ():

            def enter(module: Module, args: Any, path: str = path) -> None:
                kind = type(module).__name__
                running.append(f"{path} ({kind})" if path else kind)

            def leave(module: Module, args: Any, output: Any) -> None:
                running.pop()

            stack.enter_context(module.register_forward_pre_hook(enter))
            stack.enter_context(module.register_forward_hook(leave))
        stack.enter_context(autograd.observe(observer))
        trace.output = run()
    return trace


DY_OVERWRITTEN = "the output gradient is overwritten in place"
NO_GRADIENT = "no gradient"
STATE = "state carried from call to call"
OVERWRITTEN = "a saved value is overwritten in place"


class IncidentError(Exception):
    """Something that went wrong on the walk back, told in words: cause and evidence."""

    def __init__(self, call: Call, place: int, cause: str, evidence: str) -> None:
        super().__init__(cause)
        self.call, self.place, self.cause, self.evidence = call, place, cause, evidence


def walk_back(trace: Trace, u: np.ndarray) -> None:
    """Send u back from the output. A closure that fails is noted, and its gradient left out."""
    gradients = trace.gradients
    if trace.output.node is not None:
        gradients[trace.output.node] = u.copy()
    for call in reversed(trace.calls):
        dy = gradients.get(call.node)
        if dy is None:
            continue
        trace.incidents.extend(_overwritten(call))
        for place, source in call.sources():
            try:
                dx = trace.applied[call, place] = applied(call, place, call.vjps[place], dy)
            except IncidentError as incident:
                trace.incidents.append(incident)
                continue
            if isinstance(source, Node):
                before = gradients.get(source)
                gradients[source] = dx.copy() if before is None else before + dx


def applied(call: Call, place: int, vjp: VJP, dy: np.ndarray) -> np.ndarray:
    """What a closure makes of dy, in the shape of its input; IncidentError if it is no gradient."""
    x, incident = np.asarray(call.args[place]), functools.partial(IncidentError, call, place)
    try:
        dx = vjp(np.array(dy))  # of a single number an array too
    except Exception as error:
        cause, text = "the backward raises an error", f"{type(error).__name__}: {error}"
        if "read-only" in text:  # the engine refused a write
            cause = DY_OVERWRITTEN if "dy" in text else OVERWRITTEN
        raise incident(cause, text) from error
    if dx is None or place in getattr(getattr(vjp, "function", None), "without", ()):
        raise incident(NO_GRADIENT, "the backward returns None: a return is missing")
    array = np.asarray(dx)
    if array.dtype == np.float32 != x.dtype and array.ndim:
        call.single.add(place)  # right to its rounding, it may be
    elif array.dtype.kind not in "fiub" or (array.ndim and array.dtype != x.dtype):
        text = f"the backward returns {array.dtype} for an input of {x.dtype}; take the dtype of dy"
        raise incident("wrong dtype", text)
    try:
        return np.asarray(accumulation.sum_to_shape(array, x.shape, call.name, vjp), x.dtype)
    except ValueError:
        text = f"the backward returns shape {array.shape} for an input of shape {x.shape}"
        raise incident("wrong shape", text + _shape_hint(array.shape, x.shape)) from None


def _shape_hint(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    if len(given) > 1 and sorted(given) == sorted(wanted):
        return ": the same sizes in another order, so a transpose is missing or one too many"
    if np.prod(given, dtype=int) == np.prod(wanted, dtype=int):
        return ": as many elements, so a reshape is missing"
    gaps = [g - w for g, w in zip(given, wanted)] if len(given) == len(wanted) else []
    if gaps and min(gaps) >= 0:
        return f": too large along axis {np.argmax(gaps)}; is a padding not cropped?"
    return f": too small along axis {np.argmin(gaps)}" if gaps and max(gaps) <= 0 else ""


def _overwritten(call: Call) -> Iterator[IncidentError]:
    """An incident for the first array that the backward keeps and that has changed since."""
    for array, before in call.saved:
        if array.shape == before.shape and not np.array_equal(array, before, equal_nan=True):
            named = [
                place
                for place, arg in enumerate(call.args)
                if isinstance(arg, np.ndarray) and np.array_equal(arg, before, equal_nan=True)
            ]
            what = f"its argument {call.names[named[0]]}" if named else "an array"
            text = f"{what} of shape {before.shape}, which the backward needs, has changed in "
            text += f"{(array != before).sum()} of {before.size} elements since the forward pass"
            yield IncidentError(call, [*named, *call.vjps][0], OVERWRITTEN, text)
            return


def plain(value: Any) -> Any:
    """What the body of an operation gets for an argument: the array of a tensor."""
    if isinstance(value, Variable):
        return value.array
    return value.item() if isinstance(value, np.generic) else value


def is_array(value: Any, kinds: str) -> bool:
    """Whether a value is an array of these kinds: "f" float, "i" integer, "b" bool."""
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds


def copied(value: Any) -> Any:
    """A copy of an array in the same memory order, or of a generator; anything else itself."""
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    return copy.deepcopy(value) if isinstance(value, np.random.Generator) else value


def called(functions: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Functions and those that they call, each with the variables that it takes from outside."""
    pending = list(functions)
    for function in pending:
        with suppress(TypeError, ValueError):
            known = inspect.getclosurevars(function)
            read = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
            held = {n: v for n, v in known.globals.items() if n in read} | dict(known.nonlocals)
            parts = (v if isinstance(v, (list, tuple)) else [v] for v in held.values())
            values = itertools.chain.from_iterable(parts)
            new = [f for f in values if inspect.isfunction(f) and f not in pending]
            pending += [f for f in new if f is not autograd.together]
            yield function, held


def written(body: Any) -> dict[str, Any]:
    """The functions that a body is written as: itself, or the methods of an autograd.Function."""
    body = inspect.unwrap(body)
    cls = getattr(body, "written_in", None)
    methods = ("setup_context", "backward", "forward")
    found = {f"_{name}": inspect.unwrap(getattr(cls, name)) for name in methods if cls}
    return {name: f for name, f in found.items() if f} or {"_": body}


def parameters(body: Any) -> list[inspect.Parameter]:
    """What an operation takes; of an autograd.Function that is not `ctx`."""
    functions = written(body)
    ctx = "_forward" in functions and "_setup_context" not in functions
    *_, function = functions.values()
    return list(inspect.signature(function).parameters.values())[ctx:]


def parameter_names(body: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of the first `count` arguments of an operation's body."""
    names: list[str] = []
    for parameter in parameters(body):
        if parameter.kind is parameter.VAR_POSITIONAL:
            names.extend(f"{parameter.name}[{i}]" for i in range(count - len(names)))
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    return tuple(names[:count])
