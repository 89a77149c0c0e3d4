"""Stateless: a layer that is a function of `nn.functional` with its settings, and nothing else.

    @dataclass(eq=False, repr=False)
    class ELU(Stateless):
        alpha: float = 1.0               # the settings, under the names of the function's arguments
        inplace: bool = False
        function = staticmethod(F.elu)

Such classes are made when they are first asked for, see `nn.__getattr__`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from tinynet.nn.module import Module


@dataclass(eq=False, repr=False)
class Stateless(Module):
    """A function as a layer: it is called with the layer's inputs and all settings by name."""

    function: ClassVar[Callable[..., Any]]
    _shown: ClassVar[Sequence[str] | None] = None  # type: ignore[assignment]  # None: all settings

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        layer = super().__new__(cls)
        Module.__init__(layer)  # before the settings, among which may be layers
        return layer

    def settings(self) -> dict[str, Any]:
        """The settings by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs, **self.settings())

    def extra_repr(self) -> str:
        """The settings; `inplace` only if it is."""
        shown = self.settings() if self._shown is None else dict.fromkeys(self._shown)
        texts = [f"{name}={getattr(self, name)!r}" for name in shown if name != "inplace"]
        return ", ".join(texts + ["inplace=True"] * getattr(self, "inplace", False))
