"""Distributions have PyTorch's densities, entropies and divergences, and samples as they say."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import distributions

torch = pytest.importorskip("torch")
rng = np.random.default_rng(3)
LOGITS, MORE = rng.standard_normal((2, 4, 3))
SCALE = rng.uniform(0.3, 2, (4, 3))

KINDS = {
    "normal": ("Normal", {"loc": LOGITS, "scale": SCALE}, {"loc": MORE, "scale": SCALE[::-1] + 0}),
    "bernoulli": ("Bernoulli", {"logits": LOGITS}, {"logits": MORE}),
    "bernoulli by probs": ("Bernoulli", {"probs": SCALE / 3}, {"probs": 1 - SCALE / 2.1}),
    "categorical": ("Categorical", {"logits": LOGITS}, {"logits": MORE}),
    "categorical by probs": ("Categorical", {"probs": SCALE}, {"probs": SCALE[::-1] + 0}),
}
VALUES = {
    "Normal": rng.standard_normal((2, 4, 3)),
    "Bernoulli": rng.integers(0, 2, (2, 4, 3)) * 1.0,
    "Categorical": rng.integers(0, 3, (2, 4)),
}


def described(lib, name, first, second):
    """Densities, entropies and divergence, and the gradients of their sum."""
    tensors = {key: lib.tensor(x, requires_grad=True) for key, x in first.items()}
    kind = getattr(lib.distributions, name)
    p, q = kind(**tensors), kind(**{key: lib.tensor(x) for key, x in second.items()})
    found = [
        p.log_prob(lib.tensor(VALUES[name])), p.entropy(), lib.distributions.kl_divergence(p, q),
        p.probs if hasattr(p, "probs") else p.stddev + p.cdf(lib.tensor(VALUES[name])),
    ]  # fmt: skip
    sum((part * part).sum() for part in found).backward()
    return [x.detach().numpy() for x in found] + [x.grad.numpy() for x in tensors.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_pytorchs(kind):
    for ours, theirs in zip(*(described(lib, *KINDS[kind]) for lib in (tinynet, torch))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_samples():
    tinynet.manual_seed(0)
    p = distributions.Categorical(probs=tinynet.tensor([[0.2, 0.8], [0.9, 0.1]]))
    drawn = p.sample((4000,))
    assert drawn.shape == (4000, 2)
    assert p.sample().shape == (2,)
    assert np.allclose(drawn.array.mean(0), [0.8, 0.1], atol=0.03)
    coin = distributions.Bernoulli(tinynet.tensor(0.3))
    assert abs(coin.sample((4000,)).array.mean() - 0.3) < 0.03
    mean = tinynet.zeros(3, requires_grad=True)
    normal = distributions.Normal(mean, 2.0)
    assert not normal.sample().requires_grad
    z = normal.rsample((4000,))
    assert abs(z.array.std() - 2) < 0.1
    z.sum().backward()
    assert mean.grad.tolist() == [4000] * 3


def test_they_are_shown_as_in_pytorch():
    from tinynet.distributions.kl import kl_divergence

    assert kl_divergence is distributions.kl_divergence
    assert repr(distributions.Normal(0.0, 1.5)) == "Normal(loc: 0.0, scale: 1.5)"
    shown = repr(distributions.Categorical(logits=tinynet.ones(2, 3)))
    assert shown == "Categorical(logits: tinynet.Size([2, 3]))"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: distributions.Normal(0.0, -1.0), ValueError, "scale must be more than 0"),
        (lambda: distributions.Bernoulli(), ValueError, "either probs or logits"),
        (lambda: distributions.Bernoulli(0.5).rsample(), NotImplementedError, "log_prob"),
        (lambda: distributions.Beta, AttributeError, "no Beta; it has"),
        (
            lambda: distributions.kl_divergence(
                distributions.Normal(0.0, 1.0), distributions.Bernoulli(0.5)
            ),
            NotImplementedError,
            "not of Normal and Bernoulli",
        ),
    ],
)
def test_what_it_lacks_is_said(make, error, words):
    with pytest.raises(error, match=words):
        make()
