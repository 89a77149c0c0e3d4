"""What must hold before slopes mean anything: the same input gives the same result, twice.

And what makes a check empty: a result that does not move with its input, or moves in a way that
hides every mistake.
"""

import itertools
import re
from typing import Any

import numpy as np

from tinynet.autograd import registry
from tinynet.gradcheck.differences import Outcome, same
from tinynet.gradcheck.report import EmptyCheckError, Failure
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import OVERWRITTEN, STATE, Call, Trace, parameter_names, plain, record


class OverwriteError(Exception):
    """The function writes into something that it was given; `failure` says where."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.evidence)
        self.failure = failure


def watched(subject: Subject) -> Outcome:
    """Run the function; OverwriteError if it writes into anything that it was given."""
    before = {name: plain(x).copy() for name, x in subject.handed.items()}
    try:
        outcome = subject.outcome()
    except (ValueError, RuntimeError) as error:
        if failure := _refused_write(str(error)):
            raise OverwriteError(failure) from error
        raise
    changed = [n for n, x in subject.handed.items() if not equal(before[n], plain(x))]
    if not changed:
        return outcome
    for name, x in subject.handed.items():
        plain(x)[...] = before[name]
    text = f"the function changes its input {changed[0]}; write `x = x + ...` in place of "
    failure = Failure(subject.name, changed[0], cause=OVERWRITTEN, evidence=f"{text}`x += ...`")
    raise OverwriteError(failure)


def _refused_write(text: str) -> Failure | None:
    """The failure for a write that the engine refused: its text names operation and argument."""
    op, *words = re.findall(r"\w+", text) or [""]
    body = next((o.forward for q, o in registry.items() if q.rpartition(".")[2] == op), None)  # type: ignore[attr-defined]
    if body is None or "read-only" not in text:
        return None
    argument = next((name for name in parameter_names(body, 99) if name in words), "")
    return Failure(op, argument, cause=OVERWRITTEN, evidence=text)


def unstable(subject: Subject, first: np.ndarray) -> Failure | None:
    """The failure if the function gives another result for the same input; None if it does not.

    first: its result at the present values. The operation that got the same arguments in two runs
    and gave another result is named.
    """
    results = [first, subject.outcome().y]
    if same(first, results[1]):
        return None
    one, two = (record(subject.run, subject.model).calls for _ in range(2))
    op, layer = subject.name, ""
    for a, b in zip(one, two):
        if a.op == b.op and not same(a.y, b.y) and all(map(equal, a.args, b.args)):
            op, layer = a.name, layer_of(a)
            break
    results += [subject.outcome().y for _ in range(5)]
    if _systematic(results[1:]):
        place = np.unravel_index(np.argmax(np.abs(results[1] - first)), first.shape)
        short, full = ([f"{y[place]:{form}}" for y in results[:4]] for form in (".4g", ".17g"))
        values = ", ".join(short if len({*short}) > 1 else full)
        text = f"calls with the same input give {values}, ... for one element: something is "
        text += "remembered between calls"
        return Failure(op, "", layer=layer, cause=STATE, evidence=f"{op} {text}")
    text = f"{op} gives another result on each call, without a pattern. Make its generator anew "
    text += "from a seed inside the function"
    return Failure(op, "", layer=layer, cause="non-deterministic function", evidence=text)


def equal(a: Any, b: Any) -> bool:
    """Whether two arguments have the same value."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
    return isinstance(a, np.random.Generator) or bool(a == b)


def _systematic(results: list[np.ndarray]) -> bool:
    """Whether a sequence of results has a pattern: it settles, comes round again, or drifts."""
    if not np.isfinite(results[-1]).all() or any(same(results[-1], y) for y in results[:-1]):
        return True
    steps = [(b - a).reshape(-1) for a, b in itertools.pairwise(results)]
    return all(
        a @ b > 0.3 * np.linalg.norm(a) * np.linalg.norm(b) for a, b in itertools.pairwise(steps)
    )


def layer_of(call: Call) -> str:
    """The layer in which a call was made, such as "features.0 (Conv2d)"."""
    path, kind = call.layer
    return f"{path} ({kind})" if path else kind


# ----- empty checks -------------------------------------------------------------------------------


def last_sum(trace: Trace) -> Call | None:
    """The last operation, if it is a plain sum or mean."""
    last = next((call for call in trace.calls if call.node is trace.output.node), None)
    return last if last is not None and last.name in ("sum", "mean") else None


def refuse_zero(subject: Subject, zero: list[str]) -> None:
    """Raise EmptyCheckError where the slopes that were compared are 0 whatever the backward does.

    zero: the targets whose slopes are 0. Where other targets move the result, it is of use to check
    those.
    """
    if len(zero) < len(subject.targets):
        return
    names, trace = ", ".join(zero), record(subject.run, subject.model)
    if last := last_sum(trace):
        with subject.at({name: subject.targets[name].array * 1.01 + 1e-2 for name in zero}):
            there = record(subject.run, subject.model).calls
        moved = [not same(last.args[0], call.args[0]) for call in there if call.name == last.name]
        node = last.tensors[0].node
        summed = next((call for call in trace.calls if node and call.node is node), None)
        if summed is not None and moved and moved[-1]:
            raise EmptyCheckError(
                f"gradcheck: {subject.name} sums up a {summed.name}, whose elements move with "
                f"{names}, but add up to the same: the check would compare 0 with 0. Return the "
                "tensor before the sum; gradcheck weighs its elements with random numbers itself."
            )
    raise EmptyCheckError(
        f"gradcheck: the result of {subject.name} stays as it is when {names} moves, so the check "
        "would compare 0 with 0. Choose inputs at which the function does something (not all on "
        "the flat side of a ReLU, not outside a clip)."
    )
