"""What must hold before slopes mean anything: the same input gives the same result, twice."""

import itertools
import re

import numpy as np

from tinynet.autograd import registry
from tinynet.gradcheck.differences import Outcome, equal, same
from tinynet.gradcheck.report import Failure
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import OVERWRITTEN, STATE, parameter_names, plain, record


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
            op, layer = a.name, a.layer
            break
    results += [subject.outcome().y for _ in range(5)]
    if _systematic(results[1:]):
        place = np.unravel_index(np.argmax(np.abs(results[1] - first)), first.shape)
        values = ", ".join(f"{y[place]:.12g}" for y in results[:4])
        text = f"{op} calls with the same input give {values}, ... for one element: something is "
        return Failure(op, "", layer=layer, cause=STATE, evidence=f"{text}remembered between calls")
    text = f"{op} gives another result on each call, without a pattern. Make its generator anew "
    text += "from a seed inside the function"
    return Failure(op, "", layer=layer, cause="non-deterministic function", evidence=text)


def _systematic(results: list[np.ndarray]) -> bool:
    """Whether a sequence of results has a pattern: it settles, comes round again, or drifts."""
    if not np.isfinite(results[-1]).all() or any(same(results[-1], y) for y in results[:-1]):
        return True
    steps = [(b - a).reshape(-1) for a, b in itertools.pairwise(results)]
    return all(
        a @ b > 0.3 * np.linalg.norm(a) * np.linalg.norm(b) for a, b in itertools.pairwise(steps)
    )
