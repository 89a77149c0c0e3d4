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
from tinynet.training.files import atomic_write

SUFFIX = ".safetensors"
OWN = "tinynet"  # the entry of the metadata that is ours
HEADER_LIMIT = 100_000_000  # bytes; the format's own limit


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of this format, by its name."""
    return Path(path).suffix == SUFFIX


def write(
    path: str | os.PathLike[str], weights: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Write weights, and `about` as metadata; atomically.

    Raises ImportError without the extra, OSError where the file cannot be written.
    """
    metadata = {"format": "pt", OWN: json.dumps(about, allow_nan=False)}  # pt: PyTorch looks for it
    content = _library().save({k: np.asarray(w, order="C") for k, w in weights.items()}, metadata)
    with atomic_write(path) as stream:
        stream.write(content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The weights, and what `write` was told about them; {} for a file of another program.

    Raises CheckpointError for a file that is damaged, or holds what NumPy has not (bfloat16).
    """
    library = _library()
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + _header_length(content)])
        weights = library.load(content)
        about = json.loads(header.get("__metadata__", {}).get(OWN, "{}"))
    except Exception as error:  # of many kinds: the library's own, KeyError for a dtype, ...
        raise CheckpointError(f"{path}: damaged, or not {SUFFIX}: {error!r}") from error
    if not isinstance(about, dict):
        raise CheckpointError(f"{path}: the metadata {OWN!r} are {about!r:.60}")
    return {k: weights[k].copy() for k in header if k in weights}, about  # in the file's order


def _header_length(content: bytes) -> int:
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, HEADER_LIMIT):
        raise ValueError(f"offset 0: a header of {length} bytes in a file of {len(content)}")
    return length


def _library() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            f'{SUFFIX} files need an extra: pip install "tinynet-cnn[safetensors]"'
        ) from error
    return safetensors.numpy
