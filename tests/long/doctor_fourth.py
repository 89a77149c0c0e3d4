"""What a stranger to the code found missing in the doctor: see `doctor_table`."""

from __future__ import annotations

from typing import Any

import numpy as np

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
    on_digits,
    on_line,
    on_rows,
    stepping,
)
from tests.long.doctor_third import HEALTHY, MISTAKES
from tinynet import data, nn, optim
from tinynet.nn import functional as F

__all__ = ["HEALTHY", "MISTAKES"]  # those of all four tables

# ----- mistakes -----------------------------------------------------------------------------------


@mistake(r"inputs-not-finite.*in 1 of 200 examples")
def nan_in_a_table() -> Setup:
    x, y = line()
    x[7, 2] = np.nan
    return on_line(mlp(3, 16, 1)) | {"batch": (x, y)}


@mistake(r"lower.bound|targets-exchangeable.*\*\* 2")
def differences_neither_squared_nor_absolute() -> Setup:
    return on_line(mlp(3, 16, 1), loss=lambda y, t: (t - y).mean())


def _validated(x: np.ndarray, y: np.ndarray) -> Setup:
    return on_digits(cnn(), validate=(x, y))


def _pixels() -> tuple[np.ndarray, np.ndarray]:
    test = data.load("digits", "test")
    return np.asarray(test.images, np.float32) * 16, test.labels


@mistake(r"validation.*inputs-not-scaled")
def validated_on_pixels() -> Setup:
    return _validated(*_pixels())


@mistake(r"validation.*dtype uint8, it takes floats")
def validated_on_bytes() -> Setup:
    x, y = _pixels()
    return _validated(x.clip(0, 255).astype(np.uint8), y)


@mistake(r"validation.*of another scale")
def validated_on_shares_of_one() -> Setup:
    x, y = _pixels()
    return _validated(x / x.max(), y)


@mistake(r"validation.*labels that start at 1")
def validated_on_labels_from_1() -> Setup:
    x, y = _pixels()
    return _validated((x - x.mean()) / x.std(), y + 1)


@mistake(r"validation.*raises")
def validated_on_larger_images() -> Setup:
    return _validated(np.random.default_rng(0).standard_normal((32, 1, 12, 12)).astype(np.float32),
                      np.arange(32) % 10)  # fmt: skip


def _of_the_first_batch(first: str) -> Setup:
    x, y = digits(32)
    model = cnn()
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    def step(given: Any, target: Any) -> None:
        optimizer.zero_grad()
        scores = model(type(given)(x) if first == "inputs" else given)
        F.cross_entropy(scores, type(target)(y) if first == "targets" else target).backward()
        optimizer.step()

    return {"model": model, "batch": (x, y), "optimizer": optimizer, "step": step}


@mistake(r"when all inputs of the batch are replaced")
def inputs_from_outside_the_step() -> Setup:
    return _of_the_first_batch("inputs")


@mistake(r"when all targets of the batch are replaced")
def targets_from_outside_the_step() -> Setup:
    return _of_the_first_batch("targets")


@mistake(r"momentum=0 in 1 \(BatchNorm2d\)")
def batch_norm_with_momentum_0() -> Setup:
    model = cnn(norm=True)
    model[1].momentum = 0.0
    return on_digits(model)


@mistake(r"momentum=0.1")
def batch_norm_that_forgets_all_but_a_thousandth() -> Setup:
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32, momentum=1e-3), nn.ReLU(), nn.Linear(32, 10)
    )
    x, y = digits(flat=True)
    return on_rows(model) | {"batch": loader(4 + x, y)}


@mistake(r"no gradient for.*class 0,")
def hinge_of_0_and_1() -> Setup:
    return on_line(mlp(2, 16, 1), loss=lambda y, t: F.relu(1 - y * t).mean()) | {
        "batch": loader(*moons())
    }


def _by_hand(kind: str) -> Setup:
    """A step without an optimizer, as in the first lesson of a course."""
    x, y = blobs()
    model = mlp(4, 16, 3)

    def step(x: Any, target: Any) -> None:
        if kind != "accumulated":
            model.zero_grad()
        F.cross_entropy(model(x), target).backward()
        for p in model.parameters():
            if kind == "uphill":
                p.data += 0.05 * p.grad
            elif kind == "elsewhere":
                p = p - 0.05 * p.grad
            else:
                p.data -= {"wild": 500.0, "slow": 1e-3}.get(kind, 0.1) * p.grad
        if kind == "zeroed last":
            model.zero_grad()

    return {"model": model, "batch": loader(x, y), "step": step}


@mistake(r"loss-is-maximized.*subtract")
def steps_by_hand_uphill() -> Setup:
    return _by_hand("uphill")


@mistake(r"left every parameter as it was.*p\.data -=")
def steps_by_hand_into_other_tensors() -> Setup:
    return _by_hand("elsewhere")


@mistake(r"model\.zero_grad\(\)")
def steps_by_hand_accumulated() -> Setup:
    return _by_hand("accumulated")


@mistake(r"learning-rate-too-high.*steps of your own shorter")
def steps_by_hand_too_large() -> Setup:
    return _by_hand("wild")


@healthy
def an_optimizer_that_doctor_was_not_given() -> Setup:
    setup = stepping("zfbs", on_digits(cnn()))
    del setup["optimizer"]
    return setup


@mistake(r"not on a loss of this model")
def a_new_model_in_every_step() -> Setup:
    setup = on_rows(mlp(64, 32, 10))
    optimizer = setup["optimizer"]

    def step(x: Any, target: Any) -> None:
        optimizer.zero_grad()
        F.cross_entropy(mlp(64, 32, 10)(x), target).backward()
        optimizer.step()

    return {**setup, "step": step}


@mistake(r"log_softmax in place of")
def kl_div_of_probabilities() -> Setup:
    x, y = digits(flat=True)
    return on_rows(mlp(64, 32, 10), loss=lambda p, t: F.kl_div(F.softmax(p, 1), t)) | {
        "batch": loader(x, np.eye(10, dtype=np.float32)[y])
    }


@mistake(r"small factor in the loss")
def loss_times_1e_5() -> Setup:
    model = mlp(64, 32, 10)
    return on_rows(model, optim.SGD(model.parameters(), lr=0.05),
                   loss=lambda p, t: 1e-5 * F.cross_entropy(p, t))  # fmt: skip


@mistake(r"softmax.*gives 1 whatever comes in")
def softmax_of_one_output() -> Setup:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1), nn.Softmax(1))
    return on_line(model, loss=F.binary_cross_entropy) | {"batch": loader(*moons())}


# ----- healthy ------------------------------------------------------------------------------------


@healthy
def validated_on_digits_prepared_alike() -> Setup:
    x, y = _pixels()
    return _validated((x - x.mean()) / x.std(), y)


@healthy
def validated_with_a_dataset() -> Setup:
    x, y = line()
    return on_line(mlp(3, 16, 1)) | {
        "batch": data.ArrayDataset(x[:160], y[:160]),
        "validate": data.ArrayDataset(x[160:], y[160:]),
    }


@healthy
def steps_by_hand() -> Setup:
    return _by_hand("")


@healthy
def steps_by_hand_zeroed_last() -> Setup:
    return _by_hand("zeroed last")


@healthy
def steps_by_hand_at_a_low_rate() -> Setup:
    return _by_hand("slow")


@healthy
def hinge_of_minus_1_and_1() -> Setup:
    x, t = moons()
    return on_line(mlp(2, 16, 1), loss=lambda y, t: F.relu(1 - y * t).mean()) | {
        "batch": loader(x, 2 * t - 1)
    }


@healthy
def gaussian_likelihood() -> Setup:
    def loss(y: Any, t: Any) -> Any:
        mean, log_std = y[:, :1], y[:, 1:]
        return (log_std + 0.5 * ((t - mean) / log_std.exp()) ** 2).mean()

    x, y = line()
    model = mlp(3, 32, 2)
    return {"model": model, "batch": loader(x, 0.1 * y), "loss": loss,
            "optimizer": optim.Adam(model.parameters(), lr=1e-2)}  # fmt: skip
