"""Data: sets by name, datasets, batches, and what is done to the images on the way.

    from tinynet.data import DataLoader, load, standardize

    train = load("digits", "train")
    loader = DataLoader(train, batch_size=64, shuffle=True, seed=0, transform=standardize(train))
    for images, labels in loader: ...

What is where: `dataset` (arrays, splits by label), `loader` (orders and batches are those of
`tinynet.utils.data`), `transforms`, `statistics`, `known` (the table of data sets), `sources`
(`load`), `files` (finding and checking), `mirrors` (downloading), and a reader for each format:
`idx` (MNIST, CIFAR-10), `npz`, `folder`, `table` (.csv).
docs/data.md tells what is checked on the way.
"""

from typing import Any

from tinynet.data.dataset import ArrayDataset, stratified_split
from tinynet.data.folder import load_folder, read_image, read_images
from tinynet.data.idx import read_idx
from tinynet.data.known import KNOWN, KnownSet
from tinynet.data.loader import DataLoader
from tinynet.data.sources import download, load
from tinynet.data.statistics import channel_statistics, standardize
from tinynet.data.transforms import RandomShift, ToFloat
from tinynet.errors import no_attribute
from tinynet.utils.data import Dataset, Subset, random_split
from tinynet.vision import transforms as _vision
from tinynet.vision.transforms import (
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    Transform,
)

__all__ = [
    "KNOWN", "ArrayDataset", "Compose", "DataLoader", "Dataset", "KnownSet",
    "Normalize", "RandomCrop", "RandomHorizontalFlip", "RandomRotation", "RandomShift", "Subset",
    "ToFloat", "Transform", "channel_statistics", "download", "load", "load_folder",
    "random_split", "read_idx", "read_image", "read_images", "standardize", "stratified_split",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    there = {"Cutout": "RandomErasing"}.get(name, name)
    is_there = there in _vision.__all__ and f"take {there} of tinynet.vision.transforms"
    raise no_attribute(__name__, name, __all__, is_there or "")
