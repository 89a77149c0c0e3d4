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
from collections import Counter
from typing import TYPE_CHECKING, Any

from tinynet.cli import options, rows
from tinynet.cli.models import open_run
from tinynet.cli.options import FITS, STDOUT, BadArgument, is_run
from tinynet.console import say

if TYPE_CHECKING:
    from tinynet.training import Prediction

HELP = "say what a trained model sees in image files"


OPTIONS = [
    rows.option("paths [RUN] IMAGE", rows.a_path,
        "image files, or folders of them; before them, if it is not the newest in runs/, the "
        "folder that `tinynet train` wrote, or a checkpoint", nargs="+"),
    rows.option("--top K", rows.integer(1),
        "show the K most likely classes (default 3)", default=3),
    rows.option("--fit", FITS,
        "an image of another aspect ratio: crop to its middle, pad, or stretch (default: as the "
        "training images were, else crop)"),
    rows.option("--invert", None, "swap dark and light first"),
    rows.option("--as-is", None, "leave photos of strokes as they are, but for the size"),
    rows.OWN_MODEL,
    rows.option("--csv FILE", rows.a_path,
        "write image, class, probability and what was done to it as a table; - prints it"),
    rows.json_of("the probabilities of every class, or the map of classes"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the most likely classes of every image."""
    import numpy as np

    images = list(args.paths)
    are_images = len(images) == 1 and images[0].suffix.lower() == ".npz"  # and not weights
    run_path = images.pop(0) if is_run(images[0]) and not are_images else None
    if not images:
        raise BadArgument(f"{run_path} is a model; add the images: tinynet predict RUN IMAGE...")
    if run_path is None and not images[0].exists():
        raise BadArgument(f"there is no image, folder or run {images[0]}")
    if later := [path for path in images if path.is_dir() and is_run(path)]:
        raise BadArgument(f"{later[0]} is a run, which comes first: tinynet predict RUN IMAGE...")
    if args.csv == args.json == STDOUT:
        raise BadArgument("--csv - and --json -: one of them is printed; name a file for the other")
    options.check_output(args.csv, kind="CSV")
    model = open_run(run_path, args.model)
    broken: list[str] = []
    batch = model.batch(images, fit=args.fit, as_is=args.as_is, invert=args.invert, broken=broken)
    predictions = model.predictions(batch)
    if run_path is None:
        say(f"model: {model.checkpoint.path}")
    kinds = Counter(batch.done).most_common()
    for note, count in kinds:
        say(f"images{f', {count} of {len(batch.done)}' * (len(kinds) > 1)}: {note}")
    result = []
    for found, note in zip(predictions, batch.done):
        best = list(found.probabilities.items())[: args.top]
        told = "  ".join(f"{name} {100 * p:.1f} %" for name, p in best) or found.label
        if found.map is not None:
            share = (found.map == np.bincount(found.map.ravel()).argmax()).mean()
            told += f" at {100 * share:.1f} % of {'x'.join(map(str, found.map.shape))} places"
        say(f"{found.source}  {told}", *([] if note == kinds[0][0] else [f"  {note}"]))
        seen: dict[str, Any] = {"class": found.label, "probabilities": found.probabilities}
        seen = {"values": found.values} if found.values else seen
        seen = {"class": found.label, "map": found.map.tolist()} if found.map is not None else seen
        result.append({"image": found.source, **seen, "done": note})
    options.write_text(args.csv, _as_csv(predictions, batch.done))
    options.write_result(args.json, result)
    for error in broken:
        say(f"tinynet predict: left out: {error}", error=True)
    return int(bool(broken))


def _as_csv(predictions: list[Prediction], done: list[str]) -> str:
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(options.HEADS[predictions[0].probability is None])
    for p, note in zip(predictions, done):
        sure = [] if p.probability is None else [f"{p.probability:.6f}"]
        writer.writerow([p.source, p.label, *sure, note])
    return table.getvalue().rstrip("\n")
