"""The doctor on healthy trainings: every model at its usual size, every data set that is here.

examples:
  python -m tests.long.doctor
  python -m tests.long.doctor --models lenet5,resnet20 --no-data
  TINYNET_DATA=~/data python -m tests.long.doctor --json figures.json

A finding here is a false alarm, and the exit code 1. Each model gets a batch of random images with
the optimizer settings of its family; VGG without batch norm, and digits_cnn on images of 28x28,
take a learning rate of 0.005, since at 0.05 from the start they do diverge, or end at 10 %. MNIST
and the like are looked at if their files are there, and folders of images that are given with
--folder. VGG at 224x224 takes minutes and 3 GiB of memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import common, machine
from benchmarks.common import table

CLASSES = 10


def trainings(names: Sequence[str], sets: Sequence[str]) -> Iterator[tuple[str, str, Any, Any]]:
    """(model, data, the model built, batch): the models on noise, then the sets on models."""
    import tinynet
    from tinynet import data, models
    from tinynet.training import recipe_for, usual_shape

    for name in names:
        shape, size = usual_shape(name), 2 if name.startswith("vgg") else 16
        batch = tinynet.randn(size, *shape), tinynet.randint(0, CLASSES, (size,))
        yield name, "noise " + "x".join(map(str, shape)), _built(name, shape, CLASSES), batch
    for chosen in sets:
        train = data.load(chosen, "train")
        shape = train.images.shape[1:]
        loader = data.DataLoader(train, 32, shuffle=True, seed=0, transform=data.standardize(train))
        classes = 1 + int(train.labels.max())
        for name in dict.fromkeys((recipe_for(shape).model, "digits_cnn", "resnet8")):
            if name in models.names():
                yield name, chosen, _built(name, shape, classes), loader


def _built(name: str, shape: Sequence[int], classes: int) -> Any:
    from tinynet import models

    return models.build(name, num_classes=classes, in_channels=shape[0], image_size=shape[1:])


def available() -> list[str]:
    """The known data sets whose files are on this machine."""
    from tinynet import data

    return [name for name, known in data.KNOWN.items() if not known.missing()]


def main(argv: Sequence[str] | None = None) -> int:
    """Look at everything, and print the table."""
    import tinynet
    from tinynet import models
    from tinynet.training import make_optimizer

    parser = common.new_parser(__doc__)
    common.add_list(parser, "model", models.names(), models.names())
    parser.add_argument("--no-data", action="store_true", help="the models on noise alone")
    parser.add_argument("--folder", action="append", default=[], metavar="PATH[?size=N]")
    common.add_json(parser)
    args = parser.parse_args(argv)
    sets = [] if args.no_data else [*available(), *(f"folder:{path}" for path in args.folder)]
    rows, alarms = [], 0
    tinynet.manual_seed(0)
    for name, chosen, model, batch in trainings(args.models, sets):
        deep = name.startswith("vgg")
        large = name == "digits_cnn" and not chosen.startswith(("digits", "noise"))
        lr, steps = 0.005 if deep or large else None, 5 if deep else 60
        optimizer = make_optimizer("sgd", model.parameters(), lr)
        start = time.perf_counter()
        report = tinynet.doctor(model, batch, optimizer=optimizer, probe_steps=steps)
        seconds = time.perf_counter() - start
        alarms += len(report)
        rows.append([name, chosen, ", ".join(report.names()) or "none", f"{seconds:.1f}"])
        common.note(f"{name} on {chosen}: {rows[-1][2]}, {seconds:.1f} s")
    print(table(["model", "data", "findings", "seconds"], rows))
    print(f"\n{len(rows)} healthy trainings, {alarms} false alarms")
    common.write_json(args.json, {"machine": machine.describe(), "rows": rows, "alarms": alarms})
    return 1 if alarms else 0


if __name__ == "__main__":
    raise SystemExit(main())
