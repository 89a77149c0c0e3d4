"""Metrics on scores."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet.training import Means, accuracy, confusion_matrix, top_k, top_k_accuracy

SCORES = np.array([[3.0, 2, 1], [3, 2, 1], [3, 2, 1], [1, 2, 3]])
LABELS = np.array([0, 1, 2, 2])


def test_accuracy_is_the_share_of_right_first_choices():
    assert accuracy(SCORES, LABELS) == 0.5
    assert accuracy(tinynet.tensor(SCORES), tinynet.tensor(LABELS)) == 0.5
    assert accuracy(np.zeros((0, 3)), np.zeros(0, int)) == 0.0


def test_top_k_widens_until_everything_is_right():
    assert [top_k_accuracy(SCORES, LABELS, k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]
    assert top_k(2)(SCORES, LABELS) == 0.75
    with pytest.raises(ValueError, match="from 1 to the number of classes, 3; got 4"):
        top_k_accuracy(SCORES, LABELS, 4)


def test_confusion_matrix_has_the_true_class_in_rows():
    matrix = confusion_matrix(SCORES, LABELS)
    assert matrix.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1]]
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((200, 7)), rng.integers(0, 7, 200)
    matrix = confusion_matrix(scores, labels)
    assert matrix.trace() / 200 == accuracy(scores, labels)
    assert (matrix.sum(1) == np.bincount(labels, minlength=7)).all()


@pytest.mark.parametrize("metric", [accuracy, top_k(1), confusion_matrix])
def test_metrics_refuse_what_they_cannot_judge(metric):
    with pytest.raises(tinynet.ShapeError, match=r"\(4, 3\) and \(3,\)"):
        metric(SCORES, LABELS[:3])
    with pytest.raises(tinynet.ShapeError, match="scores"):
        metric(SCORES[0], LABELS)
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        metric(SCORES, LABELS.astype(float))
    with pytest.raises(ValueError, match=r"run from 0 to 3, but .* 0 to 2"):
        metric(SCORES, np.array([0, 1, 2, 3]))
    with pytest.raises(TypeError, match=r"takes scores and labels: \w+\(predict\(model, x\), y\)"):
        metric(tinynet.nn.Linear(4, 3), (SCORES, LABELS))


@pytest.mark.parametrize("metric", [accuracy, top_k(1), confusion_matrix])
def test_metrics_leave_out_labels_of_minus_100_and_take_pixels(metric):
    labels = np.array([*LABELS, -100, -100])
    scores = np.concatenate([SCORES, np.full((2, 3), np.nan)])  # what does not count may be NaN
    np.testing.assert_array_equal(metric(scores, labels), metric(SCORES, LABELS))
    pixels = SCORES.T[None, :, :, None]  # (1, K, N, 1)
    np.testing.assert_array_equal(metric(pixels, LABELS[None, :, None]), metric(SCORES, LABELS))


@pytest.mark.parametrize("metric", [accuracy, top_k(1), top_k(3), confusion_matrix])
def test_a_score_that_is_nan_is_neither_right_nor_wrong(metric):
    scores = SCORES.copy()
    scores[1:3, 0] = np.nan
    with pytest.raises(FloatingPointError, match="2 of 4 examples have NaN"):
        metric(scores, LABELS)
    metric(np.where(np.isnan(scores), -np.inf, scores), LABELS)


def test_means_weigh_batches_by_their_size():
    means = Means()
    assert means.values() == {}
    means.add(3, {"loss": 1.0, "accuracy": 0.0})
    means.add(1, {"loss": 5.0, "accuracy": 1.0})
    assert means.values() == {"loss": 2.0, "accuracy": 0.25}
