"""Check the gradients of a model against finite differences, parameter by parameter.

examples:
  tinynet gradcheck                      the small CNN for digits
  tinynet gradcheck --model lenet5

The model is converted to float64 and fed a batch of random images. The loss is then computed with
each parameter moved a little up and down, and its slope compared with what backward() says.
Exit code 1 if they differ.
"""

from __future__ import annotations

import argparse

from tinynet.cli.options import add_json, choose, image_shape, whole_number

HELP = "check a model's gradients against finite differences"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tinynet gradcheck`."""
    parser.add_argument("--model", default="digits_cnn", metavar="NAME", help="default: digits_cnn")
    parser.add_argument(
        "--shape", type=image_shape, metavar="CxHxW", help="of one image, such as 3x32x32"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="fixes weights, images and directions (default 0)",
    )
    add_json(parser, "the report")


def run(args: argparse.Namespace) -> int:
    """Check and print the report."""
    from tinynet import models
    from tinynet.creation import randint, randn
    from tinynet.gradcheck import gradcheck_model
    from tinynet.random import manual_seed
    from tinynet.training import usual_shape
    from tinynet.training.files import write_json

    name = choose("model", args.model, models.names())
    shape = args.shape or usual_shape(name)
    manual_seed(args.seed)
    model = models.build(name, num_classes=10, in_channels=shape[0], image_size=shape[1:])
    report = gradcheck_model(model, (randn(4, *shape), randint(0, 10, (4,))), seed=args.seed)
    print(report)
    if args.json is not None:
        write_json(args.json, report.to_dict())
    return 0 if report else 1
