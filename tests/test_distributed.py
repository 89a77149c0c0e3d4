"""One model trained by many ranks: the same bit for bit however many, and ended by the first that
fails. The ranks are those of `fake_comm`, and for the command line those of MPI, where it is there.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from fake_comm import Aborted, FakeComm, run_ranks

import tinynet
from tinynet import data, nn, training
from tinynet.training import DivergenceError, distributed, fit, verify, watch, weights_sha256
from tinynet.training.distributed import OneRank, Ranks


@functools.cache
def digits(split: str, count: int) -> data.ArrayDataset:
    whole = data.load("digits", split)
    return data.ArrayDataset(whole.images[:count], whole.labels[:count], classes=whole.classes)


def make_model() -> nn.Sequential:
    """With all that is at stake: running statistics, dropout, a buffer that stays."""
    tinynet.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(108, 10),
        nn.BatchNorm1d(10, momentum=None),
    )
    model.register_buffer("constant", np.full(3, 0.1, np.float32))
    model.register_buffer("mask", np.array([True, False]))
    return model


def small() -> nn.Sequential:
    tinynet.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def ignoring() -> data.ArrayDataset:
    """More labels of -100 than a part has examples, one after the other."""
    train = digits("train", 50)
    labels = train.labels.astype(np.int64)
    labels[:30] = -100
    return data.ArrayDataset(train.images, labels)


def batches(count: int = 50, size: int = 16) -> list:
    train = digits("train", count)
    return [
        tuple(map(tinynet.Tensor, (train.images[k] / np.float32(255), train.labels[k])))
        for k in (slice(start, min(start + size, count)) for start in range(0, count, size))
    ]


def trained(comm, parts=8, make=make_model, train=None, **options):
    """The weights' SHA-256, and all that was measured on the way."""
    model = make()
    options = {"epochs": 2, "seed": 0, "progress": False, **options}
    if not isinstance(train, list):
        options.setdefault("batch_size", 16)
    train = digits("train", 50) if train is None else train
    history = fit(model, train, comm=comm, reproducible_for=parts, **options)
    return weights_sha256(model.state_dict()), without_time(history)


def without_time(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


# ----- the same, whoever computes it ----------------------------------------------------------


def test_sums_are_added_by_the_same_tree_whoever_has_the_parts():
    def pairwise(numbers):
        width = 1
        numbers = dict(enumerate(numbers))
        while width < max(numbers) + 1:
            for k in range(0, max(numbers) + 1, 2 * width):
                if k + width in numbers:
                    numbers[k] = np.float32(numbers[k] + numbers[k + width])
            width *= 2
        return numbers[0]

    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 5, 6, 7, 8, 13):
        numbers = rng.standard_normal(count).astype(np.float32)
        for size in (1, 2, 3, 4, 5, 8, 16):

            def total(comm, count=count, numbers=numbers):
                ranks = Ranks(comm, 8)
                own = ((k, numbers[k : k + 1].copy()) for k in ranks.own(count))
                return ranks.added(own, count, np.zeros(1, np.float32))[0]

            assert {*run_ranks(size, total)} == {pairwise(numbers)}, (count, size)


SAME = {
    "augmented, validated": {
        "augment": data.RandomShift(1),
        "validate": digits("test", 40),
        "metrics": ["accuracy", "f1"],
    },
    "labels that do not count": {"train": ignoring(), "batch_size": 25},
    "ready batches": {"train": batches(), "validate": batches(30, 7)},
    "adam, clipped": {"optimizer": "adam", "clip_grad_norm": 0.1, "batch_size": 9},
    "six parts, a plateau": {"parts": 6, "schedule": "plateau", "validate": digits("test", 9)},
    "without a seed for the data": {"seed": None, "validate": digits("test", 40)},
}


@pytest.mark.parametrize("name", SAME)
def test_weights_and_records_are_the_same_for_any_number_of_ranks(name):
    alone = trained(OneRank(), **SAME[name])
    for size in (2, 3, 8, 11):
        assert run_ranks(size, lambda comm: trained(comm, **SAME[name])) == [alone] * size, size


class Two(NamedTuple):
    one: tinynet.Tensor
    other: tinynet.Tensor


class Both(nn.Module):
    """Takes two inputs in what holds them."""

    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = small(), kind

    def forward(self, x):
        assert type(x) is self.kind
        return self.net(x[0] + x[1])


@pytest.mark.parametrize("kind", [tuple, list, Two])
def test_several_inputs_are_cut_and_counted_as_one_is(kind):
    def of_two(given):
        return [(Two(x, 0 * x) if kind is Two else kind((x, 0 * x)), t) for x, t in given]

    train, validate = batches(48), batches(30, 7)
    _, expected = trained(None, make=small, train=train, validate=validate, epochs=2)
    options = {"make": lambda: Both(kind), "validate": of_two(validate), "epochs": 2}
    several = of_two(train)
    assert trained(None, train=several, **options)[1] == expected
    found = run_ranks(3, lambda comm: trained(comm, train=several, **options))
    assert found[0] == found[1] == found[2]
    for record, wanted in zip(found[0][1], expected):
        assert record == pytest.approx(wanted, rel=1e-4)


def test_a_thousand_ranks_give_what_one_gives():
    settings = {"parts": 1024, "make": small, "epochs": 1, "batch_size": 25}
    alone = trained(OneRank(), **settings)
    assert [*map(repr, run_ranks(1024, lambda comm: trained(comm, **settings)))] == (
        [repr(alone)] * 1024
    )


@pytest.mark.parametrize("parts", [8, None])
@pytest.mark.parametrize("name", ["labels that do not count", "ready batches", "adam, clipped"])
def test_no_more_than_rounding_parts_it_from_the_ordinary_loop(name, parts):
    settings = SAME[name]
    ordinary, among_ranks = small(), small()
    _, expected = trained(None, make=lambda: ordinary, **settings)
    own = trained(OneRank(), make=lambda: among_ranks, **{**settings, "parts": parts})
    assert [list(record) for record in own[1]] == [list(record) for record in expected]
    for record, wanted in zip(own[1], expected):
        assert record == pytest.approx(wanted, rel=1e-4)
    for a, b in zip(among_ranks.parameters(), ordinary.parameters()):
        np.testing.assert_allclose(a.array, b.array, rtol=1e-3, atol=1e-5)
    if parts is None:
        shares = run_ranks(3, lambda comm: trained(comm, make=small, **{**settings, "parts": None}))
        assert shares[0] == shares[1] == shares[2]
        assert shares[0][1][-1] == pytest.approx(expected[-1], rel=1e-4)


def test_validation_that_is_shared_out_is_that_of_one_process():
    model = make_model()
    validate = data.DataLoader(digits("test", 90), 8)
    options = {"epochs": 1, "batch_size": 16, "progress": False, "metrics": ["accuracy", "f1"]}

    def train(comm):
        own = make_model() if comm.Get_rank() else model
        return fit(own, digits("train", 50), validate=validate, comm=comm, seed=0, **options)[-1]

    record = run_ranks(3, train)[2]
    measured = training.evaluate(model, validate, metrics=["accuracy", "f1"])
    assert {name: record[f"validation_{name}"] for name in measured} == measured


def test_running_statistics_are_means_over_the_parts_and_steps_are_counted():
    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    y = np.zeros(20, np.int64)

    def train(comm):
        model = nn.BatchNorm1d(3)
        fit(model, [(tinynet.Tensor(x), tinynet.Tensor(y))], epochs=3, progress=False, comm=comm)
        return {name: value.array for name, value in model.state_dict().items()}

    cuts = [20 * k // 8 for k in range(9)]
    means = [x[a:b].mean(0) * (b - a) / 20 for a, b in itertools.pairwise(cuts)]
    variances = [x[a:b].var(0, ddof=1) * (b - a) / 20 for a, b in itertools.pairwise(cuts)]
    for found in run_ranks(4, train):
        kept = 0.9**3
        assert found["num_batches_tracked"] == 3
        np.testing.assert_allclose(found["running_mean"], sum(means) * (1 - kept), rtol=1e-4)
        expected = kept + sum(variances) * (1 - kept)
        np.testing.assert_allclose(found["running_var"], expected, rtol=1e-4)


def test_a_parameter_that_no_part_uses_stays_without_a_gradient():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(64, 10), nn.Linear(64, 10)

        def forward(self, x):
            return self.used(x.flatten(1))

    def train(comm):
        tinynet.manual_seed(0)
        model = Half()
        before = model.unused.weight.array.copy()
        fit(model, digits("train", 20), 1, weight_decay=0.1, progress=False, comm=comm)
        return np.array_equal(before, model.unused.weight.array)

    assert run_ranks(2, train) == [True, True]


# ----- keeping, going on, verifying -----------------------------------------------------------


class StopAt(training.Callback):
    """Stands for a kill."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, run, means):
        if run.step == self.step:
            raise Aborted


@pytest.mark.parametrize("seed", [0, None])
def test_a_run_goes_on_and_is_verified_with_other_numbers_of_ranks(tmp_path, seed):
    options = {"validate": digits("test", 40), "augment": data.RandomShift(1), "seed": seed}

    def run(comm, folder, **more):
        tinynet.manual_seed(7)
        return trained(comm, out=tmp_path / folder, save_every=1, **options, **more)

    whole = run_ranks(2, lambda comm: run(comm, "whole"))
    run_ranks(4, lambda comm: run(comm, "killed", callbacks=[StopAt(6)]))
    resumed = run_ranks(3, lambda comm: run(comm, "killed", resume=True))
    assert resumed[0] == resumed[2] == whole[0] == run(OneRank(), "alone")
    assert sorted(path.name for path in (tmp_path / "whole").iterdir()) == [
        "best.safetensors", "last.safetensors", "report.html"
    ]  # fmt: skip

    def verdict(comm):
        tinynet.manual_seed(7)
        model = make_model()
        tinynet.manual_seed(7)
        kept = {**options, "batch_size": 16, "comm": comm}
        return verify.verify(
            tmp_path / "killed" / "last.safetensors", model, digits("train", 50), 2, **kept
        )

    if seed is not None:
        assert [found.same for found in run_ranks(2, verdict)] == [True, True]
    with pytest.raises(tinynet.CheckpointError, match=r"reproducible_for was 8 .* now it is None"):
        run(None, "killed", resume=True)


def test_a_report_is_what_one_process_finds(tmp_path):
    found = {}

    class Note(training.Callback):
        def on_epoch_end(self, run, record):
            if run.ranks.first:
                found[run.ranks.size] = run.findings

    def train(comm):
        validate = data.DataLoader(digits("test", 120), 16)
        trained(comm, validate=validate, out=tmp_path / str(comm.Get_size()), callbacks=[Note()])

    train(OneRank())
    run_ranks(3, train)
    one, shared = found[1], found[3]
    assert np.array_equal(one.matrix, shared.matrix)
    for kind in ("mistakes", "right"):
        a, b = ([(e.index, e.label, e.taken_for) for e in getattr(f, kind)] for f in (one, shared))
        assert a == b


# ----- errors -----------------------------------------------------------------------------------


def of_rank_1(comm: FakeComm, usual, other):
    return other if comm.rank == 1 else usual


DISAGREE = {
    "seed is 1 there, and 0 in rank 0": lambda c: {"seed": of_rank_1(c, 0, 1)},
    "lr is 0.2 there, and 0.05 in rank 0": lambda c: {"lr": of_rank_1(c, None, 0.2)},
    "train is ArrayDataset of 49": lambda c: {"train": digits("train", of_rank_1(c, 50, 49))},
    "epochs is 3 there, and 2 in rank 0": lambda c: {
        "epochs": of_rank_1(c, 2, 3),
        "schedule": "constant",
    },
    "model is ": lambda c: {"make": of_rank_1(c, make_model, small)},
    "reproducible_for is 4 there": lambda c: {"parts": of_rank_1(c, 8, 4)},
    "reproducible_for is None there": lambda c: {"parts": of_rank_1(c, 8, None)},
    "validate is none there": lambda c: {"validate": of_rank_1(c, digits("test", 9), None)},
}


@pytest.mark.parametrize("told", DISAGREE)
def test_ranks_that_disagree_are_found_before_anything_is_done(told):
    for error in run_ranks(3, lambda comm: trained(comm, **DISAGREE[told](comm))):
        assert isinstance(error, ValueError)
        assert str(error).startswith(f"fit: rank 1 is unlike the others: {told}")


def test_other_versions_and_kernels_are_found(monkeypatch):
    from tinynet.training import state

    own = state.environment()
    here = threading.local()
    monkeypatch.setattr(state, "environment", lambda: {**own, **here.other})

    def train(comm, parts):
        here.other = {"processor": "Z80", "numpy": "1.0"} if comm.rank == 1 else {}
        return trained(comm, parts=parts)

    for parts in (8, None):
        for error in run_ranks(2, lambda comm, parts=parts: train(comm, parts)):
            assert f"numpy is 1.0 there, and {np.__version__} in rank 0" in str(error)
            assert ("processor is Z80 there" in str(error)) == (parts == 8)
            assert ("With reproducible_for=None processors" in str(error)) == (parts == 8)


class Line(OneRank):
    """A communicator of rank 1 of 3 whose roll calls come out as they are told to."""

    answers = None
    ended: list

    def Get_rank(self):
        return 1

    def Get_size(self):
        return 3

    def Dup(self):
        return self

    def Iallgather(self, own, everyone):
        everyone[:] = self.answers or own
        return self

    def Test(self):
        return self.answers != []

    def Abort(self, code):
        self.ended.append(code)


@pytest.fixture
def line(monkeypatch):
    line = Line()
    line.ended, line.left = [], []
    for name in ("GRACE", "PATIENCE", "READ"):
        monkeypatch.setattr(watch, name, 0)
    monkeypatch.setattr(watch.atexit, "register", line.left.append)
    monkeypatch.setattr(watch, "_watches", {})
    monkeypatch.setattr(sys, "excepthook", lambda *error: print(error[1], file=sys.stderr))
    return line


def test_an_error_that_nobody_caught_ends_all_after_its_message(line, capsys):
    for _ in range(2):
        Ranks(line, 8)
    sys.excepthook(RuntimeError, RuntimeError("the disk is on fire"), None)
    assert capsys.readouterr().err == "rank 1 of 3:\nthe disk is on fire\n"
    assert line.ended == [1]
    assert len(line.left) == 1


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([watch.FAILED] * 3, ""),
        ([watch.FAILED, watch.FAILED, watch.LEAVING], "rank 1 of 3:\nmine alone\n"),
        ([], "rank 1 of 3:\nmine alone\n"),
    ],
)
def test_an_error_may_be_caught_that_all_ranks_raise(line, capsys, answers, told):
    def train():
        with Ranks(line, 8):
            line.answers = answers
            sys.exit("mine alone")

    with pytest.raises(SystemExit):
        train()
    assert capsys.readouterr().err == told
    assert line.ended == [1] * bool(told)


@pytest.mark.parametrize("answer", [watch.FAILED, watch.LEAVING])
def test_a_training_does_not_wait_for_a_rank_that_is_gone(line, capsys, answer):
    ranks = Ranks(line, 8)
    line.answers = [watch.HERE, watch.HERE, answer]
    with ranks:
        assert "rank 2 of 3 has ended, and this training needs it" in capsys.readouterr().err
        assert line.ended == [1]


@pytest.mark.parametrize("parts", [8, None])
def test_a_divergence_is_raised_in_all_ranks_to_be_caught(parts):
    train = digits("train", 50)
    images = train.images / np.float32(255)
    images[40] = np.nan
    broken = data.ArrayDataset(images, train.labels)
    results = run_ranks(3, lambda comm: trained(comm, parts, make=small, train=broken))
    assert all(isinstance(result, DivergenceError) for result in results)
    assert {result.step for result in results} == {results[0].step}
    assert "Where it began: " in str(results[0])


def test_a_validation_that_goes_bad_in_one_rank_does_in_all():
    class Bad:
        def __call__(self, output, target):
            if (np.asarray(target) == 7).all():
                raise FloatingPointError("seven")
            return 0.0

    labels = np.repeat(np.arange(10), 4)
    validate = data.DataLoader(data.ArrayDataset(digits("test", 40).images, labels), 4)
    results = run_ranks(3, lambda comm: trained(comm, validate=validate, metrics={"bad": Bad()}))
    assert all(isinstance(result, DivergenceError) for result in results)


def test_ranks_with_nothing_to_do_are_told_of(capsys):
    run_ranks(5, lambda comm: trained(comm, parts=3, make=small, epochs=1, progress=None))
    assert capsys.readouterr().out.splitlines()[0] == (
        "2 ranks have nothing to do: reproducible_for=3"
    )


def test_a_layer_with_a_generator_of_its_own_is_refused():
    def make():
        return nn.Sequential(small(), nn.Dropout(rng=np.random.default_rng(0)))

    with pytest.raises(ValueError, match=r"model/1\.rng draws from a generator of its own"):
        trained(OneRank(), make=make)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"comm": 4}, "comm must be a communicator, such as mpi4py.MPI.COMM_WORLD; got 4"),
        ({"comm": OneRank(), "reproducible_for": 0}, "reproducible_for"),
    ],
)
def test_arguments_that_are_no_ranks_are_refused(options, told):
    with pytest.raises((TypeError, ValueError), match=told):
        fit(small(), digits("train", 20), 1, **options)


def test_where_many_are_started_mpi4py_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "1")
    assert distributed.world().Get_size() == 1
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(ImportError, match=r'pip install "tinynet-cnn\[mpi\]" mpich'):
        distributed.world()


# ----- the command line, under mpiexec --------------------------------------------------------

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs MPI: pip install mpi4py mpich",
)
ROOT = Path(__file__).parents[1]
TRAIN = ["train", "--data", "npz:tiny.npz", "--model", "net.py:Net", "--epochs", "2"]
TRAIN += ["--batch-size", "10", "--augment", "shift:1", "--save-every", "2"]
NET = """
import os
from tinynet import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 2))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls == 12 and os.environ.get("FAILS") == os.environ.get("PMI_RANK"):
            error = {"stop": KeyboardInterrupt}.get(os.environ.get("HOW"), RuntimeError)
            raise error("this processor is on fire")
        return super().forward(x)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYNET_KERNELS", "numpy")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("FAILS", "none")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (50, 1, 8, 8)).astype(np.uint8)
    np.savez("tiny.npz", x=images, y=np.arange(50) % 2, classes=np.array(["a", "b"]))
    Path("net.py").write_text(NET)
    return tmp_path


def command(*arguments: str, ranks: int = 0) -> subprocess.CompletedProcess[str]:
    started = [str(MPIEXEC), "-n", str(ranks)] if ranks else []
    line = [*started, sys.executable, "-m", "tinynet", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def weights_in(folder: str) -> str:
    return json.loads(Path(folder, "run.json").read_text())["weights_sha256"]


@needs_mpi
def test_mpiexec_trains_the_same_with_any_number_of_ranks(here):
    for ranks in (1, 2, 4):
        done = command(*TRAIN, "--out", f"of{ranks}", ranks=ranks)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("test accuracy") == 1
        assert done.stdout.count("every batch in 8 parts, the same for any number of them") == 1
    done = command(*TRAIN, "--out", "alone", "--reproducible-for", "8")
    assert done.returncode == 0, done.stderr
    assert len({weights_in(folder) for folder in ("of1", "of2", "of4", "alone")}) == 1
    for ranks in (0, 2):
        done = command("verify", "of4", ranks=ranks)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("the same bit for bit") == 1
    done = command(*TRAIN, "--out", "plain", "--reproducible-for", "0", ranks=2)
    assert done.returncode == 0, done.stderr
    record = json.loads(Path("plain", "run.json").read_text())
    assert record["environment"]["ranks"] == "2"
    assert record["settings"]["reproducible_for"] == 0


@needs_mpi
def test_a_rank_that_is_killed_ends_all_and_the_run_goes_on(here):
    whole = command(*TRAIN, "--out", "whole", ranks=2)
    assert whole.returncode == 0, whole.stderr
    train = [*TRAIN, "--out", "killed"]
    dying = [":", "-n", "1", sys.executable, str(ROOT / "tests" / "dying.py"), "step", "7", *train]
    assert command(*train, *dying, ranks=1).returncode != 0
    assert not Path("killed", "run.json").exists()
    done = command("resume", "killed", ranks=4)
    assert done.returncode == 0, done.stderr
    assert weights_in("killed") == weights_in("whole")


@needs_mpi
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_raises_ends_all_with_its_message(here, monkeypatch, rank):
    monkeypatch.setenv("FAILS", rank)
    done = command(*TRAIN, "--out", "fails", ranks=2)
    assert done.returncode != 0
    assert done.stderr.count("RuntimeError: this processor is on fire") == 1, done.stderr
    assert ("rank 1 of 2:" in done.stderr) == (rank == "1")


@needs_mpi
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_is_stopped_tells_the_command_that_goes_on(here, monkeypatch, rank):
    monkeypatch.setenv("FAILS", rank)
    monkeypatch.setenv("HOW", "stop")
    done = command(*TRAIN, "--out", "stopped", ranks=2)
    assert done.returncode != 0
    told = "this processor is on fire; stopped/last.safetensors is as it was saved last\n"
    assert f"{told}go on with\n  python -m tinynet resume stopped\n" in done.stderr
    assert ("rank 1 of 2:" in done.stderr) == (rank == "1")


@needs_mpi
def test_what_every_rank_has_to_say_is_said_once(here):
    done = command("train", "--data", "folder:nowhere", ranks=2)
    assert done.returncode != 0
    assert done.stderr.count("there is no such folder") == 1, done.stderr


@needs_mpi
def test_a_script_whose_rank_raises_is_ended(here):
    Path("script.py").write_text(
        "from tinynet import training\n"
        "import net, numpy as np\n"
        "x, y = np.zeros((50, 1, 8, 8), np.float32), np.arange(50) % 2\n"
        "training.fit(net.Net(), x, y, epochs=9, seed=0, comm=training.world())\n"
    )
    environment = {**os.environ, "FAILS": "1"}
    line = [str(MPIEXEC), "-n", "2", sys.executable, "script.py"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode != 0
    assert "rank 1 of 2:\nTraceback" in done.stderr
    assert done.stderr.count("RuntimeError: this processor is on fire") == 1, done.stderr


LEAVES = {  # what rank 1 does in its third step, what before it trains, and what is said of it
    "exits": ("sys.exit()", "", "rank 1 of 2:\nTraceback.*SystemExit"),
    "catches": ("raise RuntimeError('caught')", "", "rank 1 of 2:\n.*RuntimeError: caught"),
    "raises before": ("", "raise OSError('no data')", "rank 1 of 2:\n.*OSError: no data"),
    "exits before": ("", "sys.exit(0)", "rank 1 of 2 has ended.*sys.exit"),
    "trains alone": ("", "comm = None", "rank 1 of 2 has ended.*without comm="),
}


@needs_mpi
@pytest.mark.parametrize("way", LEAVES)
def test_whichever_way_a_rank_leaves_all_end(here, way):
    step, before, told = LEAVES[way]
    Path("script.py").write_text(
        f"""
import net, sys, numpy as np
from tinynet import training

comm = training.world()
other = comm.Get_rank() == 1

class Leave(training.Callback):
    def on_step_end(self, run, means):
        if other and run.step == 3:
            {step or "pass"}

x, y = np.zeros((50, 1, 8, 8), np.float32), np.arange(50) % 2
if other:
    {before or "pass"}
try:
    training.fit(net.Net(), x, y, epochs=9, batch_size=10, comm=comm, callbacks=[Leave()])
except RuntimeError:
    sys.exit(0)
"""
    )
    line = [str(MPIEXEC), "-n", "2", sys.executable, "script.py"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert re.search(told, done.stderr, re.DOTALL), done.stderr


@needs_mpi
def test_what_all_ranks_raise_a_script_may_catch_and_train_again(here):
    Path("script.py").write_text(
        """
import net, numpy as np
from tinynet import training

y = np.arange(50) % 2
for value in (3e38, 0):
    x = np.full((50, 1, 8, 8), value, np.float32)
    try:
        training.fit(net.Net(), x, y, epochs=2, comm=training.world())
    except training.DivergenceError:
        print("once more")
"""
    )
    line = [str(MPIEXEC), "-n", "2", sys.executable, "-W", "ignore", "script.py"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once more") == 2
