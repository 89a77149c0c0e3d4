"""Hooks: functions that a module calls before or after its forward pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeAlias

ForwardHook: TypeAlias = Callable[[Any, tuple[Any, ...], Any], Any]
PreHook: TypeAlias = Callable[[Any, tuple[Any, ...]], Any]


class RemovableHandle:
    """Takes a hook off again: `handle.remove()`, or `with module.register_...(hook): ...`."""

    _numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks, self._number = hooks, next(self._numbers)
        hooks[self._number] = hook

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.remove()


def before(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of `forward`, as the module's pre-hooks leave them."""
    for hook in tuple(module._forward_pre_hooks.values()):
        changed = hook(module, args)
        if changed is not None:
            args = changed if isinstance(changed, tuple) else (changed,)
    return args


def after(module: Any, args: tuple[Any, ...], y: Any) -> Any:
    """What the module gives, as its forward hooks leave it."""
    for hook in tuple(module._forward_hooks.values()):
        changed = hook(module, args, y)
        if changed is not None:
            y = changed
    return y
