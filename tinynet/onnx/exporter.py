"""A model written as an ONNX file, which other runtimes read.

tinynet.onnx.export(model, "model.onnx", input_shape=(1, 28, 28))
"""

import inspect
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tinynet import ops
from tinynet.errors import OnnxError, integer
from tinynet.nn import Module
from tinynet.onnx.forms import FORMS
from tinynet.onnx.nodes import Graph
from tinynet.onnx.trace import Call, Size, Value, leaves, trace
from tinynet.training import Trained
from tinynet.training.checkpoint import Checkpoint
from tinynet.training.files import atomic_write
from tinynet.version import __version__

OLDEST = 17
SHAPE = 1, 28, 28
LARGEST = 2**31 - 2**20  # bytes, which leaves a MiB for all but the weights


def export(
    model: Module,
    path: str | os.PathLike[str],
    input_shape: Sequence[int] | None = None,
    opset: int = OLDEST,
    include_preprocessing: bool = False,
) -> None:
    """Write a model to `path` as an ONNX file, atomically.

    input_shape: of one image (C, H, W), or whatever the model takes; if None that of the run, or
    (1, 28, 28). The batch stays free. opset: 17, which runtimes of 2023 read, or a newer one.
    include_preprocessing: the graph takes images of bytes (uint8) and does what the run did with
    them, scaling to 0..1 and normalisation; for models that `tinynet.load` gives.

    What the model does is seen in forward passes in evaluation mode with five batches; it is
    afterwards as it was. Raises OnnxError, with operation and layer, for one that depends on the
    data or has no form in ONNX; ImportError without the extra `onnx`.

        tinynet.onnx.export(tinynet.load("runs/mnist-lenet5"), "lenet5.onnx")
    """
    if not isinstance(model, Module) or not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            "export: takes a Module, a path and the shape of an image, such as export(model, "
            f"'model.onnx', (1, 28, 28)); got {model!r:.40} and {path!r:.40}"
        )
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= integer("export", "opset", opset) <= newest:
        raise ValueError(f"export: opset must be from {OLDEST} to {newest}, got {opset}")
    known = model.checkpoint if isinstance(model, Trained) else Checkpoint({})
    network = model.network if isinstance(model, Trained) else model
    given = next(s for s in (input_shape, known.input_shape, SHAPE) if s is not None)
    if not hasattr(given, "__len__"):
        raise TypeError(f"export: input_shape is a tuple, such as (1, 28, 28); got {given!r:.40}")
    try:
        inspect.signature(network.forward).bind(None)
    except TypeError as error:
        raise OnnxError(f"export: takes a forward of one tensor; this has {error}") from error
    shape = tuple(integer("export", "a size in input_shape", n) for n in given)
    dtype = next((p.dtype for p in network.parameters()), np.dtype(np.float32))
    forward: Any = network
    if include_preprocessing:
        forward, dtype = _preprocessed(network, known, dtype), np.dtype(np.uint8)
    image, calls, result = trace(network, forward, shape, dtype)
    graph = Graph({name for name, _ in network._named_state()}, opset)
    image.name = graph.input
    for call in calls:
        _add(graph, call)
    outputs = _outputs(graph, result)
    file = _file(graph, type(network).__name__, image, outputs)
    keys = ["classes", "mean", "std", "input_shape", *["name"] * known.is_buildable()]
    about = {key: getattr(known, key) for key in keys}  # no name of a file of the user's
    told = {key: json.dumps(value) for key, value in about.items() if value is not None}
    helper.set_model_props(file, told)
    with atomic_write(path) as stream:
        stream.write(file.SerializeToString())


def _file(graph: Graph, name: str, image: Value, outputs: Sequence[Value]) -> onnx.ModelProto:
    """The whole of a file."""
    imports = [helper.make_opsetid("", graph.opset)]
    arrays = graph.initializers.items()
    weights = (Value(array.shape, array.dtype, name=key) for key, array in arrays)
    file = helper.make_model(
        helper.make_graph(
            graph.nodes, name, [*map(_info, (image, *weights))], [*map(_info, outputs)],
        ),
        opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports),
        producer_name="tinynet", producer_version=__version__,
    )  # fmt: skip
    try:
        onnx.checker.check_model(file.SerializeToString())
        file = onnx.shape_inference.infer_shapes(file, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise OnnxError(f"export: the graph is not valid ONNX: {error}") from error
    size = sum(array.nbytes for _, array in arrays)
    if size > LARGEST:
        raise OnnxError(f"export: {size:,} bytes of weights, and an ONNX file holds {LARGEST:,}")
    del file.graph.input[1:]  # where the weights were, so that they were not copied to be checked
    tensors = (numpy_helper.from_array(np.array(array, order="C"), key) for key, array in arrays)
    file.graph.initializer.extend(tensors)
    return file


def _add(graph: Graph, call: Call) -> None:
    """Add the nodes of a call. Raises OnnxError for an operation that has no form."""
    if call.op not in FORMS:
        call.refuse(
            f"ONNX has no form of it that tinynet writes. It writes {', '.join(sorted(FORMS))}; an "
            "operation of your own, of these"
        )
    graph.call = call
    try:
        call.output.name = FORMS[call.op](graph, call.output, *call.arguments)
    except TypeError:
        if not any(isinstance(x, Size) for x in leaves(call.arguments)):
            raise
        call.refuse("a setting of it follows the size of the batch, and in a file it is a number")


def _preprocessed(network: Module, known: Checkpoint, dtype: np.dtype[Any]) -> Any:
    """The network on images of bytes."""
    if known.mean is None or known.std is None:
        raise OnnxError(
            "export: include_preprocessing=True needs a model that knows its normalisation: give "
            'tinynet.load("runs/..."), or normalise within forward'
        )
    mean, std = (np.array(x, dtype).reshape(-1, 1, 1) for x in (known.mean, known.std))
    return lambda x: network((ops.astype(x, dtype) * (1 / 255) - mean) / std)


def _outputs(graph: Graph, result: Any) -> list[Value]:
    """The results under names of their own: output, or the keys of a dict, or output_0 and so on.

    Each is an Identity of a value, as two may be the same, or an input.
    """
    values = list(leaves(result))
    if other := [x for x in values or [result] if not isinstance(x, Value)]:
        told = "the size of the batch" if isinstance(other[0], Size) else repr(other[0])
        raise OnnxError(f"export: the model returned {told:.60}, and no tensor; leave it out")
    names = [f"output_{place}" for place in range(len(values))] if len(values) > 1 else ["output"]
    if isinstance(result, dict) and len(result) == len(values):
        names = [str(key) or "output" for key in result]
    graph.call.layer = ""
    outputs = []
    for value, wanted in zip(values, names):
        name = graph.unique(wanted)
        graph.nodes.append(helper.make_node("Identity", [graph.name_of(value)], [name], name))
        outputs.append(Value(value.shape, value.dtype, name=name))
    return outputs


def _info(value: Value) -> onnx.ValueInfoProto:
    shape = [
        "batch" if n == Size(1, 0) else None if isinstance(n, Size) else n for n in value.shape
    ]
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(value.name, kind, shape)
