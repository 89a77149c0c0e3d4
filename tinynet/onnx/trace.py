"""What a model computes, as a list of operations: forward passes are watched, and compared.

The passes differ in their batch and their numbers. An integer that differs follows the batch; any
other difference is the data's doing, and is refused by name. Arrays are told apart by the memory
they lie in, and where that was overwritten since (`relu_`, `x += y`) by what is in it.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tinynet import autograd
from tinynet.autograd import Variable, wrap
from tinynet.errors import OnnxError
from tinynet.nn.location import Line, layer_path, running_modules, user_line
from tinynet.nn.modes import evaluating
from tinynet.nn.module import Module
from tinynet.nn.preserving import preserving

BATCHES = 2, 3, 5  # the third tells what is proportional to N from N // 2 and N * N
INPUT = 0  # the number of the input; the operations count from 1


class Size(NamedTuple):
    """An integer that follows the batch: factor * N + offset."""

    factor: int
    offset: int


@dataclass(eq=False)
class Value:
    """A tensor: of shape and dtype.

    array: of a parameter or a constant; while passes are watched, of what may be one. sources:
    what may have made it, numbers of operations or the name of a parameter. name: in the graph.
    """

    shape: Any
    dtype: np.dtype[Any]
    array: np.ndarray | None = None
    sources: Sequence[Any] = ()
    name: str = ""

    ndim = property(lambda self: len(self.shape))


@dataclass(eq=False)
class Call:
    """An operation that was called: its arguments in their order, its output, and from where."""

    op: str
    arguments: Any
    output: Any
    layer: str = ""
    line: Line | None = None

    def refuse(self, reason: str) -> NoReturn:
        """Raise OnnxError with the operation, its layer and the user's line."""
        layer = f" in layer {self.layer}" if self.layer else ""
        line = f", called in {self.line}" if self.line else ""
        raise OnnxError(f"export: {self.op}{layer}{line}: {reason}")


def trace(
    model: Module, forward: Callable[[Any], Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Value, list[Call], Any]:
    """Watch `forward`, which runs the model, on batches of images (N, *shape) in evaluation mode.

    Returns the input, the calls on which the result depends, and the result, in which values stand
    for tensors. The model is afterwards as it was. Raises OnnxError for what depends on the data.
    """
    with preserving(model), evaluating(model), np.errstate(all="ignore"):
        passes = [_Pass(model, forward, x).calls for x in _batches(shape, dtype)]
    values: dict[Any, Value] = {
        name: Value(tensor.shape, tensor.dtype, tensor.array, name=name)
        for name, tensor in model._named_state()
    }
    values[INPUT] = Value((Size(1, 0), *shape), dtype, name="input")
    calls = []
    for number, rows in enumerate(itertools.zip_longest(*passes), INPUT + 1):
        first = next(call for call in rows if call)
        ways = {f"{call.op} in {call.layer or 'forward'}" if call else "nothing" for call in rows}
        if len(ways) > 1:
            first.refuse(
                "the forward pass does something else with another batch (at this place "
                f"{' or '.join(sorted(ways))}), and a file has one way alone: choose with "
                "arithmetic in place of `if`"
            )
        merge = _Merge(first, values)
        first.arguments = merge([call.arguments for call in rows])
        if first.output is not None:
            first.output.shape = merge([call.output.shape for call in rows])
            values[number] = first.output
        calls.append(first)
    result = calls.pop().arguments
    return values[INPUT], _needed(calls, result), result


def _batches(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[np.ndarray]:
    """Batches that are unlike in all: the first is above 0, the second below, the third both."""
    rng = np.random.default_rng(0)
    for N, limits in zip(BATCHES, ((0.01, 1), (-1, -0.01), (-3, 3))):
        x = rng.uniform(*limits, (N, *shape))
        yield (x * 255 if dtype.kind == "u" else x).astype(dtype)


class _Pass:
    """One forward pass: its calls in their order, the last of which is that of the result."""

    def __init__(self, model: Module, forward: Callable[[Any], Any], x: np.ndarray) -> None:
        self.known: dict[int, tuple[np.ndarray, bytes, Any]] = {}  # by identity, and kept alive
        self.alike: dict[bytes, list[Any]] = {}
        self.calls: list[Call] = []
        for name, tensor in reversed(list(model._named_state())):  # of several names the first
            self._learn(tensor.array, name)
        self._learn(x, INPUT)
        with autograd.observe(self._observe):
            y = forward(wrap(x))
        self.calls.append(Call("the result", self._seen(y), None))

    def _observe(self, op: str, args: Any, settings: dict[str, Any], output: Any) -> None:
        bound = _signature(autograd.state.operation.forward).bind(*args, **settings)
        bound.apply_defaults()
        given, made = self._seen(tuple(bound.arguments.values())), Value(output.shape, output.dtype)
        name, layer = op.rpartition(".")[2].lstrip("_"), layer_path(running_modules())
        self.calls.append(Call(name, given, made, layer, user_line()))
        self._learn(output.array, len(self.calls))

    def _learn(self, array: np.ndarray, source: Any) -> None:
        content = _content(array)
        self.known[id(array)] = array, content, source
        if isinstance(source, int):  # parameters are found by identity alone: equal ones differ
            self.alike.setdefault(content, []).append(source)

    def _seen(self, given: Any) -> Any:
        """What was given, with values in place of tensors and arrays."""
        if isinstance(given, Variable):
            given = given.array
        if isinstance(given, np.ndarray):
            content = _content(given)
            known, alike = self.known.get(id(given)), tuple(self.alike.get(content, ()))
            if known is None:
                return Value(given.shape, given.dtype, given.copy(), alike)
            sources = known[2:] if content == known[1] else alike  # else overwritten since
            return Value(given.shape, given.dtype, sources=sources)
        if isinstance(given, (tuple, list)):
            return (tuple if isinstance(given, tuple) else list)(map(self._seen, given))
        if isinstance(given, dict):
            return {key: self._seen(item) for key, item in given.items()}
        if isinstance(given, slice):
            return slice(*map(self._seen, (given.start, given.stop, given.step)))
        return given.item() if isinstance(given, np.generic) else given


_signature = functools.cache(inspect.signature)


def _content(array: np.ndarray) -> bytes:
    digest = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def values_in(tree: Any) -> Iterator[Value]:
    """The values in nested tuples, lists and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (tuple, list, dict)):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from values_in(item)


def _needed(calls: list[Call], result: Any) -> list[Call]:
    """The calls on which the result depends."""
    wanted = set(values_in(result))
    kept = []
    for call in reversed(calls):
        if call.output in wanted:
            kept.append(call)
            wanted |= set(values_in(call.arguments))
    return kept[::-1]


class _Merge:
    """What one call was given in the passes, as one thing: see the top of the file."""

    def __init__(self, call: Call, values: dict[Any, Value]) -> None:
        self.call, self.values = call, values

    def __call__(self, given: Sequence[Any]) -> Any:
        first = given[0]
        if len({(type(x), len(x) if hasattr(x, "__len__") else 0) for x in given}) == 1:
            if isinstance(first, Value):
                return self._value(given)
            if isinstance(first, (tuple, list)):
                return type(first)(map(self, zip(*given)))
            if isinstance(first, dict):
                return {key: self([x.get(key) for x in given]) for key in first}
            if isinstance(first, slice):
                return slice(*map(self, zip(*((x.start, x.stop, x.step) for x in given))))
            if all(x is first or x == first for x in given):
                return first
            if type(first) is int:
                factor = given[1] - first
                size = Size(factor, first - BATCHES[0] * factor)
                if all(size.factor * N + size.offset == n for N, n in zip(BATCHES, given)):
                    return size
        told = ", ".join(f"{x!r:.40}" for x in given)
        return self.call.refuse(
            f"{told} for batches of {', '.join(map(str, BATCHES))}: a number that depends on the "
            "data, or on the batch N in another way than a * N + b"
        )

    def _value(self, given: Sequence[Value]) -> Value:
        """The value that an array is in each pass, or the constant."""
        first = given[0]
        arrays = [x.array for x in given if x.array is not None]
        if len(arrays) == len(given):
            if len({_content(array) for array in arrays}) == 1:
                return Value(first.shape, first.dtype, arrays[0])
            rows = {_content(array[:1]) for array in arrays if array.ndim}
            if (
                len(rows) == 1
                and first.dtype.kind == "f"
                and all((a == a[:1]).all() for a in arrays)
            ):
                return Value(self([x.shape for x in given]), first.dtype, arrays[0][:1])
        shared: set[Any] = set.intersection(*(set(x.sources) for x in given))
        if shared:
            return self.values[max(shared)]  # the newest
        return self.call.refuse(
            "an array that depends on the data, and that no operation made: comparisons, places "
            "(argmax, max along an axis) and assignments are not followed. Masks may be written "
            "with relu, clip or sign, maxima with amax"
        )
