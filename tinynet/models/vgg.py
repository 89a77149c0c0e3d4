"""The VGG family: one plan, 3x3 convolutions between poolings, at four depths.

Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition",
table 1, columns A, B, D and E. Convolutions start as He et al. 2015, "Delving deep into
rectifiers", found necessary for nets of this depth; names of parameters are torchvision's.
"""

from collections.abc import Callable

from tinynet import nn
from tinynet.ops.windows import pair
from tinynet.random import Rng

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {  # number of convolutions before each of the five poolings
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
ImageSize = int | tuple[int, int]


def features(name: str, in_channels: int, batch_norm: bool, rng: Rng) -> nn.Sequential:
    """The convolutions and poolings of the net of that name."""
    layers: list[nn.Module] = []
    channels = in_channels
    for width, depth in zip(WIDTHS, DEPTHS[name]):
        for _ in range(depth):
            conv = nn.Conv2d(channels, width, kernel_size=3, padding=1, rng=rng)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", rng=rng)
            nn.init.zeros_(conv.bias)
            layers += [conv, *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def classifier(pixels: int, num_classes: int, dropout: float, rng: Rng) -> nn.Sequential:
    """The linear layers, for so many pixels of what the last pooling leaves."""
    return nn.Sequential(
        nn.Linear(WIDTHS[-1] * pixels, 4096, rng=rng),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096, rng=rng),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, num_classes, rng=rng),
    )


def _of_depth(name: str) -> Callable[..., nn.Sequential]:
    """The function that makes the net of that name."""

    def model(
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: ImageSize = 224,
        batch_norm: bool = False,
        dropout: float = 0.5,
        rng: Rng = None,
    ) -> nn.Sequential:
        H, W = pair(name, "image_size", image_size, 32)
        return nn.Sequential(
            {
                "features": features(name, in_channels, batch_norm, rng),
                "flatten": nn.Flatten(),
                "classifier": classifier((H // 32) * (W // 32), num_classes, dropout, rng),
            }
        )

    model.__name__ = model.__qualname__ = name
    model.__doc__ = f"""VGG with {name.removeprefix("vgg")} layers that learn.

    Shapes: x (N, in_channels, H, W) -> scores (N, num_classes).
    image_size: H and W, at least 32, which the five poolings leave one pixel of; the first
    linear layer takes what is left, so smaller images make a smaller model (vgg16 has 138 million
    parameters for 224x224 and 1000 classes, 33.6 million for 32x32 and 10).
    batch_norm: normalise after each convolution, which lets it train from scratch sooner.
    rng: draws the initial values. Raises ValueError for an image that is too small.
    """
    return model


vgg11, vgg13, vgg16, vgg19 = map(_of_depth, DEPTHS)
