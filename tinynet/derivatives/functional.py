"""PyTorch's `autograd.functional`: `jacobian(f, x)` where `transforms` has `jacobian(f)(x)`.

inputs: a tensor, or a tuple of them; results have its form. create_graph, strict, vectorize and
strategy are PyTorch's, without effect: results are recorded where an input requires a gradient.
"""

from collections.abc import Callable
from typing import Any

from tinynet.derivatives import transforms
from tinynet.tensor import starting_gradient


def jacobian(func: Callable[..., Any], inputs: Any, *args: Any, **settings: Any) -> Any:
    """All derivatives of the result by each input."""
    return _by_all(transforms.jacobian, func, inputs)


def hessian(func: Callable[..., Any], inputs: Any, *args: Any, **settings: Any) -> Any:
    """All second derivatives of a function that gives a single value."""
    return _by_all(transforms.hessian, func, inputs)


def _by_all(transform: Callable[..., Any], func: Callable[..., Any], inputs: Any) -> Any:
    xs = inputs if isinstance(inputs, tuple) else (inputs,)
    return transform(func, tuple(range(len(xs))) if inputs is xs else 0)(*xs)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, *args: Any, **settings: Any) -> Any:
    """The result, and v^T J; v may be left out where the result is a single value."""
    several = isinstance(inputs, tuple)
    y, pull_back = transforms.vjp(func, *(inputs if several else (inputs,)))
    v = starting_gradient("vjp", y.detach().requires_grad_(), None) if v is None else v
    dx = pull_back(v)
    return y, dx if several else dx[0]


def jvp(func: Callable[..., Any], inputs: Any, v: Any, *args: Any, **settings: Any) -> Any:
    """The result, and J v."""
    return transforms.jvp(func, inputs, v)


def hvp(func: Callable[..., Any], inputs: Any, v: Any, *args: Any, **settings: Any) -> Any:
    """The value, and the Hessian times v."""
    return transforms.hvp(func, inputs, v)


def vhp(func: Callable[..., Any], inputs: Any, v: Any, *args: Any, **settings: Any) -> Any:
    """`hvp`, since the Hessian is symmetric."""
    return transforms.by_hessian("vhp", func, inputs, v)
