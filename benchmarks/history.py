"""What was measured when: a line for each run, so that a case that became slower is seen.

`benchmarks/history.jsonl` has one JSON object a line: date, commit, machine, and for each case
("numpy lenet 128") the ratio of PyTorch's time to tinynet's, so that machines can be compared.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.common import short, table
from benchmarks.comparison import Case

SLOWER = 0.9  # below this part of the best run so far, a case counts as slower
SHOWN = 6  # runs in the table

Run = dict[str, Any]


def new_run(cases: list[Case]) -> Run:
    """The line of a run that has just been made."""
    facts = machine.describe()
    version, commit = facts["tinynet"].split(maxsplit=1)
    ratios = {
        f"{kernel_set} {case.name}": round(ratio, 3)
        for case in cases
        for kernel_set in case.ours()
        if (ratio := case.ratio(kernel_set)) is not None
    }
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "version": version,
        "commit": commit.strip("()"),
        "machine": f"{facts['processor']}, {facts['cores']} cores",
        "ratios": ratios,
    }


def append(path: Path, run: Run) -> None:
    """Add a run at the end of the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")


def read(path: Path) -> list[Run]:
    """All runs, the oldest first; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def slower_cases(runs: list[Run]) -> dict[str, tuple[float, float]]:
    """The cases whose last ratio is clearly below the best on the same machine: (last, best).

    >>> slower_cases([{"machine": "m", "ratios": {"a": 2.0, "b": 1.0}},
    ...               {"machine": "m", "ratios": {"a": 1.5, "b": 0.95}}])
    {'a': (1.5, 2.0)}
    """
    if not runs:
        return {}
    last = runs[-1]
    found = {}
    for case, ratio in last["ratios"].items():
        same = [run for run in runs if run["machine"] == last["machine"]]
        best = max(run["ratios"][case] for run in same if case in run["ratios"])
        if ratio < SLOWER * best:
            found[case] = (ratio, best)
    return found


def report(runs: list[Run]) -> str:
    """The last runs side by side, then the cases that became slower."""
    if not runs:
        return "There is no run in the history yet; `python -m benchmarks` adds one."
    shown = runs[-SHOWN:]
    cases = list(dict.fromkeys(case for run in shown for case in run["ratios"]))
    rows = [[case, *(short(run["ratios"].get(case)) for run in shown)] for case in cases]
    header = ["PyTorch / tinynet", *(f"{run['date'][:10]} {run['commit']}" for run in shown)]
    return "\n".join([table(header, rows), *slower_lines(runs)])


def slower_lines(runs: list[Run]) -> list[str]:
    """`slower_cases` in words."""
    return [
        f"slower: {case} {last:.2f}, the best on this machine was {best:.2f}"
        for case, (last, best) in slower_cases(runs).items()
    ]
