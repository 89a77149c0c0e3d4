"""`fit` with arrays and tables, a part held out, losses and metrics by name, early stopping."""

from __future__ import annotations

import functools
import re
import warnings
from decimal import Decimal

import numpy as np
import pytest

import tinynet
from tinynet import data, nn
from tinynet.cli import main
from tinynet.errors import CheckpointError, DataError, ShapeError
from tinynet.nn import functional as F
from tinynet.training import Callback, EarlyStopping, accuracy, evaluate, fit, predict, top_k
from tinynet.training.losses import LOSSES
from tinynet.training.metrics import F1, METRICS, confusion_matrix

X = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
Y = np.arange(60) % 3
NAMES = np.array(["ash", "birch", "cedar"])


class Table:
    """What `fit` asks of a pandas DataFrame or Series."""

    def __init__(self, values, columns=None):
        self.values = values
        if columns is not None:
            self.columns = columns

    def to_numpy(self):
        return self.values

    def __getitem__(self, rows):
        return Table(self.values[rows])


class Columns:
    """What `fit` asks of a DataFrame, whose columns have names."""

    def __init__(self, columns):
        self.by_name, self.columns = columns, list(columns)

    def to_numpy(self):
        return np.stack(list(self.by_name.values()), axis=1)

    def __getitem__(self, names):
        return Columns({name: self.by_name[name] for name in names})


class Pair(nn.Module):
    """A model that returns two outputs."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x), self.layer(x)


def objects(rows, *more):
    """An array of objects, each of which is an array."""
    found = np.empty(len(rows) + len(more), object)
    found[:] = [*rows, *more]
    return found


def with_value(value, dtype=object):
    """X with something else in row 7, column 2."""
    x = X.astype(dtype)
    x[7, 2] = value
    return x


def trained(*arguments, loss=F.cross_entropy, model=None, **options):
    tinynet.manual_seed(0)
    model = model or nn.Linear(4, 3, rng=np.random.default_rng(0))
    return fit(model, *arguments, loss=loss, seed=0, progress=False, **options)


@pytest.mark.parametrize(
    "arguments",
    [
        (X, Y, 2),
        ((X, Y), 2),
        ((tinynet.tensor(X), tinynet.tensor(Y)), 2),
        (X.tolist(), Y.tolist(), 2),
        ((X.tolist(), Y.tolist()), 2),
        (list(X), list(Y), 2),
        (Table(X.astype(np.float64)), Table(Y), 2),
        (X, NAMES[Y], 2),
        (Table(X), Table(NAMES[Y].astype(object)), 2),
        (Table(X.astype(object)), Y, 2),
        (X.astype(object), Y, 2),
        (objects(X), Y, 2),
    ],
)
def test_arrays_of_any_kind_are_a_data_set(arguments):
    expected = trained(data.ArrayDataset(X, Y), epochs=2)
    assert [r["loss"] for r in trained(*arguments)] == [r["loss"] for r in expected]


BINARY = (X[:, :1] > 0).astype(np.float32)


@pytest.mark.parametrize(
    ("loss", "outputs", "usual", "y"),
    [
        ("mse", 1, X[:, :1], X[:, 0]),
        (F.l1_loss, 1, X[:, :1], X[:, 0].tolist()),
        (nn.HuberLoss(), 1, X[:, :1], Table(X[:, 0])),
        ("mae", 1, Y[:, None].astype(np.float32), Y),
        ("mse", "flat", X[:, 0], X[:, :1]),
        ("bce_with_logits", 1, BINARY, BINARY[:, 0]),
        (nn.BCEWithLogitsLoss(), 1, BINARY, BINARY[:, 0] > 0.5),
        (nn.BCEWithLogitsLoss(), 1, BINARY, BINARY > 0.5),
        ("cross_entropy", 3, Y, Y[:, None]),
        ("cross_entropy", 3, Y, Table(Y[:, None])),
        (nn.NLLLoss(), 3, Y, Y[:, None]),
        ("cross_entropy", 3, NAMES[Y], NAMES[Y][:, None]),
        ("cross_entropy", 3, Y, np.eye(3, dtype=int)[Y]),
        (nn.NLLLoss(), 3, Y, Table(np.eye(3)[Y] > 0)),
        (functools.partial(F.cross_entropy, label_smoothing=0.1), 3, Y, Y[:, None]),
    ],
)
@pytest.mark.parametrize("parts", [None, 2])
def test_targets_in_a_column_or_in_a_row_are_the_same(tmp_path, loss, outputs, usual, y, parts):
    histories = []
    for k, target in enumerate((usual, y)):
        rng = np.random.default_rng(0)
        model = nn.Sequential(nn.Linear(4, 1 if outputs == "flat" else outputs, rng=rng))
        if outputs == "flat":
            model.append(nn.Flatten(0))
        if isinstance(loss, nn.NLLLoss):
            model.append(nn.LogSoftmax(1))
        histories += trained(
            X, target, epochs=1, model=model, loss=loss, validate=(X[:9], target[:9]),
            metrics=["accuracy"] if loss == "cross_entropy" else ["mse"] if loss == "mse" else {},
            out=tmp_path / str(k), reproducible_for=parts,
        )  # fmt: skip
        histories[-1] = {k: v for k, v in histories[-1].items() if k != "seconds"}
    assert histories[0] == histories[1]


def test_a_loss_of_ones_own_is_told_how_to_reshape_the_array():
    def own(output, target):
        return F.mse_loss(output, target)

    with pytest.raises(ShapeError, match=r"use target\.reshape\(-1, 1\)"):
        trained(X, X[:, 0], epochs=1, model=nn.Linear(4, 1), loss=own)


def test_text_labels_name_the_classes(tmp_path):
    trained(X, NAMES[Y], epochs=1, out=tmp_path)
    assert tinynet.load(tmp_path, nn.Linear(4, 3)).classes == tuple(NAMES)


@pytest.mark.parametrize("y", [NAMES[Y], NAMES[Y].tolist(), NAMES[Y].astype(object)])
@pytest.mark.parametrize("kept", [Y == 2, Y > 0])
def test_text_labels_have_the_numbers_of_the_training(y, kept):
    model = nn.Linear(4, 3, rng=np.random.default_rng(0))
    history = trained(X, y, epochs=3, model=model, validate=(X[kept], np.asarray(y)[kept]))
    expected = evaluate(model, X[kept], Y[kept])
    assert history[-1]["validation_accuracy"] == expected["accuracy"]
    assert history[-1]["validation_loss"] == pytest.approx(expected["loss"])


@pytest.mark.parametrize(
    ("y", "validate", "told"),
    [
        (NAMES[Y], ["foo"] * 60, "'foo' is none of the classes: ash, birch, cedar"),
        (Y, NAMES[Y], "'ash', and the training's classes have no names"),
        (np.array([None, *NAMES[Y][1:]], object), None, "the label of example 0 is missing"),
        ((Y, Y[:30]), None, "y is a tuple whose parts have different shapes"),
    ],
)
def test_labels_that_mean_nothing_are_told(y, validate, told):
    with pytest.raises(DataError, match=told):
        trained(X, y, epochs=1, validate=None if validate is None else (X, validate))


PLACE = "x: row 7, column "
COLUMNS = ["age", "height", "town", "weight"]


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (
            Table(with_value("Rome"), COLUMNS),
            PLACE + "'town' is 'Rome'.*leave the row or the column out",
        ),
        (Table(with_value("12"), COLUMNS), PLACE + "'town' is '12'"),
        (Table(with_value(None), COLUMNS), PLACE + "'town' is None"),
        (Table(with_value(np.nan), COLUMNS), PLACE + "'town' is nan.*put a number in its place"),
        (Table(with_value(np.nan, np.float64), COLUMNS), PLACE + "'town' is nan"),
        (with_value(np.nan, np.float32), PLACE + "2 is nan"),
        (with_value(-np.inf, np.float32), PLACE + "2 is -inf"),
        (with_value(np.nan, np.float32).tolist(), PLACE + "2 is nan"),
        (with_value(np.nan, np.float32).reshape(60, 1, 2, 2), "x: row 7 is nan"),
        (with_value("Rome"), PLACE + "2 is 'Rome'"),
        (np.full((60, 4), np.inf), "x: row 0, column 0 is inf"),
        (X.astype(str), "x: row 0, column 0 is '"),
        (objects(X[:-1], None), "x is a list whose parts have different shapes"),
    ],
)
def test_inputs_that_are_no_numbers_are_named_before_anything_is_done(tmp_path, x, told):
    model = nn.Linear(4, 3)
    for call in (
        lambda: trained(x, Y, epochs=1, model=model, out=tmp_path / "run"),
        lambda: trained(X, Y, epochs=1, model=model, validate=(x, Y), out=tmp_path / "run"),
        lambda: evaluate(model, x, Y),
        lambda: predict(model, x),
    ):
        with pytest.raises(DataError, match=told.replace("x", "(x|predict: the data)", 1)):
            call()
    assert not (tmp_path / "run").exists()


def test_evaluate_and_predict_take_what_fit_takes(tmp_path):
    model = nn.Linear(4, 3, rng=np.random.default_rng(0))
    trained(X, NAMES[Y], epochs=2, model=model, out=tmp_path)
    expected = evaluate(model, data.ArrayDataset(X, Y))
    loaded = tinynet.load(tmp_path, nn.Linear(4, 3))
    for arguments in [
        (X, Y), ((X, Y),), (X.tolist(), Y.tolist()), (Table(X), Table(Y)), (X, Y, "cross_entropy"),
    ]:  # fmt: skip
        assert evaluate(model, *arguments) == expected
    assert evaluate(loaded, X, NAMES[Y]) == expected
    for arguments in [((X, NAMES[Y]),), (X, NAMES[Y]), (data.ArrayDataset(X, Y, classes=NAMES),)]:
        assert loaded.evaluate(*arguments)["loss"] == pytest.approx(expected["loss"])
    assert np.array_equal(predict(model, X.tolist()), predict(model, X))


@pytest.mark.parametrize(
    ("outputs", "y", "options", "error", "told"),
    [
        (1, X[:, :1], {}, ValueError, "a single output is always 0.*loss='mse'"),
        (2, Y, {"model": "pair"}, TypeError, "the model returns a tuple, and cross_entropy takes"),
        (3, Y, {"loss": "mse"}, ValueError, "mse_loss compares numbers.*labels for the 3 outputs"),
        (3, Y, {"loss": nn.BCEWithLogitsLoss()}, ValueError, "for classes pass loss='cross_entro"),
        (2, Y, {"epochs": (X, Y)}, TypeError, "give data and epochs"),
        (3, Y, {"loss": "nll"}, ValueError, ", 0 at most, and the model gives .*loss='cross_entro"),
        (3, Y, {"loss": nn.NLLLoss()}, ValueError, r"or end it with nn\.LogSoftmax"),
        (3, X[:, :3] > 0, {}, ValueError, r"are bool\[60, 3\]: .*bce_with_logits.*y\.argmax"),
        (3, (X[:, :3] > 0).astype(int), {}, ValueError, r"are int64\[60, 3\]: .*bce_with_logits"),
        (3, (X[:, :3] > 0).astype("f"), {}, ValueError, "that sum to 1.*loss='bce_with_logits'"),
        (
            3,
            Y,
            {"loss": lambda x, t: F.cross_entropy(x.detach(), t)},
            ValueError,
            "not depend on the",
        ),
        (3, Y, {"loss": nn.CrossEntropyLoss(reduction="sum")}, UserWarning, "the sum over a batch"),
        (3, Y, {"model": "softmax"}, UserWarning, "come out of softmax.*leave that out"),
        (3, Y, {"model": "sigmoid"}, UserWarning, "come out of sigmoid"),
        (
            1,
            X[:, 0] > 0,
            {"model": "sigmoid", "loss": "bce_with_logits"},
            UserWarning,
            "leave that",
        ),
        (
            1,
            np.where(X[:, :1] == X[7, 0], np.nan, X[:, :1]),
            {"loss": "mse"},
            DataError,
            "y: row 7",
        ),
    ],
)
def test_what_learns_nothing_is_told(outputs, y, options, error, told):
    layer = nn.Linear(4, outputs)
    made = {
        None: layer,
        "pair": Pair(layer),
        "softmax": nn.Sequential(layer, nn.Softmax(1)),
        "sigmoid": nn.Sequential(layer, nn.Sigmoid()),
    }
    options = {"epochs": 1, "batch_size": 60, **options}
    with pytest.raises(error, match=told):
        trained(X, y, model=made[options.pop("model", None)], **options)


def test_a_loss_of_ones_own_may_leave_out_what_is_missing():
    y = np.where(X[:, :1] == X[7, 0], np.nan, X[:, :1])

    def known(output, target):
        there = ~np.isnan(target.array)
        return F.mse_loss(output[there], target[there])

    assert trained(X, y, epochs=1, model=nn.Linear(4, 1), loss=known)[0]["loss"] > 0


def test_a_loss_of_two_outputs_needs_no_metrics():
    def both(outputs, target):
        return sum(F.cross_entropy(output, target) for output in outputs)

    assert trained(X, Y, epochs=1, model=Pair(nn.Linear(4, 3)), loss=both)[-1].keys() == {
        "epoch", "loss", "lr", "seconds"
    }  # fmt: skip


@pytest.mark.parametrize(("arguments", "options"), [((X, Y), {}), ((X,), {}), ((X, Y, 3, 4), {})])
def test_what_is_missing_is_told(arguments, options):
    with pytest.raises(TypeError, match="epochs"):
        trained(*arguments, **options)


def test_a_part_is_held_out_of_every_class_as_much():
    seen = []

    def counts(output, target):
        seen.append(np.bincount(target, minlength=3).tolist())
        return 0.0

    for y in (Y, Y[:, None]):
        seen.clear()
        history = trained(
            X, y, epochs=1, batch_size=60, validation_split=0.2, metrics={"n": counts}
        )
        assert seen == [[16, 16, 16], [4, 4, 4]]
    assert "validation_loss" in history[0]
    targets = np.random.default_rng(1).standard_normal((60, 3))
    assert "validation_loss" in trained(X, targets, epochs=1, validation_split=0.1, loss="mse")[0]
    with pytest.raises(ValueError, match="not both"):
        trained(X, Y, epochs=1, validation_split=0.2, validate=(X[:5], Y[:5]))
    for share in (0, 1, True, "0.1"):
        with pytest.raises(ValueError, match="validation_split must be a number between 0 and 1"):
            trained(X, Y, epochs=1, validation_split=share)
    with pytest.raises(ValueError, match="not for batches"):
        trained(data.DataLoader(data.ArrayDataset(X, Y), 10), epochs=1, validation_split=0.2)


def test_losses_by_name_are_the_functions():
    for name, (function, _) in LOSSES.items():
        output, target = tinynet.rand(6, 3), np.full((6, 3), 0.5, np.float32)
        given = tinynet.tensor(Y[:6] if name in ("cross_entropy", "ce", "nll") else target)
        output = -output if name == "nll" else output
        model, batches = nn.Identity(), [(output, given)]
        by_name = evaluate(model, batches, name, metrics={})
        assert by_name == evaluate(model, batches, function, metrics={}), name
    with pytest.raises(ValueError, match="unknown loss 'croos_entropy'; did you mean 'cross_entro"):
        trained(X, Y, epochs=1, loss="croos_entropy")


@pytest.mark.filterwarnings("default:.*is not kept. the figure `loss`")
@pytest.mark.parametrize(
    ("loss", "y", "numbers"),
    [
        ("mse", X[:, :1] * 3, True),
        (nn.L1Loss(), X[:, :2], True),
        (lambda output, target: F.mse_loss(output, target), X[:, :2], True),
        ("bce_with_logits", (X[:, :1] > 0).astype(np.float32), False),
        (nn.BCEWithLogitsLoss(), (X[:, :2] > 0).astype(np.float32), False),
        ("cross_entropy", Y, False),
    ],
)
def test_a_loaded_model_answers_as_its_loss_says(tmp_path, loss, y, numbers):
    outputs = y.shape[1] if y.ndim > 1 else 3
    model = nn.Linear(4, outputs, rng=np.random.default_rng(0))
    trained(X, y, epochs=5, model=model, loss=loss, metrics={}, out=tmp_path)
    loaded = tinynet.load(tmp_path, nn.Linear(4, outputs))
    found, raw = loaded.predict(X), predict(model, X)
    measured = loaded.evaluate(data.ArrayDataset(X, y))
    assert measured["loss"] == pytest.approx(evaluate(model, (X, y), loss, metrics={})["loss"])
    if numbers:
        assert [list(p.values) for p in found] == raw.tolist()
        assert (found[0].probability, measured.keys()) == (None, {"loss"})
        with pytest.raises(CheckpointError, match="it predicts numbers"):
            loaded.predict_proba(X)
        return
    probabilities = (
        F.softmax(tinynet.tensor(raw), 1).array if y.ndim == 1 else 1 / (1 + np.exp(-raw))
    )
    if outputs == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], 1)
        right = (probabilities.argmax(1) == y[:, 0]).mean()
        assert measured["accuracy"] == pytest.approx(right)
    assert loaded.predict_proba(X) == pytest.approx(probabilities, abs=1e-6)
    if loss != "cross_entropy" and outputs == 2:  # each by itself
        assert {p.label for p in found} <= {"", "0", "1", "0, 1", "1, 0"}
        assert [len(p.label.split()) for p in found] == (probabilities > 0.5).sum(1).tolist()
        assert found[0].probability == pytest.approx(probabilities[0].max())
    else:
        assert [int(p.label) for p in found] == probabilities.argmax(1).tolist()


def refitted(tmp_path, labels, outputs=3, **options):
    """A loaded model of ash, birch and cedar that is trained further; with another last layer,
    unless it has three outputs.
    """
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    trained(X, NAMES[Y], epochs=1, model=model, out=tmp_path / "first")
    loaded = tinynet.load(tmp_path / "first", model)
    if outputs != 3:
        loaded.network[2] = nn.Linear(8, outputs)
    for part in (labels, labels[labels != labels[0]]):  # and once more on some of the classes
        trained(X[: len(part)], part, epochs=1, model=loaded, **options)
    return loaded


@pytest.mark.filterwarnings("ignore:fit. .* take their places", "ignore:fit. the model has 4")
@pytest.mark.parametrize(
    ("labels", "outputs", "classes"),
    [
        (NAMES[Y], 3, NAMES),
        (NAMES[Y % 2 + 1], 3, NAMES),
        (np.array(["oak", "pine"])[Y % 2], 3, ["oak", "pine"]),
        (np.array(["oak", "ash", "pine"])[Y], 4, ["ash", "oak", "pine"]),
        (Y % 2, 2, None),
    ],
)
@pytest.mark.filterwarnings("ignore:fit")
def test_a_loaded_model_keeps_its_classes_as_long_as_they_are_its_own(
    tmp_path, labels, outputs, classes
):
    with warnings.catch_warnings():
        if outputs == 3 and classes is not NAMES:
            warnings.filterwarnings("ignore", message="fit: the model has 3 outputs for 2")
        loaded = refitted(tmp_path, labels, outputs)
    assert loaded.classes == (None if classes is None else tuple(classes))
    tinynet.save(loaded, tmp_path / "again")
    assert tinynet.load(tmp_path / "again", loaded.network).classes == loaded.classes
    assert not loaded.figures  # those of the first training


def test_a_loaded_model_says_what_becomes_of_other_labels(tmp_path):
    with pytest.raises(DataError, match="'oak' is none of the classes: ash, birch, cedar"):
        refitted(tmp_path, np.array(["ash", "birch", "oak"])[Y])
    loaded = tinynet.load(
        tmp_path / "first", nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    )
    with pytest.warns(UserWarning, match="oak, pine, yew are none of the model's classes, ash"):
        trained(X, np.array(["oak", "pine", "yew"])[Y], epochs=1, model=loaded)
    with pytest.warns(UserWarning, match="place of a class, 0 is 'oak'"):
        trained(X, Y, epochs=1, model=loaded)
    with pytest.raises(
        DataError, match=r"has yew, pine, oak; to learn others, train model\.network"
    ):
        trained(data.ArrayDataset(X, Y, classes=["yew", "pine", "oak"]), epochs=1, model=loaded)


TEXTS = [f"{value:.2f}" for value in X[:, 0]]


@pytest.mark.parametrize("y", [X[:, 0].astype(object), [Decimal(text) for text in TEXTS]])
def test_objects_that_are_numbers_are_these(y):
    usual = trained(X, np.asarray(y, np.float32), epochs=2, model=nn.Linear(4, 1), loss="mae")
    assert trained(X, y, epochs=2, model=nn.Linear(4, 1), loss="mae")[-1]["loss"] == pytest.approx(
        usual[-1]["loss"], abs=1
    )
    twelve = np.arange(60) % 12
    numbered = [
        trained(X, labels, epochs=1, model=nn.Linear(4, 12, rng=np.random.default_rng(0)))
        for labels in (twelve, twelve.astype(object), twelve.astype(np.float32))
    ]
    assert len({history[-1]["loss"] for history in numbered}) == 1


@pytest.mark.parametrize(
    ("y", "loss", "told"),
    [
        (TEXTS, "mae", "y is text, such as '0.13', and mae compares numbers"),
        (NAMES[Y], nn.MSELoss(), "y is text, such as 'ash', and mse compares numbers"),
        (TEXTS, lambda x, t: F.mse_loss(x, t), "a loss of your own compares numbers"),
        (TEXTS, "bce_with_logits", "bce_with_logits compares numbers"),
        ([1, "1"] * 30, "cross_entropy", "y: 1 is a number, and '1' is none"),
        (["", "a"] * 30, "cross_entropy", "label of example 0 is missing, ''"),
        (["a", float("nan")] * 30, "cross_entropy", "label of example 1 is missing, nan"),
        (["B\xe4r", "Ba\u0308r"] * 30, "cross_entropy", "look the same"),
        (["a", "a "] * 30, "cross_entropy", "'a' and 'a ' look the same"),
        (np.ma.masked_equal(Y, 2), "cross_entropy", "label of example 2 is missing, None"),
        (np.ma.masked_equal(X[:, 0], X[2, 0]), "mse", "label of example 2 is missing, None"),
        (dict(enumerate(Y)).values(), "cross_entropy", "y is a dict_values; give an array"),
        (list("abcd") * 15, "cross_entropy", "3 outputs, and there are 4 classes, a, b, c, d"),
        ([{"ash": 1}] * 60, "cross_entropy", "number or text, and {'ash': 1} is a dict"),
        ([{"ash"}] * 60, "cross_entropy", "number or text, and {'ash'} is a set"),
    ],
)
def test_labels_that_are_none_are_refused(y, loss, told):
    with pytest.raises(DataError, match=re.escape(told)):
        trained(X, y, epochs=1, loss=loss)


def test_more_outputs_than_classes_are_said():
    with pytest.warns(UserWarning, match="the model has 3 outputs for 2 classes, ash, birch"):
        trained(X, NAMES[Y % 2], epochs=1)


@pytest.mark.parametrize("loss", ["mse", "bce_with_logits"])
def test_columns_of_targets_are_known_by_their_names(tmp_path, loss):
    columns = {"u": (X[:, 0] > 0).astype(np.float32), "v": (X[:, 1] > 1).astype(np.float32)}
    table, turned = Columns(columns), Columns({name: columns[name] for name in "vu"})
    validate = (X[:9], Columns({name: columns[name][:9] for name in "vu"}))
    model = nn.Linear(4, 2, rng=np.random.default_rng(0))
    history = trained(X, table, epochs=9, model=model, loss=loss, validate=validate, out=tmp_path)
    expected = evaluate(model, X[:9], np.stack(list(columns.values()), 1)[:9], loss)["loss"]
    assert history[-1]["validation_loss"] == pytest.approx(expected)
    loaded = tinynet.load(tmp_path, nn.Linear(4, 2))
    assert loaded.classes == ("u", "v")
    assert loaded.evaluate(X, turned) == loaded.evaluate(X, table)
    with pytest.raises(DataError, match="y: there is no column 'v', as in the training"):
        loaded.evaluate(X, Columns({"u": columns["u"], "w": columns["v"]}))


def test_a_regression_is_measured_on_a_file(tmp_path, capsys):
    model = nn.Linear(4, 1)
    trained(X, X[:, 0], epochs=1, model=model, loss="mse", out=tmp_path / "run")
    np.savez(tmp_path / "a.npz", x_train=X, y_train=X[:, 0], x_test=X[:20], y_test=X[:20, 0])
    loaded = tinynet.load(tmp_path / "run", nn.Linear(4, 1))
    expected = evaluate(model, X[:20], X[:20, 0], "mse")["loss"]
    assert loaded.evaluate(f"npz:{tmp_path}/a.npz")["loss"] == pytest.approx(expected)
    (tmp_path / "own.py").write_text(
        "from tinynet import nn\n\n\ndef net():\n    return nn.Linear(4, 1)\n"
    )
    command = ["evaluate", f"{tmp_path}/run", "--data", f"npz:{tmp_path}/a.npz"]
    assert main([*command, "--model", f"{tmp_path}/own.py:net"]) == 0
    assert f"loss {expected:.4f}"[:-1] in capsys.readouterr().out
    for options in ({"split": "val"}, {"split": ""}, {"split": None}):
        with pytest.raises(ValueError, match="unknown split"):
            loaded.evaluate(f"npz:{tmp_path}/a.npz", **options)
    with pytest.raises(ValueError, match="split and root are of a data set by name"):
        loaded.evaluate(X, X[:, 0], split="train")


def test_metrics_by_name_are_the_functions():
    scores = np.random.default_rng(2).standard_normal((40, 6))
    labels = np.arange(40) % 6
    batches = [
        (tinynet.tensor(scores[i : i + 7]), tinynet.tensor(labels[i : i + 7]))
        for i in range(0, 40, 7)
    ]
    found = evaluate(nn.Identity(), batches, metrics=["accuracy", "top_2", "f1", top_k(3)])
    matrix = confusion_matrix(scores, labels)
    assert found["accuracy"] == pytest.approx(accuracy(scores, labels))
    assert found["top_2"] == pytest.approx(top_k(2)(scores, labels))
    recall, precision = (matrix.diagonal() / matrix.sum(axis) for axis in (1, 0))
    expected = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).mean()
    assert found["f1"] == pytest.approx(expected)
    x, y = tinynet.tensor(X), tinynet.tensor(X + 0.5)
    regression = evaluate(nn.Identity(), [(x, y)], "mse", metrics=["mae", "mse"])
    assert regression["mae"] == pytest.approx(0.5)
    assert regression["mse"] == pytest.approx(regression["loss"])
    with pytest.raises(ValueError, match="unknown metric 'acc'; did you mean 'accuracy'"):
        evaluate(nn.Identity(), batches, metrics="acc")
    assert set(METRICS) == {"accuracy", "f1", "mae", "mse"}


@pytest.mark.parametrize("loss", ["bce", nn.BCEWithLogitsLoss()])
def test_accuracy_of_a_single_output_is_told_by_the_loss(loss):
    score = [[0.2], [0.9], [0.4]] if loss == "bce" else [[-3.0], [0.1], [-0.1]]
    batches = [(tinynet.tensor(score), tinynet.tensor([[0.0], [1.0], [1.0]]))]
    found = evaluate(nn.Identity(), batches, loss, metrics=["accuracy", "f1"])
    assert found["accuracy"] == pytest.approx(2 / 3) == found["f1"]


def test_f1_without_validation_is_said_to_be_missing():
    with pytest.warns(UserWarning, match="f1: measured on validation data alone, and there is no"):
        fit(nn.Linear(4, 3), X, Y, epochs=1, metrics=["f1"], progress=False)


def test_f1_is_of_all_examples_and_of_validation_alone():
    history = trained(X, Y, epochs=1, metrics=["f1"], validation_split=0.2, batch_size=10)
    assert "validation_f1" in history[0]
    assert "f1" not in history[0]
    assert F1()(np.zeros((3, 3), np.int64)) == 0
    assert F1()(np.diag([3, 0, 4])) == 1


def test_early_stopping_ends_with_the_best_weights(capsys):
    model = nn.Linear(4, 3, rng=np.random.default_rng(0))
    options = {"validate": (X[:20], Y[::-1][:20]), "lr": 1.0, "schedule": "constant"}
    history = trained(X, Y, epochs=9, model=model, early_stopping=2, **options)
    assert len(history) < 9
    best = history.best("validation_loss")["validation_loss"]
    measured = evaluate(model, data.ArrayDataset(X[:20], Y[::-1][:20]))
    assert measured["loss"] == pytest.approx(best)
    tinynet.manual_seed(0)
    with pytest.warns(UserWarning, match="early stopping looks at the loss of training, for there"):
        fit(model, X, Y, epochs=1, early_stopping=EarlyStopping(3))
    assert "schedule='plateau' suits it" in capsys.readouterr().out


def test_the_plateau_lowers_the_rate_once_nothing_gets_better():
    with pytest.warns(UserWarning, match="schedule plateau looks at the loss of training, for"):
        history = trained(X, Y[::-1], epochs=12, lr=1e-7, schedule="plateau")
    assert history[-1]["lr"] < history[0]["lr"] == 1e-7


def test_the_plateau_begins_with_a_warm_up_that_goes_on_where_it_was_stopped(tmp_path):
    class Rates(Callback):
        def __init__(self, stop=99):
            self.rates, self.stop = [], stop

        def on_step_end(self, run, means):
            self.rates.append(run.optimizer.param_groups[0]["lr"])
            if run.step == self.stop:
                raise KeyboardInterrupt

    options = {"lr": 0.1, "schedule": "plateau", "batch_size": 10, "monitor": "loss"}
    whole, parts = Rates(), Rates(2)
    trained(X[:40], Y[:40], epochs=2, callbacks=[whole], **options)
    assert whole.rates == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    out = {"out": tmp_path, "save_every": 1}
    with pytest.raises(KeyboardInterrupt):
        trained(X[:40], Y[:40], epochs=2, callbacks=[parts], **options, **out)
    parts.stop = 99
    trained(X[:40], Y[:40], epochs=2, callbacks=[parts], resume=True, **options, **out)
    assert parts.rates[-6:] == whole.rates[-6:]


def test_bools_are_two_classes():
    expected = trained(X, (Y > 0).astype(int), epochs=2)
    assert [r["loss"] for r in trained(X, Y > 0, epochs=2)] == [r["loss"] for r in expected]


def test_a_model_of_maps_predicts_them_and_is_measured_by_pixels(tmp_path):
    images = np.random.default_rng(0).random((6, 1, 4, 4)).astype(np.float32)
    model = nn.Conv2d(1, 2, 3, padding=1)
    trained(images, (images[:, 0] > 0.5).astype(int), epochs=1, model=model, out=tmp_path)
    loaded, y = tinynet.load(tmp_path, nn.Conv2d(1, 2, 3, padding=1)), images[:, 0] > 0.5
    maps = np.stack([found.map for found in loaded.predict(images)])
    assert loaded.evaluate(images, y.astype(int))["accuracy"] == np.mean(maps == y)
