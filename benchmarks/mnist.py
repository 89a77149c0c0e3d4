"""MNIST and LeNet-5 as a user of each framework trains them: data, batches, schedule, test.

tinynet's user takes `tinynet.data`: load and DataLoader. PyTorch's user is given the fastest
usual way: all images as one float tensor, of which shuffled batches are indexed. Its DataLoader,
which collates image by image, is measured beside it by `benchmarks.epoch`.
"""

from __future__ import annotations

import gzip
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks import Framework
from benchmarks.nets import lenet

MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels, scaled to 0..1
BATCH = 128

Batches = Callable[[], Iterator[Any]]
"""Starts an epoch: an iterator of (images, labels) in the framework's tensors."""


def mnist_folder(data_dir: str | None) -> str:
    """The folder with MNIST's four files; downloads what is missing."""
    from tinynet.data import download
    from tinynet.errors import DataError

    try:
        return str(download("mnist", data_dir).resolve())
    except DataError as error:
        raise SystemExit(f"MNIST is needed: {error}") from None


def read_idx(folder: str, name: str) -> np.ndarray:
    """An IDX file, gzipped or not, as an array of bytes."""
    path = Path(folder) / name
    content = (
        path.read_bytes()
        if path.exists()
        else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
    )
    sizes = np.frombuffer(content, ">i4", content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def tinynet_batches(folder: str, split: str, images: int, seed: int) -> Batches:
    """tinynet's DataLoader over the first `images` of MNIST, shuffled for training."""
    from tinynet.data import Compose, DataLoader, Normalize, Subset, ToFloat, load

    dataset = load("mnist", split, root=str(Path(folder).parent))
    loader = DataLoader(
        Subset(dataset, np.arange(min(images, len(dataset)))),
        BATCH,
        shuffle=split == "train",
        seed=seed,
        transform=Compose([ToFloat(), Normalize(MEAN, STD)]),
    )
    return lambda: iter(loader)


def torch_tensors(framework: Framework, folder: str, split: str, images: int) -> tuple[Any, Any]:
    """The first `images` of MNIST as PyTorch tensors: normalised images, labels."""
    prefix = "train" if split == "train" else "t10k"
    pixels = read_idx(folder, f"{prefix}-images-idx3-ubyte")[:images, None]
    labels = read_idx(folder, f"{prefix}-labels-idx1-ubyte")[:images]
    x = (pixels.astype(np.float32) / 255 - MEAN) / STD
    return framework.tensor(x.astype(np.float32)), framework.tensor(labels.astype(np.int64))


def torch_batches(
    framework: Framework, folder: str, split: str, images: int, seed: int, collated: bool = False
) -> Batches:
    """Shuffled batches by indexing whole tensors, or `collated` by PyTorch's DataLoader.

    Indexed, the images come in the order in which tinynet's DataLoader brings them.
    """
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(seed)
    x, labels = torch_tensors(framework, folder, split, images)
    if collated:
        loader = DataLoader(TensorDataset(x, labels), BATCH, shuffle=split == "train")
        return lambda: iter(loader)

    numbers = itertools.count()

    def epoch() -> Iterator[Any]:
        order = torch.arange(len(x))
        if split == "train":
            rng = np.random.default_rng([seed, 0, next(numbers)])
            order = torch.from_numpy(rng.permutation(len(x)))
        for chosen in torch.split(order, BATCH):
            yield x[chosen], labels[chosen]

    return epoch


def new_lenet(framework: Framework, seed: int) -> Any:
    """LeNet-5 with initial weights that the seed decides, the same in both frameworks.

    They are drawn as either would: uniformly from +-1 / sqrt(inputs of an output).
    """
    model = framework.place(lenet(framework.nn))
    rng = np.random.default_rng(seed)
    bound, drawn = 0.0, {}
    for name, values in model.state_dict().items():  # of each layer the weight, then the bias
        shape = tuple(values.shape)
        if name.endswith("weight"):
            bound = math.prod(shape[1:]) ** -0.5
        drawn[name] = framework.tensor(rng.uniform(-bound, bound, shape).astype(np.float32))
    model.load_state_dict(drawn)
    return model


def train_epoch(
    framework: Framework, model: Any, optimizer: Any, batches: Batches, schedule: Any = None
) -> None:
    """One epoch of training, as a user writes it."""
    model.train()
    for x, target in batches():
        optimizer.zero_grad()
        loss = framework.F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()


def accuracy(framework: Framework, model: Any, batches: Batches) -> float:
    """The share of images that the model classifies rightly."""
    model.eval()
    right = count = 0
    with framework.inference():
        for x, target in batches():
            right += int((model(x).argmax(1) == target).sum())
            count += len(target)
    return right / count
