"""The errors that tinynet raises on purpose.

Each is a subclass of the built-in error that fits, so `except ValueError` keeps working. A
message names the operation, the value that is wrong, the sizes involved and what to type instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


class _InLayer(Exception):  # noqa: N818 (what it is is for its subclasses to say)
    """An error to which modules add the path of the layer as it passes them.

    `layers` lists (name of the child, class of the child) from the innermost layer outwards.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.layers: list[tuple[str, str]] = []

    def __str__(self) -> str:
        if not self.layers:
            return self.message
        path = ".".join(name for name, _ in reversed(self.layers) if name)
        kind = self.layers[0][1]
        where = f"layer {path!r} ({kind})" if path else kind
        return f"{self.message}\n  raised in {where}"


class ShapeError(_InLayer, ValueError):
    """Shapes that do not fit together, and the layer in which they met."""


class OutOfMemoryError(_InLayer, MemoryError):
    """There was not enough memory, and for which layer.

    asked: the bytes of the array that could not be had; None if that is not known.
    operation, parameter: for the backward pass, the operation it went through, and a parameter
    of the layer that the operation belongs to, or that comes before it. batch_size: one that
    fits, as far as is known.
    """

    asked: int | None = None
    operation: str = ""
    parameter: Any = None
    batch_size: int | None = None
    advice: str = ""

    def __str__(self) -> str:
        return super().__str__() + (f"\n  {self.advice}" if self.advice else "")

    @classmethod
    def of(cls, error: MemoryError) -> OutOfMemoryError:
        """`error` itself if it is one already, else one that says how much was asked for.

        >>> str(OutOfMemoryError.of(MemoryError()))
        'out of memory'
        """
        if isinstance(error, cls):
            return error
        shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
        if shape is None or dtype is None:
            return cls("out of memory")
        asked = math.prod(shape) * dtype.itemsize
        located = cls(f"out of memory: {asked:,} bytes for an array of {dtype} {tuple(shape)}")
        located.asked = asked
        return located


def no_such_axis(name: str, axis: int, shape: tuple[int, ...]) -> ShapeError:
    """The error for an axis that a shape does not have, with those that it has.

    >>> print(no_such_axis("sum", 2, (3, 4)))
    sum: axis 2 does not exist in shape (3, 4); its axes are -2 to 1
    """
    axes = f"its axes are {-len(shape)} to {len(shape) - 1}" if shape else "it has none"
    return ShapeError(f"{name}: axis {axis} does not exist in shape {shape}; {axes}")


class DataError(ValueError):
    """A data file or a batch that is not what it claims to be."""


class CheckpointError(ValueError):
    """A checkpoint or a state_dict that does not fit the model, or is damaged."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not in a list: shows the list and the nearest entry.

    >>> print(unknown_name("model", "lenet", ["lenet5", "vgg16"]))
    unknown model 'lenet'; did you mean 'lenet5'? Known: lenet5, vgg16
    """
    import difflib  # only needed for an error, and slow to load

    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")
