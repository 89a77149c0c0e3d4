"""Convolution, ReLU and pooling from zero: the loops, the fast kernels, and what comes out.

    python examples/from_zero.py [--picture feature_maps.png]

Three kernels look at one handwritten digit: one answers to horizontal edges, one to vertical
edges, one blurs. The seven loops are the definition; tinynet's operation gives the same numbers.
"""

import argparse
import time

import numpy as np

import tinynet
from tinynet import data

EDGE = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
KERNELS = {"horizontal edges": EDGE, "vertical edges": EDGE.T, "blur": np.full((3, 3), 1 / 9)}


def convolve(x, w):
    """y[n,o,p,q] = sum over c, i, j of x[n, c, p+i, q+j] * w[o, c, i, j]: seven loops."""
    N, C, H, W = x.shape
    O, _, K, _ = w.shape
    y = np.zeros((N, O, H - K + 1, W - K + 1))
    for n in range(N):
        for o in range(O):
            for p in range(H - K + 1):
                for q in range(W - K + 1):
                    for c in range(C):
                        for i in range(K):
                            for j in range(K):
                                y[n, o, p, q] += x[n, c, p + i, q + j] * w[o, c, i, j]
    return y


def pool(x):
    """The largest of each 2x2 window."""
    N, C, H, W = x.shape
    y = np.zeros((N, C, H // 2, W // 2))
    for n, c, p, q in np.ndindex(y.shape):
        y[n, c, p, q] = x[n, c, 2 * p : 2 * p + 2, 2 * q : 2 * q + 2].max()
    return y


def timed(function):
    start = time.perf_counter()
    return function(), (time.perf_counter() - start) * 1000


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--picture", help="write the maps to this PNG (needs the extra plot)")
picture = parser.parse_args().picture

digit = data.load("digits", "test").images[0, 0] / 255  # 8x8
grow = [np.interp(np.linspace(0, 7, 32), range(8), row) for row in np.eye(8)]
image = np.transpose(grow) @ digit @ grow  # 32x32, by linear interpolation
x = np.pad(image, 1)[None, None]
w = np.array(list(KERNELS.values()))[:, None]

slow, slow_ms = timed(lambda: pool(np.maximum(convolve(x, w), 0)))
fast, fast_ms = timed(lambda: tinynet.max_pool2d(tinynet.conv2d(x, w).relu(), 2))
print(f"seven loops {slow_ms:.1f} ms, tinynet {fast_ms:.2f} ms")
print(f"largest difference {np.abs(slow - fast.numpy()).max():.1e}")
for name, channel in zip(KERNELS, fast.numpy()[0]):
    print(f"\n{name} -> ReLU -> 2x2 max-pool")
    for row in channel[::2] / channel.max():
        print("".join(" .:-=+*#%@"[int(v * 9)] * 2 for v in row))

if picture:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(10, 3))
    for axis, title, map_ in zip(axes, ["image", *KERNELS], [image, *fast.numpy()[0]]):
        axis.imshow(map_, cmap="gray")
        axis.set_title(title)
        axis.axis("off")
    figure.savefig(picture, dpi=100, bbox_inches="tight")
    print(f"\nwrote {picture}")
