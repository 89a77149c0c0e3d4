"""Mistakes in softmax and in normalisation, whose outputs depend on all elements of a row at once.

A function is recognised by its numbers: if y is the softmax of x along an axis, it is a softmax,
whatever its name.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, Suspect, alike

EPSILONS = (1e-5, 1e-3, 1e-8, 1e-6, 1e-7, 1e-12, 1e-10, 0.0)


def suspects(clues: Clues) -> Iterator[Suspect]:
    """Softmax, its logarithm, and the normalisations."""
    if clues.x.shape == clues.y.shape and clues.x.size > 1:
        yield from _softmax(clues)
    if clues.y.size == 1 and clues.x.size > 1:
        yield from _target_left_out(clues)
    yield from _normalised(clues)


def _target_left_out(clues: Clues) -> Iterator[Suspect]:
    """The gradient c (p - t) of a cross-entropy, p the softmax of x, without the target t."""
    for axis in range(clues.x.ndim):
        e = np.exp(clues.x - clues.x.max(axis, keepdims=True))
        p = e / e.sum(axis, keepdims=True)
        factor = float(clues.analytic.sum()) / float(p.sum())
        target = p - clues.numeric / factor
        if (target > -1e-4).all() and np.allclose(target.sum(axis), 1, atol=1e-4):
            yield Suspect(
                "target left out",
                f"analytic = {factor:.6g} p, numeric = {factor:.6g} (p - t), p the softmax along "
                f"axis {axis} and t the target",
                factor * p,
            )


def _softmax(clues: Clues) -> Iterator[Suspect]:
    x, y, dy = clues.x, clues.y, clues.dy
    for axis in range(x.ndim):
        if x.shape[axis] < 2:
            continue
        shifted = x - x.max(axis, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis, keepdims=True)
        p = e / total
        along = f"along axis {axis}"
        if alike(y, p):
            cause = "softmax Jacobian without its off-diagonal part"
            yield Suspect(
                cause, f"analytic = dy y (1 - y); each y depends on its whole row {along}",
                dy * p * (1 - p),
            )  # fmt: skip
            yield Suspect(
                cause, f"analytic = dy y; the sum of dy y {along} is not taken off", dy * p
            )
            yield from _wrong_sum(
                clues, axis, lambda s, p=p: p * (dy - (dy * p).sum(s, keepdims=True))
            )
            yield Suspect(
                "sum in the wrong place", "analytic = y (dy - sum(dy)), not y (dy - sum(dy y))",
                p * (dy - dy.sum(axis, keepdims=True)),
            )  # fmt: skip
        elif alike(y, shifted - np.log(total)):
            cause = "softmax Jacobian without its off-diagonal part"
            yield Suspect(
                cause, f"analytic = dy (1 - p) with p = e^y; dy of the row {along} is not summed",
                dy * (1 - p),
            )  # fmt: skip
            yield Suspect(
                cause, f"analytic = dy - p with p = e^y; sum(dy) {along} left out", dy - p
            )
            yield from _wrong_sum(clues, axis, lambda s, p=p: dy - p * dy.sum(s, keepdims=True))


def _wrong_sum(clues: Clues, axis: int, gradient: object) -> Iterator[Suspect]:
    assert callable(gradient)
    others: list[int | None] = [a for a in range(clues.x.ndim) if a != axis]
    for other in [*others, None]:
        if other is None and clues.x.ndim == 1:
            continue
        said = "everything" if other is None else f"axis {other}"
        yield Suspect(
            "summed over the wrong axis",
            f"analytic sums over {said}, the function works along axis {axis}",
            gradient(other),
        )


def _normalised(clues: Clues) -> Iterator[Suspect]:
    for place, x in clues.floats.items():
        if x.shape != clues.y.shape or x.ndim < 1:
            continue
        for count in range(1, x.ndim + 1):
            for axes in itertools.combinations(range(x.ndim), count):
                found = _recognised(clues, place, x, axes)
                if found is not None:
                    yield from _mistakes(clues, place, x, axes, *found)
                    return


Operand = tuple[int | None, np.ndarray]


def _recognised(
    clues: Clues, place: int, x: np.ndarray, axes: tuple[int, ...]
) -> tuple[float, int, Operand] | None:
    """(eps, ddof, scale) if y = w (x - mean) / sqrt(var + eps) + b with statistics over `axes`."""
    n = int(np.prod([x.shape[a] for a in axes]))
    if n < 2:
        return None
    u = x - x.mean(axes, keepdims=True)
    named = [v for k, v in clues.settings.items() if isinstance(v, float) and "eps" in k and v >= 0]
    shift_free = clues.y - clues.y.mean(axes, keepdims=True)
    for eps in (*named, *EPSILONS):
        for ddof in (0, 1):
            var = (u * u).sum(axes, keepdims=True) / (n - ddof)
            if not np.all(var + eps > 0):
                continue
            h = u / np.sqrt(var + eps)
            for w in _operands(clues, place, x.shape):
                for b in _operands(clues, place, x.shape):
                    if w[0] is not None and w[0] == b[0]:
                        continue
                    shift = 0.0 if b[0] is None else b[1]
                    if alike(h * w[1] + shift, clues.y):
                        return eps, ddof, w
            if alike(h, shift_free):
                return eps, ddof, (None, np.ones(1))
    return None


def _operands(clues: Clues, place: int, shape: tuple[int, ...]) -> list[Operand]:
    """Nothing (1), or an argument laid along the channels or the last axes of `shape`."""
    found: list[Operand] = [(None, np.ones(1))]
    for other, w in clues.floats.items():
        if other == place or w.ndim == 0:
            continue
        if w.ndim <= len(shape) and all(a in (1, b) for a, b in zip(w.shape[::-1], shape[::-1])):
            found.append((other, w))
        if w.ndim == 1 and len(shape) > 1 and w.shape[0] == shape[1]:
            found.append((other, w.reshape(-1, *[1] * (len(shape) - 2))))
    return found


def _mistakes(
    clues: Clues,
    place: int,
    x: np.ndarray,
    axes: tuple[int, ...],
    eps: float,
    ddof: int,
    scale: Operand,
) -> Iterator[Suspect]:
    dy, fault_place = clues.dy, clues.fault.place
    n = int(np.prod([x.shape[a] for a in axes]))
    u = x - x.mean(axes, keepdims=True)
    var = (u * u).sum(axes, keepdims=True) / (n - ddof)
    s = 1 / np.sqrt(var + eps)
    h, over = u * s, f"statistics over axes {axes}, {n} elements each"
    if fault_place == scale[0]:
        yield from _of_the_scale(clues, x, u, h, axes)
    if fault_place != place:
        return

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.mean(axes, keepdims=True))

    for w, left_out in ((scale[1], False), (np.ones(1), True)):
        if left_out and scale[0] is None:
            continue
        dh = dy * w
        through_mean, through_var = mean(dh), h * (dh * h).sum(axes, keepdims=True) / (n - ddof)
        also = f", and {clues.label(scale[0] or 0)} left out" if left_out else ""
        cause = "statistics treated as constants" + (" and the scale left out" if left_out else "")
        yield Suspect(cause, f"analytic = dy w / sqrt(var + eps){also}; {over}", s * dh)
        yield Suspect(
            cause, f"the mean is differentiated, the variance is not{also}; {over}",
            s * (dh - through_mean),
        )  # fmt: skip
        yield Suspect(
            cause, f"the variance is differentiated, the mean is not{also}; {over}",
            s * (dh - through_var),
        )  # fmt: skip
        if left_out:
            label = clues.label(scale[0] or 0)
            yield Suspect(
                f"{label} left out", f"analytic is right for {label} = 1",
                s * (dh - through_mean - through_var),
            )  # fmt: skip
    dh = dy * scale[1]
    for k in sorted({n - 1, n, *(x.shape), x.size} - {n - ddof, 0}):
        yield Suspect(
            "average divided by the wrong count",
            f"the part through the variance is divided by {k}, the variance by {n - ddof}",
            s * (dh - mean(dh) - h * (dh * h).sum(axes, keepdims=True) / k),
        )
        if k != n:
            yield Suspect(
                "average divided by the wrong count",
                f"the means of the backward pass divide by {k}, those of the forward pass by {n}",
                s
                * (
                    dh - dh.sum(axes, keepdims=True) / k - h * (dh * h).sum(axes, keepdims=True) / k
                ),
            )
    yield Suspect(
        "average not divided", f"sums in place of means over the {n} elements; {over}",
        s * (dh - mean(dh) * n - h * mean(dh * h) * n),
    )  # fmt: skip
    for other_count in range(1, x.ndim + 1):
        for other in itertools.combinations(range(x.ndim), other_count):
            if other != axes:
                yield Suspect(
                    "summed over the wrong axis",
                    f"analytic takes its means over axes {other}, the function over {axes}",
                    s
                    * (
                        dh - dh.mean(other, keepdims=True) - h * (dh * h).mean(other, keepdims=True)
                    ),
                )


def _of_the_scale(
    clues: Clues, x: np.ndarray, u: np.ndarray, h: np.ndarray, axes: tuple[int, ...]
) -> Iterator[Suspect]:
    """dw = sum(dy h), made with something else in place of h."""
    for values, said in ((x, "x"), (u, "x - mean"), (clues.y, "y")):
        total = _to_shape(clues.dy * values, clues.x.shape)
        if total is not None:
            yield Suspect(
                "input not normalised in the gradient of the scale",
                f"analytic = sum(dy ({said})), not sum(dy (x - mean) / sqrt(var + eps))",
                total,
            )


def _to_shape(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The sum over all axes that `shape` does not have: channels first, else the last axes."""
    if len(shape) == 1 and values.ndim > 1 and values.shape[1] == shape[0]:
        return np.asarray(values.sum(tuple(a for a in range(values.ndim) if a != 1)))
    if len(shape) <= values.ndim and values.shape[values.ndim - len(shape) :] == shape:
        return np.asarray(values.sum(tuple(range(values.ndim - len(shape)))))
    return None
