"""Written by `python -m tests.method_stubs`: the methods that methods.py makes."""

# ruff: noqa
# fmt: off

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from tinynet.autograd import Variable
from tinynet.functions.common import Dim
from tinynet.return_types import Pair
from tinynet.tensor import Tensor

Array: TypeAlias = Any
Data: TypeAlias = Any
OTHER_NAMES: dict[str, str]

def overwriting(function: Any, name: str) -> Callable[..., Any]: ...

class Methods(Variable):
    def abs(self) -> Tensor:
        """Absolute value, y = |x|. Gradient: dx = dy * sign(x); at the kink x = 0 it is 0. Keeps x."""
    def abs_(self) -> Tensor:
        """Absolute value, y = |x|. Gradient: dx = dy * sign(x); at the kink x = 0 it is 0. Keeps x."""
    def absolute(self) -> Tensor:
        """Absolute value, y = |x|. Gradient: dx = dy * sign(x); at the kink x = 0 it is 0. Keeps x."""
    def absolute_(self) -> Tensor:
        """Absolute value, y = |x|. Gradient: dx = dy * sign(x); at the kink x = 0 it is 0. Keeps x."""
    def acos(self) -> Tensor:
        """Arc cosine; its slope is infinite at -1 and 1. Gradient: y = arccos x, dy/dx = -1 / sqrt(1 - x^2). Keeps x."""
    def acos_(self) -> Tensor:
        """Arc cosine; its slope is infinite at -1 and 1. Gradient: y = arccos x, dy/dx = -1 / sqrt(1 - x^2). Keeps x."""
    def acosh(self) -> Tensor:
        """Inverse of cosh, for x >= 1. Gradient: y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1). Keeps x."""
    def acosh_(self) -> Tensor:
        """Inverse of cosh, for x >= 1. Gradient: y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1). Keeps x."""
    def add(self, other: Data, *, alpha: float = 1, out: Any = None) -> Tensor:
        """input + alpha * other."""
    def add_(self, other: Data, *, alpha: float = 1) -> Tensor:
        """input + alpha * other."""
    def addbmm(self, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * the sum of the products batch1 @ batch2."""
    def addbmm_(self, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * the sum of the products batch1 @ batch2."""
    def addcdiv(self, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
        """input + value * tensor1 / tensor2."""
    def addcdiv_(self, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
        """input + value * tensor1 / tensor2."""
    def addcmul(self, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
        """input + value * tensor1 * tensor2."""
    def addcmul_(self, tensor1: Data, tensor2: Data, *, value: float = 1) -> Tensor:
        """input + value * tensor1 * tensor2."""
    def addmm(self, mat1: Data, mat2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * mat1 @ mat2."""
    def addmm_(self, mat1: Data, mat2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * mat1 @ mat2."""
    def addmv(self, mat: Data, vec: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * mat @ vec."""
    def addmv_(self, mat: Data, vec: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * mat @ vec."""
    def addr(self, vec1: Data, vec2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * outer(vec1, vec2)."""
    def addr_(self, vec1: Data, vec2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * outer(vec1, vec2)."""
    def all(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Whether no element is 0; a bool tensor."""
    def allclose(self, other: Data, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        """Whether `isclose` holds everywhere."""
    def amax(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """The largest element over `dim`; its gradient is shared out evenly at a tie."""
    def amin(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """The smallest element over `dim`; its gradient is shared out evenly at a tie."""
    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
        """(`amin`, `amax`) along `dim`."""
    def any(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Whether some element is not 0; a bool tensor."""
    def arccos(self) -> Tensor:
        """Arc cosine; its slope is infinite at -1 and 1. Gradient: y = arccos x, dy/dx = -1 / sqrt(1 - x^2). Keeps x."""
    def arccos_(self) -> Tensor:
        """Arc cosine; its slope is infinite at -1 and 1. Gradient: y = arccos x, dy/dx = -1 / sqrt(1 - x^2). Keeps x."""
    def arccosh(self) -> Tensor:
        """Inverse of cosh, for x >= 1. Gradient: y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1). Keeps x."""
    def arccosh_(self) -> Tensor:
        """Inverse of cosh, for x >= 1. Gradient: y = arcosh x, dy/dx = 1 / sqrt(x^2 - 1). Keeps x."""
    def arcsin(self) -> Tensor:
        """Arc sine; its slope is infinite at -1 and 1. Gradient: y = arcsin x, dy/dx = 1 / sqrt(1 - x^2). Keeps x."""
    def arcsin_(self) -> Tensor:
        """Arc sine; its slope is infinite at -1 and 1. Gradient: y = arcsin x, dy/dx = 1 / sqrt(1 - x^2). Keeps x."""
    def arcsinh(self) -> Tensor:
        """Inverse of sinh. Gradient: y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1). Keeps x."""
    def arcsinh_(self) -> Tensor:
        """Inverse of sinh. Gradient: y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1). Keeps x."""
    def arctan(self) -> Tensor:
        """Arc tangent. Gradient: y = arctan x, dy/dx = 1 / (1 + x^2). Keeps x."""
    def arctan2(self, other: Data, *, out: Any = None) -> Tensor:
        """The angle of the point (x, y), from -pi to pi."""
    def arctan2_(self, other: Data) -> Tensor:
        """The angle of the point (x, y), from -pi to pi."""
    def arctan_(self) -> Tensor:
        """Arc tangent. Gradient: y = arctan x, dy/dx = 1 / (1 + x^2). Keeps x."""
    def arctanh(self) -> Tensor:
        """Inverse of tanh. Gradient: y = artanh x, dy/dx = 1 / (1 - x^2). Keeps x."""
    def arctanh_(self) -> Tensor:
        """Inverse of tanh. Gradient: y = artanh x, dy/dx = 1 / (1 - x^2). Keeps x."""
    def argmax(self, dim: int | None = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Place of the largest element along `dim`, the first at a tie; of all in C order."""
    def argmin(self, dim: int | None = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Place of the smallest element along `dim`, the first at a tie; of all in C order."""
    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """The order that sorts the elements along `dim`; equal ones stay in their order."""
    def argwhere(self) -> Any:
        """Places of what is not 0, a row each."""
    def as_strided(self, size: Sequence[int], stride: Sequence[int], storage_offset: int = 0) -> Tensor:
        """Element (i, j, ...) is number offset + i stride_0 + j stride_1 + ... of the input in C order."""
    def asin(self) -> Tensor:
        """Arc sine; its slope is infinite at -1 and 1. Gradient: y = arcsin x, dy/dx = 1 / sqrt(1 - x^2). Keeps x."""
    def asin_(self) -> Tensor:
        """Arc sine; its slope is infinite at -1 and 1. Gradient: y = arcsin x, dy/dx = 1 / sqrt(1 - x^2). Keeps x."""
    def asinh(self) -> Tensor:
        """Inverse of sinh. Gradient: y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1). Keeps x."""
    def asinh_(self) -> Tensor:
        """Inverse of sinh. Gradient: y = arsinh x, dy/dx = 1 / sqrt(x^2 + 1). Keeps x."""
    def atan(self) -> Tensor:
        """Arc tangent. Gradient: y = arctan x, dy/dx = 1 / (1 + x^2). Keeps x."""
    def atan2(self, other: Data, *, out: Any = None) -> Tensor:
        """The angle of the point (x, y), from -pi to pi."""
    def atan2_(self, other: Data) -> Tensor:
        """The angle of the point (x, y), from -pi to pi."""
    def atan_(self) -> Tensor:
        """Arc tangent. Gradient: y = arctan x, dy/dx = 1 / (1 + x^2). Keeps x."""
    def atanh(self) -> Tensor:
        """Inverse of tanh. Gradient: y = artanh x, dy/dx = 1 / (1 - x^2). Keeps x."""
    def atanh_(self) -> Tensor:
        """Inverse of tanh. Gradient: y = artanh x, dy/dx = 1 / (1 - x^2). Keeps x."""
    def baddbmm(self, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * batch1 @ batch2."""
    def baddbmm_(self, batch1: Data, batch2: Data, *, beta: float = 1, alpha: float = 1) -> Tensor:
        """beta * input + alpha * batch1 @ batch2."""
    def bincount(self, weights: Data = None, minlength: int = 0) -> Tensor:
        """How often each of 0, 1, 2, ... stands in a vector of integers, or the sum of its weights."""
    def bitwise_and(self, other: Data) -> Tensor:
        """The bits both have."""
    def bitwise_and_(self, other: Data) -> Tensor:
        """The bits both have."""
    def bitwise_left_shift(self, other: Data) -> Tensor:
        """input * 2**other."""
    def bitwise_left_shift_(self, other: Data) -> Tensor:
        """input * 2**other."""
    def bitwise_not(self) -> Tensor:
        """The bits turned over, or `not` for bools."""
    def bitwise_not_(self) -> Tensor:
        """The bits turned over, or `not` for bools."""
    def bitwise_or(self, other: Data) -> Tensor:
        """The bits that one has."""
    def bitwise_or_(self, other: Data) -> Tensor:
        """The bits that one has."""
    def bitwise_right_shift(self, other: Data) -> Tensor:
        """input // 2**other."""
    def bitwise_right_shift_(self, other: Data) -> Tensor:
        """input // 2**other."""
    def bitwise_xor(self, other: Data) -> Tensor:
        """The bits that just one has."""
    def bitwise_xor_(self, other: Data) -> Tensor:
        """The bits that just one has."""
    def bmm(self, mat2: Data, *, out: Any = None) -> Tensor:
        """Products of the matrices of two batches: (B, N, M), (B, M, P) -> (B, N, P)."""
    def broadcast_to(self, *args: Any, size: Any = None) -> Tensor:
        """Repeat axes of size 1 up to `shape` without copying; -1 keeps a size."""
    def ceil(self) -> Any:
        """The smallest integer not below x. Gradient: 0, on the steps too, as in PyTorch."""
    def ceil_(self) -> Tensor:
        """The smallest integer not below x. Gradient: 0, on the steps too, as in PyTorch."""
    def cholesky(self, upper: bool = False) -> Tensor:
        """The lower triangle L with L L^T = A, or its transpose; ValueError if A is not symmetric."""
    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Cut into at most `chunks` pieces of equal size along an axis; the last may be smaller."""
    def clamp(self, min: Data = None, max: Data = None) -> Tensor:
        """Limit each element to the interval from `min` to `max`: numbers or tensors, None no bound."""
    def clamp_(self, min: Data = None, max: Data = None) -> Tensor:
        """Limit each element to the interval from `min` to `max`: numbers or tensors, None no bound."""
    def clamp_max(self, max: Any) -> Any:
        """Each element, but at most `max`."""
    def clamp_max_(self, max: Any) -> Tensor:
        """Each element, but at most `max`."""
    def clamp_min(self, min: Any) -> Any:
        """Each element, but at least `min`."""
    def clamp_min_(self, min: Any) -> Tensor:
        """Each element, but at least `min`."""
    def clip(self, min: Data = None, max: Data = None) -> Tensor:
        """Limit each element to the interval from `min` to `max`: numbers or tensors, None no bound."""
    def clip_(self, min: Data = None, max: Data = None) -> Tensor:
        """Limit each element to the interval from `min` to `max`: numbers or tensors, None no bound."""
    def clone(self, memory_format: Array = None) -> Tensor:
        """A copy with memory of its own, in the same order. Gradient: dx = dy."""
    def copy(self, memory_format: Array = None) -> Tensor:
        """A copy with memory of its own, in the same order. Gradient: dx = dy."""
    def copysign(self, other: Data) -> Tensor:
        """|input| with the sign of other, whose gradient is 0; that of input is 0 at 0."""
    def copysign_(self, other: Data) -> Tensor:
        """|input| with the sign of other, whose gradient is 0; that of input is 0 at 0."""
    def corrcoef(self) -> Tensor:
        """The covariances of variables divided by their standard deviations, from -1 to 1."""
    def cos(self) -> Tensor:
        """Cosine. Gradient: y = cos x, dy/dx = -sin x. Keeps x."""
    def cos_(self) -> Tensor:
        """Cosine. Gradient: y = cos x, dy/dx = -sin x. Keeps x."""
    def cosh(self) -> Tensor:
        """Hyperbolic cosine, (e^x + e^-x) / 2. Gradient: y = cosh x, dy/dx = sinh x. Keeps x."""
    def cosh_(self) -> Tensor:
        """Hyperbolic cosine, (e^x + e^-x) / 2. Gradient: y = cosh x, dy/dx = sinh x. Keeps x."""
    def count_nonzero(self, dim: Dim = None) -> Tensor:
        """How many elements over `dim` are not 0."""
    def cov(self, *, correction: float = 1, fweights: Data = None, aweights: Data = None) -> Tensor:
        """The covariances of variables, a row each, over observations, a column each."""
    def cross(self, other: Any, *, dim: int = -1) -> Tensor:
        """The cross products of the vectors with three elements along `dim`."""
    def cummax(self, dim: int) -> Pair:
        """The largest element so far along `dim`, and the last place of it."""
    def cummin(self, dim: int) -> Pair:
        """The smallest element so far along `dim`, and the last place of it."""
    def cumprod(self, dim: int | None = None, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Running product along `dim`."""
    def cumprod_(self, dim: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
        """Running product along `dim`."""
    def cumsum(self, dim: int | None = None, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Running sum along `dim`."""
    def cumsum_(self, dim: int | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
        """Running sum along `dim`."""
    def deg2rad(self) -> Any:
        """Degrees in radians."""
    def deg2rad_(self) -> Tensor:
        """Degrees in radians."""
    def det(self) -> Tensor:
        """The determinant."""
    def diag(self, diagonal: int = 0) -> Tensor:
        """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
        """Matrices of zeros with the last axis of x on a diagonal."""
    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """The diagonal of two axes, as the last axis; a view of two in C order."""
    def diff(self, n: int = 1, dim: int = -1, prepend: Data = None, append: Data = None) -> Tensor:
        """Each element along `dim` less the one before, n times over; with more at the two ends."""
    def digamma(self) -> Tensor:
        """The derivative of `lgamma`."""
    def digamma_(self) -> Tensor:
        """`digamma` in place."""
    def dist(self, other: Data, p: float = 2) -> Tensor:
        """The p-norm of input - other."""
    def div(self, other: Data, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def div_(self, other: Data, *, rounding_mode: str | None = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def divide(self, other: Data, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def divide_(self, other: Data, *, rounding_mode: str | None = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def dot(self, tensor: Data) -> Tensor:
        """The sum of the products of two vectors. (np.dot multiplies matrices too.)"""
    def elu(self, alpha: float = 1.0) -> Tensor:
        """Exponential linear unit: y = x where x > 0, else alpha * (e^x - 1)."""
    def elu_(self, alpha: float = 1.0) -> Tensor:
        """Exponential linear unit: y = x where x > 0, else alpha * (e^x - 1)."""
    def eq(self, other: Data) -> Tensor:
        """input == other, element by element."""
    def eq_(self, other: Data) -> Tensor:
        """input == other, element by element."""
    def equal(self, other: Data) -> bool:
        """Whether two tensors have one shape and equal elements."""
    def erf(self) -> Tensor:
        """The error function, 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x; its slope is what stands under the integral. Gradient: y = erf x, dy/dx = 2 / sqrt(pi) e^(-x^2). Keeps x."""
    def erf_(self) -> Tensor:
        """The error function, 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x; its slope is what stands under the integral. Gradient: y = erf x, dy/dx = 2 / sqrt(pi) e^(-x^2). Keeps x."""
    def erfc(self) -> Any:
        """1 - erf(x)."""
    def erfc_(self) -> Tensor:
        """1 - erf(x)."""
    def erfinv(self) -> Tensor:
        """The number of which erf is x, from -1 to 1; infinite at both ends, NaN outside."""
    def erfinv_(self) -> Tensor:
        """`erfinv` in place."""
    def exp(self) -> Tensor:
        """Exponential, y = e^x. Gradient: dx = dy * y. Keeps y."""
    def exp2(self) -> Tensor:
        """Power of 2. Gradient: y = 2^x, dy/dx = y ln 2. Keeps y."""
    def exp2_(self) -> Tensor:
        """Power of 2. Gradient: y = 2^x, dy/dx = y ln 2. Keeps y."""
    def exp_(self) -> Tensor:
        """Exponential, y = e^x. Gradient: dx = dy * y. Keeps y."""
    def expand(self, *args: Any, size: Any = None) -> Tensor:
        """Repeat axes of size 1 up to `shape` without copying; -1 keeps a size."""
    def expand_as(self, other: Any) -> Any:
        """`expand` to the shape of another tensor."""
    def expm1(self) -> Tensor:
        """e^x - 1, exact near 0. Gradient: y = e^x - 1, dy/dx = y + 1. Keeps y."""
    def expm1_(self) -> Tensor:
        """e^x - 1, exact near 0. Gradient: y = e^x - 1, dy/dx = y + 1. Keeps y."""
    def fix(self) -> Any:
        """x without its fraction. Gradient: 0, on the steps too, as in PyTorch."""
    def fix_(self) -> Tensor:
        """x without its fraction. Gradient: 0, on the steps too, as in PyTorch."""
    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Merge the axes from `start_dim` to `end_dim` into one: a reshape, and so is its gradient."""
    def flip(self, *args: Any, dims: Any = None) -> Tensor:
        """Reverse the order along the axes given."""
    def fliplr(self) -> Any:
        """The second axis reversed."""
    def flipud(self) -> Tensor:
        """The first axis reversed."""
    def float_power(self, exponent: Data) -> Tensor:
        """input ** exponent in float64."""
    def float_power_(self, exponent: Data) -> Tensor:
        """input ** exponent in float64."""
    def floor(self) -> Any:
        """The largest integer not above x. Gradient: 0, on the steps too, as in PyTorch."""
    def floor_(self) -> Tensor:
        """The largest integer not above x. Gradient: 0, on the steps too, as in PyTorch."""
    def floor_divide(self, other: Data) -> Tensor:
        """floor(input / other); its gradient is 0."""
    def floor_divide_(self, other: Data) -> Tensor:
        """floor(input / other); its gradient is 0."""
    def fmax(self, other: Data, *, out: Any = None) -> Tensor:
        """The larger; where one is NaN, the other."""
    def fmin(self, other: Data, *, out: Any = None) -> Tensor:
        """The smaller; where one is NaN, the other."""
    def fmod(self, other: Data, *, out: Any = None) -> Tensor:
        """What is left of x, with the sign of x. Gradients: z = x - y trunc(x / y), dz/dx = 1, dz/dy = -trunc(x / y). Keeps both inputs and z."""
    def fmod_(self, other: Data) -> Tensor:
        """What is left of x, with the sign of x. Gradients: z = x - y trunc(x / y), dz/dx = 1, dz/dy = -trunc(x / y). Keeps both inputs and z."""
    def frac(self) -> Any:
        """What stands behind the point."""
    def frac_(self) -> Tensor:
        """What stands behind the point."""
    def gather(self, dim: int, index: Data) -> Tensor:
        """y[i, j, ...] = x[index[i, j, ...], j, ...] for dim = 0, and alike for the other axes."""
    def gcd(self, other: Data) -> Tensor:
        """The greatest common divisor of integers."""
    def gcd_(self, other: Data) -> Tensor:
        """The greatest common divisor of integers."""
    def ge(self, other: Data) -> Tensor:
        """input >= other, element by element."""
    def ge_(self, other: Data) -> Tensor:
        """input >= other, element by element."""
    def gelu(self, approximate: str = 'none') -> Tensor:
        """Gaussian error linear unit, y = x * Phi(x), Phi the standard normal distribution function."""
    def ger(self, vec2: Data) -> Tensor:
        """Each element of one vector times each of another: (N), (M) -> (N, M)."""
    def greater(self, other: Data) -> Tensor:
        """input > other, element by element."""
    def greater_(self, other: Data) -> Tensor:
        """input > other, element by element."""
    def greater_equal(self, other: Data) -> Tensor:
        """input >= other, element by element."""
    def greater_equal_(self, other: Data) -> Tensor:
        """input >= other, element by element."""
    def gt(self, other: Data) -> Tensor:
        """input > other, element by element."""
    def gt_(self, other: Data) -> Tensor:
        """input > other, element by element."""
    def heaviside(self, other: Data) -> Tensor:
        """0 below 0, 1 above 0, and other at 0."""
    def heaviside_(self, other: Data) -> Tensor:
        """0 below 0, 1 above 0, and other at 0."""
    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        """How many elements fall into each of `bins` equal parts from min to max."""
    def histogram(self, bins: Any, *, range: Any = None, weight: Data = None, density: bool = False) -> Any:
        """(hist, bin_edges): how many elements, or how much of `weight`, fall between the edges."""
    def hypot(self, other: Data, *, out: Any = None) -> Tensor:
        """The length of (x, y). Gradients: z = sqrt(x^2 + y^2), dz/dx = x / z, dz/dy = y / z. Keeps both inputs and z."""
    def hypot_(self, other: Data) -> Tensor:
        """The length of (x, y). Gradients: z = sqrt(x^2 + y^2), dz/dx = x / z, dz/dy = y / z. Keeps both inputs and z."""
    def index_add(self, dim: int, index: Data, source: Data, *, alpha: float = 1) -> Tensor:
        """A copy of x with the slices of `source` added where the vector `index` says."""
    def index_add_(self, dim: int, index: Data, source: Data, *, alpha: float = 1) -> Tensor:
        """A copy of x with the slices of `source` added where the vector `index` says."""
    def index_copy(self, dim: int, index: Data, source: Data) -> Tensor:
        """A copy of x with the slices of `source` in place of those that the vector `index` names."""
    def index_copy_(self, dim: int, index: Data, source: Data) -> Tensor:
        """A copy of x with the slices of `source` in place of those that the vector `index` names."""
    def index_fill(self, dim: int, index: Data, value: Data) -> Tensor:
        """A copy of x with a number in the slices that the vector `index` names."""
    def index_fill_(self, dim: int, index: Data, value: Data) -> Tensor:
        """A copy of x with a number in the slices that the vector `index` names."""
    def index_put(self, indices: Any, values: Data, accumulate: bool = False) -> Tensor:
        """A copy of x with x[indices] = values, or += values, repeats included."""
    def index_put_(self, indices: Any, values: Data, accumulate: bool = False) -> Tensor:
        """A copy of x with x[indices] = values, or += values, repeats included."""
    def index_select(self, dim: int, index: Data) -> Tensor:
        """The slices along `dim` that a vector of places names."""
    def inner(self, other: Data) -> Tensor:
        """Sums of products over the last axes of two tensors."""
    def inverse(self) -> Tensor:
        """The matrix y with x y = 1."""
    def is_floating_point(self) -> Any:
        """Whether of floats."""
    def isclose(self, other: Data, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        """Where |input - other| <= atol + rtol * |other|."""
    def isfinite(self) -> Tensor:
        """Where an element is neither NaN nor infinite."""
    def isinf(self) -> Tensor:
        """Where an element is infinite."""
    def isnan(self) -> Tensor:
        """Where an element is NaN."""
    def isneginf(self) -> Tensor:
        """Where an element is -inf."""
    def isposinf(self) -> Tensor:
        """Where an element is inf."""
    def kron(self, other: Data) -> Tensor:
        """The Kronecker product: each element of x times the whole of the other."""
    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> Pair:
        """The k-th smallest element along `dim`, counted from 1, and its place."""
    def lcm(self, other: Data) -> Tensor:
        """The least common multiple of integers."""
    def lcm_(self, other: Data) -> Tensor:
        """The least common multiple of integers."""
    def le(self, other: Data) -> Tensor:
        """input <= other, element by element."""
    def le_(self, other: Data) -> Tensor:
        """input <= other, element by element."""
    def leaky_relu(self, negative_slope: float = 0.01) -> Tensor:
        """Rectified linear unit that leaks: y = x where x > 0, else negative_slope * x."""
    def leaky_relu_(self, negative_slope: float = 0.01) -> Tensor:
        """Rectified linear unit that leaks: y = x where x > 0, else negative_slope * x."""
    def lerp(self, end: Data, weight: Data) -> Tensor:
        """input + weight * (end - input)."""
    def lerp_(self, end: Data, weight: Data) -> Tensor:
        """input + weight * (end - input)."""
    def less(self, other: Data) -> Tensor:
        """input < other, element by element."""
    def less_(self, other: Data) -> Tensor:
        """input < other, element by element."""
    def less_equal(self, other: Data) -> Tensor:
        """input <= other, element by element."""
    def less_equal_(self, other: Data) -> Tensor:
        """input <= other, element by element."""
    def lgamma(self) -> Tensor:
        """The logarithm of |Gamma(x)|, which is (x - 1)! for integers; infinite at 0, -1, -2, ..."""
    def lgamma_(self) -> Tensor:
        """`lgamma` in place."""
    def log(self) -> Tensor:
        """Natural logarithm, y = log x (-inf at 0, NaN below). Gradient: dx = dy / x. Keeps x."""
    def log10(self) -> Tensor:
        """Logarithm to the base 10. Gradient: y = log10 x, dy/dx = 1 / (x ln 10). Keeps x."""
    def log10_(self) -> Tensor:
        """Logarithm to the base 10. Gradient: y = log10 x, dy/dx = 1 / (x ln 10). Keeps x."""
    def log1p(self) -> Tensor:
        """ln(1 + x), exact near 0. Gradient: y = ln(1 + x), dy/dx = 1 / (1 + x). Keeps x."""
    def log1p_(self) -> Tensor:
        """ln(1 + x), exact near 0. Gradient: y = ln(1 + x), dy/dx = 1 / (1 + x). Keeps x."""
    def log2(self) -> Tensor:
        """Logarithm to the base 2. Gradient: y = log2 x, dy/dx = 1 / (x ln 2). Keeps x."""
    def log2_(self) -> Tensor:
        """Logarithm to the base 2. Gradient: y = log2 x, dy/dx = 1 / (x ln 2). Keeps x."""
    def log_(self) -> Tensor:
        """Natural logarithm, y = log x (-inf at 0, NaN below). Gradient: dx = dy / x. Keeps x."""
    def log_softmax(self, dim: int | None = None, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """log(softmax(x)) along `dim`, without its underflow."""
    def logaddexp(self, other: Data, *, out: Any = None) -> Tensor:
        """ln(e^x + e^y) without overflow; each gets its share of the sum. Gradients: z = ln(e^x + e^y), dz/dx = e^(x - z), dz/dy = e^(y - z). Keeps both inputs and z."""
    def logcumsumexp(self, dim: int) -> Tensor:
        """log of the running sum of e^x along `dim`, without overflow where one x is much larger."""
    def logdet(self) -> Tensor:
        """The logarithm of the determinant."""
    def logical_and(self, other: Data) -> Tensor:
        """Where neither is 0."""
    def logical_and_(self, other: Data) -> Tensor:
        """Where neither is 0."""
    def logical_not(self) -> Tensor:
        """Where an element is 0."""
    def logical_not_(self) -> Tensor:
        """Where an element is 0."""
    def logical_or(self, other: Data) -> Tensor:
        """Where one or both are not 0."""
    def logical_or_(self, other: Data) -> Tensor:
        """Where one or both are not 0."""
    def logical_xor(self, other: Data) -> Tensor:
        """Where just one is not 0."""
    def logical_xor_(self, other: Data) -> Tensor:
        """Where just one is not 0."""
    def logit(self, eps: float | None = None) -> Tensor:
        """ln(x / (1 - x)), the inverse of sigmoid; x is limited to eps and 1 - eps first."""
    def logit_(self, eps: float | None = None) -> Tensor:
        """ln(x / (1 - x)), the inverse of sigmoid; x is limited to eps and 1 - eps first."""
    def logsumexp(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """log(sum(e^x)) over `dim`, without overflow."""
    def lt(self, other: Data) -> Tensor:
        """input < other, element by element."""
    def lt_(self, other: Data) -> Tensor:
        """input < other, element by element."""
    def masked_fill(self, mask: Data, value: Data) -> Tensor:
        """`value` where the bool tensor `mask` holds, else the element itself."""
    def masked_fill_(self, mask: Data, value: Data) -> Tensor:
        """`value` where the bool tensor `mask` holds, else the element itself."""
    def masked_scatter(self, mask: Data, source: Data) -> Tensor:
        """A copy of x with the elements of `source`, in their order, where `mask` holds."""
    def masked_scatter_(self, mask: Data, source: Data) -> Tensor:
        """A copy of x with the elements of `source`, in their order, where `mask` holds."""
    def masked_select(self, mask: Data) -> Tensor:
        """The elements where the bool tensor `mask` holds, in a vector; the two broadcast."""
    def matmul(self, other: Data, *, out: Any = None) -> Tensor:
        """Matrix product: the last two axes multiply, those before broadcast."""
    def matrix_exp(self) -> Tensor:
        """e^A = I + A + A^2 / 2! + A^3 / 3! + ... of square matrices (..., N, N)."""
    def matrix_power(self, n: Any) -> Any:
        """Raise a square matrix to the (integer) power `n`."""
    def max(self, dim: Any = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False, other: Data = None) -> Any:
        """The largest element, in three forms, as in PyTorch."""
    def maximum(self, other: Data, *, out: Any = None) -> Tensor:
        """The larger of two, z = max(x, y)."""
    def mean(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False, dtype: DTypeLike | None = None) -> Tensor:
        """Mean over `dim` (all axes if None), of bools the share that is true."""
    def median(self, dim: int | None = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Any:
        """The median of all, or along `dim` the pair (values, indices)."""
    def min(self, dim: Any = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False, other: Data = None) -> Any:
        """The smallest element, in the three forms of `max`."""
    def minimum(self, other: Data, *, out: Any = None) -> Tensor:
        """The smaller of two, z = min(x, y)."""
    def mm(self, mat2: Data, *, out: Any = None) -> Tensor:
        """The product of two matrices."""
    def mode(self, dim: int = -1, keepdim: bool = False) -> Pair:
        """The most frequent element along `dim`, the smallest at a tie, and the last place of it."""
    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Axes moved to other places; the rest keep their order."""
    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
        """Axes moved to other places; the rest keep their order."""
    def msort(self) -> Tensor:
        """The elements sorted along the first axis."""
    def mul(self, other: Data, *, out: Any = None) -> Tensor:
        """Product, z = x * y. Gradients by the product rule: dx = dz * y, dy = dz * x."""
    def mul_(self, other: Data) -> Tensor:
        """Product, z = x * y. Gradients by the product rule: dx = dz * y, dy = dz * x."""
    def multiply(self, other: Data, *, out: Any = None) -> Tensor:
        """Product, z = x * y. Gradients by the product rule: dx = dz * y, dy = dz * x."""
    def multiply_(self, other: Data) -> Tensor:
        """Product, z = x * y. Gradients by the product rule: dx = dz * y, dy = dz * x."""
    def mv(self, vec: Data) -> Tensor:
        """A matrix times a vector."""
    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        """Numbers in place of NaN and the infinities (the largest of the dtype if not given)."""
    def nan_to_num_(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        """Numbers in place of NaN and the infinities (the largest of the dtype if not given)."""
    def nanmean(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Mean over `dim` of the elements that are not NaN."""
    def nansum(self, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Sum over `dim` in which NaN counts as 0."""
    def narrow(self, dim: int, start: Any, length: int) -> Tensor:
        """`length` slices along `dim`, from `start` on."""
    def ne(self, other: Data) -> Tensor:
        """input != other, element by element."""
    def ne_(self, other: Data) -> Tensor:
        """input != other, element by element."""
    def neg(self) -> Tensor:
        """Negation, y = -x. Gradient: dx = -dy. Keeps nothing."""
    def neg_(self) -> Tensor:
        """Negation, y = -x. Gradient: dx = -dy. Keeps nothing."""
    def negative(self) -> Tensor:
        """Negation, y = -x. Gradient: dx = -dy. Keeps nothing."""
    def negative_(self) -> Tensor:
        """Negation, y = -x. Gradient: dx = -dy. Keeps nothing."""
    def nelement(self) -> Any:
        """The number of elements."""
    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The places of the elements that are not 0: a row each, or with as_tuple an index."""
    def norm(self, p: float | str | None = 'fro', dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> Tensor:
        """The p-norm (sum |x|^p)^(1/p) over `dim` (all axes if None); "fro" is p = 2."""
    def not_equal(self, other: Data) -> Tensor:
        """input != other, element by element."""
    def not_equal_(self, other: Data) -> Tensor:
        """input != other, element by element."""
    def numel(self) -> Any:
        """The number of elements."""
    def outer(self, vec2: Data) -> Tensor:
        """Each element of one vector times each of another: (N), (M) -> (N, M)."""
    def permute(self, *args: Any, dims: Any = None) -> Tensor:
        """Axes in another order: `permute(0, 2, 1)`."""
    def pinverse(self, rcond: float = 1e-15) -> Tensor:
        """`pinv` with rtol = rcond."""
    def positive(self) -> Any:
        """The input itself."""
    def pow(self, exponent: Data, *, out: Any = None) -> Tensor:
        """input ** exponent; bools count as integers."""
    def pow_(self, exponent: Data) -> Tensor:
        """input ** exponent; bools count as integers."""
    def prod(self, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Product over `dim` (all axes if None)."""
    def put(self, index: Data, source: Data, accumulate: bool = False) -> Tensor:
        """A copy of x with `source` at places counted through the whole tensor, or added there."""
    def put_(self, index: Data, source: Data, accumulate: bool = False) -> Tensor:
        """A copy of x with `source` at places counted through the whole tensor, or added there."""
    def quantile(self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = 'linear') -> Tensor:
        """The element below which the share q of all stands, in order along `dim`."""
    def rad2deg(self) -> Any:
        """Radians in degrees."""
    def rad2deg_(self) -> Tensor:
        """Radians in degrees."""
    def ravel(self) -> Any:
        """All elements along one axis."""
    def reciprocal(self) -> Tensor:
        """One divided by x. Gradient: y = 1 / x, dy/dx = -y^2. Keeps y."""
    def reciprocal_(self) -> Tensor:
        """One divided by x. Gradient: y = 1 / x, dy/dx = -y^2. Keeps y."""
    def relu(self) -> Tensor:
        """Rectified linear unit, y = max(x, 0)."""
    def relu_(self) -> Tensor:
        """Rectified linear unit, y = max(x, 0)."""
    def remainder(self, other: Data, *, out: Any = None) -> Tensor:
        """What is left of x, with the sign of y; the floor is constant between its steps. Gradients: z = x - y floor(x / y), dz/dx = 1, dz/dy = -floor(x / y). Keeps both inputs and z."""
    def remainder_(self, other: Data) -> Tensor:
        """What is left of x, with the sign of y; the floor is constant between its steps. Gradients: z = x - y floor(x / y), dz/dx = 1, dz/dy = -floor(x / y). Keeps both inputs and z."""
    def renorm(self, p: float, dim: int, maxnorm: float) -> Tensor:
        """The parts along `dim` whose p-norm is above `maxnorm` scaled down to it, the others as they are: x * maxnorm / (norm + 1e-7)."""
    def renorm_(self, p: float, dim: int, maxnorm: float) -> Tensor:
        """The parts along `dim` whose p-norm is above `maxnorm` scaled down to it, the others as they are: x * maxnorm / (norm + 1e-7)."""
    def repeat(self, *args: Any, repeats: Any = None) -> Tensor:
        """Copies side by side: `repeat(2, 3)` stacks 2 down and 3 across; a new axis may come first."""
    def repeat_interleave(self, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
        """Each slice along `dim` repeated in place, by one number or one number each."""
    def reshape(self, *args: Any, shape: Any = None, size: Any = None) -> Tensor:
        """The same elements in another shape: `reshape(2, -1)` or `reshape((2, -1))`."""
    def reshape_as(self, other: Any) -> Any:
        """The same elements in the shape of another tensor."""
    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """Elements moved on by `shifts` along `dims`, the last ones coming in at the front."""
    def rot90(self, k: int = 1, dims: Sequence[int] = ...) -> Tensor:
        """Turned by k * 90 degrees in the plane of two axes, from the first towards the second."""
    def round(self, decimals: int = 0) -> Tensor:
        """x rounded to `decimals` places, halves to even. Gradient: 0, as in PyTorch."""
    def round_(self, decimals: int = 0) -> Tensor:
        """x rounded to `decimals` places, halves to even. Gradient: 0, as in PyTorch."""
    def rsqrt(self) -> Tensor:
        """1 / sqrt(x); (x^(-1/2))' = -x^(-3/2) / 2. Gradient: y = 1 / sqrt(x), dy/dx = -y^3 / 2. Keeps y."""
    def rsqrt_(self) -> Tensor:
        """1 / sqrt(x); (x^(-1/2))' = -x^(-3/2) / 2. Gradient: y = 1 / sqrt(x), dy/dx = -y^3 / 2. Keeps y."""
    def scatter(self, dim: int, index: Data, src: Data = None, *, value: float | None = None, reduce: str | None = None) -> Tensor:
        """A copy of x in which the element of `src` at each place of `index` stands where that says."""
    def scatter_(self, dim: int, index: Data, src: Data = None, *, value: float | None = None, reduce: str | None = None) -> Tensor:
        """A copy of x in which the element of `src` at each place of `index` stands where that says."""
    def scatter_add(self, dim: int, index: Data, src: Data) -> Tensor:
        """`scatter` that adds, also where places repeat."""
    def scatter_add_(self, dim: int, index: Data, src: Data) -> Tensor:
        """`scatter` that adds, also where places repeat."""
    def scatter_reduce(self, dim: int, index: Data, src: Data, reduce: str, *, include_self: bool = True) -> Tensor:
        """`scatter` that makes one number of all that come to a place and, unless include_self is False, of what stands there: their "sum", "mean", "prod", "amax" or "amin", whose ties share dy."""
    def scatter_reduce_(self, dim: int, index: Data, src: Data, reduce: str, *, include_self: bool = True) -> Tensor:
        """`scatter` that makes one number of all that come to a place and, unless include_self is False, of what stands there: their "sum", "mean", "prod", "amax" or "amin", whose ties share dy."""
    def select(self, dim: int, index: int) -> Tensor:
        """The slice `index` along `dim`, without that axis."""
    def sgn(self) -> Any:
        """-1, 0 or 1. Gradient: 0, on the steps too, as in PyTorch."""
    def sgn_(self) -> Tensor:
        """-1, 0 or 1. Gradient: 0, on the steps too, as in PyTorch."""
    def sigmoid(self) -> Tensor:
        """Logistic function, y = 1 / (1 + e^-x)."""
    def sigmoid_(self) -> Tensor:
        """Logistic function, y = 1 / (1 + e^-x)."""
    def sign(self) -> Any:
        """-1, 0 or 1. Gradient: 0, on the steps too, as in PyTorch."""
    def sign_(self) -> Tensor:
        """-1, 0 or 1. Gradient: 0, on the steps too, as in PyTorch."""
    def signbit(self) -> Tensor:
        """Where an element is negative, -0 included."""
    def silu(self) -> Tensor:
        """Sigmoid linear unit (swish), y = x * s with s = sigmoid(x)."""
    def silu_(self) -> Tensor:
        """Sigmoid linear unit (swish), y = x * s with s = sigmoid(x)."""
    def sin(self) -> Tensor:
        """Sine. Gradient: y = sin x, dy/dx = cos x. Keeps x."""
    def sin_(self) -> Tensor:
        """Sine. Gradient: y = sin x, dy/dx = cos x. Keeps x."""
    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), and 1 at x = 0."""
    def sinc_(self) -> Tensor:
        """sin(pi x) / (pi x), and 1 at x = 0."""
    def sinh(self) -> Tensor:
        """Hyperbolic sine, (e^x - e^-x) / 2. Gradient: y = sinh x, dy/dx = cosh x. Keeps x."""
    def sinh_(self) -> Tensor:
        """Hyperbolic sine, (e^x - e^-x) / 2. Gradient: y = sinh x, dy/dx = cosh x. Keeps x."""
    def softmax(self, dim: int | None = None, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Probabilities e^x / sum(e^x) along `dim`, of the input in `dtype` if one is given."""
    def softplus(self, beta: float = 1.0) -> Tensor:
        """Smooth ReLU, y = log(1 + e^(beta x)) / beta."""
    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True, *, axis: Dim = None, keepdims: bool = False) -> Pair:
        """The elements sorted along `dim`, and the places where they stood; NaN is the largest."""
    def split(self, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """Cut along an axis: into pieces of one size, the last smaller, or of the sizes in a list."""
    def sqrt(self) -> Tensor:
        """Square root, y = sqrt(x). Gradient: dx = dy / (2 y), from x = y^2, 1 = 2 y y'. Keeps y."""
    def sqrt_(self) -> Tensor:
        """Square root, y = sqrt(x). Gradient: dx = dy / (2 y), from x = y^2, 1 = 2 y y'. Keeps y."""
    def square(self) -> Any:
        """Each element times itself."""
    def square_(self) -> Tensor:
        """Each element times itself."""
    def squeeze(self, dim: Dim = None, *, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Drop axes of size 1: all, or of those named the ones that have it."""
    def squeeze_(self, dim: Dim = None) -> Tensor:
        """Drop axes of size 1: all, or of those named the ones that have it."""
    def std(self, dim: Dim | bool = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, axis: Dim = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        """The square root of `var` with the same arguments: standard deviation."""
    def sub(self, other: Data, *, alpha: float = 1, out: Any = None) -> Tensor:
        """input - alpha * other."""
    def sub_(self, other: Data, *, alpha: float = 1) -> Tensor:
        """input - alpha * other."""
    def subtract(self, other: Data, *, alpha: float = 1, out: Any = None) -> Tensor:
        """input - alpha * other."""
    def subtract_(self, other: Data, *, alpha: float = 1) -> Tensor:
        """input - alpha * other."""
    def sum(self, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None, axis: Dim = None, keepdims: bool = False) -> Tensor:
        """Sum over `dim` (all axes if None). dtype: the inputs are converted to it first."""
    def svd(self, some: bool = True, compute_uv: bool = True) -> Any:
        """`linalg.svd` with V itself; without compute_uv U and V are square and 0."""
    def swapaxes(self, axis0: int, axis1: int) -> Tensor:
        """Swap two axes."""
    def swapaxes_(self, axis0: int, axis1: int) -> Tensor:
        """Swap two axes."""
    def swapdims(self, axis0: int, axis1: int) -> Tensor:
        """Swap two axes."""
    def swapdims_(self, axis0: int, axis1: int) -> Tensor:
        """Swap two axes."""
    def t(self) -> Tensor:
        """A matrix with rows and columns swapped; a vector as it is."""
    def t_(self) -> Tensor:
        """A matrix with rows and columns swapped; a vector as it is."""
    def take(self, index: Data) -> Tensor:
        """The elements at places counted through the whole tensor."""
    def take_along_dim(self, indices: Data, dim: int | None = None) -> Tensor:
        """`gather` with an index that broadcasts to the input beside `dim`; of all without `dim`."""
    def tan(self) -> Tensor:
        """Tangent, with tan' = 1 / cos^2. Gradient: y = tan x, dy/dx = 1 + y^2. Keeps y."""
    def tan_(self) -> Tensor:
        """Tangent, with tan' = 1 / cos^2. Gradient: y = tan x, dy/dx = 1 + y^2. Keeps y."""
    def tanh(self) -> Tensor:
        """Hyperbolic tangent, y = (e^x - e^-x) / (e^x + e^-x)."""
    def tanh_(self) -> Tensor:
        """Hyperbolic tangent, y = (e^x - e^-x) / (e^x + e^-x)."""
    def tensor_split(self, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """Cut along an axis into n pieces of nearly equal size, or before each index of a list."""
    def tile(self, *args: Any, dims: Any = None) -> Tensor:
        """`repeat` in which missing numbers in front are 1."""
    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Pair:
        """The k largest (or smallest) elements along `dim`, in order, and their places."""
    def trace(self) -> Tensor:
        """The sum of a matrix's diagonal."""
    def transpose(self, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Tensor:
        """Swap or permute axes."""
    def transpose_(self, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Tensor:
        """Swap or permute axes."""
    def tril(self, diagonal: int = 0) -> Tensor:
        """The lower triangle of matrices, up to a diagonal; 0 above it."""
    def tril_(self, diagonal: int = 0) -> Tensor:
        """The lower triangle of matrices, up to a diagonal; 0 above it."""
    def triu(self, diagonal: int = 0) -> Tensor:
        """The upper triangle of matrices, from a diagonal on; 0 below it."""
    def triu_(self, diagonal: int = 0) -> Tensor:
        """The upper triangle of matrices, from a diagonal on; 0 below it."""
    def true_divide(self, other: Data, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def true_divide_(self, other: Data, *, rounding_mode: str | None = None) -> Tensor:
        """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    def trunc(self) -> Any:
        """x without its fraction. Gradient: 0, on the steps too, as in PyTorch."""
    def trunc_(self) -> Tensor:
        """x without its fraction. Gradient: 0, on the steps too, as in PyTorch."""
    def type(self, dtype: Any = None) -> Any:
        """The tensor in another dtype; without one that of the dtype, as "torch.FloatTensor"."""
    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """The slices along an axis, without that axis."""
    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        """One axis cut into several of the sizes given; one may be -1."""
    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        """Windows of `size` every `step` along an axis; the windows' elements are the last axis."""
    def unique(self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
        """The different elements (or slices along `dim`) in order; on request the place of each input among them and how often each stands there."""
    def unique_consecutive(self, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
        """The elements (or slices along `dim`) without those that equal the one before; on request the place of each input among them and how often each stands there in a row."""
    def unsqueeze(self, dim: int) -> Tensor:
        """Insert an axis of size 1, which becomes axis `dim` of y. Gradient: dy in the old shape."""
    def unsqueeze_(self, dim: int) -> Tensor:
        """Insert an axis of size 1, which becomes axis `dim` of y. Gradient: dy in the old shape."""
    def var(self, dim: Dim | bool = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, axis: Dim = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        """Variance over `dim`: the sum of squares divided by n - correction."""
    def vdot(self, other: Any) -> Any:
        """`dot`, with another name of an argument."""
    def view(self, *args: Any, shape: Any = None, size: Any = None) -> Tensor:
        """The same elements in another shape: `reshape(2, -1)` or `reshape((2, -1))`."""
    def view_as(self, other: Any) -> Any:
        """The same elements in the shape of another tensor."""
    def xlogy(self, other: Data, *, out: Any = None) -> Tensor:
        """x ln y, and 0 where x is 0, whatever y is; so are its gradients where y is not above 0 there. Gradients: z = x ln y, dz/dx = ln y, dz/dy = x / y. Keeps both inputs and z."""
    def xlogy_(self, other: Data) -> Tensor:
        """x ln y, and 0 where x is 0, whatever y is; so are its gradients where y is not above 0 there. Gradients: z = x ln y, dz/dx = ln y, dz/dy = x / y. Keeps both inputs and z."""
