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

from __future__ import annotations

import argparse
import inspect
import math
from typing import Any

from tinynet.cli.options import (
    FITS,
    BadArgument,
    add_data_dir,
    add_json,
    check_data,
    choose,
    data_name,
    integer,
    positive,
    write_result,
)
from tinynet.cli.plan import DATA, rate_for, sized

HELP = "find what is wrong with a training before it starts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet doctor`."""
    parser.add_argument(
        "--file", metavar="FILE:FUNCTION", help="your own training, such as my_train.py:make"
    )
    parser.add_argument(
        "--data",
        type=data_name,
        metavar="NAME",
        help="as for `tinynet train` (default: digits)",
    )
    parser.add_argument("--size", metavar="N[xM]", help="as for `tinynet train`")
    parser.add_argument("--fit", choices=FITS, help="as for `tinynet train`")
    add_data_dir(parser)
    parser.add_argument("--model", metavar="NAME", help="as for `tinynet train`")
    parser.add_argument("--batch-size", type=integer(1), metavar="N", help="images in the batch")
    parser.add_argument("--optimizer", metavar="NAME", help="as for `tinynet train`")
    parser.add_argument("--lr", type=positive, metavar="X", help="the learning rate to try")
    parser.add_argument(
        "--steps",
        type=integer(0),
        default=60,
        metavar="N",
        help="steps of a short training (default 60; 0 leaves it out)",
    )
    parser.add_argument(
        "--seed",
        type=integer(0),
        default=0,
        metavar="N",
        help="fixes weights and batch (default 0)",
    )
    add_json(parser, "the report")


def run(args: argparse.Namespace) -> int:
    """Look, and print the report."""
    from tinynet.random import manual_seed
    from tinynet.teaching import doctor

    manual_seed(args.seed)
    given = _from_file(args) if args.file else _known(args)
    report = doctor(**given, probe_steps=args.steps)
    print(report)
    write_result(args.json, report.to_dict())
    return 0 if report else 1


def _from_file(args: argparse.Namespace) -> dict[str, Any]:
    """What the user's own function returns, as arguments of `doctor`."""
    for name in ("data", "size", "fit", "model", "batch_size", "optimizer", "lr"):
        if getattr(args, name) is not None:
            option = "--" + name.replace("_", "-")
            raise BadArgument(f"{option} is for known models; {args.file} brings its own")
    make = load_function(args.file)
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise BadArgument(f"{args.file} is called without arguments: {error}") from error
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

    from tinynet.cli.user_file import load

    file, colon, name = place.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise BadArgument(f"{place!r} is no FILE.py:FUNCTION, such as my_train.py:make")
    found = vars(load(Path(file)))
    if not callable(found.get(name)):
        functions = [n for n, value in found.items() if callable(value) and n[:1] != "_"]
        raise BadArgument(f"{file} has no function {name!r}; it has {', '.join(functions)}")
    return found[name]


def _known(args: argparse.Namespace) -> dict[str, Any]:
    """A known model, a batch of known data and an optimizer, as `tinynet train` has them."""
    from tinynet import data
    from tinynet.cli.models import build_model, check_model
    from tinynet.training import OPTIMIZERS, make_optimizer, recipe_for

    name = sized(args.data, args.size, args.fit) or DATA
    check_data(name)
    own = None if args.model is None else check_model(args.model)
    if args.optimizer is not None:
        choose("optimizer", args.optimizer, OPTIMIZERS)
    train = data.load(name, "train", root=args.data_dir)
    shape = train.images.shape[1:]
    if len(shape) != 3:
        raise ValueError(f"{name}: `tinynet doctor` takes images, these are rows of {shape}")
    recipe = recipe_for(shape, name)
    optimizer, size = args.optimizer or recipe.optimizer, args.batch_size or recipe.batch_size
    lr = args.lr or rate_for(recipe, optimizer, math.ceil(len(train) / size) * recipe.epochs)
    classes = len(train.classes) if train.classes is not None else 1 + int(train.labels.max())
    model, _ = build_model(
        own or recipe.model, num_classes=classes, in_channels=shape[0], image_size=shape[1:]
    )
    loader = data.DataLoader(
        train,
        size,
        shuffle=True,
        seed=args.seed,
        transform=data.standardize(train),
    )
    return {
        "model": model,
        "batch": loader,
        "validate": data.DataLoader(
            data.load(name, "test", root=args.data_dir), 256, transform=loader.transform
        ),
        "optimizer": make_optimizer(optimizer, model.parameters(), lr, recipe.weight_decay),
    }
