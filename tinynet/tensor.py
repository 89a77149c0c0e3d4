"""Tensor: an array that remembers how it was made.

A Tensor holds an ndarray (`.array`), perhaps its gradient (`.grad`), and the graph node that made
it. Every method here is an operation of `tinynet.ops`, or a line that calls one; the operations
and their gradients are the place to read on. Method names are NumPy's and PyTorch's: `axis` and
`dim`, `keepdims` and `keepdim` mean the same.
"""

from __future__ import annotations

import builtins
import functools
import operator
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike

from tinynet import autograd, changes, ops
from tinynet.autograd import Variable
from tinynet.errors import ShapeError
from tinynet.ops.reduction import Axis, axes_of
from tinynet.ops.shape import normalized_shape

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)

AxisLike: TypeAlias = int | tuple[int, ...] | list[int] | None
Operand: TypeAlias = "Tensor | np.ndarray | float | int | bool"


def as_array(data: Any, dtype: DTypeLike | None = None) -> np.ndarray:
    """The ndarray of a tensor, array, number or nested list; Python floats become float32.

    Raises TypeError for what is no array of numbers, and for dtypes that tinynet does not have.
    """
    if isinstance(data, Variable):
        data = data.array
    if isinstance(data, (list, tuple)) and any(isinstance(item, Variable) for item in data):
        if any(getattr(item, "node", None) is not None for item in data):
            warnings.warn(
                "a tensor made of a list of tensors is a constant: no gradient goes back to them. "
                "Use tinynet.stack([...]), or .detach() them if that is meant",
                stacklevel=3,
            )
        data = [as_array(item) for item in data]
    try:
        array = np.asarray(data, dtype)
    except ValueError as error:
        raise ShapeError(
            "tensor: the nested lists have different lengths, so they form no array"
        ) from error
    is_array = isinstance(data, np.ndarray) or (
        isinstance(data, np.generic) and not isinstance(data, float)
    )
    if dtype is None and array.dtype == float64 and not is_array:
        array = array.astype(float32)
    if array.dtype.kind not in "biu" and array.dtype not in (float32, float64):
        raise TypeError(
            f"tensor: dtype {array.dtype} is not supported; tensors are float32, float64, "
            "integer or bool. Convert first, such as `array.astype(np.float32)`."
        )
    return array


Operator: TypeAlias = "Callable[[Any, Operand], Tensor]"


def _binary(op: Callable[[Any, Any], Tensor]) -> tuple[Operator, Operator]:
    """The operator with the tensor on the left, and the one with it on the right."""

    @functools.wraps(op)
    def left(self: Any, other: Operand) -> Tensor:
        if isinstance(other, Variable):
            return op(self, other)
        return op(*_pair(self, other))

    def right(self: Any, other: Operand) -> Tensor:
        return op(*_pair(other, self))

    return left, right


def _constant(name: str, function: Callable[[Any, Any], Any]) -> Operator:
    """An operator without a gradient, such as a comparison."""

    def constant(self: Any, other: Any) -> Tensor:
        result: Tensor = _unrecorded(name, function, (self, other))
        return result

    return constant


def _in_place(name: str, function: Callable[[Any, Any], Tensor]) -> Operator:
    """An operator that overwrites the tensor on its left."""

    def in_place(self: Any, other: Operand) -> Tensor:
        changed: Tensor = self._become(name, function, other)
        return changed

    return in_place


class Tensor(Variable):
    """An n-dimensional array with a record of the operations that made it.

    Tensor(data, requires_grad=False, dtype=None) copies; `tinynet.from_numpy` and
    `tinynet.as_tensor` share memory. Python floats become float32; arrays keep their dtype.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y
    Tensor(30., op=sum)
    >>> y.backward()
    >>> x.grad
    Tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ()
    __array_priority__: ClassVar[float] = 1000.0

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: DTypeLike | None = None
    ) -> None:
        self.array = np.array(as_array(data, dtype))
        self.grad = None
        self.node = None
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # ----- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    @property
    def data(self) -> Tensor:
        """A tensor that shares the memory and is not recorded; assigning replaces the memory."""
        return autograd.wrap(self.array)

    @data.setter
    def data(self, value: Any) -> None:
        self.array = as_array(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        return self.node is None

    def dim(self) -> int:
        """Number of axes, as in PyTorch."""
        return self.array.ndim

    @overload
    def size(self, dim: None = None) -> tuple[int, ...]: ...

    @overload
    def size(self, dim: int) -> int: ...

    def size(self, dim: int | None = None) -> int | tuple[int, ...]:
        """The shape, or the size of one axis, as in PyTorch. NumPy's `size` is `numel()`."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """Number of elements."""
        return self.array.size

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes; use .item() for its value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a tensor without axes cannot be iterated over; use .item()")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        values = np.array2string(self.array, separator=", ", prefix="Tensor(", threshold=200)
        notes = [values]
        if self.dtype not in (float32, int64, bool_) or self.numel() == 0:
            notes.append(f"dtype={self.dtype}")
        if self.numel() == 0 or self.numel() > 200:
            notes.append(f"shape={self.shape}")
        if self.node is not None:
            notes.append(f"op={self.node.name}")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"{type(self).__name__}({', '.join(notes)})"

    __hash__ = object.__hash__  # == compares elements, so identity is the key

    # ----- gradients --------------------------------------------------------------------------

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient (or no more); returns the tensor. Only floats can have one."""
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(
                f"only float tensors can require a gradient, this one has dtype {self.dtype}; "
                "pass dtype=tinynet.float32"
            )
        if not requires_grad and self.node is not None:
            raise RuntimeError("only a leaf can stop requiring a gradient; use .detach()")
        self.requires_grad = requires_grad
        return self

    def backward(self, grad: Any = None, retain_graph: bool = False) -> None:
        """Compute the gradient of this tensor with respect to every leaf it depends on.

        Adds to each leaf's `.grad`. grad: the gradient of the loss with respect to this tensor,
        of the same shape; for a single value it is 1. The graph is freed as it is consumed,
        unless `retain_graph`. Raises RuntimeError where there is no graph or it is freed.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward(): this tensor does not depend on anything that requires a gradient. "
                "Create an input with requires_grad=True, and compute outside no_grad()."
            )
        if grad is None:
            if self.numel() != 1:
                raise RuntimeError(
                    f"backward() starts from a single value, this tensor has shape {self.shape}. "
                    "Reduce it first with .sum() or .mean(), or pass the gradient of the loss "
                    "with respect to it: backward(grad)."
                )
            dy = np.ones(self.shape, self.dtype)
        else:
            dy = as_array(grad).astype(self.dtype, copy=False)
            if dy.shape != self.shape:
                raise ShapeError(
                    f"backward(grad): the gradient has shape {dy.shape}, the tensor {self.shape}; "
                    "they must be equal, as in backward(tinynet.ones_like(y))"
                )
        autograd.backward(self, dy, retain_graph)

    def retain_grad(self) -> None:
        """Keep `.grad` of this intermediate result in the next backward pass."""
        if self.node is not None:
            self.node.retained = weakref.ref(self)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def detach(self) -> Tensor:
        """The same memory, without the record."""
        return autograd.wrap(self.array)

    clone = ops.clone

    # ----- conversion -------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The array itself (no copy; changes to it are not recorded)."""
        return self.array

    def item(self) -> builtins.float | int | bool:
        """The value of a tensor with a single element, as a Python number."""
        if self.numel() != 1:
            raise ValueError(f"item() needs a single element, this tensor has shape {self.shape}")
        return self.array.item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.array.tolist()

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The same values in another dtype; the gradient comes back in the old one."""
        target = np.dtype(dtype)
        if target.kind == "f":
            return ops.astype(self, target)
        return autograd.wrap(self.array.astype(target))

    def to(self, dtype: DTypeLike) -> Tensor:
        """`astype` by PyTorch's name."""
        return self.astype(dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.astype(float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.astype(float64)

    def long(self) -> Tensor:
        """As int64."""
        return self.astype(int64)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        """NumPy's elementwise functions: `array * tensor` and `np.exp(tensor)` are recorded."""
        recorded = _UFUNCS.get(ufunc.__name__)
        if recorded is not None and method == "__call__" and not settings:
            return recorded(*inputs)
        if any(isinstance(x, Variable) for x in settings.get("out", ())):
            raise TypeError(f"np.{ufunc.__name__}: out= must be an ndarray, not a tensor")
        return _unrecorded(f"np.{ufunc.__name__}", getattr(ufunc, method), inputs, settings)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, settings: dict[str, Any]
    ) -> Any:
        """NumPy's other functions: `np.sum(tensor)` is `tensor.sum()`, and so on.

        A function that tinynet does not have works on the arrays; it refuses tensors that
        require a gradient, since the gradient would be lost without a word.
        """
        name = function.__name__
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](*args, **settings)
        if name in _METHODS and args and isinstance(args[0], Tensor):
            return getattr(args[0], name)(*args[1:], **settings)
        return _unrecorded(f"np.{name}", function, args, settings)

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ValueError(
                f"the truth value of a tensor of shape {self.shape} is ambiguous; "
                "use .any() or .all()"
            )
        return bool(self.array)

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError(f"only a single integer can be an index, not {self.dtype} {self.shape}")
        return int(self.array)

    def __contains__(self, item: Operand) -> bool:
        return bool((self.array == _arrays(item)).any())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        self._check_no_graph()
        return super().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        self._check_no_graph()
        copy = type(self).__new__(type(self))
        copy.array, copy.node, copy.requires_grad = self.array.copy(), None, self.requires_grad
        copy.grad = None if self.grad is None else self.grad.detach().clone()
        memo[id(self)] = copy
        return copy

    def _check_no_graph(self) -> None:
        if self.node is not None:
            raise RuntimeError(
                f"the result of {self.node.name!r} holds the graph that made it, which can be "
                "neither copied nor pickled. Take .detach() of it, .detach().clone() for memory of "
                "its own, or compute it inside no_grad()."
            )

    # ----- arithmetic -------------------------------------------------------------------------

    __add__, __radd__ = _binary(ops.add)
    __sub__, __rsub__ = _binary(ops.sub)
    __mul__, __rmul__ = _binary(ops.mul)
    __truediv__, __rtruediv__ = _binary(ops.div)
    __pow__, __rpow__ = _binary(ops.pow)
    __matmul__, __rmatmul__ = _binary(ops.matmul)
    __neg__ = ops.neg
    __abs__ = ops.abs

    def __pos__(self) -> Tensor:
        return self

    def __invert__(self) -> Tensor:
        if self.dtype.kind == "f":
            raise TypeError(f"~ is for bool and integer tensors, this one has dtype {self.dtype}")
        return autograd.wrap(~self.array)

    __and__, __rand__ = _binary(_constant("&", operator.and_))
    __or__, __ror__ = _binary(_constant("|", operator.or_))
    __xor__, __rxor__ = _binary(_constant("^", operator.xor))
    __floordiv__, __rfloordiv__ = _binary(_constant("//", operator.floordiv))
    __mod__, __rmod__ = _binary(_constant("%", operator.mod))

    # ----- comparison: bool tensors, never recorded -------------------------------------------

    __eq__ = _constant("==", operator.eq)  # type: ignore[assignment]
    __ne__ = _constant("!=", operator.ne)  # type: ignore[assignment]
    __lt__ = _constant("<", operator.lt)
    __le__ = _constant("<=", operator.le)
    __gt__ = _constant(">", operator.gt)
    __ge__ = _constant(">=", operator.ge)

    # ----- in place ---------------------------------------------------------------------------

    __iadd__ = _in_place("+=", operator.add)
    __isub__ = _in_place("-=", operator.sub)
    __imul__ = _in_place("*=", operator.mul)
    __itruediv__ = _in_place("/=", operator.truediv)
    __ipow__ = _in_place("**=", operator.pow)

    def __setitem__(self, index: Any, value: Any) -> None:
        index = _arrays(index)
        value = value if isinstance(value, Variable) else as_array(value)
        tracked = self.requires_grad or getattr(value, "requires_grad", False)
        if tracked and autograd.recording.get():
            self._become("[...] =", lambda x, new: ops.setitem(x, new, index), value)
        else:
            try:
                self.array[index] = _arrays(value)
            except ValueError as error:
                place, given = self.array[index].shape, np.shape(_arrays(value))
                raise ShapeError(
                    f"x[...] = value: the place has shape {place}, the value {given}, which does "
                    "not broadcast to it"
                    + (f"; use value.reshape{place}" if np.prod(place) == np.prod(given) else "")
                ) from error
            changes.note_change(self.array)

    def zero_(self) -> Tensor:
        """Set every element to 0, in place."""
        return self.fill_(0)

    def fill_(self, value: Operand) -> Tensor:
        """Set every element to a number, in place."""
        self[...] = value
        return self

    def copy_(self, source: Operand) -> Tensor:
        """Take over the values of `source`, which may broadcast, in place."""
        self[...] = source
        return self

    def _become(self, name: str, op: Callable[[Any, Any], Tensor], other: Any) -> Tensor:
        """Overwrite the memory with `op(self, other)`, and take over that result's node.

        While recording, the operation works on a copy of the old values, so that its own
        gradient can still use them. What older nodes kept of this memory is found to be
        overwritten when their turn comes in the backward pass (`changes.note_change`). A view
        that was taken before a plain tensor joined the graph in this way stays a constant.
        """
        old: Any = self
        recording = autograd.recording.get()
        if recording and (self.requires_grad or getattr(other, "requires_grad", False)):
            self._check_may_change(name)
            old = autograd.wrap(self.array.copy(order="K"), self.node)
        result = op(old, old if other is self else other)
        if result.shape != self.shape:
            raise ShapeError(
                f"{name}: the result has shape {result.shape}, the tensor to hold it {self.shape}; "
                "write `x = x + ...` in place of `x += ...`"
            )
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{name}: the result has dtype {result.dtype}, which a tensor of dtype "
                f"{self.dtype} cannot hold; write `x = x + ...` in place of `x += ...`"
            )
        if result.node is not None:
            self._check_not_shared(name, result.node)
        if result.dtype != self.dtype:
            result = result.astype(self.dtype)
        self.array[...] = result.array
        changes.note_change(self.array)
        if recording:
            self._take_over(result)
        return self

    def _take_over(self, result: Tensor) -> None:
        """Become the output of `result`'s node, as if that node had been made just now."""
        if self.node is not None and result.node is not None:
            self.node.retained, result.node.retained = None, self.node.retained
        self.node, self.requires_grad = result.node, result.requires_grad
        if self.node is not None:
            self.node.number = next(changes.clock)  # later than the change it stands for

    def _check_may_change(self, name: str) -> None:
        if self.requires_grad and self.node is None:
            raise RuntimeError(
                f"{name} changes a leaf that requires a gradient, so the gradient would belong to "
                "a value that is gone. Update parameters inside `with tinynet.no_grad():`, or "
                "write `y = x + ...`."
            )
        is_view = self.array.base is not None if self.node is None else self.node.view
        if is_view:
            maker = "a view" if self.node is None else f"the result of {self.node.name!r}"
            raise RuntimeError(
                f"{name} on {maker}, which shares memory with another array, whose gradient would "
                "be wrong. Assign through the whole tensor (`x[0] = x[0] + ...`), or take a copy "
                "first (`.clone()`)."
            )

    def _check_not_shared(self, name: str, node: autograd.Node) -> None:
        """The right-hand side may not need, for its gradient, the memory to be overwritten."""
        for vjp, *_ in node.edges or ():
            if any(np.may_share_memory(x, self.array) for x in changes.saved_arrays(vjp)):
                raise RuntimeError(
                    f"{name}: the value on the right shares memory with the tensor, and the "
                    "gradient needs it unchanged. Write `x = x * ...` in place of `x *= ...`."
                )

    # ----- elementwise ------------------------------------------------------------------------

    add = __add__
    sub = __sub__
    mul = __mul__
    div = __truediv__
    pow = __pow__
    matmul = __matmul__
    maximum = _binary(ops.maximum)[0]
    minimum = _binary(ops.minimum)[0]

    def dot(self, other: Tensor | np.ndarray) -> Tensor:
        """self @ other for vectors and matrices, NumPy's name."""
        if self.ndim > 2 or np.ndim(_arrays(other)) > 2:
            raise ShapeError(
                f"dot: takes vectors and matrices, got shapes {self.shape} and "
                f"{np.shape(_arrays(other))}; use `@` where batches multiply"
            )
        return self @ other

    neg = ops.neg
    exp = ops.exp
    log = ops.log
    sqrt = ops.sqrt

    def square(self) -> Tensor:
        """Each element times itself."""
        return ops.mul(self, self)

    abs = ops.abs

    def clip(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:  # noqa: A002
        """Limit each element to the interval from `min` to `max`; None is no bound."""
        x = _operand(_operand(self, min), max)
        return ops.clip(x, min, max)

    def clamp(self, min: Operand | None = None, max: Operand | None = None) -> Tensor:  # noqa: A002
        """`clip` by PyTorch's name."""
        return self.clip(min, max)

    tanh = ops.tanh
    sigmoid = ops.sigmoid
    relu = ops.relu
    leaky_relu = ops.leaky_relu
    elu = ops.elu
    gelu = ops.gelu
    silu = ops.silu
    softplus = ops.softplus

    def sign(self) -> Tensor:
        """-1, 0 or 1; its gradient is 0 wherever it has one, so it is not recorded."""
        return autograd.wrap(np.sign(self.array))

    def masked_fill(self, mask: Tensor | np.ndarray, value: builtins.float) -> Tensor:
        """`value` where the bool tensor `mask` holds, else the element itself."""
        return ops.where(mask, value, self)

    # ----- reductions -------------------------------------------------------------------------

    def sum(
        self,
        axis: AxisLike = None,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
    ) -> Tensor:
        """Sum over `axis` (all axes if None)."""
        return ops.sum(self, _axis(axis, dim), keepdims or keepdim)

    def mean(
        self,
        axis: AxisLike = None,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
    ) -> Tensor:
        """Mean over `axis` (all axes if None)."""
        return ops.mean(self, _axis(axis, dim), keepdims or keepdim)

    def var(
        self,
        axis: AxisLike = None,
        ddof: int = 0,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
        correction: int | None = None,
    ) -> Tensor:
        """Variance over `axis`, the sum of squares divided by n - ddof.

        ddof is 0 as in NumPy; `correction` is PyTorch's name for it (whose default is 1).
        """
        ddof = ddof if correction is None else correction
        return ops.var(self, _axis(axis, dim), ddof, keepdims or keepdim)

    def std(
        self,
        axis: AxisLike = None,
        ddof: int = 0,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
        correction: int | None = None,
    ) -> Tensor:
        """Standard deviation over `axis`: the square root of `var` with the same arguments."""
        ddof = ddof if correction is None else correction
        return ops.std(self, _axis(axis, dim), ddof, keepdims or keepdim)

    def max(
        self,
        axis: AxisLike = None,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
    ) -> Tensor:
        """The largest element over `axis` (values alone, as in NumPy; `argmax` gives places)."""
        return ops.max(self, _axis(axis, dim), keepdims or keepdim)

    def min(
        self,
        axis: AxisLike = None,
        keepdims: bool = False,
        *,
        dim: AxisLike = None,
        keepdim: bool = False,
    ) -> Tensor:
        """The smallest element over `axis` (values alone, as in NumPy)."""
        return ops.min(self, _axis(axis, dim), keepdims or keepdim)

    def argmax(self, axis: int | None = None, *, dim: int | None = None) -> Tensor:
        """Place of the largest element along `axis`, the first at a tie; an integer tensor."""
        return autograd.wrap(self.array.argmax(_single_axis("argmax", self.array, axis, dim)))

    def argmin(self, axis: int | None = None, *, dim: int | None = None) -> Tensor:
        """Place of the smallest element along `axis`, the first at a tie; an integer tensor."""
        return autograd.wrap(self.array.argmin(_single_axis("argmin", self.array, axis, dim)))

    def argsort(self, axis: int = -1) -> Tensor:
        """The order that sorts the elements along `axis`; an integer tensor."""
        return autograd.wrap(self.array.argsort(axis, kind="stable"))

    def any(self, axis: AxisLike = None, keepdims: bool = False, *, dim: AxisLike = None) -> Tensor:
        """Whether some element is not 0; a bool tensor."""
        axes = axes_of("any", self.array, _axis(axis, dim))
        return autograd.wrap(self.array.any(axes, keepdims=keepdims))

    def all(self, axis: AxisLike = None, keepdims: bool = False, *, dim: AxisLike = None) -> Tensor:
        """Whether no element is 0; a bool tensor."""
        axes = axes_of("all", self.array, _axis(axis, dim))
        return autograd.wrap(self.array.all(axes, keepdims=keepdims))

    def cumsum(self, axis: int = 0, *, dim: int | None = None) -> Tensor:
        """Running sum along `axis`."""
        return ops.cumsum(self, axis if dim is None else dim)

    def logsumexp(
        self,
        dim: AxisLike = None,
        keepdim: bool = False,
        *,
        axis: AxisLike = None,
        keepdims: bool = False,
    ) -> Tensor:
        """log(sum(e^x)) over `dim`, without overflow."""
        return ops.logsumexp(self, _axis(axis, dim), keepdims or keepdim)

    def softmax(self, dim: int = -1) -> Tensor:
        """e^x / sum(e^x) along `dim`."""
        return ops.softmax(self, dim)

    def log_softmax(self, dim: int = -1) -> Tensor:
        """log(softmax(x)) along `dim`, without underflow."""
        return ops.log_softmax(self, dim)

    # ----- shape ------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape: `reshape(2, -1)` or `reshape((2, -1))`."""
        return ops.reshape(self, normalized_shape(shape))

    def view(self, *shape: Any) -> Tensor:
        """`reshape` by PyTorch's name (copies if the memory order demands it)."""
        return self.reshape(*shape)

    flatten = ops.flatten

    def ravel(self) -> Tensor:
        """All elements along one axis."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Tensor:
        """Swap or permute axes.

        `transpose()` reverses them; `transpose(0, 2)` swaps two (PyTorch's reading); a tuple, or
        more than two axes, gives the order of all of them (NumPy's reading).
        """
        if not axes or axes == (None,):
            return self.T
        return self.swapaxes(*axes) if len(axes) == 2 else self.permute(*axes)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Swap two axes."""
        axes_of("transpose", self.array, (axis1, axis2))
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return ops.permute(self, order)

    def t(self) -> Tensor:
        """A matrix with rows and columns swapped, as in PyTorch."""
        return self.T

    def permute(self, *dims: Any) -> Tensor:
        """Axes in another order: `permute(0, 2, 1)`."""
        return ops.permute(self, normalized_shape(dims))

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """Axes in reverse order."""
        return ops.permute(self, range(self.ndim - 1, -1, -1))

    @property
    def mT(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The last two axes swapped."""
        return self.swapaxes(-1, -2)

    def squeeze(self, axis: AxisLike = None, *, dim: AxisLike = None) -> Tensor:
        """Drop axes of size 1: all, or those named."""
        return ops.squeeze(self, _axis(axis, dim))

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert an axis of size 1 at place `dim`."""
        return ops.unsqueeze(self, dim)

    def expand(self, *shape: Any) -> Tensor:
        """Repeat axes of size 1 up to `shape` without copying; -1 keeps a size."""
        return ops.expand(self, normalized_shape(shape))

    def broadcast_to(self, *shape: Any) -> Tensor:
        """`expand` by NumPy's name."""
        return self.expand(*shape)

    def flip(self, *dims: Any) -> Tensor:
        """Reverse the order along the axes given."""
        return ops.flip(self, normalized_shape(dims))

    split = ops.split

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """Cut into at most `chunks` pieces of equal size along an axis; the last may be smaller."""
        if chunks < 1:
            raise ShapeError(f"chunk: chunks must be at least 1, got {chunks}")
        axes_of("chunk", self.array, dim)
        return self.split(builtins.max(1, -(-self.shape[dim] // chunks)), dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        """The slices along an axis, without that axis."""
        pieces = self.split(1, dim) if self.shape[dim] else ()
        return tuple(piece.squeeze(dim) for piece in pieces)

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, _arrays(index))


_UFUNCS: dict[str, Callable[..., Tensor]] = {  # numpy's elementwise functions, by name
    "add": lambda x, y: ops.add(*_pair(x, y)),
    "subtract": lambda x, y: ops.sub(*_pair(x, y)),
    "multiply": lambda x, y: ops.mul(*_pair(x, y)),
    "divide": lambda x, y: ops.div(*_pair(x, y)),
    "power": lambda x, y: ops.pow(*_pair(x, y)),
    "matmul": lambda x, y: ops.matmul(*_pair(x, y)),
    "maximum": lambda x, y: ops.maximum(*_pair(x, y)),
    "minimum": lambda x, y: ops.minimum(*_pair(x, y)),
    "negative": ops.neg,
    "absolute": ops.abs,
    "exp": ops.exp,
    "log": ops.log,
    "sqrt": ops.sqrt,
    "tanh": ops.tanh,
    "square": lambda x: ops.mul(x, x),
}
_METHODS = {  # numpy's other functions that are methods here: np.sum(t, axis=1) is t.sum(axis=1)
    *("sum", "mean", "var", "std", "max", "min", "argmax", "argmin", "any", "all", "cumsum"),
    *("reshape", "ravel", "transpose", "swapaxes", "squeeze", "broadcast_to", "clip", "dot"),
}
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "concatenate": lambda arrays, axis=0: ops.cat(arrays, axis),
    "stack": lambda arrays, axis=0: ops.stack(arrays, axis),
    "expand_dims": lambda a, axis: ops.unsqueeze(a, axis),
    "flip": lambda m, axis=None: ops.flip(m, axis),
    "where": lambda condition, x, y: ops.where(condition, x, y),
}
_CONSTANTS = {"np.zeros_like", "np.ones_like", "np.full_like", "np.empty_like"}


def _unrecorded(
    name: str, function: Callable[..., Any], inputs: Any, settings: dict[str, Any] | None = None
) -> Any:
    """The result of `function` on the arrays of the tensors; it is not part of the graph.

    Raises TypeError for a float result of inputs that require a gradient: it would be lost.
    """
    arrays = _arrays(inputs)
    try:
        result = function(*arrays, **_arrays(settings or {}))
    except ValueError as error:
        autograd.explain(error, name, arrays)
        raise
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    if (
        autograd.recording.get()
        and result.dtype.kind == "f"
        and name not in _CONSTANTS
        and _is_tracked(inputs)
    ):
        raise TypeError(
            f"{name} cannot be recorded on a tensor that requires a gradient; use an operation "
            "of tinynet, or .detach() to leave the graph"
        )
    return autograd.wrap(result)


def _is_tracked(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_is_tracked(item) for item in value)
    return isinstance(value, Variable) and value.requires_grad


def _arrays(value: Any) -> Any:
    """The same value with an array in place of each tensor, also within tuples and lists."""
    if isinstance(value, Variable):
        return value.array
    if isinstance(value, np.generic):
        return value.item()  # NumPy's scalars promote no more than Python's
    if type(value) in (tuple, list):
        return type(value)(_arrays(item) for item in value)
    if type(value) is dict:
        return {key: _arrays(item) for key, item in value.items()}
    return value


def _pair(x: Any, y: Any) -> tuple[Any, Any]:
    """The operands of a binary operation, made ready for NumPy's rules of promotion."""
    if isinstance(x, Variable) and isinstance(y, Variable):
        return x, y
    return _operand(x, y), _operand(y, x)


def _operand(value: Any, other: Any) -> Any:
    """A tensor, array or number. An int tensor beside a float becomes float32, the default."""
    if isinstance(value, Variable):
        if isinstance(other, float) and value.array.dtype.kind != "f":
            return autograd.wrap(value.array.astype(float32))
        return value
    if isinstance(value, (float, int, np.ndarray, np.generic)):
        return value
    return as_array(value)


def _axis(axis: Any, dim: Any) -> Axis:
    """The one that is given of `axis` (NumPy's name) and `dim` (PyTorch's), a list as a tuple."""
    given = axis if dim is None else dim
    return tuple(given) if isinstance(given, list) else given


def _single_axis(name: str, x: np.ndarray, axis: int | None, dim: int | None) -> int | None:
    axis = axis if dim is None else dim
    axes_of(name, x, axis)
    if x.size == 0:
        raise ShapeError(f"{name}: a tensor of shape {x.shape} has no element")
    return axis


autograd.set_tensor_class(Tensor)
