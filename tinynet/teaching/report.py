"""What the doctor says: findings, each with its evidence and its cure, and the report of them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from tinynet.console import folded

ERROR, WARNING = "error", "warning"
WIDTH = 80


@dataclass
class Finding:
    """One thing that is wrong.

    name: what, in a word or a few, joined by hyphens. severity: "error" where training cannot
    work as it stands, "warning" where it works badly or it might be on purpose. evidence: what
    was seen, with numbers. cure: what to type.
    """

    name: str
    severity: str
    evidence: str
    cure: str

    def __str__(self) -> str:
        lines = [f"  seen  {self.evidence}", f"  cure  {self.cure}"]
        return "\n".join([f"{self.severity}: {self.name}", *(folded(x, WIDTH) for x in lines)])


@dataclass
class Report:
    """All that the doctor found; true when that is nothing.

    model: what was looked at. findings: errors before warnings. checks: the names of all checks
    that were made. notes: measurements worth knowing, such as the loss at the start. unjudged: what
    could not be looked at, so that no finding means little.
    """

    model: str
    findings: list[Finding] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unjudged: str = ""

    def __bool__(self) -> bool:
        return not self.findings

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The finding of that name; KeyError with the names that there are."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(f"no finding {name!r}; there are: {', '.join(self.names()) or 'none'}")

    def names(self) -> list[str]:
        """The names of the findings."""
        return [finding.name for finding in self.findings]

    def __str__(self) -> str:
        count = len(self.findings)
        verdict = f"{count} finding{'s' * (count != 1)}"
        if not count:
            verdict = f"none of {len(self.checks)} checks found anything"
            verdict += f", but {self.unjudged}" if self.unjudged else ""
            verdict = verdict if self.unjudged else f"healthy, {verdict}"
        lines = [folded(f"doctor: {verdict}", WIDTH), folded(f"  looked at {self.model}", WIDTH)]
        for finding in self.findings:
            lines += ["", str(finding)]
        if self.notes:
            lines += ["", *(folded(f"  {note}", WIDTH) for note in self.notes)]
        return "\n".join(lines)

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return {"ok": bool(self), **asdict(self)}


def listed(names: list[str], most: int = 5) -> str:
    """Names for a sentence: the first few, and how many more.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
