"""Show a model's layers, output shapes, parameters, multiply-adds and memory.

examples:
  tinynet summary lenet5
  tinynet summary runs/digits-digits_cnn         the model of a run
  tinynet summary vgg16 --classes 1000
  tinynet summary resnet8 --shape 1x28x28 --classes 26
  tinynet summary "my_net.py:Net(width=32)" --shape 1x28x28
"""

import argparse

from tinynet.cli import rows
from tinynet.cli.models import built
from tinynet.cli.options import BadArgument

HELP = "show the layers, shapes and sizes of a model"


OPTIONS = [
    rows.option("what MODEL", str,
        "such as digits_cnn, lenet5, vgg16, or FILE.py:CLASS; or the folder of a run"),
    rows.OWN_MODEL,
    rows.SHAPE,
    rows.option("--classes N", rows.integer(1), "number of classes"),
]  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from tinynet.nn.summary import summary

    classes = {} if args.classes is None else {"num_classes": args.classes}
    try:
        print(summary(*built(args.what, args.shape, args.model, **classes)))
    except BadArgument as error:
        if not classes and "'num_classes'" in str(error):  # its class must be told
            raise BadArgument(f"{args.what}: add the number of classes: --classes 10") from error
        raise
    return 0
