"""Mistakes of adding up: a sum that is missing, runs over the wrong axis, or forgets a part.

A right gradient is J^T dy, linear in the output gradient dy. So a backward pass that reads only
part of dy, or reads it wrongly, gives J^T of a changed dy, whatever the function is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from tinynet.gradcheck.causes import uses
from tinynet.gradcheck.causes.clues import (
    Clues,
    ElsewhereError,
    Suspect,
    differences,
    subsets,
)


def suspects(clues: Clues) -> Iterator[Suspect]:
    """What a changed dy, and a sum over other axes, would give."""
    J = clues.jacobian
    if J is None:
        return
    yield from _without_the_rest_of_the_jacobian(clues, J)
    yield from _single_slices(clues)
    yield from _wrong_axes(clues, J)
    yield from _left_out_slices(clues)


def _pulled(clues: Clues, cause: str, how: str, dy: np.ndarray) -> Suspect:
    return Suspect(cause, how, clues.pulled(dy), clues.blur)


def _kept(dy: np.ndarray, at: dict[int, int]) -> np.ndarray:
    """dy where each axis of `at` has the given index, 0 elsewhere."""
    kept = np.zeros_like(dy)
    where = tuple(slice(at[a] % n, at[a] % n + 1) if a in at else slice(None)
                  for a, n in enumerate(dy.shape))  # fmt: skip
    kept[where] = dy[where]
    return kept


def _single_slices(clues: Clues) -> Iterator[Suspect]:
    """A sum over some axes of the output that takes one place of them, or the mean for the sum."""
    dy = clues.dy
    cause = _name_of_missing_sum(clues)
    long = [a for a, n in enumerate(dy.shape) if n > 1]
    for count in range(1, min(len(long), 3) + 1):
        for axes in itertools.combinations(long, count):
            which = f"axis {axes[0]}" if count == 1 else f"axes {', '.join(map(str, axes))}"
            for place in (0, -1):
                said = "first" if place == 0 else "last"
                yield _pulled(
                    clues,
                    cause,
                    f"analytic has only what comes from the {said} place of {which} of the "
                    f"output {dy.shape}, not the sum over {which}",
                    _kept(dy, dict.fromkeys(axes, place)),
                )


def _name_of_missing_sum(clues: Clues) -> str:
    """The usual name of a missing sum: of a bias, of a broadcast argument, or neither."""
    J, x, y = clues.jacobian, clues.x, clues.y
    assert J is not None
    shapes = [a.shape for a in clues.floats.values()]
    try:
        elementwise = np.broadcast_shapes(*shapes) == y.shape
    except ValueError:
        elementwise = False
    if elementwise and x.shape != y.shape:
        return "missing sum over a broadcast axis"
    if x.ndim == 1 and y.ndim > 1 and np.allclose(J, J != 0, atol=1e-6):
        return "bias gradient missing an axis"
    return "missing sum over an axis"


def _wrong_axes(clues: Clues, J: np.ndarray) -> Iterator[Suspect]:
    """The right terms, added up along the wrong axes: possible where two axes are as long."""
    x, y = clues.x, clues.y
    used = (J != 0).sum(0)
    if x.size == 1 or x.size == y.size or (used > 1).any():
        return  # each output must have its own element of x
    terms = (J.sum(0).reshape(y.shape)) * clues.dy
    for kept in itertools.permutations(range(y.ndim), x.ndim):
        if tuple(y.shape[a] for a in kept) == x.shape:
            others = tuple(a for a in range(y.ndim) if a not in kept)
            order = np.argsort(np.argsort(kept))
            summed = terms.sum(others).transpose(order) if x.ndim > 1 else terms.sum(others)
            if summed.shape == x.shape:
                yield Suspect(
                    "summed over the wrong axis",
                    f"analytic = the terms of the output {y.shape} summed over axes {others}",
                    summed,
                    clues.blur,
                )


def _left_out_slices(clues: Clues) -> Iterator[Suspect]:
    """A loop over the output that starts late or stops early."""
    dy = clues.dy
    for axis, size in enumerate(dy.shape):
        for place in (-1, 0) if size > 2 else ():  # of two, one is left: a single slice
            said = "first" if place == 0 else "last"
            yield _pulled(
                clues,
                "part of the output gradient left out",
                f"analytic has everything but what comes from the {said} place of axis {axis} of "
                f"the output {dy.shape}",
                dy - _kept(dy, {axis: place}),
            )


def overwritten(clues: Clues) -> Iterator[Suspect]:
    """Terms written with = in place of +=: of the outputs an element is in, one counts."""
    J = clues.jacobian
    if J is None:
        return
    terms = J * clues.dy.reshape(-1)
    felt = J != 0
    if J.shape[1] < 2 or not (felt.sum(1) > 1).any():
        return
    for said, place in (
        ("last", J.shape[1] - 1 - felt[:, ::-1].argmax(1)),
        ("first", felt.argmax(1)),
    ):
        one = np.take_along_axis(terms, place[:, None], 1)
        yield Suspect(
            "missing accumulation",
            f"analytic: of the outputs that an element of {clues.name} is in, the {said} counts "
            "alone (= for +=)",
            one.reshape(clues.x.shape),
            clues.blur,
        )


def misread(clues: Clues) -> Iterator[Suspect]:
    """dy not read at all, or read in another order."""
    if clues.jacobian is None:
        return
    dy = clues.dy
    yield _pulled(
        clues, "output gradient not used", "analytic = the gradient of the plain sum of the output",
        np.ones_like(dy),
    )  # fmt: skip
    if dy.size > 1:
        yield _pulled(
            clues,
            "output gradient summed too early",
            "analytic = the gradient for an output gradient of sum(dy) everywhere",
            np.full_like(dy, dy.sum()),
        )
    for a, b in itertools.combinations(range(dy.ndim), 2):
        if dy.shape[a] == dy.shape[b] > 1:
            yield _pulled(
                clues, "output gradient transposed", f"analytic reads dy with {a}, {b} swapped",
                dy.swapaxes(a, b),
            )  # fmt: skip
    for axis, size in enumerate(dy.shape):
        if size > 1:
            yield _pulled(
                clues, "output gradient reversed", f"analytic reads dy backwards along axis {axis}",
                np.flip(dy, axis),
            )  # fmt: skip


def not_transposed(clues: Clues) -> Iterator[Suspect]:
    """J dy in place of J^T dy: the forward map once more, where its transpose belongs."""
    J = clues.jacobian
    if J is not None and clues.x.size == clues.y.size > 1:
        yield Suspect(
            "Jacobian not transposed",
            "analytic = J dy, the derivative of the forward pass applied to dy, not J^T dy",
            (J.T @ clues.dy.reshape(-1)).reshape(clues.x.shape),
            clues.blur,
        )


def _without_the_rest_of_the_jacobian(clues: Clues, J: np.ndarray) -> Iterator[Suspect]:
    """Only dy_i/dx_i, where an output depends on other elements too, as in softmax."""
    x, y = clues.x, clues.y
    if x.shape != y.shape or x.size < 2:
        return
    diagonal = np.diagonal(J)
    if not np.any(J - np.diag(diagonal)):
        return
    yield Suspect(
        "Jacobian without its off-diagonal part",
        "analytic = dy_i * dy_i/dx_i alone, and y_i depends on other elements of x too",
        diagonal.reshape(x.shape) * clues.dy,
        clues.blur,
    )


def partial(clues: Clues) -> Iterator[Suspect]:
    """Right in some places of an axis and 0 in the others."""
    zero = clues.analytic == 0
    for axis, size in enumerate(clues.analytic.shape):
        if size < 2:
            continue
        empty = zero.all(tuple(a for a in range(zero.ndim) if a != axis))
        if empty.any() and not empty.all():
            shape = [-1 if a == axis else 1 for a in range(zero.ndim)]
            at = ", ".join(map(str, np.flatnonzero(empty)))
            yield Suspect(
                "part of the gradient left zero",
                f"analytic = numeric but for place {at} of axis {axis}, where it is 0",
                np.where(empty.reshape(shape), 0.0, clues.numeric),
                clues.noise,
            )


def of_uses(clues: Clues) -> Iterator[Suspect]:
    """The sum over some of the ways by which the argument enters, and not over all of them."""
    place = clues.fault.place

    def run(x: np.ndarray) -> np.ndarray:
        return np.asarray(clues.output({place: x}))

    names = uses.uses_of(run, clues.x)
    if names is None or not 1 < len(names) <= 4 * uses.MOST_USES:
        return
    parts, said = [], []
    for chosen, name in enumerate(names):
        part = _along(clues, uses.along_use(run, chosen))
        if part is None:
            return
        if np.abs(part).max(initial=0) > 1e-7 * clues.scale:
            parts.append(part)
            said.append(name)
    noise = 10 * clues.noise.max(initial=0) + 1e-6 * clues.scale
    if not 1 < len(parts) <= uses.MOST_USES or np.abs(sum(parts) - clues.numeric).max() > noise:
        return
    for kept in subsets(len(parts)):
        missing = [said[i] for i in range(len(parts)) if i not in kept]
        yield Suspect(
            "missing accumulation",
            f"{clues.name} enters the result in {len(parts)} ways ({', '.join(said)}); analytic = "
            f"the sum without {', '.join(missing)}",
            np.asarray(sum(parts[i] for i in kept)),
            clues.blur,
        )


def _along(clues: Clues, run: Callable[..., np.ndarray]) -> np.ndarray | None:
    still = np.array(clues.x, dtype=np.float64)
    try:
        return differences(lambda moved: float((clues.dy * run(moved, still)).sum()), still)
    except ElsewhereError:
        return None
