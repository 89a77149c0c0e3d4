"""Networks that PyTorch exported, by either exporter, predict and train as they do there."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import numpy as np
import pytest

import tinynet
from tinynet import optim
from tinynet.nn import functional as F

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
import torch
from torch import nn
from torch.nn import functional as T


class LeNet(nn.Module):
    """Max-pools, a reshape that follows the batch, dense layers."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 8, 3)
        self.fc1, self.fc2 = nn.Linear(72, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = T.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = T.max_pool2d(torch.relu(self.conv2(x)), 2, ceil_mode=True)
        return self.fc2(torch.relu(self.fc1(x.view(x.size(0), -1))))


class Residual(nn.Module):
    """Batch norms that are all alike at first, a sum, a global mean."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(8) for _ in range(3))
        self.conv1, self.conv2 = (nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(2))
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.stem(x)))
        x = torch.relu(x + self.bn3(self.conv2(torch.relu(self.bn2(self.conv1(x))))))
        return self.fc(torch.flatten(T.adaptive_avg_pool2d(x, 1), 1))


class Separable(nn.Module):
    """Depthwise convolutions, norms over groups, activations with a weight, a tied layer."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.GroupNorm(2, 8), nn.PReLU(8),
            nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.GroupNorm(4, 8), nn.GELU(),
            nn.Conv2d(8, 16, 1), nn.Hardswish(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.twice, self.fc = nn.Conv2d(16, 16, 1), nn.Linear(16, 10)

    def forward(self, x):
        x = self.layers(x)
        x = self.twice(T.silu(self.twice(x)))
        return self.fc(x.mean((2, 3)))


class Hourglass(nn.Module):
    """Down and up again: transposed convolutions, images of another size, parts joined."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = nn.Conv2d(1, 6, 4, stride=2, padding=1), nn.Conv2d(6, 6, 3)
        self.norm = nn.InstanceNorm2d(6, affine=True)
        self.up = nn.ConvTranspose2d(6, 6, 3, stride=2, output_padding=1)
        self.out, self.scale = nn.Conv2d(13, 10, 3), nn.Parameter(torch.ones(10))

    def forward(self, x):
        down = T.leaky_relu(self.down(x), 0.2)
        up = self.up(T.elu(self.norm(self.deep(down))))
        up = T.interpolate(up, size=(16, 16), mode="bilinear", align_corners=False)
        wide = T.interpolate(down, scale_factor=2, mode="nearest")
        y = self.out(torch.cat([T.pad(x, (0, 0, 0, 0)), up, wide], 1))
        return y.amax((2, 3)) * self.scale


class Attention(nn.Module):
    """Patches that look at each other: products of matrices, layer norm, pieces, a softmax."""

    def __init__(self):
        super().__init__()
        self.patch, self.place = nn.Conv2d(1, 12, 4, stride=4), nn.Parameter(torch.zeros(1, 16, 12))
        self.norm1, self.norm2 = nn.LayerNorm(12), nn.LayerNorm(12)
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)
        self.fc = nn.Linear(12, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        x = x + self.proj(torch.softmax(q @ k.transpose(1, 2) / 12**0.5, -1) @ v)
        return self.fc(self.norm2(x)[:, 1:].mean(1))


class Normed(nn.Module):
    """Weights that are made of others, norms that are spelled out, and one that looks like them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3))
        self.norm1, self.norm2 = nn.GroupNorm(2, 4), nn.GroupNorm(4, 4)
        self.norm3, self.norm4 = nn.InstanceNorm2d(4, affine=True), nn.LayerNorm(2)
        self.fc = nn.Linear(196, 10)

    def forward(self, x):
        x = torch.relu(self.norm3(self.norm1(self.conv(x))))
        x = T.avg_pool2d(self.norm2(x), 2)
        return self.fc(x.flatten(1)) + self.norm4(x[:, 0, 0, :2]).sum(1, keepdim=True)


NETS = [LeNet, Residual, Separable, Hourglass, Attention, Normed]


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1, 16, 16)).astype(np.float32)
    return x, rng.integers(0, 10, n)


def exported(net, path, exporter, training, **settings):
    """The file that PyTorch writes of a net, and what tinynet makes of it."""
    net.train(training)
    x = torch.tensor(images(2)[0])
    if exporter == "script":
        mode = torch.onnx.TrainingMode
        settings.update(dynamo=False, training=mode.TRAINING if training else mode.EVAL)
        settings.update(input_names=["x"], dynamic_axes={"x": {0: "n"}})
    else:
        settings.update(dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},), verbose=False)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporters' own
            torch.onnx.export(net, (x,), str(path), **settings)
    finally:
        logging.disable(logging.NOTSET)
    return tinynet.onnx.load(path)


def assert_predict_alike(ours, theirs, tolerance=1e-5):
    theirs.eval(), ours.eval()
    x, _ = images(5, seed=7)
    with torch.no_grad():
        expected = theirs(torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours(x).numpy(), expected, rtol=tolerance, atol=tolerance)


def three_steps(ours, theirs):
    """Three steps of SGD on both; the losses agree."""
    theirs.train(), ours.train()
    one = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    two = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
    for step in range(3):
        x, target = images(8, seed=step)
        their_loss = T.cross_entropy(theirs(torch.tensor(x)), torch.tensor(target))
        our_loss = F.cross_entropy(ours(x), target)
        assert our_loss.item() == pytest.approx(their_loss.item(), abs=1e-4)
        for optimizer, loss in ((one, their_loss), (two, our_loss)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("kind", NETS)
def test_a_net_predicts_and_trains_as_in_pytorch(kind, exporter, tmp_path):
    torch.manual_seed(0)
    theirs = kind()
    keep = {"do_constant_folding": False} if exporter == "script" else {"optimize": False}
    ours = exported(theirs, tmp_path / "net.onnx", exporter, training=True, **keep)
    names = {name for name, _ in theirs.named_parameters()}
    assert {name for name, _ in ours.named_parameters()} == names
    assert_predict_alike(ours, theirs)
    three_steps(ours, theirs)
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        if "num_batches" not in name:
            np.testing.assert_allclose(
                state[name].numpy(), tensor.numpy(), rtol=1e-4, atol=1e-4, err_msg=name
            )
    assert_predict_alike(ours, theirs, 1e-4)


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
@pytest.mark.parametrize("kind", [net for net in NETS if net is not Residual])
def test_so_does_one_that_was_exported_for_use(kind, exporter, tmp_path):
    torch.manual_seed(0)
    theirs = kind()
    ours = exported(theirs, tmp_path / "net.onnx", exporter, training=False)
    assert_predict_alike(ours, theirs)
    three_steps(ours, theirs)
    assert_predict_alike(ours, theirs, 1e-4)


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_folded_batch_norm_is_reported(exporter, tmp_path):
    torch.manual_seed(0)
    theirs = Residual()
    ours = exported(theirs, tmp_path / "net.onnx", exporter, training=False)
    assert_predict_alike(ours, theirs)
    assert "batch norm" in ours.report
    assert "folded into" in ours.report


class Alike(nn.Module):
    """Layers whose weights and statistics are equal at first, and not after convolutions."""

    def __init__(self):
        super().__init__()
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(1) for _ in range(3))
        self.fc, self.norm1, self.norm2 = nn.Linear(256, 10), nn.LayerNorm(256), nn.LayerNorm(10)

    def forward(self, x):
        x = torch.sigmoid(self.bn2(torch.relu(self.bn1(x)))) + self.bn3(torch.tanh(x))
        return self.norm2(self.fc(self.norm1(x.flatten(1))))


@pytest.mark.parametrize("exporter", ["script", "dynamo"])
def test_what_is_stored_once_for_being_equal_is_trained_apart(exporter, tmp_path):
    torch.manual_seed(0)
    theirs = Alike()
    ours = exported(theirs, tmp_path / "net.onnx", exporter, training=False)
    assert "stored once" in ours.report
    buffers = {name for name, _ in ours.named_buffers() if "running" in name}
    assert buffers == {name for name, _ in theirs.named_buffers() if "running" in name}
    three_steps(ours, theirs)
    state = ours.state_dict()
    for name, tensor in theirs.state_dict().items():
        if "num_batches" not in name and name != "fc.weight":
            np.testing.assert_allclose(state[name].numpy(), tensor.numpy(), rtol=1e-4, atol=1e-4)
    assert_predict_alike(ours, theirs, 1e-4)
