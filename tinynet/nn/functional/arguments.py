"""What the functions of `nn.functional` share in reading their arguments."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from tinynet import changes, grad_mode
from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor

Data: TypeAlias = Tensor | np.ndarray
IntPair: TypeAlias = int | Sequence[int]
P = ParamSpec("P")
R = TypeVar("R")

HEIGHTS = {
    "kernel_size": 1, "stride": 1, "dilation": 1, "output_size": 1, "padding": 0,
    "output_padding": 0,
}  # fmt: skip


def tensor_of(value: Any) -> Tensor:
    """The tensor itself, or one around the array."""
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))


def applied(op: Callable[..., Tensor], inplace: bool, input: Data, *settings: Any) -> Tensor:
    """op(input, *settings); with `inplace` the input becomes it, and is returned, as in PyTorch.

    Whoever holds the tensor sees the new values. What earlier operations kept of the old ones stays
    as it was, so no gradient is lost; a view of the tensor keeps the old values too.
    Raises RuntimeError for a leaf that requires a gradient.
    """
    if not inplace:
        return op(input, *settings)
    x = tensor_of(input)
    if x.node is None and x.requires_grad and grad_mode.recording.get():
        raise RuntimeError(
            "inplace=True would change a leaf that requires a gradient, which would then belong to "
            "a value that is gone; use inplace=False"
        )
    y = op(wrap(x.array, x.node), *settings)
    if x.node is None or y.node is None:  # a constant, or nothing is recorded
        np.copyto(x.array, y.array)
        changes.note_change(x.array)
        return x
    x.node.retained, y.node.retained = None, x.node.retained  # whose gradient is asked for
    x.array, x.node = y.array, y.node
    return x


def as_batch(function: Callable[[Data], Tensor], input: Data, axes: int = 4) -> Tensor:
    """function(input); an input of one axis less is made a batch of one, and unmade after."""
    if getattr(input, "ndim", None) != axes - 1:
        return function(input)
    y: Any = function(tensor_of(input).unsqueeze(0))
    alone: Any = tuple(part.squeeze(0) for part in y) if isinstance(y, tuple) else y.squeeze(0)
    return alone  # type: ignore[no-any-return]  # a tuple where the function gives one


def named(op: Callable[P, R], names: str, axes: int = 0) -> Callable[P, R]:
    """An operation of `tinynet.ops` under PyTorch's names of its arguments.

    names: in their order; those behind a `*`, which have the operation's own names, are given by
    name alone. axes: an input of one axis less is a batch of one, see `as_batch`.
    """
    own, keyword = inspect.signature(op).parameters, False
    after: dict[str, str] = {}  # the operation's names by PyTorch's
    parameters = []
    for place, name in enumerate(names.split()):
        if name == "*":
            keyword = True
            continue
        after[name] = name if keyword else [*own][place]
        kind = (
            inspect.Parameter.KEYWORD_ONLY if keyword else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        parameters.append(own[after[name]].replace(name=name, kind=kind))
    signature = inspect.Signature(parameters, return_annotation="Tensor")
    order = names.partition("*")[0].split()
    most, required = len(order), inspect.Parameter.empty
    least = sum(own[after[name]].default is required for name in order)

    @functools.wraps(op, updated=())
    def function(*args: Any, **settings: Any) -> Any:
        if settings or not least <= len(args) <= most:
            known = settings.keys() <= after.keys() - order[: len(args)]
            if not (known and least <= len(args) <= most):
                try:  # errors, too, in PyTorch's names
                    given = signature.bind(*args, **settings)
                except TypeError as error:
                    raise TypeError(f"{function.__name__}() {error}") from None
                args, settings = given.args, given.kwargs
            settings = {after[name]: value for name, value in settings.items()}
        if axes and getattr(args[0], "ndim", None) == axes - 1:
            alone: Any = op
            return as_batch(lambda x: alone(x, *args[1:], **settings), args[0], axes)
        return op(*args, **settings)

    function.__module__ = "tinynet.nn.functional"
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def one_axis(name: str, function: Callable[P, R]) -> Callable[P, R]:
    """The function for signals (N, C, L) or (C, L) from that for images: with a height of one."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def along(*args: P.args, **settings: P.kwargs) -> Any:
        given = signature.bind(*args, **settings).arguments
        y: Any = function(**{key: beside(name, key, value) for key, value in given.items()})  # type: ignore[call-arg]
        return tuple(part.squeeze(-2) for part in y) if isinstance(y, tuple) else y.squeeze(-2)

    along.__name__ = name
    along.__doc__ = f"`{function.__name__}` of signals (N, C, L) or (C, L), as images of height 1."
    return along


def beside(name: str, key: str, value: Any) -> Any:
    """An argument for signals as the one for images with a height of one."""
    data = key in ("input", "indices")
    if data and (value.ndim not in (2, 3) or value.shape[-2] == 0):
        raise ShapeError(
            f"{name}: the {key} must have shape (N, C, L) or (C, L), got {tuple(value.shape)}"
        )
    if data or key == "weight":
        return tensor_of(value).unsqueeze(-2)
    if key not in HEIGHTS or value is None or isinstance(value, str):
        return value
    alone = isinstance(value, (tuple, list)) and (
        len(value) == 1 or (value and key == "output_size")
    )
    return HEIGHTS[key], value[-1] if alone else value


def name_reduction(settings: dict[str, Any]) -> None:
    """Put `reduction` in place of what PyTorch said before 2018, `size_average` and `reduce`."""
    old = {name: settings.pop(name, None) for name in ("size_average", "reduce")}
    if old["reduce"] is False:
        settings["reduction"] = "none"
    elif any(value is not None for value in old.values()):
        settings["reduction"] = "sum" if old["size_average"] is False else "mean"
