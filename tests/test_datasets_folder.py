"""`folder:PATH`: images in class folders, made here with Pillow."""

from __future__ import annotations

import builtins
import struct
import zlib

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


def png_claiming(width, height, data=b""):
    """A PNG of which the header claims a size; the pixels are `data`."""

    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_a_size_that_the_file_cannot_hold_is_refused_before_it_is_allocated(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_claiming(5000, 5000, zlib.compress(bytes(100))))
    with pytest.raises(DataError, match=r"a\.png: .*5000x5000 pixels, more than the \d+ bytes"):
        read_image(path)
    path.write_bytes(png_claiming(1_000_000, 1_000_000))
    with pytest.raises(DataError, match=r"a\.png: .*decompression bomb"):
        read_image(path)


def test_a_blank_page_is_no_bomb(tmp_path):
    Image.new("1", (2480, 3508), 1).save(tmp_path / "a.png", optimize=True)
    assert (tmp_path / "a.png").stat().st_size < 5000
    assert read_image(tmp_path / "a.png", size=8).tolist() == [[[255] * 8] * 8]


def test_only_image_formats_are_tried_whatever_the_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image: it is none of PNG"):
        read_image(tmp_path / "a.png")
    put(tmp_path / "b.gif", grey(7), format="PNG")  # mislabelled, and read as what it is
    assert read_image(tmp_path / "b.gif").tolist() == [[[7] * 6] * 4]


def test_pixels_beyond_sixteen_bits_are_refused(tmp_path):
    for value in (-1, 65536):
        Image.fromarray(np.full((2, 2), value, np.int32)).save(tmp_path / "a.tif")
        with pytest.raises(DataError, match=rf"a\.tif: .*{value} to {value}, expected 0 to 65535"):
            read_image(tmp_path / "a.tif")
    Image.fromarray(np.full((2, 2), 65535, np.int32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").tolist() == [[[255, 255], [255, 255]]]


def test_transparent_sixteen_bit_grey_shows_white(tmp_path):
    Image.fromarray(np.array([[0, 257]], np.uint16)).save(tmp_path / "a.png", transparency=257)
    assert read_image(tmp_path / "a.png").tolist() == [[[0, 255]]]


def test_sixteen_bit_colour_keeps_its_upper_eight(tmp_path):
    data = zlib.compress(b"\0" + struct.pack(">3H", 0x1234, 0xABCD, 0xFFFF))
    path = tmp_path / "a.png"
    whole = bytearray(png_claiming(1, 1, data))
    whole[24:26] = 16, 2  # bits, colour type
    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    path.write_bytes(whole)
    assert read_image(path)[:, 0, 0].tolist() == [0x12, 0xAB, 0xFF]


def test_a_folder_of_different_sizes_is_refused_before_all_of_it_is_allocated(classes):
    put(classes / "cat" / "0.png", np.zeros((3000, 3000), np.uint8))  # 9 MB, and 20 of them
    with pytest.raises(DataError, match=r"1\.png is 6x4 pixels, but .*0\.png is 3000x3000"):
        load_folder(classes, test_fraction=0)
