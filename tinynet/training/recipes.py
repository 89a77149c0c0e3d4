"""Recipes: which model, and which settings, for which data, when the user says nothing.

`tinynet train` starts from them. Those for digits were chosen on parts held out from the training
images, not on the test images.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinynet import models
from tinynet.data import Compose, RandomHorizontalFlip, RandomRotation, RandomShift, ToFloat
from tinynet.errors import unknown_name
from tinynet.vision.transforms import RandomErasing


@dataclass(frozen=True)
class Recipe:
    """A model's name and how to train it.

    augment: as for `make_augment`. enough: steps, in which the learning rate can be borne. least:
    steps, with fewer than which too little is learnt.
    """

    model: str
    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "sgd"
    schedule: str = "onecycle"
    weight_decay: float = 0.0
    augment: tuple[str, ...] = ()
    enough: int = 0
    least: int = 300


DIGITS = Recipe(
    "digits_cnn", epochs=8, batch_size=32, lr=0.05, weight_decay=5e-4, augment=("rotate",)
)
GREY_28 = Recipe("lenet5", epochs=5, batch_size=64, lr=0.05)
SMALL = replace(DIGITS, epochs=10, augment=("shift",), enough=300, least=0)
LARGE = replace(SMALL, model="resnet8")  # whose size does not grow with the image


MIRRORED = ("cifar10", "cifar100")
"""The data sets that are known to look the same in a mirror. Writing does not, a side of a street
may not."""

LEAST = 0.05  # of its learning rate, with however few steps
MOST = 100  # epochs, with however few steps each


def recipe_for(shape: Sequence[int], name: str = "") -> Recipe:
    """The recipe for images of a shape (C, H, W). name: of the data set.

    >>> recipe_for((1, 8, 8)).model, recipe_for((1, 28, 28)).model, recipe_for((3, 96, 96)).model
    ('digits_cnn', 'lenet5', 'resnet8')
    """
    channels, height, width = shape
    if channels == 1 and max(height, width) < 16:
        return DIGITS
    if channels == 1 and (height, width) in ((28, 28), (32, 32)):
        return GREY_28
    recipe = SMALL if height * width <= 64 * 64 else LARGE
    return replace(recipe, augment=(*recipe.augment, "flip")) if name in MIRRORED else recipe


def epochs_for(recipe: Recipe, steps: int) -> int:
    """The epochs of a training with so many steps in each.

    >>> [epochs_for(GREY_28, steps) for steps in (938, 20, 2)]
    [5, 15, 100]
    """
    return max(recipe.epochs, min(MOST, math.ceil(recipe.least / steps)))


def bearable(recipe: Recipe, lr: float, steps: int) -> float:
    """The learning rate for a training of so few steps that a warm-up is over before it has begun.

    Below what the recipe calls enough it falls with the square of the steps. So 160 photographs,
    with which 10 epochs are 50 steps, end at 95 % and not at 82.5.

    >>> [bearable(SMALL, 0.05, steps) for steps in (3000, 150, 50)]
    [0.05, 0.013, 0.0025]
    """
    share = 1.0 if steps >= recipe.enough else max(LEAST, (steps / recipe.enough) ** 2)
    return float(f"{lr * share:.2g}")


def usual_shape(model: str) -> tuple[int, int, int]:
    """The shape (C, H, W) of the images that a known model is made for by default.

    >>> usual_shape("lenet5")
    (1, 28, 28)
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(getattr(models, model)).parameters.items()
    }
    side = defaults["image_size"]
    height, width = (side, side) if isinstance(side, int) else side
    return (defaults["in_channels"], height, width)


PIXELS = "whole pixels, fewer than the image has,"
AUGMENTATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[int], float], str, float]] = {
    "shift": (RandomShift, lambda side: max(1, side // 16), PIXELS, 1 << 31),
    "rotate": (lambda most: RandomRotation(most, "bilinear"), lambda side: 10.0, "degrees", 180),
    "flip": (RandomHorizontalFlip, lambda side: 0.5, "a probability", 1),
    "erase": (RandomErasing, lambda side: 0.5, "a probability", 1),
}
"""What changes images at random, by name; by how much if nobody says it, of what, and at most."""


def make_augment(
    names: str | Sequence[str], side: int | Sequence[int] | None = None
) -> Compose | None:
    """Random changes of the training images, each NAME or NAME:AMOUNT, in the order given.

    shift:PIXELS (a sixteenth of the side), rotate:DEGREES (10), flip:PROBABILITY (0.5; mirrors left
    and right), erase:PROBABILITY (0.5; a rectangle of the image). side: the images' height, or
    (height, width), of which the amount is made where none is given. None for no names. Raises
    ValueError for an unknown name or an impossible amount, such as one that leaves nothing of the
    image.
    """
    names = [names] if isinstance(names, str) else names
    sides = [side] if isinstance(side, int) else list(side or ())
    steps: list[Any] = []
    for text in names:
        name, colon, amount = text.partition(":")
        if name not in AUGMENTATIONS:
            raise unknown_name("augmentation", name, AUGMENTATIONS)
        make, usual, unit, most = AUGMENTATIONS[name]
        if not colon and not sides and unit == PIXELS:
            raise ValueError(
                f"augmentation {text!r}: say how many pixels, {name}:2, or side=, the height of "
                "the images in pixels"
            )
        try:
            value = float(amount) if colon else usual(sides[0] if sides else 0)
        except ValueError:
            value = math.nan
        most = min(sides) - 1 if unit == PIXELS and colon and sides else most
        if not 0 <= value <= most or (unit == PIXELS and value % 1):
            raise ValueError(
                f"augmentation {text!r}: expected {unit} from 0 to {most:,}; got {amount!r}"
            )
        steps.append(make(int(value) if unit == PIXELS else value))
    return Compose([ToFloat(), *steps]) if steps else None
