"""A Fault made by hand: an operation's body, its wrong gradient, and differences beside it."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np

from tinynet.gradcheck.causes.clues import Fault, jacobian, output_of
from tinynet.gradcheck.differences import Elements


def fault(body, inputs, settings=None, argument="x", seed=0, analytic=None):
    """What a search would hand over for the gradient of `argument`."""
    settings = settings or {}
    names = tuple(inspect.signature(body).parameters)
    place = names.index(argument)
    y, *vjps = body(*inputs, **settings)
    y = np.asarray(y)
    dy = np.random.default_rng(seed).standard_normal(y.shape)

    def jacobian_of(i):
        def f(x):
            args = [x if k == i else a for k, a in enumerate(inputs)]
            return output_of(body(*args, **settings))

        return jacobian(f, inputs[i].astype(np.float64))

    floats = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    others = {i: jacobian_of(i) for i in floats}
    J = others.pop(place)
    shape = inputs[place].shape
    numeric = (J @ dy.reshape(-1)).reshape(shape)
    noise = np.full(shape, 1e-9 * max(1.0, float(np.abs(y).max())))
    call = SimpleNamespace(body=body, args=tuple(inputs), settings=settings, names=names, y=y)
    return Fault(
        call,
        place,
        dy,
        np.array(vjps[place](dy) if analytic is None else analytic, dtype=np.float64),
        Elements(numeric, noise, numeric, numeric, J),
        others,
        vjp=vjps[place] if analytic is None else None,
    )
