"""The report of a run: what it shows is true, it is one file, and nothing in it is obeyed."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
import warnings
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, models, nn
from tinynet.cli import main
from tinynet.nn import functional as F
from tinynet.training import BestModel, Callback, checkpoint, fit
from tinynet.training.report import pictures, writer
from tinynet.training.report.curves import drawn
from tinynet.training.report.findings import Findings
from tinynet.training.report.insight import look_inside
from tinynet.training.report.page import Contents, page

HOSTILE = ("<script>alert(1)</script>", '"><img src=http://x.test/>', "\x1b[2J\u202e", "größe 日本")


class Page(HTMLParser):
    """The tags of a page with their attributes, and the texts of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.in_matrix = self.in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.in_matrix = self.in_matrix or ("class", "matrix") in attributes
        self.in_cell = self.in_matrix and tag == "td"

    def handle_endtag(self, tag):
        self.in_matrix = self.in_matrix and tag != "table"
        self.in_cell = False

    def handle_data(self, text):
        if self.in_cell:
            self.cells.append(text)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def few(classes=None, size: int = 8, channels: int = 1, count: int = 60, seed: int = 0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, channels, size, size), np.uint8)
    return data.ArrayDataset(images, np.arange(count) % len(classes or "0123"), classes=classes)


def small(classes: int = 4, channels: int = 1) -> nn.Sequential:
    tinynet.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(64, classes),
    )  # fmt: skip


def report_of(out: Path, model=None, train=None, **options) -> str:
    train = few() if train is None else train
    options = {"validate": few(seed=1), "lr": 0.01, "seed": 0, "progress": False, **options}
    fit(small() if model is None else model, train, 2, out=out, **options)
    return (out / "report.html").read_text(encoding="utf-8")


def test_the_sums_of_the_matrix_are_the_size_of_the_set_and_its_figures_are_true(tmp_path):
    model = small()
    shown = Page(report_of(tmp_path, model, validate=few(count=37, seed=1)))
    counts = np.array([int(cell) for cell in shown.cells]).reshape(4, 4)
    held = few(count=37, seed=1)
    scores = tinynet.training.predict(model, held)
    assert np.array_equal(counts, tinynet.training.confusion_matrix(scores, held.labels))
    assert counts.sum() == 37


@pytest.mark.parametrize("names", [None, HOSTILE, ("a" * 500 + "1", "a" * 500 + "2", "b", "c")])
def test_nothing_is_fetched_and_nothing_runs_whatever_the_classes_are_called(tmp_path, names):
    text = report_of(tmp_path, train=few(names), validate=few(names, seed=1))
    shown = Page(text)
    assert {tag for tag, _ in shown.tags} & {"script", "iframe", "object", "form", "base"} == set()
    addresses = [a[k] for _, a in shown.tags for k in ("src", "href") if k in a]
    assert all(address.startswith("data:") for address in addresses)
    assert all(not key.startswith("on") for _, a in shown.tags for key in a)
    assert "url(" not in text
    assert "@import" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "default-src 'none'" in text
    headers = re.findall(r'scope="col">([^<]*)<', text)
    assert len(set(headers)) == len(headers) == 4


def test_every_picture_is_whole_and_has_a_text(tmp_path):
    shown = Page(report_of(tmp_path))
    images = shown.all("img")
    assert len(images) > 8
    for image in images:
        assert image["alt"]
        content = base64.b64decode(image["src"].partition(",")[2])
        assert content.startswith(b"\x89PNG")
        height, width = (int.from_bytes(content[k : k + 4], "big") for k in (20, 16))
        packed = content[content.index(b"IDAT") + 4 : -16]
        assert len(zlib.decompress(packed)) == height * (1 + 3 * width)
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in shown.all("svg"))


def test_it_is_of_the_weights_that_were_put_back_at_the_end(tmp_path):
    model = small()
    options = {"callbacks": [BestModel(restore=True)], "schedule": None, "lr": 3.0}
    text = report_of(tmp_path, model, **options)
    shown = Page(text)
    held = few(seed=1)
    best = options["callbacks"][0].epoch
    assert f"measured on 60 validation examples, after epoch {best}" in text
    found = tinynet.training.confusion_matrix(tinynet.training.predict(model, held), held.labels)
    assert np.array_equal(np.array([int(c) for c in shown.cells]).reshape(4, 4), found)


def test_a_mistake_is_found_again_in_the_data(tmp_path):
    x, y = few().images, few().labels
    options = {"validate": None, "validation_split": 0.5}
    text = report_of(tmp_path / "a", train=(x, y), **options)
    _, held = data.stratified_split(data.ArrayDataset(x, y), [0.5, 0.5], seed=0)
    shown = [int(row) for row in re.findall(r'<b title="row (\d+)">row', text)]
    assert len(shown) > 8
    assert set(shown) <= set(held.indices)
    shuffled = data.DataLoader(few(seed=1), 20, shuffle=True)
    assert '<b title="row' not in report_of(tmp_path / "b", validate=shuffled)


def test_settings_of_a_fit_are_those_that_say_something(tmp_path):
    text = report_of(tmp_path, batch_size=7, optimizer="adam")
    rows = dict(re.findall(r"<tr><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td></tr>", text))
    assert (rows["optimizer"], rows["batch size"], rows["epochs"]) == ("Adam", "7", "2")
    assert rows["schedule"].startswith("OneCycleLR")
    assert {"None", "False", "none", "nothing"} & set(rows.values()) == set()
    again = writer.of_checkpoint(
        tmp_path, checkpoint.read(tmp_path / "last.safetensors"), small(), Findings(), ""
    )
    rows_again = {name.replace("_", " "): str(value) for name, value in again.settings.items()}
    assert {name: rows_again[name] for name in rows if name in rows_again}.items() <= rows.items()
    assert f"out={str(tmp_path)!r}, resume=True" in html.unescape(text)


def test_captions_of_many_long_names_are_different_and_those_of_the_tables(tmp_path):
    names = [f"species number {k:02d} of the great family of beetles" for k in range(30)]
    findings = Findings(names)
    rng = np.random.default_rng(0)
    x = tinynet.tensor(rng.random((30, 1, 8, 8), np.float32))
    findings.add(x, tinynet.tensor(rng.random((30, 30))), tinynet.tensor(np.arange(30)))
    text = page(Contents(small(30), [], findings, title="t"))
    of_table = set(re.findall(r'<td style="text-align:left">(species[^<]*)<', text))
    captions = re.findall(r"</b>(species[^<]*?)(?: <span|,)", text)
    assert len(of_table) == 30
    assert len(captions) >= 20
    assert set(captions) <= of_table


def test_texts_can_be_read_in_light_and_dark():
    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.03928 else c / 12.92 for c in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    style = Path(writer.__file__).with_name("style.css").read_text(encoding="utf-8")
    modes = re.findall(r":root {([^}]*)}", style)
    assert len(modes) == 2
    for mode in modes:
        colours = dict(re.findall(r"--(\w+): (#\w{6});", mode.replace("#fff;", "#ffffff;")))
        for ground in ("ground", "card"):
            for ink in ("ink", "soft", "training", "validation"):
                pair = sorted(luminance(colours[name]) for name in (ink, ground))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ink, ground)


def test_it_is_written_after_every_epoch_and_leaves_the_training_as_it_is(tmp_path):
    seen = []

    class Look(Callback):
        def on_epoch_begin(self, run):
            path = tmp_path / "a" / "report.html"
            seen.append(path.read_text(encoding="utf-8").count("<circle") if path.exists() else 0)

    first, second = small(), small()
    report_of(tmp_path / "a", first, callbacks=[Look()])
    options = {"validate": few(seed=1), "lr": 0.01, "seed": 0, "progress": False}
    fit(second, few(), 2, **options)
    assert seen[0] == 0
    assert seen[1] > 0
    for a, b in zip(first.state_dict().values(), second.state_dict().values()):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("size", [8, 300])
def test_a_page_of_noise_of_a_thousand_classes_can_be_mailed(size):
    findings = Findings([f"class {k} {'x' * 300}" for k in range(1000)])
    rng = np.random.default_rng(0)
    x = tinynet.tensor(rng.random((40, 3, size, size), np.float32))
    findings.add(x, tinynet.tensor(rng.random((40, 1000))), tinynet.tensor(np.arange(40)))
    tinynet.manual_seed(0)
    model = nn.Sequential(
        *(layer for _ in range(150) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1000),
    )  # fmt: skip
    history = [{"epoch": k, "loss": 1 / k, "validation_loss": 2 / k} for k in range(1, 5000)]
    about = {"input_shape": (3, 8, 8)}
    text = page(Contents(model, history, findings, about=about, settings={"a": "b" * 10**6}))
    assert len(text.encode()) < 500_000
    assert "Most frequent confusions" in text
    assert "No " not in re.sub(r"<[^>]*>", "", text)


def flat(x):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, x))


ODD = {
    "no validation": (small, few(), {"validate": None}, ["without validation data"]),
    "no maps": (
        lambda: flat(4),
        few(),
        {},
        ["Grad-CAM are those of convolutions", "no convolution, and so no kernels"],
    ),
    "regression": (
        lambda: flat(1),
        data.ArrayDataset(few().images, np.ones((60, 1), np.float32)),
        {"loss": F.mse_loss},
        ["<dt>mae<", "<dt>rmse<", "Predicted against true", "The largest errors", '<b title="row'],
    ),
    "numbers in rows": (
        lambda: nn.Linear(3, 2),
        (np.ones((60, 3), np.float32), np.ones((60, 2), np.float32)),
        {"loss": "mse", "metrics": ["mse"]},
        ["validation mse", "predicted against true, 60 of 60", ">row 3<", ">predicted<"],
    ),
    "two classes by one output": (
        lambda: flat(1),
        data.ArrayDataset(few().images, np.arange(60) % 2, classes=("no", "yes")),
        {"loss": "bce_with_logits"},
        ["<dt>accuracy<", "Confusion matrix", '<td style="text-align:left">yes<'],
    ),
    "several labels an example": (
        lambda: flat(3),
        data.ArrayDataset(few().images, np.ones((60, 3), np.float32)),
        {"loss": "bce_with_logits"},
        ["validation loss"],
    ),
    "maps as targets": (
        lambda: nn.Conv2d(1, 4, 3, padding=1),
        data.ArrayDataset(few().images, np.where(np.arange(3840) % 9, 1, -100).reshape(60, 8, 8)),
        {},
        ["<dt>pixel accuracy<", "3,413 pixels", "The worst maps", "% wrong"],
    ),
    "ready batches": (
        small,
        [(tinynet.zeros(4, 1, 8, 8), tinynet.tensor([0, 1, 2, 3]))] * 2,
        {},
        ['<b title="example'],
    ),
    "labels that do not count": (
        small,
        data.ArrayDataset(few().images, np.where(np.arange(60) % 3, np.arange(60) % 4, -100)),
        {},
        ["measured on 40 validation examples"],
    ),
}


@pytest.mark.parametrize(("make", "train", "options", "says"), ODD.values(), ids=ODD)
def test_a_run_of_any_kind_has_a_report_that_shows_what_there_is(
    tmp_path, make, train, options, says
):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fit: validation is on training data")
        text = report_of(tmp_path, make(), train, **{"validate": train, **options})
    assert "Learning curves" in text
    assert "<p>No " not in text
    assert [words for words in says if words not in text] == []


def test_a_model_that_cannot_be_looked_into_says_so_in_the_page(tmp_path):
    class Shy(nn.Sequential):
        def forward(self, x):
            if len(x) < 5:
                raise ValueError("<b>not alone</b>")
            return super().forward(x)

    text = report_of(tmp_path, Shy(*small()))
    assert "&lt;b&gt;not alone&lt;/b&gt;" in text
    assert "Class by class" in text


def test_a_report_that_cannot_be_written_ends_no_training(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no room")

    monkeypatch.setattr(writer, "write", fail)
    with pytest.warns(UserWarning, match="the report is not written: no room"):
        history = fit(small(), few(), 1, lr=0.01, seed=0, progress=False, out=tmp_path)
    assert len(history) == 1


def test_the_mistakes_are_the_surest_with_their_places():
    findings = Findings(("a", "b"), keep=2)
    x = tinynet.tensor(np.arange(8, dtype=np.float32).reshape(4, 1, 1, 2))
    for _ in range(2):
        scores = tinynet.tensor([[0.0, 3.0], [5.0, 0.0], [0.0, 1.0], [9.0, 0.0]])
        findings.add(x, scores, tinynet.tensor([0, 1, 0, 0]))
    assert [e.index for e in findings.mistakes] == [1, 5]
    assert findings.mistakes[0].sure == pytest.approx(1 / (1 + np.exp(-5)))
    assert np.array_equal(findings.mistakes[1].x, x.array[1])
    assert findings.matrix.tolist() == [[2, 4], [2, 0]]
    assert findings.confusions(9) == [("a", "b", 4, 4 / 6), ("b", "a", 2, 1.0)]
    assert findings.scores()[0] == ("a", 6, 0.5, 2 / 6, 0.4)


def test_grad_cam_glows_where_the_evidence_is_and_leaves_no_gradient():
    model = nn.Sequential(
        nn.Conv2d(1, 1, 1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2, bias=False)
    )
    for parameter, value in zip(model.parameters(), (1.0, 1.0)):
        parameter.array[...] = value
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 2:4, 5:7] = 1
    (inside,) = look_inside(model, image[None])
    assert np.array_equal(inside.heat, image[0])
    assert all(p.grad is None for p in model.parameters())
    assert model.training
    assert look_inside(nn.Linear(8, 2), image[None]) == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 200, 100), (5, 33, 700), (2, 2, 2)])
def test_an_input_becomes_colours_whatever_its_size(shape):
    rng = np.random.default_rng(0)
    pixels = pictures.to_pixels(rng.normal(size=shape).astype(np.float32))
    assert pixels.dtype == np.uint8
    assert len(pixels) == 3
    assert max(pixels.shape) <= pictures.SIDE
    mean, std = (0.5,), (0.25,)
    grey = np.full((1, 8, 8), 0.2)
    assert (pictures.to_pixels((grey - 0.5) / 0.25, mean, std) == 51).all()


def test_curves_take_any_number_and_leave_out_what_is_none():
    history = [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": 1e30, "lr": 1e-9}]
    shown = drawn(history)
    assert re.findall("<b>(.*?)</b>", shown) == ["loss", "learning rate"]
    assert "nan" not in shown
    assert drawn([]) == ""


# ----- the command line --------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = few(size=8, count=200).images
    np.savez("few.npz", x=images, y=np.arange(200) % 4, classes=np.array(HOSTILE))
    assert main(["train", "--data", "npz:few.npz", "--epochs", "1", "--out", "run"]) == 0
    return Path("run")


def test_train_writes_it_of_the_test_images_and_report_writes_it_again(run, capsys):
    first = (run / "report.html").read_text(encoding="utf-8")
    assert "test images" in first
    assert "tinynet train --data npz:" in first
    assert main(["report", "run", "--out", "again.html"]) == 0
    assert "again.html: open it in a browser" in capsys.readouterr().out
    again = Path("again.html").read_text(encoding="utf-8")
    assert Page(again).cells == Page(first).cells
    assert main(["report", "run"]) == 0


def test_report_replaces_nothing_but_a_report(run, capsys):
    Path("mine.html").write_text("mine")
    assert main(["report", "run", "--out", "mine.html"]) == 1
    assert "no report of ours" in capsys.readouterr().err
    assert Path("mine.html").read_text() == "mine"
    last = (run / "last.safetensors").read_bytes()
    assert main(["report", "run", "--out", "run/last.safetensors"]) == 1
    assert (run / "last.safetensors").read_bytes() == last
    Path("other").mkdir()
    Path("other/report.html").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["train", "--epochs", "1", "--out", "other"]) == 0
    assert "is no report of ours: give another name" in capsys.readouterr().err
    assert Path("other/report.html").read_text() == "mine"


def test_evaluate_lists_the_surest_mistakes(run, capsys):
    capsys.readouterr()
    assert main(["evaluate", "run", "--mistakes", "3", "--json", "found.json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(Path("found.json").read_text())["mistakes"]
    assert len(found) == 3
    assert [f"image {m['index']:5d}" in out for m in found] == [True] * 3
    assert max(map(len, out.splitlines()[1:])) <= 80  # after the path
    assert "\x1b" not in out


def test_a_mistake_names_the_file_that_it_was_read_from(tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for k, pixels in enumerate(few(count=40).images[:, 0]):
        path = Path("photos", "ab"[k % 2], f"{k}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(path)
    assert main(["train", "--data", "folder:photos", "--epochs", "1", "--out", "run"]) == 0
    assert main(["evaluate", "run", "--mistakes", "1", "--json", "found.json"]) == 0
    out = capsys.readouterr().out
    (mistake,) = json.loads(Path("found.json").read_text())["mistakes"]
    assert Path(mistake["place"]).parent.name == mistake["class"]
    assert f"\n  {mistake['place']}\n" in out
    text = Path("run/report.html").read_text(encoding="utf-8")
    assert f'alt="{mistake["place"]}: ' in text
    assert f'<b title="{mistake["place"]}">{Path(mistake["place"]).name}</b>' in text


def test_of_many_classes_the_most_frequent_confusions_are_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = [f"a class with quite a long name, number {k}" for k in range(30)]
    np.savez("x.npz", x=few(count=300).images, y=np.arange(300) % 30, classes=np.array(names))
    tinynet.save(
        models.build("digits_cnn", num_classes=30), "w.safetensors", name="digits_cnn",
        arguments={"num_classes": 30}, classes=names, mean=[0.5], std=[0.3], input_shape=(1, 8, 8),
    )  # fmt: skip
    assert main(["evaluate", "w.safetensors", "--data", "npz:x.npz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert "the most frequent confusions" in lines
    names = [line[:24] for line in lines if "%  " in line]
    assert len(set(names)) == 30


# ----- a real browser ----------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_it_without_an_error_or_a_request(tmp_path):
    text = report_of(tmp_path, train=few(HOSTILE), validate=few(HOSTILE, seed=1))
    check = """<script>window.onload = () => { const images = [...document.images];
      document.title = JSON.stringify({images: images.length,
        loaded: images.filter(i => i.complete && i.naturalWidth > 0).length,
        fetched: performance.getEntriesByType('resource')
          .filter(e => !e.name.startsWith('data:')).map(e => e.name),
        wide: document.documentElement.scrollWidth <= window.innerWidth,
        sum: [...document.querySelectorAll('.matrix td')]
          .reduce((sum, cell) => sum + Number(cell.textContent), 0)}); };</script>"""
    policy = text.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    (tmp_path / "checked.html").write_text(policy.replace("</head>", f"{check}</head>"), "utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
        (tmp_path / "checked.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    found = json.loads(re.search(r"<title>(.*?)</title>", done.stdout).group(1))
    assert found["images"] == found["loaded"] > 8
    assert found["fetched"] == []
    assert found["wide"]
    assert found["sum"] == 60
