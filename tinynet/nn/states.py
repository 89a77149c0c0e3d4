"""What is given to `load_state_dict`: entries of any origin as arrays, and why they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def check_mapping(state: Any) -> None:
    """TypeError, with the cure, for what is no mapping."""
    if isinstance(state, Mapping):
        return
    cure = "pass a dict of arrays by name"
    if hasattr(state, "state_dict"):
        cure = "pass its .state_dict()"
    elif isinstance(state, (str, bytes)) or hasattr(state, "__fspath__"):
        cure = "to read a file use tinynet.load(path, model)"
    raise TypeError(f"load_state_dict: a {type(state).__name__} is no state_dict; {cure}")


def taken(state: Mapping[str, Any], name: str, own: np.ndarray) -> np.ndarray:
    """An entry as an array of the shape and dtype of `own`. ValueError says why it cannot be one.

    Tensors of other frameworks are taken too, and need not be detached.
    """
    try:
        given = state[name]
        array = np.asarray(given.detach() if hasattr(given, "detach") else given)
    except Exception as error:  # whatever another framework raises
        raise ValueError(
            f"NumPy cannot take it ({error}); pass an array: tensor.detach().cpu().float().numpy()"
        ) from error
    if own.shape != array.shape:
        raise ValueError(f"the model has shape {own.shape}, the state {array.shape}")
    kinds = "f" if own.dtype.kind == "f" else "iub"
    if array.dtype.kind not in kinds or not np.can_cast(array.dtype, own.dtype, "same_kind"):
        raise ValueError(f"the model has dtype {own.dtype}, the state {array.dtype}")
    if array.dtype == own.dtype:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(own.dtype)
    lost = np.isfinite(array) & ~np.isfinite(cast) if kinds == "f" else cast != array
    if lost.any():
        raise ValueError(f"{array[lost][0]} is too large for the model's dtype {own.dtype}")
    return cast


def hint(own: Iterable[str], state: Mapping[str, Any]) -> str:
    """Where the names that were looked for seem to be, as a line; empty if that is not known."""
    names = list(own) or [""]
    ours = [str(name) for name in state if str(name).endswith(names[0])]
    if isinstance(state, dict) and not ours:
        for name, below in state.items():
            if isinstance(below, Mapping) and any(str(key).endswith(names[0]) for key in below):
                return f"\nThe weights are one level down: pass state[{name!r}]."
    for prefix in (name.removesuffix(names[0]) for name in ours):
        if prefix[-1:] in (".", "/") and all(prefix + name in state for name in names):
            return (
                f"\nThe names begin with {prefix!r} (DataParallel adds module.): pass "
                f"{{k.removeprefix({prefix!r}): v for k, v in state.items()}}."
            )
    return ""
