"""Tools for the parameters of a model as a whole: clip gradients, parameters as one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tinynet import autograd
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients down together so that their joint norm is at most `max_norm`.

    The norm is that of all gradients as one vector (norm_type: 2, another p, or infinity); their
    direction stays. Returns the norm before clipping, as a tensor without axes. Parameters
    without a gradient are left out. Source: Pascanu et al. 2013, "On the difficulty of training
    recurrent neural networks".

    Raises RuntimeError for a norm that is NaN or infinite if `error_if_nonfinite`; without it
    such gradients become NaN, which training notices.
    """
    gradients = _gradients(parameters)
    if max_norm < 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be 0 or more, got {max_norm}")
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be larger than 0, got {norm_type}")
    norm = _norm(np.array([_norm(g, norm_type) for g in gradients]), norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {norm}; look for a NaN in the input, "
            "or use a smaller learning rate"
        )
    scale = max_norm / (norm + 1e-6)
    if not scale >= 1:  # NaN too, so that it is not hidden
        with np.errstate(invalid="ignore"):
            for g in gradients:
                g *= scale
    dtype = np.result_type(*gradients) if gradients else np.float32
    return Tensor(np.asarray(norm, dtype))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of each gradient to the interval from -clip_value to clip_value."""
    if clip_value < 0:
        raise ValueError(f"clip_grad_value_: clip_value must be 0 or more, got {clip_value}")
    for g in _gradients(parameters):
        np.clip(g, -clip_value, clip_value, out=g)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All values one after the other, as a copy of shape (total number of elements)."""
    arrays = [p.data.reshape(-1) for p in parameters]
    if not arrays:
        raise ValueError("parameters_to_vector: there are no parameters")
    return Tensor(np.concatenate(arrays))


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the values of `parameters_to_vector` back, in place.

    Raises ShapeError, before anything is written, if the number of elements is another.
    """
    targets = list(parameters)
    total = sum(p.numel() for p in targets)
    if vec.shape != (total,):
        raise ShapeError(
            f"vector_to_parameters: the vector has shape {vec.shape}, the "
            f"parameters need ({total},)"
        )
    start = 0
    for p in targets:
        np.copyto(p.data, vec.data[start : start + p.numel()].reshape(p.shape))
        autograd.note_change(p.data)
        start += p.numel()


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[np.ndarray]:
    each = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad.data for p in each if p.grad is not None]


def _norm(values: np.ndarray, p: float) -> float:
    """(sum |v|^p)^(1/p), or max |v|, over all elements in whatever order they lie."""
    return float(np.linalg.norm(values.ravel("K"), p)) if values.size else 0.0
