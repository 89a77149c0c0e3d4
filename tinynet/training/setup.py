"""Optimizers and schedules by name, with defaults that are right for a small CNN.

    optimizer = make_optimizer("sgd", model.parameters(), lr=0.05)
    schedule = make_schedule("onecycle", optimizer, epochs, len(loader))

Schedules made here follow the course of the whole training: they advance with every step. A
scheduler that a user brings advances with every epoch, as is the custom, but for OneCycleLR, or
as `make_schedule(step=...)` says.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tinynet import optim
from tinynet.errors import unknown_name
from tinynet.optim import Optimizer, lr_scheduler
from tinynet.training.history import Record, monitored
from tinynet.training.metrics import VALIDATION
from tinynet.training.quantities import known_direction

BATCH, EPOCH = "batch", "epoch"  # after which a scheduler can take a step


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

    parameters: those that are frozen (requires_grad=False) are left out. lr: the learning rate;
    each has a default. Raises ValueError for an unknown name, and where all are frozen.
    """
    if name not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    known = OPTIMIZERS[name]
    rate = known.lr if lr is None else lr
    given = list(parameters)
    learning = [p for p in given if getattr(p, "requires_grad", True)]
    if given and not learning:
        raise ValueError(
            f"{name}: all {len(given)} parameters are frozen, so there is nothing to learn; thaw "
            "what is to learn: model.requires_grad_()"
        )
    return known.make(learning, lr=rate, weight_decay=weight_decay, **known.settings)


def _one_cycle(optimizer: Optimizer, steps: int) -> Any:
    if steps < 4:
        return None
    peak = [float(group["lr"]) for group in optimizer.param_groups]
    return lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, cycle_momentum=False)


SCHEDULES: dict[str, Callable[[Optimizer, int], Any]] = {
    "onecycle": _one_cycle,
    "cosine": lambda o, steps: lr_scheduler.CosineAnnealingLR(o, T_max=steps),
    "linear": lambda o, steps: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=steps),
    "step": lambda o, steps: lr_scheduler.MultiStepLR(o, [steps // 2, steps * 3 // 4], gamma=0.1),
    "constant": lambda o, steps: None,
    "plateau": lambda o, steps: lr_scheduler.ReduceLROnPlateau(o, factor=1 / 3, patience=2),
}
"""A scheduler over so many steps of an optimizer, by name; None for one that does not change."""


@dataclass
class Schedule:
    """A learning-rate scheduler (or None), and when it advances: after every batch or every epoch.

    monitor: what ReduceLROnPlateau looks at, the first of these that there is. peaks: for a warm-up
    the learning rates to which it rises, evenly over the first `warm_up` steps.
    """

    scheduler: Any
    step: str = EPOCH
    monitor: tuple[str, ...] = ()
    warm_up: int = 0
    peaks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self._warm(0)

    def after_step(self, done: int) -> None:
        """To be called after each optimizer step. done: steps since it began."""
        if self.scheduler is not None and self.step == BATCH:
            self.scheduler.step()
        self._warm(done)

    def _warm(self, done: int) -> None:
        if done < self.warm_up:
            for group, peak in zip(self.scheduler.optimizer.param_groups, self.peaks):
                group["lr"] = peak * (done + 1) / self.warm_up

    def after_epoch(self, record: Record) -> None:
        """To be called after each epoch, with its record. ValueError if that lacks monitor."""
        if self.scheduler is not None and self.step == EPOCH:
            seen = [record[monitored(self.monitor, record)]] if self.monitor else []
            self.scheduler.step(*seen)

    def __str__(self) -> str:
        if self.scheduler is None:
            return "constant"
        text = f"{type(self.scheduler).__name__} takes a step after every {self.step}"
        if self.monitor:
            text += f", and looks at {' or '.join(self.monitor)} (mode {self.scheduler.mode})"
        return text


def make_schedule(
    schedule: Any,
    optimizer: Optimizer,
    steps: int,
    epochs: int | None = None,
    step: str | None = None,
    monitor: str | None = None,
) -> Schedule:
    """A schedule by name over `steps` optimizer steps, or around a scheduler of the user's.

    onecycle: up to the learning rate, then down to nearly 0 (of fewer than 4 steps, which have no
    room for it, each at the learning rate); cosine and linear: down to 0;
    step: a tenth after half of the steps, a hundredth after three quarters; constant, or None: as
    it is. These advance with every batch. plateau: up over the first epoch, then a third after 2
    epochs without a better loss.

    A scheduler advances after every epoch, OneCycleLR after every batch; step="batch" or "epoch"
    says otherwise. ReduceLROnPlateau looks at `monitor`, by default the validation loss (mode
    "max": the validation accuracy), or without validation data that of training.

    Raises ValueError for an unknown name, and for what contradicts: a scheduler of another
    optimizer, one that cannot take as many steps, a loss that is to rise. Warns of one that
    counts further than there are `epochs`, and so may have been meant to count batches.
    """
    if step not in (None, BATCH, EPOCH):
        raise unknown_name("step", step, [BATCH, EPOCH])
    name = "constant" if schedule is None else schedule
    if is_named := isinstance(name, str):
        if name not in SCHEDULES:
            raise unknown_name("schedule", name, SCHEDULES)
        schedule = SCHEDULES[name](optimizer, steps)
    elif isinstance(schedule, type) or not callable(getattr(schedule, "step", None)):
        raise TypeError(f"fit: schedule must be a name, a scheduler or None, got {schedule!r:.80}")
    kind = type(schedule).__name__
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            f"fit: this {kind} was built on another optimizer than the one that trains; pass "
            "that one too: optimizer="
        )
    if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        if step == BATCH:
            raise ValueError(f"fit: {kind} looks at what is measured once an epoch: step='epoch'")
        found = _plateau_monitor(schedule, monitor)
        if not is_named:
            return Schedule(schedule, EPOCH, found)
        peaks = tuple(float(group["lr"]) for group in optimizer.param_groups)
        return Schedule(schedule, EPOCH, found, steps // (epochs or steps or 1), peaks)
    if monitor is not None:
        raise ValueError(
            f"fit: monitor={monitor!r} is for the schedule ReduceLROnPlateau; EarlyStopping and "
            "BestModel have a monitor= of their own"
        )
    if is_named and step == EPOCH:
        raise ValueError(
            f"fit: step='epoch' is for a scheduler of yours; the schedule {name!r} advances with "
            "every batch"
        )
    chosen = step or (BATCH if is_named or _is_one_cycle(schedule) else EPOCH)
    if not is_named and epochs is not None:
        _check_counts(schedule, chosen, steps, epochs, step is None)
    return Schedule(schedule, chosen)


def _plateau_monitor(schedule: Any, monitor: str | None) -> tuple[str, ...]:
    """What a ReduceLROnPlateau looks at; ValueError if that is to go the other way."""
    if monitor is None:
        name = "accuracy" if schedule.mode == "max" else "loss"
        return (VALIDATION + name, name)
    if known_direction(monitor) not in (None, schedule.mode):
        raise ValueError(
            f"fit: ReduceLROnPlateau(mode={schedule.mode!r}) with monitor={monitor!r}: that is "
            f"better the other way. Build it with mode={known_direction(monitor)!r}"
        )
    return (monitor,)


def _is_one_cycle(schedule: Any) -> bool:
    inner = getattr(schedule, "schedulers", [])
    return isinstance(schedule, lr_scheduler.OneCycleLR) or any(map(_is_one_cycle, inner))


def _check_counts(schedule: Any, step: str, steps: int, epochs: int, ask: bool) -> None:
    """Raise ValueError if a OneCycleLR, which takes a step after every `step`, ends before the
    training does. ask: warn of a scheduler that counts further.
    """
    kind = type(schedule).__name__
    taken, other = (steps, EPOCH) if step == BATCH else (epochs, BATCH)
    total = getattr(schedule, "total_steps", None)
    if total is not None and total - schedule.last_epoch < taken:
        cure = ", or pass step='epoch'" if step == BATCH and total == epochs else ""
        raise ValueError(
            f"fit: {kind}(total_steps={total}) is to take {taken} steps, one after every {step}: "
            f"build it with total_steps={taken}{cure}"
        )
    if ask and _counts_to(schedule) > taken:
        warnings.warn(
            f"fit: {kind} takes a step after every {step}, so {taken}, but counts to "
            f"{_counts_to(schedule)}, where it does not come. If it counts "
            f"{'batches' if other == BATCH else 'epochs'}, pass step={other!r}; if it is right "
            f"as it is, step={step!r}",
            stacklevel=4,
        )


def _counts_to(schedule: Any) -> int:
    """The number of steps at which a scheduler is where it was going to, as far as is known."""
    milestones: list[int] = [0, *getattr(schedule, "milestones", [])]
    if getattr(schedule, "schedulers", []):
        return milestones[-1] + _counts_to(schedule.schedulers[-1])
    names = ("T_max", "total_iters", "total_steps", "step_size")
    return max(milestones[-1], *(int(getattr(schedule, name, 0)) for name in names))
