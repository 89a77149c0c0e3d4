"""Function: an operation with its gradient in PyTorch's form, a class of two static methods.

tinynet's own form is a function with `@differentiable`, whose backward pass needs no context: what
it needs is a local variable. This one is for code that is written for PyTorch. Where backward is
written with operations on tensors, gradients have gradients, see `docs/derivatives.md`.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import Array, Variable, differentiable, together, wrap
from tinynet.grad_mode import no_grad
from tinynet.tensor import Tensor


class Context:
    """What `forward` hands to `backward`: saved tensors, and whatever it is given as attributes.

    needs_input_grad: for each argument, whether its gradient is asked for.
    """

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for the backward pass, where they are `ctx.saved_tensors`."""
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Accepted: what `backward` gives no gradient for has none."""

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted: gradients that nobody gave are zeros, never None."""


class Function:
    """An operation written as a class: `forward(ctx, *args)` and `backward(ctx, dy)`.

    backward returns a gradient for each argument of forward, None for those without. forward may
    leave `ctx` out if the class has `setup_context(ctx, inputs, output)`. Called by `apply`.

    >>> class Square(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * dy
    >>> t = Tensor([3.0], requires_grad=True)
    >>> Square.apply(t).backward()
    >>> t.grad
    tensor([6.])
    """

    forward: Any
    backward: Any
    setup_context: Any = None
    _operation: Any = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._operation = staticmethod(_operation(cls))

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute the operation on the arguments and record it."""
        return cls._operation(*args)


def _operation(cls: type[Function]) -> Any:
    """The operation that runs the two methods of a Function on tensors."""

    def body(*args: Array) -> tuple[Array, ...]:
        kinds = {type(x) for x in args if hasattr(x, "__array_function__")} - {np.ndarray}
        kind: Any = kinds.pop() if kinds else np.ndarray  # another where gradients are recorded
        mode: Any = no_grad if kind is np.ndarray else contextlib.nullcontext
        ctx = Context()
        tensors = [_tensor(x, kind) for x in args]
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) for x in tensors)
        with mode():
            if cls.setup_context is None:
                y = cls.forward(ctx, *tensors)
            else:
                y = cls.forward(*tensors)
                cls.setup_context(ctx, tuple(tensors), y)
        if not isinstance(y, Tensor):
            raise TypeError(
                f"{cls.__name__}.forward must return one tensor, got a {type(y).__name__}; "
                "for several outputs write a Function each"
            )

        if kind is not np.ndarray:
            _record_saved(cls, ctx, tensors, y)

        def gradients(dy: Array) -> tuple[Array, ...]:
            given = _tensor(dy, kind)
            with mode():
                found = cls.backward(ctx, given if kind is np.ndarray else _recorded(given))
            found = found if isinstance(found, tuple) else (found,)
            if all(dx is None for dx in found[len(args) :]):
                found = found[: len(args)]  # of arguments that were left to their defaults
            if len(found) != len(args):
                raise TypeError(
                    f"{cls.__name__}.backward returns {len(found)} gradients, but forward takes "
                    f"{len(args)} arguments; return None for those without one"
                )
            return tuple(
                np.zeros(np.shape(x)) if dx is None else _array(dx, kind)
                for x, dx in zip(args, found)
            )

        return (_array(y, kind), *together(gradients, len(args)))

    body.__name__ = body.__qualname__ = cls.__name__
    body.__module__ = cls.__module__
    body.written_as = getattr(cls, "backward", body)  # type: ignore[attr-defined]
    return differentiable(body)


def _tensor(value: Any, kind: Any) -> Any:
    """What stands for an array of that kind in forward and backward."""
    if isinstance(value, np.ndarray):
        return wrap(value)
    return value.tensor if isinstance(value, kind) else value


def _array(value: Any, kind: Any) -> Any:
    """The array of that kind for a result of forward or backward."""
    if not isinstance(value, Variable):
        return value
    return value.array if kind is np.ndarray else kind(value)


def _record_saved(cls: type[Function], ctx: Context, inputs: list[Any], y: Tensor) -> None:
    """See to it that what was kept for backward is recorded; a saved output by its own backward.

    Raises TypeError for what is not, and for a backward that is marked `once_differentiable`.
    """
    if getattr(cls.backward, "once_differentiable", False):
        raise TypeError(f"{cls.__name__}.backward is marked once_differentiable")

    def recorded(value: Any) -> Any:
        value = cls._operation(*inputs) if value is y else value
        if type(value) in (tuple, list):
            return type(value)(map(recorded, value))
        kept = getattr(value, "array", value)
        if not isinstance(kept, np.ndarray) or kept.dtype.kind != "f":
            return value
        if getattr(value, "requires_grad", False):
            return _recorded(value)
        if any(value is x for x in inputs) or np.isin(kept, (-1, 0, 1)).all():  # a mask, or signs
            return value
        raise TypeError(
            f"{cls.__name__}.forward keeps an array of shape {kept.shape} whose derivative is "
            "not recorded; save inputs and the output, or compute it by operations on tensors"
        )

    if any(getattr(x, "requires_grad", False) for x in inputs):
        vars(ctx).update({name: recorded(x) for name, x in vars(ctx).items()})


class _Recorded(Tensor):
    """What backward is given to compute with; its value does not leave the record."""

    def _leave(self, *args: Any, **settings: Any) -> Any:
        raise TypeError(
            "a value leaves the record here, and its derivative would be lost; compute with "
            "operations on tensors"
        )

    detach = numpy = item = tolist = __array__ = __float__ = _leave  # type: ignore[assignment]


def _recorded(tensor: Tensor) -> Tensor:
    if tensor.requires_grad and tensor.node is None:
        tensor = ops.reshape(tensor, tensor.shape)  # so that the gradient goes to the tensor itself
    given: Tensor = object.__new__(_Recorded)
    given.array, given.node, given.grad = tensor.array, tensor.node, None
    given.requires_grad = tensor.requires_grad
    return given


def once_differentiable(backward: Any) -> Any:
    """Mark a `backward` whose gradients have none: asking for them raises."""
    backward.once_differentiable = True
    return backward
