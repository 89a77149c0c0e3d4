"""tinynet.vision.transforms: PIL images, tensors and batches come out alike, and right."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import tinynet
from tinynet import nn
from tinynet.errors import ShapeError
from tinynet.vision import transforms as T
from tinynet.vision.transforms import functional as F
from tinynet.vision.transforms import v2

Image = pytest.importorskip("PIL.Image")


def pixels(c: int = 3, h: int = 12, w: int = 9, dtype=np.uint8) -> np.ndarray:
    x = np.random.default_rng(0).integers(0, 256, (c, h, w), np.uint8)
    return x if dtype == np.uint8 else (x / 255).astype(dtype)


def pil(c: int = 3):
    x = pixels(c)
    return Image.fromarray(x[0] if c == 1 else x.transpose(1, 2, 0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


ALL = [
    T.CenterCrop(5),
    T.CenterCrop((20, 4)),
    T.Pad((1, 2), fill=3),
    T.Pad(1, padding_mode="reflect"),
    T.Resize(6),
    T.Resize((5, 14), T.InterpolationMode.BILINEAR),
    T.Resize((5, 4), T.InterpolationMode.NEAREST),
    T.Grayscale(),
    T.Grayscale(3),
    T.RandomCrop(8, padding=2),
    T.RandomCrop(20, pad_if_needed=True),
    T.RandomResizedCrop(6),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(),
    T.RandomGrayscale(0.5),
    T.RandomRotation(30),
    T.RandomRotation((10, 40), T.InterpolationMode.BILINEAR, center=(2, 3), fill=9),
    T.RandomAffine(10, (0.1, 0.2), (0.8, 1.2), 5),
    T.RandomAffine((0, 10), shear=(1, 2, 3, 4), interpolation=2),
    T.ColorJitter(0.4, 0.3, 0.2, 0.1),
    T.GaussianBlur(3),
    T.GaussianBlur((5, 3), 1.5),
    T.RandomErasing(1.0),
    T.RandomErasing(0.5, value=(1, 2, 3)),
    T.RandomErasing(1.0, value="random"),
    T.RandomApply([T.RandomRotation(20)], 0.5),
    T.Compose([T.RandomCrop(8), T.RandomVerticalFlip()]),
]


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_every_form_of_an_image_comes_out_alike(transform):
    x, image = pixels(), pil()
    made = transform(image, rng(5))
    assert isinstance(made, Image.Image)
    expected = np.atleast_3d(np.asarray(made)).transpose(2, 0, 1)
    of_tensor = transform(tinynet.tensor(x), rng(5))
    assert isinstance(of_tensor, tinynet.Tensor)
    assert of_tensor.dtype == np.uint8
    np.testing.assert_array_equal(of_tensor.array, expected)
    np.testing.assert_array_equal(transform(x[None], rng(5))[0], expected)
    deep = transform(tinynet.tensor(x[None, None]), rng(5))
    np.testing.assert_array_equal(deep.array, expected[None, None])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(pil()))  # as it was
    np.testing.assert_array_equal(x, pixels())


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_floats_and_grey_images_are_taken_and_the_default_generator_drawn_from(transform):
    x = tinynet.tensor(pixels(dtype=np.float32))
    assert transform(x, rng()).dtype == np.float32
    if getattr(transform, "value", 0) != (1, 2, 3):
        assert transform(pil(1), rng()).mode == ("RGB" if transform.__dict__.get(
            "num_output_channels") == 3 else "L")  # fmt: skip
    tinynet.manual_seed(3)
    first = transform(x).array
    tinynet.manual_seed(3)
    np.testing.assert_array_equal(transform(x).array, first)
    again = transform(x, rng(1)).array
    np.testing.assert_array_equal(transform(x, rng(1)).array, again)


@pytest.mark.parametrize("transform", [t for t in ALL if t.takes_batches], ids=repr)
def test_each_image_of_a_batch_has_a_chance_of_its_own(transform):
    same = np.repeat(pixels()[None], 40, axis=0)
    y = transform(same, rng())
    assert len(y) == 40
    random = type(transform).__name__.startswith(("Random", "Color", "Compose"))
    random |= getattr(transform, "sigma", None) == (0.1, 2.0)
    never = getattr(transform, "p", 0) == 1.0 and transform.value == 0
    assert (len(np.unique(y, axis=0)) > 1) == random or never


# ----- conversions --------------------------------------------------------------------------------


def test_to_tensor_scales_bytes_and_leaves_the_rest():
    x = pixels()
    for image in (pil(), x.transpose(1, 2, 0), tinynet.tensor(x)):
        y = T.ToTensor()(image)
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.array, x.astype(np.float32) / np.float32(255))
    assert T.ToTensor()(x[0]).shape == (1, 12, 9)
    assert T.ToTensor()(np.zeros((2, 2))).dtype == np.float64
    assert T.ToTensor()(pil(1).convert("1")).dtype == np.float32
    assert T.ToTensor()(pil(1).convert("I")).dtype == np.int32
    assert T.PILToTensor()(pil()).array.tolist() == x.tolist()


def test_images_go_to_pil_and_back():
    x = pixels()
    assert np.array_equal(np.asarray(T.ToPILImage()(tinynet.tensor(x))), x.transpose(1, 2, 0))
    assert T.ToPILImage()(T.ToTensor()(pil())).tobytes() == pil().tobytes()
    assert T.ToPILImage()(np.zeros((2, 3), np.uint8)).size == (3, 2)
    assert T.ToPILImage("CMYK")(np.zeros((2, 3, 3), np.uint8)).mode == "CMYK"


def test_dtypes_are_converted_with_their_range():
    x = tinynet.tensor(np.array([[[0, 51, 255]]], np.uint8))
    y = T.ConvertImageDtype(tinynet.float32)(x)
    np.testing.assert_allclose(y.array, [[[0, 0.2, 1]]], rtol=1e-6)
    assert T.ConvertImageDtype(tinynet.uint8)(y).tolist() == [[[0, 51, 255]]]
    with pytest.raises(TypeError, match="images are uint8 or floats, not int64"):
        T.ConvertImageDtype(tinynet.int64)(x)


# ----- functions ----------------------------------------------------------------------------------


def test_places():
    x = tinynet.arange(12).reshape(1, 3, 4)
    rows = x.array[0]
    np.testing.assert_array_equal(F.hflip(x).array[0], rows[:, ::-1])
    np.testing.assert_array_equal(F.vflip(x).array[0], rows[::-1])
    np.testing.assert_array_equal(F.crop(x, 1, 2, 2, 2).array[0], rows[1:, 2:])
    assert F.crop(x, -1, 3, 2, 2).tolist() == [[[0, 0], [3, 0]]]
    assert F.center_crop(x, 2).tolist() == [[[1, 2], [5, 6]]]
    assert F.center_crop(x, (5, 4)).array[0, 1:4].tolist() == rows.tolist()
    np.testing.assert_array_equal(F.pad(x, (1, 2, 3, 4), 7).array[0],
                                  np.pad(rows, ((2, 4), (1, 3)), constant_values=7))  # fmt: skip
    moved = F.affine(x, 0, (1, -1), 1.0, 0).array[0]
    assert moved[:2, 1:].tolist() == rows[1:, :3].tolist()


def test_crops_of_corners_and_middle():
    x = tinynet.from_numpy(pixels(1))
    five, ten = T.FiveCrop((4, 3))(x), T.TenCrop((4, 3), vertical_flip=True)(x)
    assert [part.shape for part in five] == [(1, 4, 3)] * 5
    assert five[1].tolist() == x[:, :4, -3:].tolist()
    assert ten[2].tolist() == five[2].tolist() == x.flip(1)[:, :4, :3].flip(1).tolist()
    assert ten[5].tolist() == x.flip(1)[:, :4, :3].tolist()
    assert [part.size for part in T.TenCrop(4)(pil())] == [(4, 4)] * 10
    with pytest.raises(ShapeError, match="larger than the image"):
        T.FiveCrop(13)(x)


def test_transforms_are_modules_and_may_be_chosen_from():
    x, narrow, low = tinynet.randn(3, 8, 8), T.CenterCrop((8, 2)), T.CenterCrop((2, 8))
    both = nn.Sequential(narrow, T.Normalize(0.0, 2.0))
    assert T.Compose([both])(x).tolist() == (x[:, :, 3:5] / 2).tolist()
    drawn = {T.RandomChoice([narrow, low])(x).shape for _ in range(40)}
    assert drawn == {(3, 8, 2), (3, 2, 8)}
    assert T.RandomChoice([narrow, low], p=[0, 2])(x).shape == (3, 2, 8)
    assert T.RandomOrder(list(both))(x).tolist() == both(x).tolist()
    both.apply(lambda module: module.eval())


def test_a_transform_may_define_forward_as_in_torchvision():
    class Twice(T.RandomHorizontalFlip):
        def forward(self, img):
            return super().forward(super().forward(img))

    assert T.Compose([Twice(p=1.0)])(pil()).tobytes() == pil().tobytes()


def test_the_second_version_of_the_transforms():
    steps = v2.Compose([v2.ToImage(), v2.ToDtype(tinynet.float32, scale=True), v2.ToPureTensor()])
    assert steps(pil()).tolist() == T.ToTensor()(pil()).tolist()
    assert v2.ToDtype(tinynet.float32)(T.PILToTensor()(pil())).numpy().max() > 1


def test_resize_is_a_weighted_mean():
    x = tinynet.tensor(np.arange(16, dtype=np.float32).reshape(1, 4, 4))
    half = F.resize(x, 2).array  # each weight of 1, 3, 3, 1 eighths, less at the edge
    w = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    np.testing.assert_allclose(half[0], w @ x.array[0] @ w.T, rtol=1e-6)
    np.testing.assert_allclose(F.resize(F.resize(x, 8), 4, antialias=False).array, x.array, atol=2)
    assert F.resize(tinynet.zeros(1, 30, 60), 10).shape == (1, 10, 20)
    assert F.resized_crop(x, 0, 0, 2, 2, (2, 2)).array[0].tolist() == [[0, 1], [4, 5]]


def test_a_blur_is_a_mean_weighed_by_a_bell_curve():
    x = np.zeros((1, 1, 5, 7))
    x[0, 0, 2, 3] = 1
    y = F.gaussian_blur(x, (5, 3), (1.0, 0.5))[0, 0]
    across, down = np.exp(-0.5 * np.arange(-2, 3) ** 2), np.exp(-2 * np.arange(-1.0, 2) ** 2)
    expected = np.outer(down / down.sum(), across / across.sum())
    np.testing.assert_allclose(y[1:4, 1:6], expected, rtol=1e-12)
    np.testing.assert_allclose(F.gaussian_blur(np.ones((2, 3, 4, 4)), 5), 1)


def test_colours_turn_about_the_circle():
    red = tinynet.tensor(np.array([1, 0, 0], np.float32).reshape(3, 1, 1))
    np.testing.assert_allclose(F.adjust_hue(red, 1 / 3).array.ravel(), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(F.adjust_hue(red, -1 / 3).array.ravel(), [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(F.adjust_saturation(red, 0).array.ravel(), 0.2989, atol=1e-6)
    assert F.adjust_brightness(red, 0.5).array.ravel().tolist() == [0.5, 0, 0]
    np.testing.assert_allclose(F.adjust_contrast(red, 0).array.ravel(), 0.2989, atol=1e-6)
    assert F.rgb_to_grayscale(red, 3).shape == (3, 1, 1)


def test_an_erased_rectangle_has_its_size_and_value():
    y = T.RandomErasing(1.0, scale=(0.2, 0.3), value=7)(np.ones((50, 2, 20, 20)), rng())
    areas = (y[:, 0] == 7).mean(axis=(1, 2))
    assert (areas > 0.15).all()
    assert (areas < 0.35).all()
    np.testing.assert_array_equal(y[:, 0], y[:, 1])


# ----- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0, 2, 3])
@pytest.mark.parametrize("size", [(5, 9), (12, 4), (31, 9), (12, 23)])
@pytest.mark.parametrize("c", [1, 3])
def test_bytes_are_resized_as_pillow_does(c, size, mode):
    there = np.asarray(pil(c).resize(size[::-1], mode))
    assert np.array_equal(np.asarray(F.resize(pil(c), size, mode)), there)


def test_a_longer_side_has_a_limit():
    assert T.Resize(10, max_size=11)(pil()).size == (8, 11)
    assert T.Resize(6, max_size=11)(pil()).size == (6, 8)


def test_greys_are_pillows():
    from PIL import ImageEnhance

    grey = pil().convert("L")
    assert np.array_equal(np.asarray(F.rgb_to_grayscale(pil())), np.asarray(grey))
    for change, enhanced in (
        (F.adjust_brightness, ImageEnhance.Brightness), (F.adjust_contrast, ImageEnhance.Contrast),
        (F.adjust_saturation, ImageEnhance.Color),
    ):  # fmt: skip
        for factor in (0.0, 0.3, 1.7):
            there = np.asarray(enhanced(pil()).enhance(factor))
            assert np.array_equal(np.asarray(change(pil(), factor)), there)


WRONG = [
    (lambda: T.Normalize(0, 0), ValueError, "std must be positive"),
    (lambda: T.Normalize(0.5, 0.5)(pil()), TypeError, r"needs floats, got uint8: .* or ToTensor"),
    (lambda: T.RandomCrop(20)(pil()), ShapeError, r"size \(20, 20\) is larger .* \(12, 9\)"),
    (lambda: T.Resize("2"), TypeError, "size must be an integer"),
    (lambda: T.RandomRotation(3, 3)(pil()), ValueError, "not by bicubic"),
    (lambda: T.Resize((1, 2, 3)), ValueError, r"a number or \(height, width\)"),
    (lambda: T.Resize(9, "bilinaer"), ValueError, "did you mean 'bilinear'"),
    (lambda: T.Pad((1, 2, 3))(pil()), ValueError, "padding must be 1, 2 or 4 numbers"),
    (lambda: T.Pad(1, 0, "edges")(pil()), ValueError, "did you mean 'edge'"),
    (lambda: T.RandomRotation(-3), ValueError, "RandomRotation: degrees must be 0 or more"),
    (lambda: T.RandomRotation((3, 1)), ValueError, r"a pair \(least, most\), got \(3, 1\)"),
    (lambda: T.RandomRotation(np.inf), ValueError, r"a pair \(least, most\), got \(-inf, inf\)"),
    (lambda: T.RandomRotation(np.ones(2)), TypeError, "degrees must be a number, got array"),
    (lambda: T.RandomRotation(3, 9), ValueError, "unknown interpolation 9"),
    (lambda: T.RandomAffine(0, (2, 0)), ValueError, "translate must be from 0 to 1"),
    (lambda: T.RandomAffine(0, scale=(0, 1)), ValueError, "scale must be above 0"),
    (lambda: T.ColorJitter(hue=0.6), ValueError, "hue must be from -0.5 to 0.5"),
    (lambda: T.ColorJitter((-1, 1)), ValueError, "brightness must be 0 or more"),
    (lambda: T.RandomErasing(value="zero"), ValueError, "numbers or 'random', got 'zero'"),
    (lambda: T.GaussianBlur(4)(pil()), ValueError, "kernel_size must be odd"),
    (lambda: T.Lambda(3), TypeError, "lambd must be a function"),
    (lambda: T.ToTensor()([1, 2]), TypeError, "a PIL image or an array, got list"),
    (lambda: T.ToTensor()(np.zeros(3)), ValueError, r"\(H, W\) or \(H, W, C\), got shape \(3,\)"),
    (lambda: T.PILToTensor()("x"), TypeError, "takes a PIL image or an array, got str"),
    (lambda: T.ToPILImage()("x"), TypeError, "a PIL image or an array, got str"),
    (lambda: T.ToPILImage()(np.zeros((2, 2, 5))), ValueError, r"1 to 4 channels, got shape"),
    (lambda: T.CenterCrop(2)("x"), TypeError, r"takes a PIL image, a tensor .*, got str"),
    (lambda: T.CenterCrop(2)(tinynet.zeros(3)), ShapeError, r"\(..., C, H, W\), got shape \(3,\)"),
    (lambda: T.CenterCrop(2)(pil().convert("P")), TypeError, r"mode 'P' .* image.convert\('RGB'\)"),
    (lambda: F.adjust_hue(pil(), 0.7), ValueError, "hue_factor must be from -0.5 to 0.5"),
    (lambda: F.adjust_contrast(pil(), -1), ValueError, "0 or more, got -1"),
]  # fmt: skip


@pytest.mark.parametrize(("use", "error", "told"), WRONG)
def test_mistakes_are_named(use, error, told):
    with pytest.raises(error, match=told):
        use()


def test_a_transform_has_hooks_and_shows_the_same_in_either_mode():
    x, seen = tinynet.rand(3, 8, 8), []
    transform = T.RandomApply([T.CenterCrop(4)], p=1.0)
    shown = repr(transform)
    assert "p=1.0" in shown
    nn.Sequential(transform).eval().train()
    assert repr(transform) == shown == repr(pickle.loads(pickle.dumps(transform)))
    transform.register_forward_hook(lambda module, args, y: seen.append(y.shape))
    assert transform(x).shape == seen[0] == (3, 4, 4)
    for transforms, p in (([], None), ([T.CenterCrop(4)], [0.5, 0.5])):
        with pytest.raises(ValueError, match="a p of each"):
            T.RandomChoice(transforms, p)
