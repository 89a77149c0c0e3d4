"""What the doctor looks for in the model and its loss, and what one pass over a batch shows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinynet import autograd, nn
from tinynet.grad_mode import enable_grad, no_grad
from tinynet.nn.parameter import Parameter
from tinynet.nn.preserving import preserving
from tinynet.teaching.call import Call
from tinynet.teaching.case import BATCH_NORMS, BINARY, IGNORED, Case, Trial
from tinynet.teaching.report import ERROR, WARNING, Finding, error, listed, warning
from tinynet.tensor import Tensor

MOSTLY_FLAT = 0.75
"""A share of dead units in one ReLU, or of a sigmoid's numbers next to 0 and 1. At initialisation
half is usual at most: in VGG, whose last units all see nearly the same, 0.47 was the highest of all
models here (`tests.long.doctor`)."""

REASONS = {"labels-are-text", "inputs-and-targets-swapped", "batch-norm-with-batch-of-1"}
"""Why a forward pass or a loss fails, where it is known."""
WEIGHTED = {"linear": 1, "conv2d": 1, "matmul": 1}
"""Operations with weights, and the place of these among the arguments."""


def check_weights(case: Case) -> Iterator[Finding]:
    """NaN among parameters and buffers; weights that are all alike, so that units stay alike."""
    tensors = [*case.parameters.items(), *case.model.named_buffers()]
    bad = [
        name
        for name, tensor in tensors
        if tensor.dtype.kind == "f" and not np.isfinite(tensor.array).all()
    ]
    if bad:
        yield error(
            "weights-not-finite",
            f"NaN or infinity in {listed(bad)}",
            "build the model anew, or load a checkpoint from before it diverged; then train with "
            "a smaller learning rate",
        )
    alike = [name for name in case.parameters if _symmetric(case, name)]
    if alike and not bad:
        zero = not any(case.parameters[name].array.any() for name in alike)
        yield error(
            "weights-all-zero" if zero else "weights-all-equal",
            f"the units of {listed(alike)} all have the same weights"
            + (", 0," if zero else "")
            + " and the same gradient: they compute the same, and go on to for ever",
            "break the symmetry with random weights, which layers come with: "
            "layer.reset_parameters(), or nn.init.kaiming_normal_(layer.weight)",
        )


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
    asleep = [path for path, m in case.layers(nn.Dropout, *BATCH_NORMS) if not m.training]
    frozen = tuple(
        f"{path}{end}"
        for path, m in case.model.named_modules()
        if path and _frozen(m)
        for end in ". "
    )
    meant = [path for path in asleep if path.startswith(frozen)]
    if meant:
        case.notes.append(f"frozen, and in evaluation mode: {listed(meant)}")
        asleep = [path for path in asleep if path not in meant]
    if asleep:
        yield warning(
            "evaluation-mode",
            f"in evaluation mode: {listed(asleep)}. There dropout does nothing, and batch norm "
            "uses its running statistics and does not learn them",
            "call model.train() before training (and model.eval() before measuring)",
        )
    dropped = [(call, float(call.setting("p", 1, 0.5))) for call in _calls(case, "dropout")]
    strong = [f"{p:g} in {call.where()}" for call, p in dropped if p >= 0.9]
    scores = case.trial.loss_call.args[0] if case.trial.loss_call else case.trial.output
    last = next(case.trial.back(scores), None)
    if strong:
        yield error(
            "dropout-too-strong",
            f"p is the probability to drop, and it is {listed(strong)}: next to nothing passes",
            "use p=0.5 or less",
        )
    elif last is not None and last.op == "dropout":
        yield error(
            "dropout-on-the-scores",
            f"{last.where()} comes last: it sets the scores of random classes to 0, that of the "
            "right one too",
            "put dropout before the last linear layer, not behind it",
        )


def _frozen(module: nn.Module) -> bool:
    """Whether a module has parameters, none of which is trained."""
    wanted = [p.requires_grad for p in module.parameters()]
    return bool(wanted) and not any(wanted)


def check_batch_of_one(case: Case) -> Iterator[Finding]:
    """Batch norm that sees one example, if only in the last batch of an epoch."""
    names = [path for path, layer in case.layers(*BATCH_NORMS) if layer.training]
    dataset = getattr(case.loader, "dataset", ())
    size, count = len(case.batches[0][0]), len(dataset) if hasattr(dataset, "__len__") else 0
    rest = size > 1 and count % size == 1 and not getattr(case.loader, "drop_last", False)
    if names and (size == 1 or rest):
        seen = "the batch has 1 example"
        if rest:
            seen = f"the last batch of an epoch has 1 example ({count} in batches of {size})"
        yield error(
            "batch-norm-with-batch-of-1",
            f"{seen}, and {listed(names)} normalises over the batch: the statistics are those of "
            "that example alone",
            "use batches of 16 or more, and drop_last=True where the last one would have 1; or "
            "nn.LayerNorm, which normalises each example by itself",
        )


def check_structure(case: Case) -> Iterator[Finding]:
    """Linear layers with nothing between, a layer of one unit, layers that are not registered."""
    own = {id(p) for p in case.parameters.values()}
    foreign, idle, narrow = [], [], []
    weighted = [
        call
        for call in case.trial.calls
        if call.op in WEIGHTED
        and (call.op != "matmul" or isinstance(call.args[WEIGHTED[call.op]], Parameter))
    ]
    for call in case.trial.calls:
        leaves = [x for x in call.args if isinstance(x, Tensor) and x.requires_grad and not x.node]
        foreign += [f"{x.shape} of {call.where()}" for x in leaves if id(x) not in own]
    for call in weighted:
        w = call.args[WEIGHTED[call.op]]
        before = list(case.trial.back(call.args[0]))
        source = next((c for c in before if not _is_linear(c)), None)
        if source in weighted and _feeds_one(case, source) and not _is_separable(call, source):
            idle.append(f"{source.where()} and {call.where()}")
        inputs = w.shape[0] if call.op == "matmul" else w.shape[1]
        if inputs == 1 and call.op != "conv2d" and any(c in weighted for c in before):
            narrow.append(call.where())
    names: dict[int, list[str]] = {}
    for path, module in case.model.named_modules(remove_duplicate=False):
        if any(True for _ in module.parameters()):
            names.setdefault(id(module), []).append(path)
    shared = [listed(places) for places in names.values() if len(places) > 1]
    if shared:
        yield warning(
            "layer-used-several-times",
            f"{shared[0]} are the same layer, with the same weights",
            "make one for each place: [nn.Linear(n, n) for _ in range(4)], not [nn.Linear(n, n)] "
            "* 4; if it is meant to be one, that is well",
        )
    if foreign:
        yield error(
            "parameters-not-registered",
            f"{len(foreign)} weights are used that are not in model.parameters(): "
            f"{listed(foreign, 3)}; the optimizer does not know them",
            "make layers in __init__ and keep them as attributes, a list of them as "
            "nn.ModuleList([...])",
        )
    if idle:
        yield warning(
            "nothing-nonlinear-between",
            f"nothing nonlinear stands between {listed(idle, 2)}: together they are one linear "
            "layer, and learn no more than one",
            "put an activation between them, such as nn.ReLU()",
        )
    if narrow:
        yield warning(
            "layer-of-one-unit",
            f"all that {listed(narrow, 2)} gets of an example is 1 number: the layer before it has "
            "one unit, a bottleneck",
            "give the layer before more units",
        )


def _is_linear(call: Call) -> bool:
    """Whether it has no weights, and leaves a linear function of the example linear."""
    return call.op not in WEIGHTED and (call.op in ("dropout", "batch_norm") or call.is_straight)


def _feeds_one(case: Case, source: Call) -> bool:
    """Whether one operation alone uses a result."""
    return sum(any(x is source.output for x in call.args) for call in case.trial.calls) == 1


def _is_separable(call: Call, source: Call) -> bool:
    """Whether two convolutions are a usual pair: over the pixels, and over the channels."""
    ones = [c for c in (call, source) if c.op == "conv2d" and c.args[1].shape[2:] == (1, 1)]
    return bool(ones) and call.op == source.op == "conv2d"


def check_examples(case: Case) -> Iterator[Finding]:
    """In evaluation mode a model gives each example an answer of its own, the same every time."""
    x, output = case.usable[0][0] if case.usable else case.x, case.trial.output
    if case.trial.error is not None or output is None or len(output) != len(x) or len(x) < 2:
        return
    if any(_over_the_batch(case)) or "parameters-not-registered" in case.found:
        return  # that is the reason
    other = x.copy()
    other[0] = -x[0] if x.dtype.kind == "f" else x[-1]
    asleep = Trial()
    try:
        with preserving(case.model), no_grad(), np.errstate(all="ignore"):
            case.model.eval()
            with autograd.observe(asleep.note):
                first = case.model(Tensor(x)).array
            again, changed, fewer = (case.model(Tensor(x)).array for x in (x, other, x[1:]))
            told = f"gives {len(fewer)} outputs for {len(x) - 1} inputs"
    except Exception as problem:
        fewer, told = None, f"raises {type(problem).__name__}: {problem}"
    if fewer is None or len(fewer) != len(x) - 1:
        yield error(
            "other-batches-fail",
            f"in evaluation mode, on the same batch or one of {len(x) - 1}, the model {told}",
            "keep the size of the batch open: x.reshape(len(x), -1), or x.flatten(1)",
        )
        return
    dropped = [call for call in asleep.calls if call.op == "dropout"]
    if not np.allclose(first, again, equal_nan=True):
        if dropped:  # else it is the model's own noise, which may be meant
            yield error(
                "random-in-evaluation",
                "in evaluation mode the same batch gets other outputs the second time, by up to "
                f"{np.abs(first - again).max():.3g}: {dropped[0].where()} goes on after "
                "model.eval()",
                "use nn.Dropout, which model.eval() turns off, or F.dropout(x, p, self.training)",
            )
    elif not np.allclose(first[1:], changed[1:], rtol=1e-3, atol=1e-4, equal_nan=True):
        moved = int((np.abs(first - changed).reshape(len(x), -1).max(1)[1:] > 1e-4).sum())
        yield error(
            "examples-mixed",
            f"when only example 0 changes, so do the outputs of {moved} of the {len(x) - 1} other "
            "examples: something mixes the examples of a batch",
            "look at every reshape, transpose, mean and softmax: axis 0, the batch, stays first, "
            "as in x.reshape(len(x), -1)",
        )


def check_runs(case: Case) -> Iterator[Finding]:
    """Whether forward pass, loss and backward pass work at all."""
    trial = case.trial
    if trial.error is not None:
        if case.found & REASONS or not case.sound:
            return
        where = {"forward": "the model", "loss": "the loss", "backward": "the backward pass"}
        cure = "the message says what to change"
        if trial.stage == "loss" and case.classes:
            cure = (
                "for class labels the loss is F.cross_entropy; another one takes a number for each "
                f"output: F.one_hot(target, {case.classes}).float()"
            )
        yield error(
            f"{trial.stage}-fails",
            f"{where[trial.stage]} raises {type(trial.error).__name__}: {trial.error}",
            cure,
        )
    elif trial.loss is None:
        yield error(
            "loss-not-a-number",
            f"the loss has shape {trial.loss_shape}; a gradient needs a single number",
            "take the mean over the batch: loss.mean(), or reduction='mean'",
        )
    elif not trial.loss_depends and any(p.requires_grad for p in case.parameters.values()):
        yield error(
            "loss-depends-on-nothing",
            "the loss depends on no parameter that requires a gradient",
            "look for .detach(), .data, .numpy() or no_grad() on the way from the parameters to "
            "the loss, or for frozen parameters (model.requires_grad_())",
        )


def check_gradients(case: Case) -> Iterator[Finding]:
    """Parameters that the loss does not reach."""
    trial = case.trial
    if trial.error is not None or trial.loss is None or not trial.loss_depends:
        return
    idle: list[str] = []
    cut: list[str] = []
    for name, gradient in trial.gradients.items():
        if gradient is None and case.parameters[name].requires_grad:
            owner = case.model.get_submodule(name.rpartition(".")[0])
            (cut if id(owner) in trial.ran else idle).append(name)
    if idle:
        yield error(
            "no-gradient",
            f"no gradient reaches {listed(idle)}: their layers do not run in forward()",
            "call the layers in forward(), or take them out of the model",
        )
    if cut:
        yield error(
            "no-gradient",
            f"no gradient reaches {listed(cut)}, although their layers run",
            "look for .detach(), .data, .numpy() or no_grad() between them and the loss, or for a "
            "result that is not used",
        )


def check_flat_units(case: Case) -> Iterator[Finding]:
    """Units that give the same whatever comes in, and so pass no gradient."""
    if (case.x == case.x.flat[0]).all() or case.found & {"weights-all-zero", "weights-all-equal"}:
        return  # nothing to be said about units that all see the same, or are all the same
    dead, sated, every = [], [], False
    last = next(case.trial.back(case.trial.output), None)
    for call in case.trial.calls:
        if call is last or call.output.ndim < 2 or not call.is_activation:
            continue
        flat, units = call.flat(), call.output.shape[1]
        still = int(flat.all(axis=(0, *range(2, flat.ndim))).sum()) if units > 1 else 0
        if np.isfinite(call.reach()).all():
            if flat.mean() > MOSTLY_FLAT:
                sated.append(f"{flat.mean():.0%} of the numbers in {call.where()}")
        elif still > MOSTLY_FLAT * units:
            dead.append(f"{still} of {units} units in {call.layer or f'a {call.op}'}")
            every |= still == units
    if dead:
        yield Finding(
            "dead-relu",
            ERROR if every else WARNING,
            f"0 for all {len(case.batches[0][0])} examples: {listed(dead)}; through them no "
            "gradient passes",
            "build the model anew (its biases or weights drove everything below 0), use a smaller "
            "learning rate, nn.init.kaiming_normal_, batch norm before the ReLU, or nn.LeakyReLU",
        )
    if sated:
        yield error(
            "saturated-units",
            f"{listed(sated)} lie where the slope is next to 0: hardly any gradient passes",
            "make what goes in smaller: scaled inputs, new weights (layer.reset_parameters()), "
            "batch norm before it; or use nn.ReLU()",
        )
    if dead or sated:
        return
    weights = [p.array for p in case.parameters.values() if p.ndim > 1]
    if weights and not weights[-1].any():
        return  # a usual start: the first step moves the last layer, and the others follow
    if any(_of_one_score(case)):
        return  # that is the reason
    zero = [
        name
        for name, gradient in case.trial.gradients.items()
        if gradient is not None and gradient.size and not gradient.any()
    ]
    fed = {
        name.rpartition(".")[0]
        for name, gradient in case.trial.gradients.items()
        if gradient is not None and gradient.ndim > 1 and gradient.any()
    }
    if zero and all(
        case.parameters[name].ndim == 1 and name.rpartition(".")[0] in fed for name in zero
    ):
        case.notes.append(f"{listed(zero)} cancels in what follows: its gradient is exactly 0")
    elif zero and not any(
        float(call.setting("p", 1, 0.5)) == 1 for call in _calls(case, "dropout")
    ):
        yield warning(
            "zero-gradient",
            f"the gradient is exactly 0 for every number of {listed(zero)}",
            "look at what follows these layers: weights that are all 0, a function that is flat, "
            "inputs that are all 0",
        )


def _over_the_batch(case: Case) -> Iterator[Finding]:
    """A softmax along the examples."""
    for call in (*_calls(case, "softmax"), *_calls(case, "log_softmax")):
        x, axis = call.args[0], call.setting("axis", 1, -1)
        if x.ndim == 2 and axis in (0, -2) and len(x) > 1:
            yield error(
                "softmax-over-the-batch",
                f"{call.where()} runs over axis 0, the examples of the batch: each column adds up "
                f"to 1, and the scores of an example depend on the other {len(x) - 1}",
                "take the axis of the classes: dim=1",
            )


def _of_one_score(case: Case) -> Iterator[Finding]:
    """A softmax at the end of a model with one output."""
    call = next(case.trial.back(case.trial.output), None)
    if call is not None and call.op in ("softmax", "log_softmax") and call.output.shape[1:] == (1,):
        yield error(
            "softmax-of-one-score",
            f"{call.where()} gets one score of each example: its softmax is 1, whatever the score",
            "for one output leave the softmax out and use binary_cross_entropy_with_logits, or "
            "give the last layer an output for each class, and integer labels to cross_entropy",
        )


def _of_several_classes(call: Call | None) -> Iterator[Finding]:
    """Shares of classes that add up to 1, for targets of which several are 1."""
    if call is None or call.op not in (BINARY[0], "cross_entropy"):
        return
    x, target = (np.asarray(getattr(value, "array", value)) for value in call.args[:2])
    if target.dtype.kind != "f" or x.ndim < 2 or x.shape[1] < 2 or target.shape != x.shape:
        return
    most = float(target.sum(axis=1).max())
    if most > 1.01 and (call.op == "cross_entropy" or np.allclose(x.sum(axis=1), 1, atol=1e-4)):
        yield error(
            "targets-out-of-reach",
            f"the targets of an example add up to as much as {most:.3g}, but the probabilities "
            f"that {call.op} compares them with, which come from a softmax, to 1",
            "where several classes can be right at once, give the raw scores to "
            "F.binary_cross_entropy_with_logits; shares of one whole must add up to 1",
        )


def check_scores(case: Case) -> Iterator[Finding]:
    """What goes into the loss: cross_entropy takes raw scores, nll_loss log-probabilities."""
    trial, call = case.trial, case.trial.loss_call
    wrong = [*_over_the_batch(case), *_of_one_score(case)]
    if wrong:
        yield from wrong
        return
    yield from _of_several_classes(call)
    if call is None or not isinstance(call.args[0], Tensor):
        return
    x, maker = call.args[0].array, trial.maker(call.args[0])
    if (
        x.ndim < 2
        or not np.isfinite(x).all()
        or call.op not in (*BINARY, "cross_entropy", "nll_loss")
    ):
        return
    made = f", made by {maker.layer}" if maker is not None and maker.layer else ""
    op = maker.op if maker is not None else ""
    low, high = maker.reach() if maker is not None else (-np.inf, np.inf)
    if call.op == BINARY[0]:
        return
    if call.op == BINARY[1]:
        if low >= 0 and high <= 1:
            yield error(
                "probabilities-before-logits-loss",
                f"binary_cross_entropy_with_logits gets probabilities from {op}{made} (from "
                f"{x.min():.3g} to {x.max():.3g}); it applies the sigmoid itself, so that no "
                "answer gets surer than 0.73",
                f"leave the {op} out of the model, or use binary_cross_entropy",
            )
        return
    sums, logs = x.sum(axis=1), np.log(np.exp(np.minimum(x, 80)).sum(axis=1))
    distribution = x.min() >= 0 and np.allclose(sums, 1, atol=1e-4)
    normalised = x.max() <= 0 and np.allclose(logs, 0, atol=1e-4)
    if call.op == "nll_loss":
        if not normalised:
            yield error(
                "nll-loss-of-scores",
                "nll_loss takes log-probabilities, but those of one example add up to "
                f"{np.exp(logs.flat[0]):.3g} and not to 1",
                "use cross_entropy, which takes the raw scores, or put log_softmax before it",
            )
    elif distribution and x.shape[1] > 1:
        yield error(
            "softmax-before-cross-entropy",
            f"cross_entropy gets probabilities{made} (each row adds up to 1, from "
            f"{x.min():.3g} to {x.max():.3g}); it applies softmax itself, and twice flattens the "
            f"gradient: with {x.shape[1]} classes the loss cannot fall below "
            f"{math.log(1 + (x.shape[1] - 1) / math.e):.2f}",
            "leave the softmax out of the model and give the raw scores to cross_entropy; apply "
            "F.softmax only to look at probabilities",
        )
    elif normalised:
        yield warning(
            "log-softmax-before-cross-entropy",
            f"cross_entropy gets log-probabilities{made}; it applies log_softmax itself, "
            "so that it is computed twice",
            "leave log_softmax out, or use nll_loss in place of cross_entropy",
        )
    elif np.isfinite([low, high]).any():
        yield warning(
            "activation-before-cross-entropy",
            f"the scores for cross_entropy come out of {op}{made} and are limited by it (they run "
            f"from {x.min():.3g} to {x.max():.3g})",
            "end the model with its last linear layer; softmax is part of cross_entropy",
        )


def check_loss(case: Case) -> Iterator[Finding]:
    """A loss at the start that is too high, below 0, or of shapes that do not fit."""
    trial, C, call = case.trial, case.classes, case.trial.loss_call
    if trial.loss is None or trial.output is None:
        return
    N = len(case.usable[0][0])
    crossed = [
        c for c in trial.calls
        if c.output.shape == (N, N) and N > 1
        and {tuple(np.shape(getattr(x, "array", x))) for x in c.args[:2]} == {(N, 1), (N,)}
    ]  # fmt: skip
    if crossed:
        yield error(
            "targets-broadcast",
            f"{crossed[0].where()} takes shapes ({N}, 1) and ({N},), which broadcasting makes "
            f"({N}, {N}): every output is held against every target",
            "make the shapes the same: target.unsqueeze(1), or output.squeeze(1)",
        )
    if not math.isfinite(trial.loss):
        if case.sound:
            yield error(
                "loss-not-finite",
                f"the loss of this batch is {trial.loss}",
                "run it inside `with tinynet.detect_anomaly():`, which names the operation",
            )
        return
    logs = any(c.op in ("log", "log_softmax") for c in trial.calls) and case.classes
    last = trial.calls[-1].op if trial.calls else ""
    made = {id(c.output) for c in _calls(case, "softmax")}
    plain = made and not any(id(c.args[0]) in made for c in _calls(case, "log"))
    if trial.loss < 0 and plain:
        yield error(
            "probabilities-without-log",
            f"the loss is {trial.loss:.4g}, below 0; it gets probabilities from softmax, of which "
            "nobody takes the logarithm",
            "use F.log_softmax in place of F.softmax: kl_div and nll_loss take log-probabilities",
        )
        return
    if trial.loss < 0 and ((call is not None and call.op != "nll_loss") or last == "neg" or logs):
        if not case.found & {"nll-loss-of-scores", "probabilities-before-logits-loss"}:
            yield error(
                "loss-with-the-wrong-sign",
                f"the loss is {trial.loss:.4g}, below 0: to make it small is to make the errors "
                "large",
                "turn the sign: the loss must be 0 for right answers and positive for wrong ones",
            )
        return
    yield from _left_out(case)
    part = call.output.array if call is not None else np.zeros(0)
    if call is not None and part.size == 1 and trial.loss > 10 * float(part) > 0:
        yield warning(
            "loss-beyond-its-part",
            f"the loss is {trial.loss:.4g}, but {call.op} within it only {float(part):.4g}: what "
            "is added to it, or multiplied with, counts for more",
            "make the penalty smaller (a weight decay of 1e-4 is usual), or leave the factor out",
        )
        return
    guessing = math.log(C) if C is not None and C > 1 else math.log(2)
    if call is None or call.op not in ("cross_entropy", BINARY[1]) or call.is_sum:
        return
    blank = case.asked(np.zeros_like(trial.output.array), case.usable[0][1])
    if blank > 10 * guessing:
        yield warning(
            "loss-beyond-its-part",
            f"the loss of outputs that are all 0 is {blank:.4g}; {call.op} alone gives who guesses "
            f"{guessing:.3g}: it is multiplied with something large",
            "make the weights of classes 1 on average, or leave the factor out",
        )
        return
    if call.op != "cross_entropy" or C is None:
        return
    if trial.loss > guessing + max(guessing, 1.5):
        y = trial.output.array
        yield warning(
            "first-loss-too-high",
            f"the loss is {trial.loss:.3g}; who guesses among {C} classes has log({C}) = "
            f"{guessing:.3g}. So the model starts out sure of wrong answers: its scores run from "
            f"{y.min():.3g} to {y.max():.3g}",
            "scale the inputs to standard deviation 1, and make the initial weights smaller, "
            "those of the last layer above all (layers as they come start right)",
        )


def _left_out(case: Case) -> Iterator[Finding]:
    """A class whose examples have no gradient from the loss, be the outputs right or wrong."""
    output, target = case.trial.output, case.usable[0][1]
    if case.trial.error is not None or target is None or output is None or case.labels is None:
        return
    if not target.size == len(target) == len(output):
        return
    still = np.ones(len(target), bool)
    with preserving(case.model), enable_grad():
        for sign in (1, -1):  # where a margin is kept, the opposite answers do not keep it
            y = Tensor(sign * output.array, requires_grad=True)
            try:
                loss = case.loss(y, Tensor(target))
                if loss.requires_grad:
                    loss.backward()
            except Exception:  # of the user's loss, such as that probabilities are below 0
                return
            if y.grad is not None:
                still &= ~y.grad.array.reshape(len(y), -1).any(axis=1)
    target = target.ravel()
    left = [c for c in np.unique(target[target != IGNORED]) if still[target == c].all()]
    if left and not still.all():
        yield error(
            "class-left-out",
            f"the loss has no gradient for {int(np.isin(target, left).sum())} of {len(target)} "
            f"examples, all of class {listed([f'{c:g}' for c in left])}, whatever the outputs "
            "are: the model never learns it",
            f"ignore a label that is no class, such as {IGNORED} (ignore_index), and give each "
            "class a weight; a hinge loss takes targets of 1 and -1: 2 * target - 1",
        )


def _calls(case: Case, op: str) -> list[Call]:
    return [call for call in case.trial.calls if call.op == op]
