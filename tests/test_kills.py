"""Killed at any moment, a run loses nothing that was saved, and ends as if nothing had happened.

Each process here is killed by SIGKILL at a moment of its own doing, so nothing depends on time.
Random moments, and many more of them: `python -m tests.long.kill_training`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinynet.training import checkpoint

DYING = Path(__file__).with_name("dying.py")
OPTIONS = ["--epochs", "3", "--batch-size", "8", "--augment", "shift:1", "--save-every", "3"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a data set of 8x8 images of two classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYNET_KERNELS", "numpy")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (50, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(50) % 2, classes=np.array(["a", "b"]))
    return tmp_path


def train(out: str) -> list[str]:
    return ["train", "--data", "npz:tiny.npz", "--out", out, "--resume", *OPTIONS]


def kill(moment: str, count: int, out: str) -> None:
    command = [sys.executable, str(DYING), moment, str(count), *train(out)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": root})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def outcome(out: str) -> tuple[str, list[dict[str, float]], list[float]]:
    """Weights, history and losses of a finished run."""
    record = json.loads(Path(out, "run.json").read_text())
    stored = checkpoint.read(Path(out, "last.safetensors"))
    assert stored.sha256() == record["weights_sha256"]
    history = [{k: v for k, v in r.items() if k != "seconds"} for r in record["history"]]
    return stored.sha256(), history, stored.run["losses"].tolist()


def finish(out: str) -> None:
    # In a process of its own: what is to be equal is computed with the same kernels and threads.
    root = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "tinynet", *train(out)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": root})


def test_a_run_killed_at_many_steps_gives_the_same_weights_and_history(here):
    finish("whole")
    for step in (1, 5, 2, 4):  # of each process: it saves after steps 3, 6, ... of the run
        kill("step", step, "killed")
        checkpoint.read("killed/last.safetensors")
    finish("killed")
    assert outcome("killed") == outcome("whole")


def test_a_kill_in_the_middle_of_a_save_leaves_a_whole_checkpoint(here):
    finish("whole")
    for moment, count in (("replaced", 4), ("fsync", 5), ("fsync", 8), ("replace", 5)):
        kill(moment, count, "killed")
        checkpoint.read("killed/last.safetensors")
    assert list(Path("killed").glob(".*.part"))  # what the dead were writing
    finish("killed")
    assert list(Path("killed").glob(".*.part")) == []
    assert outcome("killed") == outcome("whole")
