"""Losses and normalisation agree with PyTorch in value and in every gradient, for every option.

Each row is called by keyword on both sides, in float64, with a random output gradient.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinynet
from tinynet.nn import functional as F

pytest.importorskip("torch")
import torch

rng = np.random.default_rng(8)
REDUCTIONS = ("mean", "sum", "none")
W = np.array([0.5, 2.0, 1.3, 0.8])


def both(name, inputs, settings):
    """[(value, {input: gradient})] of tinynet and of PyTorch; float inputs get gradients.

    Arrays among the settings become tensors without a gradient.
    """
    results = []
    dy = None
    for library, function, make in (
        ("tinynet", getattr(F, name), tinynet.tensor),
        ("torch", getattr(torch.nn.functional, name), torch.tensor),
    ):
        tensors = {k: make(v, requires_grad=v.dtype.kind == "f") for k, v in inputs.items()}
        others = {k: make(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
        y = function(**tensors, **others)
        if dy is None:
            dy = rng.standard_normal(tuple(y.shape))
        y.backward(dy if library == "tinynet" else torch.tensor(dy))
        arrays = {k: t.grad.numpy() for k, t in tensors.items() if t.requires_grad}
        changed = {k: t.numpy() for k, t in others.items() if hasattr(t, "numpy")}
        results.append((y.detach().numpy(), arrays, changed))
    return results


def assert_agree(name, inputs, settings):
    (y, grads, state), (expected_y, expected_grads, expected_state) = both(name, inputs, settings)
    np.testing.assert_allclose(y, expected_y, rtol=1e-8, atol=1e-12)
    assert grads.keys() == expected_grads.keys()
    for key in grads:
        np.testing.assert_allclose(
            grads[key], expected_grads[key], rtol=1e-8, atol=1e-12, err_msg=key
        )
    for key in state:
        np.testing.assert_allclose(state[key], expected_state[key], rtol=1e-8, err_msg=key)


SHAPES = [((4,), ()), ((6, 4), (6,)), ((2, 4, 5), (2, 5)), ((2, 4, 3, 2), (2, 3, 2))]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_cross_entropy_of_labels(shapes, weight, smoothing, reduction):
    x, labels = rng.standard_normal(shapes[0]), rng.integers(0, 4, shapes[1])
    for ignore_index in (-100, int(labels.max())) if labels.min() < labels.max() else (-100,):
        assert_agree(
            "cross_entropy",
            {"input": x, "target": labels},
            {
                "weight": weight,
                "ignore_index": ignore_index,
                "label_smoothing": smoothing,
                "reduction": reduction,
            },
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_cross_entropy_of_probabilities(shapes, weight, smoothing, reduction):
    x, target = rng.standard_normal(shapes[0]), rng.random(shapes[0])
    assert_agree(
        "cross_entropy",
        {"input": x, "target": target},
        {"weight": weight, "label_smoothing": smoothing, "reduction": reduction},
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ignore_index", [-100, -1])
@pytest.mark.parametrize("weight", [None, W])
@pytest.mark.parametrize("shapes", SHAPES[1:], ids=str)
def test_nll_loss(shapes, weight, ignore_index, reduction):
    x, labels = rng.standard_normal(shapes[0]), rng.integers(0, 4, shapes[1])
    labels[0] = labels[0] if ignore_index == -100 else ignore_index
    assert_agree(
        "nll_loss",
        {"input": x, "target": labels},
        {"weight": weight, "ignore_index": ignore_index, "reduction": reduction},
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("smooth_l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.3}),
        ("smooth_l1_loss", {"beta": 0}),
        ("huber_loss", {}),
        ("huber_loss", {"delta": 0.3}),
    ],
)
def test_losses_of_differences(name, settings, reduction):
    x, target = rng.standard_normal((2, 5, 4))
    x[0] = target[0]  # the kink, or the flat point
    assert_agree(name, {"input": x, "target": target}, {"reduction": reduction, **settings})


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, W, rng.random((5, 1))])
@pytest.mark.parametrize("pos_weight", [None, W])
def test_binary_cross_entropy_with_logits(pos_weight, weight, reduction):
    x, target = rng.standard_normal((5, 4)) * 5, rng.random((5, 4))
    assert_agree(
        "binary_cross_entropy_with_logits",
        {"input": x, "target": target},
        {"weight": weight, "pos_weight": pos_weight, "reduction": reduction},
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, W])
def test_binary_cross_entropy(weight, reduction):
    assert_agree(
        "binary_cross_entropy",
        {"input": rng.uniform(0.01, 0.99, (5, 4)), "target": rng.random((5, 4))},
        {"weight": weight, "reduction": reduction},
    )


def test_binary_cross_entropy_at_certainty():
    settings = {"target": np.array([1.0, 0.0, 0.0, 1.0])}
    assert_agree("binary_cross_entropy", {"input": np.array([0.0, 1.0, 0.0, 1.0])}, settings)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("training", "momentum", "eps"), [(True, 0.1, 1e-5), (True, 0.7, 0.1), (False, 0.1, 1e-3)]
)
@pytest.mark.parametrize("affine", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5), (3, 4, 2, 5)], ids=str)
def test_batch_norm(shape, affine, training, momentum, eps, order):
    inputs = {"input": np.asarray(rng.standard_normal(shape) * 2 + 1, order=order)}
    for name, there in zip(("weight", "bias"), affine):
        if there:
            inputs[name] = rng.standard_normal(4)
    settings = {
        "running_mean": rng.standard_normal(4),
        "running_var": rng.uniform(0.5, 2, 4),
        "training": training,
        "momentum": momentum,
        "eps": eps,
    }
    assert_agree("batch_norm", inputs, settings)


@pytest.mark.parametrize("sizes", [(4,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("affine", list(itertools.product([True, False], repeat=2)))
def test_layer_norm(affine, sizes):
    inputs = {"input": rng.standard_normal((5, 2, 3, 4)) * 2 + 1}
    for name, there in zip(("weight", "bias"), affine):
        if there:
            inputs[name] = rng.standard_normal(sizes)
    assert_agree("layer_norm", inputs, {"normalized_shape": sizes, "eps": 1e-3})


@pytest.mark.parametrize("size", [1e2, 1e4])
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy_with_logits"])
def test_large_float32_logits(name, size):
    x = (rng.standard_normal((6, 4)) * size).astype(np.float32)
    target = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    (y, grads, _), (expected_y, expected_grads, _) = both(
        name, {"input": x, "target": target}, {"reduction": "none"}
    )
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    np.testing.assert_allclose(y, expected_y, rtol=1e-6, atol=1e-6)
    for key in grads:
        np.testing.assert_allclose(grads[key], expected_grads[key], rtol=1e-6, atol=1e-6)


PLUS_MINUS = np.where(rng.random((5, 4)) > 0.5, 1.0, -1.0)
NUMBERS = rng.standard_normal((3, 5, 4))
TRIPLET = dict(zip(("anchor", "positive", "negative"), NUMBERS))
PAIR = {"input1": NUMBERS[0], "input2": NUMBERS[1]}
DIRICHLET = rng.dirichlet(np.ones(4), 5)
COMPOSED = [
    ("kl_div", {"input": np.log(DIRICHLET), "target": DIRICHLET[::-1].copy()}, {}, ("batchmean",)),
    ("kl_div", {"input": NUMBERS[0], "target": NUMBERS[1]}, {"log_target": True}, ()),
    ("poisson_nll_loss", {"input": NUMBERS[0], "target": NUMBERS[1] ** 2}, {}, ()),
    ("poisson_nll_loss", {"input": NUMBERS[0] ** 2, "target": NUMBERS[1] ** 2 * 3},
     {"log_input": False, "full": True, "eps": 1e-3}, ()),
    *[
        ("gaussian_nll_loss", {"input": NUMBERS[0], "target": NUMBERS[1], "var": var},
         {"full": True, "eps": 0.2}, ())
        for var in (rng.random((5, 4)), rng.random((5, 1)), rng.random(5))
    ],
    ("cosine_embedding_loss", PAIR, {"target": PLUS_MINUS[:, 0], "margin": -0.2}, ()),
    ("margin_ranking_loss", PAIR, {"target": PLUS_MINUS, "margin": 0.3}, ()),
    ("hinge_embedding_loss", {"input": NUMBERS[0]}, {"target": PLUS_MINUS, "margin": 0.7}, ()),
    ("soft_margin_loss", {"input": NUMBERS[0]}, {"target": PLUS_MINUS}, ()),
    ("multilabel_soft_margin_loss", {"input": NUMBERS[0], "target": rng.random((5, 4))}, {}, ()),
    ("multilabel_margin_loss", {"input": NUMBERS[0]},
     {"target": np.arange(20).reshape(5, 4) % 5 - 1}, ()),
    ("multilabel_soft_margin_loss", {"input": NUMBERS[0], "target": rng.random((5, 4))},
     {"weight": W}, ()),
    ("multi_margin_loss", {"input": NUMBERS[0]}, {"target": np.arange(5) % 4}, ()),
    ("multi_margin_loss", {"input": NUMBERS[0]},
     {"target": np.arange(5) % 4, "p": 2, "margin": 0.5, "weight": W}, ()),
    ("triplet_margin_loss", TRIPLET, {}, ()),
    ("triplet_margin_with_distance_loss", TRIPLET, {"margin": 2.0, "swap": True}, ()),
    ("triplet_margin_loss", TRIPLET, {"p": 3, "margin": 2.0, "swap": True}, ()),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize(
    ("name", "inputs", "settings", "more"), COMPOSED, ids=[row[0] for row in COMPOSED]
)
def test_losses_that_are_compositions(name, inputs, settings, more):
    for reduction in (*REDUCTIONS, *more):
        assert_agree(name, inputs, {"reduction": reduction, **settings})


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("group_norm", (3, 6, 2, 5), {"num_groups": 3}),
        ("group_norm", (3, 6), {"num_groups": 2, "eps": 1e-3}),
        ("instance_norm", (3, 6, 5), {}),
        ("instance_norm", (3, 6, 2, 5), {"momentum": 0.3, "running": True}),
        ("instance_norm", (3, 6, 2, 5), {"use_input_stats": False, "running": True}),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_norms_that_are_compositions(name, shape, settings, affine):
    inputs = {"input": rng.standard_normal(shape) * 2 + 1}
    if affine:
        inputs |= {"weight": rng.standard_normal(6), "bias": rng.standard_normal(6)}
    settings = dict(settings)
    if settings.pop("running", False):
        settings |= {"running_mean": rng.standard_normal(6), "running_var": rng.random(6) + 0.5}
    assert_agree(name, inputs, settings)


@pytest.mark.parametrize("sizes", [(4,), (3, 4)])
@pytest.mark.parametrize("eps", [None, 1e-3])
def test_rms_norm(sizes, eps):
    inputs = {"input": rng.standard_normal((5, 3, 4)), "weight": rng.standard_normal(sizes)}
    assert_agree("rms_norm", inputs, {"normalized_shape": sizes, "eps": eps})


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 3, 4), (2, 5, 2, 3, 2)])
@pytest.mark.parametrize(
    "settings", [{"size": 2}, {"size": 3, "alpha": 0.5, "beta": 0.3, "k": 2.0}]
)
def test_local_response_norm(shape, settings):
    assert_agree("local_response_norm", {"input": rng.standard_normal(shape)}, settings)
