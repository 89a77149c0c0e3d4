"""Functions that make tensors: from data, filled with a number, at random."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tinynet
from tinynet import Tensor
from tinynet.random import default_rng


def test_tensor_copies_and_keeps_the_dtype_of_arrays():
    for dtype in (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_):
        array = np.ones((2, 3), dtype)
        t = tinynet.tensor(array)
        assert t.dtype == dtype
        assert not np.shares_memory(t.array, array)


def test_python_numbers_become_the_default_dtypes():
    assert tinynet.tensor(1.5).dtype == np.float32
    assert tinynet.tensor([[1.0, 2], [3, 4]]).dtype == np.float32
    assert tinynet.tensor([]).dtype == np.float32
    assert tinynet.tensor(np.float64(1.5)).dtype == np.float64  # as of an array
    assert tinynet.tensor([1, 2]).dtype == np.int64
    assert tinynet.tensor([True]).dtype == np.bool_
    assert tinynet.tensor([1, 2], dtype=tinynet.float64).dtype == np.float64


def test_tensor_takes_tensors_and_lists_of_them():
    a = tinynet.tensor([1.0, 2.0])
    assert not np.shares_memory(tinynet.tensor(a).array, a.array)
    assert tinynet.tensor([a, a * 2]).tolist() == [[1, 2], [2, 4]]
    assert tinynet.tensor([[a[0], 5.0], [a[1], 6.0]]).tolist() == [[1, 5], [2, 6]]


def test_from_numpy_shares_memory():
    array = np.zeros(2, np.float32)
    tinynet.from_numpy(array).fill_(3)
    assert array.tolist() == [3, 3]


@pytest.mark.parametrize(("make", "value"), [(tinynet.zeros, 0), (tinynet.ones, 1)])
def test_zeros_and_ones(make, value):
    for t in (make(2, 3), make((2, 3)), make([2, 3])):
        assert t.tolist() == [[value] * 3] * 2
        assert t.dtype == np.float32
    assert make().shape == make(()).shape == ()
    assert make(np.int64(2)).shape == (2,)
    assert make(2, dtype=np.int64).dtype == np.int64
    assert make(2, dtype=np.float64, requires_grad=True).requires_grad
    with pytest.raises(TypeError, match="made of ints"):
        make(2.5)


def test_full_takes_the_shape_and_then_the_number():
    assert tinynet.full((2, 3), 7).tolist() == [[7] * 3] * 2
    assert tinynet.full(2, fill_value=1.5).tolist() == [1.5, 1.5]
    assert tinynet.full((), 2.0).shape == ()
    dtypes = [tinynet.full((1,), value).dtype for value in (7, 7.0, True)]
    assert dtypes == [np.int64, np.float32, np.bool_]
    assert tinynet.full((1,), 7, dtype=np.float64).dtype == np.float64


def test_the_likes_take_over_shape_dtype_and_memory_order():
    x = Tensor(np.asfortranarray(np.ones((2, 3))))
    for make, value in [
        (tinynet.zeros_like, 0),
        (tinynet.ones_like, 1),
        (lambda like, **kw: tinynet.full_like(like, 5, **kw), 5),
    ]:
        t = make(x)
        assert t.tolist() == [[value] * 3] * 2
        assert t.dtype == np.float64
        assert t.array.flags.f_contiguous
        assert make(x.array).shape == (2, 3)
        assert make(x, dtype=np.int64).dtype == np.int64
        assert make(x, requires_grad=True).requires_grad


def test_ranges():
    assert tinynet.arange(3).tolist() == [0, 1, 2]
    assert tinynet.arange(3).dtype == np.int64
    assert tinynet.arange(5, 1, -2).tolist() == [5, 3]
    assert tinynet.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tinynet.arange(2.0).dtype == np.float32
    assert tinynet.arange(2, dtype=np.float64).dtype == np.float64
    assert tinynet.arange(3.0, requires_grad=True).requires_grad
    assert tinynet.arange(3, 3).shape == (0,)
    with pytest.raises(ValueError, match="step"):
        tinynet.arange(0, 1, 0)
    assert tinynet.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert tinynet.linspace(0, 1, 3).dtype == np.float32
    assert tinynet.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert tinynet.eye(2).dtype == np.float32


def test_manual_seed_repeats_the_numbers():
    drawn = []
    for _ in range(2):
        tinynet.manual_seed(3)
        drawn.append(
            [
                tinynet.randn(2, 3).tolist(),
                tinynet.rand((2,)).tolist(),
                tinynet.randint(0, 9, (4,)).tolist(),
                tinynet.randperm(5).tolist(),
            ]
        )
    assert drawn[0] == drawn[1]
    assert tinynet.randn(2, 3).tolist() != drawn[0][0]
    with pytest.raises(ValueError, match="at least 0, got -1"):
        tinynet.manual_seed(-1)


def test_an_explicit_generator_leaves_the_default_alone():
    tinynet.manual_seed(3)
    expected = tinynet.randn(2).tolist()
    tinynet.manual_seed(3)
    rng = np.random.default_rng(8)
    tinynet.randn(2, rng=rng)
    tinynet.rand(2, rng=rng)
    tinynet.randint(0, 5, 2, rng=rng)
    tinynet.randperm(5, rng=rng)
    assert tinynet.randn(2).tolist() == expected
    same = np.random.default_rng(8)
    assert tinynet.randn(2, rng=same).tolist() == pytest.approx(
        np.random.default_rng(8).standard_normal(2).tolist(), rel=1e-6
    )


def test_random_numbers_have_the_distribution_they_claim():
    rng = np.random.default_rng(0)
    normal, uniform = tinynet.randn(20_000, rng=rng).array, tinynet.rand(20_000, rng=rng).array
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert set(tinynet.randint(2, 5, (200,), rng=rng).tolist()) == {2, 3, 4}
    assert sorted(tinynet.randperm(50, rng=rng).tolist()) == list(range(50))


def test_random_dtypes():
    for make in (tinynet.randn, tinynet.rand):
        assert make(2).dtype == np.float32
        x = make(2, 2, dtype=np.float64, requires_grad=True)
        assert x.dtype == np.float64
        assert x.requires_grad
        assert not (x.detach() == x.detach().float().double()).any()  # all 53 bits are drawn
    assert tinynet.randint(0, 2, (3, 2)).dtype == np.int64
    assert tinynet.randint(0, 200, 3, dtype=np.uint8).dtype == np.uint8


def test_each_thread_has_a_generator_of_its_own():
    tinynet.manual_seed(5)
    mine, seen = default_rng(), []

    def work():
        tinynet.manual_seed(5)
        seen.append((default_rng(), tinynet.randn(2).tolist()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[0][0] is not mine
    assert default_rng() is mine
    assert tinynet.randn(2).tolist() == seen[0][1]
