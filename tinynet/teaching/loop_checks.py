"""What the doctor looks for in the loop: the optimizer's parameters, and the training step."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet import autograd, nn
from tinynet.nn import functional as F
from tinynet.nn.parameter import Parameter
from tinynet.optim import Optimizer
from tinynet.teaching.case import (
    BATCH_NORMS,
    TAKES_SCORES,
    Batch,
    Case,
    NoLossError,
    Trial,
    replaced,
    tensors,
    tensors_of,
)  # fmt: skip
from tinynet.teaching.catalogue import finding
from tinynet.teaching.experiment import LEARNED, train, trying
from tinynet.teaching.reached import params_of
from tinynet.teaching.report import ERROR, WARNING, Finding, listed
from tinynet.tensor import Tensor

ADDED_UP = 64
"""So many batches may have their gradients added up before a step."""


def check_frozen(case: Case) -> Iterator[Finding]:
    """Parameters that do not ask for a gradient: all of them is a mistake, some may be meant."""
    every = case.parameters
    frozen = [name for name, p in every.items() if not p.requires_grad]
    count = f"{len(frozen)} of {len(every)} parameters"
    seen = f"{count} do not require a gradient and will stay as they are: {listed(frozen)}"
    if len(frozen) == len(every):
        yield finding("nothing-to-train", seen=seen if every else "the model has no parameters")
    elif frozen:
        case.notes.append(f"{seen}. If that is not meant: model.requires_grad_()")


def check_optimizer(case: Case) -> Iterator[Finding]:
    """An optimizer that misses parameters, or that moves those of another model."""
    if case.optimizer is None:
        return
    params = params_of(case.optimizer)
    chosen, own = {id(p) for p in params}, {id(p) for p in case.parameters.values()}
    used = {id(p) for m in case.reached if isinstance(m, nn.Module) for p in m.parameters()}
    other = {f"{k}": p for k, p in enumerate(params) if id(p) not in own | used}
    missing = [name for name, p in case.wanted.items() if id(p) not in chosen]
    if case.step is not None and (missing or other):  # it may move them by other ways
        moving = moved_by_step(case, other)
        missing = [name for name in missing if name not in moving]
        other = {name: p for name, p in other.items() if name not in moving}
    if missing or other:
        counts = {"missing": len(missing), "own": len(own), "foreign": len(other)}
        severity, names = (ERROR, f": {listed(missing)}") if missing else (WARNING, "")
        yield finding("optimizer-and-model-differ", severity, names=names, **counts)


def moved_by_step(case: Case, other: dict[str, Any] | None = None) -> set[str]:
    """The names of the parameters, of the model and others, that the user's step changes."""
    every = {**case.parameters, **(other or {})}
    with contextlib.suppress(Exception):  # which `check_step` tells
        moved = _after(case, *case.usable[0], every) != _flat(every)
        return {name for name, part in _parts(every, moved) if part.any()}
    return set()


@dataclass
class _Seen:
    """What two runs of the user's step did, on copies; more until the optimizer steps, as gradients
    may be added up before.

    change: what the first run added to the parameters. others: of each other optimizer that
    stepped, whether it ever had a gradient. fresh: the gradients of the batch alone,
    before each run. at_step: those whenever the optimizer stepped; without one those that a run
    left. left: whether the first run left gradients. wiped: whether zero_grad() took some away
    before the first step. asleep: whether the model was in evaluation mode at a step. runs: how
    often the step was run. anew: the class of an optimizer that each of them makes. error: what a
    run raised. made, losses, trial: what the model gave in the first run, what that went back from,
    and all its operations.
    """

    change: np.ndarray
    others: dict[int, bool] = field(default_factory=dict)
    fresh: list[np.ndarray] = field(default_factory=list)
    at_step: list[np.ndarray] = field(default_factory=list)
    left: bool = False
    wiped: bool = False
    asleep: bool = False
    runs: int = 0
    anew: str = ""
    error: Exception | None = None
    made: list[Any] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    trial: Trial = field(default_factory=Trial)


def _made_up(made: Any, target: Any) -> Tensor:
    """A loss of any outputs."""
    return sum(((y + 1) * y).mean() for y in tensors_of(made))  # type: ignore[return-value]


def find_own_loss(case: Case) -> None:
    """A step that has another loss than the one given, or gives the model other inputs.

    It is watched where the step goes back from it, once; else there is nothing to judge it by.
    """
    target = case.usable[0][1]
    if case.step is None or target is None or not case.wanted:
        return
    with contextlib.suppress(Exception):
        seen = _watch(case, (case.usable[0][0], target))
        told = _own_loss(case, seen, *case.usable[0])
        if not told:
            return
        case.feeds_other |= case.trial.stage == "forward"
        case.own_loss = True
        case.watched = bool(seen.made) and len(seen.losses) == 1 and seen.losses[0] >= 0
        case.loss, case.trial = case.loss_of_step, Trial()
        if case.watched:
            case.run_trial()
        if not case.watched or case.trial.error is not None:
            case.watched, case.loss, case.trial, case.target = False, _made_up, Trial(), None
            case.run_trial()
            case.unjudged, case.steps = f"the step {told}: what it learns is not judged", 0
            return
        case.usable = [b for b in case.usable if _goes_back(case, b)] or case.usable[:1]
        case.notes.append(f"the step {told}; that is what is looked at")
        case.asks &= "no targets" not in told
        call, output = case.trial.loss_call, case.trial.output
        same = output is not None and target.dtype.kind == "f" and target.size == output.array.size
        if not (call.holds(target) if call else same):
            case.target = None


def _goes_back(case: Case, batch: Batch) -> bool:
    """Whether the step makes a loss of this batch: it may leave out one that is too small."""
    with trying(case), contextlib.suppress(Exception):  # others are told by the trial
        try:
            case.passed(*tensors(*batch))
        except NoLossError:
            return False
    return True


def _own_loss(case: Case, seen: "_Seen", x: np.ndarray, target: Any) -> str:
    """How the step calls the model and its loss otherwise than it is done here, or ""."""
    if case.trial.error is not None:
        own = "gives the model other inputs, and " if case.trial.stage == "forward" else ""
        return "" if seen.error else f"{own}has its own loss"
    first, fresh = np.zeros(1), np.zeros(1)
    if seen.at_step and seen.fresh:
        first, fresh = seen.at_step[0], seen.fresh[0]
    cosine = first @ fresh / max(_norm(first) * _norm(fresh), 1e-300)
    if case.loss is F.cross_entropy:
        makers = [seen.trial.maker(y) for y in tensors_of(seen.made)]
        scored = [seen.trial.maker(c.args[0]) for c in seen.trial.of(*TAKES_SCORES, "nll_loss")]
        judged = any(maker in makers for maker in scored)
        if not makers:  # it calls parts of the model
            judged = bool(seen.trial.of("cross_entropy", "nll_loss")) or not first.any()
        if abs(cosine) <= 0.99 and not judged:
            return "has its own loss"
    usual, varied = _after(case, x, target), bool((target != target[:1]).any())
    other = np.repeat(target[:1], len(target), 0) if varied else target + 1
    asks = _has_targets(case, target) or not _same(_after(case, x, other), usual)
    if asks or _same(_after(case, np.repeat(x[:1], len(x), 0), target), usual):
        return ""
    along = varied and cosine > 0.7
    return "" if along else "asks for no targets, and has another loss than the one given (loss=)"


def _has_targets(case: Case, target: np.ndarray) -> bool:
    """Whether the step reaches some from outside."""
    arrays = [v for v in case.reached if isinstance(v, (Tensor, np.ndarray)) and v.ndim]
    return any((v.dtype, v.shape[1:]) == (target.dtype, target.shape[1:]) for v in arrays)


def _watch(case: Case, batch: Batch) -> _Seen:
    """The user's step, run on a batch and watched."""
    before, optimizer = _flat(case.wanted), case.optimizer
    seen, made = _Seen(0 * before), []

    def zeroing(zero_grad: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **settings: Any) -> Any:
            seen.wiped |= not seen.at_step and bool(_gradients(case).any())
            return zero_grad(*args, **settings)

        return noted

    def noted(closure: Any = None) -> Any:
        result = step(closure) if closure is not None else None  # it makes the gradients
        seen.at_step.append(_gradients(case))
        seen.asleep |= not case.model.training
        return step() if closure is None else result

    def stepping(other: Any, update: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **settings: Any) -> Any:
            result = update(*args, **settings)
            asking = [p for p in params_of(other) if p.requires_grad]  # none where all are frozen
            fed = not asking or any(p.grad is not None for p in asking)
            seen.others[id(other)] = seen.others.get(id(other), False) or fed
            return result

        return noted

    def fed(x: Any, *args: Any, **settings: Any) -> Any:
        case.feeds_other |= getattr(x, "shape", None) != batch[0].shape
        made.append(forward(x, *args, **settings))
        for y in tensors_of(made[-1]) if not seen.runs else ():
            y.retain_grad()
        return made[-1]

    def back(made: Tensor, *given: Any, **settings: Any) -> None:
        if not seen.runs:
            seen.losses.append(float(made.array.mean()))
        backward(made, *given, **settings)

    def created(new: Optimizer, *given: Any, **settings: Any) -> None:
        news.append(new)
        init(new, *given, **settings)

    backward, init, news = Tensor.backward, Optimizer.__init__, list[Optimizer]()
    own = {id(p) for p in case.parameters.values()}
    with trying(case), np.errstate(all="ignore"):
        forward, case.model.__dict__["forward"] = case.model.forward, fed
        if optimizer is not None:
            step = optimizer.step
            optimizer.__dict__.update(step=noted, zero_grad=zeroing(optimizer.zero_grad))
        for other in case.others:
            other.__dict__["step"] = stepping(other, other.step)
        case.model.__dict__["zero_grad"] = zeroing(case.model.zero_grad)
        try:
            while seen.runs < 2 or (seen.runs < ADDED_UP and not seen.at_step):
                if seen.runs < 2 and case.trial.error is None:
                    seen.fresh.append(_fresh(case, *batch))
                made.clear()
                first = autograd.observe(seen.trial.note)
                with (
                    contextlib.nullcontext() if seen.runs else first,
                    replaced(Tensor, "backward", back),
                    replaced(Optimizer, "__init__", created),
                ):
                    case.step(*tensors(*batch))  # type: ignore[misc]
                seen.runs += 1
                for new in news if seen.runs == 2 else ():
                    if new.state and own & {id(p) for p in params_of(new)}:
                        seen.anew = type(new).__name__
                news.clear()
                left = _gradients(case)
                if optimizer is None:
                    seen.at_step.append(left if left.any() else seen.fresh[-1])
                if seen.runs == 1:
                    seen.made, seen.left = made[:], bool(left.any())
                    seen.change = _flat(case.wanted) - before
            if len(seen.at_step) == 1:
                case.added_up = seen.runs
        except Exception as error:
            seen.error = error
    return seen


def _flat(tensors: dict[str, Parameter]) -> np.ndarray:
    """All of them as one vector, a copy."""
    return np.concatenate([np.float64(p.array).ravel() for p in tensors.values()])


def _parts(tensors: dict[str, Parameter], flat: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(name, its part) of each."""
    return zip(tensors, np.split(flat, np.cumsum([p.numel() for p in tensors.values()])))


def _gradients(case: Case) -> np.ndarray:
    """The gradients as one vector, a copy, with zeros where there is none."""
    grads = [np.zeros(p.shape) if p.grad is None else p.grad.array for p in case.wanted.values()]
    return np.concatenate([np.float64(grad).ravel() for grad in grads])


def _fresh(case: Case, x: np.ndarray, target: np.ndarray | None) -> np.ndarray:
    """The gradients of a batch alone."""
    with trying(case):
        loss = case.passed(*tensors(x, target))
        if loss.requires_grad:
            loss.backward()
        return _gradients(case)


def check_step(case: Case) -> Iterator[Finding]:
    """The user's own step: what it forgets, and the order in which it does things."""
    if case.step is None or not case.wanted or case.trial.error is not None:
        return
    seen = _watch(case, case.usable[0])
    found = _of_step(case, seen)
    with contextlib.suppress(Exception):  # of the user's step, with a batch that is not the user's
        found = found or _of_itself(case) or _left_out(case, seen) or _ignored(case)
    if found is not None:
        yield found


def _of_step(case: Case, seen: _Seen) -> Finding | None:
    """What is wrong with a step."""
    if seen.error is not None:
        which = "the first step works, a later one" if seen.runs else "the step"
        return finding("step-fails", which=which, kind=type(seen.error).__name__, told=seen.error)
    if case.optimizer is None:
        by_hand = _of_step_by_hand(case, seen)
        if by_hand is not None:
            return by_hand
    if not all(seen.others.values()):
        return finding("step-without-gradient (other)")
    if not seen.at_step:
        return finding("step-changes-nothing", runs=seen.runs)
    if seen.anew:
        return finding("optimizer-made-anew", kind=seen.anew)
    first, second, fresh = seen.at_step[0], seen.at_step[-1], seen.fresh[0]
    if case.own_loss and not case.watched:
        seen.fresh, fresh = seen.at_step[:2], first
    size, usual = _norm(first), _norm(fresh)
    owner = "model" if case.optimizer is None else "optimizer"
    factor = first @ fresh / max(usual**2, 1e-300)
    several = case.added_up > 1
    fed = {name for name, part in _parts(case.wanted, first) if part.any()}
    unfed = [n for n, part in _parts(case.wanted, fresh) if part.any() and n not in fed]
    turned = first @ fresh < 0.5 * size * usual
    if seen.wiped and size and (several or unfed or turned):
        values = {"size": size, "usual": usual, "owner": owner}
        return finding("gradients-thrown-away", runs=case.added_up, **values)
    if several:
        case.sums = factor > 0.7 * case.added_up
        return None
    moved = seen.change.any()  # not at a rate of 0, with which a warm-up begins
    if len(seen.at_step) > 2 and size and moved and np.array_equal(first, seen.at_step[1]):
        return finding("optimizer-steps-twice", count=len(seen.at_step) // 2)
    if size == 0 and usual > 0:
        where = "loss.backward() was not called, or not on a loss of this model"
        if seen.wiped:
            where = "zero_grad() comes between loss.backward() and optimizer.step()"
        elif seen.left:
            where = "loss.backward() comes after it, so that each step uses an old gradient"
        return finding("step-without-gradient", usual=usual, where=where)
    if len(seen.at_step) <= 2 and _adds_to_the_rest(case):
        return finding("forgotten-zero-grad", size=size, both=_norm(second), owner=owner)
    if unfed:
        return finding("step-misses-parameters", names=listed(unfed))
    same = _norm(first - factor * fresh) < 0.1 * size
    weak, strong = size < 0.01 * usual, same and factor > 1.9
    if weak or (strong and factor > 2.1):  # Adam learns whatever the size
        run = train(case, step=case.step)
        failed = not run.last < LEARNED * run.first
        weak, strong = weak and failed, strong and failed
    if weak or strong or (same and factor < 0):
        cure = "look at what is done to the gradient or the loss: a factor, a sign"
        if weak:
            cure = "clip or divide it less: nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
        elif 1.9 < factor < 2.1:
            cure = "is loss.backward() called twice? Once after zero_grad() is enough"
        return finding("gradient-changed", size=size, factor=factor, usual=usual, cure=cure)
    if seen.asleep and case.model.training and case.layers(nn.Dropout, *BATCH_NORMS):
        return finding("evaluation-mode", ERROR, names="the model, when optimizer.step() runs")
    return None


def _adds_to_the_rest(case: Case) -> bool:
    """Whether a second step is another one if the gradients that the first left are cleared."""
    every: dict[str, Any] = dict(case.parameters)
    every.update((f"{id(p)}", p) for other in case.others for p in params_of(other))
    ends = []
    for clears in (False, True, False):  # twice the same, unless it goes by what is out of reach
        with trying(case), np.errstate(all="ignore"):
            case.step(*tensors(*case.usable[0]))  # type: ignore[misc]
            for p in every.values() if clears else ():
                p.grad = None
            case.step(*tensors(*case.usable[0]))  # type: ignore[misc]
            ends.append(_flat(every))
    return _same(ends[0], ends[2]) and not _same(*ends[:2])


def _of_step_by_hand(case: Case, seen: _Seen) -> Finding | None:
    """What is wrong with a step without an optimizer."""
    moved = {name for name, part in _parts(case.wanted, seen.change) if part.any()}
    fresh = _parts(case.wanted, seen.fresh[0])
    still = [name for name, part in fresh if part.any() and name not in moved]
    gradient = seen.at_step[0] if seen.left else seen.fresh[0]
    known = not case.others and (seen.left or case.watched or not case.own_loss)
    if not seen.change.any():
        return finding("step-changes-nothing (by hand)")
    if known and seen.change @ gradient > 0.3 * _norm(seen.change) * _norm(gradient):
        return finding("loss-is-maximized (by hand)")
    if still and not case.others:
        return finding("step-misses-parameters", names=listed(still))
    return None


def _of_itself(case: Case) -> Finding | None:
    """A step that holds the outputs against themselves, or against one class."""
    trial, call = case.trial, case.trial.loss_call
    if not case.watched or case.asks or call is None or len(call.args) < 2:
        return None
    if trial.maker(call.args[0]) is not trial.maker(trial.output):
        return None  # but what was made of them, such as the likeness of all pairs
    y, t = (np.asarray(getattr(value, "array", value)) for value in call.args[:2])
    what = ""
    if t.dtype.kind in "iu" and y.ndim == t.ndim + 1 and y.shape[1] > 2 and len(t) > 7:
        one = not np.ptp(t) and not trial.several  # a model that gives its labels, too, knows them
        what = f"class {t.flat[0]} for all" if one else ""
        what = "the classes that they give" if np.array_equal(t, y.argmax(1)) else what
    elif t.shape == y.shape and np.ptp(y) > 0 and np.ptp(y - t) < 1e-3 * np.ptp(y):
        what = "themselves"
    return finding("step-ignores-its-batch (itself)", op=call.op, what=what) if what else None


def _left_out(case: Case, seen: _Seen) -> Finding | None:
    """A step that makes something of the first or the last examples alone."""
    N, y = len(case.usable[0][0]), seen.made[0] if len(seen.made) == 1 else None
    if not isinstance(y, Tensor) or len(y) != N or y.grad is None:
        return None
    slope = case.slopes(y.array, case.usable[0][1])
    if slope is None:
        return None
    idle, due = y.grad.array.reshape(N, -1).any(1) == 0, slope.reshape(N, -1).any(1)
    k = int(np.sum(idle))
    if 0 < k < N and due[idle].all() and (idle[:k].all() or idle[N - k :].all()):  # type: ignore[index]
        return finding("examples-left-out", count=k, N=N, first=idle.argmax())
    return None


def _ignored(case: Case) -> Finding | None:
    """A step that does the same whatever its batch is."""
    (x, target), places = case.usable[0], np.arange(len(case.usable[0][0]))
    half = len(x) // 2
    others = {
        "all inputs of the batch": (x[0 * places], target),
        "the first half of the inputs": (x[np.maximum(places, half)], target),
        "the second half of the inputs": (x[np.minimum(places, half - 1)], target),
    }
    if target is not None and _has_targets(case, target):
        others["all targets of the batch"] = x, target[0 * places]
    usual, gradient = _after(case, x, target), _fresh(case, x, target)
    if _same(usual, _flat(case.parameters)):
        return None
    for what, given in others.items():
        if not _same(_fresh(case, *given), gradient) and _same(_after(case, *given), usual):
            return finding("step-ignores-its-batch", what=what)
    return None


def _of_weights(case: Case, rest: np.ndarray, fresh: np.ndarray) -> Finding | None:
    """A gradient that is the weights themselves, or their signs, besides that of the loss."""
    before = _flat(case.wanted)
    for what, w in (("weights", before), ("signs of the weights", np.sign(before))):
        times = rest @ w / max(w @ w, 1e-300)
        if _norm(rest - times * w) < 0.1 * _norm(rest) and times > 0:
            values = {"usual": _norm(fresh), "size": _norm(rest), "what": what, "times": times}
            return finding("weight-decay-too-large (penalty)", **values)
    return None


def penalty(case: Case) -> Iterator[Finding]:
    """A penalty of the weights that counts for much more than the rest of the loss."""
    output, (_, target) = case.trial.output, tensors(*case.usable[0])
    if output is None:
        return
    with trying(case):
        loss = case.loss(output.detach(), target)
        if loss.requires_grad:
            loss.backward()
        rest = _gradients(case)
    fresh = _fresh(case, *case.usable[0]) - rest
    large = _norm(rest) > max(3 * _norm(fresh), 0.02 * _norm(_flat(case.wanted)))
    if large and (known := _of_weights(case, rest, fresh)):
        yield known


def why_not(case: Case) -> Finding | None:
    """What a step that does not learn goes along with, besides the gradient of its batch."""
    x, target = case.usable[0]
    seen = _watch(case, (x, target))
    if seen.error is not None or not seen.at_step:
        return None
    fresh, change, before = seen.fresh[0], seen.change, _flat(case.wanted)
    rest = seen.at_step[0] - fresh
    if known := _of_weights(case, rest, fresh):
        return known
    times = -(change @ before) / max(before @ before, 1e-300)
    if times > 0.01 and _norm(change + times * before) < 0.7 * _norm(change):
        return finding("weight-decay-too-large (by hand)", times=times)
    by = _norm(rest) / max(_norm(fresh), 1e-300)
    if target is not None and by > 0.1:
        even = _watch(case, (x, np.repeat(target[:1], len(target), 0)))
        if even.at_step and _norm(even.at_step[0] - even.fresh[0]) < 1e-3 * _norm(even.fresh[0]):
            return finding("inputs-and-targets-unrelated (step)", by=by)
    return None


def _after(case: Case, x: np.ndarray, target: Any, params: Any = None) -> np.ndarray:
    """The parameters, or others, after a step with the first batch and one with this.

    Adam's very first goes by the signs of the gradient alone.
    """
    assert case.step is not None
    with trying(case), np.errstate(all="ignore"):
        for given in (case.usable[0], (x, target)):
            case.step(*tensors(*given))
        return _flat(params or case.parameters)


def _same(some: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(some, other, equal_nan=True)


def _norm(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))
