"""The arrays in an ONNX file, and in files beside it: checked before anything is made of them.

So are the sizes that a file asks for, before anything of that size is made.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tinynet.data.files import open_file
from tinynet.errors import OnnxError
from tinynet.tensor import Tensor

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
TYPES: dict[int, np.dtype[Any]] = {
    int(helper.np_dtype_to_tensor_dtype(np.dtype(word))): np.dtype(word)
    for word in ("f4", "f8", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
} | dict.fromkeys(map(int, HALVES), np.dtype("f4"))
"""The dtype in which each type is computed that is read."""


def array_of(tensor: onnx.TensorProto, folder: Path) -> np.ndarray:
    """The array, in memory of its own; float16 and bfloat16 as float32.

    folder: where external data may lie. Raises OnnxError for a type that is not read, and where
    the number of bytes or elements is not that of the shape.
    """
    name, shape = f"tensor {tensor.name!r:.80}", tuple(tensor.dims)
    if tensor.data_type not in TYPES:
        raise OnnxError(f"{name} is of type {tensor.data_type}, which tinynet does not read")
    if len(shape) > 32 or any(n < 0 for n in shape) or tensor.HasField("segment"):
        raise OnnxError(f"{name}: shape {shape!r:.80} is none")
    dtype, count = TYPES[tensor.data_type], math.prod(shape)
    size = count * (2 if tensor.data_type in HALVES else dtype.itemsize)
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external(tensor, name, size, folder)
        tensor = TensorProto(data_type=tensor.data_type, dims=shape, raw_data=raw)
    what, wanted, there = "bytes", size, len(tensor.raw_data)
    if not tensor.HasField("raw_data"):
        field = helper.tensor_dtype_to_field(tensor.data_type)
        what, wanted, there = "elements", count, len(getattr(tensor, field))
    if there != wanted:
        raise OnnxError(f"{name}: {there} {what} for shape {shape!r:.80} of {dtype.name}")
    return numpy_helper.to_array(tensor).astype(dtype)


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


MOST = 1 << 28
"""Elements of the largest array that an operator makes of smaller ones: 1 GiB of float32."""


def check_size(*shapes: Sequence[int] | int) -> None:
    """ValueError for a shape, in parts, that has a negative size or more than MOST elements."""
    sizes = [n for part in shapes for n in ([part] if isinstance(part, int) else part)]
    if min(sizes, default=0) < 0:
        raise ValueError(f"a size is negative: {sizes!r:.80}")
    if (count := math.prod(sizes)) > MOST:
        raise ValueError(
            f"{count:,} elements of shape {sizes!r:.80}; at most {MOST:,} are made of smaller "
            "arrays; give it a smaller batch"
        )


def integers(x: Tensor) -> list[int]:
    """The elements of a tensor that holds a shape, axes or the like."""
    if x.array.dtype.kind not in "iu":
        raise ValueError(f"integers are needed, got {x.dtype}")
    if x.ndim > 1 or x.array.size > 4096:
        raise ValueError(f"at most 4096 integers in a vector are needed, got shape {x.shape}")
    return [int(n) for n in x.array.ravel()]
