"""A table of cases, each a race between tinynet's kernel sets and PyTorch's memory layouts."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks import machine
from benchmarks.common import note, round_ratios, short, table
from benchmarks.turns import Result, race


@dataclass
class Case:
    """One row: what was measured, how many images a step takes, and how each contestant did."""

    name: str
    images: int
    results: dict[str, Result]

    def ours(self) -> dict[str, Result]:
        """tinynet's results by kernel set."""
        return {
            label.split()[1]: result
            for label, result in self.results.items()
            if label.startswith("tinynet ")
        }

    def peers(self) -> list[Result]:
        """PyTorch's results, one for each memory layout."""
        return [result for label, result in self.results.items() if label.startswith("torch ")]

    def best_peer(self) -> Result | None:
        """PyTorch's result with the better layout."""
        return min(self.peers(), key=lambda result: result.median_ms, default=None)

    def ratio(self, kernel_set: str) -> float | None:
        """Median over the rounds of PyTorch's better layout over tinynet; None without PyTorch."""
        peers = [peer.ms for peer in self.peers()]
        if not peers:
            return None
        return statistics.median(round_ratios(self.ours()[kernel_set].ms, peers))

    def memory_ratio(self, kernel_set: str) -> float | None:
        """tinynet's peak memory over that of PyTorch's better layout."""
        peer = self.best_peer()
        return None if peer is None else self.ours()[kernel_set].peak_mb / peer.peak_mb

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "case": self.name,
            "images": self.images,
            "results": {label: result.to_dict() for label, result in self.results.items()},
            "ratios": {kernel_set: self.ratio(kernel_set) for kernel_set in self.ours()},
        }


def run_case(
    name: str,
    images: int,
    task: str,
    contestants: dict[str, dict[str, Any]],
    more: dict[str, Any],
    rounds: int,
    seconds: float,
) -> Case:
    """Race the contestants on one case; `more` are the settings of the case itself."""
    settings = {label: {**who, **more} for label, who in contestants.items()}
    case = Case(name, images, race(task, settings, rounds, seconds))
    note("  ".join([name, *(f"{who} {r.median_ms:.3g} ms" for who, r in case.results.items())]))
    return case


def comparison_table(cases: Iterable[Case]) -> str:
    """A row for each case and contestant; the ratio of tinynet to PyTorch's better layout."""
    rows = []
    for case in cases:
        best = case.best_peer()
        for label, result in case.results.items():
            framework, variant = label.split(maxsplit=1)
            mine = framework == "tinynet"
            rows.append(
                [
                    case.name,
                    label + (" *" if result is best else ""),
                    short(result.median_ms),
                    _per_second(1000 * case.images / result.median_ms),
                    short(result.first_ms),
                    f"{result.peak_mb:.0f}",
                    short(case.ratio(variant)) if mine else "",
                    short(case.memory_ratio(variant)) if mine else "",
                ]
            )
    header = ["case", "contestant", "ms", "images/s", "first ms", "peak MB", "ratio", "memory"]
    return table(header, rows, left=2)


def _per_second(images: float) -> str:
    return f"{images:,.0f}" if images >= 100 else short(images)


def ratio_summary(cases: list[Case]) -> dict[str, dict[str, Any]]:
    """For each kernel set the geometric mean of the ratios and the worst case."""
    found = {}
    for kernel_set in cases[0].ours():
        ratios = {case.name: ratio for case in cases if (ratio := case.ratio(kernel_set))}
        if ratios:
            worst = min(ratios, key=lambda name: ratios[name])
            found[kernel_set] = {
                "geometric_mean": statistics.geometric_mean(ratios.values()),
                "worst": ratios[worst],
                "worst_case": worst,
                "cases": len(ratios),
            }
    return found


QUIET = 0.05  # up to this share of the cores others may take

LEGEND = (
    "ratio: PyTorch's better memory layout (*) over tinynet, taken within each round, the median "
    "over the rounds; above 1 tinynet is faster. memory: tinynet's peak over PyTorch's. "
    "peak MB: the whole process, libraries included. first ms: the first step of the process."
)


def report(cases: list[Case]) -> str:
    """The table, the legend, the summary, and a warning if others used the machine; Markdown."""
    lines = [comparison_table(cases), "", LEGEND]
    if not cases[0].peers():
        lines.append("PyTorch did not take part, so there are no ratios.")
    for kernel_set, found in ratio_summary(cases).items():
        lines += [
            "",
            f"**{kernel_set} kernels: {found['geometric_mean']:.2f} times PyTorch's speed** "
            f"(geometric mean of {found['cases']} cases); "
            f"worst case {found['worst']:.2f} ({found['worst_case']}).",
        ]
    others = disturbance(cases)
    if others > QUIET:
        lines += [
            "",
            f"**The machine was not quiet**: other processes took {100 * others:.0f} % of its "
            "cores meanwhile, from which frameworks whose threads spin suffer most. Measure again.",
        ]
    return "\n".join(lines)


def disturbance(cases: list[Case]) -> float:
    """The part of all cores that other processes took, the mean over all turns."""
    return statistics.mean(
        share for case in cases for result in case.results.values() for share in result.others
    )


def record(cases: list[Case]) -> dict[str, Any]:
    """Everything that was measured and where, for JSON."""
    return {
        "machine": machine.describe(),
        "cases": [case.to_dict() for case in cases],
        "summary": ratio_summary(cases),
        "taken_by_others": disturbance(cases),
    }
