"""The digits net, trained with a submission in place of tinynet's own function.

Plain loops are some thousand times slower than kernels, so there are several plans, from the
whole recipe to a small net on part of the images. The first that fits into the time is taken, and
tinynet's own function is trained by the same plan: the two accuracies are for comparing.
"""

import functools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet import data, models, nn
from tinynet.lab.exercises import LR, Exercise, Functions
from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.random import manual_seed
from tinynet.tensor import Tensor
from tinynet.training import evaluate, fit

TRIED = 8  # images of the step from which the time is estimated
TOLERANCE = 0.03  # how far below tinynet's own accuracy rounding may bring the submission's


@dataclass(frozen=True)
class Plan:
    """What is trained: digits_cnn, or one small convolution layer with a linear one."""

    net: str
    images: int
    epochs: int

    def __str__(self) -> str:
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return f"{self.net}, {self.images:,} images, {epochs}"


SMALL_NET = "a net with one convolution"
PLANS = [
    Plan("digits_cnn", 1437, 4),
    Plan("digits_cnn", 1437, 1),
    Plan(SMALL_NET, 1437, 4),
    Plan(SMALL_NET, 400, 4),
]


@dataclass(frozen=True)
class Trial:
    """The accuracies on the 360 test images, of 0 to 1, and the seconds of the training."""

    plan: str
    accuracy: float
    built_in: float
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the submission trains about as well as tinynet's own."""
        return self.accuracy >= self.built_in - TOLERANCE


def choose_plan(exercise: Exercise, functions: Functions, seconds: float) -> Plan:
    """The first plan that a submission gets through in the time, going by one step; or the last."""
    for plan in PLANS[:-1]:
        _step(_net(plan), {})  # loads what is loaded when first used
        model = _net(plan)
        start = time.perf_counter()
        with exercise.in_place(functions, model) as settings:
            _step(model, settings)
        each = (time.perf_counter() - start) / TRIED
        if each * plan.images * plan.epochs <= seconds:
            return plan
    return PLANS[-1]


def run(exercise: Exercise, functions: Functions, plan: Plan) -> Trial:
    """Train by the plan, with the submission and with tinynet's own."""
    start = time.perf_counter()
    model = _net(plan)
    with exercise.in_place(functions, model) as settings:
        accuracy = _train(model, plan, settings)
    seconds = time.perf_counter() - start
    return Trial(str(plan), accuracy, _built_in(plan), seconds)


@functools.cache
def _built_in(plan: Plan) -> float:
    return _train(_net(plan), plan, {})


def _net(plan: Plan) -> Module:
    rng = np.random.default_rng(0)
    if plan.net == "digits_cnn":
        return models.digits_cnn(rng=rng)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10, rng=rng),
    )


def _train(model: Module, plan: Plan, settings: dict[str, Any]) -> float:
    """The test accuracy after training; `settings` are further arguments of `fit`."""
    train, test = data.load("digits", "train"), data.load("digits", "test")
    some = data.ArrayDataset(train.images[: plan.images], train.labels[: plan.images])
    transform = data.standardize(train)
    fit(
        model,
        some,
        plan.epochs,
        batch_size=32,
        transform=transform,
        seed=0,
        progress=False,
        **{"lr": LR, **settings},
    )
    measured = evaluate(model, test, transform=transform)
    return float(measured["accuracy"])


def _step(model: Module, settings: dict[str, Any]) -> None:
    """One step of training on a few images; `settings` as for `_train`."""
    rng = manual_seed(0)
    x = Tensor(rng.standard_normal((TRIED, 1, 8, 8)).astype(np.float32))
    loss = settings.get("loss", F.cross_entropy)(model(x), np.arange(TRIED))
    loss.backward()
    if "optimizer" in settings:
        settings["optimizer"].step()
