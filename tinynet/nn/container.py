"""Modules that hold others: Sequential runs them, lists and dicts of them only keep them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, overload

from tinynet.nn.members import not_a_layer
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.pool import fused

Self = TypeVar("Self", bound="_Row")
Named: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Values by name: a dict, or pairs."""


class _Row(Module):
    """Layers in a row, found by number or slice."""

    def _names(self) -> list[str]:
        return [name for name, _ in self.named_children()]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        held = map(self.__dict__.get, self._members)
        return iter([value for value in held if isinstance(value, Module)])

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

    def __delitem__(self, index: int | slice) -> None:
        gone = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        self._refill([layer for name, layer in self.named_children() if name not in gone])

    def __add__(self, other: Iterable[Module]) -> Module:
        return self._part([(str(i), layer) for i, layer in enumerate([*self, *other])])

    def __iadd__(self: Self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def _refill(self, layers: list[Module]) -> None:
        """Hold these layers alone, numbered from 0."""
        for name in self._names():
            delattr(self, name)
        self.extend(layers)

    def pop(self, index: int = -1) -> Module:
        """Take a layer out and return it; those that stay are numbered anew."""
        layer = self[index]
        del self[index]
        return layer

    def insert(self: Self, index: int, module: Module) -> Self:
        """Put a layer before the one at `index`; all are numbered anew. Returns the container."""
        layers = list(self)
        layers.insert(index, module)
        self._refill(layers)
        return self

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


class _Dict(Module):
    """Layers or parameters by name."""

    kind = "layer"

    def __init__(self, values: Named | None = None) -> None:
        super().__init__()
        self.update(values or {})

    def _add(self, name: str, value: Any) -> None:
        self.add_module(name, value)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __getitem__(self, name: Any) -> Any:
        if name not in self._members:
            raise KeyError(f"no {self.kind} {name!r} here; there are: {', '.join(self._members)}")
        return self.__dict__[name]

    def __setitem__(self, name: Any, value: Any) -> None:
        self._add(name, value)

    def __delitem__(self, name: Any) -> None:
        self[name]
        delattr(self, name)

    def keys(self) -> list[str]:
        """The names."""
        return list(self._members)

    def values(self) -> list[Any]:
        """What they stand for."""
        return [self.__dict__[name] for name in self._members]

    def items(self) -> list[tuple[str, Any]]:
        """The names and what they stand for."""
        return list(zip(self.keys(), self.values()))

    def update(self, values: Named) -> None:
        """Add or replace by name."""
        for name, value in dict(values).items():
            self._add(name, value)

    def pop(self, name: str) -> Any:
        """Take out what has this name, and return it."""
        value = self[name]
        del self[name]
        return value


class ModuleDict(_Dict):
    """A dict of layers whose parameters are found; how they are used, `forward` says."""


class ParameterDict(_Dict):
    """A dict of parameters; a tensor or an array that is none becomes one."""

    kind = "parameter"

    def _add(self, name: str, value: Any) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def extra_repr(self) -> str:
        """The shape of each."""
        return ", ".join(f"({name}): {value.shape}" for name, value in self.items())


class ParameterList(ParameterDict):
    """A list of parameters; a tensor or an array that is none becomes one.

    >>> import tinynet
    >>> scales = ParameterList([tinynet.ones(3), tinynet.ones(2)])
    >>> len(scales), scales[-1].shape
    (2, (2,))
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __getitem__(self, index: Any) -> Any:
        return self.values()[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._add(self.keys()[index], value)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        self._add(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list."""
        for value in values:
            self.append(value)
        return self
