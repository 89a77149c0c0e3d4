"""PyTorch's `torch.distributions`, as far as small nets need it: Normal, Bernoulli, Categorical.

d = Normal(mean, std)
z = d.rsample()                       a sample with a gradient by mean and std
d.log_prob(z), d.entropy()
kl_divergence(d, Normal(0.0, 1.0))
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet import creation, ops
from tinynet.creation import as_tensor
from tinynet.functions import broadcast_tensors, gather
from tinynet.grad_mode import no_grad
from tinynet.nn import functional as F
from tinynet.tensor import Tensor

__all__ = ["Bernoulli", "Categorical", "Distribution", "Normal", "kl_divergence"]

__path__: list[str] = []  # for `from distributions.normal import Normal`, see aliases.py


class Distribution:
    """Base: `sample`, which has no gradient.

    batch_shape: that of the parameters; a sample of `sample_shape` has both, one after the other.
    """

    batch_shape: tuple[int, ...] = ()
    variance: Tensor
    given: Sequence[str]  # the names of the parameters it was made of

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A sample with a gradient by the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample; use sample and log_prob")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A sample, a constant."""
        with no_grad():
            return self.rsample(sample_shape)

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return ops.sqrt(self.variance)

    def __repr__(self) -> str:
        given = [(name, getattr(self, name)) for name in self.given]
        shown = [f"{name}: {x.shape if x.ndim else x.item()!r}" for name, x in given]
        return f"{type(self).__name__}({', '.join(shown)})"


class Normal(Distribution):
    """The normal distribution of mean `loc` and standard deviation `scale`, tensors or numbers."""

    given = ("loc", "scale")

    def __init__(self, loc: Any, scale: Any, validate_args: Any = None) -> None:
        self.loc, self.scale = broadcast_tensors(*map(as_tensor, (loc, scale)))
        if not (self.scale.array > 0).all():
            raise ValueError(f"Normal: scale must be more than 0, got {self.scale.array.min()}")
        self.mean, self.batch_shape = self.loc, self.loc.shape

    @property
    def variance(self) -> Tensor:  # type: ignore[override]
        """scale^2."""
        return self.scale * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = (*sample_shape, *self.batch_shape)
        return self.loc + self.scale * creation.randn(shape, dtype=self.loc.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """-((x - loc) / scale)^2 / 2 - log(scale sqrt(2 pi))."""
        z: Tensor = (value - self.loc) / self.scale
        return -(z * z) / 2 - ops.log(self.scale) - math.log(2 * math.pi) / 2

    def cdf(self, value: Any) -> Tensor:
        """The probability of at most `value`, (1 + erf((x - loc) / (scale sqrt 2))) / 2."""
        return (1 + ops.erf((value - self.loc) / (self.scale * math.sqrt(2)))) / 2

    def entropy(self) -> Tensor:
        """log(scale sqrt(2 pi e))."""
        return ops.log(self.scale) + (1 + math.log(2 * math.pi)) / 2


class Bernoulli(Distribution):
    """1 with probability `probs`, else 0; or given the `logits` log(p / (1 - p))."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        self.given = [_the_given("Bernoulli", probs, logits)]
        if logits is None:
            p = ops.clip(as_tensor(probs), *_inside(as_tensor(probs)))
            self.probs, self.logits = as_tensor(probs), ops.log(p) - ops.log1p(-p)
        else:
            self.logits = as_tensor(logits)
            self.probs = ops.sigmoid(self.logits)
        self.mean, self.batch_shape = self.probs, self.probs.shape

    @property
    def variance(self) -> Tensor:  # type: ignore[override]
        """p (1 - p)."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = (*sample_shape, *self.batch_shape)
        return creation.bernoulli(ops.expand(self.probs.detach(), shape))

    def log_prob(self, value: Any) -> Tensor:
        """x log p + (1 - x) log(1 - p)."""
        logits, x = broadcast_tensors(self.logits, as_tensor(value))
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")

    def entropy(self) -> Tensor:
        """-p log p - (1 - p) log(1 - p)."""
        return -self.log_prob(self.probs)


class Categorical(Distribution):
    """One of C classes, of probabilities `probs` (..., C), made to sum up to 1, or of `logits`."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: Any = None) -> None:
        self.given = [_the_given("Categorical", probs, logits)]
        if logits is None:
            self.probs = probs / probs.sum(-1, keepdim=True)
            self.logits = ops.log(ops.clip(self.probs, *_inside(self.probs)))
        else:
            self.logits = F.log_softmax(logits, -1)
            self.probs = ops.exp(self.logits)
        self.batch_shape = self.probs.shape[:-1]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        rows = self.probs.detach().reshape(-1, self.probs.shape[-1])
        count = math.prod(sample_shape)
        drawn = creation.multinomial(rows, max(count, 1), replacement=True)[:, :count]
        return drawn.t().reshape(*sample_shape, *self.batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of classes."""
        classes = np.asarray(value.array, np.int64)[..., None]
        shape = np.broadcast_shapes(classes.shape[:-1], self.batch_shape)
        logits = ops.expand(self.logits, (*shape, self.logits.shape[-1]))
        return ops.squeeze(gather(logits, -1, np.broadcast_to(classes, (*shape, 1))), -1)

    def entropy(self) -> Tensor:
        """-sum p log p."""
        return ops.neg(ops.sum(self.probs * self.logits, -1))


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """sum p log(p / q), of two distributions of one kind."""
    divergence: Tensor
    if isinstance(p, Normal) and isinstance(q, Normal):
        ratio, apart = p.scale / q.scale, (p.loc - q.loc) / q.scale
        divergence = (ratio * ratio + apart * apart - 1) / 2 - ops.log(ratio)
    elif isinstance(p, Categorical) and isinstance(q, Categorical):
        divergence = (p.probs * (p.logits - q.logits)).sum(-1)
    elif isinstance(p, Bernoulli) and isinstance(q, Bernoulli):
        divergence = -p.entropy() - q.log_prob(p.probs)
    else:
        raise NotImplementedError(
            f"kl_divergence: not of {type(p).__name__} and {type(q).__name__}; of two Normal, two "
            "Bernoulli or two Categorical"
        )
    return divergence


def __getattr__(name: str) -> Any:
    raise AttributeError(f"distributions has no {name}; it has Normal, Bernoulli and Categorical")


def _the_given(name: str, probs: Any, logits: Any) -> str:
    """The name of the one that is not None."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: give either probs or logits")
    return "logits" if probs is None else "probs"


def _inside(p: Tensor) -> tuple[float, float]:
    """The least and the largest probability whose logarithms are finite."""
    eps = float(np.finfo(p.dtype).eps)
    return eps, 1 - eps
