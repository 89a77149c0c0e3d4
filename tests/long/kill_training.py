"""Kill a training process again and again, and see whether anything is ever lost.

    python -m tests.long.kill_training --kills 200

`tinynet train --resume` is started, killed by SIGKILL at a random moment, and started again, until
the run is done; then the next run, with the next optimizer and schedule, until there were enough
kills. After every kill the last checkpoint must load. At the end the weights and the history must
be those of a run that nobody killed, bit for bit. The runs have batch normalisation, augmentation,
momentum, a validation part and a checkpoint after every few steps, so many kills fall into saves.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import common, machine
from tinynet.training import checkpoint

RUNS = list(
    zip(
        itertools.cycle(["sgd", "adam", "rmsprop", "adamw", "adagrad", "adadelta"]),
        ["onecycle", "cosine", "linear", "step", "constant"] * 6,
    )
)  # every optimizer with every schedule
LATEST = 0.6  # seconds of its own time into its training at which a process is killed at the latest


@dataclass
class Outcome:
    """What the kills did. in_save: kills that left a half-written file behind."""

    kills: int = 0
    in_save: int = 0
    runs: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Runner:
    """Starts the same training again and again."""

    def __init__(self, folder: Path, seed: int, epochs: int) -> None:
        self.folder = folder
        self.seed = seed
        self.rng = random.Random(seed)
        self.epochs = epochs
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(common.ROOT),
            "TINYNET_KERNELS": "numpy",
        }

    def command(self, out: Path, run: int) -> list[str]:
        """The command line of a run."""
        optimizer, schedule = RUNS[(self.seed + run) % len(RUNS)]
        options = {
            "--out": out, "--epochs": self.epochs, "--optimizer": optimizer,
            "--schedule": schedule, "--seed": run, "--validation": 0.2, "--augment": "shift:1",
            "--save-every": 3, "--batch-size": 64,
        }  # fmt: skip
        return [
            sys.executable, "-m", "tinynet", "train", "--resume",
            *(str(part) for option in options.items() for part in option),
        ]  # fmt: skip

    def whole(self, out: Path, run: int) -> None:
        """The run without a kill, or the rest of one."""
        subprocess.run(
            self.command(out, run), check=True, env=self.environment, stdout=subprocess.DEVNULL
        )

    def killed(self, out: Path, run: int) -> bool:
        """Start the run and kill it at a random moment; False if it came to its end first."""
        process = subprocess.Popen(
            self.command(out, run), env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:  # nearly all of the start is importing: nothing to kill there
            if line.startswith("train"):
                break
        until = processor_seconds(process.pid) + self.rng.uniform(0, LATEST)
        while process.poll() is None and processor_seconds(process.pid) < until:
            time.sleep(self.rng.uniform(0, 0.01))  # the clock of processor time ticks that coarsely
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        return process.wait() == -signal.SIGKILL


def processor_seconds(pid: int) -> float:
    """The processor time of a process so far: unlike wall time, it passes only if it works."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return time.perf_counter()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def outcome_of(out: Path) -> tuple[str, Any, list[float]]:
    """Weights, history and losses of a finished run."""
    record = json.loads((out / "run.json").read_text())
    history = [{k: v for k, v in r.items() if k != "seconds"} for r in record["history"]]
    stored = checkpoint.read(out / "last.safetensors")
    assert stored.run is not None
    return str(record["weights_sha256"]), history, stored.run["losses"].tolist()


def kill_training(kills: int, seed: int, epochs: int, progress: Any) -> Outcome:
    """Kill `kills` times; whole runs, so there may be a few more."""
    found = Outcome()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        runner = Runner(Path(name), seed, epochs)
        while found.kills < kills and not found.faults:
            run = found.runs
            whole, cut = Path(name, f"whole-{run}"), Path(name, f"cut-{run}")
            runner.whole(whole, run)
            saved = False
            while found.kills < kills and runner.killed(cut, run):
                found.kills += 1
                found.in_save += bool(list(cut.glob(".*.part")))
                progress.update()
                saved = saved or (cut / "last.safetensors").exists()
                try:
                    if saved:  # the first kill of a run may come before its first save
                        checkpoint.read(cut / "last.safetensors")
                except ValueError as error:
                    found.faults.append(f"kill {found.kills}: {error}")
            runner.whole(cut, run)
            if list(cut.glob(".*.part")):
                found.faults.append(f"run {run}: a half-written file was left")
            if outcome_of(cut) != outcome_of(whole):
                found.faults.append(
                    f"run {run} {RUNS[(seed + run) % len(RUNS)]}: weights or history differ"
                )
            found.runs += 1
    found.seconds = time.perf_counter() - start
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, count, print; 1 if anything was lost."""
    parser = common.new_parser(__doc__)
    parser.add_argument("--kills", type=common.at_least(1), default=200, help="(default 200)")
    parser.add_argument(
        "--seed",
        type=common.at_least(0),
        default=0,
        help="of the moments, and which optimizer and schedule come first",
    )
    parser.add_argument(
        "--epochs", type=common.at_least(1), default=6, help="of each run (default 6)"
    )
    common.add_json(parser)
    args = parser.parse_args(argv)
    with tqdm(total=args.kills, unit="kill", leave=False, disable=None) as progress:
        found = kill_training(args.kills, args.seed, args.epochs, progress)
    print(
        f"{found.kills} kills, {found.in_save} of them in the middle of a save, in {found.runs} "
        f"runs and {found.seconds:.0f} s; {len(found.faults)} faults"
    )
    for fault in found.faults:
        print(f"  {fault}")
    if not found.faults:
        print(
            "after every kill the last checkpoint loaded, and every run ended with the weights "
            "and the history of its twin that was not killed, bit for bit"
        )
    if args.json is not None:
        figures = {"machine": machine.describe(), **asdict(found)}
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
