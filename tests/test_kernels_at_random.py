"""Windows that nobody thought of: each kernel set against `plain`, on random geometries."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet import kernels
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.plain import Kernels

PLAIN = Kernels()


def a_geometry(rng, groups=1, pool=False) -> Geometry:
    """Sizes, strides, paddings and dilations in any combination whose windows fit."""
    while True:
        pairs = [(int(a), int(b)) for a, b in rng.integers(1, (4, 4), (3, 2))]
        kernel, stride, dilation = pairs
        size = tuple(int(n) for n in rng.integers(1, 10, 2))
        if rng.random() < 0.5:  # the square cases that short cuts are made for
            size, kernel, stride, dilation = ((p[0], p[0]) for p in (size, *pairs))
        most = [k // 2 + 1 if pool else k * d + 2 for k, d in zip(kernel, dilation)]
        padding = tuple((int(rng.integers(0, m)), int(rng.integers(0, m))) for m in most)
        g = Geometry.of(size, kernel, stride, padding, dilation, groups)
        if min(g.out) >= 1:
            return g


def images(rng) -> int:
    return int(rng.choice([1, 2, 3, 16, 17, 33, 64]))


@pytest.mark.parametrize("name", [name for name in kernels.available() if name != "plain"])
@pytest.mark.parametrize("seed", range(60))
class TestRandomWindows:
    @pytest.fixture(autouse=True)
    def kernel_set(self, name):
        before = kernels.current.name
        kernels.use(name)
        yield
        kernels.use(before)

    def test_convolution(self, name, seed):
        rng = np.random.default_rng(seed)
        groups = int(rng.choice([1, 1, 2]))
        g, N = a_geometry(rng, groups), images(rng)
        C, O = groups * int(rng.integers(1, 5)), groups * int(rng.integers(1, 9))
        x, dy = rng.standard_normal((N, C, *g.size)), rng.standard_normal((N, O, *g.out))
        w, b = rng.standard_normal((O, C // groups, *g.kernel)), rng.standard_normal(O)
        for dtype, atol in ((np.float64, 1e-10), (np.float32, 2e-3)):
            arrays = [a.astype(dtype) for a in (x, w, b, dy)]
            y = kernels.current.conv2d(*arrays[:3], g)
            dx = kernels.current.conv2d_dx(arrays[3], arrays[1], g)
            dw, db = kernels.current.conv2d_dw_db(arrays[3], arrays[0], g)
            np.testing.assert_allclose(y, PLAIN.conv2d(x, w, b, g), atol=atol)
            np.testing.assert_allclose(dx, PLAIN.conv2d_dx(dy, w, g), atol=atol)
            for mine, expected in zip((dw, db), PLAIN.conv2d_dw_db(dy, x, g)):
                np.testing.assert_allclose(mine, expected, atol=10 * atol)

    @pytest.mark.parametrize("relu", [False, True])
    def test_max_pool(self, name, seed, relu):
        rng = np.random.default_rng(seed)
        g, N = a_geometry(rng, pool=True), images(rng)
        x = rng.integers(-3, 4, (N, 3, *g.size)).astype(np.float32)  # with ties
        dy = rng.integers(1, 9, (N, 3, *g.out)).astype(np.float32)
        expected, seen = PLAIN.max_pool2d(x, g, relu)
        if not np.isfinite(expected).all():
            pytest.skip("a window of padding alone, which the operation refuses")
        y, saved = kernels.current.max_pool2d(x, g, relu)
        np.testing.assert_array_equal(y, expected)
        dx = kernels.current.max_pool2d_dx(dy, saved, g)
        np.testing.assert_array_equal(dx, PLAIN.max_pool2d_dx(dy, seen, g))

    def test_sum_pool(self, name, seed):
        rng = np.random.default_rng(seed)
        g, N = a_geometry(rng, pool=True), images(rng)
        g = Geometry.of(g.size, g.kernel, g.stride, g.padding)
        x = rng.integers(-9, 9, (N, 3, *g.size)).astype(np.float32)
        dy = rng.integers(-9, 9, (N, 3, *g.out)).astype(np.float32)
        np.testing.assert_array_equal(kernels.current.sum_pool2d(x, g), PLAIN.sum_pool2d(x, g))
        np.testing.assert_array_equal(
            kernels.current.sum_pool2d_dx(dy, g), PLAIN.sum_pool2d_dx(dy, g)
        )
