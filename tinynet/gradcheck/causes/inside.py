"""What flows through the values inside the function: one of them constant, or off by a factor.

A backward pass that forgets a use, half of a product rule, or a statistic that depends on x too,
gives the gradient of the function in which that value stands still. One that forgets a link of the
chain rule gives the part through a value too large by a factor. So the function runs again with
one value at a time as it was, and the part of the gradient that goes through it is what is missing.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from tinynet.changes import saved_arrays
from tinynet.gradcheck.causes import where
from tinynet.gradcheck.causes.clues import STEP, Clues, ElsewhereError, Suspect, jacobian, slope
from tinynet.gradcheck.causes.numbers import constant, has_name
from tinynet.gradcheck.causes.tape import Key, Tape, traced
from tinynet.gradcheck.trace import OVERWRITTEN, copied

MOST_CALLS = 60  # a function with more is a loop, whose single calls say nothing
MOST_PARTS = 24
CONSTANT = "part of the function treated as a constant"
ONE_OF_SEVERAL = "one of several like steps treated as a constant"
NOTHING = 1e-8  # of the slope: a part that differences do not show
MOST_ELEMENTS = 144  # of x and of a value that is looked at element by element

Parts = list[tuple[Any, np.ndarray]]


class Values:
    """What the function makes on its way, by key.

    words: each in words, with its line; several may be told in the same.
    """

    clues: Clues
    directions: list[np.ndarray]
    words: dict[Any, str]

    def holding(self, key: Any) -> Callable[[np.ndarray], np.ndarray]:
        """The function of x in which a value stays as it was."""
        raise NotImplementedError

    def slopes(self, gradient: np.ndarray) -> np.ndarray:
        """A gradient along each of the directions."""
        return np.array([(v * gradient).sum() for v in self.directions])

    def parts(self) -> dict[Any, np.ndarray]:
        """The part of the slopes that goes through each value."""
        x, dy, right = self.clues.x, self.clues.dy, self.slopes(self.clues.numeric)
        found = dict[Any, np.ndarray]()
        for key in self.words:
            with contextlib.suppress(ElsewhereError):
                f = self.holding(key)
                found[key] = right - [slope(f, x, v, dy) for v in self.directions]
        return {key: part for key, part in found.items() if np.isfinite(part).all()}

    def alike(self, key: Any) -> int:
        """How many values are told in the same words."""
        return list(self.words.values()).count(self.words[key])

    def beside(self, keys: list[Any]) -> str:
        """What else is held in every run, where that makes a difference."""
        return ""


class Inside(Values):
    """The values on the way from x to y, by key, and how they move.

    still: values through which nothing flows in all, such as the maximum that a softmax subtracts;
    they are held in every run, as a backward pass leaves them out.
    """

    def __init__(self, clues: Clues) -> None:
        self.clues, self.still = clues, dict[Key, np.ndarray]()
        self.tape = self.run(clues.x)[1]
        values = self.tape.values  # nothing flows through a mask, nor into what makes one
        moving = (
            key for key, value in values.items()
            if value.dtype.kind == values.get((key[0], -1), value).dtype.kind == "f"
        )  # fmt: skip
        self.keys = sorted(moving, key=lambda key: (key[1] >= 0, -key[0], key[1]))
        self.words = {key: self.told(key) for key in self.keys}
        draws = np.random.default_rng(4).standard_normal
        self.directions = [draws(clues.x.shape) for _ in range(3)]
        if self.tape.count > MOST_CALLS:
            raise ElsewhereError
        whole = np.abs(self.slopes(clues.numeric)).max()
        self.still = {
            key: self.tape.values[key]
            for key, part in self.parts().items()
            if key[1] < 0 and np.abs(part).max() < NOTHING * whole
        }

    def run(
        self, x: np.ndarray, held: dict[Key, np.ndarray] | None = None
    ) -> tuple[np.ndarray, Tape]:
        """The output at x with some values held, and the tape of the run."""
        tape = Tape({**self.still, **(held or {})})
        return np.array(self.clues.output(traced(x.copy(), tape))), tape

    def holding(self, key: Key) -> Callable[[np.ndarray], np.ndarray]:
        """The function of x in which a value stays as it was."""
        return lambda x: self.run(x, {key: self.tape.values[key]})[0]

    @cached_property
    def before(self) -> dict[Key, np.ndarray]:
        """How the elements of all values move with those of x: (x.size, value.size) by key."""
        x, values = self.clues.x, self.tape.values
        small = [key for key in self.keys if values[key].size <= MOST_ELEMENTS]
        if x.size > MOST_ELEMENTS:
            return {}
        slopes = {key: np.zeros((x.size, values[key].size)) for key in small}
        for i, step in enumerate(STEP * np.eye(x.size).reshape(-1, *x.shape)):
            up, down = (self.run(x + sign * step)[1].values for sign in (1, -1))
            for key in small:
                slopes[key][i] = (up[key] - down[key]).reshape(-1) / (2 * STEP)
        return slopes

    def beside(self, keys: list[Key]) -> str:
        x, dy, values = self.clues.x, self.clues.dy, self.tape.values
        held, still = {key: values[key] for key in keys}, self.still

        def slopes(kept: dict[Key, np.ndarray]) -> list[float]:
            self.still = kept
            return [slope(lambda x: self.run(x, held)[0], x, v, dy) for v in self.directions]

        whole = slopes(still)
        found = [
            key
            for key in still
            if not np.allclose(
                slopes({k: v for k, v in still.items() if k != key}), whole, rtol=1e-6, atol=1e-8
            )
        ]
        self.still = still
        return "".join(f" and {self.words[key]}" for key in found)

    def told(self, key: Key) -> str:
        """A value in words, with the line of the function that makes or uses it."""
        name, _, line = self.tape.names[key[0]].partition(" in ")
        if key[1] < 0:
            return f"the result of {name} in {line}"
        own = np.array_equal(self.tape.values[key], self.clues.x)
        return f"{self.clues.name if own else 'the value'}, operand {key[1]} of {name} in {line}"


def look(clues: Clues) -> Iterator[Suspect]:
    """The gradient with values held constant, or with a part multiplied."""
    yield from through(clues.once(Inside))


def through(inside: Values) -> Iterator[Suspect]:
    """The same of whatever values: those on a tape, or expressions of the code (code.py)."""
    whole = inside.slopes(inside.clues.numeric)
    distinct: Parts = []  # with a part to themselves; of those with the same part the first
    for key, part in inside.parts().items():
        seen = (np.zeros(len(whole)), whole, *(other for _, other in distinct))
        if not any(np.allclose(part, other, rtol=1e-6, atol=1e-8) for other in seen):
            distinct.append((key, part))
    distinct = distinct[:MOST_PARTS]
    yield from _multiplied(inside, distinct, 1)
    yield from _multiplied(inside, distinct, 2)


def _multiplied(inside: Values, parts: Parts, count: int) -> Iterator[Suspect]:
    """One part of the gradient times a factor, or two: 0 for what stands still."""
    clues = inside.clues
    error, unclear = inside.slopes(clues.analytic - clues.numeric), list[Suspect]()
    for chosen in itertools.combinations(parts, count):
        through = np.stack([part for _, part in chosen], axis=1)
        factors = np.linalg.lstsq(through, error, rcond=None)[0].tolist()
        fits = np.abs(through @ factors - error).max() <= 1e-6 * np.abs(error).max()
        if not fits or (np.abs(factors) < 1e-4).any():
            continue
        held = np.isclose(factors, -1, atol=1e-5)
        alike = [inside.alike(key) > 1 for key, _ in chosen]
        several = count == 1 and where.wrong_elements(clues).sum() > 1
        if not several and not all(has_name(clues, 1 + factor) for factor in factors):
            continue
        J = clues.J.copy()
        for (key, _), factor in zip(chosen, factors):
            J += factor * (clues.J - jacobian(inside.holding(key), clues.x))
        told = [inside.words[key] for key, _ in chosen]
        if held.all():
            use = count == 1 and told[0].startswith(f"{clues.name}, ")
            cause = ONE_OF_SEVERAL if any(alike) else CONSTANT
            cause = f"one use of {clues.name} left out" if use else cause
            still = " and ".join(told) + inside.beside([key for key, _ in chosen])
            how = f"analytic = the gradient with {still} held constant, though it moves with "
            yield Suspect(cause, how + clues.name, J)
            continue
        by = " and ".join(f"that through {value} by {constant(clues, 1 + factor)}"
                          for value, factor in zip(told, factors))  # fmt: skip
        cause = f"{'one part' if count == 1 else 'two parts'} of the gradient off by a factor"
        suspect = Suspect(cause, f"analytic = numeric with a part multiplied: {by}", J)
        if any(alike):
            unclear.append(suspect)  # of which of several is not to be told
        else:
            yield suspect
    yield from unclear


def within(clues: Clues) -> Iterator[Suspect]:
    """The value on the way whose own gradient is wrong, all that does not pass it being right."""
    inside, wrong = clues.once(Inside), clues.claimed - clues.J
    parts, whole = inside.parts(), inside.slopes(clues.numeric)
    for key, L in inside.before.items():
        is_used = np.abs(parts.get(key, 0)).max() > NOTHING * np.abs(whole).max()
        if is_used and np.isfinite(L).all() and 2 * L.shape[1] <= clues.x.size:
            flowing = L @ np.linalg.lstsq(L, wrong, rcond=1e-9)[0]
            how = f"what is wrong flows through {inside.words[key]}; all the rest is right"
            cause = "the gradient of a value inside the function is wrong"
            yield Suspect(cause, how, clues.J + flowing)


def overwritten(clues: Clues) -> Iterator[Suspect]:
    """A saved value that the forward pass overwrites: with what it held before, all is right.

    y = 1 / (1 + np.exp(-x)); result = y.copy(); y -= 1
    return result, lambda dy: dy * y * (1 - y)
    """
    fault, tape = clues.fault, Tape()
    args = [copied(value) for value in fault.call.args]
    args[fault.place] = traced(args[fault.place], tape)
    settings = {name: copied(value) for name, value in fault.call.settings.items()}
    vjp = fault.call.body(*args, **settings)[fault.place + 1]
    saved = [np.asarray(array) for array in saved_arrays(vjp)]
    for array, before, told in reversed(tape.writes):
        if any(array.shape == a.shape and np.shares_memory(array, a) for a in saved):
            plain, now = np.asarray(array), np.array(array)
            plain[...] = before
            dx = np.array(vjp(clues.dy.copy()), np.float64).reshape(clues.x.shape)
            plain[...] = now
            gap = np.abs(np.where(clues.usable, fault.analytic - clues.numeric, 0)).max()
            left = np.where(clues.usable, np.abs(dx - clues.numeric), 0)
            if (left <= np.minimum(10 * clues.noise + 1e-7 * np.abs(dx).max(), 0.01 * gap)).all():
                how = f"{told} changes an array of shape {array.shape} that the backward needs; "
                how += "with what it held before that line the gradient is right"
                yield Suspect(OVERWRITTEN, how)
                return
