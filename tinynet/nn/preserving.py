"""preserving: try something with a model, and leave no trace.

Forward passes move running statistics and draw from generators, backward passes add to gradients,
steps move weights. Inside `with preserving(model): ...` all of that happens to copies: the arrays,
the gradients, the modes and the generators are afterwards the very same objects with the very
same content as before.
"""

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet import random as tinynet_random
from tinynet.nn.module import Module
from tinynet.tensor import Tensor


@contextlib.contextmanager
def preserving(model: Module) -> Iterator[Module]:
    """The model, which is afterwards bit for bit what it was before.

    Inside, its parameters and buffers hold copies of their arrays and no gradients, and what is
    drawn comes from copies of the generators: tinynet's for this thread and any that a layer holds,
    besides those of NumPy and Python. Attributes that a layer sets are set back; what it changes
    inside a list or dict of its own stays changed.
    """
    attributes = [
        (module, dict(module.__dict__), dict(module._members)) for module in model.modules()
    ]
    held = (value for module in model.modules() for value in module.__dict__.values())
    found: Any = {id(value): value for value in held if isinstance(value, Tensor)}
    tensors = [(tensor, tensor.array, tensor.grad) for tensor in found.values()]
    try:
        for tensor, array, _ in tensors:
            tensor.array, tensor.grad = array.copy(order="K"), None
        for module, before, _ in attributes:
            for name, value in before.items():
                if isinstance(value, np.random.Generator):
                    module.__dict__[name] = copy.deepcopy(value)
        with preserving_generators():
            yield model
    finally:
        for module, before, members in attributes:
            module.__dict__.clear()
            module.__dict__.update(before)
            if isinstance(module._members, dict):  # where forward() added a layer or parameter
                module._members.clear()
                module._members.update(members)
        for tensor, array, grad in tensors:
            tensor.array, tensor.grad = array, grad


@contextlib.contextmanager
def preserving_generators() -> Iterator[None]:
    """What is drawn inside from the default generators is as if it had not been drawn."""
    state = tinynet_random._state
    own, of_numpy, of_python = state.generator, np.random.get_state(), random.getstate()
    state.generator = copy.deepcopy(own)
    try:
        yield
    finally:
        state.generator = own
        np.random.set_state(of_numpy)
        random.setstate(of_python)
