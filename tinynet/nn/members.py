"""What may be a member of a module: kinds, names, and what stands in for what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.tensor import Tensor, float32, float64

if TYPE_CHECKING:
    from tinynet.nn.hooks import Hooked
    from tinynet.nn.module import Module

PARAMETER, BUFFER, TRANSIENT, MODULE = "parameter", "buffer", "transient buffer", "module"


class Members(MutableMapping[str, Any]):
    """A module's own members of some kinds by name, None included; what is put in is set there."""

    def __init__(
        self, module: Module, kinds: tuple[str, ...], register: Callable[[str, Any], None]
    ) -> None:
        self._module, self._kinds, self._register = module, kinds, register

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, kind in self._module._members.items() if kind in self._kinds])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, name: str) -> Any:
        if self._module._members.get(name) not in self._kinds:
            raise KeyError(name)
        return self._module.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self:
            setattr(self._module, name, value)  # a transient buffer stays one
        else:
            self._register(name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self._module, name)

    def __repr__(self) -> str:
        return repr(dict(self))


def check_initialised(module: Hooked, record: str) -> None:
    """RuntimeError if `Module.__init__`, which makes the record, has not run."""
    if record not in module.__dict__:
        name = type(module).__name__
        raise RuntimeError(
            f"{name}: call `super().__init__()` first in {name}.__init__, "
            "before layers, parameters or hooks are set"
        )


def check_name(module: Module, name: str, kind: str, base: type[Module]) -> None:
    """ValueError for a name that no member of a module, a subclass of `base`, may have."""
    owner, why = type(module), ""
    own = getattr(owner, name, None)
    if not name or "." in name:
        why = "; names are not empty and have no dot, which separates the parts of a path"
    elif isinstance(own, property):
        why = ", which is computed whenever it is asked for"
    elif hasattr(base, name) or callable(own):
        why = f", which is a method or attribute of the class; use another, such as '{name}_'"
    if why:
        raise ValueError(f"{owner.__name__}: a {kind} cannot be named {name!r}{why}")


def check_free(module: Module, name: str, *kinds: str) -> None:
    """KeyError for a name under which there is something else than a member of these kinds."""
    kind = module._members.get(name, "plain attribute")
    if name in module.__dict__ and kind not in kinds:
        raise KeyError(
            f"{type(module).__name__}.{name} is there already, a {kind}; `del` it first, or use "
            "another name"
        )


def check_replacement(module: Module, name: str, kind: str, value: Any) -> None:
    """TypeError for a value that cannot take the place of a member of this kind."""
    if value is None or (kind in (BUFFER, TRANSIENT) and isinstance(value, Tensor)):
        return
    cure = {PARAMETER: "nn.Parameter(...)", MODULE: "a Module"}.get(kind, "a Tensor")
    raise TypeError(
        f"{type(module).__name__}.{name} is a {kind} and cannot become "
        f"{type(value).__name__}; assign {cure} or None, or `del` it first"
    )


def check_lists(model: Module) -> None:
    """TypeError where a list of layers hides them: they would never be trained or saved.

    A list of a single layer is taken to hide it on purpose, as a tuple is.
    """
    for owner in model.modules():
        for name, value in vars(owner).items():
            if type(value) is list and len(value) > 1 and _hides(value, model):
                raise TypeError(
                    f"{type(owner).__name__}.{name} is a list of layers, whose parameters would "
                    f"not be found; write `self.{name} = nn.ModuleList([...])` (a tuple keeps "
                    "them out on purpose)"
                )


def _hides(values: list[Any], model: Module) -> bool:
    """Whether these are layers, with parameters that are to learn and that the model lacks."""
    if not hasattr(values[0], "named_parameters"):
        return False
    known = {id(p) for _, p in model.named_parameters()}
    layers = [value for value in values if hasattr(value, "named_parameters")]
    inner = [p for layer in layers for _, p in layer.named_parameters()]
    return any(p.requires_grad and id(p) not in known for p in inner)


def not_a_layer(value: object) -> str:
    """Why `value` cannot stand where a layer is expected, and the cure if it is a class."""
    if isinstance(value, type) and hasattr(value, "forward"):
        name = value.__name__
        return f"is the class {name}, not a layer; make one: `{name}(...)`"
    return f"must be a layer (a Module), got {type(value).__name__}"


def check_model(owner: str, model: object) -> None:
    """TypeError for data, a name or a class in the place of the model, which comes first."""
    if isinstance(model, type) or not hasattr(model, "named_parameters"):
        raise TypeError(f"{owner}: the model comes first, and {not_a_layer(model)}")


def float_dtype(owner: str, dtype: Any) -> np.dtype[Any]:
    """The dtype, float32 or float64; TypeError for any other."""
    target: np.dtype[Any]
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = np.dtype(object)
    if target not in (float32, float64):
        raise TypeError(f"{owner}: dtype must be tinynet.float32 or tinynet.float64, got {dtype!r}")
    return target


def convert(tensor: Tensor, dtype: np.dtype[Any]) -> None:
    """Give a tensor of floats, and its gradient, another dtype, in place."""
    for x in (tensor, tensor.grad):
        if x is not None and x.dtype.kind == "f":
            x.array = x.array.astype(dtype, copy=False)
