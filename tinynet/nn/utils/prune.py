"""Weights without their less important part: w = w_orig * w_mask before each forward pass.

prune.l1_unstructured(layer, "weight", amount=0.3)    learns weight_orig; weight_mask is 0 or 1
prune.remove(layer, "weight")                         makes the weight a parameter again
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinynet.nn.module import Module
from tinynet.nn.utils.parametrizations import keep_computed, parameter_of, remove_weight_norm
from tinynet.random import default_rng
from tinynet.tensor import Tensor

M = TypeVar("M", bound=Module)


def l1_unstructured(module: M, name: str, amount: float) -> M:
    """Prune the numbers that are nearest to 0.

    amount: how many, or (a float) which part, of those that are not pruned yet.
    """
    return _pruned("l1_unstructured", module, name, amount, np.abs)


def random_unstructured(module: M, name: str, amount: float) -> M:
    """Prune numbers drawn at random; amount as for `l1_unstructured`."""
    return _pruned(
        "random_unstructured", module, name, amount, lambda w: default_rng().random(w.size)
    )


def custom_from_mask(module: M, name: str, mask: Any) -> M:
    """Prune where the mask, of the shape of the parameter, is 0; what was pruned stays so."""
    if hasattr(module, f"{name}_mask"):
        own = getattr(module, f"{name}_mask")
        own *= mask
        object.__setattr__(module, name, (getattr(module, f"{name}_orig") * own).detach())
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


def _pruned(
    owner: str, module: M, name: str, amount: float, score: Callable[[np.ndarray], Any]
) -> M:
    """Prune those with the lowest scores."""
    before = getattr(module, f"{name}_mask", None)
    w = parameter_of(owner, module, name if before is None else f"{name}_orig").array
    mask = np.ones_like(w) if before is None else before.array.copy()
    kept = np.flatnonzero(mask)
    count = amount if isinstance(amount, int) else round(amount * kept.size)
    if not 0 <= count <= kept.size:
        raise ValueError(
            f"{owner}: amount must be a part from 0.0 to 1.0, or a number from 0 to {kept.size} of "
            f"what is not pruned yet, got {amount}"
        )
    mask.flat[kept[np.argsort(score(w.flat[kept]), kind="stable")[:count]]] = 0
    return custom_from_mask(module, name, mask)
