"""Planted faults: each is really wrong in one place, is caught, and gets its name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from faults_by_hand import fault as by_hand

from tests.long import gradcheck_faults
from tests.long.faults import ALL, BROKEN, DEEP, NUMERIC
from tests.long.gradcheck_faults import by_tinynet
from tinynet.gradcheck.causes import diagnose


def name(fault):
    return fault.name


def one_of_each(faults):
    """The first case of each operation: the others are run by the benchmark."""
    return list({fault.op: fault for fault in reversed(faults)}.values())[::-1]


def test_there_are_many_faults_and_every_mistake_is_in_several():
    causes = [fault.cause for fault in ALL]
    assert len(ALL) >= 200
    assert len(DEEP) >= 20
    assert len(set(causes)) >= 40
    assert len({fault.name + fault.cause for fault in ALL}) == len(ALL)


@pytest.mark.parametrize("fault", one_of_each(NUMERIC), ids=name)
def test_the_mistake_is_in_the_planted_gradient_alone_and_is_named(fault):
    hand = by_hand(fault.op, fault.inputs, fault.settings, fault.argument)
    gap = np.abs(hand.analytic - hand.elements.numeric).max()
    assert gap > 1e-3
    _, *vjps = fault.op(*fault.inputs, **fault.settings)
    for place, J in hand.others.items():
        if place < len(vjps):
            right = J @ hand.dy.reshape(-1)
            assert np.allclose(np.ravel(vjps[place](hand.dy)), right, 1e-5, 1e-6)
    found = diagnose(hand)
    assert found is not None
    assert fault.cause in f"{found[0]} ({found[1]})"


@pytest.mark.parametrize(
    "fault", [*one_of_each(NUMERIC)[::12], *one_of_each(BROKEN), *DEEP[::8]], ids=name
)
def test_the_check_catches_the_fault_and_names_operation_argument_and_mistake(fault):
    result = by_tinynet(fault)
    assert result.caught
    assert result.named, result.said
    assert result.cause, result.said


def test_the_benchmark_prints_a_table_and_writes_its_figures(tmp_path, capsys):
    figures = tmp_path / "figures.json"
    arguments = ["--only", "square(", "--against", "nothing", "--show", "--json", str(figures)]
    assert gradcheck_faults.main(arguments) == 0
    out = capsys.readouterr().out
    assert "| square(3x4) | constant factor | " in out
    assert "| all " in out
    assert "analytic = 0.5 x numeric" in out
    record = json.loads(figures.read_text())[0]
    assert record["tinynet"]["caught"]
    assert record["torch"] is None


def test_the_benchmark_gives_torch_the_same_code():
    pytest.importorskip("torch")
    wrong = next(fault for fault in ALL if fault.name.startswith("product("))
    result = gradcheck_faults.by_torch(wrong)
    assert result.caught
    assert result.named
    right = next(fault for fault in DEEP if "swish" in fault.name)
    assert gradcheck_faults.by_torch(right).caught


def test_an_unknown_fault_is_an_error(capsys):
    with pytest.raises(SystemExit):
        gradcheck_faults.main(["--only", "nothing of the kind"])
    assert "no fault has this in its name" in capsys.readouterr().err
