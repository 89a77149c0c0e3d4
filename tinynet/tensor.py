"""Tensor: an array that remembers how it was made.

A Tensor holds an ndarray (`.array`), perhaps its gradient (`.grad`), and the graph node that made
it. Every method here is an operation of `tinynet.ops`, or a line that calls one; the operations
and their gradients are the place to read on. Method names are NumPy's and PyTorch's: `axis` and
`dim`, `keepdims` and `keepdim` mean the same.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import itertools
import math
import operator
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from tinynet import autograd, changes, grad_mode, ops
from tinynet.accumulation import Afterwards
from tinynet.autograd import Variable
from tinynet.devices import check_device, dtype_of_to, get_default_dtype
from tinynet.devices import device as Device
from tinynet.errors import ShapeError
from tinynet.functions import algebra, pointwise, reduction, shaping
from tinynet.functions.common import named
from tinynet.grad_fn import GradFn
from tinynet.grad_fn import shown as _grad_fn
from tinynet.methods import Methods, overwriting
from tinynet.ops import matrices
from tinynet.ops.shape import normalized_shape
from tinynet.random import default_rng
from tinynet.unrecorded import arrays_of, unrecorded

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int64 = np.dtype(np.int64)
int32 = np.dtype(np.int32)
int16 = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)

AxisLike: TypeAlias = int | tuple[int, ...] | list[int] | None
Operand: TypeAlias = "Tensor | np.ndarray | float | int | bool"


def as_array(data: Any, dtype: DTypeLike | None = None) -> np.ndarray:
    """The ndarray of a tensor, array, number or nested list; Python floats become float32.

    Raises TypeError for what is no array of numbers, and for dtypes that tinynet does not have.
    """
    if isinstance(data, Tensor):
        data = data._value()
    if isinstance(data, (list, tuple)) and any(isinstance(item, Variable) for item in data):
        if any(getattr(item, "node", None) is not None for item in data):
            warnings.warn(
                "a tensor made of a list of tensors is a constant: no gradient goes back to them. "
                "Use tinynet.stack([...]), or .detach() them if that is meant",
                stacklevel=3,
            )
        data = [as_array(getattr(item, "array", item)) for item in data]
    try:
        array = np.asarray(data, dtype)
    except ValueError as error:
        raise ShapeError(
            "tensor: nested lists that have different lengths form no array"
        ) from error
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    is_array = isinstance(first, (np.ndarray, np.generic))  # whose dtype is meant
    if dtype is None and array.dtype == float64 and not is_array:
        array = array.astype(get_default_dtype())
    _check_dtype(array.dtype)
    return array


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biu" and dtype not in (float32, float64):
        raise TypeError(
            f"tensor: dtype {dtype} is not supported; tensors are float32, float64, "
            "integer or bool. Convert first, such as `array.astype(np.float32)`."
        )


Operator: TypeAlias = "Callable[[Any, Operand], Tensor]"


def _binary(op: Callable[[Any, Any], Tensor]) -> tuple[Operator, Operator]:
    """The operator with the tensor on the left, and the one with it on the right."""

    @functools.wraps(op)
    def left(self: Any, other: Operand) -> Tensor:
        if isinstance(other, Variable) and other.array.dtype is self.array.dtype:
            return op(self, other)
        return op(*pointwise.meet(self, _operand(other)))

    def right(self: Any, other: Operand) -> Tensor:
        return op(*pointwise.meet(_operand(other), self))

    return left, right


def _comparison(compare: Callable[[Any, Any], Tensor]) -> Operator:
    @functools.wraps(compare)
    def compared(self: Any, other: Any) -> Tensor:
        if other is None or isinstance(other, str):
            return NotImplemented  # type: ignore[no-any-return]  # so that `x == None` is False
        return compare(self, other)

    return compared


def _in_dtype(name: str, dtype: np.dtype[Any]) -> Callable[..., Tensor]:
    """The method of that name, which gives the tensor in that dtype."""

    def converted(self: Any, memory_format: Any = None) -> Tensor:
        return self.to(dtype=dtype)  # type: ignore[no-any-return]

    return named(name, f"As {dtype}.", converted)


class Size(tuple[int, ...]):
    """A shape: a tuple that knows its number of elements, and so do its parts and sums; messages
    show it as a tuple.
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        return tuple.__new__(cls, normalized_shape((tuple(sizes),)))

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return tuple.__new__(Size, found) if type(found) is tuple else found

    def __add__(self, other: Any) -> Any:
        return Size((*self, *other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Size((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return Size(tuple.__mul__(self, times))

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tinynet.Size({list(self)})"

    def __format__(self, spec: str) -> str:
        return format(tuple.__repr__(self), spec)


class RemovableHandle(contextlib.AbstractContextManager["RemovableHandle"]):
    """Takes a hook off again: `handle.remove()`, or `with x.register_...(hook): ...`."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks, self._number = hooks, next(self._numbers)
        hooks[self._number] = hook

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self._number, None)

    def __exit__(self, *error: object) -> None:
        self.remove()


class Tensor(Methods):
    """An n-dimensional array with a record of the operations that made it.

    Tensor(data, requires_grad=False, dtype=None) copies; `tinynet.from_numpy` and
    `tinynet.as_tensor` share memory. Lists become float32, as in PyTorch, also of integers; arrays
    keep their dtype.
    Integers alone are sizes, as in PyTorch: Tensor(2, 3) has that shape, and elements not set.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y
    tensor(30., grad_fn=<SumBackward0>)
    >>> y.backward()
    >>> x.grad
    tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = {"origin": "The tensor that this one is a view of; and the index, if one took it."}
    origin: tuple[Any, Any]
    __array_priority__: ClassVar[float] = 1000.0

    def __init__(
        self, *data: Any, requires_grad: builtins.bool = False, dtype: DTypeLike | None = None
    ) -> None:
        if len(data) == 1 and isinstance(data[0], Size):
            data = data[0]
        if all(type(n) is int for n in data):
            self.array = np.empty(data or (0,), dtype or get_default_dtype())
        else:
            if len(data) > 1:
                raise TypeError(
                    f"Tensor: takes data, or sizes that are all integers, got {data!r:.60}; "
                    "requires_grad= and dtype= go by name"
                )
            if isinstance(data[0], (list, tuple)):
                dtype = dtype or get_default_dtype()
            self.array = np.array(as_array(data[0], dtype))
        self.grad, self.node, self.hooks = None, None, autograd.NO_HOOKS
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # ----- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """Sizes of the axes."""
        return tuple.__new__(Size, self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> builtins.int:
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
    def grad_fn(self) -> GradFn | None:
        """The record of the operation that made it, None for a leaf."""
        return None if self.node is None else _grad_fn(self.node)

    is_leaf = property(lambda self: self.node is None, doc="Whether no operation made it.")

    dim = named("dim", "Number of axes, as in PyTorch.", lambda self: self.array.ndim)
    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis, as in PyTorch. NumPy's `size` is `numel()`."""
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> builtins.int:
        if self.ndim == 0:
            raise TypeError("len() of a tensor without axes; use .item() for its value")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a tensor without axes cannot be iterated over; use .item()")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        from tinynet.printing import shown  # seldom needed

        if self.node is not None:
            return shown(self, [f"grad_fn=<{_grad_fn(self.node).name()}>"])
        return shown(self, ["requires_grad=True"] if self.requires_grad else [])

    __hash__ = object.__hash__  # == compares elements, so identity is the key

    # ----- gradients --------------------------------------------------------------------------

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient (or no more); returns the tensor. Only floats can have one."""
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"only float tensors can have a gradient, not {self.dtype}: .float()")
        if not requires_grad and self.node is not None:
            raise RuntimeError("only a leaf can stop requiring a gradient; use .detach()")
        self.requires_grad = requires_grad
        return self

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Compute the gradient of this tensor with respect to every leaf it depends on.

        Adds to each leaf's `.grad`. gradient: the gradient of the loss with respect to this tensor,
        of the same shape; for a single value it is 1. The graph is freed as it is consumed,
        unless `retain_graph`. create_graph: the gradients have gradients themselves; the forward
        pass must have run inside `tinynet.create_graph()`. inputs: the tensors whose `.grad` it is
        added to, and no others. Raises RuntimeError where there is no graph or it is freed.
        """
        start = starting_gradient("backward()", self, gradient)
        if create_graph or inputs is not None:
            autograd.backward_recorded(self, start, retain_graph, create_graph, inputs)
        else:
            autograd.run_backward(self, start.array, bool(retain_graph))

    def retain_grad(self) -> None:
        """Keep `.grad` of this intermediate result in the next backward pass."""
        if self.node is not None:
            self.node.retained = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(gradient)` in each backward pass, before the gradient goes on.

        What it returns, unless that is None, takes the gradient's place. `.remove()` of the
        handle takes the hook off. Raises RuntimeError for a tensor without a gradient.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor does not require a gradient")

        @functools.wraps(hook)
        def on_gradient(dy: Any) -> Any:
            given = dy if isinstance(dy, Tensor) else autograd.wrap(dy)
            replaced = hook(given)
            if replaced is None or given is not dy:
                return None if replaced is None else as_array(replaced)
            return replaced if isinstance(replaced, Tensor) else autograd.wrap(as_array(replaced))

        owner = self.node or self
        owner.hooks = owner.hooks or {}
        return RemovableHandle(owner.hooks, on_gradient)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` after each `backward()` that has added to this leaf's `.grad`.

        `.remove()` of the handle takes the hook off. Raises RuntimeError for what is no leaf.
        """
        if self.node is not None or not self.requires_grad:
            raise RuntimeError(
                "register_post_accumulate_grad_hook: only a leaf that requires a gradient gets one"
            )
        self.hooks = self.hooks or {}
        return RemovableHandle(self.hooks, Afterwards(hook))

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def detach(self) -> Tensor:
        """The same memory, without the record."""
        return autograd.wrap(self.array)

    # ----- conversion -------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The array itself (no copy; changes to it are not recorded)."""
        return self._value()

    def _value(self) -> np.ndarray:
        """The array, which leaves the record, with a warning where a derivative is asked for."""
        if self.requires_grad and grad_mode.keeping.get() == 2 and grad_mode.recording.get():
            warnings.warn(
                "a value leaves the record in a function that is being differentiated: its "
                "derivative is lost. Compute with the tensor, or .detach() it if that is meant",
                stacklevel=3,
            )
        return self.array

    def item(self) -> builtins.float | builtins.int | builtins.bool:
        """The value of a tensor with a single element, as a Python number."""
        if self.numel() != 1:
            raise ShapeError(f"item() needs a single element, this tensor has shape {self.shape}")
        return self._value().item()  # type: ignore[no-any-return]

    tobytes = named("tobytes", "The bytes in C order.", lambda self: self._value().tobytes())
    tolist = named("tolist", "Nested lists of numbers.", lambda self: self._value().tolist())

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The same values in another dtype; the gradient comes back in the old one."""
        target = np.dtype(dtype)
        _check_dtype(target)
        if target.kind == "f":
            return ops.astype(self, target)
        return autograd.wrap(self.array.astype(target))

    def to(self, *args: Any, copy: builtins.bool = False, **settings: Any) -> Tensor:
        """The tensor in another dtype or, where that is the CPU, on another device.

        `to("cpu")`, `to(tinynet.float64)`, `to("cpu", tinynet.float64)` or `to(other)`, whose dtype
        it takes. Itself where nothing changes, unless `copy`. Raises RuntimeError for a device
        other than the CPU; non_blocking and memory_format have no effect.
        """
        dtype = dtype_of_to(*args, **settings)
        if dtype is None or np.dtype(dtype) == self.dtype:
            return ops.clone(self) if copy else self
        return self.astype(dtype)

    def cpu(self) -> Tensor:
        """The tensor itself, which is on the CPU."""
        return self

    pin_memory = share_memory_ = cpu

    def cuda(self, device: Any = None) -> Tensor:
        """RuntimeError: tinynet computes on the CPU."""
        check_device("cuda" if device is None else device)
        return self

    device = Device("cpu")

    type_as = named("type_as", "In the dtype of another.", lambda self, other: self.to(other))
    float, double = _in_dtype("float", float32), _in_dtype("double", float64)
    long, int = _in_dtype("long", int64), _in_dtype("int", int32)
    short, char = _in_dtype("short", int16), _in_dtype("char", int8)
    bool, byte = _in_dtype("bool", bool_), _in_dtype("byte", uint8)
    half = bfloat16 = _in_dtype("half", np.dtype(np.float16))  # which raises

    def is_contiguous(self, memory_format: Any = None) -> builtins.bool:
        """Whether in C order."""
        return self.array.flags.c_contiguous

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """The same elements in C order: itself if they are."""
        if self.is_contiguous():
            return self
        return ops.reshape(self.flatten(), self.shape) if self.ndim else self

    def stride(self, dim: builtins.int | None = None) -> Any:
        """How many elements further the next one lies along each axis."""
        steps = tuple(n // self.array.itemsize for n in self.array.strides)
        return steps if dim is None else steps[dim]

    nbytes = property(lambda self: self.array.nbytes, doc="Bytes of all elements.")
    itemsize = property(lambda self: self.array.itemsize, doc="Bytes of an element.")
    is_cuda = is_sparse = is_quantized = is_meta = is_nested = False
    is_cpu, layout = True, "strided"

    is_complex = named("is_complex", "False, as there are none.", lambda self: False)
    is_inference = is_conj = is_pinned = is_shared = is_complex

    get_device = named("get_device", "-1, PyTorch's number of the CPU.", lambda self: -1)
    element_size = named("element_size", "Bytes of an element.", lambda self: self.array.itemsize)
    data_ptr = named("data_ptr", "Where its memory is.", lambda self: self.array.ctypes.data)

    def new(self, *data: Any) -> Tensor:
        """A tensor of the same dtype, from sizes or data, as older scripts make it."""
        return Tensor(*data, dtype=self.dtype)

    def new_tensor(self, data: Any, **settings: Any) -> Tensor:
        """A tensor of `data` in the dtype of this one."""
        return self.new_full(np.shape(arrays_of(data)), data, **settings)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: DTypeLike | None = None, device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:  # fmt: skip
        """One number in every place, in the dtype of this tensor unless another is given."""
        check_device(device)
        array = np.full(normalized_shape((size,)), as_array(fill_value), dtype or self.dtype)
        return autograd.wrap(array).requires_grad_(requires_grad)

    def new_zeros(self, *size: Any, **settings: Any) -> Tensor:
        """Zeros in the dtype of this tensor unless another is given."""
        return self.new_full(normalized_shape(size), 0, **settings)

    new_empty = new_zeros

    def new_ones(self, *size: Any, **settings: Any) -> Tensor:
        """Ones in the dtype of this tensor unless another is given."""
        return self.new_full(normalized_shape(size), 1, **settings)

    def detach_(self) -> Tensor:
        """Forget the operations that made it."""
        self.node, self.requires_grad = None, False
        return self

    def __dlpack__(self, **settings: Any) -> Any:
        return self._value().__dlpack__(**settings)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __array__(
        self, dtype: DTypeLike | None = None, copy: builtins.bool | None = None
    ) -> np.ndarray:
        return np.array(self._value(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        """NumPy's elementwise functions: `array * tensor` and `np.exp(tensor)` are recorded."""
        recorded = NUMPY.get(ufunc.__name__)
        if recorded is not None and method == "__call__" and not settings:
            return recorded(*inputs)
        if any(isinstance(x, Variable) for x in settings.get("out", ())):
            raise TypeError(f"np.{ufunc.__name__}: out= must be an ndarray, not a tensor")
        return unrecorded(f"np.{ufunc.__name__}", getattr(ufunc, method), *inputs, **settings)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, settings: dict[str, Any]
    ) -> Any:
        """NumPy's other functions: `np.sum(tensor)` is `tensor.sum()`, and so on.

        A function that tinynet does not have works on the arrays; it refuses tensors that
        require a gradient, since the gradient would be lost without a word.
        """
        name = function.__name__
        if name in NUMPY:
            first = [settings.pop("a")] if "a" in settings else []  # NumPy's name of the input
            return NUMPY[name](*first, *args, **settings)
        return unrecorded(f"np.{name}", function, *args, **settings)

    def __bool__(self) -> builtins.bool:
        if self.numel() != 1:
            raise ShapeError(
                f"the truth value of a tensor of shape {self.shape} is ambiguous; use .any() or "
                ".all()"
            )
        return bool(self.array)

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __int__(self) -> builtins.int:
        return int(self.detach().item())

    def __index__(self) -> builtins.int:
        if self.dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError(f"only a single integer can be an index, not {self.dtype} {self.shape}")
        return int(self.array)

    def __contains__(self, item: Operand) -> builtins.bool:
        return bool((self.array == arrays_of(item)).any())

    def __format__(self, spec: str) -> str:
        if spec and self.numel() != 1:
            raise TypeError(f"format {spec!r} takes a single element, this has shape {self.shape}")
        return format(self.detach().item(), spec) if spec or self.ndim == 0 else str(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        self._check_no_graph()
        made: Any = super().__reduce_ex__(protocol)
        if len(made) > 2 and isinstance(made[2], tuple):
            made[2][1].pop("origin", None)
        return made

    def __deepcopy__(self, memo: dict[builtins.int, Any]) -> Tensor:
        self._check_no_graph()
        copy: Tensor = type(self).__new__(type(self))
        copy.array, copy.node, copy.requires_grad = self.array.copy(), None, self.requires_grad
        copy.grad = None if self.grad is None else self.grad.detach().clone()
        copy.hooks = autograd.NO_HOOKS
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
    __truediv__, __rtruediv__ = _binary(pointwise.div)
    __pow__, __rpow__ = _binary(pointwise.pow)
    __matmul__, __rmatmul__ = _binary(ops.matmul)
    __neg__ = ops.neg
    __abs__ = ops.abs

    __pos__ = pointwise.positive

    def __invert__(self) -> Tensor:
        if self.dtype.kind == "f":
            raise TypeError(f"~ is for bool and integer tensors, this one has dtype {self.dtype}")
        return autograd.wrap(~self.array)

    __and__, __rand__ = _binary(pointwise.bitwise_and)
    __or__, __ror__ = _binary(pointwise.bitwise_or)
    __xor__, __rxor__ = _binary(pointwise.bitwise_xor)
    __lshift__, __rlshift__ = _binary(pointwise.bitwise_left_shift)
    __rshift__, __rrshift__ = _binary(pointwise.bitwise_right_shift)
    __floordiv__, __rfloordiv__ = _binary(functools.partial(unrecorded, "//", pointwise.floored))
    __mod__, __rmod__ = _binary(pointwise.remainder)

    # ----- comparison: bool tensors, never recorded -------------------------------------------

    __eq__ = _comparison(pointwise.eq)  # type: ignore[assignment]
    __ne__ = _comparison(pointwise.ne)  # type: ignore[assignment]
    __lt__ = _comparison(pointwise.lt)
    __le__ = _comparison(pointwise.le)
    __gt__ = _comparison(pointwise.gt)
    __ge__ = _comparison(pointwise.ge)

    # ----- in place ---------------------------------------------------------------------------

    __iadd__ = overwriting(operator.add, "+=")
    __isub__ = overwriting(operator.sub, "-=")
    __imul__ = overwriting(operator.mul, "*=")
    __itruediv__ = overwriting(operator.truediv, "/=")
    __ipow__ = overwriting(operator.pow, "**=")

    def __setitem__(self, index: Any, value: Any) -> None:
        index = _places(index)
        value = value if isinstance(value, Variable) else as_array(value)
        tracked = self.requires_grad or getattr(value, "requires_grad", False)
        if tracked and grad_mode.recording.get():
            self._become("[...] =", lambda x, new: ops.setitem(x, new, index), value)
        else:
            if not self.array.flags.writeable:
                raise RuntimeError(
                    "x[...] = value: several elements of x are one in memory, as expand makes "
                    "them; change x.clone()"
                )
            try:
                self.array[index] = arrays_of(value)
            except ValueError as error:
                place, given = self.array[index].shape, np.shape(arrays_of(value))
                raise ShapeError(
                    f"x[...] = value: the place has shape {place}, the value {given}, which does "
                    "not broadcast to it"
                    + (f"; use value.reshape{place}" if np.prod(place) == np.prod(given) else "")
                ) from error
            changes.note_change(self.array)

    zero_ = named("zero_", "Set every element to 0, in place.", lambda self: self.fill_(0))

    def fill_(self, value: Operand) -> Tensor:
        """Set every element to a number, in place."""
        self[...] = value
        return self

    def normal_(
        self, mean: builtins.float = 0, std: builtins.float = 1, *, generator: Any = None
    ) -> Tensor:
        """Fill with normally distributed numbers, in place."""
        return self.copy_(default_rng(generator).normal(mean, std, self.shape))

    def uniform_(
        self, low: builtins.float = 0, high: builtins.float = 1, *, generator: Any = None
    ) -> Tensor:
        """Fill with uniformly distributed numbers from `low` to `high`, in place."""
        return self.copy_(default_rng(generator).uniform(low, high, self.shape))

    def bernoulli_(self, p: builtins.float = 0.5, *, generator: Any = None) -> Tensor:
        """Fill with 1 with probability p, else 0, in place."""
        return self.copy_(default_rng(generator).random(self.shape) < p)

    def random_(self, low: builtins.int = 0, high: builtins.int | None = None) -> Tensor:
        """Fill with random integers from `low` to `high` - 1, in place."""
        low, high = (0, low or 2**24) if high is None else (low, high)
        return self.copy_(default_rng().integers(low, high, self.shape))

    def exponential_(self, lambd: builtins.float = 1, *, generator: Any = None) -> Tensor:
        """Fill with numbers of an exponential distribution of mean 1 / lambd, in place."""
        return self.copy_(default_rng(generator).exponential(1 / lambd, self.shape))

    def fill_diagonal_(self, value: Operand) -> Tensor:
        """Set the diagonal of a matrix to a number, in place."""
        along = np.arange(builtins.min(self.shape))
        self[(along,) * self.ndim] = value
        return self

    def copy_(self, source: Operand) -> Tensor:
        """Take over the values of `source`, which may broadcast, in place."""
        self[...] = source
        return self

    def _become(
        self, name: str, op: Callable[..., Tensor], *others: Any, **settings: Any
    ) -> Tensor:
        """Overwrite the memory with `op(self, *others)`, and take over that result's node.

        While recording, the operation works on a copy of the old values, so that its own
        gradient can still use them. What older nodes kept of this memory is found to be
        overwritten when their turn comes in the backward pass (`changes.note_change`). What is
        put into a view (`x.T[0] += 1`) is put into the tensor it is of, which is recorded. A view
        taken before a plain tensor joined the graph in this way stays a constant.
        """
        old: Any = self
        place: tuple[Any, Any] | None = None
        recording = grad_mode.recording.get()
        given = (self, *others, *settings.values())
        if recording and builtins.any(getattr(x, "requires_grad", False) for x in given):
            place = self._place()
            if place is None:
                self._check_may_change(name)
            old = autograd.wrap(self.array.copy(order="K"), self.node)
            others = tuple(old if x is self else self._apart(x, name) for x in others)
            settings = {k: old if x is self else self._apart(x, name) for k, x in settings.items()}
        result = op(old, *others, **settings)
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
        if result.dtype != self.dtype:
            result = result.astype(self.dtype)
        if place is not None:
            whole, index = place
            whole[index] = result
            result = whole[index]
        else:
            self.array[...] = result.array
            changes.note_change(self.array)
        if old is not self and self.node is not None and self.node.call:
            self.node.call = (*self.node.call[:3], old.array)  # what that node gave
        if recording:
            self._take_over(result)
        return self

    def _apart(self, x: Any, name: str) -> Any:
        """What is to be written here, as a copy where it shares memory with what it changes."""
        array, node = getattr(x, "array", x), getattr(x, "node", None)
        if not isinstance(array, np.ndarray) or not np.may_share_memory(array, self.array):
            return x
        if node is not None:
            changes.check_not_stale(array, node, name)
        elif getattr(x, "requires_grad", False):
            x._check_may_change(name)  # raises
        return autograd.wrap(array.copy(order="K"), node)

    def _place(self) -> tuple[Tensor, Any] | None:
        """Of a view: the tensor and an index of its part, by whose record it goes on."""
        own = self.requires_grad and self.node is None  # a leaf, since requires_grad_()
        whole, index = (None, None) if own else getattr(self, "origin", (None, None))
        if whole is None or (self.node is not None and self.node.name not in VIEWS):
            return None
        taken = index is not None
        index = index if taken else _index_of(self.array, whole.array)
        here = None if index is None else whole[index]
        if here is None or (
            taken and here.array.__array_interface__ != self.array.__array_interface__
        ):
            return None
        self.node, self.requires_grad = here.node, here.requires_grad
        return whole, index

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
            made = "" if self.node is None else f" ({self.node.name.replace('_', ' ')})"
            raise RuntimeError(
                f"{name} on a view{made}, which shares memory with another array, whose gradient "
                "would be wrong. Write `x = x + ...`, change a copy (`x = x.clone()`), or assign "
                "through the whole tensor (`x[0] = x[0] + ...`)."
            )

    # ----- beside what methods.py has from tables -----------------------------------------------

    # H and mH first: an error names a property as it was last called. Of real numbers all the same.
    H = T = property(shaping.transpose, doc="Axes in reverse order.")
    mH = mT = property(lambda self: shaping.swapaxes(self, -1, -2), doc="The last two swapped.")  # noqa: N815

    def where(self, condition: Any, other: Any) -> Tensor:
        """The element itself where `condition` holds, else that of `other`."""
        return pointwise.where(condition, self, other)  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Tensor:
        y = ops.getitem(self, _places(index))
        if y.array.base is not None:
            y.origin = self, index
        return y


VIEWS = "getitem", "permute", "reshape", "squeeze", "unsqueeze"
"""Operations whose results share memory in PyTorch too."""


def _index_of(part: np.ndarray, whole: np.ndarray) -> tuple[Any, ...] | None:
    """Where in an array each element of a view of it is; None where one is there twice, or none."""
    start, first = (x.__array_interface__["data"][0] for x in (part, whole))
    steps = zip(np.ogrid[tuple(map(slice, part.shape))], part.strides)
    rest: Any = np.full(part.shape, start - first) + sum(place * step for place, step in steps)
    different = np.unique(rest).size == part.size
    index: list[Any] = [np.zeros(part.shape, int)] * whole.ndim
    for axis in np.argsort(whole.strides)[::-1]:
        if whole.shape[axis] > 1:
            index[axis], rest = np.divmod(rest, whole.strides[axis] or 1)
    inside = all(((i >= 0) & (i < n)).all() for i, n in zip(index, whole.shape))
    return tuple(index) if different and inside and not rest.any() else None


def starting_gradient(name: str, y: Tensor, dy: Any) -> Tensor:
    """The gradient of the loss with respect to y from which a backward pass starts, 1 if None."""
    if not y.requires_grad:
        raise RuntimeError(
            f"{name}: the tensor does not require grad, and does not depend on anything that does. "
            "Create an input with requires_grad=True, and compute outside no_grad()."
        )
    if dy is None:
        if y.array.size != 1:
            raise RuntimeError(
                f"{name} starts from a single value, this tensor has shape {y.shape}. Reduce it "
                "with .sum() or .mean(), or pass the gradient of the loss with respect to it."
            )
        return autograd.wrap(np.array(1, y.dtype, ndmin=y.ndim))
    start = dy if isinstance(dy, Tensor) else autograd.wrap(as_array(dy))
    if start.shape != y.shape:
        raise ShapeError(
            f"{name}: the gradient has shape {start.shape}, the tensor {y.shape}; they must be "
            "equal, as in backward(tinynet.ones_like(y))"
        )
    return start if start.dtype == y.dtype else start.astype(y.dtype)


def _places(index: Any) -> Any:
    """An index of arrays and numbers, which take views; bytes are a mask, as in PyTorch."""
    if type(index) is tuple:
        return tuple(map(_places, index))
    index = arrays_of(index)
    is_mask = isinstance(index, np.ndarray) and index.dtype == uint8 and index.ndim
    return index != 0 if is_mask else index[()] if isinstance(index, np.ndarray) else index


def _numpy_binary(op: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: op(*pointwise.meet(_operand(x), _operand(y)))


NUMPY: dict[str, Callable[..., Tensor]] = {  # NumPy's functions by name, with NumPy's meaning
    **{
        name: _numpy_binary(op)
        for name, op in {
            "add": ops.add, "subtract": ops.sub, "multiply": ops.mul, "divide": ops.div,
            "power": ops.pow, "matmul": ops.matmul, "maximum": ops.maximum,
            "minimum": ops.minimum, "arctan2": ops.atan2, "hypot": ops.hypot,
            "logaddexp": ops.logaddexp, "fmod": ops.fmod, "remainder": ops.remainder,
        }.items()
    },
    "negative": ops.neg, "absolute": ops.abs, "exp": ops.exp, "exp2": ops.exp2,
    "expm1": ops.expm1, "log": ops.log, "log2": ops.log2, "log10": ops.log10,
    "log1p": ops.log1p, "sqrt": ops.sqrt, "square": pointwise.square, "sin": ops.sin,
    "cos": ops.cos, "tan": ops.tan, "arcsin": ops.asin, "arccos": ops.acos, "arctan": ops.atan,
    "sinh": ops.sinh, "cosh": ops.cosh, "tanh": ops.tanh, "arcsinh": ops.asinh,
    "arccosh": ops.acosh, "arctanh": ops.atanh, "floor": ops.floor, "ceil": ops.ceil,
    "trunc": ops.trunc, "sign": ops.sign, "reciprocal": ops.reciprocal,
    "sum": reduction.sum, "prod": reduction.prod, "any": reduction.any, "all": reduction.all,
    "argmax": reduction.argmax, "argmin": reduction.argmin, "max": reduction.amax,
    "min": reduction.amin, "amax": reduction.amax, "amin": reduction.amin,
    "mean": lambda a, axis=None, **settings: reduction.mean(a, axis=axis, **settings),
    "var": lambda a, axis=None, ddof=0, **settings: reduction.var(
        a, axis=axis, correction=ddof, **settings
    ),
    "std": lambda a, axis=None, ddof=0, **settings: reduction.std(
        a, axis=axis, correction=ddof, **settings
    ),
    "cumsum": lambda a, axis=None: ops.cumsum(*((a, axis) if axis is not None else (a.ravel(), 0))),
    "sort": lambda a, axis=-1: reduction.sort(a, axis).values,
    "argsort": lambda a, axis=-1: reduction.argsort(a, axis),
    "reshape": lambda a, shape: shaping.reshape(a, shape),
    "ravel": shaping.ravel,
    "transpose": lambda a, axes=None: a.T if axes is None else shaping.permute(a, axes),
    "swapaxes": shaping.swapaxes,
    "squeeze": lambda a, axis=None: ops.squeeze(a, axis),
    "broadcast_to": lambda array, shape: shaping.expand(array, shape),
    "clip": lambda a, a_min=None, a_max=None, min=None, max=None: pointwise.clamp(  # noqa: A006
        a, min if a_min is None else a_min, max if a_max is None else a_max
    ),
    "dot": lambda a, b: _numpy_dot(a, b),
    "concatenate": lambda arrays, axis=0: ops.cat(arrays, axis),
    "stack": lambda arrays, axis=0: ops.stack(arrays, axis),
    "expand_dims": lambda a, axis: ops.unsqueeze(a, axis),
    "flip": lambda m, axis=None: ops.flip(m, axis),
    "where": lambda condition, x, y: ops.where(condition, x, y),
    "round": lambda a, decimals=0: ops.round(a, decimals),
    "einsum": algebra.einsum, "inv": matrices.inv, "det": matrices.det,
    "cholesky": matrices.cholesky,
    "pinv": lambda a, rcond=1e-15: matrices.pinv(a, rcond),
    "svd": lambda a, full_matrices=True, compute_uv=True: algebra.svd(
        a, full_matrices and compute_uv
    )[slice(None) if compute_uv else 1],
    "tensordot": lambda a, b, axes=2: algebra.tensordot(a, b, axes),
    "outer": lambda a, b: algebra.outer(shaping.ravel(a), shaping.ravel(b)),
}  # fmt: skip


def _numpy_dot(x: Any, y: Any) -> Tensor:
    """The product of vectors and matrices; NumPy's rule for more axes is no one else's."""
    if np.ndim(arrays_of(x)) > 2 or np.ndim(arrays_of(y)) > 2:
        raise ShapeError(
            f"dot: takes vectors and matrices, got shapes {np.shape(arrays_of(x))} and "
            f"{np.shape(arrays_of(y))}; use `@` where batches multiply"
        )
    return algebra.matmul(x, y)


def _operand(value: Any) -> Any:
    """A tensor, array or number as it is, a list as an array; TypeError for anything else."""
    if isinstance(value, (Variable, float, int, np.ndarray, np.generic)):
        return value
    return as_array(value)


autograd.set_tensor_class(Tensor)
