"""Show a model's layers, output shapes, parameters, multiply-adds and memory.

examples:
  tinynet summary lenet5
  tinynet summary vgg16 --classes 1000
  tinynet summary resnet8 --shape 1x28x28 --classes 26
  tinynet summary "my_net.py:Net(width=32)" --shape 1x28x28
"""

from __future__ import annotations

import argparse

from tinynet.cli.models import build_model, check_model, image_shape_of
from tinynet.cli.options import image_shape, integer

HELP = "show the layers, shapes and sizes of a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet summary`."""
    parser.add_argument(
        "model", metavar="MODEL", help="such as digits_cnn, lenet5, vgg16, or FILE.py:CLASS"
    )
    parser.add_argument(
        "--shape", type=image_shape, metavar="CxHxW", help="of one image, such as 3x32x32"
    )
    parser.add_argument("--classes", type=integer(1), metavar="N", help="number of classes")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from tinynet.nn.summary import summary

    name = check_model(args.model)
    shape = image_shape_of(name, args.shape)
    settings = {"in_channels": shape[0], "image_size": shape[1:]}
    if args.classes is not None:
        settings["num_classes"] = args.classes
    print(summary(build_model(name, **settings)[0], shape))
    return 0
