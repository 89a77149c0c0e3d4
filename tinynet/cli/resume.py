"""Go on with a run that was interrupted, bit for bit as if it never had been.

examples:
  tinynet resume runs/digits-digits_cnn
  tinynet train --data mnist --out runs/a --resume      begins it if there is none yet
  tinynet resume runs/a --from runs/a/best.safetensors  if the last checkpoint was damaged

A run whose last checkpoint is gone does not begin anew.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from tinynet.cli import rows
from tinynet.cli.options import LAST, BadArgument, is_finished
from tinynet.cli.plan import load_data, make_plan, recorded_settings, resumed_settings
from tinynet.cli.ranks import together
from tinynet.cli.train import train_plan
from tinynet.errors import CheckpointError

HELP = "go on with a run that was interrupted"


OPTIONS = [
    rows.RUN_FOLDER,
    rows.option("--from CHECKPOINT", rows.a_path,
        "go on from this checkpoint of the run (default: the last)", dest="start"),
    rows.option("--epochs N", rows.integer(1), "go on with a finished run for more"),
    *rows.MOVED,
    rows.DATA_DIR,
    rows.json_of("settings, history, test accuracy and seconds"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train what is left."""
    began = time.perf_counter()
    with together(args) as ranks:
        try:
            settings = ranks.from_first(lambda: _recorded(args))
            train, test = ranks.after_first(
                lambda: load_data(settings["data"], args.data_dir, settings)
            )
            plan = make_plan(settings, train, test, resume=True)
            return train_plan(plan, args.run, args.start or True, began, args.json)
        except CheckpointError as error:
            raise CheckpointError(f"{error}{_others(args.run, args.start, error)}") from error


def _recorded(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the run."""
    settings = recorded_settings(args.run, args.start)
    if settings is None:
        raise BadArgument(f"there is no run in {args.run}; begin one: tinynet train")
    return resumed_settings(settings, vars(args), is_finished(args.run, start=args.start))


def _others(folder: Path, start: Path | None, error: Exception) -> str:
    """How to go on from another checkpoint, the newest, if the one that was used is damaged."""
    from tinynet.training.folder import kept_in

    used = start or folder / LAST
    others = [path for path in kept_in(folder) if path.name != used.name]
    if not others or not str(error).startswith(str(used)):  # it is whole, and does not fit
        return ""
    cure = f"tinynet resume {folder} --from {others[-1]}"
    return f"\ngo on from another checkpoint of the run:\n  {cure}"
