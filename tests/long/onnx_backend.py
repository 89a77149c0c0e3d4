"""ONNX's own tests of its operators, by the loader: which pass, which it refuses, which are wrong.

    python -m tests.long.onnx_backend                what is refused, and the counts
    python -m tests.long.onnx_backend --only Resize  the tests with this operator

Chosen are the tests whose nodes are all of the operators that a CNN uses, with numbers of 8 to 64
bits. Half precision is computed in float32, so there the values are compared, not the dtype, those
of bfloat16 to one of its steps.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import common
from tinynet.errors import OnnxError

CHOSEN = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast",
    "CastLike", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv",
    "ConvTranspose", "CumSum", "DepthToSpace", "Div", "Dropout", "Einsum", "Elu", "Equal",
    "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "Gelu",
    "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax",
    "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish", "Mul", "Neg", "Not", "Or",
    "PRelu", "Pad", "Pow", "Range", "Reciprocal", "ReduceL1", "ReduceL2",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "Selu", "Shape", "Sigmoid", "Sign",
    "Size", "Slice", "Softmax", "Softplus", "Softsign", "Split", "Sqrt",
    "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose",
    "Unsqueeze", "Upsample", "Where", "Xor",
}  # fmt: skip


def cases() -> Iterator[Any]:
    """The tests that were chosen."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tests' own references
        found = load_model_tests(kind="node")
    for case in found:
        operators = {node.op_type for node in case.model.graph.node}
        if operators <= CHOSEN and _of_numbers(case.model.graph):
            yield case


def _of_numbers(graph: Any) -> bool:
    """Whether what goes in and out are arrays of numbers of 8 to 64 bits."""
    from tinynet.onnx.arrays import TYPES

    return all(x.type.tensor_type.elem_type in TYPES for x in (*graph.input, *graph.output))


def outcome(case: Any, folder: Path) -> str:
    """Passed, refused (why) or wrong (how)."""
    from tinynet import onnx

    path = folder / "model.onnx"
    path.write_bytes(case.model.SerializeToString())
    try:
        with np.errstate(all="ignore"):
            model = onnx.load(path)
            results = [model(*map(_array, inputs)) for inputs, _ in case.data_sets]
    except OnnxError as error:
        return f"refused: {str(error).partition(': ')[2]}"
    for result, (_, expected) in zip(results, case.data_sets):
        given = result if isinstance(result, tuple) else (result,)
        for mine, told in zip(given, expected, strict=True):
            array, theirs = mine.array, _array(told)
            step = 2**-7 if theirs.dtype.name == "bfloat16" else 0
            if theirs.dtype.name in ("float16", "bfloat16"):
                theirs = theirs.astype(np.float32)
            if array.dtype != theirs.dtype or array.shape != theirs.shape:
                return f"wrong: {array.dtype} {array.shape} for {theirs.dtype} {theirs.shape}"
            if not np.allclose(array, theirs, max(case.rtol, step), case.atol, equal_nan=True):
                return f"wrong: off by {np.abs(array - theirs).max():.3g}"
    return "passed"


def _array(value: Any) -> np.ndarray:
    from onnx import TensorProto, numpy_helper

    return np.asarray(numpy_helper.to_array(value) if isinstance(value, TensorProto) else value)


def results(only: str = "") -> dict[str, str]:
    """The outcome of each test."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NaN and infinity, which some tests are about
        return {
            case.name: outcome(case, Path(folder))
            for case in cases()
            if not only or only in {node.op_type for node in case.model.graph.node}
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Run them, print what did not pass, and the counts."""
    parser = common.new_parser(__doc__)
    parser.add_argument("--only", default="", metavar="OPERATOR", help="tests with this operator")
    args = parser.parse_args(argv)
    found = results(args.only)
    for name, what in found.items():
        if what != "passed":
            print(f"{name}: {what[:200]}")
    counts = [sum(what.startswith(word) for what in found.values()) for word in ("p", "r", "w")]
    print("{} tests: {} passed, {} refused, {} wrong".format(len(found), *counts))
    return 1 if counts[2] else 0


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
