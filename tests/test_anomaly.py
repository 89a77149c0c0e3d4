"""detect_anomaly: the first operation that yields NaN or infinity is named, with its place."""

from __future__ import annotations

import contextlib
import pickle

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, training
from tinynet.anomaly import AnomalyError, first_anomaly
from tinynet.cli import main
from tinynet.nn import functional as F


class Logarithm(nn.Module):
    def forward(self, x):
        return x.log()  # the guilty line


def net_with_a_logarithm():
    tinynet.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), Logarithm())
    return nn.Sequential({"body": body, "flatten": nn.Flatten(), "out": nn.Linear(8, 3)})


@contextlib.contextmanager
def anomaly():
    with pytest.raises(AnomalyError) as caught, tinynet.detect_anomaly():
        yield caught


def test_forward_names_operation_layer_line_and_range_of_each_operand():
    with anomaly() as caught:
        net_with_a_logarithm()(tinynet.randn(2, 1, 4, 4))
    error = caught.value
    assert (error.op, error.backward, error.layer) == ("log", False, "body.2 (Logarithm)")
    assert error.line.file == __file__
    assert error.line.text == "return x.log()  # the guilty line"
    (x,) = error.operands
    assert (x.name, x.shape, x.dtype, x.low, x.nan, x.inf) == (
        "x",
        (2, 2, 2, 2),
        "float32",
        0,
        0,
        0,
    )
    assert error.inf > 0
    assert f"the result of log has {error.inf} Inf among its 16 values" in str(error)
    assert "in layer body.2 (Logarithm)" in str(error)


CURES = [
    (
        lambda x: tinynet.where(x > 0, x.sqrt(), tinynet.zeros(3)),
        [0, 1, 4],
        "a safe value into the",
    ),
    (lambda x: x.softmax(0).log(), [1000, 0, -1000], "use log_softmax(x), or F.cross_entropy"),
    (lambda x: x.sigmoid().log(), [-200, 0, 1], "use F.logsigmoid(x)"),
    (lambda x: x.log(), [0, 1, 2], "x.clip(1e-8).log()"),
    (lambda x: x.sqrt(), [-1, 1, 2], "x.clip(1e-8).sqrt()"),
    (lambda x: x.softmax(0), [-np.inf, -np.inf, -np.inf], "or mask with -1e9"),
    (lambda x: x.sqrt(), [0, 1, 2], "(x + 1e-8).sqrt()"),
    (lambda x: x**0.5, [0, 1, 2], "(x + 1e-8).sqrt()"),
    (lambda x: x.exp(), [100, 1, 2], "infinite above 89 in float32"),
    (lambda x: 1 / x, [0, 1, 2], "it divides by 0: x / (y + 1e-8)"),
    (lambda x: x.rsqrt(), [0, 1, 2], "it divides by 0: x / (y + 1e-8)"),
    (lambda x: tinynet.where(x != 0, 1 / x, 0 * x), [0, 1, 2], "where(y == 0, 1.0, y)"),
    (lambda x: x.log1p(), [-1, 1, 2], "x.clip(-1 + 1e-6).log1p()"),
    (lambda x: x.acos(), [1.5, 0, 0], "to 1: x.clip(-1 + 1e-6, 1 - 1e-6)"),
    (lambda x: x.acos(), [1, 0, 0], "x.clip(-1 + 1e-6, 1 - 1e-6)"),
    (lambda x: x**2, [-1e30, 1, 2], "beyond 3.4e+38, the largest number in float32"),
]


@pytest.mark.parametrize("row", CURES, ids=lambda row: row[2])
def test_the_usual_cases_come_with_their_cure(row):
    function, values, cure = row
    x = tinynet.tensor(np.array(values, np.float32), requires_grad=True)
    with pytest.raises(AnomalyError) as caught, tinynet.detect_anomaly():
        function(x).sum().backward()
    assert cure in str(caught.value)


@pytest.mark.parametrize(
    ("function", "values", "dy"),
    [
        (lambda x: x.log(), [-np.inf, 1], None),
        (lambda x: x * 0, [-np.inf, 1], None),
        (lambda x: x.softmax(0), [np.inf, 1], None),
        (lambda x: x * 3, [1, 2], [np.inf, 1]),
        (lambda x: x.softmax(0), [1, 2], [-np.inf, 1]),
    ],
)
def test_what_was_bad_before_is_said_so_and_is_no_mask(function, values, dy):
    x = tinynet.tensor(np.array(values, np.float32), requires_grad=True)
    said = pytest.raises(AnomalyError, match="was bad before this operation")
    with said, tinynet.detect_anomaly():
        function(x).backward(tinynet.tensor(dy))


@pytest.mark.parametrize(
    ("cure", "bad"),
    [
        ("x.clip(1e-8).sqrt()", -1),
        ("x.clip(1e-8).log()", 0),
        ("x.clip(-1 + 1e-6).log1p()", -1),
        ("x.clip(-1 + 1e-6, 1 - 1e-6).acos()", 1.5),
        ("x.clip(max=50.0).exp()", 100),
        ("(x + 1e-8).sqrt()", 0),
    ],
)
def test_what_is_recommended_has_a_finite_gradient_where_it_is_needed(cure, bad):
    x = tinynet.tensor([bad], dtype="float32", requires_grad=True)
    eval(cure, {"x": x}).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_the_first_bad_operation_is_named_and_not_the_last():
    x = tinynet.tensor([1.0, -1.0], requires_grad=True)
    with anomaly() as caught:
        (x.log() * 2 + 1).exp().sum()
    assert caught.value.op == "log"
    assert (caught.value.nan, caught.value.inf, caught.value.index) == (1, 0, (1,))


def test_backward_names_the_argument_and_the_line_of_the_forward_call():
    x = tinynet.tensor([1.0, 1.0], requires_grad=True)
    y = tinynet.tensor([2.0, 0.0], requires_grad=True)
    with anomaly() as caught:
        power = x * y**0.5  # finite, but its slope at 0 is not
        power.sum().backward()
    error = caught.value
    assert (error.op, error.backward, error.argument, error.index) == ("pow", True, "x", (1,))
    assert error.line.text.startswith("power = x * y**0.5")
    assert [operand.name for operand in error.operands] == ["dy, the gradient of its result", "x"]
    assert "the gradient of pow for x has 1 Inf" in str(error)
    assert x.grad is None
    assert y.grad is None


def test_a_forward_pass_from_outside_is_checked_backward_too():
    x = tinynet.tensor([0.0], requires_grad=True)
    y = x.sqrt().sum()
    with anomaly() as caught:
        y.backward()
    assert caught.value.op == "sqrt"
    assert "ran outside of detect_anomaly()" in str(caught.value)


def test_a_parameter_that_was_bad_before_is_told_from_bad_data():
    layer = nn.Linear(2, 2)
    layer.weight.array[0, 0] = np.nan
    with anomaly() as caught:
        layer(tinynet.ones(3, 2))
    assert "w is a parameter and was bad before" in str(caught.value)
    with anomaly() as caught:
        nn.Linear(2, 2)(tinynet.tensor([[np.inf, 1.0]]))
    assert "x was bad before this operation" in str(caught.value)
    assert "check the data" in str(caught.value)


def test_batch_norm_statistics_that_the_call_itself_spoiled_are_not_blamed():
    with anomaly() as caught:
        nn.BatchNorm1d(2)(tinynet.full((4, 2), 3e38))
    assert [operand.name for operand in caught.value.operands] == ["x", "w", "b"]
    assert "was bad before" not in str(caught.value)


def test_integers_and_finite_values_pass_and_gradients_are_those_without_it():
    def gradients():
        tinynet.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
        loss = F.cross_entropy(model(tinynet.randn(4, 1, 4, 4)), tinynet.tensor([0, 1, 2, 0]))
        loss.backward(retain_graph=True)
        loss.backward()
        return [p.grad.numpy() for p in model.parameters()]

    plain = gradients()
    with tinynet.detect_anomaly():
        tinynet.tensor([1, 2]) + 1
        watched = gradients()
    for one, other in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(one, other)


def test_changed_values_are_still_found_in_a_watched_backward_pass():
    x = tinynet.tensor([1.0, 2.0], requires_grad=True)
    with tinynet.detect_anomaly():
        y = x.exp()
        loss = (y * y).sum()
        with tinynet.no_grad():
            y += 1
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_nothing_is_left_switched_on_and_observers_inside_are_heard():
    state = tinynet.autograd.state
    seen = []
    with tinynet.autograd.observe(lambda op, *_: seen.append(op)):
        with contextlib.suppress(AnomalyError), tinynet.detect_anomaly():
            tinynet.tensor([0.0]).log()
        with tinynet.detect_anomaly(), tinynet.detect_anomaly():
            tinynet.tensor([1.0]).exp()
    assert [op.rpartition(".")[2] for op in seen] == ["log", "exp"]
    assert state.observer is None
    assert state.visit is None


def test_it_is_a_decorator_too():
    @tinynet.detect_anomaly
    def bare(x):
        return x.log()

    @tinynet.detect_anomaly()
    def called(x):
        return x.log()

    for function in (bare, called, bare):
        assert function(tinynet.tensor([1.0])).item() == 0
        with pytest.raises(AnomalyError, match="log"):
            function(tinynet.tensor([0.0]))


def test_first_anomaly_leaves_the_model_as_it_was():
    tinynet.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), Logarithm(), nn.Linear(3, 2))
    x, target = tinynet.randn(4, 3), tinynet.tensor([0, 1, 0, 1])
    before = model.state_dict()
    arrays = [tensor.array for tensor in model.parameters()]
    chance = tinynet.random.default_rng().bit_generator.state
    error = first_anomaly(model, x, target, F.cross_entropy)
    assert error.layer == "2 (Logarithm)"
    assert tinynet.random.default_rng().bit_generator.state == chance
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(tensor.array is array for tensor, array in zip(model.parameters(), arrays))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert first_anomaly(nn.Linear(3, 2), x, target, F.cross_entropy) is None
    assert first_anomaly(nn.Linear(9, 2), x, target, F.cross_entropy) is None  # it fails otherwise


def images(bad=False):
    x = np.random.default_rng(0).standard_normal((64, 1, 4, 4)).astype(np.float32)
    if bad:
        x[40, 0, 1, 2] = np.nan
    return data.DataLoader(data.ArrayDataset(x, np.arange(64) % 3), 32)


@pytest.mark.parametrize("watched", [False, True])
def test_a_loss_that_is_nan_says_which_step_and_which_operation(watched):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    with pytest.raises(training.DivergenceError) as caught:
        training.fit(model, images(bad=True), 1, progress=False, detect_anomaly=watched)
    error = caught.value
    assert (error.epoch, error.step) == (1, 2)
    assert (error.anomaly.op, error.anomaly.layer) == ("conv2d", "0 (Conv2d)")
    assert error.anomaly.index[0] == 8  # the 40th image is the 8th of the second batch
    assert "epoch 1, step 2" in str(error)
    assert "Where it began: the result of conv2d has" in str(error)
    assert tinynet.autograd.state.observer is None


def test_watched_training_finds_the_gradient_where_the_loss_was_still_finite():
    class Root(nn.Module):
        def forward(self, x):
            return (x * 0).sqrt() + x

    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), Root())
    with pytest.raises(training.DivergenceError) as caught:
        training.fit(model, images(), 1, progress=False, detect_anomaly=True)
    anomaly = caught.value.anomaly
    assert (anomaly.op, anomaly.argument, anomaly.layer) == ("sqrt", "x", "2 (Root)")
    assert caught.value.step == 1


def test_the_error_comes_through_a_pickle_as_from_another_process():
    with anomaly() as caught:
        tinynet.zeros(2, requires_grad=True).log()
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value)
    assert (twin.op, twin.operands) == (caught.value.op, caught.value.operands)


def test_train_detect_anomaly_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--epochs", "1", "--lr", "1e25", "--detect-anomaly"]) == 1
    said = capsys.readouterr().err
    assert "training diverged in epoch 1, step" in said
    assert "Where it began: the result of" in said
    assert "called in" not in said  # no line of a user's


@np.errstate(divide="ignore")
def test_set_detect_anomaly_holds_until_it_is_taken_back():
    x = tinynet.tensor([0.0], requires_grad=True)
    tinynet.autograd.set_detect_anomaly(True)
    try:
        with tinynet.autograd.set_detect_anomaly(False):
            x.sqrt().sum().backward()
        with pytest.raises(AnomalyError, match="the gradient of sqrt"):
            x.sqrt().sum().backward()
    finally:
        tinynet.autograd.set_detect_anomaly(False)
    x.sqrt().sum().backward()


def test_minus_infinity_that_masks_scores_is_no_anomaly():
    scores = tinynet.randn(2, 3, requires_grad=True)
    with tinynet.detect_anomaly():
        scores.masked_fill(scores < 9, float("-inf")).transpose(0, 1)
        masked = scores.masked_fill(tinynet.tensor([False, True, False]), float("-inf"))
        masked.softmax(-1).sum().backward()
        with pytest.raises(AnomalyError, match="the result of log"):
            (scores * 0).log()
