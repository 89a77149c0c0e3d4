"""Numerical slopes: finite differences that know how far they can be trusted.

Along a direction v, L(t) = sum(u * f(x + t v)) is a function of one number. From the four points
-2h, -h, h, 2h two differences follow,

    D2 = (L(h) - L(-h)) / 2h                                     = L' + O(h^2)
    D4 = (8 (L(h) - L(-h)) - (L(2h) - L(-2h))) / 12h             = L' + O(h^4)

and, with L(0), a slope from the right and one from the left. They say four things at once: D4 is
the slope; |D4 - D2| bounds the truncation; a gap between left and right that truncation cannot
explain is a kink at x; and the rounding is that of f's values, eps |u y| / h.

No h is best for all functions, so h goes down a ladder until the slope is known well. A slope
that disagrees is measured again all over the ladder, three times at each rung: round-off shows as
scatter, truncation as a drift with h, a kink as a jump, and a wrong gradient as the same error at
every step. Only the last is a fault.

The step is the one that was realised: x + h is rounded, and the analytic slope is taken along
the difference of the points as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinynet.gradcheck.kinks import Branch, crossed

EPS = float(np.finfo(np.float64).eps)
STEPS = (1e-3, 3e-5, 1e-6, 3e-8)
FINE_STEPS = (1e-10, 1e-12, 1e-14)  # for a point that lies as close to where the function ends
WIDE_STEPS = (1e-1, 3e-2, 1e-2, *STEPS)
ROUNDING = 4.0  # how many times eps |u y| the rounding of a sum may be
KNOWN_WELL = 1e-8  # a slope is known well when its uncertainty is this share of its size
TOO_COARSE = 0.1  # and cannot be judged when it is this share
RTOL = 1e-8  # how far a gradient may be off beyond that, relative to itself
FULL_CHECK_LIMIT = 32  # inputs with more elements are moved along directions
FEW = 4  # of an operation alone, or a higher order: so many slopes cost no more
DIRECTIONS = 2


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-12) -> bool:
    """Whether two arrays are equal but for rounding; NaN equals NaN."""
    scale = max(float(np.abs(c[np.isfinite(c)]).max(initial=0.0)) for c in (a, b))
    return a.shape == b.shape and bool(
        np.allclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True)
    )


def equal(a: Any, b: Any) -> bool:
    """Whether two arguments have the same value."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
    return isinstance(a, np.random.Generator) or bool(a == b)


class Outcome(NamedTuple):
    """One run of a function: its values, and the branches it took."""

    y: np.ndarray
    branches: list[Branch]


Function = Callable[[np.ndarray], Outcome]


@dataclass
class Slope:
    """A slope along one direction, measured with one step.

    analytic, numeric: as the backward pass and as differences say. uncertainty: how far numeric
    may be off, by rounding and truncation. low, high: the sums of the smaller and of the larger
    one-sided slope of each element of y; gap: their distance in excess of what rounding and
    truncation explain. row: the slope of every element of y, and size: sum |u row|, which is not
    small by cancellation. change: the share of the elements of y that differ between the points.
    crossed: the operations whose branch changes within the step.
    """

    step: float
    analytic: float = 0.0
    numeric: float = 0.0
    low: float = 0.0
    high: float = 0.0
    gap: float = 0.0
    uncertainty: float = 0.0
    size: float = 0.0
    change: float = 0.0
    row: np.ndarray = field(default_factory=lambda: np.zeros(0))
    crossed: set[str] = field(default_factory=set)

    @property
    def error(self) -> float:
        return self.analytic - self.numeric

    def grows(self, wider: Slope, noise: float = 0.0) -> bool:
        """Whether it is much steeper than with a wider step: it has no limit yet."""
        here, there = (max(abs(s.low), abs(s.high)) for s in (self, wider))
        return here > 1.5 * there + noise


class Base(NamedTuple):
    """A point where slopes are measured: f, x, its outcome there, the output gradient u, and the
    gradient that is claimed. rounding: how far each element of y may be off, see `roundings`.
    vjp: the gradient that is claimed for another u. rtol: the relative error that is allowed."""

    f: Function
    x: np.ndarray
    outcome: Outcome
    u: np.ndarray
    gradient: np.ndarray
    rounding: np.ndarray
    vjp: Callable[[np.ndarray], np.ndarray] | None = None
    rtol: float = RTOL

    @property
    def steps(self) -> tuple[float, ...]:
        """The ladder; larger steps are tried as well where f rounds more than float64 does."""
        coarse = (self.rounding > 1e-10 * np.abs(self.outcome.y)).any()
        return WIDE_STEPS if coarse else STEPS

    def allowed(self, slope: Slope) -> float:
        """How far the gradient may be off along one direction."""
        return slope.uncertainty + self.rtol * max(abs(slope.analytic), abs(slope.numeric))


def measure(base: Base, v: np.ndarray, h: float) -> Slope | None:
    """The slope along v with step h; None where the function is not finite there."""
    points = [base.x + k * h * v for k in (-2, -1, 1, 2)]
    try:
        outcomes = [base.f(point) for point in points]
    except ValueError:  # a step out of the domain, such as a probability above 1
        return None
    far_below, below, above, far_above = (outcome.y for outcome in outcomes)
    if not all(np.isfinite(outcome.y).all() for outcome in outcomes):
        return None
    u, y = base.u, base.outcome.y
    slope = Slope(h)
    near = (above - below) / (2 * h)
    d4 = (8 * (above - below) - (far_above - far_below)) / (12 * h)
    moved = (8 * (points[2] - points[1]) - (points[3] - points[0])) / (12 * h)
    slope.analytic = float((base.gradient * moved).sum())
    slope.row = d4
    slope.numeric = float((u * d4).sum())
    right = u * (4 * (above - y) - (far_above - y)) / (2 * h)
    left = u * (4 * (y - below) - (y - far_below)) / (2 * h)
    slope.low = float(np.minimum(left, right).sum())
    slope.high = float(np.maximum(left, right).sum())
    slope.size = float(np.abs(u * d4).sum())
    slope.change = float((above != below).mean()) if y.size else 0.0
    rounding = ROUNDING * float((np.abs(u) * base.rounding).sum()) / h
    rounding += ROUNDING * EPS * float(np.abs(base.gradient * moved).sum())
    bend = float(np.abs(u * (d4 - near)).sum())
    slope.uncertainty = rounding + bend * min(1.0, 10 * bend / (slope.size or 1.0))
    slope.gap = max(0.0, slope.high - slope.low - 10 * rounding - 10 * bend)
    for outcome in outcomes:
        slope.crossed |= crossed(base.outcome.branches, outcome.branches)
    return slope


@dataclass
class Verdict:
    """What came of one direction: one of the following kinds.

    "agrees"; "wrong"; "zero": agrees too, but both slopes are 0 as far as can be told, so little
    was said. "kink": x sits on one, and the gradient lies between the one-sided slopes; "outside":
    it does not, which is wrong for one operation but can happen where several kinks meet.
    "coarse": the rounding is larger than the slope. "undefined": nowhere near is the function
    finite on both sides. slope: the best measurement.
    """

    kind: str
    slope: Slope

    @property
    def on_kink(self) -> bool:
        return self.kind in ("kink", "outside")


def directions(
    x: np.ndarray, rng: np.random.Generator, most: int = FULL_CHECK_LIMIT
) -> Iterator[np.ndarray]:
    """The directions to try: every element by itself, or all of more than `most` at random.

    Where x has equal elements, another direction moves equal ones equally: it keeps their ties,
    and so shows a gradient that counts tied elements twice.
    """
    scale = np.maximum(1.0, np.abs(x))
    if x.size <= most:
        for i in range(x.size):
            v = np.zeros(x.size)
            v[i] = scale.flat[i]
            yield v.reshape(x.shape)
    else:
        for _ in range(DIRECTIONS):
            v = rng.standard_normal(x.shape) * scale
            yield v / max(1.0, np.sqrt(x.size) / 4)
    if 1 < x.size <= 100_000:
        values, group = np.unique(x, return_inverse=True)
        if len(values) < x.size:
            v = rng.standard_normal(len(values))[group.reshape(x.shape)]
            yield v / max(1.0, np.sqrt(x.size) / 4)


def judge(base: Base, v: np.ndarray) -> Verdict:
    """Measure the slope along v, and say whether the gradient agrees with it.

    Elements of y that stay as they are may round more than the others move: if so, without them.
    """
    verdict = _judged(base, v)
    moves = verdict.slope.row != 0
    if verdict.kind == "coarse" and base.vjp and moves.any() and not moves.all():
        u = base.u * moves
        verdict = _judged(base._replace(u=u, gradient=base.vjp(u)), v)
    return verdict


def _judged(base: Base, v: np.ndarray) -> Verdict:
    best: Slope | None = None
    straddling: Slope | None = None
    growing = False
    for h in (*base.steps, *FINE_STEPS):
        known = best is not None and best.step >= STEPS[-1] and not growing
        if h < STEPS[-1] and (known or straddling):
            break
        slope = measure(base, v, h)
        if slope is None:
            continue
        if slope.crossed:
            straddling = slope
            continue
        grew = growing
        growing = best is not None and slope.gap > 0.01 * slope.size and slope.grows(best)
        if best is None or grew or growing or slope.uncertainty < best.uncertainty:
            best = slope
        if best.uncertainty <= KNOWN_WELL * best.size or best.size == best.analytic == 0:
            break
    if best is None:
        return _between_sides(base, straddling) if straddling else Verdict("undefined", Slope(0.0))
    if best.gap > 0.01 * best.size:
        closer = measure(base, v, best.step / 10)
        if closer is not None and closer.grows(best):
            return Verdict("undefined", best)
        if closer is not None and closer.gap > 0.5 * best.gap:
            return _between_sides(base, best)
    if abs(best.error) > base.allowed(best):
        return _sweep(base, v, best)
    coarse = best.uncertainty > TOO_COARSE * best.size
    if best.size <= 3 * best.uncertainty:
        coarse = base.rounding.max(initial=0.0) >= 1e-10 and bool(base.gradient.any())
        return Verdict("coarse" if coarse else "zero", best)
    return Verdict("coarse" if coarse else "agrees", best)


def _between_sides(base: Base, slope: Slope) -> Verdict:
    """On a kink, any slope from the left one to the right one will do."""
    slack = 10 * slope.uncertainty + base.allowed(slope) + 1e-6 * (slope.high - slope.low)
    if slope.low - slack <= slope.analytic <= slope.high + slack:
        return Verdict("kink", slope)
    return Verdict("outside", slope)


def _sweep(base: Base, v: np.ndarray, first: Slope) -> Verdict:
    """A disagreement, measured three times each at several steps: does it persist?

    Two steps will do if the errors are plainly the same.
    """
    best, best_error, best_doubt = first, first.error, np.inf
    before: tuple[float, float] | None = None  # error and scatter at the step before
    largest_change = 0.0
    for h in WIDE_STEPS:
        slopes = [measure(base, v, h * factor) for factor in (1.0, 0.83, 0.69)]
        known = [slope for slope in slopes if slope is not None and not slope.crossed]
        if len(known) < 2:
            continue
        errors = [slope.error for slope in known]
        error, scatter = float(np.mean(errors)), max(errors) - min(errors)
        doubt = scatter + known[0].uncertainty
        if before and known[0].change < 0.5 * largest_change:
            # so small a step may be swallowed by rounding: is this not the bottom of a staircase?
            doubt += abs(error - before[0]) + before[1]
        plain = before is not None and abs(error - before[0]) + doubt < 0.01 * abs(error)
        if doubt < best_doubt:
            best, best_error, best_doubt = known[0], error, doubt
        if plain:
            break
        largest_change, before = max(largest_change, known[0].change), (error, scatter)
    if abs(best_error) > 5 * best_doubt and abs(best.error) > base.allowed(best):
        return Verdict("wrong", best)
    best.uncertainty = max(best.uncertainty, best_doubt)
    coarse = best_doubt > TOO_COARSE * max(best.size, abs(best.analytic))
    return Verdict("coarse" if coarse else "agrees", best)


def roundings(
    outcome: Outcome,
    y_at: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """How far rounding may put each element of y off.

    y_at: y where each input is changed by a function. If it is changed in its last bits, y shows
    what rounding inside f does, where terms cancel too. If at a random point the values of y have
    no more than float32's 24 bits, f rounds to float32, and the last bits of a float64 shake
    nothing.
    """
    y, moved = np.abs(outcome.y), y_at(lambda x: near(x, rng, 1e-3))
    values = moved[(moved != 0) & np.isfinite(moved) & (moved != np.round(moved))]
    single = values.size > 0 and bool((values.astype(np.float32) == values).all())
    found = (np.finfo(np.float32).eps if single else EPS) * y
    for _ in range(2):
        shaken = y_at(lambda x: np.asarray(x * (1 + 2 * EPS * rng.integers(-1, 2, x.shape))))
        found = np.maximum(found, np.abs(shaken - outcome.y))
    return np.asarray(np.where(np.isfinite(found), found, EPS * y))


def near(x: np.ndarray, rng: np.random.Generator, share: float) -> np.ndarray:
    """x with each element changed by about this share of itself."""
    noise = rng.standard_normal(x.shape)
    return np.asarray(x * (1 + share * noise) + 1e-3 * noise * (x == 0))


def base_of(f: Function, x: np.ndarray, u: np.ndarray, gradient: np.ndarray) -> Base:
    """A point at which the slopes of a function of one array are measured."""
    here = f(x)
    rounding = roundings(here, lambda change: f(change(x)).y, np.random.default_rng(0))
    return Base(f, x, here, u, gradient, rounding)


class Elements(NamedTuple):
    """The numeric gradient of every element of x, in the shape of x.

    noise: how far numeric may be off. low, high: the one-sided slopes where x sits on a kink,
    elsewhere both are numeric. jacobian: (elements of x, elements of y).
    """

    numeric: np.ndarray
    noise: np.ndarray
    low: np.ndarray
    high: np.ndarray
    jacobian: np.ndarray

    def wrong(self, analytic: np.ndarray, rtol: float) -> np.ndarray:
        """Where an analytic gradient disagrees, as booleans."""
        allowed = self.noise + rtol * np.maximum(np.abs(analytic), np.abs(self.numeric))
        within = (self.low - allowed <= analytic) & (analytic <= self.high + allowed)
        return np.asarray(~within)  # NaN is wrong too


def by_element(base: Base, step: float) -> Elements:
    """Measure the slope of every element, each with the first step that crosses no kink."""
    x, size = base.x, base.x.size
    found: list[tuple[float, ...]] = []
    jacobian = np.zeros((size, base.u.size))
    for i in range(size):
        v = np.zeros(size)
        v[i] = 1.0
        scale = step * max(1.0, abs(float(x.reshape(-1)[i])))
        for h in (scale, 0.03 * scale, 1e-3 * scale):
            slope = measure(base, v.reshape(x.shape), h)
            if slope is not None and not slope.crossed:
                break
        if slope is None:
            found.append((0.0, np.inf, -np.inf, np.inf))
            continue
        on_kink = slope.crossed or slope.gap > 0.01 * slope.size
        sides = (slope.low, slope.high) if on_kink else (slope.numeric, slope.numeric)
        found.append((slope.numeric, slope.uncertainty, *sides))
        jacobian[i] = slope.row.reshape(-1)
    numeric, noise, low, high = np.array(found).T.reshape(4, *x.shape)
    return Elements(numeric, noise, low, high, jacobian)
