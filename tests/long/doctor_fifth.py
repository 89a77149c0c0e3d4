"""Mistakes and healthy set-ups written before the doctor was tried on them: see `doctor_table`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet
from tests.long.doctor_fourth import HEALTHY, MISTAKES
from tests.long.doctor_table import (
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
)
from tinynet import data, nn, optim
from tinynet.nn import functional as F

__all__ = ["HEALTHY", "MISTAKES"]  # those of the tables so far


class Of(nn.Module):
    """A module around a function of another one and the inputs."""

    def __init__(self, inner: nn.Module, function: Callable[[nn.Module, Any], Any]) -> None:
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, x: Any) -> Any:
        return self.function(self.inner, x)


def looped(setup: Setup, one: Callable[[Any, Any, Any, Any], Any]) -> Setup:
    """A step of one's own: one(model, optimizer, x, target)."""
    model, optimizer = setup["model"], setup["optimizer"]
    return {**setup, "step": lambda x, target: one(model, optimizer, x, target)}


# ----- mistakes: the model ------------------------------------------------------------------------


@mistake(r"nothing-nonlinear|nothing nonlinear|no activation")
def leaky_relu_of_slope_1() -> Setup:
    return on_rows(mlp(64, 32, 32, 10, act=lambda: nn.LeakyReLU(1.0)))


@mistake(r"zero-gradient|lets nothing through|no slope|flat")
def rounded_features() -> Setup:
    model = nn.Sequential(nn.Linear(64, 32), Of(nn.ReLU(), lambda f, x: f(x).round()),
                          nn.Linear(32, 10))  # fmt: skip
    return on_rows(model)


@mistake(r"zero-gradient|clamp|clip|activation-before")
def scores_clamped_to_0_1() -> Setup:
    model = mlp(64, 32, 10)
    model[0].weight.array *= 3
    return on_rows(Of(model, lambda m, x: m(x).clamp(0, 1)))


class _Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(64, 32, 10)
        self.scale = tinynet.ones(10, requires_grad=True)

    def forward(self, x: Any) -> Any:
        return self.body(x) * self.scale


@mistake(r"parameters-not-registered|nn\.Parameter")
def a_tensor_that_is_no_parameter() -> Setup:
    return on_rows(_Scale())


@mistake(r"tuple")
def scores_and_features_returned() -> Setup:
    return on_rows(Of(mlp(64, 32, 10), lambda m, x: (m(x), x)))


@mistake(r"weights-all-equal|same weights")
def weights_of_ones() -> Setup:
    model = mlp(64, 32, 10)
    for layer in (model[0], model[2]):
        nn.init.ones_(layer.weight)
    return on_rows(model)


@mistake(r"batch-sizes-differ|batch size|number of examples|64 examples|examples")
def flattened_across_examples() -> Setup:
    body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    head = nn.Linear(64, 10)
    model = nn.Sequential(body, Of(head, lambda m, x: m(x.reshape(-1, 64))))
    return on_digits(model)


@mistake(r"sigmoid.*(vanish|satur|flat)|satur|vanish|initial|first-loss|weights.*large")
def sigmoid_layers_of_std_30() -> Setup:
    model = mlp(64, 32, 32, 10, act=nn.Sigmoid)
    for p in (model[0].weight, model[2].weight):
        p.array *= 300
    return on_rows(model)


@mistake(r"argmax|no-gradient|loss-depends-on-nothing")
def argmax_in_the_model() -> Setup:
    return on_rows(Of(mlp(64, 32, 10), lambda m, x: m(x).argmax(1).float()), loss=F.mse_loss)


@mistake(r"dead-relu|dead|always 0|give(s)? 0")
def biases_of_minus_100() -> Setup:
    model = mlp(64, 32, 10)
    model[0].bias.array[...] = -100
    return on_rows(model)


# ----- mistakes: the loss -------------------------------------------------------------------------


@mistake(r"targets? (of|among)|order of the targets|which target|exchang|permut|shuffl|belong")
def differences_summed_before_squaring() -> Setup:
    return on_line(mlp(3, 16, 1), loss=lambda y, t: (y - t).sum() ** 2 / len(t))


@mistake(r"targets-broadcast|for class labels the loss is")
def ten_scores_against_ten_labels() -> Setup:
    x, y = digits(320, flat=True)
    return on_rows(mlp(64, 32, 10), loss=F.mse_loss) | {
        "batch": loader(x, y.astype(np.float32), 10)
    }


@mistake(r"loss-depends-on-nothing|does not depend|no graph|model's outputs?")
def input_against_itself() -> Setup:
    x, _ = digits(256, flat=True)
    model = mlp(64, 8, 64)
    return {"model": model, "batch": loader(x, x), "optimizer": sgd(model),
            "loss": lambda y, t: F.mse_loss(t, t)}  # fmt: skip


@mistake(r"loss-not-finite|log of")
def log_of_raw_scores() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: F.nll_loss(y.log(), t))


@mistake(r"lower.bound|wrong.sign|sign")
def penalty_with_the_wrong_sign() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(
        model,
        loss=lambda y, t: (
            F.cross_entropy(y, t) - 0.1 * sum((p**2).sum() for p in model.parameters())
        ),
    )


@mistake(r"out-of-reach|between 0 and 1|from 0 to 1|labels-out-of-range|loss-fails|0 to 9")
def digits_by_binary_cross_entropy() -> Setup:
    x, y = digits(256, flat=True)
    return on_rows(mlp(64, 32, 1), loss=F.binary_cross_entropy_with_logits) | {
        "batch": loader(x, y[:, None].astype(np.float32))
    }


@mistake(r"wrong.sign|sign|falls as|maximi|1 -")
def similarity_in_place_of_its_loss() -> Setup:
    x, _ = digits(256, flat=True)
    model = mlp(64, 16, 64)
    return {"model": model, "batch": loader(x, x), "optimizer": sgd(model),
            "loss": lambda y, t: F.cosine_similarity(y, t).mean()}  # fmt: skip


@mistake(r"loss-depends-on-nothing|no graph|comparison|zero-gradient")
def share_of_errors_as_the_loss() -> Setup:
    x, y = moons()
    return on_line(mlp(2, 16, 1), loss=lambda s, t: ((s > 0).float() - t).abs().mean()) | {
        "batch": loader(x, y)
    }


@mistake(r"loss-not-a-number|reduction|single number|mean\(\)")
def loss_without_reduction() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: F.cross_entropy(y, t, reduction="none"))


@mistake(r"no-gradient|zero-gradient|detach")
def one_of_two_heads_detached() -> Setup:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.a, self.b = mlp(64, 32), nn.Linear(32, 10), nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            h = self.body(x).relu()
            return self.a(h) + self.b(h).detach()

    return on_rows(Two())


# ----- mistakes: the data -------------------------------------------------------------------------


@mistake(r"column-of-another-scale|-999|far from|outlier|inputs-not-scaled")
def missing_values_as_minus_999() -> Setup:
    x, y = line(400, 3)
    x[np.random.default_rng(0).random(400) < 0.1, 1] = -999
    return on_line(mlp(3, 16, 1)) | {"batch": loader(x, y)}


@mistake(r"targets-not-scaled|1950|19\d\d|20\d\d")
def years_as_targets() -> Setup:
    x, y = line()
    return on_line(mlp(3, 16, 1)) | {"batch": loader(x, np.round(1985 + 10 * y))}


@mistake(r"column-of-another-scale|label-among|row number|scale")
def a_row_number_among_the_columns() -> Setup:
    x, y = line()
    x = np.concatenate([x, np.arange(200, dtype=np.float32)[:, None]], 1)
    return on_line(mlp(4, 16, 1)) | {"batch": loader(x, y)}


@mistake(r"unrelated|belong together|learns? (nothing|no faster)|look like noise")
def noise_far_above_the_signal() -> Setup:
    x, y = digits(512)
    noise = 100 * np.random.default_rng(0).standard_normal(x.shape)
    x = (x + noise).astype(np.float32)
    return on_digits(cnn()) | {"batch": loader(x / x.std(), y)}


@mistake(r"validation.*(belong|unrelated|unlike|chance|other labels|differ)")
def validation_labels_in_another_order() -> Setup:
    x, y = digits(1400)
    wrong = np.random.default_rng(0).permutation(y[1000:])
    return on_digits(cnn(), validate=(x[1000:], wrong)) | {"batch": loader(x[:1000], y[:1000])}


@mistake(r"validation.*(class|label)")
def validation_of_one_class() -> Setup:
    x, y = digits(1437)
    held = np.flatnonzero(y[1000:] == 3) + 1000
    return on_digits(cnn(), validate=(x[held], y[held])) | {"batch": loader(x[:1000], y[:1000])}


@mistake(r"float16|another.dtype|half")
def inputs_of_half_precision() -> Setup:
    x, y = line()
    return on_line(mlp(3, 16, 1)) | {"batch": (x.astype(np.float16), y)}


@mistake(r"inputs-not-finite|NaN")
def rows_divided_by_their_sum() -> Setup:
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.4, (300, 6)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        x = counts / counts.sum(1, keepdims=True)
    return on_line(mlp(6, 16, 1)) | {"batch": loader(x, counts[:, :1])}


@mistake(r"index|Embedding|rows|out of range")
def words_beyond_the_embedding() -> Setup:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 60, (200, 5))
    model = nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(40, 2))
    return {"model": model, "batch": loader(words, (words.sum(1) > 150).astype(np.int64)),
            "optimizer": sgd(model)}  # fmt: skip


# ----- mistakes: optimizer and loop ---------------------------------------------------------------


@mistake(RATE_HIGH)
def adam_half_on_a_cnn() -> Setup:
    model = cnn(norm=True)
    return on_digits(model, optim.Adam(model.parameters(), lr=0.5))


@mistake(RATE_LOW)
def adagrad_1e_5() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adagrad(model.parameters(), lr=1e-5))


@mistake(RATE_HIGH)
def the_head_has_rate_20() -> Setup:
    model = mlp(64, 32, 10)
    groups = [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 20.0}]
    return on_rows(model, optim.SGD(groups, lr=0.05))


@mistake(r"momentum")
def momentum_of_1() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.SGD(model.parameters(), lr=0.05, momentum=1.0))


@mistake(RATE_LOW + r"|schedule|warm")
def a_warm_up_of_a_million_steps() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    warm = optim.lr_scheduler.LambdaLR(setup["optimizer"], lambda s: (s + 1) / 1e6)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        warm.step()

    return looped(setup, one)


@mistake(r"optimizer-and-model")
def layer_normed_anew_after_the_optimizer() -> Setup:
    model = mlp(64, 32, 10)
    optimizer = sgd(model)
    model[0].weight = nn.Parameter(0.1 * tinynet.randn(32, 64))
    return on_rows(model, optimizer)


@mistake(r"step-without-gradient|backward")
def backward_without_parentheses() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward  # noqa: B018
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"step-ignores|target")
def targets_times_zero_in_the_step() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target * 0).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"step-does-not-learn|does not learn|order|inputs and targets")
def inputs_shuffled_alone_in_the_step() -> Setup:
    rng = np.random.default_rng(0)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x[rng.permutation(len(x))]), target).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"step-does-not-learn|overwr|in place of|makes all weights smaller")
def parameters_overwritten_by_the_step() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in model.parameters():
            p.data = -0.1 * p.grad

    return looped(on_rows(mlp(64, 32, 10)) | {"optimizer": None}, one)


# ----- nothing wrong ------------------------------------------------------------------------------


def _adam(setup: Setup, lr: float = 0.01) -> Setup:
    return setup | {"optimizer": optim.Adam(setup["model"].parameters(), lr=lr)}


def _table(seed: int = 5, count: int = 300) -> tuple[np.random.Generator, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng, rng.standard_normal((count, 5)).astype(np.float32)


def _regression(x: np.ndarray, y: np.ndarray, loss: Any = F.mse_loss, *last: nn.Module,
                outputs: int = 1) -> Setup:  # fmt: skip
    model = nn.Sequential(*mlp(x.shape[1], 24, outputs), *last)
    return _adam({"model": model, "batch": loader(x, y.astype(np.float32)), "loss": loss})


@healthy
def counts_by_poisson() -> Setup:
    rng, x = _table()
    y = rng.poisson(np.exp(0.5 + 0.6 * x[:, :1]))
    return _regression(x, y, lambda s, t: F.poisson_nll_loss(s, t))


@healthy
def the_ninetieth_percentile() -> Setup:
    rng, x = _table()
    y = x[:, :1] + 0.5 * rng.standard_normal((300, 1))
    return _regression(x, y, lambda s, t: F.relu(t - s).mean() * 0.9 + F.relu(s - t).mean() * 0.1)


@healthy
def a_regression_with_much_noise() -> Setup:
    rng, x = _table(count=1000)
    return _regression(x, x[:, :1] + 1.5 * rng.standard_normal((1000, 1)))


@healthy
def categories_as_columns_of_0_and_1() -> Setup:
    rng, x = _table()
    kind = np.eye(6, dtype=np.float32)[rng.integers(0, 6, 300)]
    y = x[:, :1] + kind @ np.array([[0.0], [1], [-1], [0.5], [2], [-2]])
    return _regression(np.concatenate([x, kind], 1), y)


@healthy
def few_categories_and_chance() -> Setup:
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(0, 2, 600), rng.integers(0, 3, 600)], 1).astype(np.float32)
    y = (rng.random(600) < 0.2 + 0.3 * x[:, 0]).astype(np.float32)[:, None]
    return _regression(x, y, F.binary_cross_entropy_with_logits)


@healthy
def word_counts() -> Setup:
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 3, 400)
    x = rng.poisson(0.05 + 0.8 * (np.arange(60) % 3 == topic[:, None])).astype(np.float32)
    model = mlp(60, 16, 3)
    return _adam({"model": model, "batch": loader(x, topic)})


@healthy
def incomes_with_a_long_tail() -> Setup:
    rng, x = _table()
    x[:, 2] = np.exp(x[:, 2])
    return _regression(x, np.log(x[:, 2:3]) + 0.2 * rng.standard_normal((300, 1)))


class _Unrolled(nn.Module):
    """A recurrent net: the same layer for every position of a row."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.again, self.out = nn.Linear(8, 24), nn.Linear(24, 24), nn.Linear(24, 10)

    def forward(self, x: Any) -> Any:
        state = tinynet.zeros(x.shape[0], 24)
        for row in range(8):
            state = (self.read(x[:, 0, row]) + self.again(state)).tanh()
        return self.out(state)


@healthy
def a_recurrent_net_over_rows() -> Setup:
    return _adam(on_digits(_Unrolled()), 0.003)


@healthy
def two_images_by_one_net() -> Setup:
    x, y = digits(600)
    pairs = np.concatenate([x[:300], x[300:]], 1)
    same = (y[:300] // 5 == y[300:] // 5).astype(np.float32)[:, None]
    net = mlp(64, 32, 16)
    model = Of(
        net, lambda m, p: (m(p[:, 0].flatten(1)) * m(p[:, 1].flatten(1))).sum(1, keepdims=True)
    )
    return _adam({"model": model, "batch": loader(pairs, same),
                  "loss": F.binary_cross_entropy_with_logits})  # fmt: skip


@healthy
def tied_autoencoder() -> Setup:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code = nn.Linear(64, 16)

        def forward(self, x: Any) -> Any:
            return self.code(x).tanh() @ self.code.weight

    x, _ = digits(400, flat=True)
    model = Tied()
    return _adam({"model": model, "batch": loader(x, x), "loss": F.mse_loss}, 0.003)


@healthy
def noise_taken_away() -> Setup:
    x, _ = digits(400, flat=True)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.mse_loss(model(x + 0.3 * tinynet.randn(*x.shape)), target).backward()
        optimizer.step()

    model = mlp(64, 32, 64)
    return looped(_adam({"model": model, "batch": loader(x, x), "loss": F.mse_loss}, 0.003), one)


@healthy
def mixed_up_examples() -> Setup:
    rng = np.random.default_rng(0)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        order, share = rng.permutation(len(x)), float(rng.beta(0.4, 0.4))
        optimizer.zero_grad()
        scores = model(x * share + x[order] * (1 - share))
        loss = F.cross_entropy(scores, target) * share
        (loss + F.cross_entropy(scores, target[order]) * (1 - share)).backward()
        optimizer.step()

    return looped(_adam(on_digits(cnn()), 0.003), one)


@healthy
def a_step_for_every_second_batch() -> Setup:
    calls = [0]

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        (F.cross_entropy(model(x), target) / 2).backward()
        calls[0] += 1
        if calls[0] % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return looped(on_digits(cnn()), one)


@healthy
def step_schedule_and_decay() -> Setup:
    setup = on_digits(cnn(norm=True))
    setup["optimizer"] = optim.SGD(
        setup["model"].parameters(), 0.1, momentum=0.9, weight_decay=5e-4
    )
    schedule = optim.lr_scheduler.StepLR(setup["optimizer"], 30, 0.1)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        schedule.step()

    return looped(setup, one)


@healthy
def squared_errors_of_one_hot_labels() -> Setup:
    x, y = digits(600, flat=True)
    return _adam({"model": mlp(64, 32, 10), "loss": F.mse_loss,
                  "batch": loader(x, np.eye(10, dtype=np.float32)[y])})  # fmt: skip


@healthy
def taught_by_soft_targets() -> Setup:
    x, y = digits(600, flat=True)
    soft = (0.8 * np.eye(10)[y] + 0.02).astype(np.float32)
    return _adam({"model": mlp(64, 32, 10), "batch": loader(x, soft),
                  "loss": lambda s, t: F.kl_div(F.log_softmax(s, 1), t,
                                                reduction="batchmean")})  # fmt: skip


@healthy
def several_margins() -> Setup:
    return _adam(on_rows(mlp(64, 32, 10), loss=nn.MultiMarginLoss()), 0.003)


@healthy
def signals_by_conv1d() -> Setup:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 300)
    time = np.linspace(0, 1, 32)
    x = np.sin(2 * np.pi * (kind[:, None] + 2) * time + rng.uniform(0, 6, (300, 1)))
    x = (x + 0.2 * rng.standard_normal(x.shape))[:, None].astype(np.float32)
    model = nn.Sequential(nn.Conv1d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(),
                          nn.Linear(128, 3))  # fmt: skip
    return _adam({"model": model, "batch": loader(x, kind)})


@healthy
def attention_over_words() -> Setup:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(30, 12)
            self.q, self.k, self.v = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 12)
            self.out = nn.Linear(12, 2)

        def forward(self, x: Any) -> Any:
            h = self.words(x)
            scores = self.q(h) @ self.k(h).transpose(1, 2) / 12**0.5
            return self.out((F.softmax(scores, 2) @ self.v(h)).mean(1))

    words = np.random.default_rng(0).integers(0, 30, (400, 6))
    return _adam({"model": Attention(),
                  "batch": loader(words, ((words < 8).sum(1) > 1).astype(np.int64))})  # fmt: skip


@healthy
def group_norm_and_elu() -> Setup:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ELU(), nn.AdaptiveAvgPool2d(3),
                          nn.Flatten(), nn.Linear(72, 10))  # fmt: skip
    return _adam(on_digits(model))


@healthy
def thirty_rows_alone() -> Setup:
    x, y = line(30)
    return _adam(on_line(mlp(3, 8, 1)) | {"batch": (x, y)})


@healthy
def batches_of_four() -> Setup:
    return _adam(on_digits(cnn()) | {"batch": loader(*digits(), size=4)}, 0.001)


@healthy
def doubles_throughout() -> Setup:
    x, y = line()
    model = mlp(3, 16, 1).double()
    return {"model": model, "batch": (x.astype(np.float64), y.astype(np.float64)),
            "loss": F.mse_loss, "optimizer": sgd(model, 0.01)}  # fmt: skip


@healthy
def cosines_as_scores() -> Setup:
    class Cosine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.centres = mlp(64, 32), nn.Parameter(tinynet.randn(10, 32))

        def forward(self, x: Any) -> Any:
            h = self.body(x)
            return 10 * F.normalize(h, dim=1) @ F.normalize(self.centres, dim=1).transpose(0, 1)

    return _adam(on_rows(Cosine()), 0.003)


@healthy
def a_copy_that_follows_slowly() -> Setup:
    setup = on_digits(cnn())
    slow = {name: value.array.copy() for name, value in setup["model"].named_parameters()}

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        for name, p in model.named_parameters():
            slow[name] += 0.01 * (p.array - slow[name])

    return looped(setup, one)


@healthy
def generous_rmsprop() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.RMSprop(model.parameters(), lr=0.001))


@healthy
def adagrad_of_001() -> Setup:
    model = mlp(4, 16, 3)
    return on_blobs(model, optim.Adagrad(model.parameters(), lr=0.05))


@healthy
def image_of_an_image() -> Setup:
    x, _ = digits(256)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
                          nn.ConvTranspose2d(8, 1, 2, stride=2))  # fmt: skip
    return _adam({"model": model, "batch": loader(x, x), "loss": F.l1_loss})


@healthy
def a_fifth_of_the_labels_wrong() -> Setup:
    x, y = digits(1000)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(1000) < 0.2, rng.integers(0, 10, 1000), y)
    return _adam(on_digits(cnn()) | {"batch": loader(x, y)}, 0.003)


@healthy
def frozen_body_new_head() -> Setup:
    model = cnn()
    for layer in model[:-1]:
        layer.requires_grad_(False)
    return on_digits(model, optim.Adam(model[-1].parameters(), lr=0.02))


@healthy
def one_column_with_a_bent_line() -> Setup:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (200, 1)).astype(np.float32)
    return _regression(x, np.sin(3 * x) + 0.1 * rng.standard_normal(x.shape))


@healthy
def weighted_rare_class() -> Setup:
    x, y = blobs(300, 2)
    keep = (y == 0) | (np.random.default_rng(0).random(300) < 0.4)
    weight = tinynet.tensor([1.0, 2.5])
    return _adam(on_blobs(mlp(4, 16, 2), loss=lambda s, t: F.cross_entropy(s, t, weight=weight)) | {
        "batch": loader(x[keep], y[keep])
    })  # fmt: skip


@healthy
def softplus_for_prices() -> Setup:
    rng, x = _table()
    return _regression(x, np.exp(0.4 * x[:, :1]) + 0.1 * rng.random((300, 1)), F.huber_loss,
                       nn.Softplus())  # fmt: skip


@healthy
def validated_on_the_digits_of_others() -> Setup:
    other = data.load("digits", "test")
    x = np.asarray(other.images, np.float32)
    x = (x - x.mean()) / x.std()
    return on_digits(cnn(norm=True), validate=loader(x, other.labels, 64, shuffle=False))


# ----- a second dozen or two, when the first were mended ------------------------------------------


@mistake(r"weights-all|zero-gradient|no-gradient|does-not-learn|same weights|0")
def embedding_of_zeros_frozen() -> Setup:
    words = np.random.default_rng(0).integers(0, 30, (200, 5))
    model = nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(40, 2))
    nn.init.zeros_(model[0].weight)
    model[0].weight.requires_grad_(False)
    return {"model": model, "batch": loader(words, (words.sum(1) > 72).astype(np.int64)),
            "optimizer": sgd(model[2])}  # fmt: skip


@mistake(r"zero-gradient|does-not-learn|exactly 0")
def features_minus_themselves() -> Setup:
    return on_rows(nn.Sequential(nn.Linear(64, 32), Of(nn.ReLU(), lambda f, h: f(h) - f(h)),
                                 nn.Linear(32, 10)))  # fmt: skip


@mistake(r"class-left-out|weigh|imbalanc|loss-beyond|first-loss|pos_weight|rate")
def a_thousandfold_positive_weight() -> Setup:
    x, y = moons()
    weight = tinynet.tensor([1000.0])
    return on_line(mlp(2, 16, 1), loss=lambda s, t: F.binary_cross_entropy_with_logits(
        s, t, pos_weight=weight)) | {"batch": loader(x, y)}  # fmt: skip


@mistake(r"column-of-another-scale|inputs-not-scaled|outlier")
def one_measurement_of_a_million() -> Setup:
    x, y = line()
    x[17, 1] = 1e6
    return on_line(mlp(3, 16, 1)) | {"batch": loader(x, y)}


@mistake(r"loss-fails.*(one_hot|argmax|label|float|integer)")
def one_hot_labels_as_integers() -> Setup:
    x, y = digits(320, flat=True)
    return on_rows(mlp(64, 32, 10)) | {"batch": loader(x, np.eye(10, dtype=np.int64)[y])}


@mistake(RATE_LOW)
def adadelta_1e_3() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adadelta(model.parameters(), lr=1e-4))


@mistake(r"weight.decay")
def adamw_with_decay_of_100() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.AdamW(model.parameters(), lr=1e-3, weight_decay=100.0))


@mistake(r"step-fails|step-without-gradient")
def backward_of_the_detached_loss() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).detach().backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"gradient-changed")
def rate_applied_twice() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in model.parameters():
            p.grad *= 0.001
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"evaluation-mode")
def eval_for_the_accuracy_and_never_train_again() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        model.eval()
        with tinynet.no_grad():
            model(x)

    return looped(on_digits(cnn(norm=True)), one)


@mistake(r"step-ignores|examples of the batch|first")
def the_first_two_examples_alone() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x[:2]), target[:2]).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"step-does-not-learn|target|gradient")
def targets_of_the_batch_before() -> Setup:
    kept: list[Any] = []

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        before = kept[-1] if kept else target
        kept.append(target)
        optimizer.zero_grad()
        F.cross_entropy(model(x), before).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"step-does-not-learn|overwr|besides")
def noise_on_the_weights() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        for p in model.parameters():
            p.data += 0.5 * tinynet.randn(*p.shape)

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"gradient-changed")
def gradients_turned_round() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in model.parameters():
            p.grad = -p.grad
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"validation.*(class|label)")
def validated_on_classes_never_trained() -> Setup:
    x, y = digits(1437)
    low = y < 5
    return on_digits(cnn(), validate=(x[~low], y[~low])) | {"batch": loader(x[low], y[low])}


@mistake(r"label-among-the-inputs")
def the_target_with_a_little_noise_among_the_columns() -> Setup:
    x, y = line()
    noisy = y + 1e-3 * np.random.default_rng(0).standard_normal(y.shape)
    return on_line(mlp(4, 16, 1)) | {
        "batch": loader(np.concatenate([x, noisy], 1).astype(np.float32), y)
    }


@mistake(r"label-among-the-inputs")
def the_label_in_three_columns() -> Setup:
    x, y = blobs()
    x = np.concatenate([x, np.eye(3, dtype=np.float32)[y]], 1)
    return on_blobs(mlp(7, 16, 3)) | {"batch": loader(x, y)}


@mistake(RATE_LOW + r"|small factor|delta")
def huber_with_a_tiny_delta() -> Setup:
    return on_line(mlp(3, 16, 1), loss=lambda y, t: F.huber_loss(y, t, delta=1e-6))


@mistake(r"without-log|logarithm|sign")
def probability_of_the_label_without_its_log() -> Setup:
    return on_rows(mlp(64, 32, 10),
                   loss=lambda y, t: -(F.softmax(y, 1) * F.one_hot(t, 10).float()).sum(1).mean()
                   )  # fmt: skip


@mistake(r"sign|go against|wrong")
def one_divided_by_the_loss() -> Setup:
    return on_rows(mlp(64, 32, 10), loss=lambda y, t: 1 / F.cross_entropy(y, t))


class _Copied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.head = nn.Parameter(0.1 * tinynet.randn(64, 32)), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.head((x @ tinynet.tensor(self.w.array)).relu())


@mistake(r"no-gradient")
def weights_copied_in_forward() -> Setup:
    return on_rows(_Copied())


class _OtherWhenTrained(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        h = self.a(x)
        return self.b(h.relu() if self.training else -h)


@mistake(r"evaluation-far|evaluation mode")
def another_net_in_evaluation_mode() -> Setup:
    return on_rows(_OtherWhenTrained())


@mistake(r"examples-mixed")
def scaled_by_the_batch_in_forward() -> Setup:
    def scaled(m: nn.Module, x: Any) -> Any:
        return m((x - x.mean(0)) / (x.std(0) + 1e-5))

    return on_rows(Of(mlp(64, 32, 10), scaled))


@mistake(r"validation.*targets(-not-scaled| of another scale)")
def validation_targets_in_other_units() -> Setup:
    x, y = line(400)
    return on_line(mlp(3, 16, 1), validate=(x[200:], 100 * y[200:])) | {
        "batch": loader(x[:200], y[:200])
    }


@healthy
def positive_weight_of_3() -> Setup:
    x, y = moons()
    weight = tinynet.tensor([3.0])
    return _adam(on_line(mlp(2, 16, 1), loss=lambda s, t: F.binary_cross_entropy_with_logits(
        s, t, pos_weight=weight)) | {"batch": loader(x, y)})  # fmt: skip


@healthy
def adadelta_of_1() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.Adadelta(model.parameters(), lr=1.0))


@healthy
def validated_in_the_order_of_classes() -> Setup:
    x, y = digits(1437)
    order = np.argsort(y[1000:], kind="stable") + 1000
    return on_digits(cnn(), validate=loader(x[order], y[order], shuffle=False)) | {
        "batch": loader(x[:1000], y[:1000])
    }


class _Waves(nn.Module):
    def forward(self, x: Any) -> Any:
        return (3 * x).sin()


@healthy
def activations_of_sine() -> Setup:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 2)).astype(np.float32)
    y = np.sin(4 * x[:, :1]) * np.cos(3 * x[:, 1:])
    model = nn.Sequential(nn.Linear(2, 32), _Waves(), nn.Linear(32, 32), _Waves(),
                          nn.Linear(32, 1))  # fmt: skip
    return _adam({"model": model, "batch": loader(x, y), "loss": F.mse_loss}, 0.003)


@healthy
def gated_units() -> Setup:
    model = nn.Sequential(nn.Linear(64, 64), nn.GLU(), nn.Linear(32, 10))
    return _adam(on_rows(model), 0.003)


@healthy
def relu6_for_ratings() -> Setup:
    rng, x = _table()
    y = (3 + x[:, :1] + 0.3 * rng.standard_normal((300, 1))).clip(0, 5)
    return _regression(x, y, F.mse_loss, nn.ReLU6())


@healthy
def gradients_with_a_little_noise() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in model.parameters():
            p.grad += 0.001 * tinynet.randn(*p.shape)
        optimizer.step()

    return looped(on_digits(cnn()), one)


@healthy
def focal_loss() -> Setup:
    def loss(s: Any, t: Any) -> Any:
        p = F.softmax(s, 1)
        own = (p * F.one_hot(t, 10).float()).sum(1)
        return -((1 - own) ** 2 * own.log()).mean()

    return _adam(on_digits(cnn(), loss=loss), 0.003)


@healthy
def hardtanh_and_layer_norm() -> Setup:
    model = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.Hardtanh(), nn.Linear(32, 10))
    return _adam(on_rows(model), 0.003)


@healthy
def cubes_through_softsign() -> Setup:
    rng, x = _table()
    model = mlp(5, 24, 1, act=nn.Softsign)
    y = (x[:, :1] ** 3 / 3 + 0.1 * rng.standard_normal((300, 1))).astype(np.float32)
    return _adam({"model": model, "batch": loader(x, y), "loss": F.mse_loss})


@healthy
def activations_in_place() -> Setup:
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(inplace=True), nn.Linear(32, 32),
                          nn.ReLU(inplace=True), nn.Linear(32, 10))  # fmt: skip
    return _adam(on_rows(model), 0.003)


@healthy
def a_step_that_hands_over_a_closure() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), target)
            loss.backward()
            return loss

        optimizer.step(closure)

    return looped(on_rows(mlp(64, 32, 10)), one)


@healthy
def an_optimizer_for_each_half() -> Setup:
    model = mlp(64, 32, 10)
    body, head = optim.SGD(model[0].parameters(), lr=0.1), optim.SGD(model[2].parameters(), lr=0.05)

    def step(x: Any, target: Any) -> None:
        model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        body.step()
        head.step()

    return on_rows(model, body, step=step)


@healthy
def a_step_for_every_fourth_batch() -> Setup:
    calls = [0]

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        (F.cross_entropy(model(x), target) / 4).backward()
        calls[0] += 1
        if calls[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()

    return looped(on_digits(cnn()), one)


# ----- a third lot, when the second was mended ----------------------------------------------------


def _words(
    count: int = 300, vocabulary: int = 40, length: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    words = np.random.default_rng(4).integers(1, vocabulary, (count, length))
    return words, ((words < 9).sum(1) > 1).astype(np.int64)


def _bag(vocabulary: int = 40, outputs: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Embedding(vocabulary, 8), nn.Flatten(), nn.Linear(48, 24), nn.ReLU(),
                         nn.Linear(24, outputs))  # fmt: skip


@mistake(r"Embedding|dtype|integer|takes")
def words_as_floats() -> Setup:
    x, y = _words()
    return _adam({"model": _bag(), "batch": (x.astype(np.float32), y)})


@mistake(r"not-registered|ModuleDict|nn\.Parameter|Sequential")
def layers_in_a_closure() -> Setup:
    hidden = nn.Linear(64, 32)
    return on_rows(Of(nn.Linear(32, 10), lambda m, x: m(hidden(x).relu())))


@mistake(r"no-gradient|zero-gradient|detach|not used")
def a_gate_that_is_compared() -> Setup:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.value, self.out = (
                nn.Linear(64, 32),
                nn.Linear(64, 32),
                nn.Linear(32, 10),
            )

        def forward(self, x: Any) -> Any:
            return self.out(self.value(x) * (self.gate(x) > 0).float())

    return on_rows(Gated())


@mistake(r"examples-mixed|batch")
def attention_over_the_batch() -> Setup:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = nn.Linear(64, 16), nn.Linear(64, 16), nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            scores = self.q(x) @ self.k(x).transpose(0, 1) / 4
            return F.softmax(scores, 1) @ self.v(x)

    return on_rows(Attention())


@mistake(r"satur|vanish|scal|softmax")
def attention_scores_multiplied_by_1000() -> Setup:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(8, 16)
            self.q, self.k, self.out = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 10)

        def forward(self, x: Any) -> Any:
            h = self.read(x[:, 0])
            weights = F.softmax(1000 * self.q(h) @ self.k(h).transpose(1, 2), 2)
            return self.out((weights @ h).mean(1).tanh())

    return _adam(on_digits(Attention()))


@mistake(r"targets-out-of-reach|reach")
def counts_from_a_sigmoid() -> Setup:
    rng, x = _table()
    return _regression(x, rng.poisson(np.exp(1 + 0.3 * x[:, :1])), F.mse_loss, nn.Sigmoid())


@mistake(r"targets-not-scaled|scale")
def one_target_of_three_in_thousands() -> Setup:
    rng, x = _table()
    y = x[:, :3] * np.array([1.0, 1.0, 5000.0]) + 0.1 * rng.standard_normal((300, 3))
    return _regression(x, y, outputs=3)


@mistake(r"inputs-duplicated|same")
def the_same_batch_again_and_again() -> Setup:
    x, y = digits(32)
    return on_digits(cnn()) | {"batch": [(x, y)] * 8}


@mistake(r"unrelated|belong")
def targets_sorted_by_themselves() -> Setup:
    x, y = line(300)
    return on_line(mlp(3, 16, 1)) | {"batch": loader(x, np.sort(y, 0))}


@mistake(r"not-finite|NaN|inf")
def logarithm_of_zero_counts() -> Setup:
    rng, x = _table()
    with np.errstate(divide="ignore"):
        y = np.log(rng.poisson(1.0, (300, 1)))
    return _regression(x, y)


@mistake(RATE_HIGH)
def rmsprop_3() -> Setup:
    model = cnn()
    return on_digits(model, optim.RMSprop(model.parameters(), lr=3.0))


@mistake(RATE_LOW)
def adam_1e_6_on_words() -> Setup:
    x, y = _words()
    model = _bag()
    return {"model": model, "batch": loader(x, y),
            "optimizer": optim.Adam(model.parameters(), lr=1e-6)}  # fmt: skip


@mistake(r"forgotten-zero-grad|zero_grad")
def zero_grad_of_a_list_that_was_used_up() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    parameters = setup["model"].parameters()

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        for p in parameters:  # a generator, empty from the second step on
            p.grad = None
        F.cross_entropy(model(x), target).backward()
        optimizer.step()

    return looped(setup, one)


@mistake(r"step-without-gradient|no-gradient|step-misses|step-does-not|requires")
def frozen_in_the_step() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        features = model[0](x).detach()
        F.cross_entropy(model[2](features.relu()), target).backward()
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"gradient-changed|clip")
def clipped_before_backward() -> Setup:
    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        for p in model.parameters():
            p.grad.clamp_(-1e-7, 1e-7)
        optimizer.step()

    return looped(on_rows(mlp(64, 32, 10)), one)


@mistake(r"too-few-outputs|outputs")
def nine_outputs_for_ten_digits() -> Setup:
    return on_digits(cnn(classes=9))


@healthy
def words_in_a_bag() -> Setup:
    x, y = _words()
    return _adam({"model": _bag(), "batch": loader(x, y)})


@healthy
def next_word_of_a_chain() -> Setup:
    rng = np.random.default_rng(0)
    chain = [0]
    for _ in range(2000):
        chain.append((3 * chain[-1] + int(rng.integers(0, 3))) % 20)
    chain_ = np.array(chain)
    x = np.stack([chain_[i : i + 4] for i in range(1500)])
    model = nn.Sequential(nn.Embedding(20, 8), nn.Flatten(), nn.Linear(32, 32), nn.Tanh(),
                          nn.Linear(32, 20))  # fmt: skip
    return _adam({"model": model, "batch": loader(x, chain_[4:1504])})


@healthy
def every_pixel_a_class() -> Setup:
    x, _ = digits(300)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    return _adam({"model": model, "batch": loader(x, (x[:, 0] > 0.5).astype(np.int64))})


@healthy
def dense_connections() -> Setup:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(64, 16), nn.Linear(80, 16), nn.Linear(96, 10)

        def forward(self, x: Any) -> Any:
            x = tinynet.cat([x, self.a(x).relu()], 1)
            return self.c(tinynet.cat([x, self.b(x).relu()], 1))

    return _adam(on_rows(Dense()), 0.003)


@healthy
def squeeze_and_excite() -> Setup:
    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate, self.out = nn.Conv2d(1, 8, 3), mlp(8, 4, 8), nn.Linear(288, 10)

        def forward(self, x: Any) -> Any:
            h = self.conv(x).relu()
            share = F.sigmoid(self.gate(h.mean((2, 3))))
            return self.out((h * share[:, :, None, None]).flatten(1))

    return _adam(on_digits(Excited()), 0.003)


@healthy
def mixture_of_two_experts() -> Setup:
    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.choose, self.a, self.b = nn.Linear(5, 2), mlp(5, 12, 1), mlp(5, 12, 1)

        def forward(self, x: Any) -> Any:
            share = F.softmax(self.choose(x), 1)
            return share[:, :1] * self.a(x) + share[:, 1:] * self.b(x)

    _, x = _table()
    return _adam({"model": Mixture(), "batch": loader(x, np.abs(x[:, :1]) + x[:, 1:2]),
                  "loss": F.mse_loss})  # fmt: skip


@healthy
def three_targets_at_once() -> Setup:
    rng, x = _table()
    return _regression(x, np.tanh(x[:, :3]) + 0.1 * rng.standard_normal((300, 3)), outputs=3)


@healthy
def an_hour_of_a_sine() -> Setup:
    wave = np.sin(np.arange(800) / 9) + 0.1 * np.random.default_rng(0).standard_normal(800)
    x = np.stack([wave[i : i + 12] for i in range(700)]).astype(np.float32)
    y = wave[12:712, None].astype(np.float32)
    return _adam({"model": mlp(12, 24, 1), "batch": loader(x, y), "loss": F.mse_loss})


@healthy
def student_of_a_teacher() -> Setup:
    x, _ = digits(500, flat=True)
    teacher = mlp(64, 32, 10)
    soft = F.softmax(2 * teacher(tinynet.tensor(x)), 1).detach().numpy()
    return _adam(
        {"model": mlp(64, 16, 10), "batch": loader(x, soft), "loss": F.cross_entropy}, 0.003
    )


@healthy
def cosine_loss_of_reconstructions() -> Setup:
    x, _ = digits(300, flat=True)
    return _adam({"model": mlp(64, 16, 64), "batch": loader(x, x),
                  "loss": lambda y, t: 1 - F.cosine_similarity(y, t).mean()}, 0.003)  # fmt: skip


@healthy
def max_pool_to_one_pixel() -> Setup:
    model = nn.Sequential(nn.Conv2d(1, 24, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
                          nn.Linear(24, 10))  # fmt: skip
    return _adam(on_digits(model))


@healthy
def a_trained_model_goes_on() -> Setup:
    x, y = digits(600)
    setup = _adam(on_digits(cnn()) | {"batch": loader(x, y)}, 0.003)
    model, optimizer = setup["model"], setup["optimizer"]
    for _ in range(4):
        for a, b in setup["batch"]:
            optimizer.zero_grad()
            F.cross_entropy(model(a), b).backward()
            optimizer.step()
    return setup


@healthy
def large_errors_clipped_for_adam() -> Setup:
    x, y = line()

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        ((model(x) - target) ** 2).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    setup = on_line(mlp(3, 16, 1), loss=lambda s, t: ((s - t) ** 2).sum()) | {
        "batch": loader(x, 9 * y)
    }
    return looped(_adam(setup, 0.03), one)


@healthy
def a_rare_class_that_is_weighed() -> Setup:
    _, x = _table(count=400)
    weight = tinynet.tensor([0.5, 10.0])
    return _adam({"model": mlp(5, 16, 2), "batch": loader(x, (x[:, 0] > 1.6).astype(np.int64)),
                  "loss": lambda s, t: F.cross_entropy(s, t, weight=weight)})  # fmt: skip


# ----- of a stranger's examination ----------------------------------------------------------------


@mistake(r"wrong.sign")
def focal_loss_of_p_in_place_of_1_minus_p() -> Setup:
    def focal(s: Any, t: Any) -> Any:
        loss = F.cross_entropy(s, t, reduction="none")
        return ((-loss).exp() ** 2 * loss).mean()

    return _adam(on_rows(mlp(64, 64, 10)) | {"loss": focal}, 0.003)


@mistake(r"axes-mixed|transpose")
def scores_reshaped_where_they_should_be_transposed() -> Setup:
    x = np.random.default_rng(0).integers(0, 20, (400, 12))
    model = nn.Sequential(nn.Embedding(20, 32), nn.ReLU(), nn.Linear(32, 5))
    return _adam({"model": model, "batch": loader(x, x % 5),
                  "loss": lambda s, t: F.cross_entropy(s.reshape(len(s), 5, 12), t)})  # fmt: skip


@mistake(r"eps")
def adam_with_eps_of_1() -> Setup:
    setup = on_rows(mlp(64, 64, 10))
    model = setup["model"]
    return setup | {"optimizer": optim.Adam(model.parameters(), lr=1e-3, eps=1.0)}


@mistake(r"activation-before|come out of tanh")
def tanh_before_the_loss_of_logits() -> Setup:
    x, y = digits(500, flat=True)
    model = nn.Sequential(*mlp(64, 32, 1), nn.Tanh())
    return _adam({"model": model, "batch": loader(x, (y > 4).astype(np.float32)[:, None]),
                  "loss": F.binary_cross_entropy_with_logits})  # fmt: skip


@mistake(r"class-left-out")
def one_of_two_classes_of_pixels_ignored() -> Setup:
    x = np.random.default_rng(0).standard_normal((200, 1, 16, 16)).astype(np.float32)
    return _adam({"model": nn.Conv2d(1, 2, 3, padding=1), "batch": loader(x, (x[:, 0] > 1) * 1),
                  "loss": nn.CrossEntropyLoss(ignore_index=0)})  # fmt: skip


@mistake(r"examples-left-out")
def loss_of_the_first_eight_examples() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    return _adam(setup | {"loss": lambda s, t: F.cross_entropy(s[:8], t[:8])}, 0.003)


@mistake(r"forgotten-zero-grad")
def two_optimizers_of_which_one_is_never_zeroed() -> Setup:
    x, _ = digits(500, flat=True)
    model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 64))
    first, last = (optim.Adam(model[i].parameters(), lr=0.003) for i in (0, 2))

    def step(x: Any, target: Any) -> None:
        last.zero_grad()
        F.mse_loss(model(x), target).backward()
        first.step()
        last.step()

    return {"model": model, "batch": loader(x, x), "loss": F.mse_loss, "optimizer": last,
            "step": step}  # fmt: skip


@mistake(r"too-few-outputs|out.of.range")
def a_label_too_large_late_in_a_list_of_pairs() -> Setup:
    x, y = digits(600, flat=True)
    y[500] = 10
    pairs = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 600, 32)]
    return _adam({"model": mlp(64, 32, 10), "batch": pairs}, 0.003)


@mistake(r"loss-beyond-its-part")
def entropy_that_counts_for_more_than_the_labels() -> Setup:
    def loss(s: Any, t: Any) -> Any:
        return F.cross_entropy(s, t) + 5 * (F.softmax(s, 1) * F.log_softmax(s, 1)).sum(1).mean()

    return _adam(on_rows(mlp(64, 64, 10)) | {"loss": loss}, 0.003)


@healthy
def one_cycle_of_three_epochs() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    schedule = optim.lr_scheduler.OneCycleLR(setup["optimizer"], max_lr=0.1, total_steps=54)

    def one(model: Any, optimizer: Any, x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
        schedule.step()

    return looped(setup, one)


class _Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.digit, self.odd = nn.Linear(64, 32), nn.Linear(32, 10), nn.Linear(32, 1)

    def forward(self, x: Any) -> Any:
        h = F.relu(self.body(x))
        return self.digit(h), self.odd(h)


@healthy
def two_heads_as_a_tuple() -> Setup:
    def loss(made: Any, t: Any) -> Any:
        odd = F.binary_cross_entropy_with_logits(made[1][:, 0], (t % 2).float())
        return F.cross_entropy(made[0], t) + 0.3 * odd

    return _adam(on_rows(_Heads()) | {"loss": loss}, 0.003)


@healthy
def border_pixels_ignored_by_255() -> Setup:
    x = np.random.default_rng(0).standard_normal((200, 1, 16, 16)).astype(np.float32)
    target = (x[:, 0] > 0).astype(np.int64)
    target[:, :2] = 255
    return _adam({"model": nn.Conv2d(1, 2, 3, padding=1), "batch": loader(x, target),
                  "loss": nn.CrossEntropyLoss(ignore_index=255)})  # fmt: skip


@healthy
def embeddings_of_fewer_numbers_than_classes() -> Setup:
    def apart(e: Any, t: Any) -> Any:
        distance = ((e[:, None] - e[None]) ** 2).sum(2)
        same = (t[:, None] == t[None]).float()
        return (same * distance + (1 - same) * F.relu(1 - distance)).mean()

    return _adam(on_rows(mlp(64, 64, 8)) | {"loss": apart}, 0.003)


@healthy
def minus_the_cosine_of_reconstructions() -> Setup:
    x, _ = digits(300, flat=True)
    setup = {"model": mlp(64, 32, 64), "batch": loader(x, x)}
    return _adam(setup | {"loss": lambda y, t: -F.cosine_similarity(y, t, dim=1).mean()}, 0.003)


class _LowRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(64, 64).requires_grad_(False)
        self.down, self.up = nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)
        self.head = nn.Linear(64, 10)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Any) -> Any:
        return self.head(F.relu(self.frozen(x) + self.up(self.down(x))))


@healthy
def frozen_weights_and_an_addition_of_low_rank() -> Setup:
    model = _LowRank()
    wanted = [p for p in model.parameters() if p.requires_grad]
    return on_rows(model, optim.Adam(wanted, lr=0.003))


@healthy
def four_columns_of_three_categories() -> Setup:
    x = np.random.default_rng(0).integers(-1, 2, (500, 4))
    batch = loader(x.astype(np.float32), (x.sum(1) > 0).astype(np.int64))
    return _adam({"model": mlp(4, 16, 2), "batch": batch})
