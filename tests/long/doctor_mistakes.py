"""How many mistakes in trainings the doctor finds and names, and how many healthy ones it blames.

    python -m tests.long.doctor_mistakes [-v] [-k REGEX]

The rows are in `tests.long.doctor_table` and the five tables that follow. Found: the report has a
finding. Named: it says what the mistake is. Blamed: a healthy set-up with a finding. Exit code 1 if
less than 92 % are named or any is blamed.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence

import tinynet
from tests.long.doctor_sixth import HEALTHY, MISTAKES


def main(argv: Sequence[str] | None = None) -> int:
    """Look at every row, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="print every report")
    parser.add_argument("--table", default="", metavar="NAME", help="such as doctor_third")
    parser.add_argument("-k", default="", metavar="REGEX", help="only rows whose name matches")
    args = parser.parse_args(argv)
    found = named = blamed = 0
    slowest = (0.0, "")
    rows = [row for row in MISTAKES if re.search(args.k, row[0])]
    fine = [row for row in HEALTHY if re.search(args.k, row[0])]
    rows = [row for row in rows if row[2].__module__.endswith(args.table)]
    fine = [row for row in fine if row[1].__module__.endswith(args.table)]
    for name, words, make in rows:
        tinynet.manual_seed(0)
        setup = make()
        start = time.perf_counter()
        try:
            report = tinynet.doctor(**setup)
        except (TypeError, ValueError) as error:
            found += 1
            named += (told := re.search(words, str(error))) is not None
            print(f"{'refused' if told else 'UNNAMED'} {name}: {error}")
            continue
        slowest = max(slowest, (time.perf_counter() - start, name))
        told = re.search(words, " ".join(str(report).split()), re.IGNORECASE)
        found += not report
        named += told is not None
        if told is None or args.verbose:
            print(f"{'named' if told else 'MISSED' if report else 'UNNAMED'} {name}\n{report}\n")
    for name, make in fine:
        tinynet.manual_seed(0)
        setup = make()
        start = time.perf_counter()
        report = tinynet.doctor(**setup)
        slowest = max(slowest, (time.perf_counter() - start, name))
        blamed += not report
        if not report or args.verbose:
            print(f"{'healthy' if report else 'BLAMED'} {name}\n{report}\n")
    print(
        f"{len(rows)} mistakes: {found} found, {named} named; {len(fine)} healthy: {blamed} "
        f"blamed; the slowest took {slowest[0]:.1f} s ({slowest[1]})"
    )
    return int(named < 0.92 * len(rows) or blamed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
