"""PyTorch's home of the layers, under which scripts look for some of them: they are in `nn`."""

from typing import Any

from tinynet import nn


def __getattr__(name: str) -> Any:
    return getattr(nn, name)
