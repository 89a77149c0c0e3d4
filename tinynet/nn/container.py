"""Modules that hold modules: Sequential runs them, ModuleList and ModuleDict only keep them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from tinynet.nn.members import not_a_layer
from tinynet.nn.module import Module
from tinynet.nn.pool import fused

Self = TypeVar("Self", bound="_Row")


class _Row(Module):
    """Layers in a row, found by number or slice."""

    def _names(self) -> list[str]:
        return [name for name, _ in self.named_children()]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        held = map(self.__dict__.get, tuple(self._members))
        return (value for value in held if isinstance(value, Module))

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return self._part(list(self.named_children())[index])
        return self.__dict__[self._name_at(index)]  # type: ignore[no-any-return]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def _part(self, named: list[tuple[str, Module]]) -> Module:
        raise NotImplementedError

    def _name_at(self, index: int) -> str:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} layers, there is no [{place}]")
        return self._names()[place]

    def append(self: Self, module: Module) -> Self:
        """Add a layer at the end; returns the container."""
        place = len(self)
        while str(place) in self._members:
            place += 1
        self.add_module(str(place), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add layers at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Row):
    """Layers in a row, each of which gets what the one before gave.

    Takes layers, or one dict of name: layer. Indexing gives a layer, slicing a Sequential that
    shares its layers and keeps their names.

    >>> import tinynet
    >>> from tinynet.nn import Flatten, Linear
    >>> model = Sequential(Flatten(), Linear(64, 10))
    >>> model(tinynet.ones(5, 1, 8, 8)).shape
    (5, 10)
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            for name, layer in layers[0].items():
                self.add_module(name, layer)
            return
        for place, item in enumerate(layers):
            if not isinstance(item, Module):
                raise TypeError(f"Sequential: item {place} {not_a_layer(item)}")
            self.add_module(str(place), item)

    def forward(self, x: Any) -> Any:
        for layer in fused(iter(self)):
            x = layer(x)
        return x

    def _part(self, named: list[tuple[str, Module]]) -> Module:
        return Sequential(dict(named))


class ModuleList(_Row):
    """A list of layers whose parameters are found; how they are used, `forward` says.

    >>> from tinynet.nn import Linear
    >>> blocks = ModuleList(Linear(8, 8) for _ in range(3))
    >>> len(blocks), blocks[-1]
    (3, Linear(in_features=8, out_features=8, bias=True))
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _part(self, named: list[tuple[str, Module]]) -> Module:
        return ModuleList(module for _, module in named)


class ModuleDict(Module):
    """A dict of layers whose parameters are found; how they are used, `forward` says."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._members))

    def __getitem__(self, name: str) -> Module:
        if name not in self._members:
            raise KeyError(f"no layer {name!r} here; there are: {', '.join(self._members)}")
        return self.__dict__[name]  # type: ignore[no-any-return]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def keys(self) -> Iterable[str]:
        """The names."""
        return list(self)

    def values(self) -> Iterable[Module]:
        """The layers."""
        return list(self.children())

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names and layers."""
        return list(self.named_children())

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace layers by name."""
        for name, module in modules.items():
            self.add_module(name, module)
