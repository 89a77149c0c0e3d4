"""Transforms of whole batches, held against plain loops and against NumPy's own functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinynet
from tinynet.data import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    ToFloat,
    Transform,
)
from tinynet.errors import ShapeError
from tinynet.vision.transforms.functional import rotate

RANDOM = [
    RandomShift(2),
    RandomCrop(5, padding=1),
    RandomHorizontalFlip(),
    RandomRotation(30, "bilinear"),
]


def batch(n: int = 6, c: int = 2, h: int = 7, w: int = 5, dtype=np.float32) -> np.ndarray:
    x = np.random.default_rng(0).integers(1, 256, (n, c, h, w))
    return x.astype(dtype)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_the_generator_alone_decides_and_the_input_stays(transform):
    x = batch()
    before = x.copy()
    y = transform(x, rng(1))
    np.testing.assert_array_equal(y, transform(x, rng(1)))
    np.testing.assert_array_equal(x, before)
    assert not np.array_equal(y, transform(x, rng(2)))
    tinynet.manual_seed(1)
    np.testing.assert_array_equal(y, transform(x))
    assert y.dtype == x.dtype
    assert y.flags.c_contiguous


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_empty_batches_and_other_memory_orders_pass_through(transform):
    x = batch()
    assert len(transform(x[:0], rng())) == 0
    last = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    np.testing.assert_array_equal(transform(last, rng()), transform(x, rng()))


@pytest.mark.parametrize("transform", [*RANDOM, Normalize(0, 1)], ids=lambda t: type(t).__name__)
def test_one_image_alone_is_refused_with_the_cure(transform):
    with pytest.raises(ShapeError, match=r"\(N, C, H, W\), got shape \(2, 7, 5\).*x\[None\]"):
        transform(batch()[0], rng())


def test_bytes_stay_bytes_where_pixels_only_move():
    x = batch(dtype=np.uint8)
    for transform in (
        RandomShift(2),
        RandomCrop(5),
        RandomHorizontalFlip(),
        RandomRotation(9, "bilinear"),
    ):
        assert transform(x, rng()).dtype == np.uint8


def test_what_needs_floats_says_so():
    with pytest.raises(TypeError, match=r"needs floats, got uint8: put ToFloat\(\) before"):
        Normalize(0.5, 0.5)(batch(dtype=np.uint8), rng())


def test_to_float_maps_bytes_to_0_1_and_leaves_floats():
    y = ToFloat()(np.array([0, 51, 255], np.uint8))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, [0, 0.2, 1], rtol=1e-6)
    np.testing.assert_array_equal(ToFloat()(np.array([3.5])), [3.5])
    with pytest.raises(TypeError, match="takes uint8"):
        ToFloat()(np.array([1, 2]))


def test_normalize_shifts_and_scales_each_channel():
    x = batch(c=2)
    y = Normalize([1, 2], [4, 8])(x)
    np.testing.assert_allclose(y[:, 0], (x[:, 0] - 1) / 4, rtol=1e-6)
    np.testing.assert_allclose(y[:, 1], (x[:, 1] - 2) / 8, rtol=1e-6)
    assert Normalize(1, 2)(batch(dtype=np.float64)).dtype == np.float64
    with pytest.raises(ShapeError, match=r"mean has 3 values, but .* C = 2 .* Give 1 or 2"):
        Normalize([1, 2, 3], 1)(x)
    with pytest.raises(ValueError, match="std must be positive"):
        Normalize(0, [1, 0])


def test_crop_cuts_a_window_out_of_each_padded_image():
    x = batch(n=40)
    y = RandomCrop((4, 3), padding=2, fill=7)(x, rng())
    assert y.shape == (40, 2, 4, 3)
    xp = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=7)
    places = set()
    for n in range(40):
        found = [
            (i, j)
            for i in range(11 - 4 + 1)
            for j in range(9 - 3 + 1)
            if np.array_equal(xp[n, :, i : i + 4, j : j + 3], y[n])
        ]
        assert found
        places.add(found[0])
    assert len(places) > 15


def test_crop_of_the_whole_image_changes_nothing_and_larger_is_refused():
    x = batch()
    np.testing.assert_array_equal(RandomCrop((7, 5))(x, rng()), x)
    with pytest.raises(ShapeError, match=r"\(8, 8\) is larger .* Use size \(7, 5\) or less"):
        RandomCrop(8)(x, rng())
    with pytest.raises(ValueError, match="size must be at least 1"):
        RandomCrop(0)


def test_shift_moves_up_to_its_pixels_in_every_direction():
    x = np.zeros((400, 1, 7, 7), np.uint8)
    x[:, :, 3, 3] = 1
    y = RandomShift(2, fill=0)(x, rng())
    _, _, rows, columns = np.nonzero(y)
    assert len(rows) == 400
    assert {(r - 3, c - 3) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (i, j) for i in range(-2, 3) for j in range(-2, 3)
    }


def test_flip_mirrors_about_p_of_the_images():
    x = batch(n=1000, h=2, w=3)
    y = RandomHorizontalFlip(0.3)(x, rng())
    flipped = np.array([np.array_equal(b, a[:, :, ::-1]) for a, b in zip(x, y, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(x, y, strict=True)])
    assert (flipped | kept).all()
    assert 250 < flipped.sum() < 350
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(x, rng()), x[..., ::-1])
    with pytest.raises(ValueError, match="p must be from 0 to 1"):
        RandomHorizontalFlip(1.5)


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_rotation_by_quarters_is_that_of_numpy(quarter):
    x = batch(h=6, w=6, dtype=np.float64)
    y = rotate(x, np.full(len(x), 90.0 * quarter), "bilinear")
    np.testing.assert_allclose(y, np.rot90(x, quarter, axes=(2, 3)), atol=1e-9)


def test_rotation_agrees_with_the_formula_in_loops():
    x = batch(n=3, h=5, w=6, dtype=np.float64)
    degrees = np.array([17.0, -40.0, 123.0])
    y = rotate(x, degrees, "bilinear", fill=2)

    def pixel(image, i, j):
        inside = 0 <= i < 5 and 0 <= j < 6
        return image[i, j] if inside else 2.0

    for n, c, i, j in np.ndindex(*x.shape):
        a = math.radians(degrees[n])
        u, v = j - 2.5, i - 2.0
        across = u * math.cos(a) - v * math.sin(a) + 2.5
        down = u * math.sin(a) + v * math.cos(a) + 2.0
        top, left = math.floor(down), math.floor(across)
        value = sum(
            (1 - abs(down - p)) * (1 - abs(across - q)) * pixel(x[n, c], p, q)
            for p in (top, top + 1)
            for q in (left, left + 1)
        )
        assert y[n, c, i, j] == pytest.approx(value, abs=1e-9)


def test_rotation_turns_each_image_by_its_own_angle_within_the_limit():
    x = np.zeros((300, 1, 21, 21), np.float32)
    x[:, :, 10, 18] = 1  # a dot on the right, 8 pixels from the centre
    y = RandomRotation(45, "bilinear")(x, rng())
    mass = y.sum(axis=(1, 2, 3))
    rows = (y.sum(axis=(1, 3)) * np.arange(21)).sum(1) / mass - 10
    columns = (y.sum(axis=(1, 2)) * np.arange(21)).sum(1) / mass - 10
    angles = np.degrees(np.arctan2(-rows, columns))
    assert np.abs(angles).max() < 48
    assert angles.min() < -38
    assert angles.max() > 38
    assert angles.std() == pytest.approx(90 / math.sqrt(12), rel=0.1)


def test_compose_hands_the_generator_to_each_and_takes_plain_functions():
    x = batch(dtype=np.uint8)
    both = Compose([RandomShift(1), lambda a: 255 - a, ToFloat(), RandomRotation(20, "bilinear")])
    shared = rng(3)
    expected = RandomShift(1)(x, shared)
    expected = RandomRotation(20, "bilinear")(ToFloat()(255 - expected), shared)
    np.testing.assert_array_equal(both(x, rng(3)), expected)


def test_reprs_show_the_settings():
    shown = repr(Compose([RandomCrop(28, padding=2), ToFloat(), Normalize(0.1307, 0.3081)]))
    assert shown == (
        "Compose(\n    RandomCrop(size=(28, 28), padding=2, pad_if_needed=False, fill=0, "
        "padding_mode=constant)\n    ToFloat()\n    Normalize(mean=(0.1307,), std=(0.3081,))\n)"
    )


def test_own_transforms_derive_from_transform():
    class Noise(Transform):
        needs_float = True

        def change(self, x, rng):
            return x + rng.normal(size=x.shape).astype(x.dtype)

    x = batch()
    assert not np.array_equal(Noise()(x, rng(0)), x)
    with pytest.raises(TypeError, match="Noise needs floats"):
        Noise()(x.astype(np.uint8), rng(0))
    with pytest.raises(NotImplementedError, match=r"Transform needs change"):
        Transform()(x, rng(0))


@pytest.mark.parametrize("kind", [RandomShift, RandomCrop, RandomHorizontalFlip, RandomRotation])
@pytest.mark.parametrize("amount", ["2", None, -1, np.nan, True, [1, 2, 3]])
def test_an_amount_that_is_no_number_is_named(kind, amount):
    with pytest.raises((TypeError, ValueError), match=rf"{kind.__name__}: \w+ must be .*, got"):
        kind(amount)
