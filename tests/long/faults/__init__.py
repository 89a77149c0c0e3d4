"""Planted faults: operations with one wrong gradient each, as a learner gets it wrong.

Each is a forward pass that is right and a backward pass with one mistake, in several sizes,
strides and paddings. `ALL` lists them, those last that hide deep in a model.
"""

from tests.long.faults import convolution, pooling, normalisation, elementwise, broken, deep  # noqa: F401, I001
from tests.long.faults.planted import ALL, Planted

__all__ = ["ALL", "Planted"]
