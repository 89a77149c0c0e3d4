"""The benchmarks give PyTorch the same initial weights, and the images in the same order."""

from __future__ import annotations

import struct

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import frameworks, mnist  # noqa: E402
from tinynet.data import ArrayDataset  # noqa: E402

IMAGES = 300


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A few images in place of MNIST's, for either framework's way of reading them."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 1, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, IMAGES, dtype=np.uint8)
    for name, array in (("images-idx3", pixels[:, 0]), ("labels-idx1", labels)):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (tmp_path / f"train-{name}-ubyte").write_bytes(header + array.tobytes())
    monkeypatch.setattr("tinynet.data.load", lambda *_, **__: ArrayDataset(pixels, labels))
    return str(tmp_path)


@pytest.fixture
def both():
    before = torch.get_num_threads()
    yield frameworks.load("tinynet", "numpy", 2), frameworks.load("torch", "contiguous", 2)
    torch.set_num_threads(before)


def test_the_initial_weights_are_the_same(both):
    mine, theirs = (mnist.new_lenet(framework, seed=3).state_dict() for framework in both)
    assert list(mine) == list(theirs)
    for name, values in mine.items():
        assert np.array_equal(np.asarray(values), theirs[name].numpy())
        assert np.asarray(values).std() > 0


def test_the_images_come_in_the_same_order_in_every_epoch(folder, both):
    mine = mnist.tinynet_batches(folder, "train", IMAGES, seed=5)
    theirs = mnist.torch_batches(both[1], folder, "train", IMAGES, seed=5)
    orders = []
    for _ in range(2):
        epoch = list(zip(mine(), theirs(), strict=True))
        for (x, labels), (their_x, their_labels) in epoch:
            np.testing.assert_allclose(np.asarray(x), their_x.numpy(), atol=1e-5)
            assert np.array_equal(np.asarray(labels), their_labels.numpy())
        orders.append(np.concatenate([np.asarray(labels) for (_, labels), _ in epoch]))
    assert not np.array_equal(*orders)
