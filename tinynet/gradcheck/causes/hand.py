"""What the operation had in hand: the numbers that a wrong gradient may be made of.

Each quantity is given at the entries of the Jacobians: x at the place of the input, the output and
what is broadcast to it at the place of the output.
"""

from collections.abc import Callable, Iterator
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


FUNCTIONS: tuple[tuple[str, float, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("{0}", 0, lambda q: q),
    ("(1 - {0})", 1, lambda q: 1 - q),
    ("(1 - {0}^2)", 1, lambda q: 1 - q * q),
    ("|{1}|", 1, np.abs),
    ("sign({1})", 1, np.sign),
    ("(1 + {0})", 1.5, lambda q: 1 + q),
    ("(1 + {0}^2)", 1.5, lambda q: 1 + q * q),
    ("e^{0}", 2, np.exp),
    ("log({0})", 2, np.log),
    ("sigmoid({0})", 2, lambda q: 1 / (1 + np.exp(-q))),
    ("sigmoid(-{0})", 2, lambda q: 1 / (1 + np.exp(q))),
    ("tanh({0})", 2, np.tanh),
    ("(1 - tanh({0})^2)", 2, lambda q: 1 - np.tanh(q) ** 2),
    ("cos({0})", 2, np.cos),
    ("sin({0})", 2, np.sin),
    ("sinh({0})", 2, np.sinh),
    ("(1 + |{0}|)", 2, lambda q: 1 + np.abs(q)),
)
"""Text, rank and values; {1} is the name of the quantity without brackets."""

OF_A_SETTING: tuple[tuple[str, Callable[[np.ndarray, float], np.ndarray]], ...] = (
    ("({0} + {1})", lambda q, c: q + c),
    ("({0} - {1})", lambda q, c: q - c),
    ("sigmoid({1} {0})", lambda q, c: 1 / (1 + np.exp(-c * q))),
    ("{0}^{1}", lambda q, c: q**c),
    ("{0}^({1} - 1)", lambda q, c: q ** (c - 1)),
)


class Hand:
    """The quantities at some entries (i, j) of the Jacobians, and functions of them."""

    def __init__(self, clues: Clues, i: np.ndarray, j: np.ndarray) -> None:
        self.clues, self.i, self.j = clues, i, j
        self.lengths = dict[str, int]()  # of the axes in `places`

    @cached_property
    def quantities(self) -> list[Quantity]:
        """x, the output, the other arrays, and differences that are often meant."""
        clues = self.clues
        x, y = clues.x.reshape(-1)[self.i], clues.y.reshape(-1)[self.j]
        found = [(clues.name, x), (clues.out, y)]
        for name, values in self._others():
            found.append((name, values))
            found.append((f"({clues.name} - {name})", x - values))
            found.append((f"({clues.out} - {name})", y - values))
        if clues.x.shape == clues.y.shape and (self.i != self.j).any():
            found.append((f"{clues.out}_i", clues.y.reshape(-1)[self.i]))
            found.append((f"{clues.name}_j", clues.x.reshape(-1)[self.j]))
        return found

    @cached_property
    def products(self) -> list[Quantity]:
        """x times each of the other arrays, as in the margin of a loss."""
        x = self.clues.x.reshape(-1)[self.i]
        others = (other for other in self._others() if not other[0].startswith("["))
        return [(f"{self.clues.name} {name}", x * values) for name, values in others]

    @cached_property
    def variables(self) -> list[Quantity]:
        """What else the function has in variables, and x without its mean."""
        laid_out = ((name, self._laid_out(a)) for name, a in self.clues.locals.items())
        found = [
            (n, values) for n, values in laid_out if values is not None and n != self.clues.out
        ]
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
                for weight, w in arrays.items():
                    if w.dtype.kind == "f" and w.shape == clues.x.shape[-1:]:
                        laid = np.broadcast_to(w[a % len(w), None], clues.x.shape)
                        yield f"{weight}[{name}]", laid.reshape(-1)[self.i]
            elif a.dtype.kind in "fb" and (values := self._laid_out(a)) is not None:
                yield name, values.astype(np.float64)

    def _laid_out(self, a: np.ndarray) -> np.ndarray | None:
        """An array at the entries: broadcast to the output, of one value a channel, or beside x."""
        for shape, places in ((self.clues.y.shape, self.j), (self.clues.x.shape, self.i)):
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
        numbers = {s: c for s, c in self.clues.numbers.items() if c not in (0, 1, -1)}
        found = []
        for order, (name, q) in enumerate(self.quantities):
            for text, rank, of in FUNCTIONS:
                said = text.format(name, name.strip("()"))
                apart = 0.5 * ("sign" in text and " - " in name)
                found.append(Form(said, of(q), rank + 0.1 * order - apart))
            for (setting, c), (text, with_c) in (
                (number, one) for number in numbers.items() for one in OF_A_SETTING
            ):
                found.append(Form(text.format(name, setting), with_c(q, c), 2 + 0.1 * order))
        for name, q in self.variables:
            found += [Form(name, q, 2), Form(f"(1 + {name})", 1 + q, 3)]
            found += [Form(f"(1 - {name}^2)", 1 - q * q, 3)]
        return sorted((f for f in found if np.isfinite(f.values).all()), key=lambda f: f.rank)

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """The coordinates of the entries: "axis 1 of x", "axis 0 of the output"."""
        sides = [(self.clues.x, self.i, self.clues.name)]
        if self.clues.x.shape != self.clues.y.shape or (self.i != self.j).any():
            sides.append((self.clues.y, self.j, "the output"))
        found = {}
        for array, flat, owner in sides:
            for axis, values in enumerate(flat_places(array.shape, flat)):
                name = f"{axis_name(axis, array)} of {owner}"
                found[name], self.lengths[name] = values, array.shape[axis]
        return found
