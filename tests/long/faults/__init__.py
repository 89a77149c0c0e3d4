"""Planted faults: operations with one wrong gradient each, as a learner gets it wrong.

Each is a forward pass that is right and a backward pass with one mistake, in several sizes,
strides and paddings. `ALL` lists them, those last that hide deep in a model.
"""

from tests.long.faults import table
from tests.long.faults.deep import DEEP
from tests.long.faults.planted import Planted, plant

NUMERIC = plant(table.NUMERIC)
BROKEN = plant(table.BROKEN, seed=len(NUMERIC))
ALL = NUMERIC + BROKEN + DEEP

__all__ = ["ALL", "BROKEN", "DEEP", "NUMERIC", "Planted"]
