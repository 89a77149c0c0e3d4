"""Weights as `.safetensors`, which other frameworks read and write. Needs the extra `safetensors`.

The names are those of the state_dict, which are PyTorch's. Beside them the file holds the name and
the arguments that `tinynet.models.build` needs. The format has no checksum: a flipped byte within
an array goes unnoticed, so for keeping models prefer the checkpoint.

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
from tinynet.training.files import atomic_write

SUFFIX = ".safetensors"
HEADER_LIMIT = 100_000_000  # bytes; the format's own limit


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of this format, by its name."""
    return Path(path).suffix == SUFFIX


def write(
    path: str | os.PathLike[str],
    weights: Mapping[str, np.ndarray],
    name: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights, atomically. Raises ImportError without the extra, OSError as usual."""
    metadata = {"format": "pt"}  # what PyTorch's users expect to find there
    if name is not None:
        metadata["model"] = json.dumps({"name": name, "arguments": dict(arguments or {})})
    content = _library().save({k: np.ascontiguousarray(w) for k, w in weights.items()}, metadata)
    with atomic_write(path) as stream:
        stream.write(content)


def read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], str | None, dict[str, Any] | None]:
    """Weights, and the model's name and arguments if the file has them.

    Raises CheckpointError for a file that is damaged or holds what NumPy has not, such as
    bfloat16.
    """
    library = _library()
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + _header_length(content)])
        weights = library.load(content)
    except Exception as error:  # of many kinds: the library's own, KeyError for a dtype, ...
        raise CheckpointError(f"{path}: damaged, or not {SUFFIX}: {error}") from error
    weights = {k: weights[k].copy() for k in header if k in weights}  # in the file's order
    return weights, *_model(header.get("__metadata__"), path)


def _header_length(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, HEADER_LIMIT):
        raise ValueError(f"offset 0: a header of {length} bytes in a file of {len(content)}")
    return length


def _model(metadata: Any, path: Path) -> tuple[str | None, dict[str, Any] | None]:
    text = metadata.get("model") if isinstance(metadata, dict) else None
    if text is None:
        return None, None
    try:
        model = json.loads(text)
        return str(model["name"]), dict(model["arguments"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata `model` is not tinynet's: {error}") from error


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f'{SUFFIX} files need an extra: pip install "tinynet-cnn[safetensors]"'
        ) from error
    return safetensors.numpy
