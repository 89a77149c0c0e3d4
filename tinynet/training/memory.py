"""Out of memory: the layer, the bytes it asked for, and a batch size that fits.

When a batch was too large, the same is done with a few of its examples and with twice as many, and
measured; what is free then says how many would do. The arrays of the failed step are let go first,
so the program can go on, with smaller batches.
"""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tinynet import autograd
from tinynet.errors import OutOfMemoryError
from tinynet.nn import Module

SHARE = 0.8  # of what is free: memory has gaps, and other programs want some too

T = TypeVar("T")
Attempt = Callable[[int | None], T]
"""What needs the memory: with all examples of a batch (None), or with its first few."""


def within_memory(model: Module, attempt: Attempt[T], size: int) -> T:
    """attempt(None), on a batch of `size` examples.

    Raises OutOfMemoryError that says which layer could not have how many bytes, and how many
    examples would fit.
    """
    try:
        return attempt(None)
    except MemoryError as error:
        problem = OutOfMemoryError.of(error)
    # Outside the handler, and without tracebacks, nothing holds the arrays of the attempt.
    problem.__traceback__ = problem.__cause__ = problem.__context__ = None
    before = model.state_dict()
    try:
        if problem.parameter is not None:
            _name_layer(problem, model, attempt)
        problem.batch_size = fitting_batch(attempt, size)
    except Exception:  # whatever it is, it must not hide the first error
        problem.batch_size = None
    finally:
        if model.training:  # and batch norm has seen these examples
            model.load_state_dict(before)
    problem.advice = _advice(problem.batch_size, size)
    raise problem


def _name_layer(problem: OutOfMemoryError, model: Module, attempt: Attempt[Any]) -> None:
    """Find the layer of an operation whose backward pass failed.

    A small forward pass tells which layer calls which operations, in order. The one that is looked
    for is the first of its name from the layer of the parameter on that is known to be near.
    """
    calls: list[tuple[str, Module, str]] = []  # path of the layer, layer, operation
    running: list[tuple[str, Module]] = []

    def note(op: str, args: Any, settings: Any, output: Any) -> None:
        if running:
            calls.append((*running[-1], op.rpartition(".")[2].lstrip("_")))

    with contextlib.ExitStack() as stack:
        for path, module in model.named_modules():
            enter = _appending(running, (path, module))
            stack.enter_context(module.register_forward_pre_hook(enter))
            stack.enter_context(module.register_forward_hook(lambda *_: running.pop() and None))
        stack.enter_context(autograd.observe(note))
        attempt(2)
    near = False
    for path, module, operation in calls:
        near = near or any(p is problem.parameter for p in module.parameters(recurse=False))
        if near and operation in (problem.operation, _observed(problem.operation)):
            problem.layers = [(path, type(module).__name__)]
            break
    problem.message += f", in the backward pass of {problem.operation}"
    problem.parameter = None


def _observed(operation: str | None) -> str:
    """The name of the pooling that is computed with ReLU in one, unless somebody observes it."""
    return (operation or "").removeprefix("relu_")


def _appending(items: list[T], item: T) -> Callable[..., None]:
    return lambda *_: items.append(item)


def _advice(fits: int | None, size: int) -> str:
    free = free_memory()
    left = "" if free is None else f" ({free:,} bytes are free)"
    if fits is None:
        return f"with a batch of {size}; make it smaller{left}"
    if fits == 0:
        return f"with a batch of {size}; not even one example fits{left}: take a smaller model"
    return f"with a batch of {size}; a batch of {fits} should fit{left}"


def fitting_batch(attempt: Attempt[Any], size: int) -> int | None:
    """How many examples fit into what is free; None if that cannot be found out."""
    free = free_memory()
    if free is None:
        return None
    few = max(1, size // 32)  # too few, and what does not grow with the batch hides what does
    while True:
        try:
            attempt(few)  # whatever is made once, is made now
            small, large = _peak(attempt, few), _peak(attempt, 2 * few)
            break
        except MemoryError:
            if few == 1:
                return 0
            few = max(1, few // 8)
    each = max(1, (large - small) // few)
    fixed = max(0, small - few * each)
    return max(0, min(size - 1, int((SHARE * free - fixed) // each)))


def _peak(attempt: Attempt[Any], count: int) -> int:
    """The most memory that arrays take during an attempt, in bytes."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        attempt(count)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def free_memory() -> int | None:
    """The bytes that this process can still have: of the machine, of its control group, and of
    its own limit of address space. None where none of them is known.
    """
    found = [_of_machine(), _of_group(), _of_limit()]
    return min((free for free in found if free is not None), default=None)


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_group() -> int | None:
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            return max(0, int(limit) - int((folder / "memory.current").read_text()))
    return None


def _of_limit() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return max(0, limit - pages * resource.getpagesize())
    return None
