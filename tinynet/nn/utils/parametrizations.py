"""Weights that are computed from others whenever they are asked for.

    layer = weight_norm(nn.Linear(20, 40))        learns weight_g, weight_v
    layer = spectral_norm(nn.Conv2d(3, 8, 3))     learns weight_orig

The weight itself is no parameter then. `remove_weight_norm(layer)` makes it one again.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from tinynet import ops
from tinynet.creation import randn
from tinynet.grad_mode import no_grad
from tinynet.nn.functional import normalize
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.tensor import Tensor

M = TypeVar("M", bound=Module)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Length and direction apart: w = g v / ||v||, a length g for each slice along `dim`.

    dim=None: one length for all. Source: Salimans, Kingma, "Weight normalization", 2016,
    arXiv:1602.07868.
    """
    w = parameter_of("weight_norm", module, name)
    others = None if dim is None else tuple(d for d in range(w.ndim) if d != dim % w.ndim)

    def length(v: Tensor) -> Tensor:
        return v.norm(dim=others, keepdim=dim is not None)

    def computed(module: Module) -> Tensor:
        g, v = getattr(module, f"{name}_g"), getattr(module, f"{name}_v")
        return v * (g / length(v))  # type: ignore[no-any-return]

    delattr(module, name)
    setattr(module, f"{name}_g", Parameter(length(w.detach())))
    setattr(module, f"{name}_v", Parameter(w.detach()))
    return keep_computed(module, name, ("_g", "_v"), computed)


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> M:  # fmt: skip
    """The weight divided by its largest singular value s, as a matrix whose rows are along `dim`.

    s = u^T w v, where u and v, buffers, come nearer to the singular vectors with each forward pass
    in training. dim: 0, and 1 of transposed convolutions. Source: Miyato et al., "Spectral
    normalization for generative adversarial networks", 2018, arXiv:1802.05957.
    """
    w = parameter_of("spectral_norm", module, name)
    first = (1 if "Transpose" in type(module).__name__ else 0) if dim is None else dim

    def matrix(w: Tensor) -> Tensor:
        return w.movedim(first, 0).flatten(1)

    def parts(module: Module) -> list[Any]:
        return [getattr(module, name + end) for end in ("_orig", "_u", "_v")]

    def computed(module: Module) -> Tensor:
        original, u, v = parts(module)
        return original / ops.clone(u).dot(matrix(original) @ ops.clone(v))  # type: ignore[no-any-return]

    @no_grad()
    def before(module: Module, args: Any) -> None:
        original, u, v = parts(module)
        for _ in range(n_power_iterations if module.training else 0):
            v.copy_(normalize(matrix(original).T @ u, dim=0, eps=eps))
            u.copy_(normalize(matrix(original) @ v, dim=0, eps=eps))

    delattr(module, name)
    setattr(module, f"{name}_orig", Parameter(w.detach()))
    for suffix, size in zip(("_u", "_v"), matrix(w).shape):
        start = normalize(randn(size, dtype=w.dtype), dim=0, eps=eps)
        module.register_buffer(f"{name}{suffix}", start)
    return keep_computed(module, name, ("_orig", "_u", "_v"), computed, before)


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight, as it is now, a parameter again."""
    if name not in vars(module).get("_computed", {}):
        raise ValueError(f"{type(module).__name__}: {name!r} is not computed from other parameters")
    computed, suffixes, handle = vars(module)["_computed"].pop(name)
    w = computed(module).detach()
    if handle is not None:
        handle.remove()
    _renew_class(module)
    for suffix in suffixes:
        delattr(module, name + suffix)
    setattr(module, name, Parameter(w))
    return module


remove_spectral_norm = remove_weight_norm


def parameter_of(owner: str, module: Module, name: str) -> Tensor:
    """The parameter; ValueError where there is none."""
    w: Any = dict(module.named_parameters(recurse=False)).get(name)
    if w is None:
        raise ValueError(f"{owner}: {type(module).__name__} has no parameter {name!r}")
    return w  # type: ignore[no-any-return]


def keep_computed(
    module: M,
    name: str,
    suffixes: tuple[str, ...],
    computed: Callable[[Module], Tensor],
    before: Callable[[Module, Any], None] | None = None,
) -> M:
    """Have `name` computed when it is asked for; before: called before each forward pass."""
    handle = None if before is None else module.register_forward_pre_hook(before)
    vars(module).setdefault("_computed", {})[name] = (computed, suffixes, handle)
    _renew_class(module)
    return module


def _renew_class(module: Module) -> None:
    """Give the module a class of its own, which has what is computed as properties."""
    kind: Any = type(module)
    base = kind.__base__ if "_is_own" in vars(kind) else kind
    made = {name: property(computed) for name, (computed, *_) in vars(module)["_computed"].items()}
    members = {"__module__": base.__module__, "_is_own": True, **made}
    module.__class__ = type(base.__name__, (base,), members) if made else base
