"""What the scripts begin from: the same images and weights under either library."""

import numpy as np
import torch
from torch.utils.data import TensorDataset

LOSSES = []


def arrays():
    """Images of strokes (320, 784) from 0 to 1 and their labels from 0 to 9."""
    rng = np.random.default_rng(3)
    labels = np.arange(320) % 10
    images = rng.random((320, 28, 28), np.float32) * 0.3
    for image, label in zip(images, labels):
        image[4 + 2 * label : 7 + 2 * label, 4:24] += 0.7
    return images.reshape(320, 784), labels


def digits():
    images, labels = arrays()
    return TensorDataset(torch.from_numpy(images).reshape(-1, 1, 28, 28), torch.from_numpy(labels))


def photographs():
    rng = np.random.default_rng(4)
    labels = np.arange(96) % 4
    images = rng.standard_normal((96, 3, 32, 32)).astype(np.float32)
    images += labels[:, None, None, None].astype(np.float32) * 0.3
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


def seeded(model):
    """The model with weights that do not depend on the library's chance."""
    rng = np.random.default_rng(5)
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                fan = p.numel() // p.shape[0]
                p.copy_(torch.from_numpy(rng.normal(0, (1.5 / fan) ** 0.5, tuple(p.shape))))
            elif (p != 1).any():  # a bias
                p.zero_()
    return model
