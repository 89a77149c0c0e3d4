"""What is checked: a function of named tensors, which can be run at any values of them."""

from __future__ import annotations

import contextlib
import functools
import pickle
import random
import signal
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinynet import autograd, grad_mode, ops
from tinynet.gradcheck import kinks
from tinynet.gradcheck.differences import Function, Outcome, near
from tinynet.gradcheck.trace import plain
from tinynet.nn.functional import vectors
from tinynet.nn.module import Module
from tinynet.random import default_rng
from tinynet.tensor import Tensor

LINES = 200_000  # in which loops over all elements end
LONGER = 4  # times as many lines as where a function is known to end
LIBRARIES = (*{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, "<frozen")


NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGUSR1", "SIGUSR2"]
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class TooMuchError(BaseException):
    """The code runs too long, or its values get too large. No `except Exception` catches that."""


class _HandlerError(BaseException):
    """An exception of a signal's handler, on its way through all that is tried."""


@contextlib.contextmanager
def signals_pass() -> Iterator[None]:
    """Within the block no `except Exception` catches what the handler of a signal raises."""

    def passing(handler: Callable[..., Any], number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        except Exception as error:
            raise _HandlerError(error) from error

    is_main = threading.current_thread() is threading.main_thread()  # which alone handles signals
    known = {number: signal.getsignal(number) for number in SIGNALS if is_main}
    found = {n: (f, functools.partial(passing, f)) for n, f in known.items() if callable(f)}
    for number, (_, wrapped) in found.items():
        signal.signal(number, wrapped)
    try:
        yield
    except _HandlerError as error:
        raise error.args[0] from None
    finally:
        for number, (handler, wrapped) in found.items():
            if signal.getsignal(number) is wrapped:
                signal.signal(number, handler)


class Subject:
    """A function `run` of the tensors `targets`, whose gradients are to be checked.

    name: how it is called in reports. handed: the tensors and arrays that the function is given,
    by name. model: the module whose layers are named in reports.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[], Any],
        targets: dict[str, Tensor],
        handed: dict[str, Any],
        model: Module | None = None,
    ) -> None:
        self.name, self.targets, self.model = name, targets, model
        self.handed: dict[str, Any] = {
            name: x for name, x in handed.items() if isinstance(x, (Tensor, np.ndarray))
        }
        for tensor in targets.values():
            tensor.requires_grad_()
        self._run = run
        self._draws: list[tuple[Callable[[Any], None], Any]] = []  # how to set generators back
        self._mode: Callable[[], Any] = grad_mode.no_grad  # where values alone are wanted
        self.constants: list[Tensor] = []  # that the last run made

    def run(self) -> Tensor:
        """The function at the present values, recorded. Raises TypeError unless it is a tensor."""
        y = joined(self.repeating(self._run)())
        if not isinstance(y, Tensor):
            raise TypeError(
                f"gradcheck: {self.name} returned {type(y).__name__}, it must return a Tensor; "
                "an operation written with NumPy needs @tinynet.differentiable above it"
            )
        return y

    def outcome(self, held: Sequence[Tensor] = ()) -> Outcome:
        """Values and branches at the present values; nothing is recorded.

        held: what the function makes constants of, in another run, to be the same in this one.
        """
        branches: list[kinks.Branch] = []
        again, self.constants = iter(held), []

        def observer(op: str, args: tuple[Any, ...], settings: dict[str, Any], output: Any) -> None:
            operation = autograd.state.operation
            if operation.kinks is not None:
                branches.append(kinks.branch(op, operation.kinks, map(plain, args), settings))

        def constant(y: Tensor) -> Tensor:
            self.constants.append(next(again, y.detach()))
            return self.constants[-1]

        token = vectors.constant.set(constant)
        try:
            with self._mode(), autograd.observe(observer):
                y = self.run()
        except RuntimeError:
            if self._mode is contextlib.nullcontext:
                raise
            self._mode = contextlib.nullcontext  # it takes a gradient inside, if nothing else
            return self.outcome(held)
        finally:
            vectors.constant.reset(token)
        return Outcome(np.array(y.array, np.float64), branches)

    def hold_draws(self) -> bool:
        """Whether a run draws random numbers; if so, each run draws the same from now on."""
        if self._draws:
            return False
        layers = [vars(layer).values() for layer in self.model.modules()] if self.model else []
        known = [x for held in layers for x in held if isinstance(x, np.random.Generator)]
        sources: list[Any] = [(np.random.get_state, np.random.set_state)]
        sources += [(random.getstate, random.setstate)]
        for bits in (generator.bit_generator for generator in (default_rng(), *known)):
            sources += [tuple(functools.partial(f, bits, "state") for f in (getattr, setattr))]
        before = [get() for get, _ in sources]
        with contextlib.suppress(Exception):
            self.outcome()
        for (get, set_back), state in zip(sources, before):
            if pickle.dumps(get()) != pickle.dumps(state):
                self._draws.append((set_back, state))
        return bool(self._draws)

    def repeating(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which draws the same in each run."""

        @functools.wraps(function)
        def run(*args: Any, **settings: Any) -> Any:
            for set_back, state in self._draws:
                set_back(state)
            return function(*args, **settings)

        return run if self._draws else function

    def in_float32(self) -> contextlib.AbstractContextManager[None]:
        """Within the block all that is handed over, and the model's buffers, are float32."""
        buffers = self.model.buffers() if self.model else ()
        tensors = [x for x in (*self.handed.values(), *buffers) if isinstance(x, Tensor)]
        wide = [x for x in tensors if x.array.dtype == np.float64]
        return _holding([(x, x.array.astype(np.float32, order="K")) for x in wide])

    def at(self, values: Mapping[str, np.ndarray]) -> contextlib.AbstractContextManager[None]:
        """Within the block, the named targets have other values."""
        return _holding([(self.targets[name], value) for name, value in values.items()])

    def function_of(self, name: str) -> Function:
        """The function of one target alone; the others, and its constants, stay as they are."""
        if self.constants:
            self.outcome()
        held = self.constants

        def f(x: np.ndarray) -> Outcome:
            with self.at({name: x}):
                return self.outcome(held)

        return f

    def gradient_of(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """The gradient of one target as a function of u."""
        return lambda u: self.gradients(u)[name]

    def gradients(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """The gradients of sum(u * result) by the framework's own backward."""
        return self.vjp(self.run(), u)

    def vjp(self, y: Tensor, u: np.ndarray, retain_graph: bool = False) -> dict[str, np.ndarray]:
        """The gradient of each target for the output gradient u; 0 where none arrives."""
        try:
            y.backward(u.astype(y.array.dtype), retain_graph)
            return {
                name: np.zeros(x.shape) if x.grad is None else np.array(x.grad.array, np.float64)
                for name, x in self.targets.items()
            }
        finally:
            for x in self.targets.values():
                x.grad = None

    def nearby(self, rng: np.random.Generator, share: float) -> dict[str, np.ndarray]:
        """Other values for all targets: each element changed by about this share of itself."""
        return {name: near(x.array, rng, share) for name, x in self.targets.items()}


@contextlib.contextmanager
def _holding(pairs: list[tuple[Tensor, np.ndarray]]) -> Iterator[None]:
    """Within the block tensors hold other arrays."""
    before = [(x, x.array) for x, _ in pairs]
    try:
        for x, array in pairs:
            x.array = array
        yield
    finally:
        for x, array in before:
            x.array = array


def joined(y: Any) -> Any:
    """The float tensors of a tuple as one vector; anything else as it is."""
    parts = y if isinstance(y, (tuple, list)) else ()
    floats = [x for x in parts if isinstance(x, Tensor) and x.dtype.kind == "f"]
    return ops.cat([ops.reshape(x, (-1,)) for x in floats]) if floats else y


@contextlib.contextmanager
def bounded(most: int) -> Iterator[Counter[str]]:
    """Within the block TooMuchError is raised after so many lines; yields those that were run.

    A loop that ends where numbers come close may have no end in float32, or for other signs.

    Libraries do not count: they compile and import on the way.
    """
    lines = Counter[str]()  # by file

    def watch(frame: Any, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if frame.f_globals.get("__name__", "").startswith("tinynet.") or file.startswith(LIBRARIES):
            return None
        lines[file] += 1
        if lines[file] > most:
            raise TooMuchError(f"{frame.f_code.co_name} runs {most} lines: a loop without end?")
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield lines
    finally:
        sys.settrace(before)
