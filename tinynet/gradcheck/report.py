"""What a gradient check found: a report that is true when all is well, and reads as text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinynet.html import preformatted


class GradientError(AssertionError):
    """Raised by `Report.raise_for_failures()`; its text is the report."""


class EmptyCheckError(ValueError):
    """A check that would compare nothing, or 0 with 0. Its text says why, and what to do."""


@dataclass(eq=False)
class Failure:
    """One wrong gradient: of which operation, for which argument, by how much, and why.

    op: the operation, such as "conv2d". argument: the name of its parameter, such as "w".
    input: what the argument is to the caller: the name of an input, or the path of a parameter
    such as "features.0.weight"; the same as `argument` for a value inside the function.
    layer: the path of the layer in the model, with its class, empty outside a model.
    index: the element that is off the most; None if no single one stands out. analytic, numeric:
    the gradient there as the backward pass and as differences give it. relative_error:
    |analytic - numeric| over the larger of the two. count, total: how many elements are wrong, of
    how many. cause, evidence: the mistake in words and what shows it; "" where none is known.
    affected: inputs that are wrong because of it.
    """

    op: str
    input: str
    argument: str = ""
    layer: str = ""
    index: tuple[int, ...] | None = None
    analytic: float = 0.0
    numeric: float = 0.0
    count: int = 0
    total: int = 0
    cause: str = ""
    evidence: str = ""
    affected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.argument = self.argument or self.input

    @property
    def relative_error(self) -> float:
        """|analytic - numeric| over the larger of the two."""
        size = max(abs(self.analytic), abs(self.numeric))
        return abs(self.analytic - self.numeric) / size if size else 0.0

    def __str__(self) -> str:
        where = f", in layer {self.layer}" if self.layer else ""
        what = f"argument {self.argument}" if self.argument else "the whole"
        if self.input != self.argument:
            what += f" ({self.input})"
        lines = [f"{self.op}, {what}{where}"]
        if self.total:
            lines.append(f"  wrong     {self.count} of {self.total} elements")
        place = "along a random direction" if self.index is None else f"at {list(self.index)}"
        if self.index is not None or self.analytic != self.numeric:
            lines.append(
                f"  {'slope' if self.index is None else 'worst'}     {place}: backward gives "
                f"{self.analytic:.6g}, differences give {self.numeric:.6g} (relative error "
                f"{self.relative_error:.2g})"
            )
        lines.append(f"  cause     {self.cause or 'none of the usual mistakes fits'}")
        if self.evidence:
            lines.append(f"  evidence  {self.evidence}")
        others = [name for name in self.affected if name != self.input]
        if others:
            lines.append(f"  affects   {_listed(others)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The failure as plain data, ready for JSON."""
        return {**vars(self), "relative_error": self.relative_error}


@dataclass(eq=False, repr=False)
class Report:
    """The result of a gradient check. `bool(report)` is true when every gradient agrees.

    op: what was checked. checked: how many numbers were compared for each input. failures: what
    is wrong. skipped_kinks: how many of the numbers lie on a kink, where only bounds hold.
    notes: what a reader should know of a check that passed, in sentences. worst: the largest
    error among those that agree, relative to the slope.
    """

    op: str
    checked: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    skipped_kinks: int = 0
    notes: list[str] = field(default_factory=list)
    worst: float = 0.0

    def __bool__(self) -> bool:
        return not self.failures

    def __repr__(self) -> str:
        return f"<Report: {self.summary()}>"

    def __str__(self) -> str:
        lines = [self.summary()]
        for failure in self.failures:
            lines.extend("  " + line for line in str(failure).splitlines())
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The report, for notebooks."""
        return preformatted(self)

    def summary(self) -> str:
        """The outcome in one line."""
        count = sum(self.checked.values())
        compared = f"{count} {'number' if count == 1 else 'numbers'} compared"
        compared += f", {self.skipped_kinks} on a kink" if self.skipped_kinks else ""
        if self.failures:
            wrong = dict.fromkeys(
                name for failure in self.failures for name in failure.affected or [failure.input]
            )
            if "" in wrong:  # of the function as a whole
                return f"{self.op}: FAILED, {self.failures[0].cause}"
            return f"{self.op}: WRONG gradient of {_listed(list(wrong))}"
        return (
            f"{self.op}: gradients of {_listed([n for n, c in self.checked.items() if c])} agree "
            f"({compared}, largest relative error {self.worst:.1e})"
        )

    def raise_for_failures(self) -> None:
        """Raise GradientError with the report as its text, if something failed."""
        if self.failures:
            raise GradientError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        failures = [failure.to_dict() for failure in self.failures]
        return {"ok": bool(self), **vars(self), "failures": failures}


def _listed(names: Sequence[str]) -> str:
    """Names with commas; of a long list the first ones and the number of the others."""
    if len(names) <= 12:
        return ", ".join(names)
    return ", ".join(names[:10]) + f" and {len(names) - 10} others"
