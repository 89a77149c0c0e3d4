"""What every benchmark needs: arguments, statistics, tables, JSON.

Imports neither framework at the top, since PyTorch's worker processes import this too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# ----- arguments ----------------------------------------------------------------------------------


def new_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that prints a module's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def names(kind: str, known: Iterable[str]) -> Callable[[str], list[str]]:
    """An argparse type: names separated by commas, each of them known."""
    known = list(known)

    def parse(text: str) -> list[str]:
        from tinynet.errors import unknown_name

        chosen = [name.strip() for name in text.split(",") if name.strip()]
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(str(unknown_name(kind, name, known)))
        if not chosen:
            raise argparse.ArgumentTypeError(f"no {kind} given. Known: {', '.join(known)}")
        return chosen

    return parse


def at_least(least: int) -> Callable[[str], int]:
    """An argparse type: an integer of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of {least} or more")
        return int(text)

    return parse


def sizes(text: str) -> list[int]:
    """An argparse type: integers of 1 or more, separated by commas."""
    return [at_least(1)(part.strip()) for part in text.split(",")]


def add_list(
    parser: argparse.ArgumentParser, kind: str, known: Iterable[str], default: Iterable[str]
) -> None:
    """An option such as --nets: names of a kind, separated by commas."""
    known, default = list(known), list(default)
    shown = "all" if default == known else ",".join(default)
    parser.add_argument(
        f"--{kind}s",
        type=names(kind, known),
        default=default,
        metavar="LIST",
        help=f"of {', '.join(known)} (default: {shown})",
    )


def add_batch(
    parser: argparse.ArgumentParser,
    default: Sequence[int],
    option: str = "--batch",
    what: str = "batch sizes",
) -> None:
    """The option --batch."""
    parser.add_argument(
        option,
        type=sizes,
        default=list(default),
        metavar="LIST",
        help=f"{what} (default {','.join(map(str, default))})",
    )


def add_seeds(parser: argparse.ArgumentParser, default: int) -> None:
    """The option --seeds."""
    parser.add_argument(
        "--seeds",
        type=at_least(1),
        default=default,
        metavar="N",
        help=f"how many seeds, from 0 on (default {default})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option --json."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """The option --data-dir."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help="the folder that has mnist/ (default: $TINYNET_DATA, else ~/.cache/tinynet)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """The option --threads."""
    parser.add_argument(
        "--threads",
        type=at_least(1),
        default=2,
        metavar="N",
        help="threads of each framework (default 2)",
    )


def add_contestants(parser: argparse.ArgumentParser) -> None:
    """The options --kernels, --against and --threads: who is measured."""
    parser.add_argument(
        "--kernels",
        type=names("kernel set", ("numpy", "numba")),
        metavar="LIST",
        help="tinynet's kernel sets: numpy,numba (default: those that are installed)",
    )
    parser.add_argument(
        "--against",
        choices=("torch", "nothing"),
        help="the peer (default: torch if it is installed)",
    )
    add_threads(parser)


def add_rounds(parser: argparse.ArgumentParser, rounds: int, seconds: float | None) -> None:
    """The options --rounds and, where a turn is made of many steps, --seconds."""
    parser.add_argument(
        "--rounds",
        type=at_least(1),
        default=rounds,
        metavar="N",
        help=f"how often each process has its turn (default {rounds})",
    )
    if seconds is not None:
        parser.add_argument(
            "--seconds",
            type=float,
            default=seconds,
            metavar="X",
            help=f"length of a turn (default {seconds})",
        )


def resolve_contestants(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Who takes part, by label: what `frameworks.load` takes. Exits where one is missing.

    >>> args = argparse.Namespace(kernels=["numpy"], against="nothing", threads=2)
    >>> resolve_contestants(new_parser(None), args)
    {'tinynet numpy': {'framework': 'tinynet', 'variant': 'numpy', 'threads': 2}}
    """
    from tinynet import kernels

    installed = kernels.available()
    for name in args.kernels or ():
        if name not in installed:
            parser.error(
                f"the kernel set {name!r} is not available here (there is: "
                f'{", ".join(installed)}); pip install "tinynet-cnn[fast]"'
            )
    torch_there = importlib.util.find_spec("torch") is not None
    if args.against == "torch" and not torch_there:
        parser.error("--against torch: PyTorch is not installed; pip install torch")
    if args.against is None and not torch_there:
        note("PyTorch is not installed, so tinynet is measured alone; pip install torch")
    variants = [("tinynet", name) for name in args.kernels or installed[1:]]  # all but plain
    if torch_there and args.against != "nothing":
        variants += [("torch", "contiguous"), ("torch", "channels_last")]
    return {
        f"{framework} {variant}": {
            "framework": framework,
            "variant": variant,
            "threads": args.threads,
        }
        for framework, variant in variants
    }


def note(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


# ----- statistics ---------------------------------------------------------------------------------


def round_ratios(own: Sequence[float], peers: Iterable[Sequence[float]]) -> list[float]:
    """For each round, the time of the fastest peer over our own: above 1 we are faster.

    >>> round_ratios([2.0, 2.0], [[4.0, 6.0], [5.0, 3.0]])
    [2.0, 1.5]
    """
    return [min(theirs) / ours for ours, *theirs in zip(own, *peers)]


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The p of time ~ size^p: the slope of the straight line through the logarithms.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    logs = [math.log(n) for n in sizes], [math.log(t) for t in times]
    return statistics.linear_regression(*logs).slope


# ----- output -------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], left: int = 1) -> str:
    """A Markdown table that is aligned as text too; the first `left` columns to the left.

    >>> print(table(["net", "ms"], [["lenet", 6.25], ["vgg", 115]]))
    | net   |   ms |
    |:------|-----:|
    | lenet | 6.25 |
    | vgg   |  115 |
    """
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]

    def text(line: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        )
        return "| " + " | ".join(cells) + " |"

    rule = (
        ":" + "-" * (width + 1) if i < left else "-" * (width + 1) + ":"
        for i, width in enumerate(widths)
    )
    return "\n".join([text(lines[0]), "|" + "|".join(rule) + "|", *map(text, lines[1:])])


def short(value: float | None) -> str:
    """Three digits, or a dash for nothing.

    >>> short(0.12345), short(7.0), short(1234.5), short(None)
    ('0.123', '7.00', '1234', '-')
    """
    if value is None:
        return "-"
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def write_json(path: Path | None, record: Any) -> None:
    """Write `record` to `path`; nothing for None."""
    if path is not None:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        note(f"written: {path}")
