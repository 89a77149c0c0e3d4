"""Ctrl-C and SIGTERM: once saves and stops, twice stops at once; the run goes on bit for bit."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, nn
from tinynet.cli import main
from tinynet.optim import SGD
from tinynet.training import Callback, Interrupted, checkpoint, fit


@pytest.fixture(autouse=True)
def ctrl_c_as_python_has_it():
    """A suite that was started in the background finds it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def make_model() -> nn.Sequential:
    tinynet.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


class Send(Callback):
    """Sends signals to this process in the middle of a step's callbacks."""

    def __init__(self, step: int, *numbers: int, epoch: int = 0) -> None:
        self.step, self.numbers, self.epoch = step, numbers, epoch

    def send(self) -> None:
        for number in self.numbers:
            os.kill(os.getpid(), number)

    def on_step_end(self, run, means):
        if run.step == self.step:
            self.send()

    def on_epoch_end(self, run, record):
        if run.epoch == self.epoch:
            self.send()


def train(out: Path, *callbacks: Callback, resume: bool = True):
    few = data.load("digits", "train")
    few = data.ArrayDataset(few.images[:80], few.labels[:80])
    options = {"batch_size": 16, "lr": 0.05, "seed": 0, "progress": False}
    return fit(make_model(), few, 3, out=out, resume=resume, callbacks=callbacks, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_saves_after_the_step_and_stops(tmp_path, number, capfd):
    with pytest.raises(Interrupted) as caught:
        train(tmp_path, Send(7, number))
    assert caught.value.signal == number
    name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
    assert str(caught.value) == (
        f"stopped by {name} after epoch 2, step 2 of 5; saved in {tmp_path / 'last.safetensors'}"
    )
    assert "stopping once this step" in capfd.readouterr().err
    assert checkpoint.read(tmp_path / "last.safetensors").run["step"] == 7
    train(tmp_path)
    train(tmp_path / "whole")
    last, whole = (checkpoint.read(p / "last.safetensors") for p in (tmp_path, tmp_path / "whole"))
    assert last.sha256() == whole.sha256()


@pytest.mark.parametrize("reader", ["gone", "none"])
def test_it_saves_and_stops_where_nobody_reads_what_it_says(tmp_path, monkeypatch, reader):
    """`tinynet train 2>&1 | tee log`: Ctrl-C ends tee first."""

    def write(descriptor, text):
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", write)
    if reader == "none":
        monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(Interrupted, match="after epoch 2, step 2 of 5; saved"):
        train(tmp_path, Send(7, signal.SIGINT))
    assert checkpoint.read(tmp_path / "last.safetensors").run["step"] == 7


def test_between_epochs_it_stops_after_the_epoch(tmp_path):
    with pytest.raises(Interrupted, match="after epoch 2; saved"):
        train(tmp_path, Send(0, signal.SIGINT, epoch=2))
    assert checkpoint.read(tmp_path / "last.safetensors").run["epoch"] == 2


def test_at_the_end_of_the_last_epoch_nothing_is_left_to_stop(tmp_path):
    assert len(train(tmp_path, Send(0, signal.SIGINT, epoch=3))) == 3


def test_twice_stops_at_once_and_leaves_what_was_saved_last(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="stopped at once by Ctrl-C"):
        train(tmp_path, Send(7, signal.SIGTERM, signal.SIGINT))
    assert (
        checkpoint.read(tmp_path / "last.safetensors").run["step"] == 5
    )  # the end of the first epoch


def test_the_signals_are_given_back_afterwards(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "b", Send(2, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "c", Send(2, signal.SIGINT, signal.SIGINT))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert len(train(tmp_path, Send(2, signal.SIGTERM))) == 3
    finally:
        signal.signal(signal.SIGTERM, before)


def test_without_a_folder_ctrl_c_is_the_usual_one():
    few = data.load("digits", "train")
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(make_model(), few, 1, callbacks=[Send(2, signal.SIGINT)], seed=0, progress=False)
    assert not isinstance(caught.value, Interrupted)


def test_a_run_in_another_thread_leaves_signals_alone(tmp_path):
    done = []
    thread = threading.Thread(target=lambda: done.append(len(train(tmp_path))))
    thread.start()
    thread.join()
    assert done == [3]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_line_prints_the_command_that_goes_on(
    tmp_path, monkeypatch, capsys, number, code
):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(40) % 2)
    step, calls = SGD.step, []

    def step_and_signal(self, closure=None):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), number)
        return step(self, closure)

    monkeypatch.setattr(SGD, "step", step_and_signal)
    options = ["--data", "npz:tiny.npz", "--batch-size", "8", "--out", "run"]
    assert main(["train", *options, "--epochs", "2"]) == code
    error = capsys.readouterr().err
    assert "after epoch 1, step 3 of 4; saved in run/last.safetensors" in error
    assert error.endswith("go on with\n  tinynet resume run\n")

    assert main(["train", *options, "--epochs", "2"]) == 2
    assert "Go on with it: tinynet resume run" in capsys.readouterr().err
    assert main(["train", *options, "--resume", "--epochs", "3"]) == 2
    assert "--epochs 3: the run to resume has 2" in capsys.readouterr().err
    assert main(["resume", "run"]) == 0
    assert "resume from run/last.safetensors" in capsys.readouterr().out
    resumed = json.loads(Path("run/run.json").read_text())

    assert main(["train", *options, "--epochs", "2", "--out", "whole"]) == 0
    whole = json.loads(Path("whole/run.json").read_text())
    assert resumed["weights_sha256"] == whole["weights_sha256"]
    assert resumed["test_loss"] == whole["test_loss"]
    assert main(["train", *options, "--epochs", "1", "--overwrite"]) == 0
