"""The course of a check: from one cheap direction to the guilty operation.

1. The function must give the same result twice, and must not change its input. Where it draws
   random numbers, each run draws the same.
2. The backward pass gives the gradients of sum(u * y) for random weights u. (With u = 1 the sum
   of a softmax has gradient 0, and every mistake passes.)
3. Each input moves along a random direction, and the slope is compared. An element that is wrong
   shows in almost every direction, so this is all that a right gradient costs.
4. If a slope disagrees, `locate.py` finds out where.
5. At the end the gradients are computed once more, and again on the same graph: a function that
   remembers something from call to call, or overwrites what it needs, gives others now. Then for a
   large and a small multiple of u, for which they must be the same multiple: masks made of dy,
   clipping and thresholds do not pass. And once in float32, in which nets are trained.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.calls import NoGradientError
from tinynet.gradcheck import kinks, sanity
from tinynet.gradcheck.differences import (
    EPS,
    FEW,
    FULL_CHECK_LIMIT,
    Base,
    Outcome,
    Verdict,
    directions,
    judge,
    measure,
    roundings,
    same,
)
from tinynet.gradcheck.locate import DETACHED, NOT_FINITE, Search, raised
from tinynet.gradcheck.replay import FLOAT32
from tinynet.gradcheck.report import EmptyCheckError, Failure, Report
from tinynet.gradcheck.subject import LINES, Subject, TooMuchError, bounded, signals_pass
from tinynet.gradcheck.trace import record
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

TOO_MANY_KINKS = 0.1  # the share of the numbers on kinks from which other points are tried


Verdicts = dict[str, list[Verdict]]


@signals_pass()
@np.errstate(all="ignore")
def check(
    name: str,
    run: Callable[[], Any],
    targets: dict[str, Tensor],
    handed: dict[str, Any],
    model: Module | None,
    seed: int,
    may_lack: bool = False,
    order: int = 1,
) -> Report:
    """Check the gradient of every target of `run`; see `Subject` and `gradcheck`.

    may_lack: whether NoGradientError is raised for a target that no gradient is returned for.
    order: of the derivative that is checked; a higher one costs more, and is measured less.
    """
    subject = Subject(name, run, targets, handed, model)
    try:
        report = _Check(subject, seed, may_lack, order).run()
        if report or not subject.hold_draws():
            return report
    except EmptyCheckError:
        if not subject.hold_draws():
            raise
    report = _Check(subject, seed, may_lack, order).run()
    report.notes.append("the function draws random numbers; they were the same in each run")
    return report


class _Check:
    """One check of a subject, at its present values.

    report: what was found so far. first: the outcome; u: the gradient of the result; gradients: of
    the targets; verdicts: what came of each direction.
    """

    first: Outcome
    u: np.ndarray
    gradients: dict[str, np.ndarray]

    def __init__(self, subject: Subject, seed: int, may_lack: bool, order: int) -> None:
        self.subject, self.seed, self.may_lack, self.order = subject, seed, may_lack, order
        self.rng = np.random.default_rng(seed)
        self.report = Report(subject.name)
        self.verdicts: Verdicts = {}

    def run(self) -> Report:
        """Look at the function, its backward pass, and the slopes, as long as all is well."""
        try:
            self.report.failures = self.failures()
        except sanity.OverwriteError as error:
            self.report.failures = [error.failure]
        return self.report

    def failures(self) -> list[Failure]:
        """What is wrong first."""
        subject = self.subject
        elsewhere = self.far_away()  # what is kept of the first call is not this input
        self.first = sanity.watched(subject)
        self.refuse_values(self.first.y)
        if failure := sanity.unstable(subject, self.first.y):
            return [failure]
        self.u = self.rng.standard_normal(self.first.y.shape)
        search = Search(subject, self.u, elsewhere, self.seed)
        y = subject.run()
        if not y.requires_grad:
            return self.without_graph(search)
        self.visit(elsewhere)  # nor should what it keeps of its last call
        try:
            self.gradients = subject.vjp(y, self.u)
        except Exception as error:
            return search.or_else(raised(subject, error))
        if not all(np.isfinite(gradient).all() for gradient in self.gradients.values()):
            return search.or_else(self.not_finite())
        for name, gradient in self.gradients.items():
            if self.may_lack and not gradient.any() and search.is_constant(name):
                raise NoGradientError(subject.name, subject.targets[name])
        self.compare()
        found = search.explain(self.wrong(), self.gradients)
        self.report.notes += search.notes
        return found or self.hidden(search)

    def hidden(self, search: Search) -> list[Failure]:
        """What slopes that agree do not show."""
        self.look_at_zeros()
        found = self.behind_a_sum(search) if self.first.y.size == 1 else []
        if self.kinky():
            found += self.nearby()
        elif not found and self.is_special():
            found = self.nearby("many values are 0 or 1, which hide factors")
        return (
            found
            or search.remembered(self.first.y, self.gradients)
            or search.not_linear(self.gradients)
            or self.in_float32(search)
        )

    # ----- where the function can be looked at ---------------------------------------------------

    def visit(self, values: dict[str, np.ndarray]) -> bool:
        """Run the function at other values; whether it can be computed there."""
        try:
            with self.subject.at(values), bounded(LINES):
                sanity.watched(self.subject)
            return True
        except sanity.OverwriteError:
            raise
        except (Exception, TooMuchError):
            return False

    def far_away(self) -> dict[str, np.ndarray]:
        """Visit a point, and return it: with other sizes and signs, so that masks and winners are
        others.

        A function that raises there, as it is not defined for such values, is run nearby.
        """
        nearby, draw = self.subject.nearby(self.rng, 0.1), np.random.default_rng(self.seed)
        turned = {name: x * self.rng.choice([-1.0, 1.0], x.shape) for name, x in nearby.items()}
        mixed = {
            name: draw.permutation(x.reshape(-1)).reshape(x.shape) * 2 ** draw.uniform(-1, 1)
            for name, x in turned.items()
        }
        points = (mixed, turned, nearby)
        return next(there for there in points if self.visit(there) or there is nearby)

    def refuse_values(self, y: np.ndarray) -> None:
        """Raise an error for a result that has nothing to compare."""
        if y.size == 0:
            raise EmptyCheckError(f"gradcheck: the result of {self.subject.name} has no elements")
        if not np.isfinite(y).all():
            raise ValueError(
                f"gradcheck: the result of {self.subject.name} has NaN or infinite values, in "
                f"{int((~np.isfinite(y)).sum())} of {y.size} elements; choose inputs at which it "
                "is finite"
            )

    def undefined(self, name: str, i: int | None) -> EmptyCheckError:
        """The refusal of a point without a slope; i: the element, if it is known."""
        x = self.subject.targets[name].array
        if i is not None:
            name += f"{list(map(int, np.unravel_index(i, x.shape)))} = {x.flat[i]:.6g}"
        return EmptyCheckError(
            f"gradcheck: {self.subject.name} has no finite slope at {name}: on one side the result "
            "is NaN or infinite, or its slope grows without bound. Choose inputs inside the domain."
        )

    def not_finite(self) -> Failure:
        """The failure of a gradient that is not finite where the function has finite slopes."""
        subject, y, gradients = self.subject, self.first.y, self.gradients
        name = next(name for name, g in gradients.items() if not np.isfinite(g).all())
        x, gradient = subject.targets[name].array, gradients[name]
        i = int(np.argmin(np.isfinite(gradient)))
        v = np.zeros(x.shape)
        v.flat[i] = max(1.0, abs(x.flat[i]))
        rounding = EPS * np.abs(y)
        f, nothing = subject.function_of(name), np.zeros(x.shape)
        base = Base(f, x, self.first, self.u, nothing, rounding)
        far, near = (measure(base, v, h) for h in (1e-5, 1e-7))
        if far is None or near is None or near.grows(far, 1e9 * rounding.sum()):
            raise self.undefined(name, i)
        where = list(map(int, np.unravel_index(i, x.shape)))
        text = f"at {where} it is {gradient.flat[i]}, differences give {near.numeric:.4g}"
        return Failure(subject.name, name, cause=NOT_FINITE, evidence=text)

    def without_graph(self, search: Search) -> list[Failure]:
        """No gradient can arrive: because nothing depends on the inputs, or as a path is cut."""
        names = ", ".join(self.subject.targets)
        with self.subject.at(search.elsewhere):
            if same(self.first.y, self.subject.outcome().y):
                raise EmptyCheckError(
                    f"gradcheck: the result of {self.subject.name} does not depend on {names}: no "
                    "gradient reaches them, and moving them changes nothing"
                )
        text = "the result moves with {}, but was computed without the graph: with NumPy on .data, "
        text += "or inside no_grad()"
        return [
            search.detached(name)
            or Failure(self.subject.name, name, cause=DETACHED, evidence=text.format(name))
            for name in self.subject.targets
        ]

    # ----- slopes --------------------------------------------------------------------------------

    def compare(self) -> None:
        """Compare along every direction, and add up in the report what was found."""
        report, rounding = self.report, roundings(self.first, self.y_at, self.rng)
        most = FEW if self.order > 1 else FULL_CHECK_LIMIT
        for name, x in self.subject.targets.items():
            f, vjp = self.subject.function_of(name), self.subject.gradient_of(name)
            base = Base(f, x.array, self.first, self.u, self.gradients[name], rounding, vjp)
            found = self.verdicts[name] = []
            for v in directions(x.array, self.rng, most):
                found.append(judge(base, v))
                if found[-1].kind == "wrong":
                    break  # the elements are looked at where the mistake is made
            report.checked[name] = sum(v.kind != "coarse" for v in found)
            errors = [abs(v.slope.error) / v.slope.size for v in found if v.kind == "agrees"]
            report.worst = max(report.worst, *errors, 0.0)
            if on_kink := [verdict for verdict in found if verdict.on_kink]:
                report.skipped_kinks += len(on_kink)
                ops = sorted(set().union(*(verdict.slope.crossed for verdict in on_kink)))
                what = kinks.rules(ops, self.first.branches)
                report.notes.append(
                    f"{name} sits on a kink in {len(on_kink)} of {len(found)} numbers; there the "
                    "gradient was held against the slopes from either side"
                    + (f". {what}" if what else "")
                )
        if not self.wrong():
            self.tell_precision()

    def wrong(self) -> dict[str, Verdict]:
        """By target, a direction along which its gradient is wrong, or may be."""
        bad = [(name, v) for name, found in self.verdicts.items() for v in found]
        return {name: v for name, v in bad if v.kind in ("wrong", "outside")}

    def kinky(self) -> bool:
        """Whether too many of some input's numbers lie on kinks for the comparison to mean much."""
        return any(
            sum(verdict.on_kink for verdict in found) > TOO_MANY_KINKS * len(found)
            for found in self.verdicts.values()
        )

    def y_at(self, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The result where each target is changed."""
        with self.subject.at({name: change(x.array) for name, x in self.subject.targets.items()}):
            return self.subject.outcome().y

    def tell_precision(self) -> None:
        """Say what the rounding of the function leaves to be told; refuse if that is nothing."""
        report, verdicts = self.report, self.verdicts
        kinds = {name: [v.kind for v in found] for name, found in verdicts.items()}
        for name, found in kinds.items():
            if "undefined" in found:
                by_element = len(found) >= self.subject.targets[name].array.size
                raise self.undefined(name, found.index("undefined") if by_element else None)
        if all(set(found) == {"coarse"} for found in kinds.values()):
            raise EmptyCheckError(
                f"gradcheck: {self.subject.name} rounds so coarsely, or moves so little, that "
                "differences say nothing: their rounding is larger than the slopes of "
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
                f"slopes are known to a relative {doubt:.0e}, a mistake smaller than that would "
                "not be seen"
            )

    # ----- what agreeing slopes do not show ------------------------------------------------------

    def look_at_zeros(self) -> None:
        """Refuse, or note, what could be wrong without being seen because its slope is 0."""
        known = self.verdicts.items()
        zero = [name for name, found in known if {v.kind for v in found} == {"zero"}]
        if len(zero) == len(known):  # where others move the result, it is of use to check those
            raise EmptyCheckError(
                f"gradcheck: the result of {self.subject.name} stays as it is when "
                f"{', '.join(zero)} moves, so the check would compare 0 with 0. Choose inputs at "
                "which the function does something (not all on the flat side of a ReLU, not "
                "outside a clip). Of what adds up to a constant, such as a softmax or a "
                "normalisation, return the tensor before the sum."
            )
        for name in zero:
            self.report.notes.append(
                f"at the point given, moving {name} changes nothing, and its gradient is 0; more "
                "could not be compared there"
            )

    def behind_a_sum(self, search: Search) -> list[Failure]:
        """A plain sum sends back equal numbers, which hide mistakes: give each operation others."""
        trace = record(self.subject.run, self.subject.model)
        last = [call.name for call in trace.calls if call.node is trace.output.node]
        if last not in (["sum"], ["mean"]) or len(trace.calls) < 2:
            return []
        found = search.operations()
        self.report.notes.append(
            "the result is a plain sum, which sends the same gradient to every element and hides "
            "mistakes; each operation was also checked by itself with random output gradients"
        )
        return found

    def is_special(self) -> bool:
        """Whether half of an input's numbers are 0, 1 or -1, which hide forgotten factors."""
        arrays = [x.array for x in self.subject.targets.values() if x.array.size > 1]
        return any(2 * np.isin(x, (0, 1, -1)).sum() > x.size for x in arrays)

    def nearby(self, why: str = "") -> list[Failure]:
        """Check again at a random point nearby, away from the kinks; three points are tried.

        why: for a check that need not be repeated because of kinks.
        """
        subject = self.subject
        for share in (0.01, 0.03, 0.1):
            there = _Check(subject, self.seed, may_lack=False, order=self.order)
            there.rng = self.rng
            with subject.at(subject.nearby(self.rng, share)):
                try:
                    there.first = subject.outcome()
                    there.u = self.rng.standard_normal(there.first.y.shape)
                    there.gradients = subject.gradients(there.u)
                except (ValueError, ArithmeticError):
                    continue
                values = there.first.y, *there.gradients.values()
                if not all(np.isfinite(value).all() for value in values):
                    continue
                there.compare()
                search = Search(subject, there.u, {}, 0)
                if found := search.explain(there.wrong(), there.gradients):
                    return found
            if not there.kinky():
                self.report.notes.append(
                    (why or "these are too many")
                    + ", so the check was repeated at a random point nearby, off the kinks: "
                    f"{sum(there.report.checked.values())} numbers agree there"
                )
                return []
        if why:
            return []
        raise EmptyCheckError(
            f"gradcheck: {subject.name} sits on kinks here and nearby, where it has no derivative "
            "to compare with. Choose inputs without ties, and away from the kinks."
        )

    def in_float32(self, search: Search) -> list[Failure]:
        """Hold the backward pass in float32 against the one in float64, which agreed."""
        subject, notes, runs = self.subject, self.report.notes, False
        try:
            with bounded(LINES):
                with subject.in_float32():
                    y = subject.run()
                if not np.isfinite(y.array).all():
                    raise ArithmeticError("the result is not finite")
                runs = True
                given = subject.vjp(y, self.u)
        except (Exception, TooMuchError) as error:
            if runs and isinstance(error, Exception):
                return [raised(subject, error, "in float32: ")]
            notes.append(f"not checked in float32: {type(error).__name__}: {error}")
            return []
        off = {
            name: float(np.abs(given[name] - exact).max() / np.abs(exact).max())
            for name, exact in self.gradients.items()
            if any(verdict.kind == "agrees" for verdict in self.verdicts[name])
        }
        off = {name: error for name, error in off.items() if not error <= FLOAT32}
        found = search.in_float32(list(off)) if off else []
        if off and not found:
            notes.append(
                f"in float32 the gradient of {', '.join(off)} is off by a relative "
                f"{max(off.values()):.0e}, but none of an operation by itself: it rounds, or the "
                "result is another in float32"
            )
        return found
