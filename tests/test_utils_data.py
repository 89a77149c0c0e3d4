"""tinynet.utils.data: PyTorch's datasets, samplers, collation and loader."""

from __future__ import annotations

import inspect
import itertools
import json
from collections import namedtuple

import numpy as np
import pytest

import tinynet
from tinynet import data
from tinynet.random import default_rng
from tinynet.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

Pair = namedtuple("Pair", "x y")


class Stream(IterableDataset):
    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __iter__(self):
        return iter(range(self.start, self.end))


def rows(n: int = 10) -> TensorDataset:
    return TensorDataset(tinynet.arange(n), tinynet.arange(n) * 10)


def epoch(loader) -> list:
    """The numbers of the first part of each batch of an epoch."""
    return [(b[0] if isinstance(b, list) else b).tolist() for b in loader]


# ----- collate ------------------------------------------------------------------------------------


COLLATED = [  # two examples, the batch, its dtype
    ([1, 2], [1, 2], np.int64),
    ([1.5, 2], [1.5, 2], np.float64),
    ([True, False], [True, False], np.bool_),
    ([np.float32(1), np.float32(2)], [1, 2], np.float32),
    ([np.zeros(2, np.uint8), np.ones(2, np.uint8)], [[0, 0], [1, 1]], np.uint8),
    ([tinynet.tensor([1.0]), tinynet.tensor([2.0])], [[1], [2]], np.float32),
]


@pytest.mark.parametrize(("examples", "values", "dtype"), COLLATED)
def test_collate_stacks_and_keeps_dtypes(examples, values, dtype):
    batch = default_collate(examples)
    assert isinstance(batch, tinynet.Tensor)
    assert batch.dtype == dtype
    assert batch.tolist() == values


def test_collate_keeps_the_structure_of_an_example():
    examples = [
        {"image": np.full((1, 2), i, np.float32), "more": ((i, "ab"[i]), Pair(i, [i, -i]))}
        for i in range(2)
    ]
    batch = default_collate(examples)
    assert batch["image"].shape == (2, 1, 2)
    (numbers, names), pair = batch["more"]
    assert numbers.tolist() == [0, 1]
    assert names == ("a", "b")
    assert isinstance(pair, Pair)
    assert [part.tolist() for part in pair.y] == [[0, 1], [0, -1]]


NO_BATCH = [
    ([None, None], TypeError, "not of NoneType. Make a number"),
    ([(1, {"a": {1}})] * 2, TypeError, r"part \[1\]\['a'\] of the examples: .* not of set"),
    ([np.array(["a"])] * 2, TypeError, "not of numpy.ndarray of <U1"),
    ([np.zeros(2), np.zeros(3)], ValueError, r"the shapes are \([23],\), \([23],\). Make them"),
    ([tinynet.ones(2), tinynet.ones(3)], ValueError, r"the shapes are \([23],\), \([23],\)"),
    ([(0, np.zeros(2)), (0, np.zeros(3))], ValueError, r"part \[1\] of the examples"),
    ([(0, 1), (0,)], ValueError, r"the numbers of parts are [12], [12]\."),
    ([{"a": 1}, {"b": 1}], ValueError, r"the keys are \('[ab]',\), \('[ab]',\)"),
    ([(1, 2), 3], TypeError, "the examples: they are tuple and int; return one kind"),
    ([(1, "a"), (2, 1)], TypeError, r"part \[1\] of the examples: they are str and int"),
]


@pytest.mark.parametrize(("examples", "error", "told"), NO_BATCH)
def test_collate_names_what_cannot_be_stacked(examples, error, told):
    with pytest.raises(error, match=told):
        default_collate(examples)


def test_an_image_in_a_batch_gets_the_cure():
    image = pytest.importorskip("PIL.Image").new("L", (2, 2))
    with pytest.raises(TypeError, match=r"part \[0\] of .* PIL.Image.Image. Put ToTensor\(\)"):
        next(iter(DataLoader([(image, 1)] * 4, 2)))


def test_convert_makes_tensors_of_arrays_alone():
    x = np.zeros(2)
    converted = default_convert((x, [np.float32(1)], {"a": "text"}, Pair(x, 1)))
    assert np.shares_memory(converted[0].array, x)
    assert converted[1][0].dtype == np.float32
    assert converted[2:] == [{"a": "text"}, Pair(converted[3].x, 1)]


# ----- datasets -----------------------------------------------------------------------------------


def test_datasets_are_added():
    both = rows(3) + rows(2)
    assert isinstance(both, ConcatDataset)
    assert [int(both[i][0]) for i in (0, 2, 3, -1)] == [0, 2, 0, 1]
    assert both.cumulative_sizes == [3, 5]
    with pytest.raises(IndexError, match="example 5 of a dataset of 5"):
        both[5]
    with pytest.raises(ValueError, match="at least one dataset"):
        ConcatDataset([])


def test_a_tensor_dataset_takes_tensors_of_equal_length():
    assert [part.tolist() for part in rows()[2]] == [2, 20]
    with pytest.raises(ValueError, match=r"TensorDataset: .* equally long, got \[3, 2\]"):
        TensorDataset(tinynet.zeros(3), tinynet.zeros(2))
    with pytest.raises(TypeError, match=r"argument 1 must be a tensor, got ndarray; tinynet.as_"):
        TensorDataset(tinynet.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="at least one tensor"):
        TensorDataset()


def test_streams_are_chained():
    both = Stream(0, 3) + Stream(7, 9)
    assert isinstance(both, ChainDataset)
    assert epoch(DataLoader(both, batch_size=2)) == [[0, 1], [2, 7], [8]]


def test_what_a_dataset_lacks_is_said():
    with pytest.raises(NotImplementedError, match="Dataset needs __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset needs __iter__"):
        iter(IterableDataset())
    with pytest.raises(NotImplementedError, match="Sampler needs __iter__"):
        iter(Sampler())


def test_random_split_takes_a_generator_in_third_place():
    parts = [
        random_split(range(10), [0.55, 0.35, 0.1], np.random.default_rng(3)),
        random_split(range(10), [0.55, 0.35, 0.1], seed=3),
    ]
    assert [len(part) for part in parts[0]] == [6, 3, 1]
    assert [p.indices for p in parts[0]] == [p.indices for p in parts[1]]


# ----- samplers -----------------------------------------------------------------------------------


def test_samplers_yield_their_indices():
    rng = np.random.default_rng
    assert [*SequentialSampler(range(3))] == [0, 1, 2]
    assert sorted(RandomSampler(range(5), generator=rng(0))) == [0, 1, 2, 3, 4]
    assert [*RandomSampler(range(5), generator=rng(0))] != [0, 1, 2, 3, 4]
    assert len([*RandomSampler(range(3), num_samples=7)]) == 7
    assert sorted([*RandomSampler(range(3), num_samples=6)]) == [0, 0, 1, 1, 2, 2]
    drawn = [*RandomSampler(range(3), True, 100, rng(0))]
    assert set(drawn) == {0, 1, 2}
    assert [*RandomSampler([])] == [*RandomSampler([], num_samples=2)] == []
    assert sorted(SubsetRandomSampler([7, 3, 5])) == [3, 5, 7]
    assert [*BatchSampler(SequentialSampler(range(5)), 2, False)] == [[0, 1], [2, 3], [4]]
    assert [*BatchSampler(range(5), 2, True)] == [[0, 1], [2, 3]]
    assert [len(BatchSampler(range(5), 2, drop)) for drop in (False, True)] == [3, 2]


def test_a_weighted_sampler_draws_in_proportion():
    sampler = WeightedRandomSampler([0, 1, 3], 4000, generator=np.random.default_rng(0))
    counts = np.bincount([*sampler], minlength=3)
    assert counts[0] == 0
    assert counts[2] / counts[1] == pytest.approx(3, rel=0.1)
    assert sorted(WeightedRandomSampler([1, 0, 2], 2, replacement=False)) == [0, 2]


BAD_SAMPLERS = [
    (lambda: WeightedRandomSampler([], 2), "weights must be one number for each example"),
    (lambda: WeightedRandomSampler([[1.0]], 2), r"got shape \(1, 1\)"),
    (lambda: WeightedRandomSampler([1, -1], 2), r"0 or more and not all 0; .* \[1.0, -1.0\]"),
    (lambda: WeightedRandomSampler([1, 0], 2, False), "only 1 of the 2 weights are above 0"),
    (lambda: RandomSampler(range(3), num_samples=0), "num_samples must be at least 1"),
    (lambda: BatchSampler(range(3), 0, False), "batch_size must be at least 1"),
]


@pytest.mark.parametrize(("make", "told"), BAD_SAMPLERS)
def test_samplers_refuse_what_cannot_be_drawn(make, told):
    with pytest.raises(ValueError, match=told):
        make()


# ----- the loader ---------------------------------------------------------------------------------


def test_batches_keep_the_dtypes_of_the_dataset():
    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.arange(4)
    x, y = next(iter(DataLoader(data.ArrayDataset(images, labels), 4)))
    assert (x.dtype, y.dtype) == (np.uint8, np.int64)
    x, y = next(iter(DataLoader([(0.5, 1)] * 2, 2)))
    assert (x.dtype, y.dtype) == (np.float64, np.int64)
    batch = next(iter(DataLoader([{"x": 1.0, "name": "a"}] * 2, 2)))
    assert batch["x"].tolist() == [1.0, 1.0]
    assert batch["name"] == ["a", "a"]
    assert next(iter(DataLoader(tinynet.zeros(3, 2), 2))).shape == (2, 2)
    assert next(iter(DataLoader(np.zeros((3, 2)), 2))).shape == (2, 2)


def test_the_options_of_pytorch_are_taken_in_their_order():
    names = list(inspect.signature(DataLoader).parameters)
    assert names[:13] == [
        "dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "num_workers",
        "collate_fn", "pin_memory", "drop_last", "timeout", "worker_init_fn",
        "multiprocessing_context", "generator",
    ]  # fmt: skip
    loader = DataLoader(
        rows(), 4, num_workers=2, pin_memory=True, persistent_workers=True, prefetch_factor=2
    )
    assert epoch(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (loader.num_workers, loader.batch_size, len(loader.dataset)) == (2, 4, 10)
    assert get_worker_info() is None


def test_samplers_decide_on_the_order():
    assert epoch(DataLoader(rows(), 2, sampler=[3, 1, 2])) == [[3, 1], [2]]
    assert epoch(DataLoader(rows(), batch_sampler=[[3, 1], [2]])) == [[3, 1], [2]]
    assert len(DataLoader(rows(), batch_sampler=[[3, 1], [2]])) == 2
    subset = DataLoader(rows(), 2, sampler=SubsetRandomSampler([4, 5, 6]))
    assert sorted(i for batch in epoch(subset) for i in batch) == [4, 5, 6]
    assert len(subset) == 2
    keyed = DataLoader({"a": 1, "b": 2}, 2, sampler=["b", "a"])
    assert epoch(keyed) == [[2, 1]]


def test_without_a_batch_size_examples_come_alone():
    assert [x.tolist() for x in DataLoader(np.arange(4.0).reshape(2, 2), None)] == [[0, 1], [2, 3]]
    assert [*DataLoader(Stream(0, 3), None)] == [0, 1, 2]
    assert len(DataLoader(rows(), None)) == 10


def test_an_iterable_dataset_is_read_in_batches():
    assert epoch(DataLoader(Stream(0, 5), 2)) == [[0, 1], [2, 3], [4]]
    assert epoch(DataLoader(Stream(0, 5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream(0, 5), 2))
    with pytest.raises(ValueError, match="order of an iterable dataset is its own"):
        DataLoader(Stream(0, 5), shuffle=True)


def test_a_collate_fn_gets_the_examples():
    def pad(examples):
        longest = max(map(len, examples))
        return [e + [0] * (longest - len(e)) for e in examples]

    assert [*DataLoader([[1], [1, 2], [3]], 2, collate_fn=pad)] == [[[1, 0], [1, 2]], [[3]]]
    assert len(next(iter(DataLoader(rows(), 3, collate_fn=list)))) == 3


def test_a_dataset_may_give_its_examples_many_at_a_time():
    class Many(Dataset):
        def __len__(self):
            return 4

        def __getitems__(self, indices):
            return [(i, -i) for i in indices]

    assert epoch(DataLoader(Many(), 3)) == [[0, 1, 2], [3]]


def test_take_makes_batches_unless_examples_are_made_anew():
    class Taken(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return -index

        def take(self, indices, rng=None):
            return indices * 10

    class Anew(Taken):
        def __getitem__(self, index):
            return index

    class Foreign:
        __len__, __getitem__ = Taken.__len__, Taken.__getitem__

        def take(self, n):
            raise AssertionError("this is of another library")

    assert [epoch(DataLoader(kind(), 4)) for kind in (Taken, Anew, Foreign)] == [
        [[0, 10, 20, 30]], [[0, 1, 2, 3]], [[0, -1, -2, -3]],
    ]  # fmt: skip
    assert epoch(DataLoader(Subset(Anew(), [1, 2]), 2)) == [[1, 2]]


def test_manual_seed_and_generator_fix_the_order():
    def order(**options):
        return epoch(DataLoader(rows(50), 50, shuffle=True, **options))

    loader = DataLoader(rows(50), 50, shuffle=True)
    tinynet.manual_seed(1)
    first = epoch(loader)
    tinynet.manual_seed(1)
    assert order() == first != epoch(loader)
    for make in (np.random.default_rng, lambda s: tinynet.Generator().manual_seed(s)):
        seeded = [order(generator=make(s)) for s in (0, 0, 1)]
        assert seeded[0] == seeded[1] != seeded[2]
    with pytest.raises(TypeError, match=r"expected a generator, .* got 3"):
        order(generator=3)


class Drawn(Sampler):
    """Yields what the default generator draws, without end."""

    def __iter__(self):
        while True:
            yield int(default_rng().integers(10))


@pytest.mark.parametrize(
    "make",
    [
        lambda: DataLoader(rows(), 3, shuffle=True),
        lambda: DataLoader(rows(), 3, sampler=RandomSampler(rows(), True)),
        lambda: DataLoader(rows(), batch_sampler=BatchSampler(RandomSampler(rows()), 3, True)),
        lambda: DataLoader(rows(), 3, sampler=Drawn()),
        lambda: DataLoader(Stream(0, 10), 3),
    ],
)
def test_any_loader_goes_on_from_its_state(make):
    def some(batches, count):
        return epoch(itertools.islice(batches, count))

    loader = make()
    batches = iter(loader)
    some(batches, 1)
    state = json.loads(json.dumps(loader.state_dict()))
    rest = some(batches, 2)
    resumed = make()
    resumed.load_state_dict(state)
    assert some(resumed, 2) == rest


def test_data_loader_is_one_of_these_with_images_as_floats():
    dataset = data.ArrayDataset(np.full((4, 1, 2, 2), 51, np.uint8), np.arange(4))
    loader = data.DataLoader(dataset, 2, sampler=[3, 0], num_workers=1, collate_fn=default_collate)
    assert isinstance(loader, DataLoader)
    x, y = next(iter(loader))
    np.testing.assert_allclose(x.array, 0.2, rtol=1e-6)
    assert y.tolist() == [3, 0]
    named = [{"image": np.full((1, 2, 2), 255, np.uint8), "target": (0.5, "a")}] * 2
    batch = next(iter(data.DataLoader(named, 2)))
    assert batch["image"].dtype == np.float32
    assert batch["target"][1] == ("a", "a")
    assert Subset(dataset, [1]).classes is None
