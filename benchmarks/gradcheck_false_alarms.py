"""False alarms of the gradient check: the whole table of operations, with many seeds.

    python -m benchmarks.gradcheck_false_alarms [--seeds 200]

Each seed draws new inputs for every row of `tinynet.gradcheck.table`, a new output gradient and
new directions. All of these gradients are right, so every failure, and every check that is
refused, is a false alarm. Exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import tinynet
from tinynet.gradcheck import gradcheck
from tinynet.gradcheck.table import table


def alarms(seed: int) -> tuple[list[str], list[float], int]:
    """(what was called wrong, seconds of each check, numbers on kinks) of one seed."""
    found, seconds, kinks = [], [], 0
    for row in table(np.random.default_rng(seed)):
        inputs = [tinynet.Tensor(x) for x in row.inputs]
        start = time.perf_counter()
        try:
            report = gradcheck(row.function(), inputs, seed=seed)
        except ValueError as error:
            found.append(f"seed {seed}: {row}: {error}")
            continue
        seconds.append(time.perf_counter() - start)
        kinks += report.skipped_kinks
        if not report:
            found.append(f"seed {seed}: {report}")
    return found, seconds, kinks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="default: 200")
    count = parser.parse_args().seeds
    found: list[str] = []
    seconds: list[float] = []
    kinks = 0
    for seed in range(count):
        wrong, took, on_kinks = alarms(seed)
        found += wrong
        seconds += took
        kinks += on_kinks
    print("\n".join(found), end="\n" if found else "")
    median, slow = 1e3 * np.median(seconds), 1e3 * np.quantile(seconds, 0.99)
    print(
        f"{len(found)} false alarms in {len(seconds)} checks of {len(seconds) // count} rows, "
        f"{count} seeds; {kinks} numbers on a kink; a check takes {median:.1f} ms in the median, "
        f"99 of 100 take at most {slow:.1f} ms"
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
