"""Layers that learn the number of their inputs from the first one, and are then as any other.

Until that call the parameters are there but empty, so that an optimizer can hold on to them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tinynet.autograd import wrap
from tinynet.nn.conv import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinynet.nn.linear import Linear
from tinynet.nn.modes import evaluating
from tinynet.nn.module import Module
from tinynet.nn.norm import BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d
from tinynet.random import Rng
from tinynet.tensor import Tensor


class _Lazy(Module):
    """A layer without its first argument, which is the size of axis `axis` of the first input."""

    becomes: ClassVar[Any]
    counts: ClassVar[str]  # the name of that argument
    axis: ClassVar[int] = 1

    def __init__(self, *args: Any, **settings: Any) -> None:
        some = args[0] if args and self.counts != "num_features" else 1  # groups divide it
        self.becomes.__init__(self, settings.get("out_channels", some) or 1, *args, **settings)
        self.made_with = args, settings
        setattr(self, self.counts, 0)
        for _, tensor in self._named_state():
            if tensor.ndim:
                tensor.array = np.empty(0, tensor.dtype)

    def reset_parameters(self, rng: Rng = None) -> None:
        """There is nothing to draw yet."""

    def forward(self, *inputs: Tensor, **settings: Any) -> Any:
        """Become the layer that takes this input, with its initial values, and call it."""
        self.become(inputs[0].shape[self.axis])
        return self.forward(*inputs, **settings)

    def become(self, size: int) -> None:
        """Become the layer for inputs of that size, with its initial values."""
        args, others = self.made_with
        new = self.becomes(size, *args, **others)
        for (_, tensor), (_, filled) in zip(self._named_state(), new._named_state()):
            tensor.array = filled.array.astype(tensor.dtype, copy=False)
        setattr(self, self.counts, size)
        del self.made_with
        self.__class__ = self.becomes

    def become_as(self, name: str, state: Mapping[str, Any]) -> None:
        """Become the layer whose weights are in `state`, under `name`, if they are there."""
        first = next((own for own, tensor in self._named_state() if tensor.ndim), "")
        shape = np.shape(state.get(f"{name}.{first}" if name else first, 0))
        if shape and (self.counts == "num_features" or getattr(self, "transposed", False)):
            self.become(shape[0])
        elif len(shape) > 1:
            self.become(shape[1] * getattr(self, "groups", 1))


def is_lazy(layer: Module) -> bool:
    """Whether it is a lazy layer that has seen no input yet."""
    return hasattr(layer, "made_with")


def settle(model: Module, shape: Sequence[int]) -> None:
    """Let the lazy layers of a model learn their sizes from an input of that shape."""
    if any(map(is_lazy, model.modules())):
        with evaluating(model):
            model(wrap(np.zeros(shape, np.float32)))


def _lazy(becomes: type[Module], counts: str, axis: int = 1) -> Any:
    """The lazy class of a layer, whose size `counts` is that of this axis of the first input."""
    name = f"Lazy{becomes.__name__}"
    doc = f"{becomes.__name__} without its first argument, {counts}, that of its first input."
    members = {"becomes": becomes, "counts": counts, "axis": axis, "__doc__": doc}
    return type(name, (_Lazy, becomes), {**members, "__module__": __name__})


LazyLinear = _lazy(Linear, "in_features", -1)
LazyBatchNorm1d = _lazy(BatchNorm1d, "num_features")
LazyBatchNorm2d = _lazy(BatchNorm2d, "num_features")
LazyConv1d = _lazy(Conv1d, "in_channels", -2)
LazyConv2d = _lazy(Conv2d, "in_channels", -3)
LazyConvTranspose1d = _lazy(ConvTranspose1d, "in_channels", -2)
LazyConvTranspose2d = _lazy(ConvTranspose2d, "in_channels", -3)
LazyInstanceNorm1d = _lazy(InstanceNorm1d, "num_features", -2)
LazyInstanceNorm2d = _lazy(InstanceNorm2d, "num_features", -3)
