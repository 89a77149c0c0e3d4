"""What the doctor looks for in the model and its loss, and what one pass over a batch shows."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet import autograd, nn
from tinynet.grad_mode import enable_grad, no_grad
from tinynet.nn.parameter import Parameter
from tinynet.nn.preserving import preserving
from tinynet.teaching.call import Call
from tinynet.teaching.case import (
    BATCH_NORMS,
    BINARY,
    REGRESSION,
    TAKES_SCORES,
    WEIGHTED,
    Case,
    Trial,
    by_target,
    flattened,
    tensors,
)  # fmt: skip
from tinynet.teaching.catalogue import finding
from tinynet.teaching.loop_checks import moved_by_step, penalty
from tinynet.teaching.reached import params_of
from tinynet.teaching.report import ERROR, WARNING, Finding, listed
from tinynet.tensor import Tensor

MOSTLY_FLAT = 0.75
"""A share of dead units in one ReLU, or of a sigmoid's numbers next to 0 and 1. At initialisation
half is usual at most: in VGG, whose last units all see nearly the same, 0.47 was the highest of all
models here (`tests.long.doctor`)."""

REASONS = {"batch-norm-with-batch-of-1", "weights-not-finite", "targets-not-finite"}
"""Why a forward pass or a loss fails, where it is known."""
LARGE_OUTPUT = 100.0
"""Of a new model for a regression, whose outputs are around 1."""
MEANS = (BINARY[0], *REGRESSION)
"""Losses that compare numbers with their targets as they are."""


def check_weights(case: Case) -> Iterator[Finding]:
    """NaN among parameters and buffers; weights that are all alike, so that units stay alike."""
    tensors = {**case.parameters, **dict(case.model.named_buffers())}
    floats = {name: t.array for name, t in tensors.items() if t.dtype.kind == "f"}
    bad = [name for name, array in floats.items() if not np.isfinite(array).all()]
    alike = [name for name in case.parameters if _symmetric(case, name)]
    if bad:
        yield finding("weights-not-finite", names=listed(bad))
    elif alike:
        zero = "" if any(floats[name].any() for name in alike) else ", 0,"
        yield finding("weights-all-equal", names=listed(alike), zero=zero)


def _symmetric(case: Case, name: str) -> bool:
    """Whether units of a layer have equal weights, and gradients that leave them so."""
    w, g = case.parameters[name].array, case.trial.gradients.get(name)
    last = [other for other, p in case.parameters.items() if p.ndim > 1][-1:]
    if w.ndim < 2 or len(w) < 2 or name in last or np.ptp(w, axis=0).max() > 0 or g is None:
        return False
    known = [other for other in case.trial.gradients.values() if other is not None]
    rounding = 1e-6 * max(float(np.abs(other).max(initial=0)) for other in known)
    return bool(g.std(axis=0).max() <= max(0.3 * np.sqrt(np.mean(np.square(g))), rounding))


def check_modes(case: Case) -> Iterator[Finding]:
    """Dropout or batch norm in evaluation mode, dropout that drops too much or the scores."""
    still = [m for m in case.model.modules() if m is not case.model and _frozen(m)]
    frozen = {id(inner) for m in still for inner in m.modules()}
    asleep = [(p, m) for p, m in case.layers(nn.Dropout, *BATCH_NORMS) if not m.training]
    meant = [path for path, m in asleep if id(m) in frozen]
    if meant:
        case.notes.append(f"frozen, and in evaluation mode: {listed(meant)}")
    if len(meant) < len(asleep):
        yield finding("evaluation-mode", names=listed([p for p, _ in asleep if p not in meant]))
    dropped = [(call, float(call.setting("p", 1, 0.5))) for call in case.trial.of("dropout")]
    strong = [f"p is {p:g} in {call.where()}" for call, p in dropped if p >= 0.9]
    for made in (call for call, _ in dropped if call.output.ndim > 1):  # or its mask alone
        x, y = (np.asarray(getattr(a, "array", a)) for a in (made.args[0], made.output))
        rest = tuple(range(1, y.ndim))
        emptied = float((x.any(rest) & ~y.any(rest)).mean())
        if emptied > 0.3:
            strong.append(f"{emptied:.0%} of the examples are set to 0 in {made.layer}")
    call = case.trial.loss_call
    last = case.trial.last(call.args[0] if call else case.trial.output)
    if strong:
        yield finding("dropout-too-strong", strong=listed(strong))
    elif last is not None and last.op == "dropout":
        yield finding("dropout-on-the-scores", where=last.where())


def _frozen(module: nn.Module) -> bool:
    """Whether a module has parameters, none of which is trained."""
    wanted = [p.requires_grad for p in module.parameters()]
    return bool(wanted) and not any(wanted)


def check_batch_of_one(case: Case) -> Iterator[Finding]:
    """Batch norm that sees one example, if only in the last batch of an epoch."""
    names = [path for path, layer in case.layers(*BATCH_NORMS) if layer.training]
    dataset = getattr(case.loader, "dataset", ())
    size, count = len(case.batches[0][0]), len(dataset) if hasattr(dataset, "__len__") else 0
    seen = "the batch has 1 example" if size == 1 else ""
    if size > 1 and count % size == 1 and not getattr(case.loader, "drop_last", False):
        seen = f"the last batch of an epoch has 1 example ({count} in batches of {size})"
    if names and seen:
        yield finding("batch-norm-with-batch-of-1", seen=seen, names=listed(names))


def check_structure(case: Case) -> Iterator[Finding]:
    """Linear layers with nothing between, or not registered; axes that are mixed up."""
    own = {id(p) for p in case.parameters.values()}
    foreign, idle = [], []
    weights = {
        call: call.args[WEIGHTED[call.op]]
        for call in case.trial.of(*WEIGHTED)
        if call.op != "matmul" or isinstance(call.args[1], Parameter)
    }
    known = [case.optimizer, *case.others] if case.watched else case.rivals
    own |= {id(p) for optimizer in known if optimizer for p in params_of(optimizer)}
    for call in case.trial.calls[: case.trial.forward if case.watched else None]:
        leaves = [x for x in call.args if isinstance(x, Tensor) and x.requires_grad and not x.node]
        leaves = leaves if call.made else []  # a teacher is asked within no_grad()
        foreign += [f"{x.shape} of {call.where()}" for x in leaves if id(x) not in own]
    for call in weights:
        before = list(case.trial.back(call.args[0]))
        between = list(itertools.takewhile(lambda c: c not in weights, before))
        one = call.args[0].shape[1:] == (1,) and len(between) < len(before)
        if one and all(c.is_function(leaves=True) for c in between):  # no distance of two
            case.narrow.append(call.where())
        source = next((c for c in before if not _is_linear(c)), None)
        if source in weights and _is_needless(case, source, call):
            pair = f"{source.where()} and {call.where()}"
            if not any(c.op in ("mean", "sum") for c in before[: before.index(source)]):
                idle.append(pair)
    for call in case.trial.of("reshape"):
        before, after = call.args[0].shape, call.output.shape
        wide, moved = ([n for n in shape[1:] if n > 1] for shape in (before, after))
        if before[0] == after[0] and wide != moved and sorted(wide) == sorted(moved):
            yield finding("axes-mixed", where=call.where(), before=before, after=after)
            break
    for call in case.trial.of("matmul"):
        soft = next((c for c in case.trial.back(call.args[0]) if c.op != "dropout"), None)
        if soft is None or soft.op != "softmax" or soft.output.ndim < 3:
            continue
        axis, shape = soft.setting("axis", 1, -1) % soft.output.ndim, soft.output.shape
        if axis == len(shape) - 2 and shape[axis] == shape[-1]:
            yield finding("axes-mixed (attention)", where=soft.where(), axis=axis, shape=shape)
            break
    if foreign:
        yield finding("parameters-not-registered", count=len(foreign), told=listed(foreign, 3))
    if 0 < len(weights) <= 4 * len(idle):  # one of many, as behind a first layer, does no harm
        yield finding("nothing-nonlinear-between", pairs=listed(idle, 2))


def _is_linear(call: Call) -> bool:
    """Whether it has no weights, and leaves a linear function of the example linear.

    Places given as arrays may be those of the largest numbers.
    """
    if call.op == "getitem" and any(isinstance(p, np.ndarray) for p in flattened(call.args[1:])):
        return False
    return call.op not in WEIGHTED and (call.op in ("dropout", "batch_norm") or call.is_straight)


def _is_needless(case: Case, source: Call, call: Call) -> bool:
    """Whether one of two linear layers does nothing: not where others use what is between them.

    Nor for a usual pair of convolutions, over the pixels and over the channels; nor where one of
    them is frozen, or fewer numbers are between, which makes a matrix of low rank.
    """
    both = (source, call)
    if call.op == source.op == "linear" and not all(c.args[1].requires_grad for c in both):
        return False
    wide, narrow = min(source.args[0].shape[-1], call.output.shape[-1]), call.args[0].shape[-1]
    if source.op != "conv2d" and narrow < wide:
        return False
    sizes = [c.args[1].shape[2:] for c in both]
    separable = source.op == call.op == "conv2d" and (1, 1) in sizes
    uses = sum(any(x is source.output for x in c.args) for c in case.trial.leading)
    return uses == 1 and not separable


def check_examples(case: Case) -> Iterator[Finding]:
    """In evaluation mode a model gives each example an answer of its own, the same every time."""
    x, output = case.usable[0][0] if case.usable else case.x, case.trial.output
    N = len(x)
    if case.trial.error is not None or output is None or len(output) != N or N < 2:
        return
    if any(_over_the_batch(case)) or "parameters-not-registered" in case.found:
        return  # that is the reason
    pairs = (case.matches or case.own_loss) and output.shape == (N, N)
    if pairs or (case.own_loss and case.feeds_other):
        return  # a score for each pair of examples; or the model takes other inputs
    other = np.concatenate([x[-1:], x[1:]])
    asleep, problem = Trial(), ""
    try:
        with preserving(case.model), no_grad(), np.errstate(all="ignore"):
            case.model.eval()
            with autograd.observe(asleep.note):
                first = case.first_of(case.model(Tensor(x))).array
            runs = [case.first_of(case.model(Tensor(given))).array for given in (x, other, x[1:])]
        again, changed, fewer = runs
        problem = f"gives {len(fewer)} outputs" if len(fewer) != N - 1 else ""
    except Exception as error:
        problem = f"raises {type(error).__name__}: {error}"
    if problem:
        yield finding("other-batches-fail", fewer=N - 1, problem=problem)
    elif not np.allclose(first, again, equal_nan=True):
        for call in asleep.of("dropout")[:1]:  # else it is the model's own noise, maybe meant
            by = np.abs(first - again).max()
            yield finding("random-in-evaluation", by=by, where=call.where())
    elif not np.allclose(first[1:], changed[1:], rtol=1e-3, atol=1e-4, equal_nan=True):
        moved = int((np.abs(first - changed).reshape(N, -1).max(1)[1:] > 1e-4).sum())
        yield finding("examples-mixed", moved=moved, others=N - 1)


def check_runs(case: Case) -> Iterator[Finding]:
    """Whether forward pass, loss and backward pass work at all."""
    trial, problem = case.trial, case.trial.error
    if problem is not None:
        if case.found & REASONS or (case.own_loss and trial.stage == "forward"):
            return
        cure = "the message says what to change; is the batch (inputs, targets)?"
        flat = getattr(case.target, "ndim", 0) == 1 and getattr(trial.output, "shape", (1,))[-1] > 1
        if trial.several and trial.stage == "loss":
            cure = "of a tuple of outputs take what it wants: lambda y, t: F.cross_entropy(y[0], t)"
        elif "cross_entropy" not in str(problem) and trial.stage == "loss" and flat:
            cure = "for class labels the loss is F.cross_entropy; they are numbers from 0 on: "
            cure += "np.unique(target, return_inverse=True)"
        if trial.output is not None and len(trial.output) != len(case.usable[0][0]):
            cure = "keep the examples apart: x.reshape(len(x), -1) in forward(), or x.flatten(1)"
        swapped = math.nan
        if trial.stage == "loss" and case.target is not None and trial.output is not None:
            swapped = case.asked(case.usable[0][1], trial.output.array)  # type: ignore[arg-type]
            t = case.target
            if t.dtype.kind == "f" and not ((t >= 0) & (t <= 1)).all():
                swapped = math.nan  # it is the targets that are no probabilities
        if math.isfinite(swapped):
            cure = "the loss takes outputs first and targets second: exchange its arguments"
        where = {"forward": "model", "backward": "backward pass"}.get(trial.stage, trial.stage)
        told = f"the {where} raises {type(problem).__name__}: {problem}"
        yield finding(f"{trial.stage}-fails", told=told, cure=cure)
    elif trial.loss is None:
        yield finding("loss-not-a-number", shape=trial.loss_shape)
    elif not trial.loss_depends and case.wanted and not case.unjudged:
        yield finding("loss-depends-on-nothing")


def check_gradients(case: Case) -> Iterator[Finding]:
    """Parameters that the loss does not reach."""
    trial = case.trial
    if trial.error is not None or trial.loss is None or not trial.loss_depends:
        return
    arrived = {name: g for name, g in trial.gradients.items() if g is not None}
    bad = [name for name, g in arrived.items() if not np.isfinite(g).all()]
    if bad and math.isfinite(trial.loss) and not case.own_loss:
        yield finding("gradients-not-finite", told=f"that of {listed(bad)}", loss=trial.loss)
    none = [name for name in case.wanted if trial.gradients[name] is None]
    if none and case.step is not None:  # it may reach them with a loss of its own
        moving, other = moved_by_step(case), {id(p) for o in case.others for p in params_of(o)}
        none = [n for n in none if n not in moving and id(case.parameters[n]) not in other]
    if none:
        owners = [case.model.get_submodule(name.rpartition(".")[0]) for name in none]
        idle = [name for name, owner in zip(none, owners) if id(owner) not in trial.ran]
        why = ": their layers do not run" if idle else ", although their layers run"
        yield finding("no-gradient", names=listed(idle or none), why=why)


def check_flat_units(case: Case) -> Iterator[Finding]:
    """Units that give the same whatever comes in, and so pass no gradient."""
    if (case.x == case.x.flat[0]).all() or "weights-all-equal" in case.found:
        return  # nothing to be said about units that all see the same, or are all the same
    dead, sated = [], []
    last = case.trial.last(case.trial.output)
    for call in case.trial.calls[: case.trial.forward]:
        if call is last or call.output.ndim < 2 or not call.is_activation:
            continue
        flat, units, y = call.flat(), call.output.shape[1], call.output.array
        dull = (flat & (y == y[:1])).all(axis=(0, *range(2, y.ndim)))
        still = int(dull.sum()) if units > 1 else 0
        if np.isfinite(call.reach()).all():
            if flat.mean() > MOSTLY_FLAT:
                sated.append(f"{flat.mean():.0%} of the numbers in {call.where()}")
        elif still > MOSTLY_FLAT * units:
            dead.append(f"{still} of {units} units in {call.layer or f'a {call.op}'}")
    if dead:
        yield finding("dead-relu", N=len(case.batches[0][0]), told=listed(dead))
    if sated:
        yield finding("saturated-units", told=listed(sated))
    if not dead and not sated:
        yield from _zero_gradients(case)


def _zero_gradients(case: Case) -> Iterator[Finding]:
    gradients = {n: g for n, g in case.trial.gradients.items() if g is not None and g.size}
    zero = [name for name, g in gradients.items() if not g.any()]
    if zero and not (zero := _stays_zero(case, zero)):
        return
    fed = {n.rpartition(".")[0] for n, g in gradients.items() if g.ndim > 1 and g.any()}
    biases = [n for n in zero if gradients[n].ndim == 1 and n.rpartition(".")[0] in fed]
    if zero and zero == biases:
        case.notes.append(f"{listed(zero)} cancels in what follows: its gradient is exactly 0")
    elif zero and "dropout-too-strong" not in case.found:
        where = ""
        for c in case.trial.calls[: case.trial.forward]:
            y = c.output.array
            if c.args and y.ndim > 1 and len(y) > 1 and not np.ptp(y, axis=0).any() and not where:
                where = f": {c.where()} gives {y.flat[0]:g} whatever comes in, of shape "
                where += f"{c.args[0].shape}"
        yield finding("zero-gradient", names=listed(zero), where=where)


def _stays_zero(case: Case, names: list[str]) -> list[str]:
    """Those whose gradient is 0 with other weights too: behind new weights of 0 it is not."""
    rng, (x, target) = np.random.default_rng(0), tensors(*case.usable[0])
    with preserving(case.model), enable_grad(), np.errstate(all="ignore"):
        for p in case.wanted.values():
            p.array[...] += 0.01 * rng.standard_normal(p.shape)
        case.passed(x, target).backward()
        grads = {name: case.parameters[name].grad for name in names}
        return [name for name, grad in grads.items() if grad is None or not grad.array.any()]


def _over_the_batch(case: Case) -> Iterator[Finding]:
    """A softmax along the examples."""
    for call in case.trial.of("softmax", "log_softmax"):
        x, axis = call.args[0], call.setting("axis", 1, -1)
        if x.ndim > 1 and axis in (0, -x.ndim) and 1 < len(x) == len(case.usable[0][0]):
            yield finding("softmax-over-the-batch", where=call.where())


def check_scores(case: Case) -> Iterator[Finding]:
    """What goes into the loss: cross_entropy takes raw scores, nll_loss log-probabilities."""
    wrong, call = list(_over_the_batch(case)), case.trial.loss_call
    yield from wrong
    if wrong or call is None or not isinstance(call.args[0], Tensor):
        return
    x = call.args[0].array
    if x.ndim < 2 or not np.isfinite(x).all():
        return
    shared = [a for a in range(1, x.ndim) if np.allclose(x.sum(axis=a), 1, atol=1e-4)]
    axes = [1] if call.op == "cross_entropy" else shared if call.op in MEANS else []
    most = max((_most_of(call, axis) for axis in axes), default=0.0)
    share = np.exp(np.minimum(x, 80)).sum(axis=1)
    if most > 1.01:
        yield finding("targets-out-of-reach (several)", most=most, op=call.op)
    if call.op == "nll_loss" and not (x.max() <= 0 and np.allclose(share, 1, atol=1e-4)):
        yield finding("nll-loss-of-scores", share=share.flat[0])


def check_reach(case: Case) -> Iterator[Finding]:
    """Scores for a softmax of the loss, or at the end of the model, that cannot be far apart."""
    last, trial = case.trial.last(case.trial.output), case.trial
    if "softmax-over-the-batch" in case.found:
        return
    for call in [*([last] if last else []), *trial.calls[trial.forward :]]:
        if call.op not in TAKES_SCORES or not isinstance(call.args[0], Tensor):
            continue
        x, maker = call.args[0].array, trial.maker(call.args[0])
        if x.ndim < 2 or maker is None or not np.isfinite(x).all():
            continue
        (low, high), C = maker.reach(), x.shape[1]
        if not np.isfinite([low, high]).any() and call.args[0] is trial.output:
            low, high = case.limits()
        least = math.log(1 + max(C - 1, 1) * math.exp(low - high))
        if maker.op == "log_softmax":
            told = f"{call.op} gets log-probabilities: leave log_softmax out, or use nll_loss"
            case.notes.append(told)
        elif least > 0.1 or (np.isfinite(low) != np.isfinite(high) and (low > -5 or high < 5)):
            made = maker.op + (f", made by {maker.layer}" if maker.layer else "")
            values = {"low": low, "high": high, "least": least, "made": made, "op": maker.op}
            seen = f"from {x.min():.3g} to {x.max():.3g}"
            severity = WARNING if least < 0.1 else ERROR
            yield finding("scores-out-of-reach", severity, loss=call.op, seen=seen, **values)
            return


def _most_of(call: Call, axis: int) -> float:
    """The largest sum of the targets along an axis, where they are shares of classes."""
    x, target = (np.asarray(getattr(value, "array", value)) for value in call.args[:2])
    if target.dtype.kind != "f" or x.shape[axis] < 2 or target.shape != x.shape:
        return 0.0
    return float(target.sum(axis).max())


def check_loss(case: Case) -> Iterator[Finding]:
    """A loss at the start that is too high, below 0, or of shapes that do not fit."""
    trial, call, loss = case.trial, case.trial.loss_call, case.trial.loss
    if loss is None or trial.output is None:
        return
    N = len(case.usable[0][0])
    for crossed in trial.calls:
        pair = [x for x in crossed.args[:2] if hasattr(x, "shape")]
        shapes, wide = sorted((x.shape for x in pair), key=len)[::-1], crossed.output.shape
        if len(shapes) < 2 or all(getattr(x, "requires_grad", False) for x in pair):
            continue
        each = shapes[0] == (N, 1, *shapes[1][1:]) and wide[:2] == (N, N) and N == len(pair[0]) > 1
        if each or (crossed.op == "sub" and (N, 1) in shapes and _interchangeable(case, pair)):
            yield finding("targets-broadcast", where=crossed.where(), shapes=shapes, made=wide)
            return
    if call is not None and call.op not in REGRESSION and _exchanged(*call.args[:2]):
        yield finding("loss-fails (exchanged)", op=call.op)
        return
    if "axes-mixed" not in case.found and case.asks:
        yield from _of_others(case)
    if not math.isfinite(loss):
        if "weights-not-finite" not in case.found:
            yield finding("loss-not-finite", loss=loss)
        return
    if loss < 0:
        logs = (c for log in trial.of("log") for c in trial.back(log.args[0]))
        known = trial.of("cross_entropy", "log_softmax") or any(c.op == "softmax" for c in logs)
        if trial.of("softmax") and not known:
            yield finding("probabilities-without-log", loss=loss)
            return
    yield from _left_out(case)
    found = [] if call is None else list(_too_high(case, call, loss))
    yield from found
    if not (found or case.own_loss or case.trial.several):
        yield from penalty(case)


def _exchanged(first: Any, second: Any = None) -> bool:
    """Whether a gradient goes into the targets of a loss alone."""
    return bool(getattr(second, "requires_grad", False)) and not first.requires_grad


def _interchangeable(case: Case, pair: list[Any]) -> bool:
    """Whether the outputs of an example are among them, and it does not matter which is which."""
    y = case.trial.output
    if y is None or y.ndim != 2 or y.shape[1] < 2 or not any(x is y for x in pair):
        return False
    given = np.random.default_rng(0).uniform(0.1, 0.9, y.shape).astype(y.dtype)
    one, other = (case.asked(z, case.usable[0][1]) for z in (given, given[:, ::-1]))
    return bool(np.isclose(one, other, 1e-4, 0))


def _too_high(case: Case, call: Call, loss: float) -> Iterator[Finding]:
    """A loss that is far above its part, or above that of who guesses."""
    C, y = case.classes, case.trial.output.array  # type: ignore[union-attr]
    part = float(call.output.array) if call.output.array.size == 1 else 0.0
    factor = call.output.grad.item() if part and call.output.grad is not None else 1.0
    part *= max(factor, 1.0)  # a factor makes a large part of it, not a small one
    guessing = math.log(C) if C is not None and C > 1 else math.log(2)
    values: dict[str, Any] = {"loss": loss, "op": call.op, "part": part, "C": C}
    if loss > 10 * part > 0 or (loss < 0 < min(part, factor)):
        yield finding("loss-beyond-its-part", **values)
    high_at = case.blank * (1 + max(1, 1.5 / guessing)) if call.op == "cross_entropy" and C else 0.0
    if call.op in REGRESSION and np.abs(y).max() > LARGE_OUTPUT:
        high_at = 100 * case.blank
    low, high = y.min(), y.max()
    ends = np.isfinite(case.limits()).any()  # then the weights are not the reason
    if loss > high_at > 0 and high > 0 and not ends:  # distances are below 0, and may be large
        yield finding("first-loss-too-high", blank=case.blank, low=low, high=high, **values)


def _of_others(case: Case) -> Iterator[Finding]:
    """A loss that holds outputs against the target of another place, or of any."""
    output, target, rng = case.trial.output, case.usable[0][1], np.random.default_rng(0)
    if case.trial.several or target is None or output is None or len(target) != len(output):
        return
    y = output.array
    slope = case.slopes(y, target)  # if it draws, then the same each time
    others = np.flatnonzero(target != target.flat[0])
    if slope is None or len(target) < 4 or not len(others):
        return
    missed, even, tried = [], 0, min(12, len(others))
    for k in rng.choice(others, tried, replace=False):
        changed = target.copy()
        changed.flat[k] = target.flat[0]
        after, place = case.slopes(y, changed), np.unravel_index(k, target.shape)
        if after is None:
            return
        moved = np.abs(after - slope)
        heat = by_target(moved, target)
        heat = moved.reshape(len(moved), -1).sum(1) if heat is None else heat
        even += bool(heat.any() and np.allclose(heat, heat[place[: heat.ndim]], 0.01))
        if heat[place[: heat.ndim]] < 0.5 * heat.max():
            missed.append((place, np.unravel_index(heat.argmax(), heat.shape)))
    if len(missed) > 0.7 * tried:
        at = [[int(i) for i in place] for place in missed[0]]
        values = {"count": len(missed), "tried": tried, "place": at[0], "there": at[1]}
        yield finding("axes-mixed (loss)", shapes=(y.shape, target.shape), **values)
    elif even == tried:
        yield finding("targets-exchangeable", N=len(y))


def _left_out(case: Case) -> Iterator[Finding]:
    """Examples, or a class of them, without a gradient, be the outputs right or wrong."""
    output, target, rng = case.trial.output, case.usable[0][1], np.random.default_rng(0)
    if target is None or output is None or case.trial.several or case.words:
        return
    if case.labels is None and not case.classes:
        return
    still = np.ones((2, *target.shape), bool)
    for sign in (1, -1):  # where a margin is kept, the opposite answers do not keep it
        for flags, given in zip(still, (target, target[::-1])):
            pull = case.pull(sign * rng.permutation(output.array), given)
            if pull is None:  # the loss refuses it, such as probabilities below 0
                return
            flags &= pull == 0
    counts = (target != case.ignored) & ((target >= 0) | (case.classes is None))
    idle = still[0] & counts
    left = [c for c in np.unique(target[counts]) if idle[target == c].all()]
    if np.array_equal(*still) and idle.any():
        yield finding("examples-left-out", count=idle.sum(), N=target.size, first=idle.argmax())
    elif left and not still[0].all():
        count, names = int(np.isin(target, left).sum()), listed([f"{c:g}" for c in left])
        yield finding("class-left-out", count=count, N=len(target), names=names)
