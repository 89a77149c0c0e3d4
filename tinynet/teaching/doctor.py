"""doctor: what is wrong with a training, said before it starts.

    report = tinynet.doctor(model, (x, target), optimizer=optimizer)
    print(report)

The checks stand in `data_checks`, `model_checks`, `loop_checks` and `recipe_checks`; each looks at
the `Case` and yields findings. A new one is a function there and a line in `CHECKS`.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.data import DataLoader
from tinynet.errors import DataError, check_function
from tinynet.nn import functional as F
from tinynet.nn.lazy import is_lazy
from tinynet.optim import Optimizer
from tinynet.teaching import data_checks, loop_checks, model_checks, recipe_checks
from tinynet.teaching.case import Batch, Case
from tinynet.teaching.report import ERROR, Finding, Report, listed
from tinynet.tensor import Tensor
from tinynet.utils.data import Dataset

CHECKS: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "dtype of the inputs": data_checks.check_dtype,
    "NaN in inputs and targets": data_checks.check_finite,
    "layout of the images": data_checks.check_layout,
    "scale of the inputs": data_checks.check_scale,
    "constant and duplicated inputs": data_checks.check_variety,
    "labels": data_checks.check_labels,
    "order of the targets": data_checks.check_order,
    "balance of the classes": data_checks.check_balance,
    "targets of a regression": data_checks.check_targets,
    "targets among the inputs": data_checks.check_leak,
    "validation data": data_checks.check_validation,
    "weights": model_checks.check_weights,
    "training mode and dropout": model_checks.check_modes,
    "batch norm and batch size": model_checks.check_batch_of_one,
    "structure": model_checks.check_structure,
    "forward, loss and backward": model_checks.check_runs,
    "examples by themselves": model_checks.check_examples,
    "gradients reach every parameter": model_checks.check_gradients,
    "dead and saturated units": model_checks.check_flat_units,
    "scores for the loss": model_checks.check_scores,
    "loss at the start": model_checks.check_loss,
    "frozen parameters": loop_checks.check_frozen,
    "parameters of the optimizer": loop_checks.check_optimizer,
    "training step": loop_checks.check_step,
}
LAST = {"short training": recipe_checks.check_recipe}
"""Looked for only where nothing else is an error: with it repaired, another rate is right."""

EXAMPLES = 256
"""So many examples of a loader are looked at, and so many of a single pair are trained on."""


def doctor(
    model: nn.Module,
    batch: Any,
    *,
    loss: Callable[[Any, Any], Tensor] = F.cross_entropy,
    optimizer: Optimizer | None = None,
    step: Callable[[Tensor, Tensor], Any] | None = None,
    validate: Any = None,
    probe_steps: int = 60,
) -> Report:
    """Look at a training before it starts, and say what is wrong: a report, true if nothing is.

    batch: a DataLoader, a dataset or a list of pairs, of which the first batches are taken; or a
    single pair (x, target) of tensors or arrays. loss: as for `training.fit`. optimizer: with it
    the parameters it holds are compared with the model's, and the recipe is tried for `probe_steps`
    steps on these batches (0: not at all), beside others. step: your own training step, a function
    of (x, target): what it does, and in which order, is looked at, and it makes the steps of the
    trial; it may do without an optimizer. validate: the validation data, like batch, which must not
    be trained on.

    Everything is tried on copies: the model, its gradients and modes, the optimizer, the batch
    and all generators are afterwards as they were, bit for bit. (What your own `forward` or `step`
    writes elsewhere is out of reach.)

    Raises TypeError or ValueError for a batch or model that is none; DataError for an empty one.

    >>> import tinynet
    >>> from tinynet import nn
    >>> _ = tinynet.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1))
    >>> report = tinynet.doctor(model, (tinynet.randn(16, 4), tinynet.randint(0, 3, (16,))))
    >>> report.names()
    ['softmax-before-cross-entropy']
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"doctor: the model must be a Module, got {type(model).__name__}")
    check_function("doctor", "loss", loss, "F.cross_entropy")
    lazy = [name for name, layer in model.named_modules() if is_lazy(layer)]
    if lazy:
        raise ValueError(
            f"doctor: the lazy layers {listed(lazy)} have no weights yet; call model(x) once before"
        )
    batch, validate = _loaded(batch), _loaded(validate)
    case = Case(
        model,
        _batches("batch", batch),
        loss,
        optimizer,
        step,
        probe_steps,
        None if _as_pair(batch) else batch,
        [] if validate is None else _batches("validate", validate),
        validate,
    )
    report = Report(_described(case), checks=[*CHECKS, *LAST], notes=case.notes)
    with np.errstate(all="ignore"):
        for check in CHECKS.values():
            report.findings += case.look(check)
    report.findings.sort(key=lambda finding: finding.severity != ERROR)
    if case.trial.loss is not None:
        report.notes.insert(0, f"loss of this batch: {case.trial.loss:.4g}")
    if any(finding.severity == ERROR for finding in report):
        report.notes.append("not tried yet: a short training, since the errors come before it")
    else:
        case.trial.calls[:-1] = []  # the results that they hold are large
        for check in LAST.values():
            report.findings += check(case)
    absent = {
        "the optimizer and its learning rate": optimizer is None,
        "the order of the batches": case.loader is None,
        "the training step": step is None,
        "validation data": validate is None,
    }
    report.notes.append(f"not given: {', '.join(name for name, gone in absent.items() if gone)}")
    return report


def _loaded(given: Any) -> Any:
    """Of a dataset a loader, as `training.fit` makes one; anything else as it is."""
    return DataLoader(given, 32, shuffle=True, seed=0) if isinstance(given, Dataset) else given


def _batches(argument: str, batch: Any) -> list[Batch]:
    """Copies of the first batches; a loader does not notice that it was asked."""
    pair = _as_pair(batch)
    if pair is not None:
        return [_checked(pair)]
    if not hasattr(batch, "__iter__") or isinstance(batch, dict):
        raise TypeError(
            f"doctor: {argument} must be (x, target), a dataset or a DataLoader, got "
            f"{type(batch).__name__}"
        )
    found: list[Batch] = []
    with contextlib.suppress(TypeError):  # of what cannot be copied, such as a generator
        batch = copy.copy(batch)
    for given in itertools.islice(batch, 64):
        pair = _as_pair(given)
        found.append(_checked((_as_array(given), None) if pair is None else pair))
        if sum(len(x) for x, _ in found) >= EXAMPLES:
            break
    if not found:
        raise DataError("doctor: there is no batch to look at")
    return [pair for pair in found if pair[0].shape[1:] == found[0][0].shape[1:]]


def _checked(pair: Batch) -> Batch:
    for name, array in (("inputs", pair[0]), ("targets", pair[1])):
        if array is not None and (array.ndim == 0 or len(array) == 0):
            raise DataError(f"doctor: the batch is empty ({name} of shape {array.shape})")
    if pair[0].dtype.kind not in "iufb":
        raise TypeError(f"doctor: the inputs must be numbers, got {pair[0].dtype}")
    return pair


def _as_pair(batch: Any) -> Batch | None:
    """Copies of (x, target); None for what is no pair of arrays, tensors or lists of numbers."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        return None
    if any(isinstance(part, (tuple, dict)) for part in batch):
        return None
    try:
        return _as_array(batch[0]), _as_array(batch[1])
    except TypeError:
        return None


def _as_array(value: Any) -> np.ndarray:
    if not isinstance(value, (Tensor, np.ndarray, list)):
        raise TypeError(f"doctor: a batch is (x, target), got {type(value).__name__}")
    if isinstance(value, list) and any(isinstance(part, (Tensor, np.ndarray)) for part in value):
        raise TypeError("doctor: a batch is (x, target), got a list of arrays; np.stack them")
    return np.array(value.array if isinstance(value, Tensor) else value)


def _described(case: Case) -> str:
    count = sum(p.numel() for p in case.parameters.values())
    shape = "x".join(map(str, case.batches[0][0].shape))
    text = f"{type(case.model).__name__} with {count:,} parameters, a batch of {shape}"
    if case.classes:
        text += f", {case.classes} classes"
    if case.optimizer is not None:
        rates = sorted({f"{group['lr']:g}" for group in case.optimizer.param_groups})
        text += f", {type(case.optimizer).__name__} with lr {', '.join(rates)}"
    return text
