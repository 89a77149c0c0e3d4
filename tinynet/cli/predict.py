"""Say what a trained model sees in image files. Needs Pillow: pip install "tinynet-cnn[images]"

examples:
  tinynet predict seven.png                       with the newest finished run in runs/
  tinynet predict runs/mnist-lenet5 a.png b.jpg   with that run
  tinynet predict runs/pets photos/ --csv pets.csv    all images in a folder, as a table
  tinynet predict photo.jpg --fit pad             the whole photo, not its middle

Images are resized to what the model was trained on, with their aspect ratio kept, and made grey or
coloured as it needs. For a model of light strokes on a dark ground, as MNIST's, a photo of pen on
paper is turned round, and the figure is scaled and centred as in the training images; --as-is
switches that off.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import Any

from tinynet.cli.models import add_model, open_run
from tinynet.cli.options import (
    FITS,
    BadArgument,
    a_path,
    add_json,
    integer,
    is_run,
    write_result,
)
from tinynet.console import say

HELP = "say what a trained model sees in image files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet predict`."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=a_path,
        metavar="[RUN] IMAGE",
        help="image files, or folders of them; before them, if it is not the newest in runs/, the "
        "folder that `tinynet train` wrote, or a checkpoint",
    )
    parser.add_argument(
        "--top",
        type=integer(1),
        default=3,
        metavar="K",
        help="show the K most likely classes (default 3)",
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        help="an image of another aspect ratio: crop to its middle, pad, or stretch (default: as "
        "the training images were, else crop)",
    )
    parser.add_argument("--invert", action="store_true", help="swap dark and light first")
    parser.add_argument(
        "--as-is", action="store_true", help="leave photos of strokes as they are, but for the size"
    )
    add_model(parser, "the class of a model of your own, if the run does not know it")
    parser.add_argument(
        "--csv", type=a_path, metavar="FILE", help="write image, class and probability as a table"
    )
    add_json(parser, "the probabilities of every class")


def run(args: argparse.Namespace) -> int:
    """Print the most likely classes of every image."""
    images = list(args.paths)
    run_path = images.pop(0) if is_run(images[0]) else None
    if not images:
        raise BadArgument(f"{run_path} is a model; add the images: tinynet predict RUN IMAGE...")
    if args.csv is not None and args.csv.exists() and args.csv.suffix.lower() != ".csv":
        raise BadArgument(f"cannot write {args.csv}: its name is not that of a CSV file")
    model = open_run(run_path, args.model)
    batch = model.batch(images, fit=args.fit, as_is=args.as_is, invert=args.invert)
    predictions = model.predictions(batch)
    if run_path is None:
        say(f"model: {model.checkpoint.path}")
    say(f"images: {'; '.join(batch.done)}")
    for found in predictions:
        best = list(found.probabilities.items())[: args.top]
        say(f"{found.source}  " + "  ".join(f"{name} {100 * p:.1f} %" for name, p in best))
    if args.csv is not None:
        _write_csv(args.csv, predictions)
    write_result(args.json, _as_json(predictions))
    return 0


def _as_json(predictions: list[Any]) -> list[dict[str, Any]]:
    return [
        {"image": found.source, "class": found.label, "probabilities": found.probabilities}
        for found in predictions
    ]


def _write_csv(file: Path, predictions: list[Any]) -> None:
    from tinynet.training.files import atomic_write

    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["image", "class", "probability"])
    writer.writerows([p.source, p.label, f"{p.probability:.6f}"] for p in predictions)
    with atomic_write(file) as stream:
        stream.write(table.getvalue().encode())
