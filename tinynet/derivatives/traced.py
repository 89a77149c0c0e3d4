"""Traced: what a body of an operation is given in place of an array when it is run on tensors.

It looks like an ndarray: NumPy's functions come here by NumPy's protocols, and each is done by the
operation of tinynet that means the same, on the tensor inside. So whatever the body computes is
recorded. What has no derivative (comparisons, signs, places) is a plain array. What is not known
here, or would leave the record (`np.asarray(x)`, `float(x)`), raises: nothing is lost in silence.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.derivatives import linear_maps
from tinynet.functions import shaping
from tinynet.ops import elementary, reduction, resize
from tinynet.ops.shape import is_basic
from tinynet.tensor import NUMPY, Tensor

looked_at: ContextVar[list[Any]] = ContextVar("what a body follows in steps alone, or is refused")


def refused(told: str) -> TypeError:
    """The error for what would lose a derivative, noted, since a body may go on after it."""
    noted = looked_at.get(None)
    if noted is None:
        return TypeError(
            "a body has kept what it was given to record its gradient, and another call uses it; "
            "keep nothing from call to call"
        )
    noted.append(told)
    return TypeError(told)


class Traced(NDArrayOperatorsMixin):
    """An array whose uses are recorded. tensor: what it stands for.

    sharers: of its memory, which is written to only where no other is left.
    part: (array, index), for what a basic index gave: written to, it writes to that array.
    """

    __slots__ = ("__weakref__", "part", "sharers", "tensor")

    def __init__(self, tensor: Tensor, sharers: list[Callable[[], Any]] | None = None) -> None:
        self.tensor = tensor
        self.part: tuple[Traced, Any] | None = None
        self.sharers = [] if sharers is None else sharers
        self.sharers.append(weakref.ref(self))

    @classmethod
    def given(cls, tensor: Any) -> Traced:
        """An argument, whose memory is its giver's too."""
        return cls(tensor, [lambda: tensor])

    # ----- what it is -------------------------------------------------------------------------

    T = property(lambda self: self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))  # noqa: N815 (NumPy's name)

    def __len__(self) -> int:
        return len(self.tensor.array)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of shape {self.shape}>"

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "ndim", "size", "flags"):
            return getattr(self.tensor.array, name)
        raise AttributeError(
            f"an array has no .{name} that is recorded; use operators, indexing and NumPy's "
            "functions"
        )

    # ----- its values, which may leave the record where they have no derivative ----------------

    def _values(self, name: str = "") -> Any:
        if self.tensor.requires_grad:
            raise refused(
                "a value leaves the record here, and its derivative would be lost; compute with "
                "the array as it is, and make new ones with np.zeros_like(dy, shape=...)"
            )
        return getattr(self.tensor.array, name)() if name else self.tensor.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._values(), dtype, copy=copy)

    # ----- NumPy's protocols ------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        (target,) = settings.pop("out", inputs[:1] if method == "at" else (None,))
        result = computed(name, getattr(ufunc, method), inputs, settings)
        if target is None:
            return result
        if not isinstance(target, Traced):
            raise refused(
                f"np.{name} writes what is recorded into a plain array; make that one with "
                "np.zeros_like(dy, shape=...)"
            )
        target._become(result)
        return target

    def __array_function__(self, function: Any, types: Any, args: Any, settings: Any) -> Any:
        return computed(function.__name__, function, args, settings)

    def __getitem__(self, index: Any) -> Traced:
        basic = is_basic(index)
        part = Traced(ops.getitem(self.tensor, index), self.sharers if basic else None)
        part.part = (self, index) if basic else None
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        part = value.part if isinstance(value, Traced) and is_basic(index) else None
        if part is None or part[0] is not self or part[1] != index:  # else `x[index] += ...`
            self._become(Traced(ops.setitem(self.tensor, _tensors(value), index)))

    def _become(self, result: Traced) -> None:
        """Take over a result that was written into this memory."""
        wholes: list[Traced] = [self]
        while (part := wholes[-1].part) is not None:
            wholes.append(part[0])
        if sum(sharer() is not None for sharer in self.sharers) > len(wholes):
            raise refused(
                "this changes an argument in place, or an array with a view of it; compute a new "
                "array, or change a copy (.copy())"
            )
        tensor = result.tensor
        self.tensor = tensor if tensor.dtype == self.dtype else ops.astype(tensor, self.dtype)
        for inner, whole in itertools.pairwise(wholes):
            assert inner.part is not None
            whole.tensor = ops.setitem(whole.tensor, inner.tensor, inner.part[1])

    # ----- methods of an ndarray --------------------------------------------------------------

    def reshape(self, *shape: Any, **settings: Any) -> Traced:
        """In another shape."""
        sizes = shape[0] if len(shape) == 1 else shape
        return np.reshape(self, sizes, **settings)  # type: ignore

    def transpose(self, *axes: Any) -> Traced:
        """Axes in another order."""
        order = axes[0] if len(axes) == 1 else axes or range(self.ndim)[::-1]
        return Traced(ops.permute(self.tensor, tuple(order)), self.sharers)

    def astype(self, dtype: Any, order: str = "K", copy: bool = True) -> Any:
        """In another dtype; integers and bools have no derivative."""
        if np.dtype(dtype).kind in "biu":
            looked_at.get().append(self.tensor)
            return self.tensor.array.astype(dtype)
        return self if not copy and dtype == self.dtype else Traced(ops.astype(self.tensor, dtype))

    def copy(self, order: Any = "C") -> Traced:
        """With memory of its own."""
        return Traced(ops.clone(self.tensor))

    __copy__ = __deepcopy__ = copy

    def _done(self, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        return function(self, *args, **settings)


Traced.__name__ = "recorded array"  # Python's own messages name the class
for _name in ("__bool__", "__float__", "__int__", "__reduce__"):
    setattr(Traced, _name, functools.partialmethod(Traced._values, _name))
for _function in (
    np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.cumsum, np.cumprod, np.ravel,
    np.squeeze, np.swapaxes, np.clip, np.argmax, np.argmin, np.any, np.all, np.round, np.dot,
):  # fmt: skip
    setattr(Traced, _function.__name__, functools.partialmethod(Traced._done, _function))


def computed(name: str, function: Any, args: Any, settings: Mapping[str, Any] = {}) -> Any:
    """What the function gives: recorded, or a plain array if it has no derivative."""
    if name in _OPERATIONS:
        try:
            tensor = _OPERATIONS[name](*_tensors(args), **_tensors(settings))
        except TypeError as error:
            given = " and ".join(f"{key}=" for key in settings) or "arguments such as these"
            raise refused(f"np.{name} is not recorded with {given}; call it without") from error
        if tensor is None:
            return None
        if isinstance(tensor, tuple):
            return tuple(map(Traced, tensor))
        if tensor.dtype.kind not in "biu":
            return Traced(tensor, args[0].sharers if name in _VIEWS else None)
    with contextlib.suppress(TypeError, ValueError):  # of one that writes into an array
        result = function(*_arrays(args), **_arrays(settings))
        parts = result if isinstance(result, (tuple, list)) else (result,)
        if name in _STEPS or all(np.asarray(part).dtype.kind in "biu" for part in parts):
            looked_at.get().extend(x.tensor for x in args if isinstance(x, Traced))
            return result
        if name in _CONSTANTS:
            return Traced(wrap(result))
    home = getattr(function, "__module__", None) or "numpy"
    raise refused(
        f"{home.replace('numpy', 'np', 1)}.{name} has no operation of tinynet that could be "
        "recorded for it; use operators, and functions that have one"
    )


def _tensors(value: Any) -> Any:
    """The same value with tensors in place of what is traced, also within tuples and lists."""
    return _replaced(value, lambda traced: traced.tensor)


def _arrays(value: Any) -> Any:
    """The same value with arrays, which nobody can write to."""
    return _replaced(value, lambda traced: np.broadcast_to(traced.tensor.array, traced.shape))


def _replaced(value: Any, by: Callable[[Traced], Any]) -> Any:
    if isinstance(value, Traced):
        return by(value)
    if type(value) in (tuple, list):
        return type(value)(_replaced(item, by) for item in value)
    if type(value) is dict:
        return {key: _replaced(item, by) for key, item in value.items()}
    return value


def _reduce(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method of that name of NumPy's ufuncs."""
    return lambda x, axis=0, *, keepdims=False: op(x, axis, keepdims)


_STEPS = {"sign", "floor", "ceil", "trunc", "rint", "round", "around", "floor_divide"}
"""Functions whose derivative is 0 wherever there is one."""
_CONSTANTS = {"zeros_like", "ones_like", "full_like", "empty_like"}
_VIEWS = {
    "reshape", "ravel", "transpose", "swapaxes", "moveaxis", "squeeze", "expand_dims",
    "broadcast_to", "flip",
}  # fmt: skip
_OPERATIONS: dict[str, Callable[..., Any]] = {  # by the name of NumPy's function, or of our own
    **{name: op for name, op in NUMPY.items() if name not in _STEPS},
    "add.reduce": _reduce(ops.sum), "multiply.reduce": _reduce(ops.prod),
    "maximum.reduce": _reduce(ops.max), "minimum.reduce": _reduce(ops.min),
    "add.at": lambda x, index, value: ops.add_at(x, value, index),
    "cumprod": lambda x, axis: reduction.cumprod(x, axis),
    "copy": ops.clone,
    "moveaxis": shaping.movedim,
    "expand_dims": lambda x, axis: ops.reshape(x, np.expand_dims(x.array, axis).shape),
    "pad": lambda x, widths, *, constant_values=0.0: ops.pad(x, widths, constant_values),
    "einsum": lambda equation, *xs, optimize=True: ops.einsum(*xs, equation=equation),
    "vecdot": lambda x, y: ops.sum(x * y, -1),
    "erf": elementary.erf, "along_axes": resize.resample, "follow": lambda *args: None,
    **{op.__name__: op for op in (
        linear_maps.unfold, linear_maps.scatter,
        linear_maps.conv2d, linear_maps.conv2d_dx, linear_maps.conv2d_dw,
    )},
}  # fmt: skip
