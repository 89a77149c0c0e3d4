"""The methods of Tensor that come from tables: functions of `tinynet`, and forms that overwrite.

A function of `tinynet.functions` whose first argument is PyTorch's `input` is a method of the same
name; `x.exp_()` overwrites x with `x.exp()`. Type checkers and editors read `methods.pyi`, which
`python -m tests.method_stubs` writes from what is here.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from tinynet import functions, grad_mode, ops
from tinynet.autograd import Variable
from tinynet.functions import pointwise, shaping

NOT_METHODS = {"bucketize", "combinations", "rsub", "softmin", "std_mean", "var_mean", "where"}
"""Functions that are no methods in PyTorch; the method `where` begins with another argument."""

OPERATIONS = (
    "abs", "ceil", "clone", "elu", "flatten", "floor", "gelu", "leaky_relu", "neg", "relu", "round",
    "sign", "silu", "softplus", "trunc", "unsqueeze",
)  # fmt: skip
"""Operations that are methods as they are."""

OTHER_NAMES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "clip": "clamp", "copy": "clone",
    "fix": "trunc", "ger": "outer", "greater": "gt", "greater_equal": "ge", "less": "lt",
    "less_equal": "le", "moveaxis": "movedim", "negative": "neg", "nelement": "numel",
    "not_equal": "ne", "sgn": "sign", "swapdims": "swapaxes", "view": "reshape",
    "view_as": "reshape_as",
}  # fmt: skip
"""Second names of methods, most of them of functions too."""

LATER = {
    **dict.fromkeys(("cholesky", "cross", "det", "inverse", "logdet", "matrix_power"), "linalg"),
    **{"pinverse": "linalg", "svd": "legacy"},
    **dict.fromkeys(("digamma", "erfinv", "lgamma"), "special"),
}
"""Methods whose functions are loaded when they are first asked for, and by which module."""

OVERWRITING = (
    "abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin "
    "arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh baddbmm bitwise_and "
    "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp "
    "clamp_max clamp_min clip copysign cos cosh cumprod cumsum deg2rad digamma div divide elu "
    "eq erf erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmod frac gcd ge greater "
    "greater_equal gt heaviside hypot index_add index_copy index_fill index_put lcm le "
    "leaky_relu lerp less less_equal lgamma log log10 log1p log2 logical_and logical_not "
    "logical_or logical_xor logit lt masked_fill masked_scatter mul multiply nan_to_num ne neg "
    "negative not_equal pow rad2deg reciprocal relu remainder renorm round rsqrt scatter "
    "scatter_add scatter_reduce sigmoid sign silu sin sinc sinh sqrt square sub subtract tan tanh "
    "put sgn tril triu true_divide trunc xlogy"
)
"""Methods that have a form with an underscore behind the name, which overwrites the tensor."""

MOVING = {"squeeze": shaping.squeeze, "swapaxes": shaping.swapaxes, "t": shaping.t}
MOVING |= {"transpose": shaping.transpose, "unsqueeze": ops.unsqueeze, "swapdims": shaping.swapaxes}
"""Methods with a form that makes the tensor a view of itself, such as `x.unsqueeze_(0)`."""


class _Later:
    """Stands for a method whose function is loaded when it is asked for."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, tensor: Any, owner: Any) -> Any:
        function = getattr(importlib.import_module(f"tinynet.{self.module}"), self.name)
        return function if tensor is None else functools.partial(function, tensor)


def _takes_input(function: Any) -> bool:
    """Whether the first argument is PyTorch's `input`."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    return code is not None and code.co_argcount > 0 and code.co_varnames[0] == "input"


def overwriting(function: Any, name: str) -> Callable[..., Any]:
    """The method `name` that overwrites the tensor with what the function gives."""

    def method(self: Any, *args: Any, **settings: Any) -> Any:
        return self._become(name, function, *args, **settings)

    return _named(method, name, function)


def _moving(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The method `name` that makes the tensor a view of itself."""

    def method(self: Any, *args: Any, **settings: Any) -> Any:
        y = function(self, *args, **settings)
        if self.requires_grad and self.node is None and grad_mode.recording.get():
            self._check_may_change("a change of shape in place")
        self.array, self.node = y.array, y.node
        return self

    return _named(method, name, function)


def _named(method: Any, name: str, function: Any) -> Callable[..., Any]:
    """The method with its name, and what the function says of itself."""
    functools.update_wrapper(method, function, ("__doc__", "__module__"), ())
    method.__name__ = method.__qualname__ = name
    return method  # type: ignore[no-any-return]


def _all_methods() -> Iterator[tuple[str, Any]]:
    found = {name: getattr(functions, name) for name in functions.__all__}
    found = {name: f for name, f in found.items() if _takes_input(f) and name not in NOT_METHODS}
    found |= {name: getattr(ops, name) for name in OPERATIONS}
    found |= {name: _Later(module, name) for name, module in LATER.items()}
    found |= {"split": shaping.split, "type": pointwise.in_type, "unfold": shaping.unfold}
    found |= {name: found[first] for name, first in OTHER_NAMES.items()}
    yield from found.items()
    for name in OVERWRITING.split():
        function = _called(name) if name in LATER else found[name]
        yield f"{name}_", overwriting(function, f"{name}_")
    for name, function in MOVING.items():
        yield f"{name}_", _moving(function, f"{name}_")


def _called(name: str) -> Callable[[Any], Any]:
    """The method `name`, which is looked up when it is called."""

    def function(tensor: Any) -> Any:
        return getattr(tensor, name)()

    function.__doc__ = f"`{name}` in place."
    return function


class Methods(Variable):
    """What Tensor has from the tables above."""

    __slots__ = ()


for _name, _method in _all_methods():
    setattr(Methods, _name, _method)
