"""One model trained by many processes: how long a step takes, and how far that scales.

examples:
  python -m benchmarks.ranks
  python -m benchmarks.ranks --nets lenet --ranks 1,2,4 --batch 256 --rounds 3
  python -m benchmarks.ranks --plain
  python -m benchmarks.ranks --simulate --latency 2 --bandwidth 10

Each number of ranks trains by `fit` under mpiexec, a thread each, in turns; the best of the rounds
counts. The sum is what adding up the gradients and sending them back takes. --simulate fits a
formula to one rank, prints it beside what was measured, and goes on to 1,024 ranks of a cluster.

Needs mpi4py and an MPI: pip install mpi4py mpich
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.common import ROOT, note, short, table
from benchmarks.nets import NETS

PARTS = 8
WARM, STEPS, PER_EPOCH = 5, 25, 10  # steps that are not timed, that are, and of an epoch
ADDED = 4e6  # bytes a millisecond that a processor adds up
SUMS = 50
SCALES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

Figures = dict[str, float]
"""Of a step ms and cpu_ms, the processor's; of the sum sum_ms and bytes."""


def work(net: str, batch: int, parts: int | None) -> Figures:
    """What one rank measures, in a process that mpiexec started."""
    import tinynet
    from tinynet import data, training
    from tinynet import nn as layers
    from tinynet.training.distributed import Ranks, world

    tinynet.set_num_threads(1)
    tinynet.manual_seed(0)
    known, comm, rng = NETS[net], world(), np.random.default_rng(0)
    images = rng.standard_normal((batch * PER_EPOCH, *known.image), dtype=np.float32)
    examples = data.ArrayDataset(images, rng.integers(0, known.classes, batch * PER_EPOCH))
    model = known.build(layers)
    ends: list[tuple[float, float]] = []

    class Clock(training.Callback):
        def on_step_end(self, run: Any, means: Any) -> None:
            ends.append((time.perf_counter(), time.process_time()))

    training.fit(
        model,
        examples,
        (WARM + STEPS) // PER_EPOCH + 1,
        batch_size=batch,
        lr=0.01,
        seed=0,
        metrics={},
        callbacks=[Clock()],
        progress=False,
        comm=comm,
        reproducible_for=parts,
    )
    steps = np.diff(ends, axis=0)[WARM:]
    steps = steps[(np.arange(len(steps)) + WARM + 1) % PER_EPOCH != 0]  # none across two epochs
    ranks = Ranks(comm, parts)
    size = sum(p.array.size for p in model.parameters())
    wall, cpu = (1e3 * float(number) for number in np.median(steps, axis=0))
    took = 1e3 * time_of_sums(ranks, size)
    return {"ms": wall, "cpu_ms": cpu, "sum_ms": took, "bytes": 4.0 * size}


def time_of_sums(ranks: Any, size: int) -> float:
    """Seconds that it takes to add up `size` numbers over all ranks, and to give them to all."""
    times = []
    for _ in range(SUMS):
        own = [(k, np.ones(size, np.float32)) for k in ranks.own(ranks.size)]
        ranks.from_first(lambda: None)
        start = time.perf_counter()
        ranks.added(own, ranks.size, np.zeros(size, np.float32))
        times.append(time.perf_counter() - start)
    return min(times)


def started(ranks: int, net: str, batch: int, parts: int | None) -> Figures:
    """The figures of so many ranks, in processes of their own."""
    task = json.dumps([net, batch, parts])
    worker = [sys.executable, "-m", "benchmarks.ranks", "--work", task]
    command = ["mpiexec", "-n", str(ranks), *worker]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def measure(args: argparse.Namespace, net: str, batch: int) -> dict[int, Figures]:
    """The best of the rounds for each number of ranks, which take turns."""
    parts = None if args.plain else PARTS
    best: dict[int, Figures] = {}
    for number in range(args.rounds):
        for ranks in args.ranks:
            found = started(ranks, net, batch, parts)
            kept = best.get(ranks, found)
            best[ranks] = {name: min(found[name], kept[name]) for name in found}
        told = "  ".join(f"{n}: {best[n]['ms']:.3g} ms" for n in args.ranks)
        note(f"{net} {batch}, round {number + 1}: best so far {told}")
    return best


@dataclass
class Formula:
    """Milliseconds of a step: of the whole, of each part of it, of each image, of a hop."""

    step: float
    part: float
    image: float
    size: float  # bytes that are added up

    def __call__(self, ranks: int, batch: int, parts: int, hop: float) -> float:
        """A step of so many ranks; the sum goes up a tree of log2(ranks) hops, and down again."""
        share = math.ceil(parts / ranks)
        images = share * batch / parts
        return self.step + self.part * share + self.image * images + hop * math.log2(ranks)

    def __str__(self) -> str:
        return (
            f"{self.image * 1e3:.3g} us an image, {self.part:.3g} ms a part, {self.step:.3g} ms a "
            f"step, {self.size / 1e6:.3g} MB"
        )


def formula(net: str, batch: int, rounds: int) -> Formula:
    """Fitted to the processor's time of one rank, which neighbours on the machine disturb less."""
    cases = [(2, 1), (2 * PARTS, PARTS), (batch, PARTS)]
    runs = [[started(1, net, *case) for case in cases] for _ in range(rounds)]
    one, small, whole = (min(run[i]["cpu_ms"] for run in runs) for i in range(len(cases)))
    image = (whole - small) / (batch - 2 * PARTS)
    part = (small - one) / (PARTS - 1) - 2 * image
    return Formula(one - part - 2 * image, part, image, runs[0][0]["bytes"])


def simulation(args: argparse.Namespace, net: str) -> str:
    """The formula beside what is measured here, and on to 1,024 ranks of a cluster."""
    batch = args.batch[0]
    step, here = formula(net, batch, args.rounds), measure(args, net, batch)
    hop = here[2]["sum_ms"] if 2 in here else 0.0
    there = 2 * (args.latency / 1e3 + step.size / args.bandwidth / 1e6) + step.size / ADDED
    rows = []
    for n in SCALES:
        measured = (
            [short(here[n]["ms"]), short(step(n, batch, PARTS, hop))] if n in here else [""] * 2
        )
        weak = step(1, 32, 1, 0) / step(n, 32 * n, n, there)
        strong = step(1, 4096, 1, 0) / n / step(n, 4096, n, there)
        rows.append([str(n), *measured, f"{weak:.0%}", f"{strong:.0%}"])
    told = (
        f"a hop {hop:.3g} ms here, {there:.3g} at {args.latency:g} us and {args.bandwidth:g} GB/s"
    )
    head = ["ranks", f"ms, batch {batch}", "by formula", "efficiency, 32 a rank", "batch 4,096"]
    return f"{net}: {step}; {told}\n\n{table(head, rows)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    common.add_list(parser, "net", NETS, ("lenet", "mnist"))
    common.add_batch(parser, [256])
    parser.add_argument("--ranks", type=common.sizes, default=[1, 2], metavar="LIST")
    parser.add_argument("--rounds", type=common.at_least(1), default=5, metavar="N")
    parser.add_argument("--plain", action="store_true", help="reproducible_for=None")
    parser.add_argument("--simulate", action="store_true", help="the formula, up to 1,024 ranks")
    parser.add_argument("--latency", type=float, default=2.0, metavar="US", help="microseconds")
    parser.add_argument("--bandwidth", type=float, default=10.0, metavar="GB/S")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work:
        figures = work(*json.loads(args.work))
        from tinynet.training.distributed import world

        if world().Get_rank() == 0:
            print(json.dumps(figures))
        return
    if args.simulate:
        print("\n\n".join(simulation(args, net) for net in args.nets))
        return
    rows = []
    for net in args.nets:
        for batch in args.batch:
            best = measure(args, net, batch)
            for n, found in best.items():
                times = best[args.ranks[0]]["ms"] / found["ms"]
                rows.append([f"{net} {batch}", str(n), short(found["ms"]), short(found["sum_ms"])])
                rows[-1].append(f"{times:.2f}")
    print(table(["", "ranks", "ms a step", "ms the sum", "times as fast"], rows))


if __name__ == "__main__":
    main()
