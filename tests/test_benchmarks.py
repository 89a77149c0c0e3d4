"""The benchmarks' pieces that can be tested without a clock, and one short race."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import __main__ as short_form
from benchmarks import (
    common,
    comparison,
    epoch,
    frameworks,
    history,
    inference,
    machine,
    mnist,
    overhead,
    ranks,
    results,
    roofline,
    scaling,
    time_to_accuracy,
    train_step,
    turns,
)
from benchmarks.nets import NETS, count_parameters, stack
from benchmarks.turns import Result
from tinynet import kernels, nn

SCRIPTS = [
    epoch, inference, overhead, ranks, results, roofline, scaling, short_form, time_to_accuracy,
    train_step,
]  # fmt: skip


def result(*ms: float, peak_mb: float = 100.0) -> Result:
    return Result(ms=list(ms), others=[0.0] * len(ms), first_ms=ms[0], peak_mb=peak_mb)


def case(name: str, ours: Result, *peers: Result) -> comparison.Case:
    layouts = dict(zip(("torch contiguous", "torch channels_last"), peers))
    return comparison.Case(name, 128, {"tinynet numpy": ours, **layouts})


# ----- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_every_script_explains_itself(script, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(["--help"])
    assert stop.value.code == 0
    assert "python -m benchmarks" in capsys.readouterr().out


def test_an_unknown_net_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as stop:
        train_step.main(["--nets", "lenett"])
    assert stop.value.code == 2
    assert "did you mean 'lenet'" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "1,x", "-3", ""])
def test_batch_sizes_are_integers_above_0(text, capsys):
    with pytest.raises(SystemExit):
        train_step.main([f"--batch={text}"])
    assert "is not an integer of 1 or more" in capsys.readouterr().err


def contestants(**given):
    args = argparse.Namespace(**{"kernels": None, "against": None, "threads": 2, **given})
    return common.resolve_contestants(common.new_parser(None), args)


def test_without_pytorch_tinynet_is_measured_alone(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(contestants(kernels=["numpy"])) == ["tinynet numpy"]
    assert "pip install torch" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        contestants(against="torch")
    assert "pip install torch" in capsys.readouterr().err


def test_with_pytorch_both_memory_layouts_take_part(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    chosen = contestants(kernels=["numpy"], threads=1)
    assert list(chosen) == ["tinynet numpy", "torch contiguous", "torch channels_last"]
    assert chosen["torch channels_last"] == {
        "framework": "torch", "variant": "channels_last", "threads": 1
    }  # fmt: skip


def test_a_kernel_set_that_is_not_installed_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "available", lambda: ["numpy"])
    with pytest.raises(SystemExit):
        contestants(kernels=["numba"])
    assert 'pip install "tinynet-cnn[fast]"' in capsys.readouterr().err


# ----- statistics and tables ----------------------------------------------------------------------


def test_the_ratio_is_the_median_over_rounds_of_the_better_layout_of_each_round():
    #              round by round the better layout takes 4, 3, 20
    measured = case("lenet 1", result(2, 3, 4), result(4, 9, 20), result(8, 3, 30))
    assert measured.ratio("numpy") == 2.0  # of 2, 1, 5


def test_without_a_peer_there_is_no_ratio_and_no_summary():
    alone = case("lenet 1", result(2, 3))
    assert alone.ratio("numpy") is None
    assert comparison.ratio_summary([alone]) == {}
    assert "| lenet 1 | tinynet numpy |" in comparison.report([alone])


def test_the_summary_has_the_geometric_mean_and_the_worst_case():
    cases = [case("a", result(1), result(4)), case("b", result(1), result(1))]
    summary = comparison.ratio_summary(cases)["numpy"]
    assert summary["geometric_mean"] == pytest.approx(2.0)
    assert (summary["worst"], summary["worst_case"], summary["cases"]) == (1.0, "b", 2)


def test_the_report_marks_the_better_layout_and_gives_images_a_second_and_memory():
    ours, slow, fast = result(2, peak_mb=50), result(8), result(4, peak_mb=200)
    lines = comparison.report([case("lenet 128", ours, slow, fast)]).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:5]]
    assert cells[0] == [
        "lenet 128",
        "tinynet numpy",
        "2.00",
        "64,000",
        "2.00",
        "50",
        "2.00",
        "0.250",
    ]
    assert cells[1][1:3] == ["torch contiguous", "8.00"]
    assert cells[2][1:3] == ["torch channels_last *", "4.00"]


def test_a_disturbed_measurement_says_so():
    quiet, disturbed = (case("a", result(1), result(2)) for _ in range(2))
    disturbed.results["torch contiguous"].others = [0.5]
    assert "not quiet" not in comparison.report([quiet])
    assert "other processes took 25 %" in comparison.report([disturbed])


def test_a_record_can_be_written_as_json(tmp_path):
    record = comparison.record([case("a", result(1), result(2))])
    common.write_json(tmp_path / "figures.json", record)
    read = json.loads((tmp_path / "figures.json").read_text())
    assert read["cases"][0]["ratios"] == {"numpy": 2.0}
    assert read["machine"]["cores"] == str(machine.cores())


def test_the_exponent_of_scaling_is_fitted_to_the_largest_sizes():
    sides = scaling.SIZES["side"]
    times = [max(100.0, n * n) for n in sides]  # a floor, then quadratic
    text = scaling.report({"side": {"tinynet numpy": times}, "threads": {"tinynet numpy": [6, 4]}})
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| tinynet")]
    assert float(rows[0][-2]) == pytest.approx(2.0, abs=0.01)
    assert float(rows[1][-2]) == 1.5


def test_scaling_draws_every_curve(tmp_path):
    pytest.importorskip("matplotlib")
    curves = {"threads": {"tinynet numpy": [2.0, 1.0], "torch contiguous": [3.0, 2.0]}}
    scaling.plot(curves, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_overhead_is_what_recording_adds_to_the_bare_expression():
    figures = {
        "operations_us": {"exp": {"bare": 1.0, "plain": 2.0, "recorded": 3.5}},
        "backward_us_per_node": 0.9,
        "handing_over_us": {"awake": 20.0, "asleep": 150.0},
        "import_ms": {"numpy": 70.0},
        "first_steps": {"tinynet numpy": {"setup_s": 0.1, "first_ms": 20, "later_ms": 8}},
    }
    assert overhead.recorded_overheads(figures) == {"exp": 2.5}
    assert "2.50 microseconds more than bare NumPy" in overhead.report(figures)


def test_overhead_compares_the_same_values():
    for bare, plain, recorded in overhead.operations().values():
        assert np.array_equal(bare(), plain().array)
        assert np.array_equal(bare(), recorded().array)
        assert recorded().requires_grad
        assert not plain().requires_grad


def test_accuracies_are_held_against_what_is_promised():
    kept = results.Outcome("digits", "tinynet train --seed 0", 0.985, [0.98, 0.99], [1.0, 2.0])
    missed = results.Outcome("digits", "tinynet train --seed 0", 0.985, [0.98, 0.98], [1.0, 2.0])
    assert kept.kept
    assert not missed.kept
    assert " 98.50 % |" in results.report([kept])
    assert "98.5 % MISSED |" in results.report([missed])


# ----- nets, frameworks, layers -------------------------------------------------------------------


def test_the_nets_have_the_parameters_of_their_papers():
    assert count_parameters(NETS["lenet"].build(nn)) == 61_706
    assert count_parameters(NETS["mnist"].build(nn)) == 1_199_882


@pytest.mark.parametrize("net", train_step.TRAINED)
def test_the_nets_are_the_same_in_both_frameworks(net):
    torch = pytest.importorskip("torch")
    ours, theirs = NETS[net].build(nn), NETS[net].build(torch.nn)
    shapes = {name: tuple(p.shape) for name, p in theirs.named_parameters()}
    assert {name: p.shape for name, p in ours.named_parameters()} == shapes


@pytest.mark.parametrize("net", train_step.TRAINED)
def test_a_training_step_changes_every_parameter(net):
    framework = frameworks.load("tinynet", "numpy", 1)
    known = NETS[net]
    model = known.build(nn)
    before = [p.array.copy() for p in model.parameters()]
    batches = frameworks.random_batches(2, 4, known.image, known.classes)
    frameworks.training_step(framework, model, batches)()
    assert all((p.array != b).any() for p, b in zip(model.parameters(), before))


def test_a_stack_is_as_deep_as_asked_and_ends_in_ten_classes():
    model = stack(nn, channels=3, depth=4, side=8)
    assert sum(isinstance(layer, nn.Conv2d) for layer in model) == 4
    x = np.zeros((2, 3, 8, 8), np.float32)
    assert model(frameworks.load("tinynet", "numpy", 1).tensor(x)).shape == (2, 10)


def test_the_roofline_counts_the_multiply_adds_of_the_definition(monkeypatch):
    monkeypatch.setattr(roofline, "milliseconds", lambda call: call() is None or 1.0)
    calls, whole = roofline.kernel_calls("lenet", 2, frameworks.load("tinynet", "numpy", 1))
    by_name = [(call.name, call.multiply_adds) for call in calls]
    first, second = 2 * 6 * 28 * 28 * 25, 2 * 16 * 10 * 10 * 6 * 25
    assert [work for name, work in by_name if name == "conv2d"] == [first, second]
    assert [work for name, work in by_name if name == "conv2d_dw_db"] == [second, first]
    assert [work for name, work in by_name if name == "conv2d_dx"] == [second]  # not of the image
    assert [work for name, work in by_name if name == "linear"] == [96_000, 20_160, 1_680]
    assert "everything else" in roofline.net_table(calls, whole, peak=100.0)


def test_idx_files_are_read_gzipped_or_not(tmp_path):
    import gzip

    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(6))
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(content))
    expected = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(mnist.read_idx(str(tmp_path), "plain"), expected)
    assert np.array_equal(mnist.read_idx(str(tmp_path), "packed"), expected)


# ----- turns --------------------------------------------------------------------------------------


@pytest.fixture
def task(tmp_path, monkeypatch):
    """A task for workers: a step that prints, which must not disturb the answers."""
    source = "def make(factor): return lambda: print('working', factor * 2, flush=True)"
    (tmp_path / "printing_step.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "printing_step:make"


def test_each_contestant_has_one_turn_a_round(task, capfd):
    settings = {"tinynet one": {"factor": 1}, "tinynet two": {"factor": 2}}
    found = turns.race(task, settings, rounds=2, seconds=0)
    assert list(found) == list(settings)
    assert all(len(r.ms) == 2 and min(r.ms) > 0 and r.peak_mb > 1 for r in found.values())
    assert "working 4" in capfd.readouterr().err


def test_a_worker_that_fails_ends_the_race_by_name(task, capfd):
    with pytest.raises(SystemExit, match="tinynet one: its process ended with exit code 1"):
        turns.race(task, {"tinynet one": {}}, rounds=1, seconds=0)
    assert "factor" in capfd.readouterr().err


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs Linux's /proc")
def test_a_busy_process_is_seen():
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert any(not turns.is_asleep(busy.pid) for _ in range(10_000))
    finally:
        busy.kill()
        busy.wait()


# ----- history ------------------------------------------------------------------------------------


def test_history_keeps_every_run_and_finds_what_became_slower(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "commit", lambda: "abc1234")
    path = tmp_path / "history.jsonl"
    assert history.read(path) == []
    for ms in (4.0, 2.0):
        history.append(path, history.new_run([case("lenet 1", result(1), result(ms))]))
    runs = history.read(path)
    assert [run["ratios"] for run in runs] == [{"numpy lenet 1": 4.0}, {"numpy lenet 1": 2.0}]
    assert "slower: numpy lenet 1 2.00, the best on this machine was 4.00" in history.report(runs)


def test_an_empty_history_says_how_to_begin():
    assert "`python -m benchmarks` adds one" in history.report([])


def test_the_short_form_writes_its_page_and_a_line_of_history(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "commit", lambda: "abc1234")
    monkeypatch.setattr(short_form, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(short_form, "HISTORY", tmp_path / "history.jsonl")
    short_form.write("# Speed\n", [case("lenet 1", result(1), result(3))])
    short_form.write("# Speed, again\n", [case("lenet 1", result(1))])  # no peer: no ratio
    assert (tmp_path / "RESULTS.md").read_text() == "# Speed, again\n"
    assert [run["ratios"] for run in history.read(tmp_path / "history.jsonl")] == [
        {"numpy lenet 1": 3.0}
    ]
