"""Weights without their less important part: w = w_orig * w_mask.

prune.l1_unstructured(layer, "weight", amount=0.3)    learns weight_orig; weight_mask is 0 or 1
prune.random_unstructured(layer, "weight", amount=3)
prune.ln_structured(layer, "weight", amount=0.5, n=2, dim=0)      of output channels
prune.random_structured(layer, "weight", amount=0.5, dim=0)
prune.remove(layer, "weight")                         makes the weight a parameter again

amount: how many, or (a float) which part, of the numbers or slices that are not pruned yet.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from tinynet.creation import ones_like
from tinynet.nn.module import Module
from tinynet.nn.utils.parametrizations import keep_computed, parameter_of, remove_weight_norm
from tinynet.ops import cat
from tinynet.random import default_rng
from tinynet.tensor import Tensor

M = TypeVar("M", bound=Module)
Named = tuple[Module, str]


class BasePruningMethod:
    """A way to prune: a subclass defines `compute_mask(t, default_mask)`, which gives the new mask.

    PRUNING_TYPE: of "unstructured" ones it is given what is not pruned yet, of others all.
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """1 where a number of `t` stays, 0 where it is pruned; every subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method `compute_mask`")

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **settings: Any
    ) -> Any:
        """Prune a parameter by the method, made with these settings; returns the method."""
        method = cls(*args, **settings)
        _prune(method, [(module, name)], {(module, name): importance_scores})
        return method


class _Lowest(BasePruningMethod):
    """Prunes the lowest in `scores`: numbers, or where there is a `dim` slices along it."""

    dim: int | None = None

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def scores(self, t: np.ndarray) -> Any:
        """How important the numbers are; of slices, what their rows are."""
        return np.abs(t)

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        mask = default_mask.clone()
        slices = (
            mask.array.reshape(-1) if self.dim is None else np.moveaxis(mask.array, self.dim, 0)
        )
        rows = t.array.reshape(-1) if self.dim is None else np.moveaxis(t.array, self.dim, 0)
        kept = np.flatnonzero(slices.reshape(len(slices), -1).any(1))
        count = self.amount if isinstance(self.amount, int) else round(self.amount * kept.size)
        if not 0 <= count <= kept.size:
            raise ValueError(
                f"{type(self).__name__}: amount must be a part from 0.0 to 1.0, or a number from 0 "
                f"to {kept.size} of what is not pruned yet, got {self.amount}"
            )
        slices[kept[np.argsort(self.scores(rows)[kept], kind="stable")[:count]]] = 0
        return mask


class L1Unstructured(_Lowest):
    """The numbers that are nearest to 0."""


class RandomUnstructured(_Lowest):
    """Numbers drawn at random."""

    def scores(self, t: np.ndarray) -> Any:
        return default_rng().random(len(t))


class LnStructured(_Lowest):
    """The slices along `dim`, such as output channels, whose norm of order `n` is least."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: float, dim: int = -1) -> None:
        self.amount, self.n, self.dim = amount, n, dim

    def scores(self, t: np.ndarray) -> Any:
        return np.linalg.norm(t.reshape(len(t), -1), self.n, 1)


class RandomStructured(RandomUnstructured):
    """Slices along `dim`, drawn at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        self.amount, self.dim = amount, dim


def _function(method: type[BasePruningMethod]) -> Callable[..., Any]:
    """PyTorch's function of a method: (module, name, and what the method takes) -> module."""

    def prune(module: M, name: str, *args: Any, **settings: Any) -> M:
        method.apply(module, name, *args, **settings)
        return module

    prune.__doc__ = f"Prune a parameter by `{method.__name__}`, which takes the settings."
    return prune


l1_unstructured, random_unstructured = map(_function, (L1Unstructured, RandomUnstructured))
ln_structured, random_structured = map(_function, (LnStructured, RandomStructured))


def global_unstructured(
    parameters: Iterable[Named],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[Named, Any] | None = None,
    **settings: Any,
) -> None:
    """Prune several parameters as if they were one: (module, name) each, `amount` in settings."""
    _prune(pruning_method(**settings), list(parameters), importance_scores or {})


def identity(module: M, name: str) -> M:
    """Prune nothing yet: `weight_mask` is 1 everywhere."""
    return l1_unstructured(module, name, 0)  # type: ignore[no-any-return]


def custom_from_mask(module: M, name: str, mask: Any) -> M:
    """Prune where the mask, of the shape of the parameter, is 0; what was pruned stays so."""
    if hasattr(module, f"{name}_mask"):
        own = getattr(module, f"{name}_mask")
        own *= mask
        return module
    original: Any = parameter_of("prune", module, name)
    delattr(module, name)
    setattr(module, f"{name}_orig", original)  # the same object, which an optimizer may hold
    module.register_buffer(f"{name}_mask", np.array(mask, original.dtype))

    def computed(module: Module) -> Tensor:
        return getattr(module, f"{name}_orig") * getattr(module, f"{name}_mask")  # type: ignore[no-any-return]

    return keep_computed(module, name, ("_orig", "_mask"), computed)


def remove(module: M, name: str) -> M:
    """Make the pruned numbers, as they are now, a parameter again."""
    original: Any = getattr(module, f"{name}_orig", None)
    remove_weight_norm(module, name)
    original.array = getattr(module, name).array
    setattr(module, name, original)
    return module


def is_pruned(module: Module) -> bool:
    """Whether anything in the module is."""
    return any(name.endswith("_mask") for name, _ in module.named_buffers())


def _prune(method: BasePruningMethod, places: list[Named], scores: Mapping[Named, Any]) -> None:
    """Prune parameters by a method, several as if they were one vector."""
    ts, masks = [], []
    for module, name in places:
        mask = getattr(module, f"{name}_mask", None)
        owner = type(method).__name__
        w = parameter_of(owner, module, name if mask is None else f"{name}_orig").detach()
        ts.append(w if scores.get((module, name)) is None else scores[module, name])
        masks.append(ones_like(w) if mask is None else mask.clone())
    shapes = [mask.shape for mask in masks]
    t, mask = ts[0], masks[0]
    if len(places) > 1:
        t, mask = (cat([x.reshape(-1) for x in parts]) for parts in (ts, masks))
    if method.PRUNING_TYPE == "unstructured" and not mask.all():
        left = mask == 1
        mask[left] = method.compute_mask(t[left], mask[left])
    else:
        mask = method.compute_mask(t, mask)
    parts = [mask] if len(places) == 1 else mask.split([math.prod(shape) for shape in shapes])
    for (module, name), part, shape in zip(places, parts, shapes):
        custom_from_mask(module, name, part.reshape(shape))
