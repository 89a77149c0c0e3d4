"""One forward pass without gradients, tinynet beside PyTorch and, where it is, onnxruntime.

examples:
  python -m benchmarks.inference
  python -m benchmarks.inference --nets lenet --batch 1,32,1024
  python -m benchmarks.inference --nets vgg16 --vgg16-batch 8

VGG-16 sees images of 3x224x224; its activations take some 60 MB an image, so it has batch sizes
of its own. onnxruntime runs the file that tinynet exports; its memory counts the export too.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import common, comparison, frameworks
from benchmarks.nets import NETS, Net

SHOWN = ("lenet", "small", "mnist", "vgg", "vgg16")


def make_step(
    framework: str, variant: str, threads: int, net: str, batch: int
) -> Callable[[], None]:
    """The forward pass of one case, made inside the worker."""
    known = NETS[net]
    images, _ = frameworks.random_batches(1, batch, known.image, known.classes)[0]
    if framework == "onnxruntime":
        return _of_onnxruntime(known, images, threads)
    loaded = frameworks.load(framework, variant, threads)
    model = loaded.place(known.build(loaded.nn))
    model.eval()
    x = loaded.tensor(images)

    def step() -> None:
        with loaded.inference():
            model(x)

    return step


def _of_onnxruntime(net: Net, images: np.ndarray, threads: int) -> Callable[[], None]:
    """The same by onnxruntime."""
    import onnxruntime

    import tinynet

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        tinynet.onnx.export(net.build(tinynet.nn), path, net.image)
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    given = {"input": images}
    return lambda: session.run(None, given)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    common.add_list(parser, "net", SHOWN, ["lenet", "vgg16"])
    common.add_batch(parser, [1, 128], what="batch sizes of all but vgg16")
    common.add_batch(parser, [1], "--vgg16-batch", "batch sizes of vgg16")
    common.add_contestants(parser)
    common.add_rounds(parser, rounds=6, seconds=0.5)
    common.add_json(parser)
    args = parser.parse_args(argv)
    contestants = common.resolve_contestants(parser, args)
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))) and args.against != "nothing":
        who = {"framework": "onnxruntime", "variant": "file", "threads": args.threads}
        contestants["onnxruntime file"] = who
    cases = [
        comparison.run_case(
            f"{net} {batch}",
            batch,
            "benchmarks.inference:make_step",
            contestants,
            {"net": net, "batch": batch},
            args.rounds,
            args.seconds,
        )
        for net in args.nets
        for batch in (args.vgg16_batch if net == "vgg16" else args.batch)
    ]
    print(comparison.report(cases))
    common.write_json(args.json, comparison.record(cases))


if __name__ == "__main__":
    main()
