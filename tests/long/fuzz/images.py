"""The reader of image files as a target: what `folder:` and `tinynet predict` stand on."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from typing import Any

import numpy as np

from tests.long.fuzz.harness import Mutate, Target
from tinynet.data.folder import FREE_PIXELS, PIXELS_PER_BYTE, decoded, grey_or_rgb
from tinynet.errors import DataError
from tinynet.vision.transforms.images import pixels_of


def run_image(data: bytes) -> np.ndarray:
    """One image file."""
    pixels = decoded(io.BytesIO(data), "f", lambda opened: pixels_of(grey_or_rgb(opened)))
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert len(pixels) in (1, 3)
    return pixels


@functools.cache
def image_seeds() -> list[bytes]:
    """Every format that is read, in several modes and packings."""
    from PIL import Image

    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(0, 256, (9, 11), np.uint8))
    colour = Image.fromarray(rng.integers(0, 256, (9, 11, 3), np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (9, 11)).astype(np.uint16))
    palette = colour.quantize(7)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    saved: list[tuple[Any, str, dict[str, Any]]] = [
        (grey, "PNG", {}),
        (colour, "PNG", {"exif": rotated}),
        (colour.convert("RGBA"), "PNG", {}),
        (grey.convert("LA"), "PNG", {}),
        (palette, "PNG", {"transparency": 1, "bits": 4}),
        (deep, "PNG", {}),
        (grey.convert("1"), "PNG", {}),
        (colour, "JPEG", {"exif": rotated}),
        (grey, "JPEG", {"progressive": True}),
        (colour.convert("CMYK"), "JPEG", {}),
        (palette, "GIF", {"transparency": 1}),
        (palette, "GIF", {"save_all": True, "append_images": [palette]}),
        (colour, "BMP", {}),
        (palette, "BMP", {}),
        (colour, "TIFF", {}),
        (deep, "TIFF", {"compression": "tiff_lzw"}),
        (colour, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (colour, "WEBP", {"lossless": True}),
        (colour, "WEBP", {}),
        (grey, "PPM", {}),
        (colour, "PPM", {}),
    ]
    files = []
    for image, kind, options in saved:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        files.append(stream.getvalue())
    return files


def inside_image(rng: random.Random, mutate: Mutate) -> bytes:
    """A PNG of which one chunk is changed and has the right length and checksum again."""
    chunks = list(rng.choice(_png_chunks()))
    k = rng.randrange(len(chunks))
    kind, content = chunks[k]
    if kind == b"IDAT" and rng.random() < 0.5:
        content = zlib.compress(mutate(zlib.decompress(content)), 1)
    else:
        content = mutate(content)
    chunks[k] = kind, content
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )


@functools.cache
def _png_chunks() -> list[list[tuple[bytes, bytes]]]:
    files = []
    for data in image_seeds():
        if data[1:4] == b"PNG":
            chunks, place = [], 8
            while place < len(data):
                (length,) = struct.unpack_from(">I", data, place)
                content = data[place + 8 : place + 8 + length]
                chunks.append((data[place + 4 : place + 8], content))
                place += 12 + length
            files.append(chunks)
    return files


def honest_image(data: bytes) -> int:
    """Bytes of the file, or 8 for each pixel of a size that it may have: see `check_size`."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels: int = image.width * image.height
    except Exception:  # Pillow's readers raise whatever they run into
        return len(data)
    plausible = pixels <= max(FREE_PIXELS, PIXELS_PER_BYTE * len(data))
    return max(len(data), 8 * pixels if plausible else 0)


TARGETS = {
    "image": Target(
        run_image,
        image_seeds,
        DataError,
        inside=inside_image,
        honest=honest_image,
        allowance=1 << 22,  # Pillow makes lists of the 65,536 colours that a BMP may claim
    ),
}
