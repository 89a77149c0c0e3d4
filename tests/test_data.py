"""Datasets, splits, the loader and channel statistics."""

from __future__ import annotations

import json
from collections import namedtuple

import numpy as np
import pytest

import tinynet
from tinynet import nn, training
from tinynet.data import (
    ArrayDataset,
    Compose,
    DataLoader,
    Dataset,
    Normalize,
    RandomRotation,
    RandomShift,
    Subset,
    ToFloat,
    channel_statistics,
    random_split,
    standardize,
    stratified_split,
)
from tinynet.errors import DataError
from tinynet.nn import functional as F
from tinynet.random import default_rng


def make_dataset(n: int = 10, classes: int = 2) -> ArrayDataset:
    """Image i is filled with the byte i, its label is i modulo `classes`."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 1, 3, 3))
    return ArrayDataset(images, np.arange(n) % classes)


def ids(loader: DataLoader) -> list[list[int]]:
    """The examples of an epoch of a loader over `make_dataset`, batch by batch."""
    return [np.rint(x.array[:, 0, 0, 0] * 255).astype(int).tolist() for x, _ in loader]


def flat_ids(loader: DataLoader) -> list[int]:
    """The examples of an epoch in the order they come."""
    return [i for batch in ids(loader) for i in batch]


class Squares(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int):
        return np.full(2, index, np.float64), index**2


# ----- datasets -----------------------------------------------------------------------------------


def test_array_dataset_keeps_bytes_and_makes_labels_int64():
    images = np.zeros((4, 1, 2, 2), np.uint8)
    dataset = ArrayDataset(images, np.arange(4, dtype=np.uint8), classes=["a", "b", "c", "d"])
    assert dataset.images is images
    assert dataset.labels.dtype == np.int64
    assert dataset.classes == ("a", "b", "c", "d")


def test_array_dataset_takes_any_number_of_arrays():
    dataset = ArrayDataset(np.arange(3.0), np.arange(6.0).reshape(3, 2), ["x", "y", "z"])
    a, b, c = dataset[-1]
    assert a == 2.0
    assert b.tolist() == [4.0, 5.0]
    assert c == "z"


def test_array_dataset_refuses_unequal_lengths_no_arrays_and_scalars():
    with pytest.raises(ValueError, match=r"equally long, got \[3, 2\]"):
        ArrayDataset(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="at least one array"):
        ArrayDataset()
    with pytest.raises(ValueError, match="scalar"):
        ArrayDataset(3)
    with pytest.raises(ValueError, match="no labels"):
        _ = ArrayDataset(np.zeros(3)).labels


def test_datasets_end_like_sequences():
    assert len(list(make_dataset(4))) == 4
    assert len(list(Subset(make_dataset(4), [3, 1]))) == 2
    with pytest.raises(IndexError, match="example 4 of a dataset of 4"):
        make_dataset(4)[4]


def test_array_dataset_transforms_its_first_array_alone():
    dataset = ArrayDataset(np.ones((3, 1, 2, 2), np.uint8), np.ones(3, int), transform=ToFloat())
    image, label = dataset[0]
    assert image.dtype == np.float32
    assert label == 1
    assert dataset.images.dtype == np.uint8


def test_subset_picks_in_its_own_order_and_nests():
    subset = Subset(Subset(make_dataset(), [5, 3, 8, 1]), [2, 0])
    images, labels = subset.take(np.array([0, 1]))
    assert images[:, 0, 0, 0].tolist() == [8, 5]
    assert labels.tolist() == subset.labels.tolist() == [0, 1]
    assert subset[1][1] == 1


def test_subset_takes_a_mask_and_refuses_what_is_no_index():
    dataset = make_dataset(4)
    assert Subset(dataset, dataset.labels == 1).indices == [1, 3]
    subset = Subset(dataset, np.arange(4))
    assert subset.take(np.array([1, 3]))[1].tolist() == dataset.labels[[1, 3]].tolist()
    subset.indices[1] = 2  # a list that was asked for counts
    assert subset.take(np.array([1, 3]))[1].tolist() == dataset.labels[[2, 3]].tolist()
    subset.indices = subset.indices[:2]
    assert (len(subset), subset.indices, subset.labels.tolist()) == (
        2,
        [0, 2],
        dataset.labels[[0, 2]].tolist(),
    )
    assert len(Subset(dataset, [])) == 0
    for wrong, got in (([0.7, 1.0], "2 of float64"), ([True], "1 of bool"), (["1"], "1 of <U1")):
        with pytest.raises(TypeError, match=f"integers, or 4 bools, .* got {got}"):
            Subset(dataset, wrong)


def test_subset_refuses_an_index_outside():
    with pytest.raises(IndexError, match=r"index 10 is outside .* 10 examples \(0 to 9\)"):
        Subset(make_dataset(), [0, 10])


# ----- splits -------------------------------------------------------------------------------------


SEVEN_AND_THREE = [
    [7, 3],
    [0.7, 0.3],
    [7.0, 3.0],
    (7, np.float32(3)),
    np.array([7, 3]),
    np.array([0.7, 0.3], np.float32),
]


@pytest.mark.parametrize("lengths", SEVEN_AND_THREE, ids=str)
def test_random_split_parts_cover_the_dataset_without_overlap(lengths):
    parts = random_split(make_dataset(), lengths, seed=3)
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(np.concatenate([p.indices for p in parts])) == list(range(10))
    assert parts[0].indices != sorted(parts[0].indices)


def test_random_split_is_fixed_by_seed_rng_or_manual_seed():
    def split(**fixed):
        return random_split(make_dataset(100), [50, 50], **fixed)[0].indices

    assert split(seed=1) == split(seed=1) == split(rng=np.random.default_rng(1))
    assert split(seed=1) != split(seed=2)
    tinynet.manual_seed(1)
    drawn = split()
    tinynet.manual_seed(1)
    assert split() == drawn
    with pytest.raises(ValueError, match="not both"):
        split(seed=1, rng=np.random.default_rng(1))


BAD_LENGTHS = [
    ([5, 4], r"counts that sum to the 10 examples .* or fractions .* \[5, 4\] sums to 9$"),
    ([5.0, 4.0], r"\[5, 4\] sums to 9$"),
    ([0.5, 0.4], r"\[0.5, 0.4\] sums to 0.9$"),
    ([0.999998, 1e-9], r"sums to 0.99999800"),
    ([5, 5.5], r"sums to 10.5$"),
    ([np.inf, 1], r"sums to inf$"),
    ([11, -1], r"must be 0 or more, got \[11, -1\]"),
    ([np.float64(1.5), np.float64(-0.5)], r"0 or more, got \[1.5, -0.5\]"),
    ([np.nan, 1], r"0 or more, got \[nan, 1\]"),
    ([1, np.nan], r"0 or more, got \[1, nan\]"),
    ([], r"0 or more, got \[\]"),
    (
        [0.95, 0.05],
        r"leaves a part empty; bring more examples, or give counts .* shares of 0\.1 or",
    ),
    ([1 / 12] * 12, "leaves a part empty"),
]


@pytest.mark.parametrize("split", [random_split, stratified_split])
@pytest.mark.parametrize(("lengths", "told"), BAD_LENGTHS)
def test_splits_refuse_lengths_that_do_not_fit(split, lengths, told):
    with pytest.raises(ValueError, match=told):
        split(make_dataset(), lengths)


@pytest.mark.parametrize("lengths", [0.8, None, [None], ["most", "rest"], ["5", 5], "55"])
def test_splits_refuse_what_is_no_list_of_numbers(lengths):
    with pytest.raises(TypeError, match=r"a list of counts or fractions, such as \[0.8, 0.2\]"):
        random_split(make_dataset(), lengths)


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_a_seed_is_a_whole_number_wherever_it_is_given(seed):
    for use in (
        lambda: random_split(make_dataset(), [5, 5], seed=seed),
        lambda: stratified_split(make_dataset(), [5, 5], seed),
        lambda: DataLoader(make_dataset(), seed=seed),
        lambda: tinynet.manual_seed(seed),
    ):
        with pytest.raises((TypeError, ValueError), match=r"seed must be .*, got"):
            use()


@pytest.mark.parametrize("wrong", [3, "x", ToFloat, [ToFloat()]])
def test_what_is_no_transform_is_refused_where_it_is_given(wrong):
    for use in (
        lambda: DataLoader(make_dataset(), transform=wrong),
        lambda: ArrayDataset(np.zeros(3), transform=wrong),
        lambda: Compose([ToFloat(), wrong]),
    ):
        with pytest.raises(TypeError, match=r"must be a function, such as .*ToFloat\(\); got"):
            use()


def test_a_part_that_is_empty_on_purpose_is_empty():
    for lengths in ([10, 0], [1.0, 0.0], [1, 0]):
        assert [len(part) for part in random_split(make_dataset(), lengths)] == [10, 0]


def test_stratified_split_gives_every_part_the_same_mix():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    dataset = ArrayDataset(np.arange(100.0), labels)
    parts = stratified_split(dataset, [0.8, 0.2], seed=0)
    assert sorted(np.concatenate([p.indices for p in parts])) == list(range(100))
    counts = [np.bincount(p.labels, minlength=3).tolist() for p in parts]
    assert np.abs(np.subtract(counts, [[40, 24, 16], [10, 6, 4]])).max() <= 1
    again = stratified_split(dataset, [0.8, 0.2], seed=1)
    assert again[1].indices != parts[1].indices


def test_stratified_split_needs_labels():
    with pytest.raises(ValueError, match="Squares has no attribute `labels`"):
        stratified_split(Squares(), [4, 1])
    masks = ArrayDataset(np.zeros((5, 2)), np.zeros((5, 2), int))
    with pytest.raises(ValueError, match=r"each of the 5 examples, got labels of shape \(5, 2\)"):
        stratified_split(masks, [4, 1])


# ----- the loader: what comes out -----------------------------------------------------------------


def test_loader_makes_float_images_in_0_1_and_int64_labels():
    images, labels = next(iter(DataLoader(make_dataset(), batch_size=4)))
    assert isinstance(images, tinynet.Tensor)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_allclose(images.array[:, 0, 0, 0], np.arange(4) / 255, rtol=1e-6)


def test_loader_converts_floats_to_its_dtype_and_keeps_bools():
    dataset = ArrayDataset(np.zeros((2, 3)), np.array([True, False]))
    x, flags = next(iter(DataLoader(dataset, dtype=np.float64)))
    assert x.dtype == np.float64
    assert flags.dtype == np.bool_
    assert next(iter(DataLoader(dataset)))[0].dtype == np.float32


class Listed(Dataset):
    """The examples of another dataset, one by one, as namedtuples: what `collate` stacks."""

    Example = namedtuple("Example", "image target more")

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.Example(*self.dataset[index])


TARGETS = {
    "one-hot bytes": (np.eye(3, dtype=np.uint8)[[0, 2, 1]], np.int64),
    "masks of bytes": (np.full((3, 1, 2, 2), 255, np.uint8), np.int64),
    "bytes": (np.array([0, 200, 255], np.uint8), np.int64),
    "small integers": (np.full((3, 4), -7, np.int8), np.int64),
    "wide bytes": (np.full((3, 4), 40_000, np.uint16), np.int64),
    "bools": (np.eye(3, dtype=bool), np.bool_),
    "floats": (np.full((3, 2), 300.0), np.float32),
    "halves": (np.full((3, 2), 300.0, np.float16), np.float32),
}


@pytest.mark.parametrize(
    "wrap",
    [lambda d: d, lambda d: Subset(d, [0, 1, 2]), Listed, lambda d: Subset(Listed(d), [0, 1, 2])],
    ids=["arrays", "subset", "one by one", "subset of one by one"],
)
@pytest.mark.parametrize("transform", [None, ToFloat(), lambda x: x], ids=["none", "float", "same"])
@pytest.mark.parametrize("name", TARGETS)
def test_the_first_array_is_images_and_the_others_keep_their_values(name, transform, wrap):
    target, dtype = TARGETS[name]
    dataset = ArrayDataset(np.full((3, 1, 2, 2), 51, np.uint8), target, target)
    loader = DataLoader(wrap(dataset), 3, transform=transform)
    for x, *others in loader:
        np.testing.assert_allclose(x.array, 0.2, rtol=1e-6)
        for y in others:
            assert y.dtype == dtype
            np.testing.assert_array_equal(y.array, target)


def test_training_measuring_and_predicting_see_the_same_images_and_targets():
    x = np.random.default_rng(0).integers(0, 256, (8, 1, 4, 4), np.uint8)
    dataset = ArrayDataset(x, (x > 127).astype(np.uint8))
    model = nn.Conv2d(1, 1, 1, rng=np.random.default_rng(0))
    options = {"loss": F.binary_cross_entropy_with_logits, "metrics": {}}
    scores = training.predict(model, dataset)
    np.testing.assert_array_equal(training.predict(model, x), scores)
    expected = float(options["loss"](tinynet.tensor(scores), (x > 127).astype(np.float32)))
    assert training.evaluate(model, dataset, **options)["loss"] == pytest.approx(expected)
    assert training.evaluate(model, DataLoader(dataset, 4), **options)["loss"] == pytest.approx(
        expected
    )
    with pytest.warns(UserWarning, match="validation is on training data"):
        record = training.fit(
            model, dataset, 1, validate=dataset, lr=1e-9, progress=False, **options
        )
    assert record[0]["loss"] == pytest.approx(expected)
    assert record[0]["validation_loss"] == pytest.approx(expected)


NO_NUMBERS = [
    ((np.zeros(2), "cat"), r"part 1 of the examples is text.*np\.unique\(labels"),
    ((np.zeros(2), None), r"part \[1\] of .* not of NoneType. Make a number, an array"),
    ((np.zeros(2), {"a": 1j}), r"part \[1\]\['a'\] of the examples: .* not of complex"),
    ((np.zeros(2), np.datetime64("2020-01-01")), r"part \[1\] of .* of datetime64\[D\]"),
]


@pytest.mark.parametrize(("example", "told"), NO_NUMBERS)
def test_loader_names_a_part_of_which_no_tensor_can_be_made(example, told):
    with pytest.raises(TypeError, match=f"(?i){told}"):
        next(iter(DataLoader([example] * 4, 2)))


def test_loader_applies_its_transform_before_converting():
    loader = DataLoader(
        make_dataset(), batch_size=10, transform=Compose([ToFloat(), Normalize(0.5, 0.25)])
    )
    (images, _), *rest = loader
    assert not rest
    expected = (np.arange(10) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(images.array[:, 0, 1, 1], expected, rtol=1e-5)


def test_loader_stacks_the_examples_of_other_datasets():
    class Bare:  # not even derived from Dataset
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return np.array([i, i + 1]), i

    for dataset, length in ((Squares(), 5), (Bare(), 3)):
        batches = list(DataLoader(dataset, batch_size=2))
        assert [len(x) for x, _ in batches] == [2] * (length // 2) + [1]
    (x, y), *_ = DataLoader(Squares(), batch_size=5)
    assert x.dtype == np.float32
    assert y.array.tolist() == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [(10, False, [4, 4, 2]), (10, True, [4, 4]), (8, True, [4, 4]), (0, False, []), (3, True, [])],
)
def test_loader_length_is_the_number_of_its_batches(n, drop_last, sizes):
    loader = DataLoader(make_dataset(n), batch_size=4, drop_last=drop_last, shuffle=True, seed=0)
    assert [len(x) for x, _ in loader] == sizes
    assert len(loader) == len(sizes)


BAD_OPTIONS = [
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
    ({"batch_size": "64"}, TypeError, "batch_size must be an integer, got '64'"),
    ({"seed": 1, "rng": np.random.default_rng()}, ValueError, "not both"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": 1.5}, TypeError, "seed must be an integer, got 1.5"),
    ({"dtype": np.int64}, TypeError, "dtype is that of the floats, got int64"),
    ({"num_workers": -1}, ValueError, "num_workers must be at least 0"),
    ({"sampler": [1], "shuffle": True}, ValueError, "give sampler or shuffle, not both"),
    ({"batch_sampler": [[1]], "batch_size": 4}, ValueError, "batch_sampler decides on batch_size"),
    ({"batch_size": None, "drop_last": True}, ValueError, "drop_last needs a batch_size"),
    ({"batchsize": 2}, TypeError, "unknown option .* 'batchsize'; did you mean 'batch_size'"),
]


@pytest.mark.parametrize(("options", "error", "told"), BAD_OPTIONS)
def test_loader_refuses_bad_arguments(options, error, told):
    with pytest.raises(error, match=told):
        DataLoader(make_dataset(), **options)


def test_loader_takes_numbers_of_numpy():
    loader = DataLoader(make_dataset(), np.int64(4), seed=np.uint8(3))
    assert [len(x) for x, _ in loader] == [4, 4, 2]
    assert json.loads(json.dumps(loader.state_dict()))["batch_size"] == 4


# ----- the loader: order --------------------------------------------------------------------------


def test_loader_keeps_the_order_unless_it_shuffles():
    loader = DataLoader(make_dataset(), batch_size=4)
    assert ids(loader) == ids(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_loader_shuffles_examples_not_batches_anew_every_epoch():
    loader = DataLoader(make_dataset(100), batch_size=10, shuffle=True, seed=0)
    first, second = flat_ids(loader), flat_ids(loader)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert all(batch != sorted(batch) for batch in ids(loader))


def test_order_depends_on_seed_and_epoch_alone():
    def epochs(count, **settings):
        loader = DataLoader(make_dataset(50), shuffle=True, **settings)
        return [flat_ids(loader) for _ in range(count)]

    assert epochs(3, seed=5, batch_size=7) == epochs(3, seed=5, batch_size=11)
    assert epochs(3, seed=5) != epochs(3, seed=6)
    tinynet.manual_seed(4)
    drawn = epochs(2)
    tinynet.manual_seed(4)
    assert epochs(2) == drawn


def test_order_is_the_same_on_every_platform():
    loader = DataLoader(make_dataset(12), shuffle=True, seed=0)
    orders = [loader.order(epoch).tolist() for epoch in (0, 1)]
    assert orders == [
        [9, 2, 7, 4, 5, 11, 0, 3, 6, 10, 8, 1],
        [9, 11, 1, 5, 6, 3, 4, 10, 8, 7, 2, 0],
    ]


def test_an_epoch_left_early_is_not_continued_by_the_next():
    loader = DataLoader(make_dataset(), batch_size=4, shuffle=True, seed=0)
    next(iter(loader))
    assert flat_ids(loader) == loader.order(1).tolist()


def test_augmentation_depends_on_the_seed_alone():
    rng = np.random.default_rng(0)
    dataset = ArrayDataset(rng.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8), np.arange(20))

    def epoch(seed):
        loader = DataLoader(dataset, 5, shuffle=True, seed=seed, transform=RandomShift(2))
        return np.concatenate([x.array for x, _ in loader])

    np.testing.assert_array_equal(epoch(1), epoch(1))
    assert not np.array_equal(epoch(1), epoch(2))


def test_chance_in_getitem_depends_on_the_seed_alone_and_takes_nothing_from_the_model():
    class Noisy(Squares):
        def __getitem__(self, index):
            return default_rng().random(3), index

    def epoch(**settings):
        return [x.array.tolist() for x, _ in DataLoader(Noisy(), 2, seed=3, **settings)]

    tinynet.manual_seed(1)
    first = epoch()
    after = default_rng().random()
    tinynet.manual_seed(1)
    assert default_rng().random() == after
    assert epoch() == first
    loader = DataLoader(Noisy(), 2, seed=3)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    resumed = DataLoader(Noisy(), 2)
    resumed.load_state_dict(state)
    assert [x.array.tolist() for x, _ in resumed] == first[1:]


# ----- the loader: state --------------------------------------------------------------------------


def test_a_loader_goes_on_in_the_middle_of_an_epoch():
    def make(seed):
        return DataLoader(
            make_dataset(40), 3, shuffle=True, seed=seed, transform=RandomShift(1, fill=9)
        )

    whole = make(1)
    reference = [[x.array for x, _ in whole] for _ in range(3)]

    broken = make(1)
    list(broken)
    for k, _ in enumerate(broken):
        if k == 4:
            state = json.loads(json.dumps(broken.state_dict()))
            break
    resumed = make(2)
    resumed.load_state_dict(state)
    rest = [x.array for x, _ in resumed]
    np.testing.assert_array_equal(np.concatenate(rest), np.concatenate(reference[1][5:]))
    after = [x.array for x, _ in resumed]
    np.testing.assert_array_equal(np.concatenate(after), np.concatenate(reference[2]))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_from_every_batch_of_every_epoch_the_rest_comes_out_the_same(shuffle, drop_last):
    def make(seed):
        transform = Compose([ToFloat(), RandomShift(1), RandomRotation(20, "bilinear")])
        return DataLoader(
            make_dataset(11),
            4,
            shuffle=shuffle,
            drop_last=drop_last,
            seed=seed,
            transform=transform,
        )

    def rest(loader, epochs):
        return [(x.array.tobytes(), y.array.tolist()) for _ in range(epochs) for x, y in loader]

    whole = rest(make(5), 3)
    loader, given = make(5), 0
    for epoch in range(3):
        for _ in loader:
            given += 1
            resumed = make(6)
            resumed.load_state_dict(json.loads(json.dumps(loader.state_dict())))
            assert rest(resumed, 3 - epoch) == whole[given:]
    between = make(6)
    between.load_state_dict(loader.state_dict())  # after the last epoch: a fourth follows
    assert rest(between, 1) == rest(loader, 1)


def test_state_of_a_last_batch_leaves_nothing_of_the_epoch():
    loader = DataLoader(make_dataset(), batch_size=5, shuffle=True, seed=0)
    states = [loader.state_dict() for _ in loader]
    loader.load_state_dict(states[-1])
    assert ids(loader) == []
    assert flat_ids(loader) == loader.order(1).tolist()


def test_state_of_another_loader_is_refused_and_changes_nothing():
    loader = DataLoader(make_dataset(), batch_size=5, seed=0)
    own = loader.state_dict()
    for change, message in (
        ({"batch_size": 4}, "batch_size 4, but here it is 5"),
        ({"length": 9}, "length 9, but here it is 10"),
        ({"shuffle": True}, "shuffle True, but here it is False"),
        ({"drop_last": True}, "drop_last True, but here it is False"),
        ({"position": 3}, "impossible state"),
        ({"position": "1"}, "impossible state"),
        ({"position": 1.0}, "impossible state"),
        ({"seed": None}, "impossible state"),
        ({"seed": -1}, "impossible state"),
    ):
        with pytest.raises(ValueError, match=message):
            loader.load_state_dict({**own, "epoch": 7, **change})
    with pytest.raises(ValueError, match="lacks epoch, position, shuffle, drop_last"):
        loader.load_state_dict({"seed": 0, "batch_size": 5, "length": 10})
    assert loader.state_dict() == own


# ----- statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channel_statistics_are_those_of_all_pixels(dtype, monkeypatch):
    monkeypatch.setattr("tinynet.data.statistics.CHUNK", 7)  # several chunks, the last one short
    x = np.random.default_rng(0).integers(0, 256, (20, 3, 5, 4)).astype(dtype)
    scale = 255 if dtype == np.uint8 else 1
    mean, std = channel_statistics(ArrayDataset(x, np.zeros(20, int)))
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64) / scale, rtol=1e-9)
    np.testing.assert_allclose(std, x.std(axis=(0, 2, 3), dtype=np.float64) / scale, rtol=1e-9)


def test_standardize_centres_and_scales_the_set_it_was_made_from():
    x = np.random.default_rng(0).integers(0, 256, (50, 2, 4, 4), dtype=np.uint8)
    dataset = ArrayDataset(x, np.zeros(50, int))
    y = standardize(dataset)(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-5)


def test_a_constant_channel_normalises_to_zero():
    dataset = ArrayDataset(np.full((3, 1, 2, 2), 51, np.uint8), np.zeros(3, int))
    mean, std = channel_statistics(dataset)
    np.testing.assert_allclose([mean[0], std[0]], [0.2, 1.0])
    np.testing.assert_allclose(standardize(dataset)(dataset.images), 0, atol=1e-6)


def test_statistics_refuse_empty_sets_and_other_shapes():
    with pytest.raises(DataError, match="empty"):
        channel_statistics(make_dataset(0))
    with pytest.raises(DataError, match=r"must be \(N, C, H, W\), got \(3, 2\)"):
        channel_statistics(ArrayDataset(np.zeros((3, 2))))
