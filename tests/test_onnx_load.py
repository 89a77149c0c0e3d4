"""ONNX files are read right, train on, and do no harm where they are wrong."""

from __future__ import annotations

import copy
import os
import pickle

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim
from tinynet.errors import OnnxError, ShapeError
from tinynet.nn import functional as F

pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOAT = TensorProto.FLOAT
RNG = np.random.default_rng(0)


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def node(operator, inputs, outputs="y", **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def file_of(nodes, arrays, opset=17, shape=("n", 1, 6, 6), outputs=("y",), inputs=1, **more):
    """A model whose input is x; arrays: by name, or as TensorProto."""
    tensors = [
        x if isinstance(x, TensorProto) else numpy_helper.from_array(np.asarray(x), name)
        for name, x in arrays.items()
    ]
    x = helper.make_tensor_value_info("x", FLOAT, shape)
    ys = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", [x] * inputs, ys, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


@pytest.fixture
def read(tmp_path):
    """What tinynet makes of a model."""

    def load(model):
        path = tmp_path / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return tinynet.onnx.load(path)

    return load


BATCH_NORM = "bn.weight bn.bias bn.running_mean bn.running_var"


def small_net(**more):
    """A convolution, batch norm, ReLU, a reshape of five nodes, a dense layer."""
    nodes = [
        node("Conv", "x conv.weight conv.bias", "a", pads=[1, 1, 1, 1]),
        node("BatchNormalization", f"a {BATCH_NORM}", "b", momentum=0.9),
        node("Relu", "b", "c"),
        node("Shape", "c", "s"),
        node("Constant", "", "zero", value=numpy_helper.from_array(np.array(0))),
        node("Gather", "s zero", "n"),
        node("Constant", "", "axes", value_ints=[0]),
        node("Unsqueeze", "n axes", "n1"),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "n1 rest", "shape", axis=0),
        node("Reshape", "c shape", "flat"),
        node("Gemm", "flat fc.weight fc.bias", "y", transB=1),
    ]
    arrays = {
        "conv.weight": array(2, 1, 3, 3), "conv.bias": array(2),
        "bn.weight": array(2, seed=1), "bn.bias": array(2, seed=2),
        "bn.running_mean": array(2, seed=3), "bn.running_var": np.abs(array(2, seed=4)),
        "fc.weight": array(3, 72), "fc.bias": array(3), **more,
    }  # fmt: skip
    return file_of(nodes, arrays)


class Net(nn.Module):
    """The same in tinynet."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.fc = nn.Linear(72, 3)

    def forward(self, x):
        return self.fc(F.relu(self.bn(self.conv(x))).flatten(1))


def step(model, seed):
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    F.cross_entropy(model(array(4, 1, 6, 6, seed=seed)), np.arange(4) % 3).backward()
    optimizer.step()


def test_it_has_the_names_and_predicts_and_trains_as_the_net_itself(read):
    model, net = read(small_net()), Net()
    assert not model.training
    assert [name for name, _ in model.named_parameters()] == [
        name for name, _ in net.named_parameters()
    ]
    net.load_state_dict(model.state_dict(), strict=False)
    net.eval()
    x = array(5, 1, 6, 6)
    np.testing.assert_allclose(model(x).array, net(x).array, rtol=1e-5, atol=1e-6)
    model.train(), net.train()
    for seed in range(3):
        step(model, seed), step(net, seed)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, net.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_it_is_a_module_like_any_other(read):
    model, x = read(small_net()), array(2, 1, 6, 6)
    y = model(x).array
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.train()
        step(other, 0)
        other.eval()
        assert not np.array_equal(other(x).array, y)
    assert np.array_equal(model(x).array, y)
    assert model.double()(x.astype(np.float64)).dtype == np.float64
    assert "Conv" not in model.report
    assert "6 arrays" in model.report


def test_the_input_is_checked_against_the_file(read):
    model = read(small_net())
    with pytest.raises(ShapeError, match=r"'x' has shape \(1, 3, 6, 6\), the file says \(any, 1"):
        model(array(1, 3, 6, 6))
    with pytest.raises(TypeError, match="takes 1 inputs"):
        model()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits_cnn", (1, 8, 8)), ("lenet5", (1, 28, 28)), ("resnet8", (3, 16, 16))],
)
def test_what_tinynet_writes_it_reads(name, shape, tmp_path):
    net = getattr(tinynet.models, name)()
    net.train()(array(4, *shape))
    tinynet.onnx.export(net.eval(), tmp_path / "m.onnx", shape)
    model, x = tinynet.onnx.load(tmp_path / "m.onnx"), array(3, *shape, seed=1)
    np.testing.assert_allclose(model(x).array, net(x).array, rtol=1e-5, atol=1e-5)
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in net.named_parameters()]
    net.load_state_dict(model.state_dict(), strict=False)  # without num_batches_tracked


class Scaled(nn.Module):
    """A factor that is not learned, a group norm, a weight of its own."""

    def __init__(self):
        super().__init__()
        self.norm, self.gain = nn.GroupNorm(2, 4), nn.Parameter(array(4, 1, 1))

    def forward(self, x):
        return self.norm(x * array(4, 1, 1, seed=1)) * self.gain


def test_a_constant_that_tinynet_wrote_stays_one(tmp_path):
    net = Scaled()
    tinynet.onnx.export(net, tmp_path / "m.onnx", (4, 3, 3))
    model = tinynet.onnx.load(tmp_path / "m.onnx")
    assert dict(model.named_parameters()).keys() == dict(net.named_parameters()).keys()


# ----- arrays that are stored once ----------------------------------------------------------------


def test_equal_fresh_arrays_are_trained_apart_and_statistics_never(read):
    ones, zeros = np.ones(1, np.float32), np.zeros(1, np.float32)
    model = read(
        file_of(
            [
                node("Identity", "bn1.bias", "bn2.bias"),
                node("Identity", "bn1.bias", "bn2.running_mean"),
                node("BatchNormalization", "x bn1.weight bn1.bias bn1.bias bn1.weight", "a"),
                node("Relu", "a", "b"),
                node("BatchNormalization", "b bn1.weight bn2.bias bn2.running_mean bn1.weight"),
            ],
            {"bn1.weight": ones, "bn1.bias": zeros},
        )
    )
    assert len(list(model.parameters())) == 4
    assert {"bn1.weight", "bn1.bias", "bn2.bias"} < {name for name, _ in model.named_parameters()}
    assert "bn2.running_mean" in dict(model.named_buffers())
    model.train()
    (model(array(4, 1, 6, 6)) * array(4, 1, 6, 6, seed=1)).sum().backward()
    values = [*model.parameters(), *model.buffers()]
    assert len({x.array.tobytes() for x in values}) > 3  # the statistics went ways of their own
    assert not any(np.shares_memory(a.array, b.array) for a in values for b in values if a is not b)
    assert "made separate" in model.report


def test_a_tied_weight_stays_one(read):
    model = read(
        file_of(
            [
                node("Conv", "x w b", "a", pads=[1, 1, 1, 1]),
                node("Conv", "a w b", "y", pads=[1, 1, 1, 1]),
            ],
            {"w": array(1, 1, 3, 3), "b": np.zeros(1, np.float32)},
        )
    )
    assert [name for name, _ in model.named_parameters()] == ["w", "b"]


@pytest.mark.parametrize(
    ("nodes", "learned"),
    [
        ([node("Mul", "x w")], "w"),
        ([node("Unsqueeze", "w k", "u"), node("Add", "x u")], "w"),
        ([node("Sub", "x w")], ""),  # a mean of the inputs
        ([node("Clip", "x w")], ""),
        ([node("Add", "x mask")], ""),
        ([node("InstanceNormalization", "x ones zeros")], ""),  # so group norm is spelled
        (
            [
                node("InstanceNormalization", "x ones zeros", "a"),
                node("BatchNormalization", "a ones zeros zeros ones"),
            ],
            "ones_2 zeros_2",
        ),
        (
            [
                node("ReduceL2", "v", "n"),
                node("Div", "v n", "u"),
                node("Mul", "u w", "m"),
                node("Conv", "x m"),
            ],
            "v w",
        ),  # a weight that is made of others
        (
            [
                node("Shape", "v", "s"),
                node("Conv", "x v", "c"),
                node("ConstantOfShape", "s", "d"),
                node("Add", "c d"),
            ],
            "v",
        ),
    ],
)
def test_what_is_learned_follows_from_the_place(nodes, learned, read):
    one = np.ones(1, np.float32)
    arrays = {"w": array(1), "k": np.array([1]), "ones": one, "zeros": 0 * one}
    arrays |= {"mask": np.array([0, -np.inf] * 3, np.float32), "v": array(1, 1, 1, 1)}
    model = read(file_of(nodes, arrays))
    assert [name for name, _ in model.named_parameters()] == learned.split()
    model(array(2, 1, 6, 6))


def test_dropout_sleeps_in_evaluation_and_is_live_in_training(read):
    true = numpy_helper.from_array(np.array(True))
    ratio = numpy_helper.from_array(np.array(0.5, np.float32))
    nodes = [
        node("Constant", "", "p", value=ratio),
        node("Constant", "", "t", value=true),
        node("Dropout", "x p t"),
    ]
    model, x = read(file_of(nodes, {})), array(8, 1, 6, 6)
    assert np.array_equal(model(x).array, x)
    y = model.train()(x).array
    assert 0.3 < (y == 0).mean() < 0.7
    np.testing.assert_allclose(y[y != 0], 2 * x[y != 0])


def test_an_array_may_be_an_input_with_a_default(read):
    model = small_net()
    model.graph.input.append(helper.make_tensor_value_info("fc.bias", FLOAT, [3]))
    assert "fc.bias" in dict(read(model).named_parameters())


def test_names_that_no_attribute_can_have_are_changed(read):
    names = ["forward", "a..b", "conv", "conv.weight", "training", ".", "a." * 99]
    nodes = [node("Mul", f"x{i} w{i}", f"x{i + 1}") for i in range(len(names))]
    for i, name in enumerate(names):
        nodes[i].input[1] = name
    nodes[0].input[0], nodes[-1].output[0] = "x", "y"
    model = read(file_of(nodes, {name: array(1, seed=i) for i, name in enumerate(names)}))
    assert len(model.state_dict()) == len(names)
    assert "forward_" in model.state_dict()
    model(array(1, 1, 6, 6))


# ----- versions of the operators ------------------------------------------------------------------

VERSIONS = [
    (7, "Clip", {"min": -0.5, "max": 0.5}, []),
    (11, "Clip", {}, [np.float32(-0.5), np.float32(0.5)]),
    (10, "Pad", {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 3.0}, []),
    (11, "Pad", {}, [np.array([0, 0, 1, 0, 0, 0, 0, 2]), np.float32(3)]),
    (18, "Pad", {"mode": "reflect"}, [np.array([1, 2]), np.float32(0), np.array([3])]),
    (11, "Squeeze", {"axes": [1]}, []),
    (13, "Squeeze", {}, [np.array([1])]),
    (11, "Unsqueeze", {"axes": [0, 5]}, []),
    (13, "Unsqueeze", {}, [np.array([-1, 0])]),
    (11, "ReduceMean", {"axes": [2, 3]}, []),
    (18, "ReduceMean", {}, [np.array([2, 3])]),
    (18, "ReduceMax", {"noop_with_empty_axes": 1}, []),
    (9, "Slice", {"starts": [1], "ends": [9], "axes": [2]}, []),
    (13, "Slice", {}, [np.array([5]), np.array([-99]), np.array([3]), np.array([-2])]),
    (11, "Split", {"split": [2, 4], "axis": 2}, []),
    (13, "Split", {"axis": 3}, [np.array([2, 4])]),
    (11, "Softmax", {}, []),
    (13, "Softmax", {}, []),
    (11, "LogSoftmax", {"axis": 2}, []),
    (9, "Dropout", {"ratio": 0.5}, []),
    (9, "Upsample", {"mode": "nearest"}, [np.array([1, 1, 2, 3], np.float32)]),
    (10, "Resize", {"mode": "nearest"}, [np.array([1, 1, 2, 3], np.float32)]),
    (14, "Reshape", {}, [np.array([0, -1, 3])]),
]


@pytest.mark.parametrize(("opset", "operator", "attributes", "inputs"), VERSIONS)
def test_versions_of_operators(opset, operator, attributes, inputs, read):
    outputs = "y z" if operator == "Split" else "y"
    names = [f"i{k}" for k in range(len(inputs))]
    nodes = [node(operator, " ".join(["x", *names]), outputs, **attributes)]
    model = file_of(nodes, dict(zip(names, inputs)), opset)
    x = array(2, 1, 6, 6)
    if operator == "Upsample" or (operator, opset) == ("Resize", 10):
        expected = x.repeat(2, 2).repeat(3, 3)
    elif (operator, opset) == ("Pad", 10):
        expected = np.pad(x, [(0, 0), (0, 0), (1, 0), (0, 2)], constant_values=3)
    elif (operator, opset) == ("Softmax", 11):  # over all axes from the second on
        e = np.exp(x)
        expected = e / e.sum((1, 2, 3), keepdims=True)
    elif operator == "LogSoftmax":
        expected = x - np.log(np.exp(x).sum((2, 3), keepdims=True))
    else:
        expected = ReferenceEvaluator(model).run(["y"], {"x": x})[0]
    np.testing.assert_allclose(read(model)(x).array, expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_read_as_float32(read):
    values = array(3)
    bfloat = helper.make_tensor("b", TensorProto.BFLOAT16, [3], values.tolist())
    half = numpy_helper.from_array(values.astype(np.float16), "h")
    model = read(
        file_of(
            [node("Cast", "b", "c", to=FLOAT), node("Mul", "x c", "d"), node("Mul", "d h", "y")],
            {"b": bfloat, "h": half},
            shape=("n", 3),
        )
    )
    y = model(np.ones((1, 3), np.float32))
    np.testing.assert_allclose(y.array[0], values * values, rtol=0.01)
    assert model(np.ones((1, 3), np.float16)).dtype == np.float32
    assert all(p.dtype == np.float32 for p in model.parameters())
    assert "half precision, read as float32: b, h" in model.report


# ----- what is refused ----------------------------------------------------------------------------


def raw(name, dims, data, kind=FLOAT):
    tensor = TensorProto(name=name, data_type=kind, raw_data=data)
    tensor.dims.extend(dims)
    return tensor


def external(location, **more):
    tensor = raw("w", [2], b"")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def twice(operator, **attributes):
    made = node(operator, "x", **attributes)
    made.attribute.extend(list(made.attribute))
    return made


HUGE = np.array([1 << 20, 1 << 20])
ADD = [node("Add", "x w")]
REFUSED = {
    "an unknown operator": (file_of([node("Sinc", "x")], {}), "unknown operator 'Sinc'.*Conv"),
    "a misspelt one": (file_of([node("Convv", "x")], {}), "did you mean 'Conv'"),
    "of another domain": (
        file_of([node("FusedConv", "x", domain="com.microsoft")], {}),
        r"com\.microsoft\.FusedConv",
    ),
    "a control flow": (file_of([node("If", "x", then_branch=helper.make_graph([], "g", [], []))],
                               {}),  "unknown operator 'If'"),
    "an unknown attribute": (file_of([node("Relu", "x", magic=1)], {}), "'magic' is not support"),
    "an old opset": (file_of([node("Relu", "x")], {}, opset=3), "7 to"),
    "a cycle": (file_of([node("Add", "x b", "a"), node("Relu", "a", "b")], {}, outputs="a"),
                "topologically sorted, however input 'b'"),
    "an input from nowhere": (file_of(ADD, {}), "input 'w' of node.*Add is not"),
    "an output from nowhere": (file_of([node("Relu", "x", "z")], {}), "output 'y' is not"),
    "a value made twice": (file_of([node("Relu", "x"), node("Relu", "x")], {}), "'y' has been"),
    "an array made again": (file_of([node("Relu", "x", "w"), *ADD], {"w": array(1)}), "'w' has"),
    "too few bytes": (file_of(ADD, {"w": raw("w", [1 << 40], b"1234")}), "4 bytes for shape"),
    "a negative size": (file_of(ADD, {"w": raw("w", [-1], b"1234")}), "is none"),
    "too few elements": (
        file_of(ADD, {"w": TensorProto(name="w", data_type=FLOAT, dims=[1 << 40])}), "0 elements",
    ),
    "texts": (file_of(ADD, {"w": helper.make_tensor("w", TensorProto.STRING, [1], [b"a"])}),
              "type 8"),
    "no file": (b"\x08\x07PK\x03\x04", "damaged"),
    "an empty file": (b"", "the file is empty"),
    "an attribute twice": (file_of([twice("LeakyRelu", alpha=0.5)], {}), "'alpha' appeared multi"),
    "an output too many": (file_of([node("Relu", "x", "y z")], {}), "output size 2 not in range"),
    "inputs of one name": (file_of([node("Relu", "x")], {}, inputs=2), "however 'x' has been"),
    "an IR of the future": (file_of([node("Relu", "x")], {}, ir_version=99), "IR version 99.*-U"),
    "data of an absolute path": (file_of(ADD, {"w": external("/etc/passwd")}), "not in the fold"),
    "data above the folder": (file_of(ADD, {"w": external("../w")}), "not in the folder"),
    "data behind a link": (file_of(ADD, {"w": external("link")}), "not in the folder"),
    "data of a folder": (file_of(ADD, {"w": external(".")}), "it is a folder"),
    "data that are not there": (file_of(ADD, {"w": external("none")}), "no such file"),
    "data too short": (file_of(ADD, {"w": external("beside", offset=4)}), "8 bytes from 4 on"),
    "data of another length": (file_of(ADD, {"w": external("beside", length=1 << 40)}), "for an"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_file_is_refused(what, read, tmp_path):
    model, message = REFUSED[what]
    (tmp_path / "beside").write_bytes(bytes(8))
    os.symlink("/etc/passwd", tmp_path / "link")
    with pytest.raises(OnnxError, match=message) as caught:
        read(model)
    assert "model.onnx: " in str(caught.value)


GROWING = {
    "Expand": ([node("Expand", "x w")], {"w": np.array([1 << 20, 1 << 20, 1, 1])}),
    "Tile": ([node("Tile", "x w")], {"w": np.array([1, 1, 1 << 20, 1 << 20])}),
    "ConstantOfShape": ([node("ConstantOfShape", "w")], {"w": HUGE}),
    "Range": ([node("Range", "a b c")], {"a": np.int64(0), "b": np.int64(1 << 40),
                                         "c": np.int64(1)}),
    "Pad": ([node("Pad", "x w")], {"w": np.array([0, 0, 1 << 20, 1 << 20] * 2)}),
    "Resize": ([node("Upsample", "x w")], {"w": np.array([1, 1, 1e6, 1e6], np.float32)}),
    "broadcasting": ([node("Add", "a b")], {"a": np.zeros((1 << 15, 1)), "b": np.zeros(1 << 15)}),
    "MatMul": ([node("MatMul", "a b")], {"a": np.zeros((1 << 15, 1)), "b": np.zeros((1, 1 << 15))}),
    "Einsum": ([node("Einsum", "a b", equation="...i, ...j -> ...ij")],
               {"a": np.zeros((2, 1 << 15)), "b": np.zeros((2, 1 << 15))}),
    "ConvTranspose": ([node("ConvTranspose", "x w", strides=[1 << 20, 1 << 20])],
                      {"w": array(1, 1, 1, 1)}),
    "LRN": ([node("LRN", "x", size=2**40 + 1)], {}),
    "a pool": ([node("MaxPool", "x", kernel_shape=[1 << 20] * 2, pads=[1 << 19] * 4)], {}),
    "windows in padding": ([node("MaxPool", "x", kernel_shape=[500] * 2, pads=[499] * 4)], {}),
    "padding of both sides": ([node("Conv", "x w", pads=[1 << 20] * 4)],
                              {"w": array(1, 1, 1, 1)}),
    "Conv": ([node("Conv", "x w", pads=[1 << 20] * 2 + [0] * 2)], {"w": array(1, 1, 1, 1)}),
    "little but padding": ([node("Conv", "x w", pads=[8000] * 4)], {"w": array(1, 1, 1, 1)}),
    "doubling": ([node("Concat", f"a{i} a{i}", f"a{i + 1}", axis=0) for i in range(40)]
                 + [node("Identity", "a40")], {"a0": np.zeros(4)}),
}  # fmt: skip


@pytest.mark.parametrize("what", GROWING)
def test_what_would_grow_beyond_measure_is_refused_before_it_is_made(what, read, monkeypatch):
    nodes, arrays = GROWING[what]
    if what == "doubling":
        monkeypatch.setattr("tinynet.onnx.arrays.MOST", 1 << 20)
    opset = 9 if what == "Resize" else 17
    model = read(file_of(nodes, arrays, opset))
    with pytest.raises(OnnxError, match=r"at most .* are made"):
        model(array(1, 1, 6, 6))


def test_what_is_alive_together_is_limited(read, monkeypatch):
    monkeypatch.setattr("tinynet.onnx.arrays.MOST", 1 << 16)
    parts = [f"a{i}" for i in range(12)]
    nodes = [node("ConstantOfShape", "w", part) for part in parts]
    model = read(
        file_of([*nodes, node("Sum", " ".join(["x", *parts]))], {"w": np.array([1 << 15])})
    )
    with pytest.raises(OnnxError, match=r"node 'a8' .*needed at a time .*a smaller batch"):
        model(array(1, 1, 6, 6))


@pytest.mark.parametrize(
    ("operator", "settings", "more", "told"),
    [
        ("Reshape", {}, [np.array([7, 7])], r"node 'y' \(Reshape\): reshape: 36 elements"),
        ("Reshape", {}, [np.array([-2, 36])], "negative, and not -1"),
        ("Reshape", {}, [np.array([[1, 36]])], r"in a vector are needed, got shape \(1, 2\)"),
        ("Split", {"num_outputs": 0}, [], "0 parts for 1 outputs"),
        ("ConvTranspose", {"auto_pad": "EVIL"}, [array(1, 1, 1, 1)], "'EVIL' is none of"),
        (
            "Resize",
            {},
            [array(0), np.ones(4, np.float32), np.ones(4, int)],
            "4 scales and 4 sizes, and not one or",
        ),
        ("MatMul", {}, [np.ones((6, 6))], "inputs of float32 and float64; put a Cast"),
        ("Gemm", {}, [np.ones((6, 6))], "inputs of float32 and float64"),
        ("Conv", {}, [np.ones((1, 1, 1, 1))], "inputs of float32 and float64"),
        ("Add", {}, [np.ones(6)], "inputs of float32 and float64"),
        ("Mul", {}, [np.ones(6, int)], "inputs of float32 and int64"),
        ("Max", {}, [array(1), np.ones(6, np.uint8)], "inputs of float32 and float32 and uint8"),
        ("MaxPool", {"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}, [], "not below the kernel"),
    ],
)
def test_an_error_in_use_names_the_node(operator, settings, more, told, read):
    arrays = {f"w{i}": x for i, x in enumerate(more)}
    names = " ".join(["x", *arrays])
    model = read(file_of([node(operator, names, **settings)], arrays, 18))
    with pytest.raises(OnnxError, match=told):
        model(array(1, 1, 6, 6))


def test_a_domain_may_be_written_out(read):
    x = array(1, 1, 6, 6)
    model = read(file_of([node("Abs", "x", domain="ai.onnx")], {}))
    np.testing.assert_array_equal(model(x), np.abs(x))


def test_detect_anomaly_finds_the_operation(read):
    model = read(small_net())
    with tinynet.detect_anomaly(), pytest.raises(FloatingPointError, match="conv2d"):
        model(np.full((1, 1, 6, 6), np.nan, np.float32))


def test_external_data_beside_the_file_are_read(tmp_path):
    (tmp_path / "beside").write_bytes(bytes(4) + np.array([2, 3], "<f4").tobytes())
    model = file_of(ADD, {"w": external("beside", offset=4, length=8)}, shape=("n", 2))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    y = tinynet.onnx.load(tmp_path / "m.onnx")(np.zeros((1, 2), np.float32))
    assert y.array.tolist() == [[2, 3]]


def test_a_file_that_is_not_there_is_an_onnx_error(tmp_path):
    with pytest.raises(OnnxError, match="there is no such file"):
        tinynet.onnx.load(tmp_path / "none.onnx")
    with pytest.raises(OnnxError, match="it is a folder"):
        tinynet.onnx.load(tmp_path)


def test_onnx_s_own_tests_pass_or_are_refused():
    from tests.long.onnx_backend import results

    found = results()
    assert [(k, v) for k, v in found.items() if v.startswith("wrong")] == []
    assert sum(what == "passed" for what in found.values()) >= 0.95 * len(found) > 800
