"""The calls of an exercise: the cases it is held against, and the sizes at which it is timed.

The cases are small, from the simplest to all at once. The values are small integers, so that a case
that fails can be followed by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinynet.kernels.geometry import Padding, Pair
from tinynet.kernels.layout import stored_batch_last
from tinynet.lab import reference

NONE: Padding = ((0, 0), (0, 0))
ONE: Padding = ((1, 1), (1, 1))
Arguments = dict[str, Any]


@dataclass
class Case:
    """One call: the function's name, what is new about it, and its arguments by name.

    work: passes of the innermost loop, where it is to be timed.
    """

    function: str
    about: str
    arguments: Arguments
    work: int = 0


@dataclass
class Setting:
    """The setting of a case of a convolution or a pool.

    x: (N, C, H, W). window: the shape of the weight (O, C/groups, KH, KW), or of a pool's window.
    values: what a pool's image is made of.
    """

    about: str
    x: tuple[int, int, int, int]
    window: Any
    stride: Pair = (1, 1)
    padding: Padding = NONE
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = False
    values: str = "distinct"
    dtype: str = "float64"
    batch_last: bool = False


# ----- convolution --------------------------------------------------------------------------------

CONVOLUTIONS = [
    Setting("one image, one channel, one 2x2 kernel", (1, 1, 3, 3), (1, 1, 2, 2)),
    Setting("a 3x3 kernel", (1, 1, 4, 4), (1, 1, 3, 3)),
    Setting("two images", (2, 1, 3, 3), (1, 1, 2, 2)),
    Setting("several input channels", (1, 2, 3, 3), (1, 2, 2, 2)),
    Setting("several kernels", (1, 2, 3, 3), (3, 2, 2, 2)),
    Setting("a bias", (1, 1, 3, 3), (2, 1, 2, 2), bias=True),
    Setting("oblong image and kernel", (1, 1, 3, 5), (1, 1, 2, 3)),
    Setting("padding", (1, 1, 3, 3), (1, 1, 3, 3), padding=ONE),
    Setting("uneven padding", (1, 1, 3, 3), (1, 1, 2, 2), padding=((0, 2), (1, 0))),
    Setting("stride 2", (1, 1, 4, 4), (1, 1, 2, 2), stride=(2, 2)),
    Setting("stride (2, 1)", (1, 1, 4, 4), (1, 1, 3, 2), stride=(2, 1)),
    Setting("a stride that leaves a rest", (1, 1, 4, 6), (1, 1, 3, 3), stride=(2, 2)),
    Setting("dilation 2", (1, 1, 5, 5), (1, 1, 2, 2), dilation=(2, 2)),
    Setting("dilation (1, 2)", (1, 1, 4, 5), (1, 1, 2, 3), dilation=(1, 2)),
    Setting("two groups", (1, 4, 3, 3), (2, 2, 2, 2), groups=2),
    Setting(
        "all of it", (2, 4, 5, 6), (6, 2, 3, 2), (2, 1), ((1, 0), (1, 2)), (1, 2), 2, bias=True
    ),
    Setting("float32", (2, 2, 4, 4), (2, 2, 3, 3), padding=ONE, dtype="float32"),
    Setting("the batch last in memory", (2, 2, 4, 4), (2, 2, 3, 3), batch_last=True),
]

TIMED_CONVOLUTIONS = [
    Setting(
        "2 images 3x10x10, 4 kernels", (2, 3, 10, 10), (4, 3, 3, 3), padding=ONE, bias=True,
        dtype="float32",
    ),
    Setting(
        "32 images 16x8x8, 32 kernels", (32, 16, 8, 8), (32, 16, 3, 3), padding=ONE, bias=True,
        dtype="float32",
    ),
]  # fmt: skip


def convolutions(function: str, timed: bool = False) -> Iterator[Case]:
    """Cases of `conv2d`, `conv2d_dx` or `conv2d_dw`; the sizes that are timed if `timed`."""
    rng = np.random.default_rng(0)
    for s in TIMED_CONVOLUTIONS if timed else CONVOLUTIONS:
        if s.bias and s.about == "a bias" and function != "conv2d":
            continue  # the gradients of x and w do not see it
        x, w = (integers(rng, shape, s.dtype) for shape in (s.x, s.window))
        case = s.stride, s.padding, s.dilation, s.groups
        settings = dict(zip(("stride", "padding", "dilation", "groups"), case))
        size = reference.output_size(x, s.window[2:], *case[:3])
        dy = integers(rng, (s.x[0], s.window[0], *size), s.dtype)
        if s.batch_last:
            x, dy = stored_batch_last(x), stored_batch_last(dy)
        arguments: dict[str, Arguments] = {
            "conv2d": {
                "x": x,
                "w": w,
                "b": integers(rng, s.window[:1], s.dtype) if s.bias else None,
            },
            "conv2d_dx": {"dy": dy, "w": w, "size": s.x[2:]},
            "conv2d_dw": {"dy": dy, "x": x, "kernel": s.window[2:]},
        }
        yield Case(function, s.about, arguments[function] | settings, dy.size * w[0].size)


# ----- pooling ------------------------------------------------------------------------------------


BY_2: tuple[Pair, Pair] = ((2, 2), (2, 2))  # window and stride
POOLS = [
    Setting("one window", (1, 1, 2, 2), *BY_2),
    Setting("four windows", (1, 1, 4, 4), *BY_2),
    Setting("images and channels", (2, 2, 2, 4), *BY_2),
    Setting("negative numbers alone", (1, 1, 4, 4), *BY_2, values="negative"),
    Setting("an oblong window", (1, 1, 4, 3), (2, 3), (2, 3)),
    Setting("windows that overlap", (1, 1, 4, 4), (3, 3), (1, 1)),
    Setting("a rest that no window sees", (1, 1, 5, 5), *BY_2),
    Setting("padding", (1, 1, 4, 4), (3, 3), (2, 2), ONE),
    Setting(
        "padding around negative numbers", (1, 1, 4, 4), (3, 3), (2, 2), ONE, values="negative"
    ),
    Setting("uneven padding", (1, 1, 3, 3), *BY_2, ((0, 1), (1, 0)), values="negative"),
    Setting("dilation 2", (1, 1, 4, 4), (2, 2), dilation=(2, 2)),
    Setting("elements that tie", (1, 1, 4, 4), (3, 3), (1, 1), values="ties"),
    Setting("all of it", (2, 3, 6, 7), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 2), values="ties"),
    Setting("float32", (2, 2, 4, 4), *BY_2, dtype="float32"),
    Setting("the batch last in memory", (2, 2, 4, 4), *BY_2, values="ties", batch_last=True),
]

TIMED_POOLS = [
    Setting("2 images 3x12x12, windows 2x2", (2, 3, 12, 12), *BY_2, dtype="float32"),
    Setting("32 images 32x8x8, windows 2x2", (32, 32, 8, 8), *BY_2, dtype="float32"),
]


def pools(function: str, timed: bool = False) -> Iterator[Case]:
    """Cases of `max_pool2d` or `max_pool2d_dx`; the sizes that are timed if `timed`."""
    rng = np.random.default_rng(0)
    for s in TIMED_POOLS if timed else POOLS:
        if s.values == "ties":
            x = rng.integers(0, 2, s.x).astype(s.dtype)
        else:
            x = rng.permutation(int(np.prod(s.x))).reshape(s.x).astype(s.dtype)
            x -= x.max() + 1 if s.values == "negative" else x.size // 2
        case = s.window, s.stride, s.padding, s.dilation
        settings = dict(zip(("kernel", "stride", "padding", "dilation"), case))
        y = reference.max_pool2d(x, *case)
        dy = integers(rng, y.shape, s.dtype)
        if s.batch_last:
            x, dy = stored_batch_last(x), stored_batch_last(dy)
        gradient = {"dy": dy, "x": x, "y": y} if function == "max_pool2d_dx" else {"x": x}
        yield Case(function, s.about, gradient | settings, x.size)


# ----- elementwise, loss, step --------------------------------------------------------------------

SHAPES = [
    ("a vector", (4,), "float64"),
    ("a matrix", (3, 4), "float64"),
    ("images", (2, 2, 3, 3), "float64"),
    ("float32", (3, 4), "float32"),
]
TIMED_SHAPES = [("1,000 numbers", (1000,), "float32"), ("50,000 numbers", (50_000,), "float32")]


def relus(timed: bool = False) -> Iterator[Case]:
    """Cases of `relu` and `relu_dx`; about every seventh number is 0, the kink."""
    rng = np.random.default_rng(0)
    for about, shape, dtype in TIMED_SHAPES if timed else SHAPES:
        x = integers(rng, shape, dtype, zeros=True)
        yield Case("relu", about, {"x": x}, x.size)
        dy = integers(rng, shape, dtype)
        yield Case("relu_dx", about, {"dy": dy, "y": reference.relu(x)}, x.size)
    if not timed:
        images = integers(rng, (2, 2, 3, 3), "float64", zeros=True)
        yield Case("relu", "the batch last in memory", {"x": stored_batch_last(images)})


SCORES = [
    ("one example, two classes", (1, 2), 1, "float64"),
    ("one example, five classes", (1, 5), 1, "float64"),
    ("four examples", (4, 3), 1, "float64"),
    ("as many examples as classes", (3, 3), 1, "float64"),
    ("a row of large scores, whose e^x is infinite", (3, 4), [[1000], [1], [1]], "float64"),
    ("float32", (4, 10), 1, "float32"),
]
TIMED_SCORES = [
    ("8 examples, 10 classes", (8, 10), 1, "float32"),
    ("256 examples, 10 classes", (256, 10), 1, "float32"),
]


def cross_entropies(timed: bool = False) -> Iterator[Case]:
    """Cases of `cross_entropy` and `cross_entropy_dx`; the sizes that are timed if `timed`."""
    rng = np.random.default_rng(0)
    for about, shape, scale, dtype in TIMED_SCORES if timed else SCORES:
        x = integers(rng, shape, dtype) * np.array(scale, dtype)
        for function in ("cross_entropy", "cross_entropy_dx"):
            target = rng.integers(0, shape[1], shape[0])
            yield Case(function, about, {"x": x, "target": target}, x.size)


STEPS = [
    ("no momentum", (3,), 0.0, True, "float64"),
    ("the first step with momentum: b is 0", (3,), 0.5, True, "float64"),
    ("a later step", (3,), 0.5, False, "float64"),
    ("a matrix", (2, 3), 0.75, False, "float64"),
    ("a convolution's weight", (2, 2, 3, 3), 0.5, False, "float64"),
    ("float32", (3,), 0.5, False, "float32"),
]
TIMED_STEPS = [
    ("1,000 parameters", (1000,), 0.5, False, "float32"),
    ("26,000 parameters", (26_000,), 0.5, False, "float32"),
]


def steps(timed: bool = False) -> Iterator[Case]:
    """Cases of `sgd`; the sizes that are timed if `timed`."""
    rng = np.random.default_rng(0)
    for about, shape, momentum, first, dtype in TIMED_STEPS if timed else STEPS:
        p, g, b = (integers(rng, shape, dtype) for _ in range(3))
        b *= not first
        yield Case("sgd", about, {"p": p, "g": g, "b": b, "lr": 0.25, "momentum": momentum}, p.size)


def integers(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: str, zeros: bool = False
) -> np.ndarray:
    """Integers from -3 to 3 as floats, 0 among them only if `zeros`."""
    values = [-3, -2, -1, 1, 2, 3, *([0] if zeros else [])]
    return rng.choice(np.array(values, dtype), shape)
