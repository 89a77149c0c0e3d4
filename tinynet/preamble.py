"""What stands at the top of scripts for PyTorch: chance kept and given back, switches.

The switches are of what tinynet does anyway or does not have, and have no effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from tinynet.autograd import wrap
from tinynet.devices import NoDevice, check_device, device
from tinynet.random import default_rng
from tinynet.tensor import Tensor

distributed = NoDevice("distributed")
backends = NoDevice(
    "backends",
    cuda=NoDevice("backends.cuda", matmul=SimpleNamespace(allow_tf32=False)),
    cudnn=NoDevice(
        "backends.cudnn", enabled=False, deterministic=True, benchmark=False, allow_tf32=False
    ),
    mps=NoDevice("backends.mps"),
)
Device: TypeAlias = "device | str | int | None"
Number: TypeAlias = "int | float | bool"
channels_last, contiguous_format, preserve_format = "channels last", "contiguous", "preserved"


def get_rng_state() -> Tensor:
    """The state of this thread's generator, as a tensor of bytes."""
    text = json.dumps(default_rng().bit_generator.state)
    return wrap(np.frombuffer(text.encode(), np.uint8).copy())


def set_rng_state(new_state: Tensor) -> None:
    """Have this thread's generator go on from what `get_rng_state` gave."""
    default_rng().bit_generator.state = json.loads(new_state.array.tobytes())


def initial_seed() -> int:
    """The seed of this thread's generator."""
    seeds: Any = default_rng().bit_generator.seed_seq
    return int(seeds.entropy)


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: Any = None, **settings: Any
) -> Any:
    """function(*args, **settings), with the same gradients; nothing is computed twice."""
    return function(*args, **settings)


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """No effect: results are the same bit for bit anyway."""


def are_deterministic_algorithms_enabled() -> bool:
    """Whether results are the same bit for bit: yes."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """No effect: products of matrices have the precision of their dtype."""


def get_float32_matmul_precision() -> str:
    """The precision of products of matrices, by PyTorch's name: the highest."""
    return "highest"


def set_default_device(device: Any) -> None:
    """RuntimeError unless it is the CPU, where everything lies."""
    check_device(device)


def set_num_interop_threads(threads: int) -> None:
    """No effect: operations run one after the other."""
