"""Embedding: a learned vector for each number; EmbeddingBag: one for each bag of numbers."""

from typing import Any, TypeVar

from tinynet.creation import empty
from tinynet.errors import ShapeError
from tinynet.nn import functional as F
from tinynet.nn import init
from tinynet.nn.module import Module
from tinynet.nn.parameter import Parameter
from tinynet.ops.checks import integer, one_of
from tinynet.random import Rng, default_rng, use_rng
from tinynet.tensor import Tensor

E = TypeVar("E", bound="Embedding")


class Embedding(Module):
    """A learned vector for each number from 0 to num_embeddings - 1.

    Shapes: x (...) of integers -> y (..., embedding_dim). padding_idx: the row that is 0 at first
    and learns nothing. The arguments behind it are PyTorch's, see `F.embedding`.
    Parameters: weight (num_embeddings, embedding_dim), standard normal at first, drawn from `rng`.

    >>> import tinynet
    >>> Embedding(10, 3)(tinynet.tensor([[1, 2], [4, 5]])).shape
    tinynet.Size([2, 2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = integer("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = integer("Embedding", "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ShapeError(
                f"Embedding: padding_idx={padding_idx} is none of the {num_embeddings} rows"
            )
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.others = max_norm, norm_type, scale_grad_by_freq, sparse
        shape = self.num_embeddings, self.embedding_dim
        self.weight = Parameter(empty(*shape) if _weight is None else _weight, not _freeze)
        if self.weight.shape != shape:
            raise ShapeError(f"Embedding: the weight has shape {self.weight.shape}, not {shape}")
        if _weight is None:
            with use_rng(default_rng(rng)):
                self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self, rng: Rng = None) -> None:
        """Draw the initial values anew."""
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls: type[E], embeddings: Any, freeze: bool = True, *args: Any, **settings: Any
    ) -> E:
        """A layer with these vectors (K, D); freeze: they do not learn. More as for the class."""
        if len(embeddings.shape) != 2:
            raise ShapeError(f"Embedding: the vectors must be (K, D), got {embeddings.shape}")
        rows, size = embeddings.shape
        settings |= {"_weight": embeddings, "_freeze": freeze}
        return cls(rows, size, *args, **settings)

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight, self.padding_idx, *self.others)

    def extra_repr(self) -> str:
        """The sizes, and the row that does not learn."""
        row = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{row}"


class EmbeddingBag(Embedding):
    """The mean, sum or max of the learned vectors of each bag of numbers, see `F.embedding_bag`.

    Shapes: x (bags, N), or x (N) with offsets (bags) -> y (bags, embedding_dim).
    Parameters: weight (num_embeddings, embedding_dim), standard normal at first, drawn from `rng`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        _freeze: bool = False,
        rng: Rng = None,
    ) -> None:
        others = max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device, dtype
        super().__init__(num_embeddings, embedding_dim, padding_idx, *others, rng=rng)
        self.mode = one_of("EmbeddingBag", "mode", mode, ("sum", "mean", "max"))
        self.include_last_offset = include_last_offset

    def forward(self, x: Tensor, offsets: Any = None, per_sample_weights: Any = None) -> Tensor:
        max_norm, norm_type, by_freq, sparse = self.others
        return F.embedding_bag(
            x, self.weight, offsets, max_norm, norm_type, by_freq, self.mode, sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The sizes, the row that does not learn, and the mode."""
        return f"{super().extra_repr()}, mode={self.mode!r}"
