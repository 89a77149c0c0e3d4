"""Reading an ONNX file: checked from end to end before anything of it is run."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from tinynet.data.files import open_file
from tinynet.errors import OnnxError, unknown_name
from tinynet.onnx.arrays import HALVES, TYPES, array_of
from tinynet.onnx.graph import FAULTS, Graph, Input, Node, OnnxModule, attributes_of
from tinynet.onnx.operators import ASKED, OPERATORS
from tinynet.onnx.weights import LEARNED, Weights

OLDEST, NEWEST = 7, 28
"""The versions of ONNX's operators that are read: before 7 arrays broadcast otherwise."""

CONSTANTS = {
    "value": None, "value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8",
}  # fmt: skip


def load(path: str | os.PathLike[str]) -> OnnxModule:
    """The model of an ONNX file: a Module that predicts the same, and trains on.

    Its parameters have the names of the file, which are PyTorch's where PyTorch wrote it; its
    `report` says which they are. It begins in evaluation mode. See docs/onnx.md.
    Raises OnnxError for a file that is damaged, or asks for an operator that is not there.
    """
    try:
        with open_file(path) as stream:
            source = onnx.ModelProto.FromString(stream.read())
        return _module(source, Path(path).parent)
    except OnnxError as error:
        raise OnnxError(f"{path}: {error}") from error
    except (*FAULTS, DecodeError, OSError) as error:
        raise OnnxError(f"{path}: damaged, or no ONNX file: {error}") from error


def _module(source: onnx.ModelProto, folder: Path) -> OnnxModule:
    weights = Weights()
    for tensor in source.graph.initializer:
        weights.arrays[tensor.name] = array_of(tensor, folder)
    if source.graph.sparse_initializer or not source.graph.output:
        raise OnnxError("the file is empty, has no outputs, or sparse arrays, which are not read")
    inputs = [_input(value) for value in source.graph.input if value.name not in weights.arrays]
    opset = _opset(source)
    given = [*(value.name for value in inputs), *(array.name for array in source.graph.initializer)]
    nodes = [_node(node, weights, folder) for node in source.graph.node]
    _check(source, given, opset)
    outputs = [value.name for value in source.graph.output]
    graph = Graph([n for n in nodes if n is not None], inputs, outputs, opset)
    module = OnnxModule(graph)
    told = weights.place(graph, module)
    graph.note_last_uses()
    module.report = _report(source, graph, told, sum(p.numel() for p in module.parameters()))
    return module.eval()


def _check(source: onnx.ModelProto, given: list[str], opset: int) -> None:
    """Raise OnnxError unless nodes are as specified, and values made once, before they are used.

    given: the names of the inputs and arrays, whose numbers are not looked at.
    """
    inputs, outputs = (
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ()) for name in names]
        for names in (given, (value.name for value in source.graph.output))
    )
    graph = helper.make_graph(source.graph.node, "graph", inputs, outputs)
    imports = [helper.make_opsetid("", opset)]
    try:
        onnx.checker.check_model(
            helper.make_model(graph, opset_imports=imports, ir_version=max(source.ir_version, 3))
        )
    except onnx.checker.ValidationError as error:
        raise OnnxError(" ".join(str(error).split())) from error


def _opset(source: onnx.ModelProto) -> int:
    if source.ir_version > onnx.IR_VERSION:
        raise OnnxError(
            f"IR version {source.ir_version}: the package onnx that is installed knows those up to "
            f"{onnx.IR_VERSION}; a newer one may know it: pip install -U onnx"
        )
    versions = [entry.version for entry in source.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not OLDEST <= versions[0] <= NEWEST:
        raise OnnxError(f"opset {versions}: versions {OLDEST} to {NEWEST} are read")
    return int(versions[0])


def _input(value: onnx.ValueInfoProto) -> Input:
    kind = value.type.tensor_type
    if kind.elem_type not in TYPES or not value.name:
        raise OnnxError(f"input {value.name!r:.80} is no tensor of a type that tinynet has")
    sizes = (d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Input(value.name, tuple(sizes) if kind.HasField("shape") else None)


def _node(source: onnx.NodeProto, weights: Weights, folder: Path) -> Node | None:
    """The node, its attributes known; None for one that only names an array of the file."""
    told = {entry.key: entry.value for entry in source.metadata_props}
    scopes = re.findall(r"'([^']*)'", told.get("pkg.torch.onnx.name_scopes", ""))
    inputs, outputs = list(source.input), list(source.output)
    node = Node(source.name, source.op_type, inputs, outputs, scopes)
    constant = source.op_type == "Constant"
    if source.domain not in ("", "ai.onnx") or not (constant or source.op_type in OPERATORS):
        name = ".".join(filter(None, (source.domain, source.op_type)))
        raise OnnxError(f"{node}: {unknown_name('operator', name, ['Constant', *OPERATORS])}")
    known = {*CONSTANTS} if constant else attributes_of(OPERATORS[source.op_type]) - {*ASKED}
    for attribute in source.attribute:
        if attribute.name not in known:
            raise OnnxError(
                f"{node}: attribute {attribute.name!r:.80} is not supported; known: "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        node.attributes[attribute.name] = _attribute(node, attribute, folder)
    source.domain = ""  # for short
    if constant:
        for name, value in node.attributes.items():
            weights.arrays[outputs[0]] = np.asarray(value, CONSTANTS[name])
            weights.fixed.add(outputs[0])
        return None
    if source.op_type == "Identity" and (root := weights.root(inputs[0])):
        weights.aliases[outputs[0]] = root
        return None
    return node


def _attribute(node: Node, source: onnx.AttributeProto, folder: Path) -> Any:
    value, kinds = helper.get_attribute_value(source), onnx.AttributeProto
    match source.type:
        case kinds.TENSOR:
            array = array_of(value, folder)
            value.CopyFrom(numpy_helper.from_array(np.zeros(0)))  # for short
            return array
        case kinds.STRING:
            return value.decode()
        case kinds.FLOAT | kinds.INT | kinds.FLOATS | kinds.INTS:
            return value
    raise OnnxError(f"{node}: attribute {source.name!r:.80} is of a type that is not read")


def _report(source: onnx.ModelProto, graph: Graph, told: dict[str, list[str]], numbers: int) -> str:
    """What was made of the file, a line each."""
    writer = f"{source.producer_name} {source.producer_version}".strip()
    halves = [tensor.name for tensor in source.graph.initializer if tensor.data_type in HALVES]
    folded = [str(node) for node in graph.nodes if _folds(node)]
    told |= {"half precision, read as float32": halves, "folded into, by the exporter": folded}
    lines = [f"{len(graph.nodes)} nodes, opset {graph.opset}, by {writer or 'an unnamed program'}"]
    lines += [f"{len(told[LEARNED])} arrays of {numbers:,} numbers are learned"]
    lines += [f"{what}: {', '.join(names)}" for what, names in told.items() if names]
    if folded:
        lines.append(
            "what was folded, such as batch norm, is not trained by itself; to keep it, export "
            "with training=TrainingMode.TRAINING and do_constant_folding=False, or with "
            "dynamo=True and optimize=False"
        )
    return "\n".join(lines)


def _folds(node: Node) -> bool:
    """Whether an exporter multiplied something into the weight of this convolution."""
    if node.operator not in ("Conv", "ConvTranspose", "Gemm"):
        return False
    return node.inputs[1].startswith("onnx::") or "batch_norm" in "".join(node.scopes[-1:])
