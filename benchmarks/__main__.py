"""The short form of the main benchmarks; writes benchmarks/RESULTS.md and adds to the history.

examples:
  python -m benchmarks
  python -m benchmarks --nets lenet,small --batch 128 --no-write
  python -m benchmarks --history

Takes some minutes, best on a machine that does nothing else: the training step of all nets and
batch sizes, the overhead of an operation, and the speed of each layer at batch 128. The other
benchmarks are listed by `python -m pydoc benchmarks`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from benchmarks import common, comparison, history, machine, overhead, roofline, train_step
from benchmarks.common import ROOT, note

RESULTS = ROOT / "benchmarks" / "RESULTS.md"
HISTORY = ROOT / "benchmarks" / "history.jsonl"

PAGE = """\
# Speed

Written by `{command}`. Every case is shown, those that lose too. How a comparison is made says
`python -m pydoc benchmarks`; figures of accuracy are made by `make results`.

{machine}

## One training step

`python -m benchmarks.train_step`: forward, cross-entropy, backward, SGD with momentum, in float32;
{threads} threads; {rounds} rounds of {seconds} s a turn.

{train_step}

## Overhead

`python -m benchmarks.overhead`

{overhead}

## Layers against the peak

`python -m benchmarks.roofline`

{roofline}
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = common.new_parser(__doc__)
    train_step.add_arguments(parser, seconds=0.3)
    parser.add_argument("--history", action="store_true", help="show the earlier runs and stop")
    parser.add_argument(
        "--no-write", action="store_true", help="print only: no RESULTS.md, no history"
    )
    args = parser.parse_args(argv)
    if args.history:
        print(history.report(history.read(HISTORY)))
        return
    contestants = common.resolve_contestants(parser, args)
    cases = train_step.measure(args, contestants)
    costs = overhead.measure(contestants, rounds=7)
    kernel_sets = list(cases[0].ours())
    layers, _ = roofline.measure(args.nets, [max(args.batch)], kernel_sets, args.threads)
    page = PAGE.format(
        command=shlex.join(
            ["python", "-m", "benchmarks", *(sys.argv[1:] if argv is None else argv)]
        ),
        machine=machine.table_of_facts(),
        threads=args.threads,
        rounds=args.rounds,
        seconds=args.seconds,
        train_step=comparison.report(cases),
        overhead=overhead.report(costs),
        roofline=layers,
    )
    print(page)
    if not args.no_write:
        write(page, cases)


def write(page: str, cases: list[comparison.Case]) -> None:
    """RESULTS.md, and where there was a peer a line of history."""
    RESULTS.write_text(page, encoding="utf-8")
    note(f"written: {RESULTS}")
    run = history.new_run(cases)
    if run["ratios"]:
        history.append(HISTORY, run)
        note(f"one more line: {HISTORY}")
        for line in history.slower_lines(history.read(HISTORY)):
            note(line)


if __name__ == "__main__":
    main()
