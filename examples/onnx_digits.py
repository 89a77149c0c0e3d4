"""Train a small CNN, write it as an ONNX file, run the file elsewhere, and read it back.

python examples/onnx_digits.py [--epochs 3] [--file digits.onnx]

Needs the extra `onnx`; where onnxruntime is installed too, it runs the file.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinynet
from tinynet import data, models
from tinynet.training import fit, predict

if importlib.util.find_spec("onnx") is None:
    sys.exit('this example needs onnx: pip install "tinynet-cnn[onnx]"')


def run_by_onnxruntime(file, images):
    """The scores that onnxruntime computes; None where it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        print("onnxruntime is not installed: pip install onnxruntime")
        return None
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": images})[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--file", help="where the ONNX file is to stay")
    args = parser.parse_args()

    train, test = data.load("digits", "train"), data.load("digits", "test")
    transform = data.standardize(train)  # bytes to floats, mean 0, deviation 1
    tinynet.manual_seed(0)
    model = models.digits_cnn()
    fit(model, train, args.epochs, batch_size=32, lr=0.05, transform=transform, seed=0)

    images = transform(test.images)
    scores = predict(model, images)
    print(f"tinynet: {accuracy(scores, test.labels):.2%} of {len(test)} images are right")

    with tempfile.TemporaryDirectory() as folder:
        file = args.file or str(Path(folder) / "digits.onnx")
        tinynet.onnx.export(model, file, input_shape=(1, 8, 8))
        print(f"{Path(file).name}: {Path(file).stat().st_size:,} bytes")

        theirs = run_by_onnxruntime(file, images)
        if theirs is not None:
            print(f"onnxruntime: the same to {np.abs(theirs - scores).max():.1e}")

        again = tinynet.onnx.load(file)  # layers and names as they were
        print(f"read back: the same to {np.abs(predict(again, images) - scores).max():.1e}")
        fit(again, train, 1, batch_size=32, lr=0.01, transform=transform, seed=1)
        more = accuracy(predict(again, images), test.labels)
        print(f"and trained for another epoch: {more:.2%}")


def accuracy(scores, labels):
    return np.mean(scores.argmax(1) == labels)


if __name__ == "__main__":
    main()
