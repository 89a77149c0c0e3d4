"""PyTorch's `torch.cuda` where an import statement names it: there is none, see `devices.py`."""

from __future__ import annotations

import sys
from typing import Any

from tinynet import amp
from tinynet.devices import cuda

sys.modules[f"{__name__}.amp"] = amp  # for `from tinynet.cuda.amp import autocast`


def __getattr__(name: str) -> Any:
    return getattr(cuda, name)
