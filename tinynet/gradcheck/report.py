"""What a gradient check found: a report that is true when all is well, and reads as text."""

from __future__ import annotations

from typing import Any


class GradientError(AssertionError):
    """Raised by `Report.raise_for_failures()`; its text is the report."""


class Failure:
    """One input whose gradient is wrong.

    input: its name, or the path of a parameter. index: the element that is off the most; None
    if a whole random direction was tried. analytic, numeric: the gradient there as the backward
    pass and as finite differences give it. relative_error: |analytic - numeric| over the larger
    of the two. count, total: how many elements (or directions) disagree, of how many tried.
    """

    def __init__(
        self,
        op: str,
        input: str,  # noqa: A002 (the field's name)
        index: tuple[int, ...] | None,
        analytic: float,
        numeric: float,
    ) -> None:
        self.op = op
        self.input = input
        self.index = index
        self.analytic = analytic
        self.numeric = numeric
        self.relative_error = abs(analytic - numeric) / max(abs(analytic), abs(numeric))
        self.count = self.total = 1

    def __str__(self) -> str:
        where = "along a random direction" if self.index is None else f"at index {self.index}"
        tried = "directions" if self.index is None else "elements"
        return (
            f"{self.op}: the gradient of {self.input} is wrong for {self.count} of {self.total} "
            f"{tried}; worst {where}: analytic {self.analytic:.6g}, numeric {self.numeric:.6g}, "
            f"relative error {self.relative_error:.2g}"
        )


class Report:
    """The result of a gradient check. `bool(report)` is true when every gradient agrees.

    checked: how many numbers were compared for each input. worst: the largest error among those
    that agree, relative to the largest element of the gradient it is in.
    """

    def __init__(self, op: str) -> None:
        self.op = op
        self.checked: dict[str, int] = {}
        self.failures: list[Failure] = []
        self.worst = 0.0

    def __bool__(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        return "\n".join([self.summary(), *(f"  {failure}" for failure in self.failures)])

    def summary(self) -> str:
        """The outcome in one line."""
        count = sum(self.checked.values())
        inputs = ", ".join(self.checked)
        if self.failures:
            wrong = ", ".join(failure.input for failure in self.failures)
            return f"{self.op}: WRONG gradient of {wrong} ({count} numbers compared)"
        return (
            f"{self.op}: gradients of {inputs} agree "
            f"({count} numbers compared, largest relative error {self.worst:.1e})"
        )

    def raise_for_failures(self) -> None:
        """Raise GradientError with the report as its text, if something failed."""
        if self.failures:
            raise GradientError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        failures = [vars(failure) for failure in self.failures]
        return {"ok": bool(self), **vars(self), "failures": failures}
