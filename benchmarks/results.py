"""Make every accuracy figure of the README again, with `tinynet train` as a user types it.

examples:
  python -m benchmarks.results --short                   the digits alone: a minute
  python -m benchmarks.results --data-dir ~/data --rgb ~/photos
  python -m benchmarks.results --rgb cifar10-jpeg-12k.zip --seeds 1

Prints a table with the command behind each figure. --rgb names the folder of colour images, with
train/CLASS/*.jpg and test/CLASS/*.jpg, or a zip file of it; without it that row is left out.
Exit code 1 if a figure is below what the README promises.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import common, machine
from benchmarks.common import ROOT, note, table


@dataclass(frozen=True)
class Experiment:
    """What is trained, by which arguments of `tinynet train`, and what it must reach.

    promised: the least mean test accuracy, 0 to 1. quick: part of the short form.
    """

    title: str
    arguments: tuple[str, ...]
    promised: float
    quick: bool = False


EXPERIMENTS = (
    Experiment("digits, shuffled stratified split", (), 0.985, quick=True),
    Experiment(
        "digits, last 360 (other writers) held out", ("--data", "digits-last360"), 0.93, quick=True
    ),
    Experiment("MNIST, LeNet-5, 1 epoch", ("--data", "mnist", "--epochs", "1"), 0.986),
    Experiment("MNIST, LeNet-5, 5 epochs", ("--data", "mnist", "--epochs", "5"), 0.99),
)
RGB_PROMISED = 0.5


@dataclass(frozen=True)
class Outcome:
    """The test accuracies and the seconds of an experiment, one for each seed."""

    title: str
    command: str
    promised: float
    accuracies: list[float]
    seconds: list[float]

    @property
    def mean(self) -> float:
        """Mean test accuracy over the seeds."""
        return statistics.mean(self.accuracies)

    @property
    def kept(self) -> bool:
        """Whether the mean is at least what is promised."""
        return self.mean >= self.promised


def run_experiment(experiment: Experiment, seeds: int, data_dir: str | None) -> Outcome:
    """Train with each seed, each in a fresh process."""
    runs = [_train(experiment, seed, data_dir) for seed in range(seeds)]
    last = seeds - 1
    shown = shlex.join(["tinynet", "train", *experiment.arguments, "--seed"])
    outcome = Outcome(
        experiment.title,
        f"{shown} 0" + (f" ... {last}" if last else ""),
        experiment.promised,
        [run["test_accuracy"] for run in runs],
        [run["seconds"] for run in runs],
    )
    note(f"{outcome.title}: {100 * outcome.mean:.2f} %, {statistics.mean(outcome.seconds):.1f} s")
    return outcome


def _train(experiment: Experiment, seed: int, data_dir: str | None) -> dict[str, Any]:
    """One run of `tinynet train`: what it wrote with --json."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tinynet", "train", *experiment.arguments]
        command += ["--seed", str(seed), "--out", folder, "--json", str(record)]
        if data_dir is not None:
            command += ["--data-dir", data_dir]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr}")
        found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        return found


@contextlib.contextmanager
def rgb_experiment(path: Path) -> Iterator[Experiment]:
    """The experiment on colour images in `path`, a folder or a zip file of one."""
    with contextlib.ExitStack() as stack:
        folder = path
        if path.suffix == ".zip":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)
        while not (folder / "train").is_dir():
            inside = [child for child in folder.iterdir() if child.is_dir()]
            if len(inside) != 1:
                raise SystemExit(f"--rgb {path}: has no train/CLASS/ and test/CLASS/ inside")
            folder = inside[0]
        yield Experiment(f"RGB images, {path.stem}", ("--data", f"folder:{folder}"), RGB_PROMISED)


def report(outcomes: Sequence[Outcome]) -> str:
    """The figures as a Markdown table."""
    rows = [
        [
            outcome.title,
            f"`{outcome.command}`",
            f"{100 * outcome.mean:.2f} %",
            " ".join(f"{100 * a:.2f}" for a in outcome.accuracies),
            f"{statistics.mean(outcome.seconds):.1f}",
            f"{100 * outcome.promised:.1f} %" + ("" if outcome.kept else " MISSED"),
        ]
        for outcome in outcomes
    ]
    header = ["what", "command", "test accuracy", "of each seed, %", "seconds", "promised"]
    return table(header, rows, left=2)


def run_all(args: argparse.Namespace) -> list[Outcome]:
    """Every experiment that the arguments ask for."""
    chosen = [e for e in EXPERIMENTS if e.quick or not args.short]
    outcomes = [run_experiment(e, args.seeds, args.data_dir) for e in chosen]
    if args.rgb is not None and not args.short:
        with rgb_experiment(args.rgb) as experiment:
            found = run_experiment(experiment, args.seeds, args.data_dir)
            shown = found.command.replace(experiment.arguments[1], f"folder:{args.rgb}")
            outcomes.append(Outcome(**{**asdict(found), "command": shown}))
    elif not args.short:
        note("no --rgb PATH (or TINYNET_RGB): the row of the colour images is left out")
    return outcomes


def main(argv: Sequence[str] | None = None) -> int:
    """Train everything, print the table; 1 if a promise is not kept."""
    parser = common.new_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="only what takes seconds")
    common.add_data_dir(parser)
    parser.add_argument(
        "--rgb",
        type=Path,
        default=os.environ.get("TINYNET_RGB"),
        metavar="PATH",
        help="colour images: a folder or a zip file (default: $TINYNET_RGB)",
    )
    common.add_seeds(parser, 3)
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table and the machine to FILE"
    )
    common.add_json(parser)
    args = parser.parse_args(argv)
    outcomes = run_all(args)
    text = report(outcomes)
    print(text)
    if args.markdown is not None:
        args.markdown.write_text(f"{text}\n\n{machine.table_of_facts()}\n", encoding="utf-8")
    common.write_json(
        args.json,
        {"machine": machine.describe(), "results": [asdict(outcome) for outcome in outcomes]},
    )
    return 0 if all(outcome.kept for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
