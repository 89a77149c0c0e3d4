"""Optimizers: steps in place, parameter groups, saving and loading, and what they refuse."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import re
import weakref

import numpy as np
import pytest

import tinynet
from tinynet import CheckpointError, ShapeError, optim
from tinynet.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    executor,
)  # fmt: skip

# every optimizer with every kind of state
VARIANTS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    (Adam, {"weight_decay": 0.1}),
    (Adam, {"amsgrad": True, "maximize": True}),
    (AdamW, {"amsgrad": True}),
    (RMSprop, {"weight_decay": 0.1}),
    (RMSprop, {"centered": True, "momentum": 0.9, "maximize": True}),
    (Adadelta, {"weight_decay": 0.1}),
    (Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    (Adamax, {"weight_decay": 0.1}),
    (NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, {"betas": (0.8, 0.5)}),
    (Rprop, {"maximize": True}),
    (ASGD, {"t0": 1, "weight_decay": 0.1}),
]
all_variants = pytest.mark.parametrize(("kind", "settings"), VARIANTS)


def parameter(shape=(3, 4), dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return tinynet.tensor(values, requires_grad=True)


def give_gradient(p, seed):
    values = np.random.default_rng(seed).standard_normal(p.shape).astype(p.dtype)
    p.grad = tinynet.tensor(values)


def train(optimizer, params, steps, start=0):
    for step in range(start, start + steps):
        for i, p in enumerate(params):
            give_gradient(p, 100 * step + i)
        optimizer.step()


# ----- the step -------------------------------------------------------------------------------


@all_variants
def test_parameters_change_in_place_and_gradients_do_not(kind, settings):
    p = parameter()
    memory, view, before = p.array, p.array[1:], p.array.copy()
    optimizer = kind([p], **settings)
    for seed in range(2):
        give_gradient(p, seed)
        p.grad.array.flags.writeable = False
        gradient = p.grad.array.copy()
        optimizer.step()
        np.testing.assert_array_equal(p.grad.array, gradient)
    assert p.array is memory
    assert (p.array != before).all()
    np.testing.assert_array_equal(view, p.array[1:])
    assert p.requires_grad
    assert p.is_leaf
    assert not p.grad.requires_grad


@all_variants
def test_float32_stays_float32(kind, settings):
    p = parameter()
    scalars = {
        name: np.float64(value) if type(value) is float else value
        for name, value in settings.items()
    }
    optimizer = kind([p], **scalars)
    optimizer.param_groups[0]["lr"] = np.float64(0.01)
    train(optimizer, [p], 2)
    remembered = [value for name, value in optimizer.state[p].items() if name != "step"]
    assert p.dtype == np.float32
    assert all(tensor.dtype == np.float32 for tensor in remembered)
    q = parameter()
    plain = kind([q], **settings)
    plain.param_groups[0]["lr"] = 0.01
    train(plain, [q], 2)
    np.testing.assert_array_equal(p.array, q.array)


def strided(values, order):
    """The same values with another order in memory."""
    if order == "gaps":
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if order == "reversed":
        return np.ascontiguousarray(values[::-1])[::-1]
    return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))


@all_variants
@pytest.mark.parametrize("block", [5, 24, 10**6])
@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), "gaps", "reversed"])
def test_memory_order_and_blocks_do_not_change_the_result(
    kind, settings, order, block, monkeypatch
):
    reference = parameter((4, 3, 6), np.float64)
    train(kind([reference], **settings), [reference], 3)
    monkeypatch.setattr(executor, "BLOCK", block)
    p = parameter((4, 3, 6), np.float64)
    p.array = strided(p.array, order)
    optimizer = kind([p], **settings)
    for step in range(3):
        give_gradient(p, 100 * step)
        p.grad.array = strided(p.grad.array, (0, 2, 1) if step else order)
        optimizer.step()
    np.testing.assert_array_equal(p.array, reference.array)


@all_variants
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,)])
def test_scalars_and_empty_parameters_can_be_trained(kind, settings, shape):
    p = parameter(shape)
    before = p.array.copy()
    train(kind([p], **settings), [p], 3)
    assert type(p.array) is np.ndarray
    assert p.shape == shape
    assert (p.array != before).all()


def test_parameters_without_a_gradient_are_left_alone():
    p, q = parameter(), parameter()
    optimizer = Adam([p, q])
    give_gradient(p, 1)
    before = q.array.copy()
    optimizer.step()
    np.testing.assert_array_equal(q.array, before)
    assert q not in optimizer.state
    give_gradient(q, 2)
    optimizer.step()
    assert (optimizer.state[p]["step"], optimizer.state[q]["step"]) == (2, 1)


def test_a_step_between_forward_and_backward_is_noticed():
    p = parameter()
    loss = (p * p).sum()
    give_gradient(p, 1)
    SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_step_size_by_hand():
    p = tinynet.tensor([1.0, -2.0], requires_grad=True, dtype=tinynet.float64)
    optimizer = SGD([p], lr=0.1, momentum=0.5, weight_decay=0.2)
    p.grad = tinynet.tensor(np.array([0.8, 0.4]))
    optimizer.step()  # g = (1, 0), b = g
    np.testing.assert_allclose(p.array, [0.9, -2.0], rtol=1e-15)
    p.grad = tinynet.tensor(np.array([0.82, 0.4]))
    optimizer.step()  # g = (1, 0), b = (1.5, 0)
    np.testing.assert_allclose(p.array, [0.75, -2.0], rtol=1e-15)


def test_first_adam_step_has_the_length_of_the_learning_rate():
    p = parameter(dtype=np.float64)
    before = p.array.copy()
    give_gradient(p, 1)
    Adam([p], lr=0.01, eps=0).step()
    np.testing.assert_allclose(p.array, before - 0.01 * np.sign(p.grad.array), rtol=1e-12)


def test_centered_rmsprop_with_a_constant_gradient_stays_finite():
    # the variance is 0 in the limit, and rounding makes it negative for many elements
    p = tinynet.tensor(np.ones(500), requires_grad=True)
    optimizer = RMSprop([p], lr=1e-12, alpha=0.5, centered=True)
    for _ in range(100):
        p.grad = tinynet.tensor(np.linspace(0.1, 7.3, 500))
        optimizer.step()
    state = optimizer.state[p]
    assert (state["square_avg"] < state["grad_avg"] ** 2).any()
    assert np.isfinite(p.array).all()


@all_variants
def test_a_step_toward_lower_loss(kind, settings):
    p = parameter(dtype=np.float64)
    sign = -1 if settings.get("maximize") else 1
    optimizer = kind([p], **settings)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = sign * (p * p).sum()
        loss.backward()
        losses.append(sign * loss.item())
        optimizer.step()
    assert losses[-1] < losses[0]


def test_closure_is_run_with_gradients_and_its_loss_returned():
    p = tinynet.tensor([2.0], requires_grad=True)
    optimizer = SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tinynet.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.array.tolist() == [1.0]


def test_scratch_memory_is_bounded_and_reused(monkeypatch):
    monkeypatch.setattr(executor, "BLOCK", 64)
    params = [parameter((50, 7)), parameter((3,)), parameter((9, 9), np.float64)]
    optimizer = Adam(params)
    train(optimizer, params, 2)
    memory = dict(optimizer._executor.memory)
    train(optimizer, params, 2, start=2)
    assert memory.keys() == optimizer._executor.memory.keys()
    shares = range(tinynet.get_num_threads())
    assert memory.keys() <= {(dtype, share) for dtype in "fd" for share in shares}
    assert all(optimizer._executor.memory[key] is memory[key] for key in memory)
    assert all(array.shape[1] <= 64 for array in memory.values())


def test_a_dropped_optimizer_is_freed_without_the_garbage_collector():
    p = parameter((20, 20))
    optimizer = Adam([p])
    train(optimizer, [p], 1)
    alive = weakref.ref(optimizer)
    gc.disable()
    try:
        del optimizer
        assert alive() is None
    finally:
        gc.enable()


# ----- zero_grad, groups, repr ----------------------------------------------------------------


def test_zero_grad_forgets_or_fills():
    p = parameter()
    optimizer = SGD([p])
    give_gradient(p, 1)
    gradient = p.grad.array
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.array is gradient
    assert not gradient.any()
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is None


def test_groups_have_their_own_settings():
    p, q = parameter(), parameter(seed=1)
    before = p.array.copy(), q.array.copy()
    optimizer = SGD([{"params": [p]}, {"params": iter([q]), "lr": 0.5, "name": "head"}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    give_gradient(p, 1)
    give_gradient(q, 2)
    optimizer.step()
    np.testing.assert_allclose(p.array, before[0] - 0.1 * p.grad.array, rtol=1e-6)
    np.testing.assert_allclose(q.array, before[1] - 0.5 * q.grad.array, rtol=1e-6)
    assert "Parameter Group 1\n    dampening: 0\n" in repr(optimizer)


def test_a_group_can_be_added_later():
    p, q = parameter(), parameter()
    optimizer = Adam([p], lr=0.1)
    train(optimizer, [p], 1)
    optimizer.add_param_group({"params": q, "lr": 0.01})
    before = q.array.copy()
    train(optimizer, [p, q], 1)
    assert (q.array != before).all()
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [p]})
    assert len(optimizer.param_groups) == 2


def test_an_optimizer_of_ones_own_is_a_few_lines():
    class Plain(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, p, g, state, settings, t, u):
            p -= settings["lr"] * g

    p, q = parameter(), parameter()
    train(Plain([p], 0.1), [p], 3)
    train(SGD([q], 0.1), [q], 3)
    np.testing.assert_allclose(p.array, q.array, rtol=1e-6)
    give_gradient(p, 0)
    with pytest.raises(NotImplementedError, match="Optimizer must define update"):
        Optimizer([p], {"lr": 0.1}).step()


class Sharp(Optimizer):
    """As the scripts for sharpness-aware minimization are written: around another optimizer."""

    def __init__(self, params, base, rho=0.05, **settings):
        super().__init__(params, {"rho": rho, **settings})
        self.base = base(self.param_groups, **settings)
        self.param_groups = self.base.param_groups
        self.defaults.update(self.base.defaults)

    def step(self, closure=None):
        self.base.step()


def test_an_optimizer_around_another_has_settings_of_its_own_in_the_groups():
    p, q = parameter(), parameter()
    sharp = Sharp([{"params": [p], "adaptive": True}], SGD, rho=0.1, lr=0.5, momentum=0.9)
    train(sharp, [p], 3)
    train(SGD([q], lr=0.5, momentum=0.9), [q], 3)
    np.testing.assert_array_equal(p.array, q.array)
    assert {"rho": 0.1, "adaptive": True, "momentum": 0.9}.items() <= sharp.param_groups[0].items()
    sharp.base.load_state_dict(sharp.base.state_dict())


# ----- saving and loading ---------------------------------------------------------------------


@all_variants
def test_resume_is_equal_bit_for_bit(kind, settings):
    def build():
        params = [parameter((3, 4)), parameter((2, 5), seed=1), parameter((2,), np.float64, 2)]
        params[0].array = strided(params[0].array, (1, 0))
        groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.02}]
        return params, kind(groups, **settings)

    params, optimizer = build()
    train(optimizer, params[:2], 3)  # the third joins later
    saved, values = optimizer.state_dict(), [p.array.copy() for p in params]
    train(optimizer, params, 3, start=3)

    resumed, other = build()
    for p, value in zip(resumed, values, strict=True):
        p.array[...] = value
    other.load_state_dict(saved)
    train(other, resumed, 3, start=3)
    for p, q in zip(params, resumed, strict=True):
        assert p.array.tobytes() == q.array.tobytes()


@all_variants
def test_state_survives_json_beside_arrays(kind, settings):
    params = [parameter(), parameter((2,), seed=1)]
    optimizer = kind([{"params": params[:1], "name": "body"}, {"params": params[1:]}], **settings)
    optim.lr_scheduler.StepLR(optimizer, 2)
    train(optimizer, params, 2)
    saved = optimizer.state_dict()
    arrays = []

    def aside(tensor):
        arrays.append(tensor.array)
        return {"array": len(arrays) - 1}

    text = json.dumps(saved, default=aside, allow_nan=False)
    plain = json.loads(text, object_hook=lambda d: arrays[d["array"]] if "array" in d else d)
    other = kind([{"params": params[:1], "name": "body"}, {"params": params[1:]}], **settings)
    other.load_state_dict(plain)
    loaded = other.state_dict()
    assert json.dumps(loaded, default=tinynet.Tensor.tolist) == json.dumps(
        saved, default=tinynet.Tensor.tolist
    )


def test_parameters_may_be_given_with_their_names():
    model = tinynet.nn.Linear(2, 1)
    optimizer = SGD(model.named_parameters(), lr=0.1)
    (group,) = optimizer.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert list(group["param_names"]) == ["weight", "bias"]
    SGD(model.parameters(), lr=0.1).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("shape", [(3,), (300, 300)])
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_remembered_may_be_taken_away_and_not_become_something_else(shape, count):
    params = [parameter(shape) for _ in range(count)]
    optimizer = Adam(params)
    for forget in (lambda state: state.clear(), lambda state: state.pop("exp_avg")):
        train(optimizer, params, 2)
        forget(optimizer.state[params[0]])
        train(optimizer, params, 2)
        assert all("exp_avg" in optimizer.state[p] for p in params)
    for wrong in (None, tinynet.zeros(1), tinynet.zeros(*shape).double()):
        optimizer.state[params[0]]["exp_avg"] = wrong
        with pytest.raises(ValueError, match=r"'exp_avg'\] is .*, it must be an array of shape"):
            train(optimizer, params, 1)


def test_a_formula_that_sets_what_it_should_change_is_refused():
    class Momentum(Optimizer):
        required_state = ("velocity",)

        def update(self, p, g, state, settings, t, u):
            state["velocity"] *= 0.9  # in place
            state["velocity"] = state["velocity"] + g

    with pytest.raises(TypeError, match=r"change it in place, state\['velocity'\]\[...\] = "):
        train(Momentum([p := parameter()], {"lr": 0.1}), [p], 1)


def test_state_dict_is_a_copy():
    p = parameter()
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    train(optimizer, [p], 1)
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    other = SGD([p], lr=0.1, momentum=0.9)
    other.load_state_dict(saved)
    train(optimizer, [p], 1)
    train(other, [p], 1)
    buffer = before["state"][0]["momentum_buffer"]
    np.testing.assert_array_equal(saved["state"][0]["momentum_buffer"], buffer)
    assert saved["param_groups"] == before["param_groups"]


def test_loading_brings_back_changed_settings():
    p = parameter()
    optimizer = Adam([p], lr=0.1, betas=(0.5, 0.6))
    optimizer.param_groups[0]["lr"] = np.float32(0.25)
    other = Adam([p])
    other.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    assert other.param_groups[0]["lr"] == 0.25
    assert other.param_groups[0]["betas"] == (0.5, 0.6)
    assert other.param_groups[0]["params"][0] is p


def damaged(change):
    """An optimizer with three steps behind it, and a state of it changed by `change`."""
    params = [parameter(), parameter((2,), seed=1)]
    optimizer = Adam([{"params": params[:1]}, {"params": params[1:], "lr": 0.5}])
    train(optimizer, params, 3)
    state = optimizer.state_dict()
    change(state)
    return optimizer, state


DAMAGE = [
    (lambda s: s.pop("state"), "it is a dict with the keys 'param_groups'"),
    (lambda s: s.update(extra=1), "must be 'state' and 'param_groups'"),
    (lambda s: s.update(state=[]), "its state is [], no dict"),
    (
        lambda s: s["param_groups"].pop(),
        "params [[0]], where the optimizer has [[0], [1]]",
    ),
    (lambda s: s.update(param_groups=None), "param_groups have the params None, where"),
    (lambda s: s["param_groups"].__setitem__(0, 5), "have the params [5, [1]], where"),
    (lambda s: s["param_groups"][1].update(params=[1, 2]), "have the params [[0], [1, 2]], where"),
    (lambda s: s["param_groups"][1].update(params=np.arange(2)), "params [[0], array([0, 1])],"),
    (lambda s: s["param_groups"][1].pop("betas"), "lacks betas"),
    (lambda s: s["param_groups"][1].update(beta=0.9), "unknown Adam setting 'beta'"),
    (lambda s: s["param_groups"][1].update(lr=-1.0), "Adam(lr=-1.0)"),
    (lambda s: s["param_groups"][1].update(lr="x"), "Adam(lr='x')"),
    (lambda s: s["param_groups"][1].update(lr=float("nan")), "Adam(lr=nan)"),
    (lambda s: s["param_groups"][1].update(betas=[0.9, 2]), "betas[1]"),
    (lambda s: s["param_groups"][1].update(initial_lr=[1]), "Adam(lr=[1])"),
    (lambda s: s["state"].update({7: {}}), "state[7] belongs to no parameter"),
    (lambda s: s["state"].update({"1": s["state"][1]}), "state['1'] belongs to no parameter"),
    (lambda s: s["state"].update({"9" * 5000: {}}), "belongs to no parameter"),
    (lambda s: s["state"].update(x={}), "state['x'] belongs to no parameter"),
    (lambda s: s["state"].update({0.5: {}}), "state[0.5] belongs to no parameter"),
    (lambda s: s["state"].update({1: 3}), "state[1] is 3; it must have step, exp_avg"),
    (lambda s: s["state"][1].pop("exp_avg"), "state[1] is a dict with the keys 'step'"),
    (lambda s: s["state"][1].pop("step"), "it must have step, exp_avg, exp_avg_sq"),
    (lambda s: s["state"][1].update(step=2.5), "state[1]: step must be an integer, got 2.5"),
    (lambda s: s["state"][1].update(step=-1), "step must be at least 0, got -1"),
    (lambda s: s["state"][1].update(step=True), "an integer, got True"),
    (
        lambda s: s["state"][1].update(momentum_buffer=np.zeros(2)),
        "'momentum_buffer'; it must",
    ),
    (lambda s: s["state"][1].update(exp_avg=np.zeros(3)), "is an array of shape (3,) and dtype"),
    (
        lambda s: s["state"][1].update(exp_avg=np.zeros(3)),
        "must be an array of shape (2,) and",
    ),
    (lambda s: s["state"][1].update(exp_avg=np.zeros(2)), "dtype float64, it must be an array of"),
    (lambda s: s["state"][1].update(exp_avg=[0.0, 0.0]), "is [0.0, 0.0], it must be an array"),
]


@pytest.mark.parametrize(("change", "message"), DAMAGE)
def test_a_damaged_state_is_refused_and_nothing_is_changed(change, message):
    optimizer, state = damaged(change)
    before = optimizer.state_dict()
    arrays = {p: dict(entry) for p, entry in optimizer.state.items()}
    with pytest.raises(CheckpointError) as error:
        optimizer.load_state_dict(state)
    assert message in str(error.value)
    assert optimizer.state_dict()["param_groups"] == before["param_groups"]
    for p, entry in arrays.items():
        assert all(optimizer.state[p][key] is value for key, value in entry.items())


def test_state_of_another_optimizer_is_refused():
    p = parameter()
    with pytest.raises(CheckpointError, match=r"it is \[1, 2\]"):
        SGD([p]).load_state_dict([1, 2])
    with pytest.raises(CheckpointError, match="another optimizer than SGD"):
        SGD([p]).load_state_dict(Adam([p]).state_dict())


# ----- bad input ------------------------------------------------------------------------------


class Model:
    def parameters(self):
        return iter([parameter()])


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (lambda: [], ValueError, "list of parameters is empty"),
        (lambda: iter(()), ValueError, r"call model.parameters\(\) again"),
        (lambda: [{"params": []}], ValueError, "list of parameters is empty"),
        (Model, TypeError, r"pass model.parameters\(\)"),
        (lambda: Model().parameters, TypeError, r"not a method; pass model.parameters"),
        (parameter, TypeError, r"not a Tensor; .* a list \[tensor"),
        (lambda: {parameter()}, TypeError, "fixed order, not a set"),
        (lambda: {"w": parameter()}, TypeError, "fixed order, not a dict"),
        (lambda: 3, TypeError, "not a int"),
        (lambda: [("w", parameter()), parameter()], TypeError, "not model.named_parameters"),
        (lambda: [np.ones(3)], TypeError, r"tinynet.tensor\(array, requires_grad=True\)"),
        (lambda: [parameter(), {"params": []}], TypeError, "either tensors or groups"),
        (lambda: [parameter() * 2], ValueError, "is the result of 'mul'"),
        (lambda: [{"lr": 0.1}], TypeError, "a dict with the key 'params'"),
        (lambda: [{"params": [parameter()], "lrr": 1}], ValueError, "did you mean 'lr'"),
        (lambda: 2 * [parameter()], ValueError, r"params\[1\] of shape \(3, 4\) is given twice"),
        (lambda: [{"params": p} for p in 2 * [parameter()]], ValueError, "given twice"),
    ],
)
def test_bad_parameters_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        SGD(params(), lr=0.1)


NESTEROV = {"nesterov": True, "momentum": 0.9}
BAD_SETTINGS = [
    (SGD, {"lr": -0.1}, r"SGD\(lr=-0.1\): lr must be a finite number of at least 0"),
    (SGD, {"lr": float("nan")}, r"SGD\(lr=nan\)"),
    (SGD, {"lr": float("inf")}, r"SGD\(lr=inf\)"),
    (SGD, {"lr": 10**400}, r"lr must be a finite number"),
    (SGD, {"lr": "0.1"}, "write it without quotes"),
    (SGD, {"lr": tinynet.ones(1)}, r"t.item\(\)"),
    (SGD, {"lr": True}, "plain number, not bool"),
    (SGD, {"momentum": -0.5}, r"momentum=-0.5.*between 0 and 1"),
    (SGD, {"momentum": 9}, r"momentum=9.*between 0 and 1"),
    (SGD, {"dampening": 2}, r"dampening=2.*between 0 and 1"),
    (SGD, {"weight_decay": -1}, r"weight_decay=-1"),
    (SGD, {"nesterov": True}, r"nesterov=True, momentum=0, .*momentum=0.9"),
    (SGD, {**NESTEROV, "dampening": 0.1}, "momentum, such as momentum=0.9, and dampening=0"),
    (SGD, {**NESTEROV, "nesterov": 1}, "must be True or False"),
    (Adam, {"betas": (0.9, 1.0)}, r"betas\[1\]=1.0.*between 0 and 1, 1 excluded"),
    (Adam, {"betas": (-0.1, 0.9)}, r"betas\[0\]=-0.1"),
    (Adam, {"betas": 0.9}, r"two numbers, as \(0.9, 0.999\)"),
    (Adam, {"betas": (0.9,)}, "two numbers"),
    (AdamW, {"eps": -1e-8}, r"AdamW\(eps=-1e-08\)"),
    (RMSprop, {"alpha": 1.5}, r"alpha=1.5"),
    (Adadelta, {"rho": -1}, r"rho=-1"),
    (Adagrad, {"lr_decay": -1}, r"lr_decay=-1"),
]
WRONG_TYPE = "quotes|item|not bool|True or False|two numbers"


@pytest.mark.parametrize("lr", [np.float32(0.5), np.float64(0.5), np.int64(2), 2])
def test_numpys_numbers_become_plain_ones(lr):
    assert repr(SGD([parameter()], lr=lr).param_groups[0]["lr"]) == repr(np.asarray(lr).item())


@pytest.mark.parametrize(("kind", "settings", "message"), BAD_SETTINGS)
def test_bad_settings_are_refused(kind, settings, message):
    error = TypeError if re.search(WRONG_TYPE, message) else ValueError
    with pytest.raises(error, match=message):
        kind([parameter()], **settings)
    with pytest.raises(error, match=message):
        kind([{"params": parameter(), **settings}])


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda p: setattr(p, "grad", tinynet.ones(4)), ShapeError, r"\(3, 4\) has .*\(4,\)"),
        (lambda p: setattr(p, "grad", np.ones((3, 4))), TypeError, "it must be a Tensor"),
        (lambda p: setattr(p.array.flags, "writeable", False), ValueError, "memory .* read-only"),
    ],
)
def test_a_bad_gradient_is_refused_before_any_parameter_changes(spoil, error, message):
    params = [parameter(), parameter()]
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    for p in params:
        give_gradient(p, 1)
    spoil(params[1])
    before = params[0].array.copy()
    with pytest.raises(error, match=message):
        optimizer.step()
    np.testing.assert_array_equal(params[0].array, before)
    assert not optimizer.state


def test_a_gradient_of_another_precision_is_taken_over():
    p, q = parameter(), parameter()
    wide = np.random.default_rng(5).standard_normal(p.shape)
    p.grad, q.grad = tinynet.tensor(wide), tinynet.tensor(wide.astype(np.float32))
    for one in (p, q):
        Adam([one], maximize=True, weight_decay=0.1).step()
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.array, q.array, rtol=1e-5)


@pytest.mark.parametrize("make", [lambda p: SGD(p, lr=0.1, momentum=0.9), Adam])
def test_small_parameters_are_stepped_together_with_the_same_result(make, monkeypatch):
    def trained():
        shapes = [(3,), (2, 5), (), (200, 50)]  # the last is too large
        params = [parameter(shape) for shape in shapes] + [parameter((4,), np.float64)]
        optimizer = make(params)
        train(optimizer, params, 5)
        return optimizer, params

    optimizer, together = trained()
    assert optimizer._executor.bundles[0].others == [3, 4]
    monkeypatch.setattr(type(optimizer), "elementwise", False)
    optimizer, alone = trained()
    assert optimizer._executor.bundles == {}
    assert [p.array.tobytes() for p in together] == [p.array.tobytes() for p in alone]


def test_what_is_remembered_of_bundled_parameters_can_be_replaced_and_copied():
    params = [parameter((3,)), parameter((4,))]
    optimizer = SGD(params, lr=0.1, momentum=0.9)
    train(optimizer, params, 3)
    saved = optimizer.state_dict()
    other_params = [p.detach().clone().requires_grad_() for p in params]
    other = SGD(other_params, lr=0.1, momentum=0.9)
    other.load_state_dict(saved)
    copied_params, copied = copy.deepcopy((params, optimizer))
    pickled_params, pickled = pickle.loads(pickle.dumps((params, optimizer)))
    for o, ps in (
        (optimizer, params),
        (other, other_params),
        (copied, copied_params),
        (pickled, pickled_params),
    ):
        train(o, ps, 3, start=3)
        assert [p.array.tobytes() for p in ps] == [p.array.tobytes() for p in params]


@pytest.mark.parametrize("block", [2, executor.BLOCK])
def test_a_formula_that_looks_at_whole_parameters_gets_them_one_by_one(block, monkeypatch):
    monkeypatch.setattr(executor, "BLOCK", block)

    class Normalised(SGD):
        def update(self, p, g, state, settings, t, u):
            p -= settings["lr"] * g / np.linalg.norm(g)

    params = [parameter((3,)), parameter((4,))]
    before = [p.array.copy() for p in params]
    optimizer = Normalised(params, lr=1.0)
    train(optimizer, params, 1)
    for p, old in zip(params, before):
        assert np.linalg.norm(p.array - old) == pytest.approx(1, rel=1e-5)
    assert optimizer._executor.bundles == {}


# ----- gradients too large and too small ------------------------------------------------------


@pytest.mark.parametrize("kind", [Adam, AdamW, RMSprop, Adagrad, Adadelta])
@pytest.mark.parametrize(
    ("shape", "others"), [((3,), []), ((3,), [(4,)]), ((200, 50), [(4,)]), ((1500, 800), [])]
)
@pytest.mark.parametrize(("dtype", "large"), [(np.float32, 1e20), (np.float64, -1e200)])
def test_a_gradient_whose_square_overflows_is_refused_before_it_is_remembered(
    kind, shape, others, dtype, large
):
    params = [parameter(s, dtype) for s in (*others, shape)]
    twins = [p.detach().clone().requires_grad_() for p in params]
    optimizer, twin = kind(params, lr=0.1), kind(twins, lr=0.1)
    for o, ps in ((optimizer, params), (twin, twins)):
        train(o, ps, 2)
    for p in params[:-1]:
        p.grad = None
    params[-1].grad.array.flat[1] = large
    before = params[-1].array.copy()
    with pytest.raises(FloatingPointError, match="clip_grad_norm_") as error:
        optimizer.step()
    assert f"{kind.__name__}: overflow" in str(error.value)
    assert f"lr=0.1 and gradients of up to {abs(large):.3g} (that of parameter " in str(error.value)
    if params[-1].numel() <= executor.BLOCK:
        decay = 1 - 0.1 * 0.01 if kind is AdamW else 1  # which comes first
        np.testing.assert_array_equal(params[-1].array, before * dtype(decay))
        params[-1].grad = twins[-1].grad
        for o in (optimizer, twin):
            for p in params[:-1] + twins[:-1]:
                p.grad = None
            o.step()
        np.testing.assert_allclose(params[-1].array, twins[-1].array, rtol=1e-2, atol=1e-2)


def test_the_error_for_an_overflow_names_the_largest_gradient_of_all_groups():
    body, head = parameter((3,)), parameter((2, 2))
    optimizer = Adam([{"params": [body]}, {"params": [head], "lr": 0.5}])
    body.grad, head.grad = tinynet.full((3,), 1e3), tinynet.full((2, 2), -3e30)
    with pytest.raises(FloatingPointError, match=r"3e\+30 \(that of parameter 1, of shape \(2, 2"):
        optimizer.step()


@all_variants
@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-25, 1e17])
@pytest.mark.parametrize("shape", [(3,), (1500, 800)])
def test_a_gradient_of_any_size_that_fits_gives_a_finite_step_whatever_seterr_says(
    kind, settings, size, shape
):
    p, other = parameter(shape), parameter((2,))
    optimizer = kind([p, other], **settings)
    for g in (size, 1.0):
        p.grad, other.grad = tinynet.full(shape, g), tinynet.ones(2)
        with np.errstate(all="raise"):
            optimizer.step()
    assert np.isfinite(p.array).all()


# ----- L-BFGS ------------------------------------------------------------------------------------


def banana(w):
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


def lbfgs_steps(optimizer, w, count, function=banana):
    def closure():
        optimizer.zero_grad()
        loss = function(w)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(count)]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_resumes_bit_for_bit(search, tmp_path):
    def make():
        w = tinynet.tensor([-1.2, 1.0, 0.5], requires_grad=True)
        return w, optim.LBFGS([w], lr=0.5, max_iter=3, line_search_fn=search)

    (w, optimizer), (v, other) = make(), make()
    lbfgs_steps(optimizer, w, 2)
    tinynet.save(optimizer.state_dict(), tmp_path / "state.safetensors")
    v.data = w.data.clone()
    other.load_state_dict(tinynet.load(tmp_path / "state.safetensors"))
    assert lbfgs_steps(optimizer, w, 3) == lbfgs_steps(other, v, 3)
    assert w.tolist() == v.tolist()


def test_lbfgs_keeps_memory_dtype_and_what_has_no_gradient():
    w, still = tinynet.ones(3, requires_grad=True), tinynet.ones(2, requires_grad=True)
    memory = w.array
    optimizer = optim.LBFGS([w, still], history_size=2, line_search_fn="strong_wolfe")
    losses = lbfgs_steps(optimizer, w, 2, lambda w: ((w - 3) ** 4).sum())
    assert losses[1] < losses[0] / 100
    assert w.array is memory
    assert w.dtype == np.float32
    assert still.tolist() == [1, 1]
    state = optimizer.state[w]
    assert [x.shape for x in (*state["old_stps"], *state["old_dirs"])] == [(5,)] * 4
    assert {x.dtype for x in (*state["old_stps"], state["d"])} == {np.dtype(np.float32)}
    assert state["n_iter"] < state["func_evals"]


@pytest.mark.parametrize("function", [lambda w: w.sum() * 0, lambda w: (w * w).sum()])
def test_lbfgs_stays_at_a_minimum(function):
    w = tinynet.zeros(3, requires_grad=True)
    for search in (None, "strong_wolfe"):
        lbfgs_steps(optim.LBFGS([w], line_search_fn=search), w, 2, function)
    assert w.tolist() == [0, 0, 0]


def test_lbfgs_with_a_rate_of_0_stays_where_it_is():
    w = tinynet.ones(3, requires_grad=True)
    for search in (None, "strong_wolfe"):
        lbfgs_steps(optim.LBFGS([w], lr=0, line_search_fn=search), w, 2, lambda w: (w * w).sum())
    assert w.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (
            lambda w: optim.LBFGS([w]).step(),
            TypeError,
            "step\\(closure\\) calls a function several",
        ),
        (lambda w: optim.LBFGS([{"params": w}, {"params": []}]), ValueError, "there is one group"),
        (lambda w: optim.LBFGS([w], line_search_fn="armijo"), ValueError, "Known: strong_wolfe"),
        (lambda w: optim.LBFGS([w], history_size=0), ValueError, "history_size"),
        (
            lambda w: lbfgs_steps(optim.LBFGS([w], lr=100), w, 5, lambda w: (w**6).sum()),
            FloatingPointError,
            "loss (inf|nan) after a step of",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of overflow
def test_what_lbfgs_refuses(use, error, message):
    with pytest.raises(error, match=message):
        use(tinynet.ones(3, requires_grad=True))
