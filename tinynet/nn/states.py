"""What `load_state_dict` does: takes arrays of any origin, or says why they do not fit."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinynet import changes
from tinynet.errors import CheckpointError
from tinynet.nn.members import BUFFER, PARAMETER
from tinynet.tensor import Tensor

EXTRA = "_extra_state"
COUNTER = "num_batches_tracked"
"""What old files lack without being incomplete; where it is missing, it stays as it is."""


class LoadResult(NamedTuple):
    """What `load_state_dict` found in one alone, the model or the state: the names."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if self.missing_keys or self.unexpected_keys:
            return f"_IncompatibleKeys(missing_keys={self[0]!r}, unexpected_keys={self[1]!r})"
        return "<All keys matched successfully>"


class Rest(NamedTuple):
    """What is left out where all that fits is loaded: names, and for `mismatched` the reasons."""

    missing_keys: list[str]
    unexpected_keys: list[str]
    mismatched: list[str]


class OwnState:
    """What a module may override of how it is saved and loaded."""

    def _save_to_state_dict(self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put the module's own state, and what `get_extra_state` gives, into `destination`."""
        for name, tensor in (*self._own(PARAMETER), *self._own(BUFFER)):
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if hasattr(self, "get_extra_state"):
            destination[prefix + EXTRA] = self.get_extra_state()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *_: Any) -> None:
        """To override: rename in `state_dict`, a copy, or take out, before anything is checked."""


def snapshot(module: Any) -> dict[str, np.ndarray]:
    """The values in a module's tensors, and in its state_dict, in arrays of their own."""
    values = {**dict(module._named_state()), **module.state_dict()}.items()
    return {k: np.array(v.array, order="C") for k, v in values if isinstance(v, Tensor)}


def load(
    module: Any, state: Mapping[str, Any], strict: bool = True, assign: bool = False
) -> LoadResult:
    """Write the values of `state` into the tensors of a module; see `load_state_dict`."""
    own, state, found, extra = _prepared(module, state, strict)
    fitting, (missing, unexpected, mismatched) = _compared(own, state, found)
    if mismatched or (strict and (missing or unexpected)):
        cure = "" if mismatched else "; in Python strict=False loads what is in both"
        raise CheckpointError(
            f"load_state_dict: the state does not fit this {type(module).__name__}; "
            "nothing was loaded"
            + _listed("Missing key(s) in state_dict", missing)
            + _listed("Unexpected key(s) in state_dict", unexpected)
            + _listed("does not fit", mismatched)
            + _hint(own, state)
            + f"\nBuild the model with the arguments it was saved with{cure}."
        )
    if assign:
        for tensor, array in fitting:
            tensor.array = array
    else:
        _write(fitting)
    for give in extra:
        give()
    return LoadResult(missing, unexpected)


def load_fitting(module: Any, state: Mapping[str, Any]) -> Rest:
    """Write those values of `state` that fit into the tensors of a module; returns the rest."""
    fitting, rest = _compared(*_prepared(module, state, False)[:3])
    _write(fitting)
    return rest


def size_lazy(module: Any, state: Mapping[str, Any]) -> None:
    """Give a module's lazy layers the sizes that they have in `state`."""
    for name, layer in module.named_modules():
        if hasattr(layer, "become_as"):
            layer.become_as(name, state)


def _prepared(
    module: Any, state: Mapping[str, Any], strict: bool
) -> tuple[dict[str, Tensor], Mapping[str, Any], Rest, list[Callable[[], Any]]]:
    """A module's tensors by name, `state` as its parts left it, what they noted, and the calls that
    give them what is in no tensor.
    """
    _check_mapping(state)
    size_lazy(module, state)
    found, extra = Rest([], [], []), list[Callable[[], Any]]()
    for path, part in module.named_modules(remove_duplicate=False):
        prefix, has_extra = path and path + ".", hasattr(part, "set_extra_state")
        if has_extra or type(part)._load_from_state_dict is not OwnState._load_from_state_dict:
            copy = state = dict(state)  # only now: what is in a file may not be wanted
            part._load_from_state_dict(copy, prefix, {}, strict, *found)
            if has_extra and prefix + EXTRA in copy:
                extra.append(functools.partial(part.set_extra_state, copy.pop(prefix + EXTRA)))
    return dict(module._named_state()), state, found, extra


def _compared(
    own: Mapping[str, Tensor], state: Mapping[str, Any], found: Rest
) -> tuple[list[tuple[Tensor, np.ndarray]], Rest]:
    """Each of a module's tensors with the array that fits it, and what finds no partner."""
    lacks = [name for name in own if name not in state and name.split(".")[-1] != COUNTER]
    missing = found.missing_keys + lacks
    unexpected = found.unexpected_keys + [str(name) for name in state if name not in own]
    fitting: list[tuple[Tensor, np.ndarray]] = []
    for name, tensor in own.items():
        if name in state:
            try:
                fitting.append((tensor, _taken(state, name, tensor.array)))
            except ValueError as error:
                found.mismatched.append(f"{name}: {error}")
    return fitting, Rest(missing, unexpected, found.mismatched)


def _write(fitting: Iterable[tuple[Tensor, np.ndarray]]) -> None:
    for tensor, array in fitting:
        np.copyto(tensor.array, array)
        changes.note_change(tensor.array)


def _listed(title: str, names: list[str]) -> str:
    return f"\n  {title} ({len(names)}): " + ", ".join(names) if names else ""


def _check_mapping(state: Any) -> None:
    """TypeError, with the cure, for what is no mapping."""
    if isinstance(state, Mapping):
        return
    cure = "pass a dict of arrays by name"
    if hasattr(state, "state_dict"):
        cure = "pass its .state_dict()"
    elif isinstance(state, (str, bytes)) or hasattr(state, "__fspath__"):
        cure = "to read a file use tinynet.load(path, model)"
    raise TypeError(f"load_state_dict: a {type(state).__name__} is no state_dict; {cure}")


def _taken(state: Mapping[str, Any], name: str, own: np.ndarray) -> np.ndarray:
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
    if array.dtype.kind not in ("f" if own.dtype.kind == "f" else "iubf"):
        raise ValueError(f"the model has dtype {own.dtype}, the state {array.dtype}")
    if array.dtype == own.dtype:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(own.dtype)
        lost = np.isfinite(array) > np.isfinite(cast)
        if own.dtype.kind != "f":  # the fraction is cut off, of an averaged count of batches
            lost = ~(np.abs(np.subtract(cast, array, dtype=float)) < 1)
    if lost.any():
        raise ValueError(f"{array[lost][0]} is too large for the model's dtype {own.dtype}")
    return cast


def _hint(own: Iterable[str], state: Mapping[str, Any]) -> str:
    """Where the names that were looked for seem to be, as a line; empty if that is not known."""
    names = list(own) or [""]
    ours = [str(name) for name in state if str(name).endswith(names[0])]
    if isinstance(state, dict) and not ours:
        for name, below in state.items():
            if isinstance(below, Mapping) and any(str(key).endswith(names[0]) for key in below):
                return f"\nThe weights are one level down: pass state[{name!r}]."
    for prefix in (name.removesuffix(names[0]) for name in ours):
        if prefix[-1:] in (".", "/") and {*state} == {prefix + name for name in names}:
            return (
                f"\nThe names begin with {prefix!r} (DataParallel adds module.): pass "
                f"{{k.removeprefix({prefix!r}): v for k, v in state.items()}}."
            )
    return ""
