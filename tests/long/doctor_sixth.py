"""Mistakes that a stranger made, and the kinds beside them: see `doctor_table`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet
from tests.long.doctor_fifth import HEALTHY, MISTAKES, Of, looped
from tests.long.doctor_table import (
    RATE_HIGH,
    Setup,
    blobs,
    cnn,
    digits,
    healthy,
    line,
    loader,
    masks,
    mistake,
    mlp,
    on_digits,
    on_line,
    on_rows,
    sgd,
)
from tinynet import nn, optim
from tinynet.nn import functional as F
from tinynet.optim import lr_scheduler
from tinynet.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

__all__ = ["HEALTHY", "MISTAKES"]  # those of all six tables

Schedule = Callable[[Any], Any]


def scheduled(make: Schedule, **more: Any) -> Setup:
    """A schedule that the step calls in each batch."""
    model = mlp(64, 32, 10)
    optimizer = sgd(model)
    schedule = make(optimizer)

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step(*more.values())
        return loss

    return looped(on_rows(model, optimizer), step)


def added_up(count: int, lr: float, *, divided: bool, always: bool = False) -> Setup:
    """A step for so many batches of four; always: with zero_grad() at the head of each."""
    model, calls = mlp(64, 32, 10), [0]

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        if always:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        (loss / count if divided else loss).backward()
        calls[0] += 1
        if calls[0] % count == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss

    setup = on_rows(model, optim.SGD(model.parameters(), lr=lr))
    return looped({**setup, "batch": loader(*digits(flat=True), 4)}, step)


def usual(loss_of: Callable[[Any, Any, Any], Any], setup: Setup) -> Setup:
    """The usual step, with a loss of its own: loss_of(model, x, target)."""

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model, x, target)
        loss.backward()
        optimizer.step()
        return loss

    return looped(setup, step)


def pixels(loss: Any) -> Setup:
    """Two classes of pixels."""
    setup = masks()
    x, t = (np.concatenate([getattr(part, "array", part) for part in parts])
            for parts in zip(*setup["batch"]))  # fmt: skip
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))
    return {"model": model, "batch": loader(x, t[:, 0].astype(np.int64)), "loss": loss,
            "optimizer": optim.Adam(model.parameters(), lr=0.01)}  # fmt: skip


def table(x: np.ndarray, y: np.ndarray, model: nn.Module, loss: Any = F.cross_entropy) -> Setup:
    return {"model": model, "batch": loader(x.astype(np.float32), y), "loss": loss,
            "optimizer": optim.Adam(model.parameters(), lr=0.01)}  # fmt: skip


# ----- kinds that a stranger found ----------------------------------------------------------------


@mistake(r"gradients-thrown-away")
def zero_grad_at_the_head_of_every_micro_batch() -> Setup:
    return added_up(8, 0.1, divided=False, always=True)


@mistake(r"gradients-thrown-away")
def zero_grad_between_two_losses() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.zero_grad()
        (1e-3 * sum((p**2).sum() for p in model.parameters())).backward()
        optimizer.step()
        return loss

    return looped(on_rows(mlp(64, 32, 10)), step)


@mistake(r"axes-mixed")
def pixels_reshaped_by_class() -> Setup:
    return pixels(lambda y, t: F.cross_entropy(y.reshape(-1, 2), t.reshape(-1)))


@mistake(r"targets-broadcast")
def scores_against_a_column() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: ((y - t.float().unsqueeze(1)) ** 2).mean())


@mistake(r"momentum")
def momentum_that_never_fades() -> Setup:
    model = mlp(64, 32, 10)
    speed = [np.zeros(p.shape, np.float32) for p in model.parameters()]

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for v, p in zip(speed, model.parameters()):
            v += p.grad.array
            p.array -= 0.02 * v

    return {"model": model, "batch": loader(*digits(flat=True)), "step": step}


@mistake(r"weight-decay|penalty")
def a_penalty_in_the_step() -> Setup:
    model = mlp(3, 32, 1)
    return usual(
        lambda m, x, t: F.mse_loss(m(x), t) + sum((p**2).sum() for p in m.parameters()),
        on_line(model, optim.Adam(model.parameters(), lr=0.005)),
    )


@mistake(r"targets of others")
def inputs_shuffled_in_the_step() -> Setup:
    rng = np.random.default_rng(0)

    def loss_of(model: Any, x: Any, target: Any) -> Any:
        return F.cross_entropy(model(x[rng.permutation(len(x)).tolist()]), target)

    return usual(loss_of, on_rows(mlp(64, 32, 10)))


@mistake(r"summed-loss")
def sixteen_batches_added_up() -> Setup:
    return added_up(16, 1.0, divided=False)


@mistake(r"learning-rate-falls")
def a_tenth_less_each_batch() -> Setup:
    return scheduled(lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.9))


@mistake(r"learning-rate-zero")
def a_warm_up_in_whole_thousands() -> Setup:
    return scheduled(lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda k: k // 1000))


@mistake(r"dropout")
def images_dropped_whole() -> Setup:
    return on_digits(nn.Sequential(nn.Dropout2d(0.8), *cnn()))


@mistake(r"layer_norm.*whatever comes in")
def layer_norm_over_one_number() -> Setup:
    norm = Of(nn.LayerNorm(1), lambda norm, h: norm(h.unsqueeze(2)).squeeze(2))
    return on_rows(nn.Sequential(nn.Linear(64, 32), norm, nn.ReLU(), nn.Linear(32, 10)))


class Cosines(nn.Module):
    """Cosines between features and a vector for each class, times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.body, self.factor = mlp(64, 64, 32), factor
        self.directions = nn.Parameter(0.2 * tinynet.randn(10, 32))

    def forward(self, x: Any) -> Any:
        y = F.normalize(self.body(x), dim=1) @ F.normalize(self.directions, dim=1).T
        return self.factor * y if self.factor != 1 else y


@mistake(r"cannot fall below")
def cosines_without_a_factor() -> Setup:
    return on_rows(Cosines(1))


@mistake(r"targets-out-of-reach")
def batch_norm_at_the_end() -> Setup:
    x, y = line()
    model = nn.Sequential(*mlp(3, 16, 1), nn.BatchNorm1d(1, affine=False))
    return on_line(model) | {"batch": loader(x, 6 + 2 * y)}


@mistake(r"from step to step")
def losses_of_all_steps_added_up() -> Setup:
    total = [tinynet.tensor(0.0)]

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        total[0] = total[0] + F.cross_entropy(model(x), target)
        total[0].backward(retain_graph=True)
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), step)


# ----- mistakes beside them, written before the doctor saw any of them ----------------------------


@mistake(r"learning-rate-zero")
def the_body_has_rate_0_in_a_step() -> Setup:
    model = mlp(64, 32, 10)
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    setup = on_rows(model, optim.SGD(groups, lr=0.05, momentum=0.9))
    return usual(lambda m, x, t: F.cross_entropy(m(x), t), setup)


@mistake(r"learning-rate-falls|schedule")
def rate_over_the_square_of_the_step() -> Setup:
    return scheduled(lambda o: lr_scheduler.LambdaLR(o, lambda k: 1 / (1 + k) ** 2))


@mistake(r"learning-rate-falls|schedule")
def plateau_without_patience() -> Setup:
    return scheduled(lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0), metric=1.0)


@mistake(r"summed-loss|" + RATE_HIGH)
def two_dozen_batches_added_up() -> Setup:
    return added_up(24, 0.5, divided=False)


@mistake(r"gradients-thrown-away")
def gradients_of_every_first_batch_thrown_away() -> Setup:
    return added_up(2, 0.05, divided=True, always=True)


@mistake(r"weight-decay|penalty|loss-beyond")
def sum_of_absolute_weights_in_the_step() -> Setup:
    return usual(
        lambda m, x, t: F.cross_entropy(m(x), t) + 0.1 * sum(p.abs().sum() for p in m.parameters()),
        on_rows(mlp(64, 32, 10)),
    )


@mistake(r"unrelated|targets of others")
def targets_rolled_in_the_step() -> Setup:
    return usual(
        lambda m, x, t: F.cross_entropy(m(x), tinynet.tensor(np.roll(t.array, 5))),
        on_rows(mlp(64, 32, 10)),
    )


@mistake(r"axes-mixed|unrelated")
def steps_reshaped_by_class() -> Setup:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3, 12)).astype(np.float32)
    model = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 3, 1))
    return table(x, x.argmax(1), model,
                 lambda y, t: F.cross_entropy(y.reshape(-1, 3), t.reshape(-1)))  # fmt: skip


@mistake(r"axes-mixed|unrelated")
def targets_of_the_example_before_in_the_loss() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: F.cross_entropy(y[1:], t[:-1]))


@mistake(r"targets-broadcast")
def four_outputs_for_one_number() -> Setup:
    return on_line(mlp(3, 16, 4), loss=lambda y, t: (y - t).abs().mean())


@mistake(r"targets-broadcast")
def weights_of_examples_in_a_column() -> Setup:
    x, y = line()
    return table(x, np.concatenate([y, np.ones_like(y)], 1), mlp(3, 16, 1),
                 lambda o, t: ((o - t[:, :1]) ** 2 * t[:, 1]).mean())  # fmt: skip


@mistake(r"targets-exchangeable|targets-broadcast|axes-mixed")
def columns_of_all_labels_taken() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: -F.log_softmax(y, 1)[:, t].mean())


@mistake(r"label-among")
def logarithm_of_the_target_among_the_inputs() -> Setup:
    x, y = line(300, 3)
    return table(np.concatenate([x, np.exp(y)], 1), y, mlp(4, 16, 1), F.mse_loss)


@mistake(r"label-among")
def number_of_the_class_with_noise_among_the_inputs() -> Setup:
    x, y = blobs()
    noisy = y - 1 + 0.05 * np.random.default_rng(0).standard_normal(len(y))
    return table(np.concatenate([x, noisy[:, None]], 1), y, mlp(5, 16, 3))


@mistake(r"targets-out-of-reach")
def twice_a_sigmoid_less_one() -> Setup:
    x, y = line()
    return table(x, 2 * y, Of(mlp(3, 16, 1), lambda m, x: 2 * F.sigmoid(m(x)) - 1), F.mse_loss)


@mistake(r"cannot fall below|limited")
def a_small_tanh_of_the_scores() -> Setup:
    return on_rows(Of(mlp(64, 32, 10), lambda m, x: 0.5 * F.tanh(m(x))))


@mistake(r"dropout")
def four_fifths_of_two_columns_dropped() -> Setup:
    x, y = blobs(features=2)
    return table(x, y, nn.Sequential(nn.Dropout(0.8), *mlp(2, 16, 3)))


@mistake(r"evaluation|momentum")
def batch_norm_of_images_with_momentum_1e_4() -> Setup:
    model = cnn(norm=True)
    model[1].momentum = 1e-4
    return on_digits(model)


@mistake(r"group_norm.*whatever|zero-gradient")
def group_norm_with_a_group_for_each_number() -> Setup:
    norm = nn.GroupNorm(32, 32)
    return on_rows(nn.Sequential(nn.Linear(64, 32), norm, nn.ReLU(), nn.Linear(32, 10)))


@mistake(r"unrelated")
def length_of_the_rows_divided_away() -> Setup:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.standard_normal((300, 12)) * (1 + y[:, None])
    return table(x / np.linalg.norm(x, axis=1, keepdims=True) * 3, y, mlp(12, 32, 3))


@mistake(r"moved|unrelated")
def two_rows_of_targets_left_out() -> Setup:
    x, y = blobs(400)
    return table(x[:-2], y[2:], mlp(4, 16, 3))


@mistake(r"from step to step")
def a_state_carried_on_with_its_graph() -> Setup:
    state = [tinynet.zeros(10)]

    def loss_of(model: Any, x: Any, target: Any) -> Any:
        y = model(x) + 0.1 * state[0]
        state[0] = y.mean(0)
        return F.cross_entropy(y, target)

    return usual(loss_of, on_rows(mlp(64, 32, 10)))


@mistake(r"softmax-over-the-batch")
def log_softmax_over_the_batch_by_hand() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: F.nll_loss(F.log_softmax(y, 0), t))


@mistake(r"gradient-changed|clip")
def gradients_clipped_at_1e_6() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_value_(model.parameters(), 1e-6)
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), step)


@mistake(r"weight-decay")
def adamw_with_decay_of_30() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.AdamW(model.parameters(), lr=0.01, weight_decay=30.0))


# ----- healthy, written at the same time ----------------------------------------------------------


@healthy
def columns_of_all_scales_behind_batch_norm() -> Setup:
    x, y = blobs()
    return table(x * [1, 50, 1000, 0.1] + [0, 3, 500, 9], y,
                 nn.Sequential(nn.BatchNorm1d(4), *mlp(4, 16, 3)))  # fmt: skip


@healthy
def two_dozen_batches_and_their_mean() -> Setup:
    return added_up(24, 0.5, divided=True)


@healthy
def a_warm_up_from_0() -> Setup:
    return scheduled(lambda o: lr_scheduler.LambdaLR(o, lambda k: min(1.0, k / 20)))


@healthy
def half_a_cosine_of_sixty_steps() -> Setup:
    return scheduled(lambda o: lr_scheduler.CosineAnnealingLR(o, 60))


@healthy
def three_quantiles_of_one_target() -> Setup:
    shares = tinynet.tensor([0.1, 0.5, 0.9])

    def pinball(y: Any, t: Any) -> Any:
        return tinynet.maximum(shares * (t - y), (shares - 1) * (t - y)).mean()

    return table(*line(), mlp(3, 16, 3), pinball)


@healthy
def smooth_masks() -> Setup:
    def loss(y: Any, t: Any) -> Any:
        rough = (y[..., 1:] - y[..., :-1]).abs().mean()
        return F.binary_cross_entropy_with_logits(y, t) + 0.01 * rough

    return masks() | {"loss": loss}


@healthy
def two_noisy_views() -> Setup:
    rng = np.random.default_rng(0)

    def contrast(y: Any, t: Any) -> Any:
        e, n = F.normalize(y, dim=1), len(y) // 2
        return F.cross_entropy(e[:n] @ e[n:].T / 0.2, tinynet.arange(n))

    def loss_of(model: Any, x: Any, target: Any) -> Any:
        views = [x.array + 0.3 * rng.standard_normal(x.shape).astype(np.float32) for _ in range(2)]
        return contrast(model(tinynet.tensor(np.concatenate(views))), target)

    model = mlp(64, 64, 16)
    setup = on_rows(model, optim.Adam(model.parameters(), lr=0.003), loss=contrast)
    return usual(loss_of, setup)


@healthy
def words_filled_up_with_0() -> Setup:
    rng = np.random.default_rng(0)
    y, x = rng.integers(0, 3, 300), np.zeros((300, 12), np.int64)
    for row, label, n in zip(x, y, rng.integers(3, 12, 300)):
        row[:n] = np.where(rng.random(n) < 0.5, 1 + 10 * label, 1) + rng.integers(0, 10, n)
    model = Of(nn.Embedding(40, 8), lambda e, x: e(x).mean(1))
    return {"model": nn.Sequential(model, nn.Linear(8, 3)), "batch": loader(x, y),
            "optimizer": None}  # fmt: skip


@healthy
def one_column_that_tells_most() -> Setup:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 4))
    y = 3 * x[:, :1] + x[:, 1:2] + 0.3 * rng.standard_normal((300, 1))
    return table(x, y.astype(np.float32), mlp(4, 16, 1), F.mse_loss)


@healthy
def some_of_the_inputs_dropped() -> Setup:
    return on_rows(nn.Sequential(nn.Dropout(0.3), *mlp(64, 64, 10)))


@healthy
def cosines_with_a_factor() -> Setup:
    return on_rows(Cosines(16))


@healthy
def a_forecast_that_begins_with_the_last_value() -> Setup:
    series = np.sin(np.arange(500) / 5) + 0.1 * np.random.default_rng(0).standard_normal(500)
    x = np.stack([series[i : i + 8] for i in range(480)])
    body = mlp(8, 16, 1)
    nn.init.zeros_(body[2].weight)
    nn.init.zeros_(body[2].bias)
    return table(x, series[8:488, None].astype(np.float32),
                 Of(body, lambda m, x: x[:, -1:] + m(x)), F.mse_loss)  # fmt: skip


@healthy
def two_halves_of_a_batch_in_one_step() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        for half in (slice(None, 16), slice(16, None)):
            if len(x[half]):
                (F.cross_entropy(model(x[half]), target[half]) / 2).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), step)


@healthy
def momentum_by_hand() -> Setup:
    model = mlp(64, 32, 10)
    speed = [np.zeros(p.shape, np.float32) for p in model.parameters()]

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for v, p in zip(speed, model.parameters()):
            v *= 0.9
            v += p.grad.array
            p.array -= 0.02 * v

    return {"model": model, "batch": loader(*digits(flat=True)), "step": step}


@healthy
def angles_as_sine_and_cosine() -> Setup:
    rng = np.random.default_rng(0)
    angle = rng.uniform(-math.pi, math.pi, 300)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.standard_normal((300, 2))
    y = np.stack([np.cos(2 * angle), np.sin(2 * angle)], 1).astype(np.float32)
    return table(x, y, Of(mlp(2, 32, 2), lambda m, x: F.tanh(1.5 * m(x))), F.mse_loss)


def half() -> tuple[np.ndarray, np.ndarray]:
    """A table of four columns, and whether two of them add up to more than 0."""
    x = np.random.default_rng(0).standard_normal((300, 4))
    return x, x[:, 0] + x[:, 1] > 0


@mistake("learning-rate-too-low")
def a_schedule_that_gives_the_rate_in_place_of_a_factor() -> Setup:
    def scaled(optimizer: Any) -> Any:
        return lr_scheduler.LambdaLR(optimizer, lambda t: 0.001 * 0.99**t)

    return scheduled(scaled)


@mistake("lr_decay=0")
def a_rate_that_adagrad_lets_fall_at_once() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adagrad(model.parameters(), lr=0.02, lr_decay=30))


@mistake("learning-rate-too-low")
def adadelta_at_adams_rate() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adadelta(model.parameters(), lr=0.0005))


@mistake("make the steps of your own shorter")
def steps_by_hand_of_length_one() -> Setup:
    x, _ = half()
    y = (np.sin(2 * x[:, :1]) + x[:, 1:2]).astype(np.float32)
    setup = table(x, y, mlp(4, 32, 32, 1), F.mse_loss)
    model = setup["model"]

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.mse_loss(model(x), target).backward()
        for p in model.parameters():
            p.array -= p.grad.array / np.linalg.norm(p.grad.array)

    return {**{name: setup[name] for name in ("model", "batch", "loss")}, "step": step}


@healthy
def one_score_for_labels_of_two_classes() -> Setup:
    x, y = half()
    return table(x, y.astype(int), mlp(4, 16, 1),
                 lambda o, t: F.binary_cross_entropy_with_logits(o[:, 0], t.float()))  # fmt: skip


@healthy
def labels_that_are_true_or_false() -> Setup:
    x, y = half()
    return table(x, y, mlp(4, 16, 1),
                 lambda o, t: F.binary_cross_entropy_with_logits(o[:, 0], t.float()))  # fmt: skip


@healthy
def each_row_matched_with_its_other_half() -> Setup:
    x, _ = half()
    x = np.concatenate([x, x**3 / 3], 1)[:288].astype(np.float32)
    body = mlp(4, 16, 8)

    def scores(m: Any, x: Any) -> Any:
        a, b = (F.normalize(m(part), dim=1) for part in (x[:, :4], x[:, 4:]))
        return a @ b.T / 0.1

    batches = [(tinynet.tensor(part), tinynet.arange(32)) for part in np.split(x, 9)]
    return {**table(x, x, Of(body, scores)), "batch": batches}


@healthy
def moments_without_a_label_masked_by_hand() -> Setup:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((320, 3, 12))
    y = np.where(rng.random((320, 12)) < 0.3, -1, x.argmax(1))

    def loss(o: Any, t: Any) -> Any:
        known = (t >= 0).float()
        return (F.cross_entropy(o, t.clamp(min=0), reduction="none") * known).sum() / known.sum()

    return table(x, y, nn.Conv1d(3, 3, 1), loss)


@healthy
def the_mean_over_a_set_between_two_nets() -> Setup:
    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(0, 0.5, (300, 1, 1)))
    x = rng.standard_normal((300, 20, 2)) * spread
    net = nn.ModuleList([mlp(2, 16, 16), mlp(16, 16, 1)])
    return table(x, 2 * np.log(spread[:, 0]).astype(np.float32),
                 Of(net, lambda m, x: m[1](m[0](x).mean(1))), F.mse_loss)  # fmt: skip


def tagged(weight: float) -> Setup:
    """Six tags, each of them rare."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 8))
    scores = x @ rng.standard_normal((8, 6))
    y = (scores > np.quantile(scores, 0.95, axis=0)).astype(np.float32)
    weights = tinynet.tensor(np.full(6, weight, np.float32))
    return table(x, y, mlp(8, 32, 6), nn.BCEWithLogitsLoss(pos_weight=weights))


@mistake("class-weights-inverted")
def rare_tags_of_which_little_is_made() -> Setup:
    return tagged(0.05)


@healthy
def rare_tags_of_which_much_is_made() -> Setup:
    return tagged(20)


@healthy
def rare_tags_as_they_are() -> Setup:
    return tagged(1)


def series(loss: Any) -> Setup:
    """Noisy series and what they were before."""
    rng = np.random.default_rng(0)
    y = np.sin(np.arange(24) / 3 + rng.uniform(0, 6, (256, 1))).astype(np.float32)
    x = y[:, None] + 0.3 * rng.standard_normal((256, 1, 24))
    return table(x, y, nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(),
                                     nn.Conv1d(8, 1, 5, padding=2)), loss)  # fmt: skip


@mistake(r"targets-broadcast.*\(32, 1, 24\)")
def series_with_a_channel_against_series_without() -> Setup:
    return series(lambda o, t: ((o - t) ** 2).mean())


@healthy
def series_without_their_channel() -> Setup:
    return series(lambda o, t: ((o[:, 0] - t) ** 2).mean())


def pooled(axis: int) -> Setup:
    """Attention over the moments of series of two kinds, softmax over an axis."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    x = 0.5 * rng.standard_normal((256, 12, 3))
    x[np.arange(256), rng.integers(0, 12, 256), y] += 3
    net = nn.ModuleList([mlp(3, 16, 1), mlp(3, 16, 2)])
    return table(x, y, Of(net, lambda m, x: m[1]((F.softmax(m[0](x), axis) * x).sum(1))))


@mistake("softmax-over-the-batch")
def attention_over_the_examples() -> Setup:
    return pooled(0)


@healthy
def attention_over_the_moments() -> Setup:
    return pooled(1)


def coloured(exchange: Callable[[np.ndarray], np.ndarray]) -> Setup:
    """Smooth images (N, 12, 12, 3) of two directions, whose channels are then brought forward."""
    rng = np.random.default_rng(0)
    y, (rows, columns) = rng.integers(0, 2, 256), np.mgrid[:12, :12] / 4
    waves = np.where(y[:, None, None], rows, columns)[..., None] + rng.uniform(0, 6, (256, 1, 1, 3))
    x = exchange(np.sin(waves) + 0.1 * rng.standard_normal(waves.shape))
    return table(x, y, nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
                                     nn.Flatten(), nn.Linear(200, 2)))  # fmt: skip


@mistake("axes-mixed.*channels last")
def colours_reshaped_to_the_front() -> Setup:
    return coloured(lambda x: x.reshape(-1, 3, 12, 12))


@healthy
def colours_transposed_to_the_front() -> Setup:
    return coloured(lambda x: x.transpose(0, 3, 1, 2))


@mistake("validation-unlike-training.*of class.*unlike those of training")
def validation_images_read_by_columns() -> Setup:
    x, y = digits()
    held = x[1000:].transpose(0, 1, 3, 2).reshape(-1, 64)
    model = mlp(64, 32, 10)
    return {**table(x[:1000].reshape(-1, 64), y[:1000], model), "validate": loader(held, y[1000:])}


def recalled(axis: int) -> Setup:
    """Attention over sentences of words from 1 to 9, one of which is to be said again."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 10, (512, 6))
    net = nn.ModuleList([nn.Embedding(10, 8), *(nn.Linear(8, 8) for _ in "qkv"), nn.Linear(8, 10)])

    def answer(m: Any, x: Any) -> Any:
        h = m[0](x)
        q, k, v = (layer(h) for layer in m[1:4])
        return m[4]((h + F.softmax(q @ k.transpose(1, 2) / 3, axis) @ v)[:, -1])

    return {**table(x, x[:, 2], Of(net, answer)), "batch": loader(x, x[:, 2])}


@mistake("axes-mixed.*softmax.*queries")
def attention_whose_queries_compete() -> Setup:
    return recalled(1)


@healthy
def a_word_said_again_by_attention() -> Setup:
    return recalled(2)


@mistake("zero-gradient.*layer_norm.*gives 0")
def a_norm_over_the_only_feature() -> Setup:
    x, _ = half()
    net = nn.Sequential(nn.LayerNorm(1), *mlp(1, 32, 1))
    return table(x[:, :1], np.sin(2 * x[:, :1]).astype(np.float32), net, F.mse_loss)


@healthy
def a_linear_layer_before_blocks_that_begin_with_one() -> Setup:
    blocks = [nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU()) for _ in range(4)]
    return on_rows(nn.Sequential(nn.Linear(64, 32), *blocks, nn.Linear(32, 10)))


# ----- what another stranger found ----------------------------------------------------------------


def noisy(gap: int) -> Setup:
    """Windows (N, 1, 12) of noise that goes up and down, and the value `gap` steps behind them."""
    noise = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    s = noise + np.roll(noise, 1)
    x = np.stack([s[i : i + 12] for i in range(380)])[:, None]
    net = nn.Sequential(nn.Conv1d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 1))
    return table(x, s[11 + gap : 391 + gap, None], net, F.mse_loss)


@mistake(r"label-among-the-inputs.*x\[:, 0, 11\].*np\.delete\(x, \[11\], 2\)")
def windows_that_end_with_their_target() -> Setup:
    return noisy(0)


@healthy
def windows_before_their_target() -> Setup:
    return noisy(1)


def renumbered(order: list[int]) -> Setup:
    """Digits whose validation labels have other numbers."""
    x, y = digits(flat=True)
    return {**table(x[:1000], y[:1000], mlp(64, 32, 10)),
            "validate": loader(x[1000:], np.array(order)[y[1000:]])}  # fmt: skip


@mistake("validation-unlike-training.*of class.*number classes once")
def validated_on_two_classes_exchanged() -> Setup:
    return renumbered([0, 2, 1, 3, 4, 5, 6, 7, 8, 9])


@mistake("validation-unlike-training.*of class.*number classes once")
def validated_on_classes_in_another_order() -> Setup:
    return renumbered([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])


@healthy
def validated_on_the_same_classes() -> Setup:
    return renumbered([*range(10)])


def columns(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Setup:
    """A table of six columns, one of them a category and one often 0, scaled by `change`."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 6)) * [1, 5, 1, 1, 1, 1] + [0, 50, 0, 3, 0, 0]
    x[:, 3] = rng.random(400) < 0.04
    x[:, 4] = np.where(rng.random(400) < 0.5, 0, rng.exponential(2, 400))
    y = x[:, 0] - x[:, 4] + 3 * x[:, 3]
    y = ((y - y.mean()) / y.std()).astype(np.float32)
    return table(change(x, rng), y[:, None], mlp(6, 32, 1), F.mse_loss)


def scaled_by_column(x: np.ndarray, rng: Any = None) -> np.ndarray:
    scaled: np.ndarray = (x - x.mean(0)) / x.std(0)
    return scaled


@mistake(r"column-of-another-scale.*x\[:, 1\].*-999")
def missing_values_scaled_along() -> Setup:
    def change(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        x[rng.random(400) < 0.06, 1] = -999
        return scaled_by_column(x)

    return columns(change)


@mistake(r"inputs-not-scaled.*axis 0")
def each_row_scaled_by_itself() -> Setup:
    return columns(lambda x, rng: scaled_by_column(x.T).T)


@healthy
def categories_and_zeros_scaled_along() -> Setup:
    return columns(scaled_by_column)


@mistake(r"loss-beyond-its-part.*weights 0.*1e-4")
def a_penalty_twice_as_large_as_the_loss() -> Setup:
    model = mlp(64, 64, 10)

    def loss(y: Any, t: Any) -> Any:
        return F.cross_entropy(y, t) + 0.1 * sum((p**2).sum() for p in model.parameters())

    return on_rows(model) | {"loss": loss}


def paired(loss: Any) -> Setup:
    """Two digits each (N, 2, 64), and whether they are the same."""
    x, y = digits(600, flat=True)
    rng = np.random.default_rng(0)
    same = rng.random(600) < 0.5
    other = [rng.choice(np.flatnonzero((y == k) == s)) for k, s in zip(y, same)]
    net = Of(mlp(64, 32, 8), lambda m, x: (m(x[:, 0]), m(x[:, 1])))
    return table(np.stack([x, x[other]], 1), same.astype(np.float32), net, loss)


def contrast(far: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def loss(y: Any, same: Any) -> Any:
        d = ((y[0] - y[1]).pow(2).sum(1) + 1e-6).sqrt()
        return (same * d.pow(2) + (1 - same) * far(d).pow(2)).mean()

    return loss


@mistake("loss-with-the-wrong-sign.*the same")
def pairs_that_are_all_drawn_together() -> Setup:
    return paired(contrast(lambda d: F.relu(d - 2)))


@healthy
def pairs_of_which_the_unlike_are_pushed_apart() -> Setup:
    return paired(contrast(lambda d: F.relu(2 - d)))


@healthy
def a_loss_that_does_not_look_at_its_constant_targets() -> Setup:
    return paired(contrast(lambda d: F.relu(2 - d))) | {
        "loss": lambda y, t: F.relu(1 - (y[0] - y[1]).pow(2).mean(1)).mean(),
        "batch": loader(np.random.default_rng(0).standard_normal((64, 2, 64)).astype(np.float32),
                        np.zeros(64, np.float32)),
    }  # fmt: skip


@mistake("weight-decay-too-large.*makes all weights smaller.*lr")
def a_decay_without_the_rate() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        for p in model.parameters():
            p.data *= 0.9

    model = mlp(64, 64, 10)
    return looped(on_rows(model, optim.Adam(model.parameters(), lr=0.003)), step)


@healthy
def a_rare_class_drawn_more_often() -> Setup:
    rng = np.random.default_rng(2)
    y = (rng.random(900) < 0.05).astype(np.int64)
    x = rng.standard_normal((900, 8)).astype(np.float32)
    x[:, :3] += 1.5 * y[:, None]
    data = TensorDataset(tinynet.tensor(x), tinynet.tensor(y))
    sampler = WeightedRandomSampler([*(1 / np.bincount(y)[y])], 900)
    return table(x, y, mlp(8, 16, 2)) | {"batch": DataLoader(data, 32, sampler=sampler)}


@healthy
def two_views_of_each_example_and_no_labels() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        a, b = (F.normalize(model(x + 0.1 * tinynet.randn(*x.shape)), dim=1) for _ in "ab")
        optimizer.zero_grad()
        F.cross_entropy(a @ b.T / 0.2, tinynet.arange(len(x))).backward()
        optimizer.step()

    model = mlp(64, 64, 16)
    return looped(on_rows(model, optim.Adam(model.parameters(), lr=0.003)), step)


def adversaries(targets: Any) -> Setup:
    """A discriminator of points on a ring, and a generator that the step trains beside it."""
    rng, one_or_zero = np.random.default_rng(0), F.binary_cross_entropy_with_logits
    x = rng.standard_normal((600, 2)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    judge, forger = mlp(2, 32, 1), mlp(4, 32, 2)
    own, other = (optim.Adam(m.parameters(), lr=0.002) for m in (judge, forger))

    def step(x: Any, target: Any) -> None:
        made = forger(tinynet.randn(len(x), 4))
        ones = tinynet.ones(len(x), 1)
        own.zero_grad()
        (one_or_zero(judge(x), ones) + one_or_zero(judge(made.detach()), 0 * ones)).backward()
        own.step()
        other.zero_grad()
        one_or_zero(judge(made), ones).backward()
        other.step()

    return {"model": judge, "batch": loader(x, targets(x)), "optimizer": own, "step": step}


@healthy
def adversaries_with_targets_of_1() -> Setup:
    setup = adversaries(lambda x: np.ones((len(x), 1), np.float32))
    return setup | {"loss": F.binary_cross_entropy_with_logits}


@healthy
def adversaries_with_labels_of_0() -> Setup:
    return adversaries(lambda x: np.zeros(len(x), np.int64))


@healthy
def adversaries_with_the_points_as_targets() -> Setup:
    return adversaries(lambda x: x)


@healthy
def a_scale_behind_a_distance() -> Setup:
    def score(m: Any, x: Any) -> Any:
        return m[1]((m[0](x[:, 0]) - m[0](x[:, 1])).pow(2).sum(1, keepdim=True))

    setup = paired(lambda y, t: F.binary_cross_entropy_with_logits(y[:, 0], t))
    net = Of(nn.ModuleList([mlp(64, 32, 8), nn.Linear(1, 1)]), score)
    return setup | {"model": net, "optimizer": optim.Adam(net.parameters(), lr=0.005)}


# ----- kinds that the last stranger found ---------------------------------------------------------


def written(shift: int) -> Setup:
    """Windows of ten letters, and the letter `shift` places behind their last one."""
    text = np.cumsum(np.random.default_rng(0).integers(1, 3, 2000)) % 12
    x = np.stack([text[i : i + 10] for i in range(0, 1900, 5)])
    net = nn.Sequential(nn.Embedding(12, 8), nn.Flatten(), nn.Linear(80, 12))
    y = text[range(9 + shift, 1909 + shift, 5)]
    return table(x, y, net) | {"batch": loader(x, y)}


@mistake("label-among-the-inputs.*move them by one")
def letters_that_are_their_own_targets() -> Setup:
    return written(0)


@healthy
def letters_behind_windows() -> Setup:
    return written(1)


@mistake("scores-out-of-reach.*log_softmax come out of softmax")
def softmax_before_a_log_softmax_of_ones_own() -> Setup:
    return on_rows(mlp(64, 32, 10).append(nn.Softmax(1)),
                   loss=lambda y, t: F.nll_loss(F.log_softmax(y, 1), t))  # fmt: skip


@mistake("layer-of-one-unit")
def pooled_over_the_channels_too() -> Setup:
    net = nn.ModuleList([nn.Conv2d(1, 16, 3), nn.Linear(1, 10)])
    return on_digits(Of(net, lambda m, x: m[1](m[0](x).relu().mean((1, 2, 3))[:, None])))


def by_hand(moves: Callable[[Any], bool]) -> Setup:
    model = mlp(64, 32, 10)

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in filter(moves, model.parameters()):
            p.data -= 0.1 * p.grad

    return {"model": model, "batch": loader(*digits(flat=True)), "step": step}


@mistake("step-misses-parameters.*0.weight, 2.weight")
def biases_alone_moved_by_hand() -> Setup:
    return by_hand(lambda p: p.ndim == 1)


@healthy
def all_moved_by_hand() -> Setup:
    return by_hand(lambda p: True)


@healthy
def two_optimizers_in_the_step_alone() -> Setup:
    model = mlp(64, 32, 10)
    both = [sgd(model[0]), optim.Adam(model[2].parameters())]

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for optimizer in both:
            optimizer.step()

    return {"model": model, "batch": loader(*digits(flat=True)), "step": step}


@healthy
def a_number_of_a_category_among_the_columns() -> Setup:
    x, y = line(features=3)
    x[:, 2] = np.random.default_rng(0).integers(0, 6, len(x))
    net = nn.ModuleList([nn.Embedding(6, 4), mlp(6, 16, 1)])
    joined = Of(net, lambda m, x: m[1](tinynet.cat([x[:, :2], m[0](x[:, 2].long())], 1)))
    return table(x, y, joined, F.mse_loss)


# ----- kinds of the next one: places, shares, parts of a loss, beginnings ------------------------


def letters(model: nn.Module, ahead: int = 1, filled: int = 0, **more: Any) -> Setup:
    """Rows of ten letters, each with that of `ahead` places further on as its target; filled: the
    longest rest of a row that is 0."""
    rng = np.random.default_rng(0)
    text = np.cumsum(rng.integers(1, 3, (200, 12)), 1) % 12 + 1
    x, y = text[:, 1:11], text[:, 1 + ahead : 11 + ahead]
    rest = rng.integers(0, filled + 1, 200)[:, None] > np.arange(10)[::-1]
    return {"model": model, "batch": loader(np.where(rest, 0, x), np.where(rest, 0, y)),
            "optimizer": optim.Adam(model.parameters(), lr=0.01), **more}  # fmt: skip


def over_letters(left: int, right: int) -> nn.Module:
    """A convolution over so many letters before and after each."""
    parts = nn.ModuleList([nn.Embedding(13, 16), nn.Conv1d(16, 32, left + right + 1),
                           nn.Conv1d(32, 13, 1)])  # fmt: skip
    return Of(parts, lambda m, x: m[2](m[1](F.pad(m[0](x).mT, (left, right))).relu()))


@mistake("label-among-the-inputs.*the outputs before change")
def letters_to_come_are_seen() -> Setup:
    return letters(over_letters(1, 1))


@mistake("each target is the word before")
def letters_that_were() -> Setup:
    return letters(over_letters(2, 0), -1)


@mistake("stay the same when the words of an example change places")
def letters_without_places() -> Setup:
    parts = nn.ModuleList([nn.Embedding(13, 16), nn.Linear(16, 13)])
    setup = letters(Of(parts, lambda m, x: m[1](m[0](x).mean(1))))
    (x, y), model = next(iter(setup["batch"])), setup["model"]
    return {**setup, "model": model, "batch": (x, y[:, 0])}


@mistake("padding-in-the-loss.*ignore_index=0")
def padding_that_counts() -> Setup:
    return letters(over_letters(2, 0), filled=9)


@healthy
def letters_before_alone() -> Setup:
    return letters(over_letters(2, 0))


@healthy
def padding_that_does_not_count() -> Setup:
    return letters(
        over_letters(2, 0), filled=9, loss=lambda y, t: F.cross_entropy(y, t, ignore_index=0)
    )


@mistake("gradients-not-finite.*detect_anomaly")
def the_root_of_a_distance_of_0() -> Setup:
    def loss(y: Any, t: Any) -> Any:
        far = ((y[:, None] - y[None]) ** 2).sum(2) ** 0.5
        same = (t[:, None] == t[None]).float()
        return (same * far + (1 - same) * (1 - far).relu()).mean()

    return on_rows(mlp(64, 32, 8), loss=loss)


@mistake("column-constant.*x.:, 1.")
def a_channel_that_is_always_0() -> Setup:
    x, y = digits()
    net = cnn()
    net[0] = nn.Conv2d(2, net[0].weight.shape[0], 3, padding=net[0].padding)
    return on_digits(net) | {"batch": loader(np.concatenate([x, 0 * x], 1), y)}


@mistake("targets-turned.*that of the (next example|example before)")
def masks_of_the_example_before() -> Setup:
    setup = masks()
    x, t = (np.concatenate(part) for part in zip(*[(x.array, t.array) for x, t in setup["batch"]]))
    return setup | {"batch": loader(x, np.roll(t, 1, 0), shuffle=False)}


@mistake("targets-out-of-reach.*add up")
def shares_along_the_rows_of_an_image() -> Setup:
    setup = masks()
    net = nn.Sequential(setup["model"], nn.Softmax(3))
    return setup | {"model": net, "loss": F.binary_cross_entropy,
                    "optimizer": optim.Adam(net.parameters(), lr=0.01)}  # fmt: skip


def weighed(*weights: float) -> Setup:
    setup = masks()
    x, t = (np.concatenate(part) for part in zip(*[(x.array, t.array) for x, t in setup["batch"]]))
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))
    return table(x, t[:, 0].astype(np.int64), net,
                 nn.CrossEntropyLoss(weight=tinynet.tensor(list(weights))))  # fmt: skip


@mistake("class-weights-inverted")
def the_ground_weighs_more_than_the_object() -> Setup:
    return weighed(5.0, 1.0)


@healthy
def the_object_weighs_more_than_the_ground() -> Setup:
    return weighed(1.0, 5.0)


@mistake("validation-unlike-training.*of class.*if it has any")
def validation_of_the_last_classes() -> Setup:
    x, y = digits(flat=True)
    order = np.argsort(y, kind="stable")
    x, y, n = x[order], y[order], len(y) * 3 // 4
    return on_rows(mlp(64, 32, 10)) | {"batch": loader(x[:n], y[:n]),
                                       "validate": loader(x[n:], y[n:])}  # fmt: skip


def variational(weight: float) -> Setup:
    """An autoencoder whose loss has a part that asks for no targets."""
    parts = nn.ModuleList([mlp(64, 32, 16), mlp(8, 32, 64)])

    def forward(m: Any, x: Any) -> Any:
        made = m[0](x)
        mean, log = made[:, :8], made[:, 8:]
        return m[1](mean + (0.5 * log).exp() * tinynet.randn(*mean.shape) * m.training), mean, log

    def loss(y: Any, x: Any) -> Any:
        kl = -0.5 * (1 + y[2] - y[1] ** 2 - y[2].exp()).sum() / len(x)
        return ((y[0] - x) ** 2).sum() / len(x) + weight * kl

    x, _ = digits(flat=True)
    return table(x, x, Of(parts, forward), loss)


@mistake("loss-beyond-its-part.*asks for the targets")
def a_kl_part_that_outweighs_its_images() -> Setup:
    return variational(200.0)


@healthy
def a_kl_part_of_its_size() -> Setup:
    return variational(0.5)


@mistake("step-ignores-its-batch")
def the_last_part_of_a_batch_alone() -> Setup:
    def step(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        for k in range(0, len(x), 8):
            loss = F.cross_entropy(model(x[k : k + 8]), target[k : k + 8])
        loss.backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), step)


def forging(detached: bool, *, whole: bool = True) -> Setup:
    """A judge and a forger in one model, or the judge alone, and an optimizer for each."""
    judge, forger = mlp(64, 32, 1), mlp(4, 32, 64)
    own, other = (optim.Adam(m.parameters(), lr=0.002) for m in (judge, forger))
    both = Of(nn.ModuleList([judge, forger]), lambda m, x: m[0](x))
    one_or_zero = F.binary_cross_entropy_with_logits

    def step(x: Any, target: Any) -> None:
        ones, made = tinynet.ones(len(x), 1), forger(tinynet.randn(len(x), 4))
        other.zero_grad()
        one_or_zero(judge(made.detach() if detached else made), ones).backward()
        other.step()
        own.zero_grad()
        (one_or_zero(judge(x), ones) + one_or_zero(judge(made.detach()), 0 * ones)).backward()
        own.step()

    return {"model": both if whole else judge, "batch": loader(*digits(flat=True)), "step": step}


@mistake("step-without-gradient.*never has a gradient")
def a_forger_that_learns_nothing() -> Setup:
    return forging(True, whole=False)


@healthy
def a_judge_and_a_forger_in_one_model() -> Setup:
    return forging(False)


def begun(change: Callable[[Any], Any], net: nn.Module, **more: Any) -> Setup:
    """A net whose weights are changed before."""
    with tinynet.no_grad():
        change(net)
    return on_rows(net, optim.SGD(net.parameters(), lr=0.02, momentum=0.9), **more)


@mistake("initial-weights-hinder.*reset_parameters")
def a_layer_of_next_to_nothing() -> Setup:
    return begun(lambda m: m[2].weight.mul_(1e-6), mlp(64, 32, 32, 10))


@mistake("first-loss-too-high")
def a_bias_of_1000() -> Setup:
    setup = on_line(mlp(3, 16, 1))
    setup["model"][2].bias.data.fill_(1000.0)
    return setup


@healthy
def branches_that_begin_at_0() -> Setup:
    def branch() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 64),
                             nn.LayerNorm(64))  # fmt: skip

    net = nn.Sequential(Of(branch(), lambda m, x: x + m(x)), Of(branch(), lambda m, x: x + m(x)),
                        nn.Linear(64, 10))  # fmt: skip
    return begun(lambda m: [m[k].inner[4].weight.zero_() for k in (0, 1)], net)


@healthy
def the_largest_of_three_as_activation() -> Setup:
    parts = nn.ModuleList([nn.Linear(64, 96), nn.Linear(32, 10)])
    return on_rows(Of(parts, lambda m, x: m[1](m[0](x).reshape(-1, 32, 3).max(2)[0])))


@healthy
def a_code_between_two_linear_layers() -> Setup:
    x, _ = digits(flat=True)
    return table(x, x, nn.Sequential(mlp(64, 32, 8), mlp(8, 32, 64)), F.mse_loss)


@mistake("nothing-nonlinear-between")
def the_result_of_relu_is_left_aside() -> Setup:
    parts = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 10)])

    def forward(m: Any, x: Any) -> Any:
        x = m[0](x)
        F.relu(x)
        return m[1](x)

    return on_rows(Of(parts, forward))


def tabled(parts: Any, forward: Callable[..., Any], last: float = 1.0) -> Setup:
    """Numbers of one of 20 categories beside three measurements."""
    rng = np.random.default_rng(0)
    kinds, x = rng.integers(0, 20, 256), rng.standard_normal((256, 3))
    y = (rng.standard_normal(20)[kinds] + x[:, 0])[:, None].astype(np.float32)
    x[:, 2] = last * (x[:, 2] + 3 * (last > 1))
    return table(np.column_stack([kinds, x]), y, Of(parts, forward), F.mse_loss)


def embedded(**more: Any) -> Setup:
    parts = nn.ModuleList([nn.Embedding(20, 4), mlp(7, 24, 1)])
    return tabled(
        parts, lambda m, x: m[1](tinynet.cat([m[0](x[:, 0].long()), x[:, 1:]], 1)), **more
    )


@healthy
def numbers_of_categories_that_are_embedded() -> Setup:
    return embedded()


@healthy
def numbers_of_categories_that_become_one_hot() -> Setup:
    def forward(m: Any, x: Any) -> Any:
        return m(tinynet.cat([F.one_hot(x[:, 0].long(), 20).float(), x[:, 1:]], 1))

    return tabled(mlp(23, 24, 1), forward)


@mistake("column-of-another-scale")
def a_large_column_beside_embedded_categories() -> Setup:
    return embedded(last=300.0)


@healthy
def distances_to_a_centre_of_each_class() -> Setup:
    parts = nn.ModuleList([mlp(64, 32, 8), nn.Linear(8, 10, bias=False)])
    return on_rows(
        Of(parts, lambda m, x: -((m[0](x)[:, None] - 4 * m[1].weight) ** 2).sum(2)),
        optim.Adam(parts.parameters(), lr=0.01),
    )


@healthy
def scores_of_all_pairs_in_a_step() -> Setup:
    net = Of(mlp(64, 32, 8), lambda m, x: ((m(x)[:, None] - m(x)) ** 2).sum(2))

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        loss = F.binary_cross_entropy_with_logits(2 - model(x), (target[:, None] == target).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return looped(on_rows(net, optim.Adam(net.parameters(), lr=0.003)), step)


@mistake("padding-in-the-loss.*ignore_index=0")
def padding_behind_words_moved_by_one() -> Setup:
    rng, words = np.random.default_rng(2), np.zeros((120, 12), np.int64)
    for row in words:
        length, first = rng.integers(5, 10), rng.integers(8)
        row[:length] = (first + np.arange(length)) % 8 + 1
    net = nn.Sequential(nn.Embedding(9, 16), mlp(16, 32, 9))
    flat = Of(net, lambda m, x: m(x).reshape(-1, 9))
    setup = on_rows(flat, optim.Adam(flat.parameters(), lr=0.01))
    batch = (words[:, :-1], words[:, 1:])
    return {**setup, "batch": batch, "loss": lambda y, t: F.cross_entropy(y, t.reshape(-1))}


@mistake("forgotten-zero-grad")
def two_optimizers_one_zeroed_in_place_of_the_other() -> Setup:
    judge, forger = mlp(64, 16, 1), mlp(4, 16, 64)
    both = Of(nn.ModuleList([judge, forger]), lambda m, x: m[0](x))
    one, other = (optim.Adam(m.parameters(), lr=1e-3) for m in (judge, forger))
    right = F.binary_cross_entropy_with_logits

    def step(x: Any, target: Any) -> None:
        made, yes = forger(tinynet.randn(len(x), 4)), tinynet.ones(len(x), 1)
        one.zero_grad()
        (right(judge(x), yes) + right(judge(made.detach()), 0 * yes)).backward()
        one.step()
        one.zero_grad()
        right(judge(made), yes).backward()
        other.step()

    setup = on_rows(both, one)
    del setup["optimizer"]
    return {**setup, "step": step}


@mistake("gradients-thrown-away")
def the_loss_of_the_labels_is_thrown_away() -> Setup:
    parts = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 10), nn.Linear(32, 64)])
    net = Of(parts, lambda m, x: (m[1](m[0](x).relu()), m[2](m[0](x).relu())))

    def step(model: Any, optimizer: Any, x: Any, target: Any) -> Any:
        scores, again = model(x)
        F.cross_entropy(scores, target).backward(retain_graph=True)
        optimizer.zero_grad()
        F.mse_loss(again, x).backward()
        optimizer.step()
        return scores

    return looped(on_rows(net, optim.Adam(net.parameters(), lr=0.01)), step)


@mistake(RATE_HIGH)
def a_rate_at_which_the_loss_bursts_and_comes_back() -> Setup:
    net = mlp(64, 64, 10)
    return on_rows(net, optim.Adagrad(net.parameters(), lr=3.0))


# ----- a loss of the step's own, and several outputs ----------------------------------------------


def rows_with(targets: Callable[[Any], Any], loss_of: Callable[..., Any], outputs: int) -> Setup:
    """Digits with targets made of the labels, a loss in the step alone, and Adam."""
    x, y = digits(flat=True)
    model = mlp(64, 32, outputs)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    return usual(loss_of, {**on_rows(model, optimizer), "batch": loader(x, targets(y))})


@healthy
def labels_from_1_on_that_the_step_counts_from_0() -> Setup:
    return rows_with(lambda y: y + 1, lambda m, x, t: F.cross_entropy(m(x), t - 1), 10)


@healthy
def labels_in_a_column_that_the_step_squeezes() -> Setup:
    return rows_with(lambda y: y[:, None], lambda m, x, t: F.cross_entropy(m(x), t.squeeze(1)), 10)


@healthy
def one_output_for_labels_of_0_and_1() -> Setup:
    right = F.binary_cross_entropy_with_logits
    return rows_with(lambda y: y % 2, lambda m, x, t: right(m(x).squeeze(1), t.float()), 1)


@healthy
def two_labels_of_each_image() -> Setup:
    def loss_of(model: Any, x: Any, t: Any) -> Any:
        y = model(x)
        return F.cross_entropy(y[:, :10], t[:, 0]) + F.cross_entropy(y[:, 10:], t[:, 1])

    return rows_with(lambda y: np.stack([y, y % 2], 1), loss_of, 12)


@healthy
def actions_and_their_returns() -> Setup:
    def loss_of(model: Any, x: Any, t: Any) -> Any:
        chosen = F.log_softmax(model(x), 1).gather(1, t[:, :1].long())
        return -(chosen * (t[:, 1:] - t[:, 1:].mean())).mean()

    returns = np.random.default_rng(0)
    return rows_with(
        lambda y: np.stack([y % 3, returns.standard_normal(len(y))], 1).astype(np.float32),
        loss_of,
        3,
    )


def two_outputs(pack: Callable[[Any, Any], Any], loss: Any) -> Setup:
    layers = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 10), nn.Linear(32, 10)])

    def both(parts: Any, x: Any) -> Any:
        features = parts[0](x).relu()
        return pack(features, (parts[1](features), parts[2](features)))

    model = Of(layers, both)
    return on_rows(model, optim.Adam(model.parameters(), lr=0.005), loss=loss)


@healthy
def features_before_the_scores() -> Setup:
    return two_outputs(lambda h, y: (h, y[0] + y[1]), lambda y, t: F.cross_entropy(y[1], t))


@healthy
def three_losses_of_several_exits() -> Setup:
    return two_outputs(lambda h, y: y, lambda y, t: sum(2 * F.cross_entropy(z, t) for z in y))


@healthy
def a_distance_with_a_small_number_under_its_root() -> Setup:
    x, y = line()
    pairs, apart = np.stack([x, np.roll(x, 1, 0)], 1), np.abs(y - np.roll(y, 1, 0))
    model = Of(mlp(3, 16, 4), lambda m, x: (((m(x[:, 0]) - m(x[:, 1])) ** 2).sum(1) + 1e-6).sqrt())
    return table(pairs, apart[:, 0], model, F.mse_loss)


@healthy
def pairs_of_the_batch_by_two_calls_of_the_model() -> Setup:
    def loss(m: Any, x: Any, t: Any) -> Any:
        order = np.random.default_rng(0).permutation(len(x))
        apart = ((m(x) - m(x[order])) ** 2).sum(1)
        same = tinynet.Tensor((t.array == t.array[order]).astype(np.float32))
        return (same * apart + (1 - same) * F.relu(1 - (apart + 1e-6).sqrt()) ** 2).mean()

    return usual(loss, on_digits(nn.Sequential(nn.Flatten(), *mlp(64, 32, 8))))


@healthy
def a_column_of_ones_and_a_rare_category() -> Setup:
    x, y = line()
    x = np.concatenate([x, np.ones_like(y), np.zeros_like(y)], 1)
    return table(x, y, nn.Sequential(nn.Linear(5, 16, bias=False), nn.ReLU(), nn.Linear(16, 1)),
                 F.mse_loss)  # fmt: skip


def mse_in_the_step(lr: float, scale: float = 1.0) -> Setup:
    model, (x, y) = mlp(3, 16, 1), line()
    setup = {"model": model, "batch": loader(x, scale * y), "optimizer": sgd(model, lr)}
    return usual(lambda m, x, t: F.mse_loss(m(x), t), setup)


@mistake("learning-rate-too-high")
def a_rate_of_50_with_the_loss_in_the_step() -> Setup:
    return mse_in_the_step(50.0)


@mistake("learning-rate-too-low")
def a_rate_of_1e_8_with_the_loss_in_the_step() -> Setup:
    return mse_in_the_step(1e-8)


@mistake("targets-not-scaled")
def large_targets_with_the_loss_in_the_step() -> Setup:
    return mse_in_the_step(0.01, 1e5)


@mistake("examples-left-out")
def the_loss_of_the_first_examples_alone() -> Setup:
    return usual(lambda m, x, t: F.cross_entropy(m(x)[:8], t[:8]), on_rows(mlp(64, 32, 10)))


@mistake("outputs against the classes that they give")
def the_classes_that_the_model_gives_as_targets() -> Setup:
    def loss_of(model: Any, x: Any, t: Any) -> Any:
        y = model(x)
        return F.cross_entropy(y, y.argmax(1))

    return usual(loss_of, on_rows(mlp(64, 32, 10)))


@mistake("optimizer-made-anew")
def an_optimizer_for_each_step() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    model = setup.pop("model")
    del setup["optimizer"]

    def step(x: Any, t: Any) -> None:
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        optimizer.zero_grad()
        F.cross_entropy(model(x), t).backward()
        optimizer.step()

    return {"model": model, "step": step, **setup}


@mistake("takes outputs first and targets second")
def targets_before_outputs() -> Setup:
    x, y = digits(flat=True)
    model = nn.Sequential(mlp(64, 16, 1), nn.Sigmoid())
    return table(x, (y % 2)[:, None].astype(np.float32), model,
                 lambda p, t: F.binary_cross_entropy(t, p))  # fmt: skip


@mistake("counts the .* examples")
def the_number_of_the_row_in_a_sorted_file() -> Setup:
    x, y = blobs()
    order = np.argsort(y, kind="stable")
    count = np.linspace(-1.7, 1.7, len(y), dtype=np.float32)[:, None]
    return table(np.concatenate([count, x[order]], 1), y[order], mlp(x.shape[1] + 1, 16, 3))


@mistake("far from all others")
def mistyped_targets() -> Setup:
    x, y = line()
    y[[17, 90]] = 99999
    return table(x, y, mlp(3, 16, 1), F.mse_loss)
