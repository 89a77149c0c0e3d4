"""`torch.autograd.gradcheck` and `gradgradcheck`, with PyTorch's arguments."""

from collections.abc import Callable
from typing import Any

from tinynet.gradcheck.check import checked


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 1,
    raise_exception: bool = True,
    **tolerances: Any,
) -> bool:
    """True if all gradients are right; else GradientError, or False without raise_exception.

    eps, atol, rtol and the other settings of PyTorch's have no effect: steps and tolerances follow
    from the rounding that is measured.
    """
    values = inputs if isinstance(inputs, (tuple, list)) else [inputs]
    report = checked(func, values, order=order)
    if raise_exception:
        report.raise_for_failures()
    return bool(report)


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **options: Any
) -> bool:
    """`gradcheck` of the gradients' gradients."""
    return gradcheck(func, inputs, order=2, **options)
