"""What torchvision has, as far as a small CNN on a CPU needs it; each part loads when it is named.

`datasets` (by torchvision's classes), `transforms` (of PIL images, tensors and batches), `models`
and `utils` (grids of images, PNG files).
"""

import importlib
from typing import TYPE_CHECKING, Any

from tinynet.errors import no_attribute

if TYPE_CHECKING:
    from tinynet.vision import datasets, models, transforms, utils

__all__ = ["datasets", "models", "transforms", "utils"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise no_attribute(__name__, name, __all__)
    return importlib.import_module(f"tinynet.vision.{name}")
