"""Embedding, a learned vector for each number; and Bilinear, a product of two inputs."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from tinynet.creation import empty
from tinynet.errors import ShapeError
from tinynet.nn import functional as F
from tinynet.nn import init
from tinynet.nn.factory import place
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer
from tinynet.tensor import Tensor

E = TypeVar("E", bound="Embedding")


class Embedding(Module):
    """A learned vector for each number from 0 to num_embeddings - 1.

    Shapes: x (...) of integers -> y (..., embedding_dim). padding_idx: the row that is 0 at first
    and learns nothing. max_norm, norm_type, scale_grad_by_freq, sparse: see `F.embedding`.
    Parameters: weight (num_embeddings, embedding_dim), standard normal at first, drawn from `rng`.

    >>> import tinynet
    >>> Embedding(10, 3)(tinynet.tensor([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = integer("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = integer("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ShapeError(
                f"Embedding: padding_idx={padding_idx} is none of the {num_embeddings} rows"
            )
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        shape = self.num_embeddings, self.embedding_dim
        if _weight is None:
            self.weight = Parameter(empty(*shape), not _freeze)
            self.reset_parameters(rng)
        else:
            self.weight = Parameter(_weight, not _freeze)
        if self.weight.shape != shape:
            raise ShapeError(f"Embedding: the weight has shape {self.weight.shape}, not {shape}")
        place(self, device, dtype)

    def reset_parameters(self, rng: np.random.Generator | None = None) -> None:
        """Draw the initial values anew."""
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls: type[E],
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> E:
        """An Embedding with these vectors (K, D); freeze: they do not learn."""
        if len(embeddings.shape) != 2:
            raise ShapeError(f"Embedding: the vectors must be (K, D), got {embeddings.shape}")
        rows, size = embeddings.shape
        return cls(
            rows,
            size,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            embeddings,
            freeze,
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(
            x,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        shown = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (
            ("padding_idx", None),
            ("max_norm", None),
            ("norm_type", 2.0),
            ("scale_grad_by_freq", False),
        ):
            value = getattr(self, name)
            shown += f", {name}={value}" * (value != usual)
        return shown + ", sparse=True" * self.sparse


class Bilinear(Module):
    """x1^T w_o x2 + b_o for each output o.

    Shapes: x1 (..., in1_features), x2 (..., in2_features) -> y (..., out_features).
    Parameters: weight (out_features, in1_features, in2_features), bias (out_features), uniform
    between -/+ 1 / sqrt(in1_features) at first, drawn from `rng`.
    """

    _shown = ("in1_features", "in2_features", "out_features")

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in1_features = integer("Bilinear", "in1_features", in1_features)
        self.in2_features = integer("Bilinear", "in2_features", in2_features)
        self.out_features = integer("Bilinear", "out_features", out_features)
        sizes = self.out_features, self.in1_features, self.in2_features
        self.weight = Parameter(empty(*sizes))
        self.bias = Parameter(empty(self.out_features)) if bias else None
        self.reset_parameters(rng)
        place(self, device, dtype)

    def reset_parameters(self, rng: np.random.Generator | None = None) -> None:
        """Draw the initial values anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for tensor in self.parameters():
            init.uniform_(tensor, -bound, bound, rng)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"
