"""Optimizers and schedules by name, with defaults that are right for a small CNN.

    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05)
    schedule = make_schedule("onecycle", optimizer, steps=epochs * len(loader))

Schedules made here follow the course of the whole training: they advance with every step. A
scheduler that a user brings advances with every epoch, as is the custom, but for OneCycleLR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tinynet import optim
from tinynet.errors import unknown_name
from tinynet.optim import Optimizer, lr_scheduler
from tinynet.training.history import Record


@dataclass(frozen=True)
class NamedOptimizer:
    """An optimizer class, a learning rate that mostly works, and its other settings."""

    make: Callable[..., Optimizer]
    lr: float
    settings: dict[str, Any]


OPTIMIZERS: dict[str, NamedOptimizer] = {
    "sgd": NamedOptimizer(optim.SGD, 0.05, {"momentum": 0.9, "nesterov": True}),
    "adam": NamedOptimizer(optim.Adam, 2e-3, {}),
    "adamw": NamedOptimizer(optim.AdamW, 2e-3, {}),
    "rmsprop": NamedOptimizer(optim.RMSprop, 1e-3, {}),
    "adagrad": NamedOptimizer(optim.Adagrad, 1e-2, {}),
    "adadelta": NamedOptimizer(optim.Adadelta, 1.0, {}),
}


def make_optimizer(
    name: str, parameters: Iterable[Any], lr: float | None = None, weight_decay: float = 0.0
) -> Optimizer:
    """An optimizer by name: sgd (with Nesterov momentum 0.9), adam, adamw, rmsprop, adagrad,
    adadelta.

    lr: the learning rate; each has a default. Raises ValueError for an unknown name.
    """
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    known = OPTIMIZERS[name]
    rate = known.lr if lr is None else lr
    return known.make(list(parameters), lr=rate, weight_decay=weight_decay, **known.settings)


def _one_cycle(optimizer: Optimizer, steps: int) -> Any:
    peak = [float(group["lr"]) for group in optimizer.param_groups]
    return lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, cycle_momentum=False)


def _cosine(optimizer: Optimizer, steps: int) -> Any:
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)


def _linear(optimizer: Optimizer, steps: int) -> Any:
    return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=steps)


def _in_steps(optimizer: Optimizer, steps: int) -> Any:
    return lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4], gamma=0.1)


def _constant(optimizer: Optimizer, steps: int) -> None:
    return None


SCHEDULES: dict[str, Callable[[Optimizer, int], Any]] = {
    "onecycle": _one_cycle,
    "cosine": _cosine,
    "linear": _linear,
    "step": _in_steps,
    "constant": _constant,
}


@dataclass
class Schedule:
    """A learning-rate scheduler (or None) and when it advances: every step or every epoch."""

    scheduler: Any
    every_step: bool

    def after_step(self) -> None:
        """To be called after each optimizer step."""
        if self.scheduler is not None and self.every_step:
            self.scheduler.step()

    def after_epoch(self, record: Record) -> None:
        """To be called after each epoch, with its record."""
        if self.scheduler is None or self.every_step:
            return
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(record.get("validation_loss", record["loss"]))
        else:
            self.scheduler.step()


def make_schedule(schedule: Any, optimizer: Optimizer, steps: int) -> Schedule:
    """A schedule by name over `steps` optimizer steps, or around a user's own scheduler.

    onecycle: up to the learning rate, then down to nearly 0; cosine and linear: down to 0;
    step: a tenth after half of the steps, a hundredth after three quarters; constant, or None: as
    it is. Raises ValueError for an unknown name.
    """
    if isinstance(schedule, str):
        if schedule not in SCHEDULES:
            raise unknown_name("schedule", schedule, SCHEDULES)
        return Schedule(SCHEDULES[schedule](optimizer, steps), every_step=True)
    return Schedule(schedule, every_step=isinstance(schedule, lr_scheduler.OneCycleLR))
