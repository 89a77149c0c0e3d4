"""False alarms of the gradient check: the whole table of operations, with many seeds.

    python -m tests.long.gradcheck_false_alarms [--seeds 200] [--slowest 10]

Each seed draws new inputs for every row of `tinynet.gradcheck.table`, a new output gradient and
new directions. All of these gradients are right, so every failure, and every check that is
refused, is a false alarm. Exit code 1 if there is one.
"""

from __future__ import annotations

import time

import numpy as np

import tinynet
from benchmarks import common
from tinynet.gradcheck import gradcheck
from tinynet.gradcheck.table import table


def alarms(seed: int) -> tuple[list[str], dict[str, float], int]:
    """(what was called wrong, seconds of each row's check, numbers on kinks) of one seed."""
    found, kinks = [], 0
    seconds: dict[str, float] = {}
    for row in table(np.random.default_rng(seed)):
        inputs = [tinynet.Tensor(x) for x in row.inputs]
        start = time.perf_counter()
        try:
            report = gradcheck(row.function(), inputs, seed=seed)
        except ValueError as error:
            found.append(f"seed {seed}: {row}: {error}")
            continue
        seconds[str(row)] = time.perf_counter() - start
        kinks += report.skipped_kinks
        if not report:
            found.append(f"seed {seed}: {report}")
    return found, seconds, kinks


def main() -> int:
    parser = common.new_parser(__doc__)
    common.add_seeds(parser, 200)
    parser.add_argument(
        "--slowest",
        type=common.at_least(0),
        default=0,
        metavar="N",
        help="print the rows that take longest",
    )
    options = parser.parse_args()
    count = options.seeds
    found: list[str] = []
    seconds: list[float] = []
    by_row: dict[str, list[float]] = {}
    kinks = 0
    for seed in range(count):
        wrong, took, on_kinks = alarms(seed)
        found += wrong
        seconds += took.values()
        for row, one in took.items():
            by_row.setdefault(row, []).append(one)
        kinks += on_kinks
    print("\n".join(found), end="\n" if found else "")
    medians = {row: 1e3 * float(np.median(times)) for row, times in by_row.items()}
    for row in sorted(medians, key=lambda row: -medians[row])[: options.slowest]:
        print(f"{medians[row]:6.1f} ms in the median  {row}")
    median, slow = 1e3 * np.median(seconds), 1e3 * np.quantile(seconds, 0.99)
    print(
        f"{len(found)} false alarms in {len(seconds)} checks of {len(seconds) // count} rows, "
        f"{count} seeds; {kinks} numbers on a kink; a check takes {median:.1f} ms in the median, "
        f"99 of 100 take at most {slow:.1f} ms"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
