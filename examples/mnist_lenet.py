"""LeNet-5 on MNIST: 60,000 handwritten digits, 99 % of the test images right after 5 epochs.

    python examples/mnist_lenet.py [--data-dir DIR] [--epochs 5] [--images 60000]

The files are looked for in DIR/mnist, $TINYNET_DATA/mnist or ~/.cache/tinynet/mnist.
`tinynet data mnist` downloads them. --images takes fewer of them, to see it run.
"""

import argparse
import sys

import numpy as np

import tinynet
from tinynet import data, models
from tinynet.training import fit


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", help="the folder with mnist/ in it")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=60_000, help="training images to use")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    known = data.KNOWN["mnist"]
    if known.missing(args.data_dir):
        names = ", ".join(file.name for file in known.missing(args.data_dir))
        print(f"MNIST is not on this machine (no {names}).")
        print("Get it with `tinynet data mnist`, or say where it is: --data-dir DIR")
        return 0

    train = data.load("mnist", "train", root=args.data_dir)
    test = data.load("mnist", "test", root=args.data_dir)
    if args.images < len(train):
        train = data.Subset(train, np.arange(args.images))

    tinynet.manual_seed(args.seed)
    model = models.lenet5()
    print(tinynet.summary(model, (1, 28, 28)))
    history = fit(
        model,
        train,
        args.epochs,
        validate=test,
        batch_size=64,
        lr=0.05,  # the peak of the one-cycle schedule: up in a third of the time, then down to 0
        transform=data.standardize(train),
        seed=args.seed,
        checkpoint="runs/mnist_lenet.safetensors",
    )
    last = history[-1]
    rate = args.epochs * len(train) / sum(history.column("seconds"))
    print(f"\ntest accuracy {last['validation_accuracy']:.2%}, {rate:,.0f} images a second")
    print("load the best epoch: tinynet.load('runs/mnist_lenet.safetensors', models.lenet5())")
    return 0


if __name__ == "__main__":
    sys.exit(main())
