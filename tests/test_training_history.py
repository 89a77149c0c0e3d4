"""The history of a run as a checkpoint keeps it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinynet.training.history import from_columns, to_columns
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
