"""ONNX, the file format that other runtimes read: `export` writes a model, `load` reads one.

Needs the extra `onnx`: pip install "tinynet-cnn[onnx]".
"""

import importlib
import importlib.util
from typing import Any

__all__ = ["export", "load"]

_WHERE = {"export": "exporter", "load": "loader"}  # a file of the same name would hide the function


def __getattr__(name: str) -> Any:
    """Load a function, and with it the package `onnx`, when it is first named."""
    if name not in _WHERE:
        raise AttributeError(f"module 'tinynet.onnx' has no attribute {name!r}")
    if importlib.util.find_spec("onnx") is None:
        raise ImportError('ONNX files need an extra: pip install "tinynet-cnn[onnx]"')
    return getattr(importlib.import_module(f"tinynet.onnx.{_WHERE[name]}"), name)
