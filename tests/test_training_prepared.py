"""What a run keeps of how its inputs were made, and what is said where that is another."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, training
from tinynet.errors import DataError
from tinynet.nn import functional as F
from tinynet.training import EarlyStopping, checkpoint, fit
from tinynet.vision import datasets
from tinynet.vision import transforms as T

RNG = np.random.default_rng(0)
Y = np.arange(96) % 2
BYTES = RNG.integers(0, 90, (96, 3, 8, 8))
BYTES[Y == 0, :, :, :4] += 150
BYTES[Y == 1, :, :, 4:] += 150
BYTES[:, :, 0, 0], BYTES[:, :, 7, 7] = 0, 255
BYTES = BYTES.astype(np.uint8)
SCALED = (BYTES / 255).astype(np.float32)
QUIET = {"progress": False, "seed": 0}


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2))


def photos(folder, images=BYTES):
    image = pytest.importorskip("PIL.Image")
    for i, (x, y) in enumerate(zip(images, Y)):
        (folder / f"class {y}").mkdir(exist_ok=True, parents=True)
        image.fromarray(x.transpose(1, 2, 0)).save(folder / f"class {y}" / f"{i:03}.png")
    return folder


def said(call):
    """What comes, and whether a warning says that the results may be meaningless."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, any("results may be meaningless" in str(w.message) for w in caught)


STEPS = {
    "normalised": [T.ToTensor(), T.Normalize(0.5, 0.1)],
    "twice": [T.ToTensor(), T.Normalize(0.5, 0.5), T.Normalize([0.1, 0.0, 0.0], 0.2)],
    "with chance": [T.RandomHorizontalFlip(0.0), T.ToTensor(), T.Normalize(0.3, 0.2)],
    "resized": [T.Resize(10), T.CenterCrop(8), T.ToTensor(), T.Normalize(0.5, 0.1)],
    "stretched": [T.Resize((8, 8)), T.Pad(1), T.CenterCrop(8), T.ToTensor()],
    "grey": [T.Grayscale(3), T.ToTensor()],
}


@pytest.mark.parametrize("name", STEPS)
def test_transforms_of_vision_are_kept(tmp_path, name):
    folder = photos(tmp_path / "photos")
    train = datasets.ImageFolder(folder, transform=T.Compose(STEPS[name]))
    model = net()
    fit(model, data.DataLoader(train, 32, shuffle=True, seed=0), 1, out=tmp_path / "run", **QUIET)
    loaded = tinynet.load(tmp_path / "run", net())
    assert loaded.classes == ("class 0", "class 1")
    expected = F.softmax(model(next(iter(data.DataLoader(train, 96)))[0]), 1).array
    found, is_said = said(lambda: loaded.predict_proba(folder))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not is_said
    measured, is_said = said(lambda: loaded.evaluate(train))
    assert measured["accuracy"] == training.evaluate(model, data.DataLoader(train, 32))["accuracy"]
    assert not is_said


def mine(images):
    return (images / 127.5 - 1).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "options"),
    [
        (BYTES, {"transform": mine}),
        (BYTES, {"transform": T.Compose([T.Lambda(mine)])}),
        (mine(BYTES), {}),
        ((SCALED - 0.4) / 0.3, {}),
        (255 * SCALED, {}),
        (255 * SCALED, {"transform": data.Normalize(127, 70)}),
    ],
    ids=["a function", "Lambda", "-1 to 1", "standardised", "0 to 255", "of 0 to 255"],
)
@pytest.mark.filterwarnings("ignore:fit. the inputs of the first batch")
def test_photos_are_not_given_in_silence_to_a_model_of_other_numbers(tmp_path, x, options):
    fit(net(), x, Y, 1, out=tmp_path / "run", **QUIET, **options)
    loaded = tinynet.load(tmp_path / "run", net())
    assert said(lambda: loaded.predict(BYTES[:1]))[1]
    assert said(lambda: loaded.predict(SCALED))[1]
    assert said(lambda: loaded.evaluate(BYTES, Y))[1]
    if not options:
        assert not said(lambda: loaded.evaluate(x, Y))[1]
        assert not said(lambda: loaded.predict(x[:1]))[1]


@pytest.mark.parametrize("kept", ["bytes", "floats", "standardised"])
def test_other_numbers_are_not_given_in_silence_to_a_model_of_photos(tmp_path, kept):
    x = {"floats": SCALED}.get(kept, BYTES)
    standard = data.standardize(data.ArrayDataset(BYTES, Y))
    options = {"transform": standard} if kept == "standardised" else {}
    fit(net(), x, Y, 1, out=tmp_path / "run", **QUIET, **options)
    loaded = tinynet.load(tmp_path / "run", net())
    for images in (BYTES, SCALED, BYTES[:1], SCALED[:1]):
        assert not said(lambda images=images: loaded.predict(images))[1]
    for images in (mine(BYTES), mine(BYTES)[:1], standard(BYTES), 255 * SCALED):
        assert said(lambda images=images: loaded.predict(images))[1]
        assert said(lambda images=images: loaded.evaluate(images, Y[: len(images)]))[1]
    ready = data.DataLoader(data.ArrayDataset(BYTES, Y), 32)
    assert said(lambda: loaded.evaluate(ready))[1] == (kept == "standardised")


@pytest.mark.parametrize("x", [2 * SCALED - 1, (SCALED - 0.4) / 0.3, SCALED / 2], ids=str)
def test_validation_of_another_scale_is_said(x):
    parts = [data.ArrayDataset(images, Y) for images in (x, SCALED[::-1])]
    for first, second in (parts, parts[::-1]):
        for loader in (lambda part: part, lambda part: data.DataLoader(part, 48)):
            with pytest.warns(UserWarning, match="is one of them scaled, and not the other"):
                fit(net(), loader(first), 1, validate=loader(second), **QUIET)
    fit(net(), parts[0], 1, validate=(x[..., ::-1], Y), **QUIET)


def test_a_data_set_that_prepares_its_images_itself_is_prepared(tmp_path):
    class Own(data.Dataset):
        transform = T.Compose([T.Lambda(lambda x: x * 0.9), T.ToTensor()])

        def __len__(self):
            return 96

        def __getitem__(self, i):
            return self.transform(SCALED[i].transpose(1, 2, 0)), int(Y[i])

    fit(net(), Own(), 1, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, net())
    assert not said(lambda: loaded.evaluate(Own()))[1]
    assert said(lambda: loaded.evaluate(SCALED, Y))[1]


def test_a_table_of_another_scale_is_said(tmp_path):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    fit(nn.Linear(3, 2), x, Y, 1, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, nn.Linear(3, 2))
    assert not said(lambda: loaded.predict(2 * x))[1]
    assert said(lambda: loaded.predict(100 * x))[1]
    assert said(lambda: loaded.evaluate(x / 100, Y))[1]


@pytest.mark.parametrize(
    "augment", ["flip", "shift:1", T.RandomVerticalFlip(), data.RandomRotation(9, "bilinear")]
)
@pytest.mark.parametrize("targets", [BYTES[:, 0] > 99, SCALED, SCALED.reshape(96, -1)])
def test_an_image_is_not_moved_without_its_map(augment, targets):
    targets = targets.astype(int) if targets.dtype == bool else targets
    model, loss = (nn.Conv2d(3, 2, 1), "ce") if targets.ndim == 3 else (nn.Conv2d(3, 3, 1), "mse")
    model = nn.Sequential(model, nn.Flatten()) if targets.ndim == 2 else model
    with pytest.raises(ValueError, match="moves the image, and its target of shape"):
        fit(model, BYTES, targets, 1, augment=augment, loss=loss, **QUIET)
    if not isinstance(augment, str):
        loader = data.DataLoader(data.ArrayDataset(BYTES, targets), 32, transform=augment)
        with pytest.raises(ValueError, match="moves the image"):
            fit(model, loader, 1, loss=loss, **QUIET)
    fit(model, BYTES, targets, 1, augment="erase", loss=loss, **QUIET)


def test_a_data_set_of_ones_own_may_move_both():
    class Both(data.Dataset):
        transform = T.RandomHorizontalFlip(1.0)

        def __len__(self):
            return 32

        def __getitem__(self, i):
            x = self.transform(SCALED[i : i + 1])
            return x[0], (x[0, 0] > 0.4).astype(np.int64)

    fit(nn.Conv2d(3, 2, 1), Both(), 1, **QUIET)


def test_a_loaded_model_that_is_trained_further_knows_its_new_inputs(tmp_path):
    fit(net(), BYTES, Y, 1, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, net())
    x = 3 * RNG.standard_normal(BYTES.shape).astype(np.float32)
    _, is_said = said(lambda: fit(loaded, x, Y, 2, validation_split=0.2, **QUIET))
    assert not is_said
    assert not said(lambda: training.evaluate(loaded, x, Y))[1]


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=tinynet.tensor([1.0, 9.0])),
        nn.CrossEntropyLoss(label_smoothing=0.2),
        nn.HuberLoss(delta=0.01),
        nn.BCEWithLogitsLoss(pos_weight=tinynet.tensor([5.0])),
    ],
    ids=str,
)
def test_the_settings_of_the_loss_are_kept(tmp_path, loss):
    outputs, y = (2, Y) if "Cross" in str(loss) else (1, Y.astype(np.float32))
    held = RNG.standard_normal((2, 40, 3)).astype(np.float32)
    options = {"loss": loss, "validate": (held[1], y[:40]), "out": tmp_path}
    history = fit(nn.Linear(3, outputs), held[0], y[:40], 1, **options, **QUIET)
    measured = tinynet.load(tmp_path, nn.Linear(3, outputs)).evaluate(held[1], y[:40])
    assert measured["loss"] == history[-1]["validation_loss"]


def of_pairs(output, target):
    return ((output - target) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "y", "is_said"),
    [
        (of_pairs, Y, True),
        (of_pairs, Y[:, None], False),
        (lambda output, target: of_pairs(output[:, 0], target), Y, False),
        (F.mse_loss, Y, False),
        (
            lambda output, target: (output.mean() - target.mean()) ** 2,
            np.float32(1) * Y[:, None],
            False,
        ),
    ],
)
def test_a_loss_that_compares_all_with_all_is_said(loss, y, is_said):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(nn.Linear(3, 1), x, y.astype(np.float32), 2, loss=loss, **QUIET)
    told = [str(w.message) for w in caught if "each output with every target" in str(w.message)]
    assert len(told) == is_said
    assert not told or "(64, 1) and (64,)" in told[0]


class Several(nn.Module):
    """A model whose outputs are what `made` makes of them."""

    def __init__(self, made):
        super().__init__()
        self.checkpoint, self.made = nn.Linear(3, 1), made

    def forward(self, x):
        return self.made(self.checkpoint(x))


@pytest.mark.parametrize(
    ("made", "loss"),
    [
        (lambda y: (y, y[:, :0]), lambda outputs, target: outputs[0].mean() ** 2),
        (lambda y: y.mean(), lambda output, target: output**2),
        (lambda y: {"y": y}, lambda outputs, target: outputs["y"].mean() ** 2),
    ],
    ids=["a tuple", "one number", "a dict"],
)
def test_outputs_of_any_kind_are_for_the_loss_alone(made, loss):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    fit(Several(made), x, Y, 1, loss=loss, metrics={}, **QUIET)
    ready, other = [(tinynet.tensor(x), None)], [(tinynet.tensor(-x), None)]
    fit(Several(made), ready, 1, validate=other, loss=loss, metrics={}, **QUIET)


@pytest.mark.parametrize("kept", [None, "best of mine.safetensors"])
@pytest.mark.parametrize("stopping", [None, 2, EarlyStopping(3, "validation_accuracy")])
def test_a_run_has_one_best_epoch(tmp_path, stopping, kept):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    model, run = nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 2)), tmp_path / "run"
    options = {"validate": (x[48:], Y[48:]), "early_stopping": stopping, "schedule": None}
    options["checkpoint"] = None if kept is None else tmp_path / kept
    history = fit(model, x[:48], Y[:48], 9, lr=0.5, out=run, **options, **QUIET)
    loaded = tinynet.load(run, nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 2)))
    by = "validation_loss" if stopping == 2 else "validation_accuracy"
    best = history.best(by)
    assert loaded.figures["epoch"] == best["epoch"]
    assert loaded.evaluate(x[48:], Y[48:])["loss"] == best["validation_loss"]
    if stopping is not None:
        assert training.evaluate(model, x[48:], Y[48:])["loss"] == best["validation_loss"]
    after = f"after epoch {best['epoch']}" + (" of" if best is not history[-1] else "</p>")
    assert f"validation examples, {after}" in (run / "report.html").read_text()
    if kept is not None:
        assert checkpoint.read(tmp_path / kept).run["epoch"] == best["epoch"]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i4", "i8", "?"])
def test_integers_in_rows_are_the_numbers_that_they_are(tmp_path, dtype):
    x = RNG.integers(0, 2 if dtype == "?" else 9, (64, 3)).astype(dtype)
    y = x[:, 0].astype(int) > 0
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    expected = fit(first, x.astype(np.float32), y, 2, **QUIET)
    found = fit(second, x, y, 2, out=tmp_path, **QUIET)
    assert [r["loss"] for r in found] == [r["loss"] for r in expected]
    loaded = tinynet.load(tmp_path, nn.Linear(3, 2))
    measured = [loaded.evaluate(given, y)["loss"] for given in (x, x.astype(np.float32))]
    assert measured[0] == measured[1]
    floats = training.predict(first, x.astype(np.float32))
    for given in (x, x.tolist(), data.ArrayDataset(x.astype(np.float32), y)):
        np.testing.assert_array_equal(training.predict(loaded, given), floats)
    labels = [p.label for p in loaded.predict(x.tolist())]
    assert labels == [str(k) for k in floats.argmax(1)]
    assert loaded.predict(x[0].tolist())[0].label == labels[0]


def test_indices_for_an_embedding_stay_integers():
    x, y = RNG.integers(0, 9, (64, 4)), np.arange(64) % 2
    fit(nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(12, 2)), x, y, 1, **QUIET)


def test_a_list_of_examples_is_a_data_set():
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    expected = fit(first, x, Y, 2, batch_size=16, **QUIET)
    found = fit(second, list(zip(x, Y)), 2, batch_size=16, **QUIET)
    assert [r["accuracy"] for r in found] == [r["accuracy"] for r in expected]
    assert training.evaluate(second, list(zip(x, Y))) == training.evaluate(first, x, Y)


@pytest.mark.parametrize("first", ["numbers", "text"])
def test_numbers_for_named_classes_are_said(tmp_path, capsys, first):
    x, text = RNG.standard_normal((96, 3)).astype(np.float32), np.array(["cat", "dog"])[Y]
    labels = {"numbers": Y, "text": text}
    fit(nn.Linear(3, 2), x, labels.pop(first), 1, out=tmp_path, **QUIET)
    (other,) = labels.values()
    fit(nn.Linear(3, 2), x, other, 1, init_from=tmp_path)
    assert "the last layer too: the classes cat, dog are numbers in one" in capsys.readouterr().out
    if first == "text":
        with pytest.warns(UserWarning, match="place of a class, 0 is 'cat', 1 is 'dog'; give text"):
            tinynet.load(tmp_path, nn.Linear(3, 2)).evaluate(x, Y)
        with pytest.warns(UserWarning, match="validate: .* 0 is 'cat'"):
            fit(nn.Linear(3, 2), x, text, 1, validate=(x[::-1], Y), **QUIET)


def test_a_loss_of_ones_own_is_said_where_ours_stands_for_it(tmp_path, capsys):
    def own(output, target):
        return 2 * F.cross_entropy(output, target)

    fit(net(), BYTES, Y, 1, loss=own, out=tmp_path)
    assert "read the outputs as those of cross_entropy" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="training's loss, .*own, is not kept: .*cross_entropy"):
        tinynet.load(tmp_path, net()).evaluate(BYTES, Y)


def test_validation_data_of_other_classes_are_refused():
    sets = [data.ArrayDataset(BYTES, Y, classes=names) for names in (("a", "b"), ("a", "c"))]
    with pytest.raises(DataError, match="knows the classes a, b; the data has a, c"):
        fit(net(), sets[0], 1, validate=sets[1], **QUIET)


def test_integers_for_classes_that_are_called_by_other_numbers_are_said(tmp_path):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    fit(nn.Linear(3, 2), x, (Y + 1).astype(str), 1, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, nn.Linear(3, 2))
    with pytest.warns(UserWarning, match="each is taken for the place of a class, 0 is '1'"):
        loaded.evaluate(x, Y)
    assert loaded.evaluate(x, (Y + 1).astype(str))["accuracy"] >= 0
    with pytest.warns(UserWarning, match="0 is '1'"):
        fit(
            net(),
            data.ArrayDataset(BYTES, Y, classes=[1, 2]),
            1,
            validate=(255 - BYTES, Y),
            **QUIET,
        )


class Table:
    """What looks like a table of pandas."""

    def __init__(self, columns):
        self.by_name, self.columns = columns, list(columns)

    def to_numpy(self):
        return np.stack(list(self.by_name.values()), axis=1)

    def __getitem__(self, names):
        return Table({name: self.by_name[name] for name in names})


def test_the_columns_of_a_table_have_names(tmp_path):
    columns = dict(zip("abc", RNG.standard_normal((3, 96))))
    table, turned = Table(columns), Table(dict(reversed(columns.items())))
    model = nn.Linear(3, 2)
    fit(model, table, Y, 1, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, nn.Linear(3, 2))
    expected = training.predict(model, table)
    for given in (table, turned):
        np.testing.assert_array_equal(training.predict(loaded, given), expected)
        assert loaded.evaluate(given, Y)["loss"] == loaded.evaluate(table, Y)["loss"]
    with pytest.raises(DataError, match="there is no column 'b', as in the training"):
        loaded.predict(table[["a", "c"]])


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (
            lambda x, table: fit(nn.Linear(3, 2), table, 1),
            r"\(table\[\['a', 'b'\]\], table\['label",
        ),
        (lambda x, table: fit(nn.Linear(3, 2), x, Y, 1, validate=table), "validate must be a pair"),
        (lambda x, table: training.evaluate(nn.Linear(3, 2), table), "Of a table give the columns"),
        (lambda x, table: fit(nn.Linear(3, 2), table, "label", 1), r"column, table\['label'\]"),
        (lambda x, table: fit(nn.Linear(1, 2), x[:, 0], Y, 1), r"make rows: x\[:, None\]"),
        (lambda x, table: training.predict(nn.Linear(1, 2), x[:, 0]), "a row of numbers for each"),
    ],
)
def test_a_table_or_a_column_in_place_of_rows_is_told(use, told):
    x = RNG.standard_normal((96, 3)).astype(np.float32)
    with pytest.raises((DataError, tinynet.ShapeError), match=told):
        use(x, Table(dict(zip("abc", x.T))))


def test_dark_strokes_on_light_are_turned_where_they_are_measured(tmp_path):
    x = np.zeros((40, 1, 12, 12), np.uint8)
    x[::2, 0, 2:10, 5], x[1::2, 0, 5, 2:10] = 255, 255
    x, y = np.roll(x, 1, 2), np.arange(40) % 2
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 2))
    loader = data.DataLoader(data.ArrayDataset(x, y), 20)
    for name, train in (("arrays", (x, y)), ("loader", loader)):
        fit(model, train, 3, out=tmp_path / name, **QUIET)
        loaded = tinynet.load(tmp_path / name, nn.Sequential(nn.Flatten(), nn.Linear(144, 2)))
        assert loaded.checkpoint.box is not None
        for some in (slice(None), slice(0, None, 2), slice(1)):  # all, every second, the first
            images = x.copy()
            images[some] = 255 - images[some]
            with pytest.warns(UserWarning, match="made as `predict` makes them: dark strokes"):
                turned = loaded.evaluate(images, y)
            found = [int(each.label) for each in loaded.predict(images)]
            assert turned["accuracy"] == np.mean(found == y)
            rows = np.arange(0, len(y), 3)
            with pytest.warns(UserWarning, match="made as `predict` makes them: dark strokes"):
                part = loaded.evaluate(data.Subset(data.ArrayDataset(images, y), rows))
            assert part["accuracy"] == np.mean(found == y, where=np.isin(np.arange(len(y)), rows))


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fit(net(), BYTES, Y, 1, out="~/run", checkpoint="~/best.safetensors", **QUIET)
    assert (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "best.safetensors").exists()
    assert tinynet.load("~/run", net()).classes is None


def test_weights_and_a_module_make_a_model_that_predicts_arrays(tmp_path):
    model = net()
    tinynet.save(model.state_dict(), tmp_path / "w.safetensors")
    loaded = tinynet.load(tmp_path / "w.safetensors", net())
    labels = [str(k) for k in training.predict(model, SCALED).argmax(1)]
    with pytest.warns(UserWarning, match="does not say how images were normalised"):
        assert [found.label for found in loaded.predict(SCALED)] == labels
    assert [found.label for found in loaded.predict(SCALED.reshape(96, -1))] == labels
    for photos_of in ("photo.png", ["photo.png"]):
        with pytest.raises(
            tinynet.CheckpointError, match=r"does not say which shape.*input_shape="
        ):
            loaded.predict(photos_of)


def test_a_broken_file_in_a_folder_is_left_out_with_a_warning(tmp_path):
    folder = photos(tmp_path / "photos")
    fit(net(), BYTES, Y, 1, out=tmp_path / "run", **QUIET)
    (folder / "class 0" / "broken.png").write_bytes(b"no image")
    loaded = tinynet.load(tmp_path / "run", net())
    with pytest.warns(UserWarning, match=r"left out: .*broken\.png"):
        assert len(loaded.predict(folder)) == 96
    with pytest.raises(DataError, match="broken"):
        loaded.predict(folder / "class 0" / "broken.png")


def test_images_are_resized_as_those_of_the_training(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    fit(model, BYTES, Y, 2, transform=T.Resize(4), out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, nn.Sequential(nn.Flatten(), nn.Linear(48, 2)))
    assert loaded.evaluate(BYTES, Y)["accuracy"] > 0.9
    assert np.mean([p.label == str(y) for p, y in zip(loaded.predict(BYTES), Y)]) > 0.9


def test_a_map_of_one_output_is_a_map_of_two_classes(tmp_path):
    masks = (BYTES[:, :1] > 127).astype(np.float32)
    fit(nn.Conv2d(3, 1, 1), BYTES, masks, 1, loss="bce_with_logits", out=tmp_path, **QUIET)
    found = tinynet.load(tmp_path, nn.Conv2d(3, 1, 1)).evaluate(BYTES, masks)
    maps = np.stack([p.map for p in tinynet.load(tmp_path, nn.Conv2d(3, 1, 1)).predict(BYTES)])
    assert found["accuracy"] == np.mean(maps == masks[:, 0])
    assert found["confusion_matrix"].sum() == masks.size
    loaded = tinynet.load(tmp_path, nn.Conv2d(3, 1, 1))
    scores = training.predict(loaded, BYTES)
    for found, score in zip(loaded.predict(BYTES), scores):
        np.testing.assert_array_equal(found.map, score[0] > 0)
    assert loaded.predict_proba(BYTES).shape == (96, 2, 8, 8)


def test_a_single_output_of_two_classes_has_an_accuracy_and_a_matrix(tmp_path):
    options = {"loss": "bce_with_logits", "validation_split": 0.5, "out": tmp_path}
    one = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    history = fit(one, BYTES, Y.astype(np.float32), 2, **options, **QUIET)
    assert history[-1]["validation_accuracy"] > 0.9
    assert "48 validation examples, after epoch" in (tmp_path / "report.html").read_text()


def test_small_batches_are_looked_at_together(tmp_path):
    x = SCALED[:, :1]
    transform = data.standardize(data.ArrayDataset(x, Y))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    fit(model, data.ArrayDataset(x, Y), 1, transform=transform, out=tmp_path, **QUIET)
    loaded = tinynet.load(tmp_path, model)
    for size in (1, 5, 96):
        loader = data.DataLoader(data.ArrayDataset(x, Y), size)
        found, warned = said(lambda batches=loader: loaded.evaluate(batches))
        assert warned, size
        assert found["confusion_matrix"].sum() == len(x)
