"""What a model computes, as a list of operations: forward passes are watched, and compared.

The passes differ in their batch and their numbers. An integer that differs follows the batch; any
other difference is the data's doing, and is refused by name. An array is known by its identity;
where it was overwritten since (`relu_`, `x += y`), it is what the operation before that made.
"""

import contextlib
import functools
import hashlib
import inspect
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tinynet import autograd, changes
from tinynet.autograd import Variable, wrap
from tinynet.errors import OnnxError
from tinynet.nn.location import Line, layer_path, running_modules, user_line
from tinynet.nn.modes import evaluating
from tinynet.nn.module import Module
from tinynet.nn.preserving import preserving

SHAPING = "reshape", "squeeze", "unsqueeze", "expand"  # whose form is told the shape of the result
INPUT = 0  # the number of the input; the operations count from 1


@dataclass(frozen=True)
class Size:
    """An integer that follows the batch: factor * N + offset. Nothing can be computed with it.

    With a factor of 0 it is that of a large batch, and another one of a small: that of `x[:2]`.
    """

    factor: int
    offset: int


@dataclass(eq=False)
class Value:
    """A tensor: of shape and dtype.

    array: of a parameter or a constant; while passes are watched, of what may be one. sizes: in
    place of it, where its elements follow the batch. source: the number of the operation that
    made it or the name of a parameter, while passes are watched. name: in the graph.
    """

    shape: Any
    dtype: np.dtype[Any]
    array: np.ndarray | None = None
    sizes: tuple[int | Size, ...] | None = None
    source: Any = None
    name: str = ""

    ndim = property(lambda self: len(self.shape))


@dataclass(eq=False)
class Call:
    """An operation that was called: its arguments in their order, its output, and from where."""

    op: str
    arguments: Any
    output: Value
    layer: str = ""
    line: Line | None = None

    def refuse(self, reason: str) -> NoReturn:
        """Raise OnnxError with the operation, its layer and the user's line."""
        layer = f" in layer {self.layer}" if self.layer else ""
        line = f", called in {self.line}" if self.line else ""
        raise OnnxError(f"export: {self.op}{layer}{line}: {reason}")


class Fault(str):
    """Why an argument has no place in a file; told if the result depends on it."""


def mapped(function: Callable[..., Any], *trees: Any) -> Any:
    """What the function makes of the leaves at each place of tuples, lists, dicts and slices.

    Where the trees differ in form, they are leaves themselves.
    """
    first = trees[0]
    forms = {(type(x), len(x) if isinstance(x, (tuple, list, dict)) else 0) for x in trees}
    if len(forms) > 1:
        return function(*trees)
    if isinstance(first, dict):
        return {key: mapped(function, *(x.get(key) for x in trees)) for key in first}
    if isinstance(first, slice):
        bounds = zip(*((x.start, x.stop, x.step) for x in trees))
        numbers = ([n.__index__() if hasattr(n, "__index__") else n for n in b] for b in bounds)
        return slice(*(mapped(function, *each) for each in numbers))  # a tensor is a number there
    if isinstance(first, (tuple, list)):
        items = [mapped(function, *each) for each in zip(*trees)]
        return tuple(items) if isinstance(first, tuple) else items
    return function(*trees)


def leaves(tree: Any) -> list[Any]:
    """What is in nested tuples, lists, dicts and slices."""
    found: list[Any] = []
    mapped(found.append, tree)
    return found


def trace(
    model: Module, forward: Callable[[Any], Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Value, list[Call], Any]:
    """Watch `forward`, which runs the model, on batches of images (N, *shape) in evaluation mode.

    Returns the input, the calls on which the result depends, and the result, in which values stand
    for tensors. The model is afterwards as it was. Raises OnnxError for what depends on the data.
    """
    with preserving(model), evaluating(model), np.errstate(all="ignore"):
        batches: list[np.ndarray] = []
        passes: list[_Pass] = []
        for x in _batches(shape, dtype, passes):
            with contextlib.suppress(*[Exception] * (len(x) > 5)):  # some take a few alone
                passes.append(_Pass(model, forward, x))
                batches.append(x)
    values: dict[Any, Any] = {
        name: Value(tensor.shape, tensor.dtype, tensor.array, name=name)
        for name, tensor in model._named_state()
    }
    for name in values:
        if len({watched.made[name][1] for watched in passes if name in watched.made}) > 1:
            values[name] = Fault(f"forward changes {name}, and a file cannot")
    values[INPUT] = Value((Size(1, 0), *shape), dtype, name="input")
    merged, calls = functools.partial(_merged, values, [*map(len, batches)]), []
    steps = itertools.zip_longest(*(watched.calls for watched in passes))
    for number, rows in enumerate(steps, INPUT + 1):
        first = next(call for call in rows if call)
        ways = {f"{call.op} in {call.layer or 'forward'}" if call else "nothing" for call in rows}
        if len(ways) > 1:
            first.refuse(
                "the forward pass does something else with another batch (at this place "
                f"{' or '.join(sorted(ways))}), and a file has one way alone: choose with "
                "arithmetic in place of `if`"
            )
        first.arguments = mapped(merged, *(call.arguments for call in rows))
        *shapes, alone = (call.output.shape for call in rows)
        if first.op in SHAPING or {*map(len, shapes)} != {len(alone)}:
            first.output.shape = mapped(merged, *shapes, alone)
        else:  # what `x[:2]` is of one image, ONNX works out
            pairs = zip(mapped(merged, *shapes), alone)
            sizes = (Size(0, n) if type(n) is int and n != one else n for n, one in pairs)
            first.output.shape = tuple(sizes)
        values[number] = first.output
        calls.append(first)
    *needed, result = _needed(calls)
    return values[INPUT], needed, result.arguments


def _batches(
    shape: tuple[int, ...], dtype: np.dtype[Any], passes: "list[_Pass]"
) -> Iterator[np.ndarray]:
    """Batches that are unlike in all: the first is above 0, the second below, the others both.

    5 tells 2 * N from N * N, many what few do not do (`len(x) > 8`), 1 what NumPy squeezes. They
    are as many as have 2^22 numbers on their way through the model, by the first of `passes`.
    """
    rng = np.random.default_rng(0)
    for N in (2, 3, 5, None, 1):
        if N is None:
            numbers = sum(math.prod(call.output.shape) for call in passes[0].calls)
            N = min(max(2**23 // numbers, 9), 257)
        x = rng.uniform(*{2: (0.01, 1), 3: (-1, -0.01)}.get(N, (-3, 3)), (N, *shape))
        yield (x * 255 if dtype.kind == "u" else x).astype(dtype)


class _Pass:
    """One forward pass: its calls in their order, the last of which is that of the result.

    known: arrays, kept alive, and their source, by identity. made: when, and what was in them.
    """

    def __init__(self, model: Module, forward: Callable[[Any], Any], x: np.ndarray) -> None:
        self.known: dict[int, tuple[np.ndarray, Any]] = {}
        self.made: dict[Any, tuple[int, bytes]] = {}
        self.calls: list[Call] = []
        for name, tensor in reversed(list(model._named_state())):  # of several names the first
            self._learn(tensor.array, name)
        self._learn(x, INPUT)
        with autograd.observe(self._observe):
            y = forward(wrap(x))
        self.calls.append(Call("the result", mapped(self._seen, y), Value((), x.dtype)))

    def _observe(self, op: str, args: Any, settings: dict[str, Any], output: Any) -> None:
        bound = _signature(autograd.state.operation.forward).bind(*args, **settings)
        bound.apply_defaults()
        given = mapped(self._seen, tuple(bound.arguments.values()))
        name, layer = op.rpartition(".")[2].lstrip("_"), layer_path(running_modules())
        made = Value(output.shape, output.dtype)
        self.calls.append(Call(name, given, made, layer, user_line()))
        self._learn(output.array, len(self.calls))

    def _learn(self, array: np.ndarray, source: Any) -> None:
        self.known[id(array)] = array, source
        self.made[source] = changes.last, _content(array)

    def _seen(self, given: Any) -> Any:
        """What was given, or the value that stands for an array."""
        given = given.array if isinstance(given, Variable) else given
        if not isinstance(given, np.ndarray):
            return given.item() if isinstance(given, np.generic) else given
        if id(given) not in self.known:
            return Value(given.shape, given.dtype, given.copy())
        source = self.known[id(given)][1]
        if changes.changed_since(given, self.made[source][0]):
            numbers = range(INPUT, len(self.calls) + 1)
            source = max(n for n in numbers if changes.changed_since(given, self.made[n][0]))
        unchanged = self.made[source][1] == _content(given)
        return Value(given.shape, given.dtype, source=source if unchanged else None)


_signature = functools.cache(inspect.signature)


def _content(array: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _needed(calls: list[Call]) -> list[Call]:
    """The calls on which the last one depends, itself included."""
    wanted = {calls[-1].output}
    kept = []
    for call in reversed(calls):
        if call.output in wanted:
            kept.append(call)
            for leaf in leaves((call.arguments, call.output.shape)):
                if isinstance(leaf, Fault):
                    call.refuse(leaf)
                if isinstance(leaf, Value):
                    wanted.add(leaf)
    return kept[::-1]


def _merged(values: dict[Any, Value], batches: list[int], *given: Any) -> Any:
    """What a call was given at a place in the passes, as one thing: see the top of the file."""
    first = given[0]
    if all(isinstance(x, Value) for x in given):
        return _merged_value(values, batches, *given)
    if all(type(x) is type(first) and (x is first or x == first) for x in given):
        return first
    if all(type(x) is int for x in given):
        factor = given[1] - first
        size = Size(factor, first - batches[0] * factor)
        if all(size.factor * N + size.offset == n for N, n in zip(batches, given)):
            return size
    told = ", ".join(f"{x!r:.40}" for x in given)
    return Fault(
        f"{told} for batches of {', '.join(map(str, batches))}: a number that depends on the "
        "data, or on the batch N in another way than a * N + b"
    )


def _merged_value(values: dict[Any, Value], batches: list[int], *given: Value) -> Value | Fault:
    """The value that an array is in each pass, or the constant."""
    first, merged = given[0], functools.partial(_merged, values, batches)
    arrays = [x.array for x in given if x.array is not None]
    if len(arrays) == len(given):
        if len({_content(array) for array in arrays}) == 1:
            return Value(first.shape, first.dtype, arrays[0])
        rows = {_content(x[:1]) if x.ndim and (x == x[:1]).all() else b"" for x in arrays}
        if first.dtype.kind == "f" and len(rows) == 1 and b"" not in rows:
            return Value(mapped(merged, *(x.shape for x in given)), first.dtype, arrays[0][:1])
        if first.dtype.kind == "i" and len({x.shape for x in arrays}) == 1:
            sizes = mapped(merged, *(tuple(x.ravel().tolist()) for x in arrays))
            if not any(isinstance(n, Fault) for n in sizes):
                return Value(first.shape, first.dtype, sizes=sizes)
    if first.source is not None and len({x.source for x in given}) == 1:
        return values[first.source]
    return Fault(
        "an array that depends on the data or the size of the batch, and that no operation "
        "made: comparisons, places (argmax, max along an axis) and assignments are not "
        "followed. Masks may be written with relu, clip or sign, maxima with amax"
    )
