"""`folder:PATH`: images in class folders, made here with Pillow."""

from __future__ import annotations

import builtins
import contextlib
import os
import re
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
    with pytest.warns(UserWarning, match=r"not read: 1 \*\.txt, 1 \.hidden$"):
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
    put(tmp_path / "a/1.png", grey(0))
    with pytest.raises(DataError, match="it is a file, not a folder; expected PATH/train/CLASS"):
        load(f"folder:{tmp_path}/a/1.png")
    with pytest.raises(DataError, match="has one class folder, 'a', but two"):
        load(f"folder:{tmp_path}")
    (tmp_path / "a").rename(tmp_path / "c")
    put(tmp_path / "c/b/1.png", grey(0))
    (tmp_path / "d").mkdir()
    (tmp_path / "d/1.avif").touch()
    told = r"d: has no images \(\.png .*\); not read: 1 \*\.avif"
    with pytest.raises(DataError, match=told):
        load(f"folder:{tmp_path}")


def test_classes_of_the_test_folder_are_those_of_the_train_folder(tmp_path):
    put(tmp_path / "train/a/1.png", grey(0))
    put(tmp_path / "train/b/1.png", grey(0))
    put(tmp_path / "test/a/1.png", grey(0))
    for there in (True, False):  # an empty folder, or none
        if there:
            (tmp_path / "test/b").mkdir()
        else:
            (tmp_path / "test/b").rmdir()
        with pytest.warns(UserWarning, match=r"\(test\): no example of b among 2 classes"):
            assert load(f"folder:{tmp_path}", "test").labels.tolist() == [0]
    put(tmp_path / "test/d/1.png", grey(0))
    with pytest.raises(DataError, match=r"test: not in .*train are d: rename"):
        load(f"folder:{tmp_path}", "test")


PARTS = [  # the folders of a data set, and which of them are the train and the test part
    ("train,test", "train", "test"),
    ("training,testing", "training", "testing"),
    ("Train,Test", "Train", "Test"),
    ("TRAIN,VAL", "TRAIN", "VAL"),
    ("train,eval", "train", "eval"),
    ("train,dev", "train", "dev"),
    ("Training,validation", "Training", "validation"),
    ("training_set,test_set", "training_set", "test_set"),
    ("train-images,Test Data", "train-images", "Test Data"),
    ("train,valid,test", "train", "test"),
    ("Training,validation,test,more", "Training", "test"),
]


@pytest.mark.parametrize(("folders", "train", "test"), PARTS)
def test_the_parts_of_a_data_set_are_known_by_their_names(tmp_path, folders, train, test):
    names = folders.split(",")
    for value, part in enumerate(names):
        for name in ("cat", "dog"):
            put(tmp_path / part / name / "1.png", grey(value))
    for split, part in (("train", train), ("test", test)):
        others = [f"1 folder {name}" for name in sorted(names) if name not in (train, test)]
        expected = pytest.warns(UserWarning, match=f"not read: {', '.join(others)}$")
        with expected if others else contextlib.nullcontext():
            dataset = load_folder(tmp_path, split)
        assert dataset.classes == ("cat", "dog")
        assert dataset.images[:, 0, 0, 0].tolist() == [names.index(part)] * 2


@pytest.mark.parametrize(
    "folders", ["train", "test", "val test", "train unseen", "train Training test", "test more"]
)
def test_folders_that_look_like_parts_are_not_taken_for_classes(tmp_path, folders):
    for part in folders.split():
        for name in ("cat", "dog"):
            put(tmp_path / part / name / "1.png", grey(0))
    with pytest.raises(DataError, match=r"must be parts of the data and no classes.*PATH/train"):
        load_folder(tmp_path)


def test_images_beside_the_class_folders_of_a_part_have_no_class(tmp_path):
    put(tmp_path / "train/1.png", grey(0))
    put(tmp_path / "test/1.png", grey(0))
    with pytest.raises(DataError, match="train: has no class folders"):
        load_folder(tmp_path)
    for name in ("cat", "dog"):
        put(tmp_path / "train" / name / "1.png", grey(0))
    with pytest.raises(DataError, match=r"test: .*not read: 1 image outside the class"):
        load_folder(tmp_path, "test")


NO_CLASSES = [  # folders of images: the ones that are refused
    ("cat dog test", "test"),
    ("cat dog train", "train"),
    ("cat dog tests", "tests"),
    ("train1 test1", "test1 and train1"),
    ("train_2020 test_2020", "test_2020 and train_2020"),
    ("my_train other holdout", "holdout and my_train"),
    ("cats_train cats_test", "cats_test and cats_train"),
    ("tr te", "te and tr"),
    ("cat dog dev2", "dev2"),
    ("cat/train dog/train", "train"),
    ("data/train/cat data/test/cat extra", "test and train"),
]


def put_five(folder, names):
    for name in names.split():
        for i in range(5):
            put(folder / name / f"{i}.png", grey(0))


@pytest.mark.parametrize(("folders", "refused"), NO_CLASSES)
def test_a_folder_with_the_name_of_a_part_is_no_class(tmp_path, folders, refused):
    put_five(tmp_path, folders)
    with pytest.raises(DataError, match=f": {refused} must be parts .* can be '.*-class'"):
        load_folder(tmp_path)


@pytest.mark.parametrize(("folders", "told"), [("train/cat train/dog", True), ("train", False)])
def test_a_part_without_the_other_says_where_the_classes_are(tmp_path, folders, told):
    put_five(tmp_path, folders)
    with pytest.raises(DataError) as caught:
        load_folder(tmp_path)
    assert (f"Take the classes in it, folder:{tmp_path / 'train'}" in str(caught.value)) is told


@pytest.mark.parametrize(
    "folders", ["_other bus train-class", "bullet_train tabby", "tr te de", "tests_tube contest"]
)
def test_a_class_may_have_a_name_with_the_word_of_a_part(tmp_path, folders):
    put_five(tmp_path, folders)
    assert load_folder(tmp_path).classes == tuple(sorted(folders.split()))


def test_images_at_uneven_depth_are_said(tmp_path):
    put_five(tmp_path, "cat x/dog")
    with pytest.warns(UserWarning, match=r"uneven depth: \*.png in cat, \*/\*.png in x; is each"):
        load_folder(tmp_path)


@pytest.mark.parametrize("parts", ["train/a train/b test/a test/b", "a b"])
def test_all_parts_have_colour_if_one_has(tmp_path, parts):
    put_five(tmp_path, parts)
    files = sorted(tmp_path.rglob("*.png"))
    assert load_folder(tmp_path).images.shape[1] == 1
    for file in files:
        for other in files:
            put(other, rgb(1, 2, 3) if other == file else grey(7))
        images = [load_folder(tmp_path, split).images for split in ("train", "test")]
        assert [x.shape[1] for x in images] == [3, 3], file
        assert all(x.flags.c_contiguous for x in images)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        *(({"size": size}, r"size=.*from 1 to 10,000") for size in (
            0, -1, (4,), (4, 4, 4), 4.5, "8", True, 10**6, (8, 0), (8, "8"), [8, None], ()
        )),
        *(({"test_fraction": f}, "test_fraction=") for f in ("0.2", -0.1, 1, 1.5, float("nan"))),
        ({"fit": "padd"}, "unknown fit 'padd'.*did you mean 'pad'"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_of_a_folder_is_named(classes, options, told):
    with pytest.raises(ValueError, match=told):
        load_folder(classes, **options)


NOT_READ = [  # files that are there too, and what is said of them
    ("cat/.ipynb_checkpoints/0-checkpoint.png", "1 .ipynb_checkpoints"),
    (".git/a/0.png", "1 .git"),
    ("__MACOSX/cat/._0.png", "1 __MACOSX"),
    ("cat/._0.png dog/._0.png", "2 ._*"),
    (".DS_Store cat/.DS_Store", "2 .DS_Store"),
    ("cat/Thumbs.db Thumbs.db", "2 *.db"),
    ("cat/@eaDir/0.png/thumb.jpg", "1 @eaDir"),
    ("cat/a.avif dog/b.AVIF dog/c.heic", "2 *.avif, 1 *.heic"),
    ("cat/README labels.csv", "1 *.csv, 1 README"),
    ("0.png", "1 image outside the class folders"),
    ("0.png 1.png", "2 images outside the class folders"),
    ("cat/a.png.bak", "1 *.bak"),
    ("cat/dir.png/.nothing", "1 .nothing, 1 empty folder"),
    (" ".join(f"cat/x.{c}" for c in "abcdefghijk"), "1 *.h, 3 more"),
]


@pytest.mark.parametrize(("files", "told"), NOT_READ)
def test_what_is_not_read_is_counted(classes, files, told):
    for file in files.split():
        put(classes / file, grey(7), format="PNG")
    with pytest.warns(UserWarning, match=f"not read: .*{re.escape(told)}$"):
        dataset = load_folder(classes, test_fraction=0)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 20


def test_a_warning_names_the_line_that_loads(classes):
    (classes / "notes.txt").touch()
    for read in (lambda: load_folder(classes), lambda: load(f"folder:{classes}")):
        with pytest.warns(UserWarning, match="not read") as warned:
            read()
        assert warned[0].filename == __file__


@pytest.mark.parametrize(
    "name", ["a.jfif", "b.JPE", "c.pbm", "d.PNM", "e.TIFF", "deep/er/0.png", "0.png/0.png"]
)
def test_images_are_known_by_their_suffix_at_any_depth(classes, name):
    formats = {".jfif": "JPEG", ".jpe": "JPEG", ".pbm": "PPM", ".pnm": "PPM"}
    (classes / "cat/0.png").unlink()
    put(classes / "cat" / name, grey(50), format=formats.get((classes / name).suffix.lower()))
    assert len(load_folder(classes, test_fraction=0)) == 20


def test_links_to_files_and_classes_are_followed_others_are_not(classes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere / "owl/0.png", grey(1))
    (classes / "owl").symlink_to(elsewhere / "owl")
    (classes / "cat/link.png").symlink_to(classes / "dog/0.png")
    (classes / "cat/loop").symlink_to(classes / "cat")
    (classes / "all").symlink_to(classes)
    (classes / "self").symlink_to(classes / "self")
    told = "2 linked folders, 1 self"
    with pytest.warns(UserWarning, match=f"not read: {told}$"):
        dataset = load_folder(classes, test_fraction=0)
    assert dataset.classes == ("cat", "dog", "owl")
    assert np.bincount(dataset.labels).tolist() == [11, 10, 1]
    (classes / "Dog").symlink_to(classes / "dog")
    with pytest.raises(DataError, match="two of its folders are links to the same images"):
        load_folder(classes)


def test_a_train_and_a_test_folder_that_are_the_same_are_refused(tmp_path):
    put(tmp_path / "train/a/0.png", grey(0))
    put(tmp_path / "train/b/0.png", grey(0))
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(DataError, match="links to the same images"):
        load_folder(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_to_be_split_is_said(tmp_path, count):
    for name, n in (("cat", 12), ("dog", count)):
        for i in range(n):
            put(tmp_path / name / f"{i}.png", grey(0))
    told = r"\((train|test)\): no example of dog among 2 classes"
    with pytest.warns(UserWarning, match=told):
        parts = [load_folder(tmp_path, split) for split in ("train", "test")]
    assert sum(map(len, parts)) == 12 + count


def test_a_folder_too_small_to_be_split_is_refused(tmp_path):
    for name in ("cat", "dog"):
        put(tmp_path / name / "0.png", grey(0))
    with pytest.raises(DataError, match=r"held out: .* of 2 examples is none; 5 examples are"):
        load_folder(tmp_path)


def test_a_pipe_among_the_images_is_named_and_not_waited_for(classes):
    os.mkfifo(classes / "dog/99.png")
    with pytest.raises(DataError, match=r"99\.png: cannot be opened: it is a pipe"):
        load_folder(classes, test_fraction=0)
    (classes / "dog/99.png").unlink()
    (classes / "dog/99.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"99\.png: there is no such file"):
        load_folder(classes, test_fraction=0)


def test_a_split_that_there_is_not_is_refused(classes):
    with pytest.raises(ValueError, match="unknown split 'trian'; did you mean 'train'"):
        load_folder(classes, "trian")


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
    from tinynet.vision.transforms import images

    images.pillow.cache_clear()
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


def test_runs_that_were_saved_beside_the_classes_are_no_class(classes):
    for run in ("runs/first", "second"):
        (classes / run).mkdir(parents=True)
        (classes / run / "last.safetensors").touch()
    with pytest.warns(UserWarning, match="not read: 2 folders of runs"):
        assert load(f"folder:{classes}").classes == ("cat", "dog")
