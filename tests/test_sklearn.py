"""The estimators of `tinynet.sklearn`: scikit-learn's own checks, and what images need besides."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tinynet import nn
from tinynet.sklearn import CNNClassifier, CNNRegressor

DIGITS = load_digits()
IMAGES = DIGITS.images.astype(np.float32)  # (1797, 8, 8), 0 to 16
NAMES = np.array([f"digit {k}" for k in range(10)])
X, X_TEST, Y, Y_TEST = train_test_split(
    IMAGES, DIGITS.target, stratify=DIGITS.target, random_state=0
)
FEW, LABELS = X[:40], Y[:40]


@pytest.mark.filterwarnings("default:fit. every label is")
@parametrize_with_checks([CNNClassifier(epochs=8), CNNRegressor(epochs=25)])
def test_scikit_learn_finds_no_fault(estimator, check):
    """With as few epochs as what its checks ask to be learned takes."""
    check(estimator)


def test_the_defaults_learn_the_digits():
    assert CNNClassifier(random_state=0).fit(X, Y).score(X_TEST, Y_TEST) >= 0.97


def test_a_regression_learns_numbers_of_any_scale_one_or_several():
    ink = X.mean((1, 2))
    both = np.stack([1e6 * ink, 5 - ink], 1)  # (N, 2)
    for y in (both[:, 0], both):
        model = CNNRegressor(epochs=10, random_state=0).fit(X, y)
        assert model.predict(X_TEST).shape == (len(X_TEST), *y.shape[1:])
        assert model.score(X, y) > 0.95


@pytest.mark.parametrize(
    ("images", "image_shape"),
    [
        (FEW[:, None], None),
        (FEW.reshape(40, 64), (8, 8)),
        (FEW.reshape(40, 64), (1, 8, 8)),
        (FEW.astype(np.uint8), None),
        (FEW.tolist(), None),
        (list(FEW), None),
        (np.asfortranarray(FEW), None),
    ],
)
def test_images_of_any_form_are_the_same_images(images, image_shape):
    usual = CNNClassifier(epochs=1, random_state=0).fit(FEW, LABELS).predict_proba(FEW)
    model = CNNClassifier(epochs=1, random_state=0, image_shape=image_shape).fit(images, LABELS)
    np.testing.assert_allclose(model.predict_proba(images), usual, atol=1e-5)
    assert model.image_shape_ == (1, 8, 8)
    assert model.n_features_in_ == 64


@pytest.mark.parametrize("shape", [(40, 5), (40, 1), (40, 3, 1, 9), (40, 28, 28), (40, 3, 33, 20)])
def test_images_of_any_size_are_taken(shape):
    images = np.random.default_rng(0).normal(size=shape)
    assert CNNClassifier(epochs=1).fit(images, LABELS).predict_proba(images).shape == (40, 10)


class Net(nn.Module):
    def __init__(self, num_classes, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, width), nn.Linear(width, num_classes)
        )

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize(
    "model", ["digits_cnn", Net, Net(10), lambda num_classes: Net(num_classes)]
)
def test_a_model_is_a_name_a_class_a_function_or_a_module(model):
    estimator = CNNClassifier(model, epochs=1, random_state=0)
    first = estimator.fit(FEW, LABELS).predict_proba(FEW)
    if isinstance(model, nn.Module):
        assert estimator.model_ is not model
        np.testing.assert_array_equal(model.layers[1].bias, clone(estimator).model.layers[1].bias)
    np.testing.assert_array_equal(estimator.fit(FEW, LABELS).predict_proba(FEW), first)


@pytest.mark.parametrize(
    "labels", [NAMES[LABELS], NAMES[LABELS].astype(object), LABELS - 5, LABELS > 4, LABELS * 1.0]
)
def test_classes_are_of_any_type(labels):
    model = CNNClassifier(epochs=40, random_state=0).fit(FEW, labels)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert model.predict(FEW).dtype == model.classes_.dtype
    assert model.score(FEW, labels) > 0.9


def test_a_weight_counts_an_example_so_often():
    weights = np.random.default_rng(0).integers(0, 3, 40)
    images, seen = FEW.astype(np.float64), weights > 0
    options = {"epochs": 20, "batch_size": 100, "random_state": 0}
    weighted = CNNClassifier(**options).fit(images, LABELS, weights / 2)
    repeated = CNNClassifier(**options).fit(images.repeat(weights, 0), LABELS.repeat(weights))
    np.testing.assert_allclose(
        weighted.predict_proba(images[seen]), repeated.predict_proba(images[seen]), rtol=1e-7
    )


def test_partial_fit_goes_on_also_after_a_pickle_and_after_fit():
    model = CNNClassifier(random_state=0).partial_fit(X[:64], Y[:64] % 5, classes=range(10))
    assert model.predict_proba(FEW).shape == (40, 10)
    twin = pickle.loads(pickle.dumps(model))
    for part in (model, twin):
        for _ in range(4):
            part.partial_fit(X, Y)
        assert part.score(X_TEST, Y_TEST) > 0.9
    np.testing.assert_array_equal(twin.predict_proba(FEW), model.predict_proba(FEW))
    assert model.fit(FEW, LABELS).partial_fit(FEW, LABELS).predict(FEW).shape == (40,)


def test_pipelines_searches_and_cross_validation_take_it():
    flat, labels = IMAGES[:200].reshape(200, 64), DIGITS.target[:200]
    network = CNNClassifier(epochs=20, lr=4e-3, image_shape=(8, 8), random_state=0)
    model = make_pipeline(StandardScaler(), network)
    grid = {"cnnclassifier__model": [None, Net]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(flat, labels)
    assert search.best_params_["cnnclassifier__model"] is None
    assert cross_val_score(model, flat, labels, cv=2).mean() > 0.7


def test_options_of_fit_go_with_it_and_the_users_chance_is_left_alone(capsys):
    import tinynet

    tinynet.manual_seed(3)
    before = tinynet.rand(1)
    tinynet.manual_seed(3)
    CNNClassifier(epochs=2, fit_options={"progress": None, "metrics": ["accuracy"]}).fit(
        FEW, LABELS
    )
    np.testing.assert_array_equal(tinynet.rand(1), before)
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "images", "labels", "weights", "told"),
    [
        ({}, FEW.reshape(40, 8, 8, 1).repeat(3, 3), LABELS, None, r"X.transpose\(0, 3, 1, 2\)"),
        ({"image_shape": (9, 9)}, FEW.reshape(40, 64), LABELS, None, r"\(64,\) .* \(1, 9, 9\)"),
        ({"image_shape": (8, 8)}, FEW[:, :, :4], LABELS, None, r"\(8, 4\) for images of \(1, 8, 8"),
        ({}, FEW[:, None, None], LABELS, None, r"\(1, 1, 8, 8\)"),
        ({}, FEW, LABELS, -np.ones(40), "zero or more, and not all are zero; they run from -1 to"),
        ({}, FEW, LABELS, np.ones(39), r"\[40, 39\]"),
        ({"model": Net(7)}, FEW, LABELS, None, r"gives \(1, 7\) for one image .* be \(1, 10\)"),
        ({"model": "lenet"}, FEW, LABELS, None, "did you mean 'lenet5'"),
        ({"optimizer": "sdg"}, FEW, LABELS, None, "did you mean 'sgd'"),
        (
            {},
            np.zeros((40, 16, 16, 3)),
            LABELS,
            None,
            r"\(16, 16, 3\) for images, the channels last",
        ),
        ({}, FEW[:0], LABELS[:0], None, r"Found array with 0 sample\(s\)"),
        ({"image_shape": 64}, FEW.reshape(40, 64), LABELS, None, r"\(C, H, W\) or .*got 64"),
        ({"image_shape": (1, 1, 8, 8)}, FEW, LABELS, None, r"got \(1, 1, 8, 8\)"),
        ({"image_shape": (-8, -8)}, FEW, LABELS, None, "at least 1, got -8"),
        ({"batch_size": 0}, FEW, LABELS, None, "batch_size must be at least 1, got 0"),
        ({"batch_size": 0, "epochs": None}, FEW, LABELS, None, "batch_size .* at least 1, got 0"),
        *(
            ({"fit_options": options}, FEW, LABELS, None, f"beside model, .*; got {told}")
            for options, told in (
                (3, "3"),
                ({"epochs": 3}, "'epochs'"),
                ({"lr": 1}, "'lr'"),
                ({"optimizer": "sgd"}, "'optimizer'"),
                ({"train": 1}, "'train'"),
                ({"model": 1}, "'model'"),
            )
        ),
    ],
)
def test_wrong_arguments_are_named_with_the_cure(settings, images, labels, weights, told):
    with pytest.raises(ValueError, match=told):
        CNNClassifier(**{"epochs": 1, **settings}).fit(images, labels, weights)


@pytest.mark.parametrize("model", [3, lambda: 3])
def test_what_makes_no_model_is_named(model):
    with pytest.raises(TypeError, match=r"a Module, a name, .* got 3"):
        CNNClassifier(model).fit(FEW, LABELS)


def test_a_regression_is_of_numbers():
    with pytest.raises(ValueError, match=r"y must be of numbers, got .*'3'"):
        CNNRegressor().fit(FEW, ["3"] * 40)


@pytest.mark.filterwarnings("ignore:fit. validation is on training data")
@pytest.mark.parametrize(("weight", "form"), [(None, (8, 8)), (np.ones(40), (64,))])
@pytest.mark.filterwarnings("ignore:fit")
def test_images_for_validation_are_treated_as_those_of_the_training(weight, form, capsys):
    images, labels = 1000 * FEW + 500, NAMES[LABELS]
    others = np.concatenate([images, images]).reshape(80, *form), np.tile(labels, 2)
    options = {"validate": others, "progress": None}
    CNNClassifier(epochs=1, lr=0, fit_options=options).fit(images, labels, weight)
    assert re.search(r"loss (\S+)  validation \1 ", capsys.readouterr().out)


def test_all_classes_are_told_first_and_stay():
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        CNNClassifier().partial_fit(FEW, LABELS)
    model = CNNClassifier().partial_fit(FEW, LABELS, classes=range(10))
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(FEW, LABELS, classes=range(11))
    np.testing.assert_allclose(
        np.exp(model.predict_log_proba(FEW)), model.predict_proba(FEW), rtol=1e-5
    )


def test_a_class_that_comes_later_is_named():
    model = CNNClassifier().partial_fit(FEW, LABELS % 3, classes=range(3))
    with pytest.raises(ValueError, match=re.escape("[9] in y is none of the classes [0, 1, 2]")):
        model.partial_fit(FEW[:2], [1, 9])


def test_without_scikit_learn_the_error_names_the_extra_and_nothing_else_misses_it():
    code = """
import sys
sys.modules["sklearn"] = None
import inspect, tinynet
inspect.getmembers(tinynet)
try:
    tinynet.sklearn
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == (
        'tinynet.sklearn needs scikit-learn: pip install "tinynet-cnn[sklearn]"\n'
    ), done.stderr
