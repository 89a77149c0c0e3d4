"""The models that come with tinynet, as lists of layers, each in a file that cites its paper.

All take num_classes, in_channels, image_size (a number, or height and width) and rng, the
generator that draws the initial values; `build` makes one by name.
"""

import inspect
from collections.abc import Callable, Mapping
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


def build(name: str | Callable[..., Module], **settings: Any) -> Module:
    """The model of that name, made with these arguments; or what a class or function makes of those
    that it takes.

    Raises ValueError with the known names and the nearest one.

    >>> build("lenet5", num_classes=26)[-1]
    Linear(in_features=84, out_features=26, bias=True)
    """
    if not isinstance(name, str):
        return name(**accepted(name, settings))
    if name not in _models:
        raise unknown_name("model", name, _models)
    model = _models[name](**settings)
    arguments = {key: value for key, value in settings.items() if key != "rng"}
    model.built_as = name, arguments, repr(model)  # what its checkpoints say, if it is still so
    return model


def accepted(make: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of num_classes, in_channels and image_size that a class or function takes.

    >>> accepted(lambda num_classes, width=3: None, {"num_classes": 10, "in_channels": 1})
    {'num_classes': 10}
    """
    takes = inspect.signature(make).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    return {key: value for key, value in settings.items() if anything or key in takes}
