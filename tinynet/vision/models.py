"""torchvision's nets that a CPU can train, by its names: the ResNets and the VGG family.

The parameters have torchvision's names too, so that its weights fit. tinynet brings no trained
weights: download them from their makers and load them with `load_state_dict`. Smaller nets are in
`tinynet.models`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from tinynet import nn
from tinynet.aliases import NOT_HERE, Missing
from tinynet.errors import no_attribute
from tinynet.models.resnet import BasicBlock, conv, stage
from tinynet.models.vgg import classifier, features
from tinynet.nn.pool import fused

__all__ = [
    "VGG", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg11",
    "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class Bottleneck(BasicBlock):
    """The 3x3 convolution stands between two of 1x1; the output has 4 times `planes`."""

    expansion = 4

    def _add_layers(self, inplanes: int, planes: int, stride: int, rng: Any) -> None:
        self.conv1 = conv(inplanes, planes, 1, 1, rng)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, stride, rng)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = conv(planes, planes * self.expansion, 1, 1, rng)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU()

    def _residual(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))


class ResNet(nn.Module):
    """Residual blocks in four stages, of `layers` blocks each: x (N, 3, H, W) -> (N, num_classes).

    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1.
    """

    def __init__(
        self, block: type[BasicBlock], layers: Sequence[int], num_classes: int = 1000
    ) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, 7, 2, None)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        width = 64
        for k, (n, planes) in enumerate(zip(layers, (64, 128, 256, 512), strict=True)):
            blocks = stage(n, width, planes, 2 if k else 1, projection=True, block=block)
            self.add_module(f"layer{k + 1}", blocks)
            width = planes * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width, num_classes)
        _start(self)

    def forward(self, x: Any) -> Any:
        stem = fused([self.conv1, self.bn1, self.relu, self.maxpool])
        for part in (*stem, self.layer1, self.layer2, self.layer3, self.layer4, self.avgpool):
            x = part(x)
        return self.fc(x.flatten(1))


class VGG(nn.Module):
    """`features`, their mean over 7x7 parts, and a classifier: see `tinynet.models.vgg`."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = classifier(49, num_classes, dropout, None)
        _start(self)
        for layer in self.classifier[::3]:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _start(net: nn.Module) -> None:
    """torchvision's initial weights of convolutions: as He et al. 2015, by what goes out."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _net(name: str, make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """torchvision's function of that name; make(**settings) makes the net."""

    def model(
        weights: Any = None, progress: bool = True, pretrained: bool = False, **settings: Any
    ) -> nn.Module:
        if weights or pretrained:
            raise ValueError(
                f"{name}: tinynet brings no trained weights; load a file with load_state_dict"
            )
        return make(**settings)

    model.__name__ = model.__qualname__ = name
    model.__doc__ = f"{name} for images (N, 3, H, W) from 32x32 on, num_classes=1000."
    return model


def _resnet(block: type[BasicBlock], *layers: int) -> Callable[..., nn.Module]:
    name = f"resnet{2 + (2 if block is BasicBlock else 3) * sum(layers)}"
    return _net(name, lambda **settings: ResNet(block, layers, **settings))


def _vgg(plan: str, batch_norm: bool) -> Callable[..., nn.Module]:
    name = f"{plan}_bn" if batch_norm else plan
    return _net(name, lambda **settings: VGG(features(plan, 3, batch_norm, None), **settings))


resnet18, resnet34 = _resnet(BasicBlock, 2, 2, 2, 2), _resnet(BasicBlock, 3, 4, 6, 3)
resnet50, resnet101 = _resnet(Bottleneck, 3, 4, 6, 3), _resnet(Bottleneck, 3, 4, 23, 3)
resnet152 = _resnet(Bottleneck, 3, 8, 36, 3)
vgg11, vgg11_bn = _vgg("vgg11", False), _vgg("vgg11", True)
vgg13, vgg13_bn = _vgg("vgg13", False), _vgg("vgg13", True)
vgg16, vgg16_bn = _vgg("vgg16", False), _vgg("vgg16", True)
vgg19, vgg19_bn = _vgg("vgg19", False), _vgg("vgg19", True)


def __getattr__(name: str) -> Any:
    if name in ("resnet", "vgg"):  # torchvision's modules of them
        return sys.modules[__name__]
    if name.endswith("_Weights"):  # which many scripts import; a model refuses to be made with them
        return Missing(f"vision.models.{name}", NOT_HERE["hub"])
    raise no_attribute(__name__, name, __all__)
