"""What was done to the inputs of a training, so that a loaded model gets the same.

A run keeps the normalisation of its images, the steps that change their size or colour, and what
the network got: from where to where its inputs ran, their mean and standard deviation. What cannot
be kept, such as a function of the user's, is named, and whoever then gives bytes or photos is
warned; so is who gives the network something else than it was trained on.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinynet.data import Compose, Normalize, RandomShift
from tinynet.nn import Sequential
from tinynet.training.strokes import box_of
from tinynet.vision import transforms as vision

Images = Callable[..., np.ndarray]
"""A function of a batch of images (N, C, H, W), such as those of `tinynet.data`."""

KEPT = {
    made.__name__: made for made in (vision.Resize, vision.CenterCrop, vision.Grayscale, vision.Pad)
}
"""The steps that a checkpoint keeps, with what each was made of."""

MOVING = (
    RandomShift, vision.RandomCrop, vision.RandomResizedCrop, vision.RandomAffine,
    vision.RandomHorizontalFlip, vision.RandomVerticalFlip, vision.RandomRotation,
)  # fmt: skip
"""What puts pixels elsewhere, at random."""

ENOUGH = 16  # examples, whose mean and deviation say something of all


def flat(transforms: Iterable[Any]) -> Iterator[Any]:
    """The single steps of transforms, in their order."""
    for transform in transforms:
        if isinstance(transform, (Compose, Sequential)):
            yield from flat(
                transform if isinstance(transform, Sequential) else transform.transforms
            )
        elif transform is not None:
            yield transform


def find_normalize(transform: Any) -> Normalize | None:
    """The Normalize in a transform, if there is one."""
    return next((step for step in flat([transform]) if isinstance(step, Normalize)), None)


def told(transforms: Iterable[Any]) -> dict[str, Any]:
    """What a checkpoint keeps of the transforms of a training: mean and std, as one normalisation,
    the steps that change size or colour, and which it cannot keep.
    """
    steps: list[list[Any]] = []
    known: dict[str, Any] = {}
    mean, std = np.zeros(1), np.ones(1)
    for step in flat(transforms):
        if isinstance(step, Normalize):
            mean, std = mean + std * step.mean, std * step.std
            known |= {"mean": mean, "std": std}
        elif type(step) in KEPT.values():
            settings = {k: v for k, v in vars(step).items() if k[0] != "_" and k != "training"}
            settings = {k: getattr(v, "value", v) for k, v in settings.items()}  # of an Enum
            steps.append([type(step).__name__, settings])
        elif isinstance(step, vision.Lambda) or not type(step).__module__.startswith("tinynet."):
            known["untold"] = getattr(step, "__name__", type(step).__name__)
    return known | {"steps": steps or None}


def made(steps: Iterable[Any]) -> Compose | None:
    """The transform of such steps, of which there may be none."""
    found = [KEPT[name](**settings) for name, settings in steps]
    return Compose(found) if found else None


def check_moved(transforms: Iterable[Any], image: Any, target: Any) -> None:
    """Raise ValueError where images are moved at random, and a target that goes with their places,
    a map or a row of as many numbers as there are pixels, would stay.
    """
    moved = [type(step).__name__ for step in flat(transforms) if isinstance(step, MOVING)]
    pixels = math.prod(np.shape(image)[-2:])
    if moved and (len(np.shape(target)) > 1 or np.size(target) >= pixels > 1):
        raise ValueError(
            f"fit: {moved[0]} moves the image, and its target of shape {np.shape(target)} stays as "
            "it is: leave it out, or change both alike in the __getitem__ of a data set of yours"
        )


def figures(x: np.ndarray) -> tuple[float, ...]:
    """The least and the greatest number, mean and standard deviation."""
    return tuple(float(figure) for figure in (x.min(), x.max(), x.mean(), x.std()))


def inputs_of(x: np.ndarray, about: dict[str, Any]) -> None:
    """Keep in `about` the figures of the first batch of a training, as the network gets it; and how
    large strokes are in its images, where nobody has looked at these as they are.
    """
    about["inputs"] = figures(x)
    if about.get("steps"):
        about["input_shape"] = x.shape[1:]
    if "box" not in about and x.ndim == 4 and is_prepared(about):
        low, high = ends_of(about)
        about["box"] = box_of(((x - low) / (high - low)).clip(0, 1))


def ends_of(known: Mapping[str, Any]) -> tuple[float, float]:
    """Between which numbers images of 0 to 1 lie for the network, once they are normalised.

    known: what a checkpoint says of the inputs.
    """
    mean, std = known.get("mean"), known.get("std")
    if mean is None or std is None:
        return 0.0, 1.0
    low, high = (np.divide(np.subtract(end, mean), std) for end in (0, 1))
    return float(low.min()), float(high.max())


def is_prepared(known: Mapping[str, Any]) -> bool:
    """Whether bytes and photos come to the network as those of the training did."""
    low, high = ends_of(known)
    least, most, *_ = known.get("inputs") or (low, high)  # an older file says nothing of it
    room = (high - low) / 10
    of_bytes = known.get("mean") is None or 0 <= np.min(known["mean"]) <= np.max(known["mean"]) <= 1
    return not known.get("untold") and of_bytes and low - room <= least <= most <= high + room


def known_of(model: Any) -> Any:
    """What a loaded model knows of itself, a `Checkpoint`; None of any other model."""
    known = getattr(model, "checkpoint", None)
    return known if hasattr(known, "tells_of_images") else None


def unlike(x: Any, then: Sequence[float] | None, is_scaled: bool = False) -> str:
    """What a batch is and what the training's first was, where these differ; else nothing.

    then: the figures of that. is_scaled: whether these are bytes that became numbers as those of
    the training did, so that they may well be all dark, or all of one colour.
    """
    if then is None or not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not x.size:
        return ""
    now = figures(x)
    width = now[3] / then[3] if then[3] else 1.0
    shift = abs(now[2] - then[2]) / (then[3] or 1.0)
    room, other = 7 * max(-then[0], then[1]), width < 1 / 8
    if x.ndim == 4:
        room = (then[1] - then[0]) / 4
        other = width < 1 / 8 if is_scaled else not 0.55 < width < 1.8 or shift > 1.5
    beyond = now[0] < then[0] - room or now[1] > then[1] + room
    return apart(now, then) if beyond or (other and len(x) >= ENOUGH) else ""


def apart(now: Sequence[float], then: Sequence[float]) -> str:
    """The figures of inputs, and those of the training."""
    form = "{:.4g} to {:.4g} (mean {:.3g}, standard deviation {:.3g})".format
    return f"from {form(*now)}, and it was trained on {form(*then)}"
