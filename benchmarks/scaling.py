"""How the time of a training step grows: with batch, image side, channels, depth, threads.

examples:
  python -m benchmarks.scaling --plot scaling.png
  python -m benchmarks.scaling --vary batch,threads --against torch --json figures.json

One quantity varies, the others stay: a stack of 2 convolutions 3x3 of 16 channels on images of
32x32, batch 16, with the threads that are given. The exponent p of time ~ size^p is fitted to the
four largest sizes: 1 is proportional. From theory it is 1 for batch and depth, 2 for the side,
and from 1 to 2 for the channels. PyTorch is measured too with --against torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import common, frameworks, machine
from benchmarks.common import exponent, note, short, table
from benchmarks.nets import stack
from benchmarks.turns import race

BASE = {"batch": 16, "side": 32, "channels": 16, "depth": 2}
SIZES = {
    "batch": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    "side": [8, 16, 32, 64, 128],
    "channels": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "depth": [1, 2, 4, 8, 16, 32, 64],
    "threads": [1, 2],
}
FITTED = 4  # how many of the largest sizes

Curves = dict[str, dict[str, list[float]]]
"""Milliseconds a step by quantity and contestant, in the order of SIZES."""


def make_step(
    framework: str, variant: str, threads: int, batch: int, side: int, channels: int, depth: int
) -> Callable[[], None]:
    """The training step at one point, made inside the worker."""
    loaded = frameworks.load(framework, variant, threads)
    batches = frameworks.random_batches(1, batch, (channels, side, side), 10)
    return frameworks.training_step(loaded, stack(loaded.nn, channels, depth, side), batches)


def measure(
    quantities: Sequence[str], contestants: dict[str, dict[str, Any]], rounds: int, seconds: float
) -> Curves:
    """The times of every contestant at every size of every quantity."""
    curves: Curves = {}
    for quantity in quantities:
        curves[quantity] = {label: [] for label in contestants}
        for size in SIZES[quantity]:
            settings = {
                label: {**BASE, **who, quantity: size} for label, who in contestants.items()
            }
            results = race("benchmarks.scaling:make_step", settings, rounds, seconds)
            for label, result in results.items():
                curves[quantity][label].append(result.median_ms)
            note(
                f"{quantity} {size}  "
                + "  ".join(f"{r.median_ms:.3g} ms" for r in results.values())
            )
    return curves


def report(curves: Curves) -> str:
    """A table for each quantity: the times, and the exponent or for threads the speed-up."""
    parts = []
    for quantity, by_contestant in curves.items():
        sizes = SIZES[quantity]
        last = "speed-up" if quantity == "threads" else "exponent"
        rows = []
        for label, times in by_contestant.items():
            if quantity == "threads":
                found = times[0] / times[-1]
            else:
                found = exponent(sizes[-FITTED:], times[-FITTED:])
            rows.append([label, *map(short, times), f"{found:.2f}"])
        parts.append(table([f"{quantity}, ms", *map(str, sizes), last], rows))
    return "\n\n".join(parts)


def plot(curves: Curves, path: Path) -> None:
    """Both axes logarithmic, a panel for each quantity. Needs matplotlib."""
    try:
        import matplotlib
    except ImportError as error:
        raise SystemExit('--plot needs matplotlib: pip install "tinynet-cnn[plot]"') from error
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator

    figure, panels = pyplot.subplots(
        1, len(curves), figsize=(3.4 * len(curves), 3.4), squeeze=False, layout="constrained"
    )
    for panel, (quantity, by_contestant) in zip(panels[0], curves.items()):
        for label, times in by_contestant.items():
            panel.plot(SIZES[quantity], times, "o-", markersize=3, label=label)
        panel.set(xscale="log", yscale="log", xlabel=quantity, ylabel="ms a step")
        panel.set_xticks(SIZES[quantity], [str(n) for n in SIZES[quantity]], fontsize=6)
        panel.xaxis.set_minor_locator(NullLocator())
        panel.grid(alpha=0.3)
    panels[0][0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    note(f"written: {path}")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and plot."""
    parser = common.new_parser(__doc__)
    parser.add_argument(
        "--vary",
        type=common.names("quantity", SIZES),
        default=list(SIZES),
        metavar="LIST",
        help=f"of {', '.join(SIZES)} (default: all)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (.png, .svg)")
    common.add_contestants(parser)
    parser.set_defaults(against="nothing")
    common.add_rounds(parser, rounds=3, seconds=0.3)
    common.add_json(parser)
    args = parser.parse_args(argv)
    contestants = common.resolve_contestants(parser, args)
    curves = measure(args.vary, contestants, args.rounds, args.seconds)
    print(report(curves))
    if args.plot:
        plot(curves, args.plot)
    common.write_json(args.json, {"machine": machine.describe(), "sizes": SIZES, "ms": curves})


if __name__ == "__main__":
    main()
