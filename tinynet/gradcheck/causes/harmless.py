"""What keeps code that is run with something changed in it from doing harm.

It knows NumPy, `math`, harmless builtins and its own file; what it keeps between calls is a copy;
what it prints is not shown. It stops where it runs many more lines than before, or where a variable
gets much larger than any was.
"""

import ast
import builtins
import copy
import inspect
import math
import re
import sys
import types
from typing import Any

import numpy as np

from tinynet.autograd import together
from tinynet.gradcheck.causes.clues import Tried
from tinynet.gradcheck.subject import TooMuchError
from tinynet.nn import functional

LARGE = 10_000  # elements of an array, or a number, in a variable
MORE = 4  # times as large
LONGER = 20  # times as many lines as the code runs as it stands
LINES = 15_000  # that code may run as it stands
A_TRY = 40  # lines that take as long as to write the code otherwise and compile it

SAFE = np, math, np.linalg, np.fft, np.lib.stride_tricks, functional, sys.modules["tinynet"]
UNSAFE = re.compile(
    r"\b(as_strided|ctypes\w*|tofile|dump\w*|save(?!d_tensors|_for_backward)\w*|load\w*"
    r"|\w*memmap|from(file|regex|pyfunc)|\w+txt|set(?!default|up_context)\w+|\w*seed"
    r"|factorial|comb|perm|vectorize|testing|lib\.(?!stride)|random\.(?!default))"
)
GROWING = (
    "zeros ones full empty eye identity tri arange linspace logspace geomspace tile repeat pad "
    "resize indices broadcast_to vander range random standard_normal normal uniform integers"
)
DATA = int, float, complex, str, bytes, slice, range, type(None), np.generic, np.dtype
KNOWN = "abs all any divmod hasattr isinstance iter len max min next pow repr round sorted sum"
BUILTINS = {k: v for k, v in vars(builtins).items() if k in KNOWN.split() or isinstance(v, type)}
BUILTINS |= {"print": lambda *_, **__: None}


class Watch:
    """Counts the lines of a file that are run, and stops them: `with watch:`.

    The first time they run as they stand. Of what a report has left one argument may use two
    thirds, so that something is left for the next.
    """

    def __init__(self, file: str, tried: Tried) -> None:
        self.file, self.lines, self.largest, self.is_first = file, 0, 0, True
        self.most, self.limit, self.tried, self.least = LINES, LARGE, tried, tried.left // 3

    @property
    def is_over(self) -> bool:
        """Whether no more may be tried."""
        return self.tried.left < self.least

    def __enter__(self) -> None:
        self.before, self.lines = sys.gettrace(), 0
        sys.settrace(self)

    def __exit__(self, *_: Any) -> None:
        sys.settrace(self.before)
        if self.is_first:
            self.most, self.limit = LONGER * self.lines, min(LARGE, MORE * self.largest)
        self.tried.left -= 0 if self.is_first else self.lines + A_TRY
        self.is_first = False

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        self.lines += 1
        largest = max(map(_size, frame.f_locals.values()), default=0)
        self.largest = max(self.largest, largest)
        if self.lines > self.most or largest > self.limit or _holds_itself(frame.f_locals):
            raise TooMuchError
        return self


def _size(value: Any) -> int:
    if isinstance(value, (list, dict, np.ndarray)):
        return value.size if isinstance(value, np.ndarray) else len(value)
    return int(value) if isinstance(value, (int, np.integer)) else 0


def _holds_itself(variables: dict[str, Any]) -> bool:
    """Whether a list is an element of itself, through which NumPy would not find an end."""
    return any(type(v) is list and any(part is v for part in v) for v in variables.values())


def is_part(code: types.CodeType, whole: types.CodeType) -> bool:
    """Whether some code stands in other code just so: the source has not changed since."""
    inner = (c for c in whole.co_consts if isinstance(c, types.CodeType))
    return code == whole or any(is_part(code, c) for c in inner)


def is_harmless(tree: ast.Module, known: dict[str, Any], body: types.FunctionType) -> bool:
    """Whether functions, those of a tree, write nothing elsewhere.

    known: what they take from outside, by name; a function of the tree is taken from there.
    """
    functions = [name for name, value in known.items() if inspect.isfunction(value)]
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    for node in ast.walk(tree):
        owner = getattr(getattr(node, "value", None), "id", "")
        if isinstance(node, ast.Attribute) and (
            (isinstance(node.ctx, ast.Store) and (owner != "ctx" or owner in stored))
            or owner in functions
        ):
            return False
    made = [getattr(n, "name", "") or ast.unparse(vars(n)["targets"][0]) for n in tree.body]
    return not UNSAFE.search(ast.unparse(tree)) and all(
        name in made or _is_known(value, body) for name, value in known.items()
    )


def _is_known(value: Any, body: types.FunctionType) -> bool:
    """Whether it is small data, a function of the same file, or of NumPy one that does no harm."""
    if _is_data(value) or inspect.ismodule(value):
        return _size(value) <= LARGE if _is_data(value) else any(value is m for m in SAFE)
    name = getattr(value, "__name__", "")
    own = inspect.isfunction(value) and value.__globals__ is body.__globals__
    numpys = any(getattr(module, name, None) is value for module in SAFE)
    return own or value is together or (numpys and not UNSAFE.search(name))


def _is_data(value: Any) -> bool:
    """Whether a value is numbers, text, or arrays and containers of them."""
    if type(value) in (list, tuple, set, dict):
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return all(map(_is_data, parts))
    return isinstance(value, DATA) or (type(value) is np.ndarray and value.dtype != object)


def own_copies(known: dict[str, Any], empty: bool = False) -> dict[str, Any]:
    """What code may use, its data copied. empty: the containers in it are."""
    kinds = (dict, list, set) if empty else ()
    space = {k: type(v)() if type(v) in kinds else v for k, v in known.items()}
    space = {k: copy.deepcopy(v) if _is_data(v) else v for k, v in space.items()}
    return space | {"__builtins__": BUILTINS}


def grows(node: Any) -> bool:
    """Whether a number in an expression is the size of its result: [0] * n, 2 ** n, np.eye(n)."""
    if isinstance(node, ast.BinOp):
        listed = isinstance(node.left, ast.List) or isinstance(node.right, ast.List)
        power = isinstance(node.op, (ast.Pow, ast.LShift)) and isinstance(node.left, ast.Constant)
        return power or (listed and isinstance(node.op, ast.Mult))
    called = ast.unparse(getattr(node, "func", ast.Constant(0))).rpartition(".")[2]
    return called in GROWING.split()
