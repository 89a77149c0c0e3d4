"""Kinks: where a function has no derivative, and how to tell that a step has crossed one.

ReLU, max-pooling, abs, clip and their like are made of smooth pieces. Which piece is in force is
a *branch*: the sign of a margin (x for ReLU, x - y for maximum), or the place of a winner (in each
window of a max-pool). The branches of a whole run are its signature. If the signatures at x - h
and x + h are those at x, the step stayed on one smooth piece, and the difference means what it
should. If they differ, it straddles a kink, and its value is some mixture of two slopes.

Operations that are not listed here, such as a user's own, are judged by the gap between their
one-sided slopes alone; see `differences.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynet.kernels.plain import unfold
from tinynet.ops import pool, reduction

Bound = dict[str, Any]
"""The arguments of a call by the names of the parameters; those left out are missing."""


class Branch:
    """Which piece of one operation is in force, element by element.

    signature: signs of the margins, or places of the winners. ties: how many elements (or
    windows) lie exactly on a kink.
    """

    __slots__ = ("op", "signature", "ties")

    def __init__(self, op: str, signature: np.ndarray, ties: int) -> None:
        self.op = op
        self.signature = signature
        self.ties = ties


def branch(op: str, names: tuple[str, ...], args: Any, settings: dict[str, Any]) -> Branch | None:
    """The branch that a call of the operation took; None for one that has no kink.

    op: the qualified name. args: arrays and plain values.
    """
    package, _, plain = op.rpartition(".")
    if plain not in SIGNATURES or not package.startswith("tinynet.ops"):
        return None
    signature, ties = SIGNATURES[plain](dict(zip(names, args)) | settings)
    return Branch(plain.lstrip("_"), signature, ties)


def crossed(here: list[Branch], there: list[Branch]) -> set[str]:
    """The operations whose branches differ between two runs of one function."""
    if len(here) != len(there):
        return {"control flow"}
    return {
        a.op for a, b in zip(here, there) if a.op != b.op or not _equal(a.signature, b.signature)
    }


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool((a == b).all())


def rule(op: str) -> str:
    """What the operation does at a kink or a tie, as a sentence."""
    return RULES.get(op, "")


Signature = tuple[np.ndarray, int]


def _signs(*margins: np.ndarray) -> Signature:
    """The signs of the margins, and how many of these are 0."""
    signs = [np.sign(margin) for margin in margins]
    signature = signs[0] if len(signs) == 1 else np.stack(np.broadcast_arrays(*signs))
    return signature, signature.size - int(np.count_nonzero(signature))


def _clip(bound: Bound) -> Signature:
    x, low, high = bound["x"], bound.get("low"), bound.get("high")
    return _signs(*(x - limit for limit in (low, high) if limit is not None), np.ones_like(x))


def _distance(bound: Bound, *limits: float) -> Signature:
    d = bound["x"] - bound["target"]
    return _signs(*(d - limit for limit in limits), *(d + limit for limit in limits))


def _winners(columns: np.ndarray) -> Signature:
    """columns (..., n): the place of the largest of n, and how many rows have it twice."""
    largest = columns.max(-1, keepdims=True)
    return columns.argmax(-1), int(((columns == largest).sum(-1) > 1).sum())


def _reduced(bound: Bound, sign: int) -> Signature:
    x = bound["x"]
    axes = reduction.axes_of("max", x, bound.get("axis"))
    last = np.moveaxis(x, axes, range(-len(axes), 0))
    return _winners(sign * last.reshape(*last.shape[: x.ndim - len(axes)], -1))


def _columns(bound: Bound) -> np.ndarray:
    """The windows of a max-pool, (N, C, OH, OW, KH*KW)."""
    x = bound["x"]
    g = pool.max_pool_geometry(
        x.shape[2:],
        bound["kernel_size"],
        bound.get("stride"),
        bound.get("padding", 0),
        bound.get("dilation", 1),
        bound.get("ceil_mode", False),
    )
    return np.moveaxis(unfold(x, g, -np.inf), 2, -1)


def _max_pool(bound: Bound) -> Signature:
    columns = _columns(bound)
    winners, ties = _winners(columns)
    if not bound.get("relu"):
        return winners, ties
    signs, zeros = _signs(columns.max(-1))
    return np.stack([winners, signs]), ties + zeros


def _index(bound: Bound) -> Signature:
    index = bound["index"]
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [np.ravel(part) for part in parts if isinstance(part, np.ndarray)]
    return np.concatenate([np.zeros(0, int), *arrays]), 0


SIGNATURES: dict[str, Callable[[Bound], Signature]] = {
    "relu": lambda b: _signs(np.asarray(b["x"])),
    "leaky_relu": lambda b: _signs(b["x"]),
    "elu": lambda b: _signs(b["x"]),
    "abs": lambda b: _signs(b["x"]),
    "maximum": lambda b: _signs(b["x"] - b["y"]),
    "minimum": lambda b: _signs(b["x"] - b["y"]),
    "clip": _clip,
    "_where": lambda b: (np.asarray(b["condition"]), 0),
    "getitem": _index,
    "setitem": _index,
    "max": lambda b: _reduced(b, 1),
    "min": lambda b: _reduced(b, -1),
    "max_pool2d": _max_pool,
    "l1_loss": lambda b: _distance(b, 0.0),
    "smooth_l1_loss": lambda b: _distance(b, b.get("beta", 1.0)),
    "huber_loss": lambda b: _distance(b, b.get("delta", 1.0)),
}

RULES = {
    "relu": "relu has gradient 0 at x = 0",
    "leaky_relu": "leaky_relu has gradient negative_slope at x = 0",
    "elu": "elu has gradient alpha at x = 0",
    "abs": "abs has gradient 0 at x = 0",
    "maximum": "maximum gives half of the gradient to each at a tie",
    "minimum": "minimum gives half of the gradient to each at a tie",
    "clip": "clip lets the gradient pass at its limits",
    "where": "where follows its condition, which has no gradient",
    "max": "max gives the gradient to the first winner of a tie",
    "min": "min gives the gradient to the first winner of a tie",
    "max_pool2d": "max_pool2d gives the gradient to the first winner of a tied window",
    "l1_loss": "l1_loss has gradient 0 where x = target",
    "smooth_l1_loss": "smooth_l1_loss is smooth, but bends where |x - target| = beta",
    "huber_loss": "huber_loss is smooth, but bends where |x - target| = delta",
    "control flow": "the function takes another path there",
}
