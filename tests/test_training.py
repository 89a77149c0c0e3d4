"""`fit` and the functions it is made of."""

from __future__ import annotations

import contextlib
import functools

import numpy as np
import pytest
import tqdm

import tinynet
from tinynet import data, models, nn, optim
from tinynet.errors import DataError
from tinynet.nn import functional as F
from tinynet.training import (
    BestModel,
    Callback,
    DivergenceError,
    EarlyStopping,
    History,
    accuracy,
    checkpoint,
    evaluate,
    evaluating,
    fit,
    make_augment,
    predict,
    recipe_for,
    train_epoch,
)
from tinynet.training.batches import size_of
from tinynet.training.report.findings import Findings
from tinynet.utils.data import TensorDataset


def small_model(seed: int = 0) -> nn.Sequential:
    tinynet.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@pytest.fixture(scope="module")
def digits() -> tuple[data.ArrayDataset, data.ArrayDataset]:
    return data.load("digits", "train"), data.load("digits", "test")


@pytest.fixture(scope="module")
def few(digits: tuple[data.ArrayDataset, data.ArrayDataset]) -> data.ArrayDataset:
    train = digits[0]
    return data.ArrayDataset(train.images[:200], train.labels[:200], classes=train.classes)


@pytest.fixture(scope="module")
def held(digits: tuple[data.ArrayDataset, data.ArrayDataset]) -> data.ArrayDataset:
    test = digits[1]
    return data.ArrayDataset(test.images[:50], test.labels[:50], classes=test.classes)


def weights_of(model: nn.Module) -> np.ndarray:
    return np.concatenate([w.ravel() for w in model.state_dict().values()])


def test_fit_learns_the_digits(digits):
    train, test = digits
    model = small_model()
    options = {"batch_size": 32, "lr": 0.05, "seed": 0, "progress": False}
    history = fit(model, train, 6, validate=test, transform=data.standardize(train), **options)
    assert history[-1]["validation_accuracy"] > 0.95
    assert history[-1]["loss"] < history[0]["loss"] / 3


def test_history_has_one_record_an_epoch_with_every_quantity(few, held):
    history = fit(small_model(), few, 3, validate=held, lr=0.05, seed=0, progress=False)
    assert isinstance(history, History)
    assert isinstance(history, list)
    assert history.column("epoch") == [1, 2, 3]
    assert list(history[0]) == [
        "epoch",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "lr",
        "seconds",
    ]
    assert history.best("validation_loss") == min(history, key=lambda r: r["validation_loss"])
    with pytest.raises(KeyError, match=r"no 'speed'; it has epoch, loss"):
        history.column("speed")


def test_the_recorded_loss_is_the_mean_over_examples_not_over_batches():
    x = np.arange(3, dtype=np.float32)[:, None]  # batches of 2 and 1
    frozen = nn.Linear(1, 1)
    optimizer = optim.SGD(frozen.parameters(), lr=0.0)
    batches = data.DataLoader(data.ArrayDataset(x, 2 * x), 2)
    record = train_epoch(frozen, batches, optimizer, F.mse_loss, metrics={})
    expected = float(F.mse_loss(frozen(x), 2 * x))
    assert record["loss"] == pytest.approx(expected, rel=1e-5)
    assert evaluate(frozen, batches, F.mse_loss, metrics={})["loss"] == pytest.approx(expected)


def test_validation_measures_the_model_at_the_end_of_the_epoch(few, held):
    model = small_model()
    history = fit(model, few, 2, validate=held, lr=0.05, seed=0, progress=False)
    assert evaluate(model, held)["loss"] == pytest.approx(history[-1]["validation_loss"])


def test_the_same_seed_gives_the_same_weights_to_the_bit(few):
    def trained(seed: int) -> np.ndarray:
        model = nn.Sequential(small_model(), nn.Dropout(0.2))
        augment = data.RandomShift(1)
        fit(model, few, 2, lr=0.05, seed=seed, augment=augment, progress=False)
        return weights_of(model)

    assert np.array_equal(trained(1), trained(1))
    assert not np.array_equal(trained(1), trained(2))


def test_without_a_seed_manual_seed_decides(few):
    def trained(seed: int) -> np.ndarray:
        model = small_model(seed)
        fit(model, few, 1, lr=0.05, progress=False)
        return weights_of(model)

    assert np.array_equal(trained(3), trained(3))


def test_fit_takes_loaders_and_a_ready_optimizer_and_scheduler(few, held):
    loader = data.DataLoader(few, 20, shuffle=True, seed=0)
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    history = fit(
        model,
        loader,
        3,
        validate=data.DataLoader(held, 50),
        optimizer=optimizer,
        schedule=scheduler,
        progress=False,
    )
    assert history.column("lr") == pytest.approx([0.1, 0.05, 0.025])


def test_fit_equals_the_plain_loop(few):
    by_fit, by_hand = small_model(), small_model()
    fit(
        by_fit,
        data.DataLoader(few, 32, shuffle=True, seed=5),
        2,
        optimizer=optim.SGD(by_fit.parameters(), lr=0.1, momentum=0.9),
        schedule=None,
        progress=False,
    )
    optimizer = optim.SGD(by_hand.parameters(), lr=0.1, momentum=0.9)
    loader = data.DataLoader(few, 32, shuffle=True, seed=5)
    for _ in range(2):
        for x, target in loader:
            optimizer.zero_grad()
            F.cross_entropy(by_hand(x), target).backward()
            optimizer.step()
    assert np.array_equal(weights_of(by_fit), weights_of(by_hand))


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "linear", "step", "constant"])
def test_every_schedule_covers_the_whole_training(few, schedule):
    model = small_model()
    history = fit(model, few, 4, lr=0.1, schedule=schedule, seed=0, progress=False)
    last = history[-1]["lr"]
    assert last == 0.1 if schedule == "constant" else 0 <= last < 0.05
    assert max(history.column("lr")) <= 0.1


def test_plateau_scheduler_follows_the_validation_loss(few, held):
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=1e-5)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
    options = {"optimizer": optimizer, "schedule": scheduler, "progress": False}
    history = fit(model, few, 3, validate=held, **options)
    assert history.column("lr") == pytest.approx([1e-5, 1e-5, 1e-6])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"])
def test_every_named_optimizer_lowers_the_loss(few, name):
    model = small_model()
    options = {"batch_size": 20, "schedule": None, "seed": 0, "progress": False}
    history = fit(model, few, 5, optimizer=name, **options)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]


def test_a_nan_in_the_data_stops_with_epoch_and_step_and_touches_no_weight(few):
    images = few.images.astype(np.float32) / 255
    images[70, 0, 3, 3] = np.nan
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loader = data.DataLoader(data.ArrayDataset(images, few.labels), 50)
    with pytest.raises(DivergenceError, match=r"epoch 1, step 2: .*NaN") as caught:
        fit(model, loader, 3, optimizer=optimizer, progress=False)
    assert (caught.value.epoch, caught.value.step) == (1, 2)
    assert np.isfinite(weights_of(model)).all()


class RunAway(Callback):
    """Sets a monstrous learning rate at the start of one epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, run):
        if run.epoch == self.epoch:
            run.optimizer.param_groups[0]["lr"] = 1e30


def test_a_run_that_diverges_leaves_the_last_good_checkpoint(few, tmp_path):
    model = small_model()
    options = {"schedule": None, "seed": 0, "progress": False}
    with pytest.raises(DivergenceError, match=r"epoch 3, step 2: .*learning rate is 1e\+30"):
        fit(model, few, 5, callbacks=[RunAway(3)], out=tmp_path, **options)
    kept = tinynet.load(tmp_path / "last.safetensors", small_model(1))
    again = small_model()
    fit(again, few, 2, **options)
    assert np.array_equal(weights_of(kept), weights_of(again))


def test_a_run_that_diverged_is_told_from_one_that_was_interrupted(few, tmp_path):
    class Stop(Callback):
        def on_epoch_begin(self, run):
            if run.epoch == 3:
                raise KeyboardInterrupt

    options = {"schedule": None, "seed": 0, "progress": False}
    for name, error, callback in (
        ("diverged", DivergenceError, RunAway(3)),
        ("stopped", KeyboardInterrupt, Stop()),
    ):
        with pytest.raises(error):
            fit(small_model(), few, 4, callbacks=[callback], out=tmp_path / name, **options)
    for _ in range(2):  # resumed as it was, it is as it was
        with pytest.warns(UserWarning, match="diverged: the run diverged in epoch 3, step 2; its"):
            assert tinynet.load(tmp_path / "diverged", small_model()).checkpoint.run["epoch"] == 2
        options |= {"out": tmp_path / "diverged", "resume": True}
        again = pytest.raises(DivergenceError, match="epoch 3, step 2")
        with again, pytest.warns(UserWarning, match="fit: the run diverged in epoch 3, step 2; it"):
            fit(small_model(), few, 4, callbacks=[RunAway(3)], **options)
    with pytest.warns(UserWarning, match="fit: the run diverged"):
        went_on = fit(small_model(), few, 4, **options)
    for name in ("diverged", "stopped"):  # neither has anything to say now
        tinynet.load(tmp_path / name, small_model())
    stopped = fit(small_model(), few, 4, **options | {"out": tmp_path / "stopped"})
    assert stopped["loss"] == went_on["loss"]


def test_weights_that_overflow_in_the_last_step_are_noticed_before_saving(few, tmp_path):
    class Overflow(Callback):
        def on_step_end(self, run, means):
            run.model[1].weight.array[3, 5] = np.inf

    options = {
        "progress": False,
        "checkpoint": tmp_path / "best.safetensors",
        "batch_size": len(few),
    }
    with pytest.raises(DivergenceError, match=r"epoch 1, step 1: the weights of 1\.weight"):
        fit(small_model(), few, 1, callbacks=[Overflow()], **options)
    assert list(tmp_path.iterdir()) == []


def test_gradient_clipping_limits_the_first_step(few):
    model = small_model()
    before = weights_of(model)
    loader = data.DataLoader(few, len(few))
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    options = {"optimizer": optimizer, "schedule": None, "progress": False}
    fit(model, loader, 1, clip_grad_norm=1e-3, **options)
    assert np.linalg.norm(weights_of(model) - before) == pytest.approx(1e-3, rel=1e-3)


class Recorder(Callback):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_train_begin(self, run):
        self.calls.append("train begin")

    def on_epoch_begin(self, run):
        self.calls.append(f"epoch {run.epoch} begin")

    def on_step_end(self, run, means):
        assert set(means) == {"loss", "accuracy"}
        self.calls.append(f"step {run.step}")

    def on_epoch_end(self, run, record):
        assert run.history[-1] is record
        self.calls.append(f"epoch {run.epoch} end")

    def on_train_end(self, run):
        self.calls.append("train end")


def test_callbacks_are_called_in_order(few):
    recorder = Recorder()
    fit(small_model(), few, 2, batch_size=100, callbacks=[recorder], progress=False)
    assert recorder.calls == [
        "train begin",
        *("epoch 1 begin", "step 1", "step 2", "epoch 1 end"),
        *("epoch 2 begin", "step 3", "step 4", "epoch 2 end"),
        "train end",
    ]


def test_callbacks_hear_the_end_of_a_run_that_fails(few):
    class Fail(Callback):
        def on_step_end(self, run, means):
            raise RuntimeError("enough")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="enough"):
        fit(small_model(), few, 1, callbacks=[recorder, Fail()], progress=False)
    assert recorder.calls[-1] == "train end"


def test_a_callback_can_stop_the_training(few):
    class StopAfterTwo(Callback):
        def on_epoch_end(self, run, record):
            if run.epoch == 2:
                run.stop = "enough"

    assert len(fit(small_model(), few, 9, callbacks=[StopAfterTwo()], progress=False)) == 2


X3, Y3 = np.zeros((40, 3), np.float32), np.repeat([0, 1], 20)


@pytest.mark.parametrize("make", [data.ArrayDataset, lambda x, y: tensors(x, y)])
@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (Y3, {}, "class by class"),
        (Y3[::-1].copy(), {}, "class by class"),
        (Y3, {"drop_last": True}, "class by class"),
        (Y3, {"shuffle": True}, None),
        (Y3, {"batch_size": 40}, None),
        (Y3, {"sampler": range(0, 40, 3)}, None),
        (np.arange(40) % 2, {}, None),
        (np.arange(40) // 2 % 2, {}, None),
        (np.ones(40, np.int64), {"shuffle": True}, "every label is 1: nothing is to be told"),
        (np.ones(40, np.int64), {}, "every label is 1: nothing is to be told"),
    ],
)
def test_batches_of_one_class_each_and_data_of_one_class_are_said(make, labels, options, said):
    loader = data.DataLoader(make(X3, labels), **{"batch_size": 8} | options)
    quiet = contextlib.nullcontext()
    with pytest.warns(UserWarning, match=said) if said else quiet:
        fit(nn.Linear(3, 2), loader, 1, progress=False)
    with quiet:  # numbers may be in order, and all the same
        fit(nn.Linear(3, 1), (X3, labels.astype(np.float32)), 1, loss="mse", progress=False)


class Own:
    """A data set of the user's, whose attributes are its own affair."""

    def __init__(self, **own: object) -> None:
        self.__dict__.update(own)

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int64]:
        return X3[i], Y3[::2][i // 2]


@pytest.mark.parametrize("name", ["tensors", "arrays", "iterable", "sampler", "dataset"])
@pytest.mark.parametrize("value", [None, 3, {"x": X3}, X3, [X3, Y3, Y3], (X3, list("ab" * 20))])
@pytest.mark.parametrize("in_loader", [True, False])
def test_attributes_of_a_data_set_of_ones_own_mean_nothing(name, value, in_loader):
    own = Own(**{name: value})
    given = data.DataLoader(own, batch_size=8) if in_loader else own
    fit(nn.Linear(3, 2), given, 1, progress=False)
    evaluate(nn.Linear(3, 2), given)


def test_labels_that_are_text_are_refused_by_the_loss():
    texts = data.ArrayDataset(X3, np.array(["a", "b"] * 20))
    with pytest.raises(TypeError, match="cross_entropy"):
        fit(nn.Linear(3, 2), data.DataLoader(texts, batch_size=8), 1, progress=False)


def tensors(x: np.ndarray, y: np.ndarray) -> TensorDataset:
    return TensorDataset(tinynet.tensor(x), tinynet.tensor(y))


def test_a_learning_rate_of_0_is_said_but_for_a_schedule_that_begins_there(few):
    made = lambda model: optim.SGD(model.parameters(), lr=0.0)  # noqa: E731
    for optimizer in ("sgd", "adam", made):
        model = small_model()
        own = optimizer(model) if callable(optimizer) else optimizer
        lr = {} if callable(optimizer) else {"lr": 0}
        with pytest.warns(UserWarning, match="fit: the learning rate is 0, and so is every step"):
            fit(model, few, 1, optimizer=own, schedule=None, progress=False, **lr)
    model = small_model()
    own = optim.SGD(model.parameters(), lr=0.1)
    rising = optim.lr_scheduler.LambdaLR(own, lambda epoch: min(epoch, 1))
    fit(model, few, 2, optimizer=own, schedule=rising, progress=False)


@pytest.mark.parametrize(
    ("x", "target", "count"),
    [
        (np.zeros((4, 3)), np.zeros(4), 4),
        (np.zeros((4, 3)), None, 4),
        ((np.zeros((4, 3)), np.zeros((4, 9))), np.zeros(4), 4),
        ([np.zeros((4, 3)), np.zeros((4, 9))], None, 4),
        ({"a": np.zeros((4, 3)), "b": np.zeros((4, 9))}, (np.zeros(4), np.zeros(4)), 4),
        ([np.zeros(5), np.zeros(7)], np.zeros(2), 2),  # sequences of their own lengths
        (["some", "text", "more"], np.zeros(3), 3),
        (["some", "text", "more"], None, 3),
    ],
)
def test_the_examples_of_a_batch_are_counted_alike_whatever_holds_them(x, target, count):
    assert size_of(x, target) == count
    found = Findings()
    found.add(x, None, target)
    assert found.seen == count


def test_early_stopping_waits_for_patience_epochs(few, held):
    model = small_model()
    optimizer = optim.SGD(model.parameters(), lr=1e-30)  # no epoch is better than the first
    options = {"optimizer": optimizer, "schedule": None, "progress": False}
    assert len(fit(model, few, 20, validate=held, early_stopping=3, **options)) == 4
    rule = EarlyStopping(2, monitor="validation_accuracy")
    assert len(fit(model, few, 20, validate=held, early_stopping=rule, **options)) == 3


def test_early_stopping_does_not_stop_while_the_loss_falls(few):
    model = small_model()
    options = {"schedule": None, "lr": 0.01, "seed": 0, "progress": False}
    assert len(fit(model, few, 6, early_stopping=EarlyStopping(1, "loss"), **options)) == 6


def test_early_stopping_counts_too_small_a_gain_as_none(few):
    model = small_model()
    rule = EarlyStopping(1, monitor="loss", min_delta=1e6)
    history = fit(model, few, 6, early_stopping=rule, lr=0.01, seed=0, progress=False)
    assert len(history) == 2


def test_monitoring_what_is_not_measured_says_what_is(few):
    rule = EarlyStopping(1, monitor="validation_loss")
    with pytest.raises(ValueError, match=r"unknown monitor 'validation_loss'.* loss.*validate="):
        fit(small_model(), few, 1, early_stopping=rule, progress=False)
    rule = EarlyStopping(1, monitor="acuracy", mode="max")
    with pytest.raises(ValueError, match="did you mean 'accuracy'"):
        fit(small_model(), few, 1, early_stopping=rule, progress=False)


class Spoil(Callback):
    """Overwrites the weights from the third epoch on, so that the second remains the best."""

    def on_step_end(self, run, means):
        if run.epoch >= 3:
            for parameter in run.model.parameters():
                parameter.array[...] = 0


def test_the_best_epoch_is_saved_and_restored(few, held, tmp_path):
    model, path = small_model(), tmp_path / "best.safetensors"
    options = {"lr": 0.2, "schedule": None, "seed": 0, "progress": False}
    best = BestModel(restore=True)
    callbacks = [Spoil(), best]
    history = fit(model, few, 4, validate=held, checkpoint=path, callbacks=callbacks, **options)
    top = history.best("validation_accuracy")
    assert top["epoch"] == best.epoch == 2
    assert evaluate(model, held)["accuracy"] == top["validation_accuracy"]
    stored = checkpoint.read(path)
    assert stored.classes == few.classes
    assert stored.input_shape == (1, 8, 8)
    loaded = tinynet.load(path, small_model(9))
    assert np.array_equal(weights_of(loaded), weights_of(model))


def test_a_checkpoint_of_fit_knows_the_normalisation(few, tmp_path):
    transform = data.standardize(few)
    path = tmp_path / "best.safetensors"
    fit(small_model(), few, 1, transform=transform, checkpoint=path, progress=False)
    mean, std = data.channel_statistics(few)
    stored = checkpoint.read(path)
    assert stored.mean == pytest.approx(mean)
    assert stored.std == pytest.approx(std)
    again = stored.preprocessing()
    assert np.array_equal(again(few.images), transform(few.images))


def test_evaluating_puts_every_mode_back():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not model(np.ones((1, 2), np.float32)).requires_grad
    assert [module.training for module in model.modules()] == [True, True, False]
    with pytest.raises(RuntimeError, match="inside"), evaluating(model):
        raise RuntimeError("inside")
    assert model.training


def test_fit_trains_in_training_mode_and_leaves_evaluation_mode(few, held):
    modes = []

    class Look(Callback):
        def on_step_end(self, run, means):
            modes.append(run.model.training)

    model = small_model()
    fit(model, few, 2, validate=held, callbacks=[Look()], progress=False)
    assert set(modes) == {True}
    assert not model.training


def test_predict_takes_arrays_tensors_datasets_and_batches(few):
    model = small_model()
    images = few.images.astype(np.float32) / 255
    expected = model(tinynet.tensor(images)).numpy()
    for form in (images, tinynet.tensor(images), few, data.DataLoader(few, 64), few.images):
        assert np.allclose(
            predict(model, form, batch_size=70) if form is few else predict(model, form),
            expected,
            atol=1e-5,
        )


def test_metrics_of_ones_own_are_averaged_and_recorded(few, held):
    metrics = {"first_score": lambda output, target: float(np.mean(output[:, 0]))}
    model = small_model()
    history = fit(model, few, 1, validate=held, metrics=metrics, progress=False)
    scores = predict(model, held)
    assert history[0]["validation_first_score"] == pytest.approx(scores[:, 0].mean(), rel=1e-4)
    assert "accuracy" not in history[0]


def test_regression_needs_no_word_on_metrics():
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    model = nn.Linear(1, 1)
    dataset = data.ArrayDataset(x, 3 * x + 1)
    history = fit(model, dataset, 30, batch_size=8, loss=F.mse_loss, lr=0.05, progress=False)
    assert float(model.weight.array[0, 0]) == pytest.approx(3, abs=0.05)
    assert list(history[0]) == ["epoch", "loss", "lr", "seconds"]
    with pytest.raises(tinynet.ShapeError, match=r"metrics=\{\}"):
        fit(model, dataset, 1, loss=F.mse_loss, metrics={"accuracy": accuracy}, progress=False)


def test_labels_of_every_pixel_need_no_word_on_metrics():
    x = np.random.default_rng(0).random((32, 1, 6, 6)).astype(np.float32)
    pixels = data.ArrayDataset(x, (x[:, 0] > 0.5).astype(np.int64))
    model = nn.Conv2d(1, 2, 1)
    fit(model, pixels, 30, batch_size=8, lr=0.5, seed=0, progress=False)
    assert evaluate(model, pixels)["accuracy"] > 0.95


def test_lines_are_printed_where_there_is_no_terminal(few, held, capsys):
    fit(small_model(), few, 2, validate=held, seed=0)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "  validation " in lines[1]
    assert lines[1].count("%") == 2
    assert err == ""


def test_the_bar_shows_loss_and_accuracy_on_stderr(few, held, capsys, monkeypatch):
    every_step = functools.partial(tqdm.tqdm, mininterval=0, miniters=1)
    monkeypatch.setattr(tqdm, "tqdm", every_step)
    fit(small_model(), few, 2, validate=held, seed=0, progress=True)
    out, err = capsys.readouterr()
    assert [line[:9] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "epoch 2/2" in err
    assert "75%" in err  # of 4 batches
    assert "loss " in err
    assert "accuracy " in err


def test_without_a_standard_error_lines_are_printed(few, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)  # as under pythonw, or in a service
    for progress in (None, True):
        fit(small_model(), few, 1, seed=0, progress=progress)
        assert capsys.readouterr().out.startswith("epoch 1/1  loss ")


def test_silence_is_silent(few, capsys):
    fit(small_model(), few, 1, seed=0, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"optimizer": "sdg"}, ValueError, "did you mean 'sgd'"),
        ({"schedule": "onecicle"}, ValueError, "did you mean 'onecycle'"),
        ({"early_stopping": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"validate": 3}, TypeError, "validate must be arrays"),
    ],
)
def test_wrong_arguments_are_named(few, change, error, words):
    arguments = {"epochs": 1, "progress": False, **change}
    with pytest.raises(error, match=words):
        fit(small_model(), few, **arguments)


def test_arguments_that_a_loader_or_an_optimizer_already_has_are_refused(few, held):
    loader = data.DataLoader(few, 32, transform=data.standardize(few))
    model = small_model()
    with pytest.raises(ValueError, match="batch_size and augment are for a dataset"):
        fit(model, loader, 1, batch_size=3, progress=False)
    with pytest.raises(ValueError, match="lr and weight_decay are for an optimizer by name"):
        fit(model, few, 1, optimizer=optim.SGD(model.parameters()), lr=0.1, progress=False)
    with pytest.warns(UserWarning, match="is one of them scaled, and not the"):
        fit(model, loader, 1, validate=held, progress=False)


def test_no_data_is_an_error(few):
    empty = data.ArrayDataset(few.images[:0], few.labels[:0])
    with pytest.raises(DataError, match="training data is empty"):
        fit(small_model(), empty, 1, progress=False)
    with pytest.raises(DataError, match="no example to measure"):
        evaluate(small_model(), empty)
    with pytest.raises(DataError, match="no example to predict"):
        predict(small_model(), empty)
    with pytest.raises(DataError, match="no batch of 1000"):
        fit(small_model(), data.DataLoader(few, 1000, drop_last=True), 1, progress=False)
    model = small_model()
    with pytest.raises(DataError, match="no batch to train on"):
        train_epoch(model, [], optim.SGD(model.parameters()))


def test_an_augmentation_in_pixels_needs_the_pixels_or_the_side():
    assert [step.pixels for step in make_augment("shift:2").transforms[1:]] == [2]
    assert make_augment("rotate", 8) is not None
    with pytest.raises(ValueError, match="say how many pixels, shift:2, or side=, the height"):
        make_augment("shift")


@pytest.mark.parametrize(
    ("shape", "model"),
    [
        ((1, 8, 8), "digits_cnn"),
        ((1, 28, 28), "lenet5"),
        ((1, 32, 32), "lenet5"),
        ((1, 40, 40), "digits_cnn"),
        ((3, 32, 32), "digits_cnn"),
        ((3, 224, 224), "resnet8"),
        ((1, 224, 160), "resnet8"),
    ],
)
def test_the_recipe_suits_the_images(shape, model):
    recipe = recipe_for(shape)
    assert recipe.model == model
    assert "flip" not in recipe.augment
    assert "flip" in recipe_for((3, 32, 32), "cifar10").augment
    arguments = {"num_classes": 3, "in_channels": shape[0], "image_size": shape[1:]}
    network = models.build(recipe.model, **arguments).eval()
    images = np.zeros((2, *shape), np.uint8)
    augment = make_augment(recipe.augment, shape[1])
    x = images.astype(np.float32) if augment is None else augment(images)
    assert network(x).shape == (2, 3)


@pytest.mark.parametrize(
    ("text", "side", "words"),
    [
        ("shift:8", 8, "whole pixels, fewer than the image has, from 0 to 7; got '8'"),
        ("shift:100", (8, 8), "from 0 to 7; got '100'"),
        ("shift:8", (28, 8), "from 0 to 7; got '8'"),
        ("shift:1.5", 8, "expected whole pixels, .* from 0 to 7; got '1.5'"),
        ("shift:inf", 8, "got 'inf'"),
        ("rotate:nan", 8, "got 'nan'"),
        ("rotate:270", 8, "expected degrees from 0 to 180; got '270'"),
        ("shift:", 8, "got ''"),
        ("shift:-1", 8, "got '-1'"),
        ("flip:2", 8, "expected a probability from 0 to 1; got '2'"),
    ],
)
def test_augmentations_that_make_no_sense_for_the_images_are_refused(text, side, words):
    with pytest.raises(ValueError, match=words):
        make_augment([text], side)


def test_the_largest_shift_leaves_something_of_every_image():
    shifted = make_augment(["shift:7"], 8)(np.ones((500, 1, 8, 8), np.float32))
    assert (shifted.max((1, 2, 3)) > 0).all()


def test_predicting_from_a_loader_that_shuffles_is_warned_of(few):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.warns(UserWarning, match="predict: the DataLoader shuffles"):
        predict(model, data.DataLoader(few, 16, shuffle=True, seed=0))


def test_a_model_of_float64_is_shown_data_of_float64():
    x, y = np.random.default_rng(0).normal(size=(6, 2)), np.arange(6.0)[:, None] / 3
    model = nn.Linear(2, 1).double()
    seen = []
    model.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].array))
    fit(model, x, y, epochs=1, validate=(x[::-1], y), loss="mse", progress=False)
    evaluate(model, data.ArrayDataset(x, y), "mse")
    np.testing.assert_array_equal(predict(model, x), model(tinynet.tensor(x)).array)
    assert all(np.isin(batch, x).all() for batch in seen)


def test_the_rate_that_is_named_is_the_highest_so_far():
    class Explode(Callback):
        def on_epoch_begin(self, run):
            if run.epoch == 2:
                run.model.weight.array[...] = np.inf

    x = np.ones((64, 3), np.float32)
    with pytest.raises(DivergenceError, match=r"learning rate was at most 0\.[34]\d*; try a tenth"):
        fit(nn.Linear(3, 2), x, np.arange(64) % 2, epochs=2, batch_size=4, lr=0.4, seed=0,
            callbacks=[Explode()], progress=False)  # fmt: skip
