"""A trained model as one object, photos for it, and models of the user's own."""

from __future__ import annotations

import copy
import json
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
import tqdm

import tinynet
from tinynet import data, models, nn, training
from tinynet.cli import main
from tinynet.errors import CheckpointError, DataError
from tinynet.training import strokes
from tinynet.vision.transforms import images as vision_images

NET = """
from tinynet import nn

class Net(nn.Module):
    def __init__(self, num_classes=2, image_size=(8, 8), width=4):
        super().__init__()
        self.hidden = nn.Linear(image_size[0] * image_size[1], width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.hidden(x.flatten(1)).relu())
"""


CLASSES = ("left", "right")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a data set of two classes (bright left, bright right) and a model's file."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.integers(0, 60, (80, 1, 8, 8))
    x[y == 0, :, :, :4] += 150
    x[y == 1, :, :, 4:] += 150
    np.savez("tiny.npz", x=x.astype(np.uint8), y=y, classes=np.array(["left", "right"]))
    Path("my_net.py").write_text(NET)
    return tmp_path


@pytest.fixture
def run(here):
    assert main(["train", "--data", "npz:tiny.npz", "--epochs", "2", "--out", "run"]) == 0
    return here / "run"


def side(bright: str, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    """Pixels (H, W, 3) with a bright side."""
    pixels = np.full((*size, 3), 20, np.uint8)
    middle = size[1] // 2
    pixels[:, slice(middle) if bright == "left" else slice(middle, None)] = 200
    return pixels


def test_a_run_is_loaded_as_one_object_that_says_what_the_command_says(run, capsys):
    model = tinynet.load(run)
    assert (model.classes, model.name) == (("left", "right"), "digits_cnn")
    assert model.checkpoint.input_shape == (1, 8, 8)
    test = data.load("npz:tiny.npz", "test")
    assert main(["evaluate", str(run), "--json", "e.json"]) == 0
    said = json.loads(Path("e.json").read_text())
    for measured in (model.evaluate(test), model.evaluate("npz:tiny.npz")):
        assert (measured["accuracy"], measured["loss"]) == (said["accuracy"], said["loss"])
        assert measured["confusion_matrix"].tolist() == said["confusion_matrix"]
    assert training.evaluate(model, test)["accuracy"] == said["accuracy"]
    recorded = json.loads((run / "run.json").read_text())
    assert model.figures["test_accuracy"] == recorded["test_accuracy"] == said["accuracy"]
    assert model.figures["epoch"] == 2


def test_images_of_any_origin_give_the_same_answer(run):
    image = pytest.importorskip("PIL.Image")
    model = tinynet.load(run)
    Path("photos/more").mkdir(parents=True)
    for i, bright in enumerate(("left", "right")):
        image.fromarray(side(bright)).save(f"photos/{i}.png")
    image.fromarray(side("left")).save("photos/more/2.png")
    image.fromarray(np.rot90(side("left"))).save("photos/more/.hidden.png")
    Path("photos/notes.txt").write_text("no image")
    expected = model.predict_proba("photos")
    assert expected.shape == (3, 2)
    np.testing.assert_allclose(expected.sum(1), 1, rtol=1e-5)
    pixels = [side(bright) for bright in ("left", "right", "left")]
    for images in (
        sorted(Path("photos").rglob("[0-9].png")),
        [image.open("photos/0.png"), Path("photos/1.png"), "photos/more/2.png"],
        pixels,
        np.stack(pixels),
        np.stack(pixels).transpose(0, 3, 1, 2),
        [tinynet.tensor(p / np.float32(255)) for p in pixels],
    ):
        np.testing.assert_array_equal(model.predict_proba(images), expected)
    found = model.predict("photos/0.png")
    assert [p.label for p in found] == ["left"]
    assert found[0].probability == max(found[0].probabilities.values())
    assert found[0].probability == pytest.approx(expected[0].max(), rel=1e-5)  # of a batch of 1
    assert [p.label for p in model.predict(side("left"), invert=True)] == ["right"]
    ready = model.preprocess("photos")
    np.testing.assert_allclose(model(ready).softmax(1).array, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((2, 8, 8, 5)), r"an array float64\[8, 8, 5\] is no image"),
        (np.full((4, 4), 7.0), "of bytes, or of floats from 0 to 1"),
        (3, "an int is no image"),
        (np.full((1, 8, 8), np.nan), "image 0 has a NaN or an infinity"),
        (np.full((4, 4), -5.0), "; its values run from -5 to -5$"),
        (np.full((4, 4), 200.0), r"values run from 200 to 200; \.astype\(np\.uint8\) makes bytes"),
        ([], "there is no image in a list"),
        (np.zeros((0, 9)), r"an array of shape \(0, 9\) is empty"),
        (".", r"has no images \(.*\); not read: .*1 \*\.json"),
        (np.zeros((32, 32, 2), np.uint8), r"an array uint8\[32, 32, 2\] is no image"),
        ("nowhere.png", "no such file"),
        (np.zeros((5, 64), np.uint8), r"5 images in rows, which are x\.reshape\(-1, 1, 8, 8\)"),
    ],
)
def test_what_is_no_image_is_told(run, images, told):
    with pytest.raises(tinynet.DataError, match=told):
        tinynet.load(run).predict(images)


def near(probabilities):
    """Equal to those of another size of batch, which are added up in another order."""
    return pytest.approx(probabilities, rel=1e-5)


def test_rows_of_a_file_of_arrays_are_images(run, capsys):
    x = np.load("tiny.npz")["x"][:3]
    np.savez("new.npz", images=x, z=[1])
    np.savez("one.npz", x[:, 0])
    np.save("many.npy", x)
    rows = x.reshape(3, 64)
    np.savez("rows.npz", x=rows)
    np.savez("whole.npz", x=rows.astype(int))
    names = ",".join(f"pixel{k}" for k in range(64))
    np.savetxt("pixels.csv", rows, "%d", ",", header=names, comments="")
    np.savetxt(
        "labelled.csv", np.c_[[7, 7, 7], rows], "%d", ",", header="label," + names, comments=""
    )
    model = tinynet.load("run")
    expected = [found.probabilities for found in model.predict(x)]
    for given in (rows, rows.astype(int)):  # or a grey image, 3 high and 64 wide
        with pytest.raises(DataError, match=r"may be 3 images in rows, which are x.reshape\(-1"):
            model.predict(given)
    for given in (x.astype(int), [*rows], rows[:1]):
        answers = [found.probabilities for found in model.predict(given)]
        assert [*map(near, answers)] == expected[: len(given)]
    assert near(model.predict(rows[0])[0].probabilities) == expected[0]
    sure = model.predict(x[:1, 0] / 254.3)[0].probabilities
    mixed = [x[0, 0] / 254.3, np.zeros((9, 9, 3), np.uint8), x[1, 0]]  # of several sizes and kinds
    answers = [found.probabilities for found in model.predict(mixed)]
    for answer, right in ((answers[0], sure), (answers[2], expected[1])):
        assert near(answer) == right
    np.save("single.npy", x[0, 0])
    assert near(model.predict("single.npy")[0].probabilities) == expected[0]
    for name in (
        "new.npz",
        "one.npz",
        "many.npy",
        "pixels.csv",
        "labelled.csv",
        "rows.npz",
        "whole.npz",
    ):
        assert [near(found.probabilities) for found in model.predict(name)] == expected
    assert main(["predict", "run", "new.npz"]) == 0
    assert "new.npz row 2  left" in capsys.readouterr().out
    assert main(["predict", "rows.npz"]) == 2  # images, of which no run is to tell
    assert "there is no run in runs/" in capsys.readouterr().err
    np.savez("two.npz", a=x, b=x)
    with pytest.raises(DataError, match="holds a, b; expected one array of images, x"):
        model.predict("two.npz")
    assert main(["predict", "run", "two.npz", "new.npz"]) == 1
    told = capsys.readouterr()
    assert "new.npz row 0" in told.out
    assert "left out: two.npz: holds a, b" in told.err


def test_an_unknown_fit_is_told_before_any_image(run):
    with pytest.raises(ValueError, match="unknown fit 'padd'; did you mean 'pad'"):
        tinynet.load(run).predict(side("left"), fit="padd")
    with pytest.raises(TypeError, match=r"predict: unknown argument 'top'\. Known: images, fit"):
        tinynet.load(run).predict(side("left"), top=3)


def test_what_cannot_be_read_is_left_out_and_named(run, capsys):
    image = pytest.importorskip("PIL.Image")
    Path("empty").mkdir()
    Path("empty/phone.heic").touch()
    Path("photos").mkdir()
    for name in ("a", "b", "c"):
        image.fromarray(side("left")).save(f"photos/{name}.png")
    Path("photos/b.png").write_text("no image")
    capsys.readouterr()
    assert main(["predict", "run", "photos", "empty", "none.png", "--csv", "-"]) == 1
    shown = capsys.readouterr()
    assert [line.split(",")[0] for line in shown.out.splitlines()] == [
        "image", "photos/a.png", "photos/c.png"
    ]  # fmt: skip
    assert shown.err.count("left out: ") == 3
    for told in ("photos/b.png: cannot be read", "not read: 1 *.heic", "none.png"):
        assert told in shown.err
    assert main(["predict", "run", "photos/b.png"]) == 1
    assert "photos/b.png: cannot be read" in capsys.readouterr().err


def test_images_may_follow_an_option_and_a_table_of_others_stays(run, capsys):
    pytest.importorskip("PIL.Image").fromarray(side("left")).save("a.png")
    assert main(["predict", "run", "--top", "1", "a.png", "--csv", "p.csv", "a.png"]) == 0
    assert len(Path("p.csv").read_text().splitlines()) == 3
    assert main(["predict", "run", "a.png", "--csv", "p.csv"]) == 0
    Path("train.csv").write_text("label,pixel0\n1,2\n")
    capsys.readouterr()
    assert main(["predict", "run", "a.png", "--csv", "train.csv"]) == 2
    assert "a file is there that is no CSV of `tinynet`" in capsys.readouterr().err
    assert Path("train.csv").read_text().startswith("label,")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a.png", "run"], "run is a run, which comes first: tinynet predict RUN IMAGE..."),
        (["run", "a.png", "--csv", "-", "--json", "-"], "name a file for the other"),
    ],
)
def test_predict_says_what_comes_where(run, capsys, arguments, told):
    Path("a.png").touch()
    assert main(["predict", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_predict_prints_the_numbers_of_a_regression(here, capsys):
    pytest.importorskip("PIL.Image").fromarray(side("left")).save("a.png")
    Path("net.py").write_text(
        "from tinynet import nn\n\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n"
    )
    x = np.random.default_rng(0).random((8, 1, 8, 8)).astype(np.float32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    training.fit(model, x, x[:, 0, 0, :2], epochs=1, loss="mse", out="fitted", progress=False)
    own = ["predict", "fitted", "a.png", "--model", "net.py:net"]
    assert main([*own, "--csv", "v.csv", "--json", "v.json"]) == 0
    values = json.loads(Path("v.json").read_text())[0]["values"]
    text = ", ".join(f"{value:.6g}" for value in values)
    assert capsys.readouterr().out.endswith(f"a.png  {text}\n")
    assert Path("v.csv").read_text().splitlines() == [
        "image,value,done",
        f'a.png,"{text}",resized to 8x8',
    ]


def test_a_loaded_model_is_the_network_and_is_saved_with_what_is_known(run):
    model = tinynet.load(run)
    raw = training.checkpoint.read(run / "last.safetensors").build().eval()
    x = tinynet.randn(2, 1, 8, 8)
    np.testing.assert_array_equal(model(x).array, raw(x).array)
    assert model.state_dict().keys() == raw.state_dict().keys()
    assert model.output is model.network.output
    assert model[0] is model.network[0]
    head = nn.Sequential(model, nn.Linear(10, 3))
    assert len(head.state_dict()) == len(raw.state_dict()) + 2
    tinynet.save(head, "head.safetensors")
    tinynet.load("head.safetensors", head)
    tinynet.save(model, "again.safetensors")
    again = tinynet.load("again.safetensors")
    assert (again.classes, again.name) == (model.classes, model.name)
    images = data.load("npz:tiny.npz", "test").images
    np.testing.assert_array_equal(again.predict_proba(images), model.predict_proba(images))


@pytest.mark.filterwarnings("default:.*has changed since")
def test_a_model_of_ones_own_works_in_every_command(here, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(side("left")).save("a.png")
    own = ["--data", "npz:tiny.npz", "--model", "my_net.py:Net(width=6)"]
    assert main(["train", *own, "--epochs", "3"]) == 0
    run = Path("runs/tiny-Net")
    for arguments, words in (
        (["evaluate", str(run)], "test accuracy 100.00 %"),
        (["predict", str(run), "a.png"], "left "),
        (["verify", str(run)], "the same bit for bit"),
        (["resume", str(run)], "test accuracy 100.00 %"),
        (["export", str(run), "w.safetensors"], "4 arrays, 404 numbers"),
        (["summary", "my_net.py:Net(width=6)", "--shape", "1x8x8"], "404"),
        (["gradcheck", "--model", "my_net.py:Net", "--shape", "1x8x8"], "agree"),
        (["gradcheck", "--model", str(run)], "agree"),
        (["doctor", *own, "--steps", "0"], ""),
    ):
        capsys.readouterr()
        assert main(arguments) == 0, (arguments, capsys.readouterr())
        assert words in "".join(capsys.readouterr()), arguments
    Path("my_net.py").write_text(NET.replace(".relu()", ".tanh()"))
    assert main(["evaluate", str(run)]) == 0
    assert "my_net.py has changed since the run began" in capsys.readouterr().err
    with pytest.raises(tinynet.CheckpointError, match=r"of a model of your own, .*my_net\.py:Net"):
        tinynet.load(run)


def test_a_run_of_fit_works_in_the_commands_once_its_model_is_named(here, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(side("left")).save("a.png")
    tinynet.manual_seed(0)
    space: dict = {}
    exec(NET, space)
    train = data.load("npz:tiny.npz")
    training.fit(
        space["Net"](), train, 9, transform=data.standardize(train), out="run", progress=False
    )
    network = space["Net"]()
    model = tinynet.load("run", network)
    assert model.network is network
    assert model.evaluate("npz:tiny.npz")["accuracy"] == 1
    own = ["--model", "my_net.py:Net"]
    assert main(["predict", "run", "a.png"]) == 2
    assert "does not say of which model its weights are; name it" in capsys.readouterr().err
    assert main(["predict", "run", "a.png", *own]) == 0
    assert main(["evaluate", "run", "--data", "npz:tiny.npz", *own]) == 0
    assert main(["export", "run", "w.safetensors"]) == 0
    tinynet.load("w.safetensors", space["Net"]())


@pytest.mark.parametrize("loss", ["cross_entropy", "bce_with_logits", "mse"])
def test_outputs_without_names_are_as_many_as_the_weights_say(here, capsys, loss):
    space: dict = {}
    exec(NET, space)
    x, y = np.load("tiny.npz")["x"], np.arange(80) % 3
    several = np.stack([y, y > 0, y > 1], 1).clip(0, 1).astype(np.float32)
    np.savez("plain.npz", x=x, y=y if loss == "cross_entropy" else several)
    kept = data.load("npz:plain.npz") if loss == "cross_entropy" else (x[:60], several[:60])
    training.fit(space["Net"](3), kept, 1, loss=loss, out="run", progress=False)
    own = ["--model", "my_net.py:Net", "--data", "npz:plain.npz"]
    for command in ("evaluate", "report"):
        assert main([command, "run", *own]) == 0, capsys.readouterr().err
    assert main(["export", "run", "w.safetensors"]) == 0
    assert main(["evaluate", "w.safetensors", *own]) == 0


def test_a_single_output_is_measured_on_two_classes_by_name(here):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, rng=np.random.default_rng(0)))
    x, y = np.load("tiny.npz")["x"], np.array(CLASSES)[np.arange(80) % 2]
    np.savez("text.npz", x=x, y=y)
    training.fit(net, x, y, 9, loss="bce_with_logits", seed=0, out="run", progress=False)
    assert tinynet.load("run", net).evaluate("npz:text.npz")["accuracy"] > 0.9


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("last", [
    lambda count: [],
    lambda count: [nn.PReLU()],
    lambda count: [nn.BatchNorm1d(count)],
    lambda count: [nn.Linear(count, 3), nn.Linear(3, count, bias=False)],
    lambda count: [nn.Unflatten(1, (1, count)), nn.Conv1d(1, 3, 1), nn.Conv1d(3, 1, 1),
                   nn.Flatten()],
])  # fmt: skip
def test_how_many_outputs_a_model_has_is_known_whatever_its_last_layer_is(here, last, count):
    x, y = np.load("tiny.npz")["x"], np.arange(80) % 2
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, count), *last(count))
    targets = y.astype(np.float32) if count == 1 else np.stack([y, 1 - y], 1).astype(np.float32)
    np.savez("own.npz", x=x, y=y if count == 1 else targets)
    options = {"loss": "bce_with_logits", "out": "run", "overwrite": True, "progress": False}
    training.fit(net, x, targets, 1, **options)
    found = tinynet.load("run", net).evaluate("npz:own.npz")
    assert ("accuracy" in found) is (count == 1)
    assert found["loss"] > 0


def test_outputs_of_a_model_of_places_are_known_and_of_an_unknown_shape_refused(here):
    x, y = np.random.default_rng(0).integers(0, 9, (40, 3)), np.arange(40) % 2
    net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 1))
    options = {"loss": "bce_with_logits", "out": "run", "progress": False}
    training.fit(net, x, y.astype(np.float32), 1, **options)
    assert tinynet.load("run", net)._are_several() is False
    tinynet.save(net, "bare.safetensors", loss="bce_with_logits")
    with pytest.raises(CheckpointError, match="does not say the shape of an example"):
        tinynet.load("bare.safetensors", net).evaluate("npz:tiny.npz")


@pytest.mark.filterwarnings("default")
def test_weights_put_into_another_class_are_said(here, capsys):
    Path("my_net.py").write_text(f"{NET}\n\nclass Other(Net):\n    pass\n")
    own = ["--data", "npz:tiny.npz", "--model", "my_net.py:Net"]
    assert main(["train", *own, "--epochs", "1", "--out", "run"]) == 0
    for name, said in (("Net", False), ("Other", True)):
        capsys.readouterr()
        assert main(["evaluate", "run", "--model", f"my_net.py:{name}"]) == 0
        assert ("is of the model Net; its weights are put into" in capsys.readouterr().err) is said


TABLE = "from tinynet import nn\n\n\ndef net():\n    return nn.Linear(2, 1)\n"


def test_the_rows_of_a_table_are_predicted_from_any_file(here, capsys):
    Path("net.py").write_text(TABLE)
    x = np.random.default_rng(0).random((6, 2)).astype(np.float32)
    table = Table(x, ["a", "b"])
    options = {"epochs": 1, "loss": "mse", "out": "fitted", "progress": False}
    training.fit(nn.Linear(2, 1), table, x.sum(1), **options)
    model = tinynet.load("fitted", nn.Linear(2, 1))
    expected = [found.values for found in model.predict(x)]
    assert [found.source for found in model.predict(x)][:2] == ["row 0", "row 1"]
    np.save("x.npy", x)
    np.savez("x.npz", x=x)
    lines = [f"{b!r};t;{a!r}" for a, b in x.tolist()]
    Path("x.csv").write_text("\n".join(["b;when;a", *lines]))  # other columns, another order
    for name in ("x.npy", "x.npz", "x.csv"):
        found = [found.values for found in model.predict(name)]
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
        assert main(["predict", "fitted", name, "--model", "net.py:net", "--csv", "v.csv"]) == 0
        assert Path("v.csv").read_text().splitlines()[1].startswith(f"{name} row 0,"), name
    for text, told in (
        ("a,c\n1,2\n", "there is no column 'b', as in the training"),
        ("a,b\n\n1,2\n3,\n", "line 4, column 'b': '' is no number"),
        ("a,b\n1,nan\n", "line 2, column 'b': 'nan' is no number"),
        ("a,b\n1,2,3\n", "line 2 has 3 columns, expected 2"),
        ("a,b\n", "there is no line with numbers in it"),
        ("", "there is no line with numbers in it"),
    ):
        Path("wrong.csv").write_text(text)
        with pytest.raises(DataError, match=told):
            model.predict("wrong.csv")
    with pytest.raises(DataError, match=r"a\.png: the model takes rows of numbers"):
        model.predict("a.png")


class Table:
    """What `fit` asks of a DataFrame."""

    def __init__(self, x, columns):
        self.x, self.columns = x, columns

    def to_numpy(self):
        return self.x

    def __getitem__(self, names):
        return Table(self.x[:, [self.columns.index(name) for name in names]], names)


@pytest.mark.filterwarnings("default:.*each is taken for the place")
@pytest.mark.parametrize("of", ["model", "data"])
@pytest.mark.parametrize("ask", [
    lambda model, data_: main(["evaluate", "run", "--data", "npz:other.npz"]),
    lambda model, data_: main(["report", "run", "--data", "npz:other.npz", "--out", "r.html"]),
    lambda model, data_: model.evaluate("npz:other.npz"),
    lambda model, data_: model.evaluate(data_),
    lambda model, data_: model.findings(data_, 3, lambda batches: tqdm.tqdm(batches, disable=True)),
    lambda model, data_: model.findings(data_, 3, iter),
    lambda model, data_: training.evaluate(model, data_),
    lambda model, data_: training.evaluate(model, data.DataLoader(data_, 8)),
])  # fmt: skip
def test_names_of_classes_meet_numbers_with_one_warning(here, capsys, of, ask):
    x, y = np.load("tiny.npz")["x"], np.arange(80) % 2
    np.savez("numbers.npz", x=x, y=y)
    np.savez("names.npz", x=x[::-1], y=np.array(["z", "a"])[y][::-1])
    own, other = ("names", "numbers") if of == "model" else ("numbers", "names")
    assert main(["train", "--data", f"npz:{own}.npz", "--epochs", "1", "--out", "run"]) == 0
    Path(f"{other}.npz").rename("other.npz")
    capsys.readouterr()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ask(tinynet.load("run"), data.load("npz:other.npz"))
    said = capsys.readouterr().err + " ".join(str(w.message) for w in told)
    assert said.count("each is taken for the place of a class, 0 is 'a', 1 is 'z'; ") == 1


@pytest.mark.parametrize("watch", [list, iter, lambda batches: batches, tqdm.tqdm])
def test_other_classes_are_refused_whoever_watches_the_batches(here, watch):
    x, y = np.load("tiny.npz")["x"], np.arange(80) % 2
    for name, classes in (("own", "az"), ("other", "by")):
        np.savez(f"{name}.npz", x=x, y=np.array([*classes])[y])
    assert main(["train", "--data", "npz:own.npz", "--epochs", "1", "--out", "run"]) == 0
    with pytest.raises(DataError, match="the model knows the classes a, z; the data has b, y"):
        tinynet.load("run").findings(data.load("npz:other.npz"), 3, watch)


def test_labels_that_use_few_of_their_numbers_are_not_trained_in_silence(here, capsys):
    x, y = np.load("tiny.npz")["x"], np.array([100, 300])[np.arange(80) % 2]
    np.savez("far.npz", x=x, y=y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["train", "--data", "npz:far.npz", "--epochs", "1"]) == 1
        told = capsys.readouterr().err
        assert "the labels are 100, 300, which would be 301 classes" in told
        np.savez("names.npz", x=x, y=y.astype(str))  # both cures that it names
        np.savez("all.npz", x=x, y=y, classes=np.arange(301).astype(str))
        for name in ("names", "all"):
            assert main(["train", "--data", f"npz:{name}.npz", "--epochs", "1"]) == 0
        assert main(["evaluate", "runs/all-digits_cnn", "--data", "npz:far.npz"]) == 0


def test_maps_in_a_file_are_measured_reported_and_told(here, capsys):
    Path("net.py").write_text(
        "from tinynet import nn\n\n\ndef net():\n    return nn.Conv2d(1, 2, 1)\n"
    )
    x = np.random.default_rng(0).random((10, 1, 4, 4)).astype(np.float32)
    np.savez("maps.npz", x=x, y=(x[:, 0] > 0.5).astype(np.uint8))
    options = {"epochs": 1, "out": "fitted", "progress": False}
    training.fit(nn.Conv2d(1, 2, 1), x, (x[:, 0] > 0.5).astype(np.int64), **options)
    own = ["fitted", "--model", "net.py:net"]
    for command in (["evaluate", *own, "--json", "e.json"], ["report", *own, "--out", "r.html"]):
        assert main([*command, "--data", "npz:maps.npz"]) == 0, capsys.readouterr()
    assert np.sum(json.loads(Path("e.json").read_text())["confusion_matrix"]) == 2 * 16
    capsys.readouterr()
    assert main(["predict", *own, "maps.npz", "--json", "p.json"]) == 0
    assert " % of 4x4 places" in capsys.readouterr().out
    found = json.loads(Path("p.json").read_text())[0]
    assert np.shape(found["map"]) == (4, 4)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("shown", [["left", "right"], ["right"], ["left"]])
def test_data_with_some_of_the_classes_are_measured(run, shown):
    image = pytest.importorskip("PIL.Image")
    x, y = np.load("tiny.npz")["x"], np.array(["left", "right"])[np.arange(80) % 2]
    of_shown = np.isin(y, shown)
    np.savez("some.npz", x=x[of_shown], y=y[of_shown])
    for folder in ("some", "parts/train", "parts/test"):
        for name in shown if folder != "parts/train" else ["left", "right"]:
            (Path(folder) / name).mkdir(parents=True)
            image.fromarray(side(name, (8, 8))).save(f"{folder}/{name}/1.png")
    Path("parts/train/left").rename("parts/train/other")
    model = tinynet.load("run")
    for name in ("npz:some.npz", "folder:some", "folder:parts"):
        found = model.evaluate(name)
        assert found["accuracy"] == 1, name
        assert (found["confusion_matrix"].sum(1) > 0).tolist() == [n in shown for n in CLASSES]


def test_a_run_of_fit_of_a_known_model_needs_no_name(here, capsys):
    train = data.load("npz:tiny.npz")
    settings = {"num_classes": 2, "image_size": 8, "rng": np.random.default_rng(0)}
    model = models.build("digits_cnn", **settings)
    training.fit(model, train, 1, transform=data.standardize(train), out="run", progress=False)
    loaded = tinynet.load("run")
    assert type(loaded.network) is type(model)
    assert loaded.evaluate(train)["loss"] > 0
    assert main(["evaluate", "run", "--data", "npz:tiny.npz"]) == 0


CHANGES = {
    "another size": lambda model: setattr(model, "output", nn.Linear(84, 5)),
    "another function": lambda model: setattr(model, "relu1", nn.Tanh()),
    "a setting": lambda model: setattr(model.s2, "stride", (2, 2)),
    "one more": lambda model: model.append(nn.Tanh()),
    "one less": lambda model: delattr(model, "relu6"),
    "its class": lambda model: setattr(model, "__class__", type("Mine", (nn.Sequential,), {})),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_known_model_whose_layers_were_changed_is_no_longer_made_by_its_name(here, change):
    x = np.random.default_rng(0).random((6, 1, 28, 28), np.float32)
    model = models.build("lenet5")
    training.fit(model, x, np.arange(6) % 2, 1, out="as built", progress=False)
    loaded = tinynet.load("as built")
    change(model)
    training.fit(model, x, np.arange(6) % 2, 1, out="run", progress=False)
    with pytest.raises(tinynet.CheckpointError, match="of a model of your own"):
        tinynet.load("run")
    again = tinynet.load("run", copy.deepcopy(model))
    np.testing.assert_array_equal(training.predict(again, x), training.predict(model, x))
    change(loaded.network)
    tinynet.save(loaded, "loaded.safetensors")
    assert not isinstance(tinynet.load("loaded.safetensors"), nn.Module)
    loaded.train()
    training.fit(loaded, x, np.arange(6) % 2, 1, progress=False)
    assert loaded.name is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.py:Net", "there is no file none.py"),
        ("my_net.py:Nett", "my_net.py: unknown class 'Nett'; did you mean 'Net'?"),
        ("my_net.py:Net(depth=3)", "got an unexpected keyword argument 'depth'"),
        ("my_net.py:Net(width=open('a'))", "open('a') is no plain value"),
        ("my_net.py:Net(width=abc)", "abc is no plain value; text is in quotes"),
        ("my_net.py:Net(width='wide')", "cannot be made with (num_classes=2"),
        ("my_net.py", "is no FILE.py:CLASS"),
        ("blank.py:Net", "has no forward: write `def forward(self, x)` in the class"),
        ("my_net.py:nn.Linear", "is no FILE.py:CLASS"),
        ("blank.py:net", "blank.py:net is a Net: name the class, or a function"),
        ("blank.py:Other", "gives a Other, of blank and no tinynet.nn.Module"),
    ],
)
def test_what_is_no_model_is_told(here, capsys, name, told):
    classes = "class Net(nn.Module):\n    pass\nclass Other:\n    pass\nnet = Net()\n"
    Path("blank.py").write_text(f"from tinynet import nn\n{classes}")
    assert main(["train", "--data", "npz:tiny.npz", "--model", name, "--out", "run"]) == 2
    err = capsys.readouterr().err
    assert told in err.replace(f"{here}/", "")
    assert not Path("run").exists()


def test_a_file_that_came_with_a_run_is_not_executed(here, capsys):
    Path("gift").mkdir()
    Path("my_net.py").rename("gift/my_net.py")
    own = ["--data", "npz:tiny.npz", "--model", "gift/my_net.py:Net"]
    assert main(["train", *own, "--epochs", "1", "--out", "gift"]) == 0
    assert main(["evaluate", "gift"]) == 2
    assert "lies in the run's folder; name its file and class" in capsys.readouterr().err
    assert main(["evaluate", "gift", "--model", "gift/my_net.py:Net"]) == 0


class Stop(training.Callback):
    def on_epoch_end(self, run, record):
        raise KeyboardInterrupt


def test_without_a_run_predict_takes_the_newest_that_is_finished(run, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(side("left")).save("a.png")
    for name in ("done", "busy"):
        Path("runs", name).mkdir(parents=True)
        for file in run.iterdir():
            Path("runs", name, file.name).write_bytes(file.read_bytes())
    Path("runs/busy/.lock").write_text("1")
    train = data.load("npz:tiny.npz", "train")
    model = models.build("digits_cnn", num_classes=2)
    with pytest.raises(KeyboardInterrupt):
        training.fit(model, train, 2, callbacks=[Stop()], out="runs/stopped", progress=False)
    assert main(["predict", "a.png", "--csv", "a.csv"]) == 0
    assert "model: runs/done/last.safetensors\n" in capsys.readouterr().out
    rows = Path("a.csv").read_text().splitlines()
    assert rows[0] == "image,class,probability,done"
    assert rows[1].startswith("a.png,left,0.")


# ----- light strokes on a dark ground ---------------------------------------------------------


def cross(ink: float, ground: float, noise: float = 0.0, slope: float = 0.0) -> np.ndarray:
    """A photo (150, 100) of a plus sign that stands left and low on the paper."""
    photo = np.full((150, 100), ground)
    photo[70:130, 38:44] = ink
    photo[97:103, 11:71] = ink
    photo += slope * np.linspace(-1, 1, 100) + slope / 2 * np.linspace(-1, 1, 150)[:, None]
    return np.clip(photo + np.random.default_rng(0).normal(0, noise, photo.shape), 0, 1)


def thick(ink: float, ground: float, margin: int) -> np.ndarray:
    """A photo of a plus sign of 120x120 pixels and a noisy ground, so much of it around."""
    photo = np.full((120 + 2 * margin,) * 2, ground)
    end = margin + 120
    photo[margin:end, margin + 51 : end - 51] = ink
    photo[margin + 51 : end - 51, margin:end] = ink
    return photo + np.random.default_rng(0).normal(0, 0.02, photo.shape)


@pytest.mark.parametrize(
    ("photo", "turned"),
    [
        (cross(0.0, 1.0), True),
        (cross(0.25, 0.7, 0.04, 0.15), True),
        (cross(0.9, 0.1, 0.03), False),
        (np.pad(cross(0.0, 1.0), 300, constant_values=1.0), True),
        *[(thick(0.1, 0.8, margin), True) for margin in (0, 4, 12)],
        *[(thick(0.9, 0.2, margin), False) for margin in (0, 4)],
        (np.pad(cross(0.2, 0.8, 0.02), 15, constant_values=0.3), True),
        (np.pad(cross(0.2, 0.8, 0.02), ((0, 20), (0, 20)), constant_values=0.3), True),
        (np.pad(cross(0.2, 0.8, 0.02), ((0, 0), (0, 20)), constant_values=0.3), True),
    ],
    ids=[
        "dark on white",
        "uneven light and noise",
        "light on dark",
        "small on a large sheet",
        "cropped to the ink",
        "cropped closely",
        "cropped near",
        "light, to the ink",
        "light, closely",
        "on a desk",
        "at a corner of it",
        "at an edge of it",
    ],
)
def test_strokes_come_out_light_on_black_scaled_and_centred(photo, turned):
    made, note = strokes.like_strokes(photo, (28, 28), 20)
    assert ("turned round" in note) == turned
    lit = np.argwhere(made > 0.3)
    assert (lit.max(0) - lit.min(0) + 1).tolist() == [20, 20]
    centre = (made[..., None] * np.moveaxis(np.indices((28, 28)), 0, -1)).sum((0, 1)) / made.sum()
    np.testing.assert_allclose(centre, 14, atol=0.6)  # where MNIST has it
    assert made[:4].max() == made[:, :4].max() == 0


def test_an_empty_sheet_has_no_strokes():
    made, note = strokes.like_strokes(cross(0.8, 0.8, 0.02), (28, 28), 20)
    assert (made.max(), note) == (0, "no stroke was found")


def written(count: int, box: int, side: int) -> np.ndarray:
    """Images (N, 1, side, side) of light crosses in a box."""
    x = np.zeros((count, 1, side, side), np.uint8)
    edge = (side - box) // 2
    x[:, :, edge : edge + box, side // 2] = 255
    x[:, :, side // 2, edge : edge + box] = 255
    return x


@pytest.mark.parametrize(
    ("images", "box"),
    [
        (written(5, 20, 28), 20),
        (written(5, 8, 8) / np.float32(255), 8),
        (255 - written(5, 20, 28), None),
        (np.repeat(written(5, 20, 28), 3, 1), None),
        (np.pad(np.full((5, 1, 12, 12), 255, np.uint8), [(0, 0), (0, 0), (8, 8), (8, 8)]), None),
        (np.zeros((5, 1, 28, 28), np.uint8), None),
        (np.concatenate([written(9, 20, 28), 255 - written(2, 20, 28)]), None),
        (np.concatenate([written(9, 20, 28), 0 * written(2, 20, 28)]), None),
        (np.concatenate([written(9, 20, 28), written(2, 8, 28)]), None),
    ],
    ids=[
        "like MNIST",
        "floats to the edge",
        "on white",
        "colour",
        "solid",
        "black",
        "some on white",
        "some black",
        "of two sizes",
    ],
)
def test_the_images_of_a_set_say_whether_they_are_strokes(images, box):
    assert strokes.box_of(images) == box


@pytest.fixture
def of_strokes(tmp_path, monkeypatch, capsys):
    """A run on upright and lying bars, and a folder with ten photos of each, dark on light."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    x = np.zeros((60, 1, 28, 28), np.uint8)
    x[::2, :, 4:24, 13:16], x[1::2, :, 13:16, 4:24] = 255, 255
    x[:, 0, 0, 0] = np.arange(60)  # none twice
    np.savez("bars.npz", x=x, y=np.array(["upright", "lying"] * 30))
    train = [
        "train",
        "--data",
        "npz:bars.npz",
        "--epochs",
        "4",
        "--batch-size",
        "8",
        "--lr",
        "0.01",
    ]
    assert main([*train, "--out", "run"]) == 0
    for k in range(10):
        for name, turn in (("upright", False), ("lying", True)):
            Path("photos", name).mkdir(parents=True, exist_ok=True)
            photo = np.full((90, 60 + k), 200, np.uint8)
            photo[20:70, 20:26] = 30
            pixels = photo.T if turn else photo
            image.fromarray(pixels).save(f"photos/{name}/{k}.png")
    image.fromarray(np.full((30, 40), 250, np.uint8)).save("empty.png")
    capsys.readouterr()
    return tmp_path


@pytest.mark.filterwarnings("default:.*as `predict` makes them")
def test_a_folder_of_photos_is_judged_as_predict_sees_it_and_whole(of_strokes, capsys):
    model = tinynet.load("run")
    right = [Path(p.source).parent.name == p.label for p in model.predict("photos")]
    assert right == [True] * 20
    with pytest.warns(UserWarning, match="turned round"):
        assert model.evaluate("folder:photos")["accuracy"] == 1
    assert main(["evaluate", "run", "--data", "folder:photos"]) == 0
    told = capsys.readouterr()
    assert "20 test images" in told.out
    assert "accuracy 100.00 %" in told.out
    assert "turned round" in told.err
    assert main(["evaluate", "run", "--data", "npz:bars.npz"]) == 0
    assert "12 test images" in capsys.readouterr().out  # its own: those it was not trained on
    Path("bars.npz").rename("moved.npz")
    assert main(["evaluate", "run", "--data", "npz:moved.npz"]) == 0
    assert "12 test images" in capsys.readouterr().out
    assert main(["evaluate", "run"]) == 2
    assert "add --data KIND:PATH" in capsys.readouterr().err


def test_the_own_data_are_known_by_their_place_and_said_to_have_changed(here, capsys):
    images = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)

    def add(name, count):
        Path("own", name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = rng.integers(0, 255, (12, 12)).astype(np.uint8)
            images.fromarray(pixels).save(f"own/{name}/{i}.png")

    add("a", 10)
    add("b", 10)
    train = ["train", "--data", "folder:own", "--size", "8", "--epochs", "1", "--lr", "0.01"]
    assert main([*train, "--out", "of-own"]) == 0
    model, total = tinynet.load("of-own"), 4
    for more in (10, 20):
        add("a", more)
        for name in ("folder:own", "folder:own?size=8", f"folder:{Path('own').resolve()}"):
            capsys.readouterr()
            with pytest.warns(UserWarning, match="no longer as the run saw it"):
                assert model.evaluate(name)["confusion_matrix"].sum() == total
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                assert main(["evaluate", "of-own", "--data", name]) == 0
            told = capsys.readouterr()
            assert f"{total} test images" in told.out
            assert "no longer as the run saw it" in told.err
        total = 6
    add("c", 10)
    with pytest.warns(UserWarning, match="no longer as"), pytest.raises(DataError, match="a, b"):
        model.evaluate("folder:own?size=8")


def test_grey_arrays_need_no_axis_of_channels(of_strokes):
    x, y = np.load("bars.npz")["x"], np.load("bars.npz")["y"]
    model = tinynet.load("run")
    assert model.evaluate(x[:, 0], y)["loss"] == model.evaluate(x, y)["loss"]


def test_predict_says_of_each_image_what_was_done(of_strokes, capsys):
    files = ["photos/upright/0.png", "photos/upright/1.png", "empty.png"]
    assert main(["predict", "run", *files, "--csv", "a.csv", "--json", "a.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("images, 2 of 3: dark strokes")
    assert lines[1].startswith("images, 1 of 3: no stroke was found")
    assert lines[-1].startswith("  no stroke was found")
    assert len(lines) == 6
    kinds = [
        row["done"].split(",")[0].split(";")[0] for row in json.loads(Path("a.json").read_text())
    ]
    assert kinds == ["dark strokes on light turned round"] * 2 + ["no stroke was found"]
    table = Path("a.csv").read_text().splitlines()
    assert table[0] == "image,class,probability,done"
    assert "no stroke" in table[3]


def test_a_photo_is_made_like_the_training_images_unless_as_is(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    train = data.ArrayDataset(written(6, 20, 28), np.arange(6) % 2)
    training.fit(model, train, 1, batch_size=3, out="run", progress=False)
    model = tinynet.load("run", model)
    assert model.checkpoint.box == 20
    photo = cross(0.2, 0.8)
    made = model.batch(photo)
    assert made.done == ["dark strokes on light turned round, the figure scaled to 20 pixels and "
                         "centred"]  # fmt: skip
    assert made.pixels[0, 0, 0, 0] == 0
    as_is = model.batch(photo, as_is=True)
    assert as_is.done == ["resized to 28x28, cut to the middle"]
    assert as_is.pixels[0, 0, 0, 0] == 204
    empty = model.batch(cross(0.8, 0.8))
    assert empty.done == ["no stroke was found; resized to 28x28, cut to the middle"]
    assert empty.pixels.min() == empty.pixels.max() == 204
    same = model.batch(written(1, 20, 28)[0, 0])
    assert same.done == ["taken as they are"]
    np.testing.assert_array_equal(same.pixels, written(1, 20, 28))
    dark = 255 - written(2, 20, 28)
    for images in (
        dark,
        dark[:, 0],
        dark.transpose(0, 2, 3, 1),
        list(dark),
        dark / np.float32(255),
    ):
        turned = model.batch(images)
        assert turned.done == made.done * 2
        np.testing.assert_array_equal(turned.pixels, model.batch(dark[0]).pixels.repeat(2, 0))
        assert (model.batch(images, invert=True).pixels[:, 0, 0] == 0).all()
    with pytest.raises(tinynet.DataError, match="its values run from 0 to 255"):
        model.predict(dark.astype(np.float32))


@pytest.mark.parametrize(
    ("fit", "corners"), [("crop", [200, 20]), ("pad", [110, 110]), ("stretch", [200, 20])]
)
def test_the_aspect_ratio_of_a_photo_is_kept(run, fit, corners):
    pytest.importorskip("PIL")
    batch = tinynet.load(run).batch(side("left", (8, 32)), fit=fit)
    found = batch.pixels[0, 0, 0, [0, -1]]
    np.testing.assert_allclose(found.astype(int), corners, atol=3)
    whole = (batch.pixels > 150).sum() + (batch.pixels < 60).sum()
    assert whole == (16 if fit == "pad" else 64)


def test_weights_without_preprocessing_are_warned_of_where_figures_are_measured(here, capsys):
    model = tinynet.models.digits_cnn()
    np.savez("w.npz", **{name: t.array for name, t in model.state_dict().items()})
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["evaluate", "w.npz", "--data", "digits", "--model", "digits_cnn"]) == 0
    shown = capsys.readouterr()
    assert "w.npz (Sequential) on digits" in shown.out
    assert "w.npz does not say how images were normalised" in shown.err


def test_a_model_with_lazy_layers_goes_through_all_commands(here, capsys):
    Path("lazy.py").write_text(
        "from tinynet import nn\n\n\n"
        "def net(num_classes):\n"
        "    return nn.Sequential(nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.Flatten(), "
        "nn.LazyLinear(num_classes))\n"
    )
    options = ["--data", "npz:tiny.npz", "--model", "lazy.py:net", "--out", "run"]
    assert main(["train", *options, "--epochs", "2"]) == 0
    assert " 0 parameters" not in capsys.readouterr().out
    for command in ("evaluate", "verify", "resume", "report"):
        assert main([command, "run"]) == 0, command
    assert "DIFFERENT" not in capsys.readouterr().out
    assert main(["train", "--resume", "run", "--epochs", "3"]) == 0
    assert main(["summary", "lazy.py:net", "--shape", "1x8x8", "--classes", "3"]) == 0


def test_a_finished_run_stays_finished_where_it_cannot_be_resumed(here, capsys):
    Path("net.py").write_text(
        "from tinynet import nn\n\n\ndef net():\n    return nn.Sequential("
        "nn.Flatten(), nn.Linear(64, 2))\n"
    )
    assert main(["train", "--data", "npz:tiny.npz", "--model", "net.py:net", "--out", "run"]) == 0
    record = Path("run/run.json").read_bytes()
    Path("net.py").write_text(Path("net.py").read_text().replace("(64, 2)", "(64, 2, False)"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file that has changed
        assert main(["resume", "run"]) == 1
    assert Path("run/run.json").read_bytes() == record


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "self.hidden(x",
            "1 / 0 * self.hidden(x",
            ", line 11: ZeroDivisionError: division by zero (",
        ),
        ("x.flatten(1)", "x.flat(1)", ", line 11: AttributeError: "),
        ("self.head(", "self.head(3 * self.head(", ", line 11: "),
        ("super().__init__()", "1 / 0", ", line 6: division by zero"),
        (
            "from tinynet",
            "import nowhere\nfrom tinynet",
            ", line 2: ModuleNotFoundError: No module",
        ),
    ],
)
def test_an_error_in_a_model_of_ones_own_names_its_line(here, capsys, old, new, told):
    text = NET.replace(old, new)
    Path("my_net.py").write_text(text.replace(".relu())", ".relu()))") if "3 *" in new else text)
    assert main(["train", "--data", "npz:tiny.npz", "--model", "my_net.py:Net", "--out", "run"])
    assert f"my_net.py{told}" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.filterwarnings("default:.*my_net.py has changed since the run began")
def test_a_model_that_has_changed_is_told_by_its_layers(here, capsys):
    command = ["train", "--data", "npz:tiny.npz", "--model", "my_net.py:Net", "--out", "run"]
    assert main([*command, "--epochs", "1"]) == 0
    Path("my_net.py").write_text(NET.replace("width=4", "width=6"))
    assert main(["resume", "run", "--epochs", "2"]) == 1
    err = capsys.readouterr().err
    assert "hidden.weight: the model has shape (6, 64), the state (4, 64)" in err
    assert "another checkpoint" not in err
    Path("run/run.json").write_text("{bad")
    Path("my_net.py").write_text(NET)
    assert main(["evaluate", "run"]) == 0


def test_one_row_is_no_image(run):
    with pytest.raises(tinynet.DataError, match=r"an array float64\[784\] is no image"):
        tinynet.load(run).predict(np.zeros(784))


def test_what_training_did_to_the_images_is_what_predict_does(here):
    pytest.importorskip("PIL")
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
        for i in range(count):
            stroke, place = np.zeros((16, 16), np.uint8), rng.integers(3, 13)
            stroke[(slice(2, 14), place) if i % 2 else (place, slice(2, 14))] = 255
            stroke[(8, place) if i % 2 else (place, 8)] = 150 + count + i  # no image is there twice
            file = Path("set", part, "ab"[i % 2], f"{i:02}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            vision_images.as_pil(stroke[None]).save(file)
    assert main(["train", "--data", "folder:set", "--size", "12", "--epochs", "1"]) == 0
    model = tinynet.load("runs/set-digits_cnn")
    assert model.checkpoint.box is not None
    test = data.load("folder:set?size=12", "test")
    np.testing.assert_array_equal(model.batch("set/test").pixels, test.images)
    photo = np.full((60, 60), 230, np.uint8)
    photo[10:50, 30:34] = 40
    assert "the figure scaled" in model.batch(photo).done[0]


def test_a_list_an_integer_and_a_tensor_of_another_kind_are_as_the_array(run):
    model, x = tinynet.load(run), np.load("tiny.npz")["x"][:3]
    same = model.predict_proba(x)
    for images in (list(x), list(x[:, 0]), x.astype(np.int64), x.astype(np.uint16) * 257):
        np.testing.assert_array_equal(model.predict_proba(images), same)
    floats = (x / 255).astype(np.float32)
    np.testing.assert_array_equal(model.predict_proba([*floats]), model.predict_proba(floats))
    assert model.batch(x, invert=True).done == ["dark and light exchanged"] * 3
    assert model.batch(x[0, 0], invert=True).done == ["dark and light exchanged"]
    large = model.batch(x.repeat(2, 2).repeat(2, 3), invert=True).done[0]
    assert large == "dark and light exchanged; resized to 8x8"
    ids = np.arange(12).reshape(4, 3)
    embedding = nn.Sequential(nn.Embedding(12, 2), nn.Flatten())
    training.fit(embedding, ids, [0, 1, 2, 3], epochs=1, out="ids", progress=False)
    assert len(tinynet.load("ids", embedding).predict(ids)) == 4
    with pytest.raises(DataError, match="its values run from 0 to 255"):
        model.predict(np.arange(256, dtype=np.uint16).reshape(16, 16))


def test_a_model_that_was_moved_is_made_with_the_arguments_of_its_run(here, capsys):
    np.savez("plain.npz", x=np.load("tiny.npz")["x"], y=np.arange(80) % 3)
    Path("a_net.py").write_text(NET.replace("num_classes=2", "num_classes=10"))
    name = "a_net.py:Net(width=5)"
    assert main(["train", "--data", "npz:plain.npz", "--model", name, "--out", "run"]) == 0
    Path("a_net.py").rename("b_net.py")
    assert main(["evaluate", "run", "--model", "b_net.py:Net"]) == 0


@pytest.mark.parametrize("classes", [3, 2])  # as the class has it by default, and otherwise
@pytest.mark.parametrize("first", ["hidden", "head"])
def test_how_many_classes_a_model_has_is_told_by_its_weights(here, capsys, first, classes):
    hidden, head = (line for line in NET.splitlines() if "nn.Linear" in line)
    code = NET.replace("num_classes=2", "num_classes=3")
    if first == "head":
        code = code.replace(f"{hidden}\n{head}", f"{head}\n{hidden}")
    Path("a_net.py").write_text(code)
    net = runpy.run_path("a_net.py")["Net"](num_classes=classes)
    x, y = np.load("tiny.npz")["x"], np.arange(80) % classes
    np.savez("plain.npz", x=x, y=y)
    training.fit(net, x.astype(np.float32)[:, None] / 255, y, epochs=1, out="run", progress=False)
    status = main(["evaluate", "run", "--model", "a_net.py:Net", "--data", "npz:plain.npz"])
    guessed = first == "hidden" or classes == 3  # else the class's own default is all there is
    assert (status == 0) is guessed, capsys.readouterr().err
