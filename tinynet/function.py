"""Function: an operation with its gradient in PyTorch's form, a class of two static methods.

tinynet's own form is a function with `@differentiable`, whose backward pass needs no context: what
it needs is a local variable. This one is for code that is written for PyTorch. Where backward is
written with operations on tensors, gradients have gradients, see `docs/derivatives.md`.
"""

import contextlib
import inspect
import math
import threading
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

    constants: tuple[Any, ...] = ()

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Outputs that no gradient comes from; integers are without being named."""
        self.constants = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted: gradients that nobody gave are zeros, never None."""


FunctionCtx = Context


class Function:
    """An operation written as a class: `forward(ctx, *args)` and `backward(ctx, dy)`.

    backward returns a gradient for each argument of forward, None for those without. forward may
    leave `ctx` out if the class has `setup_context(ctx, inputs, output)`. Called by `apply`.
    forward may return a tuple, for whose tensors backward is given a gradient each, 0 where none
    comes: in the graph they are one vector, of which each is a part.

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
        cls._operation = staticmethod(differentiable(body_of(cls)))

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute the operation on the arguments and record it."""
        y, parts = cls._operation(*args), _last.parts
        return y if parts is None else _cut(y, parts)


_last = threading.local()
"""parts: of the Function computed last in this thread, see `_joined`; None of a single output."""


def _joined(ctx: Context, outputs: tuple[Any, ...]) -> tuple[Tensor, list[Any]]:
    """All outputs as one vector, and of each its shape and dtype or, of a constant, itself."""
    parts: list[Any] = [
        y if y.dtype.kind != "f" or any(y is x for x in ctx.constants) else (y.shape, y.dtype)
        for y in outputs
    ]
    moving = [ops.reshape(y, (-1,)) for y, part in zip(outputs, parts) if part is not y]
    return ops.cat(moving) if moving else wrap(np.zeros(0)), parts


def _cut(y: Tensor, parts: list[Any]) -> tuple[Tensor, ...]:
    """The way back of `_joined`."""
    sizes = [math.prod(part[0]) for part in parts if type(part) is tuple]
    pieces = iter(ops.split(y, sizes))
    return tuple(
        ops.reshape(next(pieces), part[0]).to(part[1]) if type(part) is tuple else part
        for part in parts
    )


def body_of(cls: Any) -> Any:
    """What runs the two methods of a Function on tensors, written as the body of an operation."""

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
            outputs = y if isinstance(y, tuple) else (y,)
            wrong = [x for x in outputs if not isinstance(x, Tensor)]
            if wrong:
                raise TypeError(
                    f"{cls.__name__}.forward must return tensors, got a {type(wrong[0]).__name__}"
                )
            y, parts = _joined(ctx, outputs) if outputs is y else (y, None)
            _last.parts = parts

        if kind is not np.ndarray:
            _record_saved(cls, ctx, tensors, outputs)

        def gradients(dy: Array) -> tuple[Array, ...]:
            given = _tensor(dy, kind)
            with mode():
                pieces = (given,) if parts is None else _cut(given, parts)
                dys = [
                    wrap(np.zeros_like(d.array)) if d is y else d for d, y in zip(pieces, outputs)
                ]
                found = cls.backward(ctx, *(dys if kind is np.ndarray else map(_recorded, dys)))
            found = found if isinstance(found, tuple) else (found,)
            if all(dx is None for dx in found[len(args) :]):
                found = found[: len(args)]  # of arguments that were left to their defaults
            if len(found) != len(args):
                raise RuntimeError(
                    f"{cls.__name__}.backward returns {len(found)} gradients, but forward takes "
                    f"{len(args)} arguments; return None for those without one"
                )
            none = [i for i, dx in enumerate(found) if dx is None]
            gradients.without = none  # type: ignore[attr-defined]
            return tuple(
                np.zeros(np.shape(x)) if dx is None else _array(dx, kind)
                for x, dx in zip(args, found)
            )

        gradients.written_as, gradients.parts = body.written_as, parts  # type: ignore[attr-defined]
        return (_array(y, kind), *together(gradients, len(args)))

    body.__name__ = body.__qualname__ = cls.__name__
    body.__module__ = cls.__module__
    body.written_as = getattr(cls, "backward", body)  # type: ignore[attr-defined]
    with contextlib.suppress(AttributeError, TypeError, ValueError):  # a class without forward yet
        signature = inspect.signature(cls.forward)
        parameters = list(signature.parameters.values())[cls.setup_context is None :]
        body.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    body.written_in = cls  # type: ignore[attr-defined]
    return body


def _tensor(value: Any, kind: Any) -> Any:
    """What stands for an array of that kind in forward and backward."""
    if isinstance(value, (np.ndarray, np.floating)):
        return wrap(np.asarray(value))
    return value.tensor if isinstance(value, kind) else value


def _array(value: Any, kind: Any) -> Any:
    """The array of that kind for a result of forward or backward."""
    if not isinstance(value, Variable):
        return value
    return value.array if kind is np.ndarray else kind(value)


def _record_saved(
    cls: type[Function], ctx: Context, inputs: list[Any], outputs: tuple[Any, ...]
) -> None:
    """See to it that what was kept for backward is recorded; a saved output by its own backward.

    Raises TypeError for what is not, and for a backward that is marked `once_differentiable`.
    """
    if getattr(cls.backward, "once_differentiable", False):
        raise TypeError(f"{cls.__name__}.backward is marked once_differentiable")

    def recorded(value: Any) -> Any:
        place = next((i for i, y in enumerate(outputs) if value is y), None)
        if place is not None:
            again = cls.apply(*inputs)
            value = again[place] if isinstance(again, tuple) else again
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

    __slots__ = ()

    def _value(self) -> Any:
        raise TypeError(
            "a value leaves the record here, and its derivative would be lost; compute with "
            "operations on tensors"
        )

    detach, data = _value, property(_value)


def _recorded(tensor: Tensor) -> Tensor:
    if tensor.requires_grad and tensor.node is None:
        tensor = ops.reshape(tensor, tensor.shape)  # so that the gradient goes to the tensor itself
    given = wrap(tensor.array, tensor.node)
    given.__class__ = _Recorded
    return given


def once_differentiable(backward: Any) -> Any:
    """Mark a `backward` whose gradients have none: asking for them raises."""
    backward.once_differentiable = True
    return backward
