"""Look at a training before it starts, and say what is wrong with it.

examples:
  tinynet doctor                                 what `tinynet train` would train
  tinynet doctor --model vgg11 --data cifar10 --lr 0.05
  tinynet doctor --file my_train.py:make         a training of your own

make() is a function without arguments in your file. It returns what `tinynet.doctor` takes: a
dict with model and batch, and if you like loss, optimizer, step and validate; or a tuple
(model, batch, optimizer). The batch is a DataLoader, or a pair (x, target). A short training is
tried on copies: nothing of yours is changed. Exit code 1 if there is a finding.
"""

import argparse
import inspect
from typing import Any

from tinynet.cli import rows
from tinynet.cli.options import BadArgument, choose, write_result
from tinynet.cli.plan import DEFAULT_DATA, asked_for, load_data, make_plan, new_settings
from tinynet.console import announced

HELP = "find what is wrong with a training before it starts"


OPTIONS = [
    rows.option("--file FILE:FUNCTION", str, "your own training, such as my_train.py:make"),
    rows.DATA, rows.SIZE, rows.FIT, rows.DATA_DIR,
    rows.MODEL, rows.BATCH_SIZE, rows.OPTIMIZER, rows.LR,
    rows.option("--steps N", rows.integer(0),
        "steps of a short training (default 60; 0 leaves it out)", default=60),
    rows.option("--seed N", rows.integer(0), "fixes weights and batch (default 0)", default=0),
    rows.json_of("the report"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Look, and print the report."""
    from tinynet.teaching import doctor

    given = _from_file(args) if args.file else _known(args)
    with announced(f"looking at the training, with up to {args.steps} steps on trial"):
        report = doctor(**given, probe_steps=args.steps)
    print(report)
    write_result(args.json, report.to_dict())
    return 0 if report else 1


def _from_file(args: argparse.Namespace) -> dict[str, Any]:
    """What the user's own function returns, as arguments of `doctor`."""
    from tinynet.random import manual_seed

    for name in ("data", "size", "fit", "model", "batch_size", "optimizer", "lr"):
        if getattr(args, name) is not None:
            option = "--" + name.replace("_", "-")
            raise BadArgument(f"{option} is for known models; {args.file} brings its own")
    make = load_function(args.file)
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise BadArgument(f"{args.file} is called without arguments: {error}") from error
    manual_seed(args.seed)
    made = make()
    if isinstance(made, tuple) and 2 <= len(made) <= 3:
        made = dict(zip(("model", "batch", "optimizer"), made))
    known = {"model", "batch", "loss", "optimizer", "step", "validate"}
    if not isinstance(made, dict) or not {"model", "batch"} <= set(made) <= known:
        what = f"a dict with {', '.join(made)}" if isinstance(made, dict) else type(made).__name__
        raise ValueError(
            f"{args.file} returned {what}; return a dict with model and batch, and if you like "
            "loss, optimizer, step and validate, or a tuple (model, batch, optimizer)"
        )
    return made


def load_function(place: str) -> Any:
    """The function at FILE:FUNCTION; BadArgument where there is none."""
    from pathlib import Path

    from tinynet.cli.python_file import load

    file, colon, name = place.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise BadArgument(f"{place!r} is no FILE.py:FUNCTION, such as my_train.py:make")
    found = vars(load(Path(file)))
    functions = [n for n, f in found.items() if callable(f) and (n == name or n[:1] != "_")]
    return found[choose("function", name, functions, f"{file}: ")]


def _known(args: argparse.Namespace) -> dict[str, Any]:
    """A known model, a batch of known data and an optimizer, as `tinynet train` has them."""
    from tinynet.data import DataLoader
    from tinynet.training import make_optimizer

    asked = asked_for(args)
    parts = load_data(asked.get("data", DEFAULT_DATA), args.data_dir)
    plan = make_plan(new_settings(asked, *parts), *parts)
    s, transform = plan.settings, plan.transform
    return {
        "model": plan.model,
        "batch": DataLoader(
            plan.train, s["batch_size"], shuffle=True, seed=s["seed"], transform=transform
        ),
        "validate": DataLoader(plan.test, 256, transform=transform),
        "optimizer": make_optimizer(
            s["optimizer"], plan.model.parameters(), s["lr"], s["weight_decay"]
        ),
    }
