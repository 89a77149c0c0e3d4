"""Datasets, samplers and the DataLoader of PyTorch's `torch.utils.data`.

    from tinynet.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)

Batches are what PyTorch's would be: nothing is scaled or converted. `tinynet.data` builds on it
and adds what it knows of images.
"""

from tinynet.utils.data import dataset, sampler
from tinynet.utils.data.collate import default_collate, default_convert
from tinynet.utils.data.dataloader import DataLoader, get_worker_info
from tinynet.utils.data.dataset import *  # noqa: F403
from tinynet.utils.data.sampler import *  # noqa: F403

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]
__all__ += dataset.__all__
__all__ += sampler.__all__
