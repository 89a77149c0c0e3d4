"""Layers: arguments are checked, wrong inputs are explained, randomness is in the caller's hand."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet
from tinynet import autograd, kernels, nn
from tinynet.errors import ShapeError
from tinynet.nn import functional as F


def rng(seed=0):
    return np.random.default_rng(seed)


# ----- arguments ------------------------------------------------------------------------------

WRONG_ARGUMENTS = [
    (lambda: nn.Linear(0, 3), ValueError, "Linear: in_features must be at least 1, got 0"),
    (lambda: nn.Linear(3, 2.5), TypeError, "Linear: out_features must be an integer, got 2.5"),
    (lambda: nn.Linear(3, True), TypeError, "out_features must be an integer, got True"),
    (lambda: nn.Linear(128 / 2, 3), TypeError, r"got 64.0; divide with //, or write int\(64.0\)"),
    (lambda: nn.Conv2d(0, 3, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 3, 0), ValueError, "Conv2d: kernel_size must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 3, (3, 3, 3)), TypeError, "kernel_size must be an int or a pair of"),
    (lambda: nn.Conv2d(1, 3, 3, stride=0), ValueError, "stride must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 3, 3, padding=-1), ValueError, "padding must be at least 0, got -1"),
    (lambda: nn.Conv2d(1, 3, 3, padding="full"), ValueError, "'same' or 'valid', got 'full'"),
    (
        lambda: nn.Conv2d(1, 3, 3, stride=2, padding="same"),
        ValueError,
        r"padding='same' needs stride 1, got stride=\(2, 2\)",
    ),
    (lambda: nn.Conv2d(1, 3, 3, dilation=0), ValueError, "dilation must be at least 1, got 0"),
    (
        lambda: nn.Conv2d(6, 4, 3, groups=4),
        ValueError,
        "groups=4 must divide in_channels=6; the divisors of 6 are 1, 2, 3, 6",
    ),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError, "groups=4 must divide out_channels=6"),
    (
        lambda: nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=2),
        ValueError,
        r"output_padding=2 must be smaller than stride \(2, 2\)",
    ),
    (lambda: nn.MaxPool2d(2, padding=2), ValueError, "padding=2 must be at most half of kernel"),
    (lambda: nn.MaxPool2d(2, stride=0), ValueError, "MaxPool2d: stride must be at least 1, got 0"),
    (lambda: nn.AvgPool2d((2, 0)), ValueError, r"AvgPool2d: kernel_size must be at least 1, got"),
    (lambda: nn.AdaptiveAvgPool2d(0), ValueError, r"output_size must be at least 1, got \[0, 0\]"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), TypeError, "output_size must be an int or a"),
    (lambda: nn.Conv1d(1, 3, (3, 3)), TypeError, r"Conv1d: kernel_size must be an integer, got"),
    (lambda: nn.Conv1d(1, 3, 3, stride=0), ValueError, "Conv1d: stride must be at least 1, got 0"),
    (
        lambda: nn.Conv2d(1, 3, 3, padding_mode="mirror"),
        ValueError,
        "padding_mode must be 'zeros' or 'reflect' or 'replicate' or 'circular', got 'mirror'",
    ),
    (
        lambda: nn.ConvTranspose2d(1, 3, 3, padding_mode="reflect"),
        ValueError,
        "padding_mode must be 'zeros', got 'reflect'",
    ),
    (lambda: nn.GroupNorm(3, 4), ShapeError, "num_groups=3 must divide num_channels=4"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ShapeError, "padding_idx=3 is none of the 3 rows"),
    (lambda: nn.Embedding.from_pretrained(np.ones(3)), ShapeError, r"must be \(K, D\), got"),
    (lambda: nn.BCELoss(reductoin="sum"), TypeError, "unexpected keyword argument 'reductoin'"),
    (lambda: nn.Threshold(1), TypeError, r"Threshold: missing a required argument: 'value'; it"),
    (lambda: nn.LazyConv2d(0, 3), ValueError, "out_channels must be at least 1, got 0"),
    (lambda: nn.BatchNorm2d(-1), ValueError, "BatchNorm2d: num_features must be at least 1"),
    (lambda: nn.BatchNorm1d(2, eps=0), ValueError, "BatchNorm1d: eps must be more than 0"),
    (lambda: nn.BatchNorm1d(2, momentum=2), ValueError, "momentum must be from 0 to 1, got 2"),
    (lambda: nn.LayerNorm(()), ValueError, "LayerNorm: normalized_shape must name at least one"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p is the probability to drop, from 0 to 1"),
    (lambda: nn.Dropout(float("nan")), ValueError, "from 0 to 1, got nan"),
    (lambda: nn.GELU("fast"), ValueError, "GELU: approximate must be 'none' or 'tanh'"),
    (lambda: nn.Softplus(0), ValueError, "Softplus: beta must be more than 0, got 0"),
    (lambda: nn.MSELoss(reduction="average"), ValueError, "unknown reduction of MSELoss 'average'"),
    (
        lambda: nn.CrossEntropyLoss(label_smoothing=2),
        ValueError,
        "CrossEntropyLoss: label_smoothing must be from 0 to 1, got 2",
    ),
    (lambda: nn.Sequential(nn.ReLU), TypeError, r"'0' is the class ReLU, .* `ReLU\(...\)`"),
    (lambda: nn.Sequential(np.tanh), TypeError, "'0' must be a layer .*, got ufunc"),
    (lambda: nn.ModuleList([3]), TypeError, "'0' must be a layer .*, got int"),
]


SAME_MISTAKES = [
    (lambda: nn.Conv2d(1, 1, 1, stride=0), lambda x, w: F.conv2d(x, w, stride=0)),
    (lambda: nn.Conv2d(1, 1, 1, stride=1.5), lambda x, w: F.conv2d(x, w, stride=1.5)),
    (lambda: nn.Conv2d(1, 1, 1, dilation=()), lambda x, w: F.conv2d(x, w, dilation=())),
    (lambda: nn.Conv2d(1, 1, 1, padding="full"), lambda x, w: F.conv2d(x, w, padding="full")),
    (
        lambda: nn.Conv2d(1, 1, 1, stride=2, padding="same"),
        lambda x, w: F.conv2d(x, w, stride=2, padding="same"),
    ),
    (lambda: nn.Conv2d(1, 1, 1, groups=2), lambda x, w: F.conv2d(x, w, groups=2)),
    (
        lambda: nn.ConvTranspose2d(1, 1, 1, output_padding=1),
        lambda x, w: F.conv_transpose2d(x, w, output_padding=1),
    ),
    (lambda: nn.MaxPool2d(0), lambda x, w: F.max_pool2d(x, 0)),
    (lambda: nn.MaxPool2d(2, padding=2), lambda x, w: F.max_pool2d(x, 2, padding=2)),
    (lambda: nn.AvgPool2d("2"), lambda x, w: F.avg_pool2d(x, "2")),
    (lambda: nn.AdaptiveAvgPool2d(0), lambda x, w: F.adaptive_avg_pool2d(x, 0)),
    (lambda: nn.LayerNorm(()), lambda x, w: F.layer_norm(x, ())),
    (lambda: nn.Dropout(2), lambda x, w: F.dropout(x, 2)),
    (lambda: nn.GELU("fast"), lambda x, w: F.gelu(x, "fast")),
    (
        lambda: nn.L1Loss(reduction="all"),
        lambda x, w: F.l1_loss(x, x, reduction="all"),
    ),
    (lambda: nn.SmoothL1Loss(beta=-1), lambda x, w: F.smooth_l1_loss(x, x, beta=-1)),
]


@pytest.mark.parametrize(("layer", "function"), SAME_MISTAKES)
def test_a_mistake_raises_one_type_in_a_layer_and_in_its_function(layer, function):
    errors = []
    for call in (layer, lambda: function(tinynet.ones(1, 1, 4, 4), tinynet.ones(1, 1, 1, 1))):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        errors.append(caught.type)
    assert errors[0] is errors[1]


@pytest.mark.parametrize(("make", "error", "words"), WRONG_ARGUMENTS)
def test_a_wrong_argument_is_refused_when_the_layer_is_made(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_numpy_integers_are_sizes_too():
    assert nn.Linear(np.int64(3), np.int32(2)).weight.shape == (2, 3)


def test_a_layer_that_is_not_there_says_why():
    for name, words in [
        (
            "LSTM",
            "no attribute 'LSTM'; tinynet is for small convolutional nets, and has no recurrent",
        ),
        ("MultiheadAttention", "has no attention"),
        ("Conv3d", "has no three-dimensional layers"),
        ("Conv2D", "no attribute 'Conv2D'; did you mean 'Conv2d'"),
    ]:
        with pytest.raises(AttributeError, match=words):
            getattr(nn, name)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_a_layer_on_another_device_is_refused(device):
    with pytest.raises(RuntimeError, match=f"computes on the CPU and has no device '{device}'"):
        nn.PReLU(device=device)
    layer = nn.PReLU(device="cpu", dtype=tinynet.float64)
    assert layer.weight.dtype == tinynet.float64


# ----- inputs ---------------------------------------------------------------------------------

WRONG_INPUTS = [
    (
        nn.Linear(256, 10),
        (32, 400),
        r"Linear\(in_features=256\): the input has 400 features \(N=32\). Use in_features=400.",
    ),
    (
        nn.Linear(400, 10),
        (2, 16, 5, 5),
        r"5 features \(shape \(2, 16, 5, 5\)\). Put nn.Flatten\(\) before it: 16x5x5 = 400.",
    ),
    (nn.Linear(7, 10), (2, 16, 5, 5), r"Put nn.Flatten\(\) before it and use in_features=400, or"),
    (nn.Linear(7, 10), (), r"the input has 0 features \(shape \(\)\). Give it \(N, in_features\)."),
    (
        nn.Conv2d(3, 8, 3),
        (2, 1, 8, 8),
        r"Conv2d\(in_channels=3\): the input has 1 channel \(N=2, images 8x8\). Use in_channels=1.",
    ),
    (nn.Conv2d(3, 8, 3), (2, 8, 8, 3), r"Channels come second: `x.permute\(0, 3, 1, 2\)`"),
    (nn.BatchNorm2d(3), (3, 8, 8), r"4 axes .* it has 3 .* Add the axis of the batch: `x\[None\]`"),
    (
        nn.Conv1d(3, 8, 3),
        (2, 1, 8),
        r"Conv1d\(in_channels=3\): .* 1 channel \(N=2, signals 8\). Use",
    ),
    (nn.Conv1d(3, 8, 3), (2, 3, 8, 8), r"must have 3 axes \(N, C, L\), it has 4"),
    (nn.InstanceNorm2d(3), (2, 4, 8, 8), r"InstanceNorm2d\(num_features=3\): .* 4 channels"),
    (nn.InstanceNorm1d(3), (3, 1), "more than one place to take the mean of"),
    (nn.GroupNorm(2, 4), (2, 6, 8), r"the input has 6 channels .* Use num_channels=6."),
    (nn.RMSNorm(4), (2, 6), "rms_norm: normalized_shape=.* use normalized_shape="),
    (nn.PixelShuffle(2), (2, 6, 3, 3), r"multiple of 2\^2=4, its shape is \(2, 6, 3, 3\)"),
    (nn.PixelUnshuffle(2), (2, 6, 3, 4), "height and width .* multiples of 2"),
    (nn.Fold(4, 2), (2, 8, 8), r"an image of 4x4 needs \(N, C\*4, 9\): 4 elements in each of 3x3"),
    (nn.Upsample(scale_factor=2, mode="linear"), (1, 2, 3, 3), "use mode='bilinear'"),
    (nn.Upsample(size=(1, 2, 3)), (1, 2, 3, 3), "has 2 axes with pixels after .N, C.; got size"),
    (nn.ReflectionPad2d(4), (1, 2, 3, 3), "mode='reflect' can add at most 2 elements"),
    (nn.ZeroPad1d(-2), (1, 2, 3), r"cuts off more than there is of shape \(1, 2, 3\)"),
    (nn.AdaptiveMaxPool1d(2), (2, 2, 2, 2), r"must have shape \(N, C, L\) or \(C, L\), got"),
    (nn.LocalResponseNorm(2), (2, 3), "must be .N, C, L"),
    (nn.Conv2d(1, 8, 3), (5, 8, 8), r"Add the axis of the channel: `x\[:, None\]`."),
    (nn.Conv2d(1, 8, 3), (64,), r"Give it images of shape \(N, C, H, W\)."),
    (nn.Conv2d(1, 8, 9), (2, 1, 8, 8), "conv2d: .*9x9.*8x8"),
    (nn.ConvTranspose2d(3, 8, 3), (2, 1, 8, 8), r"ConvTranspose2d\(in_channels=3\): the input has"),
    (nn.MaxPool2d(9), (2, 1, 8, 8), "max_pool2d: .*9x9.*8x8"),
    (nn.BatchNorm2d(4), (2, 3, 8, 8), r"BatchNorm2d\(num_features=4\): .* Use num_features=3."),
    (nn.BatchNorm1d(4), (2, 3), r"BatchNorm1d\(num_features=4\): .* 3 features \(N=2\). Use num_"),
    (nn.BatchNorm1d(4), (2, 4, 8, 8), r"Use BatchNorm2d for images \(N, C, H, W\)."),
    (nn.BatchNorm1d(4), (1, 4), "more than 1 value per channel"),
    (nn.LayerNorm((5, 6)), (2, 6, 5), r"layer_norm: .* use normalized_shape=\(6, 5"),
    (nn.Unflatten(1, (3, 4)), (2, 13), r"26 elements of shape \(2, 13\) do not fit"),
    (nn.Unflatten(3, (3, 4)), (2, 13), r"axis 3 does not exist in shape \(2, 13\)"),
]


@pytest.mark.parametrize(("layer", "shape", "words"), WRONG_INPUTS)
def test_a_wrong_input_says_what_is_wrong_and_what_to_type(layer, shape, words):
    with pytest.raises(ShapeError, match=words) as caught:
        layer(tinynet.ones(shape))
    assert str(caught.value).endswith(f"raised in {type(layer).__name__}")


def test_sequential_tells_which_layer_made_the_input():
    model = nn.Sequential(nn.Conv2d(1, 16, 4), nn.Flatten(), nn.Linear(256, 10))
    with pytest.raises(ShapeError) as caught:
        model(tinynet.ones(32, 1, 8, 8))
    assert str(caught.value).startswith(
        "Linear(in_features=256): the input has 400 features (N=32, after Flatten of 16x5x5). "
        "Use in_features=400.\n  raised in layer '2' (Linear)\n"
    )


def test_the_layer_before_is_found_across_nested_sequentials():
    model = nn.Sequential(
        {
            "features": nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()),
            "head": nn.Sequential(nn.Flatten(), nn.Linear(9, 3)),
            "tail": nn.Sequential(nn.Linear(4, 1)),
        }
    )
    with pytest.raises(ShapeError, match=r"after Flatten of 2x2x2\).*\n.*layer 'head.1'"):
        model(tinynet.ones(3, 1, 4, 4))
    model.head[1] = nn.Linear(8, 3)
    with pytest.raises(ShapeError, match=r"after Sequential of 2x2x2\).*\n.*layer 'tail.0'"):
        model(tinynet.ones(3, 1, 4, 4))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(4, 2), (3, 4)),
        (nn.Conv2d(1, 2, 3), (2, 1, 4, 4)),
        (nn.ConvTranspose2d(1, 2, 3), (2, 1, 4, 4)),
        (nn.MaxPool2d(2), (2, 1, 4, 4)),
        (nn.AvgPool2d(2), (2, 1, 4, 4)),
        (nn.BatchNorm2d(1), (2, 1, 4, 4)),
        (nn.LayerNorm(4), (3, 4)),
    ],
)
def test_images_of_integers_are_refused(layer, shape):
    with pytest.raises(TypeError, match=r"uint8.*float"):
        layer(tinynet.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize(
    ("layer", "shape", "out"),
    [
        (nn.Linear(4, 2), (0, 4), (0, 2)),
        (nn.Conv2d(3, 5, 3, padding=1), (0, 3, 6, 6), (0, 5, 6, 6)),
        (nn.ConvTranspose2d(3, 5, 2, stride=2), (0, 3, 6, 6), (0, 5, 12, 12)),
        (nn.MaxPool2d(2), (0, 3, 6, 6), (0, 3, 3, 3)),
        (nn.AvgPool2d(2), (0, 3, 6, 6), (0, 3, 3, 3)),
        (nn.AdaptiveAvgPool2d(1), (0, 3, 6, 6), (0, 3, 1, 1)),
        (nn.LayerNorm(4), (0, 4), (0, 4)),
        (nn.BatchNorm2d(3).eval(), (0, 3, 6, 6), (0, 3, 6, 6)),
        (nn.Flatten(), (0, 3, 6, 6), (0, 108)),
        (nn.Dropout(), (0, 3), (0, 3)),
        (nn.GELU(), (0, 3), (0, 3)),
    ],
)
def test_an_empty_batch_flows_through(layer, shape, out):
    x = tinynet.zeros(shape, requires_grad=True)
    y = layer(x)
    assert y.shape == out
    y.sum().backward()
    assert x.grad.shape == shape


WRONG_CALLS = [
    (
        lambda: F.interpolate(np.ones((1, 1, 2, 2))),
        "give either size or scale_factor, got size=None",
    ),
    (
        lambda: F.interpolate(np.ones((1, 1, 2, 2)), 3, align_corners=True),
        "mode='nearest' has no align_corners",
    ),
    (lambda: F.interpolate(np.ones((1, 1, 2, 2)), 3, mode="cubic"), "did you mean 'bicubic'"),
    (
        lambda: F.embedding(np.array([3]), np.ones((3, 2))),
        "index 3 is out of range for num_embeddings=3",
    ),
    (
        lambda: F.max_unpool2d(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 4), 2),
        "integers from 0 to 3, got int64 up to 4",
    ),
    (
        lambda: F.max_unpool2d(
            np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1), int), 2, None, 0, (5, 5)
        ),
        r"output_size=\(5, 5\) is not pooled to .* \(2, 2\) is",
    ),
    (lambda: F.avg_pool2d(np.ones((1, 2, 2)), 2, divisor_override=0), "must not be 0"),
    (lambda: nn.MaxPool1d(2, padding=2)(np.ones((1, 4))), "padding=.* must be at most half"),
    (
        lambda: nn.ZeroPad2d((1, 2))(np.ones((1, 4))),
        r"a number or 4 of them \(left, right, top, bot",
    ),
    (lambda: nn.Dropout2d(1.5)(np.ones((1, 4, 1, 1))), "p is the probability to drop"),
    (lambda: F.embedding(np.array([0]), np.ones((3, 2)), max_norm=1), "neither max_norm nor"),
]


@pytest.mark.parametrize(("call", "words"), WRONG_CALLS)
def test_a_wrong_call_says_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# ----- shapes and behaviour -------------------------------------------------------------------


def test_flatten_and_unflatten_undo_each_other():
    x = tinynet.randn(2, 3, 4, 5, rng=rng())
    flat = nn.Flatten()(x)
    assert flat.shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    np.testing.assert_array_equal(nn.Unflatten(-1, (3, -1, 5))(flat).numpy(), x.numpy())


def test_flatten_takes_an_array_too():
    assert nn.Flatten()(np.zeros((2, 3, 4), np.float32)).shape == (2, 12)


def test_identity_takes_any_arguments_and_gives_back_its_input():
    x = tinynet.ones(2)
    assert nn.Identity(54, unused=True)(x) is x


def test_same_padding_keeps_the_size_for_even_kernels_and_dilation():
    x = tinynet.ones(1, 1, 9, 7)
    assert nn.Conv2d(1, 2, (4, 3), padding="same", dilation=2)(x).shape == (1, 2, 9, 7)
    assert nn.Conv2d(1, 2, 3, padding="valid")(x).shape == (1, 2, 7, 5)


def test_dropout_drops_a_share_p_in_training_and_nothing_in_eval():
    layer = nn.Dropout(0.25, rng=rng())
    x = tinynet.ones(100, 100)
    y = layer(x).numpy()
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


def test_dropout_draws_from_the_generator_that_it_was_given():
    x = tinynet.ones(8, 8)
    first, second = (nn.Dropout(0.5, rng=rng(3))(x).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_batch_norm_moves_its_running_statistics_only_in_training():
    layer = nn.BatchNorm2d(2)
    x = tinynet.randn(4, 2, 3, 3, rng=rng())
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var((0, 2, 3)), 1, atol=1e-4)
    mean, var = x.numpy().mean((0, 2, 3)), x.numpy().var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-5)
    state = layer.state_dict()
    layer.eval()(x)
    assert layer.num_batches_tracked.item() == 1
    np.testing.assert_array_equal(layer.state_dict()["running_mean"], state["running_mean"])
    layer.register_buffer("own", tinynet.full((1,), 7.0))
    layer.reset_running_stats()
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_var.tolist() == [1, 1]
    assert layer.own.item() == 7


def test_losses_reduce_as_told():
    x, t = tinynet.tensor([1.0, 4.0]), tinynet.tensor([0.0, 0.0])
    assert nn.MSELoss()(x, t).item() == 8.5
    assert nn.L1Loss(reduction="sum")(x, t).item() == 5
    assert nn.SmoothL1Loss(reduction="none", beta=2)(x, t).tolist() == [0.25, 3]
    assert repr(nn.L1Loss(reduction="sum")) == "L1Loss(reduction='sum')"


def test_the_weight_of_a_loss_is_a_buffer():
    loss = nn.CrossEntropyLoss(weight=np.array([1.0, 2.0], np.float32))
    assert list(loss.state_dict()) == ["weight"]
    assert list(loss.parameters()) == []
    assert loss.double().weight.dtype == tinynet.float64


# ----- randomness -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: nn.Linear(5, 4, rng=rng),
        lambda rng: nn.Conv2d(2, 4, 3, rng=rng),
        lambda rng: nn.ConvTranspose2d(2, 4, 3, rng=rng),
    ],
)
def test_the_same_generator_gives_the_same_layer_and_manual_seed_is_the_default(make):
    first, second, other = make(rng(1)), make(rng(1)), make(rng(2))
    np.testing.assert_array_equal(first.weight.numpy(), second.weight.numpy())
    np.testing.assert_array_equal(first.bias.numpy(), second.bias.numpy())
    assert (first.weight.numpy() != other.weight.numpy()).any()
    tinynet.manual_seed(1)
    np.testing.assert_array_equal(make(None).weight.numpy(), first.weight.numpy())
    first.reset_parameters(rng(2))
    np.testing.assert_array_equal(first.weight.numpy(), other.weight.numpy())


# ----- containers -----------------------------------------------------------------------------


def test_sequential_is_indexed_sliced_and_extended():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    model = nn.Sequential(a, b).append(c)
    assert len(model) == 3
    assert list(model) == [a, b, c]
    assert (model[0], model[-1]) == (a, c)
    tail = model[1:]
    assert isinstance(tail, nn.Sequential)
    assert [name for name, _ in tail.named_children()] == ["1", "2"]
    assert tail[0] is b
    tail.append(a)
    assert [name for name, _ in tail.named_children()] == ["1", "2", "3"]
    model[1] = nn.ELU()
    assert isinstance(model[1], nn.ELU)
    with pytest.raises(IndexError, match=r"Sequential has 3 modules, there is no \[3\]"):
        model[3]


def test_an_empty_sequential_gives_back_its_input():
    x = tinynet.ones(2)
    assert nn.Sequential()(x) is x


def test_sequential_takes_a_dict_of_names():
    model = nn.Sequential({"first": nn.Linear(2, 3), "second": nn.ReLU()})
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    assert model.first.out_features == 3


def test_module_list_is_a_list():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.extend([nn.ReLU()])
    assert len(layers) == 4
    assert isinstance(layers[:2], nn.ModuleList)
    assert len(list(layers.parameters())) == 6


def test_module_dict_is_a_dict():
    heads = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()})
    assert list(heads) == ["a", "b"] == list(heads.keys())
    assert "a" in heads
    assert [name for name, _ in heads.items()] == ["a", "b"]
    assert heads["b"] is list(heads.values())[1]
    heads["c"] = nn.Tanh()
    del heads["a"]
    assert len(heads) == 2
    assert list(heads.parameters()) == []
    with pytest.raises(KeyError, match="there are: b, c"):
        heads["z"]


@pytest.mark.parametrize("set_of_kernels", kernels.available())
@pytest.mark.parametrize(("images", "pool"), [(1, {}), (3, {}), (17, {"stride": 3, "padding": 1})])
def test_relu_and_the_pool_after_it_are_what_they_are_apart(set_of_kernels, images, pool):
    before = kernels.current.name
    kernels.use(set_of_kernels)
    try:
        values = np.random.default_rng(0).normal(-0.5, 1, (images, 3, 8, 10)).round(1)
        results = []
        for layers in ([nn.ReLU(), nn.MaxPool2d(2, **pool)], [nn.MaxPool2d(2, **pool), nn.ReLU()]):
            x = tinynet.tensor(values, requires_grad=True)
            y = nn.Sequential(*layers)(x)
            y.backward(np.random.default_rng(1).standard_normal(y.shape))
            results.append((y.array, x.grad.array))
    finally:
        kernels.use(before)
    together, apart = results
    assert (together[0] == 0).any()
    assert (together[0] > 0).any()
    np.testing.assert_array_equal(together[0], apart[0])
    np.testing.assert_array_equal(together[1], apart[1])


@pytest.mark.parametrize("kept", [False, True])
def test_the_graph_has_relu_and_the_pool_in_their_order(kept):
    x = tinynet.randn(1, 1, 4, 4)
    x = x.requires_grad_() if kept else nn.Parameter(x)  # how those are used is not kept
    pool = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))(x).grad_fn
    relu = pool.next_functions[0][0]
    names = [pool.name(), relu.name(), relu.next_functions[0][0].name()]
    assert names == ["MaxPool2DWithIndicesBackward0", "ReluBackward0", "AccumulateGrad"]
    assert relu.next_functions[0][0].variable is x
    assert pool.next_functions[0][0] is relu


@pytest.mark.parametrize(
    "layers",
    [[nn.ReLU(), nn.MaxPool2d(2)], [nn.Conv2d(1, 2, 3)], [nn.Linear(4, 2)], [nn.Conv1d(1, 2, 1)]],
)
def test_layers_take_an_array_as_a_constant(layers):
    shape = (1, 1, 4) if isinstance(layers[0], nn.Conv1d) else (1, 1, 4, 4)
    model, x = nn.Sequential(*layers), rng().standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal(model(x).array, model(tinynet.tensor(x)).array)


def test_a_relu_in_place_that_comes_first_changes_what_it_is_given():
    for layers in ([nn.ReLU(inplace=True), nn.MaxPool2d(2)], [nn.ReLU(inplace=True)]):
        x = tinynet.tensor(np.array([[[[-1.0, 2.0], [3.0, -4.0]]]]))
        nn.Sequential(*layers)(x)
        assert x.tolist() == [[[[0, 2], [3, 0]]]]


def test_an_observer_sees_relu_and_the_pool_in_their_order():
    model, seen = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()), []
    with autograd.observe(lambda op, args, settings, y: seen.append((op, (y.array < 0).any()))):
        model(tinynet.randn(2, 1, 4, 4))
    names = [op.rpartition(".")[2] for op, _ in seen]
    assert names == ["relu", "max_pool2d", "relu"]
    assert not any(negative for _, negative in seen)


def test_relu_and_a_pool_with_a_hook_are_computed_apart():
    seen = []
    model = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    model[0].register_forward_hook(lambda layer, args, y: seen.append(y.shape) and None)
    assert model(tinynet.randn(1, 1, 4, 4)).shape == (1, 1, 2, 2)
    assert seen == [(1, 1, 4, 4)]


# ----- layers that come to know their input ---------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "shape", "counts"),
    [
        ("Linear", (3,), (2, 5), 5),
        ("Conv1d", (4, 3), (2, 6, 8), 6),
        ("Conv2d", (4, 3, 2, 1, 1, 2), (2, 6, 8, 8), 6),
        ("Conv2d", (4, 3), (6, 8, 8), 6),
        ("ConvTranspose2d", (4, 3), (2, 6, 8, 8), 6),
        ("InstanceNorm2d", (1e-3, 0.1, True), (6, 8, 8), 6),
        ("BatchNorm1d", (), (4, 6), 6),
        ("BatchNorm2d", (1e-3,), (2, 6, 8, 8), 6),
    ],
)
def test_a_lazy_layer_becomes_the_other_with_its_first_input(name, args, shape, counts):
    layer = getattr(nn, f"Lazy{name}")(*args)
    assert repr(layer).startswith(f"Lazy{name}(")
    held = list(layer.parameters())
    assert [p.shape for p in held] == [(0,)] * len(held)
    optimizer = tinynet.optim.SGD(held, lr=0.1)
    tinynet.manual_seed(3)
    x = tinynet.randn(*shape, rng=rng())
    y = layer(x)
    tinynet.manual_seed(3)
    plain = getattr(nn, name)(counts, *args)
    assert type(layer) is type(plain)
    assert repr(layer) == repr(plain)
    np.testing.assert_array_equal(y.numpy(), plain(x).numpy())
    assert [id(p) for p in layer.parameters()] == [id(p) for p in held]
    y.sum().backward()
    before = held[0].array.copy()
    (y * y).sum()
    held[0].grad = tinynet.ones(*held[0].shape)
    optimizer.step()
    assert (held[0].array != before).any()


def test_a_lazy_layer_keeps_its_mode_and_dtype():
    layer = nn.LazyBatchNorm1d().double().eval()
    assert layer(tinynet.ones(1, 3).double()).dtype == tinynet.float64
    assert not layer.training


def test_device_and_dtype_of_layers():
    for layer in (
        nn.Linear(2, 3, dtype=tinynet.float64),
        nn.Conv1d(2, 3, 1, device="cpu", dtype=np.float64),
        nn.BatchNorm2d(3, dtype=tinynet.float64),
        nn.LayerNorm(3, dtype=tinynet.float64),
        nn.Embedding(3, 2, dtype=tinynet.float64),
    ):
        tensors = [*layer.parameters(), *layer.buffers()]
        assert {t.dtype for t in tensors if t.dtype.kind == "f"} == {tinynet.float64}


def test_an_embedding_of_given_vectors_is_frozen():
    layer = nn.Embedding.from_pretrained(np.eye(3), padding_idx=-1)
    assert not layer.weight.requires_grad
    assert layer(tinynet.tensor([2, 0])).tolist() == np.eye(3)[[2, 0]].tolist()
    assert repr(layer) == "Embedding(3, 3, padding_idx=2)"
    assert nn.Embedding(3, 4, 1).weight.array[1].tolist() == [0] * 4


def test_parameters_in_lists_and_dicts_are_found():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scales = nn.ParameterList([tinynet.ones(2), nn.Parameter([1.0])])
            self.named = nn.ParameterDict({"a": np.zeros(3)})

    net = Net()
    net.scales.append(tinynet.ones(4)).extend([tinynet.ones(5)])
    net.named.update({"b": tinynet.ones(1)})
    net.scales[-1] = tinynet.ones(6)
    del net.named["a"]
    assert [name for name, _ in net.named_parameters()] == [
        *(f"scales.{i}" for i in range(4)), "named.b"
    ]  # fmt: skip
    assert [p.shape for p in net.scales] == [(2,), (1,), (4,), (6,)]
    assert list(net.named) == list(net.named.keys()) == ["b"]
    assert "b" in net.named
    assert dict(net.named.items())["b"] is net.named["b"]
    with pytest.raises(KeyError, match="no parameter 'c' here; there are: b"):
        net.named["c"]


def test_an_unpool_puts_the_maxima_back():
    pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    x = tinynet.arange(15.0).reshape(1, 1, 3, 5)
    y, places = pool(x)
    back = unpool(y, places, output_size=x.shape)
    assert back.tolist() == (x.array * np.isin(x.array, y.array)).tolist()
    relu_first = nn.Sequential(nn.ReLU(), pool)(x - 10)
    assert [part.shape for part in relu_first] == [(1, 1, 1, 2)] * 2


def test_a_transposed_convolution_reaches_the_size_that_is_asked_for():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = tinynet.ones(1, 2, 5, 5)
    assert layer(x).shape == (1, 3, 9, 9)
    assert layer(x, output_size=(1, 3, 10, 9)).shape == (1, 3, 10, 9)
    assert nn.ConvTranspose1d(2, 3, 3, stride=3)(x[0, :, 0], output_size=[15]).shape[-1] == 15
    with pytest.raises(ShapeError, match=r"output_size \(11, 9\) is out of reach.*\(10, 10\)"):
        layer(x, output_size=(11, 9))
