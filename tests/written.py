"""Kernels called as the loops of the lab are, with the settings written out."""

from __future__ import annotations

from tinynet import kernels
from tinynet.lab.adapter import PARAMETERS, written_out


class Written:
    """The kernels of a set, or of that in use."""

    def __init__(self, kernel_set=None):
        self._kernels = kernel_set

    def __getattr__(self, name):
        if name in PARAMETERS:
            return written_out(name, self._kernels)
        return getattr(self._kernels or kernels.current, name)


current = Written()
