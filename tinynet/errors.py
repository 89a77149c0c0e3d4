"""The errors that tinynet raises on purpose.

Each is a subclass of the built-in error that fits, so `except ValueError` keeps working; those
that are RuntimeErrors in PyTorch are RuntimeErrors too. A message names the operation, the value
that is wrong, the sizes involved and what to type instead.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any


class _InLayer(Exception):  # noqa: N818 (what it is is for its subclasses to say)
    """An error to which modules add the path of the layer as it passes them.

    layers: (name of the child, class of the child) from the innermost layer outwards.
    trail: lines with the layers that ran before, and the shape that each gave.
    passed: what `nn.trail` notes until the error has left the outermost module.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.layers: list[tuple[str, str]] = []
        self.trail: list[str] = []
        self.passed: list[Any] = []

    def __str__(self) -> str:
        if not self.layers:
            return self.message
        path = ".".join(name for name, _ in reversed(self.layers) if name)
        kind = self.layers[0][1]
        where = f"layer {path!r} ({kind})" if path else kind
        way = "".join(f"\n    {line}" for line in self.trail)
        shapes = f"\n  shapes on the way there:{way}" if way else ""
        return f"{self.message}\n  raised in {where}{shapes}"


class ShapeError(_InLayer, ValueError, RuntimeError):
    """Shapes that do not fit together, and the layer in which they met."""


class OutOfMemoryError(_InLayer, MemoryError):
    """There was not enough memory, and for which layer.

    asked: the bytes of the array that could not be had; None if that is not known.
    advice: what to do, where the batch is known.
    """

    asked: int | None = None
    advice: str = ""

    def __str__(self) -> str:
        return super().__str__() + (f"\n  {self.advice}" if self.advice else "")

    @classmethod
    def of(cls, error: MemoryError) -> "OutOfMemoryError":
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


def no_broadcast(name: str, shapes: Sequence[tuple[int, ...]]) -> ShapeError:
    """The error for shapes that do not broadcast: which sizes clash, and what would fit.

    >>> print(no_broadcast("add", [(4, 3), (4,)]))
    add: shapes (4, 3) and (4,) do not broadcast: at axis -1 the sizes are 3 and 4, and neither is
    1. Use .unsqueeze(1) on the one of shape (4,), which makes it (4, 1).
    """
    text = f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast"
    for axis in range(-1, -max(map(len, shapes)) - 1, -1):
        sizes = dict.fromkeys(s[axis] for s in shapes if len(s) >= -axis and s[axis] != 1)
        if len(sizes) > 1:
            listed = " and ".join(map(str, sizes))
            text += f": at axis {axis} the sizes are {listed}, and neither is 1"
            break
    return ShapeError(f"{text}. {_fitting(shapes)}")


def _fitting(shapes: Sequence[tuple[int, ...]]) -> str:
    """How an axis of size 1 makes two shapes broadcast, or the rule where none does."""
    if len(shapes) == 2 and len(shapes[0]) != len(shapes[1]):
        short, long = sorted(shapes, key=len)
        for place in range(len(short), 0, -1):
            wider = (*short[:place], 1, *short[place:])
            if all(a == b or 1 in (a, b) for a, b in zip(reversed(wider), reversed(long))):
                return (
                    f"Use .unsqueeze({place}) on the one of shape {short}, which makes it {wider}."
                )
    return "Aligned at the right, each pair of sizes must be equal or contain a 1."


class DataError(ValueError):
    """A data file or a batch that is not what it claims to be."""


class CheckpointError(ValueError, RuntimeError):
    """A checkpoint or a state_dict that does not fit the model, or is damaged."""


class MissingFileError(CheckpointError, FileNotFoundError):
    """There is no such file; Python's own handlers of that catch it too."""


class OnnxError(ValueError, RuntimeError):
    """An ONNX file that is damaged or asks for what is not there; a model that ONNX cannot say."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not in a list: shows the list and the nearest entry.

    >>> print(unknown_name("model", "lenet", ["lenet5", "vgg16"]))
    unknown model 'lenet'; did you mean 'lenet5'? Known: lenet5, vgg16
    """
    import difflib  # only needed for an error, and slow to load

    names = list(known)
    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")


def no_attribute(module: str, name: str, known: Iterable[str], why: str = "") -> AttributeError:
    """The error for a name that a module does not have: why not, or the names nearest to it."""
    import difflib  # only needed for an error, and slow to load

    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    parts = difflib.SequenceMatcher(None, name, near[0]).get_opcodes() if near else ()
    if sum(max(b - a, d - c) for tag, a, b, c, d in parts if tag != "equal") > 1 + (len(name) > 6):
        near = []  # no misspelling, but another thing
    hint = why or (f"did you mean {near[0]!r}?" if near else "")
    if not hint and len(names) < 40:
        hint = f"it has {', '.join(sorted(names))}"
    return AttributeError(f"module {module!r} has no attribute {name!r}{hint and '; '}{hint}")


def integer(
    owner: str, name: str, value: Any, least: int = 0, error: type[ValueError] = ValueError
) -> int:
    """`value` as an int; TypeError unless it is an integer, `error` unless it is at least `least`.

    >>> integer("fit", "epochs", 3)
    3
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        whole = isinstance(value, float) and value.is_integer()
        cure = f"; divide with //, or write int({value!r})" if whole else ""
        raise TypeError(f"{owner}: {name} must be an integer, got {value!r:.60}{cure}") from None
    if number < least:
        raise error(f"{owner}: {name} must be at least {least}, got {number}")
    return number


def wrong_kind(owner: str, name: str, words: str, value: Any) -> TypeError:
    """The error for what is not as `words` say; for a class that what it makes may be."""
    made = f"; make one of the class: {value.__name__}(...)" if isinstance(value, type) else ""
    return TypeError(f"{owner}: {name} must be {words}; got {value!r:.60}{made}")


def check_function(owner: str, name: str, value: Any, example: str) -> None:
    """Raise TypeError unless `value` can be called; a class is none, but what it makes may be."""
    if isinstance(value, type) or not callable(value):
        raise wrong_kind(owner, name, f"a function, such as {example}", value)
