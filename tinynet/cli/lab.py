"""Write parts of tinynet yourself, and see whether they are right, and how fast.

examples:
  tinynet lab                              the exercises
  tinynet lab conv2d --start my_conv.py    a file to begin with: formula, shapes, hints
  tinynet lab conv2d my_conv.py            is it right? how fast? does the digits net learn with it?
  tinynet lab conv2d submissions/          a table of all the files in a folder

A file is held against plain loops over a grid of small cases (the first that fails is shown), its
gradient is checked against finite differences, it is timed beside the loops and the built-in
kernels, and then the digits net is trained with it. In a folder each file runs in a process of
its own, with a time limit and a memory limit. Exit code 0 only if all are right.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli import rows
from tinynet.cli.options import BadArgument, choose, write_result
from tinynet.console import say

if TYPE_CHECKING:
    from tinynet.lab import Exercise

HELP = "exercises: write a convolution (or ReLU, a loss, ...) of your own and have it judged"


OPTIONS = [
    rows.option("name NAME", str, "the exercise; without it: a list", nargs="?"),
    rows.option("path FILE or FOLDER", rows.a_path,
        "your solution, or a folder of solutions", nargs="?"),
    rows.option("--start FILE", rows.a_path,
        "write a file to begin with (default: my_NAME.py); never overwrites one",
        nargs="?", const=Path()),
    rows.option("--train-seconds S", rows.number,
        "about how long the training run may take; 0 leaves it out (default 15)"),
    rows.json_of("the report"),
    "limits for each file of a folder",
    rows.option("--timeout S", rows.positive, "seconds (default 120)"),
    rows.option("--memory MB", rows.integer(1),
        "memory on top of what tinynet itself needs (default 1024)"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """List the exercises, begin one, or judge solutions."""
    if args.name is None:
        return _overview()
    from tinynet.lab import EXERCISES, write_starter

    exercise = EXERCISES[choose("exercise", args.name, EXERCISES)]
    if args.start is not None:
        if args.path is not None:
            raise BadArgument(f"--start writes a new file; to judge {args.path}, leave it out")
        path = args.start if args.start != Path() else Path(f"my_{exercise.name}.py")
        write_starter(exercise, path)
        say(
            f"{path} is there: open it, read how it works, write "
            f"{' and '.join(f'`{name}`' for name in exercise.functions)}. Then",
            "",
            f"  tinynet lab {exercise.name} {path}",
        )
        return 0
    if args.path is None:
        raise BadArgument(
            f"which file? Begin one with `tinynet lab {exercise.name} --start`, then run "
            f"`tinynet lab {exercise.name} my_{exercise.name}.py`"
        )
    if args.path.is_dir():
        return _judge_folder(exercise, args)
    if not args.path.is_file():
        raise BadArgument(
            f"there is no {args.path}; begin it with `tinynet lab {exercise.name} --start "
            f"{args.path}`"
        )
    return _judge_file(exercise, args)


def _overview() -> int:
    from tinynet.lab import EXERCISES

    print("The exercises, from the easiest to the hardest:\n")
    for exercise in EXERCISES.values():
        print(f"  {exercise.name:<15}{exercise.about}")
    print(
        "\nBegin one:   tinynet lab relu --start       writes my_relu.py\n"
        "Judge it:    tinynet lab relu my_relu.py\n"
        "A class:     tinynet lab relu FOLDER         a table of all files in the folder"
    )
    return 0


def _settings(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options that were given; the others keep the defaults of the functions."""
    given = {name: getattr(args, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _judge_file(exercise: Exercise, args: argparse.Namespace) -> int:
    from tinynet.lab import judge

    for option in ("timeout", "memory"):
        if getattr(args, option) is not None:
            raise BadArgument(f"--{option} is for a folder: a single file runs in this process")
    say(f"{exercise.name}: {exercise.about}, by {args.path}", "")
    report = judge(
        exercise,
        args.path,
        tell=lambda text: print(text, flush=True),
        **_settings(args, "train_seconds"),
    )
    write_result(args.json, report.to_dict())
    if report.ok:
        print("\nAll is right.")
        return 0
    print(f"\nNot yet right. {report.problem}")
    if report.detail:
        print("\n" + "\n".join(f"  {line}".rstrip() for line in report.detail.splitlines()))
    return 1


def _judge_folder(exercise: Exercise, args: argparse.Namespace) -> int:
    from tinynet.lab import judge_folder
    from tinynet.lab.folder import submissions
    from tinynet.lab.report import class_table

    count = len(submissions(args.path))
    if not count:
        raise BadArgument(f"there is no .py file in {args.path}")
    reports = []
    settings = _settings(args, "timeout", "memory", "train_seconds")
    for report in judge_folder(exercise, args.path, **settings):
        reports.append(report)
        outcome = "right" if report.ok else "WRONG"
        say(f"{len(reports)} of {count}: {report.file}: {outcome}", error=True)
    print(class_table(reports))
    write_result(
        args.json,
        {"exercise": exercise.name, "submissions": [report.to_dict() for report in reports]},
    )
    return 0 if all(report.ok for report in reports) else 1
