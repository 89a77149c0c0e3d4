"""Mean and standard deviation of each channel of a dataset, and the preprocessing made of them."""

from collections.abc import Iterator

import numpy as np

from tinynet.data.transforms import ToFloat
from tinynet.errors import DataError
from tinynet.utils.data.dataset import Examples, take
from tinynet.vision.transforms.base import Compose, Normalize

CHUNK = 4096  # examples looked at together, so that a large set is never held as floats


def channel_statistics(dataset: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) over all pixels of the images (N, C, H, W) of `dataset`.

    Bytes count as 0..1, as `ToFloat` makes them. A channel that is constant gets the deviation 1,
    so that normalising by it is safe. Use the training split alone: the test split is unseen.

    Raises DataError for an empty dataset or one whose first array is not (N, C, H, W).
    """
    if not len(dataset):
        raise DataError("channel_statistics: the dataset is empty")
    # Two passes: the deviation from a known mean has no cancellation.
    mean = _channel_mean(dataset, np.zeros(()), power=1)
    variance = _channel_mean(dataset, mean, power=2)
    std = np.sqrt(variance)
    return mean, np.where(std > 1e-12, std, 1.0)


def standardize(dataset: Examples) -> Compose:
    """The default preprocessing: ToFloat, then Normalize with the statistics of `dataset`."""
    return Compose([ToFloat(), Normalize(*channel_statistics(dataset))])


def _channel_mean(dataset: Examples, center: np.ndarray, power: int) -> np.ndarray:
    """The mean over all pixels of (x - center) ** power, for each channel (C,)."""
    total, count = np.zeros(()), 0
    for x in _images(dataset):
        x -= center if not center.ndim else center[:, None, None]
        total = total + (x**power).sum(axis=(0, 2, 3))  # (C,)
        count += x.shape[0] * x.shape[2] * x.shape[3]
    return total / count


def _images(dataset: Examples) -> Iterator[np.ndarray]:
    """The images as float64, `CHUNK` at a time."""
    for start in range(0, len(dataset), CHUNK):
        batch = take(dataset, np.arange(start, min(start + CHUNK, len(dataset))))
        x = np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch)
        if x.ndim != 4:
            raise DataError(f"channel_statistics: images must be (N, C, H, W), got {x.shape}")
        yield x.astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
