"""torchvision's nets that a CPU can train, by its names: ResNets, the VGG family, MobileNetV2.

The parameters have torchvision's names too, so that its weights fit. tinynet brings no trained
weights: download them from their makers and load them with `load_state_dict`. Smaller nets are in
`tinynet.models`.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from tinynet import nn
from tinynet.aliases import NOT_HERE, Missing
from tinynet.errors import no_attribute
from tinynet.models.resnet import BasicBlock, conv, stage
from tinynet.models.vgg import DEPTHS, classifier, features
from tinynet.nn.pool import fused
from tinynet.vision.models.mobilenet import MobileNetV2

__all__ = [
    "VGG", "MobileNetV2", "ResNet", "mobilenet_v2", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnet152", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class Bottleneck(BasicBlock):
    """The 3x3 convolution stands between two of 1x1; the output has 4 times `planes`."""

    expansion, sizes, relu_after = 4, (1, 3, 1), 3


class ResNet(nn.Module):
    """Residual blocks in four stages, of `layers` blocks each: x (N, 3, H, W) -> (N, num_classes).

    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1.
    """

    def __init__(self, block: Any, layers: Sequence[int], num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = conv(3, 64, 7, 2, None)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        width = 64
        for k, (n, planes) in enumerate(zip(layers, (64, 128, 256, 512), strict=True)):
            blocks = stage(n, width, planes, 2 if k else 1, projection=True, block=block)
            self.add_module(f"layer{k + 1}", blocks)
            width = planes * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: Any) -> Any:
        stem = fused([self.conv1, self.bn1, self.relu, self.maxpool])
        stages = [getattr(self, f"layer{k}") for k in (1, 2, 3, 4)]
        for part in (*stem, *stages, self.avgpool):
            x = part(x)
        return self.fc(x.flatten(1))


class VGG(nn.Module):
    """`features`, their mean over 7x7 parts, and a classifier: see `tinynet.models.vgg`."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = classifier(49, num_classes, dropout, None)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _net(name: str, make: Callable[..., nn.Module], *args: Any) -> Callable[..., nn.Module]:
    """torchvision's function of that name; make(*args, **settings) makes the net."""

    def model(
        weights: Any = None, progress: bool = True, pretrained: bool = False, **settings: Any
    ) -> nn.Module:
        if weights or pretrained:
            raise ValueError(
                f"{name}: tinynet brings no trained weights; load a file with load_state_dict"
            )
        return make(*args, **settings)

    model.__name__ = model.__qualname__ = name
    model.__doc__ = f"{name} for images (N, 3, H, W) from 32x32 on, num_classes=1000."
    return model


def _vgg(plan: str, batch_norm: bool, **settings: Any) -> VGG:
    return VGG(features(plan, 3, batch_norm, None), **settings)


resnet18 = _net("resnet18", ResNet, BasicBlock, (2, 2, 2, 2))
resnet34 = _net("resnet34", ResNet, BasicBlock, (3, 4, 6, 3))
resnet50 = _net("resnet50", ResNet, Bottleneck, (3, 4, 6, 3))
resnet101 = _net("resnet101", ResNet, Bottleneck, (3, 4, 23, 3))
resnet152 = _net("resnet152", ResNet, Bottleneck, (3, 8, 36, 3))
vgg11, vgg13, vgg16, vgg19 = (_net(plan, _vgg, plan, False) for plan in DEPTHS)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (_net(f"{p}_bn", _vgg, p, True) for p in DEPTHS)
mobilenet_v2 = _net("mobilenet_v2", MobileNetV2)


def __getattr__(name: str) -> Any:
    if name in ("feature_extraction", "resnet", "vgg"):
        return importlib.import_module(f"{__name__}.{name}")
    if name.endswith("_Weights"):  # which many scripts import; a model refuses to be made with them
        return Missing(f"vision.models.{name}", NOT_HERE["hub"])
    raise no_attribute(__name__, name, __all__)
