"""`load`: names, the shipped digits, files on the disk, downloads, and files that are damaged."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import socket
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_sets import (
    CIFAR,
    CONTENTS,
    cifar_archive,
    gz,
    idx,
    sha256,
    small_arrays,
    use_small_cifar10,
    use_small_mnist,
    write_small_mnist,
)

import tinynet.data.known as known_sets
from tinynet import data, nn, training
from tinynet.cli import main
from tinynet.data import KNOWN, download, load, read_image
from tinynet.data.files import RemoteFile, data_root, find, read_content
from tinynet.data.idx import parse_cifar, parse_idx
from tinynet.data.npz import read_npz
from tinynet.data.sources import digits_file
from tinynet.errors import DataError

REPOSITORY = Path(__file__).resolve().parents[1]


def real_data() -> Path | None:
    """A folder with the real MNIST: $TINYNET_DATA, or shared/data beside the checkout."""
    candidates = [os.environ.get("TINYNET_DATA"), REPOSITORY.parent / "shared" / "data"]
    for folder in candidates:
        if folder and (Path(folder) / "mnist").is_dir():
            return Path(folder)
    return None


@pytest.fixture
def small_mnist(monkeypatch):
    return use_small_mnist(monkeypatch)


@pytest.fixture
def small_cifar10(monkeypatch):
    return use_small_cifar10(monkeypatch)


# ----- names and splits ---------------------------------------------------------------------------


def test_unknown_names_list_the_known_ones_and_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'fashion-mnist'\? Known: digits, .*npz:"):
        load("fashon-mnist")
    with pytest.raises(ValueError, match=r"unknown split 'tset'; did you mean 'test'"):
        load("digits", "tset")
    with pytest.raises(ValueError, match="unknown data set"):
        download("nist")


def test_the_root_is_the_argument_else_the_environment_else_the_cache(monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", "/data")
    assert data_root("here") == Path("here")
    assert data_root() == Path("/data")
    monkeypatch.delenv("TINYNET_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_root() == Path("/cache/tinynet")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_root() == Path.home() / ".cache" / "tinynet"


def test_every_known_set_is_described_whole():
    for name, known in KNOWN.items():
        assert known.name == name
        assert len(known.classes) == (100 if name == "cifar100" else 10)
        for file in (*known.files, *([known.archive] if known.archive else [])):
            hashes = [h for h in (file.sha256, file.download_sha256) if h is not None]
            assert hashes, f"{file.name} has no checksum"
            assert all(len(h) == 64 and int(h, 16) for h in hashes)
        if known.files:
            assert len(known.mirrors) > 1
            assert all(m.endswith("/") for m in known.mirrors)
            assert known.mirrors[0].startswith("https://")


# ----- digits -------------------------------------------------------------------------------------


def test_digits_need_no_network_and_split_into_1437_and_360():
    train, test = load("digits", "train"), load("digits", "test")
    assert train.images.shape == (1437, 1, 8, 8)
    assert test.images.shape == (360, 1, 8, 8)
    assert train.images.dtype == np.uint8
    assert train.images.max() == 255
    assert test.labels.dtype == np.int64
    assert train.classes == tuple("0123456789")
    counts = np.bincount(test.labels)
    assert counts.min() >= 35
    assert counts.max() <= 37


def test_the_splits_of_digits_share_no_image():
    stored = read_npz(digits_file())
    held_out = stored["test"]
    assert len(np.unique(held_out)) == 360
    test = load("digits", "test")
    np.testing.assert_array_equal(test.labels, stored["labels"][held_out])
    np.testing.assert_array_equal(np.rint(test.images[:, 0] / 255 * 16), stored["images"][held_out])


def test_digits_last360_holds_out_the_end_of_the_file():
    stored = read_npz(digits_file())
    np.testing.assert_array_equal(
        load("digits-last360", "test").labels, stored["labels"][-360:].astype(np.int64)
    )
    assert len(load("digits-last360", "train")) == 1437


def test_the_digits_file_is_what_its_script_makes():
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    path = REPOSITORY / "datasets" / "make_digits.py"
    spec = importlib.util.spec_from_file_location("make_digits", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    digits = sklearn_datasets.load_digits()
    stored = read_npz(digits_file())
    np.testing.assert_array_equal(stored["images"], digits.images)
    np.testing.assert_array_equal(stored["labels"], digits.target)
    drawn = script.draw_test_indices(digits.target, script.HELD_OUT, script.SEED)
    np.testing.assert_array_equal(stored["test"], drawn)


# ----- the MNIST family on the disk ---------------------------------------------------------------


@pytest.mark.skipif(real_data() is None, reason="the real MNIST is not here")
def test_real_mnist_loads_from_its_gzip_files():
    test = load("mnist", "test", root=real_data())
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.images.dtype == np.uint8
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert test.images.mean() / 255 == pytest.approx(0.1325, abs=1e-4)


@pytest.mark.parametrize("spelling", ["{}", "{}.gz", "dotted"])
def test_files_on_the_disk_are_found_gzipped_or_not(tmp_path, small_mnist, spelling):
    (tmp_path / "mnist").mkdir()
    for name, content in CONTENTS.items():
        path = name.replace("-idx", ".idx") if spelling == "dotted" else spelling.format(name)
        body = gz(content) if path.endswith(".gz") else content
        (tmp_path / "mnist" / path).write_bytes(body)
    images, labels = small_arrays(20, seed=0)
    train = load("mnist", "train", root=tmp_path)
    np.testing.assert_array_equal(train.images[:, 0], images)
    np.testing.assert_array_equal(train.labels, labels)
    assert len(load("mnist", "test", root=tmp_path)) == 8
    assert small_mnist.missing(tmp_path) == []


def test_a_plain_file_misnamed_gz_is_read_as_what_it_is(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(CONTENT)
    assert read_content(path, 100) == CONTENT


def test_another_content_is_refused_with_both_hashes(tmp_path, small_mnist):
    write_small_mnist(tmp_path)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    changed = bytearray(CONTENTS["train-images-idx3-ubyte"])
    changed[100] ^= 1
    path.write_bytes(gz(bytes(changed)))
    with pytest.raises(DataError, match=rf"not the published .* is {sha256(changed)}, expected"):
        load("mnist", root=tmp_path)


def test_a_cut_off_gzip_file_names_the_file_and_the_offset(tmp_path, small_mnist):
    write_small_mnist(tmp_path)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"train-images.*cannot be read after byte \d+"):
        load("mnist", root=tmp_path)


def test_a_flipped_byte_in_a_gzip_file_is_a_data_error(tmp_path, small_mnist):
    write_small_mnist(tmp_path)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    for position in (5, 12, 200, -3):
        body = bytearray(gz(CONTENTS["train-images-idx3-ubyte"]))
        body[position] ^= 0xFF
        path.write_bytes(body)
        # byte 5 is the time stamp, which carries no content
        expected = contextlib.nullcontext() if position == 5 else pytest.raises(DataError)
        with expected:
            load("mnist", root=tmp_path)


def test_swapped_files_are_refused(tmp_path, small_mnist):
    write_small_mnist(tmp_path)
    folder = tmp_path / "mnist"
    (folder / "train-images-idx3-ubyte.gz").rename(folder / "kept")
    (folder / "t10k-images-idx3-ubyte.gz").rename(folder / "train-images-idx3-ubyte.gz")
    (folder / "kept").rename(folder / "t10k-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=r"6288 bytes of content, .* expected 15696"):
        load("mnist", "train", root=tmp_path)
    with pytest.raises(DataError, match="goes on after offset 6288"):
        load("mnist", "test", root=tmp_path)


def test_a_gzip_bomb_is_read_no_further_than_the_expected_size(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gz(bytes(50_000_000)))
    with pytest.raises(DataError, match="goes on after offset 1000"):
        read_content(path, 1000)


CONTENT = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


# ----- parsers ------------------------------------------------------------------------------------


def test_idx_is_read_without_a_copy():
    content = bytearray(CONTENT)
    array = parse_idx(content, "f", ndim=3)
    np.testing.assert_array_equal(array, np.arange(24).reshape(2, 3, 4))
    content[16] = 99
    assert array[0, 0, 0] == 99


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "f: offset 0: nothing and 0 bytes in all, expected 00 00 08 03 and 16 or more"),
        (b"PK\3\4....", "offset 0: 50 4b 03 04 and 8 bytes in all"),
        (b"\0\0\x0d\3" + bytes(12), "00 00 0d 03 and 16 bytes in all"),
        (b"\0\0\x08\1" + bytes(12), r"expected 00 00 08 03 .* 3 dimensions \(images\)"),
        (b"\0\0\x08\3" + bytes(11), "00 00 08 03 and 15 bytes in all, expected 00 00 08 03 and 16"),
        (CONTENT[:-1], r"offset 4: .* 2 x 3 x 4 = 24 bytes, but 23 follow it at offset 16"),
        (CONTENT + b"x", "24 bytes, but 25 follow"),
        (b"\0\0\x08\3" + b"\xff" * 12 + b"abc", "but 3 follow it"),
    ],
)
def test_idx_that_is_not_what_it_claims_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        parse_idx(content, "f", ndim=3)


def test_unequal_counts_name_the_files(tmp_path, monkeypatch, small_mnist):
    def put(images, labels):
        files = []
        for file, array in zip(small_mnist.files[:2], (images, labels), strict=True):
            (tmp_path / "mnist").mkdir(exist_ok=True)
            (tmp_path / "mnist" / file.name).write_bytes(idx(array))
            files.append(RemoteFile(file.name, len(idx(array))))
        changed = replace(small_mnist, files=tuple(files))
        monkeypatch.setitem(known_sets.KNOWN, "mnist", changed)

    put(np.zeros((3, 28, 28), np.uint8), np.array([1, 2], np.uint8))
    with pytest.raises(DataError, match=r"has 3 images, but .* has 2 labels"):
        load("mnist", root=tmp_path)


def test_cifar10_records_are_label_then_planes():
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3]) * 1024
    images, labels = parse_cifar(record)
    assert labels.tolist() == [7]
    assert images.shape == (1, 3, 32, 32)
    assert (images == np.array([1, 2, 3])[:, None, None]).all()


@pytest.mark.parametrize("place", ["cifar-10-batches-bin/{}", "{}", "{}.gz", "archive"])
def test_cifar10_is_found_unpacked_or_as_the_archive(tmp_path, small_cifar10, place):
    folder = tmp_path / "cifar10"
    (folder / "cifar-10-batches-bin").mkdir(parents=True)
    if place == "archive":
        (folder / "cifar-10-binary.tar.gz").write_bytes(cifar_archive())
    else:
        for name, content in CIFAR.items():
            path = folder / place.format(name)
            path.write_bytes(gz(content) if path.suffix == ".gz" else content)
    train, test = (load("cifar10", split, root=tmp_path) for split in ("train", "test"))
    joined = b"".join(CIFAR[f"data_batch_{k}.bin"] for k in range(1, 6))
    np.testing.assert_array_equal(train.images, parse_cifar(joined)[0])
    np.testing.assert_array_equal(test.labels, parse_cifar(CIFAR["test_batch.bin"])[1])
    assert small_cifar10.missing(tmp_path) == []


def test_an_archive_that_is_not_the_published_one_is_not_opened(tmp_path, small_cifar10):
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    whole = cifar_archive()
    for body in (whole[:5000], whole[:-1] + b"x", b"nothing like it", b""):
        path.write_bytes(body)
        with pytest.raises(DataError, match=r"not the published cifar-10-.*Delete it.*SHA-256"):
            load("cifar10", root=tmp_path)


# ----- downloads ----------------------------------------------------------------------------------


def test_missing_files_are_downloaded_once_and_then_found(
    tmp_path, small_mnist, server, monkeypatch
):
    for name, content in CONTENTS.items():
        server.pages[f"/files/{name}.gz"] = gz(content)
    mirrored = replace(small_mnist, mirrors=(f"{server.url}/files/",))
    monkeypatch.setitem(known_sets.KNOWN, "mnist", mirrored)
    assert len(load("mnist", "train", root=tmp_path)) == 20
    assert len(server.asked) == 2  # the training files alone
    assert [f.name for f in mirrored.missing(tmp_path)] == [f.name for f in mirrored.files[2:]]
    assert download("mnist", root=tmp_path) == tmp_path / "mnist"
    assert len(server.asked) == 4
    assert len(load("mnist", "test", root=tmp_path)) == 8
    assert len(server.asked) == 4
    assert sorted(p.name for p in (tmp_path / "mnist").iterdir()) == sorted(
        f.name for f in mirrored.files
    )


def test_cifar10_is_downloaded_as_one_archive(tmp_path, small_cifar10, server, monkeypatch):
    server.pages["/cifar-10-binary.tar.gz"] = cifar_archive()
    mirrored = replace(small_cifar10, mirrors=(f"{server.url}/",))
    monkeypatch.setitem(known_sets.KNOWN, "cifar10", mirrored)
    assert len(load("cifar10", "train", root=tmp_path)) == 15
    server.pages["/cifar-10-binary.tar.gz"] = cifar_archive()[:-1] + b"x"
    with pytest.raises(DataError, match="wrong content: SHA-256"):
        load("cifar10", "train", root=tmp_path / "other")


def test_a_failed_download_names_what_else_is_missing(tmp_path, small_mnist):
    missing = "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
    with pytest.raises(
        DataError, match=rf"no mirror is known(.|\n)*Also missing there: {missing}\."
    ):
        load("mnist", root=tmp_path)


def test_the_own_mirror_is_tried_first(tmp_path, small_mnist, server, monkeypatch):
    for name, content in CONTENTS.items():
        server.pages[f"/school/mnist/{name}.gz"] = gz(content)
    monkeypatch.setenv("TINYNET_MIRROR", f"{server.url}/school/")
    assert len(load("mnist", "test", root=tmp_path)) == 8
    assert server.asked[0].startswith("/school/mnist/t10k-images")


def test_a_folder_in_the_place_of_a_file_is_not_found(tmp_path):
    (tmp_path / "a-idx3-ubyte").mkdir()
    assert find(tmp_path, "a-idx3-ubyte.gz") is None


# ----- npz ----------------------------------------------------------------------------------------


def test_own_arrays_load_by_split(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    y = np.array([0, 1, 2, 0, 1, 2], np.uint8)
    np.savez(
        tmp_path / "a.npz",
        x_train=x[:4],
        y_train=y[:4],
        x_test=x[3:],
        y_test=y[3:, None],
        classes=np.array(["a", "b", "c"]),
    )
    train, test = (load(f"npz:{tmp_path}/a.npz", split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.images, x[:4, None])
    np.testing.assert_array_equal(test.labels, [0, 1, 2])
    assert train.classes == ("a", "b", "c")


def test_own_arrays_without_a_test_part_hold_out_a_fifth_of_every_class(tmp_path):
    x = np.arange(100, dtype=np.float64).reshape(100, 1)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=np.repeat([0, 1], [60, 40]))
    name = f"npz:{tmp_path}/a.npz"
    train, test = load(name, "train"), load(name, "test")
    assert train.images.dtype == np.float32
    assert np.bincount(test.labels).tolist() == [12, 8]
    together = np.concatenate([train.images, test.images])[:, 0]
    assert sorted(together.tolist()) == list(range(100))
    np.testing.assert_array_equal(load(name, "test").images, test.images)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ((4, 6, 5), (4, 1, 6, 5)),
        ((4, 6, 5, 3), (4, 3, 6, 5)),
        ((4, 3, 6, 5), (4, 3, 6, 5)),
        ((4, 3, 3, 3), (4, 3, 3, 3)),
        ((4, 2, 6, 5), (4, 2, 6, 5)),
        ((4, 7), (4, 7)),
    ],
)
def test_own_images_become_channels_first(tmp_path, given, got):
    x = np.asfortranarray(np.random.default_rng(0).random(given))
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1] * 2, x_test=x, y_test=[1, 0] * 2)
    images = load(f"npz:{tmp_path}/a.npz").images
    assert images.shape == got
    if given[-1] == 3 and given != got:
        np.testing.assert_array_equal(images[1, 2], x[1, :, :, 2].astype(np.float32))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fodler:x", "unknown data set 'fodler:x'; did you mean 'folder:x'?"),
        ("FOLDER:a:b", "unknown data set 'FOLDER:a:b'; did you mean 'folder:a:b'?"),
        ("NPZ:a.npz", "unknown data set 'NPZ:a.npz'; did you mean 'npz:a.npz'?"),
        ("photos:2", "there is no file or folder photos:2; a data set of your own is folder:PATH"),
        (r"C:\x", r"there is no file or folder C:\x; a data set of your own is folder:PATH or npz"),
        ("C:/a/b.npz", "there is no file or folder C:/a/b.npz; "),
        ("runs/photos", "there is no file or folder runs/photos; "),
        ("mnist:train", "unknown data set 'mnist:train'; did you mean 'mnist'? Known: "),
    ],
)
def test_a_name_that_is_no_data_set_is_said_as_it_was_typed(name, said, capsys):
    with pytest.raises(ValueError, match="^" + re.escape(said)):
        load(name)
    assert main(["train", "--data", name]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_with_a_colon_in_its_name_is_said_as_it_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER:2").mkdir()
    with pytest.raises(ValueError, match=r"take what is there, say folder:FOLDER:2$"):
        load("FOLDER:2")


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint64, np.uint16, bool])
def test_images_of_integers_are_bytes(tmp_path, dtype):
    x = np.random.default_rng(0).integers(0, 2 if dtype is bool else 128, (10, 4, 3), np.uint8)
    scale = 257 if dtype == np.uint16 else 1
    np.savez(tmp_path / "a.npz", x=x.astype(dtype) * np.array(scale, dtype), y=[0, 1] * 5)
    np.savez(tmp_path / "b.npz", x=x * np.uint8(255) ** (dtype is bool), y=[0, 1] * 5)
    one, other = (load(f"npz:{tmp_path}/{name}.npz").images for name in "ab")
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16, np.float32, np.float64])
def test_images_of_0_and_1_are_black_and_white_in_every_way_in(tmp_path, dtype):
    x = np.random.default_rng(0).integers(0, 2, (20, 4, 4))
    stored = training.checkpoint.Checkpoint({}, input_shape=(1, 4, 4), mean=(0.0,), std=(1.0,))
    model = training.Trained(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), stored)
    given = x.astype(dtype)
    np.savez(tmp_path / "a.npz", x=given, y=[0, 1] * 10)
    np.savez(tmp_path / "new.npz", x=given)
    np.save(tmp_path / "new.npy", given)
    np.savetxt(tmp_path / "a.csv", np.c_[[0, 1] * 10, x.reshape(20, 16)], "%d", ",")
    loaded = load(f"npz:{tmp_path}/a.npz", held_out=0).images
    ways = {
        "npz": loaded.astype(float) / (255 if loaded.dtype == np.uint8 else 1),
        "csv": load(f"csv:{tmp_path}/a.csv", held_out=0).images / 255,
        "array": model.preprocess(given).array,
        "channels": model.preprocess(given[:, None]).array,
        "list": model.preprocess([*given]).array,
        "one": np.stack([model.preprocess(image).array[0] for image in given]),
        "file": model.preprocess(str(tmp_path / "new.npz")).array,
        "npy": model.preprocess(str(tmp_path / "new.npy")).array,
        "evaluate": model._adapted(data.ArrayDataset(given[:, None], [0, 1] * 10)).images / 255.0,
    }
    if np.dtype(dtype).kind == "f":
        ways["evaluate"] = ways["evaluate"] * 255
    for name, made in ways.items():
        np.testing.assert_array_equal(made, x[:, None], err_msg=name)


def test_bytes_of_0_and_1_are_what_they_are(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (20, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1] * 10)
    np.testing.assert_array_equal(load(f"npz:{tmp_path}/a.npz", held_out=0).images[:, 0], x)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1]}, "holds a; expected the arrays x_train"),
        ({"x": np.zeros((2, 3)), "y": [0]}, "x has 2 rows, but y has 1"),
        ({"x_train": np.zeros((2, 3)), "y_train": [0, 1]}, "holds x_train, y_train; expected"),
        ({"arr_0": [1], "arr_1": [1]}, r"as you save them: np.savez\(path, x=x, y=y\)"),
        ({"x": np.zeros((2, 3)), "y": [0, 1, 2]}, "x has 2 rows, but y has 3"),
        ({"x": np.zeros((2, 3)), "y": [1, 0.5]}, r"label 0.5 of row 1, .*; regression .*fit\("),
        ({"x": np.zeros((2, 3)), "y": [1, np.nan]}, "label nan of row 1, .*0 or more$"),
        ({"x": np.zeros((2, 3)), "y": [np.inf, 1]}, "label inf of row 0, expected an integer"),
        ({"x": np.zeros((2, 3)), "y": [0, -1]}, "label -1 of row 1, expected an integer, 0 or"),
        ({"x": np.zeros((1, 3)), "y": np.array([2**63], np.uint64)}, "label 9223372036854775808"),
        (
            {"x": np.zeros((2, 3)), "y": [1j, 0]},
            r"y is complex128\[2\], expected labels \(N,\); reg",
        ),
        ({"x": np.zeros((2, 3)), "y": [b"\xe4", b"\xf6"]}, r"y: b'\\xe4' is no UTF-8: save text"),
        ({"x": np.zeros((2, 3)), "y": np.eye(2)}, r"y is float64\[2, 2\], .* y\.argmax\(1\)"),
        ({"x": np.zeros((2, 3)), "y": np.ones((2, 2))}, r"y is float64\[2, 2\], .*several classes"),
        ({"x": np.zeros((2, 3)), "y": 3}, r"y is int64\[\], expected labels"),
        (
            {"x": np.zeros((2, 3)), "y": [0, 2], "classes": ["a", "b"]},
            "label 2 of row 1, expected 0 to 1: there are 2 names in classes",
        ),
        (
            {"x": np.zeros((2, 3)), "y": ["a", "c"], "classes": ["a", "b"]},
            "y: the label 'c' is none of the classes: a, b",
        ),
        ({"x": np.zeros((2, 3)), "y": [0, 1], "classes": ["a", "a"]}, "has a name twice: a, a"),
        (
            {
                "x_train": np.zeros((1, 3)),
                "y_train": ["a"],
                "x_test": np.zeros((1, 3)),
                "y_test": [0],
            },
            "y_train and .*y_test: one is text, the other numbers",
        ),
        (
            {"x": np.zeros((2, 3)), "y": [0, 1], "classes": [1, 2]},
            r"classes is int64\[2\], expected",
        ),
        (
            {
                "x_train": np.zeros((2, 3)),
                "y_train": ["a", "b"],
                "x_test": np.zeros((2, 3)),
                "y_test": ["a", "B"],
            },
            "y_test: not among the labels for training are B: rename",
        ),
        ({"x": np.zeros((2, 3), int), "y": [0, 1]}, "x is int64 from 0 to 0, expected uint8"),
        ({"x": np.zeros((2, 3, 3), int) - 1, "y": [0, 1]}, r"from -1 to -1, .*/ np\.ptp\(x\)"),
        ({"x": np.full((2, 3, 3), 256), "y": [0, 1]}, "from 256 to 256, expected uint8"),
        ({"x": np.full((2, 3, 3), 9, np.uint16), "y": [0, 1]}, r"save x / 65535, or of 8 bits"),
        ({"x": np.zeros(2), "y": [0, 1]}, r"x has shape \(2,\)"),
        ({"x": [[0.0], [np.nan]], "y": [0, 1]}, r"row 1 has nan as float32, at \[0\]: drop"),
        (
            {
                "x_train": np.zeros((1, 3)),
                "y_train": [0],
                "x_test": np.zeros((1, 4)),
                "y_test": [0],
            },
            "different shapes",
        ),
    ],
)
def test_own_arrays_that_do_not_fit_are_refused_by_name(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(f"npz:{tmp_path}/a.npz")


CATS = np.array(["cat", "ant", "dog"] * 10)
LABELS = {  # labels as they are saved, and what they become
    "text": (CATS, ("ant", "cat", "dog"), [1, 0, 2]),
    "bytes": (CATS.astype("S"), ("ant", "cat", "dog"), [1, 0, 2]),
    "text in a column": (CATS[:, None], ("ant", "cat", "dog"), [1, 0, 2]),
    "whole floats": (np.arange(30) % 3.0, None, [0, 1, 2]),
    "whole halves": ((np.arange(30) % 3).astype(np.float16), None, [0, 1, 2]),
    "a column": (np.arange(30)[:, None] % 3, None, [0, 1, 2]),
    "bytes of numbers": ((np.arange(30) % 3).astype(np.uint8), None, [0, 1, 2]),
    "big-endian": ((np.arange(30) % 3).astype(">i2"), None, [0, 1, 2]),
    "bools": (np.arange(30) % 3 == 1, None, [0, 1, 0]),
}


@pytest.mark.parametrize("label", LABELS)
def test_labels_are_numbered_whatever_they_are_saved_as(tmp_path, label):
    y, classes, numbers = LABELS[label]
    x = np.arange(30, dtype=np.float32)[:, None]
    np.savez(tmp_path / "a.npz", x=x, y=y)
    for split in ("train", "test"):
        dataset = load(f"npz:{tmp_path}/a.npz", split)
        assert dataset.classes == classes
        assert dataset.labels.dtype == np.int64
        rows = dataset.images[:, 0].astype(int)
        np.testing.assert_array_equal(dataset.labels, np.array(numbers)[rows % 3])


def test_the_order_of_classes_given_counts_for_labels_that_are_text(tmp_path):
    names = np.array([b"dog", b"cat", b"ant"])
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 1)), y=CATS, classes=names)
    dataset = load(f"npz:{tmp_path}/a.npz")
    assert dataset.classes == ("dog", "cat", "ant")
    assert np.bincount(dataset.labels).tolist() == [8, 8, 8]


@pytest.mark.parametrize("names", ["images_{} labels_{}", "X_{} Y_{}", "{}_images {}_labels"])
def test_the_arrays_are_found_under_other_names(tmp_path, names):
    x = np.random.default_rng(0).integers(0, 256, (4, 5, 5), np.uint8)
    arrays = {}
    for split in ("train", "test"):
        x_name, y_name = names.format(split, split).split()
        arrays |= {x_name: x, y_name: [0, 1, 0, 1]}
    np.savez(tmp_path / "a.npz", **arrays)
    np.testing.assert_array_equal(load(f"npz:{tmp_path}/a.npz").images, x[:, None])
    np.savez(tmp_path / "a.npz", Images=np.repeat(x, 3, 0), labels=[0, 1] * 6)
    assert load(f"npz:{tmp_path}/a.npz").images.shape == (10, 1, 5, 5)


X, Y = np.zeros((12, 2)), np.arange(12) % 3
SAID = [  # what is in a file, and what is said of it
    (
        {"x": X, "y": Y + 1},
        r"a.npz: no example of 0 among 4 classes; to number those that",
    ),
    (
        {"x": X, "y": 2 * Y},
        r"no example of 1, 3 among 5 classes; to number those that there are, save np\.uni",
    ),
    ({"x": X, "y": Y, "classes": ["a", "b", "c", "d"]}, "no example of d among 4 classes$"),
    ({"x": X, "y": 20 * Y}, "only 0, 20, 40 of 41 classes have an example"),
    ({"x": X, "y": 0 * Y}, "all examples are of one class"),
    ({"x": X, "y": np.full(12, "cat")}, "all examples are of one class"),
    ({"x": X, "y": Y, "z": Y, "x_val": X}, "a.npz: not read: x_val, z$"),
    ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "a.npz: not read: x_train, y_train$"),
    (
        {"x_train": X, "y_train": 0 * Y, "x_test": X, "y_test": Y},
        r"\(train\): only 0 of 3 classes have an example",
    ),
]


@pytest.mark.parametrize("label", [2**62, 10**9, 5000])
def test_a_label_far_beyond_the_number_of_examples_is_named(tmp_path, label):
    np.savez(tmp_path / "a.npz", x=X, y=label * (Y > 0))
    with pytest.raises(DataError, match=rf"a.npz: label \d+ of {len(X)} examples: .*np.unique"):
        load(f"npz:{tmp_path}/a.npz")


@pytest.mark.parametrize(("arrays", "told"), SAID)
def test_classes_without_an_example_and_arrays_not_read_are_said(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.warns(UserWarning, match=told):
        load(f"npz:{tmp_path}/a.npz")


def test_labels_that_the_other_part_of_idx_files_may_have_are_not_counted_down(tmp_path):
    for name, array in (("images-idx3", np.zeros((12, 2, 2))), ("labels-idx1", Y + 1)):
        (tmp_path / f"t10k-{name}-ubyte").write_bytes(idx(array.astype(np.uint8)))
    with pytest.warns(UserWarning, match=r"\(test\): no example of 0 among 4 classes$"):
        load(f"idx:{tmp_path}", "test")


def test_a_test_part_that_lacks_a_class_is_said_and_one_that_is_empty_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=[0] * 8 + [1] * 4)
    load(f"npz:{tmp_path}/a.npz", "test")
    np.savez(tmp_path / "a.npz", x=X, y=[0] * 11 + [1])
    with pytest.warns(UserWarning, match=r"\((train|test)\): no example of 1 among 2 classes"):
        [load(f"npz:{tmp_path}/a.npz", split) for split in ("train", "test")]
    np.savez(tmp_path / "a.npz", x=X[:2], y=[0, 1])
    with pytest.raises(
        DataError, match=r"a\.npz: no test part .* 0.2 of 2 examples is none; 5 examples"
    ):
        load(f"npz:{tmp_path}/a.npz")


# ----- what is no file ----------------------------------------------------------------------------


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def no_file(request, tmp_path, monkeypatch):
    """A function that puts something at a path that is no regular file."""
    monkeypatch.chdir(tmp_path)  # the path of a socket has to be short

    def put(path: Path) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path.relative_to(tmp_path)))
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
            return "it is a folder, not a file"
        return "it is a pipe, a device or a socket, not a file"

    return put


def test_arrays_and_images_that_are_no_file_are_refused(tmp_path, no_file):
    told = no_file(tmp_path / "a.npz")
    with pytest.raises(DataError, match=f"a.npz: (cannot be opened: {told}|.* say folder:/)"):
        load(f"npz:{tmp_path}/a.npz")
    told = no_file(tmp_path / "a.png")
    with pytest.raises(DataError, match=f"a.png: cannot be opened: {told}"):
        read_image(tmp_path / "a.png")
    with pytest.raises(DataError, match=f"cannot be opened: {told}"):
        read_content(tmp_path / "a.png", 1000)


@pytest.mark.parametrize(
    ("name", "form"), [("npz:a.csv", "csv"), ("folder:a.npz", "npz"), ("csv:b", "folder")]
)
def test_the_form_that_was_meant_is_said(tmp_path, name, form):
    for file in ("a.csv", "a.npz", "b/c.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    kind, _, file = name.partition(":")
    path = tmp_path / file
    with pytest.raises(DataError, match=f"{kind}:{path}: .* is there, say {form}:{path}$"):
        load(f"{kind}:{path}")


def test_published_files_that_are_no_file_are_not_found(tmp_path, no_file, small_mnist):
    no_file(tmp_path / "mnist" / "train-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match="cannot download train-images"):
        load("mnist", root=tmp_path)
    no_file(tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz.part")
    with pytest.raises(DataError, match="t10k-images"):
        load("mnist", "test", root=tmp_path)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}, []], dtype=object), y=[0, 1])
    with pytest.raises(DataError, match=r"x\.npy: not a plain .* pickled objects can run code"):
        load(f"npz:{tmp_path}/a.npz")


def test_a_header_that_promises_more_than_is_there_allocates_nothing(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 45, 8, 8)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(64))
        archive.writestr("y.npy", b"")
    with pytest.raises(
        DataError, match=r"offset 128: 64 bytes of elements, expected 2251799813685248"
    ):
        load(f"npz:{tmp_path}/a.npz")


def test_damaged_npz_files_are_data_errors(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(DataError, match="no such file"):
        load(f"npz:{path}")
    np.savez_compressed(path, x=np.zeros((50, 3)), y=np.zeros(50, int))
    whole = path.read_bytes()
    for body in (b"", b"PK", whole[: len(whole) // 2]):
        path.write_bytes(body)
        with pytest.raises(DataError, match=r"a\.npz: not a whole"):
            load(f"npz:{path}")
    with path.open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(DataError, match=r"a\.npz: one array, .* np\.savez\(path, x=x, y=y\)"):
        load(f"npz:{path}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"not an array")
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match=r"x\.npy: not a plain \.npy array: .* got b'not an'"):
        load(f"npz:{path}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x\u00e9.npy", b"")
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    with pytest.raises(DataError, match=r"a\.npz: not a whole"):
        load(f"npz:{path}")


def test_class_names_that_are_no_text_are_a_data_error(tmp_path):
    names = np.frombuffer(b"\xff\xff\xff\x7f" * 2, "<U1")
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=[0, 1], classes=names)
    with pytest.raises(DataError, match=r"classes\.npy: .*Unicode scalar"):
        load(f"npz:{tmp_path}/a.npz")
