"""Search the learning rate and the width of a CNN for handwritten digits with scikit-learn.

python examples/search_sklearn.py [--jobs 2]

The trainings run side by side in processes of joblib; on a cluster of Dask by one changed line, see
docs/sklearn.md. Needs the extra: pip install "tinynet-cnn[sklearn]"
"""

import argparse

import joblib
from sklearn.model_selection import GridSearchCV, train_test_split

from tinynet import data, nn
from tinynet.sklearn import CNNClassifier


def narrow(num_classes, in_channels):
    return cnn(num_classes, in_channels, width=8)


def wide(num_classes, in_channels):
    return cnn(num_classes, in_channels, width=24)


def cnn(num_classes, in_channels, width):
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(num_classes),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()

    digits = data.load("digits", "train")
    images, held_out, labels, answers = train_test_split(
        digits.images, digits.labels, stratify=digits.labels, random_state=0
    )
    search = GridSearchCV(
        CNNClassifier(epochs=6, random_state=0),
        {"model": [narrow, wide], "lr": [1e-3, 8e-3]},
        cv=2,
        n_jobs=args.jobs,
    )
    with joblib.parallel_backend("loky"):  # or "dask", with a distributed.Client
        search.fit(images, labels)

    found = search.cv_results_
    for settings, score in zip(found["params"], found["mean_test_score"]):
        print(f"{settings['model'].__name__:6}  lr {settings['lr']:.0e}  {score:.2%}")
    print(f"the best, on images held out: {search.score(held_out, answers):.2%}")


if __name__ == "__main__":
    main()
