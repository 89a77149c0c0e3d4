"""Optimizers and schedules take the same way as PyTorch's: 50 steps in float64, and whole lives."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import optim

torch = pytest.importorskip("torch")

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.001, "momentum": 0.5, "maximize": True, "weight_decay": 0.2}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.5)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.5, "betas": (0.7, 0.9)}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.5, "amsgrad": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "centered": True}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.002, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adadelta", {"maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-4}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "momentum_decay": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.7, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.2)}),
    ("Rprop", {"maximize": True}),
    ("ASGD", {"lr": 0.0625}),
    ("ASGD", {"lr": 0.0625, "lambd": 0.1, "alpha": 0.5, "t0": 10, "weight_decay": 0.1}),
]

SECOND_GROUP = {  # settings of a second group that differ from those of the first
    "SGD": {"lr": 0.01, "momentum": 0.4, "nesterov": False, "dampening": 0.1},
    "Adam": {"lr": 0.02, "betas": (0.6, 0.7), "weight_decay": 0.3},
    "AdamW": {"lr": 0.02, "amsgrad": True},
    "RMSprop": {"lr": 0.005, "centered": True, "momentum": 0.3},
    "Adadelta": {"lr": 0.3, "rho": 0.5},
    "Adagrad": {"lr": 0.3, "lr_decay": 0.5},
    "Adamax": {"lr": 0.02, "eps": 1e-2},
    "NAdam": {"lr": 0.02, "betas": (0.6, 0.7)},
    "RAdam": {"lr": 0.02, "betas": (0.6, 0.7)},
    "Rprop": {"etas": (0.3, 1.1)},
    "ASGD": {"lr": 0.03125, "t0": 5},
}

SHAPES = [(3, 4), (4,), (), (2, 3, 2, 2)]


def same_problem(rng):
    """The same parameters and targets for both frameworks; the last parameter joins late."""
    starts = [rng.standard_normal(shape) for shape in SHAPES]
    targets = [rng.standard_normal(shape) for shape in SHAPES]
    ours = [tinynet.tensor(np.array(start), requires_grad=True) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]
    return ours, theirs, targets


def loss_of(params, targets, step, tensor):
    """Curved, with a different slope at each step; the last parameter is used from step 5 on."""
    total = 0.0
    for i, (p, target) in enumerate(zip(params, targets, strict=True)):
        if i == len(params) - 1 and (step < 5 or step % 3 == 0):
            continue
        difference = p - tensor(target)
        total = total + ((1 + np.sin(step + i)) * difference * difference).sum()
        total = total + (difference * difference * difference * difference).sum() * 0.01
    return total


def run_both(name, settings, ours, theirs, targets, groups=list, steps=50, schedule=None):
    """Optimize in both frameworks side by side and compare after each step; -> the optimizers."""
    first = getattr(optim, name)(groups(ours), **settings)
    second = getattr(torch.optim, name)(groups(theirs), **settings)
    schedules = [schedule(optim, first), schedule(torch.optim, second)] if schedule else []
    near = 1e-6 if name == "ASGD" else 1e-8  # whose step size PyTorch keeps in float32
    for step in range(steps):
        first.zero_grad()
        second.zero_grad()
        loss_of(ours, targets, step, tinynet.tensor).backward()
        loss_of(theirs, targets, step, torch.tensor).backward()
        for one in (first, second, *schedules):
            one.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=near, atol=near)
    assert all(np.isfinite(p.array).all() for p in ours)
    return first, second


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
def test_trajectory_is_pytorchs(name, settings, groups):
    ours, theirs, targets = same_problem(np.random.default_rng(groups))
    before = [p.array.copy() for p in ours]
    second = {**SECOND_GROUP[name], **({"dampening": 0} if settings.get("nesterov") else {})}

    def grouped(params):
        return [{"params": params[:2]}, {"params": params[2:], **second}] if groups == 2 else params

    run_both(name, settings, ours, theirs, targets, grouped)
    assert all((p.array != old).any() for p, old in zip(ours, before, strict=True))


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_trajectory_under_one_cycle_is_pytorchs(name):
    problem = same_problem(np.random.default_rng(2))
    settings = {"momentum": 0.9} if name == "RMSprop" else {}

    def one_cycle(module, optimizer):
        return module.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=60)

    run_both(name, settings, *problem, schedule=one_cycle)


@pytest.mark.parametrize("name", list(SECOND_GROUP))
def test_defaults_are_pytorchs(name):
    ours = getattr(optim, name)([tinynet.ones(1, requires_grad=True)])
    theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)])
    assert ours.defaults == theirs.defaults


@pytest.mark.parametrize("name", list(SECOND_GROUP))
def test_an_optimizer_is_printed_as_pytorchs(name):
    pair = []
    for framework, tensors in ((optim, tinynet), (torch.optim, torch)):
        params = [tensors.ones(1, requires_grad=True) for _ in range(2)]
        groups = [{"params": params[:1]}, {"params": params[1:], **SECOND_GROUP[name]}]
        optimizer = getattr(framework, name)(groups, lr=0.5)
        framework.lr_scheduler.StepLR(optimizer, 3)
        pair.append(repr(optimizer))
    assert pair[0] == pair[1]


@pytest.mark.parametrize(("name", "settings"), [OPTIMIZERS[3], OPTIMIZERS[11], OPTIMIZERS[21]])
def test_state_has_pytorchs_names_and_values(name, settings):
    problem = same_problem(np.random.default_rng(3))
    first, second = run_both(name, settings, *problem, steps=8)
    theirs_state = second.state_dict()["state"]
    ours_state = first.state_dict()["state"]
    assert ours_state.keys() == theirs_state.keys()
    for i, entry in ours_state.items():
        assert entry.keys() | {"step"} == theirs_state[i].keys() | {"step"}
        for key in theirs_state[i]:
            np.testing.assert_allclose(entry[key], np.asarray(theirs_state[i][key]), rtol=1e-10)


def both_optimizers(kind="SGD", **settings):
    """An optimizer with two groups in each framework."""
    pair = []
    for framework, tensors in ((optim, tinynet), (torch.optim, torch)):
        first, second = (tensors.ones(1, requires_grad=True) for _ in range(2))
        groups = [{"params": [first]}, {"params": [second], "lr": 0.03}]
        pair.append(getattr(framework, kind)(groups, lr=0.5, **settings))
    return pair


def life(optimizer, schedule, steps, metrics=None):
    """The learning rates and momenta of both groups at each step."""
    sequence = []
    for n in range(steps):
        row = []
        for group, last in zip(optimizer.param_groups, schedule.get_last_lr(), strict=True):
            assert group["lr"] == last
            row += [group["lr"], group.get("momentum", 0), group.get("betas", (0,))[0]]
        sequence.append(row)
        optimizer.step()
        if metrics is None:
            schedule.step()
        else:
            schedule.step(metrics[n])
    return sequence


TRIANGLE = {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 4}
CYCLE = {"max_lr": 0.8, "total_steps": 20}
SCHEDULES = [
    ("StepLR", {"step_size": 3}, 20),
    ("StepLR", {"step_size": 1, "gamma": 0.9}, 20),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.5}, 15),
    ("MultiStepLR", {"milestones": [7, 3]}, 10),
    ("ExponentialLR", {"gamma": 0.93}, 40),
    ("CosineAnnealingLR", {"T_max": 10}, 11),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}, 40),
    ("LinearLR", {}, 10),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 8}, 12),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 8}, 12),
    ("ConstantLR", {}, 10),
    ("ConstantLR", {"factor": 0.25, "total_iters": 3}, 6),
    ("LambdaLR", {"lr_lambda": lambda n: 0.95**n}, 20),
    ("LambdaLR", {"lr_lambda": [lambda n: 0.95**n, lambda n: 1 / (n + 1)]}, 20),
    ("MultiplicativeLR", {"lr_lambda": lambda n: 1 - 0.5 / n}, 20),
    ("PolynomialLR", {}, 10),
    ("PolynomialLR", {"total_iters": 8, "power": 2.0}, 12),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}, 20),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}, 40),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.4, "step_size_up": 4}, 30),
    (
        "CyclicLR",
        {"base_lr": [0.1, 0.2], "max_lr": 0.4, "step_size_up": 3, "step_size_down": 5},
        30,
    ),
    ("CyclicLR", {**TRIANGLE, "mode": "triangular2"}, 30),
    ("CyclicLR", {**TRIANGLE, "mode": "exp_range", "gamma": 0.9}, 30),
    ("CyclicLR", {**TRIANGLE, "scale_fn": lambda cycle: 1 / cycle, "cycle_momentum": False}, 30),
    ("CyclicLR", {**TRIANGLE, "scale_fn": lambda n: 0.9**n, "scale_mode": "iterations"}, 30),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 37}, 37),
    ("OneCycleLR", {"max_lr": [0.8, 0.2], "epochs": 5, "steps_per_epoch": 6}, 30),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 37, "three_phase": True}, 37),
    ("OneCycleLR", {"max_lr": 0.8, "total_steps": 40, "anneal_strategy": "linear"}, 40),
    ("OneCycleLR", {**CYCLE, "three_phase": True, "anneal_strategy": "linear"}, 20),
    ("OneCycleLR", {**CYCLE, "pct_start": 0.0}, 20),
    ("OneCycleLR", {**CYCLE, "pct_start": 0.9}, 20),
    ("OneCycleLR", {**CYCLE, "cycle_momentum": False}, 20),
    ("OneCycleLR", {**CYCLE, "base_momentum": [0.5, 0.6], "max_momentum": 0.99}, 20),
    ("OneCycleLR", {**CYCLE, "div_factor": 10.0}, 20),
    ("OneCycleLR", {**CYCLE, "final_div_factor": 50.0}, 20),
]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize(("name", "settings", "steps"), SCHEDULES)
def test_schedule_is_pytorchs(name, settings, steps, kind):
    sequences = []
    for module, optimizer in zip((optim, torch.optim), both_optimizers(kind), strict=True):
        schedule = getattr(module.lr_scheduler, name)(optimizer, **settings)
        sequences.append(life(optimizer, schedule, steps))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-11, atol=1e-15)
    assert len({tuple(row) for row in sequences[0]}) > 1


def test_sequential_schedule_is_pytorchs():
    sequences = []
    for module, optimizer in zip((optim, torch.optim), both_optimizers(), strict=True):
        schedules = module.lr_scheduler
        warm_up = schedules.LinearLR(optimizer, start_factor=0.1, total_iters=5)
        cosine = schedules.CosineAnnealingLR(optimizer, T_max=9, eta_min=0.001)
        last = schedules.ExponentialLR(optimizer, gamma=0.8)
        sequence = schedules.SequentialLR(optimizer, [warm_up, cosine, last], milestones=[5, 14])
        sequences.append(life(optimizer, sequence, 25))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-11)


def recursive(schedules, optimizer, factor):
    """A schedule of one's own, which computes each rate from the one before."""

    class Recursive(schedules.LRScheduler):
        def get_lr(self):
            by = factor if self.last_epoch else 1
            return [group["lr"] * by for group in self.optimizer.param_groups]

    return Recursive(optimizer)


def stepped(optimizer, schedule, steps=3):
    for _ in range(steps):
        optimizer.step()
        schedule.step()
    return schedule


CHAINS = {
    "warm-up and decay": lambda s, o: [s.ConstantLR(o, 0.1, 5), s.ExponentialLR(o, 0.8)],
    "warm-up and cosine": lambda s, o: [s.LinearLR(o, 0.1), s.CosineAnnealingLR(o, 20)],
    "a tuple": lambda s, o: (s.MultiStepLR(o, [2, 5], 0.5), s.PolynomialLR(o, 20, 2.0)),
    "factors": lambda s, o: [s.MultiplicativeLR(o, lambda n: 0.95), s.StepLR(o, 4)],
    "a cycle with its momentum": lambda s, o: [s.OneCycleLR(o, 0.2, total_steps=20)],
    "triangles with theirs": lambda s, o: [s.CyclicLR(o, 0.01, 0.1, step_size_up=3)],
    "a sequence in it": lambda s, o: [
        s.SequentialLR(o, [s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)], [3]),
        s.StepLR(o, 4),
    ],
    "a chain in it": lambda s, o: [
        s.ChainedScheduler([s.ExponentialLR(o, 0.9), s.StepLR(o, 2)]),
        s.ExponentialLR(o, 0.8),
    ],
    "one's own, last": lambda s, o: [s.ConstantLR(o, 0.1, 4), recursive(s, o, 0.9)],
    "one's own, first": lambda s, o: [recursive(s, o, 0.9), s.ConstantLR(o, 0.1, 4)],
    "one that is under way": lambda s, o: [stepped(o, s.StepLR(o, 4)), s.ConstantLR(o, 0.5, 4)],
}


@pytest.mark.parametrize("build", CHAINS.values(), ids=CHAINS.keys())
def test_chained_schedule_is_pytorchs(build):
    sequences = []
    for module, optimizer in zip((optim, torch.optim), both_optimizers(), strict=True):
        schedules = module.lr_scheduler
        chain = schedules.ChainedScheduler(build(schedules, optimizer))
        sequences.append(life(optimizer, chain, 12))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-11)


def test_restarts_between_two_epochs_are_pytorchs():
    sequences = []
    for module, optimizer in zip((optim, torch.optim), both_optimizers(), strict=True):
        schedule = module.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 2)
        optimizer.step()
        rates = []
        for n in range(40):
            schedule.step(n / 4)
            rates.append(schedule.get_last_lr())
        sequences.append(rates)
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-11)


@pytest.mark.parametrize(
    "settings",
    [
        {"factor": 0.5, "patience": 2},
        {"factor": 0.5, "patience": 0, "cooldown": 2},
        {"factor": 0.5, "patience": 1, "mode": "max"},
        {"factor": 0.3, "patience": 1, "threshold": 0.2, "threshold_mode": "abs"},
        {"factor": 0.3, "patience": 1, "threshold": 0.2, "threshold_mode": "rel"},
        {"factor": 0.3, "patience": 1, "mode": "max", "threshold": 0.1, "threshold_mode": "abs"},
        {"factor": 0.1, "patience": 0, "min_lr": [0.1, 0.001]},
        {"factor": 0.1, "patience": 0, "min_lr": 0.02, "eps": 0.01},
    ],
)
def test_plateau_is_pytorchs(settings):
    rng = np.random.default_rng(4)
    metrics = [float(m) for m in np.linspace(2, 0.5, 40) + 0.5 * rng.standard_normal(40)]
    metrics[7] = float("nan")
    metrics[9] = float("inf") if settings.get("mode") != "max" else float("-inf")
    sequences = []
    for module, optimizer in zip((optim, torch.optim), both_optimizers(), strict=True):
        schedule = module.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
        sequences.append(life(optimizer, schedule, 40, metrics))
    np.testing.assert_allclose(sequences[0], sequences[1], rtol=1e-12)
    assert len({tuple(row) for row in sequences[0]}) > 1


# ----- L-BFGS ------------------------------------------------------------------------------------


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def valley(x):
    return ((x - 1) ** 2).sum() * 3 + ((x[:1] * x[1:2] - 2) ** 4).sum()


def lbfgs_steps(framework, tensors, function, start, steps, **settings):
    """(x after each step, the first loss of each step, calls of the closure)."""
    x = tensors.tensor(np.array(start), requires_grad=True)
    optimizer = framework.LBFGS([x], **settings)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = function(x)
        loss.backward()
        calls.append(loss.item())
        return loss

    places, losses = [], []
    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
        places.append(x.tolist())
    return np.array(places), losses, len(calls)


@pytest.mark.parametrize("function", [rosenbrock, valley])
@pytest.mark.parametrize(
    "settings",
    [{}, {"lr": 0.5}, {"max_iter": 3, "history_size": 2}, {"lr": 0.01}, {"max_eval": 4}],
    ids=str,
)
def test_lbfgs_without_a_search_goes_pytorchs_way(function, settings):
    task = function, [-1.2, 1.0], 4
    ours, losses, calls = lbfgs_steps(optim, tinynet, *task, **settings)
    theirs, theirs_losses, theirs_calls = lbfgs_steps(torch.optim, torch, *task, **settings)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(losses, theirs_losses, rtol=1e-6, atol=1e-6)
    assert calls == theirs_calls


@pytest.mark.parametrize("start", [[-1.2, 1.0], [3.0, -4.0], [0.0, 0.0], [30.0, 30.0]], ids=str)
@pytest.mark.parametrize("settings", [{}, {"lr": 0.1, "history_size": 3}], ids=str)
def test_lbfgs_with_a_search_reaches_the_minimum(start, settings):
    found, losses, _ = lbfgs_steps(
        optim, tinynet, rosenbrock, start, 40, line_search_fn="strong_wolfe", **settings
    )
    np.testing.assert_allclose(found[-1], [1, 1], atol=1e-4)
    assert losses == sorted(losses, reverse=True)


def test_lbfgs_trains_a_net_as_far_as_pytorchs():
    rng = np.random.default_rng(4)
    x, target = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    weights = [rng.standard_normal(shape) * 0.5 for shape in ((5, 3), (5,), (2, 5), (2,))]

    def trained(framework, tensors, search):
        a, b, c, d = (tensors.tensor(w.copy(), requires_grad=True) for w in weights)
        data, wanted = tensors.tensor(x), tensors.tensor(target)
        optimizer = framework.LBFGS([a, b, c, d], line_search_fn=search)

        def closure():
            optimizer.zero_grad()
            loss = ((tensors.tanh(data @ a.T + b) @ c.T + d - wanted) ** 2).mean()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(5)]
        return losses

    for search in (None, "strong_wolfe"):
        ours, theirs = trained(optim, tinynet, search), trained(torch.optim, torch, search)
        assert ours[0] == pytest.approx(theirs[0])
        assert ours[-1] < theirs[-1] * 1.1 < ours[0] / 2


def test_lbfgs_has_pytorchs_settings():
    ours = optim.LBFGS([tinynet.ones(1, requires_grad=True)])
    theirs = torch.optim.LBFGS([torch.ones(1, requires_grad=True)])
    assert ours.defaults == theirs.defaults
    assert repr(ours) == repr(theirs)
