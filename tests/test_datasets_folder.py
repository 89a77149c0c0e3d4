"""`folder:PATH`: images in class folders, made here with Pillow."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from tinynet.data import load, load_folder, read_image, read_images
from tinynet.errors import DataError

Image = pytest.importorskip("PIL.Image", reason="Pillow (the extra `images`) is not installed")


def put(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


def grey(value, h=4, w=6):
    return np.full((h, w), value, np.uint8)


def rgb(*value, h=4, w=6):
    return np.full((h, w, 3), value, np.uint8)


@pytest.fixture
def classes(tmp_path):
    """Two classes of ten images each; image i of class c is filled with 100 * c + i."""
    for c, name in enumerate(("cat", "dog")):
        for i in range(10):
            put(tmp_path / name / f"{i}.png", grey(100 * c + i))
    return tmp_path


# ----- layouts and splits -------------------------------------------------------------------------


def test_train_and_test_folders_are_the_splits(tmp_path):
    put(tmp_path / "train/b/1.png", rgb(1, 2, 3))
    put(tmp_path / "train/a/2.PNG", rgb(4, 5, 6))
    put(tmp_path / "train/a/1.png", rgb(7, 8, 9))
    put(tmp_path / "test/b/deeper/1.png", rgb(9, 9, 9))
    (tmp_path / "train/a/notes.txt").write_text("no image")
    (tmp_path / "train/.hidden").mkdir()
    (tmp_path / "test/a").mkdir()
    put(tmp_path / "test/a/x.png", rgb(0, 0, 0))
    train = load(f"folder:{tmp_path}", "train")
    assert train.classes == ("a", "b")
    assert train.images.shape == (3, 3, 4, 6)
    assert train.images.dtype == np.uint8
    assert train.images[:, :, 0, 0].tolist() == [[7, 8, 9], [4, 5, 6], [1, 2, 3]]
    assert train.labels.tolist() == [0, 0, 1]
    assert load(f"folder:{tmp_path}", "test").labels.tolist() == [0, 1]


def test_class_folders_alone_hold_out_a_fifth_of_every_class(classes):
    train, test = load(f"folder:{classes}", "train"), load(f"folder:{classes}", "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]
    values = np.concatenate([train.images, test.images])[:, 0, 0, 0]
    assert sorted(values.tolist()) == [*range(10), *range(100, 110)]
    again = load(f"folder:{classes}", "test")
    np.testing.assert_array_equal(again.images, test.images)
    other = load_folder(classes, "test", test_fraction=0.4, seed=1)
    assert np.bincount(other.labels).tolist() == [4, 4]


def test_layouts_that_are_none_are_explained(tmp_path):
    with pytest.raises(DataError, match="there is no such folder; expected PATH/train/CLASS"):
        load(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="has no class folders, but two or more are needed"):
        load(f"folder:{tmp_path}")
    put(tmp_path / "train/a/1.png", grey(0))
    with pytest.raises(DataError, match="has one class folder, 'train'"):
        load(f"folder:{tmp_path}")
    put(tmp_path / "train/b/1.png", grey(0))
    (tmp_path / "train/c").mkdir()
    put(tmp_path / "test/a/1.png", grey(0))
    put(tmp_path / "test/d/1.png", grey(0))
    with pytest.raises(DataError, match=r"train/c: has no images"):
        load(f"folder:{tmp_path}")
    with pytest.raises(DataError, match=r"test: \['d'\] are no classes of .*train"):
        load(f"folder:{tmp_path}", "test")


# ----- sizes --------------------------------------------------------------------------------------


def test_different_sizes_name_the_file_the_sizes_and_the_cure(classes):
    put(classes / "dog" / "99.png", grey(0, h=5, w=7))
    with pytest.raises(DataError, match=r"99\.png is 7x5 pixels, but .* is 6x4 .*\?size=4"):
        load_folder(classes, test_fraction=0)


def test_size_resizes_every_image(classes):
    put(classes / "dog" / "99.png", grey(0, h=5, w=7))
    assert load(f"folder:{classes}?size=8").images.shape[1:] == (1, 8, 8)
    assert load(f"folder:{classes}?size=2x3").images.shape[1:] == (1, 2, 3)
    for wrong in ("", "0", "x", "8x", "x8", "-1", "8x0", "a"):
        with pytest.raises(ValueError, match=r"expected a size such as 32"):
            load(f"folder:{classes}?size={wrong}")
    with pytest.raises(ValueError, match=r"unknown option of folder:PATH 'siez'; did you mean"):
        load(f"folder:{classes}?siez=3")


# ----- pixels -------------------------------------------------------------------------------------


def test_grey_is_repeated_where_a_folder_has_colour_too(tmp_path):
    put(tmp_path / "1.png", grey(50))
    put(tmp_path / "2.png", rgb(1, 2, 3))
    files = [tmp_path / "1.png", tmp_path / "2.png"]
    assert read_images(files)[:, :, 0, 0].tolist() == [[50, 50, 50], [1, 2, 3]]
    assert read_images(files[:1]).shape == (1, 1, 4, 6)


def test_sixteen_bit_grey_is_scaled_to_bytes(tmp_path):
    deep = np.array([[0, 257, 65535], [128, 129, 32768]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[[0, 1, 255], [0, 1, 128]]]


def test_black_and_white_is_grey(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 255]]]


def test_palettes_are_colour(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[:, 0].tolist() == [[10, 40], [20, 50], [30, 60]]


def test_transparency_shows_white(tmp_path):
    put(tmp_path / "rgba.png", [[[10, 20, 30, 255], [10, 20, 30, 0]]])
    assert read_image(tmp_path / "rgba.png")[:, 0].tolist() == [[10, 255], [20, 255], [30, 255]]
    put(tmp_path / "la.png", [[[10, 255], [10, 0]]])
    assert read_image(tmp_path / "la.png").tolist() == [[[10, 255]]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([1, 2, 3, 4, 5, 6] + [0] * 762)
    palette.putdata([0, 1])
    palette.save(tmp_path / "p.png", transparency=1)
    assert read_image(tmp_path / "p.png")[:, 0].tolist() == [[1, 255], [2, 255], [3, 255]]


def test_the_rotation_of_the_camera_is_applied(tmp_path):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png").tolist() == [[[3, 0], [4, 1], [5, 2]]]


def test_jpegs_are_read(tmp_path):
    put(tmp_path / "a.jpg", rgb(200, 100, 50), quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg")[:, 1, 1], [200, 100, 50], atol=4)


# ----- broken images ------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["empty", "text", "cut"])
def test_the_broken_image_is_named(classes, damage):
    path = classes / "dog" / "99.png"
    whole = (classes / "dog" / "1.png").read_bytes()
    path.write_bytes({"empty": b"", "text": b"not an image", "cut": whole[:50]}[damage])
    with pytest.raises(DataError, match=r"99\.png: cannot be read as an image"):
        load_folder(classes, test_fraction=0)


def test_an_image_far_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    put(tmp_path / "a.png", grey(0, h=40, w=40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"a\.png: .*exceeds limit of 1000 pixels"):
        read_image(tmp_path / "a.png")


def test_float_images_are_refused(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: .* pixels are floats"):
        read_image(tmp_path / "a.tif")


def test_without_pillow_the_extra_is_named(classes, monkeypatch):
    real_import = builtins.__import__

    def no_pillow(name, *args):
        if name == "PIL":
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", no_pillow)
    from tinynet.data import folder

    folder._pillow.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "tinynet-cnn\[images\]"'):
        load(f"folder:{classes}")
