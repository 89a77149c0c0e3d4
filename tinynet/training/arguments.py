"""What `fit` was given: whether each argument is of its kind, and what it was, in a few words.

`check_arguments` is the door: it refuses what is of the wrong kind before anything is done. With
`description` a run is told in its checkpoints, so that it goes on as it began or not at all.
"""

import functools
import inspect
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np

from tinynet.data import ArrayDataset
from tinynet.errors import integer, unknown_name, wrong_kind
from tinynet.nn import Module
from tinynet.optim import Optimizer
from tinynet.tensor import Tensor
from tinynet.training.batches import check_no_name, is_array, is_dataset, not_a_pair, source
from tinynet.training.callbacks import EarlyStopping
from tinynet.training.checkpoint import KINDS, weights_sha256
from tinynet.training.distributed import Ranks
from tinynet.training.metrics import check_takes
from tinynet.training.run import Callback
from tinynet.vision.transforms.base import Transform

Check: TypeAlias = Callable[[str, Any], object]
HASHED = 1 << 24  # bytes of each array that are looked at, evenly spaced, to know it again


def _a(kinds: Any, words: str) -> Check:
    """A check for an object of these types."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise wrong_kind("fit", name, words, value)

    return check


def _integer(least: int) -> Check:
    return lambda name, value: integer("fit", name, value, least)


def _positive(name: str, value: Any) -> None:
    _a((Real,), "a number, such as 1.0")(name, value)
    if not value > 0:
        raise ValueError(f"fit: {name} must be more than 0, got {value!r}; None is for no limit")


def _model(name: str, value: Any) -> None:
    _a((Module,), "a Module, and comes before the data")(name, value)
    check_takes("fit", name, value.forward, ["x, of several inputs their tuple"], "nn.Sequential")


def _callbacks(name: str, value: Any) -> None:
    _a((list, tuple), "a list of callbacks, such as [training.EarlyStopping()]")(name, value)
    for i, callback in enumerate(value):
        _a((Callback,), "a Callback, such as training.EarlyStopping()")(f"{name}[{i}]", callback)
        hooks = [hook for hook in dir(Callback) if hook.startswith("on_")]
        for hook in dir(type(callback)):
            is_hook = hook.startswith("on_") and callable(getattr(type(callback), hook))
            if is_hook and hook not in hooks:
                told = f"{type(callback).__name__}.{hook} is never called: "
                warnings.warn(f"fit: {told}{unknown_name('method', hook, hooks)}", stacklevel=4)


def _data(name: str, value: Any) -> None:
    """Examples and batches are pairs, as far as that can be seen without touching them."""
    check_no_name(f"fit: {name}", value)
    one, _ = source(value)
    if isinstance(value, Mapping) or (isinstance(value, tuple) and value and is_array(value[0])):
        raise not_a_pair(f"fit: {name}", value)
    if not isinstance(value, Iterable) and not is_dataset(one):
        words = "arrays (x, y), a data set with a length, or batches (a share: validation_split=)"
        raise wrong_kind("fit", name, words, value)
    if isinstance(value, (list, tuple)):
        for i, batch in enumerate(value):
            if not isinstance(batch, (list, tuple)) or len(batch) != 2:
                raise not_a_pair(f"fit: a list is taken for batches, and {name}[{i}]", batch)
    elif isinstance(one, ArrayDataset) and len(one.arrays) != 2:
        raise not_a_pair(f"fit: an example of {name}", one.arrays)


def _comm(name: str, value: Any) -> None:
    if not isinstance(value, Ranks) and not hasattr(value, "Get_rank"):
        raise wrong_kind("fit", name, "a communicator, such as mpi4py.MPI.COMM_WORLD", value)


def _path(name: str, value: Any) -> None:
    _a((str, os.PathLike), "a path")(name, value)
    if not os.fspath(value):
        raise ValueError(f"fit: {name} is an empty path; the current folder is '.'")


def _folder(name: str, value: Any) -> None:
    _path(name, value)
    if os.path.isfile(value):
        raise NotADirectoryError(f"fit: {name} is a folder, and {os.fspath(value)} is a file")


def _about(name: str, value: Any) -> None:
    _a((Mapping,), "a dict")(name, value)
    for key in value.keys() - KINDS.keys():
        raise TypeError(f"fit: {name}: {unknown_name('key', key, KINDS)}")


def _transform(name: str, value: Any, example: str = "data.ToFloat()") -> None:
    """A function of the images alone; one that draws random numbers is a Transform."""
    if isinstance(value, Transform):
        return
    example += " (a random one is a data.Transform, with a method change(self, x, rng))"
    check_takes("fit", name, value, ["images"], example)


def _loss(name: str, value: Any) -> None:
    check_takes("fit", name, value, ["output", "target"], "F.mse_loss")
    settings = getattr(value, "keywords", {})  # of a functools.partial
    if settings.get("reduction", getattr(value, "reduction", None)) == "sum":
        warnings.warn(
            "fit: the loss is the sum over a batch, so its steps and figures grow with batch_size, "
            "and fit takes it for the mean: reduction='mean'",
            stacklevel=4,
        )


MUST_BE: dict[str, Check] = {
    "model": _model,
    "train": _data,
    "validate": _data,
    "epochs": _integer(1),
    "batch_size": _integer(1),
    "seed": _integer(0),
    "keep_every": _integer(1),
    "save_every": _integer(1),
    "clip_grad_norm": _positive,
    "transform": _transform,
    "augment": functools.partial(_transform, example="data.RandomShift(2), or 'shift:2'"),
    "loss": _loss,
    "optimizer": _a((str, Optimizer), "a name, such as 'sgd', or an optimizer that is made"),
    "callbacks": _callbacks,
    "early_stopping": _a((EarlyStopping, Integral), "an EarlyStopping, or its patience in epochs"),
    "checkpoint": _path,
    "out": _folder,
    "init_from": _path,
    "resume": _a((bool, str, os.PathLike), "True, False or the path of a checkpoint"),
    "overwrite": _a((bool,), "True or False"),
    "about": _about,
    "progress": _a((bool,), "True, False or None"),
    "detect_anomaly": _a((bool,), "True or False"),
    "comm": _comm,
    "reproducible_for": _integer(1),
}
NEVER_NONE = ("model", "train", "epochs", "loss", "metrics", "optimizer", "callbacks", "resume")


ELSEWHERE = {
    "class_weight": "loss=nn.CrossEntropyLoss(weight=...)",
    "criterion": "loss",
    "learning_rate": "lr",
    "momentum": "optimizer=optim.SGD(model.parameters(), lr=..., momentum=...)",
    "sample_weight": "a loss= of yours, and the weights in a column of the targets",
    "scheduler": "schedule",
    "shuffle": "train=DataLoader(..., shuffle=False)",
    "validation_data": "validate",
    "verbose": "progress",
}
"""What `fit` has for arguments of other frameworks."""


def check_names(unknown: Mapping[str, Any], fit: Callable[..., Any], owner: str = "fit") -> None:
    """Raise TypeError for an argument that `fit` does not have, with the name of the one meant."""
    known = [name for name in inspect.signature(fit).parameters if name not in ("more", "unknown")]
    for name in unknown:
        if name in ELSEWHERE:
            raise TypeError(f"{owner}: for {name} give {ELSEWHERE[name]}")
        raise TypeError(f"{owner}: {unknown_name('argument', name, known)}")


def check_arguments(given: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError for the first argument of `fit` that is of the wrong kind."""
    for name, value in given.items():
        if name in MUST_BE and (value is not None or name in NEVER_NONE):
            MUST_BE[name](name, value)


# ----- a run in words -------------------------------------------------------------------------


def description(given: Mapping[str, Any], optimizer: Optimizer) -> dict[str, str]:
    """What decides on the course of a run, by the argument of `fit` that says it.

    optimizer: as it is before the first step. Data are told by a checksum: of an array, or of 16
    MiB of it evenly spaced; of a data set of one's own, its kind, length and array `labels` alone.
    """
    settings: dict[str, list[Any]] = {}
    for group in optimizer.param_groups:
        for name, value in {**group, "lr": group.get("initial_lr", group["lr"])}.items():
            if name not in ("params", "initial_lr"):
                settings.setdefault(name, []).append(value)
    early, parts = given["early_stopping"], given["reproducible_for"]
    return {
        **({} if parts is None else {"reproducible_for": str(parts)}),
        **{k: ", ".join(dict.fromkeys(map(str, v))) for k, v in settings.items()},
        "seed": str(given["seed"]),
        "clip_grad_norm": str(given["clip_grad_norm"]),
        "loss": _told(given["loss"]),
        "metrics": ", ".join(given["metrics"]) or "none",
        "early_stopping": str(getattr(early, "patience", early)),
        **{name: _told(given[name]) for name in ("transform", "augment")},
        **{name: _data_told(given[name]) for name in ("train", "validate")},
    }


def _told(function: Any) -> str:
    """A function by its name, one without a name by the names in it; an object as it prints; and of
    the user's own the numbers and texts that they hold."""
    text = getattr(function, "__qualname__", None) or repr(function)
    if isinstance(function, Module) and (state := function.state_dict()):
        text += f" with SHA-256 {weights_sha256(state)[:8]}"
    code = getattr(function, "__code__", None)
    if "<lambda>" in text and code is not None:
        constants = [repr(c) for c in code.co_consts if isinstance(c, (int, float, str))]
        text = f"a lambda of {', '.join([*code.co_names, *constants]) or 'no names'}"
    if not str(getattr(function, "__module__", "")).startswith("tinynet."):
        held = getattr(function, "__dict__", {})
        if inspect.isfunction(function):
            held = inspect.getclosurevars(function).nonlocals
        plain = [f"{k}={v!r}" for k, v in held.items() if isinstance(v, (Real, str, tuple))]
        text += f" with {', '.join(plain)}" if plain else ""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def _data_told(data: Any) -> str:
    if data is None:
        return "none"
    dataset, rows = source(data)
    if isinstance(dataset, ArrayDataset):
        parts: list[Any] = [*dataset.arrays, rows]
    elif is_dataset(dataset):
        parts = [getattr(dataset, "__dict__", {}).get("labels"), rows]
    else:
        parts = [part for batch in data for part in batch] if isinstance(data, list) else []
    arrays = [part.array if isinstance(part, Tensor) else part for part in parts]
    digest = 0
    for array in arrays:
        if not isinstance(array, np.ndarray) or array.dtype.hasobject:
            continue
        some = array[:: array.nbytes // HASHED + 1] if array.ndim else array
        told = f"{array.dtype.str} {array.shape}".encode() + some.tobytes()
        digest = zlib.crc32(told, digest)
    inner = [getattr(d, "transform", None) for d in {id(d): d for d in (data, dataset)}.values()]
    with_ = "".join(f", {_told(t)}" for t in inner if t is not None)
    if getattr(data, "seed_given", False):
        with_ += f", seed {data.seed}"
    size = f" of {len(rows)}" if is_dataset(dataset) else ""
    return f"{type(dataset).__name__}{size}, CRC {digest:08x}{with_}"
