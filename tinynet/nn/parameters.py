"""Parameters in a list or a dict, which are found as those of a layer are."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.tensor import Tensor


class ParameterDict(Module):
    """A dict of parameters; a tensor that is none becomes one."""

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._members))

    def __getitem__(self, name: Any) -> Parameter:
        if name not in self._members:
            raise KeyError(f"no parameter {name!r} here; there are: {', '.join(self._members)}")
        return self.__dict__[name]  # type: ignore[no-any-return]

    def __setitem__(self, name: Any, value: Any) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def __delitem__(self, name: Any) -> None:
        self[name]
        delattr(self, name)

    def keys(self) -> Iterable[str]:
        """The names."""
        return list(self._members)

    def values(self) -> Iterable[Parameter]:
        """The parameters."""
        return [self.__dict__[name] for name in self._members]

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """The names and parameters."""
        return list(zip(self.keys(), self.values()))

    def update(self, parameters: Mapping[str, Any]) -> None:
        """Add or replace parameters by name."""
        for name, value in parameters.items():
            self[name] = value

    def extra_repr(self) -> str:
        """The shape of each."""
        return ", ".join(f"({name}): {tuple(value.shape)}" for name, value in self.items())


class ParameterList(ParameterDict):
    """A list of parameters; a tensor that is none becomes one.

    >>> import tinynet
    >>> scales = ParameterList([tinynet.ones(3), tinynet.ones(2)])
    >>> len(scales), scales[-1].shape
    (2, (2,))
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.values())

    def __getitem__(self, index: int) -> Parameter:
        return super().__getitem__(self._name_at(index))

    def __setitem__(self, index: int, value: Any) -> None:
        super().__setitem__(self._name_at(index), value)

    def _name_at(self, index: int) -> str:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"ParameterList has {len(self)} parameters, there is no [{place}]")
        return str(place % len(self))

    def append(self, value: Tensor) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        super().__setitem__(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list."""
        for value in values:
            self.append(value)
        return self
