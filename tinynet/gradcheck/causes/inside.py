"""What flows through the values inside the function: one of them constant, or off by a factor.

A backward pass that forgets a use, half of a product rule, or a statistic that depends on x too,
gives the gradient of the function in which that value stands still. One that forgets a link of the
chain rule gives the part through a value too large by a factor. So the function runs again with
one value at a time as it was, and the part of the gradient that goes through it is what is missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import STEP, Clues, ElsewhereError, Suspect, jacobian
from tinynet.gradcheck.causes.formula import written
from tinynet.gradcheck.causes.hand import hand_at
from tinynet.gradcheck.causes.tape import Key, Tape, traced

MOST_CALLS = 60  # a function with more is a loop, whose single calls say nothing
MOST_PARTS = 24
MOST_ELEMENTS = 144  # of x and of a value that is looked at element by element


class Inside:
    """The values on the way from x to y, by key, and how they move.

    still: values through which nothing flows in all, such as the maximum that a softmax subtracts;
    they are held in every run, as a backward pass leaves them out.
    """

    def __init__(self, clues: Clues) -> None:
        self.clues, self.still = clues, dict[Key, np.ndarray]()
        self.tape = self.run(clues.x)[1]
        self.keys = sorted(self.tape.values, key=lambda key: (key[1] >= 0, -key[0], key[1]))
        self.directions = [
            np.random.default_rng(seed).standard_normal(clues.x.shape) for seed in (4, 5, 6)
        ]
        if self.tape.count > MOST_CALLS:
            raise ElsewhereError
        whole = np.abs(self.slopes(clues.fault.numeric)).max()
        self.still = {
            key: self.tape.values[key]
            for key, part in self.parts().items()
            if key[1] < 0 and np.abs(part).max() < 1e-8 * whole
        }

    def run(
        self, x: np.ndarray, held: dict[Key, np.ndarray] | None = None
    ) -> tuple[np.ndarray, Tape]:
        """The output at x with some values held, and the tape of the run."""
        tape = Tape({**self.still, **(held or {})})
        return np.array(self.clues.output({self.clues.fault.place: traced(x.copy(), tape)})), tape

    def holding(self, *keys: Key) -> Callable[[np.ndarray], np.ndarray]:
        """The function of x in which some values stay as they were."""
        return lambda x: self.run(x, {key: self.tape.values[key] for key in keys})[0]

    def after(self, key: Key) -> np.ndarray:
        """How the output moves with the elements of one value: (value.size, y.size)."""
        return jacobian(lambda z: self.run(self.clues.x, {key: z})[0], self.tape.values[key])

    def before(self) -> dict[Key, np.ndarray]:
        """How the elements of all values move with those of x: (x.size, value.size) by key."""
        x = self.clues.x
        small = [
            key
            for key in self.keys
            if self.tape.values[key].dtype.kind == "f"
            and self.tape.values[key].size <= MOST_ELEMENTS
        ]
        slopes = {key: np.zeros((x.size, self.tape.values[key].size)) for key in small}
        for i in range(x.size if x.size <= MOST_ELEMENTS else 0):
            step = np.zeros(x.size)
            step[i] = STEP
            up, down = (self.run(x + sign * step.reshape(x.shape))[1].values for sign in (1, -1))
            for key in small:
                slopes[key][i] = (up[key] - down[key]).reshape(-1) / (2 * STEP)
        return slopes if x.size <= MOST_ELEMENTS else {}

    def slopes(self, gradient: np.ndarray) -> np.ndarray:
        """A gradient along each of the directions."""
        return np.array([(v * gradient).sum() for v in self.directions])

    def parts(self) -> dict[Key, np.ndarray]:
        """The part of the slopes that goes through each value."""
        right, found = self.slopes(self.clues.fault.numeric), {}
        for key in self.keys:
            f, part = self.holding(key), []
            for v, slope in zip(self.directions, right):
                up, down = ((self.clues.dy * f(self.clues.x + h * v)).sum() for h in (STEP, -STEP))
                part.append(slope - (up - down) / (2 * STEP))
            found[key] = np.array(part)
        return found

    def fits(self, given: np.ndarray, error: np.ndarray) -> bool:
        """Whether a gradient explains an error, as far as the error is known."""
        known = 1e-6 * np.abs(error).max() + 10 * self.clues.noise.reshape(-1)
        return bool((np.abs(given - error) <= known).all())

    def told(self, key: Key) -> str:
        """A value in words, with the line of the function that makes or uses it."""
        name, _, line = self.tape.names[key[0]].partition(" in ")
        if key[1] < 0:
            return f"the result of {name} in {line}"
        own = np.array_equal(self.tape.values[key], self.clues.x)
        return f"{self.clues.name if own else 'the value'}, operand {key[1]} of {name} in {line}"


Parts = list[tuple[Key, np.ndarray]]


def suspects(clues: Clues) -> Iterator[Suspect]:
    """The gradient with values held constant, with a part multiplied, or with a step left out."""
    inside = Inside(clues)
    distinct = list(_distinct(inside.parts(), inside.slopes(clues.fault.numeric)))[:MOST_PARTS]
    before = inside.before()
    yield from _multiplied(inside, distinct, 1)
    yield from _by_element(inside, before)
    yield from _products(inside)
    yield from _bypassed(inside, before)
    yield from _multiplied(inside, distinct, 2)


def _distinct(parts: dict[Key, np.ndarray], whole: np.ndarray) -> Iterator[tuple[Key, np.ndarray]]:
    """The values that have a part, and not the whole; of those with the same part the first."""
    seen = [np.zeros(len(whole)), whole]
    for key, part in parts.items():
        if not any(np.allclose(part, other, rtol=1e-6, atol=1e-8) for other in seen):
            seen.append(part)
            yield key, part


def _times(J: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The gradient for a dy, by this Jacobian."""
    return lambda dy: np.asarray(J @ dy.reshape(-1))


def _multiplied(inside: Inside, parts: Parts, count: int) -> Iterator[Suspect]:
    """One part of the gradient times a factor, or two: 0 for what stands still."""
    clues = inside.clues
    error = inside.slopes(clues.fault.analytic - clues.fault.numeric)
    for chosen in itertools.combinations(parts, count):
        through = np.stack([part for _, part in chosen], axis=1)
        factors, *_ = np.linalg.lstsq(through, error, rcond=None)
        fits = np.abs(through @ factors - error).max() <= 1e-6 * np.abs(error).max()
        simple = count == 1 or all(clues.has_name(1 + factor) for factor in factors)
        if not fits or not simple or (np.abs(factors) < 1e-4).any():
            continue
        J = clues.J.copy()
        for (key, _), factor in zip(chosen, factors):
            J += factor * (clues.J - jacobian(inside.holding(key), clues.x))
        if np.allclose(factors, -1, atol=1e-5):
            yield _constant(inside, [key for key, _ in chosen], J)
            continue
        said = " and ".join(
            f"that through {inside.told(key)} by {clues.constant(1 + factor)}"
            for (key, _), factor in zip(chosen, factors)
        )
        yield Suspect(
            f"{'one part' if count == 1 else 'two parts'} of the gradient off by a factor",
            f"analytic = numeric with a part multiplied: {said}",
            _times(J),
        )


def _constant(inside: Inside, keys: list[Key], J: np.ndarray) -> Suspect:
    what, name = " and ".join(map(inside.told, keys)), inside.clues.name
    use = len(keys) == 1 and what.startswith(f"{name}, ")
    cause = "part of the function treated as a constant"
    return Suspect(
        f"one use of {name} left out" if use else cause,
        f"analytic = the gradient with {what} held constant, though it moves with {name}",
        _times(J),
    )


def _by_element(inside: Inside, before: dict[Key, np.ndarray]) -> Iterator[Suspect]:
    """What flows through one value times a factor for each of its elements, which has a formula.

    error = (slopes of the value) @ (factors - 1) * (the gradient at the value), for any dy.
    """
    clues = inside.clues
    if len(clues.tests) < 2:
        return
    errors = np.stack([(a - n).reshape(-1) for _, a, n in clues.tests], axis=1)
    for key, L in before.items():
        if L.shape[1] < 2 or key == (inside.tape.count - 1, -1):
            continue
        due, *_ = np.linalg.lstsq(L, errors, rcond=1e-9)
        if not all(inside.fits(given, error) for given, error in zip((L @ due).T, errors.T)):
            continue
        A = inside.after(key)
        if A.shape == clues.J.shape and np.allclose(A, clues.J, rtol=0, atol=clues.tolerance):
            continue  # the value is x, and has no part to itself
        there = np.stack([A @ dy.reshape(-1) for dy, _, _ in clues.tests], axis=1)
        live = (np.abs(L).max(0) > 1e-7) & (np.abs(there).min(1) > 1e-7 * np.abs(there).max())
        factors = 1 + due[live] / there[live]
        if not live.any() or not np.allclose(factors[:, 0], factors[:, 1], 1e-5, 1e-7):
            continue
        factor = written(hand_at(clues, inside.tape.values[key], live), factors.mean(1))
        if factor not in ("", "1"):
            changed = np.zeros(len(live))
            changed[live] = factors.mean(1) - 1
            cause = f"one part of the gradient off by the factor {factor}"
            if factor.startswith("1 / "):
                cause = f"the factor {factor[4:]} is left out of one part of the gradient"
            yield Suspect(
                cause,
                f"analytic = numeric with the part through {inside.told(key)} multiplied by "
                f"{factor}, element by element",
                _times(clues.J + L @ (changed[:, None] * A)),
            )


def _bypassed(inside: Inside, before: dict[Key, np.ndarray]) -> Iterator[Suspect]:
    """The chain rule with a step left out: its derivative taken as 1."""
    clues, values = inside.clues, inside.tape.values
    error = (clues.fault.analytic - clues.fault.numeric).reshape(-1)
    results = sorted(key for key in before if key[1] < 0)[:-1]
    for two in results:
        A = None
        for one in results[: results.index(two)]:
            if values[one].shape != values[two].shape:
                continue
            A = inside.after(two) if A is None else A
            J = (before[one] - before[two]) @ A
            if not inside.fits(J @ clues.dy.reshape(-1), error):
                continue
            moved = inside.run(clues.x, {one: 1.001 * values[one] + 1e-3})[1].values[two]
            if not np.allclose(moved, values[two], rtol=1e-9, atol=0):
                yield Suspect(
                    "a step left out of the chain rule",
                    f"analytic = the gradient in which {inside.told(two)} moves as "
                    f"{inside.told(one)}, as if the derivative between them were 1",
                    _times(clues.J + J),
                )


def within(clues: Clues) -> Iterator[Suspect]:
    """The value on the way whose own gradient is wrong, all that does not pass it being right."""
    inside, vjp = Inside(clues), clues.fault.vjp
    if vjp is None:
        return
    for key, L in inside.before().items():
        if not L.any() or 2 * L.shape[1] > clues.x.size:
            continue

        def through(dy: np.ndarray, L: np.ndarray = L) -> np.ndarray:
            right = clues.pulled(dy)
            error = (vjp(dy) - right).reshape(-1)
            flowing = L @ np.linalg.lstsq(L, error, rcond=1e-9)[0]
            return np.asarray(right + flowing.reshape(right.shape))

        yield Suspect(
            "the gradient of a value inside the function is wrong",
            f"what is wrong flows through {inside.told(key)}; all the rest is right",
            through,
        )


def _products(inside: Inside) -> Iterator[Suspect]:
    """The gradient of a matrix product inside, with its factors transposed or exchanged."""
    clues, tape = inside.clues, inside.tape
    for number, operands in tape.operands.items():
        if len(operands) != 2 or any(np.ndim(o) != max(2, clues.x.ndim) for o in operands):
            continue
        for place, other in ((0, operands[1]), (1, operands[0])):
            if (number, place) not in tape.values or (number, -1) not in tape.values:
                continue
            value = tape.values[number, place]
            if any(np.array_equal(value, x) for x in (clues.x, clues.x.swapaxes(-1, -2))):
                yield from _wrong_products(inside, number, inside.after((number, -1)), other)


def _wrong_products(
    inside: Inside, number: int, Z: np.ndarray, other: np.ndarray
) -> Iterator[Suspect]:
    shape, x, name = inside.tape.values[number, -1].shape, inside.clues.x, inside.clues.name
    factors = {"b": other, name: x}
    factors |= {f"{said}^T": o.swapaxes(-1, -2) for said, o in factors.items()}
    for turned, (said, o), left in itertools.product((False, True), factors.items(), (True, False)):

        def product(
            dy: np.ndarray, turned: bool = turned, o: np.ndarray = o, left: bool = left
        ) -> np.ndarray:
            dz = (Z @ dy.reshape(-1)).reshape(shape)
            dz = dz.swapaxes(-1, -2) if turned else dz
            return np.asarray(dz @ o if left else o @ dz)

        try:
            fits = product(inside.clues.dy).shape == x.shape
        except ValueError:  # of sizes that do not fit
            continue
        if fits:
            dz = "dz^T" if turned else "dz"
            yield Suspect(
                "a factor of a product not transposed, or another one",
                f"analytic = {f'{dz} {said}' if left else f'{said} {dz}'}, dz the gradient of the "
                f"product in {inside.tape.names[number]} and b its other factor",
                product,
            )
