"""What the doctor learns from short trainings: whether the recipe works, and if not, why.

The recipe is tried on copies, beside Adam at two usual rates. What the loss does then is held
against the best of them. Where it does much worse, one thing of the recipe is changed at a time:
what makes the loss fall is what was wrong.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.teaching.case import BATCH_NORMS, Case
from tinynet.teaching.experiment import LEARNED, Run, Way, right_scores, train
from tinynet.teaching.relation import check_relation, rows, structured
from tinynet.teaching.report import Finding, error, listed, warning

STEADY = 0.6
"""A recipe that covers this share of the way to the best loss is not looked at any further."""
BETTER = 0.3
"""How much more of the way a change must cover, to be what was wrong."""
CRAWLS = 0.15
"""A step of one's own that covers less, where the plain loop covers much more, does not learn."""
SLOW = 0.003
"""A recipe that covers less does not move. SGD at 0.001 without momentum covers 0.005."""
TINY = 1e-4
"""The gradient of a layer has vanished that is smaller than this share of the largest."""
USUAL_DECAY = 0.02
"""Above this, weight decay is looked at sooner: it is 1e-4 to 0.01 as a rule."""
ENOUGH = 20
"""In fewer steps than this only a rate that is too high shows."""
ALONE = "with zero_grad, backward and step alone"
RATES = tuple(10.0**k for k in (-1, -2, -3, -4, -5, -6))


def check_recipe(case: Case) -> Iterator[Finding]:
    """A short training by the recipe, and by variations of it where it does not learn."""
    try:
        yield from _recipe(case)
    except Exception as problem:  # of the user's model, loss, optimizer or step
        yield error(
            "training-fails",
            f"the first batch works, but {case.steps} steps on {len(case.usable)} batches end with "
            f"{type(problem).__name__}: {problem}",
            "the message says what to change",
        )


def _recipe(case: Case) -> Iterator[Finding]:
    trial, optimizer = case.trial, case.optimizer
    idle = [group for group in _groups(case) if not group["lr"]]
    if idle and case.step is None:
        yield error(
            "learning-rate-zero",
            f"the learning rate is 0 for {sum(len(group['params']) for group in idle)} parameters "
            f"({len(idle)} of {len(_groups(case))} groups): no step changes them",
            "set lr, such as lr=0.01 for SGD or lr=1e-3 for Adam",
        )
        return
    if case.steps < 1 or trial.error or trial.loss is None or not math.isfinite(trial.loss):
        return
    own = None
    if optimizer is not None:
        own = train(case, _at(case), step=case.step)
    elif case.step is not None:
        own = train(case, "by your step", step=case.step)
    if case.steps < ENOUGH:
        if own is not None and own.diverged and optimizer is not None:
            yield _too_high(case, own, Way(own, []), None)
        return
    others = [train(case, f"with Adam at lr={lr:g}", adam=lr) for lr in (1e-2, 1e-3)]
    way = Way(own, others, _floor(case))
    for look in (_endless, _exchangeable, _contrary, check_relation, _persistent, _cause, _stuck):
        found = list(look(case, way))
        yield from found
        if found:
            return
    yield from _asleep(case, way)
    examples = sum(len(x) for x, _ in case.usable)
    run = way.own or way.best
    case.notes.append(f"{case.steps} steps on {examples} examples: the loss goes {run}")


def _contrary(case: Case, way: Way) -> Iterator[Finding]:
    """A loss that falls while the outputs move away from the targets."""
    if way.learned and way.best.agreement < -0.2 and _falls_against(case, way.best.last):
        yield warning(
            "loss-with-the-wrong-sign",
            f"the loss goes {way.best}, and the outputs then go against the targets: their "
            f"correlation is {way.best.agreement:.2f}",
            "turn the sign: the loss must be lowest where outputs and targets agree",
        )


def _falls_against(case: Case, reached: float) -> bool:
    """Whether outputs that are the targets with the other sign have a loss as low as was reached.

    Not where the outputs are distances, which are low where the targets say that two are alike.
    """
    target, output = case.usable[0][1], case.trial.output
    if target is None or output is None:
        return False
    right = right_scores(output.array, target)
    right = right - right.mean(dtype=np.float64)
    opposite = (-(by * right).astype(output.dtype) for by in (1, 10, 1e3))
    return any(case.asked(y, target) <= reached for y in opposite)


def _persistent(case: Case, way: Way) -> Iterator[Finding]:
    """A momentum that remembers gradients for hundreds of steps."""
    momentum = _momentum(case)
    if momentum > 0.99:
        steps = f"{1 / (1 - momentum):.0f}" if momentum < 1 else "endlessly many"
        yield warning(
            "momentum-too-high",
            f"with momentum={momentum:g} a gradient moves the weights for {steps} steps, as many "
            "times as far as its learning rate says",
            "use momentum=0.9, which is betas=(0.9, ...) of Adam",
        )


def _asleep(case: Case, way: Way) -> Iterator[Finding]:
    """Evaluation mode that does not know what was learned in training mode."""
    run = way.own or way.best
    fell = case.model.training and way.share(run) > STEADY and way.learned
    fixed = [
        path
        for path, norm in case.layers(*BATCH_NORMS)
        if norm.momentum == 0
        and norm.running_mean is not None
        and not norm.running_mean.array.any()
    ]
    if fixed:
        yield warning(
            "evaluation-far-from-training",
            f"momentum=0 in {listed(fixed)}: the running statistics, which evaluation mode "
            "normalises with, stay the 0 and 1 that they began with",
            "use batch norm's momentum=0.1, the weight of the new batch",
        )
    elif fell and not run.asleep <= (run.first + run.last) / 2 + 0.1:
        yield warning(
            "evaluation-far-from-training",
            f"after {case.steps} steps the loss of these examples is {run.last:.4g} in training "
            f"mode, but {run.asleep:.4g} in evaluation mode; it began with {run.first:.4g}",
            "look at what differs between the modes: batch norm's momentum (0.1 is usual) and "
            "small batches; nn.LayerNorm has no such difference",
        )


def _floor(case: Case) -> float:
    """The loss of right answers, which is above 0 where targets are shares, of classes."""
    target, output, first = case.usable[0][1], case.trial.output, case.trial.loss
    if target is None or output is None or target.dtype.kind != "f" or first is None:
        return 0.0
    right = [case.asked(y, target) for y in (target, np.log(np.maximum(target, 1e-6)))]
    return min([loss for loss in right if 0 < loss < first], default=0.0)


def _cause(case: Case, way: Way) -> Iterator[Finding]:
    """What of the recipe is wrong: what makes it better to change."""
    own, steady = way.own, 0.9 if _decay(case) > USUAL_DECAY else STEADY
    if own is None or not (own.diverged or way.share(own) < steady or not way.learned):
        return
    groups = _groups(case)
    steps = f"{case.steps} steps"
    again = functools.partial(train, case, step=case.step)

    def helps(run: Run) -> bool:
        return way.share(way.see(run)) > max(way.share(own), 0.0) + BETTER and way.learned

    if any(group.get("maximize") for group in groups):
        minimized = again("without it", settings={"maximize": False})
        if helps(minimized):
            yield error(
                "loss-is-maximized",
                f"maximize=True: in {steps} the loss goes {own}; {minimized}",
                "leave maximize=True out: the optimizer then makes the loss small",
            )
            return
    if case.step is not None:
        plain, little = way.best, SLOW
        if case.optimizer is not None:
            count = min(own.updates, case.steps)  # of a step that adds up gradients fewer
            plain, little = train(case, ALONE, steps=count), CRAWLS
        if helps(plain) and way.share(own) < little:
            yield _not_by_step(case, own, plain)
            return
    if case.optimizer is None:
        return
    tenth = max((again(_at(case, f), rate=f) for f in RATES[:3]), key=way.share)
    slower = tenth if helps(tenth) else None
    decay = _decay(case)
    if decay:
        free = again("with weight_decay=0", settings={"weight_decay": 0})
        better = way.share(way.see(free)) > way.share(own) + 0.1
        if better and way.learned and way.share(free) > way.share(slower) - 0.1:
            yield error(
                "weight-decay-too-large",
                f"with weight_decay={decay:g} the loss goes {own} in {steps}; {free}: the weight "
                "decay pulls the weights to 0 faster than the loss can move them",
                "use weight_decay=1e-4",
            )
            return
    if own.diverged or (slower is not None and way.share(own) < 0.5):
        yield _too_high(case, own, way, slower)
    elif way.share(own) < SLOW or not way.learned:
        rates = [10.0**k for k in range(1, 9)]
        runs = [way.see(again(_at(case, rate), rate=rate)) for rate in rates]
        faster = max(runs, key=way.share)
        if way.learned and way.share(faster) > way.share(own) + 0.1:
            rate = faster.what.removeprefix("at ")
            cure = f"use a larger learning rate: {rate}"
            if max(group["lr"] for group in groups) * 10.0 ** (runs.index(faster) + 1) > 10:
                cure = (
                    f"the loss falls at {rate}, but no such rate is usual: look for a small factor "
                    "in the loss or the outputs, which makes the gradients small, and leave it out"
                )
            yield warning(
                "learning-rate-too-low", f"in {steps} the loss goes {own}; {faster}", cure
            )
            return
        if case.step is not None:
            whats = (f"{ALONE} {_at(case, rate)}" for rate in rates[:3])
            plain = max((train(case, w, rate=r) for w, r in zip(whats, rates)), key=way.share)
            if helps(plain):
                yield _not_by_step(case, own, plain)
                return
    if way.share(own) < 0.1:
        anew = again("with new weights", prepare=lambda: start_anew(case.model))
        yield from _vanished(case, own, anew if anew.last < LEARNED * anew.first else None)


def _not_by_step(case: Case, own: Run, plain: Run) -> Finding:
    return error(
        "step-does-not-learn",
        f"in {case.steps} steps by your step the loss goes {own}{own.rates}; {plain}",
        "look for what your step does besides: eval(), no_grad(), clipping, another target, a "
        "schedule" + ("; and at its learning rate" if case.optimizer is None else ""),
    )


def _endless(case: Case, way: Way) -> Iterator[Finding]:
    """A loss that fell below 0, and falls as far as one likes with the outputs alone."""
    output, target = case.trial.output, case.usable[0][1]
    if output is None or not way.best.last < 0:
        return
    for sign in (1, -1):
        moved = (output.array + output.dtype.type(sign * by) for by in (1e3, 1e6))
        near, far = (case.asked(y, target) for y in moved)
        if near < 0 and far < 100 * near:
            yield error(
                "loss-without-a-lower-bound",
                f"the loss goes {way.best}, below 0, and to {far:.3g} with outputs that are "
                f"{'higher' if sign > 0 else 'lower'} by a million: it asks for ever larger "
                "numbers, not for the targets",
                "make errors in both directions cost: square them, ((y - t) ** 2).mean(), or take "
                "abs()",
            )
            return
    if way.best.last < -100 * max(abs(way.first), 1.0):
        yield error(
            "loss-without-a-lower-bound",
            f"the loss goes {way.best}, below 0, and there is no end to it: something is taken off "
            "that grows with the weights",
            "add a penalty, do not take it off: loss + 1e-4 * sum((p ** 2).sum() for p in ...)",
        )


def _exchangeable(case: Case, way: Way) -> Iterator[Finding]:
    """A loss that is the same with the targets in another order."""
    target, output = case.usable[0][1], case.trial.output
    if target is None or output is None or len(target) != len(output) or len(target) < 4:
        return
    y = np.random.default_rng(0).uniform(0.1, 0.9, output.shape).astype(output.dtype)
    loss = case.asked(y, target)
    others = [case.asked(y, np.roll(target, by, 0)) for by in (1, 2, len(target) // 2)]
    if not np.ptp(target, axis=0).any() or not np.allclose(others, loss, 1e-4, 1e-9):
        return
    if math.isfinite(case.asked(y, None)):
        case.notes.append("the loss does not look at the targets")
    else:
        yield warning(
            "targets-exchangeable",
            f"the loss of the same outputs stays {loss:.4g} when the targets are exchanged among "
            f"the {len(y)} examples: it does not ask which target belongs to which",
            "compare each output with its own target, and take the mean last: "
            "((y - t) ** 2).mean(); look for what takes the targets out, as label_smoothing=1 does",
        )


def _too_high(case: Case, own: Run, way: Way, slower: Run | None) -> Finding:
    assert case.optimizer is not None
    if slower is None:
        runs = (train(case, _at(case, f), rate=f, step=case.step) for f in RATES)
        slower = next((r for r in runs if r.last < r.first and r.highest < 2 * r.first), None)
    momentum = _momentum(case)
    evidence = f"in {case.steps} steps the loss goes {own}"
    if momentum > 0.95:
        evidence += f"; momentum={momentum:g} adds up the steps"
    if slower is None:
        return error(
            "learning-rate-too-high",
            f"{evidence}, and it does not fall at a millionth of the rate either; {way.best}",
            "use optim.Adam(model.parameters(), lr=1e-3), and nn.init.kaiming_normal_ for the "
            "weights if it was not the optimizer",
        )
    rate = slower.what.removeprefix("at ")
    last = case.trial.calls[-1] if case.trial.calls else None
    if last is not None and last.is_sum:
        return error(
            "summed-loss",
            f"{evidence}; {slower}. The loss is the sum over the {len(case.usable[0][0])} examples "
            "of a batch, and so are its gradients, that many times those of the mean",
            f"take the mean: loss.mean(), or reduction='mean'; or divide the rate, {rate}",
        )
    return error("learning-rate-too-high", f"{evidence}; {slower}", f"try a smaller rate: {rate}")


def _stuck(case: Case, way: Way) -> Iterator[Finding]:
    """Neither the recipe nor Adam makes the loss fall: the gradients and the weights."""
    if way.learned or _knows_already(case, way.first):
        return
    anew = train(case, "with new weights", adam=1e-2, prepare=lambda: start_anew(case.model))
    renewed = anew if anew.last < LEARNED * min(anew.first, way.first) else None
    vanished = list(_vanished(case, way.best, renewed))
    yield from vanished
    dropouts = [m for m in case.model.modules() if isinstance(m, nn.Dropout) and m.training]
    calm = train(case, "with no dropout", adam=1e-2, prepare=lambda: [m.eval() for m in dropouts])
    if dropouts and not vanished and calm.last < LEARNED * calm.first:
        yield error(
            "dropout-too-strong",
            f"in {case.steps} steps the loss goes {way.best}; {calm}: too little gets through "
            f"{len(dropouts)} layers of dropout",
            "use less of it: p=0.2, or one layer",
        )
        return
    if not vanished and not structured(rows(case)):
        case.notes.append("the loss does not fall, but the inputs look like noise")
    elif not vanished:
        yield error(
            "does-not-learn",
            f"in {case.steps} steps on the same {len(case.usable)} batches the loss goes "
            f"{way.best}, and no better at other rates; a net that can learn learns these by heart"
            + (f". It goes {renewed}" if renewed else ""),
            "begin with new weights: layer.reset_parameters()"
            if renewed
            else "look for inputs that all look alike to the model, layers that let nothing pass "
            "(pooling to 1x1, saturated units), or a loss that does not fit the targets",
        )


def _vanished(case: Case, run: Run, anew: Run | None) -> Iterator[Finding]:
    """A gradient that is next to nothing in a layer; anew: a run with new weights that learned."""
    sizes = {
        name: float(np.sqrt(np.mean(np.square(g, dtype=np.float64))))
        for name, g in case.trial.gradients.items()
        if g is not None and g.size
    }
    weights = {name: size for name, size in sizes.items() if case.parameters[name].ndim > 1}
    largest = max(sizes, key=sizes.__getitem__, default="")
    smallest = min(weights, key=weights.__getitem__, default="")
    if weights and weights[smallest] < TINY * sizes[largest]:
        yield error(
            "vanishing-gradients",
            f"the gradient is {weights[smallest]:.1e} on average in {smallest} and "
            f"{sizes[largest]:.1e} in {largest}: on its way back it vanishes. In {case.steps} "
            f"steps the loss goes {run}" + (f"; {anew}" if anew else ""),
            "begin with larger weights: layer.reset_parameters(), or nn.init.kaiming_normal_"
            if anew
            else "use ReLU in place of Sigmoid or Tanh, batch norm between the layers, or fewer",
        )


def start_anew(model: nn.Module) -> None:
    """Initialise every layer again, in the way that layers are."""
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()


def _knows_already(case: Case, first: float) -> bool:
    """Whether the loss is far below that of guessing: a trained model needs not learn."""
    if case.classes:
        return first < 0.7 * math.log(case.classes)
    target = case.target
    if target is None or target.dtype.kind != "f" or case.labels is not None:
        return first < 0.5
    return first < 0.3 * float(target.var())


# ----- words --------------------------------------------------------------------------------------


def _at(case: Case, factor: float = 1.0) -> str:
    rates = sorted({float(group["lr"]) * factor for group in _groups(case)})
    return "at lr=" + ", ".join(f"{rate:g}" for rate in rates)


def _momentum(case: Case) -> float:
    """The largest share of its last step that a parameter goes on with."""
    found = [g.get("momentum") or (g.get("betas") or (0.0,))[0] for g in _groups(case)]
    return max(map(float, found), default=0.0)


def _decay(case: Case) -> float:
    return max((float(g.get("weight_decay") or 0) for g in _groups(case)), default=0.0)


def _groups(case: Case) -> list[dict[str, Any]]:
    return [] if case.optimizer is None else case.optimizer.param_groups
