"""Dropout of whole channels, and for SELU. Dropout of single numbers is in `dropout.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinynet.nn import functional as F
from tinynet.nn.stateless import Stateless
from tinynet.ops.random import check_probability


@dataclass(eq=False, repr=False)
class Dropout2d(Stateless):
    """As Dropout, for whole channels of images (N, C, H, W).

    Neighbouring pixels say much the same, so dropping single ones would drop little.
    Source: Tompson et al., arXiv:1411.4280.
    """

    p: float = 0.5
    inplace: bool = False
    function = staticmethod(F.dropout2d)
    _shown = ("p", "inplace")

    def __post_init__(self) -> None:
        check_probability(type(self).__name__, self.p)

    def settings(self) -> dict[str, Any]:
        """The settings and whether it is training."""
        return {**super().settings(), "training": self.training}


@dataclass(eq=False, repr=False)
class Dropout1d(Dropout2d):
    """As Dropout, for whole channels of signals (N, C, L)."""

    function = staticmethod(F.dropout1d)


@dataclass(eq=False, repr=False)
class AlphaDropout(Dropout2d):
    """Dropout that keeps mean and variance behind SELU (Klambauer et al. 2017)."""

    function = staticmethod(F.alpha_dropout)


@dataclass(eq=False, repr=False)
class FeatureAlphaDropout(Dropout2d):
    """AlphaDropout of whole channels."""

    function = staticmethod(F.feature_alpha_dropout)
