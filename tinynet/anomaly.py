"""detect_anomaly: stop at the first operation that yields NaN or infinity, and say where it is.

    with tinynet.detect_anomaly():
        loss = F.cross_entropy(model(x), target)
        loss.backward()

The forward pass is seen through `autograd.observe`, the backward pass through a stand-in for
`autograd.visit`. Outside of the block neither is set, and operations cost what they always
cost. Inside, every operation is looked at and its inputs are kept until its graph is gone.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import inspect
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinynet import autograd
from tinynet.nn.location import Line, layer_path, running_modules, user_line
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.preserving import preserving
from tinynet.scope import Scope
from tinynet.tensor import Tensor

MOVED_IN_TRAINING = ("running_mean", "running_var")  # arguments that batch_norm overwrites


class Operand(NamedTuple):
    """One array that went into an operation: its name, shape, dtype and range.

    low, high: of the finite values, None if there is none. nan, inf: how many of each.
    parameter: whether it is a parameter of a layer.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    low: float | None
    high: float | None
    nan: int
    inf: int
    parameter: bool = False

    @classmethod
    def of(cls, name: str, array: np.ndarray, parameter: bool = False) -> Operand:
        """The description of an array."""
        finite, nan = array[np.isfinite(array)], int(np.isnan(array).sum())
        inf = array.size - finite.size - nan
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
        return cls(name, array.shape, str(array.dtype), low, high, nan, inf, parameter)

    def __str__(self) -> str:
        known = self.low is not None
        spread = f"from {self.low:.6g} to {self.high:.6g}" if known else "no finite value"
        bad = "".join(f", {n} {what}" for n, what in ((self.nan, "NaN"), (self.inf, "Inf")) if n)
        return f"{self.dtype} {self.shape}  {spread}{bad}"


class AnomalyError(FloatingPointError):
    """The first operation that gave NaN or infinity.

    op: its name. backward: whether it was its gradient that went bad, and `argument` the input
    that this gradient is for. nan, inf, index: how many values of the result are bad, and where
    the first is. layer: path and class of the layer, "" outside of all layers. line: the user's
    code that called the operation (in its forward pass), None if unknown. operands: what went in.
    """

    def __init__(
        self, op: str, result: np.ndarray, call: _Call | None, place: int = -1, dy: Any = None
    ) -> None:
        self.op = op
        self.backward = dy is not None
        self.argument = ""
        if self.backward:
            self.argument = call.tracked[place] if call is not None else f"input {place}"
        self.nan = int(np.isnan(result).sum())
        self.inf = int(np.isinf(result).sum())
        self.index = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        self.layer = layer_path(call.modules) if call is not None else ""
        self.line = call.line if call is not None else None
        incoming = [("dy, the gradient of its result", dy, False)] if self.backward else []
        inputs = call.inputs if call is not None else []
        self.operands = [Operand.of(*given) for given in (*incoming, *inputs)]
        counts = [f"{n} {name}" for n, name in ((self.nan, "NaN"), (self.inf, "Inf")) if n]
        what = f"gradient of {op} for {self.argument}" if self.backward else f"result of {op}"
        lines = [
            f"the {what} has {' and '.join(counts)} among its {result.size} values "
            f"(shape {result.shape}), the first at index {self.index}"
        ]
        lines += [f"in layer {self.layer}"] * bool(self.layer)
        lines += [f"called in {self.line}"] * (self.line is not None)
        width = max((len(operand.name) for operand in self.operands), default=0)
        lines += [f"{o.name:<{width}}  {o}" for o in self.operands]
        lines += filter(None, [_advice(op, self.operands, call) or _cure(op, call, result, dy)])
        super().__init__("\n  ".join(lines))

    def __reduce__(self) -> Any:  # from its parts, not from the arguments of __init__
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


def _advice(op: str, operands: list[Operand], call: _Call | None) -> str:
    """Where to look further, if the operation itself is not where it began."""
    if call is None:
        return (
            "its forward pass ran outside of detect_anomaly(); run it inside, and its layer, line "
            "and inputs are named too"
        )
    bad = next((operand for operand in operands if operand.nan or operand.inf), None)
    if bad is None:
        return ""
    if bad.parameter:
        return (
            f"{bad.name} is a parameter and was bad before, as it was loaded or by an optimizer "
            "step: use a smaller learning rate, or limit the gradient with "
            "nn.utils.clip_grad_norm_; with detect_anomaly() around it all the step is looked at"
        )
    given = next((array for name, array, _ in call.inputs if name == bad.name), None)  # else dy
    if op in SOFTMAXES and given is not None and np.isneginf(given[~np.isfinite(given)]).all():
        return (
            f"{bad.name} is -inf in places, as masked scores are: the sum of a row of these is 0, "
            "and log 0 infinite. Leave a place of each row unmasked, or mask with -1e9"
        )
    return (
        f"{bad.name} was bad before this operation, the first to be looked at: check the data, and "
        "whatever made them"
    )


def _cure(op: str, call: _Call | None, result: np.ndarray, dy: Any) -> str:
    """What helps where a usual operation met a usual number.

    result: what is bad, where dy is given the gradient that was made of it.
    """
    named = {name: array for name, array, _ in call.inputs} if call is not None else {}
    x = named.get("y" if op == "div" else "x")
    bad = ~np.isfinite(result)
    if dy is not None and dy.shape == bad.shape and not np.any(dy[bad]):
        return (
            "dy is 0 there, and 0 * inf is NaN: where() did not choose these elements, but "
            "their gradient is computed all the same. Put a safe value into the branch that is "
            "not taken: where(x > 0, where(x > 0, x, 1.0).sqrt(), 0.0)"
        )
    if x is None or call is None or x.dtype.kind != "f":
        return ""
    if dy is None and op in LOGARITHMS and call.maker in STABLE:
        return f"{call.maker} gave 0, too small for {x.dtype}: {STABLE[call.maker]}"
    if op == "pow" and dy is None and not np.isnan(result).any():
        x = np.abs(x)  # it overflows, and is no root
    for operations, backward, met, cure in USUAL:
        if op in operations and backward is (dy is not None) and np.any(met(x)):
            return cure
    largest = np.finfo(x.dtype).max
    if dy is not None or np.isnan(result).any() or any(map(is_bad, named.values())):
        return ""
    if op == "exp":
        return (
            f"e^x is infinite above {np.log(largest):.0f} in {x.dtype}: take the "
            "maximum off first, as softmax and logsumexp do, or limit it: x.clip(max=50.0).exp()"
        )
    return (
        f"it is beyond {largest:.2g}, the largest number in {x.dtype}: make what goes in smaller, "
        "with scaled inputs, smaller weights or a smaller learning rate"
    )


SOFTMAXES = "softmax", "log_softmax", "cross_entropy"
LOGARITHMS, ROOTS = ("log", "log2", "log10"), ("sqrt", "rsqrt", "pow", "norm")
DIVIDING, ARCS = ("div", "reciprocal", "rsqrt", "pow"), ("asin", "acos")
USUAL: tuple[tuple[tuple[str, ...], bool, Callable[[np.ndarray], Any], str], ...] = (
    (LOGARITHMS, False, lambda x: x <= 0, "a logarithm takes numbers above 0: x.clip(1e-8).log()"),
    (("log1p",), False, lambda x: x <= -1, "it takes numbers above -1: x.clip(-1 + 1e-6).log1p()"),
    (ROOTS, False, lambda x: x < 0,
     "a root of less than 0: x.clip(1e-8).sqrt(); a where() around it computes it all the same"),
    (DIVIDING, False, lambda x: x == 0,
     "it divides by 0: x / (y + 1e-8), or where(y == 0, 0.0, x / where(y == 0, 1.0, y))"),
    (ARCS, False, lambda x: np.abs(x) > 1,
     "it takes numbers from -1 to 1: x.clip(-1 + 1e-6, 1 - 1e-6)"),
    (ROOTS, True, lambda x: np.abs(x) < 1e-6,
     "the slope of a root is infinite at 0; stay away from it: (x + 1e-8).sqrt()"),
    (LOGARITHMS, True, lambda x: x == 0,
     "the slope 1 / x is infinite at 0; stay away from it: (x + 1e-8).log()"),
    (ARCS, True, lambda x: np.abs(x) == 1,
     "the slope is infinite at -1 and 1; stay away from them: x.clip(-1 + 1e-6, 1 - 1e-6)"),
)  # fmt: skip
"""Operations, whether it is their gradient that went bad, the number they met, what helps."""
STABLE = {
    "softmax": "use log_softmax(x), or F.cross_entropy, which takes the scores",
    "sigmoid": "use F.logsigmoid(x), or F.binary_cross_entropy_with_logits, which takes the scores",
}
"""What computes the logarithm of an operation without its underflow."""


class _Call:
    """What is remembered of an operation until its gradient has been computed.

    Not a tuple or dict, in which the backward pass would look for values saved by the operation.
    """

    __slots__ = ("inputs", "line", "maker", "modules", "tracked")

    def __init__(
        self, op: str, args: tuple[Any, ...], line: Line | None, modules: tuple[Module, ...]
    ) -> None:
        names = _argument_names(op)
        self.line = line
        self.modules = modules
        node = getattr(args[0], "node", None) if args else None
        self.maker = node.name if node is not None else ""  # the operation that made the first
        self.inputs: list[tuple[str, np.ndarray, bool]] = []
        self.tracked: list[str] = []  # names of the inputs that get a gradient, as edges are
        given = dict(zip(names, args))
        for place, value in enumerate(args):
            name = names[place] if place < len(names) else f"input {place}"
            if name in MOVED_IN_TRAINING and given.get("training"):
                continue  # no input but an output
            if isinstance(value, Tensor):
                self.inputs.append((name, value.array, isinstance(value, Parameter)))
                if value.requires_grad:
                    self.tracked.append(name)
            elif isinstance(value, np.ndarray):
                self.inputs.append((name, value, False))


class detect_anomaly(Scope):  # noqa: N801 (PyTorch's name)
    """Raise AnomalyError at the first operation inside that yields NaN or infinity.

    A context manager and a decorator, for this thread. The error names the operation, the layer,
    the line of the user's code that called it and the range of each operand; for the backward
    pass also the argument whose gradient it is, and layer and line are those of the forward pass,
    if that ran inside too. NumPy's own warnings of overflow, division by zero and invalid values
    are silent inside. A training step of LeNet-5 takes about a seventh longer, and the inputs of
    all operations stay in memory until backward.

    >>> import tinynet
    >>> x = tinynet.tensor([0.0, 4.0], requires_grad=True)
    >>> with tinynet.detect_anomaly():  # doctest: +IGNORE_EXCEPTION_DETAIL
    ...     x.sqrt().sum().backward()
    Traceback (most recent call last):
    ...
    AnomalyError: the gradient of sqrt for x has 1 Inf among its 2 values (shape (2,)) ...
    """

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._stacks: list[contextlib.ExitStack] = []

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        made = super().__new__(cls)
        return made if function is None else cls()(function)  # a decorator without parentheses

    def again(self) -> Scope:
        scope: Scope = type(self)()
        return scope

    def __enter__(self) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(np.errstate(over="ignore", divide="ignore", invalid="ignore"))
        watch = _Watch(autograd.state.observer)
        stack.enter_context(autograd.observe(watch.forward))
        stack.callback(setattr, autograd.state, "visit", autograd.state.visit)
        autograd.state.visit = watch.visit
        self._stacks.append(stack)

    def __exit__(self, *error: Any) -> None:
        self._stacks.pop().close()


class set_detect_anomaly(contextlib.AbstractContextManager[None]):  # noqa: N801 (PyTorch's name)
    """`detect_anomaly` from now on, or no more: a call is enough; as a `with` it ends with it."""

    _standing: ClassVar[list[detect_anomaly]] = []

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = bool(self._standing)
        self._set(mode)

    def _set(self, mode: bool) -> None:
        if mode and not self._standing:
            self._standing.append(detect_anomaly())
            self._standing[0].__enter__()
        elif self._standing and not mode:
            self._standing.pop().__exit__()

    def __exit__(self, *error: object) -> None:
        self._set(self._before)


class _Watch:
    """Looks at every result of an operation and at every gradient.

    calls: those of all watches, as a graph may be made in one block and used in another.
    """

    calls: ClassVar[weakref.WeakKeyDictionary[autograd.Node, _Call]] = weakref.WeakKeyDictionary()

    def __init__(self, before: autograd.Observer | None) -> None:
        self.before = before

    def forward(
        self, op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Tensor
    ) -> None:
        """The observer of operations."""
        if self.before is not None:
            self.before(op, args, settings, output)
        bad = is_bad(output.array)
        if output.node is None and not bad:
            return
        call = _Call(op, args, user_line(), running_modules())
        if bad and not _masked(args, settings, output.array):
            raise AnomalyError(op.rpartition(".")[2].lstrip("_"), output.array, call)
        if output.node is not None:
            self.calls[output.node] = call

    def visit(self, node: autograd.Node, uses: Iterable[autograd.Use], *rest: Any) -> None:
        """`autograd.visit`, which has the rest, with a look at each gradient that it makes."""
        checked = [
            (self._checked(node, place, vjp), edge) for place, (vjp, edge) in enumerate(uses)
        ]
        autograd.visit(node, checked, *rest)

    def _checked(self, node: autograd.Node, place: int, vjp: autograd.VJP) -> autograd.VJP:
        @functools.wraps(vjp)
        def checked(dy: Any) -> Any:
            dx = vjp(dy)
            if is_bad(dx):
                call = self.calls.get(node)
                raise AnomalyError(node.name, np.asarray(dx), call, place, np.asarray(dy))
            return dx

        return checked


def first_anomaly(
    model: Module, x: Any, target: Any, loss: Callable[[Any, Any], Tensor]
) -> AnomalyError | None:
    """The first operation that goes wrong when `loss(model(x), target)` and its gradient are
    computed; None if none does.

    For use after a training has diverged, on the batch where it did. The model is afterwards as
    it was, gradients, running statistics and generators included. Dropout draws anew, so that an
    anomaly that depends on the mask may not come again.
    """
    try:
        with preserving(model), detect_anomaly():
            loss(model(x), target).backward()
    except AnomalyError as error:
        return error
    except Exception:  # it fails otherwise, of which the caller knows already
        return None
    return None


def _masked(args: tuple[Any, ...], settings: dict[str, Any], result: np.ndarray) -> bool:
    """Whether what is bad is -inf that came in as such, as a mask of scores before a softmax."""
    given = (np.asarray(getattr(a, "array", a)) for a in (*args, *settings.values()))
    least = any(a.dtype.kind == "f" and np.isneginf(a).any() for a in given)
    return least and bool((np.isfinite(result) | np.isneginf(result)).all())


def is_bad(array: Any) -> bool:
    """Whether an array of floats holds NaN or infinity."""
    array = np.asarray(array)
    return array.dtype.kind == "f" and not np.isfinite(array).all()


@functools.cache
def _argument_names(op: str) -> tuple[str, ...]:
    body = autograd.registry[op].forward  # type: ignore[attr-defined]
    return tuple(inspect.signature(body).parameters)
