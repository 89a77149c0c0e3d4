"""What a file is that is no checkpoint, and how its weights get here all the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

ARRAYS = "model.load_state_dict takes a dict of arrays by name"
TORCH = (
    "write its state_dict anew, safetensors.torch.save_file(torch.load({0!r}, "
    "map_location='cpu'), {1!r}), then tinynet.load({1!r}, model)"
)
BY_START = (
    (rb"\x80[\x02-\x05]", "a pickle, as torch.save wrote it, which could run code", TORCH),
    (rb"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes it", f"read it with h5py; {ARRAYS}"),
    (rb"\x1f\x8b", "packed with gzip", "unpack it first: gunzip"),
    (rb"\x93NUMPY", "one array, as np.save writes it", f"read it with np.load; {ARRAYS}"),
    (rb"GGUF", "GGUF", f"read it with the package gguf; {ARRAYS}"),
    (
        rb"\x08[\x01-\x1f][\x12\x3a\x42]",
        "protobuf, as ONNX is",
        f"onnx.numpy_helper.to_array gives its arrays; {ARRAYS}",
    ),
)
BY_MEMBER = (
    ("data.pkl", "a file of torch.save, a pickle, which could run code", TORCH),
    (".weights.h5", "a file of Keras", f"model.get_weights() there gives its arrays; {ARRAYS}"),
    (".npy", "a file of np.savez", "use model.load_state_dict(dict(np.load({0!r})))"),
)


def fault(path: Path, told: str, error: object, members: Sequence[str] = ()) -> str:
    """`told`, why a file is not what its name says, with its kind and the cure; where that is not
    known it may be damaged, and the error stands there. members: the names in it, if it is a zip.
    """
    kind = _kind_of(path, members)
    return f"{told}: {kind}" if kind else f"damaged, or {told}: {error}"


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive by its start, as checkpoints are, whatever its name."""
    return _start(path).startswith(b"PK\x03\x04")


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(64)
    except OSError:
        return b"\x00"  # of no kind: the reader has found out why


def _kind_of(path: Path, members: Sequence[str]) -> str:
    start = _start(path)
    text = " ".join(start.decode("latin-1").split())
    if not start:
        return "it is empty"
    named = path.suffix.lower() == ".safetensors"
    if not named and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "it is a .safetensors file; give it a name that ends so"
    if text.isascii() and text.isprintable() and text[:2] != "PK":
        return f"it is text that begins with {text[:40]!r}"
    found = [(kind, cure) for pattern, kind, cure in BY_START if re.match(pattern, start)]
    found += [(k, c) for end, k, c in BY_MEMBER if any(name.endswith(end) for name in members)]
    if not found:
        return ""
    kind, cure = found[0]
    return f"it is {kind}; {cure.format(str(path), str(path.with_suffix('.safetensors')))}"
