"""The gradient check: the derivative by hand against the numerical derivative.

For a function y = f(x) and a random output gradient u, the loss L(x) = sum(u * f(x)) has the
gradient that `backward(u)` computes. Moving x a little gives the same number, nearly (a finite
difference). `engine.py` tells the course of a check, `differences.py` how slopes are measured,
`locate.py` how a wrong one is traced to an operation.
"""

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tinynet.calls import NoGradientError
from tinynet.function import Function
from tinynet.gradcheck.report import EmptyCheckError, Report
from tinynet.nn import functional as F
from tinynet.nn.module import Module
from tinynet.tensor import Tensor

OPTIONS = ("order", "seed")
NEEDLESS = "eps", "atol", "rtol", "raise_exception", "nondet_tol", "fast_mode"
"""PyTorch's options, which change nothing here."""


def gradcheck(fn: Callable[..., Any], inputs: Any, *more: Any, **settings: Any) -> Report:
    """Compare the gradients of `fn` with finite differences, and say what is wrong.

    fn: takes the inputs, returns a tensor or several; or an `autograd.Function`. inputs, more:
    tensors or arrays, one by one or as one sequence; those that require a gradient are checked, or
    all floats if none does, except those for which an operation returns no gradient: they are
    constants, and a note says so. Everything is copied to float64, so the caller's tensors stay as
    they are.
    settings: arguments of `fn` by name, and the following options of the check. What `fn` has a
    parameter for goes to `fn`; give the option to a function without it then:
    `gradcheck(lambda x: fn(x), x, seed=1)`.
    order: 1, the default; 2 checks the gradient of the gradient, as a function of the inputs and of
    dy, the gradient of the output; 3 the gradient of that.
    seed: for the output gradient and the directions.

    Inputs of up to 32 elements, of up to 4 for a higher order, are moved element by element, others
    along random directions; an element that is wrong shows in both. Steps and tolerances follow
    from the rounding that is measured: PyTorch's eps, atol and rtol change nothing, and a note says
    so.

    Returns a Report, true when all is well; a wrong gradient, a backward that raises, a function
    that is not repeatable are failures in it. Raises EmptyCheckError, a ValueError, if the check
    would say nothing, ValueError if the result is not finite, TypeError if fn does not return a
    tensor, or takes settings of any name, so that an option could be meant for either; an error of
    fn itself passes through.

    >>> import tinynet
    >>> report = gradcheck(lambda x: x * x, tinynet.tensor([1.0, 2.0, 3.0]))
    >>> bool(report)
    True
    >>> @tinynet.differentiable
    ... def cube(x):
    ...     return x**3, lambda dy: dy * 2 * x**2
    >>> (failure,) = gradcheck(cube, tinynet.tensor([1.0, -2.0])).failures
    >>> failure.op, failure.input, round(failure.analytic / failure.numeric, 3)
    ('cube', 'x', 0.667)
    """
    own = {parameter.name: parameter.kind for parameter in _parameters(fn)}
    takes_all = inspect.Parameter.VAR_KEYWORD in own.values()
    options = {key: settings.pop(key) for key in OPTIONS if key in settings and key not in own}
    if options and takes_all:
        name = next(iter(options))
        raise TypeError(
            f"gradcheck: {name} is an option of gradcheck, and {_name(fn)} takes settings of any "
            f"name; check a function that takes none: lambda x: {_name(fn)}(x)"
        )
    needless = [key for key in NEEDLESS if key in settings and key not in own and not takes_all]
    settings = {key: value for key, value in settings.items() if key not in needless}
    values = list(inputs) if isinstance(inputs, (tuple, list)) and not more else [inputs, *more]
    report = checked(fn, values, settings, **options)
    if needless:
        report.notes.append(
            f"{', '.join(needless)}: without effect; steps and tolerances follow from the rounding "
            "that is measured, and `report.raise_for_failures()` raises"
        )
    return report


def checked(
    fn: Any,
    values: Sequence[Any],
    named: Mapping[str, Any] = MappingProxyType({}),
    *,
    order: int = 1,
    seed: int = 0,
) -> Report:
    """`gradcheck` of a function with its inputs, some of them by name, and options alone."""
    from tinynet.gradcheck.engine import check

    if inspect.isclass(fn) and issubclass(fn, Function):
        fn = fn.apply
    names = [*_names(fn, len(values)), *named]
    values = [*values, *named.values()]
    tensors = [_as_float64(value) for value in values]
    chosen = [getattr(value, "requires_grad", False) for value in values]
    by_default = not any(chosen)
    if by_default:
        chosen = [isinstance(t, Tensor) and t.dtype.kind == "f" for t in tensors]
    if order < 1:
        raise ValueError(f"gradcheck: order must be 1 or more, got {order}")
    name = _name(fn)
    model = fn if isinstance(fn, Module) else None
    if named:
        fn = _by_name(fn, tuple(named))
    for derivative in range(1, order):
        from tinynet.gradcheck.higher import gradient_of

        fn, dy = gradient_of(fn, tensors, chosen, seed)
        tensors.append(dy)
        chosen.append(True)
        names.append("d" * derivative + "y")
    handed = dict(zip(names, tensors))
    targets = {name: t for (name, t), wanted in zip(handed.items(), chosen) if wanted}
    if not targets:
        raise EmptyCheckError(
            "gradcheck: no input is a float tensor, so there is nothing to check; "
            f"got {', '.join(_kind(value) for value in values) or 'none'}"
        )
    constants: list[str] = []
    while True:
        try:
            run = functools.partial(fn, *tensors)
            may_lack = by_default and len(targets) > 1
            report = check(name, run, targets, handed, model, seed, may_lack, order)
            break
        except NoGradientError as error:
            constant = next((key for key, t in targets.items() if t is error.tensor), None)
            if constant is None or not may_lack:
                raise
            targets.pop(constant).requires_grad_(False)
            constants.append(constant)
    if constants:
        told = ", ".join(constants)
        report.notes.append(f"no gradient is returned for {told}, taken as constant")
    return report


def gradcheck_model(
    model: Module,
    batch: Any,
    loss: Callable[..., Tensor] | None = None,
    seed: int = 0,
) -> Report:
    """Check the gradient of every parameter of a model, on one batch and in float64.

    batch: the input, or a pair (input, target). loss: takes the model's output and the target
    (cross-entropy if a target is given), or the output alone; without loss and target the
    output itself is checked. A copy of the model is checked, in the mode (training or
    evaluation) it is in. seed, result and errors as for `gradcheck`. A failure names the
    operation, the path of its layer, and the paths of the parameters that are wrong.
    """
    from tinynet.gradcheck.engine import check

    if loss is not None and not callable(loss):
        raise TypeError(
            f"gradcheck_model: loss must be a function, got {_kind(loss)}; a target goes with its "
            "input: gradcheck_model(model, (x, target))"
        )
    x, *rest = map(_as_float64, batch if isinstance(batch, (tuple, list)) else (batch,))
    twin = copy.deepcopy(model).double()
    targets: dict[str, Tensor] = dict(twin.named_parameters())
    if not targets:
        raise EmptyCheckError(
            f"gradcheck_model: {type(model).__name__} has no parameters; check its layers with "
            "gradcheck(layer, inputs)"
        )
    twin.zero_grad()
    buffers = [(buffer, buffer.array.copy()) for _, buffer in twin.named_buffers()]

    def run() -> Any:
        for buffer, start in buffers:
            buffer.array[...] = start  # running statistics must not carry from call to call
        y = twin(x)
        if rest:
            return (loss or F.cross_entropy)(y, *rest)
        return loss(y) if loss is not None else y

    handed = {f"batch[{i}]": value for i, value in enumerate((x, *rest))} | targets
    name = type(model).__name__
    return check(name, run, targets, handed, twin, seed)


def _as_float64(value: Any) -> Any:
    """A float64 copy of a float tensor or array; a copy of any other; anything else as it is."""
    data = value.array if isinstance(value, Tensor) else value
    if not isinstance(data, np.ndarray):
        return value
    is_float = data.dtype.kind == "f"
    data = data.astype(np.float64 if is_float else data.dtype, order="K")
    return Tensor(data) if is_float or isinstance(value, Tensor) else data


def _by_name(fn: Callable[..., Tensor], names: tuple[str, ...]) -> Callable[..., Tensor]:
    """The function of positions alone, the last of which it takes by these names."""

    @functools.wraps(fn)
    def positional(*args: Any) -> Tensor:
        first = len(args) - len(names)
        return fn(*args[:first], **dict(zip(names, args[first:])))

    return positional


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ + (f" of {dtype}" if dtype is not None else "")


def _written(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The operation with the name and the parameters of an `autograd.Function`, given its class or
    `apply`; any other function itself."""
    owner: Any = fn if inspect.isclass(fn) else getattr(fn, "__self__", None)
    is_function = inspect.isclass(owner) and issubclass(owner, Function)
    return owner._operation if is_function else fn  # type: ignore[no-any-return]


def _name(fn: Callable[..., Any]) -> str:
    return str(getattr(_written(fn), "__name__", type(fn).__name__))


def _parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of `fn` as it is called; none of a function without a signature."""
    with contextlib.suppress(TypeError, ValueError):
        called = fn.forward if isinstance(fn, Module) else _written(fn)
        return list(inspect.signature(called).parameters.values())
    return []


def _names(fn: Callable[..., Any], count: int) -> list[str]:
    """The names of the arguments of `fn`, or `input i` where it has none."""
    names = [p.name for p in _parameters(fn) if p.kind <= p.POSITIONAL_OR_KEYWORD]
    return [names[i] if i < len(names) else f"input {i}" for i in range(count)]
