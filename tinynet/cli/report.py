"""Write what a run has learned into one HTML file: open it in a browser, mail it, print it.

examples:
  tinynet report                            the newest run: runs/NAME/report.html
  tinynet report runs/digits-digits_cnn
  tinynet report model.safetensors --data mnist --out mnist.html

`tinynet train` writes the same after every epoch: learning curves, which classes are mistaken for
which, the surest mistakes as images, what the model looks at, its layers, settings and versions.
"""

import argparse

from tinynet.cli import rows
from tinynet.cli.evaluate import MEASURED, measure
from tinynet.cli.options import REPORT
from tinynet.console import say

HELP = "show what a run has learned, in one HTML file"


OPTIONS = [
    *MEASURED,
    rows.option(
        "--out FILE", rows.a_path, f"write it here (default: {REPORT} beside the checkpoint)"
    ),
]


def run(args: argparse.Namespace) -> int:
    """Measure the model and write the page."""
    from tinynet.training.report import writer
    from tinynet.training.report.findings import MISTAKES

    measured = measure(args, MISTAKES)
    folder = measured.path.parent
    file = args.out or folder / REPORT
    stored, on = measured.model.checkpoint, measured.on
    if measured.data != (stored.settings or {}).get("data"):
        on += f" of {measured.data}"
    contents = writer.of_checkpoint(folder, stored, measured.model.network, measured.findings, on)
    writer.write(file, contents)
    say(f"{file}: open it in a browser")
    return 0
