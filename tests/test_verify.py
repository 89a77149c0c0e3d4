"""verify: a run once more; the same bit for bit, or where and why not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import kernels
from tinynet.cli import main
from tinynet.errors import CheckpointError
from tinynet.optim import SGD
from tinynet.training import checkpoint
from tinynet.training.environment import differences, environment
from tinynet.training.verify import verify

OPTIONS = ["--epochs", "4", "--batch-size", "8", "--augment", "shift:1", "--keep-every", "2"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Path:
    """A finished run, with early stopping, on images of two classes."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (80, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(80) % 2)
    held_out = ["--validation", "0.25", "--patience", "3"]
    with kernels_of("numpy"):
        assert main(["train", "--data", "npz:tiny.npz", "--out", "run", *OPTIONS, *held_out]) == 0
    capsys.readouterr()
    return Path("run")


class kernels_of:  # noqa: N801
    """A kernel set for the length of a block."""

    def __init__(self, name: str) -> None:
        self.name, self.before = name, kernels.current.name

    def __enter__(self) -> None:
        kernels.use(self.name)

    def __exit__(self, *error: object) -> None:
        kernels.use(self.before)


def rewrite(run: Path, change) -> None:
    """Change the state in the last checkpoint of a run, and seal it again."""
    stored = checkpoint.read(run / "last.safetensors")
    change(stored.run)
    checkpoint.save(
        stored.build(),
        run / "last.safetensors",
        name=stored.name,
        arguments=stored.arguments,
        settings=stored.settings,
        run=stored.run,
    )


def test_a_run_from_its_seed_is_the_same_to_the_bit(run, capsys):
    with kernels_of("numpy"):
        assert main(["verify", "run", "--json", "verdict.json"]) == 0
    out = capsys.readouterr().out
    epochs = len(json.loads((run / "run.json").read_text())["history"])
    assert out.count("  same\n") == epochs
    assert f"the records of {epochs} epochs, and the weights (SHA-256" in out
    verdict = json.loads(Path("verdict.json").read_text())
    assert (verdict["same"], verdict["first"], verdict["differs_at"]) == (True, 1, None)


def test_a_run_from_one_of_its_checkpoints_is_the_same_to_the_bit(run, capsys):
    with kernels_of("numpy"):
        assert main(["verify", "run", "--from", "run/epoch-0002.safetensors"]) == 0
    assert capsys.readouterr().out.count("  same\n") == (
        len(json.loads((run / "run.json").read_text())["history"]) - 2
    )


def test_a_run_that_was_interrupted_is_verified_as_far_as_it_came(run, capsys, monkeypatch):
    step, calls = SGD.step, []

    def step_and_signal(self, closure=None):
        calls.append(1)
        if len(calls) == 11:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, closure)

    monkeypatch.setattr(SGD, "step", step_and_signal)
    with kernels_of("numpy"):
        assert main(["train", "--data", "npz:tiny.npz", "--out", "cut", *OPTIONS]) == 143
        assert main(["verify", "cut"]) == 0
    assert "the losses of 11 steps, the records of 1 epoch," in capsys.readouterr().out


def test_verify_writes_nothing_into_the_folder(run):
    before = {path: path.read_bytes() for path in run.iterdir()}
    with kernels_of("numpy"):
        main(["verify", "run"])
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_a_loss_that_differs_is_named_by_its_step(run, capsys):
    def change(state):
        state["losses"][12] += 1e-9
        state["history"][0]["accuracy"][1] = 0.123

    rewrite(run, change)
    with kernels_of("numpy"):
        assert main(["verify", "run"]) == 1
    out = capsys.readouterr().out
    assert "from step 13 on it differs: the loss was " in out
    assert "the records of these epochs differ: 2\n" in out
    assert "the weights are the same" in out
    assert "so the code, the data or the settings are not" in out


def test_what_changed_about_the_machine_explains_a_difference(run, capsys):
    def change(state):
        state["losses"][0] += 1
        state["environment"]["threads"] = "17"
        state["environment"]["processor"] = "abacus"

    rewrite(run, change)
    with kernels_of("numpy"):
        assert main(["verify", "run"]) == 1
    out = capsys.readouterr().out
    assert f"threads: 17 then, {tinynet.get_num_threads()} now" in out
    assert "processor: abacus then" in out


def test_other_data_is_refused(run, capsys):
    images = np.random.default_rng(1).integers(0, 255, (80, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(80) % 2)
    assert main(["verify", "run"]) == 1
    assert "no longer those that the run began with" in capsys.readouterr().err
    assert main(["resume", "run"]) == 1
    assert "no longer those that the run began with" in capsys.readouterr().err


def test_where_there_is_no_run_it_says_so(run, capsys):
    for command in ("verify", "resume"):
        assert main([command, "nowhere"]) == 2
        assert "there is no run" in capsys.readouterr().err
    checkpoint.save(tinynet.nn.Linear(2, 2), "model.safetensors")
    with pytest.raises(CheckpointError, match="holds a model, but no run"):
        verify("model.safetensors", tinynet.nn.Linear(2, 2), [], 1)
    rewrite(run, lambda state: state.update(losses=[], history=[]))  # as of one that was killed
    assert main(["verify", "run"]) == 1
    assert "stopped before a step of it was saved" in capsys.readouterr().err


def test_the_environment_names_what_numbers_depend_on():
    found = environment()
    names = {"tinynet", "numpy", "python", "kernels", "threads", "BLAS", "processor", "system"}
    assert names <= set(found)
    assert differences(found, found) == []
    assert differences(found, {**found, "threads": "99"}) == [
        f"threads: {found['threads']} then, 99 now"
    ]


def test_a_run_whose_last_checkpoint_is_damaged_goes_on_from_another(run, capsys):
    finished = checkpoint.read(run / "last.safetensors").sha256()
    (run / "best.safetensors").unlink()
    content = bytearray((run / "last.safetensors").read_bytes())
    content[len(content) // 3] ^= 1
    (run / "last.safetensors").write_bytes(content)
    with kernels_of("numpy"):
        assert main(["resume", "run"]) == 1
        said = capsys.readouterr().err
        assert "damaged" in said
        kept = max(run.glob("epoch-*.safetensors"))
        assert f"tinynet resume run --from {kept}" in said
        assert main(["resume", "run", "--from", str(kept)]) == 0
        assert main(["verify", "run"]) == 0
    assert checkpoint.read(run / "last.safetensors").sha256() == finished
