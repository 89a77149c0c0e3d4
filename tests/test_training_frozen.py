"""What the user froze, or put into evaluation mode, `fit` leaves so; and it says what stays."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, optim
from tinynet.errors import CheckpointError
from tinynet.nn import functional as F
from tinynet.training import (
    OPTIMIZERS,
    Callback,
    evaluate,
    evaluating,
    fit,
    make_optimizer,
    predict,
    train_epoch,
)

RNG = np.random.default_rng(0)
ROWS = data.ArrayDataset(RNG.standard_normal((40, 4)).astype(np.float32), np.arange(40) % 3)
OTHERS = data.ArrayDataset(RNG.standard_normal((20, 4)).astype(np.float32), np.arange(20) % 3)


def net() -> nn.Sequential:
    rng = np.random.default_rng(1)
    return nn.Sequential(
        nn.Sequential(nn.Linear(4, 8, rng=rng), nn.BatchNorm1d(8), nn.ReLU()),
        nn.BatchNorm1d(8),
        nn.Dropout(0.5),
        nn.Linear(8, 3, rng=rng),
    )


def train(model: nn.Module, epochs: int = 2, **options):
    options = {"batch_size": 10, "lr": 0.1, "seed": 0, "progress": False, **options}
    return fit(model, ROWS, epochs, **options)


def statistics(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: b.array.copy() for name, b in model.named_buffers() if "running" in name}


def moved(model: nn.Module, before: dict[str, np.ndarray]) -> set[str]:
    """The layers whose running statistics are not as before."""
    now = statistics(model)
    return {name.rpartition(".")[0] for name in now if not np.array_equal(now[name], before[name])}


def of_one(model):
    model[1].eval()


def by_train_false(model):
    model[1].train(False)


def by_attribute(model):
    model[1].training = False


def before_a_look_at_the_whole(model):
    model[1].eval()
    model.eval()


def after_a_look_at_the_whole(model):
    model.eval()
    model[1].eval()


def after_training(model):
    train(model)
    model[1].eval()


def before_training(model):
    model[1].eval()
    train(model)
    model.eval()


ASLEEP = [
    of_one,
    by_train_false,
    by_attribute,
    before_a_look_at_the_whole,
    after_a_look_at_the_whole,
    after_training,
    before_training,
]


@pytest.mark.parametrize("put_to_sleep", ASLEEP)
@pytest.mark.parametrize("how", ["fit", "train_epoch"])
def test_a_layer_in_evaluation_mode_by_itself_stays_so(put_to_sleep, how):
    model = net()
    put_to_sleep(model)
    before = statistics(model)
    if how == "fit":
        train(model, validate=OTHERS)
    else:
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        train_epoch(model, data.DataLoader(ROWS, 10), optimizer)
    assert moved(model, before) == {"0.1"}
    assert not model[1].training


def test_a_block_in_evaluation_mode_stays_as_it_is_inside():
    model = net()
    model[0].eval()
    model[0][1].train()  # as an exception
    before = statistics(model)
    train(model)
    assert moved(model, before) == {"0.1", "1"}
    model[0].eval()
    before = statistics(model)
    train(model)
    assert moved(model, before) == {"1"}


def whole(model):
    model.eval()


def by_putting_back(model):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    for module, training in modes:
        module.training = training


def by_training(model):
    train(model)
    by_putting_back(model)


def woken_by_name(model):
    model[1].eval()
    model[1].train()


def woken_with_the_whole(model):
    model[1].eval()
    model.train()


def as_a_part_that_was_trained_before(model):
    fit(model[0], ROWS, 1, metrics={}, seed=0, progress=False)


@pytest.mark.parametrize(
    "do",
    [
        whole,
        by_putting_back,
        by_training,
        woken_by_name,
        woken_with_the_whole,
        as_a_part_that_was_trained_before,
    ],
)
def test_all_else_is_trained(do):
    model = net()
    do(model)
    seen = []

    class Look(Callback):
        def on_step_end(self, run, means):
            seen.append(all(module.training for module in run.model.modules()))

    before = statistics(model)
    train(model, callbacks=[Look()])
    assert moved(model, before) == {"0.1", "1"}
    assert all(seen)
    assert not any(module.training for module in model.modules())


def test_a_model_that_keeps_its_own_layers_asleep_is_heard():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = net()

        def train(self, mode=True):
            super().train(mode)
            self.block[1].eval()
            return self

        def forward(self, x):
            return self.block(x)

    for model in (Own(), nn.Sequential(Own())):
        before = statistics(model)
        train(model)
        assert [name[-1] for name in moved(model, before)] == ["1"]
        assert len(moved(model, before)) == 1


def test_a_callback_may_put_layers_to_sleep_and_wake_them_up():
    class Switch(Callback):
        def on_epoch_begin(self, run):
            run.model[1].train(run.epoch == 2)
            self.before = statistics(run.model)

        def on_epoch_end(self, run, record):
            run.model.eval()  # and forgets to go back
            seen.append(moved(run.model, self.before))

    seen: list[set[str]] = []
    train(net(), 3, callbacks=[Switch()])
    assert seen == [{"0.1"}, {"0.1", "1"}, {"0.1"}]


def test_fit_says_what_stays_in_evaluation_mode(capsys):
    model = net()
    model[0].eval()
    model[2].eval()
    train(model, 1, progress=None)
    assert capsys.readouterr().out.splitlines()[0] == "in evaluation mode stay 0, 2"


@pytest.mark.parametrize("measure", [evaluate, predict])
def test_measuring_leaves_every_mode_as_it_was(measure):
    model = net()
    model[1].eval()
    modes = [(dict(m.__dict__), m.training) for m in model.modules()]
    measure(model, OTHERS)

    def fails(output, target):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, OTHERS, loss=fails)
    assert [(dict(m.__dict__), m.training) for m in model.modules()] == modes


def test_what_is_set_while_evaluating_holds_until_its_end():
    model = net()
    with evaluating(model):
        model[2].train()  # dropout, to see how sure the model is
        assert [m.training for m in model] == [False, False, True, False]
        with evaluating(model):
            assert not model[2].training
        assert model[2].training
    assert all(m.training for m in model.modules())


# ----- frozen parameters ------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_by_name_leaves_frozen_parameters_as_they_are(optimizer):
    model = net()
    model[0].requires_grad_(False).eval()
    before = copy.deepcopy(model.state_dict())
    train(model, optimizer=optimizer, weight_decay=0.1, clip_grad_norm=1.0)
    changed = {n for n, w in model.state_dict().items() if not np.array_equal(w, before[n])}
    assert not [name for name in changed if name.startswith("0.")]
    assert {"3.weight", "3.bias"} <= changed


def test_where_all_is_frozen_there_is_nothing_to_learn():
    model = net().requires_grad_(False)
    with pytest.raises(ValueError, match=r"all 8 parameters are frozen.*requires_grad_"):
        train(model)
    with pytest.raises(ValueError, match="all 8 parameters are frozen"):
        make_optimizer("adam", model.parameters())
    with pytest.raises(ValueError, match="list of parameters is empty"):
        make_optimizer("adam", [])
    thawed = net()
    optimizer = optim.SGD(thawed.parameters(), lr=0.1)
    thawed.requires_grad_(False)
    for wrong in (optimizer, optim.SGD(net().parameters(), lr=0.1)):
        with pytest.raises(ValueError, match="holds no parameter of the model that learns"):
            train(thawed, optimizer=wrong, lr=None)
    with pytest.raises(
        ValueError, match=r"LBFGS makes its steps by a closure.* a loop of your own"
    ):
        train(net(), optimizer=optim.LBFGS(net().parameters()), lr=None)


def test_frozen_parameters_whose_statistics_move_are_told():
    model = net()
    model[1].requires_grad_(False)
    with pytest.warns(UserWarning, match=r"parameters of 1 \(BatchNorm1d\) are frozen, but not"):
        train(model)
    model[1].eval()
    train(model)


def test_clipping_looks_at_what_the_optimizer_moves_alone():
    """Gradients of other layers, which nobody clears, would make the norm grow and grow."""
    model = net()
    head = optim.SGD(model[3].parameters(), lr=0.1)
    model[0][0].weight.grad = tinynet.full((8, 4), 1e9)
    before = model[3].weight.array.copy()
    train(model, 1, optimizer=head, lr=None, clip_grad_norm=1.0)
    assert np.abs(model[3].weight.array - before).max() > 1e-3


def test_fit_leaves_no_gradient():
    model = net()
    train(model, 1)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (
            lambda m: m[1].eval(),
            lambda m: m,
            "in evaluation mode was 1 in the run, now it is nothing",
        ),
        (
            lambda m: m,
            lambda m: m[0].eval(),
            "in evaluation mode was nothing in the run, now it is 0",
        ),
        (
            lambda m: m,
            lambda m: m[3].bias.requires_grad_(False),
            "frozen was nothing in the run, now it is 3.bias",
        ),
    ],
)
def test_a_run_goes_on_with_what_was_asleep_and_frozen(tmp_path, then, now, words):
    def run(*changes, **options):
        model = net()
        for change in changes:
            change(model)
        return train(model, 3, out=tmp_path, **options), model

    class Stop(Callback):
        def on_epoch_begin(self, run):
            if run.epoch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(then, callbacks=[Stop()])
    with pytest.raises(CheckpointError, match=words):
        run(now, resume=True)
    history, model = run(then, resume=True)
    whole = net()
    then(whole)
    assert train(whole, 3).column("loss") == history.column("loss")
    for name, value in whole.state_dict().items():
        assert np.array_equal(value, model.state_dict()[name])


# ----- what else is said ------------------------------------------------------------------------


def doubled(dataset: data.ArrayDataset) -> data.ArrayDataset:
    return data.ArrayDataset(*(a.copy() for a in dataset.arrays))


@pytest.mark.parametrize(
    ("given", "validate", "said"),
    [
        (ROWS, ROWS, True),
        (ROWS, doubled(ROWS), True),
        (data.DataLoader(ROWS, 10), data.DataLoader(ROWS, 20), True),
        (data.Subset(ROWS, range(30)), data.Subset(ROWS, range(29, 40)), True),
        (ROWS, data.Subset(ROWS, [3]), True),
        (data.Subset(ROWS, range(30)), data.Subset(ROWS, range(30, 40)), False),
        (ROWS, OTHERS, False),
        (ROWS, (255 * OTHERS.images, OTHERS.labels), False),
        (list(data.DataLoader(ROWS, 10)), list(data.DataLoader(OTHERS, 10)), False),
    ],
)
def test_validation_on_training_data_is_told(given, validate, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(net(), given, 1, validate=validate, lr=0.01, seed=0, progress=False)
    told = "validation is on training data" if said else "is one of them scaled, and not the other"
    assert [told in str(w.message) for w in caught] == [True] * (said or type(validate) is tuple)


@pytest.mark.parametrize(
    ("scale", "shift", "said"),
    [(1, 0, False), (255, 0, True), (1, 100, True), (1e-4, 0, True), (3, 0, False)],
)
def test_inputs_far_from_unit_scale_are_told_as_the_model_sees_them(scale, shift, said):
    x = (ROWS.images * scale + shift).astype(np.float32)
    rows = data.ArrayDataset(x, ROWS.labels)
    cure = lambda x, **_: (x - shift) / scale  # noqa: E731
    for transform in (None, cure):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            options = {"lr": 1e-9, "seed": 0, "progress": False, "transform": transform}
            fit(net(), rows, 2, batch_size=10, **options)
        messages = [str(w.message) for w in caught]
        assert len(messages) == (said and transform is None)
        assert all("unit scale: scale each column, x = (x - x.mean" in text for text in messages)


@pytest.mark.parametrize(
    ("normalize", "by", "told"),
    [
        (None, "", "divide bytes by 255, or pass transform=data.standardize"),
        ((0.0, 2.0), "transform", "they are normalised already, so are there outliers"),
        ((0.0, 2.0), "loader", "they are normalised already"),
        ((0.0, 2.0), "dataset", "they are normalised already"),
        ((60.0, 60.0), "transform", None),
    ],
)
def test_images_far_from_unit_scale_have_a_cure_that_is_not_there_already(normalize, by, told):
    images = np.random.default_rng(0).uniform(0, 255, (30, 1, 4, 4)).astype(np.float32)
    transform = None if normalize is None else data.Normalize(*normalize)
    given = data.ArrayDataset(images, np.arange(30) % 3)
    options = {"lr": 1e-9, "seed": 0, "progress": False}
    if by == "transform":
        options["transform"] = transform
    elif by == "loader":
        given = data.DataLoader(given, 10, transform=transform)
    elif by == "dataset":
        given = data.ArrayDataset(*given.arrays, transform=transform)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), given, 1, **options)
    assert [told in str(w.message) for w in caught] == [True] * (told is not None)


def test_two_plain_datasets_train_with_an_augmentation_but_not_with_a_normalisation_in_it():
    images = np.random.default_rng(0).integers(0, 255, (50, 1, 8, 8)).astype(np.uint8)
    given = data.ArrayDataset(images[:30], np.arange(30) % 3)
    held = data.ArrayDataset(images[30:], np.arange(20) % 3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    options = {"validate": held, "lr": 0.01, "seed": 0, "progress": False}
    assert "validation_loss" in fit(model, given, 1, augment=data.RandomShift(1), **options)[0]
    augment = data.Compose([data.ToFloat(), data.Normalize(0.5, 0.3)])
    with pytest.warns(UserWarning, match="is one of them scaled, and not the other"):
        fit(model, given, 1, augment=augment, **options)


def test_accuracy_of_padded_pixels_is_of_those_that_count():
    scores = np.zeros((2, 3, 2), np.float32)
    scores[:, 1] = 1
    labels = np.array([[1, -100], [0, 1]])
    rows = data.ArrayDataset(np.ones((2, 3, 2), np.float32), labels)

    class Fixed(nn.Module):
        def forward(self, x):
            return tinynet.tensor(scores[: len(x)])

    measured = evaluate(Fixed(), rows, F.cross_entropy)
    assert measured["accuracy"] == pytest.approx(2 / 3)
