"""Write a trained model's weights alone, as .safetensors or as .npz, for other programs too.

example:
  tinynet export runs/mnist-lenet5 lenet5.safetensors

The names of the weights are PyTorch's. What tinynet needs to use the model (its name, classes,
normalisation) goes with a .safetensors file; an .npz has the arrays alone. The state of the run
does not go with either.
"""

from __future__ import annotations

import argparse

import numpy as np

from tinynet.cli.options import SUFFIX, BadArgument, a_path, check_output, find_checkpoint
from tinynet.console import say

HELP = "write the weights as .safetensors or .npz, without the run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet export`."""
    parser.add_argument(
        "run", type=a_path, metavar="RUN", help="the folder of a run, or a file of weights"
    )
    parser.add_argument(
        "file", type=a_path, metavar="FILE", help="ends in .safetensors, or in .npz for NumPy"
    )


def run(args: argparse.Namespace) -> int:
    """Read the one, write the other."""
    from tinynet.training import checkpoint
    from tinynet.training.files import atomic_write

    if args.file.suffix not in (SUFFIX, ".npz"):
        raise BadArgument(
            f"{args.file}: its name must end in {SUFFIX} or .npz, with more before that"
        )
    path = find_checkpoint(args.run)
    check_output(args.file, path, weights=True)
    stored = checkpoint.read(path)
    if args.file.suffix == SUFFIX:
        checkpoint.save_weights(stored, args.file)
    else:
        with atomic_write(args.file) as file:
            np.savez(file, **stored.weights)  # type: ignore[arg-type]
    count = sum(weights.size for weights in stored.weights.values())
    say(f"{path} -> {args.file}: {len(stored.weights)} arrays, {count:,} numbers")
    return 0
