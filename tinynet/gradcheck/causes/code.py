"""The mistake in the code: with one expression written otherwise, the gradient is right.

    gW += h[t + 1].T @ a      with h[t] for h[t + 1] it is the gradient of W

The function is parsed, and one expression after the other is changed as somebody would who looks
for the mistake. Where the result is the same, the gradient is right, and those of the other
arguments are as right as before, this expression was the mistake; it must be right in smaller cases
and with other settings too. Where a change makes some of the wrong elements right, a second one is
looked for in another line.
"""

import ast
import contextlib
import inspect
import itertools
import linecache
import re
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinynet.accumulation import sum_to_shape
from tinynet.function import body_of
from tinynet.gradcheck.causes import harmless
from tinynet.gradcheck.causes.clues import Clues, ElsewhereError, Suspect, output_of, slope
from tinynet.gradcheck.causes.inside import Values, through
from tinynet.gradcheck.replay import other_sizes
from tinynet.gradcheck.subject import TooMuchError
from tinynet.gradcheck.trace import OVERWRITTEN, STATE, called, copied, written

MOST = 7000  # changes of which those that were right for another argument are tried first
HELD = 30_000  # lines that are run in it with expressions held, whatever was tried before
ROUNDS = 3  # lines that are changed together, each of which makes more elements right
SHORT = 5  # letters of an expression that says little by itself
VALUES = ast.Name, ast.Call, ast.BinOp, ast.Subscript, ast.Attribute
COMPOUND = ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Lambda
INSTEAD = {
    "sin": "cos", "cos": "sin", "tanh": "sin", "argmax": "argmin", "argmin": "argmax",
    "floor": "ceil", "ceil": "floor", "max": "min", "min": "max", "maximum": "minimum",
    "minimum": "maximum", "sum": "mean", "mean": "sum", "std": "var", "var": "std",
    "+": "- *", "-": "+", "*": "/ +", "/": "*", "<": "> <=", ">": "< >=", "<=": "< >=",
    ">=": "> <=", "==": "!=", "!=": "==", "tril": "triu", "triu": "tril",
}  # fmt: skip
SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Lt: "<", ast.Gt: ">",
    ast.LtE: "<=", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
REDUCED = "sum", "mean", "max", "min", "argmax", "argmin", "cumsum"
TOGETHER = 0, 1, -1, (0, 1), (1, 2), (0, 2), (1, 3), (2, 3), (1, 2, 3), (0, 2, 3)
COUNTS = ".sum()", ".sum(1, keepdims=True)", "", "[:, None]", "[:, None, None]"
AXES = "", *(f"{axes}{kept}" for kept in ("", ", keepdims=True") for axes in TOGETHER)
MISSING = (
    "{0} @ {1}.T", "{0} @ {1}",
    "{1} @ {0}", "{0} - {1}", "{0} + {1}", "{0} * ({1} > 0)", "{0} * (1 - {1})",
    "{0} / (1 + np.exp(-{1}))", "{0} * (1 - {1} * {1})", "{0} * {1} * (1 - {1})",
    "{0} * np.sign({1})", "{0} * {1} * {1}", "{0} - {1}[:, None]", "{0} / {1}[:, None]",
    "{0} * {1}[:, None]", "{0}[{1}]", "np.take_along_axis({0}, {1}, -1)",
    "{0} * {1}.sum(-1, keepdims=True)",
)  # fmt: skip
ALONE = (
    "-{0}", "2 * {0}", "{0} / 2", "3 * {0}", "{0}[::-1]", "{0}[..., ::-1]", "{0} * {0}",
    "(1 - {0})", "(1 + {0})", "({0} - 1)", "np.sign({0})", "{0} * (1 - {0} * {0})",
    "np.argsort({0})", "np.conj({0})", "({0} + {0}.T)", "({0} + {0}.T) / 2",
    "np.tril({0})", "np.triu({0})", "{0} * (1 - np.eye(len({0})) / 2)",
)  # fmt: skip
LINKS = {
    "tanh": "(1 - {0} ** 2)", "exp": "{0}", "log": "(1 / {1})", "sqrt": "(0.5 / {0})",
    "sin": "np.cos({1})", "cos": "-np.sin({1})", "abs": "np.sign({1})", "maximum": "({0} > 0)",
}  # fmt: skip

EMPTY = re.compile(r"[\[ ]([^\[\],:]+):\1[\],]|\w [*/] 1[\],)]")  # a slice or factor without effect
STEP = re.compile(r"(\w+) ([+-]) (\d+)$")
SIZE = re.compile(r"(?:len\((\w+)\)|(\w+)\.(?:size|shape\[-?\d\]))$")
SCALE = re.compile(r"sqrt|len\(|shape|size")
NOTHING = 1e-8  # of the sum over all outputs: a slope that differences do not show
BRIEF = 24  # letters of an expression that may belong elsewhere too


class Place(NamedTuple):
    """Where a node stands: the field of its parent, its number in a list there, else None.

    around: all that it is in, the function last. function: the one it is in. names: the variables
    in reach there.
    """

    node: Any
    around: list[Any]
    field: str
    number: int | None
    function: Any
    names: list[str]

    @property
    def parent(self) -> Any:
        """What it stands in."""
        return self.around[0]

    def put(self, node: Any) -> None:
        """Let another node stand there."""
        if self.number is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.number] = node

    @property
    def at(self) -> tuple[int, int]:
        """The line, and the column in which its statement begins."""
        statement = next(n for n in (self.node, *self.around) if isinstance(n, ast.stmt))
        return self.node.lineno, statement.col_offset

    @property
    def is_value(self) -> bool:
        """Whether it is an expression by itself, no function that is called and no module."""
        known = not isinstance(self.node, ast.Name) or self.node.id in self.names
        return isinstance(self.node, VALUES) and known and self.field != "func"


class Change(NamedTuple):
    """A mistake, what belongs there, and the nodes that are put in some places."""

    cause: str
    cure: str
    nodes: list[tuple[Place, Any]]

    @property
    def at(self) -> tuple[int, int]:
        """The line and the column of the statement in which the first of them stands."""
        return self.nodes[0][0].at

    def make(self) -> None:
        for place, node in self.nodes:
            place.put(node)

    def undo(self) -> None:
        for place, _ in self.nodes:
            place.put(place.node)


class Code:
    """The source of an operation, and of the functions that it calls, in whichever files.

    tree: the functions. lines: of all files. backward: the functions that make the
    gradient. right: the other arguments whose gradients are.
    """

    def __init__(self, clues: Clues) -> None:
        self.written: dict[str, types.FunctionType] = written(clues.call.body)
        *_, body = self.written.values()
        self.clues, self.file, self.right = clues, body.__code__.co_filename, set[int]()
        vjps = clues.call.body(*map(copied, clues.call.args), **clues.call.settings)[1:]
        self.parts = [getattr(vjp, "place", None) for vjp in vjps]
        vjps = [getattr(vjp, "function", vjp) for vjp in vjps]
        if "_backward" in self.written:
            vjps, self.parts = [self.written["_backward"]] * len(vjps), list(range(len(vjps)))
        self.vjps, self.nodes = vjps, dict[Any, Any]()
        self.mine = {_place(f) for f, _ in called(vjps[clues.fault.place :][:1])}
        found = list(called([*self.written.values(), *vjps]))
        self.space = {n: v for _, taken in found for n, v in taken.items()}
        for function in self.written.values():
            self.space |= inspect.getclosurevars(function).nonlocals
        data = (np.ndarray, float, int)
        self.outside = [name for name, v in self.space.items() if isinstance(v, data)]
        self.tree, self.backward, self.lines = ast.Module([], []), list[ast.AST](), list[str]()
        functions = {n: f for n, f in self.space.items() if inspect.isfunction(f)} | self.written
        for file in dict.fromkeys([self.file, *(f.__code__.co_filename for f, _ in found)]):
            self.read(file, {n: f for n, f in functions.items() if f.__code__.co_filename == file})
        ast.fix_missing_locations(self.tree)
        if not harmless.is_harmless(self.tree, self.space, body):
            raise ValueError("code that may do harm once it is changed")
        self.careful: Any = "raise"  # no cure divides by 0, unless the code does
        self.watch = harmless.Watch(self.file, clues.fault.tried)
        self.kept, self.left = list[Any](), list[Any]()

    def read(self, file: str, functions: dict[str, types.FunctionType]) -> None:
        """Add the functions of a file to the tree. Lines are counted through all files."""
        lines = linecache.getlines(file)
        names, text = {_place(f): name for name, f in functions.items()}, "".join(lines)
        runs = compile(text, file, "exec", dont_inherit=True)
        if not all(harmless.is_part(f.__code__, runs) for f in functions.values()):
            raise ValueError(f"{file} is not the code that runs")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                first = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
                own = getattr(node, "name", "<lambda>")
                place = file, own, first, *(a.arg for a in node.args.args)
                self.backward += [node] * (place in self.mine)
                made: Any = node
                self.nodes.setdefault(place, []).append(node)
                if name := names.get(place, ""):
                    if isinstance(node, ast.Lambda):
                        made = ast.Assign([ast.Name(name, ast.Store())], node)
                        ast.copy_location(made, node)
                    else:
                        node.name, node.decorator_list = name, []
                    self.tree.body.append(ast.increment_lineno(made, len(self.lines)))
        self.lines += lines

    def suspected(self) -> tuple[set[int], set[int]]:
        """The nodes of which the wrong gradient is made, and those of the result and of what is
        right: the mistake is most likely in one that is in the first alone."""
        writers: dict[str, list[Any]] = {}
        for node in ast.walk(self.tree):
            at: list[Any] = getattr(node, "targets", [getattr(node, "target", None)])
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                at = node.value.args[:1]  # np.add.at(g, i, dy)
            if isinstance(node, ast.FunctionDef):
                at = [ast.Name(node.name)]
            pairs = [(a, getattr(node, "iter", node)) for a in at if a]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Tuple) and isinstance(at[0], ast.Tuple):  # a, b = c, d
                pairs = list(zip(at[0].elts, value.elts))
            for a, writer in pairs:
                for n in ast.walk(a):
                    if isinstance(n, ast.Name):
                        writers.setdefault(n.id, []).append(writer)

        def made_of(pending: list[Any]) -> set[int]:
            found, names = set[int](), set[str]()
            while pending:
                inner = list(ast.walk(pending.pop()))
                found |= {id(n) for n in inner}
                new = {n.id for n in inner if isinstance(n, ast.Name)} - names
                names |= new
                pending += [w for name in new for w in writers.get(name, ()) if id(w) not in found]
            return found

        def returned(function: Any, part: int | None) -> list[Any]:
            if not inspect.isfunction(function):
                return []
            functions = filter(inspect.isfunction, self.vjps)  # several lambdas in one line
            alike = dict.fromkeys(f for f in functions if _place(f) == _place(function))
            nodes = self.nodes.get(_place(function), [None])
            node = nodes[list(alike).index(function) if len(alike) == len(nodes) > 1 else 0]
            values: list[Any] = [node.body] if isinstance(node, ast.Lambda) else []
            pending: list[Any] = [] if values else list(getattr(node, "body", ()))
            while pending:  # not those of functions inside
                n = pending.pop()
                values += [n.value] if isinstance(n, ast.Return) else []
                pending += [] if isinstance(n, ast.FunctionDef) else list(ast.iter_child_nodes(n))
            return [v.elts[part] if part is not None and isinstance(v, ast.Tuple)
                    and part < len(v.elts) else v for v in values if v]  # fmt: skip

        *_, body = self.written.values()
        own = self.clues.fault.place
        right = made_of(returned(body, 0))
        for place in self.right:
            right |= made_of(returned(self.vjps[place], self.parts[place]))
        return made_of(returned(self.vjps[own], self.parts[own])), right

    def shapes(self) -> list[str]:
        """The sizes of the arguments along each axis, as they are written."""
        names = zip(self.clues.call.names, self.clues.call.args)
        return [f"{n}.shape[{k}]" for n, a in names for k in range(np.ndim(a))]

    def wrong(self, most: int, empty: bool = False) -> np.ndarray | None:
        """Which elements are wrong as the code stands.

        None where the result is another, or so many are wrong in the first test. empty: nothing is
        kept from earlier calls.
        """
        clues, call, own = self.clues, self.clues.call, self.clues.fault.place
        run = self.compiled(empty)
        with np.errstate(divide=self.careful), contextlib.suppress(TooMuchError), self.watch:
            args, settings = clues.given()
            for array in (arg for arg in args if isinstance(arg, np.ndarray)):
                array.flags.writeable = False  # a change that writes into an argument is no cure
            given = run(*args, **settings)
            if not np.allclose(output_of(given), clues.y, rtol=1e-9, atol=1e-12):
                return None
            found = np.zeros(clues.x.shape, bool)
            for dy, _, due in clues.tests:
                found |= ~clues.is_right(_gradient(given[1 + own], dy, due.shape), due)
                if found.sum() > most:
                    return None
            right = set()
            for place, J in clues.fault.others.items():
                with contextlib.suppress(Exception):
                    shape, dy = np.shape(call.args[place]), clues.dy.reshape(-1)
                    there = _gradient(given[1 + place], clues.dy, shape).reshape(-1)
                    if np.allclose(there, J @ dy, 1e-5, 1e-5 * np.abs(there).max()):
                        right.add(place)
            self.right = self.right or right
            return found if right >= self.right else None
        return None

    def hold(self, value: Any) -> Any:
        """The values of a first run, in that order, in a later one."""
        if self.left:
            return self.left.pop()
        self.kept.append(copied(getattr(value, "detach", lambda: value)()))
        return value

    def compiled(self, empty: bool = False) -> Any:
        """The operation as the code stands."""
        space = {"np": np} | harmless.own_copies(self.space, empty)
        space |= {"_at": _at, "_held": self.hold}
        exec(compile(self.tree, self.file, "exec", dont_inherit=True), space)
        if "_" in space:
            return space["_"]
        methods = {name[1:]: staticmethod(space[name]) for name in self.written}
        return body_of(type(self.clues.call.name, (), {"setup_context": None} | methods))

    def holds(self) -> bool:
        """Whether the gradient is right with the elements in another order, other settings, sizes.

        So a number is told from a setting or a size that has the same value, and these from one
        another.
        """
        here = self.clues
        for there in here.elsewhere:
            self.clues = there
            left = self.wrong(0)
            self.clues = here
            if left is None or left.any():
                return False
        for name, n in here.numbers.items():
            if self.is_right_at(*here.given(**{name: n + 1})) is False:
                return False
        own = here.fault.place
        for axis, n in enumerate(here.x.shape):  # so a size is told from that of another argument
            args, settings = here.given()
            args[own] = here.x.take(range(n - 1), axis)
            if n > 2 and self.is_right_at(args, settings) is False:
                return False
        sizes = other_sizes(here.call)
        return all(self.is_right_at(list(c.args), c.settings) is not False for c in sizes)

    def is_right_at(self, args: list[Any], settings: dict[str, Any]) -> bool | None:
        """Whether the slope along some direction is right there; None if the function fails there,
        or the backward as it stands, which may have the sizes as numbers."""
        own, draw = self.clues.fault.place, np.random.default_rng(6).standard_normal
        v = draw(np.shape(args[own]))

        def f(x: np.ndarray) -> np.ndarray:
            given = [x if place == own else copied(arg) for place, arg in enumerate(args)]
            return output_of(self.clues.call.body(*given, **settings))

        try:
            dy = draw(f(args[own].copy()).shape)
            y, right = f(args[own].copy()), slope(f, args[own], v, dy)
            if not (y.size and np.isfinite(right)):
                return None
            stands = self.clues.call.body(*map(copied, args), **settings)[1 + own]
            _gradient(stands, dy, v.shape)
        except Exception:
            return None
        run = self.compiled()
        try:
            with self.watch:
                given = run(*map(copied, args), **settings)[1 + own]
                claimed = (v * _gradient(given, dy, v.shape)).sum()
        except (Exception, TooMuchError):
            return False
        size = abs(right) + abs(claimed)
        if size <= NOTHING * np.abs(dy * y).sum():
            return None
        return bool(abs(right - claimed) <= 1e-5 * size)


def _running(clues: Clues) -> Code | None:
    """The code of the operation, if it is this code that runs."""
    code, wrong = Code(clues), ~clues.is_right(clues.analytic, clues.numeric)
    try:
        left = code.wrong(clues.x.size)
    except FloatingPointError:
        code.careful = "ignore"
        left = code.wrong(clues.x.size)
    runs = len(clues.tests) > 1 and left is not None and np.array_equal(left, wrong)
    return code if runs and wrong.any() else None


def remembered(clues: Clues) -> Iterator[Suspect]:
    """Something that is kept between calls, or overwritten in place: y += 1 for y = y + 1."""
    code = clues.once(_running)
    if code is None:
        return
    if code.wrong(0, empty=True) is not None:
        how = "with what is kept between calls emptied the gradient is right: something is "
        yield Suspect(STATE, f"{how}remembered that each call has to compute anew")
    for place in _places([code.tree], None, []):
        if isinstance(place.node, ast.AugAssign) and isinstance(place.node.target, ast.Name):
            name, sign = place.node.target.id, SIGNS.get(type(place.node.op), "@")
            change = _told(place, f"{name} = {name} {sign} {_whole(place.node.value)}")
            change.make()
            with contextlib.suppress(Exception):
                if code.wrong(0) is not None:
                    yield Suspect(OVERWRITTEN, f"with {change.cure} the gradient is right")
            change.undo()


def look(clues: Clues) -> Iterator[Suspect]:
    """The expression, or the few, with which written otherwise the gradient is right."""
    code, changes = clues.once(_running), list[Change]()
    if code is None:
        return
    left = ~clues.is_right(clues.analytic, clues.numeric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while left.any():
            best, before = None, left
            tried, cures = _changes(code, {c.at for c in changes}), clues.fault.tried.cures
            if cures:  # the mistake of another argument is likely that of this one
                some = itertools.islice(tried, MOST)
                likely = sorted(some, key=lambda change: change.cause not in cures)
                tried = itertools.chain(likely, tried)
            for change in tried:
                if code.watch.is_over:
                    return
                change.make()
                with contextlib.suppress(Exception):  # whatever the changed code raises
                    there = code.wrong(int(left.sum()) - 1)
                    fewer = there is not None and not (there & ~before).any()
                    if there is not None and fewer and (there.any() or code.holds()):
                        best, left = change, there
                change.undo()
                if not left.any():
                    break
            if best is None or len(changes) == ROUNDS:
                return
            best.make()
            changes.append(best)
    clues.fault.tried.cures += [change.cause for change in changes]
    told = [f"{c.cure} in `{code.lines[c.at[0] - 1].strip()}`" for c in changes]
    cause = " and ".join(change.cause for change in changes)
    yield Suspect(cause, f"with {' and '.join(told)} the gradient is right")


class Held(Values):
    """What `inside.py` asks of values, for the expressions of the forward pass, by number.

    h[t + 1] = a * h[t]     of which da is dy * h[t] alone, as if no earlier step depended on a
    """

    def __init__(self, clues: Clues, code: Code) -> None:
        self.clues, self.code, self.runs = clues, code, dict[int, Any]()
        self.words, self.kept = dict[int, str](), dict[int, list[Any]]()
        draw = np.random.default_rng(8).standard_normal
        self.directions = [draw(clues.x.shape) for _ in range(3)]
        for key, place in enumerate(_places([code.tree], None, code.outside)):
            if place.function not in code.backward and place.is_value and not code.watch.is_over:
                name, text = ast.Name("_held", ast.Load()), ast.unparse(place.node)
                call = ast.copy_location(ast.Call(name, [place.node], []), place.node)
                place.put(ast.fix_missing_locations(call))
                self.runs[key], code.kept = code.compiled(), []
                place.put(place.node)
                line = code.lines[place.node.lineno - 1].strip()
                with contextlib.suppress(ElsewhereError):
                    self.output(key, clues.x, [])
                    self.words[key], self.kept[key] = f"{text} in `{line}`", code.kept

    def output(self, key: int, x: np.ndarray, left: list[Any]) -> np.ndarray:
        """What the function gives with an expression that has these values, from the last on."""
        args, settings = self.clues.given()
        args[self.clues.fault.place], self.code.left = x, left
        try:
            with self.code.watch:
                return output_of(self.runs[key](*args, **settings))
        except (Exception, TooMuchError) as error:  # whatever it raises for such values
            raise ElsewhereError from error

    def holding(self, key: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: self.output(key, x, self.kept[key][::-1])


def constant(clues: Clues) -> Iterator[Suspect]:
    """An expression of the forward pass that the backward takes for a constant, or multiplies."""
    code = clues.once(_running)
    if code is not None:
        code.watch.least -= HELD  # the changes may have taken all that there was
        yield from through(Held(clues, code))


def _place(function: types.FunctionType) -> tuple[Any, ...]:
    """Where a function stands: its file, its name, its first line, and its arguments."""
    code = function.__code__
    arguments = code.co_varnames[code.co_posonlyargcount : code.co_argcount]
    return code.co_filename, code.co_name, code.co_firstlineno, *arguments


def _gradient(vjp: Any, dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    dy = np.array(dy)
    dy.flags.writeable = False  # nor one that writes into dy
    return np.asarray(sum_to_shape(np.asarray(vjp(dy), np.float64), shape, "", vjp))


def _at(array: Any, place: Any) -> Any:
    """One element or row; beyond the ends there is 0."""
    return array[place] if 0 <= place < len(array) else 0 * np.asarray(array[0])


# ----- what may be changed ------------------------------------------------------------------------


def _changes(code: Code, done: set[tuple[int, int]]) -> Iterator[Change]:
    """All changes of other statements than those, the likeliest first."""
    found = _places([code.tree], None, code.outside)
    everywhere = [place for place in found if place.at not in done]
    own, right = code.suspected()
    ranks = [(id(p.node) not in own) + (id(p.node) not in own or id(p.node) in right)
             for p in everywhere]  # fmt: skip
    grown = [ast.walk(p.node) for p in everywhere if harmless.grows(p.node)]
    sizes = {id(n) for nodes in grown for n in list(nodes)[1:]}  # of arrays, and no others
    known = {_whole(p.node): None for p in everywhere if isinstance(p.node, (ast.BinOp, ast.Call))}
    for node in (p.node for p in everywhere if isinstance(p.node, ast.BinOp)):
        if isinstance(node.left, ast.BinOp) and isinstance(node.left.op, ast.Mult):
            known[f"({ast.unparse(ast.BinOp(node.left.right, node.op, node.right))})"] = None
    known = {text: None for text in known if len(text) <= BRIEF}
    backward = [p for p in everywhere if p.function in code.backward]
    names = backward[0].names if backward else []
    made = {(ast.unparse(p.node.targets[0]), _whole(p.node.value))
            for p in everywhere if isinstance(p.node, ast.Assign)}  # fmt: skip
    numbers = sorted({ast.unparse(p.node) for p in everywhere if _is_number(p.node)})
    limits = dict.fromkeys([*code.clues.numbers, *numbers])
    scales = [text for text in (*known, *code.shapes()) if SCALE.search(text)]
    links = dict.fromkeys(link for p in everywhere for link in _links(p))
    cuts: list[Any] = [p.node for p in everywhere if isinstance(p.node, ast.Slice)]
    slices = dict.fromkeys(map(ast.unparse, cuts))
    ends = [(c.upper, c.lower) for c in cuts if c.lower and c.upper]
    known |= {f"({_whole(high)} - {_whole(low)})": None for high, low in ends}
    masks = [f"({name} {s} {limit})" for name in names for s in "<>" for limit in limits]

    def scaled(places: list[Place]) -> Iterator[Change]:
        """Times a size, or a link of the chain rule; changed by itself; another slice."""
        values = [p for p in places if p.is_value and p.function in code.backward]
        values = [p for p in values if id(p.node) not in sizes]
        forms = [f"{{0}} {sign} {text}" for text in scales for sign in "*/"]
        forms += [f"{{0}} * {text}" for text in links]
        for place, text in itertools.product(places, slices):
            if isinstance(place.node, ast.Slice) and text != ast.unparse(place.node):
                yield _told(place, text)
        for form, place in itertools.product((*forms, *ALONE), values):
            yield _told(place, form.format(_whole(place.node)))

    ranked = [[p for p, its in zip(everywhere, ranks) if its == rank] for rank in range(3)]
    for places in ranked:
        for kind in KINDS:
            yield from _of_kind(places, kind)
        yield from scaled(places)
        yield from _of_kind(places, _numbers)
    for places in ranked:
        for kind in (_named, _renamed):
            yield from _of_kind(places, kind)
        values = [p for p in places if p.is_value and id(p.node) not in sizes]
        tried = itertools.product(values, known)  # what a variable is made of would undo a change
        yield from (_told(p, text) for p, text in tried if (ast.unparse(p.node), text) not in made)
        yield from _of_kind(places, _constants)  # a number says less than what stands in the code
        for place in (p for p in places if _is_number(p.node)):
            yield from (_told(place, number) for number in numbers)
        yield from _everywhere(places)
        for form in (*MISSING, "{0} * {1} ", "{0} / {1} ", "{0} + {1} ", "{0} - {1} "):
            for place in (p for p in values if p.function in code.backward):
                for name in [*known, *masks] if form.endswith(" ") else place.names:
                    yield _told(place, form.format(_whole(place.node), name))


def _links(place: Place) -> Iterator[str]:
    """The derivative of a function that is called, in terms of what the result is called."""
    node: Any = place.node
    if form := LINKS.get(getattr(getattr(node, "func", None), "attr", "")):
        at = getattr(place.parent, "targets", [None])[0]
        result = at.id if isinstance(at, ast.Name) else ast.unparse(node)
        yield form.format(result, _whole((*node.args, node.func.value)[0]))


def _of_kind(places: list[Place], kind: Callable[[Place], Iterator[str]]) -> Iterator[Change]:
    """The changes of one kind at each place."""
    for place in places:
        with contextlib.suppress(Exception):  # of what is made otherwise
            for text in kind(place):
                with contextlib.suppress(SyntaxError):
                    change = _told(place, text)
                    yield from [change] * (not EMPTY.search(change.cure))


def _places(around: list[Any], function: Any, names: list[str]) -> Iterator[Place]:
    """All expressions and assignments in the functions below a node, the first of `around`."""
    node = around[0]
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        stored = (n for n in ast.walk(node) if isinstance(getattr(n, "ctx", None), ast.Store))
        inner = [a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)]
        inner += [n.id for n in stored if isinstance(n, ast.Name)]
        function, names = node, list(dict.fromkeys([*names, *inner]))
    for field, value in ast.iter_fields(node):
        for number, part in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(part, ast.AST) and not isinstance(part, ast.arguments):
                owner = node if isinstance(node, ast.Subscript) and field == "value" else part
                written_to = isinstance(getattr(owner, "ctx", None), ast.Store)  # d of d[i] = ...
                read = not (isinstance(getattr(part, "ctx", None), ast.Store) or written_to)
                read = read and function is not None
                if isinstance(part, (ast.expr, ast.Assign, ast.AugAssign)) and read:
                    yield Place(part, around, field, number, function, names)
                yield from _places([part, *around], function, names)


def _is_number(node: Any) -> bool:
    """Whether it is written as a number, with a sign or without."""
    value = getattr(node.operand if isinstance(node, ast.UnaryOp) else node, "value", None)
    return type(value) in (int, float)


def _parsed(place: Place, text: str) -> Any:
    """What a text means, in the line of a node."""
    kind = ast.Slice if isinstance(place.node, ast.Slice) else ast.expr
    new: Any = ast.parse(f"_[{text}]" if kind is ast.Slice else text).body[0]
    if not isinstance(place.node, ast.stmt):
        new = new.value.slice if kind is ast.Slice else new.value
    part: Any
    for part in ast.walk(new):
        if hasattr(part, "lineno"):
            part.lineno = part.end_lineno = place.node.lineno
    if isinstance(new, ast.stmt):
        new.col_offset = place.node.col_offset
    return new


def _told(place: Place, text: str) -> Change:
    """A change, of the expression by itself, or with what is around it if that says little."""
    new = _parsed(place, text)
    said = ast.unparse(place.node), ast.unparse(new)
    indices = [getattr(node, "slice", None) for node in place.around]
    for node in itertools.takewhile(lambda n: isinstance(n, (ast.expr, ast.Slice)), place.around):
        inner = isinstance(node, (ast.Subscript, ast.Slice)) or node in indices
        if len(said[0]) >= SHORT and not inner:
            break
        place.put(new)
        after = ast.unparse(node)
        place.put(place.node)
        said = ast.unparse(node), after
    old, now = (re.sub(r"_at\((.*?), ([^()]*)\)", r"\1[\2]", words) for words in said)
    return _instead(old, now, [(place, new)])


def _instead(old: str, new: str, nodes: list[tuple[Place, Any]]) -> Change:
    return Change(f"{old} in place of {new}", f"{new} for {old}", nodes)


def _whole(node: Any) -> str:
    """An expression as an operand."""
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, COMPOUND) else text


def _turned(place: Place) -> Iterator[str]:
    """Transposed, or not; two indices or sizes exchanged."""
    node: Any = place.node
    shaped = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "reshape"
    parts = getattr(getattr(node, "slice", None), "elts", [])
    if shaped:
        parts = getattr(node.args[0], "elts", []) if len(node.args) == 1 else node.args
    for a, b in itertools.combinations(range(len(parts)), 2):
        texts = [ast.unparse(part) for part in parts]
        texts[a], texts[b] = texts[b], texts[a]
        text = f"{_whole(node.func if shaped else node.value)}{{}}".format
        told = ", ".join(texts)
        yield text(f"({told}).swapaxes({a}, {b})" if shaped else f"[{told}]")
    if shaped and isinstance(node.func, ast.Attribute):
        rest = ", ".join(map(ast.unparse, node.args))
        for a, b in ((1, 2), (0, 1), (2, 3), (0, 2), (1, 3)):
            yield f"{_whole(node.func.value)}.swapaxes({a}, {b}).reshape({rest})"
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield ast.unparse(node.value)
    elif place.is_value and not isinstance(place.parent, ast.Attribute):
        yield f"{_whole(node)}.T"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield f"{_whole(node.right)} @ {_whole(node.left)}"


def _named(place: Place) -> Iterator[str]:
    """A variable along the rows, or as a factor; in a power for one of the equal factors."""
    if place.is_value:
        yield from (f"{name}[:, None]" for name in place.names)
        yield from (f"{_whole(place.node)} {sign} {name}" for name in place.names for sign in "*/")
    node: Any = place.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _is_number(node.right):
        base, n = _whole(node.left), ast.literal_eval(node.right)
        yield from (f"({base} ** {n - 1} * {name})" for name in place.names)


def _alike(place: Place) -> Iterator[str]:
    """Another size; another variable, those with the same first letter first."""
    node: Any = place.node
    text = ast.unparse(node)
    if sized := SIZE.match(text):
        array = sized[1] or sized[2]
        yield from (f"{array}.{size}" for size in ("size", "shape[0]", "shape[1]", "shape[-1]"))
        at = [name for name in place.names if name != array]
        forms = [*(f"{{}}{axes}" for axes in COUNTS), *(f"{{}}[{name}][:, None]" for name in at)]
        yield from (form.format(name) for form in forms for name in place.names)
    names = sorted(place.names, key=lambda name: name[0] != text[0])
    yield from (name for name in names if place.is_value and name != text)


def _renamed(place: Place) -> Iterator[str]:
    """Another variable at all places of a term; a variable less its mean; a second term as this.

    a1 * g[t + 1] and a2 * g[t + 2] for a1 * g[t + 1]
    """
    text = ast.unparse(place.node)
    if isinstance(place.node, ast.Name):
        yield f"({text} - {text}.mean(-1, keepdims=True))"
    if isinstance(place.node, ast.BinOp):
        for old, new in itertools.product(place.names, repeat=2):
            again, count = re.subn(rf"\b{old}\b", new, text)
            if count > 1 and old != new:
                yield again
    if isinstance(place.node, ast.BinOp) and isinstance(place.node.op, ast.Mult):
        at: Any = place.node.right
        factor = ast.unparse(place.node.left)
        for by in (1, -1) if isinstance(at, ast.Subscript) and factor in place.names else ():
            moved = f"{ast.unparse(at.value)}[{_plus(at.slice, by)}]"
            yield from (f"({text} + {name} * {moved})" for name in place.names if name != factor)


def _moved(place: Place) -> Iterator[str]:
    """The element beside, the places beside, those that are found in each row."""
    node = place.node
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        given = _whole(node.value)
        yield from (f"np.take_along_axis({given}, {name}, -1)" for name in place.names)
    if isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Slice, ast.Tuple)):
        for by in (-1, 1, -2, 2):
            yield f"_at({ast.unparse(node.value)}, {_plus(node.slice, by)})"
    if isinstance(node, ast.Slice) and not node.step:
        ends = [ast.unparse(end) if end else "" for end in (node.lower, node.upper)]
        for by in (1, -1, 2, -2):
            low, high = (_plus(end, by) for end in (node.lower, node.upper))
            yield f"{low if node.lower or by > 0 else ''}:{high if node.upper or by < 0 else ''}"
            yield from (f"{low}:{ends[1]}", f"{ends[0]}:{high}")
        yield from [":".join(reversed(ends))] * ("" in ends)
    parts: list[Any] = getattr(getattr(node, "slice", None), "elts", [])
    for k, part in enumerate(parts if isinstance(node, ast.Subscript) else ()):
        for by in (-1, 1) if isinstance(part, (ast.Name, ast.BinOp)) else ():
            texts = [ast.unparse(p) for p in parts]
            texts[k] = _plus(part, by)
            yield f"{_whole(node.value)}[{', '.join(texts)}]"
    cut = [part for part in parts if isinstance(part, ast.Slice) and (part.lower or part.upper)]
    for name in place.names if cut and isinstance(node, ast.Subscript) else ():
        for inner in (True, False):
            texts = [_cut(p, name, inner) if p in cut else ast.unparse(p) for p in parts]
            yield f"{_whole(node.value)}[{', '.join(texts)}]"


def _cut(part: ast.Slice, name: str, inner: bool) -> str:
    """The places but for so many at either end, or those that are so many further on."""
    low, high = (f"{name} + {ast.unparse(end)}" if end else "" for end in (part.lower, part.upper))
    return f"{name}:-{name}" if inner else f"{low or name}:{high}"


def _plus(index: Any, by: int) -> str:
    """An index with a number added: t + 1 for t, t for t + 1."""
    sign = {ast.Add: 1, ast.Sub: -1}.get(type(index.op), 0) if isinstance(index, ast.BinOp) else 0
    if sign and isinstance(index.right, ast.Constant):
        index, by = index.left, by + sign * index.right.value
    with contextlib.suppress(ValueError):
        return str(by + ast.literal_eval(index or "0"))
    return ast.unparse(index) + (f" {'-' if by < 0 else '+'} {abs(by)}" if by else "")


def _signs(place: Place) -> Iterator[str]:
    """Another operator or function of the kind; = for += and the other way round."""
    node = place.node
    if isinstance(node, (ast.BinOp, ast.Compare)):
        right = node.right if isinstance(node, ast.BinOp) else node.comparators[0]
        sign = SIGNS.get(type(node.op if isinstance(node, ast.BinOp) else node.ops[0]), "")
        for other in INSTEAD.get(sign, "").split():
            yield f"{_whole(node.left)} {other} {_whole(right)}"
        if sign in ("+", "-") and isinstance(node, ast.BinOp):
            yield f"{_whole(right)} - {_whole(node.left)}"
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
        at, value = ast.unparse(node.target.slice), ast.unparse(node.value)
        yield f"np.add.at({ast.unparse(node.target.value)}, ({at}), {value})"
    if isinstance(node, ast.AugAssign):
        for sign in ("=", "-=", "+="):
            yield f"{ast.unparse(node.target)} {sign} {ast.unparse(node.value)}"
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Subscript, ast.Name)):
        yield f"{ast.unparse(node.targets[0])} += {ast.unparse(node.value)}"
    if isinstance(node, ast.Attribute) and node.attr in INSTEAD:
        yield f"{_whole(node.value)}.{INSTEAD[node.attr]}"


def _stored(place: Place) -> Iterator[str]:
    """Stored elsewhere: one element in each row, not whole rows; variables exchanged."""
    node: Any = place.node
    if not isinstance(node, (ast.Assign, ast.AugAssign)):
        return
    at: Any = node.targets[0] if isinstance(node, ast.Assign) else node.target
    value = node.value
    sign = "=" if isinstance(node, ast.Assign) else SIGNS[type(node.op)] + "="
    if isinstance(at, ast.Subscript):
        i = ast.unparse(at.slice.elts[-1] if isinstance(at.slice, ast.Tuple) else at.slice)
        values = [value, *([value.value] if isinstance(value, ast.Subscript) else [])]
        for text in map(ast.unparse, values):
            yield f"{ast.unparse(at.value)}[np.arange(len({i})), {i}] {sign} {text}"
        for name in place.names:
            yield f"np.put_along_axis({ast.unparse(at.value)}, {name}, {ast.unparse(value)}, -1)"
    elif isinstance(at, ast.Tuple):
        names = [ast.unparse(part) for part in at.elts]
        for j, k in itertools.combinations(range(len(names)), 2):
            other = [names[{j: k, k: j}.get(n, n)] for n in range(len(names))]
            yield f"{', '.join(other)} = {ast.unparse(value)}"


def _left_out(place: Place) -> Iterator[str]:
    """A part of the expression alone."""
    node, fields = place.node, ("left", "right", "operand", "body", "orelse")
    parts = [getattr(node, field, None) for field in fields]
    parts += [node.value] if isinstance(node, ast.Subscript) else getattr(node, "args", [])[:2]
    parts += [getattr(getattr(node, "func", None), "value", None)]
    yield from (ast.unparse(part) for part in parts if isinstance(part, ast.expr))


def _numbers(place: Place) -> Iterator[str]:
    """Another number, one more or less."""
    node, c = place.node, getattr(place.node, "value", None)
    if isinstance(c, bool):
        yield str(not c)
    elif isinstance(node, ast.Constant) and isinstance(c, (int, float)):
        others = dict.fromkeys([c + 1, c - 1, -c, 2 * c, c / 2, 0, 1, c + 2])
        yield from (repr(other) for other in others if other != c)


def _constants(place: Place) -> Iterator[str]:
    """A variable for a number."""
    node, c = place.node, getattr(place.node, "value", None)
    if isinstance(node, ast.Constant) and type(c) in (int, float):
        yield from place.names
        yield from (f"{name}.sum(1)" for name in place.names)


def _reduced(place: Place) -> Iterator[str]:
    """Summed along other axes, or from the other side."""
    node: Any = place.node
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("cum"):
        text = ast.unparse(node)
        inner = ast.unparse(node.args[0] if text.startswith("np.") else vars(node.func)["value"])
        for back in ("[::-1]", "[:, ::-1]", "[..., ::-1]"):
            yield f"{text.replace(inner, f'({inner}){back}', 1)}{back}"
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in REDUCED:
        given = [ast.unparse(x) for x in node.args[: ast.unparse(node.func).startswith("np.")]]
        for axes in AXES:
            yield f"{ast.unparse(node.func)}({', '.join([*given, axes])})"
    func = getattr(node, "func", None)
    if isinstance(func, ast.Attribute) and func.attr in ("sum", "mean"):
        inner, over = _whole(func.value), ", ".join(map(ast.unparse, [*node.args, *node.keywords]))
        means = f"{inner}.sum({over}) / {{0}}.sum({over})"  # of those that count
        form = means if func.attr == "mean" else f"np.bincount({{0}}, {inner})[{{0}}]"
        yield from (form.format(name) for name in place.names)


def _everywhere(places: list[Place]) -> Iterator[Change]:
    """Two values or numbers exchanged; other axes of each sum; a loop the other way round."""
    values = [p for p in places if p.is_value]
    values = [p for p in values if p.field != "value" or isinstance(p.node, ast.Name)]
    for p, q in itertools.combinations(values, 2):
        one, other = map(ast.unparse, (p.node, q.node))
        nested = p.node in ast.walk(q.node) or q.node in ast.walk(p.node)
        if p.function is q.function and one != other and not nested:
            yield _instead(f"{one} and {other}", f"{other} and {one}", [(p, q.node), (q, p.node)])
    numbers: dict[tuple[Any, str], list[Place]] = {}
    for place in (p for p in places if isinstance(p.node, ast.Constant)):
        numbers.setdefault((place.function, ast.unparse(place.node)), []).append(place)
    for a, b in itertools.combinations(numbers, 2):
        if a[0] is b[0]:
            pairs = (numbers[a], numbers[b]), (numbers[b], numbers[a])
            nodes = [(p, there[0].node) for here, there in pairs for p in here]
            yield _instead(f"{a[1]} and {b[1]}", f"{b[1]} and {a[1]}", nodes)
    for name in ("mean", "sum"):
        group = [p for p in places if getattr(getattr(p.node, "func", None), "attr", "") == name]
        for axes, *texts in zip(AXES if group else (), *map(_reduced, group)):
            nodes = [(p, _parsed(p, text)) for p, text in zip(group, texts)]
            yield _instead(f"each {name}", f"{name}({axes})", nodes)
    for place in (p for p in places if isinstance(p.parent, ast.For) and p.field == "iter"):
        inside = set(ast.walk(place.parent))
        steps = [p for p in places if p.node in inside and isinstance(p.node, ast.BinOp)]
        nodes = [(place, _parsed(place, f"{ast.unparse(place.node)}[::-1]"))]
        for p in steps:
            if step := STEP.match(ast.unparse(p.node)):
                other = f"{step[1]} {INSTEAD[step[2]][0]} {step[3]}"
                nodes += [(p, _parsed(p, other))] * (step[1] == ast.unparse(place.parent.target))
        turned = f"{ast.unparse(place.node)} the other way round, with the place at the other side,"
        yield _instead(ast.unparse(place.node), turned, nodes)


KINDS = _turned, _signs, _stored, _left_out, _alike, _moved, _reduced
