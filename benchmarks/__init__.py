"""The benchmarks: what tinynet costs, measured beside PyTorch in the same run.

    python -m benchmarks                    the short form of the main ones; writes RESULTS.md
    python -m benchmarks.train_step         one training step of four nets, three batch sizes
    python -m benchmarks.inference          one forward pass: LeNet-5, VGG-16
    python -m benchmarks.epoch              an epoch of LeNet-5 on MNIST, loading included
    python -m benchmarks.time_to_accuracy   a whole process, until LeNet-5 reaches 99 % on MNIST
    python -m benchmarks.overhead           microseconds per operation, import time, first step
    python -m benchmarks.scaling            time against batch, image side, channels, depth, threads
    python -m benchmarks.roofline           what share of the matrix product's speed a layer reaches
    python -m benchmarks.results            the accuracy figures of the README

Each has --help. PyTorch is optional: `pip install torch`; without it tinynet is measured alone.

How a comparison is made: every contestant (a framework with one kernel set or memory layout) runs
in a process of its own, and the processes take turns, so that a change in the machine's speed
meets all of them alike. Ratios are taken within a round; the median over the rounds counts.
What the scripts share: `common` (arguments, statistics, tables), `turns` (the processes),
`frameworks` (tinynet and PyTorch behind one face), `nets`, `machine`.
"""
