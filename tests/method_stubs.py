"""`python -m tests.method_stubs` writes `tinynet/methods.pyi`, what Tensor has from tables.

Type checkers and editors cannot run the loop that makes these methods; the file tells them names,
arguments and what each does. A test looks whether it is up to date.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from tinynet import methods
from tinynet.autograd import Op

PLACE = Path(methods.__file__).with_suffix(".pyi")

HEAD = '''"""Written by `python -m tests.method_stubs`: the methods that methods.py makes."""

# ruff: noqa
# fmt: off

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from tinynet.autograd import Variable
from tinynet.functions.common import Dim
from tinynet.return_types import Pair
from tinynet.tensor import Tensor

Array: TypeAlias = Any
Data: TypeAlias = Any
OTHER_NAMES: dict[str, str]

def overwriting(function: Any, name: str) -> Callable[..., Any]: ...

class Methods(Variable):
'''

MORE = {"called": ", axis: Dim = None, keepdims: bool = False", "written": ", out: Any = None"}
"""What decorators add to the arguments, by the name of the function that takes them."""


def line(name: str, function: Any) -> str:
    """The definition of a method, with the first line of what it says of itself."""
    overwrites = name.endswith("_")
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())[1:]
    shown, seen_star = ["self"], False
    for p in parameters:
        kind = f": {text(p.annotation)}"
        if p.kind is p.VAR_POSITIONAL:
            shown.append(f"*{p.name}{kind}")
            seen_star = True
            continue
        if p.kind is p.KEYWORD_ONLY and not seen_star:
            shown.append("*")
            seen_star = True
        stars = "**" if p.kind is p.VAR_KEYWORD else ""
        plain = p.default is None or isinstance(p.default, (bool, int, float, str))
        default = "" if p.default is p.empty else f" = {p.default!r}" if plain else " = ..."
        shown.append(f"{stars}{p.name}{kind}{default}")
    arguments = ", ".join(shown)
    more = MORE.get(function.__code__.co_name, "") if hasattr(function, "__code__") else ""
    if more and not seen_star:
        more = ", *" + more
    is_operation = signature.return_annotation in (Op, "Op")
    returned = "Tensor" if overwrites or is_operation else text(signature.return_annotation)
    doc = inspect.getdoc(function).split("\n\n")[0].replace("\n", " ")
    return f'    def {name}({arguments}{more}) -> {returned}:\n        """{doc}"""\n'


def text(annotation: Any) -> str:
    """An annotation as it is written."""
    if annotation is inspect.Parameter.empty:
        return "Any"
    return annotation if isinstance(annotation, str) else annotation.__name__


def written() -> str:
    """The whole file."""
    names = sorted(name for name in vars(methods.Methods) if not name.startswith("_"))
    return HEAD + "".join(line(name, getattr(methods.Methods, name)) for name in names)


if __name__ == "__main__":
    PLACE.write_text(written(), encoding="utf-8")
