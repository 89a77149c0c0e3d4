"""The case before the doctor: the model, the batch, and what one pass over them shows.

`Trial` runs the batch forward and backward once, on copies, with an observer that notes what went
into the loss, which ReLUs gave nothing and which layers ran. What the checks then say rests on
these measurements. Where the input or the labels could not be used as they are (which a check
reports), the trial goes on with ones that can, so that one mistake does not hide the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinynet import autograd, nn
from tinynet.nn.checks import badly_scaled
from tinynet.nn.location import layer_path, running_modules
from tinynet.nn.preserving import preserving
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor

CLASS_LOSSES = ("cross_entropy", "nll_loss")
IGNORED = -100  # the label that stands for "does not count"


@dataclass
class DeadUnits:
    """One ReLU: where it is, how many units it has, and how many gave 0 for the whole batch."""

    layer: str
    dead: int
    units: int


@dataclass
class Trial:
    """What one forward and backward pass showed.

    stage, error: where it failed and how; "" and None if it did not. output: of the model, and
    its dtype. loss: its value. loss_input: what the class loss (`loss_op`) got as scores, and
    `before_loss` the operation that made it. gradients: by parameter, None where none arrived.
    ran: ids of the modules that ran.
    """

    stage: str = ""
    error: Exception | None = None
    output: np.ndarray | None = None
    loss: float | None = None
    loss_shape: tuple[int, ...] = ()
    loss_depends: bool = True
    loss_op: str = ""
    loss_input: np.ndarray | None = None
    before_loss: str = ""
    before_loss_layer: str = ""
    relus: list[DeadUnits] = field(default_factory=list)
    ran: set[int] = field(default_factory=set)
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)


@dataclass
class Case:
    """All that there is to look at."""

    model: nn.Module
    x: np.ndarray
    target: np.ndarray | None
    loss: Callable[[Any, Any], Tensor]
    optimizer: Optimizer | None
    step: Callable[..., Any] | None
    probe_steps: int

    def __post_init__(self) -> None:
        self.parameters = dict(self.model.named_parameters())
        self.input = usable_input(self)[: None if self.target is None else len(self.target)]
        self.trial = Trial()
        self.labels = self.target
        self.trial = run_trial(self)

    @property
    def sound(self) -> bool:
        """Whether parameters and buffers are finite, so that the trial says something."""
        tensors = [*self.parameters.values(), *self.model.buffers()]
        return all(np.isfinite(t.array).all() for t in tensors if t.dtype.kind == "f")

    @property
    def float_labels(self) -> bool:
        """Whether the targets are floats where the model's outputs ask for class labels."""
        target, output = self.target, self.trial.output
        if target is None or output is None or target.dtype.kind != "f":
            return False
        return target.ndim == 1 and output.ndim == 2 and output.shape[1] > 1

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart, where the targets are labels."""
        target, output = self.target, self.trial.output
        if output is None or target is None or output.ndim < 2 or target.ndim != output.ndim - 1:
            return None
        if target.dtype.kind not in "iu" and not self.float_labels:
            return None
        return int(output.shape[1])


def usable_input(case: Case) -> np.ndarray:
    """The input as the model can take it: finite floats, scaled, the channels where they belong."""
    x = case.x
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        x = np.where(np.isfinite(x), x, 0).astype(x.dtype)
    if badly_scaled(x):
        x = (x - x.mean(dtype=np.float64)) / (x.std(dtype=np.float64) or 1)
    x = x.astype(next((p.dtype for p in case.parameters.values()), np.float32))
    cure = layout_cure(case.model, x)
    return x if cure is None else cure[1](x)


def layout_cure(
    model: nn.Module, x: np.ndarray
) -> tuple[str, Callable[[np.ndarray], np.ndarray], int] | None:
    """How to bring images (N, H, W, C) or (N, H, W) to (N, C, H, W), and the channels wanted.

    None where the first convolution takes them as they are, or where it is not clear.
    """
    conv = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if conv is None or (x.ndim == 4 and x.shape[1] == conv.in_channels):
        return None
    C = int(conv.in_channels)
    if x.ndim == 4 and x.shape[3] == C:
        return "x.permute(0, 3, 1, 2)", lambda x: x.transpose(0, 3, 1, 2), C
    if x.ndim == 3 and C == 1:
        return "x.unsqueeze(1)", lambda x: x[:, None], C
    return None


def run_trial(case: Case) -> Trial:
    """One forward and backward pass, of which the model keeps no trace."""
    trial = Trial(stage="forward")
    notes = _Notes(trial)
    with (
        preserving(case.model),
        np.errstate(all="ignore"),
        autograd.observe(notes.note),
        autograd.enable_grad(),
    ):
        try:
            output = case.model(Tensor(case.input.copy()))
            trial.output = np.array(output.array)
            case.trial = trial
            case.labels = usable_labels(case)
            trial.stage = "loss"
            target = None if case.labels is None else Tensor(case.labels.copy())
            loss = case.loss(output, target)
            trial.loss_shape = loss.shape
            trial.loss_depends = loss.requires_grad
            if loss.array.size == 1:
                trial.loss = loss.item()
                trial.stage = "backward"
                if loss.requires_grad:
                    loss.backward()
            trial.stage = ""
        except Exception as error:
            trial.error = error
        trial.gradients = {
            name: None if p.grad is None else p.grad.array for name, p in case.parameters.items()
        }
    return trial


def usable_labels(case: Case) -> np.ndarray | None:
    """As many labels as there are inputs, as integers, those out of range moved into it."""
    target = case.target if case.target is None else case.target[: len(case.input)]
    classes = case.classes
    if classes is None or target is None:
        return target
    labels = target.astype(np.int64)
    return np.where(labels == IGNORED, labels, labels.clip(0, classes - 1))


class _Notes:
    """The observer of a trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.made_by: dict[
            int, tuple[Tensor, str, str]
        ] = {}  # id of a tensor: kept alive, op, layer

    def note(self, op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
        name = op.rpartition(".")[2].lstrip("_")
        modules = running_modules()
        self.trial.ran.update(map(id, modules))
        self.made_by[id(output)] = output, name, layer_path(modules)
        if name == "relu" and output.array.ndim > 1:
            self.trial.relus.append(_dead_units(layer_path(modules), output.array))
        elif name in CLASS_LOSSES and isinstance(args[0], Tensor):
            self.trial.loss_op = name
            self.trial.loss_input = args[0].array
            _, maker, layer = self.made_by.get(id(args[0]), (None, "", ""))
            self.trial.before_loss, self.trial.before_loss_layer = maker, layer


def _dead_units(layer: str, y: np.ndarray) -> DeadUnits:
    """How many channels (N, C, ...) are 0 everywhere, for every example."""
    alive = (y != 0).any(axis=(0, *range(2, y.ndim)))
    return DeadUnits(layer, int((~alive).sum()), alive.size)
