"""digits_cnn, the model that trains in seconds: three convolutions and one linear layer.

The plan of every small image classifier since LeNet: while pooling halves the image twice, the
channels double, and the last layer reads the classes off what is left. Batch normalisation
(Ioffe & Szegedy 2015, "Batch normalization") lets it learn in half the epochs.
"""

from tinynet import nn
from tinynet.ops.windows import pair
from tinynet.random import Rng


def digits_cnn(
    num_classes: int = 10,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 8,
    rng: Rng = None,
) -> nn.Sequential:
    """A small CNN: 25,978 parameters for 8x8 grey images and 10 classes.

    Shapes: x (N, in_channels, H, W) -> scores (N, num_classes).
    The convolutions have no bias, since the normalisation after each would subtract it again.
    image_size: H and W, at least 4; 28x28 images make it 54,778 parameters.
    rng: draws the initial values. Raises ValueError for an image that is too small.
    """
    H, W = pair("digits_cnn", "image_size", image_size, 4)
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(in_channels, 16, kernel_size=3, padding=1, bias=False, rng=rng),
            "bn1": nn.BatchNorm2d(16),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False, rng=rng),
            "bn2": nn.BatchNorm2d(32),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "conv3": nn.Conv2d(32, 64, kernel_size=3, padding=1, bias=False, rng=rng),
            "bn3": nn.BatchNorm2d(64),
            "relu3": nn.ReLU(),
            "pool3": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "output": nn.Linear(64 * (H // 4) * (W // 4), num_classes, rng=rng),
        }
    )
