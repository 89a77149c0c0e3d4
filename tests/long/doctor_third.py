"""Twenty-four mistakes and twelve healthy set-ups more, for the doctor: see `doctor_table`."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinynet
from tests.long.doctor_second import HEALTHY, MISTAKES
from tests.long.doctor_table import (
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
from tinynet import models, nn, optim
from tinynet.nn import functional as F

__all__ = ["HEALTHY", "MISTAKES"]  # those of all three tables

# ----- mistakes -----------------------------------------------------------------------------------


@mistake(r"learning.rate|eps")
def adam_with_eps_of_100() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adam(model.parameters(), lr=1e-3, eps=100.0))


@mistake(r"reach|sigmoid")
def sigmoid_for_ages() -> Setup:
    x, y = line()
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
    return {"model": model, "batch": loader(x, 4 + 2 * y), "optimizer": sgd(model, 0.01),
            "loss": F.mse_loss}  # fmt: skip


@mistake(r"outputs")
def one_output_for_two_classes() -> Setup:
    return on_blobs(mlp(4, 16, 1)) | {"batch": loader(*blobs(240, 2))}


@mistake(r"same layer|shared|twice|times")
def one_layer_four_times() -> Setup:
    hidden = [nn.Linear(32, 32)] * 4
    layers = [nn.Linear(64, 32), nn.ReLU()]
    for layer in hidden:
        layers += [layer, nn.ReLU()]
    return on_rows(nn.Sequential(*layers, nn.Linear(32, 10)))


@mistake(r"label_smoothing|does-not-learn|smooth")
def labels_smoothed_away() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, label_smoothing=1.0))


class Divided(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.net, self.by = mlp(64, 32, 10), by

    def forward(self, x: Any) -> Any:
        return self.net(x) / self.by


@mistake(r"learning.rate|vanish|small")
def scores_divided_by_1000() -> Setup:
    return on_rows(Divided(1000.0))


@mistake(r"first-loss|scores run")
def scores_times_1000() -> Setup:
    return on_rows(Divided(0.001))


@mistake(r"penalty|part|cross_entropy.* of|dominat")
def a_penalty_larger_than_the_loss() -> Setup:
    model = cnn()

    def loss(p: Any, t: Any) -> Any:
        return F.cross_entropy(p, t) + 10 * sum((w * w).sum() for w in model.parameters())

    return on_digits(model, sgd(model, 0.001), loss=loss)


class NoGrad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(64, 32, 10)

    @tinynet.no_grad
    def forward(self, x: Any) -> Any:
        return self.net(x)


@mistake(r"no_grad")
def forward_under_no_grad() -> Setup:
    return on_rows(NoGrad())


@mistake(r"sorted|shuffle|order")
def sorted_targets_of_a_regression() -> Setup:
    x, y = line()
    order = np.argsort(y[:, 0])
    model = mlp(3, 16, 1)
    return {"model": model, "batch": loader(x[order], y[order], shuffle=False),
            "optimizer": sgd(model, 0.01), "loss": F.mse_loss}  # fmt: skip


@mistake(r"backward\(\) comes after|in this order")
def step_backward_zero() -> Setup:
    return stepping("fsbz", on_digits(cnn()))


@mistake(r"second time|retain_graph|step raises")
def losses_added_up_over_steps() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    total: list[Any] = [0.0]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        total[0] = total[0] + F.cross_entropy(model(x), target)
        total[0].backward()
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"rate.* 0|rate of 0|lr=0|zero")
def the_body_has_rate_0() -> Setup:
    model = mlp(64, 32, 10)
    groups = [{"params": model[0].parameters(), "lr": 0.0}, {"params": model[2].parameters()}]
    return on_rows(model, optim.SGD(groups, lr=0.05, momentum=0.9))


@mistake(r"float64")
def a_model_of_float64() -> Setup:
    model = mlp(64, 32, 10)
    for p in model.parameters():
        p.array = p.array.astype(np.float64)
    return on_rows(model)


class Rounded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.second(F.hardtanh(self.first(x) * 1e4))


@mistake(r"zero-gradient|no-gradient|exactly 0|vanish|saturat")
def activations_driven_to_their_limits() -> Setup:
    return on_rows(Rounded())


@mistake(r"vanish")
def thirty_layers_of_sigmoid() -> Setup:
    model = mlp(64, *[32] * 29, 10, act=nn.Sigmoid)
    return on_rows(model, optim.Adam(model.parameters(), lr=1e-3))


@mistake(r"text|number|np\.unique")
def labels_that_are_text() -> Setup:
    x, y = digits(64)
    model = cnn()
    return {"model": model, "batch": (x, np.array(["one", "two"])[y % 2]), "optimizer": sgd(model)}


@mistake(r"outputs|labels go up")
def labels_with_gaps() -> Setup:
    x, y = blobs()
    return on_blobs(mlp(4, 16, 3)) | {"batch": loader(x, np.array([3, 7, 9])[y])}


@mistake(r"belong|shuffled")
def labels_moved_by_one() -> Setup:
    x, y = digits(flat=True)
    order = np.random.default_rng(0).permutation(len(x))
    return on_rows(mlp(64, 32, 10)) | {"batch": loader(x[order], np.roll(y[order], 1))}


@mistake(r"learning.rate|momentum")
def adam_with_beta_0999() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adam(model.parameters(), lr=0.1, betas=(0.999, 0.999)))


@mistake(r"grey|in_channels|channel")
def grey_model_for_colour() -> Setup:
    x = np.random.default_rng(0).standard_normal((32, 3, 8, 8)).astype(np.float32)
    model = cnn()
    return {"model": model, "batch": (x, np.arange(32) % 10), "optimizer": sgd(model)}


@mistake(r"the learning rate from")
def rate_doubled_each_step() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= 2

    return {**setup, "step": step}


@mistake(r"reset|anew|same weights|step-does-not-learn|moves nothing|as it was")
def step_that_loads_the_old_weights() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    old = {k: np.array(v.array) for k, v in model.named_parameters()}

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        for name, p in model.named_parameters():
            p.array[:] = old[name]

    return {**setup, "step": step}


@mistake(r"channel.*scale|x\[:, 2\]|scale")
def one_channel_in_bytes() -> Setup:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 3, 8, 8)).astype(np.float32)
    y = (x[:, 0].mean((1, 2)) > 0).astype(np.int64)
    x[:, 2] = 128 + 60 * x[:, 2]
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


class NoReturn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(64, 32, 10)

    def forward(self, x: Any) -> Any:
        self.net(x)


@mistake(r"`return`")
def forward_without_return() -> Setup:
    return on_rows(NoReturn())


@mistake(r"make one of the class: CrossEntropyLoss\(")
def loss_that_is_a_class() -> Setup:
    return on_digits(cnn(), loss=nn.CrossEntropyLoss)


@mistake(r"\(inputs, targets\)")
def labels_first() -> Setup:
    x, y = digits(64, flat=True)
    return on_rows(mlp(64, 32, 10)) | {"batch": (y, x)}


@mistake(r"momentum")
def batch_norm_that_remembers_nothing() -> Setup:
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32, momentum=0.0), nn.ReLU(), nn.Linear(32, 10)
    )
    x, y = digits(flat=True)
    return on_rows(model) | {"batch": loader(4 + x, y)}


@mistake(r"dropout")
def dropout_of_08_four_times() -> Setup:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.8)]
    return on_rows(nn.Sequential(*layers, nn.Linear(64, 10)))


# ----- healthy ------------------------------------------------------------------------------------


@healthy
def logistic_regression_at_half() -> Setup:
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    return {"model": model, "batch": loader(*moons()), "optimizer": optimizer,
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@healthy
def large_batches() -> Setup:
    return on_digits(cnn()) | {"batch": loader(*digits(), size=512)}


@healthy
def batch_norm_at_03() -> Setup:
    model = cnn(norm=True)
    return on_digits(model, optim.SGD(model.parameters(), lr=0.3))


@healthy
def silu_and_dropout_of_inputs() -> Setup:
    return on_rows(
        nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 10)),
    )


@healthy
def sigmoid_for_shares() -> Setup:
    x, y = line()
    model = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid())
    return {"model": model, "batch": loader(x, 1 / (1 + np.exp(-y))), "loss": F.mse_loss,
            "optimizer": optim.Adam(model.parameters(), lr=0.01)}  # fmt: skip


@healthy
def batches_of_seven() -> Setup:
    return on_blobs(mlp(4, 16, 3)) | {"batch": loader(*blobs(), size=7)}


@healthy
def warm_up_from_zero() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    optimizer.param_groups[0]["lr"] = 0.0
    count = [0]

    def step(x: Any, target: Any) -> None:
        count[0] += 1
        optimizer.param_groups[0]["lr"] = 0.05 * min(1.0, count[0] / 20)
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    return {**setup, "step": step}


@healthy
def adamw_with_decay_of_005() -> Setup:
    model = mlp(64, 64, 10)
    return on_rows(model, optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05))


@healthy
def a_small_vgg_with_batch_norm() -> Setup:
    layers: list[nn.Module] = []
    for a, b in ((1, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10))
    return on_digits(model, optim.Adam(model.parameters(), lr=1e-3))


@healthy
def two_losses_added() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t) + 1e-3 * (p * p).mean())


@healthy
def large_targets_with_their_mean_in_the_bias() -> Setup:
    x, y = line()
    model = mlp(3, 16, 1)
    return on_line(model) | {"batch": loader(x, 3 * y + 2)}


@healthy
def digits_cnn_with_nesterov() -> Setup:
    model = models.build("digits_cnn")
    return on_digits(model, sgd(model, 0.05, nesterov=True))


class Noisy(nn.Module):
    """An encoder that draws its code, as variational autoencoders do."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 16), mlp(8, 32, 64)

    def forward(self, x: Any) -> Any:
        mean, log_std = self.encoder(x)[:, :8], self.encoder(x)[:, 8:]
        return self.decoder(mean + log_std.exp() * tinynet.randn(*mean.shape))


@healthy
def variational_autoencoder() -> Setup:
    x, _ = digits(flat=True)
    model = Noisy()
    return {"model": model, "batch": loader(x, x), "loss": F.mse_loss,
            "optimizer": optim.Adam(model.parameters(), lr=3e-3)}  # fmt: skip


class ZeroResidual(nn.Module):
    """Two residual blocks whose last layers begin with 0."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)
        self.a, self.b = mlp(32, 32, 32), mlp(32, 32, 32)
        nn.init.zeros_(self.a[2].weight)
        nn.init.zeros_(self.b[2].weight)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.first(x))
        x = x + self.a(x)
        return self.last(x + self.b(x))


@healthy
def residual_blocks_that_begin_with_zero() -> Setup:
    return on_rows(ZeroResidual())


@healthy
def stripes_at_random_places() -> Setup:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 300)
    x = 0.3 * rng.standard_normal((300, 1, 12, 12))
    for i, across in enumerate(y):
        place = rng.integers(0, 12)
        x[i, 0, place if across else slice(None), slice(None) if across else place] += 2
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    return {"model": model, "batch": loader(x.astype(np.float32), y),
            "optimizer": optim.Adam(model.parameters(), lr=1e-2)}  # fmt: skip


@healthy
def clipped_to_a_tenth() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    return {**setup, "step": step}
