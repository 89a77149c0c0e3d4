"""What the framework itself costs: microseconds per operation, import time, first step.

examples:
  python -m benchmarks.overhead
  python -m benchmarks.overhead --rounds 21 --json figures.json

Operations are measured on arrays of a few numbers, where the work itself is next to nothing:
bare is the NumPy expression, plain the operation on tensors without gradients, recorded the same
with a gradient asked for. Loops of the three take turns. Import times are those of whole fresh
processes, which take turns too.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import common, machine
from benchmarks.common import ROOT, table
from benchmarks.turns import Worker

CALLS = 2000  # of an operation in one loop
CHAIN = 2000  # nodes in the chain that is sent backward

Call = Callable[[], Any]


def operations() -> dict[str, tuple[Call, Call, Call]]:
    """For each operation: the bare expression, the call on constants, the call that is recorded."""
    import tinynet

    a = np.linspace(0.1, 0.9, 4, dtype=np.float32).reshape(2, 2)
    c, x = tinynet.tensor(a), tinynet.tensor(a, requires_grad=True)

    def three(bare: Callable[[Any], Any], op: Callable[[Any], Any]) -> tuple[Call, Call, Call]:
        return lambda: bare(a), lambda: op(c), lambda: op(x)

    return {
        "x + x": three(lambda t: t + t, lambda t: t + t),
        "x * x": three(lambda t: t * t, lambda t: t * t),
        "x @ x": three(lambda t: t @ t, lambda t: t @ t),
        "exp": three(np.exp, tinynet.exp),
        "relu": three(lambda t: np.maximum(t, 0), tinynet.relu),
        "sum": three(lambda t: t.sum(), lambda t: t.sum()),
        "reshape": three(lambda t: t.reshape(4), lambda t: t.reshape(4)),
        "transpose": three(lambda t: t.T, lambda t: t.T),
    }


def microseconds(call: Call, count: int = CALLS) -> float:
    """Microseconds of one call, the mean over a loop of them, the loop's own cost left in."""
    clock = time.perf_counter
    start = clock()
    for _ in range(count):
        call()
    return 1e6 * (clock() - start) / count


def operation_costs(rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds for each operation: bare, plain and recorded, the least of the rounds."""
    found = {}
    for name, calls in operations().items():
        for call in calls:
            microseconds(call, 100)  # warm
        times = [[microseconds(call) for call in calls] for _ in range(rounds)]
        bare, plain, recorded = (min(column) for column in zip(*times))
        found[name] = {"bare": bare, "plain": plain, "recorded": recorded}
    return found


def backward_cost(rounds: int) -> float:
    """Microseconds a node in the backward pass of a long chain of additions."""
    import tinynet

    x = tinynet.tensor([1.0, 2.0], requires_grad=True)
    times = []
    for _ in range(rounds):
        y = x
        for _ in range(CHAIN):
            y = y + 1.0
        root = y.sum()
        start = time.perf_counter()
        root.backward()
        times.append(1e6 * (time.perf_counter() - start) / CHAIN)
    return min(times)


def handing_over(rounds: int) -> dict[str, float]:
    """Microseconds until the threads have done nothing together: awake, and after a long sleep."""
    from tinynet.kernels import threads

    def once() -> float:
        threads._alone_until = 0.0  # together even if the last time was late
        start = time.perf_counter()
        threads.run(lambda part: None, range(threads.get_num_threads()))
        return 1e6 * (time.perf_counter() - start)

    asleep = []
    for _ in range(rounds):
        time.sleep(0.05)
        asleep.append(once())
    return {
        "awake": statistics.median(once() for _ in range(100 * rounds)),
        "asleep": statistics.median(asleep),
    }


def import_times(rounds: int) -> dict[str, float]:
    """Milliseconds of a fresh process that imports a library, beyond one that imports nothing."""
    libraries = ["", "numpy", "tinynet"]
    libraries += [name for name in ("torch",) if importlib.util.find_spec(name)]
    times: dict[str, list[float]] = {name: [] for name in libraries}
    # an installed package has its bytecode; here the first round writes it
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for number in range(rounds + 1):
        for name in libraries:
            start = time.perf_counter()
            command = [sys.executable, "-c", f"import {name}" if name else "pass"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
            if number:  # the first round only fills the caches
                times[name].append(1000 * (time.perf_counter() - start))
    found = {
        name: statistics.median(t - empty for t, empty in zip(times[name], times[""]))
        for name in libraries[1:]
    }
    differences = [t - n for t, n in zip(times["tinynet"], times["numpy"])]
    return {**found, "tinynet beyond numpy": statistics.median(differences)}


def first_steps(contestants: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """For each contestant, in a fresh process on LeNet-5 at batch 128: seconds to import it and
    make the net, and milliseconds of the first and of a later step.
    """
    found = {}
    for label, who in contestants.items():
        settings = {**who, "net": "lenet", "batch": 128}
        worker = Worker(label, "benchmarks.train_step:make_step", settings)
        try:
            worker.turn(0.3)
        finally:
            worker.close()
        result = worker.result
        found[label] = {
            "setup_s": result.setup_s,
            "first_ms": result.first_ms,
            "later_ms": result.median_ms,
        }
    return found


def measure(contestants: dict[str, dict[str, Any]], rounds: int) -> dict[str, Any]:
    """All figures."""
    return {
        "operations_us": operation_costs(rounds),
        "backward_us_per_node": backward_cost(rounds),
        "handing_over_us": handing_over(rounds),
        "import_ms": import_times(rounds),
        "first_steps": first_steps(contestants),
    }


def recorded_overheads(figures: dict[str, Any]) -> dict[str, float]:
    """Microseconds that recording adds to each operation over the bare NumPy expression."""
    operations = figures["operations_us"].items()
    return {name: cost["recorded"] - cost["bare"] for name, cost in operations}


def report(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    overheads = recorded_overheads(figures)
    operations = [
        [name, *(f"{us:.2f}" for us in (*cost.values(), overheads[name]))]
        for name, cost in figures["operations_us"].items()
    ]
    imports = [[name, f"{ms:.0f}"] for name, ms in figures["import_ms"].items()]
    steps = [
        [label, f"{step['setup_s']:.2f}", f"{step['first_ms']:.0f}", f"{step['later_ms']:.1f}"]
        for label, step in figures["first_steps"].items()
    ]
    worst = max(overheads, key=lambda name: overheads[name])
    handed = figures["handing_over_us"]
    return "\n".join(
        [
            table(["operation, microseconds", "bare", "plain", "recorded", "overhead"], operations),
            "",
            f"A recorded operation costs {statistics.median(overheads.values()):.2f} microseconds "
            f"more than bare NumPy (median; the most: {overheads[worst]:.2f}, {worst}). "
            f"The backward pass takes {figures['backward_us_per_node']:.2f} a node.",
            "",
            f"To hand work to the threads and wait for it costs {handed['awake']:.0f} microseconds "
            f"while they are awake, {handed['asleep']:.0f} once they sleep (medians).",
            "",
            table(["import, fresh process", "ms"], imports),
            "",
            table(["LeNet-5, batch 128", "import and make, s", "first step, ms", "later"], steps),
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    common.add_contestants(parser)
    common.add_rounds(parser, rounds=11, seconds=None)
    common.add_json(parser)
    args = parser.parse_args(argv)
    figures = measure(common.resolve_contestants(parser, args), args.rounds)
    print(report(figures))
    common.write_json(args.json, {"machine": machine.describe(), **figures})


if __name__ == "__main__":
    main()
