"""torchvision's data sets: the same names, arguments and attributes, PIL images and labels.

The files are found, downloaded and checked as those of `tinynet.data.load` are: in `root`, where
torchvision puts MNIST's too, or in the folder that TINYNET_DATA names. Without Pillow an image is a
tensor (C, H, W) of bytes, which `transforms` take as well.

Where all transforms take batches, as those of `tinynet.vision.transforms` do, a DataLoader gets its
batches at once, without Python for each image.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.data.files import data_root, open_file
from tinynet.data.folder import SUFFIXES, decoded
from tinynet.data.known import KNOWN
from tinynet.data.sources import read_known
from tinynet.errors import DataError, no_attribute
from tinynet.tensor import Tensor
from tinynet.utils.data import Dataset, default_collate
from tinynet.vision.transforms.base import Compose, PILToTensor, ToTensor, apply_transform
from tinynet.vision.transforms.images import as_pil

__all__ = [
    "CIFAR10", "CIFAR100", "KMNIST", "MNIST", "FakeData", "FashionMNIST", "ImageFolder",
    "VisionDataset",
]  # fmt: skip

Change = Callable[[Any], Any] | None


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Base of the data sets: pairs (image, label), each changed by its transform."""

    targets: Any
    classes: Sequence[str]

    def __init__(
        self, root: Any = None, *, transform: Change = None, target_transform: Change = None
    ) -> None:
        self.root, self.transform, self.target_transform = root, transform, target_transform

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: k for k, name in enumerate(self.classes)}

    def changed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """An example as the transforms make it."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}({len(self)} examples, transform={self.transform!r})"  # type: ignore[arg-type]


class _Arrays(VisionDataset):
    """A set that lies in `data` (N, H, W) or (N, H, W, C), bytes, and `targets` (N,)."""

    name: str  # in tinynet.data
    folder: str  # that torchvision gives it under the root
    data: Any

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Change = None,
        target_transform: Change = None,
        download: bool = False,
    ) -> None:
        super().__init__(data_root(root), transform=transform, target_transform=target_transform)
        self.train = train
        self.classes = list(type(self).classes)
        known = KNOWN[self.name]
        theirs = replace(known, folder=self.folder)
        places = ((theirs, self.root), (known, self.root), (known, data_root()))
        there = [(set_, place) for set_, place in places if not set_.missing(place)]
        if not there and not download:
            folders = {str(place / set_.folder): None for set_, place in places}
            raise DataError(
                f"{type(self).__name__}: not found in {', '.join(folders)}; with download=True it "
                "is downloaded"
            )
        found, place = there[0] if there else (known, self.root)
        images, labels = read_known(found, "train" if train else "test", place)
        if images.shape[1] == 1:
            self.data, self.targets = wrap(images[:, 0]), wrap(labels)
        else:
            self.data, self.targets = images.transpose(0, 2, 3, 1), labels.tolist()

    def __len__(self) -> int:
        return len(self.data)

    def _pixels(self, indices: Any) -> np.ndarray:
        """The images at `indices` (B,) as bytes (B, C, H, W)."""
        x = np.asarray(self.data)[indices]
        return x[:, None] if x.ndim == 3 else np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = picture(self._pixels([index])[0])
        return self.changed(image, int(self.targets[index]))

    def take(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> Any:
        """The examples at `indices` (B,) as a batch."""
        if self.target_transform is not None or not makes_tensors(self.transform):
            return default_collate([self[i] for i in indices.tolist()])
        images = apply_transform(self.transform, self._pixels(indices), rng)  # type: ignore[arg-type]
        targets = self.targets
        if isinstance(targets, Tensor):
            return images, targets.array[indices]
        return images, np.array([targets[i] for i in indices.tolist()])


class MNIST(_Arrays):
    """60,000 + 10,000 handwritten digits, grey, 28x28; `data` and `targets` are tensors."""

    name, folder = "mnist", "MNIST/raw"
    classes: Sequence[str] = (
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six",
        "7 - seven", "8 - eight", "9 - nine",
    )  # fmt: skip


class FashionMNIST(MNIST):
    """60,000 + 10,000 articles of clothing, grey, 28x28."""

    name, folder = "fashion-mnist", "FashionMNIST/raw"
    classes = KNOWN["fashion-mnist"].classes


class KMNIST(MNIST):
    """60,000 + 10,000 cursive Japanese characters, grey, 28x28."""

    name, folder = "kmnist", "KMNIST/raw"
    classes = KNOWN["kmnist"].classes


class CIFAR10(_Arrays):
    """50,000 + 10,000 photographs in 10 classes, 32x32; `data` is an array (N, 32, 32, 3)."""

    name, folder = "cifar10", ""
    classes = KNOWN["cifar10"].classes


class CIFAR100(CIFAR10):
    """50,000 + 10,000 photographs in 100 classes, 32x32."""

    name, folder = "cifar100", ""
    classes = KNOWN["cifar100"].classes


class FakeData(VisionDataset):
    """Random images and labels, always the same for an index."""

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Change = None,
        target_transform: Change = None,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.image_size, self.num_classes = size, image_size, num_classes

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"example {index} of a dataset of {len(self)}")
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, self.image_size, np.uint8)
        return self.changed(picture(image), int(rng.integers(self.num_classes)))


class ImageFolder(VisionDataset):
    """Images in class folders: ROOT/cat/1.png, ROOT/dog/more/2.png, in sorted order.

    loader: opens the file at a path, by default as a PIL image in RGB. is_valid_file: which files
    count, by default those with the suffix of an image.
    `samples` (or `imgs`) holds the pairs (path, label).
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Change = None,
        target_transform: Change = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader or open_rgb
        valid = is_valid_file or (lambda path: Path(path).suffix.lower() in SUFFIXES)
        if not os.path.isdir(root):
            raise DataError(f"ImageFolder: {root}: there is no such folder")
        self.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        self.imgs = self.samples = [
            (os.path.join(folder, file), label)
            for label, name in enumerate(self.classes)
            for folder, _, files in sorted(os.walk(os.path.join(root, name), followlinks=True))
            for file in sorted(files)
            if valid(os.path.join(folder, file))
        ]
        self.files = [path for path, _ in self.samples]
        self.targets = [label for _, label in self.samples]
        empty = [name for k, name in enumerate(self.classes) if k not in {*self.targets}]
        if not self.classes or empty:
            what = f"no images in {', '.join(empty[:8])}" if empty else "no class folders"
            raise DataError(f"ImageFolder: {root}: {what}; expected ROOT/CLASS/*.png")

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.changed(self.loader(path), target)


def open_rgb(path: str) -> Any:
    """The image of a file as a PIL image in RGB."""
    with open_file(path) as stream:
        return decoded(stream, path, lambda image: image.convert("RGB"))


def picture(x: np.ndarray) -> Any:
    """Bytes (C, H, W) as a PIL image, or as a tensor where there is no Pillow."""
    try:
        return as_pil(x)
    except ImportError:
        return wrap(x)


def makes_tensors(transform: Any) -> bool:
    """Whether a transform may be given a whole batch, and makes tensors of PIL images."""
    steps = transform.transforms if type(transform) is Compose else [transform]
    tensors = any(isinstance(step, (ToTensor, PILToTensor)) for step in steps)
    return tensors and all(getattr(step, "takes_batches", False) for step in steps)


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__)
