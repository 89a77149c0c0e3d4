"""Whether operations are recorded: `no_grad`, `enable_grad` and their like."""

from contextvars import ContextVar
from typing import Any

from tinynet.scope import Scope

recording: ContextVar[bool] = ContextVar("recording", default=True)
"""Whether operations are recorded, in each thread and each asynchronous task by itself."""


keeping: ContextVar[int] = ContextVar("keeping", default=0)
"""1 where it is kept how each operation was called, for gradients of gradients; 2 in a function
that is being differentiated, where a value that leaves the record is told of too."""


class _GradMode(Scope):
    """Base of `no_grad` and `enable_grad`, which nest, and serve as decorators."""

    takes: tuple[type, ...] = ()
    recording: bool
    keeping = 0

    def __init__(self) -> None:
        self._before: list[tuple[bool, int]] = []

    def __enter__(self) -> None:
        self._before.append((recording.get(), keeping.get()))
        recording.set(self.recording)
        keeping.set(max(self.keeping, keeping.get()))

    def __exit__(self, *error: object) -> None:
        before = self._before.pop()
        recording.set(before[0])
        keeping.set(before[1])


class no_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Record nothing inside: `with no_grad(): ...`, or above a function, generators included.

    >>> import tinynet
    >>> x = tinynet.ones(2, requires_grad=True)
    >>> with tinynet.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    recording = False


class create_graph(_GradMode):  # noqa: N801 (by PyTorch's name of the argument)
    """Record inside, and keep what gradients of gradients need: see `docs/derivatives.md`."""

    recording, keeping = True, 1


class enable_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Record inside, even within `no_grad()`."""

    recording = True


def is_grad_enabled() -> bool:
    """Whether operations are being recorded here."""
    return recording.get()


class set_grad_enabled(Scope):  # noqa: N801 (PyTorch's name)
    """Record from now on, or no more: a call is enough; as a `with` it ends with the block."""

    def __init__(self, mode: bool) -> None:
        self._mode = bool(mode)
        self._before = recording.get()
        recording.set(self._mode)

    def __call__(self, function: Any) -> Any:
        recording.set(self._before)  # above a function it holds inside it alone
        return super().__call__(function)

    def __enter__(self) -> None:
        recording.set(self._mode)

    def __exit__(self, *error: object) -> None:
        recording.set(self._before)


class inference_mode(no_grad):  # noqa: N801 (PyTorch's name)
    """`no_grad` by the name of its stricter kin; `inference_mode(False)` changes nothing."""

    takes: tuple[type, ...] = (bool,)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.recording = recording.get() and not mode
