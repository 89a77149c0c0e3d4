"""Go on with a run that was interrupted, to the bit as if it never had been.

examples:
  tinynet resume runs/digits-digits_cnn
  tinynet train --data mnist --out runs/a --resume      begins it if there is none yet

A run that was stopped before anything was saved begins anew, with its own settings.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tinynet.cli.options import BadArgument, add_data_dir, add_json
from tinynet.cli.plan import load_data, make_plan, recorded_settings
from tinynet.cli.train import train_plan

HELP = "go on with a run that was interrupted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet resume`."""
    parser.add_argument("run", type=Path, metavar="DIR", help="the folder of the run, its --out")
    add_data_dir(parser)
    add_json(parser, "settings, history, test accuracy and seconds")


def run(args: argparse.Namespace) -> int:
    """Train what is left."""
    start = time.perf_counter()
    settings = recorded_settings(args.run)
    if settings is None:
        raise BadArgument(f"there is no run in {args.run}; begin one: tinynet train")
    train, test = load_data(settings["data"], args.data_dir)
    return train_plan(make_plan(settings, train, test), args.run, True, start, args.json)
