"""Runs that are kept, go on for more epochs, and begin with the weights of others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, nn, optim
from tinynet.cli import main, options
from tinynet.training import checkpoint, fit, weights_sha256

LAST = "last.safetensors"
fit_module = sys.modules["tinynet.training.fit"]  # whose name is the function's


def examples(classes: int = 2, count: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 1, 8, 8) with a bright column for each class, and their labels."""
    y = np.arange(count) % classes
    x = np.random.default_rng(0).integers(0, 60, (count, 1, 8, 8))
    x[np.arange(count), :, :, y] += 150
    return x.astype(np.uint8), y


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with data sets of two and of three classes."""
    monkeypatch.chdir(tmp_path)
    for classes in (2, 3):
        x, y = examples(classes)
        np.savez(f"of{classes}.npz", x=x, y=y, classes=np.array(["a", "b", "c"][:classes]))
    return tmp_path


def train(*options: str, of: int = 2, epochs: int = 1) -> int:
    return main(["train", "--data", f"npz:of{of}.npz", "--epochs", str(epochs), *options])


def weights(run: str) -> str:
    return checkpoint.read(Path(run) / LAST).sha256()


def test_a_finished_run_is_kept_and_the_next_has_a_number(here, capsys):
    for name in ("of2-digits_cnn", "of2-digits_cnn-2", "of2-digits_cnn-3"):
        assert train("--seed", name[-1] if name[-1].isdigit() else "0") == 0
        assert f"saved in runs/{name}\n" in capsys.readouterr().out
    assert len({weights(str(path)) for path in Path("runs").iterdir()}) == 3


def test_a_run_of_fit_is_not_replaced_by_a_training_of_the_command_line(here, capsys):
    x, y = np.zeros((4, 2), np.float32), np.arange(4) % 2
    fit(nn.Linear(2, 2), x, y, epochs=1, out="run", progress=False)
    before = weights("run")
    assert train("--out", "run") == 2
    assert "run holds a finished run. Replace it with --overwrite" in capsys.readouterr().err
    assert weights("run") == before


def test_a_finished_run_in_out_is_replaced_by_overwrite_alone(here, capsys):
    assert train("--out", "run") == 0
    before = weights("run")
    assert train("--out", "run", "--seed", "1") == 2
    err = capsys.readouterr().err
    assert "run holds a finished run. Replace it with --overwrite, or train elsewhere" in err
    assert weights("run") == before
    assert train("--out", "run", "--seed", "1", "--overwrite") == 0
    assert weights("run") != before


def test_what_to_type_next_is_quoted(here, capsys):
    assert train("--out", "my run") == 0
    assert "tinynet evaluate 'my run'" in capsys.readouterr().out


@pytest.mark.parametrize("schedule", ["onecycle", "step", "constant"])
def test_a_finished_run_goes_on_for_more_epochs(here, capsys, schedule):
    options = ("--schedule", schedule)
    assert train("--out", "run", *options, epochs=2) == 0
    before = weights("run")
    assert main(["train", "--resume", "run", "--epochs", "5"]) == 0
    out = capsys.readouterr().out
    assert "the schedule begins anew after epoch 2" in out
    assert "epoch 5/5" in out
    record = json.loads(Path("run/run.json").read_text())
    assert [r["epoch"] for r in record["history"]] == [1, 2, 3, 4, 5]
    assert record["settings"]["epochs"] == 5
    assert weights("run") != before
    assert main(["verify", "run"]) == 1
    assert "finished after epoch 2, and went on for more later" in capsys.readouterr().err
    assert main(["train", "--resume", "run", "--epochs", "3"]) == 2
    assert "--epochs 3: the run to resume has 5" in capsys.readouterr().err
    assert main(["train", "--resume", "nowhere"]) == 2


def test_more_epochs_that_are_interrupted_come_out_the_same(tmp_path):
    x, y = examples()
    of_both = data.ArrayDataset(x, y)

    def trained(folder: Path, epochs: int, resume: bool = True) -> str:
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2, rng=np.random.default_rng(0)))
        fit(
            model, of_both, epochs, batch_size=16, out=folder, keep_every=1, resume=resume, seed=0,
            progress=False,
        )  # fmt: skip
        return weights_sha256(model.state_dict())

    trained(tmp_path / "a", 2, resume=False)
    whole = trained(tmp_path / "a", 6)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / LAST).write_bytes((tmp_path / "a" / "epoch-0004.safetensors").read_bytes())
    assert trained(tmp_path / "b", 6) == whole


def test_a_run_begins_with_the_weights_of_another(here, capsys):
    assert train("--out", "first", epochs=3) == 0
    assert train("--out", "second", "--init-from", "first", of=3) == 0
    out = capsys.readouterr().out
    assert "arrays from" in out
    assert "; anew begin output.weight, output.bias" in out
    settings = json.loads(Path("second/run.json").read_text())["settings"]
    assert settings["init_from"] == str((here / "first" / LAST).resolve())
    assert main(["verify", "second"]) == 0
    capsys.readouterr()
    for more in ([], ["--overwrite"]):
        assert train("--out", "same", "--init-from", "first", *more) == 0
    assert "anew begin" not in capsys.readouterr().out
    assert train("--out", "first", "--overwrite", "--seed", "5") == 0
    assert main(["verify", "second"]) == 1
    assert "other weights than those that the run began with" in capsys.readouterr().err
    assert main(["resume", "second"]) == 0


def test_the_last_layer_begins_anew_where_as_many_classes_are_others(here, capsys):
    x, y = examples()

    def begun(classes: tuple[str, ...], out: str, **options) -> str:
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 2))
        fit(model, data.ArrayDataset(x, y, classes=classes), 1, out=out, **options)
        return capsys.readouterr().out

    begun(("cat", "dog"), "pets")
    assert "anew begin" not in begun(("cat", "dog"), "same", init_from="pets")
    for k, classes in enumerate([("ash", "elm"), ("dog", "cat")]):
        said = begun(classes, f"others-{k}", init_from="pets")
        assert "2 of 4 arrays from pets/" in said
        assert "anew begin 3.weight, 3.bias" in said
    with pytest.raises(tinynet.CheckpointError, match="classes was cat, dog in the run, now it is"):
        begun(("ash", "elm"), "pets", resume=True)


def test_fit_begins_with_the_weights_of_a_run(here, capsys):
    x, y = examples()
    first = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 2))
    fit(first, data.ArrayDataset(x, y), 1, out="first", progress=False)
    x, y = examples(3)
    second = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 3))
    second[1].requires_grad_(False)
    fit(second, data.ArrayDataset(x, y), 1, init_from="first")
    assert "2 of 4 arrays from first/" in capsys.readouterr().out
    np.testing.assert_array_equal(second[1].weight.array, first[1].weight.array)
    with pytest.raises(tinynet.CheckpointError, match="none of its weights fits"):
        fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), data.ArrayDataset(x, y), 1,
            init_from="first", progress=False)  # fmt: skip
    optimizer = optim.SGD(second[3].parameters(), lr=0.5)
    with pytest.raises(tinynet.CheckpointError, match="a folder without a run"):
        fit(second, data.ArrayDataset(x, y), 9, init_from=here, optimizer=optimizer, progress=False)
    assert optimizer.param_groups[0]["lr"] == 0.5, "the schedule has taken nothing with it"


MISFIT = """
from tinynet import nn

class Net(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))
"""


def test_a_run_whose_first_step_fails_leaves_nothing(here, capsys):
    Path("net.py").write_text(MISFIT.replace("64", "63"))
    assert train("--model", "net.py:Net", "--out", "run") == 1
    assert not Path("run").exists()
    Path("net.py").write_text(MISFIT)
    assert train("--model", "net.py:Net", "--out", "run") == 0
    x, y = examples()
    for labels, left in ((y + 1, []), (y, [LAST, "best.safetensors", "report.html"])):
        with contextlib.suppress(tinynet.DataError):
            net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
            fit(net, x, labels, epochs=1, out="fitted", progress=False)
        assert sorted(path.name for path in Path("fitted").glob("*")) == sorted(left)
        assert Path("fitted").exists() == bool(left)
    assert "tinynet evaluate" not in Path("fitted/report.html").read_text()  # nobody knows its data
    capsys.readouterr()
    assert main(["summary", "net.py:Net", "--shape", "1x8x8"]) == 2
    assert "add the number of classes: --classes" in capsys.readouterr().err


def test_what_was_moved_is_found_where_the_user_says_it_is(here, capsys):
    Path("net.py").write_text(MISFIT)
    assert train("--model", "net.py:Net", "--out", "run") == 0
    Path("else").mkdir()
    for name in ("of2.npz", "net.py"):
        Path(name).rename(f"else/{name}")
        capsys.readouterr()
        assert (
            main(["resume", "run", *["--data", "npz:else/of2.npz"][: 2 * (name == "net.py")]]) == 2
        )
        told = " ".join(capsys.readouterr().err.split())
        assert f"{name}, the {'data' if name == 'of2.npz' else 'model'} of the run" in told
        assert f"add --{'data' if name == 'of2.npz' else 'model'} " in told
    there = ["--data", "npz:else/of2.npz", "--model", "else/net.py:Net"]
    assert main(["verify", "run", *there]) == 0
    assert main(["train", "--resume", "run", "--epochs", "2", *there]) == 0
    assert main(["resume", "run", "--epochs", "3"]) == 0  # it knows by now
    with open("else/net.py", "a") as file:
        file.write("\nOther = Net\n")
    capsys.readouterr()
    assert main(["resume", "run", "--epochs", "4", "--model", "else/net.py:Other"]) == 2
    assert "net.py:Other: the run to resume has" in capsys.readouterr().err
    np.savez("of2.npz", x=examples()[0], y=1 - examples()[1], classes=np.array(["a", "b"]))
    capsys.readouterr()
    for command in (["train", "--resume", "run"], ["resume", "run"]):
        assert main([*command, "--data", "npz:of2.npz"]) != 0
    err = capsys.readouterr().err
    assert "tinynet train --init-from RUN" in err


def test_the_last_checkpoint_stands_for_the_run_and_another_file_does_not(here, capsys):
    assert train("--out", "run") == 0
    assert main(["verify", f"run/{LAST}"]) == 0
    assert main(["resume", f"run/{LAST}", "--epochs", "2"]) == 0
    shown = capsys.readouterr().out
    assert "tinynet verify" in shown.split("the schedule begins anew")[0]
    assert "tinynet verify" not in shown.split("the schedule begins anew")[1]
    assert "tinynet train" not in Path("run/report.html").read_text()  # no command does both parts
    assert main(["resume", "run/best.safetensors"]) == 2
    assert "give the folder of a run" in capsys.readouterr().err


def test_a_finished_run_says_so_when_it_is_resumed(here, capsys):
    assert train("--out", "run") == 0
    assert "finished already" not in capsys.readouterr().out
    assert main(["resume", "run"]) == 0
    assert "it is finished already; a larger --epochs trains it further" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "schedule"),
    [
        (["--schedule", "plateau"], "plateau"),
        (["--patience", "2", "--validation", "0.2"], "plateau"),
        (["--patience", "2", "--validation", "0.2", "--schedule", "cosine"], "cosine"),
    ],
)
def test_a_plateau_lowers_the_rate_and_goes_with_patience(here, options, schedule):
    assert train("--out", "run", *options, epochs=2) == 0
    assert json.loads(Path("run/run.json").read_text())["settings"]["schedule"] == schedule
    assert main(["verify", "run"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--batchsize", "3"], "did you mean --batch-size?"),
        (["trian"], "did you mean train?"),
        (["evaluate", "--split", "tets"], "did you mean test?"),
    ],
)
def test_what_was_meant_is_named_in_two_lines(here, capsys, arguments, told):
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 2


def test_a_run_is_replaced_once_the_next_has_made_an_epoch(here, capsys):
    assert train("--out", "run", "--keep-every", "1") == 0
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    Path("net.py").write_text(
        "from tinynet import nn\n\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.output = nn.Linear(3, 2)\n\n"
        "    def forward(self, x):\n        return self.output(x.flatten(1))\n"
    )
    assert train("--out", "run", "--overwrite", "--model", "net.py:Net") == 1
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))

    def failing(output, target):
        raise RuntimeError("no loss")

    with pytest.raises(RuntimeError, match="no loss"):
        fit(model, data.ArrayDataset(*examples()), 1, loss=failing, out="run", overwrite=True,
            progress=False)  # fmt: skip
    assert train("--out", "run", "--overwrite", "--lr", "1e12", "--batch-size", "8") == 1
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before
    assert train("--out", "run", "--overwrite", "--seed", "3") == 0
    assert json.loads(Path("run/run.json").read_text())["settings"]["seed"] == 3
    assert "epoch-0001.safetensors" not in [path.name for path in Path("run").iterdir()]
    assert main(["verify", "run"]) == 0


def _raising(error: BaseException):
    def fails(*args, **settings):
        raise error

    return fails


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("command", "place", "error"),
    [
        ("train --resume run --epochs 3", "fit.train_epoch", KeyboardInterrupt()),
        ("train --resume run --epochs 3", "fit.train_epoch", FloatingPointError("nan")),
        ("train --resume run --epochs 3", "fit.evaluate", MemoryError()),
        ("train --resume run --epochs 3", "fit.restore", tinynet.CheckpointError("another")),
        ("train --resume run --epochs 3", "safetensors.atomic_write", FULL),
        ("train --resume run --epochs 3 --data npz:of3.npz", "", None),
        ("resume run --epochs 3", "fit.train_epoch", ValueError("no")),
        ("resume run --epochs 3", "fit.make_schedule", ValueError("no")),
        ("resume run --from run/epoch-0001.safetensors", "fit.train_epoch", ValueError("no")),
        ("train --data npz:of2.npz --out run --overwrite", "safetensors.atomic_write", FULL),
        ("train --data npz:of2.npz --out run --overwrite", "fit.train_epoch", KeyboardInterrupt()),
        ("train --data npz:of2.npz --out run --overwrite --init-from no.safetensors", "", None),
        ("train --data npz:of2.npz --out run --overwrite", "fit.make_schedule", ValueError("no")),
    ],
)  # fmt: skip
def test_a_run_is_as_it_was_until_there_is_something_new(here, monkeypatch, command, place, error):
    assert train("--out", "run", "--keep-every", "1", epochs=2) == 0
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    with monkeypatch.context() as failing:
        if place:
            module, _, name = place.partition(".")
            failing.setattr(sys.modules[f"tinynet.training.{module}"], name, _raising(error))
        assert main(command.split()) != 0
    left = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    assert left == before
    assert main(["resume", "run", "--epochs", "3"]) == 0
    assert json.loads(Path("run/run.json").read_text())["settings"]["epochs"] == 3


def test_a_run_that_went_on_and_was_stopped_is_unfinished(here, monkeypatch, capsys):
    assert train("--out", "run", epochs=1) == 0

    def stopped(*args, **settings):
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args, **settings)

    real = fit_module.train_epoch
    with monkeypatch.context() as failing:
        failing.setattr(fit_module, "train_epoch", stopped)
        assert main(["train", "--resume", "run", "--epochs", "3"]) == 130
    assert options.is_unfinished(Path("run"))
    assert "epoch 2, step 1 of" in capsys.readouterr().err
    assert main(["resume", "run"]) == 0


@pytest.mark.parametrize("schedule", ["onecycle", None])
def test_what_is_wrong_with_a_schedule_is_said_with_a_folder_too(tmp_path, schedule):
    model = nn.Linear(4, 2)
    one, other = (optim.SGD(model.parameters(), lr=0.1) for _ in range(2))
    given = optim.lr_scheduler.StepLR(other, 1) if schedule is None else schedule
    with pytest.raises(ValueError, match="another optimizer" if schedule is None else "monitor"):
        fit(model, np.zeros((8, 4), np.float32), np.arange(8) % 2, 1, optimizer=one, out=tmp_path,
            schedule=given, monitor=schedule and "loss", progress=False)  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("default:the report is not written")
def test_files_of_others_in_a_folder_stay_and_are_not_advised(here, capsys):
    Path("mine").mkdir()
    Path("mine/report.html").write_text("mine")
    assert train("--out", "mine") == 0
    shown = capsys.readouterr()
    assert "no report of ours" in shown.err
    assert "report.html  " not in shown.out
    Path("theirs").mkdir()
    Path("theirs/run.json").write_text('{"my": 1}')
    for more in ([], ["--overwrite"]):
        assert train("--out", "theirs", *more) == 2
    assert "run.json is there, and of no run" in capsys.readouterr().err
    assert [path.name for path in Path("theirs").iterdir()] == ["run.json"]
