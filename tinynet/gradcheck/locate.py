"""From a wrong slope of the whole to the operation, the argument, the elements and the mistake.

The run is recorded, and each operation between the input and the result is checked by itself, on
the values that flowed through it: a random gradient of its output goes through its own backward,
and is held against differences of its own forward. What is wrong there is measured element by
element and given to the diagnosis. If every operation is right and the whole is still wrong, the
mistake lies between them: a path that the graph does not know of, a sum that was not taken.
"""

import contextlib
import inspect
import io
from collections.abc import Iterable, Iterator

import numpy as np

from tinynet.autograd import Node
from tinynet.gradcheck.causes import diagnose
from tinynet.gradcheck.causes.clues import Fault, Tried
from tinynet.gradcheck.differences import (
    FEW,
    RTOL,
    Base,
    Elements,
    Verdict,
    base_of,
    by_element,
    directions,
    equal,
    judge,
    same,
)
from tinynet.gradcheck.replay import (
    FLOAT32,
    NEARLY,
    other_sizes,
    other_values,
    overwrites,
    single_alone,
    smaller,
)
from tinynet.gradcheck.report import Failure
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import (
    DY_OVERWRITTEN,
    NO_GRADIENT,
    STATE,
    Call,
    IncidentError,
    NotRepeatableError,
    Trace,
    is_array,
    record,
    walk_back,
)
from tinynet.guard import is_foreign

DETACHED = "detached from the graph"
NOT_FINITE = "the gradient is not finite"
FLAT = (
    "{} stays as it is when {} moves a little, so 0 is right; what passes dy on by intent, as a "
    "straight-through estimator does, no difference can check"
)
LARGE = 1500  # elements of argument or result above which a smaller case is looked for
JACOBIAN = 4_000_000  # elements of a Jacobian that is not measured
SINGLE = 1e-6  # relative: how far a gradient may be off that was worked out in float32
MULTIPLES = -(2.0**10), 2.0**-30
"""Of the output gradient: exact, and far beyond what a mask, a limit or a threshold lets pass."""


class Search:
    """The search for what is wrong with one subject.

    u: the gradient of the result. elsewhere: values of the targets at which the function was run
    before, which it should have forgotten.
    """

    def __init__(
        self, subject: Subject, u: np.ndarray, elsewhere: dict[str, np.ndarray], seed: int
    ) -> None:
        self.subject, self.u, self.elsewhere = subject, u, elsewhere
        self.rng = np.random.default_rng([seed, 1])
        self.known: dict[tuple[object, int, str], tuple[str, str]] = {}  # cause, evidence
        self.trace, self.tried = Trace(), Tried()
        self.notes: list[str] = []

    # ----- ways in ------------------------------------------------------------------------------

    def operations(self, names: Iterable[str] = ()) -> list[Failure]:
        """The failures of the operations between some targets, or all, and the result, each by
        itself."""
        self._record()
        names = names or self.subject.targets
        wanted = self.trace.leading_to({id(self.subject.targets[name]) for name in names})
        calls = [c for c in self.trace.calls if c.node in wanted and c.node in self.trace.gradients]
        written = [i for i in (overwrites(call, self.rng) for call in calls) if i is not None]
        blamed = {(i.call, place) for i in written for place in i.call.vjps}
        incidents = [i for i in self.trace.incidents if (i.call, i.place) not in blamed] + written
        blamed |= {(incident.call, incident.place) for incident in incidents}
        found = [self._told(incident) for incident in incidents]
        with contextlib.redirect_stdout(io.StringIO()):  # an operation runs hundreds of times now
            for call in calls:
                for place in call.vjps:
                    if (call, place) not in blamed and (failure := self._operation(call, place)):
                        found.append(failure)
        return found

    def explain(self, wrong: dict[str, Verdict], gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failures behind slopes of targets that are wrong.

        Where several kinks meet, a slope outside the one-sided ones need not be wrong: such a
        target fails only if an operation does.
        """
        found = self.operations(wrong) if wrong else []
        for failure in found:
            failure.affected = [name for name in failure.affected if name in wrong]
        explained = {name for failure in found for name in failure.affected}
        rounded = [call for call in self.trace.calls if call.single]
        self.notes += dict.fromkeys(
            f"the backward of {call.name} returns float32 for "
            f"{', '.join(call.names[place] for place in sorted(call.single))} in float64, and "
            "was held against differences to that precision; take the dtype of dy"
            for call in rounded
        )
        for name, verdict in wrong.items():
            single = any(name in self._upstream(call, call.single) for call in rounded)
            rounds = single and abs(verdict.slope.error) <= 10 * SINGLE * verdict.slope.size
            if name not in explained and verdict.kind == "wrong" and not rounds:
                found.append(self._between(name, verdict, gradients[name]))
        return found

    def or_else(self, symptom: Failure) -> list[Failure]:
        """The failures of the operations behind something that the whole does, or this itself."""
        found = self.operations()
        for failure in found:
            failure.evidence = failure.evidence or f"{symptom.evidence} (for {symptom.input})"
        return found or [symptom]

    def not_linear(self, gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failures of a backward that gives no multiple of its gradient for a multiple of u."""
        u = self.u
        for multiple in MULTIPLES:
            given = self.subject.gradients(multiple * u)
            if not all(same(g, multiple * gradients[name], NEARLY) for name, g in given.items()):
                self.u = multiple * u
                found = self.operations()
                self.u = u
                if found:
                    return found
        return []

    def is_constant(self, name: str) -> bool:
        """Whether all gradients on the way to a target are None: no mistake is made, nothing is
        returned."""
        self._record()
        target, output = {id(self.subject.targets[name])}, self.trace.output.node
        none = {(i.call, i.place) for i in self.trace.incidents if i.cause == NO_GRADIENT}
        reached, given = (self.trace.leading_to(target, without) for without in ((), none))
        return output in reached and output not in given

    def in_float32(self, names: list[str]) -> list[Failure]:
        """The operations behind gradients of these targets that are wrong in float32 alone."""
        with self.subject.in_float32():
            self.trace = record(self.subject.run, self.subject.model)
        found = []
        for call in self.trace.calls:
            for place in call.vjps:
                concerned = set(names) & set(self._upstream(call, [place]))
                if concerned and (evidence := single_alone(call, place, self.rng)):
                    found.append(self._failure(call, place, "wrong in float32 alone", evidence))
        return found

    def remembered(self, first: np.ndarray, gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failure if the same call now gives something else than it did at the beginning."""
        try:
            y = self.subject.run()
            before, vjps = y.array.copy(), getattr(y.node, "vjps", ())
            theirs = [vjp for vjp in vjps if is_foreign(getattr(vjp, "function", vjp))]
            again = twice = self.subject.vjp(y, self.u, retain_graph=True)
            is_kept = same(before, y.array)
        except Exception as error:
            return self.or_else(raised(self.subject, error))
        with contextlib.suppress(Exception):  # a backward that frees what it keeps runs only once
            twice = self.subject.vjp(y, self.u)
        spoiled = {name for name in again if not same(twice[name], again[name], NEARLY)}
        if spoiled or not is_kept or len(theirs) > 1:  # one might write into what another gave
            self._record()
            for call in self.trace.calls:
                if incident := overwrites(call, self.rng):
                    return [self._told(incident)]
        spoiled |= {name for name in again if not same(again[name], gradients[name], NEARLY)}
        changed = [name for name in again if name in spoiled]
        if same(first, before) and not changed:
            return []
        what = f"the gradient of {', '.join(changed)}" if changed else "the result"
        text = (
            f"at the same input {what} is another after other calls of the function or its backward"
        )
        name = changed[0] if changed else ""
        return [Failure(self.subject.name, name, cause=STATE, evidence=text)]

    def detached(self, name: str) -> Failure | None:
        """The first operation that gets a value which moves with the target unknown to the graph,
        if there is one."""
        x = self.subject.targets[name]
        here = record(self.subject.run, self.subject.model)
        with self.subject.at({name: x.array * 1.001 + 1e-3}):
            there = record(self.subject.run, self.subject.model)
        owners = {id(tensor) for tensor in self.subject.targets.values()}
        for a, b in zip(here.calls, there.calls):
            if a.op != b.op:
                break
            for place, (argument, one, two) in enumerate(zip(a.names, a.args, b.args)):
                tensor = a.tensors.get(place)
                on_graph = getattr(tensor, "node", None) is not None or id(tensor) in owners
                is_known = place in a.vjps and on_graph
                if not is_known and not equal(one, two):
                    text = f"the argument {argument} of {a.name} moves with {name}, but is a "
                    text += "constant to the graph: .detach(), .data, .item(), no_grad() or NumPy "
                    failure = self._failure(a, place, DETACHED, f"{text}was used on the way")
                    failure.input = name
                    return failure
        return None

    # ----- operations ---------------------------------------------------------------------------

    def _record(self) -> None:
        self.trace = record(self.subject.run, self.subject.model)
        for call in self.trace.calls:
            call.body = self.subject.repeating(call.body)
        if self.elsewhere:  # a backward that reads what the last call left must not find this one
            with self.subject.at(self.elsewhere), contextlib.suppress(Exception):
                self.subject.outcome()
        walk_back(self.trace, self.u)

    def _told(self, incident: IncidentError) -> Failure:
        return self._failure(incident.call, incident.place, incident.cause, incident.evidence)

    def _failure(self, call: Call, place: int, cause: str = "", evidence: str = "") -> Failure:
        argument = call.names[place]
        tensor = call.tensors.get(place)
        own = next((name for name, x in self.subject.targets.items() if x is tensor), argument)
        failure = Failure(
            call.name, own, argument=argument, layer=call.layer, cause=cause, evidence=evidence
        )
        failure.affected = self._upstream(call, call.vjps if cause == DY_OVERWRITTEN else [place])
        return failure

    def _upstream(self, call: Call, places: Iterable[int]) -> list[str]:
        """The targets that flow into arguments of a call."""
        sources = [source for place, source in call.sources() if place in places]
        nodes = {source for source in sources if isinstance(source, Node)}
        return [
            name
            for name, x in self.subject.targets.items()
            if any(source is x for source in sources) or nodes & self.trace.leading_to({id(x)})
        ]

    def _operation(self, call: Call, place: int) -> Failure | None:
        """Check one argument of one call by itself."""
        if call.name == "astype":
            return None
        is_last = call.node is self.trace.output.node
        arrived = np.asarray(self.trace.gradients[call.node], np.float64)
        try:
            again = call.again()
            if place not in again.vjps:
                return None
            dys = [self.u if is_last else self.rng.standard_normal(call.y.shape)]
            given = again.backward(place, dys[0])
            if not np.isfinite(given).all():
                return self._failure(call, place, NOT_FINITE)
            for multiple in MULTIPLES:
                if not same(again.backward(place, multiple * dys[0]), multiple * given, NEARLY):
                    dys.append(multiple * dys[0])
            if np.isfinite(arrived).all():
                dys += [] if is_last else [arrived]
                here, twice = again.backward(place, arrived), again.backward(place, arrived)
                recorded = self.trace.applied.get((call, place), here)
                foreign = is_foreign(getattr(call.body, "written_as", call.body))  # ours keep none
                if foreign and same(here, twice, NEARLY) and not same(here, recorded, FLOAT32):
                    text = f"the backward of {call.name} gives another gradient once {call.name} "
                    text += "was called again with other values: keep its values in local variables"
                    return self._failure(call, place, STATE, text)
            for dy in dys:
                base = again.base(place, dy, _rtol(call, place))
                verdict = self._wrong(base)
                if verdict is not None:
                    return self._measured(again, call, place, base, verdict)
        except NotRepeatableError:
            return None
        except IncidentError as incident:
            return self._told(incident)
        return None

    def _wrong(self, base: Base) -> Verdict | None:
        """The verdict along the first direction that disagrees, plainly or beside a kink."""
        beside = None
        for v in directions(base.x, self.rng, FEW):
            verdict = judge(base, v)
            if verdict.kind == "wrong":
                return verdict
            if verdict.kind == "outside":
                beside = beside or verdict
        return beside

    def _measured(
        self, again: Call, call: Call, place: int, base: Base, verdict: Verdict
    ) -> Failure | None:
        """The failure of one argument: its elements, the worst of them, and the cause.

        None if the direction lay outside the slopes of several kinks, but no element does.
        """
        failure, note = _with_slope(self._failure(call, place), verdict), ""
        if _is_large(again, place):
            again, base, note = self._reduced(again, place, base)
        if base.x.size > LARGE or base.x.size * again.y.size > JACOBIAN:
            return None if verdict.kind == "outside" else failure
        elements = by_element(base, min(verdict.slope.step, 1e-3))
        if verdict.kind == "outside" and not elements.wrong(base.gradient, base.rtol).any():
            return None
        _fill(failure, elements, base)
        if not elements.jacobian.any():
            failure.cause = "a gradient where the result does not move"
            failure.evidence = FLAT.format(call.name, call.names[place])
            return failure
        written = getattr(call.body, "written_as", call.body)
        code = getattr(inspect.unwrap(written), "__code__", written)
        plain = [is_array(arg, "f") and np.ptp(arg) == 0 for arg in call.args]  # hides much
        key = (code, place, str(sorted(map(str, call.settings.items())) + plain))
        if key not in self.known:
            self.known[key] = diagnose(self._fault(again, place, base, elements)) or ("", "")
        failure.cause, failure.evidence = self.known[key]
        failure.evidence += note if failure.evidence else ""
        return failure

    def _reduced(
        self, again: Call, place: int, base: Base, note: str = ""
    ) -> tuple[Call, Base, str]:
        """A smaller case of the same call that is still wrong, if there is one."""
        for call in smaller(again) if _is_large(again, place) else ():
            with contextlib.suppress(NotRepeatableError, IncidentError):
                dy, less = self.rng.standard_normal(call.y.shape), call.again()
                there = less.base(place, dy, base.rtol)
                if call.y.size and self._wrong(there):
                    arrays = [(n, a) for n, a in zip(call.names, call.args) if hasattr(a, "shape")]
                    shapes = ", ".join(f"{name} {arg.shape}" for name, arg in arrays)
                    note = f" (on a smaller case of it: {shapes})"
                    return self._reduced(less, place, there, note)
        return again, base, note

    def _fault(
        self, call: Call, place: int, base: Base, elements: Elements, is_known: bool = True
    ) -> Fault:
        others = {}
        for other, x in enumerate(call.args):
            if is_array(x, "f") and other != place and x.size <= LARGE // 3:
                there = base._replace(f=call.forward(other), x=x, gradient=np.zeros(x.shape))
                others[other] = by_element(there, 1e-4).jacobian

        def of(calls: Iterable[Call]) -> Iterator[Fault]:
            for call in calls:
                with contextlib.suppress(Exception):  # whatever the function raises there
                    again, dy = call.again(), self.rng.standard_normal(call.y.shape)
                    there = again.base(place, dy, base.rtol)
                    yield self._fault(again, place, there, by_element(there, 1e-4), is_known=False)

        if place in call.single:
            largest = np.abs(elements.numeric).max()
            elements = elements._replace(noise=elements.noise + SINGLE * largest)
        return Fault(
            call,
            place,
            base.u,
            base.gradient,
            elements,
            others,
            vjp=lambda dy: call.backward(place, dy),
            elsewhere=lambda: of(other_values(call, place, self.rng) if is_known else ()),
            resized=lambda: of(other_sizes(call) if is_known else ()),
            tried=self.tried,
        )

    # ----- between the operations ---------------------------------------------------------------

    def _between(self, name: str, verdict: Verdict, gradient: np.ndarray) -> Failure:
        """Each operation is right and the whole is wrong: what is lost between them?"""
        if failure := self.detached(name):
            failure.affected = [name]
            return _with_slope(failure, verdict)
        text = "each operation that can be run again by itself is right, on the values that flowed "
        text += "through it; the mistake lies between them"
        failure = Failure(self.subject.name, name, evidence=text, affected=[name])
        x = self.subject.targets[name].array
        if x.size <= LARGE:
            base = base_of(self.subject.function_of(name), x, self.u, gradient)
            _fill(failure, by_element(base, min(verdict.slope.step, 1e-3)), base)
        return failure if failure.count else _with_slope(failure, verdict)


def raised(subject: Subject, error: Exception, where: str = "") -> Failure:
    """The failure of a backward pass that raises an error."""
    text = f"{where}{type(error).__name__}: {error}"
    return Failure(subject.name, "", cause="the backward raises an error", evidence=text)


def _is_large(call: Call, place: int) -> bool:
    """Whether a smaller case, if there is one, would tell more in less time."""
    return bool(max(call.args[place].size, call.y.size) > LARGE)


def _rtol(call: Call, place: int) -> float:
    """What is allowed of a gradient beside its noise: of one in float32 its rounding."""
    return SINGLE if place in call.single else RTOL


def _with_slope(failure: Failure, verdict: Verdict) -> Failure:
    failure.analytic, failure.numeric = verdict.slope.analytic, verdict.slope.numeric
    return failure


def _fill(failure: Failure, elements: Elements, base: Base) -> None:
    """Write into a failure which elements are wrong, and the numbers of the worst."""
    analytic, numeric = base.gradient, elements.numeric
    wrong = elements.wrong(analytic, base.rtol)
    difference = np.abs(analytic - numeric)
    if not wrong.any():  # ties: each element is possible by itself, all together are not
        wrong = difference > 10 * elements.noise + 1e-6 * np.abs(analytic)
    if not wrong.any():
        return
    place = np.unravel_index(int(np.argmax(np.where(wrong, difference, -1))), analytic.shape)
    failure.index = index = tuple(int(i) for i in place)
    failure.analytic, failure.numeric = float(analytic[index]), float(numeric[index])
    failure.count, failure.total = int(wrong.sum()), wrong.size
