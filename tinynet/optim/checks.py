"""Checks of settings, shared by optimizers and schedules.

The annotation of a setting names its check: `lr: Annotated[float, at_least_zero]`. In brackets,
`Annotated[..., [at_least_zero]]`, it is for a list with an entry for each parameter group.

Each check takes (owner, name, value), returns the value as a plain Python number, and raises a
TypeError for a value of the wrong kind or a ValueError for one out of range, both naming the
setting and the value: `SGD(lr=-0.1): ...`. Plain numbers keep float32 parameters float32, since
only NumPy's own scalars promote, and they can be written to JSON.
"""

import functools
import math
import numbers
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np

from tinynet.errors import integer, unknown_name

Check: TypeAlias = Callable[[str, str, Any], Any]
Pair: TypeAlias = tuple[float, float]


def checks_of(kind: type) -> dict[str, Any]:
    """The checks of a class's settings, by name, from the signatures of its `__init__`s."""
    checks = {}
    for owner in reversed(kind.__mro__):
        annotations = getattr(vars(owner).get("__init__"), "__annotations__", {})
        for name, annotation in annotations.items():
            for check in getattr(annotation, "__metadata__", ()):
                if callable(check) or isinstance(check, list):
                    checks[name] = check
    return checks


def number(low: float = 0.0, high: float = math.inf, below_high: bool = False) -> Check:
    """A check for a finite number with low <= value <= high, or value < high if `below_high`."""
    allowed = f"be a finite number of at least {low:g}"
    if high < math.inf:
        allowed = f"lie between {low:g} and {high:g}" + f", {high:g} excluded" * below_high

    def check(owner: str, name: str, value: Any) -> Any:
        given = f"{owner}({name}={value!r}): {name} must"
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(
                f"{given} be a plain number, not {type(value).__name__}; write it without quotes, "
                "and a tensor as t.item()"
            )
        plain: Any = value.item() if isinstance(value, np.generic) else value
        fits = low <= plain < high or (plain == high and not below_high)
        if not fits or plain > sys.float_info.max:
            raise ValueError(f"{given} {allowed}")
        return plain if type(plain) is int else float(plain)

    return check


def flag(owner: str, name: str, value: Any) -> bool:
    """A check for True or False."""
    if value is not True and value is not False:
        raise TypeError(f"{owner}({name}={value!r}): {name} must be True or False")
    return value


def pair_of(first: Check, second: Check, example: str) -> Check:
    """A check for two numbers, each with a check of its own, such as betas=(0.9, 0.999)."""

    def check(owner: str, name: str, value: Any) -> tuple[Any, Any]:
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{owner}({name}={value!r}): {name} must be two numbers, as {example}")
        return first(owner, f"{name}[0]", value[0]), second(owner, f"{name}[1]", value[1])

    return check


def one_of(*known: str) -> Check:
    """A check for one of a few names."""

    def check(owner: str, name: str, value: Any) -> str:
        if value not in known:
            raise unknown_name(name, value, known)
        return str(value)

    return check


def step_counts(owner: str, name: str, value: Any) -> list[int]:
    """A check for milestones, -> in rising order."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{owner}({name}={value!r}): give a list of step counts")
    return sorted(integer(owner, name, step, 1) for step in value)


def function(owner: str, name: str, value: Any) -> Any:
    """A check for a function of the step count."""
    if not callable(value):
        raise ValueError(f"{owner}({name}={value!r}): {name} must be a function of the step count")
    return value


def optional(check: Check) -> Check:
    """A check for what may be None, left out."""
    return lambda owner, name, value: None if value is None else check(owner, name, value)


from_one = functools.partial(integer, least=1)
at_least_zero = number()
above_zero = number(5e-324)
below_one = number(0, 1, below_high=True)

AtLeastZero: TypeAlias = Annotated[float, at_least_zero]
AboveZero: TypeAlias = Annotated[float, above_zero]
ZeroToOne: TypeAlias = Annotated[float, number(0, 1)]
Betas: TypeAlias = Annotated[Pair, pair_of(below_one, below_one, "(0.9, 0.999)")]
Etas: TypeAlias = Annotated[Pair, pair_of(below_one, number(1), "(0.5, 1.2)")]
StepSizes: TypeAlias = Annotated[Pair, pair_of(above_zero, above_zero, "(1e-6, 50)")]
Anneal: TypeAlias = Annotated[str, one_of("cos", "linear")]
Flag: TypeAlias = Annotated[bool, flag]
Count: TypeAlias = Annotated[int, integer]
FromOne: TypeAlias = Annotated[int, from_one]
Steps: TypeAlias = Annotated[Sequence[int], step_counts]
PerGroup: TypeAlias = Annotated[Any, [at_least_zero]]
BelowOnePerGroup: TypeAlias = Annotated[Any, [below_one]]
"""One number for all groups or a list; a list, with one for each, once it is checked."""
