"""What memory the readers of files take: twice the honest size at most, whatever a file says."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from tinynet.data import load, load_folder
from tinynet.data.files import read_content
from tinynet.data.idx import parse_cifar, parse_idx
from tinynet.errors import DataError

MB = 1 << 20
FIXED = 3 * MB  # buffers of a chunk each, whatever the file


def peak(function, *args):
    """(result or DataError, the most that was allocated meanwhile)."""
    tracemalloc.start()
    try:
        try:
            result = function(*args)
        except DataError as error:
            result = error
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def noise(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_takes_its_content_and_no_more(tmp_path, packed):
    images = noise((20 * MB // 784, 28, 28))
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, *images.shape) + images.tobytes()
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    array, most = peak(lambda: parse_idx(read_content(path, len(content)), path, 3))
    np.testing.assert_array_equal(array, images)
    assert most < 1.3 * len(content) + FIXED


def test_cifar10_is_a_view_of_its_content():
    records = noise((5000, 3073))
    records[:, 0] = 3
    content = records.tobytes()
    (images, _), most = peak(parse_cifar, content)
    assert np.shares_memory(images, np.frombuffer(content, np.uint8))
    assert most < MB


def test_a_bomb_in_gzip_goes_off_no_further_than_the_expected_size(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(100 * MB)))
    error, most = peak(read_content, path, 4 * MB)
    assert "goes on after offset 4194304" in str(error)
    assert most < 8 * MB + FIXED


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "x",
    [
        noise((3000, 32, 32, 3)),
        noise((2000, 300), np.float64),
        noise((2000, 3, 20, 20), np.float16),
    ],
    ids=["uint8 NHWC", "float64", "float16"],
)
def test_npz_takes_twice_what_is_in_it_or_comes_out_of_it(tmp_path, save, x):
    path = tmp_path / "a.npz"
    labels = np.arange(len(x)) % 10
    save(path, x_train=x, y_train=labels, x_test=x[:10], y_test=labels[:10], more=x)
    with pytest.warns(UserWarning, match="not read: more"):
        train, most = peak(load, f"npz:{path}")
    assert len(train) == len(x)
    assert most <= 2 * max(x.nbytes, train.images.nbytes) + FIXED


def test_an_npz_that_is_not_what_it_says_takes_no_more_than_it_holds(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=noise(8 * MB), y=np.zeros(8 * MB, np.uint8))  # one dimension too few
    error, most = peak(load, f"npz:{path}")
    assert "x has shape" in str(error)
    assert most <= 16 * MB + FIXED
    np.savez(path, x=noise((8, 8)), y=noise(8 * MB))  # a label for every byte
    error, most = peak(load, f"npz:{path}")
    assert "8 rows, but y has" in str(error)
    assert most <= 16 * MB + FIXED


@pytest.mark.parametrize("colours", [1, 3])
def test_a_folder_takes_twice_its_pixels(tmp_path, colours):
    Image = pytest.importorskip("PIL.Image", reason="Pillow (the extra `images`) is not installed")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(20):
            pixels = np.repeat(noise((400, 400, 1)), colours, axis=2).squeeze()
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png", compress_level=1)
    load_folder(tmp_path)  # Pillow's modules are imported by then
    train, most = peak(load_folder, tmp_path, "train", None, 0.0)
    assert train.images.shape == (40, colours, 400, 400)
    assert most <= 2 * train.images.nbytes + FIXED
