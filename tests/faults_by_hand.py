"""A Fault made by hand: an operation's body, its wrong gradient, and differences beside it."""

from __future__ import annotations

import inspect

import numpy as np

from tinynet.gradcheck.causes.clues import STEP, output_of
from tinynet.gradcheck.fault import Fault


def differences(forward, args, place, settings, dy):
    """The gradient of sum(dy * y) with respect to args[place], by central differences."""
    x = args[place].astype(np.float64)
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        losses = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * STEP
            given = [moved if i == place else a for i, a in enumerate(args)]
            losses.append((dy * output_of(forward(*given, **settings))).sum())
        gradient[index] = (losses[0] - losses[1]) / (2 * STEP)
    return gradient


def fault(body, inputs, settings=None, argument="x", seed=0, analytic=None):
    """What a search would hand over for the gradient of `argument`."""
    settings = settings or {}
    names = tuple(inspect.signature(body).parameters)
    place = names.index(argument)
    y, *vjps = body(*inputs, **settings)
    y = np.asarray(y)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    numeric = {i: differences(body, inputs, i, settings, dy) for i in range(len(inputs))}
    shape = inputs[place].shape
    return Fault(
        op=body.__name__,
        forward=body,
        args=tuple(inputs),
        settings=settings,
        names=names,
        place=place,
        dy=dy,
        y=y,
        analytic=np.array(vjps[place](dy) if analytic is None else analytic, dtype=np.float64),
        numeric=numeric.pop(place),
        noise=np.full(shape, 1e-9 * max(1.0, float(np.abs(y).max()))),
        others=numeric,
        vjp=vjps[place] if analytic is None else None,
        numeric_for=lambda u: differences(body, inputs, place, settings, u),
    )
