"""Disks that are full, locked or broken: what was saved last stays whole, and the error says so."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import data, models, nn
from tinynet.cli import main
from tinynet.training import Callback, checkpoint, fit
from tinynet.training.files import DAY, HOST, atomic_write, remove_stale, write_json

resource = pytest.importorskip("resource")


def make_model() -> nn.Sequential:
    tinynet.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


class At(Callback):
    """Does something once, after a step."""

    def __init__(self, step: int, action) -> None:
        self.step, self.action = step, action

    def on_step_end(self, run, means):
        if run.step == self.step:
            self.action()


def train(out: Path, step: int = 0, action=None, resume: bool = False) -> None:
    few = data.load("digits", "train")
    few = data.ArrayDataset(few.images[:64], few.labels[:64])
    options = {"batch_size": 16, "lr": 0.05, "seed": 0, "progress": False, "save_every": 1}
    fit(make_model(), few, 2, out=out, resume=resume, callbacks=[At(step, action)], **options)


def is_whole_after(out: Path, steps: int) -> None:
    """The last checkpoint loads and is of that step; no half-written file lies about."""
    assert checkpoint.read(out / "last.safetensors").run["step"] == steps
    assert [path.name for path in out.iterdir() if path.suffix != ".safetensors"] in (
        [],
        ["report.html"],
    )


@contextlib.contextmanager
def restored_limit():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 100, 5_000, 20_000, 49_000])
def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, room):
    """A limit on the size of files fails a write where a full disk does: somewhere within."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))

    with (
        restored_limit(),
        pytest.raises(OSError, match=r"cannot write .*last\.safetensors: .*too large"),
    ):
        train(tmp_path, 3, fill)
    assert (tmp_path / "last.safetensors").stat().st_size > room
    is_whole_after(tmp_path, 2)
    train(tmp_path, resume=True)
    is_whole_after(tmp_path, 8)


def broken(error: int, place: str, monkeypatch: pytest.MonkeyPatch):
    """An action after which a call of the operating system fails."""

    def fail(*args, **kwargs):
        raise OSError(error, os.strerror(error))

    return lambda: monkeypatch.setattr(os, place, fail)


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (errno.EIO, "fsync"),
        (errno.ENOSPC, "fsync"),
        (errno.EROFS, "replace"),
        (errno.EDQUOT, "replace"),
    ],
)
def test_a_failing_sync_or_rename_leaves_the_last_checkpoint_whole(
    tmp_path, monkeypatch, error, place
):
    with pytest.raises(OSError, match=r"cannot write .*last\.safetensors") as caught:
        train(tmp_path, 4, broken(error, place, monkeypatch))
    assert caught.value.errno == error
    assert os.strerror(error) in str(caught.value)
    assert f"the checkpoint before it is whole: {tmp_path / 'last.safetensors'}" in str(
        caught.value
    )
    monkeypatch.undo()
    is_whole_after(tmp_path, 3)
    train(tmp_path, resume=True)
    is_whole_after(tmp_path, 8)


def test_a_folder_that_cannot_be_written_is_noticed_before_the_first_step(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    steps = []
    with pytest.raises(OSError, match=r"cannot write .*run.*: Not a directory"):
        train(tmp_path / "file" / "run", 1, lambda: steps.append(1))
    opened = Path.open

    def read_only(self, mode="r", *args, **kwargs):
        if "w" in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(
        PermissionError, match=r"cannot write .*last\.safetensors: Permission denied"
    ):
        train(tmp_path / "run", 1, lambda: steps.append(1))
    assert steps == []


def test_the_command_line_says_what_happened_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    assert main(["train", "--out", "file/run", "--epochs", "1"]) == 2
    error = capsys.readouterr().err
    told = "cannot write file/run/last.safetensors: file is no folder; give another folder, --out"
    assert error == f"tinynet train: error: {told}\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    checkpoint.save(make_model(), path)
    before = path.read_bytes()
    broken(errno.ENOSPC, "fsync", monkeypatch)()
    with pytest.raises(OSError, match=r"cannot write .*model\.safetensors: No space left"):
        checkpoint.save(nn.Linear(3, 3), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_file_system_that_cannot_sync_folders_is_no_fault(tmp_path, monkeypatch):
    synced = os.fsync

    def sync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    checkpoint.save(make_model(), tmp_path / "model.safetensors")
    checkpoint.read(tmp_path / "model.safetensors")


WHO = {"LIVING": os.getppid(), "OWN": os.getpid(), "NOBODY": 2**22 + 1, "HERE": HOST}
"""Numbers of processes, of which Linux gives none beyond 2**22, and of this machine."""


@pytest.mark.parametrize(
    ("name", "age", "removed"),
    [
        (".a.npz.{NOBODY}-0@{HERE}.part", 0, True),
        (".a.npz.{LIVING}-0@{HERE}.part", 0, False),
        (".a.npz.{LIVING}-0@{HERE}.part", 2 * DAY, True),  # another process by now
        (".a.npz.{OWN}-9@{HERE}.part", 0, True),  # a process before had the same number
        (".a.npz.{NOBODY}-0@another.host.part", 0, False),
        (".a.npz.{OWN}-9@another.host.part", 0, False),
        (".a.npz.{NOBODY}-0@another.host.part", 2 * DAY, True),
        (".a.npz.{NOBODY}.part", 0, True),  # as tinynet wrote it before
        (".a.npz.{LIVING}.part", 0, False),
        (".notes.part", 2 * DAY, False),
        (".a.b-c@d.part", 2 * DAY, False),
        ("a.npz.{NOBODY}-0@{HERE}.part", 2 * DAY, False),
    ],
)
def test_the_files_of_dead_writers_go_with_the_next_write_and_no_others(
    tmp_path, name, age, removed
):
    part = tmp_path / name.format(**WHO)
    part.write_bytes(b"half")
    then = time.time() - age
    os.utime(part, (then, then))
    write_json(tmp_path / "other.json", 1)
    assert part.exists() != removed
    assert remove_stale(tmp_path) == []


def test_what_a_killed_export_left_is_gone_after_the_next(tmp_path):
    tinynet.save(models.build("digits_cnn"), tmp_path / "a.safetensors", name="digits_cnn")
    dying = Path(__file__).with_name("dying.py")
    export = ["export", str(tmp_path / "a.safetensors"), str(tmp_path / "out" / "w.safetensors")]
    command = [sys.executable, str(dying), "replace", "1", *export]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    for _ in range(2):
        killed = subprocess.run(command, env=environment, capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert len(list((tmp_path / "out").iterdir())) == 1  # of the second alone
    tinynet.save(make_model(), tmp_path / "out" / "w.safetensors")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["w.safetensors"]


def test_writes_to_one_place_at_the_same_time_leave_each_other_alone(tmp_path):
    with atomic_write(tmp_path / "x") as first:
        first.write(b"first")
        with atomic_write(tmp_path / "x") as second:
            second.write(b"second")
        assert (tmp_path / "x").read_bytes() == b"second"
        write_json(tmp_path / "y", 1)
    assert (tmp_path / "x").read_bytes() == b"first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


def test_a_long_name_can_be_written(tmp_path):
    for name in ("n" * 250 + ".npz", "\u4e2d" * 80 + ".npz"):
        write_json(tmp_path / name, 1)
        assert json.loads((tmp_path / name).read_text()) == 1


def test_what_atomic_write_gives_can_be_read_back_before_it_is_in_place(tmp_path):
    with atomic_write(tmp_path / "x") as stream:
        stream.write(b"abc")
        stream.seek(0)
        assert stream.read() == b"abc"
        assert not (tmp_path / "x").exists()
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_weights_that_are_no_numbers_are_never_saved(tmp_path):
    def poison(run):
        run.model[1].weight.array[0, 0] = np.nan

    class Poison(Callback):
        def on_step_end(self, run, means):
            if run.step == 3:
                poison(run)

    few = data.load("digits", "train")
    few = data.ArrayDataset(few.images[:64], few.labels[:64])
    options = {"batch_size": 16, "seed": 0, "progress": False, "save_every": 1}
    with pytest.raises(
        FloatingPointError, match=r"(?s)epoch 1, step 3: .*last good checkpoint is "
    ):
        fit(make_model(), few, 2, out=tmp_path, callbacks=[Poison()], **options)
    is_whole_after(tmp_path, 2)
