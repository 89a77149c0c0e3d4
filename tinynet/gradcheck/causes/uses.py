"""The ways by which an argument enters a result, and the gradient along each of them alone.

    y = x * sigmoid(x)      x is used twice: by the product, and by the sigmoid.

The derivative is the sum over the uses (the chain rule of several variables), so a backward pass
that forgets one gives the sum over the others. To see a use alone, the function is run on an array
that hands out a moved copy of itself at that use, and the values that stand still at all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MOST_USES = 6


class _Count:
    """How often an array was used so far, by what, and at which use the moved values appear."""

    def __init__(self, chosen: int) -> None:
        self.chosen = chosen
        self.names: list[str] = []

    def choose(self, watched: Watched, name: str) -> np.ndarray:
        self.names.append(name)
        return watched.moved if len(self.names) - 1 == self.chosen else watched.still


_VIEWS = {
    np.reshape, np.transpose, np.moveaxis, np.swapaxes, np.expand_dims, np.squeeze, np.ravel,
    np.broadcast_to, np.flip, np.pad, np.array_split, np.atleast_2d,
    np.lib.stride_tricks.as_strided,    np.lib.stride_tricks.sliding_window_view,
}  # fmt: skip


class Watched(np.ndarray):
    """An array that counts its uses; a view of it is no use yet."""

    still: np.ndarray
    moved: np.ndarray
    count: _Count

    @staticmethod
    def of(still: np.ndarray, moved: np.ndarray, count: _Count) -> Watched:
        """Watch `still`; at the chosen use `moved` appears in its place."""
        watched = np.asarray(still).view(Watched)
        watched.still, watched.moved, watched.count = still, moved, count
        return watched

    def _through(self, function: Callable[[np.ndarray], Any]) -> Any:
        still, moved = function(self.still), function(self.moved)
        if isinstance(still, list):
            return [Watched.of(a, b, self.count) for a, b in zip(still, moved)]
        return Watched.of(still, moved, self.count)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        plain = [_plain(value, ufunc.__name__) for value in inputs]
        if out is not None:
            options["out"] = tuple(o.still if isinstance(o, Watched) else o for o in out)
        return getattr(ufunc, method)(*plain, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function in _VIEWS and args and args[0] is self:
            return self._through(lambda a: function(a, *args[1:], **options))
        name = function.__name__
        args, options = _plain(args, name), {k: _plain(v, name) for k, v in options.items()}
        return function(*args, **options)

    def __getitem__(self, index: Any) -> Any:
        return self._through(lambda a: np.asarray(a[index]))

    def copy(self, order: Any = "C") -> Any:
        return self._through(lambda a: a.copy(order))

    @property
    def T(self) -> Any:  # type: ignore[override]  # noqa: N802
        return self._through(lambda a: a.T)


def _plain(value: Any, name: str) -> Any:
    """`value` with every watched array in it replaced by what this use of it sees."""
    if isinstance(value, Watched):
        return value.count.choose(value, name)
    if isinstance(value, (tuple, list)):
        return type(value)(_plain(part, name) for part in value)
    return value


def _method(name: str, view: bool) -> Callable[..., Any]:
    def method(self: Watched, *args: Any, **options: Any) -> Any:
        if view:
            return self._through(lambda a: getattr(a, name)(*args, **options))
        values = self.count.choose(self, name)
        return getattr(values, name)(*_plain(args, name), **options)

    return method


for _name in ("reshape", "transpose", "swapaxes", "squeeze", "ravel", "flatten", "astype", "view"):
    setattr(Watched, _name, _method(_name, True))
for _name in ("sum", "mean", "var", "std", "max", "min", "prod", "dot", "clip", "cumsum", "argmax",
              "argmin", "argsort", "repeat", "take"):  # fmt: skip
    setattr(Watched, _name, _method(_name, False))


def uses_of(run: Callable[[np.ndarray], Any], x: np.ndarray) -> list[str] | None:
    """What uses x in run(x), in order; None if that cannot be seen."""
    count = _Count(-1)
    try:
        run(Watched.of(x.copy(), x.copy(), count))
    except Exception:  # the array is not quite plain, and the function may mind
        return None
    return count.names


def along_use(run: Callable[[np.ndarray], np.ndarray], chosen: int) -> Callable[..., np.ndarray]:
    """run(x) as a function of what the chosen use sees; all other uses see `still`."""
    return lambda moved, still: run(Watched.of(still.copy(), moved, _Count(chosen)))
