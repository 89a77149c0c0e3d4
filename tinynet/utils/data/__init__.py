"""Datasets, samplers and the DataLoader of PyTorch's `torch.utils.data`.

    from tinynet.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)

Batches are what PyTorch's would be: nothing is scaled or converted. `tinynet.data` builds on it
and adds what it knows of images.
"""

from __future__ import annotations

from tinynet.utils.data.collate import default_collate, default_convert
from tinynet.utils.data.dataloader import DataLoader, get_worker_info
from tinynet.utils.data.dataset import (
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinynet.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler", "ConcatDataset", "DataLoader", "Dataset",
    "IterableDataset", "RandomSampler", "Sampler", "SequentialSampler", "Subset",
    "SubsetRandomSampler", "TensorDataset", "WeightedRandomSampler", "default_collate",
    "default_convert", "get_worker_info", "random_split",
]  # fmt: skip
