"""What PyTorch keeps under `torch.utils`: here `tinynet.utils.data` above all."""

import importlib
from typing import Any

from tinynet.errors import no_attribute
from tinynet.utils import data

__all__ = ["checkpoint", "data", "tensorboard"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise no_attribute(__name__, name, __all__)
    return importlib.import_module(f"tinynet.utils.{name}")
