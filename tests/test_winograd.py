"""What is particular to Winograd's filtering; tests/test_kernels.py holds it against the loops."""

from __future__ import annotations

import numpy as np
import pytest
from written import Written, current

from tinynet import kernels
from tinynet.kernels import choice, minimal_filtering, threads
from tinynet.kernels.geometry import Geometry
from tinynet.kernels.numpy_kernels import NumpyKernels
from tinynet.kernels.plans import rows, winograd

numpy_kernels = Written(NumpyKernels())

SAME = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def forgotten_choices():
    yield
    choice.convolution.cache_clear()


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_matrices_filter_exactly(rng):
    d, g = rng.standard_normal(winograd.S), rng.standard_normal(3)
    y = minimal_filtering.A_T @ ((minimal_filtering.G @ g) * (minimal_filtering.B_T @ d))
    np.testing.assert_allclose(y, np.correlate(d, g, "valid"), atol=1e-13)


def test_errs_by_less_than_two_millionths_of_what_it_computes(rng):
    N, C, O, side = 32, 64, 64, 13
    x, w, dy = normal(rng, N, C, side, side), normal(rng, O, C, 3, 3), normal(rng, N, O, side, side)
    x, dy = (z.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2) for z in (x, dy))

    def results(dtype, winograd_from):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(winograd, "IMAGES", winograd_from)
            choice.convolution.cache_clear()
            x_, w_, dy_ = (z.astype(dtype) for z in (x, w, dy))
            return (
                numpy_kernels.conv2d(x_, w_, None, *SAME),
                numpy_kernels.conv2d_dx(dy_, w_, (side, side), *SAME),
                numpy_kernels.conv2d_dw(dy_, x_, (3, 3), *SAME),
            )

    exact = results(np.float64, 10**9)
    for fast, plain, z in zip(results(np.float32, 0), results(np.float32, 10**9), exact):
        assert not np.array_equal(fast, plain)  # two plans indeed
        assert np.sqrt(((fast - z) ** 2).mean()) < 2e-6 * np.sqrt((z**2).mean())


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("channels", [3, 64, 512])
@pytest.mark.parametrize(("height", "width", "N"), [(1, 1, 1), (14, 26, 16), (33, 7, 200)])
def test_blocks_hold_every_place_once_and_are_shared_evenly(
    height, width, N, channels, count, monkeypatch
):
    monkeypatch.setattr(threads, "_count", count)
    tiles = -(-width // winograd.M)
    bytes_per_place = winograd.S * channels * N * 4
    blocks = winograd.cut(height, width, N, 2, bytes_per_place)
    times = np.zeros((height, tiles), int)
    for p, t in blocks:
        times[p, t] += 1
        rows_seen, places = p.stop - p.start + 2, t.stop - t.start
        fits = rows_seen * places * bytes_per_place <= winograd.BLOCK_BYTES
        assert fits or (p.stop - p.start == 1 and (places - 1) * N < winograd.LEAST_COLUMNS)
    assert (times == 1).all()
    assert len(blocks) % count == 0 or len(blocks) % height == 0


def test_takes_many_channels_and_images_alone(rng, monkeypatch):
    taken = []
    for name in ("conv2d", "conv2d_dw_db"):
        plain = getattr(winograd, name)
        monkeypatch.setattr(
            winograd, name, lambda *a, plain=plain, name=name: taken.append(name) or plain(*a)
        )

    def all_three(N, C, O):
        x, w, dy = normal(rng, N, C, 8, 8), normal(rng, O, C, 3, 3), normal(rng, N, O, 8, 8)
        taken.clear()
        numpy_kernels.conv2d(x, w, None, *SAME)
        numpy_kernels.conv2d_dx(dy, w, (8, 8), *SAME)
        numpy_kernels.conv2d_dw(dy, x, (3, 3), *SAME)
        return taken

    assert all_three(32, 64, 64) == ["conv2d", "conv2d", "conv2d_dw_db"]
    assert all_three(32, 32, 64) == ["conv2d", "conv2d"]
    assert all_three(32, 16, 64) == []
    assert all_three(8, 64, 64) == []


def test_agrees_with_rows_far_outside_of_the_image(rng):
    x, w = rng.standard_normal((2, 6, 7, 5)), rng.standard_normal((3, 2, 2, 3))
    g = Geometry.of((6, 7), (2, 3), padding=((5, 4), (6, 9)))
    y = rows.conv2d(x, w, None, g)
    np.testing.assert_allclose(winograd.conv2d(x, w, None, g), y, atol=1e-13)
    cut = Geometry.of((6, 7), (2, 3), padding=((-1, 0), (-1, 0)))  # a gradient of wide padding
    cut_away = winograd.conv2d(x, w, None, cut)
    x = np.ascontiguousarray(x[:, 1:, 1:])
    inner = rows.conv2d(x, w, None, Geometry.of((5, 6), (2, 3)))
    np.testing.assert_allclose(cut_away, inner, atol=1e-13)


@pytest.mark.parametrize("name", kernels.available())
@pytest.mark.parametrize("shape", [(4, 32, 32, 28), (32, 64, 64, 17), (64, 33, 40, 12)])
def test_an_odd_pixel_reaches_no_further_than_the_documents_say(shape, name, rng):
    """As `tinynet.conv2d` and docs/kernels.md tell: 4 pixels, a millionth of its products."""
    N, C, O, side = shape
    x, w = normal(rng, N, C, side, side), normal(rng, O, C, 3, 3)
    dy = normal(rng, N, O, side, side)
    before = kernels.current.name
    kernels.use(name)
    try:

        def both(x, dy):
            y = current.conv2d(x, w, None, *SAME)
            return y, current.conv2d_dx(dy, w, (side, side), *SAME)

        usual = both(x, dy)
        for value in (np.nan, np.inf, 1e8):
            odd_x, odd_dy = x.copy(), dy.copy()
            odd_x[1, 0, 7, 7] = odd_dy[1, 0, 7, 7] = value
            with np.errstate(invalid="ignore"):  # inf - inf
                odd = both(odd_x, odd_dy)
            for z, z_usual in zip(odd, usual):
                far = np.ones(z.shape, bool)
                far[1, :, 3:12, 3:12] = False
                np.testing.assert_array_equal(z[far], z_usual[far])
                far[1] = True
                far[1, :, 6:9, 6:9] = False
                if value == 1e8:
                    assert np.abs(z - z_usual)[far].max() <= 1e-6 * value * np.abs(w).max()
                else:
                    assert not np.isfinite(z[1, :, 6:9, 6:9]).any()
    finally:
        kernels.use(before)
