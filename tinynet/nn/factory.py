"""The arguments `device` and `dtype` that layers with parameters take, as in PyTorch."""

from __future__ import annotations

from typing import Any

from tinynet.nn.module import Module


def place(layer: Module, device: Any, dtype: Any) -> None:
    """Give the parameters and buffers of a new layer their dtype; ValueError for another device."""
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise ValueError(
            f"{type(layer).__name__}: device={str(device)!r} is not there: tinynet computes on the "
            "CPU; leave device out, or pass 'cpu'"
        )
    if dtype is not None:
        layer.to(dtype)
