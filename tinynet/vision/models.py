"""torchvision's nets that a CPU can train, by its names: the ResNets and the VGG family.

The parameters have torchvision's names too, so that its weights fit. tinynet brings no trained
weights: download them from their makers and load them with `load_state_dict`. Smaller nets are in
`tinynet.models`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet import nn
from tinynet.aliases import NOT_HERE, Missing
from tinynet.errors import no_attribute
from tinynet.models.resnet import BasicBlock, Bottleneck, conv, stage
from tinynet.models.vgg import vgg
from tinynet.nn.pool import fused

__all__ = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg11", "vgg11_bn", "vgg13",
    "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip


class _Net(nn.Sequential):
    """Layers in a row, torchvision's children; images become vectors before the last of them."""

    def forward(self, x: Any) -> Any:
        *body, last = self
        for layer in fused(iter(body)):
            x = layer(x)
        return last(x.flatten(1))


def _net(name: str, doc: str, make: Callable[..., nn.Sequential]) -> Callable[..., nn.Sequential]:
    """torchvision's function of that name; make(num_classes, **settings) makes the net."""

    def model(
        *,
        weights: Any = None,
        progress: bool = True,
        num_classes: int = 1000,
        pretrained: bool = False,
        **settings: Any,
    ) -> nn.Sequential:
        if weights or pretrained:
            raise ValueError(
                f"{name}: tinynet brings no trained weights; load a file with load_state_dict"
            )
        named = make(num_classes, **settings).named_children()
        return _Net({name: layer for name, layer in named if not isinstance(layer, nn.Flatten)})

    model.__name__ = model.__qualname__ = make.__qualname__ = name
    model.__doc__ = doc
    return model


def _resnet(layers: int, block: type[BasicBlock], *depths: int) -> Callable[..., nn.Sequential]:
    def make(num_classes: int) -> nn.Sequential:
        stages, before = {}, 64
        for k, n in enumerate(depths):
            stages[f"layer{k + 1}"] = stage(
                n, before, 64 * 2**k, 2 if k else 1, projection=True, block=block
            )
            before = 64 * 2**k * block.widening
        return nn.Sequential(
            {
                "conv1": conv(3, 64, 7, 2, None),
                "bn1": nn.BatchNorm2d(64),
                "relu": nn.ReLU(),
                "maxpool": nn.MaxPool2d(3, 2, padding=1),
                **stages,
                "avgpool": nn.AdaptiveAvgPool2d(1),
                "fc": nn.Linear(before, num_classes),
            }
        )

    doc = f"""ResNet-{layers}: x (N, 3, H, W) -> scores (N, num_classes).

    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1.
    """
    return _net(f"resnet{layers}", doc, make)


resnet18 = _resnet(18, BasicBlock, 2, 2, 2, 2)
resnet34 = _resnet(34, BasicBlock, 3, 4, 6, 3)
resnet50 = _resnet(50, Bottleneck, 3, 4, 6, 3)
resnet101 = _resnet(101, Bottleneck, 3, 4, 23, 3)
resnet152 = _resnet(152, Bottleneck, 3, 8, 36, 3)


def _vgg(name: str) -> Callable[..., nn.Sequential]:
    def make(num_classes: int, dropout: float = 0.5) -> nn.Sequential:
        plan, batch_norm = name.removesuffix("_bn"), name.endswith("_bn")
        return vgg(plan, num_classes, 3, None, batch_norm, dropout, None)

    doc = f"{name}, for images (N, 3, H, W) from 32x32 on, dropout=0.5; see `tinynet.models.vgg`."
    return _net(name, doc, make)


vgg11, vgg11_bn = _vgg("vgg11"), _vgg("vgg11_bn")
vgg13, vgg13_bn = _vgg("vgg13"), _vgg("vgg13_bn")
vgg16, vgg16_bn = _vgg("vgg16"), _vgg("vgg16_bn")
vgg19, vgg19_bn = _vgg("vgg19"), _vgg("vgg19_bn")


def __getattr__(name: str) -> Any:
    if name.endswith("_Weights"):  # which many scripts import; a model refuses to be made with them
        return Missing(f"vision.models.{name}", NOT_HERE["hub"])
    raise no_attribute(__name__, name, __all__)
