"""A batch too large: the error names layer, bytes and batch, and the process goes on."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import tinynet
from tinynet import data, nn
from tinynet.errors import OutOfMemoryError
from tinynet.kernels import override, use
from tinynet.training import evaluate, fit, predict


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
    ("kernel", "where"),
    [
        ("conv2d", "\n  raised in layer '0' (Conv2d)"),
        ("conv2d_dw_db", ", in the backward pass of conv2d\n  raised in layer '0' (Conv2d)"),
        ("max_pool2d", "\n  raised in layer '3' (MaxPool2d)"),
        (
            "max_pool2d_dx",
            ", in the backward pass of relu_max_pool2d after layer '1' (BatchNorm2d)",
        ),
    ],
)
def test_the_layer_is_named_forward_and_backward(few, monkeypatch, kernel, where):
    with failing(kernel, 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
        train(few)
    text = str(caught.value)
    assert text.startswith(f"out of memory: {96 * (1 << 52):,} bytes for an array of float32 (96, ")
    assert text.endswith(f"{where}\n  with a batch of 96; halve it: batch_size=48")
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


@pytest.mark.parametrize("name", ["plain", "numpy"])
def test_nothing_of_the_failed_step_stays_in_memory(few, monkeypatch, name):
    alive = []

    class Keep(nn.Module):
        def forward(self, x):
            y = x * 1.0
            alive.append(weakref.ref(y.array))
            return y

    model = nn.Sequential(Keep(), make_model())
    previous = use(name)
    try:
        for kernel in ("max_pool2d", "max_pool2d_dx"):
            with failing(kernel, 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
                train(few, model)
            assert alive.pop()() is None, "kept by the error, which is still here"
            assert caught.value.asked
    finally:
        use(previous)


def test_what_the_caller_holds_is_left_alone(few, monkeypatch):
    def failed():
        important = [1, 2, 3]
        raise KeyError(len(important))

    def waiting():
        try:
            failed()
        except KeyError:
            yield 1
            yield 2

    values = waiting()
    assert next(values) == 1
    try:
        failed()
    except KeyError as own:
        frame = own.__traceback__.tb_next.tb_frame
        with failing("max_pool2d", 50, monkeypatch), pytest.raises(OutOfMemoryError):
            train(few)
    assert frame.f_locals["important"] == [1, 2, 3]
    assert next(values) == 2


def test_a_batch_of_one_asks_for_a_smaller_model(few, monkeypatch):
    with failing("conv2d", 0, monkeypatch), pytest.raises(OutOfMemoryError, match="smaller model"):
        train(few, batch_size=1)


def test_evaluating_and_predicting_name_it_too(few, monkeypatch):
    model = make_model()
    for action in (evaluate, predict):
        with failing("conv2d", 50, monkeypatch), pytest.raises(OutOfMemoryError) as caught:
            action(model, few, batch_size=96)
        assert "raised in layer '0' (Conv2d)" in str(caught.value)
        assert "halve it: batch_size=48" in str(caught.value)
        assert model.training


def test_in_a_loop_of_ones_own_the_error_names_the_layer(few, monkeypatch):
    x, _ = next(iter(data.DataLoader(few, 96)))
    with failing("conv2d", 50, monkeypatch), pytest.raises(OutOfMemoryError, match=r"'0' .Conv2d"):
        make_model()(x)


def test_an_error_without_a_size_is_named_too():
    class Greedy(nn.Module):
        def forward(self, x):
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match=r"^out of memory\n  raised in layer '0' .Greedy."):
        nn.Sequential(Greedy())(tinynet.ones(2, 3))
