"""The models that commands take: tinynet's by name, the user's as FILE.py:CLASS.

    --model lenet5
    --model my_net.py:Net
    --model "my_net.py:Net(width=32)"     arguments are numbers, texts, lists and the like

A class of the user's gets num_classes, in_channels and image_size too, as far as its `__init__`
has such parameters. A run remembers the file and its SHA-256. To use the run is to execute that
file, so one that lies in the folder of the run, and may have come with it, is not.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynet.cli.options import BadArgument, choose, find_checkpoint, is_run
from tinynet.cli.rows import a_path

if TYPE_CHECKING:
    from tinynet.nn import Module
    from tinynet.training import Trained

EXAMPLE = 'such as "my_net.py:Net(width=32)"'


def is_own(name: str) -> bool:
    """Whether the name is of a model in a Python file of the user's."""
    return ".py:" in name or name.endswith(".py")


def check_model(name: str) -> str:
    """The name as a run keeps it, with the file's whole path. BadArgument for an unknown one."""
    from tinynet import models

    if not is_own(name):
        return choose("model", name, [*models.names(), "FILE.py:CLASS"])
    file, call = _parts(name)
    if not file.is_file():
        raise BadArgument(f"there is no file {file}")
    return f"{file.resolve()}:{ast.unparse(call)}"


def build_model(name: str, **settings: Any) -> tuple[Module, dict[str, Any]]:
    """The model of that name, and the arguments it was made with.

    settings: num_classes, in_channels, image_size; of them a class of the user's gets what it
    takes and what its name does not say. BadArgument where it cannot be made.
    """
    from tinynet import models
    from tinynet.cli.python_file import place
    from tinynet.nn import Module
    from tinynet.nn.lazy import settle

    if not is_own(name):
        return models.build(choose("model", name, models.names()), **settings), settings
    make, arguments = _found(name)
    arguments = {**models.accepted(make, settings), **arguments}
    try:
        model = make(**arguments)
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        cure = f"; what is missing goes into the name, {EXAMPLE}" * ("missing" in str(error))
        told = f"{name}: it cannot be made with ({given}): {place(error)}{error}{cure}"
        raise BadArgument(told) from error
    if not isinstance(model, Module):
        made, base = type(model).__name__, type(model).__module__
        raise BadArgument(f"{name} gives a {made}, of {base} and no tinynet.nn.Module")
    if getattr(model.forward, "__func__", None) is Module.forward:
        raise BadArgument(f"{name} has no forward: write `def forward(self, x)` in the class")
    if settings.keys() >= {"in_channels", "image_size"}:
        settle(model, (1, settings["in_channels"], *settings["image_size"]))
    return model, arguments


def title(name: str) -> str:
    """The name of a model, in a word: of one of the user's that of its class."""
    return _name_of(_parts(name)[1]) if is_own(name) else name


def built(
    what: str, shape: tuple[int, ...] | None, own: str | None = None, **settings: Any
) -> tuple[Module, tuple[int, ...]]:
    """The model of that name, or of a run, and the shape of an example: `shape`, else that of the
    run's, or its usual one. own: --model, see `open_run`.
    """
    from tinynet.data.files import as_path
    from tinynet.training import usual_shape

    if is_run(path := as_path(what)):
        trained = open_run(path, own)
        if (shape := shape or trained.checkpoint.input_shape) is None:
            raise BadArgument(f"{path} does not say the shape of an image; add it: --shape 1x28x28")
        return trained.network, shape
    name = check_model(what)
    if shape is None and is_own(name):
        raise BadArgument(
            f"{name}: add the shape of an image, such as --shape 1x28x28, or of a row of numbers, "
            "--shape 3"
        )
    shape = shape or usual_shape(name)
    if len(shape) == 3:
        settings |= {"in_channels": shape[0], "image_size": shape[1:]}
    elif not is_own(name):
        raise BadArgument(f"{name} takes images: --shape CxHxW, such as 1x28x28")
    return build_model(name, **settings)[0], shape


def file_sha256(name: str) -> str | None:
    """The SHA-256 of the file of a model of the user's; None for one of tinynet's."""
    return hashlib.sha256(_parts(name)[0].read_bytes()).hexdigest() if is_own(name) else None


def warn_of_change(settings: Mapping[str, Any] | None) -> None:
    """Warn if the file of a run's model is not what it was when the run began.

    BadArgument where it is not there any more.
    """
    name = str((settings or {}).get("model"))
    then = (settings or {}).get("model_sha256")
    if then is not None and is_own(name):
        file = _parts(name)[0]
        if not file.is_file():
            raise BadArgument(
                f"{file}, the model of the run, is not there any more; where it was moved, add "
                f"--model FILE.py:CLASS, {EXAMPLE}"
            )
        if file_sha256(name) != then:
            warnings.warn(f"{file} has changed since the run began", stacklevel=2)


def open_run(run: Path | None, own: str | None = None) -> Trained:
    """The model of a run, of a checkpoint, or of the newest run. own: --model, if it was given.

    BadArgument where there is none, or where its model's file must be named.
    """
    from tinynet.training import Trained, checkpoint
    from tinynet.training.checkpoint import as_tuples

    path = find_checkpoint(run)
    stored = checkpoint.read(path)
    if own is None and stored.is_buildable():
        return Trained(stored.build(), stored)
    name = stored.name if own is None else check_model(own)
    arguments = {key: as_tuples(value) for key, value in (stored.arguments or {}).items()}
    cure = f"--model FILE.py:CLASS, {EXAMPLE}"
    if name is None:
        raise BadArgument(
            f"{path} does not say of which model its weights are; name it: --model lenet5, {cure}"
        )
    if own is None:
        file, call = _parts(name)
        if not file.is_file() or file.resolve().is_relative_to(path.parent.resolve()):
            why = "lies in the run's folder" if file.is_file() else "is not there any more"
            raise BadArgument(
                f"{path} is of a model in {file}, which {why}; name its file and class: {cure}"
            )
        warn_of_change(stored.settings)
        name = f"{file}:{_name_of(call)}"
        settings = arguments
    else:
        if stored.name is not None and title(stored.name) != title(name):
            told = f"{path} is of the model {title(stored.name)}; its weights are put into "
            told += f"{title(name)}, which may make something else of them"
            warnings.warn(told, stacklevel=2)
        settings = _sizes(stored) | (arguments if is_own(name) else {})
    model, _ = build_model(name, **settings)
    wanted = {key: np.shape(w) for key, w in stored.weights.items()}
    is_guess = own is not None and stored.classes is None and "num_classes" not in arguments
    if is_guess and {key: w.shape for key, w in model.state_dict().items()} != wanted:
        del settings["num_classes"]  # the last weights need not be those of the outputs
        with contextlib.suppress(BadArgument):
            model, _ = build_model(name, **settings)
    model.load_state_dict(stored.weights)
    return Trained(model, stored)


def _sizes(stored: Any) -> dict[str, Any]:
    """The num_classes, in_channels and image_size that a checkpoint tells."""
    last = next((w for w in reversed(stored.weights.values()) if np.ndim(w)), None)
    known = last if stored.classes is None else stored.classes
    count = None if known is None else len(known)
    settings: dict[str, Any] = {"num_classes": count}
    if stored.input_shape is not None and len(stored.input_shape) == 3:
        channels, *size = stored.input_shape
        settings |= {"in_channels": channels, "image_size": tuple(size)}
    return settings


def _found(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The class (or function) in the user's file, and the arguments that the name gives it."""
    from tinynet.cli.python_file import load

    file, call = _parts(name)
    there = vars(load(file))
    wanted = _name_of(call)
    if wanted not in there:
        made = [key for key, value in there.items() if inspect.isclass(value) and key[0] != "_"]
        choose("class", wanted, made, f"{file}: ")
    make = there[wanted]
    if not callable(make) or hasattr(type(make), "named_parameters"):
        raise BadArgument(f"{name} is a {type(make).__name__}: name the class, or a function")
    try:
        given = inspect.signature(make).bind_partial(
            *map(_plain, getattr(call, "args", ())),
            **{str(k.arg): _plain(k.value) for k in getattr(call, "keywords", ())},
        )
    except (TypeError, ValueError) as error:
        raise BadArgument(f"{name}: {error}; arguments are plain values, {EXAMPLE}") from error
    return make, dict(given.arguments)


def _plain(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise ValueError(f"{ast.unparse(value)} is no plain value; text is in quotes") from None


def _parts(name: str) -> tuple[Path, ast.expr]:
    """The file, and the name or call behind the colon."""
    file, _, text = name.rpartition(".py:")
    try:
        call = ast.parse(text.strip(), mode="eval").body
        _name_of(call)
    except (SyntaxError, AttributeError):
        raise BadArgument(f"{name!r} is no FILE.py:CLASS, {EXAMPLE}") from None
    return a_path(f"{file}.py"), call


def _name_of(call: ast.expr) -> str:
    named: Any = call.func if isinstance(call, ast.Call) else call
    return str(named.id)
