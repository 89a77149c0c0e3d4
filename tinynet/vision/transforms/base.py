"""What a transform is, how several become one, and those that change what an image is made of.

A transform takes a PIL image, a tensor (..., C, H, W) or an array (N, C, H, W) and gives the like.
Whatever is random is drawn for each image of a batch, from the generator that is given, or else
from tinynet's default one. Transforms are modules, and may stand in an nn.Sequential.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.errors import check_function
from tinynet.nn.module import Module
from tinynet.ops.checks import within
from tinynet.random import Rng, default_rng, use_rng
from tinynet.vision.transforms import functional as F
from tinynet.vision.transforms.images import as_batch

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "FiveCrop", "Grayscale", "Lambda", "Normalize",
    "PILToTensor", "Pad", "RandomApply", "RandomChoice", "RandomOrder", "Resize", "TenCrop",
    "ToPILImage", "ToTensor", "Transform",
]  # fmt: skip


def apply_transform(transform: Callable[..., Any], image: Any, rng: Rng) -> Any:
    """transform(image), in which `rng` is the default generator."""
    with use_rng(default_rng(rng)):
        return transform(image)


def check_transform(owner: str, name: str, value: Any) -> Any:
    """`value` itself. Raises TypeError unless it is a function of the images, or None."""
    if value is not None:
        check_function(owner, name, value, "data.ToFloat()")
    return value


def interval(owner: str, name: str, value: Any, center: float = 0) -> tuple[float, float]:
    """(least, most), also of one number: that much below and above `center`."""
    if not isinstance(value, (tuple, list)):
        amount = within(owner, name, value, 0, math.inf)
        value = center - amount, center + amount
    if len(value) != 2 or not -math.inf < value[0] <= value[1] < math.inf:
        raise ValueError(
            f"{owner}: {name} must be a number or a pair (least, most), got {value!r:.60}"
        )
    return value[0], value[1]


SETTINGS: dict[str, Callable[[str, str, Any], Any]] = {
    "size": lambda owner, name, value: F.size_pair(owner, value),
    "interpolation": lambda owner, name, value: F.InterpolationMode.of(value),
    "p": lambda owner, name, value: within(owner, name, value, 0, 1),
    "dtype": lambda owner, name, value: np.dtype(value),
    **dict.fromkeys(("scale", "ratio", "degrees"), interval),
}
"""What becomes of a setting of this name in any transform that is a dataclass."""


class Transform(Module):
    """Base of the transforms. Derive from it and write `change(x, rng)` for one of your own.

    takes_batches: whether a batch at once comes out as its images would one by one.
    """

    needs_float = False
    takes_batches = True
    __setattr__ = object.__setattr__  # type: ignore[assignment]  # nothing to be registered

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """What a module has, whether or not a transform of one's own calls `super().__init__()`."""
        self = super().__new__(cls)
        Module.__init__(self)
        return self

    def __post_init__(self) -> None:
        for name, value in [*vars(self).items()]:
            if name in SETTINGS:
                setattr(self, name, SETTINGS[name](type(self).__name__, name, value))

    def __call__(self, image: Any, rng: Rng = None) -> Any:
        return apply_transform(super().__call__, image, rng)

    def forward(self, image: Any) -> Any:
        """The transformed image, or images."""
        name = type(self).__name__
        x, back = as_batch(name, image)
        if self.needs_float and x.dtype.kind != "f":
            raise TypeError(
                f"{name} needs floats, got {x.dtype}: put ToFloat() before {name}, or ToTensor()"
            )
        return back(self.change(x, default_rng()))

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The transformed batch (N, C, H, W); `x` itself stays as it is."""
        raise NotImplementedError(f"{type(self).__name__} needs change(x, rng)")

    def __repr__(self) -> str:
        shown = []
        for name, value in vars(self).items():
            value = tuple(value.tolist()) if isinstance(value, np.ndarray) else value
            if not callable(value) and name[0] != "_" and name != "training":
                shown.append(f"{name}={getattr(value, 'value', value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


# ----- several as one -----------------------------------------------------------------------------


class Compose(Transform):
    """Several transforms, or plain functions, one after the other."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            check_function(type(self).__name__, "each of them", transform, "ToFloat()")

    @property
    def takes_batches(self) -> bool:  # type: ignore[override]
        """Whether all of them do."""
        return all(getattr(transform, "takes_batches", False) for transform in self.transforms)

    def forward(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        lines = "".join(f"    {transform}\n" for transform in self.transforms)
        lines = f"    p={self.p}\n{lines}" if hasattr(self, "p") else lines
        return f"{type(self).__name__}(\n{lines})"


class RandomApply(Compose):
    """All of the transforms with probability p, else none of them."""

    takes_batches = False

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = within("RandomApply", "p", p, 0, 1)

    def forward(self, image: Any) -> Any:
        return super().forward(image) if default_rng().random() < self.p else image


class RandomChoice(Compose):
    """One of the transforms, drawn with the probabilities p, or all alike."""

    takes_batches = False

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None
    ) -> None:
        super().__init__(transforms)
        if not self.transforms or len(self.transforms if p is None else p) != len(self.transforms):
            count = len(self.transforms)
            raise ValueError(f"RandomChoice: takes transforms, and a p of each; got {count}, p={p}")
        self.p = None if p is None else np.divide(p, np.sum(p)).tolist()

    def forward(self, image: Any) -> Any:
        return self.transforms[default_rng().choice(len(self.transforms), p=self.p)](image)


class RandomOrder(Compose):
    """All of the transforms, in an order that is drawn anew for each image."""

    takes_batches = False

    def forward(self, image: Any) -> Any:
        for k in default_rng().permutation(len(self.transforms)):
            image = self.transforms[k](image)
        return image


class Lambda(Transform):
    """A function of one's own, of whatever image comes."""

    takes_batches = False

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        check_function("Lambda", "lambd", lambd, "lambda x: 1 - x")
        self.lambd = lambd

    def forward(self, image: Any) -> Any:
        return self.lambd(image)


# ----- what images are made of --------------------------------------------------------------------


class ToTensor(Transform):
    """A PIL image, or an array (H, W) or (H, W, C), as a tensor (C, H, W); bytes become 0..1.

    Tensors and arrays (N, C, H, W) of bytes become floats too.
    """

    def forward(self, image: Any) -> Any:
        return F.scaled(image) if _is_batch(image) else F.to_tensor(image)


class PILToTensor(Transform):
    """A PIL image as a tensor (C, H, W) of the same values."""

    def forward(self, image: Any) -> Any:
        return image if _is_batch(image) else F.pil_to_tensor(image)


@dataclass(eq=False, repr=False)
class ToPILImage(Transform):
    """A tensor (C, H, W), or an array (H, W) or (H, W, C), as a PIL image; floats are 0..1."""

    takes_batches = False

    mode: str | None = None

    def forward(self, image: Any) -> Any:
        return F.to_pil_image(image, self.mode)


@dataclass(eq=False, repr=False)
class ConvertImageDtype(Transform):
    """Another dtype, floats or uint8: the range 0..1 is 0..255 there."""

    dtype: Any

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.convert_image_dtype(x, self.dtype)


class Normalize(Transform):
    """Shift and scale each channel: y = (x - mean) / std.

    mean, std: a number, or one per channel (C,). `data.channel_statistics` computes them. The
    dtype stays. inplace is without effect.

    Raises ShapeError if their count is not C, ValueError for a std that is not positive.
    """

    needs_float = True

    def __init__(self, mean: Any, std: Any, inplace: bool = False) -> None:
        self.mean = np.asarray(mean, dtype=np.float64).reshape(-1)
        self.std = np.asarray(std, dtype=np.float64).reshape(-1)
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: std must be positive, got {self.std.tolist()}")

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.normalize(x, self.mean, self.std)


@dataclass(eq=False, repr=False)
class Grayscale(Transform):
    """Colours as grey, in one channel or in three alike."""

    num_output_channels: int = 1

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.rgb_to_grayscale(x, self.num_output_channels)


# ----- size ---------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class Resize(Transform):
    """Another size: (height, width), or a number for the shorter side; see `functional.resize`."""

    size: int | Sequence[int]
    interpolation: Any = F.BILINEAR
    max_size: int | None = None
    antialias: bool | None = True

    def __post_init__(self) -> None:
        F.resized(1, 1, self.size)  # a number is not for both sides here
        self.interpolation = F.InterpolationMode.of(self.interpolation)

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.resize(x, self.size, self.interpolation, self.max_size, self.antialias)


@dataclass(eq=False, repr=False)
class CenterCrop(Transform):
    """The window of `size` in the middle; black where the image is smaller."""

    size: Any

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.center_crop(x, self.size)


@dataclass(eq=False, repr=False)
class FiveCrop(Transform):
    """The windows of `size` in the four corners and the middle, a tuple of five images."""

    takes_batches = False

    size: Any

    def forward(self, image: Any) -> Any:
        return F.five_crop(image, self.size)


@dataclass(eq=False, repr=False)
class TenCrop(FiveCrop):
    """The five of `FiveCrop`, and those of the image mirrored left to right, or top to bottom."""

    vertical_flip: bool = False

    def forward(self, image: Any) -> Any:
        return F.ten_crop(image, self.size, self.vertical_flip)


@dataclass(eq=False, repr=False)
class Pad(Transform):
    """Pixels added on the sides; see `functional.pad`."""

    padding: int | Sequence[int]
    fill: Any = 0
    padding_mode: str = "constant"

    def change(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return F.pad(x, self.padding, self.fill, self.padding_mode)


def _is_batch(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.ndim == 4
