"""Layers agree with PyTorch's of the same name: state, outputs, gradients, text and start values.

Every row makes both layers with the same arguments; PyTorch's state goes into tinynet's layer,
and the same float64 input goes through both, with a random output gradient.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.nn import utils

pytest.importorskip("torch")
import torch

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def as_numpy(state):
    return {name: value.detach().numpy() for name, value in state.items()}


def assert_agree(ours, theirs, *inputs, tolerance=1e-6):
    """Output, input gradients, parameter gradients and state afterwards."""
    xs = [tinynet.tensor(x, requires_grad=True) for x in inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, t = ours(*xs), theirs(*ts)
    np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=tolerance, atol=tolerance)
    dy = array(*y.shape, seed=99)
    y.backward(dy)
    t.backward(torch.tensor(dy))
    for x, t in zip(xs, ts):
        np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=tolerance, atol=tolerance)
    theirs_by_name = dict(theirs.named_parameters())
    assert [name for name, _ in ours.named_parameters()] == list(theirs_by_name)
    for name, p in ours.named_parameters():
        expected = theirs_by_name[name].grad.numpy()
        np.testing.assert_allclose(p.grad, expected, rtol=tolerance, atol=tolerance)
    state, expected_state = ours.state_dict(), as_numpy(theirs.state_dict())
    assert list(state) == list(expected_state)
    for name, values in state.items():
        np.testing.assert_allclose(values, expected_state[name], rtol=tolerance, atol=tolerance)


LAYERS = [
    ("Linear", (6, 4), {}, (3, 6)),
    ("Linear", (6, 4), {"bias": False}, (2, 3, 6)),
    ("Conv1d", (4, 6, 3), {}, (2, 4, 8)),
    ("Conv1d", (4, 6, (3,), 2, 1), {"groups": 2, "padding_mode": "reflect"}, (4, 8)),
    ("Conv1d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, (2, 4, 8)),
    ("Conv2d", (4, 6, 3), {"bias": False}, (4, 8, 7)),
    *[
        ("Conv2d", (4, 6, (3, 4)), {"padding": padding, "padding_mode": mode}, (2, 4, 8, 7))
        for mode in ("reflect", "replicate", "circular")
        for padding in ((2, 1), "same")
    ],
    ("ConvTranspose1d", (4, 6, 3, 2, 1, 1), {}, (2, 4, 8)),
    ("ConvTranspose2d", (4, 6, 3), {}, (4, 5, 6)),
    ("Conv2d", (4, 6, 3), {}, (2, 4, 8, 7)),
    ("Conv2d", (4, 6, (3, 2), 2, (1, 0)), {}, (2, 4, 8, 7)),
    ("Conv2d", (4, 6, 3), {"padding": 2, "dilation": 2, "groups": 2}, (2, 4, 8, 7)),
    ("Conv2d", (4, 6, (4, 3)), {"padding": "same", "bias": False}, (2, 4, 8, 7)),
    ("Conv2d", (4, 8, 3), {"padding": "valid", "groups": 4}, (2, 4, 8, 7)),
    ("ConvTranspose2d", (4, 6, 3), {}, (2, 4, 5, 6)),
    ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2)), {}, (2, 4, 5, 6)),
    (
        "ConvTranspose2d",
        (4, 6, 3),
        {"stride": 2, "groups": 2, "dilation": 2, "bias": False},
        (2, 4, 5, 6),
    ),
    ("BatchNorm1d", (5,), {}, (7, 5)),
    ("BatchNorm1d", (5,), {"momentum": None, "eps": 1e-3}, (3, 5, 4)),
    ("BatchNorm2d", (5,), {"momentum": 0.3}, (3, 5, 4, 2)),
    ("BatchNorm2d", (5,), {"bias": False}, (3, 5, 4, 2)),
    ("BatchNorm2d", (5,), {"affine": False}, (3, 5, 4, 2)),
    ("BatchNorm2d", (5,), {"track_running_stats": False}, (3, 5, 4, 2)),
    ("LayerNorm", (6,), {}, (3, 4, 6)),
    ("LayerNorm", ([4, 6],), {"eps": 1e-3, "bias": False}, (3, 4, 6)),
    ("LayerNorm", (6,), {"elementwise_affine": False}, (3, 4, 6)),
    ("GroupNorm", (3, 6), {"eps": 1e-3}, (4, 6, 3, 2)),
    ("GroupNorm", (2, 6), {"bias": False}, (4, 6)),
    ("InstanceNorm1d", (5,), {"affine": True}, (3, 5, 4)),
    ("InstanceNorm2d", (5,), {"track_running_stats": True}, (3, 5, 4, 2)),
    ("InstanceNorm2d", (5,), {}, (5, 4, 2)),
    ("RMSNorm", (6,), {}, (3, 4, 6)),
    ("RMSNorm", ([4, 6],), {"eps": 1e-3, "elementwise_affine": False}, (3, 4, 6)),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, (3, 5, 4, 2)),
    ("MaxPool1d", (2,), {}, (2, 3, 7)),
    ("MaxPool1d", (3, 2, 1), {"ceil_mode": True}, (3, 7)),
    ("AvgPool1d", (3, 2, 1), {"count_include_pad": False}, (2, 3, 7)),
    ("LPPool1d", (2, 3), {}, (2, 3, 7)),
    ("LPPool2d", (2, (2, 3)), {"stride": 1, "ceil_mode": True}, (2, 3, 6, 7)),
    ("AdaptiveAvgPool1d", (4,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool1d", (4,), {}, (2, 3, 7)),
    ("AdaptiveMaxPool2d", ((4, None),), {}, (2, 3, 6, 7)),
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 6, 7)),
    ("Upsample", ((9, 4),), {"mode": "bilinear", "align_corners": True}, (2, 3, 6, 7)),
    ("UpsamplingNearest2d", (), {"size": 9}, (2, 3, 6, 7)),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}, (2, 3, 6, 7)),
    ("PixelShuffle", (2,), {}, (2, 4, 3, 2)),
    ("PixelUnshuffle", (2,), {}, (2, 4, 4, 2)),
    ("Unfold", (2,), {"padding": 1, "stride": 2}, (2, 3, 6, 7)),
    ("Fold", ((4, 5), 2), {}, (2, 8, 12)),
    *[
        (f"{kind}Pad{axes}d", ((2, 1, 0, 3)[: 2 * axes], *value), {}, (2, 3, 6, 7)[: 2 + axes])
        for kind, value in [
            ("Zero", ()),
            ("Constant", (2.5,)),
            ("Reflection", ()),
            ("Replication", ()),
            ("Circular", ()),
        ]
        for axes in (1, 2)
    ],
    ("ZeroPad2d", (-1,), {}, (2, 3, 6, 7)),
    ("Dropout1d", (0.0,), {}, (3, 4, 2)),
    ("Dropout2d", (0.0,), {}, (3, 4, 2, 2)),
    ("AlphaDropout", (0.0,), {}, (3, 4)),
    ("MaxPool2d", (2,), {}, (3, 6, 7)),
    ("MaxPool2d", (2,), {}, (2, 3, 6, 7)),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True}, (2, 3, 6, 7)),
    ("MaxPool2d", ((2, 3), 1), {"dilation": 2}, (2, 3, 6, 7)),
    ("AvgPool2d", (2,), {}, (2, 3, 6, 7)),
    ("AvgPool2d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, (2, 3, 6, 7)),
    ("AdaptiveAvgPool2d", (1,), {}, (2, 3, 6, 7)),
    ("AdaptiveAvgPool2d", ((4, None),), {}, (2, 3, 6, 7)),
    ("ReLU", (), {}, (3, 4)),
    ("LeakyReLU", (0.2,), {}, (3, 4)),
    ("ELU", (0.7,), {}, (3, 4)),
    ("GELU", (), {}, (3, 4)),
    ("GELU", ("tanh",), {}, (3, 4)),
    ("SiLU", (), {}, (3, 4)),
    ("Sigmoid", (), {}, (3, 4)),
    ("Tanh", (), {}, (3, 4)),
    ("Softplus", (2.0,), {}, (3, 4)),
    ("PReLU", (), {}, (3, 4)),
    ("PReLU", (4, 0.3), {}, (3, 4, 2)),
    ("RReLU", (0.2, 0.2), {}, (3, 4)),
    ("ReLU6", (), {}, (3, 4)),
    ("ELU", (0.7,), {}, (3, 4)),
    ("SELU", (), {}, (3, 4)),
    ("CELU", (0.7,), {}, (3, 4)),
    ("Mish", (), {}, (3, 4)),
    ("Hardtanh", (-0.3, 0.5), {}, (3, 4)),
    ("Hardsigmoid", (), {}, (3, 4)),
    ("Hardswish", (), {}, (3, 4)),
    ("Hardshrink", (0.3,), {}, (3, 4)),
    ("Softshrink", (0.3,), {}, (3, 4)),
    ("Tanhshrink", (), {}, (3, 4)),
    ("Threshold", (0.1, 20.0), {}, (3, 4)),
    ("LogSigmoid", (), {}, (3, 4)),
    ("Softsign", (), {}, (3, 4)),
    ("Softmin", (1,), {}, (3, 4)),
    ("Softmax2d", (), {}, (2, 3, 4, 2)),
    ("GLU", (1,), {}, (3, 4)),
    ("Softmax", (1,), {}, (3, 4, 2)),
    ("LogSoftmax", (-1,), {}, (3, 4, 2)),
    ("Flatten", (), {}, (3, 4, 2)),
    ("Flatten", (0, 1), {}, (3, 4, 2)),
    ("Unflatten", (1, (2, 2)), {}, (3, 4, 2)),
    ("Identity", (54,), {}, (3, 4)),
    ("Dropout", (0.0,), {}, (3, 4)),
]


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS)
def test_a_layer_agrees_in_training_and_in_eval(name, args, settings, shape):
    torch.manual_seed(0)
    ours = getattr(nn, name)(*args, **settings).double()
    theirs = getattr(torch.nn, name)(*args, **settings).double()
    for step in range(2):  # batch norm has state after the first
        ours.load_state_dict(theirs.state_dict())
        ours.zero_grad()
        theirs.zero_grad()
        assert_agree(ours, theirs, array(*shape, seed=step))
    ours.zero_grad()
    theirs.zero_grad()
    assert_agree(ours.eval(), theirs.eval(), array(*shape, seed=5))


@pytest.mark.parametrize(("name", "args", "settings", "shape"), LAYERS)
def test_a_layer_prints_as_in_pytorch(name, args, settings, shape):
    ours = repr(getattr(nn, name)(*args, **settings))
    theirs = repr(getattr(torch.nn, name)(*args, **settings))
    if name.startswith("Upsampling"):  # which has no mode here
        assert ours.startswith(name)
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    ("name", "args", "settings"),
    [
        ("MaxUnpool1d", (2,), {}),
        ("MaxUnpool2d", (2, 1, 1), {}),
        ("MaxUnpool2d", ((2, 3), (2, 1)), {}),
        ("ReflectionPad2d", (1,), {}),
        ("ConstantPad1d", (1, 2.5), {}),
        ("RReLU", (0.1, 0.2), {"inplace": True}),
        ("Dropout2d", (0.2, True), {}),
        ("LeakyReLU", (0.2, True), {}),
        ("Softmax", (), {}),
    ],
)
def test_other_settings_are_shown_as_in_pytorch(name, args, settings):
    ours, theirs = (getattr(lib, name)(*args, **settings) for lib in (nn, torch.nn))
    assert repr(ours) == repr(theirs)


LOSSES = [
    ("CrossEntropyLoss", {}, "labels"),
    ("CrossEntropyLoss", {"ignore_index": 2, "reduction": "sum"}, "labels"),
    ("CrossEntropyLoss", {"label_smoothing": 0.1, "reduction": "none"}, "labels"),
    ("CrossEntropyLoss", {"weight": array(5, seed=3) ** 2}, "labels"),
    ("NLLLoss", {"weight": array(5, seed=3) ** 2, "ignore_index": 1}, "labels"),
    ("MSELoss", {}, "values"),
    ("L1Loss", {"reduction": "none"}, "values"),
    ("SmoothL1Loss", {"beta": 0.3}, "values"),
    ("HuberLoss", {"delta": 0.3}, "values"),
    ("KLDivLoss", {"reduction": "batchmean"}, "shares"),
    ("SoftMarginLoss", {}, "values"),
    ("MultiMarginLoss", {"weight": array(5, seed=3) ** 2, "p": 2}, "labels"),
    ("MultiLabelSoftMarginLoss", {"weight": array(5, seed=3) ** 2}, "shares"),
    ("HingeEmbeddingLoss", {"margin": 0.3}, "values"),
    ("PoissonNLLLoss", {"full": True}, "values"),
    ("CosineSimilarity", {}, "values"),
    ("PairwiseDistance", {"keepdim": True}, "values"),
    ("BCEWithLogitsLoss", {}, "shares"),
    ("BCEWithLogitsLoss", {"weight": array(5, seed=3) ** 2, "reduction": "sum"}, "shares"),
    ("BCEWithLogitsLoss", {"pos_weight": array(5, seed=3) ** 2}, "shares"),
]


@pytest.mark.parametrize(("name", "settings", "kind"), LOSSES)
def test_a_loss_agrees(name, settings, kind):
    target = {
        "labels": np.arange(7) % 5,
        "values": array(7, 5, seed=1),
        "shares": 1 / (1 + np.exp(-array(7, 5, seed=1))),
    }[kind]
    ours = getattr(nn, name)(**settings)
    theirs = getattr(torch.nn, name)(
        **{k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    )
    assert_agree(
        lambda_module(nn.Module, ours, tinynet.tensor(target)),
        lambda_module(torch.nn.Module, theirs, torch.tensor(target)),
        array(7, 5, seed=2),
    )


def lambda_module(base, loss, target):
    """A module of one input that computes `loss(input, target)`."""

    class WithTarget(base):
        def __init__(self):
            super().__init__()
            self.loss = loss

        def forward(self, x):
            return self.loss(x, target)

    return WithTarget()


TORCH_ONLY = {"min_value", "max_value", "size_average", "reduce"}  # which are deprecated there


ANY_ARGUMENTS = {  # in PyTorch, which ignores them
    "Identity", "LogSigmoid", "Sigmoid", "Softmax2d", "Softsign", "Tanh", "Tanhshrink"
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({row[0] for row in LAYERS + LOSSES} - ANY_ARGUMENTS))
def test_arguments_have_pytorchs_names_order_and_defaults(name):
    ours = inspect.signature(getattr(nn, name)).parameters
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    shared = [p for key, p in theirs.items() if key not in TORCH_ONLY]
    names = [key for key in ours if key not in ("rng", "old", "dtype", "axis")]
    shared_names = [p.name for p in shared if p.name != "dtype"]
    assert names[: len(shared_names)] == shared_names
    more = ("AvgPool1d", "MaxUnpool1d", "MaxUnpool2d", "Upsample")  # have arguments of our own
    assert len(names) == len(shared_names) or name in more
    for p in shared:
        assert ours[p.name].default == p.default, p.name


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "ConvTranspose2d"])
@pytest.mark.parametrize("groups", [1, 4])
def test_initial_values_are_spread_as_in_pytorch(name, groups):
    args, settings = ((64, 96), {}) if name == "Linear" else ((64, 96, 3), {"groups": groups})
    torch.manual_seed(0)
    ours = getattr(nn, name)(*args, **settings, rng=np.random.default_rng(0)).state_dict()
    theirs = as_numpy(getattr(torch.nn, name)(*args, **settings).state_dict())
    for key in ("weight", "bias"):
        rough = 0.02 if key == "weight" else 0.2
        np.testing.assert_allclose(ours[key].std(), theirs[key].std(), rtol=rough)
        np.testing.assert_allclose(np.abs(ours[key]).max(), np.abs(theirs[key]).max(), rtol=rough)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("xavier_uniform_", {"gain": 1.5}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": 0.3}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
        ("orthogonal_", {"gain": 2.0}),
        ("trunc_normal_", {"mean": 0.5, "std": 1.0, "a": -1.0}),
        ("normal_", {"mean": 1.0, "std": 2.0}),
        ("uniform_", {"a": -1.0, "b": 3.0}),
    ],
)
def test_init_functions_are_spread_as_pytorchs(name, settings):
    torch.manual_seed(0)
    t = getattr(torch.nn.init, name)(torch.empty(64, 48, 3, 3), **settings).numpy()
    x = tinynet.zeros(64, 48, 3, 3)
    getattr(nn.init, name)(x, **settings, rng=np.random.default_rng(0))
    np.testing.assert_allclose(x.numpy().std(), t.std(), rtol=0.02)
    np.testing.assert_allclose(x.numpy().mean(), t.mean(), atol=0.03 * t.std())
    np.testing.assert_allclose(np.quantile(x, 0.9), np.quantile(t, 0.9), rtol=0.03)


@pytest.mark.parametrize(
    ("name", "shape", "settings"),
    [
        ("eye_", (3, 5), {}),
        ("dirac_", (4, 3, 3, 4), {}),
        ("dirac_", (6, 2, 5), {"groups": 2}),
    ],
)
def test_initial_values_that_are_not_random_agree(name, shape, settings):
    expected = getattr(torch.nn.init, name)(torch.empty(shape), **settings)
    y = getattr(nn.init, name)(tinynet.ones(*shape), **settings)
    assert y.tolist() == expected.tolist()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clipping_agrees(p, max_norm):
    gradients = [array(3, 4), array(5, seed=1)]
    ours = [nn.Parameter(np.zeros(g.shape)) for g in gradients]
    theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in gradients]
    for g, x, t in zip(gradients, ours, theirs):
        x.grad, t.grad = tinynet.tensor(g), torch.tensor(g)
    norm = utils.clip_grad_norm_(ours, max_norm, p)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, p)
    assert norm.item() == pytest.approx(expected.item(), rel=1e-12)
    for x, t in zip(ours, theirs):
        np.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-12)


def torch_lenet():
    layers = {
        "c1": torch.nn.Conv2d(1, 6, 5, padding=2),
        "relu1": torch.nn.ReLU(),
        "s2": torch.nn.MaxPool2d(2),
        "c3": torch.nn.Conv2d(6, 16, 5),
        "relu3": torch.nn.ReLU(),
        "s4": torch.nn.MaxPool2d(2),
        "flatten": torch.nn.Flatten(),
        "c5": torch.nn.Linear(400, 120),
        "relu5": torch.nn.ReLU(),
        "f6": torch.nn.Linear(120, 84),
        "relu6": torch.nn.ReLU(),
        "output": torch.nn.Linear(84, 10),
    }
    model = torch.nn.Sequential()
    for name, layer in layers.items():
        model.add_module(name, layer)
    return model


def test_a_whole_lenet_agrees_and_prints_alike():
    ours, theirs = models.lenet5().double(), torch_lenet().double()
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    assert_agree(ours, theirs, array(3, 1, 28, 28))


class TorchBlock(torch.nn.Module):
    """He et al.'s block, written with PyTorch's functions."""

    def __init__(self, c, o, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(c, o, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(o)
        self.conv2 = torch.nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(o)
        self.extra, self.stride = o - c, stride

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        seen = x[:, :, :: self.stride, :: self.stride]
        shortcut = torch.nn.functional.pad(seen, (0, 0, 0, 0, 0, self.extra))
        return torch.relu(y + shortcut)


@pytest.mark.parametrize(("c", "o", "stride"), [(4, 4, 1), (4, 8, 2)])
@pytest.mark.parametrize("size", [6, 7])
def test_a_residual_block_agrees(c, o, stride, size):
    (ours,) = models.resnet.stage(1, c, o, stride).double()
    theirs = TorchBlock(c, o, stride).double()
    ours.load_state_dict(theirs.state_dict())
    assert_agree(ours, theirs, array(3, c, size, size))


def test_vgg_has_the_names_of_torchvision():
    names = list(models.vgg11(10, image_size=32, batch_norm=True).state_dict())
    assert names[:8] == [
        "features.0.weight", "features.0.bias", "features.1.weight", "features.1.bias",
        "features.1.running_mean", "features.1.running_var", "features.1.num_batches_tracked",
        "features.4.weight",
    ]  # fmt: skip
    assert names[-6:] == [
        "classifier.0.weight", "classifier.0.bias", "classifier.3.weight", "classifier.3.bias",
        "classifier.6.weight", "classifier.6.bias",
    ]  # fmt: skip


# ----- bags ---------------------------------------------------------------------------------------

BAGS = [
    ({}, [[1, 2, 2], [4, 0, 5]], None),
    ({"mode": "sum"}, [1, 2, 4, 5, 4, 3, 2], [0, 3, 3, 5]),
    ({"mode": "sum", "padding_idx": 2}, [1, 2, 4, 5, 2, 3, 2], [0, 4, 4, 6]),
    ({"mode": "mean", "padding_idx": 2}, [[1, 2, 4], [2, 2, 2]], None),
    ({"mode": "max"}, [1, 2, 4, 5, 4, 3, 2], [0, 3, 3, 5]),
    ({"mode": "max", "padding_idx": -1}, [[1, 5, 4], [5, 5, 5], [2, 2, 2]], None),
    ({"mode": "mean", "include_last_offset": True}, [1, 2, 4, 5], [0, 2, 2, 4]),
    ({"mode": "sum", "weights": True}, [[1, 2, 2], [4, 0, 5]], None),
    ({"mode": "sum", "weights": True, "padding_idx": 2}, [1, 2, 4, 2], [0, 1]),
]


@pytest.mark.parametrize(("settings", "indices", "offsets"), BAGS, ids=str)
def test_bags_of_rows_agree(settings, indices, offsets):
    settings = dict(settings)
    rng = np.random.default_rng(8)
    table, factors = rng.standard_normal((6, 3)), rng.standard_normal(np.shape(indices))
    weighted, results = settings.pop("weights", False), []
    for lib in (tinynet, torch):
        w = lib.tensor(table, requires_grad=True)
        layer = lib.nn.EmbeddingBag.from_pretrained(w, freeze=False, **settings)
        factor = lib.tensor(factors, requires_grad=True) if weighted else None
        at = None if offsets is None else lib.tensor(offsets)
        y = layer(lib.tensor(indices), at, factor)
        (y * lib.tensor(np.arange(1.0, 1 + y.numel()).reshape(tuple(y.shape)))).sum().backward()
        found = [y, layer.weight.grad, *([factor.grad] if weighted else [])]
        results.append([np.asarray(x.tolist()) for x in found])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda bag: bag(tinynet.tensor([1, 2])), r"indices \(bags, N\), or a vector and offsets"),
        (lambda bag: bag(tinynet.tensor([[1, 2]]), tinynet.tensor([0])), "or a vector and offsets"),
        (lambda bag: bag(tinynet.tensor([1, 2]), tinynet.tensor([1])), "offsets go from 0 up to"),
        (lambda bag: bag(tinynet.tensor([1, 9]), tinynet.tensor([0])), "index 9 is out of range"),
        (lambda bag: bag(tinynet.tensor([[1]]), None, tinynet.ones(1, 1)), "with mode='sum'"),
        (lambda bag: tinynet.nn.EmbeddingBag(3, 2, mode="min"), "mode must be"),
    ],
)
def test_what_a_bag_refuses(use, words):
    with pytest.raises(ValueError, match=words):
        use(tinynet.nn.EmbeddingBag(4, 2))
