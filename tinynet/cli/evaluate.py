"""Test a trained model and show which classes it mistakes for which.

examples:
  tinynet evaluate                          the newest run, on the test images of its data
  tinynet evaluate runs/digits-digits_cnn
  tinynet evaluate --mistakes 20            with the mistakes of which the model is most sure
  tinynet evaluate model.safetensors --data mnist --data-dir ~/data
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinynet.cli import rows
from tinynet.cli.models import open_run
from tinynet.cli.options import BadArgument, is_unfinished, write_result
from tinynet.cli.plan import check_there, data_root
from tinynet.console import columns, say, shortened, some, visible, watched
from tinynet.nn.shapes import aligned

if TYPE_CHECKING:
    from tinynet.training import Trained
    from tinynet.training.report.findings import Findings

HELP = "test a trained model, class by class"
MOST = 10  # confusions that are listed
NAME = 24  # characters of the name of a class; half of them beside a large matrix


@dataclass(frozen=True)
class Measured:
    """A trained model and what was found of it. on: the examples, in words. data: their name."""

    path: Path
    model: Trained
    findings: Findings
    loss: float
    on: str
    data: str


MEASURED = [
    rows.option("run RUN", rows.a_path,
        "the folder that `tinynet train` wrote, or a checkpoint (default: the newest run)",
        nargs="?"),
    rows.option("--data NAME", rows.data_name,
        "another data set than it was trained on; where it has no test part, all of it is tested"),
    rows.option("--split", ("train", "test"),
        "which part of the data (default: test)", default="test"),
    rows.DATA_DIR,
    rows.OWN_MODEL,
]  # fmt: skip
"""The options that say which model is measured on what."""
OPTIONS = [
    *MEASURED,
    rows.option("--mistakes N", rows.integer(1),
        "list the N mistakes of which the model is most sure", default=0),
    rows.json_of("accuracy, loss, the confusion matrix and the mistakes"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Measure the model and print the table."""
    from tinynet.training.folder import state_of

    measured = measure(args, args.mistakes)
    found = measured.findings
    model = measured.model.name or type(measured.model.network).__name__
    say(f"{measured.path} ({model}) on {measured.data}, {measured.on}")
    if (state := measured.model.checkpoint.run) and is_unfinished(measured.path.parent):
        has_diverged = "diverged" in state_of(measured.path.parent)
        cure = "it diverged" if has_diverged else "`tinynet resume` goes on"
        say(f"not finished: epoch {state['epoch']} of {state['epochs']}; {cure}")
    say("")
    known = {"checkpoint": str(measured.path), "data": measured.data, "split": args.split}
    if not len(found):  # numbers, or several classes at once
        figures = {**found.figures(), "loss": measured.loss}
        say(f"{args.split} " + ", ".join(f"{name} {x:.6g}" for name, x in figures.items()))
        write_result(args.json, {**known, **figures})
        return 0
    say(*_table(found))
    if args.mistakes:
        say("", "the surest mistakes", *(_mistakes(found) or ["none"]))
    say("", f"{args.split} accuracy {100 * found.accuracy():.2f} %, loss {measured.loss:.4f}")
    if args.json is not None:
        result = {
            **known,
            "accuracy": found.accuracy(),
            "loss": measured.loss,
            "classes": list(found.names),
            "confusion_matrix": found.matrix.tolist(),
            "mistakes": [
                {
                    "index": e.index,
                    "place": found.place(e),
                    "class": found.names[e.label],
                    "taken_for": found.names[e.taken_for],
                    "probability": e.sure,
                }
                for e in found.mistakes
            ],
        }
        write_result(args.json, result)
    return 0


def measure(args: argparse.Namespace, mistakes: int) -> Measured:
    """The model that `args` name, and what was found of it, with its `mistakes` surest mistakes."""
    model = open_run(args.run, args.model)
    path = model.checkpoint.path or Path()
    settings = model.checkpoint.settings or {}
    name = args.data or settings.get("data")
    if name is None:
        raise BadArgument(f"{path} does not say what it was trained on: add --data NAME")
    check_there(name, settings)
    dataset = model.dataset(name, args.split, data_root(args.data_dir, settings))
    found, got = model.findings(dataset, mistakes, lambda x: watched(x, "evaluate"))
    if 0 < len(found) < len(dataset):
        raise ValueError(
            f"only {len(found)} of {len(dataset)} examples of {name} have a class that the "
            f"model knows; it has {len(found.matrix)}"
        )
    on = some(len(dataset), f"{args.split} image")
    return Measured(path, model, found, got["loss"], on, name)


def _table(found: Findings) -> list[str]:
    """Accuracy by class, and the confusion matrix beside it; else the most frequent confusions."""
    matrix = found.matrix
    images, hits = matrix.sum(1).tolist(), matrix.diagonal().tolist()
    right = [f"{100 * hit / n:.1f}%" if n else "-" for hit, n in zip(hits, images)]
    least, room = max(3, len(str(matrix.max()))), columns() - len("  100.0%  images")
    left = room - (2 + least) * len(matrix)  # for the names of the rows
    names = _names(found, min(left, NAME) if left >= NAME // 2 else NAME)
    rows = [("", "right", "images"), *zip(names, right, map(str, images))]
    if left < NAME // 2:
        return [*aligned(rows, left=1), *_confusions(found)]
    wide = max(map(len, names))
    head = shortened(names, max(least, min(wide, (room - wide) // len(names) - 2)))
    counts = [[str(n or ".") for n in row] for row in matrix.tolist()]
    table = aligned([(*row, *more) for row, more in zip(rows, [head, *counts])], left=1)
    return ["rows are what it is, columns what it is taken for", *table]


def _names(found: Findings, width: int) -> list[str]:
    """The names of the classes as the terminal can show them, and no wider."""
    return shortened([visible(name, sys.stdout) for name in found.names], width)


def _confusions(found: Findings) -> list[str]:
    """The most frequent confusions, with how often each came."""
    short = dict(zip(found.names, _names(found, NAME)))
    rows = [
        (short[is_], "taken for", short[taken], some(n, "time"), f"{100 * share:.1f} %")
        for is_, taken, n, share in found.confusions(MOST)
    ]
    return ["", "the most frequent confusions", *aligned(rows, left=3)] if rows else []


def _mistakes(found: Findings) -> list[str]:
    """Each mistake on a line, with the file that it was read from on a line of its own."""
    names = _names(found, 18)
    wide = max(map(len, names))
    lines = []
    for e in found.mistakes:
        pair = f"{names[e.label]:{wide}} taken for {names[e.taken_for]:{wide}}"
        lines.append(f"image {e.index:5d}  {pair} {100 * e.sure:6.2f} %")
        if found.files:
            lines.append(f"  {found.place(e)}")
    return lines
