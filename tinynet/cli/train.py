"""Train a model on a data set, test it, and save it.

examples:
  tinynet train                                  digits_cnn on the digits that come along
  tinynet train --data mnist                     LeNet-5 on MNIST, downloaded if need be
  tinynet train --data mnist --epochs 1 --lr 0.1 --seed 1
  tinynet train --data folder:photos?size=32     images in photos/CLASS/*.png
  tinynet train --data npz:mine.npz --model vgg11 --optimizer adam --augment shift --augment flip

What is not given is chosen to suit the data. Every epoch prints its losses; those called
validation are of the test images, unless --validation holds out training images for it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli.options import (
    BEST,
    LAST,
    RECORD,
    RUNS,
    BadArgument,
    add_data_dir,
    add_json,
    choose,
    number,
    positive,
    share,
    whole_number,
)

if TYPE_CHECKING:
    from tinynet.data import ArrayDataset, Dataset
    from tinynet.nn import Module
    from tinynet.training import History

HELP = "train a model, test it and save it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet train`."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        default="digits",
        metavar="NAME",
        help="digits (the default), digits-last360, mnist, fashion-mnist, kmnist, cifar10, "
        "folder:PATH for images in class folders, npz:PATH for arrays",
    )
    add_data_dir(data)
    data.add_argument(
        "--augment",
        action="append",
        metavar="NAME[:AMOUNT]",
        help="change the training images at random: shift:PIXELS, rotate:DEGREES, "
        "flip:PROBABILITY, cutout:PIXELS, or none; may be given several times",
    )
    data.add_argument(
        "--validation",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="hold out this share of the training images, such as 0.1; the test images then stay "
        "unseen to the end, and the model that is best on the held-out ones is kept",
    )
    model = parser.add_argument_group("model and training")
    model.add_argument(
        "--model",
        metavar="NAME",
        help="digits_cnn, lenet5, resnet8, resnet20, vgg11, vgg13, vgg16 or vgg19",
    )
    model.add_argument(
        "--epochs", type=whole_number(1), metavar="N", help="how often every image is seen"
    )
    model.add_argument(
        "--batch-size", type=whole_number(1), metavar="N", help="images for each step"
    )
    model.add_argument("--lr", type=positive, metavar="X", help="the (highest) learning rate")
    model.add_argument(
        "--optimizer",
        metavar="NAME",
        help="sgd (with momentum 0.9), adam, adamw, rmsprop, adagrad or adadelta",
    )
    model.add_argument(
        "--schedule",
        metavar="NAME",
        help="how the learning rate changes: onecycle, cosine, linear, step or constant",
    )
    model.add_argument(
        "--weight-decay", type=number, metavar="X", help="pull of the weights towards 0"
    )
    model.add_argument(
        "--patience",
        type=whole_number(1),
        metavar="N",
        help="stop early after N epochs without a better validation loss (needs --validation)",
    )
    model.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="fixes everything random: the same seed gives the same run (default 0)",
    )
    model.add_argument(
        "--detect-anomaly",
        action="store_true",
        help="stop at the first operation that gives NaN or infinity, and name it (slower)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=Path, metavar="DIR", help=f"save the model here (default: {RUNS}/DATA-MODEL)"
    )
    add_json(output, "settings, history, test accuracy and seconds")


@dataclass
class Plan:
    """Everything that is decided before training starts."""

    settings: dict[str, Any]
    out: Path
    train: Dataset
    validation: Dataset | None
    test: ArrayDataset
    model: Module
    model_arguments: dict[str, Any]


def run(args: argparse.Namespace) -> int:
    """Train, test, save and say what to do next."""
    from tinynet.training import evaluate
    from tinynet.training.files import write_json

    start = time.perf_counter()
    plan = _plan(args)
    _announce(plan)
    try:
        transform, history = _train(plan, args.patience, args.detect_anomaly)
    except KeyboardInterrupt:
        saved = plan.out / LAST
        kept = f"the last whole epoch is in {saved}" if saved.exists() else "nothing was saved yet"
        raise KeyboardInterrupt(f"interrupted; {kept}") from None
    tested = evaluate(plan.model, plan.test, transform=transform)
    seconds = time.perf_counter() - start

    record = {
        "settings": plan.settings,
        "history": history,
        "test_accuracy": tested["accuracy"],
        "test_loss": tested["loss"],
        "seconds": seconds,
    }
    write_json(plan.out / RECORD, record)
    if args.json is not None:
        write_json(args.json, record)
    _conclude(plan, tested["accuracy"], seconds)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """Load the data, fill in what was not given, and build the model."""
    from tinynet import data, models
    from tinynet.random import manual_seed
    from tinynet.training import OPTIMIZERS, SCHEDULES, recipe_for

    _check_names(args, models.names(), OPTIMIZERS, SCHEDULES)
    train, test = (data.load(args.data, split, root=args.data_dir) for split in ("train", "test"))
    shape = train.images.shape[1:]
    if len(shape) != 3:
        raise ValueError(f"{args.data}: `tinynet train` is for images, these are rows of {shape}")
    recipe = recipe_for(shape)
    optimizer = args.optimizer or recipe.optimizer
    own_lr = recipe.lr if optimizer == recipe.optimizer else OPTIMIZERS[optimizer].lr
    name = args.model or recipe.model
    settings = {
        "data": args.data,
        "model": name,
        "epochs": args.epochs or recipe.epochs,
        "batch_size": args.batch_size or recipe.batch_size,
        "optimizer": optimizer,
        "lr": args.lr or own_lr,
        "weight_decay": recipe.weight_decay if args.weight_decay is None else args.weight_decay,
        "schedule": args.schedule or recipe.schedule,
        "augment": [a for a in args.augment or recipe.augment if a != "none"],
        "validation": args.validation,
        "seed": args.seed,
    }
    out = args.out or RUNS / f"{_file_name(args.data)}-{name}"
    out.mkdir(parents=True, exist_ok=True)  # fails now, and not after the training
    for file in (LAST, BEST, RECORD):
        (out / file).unlink(missing_ok=True)  # of an earlier run, which this one replaces

    manual_seed(args.seed)
    arguments = {
        "num_classes": _num_classes(train, test),
        "in_channels": shape[0],
        "image_size": shape[1:],
    }
    model = models.build(name, **arguments)
    validation = None
    chosen: Any = train
    if args.validation:
        chosen, validation = data.stratified_split(
            train, [1 - args.validation, args.validation], seed=args.seed
        )
    return Plan(settings, out, chosen, validation, test, model, arguments)


def _check_names(args: argparse.Namespace, models: Any, optimizers: Any, schedules: Any) -> None:
    """Raise BadArgument for names that do not exist, before anything is loaded."""
    from tinynet.data import KNOWN
    from tinynet.training import make_augment

    if not args.data.startswith(("folder:", "npz:")):
        choose("data set", args.data, (*KNOWN, "folder:PATH", "npz:PATH"))
    for kind, name, known in (
        ("model", args.model, models),
        ("optimizer", args.optimizer, optimizers),
        ("schedule", args.schedule, schedules),
    ):
        if name is not None:
            choose(kind, name, known)
    try:
        make_augment([name for name in args.augment or () if name != "none"], side=32)
    except ValueError as error:
        raise BadArgument(str(error)) from error
    if args.patience and not args.validation:
        raise BadArgument("--patience needs --validation SHARE: the test images decide nothing")


def _train(plan: Plan, patience: int | None, detect_anomaly: bool = False) -> tuple[Any, History]:
    """Train the model of the plan, saving it on the way; the transform used and the history."""
    from tinynet.data import standardize
    from tinynet.training import BestModel, Callback, EarlyStopping, SaveEvery, fit, make_augment

    settings = plan.settings
    transform = standardize(plan.train)
    callbacks: list[Callback] = [SaveEvery(plan.out / LAST)]
    if plan.validation is not None:
        callbacks.append(BestModel(plan.out / BEST, restore=True))
    if patience is not None:
        callbacks.append(EarlyStopping(patience))
    history = fit(
        plan.model,
        plan.train,
        settings["epochs"],
        validate=plan.test if plan.validation is None else plan.validation,
        batch_size=settings["batch_size"],
        transform=transform,
        augment=make_augment(settings["augment"], plan.test.images.shape[2]),
        optimizer=settings["optimizer"],
        lr=settings["lr"],
        weight_decay=settings["weight_decay"],
        schedule=settings["schedule"],
        seed=settings["seed"],
        callbacks=callbacks,
        detect_anomaly=detect_anomaly,
        about={"name": settings["model"], "arguments": plan.model_arguments},
    )
    return transform, history


def _num_classes(train: ArrayDataset, test: ArrayDataset) -> int:
    if train.classes is not None:
        return len(train.classes)
    return 1 + int(max(train.labels.max(), test.labels.max()))


def _file_name(data: str) -> str:
    """A data set's name as part of a folder's name: `folder:a/photos?size=32` is `photos`."""
    path = data.partition(":")[2].partition("?")[0]
    return Path(path).resolve().stem if path else data


def _announce(plan: Plan) -> None:
    s = plan.settings
    shape = "x".join(str(n) for n in plan.test.images.shape[1:])
    held_out = "" if plan.validation is None else f", {len(plan.validation)} validation"
    parameters = sum(p.data.size for p in plan.model.parameters())
    augment = "".join(f", {name}" for name in s["augment"])
    print(
        f"data   {s['data']}: {len(plan.train)} training{held_out}, {len(plan.test)} test images "
        f"of {shape}, {plan.model_arguments['num_classes']} classes\n"
        f"model  {s['model']}, {parameters:,} parameters\n"
        f"train  {s['epochs']} epochs, batches of {s['batch_size']}, {s['optimizer']}, "
        f"lr {s['lr']:g} {s['schedule']}, seed {s['seed']}{augment}",
        flush=True,
    )


def _conclude(plan: Plan, accuracy: float, seconds: float) -> None:
    print(
        f"\ntest accuracy {100 * accuracy:.2f} % on {len(plan.test)} images, "
        f"{seconds:.1f} seconds; saved in {plan.out}\n\n"
        f"next:\n"
        f"  tinynet evaluate {plan.out}              which classes are mistaken for which\n"
        f"  tinynet predict {plan.out} IMAGE.png     what it sees in images of yours\n"
        f"  tinynet summary {plan.settings['model']:<{len(str(plan.out))}}               "
        f"its layers, shapes and sizes"
    )
