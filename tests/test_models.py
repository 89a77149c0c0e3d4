"""Models: the papers' numbers of parameters, the sizes they take, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.errors import ShapeError
from tinynet.nn import functional as F


def rng(seed=0):
    return np.random.default_rng(seed)


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "parameters"),
    [
        ("lenet5", {}, 61_706),
        ("digits_cnn", {}, 25_978),
        ("digits_cnn", {"image_size": 28}, 54_778),
        ("resnet8", {}, 75_290),
        ("resnet20", {}, 269_722),
        ("vgg11", {}, 132_863_336),
        ("vgg13", {}, 133_047_848),
        ("vgg16", {}, 138_357_544),
        ("vgg19", {}, 143_667_240),
        ("vgg16", {"image_size": 32, "num_classes": 10, "batch_norm": True}, 33_646_666),
    ],
)
def test_models_have_the_parameters_of_the_papers(name, settings, parameters, monkeypatch):
    monkeypatch.setattr(
        nn.init, "uniform_", lambda tensor, *args: tensor
    )  # sizes matter, not values
    assert count(models.build(name, **settings)) == parameters


SMALL = ["digits_cnn", "lenet5", "resnet8", "resnet20"]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (2, (20, 25))])
def test_small_models_take_any_channels_classes_and_sizes(name, channels, size):
    model = models.build(name, num_classes=7, in_channels=channels, image_size=size, rng=rng())
    H, W = size if isinstance(size, tuple) else (size, size)
    x = tinynet.randn(2, channels, H, W, rng=rng())
    scores = model(x)
    assert scores.shape == (2, 7)
    scores.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_vgg_takes_small_images_and_batch_norm():
    model = models.vgg11(5, 1, image_size=(32, 64), batch_norm=True, rng=rng()).eval()
    assert model(tinynet.randn(1, 1, 32, 64, rng=rng())).shape == (1, 5)
    assert [name for name, _ in model.named_children()] == ["features", "flatten", "classifier"]


@pytest.mark.parametrize(
    ("name", "size", "least"),
    [("lenet5", 11, 12), ("digits_cnn", 3, 4), ("resnet8", 3, 4), ("vgg16", 28, 32)],
)
def test_an_image_that_is_too_small_is_refused_by_name(name, size, least):
    words = f"{name}: image_size must be at least {least}, got {size}"
    with pytest.raises(ValueError, match=words):
        models.build(name, image_size=size)
    if least < 32:
        smallest = models.build(name, in_channels=1, image_size=least)
        assert smallest.eval()(tinynet.zeros(1, 1, least, least)).shape == (1, 10)


def test_lenet_has_the_papers_layers():
    model = models.lenet5(image_size=32)
    layers = dict(model.named_children())
    assert layers["c1"].padding == (0, 0)
    assert layers["c5"].in_features == 400
    assert models.lenet5().get_submodule("c1").padding == (2, 2)


def test_the_same_generator_builds_the_same_model():
    for name in SMALL:
        first, second = (models.build(name, rng=rng(5)).state_dict() for _ in range(2))
        for key, values in first.items():
            np.testing.assert_array_equal(values, second[key])


def test_an_unknown_model_lists_the_known():
    with pytest.raises(ValueError, match="unknown model 'lenet'; did you mean 'lenet5'"):
        models.build("lenet")
    assert models.names()[0] == "digits_cnn"
    assert set(models.names()) == {
        "digits_cnn", "lenet5", "resnet8", "resnet20", "vgg11", "vgg13", "vgg16", "vgg19",
    }  # fmt: skip


def test_wrong_images_are_explained_with_the_layer():
    with pytest.raises(ShapeError) as caught:
        models.lenet5()(tinynet.zeros(4, 1, 32, 32))
    assert str(caught.value).startswith(
        "Linear(in_features=400): the input has 576 features (N=4, after Flatten of 16x6x6). "
        "Use in_features=576.\n  raised in layer 'c5' (Linear)\n"
    )
    model = models.resnet8()
    model.get_submodule("stage2").register_forward_pre_hook(lambda module, args: args[0][:, :3])
    with pytest.raises(ShapeError, match=r"layer 'stage2.0.conv1' \(Conv2d\)"):
        model(tinynet.zeros(2, 3, 8, 8))


def test_the_shortcut_takes_every_second_pixel_and_fills_new_channels_with_zero():
    x = tinynet.randn(2, 3, 4, 4, rng=rng())
    y = models.resnet.Shortcut(extra_channels=3, stride=2)(x).numpy()
    np.testing.assert_array_equal(y[:, :3], x.numpy()[:, :, ::2, ::2])
    assert (y[:, 3:] == 0).all()


def test_residual_blocks_start_near_the_identity_of_their_input():
    block = models.resnet.BasicBlock(4, 4, rng=rng()).eval()
    block.bn2.weight.array[:] = 0
    x = tinynet.rand(2, 4, 5, 5, rng=rng())
    np.testing.assert_allclose(block(x).numpy(), x.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", ["digits_cnn", "lenet5", "resnet8"])
def test_a_model_learns_a_small_batch_by_heart(name):
    generator = rng(1)
    model = models.build(name, in_channels=1, image_size=16, rng=generator)
    x = tinynet.randn(16, 1, 16, 16, rng=generator)
    y = np.arange(16) % 10
    parameters = list(model.parameters())
    speeds = [np.zeros_like(p.array) for p in parameters]
    for _ in range(60):
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        for p, v in zip(parameters, speeds):
            v *= 0.9
            v += p.grad.array
            p.array -= 0.03 * v
    assert loss.item() < 0.1
    assert (model(x).numpy().argmax(1) == y).all()
