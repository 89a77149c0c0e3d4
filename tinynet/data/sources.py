"""`load`: a data set by name, found on the disk, else downloaded, then read and checked."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.data.dataset import ArrayDataset, hold_out, warn_of_empty
from tinynet.data.files import (
    RemoteFile,
    as_path,
    data_root,
    find,
    open_file,
    read_checked,
    read_members,
)
from tinynet.data.folder import load_folder
from tinynet.data.idx import find_idx, pair_idx, parse_cifar, parse_idx
from tinynet.data.known import KNOWN, KnownSet
from tinynet.data.mirrors import UnwritableError, obtain
from tinynet.data.npz import (
    arrays_from_npz,
    checked_numbers,
    checked_targets,
    numbered,
    read_npz,
)
from tinynet.data.table import read_table
from tinynet.errors import DataError, unknown_name

SPLITS = ("train", "test")
OWN = {"folder": "PATH", "npz": "PATH", "csv": "FILE", "idx": "FOLDER"}
"""The forms of a user's own data, KIND:PATH."""
HELD_OUT = 0.2  # the part of every class that is the test split where there is none

Pair = tuple[np.ndarray, np.ndarray]


def load(
    name: str,
    split: str = "train",
    root: str | Path | None = None,
    held_out: float = HELD_OUT,
    numbers: bool = False,
) -> ArrayDataset:
    """A split, "train" or "test", of a data set: images uint8 (N, C, H, W), labels int64 (N,).

    | name | what it is |
    |---|---|
    | `digits` | UCI handwritten digits, 8x8, grey; comes with tinynet; 360 shuffled test images |
    | `digits-last360` | the same, but the last 360 are the test images, by other writers |
    | `mnist`, `fashion-mnist`, `kmnist` | 28x28, grey, 60,000 + 10,000 |
    | `cifar10`, `cifar100` | 32x32, RGB, 50,000 + 10,000 |
    | `folder:PATH` | images in class folders; `folder:PATH?size=32` resizes them |
    | `npz:PATH` | your own arrays x_train, y_train, x_test, y_test, or x and y |
    | `csv:FILE` | a label and the pixels of a square grey image in each line, as Kaggle's digits |
    | `idx:FOLDER` | files in MNIST's format, such as EMNIST's |

    root: the folder that holds `mnist/` and so on; by default $TINYNET_DATA, else
    `~/.cache/tinynet`. Files that are there, gzipped or not, are used without the network;
    missing ones are downloaded. Where a folder, .npz or .csv has no test part, `held_out` of
    every class is it, always the same; with 0 both are all.
    numbers: whether the targets of an .npz or .csv are numbers and no labels. Pixels of named sets:
    0 to 255.

    Raises ValueError for an unknown name or split, DataError for damaged or missing files.

    >>> load("digits", "test")
    ArrayDataset(uint8[360, 1, 8, 8], int64[360], 10 classes)
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    kind, path, options = parts_of(name)
    if kind:
        if not path:
            raise ValueError(f"{name!r} has no path; the current folder is {kind}:.")
        return _load_own(kind, str(as_path(path)), options, split, held_out, numbers)
    known = _known(name)
    return ArrayDataset(*read_known(known, split, data_root(root)), classes=known.classes)


def parts_of(name: str) -> tuple[str, str, str]:
    """Kind, path and options of a user's own data, KIND:PATH?OPTIONS; others have no kind.

    >>> parts_of("folder:photos?size=32"), parts_of("mnist")
    (('folder', 'photos', 'size=32'), ('', 'mnist', ''))
    """
    kind, colon, rest = name.partition(":")
    if not colon or kind not in OWN:
        return "", name, ""
    path = os.path.expanduser(rest)
    if kind != "folder" or os.path.exists(path):
        return kind, path, ""
    place, mark, options = path.rpartition("?")
    return kind, place if mark else path, options if mark else ""


def read_known(known: KnownSet, split: str, root: Path) -> Pair:
    """The images and labels of a split of a known set, downloaded under the root if need be."""
    read = _read_cifar if known.archive else _read_mnist if known.files else _read_digits
    return read(known, split, root)


def download(name: str, root: str | os.PathLike[str] | None = None) -> Path:
    """Make sure that all files of a known data set are under the root; return their folder."""
    known = _known(name)
    if not known.files:
        return digits_file().parent
    folder = data_root(root) / known.folder
    for file in known.missing(root):
        _obtain(file, known, data_root(root))
    return folder


def digits_file() -> Path:
    """Where `digits.npz` lies: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package, package.parent):
        path = folder / "datasets" / "digits.npz"
        if path.is_file():
            return path
    raise DataError(f"{package / 'datasets' / 'digits.npz'} is missing: install tinynet-cnn again")


def _known(name: str) -> KnownSet:
    if name not in KNOWN:
        raise not_a_set(name)
    return KNOWN[name]


def _obtain(file: RemoteFile, known: KnownSet, root: Path) -> Path:
    """The path of a file of a known set, downloaded if need be."""
    try:
        return obtain(file, root / known.folder, known.mirrors)
    except UnwritableError:
        raise
    except DataError as error:
        others = [other.name for other in known.missing(root) if other is not file]
        if not others:
            raise
        raise DataError(f"{error}\nAlso missing there: {', '.join(others)}.") from error


def _read_digits(known: KnownSet, split: str, root: Path) -> Pair:
    stored = read_npz(digits_file())
    levels = np.round(np.arange(17) * 255 / 16).astype(np.uint8)  # stored 0..16, loaded 0..255
    images = levels[stored["images"]][:, None]  # (N, 1, 8, 8)
    held_out = np.zeros(len(images), bool)
    if known.name == "digits-last360":
        held_out[-known.test :] = True
    else:
        held_out[stored["test"]] = True
    chosen = held_out if split == "test" else ~held_out
    return images[chosen], stored["labels"].astype(np.int64)[chosen]


def _read_mnist(known: KnownSet, split: str, root: Path) -> Pair:
    files = known.files[:2] if split == "train" else known.files[2:]
    paths = [_obtain(file, known, root) for file in files]
    contents = [read_checked(file, path) for file, path in zip(files, paths, strict=True)]
    images = parse_idx(contents[0], paths[0], ndim=3)
    labels = parse_idx(contents[1], paths[1], ndim=1)
    return pair_idx(images, labels, paths)


def _read_cifar(known: KnownSet, split: str, root: Path) -> Pair:
    contents: Sequence[bytes | bytearray]
    wanted = known.files[:-1] if split == "train" else known.files[-1:]
    unpacked = known.unpacked(root / known.folder)
    if unpacked is not None:
        paths = [find(unpacked, file.name) or unpacked / file.name for file in wanted]
        contents = [read_checked(file, path) for file, path in zip(wanted, paths, strict=True)]
    else:
        assert known.archive is not None
        contents = read_members(known.archive, _obtain(known.archive, known, root), wanted)
    parts = [parse_cifar(content, len(known.classes)) for content in contents]
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def folder_options(text: str) -> dict[str, Any]:
    """The arguments of `load_folder` that such options say: size=32&fit=pad."""
    options: dict[str, Any] = {}
    for option in filter(None, text.split("&")):
        name, _, options[name] = option.partition("=")
        if name not in ("size", "fit"):
            raise unknown_name("option of folder:PATH", name, ["size", "fit"])
    if (size := options.get("size")) is not None:
        match = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", size)
        if match is None:
            raise ValueError(f"folder:PATH?size={size}: expected a size such as 32, or 32x48 (HxW)")
        options["size"] = int(match[1]), int(match[2] or match[1])
    return options


def _load_own(
    kind: str, path: str, options: str, split: str, held_out: float, numbers: bool
) -> ArrayDataset:
    """A split of the user's data, held out where they have none."""
    name, classes = f"{kind}:{path}", None
    if (meant := _form_of(path)) not in (None, kind, "folder" if kind == "idx" else kind):
        raise DataError(f"{name}: to take what is there, say {meant}:{path}")
    if kind == "folder":
        return load_folder(path, split, test_fraction=held_out, **folder_options(options))
    if kind == "npz":
        with open_file(path) as stream:
            splits, classes = arrays_from_npz(stream, path, numbers)
    elif kind == "csv":
        x, y, lines = read_table(path)
        if numbers:
            y = checked_numbers(y, name)
        else:
            at = [f"line {line}" for line in lines].__getitem__
            (y,), classes = numbered([checked_targets(y, name, at)], [name], None, at)
        splits = {"all": (x, y)}
    else:
        splits = {split: find_idx(path, split)}
    images, labels = splits[split if split in splits else "all"]
    if "all" in splits and held_out:
        part = hold_out(labels, held_out, 0, name)[SPLITS.index(split)]
        images, labels = images[part], labels[part]
    if numbers:
        return ArrayDataset(images, labels.astype(np.float32))
    every = np.concatenate([y for _, y in splits.values()])
    last = int(every.max(initial=0))
    if classes is None and last > 1000 + 10 * len(every):
        raise DataError(
            f"{name}: label {last} of {len(every)} examples: labels number the classes from 0; of "
            "other numbers take np.unique(y, return_inverse=True)[1]"
        )
    cure = "; to number those that there are, save np.unique(y, return_inverse=True)[1]"
    count = len(classes or ()) or last + 1
    if kind != "idx" and (held_out or count > 1):  # of idx the other part was not read
        warn_of_empty(name, every, count, classes, "" if classes else cure)
    if kind == "idx" or len(np.unique(labels)) < len(np.unique(every)):
        warn_of_empty(f"{name} ({split})", labels, count, classes)
    return ArrayDataset(images, labels, classes=classes)


def _form_of(path: str) -> str | None:
    """In which form the data at a path seems to be; None if there is nothing known."""
    if not path:  # which Path takes for the current folder
        return None
    suffix = Path(path).suffix.casefold() if Path(path).is_file() else ""
    return "folder" if Path(path).is_dir() else {".npz": "npz", ".csv": "csv"}.get(suffix)


def not_a_set(name: str) -> ValueError:
    """The error for a name that is no data set: what is known, and what was meant by a path."""
    import difflib  # only needed for an error, and slow to load

    if (kind := _form_of(name)) is not None:
        return ValueError(f"unknown data set {name!r}; to take what is there, say {kind}:{name}")
    forms = [f"{form}:{of}" for form, of in OWN.items()]
    kind, colon, path = name.partition(":")
    near = difflib.get_close_matches(kind.casefold(), (*OWN, *KNOWN), 1)
    if colon and near and near[0] in OWN:
        return ValueError(f"unknown data set {name!r}; did you mean '{near[0]}:{path}'?")
    if not near and set(name) & set(":/\\"):
        told = f"; a data set of your own is {' or '.join(forms)}"
        return ValueError(f"there is no file or folder {name}{told}")
    return unknown_name("data set", name, (*KNOWN, *forms))
