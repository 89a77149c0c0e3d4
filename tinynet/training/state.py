"""The state of a run: all that the next step depends on, and nothing else.

`capture` takes it after any optimizer step, `restore` puts it back into a run that was set up in
the same way, and the run goes on as if it had never stopped, bit for bit:

    optimizer, schedule     their state_dict
    random                  every generator: tinynet's (of this thread), those that layers,
                            transforms and data sets hold, Python's and NumPy's global ones
    data, validation        where the loaders stand
    epoch, step, so_far     the place in the run and in the epoch, the means over the epoch so far
    history, losses         what was recorded: one record an epoch, one loss a step
    callbacks               what each callback remembers
    setup                   what `fit` was given, what of the model is frozen or in evaluation mode,
                            in words: it must be the same again
    environment             what it all ran on

The weights are beside it in the checkpoint.
"""

import os
import random
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.errors import CheckpointError
from tinynet.nn.modes import asleep
from tinynet.nn.states import size_lazy, snapshot
from tinynet.random import default_rng
from tinynet.training.checkpoint import Checkpoint, save
from tinynet.training.environment import environment
from tinynet.training.failures import check_weights, naming_divergence
from tinynet.training.files import shown
from tinynet.training.history import from_columns, to_columns
from tinynet.training.loop import EpochSoFar
from tinynet.training.run import Callback, Run
from tinynet.training.setup import BATCH


def capture(run: Run) -> dict[str, Any]:
    """The state of a run, as nested dicts and lists of numbers, texts and arrays."""
    so_far = run.so_far
    return {
        "setup": setup_of(run),
        **{k: getattr(run, k) for k in ("epoch", "epochs", "phase", "step", "stop", "seed")},
        "seconds": run.seconds(),
        "so_far": {
            **{name: getattr(so_far, name) for name in ("steps", "loss", "lr")},
            **{name: dict(getattr(so_far.means, name)) for name in ("counts", "sums")},
        },
        "history": to_columns(run.history),
        "losses": np.array(run.losses, np.float64),
        **{name: _state_of(part) for name, part in _parts(run).items()},
        "random": {name: rng.bit_generator.state for name, rng in generators(run).items()}
        | _global_generators(),
        "callbacks": [[type(c).__name__, c.state_dict()] for c in run.callbacks],
        "environment": environment(),
    }


def _parts(run: Run) -> dict[str, Any]:
    """What keeps a state of its own, as far as it has the methods for it."""
    return {
        "optimizer": run.optimizer,
        "schedule": run.schedule.scheduler,
        "data": run.train,
        "validation": run.validate,
    }


def _state_of(part: Any) -> dict[str, Any] | None:
    return dict(part.state_dict()) if hasattr(part, "state_dict") else None


DECIDES = ("tinynet", "numpy", "python", "kernels", "numba")
"""What of the environment no two processes that train one model may have different."""


def told_to_all(run: Run) -> dict[str, Any]:
    """What must be the same in all processes that train one model, in words and plain numbers."""
    for name in generators(run):
        if "/" in name.removeprefix("train/").removeprefix("validate/"):
            raise ValueError(
                f"fit: {name} draws from a generator of its own, which would make of each process "
                "another run: leave its rng= out"
            )
    return {
        **setup_of(run),
        "model": {k: (v.dtype.str, v.shape) for k, v in run.model._named_state()},
        "training data": _state_of(run.train),
        "validation data": _state_of(run.validate),
        "settings": run.about.get("settings"),
        "epochs": run.epochs,
        **{k: v for k, v in environment().items() if run.ranks.parts or k in DECIDES},
    }


def phase_of(state: dict[str, Any] | None, epochs: int) -> int:
    """After how many epochs the schedule begins with which a run goes on to `epochs`.

    That is anew where the run was finished after fewer epochs, and else as it was.
    """
    if state is None:
        return 0
    done, went_on = state["epoch"], state["so_far"]["steps"] or state["stop"]
    if state["epochs"] == done < epochs and not went_on:
        return _count(done)
    return _count(state["phase"])


def begins_anew(run: Run, state: dict[str, Any] | None) -> bool:
    """Whether a finished run goes on for more epochs, with its schedule from the beginning."""
    return state is not None and bool(run.phase != state["phase"])


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights and state into a run that was set up as the first one was.

    Raises CheckpointError that names what does not fit; everything is then as it was before.
    """
    weights, state = checkpoint.weights, checkpoint.run
    if state is None:
        raise CheckpointError("cannot resume: this checkpoint holds a model, but no run")
    if (was := checkpoint.classes) and (now := run.about.get("classes")):
        _check_same({"classes": ", ".join(was)}, {"classes": ", ".join(map(str, now))})
    size_lazy(run.model, weights)
    before = snapshot(run.model), capture(run)
    try:
        _apply(run, weights, state)
    except Exception as error:  # an archive can be whole and its content nonsense
        _apply(run, *before)
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"cannot resume: the run's state is damaged: {error!r}") from error


def _apply(run: Run, weights: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    now, then = setup_of(run), state["setup"]
    now["epochs"] = "any" if then["epochs"] == "any" else str(run.epochs)
    anew = begins_anew(run, state)
    sizes = [(data or {}).get("batch_size") for data in (state["data"], _state_of(run.train))]
    _check_same({"batch_size": sizes[0]}, {"batch_size": sizes[1]})
    _check_same(then | ({k: now[k] for k in ("epochs", "schedule")} if anew else {}), now)
    history = from_columns(state["history"])
    if len(state["losses"]) != state["step"] or len(history) > state["epoch"]:
        raise CheckpointError("cannot resume: the run's steps and records do not fit together")
    run.model.load_state_dict(weights)  # the first: it names the layers that are others now
    as_given = [dict(group) for group in run.optimizer.param_groups]
    for name, part in _parts(run).items():
        if state[name] is not None and not (anew and name == "schedule"):
            try:
                part.load_state_dict(state[name])
            except (AttributeError, TypeError, ValueError) as error:
                raise CheckpointError(f"cannot resume: {name}: {error}") from error
    for group, given in zip(run.optimizer.param_groups, as_given) if anew else ():
        group.update(given)
    _load_generators(run, state["random"])
    run.history[:] = history
    run.losses = array("d", state["losses"].astype(np.float64))
    run.epoch, run.step = _count(state["epoch"]), _count(state["step"])
    run.stop = str(state["stop"])
    run.seed = None if state["seed"] is None else _count(state["seed"])
    run.start_clock(float(state["seconds"]))
    run.so_far = _so_far(state["so_far"])
    _load_callbacks(run.callbacks, state["callbacks"])


def setup_of(run: Run) -> dict[str, str]:
    """What must be the same for a run to go on, in words."""
    paced = run.schedule.scheduler is not None and run.schedule.step == BATCH
    frozen = [name for name, p in run.model.named_parameters() if not p.requires_grad]
    return {
        "optimizer": type(run.optimizer).__name__,
        "schedule": str(run.schedule),
        "epochs": str(run.epochs) if paced else "any",
        **run.arguments,
        "in evaluation mode": ", ".join(asleep(run.model)) or "nothing",
        "frozen": ", ".join(frozen) or "nothing",
    }


def _check_same(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise CheckpointError where the run was set up in another way than the saved one."""
    for name in {**then, **now}:
        if _alike(then.get(name)) != _alike(now.get(name)):
            raise CheckpointError(
                f"cannot resume: {name} was {then.get(name)!s:.120} in the run, now it is "
                f"{now.get(name)!s:.120}. Pass what it was, or train anew (in Python resume=False)"
            )


def _alike(told: Any) -> str:
    """A setting in words, the same with 1 and with 1.0 in it."""
    return re.sub(r"(?<![\w.])(\d+)\.0(?![\w.])", r"\1", str(told))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise CheckpointError(f"cannot resume: {value!r:.40} is no count")
    return value


def _so_far(saved: dict[str, Any]) -> EpochSoFar:
    so_far = EpochSoFar(_count(saved["steps"]), float(saved["loss"]), float(saved["lr"]))
    so_far.means.sums = {str(k): float(v) for k, v in saved["sums"].items()}
    so_far.means.counts = {k: float(saved["counts"][k]) for k in so_far.means.sums}
    return so_far


def _load_callbacks(callbacks: list[Callback], saved: list[Any]) -> None:
    """Give each callback the state that the one of its class had; a new one starts afresh."""
    left = list(saved)
    for callback in callbacks:
        for entry in left:
            if entry[0] == type(callback).__name__:
                left.remove(entry)
                callback.load_state_dict(entry[1])
                break


def save_run(path: str | os.PathLike[str], run: Run, chosen_by: str | None = None) -> None:
    """Write the checkpoint of a run as it stands, with all that it needs to go on.

    chosen_by: the quantity by which this is the best epoch.

    Raises DivergenceError, and writes nothing, if a weight is not finite.
    """
    with naming_divergence(run.optimizer, run.epoch, run.so_far.steps):
        check_weights(run.model)
    for callback in run.callbacks:
        callback.on_save(run)
    try:
        if run.ranks.first:
            save(run.model, path, run=capture(run), chosen_by=chosen_by, **run.about)
    except OSError as error:
        kept = (
            "" if run.saved is None else f"; the checkpoint before it is whole: {shown(run.saved)}"
        )
        raise type(error)(error.errno, f"{error.strerror}{kept}") from error
    run.saved = Path(path)


# ----- generators -----------------------------------------------------------------------------


def generators(run: Run) -> dict[str, np.random.Generator]:
    """Every generator that a run draws from, by where it was found."""
    found = {"default": default_rng()}
    for path, module in run.model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, np.random.Generator):
                found[f"model/{path}.{name}"] = value
    found.update(_inside(run.train, "train"))
    found.update(_inside(run.validate, "validate"))
    return found


def _inside(value: Any, path: str) -> Iterator[tuple[str, np.random.Generator]]:
    """The generators that a loader, its data set and its transforms hold as attributes."""
    for name, item in getattr(value, "__dict__", {}).items():
        if isinstance(item, np.random.Generator):
            yield f"{path}/{name}", item
        elif name in ("dataset", "transform"):
            yield from _inside(item, f"{path}/{name}")
        elif name == "transforms":  # of a Compose
            for i, step in enumerate(item):
                yield from _inside(step, f"{path}/{name}/{i}")


def _global_generators() -> dict[str, Any]:
    version, words, gauss = random.getstate()
    return {
        "python": {"version": version, "words": np.array(words, np.uint32), "gauss": gauss},
        "numpy": np.random.get_state(legacy=False),
    }


def _load_generators(run: Run, saved: dict[str, Any]) -> None:
    own = generators(run)
    if missing := sorted(own.keys() ^ (saved.keys() - {"python", "numpy"})):
        raise CheckpointError(
            f"cannot resume: the run had other random generators: {', '.join(missing)}"
        )
    for name, rng in own.items():
        rng.bit_generator.state = saved[name]
    python = saved["python"]
    words = tuple(int(word) for word in python["words"])
    random.setstate((python["version"], words, python["gauss"]))
    np.random.set_state(saved["numpy"])
