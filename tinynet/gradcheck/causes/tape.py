"""A function's NumPy calls in order, and its gradient with some of their results held constant.

    y = x * sigmoid(x)      x is used twice: by the product, and by the sigmoid.

A backward pass that forgets a use, half of a product rule, or a statistic that depends on x too,
gives the gradient of the function in which that value stands still. So the function is run on an
array that writes down every call on it, and then again with one value at a time as it was.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.causes.clues import STEP, Clues, Suspect, jacobian

MOST_CALLS = 60  # a function with more is a loop, whose single calls say nothing
MOST_PAIRS = 24

Key = tuple[int, int]  # the number of a call, and which of its operands; -1 for its result


class Tape:
    """One run: the calls so far. held: values that stand still, by key.

    bypass: two calls; the result of the second moves as that of the first, whose values at the
    start are held with the operand -2.
    """

    def __init__(
        self, held: dict[Key, np.ndarray] | None = None, bypass: tuple[int, int] | None = None
    ) -> None:
        self.held = held or {}
        self.bypass = bypass
        self.values: dict[Key, np.ndarray] = {}
        self.operands: dict[int, list[Any]] = {}
        self.names: dict[int, str] = {}  # of the calls, with the line of the function
        self.count = 0

    def call(self, name: str, inputs: list[Any], run: Callable[[list[Any]], Any]) -> Any:
        """Run one call on its operands, or on what is held in their place."""
        number, plain = self.count, []
        self.count += 1
        for operand, value in enumerate(inputs):
            if isinstance(value, Traced):
                self.values[number, operand] = np.array(value)
                value = self.held.get((number, operand), np.asarray(value))
            plain.append(value)
        self.operands[number] = plain
        result = run(plain)
        if not isinstance(result, np.ndarray) and not isinstance(result, np.floating):
            return result
        result = np.asarray(result)
        if not self.held:
            self.names[number] = _told(name)
        self.values[number, -1] = result.copy()
        if self.bypass and number == self.bypass[1]:  # moves as the earlier result does
            before = self.held[self.bypass[0], -2]
            result = self.held[number, -2] + self.values[self.bypass[0], -1] - before
        return traced(self.held.get((number, -1), result).copy(), self)


def traced(array: np.ndarray, tape: Tape) -> Traced:
    """An array whose uses are written down."""
    watched = np.asarray(array).view(Traced)
    watched.tape = tape
    return watched


class Traced(np.ndarray):
    """An array that tells its tape of each call on it; a view of it is no call."""

    tape: Any = None

    def __array_finalize__(self, parent: Any) -> None:
        self.tape = getattr(parent, "tape", None)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        options = {key: _plain(value) for key, value in options.items()}

        def run(operands: list[Any]) -> Any:
            if out is None:
                return getattr(ufunc, method)(*operands, **options)
            target = tuple(np.asarray(o) if isinstance(o, Traced) else o for o in out)
            return getattr(ufunc, method)(*operands, out=target, **options)

        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        result = self.tape.call(name, list(inputs), run)
        if out is None or not isinstance(out[0], np.ndarray):
            return result
        np.asarray(out[0])[...] = result
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        nested = [_plain(arg) if isinstance(arg, (list, tuple)) else arg for arg in args]
        options = {key: _plain(value) for key, value in options.items()}
        return self.tape.call(
            function.__name__, nested, lambda operands: function(*operands, **options)
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Traced):
        return np.asarray(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(part) for part in value)
    return value


def _told(name: str) -> str:
    """A call with the line of the function that makes it; of NumPy's functions the outermost."""
    frame: Any = sys._getframe(3)
    inner = ""
    while frame and (frame.f_code.co_filename == __file__ or "numpy" in frame.f_code.co_filename):
        if "numpy" in frame.f_code.co_filename:
            inner = frame.f_code.co_name.strip("_")
        frame = frame.f_back
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() if frame else ""
    where = f"`{text}`" if text else f"line {frame.f_lineno}" if frame else "the function"
    return f"{inner or name} in {where}"


def _run(clues: Clues, x: np.ndarray, tape: Tape) -> np.ndarray:
    return np.array(clues.output({clues.fault.place: traced(x.copy(), tape)}))


def suspects(clues: Clues) -> Iterator[Suspect]:
    """The gradient with values held constant, with a part multiplied, or with a step left out."""
    tape = Tape()
    _run(clues, clues.x, tape)
    if not 0 < tape.count <= MOST_CALLS:
        return
    parts = list(_parts(clues, tape))
    results = [key for key in tape.values if key[1] == -1][-MOST_PAIRS:]
    yield from _multiplied(clues, tape, parts, 1)
    for keys in itertools.product([key for key, _ in parts], results):
        f = _holding(clues, tape, keys)
        if keys[0][0] != keys[1][0] and clues.likely(f, clues.x):
            yield _constant(clues, tape, keys, jacobian(f, clues.x))
    yield from _products(clues, tape)
    yield from _bypassed(clues, tape, results)
    yield from _multiplied(clues, tape, parts, 2)


def _holding(clues: Clues, tape: Tape, keys: tuple[Key, ...]) -> Callable[..., np.ndarray]:
    """The function of x with the values of some keys as they were."""
    return lambda x: _run(clues, x, Tape({key: tape.values[key] for key in keys}))


def _slopes(clues: Clues, gradient: np.ndarray) -> np.ndarray:
    return np.array([(v * gradient).sum() for v in _directions(clues)])


def _directions(clues: Clues) -> list[np.ndarray]:
    return [np.random.default_rng(seed).standard_normal(clues.x.shape) for seed in (4, 5, 6)]


def _parts(clues: Clues, tape: Tape) -> Iterator[tuple[Key, np.ndarray]]:
    """The values on which the result depends, with the part of the slopes that goes through each.

    Of values that have the same part, one after the other, the last: results first.
    """
    right, seen = _slopes(clues, clues.fault.numeric), [np.zeros(3)]
    for key in sorted(tape.values, key=lambda key: (key[1] >= 0, -key[0], key[1])):
        f, part = _holding(clues, tape, (key,)), []
        for v, slope in zip(_directions(clues), right):
            up, down = (float((clues.dy * f(clues.x + h * v)).sum()) for h in (STEP, -STEP))
            part.append(slope - (up - down) / (2 * STEP))
        new = not any(np.allclose(part, other, rtol=1e-6, atol=1e-8) for other in seen)
        if new and not np.allclose(part, right, rtol=1e-7, atol=0):
            seen.append(np.array(part))
            yield key, seen[-1]


def _multiplied(
    clues: Clues, tape: Tape, parts: list[tuple[Key, np.ndarray]], count: int
) -> Iterator[Suspect]:
    """One part of the gradient times a factor, or two: 0 for what stands still."""
    error = _slopes(clues, clues.fault.analytic - clues.fault.numeric)
    for chosen in itertools.combinations(parts[:MOST_PAIRS], count):
        through = np.stack([part for _, part in chosen], axis=1)
        factors, *_ = np.linalg.lstsq(through, error, rcond=None)
        fits = np.abs(through @ factors - error).max() <= 1e-6 * np.abs(error).max()
        simple = count == 1 or np.abs(4 * factors - np.rint(4 * factors)).max() < 1e-4
        if not fits or not simple or (np.abs(factors) < 1e-4).any():
            continue
        keys = tuple(key for key, _ in chosen)
        J = clues.J.copy()
        for key, factor in zip(keys, factors):
            J += factor * (clues.J - jacobian(_holding(clues, tape, (key,)), clues.x))
        if np.allclose(factors, -1, atol=1e-5):
            yield _constant(clues, tape, keys, J)
            continue
        said = " and ".join(
            f"that through {_what(clues, tape, key)} by {clues.constant(1 + factor)}"
            for key, factor in zip(keys, factors)
        )
        yield Suspect(
            f"{'one part' if count == 1 else 'two parts'} of the gradient off by a factor",
            f"analytic = numeric with a part multiplied: {said}",
            _times(J),
        )


def _what(clues: Clues, tape: Tape, key: Key) -> str:
    number, operand = key
    name, _, line = tape.names[number].partition(" in ")
    if operand < 0:
        return f"the result of {name} in {line}"
    own = np.array_equal(tape.values[key], clues.x)
    return f"{clues.name if own else 'the value'}, operand {operand} of {name} in {line}"


def _constant(clues: Clues, tape: Tape, keys: tuple[Key, ...], J: np.ndarray) -> Suspect:
    what = " and ".join(_what(clues, tape, key) for key in keys)
    use = len(keys) == 1 and keys[0][1] >= 0 and np.array_equal(tape.values[keys[0]], clues.x)
    cause = "part of the function treated as a constant"
    return Suspect(
        f"one use of {clues.name} left out" if use else cause,
        f"analytic = the gradient with {what} held constant, though it moves with {clues.name}",
        _times(J),
    )


def _times(J: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient for a dy, by this Jacobian."""
    return lambda dy: np.asarray(J @ dy.reshape(-1))


def _bypassed(clues: Clues, tape: Tape, results: list[Key]) -> Iterator[Suspect]:
    """The chain rule with a step left out: its derivative taken as 1."""
    for one, two in itertools.combinations(results, 2):
        if tape.values[one].shape != tape.values[two].shape or two[0] == tape.count - 1:
            continue
        start = {(key[0], -2): tape.values[key] for key in (one, two)}

        def f(x: np.ndarray, one: Key = one, two: Key = two, start: Any = start) -> np.ndarray:
            return _run(clues, x, Tape(start, (one[0], two[0])))

        if clues.likely(f, clues.x) and _moves(clues, tape, one, two):
            yield Suspect(
                "a step left out of the chain rule",
                f"analytic = the gradient in which the result of {tape.names[two[0]]} moves as "
                f"that of {tape.names[one[0]]}, as if the derivative between them were 1",
                _times(jacobian(f, clues.x)),
            )


def _moves(clues: Clues, tape: Tape, one: Key, two: Key) -> bool:
    """Whether the second value depends on the first."""
    other = Tape({one: 1.001 * tape.values[one] + 1e-3})
    _run(clues, clues.x, other)
    return not np.allclose(other.values[two], tape.values[two], rtol=1e-9, atol=0)


def _products(clues: Clues, tape: Tape) -> Iterator[Suspect]:
    """The gradient of a matrix product inside, with its factors transposed or exchanged."""
    for number, operands in tape.operands.items():
        if len(operands) != 2 or any(np.ndim(o) != 2 for o in operands):
            continue
        for place, other in ((0, operands[1]), (1, operands[0])):
            own = (number, place) in tape.values and clues.x.ndim == 2
            if not own or (number, -1) not in tape.values:
                continue
            value = tape.values[number, place]
            if not any(np.array_equal(value, x) for x in (clues.x, clues.x.T)):
                continue

            def f(z: np.ndarray, number: int = number) -> np.ndarray:
                return _run(clues, clues.x, Tape({(number, -1): z}))

            Z = jacobian(f, tape.values[number, -1])
            yield from _wrong_products(clues, tape, number, Z, other)


def _wrong_products(
    clues: Clues, tape: Tape, number: int, Z: np.ndarray, other: np.ndarray
) -> Iterator[Suspect]:
    shape = tape.values[number, -1].shape
    x = clues.x
    factors = {"b": other, "b^T": other.T, clues.name: x, f"{clues.name}^T": x.T}
    for turned, (name, o), left in itertools.product((False, True), factors.items(), (True, False)):

        def product(dy: np.ndarray, turned: bool = turned, o: Any = o, left: bool = left) -> Any:
            dz = (Z @ dy.reshape(-1)).reshape(shape)
            dz = dz.T if turned else dz
            return dz @ o if left else o @ dz

        try:
            fits = product(clues.dy).shape == x.shape
        except ValueError:  # of sizes that do not fit
            continue
        if fits:
            dz = "dz^T" if turned else "dz"
            yield Suspect(
                "a factor of a product not transposed, or another one",
                f"analytic = {f'{dz} {name}' if left else f'{name} {dz}'}, dz the gradient of the "
                f"product in {tape.names[number]} and b its other factor",
                product,
            )
