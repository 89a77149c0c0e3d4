"""Trainings for the doctor: mistakes as learners make them, and set-ups in which nothing is wrong.

A row is a function that gives what `tinynet.doctor` takes: `model` and `batch`, and if need be
`loss`, `optimizer`, `step` and `validate`. A mistake's row has a pattern too: what a report must
say to have named it. `tests.long.doctor_mistakes` counts what is found.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet
from tinynet import data, nn, optim
from tinynet.nn import functional as F

Setup = dict[str, Any]
MISTAKES: list[tuple[str, str, Callable[[], Setup]]] = []
HEALTHY: list[tuple[str, Callable[[], Setup]]] = []


def mistake(words: str) -> Callable[[Callable[[], Setup]], Callable[[], Setup]]:
    """A row of MISTAKES; words: a pattern, one of whose matches names the mistake."""

    def add(make: Callable[[], Setup]) -> Callable[[], Setup]:
        MISTAKES.append((make.__name__, words, make))
        return make

    return add


def healthy(make: Callable[[], Setup]) -> Callable[[], Setup]:
    """A row of HEALTHY."""
    HEALTHY.append((make.__name__, make))
    return make


# ----- data ---------------------------------------------------------------------------------------


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    train = data.load("digits", "train")
    x = train.images.astype(np.float32) / train.images.max()
    return (x - x.mean()) / x.std(), train.labels.astype(np.int64)


def digits(count: int = 1437, flat: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 8, 8), or rows (N, 64), with mean 0 and standard deviation 1, and labels."""
    x, y = _digits()
    x, y = x[:count].copy(), y[:count].copy()
    return (x.reshape(len(x), -1) if flat else x), y


def blobs(count: int = 240, classes: int = 3, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Clouds of points around a centre for each class."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, classes, count)
    x = 2 * rng.standard_normal((classes, features))[y] + rng.standard_normal((count, features))
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y


def line(count: int = 200, features: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A regression: y (N, 1) is a sum of the features, bent, with noise."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((count, features)).astype(np.float32)
    y = x @ np.array([1.0, -0.5, 0.3][:features]) + 0.3 * x[:, 0] ** 2
    y = y + 0.1 * rng.standard_normal(count)
    return x, y[:, None].astype(np.float32)


def moons(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles; labels (N, 1) of 0 and 1 as floats."""
    rng = np.random.default_rng(3)
    angle, side = rng.uniform(0, np.pi, count), rng.integers(0, 2, count)
    x = np.stack([np.cos(angle) + side, np.sin(angle) * (1 - 2 * side)], 1)
    x = x - x.mean(0) + 0.1 * rng.standard_normal((count, 2))
    return x.astype(np.float32), side[:, None].astype(np.float32)


def loader(x: np.ndarray, y: np.ndarray, size: int = 32, shuffle: bool = True) -> Any:
    return data.DataLoader(data.ArrayDataset(x, y), size, shuffle=shuffle, seed=0)


# ----- models -------------------------------------------------------------------------------------


def mlp(*sizes: int, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])


def cnn(*last: nn.Module, norm: bool = False, classes: int = 10) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), *([nn.BatchNorm2d(8)] if norm else []), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, classes), *last,
    )  # fmt: skip


def sgd(model: nn.Module, lr: float = 0.05, momentum: float = 0.9, **more: Any) -> optim.SGD:
    return optim.SGD(model.parameters(), lr=lr, momentum=momentum, **more)


def on_digits(model: nn.Module, optimizer: Any = None, **more: Any) -> Setup:
    """A convolutional net on digits."""
    return {"model": model, "batch": loader(*digits()), "optimizer": optimizer or sgd(model),
            **more}  # fmt: skip


def on_rows(model: nn.Module, optimizer: Any = None, **more: Any) -> Setup:
    """An MLP on flattened digits."""
    return {"model": model, "batch": loader(*digits(flat=True)),
            "optimizer": optimizer or sgd(model), **more}  # fmt: skip


def on_blobs(model: nn.Module, optimizer: Any = None, **more: Any) -> Setup:
    return {"model": model, "batch": loader(*blobs()), "optimizer": optimizer or sgd(model),
            **more}  # fmt: skip


def on_line(model: nn.Module, optimizer: Any = None, **more: Any) -> Setup:
    return {"model": model, "batch": loader(*line()), "optimizer": optimizer or sgd(model, 0.01),
            "loss": F.mse_loss, **more}  # fmt: skip


def stepping(order: str, setup: Setup) -> Setup:
    """A step of one's own: f forward, z zero_grad, b backward, s step."""
    model, optimizer, loss_of = setup["model"], setup["optimizer"], setup.get("loss")

    def step(x: Any, target: Any) -> None:
        loss = None
        for letter in order:
            if letter == "f":
                loss = (loss_of or F.cross_entropy)(model(x), target)
            elif letter == "z":
                optimizer.zero_grad()
            elif letter == "b":
                loss.backward(retain_graph=True)
            elif letter == "s":
                optimizer.step()

    return {**setup, "step": step}


RATE_HIGH = r"learning-rate-too-high|learning rate.*(too high|smaller)"
RATE_LOW = r"learning-rate-too-low|learning rate.*(too low|larger)"

# ----- mistakes: the recipe -----------------------------------------------------------------------


def _recipe(name: str, words: str, model: Callable[[], nn.Module], optimizer: Any, on: Any) -> None:
    def make() -> Setup:
        built = model()
        return on(built, optimizer(built.parameters()))

    make.__name__ = name
    mistake(words)(make)


def _mlp64() -> nn.Module:
    return mlp(64, 32, 10)


for _name, _words, _model, _optimizer, _on in [
    ("sgd_1e_8", RATE_LOW, cnn, lambda p: optim.SGD(p, lr=1e-8), on_digits),
    ("sgd_1e_6_momentum", RATE_LOW, _mlp64, lambda p: optim.SGD(p, lr=1e-6, momentum=0.9), on_rows),
    ("adam_1e_9", RATE_LOW, cnn, lambda p: optim.Adam(p, lr=1e-9), on_digits),
    ("adam_1e_7", RATE_LOW, _mlp64, lambda p: optim.Adam(p, lr=1e-7), on_rows),
    ("adam_1", RATE_HIGH, cnn, lambda p: optim.Adam(p, lr=1.0), on_digits),
    ("adam_3", RATE_HIGH, _mlp64, lambda p: optim.Adam(p, lr=3.0), on_rows),
    ("adam_03", RATE_HIGH, cnn, lambda p: optim.Adam(p, lr=0.3), on_digits),
    ("sgd_2", RATE_HIGH, cnn, lambda p: optim.SGD(p, lr=2.0), on_digits),
    ("sgd_5", RATE_HIGH, _mlp64, lambda p: optim.SGD(p, lr=5.0), on_rows),
    ("sgd_10", RATE_HIGH, cnn, lambda p: optim.SGD(p, lr=10.0), on_digits),
    ("sgd_05_momentum_099", RATE_HIGH, cnn, lambda p: optim.SGD(p, lr=0.5, momentum=0.99),
     on_digits),
    ("rmsprop_1", RATE_HIGH, _mlp64, lambda p: optim.RMSprop(p, lr=1.0), on_rows),
    ("sgd_100_blobs", RATE_HIGH, lambda: mlp(4, 16, 3), lambda p: optim.SGD(p, lr=100.0), on_blobs),
    ("regression_1", RATE_HIGH, lambda: mlp(3, 16, 1), lambda p: optim.SGD(p, lr=1.0, momentum=0.9),
     on_line),
    ("decay_1", r"weight.decay", cnn, lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1),
     on_digits),
    ("decay_05_mlp", r"weight.decay", _mlp64,
     lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.5), on_rows),
    ("adamw_decay_10", r"weight.decay", _mlp64,
     lambda p: optim.AdamW(p, lr=0.01, weight_decay=10.0), on_rows),
    ("maximize", r"maximize|sign", cnn,
     lambda p: optim.SGD(p, lr=0.05, momentum=0.9, maximize=True), on_digits),
]:  # fmt: skip
    _recipe(_name, _words, _model, _optimizer, _on)


# ----- mistakes: the model ------------------------------------------------------------------------


@mistake(r"vanish")
def ten_sigmoids() -> Setup:
    return on_rows(mlp(64, *[32] * 10, 10, act=nn.Sigmoid))


@mistake(r"vanish|initial|small weights|weights.*small")
def weights_of_1e_4() -> Setup:
    model = mlp(64, 32, 32, 32, 10)
    for p in model.parameters():
        p.array *= 1e-3
    return on_rows(model)


@mistake(r"initial|first.loss|large")
def weights_of_std_5() -> Setup:
    model = mlp(64, 32, 10)
    for layer in (model[0], model[2]):
        nn.init.normal_(layer.weight, 0.0, 5.0)
    return on_rows(model)


@mistake(r"same weights, 0,")
def all_zero_weights() -> Setup:
    model = mlp(64, 32, 10)
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.weight)
    return on_rows(model)


@mistake(r"equal|same|symmetr")
def constant_weights() -> Setup:
    model = mlp(64, 32, 10)
    for layer in (model[0], model[2]):
        nn.init.constant_(layer.weight, 0.1)
    return on_rows(model)


@mistake(r"axis|dim=|over the batch")
def softmax_over_the_batch() -> Setup:
    model = cnn(nn.LogSoftmax(0))
    return on_digits(model, loss=F.nll_loss)


@mistake(r"axis|dim=|over the batch")
def softmax_dim_0_before_cross_entropy() -> Setup:
    return on_digits(cnn(nn.Softmax(0)))


@mistake(r"softmax")
def softmax_before_cross_entropy() -> Setup:
    return on_digits(cnn(nn.Softmax(1)))


@mistake(r"log.?softmax|log-probab")
def nll_of_scores() -> Setup:
    return on_digits(cnn(), loss=F.nll_loss)


@mistake(r"linear.*(between|nonlinear|activation)|no activation|nothing")
def no_activation() -> Setup:
    return on_rows(nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)))


@mistake(r"nonlinear|no activation|nothing")
def convolutions_without_activation() -> Setup:
    return on_digits(
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 10))
    )


@mistake(r"dropout")
def dropout_099() -> Setup:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.99), nn.Linear(64, 10))
    return on_rows(model)


@mistake(r"dropout")
def dropout_on_the_scores() -> Setup:
    return on_digits(cnn(nn.Dropout(0.5)))


@mistake(r"one unit|1 unit|single unit|bottleneck")
def layer_of_one_unit() -> Setup:
    return on_rows(mlp(64, 32, 1, 10))


@mistake(r"relu")
def relu_on_the_scores() -> Setup:
    return on_digits(cnn(nn.ReLU()))


@mistake(r"sigmoid")
def sigmoid_before_logits_loss() -> Setup:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
    return {"model": model, "batch": loader(*moons()), "optimizer": sgd(model),
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@mistake(r"sigmoid|tanh|reach|range")
def sigmoid_for_a_regression_beyond_1() -> Setup:
    x, y = line()
    model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
    return {"model": model, "batch": loader(x, 3 * y), "optimizer": sgd(model),
            "loss": F.mse_loss}  # fmt: skip


@mistake(r"evaluation|model\.train")
def evaluation_mode() -> Setup:
    model = cnn(norm=True)
    return on_digits(model.eval())


@mistake(r"not in|regist|ModuleList|model\.parameters")
def layers_in_a_dict() -> Setup:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = {"a": nn.Linear(64, 32), "b": nn.Linear(32, 32)}
            self.out = nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            for layer in self.hidden.values():
                x = F.relu(layer(x))
            return self.out(x)

    return on_rows(Net())


@mistake(r"detach")
def detached_features() -> Setup:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(64, 32), nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            return self.head(F.relu(self.body(x)).detach())

    return on_rows(Net())


@mistake(r"batch of 1|1 example|batch-of-1")
def batch_norm_with_batches_of_one() -> Setup:
    model = cnn(norm=True)
    return {"model": model, "batch": loader(*digits(), size=1), "optimizer": sgd(model)}


@mistake(r"dead|relu")
def dead_relus() -> Setup:
    model = mlp(64, 32, 10)
    model[0].bias.array -= 50
    return on_rows(model)


# ----- mistakes: the loss -------------------------------------------------------------------------


@mistake(r"broadcast")
def mse_of_a_column_and_a_row() -> Setup:
    x, y = line()
    model = mlp(3, 16, 1)
    return {"model": model, "batch": loader(x, y[:, 0]), "optimizer": sgd(model, 0.01),
            "loss": lambda p, t: ((p - t) ** 2).mean()}  # fmt: skip


@mistake(r"sum")
def summed_loss() -> Setup:
    model = cnn()
    return on_digits(model, loss=lambda p, t: F.cross_entropy(p, t, reduction="sum"))


@mistake(r"sign|negative|below 0")
def negated_loss() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: -F.cross_entropy(p, t))


@mistake(r"depends on no|detach")
def accuracy_as_the_loss() -> Setup:
    return on_digits(
        cnn(), loss=lambda p, t: 1 - tinynet.tensor((p.array.argmax(1) == t.array).mean())
    )


@mistake(r"mean|single number")
def loss_of_each_example() -> Setup:
    return on_digits(cnn(), loss=lambda p, t: F.cross_entropy(p, t, reduction="none"))


# ----- mistakes: the data -------------------------------------------------------------------------


@mistake(r"255|scal")
def bytes_not_divided() -> Setup:
    x, y = digits()
    x = ((x - x.min()) * 60).astype(np.float32)
    model = cnn()
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"sorted|shuffle|order")
def labels_sorted() -> Setup:
    x, y = digits()
    order = np.argsort(y, kind="stable")
    model = cnn()
    return {"model": model, "batch": loader(x[order], y[order], shuffle=False),
            "optimizer": sgd(model)}  # fmt: skip


@mistake(r"one-class|all \d+ labels|only one class")
def labels_of_one_class() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader(x, np.full_like(y, 3)), "optimizer": sgd(model)}


@mistake(r"imbalance|rare|unbalanced")
def imbalance() -> Setup:
    x, y = blobs(600, 2)
    keep = np.flatnonzero((y == 0) | (np.arange(600) % 25 == 0))
    model = mlp(4, 16, 2)
    return {"model": model, "batch": loader(x[keep], y[keep]), "optimizer": sgd(model)}


@mistake(r"constant")
def constant_column() -> Setup:
    x, y = blobs()
    x[:, 2] = 1.5
    model = mlp(4, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"column 1|column.*scale")
def column_of_another_scale() -> Setup:
    x, y = blobs()
    x[:, 1] = 3000 + 800 * x[:, 1]
    model = mlp(4, 16, 3)
    return {"model": model, "batch": loader(x, y), "optimizer": sgd(model)}


@mistake(r"target")
def targets_not_scaled() -> Setup:
    x, y = line()
    model = mlp(3, 16, 1)
    return {"model": model, "batch": loader(x, 250_000 + 90_000 * y), "optimizer": sgd(model),
            "loss": F.mse_loss}  # fmt: skip


@mistake(r"validat|share|both")
def validated_on_the_training_data() -> Setup:
    model = cnn()
    return on_digits(model, validate=loader(*digits()))


@mistake(r"belong|shuffled")
def labels_of_other_images() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader(x, np.random.default_rng(0).permutation(y)),
            "optimizer": sgd(model)}  # fmt: skip


@mistake(r"from 1|target - 1")
def labels_from_one() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader(x, y + 1), "optimizer": sgd(model)}


@mistake(r"outputs")
def too_few_outputs() -> Setup:
    return on_digits(cnn(classes=9))


@mistake(r"NaN|nan")
def a_missing_value() -> Setup:
    x, y = blobs()
    x[7, 2] = np.nan
    model = mlp(4, 16, 3)
    return {"model": model, "batch": (x, y), "optimizer": sgd(model)}


@mistake(r"constant|same number")
def images_all_zero() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": loader((x * 0).astype(np.float32), y),
            "optimizer": sgd(model)}  # fmt: skip


@mistake(r"differ|again|duplicat")
def one_image_again_and_again() -> Setup:
    x, y = digits()
    model = cnn()
    return {"model": model, "batch": (x[[5] * 32], y[[5] * 32]), "optimizer": sgd(model)}


@mistake(r"permute|\(N, C")
def channels_last() -> Setup:
    x = np.random.default_rng(0).standard_normal((32, 16, 16, 3)).astype(np.float32)
    y = np.arange(32) % 4
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 4))
    return {"model": model, "batch": (x, y), "optimizer": sgd(model)}


# ----- mistakes: the loop -------------------------------------------------------------------------


def _loop(name: str, words: str, order: str) -> None:
    def make() -> Setup:
        return stepping(order, on_digits(cnn()))

    make.__name__ = name
    mistake(words)(make)


for _name, _words, _order in [
    ("no_zero_grad", "zero_grad", "fbs"),
    ("no_step", r"optimizer\.step", "zfb"),
    ("no_backward", r"backward", "zfs"),
    ("zero_grad_before_step", "zero_grad", "fbzs"),
    ("step_before_backward", r"backward", "zfsb"),
    ("backward_twice", r"backward.*twice|twice", "zfbbs"),
]:
    _loop(_name, _words, _order)


@mistake(r"not in the optimizer")
def optimizer_of_the_head_alone() -> Setup:
    model = cnn()
    return on_digits(model, sgd(model[7]))


@mistake(r"belongs to this model|after the model")
def optimizer_of_another_model() -> Setup:
    return on_digits(cnn(), sgd(cnn()))


@mistake(r"learning rate is 0|rate.*0")
def rate_zero() -> Setup:
    model = cnn()
    return on_digits(model, optim.SGD(model.parameters(), lr=0))


@mistake(r"requires? (a )?grad|requires_grad")
def all_frozen() -> Setup:
    model = cnn()
    optimizer = sgd(model)
    model.requires_grad_(False)
    return on_digits(model, optimizer)


@mistake(r"clip")
def clipped_to_nothing() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-6)
        optimizer.step()

    return {**setup, "step": step}


# ----- mistakes: targets turned, moved or weighed the wrong way -----------------------------------


def masks(flipped: float = 0.0, turn: Callable[[Any], Any] = lambda x: x) -> Setup:
    """A net that finds the bright rectangle of an image; flipped: the share of images that are."""
    rng, t = np.random.default_rng(0), np.zeros((128, 1, 16, 16), np.float32)
    for mask, top, left in zip(t[:, 0], *rng.integers(0, 10, (2, 128))):
        mask[top : top + rng.integers(3, 7), left : left + rng.integers(3, 7)] = 1
    x = t + 0.3 * rng.standard_normal(t.shape)
    chosen = rng.random(128) < flipped
    x[chosen] = x[chosen][..., ::-1]
    x = turn((x - x.mean()) / x.std()).astype(np.float32)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
    return {"model": model, "batch": loader(x, t), "loss": F.binary_cross_entropy_with_logits,
            "optimizer": optim.Adam(model.parameters(), lr=0.01)}  # fmt: skip


def steps_of_sequences(turn: Callable[[Any], Any] = lambda t: t) -> Setup:
    """A class for each step of a sequence, which its three features tell."""
    rng = np.random.default_rng(0)
    t = rng.integers(0, 3, (128, 6))
    x = (np.eye(3)[t] + 0.3 * rng.standard_normal((128, 6, 3))).astype(np.float32)
    model = mlp(3, 16, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return {"model": model, "batch": (x, turn(t)), "optimizer": optimizer,
            "loss": lambda y, t: F.cross_entropy(y.reshape(-1, 3), t.reshape(-1))}  # fmt: skip


def weighed(power: float) -> Setup:
    """Three classes, one of them rare, each weighed by its frequency to that power."""
    x, y = blobs(600)
    kept = (y != 2) | (np.random.default_rng(0).random(600) < 0.2)
    count = np.bincount(y[kept]).astype(np.float32)
    weight = tinynet.tensor((count / count.mean()) ** power)
    loss = functools.partial(F.cross_entropy, weight=weight)
    return on_blobs(mlp(4, 16, 3), loss=loss) | {"batch": loader(x[kept], y[kept])}


def weighed_answers(inverted: bool) -> Setup:
    """Few positive answers, with a weight."""
    x, y = moons(400)
    kept = (y[:, 0] == 0) | (np.random.default_rng(0).random(400) < 0.15)
    ratio = float((1 - y[kept]).sum() / y[kept].sum())
    weight = tinynet.tensor([1 / ratio if inverted else ratio])
    loss = functools.partial(F.binary_cross_entropy_with_logits, pos_weight=weight)
    return on_blobs(mlp(2, 16, 1), loss=loss) | {"batch": loader(x[kept], y[kept])}


def next_words() -> Setup:
    """Sequences of eight words, each of which tells the next one."""
    rng, words = np.random.default_rng(0), np.zeros((200, 9), np.int64)
    words[:, 0] = rng.integers(0, 12, 200)
    for k in range(8):
        words[:, k + 1] = (5 * words[:, k] + 1 + (rng.random(200) < 0.1)) % 12
    model = nn.Sequential(nn.Embedding(12, 16), nn.Linear(16, 12))
    return {"model": model, "batch": (words[:, :-1], words[:, 1:]),
            "optimizer": optim.Adam(model.parameters(), lr=0.02),
            "loss": lambda y, t: F.cross_entropy(y.reshape(-1, 12), t.reshape(-1))}  # fmt: skip


for _name, _words, _make in [
    ("images_flipped_and_not_their_masks", r"flipped left", lambda: masks(0.5)),
    ("images_transposed_and_not_their_masks", r"transposed",
     lambda: masks(0, lambda x: x.swapaxes(2, 3))),
    ("labels_of_steps_transposed", r"transpose",
     lambda: steps_of_sequences(lambda t: t.T.reshape(t.shape))),
    ("class_weights_inverted", r"weights-inverted", lambda: weighed(1)),
    ("positive_weight_inverted", r"weights-inverted", lambda: weighed_answers(True)),
    ("labels_from_1_and_an_output_more", r"count the classes from 0",
     lambda: on_rows(mlp(64, 32, 11)) | {"batch": loader(digits(flat=True)[0], digits()[1] + 1)}),
    ("labels_of_the_next_example", r"moved by",
     lambda: on_blobs(mlp(4, 16, 3)) | {"batch": (blobs()[0], np.roll(blobs()[1], 1))}),
]:  # fmt: skip
    _make.__name__ = _name
    mistake(_words)(_make)
for _name, _make in [
    ("masks_of_images", masks), ("labels_of_steps", steps_of_sequences),
    ("words_that_tell_the_next", next_words),
    ("rare_classes_weigh_more", lambda: weighed(-1)),
    ("rare_answers_weigh_more", lambda: weighed_answers(False)),
]:  # fmt: skip
    HEALTHY.append((_name, _make))


# ----- healthy ------------------------------------------------------------------------------------


def _healthy(name: str, make: Callable[[], Setup]) -> None:
    def row() -> Setup:
        return make()

    row.__name__ = name
    healthy(row)


def _with(model: Callable[[], nn.Module], optimizer: Any, on: Any) -> Callable[[], Setup]:
    def make() -> Setup:
        built = model()
        return on(built, optimizer(built.parameters()))

    return make


for _name, _model, _optimizer, _on in [
    ("cnn_sgd_005_momentum", cnn, lambda p: optim.SGD(p, lr=0.05, momentum=0.9), on_digits),
    ("cnn_sgd_001", cnn, lambda p: optim.SGD(p, lr=0.01), on_digits),
    ("cnn_sgd_0001", cnn, lambda p: optim.SGD(p, lr=0.001), on_digits),
    ("cnn_sgd_01", cnn, lambda p: optim.SGD(p, lr=0.1), on_digits),
    ("cnn_adam_1e_3", cnn, lambda p: optim.Adam(p), on_digits),
    ("cnn_adam_1e_4", cnn, lambda p: optim.Adam(p, lr=1e-4), on_digits),
    ("cnn_adam_1e_2", cnn, lambda p: optim.Adam(p, lr=1e-2), on_digits),
    ("cnn_adamw", cnn, lambda p: optim.AdamW(p, lr=1e-3, weight_decay=0.01), on_digits),
    ("cnn_batch_norm", lambda: cnn(norm=True), lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
     on_digits),
    ("mlp_decay", _mlp64, lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
     on_rows),
    ("mlp_adagrad", _mlp64, lambda p: optim.Adagrad(p, lr=0.01), on_rows),
    ("mlp_rmsprop", _mlp64, lambda p: optim.RMSprop(p, lr=1e-3), on_rows),
    ("mlp_adadelta", _mlp64, lambda p: optim.Adadelta(p), on_rows),
    ("mlp_tanh", lambda: mlp(64, 64, 64, 10, act=nn.Tanh), lambda p: optim.SGD(p, lr=0.1), on_rows),
    ("mlp_sigmoid", lambda: mlp(64, 32, 10, act=nn.Sigmoid), lambda p: optim.Adam(p, lr=0.01),
     on_rows),
    ("mlp_deep", lambda: mlp(64, *[64] * 6, 10), lambda p: optim.Adam(p), on_rows),
    ("softmax_regression", lambda: nn.Linear(64, 10), lambda p: optim.SGD(p, lr=0.1), on_rows),
    ("blobs", lambda: mlp(4, 16, 3), lambda p: optim.SGD(p, lr=0.1), on_blobs),
    ("line", lambda: mlp(3, 16, 1), lambda p: optim.SGD(p, lr=0.01, momentum=0.9), on_line),
    ("line_adam", lambda: mlp(3, 32, 1), lambda p: optim.Adam(p), on_line),
    ("line_alone", lambda: nn.Linear(3, 1), lambda p: optim.SGD(p, lr=0.05), on_line),
]:  # fmt: skip
    _healthy(_name, _with(_model, _optimizer, _on))


@healthy
def moons_logits() -> Setup:
    model = mlp(2, 16, 1)
    return {"model": model, "batch": loader(*moons()), "optimizer": sgd(model),
            "loss": F.binary_cross_entropy_with_logits}  # fmt: skip


@healthy
def moons_probabilities() -> Setup:
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1), nn.Sigmoid())
    return {"model": model, "batch": loader(*moons()), "optimizer": sgd(model, 0.1),
            "loss": F.binary_cross_entropy}  # fmt: skip


@healthy
def log_softmax_and_nll() -> Setup:
    return on_digits(cnn(nn.LogSoftmax(1)), loss=F.nll_loss)


@healthy
def dropout_of_a_half() -> Setup:
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
    return on_rows(model)


@healthy
def after_the_loop_of_the_readme() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]
    for k, (x, target) in enumerate(setup["batch"]):
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if k == 5:
            break
    return setup


@healthy
def own_step() -> Setup:
    return stepping("zfbs", on_digits(cnn()))


@healthy
def own_step_zeroed_last() -> Setup:
    return stepping("fbsz", on_digits(cnn()))


@healthy
def own_step_clipped() -> Setup:
    setup = on_digits(cnn())
    model, optimizer = setup["model"], setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return {**setup, "step": step}


@healthy
def frozen_features() -> Setup:
    model = cnn()
    model[0].requires_grad_(False)
    return on_digits(model, optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05))


@healthy
def noise_in_a_small_batch() -> Setup:
    model = mlp(20, 32, 4)
    x = np.random.default_rng(0).standard_normal((32, 20)).astype(np.float32)
    return {"model": model, "batch": (x, np.arange(32) % 4), "optimizer": sgd(model)}


@healthy
def noise_in_a_large_batch() -> Setup:
    model = mlp(20, 64, 4)
    x = np.random.default_rng(0).standard_normal((256, 20)).astype(np.float32)
    return {"model": model, "batch": (x, np.arange(256) % 4), "optimizer": sgd(model)}
