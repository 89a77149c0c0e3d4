"""Test a trained model and show which classes it mistakes for which.

examples:
  tinynet evaluate                          the newest run, on the test images of its data
  tinynet evaluate runs/digits-digits_cnn
  tinynet evaluate model.safetensors --data mnist --data-dir ~/data
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tinynet.cli.models import add_model, open_run
from tinynet.cli.options import (
    RECORD,
    BadArgument,
    a_path,
    add_data_dir,
    add_json,
    write_result,
)
from tinynet.console import say, visible

if TYPE_CHECKING:
    import numpy as np

HELP = "test a trained model, class by class"
WIDEST = 20  # classes; a larger confusion matrix fits on no screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet evaluate`."""
    parser.add_argument(
        "run",
        nargs="?",
        type=a_path,
        metavar="RUN",
        help="the folder that `tinynet train` wrote, or a checkpoint (default: the newest run)",
    )
    parser.add_argument("--data", metavar="NAME", help="another data set than it was trained on")
    parser.add_argument(
        "--split",
        choices=("train", "test"),
        default="test",
        help="which part of the data (default: test)",
    )
    add_data_dir(parser)
    add_model(parser, "the class of a model of your own, if the run does not know it")
    add_json(parser, "accuracy, loss and the confusion matrix")


def run(args: argparse.Namespace) -> int:
    """Measure the model and print the table."""
    from tinynet import data

    model = open_run(args.run, args.model)
    path = model.checkpoint.path or Path()
    name = args.data or _data_of(path)
    dataset = data.load(name, args.split, root=args.data_dir)
    measured = model.evaluate(dataset)
    matrix, accuracy = measured["confusion_matrix"], measured["accuracy"]
    names = dataset.classes or tuple(str(k) for k in range(len(matrix)))
    say(f"{path} ({model.name}) on {name}, {len(dataset)} {args.split} images", "")
    say(*_table(matrix, [visible(name, sys.stdout) for name in names]))
    say("", f"{args.split} accuracy {100 * accuracy:.2f} %, loss {measured['loss']:.4f}")
    if args.json is not None:
        result = {
            "checkpoint": str(path),
            "data": name,
            "split": args.split,
            "accuracy": accuracy,
            "loss": measured["loss"],
            "classes": list(names),
            "confusion_matrix": matrix.tolist(),
        }
        write_result(args.json, result)
    return 0


def _data_of(checkpoint: Path) -> str:
    """The data set that the run beside this checkpoint was trained on."""
    from tinynet.data.files import open_file

    record = checkpoint.parent / RECORD
    try:
        with open_file(record) as stream:
            return str(json.load(stream)["settings"]["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadArgument(
            f"{record} does not say what {checkpoint.name} was trained on: add --data NAME"
        ) from error


def _table(matrix: np.ndarray, names: list[str]) -> list[str]:
    """Accuracy by class, and the confusion matrix beside it where it fits."""
    wide = max(len(name) for name in names)
    cell = max(4, len(str(matrix.max())) + 1)
    fits = len(names) <= WIDEST
    lines = [f"{'':{wide}}  right  images" + "   taken for" * fits]
    if fits:
        lines.append(" " * (wide + 15) + "".join(f"{name[: cell - 1]:>{cell}}" for name in names))
    for k, name in enumerate(names):
        count = int(matrix[k].sum())
        right = f"{100 * matrix[k, k] / count:5.1f}%" if count else "     -"
        line = f"{name:{wide}} {right}  {count:6d}"
        if fits:
            line += "".join(f"{n if n else '.':>{cell}}" for n in matrix[k])
        lines.append(line)
    return lines
