"""PyTorch's switches of its libraries, for scripts that set them; none has an effect here."""

from tinynet.backends import cuda, cudnn
from tinynet.devices import NoDevice

__all__ = ["cuda", "cudnn", "mps"]

mps = NoDevice("backends.mps")
