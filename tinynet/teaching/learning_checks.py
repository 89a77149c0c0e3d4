"""What the doctor looks for in the learning: the optimizer, its rate, and the training step.

The rate is tried on copies: some steps on this one batch, from the same start. A rate that cannot
work shows there already, the more so beside others, of which the cure names the best.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet import autograd
from tinynet.nn.preserving import preserving
from tinynet.optim import Optimizer
from tinynet.teaching.case import Case
from tinynet.teaching.report import ERROR, WARNING, Finding, listed
from tinynet.tensor import Tensor

ROSE = 1.5
"""A loss that ends above this times the first has run away. It may be there in between: a net with
batch norm goes up to ten times its first loss and is back in eight steps."""
PATIENCE = 3
"""How many times the steps are made before a loss that rose is given up."""
MOVED = 1e-3
"""A loss that changed by less than this share of itself has not moved."""
FELL = 0.9
"""A loss that is below this share of the first has fallen: proof that another rate works."""


def check_optimizer(case: Case) -> Iterator[Finding]:
    """An optimizer that misses parameters, or that moves those of another model."""
    if case.optimizer is None:
        return
    chosen = {id(p) for p in _params(case.optimizer)}
    own = {id(p) for p in case.parameters.values()}
    foreign = [p for p in _params(case.optimizer) if id(p) not in own]
    missing = [
        name for name, p in case.parameters.items() if id(p) not in chosen and p.requires_grad
    ]
    if not chosen & own:
        yield Finding(
            "optimizer-of-another-model",
            ERROR,
            f"none of the {len(chosen)} tensors of the optimizer belongs to this model, so no step "
            "will change it. Was the model built again, or copied, after the optimizer?",
            "make the optimizer after the model: optim.SGD(model.parameters(), lr=...)",
        )
        return
    if missing:
        yield Finding(
            "optimizer-misses-parameters",
            ERROR,
            f"{len(missing)} of {len(own)} parameters are not in the optimizer and will never "
            f"change: {listed(missing)}",
            "pass model.parameters(), after the last layer was added; freeze with "
            "requires_grad_(False) what is to stay",
        )
    if foreign:
        yield Finding(
            "optimizer-with-foreign-parameters",
            WARNING,
            f"{len(foreign)} tensors of the optimizer are not in this model, of shapes "
            f"{listed([str(p.shape) for p in foreign])}",
            "pass model.parameters() alone, unless the others are of a second model",
        )


def check_zero_grad(case: Case) -> Iterator[Finding]:
    """Gradients that are added to those of the step before."""
    left = {
        name: float(np.linalg.norm(p.grad.array))
        for name, p in case.parameters.items()
        if p.grad is not None and p.grad.array.any()
    }
    if case.step is not None:
        yield from _check_step(case)
    elif left:
        norm = math.sqrt(sum(n * n for n in left.values()))
        fresh = _norm([g for g in case.trial.gradients.values() if g is not None])
        yield Finding(
            "forgotten-zero-grad",
            WARNING,
            f"{len(left)} parameters still have the gradient of an earlier backward() (norm "
            f"{norm:.3g}; that of this batch alone is {fresh:.3g}), and the next one is added",
            "call optimizer.zero_grad() before each loss.backward()",
        )


def _check_step(case: Case) -> Iterator[Finding]:
    """Run the user's own step twice, on copies, and compare its second gradient."""
    optimizer = case.optimizer
    if optimizer is None or case.step is None:
        return
    parameters = [p for p in case.parameters.values() if p.requires_grad]
    with trying(case, optimizer), np.errstate(all="ignore"):
        for p in parameters:
            p.grad = None
        before = [p.array.copy() for p in parameters]
        case.step(Tensor(case.input.copy()), _target(case))
        moved = any(not np.array_equal(p.array, old) for p, old in zip(parameters, before))
        first = [None if p.grad is None else np.array(p.grad.array) for p in parameters]
        fresh = _gradient(case)
        case.step(Tensor(case.input.copy()), _target(case))
        second = [None if p.grad is None else np.array(p.grad.array) for p in parameters]
    if not moved:
        yield Finding(
            "step-changes-nothing",
            ERROR,
            "a whole training step left every parameter as it was",
            "call loss.backward() and then optimizer.step(), with the optimizer of this model",
        )
        return
    if any(g is None for g in (*first, *fresh, *second)):
        return  # set to None after the step
    summed = [old + new for old, new in zip(first, fresh)]  # type: ignore[operator]
    to_sum, to_fresh = _distance(second, summed), _distance(second, fresh)
    if to_sum < 0.1 * to_fresh and _norm(first) > 0.01 * _norm(fresh):
        yield Finding(
            "forgotten-zero-grad",
            ERROR,
            f"in the second of two steps the gradient (norm {_norm(second):.3g}) is that of the "
            f"first step ({_norm(first):.3g}) plus that of the second ({_norm(fresh):.3g})",
            "call optimizer.zero_grad() before each loss.backward()",
        )


def check_learning_rate(case: Case) -> Iterator[Finding]:
    """A learning rate at which the loss runs away, or at which nothing moves."""
    optimizer, trial = case.optimizer, case.trial
    if optimizer is None:
        return
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    if not any(rates):
        yield Finding(
            "learning-rate-zero",
            ERROR,
            "the learning rate is 0: no step changes anything",
            "set lr",
        )
        return
    if case.probe_steps < 1 or trial.error or trial.loss is None or not trial.loss_depends:
        return
    own = {id(p) for p in case.parameters.values()}
    if not math.isfinite(trial.loss) or not any(id(p) in own for p in _params(optimizer)):
        return
    losses = probe(case, optimizer, 1.0)
    first, last, lr = losses[0], losses[-1], max(rates)
    if runs_away(losses):
        yield _too_high(case, optimizer, lr, losses)
    elif abs(last - first) < MOVED * abs(first):
        for factor in (1e1, 1e2, 1e3, 1e4, 1e5, 1e6):
            faster = probe(case, optimizer, factor)
            if has_fallen(faster):
                yield Finding(
                    "learning-rate-too-low",
                    WARNING,
                    f"at lr={lr:g}, {case.probe_steps} steps on this batch change the loss from "
                    f"{first:.6g} to {last:.6g}; at lr={lr * factor:g} it falls to "
                    f"{faster[-1]:.4g}",
                    f"try lr={lr * factor:g}",
                )
                return


def _too_high(case: Case, optimizer: Optimizer, lr: float, losses: list[float]) -> Finding:
    worst = next((loss for loss in losses if not math.isfinite(loss)), max(losses))
    evidence = (
        f"at lr={lr:g} the loss of this batch goes from {losses[0]:.4g} to {worst:.4g} within "
        f"{len(losses) - 1} steps"
    )
    for factor in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        slower = probe(case, optimizer, factor)
        if not runs_away(slower):
            working = f"lr={lr * factor:g}"
            evidence += f"; at {working} it goes from {slower[0]:.4g} to {slower[-1]:.4g}"
            return Finding("learning-rate-too-high", ERROR, evidence, f"try {working}")
    return Finding(
        "learning-rate-too-high",
        ERROR,
        f"{evidence}, and runs away at a millionth of it too",
        "scale the inputs, build the model anew, then look again",
    )


def runs_away(losses: list[float]) -> bool:
    """Whether the losses end far above where they began, or in NaN or infinity."""
    if not all(map(math.isfinite, losses)):
        return True
    return min(losses[-3:]) > ROSE * abs(losses[0]) + 0.1


def has_fallen(losses: list[float]) -> bool:
    """Whether the losses went down for certain."""
    return not runs_away(losses) and losses[-1] < FELL * losses[0]


def probe(case: Case, optimizer: Optimizer, factor: float) -> list[float]:
    """The losses before and after each step, at the optimizer's rates times `factor`.

    On copies of everything. Ends early where the loss is not finite, and goes on
    for up to PATIENCE times the steps where it rose and is not back.
    """
    losses = []
    with trying(case, optimizer), np.errstate(all="ignore"):
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * factor
        for step in range(PATIENCE * case.probe_steps + 1):
            try:
                loss = case.loss(case.model(Tensor(case.input.copy())), _target(case))
                losses.append(loss.item())
            except FloatingPointError:  # the loss refuses NaN
                losses.append(math.nan)
            if not math.isfinite(losses[-1]):
                break
            if step >= case.probe_steps and not runs_away(losses):
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return losses


@contextlib.contextmanager
def trying(case: Case, optimizer: Optimizer) -> Iterator[None]:
    """Steps may be made inside: the model and the optimizer are afterwards as before.

    So are parameters that the optimizer has of other models.
    """
    attributes = dict(optimizer.__dict__)
    own = {id(p) for p in case.parameters.values()}
    others = [(p, p.array, p.grad) for p in _params(optimizer) if id(p) not in own]
    with preserving(case.model), autograd.enable_grad():
        try:
            for p, array, _ in others:
                p.array, p.grad = array.copy(order="K"), None
            for name, value in attributes.items():
                if type(value) is dict:
                    optimizer.__dict__[name] = dict(value)
            optimizer.state = {
                p: {name: _copied(value) for name, value in state.items()}
                for p, state in optimizer.state.items()
            }
            optimizer.param_groups = [dict(group) for group in optimizer.param_groups]
            yield
        finally:
            optimizer.__dict__.clear()
            optimizer.__dict__.update(attributes)
            for p, array, grad in others:
                p.array, p.grad = array, grad


def _gradient(case: Case) -> list[np.ndarray | None]:
    """The gradient at the weights as they stand, and nothing changed by computing it."""
    with preserving(case.model):
        case.loss(case.model(Tensor(case.input.copy())), _target(case)).backward()
        return [
            None if p.grad is None else p.grad.array
            for p in case.parameters.values()
            if p.requires_grad
        ]


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _target(case: Case) -> Any:
    return None if case.labels is None else Tensor(case.labels.copy())


def _copied(value: Any) -> Any:
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


def _norm(arrays: list[Any]) -> float:
    return math.sqrt(sum(float((np.asarray(a, np.float64) ** 2).sum()) for a in arrays))


def _distance(some: list[Any], others: list[Any]) -> float:
    return _norm([a - b for a, b in zip(some, others)])
