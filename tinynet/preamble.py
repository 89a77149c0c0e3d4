"""What stands at the top of scripts for PyTorch: chance kept and given back, switches.

The switches are of what tinynet does anyway or does not have, and have no effect.
"""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from tinynet.autograd import wrap
from tinynet.devices import NoDevice, check_device, device
from tinynet.errors import no_attribute
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
strided, set_default_device = "strided", check_device


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


_ANSWERS = {
    "use_deterministic_algorithms": None, "are_deterministic_algorithms_enabled": True,
    "set_float32_matmul_precision": None, "get_float32_matmul_precision": "highest",
    "set_num_interop_threads": None, "set_deterministic_debug_mode": None,
}  # fmt: skip
"""What switches without effect give: results are the same bit for bit anyway, and exact."""


def __getattr__(name: str) -> Any:
    if name not in _ANSWERS:
        raise no_attribute(__name__, name, _ANSWERS)
    return lambda *args, **settings: _ANSWERS[name]
