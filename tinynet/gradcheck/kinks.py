"""Branches of a whole run, and how to tell that a step has crossed a kink.

The branches of all operations of a run (see `tinynet/ops/kinks.py`) are its signature. If the
signatures at x - h and x + h are those at x, the step stayed on one smooth piece, and the
difference means what it should. If they differ, it straddles a kink, and its value is some
mixture of two slopes.

Operations that tell no branch, such as a user's own, are judged by the gap between their one-sided
slopes alone; see `differences.py`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from tinynet.ops.kinks import Kinks

CONTROL_FLOW = "control flow"


class Branch(NamedTuple):
    """Which piece of one operation is in force, element by element.

    signature: signs of the margins, or places of the winners. ties: how many elements (or
    windows) lie exactly on a kink. rule: what the operation does there, as a sentence.
    """

    op: str
    signature: np.ndarray
    ties: int
    rule: str


def branch(op: str, kinks: Kinks, args: Iterable[Any], settings: dict[str, Any]) -> Branch:
    """The branch that a call of an operation with kinks took.

    op: the qualified name. args: arrays and plain values.
    """
    signature, ties = kinks.branch(*args, **settings)
    name = op.rpartition(".")[2].lstrip("_")
    return Branch(name, signature, ties, f"{name} {kinks.rule}")


def crossed(here: list[Branch], there: list[Branch]) -> set[str]:
    """The operations whose branches differ between two runs of one function."""
    if len(here) != len(there):
        return {CONTROL_FLOW}
    return {
        a.op
        for a, b in zip(here, there)
        if a.op != b.op or not np.array_equal(a.signature, b.signature)
    }


def rules(ops: list[str], branches: list[Branch]) -> str:
    """What the operations do at a kink or a tie, with how many values are on one, in a sentence."""
    said = []
    for op in ops:
        ties = sum(b.ties for b in branches if b.op == op)
        paths = "the function takes another path there"
        rule = next((b.rule for b in branches if b.op == op), paths)
        said.append(rule + (f" (so for {ties} values here)" if ties else ""))
    return "; ".join(said)
