"""tinynet.vision: data sets, grids and image files, models."""

from __future__ import annotations

import importlib.util
import io
import sys
import zlib

import numpy as np
import pytest
from small_sets import (
    CIFAR,
    CONTENTS,
    cifar_archive,
    gz,
    use_small_cifar10,
    use_small_mnist,
    write_small_mnist,
)

import tinynet
from tinynet import data
from tinynet.errors import DataError, ShapeError
from tinynet.utils.data import ConcatDataset, DataLoader, Subset, default_collate
from tinynet.vision import datasets, models, transforms, utils

needs_pillow = pytest.mark.skipif(importlib.util.find_spec("PIL") is None, reason="needs Pillow")
TO_TENSOR = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])


@pytest.fixture
def mnist_root(tmp_path, monkeypatch):
    use_small_mnist(monkeypatch)
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    write_small_mnist(tmp_path)
    return tmp_path


@pytest.fixture(params=["with Pillow", "without"])
def either(request, monkeypatch):
    """With and without Pillow."""
    if request.param == "without":
        from tinynet.vision.transforms import images

        images.pillow.cache_clear()
        monkeypatch.setitem(sys.modules, "PIL", None)
        monkeypatch.delitem(sys.modules, "PIL.Image", raising=False)
        yield False
        monkeypatch.undo()
        images.pillow.cache_clear()
    else:
        pytest.importorskip("PIL")
        yield True


# ----- data sets ----------------------------------------------------------------------------------


@needs_pillow
def test_mnist_has_torchvisions_attributes(mnist_root):
    train = datasets.MNIST(mnist_root)
    assert (len(train), train.train) == (20, True)
    assert train.data.shape == (20, 28, 28)
    assert train.data.dtype == np.uint8
    assert train.targets.dtype == np.int64
    assert train.classes[1] == "1 - one"
    assert train.class_to_idx["1 - one"] == 1
    image, label = train[3]
    assert (image.size, image.mode) == ((28, 28), "L")
    assert type(label) is int
    assert np.array_equal(np.asarray(image), train.data[3].array)
    assert len(datasets.MNIST(mnist_root, train=False)) == 8
    changed = datasets.MNIST(mnist_root, True, TO_TENSOR, target_transform=lambda k: k + 100)
    x, y = changed[-1]
    assert x.shape == (1, 28, 28)
    assert y == int(train.targets[-1]) + 100
    assert "MNIST(20 examples" in repr(train)


def test_a_loader_gets_batches_with_and_without_pillow(mnist_root, either):
    """What is made at once is what is made one by one."""
    plain = datasets.MNIST(mnist_root, transform=TO_TENSOR)
    one_by_one = datasets.MNIST(mnist_root, transform=transforms.Lambda(TO_TENSOR))
    own = datasets.MNIST(mnist_root, transform=TO_TENSOR, target_transform=int)
    reference = [(x.array, y.array) for x, y in DataLoader(one_by_one, 8)]
    assert reference[0][0].shape == (8, 1, 28, 28)
    assert reference[0][1].dtype == np.int64
    for dataset in (plain, own, Subset(plain, range(20)), ConcatDataset([plain])):
        for (x, y), (expected, labels) in zip(DataLoader(dataset, 8), reference, strict=True):
            np.testing.assert_array_equal(x.array, expected)
            np.testing.assert_array_equal(y.array, labels)


def test_changed_data_and_classes_of_ones_own_are_seen(mnist_root):
    few = datasets.MNIST(mnist_root, transform=TO_TENSOR)
    few.data, few.targets = few.data[:5], few.targets[:5]
    assert sum(len(y) for _, y in DataLoader(few, 2)) == 5

    class Numbered(datasets.MNIST):
        def __getitem__(self, index):
            return index, super().__getitem__(index)[1]

    numbers, _ = next(iter(DataLoader(Numbered(mnist_root, transform=TO_TENSOR), 4)))
    assert numbers.tolist() == [0, 1, 2, 3]


@needs_pillow
def test_an_image_without_to_tensor_gets_the_cure(mnist_root):
    for transform in (None, transforms.Pad(1)):
        loader = DataLoader(datasets.MNIST(mnist_root, transform=transform), 4)
        with pytest.raises(TypeError, match=r"PIL.Image.Image. Put ToTensor\(\)"):
            next(iter(loader))


def test_files_are_found_where_torchvision_and_tinynet_put_them(tmp_path, monkeypatch):
    use_small_mnist(monkeypatch)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"MNIST: not found in .*raw, .*mnist, .*download=True"):
        datasets.MNIST(tmp_path / "a")
    with pytest.raises(DataError, match="cannot download train-images"):
        datasets.MNIST(tmp_path / "a", download=True)
    write_small_mnist(tmp_path / "cache")
    assert len(datasets.MNIST(tmp_path / "a", download=True)) == 20
    raw = tmp_path / "b" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (raw / name).write_bytes(content)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / "none"))
    assert len(datasets.MNIST(str(tmp_path / "b"), train=False)) == 8


@pytest.mark.parametrize("place", ["cifar10/{}", "cifar-10-batches-bin/{}", "archive"])
def test_cifar10_is_an_array_and_a_list(tmp_path, monkeypatch, place):
    use_small_cifar10(monkeypatch)
    if place == "archive":
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(cifar_archive())
    for name, content in CIFAR.items() if place != "archive" else ():
        path = tmp_path / place.format(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gz(content) if name == "nothing" else content)
    train = datasets.CIFAR10(tmp_path, transform=TO_TENSOR)
    assert train.data.shape == (15, 32, 32, 3)
    assert isinstance(train.targets, list)
    assert train.classes[:2] == ["airplane", "automobile"]
    x, y = next(iter(DataLoader(train, 15)))
    by_name = data.load("cifar10", root=tmp_path) if place == "cifar10/{}" else None
    assert x.shape == (15, 3, 32, 32)
    assert x.array.flags.c_contiguous
    assert y.tolist() == train.targets
    if by_name:
        np.testing.assert_allclose(x.array, by_name.images / 127.5 - 1, atol=1e-6)


def test_cifar100_has_the_finer_label_last():
    record = bytes([3, 77]) + bytes(3072)
    images, labels = data.idx.parse_cifar(record, 100)
    assert (images.shape, labels.tolist()) == ((1, 3, 32, 32), [77])


def test_fake_data_is_always_the_same(either):
    fake = datasets.FakeData(6, (3, 8, 8), 4, transforms.ToTensor())
    x, y = default_collate([fake[i] for i in range(6)])
    assert x.shape == (6, 3, 8, 8)
    assert max(y.tolist()) < 4
    np.testing.assert_array_equal(fake[3][0].array, x[3].array)
    assert len(list(fake)) == 6


@needs_pillow
def test_image_folders_have_samples_and_classes(tmp_path):
    from PIL import Image

    for k, name in enumerate(("dog/a.png", "cat/b.jpg", "cat/more/c.png", "cat/notes.txt")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
        else:
            Image.new("L", (5, 4), 40 * k).save(path)
    folder = datasets.ImageFolder(tmp_path, transforms.ToTensor())
    assert folder.classes == ["cat", "dog"]
    assert folder.class_to_idx == {"cat": 0, "dog": 1}
    assert [(path[-5:], label) for path, label in folder.imgs] == [
        ("b.jpg", 0), ("c.png", 0), ("a.png", 1),
    ]  # fmt: skip
    assert folder.targets == [0, 0, 1]
    x, _ = next(iter(DataLoader(folder, 3)))
    assert x.shape == (3, 3, 4, 5)
    named = datasets.ImageFolder(
        tmp_path, loader=str, is_valid_file=lambda path: not path.endswith(".jpg")
    )
    assert named[0][0].endswith("notes.txt")
    with pytest.raises(DataError, match="no images in dog; expected ROOT/CLASS"):
        datasets.ImageFolder(tmp_path, is_valid_file=lambda path: "cat" in path)
    with pytest.raises(DataError, match="no such folder"):
        datasets.ImageFolder(tmp_path / "none")
    (tmp_path / "cat" / "b.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"b\.jpg: cannot be read as an image: it is none of PNG"):
        folder[0]


# ----- grids and files ----------------------------------------------------------------------------


def test_a_grid_has_a_frame_around_each_image():
    x = tinynet.arange(6).reshape(3, 1, 1, 2)
    grid = utils.make_grid(x, nrow=2, padding=1, pad_value=9)
    assert grid.shape == (3, 5, 7)
    assert grid[0].tolist() == [[9] * 7, [9, 0, 1, 9, 2, 3, 9], [9] * 7, [9, 4, 5, 9, 9, 9, 9],
                                [9] * 7]  # fmt: skip
    assert utils.make_grid([x[0], x[1]]).shape == (3, 5, 10)
    assert utils.make_grid(x[0, 0]).shape == (3, 1, 2)
    with pytest.raises(ShapeError, match=r"got shape \(2,\)"):
        utils.make_grid(x[0, 0, 0])


def test_a_grid_may_be_scaled():
    x = tinynet.tensor(np.array([[[[0.0, 2.0]]], [[[2.0, 4.0]]]]))
    for options, expected in (
        ({}, [0, 0.5, 0.5, 1]),
        ({"scale_each": True}, [0, 1, 0, 1]),
        ({"value_range": (1, 3)}, [0, 0.5, 0.5, 1]),
    ):
        grid = utils.make_grid(x, padding=0, normalize=True, **options)
        assert grid[0, 0].tolist() == expected


@needs_pillow
def test_saved_images_are_read_again(tmp_path):
    from PIL import Image

    x = np.random.default_rng(0).random((3, 5, 4)).astype(np.float32)
    stream = io.BytesIO()
    utils.save_image(tinynet.tensor(x), stream)
    utils.save_image(tinynet.tensor(x), tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes() == stream.getvalue()
    read = np.asarray(Image.open(stream))
    np.testing.assert_array_equal(read, np.rint(x * 255 + 1e-4).transpose(1, 2, 0))
    utils.save_image(tinynet.tensor(x), str(tmp_path / "x.jpg"))
    with Image.open(tmp_path / "x.jpg") as image:
        assert image.size == (4, 5)


def test_png_files_are_whole_without_pillow():
    content = utils.png(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    start = content.index(b"IDAT") + 4
    assert zlib.decompress(content[start:-16]) == bytes(
        [0, 0, 4, 8, 1, 5, 9, 0, 2, 6, 10, 3, 7, 11]
    )


# ----- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "last"),
    [("resnet18", 11_689_512, 512), ("resnet34", 21_797_672, 512), ("resnet50", 25_557_032, 2048)],
)
def test_resnets_are_the_papers(name, parameters, last):
    model = getattr(models, name)()
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert "layer2.0.downsample.1.running_mean" in model.state_dict()
    assert model.fc.in_features == last
    model.fc = tinynet.nn.Linear(last, 3)
    assert model(tinynet.zeros(2, 3, 40, 33)).shape == (2, 3)


def test_vgg_takes_images_of_any_size(monkeypatch):
    monkeypatch.setattr("tinynet.models.vgg.WIDTHS", (4, 4, 4, 4, 4))
    model = models.vgg11_bn(weights=None, num_classes=2).eval()
    assert model.classifier[0].in_features == 4 * 7 * 7
    assert model(tinynet.zeros(1, 3, 32, 40)).shape == (1, 2)
    assert models.vgg16.__name__ == "vgg16"


def test_mobilenet_has_the_parameters_of_torchvisions():
    model = models.mobilenet_v2()
    assert sum(p.numel() for p in model.parameters()) == 3_504_872
    names = list(model.state_dict())
    assert names[0] == "features.0.0.weight"
    assert {"features.1.conv.1.weight", "features.18.1.running_var", "classifier.1.bias"} < {*names}
    narrow = models.mobilenet_v2(num_classes=3, width_mult=0.25)
    assert narrow(tinynet.randn(2, 3, 32, 32)).shape == (2, 3)


def test_features_are_extracted_from_inside_a_model():
    from tinynet.vision.models.feature_extraction import create_feature_extractor

    model = models.resnet18(num_classes=4).eval()
    nodes = {"layer1.0.relu_1": "early", "fc": "scores"}
    extractor, x = create_feature_extractor(model, nodes), tinynet.randn(1, 3, 32, 32)
    parts = extractor(x)
    assert list(extractor.state_dict()) == list(model.state_dict())
    assert parts["early"].shape == (1, 64, 8, 8)
    assert parts["scores"].tolist() == model(x).tolist()
    assert list(create_feature_extractor(model, ["layer2"])(x)) == ["layer2"]
    assert not model.training
    extractor.train()(tinynet.randn(2, 3, 32, 32))
    assert model.training
    with pytest.raises(ValueError, match="did you mean 'layer4'"):
        create_feature_extractor(model, ["layer_1"])
    with pytest.raises(ValueError, match="fc_1 did not run"):
        create_feature_extractor(model.eval(), ["fc_1"])(x)


@pytest.mark.parametrize("settings", [{"weights": "DEFAULT"}, {"pretrained": True}])
def test_trained_weights_are_not_there(settings):
    for model in (models.resnet18, models.vgg11):
        with pytest.raises(ValueError, match="brings no trained weights"):
            model(**settings)


def test_vision_has_what_it_names():
    import tinynet.vision

    assert tinynet.vision.transforms is transforms
    with pytest.raises(AttributeError, match="has no attribute 'io'"):
        tinynet.vision.io  # noqa: B018
