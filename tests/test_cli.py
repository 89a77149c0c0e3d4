"""The command line, run in this process: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

import tinynet
from tinynet import data, models
from tinynet.cli import main, options
from tinynet.cli.options import find_checkpoint
from tinynet.gradcheck import table
from tinynet.training import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, checkpoint, confusion_matrix

from .small_sets import use_small_mnist, write_small_mnist

COMMANDS = ("train", "evaluate", "predict", "summary", "gradcheck", "lab", "data")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose place stays: a run knows that of its data."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that runs/ is a new one."""
    shutil.rmtree(home)
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    return home


@pytest.fixture
def tiny(here: Path) -> str:
    """A data set of 8x8 images of two classes that any model learns: bright left, bright right."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.integers(0, 60, (80, 1, 8, 8))
    x[y == 0, :, :, :4] += 150
    x[y == 1, :, :, 4:] += 150
    np.savez(here / "tiny.npz", x=x.astype(np.uint8), y=y, classes=np.array(["left", "right"]))
    return "npz:tiny.npz"


@pytest.fixture
def trained(tiny: str, home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A finished run, which is trained once and copied from then on."""
    run, first = Path("runs/tiny"), home.with_name(f"{home.name}-trained")
    if not first.exists():
        assert main(["train", "--data", tiny, "--epochs", "3", "--out", str(run)]) == 0
        shutil.copytree(run, first)
        capsys.readouterr()
    else:
        shutil.copytree(first, run)
    return run


def picture(path: Path, bright: str) -> str:
    """Write a 16x16 RGB image with a bright side, one for each path, which is returned."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.full((16, 16, 3), 20, np.uint8)
    pixels[0] += np.random.default_rng(list(str(path).encode())).integers(
        9, size=(16, 3), dtype="u1"
    )
    pixels[:, slice(8) if bright == "left" else slice(8, 16)] = 200
    image.fromarray(pixels).save(path)
    return str(path)


def test_training_saves_a_model_and_says_what_to_do_next(tiny, capsys):
    assert main(["train", "--data", tiny, "--epochs", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "64 training, 16 test images of 1x8x8, 2 classes" in out
    assert out.count("epoch ") == 3
    assert "test accuracy 100.00 % on 16 images" in out
    assert "tinynet predict runs/tiny-digits_cnn IMAGE.png" in out
    stored = checkpoint.read("runs/tiny-digits_cnn/last.safetensors")
    assert (stored.name, stored.classes) == ("digits_cnn", ("left", "right"))
    assert stored.input_shape == (1, 8, 8)


def test_json_goes_into_the_new_folder_of_the_run_however_it_is_called(tiny, here):
    options = ["--epochs", "1", "--validation", "0", "--out", str(here / "new"), "--json"]
    assert main(["train", "--data", tiny, *options, "new/a.json"]) == 0
    assert json.loads((here / "new/a.json").read_text())["settings"]["validation"] == 0


def test_json_has_settings_history_accuracy_and_seconds(tiny, here):
    options = ["--epochs", "2", "--lr", "0.01", "--seed", "7", "--augment", "shift:1"]
    assert main(["train", "--data", tiny, "--json", "result.json", *options]) == 0
    result = json.loads((here / "result.json").read_text())
    assert {"settings", "history", "test_accuracy", "seconds"} <= set(result)
    settings = result["settings"]
    assert (settings["lr"], settings["seed"], settings["epochs"]) == (0.01, 7, 2)
    assert (settings["data"], settings["augment"]) == (f"npz:{here}/tiny.npz", ["shift:1"])
    assert [record["epoch"] for record in result["history"]] == [1, 2]
    assert result["test_accuracy"] == result["history"][-1]["validation_accuracy"]
    assert result["seconds"] > 0
    assert json.loads((here / "runs/tiny-digits_cnn/run.json").read_text()) == result


def test_the_same_seed_gives_the_same_weights(tiny):
    def weights(out: str, *options: str) -> str:
        common = ["train", "--data", tiny, "--epochs", "1", "--overwrite", "--out", out]
        assert main([*common, *options]) == 0
        return checkpoint.read(Path(out) / "last.safetensors").sha256()

    augment = ("--augment", "rotate:20", "--augment", "erase:1")
    assert weights("a", *augment) == weights("b", *augment)
    assert weights("a", *augment) != weights("c", "--seed", "1", *augment)


def test_validation_images_choose_the_model_and_the_test_stays_unseen(tiny, capsys):
    options = ["--epochs", "6", "--validation", "0.25", "--patience", "2", "--out", "out"]
    assert main(["train", "--data", tiny, *options]) == 0
    assert "48 training, 16 validation, 16 test images" in capsys.readouterr().out
    assert Path("out/best.safetensors").is_file()
    result = json.loads(Path("out/run.json").read_text())
    assert 3 <= len(result["history"]) <= 6
    every = f"epochs 1 to {len(result['history'])},"  # and not those up to the best alone
    assert main(["report", "out", "--out", "again.html"]) == 0
    assert all(every in Path(page).read_text() for page in ("out/report.html", "again.html"))


def test_the_best_is_used_only_where_held_out_images_chose_it(tiny):
    common = ["train", "--data", tiny, "--epochs", "1", "--out", "out", "--overwrite"]
    assert main([*common, "--validation", "0.25"]) == 0
    assert find_checkpoint("out") == Path("out/best.safetensors")
    assert main(common) == 0
    assert checkpoint.read("out/best.safetensors").chosen_by == "loss"
    assert find_checkpoint("out") == Path("out/last.safetensors")


@pytest.mark.parametrize("model", ["digits_cnn", "resnet8"])
def test_models_are_made_for_the_images_of_a_folder(here, model, capsys):
    for side in ("left", "right"):
        (here / "photos" / side).mkdir(parents=True)
        for i in range(10):
            picture(here / "photos" / side / f"{i}.png", side)
    options = ["--data", "folder:photos", "--epochs", "1", "--batch-size", "4", "--model", model]
    assert main(["train", *options]) == 0
    stored = checkpoint.read(f"runs/photos-{model}/last.safetensors")
    assert stored.arguments == {"num_classes": 2, "in_channels": 3, "image_size": [16, 16]}
    stored.build()
    assert "16 training, 4 test images of 3x16x16, 2 classes" in capsys.readouterr().out


def test_the_class_names_of_a_folder_are_sorted_stored_and_said_by_predict(here, capsys):
    for folder, side in (("zebra", "left"), ("café au lait", "right"), ("Anna", "left")):
        (here / "photos" / folder).mkdir(parents=True)
        for i in range(5):
            picture(here / "photos" / folder / f"{i}.png", side)
    options = ["--data", "folder:photos?size=8", "--epochs", "1", "--out", "run"]
    assert main(["train", *options]) == 0
    assert checkpoint.read("run/last.safetensors").classes == ("Anna", "café au lait", "zebra")
    capsys.readouterr()
    assert main(["predict", "run", "photos/café au lait/1.png"]) == 0
    said = capsys.readouterr().out
    assert "\nphotos/café au lait/1.png  " in said
    assert {"Anna", "café au lait", "zebra"} == set(re.findall(r"  (\D+?) [\d.]+ %", said))


def test_a_run_that_diverges_says_where_it_began_and_exits_with_1(tiny, capsys):
    options = ["--lr", "1e30", "--epochs", "3", "--json", "result.json"]
    assert main(["train", "--data", tiny, *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith("tinynet train: error: training diverged in epoch 1")
    assert "Where it began: " in err
    assert "Traceback" not in err
    assert err.endswith("The last good checkpoint is runs/tiny-digits_cnn/last.safetensors.\n")
    assert not Path("result.json").exists()
    # in the same folder: such a run has learned nothing
    assert main(["train", "--data", tiny, *options, "--debug"]) == 1
    assert "in train_epoch\n" in capsys.readouterr().err
    assert main(["resume", "runs/tiny-digits_cnn"]) == 1
    assert "finished already" not in capsys.readouterr().out


@pytest.mark.filterwarnings("default:.*diverged")
def test_commands_say_of_a_run_that_it_diverged_and_not_to_go_on_with_it(tiny, capsys):
    options = ["--data", tiny, "--out", "a", "--save-every", "1", "--lr", "3e3", "--epochs", "9"]
    assert main(["train", *options, "--batch-size", "4"]) == 1
    place = re.search(r"diverged in (epoch \d+, step \d+)", capsys.readouterr().err)[1]
    for command, code, said in (
        (["train", *options], 2, f"holds a run that diverged in {place}, and would again. With a"),
        (["resume", "a"], 1, f"warning: fit: the run diverged in {place}; it goes on from before"),
        (["predict", "a", "tiny.npz"], 0, f"warning: a: the run diverged in {place}; its weights"),
        (["evaluate"], 2, "there is no run in runs/"),
    ):
        assert main(command) == code
        assert said in capsys.readouterr().err


def test_ctrl_c_before_the_command_has_begun_is_quiet(monkeypatch):
    monkeypatch.setattr(tinynet.cli, "make_parser", Mock(side_effect=KeyboardInterrupt))
    assert main([]) == 130


@pytest.mark.parametrize(
    ("program", "thread", "quiet"),
    [
        ("a/tinynet", False, True),
        ("-m", False, True),
        ("tinynet.py", False, False),
        ("tinynet", True, False),
    ],
)
def test_ctrl_c_is_quiet_while_the_command_line_is_imported_and_then_alone(program, thread, quiet):
    code = f"""if True:
        import signal, sys, threading
        sys.argv[0] = {program!r}
        usual, seen = signal.default_int_handler, []
        signal.signal(signal.SIGINT, usual)

        class Looking:
            def find_spec(name, path=None, target=None):
                if name in ("numpy", "tinynet.nn"):
                    seen.append(signal.getsignal(signal.SIGINT))

        def load():
            import tinynet

        sys.meta_path.insert(0, Looking)
        run = threading.Thread(target=load)
        run.run() if not {thread} else (run.start(), run.join())
        assert seen == 2 * [signal.SIG_DFL if {quiet} else usual], seen
        assert signal.getsignal(signal.SIGINT) is usual"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tilde_is_the_home_folder_wherever_a_path_is_taken(tiny, here, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(here))
    assert main(["train", "--data", tiny, "--epochs", "1", "--out=~/run", "--json=~/a.json"]) == 0
    assert main(["export", "~/run", "~/w.safetensors"]) == 0
    tinynet.save(tinynet.load("~/run").state_dict(), "~/state.pt")
    assert {"run", "a.json", "w.safetensors", "state.pt"} < {path.name for path in here.iterdir()}


def test_what_was_typed_is_in_the_error_as_it_was(here, capsys):
    assert main(["evaluate", "runs/batch_size=32"]) == 2
    assert "runs/batch_size=32 does not exist" in capsys.readouterr().err
    assert main(["summary", ""]) == 2
    assert "unknown model ''" in capsys.readouterr().err


def test_evaluate_shows_every_class_and_the_confusion_matrix(trained, capsys):
    assert main(["evaluate", str(trained), "--json", "result.json"]) == 0
    out = capsys.readouterr().out
    assert "test accuracy 100.00 %" in out
    assert "left   100.0%       8     8      ." in out
    result = json.loads(Path("result.json").read_text())
    assert result["confusion_matrix"] == [[8, 0], [0, 8]]
    stored = checkpoint.read(trained / "last.safetensors")
    assert tuple(result["classes"]) == stored.classes
    assert main(["evaluate", "--split", "train"]) == 0  # the newest run
    assert "64 train images" in capsys.readouterr().out


def test_evaluate_agrees_with_a_plain_calculation(tiny, capsys):
    assert main(["train", "--data", "digits", "--epochs", "1", "--out", "d"]) == 0
    assert main(["evaluate", "d", "--json", "d.json"]) == 0
    stored = checkpoint.read("d/last.safetensors")
    test = data.load("digits", "test")
    model = stored.build().eval()
    with tinynet.no_grad():
        scores = model(tinynet.tensor(stored.preprocessing()(test.images)))
    expected = confusion_matrix(scores, test.labels).tolist()
    assert json.loads(Path("d.json").read_text())["confusion_matrix"] == expected
    trained = json.loads(Path("d/run.json").read_text())
    assert trained["test_accuracy"] == pytest.approx(np.trace(expected) / 360)


def test_evaluate_refuses_data_with_other_classes(trained, capsys):
    assert main(["evaluate", str(trained), "--data", "digits"]) == 1
    assert "the model knows the classes left, right; the data has 0, 1" in capsys.readouterr().err


def test_predict_names_the_class_of_each_image(trained, here, capsys):
    left, right = picture(here / "a.png", "left"), picture(here / "b.png", "right")
    assert main(["predict", str(trained), left, right, "--json", "out.json", "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "images: resized to 8x8"
    assert lines[1].startswith(f"{left}  left ")
    assert lines[2].startswith(f"{right}  right ")
    result = json.loads(Path("out.json").read_text())
    assert [row["class"] for row in result] == ["left", "right"]
    assert sum(result[0]["probabilities"].values()) == pytest.approx(1)
    assert main(["predict", left, "--invert"]) == 0  # dark left is bright right; newest run
    out = capsys.readouterr().out
    assert out.startswith("model: runs/tiny/last.safetensors\n")
    assert f"\n{left}  right " in out


def test_predict_names_the_broken_image(trained, here, capsys):
    pytest.importorskip("PIL")
    (here / "broken.png").write_bytes(b"\x89PNG nonsense")
    assert main(["predict", str(trained), "broken.png"]) == 1
    assert "broken.png: cannot be read as an image" in capsys.readouterr().err
    assert main(["predict", str(trained)]) == 2
    assert "add the images" in capsys.readouterr().err


def test_a_warning_is_one_line_and_comes_once(here):
    x, y = np.zeros((60, 1, 8, 8), np.uint8), np.arange(60) % 3
    x[:, 0, 0, 0] = np.arange(60)
    np.savez(here / "more.npz", x=x, y=y, z=y)
    command = [sys.executable, "-m", "tinynet", "train", "--data", "npz:more.npz", "--epochs", "1"]
    environment = {**os.environ, "TINYNET_KERNELS": "numpy"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr == f"tinynet: warning: {here / 'more.npz'}: not read: z\n"


def test_a_run_finds_its_data_from_another_folder(trained, here, monkeypatch, capsys):
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert main(["evaluate", str(here / trained)]) == 0
    assert "test accuracy 100.00 %" in capsys.readouterr().out


def test_what_is_no_file_is_neither_read_nor_replaced(trained, here, capsys):
    for name in ("pipe", "pipe.pt", "pipe.safetensors"):
        os.mkfifo(here / name)
    told = "it is a pipe, a device or a socket, not a file"
    for code, *command in (
        (1, "train", "--data", "npz:pipe"),
        (1, "predict", str(trained), "pipe"),
        (1, "evaluate", "pipe.pt"),
        (1, "export", "pipe.safetensors", "copy.safetensors"),
        (2, "gradcheck", "--file", "pipe"),
        (2, "evaluate", str(trained), "--json", "pipe"),
    ):
        assert main(command) == code, command
        assert told in capsys.readouterr().err
    assert (here / "pipe").is_fifo()
    (trained / "run.json").unlink()
    os.mkfifo(trained / "run.json")
    assert main(["evaluate", str(trained)]) == 0  # for the checkpoint says what it is of


def test_a_damaged_checkpoint_is_an_error_and_not_a_crash(trained, capsys):
    path = trained / "last.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert main(["evaluate", str(trained)]) == 1
    assert "last.safetensors" in capsys.readouterr().err


def test_a_damaged_data_file_is_an_error_and_not_a_crash(here, capsys):
    (here / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    assert main(["train", "--data", "npz:cut.npz"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"tinynet train: error: {here / 'cut.npz'}")
    assert not Path("runs").exists()


def test_an_augmentation_that_leaves_nothing_is_refused_and_nothing_written(tiny, here, capsys):
    assert main(["train", "--data", tiny, "--augment", "shift:100"]) == 2
    assert (
        "'shift:100': expected whole pixels, fewer than the image has, from 0 to 7"
        in capsys.readouterr().err
    )
    assert not Path("runs").exists()


def test_an_out_folder_that_cannot_be_made_fails_before_training(tiny, here, capsys):
    (here / "file").write_text("in the way")
    (here / "taken/last.safetensors").mkdir(parents=True)
    os.mkfifo(here / "pipe")
    (here / "run").mkdir()
    (here / "tiny.npz").rename("run/best.safetensors")
    for out, told in (
        ("file", "file is no folder"),
        ("pipe", "pipe is no folder"),
        ("file/run", "file is no folder"),
        ("taken", "last.safetensors: it is a folder, not a file"),
        ("run", "best.safetensors: it is read by this command"),
    ):
        assert main(["train", "--data", "npz:run/best.safetensors", "--out", out]) == 2
        output, err = capsys.readouterr()
        assert "epoch" not in output
        assert told in err


NOT_WRITTEN = [  # commands after a run in runs/tiny, and why what they are to write is refused
    ("evaluate {run} --json {run}/last.safetensors", "it belongs to the run"),
    ("evaluate {run} --json {run}/best.safetensors", "it belongs to the run"),
    ("verify {run} --json {run}/run.json", "it belongs to the run"),
    ("resume {run} --json {run}/epoch-0001.safetensors", "it belongs to the run"),
    (
        "train --out new --json new/last.safetensors",
        "a run keeps a file of its own under that name",
    ),
    ("train --out new --json new/run.json", "a run keeps a file of its own under that name"),
    ("train --out new --json new/.lock", "a run keeps a file of its own under that name"),
    ("train --out new/run --json new", "it is to be a folder"),
    ("train --json picture.png", "a file is there that is no JSON of"),
    ("predict {run} picture.png --json picture.png", "a file is there that is no JSON of"),
    ("predict {run} picture.png --json link", "a file is there that is no JSON of"),
    ("train --data {tiny} --json tiny.npz", "its name is not that of a JSON file"),
    ("gradcheck --shape 1x4x4 --json .", "it is a folder, not a file"),
    ("gradcheck --shape 1x4x4 --json picture.png/x", "picture.png is no folder"),
    ("doctor --json nowhere/../new/x", "there is no folder nowhere/../new"),
    ("doctor --json new/x", "there is no folder new"),
    ("doctor --json package.json", "a file is there that is no JSON of"),
    ("predict {run} picture.png --json list.json", "a file is there that is no JSON of"),
    ("doctor --json {long}", "File name too long"),
    ("export {run} {run}/last.safetensors", "it is read by this command"),
    ("export {run} {run}/best.safetensors", "it belongs to the run"),
    ("export {run} {run}/epoch-0009.safetensors", "it belongs to the run"),
    ("export {run} moved.safetensors", "it is a checkpoint of a run"),
    ("export moved.safetensors moved.safetensors", "it is read by this command"),
    ("export {run} other.safetensors", "a file is there that is no model"),
    ("export {run} picture.png/x.safetensors", "picture.png is no folder"),
]


@pytest.mark.parametrize(("command", "told"), NOT_WRITTEN)
def test_nothing_that_is_read_or_belongs_to_a_run_is_written(trained, here, capsys, command, told):
    picture(here / "picture.png", "left")
    (here / "link").symlink_to("picture.png")
    (here / "package.json").write_text('{"settings": {"tabs": 1}, "ok": true}')
    (here / "list.json").write_text('[{"image": "a.png", "caption": "a cat"}]')
    (here / "other.safetensors").write_bytes(b"something else")
    (here / "moved.safetensors").write_bytes((trained / "last.safetensors").read_bytes())
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    words = command.format(run=trained, tiny="npz:tiny.npz", long=300 * "x").split()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert out == ""
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    assert not (here / "nowhere").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use stays there")
def test_a_current_folder_that_is_gone_is_named(trained, here, capsys):
    (here / "gone").mkdir()
    os.chdir(here / "gone")
    (here / "gone").rmdir()
    for code, command in ((2, ["train", "--data", "npz:tiny.npz"]), (1, ["train"])):
        assert main(command) == code
        assert "the current folder is no longer there" in capsys.readouterr().err


def test_results_replace_results(trained, here):
    for _ in range(2):
        assert main(["evaluate", str(trained), "--json", f"{trained}/evaluated"]) == 0
        assert main(["export", str(trained), "new/model.safetensors"]) == 0
    json.loads((trained / "evaluated").read_text())


@pytest.mark.parametrize(
    "command", ["evaluate {run}", "train --data npz:tiny.npz --epochs 1", "doctor --steps 1"]
)
def test_json_alone_is_printed_for_a_hyphen(trained, here, capsys, command):
    before = sorted(here.iterdir())
    assert main([*command.format(run=trained).split(), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)
    assert err
    assert sorted(here.iterdir()) == before


def test_a_run_without_its_last_checkpoint_is_not_begun_anew_without_a_word(trained, capsys):
    (trained / "last.safetensors").rename(trained / "epoch-0003.safetensors")
    for command in (["resume", str(trained)], ["train", "--out", str(trained), "--resume"]):
        assert main(command) == 2
        err = capsys.readouterr().err
        assert (
            "has no last.safetensors, but best.safetensors, epoch-0003.safetensors. Go on from"
            in err
        )
    assert main(["train", "--out", str(trained)]) == 2
    assert "holds a run that was not finished" in capsys.readouterr().err
    assert main(["resume", str(trained), "--from", f"{trained}/epoch-0003.safetensors"]) == 0
    (trained / "last.safetensors").rename(trained / "epoch-0003.safetensors")
    more = ["--from", f"{trained}/epoch-0003.safetensors", "--epochs", "4"]
    assert main(["resume", str(trained), *more]) == 0


@pytest.mark.parametrize("change", ["classes", "x_test", "y_test"])
def test_a_run_is_of_class_names_and_test_images_too(here, capsys, change):
    x, y = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8), np.arange(40) % 2
    arrays = {"x_train": x[:20], "y_train": y[:20], "classes": ["a", "b"]}
    arrays |= {"x_test": x[20:], "y_test": y[20:]}
    np.savez(here / "a.npz", **arrays)
    assert main(["train", "--data", "npz:a.npz", "--epochs", "1", "--out", "run"]) == 0
    np.savez(here / "a.npz", **{**arrays, change: arrays[change][::-1]})
    capsys.readouterr()
    for command in ("resume", "verify"):
        assert main([command, "run"]) == 1
        assert "class names are no longer those that the run began" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("kept", "other"),
    [("bytes", "wide"), ("floats", "wide"), ("wide", "bytes"), ("wide", "floats")],
)
def test_images_of_another_scale_than_those_of_the_training_are_said(here, capsys, kept, other):
    x, y = np.linspace(0, 1, 40 * 64, dtype=np.float32).reshape(40, 8, 8), np.arange(40) % 2
    images = {"bytes": (255 * x).astype(np.uint8), "floats": x, "wide": 255 * x}
    for name, array in images.items():
        np.savez(here / name, x=array, y=y)
    assert main(["train", "--data", f"npz:{kept}.npz", "--epochs", "1", "--out", "run"]) == 0
    image = picture(here / "i.png", "left")  # of bytes
    for said, *command in (
        (False, "evaluate", "run"),
        (True, "evaluate", "run", "--data", f"npz:{other}.npz"),
        (kept == "wide", "predict", "run", image),
    ):
        capsys.readouterr()
        assert main(command) == 0
        assert ("the results may be meaningless" in capsys.readouterr().err) is said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "mnits"], "unknown data set 'mnits'; did you mean 'mnist'? Known: "),
        (["train", "--data", "MNIST"], "did you mean 'mnist'?"),
        (["train", "--data", "folder:a?size=8", "--size", "9"], "has its own size: give it once"),
        (["train", "--data", "folder:.", "--out", "."], "is the folder of the data; keep the run"),
        (["train", "--optimizer", "Adma"], "did you mean 'adam'?"),
        (["train", "--model", "lenet"], "unknown model 'lenet'; did you mean 'lenet5'? Known: "),
        (["train", "--optimizer", "sdg"], "did you mean 'sgd'? Known: sgd, adam"),
        (["train", "--schedule", "cosin"], "did you mean 'cosine'? Known: onecycle"),
        (["train", "--augment", "shfit:2"], "did you mean 'shift'? Known: shift"),
        (["train", "--augment", "shift:far"], "got 'far'"),
        (["train", "--augment", "rotate:9999"], "degrees from 0 to 180; got '9999'"),
        (
            ["train", "--augment", "flip:3"],
            "augmentation 'flip:3': expected a probability from 0 to 1",
        ),
        (["train", "--augment", "shift:-1"], "'shift:-1': expected whole pixels"),
        (["train", "--validation", "-0.1"], "'-0.1' is no share; 0.1 means a tenth, 0 none"),
        (["train", "--resume", "--init-from", "r"], "leave --init-from out"),
        (["train", "--epochs", "0"], "'0' is not an integer of 1 or more"),
        (["train", "--epochs", "ten"], "'ten' is not an integer"),
        (["train", "--lr", "0"], "'0' is no number greater than 0"),
        (["train", "--lr", "nan"], "'nan' is no number"),
        (["train", "--lr", "0,05"], "'0,05' is no number greater than 0; write a point: 0.05"),
        (["train", "--validation", "1.5"], "'1.5' is no share; 0.1 means a tenth"),
        (["train", "--patience", "3"], "--patience needs --validation"),
        (["train", "--augment", "none", "--augment", "flip"], "then no flip too"),
        (["predict", "nope.png"], "there is no image, folder or run nope.png"),
        (["train", "--speed"], "unrecognized arguments: --speed"),
        (["train", "--epoch-s", "3"], "--epoch-s 3; did you mean --epochs?"),
        (["resume", "r", "--lr", "3"], "--lr 3\nsee tinynet resume --help"),
        (["train", "--out", " "], "an empty path"),
        (["trian"], "invalid choice: 'trian'"),
        (["evaluate"], "there is no run in runs/; make one with `tinynet train`"),
        (["evaluate", "nowhere"], "nowhere does not exist"),
        (["predict"], "required: [RUN] IMAGE"),
        (["summary", "vgg"], "did you mean 'vgg"),
        (["summary", "lenet5", "--shape", "28x28"], "'28x28' is no CxHxW, such as 3x32x32"),
        (["gradcheck", "--model", "lenet"], "did you mean 'lenet5'?"),
        (["gradcheck", "--order", "2"], "--order goes with --all"),
        (["data", "mnits"], "did you mean 'mnist'?"),
    ],
)
def test_wrong_arguments_have_exit_code_2_and_say_what_is_right(here, capsys, arguments, words):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert words in err
    assert out == ""
    assert "Traceback" not in err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder:", "npz:", "csv:", "idx:", "folder:?size=8"])
def test_data_without_a_path_is_refused(here, capsys, kind):
    assert main(["train", "--data", kind]) == 1
    assert f"'{kind}' has no path" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert f"  tinynet {command}" in out


def test_without_a_command_the_overview_is_shown(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n    {command}" in out for command in COMMANDS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tinynet {tinynet.__version__}\n"


def test_the_help_of_train_knows_every_name(capsys):
    main(["train", "--help"])
    out = " ".join(capsys.readouterr().out.replace("-\n", "-").split()).replace("- ", "-")
    for names in (models.names(), OPTIMIZERS, SCHEDULES, AUGMENTATIONS, data.KNOWN):
        assert [name for name in names if name not in out] == []


def test_summary_prints_layers_and_parameters(capsys):
    assert main(["summary", "lenet5"]) == 0
    assert "61,706" in capsys.readouterr().out
    assert main(["summary", "digits_cnn", "--shape", "3x16x12", "--classes", "5"]) == 0
    out = capsys.readouterr().out
    assert "1x3x16x12" in out
    assert "1x5 " in out


def test_gradcheck_agrees_for_the_default_model(here, capsys):
    assert main(["gradcheck", "--shape", "1x4x4", "--json", "report.json"]) == 0
    assert "agree" in capsys.readouterr().out
    assert json.loads(Path("report.json").read_text())["ok"] is True


def test_gradcheck_looks_at_gradients_of_gradients(capsys, monkeypatch):
    rows = [row for row in table.table(np.random.default_rng(0)) if row.op.endswith(".tanh")]
    monkeypatch.setattr(table, "table", lambda rng: rows)
    assert main(["gradcheck", "--all", "--order", "2"]) == 0
    assert "1 operations, 1 cases: all gradients agree" in capsys.readouterr().out


def test_gradcheck_fails_for_a_wrong_gradient(capsys, monkeypatch):
    from tinynet.nn import ReLU

    @tinynet.differentiable
    def wrong(x):
        return np.maximum(x, 0), lambda dy: 2 * dy * (x > 0)

    try:
        monkeypatch.setattr(ReLU, "forward", lambda self, x: wrong(x))
        assert main(["gradcheck", "--shape", "1x4x4"]) == 1
        assert "WRONG" in capsys.readouterr().out
    finally:
        registry = tinynet.autograd.registry
        registry.pop(next(name for name in registry if name.endswith(".wrong")))


def test_data_lists_every_set_and_where_it_belongs(here, capsys):
    assert main(["data", "--data-dir", "there"]) == 0
    out = capsys.readouterr().out
    for name in data.KNOWN:
        assert f"\n{name} " in f"\n{out}"
    assert "get it: tinynet data mnist" in out
    assert "They lie in there, each in a folder" in out
    assert "comes with tinynet" in out
    assert all(f"{kind}:" in out for kind in ("folder", "npz", "csv", "idx"))


def test_data_says_where_a_set_is(here, capsys):
    assert main(["data", "digits"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("digits: is in ")
    assert "tinynet train --data digits" in out


@pytest.mark.parametrize("epoch", [1, 3])
def test_ctrl_c_at_once_is_exit_code_130_and_says_what_is_saved(tiny, capsys, monkeypatch, epoch):
    from tinynet.training import BestModel

    def press(self, run):
        if run.epoch == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(BestModel, "on_epoch_begin", press)
    assert main(["train", "--data", tiny, "--out", "out"]) == 130
    error = capsys.readouterr().err
    assert "interrupted; out/last.safetensors is as it was saved last" in error
    assert error.endswith("go on with\n  tinynet resume out\n")
    assert checkpoint.read("out/last.safetensors").run["epoch"] == epoch - 1


def test_python_dash_m_tinynet_is_the_command_line():
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tinynet", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"tinynet {tinynet.__version__}\n")
    wrong = run("summary", "lenet")
    assert wrong.returncode == 2
    assert "did you mean 'lenet5'?" in wrong.stderr


def test_help_imports_no_model_and_no_data():
    code = (
        "import sys; from tinynet.cli import make_parser; make_parser().format_help();"
        "print([m for m in ('tinynet.training', 'tinynet.data', 'tqdm') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


RIGHT_KERNEL = (Path(__file__).parent / "lab_solutions/conv2d_dx.py").read_text(encoding="utf-8")
MY_OP = (
    f"{RIGHT_KERNEL}\n\nright = conv2d_dx\n"
    + """
import tinynet


@tinynet.differentiable
def my_dense(x, w, b):
    return x @ w + b, lambda dy: dy @ w.T, lambda dy: 2 * x.T @ dy, lambda dy: dy.sum(0)


@tinynet.differentiable
def my_pool(x, k):
    N, C, H, W = x.shape
    tiles = x[:, :, : H // k * k, : W // k * k].reshape(N, C, H // k, k, W // k, k)

    def dx(dy):
        dx = np.zeros_like(x)
        share = np.repeat(np.repeat(dy, k, 2), k, 3) / k**2
        dx[:, :, : H // k * k, : W // k * k] = share
        return dx

    return tiles.mean((3, 5)), dx


def conv2d_dx(dy, w, size, stride, padding, dilation, groups):
    return -right(dy, w, size, stride, padding, dilation, groups)


def composed(x):
    return (x * 2).tanh()


@tinynet.differentiable
def my_mse(pred, target):
    d = pred - target
    return np.mean(d * d), lambda dy: dy * 2 * d / d.size


@tinynet.differentiable
def my_scores(q, k, mask=None):
    return q @ k.T, lambda dy: dy @ k, lambda dy: dy.T @ q


@tinynet.differentiable
def my_rows(idx, table):
    def dt(dy):
        dtable = np.zeros_like(table)
        np.add.at(dtable, idx, dy)
        return dtable

    return table[idx], None, dt
"""
)


@pytest.fixture
def my_op(here):
    Path("my_op.py").write_text(MY_OP)
    return "my_op.py"


def test_gradcheck_finds_inputs_for_an_operation_in_a_file_and_names_what_is_wrong(my_op, capsys):
    assert main(["gradcheck", "--file", f"{my_op}:my_dense"]) == 1
    assert "my_dense, argument w" in capsys.readouterr().out
    for name in ("my_pool", "composed", "my_mse", "my_scores", "my_rows"):
        assert main(["gradcheck", "--file", f"{my_op}:{name}"]) == 0
        assert "agree" in capsys.readouterr().out


MY_FUNCTION = """
from tinynet.autograd import Function

class MyLoss(Function):
    @staticmethod
    def forward(ctx, x, target):
        ctx.save_for_backward(x, target)
        return ((x - target) ** 2).mean()

    @staticmethod
    def backward(ctx, dy):
        x, target = ctx.saved_tensors
        return dy * 2 * (x - target) / x.numel(), None
"""


def test_gradcheck_takes_a_function_class_from_a_file(here, capsys):
    Path("my_loss.py").write_text(MY_FUNCTION)
    for target in ("my_loss.py", "my_loss.py:MyLoss"):
        assert main(["gradcheck", "--file", target]) == 0
        assert "gradients of x agree" in (out := capsys.readouterr().out)
        assert "for target, taken as constant" in out


def test_gradcheck_puts_a_kernel_of_the_users_in_place(my_op, capsys):
    assert main(["gradcheck", "--file", f"{my_op}:conv2d_dx"]) == 1
    out = capsys.readouterr().out
    assert "conv2d, argument x" in out
    assert "conv2d_dx was put in place of the kernel conv2d_dx" in out


def test_gradcheck_takes_the_inputs_that_a_file_gives(my_op, capsys):
    cases = '[(np.ones((1, 1, 4, 4)), 2), {"x": np.eye(6)[None, None], "k": 3}]'
    Path(my_op).write_text(f'{MY_OP}\n\nINPUTS = {{"my_pool": {cases}}}\n')
    assert main(["gradcheck", "--file", f"{my_op}:my_pool", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["reports"]
    assert [report["op"] for report in reports] == [
        "my_pool(1x1x4x4, INPUTS[0])", "my_pool(1x1x6x6, INPUTS[1])",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("tinynet.softmax(x, 1).sum()", 1, "adds up to a constant"),
        ("tinynet.batch_norm(x, None, None, training=True).sum()", 1, "adds up to a constant"),
        ("(x.tanh() * x).sum()", 0, "checked by itself with random output gradients"),
        ("tinynet.ones(3)", 1, "does not depend on x"),
        ("x.astype(np.float32) * 1e-3 + 1000", 1, "rounds so coarsely"),
        ("tinynet.dropout(x, 0.5)", 0, "they were the same in each run"),
    ],
)
def test_gradcheck_takes_functions_of_tensors_and_says_what_says_nothing(
    tmp_path, capsys, body, code, words
):
    file = tmp_path / "mine.py"
    file.write_text(
        f"import numpy as np\nimport tinynet\n\ndef fn(x):\n    return {body}\n\n"
        "INPUTS = (np.random.default_rng(0).standard_normal((5, 3)),)\n"
    )
    assert main(["gradcheck", "--file", f"{file}:fn"]) == code
    assert words in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("none.py", "there is no file none.py"),
        ("my_op.py:my_dens", "did you mean 'my_dense'?"),
        ("broken.py", "broken.py, line 2: "),
        ("empty.py", "has no operation: put @tinynet.differentiable above"),
        ("odd.py:odd", "no inputs were found that it takes"),
    ],
)
def test_gradcheck_says_what_is_wrong_with_a_file(my_op, capsys, target, words):
    Path("broken.py").write_text("x = 1\ny = (\n")
    Path("empty.py").write_text("x = 1\n")
    Path("odd.py").write_text("def odd(mapping, zebra):\n    return mapping[zebra]['a'], None\n")
    assert main(["gradcheck", "--file", target]) == 2
    assert words in capsys.readouterr().err


def test_export_replaces_what_it_wrote_and_no_data_of_the_same_kind(here, tiny):
    assert main(["train", "--data", tiny, "--epochs", "1", "--out", "run"]) == 0
    for _ in range(2):
        assert main(["export", "run", "w.npz"]) == 0
    before = Path("tiny.npz").read_bytes()
    assert main(["export", "run", "tiny.npz"]) == 2
    assert Path("tiny.npz").read_bytes() == before


@pytest.mark.filterwarnings("default:.*no longer as the run saw it")
def test_evaluate_and_report_say_that_the_data_have_changed(here, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Path("photos", name).mkdir(parents=True)
        for i in range(10):
            image.fromarray(rng.integers(0, 255, (8, 8), np.uint8)).save(f"photos/{name}/{i}.png")
    assert main(["train", "--data", "folder:photos", "--epochs", "1", "--out", "run"]) == 0
    for command in (["evaluate"], ["report"], ["evaluate", "--split", "train"]):
        assert main([command[0], "run", *command[1:]]) == 0
    assert "no longer" not in capsys.readouterr().err
    Path("photos/a/3.png").unlink()
    for command in (["evaluate"], ["report"], ["evaluate", "--data", "folder:photos"]):
        assert main([command[0], "run", *command[1:]]) == 0
        assert "folder:photos is no longer as the run saw it" in capsys.readouterr().err.replace(
            str(here) + os.sep, ""
        )


@pytest.mark.filterwarnings("default:.*as `predict` makes them")
@pytest.mark.parametrize(("size", "channels"), [((8, 12), 3), ((16, 16), 1), ((8, 8), 3)])
def test_evaluate_makes_other_images_as_predict_does(trained, capsys, size, channels):
    image = pytest.importorskip("PIL.Image")
    for name in ("left", "right"):
        Path("photos", name).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((*size, channels), 20 + i, np.uint8)
            middle = size[1] // 2
            pixels[:, slice(middle) if name == "left" else slice(middle, None)] = 200
            pixels = pixels[..., 0] if channels == 1 else pixels
            image.fromarray(pixels).save(f"photos/{name}/{i}.png")
    assert main(["evaluate", str(trained), "--data", "folder:photos"]) == 0
    shown = capsys.readouterr()
    assert "test accuracy 100.00 %" in shown.out
    assert ("made as `predict` makes them: resized to 8x8" in shown.err) == (size != (8, 8))
    assert "10 test images" in shown.out  # all of another folder
    assert main(["report", str(trained), "--data", "folder:photos", "--out", "o.html"]) == 0
    page = Path("o.html").read_text("utf-8")
    assert f"measured on 10 test images of folder:{Path('photos').resolve()}" in page


def test_a_run_remembers_the_folder_of_its_data(here, monkeypatch, capsys):
    use_small_mnist(monkeypatch)
    write_small_mnist(here / "there")
    options = ["--data", "mnist", "--epochs", "1", "--batch-size", "10", "--out", "run"]
    assert main(["train", *options, "--data-dir", "there"]) == 0
    monkeypatch.setenv("TINYNET_DATA", str(here / "nowhere"))
    for command in ("evaluate", "report", "verify", "resume"):
        assert main([command, "run"]) == 0, capsys.readouterr().err
    assert main(["train", *options, "--resume"]) == 0


def test_summary_of_a_run_is_of_its_model(trained, capsys):
    assert main(["summary", str(trained)]) == 0
    shown = capsys.readouterr().out
    assert main(["summary", "digits_cnn", "--shape", "1x8x8", "--classes", "2"]) == 0
    assert capsys.readouterr().out == shown


def test_the_function_for_the_doctor_has_no_arguments(here, capsys):
    Path("net.py").write_text("def make(x):\n    return x\n")
    assert main(["doctor", "--file", "net.py:make"]) == 2
    assert "net.py:make is called without arguments: missing" in capsys.readouterr().err


def test_the_matrix_is_shown_where_there_is_room(trained, monkeypatch, capsys):
    for columns, head in ((80, "right images left right"), (29, "right images")):
        monkeypatch.setattr(f"{main.__module__}.evaluate.columns", lambda n=columns: n)
        assert main(["evaluate", str(trained)]) == 0
        assert " ".join(capsys.readouterr().out.split("\n")[2 + (columns == 80)].split()) == head


def test_a_verify_that_compares_nothing_fails(trained, capsys):
    assert main(["verify", str(trained), "--from", f"{trained}/last.safetensors"]) == 1
    assert "no step was replayed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("started", "on_path", "told"),
    [
        ("bin/tinynet", None, "bin/tinynet"),
        ("a folder/tinynet", None, "'a folder/tinynet'"),
        ("/venv/bin/tinynet", "/venv/bin/tinynet", "tinynet"),
        ("/src/tinynet/__main__.py", None, "python -m tinynet"),
        ("pytest", None, "tinynet"),
    ],
)
def test_commands_to_come_are_started_as_this_one_was(monkeypatch, started, on_path, told):
    monkeypatch.setattr(options.shutil, "which", lambda name: on_path)
    monkeypatch.setattr(options.sys, "argv", [started])
    assert options.program() == told


def test_going_on_from_an_earlier_checkpoint_says_what_is_replaced(tiny, capsys):
    options = ["train", "--data", tiny, "--out", "run"]
    assert main([*options, "--epochs", "3", "--keep-every", "1"]) == 0
    capsys.readouterr()
    assert main(["resume", "run", "--from", "run/epoch-0002.safetensors"]) == 0
    shown = capsys.readouterr().out
    assert "resume from run/epoch-0002.safetensors; what came after it is replaced" in shown
    assert "finished already" not in shown


def test_doctor_looks_at_the_training_that_train_would_make(here, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Path("pets", name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
            image.fromarray(pixels).save(f"pets/{name}/{i}.png")
    data_options = ["--data", "folder:pets", "--size", "32"]
    main(["doctor", *data_options, "--steps", "0"])
    shown = capsys.readouterr().out
    assert main(["train", *data_options, "--out", "run"]) == 0
    lr = json.loads(Path("run/run.json").read_text())["settings"]["lr"]
    assert f"SGD with lr {lr:g}" in " ".join(shown.split())
