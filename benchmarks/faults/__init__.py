"""Planted faults: operations with one wrong gradient each, as a learner gets it wrong.

Each is a forward pass that is right and a backward pass with one mistake, several sizes, strides
and paddings of it. `planted.ALL` lists them; `broken` has those whose backward pass fails before
numbers can be compared, `deep` hides some in the middle of a model.
"""

from benchmarks.faults import convolution, elementwise, normalisation, pooling  # noqa: F401
from benchmarks.faults.planted import ALL, Planted

__all__ = ["ALL", "Planted"]
