"""Local derivatives: how much each element of an operation's result feels one element of an input.

The graph holds for each input a function `vjp` that turns dy into dx. It is linear: dx[k] is a
sum over the elements m of the result, dy[m] times the local derivative dy[m]/dx[k]. What stands
here finds those factors for one k: the column k of the operation's Jacobian. A backward pass
gives rows, so columns are guessed, and each guess is tested: if for random dy the sum of
dy * column is vjp(dy)[k], the column is right (a wrong one passes with probability 0).

The guesses: an operation on each element by itself, one that only moves elements, one whose
Jacobian is symmetric, a sum along a channel, and for operations that are linear in the input the
operation itself, applied to the unit vector of k. Where none fits, `refined` splits the sum into
parts, the largest part ever again, with one call of `vjp` for each.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet import accumulation, autograd, kernels
from tinynet.kernels.geometry import Geometry

Index = tuple[int, ...]
Region = tuple[slice, ...]

PROBES = 3  # random dy that a guess must explain
PARTS = 200  # calls of vjp that a refinement may take


class Edge(NamedTuple):
    """One use of a tensor by an operation: see `autograd.Node.edges`."""

    op: str
    vjp: autograd.VJP
    shape: Index

    def full(self, dy: np.ndarray) -> np.ndarray:
        """The gradient of the input, before broadcasting is undone."""
        return np.asarray(self.vjp(dy))

    def at(self, dy: np.ndarray, k: Index) -> float:
        """Element k of the gradient of the input."""
        return float(accumulation.sum_to_shape(self.full(dy), self.shape, self.op, self.vjp)[k])

    def unit(self, k: Index, dtype: Any) -> np.ndarray:
        """The input's unit vector of k."""
        e = np.zeros(self.shape, dtype)
        e[k] = 1
        return e


def column(edge: Edge, dy: np.ndarray, k: Index) -> tuple[np.ndarray, str] | None:
    """The local derivatives dy[m]/dx[k], in the shape of dy, and what they are; or None."""
    rng = np.random.default_rng(0)
    tests = [rng.standard_normal(dy.shape).astype(dy.dtype) for _ in range(PROBES)]
    answers = [edge.at(r, k) for r in tests]
    for guess in GUESSES:
        with (
            np.errstate(all="ignore"),
            contextlib.suppress(Exception),
        ):  # of an operation with other variables than expected
            for found, what in guess(edge, dy, k, tests, answers):
                if found.shape == dy.shape and _explains(found, tests, answers):
                    return found, what
    return None


def _explains(found: np.ndarray, tests: list[np.ndarray], answers: list[float]) -> bool:
    tolerance = 1e-4 if tests[0].dtype == np.float32 else 1e-9
    for r, answer in zip(tests, answers):
        product = found.astype(np.float64) * r
        if not abs(product.sum() - answer) <= tolerance * (np.abs(product).sum() + abs(answer)):
            return False
    return True


Guesses = Iterator[tuple[np.ndarray, str]]


def _single_result(edge: Edge, dy: np.ndarray, k: Index, *_: Any) -> Guesses:
    """A result of one number."""
    if dy.size == 1:
        yield np.full(dy.shape, edge.at(np.ones_like(dy), k)), ""


def _elementwise(edge: Edge, dy: np.ndarray, k: Index, *_: Any) -> Guesses:
    """Each element by itself, the input perhaps broadcast."""
    slope = edge.full(np.ones_like(dy))
    if slope.shape != dy.shape:
        return
    box: list[Any] = [slice(None)] * (dy.ndim - len(k))
    lead = len(box)
    for axis, i in enumerate(k):
        stretched = edge.shape[axis] == 1 and dy.shape[lead + axis] != 1
        box.append(slice(None) if stretched else i)
    found = np.zeros(dy.shape)
    found[tuple(box)] = slope[tuple(box)]
    yield found, ""


def _moved(edge: Edge, dy: np.ndarray, k: Index, *_: Any) -> Guesses:
    """At most one element of the result feels it: found by its coordinates, axis by axis."""
    found = np.zeros(dy.shape)
    slope = edge.at(np.ones_like(dy), k)
    if slope:
        place = []
        for axis, size in enumerate(dy.shape):
            along = np.arange(size, dtype=dy.dtype).reshape((-1,) + (1,) * (dy.ndim - axis - 1))
            place.append(round(edge.at(np.broadcast_to(along, dy.shape).copy(), k) / slope))
        found[tuple(place)] = slope
    yield found, ""


def _product(edge: Edge, dy: np.ndarray, k: Index, *_: Any) -> Guesses:
    """An operation that is linear in the input, applied to the input's unit vector.

    It is a product of the input with an array that the gradient keeps. Which product, and on which
    side the input stands, the test says.
    """
    e, saved = edge.unit(k, dy.dtype), saved_values(edge.vjp)
    geometries = [value for value in saved if isinstance(value, Geometry)]
    for other in (value for value in saved if isinstance(value, np.ndarray)):
        for left, right in ((e, other), (other, e)):
            for product in PRODUCTS:
                with contextlib.suppress(ValueError):  # of shapes that do not fit
                    yield product(left, right), WEIGHT if left is e else INPUT
            for g in geometries:
                for convolution in (_convolved, _transposed):
                    with contextlib.suppress(ValueError, IndexError):
                        yield convolution(left, right, g), WEIGHT if left is e else PIXEL
        for g in geometries:
            if other.shape == dy.shape[2:]:  # the share of each window in a mean
                yield kernels.current.sum_pool2d(e, g) * other, ""
        if 0 < other.ndim <= len(k) and other.shape == edge.shape[-other.ndim :]:
            w = np.broadcast_to(other, edge.shape)  # a scale behind a projection
            yield edge.full(e / w[k]) * w, ""


PRODUCTS: tuple[Callable[..., Any], ...] = (np.matmul, lambda x, w: x @ w.T)


def _convolved(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1] * g.groups:
        raise ValueError("no convolution")
    return np.asarray(kernels.current.conv2d(x, w, None, g))


def _transposed(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[0]:
        raise ValueError("no transposed convolution")
    return np.asarray(kernels.current.conv2d_dx(x, w, g))


WEIGHT = "the weight through which it goes"
PIXEL = "the pixel of x that the weight met there"
INPUT = "the input x that the weight met there"


def _symmetric(edge: Edge, dy: np.ndarray, k: Index, *_: Any) -> Guesses:
    """A symmetric Jacobian, whose columns are its rows: softmax, batch normalisation."""
    if edge.shape == dy.shape:
        yield edge.full(edge.unit(k, dy.dtype)), ""


def _along_channel(
    edge: Edge, dy: np.ndarray, k: Index, tests: list[np.ndarray], answers: list[float]
) -> Guesses:
    """A parameter of one channel: a constant, or affine in an array that was kept.

    a and b in dx[c] = sum of dy * (a * saved + b) over the channel are found from two of the tests;
    that all of them agree is tested like every other guess.
    """
    if len(k) != 1:
        return
    for axis in (1, dy.ndim - 1):
        if axis >= dy.ndim or dy.shape[axis] != edge.shape[0]:
            continue
        channel = np.zeros(dy.shape)
        channel[(slice(None),) * axis + k] = 1
        yield channel, ""
        for values in saved_values(edge.vjp):
            if not isinstance(values, np.ndarray) or values.shape != dy.shape:
                continue
            part = channel * values
            sums = [[float((r * part).sum()), float((r * channel).sum())] for r in tests[:2]]
            a, b = np.linalg.solve(np.array(sums), answers[:2])
            yield a * part + b * channel, "the normalised input there"


GUESSES: tuple[Callable[..., Guesses], ...] = (
    _single_result,
    _product,
    _elementwise,
    _moved,
    _along_channel,
    _symmetric,
)


def refined(edge: Edge, dy: np.ndarray, k: Index) -> list[tuple[Region, float]]:
    """The sum for dx[k] in parts (region of dy, its share), the largest split the furthest."""

    def share(region: Region) -> float:
        part = np.zeros_like(dy)
        part[region] = dy[region]
        return edge.at(part, k)

    whole = tuple(slice(0, size) for size in dy.shape)
    order = itertools.count()
    waiting = [(0.0, next(order), whole, edge.at(dy, k))]
    parts: list[tuple[Region, float]] = []
    calls = 0
    while waiting:
        _, _, region, value = heapq.heappop(waiting)
        axis = next((i for i, s in enumerate(region) if s.stop - s.start > 1), None)
        length = 0 if axis is None else region[axis].stop - region[axis].start
        if axis is None or calls + length > PARTS:
            parts.append((region, value))
            continue
        calls += length
        for i in range(region[axis].start, region[axis].stop):
            smaller = (*region[:axis], slice(i, i + 1), *region[axis + 1 :])
            value = share(smaller)
            if value:
                heapq.heappush(waiting, (-abs(value), next(order), smaller, value))
    return parts


def saved_values(vjp: Any) -> list[Any]:
    """What a gradient function keeps, the functions inside it too."""
    found: list[Any] = []
    pending, seen = [getattr(vjp, "function", vjp)], set()
    while pending:
        function = pending.pop()
        if id(function) in seen or not hasattr(function, "__code__"):
            continue
        seen.add(id(function))
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # a cell that is still empty
                found.append(cell.cell_contents)
                pending.append(cell.cell_contents)
    return found
