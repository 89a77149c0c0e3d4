"""Seconds until LeNet-5 reaches 99 % on MNIST's test images, beside the same script in PyTorch.

examples:
  python -m benchmarks.time_to_accuracy --data-dir ~/data
  python -m benchmarks.time_to_accuracy --seeds 2 --accuracy 0.985 --epochs 2

The clock runs for the whole process: start of Python, imports, reading the data, training, and
the test after every epoch. Net, initial weights, schedule (one cycle of the learning rate), batch
size, data and their order are the same, so that speed decides more than luck; what is left of that
comes from rounding, and can make one stop an epoch before the other. The processes take turns, seed
by seed. A process stops at the first test that reaches the accuracy; one that does not within its
epochs counts with the seconds that it took, and is named.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import common, frameworks, machine, mnist
from benchmarks.common import ROOT, note, round_ratios, short, table

PEAK_LR = 0.1


def train_until(
    framework: str,
    variant: str,
    threads: int,
    folder: str,
    seed: int,
    epochs: int,
    accuracy: float,
) -> list[float]:
    """Train until the test accuracy is reached; the accuracies after each epoch."""
    loaded = frameworks.load(framework, variant, threads)
    if framework == "tinynet":
        train = mnist.tinynet_batches(folder, "train", 60_000, seed)
        test = mnist.tinynet_batches(folder, "test", 10_000, seed)
    else:
        train = mnist.torch_batches(loaded, folder, "train", 60_000, seed)
        test = mnist.torch_batches(loaded, folder, "test", 10_000, seed)
    model = mnist.new_lenet(loaded, seed)
    optimizer = loaded.optim.SGD(model.parameters(), lr=PEAK_LR, momentum=0.9)
    steps = -(-60_000 // mnist.BATCH) * epochs
    schedule = loaded.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_LR, total_steps=steps)
    reached: list[float] = []
    while len(reached) < epochs and max(reached, default=0.0) < accuracy:
        mnist.train_epoch(loaded, model, optimizer, train, schedule)
        reached.append(mnist.accuracy(loaded, model, test))
    return reached


def run_process(label: str, settings: dict[str, Any]) -> tuple[float, list[float]]:
    """Seconds of a fresh process that trains, and the accuracies that it reached."""
    command = [sys.executable, "-m", "benchmarks.time_to_accuracy", "--worker"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, json.dumps(settings)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{label}: its process failed with exit code {done.returncode}, see above")
    return seconds, json.loads(done.stdout)


def report(seconds: dict[str, list[float]], reached: dict[str, list[list[float]]]) -> str:
    """A row for each contestant, and for each of tinynet's the ratio to PyTorch's better layout."""
    peers = [times for label, times in seconds.items() if label.startswith("torch ")]
    rows = []
    for label, times in seconds.items():
        mine = label.startswith("tinynet ")
        ratio = statistics.median(round_ratios(times, peers)) if mine and peers else None
        rows.append(
            [
                label,
                short(statistics.mean(times)),
                " ".join(f"{s:.1f}" for s in times),
                " ".join(str(len(history)) for history in reached[label]),
                " ".join(f"{100 * history[-1]:.2f}" for history in reached[label]),
                short(ratio),
            ]
        )
    header = ["contestant", "mean s", "s of each seed", "epochs", "test %", "ratio"]
    return table(header, rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    common.add_data_dir(parser)
    common.add_seeds(parser, 5)
    parser.add_argument(
        "--epochs",
        type=common.at_least(1),
        default=4,
        metavar="N",
        help="length of the schedule (default 4)",
    )
    parser.add_argument(
        "--accuracy", type=float, default=0.99, metavar="X", help="to be reached (default 0.99)"
    )
    common.add_contestants(parser)
    common.add_json(parser)
    args = parser.parse_args(argv)
    contestants = common.resolve_contestants(parser, args)
    more = {"folder": mnist.mnist_folder(args.data_dir), "epochs": args.epochs}
    seconds: dict[str, list[float]] = {label: [] for label in contestants}
    reached: dict[str, list[list[float]]] = {label: [] for label in contestants}
    for seed in range(args.seeds):
        for label, who in contestants.items():
            settings = {**who, **more, "seed": seed, "accuracy": args.accuracy}
            took, history = run_process(label, settings)
            seconds[label].append(took)
            reached[label].append(history)
            missed = "" if history[-1] >= args.accuracy else " (not reached)"
            note(f"seed {seed}  {label}  {took:.1f} s  {100 * history[-1]:.2f} %{missed}")
    print(report(seconds, reached))
    common.write_json(
        args.json,
        {"machine": machine.describe(), "seconds": seconds, "test_accuracy": reached},
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(train_until(**json.loads(sys.argv[2]))))
    else:
        main()
