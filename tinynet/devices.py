"""PyTorch's way to speak of devices, for the one that there is: the CPU.

A script that asks for a GPU and takes the CPU where there is none runs as it is; one that insists
on a GPU is told so.
"""

import functools
import importlib
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np


class device:  # noqa: N801 (PyTorch's name)
    """A place where tensors live, by name: "cpu". Others can be named, but not computed on.

    >>> device("cpu")
    device(type='cpu')
    """

    def __init__(self, type: "str | device", index: int | None = None) -> None:
        name, _, number = str(type).partition(":")
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type={self.type!r}{'' if self.index is None else f', index={self.index}'})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __enter__(self) -> "device":
        check_device(self)
        return self

    def __exit__(self, *error: object) -> None:
        return None


def check_device(value: Any) -> None:
    """RuntimeError unless it is None or names the CPU."""
    if value is not None and (isinstance(value, int) or device(value).type != "cpu"):
        raise RuntimeError(
            f'tinynet computes on the CPU and has no device {str(value)!r}; use "cpu", or '
            'device = "cuda" if tinynet.cuda.is_available() else "cpu"'
        )


def is_device(value: Any) -> bool:
    """Whether an argument names a device, and not a dtype."""
    if isinstance(value, str):
        return value.split(":")[0] in ("cpu", "cuda", "mps", "xpu", "meta")
    return isinstance(value, (device, int)) and not isinstance(value, bool)


def dtype_of_to(
    *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
    memory_format: Any = None,
) -> Any:  # fmt: skip
    """The dtype that the arguments of a `to` ask for, None for none; they may name the CPU too.

    A tensor among them stands for its dtype. non_blocking and memory_format have no effect.
    """
    for value in args:
        if hasattr(value, "requires_grad"):
            dtype = value.dtype
        elif is_device(value):
            device = value
        elif not isinstance(value, bool):  # non_blocking
            dtype = value
    check_device(device)
    return dtype


_ANSWERS = {
    "is_available": False, "is_built": False, "device_count": 0, "current_accelerator": None,
    "manual_seed": None, "manual_seed_all": None, "synchronize": None, "empty_cache": None,
    "is_initialized": False, "is_bf16_supported": False, "version": None,
    "reset_peak_memory_stats": None, "memory_allocated": 0, "max_memory_allocated": 0,
    "memory_reserved": 0, "max_memory_reserved": 0, "flags": nullcontext(),
}  # fmt: skip
"""What the functions of a device that is not there give; orders have no effect."""


class NoDevice:
    """What PyTorch has for a kind of device, where there is none of it.

    Its `amp`, mixed precision, has no effect: see `tinynet.amp`. switches: what scripts set there,
    without effect. What Python's import statements ask for is there too, see `tinynet.aliases`.
    """

    __path__ = ()
    __spec__ = None

    def __init__(self, name: str, **switches: Any) -> None:
        self.name = name
        vars(self).update(switches)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what an import statement asks for
            raise AttributeError(name)
        if name == "amp":
            return importlib.import_module("tinynet.amp")
        if name not in _ANSWERS:
            return functools.partial(self._refuse, name)
        return lambda *args, **settings: _ANSWERS[name]

    def _refuse(self, name: str, *args: Any, **settings: Any) -> Any:
        raise RuntimeError(
            f"tinynet.{self.name}.{name}: tinynet computes on the CPU; ask "
            f"tinynet.{self.name}.is_available() first"
        )

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), "amp", *_ANSWERS])


cuda = NoDevice("cuda")
mps = NoDevice("mps")
xpu = NoDevice("xpu")
accelerator = NoDevice("accelerator")


def compile(model: Any = None, **settings: Any) -> Any:
    """The model or function itself: nothing is compiled here. Also above a function, with @."""
    return (lambda function: function) if model is None else model


_default_dtype = np.dtype(np.float32)


def get_default_dtype() -> np.dtype[Any]:
    """The dtype of tensors made of Python floats: float32 unless it was set."""
    return _default_dtype


def set_default_dtype(d: Any) -> None:
    """Set the dtype of tensors made of Python floats, and of layers: float32 or float64."""
    global _default_dtype
    dtype = np.dtype(d)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"set_default_dtype: takes float32 or float64, got {d!r}")
    _default_dtype = dtype


def finfo(type: Any = None) -> Any:
    """Bounds of a dtype of floats, as Python's numbers."""
    info = np.finfo(type or _default_dtype)
    names = "eps", "max", "min", "tiny", "smallest_normal", "resolution"
    bounds = {name: float(getattr(info, name)) for name in names}
    return SimpleNamespace(**bounds, bits=info.bits, dtype=str(info.dtype))
