"""PyTorch's copies of a model on several devices, for scripts that make them: there is one."""

from typing import Any

from tinynet.nn.module import Module


class DataParallel:
    """`DataParallel(model)` is the model itself; other arguments have no effect."""

    def __new__(cls, module: Module, *devices: Any, **settings: Any) -> Any:
        """The model."""
        return module


DistributedDataParallel = DataParallel
