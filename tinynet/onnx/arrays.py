"""The arrays in an ONNX file, and in files beside it: checked before anything is made of them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from tinynet.data.files import open_file
from tinynet.errors import OnnxError

TYPES: dict[int, tuple[str, str, str]] = {
    TensorProto.FLOAT: ("f4", "f4", "float_data"),
    TensorProto.DOUBLE: ("f8", "f8", "double_data"),
    TensorProto.FLOAT16: ("f4", "u2", "int32_data"),
    TensorProto.BFLOAT16: ("f4", "u2", "int32_data"),
    TensorProto.BOOL: ("?", "?", "int32_data"),
    TensorProto.INT8: ("i1", "i1", "int32_data"),
    TensorProto.INT16: ("i2", "i2", "int32_data"),
    TensorProto.INT32: ("i4", "i4", "int32_data"),
    TensorProto.INT64: ("i8", "i8", "int64_data"),
    TensorProto.UINT8: ("u1", "u1", "int32_data"),
    TensorProto.UINT16: ("u2", "u2", "int32_data"),
    TensorProto.UINT32: ("u4", "u4", "uint64_data"),
    TensorProto.UINT64: ("u8", "u8", "uint64_data"),
}
"""Each type that is read: the dtype it is computed in, its bytes, and the field without these."""


def array_of(tensor: onnx.TensorProto, folder: Path) -> np.ndarray:
    """The array, in memory of its own; float16 and bfloat16 as float32.

    folder: where external data may lie. Raises OnnxError for a type that is not read, and where
    the number of bytes or elements is not that of the shape.
    """
    name, shape = f"tensor {tensor.name!r:.80}", tuple(tensor.dims)
    if tensor.data_type not in TYPES:
        raise OnnxError(f"{name} is of type {tensor.data_type}, which tinynet does not read")
    _, word, field = TYPES[tensor.data_type]
    dtype, count = np.dtype(word).newbyteorder("<"), math.prod(shape)
    if len(shape) > 32 or any(n < 0 for n in shape) or tensor.HasField("segment"):
        raise OnnxError(f"{name}: shape {shape!r:.80} is none")
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external(tensor, name, count * dtype.itemsize, folder)
    elif tensor.HasField("raw_data"):
        raw = tensor.raw_data
    else:
        elements = getattr(tensor, field)
        if len(elements) != count:
            raise OnnxError(f"{name}: {len(elements)} elements for shape {shape!r:.80}")
        raw = np.array(elements, "i8" if field == "int32_data" else dtype).astype(dtype).tobytes()
    if len(raw) != count * dtype.itemsize:
        raise OnnxError(f"{name}: {len(raw)} bytes for shape {shape!r:.80} of {dtype.name}")
    array = np.frombuffer(raw, dtype).reshape(shape)
    if tensor.data_type == TensorProto.BFLOAT16:  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    if tensor.data_type == TensorProto.FLOAT16:
        return array.view("<f2").astype(np.float32)
    return array.astype(dtype.newbyteorder("="))


def _external(tensor: onnx.TensorProto, name: str, size: int, folder: Path) -> bytes:
    """The bytes of a tensor in a file of its own, which must lie in the folder of the model's."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path, root = os.path.realpath(folder / location), os.path.realpath(folder)
    if not location or os.path.isabs(location) or os.path.commonpath([path, root]) != root:
        raise OnnxError(f"{name}: its data {location!r:.80} are not in the folder of the file")
    offset, length = (int(entries.get(key, at)) for key, at in (("offset", 0), ("length", size)))
    with open_file(path) as stream:
        there = stream.seek(0, os.SEEK_END)
        if length != size or not 0 <= offset <= there - size:
            raise OnnxError(
                f"{name}: {length} bytes from {offset} on in {location!r:.80} of {there}, for an "
                f"array of {size}"
            )
        stream.seek(offset)
        return stream.read(size)
