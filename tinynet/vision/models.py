"""torchvision's nets that a CPU can train: ResNet-18 and -34 and the VGG family, by its names.

The parameters have torchvision's names too, so that its weights fit. tinynet brings no trained
weights: download them from their makers and load them with `load_state_dict`. Smaller nets are in
`tinynet.models`.
"""

from __future__ import annotations

from typing import Any

from tinynet import nn
from tinynet.errors import no_attribute
from tinynet.models.resnet import conv, stage
from tinynet.models.vgg import vgg

__all__ = [
    "resnet18", "resnet34", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19",
    "vgg19_bn",
]  # fmt: skip


def resnet18(
    *, weights: Any = None, progress: bool = True, num_classes: int = 1000, pretrained: bool = False
) -> nn.Sequential:
    """ResNet-18, 11,689,512 parameters.

    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", table 1.
    Shapes: x (N, 3, H, W) -> scores (N, num_classes).
    """
    return _resnet("resnet18", (2, 2, 2, 2), weights or pretrained, num_classes)


def resnet34(
    *, weights: Any = None, progress: bool = True, num_classes: int = 1000, pretrained: bool = False
) -> nn.Sequential:
    """ResNet-34, 21,797,672 parameters; see `resnet18`."""
    return _resnet("resnet34", (3, 4, 6, 3), weights or pretrained, num_classes)


def _resnet(name: str, depths: tuple[int, ...], weights: Any, num_classes: int) -> nn.Sequential:
    _no_weights(name, weights)
    stages = {
        f"layer{k + 1}": stage(n, 64 * 2 ** max(k - 1, 0), 64 * 2**k, 2 if k else 1, None, True)
        for k, n in enumerate(depths)
    }
    return nn.Sequential(
        {
            "conv1": conv(3, 64, 7, 2, None),
            "bn1": nn.BatchNorm2d(64),
            "relu": nn.ReLU(),
            "maxpool": nn.MaxPool2d(3, 2, padding=1),
            **stages,
            "avgpool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "fc": nn.Linear(512, num_classes),
        }
    )


def _vgg(name: str) -> Any:
    def model(
        *,
        weights: Any = None,
        progress: bool = True,
        num_classes: int = 1000,
        dropout: float = 0.5,
        pretrained: bool = False,
    ) -> nn.Sequential:
        _no_weights(name, weights or pretrained)
        plan, batch_norm = name.removesuffix("_bn"), name.endswith("_bn")
        return vgg(plan, num_classes, 3, None, batch_norm, dropout, None)

    model.__name__ = model.__qualname__ = name
    model.__doc__ = f"{name}, for images (N, 3, H, W) from 32x32 on; see `tinynet.models.vgg`."
    return model


vgg11, vgg11_bn = _vgg("vgg11"), _vgg("vgg11_bn")
vgg13, vgg13_bn = _vgg("vgg13"), _vgg("vgg13_bn")
vgg16, vgg16_bn = _vgg("vgg16"), _vgg("vgg16_bn")
vgg19, vgg19_bn = _vgg("vgg19"), _vgg("vgg19_bn")


def _no_weights(name: str, weights: Any) -> None:
    if weights:
        raise ValueError(
            f"{name}: tinynet brings no trained weights, so weights must be None; load a file of "
            "them with model.load_state_dict"
        )


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__)
