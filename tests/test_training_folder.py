"""A folder is for one training at a time: two threads or processes, fit and the command line."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinynet import data, nn
from tinynet.cli import main
from tinynet.training import Callback, checkpoint, fit
from tinynet.training.folder import BEST, LAST, LOCK, REPORT, kept_in, locked

HOLD = """
import sys
from tinynet.training.folder import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def train(out: Path, *callbacks: Callback, **options):
    rng = np.random.default_rng(0)
    rows = data.ArrayDataset(rng.standard_normal((40, 4)).astype(np.float32), np.arange(40) % 3)
    model = nn.Linear(4, 3, rng=rng)
    options = {"batch_size": 10, "lr": 0.1, "seed": 0, "progress": False, **options}
    return fit(model, rows, 2, out=out, callbacks=callbacks, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of tmp_path/run, once it holds a run."""
    folder = tmp_path / "run"
    train(folder)
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "options",
    [{}, {"resume": True}, {"resume": "best.safetensors"}],
    ids=["anew", "resumed", "from"],
)
def test_another_process_in_the_folder_is_named_and_nothing_is_touched(tmp_path, other, options):
    folder = tmp_path / "run"
    if options.get("resume") == "best.safetensors":
        options = {"resume": folder / "best.safetensors"}
    before = content(folder)
    words = rf"run is in use: another training is running there \(process {other.pid}\)"
    with pytest.raises(BlockingIOError, match=words) as caught:
        train(folder, **options)
    assert caught.value.errno == errno.EWOULDBLOCK
    assert content(folder) == before
    train(tmp_path / "elsewhere", **options)


def test_a_link_to_the_folder_is_the_folder(tmp_path, other):
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(BlockingIOError):
        train(tmp_path / "link")


@pytest.mark.parametrize("end", ["well", "killed"])
def test_the_folder_is_free_once_the_process_has_ended(tmp_path, other, end):
    folder = tmp_path / "run"
    if end == "killed":
        other.send_signal(signal.SIGKILL)
    other.communicate()
    assert (folder / LOCK).exists() == (end == "killed")
    train(folder, resume=True)
    assert sorted(content(folder)) == ["best.safetensors", "last.safetensors", "report.html"]


def test_of_two_threads_one_trains_and_the_other_is_refused(tmp_path):
    started, done = threading.Event(), threading.Event()

    class Wait(Callback):
        def on_step_end(self, run, means):
            started.set()
            assert done.wait(60)

    first = threading.Thread(target=lambda: train(tmp_path / "run", Wait()))
    first.start()
    try:
        assert started.wait(60)
        with pytest.raises(BlockingIOError, match=rf"\(process {os.getpid()}, this one\)"):
            train(tmp_path / "run")
    finally:
        done.set()
        first.join()
    assert checkpoint.read(tmp_path / "run" / "last.safetensors").run["epoch"] == 2
    train(tmp_path / "run", overwrite=True)


class Fail(Callback):
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def on_step_end(self, run, means):
        raise self.error


class Leave(Callback):
    """Goes to another folder at a chosen moment."""

    def __init__(self, moment):
        setattr(self, moment, lambda *_: os.chdir(elsewhere))
        elsewhere = Path("elsewhere").absolute()


@pytest.mark.parametrize("moment", ["on_train_begin", "on_step_end", "on_epoch_end"])
def test_a_run_stays_in_its_folder_where_the_current_one_changes(tmp_path, monkeypatch, moment):
    monkeypatch.chdir(tmp_path)
    Path("elsewhere").mkdir()
    train("run", Leave(moment), checkpoint="own.safetensors")
    assert not list((tmp_path / "elsewhere").iterdir())
    assert content(tmp_path / "run").keys() == {LAST, BEST, REPORT}
    assert checkpoint.read(tmp_path / "run" / LAST).run["epoch"] == 2
    assert (tmp_path / "own.safetensors").is_file()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_training_that_fails_frees_the_folder(tmp_path, error):
    with pytest.raises(error):
        train(tmp_path, Fail(error))
    assert LOCK not in content(tmp_path)
    train(tmp_path, overwrite=True)


def test_a_lock_file_removed_by_its_owner_locks_nobody_out(tmp_path, monkeypatch):
    """Between opening and locking it: then the lock is of a file that others do not find."""
    opened = os.open

    def removed_once(path, *args):
        file = opened(path, *args)
        if Path(path).name == LOCK:
            monkeypatch.setattr(os, "open", opened)
            Path(path).unlink()
        return file

    monkeypatch.setattr(os, "open", removed_once)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    assert content(tmp_path) == {}


def test_where_files_cannot_be_locked_a_warning_says_so(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.warns(UserWarning, match="cannot be locked.*no other training"):
        train(tmp_path)
    assert sorted(content(tmp_path)) == ["best.safetensors", "last.safetensors", "report.html"]


@pytest.mark.parametrize(
    "command", [["train", "--overwrite"], ["train"], ["train", "--resume"], ["resume"]]
)
def test_the_command_line_refuses_a_folder_in_use(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(40) % 2)
    begin = ["train", "--data", "npz:tiny.npz", "--epochs", "1", "--out", "run"]
    line = ["resume", "run"] if command[0] == "resume" else [*begin, *command[1:]]
    assert main(begin) == 0
    before = content(tmp_path / "run")
    held, done = threading.Event(), threading.Event()

    def hold():
        with locked("run"):
            held.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(60)
        assert main(line) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"tinynet {line[0]}: error: run is in use: another training")
        assert {**content(tmp_path / "run"), LOCK: b""} == {**before, LOCK: b""}
    finally:
        done.set()
        holder.join()


def test_a_run_in_the_folder_is_kept_unless_it_is_to_be_overwritten(tmp_path):
    train(tmp_path, keep_every=1)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"last\.saf.*resume=True; .*overwrite=True; .*out="):
        train(tmp_path)
    (tmp_path / "last.safetensors").unlink()
    for resume in (False, True):
        with pytest.raises(FileExistsError, match=r"resume='.*epoch-0002\.safetensors'; replace"):
            train(tmp_path, resume=resume)
    del kept["last.safetensors"]
    assert all((tmp_path / name).read_bytes() == content for name, content in kept.items())
    with pytest.raises(ValueError, match="overwrite=True begins another: give one"):
        train(tmp_path, overwrite=True, resume=True)
    for record, stays in (('{"mine": 1}', True), ('{\n  "settings": {}\n}', False)):
        (tmp_path / "run.json").write_text(record)
        train(tmp_path, overwrite=True)
        assert {path.name for path in tmp_path.iterdir()} == {
            "last.safetensors", "best.safetensors", "report.html", "notes.txt",
            *(["run.json"] if stays else []),
        }  # fmt: skip


def test_the_newest_checkpoint_besides_the_last_comes_at_the_end(tmp_path):
    for age, name in enumerate(("best", "epoch-0010", "last")):
        path = tmp_path / f"{name}.safetensors"
        path.touch()
        os.utime(path, (0, 100 - age))
    assert [path.stem for path in kept_in(tmp_path)] == ["last", "epoch-0010", "best"]
