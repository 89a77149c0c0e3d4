"""Function: an operation with its gradient in PyTorch's form, a class of two static methods.

tinynet's own form is a function with `@differentiable`, whose backward pass needs no context: what
it needs is a local variable. This one is for code that is written for PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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


def once_differentiable(function: Any) -> Any:
    """The function itself: no `backward` of a Function has a gradient."""
    return function


def _operation(cls: type[Function]) -> Any:
    """The operation that runs the two methods of a Function on tensors."""

    def body(*args: Array) -> tuple[Array, ...]:
        if any(hasattr(x, "__array_function__") and not isinstance(x, np.ndarray) for x in args):
            raise TypeError(
                "a Function has no gradients of gradients; write the operation as a function with "
                "@tinynet.differentiable, which has"
            )
        ctx = Context()
        tensors = [wrap(x) if isinstance(x, np.ndarray) else x for x in args]
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) for x in tensors)
        with no_grad():
            if cls.setup_context is None:
                y = cls.forward(ctx, *tensors)
            else:
                y = cls.forward(*tensors)
                cls.setup_context(ctx, tuple(tensors), y)
        if not isinstance(y, Variable):
            raise TypeError(
                f"{cls.__name__}.forward must return one tensor, got a {type(y).__name__}; "
                "for several outputs write a Function each"
            )

        def gradients(dy: Array) -> tuple[Array, ...]:
            with no_grad():
                found = cls.backward(ctx, wrap(dy))
            found = found if isinstance(found, tuple) else (found,)
            if all(dx is None for dx in found[len(args) :]):
                found = found[: len(args)]  # of arguments that were left to their defaults
            if len(found) != len(args):
                raise TypeError(
                    f"{cls.__name__}.backward returns {len(found)} gradients, but forward takes "
                    f"{len(args)} arguments; return None for those without one"
                )
            return tuple(
                np.zeros(np.shape(x))
                if dx is None
                else dx.array
                if isinstance(dx, Variable)
                else dx
                for x, dx in zip(args, found)
            )

        return (y.array, *together(gradients, len(args)))

    body.__name__ = body.__qualname__ = cls.__name__
    body.__module__ = cls.__module__
    return differentiable(body)
