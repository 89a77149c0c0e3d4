"""What the operation had in hand: the numbers that a wrong gradient may be made of.

Each quantity is given at the entries of the Jacobians: x at the place of the input, the output and
what is broadcast to it at the place of the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tinynet.gradcheck.causes.clues import Clues, axis_name, flat_places

Quantity = tuple[str, np.ndarray]


class Form(NamedTuple):
    """A quantity, or a simple function of it: its text, its values, how far from plain it is."""

    text: str
    values: np.ndarray
    rank: float


_RANKS = (0, 1, 1, 1, 1, 1.5, 1.5, *[2.0] * 100)  # of the functions of a quantity


class Hand:
    """The quantities at some entries (i, j) of the Jacobians, and functions of them."""

    def __init__(self, clues: Clues, i: np.ndarray, j: np.ndarray) -> None:
        self.clues, self.i, self.j = clues, i, j

    @cached_property
    def quantities(self) -> list[Quantity]:
        """x, the output, the other arrays, and differences that are often meant."""
        clues = self.clues
        found = [(clues.name, clues.x.reshape(-1)[self.i])]
        found.append((clues.out, clues.y.reshape(-1)[self.j]))
        for name, values in self._others():
            found.append((name, values))
            found.append((f"({clues.name} - {name})", found[0][1] - values))
            found.append((f"({clues.out} - {name})", found[1][1] - values))
        if clues.x.shape == clues.y.shape and (self.i != self.j).any():
            found.append((f"{clues.out}_i", clues.y.reshape(-1)[self.i]))
            found.append((f"{clues.name}_j", clues.x.reshape(-1)[self.j]))
        return found

    @cached_property
    def products(self) -> list[Quantity]:
        """x times each of the other arrays, as in the margin of a loss."""
        x = self.clues.x.reshape(-1)[self.i]
        return [(f"{self.clues.name} {name}", x * values) for name, values in self._others()]

    @cached_property
    def variables(self) -> list[Quantity]:
        """What else the function has in variables, and x without its mean."""
        found = []
        for name, a in self.clues.locals.items():
            if (values := self._laid_out(a)) is not None:
                found.append((name, values))
        x = self.clues.x
        for axis in (None, *range(x.ndim if x.ndim > 1 else 0)):
            centred = (x - x.mean(axis, keepdims=True)).reshape(-1)[self.i]
            along = "" if axis is None else f" along axis {axis}"
            found.append((f"({self.clues.name} - its mean{along})", centred))
        return found

    def _others(self) -> Iterator[Quantity]:
        clues = self.clues
        arrays = {clues.label(place): a for place, a in clues.floats.items()}
        arrays.pop(clues.name, None)
        arrays |= {name: a for name, a in clues.settings.items() if isinstance(a, np.ndarray)}
        for name, a in arrays.items():
            if a.dtype.kind == "i" and a.shape == clues.x.shape[:-1] and clues.x.ndim > 1:
                label = np.eye(clues.x.shape[-1])[a % clues.x.shape[-1]]
                yield f"[{name} is the class]", label.reshape(-1)[self.i]
            elif a.dtype.kind in "fb" and (values := self._laid_out(a)) is not None:
                yield name, values.astype(np.float64)

    def _laid_out(self, a: np.ndarray) -> np.ndarray | None:
        """An array at the entries: broadcast to the output, of one value a channel, or beside x."""
        x, y = self.clues.x, self.clues.y
        for shape, places in ((y.shape, self.j), (x.shape, self.i)):
            for laid in (a, a.reshape(-1, *[1] * (len(shape) - 2)) if a.ndim == 1 else a):
                if laid.size > 1 or not laid.ndim:
                    try:
                        return np.asarray(np.broadcast_to(laid, shape).reshape(-1)[places])
                    except ValueError:
                        continue
        return None

    @cached_property
    def forms(self) -> list[Form]:
        """Simple functions of each quantity, the plainest first."""
        found = []
        for order, (name, q) in enumerate(self.quantities):
            of_q = enumerate(self._functions(name, q))
            found += [Form(text, v, _RANKS[k] + 0.1 * order) for k, (text, v) in of_q]
        for name, q in self.variables:
            found += [Form(name, q, 2), Form(f"(1 + {name})", 1 + q, 3)]
            found += [Form(f"(1 - {name}^2)", 1 - q * q, 3)]
        return sorted((f for f in found if np.isfinite(f.values).all()), key=lambda f: f.rank)

    def _functions(self, name: str, q: np.ndarray) -> Iterator[Quantity]:
        yield name, q
        yield f"(1 - {name})", 1 - q
        yield f"(1 - {name}^2)", 1 - q * q
        yield f"|{name.strip('()')}|", np.abs(q)
        yield f"sign({name.strip('()')})", np.sign(q)
        yield f"(1 + {name})", 1 + q
        yield f"(1 + {name}^2)", 1 + q * q
        yield f"e^{name}", np.exp(q)
        yield f"log({name})", np.log(q)
        yield f"sigmoid({name})", 1 / (1 + np.exp(-q))
        yield f"sigmoid(-{name})", 1 / (1 + np.exp(q))
        yield f"tanh({name})", np.tanh(q)
        yield f"(1 - tanh({name})^2)", 1 - np.tanh(q) ** 2
        yield f"cos({name})", np.cos(q)
        yield f"sin({name})", np.sin(q)
        yield f"sinh({name})", np.sinh(q)
        yield f"(1 + |{name}|)", 1 + np.abs(q)
        for setting, value in self.clues.numbers.items():
            if value not in (0, 1, -1):
                yield f"({name} + {setting})", q + value
                yield f"({name} - {setting})", q - value
                yield f"sigmoid({setting} {name})", 1 / (1 + np.exp(-value * q))
                yield f"{name}^{setting}", q**value
                yield f"{name}^({setting} - 1)", q ** (value - 1)

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """The coordinates of the entries: "axis 1 of x", "axis 0 of the output"."""
        clues = self.clues
        found = {
            f"{axis_name(a, clues.x)} of {clues.name}": values
            for a, values in enumerate(flat_places(clues.x.shape, self.i))
        }
        if clues.x.shape != clues.y.shape or (self.i != self.j).any():
            outputs = enumerate(flat_places(clues.y.shape, self.j))
            found |= {f"{axis_name(a, clues.y)} of the output": v for a, v in outputs}
        return found


def hand_at(clues: Clues, z: np.ndarray, chosen: np.ndarray) -> Hand:
    """What is in hand at some of the elements of a value that the function has on its way."""
    flat = np.arange(z.size).reshape(z.shape)
    i, j = (_first_places(flat, shape)[chosen] for shape in (clues.x.shape, clues.y.shape))
    hand = Hand(clues, i, j)
    for name in (name for name, a in clues.locals.items() if np.array_equal(a, z)):
        hand.variables.append((name, z.reshape(-1)[chosen]))
    return hand


def _first_places(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """For each element of a value the first place of an array that it is broadcast to; or 0."""
    try:
        laid = np.broadcast_to(flat, shape).reshape(-1)
    except ValueError:
        return np.zeros(flat.size, int)
    return np.unique(laid, return_index=True)[1]
