"""doctor: what is wrong with a training, said before it starts.

    report = tinynet.doctor(model, (x, target), optimizer=optimizer)
    print(report)

The checks stand in `data_checks`, `model_checks`, `loop_checks` and `recipe_checks`; each looks at
the `Case` and yields findings, whose words are in `catalogue`. A new one is a function there, a row
in the catalogue and a name in `CHECKS`.
"""

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
from tinynet.nn.members import check_model
from tinynet.nn.preserving import preserving_generators
from tinynet.optim import Optimizer
from tinynet.teaching import data_checks as data
from tinynet.teaching import loop_checks as loop
from tinynet.teaching import model_checks as net
from tinynet.teaching import recipe_checks as recipe
from tinynet.teaching.case import Batch, Case
from tinynet.teaching.reached import as_before, reached
from tinynet.teaching.report import ERROR, Finding, Report, listed
from tinynet.tensor import Tensor
from tinynet.utils.data import Dataset

CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    data.check_finite, data.check_scale, data.check_variety, data.check_order,
    data.check_balance, data.check_targets, data.check_images,
    data.check_validation, net.check_weights, net.check_modes, net.check_batch_of_one,
    net.check_structure, net.check_runs, net.check_examples, net.check_gradients,
    net.check_flat_units, net.check_scores, net.check_reach, net.check_loss, data.check_leak,
    loop.check_frozen, loop.check_optimizer, loop.check_step, recipe.check_recipe,
)  # fmt: skip
"""The last one where nothing else is an error: with it repaired, another rate is right."""

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

    Everything is tried on copies: the model, its gradients and modes, the optimizer, the batch and
    its loader, all generators, and what your step and loss reach (schedules, other optimizers and
    models, counters) are afterwards as they were, bit for bit. (Files are out of reach, iterators,
    and what C code holds.)

    Raises TypeError or ValueError for a batch or model that is none; DataError for an empty one.

    >>> import tinynet
    >>> from tinynet import nn
    >>> _ = tinynet.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1))
    >>> report = tinynet.doctor(model, (tinynet.randn(16, 4), tinynet.randint(0, 3, (16,))))
    >>> report.names()
    ['scores-out-of-reach']
    """
    check_model("doctor", model)
    check_function("doctor", "loss", loss, "F.cross_entropy")
    lazy = [name for name, layer in model.named_modules() if is_lazy(layer)]
    if lazy:
        raise ValueError(
            f"doctor: the lazy layers {listed(lazy)} have no weights yet; call model(x) once before"
        )
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        told = f"one Optimizer, got {type(optimizer).__name__}; of several give that of this model"
        raise TypeError(f"doctor: optimizer must be {told}, and step=, which calls them all")
    inner = {id(module) for module in model.modules()}  # of which each trial is on a copy
    known = [value for value in reached(batch, validate, step, loss) if id(value) not in inner]
    with preserving_generators(), as_before(known):
        batch, validate = _loaded(batch), _loaded(validate)
        held = [] if validate is None else _batches("validate", validate)
        source = None if _is_pair(batch) else batch
        batches = _batches("batch", batch)
        case = Case(model, batches, loss, optimizer, step, probe_steps, source, held, validate)
        return _examined(case)


def _examined(case: Case) -> Report:
    """What all checks find."""
    loop.find_own_loss(case)
    names = [check.__name__.removeprefix("check_").replace("_", " ") for check in CHECKS]
    report = Report(_described(case), checks=names, notes=case.notes)
    with np.errstate(all="ignore"):
        for check in CHECKS[:-1]:
            report.findings += case.look(check)
    report.findings.sort(key=lambda finding: finding.severity != ERROR)
    if case.trial.loss is not None and (case.watched or not case.own_loss):
        report.notes.insert(0, f"loss of this batch: {case.trial.loss:.4g}")
    if any(finding.severity == ERROR for finding in report):
        report.notes.append("not tried yet: a short training, since the errors come before it")
    else:
        case.trial.calls[:-1] = []  # the results that they hold are large
        report.findings += case.look(CHECKS[-1])
    if case.x.dtype.kind == "f" and case.x.dtype != case.dtype:
        told = (
            f"the inputs are {case.x.dtype}, the parameters {case.dtype}, which makes layers slow"
        )
        report.notes.append(f"{told}: convert them once: x = x.astype(tinynet.{case.dtype})")
    absent = {
        "the optimizer and its learning rate": case.optimizer is None,
        "the order of the batches": case.loader is None,
        "the training step": case.step is None,
        "validation data": case.validation_loader is None,
    }
    report.unjudged = case.unjudged
    report.notes.append(f"not given: {', '.join(name for name, gone in absent.items() if gone)}")
    return report


def _loaded(given: Any) -> Any:
    """Of a dataset a loader, as `training.fit` makes one; anything else as it is."""
    return DataLoader(given, 32, shuffle=True, seed=0) if isinstance(given, Dataset) else given


def _batches(argument: str, batch: Any) -> list[Batch]:
    """Copies of the first batches; a loader does not notice that it was asked."""
    if _is_pair(batch):
        return [_arrays(batch)]
    if not hasattr(batch, "__iter__") or isinstance(batch, dict):
        raise TypeError(
            f"doctor: {argument} must be (x, target), a dataset or a DataLoader, got "
            f"{type(batch).__name__}"
        )
    found: list[Batch] = []
    with contextlib.suppress(TypeError):  # of what cannot be copied, such as a generator
        batch = copy.copy(batch)
    for given in itertools.islice(batch, 64):
        found.append(_arrays(given if _is_pair(given) else (given, None)))
        if sum(len(x) for x, _ in found) >= EXAMPLES:
            break
    if not found:
        raise DataError("doctor: there is no batch to look at")
    return [pair for pair in found if pair[0].shape[1:] == found[0][0].shape[1:]]


def _is_pair(batch: Any) -> bool:
    """Whether it is (x, target), each an array, a tensor or a list of numbers."""
    return isinstance(batch, (tuple, list)) and len(batch) == 2 and all(map(_is_array, batch))


def _is_array(value: Any) -> bool:
    nested = isinstance(value, list) and any(isinstance(p, (Tensor, np.ndarray)) for p in value)
    return isinstance(value, (Tensor, np.ndarray, list)) and not nested


def _arrays(pair: Any) -> Batch:
    """Copies of inputs and targets."""
    x, target = _copy("inputs", pair[0]), pair[1]
    if x.dtype.kind not in "iufb":
        raise TypeError(f"doctor: the inputs must be numbers, got {x.dtype}")
    return x, None if target is None else _copy("targets", target)


def _copy(name: str, value: Any) -> np.ndarray:
    if not _is_array(value):
        raise TypeError(
            f"doctor: a batch is (x, target) of several examples, got {type(value).__name__}; "
            "np.stack a list of arrays"
        )
    array = np.array(getattr(value, "array", value))
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"doctor: the batch is empty ({name} of shape {array.shape})")
    return array


def _described(case: Case) -> str:
    count = sum(p.numel() for p in case.parameters.values())
    shape = "x".join(map(str, case.batches[0][0].shape))
    text = f"{type(case.model).__name__} with {count:,} parameters, a batch of {shape}"
    if (case.classes or 1) > 1:
        text += f", {case.classes} classes"
    if case.optimizer is not None:
        rates = sorted({f"{group['lr']:g}" for group in case.optimizer.param_groups})
        text += f", {type(case.optimizer).__name__} with lr {', '.join(rates)}"
    return text
