"""Train on a folder of colour images: PATH/CLASS/*.png. Needs Pillow (the extra `images`).

    python examples/rgb_folder.py [PATH] [--size 32] [--epochs 8]

Without PATH a folder is made first: circles, squares and triangles of random colour, size and
place on noisy ground. Colour says nothing about the class, so the network has to learn the shape.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinynet
from tinynet import data, models
from tinynet.training import evaluate, fit

try:
    from PIL import Image, ImageDraw
except ImportError:
    sys.exit('this example needs Pillow: pip install "tinynet-cnn[images]"')


def draw(kind, rng, side=32):
    """One picture of a shape, as a Pillow image."""
    image = Image.fromarray(rng.integers(0, 90, (side, side, 3), dtype=np.uint8))
    radius = int(rng.integers(6, 11))
    x, y = rng.integers(radius, side - radius, 2).tolist()
    colour = tuple(rng.integers(110, 256, 3).tolist())
    box = (x - radius, y - radius, x + radius, y + radius)
    pen = ImageDraw.Draw(image)
    if kind == "circle":
        pen.ellipse(box, fill=colour)
    elif kind == "square":
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], colour)
    return image


def make_folder(folder, count=160):
    """Write `count` images of each shape to folder/SHAPE/NUMBER.png."""
    rng = np.random.default_rng(0)
    for kind in ("circle", "square", "triangle"):
        (folder / kind).mkdir(parents=True)
        for i in range(count):
            draw(kind, rng).save(folder / kind / f"{i:03}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", help="a folder with a folder of images for each class")
    parser.add_argument("--size", type=int, default=32, help="images are resized to this")
    parser.add_argument("--epochs", type=int, default=8)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        if args.path is None:
            args.path = Path(scratch) / "shapes"
            make_folder(args.path)
        # a fifth of every class is held out for the test, always the same images
        train, test = (data.load_folder(args.path, split, args.size) for split in ("train", "test"))
    print(f"{len(train)} training, {len(test)} test images {train.images.shape[1:]}")
    print(f"classes: {', '.join(train.classes)}")

    tinynet.manual_seed(0)
    model = models.resnet8(num_classes=len(train.classes), in_channels=train.images.shape[1])
    transform = data.standardize(train)
    augment = data.Compose([data.RandomHorizontalFlip(), data.RandomShift(args.size // 8)])
    options = {"batch_size": 32, "lr": 0.05, "transform": transform, "augment": augment}
    fit(model, train, args.epochs, **options, seed=0)
    tested = evaluate(model, test, transform=transform)
    print(f"test accuracy {tested['accuracy']:.2%}; by guessing {1 / len(train.classes):.0%}")


if __name__ == "__main__":
    main()
