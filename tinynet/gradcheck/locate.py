"""From a wrong slope of the whole to the operation, the argument, the elements and the mistake.

The run is recorded, and each operation between the input and the result is checked by itself, on
the values that flowed through it: a random gradient of its output goes through its own backward,
and is held against differences of its own forward. What is wrong there is measured element by
element and given to the diagnosis. If every operation is right and the whole is still wrong, the
mistake lies between them: a value overwritten in place, a path that the graph does not know of, a
sum that was not taken.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterable

import numpy as np

from tinynet.autograd import Node
from tinynet.gradcheck.again import overwrites
from tinynet.gradcheck.causes import diagnose, is_weak
from tinynet.gradcheck.differences import (
    Base,
    Elements,
    Limits,
    Slope,
    Verdict,
    base_of,
    by_element,
    directions,
    judge,
    same,
)
from tinynet.gradcheck.fault import Fault
from tinynet.gradcheck.replay import LARGE, NotRepeatableError, Replay, single_alone, smaller
from tinynet.gradcheck.report import Failure
from tinynet.gradcheck.sanity import equal, layer_of
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import (
    DY_OVERWRITTEN,
    Call,
    IncidentError,
    Trace,
    Walk,
    record,
    walk_back,
)

STATE = "state carried from call to call"
OF_THE_LAST_CALL = (
    "the gradient is another after the operation was called again with other values: the backward "
    "must keep its values in local variables"
)
OF_THE_FIRST_CALL = (
    "the gradient is that of the first call's values, whatever the values are: something is "
    "remembered that each call has to compute anew"
)
NEARLY = 1e-9  # relative: how far a gradient may be off when it is worked out again
SINGLE = 1e-6  # relative: how far a gradient may be off that was worked out in float32
MULTIPLE = -1024.0  # of the output gradient: exact, and far beyond what a mask or limit lets pass


class Search:
    """The search for what is wrong with one subject.

    u: the gradient of the result. elsewhere: values of the targets at which the function was run
    before, which it should have forgotten.
    """

    def __init__(
        self,
        subject: Subject,
        u: np.ndarray,
        limits: Limits,
        elsewhere: dict[str, np.ndarray],
        seed: int,
    ) -> None:
        self.subject, self.u, self.limits, self.elsewhere = subject, u, limits, elsewhere
        self.rng = np.random.default_rng([seed, 1])
        self.known: dict[tuple[object, int, str], tuple[str, str]] = {}  # cause, evidence
        self.producers: dict[Node, Call] = {}  # of the recorded run
        self.notes: list[str] = []

    # ----- ways in ------------------------------------------------------------------------------

    def explain(self, wrong: dict[str, Verdict], gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failures behind slopes of targets that are wrong.

        Where several kinks meet, a slope outside the one-sided ones need not be wrong: such a
        target fails only if an operation does.
        """
        trace, walk = self._record()
        wanted = trace.leading_to({id(self.subject.targets[name]) for name in wrong})
        overwrites = self._overwrites([call for call in trace.calls if call.node in wanted])
        whole = {incident.call for incident in overwrites}
        walk.incidents = [i for i in walk.incidents if i.call not in whole] + overwrites
        found = self._incidents(walk)
        blamed = {(incident.call, incident.place) for incident in walk.incidents}
        blamed |= {(call, place) for call in whole for place in call.vjps}
        for call in trace.calls:
            if call.node in wanted and call.node in walk.gradients:
                for place in call.vjps:
                    if (call, place) not in blamed:
                        failure = self._operation(trace, call, place, walk)
                        if failure is not None:
                            found.append((call, place, failure))
        return self._assigned(trace, walk, found, wrong, gradients)

    def raised(self, error: Exception) -> list[Failure]:
        """The failures behind an error of the backward pass."""
        walk = self._record()[1]
        found = self._incidents(walk)
        for call, place, failure in found:
            failure.affected = self._spoilt(call, place, failure)
        if found:
            return [failure for _, _, failure in found]
        return [
            Failure(
                self.subject.name,
                "",
                cause="the backward raises an error",
                evidence=f"{type(error).__name__}: {error}",
            )
        ]

    def not_finite(self, name: str, evidence: str) -> Failure:
        """The failure of a target's gradient that is not finite, with the operation it begins at.

        evidence: what it is there, and what it should be.
        """
        walk = self._record()[1]
        cause = "the gradient is not finite"
        for (call, place), dx in walk.applied.items():
            dy = walk.gradients[call.node]
            begins = np.isfinite(dy).all() and not np.isfinite(dx).all()
            if begins and name in self._upstream(call, [place]):
                failure = self._failure(call, place, cause, f"{evidence} (for {name})")
                failure.affected = [name]
                return failure
        return Failure(self.subject.name, name, cause=cause, evidence=evidence)

    def not_linear(self, gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failures of a backward that gives no multiple of its gradient for a multiple of u."""
        u, self.u = self.u, MULTIPLE * self.u
        try:
            multiples = self.subject.gradients(self.u)[1]
            if all(same(dx, MULTIPLE * gradients[name], NEARLY) for name, dx in multiples.items()):
                return []
            return self.operations(record(self.subject.run, self.subject.model), MULTIPLE)
        finally:
            self.u = u

    def in_float32(self, names: list[str]) -> list[Failure]:
        """The operations behind gradients of these targets that are wrong in float32 alone."""
        with self.subject.in_float32():
            trace = record(self.subject.run, self.subject.model)
        self.producers = trace.by_node()
        found = []
        for call in trace.calls:
            for place in call.vjps:
                affected = [name for name in self._upstream(call, [place]) if name in names]
                evidence = affected and single_alone(call, place, self.rng)
                if evidence:
                    failure = self._failure(call, place, "wrong in float32 alone", evidence)
                    failure.affected = affected
                    found.append(failure)
        return found

    def operations(self, trace: Trace, multiple: float = 1.0) -> list[Failure]:
        """Check every operation of a run by itself, with multiples of random output gradients."""
        self.producers = trace.by_node()
        walk = walk_back(trace, self.u)
        wanted = trace.leading_to({id(x) for x in self.subject.targets.values()})
        found = []
        for call in trace.calls:
            for place in call.vjps if call.node in wanted else ():
                failure = self._operation(trace, call, place, walk, multiple)
                if failure is not None:
                    failure.affected = self._upstream(call, [place])
                    found.append(failure)
        return found

    def remembered(self, first: np.ndarray, gradients: dict[str, np.ndarray]) -> list[Failure]:
        """The failure if the same call now gives something else than it did at the beginning."""
        try:
            y = self.subject.run()
            before = y.array.copy()
            again = self.subject.vjp(y, self.u, retain_graph=True)
            is_kept = same(before, y.array)
        except Exception as error:
            return self.raised(error)
        twice = again
        with contextlib.suppress(Exception):  # a backward that frees what it keeps runs only once
            twice = self.subject.vjp(y, self.u)
        spoiled = [name for name in again if not same(twice[name], again[name], NEARLY)]
        if spoiled or not is_kept:
            for incident in self._overwrites(self._record()[0].calls):
                failure = self._told(incident)
                failure.affected = self._spoilt(incident.call, incident.place, failure)
                return [failure]
        changed = [name for name in again if not same(again[name], gradients[name], NEARLY)]
        if same(first, before) and not changed + spoiled:
            return []
        what = f"the gradient of {', '.join(changed)}" if changed else "the result"
        when = "after calls with other inputs"
        if spoiled and not changed:
            what, when = f"the gradient of {', '.join(spoiled)}", "taken twice on one graph"
        return [
            Failure(
                self.subject.name,
                changed[0] if changed else "",
                cause=STATE,
                evidence=f"{when}, {what} at the same input is another",
            )
        ]

    # ----- operations ---------------------------------------------------------------------------

    def _record(self) -> tuple[Trace, Walk]:
        trace = record(self.subject.run, self.subject.model)
        self.producers = trace.by_node()
        if self.elsewhere:  # a backward that reads what the last call left must not find this one
            with self.subject.at(self.elsewhere), contextlib.suppress(Exception):
                self.subject.outcome()
        return trace, walk_back(trace, self.u)

    def _incidents(self, walk: Walk) -> list[tuple[Call, int, Failure]]:
        return [(i.call, i.place, self._told(i)) for i in walk.incidents]

    def _overwrites(self, calls: Iterable[Call]) -> list[IncidentError]:
        """What the backward passes of these calls overwrite of what they need."""
        found = (overwrites(call, self.rng) for call in calls if call.vjps)
        return [incident for incident in found if incident is not None]

    def _told(self, incident: IncidentError) -> Failure:
        call, place = incident.call, incident.place
        return self._failure(call, place, cause=incident.cause, evidence=incident.evidence)

    def _failure(self, call: Call, place: int, cause: str = "", evidence: str = "") -> Failure:
        argument = call.names[place] if place < len(call.names) else f"input {place}"
        return Failure(
            call.name,
            self._target(call, place) or argument,
            argument=argument,
            layer=layer_of(call),
            cause=cause,
            evidence=evidence,
        )

    def _target(self, call: Call, place: int) -> str:
        """The name of the target that is this argument; "" for a value in between."""
        tensor = call.tensors.get(place)
        return next((name for name, x in self.subject.targets.items() if x is tensor), "")

    def _operation(
        self, trace: Trace, call: Call, place: int, walk: Walk, multiple: float = 1.0
    ) -> Failure | None:
        """Check one argument of one call by itself."""
        if call.name == "astype":
            return None
        is_last = call.node is trace.output.node
        try:
            replay = Replay(call)
            if place not in replay.call.vjps:
                return None
            dys = [self.u if is_last else multiple * self.rng.standard_normal(call.y.shape)]
            if not is_last and call.node in walk.gradients:
                dys.append(np.asarray(walk.gradients[call.node], np.float64))
            for dy in dys:
                base = replay.base(place, dy)
                verdict = self._wrong(base, self._limits(call, place))
                if verdict is not None:
                    return self._measured(replay, call, place, base, verdict, is_last)
        except NotRepeatableError:
            return None
        except IncidentError as incident:
            return self._told(incident)
        return None

    def _limits(self, call: Call, place: int) -> Limits:
        """What is allowed of a gradient: of one in float32 its rounding, with a note."""
        if place not in call.single:
            return self.limits
        note = f"the backward of {call.name} returns float32 for {call.names[place]} in float64, "
        note += "and was held against differences to that precision; take the dtype of dy"
        if note not in self.notes:
            self.notes.append(note)
        return self.limits._replace(rtol=max(self.limits.rtol, SINGLE))

    def _wrong(self, base: Base, limits: Limits) -> Verdict | None:
        """The verdict along the first direction that disagrees, plainly or beside a kink."""
        beside = None
        for v in directions(base.x, "directions" if base.x.size > 4 else "elements", self.rng):
            verdict = judge(base, v, limits)
            if verdict.kind == "wrong":
                return verdict
            if verdict.kind == "outside":
                beside = beside or verdict
        return beside

    def _measured(
        self, replay: Replay, call: Call, place: int, base: Base, verdict: Verdict, is_last: bool
    ) -> Failure | None:
        """The failure of one argument: its elements, the worst of them, and the cause.

        None if the direction lay outside the slopes of several kinks, but no element does.
        """
        limits = self._limits(call, place)
        failure = self._failure(call, place)
        failure.sweep = verdict.sweep
        failure.analytic, failure.numeric = verdict.slope.analytic, verdict.slope.numeric
        if self._of_the_last_call(replay, place, base):
            failure.cause, failure.evidence = STATE, OF_THE_LAST_CALL
        key = (
            getattr(inspect.unwrap(call.body), "__code__", call.body),
            place,
            str(sorted(map(str, call.settings.items()))),
        )
        note = ""
        if replay.is_large(place):
            replay, base, note = self._reduced(replay, place, base)
        if replay.is_large(place):
            if verdict.kind == "outside":
                return None
            failure.evidence = failure.evidence or failure.persistence()
            return failure
        elements = replay.elements(place, base, min(verdict.slope.step, 1e-3))
        if verdict.kind == "outside" and not elements.wrong(base.gradient, limits).any():
            return None
        index = _fill(failure, elements, base.gradient, limits)
        if not is_last and failure.input in self.subject.targets:
            self._as_seen_from_outside(failure, index)
        if not failure.cause and key not in self.known:
            if replay.has_plenty(place):  # the looks have more to compare in a smaller case
                replay, base, smaller_case = self._reduced(replay, place, base)
                note = smaller_case or note
                elements = replay.elements(place, base, min(verdict.slope.step, 1e-3))
            fault = self._fault(replay, place, base, elements)
            self.known[key] = diagnose(fault) or ("", "")
        if not failure.cause:
            failure.cause, failure.evidence = self.known[key]
        if is_weak(failure.cause) and self._of_the_first_call(replay, place, base):
            failure.cause, failure.evidence = STATE, OF_THE_FIRST_CALL
        if note and failure.evidence:
            failure.evidence += note
        return failure

    def _reduced(self, replay: Replay, place: int, base: Base) -> tuple[Replay, Base, str]:
        """A smaller case of the same call that is still wrong, if there is one."""
        best, best_base, note = replay, base, ""
        progress = True
        while progress and best.has_plenty(place):
            progress = False
            for call in smaller(best.call):
                try:
                    replay = Replay(call)
                    base = replay.base(place, self.rng.standard_normal(call.y.shape))
                except (NotRepeatableError, IncidentError):
                    continue
                if call.y.size and self._wrong(base, self._limits(call, place)):
                    best, best_base, progress = replay, base, True
                    shapes = ", ".join(
                        f"{name} {arg.shape}"
                        for name, arg in zip(call.names, call.args)
                        if isinstance(arg, np.ndarray)
                    )
                    note = f" (on a smaller case of it: {shapes})"
                    break
        return best, best_base, note

    def _fault(self, replay: Replay, place: int, base: Base, elements: Elements) -> Fault:
        call, single = replay.call, place in replay.call.single
        others = {}
        for other, x in enumerate(call.args):
            is_float = isinstance(x, np.ndarray) and x.dtype.kind == "f"
            if is_float and other != place and x.size <= LARGE // 3:
                there = base._replace(f=replay.forward(other), x=x, gradient=np.zeros(x.shape))
                others[other] = by_element(there, 1e-4).jacobian

        def elsewhere() -> Fault:
            x = self.rng.permutation(base.x.reshape(-1)).reshape(base.x.shape)
            moved = replay.moved(place, x)
            there = moved.base(place, base.u)
            return self._fault(moved, place, there, moved.elements(place, there, 1e-4))

        return Fault(
            op=call.name,
            forward=call.body,
            args=call.args,
            settings=call.settings,
            names=call.names,
            place=place,
            dy=base.u,
            y=call.y,
            analytic=base.gradient,
            numeric=elements.numeric,
            noise=elements.noise + (SINGLE * np.abs(elements.numeric).max() if single else 0),
            jacobian=elements.jacobian,
            others=others,
            vjp=lambda dy: replay.backward(place, dy),
            elsewhere=elsewhere,
        )

    def _of_the_last_call(self, replay: Replay, place: int, base: Base) -> bool:
        """Whether the backward depends on other calls of the operation than its own."""
        call = replay.call
        if not same(replay.backward(place, base.u), base.gradient, NEARLY):
            return False  # it is another each time, whatever was called
        for factor in (-1.1, 1.1):  # with its signs turned, if the operation is defined there
            try:
                replay.forward(place)(factor * call.args[place] + 0.01)
                after = replay.backward(place, base.u)
            except Exception:  # whatever a function raises for values that it was not made for
                continue
            if not same(after, base.gradient, NEARLY):
                return True
        return False

    def _of_the_first_call(self, replay: Replay, place: int, base: Base) -> bool:
        """Whether the gradient is that of the first call's values, whatever the values are."""
        there = self._first_seen(replay.call, place)
        if there is None or there.shape != base.x.shape or same(there, base.x):
            return False
        f, v = replay.forward(place), self.rng.standard_normal(base.x.shape)
        gradient = base.gradient
        for _ in range(2):  # of these values and of others in another order
            if judge(base_of(f, there, base.u, gradient), v, Limits()).kind != "agrees":
                return False
            shuffled = self.rng.permutation(base.x.reshape(-1)).reshape(base.x.shape)
            gradient = replay.moved(place, shuffled).backward(place, base.u)
        return True

    def _first_seen(self, call: Call, place: int) -> np.ndarray | None:
        """What this argument was when the function ran for the first time, elsewhere."""
        if not self.elsewhere:
            return None
        with self.subject.at(self.elsewhere):
            try:
                trace = record(self.subject.run, self.subject.model)
            except (ValueError, ArithmeticError):
                return None
        twin = next((c for c in trace.calls if c.op == call.op and c.layer == call.layer), None)
        return None if twin is None else np.asarray(twin.args[place], np.float64)

    def _as_seen_from_outside(self, failure: Failure, index: tuple[int, ...]) -> None:
        """Give the element's numbers as the caller sees them: in `.grad`, for the whole."""
        x = self.subject.targets[failure.input]
        if len(index) != x.ndim:
            return
        v = np.zeros(x.shape)
        v[index] = 1.0
        f = self.subject.function_of(failure.input)
        gradient = self.subject.gradients(self.u)[1][failure.input]
        verdict = judge(base_of(f, x.array, self.u, gradient), v, self.limits)
        if verdict.kind == "wrong":
            failure.analytic, failure.numeric = verdict.slope.analytic, verdict.slope.numeric

    # ----- between the operations ---------------------------------------------------------------

    def _assigned(
        self,
        trace: Trace,
        walk: Walk,
        found: list[tuple[Call, int, Failure]],
        wrong: dict[str, Verdict],
        gradients: dict[str, np.ndarray],
    ) -> list[Failure]:
        """Say which targets each failure spoils, and explain those that none does."""
        explained: set[str] = set()
        for call, place, failure in found:
            spoilt = self._spoilt(call, place, failure)
            failure.affected = [name for name in spoilt if name in wrong]
            explained.update(failure.affected)
        failures = [failure for _, _, failure in found]
        for name in wrong:
            if name not in explained and not self._is_rounding(trace, name, wrong[name]):
                failures.append(self._between(trace, walk, name, wrong[name], gradients[name]))
        return failures

    def _is_rounding(self, trace: Trace, name: str, verdict: Verdict) -> bool:
        """Whether a slope is not wrong, or wrong by no more than a gradient in float32 rounds."""
        single = [c for c in trace.calls if c.single and name in self._upstream(c, c.single)]
        rounds = single and abs(verdict.slope.error) <= 10 * SINGLE * verdict.slope.size
        return verdict.kind != "wrong" or bool(rounds)

    def _spoilt(self, call: Call, place: int, failure: Failure) -> list[str]:
        return self._upstream(call, call.vjps if failure.cause == DY_OVERWRITTEN else [place])

    def _upstream(self, call: Call, places: Iterable[int]) -> list[str]:
        """The targets that flow into arguments of a call."""
        names = {id(x): name for name, x in self.subject.targets.items()}
        reached: set[int] = set()
        pending = [source for place, source in call.sources() if place in places]
        while pending:
            item = pending.pop()
            if id(item) in reached:
                continue
            reached.add(id(item))
            if isinstance(item, Node) and item in self.producers:
                pending.extend(source for _, source in self.producers[item].sources())
        return [name for key, name in names.items() if key in reached]

    def _between(
        self, trace: Trace, walk: Walk, name: str, verdict: Verdict, gradient: np.ndarray
    ) -> Failure:
        """Each operation is right and the whole is wrong: what is lost between them?"""
        stale = self._stale(trace, walk)
        if stale is not None:
            return _with_slope(stale, verdict, name)
        detached = self.detached(name)
        if detached.cause:
            return _with_slope(detached, verdict, name)
        opaque = [call for call in trace.calls if self._is_opaque(call)]
        if opaque:
            names = ", ".join(dict.fromkeys(call.name for call in opaque))
            call = opaque[0]
            return _with_slope(
                Failure(
                    call.name,
                    name,
                    layer=layer_of(call),
                    evidence=f"the other operations are right; {names} could not be run again by "
                    "itself",
                ),
                verdict,
            )
        return self._whole(name, verdict, gradient)

    def _stale(self, trace: Trace, walk: Walk) -> Failure | None:
        """An operation whose recorded backward is not the one that its values give."""
        for call in trace.calls:
            dy = walk.gradients.get(call.node)
            for place in call.vjps if dy is not None else ():
                try:
                    fresh = Replay(call).backward(place, np.asarray(dy, np.float64))
                except (NotRepeatableError, IncidentError):
                    continue
                if not same(fresh, walk.applied.get((call, place), fresh), NEARLY):
                    return self._failure(
                        call,
                        place,
                        STATE,
                        f"the backward of {call.name} gives another gradient once {call.name} was "
                        "called again with other values: keep its values in local variables",
                    )
        return None

    def _is_opaque(self, call: Call) -> bool:
        if not call.vjps:
            return False
        try:
            Replay(call)
        except NotRepeatableError:
            return True
        except IncidentError:
            return False
        return False

    def _whole(self, name: str, verdict: Verdict, gradient: np.ndarray) -> Failure:
        """The failure of the function as a whole, with its elements if they are not too many."""
        failure = _with_slope(Failure(self.subject.name, name), verdict)
        x = self.subject.targets[name].array
        if x.size <= LARGE:
            f = self.subject.function_of(name)
            base = base_of(f, x, self.u, gradient)
            elements = by_element(base, min(verdict.slope.step, 1e-3))
            _fill(failure, elements, gradient, self.limits)
        failure.evidence = (
            "each operation is right by itself, on the values that flowed through it; the mistake "
            "lies between them"
        )
        return failure

    def detached(self, name: str) -> Failure:
        """The first operation that gets a value which moves with the target unknown to the graph.

        Its cause is empty if there is none.
        """
        x = self.subject.targets[name]
        moved = x.array * 1.001 + 1e-3
        here = record(self.subject.run, self.subject.model)
        with self.subject.at({name: moved}):
            there = record(self.subject.run, self.subject.model)
        owners = {id(tensor) for tensor in self.subject.targets.values()}
        for a, b in zip(here.calls, there.calls):
            if a.op != b.op:
                break
            for place, (one, two) in enumerate(zip(a.args, b.args)):
                known = place in a.vjps and (
                    a.tensors[place].node is not None or id(a.tensors[place]) in owners
                )
                if not known and place < len(a.names) and not equal(one, two):
                    return Failure(
                        a.name,
                        name,
                        argument=a.names[place],
                        layer=layer_of(a),
                        cause="detached from the graph",
                        evidence=f"the argument {a.names[place]} of {a.name} moves with {name}, "
                        "but is a constant to the graph: .detach(), .data, .item() or NumPy was "
                        "used on the way",
                    )
        return Failure(self.subject.name, name)


def _with_slope(failure: Failure, verdict: Verdict, name: str = "") -> Failure:
    slope: Slope = verdict.slope
    failure.analytic, failure.numeric, failure.sweep = slope.analytic, slope.numeric, verdict.sweep
    failure.worst = failure.relative_error
    failure.affected = [name or failure.input]
    return failure


def _fill(
    failure: Failure, elements: Elements, analytic: np.ndarray, limits: Limits
) -> tuple[int, ...]:
    """Write into a failure which elements are wrong; returns the index of the worst."""
    wrong = elements.wrong(analytic, limits)
    difference = np.abs(analytic - elements.numeric)
    if not wrong.any():  # ties: each element is possible by itself, all together are not
        wrong = difference > 10 * elements.noise + 1e-6 * np.abs(analytic)
    if not wrong.any():
        return ()
    place = np.unravel_index(int(np.argmax(np.where(wrong, difference, -1))), analytic.shape)
    index = tuple(int(i) for i in place)
    size = np.maximum(np.abs(analytic), np.abs(elements.numeric))
    failure.index = index
    failure.analytic, failure.numeric = float(analytic[index]), float(elements.numeric[index])
    failure.count, failure.total = int(wrong.sum()), wrong.size
    failure.worst = float((difference[wrong] / size[wrong]).max())
    return index
