"""The reader of ONNX files as a target: what it accepts is run once, on small inputs.

Half of the inputs are files of right form in which an operator, an attribute, a shape, an integer
or a name is another. No array that an operator makes may have more than LARGEST elements here, so
that what gets by the looks at sizes is seen in the memory.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

import tinynet
from tests.long.fuzz.checkpoint import MEMORY
from tests.long.fuzz.harness import Mutate, Target
from tests.long.fuzz.mutate import EDGES
from tinynet import kernels
from tinynet.errors import OnnxError

LARGEST = 1 << 14
ALLOWANCE = 1 << 22  # bytes: a few arrays of LARGEST elements, what libraries load when first used
NUMBERS = [*(n for n in EDGES if n < 1 << 63), *(-n for n in EDGES if n < 1 << 63)]


@functools.cache
def _file() -> Path:
    return MEMORY / f"tinynet-fuzz-{os.getpid()}.onnx"


@contextlib.contextmanager
def _numpy_kernels() -> Iterator[None]:
    """Nothing is compiled for the sake of one input."""
    before = kernels.use("numpy")
    try:
        yield
    finally:
        kernels.use(before)


def run_onnx(content: bytes) -> list[np.ndarray]:
    """Load it, and run it on zeros of the sizes that the file asks for, if these are small."""
    _file().write_bytes(content)
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        _numpy_kernels(),
        mock.patch("tinynet.onnx.arrays.MOST", LARGEST),
    ):
        warnings.simplefilter("ignore")
        model = tinynet.onnx.load(_file())
        shapes = [
            [2 if n is None else n for n in given.shape or ()] for given in model._graph.inputs
        ]
        arrays = [value.array for value in model.state_dict().values()]
        if all(0 <= n <= 8 for shape in shapes for n in shape) and max(map(len, shapes)) < 7:
            y = model(*(np.zeros(shape, np.float32) for shape in shapes))
            arrays += [part.array for part in (y if isinstance(y, tuple) else (y,))]
    return arrays


@functools.cache
def onnx_seeds() -> Sequence[bytes]:
    """A small CNN as PyTorch writes it; a chain of operators that change shapes."""
    from onnx import helper, numpy_helper

    def made(nodes: list, arrays: dict) -> bytes:
        tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()]
        x = helper.make_tensor_value_info("x", 1, ["n", 1, 6, 6])
        y = helper.make_tensor_value_info("y", 1, None)
        graph = helper.make_graph(nodes, "g", [x], [y], tensors)
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()

    node, f = helper.make_node, np.float32
    cnn = [
        node("Conv", ["x", "conv.weight", "bn.bias"], ["a"], pads=[1, 1, 0, 0], strides=[1, 1]),
        node("Identity", ["bn.bias"], ["bn.mean"]),
        node("BatchNormalization", ["a", "bn.weight", "bn.bias", "bn.mean", "bn.var"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node("Shape", ["c"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Unsqueeze", ["n", "axes"], ["m"]),
        node("Constant", [], ["rest"], value_ints=[-1]),
        node("Concat", ["m", "rest"], ["shape"], axis=0),
        node("Reshape", ["c", "shape"], ["flat"]),
        node("Gemm", ["flat", "fc.weight"], ["z"], transB=1, alpha=1.0),
        node("Softmax", ["z"], ["y"], axis=1),
    ]
    weights = {
        "conv.weight": np.ones((2, 1, 3, 3), f), "bn.weight": np.ones(2, f),
        "bn.bias": np.zeros(2, f), "bn.var": np.ones(2, f), "fc.weight": np.ones((3, 18), f),
        "zero": np.array(0), "axes": np.array([0]),
    }  # fmt: skip
    chain = [
        node("Resize", ["x", "", "scales"], ["a"], mode="linear"),
        node("Pad", ["a", "pads"], ["b"], mode="reflect"),
        node("Slice", ["b", "starts", "ends", "axes", "steps"], ["c"]),
        node(
            "ConvTranspose",
            ["c", "w"],
            ["d"],
            dilations=[1, 1],
            strides=[2, 2],
            output_padding=[1, 1],
        ),
        node("AveragePool", ["d"], ["e"], kernel_shape=[3, 3], pads=[1] * 4),
        node("ConstantOfShape", ["shape"], ["one"], value=helper.make_tensor("v", 1, [1], [1.0])),
        node("Expand", ["one", "wide"], ["f"]),
        node("Tile", ["f", "times"], ["g"]),
        node("ReduceMean", ["e"], ["h"], axes=[2, 3]),
        node("Split", ["h", "parts"], ["i", "j"], axis=1),
        node("Einsum", ["i", "j"], ["k"], equation="abcd,aecd->ab"),
        node("Add", ["g", "k"], ["y"]),
    ]
    settings = {
        "scales": np.array([1, 1, 2, 2], f), "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "starts": np.array([1, -1]), "ends": np.array([9, -12]), "axes": np.array([2, 3]),
        "steps": np.array([2, -2]), "w": np.ones((1, 2, 2, 2), f), "shape": np.array([1, 1]),
        "wide": np.array([2, 1]), "times": np.array([1, 3]), "parts": np.array([1, 1]),
    }  # fmt: skip
    return [made(cnn, weights), made(chain, settings)]


def inside_onnx(rng: random.Random, mutate: Mutate) -> bytes:
    """A file of right form that says something else in one to four places."""
    import onnx

    from tinynet.onnx.operators import OPERATORS

    model = onnx.ModelProto.FromString(rng.choice(onnx_seeds()))
    nodes, tensors = model.graph.node, model.graph.initializer
    names = [name for node in nodes for name in (*node.input, *node.output)]
    for _ in range(rng.randint(1, 4)):
        node, tensor, kind = rng.choice(nodes), rng.choice(tensors), rng.randrange(7)
        number = rng.choice(NUMBERS)
        if kind == 0:
            node.op_type = rng.choice(list(OPERATORS))
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif kind == 2 and tensor.data_type == 7:
            at = 8 * rng.randrange(len(tensor.raw_data) // 8 + 1)
            data = tensor.raw_data
            tensor.raw_data = data[:at] + number.to_bytes(8, "little", signed=True) + data[at + 8 :]
        elif kind == 3 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = number
        elif kind == 4 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = number
            attribute.ints[:] = [rng.choice((number, n)) for n in attribute.ints]
        elif kind == 5:
            node.input.append(rng.choice(names))
        else:
            tensor.raw_data = mutate(tensor.raw_data)
    return model.SerializeToString()


TARGETS: dict[str, Target] = {
    "onnx": Target(
        run_onnx,
        onnx_seeds,
        OnnxError,
        inside=inside_onnx,
        allowance=ALLOWANCE,
        tokens=[b"Conv", b"Identity", b"Constant", b"axis", b"../w", b"\x08\x01\x12\x01w"],
    )
}
