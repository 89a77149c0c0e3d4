"""Gradients as functions, so that their own gradients can be checked like any other."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinynet import ops
from tinynet.autograd import wrap
from tinynet.derivatives.transforms import vjp
from tinynet.gradcheck.subject import joined
from tinynet.tensor import Tensor


def gradient_of(
    fn: Callable[..., Tensor], inputs: Sequence[Any], chosen: Sequence[bool], seed: int
) -> tuple[Callable[..., Tensor], Tensor]:
    """The gradient of `fn` as a function of its inputs and of dy, and a dy at which to check it.

    It gives the gradients of all the chosen inputs as one vector. Where these cannot be computed,
    or not recorded, it gives zeros, and the way back from them raises the error that says why.
    """
    y = joined(fn(*inputs))
    dy = np.random.default_rng(seed).standard_normal(y.shape)

    def gradient(*args: Any) -> Tensor:
        *xs, dy = args

        def of_chosen(*targets: Tensor) -> Any:
            remaining = iter(targets)
            args = (next(remaining) if wanted else x for x, wanted in zip(xs, chosen))
            return joined(fn(*args))

        targets = [x for x, wanted in zip(xs, chosen) if wanted]
        _, pull_back = vjp(of_chosen, *targets)
        try:
            return ops.cat([ops.reshape(dx, (-1,)) for dx in pull_back(dy)])
        except Exception as error:
            refusal = error

        def refuse(_: Tensor) -> None:
            raise refusal

        zeros = ops.sum(dy) * wrap(np.zeros(sum(x.numel() for x in targets), dy.dtype))
        if zeros.requires_grad:
            zeros.register_hook(refuse)
        return zeros

    gradient.__name__ = f"gradient of {getattr(fn, '__name__', type(fn).__name__)}"
    return gradient, wrap(np.asarray(dy, y.dtype))
