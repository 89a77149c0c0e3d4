"""tinynet and PyTorch behind one face, so that what is timed is written once.

Everything here runs inside a worker process and imports the one framework that it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Framework:
    """What a training script imports, and how arrays and models come into the framework.

    tensor: an array, which images (N, C, H, W) enter in the memory layout that is measured.
    place: a model, likewise. inference: a context in which no gradients are recorded.
    seed: fixes the initial weights.
    """

    nn: ModuleType
    F: ModuleType
    optim: ModuleType
    tensor: Callable[[np.ndarray], Any]
    place: Callable[[Any], Any]
    inference: Callable[[], AbstractContextManager[Any]]
    seed: Callable[[int], Any]


def load(framework: str, variant: str, threads: int) -> Framework:
    """tinynet with the kernel set `variant`, or torch with the memory layout `variant`."""
    return {"tinynet": _tinynet, "torch": _torch}[framework](variant, threads)


def _tinynet(kernel_set: str, threads: int) -> Framework:
    import tinynet
    from tinynet import kernels, nn, optim

    kernels.use(kernel_set)
    tinynet.set_num_threads(threads)
    return Framework(
        nn,
        nn.functional,
        optim,
        tinynet.from_numpy,
        lambda model: model,
        tinynet.no_grad,
        tinynet.manual_seed,
    )


def _torch(layout: str, threads: int) -> Framework:
    import torch

    torch.set_num_threads(threads)
    memory_format = getattr(torch, f"{layout}_format" if layout == "contiguous" else layout)

    def tensor(array: np.ndarray) -> torch.Tensor:
        t = torch.from_numpy(array)
        return t.contiguous(memory_format=memory_format) if t.ndim == 4 else t

    return Framework(
        torch.nn,
        torch.nn.functional,
        torch.optim,
        tensor,
        lambda model: model.to(memory_format=memory_format),
        torch.inference_mode,
        torch.manual_seed,
    )


def random_batches(
    count: int, batch: int, image: tuple[int, ...], classes: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (N, C, H, W) of normally distributed pixels, and labels (N,); always the same."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.standard_normal((batch, *image), dtype=np.float32),
            rng.integers(0, classes, batch),
        )
        for _ in range(count)
    ]


def training_step(
    framework: Framework, model: Any, batches: list[tuple[np.ndarray, np.ndarray]]
) -> Callable[[], None]:
    """One step of training as a user writes it, each time on the next of the batches.

    Several batches with labels that cannot be learned keep the gradients at a usual size; on a
    single batch they would fade into numbers so small that the processor slows down.
    """
    F = framework.F
    model = framework.place(model)
    optimizer = framework.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    data = [(framework.tensor(x), framework.tensor(target)) for x, target in batches]
    number = 0

    def step() -> None:
        nonlocal number
        x, target = data[number % len(data)]
        number += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()

    return step
