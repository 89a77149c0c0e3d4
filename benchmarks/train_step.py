"""One step of training, tinynet beside PyTorch: forward, cross-entropy, backward, SGD.

examples:
  python -m benchmarks.train_step
  python -m benchmarks.train_step --nets lenet,small --batch 128 --kernels numpy
  python -m benchmarks.train_step --against torch --rounds 10 --json figures.json

Every framework, kernel set and memory layout runs in a process of its own; the processes take
turns. Each step is a training loop as a user writes it: zero_grad, forward, F.cross_entropy,
backward, optim.SGD with momentum 0.9.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import common, comparison, frameworks
from benchmarks.comparison import Case
from benchmarks.nets import NETS

TRAINED = ("lenet", "small", "mnist", "vgg")
BATCHES = 4  # different batches that the steps go around


def make_step(
    framework: str, variant: str, threads: int, net: str, batch: int
) -> Callable[[], None]:
    """The step of one case, made inside the worker."""
    loaded = frameworks.load(framework, variant, threads)
    known = NETS[net]
    batches = frameworks.random_batches(BATCHES, batch, known.image, known.classes)
    return frameworks.training_step(loaded, known.build(loaded.nn), batches)


def add_arguments(parser: argparse.ArgumentParser, seconds: float = 0.5) -> None:
    """The options that say what is measured."""
    common.add_list(parser, "net", TRAINED, TRAINED)
    common.add_batch(parser, [1, 32, 128])
    common.add_contestants(parser)
    common.add_rounds(parser, rounds=6, seconds=seconds)


def measure(args: argparse.Namespace, contestants: dict[str, dict[str, Any]]) -> list[Case]:
    """Race through every net and batch size."""
    return [
        comparison.run_case(
            f"{net} {batch}",
            batch,
            "benchmarks.train_step:make_step",
            contestants,
            {"net": net, "batch": batch},
            args.rounds,
            args.seconds,
        )
        for net in args.nets
        for batch in args.batch
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    add_arguments(parser)
    common.add_json(parser)
    args = parser.parse_args(argv)
    cases = measure(args, common.resolve_contestants(parser, args))
    print(comparison.report(cases))
    common.write_json(args.json, comparison.record(cases))


if __name__ == "__main__":
    main()
