"""doctor: what is wrong with a training, said before it starts.

    report = tinynet.doctor(model, (x, target), optimizer=optimizer)
    print(report)

The checks stand in `data_checks`, `model_checks` and `learning_checks`; each looks at the `Case`
and yields findings. A new one is a function there and a line in `CHECKS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet import nn
from tinynet.errors import DataError
from tinynet.nn import functional as F
from tinynet.optim import Optimizer
from tinynet.teaching import data_checks, learning_checks, model_checks
from tinynet.teaching.case import Case
from tinynet.teaching.report import ERROR, Finding, Report
from tinynet.tensor import Tensor

CHECKS: dict[str, Callable[[Case], Iterator[Finding]]] = {
    "dtype of the inputs": data_checks.check_dtype,
    "NaN in the inputs": data_checks.check_finite,
    "layout of the images": data_checks.check_layout,
    "scale of the inputs": data_checks.check_scale,
    "constant and duplicated inputs": data_checks.check_variety,
    "labels": data_checks.check_labels,
    "NaN in the weights": model_checks.check_weights,
    "frozen parameters": model_checks.check_frozen,
    "training mode": model_checks.check_modes,
    "batch norm and batch size": model_checks.check_batch_of_one,
    "forward, loss and backward": model_checks.check_runs,
    "gradients reach every parameter": model_checks.check_gradients,
    "dead ReLUs": model_checks.check_dead_relus,
    "scores for the loss": model_checks.check_scores,
    "loss at the start": model_checks.check_first_loss,
    "parameters of the optimizer": learning_checks.check_optimizer,
    "zero_grad": learning_checks.check_zero_grad,
}
LAST = {"learning rate": learning_checks.check_learning_rate}
"""Looked for only where nothing else is an error: with it repaired, another rate is right."""


def doctor(
    model: nn.Module,
    batch: Any,
    *,
    loss: Callable[[Any, Any], Tensor] = F.cross_entropy,
    optimizer: Optimizer | None = None,
    step: Callable[[Tensor, Tensor], Any] | None = None,
    probe_steps: int = 10,
) -> Report:
    """Look at a training before it starts, and say what is wrong: a report, true if nothing is.

    batch: a pair (x, target) of tensors or arrays, or what yields such pairs (a DataLoader, a
    list), of which the first is taken. loss: as for `training.fit`. optimizer: with it the
    parameters it holds are compared with the model's, and its learning rate is tried for
    `probe_steps` steps on this batch (0: not at all). step: your own training step, a function
    of (x, target); it is run twice to see whether it forgets `zero_grad` or changes nothing.

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
    if step is not None and optimizer is None:
        raise ValueError("doctor: with step= give its optimizer= too, so that it can be put back")
    x, target = _first_batch(batch)
    case = Case(model, x, target, loss, optimizer, step, probe_steps)
    report = Report(_described(case), checks=[*CHECKS, *LAST])
    for check in CHECKS.values():
        report.findings += check(case)
    report.findings.sort(key=lambda finding: finding.severity != ERROR)
    if case.trial.loss is not None:
        report.notes.append(f"loss of this batch: {case.trial.loss:.4g}")
    if not any(finding.severity == ERROR for finding in report):
        for check in LAST.values():
            report.findings += check(case)
    elif optimizer is not None and probe_steps:
        report.notes.append("not tried yet: the learning rate, since the errors come before it")
    return report


def _first_batch(batch: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Copies of the inputs and targets; a loader does not notice that it was asked."""
    if not _is_pair(batch):
        if not hasattr(batch, "__iter__"):
            raise TypeError(
                f"doctor: the batch must be (x, target) or a DataLoader, got {type(batch).__name__}"
            )
        batch = next(iter(copy.copy(batch)), None)
        if batch is None:
            raise DataError("doctor: there is no batch to look at")
    x, target = batch if _is_pair(batch) else (batch, None)
    x = np.array(x.array if isinstance(x, Tensor) else x)
    if x.ndim == 0 or len(x) == 0:
        raise DataError(f"doctor: the batch is empty (inputs of shape {x.shape})")
    if target is not None:
        target = np.array(target.array if isinstance(target, Tensor) else target)
    return x, target


def _is_pair(batch: Any) -> bool:
    return (
        isinstance(batch, (tuple, list))
        and len(batch) == 2
        and all(isinstance(part, (Tensor, np.ndarray)) for part in batch)
    )


def _described(case: Case) -> str:
    count = sum(p.numel() for p in case.parameters.values())
    shape = "x".join(map(str, case.x.shape))
    text = f"{type(case.model).__name__} with {count:,} parameters, a batch of {shape}"
    if case.classes:
        text += f", {case.classes} classes"
    if case.optimizer is not None:
        rates = sorted({f"{group['lr']:g}" for group in case.optimizer.param_groups})
        text += f", {type(case.optimizer).__name__} with lr {', '.join(rates)}"
    return text
