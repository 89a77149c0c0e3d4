"""Train a model on a data set, test it, and save it.

examples:
  tinynet train                                  digits_cnn on the digits that come along
  tinynet train --data mnist                     LeNet-5 on MNIST, downloaded if need be
  tinynet train --data mnist --epochs 1 --lr 0.1 --seed 1
  tinynet train --data folder:photos --size 32   images in photos/CLASS/*.png
  tinynet train --data npz:mine.npz --model vgg11 --optimizer adam --augment shift --augment flip

What is not given is chosen to suit the data. Every epoch prints its losses; those called
validation are of the test images, unless --validation holds out training images for it.

Ctrl-C once saves the run and stops; `tinynet resume DIR` goes on, bit for bit. Ctrl-C twice stops
at once.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli import rows
from tinynet.cli.models import title
from tinynet.cli.options import (
    BEST,
    LAST,
    RECORD,
    REPORT,
    RUNS,
    SUFFIX,
    BadArgument,
    check_folder,
    is_finished,
    program,
    write_result,
)
from tinynet.cli.plan import (
    DEFAULT_DATA,
    Plan,
    asked_for,
    load_data,
    make_plan,
    new_settings,
    recorded_settings,
    resumed_settings,
)
from tinynet.cli.ranks import described, together
from tinynet.console import explained, say, some, watched

if TYPE_CHECKING:
    from tinynet.training import History
    from tinynet.training.distributed import Ranks

HELP = "train a model, test it and save it"
LARGE = 128  # pixels: the side of images that take long


OPTIONS = [
    "data",
    rows.DATA, rows.SIZE, rows.FIT, rows.DATA_DIR,
    rows.option("--augment NAME[:AMOUNT]", str,
        "change the training images at random: shift:PIXELS, rotate:DEGREES, flip:PROBABILITY, "
        "erase:PROBABILITY, or none; may be given several times. By default grey images below "
        "16x16 are rotated, others shifted, and CIFAR's mirrored too; grey ones of 28x28 or 32x32 "
        "stay as they are. Other colour images are mirrored by flip alone", action="append"),
    rows.option("--validation SHARE", rows.share,
        "hold out this share of the training images, such as 0.1 (default: 0, none); the test "
        "images then stay unseen to the end, and what is best on the held-out ones is kept"),
    "model and training",
    rows.MODEL,
    rows.option("--epochs N", rows.integer(1), "how often every image is seen"),
    rows.BATCH_SIZE, rows.LR, rows.OPTIMIZER,
    rows.option("--schedule NAME", str,
        "how the learning rate changes: onecycle, cosine, linear, step, constant, or plateau: a "
        "third whenever the loss has not fallen for 2 epochs (the default with --patience)"),
    rows.option("--weight-decay X", rows.number, "pull of the weights towards 0"),
    rows.option("--patience N", rows.integer(1),
        "stop early after N epochs without a better validation loss (needs --validation)"),
    rows.option("--seed N", rows.integer(0),
        "fixes everything random: the same seed gives the same run (default 0)"),
    rows.option("--reproducible-for N", rows.integer(0),
        "cut every batch into N parts, which mpiexec's processes share: the same weights for any "
        "number of them; 0: a part each, which is faster (default: 8 under mpiexec)"),
    rows.option("--threads N", rows.integer(1),
        "threads of each process (default: all processors; 1 under mpiexec, and in parts)"),
    rows.option("--detect-anomaly", None,
        "stop at the first operation that gives NaN or infinity, and name it (slower)"),
    "output",
    rows.option("--out DIR", rows.a_path,
        f"keep the run here: {LAST} after every epoch, {BEST} (default: {RUNS}/DATA-MODEL)"),
    rows.option("--keep-every K", rows.integer(1),
        f"keep a checkpoint of its own after every K-th epoch: epoch-0010{SUFFIX} and so on"),
    rows.option("--save-every STEPS", rows.integer(1),
        f"write {LAST} after every so many steps too"),
    [
        rows.option("--resume RUN", rows.run_folder,
            "go on with the run that was interrupted in RUN, or in --out; it comes out as if it "
            "never had been. With a larger --epochs a finished run goes on for more; --data and "
            "--model may say where the same data and file lie now",
            nargs="?", const=True, default=False),
        rows.option("--overwrite", None, "begin anew in place of the run that lies there"),
    ],
    rows.option("--init-from RUN", rows.a_path,
        "begin with the weights of a run, as far as they fit: where the classes are others, "
        "the last layer begins anew"),
    rows.json_of("settings, history, test accuracy and seconds"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Train, test, save and say what to do next."""
    start = time.perf_counter()
    with together(args) as ranks:
        plan, out = _planned(args, ranks)
        return train_plan(plan, out, args.resume, start, args.json, args.detect_anomaly)


def _planned(args: argparse.Namespace, ranks: Ranks) -> tuple[Plan, Path]:
    """What is to be trained, and the folder for it, on both of which the first rank decides."""
    asked = asked_for(args)
    out: Path | None = args.out
    if args.resume and args.init_from:
        raise BadArgument("--resume goes on with the weights of the run: leave --init-from out")
    if isinstance(args.resume, Path):
        if out not in (None, args.resume):
            raise BadArgument(f"--resume {args.resume} is the folder: leave --out out")
        if not args.resume.is_dir():
            raise BadArgument(f"there is no run in {args.resume}; begin one: tinynet train")
        out, args.resume = args.resume, True
    if out is not None:
        check_folder(out, asked.get("data", ""), args.json)

    def recorded_in(folder: Path) -> dict[str, Any] | None:
        recorded = recorded_settings(folder) if args.resume else None
        return recorded and resumed_settings(recorded, asked, is_finished(folder))

    recorded = ranks.from_first(lambda: recorded_in(out) if out else None)
    name = recorded["data"] if recorded else asked.get("data", DEFAULT_DATA)
    train, test = ranks.after_first(lambda: load_data(name, args.data_dir, recorded))

    def decided() -> tuple[Path, dict[str, Any], bool]:
        settings, folder, before = new_settings(asked, train, test), out, recorded
        if folder is None:
            folder = RUNS / f"{_file_name(name)}-{title(settings['model'])}"
            before = recorded_in(folder)
        if before is None and not args.overwrite:
            folder = _free(folder, args.out is not None)
        check_folder(folder, json_file=args.json)
        return folder, before or settings, before is not None

    folder, settings, resumes = ranks.from_first(decided)
    return make_plan(settings, train, test, resumes), folder


def train_plan(
    plan: Plan,
    out: Path,
    resume: bool | Path,
    start: float,
    json_file: Path | None = None,
    detect_anomaly: bool = False,
) -> int:
    """Train what is planned, from its start or from where it was left; test it, save it.

    resume: whether to go on with what is in `out`, or the checkpoint to go on from. start: when the
    command began, by `time.perf_counter`. Raises BlockingIOError, with nothing written, where
    another training is at work in `out`.
    """
    from tinynet.training.environment import environment
    from tinynet.training.files import write_json
    from tinynet.training.folder import locked

    if not plan.ranks.first:
        _train(plan, out, resume, detect_anomaly)
        return 0
    with locked(out):
        finished = resume is True and is_finished(out, plan.settings["epochs"])
        last = resume if isinstance(resume, Path) else out / LAST
        _announce(plan, last if resume and last.is_file() else None, finished)
        history = _train(plan, out, resume, detect_anomaly)
        record: dict[str, Any] = {
            "settings": plan.settings,
            "environment": environment(),
            "history": history,
            **_tested(plan, out),
        }
        record["seconds"] = max(time.perf_counter() - start, sum(history.column("seconds")))
        write_json(out / RECORD, record)
        write_result(json_file, record)
    _conclude(plan, out, record)
    return 0


def _tested(plan: Plan, out: Path) -> dict[str, Any]:
    """What the test images say of the model, for the record; and the report once more, of them."""
    from tinynet.training import Trained, checkpoint
    from tinynet.training.folder import chosen_in
    from tinynet.training.report import writer

    stored = checkpoint.read(chosen_in(out))
    model = Trained(plan.model, stored)
    found, figures = model.findings(plan.test, watch=lambda images: watched(images, "test"))
    on = some(len(plan.test), "test image")
    writer.keep(out, writer.of_checkpoint(out, stored, plan.model, found, on))
    return {
        "test_accuracy": found.accuracy(),
        "test_loss": figures["loss"],
        "weights_sha256": checkpoint.weights_sha256(plan.model.state_dict()),
    }


def _train(plan: Plan, out: Path, resume: bool | Path, detect_anomaly: bool) -> History:
    from tinynet.training import BestModel, Callback, EarlyStopping, fit

    settings = plan.settings
    callbacks: list[Callback] = []
    if settings["patience"] is not None:
        callbacks.append(EarlyStopping(settings["patience"], restore=False))
    if plan.validation is None:
        callbacks.append(BestModel(out / BEST, monitor="loss"))  # the test images decide nothing
    else:
        callbacks.append(BestModel(out / BEST, restore=True))
    try:
        return fit(
            plan.model,
            **plan.fit_options(),
            callbacks=callbacks,
            detect_anomaly=detect_anomaly,
            out=out,
            keep_every=settings["keep_every"],
            save_every=settings["save_every"],
            resume=resume,
            overwrite=not resume,  # what lies there was looked at, see _free
            about={
                "name": settings["model"],
                "arguments": plan.model_arguments,
                "settings": settings,
            },
        )
    except KeyboardInterrupt as stop:
        raise _interrupted(stop, out) from None


def _free(out: Path, asked: bool) -> Path:
    """The folder `out`, or where a finished run lies there, which stays, the next NAME-2, NAME-3.

    asked: whether the user named it, and gets no other. Raises BadArgument then, and where a run
    lies that was interrupted: it may be all there is of it; BlockingIOError if it is running.
    """
    from tinynet.training.folder import kept_in, locked, state_of

    names = itertools.chain([out], (out.with_name(f"{out.name}-{k}") for k in itertools.count(2)))
    out = next(name for name in names if asked or not is_finished(name))
    if not kept_in(out):
        return out
    with locked(out):
        if is_finished(out):
            raise BadArgument(
                f"{out} holds a finished run. Replace it with --overwrite, or train elsewhere: "
                "another --out DIR"
            )
        state = state_of(out)
        if state.get("step") == 0:  # nothing was learned
            return out
    told, cure = "was not finished", f"Go on with it: tinynet resume {out}; or begin"
    if place := state.get("diverged"):
        told, cure = f"diverged in {place}, and would again", "With a lower --lr begin"
    raise BadArgument(
        f"{out} holds a run that {told}. {cure} anew, in its place with --overwrite, or elsewhere "
        "with --out DIR"
    )


def _interrupted(stop: KeyboardInterrupt, out: Path) -> KeyboardInterrupt:
    """The same, with the command that goes on."""
    from tinynet.training import Interrupted

    how = str(stop) or "interrupted"
    cure = f"go on with\n  {program()} resume {shlex.quote(str(out))}"
    if not isinstance(stop, Interrupted) or stop.saved is None:
        saved = (out / LAST).is_file()
        how += f"; {out / LAST} is as it was saved last" if saved else "; nothing was saved yet"
    told: Any = KeyboardInterrupt(f"{how}\n{cure}")
    told.signal = stop.signal if isinstance(stop, Interrupted) else signal.SIGINT
    return told  # type: ignore[no-any-return]


def _file_name(data: str) -> str:
    """A data set's name as part of a folder's name: `folder:a/photos?size=32` is `photos`."""
    path = data.partition(":")[2].partition("?")[0]
    return Path(path).resolve().stem if path else data


def _announce(plan: Plan, last: Path | None, finished: bool | None) -> None:
    s = plan.settings
    held_out = "" if plan.validation is None else f", {len(plan.validation):,} validation"
    parameters = sum(p.array.size for p in plan.model.parameters())
    augment = "".join(f", {name}" for name in s["augment"])
    after = "" if last is None or last.name == LAST else "; what came after it is replaced"
    high, wide = plan.test.images.shape[2:]
    shape = "x".join(map(str, plan.test.images.shape[1:]))
    slow = "size=" not in s["data"] and s["data"].startswith("folder:") and high * wide > LARGE**2
    say(
        f"data   {s['data']}: {len(plan.train):,} training{held_out}, "
        f"{some(len(plan.test), 'test image')} of {shape}, {some(plan.classes, 'class', 'es')}",
        f"model  {s['model']}, {parameters:,} parameters",
        f"train  {some(s['epochs'], 'epoch')}, batches of {s['batch_size']}, "
        f"{s['optimizer']}, lr {s['lr']:g} {s['schedule']}, seed {s['seed']}{augment}",
        *described(plan.ranks, s["threads"]),
        *([f"resume from {last}{after}"] if last else []),
        *([f"large images take long; --size {LARGE // 2} makes them smaller"] if slow else []),
        *(["it is finished already; a larger --epochs trains it further"] if finished else []),
    )


def _conclude(plan: Plan, out: Path, record: dict[str, Any]) -> None:
    from tinynet.training.folder import is_foreign, state_of

    run, start, foreign = shlex.quote(str(out)), program(), is_foreign(out / REPORT)
    went_on = state_of(out).get("phase")  # where no replay from the seed comes to
    rows = [
        *([] if foreign else [(f"  {out / REPORT}", "to look at in a browser")]),
        (f"  {start} evaluate {run}", "what is mistaken for what"),
        (f"  {start} predict {run} IMAGE.png", "what it sees in your images"),
        *([] if went_on else [(f"  {start} verify {run}", "does it come out the same?")]),
        (f"  {start} summary {run}", "layers, shapes and sizes"),
    ]
    say(
        "",
        f"test accuracy {100 * record['test_accuracy']:.2f} % on {some(len(plan.test), 'image')}, "
        f"{record['seconds']:.1f} seconds; saved in {out}",
        "",
        "next:",
        *explained(rows),
    )
