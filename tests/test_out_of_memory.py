"""A batch too large: the error names layer, bytes and a size that fits; the process goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, nn
from tinynet.errors import OutOfMemoryError
from tinynet.kernels import override
from tinynet.nn import functional as F
from tinynet.training import evaluate, fit, memory, predict

LIMITED = """
import resource
import numpy as np
import tinynet
from tinynet import data, nn, training

def net():
    tinynet.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(576, 3)
    )

N = 3000
images = np.zeros((N, 1, 12, 12), np.uint8)
some = data.ArrayDataset(images, np.arange(N) % 3)
few = data.ArrayDataset(images[:256], np.arange(256) % 3)
training.fit(net(), few, 1, batch_size=128, seed=0, progress=False)  # all is loaded
tinynet.set_num_threads(tinynet.get_num_threads())  # OpenBLAS is loaded and takes its buffers,
np.ones((1000, 1000)) @ np.ones((1000, 1000))  # which it could not do without under the limit
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 90_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
size = N
for _ in range(4):
    try:
        training.fit(net(), some, 1, batch_size=size, seed=0, progress=False)
        print("FITS", size)
        break
    except tinynet.OutOfMemoryError as error:
        print(error)
        size = error.batch_size
"""


def test_with_a_limit_on_memory_the_batch_size_that_it_names_fits():
    pytest.importorskip("resource")
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TINYNET_KERNELS": "numpy"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], env=environment, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert lines[0].startswith("out of memory: ")
    assert lines[0].split()[3].replace(",", "").isdecimal()
    assert lines[1].startswith("  raised in layer '")
    assert lines[2].startswith("  with a batch of 3000; a batch of ")
    assert lines[-1].startswith("FITS "), done.stdout
    assert 50 < int(lines[-1].split()[1]) < 3000


def make_model() -> nn.Sequential:
    tinynet.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 10),
    )


@pytest.fixture
def few() -> data.ArrayDataset:
    train = data.load("digits", "train")
    return data.ArrayDataset(train.images[:96], train.labels[:96])


def failing(kernel: str, above: int, monkeypatch: pytest.MonkeyPatch):
    """A kernel that cannot have its memory for batches of more than `above` examples."""
    from tinynet import kernels

    real = getattr(kernels.current, kernel)

    def limited(x, *args):
        if len(x) > above:
            np.empty((len(x), 1 << 50), np.float32)  # NumPy's own error
        return real(x, *args)

    return override(**{kernel: limited})


def train(few, model=None, batch_size=96):
    options = {"lr": 0.01, "seed": 0, "progress": False}
    return fit(model or make_model(), few, 1, batch_size=batch_size, **options)


@pytest.mark.parametrize(
    ("kernel", "layer", "operation"),
    [
        ("conv2d", "'0' (Conv2d)", ""),
        ("conv2d_dw_db", "'0' (Conv2d)", "conv2d"),
        ("relu", "'3' (MaxPool2d)", ""),  # which does the work of the ReLU before it
        ("relu_dx", "'3' (MaxPool2d)", "relu_max_pool2d"),
        ("max_pool2d", "'3' (MaxPool2d)", ""),
        ("max_pool2d_dx", "'3' (MaxPool2d)", "relu_max_pool2d"),
    ],
)
def test_the_layer_is_named_forward_and_backward(few, monkeypatch, kernel, layer, operation):
    monkeypatch.setattr(memory, "free_memory", lambda: 1_000_000)
    with failing(kernel, 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
        train(few)
    text = str(caught.value)
    backward = f", in the backward pass of {operation}" if operation else ""
    assert text.startswith(f"out of memory: {96 * (1 << 52):,} bytes for an array of float32 (96, ")
    assert f"{backward}\n  raised in layer {layer}\n  with a batch of 96; a batch of " in text
    assert caught.value.asked == 96 * (1 << 52)
    assert isinstance(caught.value, MemoryError)


def test_the_process_goes_on_and_the_model_is_as_it_was(few, monkeypatch):
    model = make_model()
    before = model.state_dict()
    with failing("max_pool2d_dx", 50, monkeypatch), pytest.raises(OutOfMemoryError):
        train(few, model)
    after = model.state_dict()
    parameters = [name for name, _ in model.named_parameters()]
    assert all(np.array_equal(before[name], after[name]) for name in parameters)
    assert len(train(few, model, batch_size=32)) == 1


def test_nothing_of_the_failed_step_stays_in_memory(few, monkeypatch):
    import weakref

    alive = []

    class Keep(nn.Module):
        def forward(self, x):
            y = x * 1.0
            alive.append(weakref.ref(y.data))
            return y

    model = nn.Sequential(Keep(), make_model())
    freed = []
    monkeypatch.setattr(memory, "fitting_batch", lambda *a: freed.append(alive[0]() is None))
    with failing("max_pool2d", 50, monkeypatch), pytest.raises(OutOfMemoryError):
        train(few, model)
    assert freed == [True]


def test_the_batch_that_is_named_follows_from_what_is_free():
    def attempt(count):
        return np.empty((count, 1000), np.uint8), np.empty(50_000, np.uint8)

    def fits(free):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "free_memory", lambda: free)
            return memory.fitting_batch(attempt, 320)

    assert fits(200_000) == pytest.approx((0.8 * 200_000 - 50_000) / 1000, rel=0.05)
    assert fits(10**9) == 319  # less than what failed, in any case
    assert fits(50_000) == 0
    assert fits(None) is None


def test_what_does_not_fit_even_once_is_said_so(few, monkeypatch):
    with failing("conv2d", 0, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
        train(few)
    assert "not even one example fits" in str(caught.value)
    assert caught.value.batch_size == 0


def test_evaluating_and_predicting_name_it_too(few, monkeypatch):
    model = make_model()
    for action in (evaluate, predict):
        with failing("conv2d", 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
            action(model, few, batch_size=96)
        assert "raised in layer '0' (Conv2d)" in str(caught.value)
        assert 0 < caught.value.batch_size < 96
        assert model.training


def test_in_a_loop_of_ones_own_the_error_names_layer_and_operation(few, monkeypatch):
    model = make_model()
    x, target = next(iter(data.DataLoader(few, 96)))
    with failing("conv2d", 50, monkeypatch), pytest.raises(OutOfMemoryError, match=r"'0' .Conv2d"):
        model(x)
    loss = F.cross_entropy(model(x), target)
    with failing("conv2d_dw_db", 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
        loss.backward()
    assert caught.value.operation == "conv2d"
    assert caught.value.parameter is model[0].weight


def test_an_error_without_a_size_is_named_too():
    class Greedy(nn.Module):
        def forward(self, x):
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match=r"^out of memory\n  raised in layer '0' .Greedy."):
        nn.Sequential(Greedy())(tinynet.ones(2, 3))


def test_free_memory_is_known_on_linux():
    if not Path("/proc/meminfo").exists():
        pytest.skip("needs /proc")
    free = memory.free_memory()
    assert free is not None
    assert free > 1_000_000
