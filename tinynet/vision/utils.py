"""Images to look at: several in one grid, and image files. PNG files need no Pillow."""

import os
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinynet.autograd import wrap
from tinynet.errors import ShapeError
from tinynet.tensor import Tensor
from tinynet.vision.transforms.images import as_pil

__all__ = ["make_grid", "save_image"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """The images (N, C, H, W), or a list of (C, H, W), as one (C, ...), `nrow` in each row.

    Grey images get three channels. normalize: shift and scale to 0..1, from value_range or from
    the least and the largest value: of all images, or with scale_each of each.
    """
    several = isinstance(tensor, (list, tuple)) and len(tensor) > 0
    x = np.stack([np.asarray(t) for t in tensor]) if several else np.asarray(tensor)
    if x.ndim not in (2, 3, 4):
        raise ShapeError(f"make_grid takes images (N, C, H, W) or (C, H, W), got shape {x.shape}")
    x = x.reshape((1,) * (4 - x.ndim) + x.shape)
    x = np.repeat(x, 3, axis=1) if x.shape[1] == 1 else x
    if normalize:
        axes = (1, 2, 3) if scale_each else (0, 1, 2, 3)
        low, high = x.min(axes, keepdims=True), x.max(axes, keepdims=True)
        low, high = (low, high) if value_range is None else value_range
        x = (np.clip(x, low, high) - low) / np.maximum(np.subtract(high, low, dtype=x.dtype), 1e-5)
    N, C, H, W = x.shape
    if N == 1:
        return wrap(x[0].copy())
    across = min(nrow, N)
    H, W = H + padding, W + padding
    rows = -(-N // across)
    grid = np.full((C, H * rows + padding, W * across + padding), pad_value, x.dtype)
    for k in range(N):
        top, left = k // across * H + padding, k % across * W + padding
        grid[:, top : top + H - padding, left : left + W - padding] = x[k]
    return wrap(grid)


def save_image(
    tensor: Tensor | Sequence[Tensor],
    fp: Any,
    format: str | None = None,  # noqa: A002 (torchvision's name)
    **settings: Any,
) -> None:
    """Write images, of which 0..1 is black to white, as one grid to a file.

    fp: a path, or an open file, which gets a PNG unless `format` names another. Other formats
    than PNG are written by Pillow. settings: those of `make_grid`.
    """
    grid = make_grid(tensor, **settings).array
    pixels = np.clip(grid * 255 + 0.5, 0, 255).astype(np.uint8)  # (3, H, W)
    path = isinstance(fp, (str, os.PathLike))
    kind = format or (os.path.splitext(fp)[1].lstrip(".") if path else "png")
    if kind.lower() != "png":
        as_pil(pixels).save(fp, format=format)
    elif path:
        with open(fp, "wb") as stream:
            stream.write(png(pixels))
    else:
        fp.write(png(pixels))


def png(pixels: np.ndarray) -> bytes:
    """The content of a PNG file with these colours, uint8 (3, H, W)."""
    _, H, W = pixels.shape
    # Every row begins with 0: its pixels are stored as they are.
    rows = np.pad(pixels.transpose(1, 2, 0).reshape(H, -1), ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", W, H, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
