"""What `fit` is given, and what it is given back: refused by name, never taken for something else.

A mistake in an argument is told before anything is done, one in what a loss or a metric returned
at the first batch, and a run goes on with the arguments with which it began.
"""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, optim, training
from tinynet.errors import CheckpointError, DataError
from tinynet.nn import functional as F
from tinynet.training import (
    BestModel,
    DivergenceError,
    EarlyStopping,
    Interrupted,
    accuracy,
    evaluate,
    fit,
    predict,
    train_epoch,
)
from tinynet.vision import transforms as vision

X = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
Y = np.arange(60) % 3
TRAIN = data.ArrayDataset(X, Y)


class Single(data.Dataset):
    """Examples of one part, as they show only when they are asked for."""

    def __len__(self):
        return 60

    def __getitem__(self, index):
        return X[index]


class Table:
    """As pandas has them, with the labels among the columns."""

    columns = ("a", "b", "c", "d")

    def to_numpy(self):
        return X


class Sparse:
    """As SciPy has them."""

    def toarray(self):
        return X


def train(model=None, /, **options):
    tinynet.manual_seed(0)
    given = {"train": TRAIN, "epochs": 1, "progress": False, **options}
    return fit(model or nn.Linear(4, 3), **given)


WRONG = {
    "epochs": (1.5, "2", None, True, 0),
    "batch_size": (1.5, "3", 0),
    "seed": ("a", 1.5, -1),
    "keep_every": (0, "1"),
    "save_every": (0, "1"),
    "clip_grad_norm": ("a", [1.0], 0, -1.0, float("nan")),
    "transform": (3, "x", data.ToFloat),
    "augment": (3, "x", ["shift", 3], "shift", data.RandomShift, lambda x, rng: x),
    "loss": ("mes", None, nn.CrossEntropyLoss, lambda output: output, lambda o, y, w: o, nn.ReLU()),
    "metrics": ([3], accuracy, None, {"x": 3}, {"x": "accuracy"}, {"x": EarlyStopping}, {"x": abs}),
    "optimizer": (optim.SGD, None, 3),
    "callbacks": (EarlyStopping(), [3], [EarlyStopping], None, "a"),
    "early_stopping": (1.5, "a", BestModel(), EarlyStopping, True),
    "checkpoint": (3, b"a", ""),
    "out": (3, "", __file__),
    "init_from": (3, ""),
    "resume": (3, None),
    "overwrite": (1, "yes"),
    "about": (3,),
    "progress": ("a", 1),
    "detect_anomaly": (1, "a"),
    "train": (
        None,
        3,
        "digits",
        X,
        tinynet.tensor(X),
        [X, Y],
        data.ArrayDataset(X),
        Single(),
        {"x": X, "y": Y},
        Table(),
    ),
    "validate": (
        3,
        (X[:0], Y[:0]),
        (X, Y, Y),
        "digits",
        Path("x"),
        X,
        data.ArrayDataset(X, X, Y),
        data.DataLoader(data.ArrayDataset(X)),
        {"x": X},
    ),
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in WRONG.items() for v in values])
def test_an_argument_of_the_wrong_kind_is_named_before_anything_is_done(tmp_path, name, value):
    kept = tmp_path / "last.safetensors"
    kept.write_text("of another run")
    model = nn.Linear(4, 3)
    before = model.weight.array.copy()
    words = (
        "a batch must be a pair"
        if isinstance(value, Single)
        else rf"\b{name}|expected a data|the data must be"
    )
    with pytest.raises((TypeError, ValueError, NotADirectoryError), match=words):
        train(model, **{"out": tmp_path, "overwrite": isinstance(value, Single), name: value})
    np.testing.assert_array_equal(model.weight.array, before)
    assert kept.exists() or isinstance(value, Single)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        ("flip", [data.RandomHorizontalFlip(0.5)]),
        ("shift:2", [data.RandomShift(2)]),
        (["rotate:5", "shift"], [data.RandomRotation(5.0, "bilinear"), data.RandomShift(1)]),
        (("erase",), [vision.RandomErasing(0.5)]),
        ([], []),
    ],
)
def test_what_changes_images_has_a_name(names, steps):
    images = np.random.default_rng(0).random((30, 1, 8, 8), np.float32)
    augment = data.Compose([data.ToFloat(), *steps]) if steps else None
    first, second = (
        train(nn.Sequential(nn.Flatten(), nn.Linear(64, 3, rng=np.random.default_rng(0))),
              train=(images, Y[:30]), augment=given, epochs=2, seed=0)
        for given in (names, augment)
    )  # fmt: skip
    assert [r["loss"] for r in first] == [r["loss"] for r in second]
    with pytest.raises(TypeError, match=r"augment must be a function, such as data\.RandomShift"):
        train(augment=3)


def test_a_sparse_matrix_is_named():
    for given in ({"train": (Sparse(), Y)}, {"validate": (Sparse(), Y)}):
        with pytest.raises(DataError, match=r"x is a sparse matrix.*give \.toarray\(\)"):
            train(**given)


def test_batches_of_torch_are_taken_and_its_losses_are_not():
    torch = pytest.importorskip("torch")
    for loss in (torch.nn.CrossEntropyLoss(), torch.nn.functional.cross_entropy):
        with pytest.raises(TypeError, match=r"loss .* is PyTorch's, for its own tensors"):
            train(loss=loss)
    train(train=(torch.tensor(X, requires_grad=True), torch.tensor(Y)))
    batches = [(torch.tensor(X), torch.tensor(Y))]
    ours = [(tinynet.tensor(X), tinynet.tensor(Y))]
    losses = []
    for given in (ours, batches):
        model = nn.Linear(4, 3, rng=np.random.default_rng(0))
        losses.append(train(model, train=given)[-1]["loss"])
        outputs = training.predict(model, given)
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(outputs, training.predict(model, X))


class Both(nn.Linear):
    """A model of two inputs."""

    def forward(self, inputs):
        x, z = inputs
        return super().forward(x) + z.sum(1, keepdim=True)


class Pairs(Single):
    """Examples of two inputs."""

    def __getitem__(self, index):
        return (X[index], X[index, :2]), int(Y[index])


def test_several_inputs_go_to_forward_as_one_tuple(tmp_path):
    whole = train(Both(4, 3), train=Pairs(), validate=Pairs(), out=tmp_path, lr=1e-9, epochs=1)
    model = tinynet.load(tmp_path, Both(4, 3))
    loss = F.cross_entropy(model((tinynet.tensor(X), tinynet.tensor(X[:, :2]))), tinynet.tensor(Y))
    assert whole[0]["validation_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert model.evaluate(Pairs())["loss"] == pytest.approx(loss.item(), rel=1e-4)
    with pytest.raises(TypeError, match=r"model gets \(x, of several inputs .*argument: 'z'"):
        train(type("Apart", (nn.Linear,), {"forward": lambda self, x, z: x})(4, 3))
    with pytest.raises(DataError, match="several inputs come from a data set"):
        fit(Both(4, 3), (X, X[:, :2]), Y, epochs=1)
    with pytest.raises(ValueError, match="transform and augment change one input"):
        train(Both(4, 3), train=Pairs(), transform=data.ToFloat())
    with pytest.raises(DataError, match=r"train\[1\] must be a pair"):
        train(train=((X, X[:, :2]), Y))


def test_a_batch_of_several_targets_weighs_as_many_as_its_examples():
    def loss(output, targets):
        return F.mse_loss(output, targets[0]) + F.l1_loss(output, targets[1])

    model, x = nn.Linear(4, 2), tinynet.tensor(X)
    batches = [(x[part], (x[part, :2], x[part, 2:])) for part in (slice(57), slice(57, 60))]
    whole = loss(model(x), (x[:, :2], x[:, 2:])).item()
    assert evaluate(model, batches, loss=loss)["loss"] == pytest.approx(whole, rel=1e-4)


def test_a_loss_may_be_any_callable():
    class Bare:
        __slots__ = ()

        def __call__(self, output, target):
            return F.cross_entropy(output, target)

    assert len(train(loss=Bare())) == 1


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_ends"])
def test_a_hook_that_is_never_called_is_said(hook):
    callback = type("Mine", (training.Callback,), {hook: lambda self, *more: None, "on_gpu": 1})()
    callback.on_cpu = True
    with pytest.warns(UserWarning, match=f"Mine.{hook} is never called: unknown method .*on_step"):
        train(callbacks=[callback])


def test_tables_are_not_matched_by_their_index():
    pandas = pytest.importorskip("pandas")
    x, y = pandas.DataFrame(X), pandas.Series(Y)
    with pytest.raises(DataError, match=r"same index in another order.*y\.loc\[x\.index\]"):
        train(train=(x, y.iloc[::-1]))
    train(train=(x.iloc[::-1], y.iloc[::-1]))
    train(train=(x, Y), validation_split=np.float32(0.2))


class Decided(nn.Linear):
    """A model that gives classes and no scores."""

    def forward(self, x):
        return super().forward(x).argmax(1)


@pytest.mark.parametrize(
    ("model", "y", "told"),
    [
        (nn.Linear(4, 1), 20 + 30 * Y, "for numbers pass loss='mse'"),
        (Decided(4, 3), Y, "the model returns int64 numbers.*without argmax"),
    ],
    ids=["ages for a single output", "argmax"],
)
def test_what_the_model_gives_must_suit_the_targets(model, y, told):
    with pytest.raises((TypeError, ValueError), match=told):
        train(model, train=(X, y))


def test_batches_made_already_are_called_what_they_are():
    batches = [(tinynet.tensor(X), tinynet.tensor(Y))]
    with pytest.raises(ValueError, match="train is a list, with batches made already"):
        train(train=batches, batch_size=3)


@pytest.mark.parametrize(
    "value", [X, Single(), data.ArrayDataset(X, X, Y), [tinynet.tensor(X[:2])]]
)
def test_what_is_no_pair_is_named_wherever_batches_are_gone_through(value):
    model = nn.Linear(4, 3)
    with pytest.raises(DataError, match=r"must be a pair \(x, target\), got"):
        evaluate(model, value)
    batches = value if isinstance(value, list) else data.DataLoader(value, 10)
    with pytest.raises(DataError, match=r"must be a pair \(x, target\), got"):
        train_epoch(model, batches, optim.SGD(model.parameters(), lr=0.1))
    if value is X:
        np.testing.assert_array_equal(predict(model, batches), predict(model, X))


@pytest.mark.parametrize("use", [evaluate, predict])
@pytest.mark.parametrize("model", [X, "lenet5", nn.Linear])
def test_what_is_no_model_is_named(use, model):
    with pytest.raises(TypeError, match=f"{use.__name__}: the model comes first, and "):
        use(model, TRAIN)


@pytest.mark.parametrize("y", [Y, Y[:, None], Y.astype(np.float32)])
def test_swapped_inputs_and_targets_are_asked_about(y):
    asked = r"the model refuses x, of .*, and takes the targets, of .*\(60, 4\): are they swapped\?"
    asked = asked if y.ndim > 1 else r"x has the shape \(60,\), .*; or are x and y swapped\?"
    for use in (
        lambda model: train(model, train=(y, X), loss="mse", batch_size=60),
        lambda model: evaluate(model, y, X, loss="mse"),
    ):
        with pytest.raises(tinynet.ShapeError, match=asked):
            use(nn.Linear(4, 3))
    with pytest.raises(tinynet.ShapeError, match=r"^Linear\(in_features=4\): the input has 3"):
        train(train=(X[:, :3], Y))


@pytest.mark.parametrize("name", ["loss", "epoch", "lr", "seconds", "validation_loss", 3])
def test_a_metric_takes_no_name_of_the_record(name):
    model = nn.Linear(4, 3)
    for use in (
        lambda metrics: train(metrics=metrics),
        lambda metrics: evaluate(model, TRAIN, metrics=metrics),
        lambda metrics: train_epoch(model, [], optim.SGD(model.parameters()), metrics=metrics),
    ):
        with pytest.raises(ValueError, match=f"{name!r} cannot be the name of a metric"):
            use({name: accuracy})


@pytest.mark.parametrize("value", [None, "a", "3", 1j, np.complex64(1), [1.0], (1.0, 2), X, X[0]])
def test_a_loss_or_metric_that_is_no_one_number_is_named(value):
    with pytest.raises(TypeError, match=r"the metric 'mine' must return one number, got"):
        train(metrics={"mine": lambda output, target: value})
    for measure in (train, lambda loss: evaluate(nn.Linear(4, 3), TRAIN, loss)):
        with pytest.raises(TypeError, match=r"loss must return one number, got"):
            measure(loss=lambda output, target: value)


@pytest.mark.parametrize("value", [0.5, 1, True, np.float32(2), np.array([3.0]), tinynet.ones(1)])
def test_any_one_number_will_do_for_a_metric(value):
    history = train(metrics={"mine": lambda output, target: value})
    assert history[0]["mine"] == float(np.asarray(value).item())


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda o, y: 1.0, TypeError, "loss returned 1.0, no tensor"),
        (lambda o, y: float(F.cross_entropy(o, y)), TypeError, "no tensor"),
        (lambda o, y: (o - 1) ** 2, TypeError, r"Tensor of shape \(60, 3\): take its mean"),
        (lambda o, y: o.detach().sum(), ValueError, "does not depend on the weights"),
        (lambda o, y: tinynet.ones(1, requires_grad=True).sum(), ValueError, "nothing is learnt"),
    ],
)
def test_a_loss_that_cannot_train_is_refused(loss, error, words):
    with pytest.raises(error, match=words):
        train(loss=loss)


# ----- means ----------------------------------------------------------------------------------


def masked(part: int) -> np.ndarray:
    labels = Y.copy()
    labels[:part] = -100
    return labels


LOSSES = {
    "labels of -100": (masked(25), F.cross_entropy, {}),
    "batches with no label that counts": (masked(40), F.cross_entropy, {}),
    "a layer with weights": (Y, nn.CrossEntropyLoss([1.0, 5.0, 20.0]), {}),
    "both": (masked(25), nn.CrossEntropyLoss([1.0, 5.0, 20.0], label_smoothing=0.1), {}),
    "a weight of 0": (Y, nn.CrossEntropyLoss([1.0, 0.0, 0.0]), {}),
    "another label that is left out": (Y, nn.CrossEntropyLoss(ignore_index=1), {}),
    "a partial": (Y, functools.partial(F.cross_entropy, weight=[1, 5, 20]), {}),
    "another partial": (Y, functools.partial(F.cross_entropy, ignore_index=2), {}),
    "numbers": (X[:, :3], F.mse_loss, {"metrics": {}}),
}


@pytest.mark.parametrize("case", LOSSES)
def test_means_do_not_depend_on_the_batch_size(case):
    labels, loss, options = LOSSES[case]
    model, dataset = nn.Linear(4, 3, rng=np.random.default_rng(0)), data.ArrayDataset(X, labels)
    whole = {"loss": float(loss(model(X), tinynet.tensor(labels)))}
    if not options:
        whole["accuracy"] = accuracy(predict(model, X), labels)
    for size in (60, 30, 26, 7, 1):
        measured = evaluate(model, dataset, loss, batch_size=size, **options)
        assert measured == pytest.approx(whole, rel=1e-5)
        if case == "labels of -100" and size > 25:
            still = optim.SGD(model.parameters(), lr=0.0)
            trained = train_epoch(model, data.DataLoader(dataset, size), still, loss)
            assert trained == pytest.approx({**whole, "lr": 0.0}, rel=1e-5)


def test_a_label_that_is_no_class_is_told_by_the_loss():
    loss = nn.CrossEntropyLoss([1.0, 5.0, 20.0])
    for label in (3, -1):
        with pytest.raises(DataError, match="label"):
            evaluate(nn.Linear(4, 3), data.ArrayDataset(X, np.full(60, label)), loss)


def test_pixels_that_do_not_count_are_not_counted():
    labels = np.arange(2 * 3 * 4).reshape(2, 3, 4) % 3
    labels[1, :2] = -100
    model = nn.Conv2d(1, 3, 1, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((2, 1, 3, 4)).astype(np.float32)
    records = [evaluate(model, data.ArrayDataset(x, labels), batch_size=n) for n in (1, 2)]
    assert records[0] == pytest.approx(records[1], rel=1e-5)


# ----- resuming -------------------------------------------------------------------------------

FIRST = {"lr": 0.1, "seed": 1, "epochs": 2, "transform": None, "loss": F.cross_entropy}
OTHER_LABELS = np.where(np.arange(60) == 3, 2, Y)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 0.5}, "lr was 0.1 in the run, now it is 0.5"),
        ({"lr": None}, "lr was 0.1 in the run, now it is 0.05"),
        ({"weight_decay": 0.1}, "weight_decay was 0.0 in the run, now it is 0.1"),
        ({"seed": 2}, "seed was 1 in the run, now it is 2"),
        ({"seed": None}, "seed was 1 in the run, now it is None"),
        ({"clip_grad_norm": 1.0}, "clip_grad_norm was None in the run, now it is 1.0"),
        ({"loss": nn.CrossEntropyLoss()}, r"loss was cross_entropy .* is CrossEntropyLoss\(\)"),
        (
            {"loss": lambda o, y: F.nll_loss(o, y)},
            "loss was cross_entropy in the run, now it is a lambda of F, nll",
        ),
        ({"metrics": {}}, "metrics was accuracy in the run, now it is none"),
        ({"transform": lambda x: 2 * x}, "transform was None in the run, now it is a lambda of"),
        ({"augment": data.RandomShift(1)}, r"augment was None .* RandomShift\(pixels=1, fill=0\)"),
        ({"early_stopping": EarlyStopping(3, "loss")}, "early_stopping was None .* it is 3"),
        ({"train": data.ArrayDataset(X + 1, Y)}, "train was ArrayDataset of 60, CRC .*, now"),
        ({"train": data.ArrayDataset(X, OTHER_LABELS)}, "train was ArrayDataset of 60, CRC"),
        ({"train": data.Subset(TRAIN, np.arange(60)[::-1])}, "train was ArrayDataset of 60, CRC"),
        (
            {"train": data.ArrayDataset(X, Y, transform=np.abs)},
            "train was .*, now it is .*absolute",
        ),
        ({"batch_size": 8}, "batch_size was 64 in the run, now it is 8"),
        ({"train": data.DataLoader(TRAIN, 64, seed=2)}, "train was .*, now it is .*, seed 2"),
        ({"validate": data.ArrayDataset(-X, Y)}, "validate was none in the run"),
        (
            {"optimizer": lambda p: optim.SGD(p, lr=0.1, momentum=0.5, nesterov=True), "lr": None},
            "momentum was 0.9 in the run, now it is 0.5",
        ),
    ],
)
@pytest.mark.parametrize("done", [1, 2])
def test_a_run_goes_on_with_the_arguments_of_the_first(tmp_path, change, words, done):
    train(**FIRST, out=tmp_path, keep_every=1)
    content = (tmp_path / "last.safetensors").read_bytes()
    model = nn.Linear(4, 3)
    if callable(change.get("optimizer")):
        change = {**change, "optimizer": change["optimizer"](model.parameters())}
    before = model.weight.array.copy()
    start = True if done == 2 else tmp_path / "epoch-0001.safetensors"
    with pytest.raises(CheckpointError, match=f"cannot resume: {words}"):
        train(model, **{**FIRST, **change}, out=tmp_path, resume=start)
    np.testing.assert_array_equal(model.weight.array, before)
    assert (tmp_path / "last.safetensors").read_bytes() == content


def test_the_same_arguments_made_anew_are_the_same(tmp_path):
    def again(resume):
        model = nn.Linear(4, 3)
        train(
            model,
            train=data.DataLoader(data.Subset(data.ArrayDataset(X.copy(), Y), np.arange(50)), 9),
            epochs=np.int64(2),
            seed=np.int64(3),
            optimizer=optim.Adam(model.parameters(), lr=0.01),
            loss=lambda output, target: 0.5 * F.cross_entropy(output, target),
            callbacks=[EarlyStopping(9)],
            out=tmp_path,
            resume=resume,
        )
        return model.weight.array

    np.testing.assert_array_equal(again(False), again(True))


@pytest.mark.parametrize(
    "error", [DivergenceError("it diverged", 2, 3), Interrupted(2, "epoch 1"), CheckpointError("a")]
)
def test_an_error_of_training_reaches_another_process(error):
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert (str(there), vars(there)) == (str(error), vars(error))


def test_training_goes_on_where_numpy_raises_for_what_underflows():
    with np.errstate(all="raise"):
        train(loss=lambda output, target: 1e-30 * (1e-30 * output).square().mean())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("batchsize", "fit: unknown argument 'batchsize'; did you mean 'batch_size'"),
        ("max_epochs", "did you mean 'epochs'"),
        ("learning_rate", "for learning_rate give lr"),
        ("momentum", r"for momentum give optimizer=optim\.SGD\("),
        ("validation_data", "for validation_data give validate"),
        ("class_weight", r"for class_weight give loss=nn\.CrossEntropyLoss\(weight="),
        ("shuffle", "for shuffle give train=DataLoader"),
    ],
)
def test_an_argument_that_is_not_there_is_told_with_the_one_that_is_meant(name, told):
    with pytest.raises(TypeError, match=told):
        train(**{name: 3})


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_label_that_is_missing_is_no_class_of_its_own(missing):
    labels = np.array(["a", "b", missing, "a"], object)
    with pytest.raises(DataError, match="the label of example 2 is missing"):
        fit(nn.Linear(4, 3), X[:4], labels, epochs=1)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (np.where(X[3] == X, np.nan, X), Y, "validate: x: row 3, column 0 is nan"),
        (X, np.where(Y[0] == Y, np.nan, Y), "validate: y: row 0 is nan"),
        (X, np.full(60, "z"), "validate: y: the label 'z' is none of the classes"),
    ],
)
def test_an_error_says_that_it_is_in_the_validation_data(x, y, told):
    with pytest.raises(DataError, match=told):
        train(train=(X, Y.astype(str) if y.dtype.kind == "U" else Y), validate=(x, y))


@pytest.mark.parametrize("text", ["digits", Path("a.png")])
def test_a_text_is_no_data(text):
    for use in (evaluate, predict):
        with pytest.raises(TypeError, match=r"a text and no data: tinynet\.data\.load\(NAME\)"):
            use(nn.Linear(4, 3), text)


def test_arrays_are_measured_as_they_are_trained_on():
    model = nn.Linear(4, 3)
    assert evaluate(model, (X, Y)) == evaluate(model, data.ArrayDataset(X, Y))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metrics": {"mine": lambda o, t: o.numpy().mean()}}, "'mine' gets NumPy arrays, and no"),
        ({"transform": lambda x: None}, r"an array of shape \(60, 4\).*; it gave NoneType"),
        ({"transform": lambda x: x[:5]}, r"as many examples; it gave ndarray of shape \(5, 4\)"),
        ({"about": {"author": "me"}}, "fit: about: unknown key 'author'"),
    ],
)
def test_what_functions_and_dicts_of_ones_own_must_be_is_told(options, told):
    with pytest.raises(TypeError, match=told):
        fit(nn.Linear(4, 3), X, Y, epochs=1, batch_size=60, progress=False, **options)


def test_times_and_paths_are_no_numbers():
    days = np.full(60, "2020-01-01", "datetime64[D]")
    with pytest.raises(DataError, match=r"y: row 0 is datetime.*from which nothing is learnt"):
        fit(nn.Linear(4, 1), X, days, epochs=1, loss="mse", progress=False)
    with pytest.raises(DataError, match=r"row 0 is 'a\.PNG'.*read by data\.read_images\(paths\)"):
        fit(nn.Flatten(), ["a.PNG", "b.png"], [0, 1], epochs=1, progress=False)


class Focal(nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = gamma

    def forward(self, output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return ((1 - (-each).exp()) ** self.gamma * each).mean()


def focal(gamma):
    return lambda output, target: Focal(gamma)(output, target)


@pytest.mark.parametrize("make", [Focal, focal])
def test_a_run_goes_on_with_the_settings_of_a_loss_of_ones_own(tmp_path, make):
    given = {"out": tmp_path, "seed": 0, "progress": False}
    fit(nn.Linear(4, 3), X, Y, epochs=1, loss=make(2.0), **given)
    with pytest.raises(CheckpointError, match=r"loss was .*gamma=2\.0 in .*gamma=5\.0"):
        fit(nn.Linear(4, 3), X, Y, epochs=2, loss=make(5.0), resume=True, **given)
    fit(nn.Linear(4, 3), X, Y, epochs=2, loss=make(2.0), resume=True, **given)


def test_a_column_of_the_history_has_its_name():
    history = fit(nn.Linear(4, 3), X, Y, epochs=2, progress=False)
    assert history["loss"] == history.column("loss")
    assert history[-1]["epoch"] == len(history[:2]) == 2
    with pytest.raises(KeyError, match="the history has no 'los'"):
        history["los"]
