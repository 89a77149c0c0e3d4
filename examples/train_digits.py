"""Train a small CNN on handwritten digits in a few seconds, and look at what it gets wrong.

python examples/train_digits.py [--epochs 8] [--seed 0]
"""

import argparse

import tinynet
from tinynet import data, models
from tinynet.training import confusion_matrix, fit, predict

SHADES = " .:-=+*#%@"


def show(image):
    """A small picture (H, W) of bytes in characters, the brightest as @."""
    return "\n".join("  " + "".join(2 * SHADES[int(v) * 9 // 255] for v in row) for row in image)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    train, test = data.load("digits", "train"), data.load("digits", "test")
    print(f"{len(train)} training images, {len(test)} test images of {train.images.shape[1:]}")
    print(show(train.images[0, 0]))
    print(f"this is a {train.labels[0]}\n")

    tinynet.manual_seed(args.seed)  # the weights to start from
    model = models.digits_cnn()
    transform = data.standardize(train)  # bytes to floats, mean 0, deviation 1
    fit(
        model,
        train,
        args.epochs,
        validate=test,
        batch_size=32,
        lr=0.05,
        weight_decay=5e-4,
        transform=transform,
        augment=data.Compose([data.ToFloat(), data.RandomRotation(10, "bilinear")]),
        seed=args.seed,
    )

    scores = predict(model, test, transform=transform)  # (N, 10)
    guesses = scores.argmax(1)
    wrong = (guesses != test.labels).nonzero()[0]
    print(f"\n{len(wrong)} of {len(test)} test images are taken for another digit")
    for i in wrong[:2]:
        print(show(test.images[i, 0]))
        print(f"a {test.labels[i]}, taken for a {guesses[i]}")
    print("\nrows: the digit it is, columns: the digit it is taken for")
    print(confusion_matrix(scores, test.labels))


if __name__ == "__main__":
    main()
