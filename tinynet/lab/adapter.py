"""Between kernels, which take a Geometry, and functions with the settings written out.

An exercise asks for `conv2d(x, w, b, stride, padding, dilation, groups)` and its like, as the loops
in `reference.py` have them: all that there is to know stands in the parameter list. `in_place` puts
such functions in the place of kernels, and `written_out` gives a kernel as such a function.
"""

import inspect
from collections.abc import Callable
from typing import Any

from tinynet import kernels
from tinynet.errors import unknown_name
from tinynet.guard import is_foreign, on_views
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plain import Kernels
from tinynet.lab import reference

PARAMETERS = {
    name: list(inspect.signature(getattr(reference, name)).parameters)
    for name in (
        "conv2d", "conv2d_dx", "conv2d_dw", "max_pool2d", "max_pool2d_dx", "sum_pool2d",
        "sum_pool2d_dx", "relu", "relu_dx",
    )
}  # fmt: skip
"""The functions that can be put in the place of kernels, and what they take."""
SETTINGS = ("size", "kernel", "stride", "padding", "dilation", "groups")
"""Names of a Geometry's attributes and of parameters."""


def in_place(**functions: Callable[..., Any]) -> kernels.override:
    """`kernels.override` for functions with the settings written out.

    Raises ValueError for a name that is not in PARAMETERS.
    """
    made = {}
    for name, own in functions.items():
        if name not in PARAMETERS:
            raise unknown_name("kernel", name, PARAMETERS)
        kernel = "conv2d_dw_db" if name == "conv2d_dw" else name
        made[kernel] = _as_kernel(name, on_views(own, name) if is_foreign(own) else own)
    return kernels.override(**made)


def _as_kernel(name: str, own: Callable[..., Any]) -> Callable[..., Any]:
    settings = [parameter for parameter in PARAMETERS[name] if parameter in SETTINGS]

    def kernel(*arguments: Any) -> Any:
        *arrays, g = arguments
        return own(*arrays, *(getattr(g, setting) for setting in settings))

    def conv2d_dw_db(dy: Any, x: Any, g: Geometry) -> Any:
        return kernel(dy, x, g), dy.sum((0, 2, 3))

    def max_pool2d(x: Any, g: Geometry, relu: bool = False) -> Any:
        y = kernel(x, g)
        y = kernels.current.relu(y) if relu else y
        return y, (x, y, relu)

    def max_pool2d_dx(dy: Any, saved: Any, g: Geometry) -> Any:
        x, y, relu = saved
        if relu:
            dy, y = kernels.current.relu_dx(dy, y), kernels.current.max_pool2d(x, g)[0]
        return kernel(dy, x, y, g)

    others: dict[str, Callable[..., Any]] = {
        "conv2d_dw": conv2d_dw_db, "max_pool2d": max_pool2d, "max_pool2d_dx": max_pool2d_dx,
        "relu": own, "relu_dx": own,
    }  # fmt: skip
    return others.get(name, kernel)


def written_out(name: str, kernel_set: Kernels | None = None) -> Callable[..., Any]:
    """A kernel of the set, or of that in use, as a function with the settings written out."""
    kernel_set = kernel_set or kernels.current
    own = getattr(kernel_set, "conv2d_dw_db" if name == "conv2d_dw" else name)
    if name in ("relu", "relu_dx"):
        return own  # type: ignore[no-any-return]

    def function(*arguments: Any) -> Any:
        given = dict(zip(PARAMETERS[name], arguments, strict=True))
        settings = {setting: given.pop(setting) for setting in SETTINGS if setting in given}
        image, filters = given.get("x"), given.get("w")
        settings.setdefault("size", None if image is None else image.shape[2:])
        settings.setdefault("kernel", None if filters is None else filters.shape[2:])
        g = Geometry.of(**settings)
        if name == "max_pool2d_dx":
            return own(given["dy"], (given["x"], given["y"], False), g)
        result = own(*given.values(), g)
        return result[0] if name in ("conv2d_dw", "max_pool2d") else result

    return function
