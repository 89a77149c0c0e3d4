"""What shows when one call of an operation is played again: in float32, smaller, and its gradients
after one another."""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.accumulation import sum_to_shape
from tinynet.changes import saved_arrays
from tinynet.gradcheck.differences import equal, same
from tinynet.gradcheck.trace import OVERWRITTEN, Call, IncidentError, called, copied, is_array

FLOAT32 = 1e-4  # how far a gradient in float32 may be off, relative to the largest number in it
NEARLY = 1e-9  # relative: how far a gradient may be off when it is worked out again


def single_alone(call: Call, place: int, rng: np.random.Generator) -> str:
    """What shows that one gradient of a call is wrong in float32 and not in float64, or "".

    Both are computed from the same float32 values, at several points around: rounding is another
    at each of them, a mistake stays.
    """
    dy = rng.standard_normal(call.y.shape).astype(np.float32)
    errors, allowed = [], 0.0

    def around(x: Any) -> Any:
        if not is_array(x, "f"):
            return copied(x)
        return np.asarray(x * (1 + 0.01 * rng.standard_normal(x.shape)), x.dtype)

    try:
        for _ in range(6):
            twin = call.twin(around)
            y, *vjps = twin.run()
            twin.y, x = np.array(y), twin.args[place]
            single = sum_to_shape(vjps[place](dy.copy()), x.shape, call.name, vjps[place])
            exact = twin.again().backward(place, dy.astype(np.float64))
            if not np.isfinite(exact.astype(np.float32)).all():
                return ""
            errors.append(single - exact)
            reach = np.abs(twin.y * dy).sum() / (np.abs(x).max() or np.inf)
            allowed = max(allowed, FLOAT32 * np.abs(exact).max() + 1e-6 * reach)
    except Exception:  # whatever it is, the call cannot be played again there
        return ""
    error = np.abs(errors).min(0)
    wrong = ~((error <= allowed) | (2 * np.ptp(errors, axis=0) > error))
    for index in np.argwhere(wrong):
        value, right = (gradient[tuple(index)] for gradient in (single, exact))
        return f"at {index.tolist()} it is {right:.6g} in float64 and {value:.6g} in float32"
    return ""


def smaller(call: Call) -> Iterator[Call]:
    """The same call with equal sizes cut down together, the largest first.

    Every axis of one size, in all array arguments, is cut to the same few places, so that sizes
    which have to agree still do. The body says whether it can work on what is left.
    """
    arrays = [arg for arg in call.args if isinstance(arg, np.ndarray)]
    sizes = sorted({size for array in arrays for size in array.shape if size > 2}, reverse=True)
    for size in sizes:
        for less in (n for n in (2, 3, 4, 6, 8, 12, 16) if n < size):
            for other in _changed(call, functools.partial(_cut, {size: less})):
                if not any(n == 1 < before for n, before in zip(other.y.shape, call.y.shape)):
                    yield other  # with one place left along an axis, many mistakes look the same


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
        moved = copy.copy(call)
        moved.args = call.with_argument(place, other)
        yield from _changed(moved, change)


def _shuffled(value: Any, rng: np.random.Generator) -> Any:
    if not is_array(value, "biu") or (np.diff(value.reshape(-1).astype(int)) >= 0).all():
        return value  # sorted ones are ends, which must stay so
    known, at = np.unique(value, return_inverse=True)
    places = np.roll(known, value.dtype != bool)[at.reshape(-1)]
    return rng.permutation(places).reshape(value.shape)


def _cut(counts: dict[int, int], value: Any) -> Any:
    """An array with so many places along each axis of a size."""
    if not isinstance(value, np.ndarray):
        return value
    for axis, (size, count) in enumerate((n, counts.get(n, n)) for n in value.shape):
        value = value.take(np.arange(count) % size, axis)
        if count > size and value.dtype.kind == "f":  # other values than those that are there
            new = np.indices(value.shape)[axis] >= size
            value = value * (1 + (0.3 + 0.1 * axis) * new)
    return value.copy()


def _changed(call: Call, change: Callable[[Any], Any]) -> Iterator[Call]:
    """The same call with each argument and setting changed, if that can be computed."""
    with contextlib.suppress(Exception):  # whatever it complains of, these do not fit
        other = call.twin(change)
        other.settings = {key: change(value) for key, value in call.settings.items()}
        other.y = np.array(other.run()[0])
        yield other


# ----- what a backward overwrites -----------------------------------------------------------------


def overwrites(call: Call, rng: np.random.Generator) -> IncidentError | None:
    """What one gradient of the call overwrites of what is needed later; None if nothing is.

        p = softmax(x)

        def dx(dy):
            p[rows, target] -= 1        right the first time, and never again

    The gradients are taken on one graph in their order, twice over. Each is held against what it
    is by itself, after a forward pass of its own.
    """
    with contextlib.suppress(Exception):  # whatever it is, the call cannot be played again so often
        return next(_watched(call, np.array(rng.standard_normal(call.y.shape))), None)
    return None


def _watched(call: Call, dy: np.ndarray) -> Iterator[IncidentError]:
    """What is overwritten, in its order."""
    cure, again = "change a copy (.copy())", call.again()
    vjps, raw = again.vjps, again.raw
    given: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by place, the array itself and a copy
    writers: dict[int, int] = {}  # by the id of an array, the place whose gradient changed it
    for place in (*vjps, *vjps):
        saved = {id(a): (a, a.copy()) for vjp in vjps.values() for a in saved_arrays(vjp)}
        dx = np.asarray(vjps[place](dy.copy()))
        for key in (key for key, (a, before) in saved.items() if not equal(a, before)):
            writers.setdefault(key, place)
        this = f"the gradient of {call.names[place]}"
        if not equal(raw, again.y):
            what = f"{this} writes into the result {_name(vjps, raw)}, which others use too"
            yield IncidentError(call, place, OVERWRITTEN, f"{what}; {cure}")
        changed = [a for a in saved_arrays(vjps[place]) if id(a) in writers]
        if changed:
            alone = dx  # the gradient after a forward pass of its own, if it can be taken first
            with contextlib.suppress(Exception):
                alone = np.array(call.again().vjps[place](dy.copy()))
            if not same(dx, alone, NEARLY):
                by, name = writers[id(changed[0])], _name(vjps, changed[0])
                who = "which it needs again" if by == place else f"which {this} needs after it"
                what = f"the gradient of {call.names[by]} writes into {name}, {who}"
                yield IncidentError(call, place, OVERWRITTEN, f"{what}; {cure}")
        for other, (array, before) in given.items():
            if other != place and not equal(array, before):
                what = f"{this} writes into the array that the gradient of {call.names[other]} gave"
                what += "; return arrays of their own"
                yield IncidentError(call, other, OVERWRITTEN, what)
        given[place] = dx, dx.copy()


def _name(vjps: dict[int, Any], array: np.ndarray) -> str:
    """The variable of a gradient, or of a function that it calls, that holds an array."""
    held = (item for _, values in called(vjps.values()) for item in values.items())
    unnamed = f"a saved array of shape {array.shape}"
    return next((name for name, value in held if value is array), unnamed)
