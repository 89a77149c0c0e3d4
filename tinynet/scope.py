"""Context managers that also serve as decorators, above generators and coroutines too.

A generator runs when it is asked for its next value, long after the call that made it. So what
holds inside a decorated one is put in place each time it goes on, and taken back when it stops.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Scope(contextlib.AbstractContextManager[Any]):
    """Base of context managers that may stand above a function, `@scope(...)`.

    Raises TypeError above what it could not hold in: a class, an asynchronous generator.
    """

    _made_of: tuple[tuple[Any, ...], dict[str, Any]]
    takes: tuple[type, ...] = (object,)
    """What its first argument may be; anything else is a function below a bare `@scope`."""

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        scope = super().__new__(cls)
        scope._made_of = args, settings
        return cls()(args[0]) if args and not isinstance(args[0], cls.takes) else scope

    def again(self) -> Any:
        """One like this for a call of the decorated function, which several threads may make."""
        args, settings = self._made_of
        return type(self)(*args, **settings)

    def __call__(self, function: F) -> F:
        where = None
        if isinstance(function, type):
            where = "above its methods"
        elif isinstance(function, staticmethod) or not callable(function):
            where = "directly above a function, below @staticmethod, @classmethod or @property"
        elif inspect.isasyncgenfunction(function):
            where = "in a `with` inside the asynchronous generator, around what yields nothing"
        if where:
            name = getattr(function, "__name__", type(function).__name__)
            raise TypeError(f"{type(self).__name__} cannot decorate {name!r}; write it {where}")
        held: Any
        if inspect.isgeneratorfunction(function):

            def held(*args: Any, **kwargs: Any) -> Any:
                return (yield from _Inside(self.again(), function(*args, **kwargs)))

        elif inspect.iscoroutinefunction(function):

            async def held(*args: Any, **kwargs: Any) -> Any:
                return await _Inside(self.again(), function(*args, **kwargs))

        else:

            def held(*args: Any, **kwargs: Any) -> Any:
                with self.again():
                    return function(*args, **kwargs)

        return functools.wraps(function)(held)  # type: ignore[return-value]


class _Inside(Generator[Any, Any, Any]):
    """A generator or coroutine, each part of which runs inside a scope."""

    def __init__(self, scope: Scope, inner: Any) -> None:
        self.scope, self.inner = scope, inner

    def send(self, value: Any) -> Any:
        with self.scope:
            return self.inner.send(value)

    def throw(self, *error: Any) -> Any:
        with self.scope:
            return self.inner.throw(*error)

    def close(self) -> None:
        with self.scope:
            self.inner.close()

    def __await__(self) -> "_Inside":
        return self
