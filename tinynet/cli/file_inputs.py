"""Inputs for an operation that somebody wrote: from the file, or guessed from its parameters.

A file may say at what values its operations are to be checked:

    INPUTS = (x, w, 2)                        # the arguments, arrays and plain values
    INPUTS = {"x": x, "w": w, "stride": 2}    # the same by name
    INPUTS = [(x, w), (x, w, 2)]              # several cases
    INPUTS = {"my_conv": (x, w), "my_pool": (x, 2)}    # for each operation
    def INPUTS(): return x, w                 # any of these, made when needed

Otherwise the names of the parameters say what kind of operation it is, and values of fitting
shapes are tried until the operation runs. The sizes are all different, height and width too, so
that an axis that is mixed up with another shows; square ones are tried last.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinynet.gradcheck.trace import copied

Values = dict[str, Any]
"""The arguments of one call by name."""

CONVENTION = ("INPUTS", "example_inputs")
SAME_NAMES = {
    "x": ("x", "input", "inputs", "image", "images", "img", "a", "data"),
    "w": ("w", "weight", "weights", "kernel", "kernels", "filter", "filters", "gamma"),
    "b": ("b", "bias", "biases", "beta"),
    "target": ("target", "targets", "label", "labels", "t"),
    "kernel_size": ("kernel_size", "kernel", "pool_size", "window", "size", "k", "pool"),
    "stride": ("stride", "strides", "s"),
    "padding": ("padding", "pad", "p"),
    "dilation": ("dilation", "d"),
    "groups": ("groups", "g"),
}
PLAIN: Values = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "axis": -1, "dim": -1, "eps": 1e-5,
    "alpha": 0.3, "slope": 0.3, "negative_slope": 0.3, "beta": 0.7, "delta": 0.7, "exponent": 3,
    "power": 3, "n": 3, "scale": 1.5, "factor": 1.5, "training": True, "momentum": 0.1,
    "low": -0.5, "high": 0.5, "output_size": 2, "keepdims": False, "reduction": "mean",
}  # fmt: skip
"""Values for plain parameters that have no default."""


class Case:
    """One call to check: `args` by position, the others in `settings`. title: how it differs."""

    __slots__ = ("args", "settings", "title")

    def __init__(self, args: tuple[Any, ...], settings: Values, title: str) -> None:
        self.args, self.settings, self.title = args, settings, title


def cases(
    function: Callable[..., Any], run: Callable[..., Any], rng: np.random.Generator
) -> tuple[list[Case], list[str]]:
    """Cases at which a function runs, guessed from its parameters; and what was left out, and why.

    function: whose parameters are read. run: calls it, and raises where it does not take the
    arguments. No case is found if nothing that was tried ran.
    """
    parameters = _parameters(function)
    found: list[Case] = []
    left_out: list[str] = []
    for settings in _variants(function.__name__, parameters):
        title = ", ".join(f"{name}={value}" for name, value in settings.items())
        reason = ""
        for arrays in _arrays(function.__name__, parameters, settings, rng):
            case = _case(parameters, {**arrays, **settings}, title)
            if case is None:
                continue
            try:
                with np.errstate(all="ignore"):
                    run(*map(copied, case.args), **case.settings)
            except Exception as error:
                reason = reason or f"{type(error).__name__}: {error}"
                continue
            found.append(case)
            break
        else:
            left_out.append(f"{title or 'with its defaults'} ({reason or 'no inputs fit'})")
    return found, left_out


def given(inputs: Any, name: str, function: Callable[..., Any]) -> list[Case]:
    """The cases that a file's INPUTS give for the operation `name`."""
    inputs = inputs() if callable(inputs) else inputs
    if isinstance(inputs, dict) and name in inputs:
        inputs = inputs[name]
        inputs = inputs() if callable(inputs) else inputs
    several = inputs if isinstance(inputs, list) else [inputs]
    parameters = _parameters(function)
    found = []
    for i, values in enumerate(several):
        title = f"INPUTS[{i}]" if len(several) > 1 else ""
        if isinstance(values, dict):
            unknown = [key for key in values if key not in parameters]
            case = None if unknown else _case(parameters, values, title)
            if case is None:
                raise ValueError(
                    f"INPUTS for {name} must name the parameters {', '.join(parameters)}; got "
                    f"{', '.join(map(str, values))}"
                )
            found.append(case)
        else:
            args = values if isinstance(values, tuple) else (values,)
            found.append(Case(args, {}, title))
    return found


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
             inspect.Parameter.KEYWORD_ONLY)  # fmt: skip
    parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if p.kind in named}


def _role(name: str) -> str:
    """The usual name of a parameter, such as "w" for "weight"."""
    lower = name.lower()
    return next((role for role, names in SAME_NAMES.items() if lower in names), lower)


def _named(parameters: Iterable[str], role: str) -> str | None:
    """The parameter that plays a role."""
    return next((name for name in parameters if name.lower() in SAME_NAMES[role]), None)


def _kind(name: str, parameters: Iterable[str]) -> str:
    """What kind of operation this is."""
    roles = {_role(parameter) for parameter in parameters}
    lower = name.lower()
    sliding = {"stride", "padding", "dilation", "groups"} & roles
    if "pool" in lower or ("kernel_size" in roles and "w" not in roles):
        return "pool"
    if "conv" in lower or "corr" in lower or ("w" in roles and sliding):
        return "conv"
    if "norm" in lower:
        return "norm"
    if "target" in roles or "loss" in lower or "entropy" in lower:
        return "loss"
    if "w" in roles or any(word in lower for word in ("linear", "dense", "matmul", "affine")):
        return "linear"
    return "elementwise"


def _variants(name: str, parameters: dict[str, inspect.Parameter]) -> Iterator[Values]:
    """Settings to check with: the defaults, and those that mistakes hide behind."""
    yield {}
    kind = _kind(name, parameters)
    if kind not in ("conv", "pool"):
        return
    stride, padding = _named(parameters, "stride"), _named(parameters, "padding")
    dilation, groups = _named(parameters, "dilation"), _named(parameters, "groups")
    kernel = _named(parameters, "kernel_size")
    wide = {kernel: 3} if kind == "pool" and kernel else {}
    if stride:
        yield {**wide, stride: 2}
    if padding:
        yield {**wide, padding: 1}
    if stride and padding:
        yield {**wide, stride: 2, padding: 1}
    if dilation:
        yield {**wide, dilation: 2}
    if groups:
        yield {groups: 2}


def _arrays(
    name: str,
    parameters: dict[str, inspect.Parameter],
    settings: Values,
    rng: np.random.Generator,
) -> Iterator[Values]:
    """Arrays for the parameters that take them, in the shapes that may fit."""
    kind = _kind(name, parameters)
    groups = settings.get(_named(parameters, "groups") or "", 1)
    for shapes in _shapes(kind, "transpose" in name.lower(), groups):
        values: Values = {}
        for parameter in parameters:
            role = _role(parameter)
            if role == "kernel" and kind == "conv":
                role = "w"
            if role in shapes:
                values[parameter] = _values(kind, role, shapes[role], rng)
        if kind == "elementwise":
            required = [p for p, spec in parameters.items() if spec.default is spec.empty]
            unknown = [p for p in required if p not in values and p.lower() not in PLAIN]
            for parameter, shape in zip(unknown, shapes["others"]):
                values[parameter] = _values(kind, "x", shape, rng)
        yield values
        if kind == "elementwise":
            yield {key: np.abs(value) + 0.5 for key, value in values.items()}


def _shapes(kind: str, transposed: bool, groups: int) -> Iterator[dict[str, Any]]:
    """Shapes by role, the most telling ones first."""
    if kind == "conv":
        C, O = 2 * groups if groups > 1 else 3, 4
        for H, W, KH, KW in ((7, 6, 3, 2), (7, 7, 3, 3)):
            w = (C, O // groups, KH, KW) if transposed else (O, C // groups, KH, KW)
            yield {"x": (2, C, H, W), "w": w, "b": (O,)}
        yield {"x": (3, 7, 6), "w": (4, 3, 3, 2), "b": (4,)}
        yield {"x": (7, 6), "w": (3, 2), "b": ()}
        yield {"x": (7, 7), "w": (3, 3), "b": ()}
        yield {"x": (2, 3, 8), "w": (4, 3, 3), "b": (4,)}
        yield {"x": (8,), "w": (3,), "b": ()}
    elif kind == "pool":
        for shape in ((2, 3, 7, 6), (2, 3, 6, 6), (3, 6, 6), (6, 6), (8,)):
            yield {"x": shape}
    elif kind == "norm":
        yield {"x": (4, 3, 3, 2), "w": (3,), "b": (3,)}
        yield {"x": (5, 3), "w": (3,), "b": (3,)}
    elif kind == "loss":
        yield {"x": (4, 3), "target": "labels"}
        yield {"x": (4, 3), "target": (4, 3)}
        yield {"x": (4, 3), "w": (4, 3), "target": (4, 3)}
    elif kind == "linear":
        yield {"x": (3, 4), "w": (2, 4), "b": (2,)}
        yield {"x": (3, 4), "w": (4, 2), "b": (2,)}
        yield {"x": (3, 4), "w": (3, 4), "b": (3, 4)}
    else:
        yield {"x": (3, 4), "b": (3, 4), "others": [(3, 4)] * 4}
        yield {"x": (3, 4), "b": (4, 2), "others": [(4, 2)] * 4}
        yield {"x": (2, 3, 4), "b": (2, 3, 4), "others": [(2, 3, 4)] * 4}
        yield {"x": (2, 3, 6, 6), "b": (2, 3, 6, 6), "others": [(2, 3, 6, 6)] * 4}


def _values(kind: str, role: str, shape: Any, rng: np.random.Generator) -> np.ndarray:
    if shape == "labels":
        return np.array([0, 2, 1, 2])
    if kind == "pool" or (kind == "elementwise" and role == "x"):  # apart from ties and from 0
        count = int(np.prod(shape))
        return (rng.permutation(count) - count // 2 + 0.5).reshape(shape) * (4 / max(count, 8))
    return np.asarray(rng.standard_normal(shape))


def _case(parameters: dict[str, inspect.Parameter], values: Values, title: str) -> Case | None:
    """A call with these values: all arrays by position; None if something required is missing."""
    last = max(
        (i for i, name in enumerate(parameters) if isinstance(values.get(name), np.ndarray)),
        default=-1,
    )
    args: list[Any] = []
    settings: Values = {}
    for i, (name, parameter) in enumerate(parameters.items()):
        if name in values:
            value = values[name]
        elif parameter.default is not parameter.empty:
            value = parameter.default
        elif _role(name) == "kernel_size":
            value = 2
        elif _role(name) in PLAIN:
            value = PLAIN[_role(name)]
        else:
            return None
        if i <= last and parameter.kind is not parameter.KEYWORD_ONLY:
            args.append(value)
        elif name in values or parameter.default is parameter.empty:
            settings[name] = value
    return Case(tuple(args), settings, title)
