"""What is the same bit for bit, and what is not: each claim of docs/determinism.md is a test."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, kernels, nn
from tinynet.kernels.threads import get_num_threads, set_num_threads
from tinynet.training import evaluate, fit, weights_sha256

ORDER_0 = [6, 1, 9, 8, 11, 0, 2, 3, 5, 7, 4, 10]
ORDER_1 = [8, 0, 6, 7, 1, 5, 9, 10, 2, 11, 4, 3]
INITIAL = [0.40628368, -0.37073416, -0.54684597, 0.16155779, -0.15533307, -0.03779525]

TRAIN = """
import sys
import numpy as np
import tinynet
from tinynet import data, nn
from tinynet.training import fit, weights_sha256

train = data.load("digits", "train")
few = data.ArrayDataset(train.images[:128], train.labels[:128])
tinynet.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(),
    nn.Linear(288, 10),
)
fit(model, few, 2, lr=0.05, seed=0, batch_size=32, augment=data.RandomShift(1),
    transform=data.ToFloat(), progress=False)
print(weights_sha256(model.state_dict()))
print(" ".join(repr(float(w)) for w in model[5].weight.array[0, :20]))
"""


@functools.cache
def in_a_process(**environment: str) -> tuple[str, tuple[float, ...]]:
    """SHA-256 of the weights and some of them, trained in a process of its own."""
    root = str(Path(__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": root, "TINYNET_KERNELS": "numpy", **environment}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env=variables, capture_output=True, text=True, check=True
    )
    sha256, weights = done.stdout.splitlines()
    return sha256, tuple(float(word) for word in weights.split())


def trained(seed: int = 0, **options) -> nn.Sequential:
    """A small model, trained in this process."""
    train = data.load("digits", "train")
    few = data.ArrayDataset(train.images[:96], train.labels[:96])
    tinynet.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(2048, 10),
    )
    options = {"lr": 0.01, "seed": seed, "batch_size": 48, "progress": False, **options}
    fit(model, few, 2, **options)
    return model


def sha256_of(model: nn.Module) -> str:
    return weights_sha256(model.state_dict())


def close(a: nn.Module, b: nn.Module) -> bool:
    """Whether two models differ by no more than rounding, a little trained."""
    pairs = zip(a.state_dict().values(), b.state_dict().values())
    return all(np.allclose(x, y, rtol=1e-2, atol=1e-4) for x, y in pairs)


# ----- what is the same ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", kernels.available())
def test_the_same_seed_gives_the_same_weights_to_the_bit(name):
    before = kernels.current.name
    kernels.use(name)
    try:
        assert sha256_of(trained(3)) == sha256_of(trained(3))
        assert sha256_of(trained(3)) != sha256_of(trained(4))
    finally:
        kernels.use(before)


def test_another_process_gives_the_same_weights_to_the_bit():
    """Neither the hashes of strings, nor addresses in memory, nor what ran before play a part."""
    first = in_a_process(PYTHONHASHSEED="1")
    assert in_a_process(PYTHONHASHSEED="2", TINYNET_KEEP_MEMORY="0", PADDING="x" * 4099) == first


def test_what_ran_before_in_the_process_plays_no_part():
    first = sha256_of(trained(5))
    trained(6)
    tinynet.randn(100)
    assert sha256_of(trained(5)) == first


def test_the_first_use_of_the_threads_changes_nothing():
    """It holds the BLAS to one thread for good, and so would change the steps after it."""
    code = TRAIN.replace(
        "fit(model", "import copy\nfirst = copy.deepcopy(model.state_dict())\nfit(model"
    ) + (
        "from tinynet.kernels.threads import run\n"
        "run(lambda i: i, [0, 1])\n"
        "model.load_state_dict(first)\n"
        "fit(model, few, 2, lr=0.05, seed=0, batch_size=32, augment=data.RandomShift(1),\n"
        "    transform=data.ToFloat(), progress=False)\n"
        "print(weights_sha256(model.state_dict()))\n"
    )
    root = str(Path(__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": root, "TINYNET_KERNELS": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == lines[2]


def test_with_any_number_of_threads_a_run_is_the_same_from_time_to_time():
    before = get_num_threads()
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            assert sha256_of(trained(1)) == sha256_of(trained(1))
    finally:
        set_num_threads(before)


def test_the_order_of_the_examples_depends_on_seed_and_epoch_alone():
    """The same numbers on every platform: NumPy's PCG64 and its permutation."""
    loader = data.DataLoader(data.ArrayDataset(np.arange(12)), 5, shuffle=True, seed=2026)
    assert loader.order(0).tolist() == ORDER_0
    assert loader.order(1).tolist() == ORDER_1


def test_initial_values_depend_on_the_seed_alone():
    tinynet.manual_seed(2026)
    layer = nn.Linear(3, 2)
    assert np.allclose(layer.weight.array.ravel(), INITIAL, rtol=0, atol=1e-7)


def test_looking_at_a_run_does_not_change_it():
    """Validation, metrics and saving draw nothing that training would draw."""
    train = data.load("digits", "train")
    held_out = data.ArrayDataset(train.images[96:128], train.labels[96:128])
    assert sha256_of(trained(1, metrics={})) == sha256_of(trained(1))
    loader = data.DataLoader(held_out, 16, seed=0)
    assert sha256_of(trained(1, validate=loader)) == sha256_of(trained(1))


def test_saving_on_the_way_does_not_change_a_run(tmp_path):
    assert sha256_of(trained(1, out=tmp_path, save_every=1)) == sha256_of(trained(1))


# ----- what is not --------------------------------------------------------------------------------


def test_another_number_of_threads_changes_no_more_than_rounding():
    before = get_num_threads()
    models = []
    try:
        for count in (1, 3):
            set_num_threads(count)
            models.append(trained(1))
    finally:
        set_num_threads(before)
    assert close(*models)


def test_another_kernel_set_changes_no_more_than_rounding():
    if "numba" not in kernels.available():
        pytest.skip("Numba (the extra `fast`) is not installed")
    before = kernels.current.name
    models = []
    try:
        for name in ("numpy", "numba"):
            kernels.use(name)
            models.append(trained(1))
    finally:
        kernels.use(before)
    assert close(*models)
    assert sha256_of(models[0]) != sha256_of(models[1])


def test_another_blas_kernel_changes_no_more_than_rounding():
    """OpenBLAS picks its code by the processor; told to take another, it rounds differently."""
    config = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    if "openblas" not in config["name"] or os.uname().machine != "x86_64":
        pytest.skip("needs OpenBLAS on x86-64")
    another = {"OPENBLAS_CORETYPE": "Nehalem"}
    alone = "import numpy as np; x = np.ones((300, 300), np.float32); x @ x"
    if subprocess.run([sys.executable, "-c", alone], env={**os.environ, **another}).returncode:
        pytest.skip("NumPy alone does not run with that code here")
    usual, other = in_a_process(PYTHONHASHSEED="1"), in_a_process(**another)
    assert np.allclose(usual[1], other[1], rtol=1e-2, atol=1e-4)
    assert in_a_process(**another) == other


def test_another_batch_size_when_measuring_changes_no_more_than_rounding():
    model = trained(1)
    test = data.load("digits", "test")
    losses = [evaluate(model, test, batch_size=size)["loss"] for size in (7, 64, 360)]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_without_a_seed_every_run_is_another():
    draws = []
    for _ in range(2):
        code = "import tinynet; print(float(tinynet.rand(1)[0]))"
        root = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        )
        draws.append(done.stdout)
    assert draws[0] != draws[1]
