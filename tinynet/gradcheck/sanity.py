"""What must hold before slopes mean anything: the same input gives the same result, twice.

And what makes a check empty: a result that does not move with its input, or moves in a way that
hides every mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet import random
from tinynet.gradcheck.report import EmptyCheckError, Failure
from tinynet.gradcheck.subject import Subject
from tinynet.gradcheck.trace import Call, Trace, record

NORMALISED = {
    "softmax": "the elements of a softmax add up to 1",
    "batch_norm": "batch_norm takes the mean off, so each channel adds up to a constant",
    "layer_norm": "layer_norm takes the mean off, so each example adds up to a constant",
}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two results are equal but for rounding; NaN equals NaN."""
    if a.shape != b.shape:
        return False
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=0, atol=1e-12 * scale, equal_nan=True))


def unstable(subject: Subject, first: np.ndarray) -> Failure | None:
    """The failure if the function gives another result for the same input; None if it does not.

    first: its result at the present values.
    """
    before = {name: x.data.copy() for name, x in subject.targets.items()}
    again = subject.outcome().y
    changed = [name for name, x in subject.targets.items() if not same(before[name], x.data)]
    if changed:
        for name, value in before.items():
            subject.targets[name].data = value
        return _input_overwritten(subject, changed[0], before[changed[0]])
    if same(first, again):
        return None
    return _not_repeatable(subject)


def _input_overwritten(subject: Subject, name: str, value: np.ndarray) -> Failure:
    subject.targets[name].data = value.copy()
    trace = record(subject.run, subject.model)
    owner = subject.targets[name]
    guilty = next(
        (call for call in trace.calls if any(x is owner for x in call.tensors.values())), None
    )
    op, argument, layer = subject.name, "", ""
    if guilty is not None:
        place = next(i for i, x in guilty.tensors.items() if x is owner)
        op, argument, layer = guilty.name, guilty.names[place], layer_of(guilty)
    subject.targets[name].data = value
    return Failure(
        op,
        name,
        argument=argument,
        layer=layer,
        cause="a saved value is overwritten in place",
        evidence=f"the forward pass changes its input {name}; write `x = x + ...` in place of "
        "`x += ...`",
    )


def _not_repeatable(subject: Subject) -> Failure:
    """Which operation gives another result on each call, and whether by chance or by memory."""

    def seeded() -> np.ndarray:
        generator = random.default_rng()
        ours, numpys = generator.bit_generator.state, np.random.get_state()
        try:
            return subject.outcome().y
        finally:
            generator.bit_generator.state = ours
            np.random.set_state(numpys)

    if same(seeded(), seeded()):
        guilty = _first_difference(subject)
        return _unstable_failure(
            subject,
            guilty,
            "non-deterministic function",
            "gives another result on each call, but the same after seeding: it draws from the "
            "default generator. Pass an rng that is made anew inside the function, or check "
            "dropout in eval mode",
        )
    guilty = _first_difference(subject)
    results = [subject.outcome().y for _ in range(6)]
    if _systematic(results):
        place = np.unravel_index(np.argmax(np.abs(results[1] - results[0])), results[0].shape)
        values = ", ".join(f"{y[place]:.4g}" for y in results[:4])
        return _unstable_failure(
            subject,
            guilty,
            "state carried from call to call",
            f"calls with the same input give {values}, ... for one element: something is "
            "remembered between calls",
        )
    return _unstable_failure(
        subject,
        guilty,
        "non-deterministic function",
        "gives another result on each call, without a pattern. Make its generator anew from a "
        "seed inside the function",
    )


def _unstable_failure(subject: Subject, call: Call | None, cause: str, evidence: str) -> Failure:
    op, layer = (call.name, layer_of(call)) if call is not None else (subject.name, "")
    return Failure(op, "", layer=layer, cause=cause, evidence=f"{op} {evidence}")


def _first_difference(subject: Subject) -> Call | None:
    """The first operation that got the same arguments in two runs and gave another result."""
    one, two = record(subject.run, subject.model), record(subject.run, subject.model)
    for a, b in zip(one.calls, two.calls):
        if a.op == b.op and not same(a.y, b.y) and all(map(equal, a.args, b.args)):
            return a
    return None


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


def plain_sum(trace: Trace) -> bool:
    """Whether the result is a plain sum or mean of everything, made by the last operation."""
    last = next((call for call in trace.calls if call.node is trace.output.node), None)
    return last is not None and last.name in ("sum", "mean") and last.y.size == 1


def refuse_zero(subject: Subject, trace: Trace, zero: list[str]) -> None:
    """Raise EmptyCheckError where the slopes that were compared are 0 whatever the backward does.

    zero: the targets whose slopes are 0.
    """
    if not zero:
        return
    names = ", ".join(zero)
    sums = any(call.name in ("sum", "mean") for call in trace.calls)
    normalised = [call.name for call in trace.calls if call.name in NORMALISED]
    if sums and normalised:
        op = normalised[-1]
        raise EmptyCheckError(
            f"gradcheck: {subject.name} sums up a {op}, and {NORMALISED[op]}, whatever {names} is: "
            "the check would compare 0 with 0. Return the tensor before the sum; gradcheck weighs "
            "its elements with random numbers itself."
        )
    if len(zero) == len(subject.targets):
        raise EmptyCheckError(
            f"gradcheck: the result of {subject.name} stays as it is when {names} moves, so the "
            "check would compare 0 with 0. Choose inputs at which the function does something "
            "(not all on the flat side of a ReLU, not outside a clip)."
        )


def depends(f: Callable[[], np.ndarray], first: np.ndarray) -> bool:
    """Whether another run of f, at other values, gives something else than `first`."""
    try:
        return not same(first, f())
    except (ValueError, ArithmeticError):
        return True
