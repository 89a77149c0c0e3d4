"""One recorded call of an operation, played again by itself: forward, backward, differences.

The body of the operation runs on float64 copies of the values that really flowed through it, so a
replay depends on nothing that happened before or after, and a step costs one operation and not
the whole model.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.accumulation import sum_to_shape
from tinynet.gradcheck import kinks
from tinynet.gradcheck.differences import Base, Function, Outcome, base_of
from tinynet.gradcheck.trace import Call, applied, copied, is_array

LARGE = 1500  # elements of an argument above which a smaller case is looked for
PLENTY = 1000  # and elements of either above which a smaller case is tried
JACOBIAN = 4_000_000  # and elements of its Jacobian
FLOAT32 = 1e-4  # how far a gradient in float32 may be off, relative to the largest number in it


class NotRepeatableError(Exception):
    """The body does not give the recorded result again."""


class Replay:
    """The body of a call on float64 copies of its arguments.

    call: a twin of the recorded call with these arguments. result: what the body returned, the
    array itself, which may change. Raises NotRepeatableError if the body gives something else than
    what was recorded.
    """

    def __init__(self, call: Call) -> None:
        self.call = twin = copy.copy(call)
        twin.args = tuple(
            arg.astype(np.float64, order="K") if is_array(arg, "f") else copied(arg)
            for arg in call.args
        )
        try:
            y, *vjps = twin.run()
        except Exception as error:
            raise NotRepeatableError(str(error)) from error
        self.result = np.asarray(y)
        twin.y = np.array(y, np.float64)
        scale = float(np.abs(twin.y).max(initial=1e-300))
        if twin.y.shape != call.y.shape or not np.allclose(
            twin.y, call.y, rtol=1e-3, atol=1e-4 * scale, equal_nan=True
        ):
            raise NotRepeatableError("another result")
        twin.vjps = {place: vjps[place] for place in call.vjps if place < len(vjps) and vjps[place]}

    def forward(self, place: int) -> Function:
        """The result as a function of one argument."""
        call = self.call

        def f(x: np.ndarray) -> Outcome:
            args = (*call.args[:place], x, *call.args[place + 1 :])
            y = call.run(args)[0]
            carried = call.operation.kinks
            branches = [kinks.branch(call.op, carried, args, call.settings)] if carried else []
            return Outcome(np.asarray(y, np.float64), branches)

        return f

    def backward(self, place: int, dy: np.ndarray) -> np.ndarray:
        """What the operation's own backward makes of dy; IncidentError if that is no gradient."""
        return applied(self.call, place, self.call.vjps[place], dy)

    def base(self, place: int, dy: np.ndarray) -> Base:
        """The point at which the slopes of one argument are measured."""
        f, x = self.forward(place), self.call.args[place]
        base = base_of(f, x, dy, self.backward(place, dy))
        return base._replace(vjp=lambda dy: self.backward(place, dy))

    def is_large(self, place: int) -> bool:
        """Whether the numeric gradient by elements would take long."""
        size = self.call.args[place].size
        return bool(size > LARGE or size * self.call.y.size > JACOBIAN)

    def has_plenty(self, place: int) -> bool:
        """Whether a smaller case, if there is one, would tell more in less time."""
        return bool(max(self.call.args[place].size, self.call.y.size) > PLENTY)


def single_alone(call: Call, place: int, rng: np.random.Generator) -> str:
    """What shows that one gradient of a call is wrong in float32 and not in float64, or "".

    Both are computed from the same float32 values, at several points around: rounding is another
    at each of them, a mistake stays.
    """
    dy = rng.standard_normal(call.y.shape).astype(np.float32)
    twin = copy.copy(call)
    errors, allowed = [], []
    try:
        for _ in range(6):
            twin.args = tuple(
                np.asarray(arg * (1 + 0.01 * rng.standard_normal(arg.shape)), arg.dtype)
                if is_array(arg, "f") else copied(arg) for arg in call.args
            )  # fmt: skip
            y, *vjps = twin.run()
            twin.y, x = np.array(y), twin.args[place]
            single = sum_to_shape(vjps[place](dy.copy()), x.shape, call.name, vjps[place])
            exact = Replay(twin).backward(place, dy.astype(np.float64))
            if not np.isfinite(exact.astype(np.float32)).all():
                return ""
            errors.append(single - exact)
            reach = np.abs(twin.y * dy).sum() / (np.abs(x).max() or np.inf)
            allowed.append(FLOAT32 * np.abs(exact).max() + 1e-6 * reach)
    except Exception:  # whatever it is, the call cannot be played again there
        return ""
    error = np.abs(errors).min(0)
    wrong = ~((error <= max(allowed)) | (2 * np.ptp(errors, axis=0) > error))
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (
        f"at {list(index)} it is {exact[index]:.6g} in float64, which agrees with differences, and "
        f"{single[index]:.6g} in float32"
    )


def smaller(call: Call) -> Iterator[Call]:
    """The same call with equal sizes cut down together, the largest first.

    Every axis of one size, in all array arguments, is cut to the same few places, so that sizes
    which have to agree still do. The body says whether it can work on what is left.
    """
    arrays = [arg for arg in call.args if isinstance(arg, np.ndarray)]
    sizes = sorted({size for array in arrays for size in array.shape if size > 2}, reverse=True)
    for size in sizes:
        for less in (2, 3, 4, 6, 8, 12, 16):
            if less >= size:
                break
            for twin in _changed(call, functools.partial(_cut, {size: less})):
                if not any(n == 1 < before for n, before in zip(twin.y.shape, call.y.shape)):
                    yield twin  # with one place left along an axis, many mistakes look the same


def other_sizes(call: Call) -> Iterator[Call]:
    """The same call with other sizes: all of them changed by one, then each by itself, or cut."""
    arrays = [arg for arg in call.args if isinstance(arg, np.ndarray)]
    counts = {n: n - 1 if n > 2 else 3 for array in arrays for n in array.shape if n > 1}
    for some in (counts, *({n: count} for n, count in counts.items())):
        yield from _changed(call, functools.partial(_cut, some))
    yield from smaller(call)


def other_values(call: Call, place: int, rng: np.random.Generator) -> Iterator[Call]:
    """The same call with the elements of one argument in another order, or others close by.

    First with masks in another order, and with indices in another order that mean other places.
    """
    x = call.args[place]
    orders = [rng.permutation(x.reshape(-1)).reshape(x.shape) for _ in range(3)]
    close = [x * rng.uniform(0.8, 1.25, x.shape) for _ in range(3)]
    shuffled = functools.partial(_shuffled, rng=rng)
    changes: list[Callable[[Any], Any]] = [shuffled] * 3 + [copied] * 6
    for other, change in zip(orders + orders + close, changes):
        yield from _changed(call, change, tuple(other if arg is x else arg for arg in call.args))


def _shuffled(value: Any, rng: np.random.Generator) -> Any:
    if not is_array(value, "biu") or (np.diff(value.reshape(-1).astype(int)) >= 0).all():
        return value  # sorted ones are ends, which must stay so
    known, at = np.unique(value, return_inverse=True)
    places = np.roll(known, value.dtype != bool)[at.reshape(-1)]
    return rng.permutation(places).reshape(value.shape)


def _changed(
    call: Call, change: Callable[[Any], Any], args: tuple[Any, ...] = ()
) -> Iterator[Call]:
    """The same call with each argument and setting changed, if that can be computed."""
    twin = copy.copy(call)
    twin.args = tuple(map(change, args or call.args))
    twin.settings = {key: change(value) for key, value in call.settings.items()}
    with contextlib.suppress(Exception):  # whatever it complains of, these do not fit
        twin.y = np.array(twin.run()[0])
        yield twin


def _cut(counts: dict[int, int], value: Any) -> Any:
    """An array with so many places along each axis of a size."""
    if not isinstance(value, np.ndarray):
        return value
    for axis, (size, count) in enumerate((n, counts.get(n, n)) for n in value.shape):
        value = value.take(np.arange(count) % size, axis)
        if count > size and value.dtype.kind == "f":  # other values than those that are there
            value = value * (1 + 0.3 * (np.indices(value.shape)[axis] >= size))
    return value.copy()
