"""Each element by itself: arithmetic with PyTorch's settings, comparisons, logic.

Comparisons and logic give bool tensors, which are never recorded. What has a formula made of
operations that are there already is that formula.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.devices import get_default_dtype
from tinynet.functions.common import array_of, check_tensors, named, takes_out
from tinynet.ops.checks import one_of, within
from tinynet.unrecorded import unrecorded

if TYPE_CHECKING:
    from tinynet.tensor import Tensor

__all__ = [
    "acos", "acosh", "add", "addcdiv", "addcmul", "allclose", "asin", "asinh", "atan", "atan2",
    "atanh", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "can_cast", "clamp", "clamp_max", "clamp_min", "copysign",
    "cos", "cosh", "deg2rad", "div", "divide", "eq", "equal", "erf", "erfc", "exp", "exp2", "expm1",
    "float_power", "floor_divide", "fmax", "fmin", "fmod", "frac", "gcd", "ge", "gt", "heaviside",
    "hypot", "is_floating_point", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf",
    "isposinf", "lcm", "le", "lerp", "log", "log1p", "log2", "log10", "logaddexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logit", "lt", "maximum", "minimum", "mul",
    "multiply", "nan_to_num", "ne", "positive", "pow", "promote_types", "rad2deg", "reciprocal",
    "remainder", "result_type", "rsqrt", "rsub", "sigmoid", "signbit", "sin", "sinc", "sinh",
    "sqrt", "square", "sub", "subtract", "tan", "tanh", "true_divide", "where", "xlogy",
]  # fmt: skip

Data = Any
ROUNDING = ("trunc", "floor")


# ----- which dtype two operands meet in -----------------------------------------------------------


def meet(x: Data, y: Data) -> tuple[Data, Data]:
    """The operands in the dtype in which PyTorch combines them.

    The kind decides first: bool, then integer, then float. Within a kind a tensor with axes
    outranks one without, and both outrank a Python number. So int64 with float32 is float32, and
    a float64 tensor without axes leaves a float32 image as it is. NumPy's rules, which count the
    bits of both, hold for ndarrays.
    """
    is_x, is_y = hasattr(x, "requires_grad"), hasattr(y, "requires_grad")
    if is_x and is_y:
        if x.array.dtype is y.array.dtype:
            return x, y
        dtype = common_dtype(x.array, y.array)
        return _in(x, dtype), _in(y, dtype)
    if is_x and isinstance(y, (float, np.floating)):
        return _float(x), y
    if is_y and isinstance(x, (float, np.floating)):
        return x, _float(y)
    return x, y


def common_dtype(x: np.ndarray, y: np.ndarray) -> np.dtype[Any]:
    """The dtype in which PyTorch combines two arrays of unequal dtypes."""
    kinds = [_rank(a.dtype) for a in (x, y)]
    if kinds[0] != kinds[1]:
        return (x if kinds[0] > kinds[1] else y).dtype
    if (x.ndim == 0) != (y.ndim == 0):
        return (y if x.ndim == 0 else x).dtype
    return np.result_type(x.dtype, y.dtype)


def _rank(dtype: Any) -> int:
    """The place of a dtype's kind: bool, integer, float."""
    return {"b": 0, "f": 2}.get(np.dtype(dtype).kind, 1)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether one dtype may be written into another: no floats into ints, neither into bools."""
    return _rank(from_) <= _rank(to)


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The dtype in which tensors of the two dtypes are combined."""
    return common_dtype(np.empty(1, type1), np.empty(1, type2))


def _in(x: Data, dtype: np.dtype[Any]) -> Data:
    return x if x.array.dtype == dtype else ops.astype(x, dtype)


# ----- arithmetic ---------------------------------------------------------------------------------


@takes_out
def add(input: Data, other: Data, *, alpha: float = 1) -> Tensor:
    """input + alpha * other."""
    return ops.add(*meet(input, other if alpha == 1 else ops.mul(*meet(other, alpha))))


@takes_out
def sub(input: Data, other: Data, *, alpha: float = 1) -> Tensor:
    """input - alpha * other."""
    return ops.sub(*meet(input, other if alpha == 1 else ops.mul(*meet(other, alpha))))


def rsub(input: Data, other: Data, *, alpha: float = 1) -> Tensor:
    """other - alpha * input."""
    check_tensors("rsub", input=input)
    return sub(other, input, alpha=alpha)


@takes_out
def div(input: Data, other: Data, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    if rounding_mode is None:
        return ops.div(*meet(_float(input), _float(other)))
    one_of("div", "rounding_mode", rounding_mode, ROUNDING)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    _check_divisor("div", input, other)
    quotient = ops.trunc(div(input, other))
    if array_of(input).dtype.kind in "iu" and array_of(other).dtype.kind in "iu":
        return ops.astype(quotient, np.result_type(array_of(input), array_of(other)))
    return quotient


def _float(x: Data) -> Data:
    """A tensor of integers as floats of the default dtype, which a quotient of them has."""
    is_integer = hasattr(x, "requires_grad") and x.array.dtype.kind != "f"
    return ops.astype(x, get_default_dtype()) if is_integer else x


def _as_floats(x: Data, y: Data) -> tuple[Data, Data]:
    """The operands as floats of one dtype; a number is an array of it."""
    x, y = meet(_float(x), _float(y))
    return x if hasattr(x, "dtype") else np.asarray(x, y.dtype), (
        y if hasattr(y, "dtype") else np.asarray(y, x.dtype)
    )


def floor_divide(input: Data, other: Data) -> Tensor:
    """floor(input / other); its gradient is 0."""
    return wrap(floored(*(getattr(x, "array", x) for x in meet(input, other))))


def floored(x: Any, y: Any) -> Any:
    """x // y of arrays and numbers."""
    _check_divisor("//", x, y)
    return np.floor_divide(x, y)


def _check_divisor(name: str, *operands: Data) -> None:
    """ZeroDivisionError for integers divided by 0, for which there is no infinity."""
    x, y = map(array_of, operands)
    if x.dtype.kind in "iub" and y.dtype.kind in "iub" and not y.all():
        raise ZeroDivisionError(f"{name}: an integer is divided by 0")


def float_power(input: Data, exponent: Data) -> Tensor:
    """input ** exponent in float64."""
    if not hasattr(exponent, "shape"):
        check_tensors("float_power", input=input)
    x, y = (ops.astype(a, np.dtype(float)) if hasattr(a, "shape") else a for a in (input, exponent))
    return ops.pow(x, y)


def _of_two(
    name: str, doc: str | None, compute: Callable[[Data, Data], Tensor], tensors: int
) -> Callable[[Data, Data], Tensor]:
    """A function of two inputs, of which the first so many must be tensors, as PyTorch has it."""

    def function(input: Data, other: Data) -> Tensor:
        check_tensors(name, **dict(zip(("input", "other")[:tensors], (input, other))))
        return compute(input, other)

    return named(name, doc, function)


def _promoting(
    op: Callable[[Any, Any], Tensor], tensors: int = 0, doc: str | None = None,
    floats: bool = False, check: Any = None,
) -> Callable[[Data, Data], Tensor]:  # fmt: skip
    """An operation of two inputs as a function that brings them into one dtype.

    floats: integers become floats first. check: is called with the name and both.
    """

    def met(x: Data, y: Data) -> Tensor:
        if not hasattr(y, "shape"):
            check_tensors(op.__name__, input=x)
        if check is not None:
            check(op.__name__, x, y)
        return op(*_as_floats(x, y) if floats else meet(x, y))

    return takes_out(_of_two(op.__name__, doc or op.__doc__, met, tensors))


def _unless_nan(name: str, wins: Callable[[Any, Any], Any]) -> Callable[[Data, Data], Tensor]:
    def choose(x: Data, y: Data) -> Tensor:
        return ops.where(np.isnan(array_of(y)) | wins(array_of(x), array_of(y)), x, y)

    return named(name, None, choose)


maximum = _promoting(ops.maximum, tensors=2)
minimum = _promoting(ops.minimum, tensors=2)
fmax = _promoting(_unless_nan("fmax", operator.ge), 2, "The larger; where one is NaN, the other.")
fmin = _promoting(_unless_nan("fmin", operator.le), 2, "The smaller; where one is NaN, the other.")
atan2 = _promoting(ops.atan2, 2, floats=True)
hypot = _promoting(ops.hypot, tensors=2)
logaddexp = _promoting(ops.logaddexp, tensors=2)
remainder = _promoting(ops.remainder, check=_check_divisor)
fmod = _promoting(ops.fmod, 1, check=_check_divisor)
xlogy = _promoting(ops.xlogy, floats=True)
mul = _promoting(ops.mul)
subtract, multiply, divide, true_divide = sub, mul, div, div
_pow = _promoting(ops.pow)


def copysign(input: Data, other: Data) -> Tensor:
    """|input| with the sign of other, whose gradient is 0; that of input is 0 at 0."""
    check_tensors("copysign", input=input)
    x, y = _as_floats(input, other)
    turned = np.copysign(np.sign(array_of(x)), array_of(y)) * np.sign(array_of(x))
    return ops.where(array_of(x) == 0, np.copysign(array_of(x), array_of(y)), ops.mul(x, turned))


@takes_out
def pow(input: Data, exponent: Data) -> Tensor:
    """input ** exponent; bools count as integers."""
    is_bool = hasattr(input, "requires_grad") and input.array.dtype == bool
    return _pow(ops.astype(input, np.dtype(int)) if is_bool else input, exponent)


def clamp(input: Data, min: Data = None, max: Data = None) -> Tensor:
    """Limit each element to the interval from `min` to `max`: numbers or tensors, None no bound."""
    if min is None and max is None:
        raise ValueError("clamp: needs min, max or both")
    y = input
    for bound in (min, max):
        if bound is not None:
            y = meet(y, bound)[0]
    min, max = (None if bound is None else meet(bound, y)[0] for bound in (min, max))
    if any(getattr(bound, "requires_grad", False) for bound in (min, max)):
        y = y if min is None else ops.where(_holds(y, np.greater_equal, min), y, min)
        return y if max is None else ops.where(_holds(y, np.less_equal, max), y, max)
    return ops.clip(y, min, max)


def _holds(x: Any, comparison: Any, bound: Any) -> Any:
    """Whether x, a NaN included, may stay as it is: at a tie the gradient is all its own."""
    x = array_of(x)
    return comparison(x, array_of(bound)) | (x != x)


def lerp(input: Data, end: Data, weight: Data) -> Tensor:
    """input + weight * (end - input)."""
    return add(input, mul(weight, sub(end, input)))


def addcmul(input: Data, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Data, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    return add(input, div(tensor1, tensor2), alpha=value)


def logit(input: Data, eps: float | None = None) -> Tensor:
    """ln(x / (1 - x)), the inverse of sigmoid; x is limited to eps and 1 - eps first."""
    x = input if eps is None else clamp(input, eps, 1 - eps)
    return ops.sub(ops.log(x), ops.log1p(ops.neg(x)))


def sinc(input: Data) -> Tensor:
    """sin(pi x) / (pi x), and 1 at x = 0."""
    x = ops.mul(input, math.pi)
    near = np.abs(array_of(x)) < 1e-2  # there the series, right to rounding, has all derivatives
    away = ops.where(near, 1, x)
    square = ops.mul(x, x)
    series = ops.add(1, ops.mul(square, ops.add(-1 / 6, ops.mul(square, 1 / 120))))
    return ops.where(near, series, ops.div(ops.sin(away), away))


clamp_min = named(
    "clamp_min", "Each element, but at least `min`.", lambda input, min: clamp(input, min)
)
clamp_max = named(
    "clamp_max", "Each element, but at most `max`.", lambda input, max: clamp(input, None, max)
)
is_floating_point = named(
    "is_floating_point", "Whether of floats.", lambda input: array_of(input).dtype.kind == "f"
)
square = named(
    "square", "Each element times itself.",
    lambda input: pow(input, 2) if array_of(input).dtype == bool else ops.mul(input, input),
)  # fmt: skip
frac = named(
    "frac", "What stands behind the point.", lambda input: ops.sub(input, ops.trunc(input))
)
erfc = named("erfc", "1 - erf(x).", lambda input: ops.sub(1, ops.erf(input)))
deg2rad = named("deg2rad", "Degrees in radians.", lambda input: ops.mul(input, math.pi / 180))
rad2deg = named("rad2deg", "Radians in degrees.", lambda input: ops.mul(input, 180 / math.pi))
result_type = named("result_type", "The dtype of a product.", lambda x, y: mul(x, y).dtype)
positive = named("positive", "The input itself.", lambda input: input)


def nan_to_num(
    input: Data, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Numbers in place of NaN and the infinities (the largest of the dtype if not given)."""
    x = array_of(input)
    top = np.finfo(x.dtype).max if x.dtype.kind == "f" else 0
    y = ops.where(np.isnan(x), nan, input)
    y = ops.where(np.isposinf(x), top if posinf is None else posinf, y)
    return ops.where(np.isneginf(x), -top if neginf is None else neginf, y)


def where(condition: Data, input: Data = None, other: Data = None) -> Any:
    """input where `condition` holds, else other; without the two, `nonzero(as_tuple=True)`."""
    if input is None and other is None:
        return tuple(wrap(places) for places in np.nonzero(array_of(condition)))
    return ops.where(condition, *meet(input, other))


def _of_floats(op: Callable[[Data], Tensor]) -> Callable[[Data], Tensor]:
    """An elementary function that takes integers as floats of the default dtype, as in PyTorch."""
    name = op.__name__

    def function(input: Data) -> Tensor:
        if not hasattr(input, "dtype") or input.dtype.kind != "f":
            check_tensors(name, input=input)
            input = ops.astype(input, get_default_dtype())
        return op(input)

    return named(name, op.__doc__, function)


(
    acos, acosh, asin, asinh, atan, atanh, cos, cosh, erf, exp, exp2, expm1, log, log10,
    log1p, log2, reciprocal, rsqrt, sigmoid, sin, sinh, sqrt, tan, tanh,
) = map(_of_floats, (
    ops.acos, ops.acosh, ops.asin, ops.asinh, ops.atan, ops.atanh, ops.cos, ops.cosh,
    ops.erf, ops.exp, ops.exp2, ops.expm1, ops.log, ops.log10, ops.log1p, ops.log2,
    ops.reciprocal, ops.rsqrt, ops.sigmoid, ops.sin, ops.sinh, ops.sqrt, ops.tan, ops.tanh,
))  # fmt: skip


# ----- comparison and logic -----------------------------------------------------------------------


def _looking(function: Callable[[Any], Any], doc: str, name: str = "") -> Callable[[Data], Tensor]:
    """A function of one array as one of tensors, without a gradient. name: if not the same."""
    name = name or function.__name__

    def constant(input: Data) -> Tensor:
        check_tensors(name, input=input)
        return unrecorded(name, function, input)  # type: ignore[no-any-return]

    return named(name, doc, constant)


def _comparing(
    function: Callable[[Any, Any], Any], doc: str, tensors: int = 1, name: str = ""
) -> Callable[[Data, Data], Tensor]:
    """A function of two arrays as one of tensors, without a gradient."""
    name = name or function.__name__
    return _of_two(name, doc, functools.partial(unrecorded, name, function), tensors)


eq = _comparing(operator.eq, "input == other, element by element.")
ne = _comparing(operator.ne, "input != other, element by element.")
lt = _comparing(operator.lt, "input < other, element by element.")
le = _comparing(operator.le, "input <= other, element by element.")
gt = _comparing(operator.gt, "input > other, element by element.")
ge = _comparing(operator.ge, "input >= other, element by element.")
logical_and = _comparing(np.logical_and, "Where neither is 0.", tensors=2)
logical_or = _comparing(np.logical_or, "Where one or both are not 0.", tensors=2)
logical_xor = _comparing(np.logical_xor, "Where just one is not 0.", tensors=2)
bitwise_and = _comparing(np.bitwise_and, tensors=0, doc="The bits both have.")
bitwise_or = _comparing(np.bitwise_or, tensors=0, doc="The bits that one has.")
bitwise_xor = _comparing(np.bitwise_xor, tensors=0, doc="The bits that just one has.")
bitwise_left_shift = _comparing(np.left_shift, "input * 2**other.", 0, "bitwise_left_shift")
bitwise_right_shift = _comparing(np.right_shift, "input // 2**other.", 0, "bitwise_right_shift")
gcd = _comparing(np.gcd, "The greatest common divisor of integers.", tensors=2)
lcm = _comparing(np.lcm, "The least common multiple of integers.", tensors=2)
heaviside = _comparing(np.heaviside, "0 below 0, 1 above 0, and other at 0.", tensors=2)
isnan = _looking(np.isnan, "Where an element is NaN.")
isinf = _looking(np.isinf, "Where an element is infinite.")
isfinite = _looking(np.isfinite, "Where an element is neither NaN nor infinite.")
isposinf = _looking(np.isposinf, "Where an element is inf.")
isneginf = _looking(np.isneginf, "Where an element is -inf.")
signbit = _looking(np.signbit, "Where an element is negative, -0 included.")
logical_not = _looking(np.logical_not, "Where an element is 0.")
bitwise_not = _looking(np.bitwise_not, "The bits turned over, or `not` for bools.", "bitwise_not")


def isclose(
    input: Data, other: Data, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|."""
    check_tensors("isclose", input=input, other=other)
    for name, bound in (("rtol", rtol), ("atol", atol)):
        within("isclose", name, bound, 0, math.inf)
    return wrap(np.isclose(array_of(input), array_of(other), rtol, atol, equal_nan))


def allclose(
    input: Data, other: Data, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def equal(input: Data, other: Data) -> bool:
    """Whether two tensors have one shape and equal elements."""
    return np.array_equal(array_of(input), array_of(other))


def isin(elements: Data, test_elements: Data, *, invert: bool = False) -> Tensor:
    """Where an element is among `test_elements`."""
    return wrap(np.isin(array_of(elements), array_of(test_elements), invert=invert))


CLASSES = {
    "float32": "FloatTensor", "float64": "DoubleTensor", "int64": "LongTensor",
    "int32": "IntTensor", "uint8": "ByteTensor", "bool": "BoolTensor", "int16": "ShortTensor",
    "int8": "CharTensor",
}  # fmt: skip
"""The class of each dtype, in PyTorch's words."""


def in_type(input: Data, dtype: Any = None) -> Any:
    """The tensor in another dtype; without one that of the dtype, as "torch.FloatTensor"."""
    if isinstance(dtype, (str, type)):
        names: dict[Any, Any] = {f"torch.{kind}": name for name, kind in CLASSES.items()}
        dtype = get_default_dtype() if dtype in type(input).__mro__ else names.get(dtype, dtype)
    return f"torch.{CLASSES[input.dtype.name]}" if dtype is None else input.to(dtype=dtype)
