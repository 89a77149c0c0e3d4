"""tinynet.utils.data beside torch.utils.data: the same batches of the same examples."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import tinynet
from tinynet.utils import data

pytest.importorskip("torch")
import torch
from torch.utils import data as torch_data

Pair = namedtuple("Pair", "x y")

EXAMPLES = [
    lambda i: i,
    lambda i: i / 2,
    lambda i: i % 2 == 0,
    lambda i: f"name {i}",
    lambda i: bytes([i]),
    lambda i: np.full((2, 2), i, np.uint8),
    lambda i: np.float32(i),
    lambda i: np.int16(i),
    lambda i: (np.full(2, i, np.float64), i),
    lambda i: [i, (i, [i, 0.5])],
    lambda i: {"image": np.full(2, i, np.float32), "label": i, "more": {"name": "a", "w": 0.5}},
    lambda i: Pair(np.full(2, i), (i, True)),
]

OPTIONS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": 2, "sampler": [5, 1, 3]},
    {"batch_sampler": [[1], [4, 2, 0]]},
    {"batch_size": None},
    {"batch_size": 7, "collate_fn": len},
    {"batch_size": 2, "num_workers": 0, "pin_memory": False, "timeout": 0, "in_order": True},
]


def plain(batch):
    """A batch with the values and dtype of each tensor in its place."""
    if isinstance(batch, (tinynet.Tensor, torch.Tensor)):
        array = np.asarray(batch)
        return ("tensor", array.dtype.name, array.tolist())
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return [type(batch).__name__, *map(plain, batch)]
    return batch


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_batches_are_the_same(example, options):
    examples = [example(i) for i in range(8)]
    if options.get("collate_fn") is not len and isinstance(examples[0], (str, bytes)):
        examples = [(e,) for e in examples]
    ours = data.DataLoader(examples, **options)
    theirs = torch_data.DataLoader(examples, **options)
    assert len(ours) == len(theirs)
    assert [plain(batch) for batch in ours] == [plain(batch) for batch in theirs]


@pytest.mark.parametrize("total", [10, 17, 100, 1437])
@pytest.mark.parametrize(
    "shares", [[0.8, 0.2], [0.5, 0.29, 0.21], [1 / 3, 1 / 3, 1 / 3], [0.7, 0.15, 0.15]], ids=str
)
def test_splits_are_as_large(total, shares):
    ours = data.random_split(range(total), shares)
    theirs = torch_data.random_split(range(total), shares)
    assert [len(part) for part in ours] == [len(part) for part in theirs]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"sampler": [1], "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_sampler": [[1]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
        {"num_workers": -1},
        {"nothing": 1},
    ],
    ids=str,
)
def test_both_refuse(options):
    for loader in (data.DataLoader, torch_data.DataLoader):
        with pytest.raises((ValueError, TypeError)):
            loader([1, 2, 3], **options)


def test_public_names_are_there():
    ours = {*data.__all__}
    theirs = {*torch_data.__all__}
    assert theirs - ours == {
        "DFIterDataPipe", "DataChunk", "IterDataPipe",
        "MapDataPipe",
        "StackDataset", "_DatasetKind", "argument_validation", "functional_datapipe",
        "guaranteed_datapipes_determinism", "non_deterministic", "runtime_validation",
        "runtime_validation_disabled",
    }  # fmt: skip
