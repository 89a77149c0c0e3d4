"""What the doctor learns from short trainings: whether the recipe works, and if not, why.

The recipe is tried on copies, beside Adam at two usual rates. What the loss does then is held
against the best of them. Where it does much worse, one thing of the recipe is changed at a time:
what makes the loss fall is what was wrong.
"""

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.teaching import relation
from tinynet.teaching.case import BATCH_NORMS, Case
from tinynet.teaching.catalogue import finding
from tinynet.teaching.experiment import BETTER, LEARNED, Run, Way, train
from tinynet.teaching.loop_checks import why_not
from tinynet.teaching.report import Finding, listed

STEADY = 0.6
"""A recipe that covers this share of the way to the best loss is not looked at any further."""
CRAWLS = 0.2
"""A step of one's own that covers less, where the plain loop covers much more, does not learn."""
BURST = 100.0
"""A loss that is at times so many times the first has learned nothing by where it began."""
SLOW = 0.05
"""A recipe crawls that lowers the loss by less than this share of what Adam at 0.001 does."""
TINY = 1e-4
"""The gradient of a layer has vanished that is smaller than this share of the largest."""
USUAL_DECAY = 0.02
"""Above this, weight decay is looked at sooner: it is 1e-4 to 0.01 as a rule."""
SETTINGS = (
    ("maximize", False, BETTER, "loss-is-maximized"),
    ("weight_decay", 0, 0.1, "weight-decay-too-large"),
    ("eps", 1e-8, BETTER, "eps-too-large"),
    ("lr_decay", 0, BETTER, "learning-rate-falls-too-fast"),
)
"""Settings of an optimizer, the usual one, how much more it must learn with this, and the name."""
SURELY = 5.0
"""Targets of similar inputs are alike beyond doubt by so many deviations from chance."""
ENOUGH = 20
"""In fewer steps than this only a rate that is too high shows."""
NEW_WEIGHTS = "begin with other weights: layer.reset_parameters(), or nn.init.kaiming_normal_"
ALONE = "with zero_grad, backward and step alone"
RATES = tuple(10.0**k for k in (-1, -2, -3, -4, -5, -6))


def check_recipe(case: Case) -> Iterator[Finding]:
    """A short training by the recipe, and by variations of it where it does not learn."""
    try:
        yield from _recipe(case)
    except Exception as problem:  # of the user's model, loss, optimizer or step
        told = f"{type(problem).__name__}: {problem}"
        yield finding("training-fails", steps=case.steps, batches=len(case.usable), told=told)


def _recipe(case: Case) -> Iterator[Finding]:
    trial, optimizer, groups = case.trial, case.optimizer, _groups(case)
    idle, own = sum(not group["lr"] for group in groups), None
    ready = case.steps > 0 and not trial.error and math.isfinite(trial.loss or 0.0)
    if ready and (optimizer is not None or case.step is not None):
        own = train(case, _at(case) if optimizer else "by your step", step=case.step)
        idle = own.idle
    if idle and (own is not None or case.step is None):
        cure = "set lr, such as lr=0.01 for SGD or lr=1e-3 for Adam"
        if _largest(case, "initial_lr"):
            cure = "let the warm-up of the schedule begin above 0: lambda k: min(1, (k + 1) / 500)"
        yield finding("learning-rate-zero", idle=idle, groups=len(groups), cure=cure)
        return
    if not ready or case.steps < ENOUGH:
        if own is not None and own.diverged and optimizer is not None:
            yield _too_high(case, own, Way(own, []), None)
        return
    others = [train(case, f"with Adam at lr={lr:g}", adam=lr) for lr in (1e-2, 1e-3)]
    way = Way(own, others, _floor(case))
    if case.watched and way.best.last < 0:
        case.unjudged = "the step's own loss goes below 0, so what is learned is not judged"
        return
    for look in (_contrary, relation.check_relation, _persistent, _falling, _narrow, _cause, _stuck,
                 _asleep):  # fmt: skip
        if case.watched and look not in (_persistent, _falling, _cause):
            continue
        found = list(look(case, way))
        yield from found
        if found:
            return
    examples = sum(len(x) for x, _ in case.usable)
    case.notes.append(f"{case.steps} steps on {examples} examples: the loss goes {way.shown}")


def _contrary(case: Case, way: Way) -> Iterator[Finding]:
    """A loss that falls where the answers are wrong or all the same, or falls without end."""
    C, best = case.classes or 1, way.best
    too_high = "first-loss-too-high" in case.found
    fast = (1.0, 100.0) if best.last < 0 else ()  # with no end to it, it falls in proportion
    lowest = min([best.last, *(train(case, adam=lr).last for lr in fast)])
    if way.learned and C > 1 and best.recall < 0.5 / C:
        seen = f"and then {best.recall:.1%} of the answers are right, less than by chance"
        yield finding("loss-with-the-wrong-sign", run=best, seen=seen)
    elif way.learned and best.last < 0.2 * way.first and _agreement_costs(case):
        yield finding("loss-with-the-wrong-sign", run=best, seen="and is highest where they agree")
    elif lowest < -20 * max(abs(way.first), 1.0):
        yield finding("loss-without-a-lower-bound", run=best)
    elif 0 < best.last < 0.01 * way.first and best.spread < 0.05 and not too_high:
        seen = "and then the outputs of all examples are the same: it asks for nothing else"
        yield finding("loss-with-the-wrong-sign", run=best, seen=seen)
    elif way.learned and case.is_contrary:
        seen = "and is lower where the outputs go against the targets than where they go along"
        yield finding("loss-with-the-wrong-sign", run=best, seen=seen)


def _agreement_costs(case: Case) -> bool:
    """Whether the loss of probabilities is higher for right answers than for wrong ones."""
    target, output = case.usable[0][1], case.trial.output
    if output is None or target is None or target.shape != output.shape:
        return False
    inner = [c for c in case.trial.of("sigmoid") if c.args[0] is output]
    right, wrong = (target, 1 - target) if not inner else (40 * target - 20, 20 - 40 * target)
    shares = inner or (output.array.min() >= 0 and output.array.max() <= 1)
    binary = shares and np.isin(target, (0, 1)).all()
    return bool(binary and case.asked(right, target) > case.asked(wrong, target))


def _narrow(case: Case, way: Way) -> Iterator[Finding]:
    """A layer that gets one number of each example, where much is left to learn."""
    if case.narrow and way.best.last > 0.3 * way.first:
        yield finding("layer-of-one-unit", places=listed(case.narrow, 2), run=way.best)


def _persistent(case: Case, way: Way) -> Iterator[Finding]:
    """A momentum that remembers gradients for hundreds of steps."""
    momentum = _momentum(case)
    if momentum > 0.99:
        yield finding("momentum-too-high", momentum=momentum)


def _falling(case: Case, way: Way) -> Iterator[Finding]:
    """A schedule with which much less is learned than with the rate that was set, held."""
    own, initial = way.own, _largest(case, "initial_lr")
    if own is None or case.step is None:
        return
    low = own.most < 0.01 * initial
    if low or own.fell <= 0.1:
        settings = {"lr": initial} if low else {}
        what = f"at lr={initial:g}" if low else f"{_at(case)} held"
        held = way.see(train(case, what, held=True, settings=settings, step=case.step))
        far = held.last - way.floor < 0.6 * (own.last - way.floor)
        if way.learned and (far or way.share(own) < 0.2 * way.share(held)):
            row = "learning-rate-too-low (schedule)" if low else "learning-rate-falls-too-fast"
            told = {"most": own.most, "initial": initial}
            yield finding(row, own=own, held=held, steps=case.steps, **told)


def _asleep(case: Case, way: Way) -> Iterator[Finding]:
    """Evaluation mode that does not know what was learned in training mode."""
    run, norms = way.shown, case.layers(*BATCH_NORMS)
    slow = [f"momentum={n.momentum:g} in {path}" for path, n in norms
            if n.training and n.momentum is not None and n.momentum < 0.003]  # fmt: skip
    fell = case.model.training and way.share(run) > STEADY and way.learned
    if slow or (fell and not run.asleep <= (run.first + run.last) / 2 + 0.1):
        told = f"; with {listed(slow)} the running statistics hardly move" if slow else ""
        yield finding("evaluation-far-from-training", steps=case.steps, run=run, told=told)


def _floor(case: Case) -> float:
    """The loss of right answers, which is above 0 where targets are shares, of classes."""
    target, output, first = case.usable[0][1], case.trial.output, case.trial.loss
    if target is None or output is None or target.dtype.kind != "f" or first is None:
        return 0.0
    right = [case.asked(y, target) for y in (target, np.log(np.maximum(target, 1e-6)))]
    return min([loss for loss in right if 0 < loss < first], default=0.0)


def _cause(case: Case, way: Way) -> Iterator[Finding]:
    """What of the recipe is wrong: what makes it better to change."""
    own, steps, decay = way.own, case.steps, _largest(case, "weight_decay")
    steady = 0.9 if decay > USUAL_DECAY else STEADY
    burst = own is not None and own.highest > BURST * abs(own.first)
    if own is None or not (burst or own.diverged or way.share(own) < steady or not way.learned):
        return
    again = functools.partial(train, case, step=case.step)
    if case.sums:
        mean = again(_at(case, 1 / case.added_up), rate=1 / case.added_up)
        if way.helps(mean, 0.1):
            yield _too_high(case, own, way, mean)
            return
    if case.step is not None:
        plain, little = way.best, SLOW * way.share(way.usual)
        if case.optimizer is not None:
            count = min(len(own.used), steps)  # of a step that adds up gradients fewer
            plain, little = train(case, ALONE, steps=count), CRAWLS
        known = why_not(case) if way.helps(plain) else None
        if known is not None:
            yield known
            return
        if case.optimizer is None and own.highest > 2 * abs(own.first):
            yield _too_high(case, own, way, None)
            return
        if case.optimizer is not None and own.most > 2 * max(own.used[0]):  # by a schedule
            lower = way.calmest([again(_at(case, f), rate=f) for f in RATES[:3]])
            if way.helps(lower):
                yield _too_high(case, own, way, lower)
                return
        if way.helps(plain) and way.share(own) < little:
            if (case.rivals or case.feeds_other) and own.last < own.first:
                case.notes.append("the step has batches or another model of its own: not compared")
            else:
                rate = "; and at its learning rate" if case.optimizer is None else ""
                yield finding("step-does-not-learn", steps=steps, own=own, other=plain, rate=rate)
            return
    if case.optimizer is None:
        return
    tenth = way.calmest([again(_at(case, f), rate=f) for f in RATES[:3]])
    slower = tenth if way.helps(tenth) else None
    for setting, usual, least, row in SETTINGS:
        given = _largest(case, setting)
        if given > usual:
            other = again(f"with {setting}={usual:g}", settings={setting: usual})
            if way.helps(other, least) and way.share(other) > way.share(slower) - 0.1:
                told = {"setting": setting, "given": given, "usual": usual, "own": own}
                yield finding(f"{row} (setting)", steps=steps, other=other, **told)
                return
    calmer = tenth if burst and tenth.last < 0.5 * own.last else None
    if own.diverged or calmer or (slower is not None and way.share(own) < 0.5):
        yield _too_high(case, own, way, slower or calmer)
        return
    crawls = way.share(own) < SLOW * way.share(way.usual) or not way.learned
    found = list(_too_low(case, own, way)) if crawls else []
    yield from found
    if found or _knows_already(case, way.first):
        return
    renewed = [again("with new weights", prepare=case.start_anew) for _ in range(2)]
    anew = max(renewed, key=lambda run: run.last)  # that others are better may be luck
    if way.share(own) < 0.1:
        found += _vanished(case, own, anew if anew.last < LEARNED * anew.first else None)
    gained, fell = own.last - anew.last, anew.last * own.first < 0.75 * own.last * anew.first
    if not found and fell and gained > 0.25 * max(own.last, own.first - anew.last):
        told = {"own": own, "other": anew, "cure": NEW_WEIGHTS}
        found.append(finding("initial-weights-hinder", steps=steps, **told))
    yield from found


def _too_low(case: Case, own: Run, way: Way) -> Iterator[Finding]:
    """A larger rate with which the loss falls."""
    rates = (10.0**k for k in range(1, 9))
    runs = [way.see(train(case, _at(case, f), rate=f, step=case.step)) for f in rates]
    faster = way.calmest(runs)
    if way.learned and way.share(faster) > way.share(own) + 0.1:
        rate = faster.what.removeprefix("at ")
        yield finding("learning-rate-too-low", steps=case.steps, own=own, other=faster, rate=rate)


def _too_high(case: Case, own: Run, way: Way, slower: Run | None) -> Finding:
    if slower is None and case.optimizer is not None:
        runs = (train(case, _at(case, f), rate=f, step=case.step) for f in RATES)
        slower = next((r for r in runs if r.last < r.first and r.highest < 2 * r.first), None)
    momentum, row, what, calls = _momentum(case), "learning-rate-too-high", "", case.trial.calls
    added = f"; momentum={momentum:g} adds up the steps" if momentum > 0.95 else ""
    other, steps, N = slower or way.best, case.steps, len(case.usable[0][0])
    if slower is not None and calls and calls[-1].is_sum:
        row, what = "summed-loss", f"the sum over the {N} examples of a batch"
    elif slower is not None and case.sums:
        row, what = "summed-loss", f"added up over {case.added_up} batches"
    rate = other.what.removeprefix("at ")
    if own.used and own.most > 2 * max(own.used[0]):
        rate = f"let the schedule go up to {other.most:.3g} in place of {own.most:.3g}"
    if case.optimizer is None:
        rate = "make the steps of your own shorter: p.data -= 0.01 * p.grad, or a tenth of that"
    return finding(row, steps=steps, own=own, added=added, other=other, rate=rate, what=what)


def _stuck(case: Case, way: Way) -> Iterator[Finding]:
    """Neither the recipe nor Adam makes the loss fall: the gradients and the weights."""
    if _knows_already(case, way.first) or "zero-gradient" in case.found:
        return  # the last is a reason
    given, call = relation.examples(case), case.trial.loss_call
    guess = case.blank if case.classes and call and call.op == "cross_entropy" else 0.0
    guessed = way.first > guess > 0 and way.best.last > LEARNED * guess
    if way.learned and not (guessed and given and relation.closer_than_chance(given) > SURELY):
        return
    anew = train(case, "with new weights", adam=1e-2, prepare=case.start_anew)
    renewed = anew if anew.last < LEARNED * min(anew.first, way.first) else None
    vanished = list(_vanished(case, way.best, renewed))
    if vanished:
        yield from vanished
        return
    if not relation.structured(relation.rows(case)):
        case.notes.append("the loss does not fall, but the inputs look like noise")
        return
    cure = "look for inputs that all look alike, layers that let nothing pass, much dropout"
    told = {"run": way.best, "cure": NEW_WEIGHTS if renewed else cure, "steps": case.steps}
    better = f"; {renewed}" if renewed else ""
    yield finding("does-not-learn", N=len(case.usable), renewed=better, **told)


def _vanished(case: Case, run: Run, anew: Run | None) -> Iterator[Finding]:
    """A gradient that is next to nothing in a layer; anew: a run with new weights that learned."""
    sizes = {
        name: float(np.sqrt(np.mean(np.square(g, dtype=np.float64))))
        for name, g in case.trial.gradients.items()
        if g is not None and g.size
    }
    weights = {name: size for name, size in sizes.items() if case.parameters[name].ndim > 1}
    if weights and min(weights.values()) < TINY * max(sizes.values()):
        names = min(weights, key=weights.__getitem__), max(sizes, key=sizes.__getitem__)
        size, cure = [sizes[name] for name in names], NEW_WEIGHTS
        if not anew:
            cure = "use ReLU in place of Sigmoid and Tanh, batch norm, x + f(x) in place of f(x)"
        values = {"names": names, "size": size, "steps": case.steps, "run": run, "cure": cure}
        yield finding("vanishing-gradients", renewed=f"; {anew}" if anew else "", **values)


def _knows_already(case: Case, first: float) -> bool:
    """Whether the loss is far below that of guessing: a trained model needs not learn."""
    if case.classes:
        return first < 0.7 * math.log(case.classes)
    return case.target is None or first < 0.3 * float(case.target.var())


# ----- words --------------------------------------------------------------------------------------


def _at(case: Case, factor: float = 1.0) -> str:
    rates = sorted({float(group["lr"]) * factor for group in _groups(case)})
    return "at lr=" + ", ".join(f"{rate:g}" for rate in rates)


def _momentum(case: Case) -> float:
    """The largest share of its last step that a parameter goes on with."""
    found = [g.get("momentum") or (g.get("betas") or (0.0,))[0] for g in _groups(case)]
    return max(map(float, found), default=0.0)


def _largest(case: Case, setting: str) -> float:
    return max((float(group.get(setting) or 0) for group in _groups(case)), default=0.0)


def _groups(case: Case) -> list[dict[str, Any]]:
    return [] if case.optimizer is None else case.optimizer.param_groups
