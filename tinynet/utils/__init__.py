"""What PyTorch keeps under `torch.utils`: here `tinynet.utils.data`."""

from __future__ import annotations

from tinynet.utils import data

__all__ = ["data"]
