"""`tinynet.nn.functional` has PyTorch's names, arguments, values and gradients."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet.nn import functional as F

pytest.importorskip("torch")
import torch

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same'"),
    pytest.mark.filterwarnings("ignore:.*upsample.* is deprecated"),
]
rng = np.random.default_rng(9)
NAMES = sorted(name for name in F.__all__ if inspect.isfunction(getattr(F, name)))
OLD = ("size_average", "reduce")  # what PyTorch has behind them is given by name here
LEFT_OUT = {"_stacklevel", "dtype", "out", "antialias", "axis", "rng", *OLD}


def torch_parameters(name):
    """The parameters of PyTorch's function and their defaults, as text."""
    plain = hasattr(torch.nn.functional, f"_{name}")  # without return_indices there are two
    function = getattr(torch.nn.functional, f"_{name}" if plain else name)
    try:
        found = inspect.signature(function).parameters.values()
        return [(p.name, p.default) for p in found]
    except ValueError:  # built in: its documentation begins with the signature
        text = re.search(r"\((.*?)\)", function.__doc__).group(1)
        parts = [part.strip().partition("=") for part in text.split(",")]
        return [
            (name.strip(), eval(default) if equal else inspect.Parameter.empty)
            for name, equal, default in parts
        ]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "upsample"])  # interpolate
def test_arguments_have_pytorchs_names_order_and_defaults(name):
    found = inspect.signature(getattr(F, name)).parameters.values()
    ours = [p for p in found if p.kind is not p.VAR_KEYWORD and p.name not in LEFT_OUT]
    every = torch_parameters(name)
    theirs = [p for p in every if p[0] not in LEFT_OUT]
    for mine, (argument, default) in zip(ours, theirs):
        assert mine.name == argument
        assert mine.default == default, argument
    ours = ours[:-1] if name == "avg_pool1d" else ours  # has a divisor_override too
    assert len(ours) <= len(theirs)
    by_position = [p.name for p in ours if p.kind is not p.KEYWORD_ONLY]
    assert by_position == [p[0] for p in every if p[0] not in LEFT_OUT - {*OLD}][: len(by_position)]


def image(*shape):
    """Numbers without ties."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) * 0.1 - 2


CASES = [
    *[
        (name, {"input": rng.standard_normal((3, 4)) * 2}, settings)
        for name, settings in [
            ("relu", {}),
            ("rrelu", {}),
            ("pdist", {"p": 3.0}),
            ("leaky_relu", {}),
            ("leaky_relu", {"negative_slope": 0.3}),
            ("elu", {}),
            ("elu", {"alpha": 0.7}),
            ("gelu", {}),
            ("gelu", {"approximate": "tanh"}),
            ("silu", {}),
            ("softplus", {}),
            ("softplus", {"beta": 2.5}),
            ("sigmoid", {}),
            ("tanh", {}),
            ("softplus", {"beta": 2.5, "threshold": 0.5}),
            ("relu6", {}),
            ("selu", {}),
            ("celu", {"alpha": 0.7}),
            ("mish", {}),
            ("hardtanh", {"min_val": -0.4, "max_val": 0.3}),
            ("hardsigmoid", {}),
            ("hardswish", {}),
            ("hardshrink", {"lambd": 0.7}),
            ("softshrink", {"lambd": 0.7}),
            ("tanhshrink", {}),
            ("threshold", {"threshold": 0.3, "value": -2.0}),
            ("logsigmoid", {}),
            ("softsign", {}),
            ("glu", {}),
            ("softmin", {"dim": 1}),
            ("normalize", {}),
            ("normalize", {"p": 3.0, "dim": 0}),
            ("softmax", {"dim": 0}),
            ("softmax", {"dim": -1}),
            ("log_softmax", {"dim": 0}),
        ]
    ],
    *[
        (name, {"x1": rng.standard_normal((3, 4)), "x2": rng.standard_normal((3, 4))}, settings)
        for name, settings in [
            ("cosine_similarity", {}),
            ("cosine_similarity", {"dim": 0, "eps": 1e-3}),
            ("pairwise_distance", {}),
            *[("pairwise_distance", {"p": p, "keepdim": True}) for p in (1.0, 3.0, np.inf)],
        ]
    ],
    *[
        ("prelu", {"input": rng.standard_normal((3, 4, 2)), "weight": rng.random(size)}, {})
        for size in (1, 4)
    ],
    (
        "linear",
        {
            "input": rng.standard_normal((2, 3, 4)),
            "weight": rng.standard_normal((5, 4)),
            "bias": rng.standard_normal(5),
        },
        {},
    ),
    *[
        (
            "conv2d",
            {
                "input": rng.standard_normal((2, 4, 6, 7)),
                "weight": rng.standard_normal((6, 4 // settings.get("groups", 1), 3, 2)),
                "bias": rng.standard_normal(6),
            },
            settings,
        )
        for settings in [
            {},
            {"stride": 2, "padding": 1, "dilation": (2, 1)},
            {"groups": 2, "padding": (0, 2)},
            {"padding": "same"},
            {"padding": "valid"},
        ]
    ],
    *[
        (
            "conv_transpose2d",
            {
                "input": rng.standard_normal((2, 4, 4, 5)),
                "weight": rng.standard_normal((4, 3, 3, 2)),
                "bias": rng.standard_normal(3 * settings.get("groups", 1)),
            },
            settings,
        )
        for settings in [
            {},
            {"stride": 2, "padding": 1, "output_padding": 1},
            {"groups": 2, "dilation": (2, 1), "stride": (1, 2), "output_padding": (0, 1)},
        ]
    ],
    *[
        ("max_pool2d", {"input": image(2, 3, 7, 6)}, settings)
        for settings in [
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
            {"kernel_size": 2, "stride": 1, "dilation": (2, 3)},
        ]
    ],
    *[
        ("avg_pool2d", {"input": image(2, 3, 7, 6)}, settings)
        for settings in [
            {"kernel_size": 2},
            {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
            {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        ]
    ],
    *[
        (name, {"input": image(2, 3, 11)}, settings)
        for name, settings in [
            ("max_pool1d", {"kernel_size": 3}),
            ("max_pool1d", {"kernel_size": (3,), "stride": 2, "padding": 1, "ceil_mode": True}),
            ("avg_pool1d", {"kernel_size": 3, "stride": 2, "padding": 1}),
            ("adaptive_avg_pool1d", {"output_size": 4}),
            ("adaptive_max_pool1d", {"output_size": 4}),
            ("interpolate", {"size": 5}),
            ("interpolate", {"scale_factor": 2.3, "mode": "linear"}),
        ]
    ],
    ("avg_pool2d", {"input": image(2, 3, 7, 6)}, {"kernel_size": 3, "divisor_override": 5}),
    ("lp_pool2d", {"input": image(2, 3, 7, 6) + 3}, {"norm_type": 2, "kernel_size": (3, 2)}),
    ("lp_pool1d", {"input": image(2, 3, 7) + 3}, {"norm_type": 3, "kernel_size": 2, "stride": 1}),
    *[
        (
            "grid_sample",
            {"input": image(2, 3, 5, 6), "grid": rng.uniform(-1.6, 1.6, (2, 4, 3, 2))},
            {"padding_mode": outside, "align_corners": corners},
        )
        for outside in ("zeros", "border", "reflection")
        for corners in (False, True)
    ],
    *[
        ("affine_grid", {"theta": image(2, 2, 3)}, {"size": (2, 1, 4, 5), "align_corners": corners})
        for corners in (False, True)
    ],
    *[
        ("adaptive_max_pool2d", {"input": image(2, 3, 7, 6)}, {"output_size": size})
        for size in (1, (3, 4), (None, 2))
    ],
    *[
        ("interpolate", {"input": image(2, 3, 5, 6)}, settings)
        for settings in [
            {"scale_factor": 2},
            {"size": (7, 4)},
            {"size": (7, 4), "mode": "nearest-exact"},
            {"scale_factor": (1.7, 0.6)},
            {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True},
            *[
                {"size": (9, 4), "mode": mode, "align_corners": corners}
                for mode in ("bilinear", "bicubic")
                for corners in (False, True)
            ],
            *[
                {"size": size, "mode": mode, "antialias": True}
                for mode in ("bilinear", "bicubic")
                for size in ((2, 3), (3, 11))
            ],
            {"size": (3, 4), "mode": "area"},
        ]
    ],
    ("upsample", {"input": image(2, 3, 5, 6)}, {"scale_factor": 3}),
    ("upsample_bilinear", {"input": image(2, 3, 5, 6)}, {"size": 7}),
    ("upsample_nearest", {"input": image(2, 3, 5, 6)}, {"size": (7, 3)}),
    ("pixel_shuffle", {"input": image(2, 8, 3, 4)}, {"upscale_factor": 2}),
    ("pixel_unshuffle", {"input": image(2, 2, 6, 4)}, {"downscale_factor": 2}),
    *[
        (name, {"input": image(*shape), "weight": rng.standard_normal(weight)}, settings)
        for name, shape, weight, settings in [
            ("conv1d", (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 2, "groups": 2}),
            ("conv1d", (2, 4, 9), (6, 4, 3), {"padding": "same", "dilation": 2}),
            ("conv1d", (4, 9), (6, 4, 3), {"bias": None}),
            ("conv2d", (4, 9, 7), (6, 4, 3, 2), {"padding": 1}),
            ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "output_padding": 1}),
            ("conv_transpose1d", (4, 5), (4, 3, 3), {"padding": 1, "dilation": 2}),
            ("conv_transpose2d", (4, 5, 3), (4, 3, 3, 2), {"groups": 2}),
        ]
    ],
    *[
        ("unfold", {"input": image(2, 3, 7, 6)}, settings)
        for settings in [{"kernel_size": (3, 2)}, {"kernel_size": 2, "dilation": 2, "padding": 1}]
    ],
    ("fold", {"input": image(2, 12, 10)}, {"output_size": (3, 6), "kernel_size": 2}),
    ("fold", {"input": image(4, 9)}, {"output_size": 6, "kernel_size": 2, "stride": 2}),
    ("adaptive_avg_pool2d", {"input": image(2, 3, 7, 6)}, {"output_size": (3, 4)}),
    ("adaptive_avg_pool2d", {"input": image(2, 3, 7, 6)}, {"output_size": (None, 1)}),
    *[
        ("pad", {"input": rng.standard_normal((2, 3, 5, 4))}, settings)
        for settings in [
            {"pad": (1, 2)},
            {"pad": (1, 0, 0, 3), "value": 1.5},
            {"pad": (0, 1, 2, 0, 1, 1, 0, 2)},
            {"pad": (3, 1, 2, 4), "mode": "reflect"},
            {"pad": (3, 6, 2, 5), "mode": "replicate"},
            {"pad": (4, 1, 0, 5), "mode": "circular"},
            {"pad": (-1, 2, 1, -2)},
            {"pad": (-3, 5, 1, -2), "mode": "replicate"},
            {"pad": (-1, 2, 1, -2), "mode": "circular"},
        ]
    ],
    ("dropout", {"input": rng.standard_normal((3, 4))}, {"training": False}),
    ("dropout", {"input": rng.standard_normal((3, 4))}, {"p": 0.0}),
    ("dropout", {"input": rng.standard_normal((3, 4))}, {"p": 1.0}),
    *[
        (name, {"input": rng.standard_normal((3, 4, 5))}, {"p": p, "training": training})
        for name in ("dropout1d", "alpha_dropout")
        for p, training in [(0.5, False), (0.0, True), (1.0, True)]
    ],
    ("dropout2d", {"input": rng.standard_normal((3, 4, 5, 2))}, {"p": 1.0}),
]


@pytest.mark.parametrize(
    ("name", "inputs", "settings"), CASES, ids=[f"{name}-{s}" for name, _, s in CASES]
)
def test_values_and_gradients_agree(name, inputs, settings):
    mine = {k: tinynet.tensor(x, requires_grad=True) for k, x in inputs.items()}
    theirs = {k: torch.tensor(x, requires_grad=True) for k, x in inputs.items()}
    y = getattr(F, name)(**mine, **settings)
    expected = getattr(torch.nn.functional, name)(**theirs, **settings)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-6, atol=1e-9)
    dy = rng.standard_normal(y.shape)
    y.backward(dy)
    expected.backward(torch.tensor(dy))
    for key in inputs:
        np.testing.assert_allclose(
            mine[key].grad.numpy(), theirs[key].grad.numpy(), rtol=1e-6, atol=1e-9, err_msg=key
        )


@pytest.mark.parametrize("num_classes", [-1, 7])
def test_one_hot(num_classes):
    labels = rng.integers(0, 5, (3, 4))
    expected = torch.nn.functional.one_hot(torch.tensor(labels), num_classes)
    y = F.one_hot(labels, num_classes)
    assert y.dtype == np.int64
    assert y.tolist() == expected.tolist()


@pytest.mark.parametrize("size", [7, 16, 28])
@pytest.mark.parametrize("corners", [False, True])
def test_an_image_that_is_not_turned_has_pytorchs_gradient(size, corners):
    image = rng.standard_normal((1, 1, size, size)).astype(np.float32)
    found = []
    for lib, f in ((tinynet, F), (torch, torch.nn.functional)):
        theta = lib.tensor([[[1.0, 0, 0], [0, 1, 0]]], requires_grad=True)
        grid = f.affine_grid(theta, (1, 1, size, size), align_corners=corners)
        (f.grid_sample(lib.tensor(image), grid, align_corners=corners) ** 2).sum().backward()
        found.append(theta.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-2)


def test_losses_and_normalisation_are_compared_in_a_file_of_their_own():
    here = {name for name, _, _ in CASES} | {"one_hot", "embedding", "embedding_bag"}
    here |= {"max_unpool1d", "max_unpool2d", "gumbel_softmax", "bilinear", "channel_shuffle"}
    source = Path(__file__).with_name("test_losses_and_norms.py").read_text()
    assert [name for name in NAMES if name not in here and f'"{name}"' not in source] == []


KINKS = {
    "hardtanh": ({}, [-1, 1]),
    "relu6": ({}, [0, 6]),
    "hardsigmoid": ({}, [-3, 3]),
    "hardswish": ({}, [-3, 3]),
    "hardshrink": ({}, [-0.5, 0.5]),
    "softshrink": ({}, [-0.5, 0.5]),
    "threshold": ({"threshold": 1.0, "value": 3.0}, [1]),
    "elu": ({}, [0]),
    "celu": ({"alpha": 0.5}, [0]),
    "selu": ({}, [0]),
    "normalize": ({"dim": 0}, [0, 0]),
}


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks_agree(name):
    settings, places = KINKS[name]
    mine = tinynet.tensor(np.array(places, float), requires_grad=True)
    theirs = torch.tensor(np.array(places, float), requires_grad=True)
    getattr(F, name)(mine, **settings).sum().backward()
    getattr(torch.nn.functional, name)(theirs, **settings).sum().backward()
    np.testing.assert_allclose(mine.grad.numpy(), theirs.grad.numpy())


POOLS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 2, "stride": 1, "dilation": 2},
]


@pytest.mark.parametrize("settings", [*POOLS, {"output_size": 3}], ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 7), (3, 7), (2, 3, 7, 6), (3, 7, 6)], ids=str)
def test_places_of_the_maxima_and_the_way_back(shape, settings):
    axes = 1 if shape[-1] == 7 else 2
    name = f"{'adaptive_' * ('output_size' in settings)}max_pool{axes}d"
    x = rng.integers(0, 6, shape).astype(float)  # with ties
    x.ravel()[3] = np.nan
    results = []
    for library, make in ((F, tinynet.tensor), (torch.nn.functional, torch.tensor)):
        t = make(x, requires_grad=True)
        y, places = getattr(library, name)(t, **settings, return_indices=True)
        if "kernel_size" in settings and "dilation" not in settings:
            back = getattr(library, f"max_unpool{axes}d")(
                y, places, **settings, output_size=shape[-axes:]
            )
        else:
            back = y
        (back * back).sum().backward()
        results.append([y.detach().numpy(), places.numpy(), back.detach().numpy(), t.grad.numpy()])
    for mine, theirs in zip(*results):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"padding_idx": 2},
        {"padding_idx": -1},
    ],
)
def test_embedding(settings):
    weight, indices = rng.standard_normal((5, 3)), np.array([[0, 2, 0], [4, 2, 0]])
    results = []
    for library, make in ((F, tinynet.tensor), (torch.nn.functional, torch.tensor)):
        w = make(weight, requires_grad=True)
        y = library.embedding(make(indices), w, **settings)
        (y * y).sum().backward()
        results.append([y.detach().numpy(), w.grad.numpy(), w.detach().numpy()])
    for mine, theirs in zip(*results):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_alpha_dropout_keeps_mean_and_variance():
    x = tinynet.randn(300, 300, rng=np.random.default_rng(0))
    y = F.alpha_dropout(x, 0.3, True, rng=np.random.default_rng(1)).array
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=0.02)


def test_dropout_of_channels_drops_them_whole():
    y = F.dropout2d(np.ones((50, 20, 3, 2)), 0.4, rng=np.random.default_rng(0)).array
    assert (y == y[:, :, :1, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6])
    assert abs((y == 0).mean() - 0.4) < 0.05
