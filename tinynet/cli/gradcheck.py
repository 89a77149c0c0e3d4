"""Check gradients against finite differences, and say what is wrong: operation, argument, cause.

examples:
  tinynet gradcheck                            the small CNN for digits
  tinynet gradcheck --model lenet5             every parameter of a model
  tinynet gradcheck --model runs/pets          of the model of a run
  tinynet gradcheck --file my_op.py:my_conv    an operation of yours
  tinynet gradcheck --all                      every operation of tinynet
  tinynet gradcheck --all --order 2            the gradients of their gradients

--file takes a function under @tinynet.differentiable, an autograd.Function, or a function that
stands in for a kernel, such as
conv2d_dw(dy, x, kernel, stride, padding, dilation, groups). Without :NAME every operation in the
file is checked. Inputs are guessed from the names of the parameters (x, w, b, stride, padding,
kernel_size, target, ...); INPUTS = (x, w, 2) in the file gives them.
Exit code 1 if a gradient is wrong, or an operation could not be checked.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from tinynet.cli import rows
from tinynet.cli.options import STDOUT, BadArgument, write_result
from tinynet.console import announced

if TYPE_CHECKING:
    from tinynet.gradcheck import Report

HELP = "check the gradients of a model or an operation, and say what is wrong"


OPTIONS = [
    [
        rows.option("--model NAME", str,
            "a model (default: digits_cnn), or FILE.py:CLASS; or the folder of a run"),
        rows.option("--file FILE[:NAME]", str, "an operation in a Python file"),
        rows.option("--all", None, "every operation of tinynet"),
    ],
    rows.option("--order N", rows.integer(1), "with --all: 2 for gradients of gradients"),
    rows.SHAPE,
    rows.option("--seed N", rows.integer(0),
        "fixes weights, inputs and directions (default 0)", default=0),
    rows.option("--json FILE", rows.a_path,
        "write the report to FILE as JSON; without FILE print it instead of the text",
        nargs="?", const=STDOUT),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Check and print the report."""
    if args.shape is not None and (args.file or args.all):
        raise BadArgument("--shape is the shape of a model's images; it goes with --model")
    if args.order is not None and not args.all:
        raise BadArgument("--order goes with --all; in Python: tinynet.gradcheck(f, x, order=2)")
    if args.file:
        from tinynet.cli.user_file import check_file

        found = check_file(args.file, args.seed)
    else:
        found = _all(args) if args.all else [_model(args)]
    reports = [report for report in found if not isinstance(report, str)]
    if args.json != STDOUT:
        for told in found:
            if isinstance(told, str) or not (args.all and told):  # of so many, those that are wrong
                print(told)
    data = [report.to_dict() for report in reports]
    write_result(args.json, data[0] if len(data) == 1 else {"ok": all(reports), "reports": data})
    unchecked = any(isinstance(told, str) and told.startswith("error:") for told in found)
    return 0 if reports and all(reports) and not unchecked else 1


def _model(args: argparse.Namespace) -> Report:
    from tinynet.cli.models import built
    from tinynet.creation import randint, randn
    from tinynet.gradcheck import gradcheck_model
    from tinynet.random import manual_seed

    name = args.model or "digits_cnn"
    manual_seed(args.seed)
    model, shape = built(name, args.shape, num_classes=10)
    model.train()
    x = randn(4, *shape)
    scores: tuple[int, ...] = getattr(model(x), "shape", ())
    is_classifier = len(scores) > 1 and scores[1] > 1
    batch = (x, randint(0, scores[1], (4, *scores[2:]))) if is_classifier else x
    with announced(f"comparing the gradients of {name} with finite differences"):
        report = gradcheck_model(model, batch, seed=args.seed)
    report.op = name
    return report


def _all(args: argparse.Namespace) -> list[Report | str]:
    """The report of every row of the table of operations, and a line for each operation."""
    import numpy as np

    from tinynet.creation import tensor
    from tinynet.gradcheck.check import checked
    from tinynet.gradcheck.table import table

    start = time.perf_counter()
    by_op: dict[str, list[Report]] = {}
    for row in table(np.random.default_rng(args.seed)):
        inputs = [tensor(x) for x in row.inputs]
        report = checked(row.function(), inputs, order=args.order or 1, seed=args.seed)
        by_op.setdefault(row.op.rpartition(".")[2].lstrip("_"), []).append(report)
    reports = [report for found in by_op.values() for report in found]
    lines = [
        f"{op:34s} {len(found):3d} {'case ' if len(found) == 1 else 'cases'}   "
        + ("agree" if all(found) else "WRONG")
        for op, found in by_op.items()
    ]
    wrong = sum(not report for report in reports)
    verdict = f"{wrong} are WRONG" if wrong else "all gradients agree"
    seconds = f"({time.perf_counter() - start:.1f} s)"
    lines.append(f"{len(by_op)} operations, {len(reports)} cases: {verdict} {seconds}")
    return [*reports, *lines]
