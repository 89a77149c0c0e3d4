"""tinynet.onnx.export: onnxruntime computes what the model does, or the reason is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import OnnxError, models, nn
from tinynet.cli import main
from tinynet.nn import functional as F

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Net(nn.Module):
    """A forward method of its own over some layers."""

    def __init__(self, forward: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.how = forward

    def forward(self, x: Any) -> Any:
        return self.how(x, *self.layers)


def tensors(result: Any) -> Iterator[np.ndarray]:
    """The arrays of nested lists, tuples and dicts of tensors."""
    if isinstance(result, tinynet.Tensor):
        yield result.array
    else:
        for item in result.values() if isinstance(result, dict) else result:
            yield from tensors(item)


def session(path: Path, fused: bool = True) -> Any:
    """onnxruntime's. It fuses layers unless told not to: 1.23 rounds fused batch norm to 1e-4."""
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def check(
    model: nn.Module, path: Path, shape: tuple[int, ...], fused: bool = True, **settings: Any
) -> Any:
    """The file, which onnxruntime runs as the model runs, and which is read back as that."""
    tinynet.onnx.export(model, path, shape, **settings)
    run = session(path, fused).run
    model.eval()
    rng = np.random.default_rng(1)
    for N in (1, 2, 7):
        x = rng.standard_normal((N, *shape), dtype=np.float32)
        with tinynet.no_grad():
            ours = list(tensors(model(tinynet.from_numpy(x))))
        theirs = run(None, {"input": x})
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs):
            assert mine.shape == other.shape
            assert mine.dtype == other.dtype
            near = 1e-5 * max(1, np.abs(mine).max(initial=0))
            np.testing.assert_allclose(other, mine, rtol=0, atol=near)
    again = tinynet.onnx.load(path)
    with tinynet.no_grad():
        for mine, read in zip(ours, tensors(again.eval()(tinynet.from_numpy(x)))):
            near = 1e-5 * max(1, np.abs(mine).max(initial=0))
            np.testing.assert_allclose(read, mine, rtol=0, atol=near)
    return onnx.load(path)


@pytest.mark.parametrize("name", models.names())
def test_the_models_that_come_along(tmp_path, monkeypatch, name):
    if name != "vgg16":  # at its full width; its kin are kept narrow, for time
        monkeypatch.setattr("tinynet.models.vgg.WIDTHS", (8, 8, 16, 16, 16))
    sizes = {"digits_cnn": (1, 8), "lenet5": (1, 28)}
    C, side = sizes.get(name, (3, 32))
    model = models.build(name, num_classes=10, in_channels=C, image_size=side)
    check(model, tmp_path / "model.onnx", (C, side, side))


def in_place(x, conv):
    y = conv(x)
    z = F.relu_(conv(y))
    z += y
    z *= 2
    return z


def clamped(x, conv):
    y = conv(x)
    z = F.hardtanh(y, -100.0, 100.0)
    F.hardtanh_(y, -50.0, 50.0)
    return conv(z * 100), 100 * y


def grid(x):
    along = tinynet.linspace(-1, 1, 6).reshape(1, 1, 1, 6)
    zeros = tinynet.zeros(len(x), 1, 6, 6)
    return tinynet.cat([x, along.expand(len(x), 1, 6, 6), zeros], 1)


def attention(x):
    q = x.flatten(2).transpose(1, 2)
    return F.softmax(q @ q.transpose(1, 2) / 6**0.5, -1) @ q


IMAGE = 4, 6, 6
NETS = {
    "residual": (lambda x, conv, norm: F.relu(x + norm(conv(x))),
                 nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)),
    "concat": (lambda x, one, two: tinynet.cat([one(x), x, two(x)], 1),
               nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, (3, 4), padding="same")),
    "split": (lambda x: sum(a * b for a, b in zip(x.split(2, 1), x.chunk(2, 1))),),
    "mean pool": (lambda x, out: out(x.mean((2, 3))), nn.Linear(4, 3)),
    "reshape by the batch": (lambda x, out: out(x.reshape(x.shape[0], 144)), nn.Linear(144, 3)),
    "reshape with -1": (lambda x: (x.reshape(-1, 36), x.reshape(len(x), -1)),),
    "batch and channels": (lambda x: x.reshape(4 * len(x), 6, 6).reshape(len(x), 4, 36) * 2,),
    "flatten": (lambda x, flat, out: out(flat(x)), nn.Flatten(), nn.Linear(144, 3)),
    "transposed convolution": (lambda x, conv: conv(x),
                               nn.ConvTranspose2d(4, 3, 3, 2, padding=1, output_padding=1)),
    "dilated, in groups": (lambda x, conv: conv(x),
                           nn.Conv2d(4, 6, 3, dilation=2, groups=2, padding="same", bias=False)),
    "signals": (lambda x, conv, pool: pool(conv(x[:, :, 0])),
                nn.Conv1d(4, 3, 3, padding=1), nn.MaxPool1d(2)),
    "upsample": (lambda x, up: (up(x), F.interpolate(x, scale_factor=2, mode="bilinear"),
                                F.interpolate(x, size=(9, 16), mode="bilinear",
                                              align_corners=True),
                                F.interpolate(x, size=(9, 7), mode="bicubic"),
                                F.interpolate(x, scale_factor=0.5)),
                 nn.Upsample(scale_factor=2)),
    "norms": (lambda x, *norms: tuple(norm(x) for norm in norms),
              nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm((6, 6)),
              nn.LayerNorm(6, elementwise_affine=False), nn.BatchNorm2d(4, affine=False),
              nn.LocalResponseNorm(3), nn.RMSNorm(6)),
    "vectors": (lambda x, norm, out: (norm(x[:, :, 0, 0]), out(x)),
                nn.BatchNorm1d(4), nn.Linear(6, 2)),
    "activations": (lambda x, *layers: [f(x) for f in (
        *layers, F.gelu, F.silu, F.mish, F.selu, F.celu, F.elu, F.hardswish, F.hardsigmoid, F.relu6,
        F.softplus, F.softsign, F.logsigmoid, F.hardshrink, F.softshrink, F.tanhshrink,
        F.leaky_relu, tinynet.tanh, tinynet.sigmoid)], nn.Dropout(0.5)),
    "activations with settings": (lambda x: (
        F.gelu(x, "tanh"), F.threshold(x, 0.1, 2.0), F.softplus(x, 2.0), F.glu(x, 1),
        F.log_softmax(x, 1)),),
    "slopes": (lambda x, one, each: each(one(x)), nn.PReLU(), nn.PReLU(4)),
    "softmax": (lambda x, out: F.softmax(out(x.flatten(1)), 1), nn.Linear(144, 5)),
    "slicing": (lambda x: (x[:, 1:3, ::2, -1], x[:, None, ..., 1:-1], x[:, [2, 0, 1]], x.flip(0, 2),
                           x[len(x) - 1], x[-1, 1], x[1 - len(x) :], x[:, -1, None, 2:, 0]),),
    "padding": (lambda x: (F.pad(x, (1, 2, 2, 1), mode="reflect"), F.pad(x, (1, 2), value=3.0),
                           tinynet.roll(x, 2, -1)),),
    "pools": (lambda x: (F.max_pool2d(x, 3, 2, 1, ceil_mode=True), F.avg_pool2d(x, 3, 1, 1),
                         F.max_pool2d(x, 5, 2, ceil_mode=True), F.avg_pool2d(x, 4, ceil_mode=True),
                         F.avg_pool2d(x, 3, 2, 1, True, False), F.adaptive_avg_pool2d(x, 1),
                         F.avg_pool2d(x, 2, divisor_override=3), F.adaptive_avg_pool2d(x, (3, 2)),
                         F.adaptive_avg_pool2d(x, 4), F.adaptive_max_pool2d(x, (1, 3))),),
    "constants": (lambda x: (2 * x - 1 / (x * x + 3)) ** 2 / x.shape[0],),
    "functions": (lambda x: (
        x.exp(), x.sin(), x.exp2(), x.expm1(), x.trunc(), x.round(), x % 1.5, tinynet.fmod(x, 1.5),
        x.erf(), x.clamp(-0.5, 0.5), x.clamp(min=0.0), x.clamp(max=tinynet.arange(6.0)), -x,
        x.sign(), tinynet.logaddexp(x, -x), tinynet.maximum(x, 2 * x), tinynet.hypot(x, x + 1),
        x.tril(),
        tinynet.where(tinynet.arange(6) > 2, x, 0.0), *(getattr(x * x + 1, name)() for name in (
            "log", "log2", "log10", "log1p", "rsqrt", "sqrt", "reciprocal")), x.double()),),
    "reductions": (lambda x: (
        x.sum() / len(x), x.var(1), x.std((2, 3)), x.var(0, unbiased=False), x.norm(dim=1),
        x.norm(1, dim=1), x.logsumexp(1), x.prod(1), x.min(), x.amax(0, keepdim=True),
        x.cumsum(1), F.normalize(x)),),
    "products": (lambda x: tinynet.einsum("nchw,nchv->nwv", x, x),),
    "attention": (attention,),
    "expanded": (lambda x: (x.mean((2, 3), keepdim=True).expand(-1, -1, 3, 3), x.repeat(1, 2, 1, 1),
                            x.mean(0, keepdim=True).expand(len(x), -1, -1, -1)),),
    "pixels": (lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), tinynet.stack([x, x])),),
    "constants by the batch": (grid,),
    "in place": (in_place, nn.Conv2d(4, 4, 1)),
    "in place, without effect so far": (clamped, nn.Conv2d(4, 4, 1)),
    "sizes as tensors": (lambda x: (x * tinynet.tensor([len(x)]), x.sum() / tinynet.tensor(len(x)),
                                    x[: tinynet.tensor(x.shape)[0] - 1]),),
    "booleans and integers": (lambda x: (
        x * True, x + True, x**True, x.clamp(False, True), x * (len(x) > 0), 3 - x,
        x + tinynet.arange(6) % 3, x % tinynet.arange(1, 7), {"": x}),),
    "what it was given": (lambda x, out: (x, x, out.weight, x.relu().clone()), nn.Linear(2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_forward_methods_of_ones_own(tmp_path, name):
    check(Net(*NETS[name]), tmp_path / "model.onnx", IMAGE)


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_newer_opsets(tmp_path, opset):
    for name in ("reductions", "norms", "pools", "upsample", "slicing"):
        file = check(Net(*NETS[name]), tmp_path / "model.onnx", IMAGE, fused=False, opset=opset)
        assert file.opset_import[0].version == opset


def test_a_file_says_where_everything_is_from(tmp_path):
    model = models.build("digits_cnn")
    file = check(model, tmp_path / "new" / "model.onnx", (1, 8, 8))
    assert file.ir_version == 8
    assert file.opset_import[0].version == 17
    kinds = [node.op_type for node in file.graph.node]
    assert kinds.count("BatchNormalization") == 3
    assert [node.name for node in file.graph.node][:2] == ["conv1.Conv", "bn1.BatchNormalization"]
    named = {x.name: onnx.numpy_helper.to_array(x) for x in file.graph.initializer}
    state = {k: v.array for k, v in model.state_dict().items() if "num_batches" not in k}
    assert state.keys() <= named.keys()
    assert all((named[name] == array).all() for name, array in state.items())
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*file.graph.input, *file.graph.output, *file.graph.value_info)
    }
    assert shapes["input"] == ["batch", 1, 8, 8]
    assert shapes["output"] == ["batch", 10]
    assert shapes["conv1.Conv"][0] == "batch"


SIZES = {  # what `forward` makes of (N, 6), and the sizes that the file says it has
    "all images": (lambda x: x[:2] + x.sum(0), [None, 6]),
    "the first": (lambda x: x[0], [6]),
    "up to two": (lambda x: x[:2], [None, 6]),
    "computed with": (lambda x: (x[:2] * 2).relu().T, [6, None]),
    "all but one": (lambda x: x[1:], [None, 6]),
    "reduced": (lambda x: x[:2].sum(0, keepdim=True), [1, 6]),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_that_is_another_for_few_images_is_free(tmp_path, name):
    forward, sizes = SIZES[name]
    file = check(Net(forward), tmp_path / "model.onnx", (6,))
    (output,) = file.graph.output
    dims = output.type.tensor_type.shape.dim
    assert [d.dim_value if d.HasField("dim_value") else None for d in dims] == sizes


def test_what_is_read_can_be_written_again(tmp_path):
    for name in ("residual", "norms", "slicing", "expanded", "sizes as tensors", "slopes"):
        tinynet.onnx.export(Net(*NETS[name]), tmp_path / "first.onnx", IMAGE)
        check(tinynet.onnx.load(tmp_path / "first.onnx"), tmp_path / "second.onnx", IMAGE)


def test_what_the_result_does_not_need_is_left_out(tmp_path):
    def forward(x):
        sure = F.softmax(x, 1).max(1).values > 0.5
        _ = sure.float() * x[:, 0]
        return x.relu()

    file = check(Net(forward), tmp_path / "model.onnx", IMAGE)
    assert [node.op_type for node in file.graph.node] == ["Relu", "Identity"]


def test_a_parameter_of_two_names_goes_by_the_first(tmp_path):
    net = Net(lambda x, one, two: two(one(x)), nn.Linear(6, 6), nn.Linear(6, 6))
    net.layers[1].weight = net.layers[0].weight
    file = check(net, tmp_path / "model.onnx", IMAGE)
    assert {x.name for x in file.graph.initializer} == {
        "layers.0.weight", "layers.0.bias", "layers.1.bias"
    }  # fmt: skip


def test_results_keep_their_names(tmp_path):
    both = Net(lambda x: {"mean": x.mean(1), "all": [x, x.sum()]})
    alone = Net(lambda x: {"mean": x.mean(1), "sum": x.sum()})
    for net, names in ((both, ["output_0", "output_1", "output_2"]), (alone, ["mean", "sum"])):
        tinynet.onnx.export(net, tmp_path / "model.onnx", IMAGE)
        assert [y.name for y in session(tmp_path / "model.onnx").get_outputs()] == names


def test_a_parameter_named_input_keeps_its_name(tmp_path):
    model = nn.Module()
    model.input = nn.Parameter(2 * tinynet.ones(6))
    model.forward = lambda x: x * model.input + len(x)
    tinynet.onnx.export(model, tmp_path / "model.onnx", IMAGE)
    run = session(tmp_path / "model.onnx")
    assert [x.name for x in run.get_inputs()] == ["input_1"]
    x = np.ones((3, *IMAGE), np.float32)
    np.testing.assert_array_equal(run.run(None, {"input_1": x})[0], 2 * x + 3)


def test_a_model_is_left_as_it_was(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before = {name: tensor.array.copy() for name, tensor in model.state_dict().items()}
    tinynet.manual_seed(3)
    tinynet.onnx.export(model, tmp_path / "model.onnx")
    drawn = tinynet.rand(1).item()
    tinynet.manual_seed(3)
    assert tinynet.rand(1).item() == drawn
    assert model.training
    assert all((before[name] == x.array).all() for name, x in model.state_dict().items())


# ----- what is refused ----------------------------------------------------------------------------


class Counting(nn.Module):
    """A forward that runs `change` before the result, which needs `count`, and `after` behind."""

    def __init__(self, change: str, after: str = "") -> None:
        super().__init__()
        self.linear = nn.Linear(6, 2)
        self.register_buffer("count", tinynet.zeros(1))
        self.register_buffer("unused", tinynet.zeros(1))
        self.change, self.after = change, after

    def forward(self, x: Any) -> Any:
        exec(self.change)
        y = self.linear(x) + self.count
        exec(self.after)
        return y


MOVED = {
    "self.count = self.count + 1": "count",
    "self.count += 1": "count",
    "self.count.copy_(0.9 * self.count + 0.1 * x.mean())": "count",
    "self.linear.weight.data = 2 * self.linear.weight.data": "linear.weight",
}


@pytest.mark.parametrize("change", MOVED)
def test_a_forward_that_moves_what_the_result_needs_is_refused(tmp_path, change):
    for model in (Counting(change), Counting("", change)):
        model.requires_grad_(False)
        with pytest.raises(OnnxError, match=f"forward changes {MOVED[change]}, and a file cannot"):
            tinynet.onnx.export(model, tmp_path / "model.onnx", (6,))
    assert model.count.item() == 0


def test_what_moves_without_the_result_is_no_matter(tmp_path):
    check(Counting("self.unused = self.unused + 1"), tmp_path / "model.onnx", (6,))


class Sum(nn.Module):
    def forward(self, x, y):
        return x + y


@tinynet.differentiable
def doubled(x):
    return 2 * x, lambda dy: 2 * dy


def emptied(x):
    y = 2 * x
    y[:, 0] = 0
    return y


def written_to(x):
    y = x.relu()
    y.numpy()[:] = 0
    return y


KERNEL = tinynet.ones(4, 4, 3, 3)
FOLLOWED = "depends on the data or the size of the batch, and that no operation made"
REFUSED = {
    "if": (lambda x: x.relu() if x.mean() > 0 else -x, "(relu|neg) in layer Net.*another batch"),
    "if not": (lambda x: x.relu() if x.sum() > 0 else x, "the forward pass does something else"),
    "mask": (lambda x: x * (x > 0).float(), FOLLOWED),
    "where": (lambda x: tinynet.where(x > 0, x, 0.0), f"where in layer Net.*{FOLLOWED}"),
    "a mask that is full": (lambda x: tinynet.where(x > -1e9, x, 0.0), FOLLOWED),
    "argmax": (lambda x: x.flatten(1).argmax(1), f"the result: .*{FOLLOWED}"),
    "max along an axis": (lambda x: x.max(1).values, "getitem.*maxima with amax"),
    "assignment": (emptied, FOLLOWED),
    "NumPy": (lambda x: tinynet.from_numpy(np.cumsum(x.numpy(), 1)), FOLLOWED),
    "a copy": (lambda x: tinynet.from_numpy(x.relu().numpy().copy()) + 1, FOLLOWED),
    "written to": (written_to, FOLLOWED),
    "noise": (lambda x: x + tinynet.randn(6, 6), FOLLOWED),
    "dropout": (lambda x: F.dropout(x), "dropout in layer Net.* ONNX has no form of it"),
    "half the batch": (lambda x: x[: len(x) // 2], "1, 1, 2, 128, 0 for batches of 2, 3, 5, 257"),
    "the batch squared": (lambda x: x * len(x) ** 2, "4, 9, 25, 66049, 1 for batches of 2, 3, 5"),
    "item": (lambda x: x * x.mean().item(), "a number that depends on the data"),
    "an operation of one's own": (doubled, "doubled in layer Net.*no form.*It writes abs, .*relu"),
    "no tensor": (lambda x: 3, "the model returned 3, and no tensor"),
    "statistics of the batch": (lambda x: F.batch_norm(x, None, None, training=True),
                                "batch_norm.*it needs running ones"),
    "norm": (lambda x: x.norm(3), "p=1 and p=2, not p=3"),
    "rounding": (lambda x: x.round(decimals=1), "decimals=0"),
    "counted padding": (lambda x: F.avg_pool2d(x, 3, 2, 1, True), "count_include_pad=False"),
    "two arrays": (lambda x: x[:, [0, 1], [0, 1]], "one array of integers"),
    "three axes": (lambda x: F.interpolate(x[:, None], size=(3, 3, 3), mode="area"), "two at a"),
    "correction over the batch": (lambda x: x.var((0, 2)), "correction=0"),
    **{
        f"the batch as {name}": (forward, "a setting of it follows the size of the batch")
        for name, forward in {
            "padding": lambda x: F.conv2d(x, KERNEL, padding=len(x)),
            "padding of one axis": lambda x: F.conv2d(x, KERNEL, padding=(len(x), 1)),
            "dilation": lambda x: F.conv2d(F.interpolate(x, size=40), KERNEL, dilation=len(x)),
            "groups": lambda x: F.conv2d(x.reshape(1, -1, 6, 6), KERNEL[:, :1].repeat(
                len(x) * 4, 1, 1, 1), groups=len(x) * 4),
            "padding cut off": lambda x: F.conv_transpose2d(
                F.interpolate(x, size=40), KERNEL.mT, padding=len(x)),
            "output padding": lambda x: F.conv_transpose2d(
                x, KERNEL, stride=20, output_padding=len(x)),
            "padding of a pool": lambda x: F.max_pool2d(
                F.interpolate(x, size=40), 36, 1, padding=len(x)),
            "padding of a mean": lambda x: F.avg_pool2d(
                F.interpolate(x, size=40), 36, 1, padding=len(x)),
            "divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=len(x)),
            "sizes of a norm": lambda x: F.layer_norm(x.permute(1, 2, 3, 0), (len(x),)),
            "eps": lambda x: F.layer_norm(x, (6,), eps=len(x)),
            "slope": lambda x: F.leaky_relu(x, len(x)),
        }.items()
    },
    "a squeezed batch": (lambda x: x.mean((1, 2, 3), keepdim=True).squeeze(), "for batches of"),
    "at most two": (lambda x: x * min(len(x), 2), "2, 2, 2, 2, 1 for batches of"),
    "a batch of one": (lambda x: x if len(x) == 1 else x * 2, "does something else with another"),
    "more than eight": (lambda x: x.relu() if len(x) > 8 else x, "at this place relu in Net"),
    "more than a hundred": (lambda x: -x if len(x) > 100 else x, "at this place neg in Net"),
    "more than a thousand numbers": (lambda x: -x if x.numel() > 1000 else x, "another batch"),
    "at most seven": (lambda x: x * min(len(x), 7), "2, 3, 5, 7, 1 for batches of"),
    "None beside": (lambda x: (x, None), "the model returned None, and no tensor"),
    "a size beside": (lambda x: (x, len(x)), "the model returned the size of the batch"),
    "nothing": (lambda x: {}, "the model returned {}, and no tensor"),
    "integers by their floor": (lambda x: x + tinynet.arange(6).floor(), "not valid ONNX.*Floor"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_say_is_refused_by_name(tmp_path, name):
    forward, told = REFUSED[name]
    with pytest.raises(OnnxError, match=f"(?s)export: {told}|export: .*{told}"):
        tinynet.onnx.export(Net(forward), tmp_path / "model.onnx", IMAGE)
    assert not list(tmp_path.iterdir())


def test_a_refusal_names_the_layer_and_the_line(tmp_path):
    inner = Net(lambda x: x.norm(3))
    with pytest.raises(OnnxError, match=r"in layer layers\.0 \(Net\), called in .*x\.norm\(3\)"):
        tinynet.onnx.export(Net(lambda x, net: net(x), inner), tmp_path / "model.onnx", IMAGE)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("model.onnx", nn.ReLU()), TypeError, "takes a Module, a path and the shape of an image"),
        ((nn.ReLU(), tinynet.ones(1, 4), "model.onnx"), TypeError, r"export\(model, 'model.onnx'"),
        ((nn.ReLU(), "model.onnx", (1,), 11), ValueError, "opset must be from 17 to"),
        ((Sum(), "model.onnx", (3,)), OnnxError, "a forward of one tensor.*missing.*'y'"),
        *(
            ((nn.ReLU(), "model.onnx", shape), error, f"export: .*input_shape.*{told}")
            for shape, error, told in (
                (8, TypeError, "is a tuple.*8"),
                ((1, None), TypeError, "None"),
                ((8.0,), TypeError, "8.0"),
                ((-8,), ValueError, "-8"),
            )
        ),
        ((nn.ReLU(), "model.onnx", (1,), 17, True), OnnxError, "knows its normalisation"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, told):
    with pytest.raises(error, match=told):
        tinynet.onnx.export(*arguments)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "tinynet.onnx.exporter", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "tinynet-cnn\[onnx\]"'):
        _ = tinynet.onnx.export


# ----- runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", "--epochs", "1", "--out", str(folder)]) == 0
    return folder


def test_a_run_with_its_preprocessing_takes_bytes(run, tmp_path, capsys):
    path = tmp_path / "model.onnx"
    for _ in range(2):  # the second replaces the first
        assert main(["export", str(run), str(path), "--include-preprocessing"]) == 0
    assert "model.onnx: 1" in capsys.readouterr().out
    theirs = session(path)
    model = tinynet.load(run)
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 8, 8), np.uint8)
    ours = model(tinynet.from_numpy(model.input_transform(images)))
    np.testing.assert_allclose(theirs.run(None, {"input": images})[0], ours.array, atol=1e-5)
    about = theirs.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == list("0123456789")
    assert json.loads(about["input_shape"]) == [1, 8, 8]


def test_the_file_of_a_model_of_ones_own_is_not_told(tmp_path):
    network = Net(lambda x: x.relu())
    tinynet.save(network, tmp_path / "w.safetensors", name="secret.py:Net", classes=["a", "b"])
    tinynet.onnx.export(tinynet.load(tmp_path / "w.safetensors", network), tmp_path / "m.onnx")
    about = session(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert about == {"classes": '["a", "b"]'}


def test_a_run_without_its_preprocessing_takes_what_the_network_takes(run, tmp_path):
    assert main(["export", str(run), str(tmp_path / "model.onnx")]) == 0
    assert session(tmp_path / "model.onnx").get_inputs()[0].type == "tensor(float)"


@pytest.mark.parametrize(
    ("file", "more", "told"),
    [
        ("w.safetensors", ["--include-preprocessing"], "are for a file that ends in .onnx"),
        ("text.onnx", [], "a file is there that is no model"),
    ],
)
def test_what_the_command_refuses(run, tmp_path, capsys, file, more, told):
    (tmp_path / "text.onnx").write_text("hello")
    assert main(["export", str(run), str(tmp_path / file), *more]) == 2
    assert told in capsys.readouterr().err
