"""Two threads: each trains as if it were alone; chance and no_grad are each thread's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

import tinynet
from tinynet import data, kernels, nn, optim
from tinynet.random import default_rng
from tinynet.training import Callback, evaluating, fit, predict, weights_sha256


def together(*works: Callable[[], object]) -> list[object]:
    """What each returns, run in a thread of its own, all begun at once."""
    results: list[object] = [None] * len(works)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(i: int) -> None:
        try:
            barrier.wait()
            results[i] = works[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def trained(seed: int, side: int) -> str:
    """Train a model with everything random in it; the SHA-256 of its weights."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (96, 1, side, side)).astype(np.uint8)
    some = data.ArrayDataset(images, np.arange(96) % 5)
    tinynet.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(16 * (side // 2) ** 2, 5),
    )
    augment = data.Compose([data.ToFloat(), data.RandomShift(1)])
    options = {"batch_size": 48, "augment": augment, "transform": data.ToFloat(), "seed": seed}
    fit(model, some, 2, lr=0.01, progress=False, **options)
    return weights_sha256(model.state_dict())


@pytest.mark.parametrize("name", kernels.available())
def test_two_models_in_two_threads_give_what_each_gives_alone(name):
    before = kernels.current.name
    kernels.use(name)
    try:
        alone = [trained(1, 16), trained(2, 20)]
        assert together(lambda: trained(1, 16), lambda: trained(2, 20)) == alone
    finally:
        kernels.use(before)


@pytest.mark.parametrize(("told", "count"), [("3", 3), ("", None), ("0", None), ("two", None)])
def test_the_environment_says_how_many_threads_there_are(told, count):
    code = "import tinynet; print(tinynet.get_num_threads())"
    environment = {**os.environ, "OMP_NUM_THREADS": told}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    usual = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert int(done.stdout) == (count or usual)


def test_no_grad_holds_in_its_own_thread_alone():
    inside, seen = threading.Event(), threading.Event()

    def without() -> bool:
        with tinynet.no_grad():
            inside.set()
            seen.wait(60)
            return tinynet.is_grad_enabled()

    def beside() -> bool:
        inside.wait(60)
        recorded = (tinynet.ones(2, requires_grad=True) * 2).requires_grad
        seen.set()
        return recorded

    assert together(without, beside) == [False, True]


def test_the_seed_is_each_threads_own():
    tinynet.manual_seed(7)
    expected = default_rng().random()

    def other() -> float:
        tinynet.manual_seed(99)
        return default_rng().random()

    tinynet.manual_seed(7)
    assert together(other, other)[0] == together(other)[0]
    assert default_rng().random() == expected


def test_a_new_thread_starts_unseeded():
    tinynet.manual_seed(7)
    draws = together(lambda: default_rng().random(), lambda: default_rng().random())
    assert len({*draws, default_rng().random()}) == 3


# ----- one model in several threads -----------------------------------------------------------


def shared() -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(8, 8, rng=rng), nn.BatchNorm1d(8), nn.Dropout(0.5))


def test_evaluation_mode_holds_in_its_own_thread_alone():
    model, inside, seen = shared(), threading.Event(), threading.Event()
    model[1].eval()

    def evaluates() -> list[bool]:
        with evaluating(model):
            inside.set()
            assert seen.wait(60)
            return [module.training for module in model.modules()]

    def looks() -> list[bool]:
        assert inside.wait(60)
        modes = [module.training for module in model.modules()]
        seen.set()
        return modes

    assert together(evaluates, looks) == [[False] * 4, [True, True, False, True]]


@pytest.mark.filterwarnings("ignore:fit")
def test_one_model_predicts_in_several_threads_while_another_trains_it():
    """In turns, step by step: each thread is in the middle of its work while the others are."""
    model, steps = shared(), 5
    model[1].eval()
    x = np.random.default_rng(1).standard_normal((16, 8)).astype(np.float32)
    rows = data.ArrayDataset(x, np.zeros(16, np.int64))
    expected = predict(model, x)
    turn = threading.Barrier(3)

    class Slow(data.Dataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> np.ndarray:
            turn.wait(60)
            return x[index]

    class Wait(Callback):
        def on_step_end(self, run, means):
            assert [m.training for m in run.model] == [True, False, True]
            turn.wait(60)

    def trains() -> object:
        batches = [next(iter(data.DataLoader(rows, 16)))] * steps
        optimizer = optim.SGD(model.parameters(), lr=0.0)
        return fit(
            model,
            batches,
            1,
            optimizer=optimizer,
            callbacks=[Wait()],
            schedule=None,
            progress=False,
        )

    def predicts() -> object:
        return predict(model, Slow(), batch_size=1)

    _, *predicted = together(trains, predicts, predicts)
    for scores in predicted:
        np.testing.assert_allclose(scores, expected[:steps], rtol=1e-5, atol=1e-6)
