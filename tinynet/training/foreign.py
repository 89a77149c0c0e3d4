"""What a file is that is no checkpoint, and how its weights get here all the same.

Those of NumPy's `savez`, which are plain arrays, are read; of all others the error says what to do.
"""

import os
import re
import zipfile
from pathlib import Path

import numpy as np

from tinynet.data.npz import read_npz
from tinynet.errors import CheckpointError, DataError

ARRAYS = "model.load_state_dict takes a dict of arrays by name"
ZIP = b"PK\x03\x04"
TORCH = (
    "in PyTorch write the weights anew, safetensors.torch.save_file(model.state_dict(), {1!r}), or "
    "torch.load({0!r}) in place of model.state_dict(), if that is what it holds; then "
    "tinynet.load({1!r}, model)"
)
BY_START = (
    (rb"\x80[\x02-\x05]", "a pickle, as torch.save wrote it, which could run code", TORCH),
    (rb"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes it", f"read it with h5py; {ARRAYS}"),
    (
        rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF|II\*\0|MM\0\*",
        "an image",
        "tinynet.load(RUN).predict({0!r}) says what a trained model sees in it",
    ),
    (rb"\x1f\x8b", "packed with gzip", "unpack it first: gunzip"),
    (rb"\x93NUMPY", "one array, as np.save writes it", f"read it with np.load; {ARRAYS}"),
    (rb"GGUF", "GGUF", f"read it with the package gguf; {ARRAYS}"),
    (
        rb"\x08[\x01-\x1f][\x12\x3a\x42]",
        "protobuf, as ONNX is",
        "tinynet.onnx.load({0!r}) makes a model of it (extra onnx), whose state_dict() "
        "model.load_state_dict takes",
    ),
)
BY_MEMBER = (
    ("data.pkl", "a file of torch.save, a pickle, which could run code", TORCH),
    (".weights.h5", "a file of Keras", f"model.get_weights() there gives its arrays; {ARRAYS}"),
)


def is_savez(path: Path) -> bool:
    """Whether it is a file of np.savez: a zip file of arrays and nothing else."""
    members = names_in(path) if os.path.isfile(path) and _start(path).startswith(ZIP) else []
    return bool(members) and all(name.endswith(".npy") for name in members)


def read_savez(path: Path) -> dict[str, np.ndarray]:
    """The arrays by name, float16 as float32. CheckpointError for what cannot be weights."""
    try:
        arrays = read_npz(path)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise CheckpointError(f"{path}: {name:.80} is {array.dtype}, and weights are numbers")
    return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in arrays.items()}


def fault(path: Path | None, told: str, error: object) -> str:
    """`told`, why a file is not what its name says, with its kind and the cure; where that is not
    known it may be damaged, and the error stands there.
    """
    kind = "" if path is None else _kind_of(path)
    return f"{told}: {kind}" if kind else f"damaged, or {told}: {error}"


def _kind_of(path: Path) -> str:
    start = _start(path)
    text = " ".join(start.decode("latin-1").split())
    if not start:
        return "it is empty"
    if text.isascii() and text.isprintable() and text[:2] != "PK":
        return f"it is text that begins with {text[:40]!r}"
    members = names_in(path) if start.startswith(ZIP) else []
    found = [(kind, cure) for pattern, kind, cure in BY_START if re.match(pattern, start)]
    found += [(k, c) for end, k, c in BY_MEMBER if any(name.endswith(end) for name in members)]
    if not found:
        return ""
    kind, cure = found[0]
    return f"it is {kind}; {cure.format(str(path), str(path.with_suffix('.safetensors')))}"


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(64)
    except OSError:
        return b"\x00"  # of no kind: the reader has found out why


def names_in(path: Path) -> list[str]:
    """The names in a zip archive; none where its directory is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # zipfile lets errors of many kinds out of a bad directory
        return []
