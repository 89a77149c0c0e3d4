"""Does it pay to make batches ahead in a thread? An epoch with and without, on the same seed.

examples:
  python -m benchmarks.prefetch
  python -m benchmarks.prefetch --augment rotate:15 --rounds 8

LeNet-5 on images of noise, 28x28, batches of 128. The thread runs the DataLoader itself, two
batches ahead. It does not pay on two cores, so the DataLoader has no such option: what augmentation
costs is small beside the step, and the step's matrix products already use both cores.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks import common


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    from tinynet import kernels

    parser = common.new_parser(__doc__)
    parser.add_argument("--augment", default="rotate:15", metavar="NAME", help="(rotate:15)")
    parser.add_argument("--images", type=common.at_least(128), default=3200, metavar="N")
    common.add_rounds(parser, rounds=5, seconds=None)
    args = parser.parse_args(argv)
    rows = []
    for kernel_set in kernels.available()[1:]:  # all but plain
        kernels.use(kernel_set)
        rows.append(measure(kernel_set, args.augment, args.images, args.rounds))
    print(common.table(["kernels", "loader alone, s", "epoch, s", "two ahead, s", "ratio"], rows))


def measure(kernel_set: str, augment: str, images: int, rounds: int) -> list[Any]:
    """A row: the medians of loading alone, of an epoch, and of an epoch with batches made ahead."""
    times: dict[str, list[float]] = {"alone": [], "plain": [], "ahead": []}
    losses = {train(loader(augment, images))}  # compiles what is compiled
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in loader(augment, images):
            pass
        times["alone"].append(time.perf_counter() - start)
        for way in ("plain", "ahead"):
            batches = loader(augment, images)
            start = time.perf_counter()
            losses.add(train(batches if way == "plain" else made_ahead(batches, 2)))
            times[way].append(time.perf_counter() - start)
    assert len(losses) == 1, "the thread changed the result"
    alone, plain, ahead = (statistics.median(t) for t in times.values())
    return [kernel_set, *map(common.short, (alone, plain, ahead, plain / ahead))]


def loader(augment: str, images: int) -> Any:
    """A DataLoader over noise, the same each time."""
    from tinynet.data import ArrayDataset, Compose, DataLoader, Normalize, ToFloat
    from tinynet.training import make_augment

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 1, 28, 28), np.uint8)
    dataset = ArrayDataset(pixels, rng.integers(0, 10, images))
    transform = Compose([make_augment([augment], 28), ToFloat(), Normalize(0.5, 0.3)])
    return DataLoader(dataset, 128, shuffle=True, seed=0, transform=transform)


def train(batches: Iterable[Any]) -> float:
    """The loss of the last step of an epoch of LeNet-5."""
    import tinynet
    from tinynet import models, optim
    from tinynet.nn import functional as F

    tinynet.manual_seed(0)
    model = models.build("lenet5", num_classes=10, in_channels=1, image_size=(28, 28))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for x, target in batches:
        loss = F.cross_entropy(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.item())


def made_ahead(batches: Iterable[Any], count: int) -> Iterator[Any]:
    """The same batches, up to `count` of them made by a thread before they are asked for."""
    source = iter(batches)
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(1) as thread:
        waiting.extend(thread.submit(next, source, None) for _ in range(count))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, source, None))
            yield batch


if __name__ == "__main__":
    main()
