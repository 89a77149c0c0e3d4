"""Fuzzing of every reader in its short form, and proof that the fuzzer finds what it should."""

from __future__ import annotations

import pytest

from tests.long.fuzz.__main__ import main
from tests.long.fuzz.harness import Inputs, Target, fuzz
from tests.long.fuzz.targets import TARGETS
from tinynet.errors import DataError

INPUTS = 1000
"""Of each reader; `python -m tests.long.fuzz all` has more."""


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_inputs_raise_the_allowed_error_alone_and_allocate_little(name):
    if name == "image":
        pytest.importorskip("PIL", reason="Pillow (the extra `images`) is not installed")
    if name == "onnx":
        pytest.importorskip("onnx", reason="onnx (the extra `onnx`) is not installed")
    report = fuzz(name, TARGETS[name], inputs=INPUTS, seed=1)
    assert [(f.index, f.what) for f in report.findings] == []
    assert report.accepted > 0
    assert report.refused > 0


def reader(data: bytes) -> bytes:
    """Refuses what does not start with A; fails in three planted ways."""
    if data[:1] != b"A":
        raise DataError("no A")
    if b"\xff" in data:
        raise KeyError("planted")
    if b"\x00" in data:
        return bytes(10_000_000)[:5]
    if b"\x7f" in data:
        raise UnicodeDecodeError("ascii", data, 0, 1, "planted")
    return data


def test_planted_faults_are_found():
    target = Target(reader, lambda: [b"ABCDEFGHIJ"], DataError)
    report = fuzz("planted", target, inputs=5000, most_findings=5000)
    found = " ".join(finding.what for finding in report.findings)
    assert "KeyError: 'planted' at test_fuzz.py:" in found
    assert "UnicodeDecodeError" in found
    assert "bytes, but the honest size is" in found
    assert report.accepted + report.refused + len(report.findings) >= report.inputs == 5000


def test_an_endless_loop_is_found(monkeypatch):
    monkeypatch.setattr("tests.long.fuzz.harness.LONGEST", 0.05)

    def loop(data: bytes) -> None:
        while data != b"ABC":
            pass

    report = fuzz("loop", Target(loop, lambda: [b"ABC"], DataError), inputs=50, most_findings=1)
    assert "Endless: still at it after 0.05 seconds" in report.findings[0].what


def test_a_subclass_of_the_allowed_error_is_not_allowed():
    def decode(data: bytes) -> str:
        return data.decode("ascii")  # UnicodeDecodeError is a ValueError

    report = fuzz("ascii", Target(decode, lambda: [b"text"], ValueError), inputs=200)
    assert "UnicodeDecodeError" in report.findings[0].what


def test_an_input_depends_on_seed_and_index_alone():
    for name in ("npz", "gzip"):
        made, again = Inputs(TARGETS[name], seed=3), Inputs(TARGETS[name], seed=3)
        assert [made[i] for i in range(40)] == [again[i] for i in reversed(range(40))][::-1]
        assert [made[i] for i in range(40)] != [Inputs(TARGETS[name], 4)[i] for i in range(40)]


def test_a_seed_that_is_refused_stops_the_run():
    with pytest.raises(DataError, match="no A"):
        fuzz("planted", Target(reader, lambda: [b"B"], DataError), inputs=1)


def test_the_command_prints_a_row_and_says_0_or_1(tmp_path, monkeypatch, capsys):
    assert main(["idx,npy", "--inputs", "200", "--json", str(tmp_path / "a.json")]) == 0
    out = capsys.readouterr().out
    assert "| idx    |    200 |" in out
    assert '"places"' in (tmp_path / "a.json").read_text()
    assert main(["npy", "--only", "5"]) == 0
    monkeypatch.setitem(TARGETS, "planted", Target(brittle, lambda: [b"ABCDEFGHIJ"], DataError))
    assert main(["planted", "--inputs", "3000", "--findings", str(tmp_path / "found")]) == 1
    path = tmp_path / "found" / capsys.readouterr().out.rpartition("/")[2].strip()
    assert path.read_bytes()[:1] != b"A"
    assert main(["planted", "--only", path.name.rpartition("-")[2]]) == 1
    assert "KeyError: 'no A'" in capsys.readouterr().out


def brittle(data: bytes) -> None:
    """Raises what it must not for whatever does not start with A."""
    if data[:1] != b"A":
        raise KeyError("no A")
