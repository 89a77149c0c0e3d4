"""The nets that are measured, written once for both frameworks.

tinynet's layers have PyTorch's names and arguments, so a net is a function of the module `nn`,
which is `tinynet.nn` or `torch.nn`, and returns the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def lenet(nn: Any) -> Any:
    """LeNet-5 with ReLU and max-pooling (LeCun et al., 1998), padded to keep 28x28 at first."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def small(nn: Any) -> Any:
    """Two convolutions of few channels, each with a pool, and one linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    )


def mnist(nn: Any) -> Any:
    """The net of PyTorch's MNIST example, without its dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def vgg(nn: Any) -> Any:
    """Two blocks in the manner of VGG, for images of 3x32x32."""
    layers = []
    for before, channels in ((3, 32), (32, 64)):
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))


def vgg16(nn: Any) -> Any:
    """VGG-16 (Simonyan, Zisserman, 2015) for 3x224x224 and 1,000 classes."""
    layers: list[Any] = []
    before = 3
    for channels, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()]
    layers += [nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class Net:
    """How to build a net, the shape of one image (C, H, W), and how many classes there are."""

    build: Callable[[Any], Any]
    image: tuple[int, int, int]
    classes: int = 10


NETS = {
    "lenet": Net(lenet, (1, 28, 28)),
    "small": Net(small, (1, 28, 28)),
    "mnist": Net(mnist, (1, 28, 28)),
    "vgg": Net(vgg, (3, 32, 32)),
    "vgg16": Net(vgg16, (3, 224, 224), 1000),
}


def stack(nn: Any, channels: int, depth: int, side: int) -> Any:
    """`depth` convolutions of equal channels and image size, then the mean and a linear layer."""
    layers: list[Any] = []
    for _ in range(depth):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(side), nn.Flatten(), nn.Linear(channels, 10))


def count_parameters(model: Any) -> int:
    """How many numbers a model of either framework learns."""
    return sum(parameter.numel() for parameter in model.parameters())
