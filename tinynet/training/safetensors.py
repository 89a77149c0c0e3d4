"""Weights as `.safetensors`, which other frameworks read and write. Needs the extra `safetensors`.

The names are those of the state_dict, which are PyTorch's. The metadata hold what a checkpoint's
manifest says of the model. The format has no checksum: a flipped byte within an array goes
unnoticed, so for keeping models prefer the checkpoint.

Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinynet.errors import CheckpointError
from tinynet.training.archive import existing
from tinynet.training.files import atomic_write, to_json
from tinynet.training.foreign import fault

SUFFIX = ".safetensors"
OWN = "tinynet"  # the entry of the metadata that is ours
HEADER_LIMIT = 100_000_000  # bytes; the format's own limit
DTYPES = {
    "BOOL": "?", "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I8": "<i1", "I16": "<i2",
    "I32": "<i4", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of this format, by its name."""
    return Path(path).suffix.lower() == SUFFIX


def write(
    path: str | os.PathLike[str], weights: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Write weights, and `about` as metadata; atomically.

    Raises ImportError without the extra, OSError where the file cannot be written.
    """
    metadata = {"format": "pt", OWN: to_json(path, about)}  # pt: PyTorch looks for it
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    content = _library().numpy.save(arrays, metadata)
    with atomic_write(path) as stream:
        stream.write(content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The weights, and what `write` was told about them; {} for a file of another program.

    bfloat16 becomes float32, which has all its values. Raises CheckpointError for a file that is
    damaged, of another format, or holds what NumPy has not, such as floats of 8 bits.
    """
    library = _library()
    path = existing(path)
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + _header_length(content)])
        metadata = header.pop("__metadata__", {})
        _check_length(8 + _header_length(content), header, len(content))
        other = [f"{n} is of {e['dtype']}" for n, e in header.items() if e["dtype"] not in DTYPES]
        found = [] if other else library.deserialize(content)
        weights = {name: _array(**entry) for name, entry in found}
        about = json.loads(metadata.get(OWN, "{}"))
    except Exception as error:  # of many kinds: the library's own, KeyError, ...
        told = str(error) if isinstance(error, ValueError) else repr(error)
        raise CheckpointError(f"{path}: {fault(path, f'not {SUFFIX}', told)}") from error
    if other:
        raise CheckpointError(
            f"{path}: {other[0]:.200}, which tinynet does not read; convert it to float32 where it "
            "comes from (in PyTorch: tensor.float()), and save it again"
        )
    if not isinstance(about, dict):
        raise CheckpointError(f"{path}: the metadata {OWN!r} are {about!r:.60}")
    return {k: weights[k] for k in header if k in weights}, about  # in the file's order


def _array(dtype: str, shape: list[int], data: bytes) -> np.ndarray:
    array = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        wide = array.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    return array.astype(array.dtype.newbyteorder("="))


def _check_length(start: int, header: Mapping[str, Any], length: int) -> None:
    """Raise ValueError unless the file ends where the last array does."""
    end = start + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if length != end:
        what = "cut off" if length < end else f"with {length - end} bytes too many"
        raise ValueError(f"{what}: it has {length} bytes, and {end} by its header")


def _header_length(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, HEADER_LIMIT):
        raise ValueError(f"cut off: a header of {length} bytes in a file of {len(content)}")
    return length


def _library() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f'{SUFFIX} files need an extra: pip install "tinynet-cnn[safetensors]"'
        ) from error
    return safetensors
