"""What `tinynet train` is going to do: settings, and the data and the model made by them.

The settings are plain values, all that decides a run besides the data. They are written into
every checkpoint, so that `resume` and `verify` can do the same again.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli.models import build_model, check_model, file_sha256, is_own, warn_of_change
from tinynet.cli.options import (
    LAST,
    BadArgument,
    check_data,
    choose,
    find_checkpoint,
)
from tinynet.cli.ranks import ranks_for
from tinynet.console import say

if TYPE_CHECKING:
    from tinynet.data import ArrayDataset, Subset
    from tinynet.nn import Module
    from tinynet.training.distributed import Ranks

DEFAULT_DATA = "digits"
PARTS = 8  # of every batch, where many processes are started
KEEPING = ("keep_every", "save_every")  # settings that do not change what is computed
OF_FIT = ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "seed")
SETTINGS = (
    *OF_FIT, "data", "data_sha256", "model", "augment", "validation", "patience",
    "reproducible_for", "threads", *KEEPING,
)  # fmt: skip


@dataclass
class Plan:
    """Everything that is decided before training starts.

    transform: of all images. classes: how many there are. ranks: the processes that train.
    """

    settings: dict[str, Any]
    train: ArrayDataset | Subset
    validation: Subset | None
    test: ArrayDataset
    model: Module
    model_arguments: dict[str, Any]
    transform: Any
    classes: int
    ranks: Ranks

    def fit_options(self) -> dict[str, Any]:
        """The arguments of `fit` that decide what is computed."""
        from tinynet.training import make_augment

        settings = self.settings
        of_training = settings["schedule"] == "plateau" and self.validation is None
        return {
            **{name: settings[name] for name in OF_FIT},
            "train": self.train,
            "monitor": "loss" if of_training else None,  # the test images decide nothing
            "validate": self.test if self.validation is None else self.validation,
            "transform": self.transform,
            "augment": make_augment(settings["augment"], self.test.images.shape[2:]),
            "comm": self.ranks,
        }


def data_root(given: Path | None, settings: Mapping[str, Any] | None) -> Path | None:
    """The --data-dir that was given, else that of the run with these settings, if it is there."""
    recorded = (settings or {}).get("data_dir")
    return given or (Path(recorded) if recorded and os.path.isdir(recorded) else None)


def check_there(name: str, settings: Mapping[str, Any] | None) -> str:
    """The path in the name of a data set. BadArgument where it is of the run, and not there."""
    path = name.partition(":")[2].partition("?")[0]
    if settings and path and name == settings.get("data") and not os.path.exists(path):
        raise BadArgument(
            f"{path}, the data of the run, is not there any more; where it was moved, "
            "add --data KIND:PATH"
        )
    return path


def load_data(
    name: str, data_dir: Path | None, settings: Mapping[str, Any] | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """The training and the test images of a data set. settings: of the run, if there is one."""
    from tinynet import data
    from tinynet.data.dataset import warn_of_twins

    path = check_there(name, settings)
    root = data_root(data_dir, settings)
    train, test = (data.load(name, split, root=root) for split in ("train", "test"))
    if train.images.ndim != 4:
        raise ValueError(
            f"{name}: `tinynet train` and `tinynet doctor` take images, these are rows of "
            f"{train.images.shape[1]} numbers. Save them as images, x.reshape(-1, HEIGHT, WIDTH), "
            "or train from Python: training.fit(model, x, y)"
        )
    if train.labels.ndim > 1:
        raise ValueError(
            f"{name}: has a label for each place, which is learned from Python: training.fit(...)"
        )
    if num_classes(train, test) < 2:
        raise ValueError(f"{name}: two classes or more are needed")
    if path and settings is None:
        _check_numbering(name, train, test)
    if path:
        warn_of_twins(name, train, test)
    return train, test


def _check_numbering(name: str, train: ArrayDataset, test: ArrayDataset) -> None:
    """Raise ValueError for labels of which most are never used: they may be names of classes, such
    as 100 and 200, or the file may hold only some of many classes, and nobody knows which.
    """
    used, count = {*train.labels.tolist(), *test.labels.tolist()}, num_classes(train, test)
    if train.classes is None and count > 2 * len(used):
        from tinynet.data.npz import listed

        raise ValueError(
            f"{name}: the labels are {listed(sorted(used))}, which would be {count} classes, most "
            "of them without an example. Where these are all that there are, save "
            "np.savez(path, x=x, y=y.astype(str)); where there are more, name them all: "
            f"classes=np.arange({count}).astype(str)"
        )


def sized(name: str | None, size: str | None, fit: str | None) -> str | None:
    """The name of a folder of images with --size and --fit in it. BadArgument for other data."""
    options = [f"{key}={value}" for key, value in (("size", size), ("fit", fit)) if value]
    if not options:
        return name
    if name is None or not name.startswith("folder:"):
        raise BadArgument("--size and --fit are for images in folders, --data folder:PATH")
    for option in options:
        if re.search(rf"[?&]{option.partition('=')[0]}=", name):
            raise BadArgument(f"{name} has its own {option.partition('=')[0]}: give it once")
    return f"{name}{'&' if '?' in name else '?'}{'&'.join(options)}"


def asked_for(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, checked before anything is loaded.

    --size and --fit are in the name of the data then, and a model has the name that a run keeps.
    Raises BadArgument for names that do not exist.
    """
    from tinynet.training import OPTIMIZERS, SCHEDULES

    asked = {name: value for name, value in vars(args).items() if value is not None}
    if data := sized(args.data, args.size, args.fit):
        check_data(data)
        asked["data"] = data
    if "model" in asked:
        asked["model"] = check_model(asked["model"])
    for kind, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        if kind in asked:
            choose(kind, asked[kind], known)
    _check_augment(_augmentations(asked.get("augment", ())), (2**31,))  # whatever the images
    if "patience" in asked and not asked.get("validation"):
        raise BadArgument("--patience needs --validation SHARE: the test images decide nothing")
    return asked


def new_settings(asked: dict[str, Any], train: ArrayDataset, test: ArrayDataset) -> dict[str, Any]:
    """The settings of a new run: what was asked for, and the recipe for such images."""
    from tinynet.training import OPTIMIZERS, recipe_for
    from tinynet.training.environment import launched
    from tinynet.training.recipes import bearable, epochs_for
    from tinynet.training.trained import fingerprint

    recipe = recipe_for(train.images.shape[1:], asked.get("data", DEFAULT_DATA))
    examples = len(train) * (1 - asked.get("validation", 0.0))
    steps = math.ceil(examples / asked.get("batch_size", recipe.batch_size))  # of an epoch
    begun = initial(asked.get("init_from"))
    settings: dict[str, Any] = {
        "data": DEFAULT_DATA,
        "model": begun.get("model") or recipe.model,
        "optimizer": recipe.optimizer,
        "lr": None,
        "epochs": epochs_for(recipe, steps),
        "batch_size": recipe.batch_size,
        "weight_decay": recipe.weight_decay,
        "schedule": "plateau" if "patience" in asked else recipe.schedule,
        "augment": recipe.augment,
        "validation": 0.0,
        "seed": 0,
        "reproducible_for": PARTS if launched() else None,
        **dict.fromkeys(("patience", "threads", "data_dir", *KEEPING)),
        **{name: value for name, value in asked.items() if name in (*SETTINGS, "data_dir")},
        "data_sha256": fingerprint(train, test),
        "init_from": begun.get("path"),
        "init_sha256": begun.get("sha256"),
    }
    if settings["lr"] is None:
        steps *= min(settings["epochs"], recipe.epochs)  # who asks for more wants no larger rate
        as_usual = settings["optimizer"] == recipe.optimizer
        usual = recipe.lr if as_usual else OPTIMIZERS[settings["optimizer"]].lr
        settings["lr"] = bearable(recipe, usual, steps)
    parts = settings["reproducible_for"]
    return {
        **settings,
        "augment": _augmentations(settings["augment"]),
        "data_dir": settings["data_dir"] and os.path.abspath(settings["data_dir"]),
        "model_sha256": file_sha256(settings["model"]),
        "threads": settings["threads"] or (1 if launched() or parts else None),
    }


def recorded_settings(out: Path, start: Path | None = None) -> dict[str, Any] | None:
    """The settings of the run in a folder, or of its checkpoint `start`; None if there is no run.

    Raises ValueError where there is one whose settings are not known.
    """
    from tinynet.training.folder import kept_in
    from tinynet.training.safetensors import read_about

    if start is not None or (out / LAST).is_file():
        settings = read_about(start or out / LAST).get("settings")
    elif kept := kept_in(out):
        raise BadArgument(
            f"{out} has no {LAST}, but {', '.join(path.name for path in kept)}. Go on from there: "
            f"tinynet resume {out} --from {kept[-1]}. Or begin anew: tinynet train --overwrite"
        )
    else:
        return None
    if not isinstance(settings, dict) or not {*SETTINGS} <= settings.keys():
        raise ValueError(
            f"{out} holds a run of `fit`; go on with it from Python: "
            f"fit(..., out={str(out)!r}, resume=True)"
        )
    return settings


def resumed_settings(
    recorded: dict[str, Any], asked: Mapping[str, Any], finished: bool | None = None
) -> dict[str, Any]:
    """The recorded settings, and what may be asked of them: where the same data and model lie now,
    which files are kept, and of a finished run more epochs. Images are resized as they were.

    BadArgument if another value was asked for one of them.
    """
    asked = {name: asked[name] for name in SETTINGS if asked.get(name) is not None}
    if "augment" in asked:
        asked["augment"] = _augmentations(asked["augment"])
    if "model" in asked:
        asked["model"] = check_model(asked["model"])
    if asked.get("data", "").startswith("folder:") and "?" not in asked["data"]:
        asked["data"] += "".join(recorded["data"].partition("?")[1:])
    for name, now in asked.items():
        is_free = name in ("data", *KEEPING)
        if name == "model" and is_own(now):  # the same class, wherever its file lies by now
            is_free = now.rpartition(".py:")[2] == recorded[name].rpartition(".py:")[2]
        goes_on = name == "epochs" and finished and now > recorded[name]
        if now != recorded[name] and not is_free and not goes_on:
            raise BadArgument(
                f"--{name.replace('_', '-')} {now}: the run to resume has {recorded[name]}. A "
                "resumed run goes on with its own settings: leave the option out, or begin "
                "another run with another --out"
            )
    return {**recorded, **asked}


def initial(run: Path | None) -> dict[str, str]:
    """The path, SHA-256 and model of the weights that a run begins with; nothing without any."""
    from tinynet.training import checkpoint

    if run is None:
        return {}
    path = find_checkpoint(run).resolve()
    stored = checkpoint.read(path)
    named = {} if stored.name is None else {"model": stored.name}
    return {"path": str(path), "sha256": stored.sha256(), **named}


def begin_with(settings: dict[str, Any], model: Module, classes: tuple[str, ...] | None) -> None:
    """Give a new model the weights that the settings name, as far as they fit, and say so.

    Raises ValueError where the file has others by now.
    """
    from tinynet.training import checkpoint

    if settings.get("init_from") is None:
        return
    stored = checkpoint.read(settings["init_from"])
    if stored.sha256() != settings["init_sha256"]:
        raise ValueError(f"{stored.path} has other weights than those that the run began with")
    say(f"begin  {checkpoint.load_fitting(model, stored, classes)}")


def make_plan(
    settings: dict[str, Any], train: ArrayDataset, test: ArrayDataset, resume: Any = False
) -> Plan:
    """Data and model as the settings say.

    The model's weights depend on the seed, and on the run that it begins with, if there is one.
    resume: true where the weights are going to be those of a checkpoint.
    """
    from tinynet import data
    from tinynet.random import manual_seed
    from tinynet.training.trained import fingerprint

    if fingerprint(train, test) != settings["data_sha256"]:
        raise ValueError(
            f"{settings['data']}: the images, labels or class names are no longer those that the "
            "run began with. Begin another run with its weights: tinynet train --init-from RUN "
            "--data NAME --out ANOTHER"
        )
    shape = train.images.shape[1:]
    _check_augment(settings["augment"], shape[1:])
    manual_seed(settings["seed"])
    warn_of_change(settings)
    classes = num_classes(train, test)
    model, arguments = build_model(
        settings["model"], num_classes=classes, in_channels=shape[0], image_size=shape[1:]
    )
    if not resume:
        begin_with(settings, model, train.classes)
    chosen: Any = train
    validation = None
    if settings["validation"]:
        chosen, validation = data.stratified_split(
            train, [1 - settings["validation"], settings["validation"]], seed=settings["seed"]
        )
    transform = data.standardize(chosen)
    ranks = ranks_for(settings)
    return Plan(settings, chosen, validation, test, model, arguments, transform, classes, ranks)


def _augmentations(names: Any) -> list[str]:
    kept = [name for name in names if name != "none"]
    if kept and len(kept) < len(names):
        raise BadArgument(f"--augment none leaves the images as they are; then no {kept[0]} too")
    return kept


def _check_augment(names: list[str], side: tuple[int, ...]) -> None:
    """Raise BadArgument for a change that is not known, or leaves nothing of such an image."""
    from tinynet.training import make_augment

    try:
        make_augment(names, side)
    except ValueError as error:
        raise BadArgument(str(error)) from error


def num_classes(train: ArrayDataset, test: ArrayDataset) -> int:
    """How many classes a data set has."""
    if train.classes is not None:
        return len(train.classes)
    return 1 + int(max(train.labels.max(), test.labels.max()))
