"""The losses against their definitions, at extremes, and in every reduction."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinynet
from tinynet.gradcheck import gradcheck
from tinynet.nn import functional as F

rng = np.random.default_rng(3)
LABELS = np.array([2, 0, 1, 1, 2])


def leaf(x, dtype=np.float64):
    return tinynet.Tensor(np.asarray(x), dtype=dtype, requires_grad=True)


def log_softmax(row):
    total = sum(math.exp(v) for v in row)
    return [v - math.log(total) for v in row]


def defined(x, labels, w, ignore_index, smoothing):
    """Cross entropy label by label, as the formula reads; returns the losses and the weights."""
    losses, weights = [], []
    for row, label in zip(x, labels):
        if label == ignore_index:
            losses.append(0.0)
            weights.append(0.0)
            continue
        log_p = log_softmax(row)
        C = len(row)
        losses.append(
            -sum(
                w[c] * ((1 - smoothing) * (c == label) + smoothing / C) * log_p[c] for c in range(C)
            )
        )
        weights.append(w[label])
    return np.array(losses), np.array(weights)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore_index", [-100, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_its_definition(weighted, ignore_index, smoothing):
    x = rng.standard_normal((5, 3))
    w = np.array([0.5, 2.0, 1.3])
    losses, weights = defined(x, LABELS, w if weighted else np.ones(3), ignore_index, smoothing)
    expected = {
        "none": losses,
        "sum": losses.sum(),
        "mean": losses.sum() / weights.sum(),
    }
    for reduction, value in expected.items():
        y = F.cross_entropy(
            x,
            LABELS,
            w if weighted else None,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=smoothing,
        )
        np.testing.assert_allclose(y.numpy(), value, rtol=1e-12)


def test_gradient_of_cross_entropy_is_softmax_minus_onehot_over_n():
    x = leaf(rng.standard_normal((5, 3)))
    F.cross_entropy(x, LABELS).backward()
    softmax = np.array([[math.exp(v) for v in log_softmax(row)] for row in x.numpy()])
    np.testing.assert_allclose(x.grad.numpy(), (softmax - np.eye(3)[LABELS]) / 5, atol=1e-15)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_cross_entropy_of_images_is_that_of_their_pixels(shape):
    x = rng.standard_normal((2, 5, *shape))
    labels = rng.integers(0, 5, (2, *shape))
    pixels = np.moveaxis(x, 1, -1).reshape(-1, 5)
    images, rows = leaf(x), leaf(pixels)
    w = rng.uniform(0.5, 2, 5)
    y, expected = F.cross_entropy(images, labels, w), F.cross_entropy(rows, labels.ravel(), w)
    assert y.item() == pytest.approx(expected.item(), rel=1e-12)
    y.backward()
    expected.backward()
    np.testing.assert_allclose(
        np.moveaxis(images.grad.numpy(), 1, -1).reshape(-1, 5), rows.grad.numpy(), atol=1e-15
    )


def test_a_single_example_needs_no_batch_axis():
    x = rng.standard_normal((1, 4))
    for loss in (F.cross_entropy, F.nll_loss):
        assert loss(x[0], np.array(2)).item() == pytest.approx(loss(x, np.array([2])).item())


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_labels_may_be_any_integers(dtype):
    x = rng.standard_normal((5, 3))
    assert F.cross_entropy(x, LABELS.astype(dtype)).item() == F.cross_entropy(x, LABELS).item()


def test_labels_may_be_a_tensor_given_by_keyword():
    x = rng.standard_normal((5, 3))
    y = F.cross_entropy(input=leaf(x), target=tinynet.tensor(LABELS), weight=tinynet.ones(3))
    assert y.requires_grad
    assert y.item() == F.cross_entropy(x, LABELS).item()


def test_memory_order_of_the_logits_changes_neither_value_nor_gradient():
    x = rng.standard_normal((5, 3))
    grads = []
    for order in "CF":
        t = leaf(np.asarray(x, order=order))
        F.cross_entropy(t, LABELS).backward()
        grads.append(t.grad.numpy())
    np.testing.assert_allclose(grads[0], grads[1], atol=1e-16)
    assert grads[1].flags.f_contiguous


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_onehot_probabilities_give_what_labels_give(smoothing):
    x = rng.standard_normal((5, 3))
    soft = F.cross_entropy(x, np.eye(3)[LABELS], label_smoothing=smoothing)
    hard = F.cross_entropy(x, LABELS, label_smoothing=smoothing)
    assert soft.item() == pytest.approx(hard.item(), rel=1e-12)


def test_nll_loss_of_log_softmax_is_cross_entropy():
    w = np.array([0.5, 2.0, 1.3])
    for reduction in ("mean", "sum", "none"):
        x = leaf(rng.standard_normal((5, 3)))
        z = leaf(x.numpy())
        y = F.cross_entropy(x, LABELS, w, ignore_index=0, reduction=reduction)
        t = F.nll_loss(F.log_softmax(z, 1), LABELS, w, ignore_index=0, reduction=reduction)
        np.testing.assert_allclose(y.numpy(), t.numpy(), rtol=1e-12)
        dy = np.ones(y.shape)
        y.backward(dy)
        t.backward(dy)
        np.testing.assert_allclose(x.grad.numpy(), z.grad.numpy(), atol=1e-15)


def test_ignored_labels_get_no_loss_and_no_gradient():
    x = leaf(rng.standard_normal((5, 3)))
    y = F.cross_entropy(x, np.array([2, -1, 1, -1, 0]), ignore_index=-1, reduction="none")
    assert (y.numpy() == 0).tolist() == [False, True, False, True, False]
    y.backward(np.ones(5))
    assert (x.grad.numpy() == 0).all(axis=1).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("size", [1e4, 3e38])
def test_cross_entropy_of_huge_float32_logits_is_exact(size):
    x = leaf([[size, 0.0], [size, 0.0], [-size, 0.0]], np.float32)
    y = F.cross_entropy(x, np.array([0, 1, 1]), reduction="none")
    assert y.dtype == np.float32
    assert y.numpy().tolist() == [0.0, float(np.float32(size)), 0.0]
    y.backward(np.ones(3))
    assert x.grad.numpy().tolist() == [[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]]


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_binary_cross_entropy_of_huge_float32_logits_is_exact(size):
    x = leaf([size, size, -size, -size], np.float32)
    y = F.binary_cross_entropy_with_logits(x, np.float32([1, 0, 1, 0]), reduction="none")
    big = float(np.float32(size))
    assert y.numpy().tolist() == [0.0, big, big, 0.0]
    y.backward(np.ones(4))
    assert x.grad.numpy().tolist() == [0.0, 1.0, -1.0, 0.0]


def test_a_label_of_probability_zero_costs_infinity():
    x = np.array([[-np.inf, 0.0], [0.0, 0.0]])
    assert F.cross_entropy(x, np.array([0, 1])).item() == np.inf
    assert F.cross_entropy(x, np.array([1, 1])).item() == pytest.approx(math.log(2) / 2)


def test_elementwise_losses_are_their_definitions():
    x, t = np.array([0.0, 2.0, -3.0]), np.array([0.5, -1.0, -3.0])
    expected = {
        F.mse_loss: [0.25, 9.0, 0.0],
        F.l1_loss: [0.5, 3.0, 0.0],
        F.smooth_l1_loss: [0.125, 2.5, 0.0],
        F.huber_loss: [0.125, 2.5, 0.0],
    }
    for loss, values in expected.items():
        assert loss(x, t, reduction="none").tolist() == values
        assert loss(x, t, reduction="sum").item() == sum(values)
        assert loss(x, t).item() == pytest.approx(sum(values) / 3)


def test_gradients_at_kinks_are_zero_for_l1_and_continuous_for_smooth_l1():
    x = leaf([1.0, 1.5, 1.5 + 1e-9])
    target = np.array([1.0, 1.0, 1.0])
    F.l1_loss(x, target, reduction="sum").backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]
    x.zero_grad()
    F.smooth_l1_loss(x, target, reduction="sum", beta=0.5).backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0]
    y = F.smooth_l1_loss(x, target, reduction="none", beta=0.5)
    np.testing.assert_allclose(y.numpy(), [0, 0.25, 0.25], atol=2e-9)


def test_smooth_l1_with_beta_zero_is_l1_and_huber_is_delta_times_smooth_l1():
    x, t = rng.standard_normal(20), rng.standard_normal(20)
    assert F.smooth_l1_loss(x, t, beta=0).item() == F.l1_loss(x, t).item()
    assert F.huber_loss(x, t, delta=0.4).item() == pytest.approx(
        0.4 * F.smooth_l1_loss(x, t, beta=0.4).item()
    )


def test_binary_cross_entropy_from_probabilities_and_from_logits_agree():
    x, t, w = rng.standard_normal((4, 3)), rng.random((4, 3)), rng.uniform(0.5, 2, 3)
    logits, again = leaf(x), leaf(x)
    y = F.binary_cross_entropy_with_logits(logits, t, w)
    z = F.binary_cross_entropy(F.sigmoid(again), t, w)
    assert y.item() == pytest.approx(z.item(), rel=1e-12)
    y.backward()
    z.backward()
    np.testing.assert_allclose(logits.grad.numpy(), again.grad.numpy(), atol=1e-14)


def test_a_certain_wrong_answer_costs_100_in_binary_cross_entropy():
    y = F.binary_cross_entropy(
        np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), reduction="none"
    )
    assert y.tolist() == [100.0, 100.0, 0.0]


def test_integer_targets_of_elementwise_losses_do_not_promote():
    y = F.mse_loss(np.zeros(3, np.float32), np.array([1, 2, 3]))
    assert y.dtype == np.float32
    assert y.item() == pytest.approx(14 / 3)


LOSSES = [
    (F.cross_entropy, (0, 3), np.zeros(0, int)),
    (F.cross_entropy, (0, 3), np.zeros((0, 3))),
    (F.nll_loss, (0, 3, 2), np.zeros((0, 2), int)),
    *[
        (loss, (0, 3), np.zeros((0, 3)))
        for loss in (
            F.mse_loss,
            F.l1_loss,
            F.smooth_l1_loss,
            F.huber_loss,
            F.binary_cross_entropy,
            F.binary_cross_entropy_with_logits,
        )
    ],
]


@pytest.mark.parametrize(("loss", "shape", "target"), LOSSES)
def test_empty_batches_flow_through_sum_and_none(loss, shape, target):
    x = leaf(np.zeros(shape))
    assert loss(x, target, reduction="none").numel() == 0
    y = loss(x, target, reduction="sum")
    y.backward()
    assert y.item() == 0
    assert x.grad.shape == shape


OPTIONS = [
    {"weight": np.array([0.5, 2.0, 1.3])},
    {"ignore_index": 1},
    {"label_smoothing": 0.3, "ignore_index": 1, "weight": np.array([0.5, 2.0, 1.3])},
]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_of_cross_entropy_agree_with_differences(options, reduction):
    def loss(x):
        return F.cross_entropy(x, LABELS, reduction=reduction, **options)

    gradcheck(loss, rng.standard_normal((5, 3))).raise_for_failures()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [OPTIONS[0], {"label_smoothing": 0.3}])
def test_gradients_reach_logits_and_probabilities(options, reduction):
    def loss(x, target):
        return F.cross_entropy(x, target, reduction=reduction, **options)

    inputs = (rng.standard_normal((2, 3, 4)), rng.random((2, 3, 4)))
    report = gradcheck(loss, inputs)
    report.raise_for_failures()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("pos_weight", [None, np.array([0.5, 2.0, 1.3])])
def test_gradients_of_binary_losses_reach_input_and_target(pos_weight, reduction):
    def from_logits(x, target):
        return F.binary_cross_entropy_with_logits(
            x, target, reduction=reduction, pos_weight=pos_weight
        )

    def from_probabilities(x, target):
        return F.binary_cross_entropy(x, target, pos_weight, reduction=reduction)

    t = rng.random((4, 3))
    gradcheck(from_logits, (rng.standard_normal((4, 3)), t)).raise_for_failures()
    gradcheck(from_probabilities, (rng.uniform(0.1, 0.9, (4, 3)), t)).raise_for_failures()
