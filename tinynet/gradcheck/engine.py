"""The course of a check: from one cheap direction to the guilty operation.

1. The function must give the same result twice, and must not change its input. Where it draws
   random numbers, each run draws the same.
2. The backward pass gives the gradients of sum(u * y) for random weights u. (With u = 1 the sum
   of a softmax has gradient 0, and every mistake passes.)
3. Each input moves along a random direction, and the slope is compared. An element that is wrong
   shows in almost every direction, so this is all that a right gradient costs.
4. If a slope disagrees, `locate.py` finds out where.
5. At the end the gradients are computed once more, and again on the same graph: a function that
   remembers something from call to call, or overwrites what it needs, gives others now. Once for a
   multiple of u, for which they must be the same multiple: masks made of dy and clipping do not
   pass. And once in float32, in which nets are trained.
"""

from __future__ import annotations

import numpy as np

from tinynet.gradcheck import kinks, sanity
from tinynet.gradcheck.again import NEARLY
from tinynet.gradcheck.differences import (
    EPS,
    STEPS,
    WIDE_STEPS,
    Base,
    Limits,
    Outcome,
    Verdict,
    directions,
    judge,
    measure,
    roundings,
    same,
    shaken,
)
from tinynet.gradcheck.locate import MULTIPLE, NOT_FINITE, Search, raised
from tinynet.gradcheck.replay import FLOAT32
from tinynet.gradcheck.report import EmptyCheckError, Failure, Report
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import record

TOO_MANY_KINKS = 0.1  # the share of the numbers on kinks from which other points are tried


@np.errstate(all="ignore")
def check(subject: Subject, mode: str, limits: Limits, seed: int) -> Report:
    """Check the gradient of every target of the subject."""
    try:
        report = _check(subject, mode, limits, seed)
        if report or not subject.hold_draws():
            return report
    except EmptyCheckError:
        if not subject.hold_draws():
            raise
    report = _check(subject, mode, limits, seed)
    report.notes.append("the function draws random numbers; they were the same in each run")
    return report


def _check(subject: Subject, mode: str, limits: Limits, seed: int) -> Report:
    report = Report(subject.name)
    rng = np.random.default_rng(seed)
    try:
        elsewhere = _far_away(subject, rng)  # what is kept of the first call is not this input
        first = sanity.watched(subject)
    except sanity.OverwriteError as error:
        report.failures.append(error.failure)
        return report
    _refuse_values(subject, first.y)
    if failure := sanity.unstable(subject, first.y):
        report.failures.append(failure)
        return report
    y = subject.run()
    if not y.requires_grad:
        return _without_graph(subject, report, first.y, elsewhere, rng)
    _visit(subject, elsewhere)  # nor should what it keeps of its last call
    u = rng.standard_normal(first.y.shape)
    search = Search(subject, u, limits, elsewhere, seed)
    try:
        gradients = subject.vjp(y, u)
    except Exception as error:
        report.failures = search.or_else(raised(subject, error))
        return report
    if not all(np.isfinite(gradient).all() for gradient in gradients.values()):
        report.failures = search.or_else(_not_finite(subject, u, first, gradients))
        return report
    comparison = _Comparison(subject, first, u, gradients, mode, limits, rng)
    verdicts = comparison.run(report)
    if comparison.wrong:
        report.failures = search.explain(comparison.wrong, gradients)
        report.notes += search.notes
        if report.failures:
            return report
    _look_at_zeros(subject, report, verdicts)
    if first.y.size == 1:
        _look_behind_a_sum(subject, report, search)
    if _kinky(verdicts):
        _try_nearby(subject, report, mode, limits, rng)
    elif not report.failures and _special(subject):
        why = "many values are 0 or 1, which hide factors"
        _try_nearby(subject, report, "directions", limits, rng, why)
    if not report.failures:
        report.failures = search.remembered(first.y, gradients)
    if not report.failures:
        search.u = MULTIPLE * u
        multiples = subject.gradients(search.u)[1]
        if not all(same(g, MULTIPLE * gradients[name], NEARLY) for name, g in multiples.items()):
            report.failures = search.operations()
        search.u = u
    if not report.failures:
        _look_at_float32(search, report, gradients, verdicts)
    return report


def _not_finite(
    subject: Subject, u: np.ndarray, first: Outcome, gradients: dict[str, np.ndarray]
) -> Failure:
    """The failure of a gradient that is not finite where the function has finite slopes."""
    name = next(name for name, gradient in gradients.items() if not np.isfinite(gradient).all())
    x, gradient = subject.targets[name].array, gradients[name]
    i = int(np.argmin(np.isfinite(gradient)))
    v = np.zeros(x.shape)
    v.flat[i] = max(1.0, abs(x.flat[i]))
    rounding = EPS * np.abs(first.y)
    base = Base(subject.function_of(name), x, first, u, np.zeros(x.shape), rounding)
    far, near = (measure(base, v, h) for h in (1e-5, 1e-7))
    if far is None or near is None or near.grows(far, 1e9 * rounding.sum()):
        raise _undefined(subject, name, i)
    sides = dict.fromkeys(f"{side:.4g}" for side in (near.low, near.high))
    where = list(map(int, np.unravel_index(i, x.shape)))
    text = f"at {where} it is {gradient.flat[i]}, differences give {' to '.join(sides)}"
    return Failure(subject.name, name, cause=NOT_FINITE, evidence=text)


def _undefined(subject: Subject, name: str, i: int | None) -> EmptyCheckError:
    """The refusal of a point without a slope; i: the element, if it is known."""
    x = subject.targets[name].array
    if i is not None:
        name += f"{list(map(int, np.unravel_index(i, x.shape)))} = {x.flat[i]:.6g}"
    return EmptyCheckError(
        f"gradcheck: {subject.name} has no finite slope at {name}: on one side the result is NaN "
        "or infinite, or its slope grows without bound. Choose inputs inside the domain."
    )


def _look_at_float32(
    search: Search,
    report: Report,
    gradients: dict[str, np.ndarray],
    verdicts: dict[str, list[Verdict]],
) -> None:
    """Hold the backward pass in float32 against the one in float64, which agreed."""
    subject = search.subject
    try:
        with subject.in_float32():
            y = subject.run()
            if not np.isfinite(y.array).all():
                raise ArithmeticError("the result is not finite")
    except Exception as error:
        report.notes.append(f"not checked in float32: {type(error).__name__}: {error}")
        return
    try:
        single = subject.vjp(y, search.u)
    except Exception as error:
        report.failures.append(raised(subject, error))
        report.failures[0].evidence = f"in float32: {report.failures[0].evidence}"
        return
    off = {
        name: float(np.abs(single[name] - exact).max() / np.abs(exact).max())
        for name, exact in gradients.items()
        if any(verdict.kind == "agrees" for verdict in verdicts[name])
    }
    off = {name: error for name, error in off.items() if not error <= FLOAT32}
    if off:
        report.failures += search.in_float32(list(off))
    if off and not report.failures:
        report.notes.append(
            f"in float32 the gradient of {', '.join(off)} is off by a relative "
            f"{max(off.values()):.0e}, but none of an operation by itself: it rounds, or the "
            "result is another in float32"
        )


class _Comparison:
    """The slopes of all targets at one point."""

    def __init__(
        self,
        subject: Subject,
        first: Outcome,
        u: np.ndarray,
        gradients: dict[str, np.ndarray],
        mode: str,
        limits: Limits,
        rng: np.random.Generator,
    ) -> None:
        self.subject, self.first, self.u = subject, first, u
        self.gradients, self.mode, self.limits, self.rng = gradients, mode, limits, rng
        self.wrong: dict[str, Verdict] = {}
        self.coarse = False  # whether the function rounds more than float64 does

    def run(self, report: Report) -> dict[str, list[Verdict]]:
        """Compare along every direction, and add up in the report what was found."""
        rounding = self._rounding()
        verdicts: dict[str, list[Verdict]] = {}
        for name, x in self.subject.targets.items():
            f = self.subject.function_of(name)
            vjp = self.subject.gradient_of(name)
            base = Base(f, x.array, self.first, self.u, self.gradients[name], rounding, vjp)
            verdicts[name] = []
            for v in directions(x.array, self.mode, self.rng):
                verdicts[name].append(judge(base, v, self.limits))
                if verdicts[name][-1].kind == "wrong":
                    break  # the elements are looked at where the mistake is made
            self._add(report, name, verdicts[name])
        self._tell_precision(report, verdicts)
        return verdicts

    def _rounding(self) -> np.ndarray:
        """The rounding of the result; where it is coarse, larger steps are tried as well."""
        targets = self.subject.targets
        results = []
        for _ in range(2):
            with self.subject.at({name: shaken(x.array, self.rng) for name, x in targets.items()}):
                results.append(self.subject.outcome().y)
        with self.subject.at(self.subject.nearby(self.rng, 1e-3)):
            moved = self.subject.outcome().y
        rounding = roundings(self.first, results, moved)
        self.coarse = rounding.max() > 1e-10 * np.abs(self.first.y).max()
        if self.limits.steps == STEPS and (rounding > 1e-10 * np.abs(self.first.y)).any():
            self.limits = self.limits._replace(steps=WIDE_STEPS)
        return rounding

    def _add(self, report: Report, name: str, verdicts: list[Verdict]) -> None:
        report.checked[name] = report.checked.get(name, 0) + len(verdicts)
        report.skipped_kinks += sum(v.kind in ("kink", "outside") for v in verdicts)
        for verdict in verdicts:
            slope = verdict.slope
            if verdict.kind in ("wrong", "outside"):
                self.wrong[name] = verdict
            elif verdict.kind == "agrees":
                report.worst = max(report.worst, abs(slope.error) / slope.size)
        _tell_kinks(report, name, verdicts, self.first)

    def _tell_precision(self, report: Report, verdicts: dict[str, list[Verdict]]) -> None:
        """Say what the rounding of the function leaves to be told; refuse if that is nothing."""
        if self.wrong:
            return
        kinds = {name: [v.kind for v in found] for name, found in verdicts.items()}
        for name, found in kinds.items():
            if "undefined" in found:
                by_element = len(found) >= self.subject.targets[name].array.size
                i = found.index("undefined") if by_element else None
                raise _undefined(self.subject, name, i)
        if all(set(found) == {"coarse"} for found in kinds.values()):
            raise EmptyCheckError(
                f"gradcheck: {self.subject.name} "
                + ("rounds so coarsely" if self.coarse else "moves so little")
                + " that differences say nothing: their rounding is larger than the slopes of "
                f"{', '.join(kinds)}. Is something rounded to float32 or to integers inside? "
                "Compute in float64, or scale the inputs so that the result changes more."
            )
        for name, found in kinds.items():
            if "coarse" in found:
                report.notes.append(
                    f"{name}: nothing could be told of {found.count('coarse')} of {len(found)} "
                    "numbers, the rounding of the function is larger than their slope"
                )
        known = [v.slope for found in verdicts.values() for v in found if v.kind == "agrees"]
        doubt = max((slope.uncertainty / slope.size for slope in known if slope.size), default=0.0)
        if doubt > 1e-5:
            report.notes.append(
                ("the function rounds inside (to float32?): " if self.coarse else "")
                + f"slopes are known to a relative {doubt:.0e}, a mistake smaller than that would "
                "not be seen"
            )


def _visit(subject: Subject, values: dict[str, np.ndarray]) -> bool:
    """Run the function at other values; whether it can be computed there."""
    try:
        with subject.at(values):
            sanity.watched(subject)
        return True
    except sanity.OverwriteError:
        raise
    except Exception:
        return False


def _far_away(subject: Subject, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Visit a point and return it: with some signs turned, so that masks and winners are others.

    A function that raises there, as it is not defined for such values, is run nearby.
    """
    nearby = subject.nearby(rng, 0.1)
    turned = {name: x * rng.choice([-1.0, 1.0], x.shape) for name, x in nearby.items()}
    if _visit(subject, turned):
        return turned
    _visit(subject, nearby)
    return nearby


def _refuse_values(subject: Subject, y: np.ndarray) -> None:
    if y.size == 0:
        raise EmptyCheckError(f"gradcheck: the result of {subject.name} has no elements")
    if not np.isfinite(y).all():
        raise ValueError(
            f"gradcheck: the result of {subject.name} has NaN or infinite values, in "
            f"{int((~np.isfinite(y)).sum())} of {y.size} elements; choose inputs at which it is "
            "finite"
        )


def _without_graph(
    subject: Subject,
    report: Report,
    first: np.ndarray,
    elsewhere: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> Report:
    """No gradient can arrive: because nothing depends on the inputs, or because a path is cut."""
    names = ", ".join(subject.targets)
    with subject.at(elsewhere):
        moved = not same(first, subject.outcome().y)
    if not moved:
        raise EmptyCheckError(
            f"gradcheck: the result of {subject.name} does not depend on {names}: no gradient "
            "reaches them, and moving them changes nothing"
        )
    u = rng.standard_normal(first.shape)
    search = Search(subject, u, Limits(), elsewhere, 0)
    for name in subject.targets:
        failure = search.detached(name)
        failure.cause = failure.cause or "detached from the graph"
        failure.evidence = failure.evidence or (
            f"the result moves with {name}, but was computed without the graph: with NumPy on "
            ".data, or inside no_grad()"
        )
        report.failures.append(failure)
    return report


def _tell_kinks(report: Report, name: str, verdicts: list[Verdict], first: Outcome) -> None:
    """Note where an input sits on a kink, and which rule applies there."""
    on_kink = [verdict for verdict in verdicts if verdict.kind in ("kink", "outside")]
    if not on_kink:
        return
    ops = sorted(set().union(*(verdict.slope.crossed for verdict in on_kink)))
    what = kinks.rules(ops, first.branches)
    report.notes.append(
        f"{name} sits on a kink in {len(on_kink)} of {len(verdicts)} numbers; there the gradient "
        "was held against the slopes from either side" + (f". {what}" if what else "")
    )


def _kinky(verdicts: dict[str, list[Verdict]]) -> bool:
    """Whether too many of some input's numbers lie on kinks for the comparison to mean much."""
    return any(
        sum(verdict.kind in ("kink", "outside") for verdict in found) > TOO_MANY_KINKS * len(found)
        for found in verdicts.values()
    )


def _special(subject: Subject) -> bool:
    """Whether half of an input's numbers are 0, 1 or -1, where forgotten factors are not seen."""
    return any(
        x.array.size > 1 and 2 * np.isin(x.array, (0, 1, -1)).sum() > x.array.size
        for x in subject.targets.values()
    )


def _try_nearby(
    subject: Subject,
    report: Report,
    mode: str,
    limits: Limits,
    rng: np.random.Generator,
    why: str = "",
) -> None:
    """Check again at a random point nearby, away from the kinks; three points are tried.

    why: for a check that need not be repeated because of kinks.
    """
    for share in (0.01, 0.03, 0.1):
        with subject.at(subject.nearby(rng, share)):
            try:
                first = subject.outcome()
                u = rng.standard_normal(first.y.shape)
                gradients = subject.gradients(u)[1]
            except (ValueError, ArithmeticError):
                continue
            if not all(np.isfinite(values).all() for values in (first.y, *gradients.values())):
                continue
            there = Report(subject.name)
            comparison = _Comparison(subject, first, u, gradients, mode, limits, rng)
            verdicts = comparison.run(there)
            if comparison.wrong:
                search = Search(subject, u, limits, {}, 0)
                report.failures += search.explain(comparison.wrong, gradients)
                if report.failures:
                    return
            if not _kinky(verdicts):
                report.notes.append(
                    (why or "as this is too many")
                    + ", so the check was repeated at a random point nearby, off the kinks: "
                    f"{sum(there.checked.values())} numbers agree there"
                )
                return
    if why:
        return
    raise EmptyCheckError(
        f"gradcheck: {subject.name} sits on kinks here and nearby, where it has no derivative to "
        "compare with. Choose inputs without ties, and away from the kinks."
    )


def _look_at_zeros(subject: Subject, report: Report, verdicts: dict[str, list[Verdict]]) -> None:
    """Refuse, or note, what could be wrong without being seen because its slope is 0."""
    zero = [
        name for name, found in verdicts.items() if found and all(v.kind == "zero" for v in found)
    ]
    if not zero:
        return
    sanity.refuse_zero(subject, record(subject.run, subject.model), zero)
    for name in zero:
        report.notes.append(
            f"{name}: moving it changes nothing, and its gradient is 0, as it must be; more could "
            "not be compared"
        )


def _look_behind_a_sum(subject: Subject, report: Report, search: Search) -> None:
    """A plain sum sends back equal numbers, which hide mistakes: give each operation others."""
    trace = record(subject.run, subject.model)
    if not sanity.plain_sum(trace) or len(trace.calls) < 2:
        return
    hidden = search.operations()
    report.failures += hidden
    report.notes.append(
        "the result is a plain sum, which sends the same gradient to every element"
        + (
            ": this hid a mistake, which random output gradients show"
            if hidden
            else "; so each operation was also checked by itself with random output gradients"
        )
    )
