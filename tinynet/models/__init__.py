"""The models that come with tinynet, as lists of layers, each in a file that cites its paper.

All take num_classes, in_channels, image_size (a number, or height and width) and rng, the
generator that draws the initial values; `build` makes one by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinynet.errors import unknown_name
from tinynet.models.digits import digits_cnn
from tinynet.models.lenet import lenet5
from tinynet.models.resnet import resnet8, resnet20
from tinynet.models.vgg import vgg11, vgg13, vgg16, vgg19
from tinynet.nn import Module

__all__ = [
    "build", "digits_cnn", "lenet5", "names", "resnet8", "resnet20", "vgg11", "vgg13", "vgg16",
    "vgg19",
]  # fmt: skip

_models: dict[str, Callable[..., Module]] = {
    model.__name__: model
    for model in (digits_cnn, lenet5, resnet8, resnet20, vgg11, vgg13, vgg16, vgg19)
}


def names() -> list[str]:
    """The names that `build` knows, the default first.

    >>> names()[:3]
    ['digits_cnn', 'lenet5', 'resnet8']
    """
    return list(_models)


def build(name: str, **settings: Any) -> Module:
    """The model of that name, made with these arguments.

    Raises ValueError with the known names and the nearest one.

    >>> build("lenet5", num_classes=26)[-1]
    Linear(in_features=84, out_features=26, bias=True)
    """
    if name not in _models:
        raise unknown_name("model", name, _models)
    return _models[name](**settings)
