"""Feed a reader of files from outside a great many files that are wrong.

examples:
  python -m tests.long.fuzz                          what can be fuzzed
  python -m tests.long.fuzz npz --inputs 1000000     a million inputs
  python -m tests.long.fuzz all --inputs 10000       every reader, shortly
  python -m tests.long.fuzz npz --seed 3 --only 4711 one input again, with its traceback

Exits with 1 if an input raised anything but the allowed exception, took memory beyond twice its
honest size, or did not come to an end; such inputs are written to --findings.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from benchmarks import common
from tests.long.fuzz.harness import Inputs, Report, fuzz
from tests.long.fuzz.targets import TARGETS


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz, print, write what was found."""
    parser = common.new_parser(__doc__)
    parser.add_argument(
        "parsers",
        nargs="?",
        type=common.names("parser", [*TARGETS, "all"]),
        metavar="PARSER",
        help=f"{', '.join(TARGETS)}, several with commas, or all",
    )
    parser.add_argument(
        "--inputs", type=common.at_least(1), default=100_000, metavar="N", help="(default 100000)"
    )
    parser.add_argument(
        "--seed", type=common.at_least(0), default=0, metavar="S", help="other inputs (default 0)"
    )
    parser.add_argument(
        "--first",
        type=common.at_least(0),
        default=0,
        metavar="I",
        help="start at input I: a long run can be made in pieces (default 0)",
    )
    parser.add_argument("--only", type=common.at_least(0), metavar="I", help="run input I alone")
    parser.add_argument(
        "--findings",
        type=Path,
        default=Path("runs/fuzz"),
        metavar="DIR",
        help="where inputs that did harm are written (default runs/fuzz)",
    )
    common.add_json(parser)
    args = parser.parse_args(argv)
    if args.parsers is None:
        print("what can be fuzzed:", ", ".join(TARGETS))
        return 0
    chosen = list(TARGETS) if "all" in args.parsers else args.parsers
    if args.only is not None:
        return max(_run_one(name, args.seed, args.only) for name in chosen)
    reports = [_run(name, args.inputs, args.seed, args.first) for name in chosen]
    print(table(reports))
    if args.json is not None:
        args.json.write_text(json.dumps([_figures(r) for r in reports], indent=2) + "\n")
    for report in reports:
        for finding in report.findings:
            args.findings.mkdir(parents=True, exist_ok=True)
            path = args.findings / f"{report.name}-{args.seed}-{finding.index}"
            path.write_bytes(finding.data)
            print(f"\n{report.name}: input {finding.index}: {finding.what}\n  written to {path}")
    return 1 if any(report.findings for report in reports) else 0


def table(reports: Sequence[Report]) -> str:
    """One row for each parser."""
    return common.table(
        ["parser", "inputs", "accepted", "refused", "at places", "other", "memory", "s"],
        [
            [
                r.name,
                f"{r.inputs:,}",
                f"{r.accepted:,}",
                f"{r.refused:,}",
                len(r.places),
                len(r.findings),
                f"{max(r.worst_allocation, 0):.2f}",
                f"{r.seconds:.0f}",
            ]
            for r in reports
        ],
    )


def _run(name: str, inputs: int, seed: int, first: int) -> Report:
    with (
        _libraries_silenced() as terminal,
        tqdm(total=inputs, desc=name, unit="", leave=False, disable=None, file=terminal) as bar,
    ):
        return fuzz(name, TARGETS[name], inputs, seed, first, progress=lambda index: bar.update())


@contextlib.contextmanager
def _libraries_silenced() -> Iterator[TextIO]:
    """What C libraries write to stderr about every broken image is lost; stderr proper is given."""
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        with open(stderr, "w", closefd=False) as terminal:
            yield terminal
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)


def _run_one(name: str, seed: int, index: int) -> int:
    """Run one input and show what comes of it; 1 if it is not allowed."""
    target = TARGETS[name]
    data = Inputs(target, seed)[index]
    print(f"{name}: seed {seed}, input {index}: {len(data)} bytes, {data[:48].hex(' ')}")
    try:
        print("accepted:", repr(target.run(data))[:200])
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        return 0 if type(error) is target.allowed else 1
    return 0


def _figures(report: Report) -> dict[str, object]:
    return {
        "parser": report.name,
        "inputs": report.inputs,
        "accepted": report.accepted,
        "refused": report.refused,
        "places": dict(report.places.most_common()),
        "findings": [[f.index, f.what] for f in report.findings],
        "memory_counted": report.counted,
        "worst_allocation": report.worst_allocation,
        "seconds": report.seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
