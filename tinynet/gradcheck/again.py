"""A backward that overwrites what it needs once more, or what the gradient of another input needs.

    p = softmax(x)

    def dx(dy):
        p[rows, target] -= 1        right the first time, and never again

The gradients of one call are taken on one graph in their order, twice over. Each is held against
what it is by itself, after a forward pass of its own.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.changes import saved_arrays
from tinynet.gradcheck.differences import same
from tinynet.gradcheck.replay import Replay
from tinynet.gradcheck.sanity import equal
from tinynet.gradcheck.trace import OVERWRITTEN, Call, IncidentError, called

NEARLY = 1e-9  # relative: how far a gradient may be off when it is worked out again


def overwrites(call: Call, rng: np.random.Generator) -> IncidentError | None:
    """What one gradient of the call overwrites of what is needed later; None if nothing is."""
    with contextlib.suppress(Exception):  # whatever it is, the call cannot be played again so often
        for place, what, cure in _watched(call, np.array(rng.standard_normal(call.y.shape))):
            return IncidentError(call, place, OVERWRITTEN, f"{what}; {cure}")
    return None


def _watched(call: Call, dy: np.ndarray) -> Iterator[tuple[int, str, str]]:
    """The place, what is overwritten, and the cure, of the first thing that is."""
    replay = Replay(call)
    vjps, y, result = replay.call.vjps, replay.result, replay.call.y
    given: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by place, the array itself and a copy
    writers: dict[int, int] = {}  # by the id of an array, the place whose gradient changed it
    for place in (*vjps, *vjps):
        saved = {id(a): (a, a.copy()) for vjp in vjps.values() for a in saved_arrays(vjp)}
        dx = np.asarray(vjps[place](dy.copy()))
        for key in (key for key, (a, before) in saved.items() if not equal(a, before)):
            writers.setdefault(key, place)
        this = f"the gradient of {call.names[place]}"
        if not equal(y, result):
            what = f"{this} writes into the result {_name(vjps, y)}, which others use too"
            yield place, what, "change a copy (.copy())"
        changed = [a for a in saved_arrays(vjps[place]) if id(a) in writers]
        if changed:
            alone = dx  # the gradient after a forward pass of its own, if it can be taken first
            with contextlib.suppress(Exception):
                alone = np.array(Replay(call).call.vjps[place](dy.copy()))
            if not same(dx, alone, NEARLY):
                by, name = writers[id(changed[0])], _name(vjps, changed[0])
                who = "which it needs again" if by == place else f"which {this} needs after it"
                what = f"the gradient of {call.names[by]} writes into {name}, {who}"
                yield place, what, "change a copy (.copy())"
        for other, (array, before) in given.items():
            if other != place and not equal(array, before):
                what = f"{this} writes into the array that the gradient of {call.names[other]} gave"
                yield other, what, "return arrays of their own"
        given[place] = dx, dx.copy()


def _name(vjps: dict[int, Any], array: np.ndarray) -> str:
    """The variable of a gradient, or of a function that it calls, that holds an array."""
    held = (item for _, values in called(vjps.values()) for item in values.items())
    unnamed = f"a saved array of shape {array.shape}"
    return next((name for name, value in held if value is array), unnamed)
