"""The derivation of one element of a gradient, as data and as text to read; see `explain`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from tinynet import autograd
from tinynet.console import folded
from tinynet.teaching.columns import Index


@dataclass
class Term:
    """One product of a sum: what the loss feels of `name[index]`, times the local derivative.

    index: of the element of the operation's result; with slices in it where a part of the sum
    could not be split further: then upstream and local are None. value: upstream * local.
    """

    name: str
    index: tuple[Any, ...]
    upstream: float | None
    local: float | None
    value: float

    def where(self) -> str:
        """The element as one writes it, such as `conv1[3, 0, 1, 2]`."""
        return _written(self.name, self.index)


@dataclass
class Step:
    """The sum for one element.

    name, index: the element. value: its gradient. uses: for each operation that used it its name,
    its rule and what the local derivatives are. terms: the largest first; rest_count and
    rest_sum: how many smaller ones there are, and their sum. note: more about the numbers.
    """

    name: str
    index: Index
    value: float
    uses: list[tuple[str, str, str]]
    terms: list[Term]
    rest_count: int
    rest_sum: float
    note: str = ""

    @property
    def count(self) -> int:
        """The number of terms that are not 0."""
        return len(self.terms) + self.rest_count


@dataclass
class Explanation:
    """How one element of a gradient comes about; as `str` to read.

    value: d loss / d parameter[index]. steps: the sums, from the parameter to the loss.
    terms: those of the first step. loss: its value. at: the value of the element itself.
    """

    parameter: str
    index: Index
    at: float
    loss: float
    value: float
    steps: list[Step] = field(default_factory=list)

    @property
    def terms(self) -> list[Term]:
        """The largest terms of the sum that is the gradient."""
        return self.steps[0].terms

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain data, ready for JSON."""
        plain = asdict(self)
        for step in plain["steps"]:
            for term in step["terms"]:
                term["index"] = _index(term["index"])
        return plain

    def __str__(self) -> str:
        element = _written(self.parameter, self.index)
        lines = [
            f"d loss / d {element} = {self.value:.6g}      (loss = {self.loss:.6g}, "
            f"{element} = {self.at:.6g})"
        ]
        for number, step in enumerate(self.steps, 1):
            lines += ["", *_step_lines(number, step)]
            if number < len(self.steps) and step.count > 1:
                first = step.terms[0]
                lines.append(f"     the first of them, {first.upstream:.4g}, in its turn:")
        return "\n".join([*lines, *self._path()])

    __repr__ = __str__

    def _path(self) -> list[str]:
        """The product of the local derivatives along the largest terms."""
        factors = [step.terms[0].local for step in reversed(self.steps) if step.terms]
        known = [factor for factor in factors if factor is not None]
        if len(known) < 2 or len(known) < len(self.steps):
            return []
        product = " * ".join(f"{factor:.4g}" for factor in known if factor != 1) or "1"
        text = (
            "Along the largest terms alone, from the loss down (factors of 1 left out): "
            f"{product} = {math.prod(known):.4g}, of {self.value:.4g} in all."
        )
        return ["", folded(text, 96, "")]


def _index(index: tuple[Any, ...]) -> str:
    return ", ".join(
        (":" if i.start == 0 else f"{i.start}:{i.stop}") if isinstance(i, slice) else str(i)
        for i in index
    )


def _step_lines(number: int, step: Step) -> list[str]:
    """One sum, to read."""
    element = _written(step.name, step.index)
    names = list(dict.fromkeys(use[0] for use in step.uses))
    operations: Any = autograd.registry
    rules_of = {
        q.rpartition(".")[2].lstrip("_"): op.rule
        for q, op in operations.items()
        if op.rule and not q.startswith("tinynet.derivatives")
    }
    rules = [
        f"     {op}: " + "; the factor here is ".join(filter(None, (rules_of.get(op), what)))
        for op, what in dict.fromkeys((op, what) for _, op, what in step.uses)
        if rules_of.get(op) or what
    ]
    notes = [f"     {step.note}"] if step.note else []
    if not step.terms:
        return [
            f"{number}. {element} is used for {' and '.join(names)}, but every term is 0: no "
            "change of it reaches the loss",
            *rules,
            *notes,
        ]
    first = step.terms[0]
    if step.count == 1 and first.upstream is not None:
        product = f"{first.upstream:.4g} * {first.local:.4g} = {first.value:.4g}"
        return [f"{number}. {element} goes to {first.where()} alone: {product}", *rules, *notes]
    whole = any(term.upstream is None for term in step.terms)
    of = names[0] if len(names) == 1 else "y"
    lines = [
        f"{number}. {element} is used for {step.count:,} {'parts' if whole else 'elements'} of "
        + " and ".join(names),
        *rules,
        f"     each gives  d loss / d {of}  *  d {of} / d {step.name}",
    ]
    rows = []
    for term in step.terms:
        factors = "" if term.upstream is None else f"{term.upstream:.4g} * {term.local:.4g}"
        rows.append((term.where(), factors, f"{term.value:.4g}"))
    if step.rest_count:
        terms = (
            "1 smaller term that is"
            if step.rest_count == 1
            else (f"{step.rest_count:,} smaller terms that add up to")
        )
        rows.append((f"and {terms}", "", f"{step.rest_sum:.4g}"))
    rows.append(("together", "", f"{step.value:.6g}"))
    return [*lines, *_aligned(rows), *notes]


def _written(name: str, index: tuple[Any, ...]) -> str:
    """An element as one writes it, such as `conv1[3, 0, 1, 2]`."""
    return f"{name}[{_index(index)}]" if index else name


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    """Rows of what, factors and product in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    middle = f"  {{:<{widths[1]}}}" if widths[1] else "{}"
    form = f"       {{:<{widths[0]}}}{middle}  =  {{:>{widths[2]}}}"
    return [form.format(*row) for row in rows]
