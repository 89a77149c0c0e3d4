"""A run that was interrupted goes on bit for bit as if it had not been."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, optim
from tinynet.errors import CheckpointError
from tinynet.optim import lr_scheduler
from tinynet.training import (
    OPTIMIZERS,
    SCHEDULES,
    BestModel,
    Callback,
    EarlyStopping,
    checkpoint,
    fit,
)
from tinynet.training.history import History, from_columns

EPOCHS, BATCH = 3, 8


class Dead(Exception):  # noqa: N818
    """Stands for a kill: nothing is done any more after it, as RunFolder saves only at signals."""


class DieAt(Callback):
    """Ends training after a step of the whole run."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, run, means):
        if run.step == self.step:
            raise Dead


class Jitter(data.Transform):
    """An augmentation with a generator of its own, and with Python's and NumPy's global ones."""

    def __init__(self) -> None:
        self.rng = np.random.Generator(np.random.Philox(5))

    def change(self, x, rng):
        noise = self.rng.random() + random.random() + np.random.rand() + rng.random()
        return x + np.float32(0.01 * noise)


@pytest.fixture(scope="module")
def few() -> data.ArrayDataset:
    train = data.load("digits", "train")
    return data.ArrayDataset(train.images[:52], train.labels[:52], classes=train.classes)


@functools.cache
def held() -> data.ArrayDataset:
    test = data.load("digits", "test")
    return data.ArrayDataset(test.images[:40], test.labels[:40])


def make_model() -> nn.Sequential:
    tinynet.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Dropout(0.1, rng=np.random.Generator(np.random.MT19937(1))),
        nn.Linear(108, 10),
    )


def train(few, out: Path, die_at: int = 0, resume: bool = True, **options):
    """A run with everything that has a state; history and the run's last checkpoint."""
    random.seed(1)
    np.random.seed(1)
    model = make_model()
    if callable(options.get("optimizer")):
        options["optimizer"] = options["optimizer"](model.parameters())
        options["schedule"] = options["schedule"](options["optimizer"])
    fit(
        model,
        few,
        EPOCHS,
        **{"validate": held(), "seed": 1, "early_stopping": 2, **options},
        batch_size=BATCH,
        augment=data.Compose([data.ToFloat(), data.RandomShift(1), Jitter()]),
        transform=data.ToFloat(),
        callbacks=[DieAt(die_at)],
        progress=False,
        out=out,
        save_every=4,
        resume=resume,
    )
    return model


def outcome(out: Path):
    stored = checkpoint.read(out / "last.safetensors")
    records = from_columns(stored.run["history"])
    history = [{k: v for k, v in r.items() if k != "seconds"} for r in records]
    return stored.sha256(), history, stored.run["losses"].tolist(), stored.run["random"]["default"]


def dies_and_goes_on(few, folder: Path, **options) -> None:
    """Compare a run that is interrupted several times with one that is not."""
    train(few, folder / "whole", **options)
    for step in (1, 9, 14):  # 7 steps an epoch, saved after every 4 and every 7
        with pytest.raises(Dead):
            train(few, folder / "cut", die_at=step, **options)
    train(few, folder / "cut", **options)
    assert outcome(folder / "cut") == outcome(folder / "whole")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_to_the_bit(few, tmp_path, optimizer):
    dies_and_goes_on(few, tmp_path, optimizer=optimizer)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_named_schedule_goes_on_to_the_bit(few, tmp_path, schedule):
    dies_and_goes_on(few, tmp_path, schedule=schedule, clip_grad_norm=1.0)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: lr_scheduler.StepLR(o, 1, 0.5),
        lambda o: lr_scheduler.LambdaLR(o, lambda n: 1 / (1 + n)),
        lambda o: lr_scheduler.MultiStepLR(o, [1, 2], 0.5),
        lambda o: lr_scheduler.ConstantLR(o, 0.5, 2),
        lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 2),
        lambda o: lr_scheduler.ExponentialLR(o, 0.5),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 3),
        lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=21, three_phase=True),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=0.5),
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.5), lr_scheduler.ExponentialLR(o, 0.5)], [1]
        ),
    ],
    ids=lambda make: make.__code__.co_names[1],
)
def test_every_scheduler_goes_on_to_the_bit(few, tmp_path, schedule):
    dies_and_goes_on(few, tmp_path, optimizer=momentum, schedule=schedule)


CHOSEN = {
    "plateau": {
        "schedule": lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", patience=0, threshold=0.9),
        "monitor": "validation_accuracy",
    },
    "batches": {
        "schedule": lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.5), lr_scheduler.CosineAnnealingLR(o, 11)], [10]
        ),
        "step": "batch",
    },
    "epochs": {"schedule": lambda o: lr_scheduler.OneCycleLR(o, 0.1, 3), "step": "epoch"},
}


def momentum(parameters):
    return optim.SGD(parameters, lr=0.05, momentum=0.9)


@pytest.mark.parametrize("name", CHOSEN)
def test_what_a_schedule_looks_at_and_when_it_steps_goes_on_to_the_bit(few, tmp_path, name):
    stopping = EarlyStopping(2, "validation_accuracy", restore=True)
    options = {"optimizer": momentum, "early_stopping": stopping}
    dies_and_goes_on(few, tmp_path, **options, **CHOSEN[name])


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ("plateau", {"monitor": "accuracy"}, "looks at validation_accuracy .*, now .* accuracy"),
        ("batches", {"step": "epoch"}, "after every batch in .*, now .* after every epoch"),
        (
            "epochs",
            {"early_stopping": EarlyStopping(2, "energy", mode="min")},
            "EarlyStopping watched .*validation_loss.* now .*energy",
        ),
    ],
)
def test_a_run_that_looked_at_something_else_is_not_resumed(few, tmp_path, before, now, words):
    options = {"optimizer": momentum, **CHOSEN[before]}
    train(few, tmp_path, **options)
    kept = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=words):
        train(few, tmp_path, **{**options, **now})
    assert (tmp_path / "last.safetensors").read_bytes() == kept


@pytest.mark.parametrize(("whole", "point"), [(0, 0.0), (1, 1.0)])
def test_a_setting_is_the_same_with_and_without_a_point(few, tmp_path, whole, point):
    def go_on(epochs, value, **options):
        model = make_model()
        optimizer = optim.AdamW(model.parameters(), betas=(0.9, 0.5 * value), weight_decay=value)
        flip = data.RandomHorizontalFlip(value)
        options |= {"out": tmp_path, "seed": 0, "progress": False}
        return fit(model, few, epochs, optimizer=optimizer, augment=flip, **options)

    go_on(2, whole)
    assert len(go_on(3, point, resume=True)) == 3
    with pytest.raises(CheckpointError, match="betas was"):
        go_on(4, 0.7, resume=True)


def test_without_a_seed_a_run_goes_on_to_the_bit_too(few, tmp_path):
    dies_and_goes_on(few, tmp_path, seed=None)


def test_plain_batches_go_on_where_they_were(few, tmp_path):
    batches = list(data.DataLoader(few, BATCH))

    def run(out, die_at=0):
        model = make_model()
        options = {"progress": False, "out": tmp_path / out, "resume": True, "save_every": 1}
        fit(model, batches, 2, lr=0.01, seed=1, callbacks=[DieAt(die_at)], **options)

    run("whole")
    for step in (3, 9):
        with pytest.raises(Dead):
            run("cut", step)
    run("cut")
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


def test_a_finished_run_is_not_trained_again(few, tmp_path):
    train(few, tmp_path / "a")
    before = (tmp_path / "a/last.safetensors").read_bytes()
    model = train(few, tmp_path / "a", die_at=1)
    assert (tmp_path / "a/last.safetensors").read_bytes() == before
    assert checkpoint.read(tmp_path / "a/last.safetensors").sha256() == (
        checkpoint.weights_sha256(model.state_dict())
    )


def test_the_folder_keeps_the_last_the_best_and_every_kth(few, tmp_path):
    options = {"lr": 0.01, "seed": 0, "progress": False, "validate": held()}
    fit(make_model(), few, 5, out=tmp_path, keep_every=2, **options)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "best.safetensors",
        "epoch-0002.safetensors",
        "epoch-0004.safetensors",
        "last.safetensors",
        "report.html",
    ]
    runs = {name: checkpoint.read(tmp_path / name).run for name in names[:-1]}
    assert [
        runs[n]["epoch"]
        for n in ("epoch-0002.safetensors", "epoch-0004.safetensors", "last.safetensors")
    ] == [2, 4, 5]
    best = History(from_columns(runs["last.safetensors"]["history"])).best()
    assert runs["best.safetensors"]["epoch"] == best["epoch"]
    assert checkpoint.read(tmp_path / "best.safetensors").chosen_by == "validation_accuracy"


def test_a_run_goes_on_from_any_kept_checkpoint(few, tmp_path):
    options = {"lr": 0.01, "seed": 0, "progress": False, "batch_size": BATCH}
    fit(make_model(), few, 4, out=tmp_path, keep_every=2, **options)
    again = make_model()
    history = fit(again, few, 4, resume=tmp_path / "epoch-0002.safetensors", **options)
    last = checkpoint.read(tmp_path / "last.safetensors")
    assert checkpoint.weights_sha256(again.state_dict()) == last.sha256()
    assert history.column("loss") == last.run["history"][0]["loss"].tolist()


def test_the_best_weights_are_restored_after_an_interruption_too(few, tmp_path):
    def run(out, die_at=0):
        model = make_model()
        callbacks = [
            DieAt(die_at),
            EarlyStopping(9),
            BestModel(tmp_path / f"{out}.safetensors", monitor="epoch", mode="max", restore=True),
        ]
        options = {"progress": False, "out": tmp_path / out, "resume": True, "seed": 1}
        fit(model, few, 3, lr=0.01, batch_size=BATCH, callbacks=callbacks, **options)
        return checkpoint.weights_sha256(model.state_dict())

    whole = run("whole")
    with pytest.raises(Dead):
        run("cut", 16)
    assert run("cut") == whole == checkpoint.read(tmp_path / "cut.safetensors").sha256()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adam"}, "optimizer was SGD in the run, now it is Adam"),
        ({"schedule": "cosine"}, "schedule was OneCycleLR .* now it is CosineAnnealingLR"),
        ({"epochs": 1}, "epochs was 2 in the run, now it is 1"),
        ({"batch_size": 10}, "batch_size"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 10))}, "does not fit|parameters"),
        (
            {"model": nn.Sequential(*make_model(), nn.Dropout(rng=np.random.default_rng(0)))},
            "random",
        ),
    ],
)
def test_another_run_is_not_resumed_and_nothing_is_touched(few, tmp_path, changes, words):
    options = {"epochs": 2, "lr": 0.01, "seed": 0, "progress": False, "batch_size": BATCH}
    fit(make_model(), few, out=tmp_path, **options)
    model = changes.pop("model", None) or make_model()
    before = model.state_dict()
    with pytest.raises(CheckpointError, match=words):
        fit(model, few, out=tmp_path, resume=True, **{**options, **changes})
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_a_damaged_checkpoint_is_not_resumed(few, tmp_path):
    options = {"lr": 0.01, "seed": 0, "progress": False}
    fit(make_model(), few, 1, out=tmp_path, **options)
    content = bytearray((tmp_path / "last.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "last.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: .*damaged"):
        fit(make_model(), few, 1, out=tmp_path, resume=True, **options)


def test_resume_and_keep_need_a_folder(few):
    with pytest.raises(ValueError, match="pass out="):
        fit(make_model(), few, 1, resume=True)
    with pytest.raises(ValueError, match="pass out="):
        fit(make_model(), few, 1, save_every=3)
    with pytest.raises(ValueError, match="save_every must be at least 1"):
        fit(make_model(), few, 1, save_every=0, out="x")


def test_a_model_alone_cannot_be_resumed(few, tmp_path):
    checkpoint.save(make_model(), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds a model, but no run"):
        fit(make_model(), few, 1, resume=tmp_path / "model.safetensors", progress=False)


def test_a_model_with_lazy_layers_goes_on_as_if_it_had_not_been_interrupted(tmp_path):
    x = np.random.default_rng(0).standard_normal((60, 1, 6, 6)).astype(np.float32)

    def train(out, **options):
        tinynet.manual_seed(0)
        model = nn.Sequential(nn.LazyConv2d(2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
        fit(model, x, np.arange(60) % 3, epochs=3, out=out, seed=0, progress=False, **options)
        return tinynet.training.weights_sha256(model.state_dict())

    whole = train(tmp_path / "a", keep_every=1)
    assert train(tmp_path / "b", resume=tmp_path / "a" / "epoch-0002.safetensors") == whole
