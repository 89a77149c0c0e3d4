"""`fit`: train a model on data for some epochs, with all that is usually wanted around it.

    history = fit(model, train, epochs=5, validate=test, lr=0.05, seed=0)

Nothing in it is out of reach of a plain loop; `examples/own_loop.py` is one.
"""

import contextlib
import functools
import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from tinynet import anomaly
from tinynet.data.files import as_path
from tinynet.nn import Module
from tinynet.nn import functional as F
from tinynet.nn.modes import asleep, follow, train_the_awake
from tinynet.optim import LBFGS, Optimizer
from tinynet.random import manual_seed
from tinynet.training import batches as given
from tinynet.training.arguments import check_arguments, check_names, description
from tinynet.training.callbacks import BestModel, EarlyStopping, Progress
from tinynet.training.checkpoint import Checkpoint, as_kept, built_as, load_fitting, read
from tinynet.training.distributed import ranks_of
from tinynet.training.failures import DivergenceError, check_weights, naming_divergence
from tinynet.training.files import shown
from tinynet.training.folder import BEST, LAST, RunFolder, check_free, chosen_in, left_in, locked
from tinynet.training.history import History, Record
from tinynet.training.loop import EpochSoFar, evaluate, parameters_of, train_epoch
from tinynet.training.losses import as_loss, name_of, watched
from tinynet.training.metrics import DEFAULT_METRICS, VALIDATION, as_metrics, of_matrix
from tinynet.training.preparation import ENOUGH, Images, known_of
from tinynet.training.report.writer import ReportWriter
from tinynet.training.run import Callback, Run
from tinynet.training.setup import make_optimizer, make_schedule
from tinynet.training.state import begins_anew, phase_of, restore, told_to_all


def fit(
    model: Module,
    train: Any,
    *more: Any,
    epochs: int | None = None,
    validate: Any = None,
    validation_split: float | None = None,
    batch_size: int | None = None,
    transform: Images | None = None,
    augment: Any = None,
    optimizer: Optimizer | str = "sgd",
    lr: float | None = None,
    weight_decay: float = 0.0,
    schedule: Any = "onecycle",
    step: str | None = None,
    monitor: str | None = None,
    loss: Any = F.cross_entropy,
    metrics: Any = DEFAULT_METRICS,
    clip_grad_norm: float | None = None,
    seed: int | None = None,
    callbacks: Sequence[Callback] = (),
    early_stopping: EarlyStopping | int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    keep_every: int | None = None,
    save_every: int | None = None,
    resume: bool | str | os.PathLike[str] = False,
    overwrite: bool = False,
    init_from: str | os.PathLike[str] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    detect_anomaly: bool = False,
    comm: Any = None,
    reproducible_for: int | None = 8,
    **unknown: NoReturn,
) -> History:
    """Train `model` in place and return what happened, one record an epoch.

    fit(model, train, epochs=5) or, of arrays, fit(model, x, y, epochs=5).

    train, validate: a dataset, a DataLoader, or a pair of arrays, tensors or tables (x, y) each;
    labels that are text are numbered. validation_split=0.1 holds out a tenth of `train` instead of
    validate, of every class as much. Of a dataset a loader is made: batch_size
    (64), shuffled for training; transform is applied to the images of both, augment before it to
    those of training: a transform, or names, such as ["shift", "flip:0.5"]; see `make_augment`.

    optimizer: a name (see `make_optimizer`; lr and weight_decay go with it) or an Optimizer,
    except LBFGS, whose step needs a closure.
    What is frozen (requires_grad=False) stays so, and so do layers that were put into evaluation
    mode by themselves (`layer.eval()`); all others are trained.

    schedule: a name (see `make_schedule`), a scheduler of that optimizer, or None. A scheduler
    takes a step after every epoch, OneCycleLR after every batch; step="batch" or "epoch" says
    which. ReduceLROnPlateau looks at monitor, such as "validation_accuracy"; by default at the
    validation loss, with mode="max" at the validation accuracy.

    loss: a function of (output, target) that returns the mean over the batch, or a name: see
    `losses.LOSSES`. metrics: functions of (output, target) by name, or a list of names, such as
    ["accuracy", "top_5", "f1", "mae"]; {} for none; by default the accuracy, where the
    targets are class labels. clip_grad_norm: the largest norm of the gradient. seed: fixes the
    order of the examples, augmentation and dropout, for it is given to `tinynet.manual_seed`, which
    the numbers that you draw after `fit` follow too; without it all follow your own.

    callbacks: see `Callback`. early_stopping: an EarlyStopping, or its patience in epochs; the
    weights of the best epoch are put back at the end. checkpoint: a file that always holds the best
    epoch's model. about: more that checkpoints should say of the model, such as its name; see
    `save`. progress: None for a bar on a terminal and lines elsewhere, False for silence, True for
    the bar. detect_anomaly: look at every result and gradient, which takes a little longer, so
    that a DivergenceError comes at the very operation that went bad and names it; see
    `tinynet.detect_anomaly`.

    out: a folder that keeps the run: last.safetensors after every epoch, and after every
    `save_every` steps; best.safetensors; report.html, to be opened in a browser; and with
    keep_every=k epoch-0010.safetensors and so on after every k-th epoch. Ctrl-C or SIGTERM then
    saves before it stops. resume: go on from the last in `out` if it is there (or from the
    checkpoint given, which then is the last), with the same arguments as before (else
    CheckpointError names the one that differs): weights and history come out as if the run had
    never stopped, bit for bit. A run that is finished goes on for more with a larger number of
    epochs, its schedule from the beginning. overwrite: begin anew in place of a run that lies in
    `out`, which else is kept; it is removed once the first epoch is done, or what is saved before.

    init_from: a run's folder or a checkpoint, with whose weights a new run begins, as far as they
    fit: where the classes are others, the last layer begins anew.

    comm: the communicator of mpi4py, MPI.COMM_WORLD, of processes that all call `fit` alike, to
    train the model together; the first of them writes and reports. Each batch is cut into
    reproducible_for parts, and the weights are the same bit for bit with any number of processes.
    None: as many parts as processes, which is faster where a part would be small. See
    docs/distributed.md.

    The model is left in evaluation mode, without gradients. Raises DivergenceError if the loss or
    a weight becomes NaN or infinite; files written for earlier epochs are whole and stay. Raises
    CheckpointError for a checkpoint that is damaged or of another run, OSError where none can be
    written, BlockingIOError where another training is at work in `out`, and FileExistsError where
    a run lies there that is not to be overwritten.
    """
    check_names(unknown, fit)
    check_arguments({"model": model})  # before the data, which may be in its place
    targets, epochs = given.targets_and_epochs(more, epochs)
    loss, metrics = as_loss(loss), as_metrics(metrics)
    out, checkpoint, init_from, resume = (  # type: ignore[assignment]
        as_path(path) if path and isinstance(path, (str, os.PathLike)) else path
        for path in (out, checkpoint, init_from, resume)
    )
    out = out.absolute() if isinstance(out, Path) else out  # the current folder may change
    train = given.as_examples(train, targets, model, loss=loss)
    whole = given.source(train)[0]
    given.check_goes_on(model, train)
    validate = given.as_examples(validate, None, model, whole, loss, "validate: ")
    given.check_classes(getattr(whole, "classes", None), validate, "validate: ")
    check_arguments({**locals(), "augment": None})
    augment = given.as_augment(augment, train, batch_size)
    check_arguments({"augment": augment})
    if validation_split is not None:
        if validate is not None:
            raise ValueError("fit: give validate= or validation_split=, not both")
        train, validate = given.split_off(train, validation_split, 0 if seed is None else seed)
    epochs, seed = int(epochs), None if seed is None else int(seed)
    if seed is not None:
        manual_seed(seed)
    ranks = ranks_of(comm, reproducible_for)
    transform = given.own_transform(model, train, transform)
    batches = given.training_batches(
        train, batch_size, transform, augment, seed, given.dtype_of(model)
    )
    given.look_at_labels(batches, loss)
    held_out = given.validation_batches(validate, train, transform, given.dtype_of(model))
    if isinstance(optimizer, str):
        optimizer = make_optimizer(optimizer, model.parameters(), lr, weight_decay)
    elif lr is not None or weight_decay:
        raise ValueError("fit: lr and weight_decay are for an optimizer by name; yours has its own")
    _check_learns(model, optimizer)
    before = [{**group, "params": None} for group in optimizer.param_groups]
    arguments = description({**locals(), "reproducible_for": ranks.parts}, optimizer)
    stopping = early_stopping
    if stopping is not None and not isinstance(stopping, EarlyStopping):
        stopping = EarlyStopping(stopping)
    silent = progress is False or not ranks.first
    extra: list[Callback] = [] if silent else [Progress(progress)]
    extra += [*([] if stopping is None else [stopping]), *callbacks]
    if checkpoint is not None:
        extra.append(BestModel(checkpoint))
    if out is not None:
        best = Path(out) / BEST
        if not any(isinstance(each, BestModel) and each.path == best for each in extra):
            extra.append(BestModel(best))
        extra += [ReportWriter(Path(out)), RunFolder(out, keep_every, save_every)]
    elif keep_every is not None or save_every is not None:
        raise ValueError("fit: keep_every and save_every say what is kept in a folder: pass out=")
    with (
        contextlib.nullcontext() if ranks is comm else ranks,  # whoever gives Ranks ends them
        locked(shown(out)) if out is not None and ranks.first else contextlib.nullcontext(),
        anomaly.detect_anomaly() if detect_anomaly else contextlib.nullcontext(),
    ):
        start = ranks.from_first(lambda: _prepare(out, resume, overwrite))
        phase = phase_of(None if start is None else start.run, epochs)
        left = epochs - phase if isinstance(schedule, str) else epochs
        run: Run | None = None
        known = given.about_data(model, train, transform, augment, loss)
        if start is not None:  # looked at in its first epoch
            known |= {k: v for k in ("inputs", "box") if (v := getattr(start, k)) is not None}
        try:
            run = Run(
                model,
                optimizer,
                make_schedule(schedule, optimizer, left * len(batches), left, step, monitor),
                batches,
                held_out,
                loss,
                metrics,
                epochs,
                clip_grad_norm,
                seed,
                {**known, **(about or {})},
                arguments,
                phase=phase,
                ranks=ranks,
            )
            if start is None and init_from is not None:
                begun = ranks.from_first(lambda: read(chosen_in(init_from)))
                run.notes.append(load_fitting(model, begun, run.about.get("classes")))
            run.notes += _notes(run, start, schedule, stopping)
            return train_run(run, extra, start)
        except Exception:
            if out and ranks.first and run and run.saved and not run.step and start is None:
                for path in left_in(out):  # the first step failed: nothing is left to go on with
                    path.unlink()
            raise
        finally:
            if isinstance(schedule, str):  # its course is this training's alone
                for group, was in zip(optimizer.param_groups, before):
                    group.update({name: was[name] for name in MOVED if name in was})


MOVED = ("lr", "momentum", "betas")
"""What a schedule moves in an optimizer's groups."""


def _notes(
    run: Run, start: Checkpoint | None, schedule: Any, stopping: EarlyStopping | None
) -> Iterator[str]:
    """What the user may not expect of a training that is about to begin."""
    if (idle := run.ranks.size - (run.ranks.parts or run.ranks.size)) > 0:
        yield f"{idle} ranks have nothing to do: reproducible_for={run.ranks.parts}"
    if name_of(run.loss) is None:
        yield (
            "the loss is a function of your own: the report, and the model once loaded, read the "
            f"outputs as those of {run.about['loss']}; about={{'loss': NAME}} says otherwise"
        )
    of_all = [name for name, metric in run.metrics.items() if of_matrix(metric)]
    if of_all and run.validate is None:
        warnings.warn(
            f"fit: {', '.join(of_all)}: measured on validation data alone, and there is none; pass "
            "validate= or validation_split=",
            stacklevel=3,
        )
    if schedule is not None and not isinstance(schedule, str):
        yield str(run.schedule)
    if stopping is not None and schedule == "onecycle":
        yield (
            "early stopping under the schedule onecycle may stop before the learning rate "
            "falls; schedule='plateau' suits it"
        )
    for what, chosen in (("early stopping", stopping), ("the schedule plateau", run.schedule)):
        if chosen is not None and len(chosen.monitor) > 1 and run.validate is None:
            warnings.warn(
                f"fit: {what} looks at the {chosen.monitor[-1]} of training, for there is no "
                "validation data; pass validate= or validation_split=",
                stacklevel=3,
            )
    if place := ((start and start.run) or {}).get("diverged"):
        warnings.warn(
            f"fit: the run diverged in {place}; it goes on from before, and with the same data it "
            "will again: begin anew with a lower learning rate",
            stacklevel=3,
        )
    if start is not None and begins_anew(run, start.run):
        yield f"the schedule begins anew after epoch {run.phase}"


def _check_learns(model: Module, optimizer: Optimizer) -> None:
    """Raise ValueError if no step will change the model, or a layer that was put in since."""
    if isinstance(optimizer, LBFGS):
        raise ValueError(
            f"fit: {type(optimizer).__name__} makes its steps by a closure, which it calls several "
            "times for each batch. Train with it in a loop of your own: optimizer.step(closure); "
            "fit takes every other optimizer, such as 'adam'"
        )
    held = {id(p) for p in parameters_of(optimizer)}
    own = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    left_out = [name for key, name in own.items() if key not in held]
    if left_out and held & own.keys() and held - {id(p) for p in model.parameters()}:
        raise ValueError(
            f"fit: the optimizer holds parameters that are not the model's, and not its "
            f"{', '.join(left_out[:3])}: was a layer replaced after the optimizer was made? Build "
            "the optimizer again: optim.SGD(model.parameters(), ...)"
        )
    if not any(p.requires_grad and id(p) in held for p in model.parameters()):
        raise ValueError(
            "fit: the optimizer holds no parameter of the model that learns. Build it on this "
            "model's parameters(), and leave some of them unfrozen (requires_grad)"
        )
    if not any(group.get("initial_lr", group["lr"]) for group in optimizer.param_groups):
        warnings.warn("fit: the learning rate is 0, and so is every step: pass lr=", stacklevel=3)


def _tell_what_stays(run: Run) -> None:
    """A note of the layers in evaluation mode, a warning of what moves although it is frozen."""
    if layers := asleep(run.model):
        run.notes.append(f"in evaluation mode stay {', '.join(layers)}")
    for path, layer in run.model.named_modules():
        own = list(layer.parameters(recurse=False))
        moves = layer.training and getattr(layer, "running_mean", None) is not None
        if own and moves and not any(p.requires_grad for p in own):
            warnings.warn(
                f"fit: the parameters of {path} ({type(layer).__name__}) are frozen, but not its "
                "running statistics; .eval() on the layer keeps them too",
                stacklevel=4,
            )


def _prepare(
    out: str | os.PathLike[str] | None, resume: bool | str | os.PathLike[str], overwrite: bool
) -> Checkpoint | None:
    """The checkpoint to go on from, if any; without one, `out` must be free for a new run."""
    if resume and overwrite:
        raise ValueError("fit: resume= goes on with a run, overwrite=True begins another: give one")
    if not isinstance(resume, bool):
        return read(resume)
    if out is None:
        if resume:
            raise ValueError("fit: resume=True goes on with the run in a folder: pass out=")
        return None
    last = shown(out) / LAST
    if resume and last.exists():
        return read(last)
    if not overwrite:
        check_free(shown(out))
    return None


def train_run(run: Run, callbacks: Iterable[Callback], start: Checkpoint | None = None) -> History:
    """Go through the epochs of a run, from where it stands, or from `start`, to its end."""
    run.callbacks = list(callbacks)
    run.resumed = start is not None
    train_the_awake(run.model)
    _tell_what_stays(run)
    run.ranks.join(run.model, lambda: told_to_all(run))
    compared = given.compare_outputs(run.model, run.about.get("classes"), run.loss)
    try:
        for callback in run.callbacks:
            callback.on_train_begin(run)
        if start is not None:
            restore(run, start)
            run.saved = start.path
            for callback in run.callbacks:
                callback.on_resume(run)
        while not run.finished():
            record = _one_epoch(run)
            for callback in run.callbacks:
                callback.on_epoch_end(run, record)
        run.model.zero_grad()
    except DivergenceError as error:
        error.kept = run.saved if run.step else None
        run.diverged = f"epoch {error.epoch}, step {error.step}"
        raise
    finally:
        compared.remove()
        follow(run.model, False)
        for callback in run.callbacks:
            callback.on_train_end(run)
    return run.history


def _known_now(run: Run, then: Checkpoint) -> Checkpoint:
    """What a loaded model knows of itself once it is trained further, on other data or another loss
    than before; `then`: what it knew.
    """
    of_then = "inputs", "untold", "loss_settings", "chosen_by"
    about = {**vars(then), "classes": given.learnt(run.model) or None, **dict.fromkeys(of_then)}
    about |= built_as(run.model) or {}
    about |= {name: value for name, value in run.about.items() if value is not None}
    weights = {name: tensor.array for name, tensor in run.model.state_dict().items()}
    return replace(then, **as_kept(about), weights=weights, run=None)


def _one_epoch(run: Run) -> Record:
    """Train and validate for one epoch, or the rest of one; its record, also in the history."""
    known = known_of(run.model)

    def after_step(means: Record) -> None:
        if known is not None and known_of(run.model) is known:
            run.model.checkpoint = _known_now(run, known)
        run.step += 1
        run.losses.append(run.so_far.loss)
        run.schedule.after_step(run.step - run.phase * len(run.train))
        for callback in run.callbacks:
            callback.on_step_end(run, means)

    run.so_far.peak = max((record["lr"] for record in run.history), default=0.0)
    if not run.so_far.steps:
        run.start_clock()
        run.epoch += 1
    for callback in run.callbacks:
        callback.on_epoch_begin(run)
    batches: given.Batches = run.train
    if not hasattr(batches, "load_state_dict"):  # a loader that was told knows the rest itself
        batches = itertools.islice(batches, run.so_far.steps, None)
    batches = run.ranks.own_parts(batches)
    at_training = functools.partial(given.look_at_training, train=run.train, about=run.about)
    at_validation = functools.partial(given.look_at_validation, about=run.about)
    trained = train_epoch(
        run.model,
        batches if run.step or not run.ranks.first else given.looked_at(batches, at_training, 1),
        run.optimizer,
        run.loss if run.step else watched(run.loss),
        metrics=run.metrics,
        clip_grad_norm=run.clip_grad_norm,
        epoch=run.epoch,
        after_step=after_step,
        so_far=run.so_far,
        gradients=run.ranks.gradients,
    )
    lr = trained.pop("lr")
    record: Record = {"epoch": run.epoch, **trained}
    with naming_divergence(run.optimizer, run.epoch, run.so_far.steps, peak=run.so_far.peak):
        check_weights(run.model)
        if run.validate is not None:
            note = None if run.findings is None else run.findings.add
            held_out = run.ranks.own_batches(run.validate, run.findings)
            if not run.history and run.ranks.first and known is None:
                enough = ENOUGH if run.ranks.whole else 1  # findings counts those of other ranks
                held_out = given.looked_at(held_out, at_validation, enough)
            measured = evaluate(
                run.model,
                held_out,
                run.loss,
                metrics=run.metrics,
                after_batch=note,
                gather=run.ranks.gather,
            )
            if run.findings is not None:
                run.ranks.gather_findings(run.findings)
            record |= {f"{VALIDATION}{name}": value for name, value in measured.items()}
    run.schedule.after_epoch(record)
    record |= {"lr": lr, "seconds": run.seconds()}
    run.history.append(record)
    run.so_far = EpochSoFar()
    return record
