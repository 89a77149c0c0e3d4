"""Learning-rate schedules: the learning rate of each parameter group as a function of time.

A schedule is built on an optimizer, sets the first learning rate at once, and the next one at
each `step()`, which comes after `optimizer.step()`. What a step is (a batch, an epoch) is up to
the loop that calls it; `last_epoch` counts them from 0.

Each schedule is a formula: `get_lr` computes the rate from `base_lrs`, the rates the optimizer
was built with, and `last_epoch`, never from the rate before. So two schedules that step side by
side do not multiply, as they would in PyTorch: the last one wins. `SequentialLR` puts them one
after the other. `ReduceLROnPlateau` alone looks at the training and has a memory.
"""

from __future__ import annotations

import copy
import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, SupportsFloat

from tinynet.errors import CheckpointError, unknown_name
from tinynet.optim.checks import at_least_zero, flag, number, whole, zero_to_one
from tinynet.optim.optimizer import Optimizer

above_zero = number(5e-324)


class _Schedule:
    """What all schedules share: the optimizer, the last learning rates, saving and loading."""

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)
    """Attributes that are not part of `state_dict()`; all others are numbers, strings or lists."""
    may_be_none: ClassVar[tuple[str, ...]] = ()

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: the first argument is the optimizer, not a "
                f"{type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self.last_epoch = 0
        self._last_lr = [float(group["lr"]) for group in optimizer.param_groups]

    def check(self) -> None:
        """Check the settings, here and when loading, and make them plain numbers."""
        owner = type(self).__name__
        whole(0)(owner, "last_epoch", self.last_epoch)
        for name, value in vars(self).items():
            if isinstance(value, list) and name not in ("milestones", *self.unsaved):
                setattr(self, name, [at_least_zero(owner, name, item) for item in value])

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group that this schedule set last."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """Settings and progress, as a dict of numbers, strings and lists of numbers."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name not in self.unsaved
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where the schedule with this `state_dict()` was, with its settings.

        Everything is checked before anything is changed; raises CheckpointError with the entry
        that does not fit.
        """
        self._restore(self._validated(state_dict), state_dict)

    def _restore(self, loaded: dict[str, Any], state: dict[str, Any]) -> None:
        """Take over the values of a state that has been found valid."""
        vars(self).update(loaded)

    def _validated(self, state: Any) -> dict[str, Any]:
        name = type(self).__name__
        expected = {key: value for key, value in vars(self).items() if key not in self.unsaved}
        if not isinstance(state, dict) or set(state) != set(expected):
            found = ", ".join(map(str, state)) if isinstance(state, dict) else repr(state)[:60]
            raise CheckpointError(
                f"{name}: the saved state must have {', '.join(expected)}; it has {found}. "
                "Load it into the kind of schedule it was saved from."
            )
        loaded = {}
        for key, value in state.items():
            if not self._fits(key, value, expected[key]):
                raise CheckpointError(
                    f"{name}: the saved {key} is {value!r:.60}, which does not fit this schedule, "
                    f"where it is {expected[key]!r:.60}"
                )
            loaded[key] = [*value] if isinstance(value, list) else value
        candidate = copy.copy(self)
        vars(candidate).update(loaded)
        try:
            candidate.check()
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{name}: the saved state cannot be: {error}") from error
        return {key: vars(candidate)[key] for key in loaded}

    def _fits(self, key: str, value: Any, current: Any) -> bool:
        if key in self.may_be_none:
            return value is None or type(value) in (int, float)
        if isinstance(current, list):  # one number for each group, or milestones
            same_length = key == "milestones" or (
                isinstance(value, list) and len(value) == len(current)
            )
            return (
                isinstance(value, list)
                and same_length
                and all(type(item) in (int, float) and math.isfinite(item) for item in value)
            )
        if type(current) is float:
            return type(value) in (int, float) and math.isfinite(value)
        return type(value) is type(current)

    def _for_each_group(self, name: str, value: float | Sequence[float]) -> list[float]:
        """A setting given once, or once for each group, as a list with one entry a group."""
        owner, groups = type(self).__name__, len(self.optimizer.param_groups)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
        if len(values) != groups:
            raise ValueError(
                f"{owner}({name}={value!r}): {len(values)} values for {groups} parameter groups; "
                "give one number for all, or one for each group"
            )
        return [at_least_zero(owner, name, item) for item in values]

    def _check_groups(self) -> None:
        groups = len(self.optimizer.param_groups)
        if groups != len(self._last_lr):
            raise RuntimeError(
                f"{type(self).__name__}: the optimizer has {groups} parameter groups, the schedule "
                f"was built for {len(self._last_lr)}; build the schedule after add_param_group()"
            )

    def __repr__(self) -> str:
        settings = ", ".join(
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name not in self.unsaved and name != "_last_lr"
        )
        return f"{type(self).__name__}({settings})"


class LRScheduler(_Schedule):
    """Base of the schedules that are a formula; a subclass writes `get_lr`.

    last_epoch: -1 starts anew. A schedule that is to go on after step n without a saved state is
    built with last_epoch=n, on an optimizer whose groups have `initial_lr`, the rate at the start.

    The rates at the start, `base_lrs`, are those of the optimizer's groups. The first schedule
    built on an optimizer notes them there as `initial_lr`, where later ones find them.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer)
        self.last_epoch = whole(-1)(type(self).__name__, "last_epoch", last_epoch) + 1
        self.base_lrs = self._initial_lrs(last_epoch)
        self.check()
        self._apply()

    def _initial_lrs(self, last_epoch: int) -> list[float]:
        groups = self.optimizer.param_groups
        for i, group in enumerate(groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}(last_epoch={last_epoch}): group {i} of the optimizer "
                    "has no 'initial_lr' to compute from. Load the optimizer's state_dict first, "
                    "or set group['initial_lr']; or start anew with last_epoch=-1."
                )
        return [float(group["initial_lr"]) for group in groups]

    def get_lr(self) -> list[float]:
        """The learning rate of each group at `last_epoch`, computed from `base_lrs`."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr()")

    def step(self) -> None:
        """Set the learning rates of the next step; called after `optimizer.step()`.

        Warns if something else has changed them since, because the change is lost.
        """
        self._check_groups()
        for i, (group, expected) in enumerate(zip(self.optimizer.param_groups, self._last_lr)):
            if float(group["lr"]) != expected:
                warnings.warn(
                    f"{type(self).__name__}: the learning rate of group {i} is {group['lr']}, but "
                    f"this schedule had set {expected}, and sets the next from its formula, which "
                    "undoes the change. Join schedules with SequentialLR; to scale all rates to "
                    "come, change schedule.base_lrs.",
                    stacklevel=2,
                )
        self.last_epoch += 1
        try:
            self._apply()
        except BaseException:
            self.last_epoch -= 1
            raise

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where the schedule with this `state_dict()` was, with its settings.

        Sets the learning rates (and the momentum that OneCycleLR moves) too, so it does not
        matter whether the optimizer's state is loaded before or after, or before the schedule is
        built. Everything is checked before anything is changed; raises CheckpointError with the
        entry that does not fit.
        """
        self._check_groups()
        super().load_state_dict(state_dict)
        self._apply()

    def _apply(self) -> None:
        rates = self.get_lr()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates

    def _scaled(self, factor: float) -> list[float]:
        return [base * factor for base in self.base_lrs]


class LambdaLR(LRScheduler):
    """lr = base_lr * lr_lambda(n) after n steps.

    lr_lambda: a function of n that returns a number of at least 0, or a list with one for each
    group. The functions are not saved.

    >>> import tinynet
    >>> from tinynet.optim import SGD
    >>> optimizer = SGD([tinynet.ones(1, requires_grad=True)], lr=0.5)
    >>> schedule = LambdaLR(optimizer, lambda n: 1 / (1 + n))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        several = isinstance(lr_lambda, (list, tuple))
        groups = len(getattr(optimizer, "param_groups", []))
        self.lr_lambdas: list[Callable[[int], float]]
        self.lr_lambdas = list(lr_lambda) if several else [lr_lambda] * groups  # type: ignore
        if len(self.lr_lambdas) != groups or not all(map(callable, self.lr_lambdas)):
            raise ValueError(
                f"LambdaLR(lr_lambda={lr_lambda!r}): give one function of the step count, or a "
                f"list of {groups}, one for each parameter group"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        n = self.last_epoch
        return [
            base * at_least_zero("LambdaLR", f"lr_lambda({n})", factor(n))
            for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class StepLR(LRScheduler):
    """lr = base_lr * gamma**(n // step_size) after n steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.step_size = whole(1)("StepLR", "step_size", self.step_size)
        self.gamma = at_least_zero("StepLR", "gamma", self.gamma)

    def get_lr(self) -> list[float]:
        return self._scaled(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """lr = base_lr * gamma**(number of milestones reached) after n steps.

    milestones: step counts; one that is there twice counts twice.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = _milestones("MultiStepLR", milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.milestones = _milestones("MultiStepLR", self.milestones)
        self.gamma = at_least_zero("MultiStepLR", "gamma", self.gamma)

    def get_lr(self) -> list[float]:
        return self._scaled(self.gamma ** bisect_right(self.milestones, self.last_epoch))


class ConstantLR(LRScheduler):
    """lr = base_lr * factor for the first `total_iters` steps, then base_lr."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.factor = zero_to_one("ConstantLR", "factor", self.factor)
        self.total_iters = whole(0)("ConstantLR", "total_iters", self.total_iters)

    def get_lr(self) -> list[float]:
        return self._scaled(self.factor if self.last_epoch < self.total_iters else 1.0)


class LinearLR(LRScheduler):
    """lr = base_lr * factor, where the factor goes in a straight line from `start_factor` to
    `end_factor` in `total_iters` steps, and stays there. A warm-up, by default.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.start_factor = number(5e-324, 1)("LinearLR", "start_factor", self.start_factor)
        self.end_factor = zero_to_one("LinearLR", "end_factor", self.end_factor)
        self.total_iters = whole(1)("LinearLR", "total_iters", self.total_iters)

    def get_lr(self) -> list[float]:
        done = min(self.last_epoch, self.total_iters) / self.total_iters
        return self._scaled(self.start_factor + (self.end_factor - self.start_factor) * done)


class ExponentialLR(LRScheduler):
    """lr = base_lr * gamma**n after n steps."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.gamma = at_least_zero("ExponentialLR", "gamma", self.gamma)

    def get_lr(self) -> list[float]:
        return self._scaled(self.gamma**self.last_epoch)


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * n / T_max)) / 2 after n steps.

    Half a cosine wave, from base_lr down to eta_min at step T_max; then up again. Loshchilov and
    Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2016), arXiv:1608.03983,
    without the restarts.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.T_max = whole(1)("CosineAnnealingLR", "T_max", self.T_max)
        self.eta_min = at_least_zero("CosineAnnealingLR", "eta_min", self.eta_min)

    def get_lr(self) -> list[float]:
        wave = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * wave for base in self.base_lrs]


class OneCycleLR(LRScheduler):
    """One cycle over the whole training, stepped after each batch: up to `max_lr`, then far down.

    From max_lr / div_factor up to max_lr in the first `pct_start` of the steps, then down to
    max_lr / div_factor / final_div_factor at the last. With `three_phase` it first comes down to
    where it began, in as many steps as it went up, and then falls further. With `cycle_momentum`
    the momentum (beta1 for Adam) moves the other way: from max_momentum down to base_momentum,
    and back. Smith and Topin, "Super-Convergence" (2017), arXiv:1708.07120; the default of two
    phases with cosines is that of the fast.ai library, as in PyTorch.

    max_lr, base_momentum, max_momentum: a number, or a list with one for each group.
    total_steps: how often `step()` will be called, or epochs and steps_per_epoch.
    anneal_strategy: "cos" or "linear". The optimizer's own lr is not used.

    Raises RuntimeError at the step after total_steps.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        _Schedule.__init__(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR: give total_steps, the number of batches in the whole training, "
                    "or both epochs and steps_per_epoch=len(loader)"
                )
            total_steps = whole(1)("OneCycleLR", "epochs", epochs) * whole(1)(
                "OneCycleLR", "steps_per_epoch", steps_per_epoch
            )
        self.total_steps = total_steps
        self.pct_start = pct_start
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.three_phase = three_phase
        self.max_lrs = self._for_each_group("max_lr", max_lr)
        self.base_momentums = self._for_each_group("base_momentum", base_momentum)
        self.max_momentums = self._for_each_group("max_momentum", max_momentum)
        super().__init__(optimizer, last_epoch)

    def _initial_lrs(self, last_epoch: int) -> list[float]:
        self.div_factor = above_zero("OneCycleLR", "div_factor", self.div_factor)
        return [rate / self.div_factor for rate in self.max_lrs]

    def check(self) -> None:
        super().check()
        name = "OneCycleLR"
        self.total_steps = whole(1)(name, "total_steps", self.total_steps)
        self.pct_start = zero_to_one(name, "pct_start", self.pct_start)
        self.cycle_momentum = flag(name, "cycle_momentum", self.cycle_momentum)
        self.three_phase = flag(name, "three_phase", self.three_phase)
        self.div_factor = above_zero(name, "div_factor", self.div_factor)
        self.final_div_factor = above_zero(name, "final_div_factor", self.final_div_factor)
        if self.anneal_strategy not in ("cos", "linear"):
            raise unknown_name("anneal_strategy", self.anneal_strategy, ["cos", "linear"])
        for momentum in (*self.base_momentums, *self.max_momentums):
            number(0, 1, below_high=True)(name, "base_momentum or max_momentum", momentum)
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR(total_steps={self.total_steps}): {self.last_epoch} steps are done"
            )
        if self.cycle_momentum and not {"momentum", "betas"} & set(self.optimizer.defaults):
            raise ValueError(
                f"OneCycleLR(cycle_momentum=True): {type(self.optimizer).__name__} has neither "
                "momentum nor betas to cycle; pass cycle_momentum=False"
            )

    def _position(self) -> tuple[int, float]:
        """Which phase the step lies in, and how much of it is done, from 0 to 1."""
        rise = self.pct_start * self.total_steps
        ends = [rise - 1, 2 * rise - 2] if self.three_phase else [rise - 1]
        ends.append(self.total_steps - 1)
        before = (i for i, end in enumerate(ends[:-1]) if self.last_epoch <= end)
        phase = next(before, len(ends) - 1)
        start, end = ends[phase - 1] if phase else 0.0, ends[phase]
        done = (self.last_epoch - start) / (end - start) if end > start else 1.0
        return phase, min(done, 1.0)

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * done
        return end + (start - end) * (1 + math.cos(math.pi * done)) / 2

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise RuntimeError(
                f"OneCycleLR: step() was called {self.last_epoch} times, but the cycle was built "
                f"for total_steps={self.total_steps}. total_steps is the number of batches in "
                "the whole training: epochs * len(loader)."
            )
        phase, done = self._position()
        rates = []
        for base, top in zip(self.base_lrs, self.max_lrs, strict=True):
            last = base / self.final_div_factor
            corners = [base, top, base, last] if self.three_phase else [base, top, last]
            rates.append(self._between(corners[phase], corners[phase + 1], done))
        return rates

    def _apply(self) -> None:
        super()._apply()
        if not self.cycle_momentum:
            return
        phase, done = self._position()
        for group, low, high in zip(
            self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
        ):
            corners = [high, low, high, high]
            momentum = self._between(corners[phase], corners[phase + 1], done)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


class SequentialLR(LRScheduler):
    """Schedules one after the other, each counting from 0 when its turn comes.

    schedulers: schedules on this optimizer. milestones: the step at which the second begins, the
    third, ... Only this schedule is stepped, not those in it.

    >>> import tinynet
    >>> from tinynet.optim import SGD
    >>> optimizer = SGD([tinynet.ones(1, requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for _ in range(5):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [0.5]
    [0.75]
    [1.0]
    [0.5]
    [0.25]
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "schedulers")

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self.schedulers = list(schedulers)
        self.milestones = _milestones("SequentialLR", milestones)
        for i, schedule in enumerate(self.schedulers):
            if not isinstance(schedule, LRScheduler):
                hint = ", which looks at a metric" if isinstance(schedule, _Schedule) else ""
                raise TypeError(
                    f"SequentialLR: schedulers[{i}] is a {type(schedule).__name__}{hint}; only "
                    "schedules that are a formula of the step count can be put in sequence"
                )
            if schedule.optimizer is not optimizer:
                raise ValueError(
                    f"SequentialLR: schedulers[{i}] ({type(schedule).__name__}) was built on "
                    "another optimizer; build all of them on the same one"
                )
        super().__init__(optimizer, last_epoch)

    def check(self) -> None:
        super().check()
        self.milestones = _milestones("SequentialLR", self.milestones)
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules and {len(self.milestones)} "
                "milestones; there must be one milestone less: the step at which each schedule "
                "but the first begins"
            )

    def _apply(self) -> None:
        turn = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[turn]
        schedule.last_epoch = self.last_epoch - (self.milestones[turn - 1] if turn else 0)
        schedule._apply()
        self._last_lr = schedule.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """As of the others, and under `schedulers` the list of theirs."""
        inner = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": inner}

    def _validated(self, state: Any) -> dict[str, Any]:
        if not isinstance(state, dict) or not isinstance(state.get("schedulers"), list):
            raise CheckpointError("SequentialLR: the saved state lacks the list 'schedulers'")
        own = {key: value for key, value in state.items() if key != "schedulers"}
        inner = state["schedulers"]
        if len(inner) != len(self.schedulers):
            raise CheckpointError(
                f"SequentialLR: the saved state has {len(inner)} schedules, this has "
                f"{len(self.schedulers)}"
            )
        for schedule, saved in zip(self.schedulers, inner, strict=True):
            schedule._validated(saved)
        return super()._validated(own)

    def _restore(self, loaded: dict[str, Any], state: dict[str, Any]) -> None:
        for schedule, saved in zip(self.schedulers, state["schedulers"], strict=True):
            schedule._restore(schedule._validated(saved), saved)
        super()._restore(loaded, state)

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self.schedulers))
        return (
            f"SequentialLR([{inner}], milestones={self.milestones}, last_epoch={self.last_epoch})"
        )


class ReduceLROnPlateau(_Schedule):
    """lr = lr * factor whenever a metric has not improved for more than `patience` steps.

    Call `step(metric)` after each validation. mode: "min" for a loss, "max" for an accuracy. An
    improvement is a metric better than the best by more than `threshold`, relative to the size
    of the best ("rel") or absolute ("abs"); NaN and infinity are none. cooldown: steps to wait
    after a reduction before counting again. min_lr: a lower bound, for all groups or each. eps:
    smaller reductions are not made.

    >>> import tinynet
    >>> from tinynet.optim import SGD
    >>> optimizer = SGD([tinynet.ones(1, requires_grad=True)], lr=0.5)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.0]:
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.25]
    """

    may_be_none: ClassVar[tuple[str, ...]] = ("best",)

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = self._for_each_group("min_lr", min_lr)
        self.eps = eps
        self.best: float | None = None
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.check()

    def check(self) -> None:
        super().check()
        name = "ReduceLROnPlateau"
        if self.mode not in ("min", "max"):
            raise unknown_name("mode", self.mode, ["min", "max"])
        if self.threshold_mode not in ("rel", "abs"):
            raise unknown_name("threshold_mode", self.threshold_mode, ["rel", "abs"])
        self.factor = number(0, 1, below_high=True)(name, "factor", self.factor)
        self.threshold = at_least_zero(name, "threshold", self.threshold)
        self.eps = at_least_zero(name, "eps", self.eps)
        for count in ("patience", "cooldown", "num_bad_epochs", "cooldown_counter"):
            setattr(self, count, whole(0)(name, count, getattr(self, count)))

    def step(self, metrics: SupportsFloat) -> None:
        """Look at the metric, a number or a tensor with one element; perhaps reduce the rates."""
        self._check_groups()
        metric = float(metrics)
        self.last_epoch += 1
        if self._is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, metric: float) -> bool:
        if self.best is None or not math.isfinite(metric):
            return math.isfinite(metric)
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        if self.mode == "min":
            return metric < self.best - margin
        return metric > self.best + margin

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            rate = max(float(group["lr"]) * self.factor, lowest)
            if float(group["lr"]) - rate > self.eps:
                group["lr"] = rate


def _milestones(owner: str, milestones: Sequence[int]) -> list[int]:
    """Step counts in rising order."""
    if isinstance(milestones, str) or not isinstance(milestones, Sequence):
        raise TypeError(f"{owner}(milestones={milestones!r}): give a list of step counts")
    return sorted(whole(1)(owner, "milestones", step) for step in milestones)
