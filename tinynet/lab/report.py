"""What became of a submission: read by its author as text, by a teacher as one row of a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tinynet.console import visible
from tinynet.lab import speed
from tinynet.lab.speed import Timing
from tinynet.lab.trial import Trial
from tinynet.nn.shapes import aligned

STAGES = ("loading", "grid", "gradient", "speed", "training", "done")
NOT_APPLICABLE = "nothing to check: a step has no gradient"


@dataclass
class Report:
    """One submission.

    stage: where it stands, or where it stopped. problem: one line that says what is wrong, empty
    if nothing is. mistake: the same without its place. detail: more about it. passed, cases: of
    the grid. gradient: what the gradient checks say. timings, trial: empty and None where they were
    not reached, or not wanted.
    """

    exercise: str
    file: str
    stage: str = "loading"
    problem: str = ""
    mistake: str = ""
    detail: str = ""
    passed: int = 0
    cases: int = 0
    gradient: str = ""
    timings: list[Timing] = field(default_factory=list)
    trial: Trial | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all went well, to the end."""
        return self.stage == "done" and not self.problem

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        plain = {"ok": self.ok, **asdict(self)}
        for timing, record in zip(self.timings, plain["timings"]):
            record["against_loops"] = timing.against_loops
            record["against_built_in"] = timing.against_built_in
        if self.trial is not None:
            plain["trial"]["ok"] = self.trial.ok
        return plain


def from_dict(record: Any) -> Report:
    """The report that `to_dict` made the record of. Raises ValueError where it is of none."""
    try:
        report = Report(**_fields(Report, record))
        report.timings = [Timing(**_fields(Timing, timing)) for timing in record["timings"]]
        if record["trial"] is not None:
            report.trial = Trial(**_fields(Trial, record["trial"]))
        class_table([report])  # what cannot be shown raises here
    except (TypeError, KeyError, AttributeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"this is no report: {error}") from error
    return report


def _fields(kind: type, record: Any) -> dict[str, Any]:
    """What a record has for the fields of a class. Raises KeyError where one is missing."""
    return {f.name: record[f.name] for f in fields(kind)}


# ----- one submission -----------------------------------------------------------------------------


def line(title: str, text: str) -> str:
    """One step's outcome, under a title that stands in a column."""
    return f"{title:<10}{text}"


def speed_table(timings: Sequence[Timing]) -> str:
    """Milliseconds a call, and ratios; above 1 the submission is faster."""
    several = len({timing.function for timing in timings}) > 1
    rows = [("", "loops", "yours", "built-in", "vs loops", "vs built-in")]
    for timing in timings:
        name = f"{timing.function}, {timing.about}" if several else timing.about
        about = "~" if timing.estimated else ""
        loops, yours = about + milliseconds(timing.loops), milliseconds(timing.yours)
        if timing.yours > speed.TOO_LONG:  # it too was not waited for
            yours = about + yours
        ratios = ratio(timing.against_loops), ratio(timing.against_built_in)
        rows.append((name, loops, yours, milliseconds(timing.built_in), *ratios))
    table = aligned(rows, left=1)
    note = "  (milliseconds a call"
    note += "; ~ estimated from the smaller size)" if any(t.estimated for t in timings) else ")"
    return "\n".join([*("  " + row for row in table), note])


def milliseconds(seconds: float) -> str:
    """Milliseconds with three digits.

    >>> milliseconds(0.0000312), milliseconds(0.0123), milliseconds(6.5)
    ('0.0312', '12.3', '6,500')
    """
    ms = 1000 * seconds
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:#.3g}"


def ratio(value: float) -> str:
    """A ratio with two or three digits; a small one as a fraction.

    >>> ratio(1523.4), ratio(2.345), ratio(0.312), ratio(0.00005)
    ('1,523x', '2.3x', '0.31x', '1/20,000')
    """
    if value >= 100:
        return f"{value:,.0f}x"
    if value >= 0.01:
        return f"{value:.1f}x" if value >= 1 else f"{value:.2g}x"
    return f"1/{1 / value:,.0f}"


def percent(share: float) -> str:
    """An accuracy as people write it.

    >>> percent(0.98611)
    '98.6 %'
    """
    return f"{100 * share:.1f} %"


# ----- many submissions ---------------------------------------------------------------------------


def class_table(reports: Sequence[Report]) -> str:
    """One row for each submission, and under it what is wrong with those that are."""
    head = ("file", "result", "grid", "gradient", "vs loops", "vs built-in", "accuracy", "built-in")
    rows = [head, *(_row(report) for report in reports)]
    lines = aligned(rows, left=2)
    lines.insert(1, "-" * max(map(len, lines)))
    wrong = [report for report in reports if not report.ok]
    right = len(reports) - len(wrong)
    lines += ["", f"{right} of {len(reports)} are right."]
    width = max((len(visible(report.file)) for report in wrong), default=0)
    lines += [f"  {visible(report.file):<{width}}  {visible(report.problem)}" for report in wrong]
    shared: dict[str, list[str]] = {}
    for report in wrong:
        shared.setdefault(report.mistake, []).append(visible(report.file))
    several = [(text, files) for text, files in shared.items() if text and len(files) > 1]
    if several:
        lines += ["", "Mistakes that several share:"]
    for text, files in sorted(several, key=lambda pair: -len(pair[1])):
        lines.append(f"  {len(files)} files: {visible(text)}: {', '.join(files)}")
    return "\n".join(lines)


def _row(report: Report) -> tuple[str, ...]:
    at_end = report.timings[-1] if report.timings else None
    reached = STAGES.index(report.stage)
    gradient = "-"
    if report.gradient != NOT_APPLICABLE and reached >= STAGES.index("gradient"):
        gradient = "right" if reached > STAGES.index("gradient") else "wrong"
    return (
        visible(report.file),
        "right" if report.ok else "WRONG",
        f"{report.passed}/{report.cases}" if report.cases else "-",
        gradient,
        ratio(at_end.against_loops) if at_end else "-",
        ratio(at_end.against_built_in) if at_end else "-",
        percent(report.trial.accuracy) if report.trial else "-",
        percent(report.trial.built_in) if report.trial else "-",
    )
