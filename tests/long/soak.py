"""Train for 100,000 steps and see whether anything grows: memory, open files, the time of a step.

    python -m tests.long.soak --json soak.json --plot soak.png

A small convolutional net with batch normalisation and dropout is trained by `fit` on the digits,
augmented, twenty times over in an epoch (898 steps), with a checkpoint every thousand steps and
after each epoch. Once in a while the resident memory, what the run has on record (the losses, the
history), the open files and the time of a step since are noted. Memory is flat if in the second
half, beyond what is on record, it grows by no more than three times the noise of its slope. The
slope is the median of those between any two samples (Theil, Sen): the heap grows in jumps, and
one jump is no trend. Speeds are those of the fastest samples of the first and of the last quarter,
since others may use the machine too.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinynet
from benchmarks import common, machine
from tinynet import data, nn
from tinynet.training import Callback, fit

TIMES = 20  # how often an epoch goes over the digits
WARM_UP, PART = 0.05, 0.25  # of the samples: left out, and compared at the start and at the end


@dataclass
class Samples:
    """What was noted: the step, resident bytes, bytes on record, open files, seconds a step."""

    steps: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    recorded: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Watch(Callback):
    """Notes memory, files and time after every `every` steps."""

    def __init__(self, every: int, samples: Samples) -> None:
        self.every, self.samples = every, samples

    def on_train_begin(self, run: Any) -> None:
        self.start = time.perf_counter()

    def on_step_end(self, run: Any, means: Any) -> None:
        if run.step % self.every:
            return
        passed = time.perf_counter() - self.start
        self.samples.steps.append(run.step)
        self.samples.resident.append(resident_bytes())
        self.samples.recorded.append(recorded_bytes(run))
        self.samples.files.append(len(os.listdir("/proc/self/fd")))
        self.samples.seconds.append(passed / self.every)
        self.start = time.perf_counter()


@dataclass
class Verdict:
    """The figures.

    slope: bytes a step in the second half, without what is on record; error: its standard error, by
    the median deviation. recorded: the slope of what is on record.
    """

    steps: int
    recorded: float
    slope: float
    error: float
    first_bytes: int
    last_bytes: int
    files_at_start: int
    files_at_end: int
    speed_ratio: float

    @property
    def flat(self) -> bool:
        """Whether memory grows by no more than the record and its noise."""
        return self.slope <= 3 * self.error

    def __str__(self) -> str:
        return (
            f"{self.steps:,} steps\n"
            f"resident memory: {self.first_bytes / 1e6:.1f} MB in the middle, "
            f"{self.last_bytes / 1e6:.1f} MB at the end; {self.recorded:.1f} bytes a step are the "
            f"record of losses and history, the rest {self.slope:.2f} +- {self.error:.2f}\n"
            f"open files: {self.files_at_start} at the start, {self.files_at_end} at the end\n"
            f"time of a step at the end against the start: {100 * (self.speed_ratio - 1):+.1f} %"
        )


def resident_bytes() -> int:
    """The memory that this process has in use, in bytes. Linux only."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def recorded_bytes(run: Any) -> int:
    """The bytes of a run's losses and history.

    The losses are there three times at the worst: as a list, as the shorter list that it outgrew,
    and as the copy that is written into a checkpoint.
    """
    losses = 2 * sys.getsizeof(run.losses) + len(run.losses) * run.losses.itemsize
    history = sum(sys.getsizeof(r) + sum(map(sys.getsizeof, r.values())) for r in run.history)
    return int(losses + history)


def soak(steps: int, folder: Path) -> Samples:
    """Train for `steps` steps."""
    tinynet.manual_seed(0)
    digits = data.load("digits", "train")
    images = data.Subset(digits, np.tile(np.arange(len(digits)), TIMES))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    loader = data.DataLoader(
        images,
        32,
        shuffle=True,
        drop_last=True,
        seed=0,
        transform=data.Compose([data.RandomShift(1), data.ToFloat()]),
    )
    samples = Samples()
    gc.collect()
    fit(
        model,
        loader,
        math.ceil(steps / len(loader)),
        lr=0.01,
        schedule=None,
        seed=0,
        callbacks=[Watch(max(1, steps // 400), samples)],
        out=folder,
        save_every=1000,
        progress=False,
    )
    return samples


def judge(samples: Samples) -> Verdict:
    """The figures of a soak."""
    half = len(samples.steps) // 2
    x = np.array(samples.steps[half:], float)
    recorded = np.array(samples.recorded[half:], float)
    y = np.array(samples.resident[half:], float) - recorded
    x -= x.mean()
    slope = median_slope(x, y)
    rest = y - slope * x
    from_middle = abs(rest - np.median(rest))
    deviation = 1.4826 * float(np.median(from_middle))  # as of a normal distribution
    error = deviation / math.sqrt(float((x * x).sum()))
    first, part = (max(1, int(share * len(samples.seconds))) for share in (WARM_UP, PART))
    start, end = min(samples.seconds[first : first + part]), min(samples.seconds[-part:])
    return Verdict(
        samples.steps[-1],
        median_slope(x, recorded),
        slope,
        error,
        samples.resident[half],
        samples.resident[-1],
        samples.files[0],
        samples.files[-1],
        end / start,
    )


def median_slope(x: np.ndarray, y: np.ndarray) -> float:
    """The median of the slopes between any two points."""
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def plot(samples: Samples, path: Path) -> None:
    """Memory and the time of a step against the step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (memory, speed) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5))
    memory.plot(samples.steps, np.array(samples.resident) / 1e6)
    memory.set(ylabel="resident memory, MB", ylim=(0, 1.1e-6 * max(samples.resident)))
    speed.plot(samples.steps[1:], np.array(samples.seconds[1:]) * 1e3, linewidth=0.8)
    speed.set(ylabel="time of a step, ms", xlabel="step", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, judge, print; 1 if memory or files grew."""
    parser = common.new_parser(__doc__)
    parser.add_argument(
        "--steps", type=common.at_least(400), default=100_000, help="(default 100000)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw memory and speed")
    common.add_json(parser)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(args.steps, Path(folder))
    verdict = judge(samples)
    print(verdict)
    if args.json is not None:
        figures = {"machine": machine.describe(), **asdict(verdict), "samples": asdict(samples)}
        args.json.write_text(json.dumps(figures) + "\n")
    if args.plot is not None:
        plot(samples, args.plot)
    return 0 if verdict.flat and verdict.files_at_end <= verdict.files_at_start else 1


if __name__ == "__main__":
    sys.exit(main())
