"""Learning-rate schedules: their formulas, saving and loading, and what they refuse."""

from __future__ import annotations

import copy
import json
import math

import pytest

import tinynet
from tinynet import CheckpointError
from tinynet.optim import SGD, Adadelta, Adam
from tinynet.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)
from tinynet.optim.swa_utils import SWALR


def build_optimizer(kind=SGD, **settings):
    groups = [{"params": tinynet.ones(2, requires_grad=True)} for _ in range(2)]
    groups[1]["lr"] = 0.2
    return kind(groups, lr=1.0, **settings)


def sequential(optimizer):
    warm_up = LinearLR(optimizer, 0.25, total_iters=3)
    cycle = OneCycleLR(optimizer, 2.0, total_steps=6)
    inner = SequentialLR(optimizer, [StepLR(optimizer, 1), ExponentialLR(optimizer, 0.9)], [2])
    return SequentialLR(optimizer, [warm_up, cycle, inner], [3, 9])


SCHEDULES = {
    "step": lambda o: StepLR(o, 3),
    "multistep": lambda o: MultiStepLR(o, [3, 5]),
    "exponential": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealingLR(o, 7, eta_min=0.01),
    "linear": lambda o: LinearLR(o, total_iters=7),
    "constant": lambda o: ConstantLR(o, total_iters=7),
    "lambda": lambda o: LambdaLR(o, lambda n: 1 / (1 + n)),
    "multiplicative": lambda o: MultiplicativeLR(o, lambda n: 1 - 0.5 / n),
    "polynomial": lambda o: PolynomialLR(o, 7, 2.0),
    "restarts": lambda o: CosineAnnealingWarmRestarts(o, 3, 2),
    "cyclic": lambda o: CyclicLR(o, [0.1, 0.2], 2.0, 3, mode="triangular2"),
    "chained": lambda o: ChainedScheduler([ConstantLR(o), ExponentialLR(o, 0.9)]),
    "chained_under_way": lambda o: ChainedScheduler([LinearLR(o), StepLR(o, 3, last_epoch=1)]),
    "one_cycle": lambda o: OneCycleLR(o, [2.0, 3.0], total_steps=20, three_phase=True),
    "sequential": sequential,
}
all_schedules = pytest.mark.parametrize("build", SCHEDULES.values(), ids=SCHEDULES.keys())


def rates(optimizer):
    return [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups]


def life(optimizer, schedule, steps):
    sequence = [rates(optimizer)]
    for _ in range(steps):
        schedule.step()
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
        sequence.append(rates(optimizer))
    return sequence


@all_schedules
@pytest.mark.parametrize("when", [0, 2, 3, 6, 9, 12])
@pytest.mark.parametrize("order", ["optimizer first", "schedule first", "before building"])
def test_resume_gives_the_same_rates(build, when, order):
    optimizer = build_optimizer()
    schedule = build(optimizer)
    life(optimizer, schedule, when)
    saved, saved_schedule = optimizer.state_dict(), schedule.state_dict()
    saved_schedule = json.loads(json.dumps(saved_schedule, allow_nan=False))
    rest = life(optimizer, schedule, 4)

    other = build_optimizer()
    if order == "before building":
        other.load_state_dict(saved)
    resumed = build(other)
    if order == "optimizer first":
        other.load_state_dict(saved)
    resumed.load_state_dict(saved_schedule)
    if order == "schedule first":
        other.load_state_dict(saved)
    assert life(other, resumed, 4) == rest
    assert resumed.state_dict() == schedule.state_dict()


@all_schedules
def test_state_dict_is_a_copy(build):
    optimizer = build_optimizer()
    schedule = build(optimizer)
    saved = schedule.state_dict()
    before = copy.deepcopy(saved)
    life(optimizer, schedule, 3)
    assert saved == before
    assert schedule.state_dict() != before


@all_schedules
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(last_epoch=-3), "last_epoch"),
        (lambda s: s.update(last_epoch=1.5), "last_epoch"),
        (lambda s: s.update(base_lrs=[0.1]), "base_lr="),
        (lambda s: s.update(base_lrs=[0.1, -1.0]), "base_lr=-1.0"),
        (lambda s: s.update(_last_lr=[0.1, float("nan")]), "_last_lr"),
        (lambda s: s.update(extra=1), "must have"),
        (lambda s: s.pop("base_lrs"), "base_lrs"),
    ],
)
def test_a_damaged_state_is_refused_and_nothing_is_changed(build, change, message):
    optimizer = build_optimizer()
    schedule = build(optimizer)
    life(optimizer, schedule, 2)
    before, rates_before = schedule.state_dict(), rates(optimizer)
    state = schedule.state_dict()
    change(state)
    with pytest.raises(CheckpointError, match=message):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before
    assert rates(optimizer) == rates_before


@pytest.mark.parametrize(
    ("build", "key", "value", "message"),
    [
        (SCHEDULES["step"], "step_size", 0, "step_size must be at least 1, got 0"),
        (SCHEDULES["step"], "gamma", "x", "gamma='x'"),
        (SCHEDULES["multistep"], "milestones", [0], "milestones must be at least 1, got 0"),
        (SCHEDULES["one_cycle"], "total_steps", 1, "2 times, .*total_steps=1"),
        (SCHEDULES["one_cycle"], "anneal_strategy", "sine", "unknown anneal_strategy"),
        (SCHEDULES["one_cycle"], "three_phase", 1, "three_phase=1"),
        (SCHEDULES["sequential"], "schedulers", [], "lacks a list 'schedulers' of 3"),
        (SCHEDULES["sequential"], "schedulers", None, "lacks a list 'schedulers' of 3"),
        (SCHEDULES["sequential"], "schedulers", [{}, {}, {}], "LinearLR: the saved state must"),
        (SCHEDULES["sequential"], "milestones", [3], "one milestone fewer"),
        (ReduceLROnPlateau, "best", "good", "best='good'"),
        (ReduceLROnPlateau, "mode", "up", "unknown mode 'up'"),
        (ReduceLROnPlateau, "num_bad_epochs", -1, "num_bad_epochs must be at least 0, got -1"),
    ],
)
def test_a_state_with_impossible_settings_is_refused(build, key, value, message):
    optimizer = build_optimizer()
    schedule = build(optimizer)
    for _ in range(2):
        schedule.step(1.0) if isinstance(schedule, ReduceLROnPlateau) else schedule.step()
    before = schedule.state_dict()
    with pytest.raises(CheckpointError, match=message):
        schedule.load_state_dict({**before, key: value})
    assert schedule.state_dict() == before


def test_loading_into_another_kind_of_schedule_is_refused():
    optimizer = build_optimizer()
    saved = StepLR(optimizer, 3).state_dict()
    with pytest.raises(CheckpointError, match="ExponentialLR: the saved state must have"):
        ExponentialLR(optimizer, 0.9).load_state_dict(saved)


def test_plateau_resumes():
    metrics = [3.0, 2.0, 2.1, 2.2, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    optimizer = build_optimizer()
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1)
    for metric in metrics[:4]:
        schedule.step(metric)
    saved = optimizer.state_dict(), json.loads(json.dumps(schedule.state_dict()))
    other = build_optimizer()
    resumed = ReduceLROnPlateau(other)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    for metric in metrics[4:]:
        schedule.step(metric)
        resumed.step(tinynet.tensor(metric))
        assert rates(other) == rates(optimizer)
        assert resumed.state_dict() == schedule.state_dict()
    assert optimizer.param_groups[0]["lr"] < 0.5


def test_plateau_with_nothing_but_nan_reduces():
    optimizer = build_optimizer()
    schedule = ReduceLROnPlateau(optimizer, patience=2)
    for _ in range(3):
        schedule.step(math.nan)
    assert schedule.get_last_lr() == [0.1, 0.2 * 0.1]


@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("best", [-50.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 50.0])
@pytest.mark.parametrize(("mode", "up"), [("min", -1), ("max", 1)])
def test_plateau_counts_an_improvement_of_more_than_the_threshold_whatever_the_sign(
    mode, up, best, threshold_mode
):
    margin = 0.1 * (abs(best) if threshold_mode == "rel" else 1)
    no_better = [best, best + up * 0.9 * margin, best - up * margin, best - up, math.nan]
    for metric, better in [
        *((m, False) for m in (*no_better, math.inf, -math.inf)),
        (best + up * (1.1 * margin + 1e-6), True),
    ]:
        schedule = ReduceLROnPlateau(
            build_optimizer(), mode, threshold=0.1, threshold_mode=threshold_mode, patience=0
        )
        schedule.step(best)
        schedule.step(metric)
        assert schedule.best == (metric if better else best)
        assert (schedule.get_last_lr()[0] == 1.0) is better


def test_one_cycle_ends_at_its_lowest_rate_and_says_when_it_is_over():
    optimizer = build_optimizer()
    schedule = OneCycleLR(optimizer, 2.0, total_steps=10)
    sequence = [row[0][0] for row in life(optimizer, schedule, 10)]
    assert sequence[0] == pytest.approx(2.0 / 25)
    assert max(sequence) == pytest.approx(2.0)
    assert sequence[9] == pytest.approx(2.0 / 25 / 1e4)
    assert sequence[9] < sequence[10] < 0.25  # where PyTorch goes on along the cosine
    state = schedule.state_dict()
    with pytest.raises(ValueError, match=r"11 times.*total_steps=10.*epochs \* len"):
        schedule.step()
    assert schedule.state_dict() == state


@pytest.mark.parametrize("total_steps", [1, 2, 3, 5])
@pytest.mark.parametrize("pct_start", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("three_phase", [False, True])
def test_shortest_cycles_stay_between_the_bounds(total_steps, pct_start, three_phase):
    optimizer = build_optimizer(Adam)
    schedule = OneCycleLR(optimizer, 2.0, total_steps, pct_start=pct_start, three_phase=three_phase)
    for row in life(optimizer, schedule, total_steps):
        for rate, _, betas in row:
            assert 2.0 / 25 / 1e4 * 0.999 <= rate <= 2.0
            assert 0.85 <= betas[0] <= 0.95
            assert betas[1] == 0.999


def test_a_chain_that_cannot_go_on_leaves_rates_and_counts():
    optimizer = build_optimizer()
    chain = ChainedScheduler([OneCycleLR(optimizer, 2.0, total_steps=3), StepLR(optimizer, 2)])
    life(optimizer, chain, 3)
    before, state = rates(optimizer), chain.state_dict()
    for _ in range(2):
        with pytest.raises(ValueError, match="4 times"):
            chain.step()
        assert rates(optimizer) == before
        assert chain.state_dict() == state


def test_constant_for_no_steps_changes_nothing():
    optimizer = build_optimizer()
    assert ConstantLR(optimizer, 0.5, total_iters=0).get_last_lr() == [1.0, 0.2]


def test_schedule_can_start_in_the_middle():
    whole = build_optimizer()
    sequence = life(whole, CosineAnnealingLR(whole, 10), 9)
    other = build_optimizer()
    for group in other.param_groups:
        group["initial_lr"] = group["lr"]
    assert life(other, CosineAnnealingLR(other, 10, last_epoch=4), 4) == sequence[5:]
    with pytest.raises(ValueError, match="has no 'initial_lr' to compute from"):
        StepLR(build_optimizer(), 3, last_epoch=4)


def test_a_change_from_outside_is_warned_of_and_two_schedules_are_such():
    optimizer = build_optimizer()
    first, second = ExponentialLR(optimizer, 0.8), ExponentialLR(optimizer, 0.9)
    first.step()
    with pytest.warns(UserWarning, match="Join schedules with SequentialLR"):
        second.step()
    assert second.get_last_lr() == [0.9, 0.2 * 0.9]
    optimizer.param_groups[1]["lr"] = 0.5
    with pytest.warns(UserWarning, match="group 1 is 0.5, but this schedule had set"):
        second.step()


def test_base_rates_can_be_scaled_by_hand():
    optimizer = build_optimizer()
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.base_lrs = [0.5 * base for base in schedule.base_lrs]
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.05]


def test_a_group_added_after_the_schedule_is_refused():
    optimizer = build_optimizer()
    schedules = StepLR(optimizer, 3), ReduceLROnPlateau(optimizer)
    optimizer.add_param_group({"params": tinynet.ones(1, requires_grad=True)})
    with pytest.raises(RuntimeError, match="3 parameter groups, the schedule was built for 2"):
        schedules[0].step()
    with pytest.raises(RuntimeError, match="build the schedule after add_param_group"):
        schedules[1].step(1.0)
    with pytest.raises(RuntimeError, match="build the schedule after add_param_group"):
        schedules[0].load_state_dict(schedules[0].state_dict())


class InverseSquareRoot(LRScheduler):
    def lr_at(self, n, base_lr):
        return base_lr / math.sqrt(1 + n)


class Slowed(LRScheduler):
    def __init__(self, optimizer, by=2):
        self.by = by
        super().__init__(optimizer)

    def get_lr(self):
        return [base_lr / math.sqrt(1 + self.last_epoch) ** self.by for base_lr in self.base_lrs]


def test_a_schedule_of_ones_own_is_a_few_lines():
    optimizer = build_optimizer()
    schedule = InverseSquareRoot(optimizer)
    life(optimizer, schedule, 3)
    assert schedule.get_last_lr() == [0.5, 0.1]
    assert repr(schedule) == "InverseSquareRoot(last_epoch=3, base_lrs=[1.0, 0.2])"
    with pytest.raises(NotImplementedError, match="LRScheduler must define get_lr"):
        LRScheduler(optimizer)


def test_settings_of_ones_own_schedule_are_saved_and_keep_their_type():
    schedule = Slowed(build_optimizer(), by=2)
    saved = schedule.state_dict()
    schedule.load_state_dict({**saved, "by": 4, "last_epoch": 3})
    assert schedule.get_last_lr() == [1 / 16, 0.2 / 16]
    with pytest.raises(
        CheckpointError, match=r"does not fit .*: Slowed\(by='x'\): by must be of type int"
    ):
        schedule.load_state_dict({**saved, "by": "x"})


class Around(LRScheduler):
    """As warm-ups are often written: another schedule is an attribute."""

    def __init__(self, optimizer, after):
        self.after = after
        super().__init__(optimizer)

    def get_lr(self):
        if self.last_epoch == 3:
            raise RuntimeError("not that far")
        return self.after.base_lrs


def test_a_schedule_around_another_is_saved_and_fails_as_it_says():
    optimizer = build_optimizer()
    schedule = Around(optimizer, StepLR(optimizer, 3))
    schedule.load_state_dict(schedule.state_dict())
    life(optimizer, schedule, 2)
    with pytest.raises(RuntimeError, match="not that far"):
        schedule.step()
    assert schedule.last_epoch == 2
    assert schedule.after.step_size == 3


def test_repr_shows_the_settings():
    optimizer = build_optimizer()
    assert "step_size=3, gamma=0.1" in repr(StepLR(optimizer, 3))
    schedule = SequentialLR(optimizer, [StepLR(optimizer, 3), StepLR(optimizer, 4)], [5])
    assert repr(schedule).startswith("SequentialLR(schedulers=[StepLR(")
    assert "step_size=4" in repr(schedule)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda o: StepLR([o], 3), TypeError, "first argument is the optimizer, not a list"),
        (lambda o: LambdaLR(None, abs), TypeError, "first argument is the optimizer"),
        (
            lambda o: StepLR(o, 0),
            ValueError,
            r"StepLR: step_size must be at least 1, got 0",
        ),
        (lambda o: StepLR(o, 2.5), TypeError, "an integer, got 2.5"),
        (lambda o: StepLR(o, 2, gamma=-1), ValueError, "gamma=-1"),
        (
            lambda o: StepLR(o, 2, last_epoch=-2),
            ValueError,
            "last_epoch must be at least -1, got -2",
        ),
        (lambda o: MultiStepLR(o, 3), TypeError, "list of step counts"),
        (lambda o: MultiStepLR(o, [3, -1]), ValueError, "milestones must be at least 1, got -1"),
        (lambda o: ExponentialLR(o, math.nan), ValueError, "gamma=nan"),
        (lambda o: CosineAnnealingLR(o, 0), ValueError, "T_max must be at least 1, got 0"),
        (lambda o: CosineAnnealingLR(o, 5, eta_min=-1), ValueError, "eta_min=-1"),
        (lambda o: LinearLR(o, start_factor=0), ValueError, "start_factor=0"),
        (lambda o: LinearLR(o, end_factor=1.5), ValueError, "end_factor=1.5"),
        (lambda o: LinearLR(o, total_iters=0), ValueError, "total_iters must be at least 1, got 0"),
        (lambda o: ConstantLR(o, factor=2), ValueError, "factor=2"),
        (lambda o: LambdaLR(o, [abs]), ValueError, "1 values for 2 parameter groups"),
        (lambda o: LambdaLR(o, 0.5), ValueError, "must be a function of the step count"),
        (lambda o: LambdaLR(o, lambda n: -0.5), ValueError, r"lr_lambda\(0\)=-0.5"),
        (lambda o: LambdaLR(o, lambda n: None), TypeError, r"lr_lambda\(0\)=None"),
        (lambda o: OneCycleLR(o, 0.1), ValueError, "give total_steps"),
        (lambda o: OneCycleLR(o, 0.1, epochs=3), ValueError, "epochs and steps_per_epoch"),
        (lambda o: OneCycleLR(o, 0.1, 0), ValueError, "total_steps must be at least 1, got 0"),
        (
            lambda o: OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3),
            ValueError,
            "epochs must be at least 1, got 0",
        ),
        (lambda o: OneCycleLR(o, 0.1, 9, pct_start=30), ValueError, "pct_start=30"),
        (lambda o: OneCycleLR(o, 1, 9, anneal_strategy="cosine"), ValueError, "did you mean 'cos'"),
        (lambda o: OneCycleLR(o, [0.1], 9), ValueError, "1 values for 2 parameter groups"),
        (lambda o: OneCycleLR(o, -0.1, 9), ValueError, "max_lr=-0.1"),
        (lambda o: OneCycleLR(o, 0.1, 9, div_factor=0), ValueError, "div_factor=0"),
        (lambda o: OneCycleLR(o, 0.1, 9, max_momentum=1.5), ValueError, "max_momentum"),
        (lambda o: OneCycleLR(build_optimizer(Adadelta), 1, 9), ValueError, "cycle_momentum=False"),
        (lambda o: SequentialLR(o, [], []), ValueError, "0 schedules and 0 milestones"),
        (lambda o: SequentialLR(o, [StepLR(o, 3)], [3]), ValueError, "one milestone fewer"),
        (
            lambda o: SequentialLR(o, [ReduceLROnPlateau(o)], []),
            TypeError,
            "is a ReduceLROnPlateau; only",
        ),
        (lambda o: SequentialLR(o, [o], []), TypeError, r"schedulers\[0\] is a SGD;"),
        (lambda o: SWALR(o, 0.05, anneal_strategy="cosine"), ValueError, "did you mean 'cos'"),
        (lambda o: ChainedScheduler([]), ValueError, "give at least one schedule"),
        (lambda o: SequentialLR(o, [StepLR(build_optimizer(), 3)], []), ValueError, "on another"),
        (lambda o: ReduceLROnPlateau(o, mode="mim"), ValueError, "did you mean 'min'"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "Known: rel, abs"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "factor=1.0"),
        (
            lambda o: ReduceLROnPlateau(o, patience=-1),
            ValueError,
            "patience must be at least 0, got -1",
        ),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0, 0, 0]), ValueError, "3 values for 2"),
    ],
)
def test_bad_settings_are_refused(build, error, message):
    optimizer = build_optimizer()
    with pytest.raises(error, match=message):
        build(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.2]


def test_steps_are_counted_as_in_pytorch():
    schedule = StepLR(build_optimizer(), 3)
    assert schedule._step_count == 1
    schedule.optimizer.step()
    schedule.step()
    assert schedule._step_count == 2
    other = StepLR(build_optimizer(), 3)
    other.load_state_dict(schedule.state_dict())
    assert other._step_count == 2
    other._step_count = 1  # as scripts that start a schedule anew write it
    assert (other.last_epoch, other._step_count) == (0, 1)
