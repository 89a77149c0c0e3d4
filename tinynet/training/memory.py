"""Out of memory: the layer, the bytes it asked for, and a batch size that fits.

When a batch was too large, a step with two and with four of its examples is measured; what
remains free then says how many would do. The arrays of the failed step are let go first, so the
program can go on, with smaller batches.
"""

from __future__ import annotations

import contextlib
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinynet.errors import OutOfMemoryError
from tinynet.nn import Module

SHARE = 0.8  # of what is free: memory has gaps, and other programs want some too


@contextlib.contextmanager
def naming_memory(model: Module, attempt: Callable[[int], Any], size: int) -> Iterator[None]:
    """Make of a MemoryError from inside one that says what could not be had, and what helps.

    attempt(n): does the same with the first n examples of the batch, which has `size`.
    """
    try:
        yield
    except MemoryError as error:
        problem = OutOfMemoryError.of(error)
        _let_go(problem)
        _name_layer(problem, model)
        problem.batch_size = fitting_batch(model, attempt, size)
        problem.advice = _advice(problem.batch_size, size)
        raise problem from None


def _let_go(error: BaseException | None) -> None:
    """Free what the frames that the error went through keep."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _name_layer(problem: OutOfMemoryError, model: Module) -> None:
    """Find the layer of an error from the backward pass, by its parameter."""
    if problem.layers or problem.parameter is None:
        return
    for path, module in model.named_modules():
        if any(p is problem.parameter for p in module.parameters(recurse=False)):
            problem.layers = [(path, type(module).__name__)]
            problem.message += f", in the backward pass of {problem.operation}"
    problem.parameter = None


def _advice(fits: int | None, size: int) -> str:
    free = free_memory()
    left = "" if free is None else f" ({free:,} bytes are free)"
    if fits is None:
        return f"with a batch of {size}; make it smaller{left}"
    if fits == 0:
        return f"with a batch of {size}; not even one example fits{left}: take a smaller model"
    return f"with a batch of {size}; a batch of {fits} should fit{left}"


def fitting_batch(model: Module, attempt: Callable[[int], Any], size: int) -> int | None:
    """How many examples fit into what is free; None if that cannot be found out."""
    free = free_memory()
    if free is None or size < 2:
        return None
    before = model.state_dict()
    few, more = (1, 2) if size < 4 else (2, 4)
    try:
        small, large = _peak(attempt, few), _peak(attempt, more)
    except Exception:  # whatever it is, it must not hide the first error
        return None
    finally:
        model.load_state_dict(before)  # batch norm has seen these examples
    each = max(1, (large - small) // (more - few))
    fixed = max(0, small - few * each)
    return max(0, min(size - 1, int((SHARE * free - fixed) // each)))


def _peak(attempt: Callable[[int], Any], count: int) -> int:
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
