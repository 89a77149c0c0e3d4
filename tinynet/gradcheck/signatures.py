"""`torch.autograd.gradcheck` and `gradgradcheck`, with PyTorch's arguments."""

from collections.abc import Callable
from typing import Any

from tinynet.gradcheck.check import checked


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, raise_exception: bool = True, **tolerances: Any
) -> bool:
    """True if all gradients are right; else GradientError, or False without raise_exception.

    eps, atol, rtol and the other settings of PyTorch's have no effect: steps and tolerances follow
    from the rounding that is measured.
    """
    return _verdict(checked(func, _sequence(inputs)), raise_exception)


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *,
    raise_exception: bool = True, **tolerances: Any,
) -> bool:  # fmt: skip
    """`gradcheck` of the gradients' gradients."""
    return _verdict(checked(func, _sequence(inputs), order=2), raise_exception)


def _sequence(inputs: Any) -> list[Any]:
    return list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]


def _verdict(report: Any, raise_exception: bool) -> bool:
    if raise_exception:
        report.raise_for_failures()
    return bool(report)
