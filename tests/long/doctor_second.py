"""Forty more mistakes and twenty more healthy set-ups for the doctor: see `doctor_table`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import tinynet
from tests.long.doctor_table import (
    HEALTHY,
    MISTAKES,
    RATE_HIGH,
    RATE_LOW,
    Setup,
    blobs,
    cnn,
    digits,
    healthy,
    line,
    loader,
    mistake,
    mlp,
    moons,
    on_blobs,
    on_digits,
    on_line,
    on_rows,
    sgd,
    stepping,
)
from tinynet import data, models, nn, optim
from tinynet.nn import functional as F

__all__ = ["HEALTHY", "MISTAKES"]  # those of both tables

# ----- mistakes -----------------------------------------------------------------------------------


@mistake(RATE_LOW)
def sgd_1e_5() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.SGD(model.parameters(), lr=1e-5))


@mistake(RATE_HIGH)
def adam_half_on_a_deep_net() -> Setup:
    model = mlp(64, 64, 64, 64, 10)
    return on_rows(model, optim.Adam(model.parameters(), lr=0.5))


@mistake(r"momentum")
def nesterov_with_momentum_0999() -> Setup:
    model = cnn()
    return on_digits(model, sgd(model, 0.05, 0.999, nesterov=True))


@mistake(r"weight.decay")
def adam_with_l2_of_03() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.3))


@mistake(r"learning.rate|loss.*(small|divid|scale)")
def loss_divided_by_a_million() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t) / 1e6)


@mistake(r"learning.rate|loss.*(large|scale)")
def loss_times_a_thousand() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t) * 1000)


@mistake(r"inputs, but|targets|labels")
def argmax_over_the_wrong_axis() -> Setup:
    x, y = digits(320)
    return {"model": cnn(), "batch": (x, np.eye(10)[y].argmax(0))}


@mistake(r"tanh")
def tanh_on_the_scores() -> Setup:
    return on_digits(cnn(nn.Tanh()))


@mistake(r"initial|first-loss|weights")
def weights_uniform_from_0_to_1() -> Setup:
    model = mlp(64, 64, 64, 10)
    for p in model.parameters():
        nn.init.uniform_(p, 0.0, 1.0)
    return on_rows(model)


@mistake(r"vanish|initial")
def ten_layers_of_std_001() -> Setup:
    model = mlp(64, *[64] * 9, 10)
    for p in model.parameters():
        nn.init.normal_(p, 0.0, 0.01)
    return on_rows(model)


@mistake(r"initial|saturat|vanish|weights")
def tanh_layers_of_std_10() -> Setup:
    model = mlp(64, *[64] * 5, 10, act=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 10.0)
    return on_rows(model)


@mistake(r"reach|relu")
def relu_at_the_end_of_a_regression() -> Setup:
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1), nn.ReLU())
    return on_line(model)


class FreshLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 32)

    def forward(self, x: Any) -> Any:
        return nn.Linear(32, 10)(F.relu(self.first(x)))


@mistake(r"model\.parameters|regist|__init__")
def a_layer_made_in_forward() -> Setup:
    return on_rows(FreshLayer())


class Numpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.second(tinynet.tensor(np.tanh(self.first(x).numpy())))


@mistake(r"detach|numpy\(\)")
def numpy_in_forward() -> Setup:
    with tinynet.no_grad():
        model = Numpy()
    model.forward = lambda x: model.second(tinynet.tensor(np.tanh(model.first(x).detach().numpy())))
    return on_rows(model)


@mistake(r"1 number|one unit|1 unit|does-not-learn|bottleneck|alike")
def the_mean_of_the_image_alone() -> Setup:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 10))
    return on_digits(model)


class Scrambled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(64, 32, 10)

    def forward(self, x: Any) -> Any:
        return self.net(x.reshape(64, -1).T)


@mistake(r"other examples|mix|depend on")
def reshape_that_mixes_examples() -> Setup:
    return on_digits(Scrambled())


@mistake(r"loss-fails|loss raises")
def arguments_of_the_loss_swapped() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(t, p))


@mistake(r"belong|shuffled")
def rows_shuffled_alone() -> Setup:
    x, y = blobs(300)
    x = x[np.random.default_rng(0).permutation(len(x))]
    model = mlp(4, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"0 and 1|0 to 1|from 0")
def labels_of_minus_one_and_one() -> Setup:
    x, y = moons()
    model = mlp(2, 16, 1)
    return {"model": model, "batch": loader(x, 2 * y - 1), "optimizer": sgd(model),
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@mistake(r"255|scal|vary")
def divided_by_255_twice() -> Setup:
    x, y = digits()
    x = (x - x.min()) / 255 / 10
    model = cnn()
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"axis of the channel")
def grey_images_without_channel() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader(x[:, 0], y), "optimizer": sgd(model)}


@mistake(r"differ|several times|duplicat")
def ten_images_thirty_times() -> Setup:
    x, y = digits(10)
    model = cnn()
    return {"model": model, "batch": loader(np.tile(x, (30, 1, 1, 1)), np.tile(y, 30)),
            "optimizer": sgd(model)}  # fmt: skip


@mistake(r"label.*(column|input)|column.*label")
def label_among_the_columns() -> Setup:
    x, y = blobs()
    x = np.column_stack([x, (y - y.mean()) / y.std()]).astype(np.float32)
    model = mlp(5, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"infinit")
def infinity_from_a_log() -> Setup:
    x, y = blobs()
    with np.errstate(divide="ignore", invalid="ignore"):
        x[:, 0] = np.log(np.maximum(x[:, 0], 0))
    model = mlp(4, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"x\[:, 3\]|column")
def a_time_stamp_among_the_columns() -> Setup:
    x, y = blobs()
    x[:, 3] = 1.6e9 + 1e5 * np.arange(len(x))
    model = mlp(4, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"imbalance|rare")
def four_percent_of_ones() -> Setup:
    x, y = moons(800)
    keep = np.flatnonzero((y[:, 0] == 0) | (np.arange(800) % 20 == 0))
    model = mlp(2, 16, 1)
    return {"model": model, "batch": loader(x[keep], y[keep]), "optimizer": sgd(model),
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@mistake(r"validat")
def validated_on_a_part_of_the_training_data() -> Setup:
    x, y = digits(flat=True)
    model = mlp(64, 32, 10)
    return {
        "model": model,
        "batch": (x, y),
        "optimizer": sgd(model),
        "validate": (x[:200], y[:200]),
    }


@mistake(r"sorted|shuffle|order")
def sorted_list_of_batches() -> Setup:
    x, y = blobs()
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]
    model = mlp(4, 16, 3)
    batches = [(x[i : i + 24], y[i : i + 24]) for i in range(0, 240, 24)]
    return {"model": model, "batch": batches, "optimizer": sgd(model)}


@mistake(r"batch of 1|1 example")
def last_batch_of_one_with_batch_norm() -> Setup:
    x, y = digits(257)
    return on_digits(cnn(norm=True)) | {"batch": loader(x, y)}


@mistake(r"eval")
def step_in_evaluation_mode() -> Setup:
    setup = on_digits(cnn(norm=True))
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        model.eval()
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"no_grad|gradient")
def step_within_no_grad() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        with tinynet.no_grad():
            loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"optimizer\.step\(\)")
def step_without_parentheses() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step  # noqa: B018

    return {**setup, "step": step}


@mistake(r"rate")
def rate_divided_by_ten_each_step() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        schedule.step()

    return {**setup, "step": step}


@mistake(r"clip")
def clipped_by_value_to_nothing() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_value_(model.parameters(), 1e-8)
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"optimizer\.step\(\)|of this model|another")
def step_trains_a_copy() -> Setup:
    setup = on_digits(cnn())
    other = copy.deepcopy(setup["model"])
    optimizer = sgd(other)

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(other(x), target).backward()
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"not in the optimizer")
def optimizer_of_the_first_layer() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.SGD(list(model.parameters())[:2], lr=0.05))


class AlwaysDropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.second(F.dropout(F.relu(self.first(x)), 0.5))


@mistake(r"eval|training=self\.training")
def dropout_that_never_ends() -> Setup:
    return on_rows(AlwaysDropping())


@mistake(r"outputs")
def a_thousand_outputs() -> Setup:
    return on_rows(mlp(64, 32, 1000))


@mistake(r"ignore_index")
def class_0_is_ignored() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, ignore_index=0))


@mistake(r"weight")
def a_class_with_weight_0() -> Setup:
    weight = np.ones(10, np.float32)
    weight[3] = 0
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, weight=weight))


class Stepwise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.second((self.first(x) > 0).float())


@mistake(r"no gradient|no-gradient")
def an_activation_without_a_gradient() -> Setup:
    return on_rows(Stepwise())


# ----- healthy ------------------------------------------------------------------------------------


@healthy
def autoencoder() -> Setup:
    x, _ = digits(flat=True)
    model = mlp(64, 32, 8, 32, 64)
    return {"model": model, "batch": loader(x, x), "optimizer": optim.Adam(model.parameters()),
            "loss": F.mse_loss}  # fmt: skip


@healthy
def resnet8_with_adam() -> Setup:
    model = models.build("resnet8", in_channels=1, image_size=8)
    return on_digits(model, optim.Adam(model.parameters(), lr=1e-3))


@healthy
def batch_norm_between_linear_layers() -> Setup:
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)
    )  # fmt: skip
    return on_rows(model, optim.Adam(model.parameters(), lr=1e-2))


@healthy
def layer_norm_and_gelu() -> Setup:
    model = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 10))
    return on_rows(model, optim.AdamW(model.parameters(), lr=1e-3))


@healthy
def smoothed_labels() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, label_smoothing=0.1))


@healthy
def weighted_classes() -> Setup:
    weight = np.linspace(0.5, 2, 10).astype(np.float32)
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, weight=weight))


@healthy
def several_labels_at_once() -> Setup:
    x, y = digits(flat=True)
    t = np.stack([y % 2 == 0, y > 4, y == 3], 1).astype(np.float32)
    model = mlp(64, 32, 3)
    return {"model": model, "batch": loader(x, t), "optimizer": sgd(model),
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@healthy
def two_numbers_with_huber() -> Setup:
    x, y = line()
    model = mlp(3, 16, 2)
    return {"model": model, "batch": loader(x, np.column_stack([y, 1 - y * x[:, :1]])),
            "optimizer": sgd(model, 0.02), "loss": F.huber_loss}  # fmt: skip


@healthy
def one_feature_alone() -> Setup:
    x = np.linspace(-1, 1, 100, dtype=np.float32)[:, None]
    model = nn.Linear(1, 1)
    return {"model": model, "batch": (x, 2 * x + 1), "loss": F.mse_loss,
            "optimizer": optim.SGD(model.parameters(), lr=0.1)}  # fmt: skip


@healthy
def exclusive_or() -> Setup:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    model = mlp(2, 8, 1, act=nn.Tanh)
    return {"model": model, "batch": (x, np.array([[0], [1], [1], [0]], np.float32)),
            "loss": F.binary_cross_entropy_with_logits,
            "optimizer": optim.Adam(model.parameters(), lr=0.05)}  # fmt: skip


@healthy
def lenet_with_tanh_and_mean_pooling() -> Setup:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 3), nn.Tanh(),
        nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10),
    )  # fmt: skip
    return on_digits(model, sgd(model, 0.1))


@healthy
def separable_convolutions() -> Setup:
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip
    return on_digits(model, optim.Adam(model.parameters(), lr=1e-2))


@healthy
def images_from_0_to_1() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader((x - x.min()) / (x.max() - x.min()), y),
            "optimizer": optim.Adam(model.parameters())}  # fmt: skip


@healthy
def list_of_batches_of_two_classes() -> Setup:
    x, y = moons()
    y = y[:, 0].astype(np.int64)
    model = mlp(2, 16, 2)
    return {"model": model, "batch": [(x[i : i + 20], y[i : i + 20]) for i in range(0, 200, 20)],
            "optimizer": sgd(model)}  # fmt: skip


@healthy
def gradients_of_two_halves_added_up() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        half = len(x) // 2
        for part in (slice(0, half), slice(half, None)):
            (F.cross_entropy(model(x[part]), target[part]) / 2).backward()
        optimizer.step()

    return {**setup, "step": step}


@healthy
def cosine_schedule_in_the_step() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        schedule.step()

    return {**setup, "step": step}


@healthy
def last_layer_of_zeros() -> Setup:
    model = mlp(64, 32, 10)
    nn.init.zeros_(model[2].weight)
    return on_rows(model)


@healthy
def iris_like_in_one_batch() -> Setup:
    x, y = blobs(150)
    order = np.argsort(y, kind="stable")
    model = mlp(4, 8, 3)
    return {"model": model, "batch": (x[order], y[order]),
            "optimizer": optim.Adam(model.parameters(), lr=0.01)}  # fmt: skip


@healthy
def seventy_to_thirty() -> Setup:
    x, y = blobs(400, 2)
    keep = np.flatnonzero((y == 0) | (np.arange(400) % 2 == 0))
    return on_blobs(mlp(4, 16, 2)) | {"batch": loader(x[keep], y[keep])}


@healthy
def validated_on_other_data() -> Setup:
    x, y = digits()
    return on_digits(cnn()) | {"batch": loader(x[:1000], y[:1000]),
                               "validate": (x[1000:], y[1000:])}  # fmt: skip


@healthy
def augmented_digits() -> Setup:
    train = data.load("digits", "train")
    batches = data.DataLoader(
        train, 32, shuffle=True, seed=0, transform=data.standardize(train)
    )  # fmt: skip
    model = cnn(norm=True)
    return stepping("fzbs", on_digits(model)) | {"batch": batches}
