"""Which epoch is the best: one rule for early stopping, best models, schedules and the history."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tinynet import data, nn, optim
from tinynet.optim import lr_scheduler
from tinynet.training import BestModel, Callback, EarlyStopping, History, fit
from tinynet.training.quantities import known_direction

NAN = float("nan")


class Script(Callback):
    """A metric that goes through given values, epoch by epoch, and the weights of each epoch."""

    def __init__(self, values):
        self.values, self.now = values, NAN
        self.weights = []

    def on_epoch_begin(self, run):
        self.now = self.values[run.epoch - 1]

    def on_epoch_end(self, run, record):
        self.weights.append(run.model.weight.array.copy())


def play(values, name, *callbacks, **options):
    """Train while the metric goes through the values -> history, the epoch whose weights are left.

    `validation_NAME` goes through them; that of training has the same values.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 4)).astype(np.float32)
    train = data.ArrayDataset(x[:20], np.arange(20) % 3)
    held = data.ArrayDataset(x[20:], np.arange(10) % 3)
    script, model = Script(values), nn.Linear(4, 3, rng=rng)
    options = {"schedule": None, "lr": 0.1, "seed": 0, "progress": False, **options}
    if callable(options.get("optimizer")):
        options["optimizer"] = options["optimizer"](model.parameters())
        options["schedule"] = options["schedule"](options["optimizer"])
        del options["lr"]
    history = fit(
        model,
        train,
        len(values),
        validate=held,
        metrics={name: lambda output, target: script.now},
        callbacks=[script, *callbacks],
        **options,
    )
    left = [i for i, w in enumerate(script.weights, 1) if np.array_equal(w, model.weight.array)]
    return history, left


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, "min") for name in ("loss", "mse", "mae", "rmse", "error_rate", "perplexity")),
        *((name, "min") for name in ("top1_error", "iou_loss", "log_loss", "MSE", "nll", "wer")),
        *((name, "min") for name in ("mean_squared_error", "meanSquaredError", "cross_entropy")),
        *((name, "max") for name in ("accuracy", "acc", "top5", "top_k_accuracy", "f1", "mIoU")),
        *((name, "max") for name in ("AUC", "precision", "recall", "r2", "psnr", "dice_score")),
        *((name, None) for name in ("m", "epoch", "lr", "speed", "neg_mse", "negative_log_loss")),
        *((name, None) for name in ("inaccuracy", "accuracy_drop", "loss_reduction", "unlikely")),
        *((name, None) for name in ("lossless", "gap", "variance", "performance")),
    ],
)
def test_a_name_says_which_way_is_better_or_nothing(name, direction):
    assert known_direction(name) == known_direction(f"validation_{name}") == direction


@pytest.mark.parametrize(
    ("values", "name", "mode", "best"),
    [
        ([0.5, 0.9, NAN, 0.6], "accuracy", None, 2),
        ([0.5, 0.9, NAN], "accuracy", None, 2),
        ([NAN, 0.5, 0.9, 0.6], "accuracy", None, 3),
        ([NAN, 0.5, 0.1, NAN, 0.3], "mse", None, 3),
        ([0.5, 0.1, 0.3], "error_rate", None, 2),
        ([0.5, 0.1, 0.3], "energy", "min", 2),
        ([0.5, 0.9, 0.9], "energy", "max", 3),  # the validation loss is lower
        ([0.5, 0.1, 0.3], "accuracy", "min", 2),
        ([float("inf"), 2.0, 3.0], "loss_of_mine_mse", None, 2),
        ([-3.0, -1.0, -2.0], "score", None, 2),
    ],
)
def test_the_best_epoch_is_the_same_for_all_who_ask(tmp_path, values, name, mode, best):
    monitor = f"validation_{name}"
    model = BestModel(tmp_path / "best.safetensors", monitor, restore=True, mode=mode)
    history, left = play(values, name, model)
    assert left == [model.epoch] == [history.best(monitor, mode)["epoch"]] == [best]
    stopping = EarlyStopping(9, monitor, mode=mode, restore=True)
    assert play(values, name, early_stopping=stopping)[1] == [stopping.epoch] == [best]


def test_early_stopping_counts_nan_as_no_better():
    stopping = EarlyStopping(2, "validation_accuracy")
    values = [0.5, 0.6, NAN, NAN, 0.9]
    assert len(play(values, "accuracy", early_stopping=stopping)[0]) == 4
    with pytest.warns(UserWarning, match="validation_accuracy was NaN in every epoch"):
        assert len(play([NAN] * 5, "accuracy", early_stopping=stopping)[0]) == 2


def test_early_stopping_says_why_and_leaves_the_best_weights_only_if_asked(capsys):
    values = [0.1, 0.9, 0.3, 0.2, 0.2]
    for restore, left in ((True, [2]), (False, [4])):
        stopping = EarlyStopping(2, "validation_accuracy", restore=restore)
        assert play(values, "accuracy", early_stopping=stopping, progress=None)[1] == left
        said = capsys.readouterr().out.splitlines()[-1]
        assert said == "stopped: no better epoch since epoch 2 (validation accuracy 90.00 %)"
    with pytest.warns(UserWarning, match="EarlyStopping: accuracy was NaN in every epoch"):
        play([NAN] * 5, "accuracy", early_stopping=EarlyStopping(2, "accuracy"), progress=None)
    assert "stopped: accuracy was NaN in every epoch" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [{"restore": True}, {"path": "best.safetensors"}])
def test_where_every_epoch_is_nan_there_is_no_best(tmp_path, monkeypatch, kept):
    monkeypatch.chdir(tmp_path)
    best = BestModel(monitor="validation_m", mode="max", **kept)
    with pytest.warns(UserWarning, match="validation_m was NaN in every epoch, so none was"):
        history, left = play([NAN] * 2, "m", best)
    assert left == [2]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="no best epoch: validation_m is NaN in all"):
        history.best("validation_m", "max")


@pytest.mark.parametrize(
    "ask",
    [
        lambda **mode: EarlyStopping(1, "energy", **mode),
        lambda **mode: BestModel(monitor=("energy", "loss"), **mode),
        lambda **mode: History([{"energy": 1.0}]).best("energy", **mode),
    ],
)
def test_a_name_that_says_nothing_asks_for_the_mode(ask):
    with pytest.warns(UserWarning, match="a high value of energy .* mode='max' or mode='min'"):
        ask()
    with warnings.catch_warnings():
        ask(mode="min")
    with pytest.raises(ValueError, match="unknown mode 'mix'; did you mean"):
        ask(mode="mix")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EarlyStopping(True), "patience must be an integer, got True"),
        (lambda: EarlyStopping(NAN), "patience must be an integer, got nan"),
        (lambda: EarlyStopping(0), "patience must be at least 1, got 0"),
        (lambda: EarlyStopping(min_delta=-1), r"\(min_delta=-1\): .* finite number of at least 0"),
        (lambda: EarlyStopping(min_delta=NAN), r"\(min_delta=nan\): .* finite number"),
        (lambda: EarlyStopping(min_delta="0"), "min_delta must be a plain number"),
    ],
)
def test_rules_that_make_no_sense_are_refused(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_an_epoch_that_lacks_the_quantity_is_not_the_best():
    history = History([{"accuracy": 0.5}, {"loss": 1.0}, {"accuracy": 0.6}])
    assert history.best("accuracy") == {"accuracy": 0.6}


# ----- schedules ------------------------------------------------------------------------------


def plateau(**settings):
    return {
        "optimizer": lambda parameters: optim.SGD(parameters, lr=1.0),
        "schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, **settings),
    }


@pytest.mark.parametrize(
    ("settings", "monitor", "values", "rates"),
    [
        ({"mode": "max"}, None, [0.1, 0.2, 0.3, 0.3], [1, 1, 1, 1]),
        ({"mode": "max"}, None, [0.1, 0.2, 0.1, 0.3], [1, 1, 1, 0.1]),
        ({"mode": "max"}, "validation_accuracy", [0.2, 0.1, NAN], [1, 1, 0.1]),
        ({"mode": "max"}, "accuracy", [0.2, 0.1, 0.1], [1, 1, 0.1]),
    ],
)
def test_reduce_on_plateau_looks_at_what_goes_its_way(settings, monitor, values, rates):
    history, _ = play(values, "accuracy", monitor=monitor, **plateau(**settings))
    assert history.column("lr") == pytest.approx(rates)


def test_reduce_on_plateau_takes_a_metric_of_ones_own_by_its_mode():
    options = plateau(mode="min")
    history, _ = play([3, 2, 2, 1], "energy", monitor="validation_energy", **options)
    assert history.column("lr") == pytest.approx([1, 1, 1, 0.1])


def options_for(make, **more):
    return {"optimizer": lambda p: optim.SGD(p, lr=1.0), "schedule": make, **more}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (plateau() | {"monitor": "validation_accuracy"}, r"mode='min'.* Build it with mode='max'"),
        (plateau(mode="max") | {"monitor": "loss"}, r"mode='max'.* Build it with mode='min'"),
        (plateau() | {"step": "batch"}, "once an epoch: step='epoch'"),
        (plateau() | {"step": "steps"}, "unknown step 'steps'"),
        (
            options_for(lambda o: lr_scheduler.StepLR(o, 1), monitor="loss"),
            "monitor='loss' is for the schedule ReduceLROnPlateau",
        ),
        (
            options_for(lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=3)),
            r"OneCycleLR\(total_steps=3\) is to take 6 steps, .*=6, or pass step='epoch'",
        ),
        (
            options_for(lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=2)),
            r"OneCycleLR\(total_steps=2\) is to take 6 steps, .*=6$",
        ),
        (
            options_for(lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=2), step="epoch"),
            "is to take 3 steps, one after every epoch: build it with total_steps=3",
        ),
        (
            options_for(
                lambda o: lr_scheduler.StepLR(optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0), 1)
            ),
            "built on another optimizer",
        ),
        ({"schedule": "cosine", "step": "epoch"}, "step='epoch' is for a scheduler of yours"),
        ({"schedule": "cosine", "monitor": "loss"}, "is for the schedule ReduceLROnPlateau"),
    ],
)
def test_what_contradicts_is_refused_before_the_first_step(options, words):
    with pytest.raises(ValueError, match=words):
        play([0.1, 0.2, 0.3], "accuracy", batch_size=10, **options)


def test_what_is_no_schedule_is_refused():
    for wrong in (lr_scheduler.StepLR, 3, []):
        with pytest.raises(TypeError, match="schedule must be a name, a scheduler or None"):
            play([0.1], "accuracy", schedule=wrong)


def halving(o):
    return lr_scheduler.ExponentialLR(o, 0.5)


def warm_up(o):
    return lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.5, 1.0, 2), lr_scheduler.ExponentialLR(o, 0.5)], [2]
    )


@pytest.mark.parametrize(
    ("make", "step", "rates"),
    [
        (halving, None, [1, 0.5, 0.25]),
        (halving, "epoch", [1, 0.5, 0.25]),
        (halving, "batch", [1, 0.25, 0.0625]),  # the highest of each epoch
        (warm_up, None, [0.5, 0.75, 1]),
        (warm_up, "batch", [0.75, 1, 0.25]),
        (lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=3), "epoch", None),
    ],
)
def test_a_scheduler_steps_after_every_epoch_or_after_every_batch(make, step, rates):
    options = options_for(make, step=step, batch_size=10)
    if rates is None:
        o = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        alone, rates = make(o), []
        for _ in range(3):
            rates += alone.get_last_lr()
            alone.step()
    history, _ = play([0.1, 0.2, 0.3], "accuracy", **options)
    assert history.column("lr") == pytest.approx(rates)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=6), 6),
        (lambda o: lr_scheduler.LinearLR(o, total_iters=5), 5),
        (lambda o: lr_scheduler.StepLR(o, step_size=4), 4),
        (lambda o: lr_scheduler.MultiStepLR(o, [2, 30]), 30),
        (lambda o: lr_scheduler.SequentialLR(o, [halving(o), halving(o)], [4]), 4),
        (
            lambda o: lr_scheduler.SequentialLR(
                o, [halving(o), lr_scheduler.CosineAnnealingLR(o, 3)], [2]
            ),
            5,
        ),
    ],
)
def test_a_scheduler_that_counts_further_than_the_epochs_is_asked_what_it_counts(make, count):
    words = f"after every epoch, so 3, but counts to {count},.* If it counts batches, .*'batch'"
    with pytest.warns(UserWarning, match=words):
        play([0.1, 0.2, 0.3], "accuracy", **options_for(make))
    for step in ("epoch", "batch"):
        play([0.1, 0.2, 0.3], "accuracy", **options_for(make, step=step))


def test_a_cycle_that_does_not_come_down_within_the_training_is_told():
    options = options_for(lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=50), batch_size=10)
    with pytest.warns(UserWarning, match="every batch, so 6, but counts to 50, where it does not"):
        play([0.1, 0.2, 0.3], "accuracy", **options)
    play([0.1, 0.2, 0.3], "accuracy", **options, step="batch")


def test_fit_says_when_a_scheduler_steps_and_what_it_looks_at(capsys):
    play([0.1], "accuracy", progress=None, **plateau(mode="max"))
    assert capsys.readouterr().out.splitlines()[0] == (
        "ReduceLROnPlateau takes a step after every epoch, and looks at validation_accuracy or "
        "accuracy (mode max)"
    )
    play([0.1], "accuracy", progress=None, **options_for(halving, step="batch"))
    assert "ExponentialLR takes a step after every batch\n" in capsys.readouterr().out


# ----- a schedule by name belongs to one training -------------------------------------------------


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "linear", "step", "constant"])
def test_a_second_training_with_the_same_optimizer_begins_at_its_own_rate(schedule):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    some = data.ArrayDataset(x, np.arange(64) % 3)
    rates = []
    for _ in range(2):
        options = {"batch_size": 8, "seed": 0, "progress": False}
        history = fit(model, some, 2, optimizer=optimizer, schedule=schedule, **options)
        rates.append(history.column("lr"))
        assert optimizer.param_groups[0]["lr"] == 0.1
        assert optimizer.param_groups[0]["momentum"] == 0.9
    assert rates[0] == rates[1]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_cycle_without_room_is_made_at_the_learning_rate(steps):
    model = nn.Linear(4, 3)
    before = model.weight.array.copy()
    x = np.ones((8 * steps, 4), np.float32)
    some = data.ArrayDataset(x, np.arange(8 * steps) % 3)
    history = fit(model, some, 1, lr=0.5, batch_size=8, seed=0, progress=False)
    assert history.column("lr") == [0.5]
    assert np.abs(model.weight.array - before).max() > 1e-3


def test_an_optimizer_made_before_a_layer_was_replaced_is_refused():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    some = data.ArrayDataset(np.ones((8, 4), np.float32), np.arange(8) % 3)
    model[1] = nn.Linear(8, 3)
    with pytest.raises(ValueError, match=r"not its 1\.weight, 1\.bias: was a layer replaced"):
        fit(model, some, 1, optimizer=optimizer, progress=False)
    some_layers = optim.SGD(model[0].parameters(), lr=0.1)  # as who trains one layer alone means it
    fit(model, some, 1, optimizer=some_layers, progress=False)
