"""What the doctor looks for in the model: how it is set, and what one pass over the batch shows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinynet import nn
from tinynet.teaching.case import Case
from tinynet.teaching.report import ERROR, WARNING, Finding, listed

MOSTLY_DEAD = 0.75
"""A share of dead units in one ReLU. At initialisation half is usual at most: in VGG, whose last
units all see nearly the same, 0.47 was the highest of all models here (`tests.long.doctor`)."""

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def check_weights(case: Case) -> Iterator[Finding]:
    """NaN or infinity among parameters and buffers."""
    tensors = [*case.parameters.items(), *case.model.named_buffers()]
    bad = [
        name
        for name, tensor in tensors
        if tensor.dtype.kind == "f" and not np.isfinite(tensor.array).all()
    ]
    if bad:
        yield Finding(
            "weights-not-finite",
            ERROR,
            f"NaN or infinity in {listed(bad)}",
            "build the model anew, or load a checkpoint from before it diverged; then train with "
            "a smaller learning rate",
        )


def check_frozen(case: Case) -> Iterator[Finding]:
    """Parameters that do not ask for a gradient."""
    frozen = [name for name, p in case.parameters.items() if not p.requires_grad]
    if frozen:
        count = sum(case.parameters[name].numel() for name in frozen)
        total = sum(p.numel() for p in case.parameters.values())
        yield Finding(
            "frozen-parameters",
            WARNING if len(frozen) < len(case.parameters) else ERROR,
            f"{len(frozen)} of {len(case.parameters)} parameters ({count:,} of {total:,} numbers) "
            f"do not require a gradient and will stay as they are: {listed(frozen)}",
            "if that is not on purpose: model.requires_grad_()",
        )


def check_modes(case: Case) -> Iterator[Finding]:
    """Dropout or batch norm in evaluation mode, and dropout that drops everything."""
    layers = dict(case.model.named_modules())
    asleep = [
        f"{name} ({type(layer).__name__})"
        for name, layer in layers.items()
        if isinstance(layer, (nn.Dropout, *BATCH_NORMS)) and not layer.training
    ]
    if asleep:
        yield Finding(
            "evaluation-mode",
            WARNING,
            f"in evaluation mode: {listed(asleep)}. There dropout does nothing, and batch norm "
            "uses its running statistics and does not learn them",
            "call model.train() before training (and model.eval() before measuring)",
        )
    drops_all = [
        name for name, layer in layers.items() if isinstance(layer, nn.Dropout) and layer.p == 1
    ]
    if drops_all:
        yield Finding(
            "dropout-drops-all",
            ERROR,
            f"p is the probability to drop, and it is 1 in {listed(drops_all)}: nothing passes",
            "use p=0.5 or less",
        )


def check_batch_of_one(case: Case) -> Iterator[Finding]:
    """Batch norm that sees one example."""
    names = [
        name
        for name, layer in case.model.named_modules()
        if isinstance(layer, BATCH_NORMS) and layer.training
    ]
    if names and len(case.x) == 1:
        yield Finding(
            "batch-norm-with-batch-of-1",
            ERROR,
            f"the batch has 1 example, and {listed(names)} normalises over the batch: the "
            "statistics are those of that example alone",
            "use batches of 16 or more, and drop_last=True where the last one would have 1; or "
            "nn.LayerNorm, which normalises each example by itself",
        )


def check_runs(case: Case) -> Iterator[Finding]:
    """Whether forward pass, loss and backward pass work at all."""
    trial = case.trial
    if trial.error is not None:
        if not case.sound or any(check_batch_of_one(case)):
            return  # that is the reason
        where = {"forward": "the model", "loss": "the loss", "backward": "the backward pass"}
        yield Finding(
            f"{trial.stage}-fails",
            ERROR,
            f"{where[trial.stage]} raises {type(trial.error).__name__}: {trial.error}",
            "the message says what to change",
        )
    elif trial.loss is None:
        yield Finding(
            "loss-not-a-number",
            ERROR,
            f"the loss has shape {trial.loss_shape}; a gradient needs a single number",
            "take the mean over the batch: loss.mean(), or reduction='mean'",
        )
    elif not trial.loss_depends:
        yield Finding(
            "loss-depends-on-nothing",
            ERROR,
            "the loss depends on no parameter that requires a gradient",
            "look for .detach(), .data, .numpy() or no_grad() on the way from the parameters to "
            "the loss, or for frozen parameters (model.requires_grad_())",
        )


def check_gradients(case: Case) -> Iterator[Finding]:
    """Parameters that the loss does not reach."""
    trial = case.trial
    if trial.error is not None or trial.loss is None or not trial.loss_depends:
        return
    owners = {
        f"{path}.{name}" if path else name: module
        for path, module in case.model.named_modules()
        for name, _ in module.named_parameters(recurse=False)
    }
    missing = [
        name
        for name, gradient in trial.gradients.items()
        if gradient is None and case.parameters[name].requires_grad
    ]
    idle = [name for name in missing if id(owners[name]) not in trial.ran]
    cut = [name for name in missing if name not in idle]
    if idle:
        yield Finding(
            "no-gradient",
            ERROR,
            f"no gradient reaches {listed(idle)}: their layers do not run in forward()",
            "call the layers in forward(), or take them out of the model",
        )
    if cut:
        yield Finding(
            "no-gradient",
            ERROR,
            f"no gradient reaches {listed(cut)}, although their layers run",
            "look for .detach(), .data, .numpy() or no_grad() between them and the loss, or for a "
            "result that is not used",
        )


def check_dead_relus(case: Case) -> Iterator[Finding]:
    """ReLUs whose units give 0 for every example, and so pass no gradient."""
    if case.x.std() == 0:
        return  # nothing to be said about units that all see the same
    dead = [r for r in case.trial.relus if r.units > 1 and r.dead > MOSTLY_DEAD * r.units]
    if dead:
        every = any(r.dead == r.units for r in dead)
        places = listed([f"{r.dead} of {r.units} units in {r.layer or 'a relu'}" for r in dead])
        yield Finding(
            "dead-relu",
            ERROR if every else WARNING,
            f"0 for all {len(case.x)} examples: {places}; through them no gradient passes",
            "build the model anew (its biases or weights drove everything below 0), use a smaller "
            "learning rate, nn.init.kaiming_normal_, batch norm before the ReLU, or nn.LeakyReLU",
        )
        return
    zero = [
        name
        for name, gradient in case.trial.gradients.items()
        if gradient is not None and gradient.size and not gradient.any()
    ]
    if zero and not any(isinstance(m, nn.Dropout) and m.p == 1 for m in case.model.modules()):
        yield Finding(
            "zero-gradient",
            WARNING,
            f"the gradient is exactly 0 for every number of {listed(zero)}",
            "look at what follows these layers: weights that are all 0, a function that is flat, "
            "inputs that are all 0",
        )


def check_scores(case: Case) -> Iterator[Finding]:
    """What goes into a class loss: cross_entropy takes raw scores, nll_loss log-probabilities."""
    trial = case.trial
    x = trial.loss_input
    if x is None or x.ndim < 2 or not np.isfinite(x).all():
        return
    layer = f" by {trial.before_loss_layer}" if trial.before_loss_layer else ""
    sums, logs = x.sum(axis=1), np.log(np.exp(np.minimum(x, 80)).sum(axis=1))
    distribution = x.min() >= 0 and np.allclose(sums, 1, atol=1e-4)
    normalised = x.max() <= 0 and np.allclose(logs, 0, atol=1e-4)
    if trial.loss_op == "nll_loss":
        if not normalised:
            yield Finding(
                "nll-loss-of-scores",
                ERROR,
                "nll_loss takes log-probabilities, but those of one example add up to "
                f"{np.exp(logs.flat[0]):.3g} and not to 1",
                "use cross_entropy, which takes the raw scores, or put log_softmax before it",
            )
    elif distribution:
        yield Finding(
            "softmax-before-cross-entropy",
            ERROR,
            f"cross_entropy gets probabilities, made{layer} (each row adds up to 1, from "
            f"{x.min():.3g} to {x.max():.3g}); it applies softmax itself, and twice flattens the "
            f"gradient: with {x.shape[1]} classes the loss cannot fall below "
            f"{math.log(1 + (x.shape[1] - 1) / math.e):.2f}",
            "leave the softmax out of the model and give the raw scores to cross_entropy; apply "
            "F.softmax only to look at probabilities",
        )
    elif normalised:
        yield Finding(
            "log-softmax-before-cross-entropy",
            WARNING,
            f"cross_entropy gets log-probabilities, made{layer}; it applies log_softmax itself, "
            "so that it is computed twice",
            "leave log_softmax out, or use nll_loss in place of cross_entropy",
        )
    elif trial.before_loss in ("relu", "sigmoid", "tanh"):
        yield Finding(
            "activation-before-cross-entropy",
            WARNING,
            f"the scores for cross_entropy come out of {trial.before_loss}{layer} and are limited "
            f"by it (they run from {x.min():.3g} to {x.max():.3g})",
            "end the model with its last linear layer; softmax is part of cross_entropy",
        )


def check_first_loss(case: Case) -> Iterator[Finding]:
    """A loss far above that of guessing, which is log(classes)."""
    trial, C = case.trial, case.classes
    if trial.loss is None:
        return
    if not math.isfinite(trial.loss):
        if case.sound:
            yield Finding(
                "loss-not-finite",
                ERROR,
                f"the loss of this batch is {trial.loss}",
                "run it inside `with tinynet.detect_anomaly():`, which names the operation",
            )
        return
    if trial.loss_op != "cross_entropy" or C is None or C < 2:
        return
    guessing = math.log(C)
    if trial.loss > guessing + max(guessing, 1.5):
        yield Finding(
            "first-loss-too-high",
            WARNING,
            f"the loss is {trial.loss:.3g}; who guesses among {C} classes has log({C}) = "
            f"{guessing:.3g}. So the model starts out sure of wrong answers: its scores run from "
            f"{case.trial.output.min():.3g} to {case.trial.output.max():.3g}",  # type: ignore[union-attr]
            "scale the inputs to standard deviation 1, and make the weights of the last layer "
            "smaller (layers as they come start right)",
        )
