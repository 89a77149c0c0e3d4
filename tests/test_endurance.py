"""The short forms of the long proofs: kills at random moments, a soak."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.long import kill_training, soak
from tests.long.soak import Samples, judge


def test_runs_survive_kills_at_random_moments(tmp_path, capsys):
    assert kill_training.main(["--kills", "3", "--epochs", "3", "--json", str(tmp_path / "x")]) == 0
    assert capsys.readouterr().out.startswith("3 kills, ")
    assert json.loads((tmp_path / "x").read_text())["faults"] == []


def test_a_short_soak_leaves_no_file_open_and_writes_its_figures(tmp_path, capsys):
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    pytest.importorskip("matplotlib")
    options = ["--json", str(tmp_path / "soak.json"), "--plot", str(tmp_path / "soak.png")]
    soak.main(["--steps", "400", *options])
    figures = json.loads((tmp_path / "soak.json").read_text())
    assert figures["files_at_end"] <= figures["files_at_start"]
    assert figures["steps"] >= 400
    assert (tmp_path / "soak.png").stat().st_size > 1000
    assert "open files: " in capsys.readouterr().out


def samples_of(bytes_a_step: float, seconds) -> Samples:
    rng = np.random.default_rng(0)
    steps = list(range(250, 100_001, 250))
    resident = [int(5e7 + bytes_a_step * s + rng.normal(0, 4096)) for s in steps]
    return Samples(steps, resident, [0] * len(steps), [5] * len(steps), [seconds(s) for s in steps])


def test_the_soak_sees_a_leak_and_a_slowing_down():
    steady = judge(samples_of(0, lambda step: 1e-3))
    assert steady.flat
    assert steady.speed_ratio == pytest.approx(1)
    leaking = judge(samples_of(100, lambda step: 1e-3 * (1 + step / 1e6)))
    assert not leaking.flat
    assert leaking.slope == pytest.approx(100, rel=0.05)
    assert leaking.speed_ratio == pytest.approx(1.07, rel=0.005)
