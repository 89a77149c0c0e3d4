"""Tools for the parameters of a model as a whole: clip gradients, parameters as one vector."""

import importlib
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinynet import changes
from tinynet.errors import ShapeError, no_attribute
from tinynet.nn.parameter import check_tensors, parameter_list
from tinynet.ops import cat
from tinynet.tensor import Tensor

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "get_total_norm",
    "parameters_to_vector", "vector_to_parameters",
]  # fmt: skip

TINY = 1e-37
"""Below it float32 holds fewer digits."""


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients down together so that their joint norm is at most `max_norm`.

    The norm is that of all gradients as one vector (norm_type: 2, another p, or infinity), as
    float64 where float32 is too small; their direction stays. Returns the norm before clipping,
    as a tensor without axes. Parameters without a gradient are left out, and one that is given
    twice counts once. Source: Pascanu et al. 2013, "On the difficulty of training recurrent
    neural networks". foreach has no effect.

    Raises TypeError for what is no list of parameters, ValueError for an empty one; RuntimeError
    for a norm that is NaN or infinite if `error_if_nonfinite`; without it all gradients become
    NaN then, which training notices.
    """
    gradients = _gradients("clip_grad_norm_", parameters)
    max_norm = _limit("clip_grad_norm_", "max_norm", max_norm)
    norm_type = _limit("clip_grad_norm_", "norm_type", norm_type)
    if norm_type == 0:
        raise ValueError("clip_grad_norm_: norm_type must be more than 0")
    with np.errstate(all="ignore"):
        norm = _total(
            "clip_grad_norm_: the norm of the gradients", gradients, norm_type, error_if_nonfinite
        )
        scale = max_norm / (norm + 1e-6) if math.isfinite(norm) else math.nan
        if not scale >= 1:
            for g in {id(g): g for g in gradients}.values():
                if scale > TINY:
                    g *= scale
                else:
                    np.multiply(g, scale, out=g, dtype=np.float64, casting="same_kind")
                changes.note_change(g)
    dtypes = {g.dtype for g in gradients} or {np.dtype(np.float32)}
    return Tensor(np.asarray(norm, np.result_type(np.min_scalar_type(norm), *dtypes)))


clip_grad_norm = clip_grad_norm_


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as one vector, such as of gradients; see `clip_grad_norm_`."""
    each = _listed("get_total_norm", [tensors] if isinstance(tensors, Tensor) else tensors)
    what = f"get_total_norm: the norm of the {len(each)} tensors"
    norm = _total(what, [x.array for x in each], norm_type, error_if_nonfinite)
    return Tensor(np.asarray(norm, each[0].dtype))


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limit each element of each gradient to the interval from -clip_value to clip_value."""
    clip_value = _limit("clip_grad_value_", "clip_value", clip_value)
    for g in _gradients("clip_grad_value_", parameters):
        np.clip(g, -clip_value, clip_value, out=g)
        changes.note_change(g)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All values one after the other, of shape (total number of elements); gradients flow back."""
    return cat([p.reshape(-1) for p in _listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the values of `parameters_to_vector` back, in place.

    Raises ShapeError, before anything is written, if the number of elements is another.
    """
    targets = _listed("vector_to_parameters", parameters)
    total = sum(p.numel() for p in targets)
    if vec.shape != (total,):
        told = f"the vector has shape {vec.shape}, the parameters need ({total},)"
        raise ShapeError(f"vector_to_parameters: {told}")
    start = 0
    for p in targets:
        np.copyto(p.array, vec.array[start : start + p.numel()].reshape(p.shape))
        changes.note_change(p.array)
        start += p.numel()


def _limit(owner: str, name: str, value: float) -> float:
    """The value as a float, once it is known to be a number of at least 0."""
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r:.60}")
    if not value >= 0:
        raise ValueError(f"{owner}: {name} must be 0 or more, got {value}")
    return float(value)


def _listed(owner: str, parameters: Any) -> list[Tensor]:
    """The parameters as a list, once it is known that each is a tensor."""
    listed = parameter_list(owner, parameters)
    check_tensors(owner, listed)
    return listed


def _gradients(owner: str, parameters: Tensor | Iterable[Tensor]) -> list[np.ndarray]:
    """The gradients of the parameters that have one, each parameter once."""
    each = [parameters] if isinstance(parameters, Tensor) else parameters
    distinct = {id(p): p for p in _listed(owner, each)}
    return [p.grad.array for p in distinct.values() if p.grad is not None]


def _total(what: str, arrays: list[np.ndarray], p: float, finite: bool) -> float:
    """The norm of all as one vector; finite: RuntimeError if it is not."""
    norm = _norm(np.array([_norm(g, p) for g in arrays]), p)
    if finite and not math.isfinite(norm):
        raise RuntimeError(f"{what} is {norm}; look for a NaN in the input, or use a smaller lr")
    return norm


def _norm(values: np.ndarray, p: float) -> float:
    """(sum |v|^p)^(1/p), or max |v|, over all elements in whatever order they lie.

    A sum too large or too small for the dtype is made again of |v| / max |v|, in float64.
    """
    v = values.ravel("K")
    if not v.size:
        return 0.0
    if p == 2:
        total = float(np.dot(v, v))
        if TINY * 1e18 < total < math.inf:  # what underflows is less than a rounding of it
            return math.sqrt(total)
    largest = float(np.abs(v).max())
    if p == math.inf or not 0 < largest < math.inf:
        return largest
    ratios = np.abs(v, dtype=np.float64) / largest
    return float(largest * (ratios**p).sum() ** (1 / p))


def __getattr__(name: str) -> Any:
    """Weights computed from others, and what few nets need, loaded when one is first named."""
    computed = ("weight_norm", "spectral_norm", "remove_weight_norm", "remove_spectral_norm")
    if name in ("parametrizations", "parametrize", "prune", "rnn"):
        return importlib.import_module(f"tinynet.nn.utils.{name}")
    if name in computed:
        return getattr(importlib.import_module("tinynet.nn.utils.parametrizations"), name)
    raise no_attribute(__name__, name, [*computed, *__all__])
