"""An epoch of LeNet-5 on MNIST at batch 128, loading of the batches included.

examples:
  python -m benchmarks.epoch --data-dir ~/data
  python -m benchmarks.epoch --images 12800 --rounds 3

tinynet goes through its DataLoader. PyTorch is measured in three ways: batches indexed from one
big tensor, in both memory layouts, and its own DataLoader; the fastest of each round counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks import common, comparison, frameworks, mnist

COLLATED = "DataLoader"


def make_step(
    framework: str, variant: str, threads: int, folder: str, images: int
) -> Callable[[], None]:
    """One epoch over the first `images` of MNIST, made inside the worker."""
    collated = variant == COLLATED
    loaded = frameworks.load(framework, "contiguous" if collated else variant, threads)
    if framework == "tinynet":
        batches = mnist.tinynet_batches(folder, "train", images, seed=0)
    else:
        batches = mnist.torch_batches(loaded, folder, "train", images, 0, collated)
    model = mnist.new_lenet(loaded, seed=0)
    optimizer = loaded.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return lambda: mnist.train_epoch(loaded, model, optimizer, batches)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = common.new_parser(__doc__)
    common.add_data_dir(parser)
    parser.add_argument(
        "--images",
        type=common.at_least(1),
        default=60_000,
        metavar="N",
        help="how many of the 60,000 training images (default: all)",
    )
    common.add_contestants(parser)
    common.add_rounds(parser, rounds=6, seconds=None)
    common.add_json(parser)
    args = parser.parse_args(argv)
    contestants = common.resolve_contestants(parser, args)
    if "torch contiguous" in contestants:
        contestants[f"torch {COLLATED}"] = {**contestants["torch contiguous"], "variant": COLLATED}
    more = {"folder": mnist.mnist_folder(args.data_dir), "images": args.images}
    task = "benchmarks.epoch:make_step"
    case = comparison.run_case("epoch", args.images, task, contestants, more, args.rounds, 0)
    print(comparison.report([case]))
    common.write_json(args.json, comparison.record([case]))


if __name__ == "__main__":
    main()
