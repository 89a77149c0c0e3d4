"""Write a trained model for other programs: its weights alone, or all of it as ONNX.

examples:
  tinynet export runs/mnist-lenet5 lenet5.safetensors
  tinynet export runs/mnist-lenet5 lenet5.onnx --include-preprocessing

The names of the weights are PyTorch's. What tinynet needs to use the model (its name, classes,
normalisation) goes with a .safetensors file; an .npz has the arrays alone. The state of the run
does not go with either. An .onnx (extra `onnx`) is what onnxruntime and others run: the network
with its classes, and with --include-preprocessing what is done to the bytes of an image before.
"""

import argparse

import numpy as np

from tinynet.cli import rows
from tinynet.cli.models import open_run
from tinynet.cli.options import SUFFIX, BadArgument, check_output, find_checkpoint
from tinynet.console import say

HELP = "write the weights as .safetensors or .npz, or the model as .onnx"
ONNX = ".onnx"


OPTIONS = [
    rows.option("run RUN", rows.a_path, "the folder of a run, or a file of weights"),
    rows.option("file FILE", rows.a_path, "ends in .safetensors, .npz or .onnx"),
    rows.option("--include-preprocessing", None,
        "of an .onnx: it takes the bytes of an image, 0 to 255, and normalises them"),
    rows.option("--model FILE.py:CLASS", str,
        "of an .onnx: the class of a model of your own, if the run does not know it"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Read the one, write the other."""
    from tinynet import onnx
    from tinynet.training import checkpoint
    from tinynet.training.files import atomic_write

    if args.file.suffix not in (SUFFIX, ".npz", ONNX):
        raise BadArgument(
            f"{args.file}: its name must end in {SUFFIX}, .npz or {ONNX}, with more before that"
        )
    if args.file.suffix != ONNX and (args.include_preprocessing or args.model):
        raise BadArgument("--include-preprocessing and --model are for a file that ends in .onnx")
    path = find_checkpoint(args.run)
    check_output(args.file, path, kind="model", out=args.file.parent)
    if args.file.suffix == ONNX:
        model = open_run(path, args.model)
        onnx.export(model, args.file, include_preprocessing=args.include_preprocessing)
        say(f"{path} -> {args.file}: {args.file.stat().st_size:,} bytes")
        return 0
    stored = checkpoint.read(path)
    if args.file.suffix == SUFFIX:
        checkpoint.save_weights(stored, args.file)
    else:
        with atomic_write(args.file) as file:
            np.savez(file, **stored.weights)  # type: ignore[arg-type]
    count = sum(weights.size for weights in stored.weights.values())
    say(f"{path} -> {args.file}: {len(stored.weights)} arrays, {count:,} numbers")
    return 0
