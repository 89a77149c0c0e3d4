"""The history of a run as a checkpoint keeps it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinynet.training.history import History, describe, from_columns, to_columns
from tinynet.training.tree import pack, unpack

TRAINED = {"epoch": 1, "loss": 0.5, "lr": 0.1}
VALIDATED = {"epoch": 2, "loss": float("nan"), "validation_loss": 0.25, "lr": 1e-9}


def kept(records):
    """The records through a checkpoint's manifest and members, and the manifest."""
    members: dict[str, np.ndarray] = {}
    text = json.dumps(pack(to_columns(records), "history", members), allow_nan=False)
    return from_columns(unpack(json.loads(text), members)), text


@pytest.mark.parametrize(
    "records",
    [[], [TRAINED], [TRAINED, {**TRAINED, "epoch": 2}], [TRAINED, VALIDATED, TRAINED]],
    ids=["none", "one", "two", "other quantities in between"],
)
def test_records_come_back_as_they_were(records):
    again, _ = kept(records)
    assert repr(again) == repr(records)  # as text, where NaN is itself and 1 is not 1.0


def test_a_record_may_be_written_out_in_numbers():
    assert from_columns([TRAINED, {"epoch": [2, 3], "loss": [0.4, 0.3], "lr": [0.1, 0.1]}]) == [
        TRAINED,
        {"epoch": 2, "loss": 0.4, "lr": 0.1},
        {"epoch": 3, "loss": 0.3, "lr": 0.1},
    ]


def test_the_manifest_does_not_grow_with_the_epochs():
    few, many = ([{**TRAINED, "epoch": i} for i in range(n)] for n in (2, 2000))
    assert len(kept(many)[1]) == len(kept(few)[1])


@pytest.mark.parametrize(
    "group",
    [
        {"epoch": "one"},
        {"epoch": [1, 2], "loss": [0.5]},
        {"epoch": [[1]]},
        {"epoch": True},
        {"epoch": None},
    ],
)
def test_what_is_no_record_is_refused(group):
    with pytest.raises(ValueError, match=r"no records of epochs|argument 2"):
        from_columns([group])


def test_a_history_is_written_as_a_table(tmp_path):
    History([TRAINED, {**TRAINED, "epoch": 2, "validation_loss": 0.25}]).to_csv(
        tmp_path / "new/h.csv"
    )
    assert (tmp_path / "new/h.csv").read_text().split() == [
        "epoch,loss,lr,validation_loss", "1,0.5,0.1,", "2,0.5,0.1,0.25",
    ]  # fmt: skip


def test_a_history_is_plotted_a_chart_for_each_quantity():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    history = History([TRAINED, {**TRAINED, "epoch": 2, "validation_loss": 0.25}])
    axes = history.plot()
    alone = History([{"epoch": 1, "validation_f1": 0.5}]).plot()
    colours = [line.get_color() for axis in (axes[0], alone[0]) for line in axis.lines]
    assert colours == ["C0", "C1", "C1"]  # training, validation, validation
    assert all(tick % 1 == 0 for axis in axes for tick in axis.get_xticks())
    assert [axis.get_title() for axis in axes] == ["loss", "learning rate"]
    assert [line.get_label() for line in axes[0].lines] == ["training", "validation"]
    assert [axis.get_title() for axis in history.plot("loss")] == ["loss"]
    pyplot.close("all")
    for wrong in ("los", ["loss"]):
        with pytest.raises(ValueError, match=r"unknown quantity .*los.*; did you mean 'loss'"):
            history.plot(wrong)
    with pytest.raises(ValueError, match="no epoch to plot"):
        History().plot()


def test_a_notebook_shows_charts_and_a_table_with_names_escaped():
    shown = History([{**TRAINED, "<b>": 1.0}])._repr_html_()
    assert shown.count("<svg") == 3
    assert "&lt;b&gt;" in shown
    assert "<td" in shown
    assert History()._repr_html_()


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            {"loss": 0.25, "accuracy": 0.913, "validation_loss": 0.2, "validation_accuracy": 0.9},
            "epoch 10/12  loss 0.2500  accuracy 91.30 %  validation 0.2000  90.00 %  12.5 s",
        ),
        (
            {"loss": 1e30, "accuracy": 1.0, "validation_accuracy": 0.9},
            "epoch 10/12  loss 1e+30  accuracy 100.00 %  validation accuracy 90.00 %  12.5 s",
        ),
    ],
)
def test_the_line_of_an_epoch_fits_eighty_columns(record, line):
    assert describe({"epoch": 10, "lr": 0.1, "seconds": 12.5, **record}, 12) == line
    assert len(line) <= 80


def test_a_history_prints_readable_numbers():
    shown = repr(History([{"epoch": 1, "loss": 2.35286021232605, "lr": float("nan")}]))
    assert shown == "[{'epoch': 1, 'loss': 2.3529, 'lr': nan}]"
