"""What the doctor looks for in the loop: the optimizer's parameters, and the training step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.grad_mode import enable_grad
from tinynet.nn.preserving import preserving
from tinynet.optim import SGD, Optimizer
from tinynet.teaching.case import BATCH_NORMS, Case
from tinynet.teaching.experiment import LEARNED, params_of, train, trying
from tinynet.teaching.report import Finding, error, listed, warning
from tinynet.tensor import Tensor

ADDED_UP = 16
"""So many batches may have their gradients added up before a step."""
LOOP = "optimizer.zero_grad(), loss.backward(), optimizer.step(), in this order"


def check_optimizer(case: Case) -> Iterator[Finding]:
    """An optimizer that misses parameters, or that moves those of another model."""
    if case.optimizer is None:
        return
    params = params_of(case.optimizer)
    chosen, own = {id(p) for p in params}, {id(p) for p in case.parameters.values()}
    foreign = [p for p in params if id(p) not in own]
    missing = [
        name for name, p in case.parameters.items() if id(p) not in chosen and p.requires_grad
    ]
    if missing and case.step is not None:  # it may have another optimizer for them
        with contextlib.suppress(Exception):  # which `check_step` tells
            after = dict(zip(case.parameters, _after(case, case.optimizer, *case.usable[0])))
            missing = [m for m in missing if _same([after[m]], [case.parameters[m].array])]
    if not chosen & own:
        yield error(
            "optimizer-of-another-model",
            f"none of the {len(chosen)} tensors of the optimizer belongs to this model, so no step "
            "will change it. Was the model built again, or copied, after the optimizer?",
            "make the optimizer after the model: optim.SGD(model.parameters(), lr=...)",
        )
        return
    if missing:
        yield error(
            "optimizer-misses-parameters",
            f"{len(missing)} of {len(own)} parameters are not in the optimizer and will never "
            f"change: {listed(missing)}",
            "pass model.parameters(), after the last layer was added; freeze with "
            "requires_grad_(False) what is to stay",
        )
    if foreign:
        yield warning(
            "optimizer-with-foreign-parameters",
            f"{len(foreign)} tensors of the optimizer are not in this model, of shapes "
            f"{listed([str(p.shape) for p in foreign])}",
            "pass model.parameters() alone, unless the others are of a second model",
        )


class _Watched:
    """A user's step run twice on copies, and what the optimizer was asked for meanwhile.

    runs: how often; more than twice until the optimizer steps, as gradients may be added up before.
    at_step: the gradients whenever it stepped; without an optimizer those that a run left. fresh:
    those of the batch alone, before each run. kept: those after one run more, where several were
    added up before the step. before: the parameters. change: what the first run added to them.
    moved: whether it changed one. left: whether it left gradients. wiped: whether zero_grad() took
    some away in it, before the optimizer stepped. asleep: whether the model was in evaluation mode
    then. rates: the highest learning rate before the first run and after each. error: what a run
    raised.
    """

    def __init__(self, case: Case, optimizer: Optimizer) -> None:
        self.case = case
        self.parameters = [p for p in case.parameters.values() if p.requires_grad]
        self.at_step: list[list[np.ndarray]] = []
        self.fresh: list[list[np.ndarray]] = []
        self.kept: list[np.ndarray] = []
        self.before: list[np.ndarray] = []
        self.change: list[np.ndarray] = []
        self.runs = 0
        self.wiped = self.asleep = self.moved = self.left = False
        self.rates: list[float] = []
        self.error: Exception | None = None
        with trying(case, optimizer), np.errstate(all="ignore"), self._known_optimizers():
            step = optimizer.step

            def noted(closure: Any = None) -> Any:
                result = step(closure) if closure is not None else None  # it makes the gradients
                self.at_step.append(_gradients(self.case))
                self.asleep |= not case.model.training
                return step() if closure is None else result

            optimizer.__dict__.update(step=noted, zero_grad=self._zeroing(optimizer.zero_grad))
            case.model.__dict__["zero_grad"] = self._zeroing(case.model.zero_grad)
            for p in self.parameters:
                p.grad = None
            self.before = [p.array.copy() for p in self.parameters]
            self.rates.append(max(group["lr"] for group in optimizer.param_groups))
            try:
                while self.runs < 2 or (self.runs < ADDED_UP and not self.at_step):
                    self._run()
                    self.rates.append(max(group["lr"] for group in optimizer.param_groups))
                    self.runs += 1
                    if self.runs == 1:
                        self.change = [p.array - b for p, b in zip(self.parameters, self.before)]
                        self.moved = any(change.any() for change in self.change)
                        self.left = _norm(_gradients(self.case)) > 0
                if self.runs > 2 and self.at_step:
                    self._run()
                    self.kept = _gradients(self.case)
            except Exception as error:
                self.error = error

    def _zeroing(self, zero_grad: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **settings: Any) -> Any:
            self.wiped |= not self.at_step and _norm(_gradients(self.case)) > 0
            return zero_grad(*args, **settings)

        return noted

    @contextlib.contextmanager
    def _known_optimizers(self) -> Iterator[None]:
        """Where no optimizer was given none may step: what it remembers could not be put back."""

        def unknown(*_: Any, **__: Any) -> None:
            raise ValueError("the step has an optimizer: give it to doctor as optimizer= too")

        step = Optimizer.step
        try:
            if self.case.optimizer is None:
                setattr(Optimizer, "step", unknown)  # noqa: B010 (a method, for the type checker)
            yield
        finally:
            setattr(Optimizer, "step", step)  # noqa: B010

    def _run(self) -> None:
        case = self.case
        assert case.step is not None
        self.fresh.append(_fresh(case, *case.usable[0]))
        case.step(*_tensors(*case.usable[0]))
        if case.optimizer is None:
            left = _gradients(self.case)
            self.at_step.append(left if _norm(left) else self.fresh[-1])


def _gradients(case: Case) -> list[np.ndarray]:
    """Copies of the gradients, zeros where there is none."""
    return [
        np.zeros(p.shape, p.dtype) if p.grad is None else np.array(p.grad.array)
        for p in case.parameters.values()
        if p.requires_grad
    ]


def _tensors(x: np.ndarray, target: np.ndarray | None) -> tuple[Tensor, Any]:
    return Tensor(x), None if target is None else Tensor(target)


def _fresh(case: Case, x: np.ndarray, target: np.ndarray | None) -> list[np.ndarray]:
    """The gradients of a batch alone."""
    with preserving(case.model), enable_grad():
        given, wanted = _tensors(x, target)
        case.loss(case.model(given), wanted).backward()
        return _gradients(case)


def check_step(case: Case) -> Iterator[Finding]:
    """The user's own step: what it forgets, and the order in which it does things."""
    wanted = [p for p in case.parameters.values() if p.requires_grad]
    if case.step is None or not wanted or case.trial.error is not None:
        return
    optimizer = case.optimizer or SGD(wanted, lr=0)
    told = _of_step(case, _Watched(case, optimizer))
    with contextlib.suppress(Exception):  # of the user's step, with a batch that is not the user's
        told = told or _ignored(case, optimizer)
    if told is not None:
        name, evidence, cure = told
        yield error(name, evidence, cure or f"call {LOOP}, once each")


def _of_step(case: Case, seen: _Watched) -> tuple[str, str, str] | None:
    """(name, evidence, cure) of what is wrong with a step; no cure where the usual loop is one."""
    if seen.error is not None:
        error = f"the step raises {type(seen.error).__name__}: {seen.error}"
        cure = "the message says what to change; is the forward pass within no_grad()?"
        return "step-fails", error, cure
    if case.optimizer is None:
        along = sum(float((a * b).sum()) for a, b in zip(seen.change, seen.fresh[0]))
        if not seen.moved:
            what = "a whole training step left every parameter as it was"
            cure = (
                "change the parameters themselves: p.data -= lr * p.grad; p = p - ... makes others"
            )
            return "step-changes-nothing", what, cure
        if along > 0.3 * _norm(seen.change) * _norm(seen.fresh[0]):
            what = "the step adds the gradient to the parameters: that way the loss rises"
            return "loss-is-maximized", what, "subtract it: p.data -= lr * p.grad"
        after = _norm([b + change for b, change in zip(seen.before, seen.change)])
        if after < 0.5 * _norm(seen.before):
            what = (
                f"one step takes the parameters from norm {_norm(seen.before):.3g} to {after:.3g}: "
                "they are overwritten, not changed a little"
            )
            return "step-overwrites-parameters", what, "change them: p.data -= lr * p.grad"
    if not seen.at_step:
        still = "" if seen.moved else ", which left every parameter as it was"
        what = f"optimizer.step() was not called in {seen.runs} training steps{still}"
        return "step-changes-nothing", what, ""
    first, second, fresh = seen.at_step[0], seen.at_step[-1], seen.fresh[0]
    size, usual = _norm(first), _norm(fresh)
    owner = "model" if case.optimizer is None else "optimizer"
    if seen.runs > 2:
        kept = _norm(seen.kept)
        if len(seen.at_step) > 1 or kept < size or _norm(_less(seen.kept, first)) > 0.5 * kept:
            return None
        what = (
            f"optimizer.step() comes after {seen.runs} batches, with a gradient of norm "
            f"{size:.3g}, which the next batch is added to ({kept:.3g}): it is never set to zero"
        )
        return "forgotten-zero-grad", what, f"call {owner}.zero_grad() after each optimizer.step()"
    if size == 0 and usual > 0:
        where = "loss.backward() was not called, or not on a loss of this model"
        if seen.wiped:
            where = "zero_grad() comes between loss.backward() and optimizer.step()"
        elif seen.left:
            where = "loss.backward() comes after it, so that each step uses an old gradient"
        what = "when optimizer.step() runs there is no gradient, though that of the batch has the "
        return "step-without-gradient", f"{what}norm {usual:.3g}: {where}", ""
    rest = _norm(_less(second, seen.fresh[1]))
    if len(seen.at_step) == 2 and _norm(_less(second, seen.fresh[1], first)) < 0.1 * rest:
        what = (
            f"in the second of two steps the gradient (norm {_norm(second):.3g}) is that of the "
            f"first step ({size:.3g}) plus that of the second ({_norm(seen.fresh[1]):.3g})"
        )
        cure = f"call {owner}.zero_grad() before each loss.backward()"
        return "forgotten-zero-grad", what, cure
    if len(seen.at_step) > 2:
        count = len(seen.at_step) // 2
        what = f"optimizer.step() is called {count} times in one training step"
        return "optimizer-steps-twice", what, ""
    names = [name for name, p in case.parameters.items() if p.requires_grad]
    unfed = [name for name, g, f in zip(names, first, fresh) if f.any() and not g.any()]
    if unfed:
        what = f"when optimizer.step() runs, {listed(unfed)} have no gradient; the batch gives one"
        cure = "look for .detach(), no_grad() or frozen parameters in your step"
        return "step-misses-parameters", what, cure
    factor = sum(float((a * b).sum()) for a, b in zip(first, fresh)) / max(usual**2, 1e-300)
    same = _norm([a - factor * b for a, b in zip(first, fresh)]) < 0.1 * size
    weak = size < 0.01 * usual and not _learns(case)  # as Adam does, whatever the size
    if weak or (same and (factor < 0 or factor > 1.9)):
        what = (
            f"when optimizer.step() runs, the gradient (norm {size:.3g}) is {factor:.3g} times "
            f"that of the batch ({usual:.3g})"
        )
        cure = "look at what is done to the gradient or the loss: a factor, a sign"
        if weak:
            cure = "clip or divide it less: nn.utils.clip_grad_norm_(model.parameters(), 1.0)"
        elif 1.9 < factor < 2.1:
            cure = f"is loss.backward() called twice? Call {LOOP}, once each"
        return "gradient-changed", what, cure
    if seen.rates[1] < 0.9 * seen.rates[0] and seen.rates[2] < 0.9 * seen.rates[1]:
        rates = ", ".join(f"{rate:g}" for rate in seen.rates)
        cure = "call schedule.step() once an epoch, not each batch, or let it fall more slowly"
        return "learning-rate-falls-too-fast", f"the rate before and after two steps: {rates}", cure
    if seen.asleep and case.model.training and case.layers(nn.Dropout, *BATCH_NORMS):
        what = (
            "when optimizer.step() runs, the model is in evaluation mode: dropout does nothing, "
            "and batch norm uses its running statistics and does not learn them"
        )
        return "evaluation-mode", what, "call model.train() before training"
    return None


def _learns(case: Case) -> bool:
    """Whether the loss falls by the step."""
    run = train(case, step=case.step)
    return run.last < LEARNED * run.first


def _ignored(case: Case, optimizer: Optimizer) -> tuple[str, str, str] | None:
    """(name, evidence, cure) of a step that does the same whatever its batch is."""
    x, target = case.usable[0]
    half = len(x) // 2
    others: list[tuple[str, np.ndarray, np.ndarray | None]] = [
        ("inputs", np.repeat(x[:1], len(x), 0), target),
        ("inputs of the second half", np.concatenate([x[:half], x[: len(x) - half]]), target),
    ]
    if target is not None:
        others.append(("targets", x, np.repeat(target[:1], len(x), 0)))
    usual, gradient = _after(case, optimizer, x, target), _fresh(case, x, target)
    if _same(usual, [p.array for p in case.parameters.values()]):
        return None
    for name, inputs, wanted in others:
        if _same(_fresh(case, inputs, wanted), gradient):
            continue
        if _same(_after(case, optimizer, inputs, wanted), usual):
            what = (
                "from the same weights the step leads to the same parameters, bit for bit, when "
                f"all {name} of the batch are replaced by the first; the gradient does change"
            )
            cure = "use the x and target that the step is given, not those of outside"
            return "step-ignores-its-batch", what, cure
    return None


def _after(
    case: Case, optimizer: Optimizer, x: np.ndarray, target: np.ndarray | None
) -> list[np.ndarray]:
    """The parameters after one step."""
    assert case.step is not None
    with trying(case, optimizer), np.errstate(all="ignore"):
        case.step(*_tensors(x, target))
        return [p.array.copy() for p in case.parameters.values()]


def _same(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(some, others))


def _less(arrays: list[np.ndarray], *others: list[np.ndarray]) -> list[np.ndarray]:
    """Each array less those of the others."""
    return [a - sum(more) for a, *more in zip(arrays, *others)]


def check_frozen(case: Case) -> Iterator[Finding]:
    """Parameters that do not ask for a gradient: all of them is a mistake, some may be meant."""
    if not case.parameters:
        yield error(
            "no-parameters",
            "the model has no parameters: there is nothing to train",
            "give it layers, as attributes made in __init__",
        )
    frozen = [name for name, p in case.parameters.items() if not p.requires_grad]
    if not frozen:
        return
    count = sum(case.parameters[name].numel() for name in frozen)
    total = sum(p.numel() for p in case.parameters.values())
    seen = (
        f"{len(frozen)} of {len(case.parameters)} parameters ({count:,} of {total:,} numbers) do "
        f"not require a gradient and will stay as they are: {listed(frozen)}"
    )
    if len(frozen) == len(case.parameters):
        yield error("frozen-parameters", seen, "model.requires_grad_()")
    else:
        case.notes.append(f"{seen}. If that is not meant: model.requires_grad_()")


def _norm(arrays: list[np.ndarray]) -> float:
    return math.sqrt(sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in arrays))
