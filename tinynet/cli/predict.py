"""Say what a trained model sees in image files. Needs Pillow: pip install "tinynet-cnn[images]"

examples:
  tinynet predict seven.png                       with the newest run in runs/
  tinynet predict runs/mnist-lenet5 a.png b.jpg   with that run
  tinynet predict photo.jpg --invert              dark ink on light paper

Images are resized to what the model was trained on, and made grey or coloured as it needs. The
digit sets show light strokes on a dark ground: for pen on paper add --invert.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli.options import (
    BadArgument,
    a_path,
    add_json,
    find_checkpoint,
    integer,
    is_run,
    warn_of_scale,
    write_result,
)
from tinynet.console import say

if TYPE_CHECKING:
    import numpy as np

HELP = "say what a trained model sees in image files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet predict`."""
    parser.add_argument(
        "paths",
        nargs="+",
        type=a_path,
        metavar="[RUN] IMAGE",
        help="image files; before them, if it is not the newest in runs/, the folder that "
        "`tinynet train` wrote, or a checkpoint",
    )
    parser.add_argument(
        "--top",
        type=integer(1),
        default=3,
        metavar="K",
        help="show the K most likely classes (default 3)",
    )
    parser.add_argument("--invert", action="store_true", help="swap dark and light first")
    add_json(parser, "the probabilities of every class")


def run(args: argparse.Namespace) -> int:
    """Print the most likely classes of every image."""
    from tinynet.training import checkpoint, predict

    images = list(args.paths)
    run_path = images.pop(0) if is_run(images[0]) else None
    if not images:
        raise BadArgument(f"{run_path} is a model; add the images: tinynet predict RUN IMAGE...")
    stored = checkpoint.read(find_checkpoint(run_path))
    model = stored.build()
    if stored.input_shape is None or len(stored.input_shape) != 3:
        raise ValueError("this checkpoint does not say which shape of image the model takes")
    x = _read(images, stored.input_shape)
    warn_of_scale(stored, x)
    scores = predict(model, 255 - x if args.invert else x, transform=stored.preprocessing())
    probabilities = _softmax(scores)  # (N, K)
    names = stored.classes or tuple(str(k) for k in range(scores.shape[1]))
    if len(names) != scores.shape[1]:
        raise ValueError(
            f"this checkpoint names {len(names)} classes, its model has {scores.shape[1]}"
        )
    for image, row in zip(images, probabilities):
        best = row.argsort()[::-1][: args.top]
        say(f"{image}  " + "  ".join(f"{names[k]} {100 * row[k]:.1f} %" for k in best))
    write_result(args.json, _as_json(images, names, probabilities))
    return 0


def _read(images: list[Path], shape: tuple[int, ...]) -> np.ndarray:
    """The images as uint8 (N, C, H, W), resized and made grey or coloured to suit the model."""
    import numpy as np

    from tinynet.data import read_image

    C, H, W = shape
    x = np.empty((len(images), C, H, W), np.uint8)
    for i, image in enumerate(images):
        pixels = read_image(image, (H, W))
        if C == 1 and len(pixels) == 3:
            pixels = np.tensordot([0.299, 0.587, 0.114], pixels, 1)[None].round()  # luma, BT.601
        x[i] = pixels  # grey fills all channels
    return x


def _softmax(scores: np.ndarray) -> np.ndarray:
    from tinynet.tensor import Tensor

    return Tensor(scores).softmax(1).numpy()


def _as_json(images: list[Path], names: Any, probabilities: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "image": str(image),
            "class": names[int(row.argmax())],
            "probabilities": dict(zip(names, row.tolist())),
        }
        for image, row in zip(images, probabilities)
    ]
