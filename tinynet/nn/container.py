"""Modules that hold others: Sequential runs them, lists and dicts of them only keep them.

What can be done with a list or a dict is Python's own `MutableSequence` and `MutableMapping`.
"""

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, TypeAlias, TypeVar

from tinynet.nn.members import MODULE, PARAMETER, not_a_layer
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.nn.pool import fused

Self = TypeVar("Self", bound="_Row")
Named: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
"""Values by name: a dict, or pairs."""


class _Row(Module, MutableSequence[Any]):
    """Layers, or what else `_kind` says, in a row, found by number or slice."""

    _kind = MODULE

    def _add(self, name: str, value: Any) -> None:
        self.add_module(name, value)

    def _names(self) -> list[str]:
        return [name for name, _ in self._own(self._kind)]

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Any]:
        own, held = self._kind, self.__dict__
        named = self._members.items()
        return iter([x for n, kind in named if kind == own and (x := held[n]) is not None])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(list(self._own(self._kind))[index])
        return self.__dict__[self._name_at(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._add(self._name_at(index), value)

    def _part(self, named: list[tuple[str, Any]]) -> Module:
        return type(self)([value for _, value in named])  # type: ignore[call-arg]

    def _name_at(self, index: int) -> str:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(
                f"{type(self).__name__} has {len(self)} {self._kind}s, there is no [{place}]"
            )
        return self._names()[place]

    def __delitem__(self, index: Any) -> None:
        gone = self._names()[index] if isinstance(index, slice) else [self._name_at(index)]
        self._refill([value for name, value in self._own(self._kind) if name not in gone])

    def __add__(self, other: Iterable[Any]) -> Module:
        return self._part([(str(i), value) for i, value in enumerate([*self, *other])])

    def _refill(self, values: list[Any]) -> None:
        """Hold these alone, numbered from 0."""
        for name in self._names():
            delattr(self, name)
        self.extend(values)

    def insert(self: Self, index: int, value: Any) -> Self:  # type: ignore[override]
        """Put one in before that at `index`; all are numbered anew. Returns the container."""
        values = list(self)
        values.insert(index, value)
        self._refill(values)
        return self

    def append(self: Self, value: Any) -> Self:  # type: ignore[override]
        """Add one at the end; returns the container."""
        place = len(self)
        while str(place) in self._members:
            place += 1
        self._add(str(place), value)
        return self

    def extend(self: Self, values: Iterable[Any]) -> Self:  # type: ignore[override]
        """Add several at the end; returns the container."""
        for value in list(values):
            self.append(value)
        return self


class Sequential(_Row):
    """Layers in a row, each of which gets what the one before gave.

    Takes layers, or one dict of name: layer. Indexing gives a layer, slicing a Sequential that
    shares its layers and keeps their names.

    >>> import tinynet
    >>> from tinynet.nn import Flatten, Linear
    >>> model = Sequential(Flatten(), Linear(64, 10))
    >>> model(tinynet.ones(5, 1, 8, 8)).shape
    tinynet.Size([5, 10])
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        super().__init__()
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], Mapping) else None
        for name, layer in enumerate(layers) if named is None else named.items():
            if layer is None:  # which only keeps a place elsewhere
                raise TypeError(f"Sequential: {str(name)!r} {not_a_layer(layer)}")
            self.add_module(str(name), layer)  # type: ignore[arg-type]

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
    >>> len(blocks), blocks
    (3, ModuleList(
      (0-2): 3 x Linear(in_features=8, out_features=8, bias=True)
    ))
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _lines(self) -> list[str]:
        lines, start = [], 0
        for text, alike in itertools.groupby(map(repr, self)):
            end = start + len(list(alike)) - 1
            several = f"({start}-{end}): {end - start + 1} x {text}"
            lines.append(several if end > start else f"({start}): {text}")
            start = end + 1
        return lines


class ParameterList(_Row):
    """A list of parameters; a tensor or an array that is none becomes one.

    >>> import tinynet
    >>> scales = ParameterList([tinynet.ones(3), tinynet.ones(2)])
    >>> len(scales), scales[-1].shape
    (2, tinynet.Size([2]))
    """

    _kind = PARAMETER

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def _add(self, name: str, value: Any) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def _lines(self) -> list[str]:
        return [_described(name, p, f"tinynet.{p.dtype}") for name, p in self._own(self._kind)]


class ModuleDict(Module, MutableMapping[str, Any]):
    """A dict of layers whose parameters are found; how they are used, `forward` says."""

    _kind = MODULE
    __eq__, __hash__ = object.__eq__, object.__hash__  # those of a mapping compare the values

    def __init__(self, values: Named | None = None) -> None:
        super().__init__()
        self.update(values or {})

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[str]:
        return iter([*self._members])

    def __getitem__(self, name: str) -> Any:
        if name not in self._members:
            raise KeyError(f"no {self._kind} {name!r} here; there are: {', '.join(self._members)}")
        return self.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.add_module(name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)


class ParameterDict(ModuleDict):
    """A dict of parameters; a tensor or an array that is none becomes one."""

    _kind = PARAMETER

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def _lines(self) -> list[str]:
        return [_described(name, p, p.type()) for name, p in self.items()]


def _described(name: str, p: Any, kind: str) -> str:
    """A parameter without its values, as PyTorch shows it."""
    return f"  ({name}): Parameter containing: [{kind} of size {'x'.join(map(str, p.shape))}]"
