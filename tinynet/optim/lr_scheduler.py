"""Learning-rate schedules: the learning rate of each parameter group as a function of time.

A schedule is built on an optimizer, sets the first learning rate at once, and the next one at
each `step()`, which comes after `optimizer.step()`. What a step is (a batch, an epoch) is up to
the loop that calls it; `last_epoch` counts them from 0.

Each schedule is a formula: `lr_at` computes the rate after n steps from n and the rate that the
optimizer was built with, never from the rate before. So two schedules that step side by
side do not multiply, as they would in PyTorch: the last one wins. `ChainedScheduler` multiplies
them, `SequentialLR` puts them one after the other. `ReduceLROnPlateau` alone looks at the training
and has a memory.
"""

import math
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, ClassVar, SupportsFloat

from tinynet.errors import CheckpointError, integer
from tinynet.optim import checks as check
from tinynet.optim.checks import AtLeastZero, Count, Flag, FromOne, ZeroToOne
from tinynet.optim.optimizer import Optimizer


def cosine(start: float, end: float, angle: float) -> float:
    """The value between start and end, at the angles 0 and pi, on half a cosine wave."""
    return end + (start - end) * (1 + math.cos(angle)) / 2


@dataclass(init=False, eq=False, repr=False)
class LRScheduler:
    """Base of the schedules; one that is a formula writes `lr_at`, or else `get_lr`.

    last_epoch: -1 starts anew. A schedule that is to go on after step n without a saved state is
    built with last_epoch=n, on an optimizer whose groups have `initial_lr`, the rate at the start.

    The rates at the start, `base_lrs`, are those of the optimizer's groups. The first schedule
    built on an optimizer notes them there as `initial_lr`, where later ones find them.
    """

    optimizer: Optimizer

    checks: ClassVar[dict[str, Any]] = {
        "last_epoch": integer,
        "_last_lr": [check.at_least_zero],
        "base_lrs": [check.at_least_zero],
    }
    """How what is not an argument is checked; the arguments' annotations have their checks."""
    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)
    """Attributes that are not part of `state_dict()`; all others are numbers, strings or lists."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer
        self.last_epoch = last_epoch
        self.__post_init__()

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: the first argument is the optimizer, not a "
                f"{type(self.optimizer).__name__}"
            )
        done = integer(type(self).__name__, "last_epoch", self.last_epoch, -1)
        self.last_epoch = done + 1
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]
        for name, value in vars(self).items():
            setattr(self, name, self._checked(name, value))
        self.check_together()
        self.base_lrs = self._checked("base_lrs", self._initial_lrs(done))
        self._apply()

    def check_together(self) -> None:
        """Raise an error if the settings, each fine alone, do not go together."""

    def _checked(self, name: str, value: Any) -> Any:
        """A setting, as plain numbers. One for all groups becomes a list with one for each."""
        test = {**check.checks_of(type(self)), **self.checks}.get(name)
        owner, groups = type(self).__name__, len(self.optimizer.param_groups)
        known = vars(self).get(name)
        if test is None and type(value) is not type(known):
            raise TypeError(
                f"{owner}({name}={value!r:.60}): {name} must be of type {type(known).__name__}"
            )
        if not isinstance(test, list):
            return test(owner, name, value) if test else value
        name = name.removesuffix("s")  # of the argument
        values = value if isinstance(value, (list, tuple)) else [value] * groups
        if len(values) != groups:
            raise ValueError(
                f"{owner}({name}={value!r}): {len(values)} values for {groups} parameter groups; "
                "give one for all, or one for each group"
            )
        return [test[0](owner, name, item) for item in values]

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

    # ----- the formula ------------------------------------------------------------------------

    def lr_at(self, n: int, base_lr: float) -> float:
        """The learning rate after n steps of a group that began with base_lr."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr() or lr_at()")

    def get_lr(self) -> list[float]:
        """The learning rate of each group at `last_epoch`, computed from `base_lrs`."""
        return [self.lr_at(self.last_epoch, base_lr) for base_lr in self.base_lrs]

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group that this schedule set last."""
        return list(self._last_lr)

    _step_count: ClassVar[Any] = property(
        lambda self: self.last_epoch + 1, lambda self, n: setattr(self, "last_epoch", n - 1)
    )
    """PyTorch's count of steps, in which making the schedule is the first."""

    def step(self, epoch: float | None = None) -> None:
        """Set the learning rates of the next step; called after `optimizer.step()`.

        epoch: the step to go to, in place of the next; `epoch + batch / batches` is one in between.
        Warns if something else has changed the rates since, because the change is lost.
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
        before = self.state_dict()
        place: Any = self.last_epoch + 1 if epoch is None else epoch
        try:
            self.last_epoch = place
            self._apply()
            self.last_epoch = int(place)
        except BaseException:
            self._put_back(before)
            raise

    def _apply(self) -> None:
        """Set the learning rates of `last_epoch`."""
        self._set(self.get_lr())

    def _set(self, rates: list[float]) -> None:
        self._last_lr = rates
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _check_groups(self) -> None:
        groups = len(self.optimizer.param_groups)
        if groups != len(self._last_lr):
            raise RuntimeError(
                f"{type(self).__name__}: the optimizer has {groups} parameter groups, the schedule "
                f"was built for {len(self._last_lr)}; build the schedule after add_param_group()"
            )

    # ----- saving and loading -----------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Settings and progress, as a dict of numbers, strings and lists of numbers."""
        return {
            name: list(value) if isinstance(value, list) else value
            for name, value in vars(self).items()
            if name not in self.unsaved
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where the schedule with this `state_dict()` was, with its settings.

        A schedule that is a formula sets the learning rates too (OneCycleLR also the momentum), so
        it does not matter whether the optimizer's state is loaded before or after, or before the
        schedule is built. Everything is checked before anything is changed; raises
        CheckpointError with the entry that does not fit.
        """
        self._check_groups()
        before = self.state_dict()
        try:
            self._load(state_dict)
            self._apply()
        except (TypeError, ValueError) as error:
            self._load(before)
            raise CheckpointError(f"the saved state does not fit this schedule: {error}") from error

    def _put_back(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def _load(self, state: Any) -> None:
        """Take a state over that fits; TypeError or ValueError, half way, at what does not."""
        name, expected = type(self).__name__, list(self.state_dict())
        if not isinstance(state, dict) or set(state) != set(expected):
            found = ", ".join(map(str, state)) if isinstance(state, dict) else repr(state)[:60]
            raise ValueError(
                f"{name}: the saved state must have {', '.join(expected)}; it has {found}. "
                "Load it into the kind of schedule it was saved from."
            )
        for key, value in state.items():
            setattr(self, key, self._checked(key, value))
        self.check_together()

    def __repr__(self) -> str:
        shown = [name for name in vars(self) if name != "optimizer" and name[0] != "_"]
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({settings})"


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

    checks: ClassVar[dict[str, Any]] = {**LRScheduler.checks, "lr_lambdas": [check.function]}
    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.lr_lambdas = lr_lambda
        super().__init__(optimizer, last_epoch)

    def factor(self, lr_lambda: Callable[[float], float], n: float) -> Any:
        """What the rate at the start is multiplied by, n steps later."""
        return check.at_least_zero(type(self).__name__, f"lr_lambda({n})", lr_lambda(n))

    def get_lr(self) -> list[float]:
        return [
            base_lr * self.factor(lr_lambda, self.last_epoch)
            for base_lr, lr_lambda in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class MultiplicativeLR(LambdaLR):
    """lr = base_lr * lr_lambda(1) * lr_lambda(2) * ... * lr_lambda(n) after n steps.

    lr_lambda: as for LambdaLR. All are called anew at each step.
    """

    def factor(self, lr_lambda: Callable[[float], float], n: float) -> Any:
        usual = super().factor
        return math.prod(usual(lr_lambda, k) for k in range(1, int(n) + 1))


@dataclass(eq=False, repr=False)
class StepLR(LRScheduler):
    """lr = base_lr * gamma**(n // step_size) after n steps."""

    step_size: FromOne
    gamma: AtLeastZero = 0.1
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return base_lr * self.gamma ** (n // self.step_size)


@dataclass(eq=False, repr=False)
class MultiStepLR(LRScheduler):
    """lr = base_lr * gamma**(number of milestones reached) after n steps.

    milestones: step counts; one that is given twice counts twice.
    """

    milestones: check.Steps
    gamma: AtLeastZero = 0.1
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return base_lr * self.gamma ** bisect_right(self.milestones, n)


@dataclass(eq=False, repr=False)
class ConstantLR(LRScheduler):
    """lr = base_lr * factor for the first `total_iters` steps, then base_lr."""

    factor: ZeroToOne = 1 / 3
    total_iters: Count = 5
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return base_lr * (self.factor if n < self.total_iters else 1.0)


@dataclass(eq=False, repr=False)
class LinearLR(LRScheduler):
    """lr = base_lr * (start_factor + (end_factor - start_factor) * n / total_iters).

    After `total_iters` steps the factor stays at end_factor. A warm-up, by default.
    """

    start_factor: Annotated[float, check.number(5e-324, 1)] = 1 / 3
    end_factor: ZeroToOne = 1.0
    total_iters: FromOne = 5
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        done = min(n, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


@dataclass(eq=False, repr=False)
class ExponentialLR(LRScheduler):
    """lr = base_lr * gamma**n after n steps."""

    gamma: AtLeastZero
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return base_lr * self.gamma**n


@dataclass(eq=False, repr=False)
class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * n / T_max)) / 2 after n steps.

    Half a cosine wave, from base_lr down to eta_min at step T_max; then up again. Loshchilov and
    Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2016), arXiv:1608.03983,
    without the restarts.
    """

    T_max: FromOne
    eta_min: AtLeastZero = 0.0
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return cosine(base_lr, self.eta_min, math.pi * n / self.T_max)


@dataclass(eq=False, repr=False)
class PolynomialLR(LRScheduler):
    """lr = base_lr * (1 - n / total_iters)**power for the first `total_iters` steps, then 0."""

    total_iters: FromOne = 5
    power: AtLeastZero = 1.0
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        return float(base_lr * (1 - min(n, self.total_iters) / self.total_iters) ** self.power)


@dataclass(eq=False, repr=False)
class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * k / T)) / 2, k steps after a restart.

    Restarts come after T_0 steps, then T_0 * T_mult, T_0 * T_mult**2, ... Source: that of
    CosineAnnealingLR.
    """

    T_0: FromOne
    T_mult: FromOne = 1
    eta_min: AtLeastZero = 0.0
    last_epoch: int = -1

    def lr_at(self, n: int, base_lr: float) -> float:
        k, T = float(n), self.T_0
        if self.T_mult == 1:
            k %= T
        while k >= T:
            k, T = k - T, T * self.T_mult
        return cosine(base_lr, self.eta_min, math.pi * k / T)


class _Cycle(LRScheduler):
    """Base of schedules up to max_lr and down, with the momentum (beta1 for Adam) against them."""

    max_lr: Any
    cycle_momentum: bool
    base_momentum: Any
    max_momentum: Any
    final_div_factor: float = 1.0

    between: Callable[[float, float, float], float]
    """The value at `last_epoch` of what goes from a start to a top, and down to an end."""

    def check_together(self) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & set(self.optimizer.defaults):
            raise ValueError(
                f"{type(self).__name__}(cycle_momentum=True): {type(self.optimizer).__name__} has "
                "neither momentum nor betas to cycle; pass cycle_momentum=False"
            )

    def get_lr(self) -> list[float]:
        return [
            self.between(base_lr, max_lr, base_lr / self.final_div_factor)
            for base_lr, max_lr in zip(self.base_lrs, self.max_lr, strict=True)
        ]

    def _apply(self) -> None:
        super()._apply()
        if not self.cycle_momentum:
            return
        bounds = zip(self.base_momentum, self.max_momentum, strict=True)
        for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
            momentum = self.between(high, low, high)
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


@dataclass(eq=False, repr=False)
class CyclicLR(_Cycle):
    """Up from base_lr to max_lr in `step_size_up` steps, down in `step_size_down`, over and over.

    mode: "triangular" as it is; "triangular2" halves the height with each cycle; "exp_range" has
    it shrink by gamma with each step. scale_fn: in place of these, the height as a function of the
    cycle, from 1, or with scale_mode="iterations" of the step; it is not saved. With
    `cycle_momentum` the momentum goes the other way, from max_momentum down to base_momentum.
    Smith, "Cyclical Learning Rates for Training Neural Networks" (2015), arXiv:1506.01186.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "scale_fn")

    base_lr: check.PerGroup
    max_lr: check.PerGroup
    step_size_up: FromOne = 2000
    step_size_down: Annotated[Any, check.from_one] = None
    mode: Annotated[str, check.one_of("triangular", "triangular2", "exp_range")] = "triangular"
    gamma: AtLeastZero = 1.0
    scale_fn: Annotated[Any, check.optional(check.function)] = None
    scale_mode: Annotated[str, check.one_of("cycle", "iterations")] = "cycle"
    cycle_momentum: Flag = True
    base_momentum: check.BelowOnePerGroup = 0.8
    max_momentum: check.BelowOnePerGroup = 0.9
    last_epoch: int = -1

    def __post_init__(self) -> None:
        self.step_size_down = self.step_size_down or self.step_size_up
        super().__post_init__()

    def _initial_lrs(self, last_epoch: int) -> list[float]:
        return list(self.base_lr)

    def between(self, start: float, top: float, end: float) -> float:
        n, up = self.last_epoch, self.step_size_up
        cycle, k = divmod(n, up + self.step_size_down)
        height = k / up if k <= up else 1 - (k - up) / self.step_size_down
        if self.scale_fn is not None:
            height *= self.scale_fn(cycle + 1 if self.scale_mode == "cycle" else n)
        elif self.mode != "triangular":
            height *= 0.5**cycle if self.mode == "triangular2" else self.gamma**n
        return float(start + (top - start) * height)


@dataclass(eq=False, repr=False)
class OneCycleLR(_Cycle):
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

    Raises ValueError at the step after total_steps.
    """

    max_lr: check.PerGroup
    total_steps: Annotated[Any, check.from_one] = None
    epochs: InitVar[int | None] = None
    steps_per_epoch: InitVar[int | None] = None
    pct_start: ZeroToOne = 0.3
    anneal_strategy: check.Anneal = "cos"
    cycle_momentum: Flag = True
    base_momentum: check.BelowOnePerGroup = 0.85
    max_momentum: check.BelowOnePerGroup = 0.95
    div_factor: check.AboveZero = 25.0
    final_div_factor: check.AboveZero = 1e4
    three_phase: Flag = False
    last_epoch: int = -1

    def __post_init__(self, epochs: Any, steps_per_epoch: Any) -> None:  # type: ignore[override]
        if self.total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR: give total_steps, the number of batches in the whole training, "
                    "or both epochs and steps_per_epoch=len(loader)"
                )
            self.total_steps = check.from_one("OneCycleLR", "epochs", epochs)
            self.total_steps *= check.from_one("OneCycleLR", "steps_per_epoch", steps_per_epoch)
        super().__post_init__()

    def _initial_lrs(self, last_epoch: int) -> list[float]:
        return [max_lr / self.div_factor for max_lr in self.max_lr]

    def between(self, start: float, top: float, end: float) -> float:
        n, rise = self.last_epoch, self.pct_start * self.total_steps
        corners = [(0.0, start), (rise - 1, top), (self.total_steps - 1, end)]
        if self.three_phase:
            corners.insert(2, (2 * rise - 2, start))
        ends = [place for place, _ in corners[1:-1]]
        phase = bisect_left(ends, n)
        (first, start), (last, end) = corners[phase : phase + 2]
        done = (n - first) / (last - first) if last > first else 1.0  # above 1 after the last
        if self.anneal_strategy == "linear":
            return start + (end - start) * min(done, 1.0)
        return cosine(start, end, math.pi * done)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step() was called {self.last_epoch} times, but the cycle was built "
                f"for total_steps={self.total_steps}. total_steps is the number of batches in "
                "the whole training: epochs * len(loader)."
            )
        return super().get_lr()


class _Several(LRScheduler):
    """Base of schedules that are made of others, which step with it."""

    unsaved: ClassVar[tuple[str, ...]] = ("optimizer", "schedulers", "_begun")

    schedulers: Sequence[Any]

    def check_together(self) -> None:
        for i, schedule in enumerate(self.schedulers):
            if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
                raise TypeError(
                    f"{type(self).__name__}: schedulers[{i}] is a {type(schedule).__name__}; only "
                    "schedules that are a formula of the step count can be joined"
                )
            if schedule.optimizer is not self.optimizer:
                raise ValueError(
                    f"{type(self).__name__}: schedulers[{i}] ({type(schedule).__name__}) was built "
                    "on another optimizer; build all of them on the same one"
                )

    def state_dict(self) -> dict[str, Any]:
        """As of the others, and under `schedulers` the list of theirs."""
        inner = [schedule.state_dict() for schedule in self.schedulers]
        return {**super().state_dict(), "schedulers": inner}

    def _put_back(self, state: dict[str, Any]) -> None:
        for schedule, saved in zip(self.schedulers, state["schedulers"], strict=True):
            schedule._put_back(saved)
        super()._put_back({**state, "schedulers": self.schedulers})

    def _load(self, state: Any) -> None:
        inner = state.get("schedulers") if isinstance(state, dict) else None
        if not isinstance(inner, list) or len(inner) != len(self.schedulers):
            raise ValueError(
                f"{type(self).__name__}: the saved state lacks a list 'schedulers' of "
                f"{len(self.schedulers)}"
            )
        for schedule, saved in zip(self.schedulers, inner, strict=True):
            schedule._load(saved)
        super()._load({**state, "schedulers": self.schedulers})


@dataclass(eq=False, repr=False)
class SequentialLR(_Several):
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

    schedulers: Sequence[Any]
    milestones: check.Steps
    last_epoch: int = -1

    def check_together(self) -> None:
        super().check_together()
        if len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules and {len(self.milestones)} "
                "milestones; there must be one milestone fewer: the step at which each "
                "schedule but the first begins"
            )

    def _apply(self) -> None:
        turn = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[turn]
        schedule.last_epoch = self.last_epoch - (self.milestones[turn - 1] if turn else 0)
        schedule._apply()
        self._last_lr = schedule.get_last_lr()


class ChainedScheduler(_Several):
    """Schedules side by side: their factors multiply, lr = base_lr * (lr_1 / base_lr) * ...

    schedulers: schedules on one optimizer, of which each goes on from where it is. Only this
    schedule is stepped, not those in it. In PyTorch one that computes from the rate at the start
    (LambdaLR, warm restarts, cycles) undoes what came before it; here all multiply.

    >>> import tinynet
    >>> from tinynet.optim import SGD
    >>> optimizer = SGD([tinynet.ones(1, requires_grad=True)], lr=1.0)
    >>> warm_up = ConstantLR(optimizer, factor=0.5, total_iters=1)
    >>> schedule = ChainedScheduler([warm_up, ExponentialLR(optimizer, gamma=0.5)])
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     schedule.step()
    [0.5]
    [0.5]
    [0.25]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: give at least one schedule")
        self.schedulers = list(schedulers)
        built_on: Any = optimizer or getattr(schedulers[0], "optimizer", None)
        super().__init__(built_on)

    def check_together(self) -> None:
        super().check_together()
        self._begun = [schedule.last_epoch - self.last_epoch for schedule in self.schedulers]

    def _apply(self) -> None:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        try:
            factors = list(self.base_lrs)
            for schedule, begun in zip(self.schedulers, self._begun):
                schedule.last_epoch = begun + self.last_epoch
                # its own rates, as if it were alone: it may compute the next from them
                schedule._set(schedule._last_lr if schedule.last_epoch else schedule.base_lrs)
                schedule._apply()
                own = zip(factors, schedule._last_lr, schedule.base_lrs, strict=True)
                factors = [rate * (lr / base if base else 0.0) for rate, lr, base in own]
            rates = factors
        finally:  # an error leaves the rates as they were
            self._set(rates)


@dataclass(eq=False, repr=False)
class ReduceLROnPlateau(LRScheduler):
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

    checks: ClassVar[dict[str, Any]] = {
        **LRScheduler.checks,
        "min_lrs": [check.at_least_zero],
        "best": check.optional(check.number(-math.inf)),
        "num_bad_epochs": integer,
        "cooldown_counter": integer,
    }
    mode: Annotated[str, check.one_of("min", "max")] = "min"
    factor: Annotated[float, check.below_one] = 0.1
    patience: Count = 10
    threshold: AtLeastZero = 1e-4
    threshold_mode: Annotated[str, check.one_of("rel", "abs")] = "rel"
    cooldown: Count = 0
    min_lr: InitVar[float | Sequence[float]] = 0
    eps: AtLeastZero = 1e-8

    def __post_init__(self, min_lr: Any) -> None:  # type: ignore[override]
        self.min_lrs = min_lr
        self.best: float | None = None
        self.num_bad_epochs, self.cooldown_counter, self.last_epoch = 0, 0, -1
        super().__post_init__()

    @property
    def in_cooldown(self) -> bool:
        """Whether steps are waited for after a reduction."""
        return self.cooldown_counter > 0

    def _apply(self) -> None:
        """Nothing: the rates as they were reduced are part of the optimizer's state."""

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at the metric, a number or a tensor with one element; perhaps reduce the rates."""
        self._check_groups()
        metric = float(metrics)
        self.last_epoch += 1
        better, waiting = self._is_better(metric), self.in_cooldown
        if better:
            self.best = metric
        if waiting:
            self.cooldown_counter -= 1
        self.num_bad_epochs = 0 if better or waiting else self.num_bad_epochs + 1
        if self.num_bad_epochs > self.patience:
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                rate = max(float(group["lr"]) * self.factor, lowest)
                if float(group["lr"]) - rate > self.eps:
                    group["lr"] = rate
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _is_better(self, metric: float) -> bool:
        if self.best is None or not math.isfinite(metric):
            return math.isfinite(metric)
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        sign = -1 if self.mode == "min" else 1
        return sign * metric > sign * self.best + margin


_LRScheduler = LRScheduler  # its name in older scripts
delattr(ReduceLROnPlateau, "min_lr")  # the argument's default; a schedule has `min_lrs`
