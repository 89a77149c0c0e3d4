"""LeNet-5, the network that read cheques.

LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
section II.B. The layers bear the paper's names: C convolution, S subsampling, F fully connected.
As usual today, the activations are ReLU for tanh, the subsampling is max-pooling for a learned
average, C3 sees all maps of S2, and the output is one score a class for radial basis functions.
"""

from tinynet import nn
from tinynet.ops.windows import pair
from tinynet.random import Rng


def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    image_size: int | tuple[int, int] = 28,
    rng: Rng = None,
) -> nn.Sequential:
    """LeNet-5: 61,706 parameters for 28x28 grey images and 10 classes.

    Shapes: x (N, in_channels, H, W) -> scores (N, num_classes).
    image_size: H and W, at least 12. The paper's images have 32 pixels and a blank margin;
    smaller ones get a margin of 2 from the padding of the first convolution.
    rng: draws the initial values. Raises ValueError for an image that is too small.
    """
    H, W = pair("lenet5", "image_size", image_size, 12)
    margin = 2 if min(H, W) < 32 else 0

    def after(size: int) -> int:
        """What S4 leaves of an axis."""
        return ((size + 2 * margin - 4) // 2 - 4) // 2

    return nn.Sequential(
        {
            "c1": nn.Conv2d(in_channels, 6, kernel_size=5, padding=margin, rng=rng),
            "relu1": nn.ReLU(),
            "s2": nn.MaxPool2d(2),
            "c3": nn.Conv2d(6, 16, kernel_size=5, rng=rng),
            "relu3": nn.ReLU(),
            "s4": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "c5": nn.Linear(16 * after(H) * after(W), 120, rng=rng),
            "relu5": nn.ReLU(),
            "f6": nn.Linear(120, 84, rng=rng),
            "relu6": nn.ReLU(),
            "output": nn.Linear(84, num_classes, rng=rng),
        }
    )
