"""The source of chance: one NumPy generator per thread, seeded by `manual_seed`.

Whatever is random in tinynet takes `rng=`, a `numpy.random.Generator`; without it the generator
of the running thread is used. Each thread has its own, so two models trained in two threads do
not disturb each other; a new thread starts unseeded.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ForwardRef, TypeAlias

import numpy as np

from tinynet.devices import check_device
from tinynet.errors import integer
from tinynet.scope import Scope

if TYPE_CHECKING:
    Rng: TypeAlias = np.random.Generator | None  # what draws; None is the default generator
else:  # importing numpy.random takes 13 ms
    Rng = ForwardRef("np.random.Generator | None", module=__name__)


class _ThreadGenerator(threading.local):
    generator: Rng = None  # made when first needed


_state = _ThreadGenerator()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed this thread's default generator and return it.

    Raises TypeError for what is not an integer, ValueError for a negative one.

    >>> from tinynet.random import default_rng
    >>> _ = manual_seed(7); a = default_rng().random()
    >>> _ = manual_seed(7); a == default_rng().random()
    True
    """
    generator = np.random.default_rng(integer("manual_seed", "seed", seed))
    _state.generator = generator
    return generator


class Generator:
    """A source of chance of its own, by PyTorch's name: `Generator().manual_seed(7)`.

    It holds a NumPy generator, `.rng`. device: the CPU.
    """

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self.rng = np.random.default_rng()

    def manual_seed(self, seed: int) -> Generator:
        """Start the numbers over from a seed; returns the generator."""
        self.rng = np.random.default_rng(integer("manual_seed", "seed", seed))
        return self


def default_rng(rng: Generator | np.random.Generator | None = None) -> np.random.Generator:
    """The NumPy generator that is given or held, else this thread's default generator.

    Raises TypeError for what is no generator.
    """
    if isinstance(rng, Generator):
        return rng.rng
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None:
        raise TypeError(
            "expected a generator, numpy.random.default_rng(seed) or "
            f"tinynet.Generator().manual_seed(seed), got {rng!r:.60}"
        )
    if _state.generator is None:
        _state.generator = np.random.default_rng()
    return _state.generator


class use_rng(Scope):  # noqa: N801 (written like a function)
    """Within the block `rng` is this thread's default generator.

    >>> with use_rng(np.random.default_rng(7)):
    ...     a = default_rng().random()
    >>> a == np.random.default_rng(7).random()
    True
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._before: list[Rng] = []

    def __enter__(self) -> np.random.Generator:
        self._before.append(_state.generator)
        _state.generator = self._rng
        return self._rng

    def __exit__(self, *error: object) -> None:
        _state.generator = self._before.pop()
