"""What commands are asked: a row for each argument, and the types of their values.

A command's rows are its `OPTIONS`. Those that several commands have stand here.
"""

import argparse
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tinynet.cli.options import FITS, GONE, LAST


def _checked(
    kind: Callable[[str], Any], fits: Callable[[Any], bool], told: str
) -> Callable[[str], Any]:
    """An argparse type: what `kind` makes of a text, if it can, and if that `fits`."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            whole, comma, part = text.partition(",")
            has_comma = kind is float and comma and (whole + part).isdecimal()
            cure = f"; write a point: {whole}.{part}" if has_comma else ""
            raise argparse.ArgumentTypeError(f"{text!r} is {told}{cure}")
        return value

    return parse


def integer(least: int) -> Callable[[str], Any]:
    """An argparse type: an integer of at least `least`."""
    return _checked(int, lambda n: n >= least, f"not an integer of {least} or more")


number = _checked(float, lambda x: 0 <= x < math.inf, "no number of 0 or more")
positive = _checked(float, lambda x: 0 < x < math.inf, "no number greater than 0")
share = _checked(float, lambda x: 0 <= x < 1, "no share; 0.1 means a tenth, 0 none")
image_shape = _checked(
    lambda text: tuple(map(int, text.lower().split("x"))),
    lambda sizes: len(sizes) in (1, 3) and min(sizes) > 0,
    "no CxHxW, such as 3x32x32, nor the length of a row",
)


def a_path(text: str) -> Path:
    """An argparse type: the path of a file or a folder, in which ~ is the user's home; an empty
    text, which Path takes for the current folder, is none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty path; the current folder is .")
    return Path(text).expanduser()


def run_folder(text: str) -> Path:
    """An argparse type: the folder of a run; its last checkpoint stands for it."""
    path = a_path(text)
    if path.is_file() and path.name != LAST:
        raise argparse.ArgumentTypeError(
            f"{text} is a file: give the folder of a run; to go on from a checkpoint in it, "
            "tinynet resume DIR --from CHECKPOINT"
        )
    return path.parent if path.is_file() else path


def data_name(text: str) -> str:
    """An argparse type: a data set's name; the path in one is made absolute, to be found again."""
    kind, _, path = text.partition(":")
    if kind in ("folder", "npz", "csv", "idx") and path.partition("?")[0]:
        try:
            return f"{kind}:{os.path.abspath(a_path(path))}"
        except FileNotFoundError as error:
            raise argparse.ArgumentTypeError(GONE) from error
    return text


class Option(NamedTuple):
    """A row: the name of an argument, and what argparse is to know of it."""

    name: str
    settings: dict[str, Any]


Options: TypeAlias = Sequence["str | Option | list[Option]"]
"""Rows; a text is the title of those after it, and of a list in it one may be given at most."""


def option(spelling: str, kind: Any, help_text: str, **settings: Any) -> Option:
    """A row. spelling: the name, and after a space what stands for its value; nothing for a switch.

    kind: an argparse type, or the words to choose from.
    """
    name, _, metavar = spelling.partition(" ")
    settings["help"] = help_text
    if isinstance(kind, tuple):
        settings["choices"] = kind
    elif metavar:
        settings |= {"metavar": metavar, "type": kind}
    else:
        settings["action"] = "store_true"
    return Option(name, settings)


def add_options(parser: argparse.ArgumentParser, rows: Options) -> None:
    """Tell a parser about the rows of a command."""
    place: Any = parser
    for row in rows:
        if isinstance(row, str):
            place = parser.add_argument_group(row)
        elif isinstance(row, Option):
            place.add_argument(row.name, **row.settings)
        else:
            one_of = place.add_mutually_exclusive_group()
            for name, settings in row:
                one_of.add_argument(name, **settings)


def json_of(what: str) -> Option:
    """The row of --json."""
    return option("--json FILE", a_path, f"write {what} to FILE as JSON; - prints it")


DATA = option("--data NAME", data_name,
    "digits (the default), digits-last360, mnist, fashion-mnist, kmnist, cifar10, cifar100, "
    "folder:PATH for images in class folders, npz:PATH for arrays, csv:FILE, idx:FOLDER",
)  # fmt: skip
SIZE = option(
    "--size N[xM]", str, "resize the images of a folder to N pixels, or N high and M wide"
)
FIT = option(
    "--fit", FITS, "images of another aspect ratio: crop to the middle (default), pad, or stretch"
)
DATA_DIR = option("--data-dir DIR", a_path,
    "the folder with mnist/, cifar10/ and so on (default: that of the run, $TINYNET_DATA, else "
    "~/.cache/tinynet); what is missing there is downloaded to it")  # fmt: skip
MODEL = option("--model NAME", str,
    "digits_cnn, lenet5, resnet8, resnet20, vgg11, vgg13, vgg16 or vgg19, or a class of your own: "
    'my_net.py:Net or "my_net.py:Net(width=32)"; it gets num_classes, in_channels and image_size '
    "if it takes them")  # fmt: skip
OWN_MODEL = option(
    "--model FILE.py:CLASS", str, "the class of a model of your own, if the run does not know it"
)
BATCH_SIZE = option("--batch-size N", integer(1), "images for each step")
OPTIMIZER = option("--optimizer NAME", str,
    "sgd (with Nesterov momentum 0.9), adam, adamw, rmsprop, adagrad or adadelta")  # fmt: skip
LR = option("--lr X", positive,
    "the (highest) learning rate (default: as is usual for such images, and less where "
    "photographs are so few that the training has fewer than 300 steps)")  # fmt: skip
SHAPE = option(
    "--shape CxHxW", image_shape, "of one image, such as 3x32x32, or of a row of numbers, 3"
)
RUN_FOLDER = option("run DIR", run_folder, "the folder of the run, its --out")
MOVED = (
    option("--data NAME", data_name, "where the same data lie now, if they were moved"),
    option("--model FILE.py:CLASS", str, "where the file of its model lies now, if it was moved"),
)
