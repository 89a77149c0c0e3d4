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
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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
    "index": ("index", "indices", "idx", "ids"),
}
PLAIN: Values = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "axis": -1, "dim": -1, "eps": 1e-5,
    "alpha": 0.3, "slope": 0.3, "negative_slope": 0.3, "beta": 0.7, "delta": 0.7, "exponent": 3,
    "power": 3, "n": 3, "scale": 1.5, "factor": 1.5, "training": True, "momentum": 0.1,
    "low": -0.5, "high": 0.5, "output_size": 2, "keepdims": False, "reduction": "mean",
}  # fmt: skip
"""Values for plain parameters that have no default."""
VARIANTS: tuple[Values, ...] = (
    {"stride": 2}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"groups": 2},
)  # fmt: skip
SHAPES: dict[str, list[dict[str, Any]]] = {
    "conv": [
        {"x": (3, 7, 6), "w": (4, 3, 3, 2), "b": (4,)},
        {"x": (7, 6), "w": (3, 2), "b": ()},
        {"x": (7, 7), "w": (3, 3), "b": ()},
        {"x": (2, 3, 8), "w": (4, 3, 3), "b": (4,)},
        {"x": (8,), "w": (3,), "b": ()},
    ],
    "pool": [{"x": shape} for shape in ((2, 3, 7, 6), (2, 3, 6, 6), (3, 6, 6), (6, 6), (8,))],
    "norm": [{"x": (4, 3, 3, 2), "w": (3,), "b": (3,)}, {"x": (5, 3), "w": (3,), "b": (3,)}],
    "loss": [
        {"x": (4, 3), "target": "labels"},
        {"x": (4, 3), "target": (4, 3)},
        {"x": (4, 3), "w": (4, 3), "target": (4, 3)},
    ],
    "linear": [{"x": (3, 4), "w": w, "b": b} for w, b in (
        ((2, 4), (2,)), ((4, 2), (2,)), ((3, 4), (3, 4)),
    )],
    "elementwise": [{"x": x, "b": b, "index": "labels", "others": b} for x, b in (
        ((3, 4), (3, 4)), ((3, 4), (4, 2)), ((2, 3, 4), (2, 3, 4)), ((2, 3, 6, 6), (2, 3, 6, 6)),
    )],
}  # fmt: skip
"""Shapes to try for each kind of operation; for `conv` after those with all settings."""


class Case(NamedTuple):
    """One call to check: `args` by position, the others in `settings`. title: how it differs."""

    args: tuple[Any, ...]
    settings: Values
    title: str


def cases(
    function: Callable[..., Any], run: Callable[..., Any], rng: np.random.Generator
) -> tuple[list[Case], list[str]]:
    """Cases at which a function runs, guessed from its parameters; and what was left out, and why.

    function: whose parameters are read. run: calls it, and raises where it does not take the
    arguments. No case is found if nothing that was tried ran.
    """
    asked = _Parameters(function)
    found: list[Case] = []
    left_out: list[str] = []
    for settings in asked.variants():
        title = ", ".join(f"{name}={value}" for name, value in settings.items())
        reason = ""
        for arrays in asked.arrays(settings, rng):
            case = asked.case({**arrays, **settings}, title)
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
    asked = _Parameters(function)
    found = []
    for i, values in enumerate(several):
        title = f"INPUTS[{i}]" if len(several) > 1 else ""
        if not isinstance(values, dict):
            found.append(Case(values if isinstance(values, tuple) else (values,), {}, title))
            continue
        case = asked.case(values, title) if values.keys() <= asked.specs.keys() else None
        if case is None:
            raise ValueError(
                f"INPUTS for {name} must name the parameters {', '.join(asked.specs)}; got "
                f"{', '.join(map(str, values))}"
            )
        found.append(case)
    return found


class _Parameters:
    """The parameters of a function by name, their roles (`w` for one called weight), its kind."""

    def __init__(self, function: Callable[..., Any]) -> None:
        some = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(function).parameters
        self.specs = {name: p for name, p in parameters.items() if p.kind not in some}
        self.roles = {name: _role(name) for name in self.specs}
        self.name = function.__name__.lower()
        self.kind = _kind(self.name, set(self.roles.values()))

    def playing(self, role: str) -> str | None:
        """The parameter that may play a role."""
        return next((name for name in self.specs if name.lower() in SAME_NAMES[role]), None)

    def variants(self) -> Iterator[Values]:
        """Settings to check with: the defaults, and those that mistakes hide behind."""
        yield {}
        for wanted in VARIANTS if self.kind in ("conv", "pool") else ():
            settings = {self.playing(role): value for role, value in wanted.items()}
            if None not in settings:
                kernel = self.playing("kernel_size")
                wide = self.kind == "pool" and kernel and "groups" not in wanted
                yield {**({kernel: 3} if wide else {}), **settings}  # type: ignore[dict-item]

    def arrays(self, settings: Values, rng: np.random.Generator) -> Iterator[Values]:
        """Arrays for the parameters that take them, in the shapes that may fit."""
        groups = settings.get(self.playing("groups") or "", 1)
        kinds = [self.kind] if settings else dict.fromkeys((self.kind, "elementwise"))
        every = ((kind, _shapes(kind, "transpose" in self.name, groups)) for kind in kinds)
        for kind, shapes in ((kind, shapes) for kind, found in every for shapes in found):
            values: Values = {}
            for parameter, role in self.roles.items():
                if role in shapes:
                    values[parameter] = _values(kind, role, shapes[role], rng)
            for parameter, spec in self.specs.items() if kind == "elementwise" else ():
                unknown = parameter not in values and parameter.lower() not in PLAIN
                if unknown and spec.default is spec.empty:
                    values[parameter] = _values(kind, "x", shapes["others"], rng)
            yield values
            if kind == "elementwise":
                yield {key: np.abs(value) + 0.5 for key, value in values.items()}

    def case(self, values: Values, title: str) -> Case | None:
        """A call with these values: all arrays by position; None if something is missing."""
        places = [isinstance(values.get(name), np.ndarray) for name in self.specs]
        last = max((i for i, is_array in enumerate(places) if is_array), default=-1)
        args: list[Any] = []
        settings: Values = {}
        for i, (name, spec) in enumerate(self.specs.items()):
            usual = {"kernel_size": 2, **PLAIN}.get(self.roles[name], spec.empty)
            value = values.get(name, usual if spec.default is spec.empty else spec.default)
            if value is spec.empty:
                return None
            if i <= last and spec.kind is not spec.KEYWORD_ONLY:
                args.append(value)
            elif name in values or spec.default is spec.empty:
                settings[name] = value
        return Case(tuple(args), settings, title)


def _role(name: str) -> str:
    """The usual name of a parameter, such as "w" for "weight"."""
    lower = name.lower()
    return next((role for role, names in SAME_NAMES.items() if lower in names), lower)


def _kind(name: str, roles: set[str]) -> str:
    """What kind of operation this is."""
    sliding = {"stride", "padding", "dilation", "groups"} & roles
    if "pool" in name or ("kernel_size" in roles and "w" not in roles):
        return "pool"
    if "conv" in name or "corr" in name or ("w" in roles and sliding):
        return "conv"
    if "norm" in name:
        return "norm"
    if "target" in roles or "loss" in name or "entropy" in name:
        return "loss"
    if "w" in roles or any(word in name for word in ("linear", "dense", "matmul", "affine")):
        return "linear"
    return "elementwise"


def _shapes(kind: str, transposed: bool, groups: int) -> Iterator[dict[str, Any]]:
    """Shapes by role, the most telling ones first."""
    if kind == "conv":
        C, O = 2 * groups if groups > 1 else 3, 4
        for H, W, KH, KW in ((7, 6, 3, 2), (7, 7, 3, 3)):
            w = (C, O // groups, KH, KW) if transposed else (O, C // groups, KH, KW)
            yield {"x": (2, C, H, W), "w": w, "b": (O,)}
    yield from SHAPES[kind]


def _values(kind: str, role: str, shape: Any, rng: np.random.Generator) -> np.ndarray:
    if shape == "labels":
        return np.array([0, 2, 1, 2])
    if kind == "pool" or (kind == "elementwise" and role == "x"):  # apart from ties and from 0
        count = int(np.prod(shape))
        return (rng.permutation(count) - count // 2 + 0.5).reshape(shape) * (4 / max(count, 8))
    return np.asarray(rng.standard_normal(shape))
